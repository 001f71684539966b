//! The audit log as everybody may read it (C2SP tlog-tiles) and as peers ask us to cosign theirs (C2SP tlog-witness). Nothing here is signed
//! beyond what the log itself signs, and nobody has to say who he is.
//!
//! Only hashes are served. The entries say who deals with whom and when, which is nobody's business but the operator's: they are on the
//! management API, as `/v1/log/tile/entries/{N}`. Every entry carries random bits, so the hashes do not give away a guessed one either.

use super::{App, Limits, problem::Problem, read_body, room};
use crate::audit::{
    Submission,
    tiles::{Tile, WIDTH},
    witness::Refusal,
};
use axum::{
    body::Body,
    extract::{Path, Request, State},
    response::Response,
};
use http::{HeaderValue, StatusCode, header};
use std::sync::Arc;

/// Largest request to cosign: 63 hashes and a checkpoint with many signatures.
const MAX_REQUEST: usize = 64 * 1024;
const TEXT: &str = "text/plain; charset=utf-8";

fn answer(status: StatusCode, kind: &'static str, cache: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

fn refused(problem: Problem) -> Response {
    answer(problem.status, TEXT, "no-store", format!("{}\n", problem.message))
}

/// `GET /log/checkpoint`: the newest one, with the cosignatures that witnesses gave it.
pub(super) async fn checkpoint(State(app): State<Arc<App>>) -> Response {
    match app.log.checkpoint().await {
        Ok(Some(signed)) => answer(StatusCode::OK, TEXT, "no-cache", signed.note().to_string()),
        Ok(None) => refused(Problem::not_found("checkpoint yet")),
        Err(error) => refused(error.into()),
    }
}

/// `GET /log/tile/{L}/{N}[.p/{W}]`: the hashes of a tile. They never change, but a partial tile is superseded.
pub(super) async fn tile(State(app): State<Arc<App>>, Path(path): Path<String>) -> Response {
    let missing = || refused(Problem::not_found("tile"));
    let Some((tile, width)) = Tile::read(&path) else {
        return missing();
    };
    let cache = match width {
        WIDTH => "public, max-age=31536000, immutable",
        _ => "public, max-age=3600",
    };
    match app.log.tile(tile, width).await {
        Ok(Some(bytes)) => answer(StatusCode::OK, "application/octet-stream", cache, bytes),
        Ok(None) => missing(),
        Err(error) => refused(error.into()),
    }
}

/// `POST /log/add-checkpoint`: cosigns a checkpoint of a peer's log that has only grown.
pub(super) async fn add_checkpoint(State(app): State<Arc<App>>, request: Request) -> Response {
    match cosigned(&app, request.into_body()).await {
        Ok(line) => answer(StatusCode::OK, TEXT, "no-store", line),
        Err(Rejected::Size(size)) => {
            let body = format!("{size}\n");
            answer(StatusCode::CONFLICT, "text/x.tlog.size", "no-store", body)
        }
        Err(Rejected::Problem(problem)) => refused(problem),
    }
}

enum Rejected {
    /// The caller should start from this size.
    Size(u64),
    Problem(Problem),
}

impl From<Problem> for Rejected {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

async fn cosigned(app: &App, body: Body) -> Result<String, Rejected> {
    let limits = Limits {
        body_bytes: MAX_REQUEST.min(app.limits.body_bytes),
        ..app.limits.clone()
    };
    let _room = room(&app.bodies, &body, &limits)?;
    let body = read_body(body, &limits).await?;
    let text =
        std::str::from_utf8(&body).map_err(|_| Problem::from(Refusal::Malformed("the body is not text in UTF-8")))?;
    let submission = Submission::read(text).map_err(Problem::from)?;
    let (now, origin) = ((app.clock)(), &submission.checkpoint.checkpoint().origin);
    let keys = app.trust.logs(origin, now).await;
    match app.witness.add(&submission, &keys, now).await {
        Ok(signature) => Ok(signature.to_string()),
        Err(Refusal::OtherSize(size)) => Err(Rejected::Size(size)),
        Err(refusal) => {
            if let Refusal::Forked(_) | Refusal::Inconsistent | Refusal::Contested = refusal {
                tracing::warn!(origin, %refusal, "a peer's log does not continue what was cosigned");
            }
            Err(Problem::from(refusal).into())
        }
    }
}
