//! `demo`: the main job, on this machine, from nothing.

use super::{Context, exit::Outcome};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Run the main job on this machine: real daemons, real TLS, real signatures, invented learners
///
/// Two connectors hold learners' skills records, a third asks for them: contracts are negotiated and signed, records stream under each
/// learner's consent, some withdraw while it runs, and everything is checked at the end.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector demo
  connector demo --records 100000 --out ./results
  connector demo --input records.jsonl --subject /learner/id --keep --dir ./demo
")]
pub(super) struct Demo {
    /// How many records there are, over both holders
    #[arg(long, value_name = "N", default_value_t = 3000)]
    records: u64,
    /// The seed of the invented learners; the same seed makes the same records
    #[arg(long, default_value_t = 2026)]
    seed: u64,
    /// Use these records instead: one JSON object a line
    #[arg(long, value_name = "FILE", requires = "subject", conflicts_with = "seed")]
    input: Option<PathBuf>,
    /// JSON pointer to the learner's identifier in those records
    #[arg(long, value_name = "POINTER", requires = "input")]
    subject: Option<String>,
    /// Leave everything in this folder from which the figures can be recomputed
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Leave the connectors running, and say how to talk to them
    #[arg(long)]
    keep: bool,
    /// Where the connectors' folders are made [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Demo {
    pub(super) async fn run(self, context: &Context) -> Outcome<ExitCode> {
        let options = crate::demo::Options {
            records: self.records,
            seed: self.seed,
            input: self.input,
            subject: self.subject,
            out: self.out,
            keep: self.keep,
            dir: self.dir,
            json: context.out.json,
        };
        Ok(crate::demo::run(options).await)
    }
}
