//! `audit export` and `audit verify-bundle`: the evidence of one agreement, to be handed out and to be checked where nothing of ours runs.

use super::{
    Context,
    api::path,
    exit::{Exit, Failure, Outcome},
    input,
    output::Sink,
};
use crate::evidence::{self, Flaw, Pin, Report};
use clap::Args;
use futures_util::StreamExt;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Write the evidence of an agreement to a file: the agreement, messages, receipts, keys and proofs, signed
///
/// What is named is the agreement, its negotiation, or a transfer under it. Records and learners' identifiers are never in it. The file is
/// for this user alone to read.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector audit export urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11
  connector audit export urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --out evidence.tar --force
")]
pub(super) struct Export {
    /// The id of the agreement, of its negotiation, or of a transfer under it
    process: String,
    /// The file to write; - for standard output [default: evidence-ID.tar]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write over a file that exists
    #[arg(long)]
    force: bool,
}

impl Export {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let out = self.out.unwrap_or_else(|| PathBuf::from(file_name(&self.process)));
        let mut sink = Sink::private(&out, self.force)?;
        let mut body = context
            .api()?
            .stream(&path(&["audit", "evidence", &self.process])?)
            .await?;
        while let Some(chunk) = body.next().await {
            sink.write(&chunk?)?;
        }
        sink.finish()?;
        if out == Path::new("-") {
            return Ok(());
        }
        if context.out.json {
            return context.out.json(&json!({ "file": out }));
        }
        let file = super::shown(&out);
        context.out.say(&format!(
            "the evidence is in {file}\n  check it anywhere with: connector audit verify-bundle {file}"
        ))
    }
}

/// Check the evidence of an agreement; needs no daemon, no configuration and no network
///
/// The keys come from the file: name those that you know with --trust, or compare their thumbprints with what the parties publish. Ends
/// with code 7 where one party alone signed, because the other cannot.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector audit verify-bundle evidence.tar
  connector audit verify-bundle evidence.tar --json
  connector audit verify-bundle evidence.tar --trust did:web:school.example=kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k
")]
pub(super) struct VerifyBundle {
    /// The bundle; - for standard input
    file: PathBuf,
    /// A key that you know a participant by (RFC 7638 thumbprint); may be given more than once
    #[arg(long, value_name = "DID=THUMBPRINT", value_parser = pin)]
    trust: Vec<Pin>,
}

impl VerifyBundle {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        verify(context, &self.file, &self.trust)
    }
}

/// `evidence-` and what tells the process from others, made fit for a file's name.
fn file_name(process: &str) -> String {
    let last = process.rsplit(':').next().unwrap_or_default();
    let plain: String = last
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect();
    format!("evidence-{plain}.tar")
}

/// Checks a bundle and says what it proves; an agreement that one party alone signed is told by the exit code too.
fn verify(context: &Context, file: &Path, trust: &[Pin]) -> Outcome {
    let report = evidence::verify(&input::bytes(file)?, trust).map_err(|flaw| does_not_verify(&flaw))?;
    if context.out.json {
        context.out.json(&json!(report))?;
    } else {
        show(context, &report)?;
    }
    if report.signatures == 2 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::OneParty,
        format!(
            "the bundle is whole, but the agreement is signed by {}",
            report.signed_by
        ),
    )
    .next("rely on it only as far as you rely on the party that signed"))
}

fn show(context: &Context, report: &Report) -> Outcome {
    context.out.say(&proven(report))?;
    context.out.details(&json!(report))?;
    if report.keys.iter().all(|key| key.pinned) {
        return Ok(());
    }
    context.out.say(
        "\nAll of this rests on the keys above, which came with the file: compare each thumbprint with one that you have from elsewhere,\n\
         and name those that you know with --trust DID=THUMBPRINT.",
    )
}

/// The first lines of the report.
fn proven(report: &Report) -> String {
    let mut text = format!("the bundle is whole; the agreement is signed by {}\n", report.signed_by);
    let messages = &report.messages;
    text.push_str(&format!(
        "messages: {} signed by the counterparty, {} of the exporter with the counterparty's signed answer, {} without an answer, {} unsigned\n",
        messages.from_counterparty, messages.acknowledged, messages.unanswered, messages.unsigned
    ));
    for release in &report.releases {
        let records = release
            .records
            .map_or_else(|| "an unfinished stream of".to_owned(), |records| records.to_string());
        let receipt = if release.receipt { "with" } else { "without" };
        text.push_str(&format!(
            "{records} records left in transfer {}, {receipt} the consumer's signed receipt\n",
            release.transfer
        ));
    }
    text.push_str(&format!(
        "{} consents by hash, {} of them withdrawn; {} entries proven to be among the {} of the log {}\n",
        report.consents, report.withdrawn, report.log.entries, report.log.size, report.log.origin
    ));
    text
}

fn does_not_verify(flaw: &Flaw) -> Failure {
    Failure::new(Exit::Verification, format!("the bundle does not verify: {flaw}"))
        .next("ask whoever gave it to you for a fresh one (connector audit export), and do not rely on this one")
}

/// Reads `DID=THUMBPRINT`.
fn pin(text: &str) -> Result<Pin, String> {
    let expected = || "expected DID=THUMBPRINT, the thumbprint (RFC 7638) as 43 characters of base64url".to_owned();
    let (did, thumbprint) = text.split_once('=').ok_or_else(expected)?;
    Ok(Pin {
        did: did.parse().map_err(|error| format!("the DID {error}"))?,
        thumbprint: thumbprint.parse().map_err(|_| expected())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_named_after_the_process_and_stays_in_its_folder() {
        assert_eq!(file_name("urn:uuid:0198-f2"), "evidence-0198-f2.tar");
        assert_eq!(file_name("../../etc/passwd"), "evidence-etcpasswd.tar");
    }

    #[test]
    fn a_trusted_key_is_a_did_and_a_thumbprint() {
        let thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
        let read = pin(&format!("did:web:a.example={thumbprint}")).unwrap();
        assert_eq!(
            (read.did.as_str(), read.thumbprint.to_string().as_str()),
            ("did:web:a.example", thumbprint)
        );
        for bad in [
            "",
            "did:web:a.example",
            "did:web:a.example=",
            "=x",
            &format!("{thumbprint}=did:web:a"),
        ] {
            assert!(pin(bad).is_err(), "{bad:?}");
        }
    }
}
