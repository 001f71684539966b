//! Prints the project's figures, one JSON object a line. `tests/bench` builds what it needs and runs it.
#![forbid(unsafe_code)]

use connector_tests::bench::{audit, edc, idle, negotiation, policy, signatures, stream, withdrawal};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::{alloc::System, process::ExitCode};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NAMES: [&str; 11] = [
    "signatures",
    "audit",
    "idle_memory",
    "startup",
    "negotiation",
    "stream",
    "policy",
    "withdrawal",
    "negotiation_vs_edc",
    "transfer_start_vs_edc",
    "negotiations_per_second",
];

#[tokio::main]
async fn main() -> ExitCode {
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| !NAMES.contains(&name.as_str())) {
        eprintln!("{unknown} is not measured; there are: {}", NAMES.join(", "));
        return ExitCode::from(2);
    }
    if wanted.is_empty() {
        wanted = NAMES.map(str::to_owned).into();
    }
    for name in &wanted {
        match name.as_str() {
            "signatures" => signatures::run(),
            "audit" => audit::run().await,
            "idle_memory" => idle::memory().await,
            "startup" => idle::startup().await,
            "negotiation" => negotiation::run().await,
            "policy" => policy::run(),
            "withdrawal" => withdrawal::run().await,
            "negotiation_vs_edc" => edc::negotiations().await,
            "transfer_start_vs_edc" => edc::transfer_starts().await,
            "negotiations_per_second" => edc::per_second().await,
            _ => stream::run().await,
        }
    }
    ExitCode::SUCCESS
}
