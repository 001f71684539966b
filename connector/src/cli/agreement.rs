//! `agreement`: what was agreed, and its proof.

use super::{
    Context,
    api::path,
    exit::{Exit, Failure, Outcome},
    input,
    output::{Column, Sink, items},
};
use crate::contract;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{fmt, io, path::PathBuf};

/// List, export and check agreements
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector agreement list
  connector agreement verify agreement.json
"
)]
pub(super) struct Agreement {
    #[command(subcommand)]
    command: AgreementCommand,
}

#[derive(Subcommand)]
enum AgreementCommand {
    /// List agreements, as provider and as consumer
    #[command(after_help = "EXAMPLES:\n  connector agreement list\n  connector agreement list --json\n")]
    List,
    /// Show one agreement
    #[command(after_help = "EXAMPLES:\n  connector agreement show urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11\n")]
    Show {
        /// The agreement's id
        id: String,
    },
    /// Check both signatures of an exported agreement; needs no daemon and no network
    ///
    /// The keys come from the file: compare their thumbprints with what the parties publish.
    #[command(
        after_help = "EXAMPLES:\n  connector agreement verify agreement.json\n  connector agreement verify - --json < agreement.json\n"
    )]
    Verify {
        /// The exported agreement; - for standard input
        file: PathBuf,
    },
    /// Write an agreement with both signatures and keys, for `verify` or for an auditor
    #[command(
        after_help = "EXAMPLES:\n  connector agreement export urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 -o agreement.json\n"
    )]
    Export {
        /// The agreement's id
        id: String,
        /// The file to write; - for standard output
        #[arg(short, long, value_name = "FILE", default_value = "-")]
        output: PathBuf,
    },
}

impl Agreement {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        match self.command {
            AgreementCommand::List => {
                let list = context.api()?.get("/v1/agreements").await?;
                context.out.table(
                    &list,
                    items(&list, "agreements"),
                    &COLUMNS,
                    "no agreements; begin with: connector negotiate --help",
                )
            }
            AgreementCommand::Show { id } => context.out.details(&get(context, &id).await?),
            AgreementCommand::Verify { file } => verify(context, &input::bytes(&file)?),
            AgreementCommand::Export { id, output } => {
                let document = get(context, &id).await?;
                let mut sink = Sink::open(&output)?;
                sink.write(&serde_json::to_vec_pretty(&document).map_err(io::Error::from)?)?;
                sink.write(b"\n")?;
                sink.finish()
            }
        }
    }
}

const COLUMNS: [Column; 6] = [
    ("ID", &["id", "@id"]),
    ("ROLE", &["role"]),
    ("PROVIDER", &["provider"]),
    ("CONSUMER", &["consumer"]),
    ("DATASET", &["dataset"]),
    ("SIGNED", &["signed"]),
];

async fn get(context: &Context, id: &str) -> Outcome<Value> {
    context.api()?.get(&path(&["agreements", id])?).await
}

fn verify(context: &Context, bytes: &[u8]) -> Outcome {
    let checked = contract::verify_export(bytes).map_err(|error| does_not_verify(&error))?;
    if context.out.json {
        return context.out.json(&json!(checked));
    }
    context.out.say("both signatures are valid")?;
    context.out.details(&json!(checked))?;
    context
        .out
        .say("\nThe keys came with the file: compare each jkt with the key in the party's DID document.")
}

fn does_not_verify(error: &impl fmt::Display) -> Failure {
    Failure::new(Exit::Verification, format!("the agreement does not verify: {error}"))
        .next("ask the other party for its copy (connector agreement export ID), and do not rely on this one")
}
