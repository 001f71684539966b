//! EDC's management API v3 as its operator uses it (edc.md §4.5).

use super::Edc;
use crate::harness::text;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The protocol by its name in EDC.
const PROTOCOL: &str = "dataspace-protocol-http:2025-1";
/// EDC's own names, as they stand in data addresses.
pub const EDC_NS: &str = "https://w3id.org/edc/v0.0.1/ns/";
/// How long EDC may take for anything, with a pause of 50 ms and its own retries.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connector as EDC's operator names it.
#[derive(Clone, Debug)]
pub struct Counterparty {
    /// Its participant id.
    pub id: String,
    /// Its protocol endpoints, with the version's path.
    pub address: String,
}

fn message(kind: &str, members: Value) -> Value {
    let mut body = json!({"@context": {"@vocab": EDC_NS}, "@type": kind});
    if let (Some(body), Value::Object(members)) = (body.as_object_mut(), members) {
        body.extend(members);
    }
    body
}

impl Edc {
    /// Calls the management API.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.management()));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("EDC answers");
        let status = answer.status();
        let bytes = answer.bytes().await.expect("a whole answer");
        let body = serde_json::from_slice(&bytes);
        (
            status,
            body.unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into()),
        )
    }

    /// Calls the management API and expects success.
    pub async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, None).await;
        assert!(status.is_success(), "EDC: GET {path}: {status} {answer}");
        answer
    }

    /// Calls the management API and expects success.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, Some(body)).await;
        assert!(status.is_success(), "EDC: POST {path}: {status} {answer}");
        answer
    }

    /// Offers an asset that lies at a URL to everybody, for any use.
    pub async fn offer(&self, asset: &str, url: &str) {
        let address = json!({"@type": "DataAddress", "type": "HttpData", "baseUrl": url});
        let body = message(
            "Asset",
            json!({"@id": asset, "properties": {"name": asset}, "dataAddress": address}),
        );
        self.post("/assets", &body).await;
        let policy =
            json!({"@context": "http://www.w3.org/ns/odrl.jsonld", "@type": "Set", "permission": [{"action": "use"}]});
        let id = format!("{asset}-policy");
        self.post(
            "/policydefinitions",
            &message("PolicyDefinition", json!({"@id": id, "policy": policy})),
        )
        .await;
        let only = json!([{"@type": "Criterion", "operandLeft": format!("{EDC_NS}id"), "operator": "=", "operandRight": asset}]);
        let definition = json!({"@id": format!("{asset}-definition"), "accessPolicyId": id, "contractPolicyId": id, "assetsSelector": only});
        self.post("/contractdefinitions", &message("ContractDefinition", definition))
            .await;
    }

    /// The catalog of a connector as EDC shows it.
    pub async fn catalog(&self, of: &Counterparty) -> Value {
        let wanted = json!({"counterPartyId": of.id, "counterPartyAddress": of.address, "protocol": PROTOCOL});
        self.post("/catalog/request", &message("CatalogRequest", wanted)).await
    }

    /// One dataset of a connector, or EDC's error.
    pub async fn dataset(&self, of: &Counterparty, id: &str) -> (StatusCode, Value) {
        let wanted =
            json!({"@id": id, "counterPartyId": of.id, "counterPartyAddress": of.address, "protocol": PROTOCOL});
        let body = message("DatasetRequest", wanted);
        self.call(Method::POST, "/catalog/dataset/request", Some(&body)).await
    }

    /// Asks a connector for a contract on an offer, whose terms are `offer`'s own; returns EDC's id of the negotiation.
    pub async fn request(&self, of: &Counterparty, dataset: &str, offer: &Value) -> String {
        let mut policy = offer.clone();
        policy["@context"] = "http://www.w3.org/ns/odrl.jsonld".into();
        policy["@type"] = "Offer".into();
        policy["assigner"] = of.id.clone().into();
        policy["target"] = dataset.into();
        let wanted =
            json!({"counterPartyId": of.id, "counterPartyAddress": of.address, "protocol": PROTOCOL, "policy": policy});
        let opened = self
            .post("/contractnegotiations", &message("ContractRequest", wanted))
            .await;
        text(&opened, "@id")
    }

    /// A negotiation now.
    pub async fn negotiation(&self, id: &str) -> Value {
        self.get(&format!("/contractnegotiations/{id}")).await
    }

    /// Waits until a negotiation has one of these states.
    pub async fn negotiation_until(&self, id: &str, states: &[&str]) -> Value {
        self.until(&format!("/contractnegotiations/{id}"), states).await
    }

    /// The state of the negotiation that has this id at the counterparty, with EDC's other facts about it.
    pub async fn negotiation_of(&self, correlation: &str) -> Option<Value> {
        self.find("/contractnegotiations/request", "correlationId", correlation)
            .await
    }

    /// The state of the transfer that has this id at the counterparty.
    pub async fn transfer_of(&self, correlation: &str) -> Option<Value> {
        self.find("/transferprocesses/request", "correlationId", correlation)
            .await
    }

    async fn find(&self, path: &str, member: &str, value: &str) -> Option<Value> {
        let query = message("QuerySpec", json!({"limit": 1000}));
        let all = self.post(path, &query).await;
        all.as_array()?.iter().find(|one| one[member] == value).cloned()
    }

    /// The agreement of a finalized negotiation.
    pub async fn agreement(&self, negotiation: &str) -> Value {
        self.get(&format!("/contractnegotiations/{negotiation}/agreement"))
            .await
    }

    /// Waits until EDC's own store gives this agreement out.
    pub async fn knows_agreement(&self, id: &str) {
        let begun = Instant::now();
        let path = format!("/contractagreements/{id}");
        while !self.call(Method::GET, &path, None).await.0.is_success() {
            assert!(
                begun.elapsed() < Duration::from_secs(15),
                "EDC says FINALIZED and does not know the agreement {id}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts a transfer, of a push to `to`; EDC tells `ear` what happens to it. Returns EDC's id of it.
    pub async fn transfer(
        &self,
        of: &Counterparty,
        contract: &str,
        format: &str,
        to: Option<&str>,
        ear: Option<&str>,
    ) -> String {
        let mut wanted = json!({
            "connectorId": of.id, "counterPartyAddress": of.address, "protocol": PROTOCOL, "contractId": contract,
            "transferType": format,
        });
        if let Some(ear) = ear {
            let events =
                json!({"@type": "CallbackAddress", "uri": ear, "transactional": false, "events": ["transfer.process"]});
            wanted["callbackAddresses"] = json!([events]);
        }
        if let Some(to) = to {
            wanted["dataDestination"] = json!({"@type": "DataAddress", "type": "HttpData", "baseUrl": to});
        }
        let opened = self
            .post("/transferprocesses", &message("TransferRequest", wanted))
            .await;
        text(&opened, "@id")
    }

    /// A transfer now.
    pub async fn transfer_now(&self, id: &str) -> Value {
        self.get(&format!("/transferprocesses/{id}")).await
    }

    /// Waits until a transfer has one of these states.
    pub async fn transfer_until(&self, id: &str, states: &[&str]) -> Value {
        self.until(&format!("/transferprocesses/{id}"), states).await
    }

    /// `suspend`, `resume` or `terminate` a transfer; `terminate` a negotiation.
    pub async fn command(&self, resource: &str, id: &str, command: &str) {
        let kind = match (resource, command) {
            ("contractnegotiations", _) => "TerminateNegotiation",
            (_, "suspend") => "SuspendTransfer",
            _ => "TerminateTransfer",
        };
        let body = message(kind, json!({"@id": id, "reason": format!("the suite says {command}")}));
        self.post(&format!("/{resource}/{id}/{command}"), &body).await;
    }

    /// Where EDC's EDR cache says that a started pull can be read, if this release has that cache's API.
    pub async fn edr(&self, transfer: &str) -> Option<Value> {
        let begun = Instant::now();
        loop {
            let path = format!("/edrs/{transfer}/dataaddress");
            match self.call(Method::GET, &path, None).await {
                (status, answer) if status.is_success() => return Some(answer),
                // The page of a server that has no such API; EDC's own errors are JSON.
                (StatusCode::NOT_FOUND, Value::String(_)) => return None,
                (status, answer) => {
                    assert!(
                        begun.elapsed() < Duration::from_secs(5),
                        "EDC: GET {path}: {status} {answer}"
                    );
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn until(&self, path: &str, states: &[&str]) -> Value {
        let begun = Instant::now();
        loop {
            let shown = self.get(path).await;
            let state = text(&shown, "state");
            if states.contains(&state.as_str()) {
                return shown;
            }
            let over = begun.elapsed() > PATIENCE || (state == "TERMINATED");
            assert!(!over, "EDC says {state} instead of {}: {shown}", states.join(" or "));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
