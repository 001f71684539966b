//! The course of the demonstration, step by step.

use super::{
    Options, account,
    daemons::{self, Daemon},
    learners::Holder,
    sources::{self, Source},
    tamper, terms,
};
use crate::{clock, net::NetError};
use futures_util::StreamExt;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A small stream would be over before anybody could withdraw: the holders' lines are set so narrow that it takes about this long.
const STREAM_SECONDS: u64 = 2;
/// At most this many learners withdraw at each holder while the records stream.
const WITHDRAWALS: usize = 12;

/// Why the demonstration did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    /// A file or process could not be used.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A step failed.
    #[error("{0}: {1}")]
    Step(&'static str, String),
    /// The network between the processes failed.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Ctrl-C.
    #[error("interrupted; everything was cleaned up")]
    Interrupted,
}

/// One holder with its data and what became of it.
pub(super) struct Provider {
    pub(super) daemon: Daemon,
    pub(super) source: Source,
    pub(super) dataset: &'static str,
    pub(super) consents: Vec<Value>,
    /// What the consumer saw of it before it asked.
    pub(super) catalog: Value,
    pub(super) negotiation: Value,
    pub(super) negotiation_ms: f64,
    pub(super) agreement: Value,
    pub(super) agreement_check: Value,
    /// Acknowledgements of withdrawals, in order.
    pub(super) withdrawals: Vec<Value>,
    /// The consumer's view of the transfer.
    pub(super) received: Value,
    /// The provider's view of it.
    pub(super) released: Value,
    pub(super) stream_seconds: f64,
}

impl Provider {
    fn new(daemon: Daemon, source: Source, dataset: &'static str) -> Self {
        Self {
            daemon,
            source,
            dataset,
            consents: Vec::new(),
            catalog: Value::Null,
            negotiation: Value::Null,
            negotiation_ms: 0.0,
            agreement: Value::Null,
            agreement_check: Value::Null,
            withdrawals: Vec::new(),
            received: Value::Null,
            released: Value::Null,
            stream_seconds: 0.0,
        }
    }
}

impl Story {
    /// All daemons, the holders first.
    pub(super) fn daemons(&self) -> Vec<&Daemon> {
        let providers = self.providers.iter().map(|provider| &provider.daemon);
        providers
            .chain(&self.bystanders)
            .chain(std::iter::once(&self.edtech))
            .collect()
    }
}

/// Everything that the account is made of.
pub(super) struct Story {
    pub(super) edtech: Daemon,
    pub(super) providers: Vec<Provider>,
    /// Connectors that run but provide nothing this time.
    pub(super) bystanders: Vec<Daemon>,
    pub(super) tampered: tamper::Refusal,
    pub(super) seconds: f64,
}

/// Folders that go when the demonstration ends, unless they are to be kept.
struct Workshop {
    root: PathBuf,
    keep: bool,
}

impl Workshop {
    fn new(options: &Options) -> Result<Self, DemoError> {
        let root = match &options.dir {
            Some(dir) => dir.clone(),
            None => std::env::temp_dir().join(format!("connector-demo-{}", std::process::id())),
        };
        std::fs::create_dir_all(&root)?;
        let keep = options.keep || options.dir.is_some();
        Ok(Self {
            root: std::fs::canonicalize(root)?,
            keep,
        })
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}

pub(super) async fn run(options: &Options) -> Result<(), DemoError> {
    let begun = Instant::now();
    let progress = account::Progress::new(options.json);
    let workshop = Workshop::new(options)?;
    let Cast {
        edtech,
        mut providers,
        bystanders,
    } = set_up(options, &workshop.root, &progress).await?;
    for provider in &mut providers {
        progress.step(&format!("the EdTech negotiates with {}", provider.daemon.title));
        negotiate(&edtech, provider).await?;
    }
    progress.step("one byte of a signed message is changed on its way");
    let Some(first) = providers.first() else {
        return Err(DemoError::Step("set-up", "there is no provider".into()));
    };
    let tampered = tamper::send(&edtech, &first.daemon).await?;
    progress.step("records stream, and some learners withdraw");
    let streams = providers
        .iter_mut()
        .map(|provider| stream(&edtech, provider, &progress));
    for outcome in futures_util::future::join_all(streams).await {
        outcome?;
    }
    progress.step("agreements and audit logs are checked");
    let story = Story {
        edtech,
        providers,
        bystanders,
        tampered,
        seconds: begun.elapsed().as_secs_f64(),
    };
    account::give(options, &story, &progress).await?;
    if options.keep {
        account::how_to_talk(&story, options.json);
    }
    Ok(())
}

/// The three participants, running; holders without records only watch.
async fn set_up(options: &Options, root: &Path, progress: &account::Progress) -> Result<Cast, DemoError> {
    let own = options.input.is_some();
    let planned = daemons::plan(&[
        ("lycee", "the lycée"),
        ("france-travail", "France Travail"),
        ("edtech", "the EdTech"),
    ])?;
    let until = clock::now().plus(Duration::from_secs(365 * 24 * 3600)).to_string();
    progress.step("keys, certificates and records are made");
    // The user's own records are the lycée's.
    let counts = [
        Some((Holder::Lycee, options.records.div_ceil(2))),
        Some((Holder::FranceTravail, options.records / 2)).filter(|_| !own),
        None,
    ];
    let mut prepared = Vec::new();
    for (participant, holder) in planned.iter().zip(counts) {
        let dir = root.join(participant.name);
        std::fs::create_dir_all(&dir)?;
        let source = holder
            .map(|(holder, count)| sources::prepare(options, holder, count, &dir, &until))
            .transpose()?;
        let pace = source
            .as_ref()
            .map_or(0, |source| (source.bytes / STREAM_SECONDS).max(64 * 1024));
        participant.init(root, &planned, pace)?;
        prepared.push((participant, source));
    }
    progress.step("three daemons start");
    let (mut edtech, mut providers, mut bystanders) = (None, Vec::new(), Vec::new());
    for (participant, source) in prepared {
        let daemon = participant.start(root, options.keep).await?;
        match source {
            Some(source) => providers.push(Provider::new(
                daemon,
                source,
                if own { "activity-traces" } else { "skills-records" },
            )),
            None if daemon.name == "edtech" => edtech = Some(daemon),
            None => bystanders.push(daemon),
        }
    }
    let edtech = edtech.ok_or_else(|| DemoError::Step("set-up", "there is no consumer".into()))?;
    progress.step("the holders publish their datasets and record their learners' consents");
    for provider in &mut providers {
        publish(provider, &edtech.did).await?;
    }
    Ok(Cast {
        edtech,
        providers,
        bystanders,
    })
}

/// Who takes part.
struct Cast {
    edtech: Daemon,
    providers: Vec<Provider>,
    bystanders: Vec<Daemon>,
}

async fn publish(provider: &mut Provider, recipient: &str) -> Result<(), DemoError> {
    let mut offer = provider.source.offer.clone();
    if let Some(members) = offer.as_object_mut() {
        members.insert("assigner".into(), provider.daemon.did.as_str().into());
    }
    let dataset = json!({
        "id": provider.dataset, "title": format!("Learners' records of {}", provider.daemon.title),
        "source": {"type": "file", "path": provider.source.path}, "subject": provider.source.subject,
        "categories": provider.source.categories, "offer": offer,
    });
    provider
        .daemon
        .call(Method::POST, "/v1/datasets", Some(&dataset))
        .await?;
    let notice = crate::jose::sha256(b"Notice d'information de la demonstration");
    let notice: String = notice.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let consenting: Vec<&String> = provider.source.consenting.iter().collect();
    for chunk in consenting.chunks(500) {
        let consents: Vec<Value> = chunk
            .iter()
            .map(|subject| {
                json!({
                    "subject": subject, "recipients": [recipient], "purposes": [terms::ORIENTATION],
                    "categories": provider.source.consent_categories, "method": "paper-form",
                    "notice": format!("sha256:{notice}"), "evidence": format!("file {subject}"),
                })
            })
            .collect();
        let granted = provider
            .daemon
            .call(Method::POST, "/v1/consents", Some(&consents.into()))
            .await?;
        provider.consents.extend(
            granted
                .get("consents")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
        );
    }
    Ok(())
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

async fn negotiate(edtech: &Daemon, provider: &mut Provider) -> Result<(), DemoError> {
    provider.catalog = edtech
        .call(Method::GET, &format!("/v1/catalog?peer={}", provider.daemon.name), None)
        .await?;
    let begun = Instant::now();
    let wanted = json!({"peer": provider.daemon.did, "offer": provider.dataset});
    let opened = edtech.call(Method::POST, "/v1/negotiations", Some(&wanted)).await?;
    let path = format!("/v1/negotiations/{}/wait?timeout=30", text(&opened, "pid"));
    let ended = edtech.call(Method::GET, &path, None).await?;
    provider.negotiation_ms = begun.elapsed().as_secs_f64() * 1000.0;
    if text(&ended, "stateName") != "FINALIZED" {
        return Err(DemoError::Step("negotiation", ended.to_string()));
    }
    provider.agreement = edtech
        .call(
            Method::GET,
            &format!("/v1/agreements/{}", text(&ended, "agreementId")),
            None,
        )
        .await?;
    provider.agreement_check = match crate::contract::verify_export(provider.agreement.to_string().as_bytes()) {
        Ok(checked) => json!(checked),
        Err(error) => json!({"signaturesValid": 0, "error": error.to_string()}),
    };
    provider.negotiation = ended;
    Ok(())
}

async fn stream(edtech: &Daemon, provider: &mut Provider, progress: &account::Progress) -> Result<(), DemoError> {
    let begun = Instant::now();
    let agreement = text(&provider.negotiation, "agreementId");
    let started = edtech
        .call(Method::POST, "/v1/transfers", Some(&json!({"agreement": agreement})))
        .await?;
    let pid = text(&started, "pid");
    let (_, mut lines) = edtech.api().open(&format!("/v1/transfers/{pid}/progress")).await?;
    let mut pending: Vec<String> = provider.source.consenting.iter().cloned().collect();
    let wanted = WITHDRAWALS.min(pending.len() / 4).max(1);
    // Spread over the learners, not only the first in the alphabet.
    let step = (pending.len() / wanted).max(1);
    pending = pending.into_iter().step_by(step).take(wanted).collect();
    let (mut seen, mut buffer) = (Instant::now(), Vec::new());
    let mut ended = false;
    while let Some(chunk) = lines.next().await {
        buffer.extend_from_slice(&chunk?);
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let now: Value = serde_json::from_slice(&line).unwrap_or(Value::Null);
            let records = now.get("records").and_then(Value::as_u64).unwrap_or(0);
            progress.records(provider.daemon.name, records);
            ended = now.get("ended").and_then(Value::as_bool).unwrap_or(false);
            if records > 0 && seen.elapsed() > Duration::from_millis(80) && !ended {
                seen = Instant::now();
                if let Some(subject) = pending.pop() {
                    withdraw(provider, &subject).await?;
                }
            }
        }
    }
    provider.stream_seconds = begun.elapsed().as_secs_f64();
    // A stream of one chunk is over at once: somebody withdraws all the same, so that whatever is shown has a withdrawal in it.
    if provider.withdrawals.is_empty()
        && let Some(subject) = pending.pop()
    {
        withdraw(provider, &subject).await?;
    }
    provider.received = edtech.call(Method::GET, &format!("/v1/transfers/{pid}"), None).await?;
    if !ended || text(&provider.received, "stateName") != "COMPLETED" {
        return Err(DemoError::Step("transfer", provider.received.to_string()));
    }
    let path = format!("/v1/transfers/{}", text(&provider.received, "peerPid"));
    for _ in 0..200 {
        provider.released = provider.daemon.call(Method::GET, &path, None).await?;
        if provider.released.pointer("/release/complete").and_then(Value::as_bool) == Some(true) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn withdraw(provider: &mut Provider, subject: &str) -> Result<(), DemoError> {
    let body = json!({ "subject": subject });
    let (status, answer) = provider
        .daemon
        .try_call(Method::POST, "/v1/consents/withdraw", Some(&body))
        .await?;
    if status != StatusCode::OK {
        return Err(DemoError::Step("withdrawal", answer.to_string()));
    }
    provider.withdrawals.push(answer);
    Ok(())
}
