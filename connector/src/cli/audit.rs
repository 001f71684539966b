//! `audit`: the append-only log of what this connector did.

use super::{
    Context,
    api::Api,
    exit::{Failure, Outcome},
    output::{clean, member},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{collections::VecDeque, time::Duration};

/// How many entries are asked for at once.
const PAGE: usize = 500;
/// How often `tail -f` asks.
const PAUSE: Duration = Duration::from_millis(500);

/// Read and check the audit log
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector audit tail
  connector audit verify
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
    /// Compute the whole log's hashes again and compare them with its signed checkpoints
    #[command(after_help = "EXAMPLES:\n  connector audit verify\n  connector audit verify --json\n")]
    Verify,
}

impl Audit {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let api = context.api()?;
        match self.command {
            AuditCommand::Tail { lines, follow } => tail(context, &api, lines, follow).await,
            AuditCommand::Verify => {
                let found = api.post("/v1/audit/verify", &json!({})).await.map_err(|failure| {
                    failure.next(
                        "stop the daemon, keep a copy of its store, and compare it with the last backup that verifies",
                    )
                })?;
                context.out.say("the audit log is whole")?;
                context.out.details(&found)
            }
        }
    }
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
