//! What connectors tell each other about consents, through real daemons: who is told of a withdrawal and what is erased, whatever is down
//! meanwhile, and what hostile peers say of it. Links between identities and requests of recipients are below.

mod links;
mod requests;

use crate::scenes::{
    account,
    learners::{CONTEXT, but, erasing, lines_with, pseudonym, withdraw},
    received_at_least, until, verified, with,
};
use connector::clock::now;
use connector_tests::{
    harness::{Connector, PURPOSE, World, consent, offer, text},
    peer::{Letter, Peer},
};
use http::{Method, StatusCode};
use policy::Timestamp;
use serde_json::{Value, json};
use std::{fs, time::Duration};

/// Erases at once, so that nobody has to wait for it.
fn fast(_: &str, config: String) -> String {
    erasing(config, 0)
}

async fn told(holder: &Connector, learner: &str) -> Vec<Value> {
    let told = holder.get(&format!("/v1/consents/told?subject={learner}")).await;
    told["told"].as_array().unwrap().clone()
}

/// What the only recipient that was told says that it erased.
async fn erased(holder: &Connector, learner: &str) -> Value {
    until("the recipient has erased", async || {
        let all = told(holder, learner).await;
        assert!(all.len() <= 1, "{all:?}");
        all.into_iter().next().filter(|told| told["erased"].is_object())
    })
    .await
}

async fn fetched(holder: &Connector, consumer: &Connector) -> String {
    let agreement = consumer.negotiate(holder).await;
    let pid = consumer.transfer(&agreement).await;
    consumer.transfer_until(&pid, "COMPLETED").await;
    pid
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_is_told_to_who_received_records_and_erased_there_and_to_nobody_else() {
    let mut world = World::start_with(&["school", "work", "edtech"], fast).await;
    let (school, work, edtech) = (world.get("school"), world.get("work"), world.get("edtech"));
    school.publish(40, 4).await;
    school.consent(4, &work.did).await;
    // The third one may receive, and never has.
    school.consent(4, &edtech.did).await;
    edtech.negotiate(school).await;
    let pid = fetched(school, work).await;
    let receipt = work.get(&format!("/v1/transfers/{pid}")).await["receipt"].clone();
    let (name, other) = (pseudonym(school, work, "l1").await, pseudonym(school, work, "l2").await);
    assert_eq!(
        (lines_with(work, &pid, &name), lines_with(work, &pid, &other)),
        (10, 10)
    );

    withdraw(school, "l1").await;
    let answer = erased(school, "l1").await;
    assert_eq!(answer["notice"]["recipient"], work.did.as_str());
    assert_eq!(answer["notice"]["reason"], "withdrawn");
    assert_eq!(answer["delivery"]["is"], "acknowledged");
    assert!(answer["delivery"]["answerSignature"].is_string() && answer["erased"]["signature"].is_string());
    assert_eq!(answer["erased"]["records"], 10);
    assert_eq!((lines_with(work, &pid, &name), lines_with(work, &pid, &other)), (0, 10));
    // What proves the transfer stays, and the transfer says what is missing.
    assert_eq!(account(school, work, &pid).await.len(), 30);
    let shown = work.get(&format!("/v1/transfers/{pid}")).await;
    assert_eq!(shown["receipt"], receipt);
    assert_eq!(
        (&shown["erased"][0]["records"], &shown["erased"][0]["reason"]),
        (&json!(10), &json!("withdrawn"))
    );
    let records = work.cli(&["transfer", "records", &pid]);
    assert_eq!(String::from_utf8_lossy(&records.stdout).lines().count(), 30);

    // Nothing reached the third one, and nothing it keeps names the learner.
    assert_eq!(edtech.get("/v1/consents/retractions").await["retractions"], json!([]));
    // The recipient knows the learner only by a hash from now on.
    let known = work.get("/v1/consents/retractions").await;
    assert_eq!(
        (
            &known["retractions"][0]["pseudonym"],
            &known["retractions"][0]["erased"]
        ),
        (&Value::Null, &json!(10))
    );
    assert!(!known.to_string().contains(&name), "{known}");
    for connector in [school, work] {
        verified(connector).await;
    }

    // All of it outlives both daemons, and a forgotten learner leaves nothing of it.
    for name in ["school", "work"] {
        world.get_mut(name).kill();
        world.get_mut(name).start().await;
    }
    let (school, work) = (world.get("school"), world.get("work"));
    assert_eq!(told(school, "l1").await.len(), 1);
    assert_eq!(work.get("/v1/consents/retractions").await, known);
    school.post("/v1/consents/forget", &json!({"subject": "l1"})).await;
    assert_eq!(told(school, "l1").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_is_told_who_received_their_records_and_since_when() {
    let world = World::start_with(&["school", "work", "edtech"], fast).await;
    let (school, work, edtech) = (world.get("school"), world.get("work"), world.get("edtech"));
    let recipients = async |learner: &str| {
        let list = school.get(&format!("/v1/learners/recipients?subject={learner}")).await;
        list["recipients"].as_array().unwrap().clone()
    };
    school.publish(40, 4).await;
    // Of the four, three consent; the third participant may receive, and never has.
    school.consent(3, &work.did).await;
    school.consent(3, &edtech.did).await;
    assert!(recipients("l1").await.is_empty());
    let before = now();
    fetched(school, work).await;
    let after = now();
    let first = recipients("l1").await;
    assert_eq!(
        (first.len(), &first[0]["recipient"], &first[0]["name"]),
        (1, &json!(work.did), &Value::Null)
    );
    let at: Timestamp = text(&first[0], "first").parse().unwrap();
    assert!(before <= at && at <= after, "{before} {at} {after}");
    assert!(recipients("l3").await.is_empty(), "nothing of them left");
    // Another transfer changes nothing of it, and neither does an end.
    fetched(school, work).await;
    withdraw(school, "l1").await;
    assert_eq!(recipients("l1").await, first);
    fetched(school, edtech).await;
    let both = recipients("l2").await;
    let names: Vec<&Value> = both.iter().map(|one| &one["recipient"]).collect();
    assert_eq!(names, [&json!(work.did), &json!(edtech.did)]);
    let told = school.cli(&["consent", "recipients", "l2"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains(&work.did) && told.contains(&edtech.did), "{told}");
    school.post("/v1/consents/forget", &json!({"subject": "l1"})).await;
    assert!(recipients("l1").await.is_empty());
    // An empty list is a fact about whoever is known alone.
    for (learner, of, expected) in [
        ("l0", "told", "nobody was told anything"),
        ("l1", "told", "or they are forgotten"),
        ("l1", "recipients", "or they are forgotten"),
        ("nobody", "recipients", "or they are forgotten"),
    ] {
        let said = school.cli(&["consent", of, learner]);
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains(expected), "{of} {learner}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_the_notice_and_the_recipient_name_the_configured_time_for_erasure() {
    let week = |name: &str, config: String| with(fast(name, config), "privacy", "deletion = \"7d\"");
    let world = World::start_with(&["school", "work"], week).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(40, 4).await;
    school.consent(4, &work.did).await;
    fetched(school, work).await;
    let list = school.get("/v1/consents?subject=l1").await;
    let id = text(&list["consents"][0]["consent"], "id");
    withdraw(school, "l1").await;
    let notice = erased(school, "l1").await["notice"].clone();
    let at: Timestamp = text(&notice, "at").parse().unwrap();
    assert_eq!(notice["eraseBy"], json!(at.plus(Duration::from_secs(7 * 86_400))));
    let shown = school.get(&format!("/v1/consents/{id}")).await;
    let deletion = &shown["record"]["dpv:hasStorageCondition"][2];
    assert_eq!(
        (&deletion["@type"], &deletion["dpv:hasDuration"]),
        (&json!("dpv:StorageDeletion"), &json!("P7D"))
    );
    let known = work.get("/v1/consents/retractions").await;
    assert_eq!(known["retractions"][0]["eraseBy"], notice["eraseBy"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_received_records_on_another_basis_is_told_of_its_end_before_the_learner_is_forgotten() {
    let world = World::start_with(&["school", "work"], fast).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let mut offer = offer();
    let constraints = offer["permission"][0]["constraint"].as_array_mut().unwrap();
    constraints.retain(|constraint| constraint["leftOperand"] != "dases:consent");
    school.publish_under(40, 4, offer).await;
    let notice =
        json!({"id": "public-task", "version": "1", "language": "fr", "text": "Le lycée transmet tes compétences."});
    let notice = school.post("/v1/notices", &notice).await;
    let basis = json!({
        "basis": "public-task", "grounds": "Code de l'éducation", "recipients": [work.did], "purposes": [PURPOSE],
        "categories": ["skills", "results"], "datasets": ["records"], "notice": notice["hash"],
        "until": now().plus(Duration::from_secs(3600)),
    });
    let basis = text(&school.post("/v1/bases", &basis).await, "id");
    let pid = fetched(school, work).await;
    let name = pseudonym(school, work, "l1").await;
    assert_eq!(lines_with(work, &pid, &name), 10);

    let learner = json!({"subject": "l1"});
    let (status, said) = school.call(Method::POST, "/v1/consents/forget", Some(&learner)).await;
    assert_eq!(
        (status, &said["error"]["code"]),
        (StatusCode::CONFLICT, &json!("basis-in-force")),
        "{said}"
    );
    school.post(&format!("/v1/bases/{basis}/end"), &json!({})).await;
    school.post("/v1/consents/forget", &learner).await;
    assert_eq!(told(school, "l1").await, Vec::<Value>::new());
    until("the recipient has erased", async || {
        (lines_with(work, &pid, &name) == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_is_down_is_told_when_it_is_back_even_if_the_holder_was_killed_in_between() {
    let mut world = World::start_with(&["school", "work"], fast).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(40, 4).await;
    school.consent(4, &work.did).await;
    let pid = fetched(school, work).await;
    let name = pseudonym(school, work, "l3").await;
    world.get_mut("work").kill();
    withdraw(world.get("school"), "l3").await;
    let waiting = told(world.get("school"), "l3").await;
    assert_eq!(waiting[0]["delivery"]["is"], "waiting");
    world.get_mut("school").kill();
    world.get_mut("school").start().await;
    assert_eq!(lines_with(world.get("work"), &pid, &name), 10);
    world.get_mut("work").start().await;
    let (school, work) = (world.get("school"), world.get("work"));
    let answer = erased(school, "l3").await;
    assert_eq!(
        (&answer["id"], &answer["erased"]["records"]),
        (&waiting[0]["id"], &json!(10))
    );
    assert_eq!(lines_with(work, &pid, &name), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_is_killed_while_it_erases_finishes_and_says_the_right_number() {
    const RECORDS: u64 = 20_000;
    let mut world = World::start_with(&["school", "work"], fast).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(RECORDS, 4).await;
    school.consent(4, &work.did).await;
    let pid = fetched(school, work).await;
    let name = pseudonym(school, work, "l0").await;
    withdraw(school, "l0").await;
    // At some moment of its work, whichever that is.
    tokio::time::sleep(Duration::from_millis(std::process::id() as u64 % 40)).await;
    world.get_mut("work").kill();
    world.get_mut("work").start().await;
    let (school, work) = (world.get("school"), world.get("work"));
    let answer = erased(school, "l0").await;
    assert_eq!(answer["erased"]["records"], RECORDS / 4);
    assert_eq!(lines_with(work, &pid, &name), 0);
    account(school, work, &pid).await;
    let others = pseudonym(school, work, "l1").await;
    assert_eq!(lines_with(work, &pid, &others) as u64, RECORDS / 4);
    let left: Vec<_> = fs::read_dir(work.dir.join("received")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_reception_loses_the_learner_and_ends_with_an_account_that_says_so() {
    const RECORDS: u64 = 6_000;
    let slow = |name: &str, config: String| erasing(config, if name == "school" { 400_000 } else { 0 });
    let world = World::start_with(&["school", "work"], slow).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(RECORDS, 10).await;
    school.consent(10, &work.did).await;
    let agreement = work.negotiate(school).await;
    let pid = work.transfer(&agreement).await;
    received_at_least(work, &pid, 1_200).await;
    let name = pseudonym(school, work, "l3").await;
    let acknowledged = withdraw(school, "l3").await;
    let last = acknowledged["streams"][0]["lastSequence"].as_u64().unwrap();
    let answer = erased(school, "l3").await;
    assert_eq!(answer["notice"]["streams"][0]["lastSequence"], last);
    let done = work.transfer_until(&pid, "COMPLETED").await;
    assert_eq!(lines_with(work, &pid, &name), 0);
    let received = done["progress"]["records"].as_u64().unwrap();
    let missing = done["progress"]["leftOut"].as_u64().unwrap_or(0)
        + done["erased"]
            .as_array()
            .map_or(0, |all| all.iter().map(|of| of["records"].as_u64().unwrap()).sum());
    let kept = account(school, work, &pid).await.len() as u64;
    assert_eq!(kept + missing, received);
    assert_eq!(lines_with(work, &pid, "\"t\":\"erased\"") as u64, missing);
    assert!(missing > 0 && missing <= last.div_ceil(10) + 1, "{missing} of {last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_given_anew_lets_new_transfers_through_and_brings_nothing_back() {
    let world = World::start_with(&["school", "work"], fast).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(40, 4).await;
    school.consent(4, &work.did).await;
    let pid = fetched(school, work).await;
    let name = pseudonym(school, work, "l1").await;
    withdraw(school, "l1").await;
    erased(school, "l1").await;
    let second = fetched(school, work).await;
    assert_eq!(lines_with(work, &second, &name), 0, "the holder lets nothing out");
    school.post("/v1/consents", &json!([consent("l1", &work.did)])).await;
    until("the recipient knows", async || {
        let known = work.get("/v1/consents/retractions").await;
        known["retractions"][0]["reopened"].is_string().then_some(())
    })
    .await;
    assert_eq!(
        (lines_with(work, &pid, &name), lines_with(work, &second, &name)),
        (0, 0)
    );
}

const WITHDRAWALS: &str = "/dases/consents/withdrawals";

fn letter(from: &Peer, to: &Connector, path: &str, body: &Value) -> Letter {
    from.seal_below_root(to, Method::POST, path, body.to_string().into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hostile_peer_says_about_an_ending_is_refused_by_name_and_erases_nothing() {
    let world = World::start_with(&["school", "work", "edtech"], fast).await;
    let (school, work, edtech) = (world.get("school"), world.get("work"), world.get("edtech"));
    school.publish(40, 4).await;
    school.consent(4, &work.did).await;
    let pid = fetched(school, work).await;
    let name = pseudonym(school, work, "l1").await;
    let (holder, stranger) = (Peer::of(school), Peer::of(edtech));
    let at = now();
    let notice = json!({
        "@context": CONTEXT, "@type": "ConsentWithdrawalMessage", "@id": "", "holder": school.did, "recipient": work.did,
        "pseudonym": name, "reason": "withdrawn", "consents": [], "purposes": [], "agreements": [], "at": at, "epoch": 1,
        "streams": [], "eraseBy": at.plus(Duration::from_secs(3600)),
    });
    let attacks = [
        (
            "a third party in the holder's name",
            &stranger,
            json!({}),
            403,
            "no-agreement",
        ),
        (
            "a third party in its own name",
            &stranger,
            json!({"holder": edtech.did}),
            403,
            "no-agreement",
        ),
        (
            "in another holder's name",
            &holder,
            json!({"holder": edtech.did}),
            403,
            "wrong-party",
        ),
        (
            "to another recipient",
            &holder,
            json!({"recipient": edtech.did}),
            403,
            "wrong-party",
        ),
        (
            "what is no pseudonym",
            &holder,
            json!({"pseudonym": "e"}),
            400,
            "invalid-message",
        ),
        (
            "a member that nobody knows",
            &holder,
            json!({"also": 1}),
            400,
            "invalid-message",
        ),
        (
            "another kind of message",
            &holder,
            json!({"@type": "ConsentErasureMessage"}),
            400,
            "invalid-message",
        ),
    ];
    let before = work.get("/v1/consents/retractions").await;
    for (what, peer, members, status, code) in attacks {
        let reply = peer
            .send(work, &letter(peer, work, WITHDRAWALS, &but(&notice, members)))
            .await;
        assert_eq!((reply.status, reply.code()), (status, code), "{what}: {}", reply.body);
        assert!(reply.signed && reply.kind() == "ConsentError", "{what}: {}", reply.body);
    }
    let mut forged = letter(&holder, work, WITHDRAWALS, &but(&notice, json!({})));
    forged.body = but(&notice, json!({"pseudonym": pseudonym(school, work, "l2").await}))
        .to_string()
        .into_bytes();
    assert_eq!(holder.send(work, &forged).await.code(), "bad-signature");
    let mut unsigned = letter(&holder, work, WITHDRAWALS, &but(&notice, json!({})));
    unsigned.signatures.clear();
    assert_eq!(holder.send(work, &unsigned).await.status, 401);
    assert_eq!(work.get("/v1/consents/retractions").await, before);
    assert_eq!(lines_with(work, &pid, &name), 10);

    // The true one is taken once; a repetition with a new signature changes nothing, with the old one it is refused.
    let right = but(&notice, json!({}));
    let first = letter(&holder, work, WITHDRAWALS, &right);
    assert_eq!(holder.send(work, &first).await.status, 200);
    assert_eq!(holder.send(work, &first).await.code(), "replayed");
    assert_eq!(
        holder
            .send(work, &letter(&holder, work, WITHDRAWALS, &right))
            .await
            .status,
        200
    );
    let mut other = right.clone();
    other["epoch"] = 2.into();
    assert_eq!(
        holder
            .send(work, &letter(&holder, work, WITHDRAWALS, &other))
            .await
            .code(),
        "id-reused"
    );
    // An older one may name what the newer one does not: it is taken, and erases what is left.
    let older = but(&notice, json!({"at": at.minus(Duration::from_secs(5))}));
    let reply = holder.send(work, &letter(&holder, work, WITHDRAWALS, &older)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    until("all is erased", async || {
        let known = work.get("/v1/consents/retractions").await;
        let all = known["retractions"].as_array().unwrap();
        let erased = all.iter().map(|one| one["erased"].as_u64());
        let erased: Option<Vec<u64>> = erased.collect();
        erased.filter(|all| all.len() == 2 && all.iter().sum::<u64>() == 10)
    })
    .await;
    assert_eq!(lines_with(work, &pid, &name), 0);

    // Nobody answers for the recipient, and the recipient answers only what it was told.
    let erasure = json!({
        "@context": CONTEXT, "@type": "ConsentErasureMessage", "@id": "", "notice": right["@id"], "holder": school.did,
        "recipient": work.did, "pseudonym": name, "at": at, "records": 10, "transfers": [],
    });
    for (what, peer, members, code) in [
        ("a third party for the recipient", &stranger, json!({}), "wrong-party"),
        (
            "a third party for itself",
            &stranger,
            json!({"recipient": edtech.did}),
            "unknown-notice",
        ),
        ("what was never told", &Peer::of(work), json!({}), "unknown-notice"),
    ] {
        let sent = letter(peer, school, "/dases/consents/erasures", &but(&erasure, members));
        assert_eq!(peer.send(school, &sent).await.code(), code, "{what}");
    }
}
