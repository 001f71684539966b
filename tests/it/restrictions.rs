//! Restrictions of a learner's records (GDPR art. 18) through real daemons: final when acknowledged, through a kill, until they are lifted.

use crate::scenes::{
    account, brisk, entries, file,
    learners::{numbers, release, released},
    received_at_least, said, verified,
};
use connector_tests::harness::{World, text};
use http::Method;
use serde_json::json;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restriction_is_acknowledged_no_record_follows_through_a_kill_until_it_is_lifted() {
    const RECORDS: u64 = 6_000;
    let slow = |name: &str, config: String| brisk(config, if name == "school" { 400_000 } else { 0 });
    let mut world = World::start_with(&["school", "work"], slow).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(RECORDS, 10).await;
    school.consent(10, &work.did).await;
    let agreement = work.negotiate(school).await;
    let pid = work.transfer(&agreement).await;
    received_at_least(work, &pid, 200).await;
    let body = json!({"subject": "l3", "actor": {"role": "learner", "method": "letter", "evidence": "file 12"}});
    let told = school.post("/v1/restrictions", &body).await;
    let streams = told["acknowledgement"]["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 1, "{told}");
    let last = streams[0]["lastSequence"].as_u64().unwrap();
    let done = work.transfer_until(&pid, "COMPLETED").await;
    account(school, work, &pid).await;
    let (theirs, others) = numbers(&file(work, &pid), &text(&streams[0], "pseudonym"));
    assert!(
        !theirs.is_empty() && theirs.iter().all(|n| *n <= last),
        "{last} {theirs:?}"
    );
    assert!(others.iter().any(|n| *n > last), "the others go on");
    let shown = released(school, &text(&done, "peerPid")).await;
    let withheld = shown["withheld"]["CNS-14"].as_u64().unwrap();
    assert_eq!(shown["sent"].as_u64().unwrap() + withheld, RECORDS);

    world.get_mut("school").kill();
    world.get_mut("school").start().await;
    let (school, work) = (world.get("school"), world.get("work"));
    let shown = release(school, work, &agreement).await;
    assert_eq!(shown["withheld"], json!({"CNS-14": RECORDS / 10}));
    let consents = school.get("/v1/consents?subject=l3").await;
    assert_eq!(consents["consents"][0]["state"], "given", "{consents}");
    let erased = work.get("/v1/consents/retractions").await;
    assert_eq!(erased["retractions"], json!([]), "nothing is erased");

    let id = text(&told["restriction"], "id");
    school
        .post(
            &format!("/v1/restrictions/{id}/lift"),
            &json!({"actor": {"role": "learner", "method": "portal"}}),
        )
        .await;
    let shown = release(school, work, &agreement).await;
    assert_eq!((&shown["sent"], &shown["withheld"]), (&json!(RECORDS), &json!({})));
    for (kind, count) in [("processing-restricted", 1), ("restriction-lifted", 1)] {
        assert_eq!(entries(school, kind).await.len(), count, "{kind}");
    }
    verified(school).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restriction_is_set_shown_proved_and_lifted_from_the_command_line() {
    let world = World::start(&["school", "work", "edtech"]).await;
    let (school, work, edtech) = (world.get("school"), world.get("work"), world.get("edtech"));
    school.publish(40, 4).await;
    let mut agreements = Vec::new();
    for consumer in [work, edtech] {
        school.consent(4, &consumer.did).await;
        agreements.push((consumer, consumer.negotiate(school).await));
    }
    let set = [
        "restriction",
        "set",
        "--subject",
        "l1",
        "--recipient",
        &work.did,
        "--method",
        "letter",
    ];
    let told = said(school.cli(&set));
    let id = told.trim().rsplit(' ').next().unwrap();
    assert!(
        told.starts_with("restricted: ") && id.starts_with("urn:uuid:"),
        "{told}"
    );
    let again = school.cli(&[&set[..], &["--lang", "fr"]].concat());
    let refused = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && refused.contains("déjà limité"), "{refused}");
    for ((consumer, agreement), sent) in agreements.iter().zip([30, 40]) {
        let shown = release(school, consumer, agreement).await;
        assert_eq!(shown["sent"], sent, "{}", consumer.did);
    }
    let list = said(school.cli(&["restriction", "list", "--subject", "l1"]));
    assert!(list.contains(id) && list.contains(&work.did), "{list}");
    let untold = school.cli(&["restriction", "lift", id, "--as", "holder", "--method", "checked"]);
    assert!(!untold.status.success(), "the learner is told first");
    let told = String::from_utf8(untold.stderr).unwrap();
    assert!(told.contains("next: repeat it with --evidence"), "{told}");
    let kept = school.cli(&["consent", "forget", "l1"]);
    let told = String::from_utf8(kept.stderr).unwrap();
    assert!(
        !kept.status.success() && told.contains("connector restriction lift"),
        "{told}"
    );
    let lift = [
        "restriction",
        "lift",
        id,
        "--as",
        "holder",
        "--method",
        "checked",
        "--evidence",
        "letter:13",
    ];
    assert!(said(school.cli(&lift)).starts_with("lifted at "));
    let receipts = school.dir.join("receipts.txt");
    fs::write(&receipts, said(school.cli(&["consent", "receipts", id]))).unwrap();
    let proof = said(school.cli(&["consent", "verify", receipts.to_str().unwrap()]));
    assert!(
        proof.contains("2 receipt(s) of the restriction") && proof.contains("lifted at"),
        "{proof}"
    );
    let (status, problem) = school
        .call(
            Method::POST,
            &format!("/v1/restrictions/{id}/lift"),
            Some(&json!({"actor": {"role": "learner", "method": "portal"}})),
        )
        .await;
    assert_eq!(
        (status.as_u16(), problem["error"]["code"].as_str()),
        (409, Some("already-lifted"))
    );
    assert_eq!(release(school, work, &agreements[0].1).await["sent"], 40);
}
