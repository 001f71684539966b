//! The peer's other half: it listens where that participant's connector would, and hands what it is asked to the test.

use super::{CONTEXT, DSP, Peer, Publication, SIGNATURE, uuid};
use axum::{Router, body::Body, extract::Request, response::Response};
use bytes::Bytes;
use connector::{
    clock,
    http::{Limits, server, tls},
    jose::{Binding, Digest, Signer, Unverified, message::signature_digest, random, seal},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// A hostile connector: it serves its DID document and version by itself and hands everything else to the test.
pub struct Listener {
    requests: mpsc::UnboundedReceiver<Asked>,
    stop: CancellationToken,
    documents: Arc<AtomicUsize>,
}

/// A request that waits for the test's answer.
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    peer: Peer,
    answer: oneshot::Sender<Response>,
}

impl Listener {
    pub(super) async fn start(peer: Peer) -> Self {
        let settings = tls::Settings {
            certificate: peer.dir.join("tls.pem"),
            key: peer.dir.join("tls-key.pem"),
            allow_tls12: false,
        };
        let tls = Arc::new(tls::Tls::load(settings).expect("init wrote a certificate"));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", peer.port))
            .await
            .expect("the port is free");
        let (sender, requests) = mpsc::unbounded_channel();
        let (stop, documents) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let counted = documents.clone();
        let routes = Router::new().fallback(move |request: Request| {
            let (peer, sender, counted) = (peer.clone(), sender.clone(), counted.clone());
            async move { serve(peer, sender, &counted, request).await }
        });
        let limits = Limits {
            drain: Duration::ZERO,
            ..Limits::default()
        };
        tokio::spawn(server::serve_public(listener, Some(tls), routes, limits, stop.clone()));
        Self {
            requests,
            stop,
            documents,
        }
    }

    /// How often the DID document was fetched.
    pub fn documents(&self) -> usize {
        self.documents.load(Ordering::SeqCst)
    }

    /// The next request whose path ends so; others are acknowledged.
    pub async fn expect(&mut self, end: &str) -> Asked {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), self.requests.recv()).await;
            let asked = next
                .unwrap_or_else(|_| panic!("no request to …{end}"))
                .expect("a listener");
            if asked.path.ends_with(end) {
                return asked;
            }
            asked.acknowledge("TERMINATED");
        }
    }

    /// The next request, if one comes in time.
    pub async fn next(&mut self, within: Duration) -> Option<Asked> {
        tokio::time::timeout(within, self.requests.recv()).await.ok().flatten()
    }

    /// Acknowledges everything from now on and tells what came.
    pub fn acknowledge_all(mut self) -> mpsc::UnboundedReceiver<(String, HeaderMap, Value)> {
        let (sender, told) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(asked) = self.requests.recv().await {
                let _ = sender.send((asked.path.clone(), asked.headers.clone(), asked.json()));
                asked.acknowledge("ACKNOWLEDGED");
            }
        });
        told
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Asked {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The request's signature.
    pub fn signature(&self) -> String {
        self.headers
            .get(SIGNATURE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    }

    /// Answers, signed for this request.
    pub fn answer(self, status: u16, body: &Value) {
        let request = self.signature();
        self.answer_for(&request, status, body);
    }

    /// Answers with a signature that belongs to the request with that signature.
    pub fn answer_for(self, request: &str, status: u16, body: &Value) {
        let signer = self.peer.signer.clone();
        self.answer_as(&signer, request, status, status, body);
    }

    /// Answers with 200, signed by somebody else.
    pub fn signed_by(self, other: &Peer, body: &Value) {
        let request = self.signature();
        self.answer_as(&other.signer, &request, 200, 200, body);
    }

    /// Answers with a status other than the signed one.
    pub fn signed_status(self, signed: u16, sent: u16, body: &Value) {
        let (request, signer) = (self.signature(), self.peer.signer.clone());
        self.answer_as(&signer, &request, signed, sent, body);
    }

    fn answer_as(self, signer: &Signer, request: &str, signed: u16, sent: u16, body: &Value) {
        let bytes = body.to_string();
        let caller = Unverified::parse(&self.signature())
            .expect("a caller")
            .issuer()
            .to_owned();
        let request = signature_digest(request).expect("a signature");
        let binding = Binding::Response {
            request: &request,
            status: signed,
        };
        let now = clock::now();
        let id = random::message_id(now).expect("an id");
        let signature = seal(signer, &caller, binding, Digest::EMPTY, bytes.as_bytes(), now, &id);
        let signature = signature.expect("a signature");
        self.answer_raw(sent, bytes.into_bytes(), &[(SIGNATURE, signature)]);
    }

    /// Answers with anything.
    pub fn answer_raw(self, status: u16, body: Vec<u8>, headers: &[(&str, String)]) {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        for (name, value) in headers {
            response.headers_mut().append(
                HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                HeaderValue::from_str(value).expect("a value"),
            );
        }
        let _ = self.answer.send(response);
    }

    /// Acknowledges with the ids of the message.
    pub fn acknowledge(self, state: &str) {
        let body = self.json();
        let kind = if self.path.contains("/transfers/") {
            "TransferProcess"
        } else {
            "ContractNegotiation"
        };
        let provider = body.get("providerPid").cloned().unwrap_or_else(|| json!(uuid()));
        let answer = json!({"@context": [CONTEXT], "@type": kind, "consumerPid": body["consumerPid"],
            "providerPid": provider, "state": state});
        self.answer(200, &answer);
    }
}

async fn serve(
    peer: Peer,
    sender: mpsc::UnboundedSender<Asked>,
    documents: &AtomicUsize,
    request: Request,
) -> Response {
    let json = |body: Value| Response::new(Body::from(body.to_string()));
    let (parts, body) = request.into_parts();
    match parts.uri.path() {
        "/.well-known/did.json" => {
            documents.fetch_add(1, Ordering::SeqCst);
            return match &*peer.publication.read().expect("no poison") {
                Publication::Own => json(peer.document()),
                Publication::Bytes(bytes) => Response::new(Body::from(bytes.clone())),
                Publication::Redirect(to) => redirect(to),
            };
        }
        "/.well-known/dspace-version" => {
            return json(json!({"protocolVersions": [{"version": "2025-1", "path": DSP, "binding": "HTTPS"}]}));
        }
        _ => {}
    }
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap_or_default();
    let (answer, answered) = oneshot::channel();
    let asked = Asked {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body,
        peer,
        answer,
    };
    let failed = || {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
    };
    match sender.send(asked) {
        Ok(()) => answered.await.unwrap_or_else(|_| failed()),
        Err(_) => failed(),
    }
}

fn redirect(to: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let location = HeaderValue::from_str(to).expect("an address");
    response.headers_mut().insert("location", location);
    response
}
