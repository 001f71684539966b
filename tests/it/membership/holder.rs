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

type Pages = Arc<Mutex<HashMap<String, Page>>>;

#[derive(Clone)]
enum Page {
    Text(String),
    Redirect(String),
}

/// The participant in place of a connector that does not run.
pub(super) struct Holder {
    pub(super) peer: Peer,
    pages: Pages,
    asked: Arc<Mutex<Vec<String>>>,
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
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (found, noted) = (pages.clone(), asked.clone());
        let routes = Router::new().fallback(move |request: Request| {
            let path = request.uri().path().to_owned();
            let page = found.lock().unwrap().get(&path).cloned();
            noted.lock().unwrap().push(path);
            async move { answer(page) }
        });
        let limits = Limits {
            drain: Duration::ZERO,
            ..Limits::default()
        };
        tokio::spawn(server::serve_public(listener, Some(tls), routes, limits, stop.clone()));
        let holder = Self {
            peer: Peer::of(of),
            pages,
            asked,
            stop,
        };
        holder.publish("/.well-known/did.json", &holder.document().to_string());
        holder
    }

    /// Shows a text under a path from now on.
    pub(super) fn publish(&self, path: &str, text: &str) {
        self.put(path, Page::Text(text.to_owned()));
    }

    /// Leads from a path to elsewhere from now on.
    pub(super) fn redirect(&self, path: &str, to: &str) {
        self.put(path, Page::Redirect(to.to_owned()));
    }

    fn put(&self, path: &str, page: Page) {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    /// How often a path was asked for.
    pub(super) fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == path).count()
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

fn answer(page: Option<Page>) -> Response {
    let response = Response::builder();
    let response = match page {
        Some(Page::Text(text)) => response.body(Body::from(text)),
        Some(Page::Redirect(to)) => response
            .status(StatusCode::FOUND)
            .header("location", to)
            .body(Body::empty()),
        None => response.status(StatusCode::NOT_FOUND).body(Body::empty()),
    };
    response.expect("a response")
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
