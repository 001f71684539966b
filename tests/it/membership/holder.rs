//! A participant that is a program of the tests: it holds the keys that `connector init` made for a connector, and publishes whatever the
//! test says, its DID document and presentation among it.

use axum::{Router, body::Body, extract::Request, response::Response};
use connector::http::{Limits, server, tls};
use connector_tests::{harness::Connector, peer::Peer};
use http::StatusCode;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

type Pages = Arc<Mutex<HashMap<String, String>>>;

/// The participant in place of a connector that does not run.
pub(super) struct Holder {
    pub(super) peer: Peer,
    pages: Pages,
    stop: CancellationToken,
}

impl Holder {
    pub(super) async fn start(of: &Connector) -> Self {
        let settings = tls::Settings {
            certificate: of.dir.join("tls.pem"),
            key: of.dir.join("tls-key.pem"),
            allow_tls12: false,
        };
        let tls = Arc::new(tls::Tls::load(settings).expect("init wrote a certificate"));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", of.port))
            .await
            .expect("the port is free");
        let (pages, stop) = (Pages::default(), CancellationToken::new());
        let found = pages.clone();
        let routes = Router::new().fallback(move |request: Request| {
            let page = found.lock().unwrap().get(request.uri().path()).cloned();
            async move {
                let mut response = Response::new(Body::from(page.clone().unwrap_or_default()));
                if page.is_none() {
                    *response.status_mut() = StatusCode::NOT_FOUND;
                }
                response
            }
        });
        let limits = Limits {
            drain: Duration::ZERO,
            ..Limits::default()
        };
        tokio::spawn(server::serve_public(listener, Some(tls), routes, limits, stop.clone()));
        let holder = Self {
            peer: Peer::of(of),
            pages,
            stop,
        };
        holder.publish("/.well-known/did.json", &holder.document().to_string());
        holder
    }

    /// Shows a text under a path from now on.
    pub(super) fn publish(&self, path: &str, text: &str) {
        self.pages.lock().unwrap().insert(path.to_owned(), text.to_owned());
    }

    /// A DID document that leads to `/vp.jwt`.
    pub(super) fn document(&self) -> Value {
        let (did, kid) = (&self.peer.did, self.peer.signer.kid());
        json!({
            "id": did,
            "verificationMethod": [{"id": kid, "type": "JsonWebKey2020", "controller": did, "publicKeyJwk": self.peer.signer.key().public_jwk()}],
            "assertionMethod": [kid], "authentication": [kid],
            "service": [{"id": format!("{did}#vp"), "type": "LinkedVerifiablePresentation", "serviceEndpoint": format!("{}/vp.jwt", self.peer.root)}],
        })
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
