//! The data endpoint: a token opens the stream of one transfer.

use super::{App, Connection, dsp::plain, problem::Problem};
use crate::{
    dsp::Pid,
    plane::{PlaneError, lines, outgoing::Outgoing},
    transfer::TransferError,
};
use axum::{
    body::Body,
    extract::{Path, Query, Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body::{Body as HttpBody, Frame};
use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

/// `GET /data/{providerPid}?cursor=…`.
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Path(pid): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    let token = bearer(request.headers()).map(str::to_owned);
    let reset = request
        .extensions()
        .get::<Connection>()
        .map_or_else(CancellationToken::new, |c| c.0.clone());
    match open(
        &app,
        &pid,
        token.as_deref(),
        query.get("cursor").map(String::as_str),
        reset,
    )
    .await
    {
        Ok(body) => {
            let mut response = Response::new(Body::new(body));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static(lines::MEDIA_TYPE));
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(problem) => {
            tracing::info!(pid, code = problem.code, "a data request was refused");
            plain(problem.status, &problem.dsp("TransferError", None))
        }
    }
}

async fn open(
    app: &Arc<App>,
    pid: &str,
    token: Option<&str>,
    cursor: Option<&str>,
    reset: CancellationToken,
) -> Result<Limited, Problem> {
    let pid: Pid = pid.parse().map_err(|_| Problem::from(TransferError::Token))?;
    let token = token.ok_or(TransferError::Token)?;
    let permit = app
        .streams
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::from(TransferError::TooManyStreams))?;
    let body = app
        .transfers
        .stream(&pid, token, cursor, reset.clone(), (app.clock)())
        .await?;
    let pace = Arc::new(Pace::default());
    tokio::spawn(cut_when_stalled(Arc::downgrade(&pace), app.limits.body_timeout, reset));
    Ok(Limited {
        body,
        pace,
        _permit: permit,
    })
}

/// The scheme is compared without case (RFC 9110 §11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A stream that counts against the limit as long as it lives.
struct Limited {
    body: Outgoing,
    pace: Arc<Pace>,
    _permit: OwnedSemaphorePermit,
}

/// How a stream moves.
#[derive(Default)]
struct Pace {
    /// How often more was asked for.
    asked: AtomicU64,
    /// What was asked for was given: the next move is the reader's.
    given: AtomicBool,
}

/// Cuts the connection of a reader that takes nothing for so long: whoever holds all streams and reads none would keep out the others.
/// It can take the stream up again with its cursor.
async fn cut_when_stalled(pace: Weak<Pace>, longest: Duration, reset: CancellationToken) {
    let mut before = None;
    loop {
        tokio::time::sleep(longest).await;
        let Some(pace) = pace.upgrade() else { return };
        let asked = pace.asked.load(Ordering::Relaxed);
        if pace.given.load(Ordering::Relaxed) && before == Some(asked) {
            tracing::info!("a stream was cut because nobody read it");
            reset.cancel();
            return;
        }
        before = Some(asked);
    }
}

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = PlaneError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, PlaneError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.pace.asked.fetch_add(1, Ordering::Relaxed);
        self.pace.given.store(polled.is_ready(), Ordering::Relaxed);
        polled
    }
}
