//! What the tests of consents share: learners' names and links, what is told about them, and what a recipient has of their records.

use super::{brisk, file, until};
use connector_tests::{
    harness::{Connector, PURPOSE, text},
    peer::uuid,
};
use serde_json::{Value, json};
use std::{fs, path::Path};

/// The JSON-LD context of messages about consents.
pub const CONTEXT: &str = "https://w3id.org/dases/consent/v1/context.jsonld";

/// Erases at once, so that nobody has to wait for it; else as [`brisk`] has it.
pub fn erasing(config: String, bytes_per_second: u64) -> String {
    let waits = "#erase_after = \"10s\"";
    assert!(config.contains(waits));
    brisk(config.replace(waits, "erase_after = \"0s\""), bytes_per_second)
}

/// The command that enters a learner's consent to their skills from paper; the notice and whatever else is said follows.
pub fn grant<'a>(learner: &'a str, recipient: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let who = ["consent", "grant", "--subject", learner, "--recipient", recipient];
    let what = ["--purpose", PURPOSE, "--category", "skills"];
    let paper = ["--method", "paper-form", "--evidence", "file 1"];
    [&who[..], &what, &paper, more].concat()
}

/// The holder's name for a learner towards a recipient.
pub async fn pseudonym(holder: &Connector, recipient: &Connector, learner: &str) -> String {
    let body = json!({"recipient": recipient.did, "subjects": [learner]});
    text(&holder.post("/v1/pseudonyms", &body).await["pseudonyms"], learner)
}

/// The learner withdraws everything; returns the acknowledgement.
pub async fn withdraw(holder: &Connector, learner: &str) -> Value {
    holder
        .post("/v1/consents/withdraw", &json!({ "subject": learner }))
        .await
}

/// Fetches under an agreement; returns what the provider released.
pub async fn release(provider: &Connector, consumer: &Connector, agreement: &str) -> Value {
    let pid = consumer.transfer(agreement).await;
    let done = consumer.transfer_until(&pid, "COMPLETED").await;
    released(provider, &text(&done, "peerPid")).await
}

/// What the provider noted about a stream that ran to its end.
pub async fn released(provider: &Connector, pid: &str) -> Value {
    until("the release is noted", async || {
        let shown = provider.get(&format!("/v1/transfers/{pid}")).await;
        (shown["release"]["complete"] == true).then(|| shown["release"].clone())
    })
    .await
}

/// The numbers in a received file, complete or not, of the records of one pseudonym, and of all others.
pub fn numbers(path: &Path, pseudonym: &str) -> (Vec<u64>, Vec<u64>) {
    let text = fs::read_to_string(path).unwrap();
    let records: Vec<Value> = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["t"] == "r")
        .collect();
    let (theirs, others): (Vec<&Value>, Vec<&Value>) =
        records.iter().partition(|line| line["record"]["sub"] == pseudonym);
    let n = |lines: Vec<&Value>| lines.iter().map(|line| line["n"].as_u64().unwrap()).collect();
    (n(theirs), n(others))
}

/// How many lines of a received file hold this text.
pub fn lines_with(consumer: &Connector, pid: &str, part: &str) -> usize {
    let text = fs::read_to_string(file(consumer, pid)).unwrap();
    text.lines().filter(|line| line.contains(part)).count()
}

/// Waits until a participant has the holder's receipt of this state.
pub async fn received(who: &Connector, state: &str) -> Value {
    until(&format!("{} has the receipt: {state}", who.name), async || {
        let list = who.get("/v1/consents/received").await;
        let all = list["received"].as_array().unwrap();
        all.iter().find(|one| one["state"] == state).cloned()
    })
    .await
}

/// A message with other members and an id of its own.
pub fn but(message: &Value, members: Value) -> Value {
    let mut changed = message.clone();
    for (name, value) in members.as_object().unwrap() {
        changed[name] = value.clone();
    }
    changed["@id"] = uuid().into();
    changed
}

/// Makes a link as far as `confirm`; returns the ids that the holder and the other have for it.
pub async fn claimed(holder: &Connector, learner: &str, other: &Connector, theirs: &str) -> (String, String) {
    let offered = holder
        .post("/v1/links", &json!({"subject": learner, "peer": other.name}))
        .await;
    let body = json!({"peer": holder.name, "subject": theirs, "code": offered["code"]});
    let redeemed = other.post("/v1/links/redeem", &body).await;
    let id = text(&offered["link"], "id");
    until("the code is claimed", async || {
        stage(holder, &id).await.eq("claimed").then_some(())
    })
    .await;
    (id, text(&redeemed, "id"))
}

/// Links a learner of one with a learner of the other, confirmed at both.
pub async fn link(holder: &Connector, learner: &str, other: &Connector, theirs: &str) {
    let (ours, theirs) = claimed(holder, learner, other, theirs).await;
    holder
        .post(&format!("/v1/links/{ours}/confirm"), &json!({ "subject": learner }))
        .await;
    until("both know", async || {
        stage(other, &theirs).await.eq("linked").then_some(())
    })
    .await;
}

/// A link as a participant has it.
pub async fn link_of(connector: &Connector, id: &str) -> Value {
    let list = connector.get("/v1/links").await;
    let all = list["links"].as_array().unwrap();
    all.iter().find(|link| link["id"] == id).cloned().unwrap_or_default()
}

/// How far a link has come; empty when there is none.
pub async fn stage(connector: &Connector, id: &str) -> String {
    text(&link_of(connector, id).await, "stage")
}
