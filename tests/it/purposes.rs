//! An agreement for several purposes, through real daemons: learners may share for each of them by itself, and what the end of one such consent
//! takes away is told and erased.

use crate::scenes::{
    account,
    learners::{erasing, pseudonym, released},
    said, until, verified,
};
use connector::clock::now;
use connector_tests::harness::{Connector, PURPOSE, World, dataset, offer, record, text};
use serde_json::{Value, json};
use std::{fs, time::Duration};

const OTHER: &str = "https://w3id.org/dpv#ScientificResearch";

/// Erases at once, so that nobody has to wait for it.
fn fast(_: &str, config: String) -> String {
    erasing(config, 0)
}

/// Publishes ten records of each of four learners, for both purposes.
async fn publish(school: &Connector) {
    let path = school.dir.join("records.ndjson");
    let lines: String = (0..40).map(|k| record(k, k % 4)).collect();
    fs::write(&path, lines).unwrap();
    let mut terms = offer();
    terms["permission"][0]["constraint"][0] =
        json!({"leftOperand": "odrl:purpose", "operator": "isAnyOf", "rightOperand": [PURPOSE, OTHER]});
    school.post("/v1/datasets", &dataset("records", &path, terms)).await;
}

async fn notice(school: &Connector) -> String {
    let body = json!({
        "id": "two-purposes", "version": "1", "language": "fr",
        "text": "Tes compétences servent à t'orienter, et à la recherche.",
    });
    text(&school.post("/v1/notices", &body).await, "hash")
}

/// Has a learner share for one purpose; returns the consent's id.
async fn share(school: &Connector, learner: &str, recipient: &str, purpose: &str, notice: &str) -> String {
    let body = json!({
        "subject": learner, "recipient": recipient, "purpose": purpose, "categories": ["skills", "results"], "notice": notice,
        "until": now().plus(Duration::from_secs(3_600)), "actor": {"role": "learner", "method": "portal"},
    });
    let shared = school.post("/v1/shares", &body).await;
    assert_eq!(
        (&shared["state"], &shared["superseded"]),
        (&json!("given"), &json!([])),
        "{shared}"
    );
    text(&shared["consent"], "id")
}

/// Fetches the dataset under an agreement; returns the transfer's id and what the provider released.
async fn fetch(school: &Connector, work: &Connector, agreement: &str) -> (String, Value) {
    let pid = work.transfer(agreement).await;
    let done = work.transfer_until(&pid, "COMPLETED").await;
    let release = released(school, &text(&done, "peerPid")).await;
    (pid, release)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_for_each_purpose_lets_records_out_and_the_end_of_one_takes_them_back() {
    let world = World::start_with(&["school", "work"], fast).await;
    let (school, work) = (world.get("school"), world.get("work"));
    publish(school).await;
    let hash = notice(school).await;
    // One for both purposes, one for each, one for the first alone, and none.
    let both = [
        "consent",
        "share",
        "--subject",
        "l0",
        "--recipient",
        &work.did,
        "--purpose",
        PURPOSE,
        "--purpose",
        OTHER,
        "--category",
        "skills",
        "--category",
        "results",
        "--until",
        "2030-01-01T00:00:00Z",
        "--notice",
        &hash,
        "--method",
        "portal",
    ];
    assert!(said(school.cli(&both)).contains(": given"));
    share(school, "l1", &work.did, PURPOSE, &hash).await;
    let ended = share(school, "l1", &work.did, OTHER, &hash).await;
    share(school, "l2", &work.did, PURPOSE, &hash).await;
    let agreement = work.negotiate(school).await;
    let (pid, release) = fetch(school, work, &agreement).await;
    assert_eq!(
        (&release["sent"], &release["withheld"]),
        (&json!(20), &json!({"CNS-01": 10, "CNS-06": 10}))
    );
    account(school, work, &pid).await;

    let withdraw = json!({"event": "withdraw", "actor": {"role": "learner", "method": "portal"}});
    school.post(&format!("/v1/consents/{ended}/events"), &withdraw).await;
    let told = until("the recipient has erased", async || {
        let told = school.get("/v1/consents/told?subject=l1").await;
        let all = told["told"].as_array().unwrap();
        assert!(all.len() <= 1, "{told}");
        all.first().filter(|told| told["erased"].is_object()).cloned()
    })
    .await;
    let name = pseudonym(school, work, "l1").await;
    assert_eq!(
        (&told["notice"]["pseudonym"], &told["erased"]["records"]),
        (&json!(name), &json!(10)),
        "{told}"
    );
    assert_eq!(told["notice"]["agreements"], json!([agreement]));
    let (_, release) = fetch(school, work, &agreement).await;
    assert_eq!(
        (&release["sent"], &release["withheld"]),
        (&json!(10), &json!({"CNS-01": 10, "CNS-06": 20}))
    );
    // The same purpose again is enough.
    share(school, "l1", &work.did, OTHER, &hash).await;
    let (_, release) = fetch(school, work, &agreement).await;
    assert_eq!(release["sent"], 20);
    for connector in [school, work] {
        verified(connector).await;
    }
}
