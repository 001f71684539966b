//! The account of what happened: figures that a stranger can recompute, as text or as one JSON object, and the files to recompute them from.

use super::{
    Options,
    daemons::Daemon,
    run::{DemoError, Provider, Story},
};
use crate::plane::lines::read_record;
use futures_util::StreamExt;
use http::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, BufWriter, IsTerminal, Write},
    path::Path,
};

/// Says on standard error what is going on, if a person is there to read it.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        if quiet || !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
        Self(bar)
    }

    pub(super) fn step(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    pub(super) fn records(&self, from: &str, count: u64) {
        self.0.set_message(format!("records stream from {from}: {count}"));
    }

    fn done(&self) {
        self.0.finish_and_clear();
    }
}

/// What one holder's received file says.
struct Received {
    delivered: u64,
    after_withdrawal: u64,
}

/// Writes the files, checks everything and prints the account.
pub(super) async fn give(options: &Options, story: &Story, progress: &Progress) -> Result<(), DemoError> {
    let out = match &options.out {
        Some(out) => out.clone(),
        None => story.edtech.dir.join("out"),
    };
    std::fs::create_dir_all(&out)?;
    let mut received = Vec::new();
    for provider in &story.providers {
        received.push(receive(&story.edtech, provider, &out).await?);
    }
    let figures = figures(story, &received).await?;
    if options.out.is_some() {
        leave(story, &out, &figures).await?;
    }
    progress.done();
    let mut stdout = std::io::stdout().lock();
    if options.json {
        writeln!(stdout, "{figures}")?;
    } else {
        write!(stdout, "{}", tell(story, &figures))?;
        if let Some(out) = &options.out {
            writeln!(
                stdout,
                "\nEverything to recompute these figures from is in {}",
                out.display()
            )?;
        }
    }
    Ok(())
}

/// Fetches the received stream through the management API and counts it.
async fn receive(edtech: &Daemon, provider: &Provider, out: &Path) -> Result<Received, DemoError> {
    let pid = provider.received.get("pid").and_then(Value::as_str).unwrap_or_default();
    let path = out.join(format!("received-{}.ndjson", provider.daemon.name));
    let mut file = BufWriter::new(File::create(&path)?);
    let (_, mut lines) = edtech
        .api()
        .open(&format!("/v1/transfers/{pid}/records?raw=true"))
        .await?;
    while let Some(chunk) = lines.next().await {
        file.write_all(&chunk?)?;
    }
    file.flush()?;
    drop(file);
    // Where a withdrawn learner's records must end, by the learner's pseudonym in this stream.
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    for end in provider
        .withdrawals
        .iter()
        .filter_map(|ack| ack.get("streams")?.as_array())
        .flatten()
    {
        let (Some(name), Some(last)) = (
            end.get("pseudonym").and_then(Value::as_str),
            end.get("lastSequence").and_then(Value::as_u64),
        ) else {
            continue;
        };
        ends.insert(name.to_owned(), last);
    }
    let (mut delivered, mut after_withdrawal) = (0, 0);
    for line in BufReader::new(File::open(&path)?).lines() {
        let line = line?;
        let Some((number, record)) = read_record(line.as_bytes()) else {
            continue;
        };
        delivered += 1;
        let record: Value = serde_json::from_slice(record).unwrap_or(Value::Null);
        let subject = record
            .pointer(&provider.source.subject)
            .and_then(Value::as_str)
            .unwrap_or_default();
        if ends.get(subject).is_some_and(|last| number > *last) {
            after_withdrawal += 1;
        }
    }
    Ok(Received {
        delivered,
        after_withdrawal,
    })
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

async fn figures(story: &Story, received: &[Received]) -> Result<Value, DemoError> {
    let sum = |of: &dyn Fn(&Provider) -> u64| story.providers.iter().map(of).sum::<u64>();
    let mut withheld: BTreeMap<String, u64> = BTreeMap::new();
    for provider in &story.providers {
        let reasons = provider
            .released
            .pointer("/release/withheld")
            .and_then(Value::as_object);
        for (reason, count) in reasons.into_iter().flatten() {
            *withheld.entry(reason.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
    }
    let daemons = story.daemons();
    let (mut audit_entries, mut audit_verified) = (0, true);
    for daemon in &daemons {
        let (status, verified) = daemon.try_call(Method::POST, "/v1/audit/verify", None).await?;
        audit_verified &= status.is_success();
        audit_entries += number(&verified, "/entries");
    }
    let each = |of: &dyn Fn(&Daemon) -> f64| -> Value {
        Value::Object(
            daemons
                .iter()
                .map(|daemon| (daemon.name.to_owned(), rounded(of(daemon))))
                .collect::<Map<_, _>>(),
        )
    };
    let mid_stream = |provider: &Provider| {
        let streams = |ack: &&Value| {
            ack.get("streams")
                .and_then(Value::as_array)
                .is_some_and(|streams| !streams.is_empty())
        };
        provider.withdrawals.iter().filter(streams).count() as u64
    };
    let seconds = story
        .providers
        .iter()
        .map(|provider| provider.stream_seconds)
        .fold(0.0, f64::max);
    let delivered: u64 = received.iter().map(|received| received.delivered).sum();
    let negotiation_ms = story
        .providers
        .iter()
        .map(|provider| provider.negotiation_ms)
        .fold(0.0, f64::max);
    let signatures = story
        .providers
        .iter()
        .map(|provider| number(&provider.agreement_check, "/signaturesValid"))
        .min()
        .unwrap_or(0);
    Ok(json!({
        "records_total": sum(&|provider| provider.source.records),
        "learners_total": sum(&|provider| provider.source.learners.len() as u64),
        "learners_consenting": sum(&|provider| provider.source.consenting.len() as u64),
        "records_delivered": delivered,
        "records_withheld": withheld,
        "fields_removed": sum(&|provider| number(&provider.released, "/release/fieldsRemoved")),
        "withdrawn_mid_stream": sum(&mid_stream),
        "records_after_withdrawal_ack": received.iter().map(|received| received.after_withdrawal).sum::<u64>(),
        "agreement_signatures_valid": signatures,
        "unsigned_messages_accepted": unsigned(&daemons).await?,
        "tampered_message_refused": story.tampered.refused && story.tampered.genuine_accepted,
        "audit_entries": audit_entries,
        "audit_verified": audit_verified,
        "negotiation_ms": rounded(negotiation_ms),
        "stream_seconds": rounded(seconds),
        "stream_records_per_second": rounded(if seconds > 0.0 { delivered as f64 / seconds } else { 0.0 }),
        "stream_paced": true,
        "rss_mib": each(&|daemon| daemon.rss_mib()),
        "startup_ms": each(&|daemon| daemon.startup_ms),
        "seconds": rounded(story.seconds),
    }))
}

/// Messages that a daemon took without a signature, by its own audit log: every `message-in` entry names the key that signed it.
async fn unsigned(daemons: &[&Daemon]) -> Result<u64, DemoError> {
    let mut count = 0;
    for daemon in daemons {
        for entry in entries(daemon).await? {
            let incoming = entry.pointer("/entry/kind").and_then(Value::as_str) == Some("message-in");
            let signed = entry.pointer("/entry/signedWith").is_some_and(Value::is_string);
            count += u64::from(incoming && !signed);
        }
    }
    Ok(count)
}

async fn entries(daemon: &Daemon) -> Result<Vec<Value>, DemoError> {
    let (mut all, mut from) = (Vec::new(), 0);
    loop {
        let page = daemon
            .call(Method::GET, &format!("/v1/audit/entries?from={from}&limit=1000"), None)
            .await?;
        let entries = page
            .get("entries")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if entries.is_empty() {
            return Ok(all);
        }
        from = number(&page, "/next");
        all.extend(entries);
    }
}

fn rounded(value: f64) -> Value {
    json!((value * 10.0).round() / 10.0)
}

/// Leaves everything in the folder from which a stranger can recompute the figures.
async fn leave(story: &Story, out: &Path, figures: &Value) -> Result<(), DemoError> {
    let json = |name: String, value: &Value| std::fs::write(out.join(name), format!("{value:#}\n"));
    let lines = |name: String, values: &[Value]| -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(out.join(name))?);
        values.iter().try_for_each(|value| writeln!(file, "{value}"))?;
        file.flush()
    };
    for provider in &story.providers {
        let name = provider.daemon.name;
        let suffix = if provider.source.path.extension().is_some_and(|e| e == "gz") {
            "ndjson.gz"
        } else {
            "ndjson"
        };
        std::fs::copy(&provider.source.path, out.join(format!("source-{name}.{suffix}")))?;
        lines(format!("consents-{name}.ndjson"), &provider.consents)?;
        lines(format!("withdrawals-{name}.ndjson"), &provider.withdrawals)?;
        json(format!("agreement-{name}.json"), &provider.agreement)?;
        json(format!("release-{name}.json"), &provider.released)?;
        json(format!("transfer-{name}.json"), &provider.received)?;
        let subjects: Vec<&String> = provider.source.learners.iter().collect();
        let asked = json!({"recipient": story.edtech.did, "subjects": subjects});
        json(
            format!("pseudonyms-{name}.json"),
            &provider
                .daemon
                .call(Method::POST, "/v1/pseudonyms", Some(&asked))
                .await?,
        )?;
        lines(format!("audit-{name}.ndjson"), &entries(&provider.daemon).await?)?;
    }
    evidence(story, out).await?;
    lines("audit-edtech.ndjson".into(), &entries(&story.edtech).await?)?;
    json("figures.json".into(), figures)?;
    std::fs::write(out.join("README.txt"), OUT_README)?;
    Ok(())
}

/// The evidence of the first agreement, as each of its parties hands it out.
async fn evidence(story: &Story, out: &Path) -> Result<(), DemoError> {
    let Some(provider) = story.providers.first() else {
        return Ok(());
    };
    let agreement = provider
        .negotiation
        .get("agreementId")
        .and_then(Value::as_str)
        .unwrap_or_default();
    for daemon in [&provider.daemon, &story.edtech] {
        let mut file = BufWriter::new(File::create(out.join(format!("evidence-{}.tar", daemon.name)))?);
        let (status, mut bundle) = daemon.api().open(&format!("/v1/audit/evidence/{agreement}")).await?;
        if !status.is_success() {
            return Err(DemoError::Step("evidence", format!("{}: {status}", daemon.name)));
        }
        while let Some(chunk) = bundle.next().await {
            file.write_all(&chunk?)?;
        }
        file.flush()?;
    }
    Ok(())
}

const OUT_README: &str = "\
source-*        the holders' records as they are at the holder
consents-*      the recorded consents, one a line
withdrawals-*   acknowledgements of withdrawals: time, epoch, and for each stream that ran the learner's pseudonym in it and the last
                sequence number (`n`) that had left
pseudonyms-*    how the recipient sees each learner of the holder (only the holder can make this table)
received-*      the streams as they arrived: begin, records {\"t\":\"r\",\"n\":N,\"record\":{...}}, signed checkpoints, end
release-*       the provider's view of the transfer: records sent, withheld by reason, fields removed
transfer-*      the consumer's view of it
agreement-*     the agreements with both signatures; check one with: connector agreement verify FILE
audit-*         the audit logs
evidence-*.tar  the evidence of one agreement, from either party; check it anywhere with: connector audit verify-bundle FILE
figures.json    what `demo --json` prints
";

fn tell(story: &Story, figures: &Value) -> String {
    let n = |name: &str| figures.get(name).map(ToString::to_string).unwrap_or_default();
    let mut text = String::from("Three connectors, three processes, one machine\n\n");
    for provider in &story.providers {
        let name = provider.daemon.title;
        text += &format!(
            "{name} holds {} records of {} learners; {} consent.\n",
            provider.source.records,
            provider.source.learners.len(),
            provider.source.consenting.len()
        );
        let offered: Vec<&str> = provider
            .catalog
            .get("datasets")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|dataset| dataset.get("id")?.as_str())
            .collect();
        text += &format!("  catalog    shows the EdTech: {}\n", offered.join(", "));
        text += &format!(
            "  contract   {} in {:.0} ms, signed by both\n",
            provider
                .negotiation
                .get("agreementId")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            provider.negotiation_ms
        );
        text += &format!(
            "  stream     {} records in {:.1} s, {} fields left out, receipt signed\n",
            number(&provider.released, "/release/sent"),
            provider.stream_seconds,
            number(&provider.released, "/release/fieldsRemoved")
        );
        let withheld = provider
            .released
            .pointer("/release/withheld")
            .map(ToString::to_string)
            .unwrap_or_default();
        text += &format!("  withheld   {withheld} (the recipient is told no reason)\n");
        let lasts: Vec<String> = provider
            .withdrawals
            .iter()
            .filter_map(|ack| Some(ack.pointer("/streams/0/lastSequence")?.to_string()))
            .collect();
        text += &format!(
            "  withdrawn  {} learners while it ran, at records {}; none of their records after it\n",
            lasts.len(),
            lasts.join(", ")
        );
    }
    text += &format!(
        "\nA signed message with one byte changed: {} {}; as it was signed: {}.\n",
        story.tampered.status,
        story.tampered.code,
        if story.tampered.genuine_accepted {
            "accepted"
        } else {
            "refused"
        }
    );
    text += &format!(
        "Records delivered {} of {}; ",
        n("records_delivered"),
        n("records_total")
    );
    text += &format!(
        "after a withdrawal's acknowledgement: {}.\n",
        n("records_after_withdrawal_ack")
    );
    text += &format!("Agreement signatures valid: {}; ", n("agreement_signatures_valid"));
    text += &format!("unsigned messages accepted: {}.\n", n("unsigned_messages_accepted"));
    text += &format!(
        "Audit logs: {} entries, verified: {}.\n",
        n("audit_entries"),
        n("audit_verified")
    );
    text += &format!("Memory {} MiB, start {} ms.\n", n("rss_mib"), n("startup_ms"));
    text
}

/// Tells how to go on with daemons that were left running.
pub(super) fn how_to_talk(story: &Story, json: bool) {
    let mut text = String::from("\nThe daemons are still running:\n");
    for daemon in story.daemons() {
        text += &format!(
            "  connector --config {} status\n",
            daemon.dir.join("connector.toml").display()
        );
    }
    text += "Stop them with: pkill -f 'connector serve'\n";
    if json {
        eprint!("{text}");
    } else {
        print!("{text}");
    }
}
