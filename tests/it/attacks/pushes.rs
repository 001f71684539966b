//! A consumer that has data pushed to where nobody listens, or answers with what is no receipt for them.

use super::{Process, Rig, rests, tally, until};
use connector::{clock, jose::token};
use connector_tests::{
    harness::{self, text},
    peer::{Listener, Peer},
};
use serde_json::{Value, json};
use std::time::Duration;

/// A rig in which the test listens in the place of the third participant, which is where data are pushed to.
async fn rig() -> (Rig, Listener) {
    let soon = |config: String| config.replace("#longest = \"1m\"", "longest = \"300ms\"");
    let mut rig = Rig::start_with(10, soon).await;
    rig.world.get_mut("other").kill();
    let sink = Peer::of(rig.world.get("other")).listen().await;
    (rig, sink)
}

/// Asks for the data to be pushed to this address; the process is started.
async fn pushed(rig: &mut Rig, agreement: &str, endpoint: &str) -> Process {
    let mut body = rig.transfer_request(agreement);
    body["format"] = json!("HttpData-PUSH");
    body["dataAddress"] = json!({"@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
        "endpoint": endpoint});
    let reply = rig.consumer.say(rig.school(), "/transfers/request", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    rig.heard("TransferStartMessage", &text(&body, "consumerPid")).await;
    Process {
        consumer: text(&body, "consumerPid"),
        provider: text(&reply.body, "providerPid"),
        request: connector::jose::Digest::EMPTY,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_to_nowhere_hold_up_no_other() {
    let (mut rig, mut sink) = rig().await;
    let (_, agreement) = rig.finalized().await;
    let dead = harness::free().local_addr().unwrap().port();
    for _ in 0..20 {
        pushed(&mut rig, &agreement, &format!("https://localhost:{dead}/sink")).await;
    }
    let endpoint = format!("{}/sink", rig.world.get("other").root());
    let alive = pushed(&mut rig, &agreement, &endpoint).await;
    let asked = sink.expect("/sink").await;
    asked.answer_raw(200, b"{}".to_vec(), &[]);
    rests(rig.school(), "transfers", &alive.provider, "COMPLETED").await;
    tally("pushes to nowhere", 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_answered_with_a_wrong_receipt_ends_and_is_not_sent_again() {
    let (mut rig, mut sink) = rig().await;
    let (_, agreement) = rig.finalized().await;
    let endpoint = format!("{}/sink", rig.world.get("other").root());
    let process = pushed(&mut rig, &agreement, &endpoint).await;
    let claims = json!({"transfer": process.provider, "agreement": agreement, "dataset": "records", "count": 9,
        "root": connector::jose::sha256(b"another").to_string(), "at": clock::now()});
    let wrong = token::sign(&rig.consumer.signer, token::Kind::Receipt, &claims).unwrap();
    let asked = sink.expect("/sink").await;
    assert!(asked.body.ends_with(b"}\n"), "all of it has come");
    asked.answer_raw(200, b"{}".to_vec(), &[("x-dases-receipt", wrong)]);
    let path = format!("/v1/transfers/{}", process.provider);
    let ended = until(rig.school(), &path, "TERMINATED", |shown| {
        shown["stateName"] == "TERMINATED"
    })
    .await;
    assert!(ended["explanation"].to_string().contains("receipt"), "{ended}");
    assert_eq!(ended["receipt"], Value::Null);
    assert!(sink.next(Duration::from_secs(1)).await.is_none(), "it came again");
    tally("pushes with a wrong receipt", 1);
}
