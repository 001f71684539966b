//! The rows of the interoperability matrix (edc.md §4.9): each drives both sides and holds when they agree.

use super::{Pair, terms};
use crate::harness::{Connector, text};
use http::StatusCode;
use serde_json::Value;
use std::time::Duration;

/// One row: its number in the matrix and what it shows.
pub const ROWS: [(u8, &str); 8] = [
    (1, "EDC reads our catalog and dataset"),
    (2, "EDC negotiates with us"),
    (3, "EDC pulls from our data endpoint"),
    (4, "we push to EDC's destination"),
    (5, "we negotiate with EDC and get its data"),
    (6, "a policy that fails is refused with a reason"),
    (
        7,
        "lost answers, suspension, resumption and termination from both sides",
    ),
    (8, "our restart in the middle of negotiations"),
];

/// Runs a row; panics where it does not hold.
pub async fn run(row: u8, pair: &mut Pair) {
    match row {
        1 => catalog(pair).await,
        2 => negotiation(pair).await,
        3 => pull(pair).await,
        4 => push(pair).await,
        5 => as_consumer(pair).await,
        6 => refusals(pair).await,
        7 => lost_answers(pair).await,
        8 => restarts(pair).await,
        _ => panic!("there is no row {row}"),
    }
}

async fn catalog(pair: &Pair) {
    let catalog = pair.edc.catalog(&pair.us()).await;
    assert_eq!(participant(&catalog), pair.ours().did, "{catalog}");
    let listed = many(&catalog["dataset"]);
    let records = listed.iter().find(|dataset| dataset["@id"] == "records");
    let records = records.unwrap_or_else(|| panic!("EDC does not show our dataset: {catalog}"));
    let published = pair.our_offer("records").await;
    let shown = many(&records["hasPolicy"]);
    assert_eq!(shown[0]["@id"], published["@id"], "{records}");
    assert_eq!(terms::rules(shown[0]), terms::rules(&published));
    for format in ["HttpData-PULL", "HttpData-PUSH"] {
        let distributions = many(&records["distribution"]);
        assert!(
            distributions.iter().any(|one| names(&one["format"], format)),
            "no {format}: {records}"
        );
    }
    assert!(
        !listed.iter().any(|dataset| dataset["@id"] == "closed"),
        "EDC sees what is for somebody else: {catalog}"
    );
    let (status, dataset) = pair.edc.dataset(&pair.us(), "records").await;
    assert!(status.is_success() && dataset["@id"] == "records", "{status} {dataset}");
    let (status, error) = pair.edc.dataset(&pair.us(), "closed").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{error}");
    assert!(
        error.to_string().contains("CatalogError"),
        "our error does not reach EDC's operator: {error}"
    );
}

async fn negotiation(pair: &Pair) {
    let theirs = pair.edc_negotiates().await;
    let ours = pair
        .ours_until("negotiations", &text(&theirs, "@id"), "FINALIZED")
        .await;
    assert_eq!(theirs["correlationId"], ours["pid"]);
    let their_copy = pair.edc.agreement(&text(&theirs, "@id")).await;
    let our_copy = pair.our_agreement(&text(&ours, "agreementId")).await;
    // From 0.15 on EDC keeps the id of the protocol beside one of its own.
    let id = their_copy.get("agreementId").unwrap_or(&their_copy["@id"]);
    assert_eq!(id, &our_copy["id"], "{their_copy}");
    assert_eq!(their_copy["consumerId"], our_copy["consumer"]);
    assert_eq!(their_copy["providerId"], our_copy["provider"]);
    assert_eq!(their_copy["assetId"], our_copy["dataset"]);
    let rules = terms::rules(&our_copy["agreement"]);
    assert_eq!(terms::rules(&their_copy["policy"]), rules, "the agreements differ");
    assert_eq!(rules, terms::rules(&pair.our_offer("records").await));
}

/// Where EDC reads what it pulls, and with what: from its EDR cache, or where that has no API from its event.
async fn edr(pair: &Pair, transfer: &str, ear: &str) -> (String, String) {
    let event = pair
        .shop
        .event(ear, |event| {
            event["type"] == "TransferProcessStarted" && event["payload"]["transferProcessId"] == transfer
        })
        .await;
    let cached = pair.edc.edr(transfer).await;
    let properties = &event["payload"]["dataAddress"]["properties"];
    let member = |name: &str| match &cached {
        Some(address) => text(address, name),
        None => text(properties, &format!("{}{name}", super::control::EDC_NS)),
    };
    let found = (member("endpoint"), member("authorization"));
    assert!(
        !found.0.is_empty() && !found.1.is_empty(),
        "no endpoint or no token in {properties} and {cached:?}"
    );
    found
}

async fn pull(pair: &Pair) {
    let negotiation = pair.edc_negotiates().await;
    let contract = text(&negotiation, "contractAgreementId");
    let ear = format!("{}/ear-3", pair.shop.root);
    let id = pair
        .edc
        .transfer(&pair.us(), &contract, "HttpData-PULL", None, Some(&ear))
        .await;
    let started = pair.edc.transfer_until(&id, &["STARTED"]).await;
    pair.ours_until("transfers", &text(&started, "correlationId"), "STARTED")
        .await;
    let (endpoint, token) = edr(pair, &id, "/ear-3").await;
    let (status, body) = pair.fetch(&endpoint, &token).await;
    assert_eq!(status, 200, "{body}");
    permitted_records(&body);
    let (status, _) = pair.fetch(&endpoint, "not-the-token").await;
    assert!((400..500).contains(&status), "any token opens our data: {status}");
    pair.edc.command("transferprocesses", &id, "terminate").await;
    pair.edc.transfer_until(&id, &["TERMINATED"]).await;
    pair.ours_until("transfers", &text(&started, "correlationId"), "TERMINATED")
        .await;
    let (status, body) = pair.fetch(&endpoint, &token).await;
    assert_eq!(status, 403, "after the termination: {body}");
}

/// The records of the learners who consent, and nothing but the permitted category of them.
fn permitted_records(body: &str) {
    let lines: Vec<Value> = body
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    let records: Vec<&Value> = lines.iter().filter(|line| !find(line, "skills").is_null()).collect();
    assert_eq!(records.len(), super::ours::PERMITTED, "{body}");
    assert!(
        !body.contains("Learner ") && !body.contains("\"0.5\""),
        "more than was agreed: {body}"
    );
}

fn find<'a>(value: &'a Value, name: &str) -> &'a Value {
    match value {
        Value::Object(members) => match members.get(name) {
            Some(found) => found,
            None => members
                .values()
                .map(|inner| find(inner, name))
                .find(|found| !found.is_null())
                .unwrap_or(&Value::Null),
        },
        _ => &Value::Null,
    }
}

async fn push(pair: &Pair) {
    let negotiation = pair.edc_negotiates().await;
    let contract = text(&negotiation, "contractAgreementId");
    let sink = format!("{}/sink-4", pair.shop.root);
    let id = pair
        .edc
        .transfer(&pair.us(), &contract, "HttpData-PUSH", Some(&sink), None)
        .await;
    let ended = pair.edc.transfer_until(&id, &["COMPLETED"]).await;
    pair.ours_until("transfers", &text(&ended, "correlationId"), "COMPLETED")
        .await;
    let delivered = pair.shop.deliveries("/sink-4");
    assert_eq!(delivered.len(), 1, "{delivered:?}");
    permitted_records(&String::from_utf8_lossy(&delivered[0].body));
}

async fn as_consumer(pair: &Pair) {
    let ours = pair.ours();
    let catalog = ours.get("/v1/catalog?peer=edc").await;
    assert!(catalog.to_string().contains("\"goods\""), "{catalog}");
    let negotiation = pair.we_negotiate().await;
    let agreement = text(&negotiation, "agreementId");
    let theirs = pair
        .edc
        .negotiation_of(&text(&negotiation, "pid"))
        .await
        .expect("EDC has the negotiation");
    assert_eq!(theirs["state"], "FINALIZED", "{theirs}");
    let our_copy = pair.our_agreement(&agreement).await;
    let their_copy = pair.edc.agreement(&text(&theirs, "@id")).await;
    assert_eq!(
        terms::rules(&our_copy["agreement"]),
        terms::rules(&their_copy["policy"])
    );
    if pair.edc.release.serves_pulls() {
        get(pair, &agreement, "HttpData-PULL").await;
    }
    get(pair, &agreement, "HttpData-PUSH").await;
}

/// Gets EDC's goods in one way and compares them byte for byte.
async fn get(pair: &Pair, agreement: &str, format: &str) {
    let wanted = serde_json::json!({"agreement": agreement, "format": format});
    let pid = text(&pair.ours().post("/v1/transfers", &wanted).await, "pid");
    let ended = pair.ours_until("transfers", &pid, "COMPLETED").await;
    assert_eq!(received(pair.ours(), &pid), pair.goods, "{format}: {ended}");
    let theirs = pair.edc.transfer_of(&pid).await.expect("EDC has the transfer");
    // Some releases clean up behind a completed transfer at once.
    let done = ["COMPLETED", "DEPROVISIONING", "DEPROVISIONED"];
    pair.edc.transfer_until(&text(&theirs, "@id"), &done).await;
}

fn received(ours: &Connector, pid: &str) -> String {
    let name = format!("{}.ndjson", pid.rsplit(':').next().unwrap_or_default());
    std::fs::read_to_string(ours.dir.join("received").join(name)).unwrap_or_default()
}

async fn refusals(pair: &Pair) {
    // An offer for somebody else: its constraint fails for EDC, which is then told that there is no such offer.
    let id = pair
        .edc
        .request(&pair.us(), "closed", &pair.our_offer("closed").await)
        .await;
    let ended = pair.edc.negotiation_until(&id, &["TERMINATED"]).await;
    let detail = text(&ended, "errorDetail");
    assert!(
        detail.contains("ContractNegotiationError") && detail.contains("unknown-offer"),
        "EDC's operator does not see why: {ended}"
    );
    let all = pair.ours().get("/v1/negotiations").await;
    let open = many(&all["negotiations"])
        .into_iter()
        .filter(|one| one["dataset"] == "closed");
    for one in open {
        assert_eq!(one["stateName"], "TERMINATED", "{one}");
    }
    // The published offer without its constraints.
    let mut wider = pair.our_offer("records").await;
    wider["permission"] = serde_json::json!([{"action": "use"}]);
    let id = pair.edc.request(&pair.us(), "records", &wider).await;
    let ended = pair.edc.negotiation_until(&id, &["TERMINATED"]).await;
    if let Some(correlation) = ended["correlationId"].as_str() {
        pair.ours_until("negotiations", correlation, "TERMINATED").await;
    }
    // An offer that does not exist.
    let mut unknown = pair.our_offer("records").await;
    unknown["@id"] = "urn:uuid:00000000-0000-4000-8000-000000000000".into();
    let id = pair.edc.request(&pair.us(), "records", &unknown).await;
    let ended = pair.edc.negotiation_until(&id, &["TERMINATED"]).await;
    assert!(!text(&ended, "errorDetail").is_empty(), "{ended}");
}

/// The first answer to every message of ours is lost, and to EDC's suspensions and terminations. EDC's other messages are spared: when the
/// answer to one of those is lost and our next message comes before EDC's repetition, EDC takes that message and afterwards writes the state of
/// its own late acknowledgement over it: it stays in REQUESTED, VERIFIED or RESUMED while both had gone on. That is EDC's to mend.
async fn lost_answers(pair: &Pair) {
    let from_edc = ["TransferSuspensionMessage", "TransferTerminationMessage"];
    pair.to_ours.lose_first_answers_to(&from_edc);
    pair.to_edc.lose_first_answers();
    edc_drives(pair).await;
    we_drive(pair).await;
    pair.to_ours.heal();
    pair.to_edc.heal();
    for kind in from_edc {
        assert!(pair.to_ours.has_lost(kind), "no answer to EDC's {kind} was lost");
    }
    for kind in [
        "ContractAgreementMessage",
        "ContractNegotiationEventMessage",
        "ContractRequestMessage",
        "TransferStartMessage",
        "TransferSuspensionMessage",
        "TransferTerminationMessage",
    ] {
        assert!(pair.to_edc.has_lost(kind), "no answer to our {kind} was lost");
    }
}

/// EDC is the consumer.
async fn edc_drives(pair: &Pair) {
    let negotiation = pair.edc_negotiates().await;
    pair.ours_until("negotiations", &text(&negotiation, "@id"), "FINALIZED")
        .await;
    let contract = text(&negotiation, "contractAgreementId");
    for last in ["edc", "ours"] {
        let id = pair
            .edc
            .transfer(&pair.us(), &contract, "HttpData-PULL", None, None)
            .await;
        let started = pair.edc.transfer_until(&id, &["STARTED"]).await;
        let pid = text(&started, "correlationId");
        agree(pair, &id, &pid, "STARTED").await;
        pair.edc.command("transferprocesses", &id, "suspend").await;
        agree(pair, &id, &pid, "SUSPENDED").await;
        pair.edc.command("transferprocesses", &id, "resume").await;
        agree(pair, &id, &pid, "STARTED").await;
        pair.we("transfers", &pid, "suspend").await;
        agree(pair, &id, &pid, "SUSPENDED").await;
        pair.we("transfers", &pid, "start").await;
        agree(pair, &id, &pid, "STARTED").await;
        match last {
            "edc" => pair.edc.command("transferprocesses", &id, "terminate").await,
            _ => drop(pair.we("transfers", &pid, "terminate").await),
        }
        agree(pair, &id, &pid, "TERMINATED").await;
    }
}

/// We are the consumer.
async fn we_drive(pair: &Pair) {
    let negotiation = pair.we_negotiate().await;
    pair.edc_finalized(&text(&negotiation, "pid")).await;
    let agreement = text(&negotiation, "agreementId");
    get(pair, &agreement, "HttpData-PUSH").await;
    // A negotiation that we give up: EDC agrees by itself and at once, so it is asked for what it must refuse.
    let nothing = serde_json::json!({"peer": "edc", "address": format!("{}/protocol/2025-1", pair.to_edc.root),
        "offer": "bm90aGluZw==:bm90aGluZw==:bm90aGluZw==", "dataset": "nothing"});
    let opened = pair.ours().post("/v1/negotiations", &nothing).await;
    pair.ours_until("negotiations", &text(&opened, "pid"), "TERMINATED")
        .await;
}

/// Both sides say the same of a transfer, and go on saying so.
async fn agree(pair: &Pair, id: &str, pid: &str, state: &str) {
    pair.edc.transfer_until(id, &[state]).await;
    pair.ours_until("transfers", pid, state).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    let (theirs, ours) = (
        pair.edc.transfer_now(id).await,
        pair.ours_until("transfers", pid, state).await,
    );
    assert_eq!(theirs["state"], ours["stateName"], "{theirs} {ours}");
}

async fn restarts(pair: &mut Pair) {
    for (kind, from_us, deliver) in [
        ("ContractAgreementMessage", true, false),
        ("ContractAgreementMessage", true, true),
        ("ContractAgreementVerificationMessage", false, true),
        ("ContractNegotiationEventMessage", true, true),
    ] {
        let mut held = if from_us { &pair.to_edc } else { &pair.to_ours }.hold(kind, deliver);
        let offer = pair.our_offer("records").await;
        let id = pair.edc.request(&pair.us(), "records", &offer).await;
        kill_while_held(pair, &mut held, kind).await;
        pair.edc.negotiation_until(&id, &["FINALIZED"]).await;
        pair.ours_until("negotiations", &id, "FINALIZED").await;
    }
    for (kind, from_us, deliver) in [
        ("ContractRequestMessage", true, false),
        ("ContractAgreementMessage", false, true),
        ("ContractAgreementVerificationMessage", true, true),
    ] {
        let mut held = if from_us { &pair.to_edc } else { &pair.to_ours }.hold(kind, deliver);
        let asked = serde_json::json!({"peer": "edc", "offer": "goods"});
        let pid = text(&pair.ours().post("/v1/negotiations", &asked).await, "pid");
        kill_while_held(pair, &mut held, kind).await;
        pair.we_finalize(&pid).await;
        let theirs = pair.edc.negotiation_of(&pid).await.expect("EDC has the negotiation");
        pair.edc.negotiation_until(&text(&theirs, "@id"), &["FINALIZED"]).await;
    }
}

/// SIGKILL while the wire holds a message, and a new start.
async fn kill_while_held(pair: &mut Pair, held: &mut tokio::sync::mpsc::Receiver<super::wire::Held>, kind: &str) {
    let message = tokio::time::timeout(Duration::from_secs(20), held.recv()).await;
    let message = message.unwrap_or_else(|_| panic!("no {kind} came by"));
    pair.ours_mut().kill();
    drop(message);
    pair.ours_mut().start().await;
}

fn participant(catalog: &Value) -> String {
    let plain = text(catalog, "participantId");
    let prefixed = [
        &catalog["dspace:participantId"],
        &catalog["https://w3id.org/dspace/2025/1/participantId"],
    ];
    let named = prefixed
        .iter()
        .find_map(|value| value.as_str().or_else(|| value["@id"].as_str()));
    if plain.is_empty() {
        named.unwrap_or_default().to_owned()
    } else {
        plain
    }
}

fn names(value: &Value, name: &str) -> bool {
    value == name || value["@id"] == name
}

fn many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(all) => all.iter().collect(),
        one => vec![one],
    }
}
