//! `transfer`: records under an agreement, from the start to the file.

use super::{
    Context,
    api::{Api, path},
    exit::{Exit, Failure, Outcome},
    negotiation::{because, given, state},
    output::{Column, Sink, items, member},
    told,
};
use crate::dsp::FORMAT_HTTP_PUSH;
use clap::{Args, Subcommand};
use futures_util::StreamExt;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    time::Duration,
};

/// Fetch records under an agreement, and steer transfers
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector transfer start urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 -o records.jsonl
  connector transfer list
"
)]
pub(super) struct Transfer {
    #[command(subcommand)]
    command: TransferCommand,
}

#[derive(Subcommand)]
enum TransferCommand {
    Start(Start),
    Records(Records),
    /// List transfers, as provider and as consumer
    #[command(after_help = "EXAMPLES:\n  connector transfer list\n  connector transfer list --json\n")]
    List,
    /// Show one transfer: how far it is, and what was withheld: as provider why, as consumer at most a rounded total
    #[command(after_help = "EXAMPLES:\n  connector transfer show urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11\n")]
    Show {
        /// The transfer's id
        pid: String,
    },
    /// List who was told of transfers because an agreement says so, and what other providers told us
    ///
    /// A policy names with a duty to inform (odrl:inform, odrl:informedParty) who is told. What was told by this connector has a state of its
    /// message; what has none was told to it.
    #[command(after_help = "EXAMPLES:\n  connector transfer informed\n  connector transfer informed --json\n")]
    Informed,
    /// Pause a transfer
    #[command(
        after_help = "EXAMPLES:\n  connector transfer suspend urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --reason maintenance\n"
    )]
    Suspend(Steer),
    /// Start what was requested of this connector and waits for your decision, or go on with a paused transfer
    #[command(after_help = "EXAMPLES:\n  connector transfer resume urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11\n")]
    Resume(Steer),
    /// As the consumer, fetch the data of a transfer that waits for your decision
    #[command(after_help = "EXAMPLES:\n  connector transfer fetch urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11\n")]
    Fetch(Steer),
    /// Say that everything was transferred
    #[command(after_help = "EXAMPLES:\n  connector transfer complete urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11\n")]
    Complete(Steer),
    /// End a transfer for good
    #[command(
        after_help = "EXAMPLES:\n  connector transfer terminate urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --reason 'no longer needed'\n"
    )]
    Terminate(Steer),
}

#[derive(Args)]
struct Steer {
    /// The transfer's id
    pid: String,
    /// Why; the peer reads it
    #[arg(long)]
    reason: Option<String>,
}

/// Start a transfer, show its progress, and write the records
///
/// For a minute after a learner's consent has ended, all records of that learner are left out of what is started, those that another consent
/// permits too: the answer says how many, and after which time a new transfer has them.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector transfer start urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 -o records.jsonl
  connector transfer start urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 -o - | head
  connector transfer start urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --detach --json
  connector transfer start urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --push -o records.jsonl
")]
struct Start {
    /// The agreement's id
    agreement: String,
    /// Have the provider send the records instead of fetching them
    #[arg(long)]
    push: bool,
    /// The provider's base address with the version's path: asks without discovery
    #[arg(long, value_name = "URL")]
    address: Option<String>,
    #[command(flatten)]
    to: Destination,
    /// Do not wait: the daemon goes on by itself, `connector transfer records` fetches the result
    #[arg(long, conflicts_with_all = ["output", "raw"])]
    detach: bool,
}

/// Write the records of a transfer that is complete
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector transfer records urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 -o records.jsonl
  connector transfer records urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --raw
")]
struct Records {
    /// The transfer's id
    pid: String,
    #[command(flatten)]
    to: Destination,
}

#[derive(Args)]
struct Destination {
    /// The file to write, one record a line; - for standard output. It appears when it is complete
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The lines as they were received, with sequence numbers and signed checkpoints
    #[arg(long)]
    raw: bool,
}

impl Transfer {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let api = context.api()?;
        let (steer, step) = match self.command {
            TransferCommand::Start(start) => return start.run(context, &api).await,
            TransferCommand::Records(Records { pid, to }) => {
                return fetch(
                    &api,
                    &pid,
                    to.output.as_deref().unwrap_or_else(|| Path::new("-")),
                    to.raw,
                )
                .await;
            }
            TransferCommand::List => {
                let list = api.get("/v1/transfers").await?;
                let empty = "no transfers; start one with: connector transfer start AGREEMENT";
                let rows: Vec<Value> = items(&list, "transfers").iter().map(row).collect();
                return context.out.table(&list, &rows, &COLUMNS, empty);
            }
            TransferCommand::Informed => {
                let list = api.get("/v1/disclosures").await?;
                let empty = "nobody was told of a transfer";
                return context.out.table(&list, items(&list, "disclosures"), &INFORMED, empty);
            }
            TransferCommand::Show { pid } => return context.process(api.get(&path(&["transfers", &pid])?).await?),
            TransferCommand::Suspend(steer) => (steer, "suspend"),
            TransferCommand::Resume(steer) => (steer, "resume"),
            TransferCommand::Fetch(steer) => (steer, "fetch"),
            TransferCommand::Complete(steer) => (steer, "complete"),
            TransferCommand::Terminate(steer) => (steer, "terminate"),
        };
        let record = api
            .post(&path(&["transfers", &steer.pid, step])?, &because(steer.reason))
            .await?;
        if context.out.json {
            return context.out.json(&record);
        }
        context.out.say(&format!(
            "{}: {}\n  next: connector transfer show {}",
            steer.pid,
            state(&record),
            steer.pid
        ))
    }
}

const COLUMNS: [Column; 7] = [
    ("PID", &["pid"]),
    ("ROLE", &["role"]),
    ("STATE", &["stateName", "state"]),
    ("DATASET", &["dataset"]),
    ("AGREEMENT", &["agreement"]),
    ("RECORDS", &["/release/sent", "/progress/records"]),
    ("BYTES", &["/progress/bytes"]),
];

/// A transfer as its row shows it: what a provider has received is nothing that it could know, so only what it sent stands there.
fn row(transfer: &Value) -> Value {
    let mut row = transfer.clone();
    if member(&row, &["role"]) == "provider"
        && let Some(members) = row.as_object_mut()
    {
        members.remove("progress");
    }
    row
}

const INFORMED: [Column; 7] = [
    ("INFORMED", &["/disclosure/informed"]),
    ("PROVIDER", &["/disclosure/provider"]),
    ("RECIPIENT", &["/disclosure/recipient"]),
    ("DATASET", &["/disclosure/dataset"]),
    ("TRANSFER", &["/disclosure/transfer"]),
    ("AT", &["/disclosure/at"]),
    ("MESSAGE", &["/delivery/is"]),
];

impl Start {
    async fn run(self, context: &Context, api: &Api) -> Outcome {
        let body = given(json!({
            "agreement": self.agreement, "address": self.address, "format": self.push.then_some(FORMAT_HTTP_PUSH),
        }));
        let begun = api.post("/v1/transfers", &body).await?;
        let pid = member(&begun, &["pid"]);
        if self.detach {
            if context.out.json {
                return context.out.json(&begun);
            }
            return context
                .out
                .say(&format!("{pid}\n  next: connector transfer show {pid}"));
        }
        follow(api, &pid, context).await?;
        if let Some(output) = &self.to.output {
            fetch(api, &pid, output, self.to.raw).await?;
        }
        if self.to.output.as_deref() == Some(Path::new("-")) {
            return Ok(());
        }
        let ended = api.get(&path(&["transfers", &pid])?).await?;
        if context.out.json {
            return context.out.json(&ended);
        }
        let next = match &self.to.output {
            Some(output) => format!("written to {}", output.display()),
            None => format!("next: connector transfer records {pid} -o records.jsonl"),
        };
        let withheld = match count(&ended, "withheld") {
            0 => String::new(),
            total => format!(
                "\n  withheld: {}",
                told::withheld(&total.to_string(), context.language())
            ),
        };
        let left_out = match told::left_out(&ended, context.language()) {
            None => String::new(),
            Some(told) => format!("\n  left out: {told}"),
        };
        context.out.say(&format!(
            "{pid}: {} records, {}{withheld}{left_out}\n  {next}",
            count(&ended, "records"),
            HumanBytes(count(&ended, "bytes"))
        ))
    }
}

fn count(record: &Value, name: &str) -> u64 {
    record
        .pointer(&format!("/progress/{name}"))
        .and_then(Value::as_u64)
        .unwrap_or(0)
}

/// Shows a transfer's progress until it ends; an end that is not completion is a failure.
async fn follow(api: &Api, pid: &str, context: &Context) -> Outcome {
    let bar = bar(!context.out.json);
    let mut last = Value::Null;
    let progress = path(&["transfers", pid, "progress"])?;
    let followed = api.lines(&progress, |line| {
        bar.set_position(line.get("records").and_then(Value::as_u64).unwrap_or(0));
        bar.set_message(HumanBytes(line.get("bytes").and_then(Value::as_u64).unwrap_or(0)).to_string());
        last = line;
        Ok(())
    });
    let followed = followed.await;
    bar.finish_and_clear();
    followed.map_err(|failure| {
        failure.next(format!(
            "if the daemon runs, the transfer goes on: connector transfer show {pid}"
        ))
    })?;
    if last.get("complete").and_then(Value::as_bool) == Some(true) {
        return Ok(());
    }
    let record = api.get(&path(&["transfers", pid])?).await?;
    let why = match told::why(&record, context.language()) {
        why if why.is_empty() => format!(": {}", member(&last, &["error"])),
        why => why,
    };
    let reached = state(&record);
    let failure = Failure::new(
        Exit::Failed,
        format!("the transfer {pid} is {reached} and not complete{why}"),
    );
    Err(failure.next(after(&reached, pid)))
}

/// What can be done about a transfer that is not complete: only one that is suspended goes on.
fn after(state: &str, pid: &str) -> String {
    let show = format!("connector transfer show {pid}");
    match state {
        "SUSPENDED" => format!("{show}; it goes on with: connector transfer resume {pid}"),
        _ => show,
    }
}

fn bar(visible: bool) -> ProgressBar {
    if !visible || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} records  {per_sec}  {msg}  {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Copies the records that were received.
async fn fetch(api: &Api, pid: &str, output: &Path, raw: bool) -> Outcome {
    let mut body = api
        .stream(&format!("{}?raw={raw}", path(&["transfers", pid, "records"])?))
        .await?;
    let mut sink = Sink::open(output)?;
    while let Some(chunk) = body.next().await {
        sink.write(&chunk?)?;
    }
    sink.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_suspended_transfer_is_said_to_go_on() {
        assert!(after("SUSPENDED", "p").ends_with("connector transfer resume p"));
        for over in ["TERMINATED", "COMPLETED", "STARTED"] {
            assert_eq!(after(over, "p"), "connector transfer show p");
        }
    }

    #[test]
    fn a_provider_is_shown_what_it_sent_and_a_consumer_what_it_received() {
        let cells = |transfer: &Value| {
            let row = row(transfer);
            COLUMNS[5..]
                .iter()
                .map(|(_, names)| member(&row, names))
                .collect::<Vec<_>>()
        };
        let nothing = json!({"records": 0, "bytes": 0});
        let sent = json!({"role": "provider", "progress": nothing, "release": {"sent": 42}});
        assert_eq!(cells(&sent), ["42", ""]);
        let begun = json!({"role": "provider", "progress": nothing, "release": null});
        assert_eq!(cells(&begun), ["", ""], "not known before the first stream has ended");
        let received = json!({"role": "consumer", "progress": {"records": 7, "bytes": 900}, "release": null});
        assert_eq!(cells(&received), ["7", "900"]);
    }
}
