//! `serve`: checks the configuration and runs the daemon.

use super::{
    Context,
    exit::{Exit, Failure, Outcome},
    shown,
};
use crate::{
    config::{Problem, Severity},
    daemon, telemetry,
};
use clap::Args;
use serde_json::json;
use std::io::{self, Write};

/// Run the daemon until SIGTERM or SIGINT; SIGHUP reads certificates, keys with theirs, and log level again
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector serve
  connector serve --config /etc/connector/connector.toml
  connector serve --check --config /etc/connector/connector.toml
")]
pub(super) struct Serve {
    /// Report everything that is wrong with the configuration and the files it names, and stop; opens no port
    #[arg(long)]
    check: bool,
}

impl Serve {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let path = context.config_path()?;
        let config = crate::config::Config::load(&path)?;
        let problems = config.check();
        let errors = problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .count();
        if self.check && context.out.json {
            let list: Vec<_> = problems.iter().map(as_json).collect();
            context.out.json(&json!({"config": path, "problems": list}))?;
        } else {
            for problem in &problems {
                drop(writeln!(io::stderr(), "{problem}"));
            }
        }
        if errors > 0 {
            let count = if errors == 1 {
                "one error".to_owned()
            } else {
                format!("{errors} errors")
            };
            return Err(
                Failure::usage(format!("{}: {count}; the daemon was not started", path.display())).next(format!(
                    "correct them, then: connector serve --check --config {}",
                    shown(&path)
                )),
            );
        }
        if self.check {
            return context
                .out
                .say(&format!("{}: ready to serve as {}", path.display(), config.did));
        }
        let telemetry = telemetry::init(&config.log.level, config.log.json);
        daemon::run(config, telemetry, path)
            .await
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))
    }
}

fn as_json(problem: &Problem) -> serde_json::Value {
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    json!({"severity": severity, "setting": problem.setting, "found": problem.found, "remedy": problem.remedy})
}
