//! The routes on which connectors tell each other about consents: verify, hand to the exchange, sign the answer.

use super::{
    App,
    dsp::{Family, Refusal, Reply, verified},
};
use crate::{
    consent::{
        exchange::{Content, Decision, Disclosure, Erasure, Receipt, Request as ConsentRequest, Withdrawal},
        links::{LinkConfirmation, LinkRequest},
    },
    http::problem::Problem,
    trust::Verified,
};
use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::post,
};
use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use std::sync::Arc;

/// The routes, to be served with those of DSP.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(Withdrawal::PATH, post(withdrawal))
        .route(Erasure::PATH, post(erasure))
        .route(Disclosure::PATH, post(disclosure))
        .route(ConsentRequest::PATH, post(request))
        .route(Receipt::PATH, post(receipt))
        .route(Decision::PATH, post(decision))
        .route(LinkRequest::PATH, post(link_request))
        .route(LinkConfirmation::PATH, post(link_confirmation))
}

/// What every message goes through.
async fn taken<F, R, E>(app: &Arc<App>, request: Request, take: F) -> Response
where
    F: FnOnce(Arc<App>, Verified<Bytes>) -> R,
    R: Future<Output = Result<Value, E>>,
    E: Into<Problem>,
{
    verified(app, request, Family::Consent, |app, verified, _| async move {
        let answer = take(app, verified).await.map_err(Into::<Problem>::into)?;
        Ok::<_, Refusal>(Reply::new(StatusCode::OK, answer))
    })
    .await
}

async fn withdrawal(State(app): State<Arc<App>>, request: Request) -> Response {
    taken(&app, request, |app, verified| async move {
        app.exchange.withdrawal(verified, (app.clock)()).await
    })
    .await
}

async fn erasure(State(app): State<Arc<App>>, request: Request) -> Response {
    taken(&app, request, |app, verified| async move {
        app.exchange.erasure(verified, (app.clock)()).await
    })
    .await
}

async fn disclosure(State(app): State<Arc<App>>, request: Request) -> Response {
    taken(&app, request, |app, verified| async move {
        app.exchange.disclosure(verified, (app.clock)()).await
    })
    .await
}

async fn link_request(State(app): State<Arc<App>>, request: Request) -> Response {
    taken(&app, request, |app, verified| async move {
        app.exchange.link_request(verified, (app.clock)()).await
    })
    .await
}

async fn link_confirmation(State(app): State<Arc<App>>, request: Request) -> Response {
    taken(&app, request, |app, verified| async move {
        app.exchange.link_confirmation(verified, (app.clock)()).await
    })
    .await
}

async fn request(State(app): State<Arc<App>>, request: Request) -> Response {
    taken(&app, request, |app, verified| async move {
        app.exchange.request(verified, (app.clock)()).await
    })
    .await
}

async fn receipt(State(app): State<Arc<App>>, request: Request) -> Response {
    taken(&app, request, |app, verified| async move {
        app.exchange.receipt(verified, (app.clock)()).await
    })
    .await
}

async fn decision(State(app): State<Arc<App>>, request: Request) -> Response {
    taken(&app, request, |app, verified| async move {
        app.exchange.decision(verified, (app.clock)()).await
    })
    .await
}
