//! Requests that are safe to repeat: who sends a key with a request gets the same answer to its repetition, and nothing is done twice.
//!
//! Around a request with a key stand two commits: that it began, and what was answered. Between them lies what the handler commits, so
//! after a crash in between the outcome is not known here; only what opens a process is exact, because the process's id is part of the
//! first commit and the repetition finds the process by it.

mod kept;

pub use kept::sweep;

use super::reply::{read, written};
use crate::{
    dsp::Pid,
    http::{App, problem::Problem},
    jose::{self, Digest},
};
use axum::{
    body::Body,
    extract::{FromRequestParts, Request},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, request::Parts};
use http_body_util::BodyExt;
use kept::{Answer, Begun, Kept, Known};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The header with the key.
pub(super) const KEY: &str = "idempotency-key";
/// The header of an answer that was given before.
pub(super) const REPLAYED: &str = "idempotency-replayed";
/// Longest key.
pub(super) const LONGEST_KEY: usize = 255;

/// What opens a process: a repetition finds it by its id, whatever happened in between.
const OPENINGS: [&str; 3] = ["/v1/negotiations", "/v1/offers", "/v1/transfers"];

/// The keys of one daemon.
pub(super) struct Keys {
    app: Arc<App>,
    kept: Kept,
    running: Mutex<HashMap<Digest, Digest>>,
}

/// A key whose request runs.
struct Running<'a>(&'a Keys, Digest);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running().remove(&self.1);
    }
}

impl Keys {
    pub(super) fn new(app: Arc<App>) -> Self {
        let kept = Kept::new(app.log.store().clone());
        Self {
            app,
            kept,
            running: Mutex::default(),
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Digest, Digest>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, key: Digest, request: Digest) -> Result<Running<'_>, Problem> {
        let mut running = self.running();
        match running.get(&key) {
            Some(other) if *other != request => Err(reused()),
            Some(_) => Err(conflict(
                "in-progress",
                "the request with this Idempotency-Key is still being carried out",
            )
            .hint("repeat it a moment later")),
            None => {
                running.insert(key, request);
                Ok(Running(self, key))
            }
        }
    }

    /// Carries a request out, or repeats the answer that was given to it.
    pub(super) async fn once(self: Arc<Self>, request: Request, next: Next) -> Response {
        if request.method().is_safe() {
            return next.run(request).await;
        }
        match key(request.headers()) {
            Ok(None) => next.run(request).await,
            Ok(Some(key)) => self
                .carry_out(key, request, next)
                .await
                .unwrap_or_else(IntoResponse::into_response),
            Err(problem) => problem.into_response(),
        }
    }

    async fn carry_out(&self, key: Digest, request: Request, next: Next) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(&self.app, body).await?;
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        let opens = parts.method == Method::POST && OPENINGS.contains(&parts.uri.path());
        let identity = jose::digest::sha256_parts(&[
            parts.method.as_str().as_bytes(),
            b"\0",
            target.as_bytes(),
            b"\0",
            &bytes,
        ]);
        let _running = self.enter(key, identity)?;
        let now = (self.app.clock)();
        let begun = match self.kept.find(&key, now).await? {
            Known::Nothing => self.kept.begin(key, identity, now).await?,
            Known::Other(begun) if begun.request != identity => return Err(reused()),
            Known::Other(begun) if !opens => return Err(unknown(&begun)),
            Known::Other(begun) => begun,
            Known::Answered(begun, _) if begun.request != identity => return Err(reused()),
            Known::Answered(_, Some(answer)) => return Ok(repeated(answer)),
            Known::Answered(..) => {
                return Err(conflict(
                    "answer-not-kept",
                    "the request was carried out, but its answer was too large to be kept",
                ));
            }
        };
        let mut request = Request::from_parts(parts, Body::from(bytes));
        request.extensions_mut().insert(Opening(begun.pid.clone()));
        let (mut parts, body) = next.run(request).await.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let kept = match parts.status {
            // The request was not carried out for want of something that may be there later: it may be tried again with its key.
            StatusCode::REQUEST_TIMEOUT | StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => {
                self.kept.forget(&key).await
            }
            status => self.kept.end(key, begun, status.as_u16(), &body).await,
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "an answer could not be kept; a repetition of the request will not get it");
        }
        parts.headers.remove(http::header::CONTENT_LENGTH);
        Ok(Response::from_parts(parts, Body::from(body)))
    }
}

fn key(headers: &HeaderMap) -> Result<Option<Digest>, Problem> {
    let mut all = headers.get_all(KEY).iter();
    let Some(key) = all.next() else { return Ok(None) };
    let key = key.as_bytes();
    let usable = (1..=LONGEST_KEY).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    if !usable || all.next().is_some() {
        return Err(Problem::bad_request(
            "idempotency-key",
            "Idempotency-Key must be one value of 1 to 255 visible ASCII characters",
        ));
    }
    Ok(Some(jose::sha256(key)))
}

fn conflict(code: &'static str, message: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, message)
}

fn reused() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "this Idempotency-Key came with another request before",
    )
    .hint("send a fresh key with each new request")
}

fn unknown(begun: &Begun) -> Problem {
    conflict(
        "outcome-unknown",
        &format!(
            "this request began at {} and the daemon ended before its answer was kept: it may have been carried out or not",
            begun.at
        ),
    )
    .hint("look at what it was to change (connector negotiation, transfer, dataset, consent: list or show), then send what is still missing with a fresh key")
}

fn repeated(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = written(status, answer.body);
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// The id that a process opened by this request gets.
#[derive(Clone)]
pub(super) struct Opening(pub(super) Pid);

impl FromRequestParts<Arc<App>> for Opening {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        match parts.extensions.get::<Self>() {
            Some(opening) => Ok(opening.clone()),
            None => kept::fresh_pid((app.clock)()).map(Self),
        }
    }
}
