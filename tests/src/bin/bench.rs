//! Prints the project's figures, one JSON object a line. `tests/bench` builds what it needs and runs it.
#![forbid(unsafe_code)]

use connector_tests::bench::{audit, edc, idle, negotiation, signatures, stream};
use std::process::ExitCode;

const NAMES: [&str; 9] = [
    "signatures",
    "audit",
    "idle_memory",
    "startup",
    "negotiation",
    "stream",
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
            "negotiation_vs_edc" => edc::negotiations().await,
            "transfer_start_vs_edc" => edc::transfer_starts().await,
            "negotiations_per_second" => edc::per_second().await,
            _ => stream::run().await,
        }
    }
    ExitCode::SUCCESS
}
