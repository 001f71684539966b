//! `completions`, `man` and `openapi`: what shells, manual pages and programs need, made from the definitions of the commands and routes.

use super::{
    Cli, Context,
    exit::{Exit, Failure, Outcome},
    output::Sink,
};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Print a completion script for a shell
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector completions bash > /etc/bash_completion.d/connector
  connector completions zsh > _connector
")]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, _: &Context) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "connector", &mut script);
        print(&script)
    }
}

/// Write the manual pages into a folder, or print the first one
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector man | man -l -
  connector man /usr/local/share/man/man1
")]
pub(super) struct Man {
    /// The folder; without it, connector(1) goes to standard output
    dir: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Some(dir) = self.dir else {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            return print(&page);
        };
        let made = fs::create_dir_all(&dir).and_then(|()| clap_mangen::generate_to(Cli::command(), &dir));
        made.map_err(|error| {
            Failure::new(Exit::Failed, format!("{}: {error}", dir.display())).next("name a folder that you may write")
        })?;
        context.out.say(&format!("manual pages written to {}", dir.display()))
    }
}

/// Print the OpenAPI document of the management API; it needs no daemon
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector openapi > connector.openapi.json
")]
pub(super) struct Openapi {}

impl Openapi {
    pub(super) fn run(self, _: &Context) -> Outcome {
        let mut text = serde_json::to_vec_pretty(&crate::http::management::document()).map_err(io::Error::from)?;
        text.push(b'\n');
        print(&text)
    }
}

fn print(bytes: &[u8]) -> Outcome {
    let mut sink = Sink::open(Path::new("-"))?;
    sink.write(bytes)?;
    sink.finish()
}
