//! `agreement`: what was agreed, and its proof.

use super::{
    Context,
    api::path,
    exit::{Exit, Failure, Outcome},
    input,
    output::{Column, Sink, items},
    policy,
};
use crate::{
    clock,
    contract::{self, AgreementExport, Checked, KeySource, VerifyError, page},
    dsp::{self, ParticipantId},
    trust::did,
};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// List, explain, export and check agreements
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector agreement list
  connector agreement explain urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11
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
    /// Say in plain French or English what an agreement permits, prohibits and obliges to
    ///
    /// Reads the terms in the signed document, after checking its signatures, and tells them as `connector policy explain` tells a policy in a
    /// file.
    #[command(
        after_help = "EXAMPLES:\n  connector agreement explain urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11\n  connector agreement explain urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --lang fr\n"
    )]
    Explain {
        /// The agreement's id
        id: String,
    },
    /// Record, or show, what was paid under an agreement of ours as the provider
    ///
    /// For policies that ask for odrl:payAmount. The amount is the sum so far; it takes the place of what was recorded before.
    #[command(
        after_help = "EXAMPLES:\n  connector agreement paid urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --amount 120.00 --unit EUR\n  connector agreement paid urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --json\n"
    )]
    Paid {
        /// The agreement's id
        id: String,
        /// What was paid in all; without it, what was recorded is shown
        #[arg(long, requires = "unit")]
        amount: Option<String>,
        /// Its unit, spelled as in the policy
        #[arg(long, requires = "amount")]
        unit: Option<String>,
    },
    /// Check the signatures of an exported agreement; needs no daemon and no network
    ///
    /// Without --did-document the keys come from the file: compare their thumbprints with what the parties publish. With it only the keys
    /// of those documents count. Ends with code 7 where one party alone signed, because the other cannot.
    #[command(
        after_help = "EXAMPLES:\n  connector agreement verify agreement.json\n  connector agreement verify - --json < agreement.json\n  connector agreement verify agreement.jws --did-document lycee.json --did-document ft.json\n"
    )]
    Verify {
        /// The exported agreement, or its bare JWS document; - for standard input
        file: PathBuf,
        /// A party's DID document, obtained from that party
        #[arg(long = "did-document", value_name = "FILE")]
        documents: Vec<PathBuf>,
    },
    /// Write an agreement for `verify`, for an auditor, or as a page for people
    #[command(
        after_help = "EXAMPLES:\n  connector agreement export urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 -o agreement.json\n  connector agreement export urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --format html --out agreement.html\n"
    )]
    Export {
        /// The agreement's id
        id: String,
        /// What to write
        #[arg(long, value_enum, default_value = "json")]
        format: Format,
        /// The file to write; - for standard output
        #[arg(short, long, visible_alias = "out", value_name = "FILE", default_value = "-")]
        output: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// The signed document with the keys that signed it
    Json,
    /// The signed document alone: a JWS in general JSON serialization
    Jws,
    /// A page to read and print, in French and English
    Html,
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
            AgreementCommand::Explain { id } => {
                let export = get(context, &id).await?.to_string();
                let checked = contract::verify_export(export.as_bytes()).map_err(|error| does_not_verify(&error))?;
                policy::explain_agreement(context, &id, &checked.record.parts().agreement)
            }
            AgreementCommand::Paid { id, amount, unit } => {
                let resource = path(&["agreements", &id, "payment"])?;
                let paid = match amount.zip(unit) {
                    Some((amount, unit)) => {
                        let body = json!({"amount": amount, "unit": unit});
                        context.api()?.post(&resource, &body).await?
                    }
                    None => context.api()?.get(&resource).await?,
                };
                context.out.details(&paid)
            }
            AgreementCommand::Verify { file, documents } => verify(context, &input::bytes(&file)?, &documents),
            AgreementCommand::Export { id, format, output } => {
                let mut export = get(context, &id).await?;
                if let Some(members) = export.as_object_mut() {
                    // How it stands to others at the moment is no part of it.
                    members.shift_remove("contradicts");
                    members.shift_remove("notCompared");
                }
                let written = written(export, format)?;
                let mut sink = Sink::open(&output)?;
                sink.write(&written)?;
                sink.finish()
            }
        }
    }
}

const COLUMNS: [Column; 8] = [
    ("ID", &["id", "@id"]),
    ("ROLE", &["role"]),
    ("PROVIDER", &["provider"]),
    ("CONSUMER", &["consumer"]),
    ("DATASET", &["dataset"]),
    ("SIGNED", &["signed"]),
    ("BY", &["signedBy"]),
    ("WITHOUT FORCE", &["withoutForce"]),
];

async fn get(context: &Context, id: &str) -> Outcome<Value> {
    context.api()?.get(&path(&["agreements", id])?).await
}

/// An agreement in the form that was asked for. Nothing that does not verify is made into a page.
fn written(export: Value, format: Format) -> Outcome<Vec<u8>> {
    let pretty = |value: &Value| serde_json::to_vec_pretty(value).map_err(io::Error::from);
    let mut bytes = match format {
        Format::Json => pretty(&export)?,
        // As it was signed and stored: canonical, and one line.
        Format::Jws => export
            .get("document")
            .map(Value::to_string)
            .unwrap_or_default()
            .into_bytes(),
        Format::Html => {
            let checked =
                contract::verify_export(export.to_string().as_bytes()).map_err(|error| does_not_verify(&error))?;
            let export: AgreementExport = serde_json::from_value(export).map_err(io::Error::from)?;
            page::write(&export, &checked, clock::now()).into_bytes()
        }
    };
    if bytes.last() != Some(&b'\n') {
        bytes.push(b'\n');
    }
    Ok(bytes)
}

fn verify(context: &Context, bytes: &[u8], documents: &[PathBuf]) -> Outcome {
    let documents = documents
        .iter()
        .map(|path| document(path))
        .collect::<Outcome<Vec<_>>>()?;
    let checked = contract::verify_with(bytes, &documents).map_err(|error| match error {
        VerifyError::NoKeys => Failure::usage(error.to_string())
            .next("get did.json from each party, and name them: --did-document FILE --did-document FILE"),
        error => does_not_verify(&error),
    })?;
    if context.out.json {
        context.out.json(&json!(checked))?;
    } else {
        tell(context, &checked)?;
    }
    if checked.is_complete() {
        return Ok(());
    }
    let signed = checked.parties.iter().find(|party| party.signature.is_some());
    let by = signed.map(|party| party.did.as_str()).unwrap_or_default();
    Err(Failure::new(
        Exit::OneParty,
        format!("the signature is valid, but the agreement is signed by one party: {by}"),
    )
    .next("look for what proves the other party's word elsewhere, such as its messages in the audit log"))
}

fn tell(context: &Context, checked: &Checked) -> Outcome {
    context.out.say(match checked.is_complete() {
        true => "both signatures are valid",
        false => "signed by one party: its signature is valid, the other party has not signed",
    })?;
    context.out.details(&json!(checked))?;
    context.out.say(match checked.keys_from {
        KeySource::File => "\nThe keys came with the file: compare each jkt with the key in the party's DID document.",
        KeySource::DidDocuments => "\nThe keys are those of the DID documents that were given.",
    })
}

/// A DID document from a file, whoever's it is.
fn document(path: &Path) -> Outcome<did::Document> {
    let refuse = |why: &dyn fmt::Display| {
        Failure::usage(format!("{}: {why}", path.display())).next("get did.json from the party itself, over HTTPS")
    };
    let value = dsp::json::parse(&input::bytes(path)?).map_err(|error| refuse(&error))?;
    let id = value.get("id").and_then(Value::as_str).unwrap_or_default();
    let did: ParticipantId = id.parse().map_err(|_| refuse(&"it has no usable id"))?;
    did::Document::read(&did, &value).map_err(|error| refuse(&error))
}

fn does_not_verify(error: &impl fmt::Display) -> Failure {
    Failure::new(Exit::Verification, format!("the agreement does not verify: {error}"))
        .next("ask the other party for its copy (connector agreement export ID), and do not rely on this one")
}
