//! The operator's commands: thin clients of the management API. Nothing here opens a store; only `serve` and `demo` start a daemon, and
//! only `init`, `key` and `authority` make keys.

mod agreement;
mod api;
mod audit;
mod authority;
mod basis;
mod consent;
mod dataset;
mod demo;
mod events;
mod evidence;
mod exit;
mod gaia_x;
mod init;
mod input;
mod key;
mod link;
mod negotiation;
mod notice;
mod output;
mod peer;
mod policy;
mod restriction;
mod serve;
mod shell;
mod status;
mod told;
mod transfer;

pub use exit::Exit;

use crate::config::Config;
use ::policy::Language;
use api::Api;
use clap::{Args, Parser, Subcommand};
use exit::{Failure, Outcome};
use output::Output;
use serde_json::Value;
use std::{
    env,
    future::Future,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The environment variable that stands for `--config`.
const CONFIG_VARIABLE: &str = "CONNECTOR_CONFIG";
/// Where the configuration is looked for when nothing names it.
const USUAL_PLACES: [&str; 2] = ["connector.toml", "/etc/connector/connector.toml"];

/// A dataspace connector for learners' skills records: it offers data sets, negotiates signed usage contracts with other connectors,
/// enforces them and each learner's consent record by record, and streams what remains.
#[derive(Parser)]
#[command(
    name = "connector",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
#[command(after_help = manual(), max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Globals {
    /// The configuration; it also says where the daemon's management API listens [env: CONNECTOR_CONFIG] [default:
    /// connector.toml, then /etc/connector/connector.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    config: Option<PathBuf>,
    /// The daemon's management socket, instead of the one in the configuration
    #[arg(long, global = true, value_name = "PATH", help_heading = "Global options")]
    socket: Option<PathBuf>,
    /// Print JSON: the management API's own answers; errors go to stderr as JSON too
    #[arg(long, global = true, help_heading = "Global options")]
    json: bool,
    /// The language in which refusals and policies are told [default: that of LC_ALL, LC_MESSAGES or LANG if it is French, else English]
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "LANGUAGE",
        help_heading = "Global options"
    )]
    lang: Option<told::Lang>,
}

#[derive(Subcommand)]
enum Command {
    Init(init::Init),
    Serve(serve::Serve),
    Status(status::Status),
    Dataset(dataset::Dataset),
    Catalog(negotiation::Catalog),
    Negotiate(negotiation::Negotiate),
    Propose(negotiation::Propose),
    Negotiation(negotiation::Negotiation),
    Agreement(agreement::Agreement),
    Transfer(transfer::Transfer),
    Consent(consent::Consent),
    Link(link::Link),
    Notice(notice::Notice),
    Basis(basis::Basis),
    Restriction(restriction::Restriction),
    Audit(audit::Audit),
    Peer(peer::Peer),
    Policy(policy::Policy),
    Key(key::Key),
    Authority(authority::Authority),
    GaiaX(gaia_x::GaiaX),
    Events(events::Events),
    Demo(demo::Demo),
    Completions(shell::Completions),
    Man(shell::Man),
    Openapi(shell::Openapi),
}

fn manual() -> String {
    let examples = "EXAMPLES:
  connector demo
  connector init --dir ./dev
  connector serve --config dev/connector.toml
  connector status --config dev/connector.toml
  connector catalog school
  connector negotiate school urn:offer:skills-2026 --wait
  connector transfer start urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 -o records.jsonl
";
    format!("{examples}\n{}", Exit::manual())
}

/// What every command gets.
struct Context {
    globals: Globals,
    out: Output,
}

impl Context {
    /// The configuration file: named on the command line, in the environment, or in a usual place.
    fn config_path(&self) -> Outcome<PathBuf> {
        let named = self.globals.config.clone().or_else(|| {
            env::var_os(CONFIG_VARIABLE)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        });
        named
            .or_else(|| USUAL_PLACES.iter().map(PathBuf::from).find(|path| path.exists()))
            .ok_or_else(|| {
                Failure::usage(format!(
                    "there is no configuration: neither --config nor {CONFIG_VARIABLE}, nor {}",
                    USUAL_PLACES.join(", nor ")
                ))
                .next("name it with --config FILE, or make one with: connector init --dir DIR")
            })
    }

    fn config(&self) -> Outcome<Config> {
        Ok(Config::load(&self.config_path()?)?)
    }

    /// The management API of the daemon that this command is for.
    fn api(&self) -> Outcome<Api> {
        match &self.globals.socket {
            Some(path) => Api::new(crate::net::local::Endpoint::Socket(path.clone()), self.language()),
            None => Api::new(self.config()?.endpoint()?, self.language()),
        }
    }

    /// The language of whoever reads: asked for, or that of the environment.
    fn language(&self) -> Language {
        match self.globals.lang {
            Some(lang) => lang.into(),
            None => told::of_environment(|name| env::var(name).ok()),
        }
    }

    /// Shows a process; to people with what its reason codes mean.
    fn process(&self, record: Value) -> Outcome {
        match self.out.json {
            true => self.out.json(&record),
            false => self.out.details(&told::explained(record, self.language())),
        }
    }
}

/// The whole program: reads the command line, runs the command, and turns its end into an exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version count as errors too, with code 0. A closed pipe is nobody's concern.
            drop(error.print());
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Ok.into()
            };
        }
    };
    let context = Context {
        out: Output { json: cli.globals.json },
        globals: cli.globals,
    };
    match run(&context, cli.command) {
        Ok(code) => code,
        Err(failure) => {
            tell(&failure, &context);
            failure.exit().into()
        }
    }
}

fn tell(failure: &Failure, context: &Context) {
    let text = match failure {
        Failure::OutputClosed => return,
        Failure::Told(_) if context.out.json => failure.to_json().to_string(),
        Failure::Told(_) => failure.told(context.language()),
    };
    drop(writeln!(io::stderr(), "{text}"));
}

fn run(context: &Context, command: Command) -> Outcome<ExitCode> {
    match command {
        Command::Init(command) => command.run(context).map(done),
        Command::Authority(command) => command.run(context).map(done),
        Command::Completions(command) => command.run(context).map(done),
        Command::Man(command) => command.run(context).map(done),
        Command::Openapi(command) => command.run(context).map(done),
        Command::GaiaX(command) => command.run(context).map(done),
        Command::Policy(command) => command.run(context).map(done),
        Command::Serve(command) => on_all_cores(command.run(context)).map(done),
        Command::Demo(command) => on_all_cores(command.run(context)),
        Command::Status(command) => here(command.run(context)).map(done),
        Command::Dataset(command) => here(command.run(context)).map(done),
        Command::Catalog(command) => here(command.run(context)).map(done),
        Command::Negotiate(command) => here(command.run(context)).map(done),
        Command::Propose(command) => here(command.run(context)).map(done),
        Command::Negotiation(command) => here(command.run(context)).map(done),
        Command::Agreement(command) => here(command.run(context)).map(done),
        Command::Transfer(command) => here(command.run(context)).map(done),
        Command::Consent(command) => here(command.run(context)).map(done),
        Command::Link(command) => here(command.run(context)).map(done),
        Command::Notice(command) => here(command.run(context)).map(done),
        Command::Basis(command) => here(command.run(context)).map(done),
        Command::Restriction(command) => here(command.run(context)).map(done),
        Command::Audit(command) => here(command.run(context)).map(done),
        Command::Peer(command) => here(command.run(context)).map(done),
        Command::Key(command) => here(command.run(context)).map(done),
        Command::Events(command) => here(command.run(context)).map(done),
    }
}

fn done((): ()) -> ExitCode {
    Exit::Ok.into()
}

/// For 4,000 streams, and what else blocks.
const BLOCKING_THREADS: usize = 8192;

/// Runs a daemon's work. Each outgoing stream keeps two blocking threads for as long as it lives; with tokio's 512 the 257th would stand
/// still, whatever `limits.streams` says. They are made as they are needed, so a high limit costs nothing.
fn on_all_cores<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()?
        .block_on(work)
}

/// Runs a short command's work on this thread.
fn here<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// The path as the user would type it in the next command.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    match text.contains(|c: char| c.is_whitespace() || "'\"\\$`".contains(c)) {
        true => format!("'{}'", text.replace('\'', r"'\''")),
        false => text,
    }
}

#[cfg(test)]
mod tests;
