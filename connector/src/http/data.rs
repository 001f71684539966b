//! The data endpoint: a token opens the stream of one transfer, to be pulled from a provider or pushed to a consumer.

use super::{App, Connection, dsp::plain, problem::Problem};
use crate::{
    dsp::Pid,
    plane::{PlaneError, lines, outgoing::Outgoing, paced::Paced},
    transfer::{RECEIPT_HEADER, TransferError},
};
use axum::{
    body::Body,
    extract::{Path, Query, Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;
use serde_json::json;
use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
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
    Ok(Limited {
        body: Paced::new(body, app.limits.body_timeout, reset),
        _permit: permit,
    })
}

/// The token, after the scheme `Bearer` (compared without case, RFC 9110 §11.1) or alone, as EDC sends what it was given.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    match value.split_once(' ') {
        None => Some(value),
        Some((scheme, token)) => scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()),
    }
}

/// A stream that counts against the limit as long as it lives.
struct Limited {
    body: Paced<Outgoing>,
    _permit: OwnedSemaphorePermit,
}

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = PlaneError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, PlaneError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
}

/// `POST /data/{consumerPid}`: a provider pushes. The answer carries the receipt, if the stream was one that can be signed for.
pub(super) async fn receive(State(app): State<Arc<App>>, Path(pid): Path<String>, request: Request) -> Response {
    let token = bearer(request.headers()).map(str::to_owned);
    match take_in(&app, &pid, token.as_deref(), request).await {
        Ok(receipt) => {
            let mut response = plain(StatusCode::OK, &json!({}));
            if let Some(receipt) = receipt.and_then(|receipt| HeaderValue::from_str(&receipt).ok()) {
                response.headers_mut().insert(RECEIPT_HEADER, receipt);
            }
            response
        }
        Err(problem) => {
            tracing::info!(pid, code = problem.code, problem.message, "pushed data was refused");
            plain(problem.status, &problem.dsp("TransferError", None))
        }
    }
}

async fn take_in(app: &Arc<App>, pid: &str, token: Option<&str>, request: Request) -> Result<Option<String>, Problem> {
    let pid: Pid = pid.parse().map_err(|_| Problem::from(TransferError::Token))?;
    let token = token.ok_or(TransferError::Token)?;
    let _permit = app
        .streams
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::from(TransferError::TooManyStreams))?;
    let silence = app.limits.body_timeout;
    let body = futures_util::stream::unfold(request.into_body(), move |mut body| async move {
        let frame = tokio::time::timeout(silence, body.frame()).await;
        let bytes = match frame {
            Ok(None) => return None,
            Ok(Some(Ok(frame))) => Ok(frame.into_data().unwrap_or_default()),
            Ok(Some(Err(_))) | Err(_) => Err(PlaneError::Incomplete),
        };
        Some((bytes, body))
    });
    Ok(app.transfers.pushed(&pid, token, Box::pin(body), (app.clock)()).await?)
}
