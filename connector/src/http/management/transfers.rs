//! Transfers: commands, progress while they run, the records that came.

use super::{
    Command, Ctx,
    idempotency::Opening,
    process::{self, Process},
    reply::{Body, Outcome, Path, Query, Refusal, created, id, ok},
};
use crate::{
    dsp::{AgreementId, DatasetId, FORMAT_HTTP_PULL, Pid, transfer::State as TransferState},
    http::{App, problem::Problem},
    process::{Protocol, Stirs},
    transfer::{self, Erased, Released, TransferError, TransferRecord},
};
use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::mpsc;
use url::Url;
use utoipa::{IntoParams, ToSchema};

/// A transfer as the management API shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Transfer {
    #[serde(flatten)]
    process: Process,
    /// The state that both sides know; null before the first message is acknowledged.
    #[schema(required)]
    state: Option<TransferState>,
    /// Under which agreement.
    agreement: AgreementId,
    /// Of which dataset.
    dataset: DatasetId,
    /// In which format: fetched by the consumer, or sent by the provider.
    format: String,
    /// The operator decides about every step.
    manual: bool,
    /// Consumer: what has come.
    progress: Received,
    /// Provider: what has left.
    #[schema(required)]
    release: Option<Released>,
    /// Provider: the total that the consumer was told of what was withheld; see `progress.withheld`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    told: Option<u64>,
    /// Provider: the code of the rule by which no release was made (`AGG` in `policy/PROFILE.md`). The consumer is not told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    release_refused: Option<String>,
    /// Provider: how many records were not counted for the release that was refused, by the code of the reason. The consumer is not told it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    release_withheld: BTreeMap<String, u64>,
    /// The consumer's signed receipt.
    #[schema(required)]
    receipt: Option<String>,
    /// Consumer: what was erased of what came, because learners took their consent back; once for each reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    erased: Vec<Erased>,
}

/// How far a reception is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Received {
    records: u64,
    bytes: u64,
    complete: bool,
    /// How many of the records were not kept when they came, because their learner had taken their consent back.
    #[serde(skip_serializing_if = "is_none")]
    left_out: u64,
    /// What remains permitted of those is in a transfer that is asked for after this time: of a learner whose consent has just ended everything is
    /// left out, what another consent permits too, because clocks differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    left_out_until: Option<Timestamp>,
    /// Consumer: records of at least so many learners were withheld, for all reasons together, as the provider has signed. A multiple of ten,
    /// told of a source by one transfer in thirty days, and only from ten learners on; absent otherwise, as where nothing was withheld.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    withheld: Option<u64>,
    /// Every record is covered by the provider's signatures; false for a peer that cannot sign.
    signed: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

fn shown(app: &App, record: TransferRecord) -> Transfer {
    let live = app
        .transfers
        .live()
        .watch(&record.core.pid)
        .map(|counts| *counts.borrow());
    let stored = transfer::Counts {
        records: record.progress.records,
        bytes: record.progress.bytes,
    };
    let counts = live.filter(|counts| counts.records > stored.records).unwrap_or(stored);
    let retractions = app.exchange.retractions();
    let left_out_until = match record.progress.left_out {
        0 => None,
        _ => retractions.over_after(&record.core.peer, &record.stream()),
    };
    Transfer {
        state: record.core.position.state,
        process: record.core.into(),
        agreement: record.agreement,
        dataset: record.dataset,
        format: record.format,
        manual: record.held,
        progress: Received {
            records: counts.records,
            bytes: counts.bytes,
            complete: record.progress.complete,
            left_out: record.progress.left_out,
            left_out_until,
            withheld: record.progress.withheld,
            signed: !record.progress.unsigned,
        },
        release: record.release,
        told: record.told,
        release_refused: record.release_refused,
        release_withheld: record.release_withheld,
        receipt: record.receipt,
        erased: record.erased,
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct TransferList {
    transfers: Vec<Transfer>,
}

/// All transfers
#[utoipa::path(get, path = "/v1/transfers", tag = "transfers", responses((status = OK, body = TransferList)))]
pub(super) async fn transfers(State(app): Ctx) -> Outcome<TransferList> {
    let all = app.transfers.list().await?;
    ok(TransferList {
        transfers: all.into_iter().map(|record| shown(&app, record)).collect(),
    })
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StartTransfer {
    /// Under which agreement.
    agreement: AgreementId,
    /// `HttpData-PULL` (the default): we fetch; `HttpData-PUSH`: the provider sends.
    #[serde(default)]
    format: Option<String>,
    /// The provider's base address, with the version's path: asks without discovery.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uri")]
    address: Option<Url>,
}

/// Ask for the data of an agreement, as its consumer
#[utoipa::path(post, path = "/v1/transfers", tag = "transfers", request_body = StartTransfer, responses((status = CREATED, body = Transfer)))]
pub(super) async fn transfer_start(
    State(app): Ctx,
    Opening(pid): Opening,
    Body(wanted): Body<StartTransfer>,
) -> Outcome<Transfer> {
    let opened = process::opened(app.transfers.get(&pid).await, |error| match error {
        TransferError::Process(cause) => Some(cause),
        _ => None,
    });
    if let Some(record) = opened? {
        return created(shown(&app, record));
    }
    let stored = app
        .contracts
        .agreements()
        .get(&wanted.agreement)
        .await?
        .ok_or_else(|| Problem::not_found("agreement"))?;
    let peer = app.peers.named(stored.provider.as_str()).await?;
    let base = match wanted.address {
        Some(address) => address,
        None => app.peers.base(&peer).await?,
    };
    let format = wanted.format.as_deref().unwrap_or(FORMAT_HTTP_PULL);
    let record = app
        .transfers
        .request(pid, &wanted.agreement, format, base, (app.clock)())
        .await?;
    created(shown(&app, record))
}

/// One transfer
#[utoipa::path(get, path = "/v1/transfers/{pid}", tag = "transfers", responses((status = OK, body = Transfer)))]
pub(super) async fn transfer_show(State(app): Ctx, Path(pid): Path<String>) -> Outcome<Transfer> {
    let record = app.transfers.get(&id(&pid, "transfer")?).await?;
    ok(shown(&app, record))
}

/// What can be done about a transfer.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum TransferStep {
    /// Start it: what was requested, as its provider, or what was suspended.
    Start,
    /// The same as `start`.
    Resume,
    /// Consumer of a pull, where the operator decides: fetch the data now.
    Fetch,
    /// Pause it.
    Suspend,
    /// Say that everything was transferred.
    Complete,
    /// End it for good.
    Terminate,
}

/// Take a step in a transfer
#[utoipa::path(post, path = "/v1/transfers/{pid}/{command}", tag = "transfers",
    params(("command" = inline(TransferStep), Path)), request_body = Command, responses((status = OK, body = Transfer)))]
pub(super) async fn transfer_command(
    State(app): Ctx,
    Path((pid, step)): Path<(String, TransferStep)>,
    Body(details): Body<Command>,
) -> Outcome<Transfer> {
    let pid: Pid = id(&pid, "transfer")?;
    let now = (app.clock)();
    let record = match step {
        TransferStep::Suspend => app.transfers.suspend(&pid, details.why(), now).await?,
        TransferStep::Start | TransferStep::Resume => app.transfers.start(&pid, now).await?,
        TransferStep::Fetch => app.transfers.fetch(&pid, now).await?,
        TransferStep::Complete => app.transfers.complete(&pid, now).await?,
        TransferStep::Terminate => app.transfers.terminate(&pid, details.why(), now).await?,
    };
    ok(shown(&app, record))
}

/// An answer that is written while it happens.
fn lines(receiver: mpsc::Receiver<Bytes>) -> Response {
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
        let bytes = receiver.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(Frame::data(bytes)), receiver))
    });
    let mut response = Response::new(axum::body::Body::new(StreamBody::new(stream)));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}

/// One line of a transfer's progress.
#[derive(Serialize)]
struct ProgressLine {
    records: u64,
    bytes: u64,
    state: String,
    complete: bool,
    error: Option<String>,
    ended: bool,
}

fn progress(app: &App, record: TransferRecord) -> ProgressLine {
    let ended = record.core.position.is_terminal();
    let shown = shown(app, record);
    let why = shown.process.explanation.filter(|_| !shown.progress.complete);
    ProgressLine {
        records: shown.progress.records,
        bytes: shown.progress.bytes,
        state: shown.process.state_name,
        complete: shown.progress.complete,
        error: why.map(|why| why.reasons.join("; ")),
        ended,
    }
}

/// Follow a transfer: one line at each change until it has ended
#[utoipa::path(get, path = "/v1/transfers/{pid}/progress", tag = "transfers",
    responses((status = OK, body = String, content_type = "application/x-ndjson")))]
pub(super) async fn transfer_progress(State(app): Ctx, Path(pid): Path<String>) -> Result<Response, Problem> {
    let pid: Pid = id(&pid, "transfer")?;
    app.transfers.get(&pid).await?;
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        let mut changes = app.transfers.events().stirs(Protocol::Transfer, &pid);
        loop {
            let Ok(record) = app.transfers.get(&pid).await else {
                return;
            };
            let line = progress(&app, record);
            let Ok(mut text) = serde_json::to_vec(&line) else {
                return;
            };
            text.push(b'\n');
            if sender.send(text.into()).await.is_err() || line.ended {
                return;
            }
            next_change(&app, &pid, &mut changes, &sender).await;
            if sender.is_closed() || app.shutdown.is_cancelled() {
                return;
            }
        }
    });
    Ok(lines(receiver))
}

/// Waits for an event of this transfer, or for more records of a running reception (looked at ten times a second at most).
async fn next_change(app: &App, pid: &Pid, changes: &mut Stirs, sender: &mpsc::Sender<Bytes>) {
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
    tokio::select! {
        () = moved => {}
        () = changes.next() => {}
        () = sender.closed() => {}
        () = app.shutdown.cancelled() => {}
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct AsReceived {
    /// The lines as they came, with sequence numbers and signed checkpoints, instead of the records alone.
    #[serde(default)]
    raw: bool,
}

/// The records that were received, one a line
#[utoipa::path(get, path = "/v1/transfers/{pid}/records", tag = "transfers", params(AsReceived), responses(
    (status = OK, body = String, content_type = "application/x-ndjson"),
    (status = CONFLICT, body = Refusal, description = "The transfer is not complete yet"),
    (status = GONE, body = Refusal, description = "The records are not on this connector any more"),
))]
pub(super) async fn transfer_records(
    State(app): Ctx,
    Path(pid): Path<String>,
    Query(query): Query<AsReceived>,
) -> Result<Response, Problem> {
    let record = app.transfers.get(&id(&pid, "transfer")?).await?;
    if !record.progress.complete {
        return Err(
            Problem::new(StatusCode::CONFLICT, "incomplete", "the transfer is not complete yet")
                .hint("wait for it with: connector transfer show PID"),
        );
    }
    let path = transfer::file(&app.received, &record.core.pid);
    let file = tokio::fs::File::open(&path).await.map_err(|error| {
        tracing::error!(%error, path = %path.display(), "received records cannot be read");
        Problem::new(
            StatusCode::GONE,
            "gone",
            "the received records are not on this connector any more",
        )
    })?;
    let file = file.into_std().await;
    // What a peer that cannot sign has sent has no lines of ours to take apart.
    let raw = query.raw || record.progress.unsigned;
    let (sender, receiver) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || copy_records(file, raw, &sender));
    Ok(lines(receiver))
}

fn copy_records(file: std::fs::File, raw: bool, sender: &mpsc::Sender<Bytes>) {
    use std::io::BufRead;
    let mut reader = std::io::BufReader::with_capacity(128 * 1024, file);
    let (mut line, mut out) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).unwrap_or(0);
        if raw {
            out.extend_from_slice(&line);
        } else if let Some((_, record)) = line.strip_suffix(b"\n").and_then(crate::plane::lines::read_record) {
            out.extend_from_slice(record);
            out.push(b'\n');
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
