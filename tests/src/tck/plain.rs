//! A plain participant: JSON over HTTP with a static token, no signatures. It negotiates one agreement at a time to the end, as consumer
//! or as provider, always in the shortest way. It speaks as the kit does, before the kit runs.

use super::{PARTICIPANT, bind, read, serve};
use crate::{
    harness::text,
    peer::{message, uuid},
};
use axum::{
    Router,
    extract::{Path, State},
    routing::post,
};
use bytes::Bytes;
use connector::clock;
use http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::mpsc;

/// The participant, listening.
pub struct Plain {
    /// Its root, under which all its endpoints lie.
    pub root: String,
    /// The value of the `Authorization` header, from the connector and to it.
    pub token: String,
    client: reqwest::Client,
    boxes: Mutex<HashMap<String, mpsc::UnboundedSender<Value>>>,
}

/// How long the connector may take for a message.
const PATIENCE: Duration = Duration::from_secs(20);

impl Plain {
    /// Listens on a free port.
    pub async fn start(token: String) -> Arc<Self> {
        let (listener, root) = bind().await;
        let plain = Arc::new(Self {
            root,
            token,
            client: reqwest::Client::builder()
                .no_proxy()
                .timeout(PATIENCE)
                .build()
                .expect("a client"),
            boxes: Mutex::default(),
        });
        let routes = Router::new()
            .route("/negotiations/request", post(requested))
            .route("/negotiations/{pid}/{*rest}", post(received))
            .with_state(plain.clone());
        serve(listener, routes);
        plain
    }

    /// Asks for a dataset of the connector and goes through with it; returns the agreement's id.
    pub async fn buy(&self, connector: &str, dataset: &str, offer: &str) -> String {
        let consumer = uuid();
        let mut mail = self.open_box(&consumer);
        let offer = json!({"@id": offer, "@type": "Offer", "target": dataset, "permission": [{"action": "use"}]});
        let members = json!({"consumerPid": consumer, "callbackAddress": self.root, "offer": offer});
        let request = message("ContractRequestMessage", members);
        let provider = text(
            &self.send(connector, "/negotiations/request", &request).await,
            "providerPid",
        );
        let agreement = next(&mut mail, "ContractAgreementMessage").await;
        let verification = message(
            "ContractAgreementVerificationMessage",
            json!({"consumerPid": consumer, "providerPid": provider}),
        );
        self.send(
            connector,
            &format!("/negotiations/{provider}/agreement/verification"),
            &verification,
        )
        .await;
        next(&mut mail, "ContractNegotiationEventMessage").await;
        text(&agreement["agreement"], "@id")
    }

    /// Agrees to what was asked for and goes through with it.
    async fn sell(&self, provider: String, request: Value, mut mail: mpsc::UnboundedReceiver<Value>) {
        let (consumer, callback) = (text(&request, "consumerPid"), text(&request, "callbackAddress"));
        let participant = callback.split('/').nth(2).unwrap_or_default().replace(':', "%3A");
        let agreement = json!({
            "@id": uuid(), "@type": "Agreement", "target": request["offer"]["target"], "timestamp": clock::now().to_string(),
            "assigner": PARTICIPANT, "assignee": format!("did:web:{participant}"), "permission": [{"action": "use"}],
        });
        let pids = json!({"consumerPid": consumer, "providerPid": provider});
        let mut members = pids.clone();
        members["agreement"] = agreement;
        let body = message("ContractAgreementMessage", members);
        self.send(&callback, &format!("/negotiations/{consumer}/agreement"), &body)
            .await;
        next(&mut mail, "ContractAgreementVerificationMessage").await;
        let mut members = pids;
        members["eventType"] = json!("FINALIZED");
        let body = message("ContractNegotiationEventMessage", members);
        self.send(&callback, &format!("/negotiations/{consumer}/events"), &body)
            .await;
    }

    fn open_box(&self, pid: &str) -> mpsc::UnboundedReceiver<Value> {
        let (sender, mail) = mpsc::unbounded_channel();
        self.boxes
            .lock()
            .expect("nobody panics with it")
            .insert(pid.to_owned(), sender);
        mail
    }

    async fn send(&self, base: &str, path: &str, body: &Value) -> Value {
        let request = self
            .client
            .post(format!("{base}{path}"))
            .header(AUTHORIZATION, &self.token)
            .json(body);
        let response = request.send().await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let (status, answer) = (response.status(), response.text().await.unwrap_or_default());
        assert!(status.is_success(), "{path}: {status} {answer}");
        serde_json::from_str(&answer).unwrap_or(Value::Null)
    }

    /// Whether the caller is the connector.
    fn knows(&self, headers: &HeaderMap) -> bool {
        headers
            .get(AUTHORIZATION)
            .is_some_and(|value| value.as_bytes() == self.token.as_bytes())
    }
}

async fn next(mail: &mut mpsc::UnboundedReceiver<Value>, kind: &str) -> Value {
    let message = tokio::time::timeout(PATIENCE, mail.recv()).await;
    let message = message
        .unwrap_or_else(|_| panic!("no {kind} came"))
        .expect("an open box");
    assert_eq!(text(&message, "@type"), kind, "{message}");
    message
}

async fn requested(State(plain): State<Arc<Plain>>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    if !plain.knows(&headers) {
        return (StatusCode::UNAUTHORIZED, String::new());
    }
    let (request, provider) = (read(&body), uuid());
    let mail = plain.open_box(&provider);
    let members = json!({"consumerPid": request["consumerPid"], "providerPid": provider, "state": "REQUESTED"});
    tokio::spawn(async move { plain.sell(provider, request, mail).await });
    (StatusCode::CREATED, message("ContractNegotiation", members).to_string())
}

async fn received(
    State(plain): State<Arc<Plain>>,
    Path((pid, _)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    if !plain.knows(&headers) {
        return StatusCode::UNAUTHORIZED;
    }
    let boxes = plain.boxes.lock().expect("nobody panics with it");
    match boxes.get(&pid).map(|sender| sender.send(read(&body))) {
        Some(Ok(())) => StatusCode::OK,
        _ => StatusCode::NOT_FOUND,
    }
}
