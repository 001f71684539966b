//! Transfers: commands, progress while they run, the records that came.

use super::{Command, Ctx, answer, body, ok, parse, pending};
use crate::{
    dsp::{AgreementId, Pid},
    http::{App, problem::Problem},
    process::Protocol,
    transfer::{self, TransferRecord},
};
use axum::{
    body::Body,
    extract::{Path, Query, Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::HashMap, time::Duration};
use tokio::sync::mpsc;

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

pub(super) async fn transfers(State(app): Ctx) -> Response {
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

pub(super) async fn transfer_start(State(app): Ctx, request: Request) -> Response {
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

pub(super) async fn transfer_show(State(app): Ctx, Path(pid): Path<String>) -> Response {
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

pub(super) async fn transfer_command(
    State(app): Ctx,
    Path((pid, command)): Path<(String, String)>,
    request: Request,
) -> Response {
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
pub(super) async fn transfer_progress(State(app): Ctx, Path(pid): Path<String>) -> Response {
    let pid: Pid = match parse(&pid, "transfer") {
        Ok(pid) => pid,
        Err(problem) => return answer(Err(problem)),
    };
    if let Err(error) = app.transfers.get(&pid).await {
        return answer(Err(error.into()));
    }
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        let mut events = app.transfers.events().stirred();
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
            let count = |name: &str| shown.pointer(&format!("/progress/{name}"));
            let line = json!({"records": count("records"), "bytes": count("bytes"),
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
pub(super) async fn next_change(
    app: &App,
    pid: &Pid,
    events: &mut tokio::sync::broadcast::Receiver<(Protocol, Pid)>,
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
                Ok((Protocol::Transfer, stirred)) if stirred == *pid => return,
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
pub(super) async fn transfer_records(
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
