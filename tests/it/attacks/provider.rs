//! A hostile provider: the connector is the consumer, and everything that it asks is answered by the test.

mod agreements;
mod streams;

use super::{Attack, Process, picture, record, records_offer, repel, rests, stranger, tally};
use connector::{
    clock,
    jose::{
        self,
        agreement::{Document, Role},
    },
};
use connector_tests::{
    harness::{Connector, World, text},
    peer::{Asked, CONTEXT, Listener, Peer, catalog_request, message, uuid},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// A consumer that runs, and the provider `school` played by the test.
pub(super) struct Rig {
    world: World,
    pub(super) provider: Peer,
    pub(super) listener: Listener,
}

impl Rig {
    pub(super) async fn start() -> Self {
        let mut world = World::init(&["school", "work"]);
        let work = world.get_mut("work");
        // What is not settled is tried again soon, so that the tests see it.
        let config = std::fs::read_to_string(work.config())
            .unwrap()
            .replace("#longest = \"1m\"", "longest = \"300ms\"");
        std::fs::write(work.config(), config).unwrap();
        work.start().await;
        let provider = Peer::of(world.get("school"));
        let listener = provider.listen().await;
        Self {
            world,
            provider,
            listener,
        }
    }

    pub(super) fn work(&self) -> &Connector {
        self.world.get("work")
    }

    /// A catalog of mine that is right.
    pub(super) fn catalog(&self) -> Value {
        let mut offer = records_offer();
        offer.as_object_mut().unwrap().shift_remove("target");
        let service = json!({"@id": "urn:service", "@type": "DataService", "endpointURL": self.provider.base()});
        json!({"@context": [CONTEXT], "@id": "urn:catalog", "@type": "Catalog", "participantId": self.provider.did,
            "service": [service], "dataset": [{"@id": "records", "@type": "Dataset", "hasPolicy": [offer],
            "distribution": [{"@type": "Distribution", "format": "HttpData-PULL", "accessService": service}]}]})
    }

    /// Lets the consumer ask for the catalog, and answers as `answer` says.
    pub(super) async fn asked_for_catalog(&mut self, answer: impl FnOnce(Asked)) -> (StatusCode, Value) {
        let work = self.world.get("work");
        let call = work.call(Method::GET, "/v1/catalog?peer=school", None);
        let listener = &mut self.listener;
        let (shown, ()) = tokio::join!(call, async { answer(listener.expect("/catalog/request").await) });
        shown
    }

    /// Lets the consumer open a negotiation; it rests in REQUESTED.
    pub(super) async fn requested(&mut self) -> Process {
        let (work, catalog) = (self.world.get("work"), self.catalog());
        let wanted = json!({"peer": self.provider.did, "offer": "records"});
        let listener = &mut self.listener;
        let (opened, ()) = tokio::join!(work.post("/v1/negotiations", &wanted), async {
            listener.expect("/catalog/request").await.answer(200, &catalog);
        });
        let asked = listener.expect("/negotiations/request").await;
        let process = Process {
            consumer: text(&opened, "pid"),
            provider: uuid(),
            request: jose::sha256(&asked.body),
        };
        assert_eq!(asked.json()["consumerPid"], json!(process.consumer));
        asked.answer(201, &acknowledgement("ContractNegotiation", &process, "REQUESTED"));
        rests(self.work(), "negotiations", &process.consumer, "REQUESTED").await;
        process
    }

    /// The agreement that the consumer expects.
    fn agreement(&self) -> Value {
        let mut agreement = records_offer();
        let members = agreement.as_object_mut().unwrap();
        members.insert("@id".into(), json!(uuid()));
        members.insert("@type".into(), json!("Agreement"));
        members.insert("assigner".into(), json!(self.provider.did));
        members.insert("assignee".into(), json!(self.work().did));
        members.insert("timestamp".into(), json!(clock::now().to_string()));
        agreement
    }

    /// The agreement message with this signature.
    fn proposal(
        &self,
        process: &Process,
        agreement: &Value,
        signature: Option<String>,
    ) -> connector_tests::peer::Letter {
        let body = process.message("ContractAgreementMessage", json!({"agreement": agreement}));
        let path = format!("/negotiations/{}/agreement", process.consumer);
        let mut letter = self.provider.letter(self.work(), &path, &body);
        if let Some(signature) = signature {
            letter.headers.push(("x-dsp-agreement-signature", signature));
        }
        letter
    }

    fn signed(&self, process: &Process, agreement: &Value) -> String {
        record(process, &self.provider, &Peer::of(self.work()), agreement.clone())
            .sign(&self.provider.signer, Role::Assigner, clock::now())
            .unwrap()
    }

    /// Goes on until the consumer has verified; returns the agreement and the hash of the document.
    async fn verified(&mut self) -> (Process, Value, String) {
        let process = self.requested().await;
        let agreement = self.agreement();
        let mine = self.signed(&process, &agreement);
        let letter = self.proposal(&process, &agreement, Some(mine.clone()));
        let reply = self.provider.send(self.work(), &letter).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let asked = self.listener.expect("/agreement/verification").await;
        let theirs = asked.headers["x-dsp-agreement-signature"].to_str().unwrap().to_owned();
        let record = record(&process, &self.provider, &Peer::of(self.work()), agreement.clone());
        let document = Document::assemble(record, &mine, &theirs).unwrap();
        asked.answer(200, &acknowledgement("ContractNegotiation", &process, "VERIFIED"));
        rests(self.work(), "negotiations", &process.consumer, "VERIFIED").await;
        let hash = jose::sha256(&document.to_bytes().unwrap()).to_string();
        (process, agreement, hash)
    }

    fn finalization(&self, process: &Process, hash: Option<&str>) -> connector_tests::peer::Letter {
        let body = process.message("ContractNegotiationEventMessage", json!({"eventType": "FINALIZED"}));
        let path = format!("/negotiations/{}/events", process.consumer);
        let mut letter = self.provider.letter(self.work(), &path, &body);
        if let Some(hash) = hash {
            letter.headers.push(("x-dsp-agreement-document", hash.to_owned()));
        }
        letter
    }

    /// Goes to the end; returns the agreement's id.
    async fn finalized(&mut self) -> String {
        let (process, agreement, hash) = self.verified().await;
        let letter = self.finalization(&process, Some(&hash));
        let reply = self.provider.send(self.work(), &letter).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        text(&agreement, "@id")
    }

    /// Lets the consumer ask for a transfer; it rests in REQUESTED.
    async fn transfer(&mut self, agreement: &str) -> Process {
        let opened = self.work().transfer(agreement).await;
        let asked = self.listener.expect("/transfers/request").await;
        let process = Process {
            consumer: opened,
            provider: uuid(),
            request: jose::Digest::EMPTY,
        };
        asked.answer(201, &acknowledgement("TransferProcess", &process, "REQUESTED"));
        rests(self.work(), "transfers", &process.consumer, "REQUESTED").await;
        process
    }

    fn start_message(&self, process: &Process, address: Value) -> connector_tests::peer::Letter {
        let body = process.message("TransferStartMessage", json!({"dataAddress": address}));
        let path = format!("/transfers/{}/start", process.consumer);
        self.provider.letter(self.work(), &path, &body)
    }

    fn address(&self, process: &Process) -> Value {
        json!({"@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
            "endpoint": format!("{}/data/{}", self.provider.root, process.provider),
            "endpointProperties": [{"@type": "EndpointProperty", "name": "authorization", "value": "t"}]})
    }
}

pub(super) fn acknowledgement(kind: &str, process: &Process, state: &str) -> Value {
    json!({"@context": [CONTEXT], "@type": kind, "consumerPid": process.consumer, "providerPid": process.provider,
        "state": state})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_is_believed_only_as_the_signed_answer_to_the_question() {
    let mut rig = Rig::start().await;
    let catalog = rig.catalog();
    let (status, shown) = rig.asked_for_catalog(|asked| asked.answer(200, &catalog)).await;
    assert_eq!(status, 200, "{shown}");
    let before = picture(rig.work()).await;
    let memory = rig.work().rss_mib();
    let mut earlier = String::new();
    rig.asked_for_catalog(|asked| {
        earlier = asked.signature();
        asked.answer(200, &catalog);
    })
    .await;
    let strange = rig.provider.signing_as(stranger(rig.provider.signer.kid()));
    let nobody = rig.provider.signing_as(stranger("did:web:nobody.invalid#k1"));
    let with = |member: &str, value: Value| {
        let mut changed = catalog.clone();
        changed[member] = value;
        changed
    };
    type Answer = Box<dyn FnOnce(Asked)>;
    let say = |body: Value| -> Answer { Box::new(move |asked| asked.answer(200, &body)) };
    let raw = |status, body: Vec<u8>| -> Answer { Box::new(move |asked| asked.answer_raw(status, body, &[])) };
    let large = with("title", json!("a".repeat(10 << 20)));
    let (copy, another, for_other) = (catalog.clone(), catalog.clone(), catalog.clone());
    let (me, changed) = (rig.work().did.clone(), catalog.clone());
    let answers: Vec<(&str, Answer)> = vec![
        ("unsigned", raw(200, catalog.to_string().into_bytes())),
        (
            "signed for another request",
            Box::new(move |asked| asked.answer_for(&earlier, 200, &copy)),
        ),
        (
            "signed by a key of nobody's",
            Box::new(move |asked| asked.signed_by(&strange, &another)),
        ),
        (
            "signed by a stranger",
            Box::new(move |asked| asked.signed_by(&nobody, &for_other)),
        ),
        (
            "signed for another status",
            Box::new(move |asked| asked.signed_status(200, 203, &changed)),
        ),
        ("of another participant", say(with("participantId", json!(me)))),
        ("of no participant", say(with("participantId", json!(null)))),
        ("of another type", say(with("@type", json!("Dataset")))),
        ("without context", say(with("@context", json!(null)))),
        (
            "with a dataset without id",
            say(with("dataset", json!([{"@type": "Dataset"}]))),
        ),
        (
            "with an offer without id",
            say(with("dataset", json!([{"@id": "x", "hasPolicy": [{}]}]))),
        ),
        ("of 10 MiB", say(large)),
        ("of 10 MiB, unsigned", raw(200, vec![b'a'; 10 << 20])),
        ("no JSON", raw(200, b"hello".to_vec())),
        ("nested deeply", raw(200, "[".repeat(100_000).into_bytes())),
        ("empty", raw(200, Vec::new())),
        ("refused without a signature", raw(403, b"{}".to_vec())),
        (
            "a redirect",
            Box::new(|asked| asked.answer_raw(307, Vec::new(), &[("location", "https://localhost/".into())])),
        ),
        ("a failure", raw(500, Vec::new())),
        (
            "two signatures",
            Box::new(|asked| {
                asked.answer_raw(
                    200,
                    b"{}".to_vec(),
                    &[("x-jws-signature", "a..b".into()), ("x-jws-signature", "a..b".into())],
                )
            }),
        ),
    ];
    let count = answers.len();
    for (name, answer) in answers {
        let (status, shown) = rig.asked_for_catalog(answer).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{name}: {shown}");
        assert_eq!(shown["error"]["code"], "peer-failed", "{name}: {shown}");
    }
    assert_eq!(before, picture(rig.work()).await);
    let grown = rig.work().rss_mib() - memory;
    assert!(grown < 20.0, "grown by {grown:.1} MiB");
    tally("a hostile catalog", count);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_provider_at_the_wrong_time_move_nothing() {
    let mut rig = Rig::start().await;
    let requested = rig.requested().await;
    let (verified, agreement, _) = rig.verified().await;
    let id = rig.finalized().await;
    let transfer = rig.transfer(&id).await;
    let negotiation_kinds = [
        (
            "request",
            "request",
            "ContractRequestMessage",
            json!({"offer": records_offer()}),
        ),
        (
            "accepted",
            "events",
            "ContractNegotiationEventMessage",
            json!({"eventType": "ACCEPTED"}),
        ),
        (
            "offer",
            "offers",
            "ContractOfferMessage",
            json!({"offer": records_offer()}),
        ),
        (
            "agreement",
            "agreement",
            "ContractAgreementMessage",
            json!({"agreement": agreement}),
        ),
        (
            "verification",
            "agreement/verification",
            "ContractAgreementVerificationMessage",
            json!({}),
        ),
        (
            "finalized",
            "events",
            "ContractNegotiationEventMessage",
            json!({"eventType": "FINALIZED"}),
        ),
    ];
    let states: [(&Process, &[&str]); 2] = [(&requested, &["offer", "agreement"]), (&verified, &["finalized"])];
    let mut attacks = Vec::new();
    for (process, legal) in states {
        for (name, address, kind, members) in &negotiation_kinds {
            if !legal.contains(name) {
                let path = format!("/negotiations/{}/{address}", process.consumer);
                let letter = rig
                    .provider
                    .letter(rig.work(), &path, &process.message(kind, members.clone()));
                attacks.push(Attack::new(*name, letter, 400, "illegal-state"));
            }
        }
    }
    for (kind, address) in [
        ("TransferSuspensionMessage", "suspension"),
        ("TransferCompletionMessage", "completion"),
    ] {
        let path = format!("/transfers/{}/{address}", transfer.consumer);
        let letter = rig
            .provider
            .letter(rig.work(), &path, &transfer.message(kind, json!({})));
        attacks.push(Attack::new(kind, letter, 400, "illegal-state"));
    }
    // A consumer opens negotiations and nobody else does.
    let opening = message(
        "ContractOfferMessage",
        json!({"providerPid": uuid(), "callbackAddress": rig.provider.base(), "offer": records_offer()}),
    );
    let letter = rig.provider.letter(rig.work(), "/negotiations/request", &opening);
    attacks.push(Attack::new(
        "an offer at the address of requests",
        letter,
        400,
        "wrong-address",
    ));
    let nothing = rig.start_message(&transfer, json!(null));
    attacks.push(Attack::new(
        "a start without an address",
        nothing,
        400,
        "invalid-message",
    ));
    let mut no_endpoint = rig.address(&transfer);
    no_endpoint["endpoint"] = json!(null);
    let letter = rig.start_message(&transfer, no_endpoint);
    attacks.push(Attack::new("a start without an endpoint", letter, 400, "invalid"));
    for endpoint in [
        "file:///etc/passwd",
        "https://u:p@localhost/",
        "/data",
        "gopher://localhost/",
    ] {
        let mut address = rig.address(&transfer);
        address["endpoint"] = json!(endpoint);
        let letter = rig.start_message(&transfer, address);
        attacks.push(Attack::new(
            format!("a start at {endpoint}"),
            letter,
            400,
            "invalid-message",
        ));
    }
    repel("a provider at the wrong time", rig.work(), &rig.provider, attacks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_the_peers_settles_nothing() {
    let mut rig = Rig::start().await;
    let (work, catalog) = (rig.world.get("work"), rig.catalog());
    let wanted = json!({"peer": rig.provider.did, "offer": "records"});
    let listener = &mut rig.listener;
    let (opened, ()) = tokio::join!(work.post("/v1/negotiations", &wanted), async {
        listener.expect("/catalog/request").await.answer(200, &catalog);
    });
    let process = Process {
        consumer: text(&opened, "pid"),
        provider: uuid(),
        request: jose::Digest::EMPTY,
    };
    let good = acknowledgement("ContractNegotiation", &process, "REQUESTED");
    let strange = rig.provider.signing_as(stranger(rig.provider.signer.kid()));
    let path = format!("/v1/negotiations/{}", process.consumer);
    let error = json!({"@context": [CONTEXT], "@type": "ContractNegotiationError", "code": "x", "reason": ["no"]});
    type Answer = Box<dyn FnOnce(Asked)>;
    let (a, b, c) = (good.clone(), good.clone(), good.clone());
    let (e, f) = (error.clone(), error.clone());
    let answers: Vec<(&str, Answer)> = vec![
        (
            "unsigned",
            Box::new(move |asked| asked.answer_raw(201, a.to_string().into_bytes(), &[])),
        ),
        (
            "signed with another key",
            Box::new(move |asked| asked.signed_by(&strange, &b)),
        ),
        (
            "signed for another status",
            Box::new(move |asked| asked.signed_status(200, 201, &c)),
        ),
        (
            "an unsigned refusal",
            Box::new(move |asked| asked.answer_raw(400, e.to_string().into_bytes(), &[])),
        ),
        ("not now", Box::new(move |asked| asked.answer(503, &f))),
        (
            "too large",
            Box::new(|asked| asked.answer(201, &json!({"x": "a".repeat(10 << 20)}))),
        ),
        (
            "a redirect",
            Box::new(|asked| asked.answer_raw(308, Vec::new(), &[("location", "https://localhost/".into())])),
        ),
    ];
    let count = answers.len();
    let mut body = None;
    for (name, answer) in answers {
        let asked = rig.listener.expect("/negotiations/request").await;
        // A message keeps its id and body over all attempts; its signature is made anew.
        assert_eq!(*body.get_or_insert_with(|| asked.body.clone()), asked.body, "{name}");
        answer(asked);
        let shown = rig.work().get(&path).await;
        assert_eq!(shown["pending"].as_array().map(Vec::len), Some(1), "{name}: {shown}");
        assert!(shown["peerPid"].is_null(), "{name}: {shown}");
    }
    let asked = rig.listener.expect("/negotiations/request").await;
    asked.answer(201, &good);
    rests(rig.work(), "negotiations", &process.consumer, "REQUESTED").await;
    // A signed question of the provider works; the consumer was never confused.
    let reply = rig
        .provider
        .say(rig.work(), "/catalog/request", &catalog_request())
        .await;
    assert_eq!(reply.status, 200);
    tally("answers that are not the peer's", count);
}
