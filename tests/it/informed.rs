//! The duty to inform (ODRL 2.2 `inform`, `informedParty`) through real daemons: the party that an agreement names is told of each transfer, however
//! long it is not there, and of nobody's records.

use crate::scenes::{entries, until, verified};
use connector_tests::{
    harness::{Connector, World, dataset, offer, text},
    peer::Peer,
};
use http::Method;
use serde_json::{Value, json};
use std::path::PathBuf;

const PATH: &str = "/dases/disclosures";

/// The usual terms, with somebody to be informed.
fn informing(party: &str) -> Value {
    let mut offer = offer();
    offer["obligation"] = json!([{"action": "odrl:inform", "odrl:informedParty": {"@id": party}}]);
    offer
}

/// An agreement about records of four learners under these terms, and the file of the records.
async fn agreed(school: &Connector, work: &Connector, terms: Value) -> (String, PathBuf) {
    let file = school.publish_under(200, 4, terms).await;
    school.consent(4, &work.did).await;
    (work.negotiate(school).await, file)
}

async fn disclosures(connector: &Connector) -> Vec<Value> {
    let list = connector.get("/v1/disclosures").await;
    list["disclosures"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_an_agreement_names_is_told_of_each_transfer_once_through_kills_and_of_no_learner() {
    let mut world = World::start(&["school", "work", "ministry"]).await;
    let ministry = world.get("ministry").did.clone();
    let agreement = agreed(world.get("school"), world.get("work"), informing(&ministry))
        .await
        .0;
    world.get_mut("ministry").kill();
    let (school, work) = (world.get("school"), world.get("work"));
    let pid = work.transfer(&agreement).await;
    let done = work.transfer_until(&pid, "COMPLETED").await;
    let [told]: [Value; 1] = disclosures(school).await.try_into().unwrap();
    assert_eq!(told["delivery"], json!({"is": "waiting"}), "nobody is there to take it");
    let said = &told["disclosure"];
    for (name, value) in [
        ("provider", &school.did),
        ("recipient", &work.did),
        ("informed", &ministry),
        ("agreement", &agreement),
        ("dataset", &"records".to_owned()),
        ("transfer", &text(&done, "peerPid")),
    ] {
        assert_eq!(said[name], **value, "{name}");
    }
    assert_eq!(said["purposes"].as_array().unwrap().len(), 1, "{said}");
    assert!(disclosures(work).await.is_empty(), "the recipient is not told");

    world.get_mut("school").kill();
    world.get_mut("school").start().await;
    world.get_mut("ministry").start().await;
    let (school, work, ministry) = (world.get("school"), world.get("work"), world.get("ministry"));
    let heard = until("the ministry is told", async || disclosures(ministry).await.pop()).await;
    assert_eq!(heard["disclosure"], *said);
    assert_eq!(heard.get("delivery"), None);
    until("the school knows", async || {
        let told = disclosures(school).await;
        (told[0]["delivery"]["is"] == "acknowledged").then_some(())
    })
    .await;
    // A second transfer is another one to be told of.
    let pid = work.transfer(&agreement).await;
    work.transfer_until(&pid, "COMPLETED").await;
    until("the ministry is told again", async || {
        (disclosures(ministry).await.len() == 2).then_some(())
    })
    .await;
    assert_eq!(disclosures(school).await.len(), 2);
    let mut sent = entries(school, "consent-message-out").await;
    sent.retain(|entry| entry["message"] == "DisclosureMessage");
    assert_eq!(sent.len(), 2, "{sent:?}");
    verified(school).await;
    verified(ministry).await;
    let shown = ministry.cli(&["transfer", "informed"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(&school.did) && shown.contains(&work.did), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_has_an_unknown_party_informed_is_not_published_and_one_that_names_the_provider_tells_nobody() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let (agreement, file) = agreed(school, work, informing(&school.did)).await;
    let pid = work.transfer(&agreement).await;
    work.transfer_until(&pid, "COMPLETED").await;
    assert!(disclosures(school).await.is_empty());
    for party in ["did:web:nobody.example", "the ministry", "https://ministry.example/"] {
        let terms = dataset("more", &file, informing(party));
        let (status, body) = school.call(Method::POST, "/v1/datasets", Some(&terms)).await;
        assert!(status.is_client_error(), "{party}: {status} {body}");
        assert!(body.to_string().contains("DUT-03"), "{body}");
        assert!(body.to_string().contains("/obligation/0"), "{body}");
    }
    let mut other = informing(&work.did);
    other["obligation"][0]["action"] = "delete".into();
    let (status, body) = school
        .call(Method::POST, "/v1/datasets", Some(&dataset("more", &file, other)))
        .await;
    assert!(
        status.is_client_error() && body.to_string().contains("POL-07"),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_says_of_others_transfers_or_to_others_is_refused_and_not_kept() {
    let world = World::start(&["school", "work", "ministry"]).await;
    let (school, work, ministry) = (world.get("school"), world.get("work"), world.get("ministry"));
    let peer = Peer::of(work);
    let good = json!({
        "@context": "https://w3id.org/dases/consent/v1/context.jsonld", "@type": "DisclosureMessage", "@id": "urn:uuid:d1",
        "provider": work.did, "recipient": school.did, "informed": ministry.did, "agreement": "urn:uuid:agreement",
        "dataset": "records", "purposes": [], "transfer": "urn:uuid:transfer", "at": "2026-01-01T00:00:00Z",
    });
    let but = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        changed
    };
    let send = async |body: &Value| {
        let bytes = body.to_string().into_bytes();
        let letter = peer.seal_below_root(ministry, Method::POST, PATH, bytes);
        peer.send(ministry, &letter).await
    };
    for (what, body, status, code) in [
        (
            "in another provider's name",
            but("provider", school.did.clone().into()),
            403,
            "wrong-party",
        ),
        (
            "meant for another",
            but("informed", school.did.clone().into()),
            403,
            "wrong-party",
        ),
        (
            "with more than is known",
            but("learner", "l1".into()),
            400,
            "invalid-message",
        ),
        ("without a time", but("at", Value::Null), 400, "invalid-message"),
        (
            "with an id of no kind",
            but("transfer", json!({"@id": "x"})),
            400,
            "invalid-message",
        ),
    ] {
        let reply = send(&body).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{what}: {}", reply.body);
    }
    assert!(disclosures(ministry).await.is_empty());
    for _ in 0..2 {
        // The second is a repetition: the same answer, and nothing more is kept.
        let reply = send(&good).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    assert_eq!(disclosures(ministry).await.len(), 1);
    let reply = send(&but("dataset", "another".into())).await;
    assert_eq!(reply.status, 409, "the same @id for something else: {}", reply.body);
}
