//! The two calls with which the kit makes the connector begin something as a consumer, handed to the management API.

use super::{bind, operator::Journal, read, serve};
use axum::{Router, extract::State, routing::post};
use bytes::Bytes;
use connector::net::local::Local;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;

struct Hooks {
    api: Local,
    journal: Arc<Journal>,
}

/// Listens on a free port; returns the root address.
pub async fn listen(api: Local, journal: Arc<Journal>) -> String {
    let (listener, root) = bind().await;
    let routes = Router::new()
        .route("/negotiations", post(negotiate))
        .route("/transfers", post(transfer))
        .with_state(Arc::new(Hooks { api, journal }));
    serve(listener, routes);
    root
}

async fn negotiate(State(hooks): State<Arc<Hooks>>, body: Bytes) -> (StatusCode, String) {
    let asked = read(&body);
    let wish = json!({"peer": asked["providerId"], "address": asked["connectorAddress"], "offer": asked["offerId"], "dataset": asked["datasetId"]});
    hooks.begin("/v1/negotiations", wish).await
}

async fn transfer(State(hooks): State<Arc<Hooks>>, body: Bytes) -> (StatusCode, String) {
    let asked = read(&body);
    let wish =
        json!({"agreement": asked["agreementId"], "format": asked["format"], "address": asked["connectorAddress"]});
    hooks.begin("/v1/transfers", wish).await
}

impl Hooks {
    async fn begin(&self, path: &str, wish: Value) -> (StatusCode, String) {
        let answer = self.api.call(Method::POST, path, Some(&wish)).await;
        self.journal.note(&format!("begin {path} {wish}"), &answer);
        match answer {
            Ok((status, _)) if status.is_success() => (StatusCode::OK, String::new()),
            Ok((status, said)) => (StatusCode::BAD_REQUEST, format!("{status} {said}")),
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()),
        }
    }
}
