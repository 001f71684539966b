//! The management API: what operators and their programs do with a running daemon. JSON over a Unix socket, or over loopback with a token.

use super::{App, dsp::plain, problem::Problem, read_body};
use crate::{
    audit::AuditError,
    catalog::NewDataset,
    consent::NewConsent,
    contract::{self, NegotiationRecord, StoredAgreement, Wanted},
    dsp::{
        AgreementId, DatasetId, FORMAT_HTTP_PULL, Machine, Pid, Position, catalog::ListedDataset, message::Explanation,
        negotiation::State as NegotiationState,
    },
    jose,
    process::Protocol,
    transfer::{self, TransferRecord},
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Query, Request, State},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::mpsc;

type Ctx = State<Arc<App>>;
type Outcome = Result<(StatusCode, Value), Problem>;

/// Largest body of a management request: an import of consents.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// The routes; with a token's hash when they are served on a port.
pub fn routes(app: Arc<App>, token: Option<jose::Digest>) -> Router {
    let routes = Router::new()
        .route("/v1/status", get(|ctx: Ctx| async { answer(status(ctx).await) }))
        .route("/v1/peers", get(|ctx: Ctx| async { answer(peers(ctx).await) }))
        .route(
            "/v1/datasets",
            get(|ctx: Ctx| async { answer(datasets(ctx).await) }).post(dataset_add),
        )
        .route("/v1/datasets/{id}", get(dataset_show).delete(dataset_remove))
        .route("/v1/catalog", get(catalog))
        .route("/v1/negotiations", get(negotiations).post(negotiate))
        .route("/v1/negotiations/{pid}", get(negotiation))
        .route("/v1/negotiations/{pid}/wait", get(negotiation_wait))
        .route("/v1/negotiations/{pid}/{command}", post(negotiation_command))
        .route("/v1/agreements", get(agreements))
        .route("/v1/agreements/{id}", get(agreement))
        .route("/v1/transfers", get(transfers).post(transfer_start))
        .route("/v1/transfers/{pid}", get(transfer_show))
        .route("/v1/transfers/{pid}/progress", get(transfer_progress))
        .route("/v1/transfers/{pid}/records", get(transfer_records))
        .route("/v1/transfers/{pid}/{command}", post(transfer_command))
        .route("/v1/consents", get(consents).post(consent_grant))
        .route("/v1/consents/withdraw", post(consent_withdraw))
        .route("/v1/pseudonyms", post(pseudonyms))
        .route("/v1/audit/entries", get(audit_entries))
        .route("/v1/audit/verify", post(audit_verify))
        .fallback(|| async { answer(Err(Problem::not_found("resource of the management API"))) })
        .with_state(app);
    match token {
        None => routes,
        Some(token) => routes.layer(middleware::from_fn(move |request, next| {
            authorized(token, request, next)
        })),
    }
}

async fn authorized(token: jose::Digest, request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(|given| jose::sha256(given.trim().as_bytes()));
    match given {
        Some(given) if given.matches(&token) => next.run(request).await,
        _ => answer(Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "token",
            "the management token is missing or wrong",
        ))),
    }
}

fn answer(outcome: Outcome) -> Response {
    match outcome {
        Ok((status, body)) => plain(status, &body),
        Err(problem) => plain(problem.status, &problem.json()),
    }
}

fn ok(body: Value) -> Outcome {
    Ok((StatusCode::OK, body))
}

async fn body<T: DeserializeOwned>(app: &App, request: Request) -> Result<T, Problem> {
    let limits = super::Limits {
        body_bytes: MAX_BODY,
        ..app.limits.clone()
    };
    let bytes = read_body(request.into_body(), &limits).await?;
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    let limits = crate::dsp::json::Limits {
        bytes: MAX_BODY,
        ..crate::dsp::json::Limits::MESSAGE
    };
    let invalid = |error: &dyn std::fmt::Display| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            format!("the request is not what is expected here: {error}"),
        )
    };
    let value = crate::dsp::json::parse_within(bytes, limits).map_err(|error| invalid(&error))?;
    serde_json::from_value(value).map_err(|error| invalid(&error))
}

fn parse<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}

// ---- status and peers ------------------------------------------------------------------------------------------------

async fn status(State(app): Ctx) -> Outcome {
    let now = (app.clock)();
    let (negotiations, transfers) = (app.contracts.list().await?, app.transfers.list().await?);
    let running = app.limits.streams.saturating_sub(app.streams.available_permits());
    ok(json!({
        "did": app.trust.me(),
        "version": env!("CARGO_PKG_VERSION"),
        "address": app.root,
        "ready": app.started,
        "uptimeSeconds": now.since(app.started).as_secs(),
        "datasets": app.catalog.list().await?.len(),
        "peers": app.trust.peers().count(),
        "negotiations": negotiations.len(),
        "agreements": app.contracts.agreements().list().await?.len(),
        "transfers": transfers.len(),
        "streams": running,
        "auditEntries": app.log.len().await?,
    }))
}

async fn peers(State(app): Ctx) -> Outcome {
    let mut peers: Vec<Value> = app
        .trust
        .peers()
        .map(|peer| json!({"did": peer.did, "name": peer.name}))
        .collect();
    peers.sort_by_key(ToString::to_string);
    ok(json!({ "peers": peers }))
}

// ---- datasets and catalogs -------------------------------------------------------------------------------------------

async fn datasets(State(app): Ctx) -> Outcome {
    ok(json!({ "datasets": app.catalog.list().await? }))
}

async fn dataset_add(State(app): Ctx, request: Request) -> Response {
    answer(
        async {
            let new: NewDataset = body(&app, request).await?;
            Ok((StatusCode::CREATED, json!(app.catalog.add(new, (app.clock)()).await?)))
        }
        .await,
    )
}

async fn dataset_show(State(app): Ctx, Path(id): Path<String>) -> Response {
    answer(
        async {
            let id: DatasetId = parse(&id, "dataset")?;
            ok(json!(
                app.catalog
                    .get(&id)
                    .await?
                    .ok_or_else(|| Problem::not_found("dataset"))?
            ))
        }
        .await,
    )
}

async fn dataset_remove(State(app): Ctx, Path(id): Path<String>) -> Response {
    answer(
        async {
            let id: DatasetId = parse(&id, "dataset")?;
            app.catalog.remove(&id, (app.clock)()).await?;
            ok(json!({ "removed": id }))
        }
        .await,
    )
}

async fn catalog(State(app): Ctx, Query(query): Query<HashMap<String, String>>) -> Response {
    answer(
        async {
            let peer = query
                .get("peer")
                .ok_or_else(|| Problem::bad_request("invalid", "the query needs peer=DID or name"))?;
            let peer = app.peers.named(peer)?;
            ok(json!(app.peers.catalog(peer).await?))
        }
        .await,
    )
}

// ---- negotiations ----------------------------------------------------------------------------------------------------

/// The steps that are not acknowledged yet.
fn pending<M: Machine>(position: &Position<M>) -> Vec<String> {
    position.pending.iter().map(|(_, step)| step.to_string()).collect()
}

fn negotiation_json(record: &NegotiationRecord) -> Value {
    json!({
        "pid": record.core.pid, "peer": record.core.peer, "peerPid": record.core.peer_pid, "role": record.core.role,
        "state": record.core.position.state, "stateName": record.core.state_name(), "pending": pending(&record.core.position),
        "dataset": record.dataset, "offer": record.offer, "offerBy": record.offer_by, "manual": record.manual,
        "agreementId": record.agreement_id(), "created": record.core.created, "updated": record.core.updated,
        "explanation": record.core.explanation,
    })
}

async fn negotiations(State(app): Ctx) -> Response {
    answer(
        async {
            let all = app.contracts.list().await?;
            ok(json!({ "negotiations": all.iter().map(negotiation_json).collect::<Vec<_>>() }))
        }
        .await,
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Negotiate {
    peer: String,
    offer: String,
    #[serde(default)]
    terms: Option<Value>,
    #[serde(default)]
    manual: bool,
}

async fn negotiate(State(app): Ctx, request: Request) -> Response {
    answer(
        async {
            let wanted: Negotiate = body(&app, request).await?;
            let peer = app.peers.named(&wanted.peer)?;
            let listed = app.peers.catalog(peer).await?;
            let (dataset, offer) = contract::pick(&listed.datasets, &wanted.offer).ok_or_else(|| {
                Problem::not_found("offer in the peer's catalog").hint("list it with: connector catalog PEER")
            })?;
            pullable(dataset)?;
            let wanted = Wanted {
                peer: peer.did.clone(),
                base: app.peers.base(peer).await?,
                dataset: dataset.id.clone(),
                offer: offer.clone(),
                terms: wanted.terms,
                manual: wanted.manual,
            };
            Ok((
                StatusCode::CREATED,
                negotiation_json(&app.contracts.request(wanted, (app.clock)()).await?),
            ))
        }
        .await,
    )
}

fn pullable(dataset: &ListedDataset) -> Result<(), Problem> {
    if dataset.can_pull() {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "unknown-format",
        format!(
            "the dataset is not offered as {FORMAT_HTTP_PULL}, but as {}",
            dataset.formats.join(", ")
        ),
    ))
}

async fn negotiation(State(app): Ctx, Path(pid): Path<String>) -> Response {
    answer(
        async {
            ok(negotiation_json(
                &app.contracts.get(&parse(&pid, "negotiation")?).await?,
            ))
        }
        .await,
    )
}

/// Answers when the negotiation has ended or waits for the operator. Listens before it looks, so that nothing is missed.
async fn negotiation_wait(
    State(app): Ctx,
    Path(pid): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    answer(
        async {
            let pid: Pid = parse(&pid, "negotiation")?;
            let seconds = query
                .get("timeout")
                .and_then(|text| text.parse().ok())
                .unwrap_or(60_u64)
                .min(3600);
            let mut events = app.transfers.events().subscribe();
            let ended = async {
                loop {
                    let record = app.contracts.get(&pid).await?;
                    let held = record.manual && record.core.position.state == Some(NegotiationState::Offered);
                    if record.core.position.is_terminal() || (held && record.core.position.pending.is_empty()) {
                        return ok(negotiation_json(&record));
                    }
                    loop {
                        match events.recv().await {
                            Ok(event) if event.protocol == Protocol::Negotiation && event.pid == pid => break,
                            Ok(_) => {}
                            Err(_) => break,
                        }
                    }
                }
            };
            let late = Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "the negotiation has not ended in that time",
            );
            let stopping = Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "stopping",
                "the daemon is stopping; the negotiation goes on when it runs again",
            );
            tokio::select! {
                ended = tokio::time::timeout(Duration::from_secs(seconds), ended) => ended.unwrap_or(Err(late)),
                () = app.shutdown.cancelled() => Err(stopping),
            }
        }
        .await,
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    terms: Option<Value>,
}

impl Command {
    fn why(&self) -> Explanation {
        Explanation::new(
            "operator",
            self.reason
                .clone()
                .unwrap_or_else(|| "the operator decided so".to_owned()),
        )
    }
}

async fn negotiation_command(
    State(app): Ctx,
    Path((pid, command)): Path<(String, String)>,
    request: Request,
) -> Response {
    answer(
        async {
            let pid: Pid = parse(&pid, "negotiation")?;
            let details: Command = body(&app, request).await?;
            let now = (app.clock)();
            let record = match command.as_str() {
                "accept" => app.contracts.accept(&pid, now).await?,
                "counter" => {
                    let terms = details
                        .terms
                        .ok_or_else(|| Problem::bad_request("invalid", "terms are missing"))?;
                    app.contracts.counter(&pid, &terms, now).await?
                }
                "terminate" => app.contracts.terminate(&pid, details.why(), now).await?,
                _ => return Err(Problem::not_found("command")),
            };
            ok(negotiation_json(&record))
        }
        .await,
    )
}

// ---- agreements ------------------------------------------------------------------------------------------------------

fn agreement_json(stored: &StoredAgreement) -> Value {
    json!({
        "id": stored.id, "dataset": stored.dataset, "provider": stored.provider, "consumer": stored.consumer,
        "role": stored.role, "negotiation": stored.negotiation, "signed": stored.signed, "signatures": 2,
        "agreement": stored.agreement,
    })
}

async fn agreements(State(app): Ctx) -> Response {
    answer(
        async {
            let all = app.contracts.agreements().list().await?;
            ok(json!({ "agreements": all.iter().map(agreement_json).collect::<Vec<_>>() }))
        }
        .await,
    )
}

async fn agreement(State(app): Ctx, Path(id): Path<String>) -> Response {
    answer(
        async {
            let id: AgreementId = parse(&id, "agreement")?;
            let stored = app
                .contracts
                .agreements()
                .get(&id)
                .await?
                .ok_or_else(|| Problem::not_found("agreement"))?;
            ok(json!(stored.export()?))
        }
        .await,
    )
}

// ---- transfers -------------------------------------------------------------------------------------------------------

fn transfer_json(app: &App, record: &TransferRecord) -> Value {
    let counts = app
        .transfers
        .live()
        .watch(&record.core.pid)
        .map(|counts| *counts.borrow());
    let stored = transfer::Counts {
        records: record.progress.records,
        bytes: record.progress.bytes,
    };
    let counts = counts
        .filter(|counts| counts.records > stored.records)
        .unwrap_or(stored);
    json!({
        "pid": record.core.pid, "peer": record.core.peer, "peerPid": record.core.peer_pid, "role": record.core.role,
        "agreement": record.agreement, "dataset": record.dataset, "state": record.core.position.state,
        "stateName": record.core.state_name(), "pending": pending(&record.core.position),
        "progress": {"records": counts.records, "bytes": counts.bytes, "complete": record.progress.complete},
        "release": record.release, "receipt": record.receipt, "created": record.core.created,
        "updated": record.core.updated, "explanation": record.core.explanation,
    })
}

async fn transfers(State(app): Ctx) -> Response {
    answer(
        async {
            let all = app.transfers.list().await?;
            ok(json!({ "transfers": all.iter().map(|record| transfer_json(&app, record)).collect::<Vec<_>>() }))
        }
        .await,
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartTransfer {
    agreement: AgreementId,
}

async fn transfer_start(State(app): Ctx, request: Request) -> Response {
    answer(
        async {
            let wanted: StartTransfer = body(&app, request).await?;
            let stored = app
                .contracts
                .agreements()
                .get(&wanted.agreement)
                .await?
                .ok_or_else(|| Problem::not_found("agreement"))?;
            let peer = app.peers.named(stored.provider.as_str())?;
            let base = app.peers.base(peer).await?;
            let record = app.transfers.request(&wanted.agreement, base, (app.clock)()).await?;
            Ok((StatusCode::CREATED, transfer_json(&app, &record)))
        }
        .await,
    )
}

async fn transfer_show(State(app): Ctx, Path(pid): Path<String>) -> Response {
    answer(
        async {
            ok(transfer_json(
                &app,
                &app.transfers.get(&parse(&pid, "transfer")?).await?,
            ))
        }
        .await,
    )
}

async fn transfer_command(State(app): Ctx, Path((pid, command)): Path<(String, String)>, request: Request) -> Response {
    answer(
        async {
            let pid: Pid = parse(&pid, "transfer")?;
            let details: Command = body(&app, request).await?;
            let now = (app.clock)();
            let record = match command.as_str() {
                "suspend" => app.transfers.suspend(&pid, details.why(), now).await?,
                "resume" => app.transfers.resume(&pid, now).await?,
                "terminate" => app.transfers.terminate(&pid, details.why(), now).await?,
                _ => return Err(Problem::not_found("command")),
            };
            ok(transfer_json(&app, &record))
        }
        .await,
    )
}

/// An answer that is written while it happens.
fn lines(receiver: mpsc::Receiver<Bytes>) -> Response {
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
        let bytes = receiver.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(Frame::data(bytes)), receiver))
    });
    let mut response = Response::new(Body::new(StreamBody::new(stream)));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}

/// One line at each change until the transfer has ended.
async fn transfer_progress(State(app): Ctx, Path(pid): Path<String>) -> Response {
    let pid: Pid = match parse(&pid, "transfer") {
        Ok(pid) => pid,
        Err(problem) => return answer(Err(problem)),
    };
    if let Err(error) = app.transfers.get(&pid).await {
        return answer(Err(error.into()));
    }
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        let mut events = app.transfers.events().subscribe();
        loop {
            let Ok(record) = app.transfers.get(&pid).await else {
                return;
            };
            let shown = transfer_json(&app, &record);
            let ended = record.core.position.is_terminal();
            let error = record
                .core
                .explanation
                .as_ref()
                .filter(|_| !record.progress.complete)
                .map(|why| why.reasons.join("; "));
            let line = json!({"records": shown["progress"]["records"], "bytes": shown["progress"]["bytes"],
                "state": record.core.state_name(), "complete": record.progress.complete, "error": error, "ended": ended});
            if sender.send(format!("{line}\n").into()).await.is_err() || ended {
                return;
            }
            next_change(&app, &pid, &mut events, &sender).await;
            if sender.is_closed() || app.shutdown.is_cancelled() {
                return;
            }
        }
    });
    lines(receiver)
}

/// Waits for an event of this transfer, or for more records of a running reception (looked at ten times a second at most).
async fn next_change(
    app: &App,
    pid: &Pid,
    events: &mut tokio::sync::broadcast::Receiver<crate::process::outbox::Event>,
    sender: &mpsc::Sender<Bytes>,
) {
    let moved = async {
        match app.transfers.live().watch(pid) {
            Some(mut counts) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                if counts.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            None => std::future::pending().await,
        }
    };
    let event = async {
        loop {
            match events.recv().await {
                Ok(event) if event.protocol == Protocol::Transfer && event.pid == *pid => return,
                Ok(_) => {}
                Err(_) => return,
            }
        }
    };
    tokio::select! {
        () = moved => {}
        () = event => {}
        () = sender.closed() => {}
        () = app.shutdown.cancelled() => {}
    }
}

/// The received records: as they came (`raw=true`), or the records alone.
async fn transfer_records(
    State(app): Ctx,
    Path(pid): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let opened = async {
        let record = app.transfers.get(&parse(&pid, "transfer")?).await?;
        if !record.progress.complete {
            return Err(
                Problem::new(StatusCode::CONFLICT, "incomplete", "the transfer is not complete yet")
                    .hint("wait for it with: connector transfer show PID"),
            );
        }
        let path = transfer::file(&app.received, &record.core.pid);
        tokio::fs::File::open(&path).await.map_err(|error| {
            tracing::error!(%error, path = %path.display(), "received records cannot be read");
            Problem::new(
                StatusCode::GONE,
                "gone",
                "the received records are not on this connector any more",
            )
        })
    };
    let file = match opened.await {
        Ok(file) => file.into_std().await,
        Err(problem) => return answer(Err(problem)),
    };
    let raw = query.get("raw").is_some_and(|raw| raw == "true");
    let (sender, receiver) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || copy_records(file, raw, &sender));
    lines(receiver)
}

fn copy_records(file: std::fs::File, raw: bool, sender: &mpsc::Sender<Bytes>) {
    use std::io::BufRead;
    let mut reader = std::io::BufReader::with_capacity(128 * 1024, file);
    let (mut line, mut out) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).unwrap_or(0);
        if let Some(content) = line.strip_suffix(b"\n") {
            match (raw, crate::plane::lines::read_record(content)) {
                (true, _) => out.extend_from_slice(&line),
                (false, Some((_, record))) => {
                    out.extend_from_slice(record);
                    out.push(b'\n');
                }
                (false, None) => {}
            }
        }
        if (out.len() > 64 * 1024 || read == 0)
            && !out.is_empty()
            && sender.blocking_send(std::mem::take(&mut out).into()).is_err()
        {
            return;
        }
        if read == 0 {
            return;
        }
    }
}

// ---- consents --------------------------------------------------------------------------------------------------------

async fn consents(State(app): Ctx, Query(query): Query<HashMap<String, String>>) -> Response {
    answer(
        async {
            let all = app.consents.list(query.get("subject").map(String::as_str)).await?;
            ok(json!({ "consents": all }))
        }
        .await,
    )
}

async fn consent_grant(State(app): Ctx, request: Request) -> Response {
    answer(
        async {
            let new: Vec<NewConsent> = body(&app, request).await?;
            let granted = app.consents.grant(new, (app.clock)()).await?;
            Ok((
                StatusCode::CREATED,
                json!({"granted": granted.len(), "consents": granted}),
            ))
        }
        .await,
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Withdraw {
    subject: String,
    #[serde(default)]
    recipient: Option<crate::dsp::ParticipantId>,
}

async fn consent_withdraw(State(app): Ctx, request: Request) -> Response {
    answer(
        async {
            let wanted: Withdraw = body(&app, request).await?;
            ok(json!(
                app.consents
                    .withdraw(&wanted.subject, wanted.recipient.as_ref(), (app.clock)())
                    .await?
            ))
        }
        .await,
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskPseudonyms {
    recipient: String,
    subjects: Vec<String>,
}

/// How a recipient sees learners: a holder needs it to answer a learner's questions about what was handed over (GDPR Art. 15).
async fn pseudonyms(State(app): Ctx, request: Request) -> Response {
    answer(
        async {
            let wanted: AskPseudonyms = body(&app, request).await?;
            let names = app
                .consents
                .pseudonyms()
                .towards(&app.peers.named(&wanted.recipient)?.did);
            let named: HashMap<&str, String> = wanted
                .subjects
                .iter()
                .map(|subject| (subject.as_str(), names.name(subject)))
                .collect();
            ok(json!({ "pseudonyms": named }))
        }
        .await,
    )
}

// ---- audit -----------------------------------------------------------------------------------------------------------

async fn audit_entries(State(app): Ctx, Query(query): Query<HashMap<String, String>>) -> Response {
    answer(
        async {
            let number = |name: &str| query.get(name).and_then(|text| text.parse::<u64>().ok());
            let (from, limit) = (
                number("from").unwrap_or(0),
                number("limit").unwrap_or(100).clamp(1, 1000),
            );
            let entries = app.log.entries(from, usize::try_from(limit).unwrap_or(100)).await?;
            let next = entries.last().map_or(from, |(seq, _)| seq + 1);
            let entries: Vec<Value> = entries
                .into_iter()
                .map(|(seq, entry)| json!({"seq": seq, "entry": entry}))
                .collect();
            ok(json!({"entries": entries, "next": next, "total": app.log.len().await?}))
        }
        .await,
    )
}

async fn audit_verify(State(app): Ctx) -> Response {
    let checked = async {
        app.log.seal((app.clock)()).await?;
        app.log.verify().await
    };
    answer(match checked.await {
        Ok(verification) => ok(json!(verification)),
        Err(AuditError::Store(error)) => Err(error.into()),
        Err(error) => Err(Problem::new(StatusCode::CONFLICT, "audit-broken", error.to_string())),
    })
}
