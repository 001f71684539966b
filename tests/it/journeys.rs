//! The main path through real daemons: contract, consent, stream, withdrawal, receipts.

use connector_tests::harness::{World, text};
use http::Method;
use serde_json::{Value, json};

fn records(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line["t"] == "r").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_leads_to_a_stream_of_consented_fields_under_pseudonyms() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(300, 10).await;
    school.consent(6, &work.did).await;
    let agreement = work.negotiate(school).await;
    let pid = work.transfer(&agreement).await;
    let done = work.transfer_until(&pid, "COMPLETED").await;
    assert_eq!(done["progress"]["records"], 180, "six of ten learners consent");

    let lines = work.received(&pid);
    assert_eq!(lines.first().unwrap()["t"], "begin");
    assert_eq!(lines.last().unwrap()["t"], "end");
    for (at, line) in records(&lines).iter().enumerate() {
        assert_eq!(line["n"], json!(at + 1));
        let record = line["record"].as_object().unwrap();
        assert!(record["sub"].as_str().unwrap().starts_with("p:"), "{line}");
        assert!(!record.contains_key("person"), "{line}");
        assert!(record.contains_key("skills") && record.contains_key("result"), "{line}");
    }
    let theirs = school.get(&format!("/v1/transfers/{}", text(&done, "peerPid"))).await;
    assert_eq!(theirs["release"]["sent"], 180);
    assert_eq!(theirs["release"]["withheld"], json!({"CNS-01": 120}));
    assert_eq!(theirs["release"]["fieldsRemoved"], 180);
    assert!(theirs["receipt"].is_string(), "{theirs}");
    for connector in [school, work] {
        let (status, verified) = connector.call(Method::POST, "/v1/audit/verify", None).await;
        assert!(status.is_success(), "{verified}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_agreement_convinces_offline_until_a_byte_is_changed() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(3, 3).await;
    let agreement = work.negotiate(school).await;
    for connector in [school, work] {
        let path = connector.dir.join("agreement.json");
        let exported = connector.cli(&["agreement", "export", &agreement, "-o", path.to_str().unwrap()]);
        assert!(exported.status.success(), "{exported:?}");
        assert!(
            connector
                .cli(&["agreement", "verify", path.to_str().unwrap()])
                .status
                .success()
        );
        let mut export: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let payload = export["document"]["payload"].as_str().unwrap().to_owned();
        let changed = if payload.ends_with('A') { "B" } else { "A" };
        export["document"]["payload"] = json!(format!("{}{changed}", &payload[..payload.len() - 1]));
        std::fs::write(&path, export.to_string()).unwrap();
        let refused = connector.cli(&["agreement", "verify", path.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(6), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_which_everything_is_withheld_ends_like_an_empty_one() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(20_000, 12).await;
    let agreement = work.negotiate(school).await;
    let pid = work.transfer(&agreement).await;
    let done = work.transfer_until(&pid, "COMPLETED").await;
    assert_eq!(done["progress"]["records"], 0);
    let kinds: Vec<Value> = work.received(&pid).iter().map(|line| line["t"].clone()).collect();
    assert_eq!(kinds, ["begin", "end"]);
    // Of learners, not of records.
    assert_eq!(done["progress"]["withheld"], 10);
    let theirs = school.get(&format!("/v1/transfers/{}", text(&done, "peerPid"))).await;
    assert_eq!(theirs["release"]["withheld"], json!({"CNS-01": 20_000}));
}
