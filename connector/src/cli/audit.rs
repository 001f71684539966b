//! `audit`: the append-only log of what this connector did, and the proofs that it gives.

use super::{
    Context,
    api::{Api, path},
    evidence::{Export, VerifyBundle},
    exit::{Exit, Failure, Outcome},
    input,
    output::{Sink, clean, member},
};
use crate::{
    audit::{LogKey, proof},
    dsp::ParticipantId,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    time::Duration,
};

/// How many entries are asked for at once.
const PAGE: usize = 500;
/// How often `tail -f` asks.
const PAUSE: Duration = Duration::from_millis(500);

/// Read and check the audit log, and prove what is in it
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector audit tail
  connector audit verify
  connector audit prove 17 -o entry-17.tlog-proof --entry entry-17.json
  connector audit export urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --out evidence.tar
  connector audit verify-bundle evidence.tar
"
)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Show the newest entries, one a line
    #[command(
        after_help = "EXAMPLES:\n  connector audit tail\n  connector audit tail -n 100 --json\n  connector audit tail -f\n"
    )]
    Tail {
        /// How many
        #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
        lines: usize,
        /// Go on with new entries as they come
        #[arg(short, long)]
        follow: bool,
    },
    /// Compute the whole log again from its entries and compare it with its tiles, signed checkpoints and witnesses' signatures
    #[command(after_help = "EXAMPLES:\n  connector audit verify\n  connector audit verify --json\n")]
    Verify,
    /// Show the newest signed checkpoint: whoever keeps it can tell later whether the log was rewritten
    #[command(
        after_help = "EXAMPLES:\n  connector audit checkpoint > school.checkpoint\n  connector audit checkpoint --json\n"
    )]
    Checkpoint,
    Prove(Prove),
    CheckProof(CheckProof),
    /// Print every version of a participant's DID document that was seen, each with the time, as JSON: they say which key counted when
    #[command(after_help = "EXAMPLES:\n  connector audit documents did:web:school.example > school.json\n")]
    Documents {
        /// The participant
        did: ParticipantId,
    },
    Export(Export),
    VerifyBundle(VerifyBundle),
}

/// Prove that an entry is in the log, in a file that can be checked anywhere
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector audit prove 17
  connector audit prove 17 -o entry-17.tlog-proof --entry entry-17.json
")]
struct Prove {
    /// The entry's number, as `audit tail` shows it
    #[arg(value_name = "ENTRY")]
    number: u64,
    /// The file to write the proof to; - for standard output
    #[arg(short, long, visible_alias = "out", value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Write the entry, byte for byte as the log holds it, to this file
    #[arg(long, value_name = "FILE")]
    entry: Option<PathBuf>,
}

/// Check a proof that an entry is in a log; needs no daemon and no network
///
/// The log's key is `logKey` in its owner's DID document, and that of a witness likewise. Get them from there, not from whoever hands you
/// the proof.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector audit check-proof entry-17.tlog-proof --entry entry-17.json --key school.example/log+6fcfe373+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k
")]
struct CheckProof {
    /// The proof; - for standard input
    file: PathBuf,
    /// The entry, byte for byte
    #[arg(long, value_name = "FILE")]
    entry: PathBuf,
    /// The key of the log
    #[arg(long, value_name = "VKEY")]
    key: LogKey,
    /// The key of a witness that must have cosigned; repeat for more
    #[arg(long, value_name = "VKEY")]
    witness: Vec<LogKey>,
}

impl Audit {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        match self.command {
            AuditCommand::Tail { lines, follow } => tail(context, &context.api()?, lines, follow).await,
            AuditCommand::Verify => {
                let found = context.api()?.post("/v1/audit/verify", &json!({})).await;
                let found = found.map_err(|failure| {
                    failure.next(
                        "stop the daemon, keep a copy of its store, and compare it with the last backup that verifies",
                    )
                })?;
                context.out.say("the audit log is whole")?;
                context.out.details(&found)
            }
            AuditCommand::Checkpoint => {
                let found = context.api()?.get("/v1/audit/checkpoint").await?;
                if context.out.json {
                    return context.out.json(&found);
                }
                write(
                    Path::new("-"),
                    found.get("text").and_then(Value::as_str).unwrap_or_default(),
                )
            }
            AuditCommand::Prove(prove) => prove.run(context).await,
            AuditCommand::CheckProof(check) => check.run(context),
            AuditCommand::Documents { did } => {
                let seen = context
                    .api()?
                    .get(&path(&["audit", "documents", did.as_str()])?)
                    .await?;
                context.out.json(&seen)
            }
            AuditCommand::Export(export) => export.run(context).await,
            AuditCommand::VerifyBundle(verify) => verify.run(context),
        }
    }
}

impl Prove {
    async fn run(self, context: &Context) -> Outcome {
        let path = format!("/v1/audit/entries/{}/proof", self.number);
        let proved = context.api()?.get(&path).await?;
        let text = |name: &str| proved.get(name).and_then(Value::as_str).unwrap_or_default();
        if let Some(file) = &self.entry {
            write(file, text("entry"))?;
        }
        if context.out.json {
            return context.out.json(&proved);
        }
        write(&self.output, text("proof"))
    }
}

fn write(path: &Path, text: &str) -> Outcome {
    let mut sink = Sink::open(path)?;
    sink.write(text.as_bytes())?;
    sink.finish()
}

impl CheckProof {
    fn run(&self, context: &Context) -> Outcome {
        let (proof, entry) = (input::bytes(&self.file)?, input::bytes(&self.entry)?);
        let text = std::str::from_utf8(&proof).map_err(|_| convinces_not(&"it is not text in UTF-8"))?;
        let verified = proof::verify(text, &entry, &self.key).map_err(|error| convinces_not(&error))?;
        let mut witnesses = Vec::new();
        for witness in &self.witness {
            let at = verified.cosigned_by(witness).map_err(|error| convinces_not(&error))?;
            witnesses.push(json!({"witness": witness.name(), "at": at.to_string()}));
        }
        let checkpoint = verified.checkpoint().checkpoint();
        context.out.say("the entry is in the log")?;
        context.out.details(&json!({
            "log": checkpoint.origin,
            "entry": verified.index(),
            "size": checkpoint.size,
            "root": checkpoint.root.to_string(),
            "witnesses": witnesses,
        }))
    }
}

fn convinces_not(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Verification, format!("the proof does not convince: {error}"))
        .next("check that the entry is byte for byte the log's, and that the keys are those of the DID documents")
}

async fn tail(context: &Context, api: &Api, lines: usize, follow: bool) -> Outcome {
    let mut from = start(api, lines).await?;
    let mut newest = VecDeque::with_capacity(lines.min(PAGE));
    loop {
        let (entries, next) = page(api, from).await?;
        if next == from {
            break;
        }
        from = next;
        newest.extend(entries);
        newest.drain(..newest.len().saturating_sub(lines));
    }
    for entry in &newest {
        show(context, entry)?;
    }
    if !follow {
        return Ok(());
    }
    loop {
        tokio::time::sleep(PAUSE).await;
        let (entries, next) = page(api, from).await?;
        from = next;
        for entry in &entries {
            show(context, entry)?;
        }
    }
}

/// Where to begin so that little more than the last entries is read: the status names the log's length. Without it, at the beginning.
async fn start(api: &Api, lines: usize) -> Outcome<u64> {
    let status = api.get("/v1/status").await?;
    let length = ["/audit/entries", "/auditEntries"]
        .iter()
        .find_map(|place| status.pointer(place)?.as_u64());
    Ok(length
        .unwrap_or(0)
        .saturating_sub(u64::try_from(lines).unwrap_or(u64::MAX)))
}

/// The entries from a sequence number on, and the number to ask for next: the same one at the end of the log.
async fn page(api: &Api, from: u64) -> Outcome<(Vec<Value>, u64)> {
    let mut answer = api.get(&format!("/v1/audit/entries?from={from}&limit={PAGE}")).await?;
    let entries = match answer.get_mut("entries").map(Value::take) {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    };
    Ok(match entries.last().and_then(|entry| entry.get("seq")?.as_u64()) {
        Some(last) => (entries, last.saturating_add(1)),
        None => (entries, from),
    })
}

fn show(context: &Context, entry: &Value) -> Outcome {
    if context.out.json {
        return context
            .out
            .line(&serde_json::to_string(entry).map_err(|_| Failure::usage("an entry is not JSON"))?);
    }
    context.out.line(&readable(entry))
}

/// `seq  time  kind  member=value …`
fn readable(entry: &Value) -> String {
    let inner = entry.get("entry").unwrap_or(entry);
    let mut text = format!(
        "{:>8}  {:24}  {}",
        member(entry, &["seq"]),
        member(inner, &["ts"]),
        member(inner, &["kind"])
    );
    for (name, value) in inner.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "ts" | "kind" | "v" | "seq") {
            text.push_str(&format!(
                "  {}={}",
                clean(name),
                member(&json!({"value": value}), &["value"])
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_readable_line() {
        let entry =
            json!({"seq": 7, "entry": {"v": 1, "ts": "2026-01-01T00:00:00Z", "kind": "consent-given", "ref": "a\nb"}});
        assert_eq!(
            readable(&entry),
            "       7  2026-01-01T00:00:00Z      consent-given  ref=a\u{fffd}b"
        );
    }
}
