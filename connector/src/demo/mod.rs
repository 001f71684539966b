//! The demonstration: three connectors as three real processes on this machine, and what they do together. It only spawns this same
//! binary and uses the interfaces that operators and peers have; nothing else may use it. Everyone in it is invented.

mod account;
mod daemons;
pub mod learners;
mod names;
mod numbers;
mod record;
mod run;
pub mod skills;
mod sources;
mod tamper;
pub mod terms;

use std::{path::PathBuf, process::ExitCode};
use tokio::signal::unix::{SignalKind, signal};

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Records in all, over both holders.
    pub records: u64,
    /// The seed of the invented learners.
    pub seed: u64,
    /// The user's own records instead, one JSON object a line, plain or gzip.
    pub input: Option<PathBuf>,
    /// JSON pointer to the learner in those.
    pub subject: Option<String>,
    /// Leave everything there from which the figures can be recomputed.
    pub out: Option<PathBuf>,
    /// Where the connectors' folders are made; a temporary folder without it.
    pub dir: Option<PathBuf>,
    /// Leave the connectors running.
    pub keep: bool,
    /// Print one JSON object instead of the account.
    pub json: bool,
}

/// Runs the demonstration; the account goes to standard output, progress to standard error.
pub async fn run(options: Options) -> ExitCode {
    // Listening begins before the work does: a signal that comes while records are made must not end us without cleaning up.
    let stopped = match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => tokio::select! {
            biased;
            _ = interrupt.recv() => Err(run::DemoError::Interrupted),
            _ = terminate.recv() => Err(run::DemoError::Interrupted),
            outcome = run::run(&options) => outcome,
        },
        (Err(error), _) | (_, Err(error)) => Err(error.into()),
    };
    match stopped {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the demonstration failed: {error}");
            ExitCode::FAILURE
        }
    }
}
