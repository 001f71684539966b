//! Everything here is sent by a configured peer gone bad, or by a stranger, to a running daemon over the network. Of every attack is asked:
//! a status and a code in a typed error, a signature on the answer once the caller is known, and that nothing changed.

mod bodies;
mod data;
mod devised;
mod forger;
mod network;
mod pitfalls;
mod properties;
mod provider;
mod signatures;
mod states;

use connector::{
    clock,
    jose::{
        self, Digest,
        agreement::{Parts, Party, Record, Role},
        digest::sha256_parts,
    },
};
use connector_tests::{
    harness::{Connector, World, offer, text},
    peer::{Letter, Peer, Reply, catalog_request, message, uuid},
};
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Counts a group of attacks, as a line of the table of the suite `attacks`.
fn tally(group: &str, count: usize) {
    assert!(count > 0, "{group}: nothing was tried");
    println!("attacks: {group} | {count}");
}

/// Everything that an attack could change, as the operator sees it.
async fn picture(of: &Connector) -> Value {
    let mut shown = glance(of).await;
    // Under load a process may still be taking in an acknowledgement: look again until it has, or until nothing moves.
    while shown.to_string().contains("\"pending\":[\"") {
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        let again = glance(of).await;
        if again == shown {
            break;
        }
        shown = again;
    }
    shown
}

async fn glance(of: &Connector) -> Value {
    let mut status = of.get("/v1/status").await;
    status.as_object_mut().unwrap().remove("uptimeSeconds");
    let mut all = vec![status];
    for path in [
        "/v1/negotiations",
        "/v1/transfers",
        "/v1/agreements",
        "/v1/datasets",
        "/v1/consents",
    ] {
        all.push(of.get(path).await);
    }
    json!(all)
}

/// One attack and what must be answered to it.
struct Attack {
    name: String,
    letter: Letter,
    status: u16,
    code: &'static str,
    /// A word that the reason must hold.
    names: &'static str,
}

impl Attack {
    fn new(name: impl Into<String>, letter: Letter, status: u16, code: &'static str) -> Self {
        Self {
            name: name.into(),
            letter,
            status,
            code,
            names: "",
        }
    }
}

/// What an error is called on a route.
fn error_type(path: &str) -> &'static str {
    if path.contains("/catalog/") {
        "CatalogError"
    } else if path.contains("/transfers") {
        "TransferError"
    } else {
        "ContractNegotiationError"
    }
}

/// Sends the attacks one by one; fails with the list of all that did not end as they should.
async fn repel(group: &str, target: &Connector, peer: &Peer, attacks: Vec<Attack>) {
    let mut failed = Vec::new();
    for attack in &attacks {
        let before = picture(target).await;
        let reply = peer.send(target, &attack.letter).await;
        if let Some(problem) = wrong(attack, &reply) {
            failed.push(format!("{}: {problem}", attack.name));
        }
        let after = picture(target).await;
        if before != after {
            let from = before[0]["auditEntries"].as_u64().unwrap_or_default();
            let recorded = target.get(&format!("/v1/audit/entries?from={from}")).await;
            let name = &attack.name;
            failed.push(format!(
                "{name}: changed\n{before}\nto\n{after}\nand recorded {recorded}"
            ));
        }
    }
    assert!(
        failed.is_empty(),
        "{group}: {} of {}:\n{}",
        failed.len(),
        attacks.len(),
        failed.join("\n")
    );
    tally(group, attacks.len());
}

fn wrong(attack: &Attack, reply: &Reply) -> Option<String> {
    let expected = (attack.status, attack.code, error_type(&attack.letter.url));
    let found = (reply.status, reply.code(), reply.kind());
    if expected != found {
        return Some(format!("expected {expected:?}, found {found:?} {}", reply.body));
    }
    if !reply.reason().contains(attack.names) {
        return Some(format!("the reason does not name {}: {}", attack.names, reply.reason()));
    }
    // Whoever could not be verified gets an unsigned answer; everybody else can prove what was answered.
    let before_verification = matches!(reply.status, 401 | 413 | 415 | 408) && reply.code() != "replayed";
    (reply.signed == before_verification).then(|| format!("signed: {}", reply.signed))
}

/// Waits until a record of the management API says so.
async fn until(of: &Connector, path: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let shown = of.get(path).await;
        if is(&shown) {
            return shown;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{path}: not {what}: {shown}\n{}",
            of.log()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a negotiation or transfer rests in a state.
async fn rests(of: &Connector, kind: &str, pid: &str, state: &str) -> Value {
    until(of, &format!("/v1/{kind}/{pid}"), state, |shown| {
        shown["stateName"] == state && shown["pending"].as_array().is_none_or(Vec::is_empty)
    })
    .await
}

/// The offer of the dataset `records` as messages carry it.
fn records_offer() -> Value {
    let mut offer = offer();
    let members = offer.as_object_mut().unwrap();
    members.insert("@id".into(), json!("urn:offer:records"));
    members.insert("@type".into(), json!("Offer"));
    members.insert("target".into(), json!("records"));
    offer
}

/// A provider that runs, and the consumer `work` played by the test: its messages are acknowledged and told.
struct Rig {
    world: World,
    consumer: Peer,
    told: mpsc::UnboundedReceiver<(String, HeaderMap, Value)>,
}

/// A negotiation with a process of the attacker.
#[derive(Clone, Debug)]
struct Process {
    consumer: String,
    provider: String,
    /// Hash over the request.
    request: Digest,
}

impl Process {
    fn pids(&self) -> Value {
        json!({"consumerPid": self.consumer, "providerPid": self.provider})
    }

    fn message(&self, kind: &str, members: Value) -> Value {
        let mut all = self.pids();
        all.as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        message(kind, all)
    }
}

impl Rig {
    /// `school` offers ten records, or as many, of five learners who consent; `other` is a third participant.
    async fn start() -> Self {
        Self::start_with(10, |config| config).await
    }

    async fn start_with(records: u64, change: impl Fn(String) -> String) -> Self {
        Self::start_as(records, change, |consumer| consumer).await
    }

    /// The same, with the consumer changed before anybody has seen its DID document.
    async fn start_as(records: u64, change: impl Fn(String) -> String, who: impl FnOnce(Peer) -> Peer) -> Self {
        let mut world = World::init(&["school", "work", "other"]);
        let work = world.get("work").did.clone();
        for name in ["school", "other"] {
            let connector = world.get_mut(name);
            let config = std::fs::read_to_string(connector.config()).unwrap();
            std::fs::write(connector.config(), change(config)).unwrap();
            connector.start().await;
        }
        let school = world.get("school");
        school.publish(records, 5).await;
        school.consent(5, &work).await;
        let consumer = who(Peer::of(world.get("work")));
        let told = consumer.listen().await.acknowledge_all();
        Self { world, consumer, told }
    }

    /// Lets the school see the consumer's DID document: that it was seen first stands in the audit log, and is no attack's doing.
    async fn introduce(&self) {
        let path = "/catalog/request";
        let reply = self.consumer.say(self.school(), path, &catalog_request()).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    fn school(&self) -> &Connector {
        self.world.get("school")
    }

    /// The request that opens a negotiation.
    fn request(&self) -> Value {
        message(
            "ContractRequestMessage",
            json!({"consumerPid": uuid(), "callbackAddress": self.consumer.base(), "offer": records_offer()}),
        )
    }

    /// Opens a negotiation.
    async fn open(&self, offer: &Value) -> Process {
        let mut body = self.request();
        body["offer"] = offer.clone();
        let reply = self.consumer.say(self.school(), "/negotiations/request", &body).await;
        assert_eq!((reply.status, reply.signed), (201, true), "{}", reply.body);
        Process {
            consumer: text(&body, "consumerPid"),
            provider: text(&reply.body, "providerPid"),
            request: jose::sha256(body.to_string().as_bytes()),
        }
    }

    /// What the school sent of this kind in this process.
    async fn heard(&mut self, kind: &str, consumer_pid: &str) -> (HeaderMap, Value) {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), self.told.recv()).await;
            let (_, headers, body) = next
                .unwrap_or_else(|_| panic!("no {kind}\n{}", self.school().log()))
                .unwrap();
            if body["@type"] == kind && body["consumerPid"] == consumer_pid {
                return (headers, body);
            }
        }
    }

    /// Negotiates up to the agreement message; returns the process and the record that both must sign.
    async fn agreed(&mut self) -> (Process, Record, String) {
        let process = self.open(&records_offer()).await;
        let (headers, body) = self.heard("ContractAgreementMessage", &process.consumer).await;
        rests(self.school(), "negotiations", &process.provider, "AGREED").await;
        let signature = headers["x-dsp-agreement-signature"].to_str().unwrap().to_owned();
        let record = record(
            &process,
            &Peer::of(self.school()),
            &self.consumer,
            body["agreement"].clone(),
        );
        let key = Peer::of(self.school()).signer.key().verifying_key().clone();
        record.verify_signature(Role::Assigner, &signature, &key).unwrap();
        (process, record, text(&body["agreement"], "@id"))
    }

    /// Negotiates to the end; returns the agreement's id.
    async fn finalized(&mut self) -> (Process, String) {
        let (process, record, id) = self.agreed().await;
        let signature = record
            .sign(&self.consumer.signer, Role::Assignee, clock::now())
            .unwrap();
        let reply = self.verify(&process, &[signature]).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        rests(self.school(), "negotiations", &process.provider, "FINALIZED").await;
        (process, id)
    }

    /// Sends the verification with these signatures.
    async fn verify(&self, process: &Process, signatures: &[String]) -> Reply {
        self.consumer
            .send(self.school(), &self.verification(process, signatures))
            .await
    }

    fn verification(&self, process: &Process, signatures: &[String]) -> Letter {
        let body = process.message("ContractAgreementVerificationMessage", json!({}));
        let path = format!("/negotiations/{}/agreement/verification", process.provider);
        let mut letter = self.consumer.letter(self.school(), &path, &body);
        for signature in signatures {
            letter.headers.push(("x-dsp-agreement-signature", signature.clone()));
        }
        letter
    }

    /// Starts a transfer; returns the process and the data address with which the school started it.
    async fn transfer(&mut self, agreement: &str) -> (Process, String, String) {
        let body = self.transfer_request(agreement);
        let reply = self.consumer.say(self.school(), "/transfers/request", &body).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        let process = Process {
            consumer: text(&body, "consumerPid"),
            provider: text(&reply.body, "providerPid"),
            request: Digest::EMPTY,
        };
        let (_, start) = self.heard("TransferStartMessage", &process.consumer).await;
        rests(self.school(), "transfers", &process.provider, "STARTED").await;
        let (endpoint, token) = address(&start["dataAddress"]);
        (process, endpoint, token)
    }

    fn transfer_request(&self, agreement: &str) -> Value {
        message(
            "TransferRequestMessage",
            json!({"consumerPid": uuid(), "agreementId": agreement, "format": "HttpData-PULL",
                "callbackAddress": self.consumer.base()}),
        )
    }

    /// Tells the school something about a transfer.
    async fn tell(&self, process: &Process, kind: &str, path: &str) -> Reply {
        let body = process.message(kind, json!({}));
        let path = format!("/transfers/{}/{path}", process.provider);
        self.consumer.say(self.school(), &path, &body).await
    }
}

/// The URL and token of a data address.
fn address(value: &Value) -> (String, String) {
    let token = value["endpointProperties"]
        .as_array()
        .unwrap()
        .iter()
        .find(|property| property["name"] == "authorization")
        .unwrap();
    (text(value, "endpoint"), text(token, "value"))
}

/// The record of an agreement that follows a request at once.
fn record(process: &Process, provider: &Peer, consumer: &Peer, agreement: Value) -> Record {
    let party = |peer: &Peer| Party {
        did: peer.did.clone(),
        jkt: Some(peer.signer.key().verifying_key().thumbprint()),
    };
    Record::new(Parts {
        provider_pid: process.provider.clone(),
        consumer_pid: process.consumer.clone(),
        provider: party(provider),
        consumer: party(consumer),
        agreement,
        transcript: sha256_parts(&[process.request.as_bytes()]),
        claims_hash: None,
        offer_hash: None,
        rulebook_hash: None,
    })
    .unwrap()
}

/// A key that nobody published.
fn stranger(kid: &str) -> jose::Signer {
    jose::Signer::new(kid, jose::SigningKey::generate(jose::Algorithm::Es256).unwrap()).unwrap()
}

fn get(peer: &Peer, to: &Connector, path: &str) -> Letter {
    peer.seal(to, Method::GET, path, Vec::new())
}
