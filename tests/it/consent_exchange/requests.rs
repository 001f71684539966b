//! Requests of a recipient: what the learner decides, what both sides hold then, and what is not the recipient's to ask.

use super::{erased, fast, letter};
use crate::scenes::{
    account,
    learners::{CONTEXT, but, link, pseudonym, received, withdraw},
    payload, until,
};
use connector_tests::{
    harness::{Connector, PURPOSE, World, text},
    peer::{Peer, uuid},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

fn ask(agreement: &str) -> Value {
    json!({"agreement": agreement, "subject": "job-1", "categories": ["skills", "results"], "retentionDays": 30,
        "notice": {"id": "orientation", "version": "1", "language": "fr", "text": "Vos compétences servent à votre orientation."}})
}

/// Decides about the only consent that waits for the learner.
async fn decided(holder: &Connector, decision: &str) -> Value {
    let list = holder.get("/v1/consents?subject=l1").await;
    let all = list["consents"].as_array().unwrap();
    let waiting = all
        .iter()
        .find(|one| one["state"] == "requested")
        .expect("a request waits");
    let path = format!("/v1/consents/{}/events", text(&waiting["consent"], "id"));
    let body = json!({"event": decision, "actor": {"role": "learner", "method": "portal"}});
    holder.post(&path, &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_linked_the_other_way_round_is_told_at_whom_the_code_has_to_be_made() {
    let world = World::start_with(&["school", "work"], fast).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(40, 4).await;
    link(work, "job-1", school, "l1").await;
    let agreement = work.negotiate(school).await;
    let (status, said) = work
        .call(Method::POST, "/v1/consents/ask", Some(&ask(&agreement)))
        .await;
    assert_eq!(
        (status, &said["error"]["code"]),
        (StatusCode::NOT_FOUND, &json!("linked-otherwise")),
        "{said}"
    );
    let mut stranger = ask(&agreement);
    stranger["subject"] = "job-2".into();
    let (status, said) = work.call(Method::POST, "/v1/consents/ask", Some(&stranger)).await;
    assert_eq!(
        (status, &said["error"]["code"]),
        (StatusCode::NOT_FOUND, &json!("unknown-learner")),
        "{said}"
    );
    link(school, "l1", work, "job-1").await;
    work.post("/v1/consents/ask", &ask(&agreement)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_is_asked_for_given_used_and_withdrawn_and_both_sides_hold_the_receipts() {
    let world = World::start_with(&["school", "work"], fast).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(40, 4).await;
    link(school, "l1", work, "job-1").await;
    let agreement = work.negotiate(school).await;
    let asked = work.post("/v1/consents/ask", &ask(&agreement)).await;
    received(work, "requested").await;
    let told = work.get("/v1/consents/asked").await;
    assert_eq!(
        (&told["asked"][0]["id"], &told["asked"][0]["delivered"]),
        (&asked["id"], &json!(true))
    );
    decided(school, "give").await;
    let given = received(work, "given").await;
    assert_eq!(
        (&given["request"], text(&given, "pseudonym")),
        (&asked["id"], pseudonym(school, work, "l1").await)
    );
    // Record and receipt name what was agreed.
    let receipt = payload(&text(&given, "receipt"));
    let held = school.get(&format!("/v1/consents/{}", text(&given, "consent"))).await;
    assert!(receipt["dases:offer"].is_string(), "{receipt}");
    for same in [&receipt["dases:record"]["dases:offer"], &held["consent"]["offer"]] {
        assert_eq!(receipt["dases:offer"], *same);
    }
    let pid = work.transfer(&agreement).await;
    work.transfer_until(&pid, "COMPLETED").await;
    assert_eq!(account(school, work, &pid).await.len(), 10);
    withdraw(school, "l1").await;
    received(work, "withdrawn").await;
    assert_eq!(erased(school, "l1").await["erased"]["records"], 10);

    // The receipt of what was given, once more: it comes too late.
    let holder = Peer::of(school);
    let replay = json!({
        "@context": CONTEXT, "@type": "ConsentReceiptMessage", "@id": uuid(), "consent": given["consent"],
        "pseudonym": given["pseudonym"], "state": "given", "at": given["at"], "until": given["until"],
        "number": given["number"], "request": null, "digest": given["digest"], "receipt": given["receipt"],
    });
    let reply = holder
        .send(work, &letter(&holder, work, "/dases/consents/receipts", &replay))
        .await;
    assert_eq!((reply.status, reply.code()), (410, "stale"), "{}", reply.body);
    // The row has ended with the holder's word, and its receipt comes after that.
    let newest = until("work has the receipt of the withdrawal", async || {
        let row = received(work, "withdrawn").await;
        row["ended"].is_null().then_some(row)
    });
    assert_eq!(newest.await["number"].as_u64(), given["number"].as_u64().map(|n| n + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_and_what_is_not_theirs_to_ask_is_refused_by_name() {
    let world = World::start_with(&["school", "work", "edtech"], fast).await;
    let (school, work, edtech) = (world.get("school"), world.get("work"), world.get("edtech"));
    school.publish(40, 4).await;
    link(school, "l1", work, "job-1").await;
    let agreement = work.negotiate(school).await;
    let notice = "Vos compétences.";
    let hash = format!("sha256:{}", connector::jose::sha256(notice.as_bytes()).to_hex());
    let request = json!({
        "@context": CONTEXT, "@type": "ConsentRequestMessage", "@id": "", "recipient": work.did, "agreement": agreement,
        "dataset": "records", "purposes": [PURPOSE], "categories": ["skills"],
        "notice": {"id": "n", "version": "1", "language": "fr", "sha256": hash, "text": notice},
        "retentionDays": null, "until": null, "learner": pseudonym(school, work, "l1").await,
    });
    let (ours, other) = (Peer::of(work), Peer::of(edtech));
    let (before, notices) = (school.get("/v1/consents").await, school.get("/v1/notices").await);
    for (what, peer, members, status, code) in [
        (
            "for another recipient",
            &ours,
            json!({"recipient": edtech.did}),
            403,
            "wrong-party",
        ),
        ("by another for the recipient", &other, json!({}), 403, "wrong-party"),
        (
            "under another's agreement",
            &other,
            json!({"recipient": edtech.did}),
            403,
            "no-agreement",
        ),
        (
            "for another purpose",
            &ours,
            json!({"purposes": ["https://w3id.org/dpv#Marketing"]}),
            403,
            "not-covered",
        ),
        (
            "of another dataset",
            &ours,
            json!({"dataset": "others"}),
            403,
            "not-covered",
        ),
        (
            "under other terms of the agreement",
            &ours,
            json!({"offer": "A".repeat(43)}),
            400,
            "invalid-message",
        ),
        (
            "of another category",
            &ours,
            json!({"categories": ["identity"]}),
            403,
            "not-covered",
        ),
        (
            "of what is no field",
            &ours,
            json!({"fields": ["skills"]}),
            422,
            "invalid-consent",
        ),
        (
            "of a learner who is not linked",
            &ours,
            json!({"learner": pseudonym(school, work, "l2").await}),
            404,
            "unknown-learner",
        ),
        (
            "with another text",
            &ours,
            json!({"notice": but(&request["notice"], json!({"text": "?"}))}),
            400,
            "invalid-message",
        ),
    ] {
        let reply = peer
            .send(
                school,
                &letter(peer, school, "/dases/consents/requests", &but(&request, members)),
            )
            .await;
        assert_eq!((reply.status, reply.code()), (status, code), "{what}: {}", reply.body);
    }
    let mut other_hash = but(&request, json!({}));
    other_hash["notice"]["sha256"] = format!("sha256:{}", "0".repeat(64)).into();
    let reply = ours
        .send(school, &letter(&ours, school, "/dases/consents/requests", &other_hash))
        .await;
    assert_eq!(reply.code(), "notice-hash", "{}", reply.body);
    assert_eq!(school.get("/v1/consents").await, before, "nothing was recorded");
    assert_eq!(school.get("/v1/notices").await, notices, "nor any text");

    work.post("/v1/consents/ask", &ask(&agreement)).await;
    received(work, "requested").await;
    decided(school, "refuse").await;
    received(work, "refused").await;
    // The learner is left in peace, and a text that comes with what is refused is not kept.
    let notices = school.get("/v1/notices").await;
    let mut again = ask(&agreement);
    again["notice"]["version"] = "2".into();
    again["notice"]["text"] = "Vos compétences servent encore à votre orientation.".into();
    work.post("/v1/consents/ask", &again).await;
    until("it is refused", async || {
        let asked = work.get("/v1/consents/asked").await;
        let all = asked["asked"].as_array().unwrap();
        all.iter().any(|one| one["refused"].is_string()).then_some(())
    })
    .await;
    assert_eq!(school.get("/v1/notices").await, notices);
}
