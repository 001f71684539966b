//! What an agreement limits (how many transfers, how long in all, until when) and what a consent does (how many transfers); counted and timed by
//! real daemons, through crashes as well.

use crate::scenes::{brisk, entries, learners::pseudonym, received_at_least, until};
use connector::clock::now;
use connector_tests::harness::{Connector, NOTICE, World, consent, dataset, offer, offer_and, text};
use http::{Method, StatusCode};
use policy::Timestamp;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::{Duration, Instant},
};

/// An offer with one more constraint.
fn limited(left: &str, operator: &str, right: &Value) -> Value {
    offer_and(json!({"leftOperand": left, "operator": operator, "rightOperand": right}))
}

fn integer(value: u64) -> Value {
    json!({"@value": value.to_string(), "@type": "xsd:integer"})
}

fn duration(value: &str) -> Value {
    json!({"@value": value, "@type": "xsd:duration"})
}

/// A school that offers `learners` × 50 records under these terms, and an agreement about them.
async fn agreed(world: &World, terms: Value, learners: u64) -> (&Connector, &Connector, String) {
    let (school, work) = (world.get("school"), world.get("work"));
    let file = school.publish(learners * 50, learners).await;
    school.consent(learners, &work.did).await;
    school.post("/v1/datasets", &dataset("limited", &file, terms)).await;
    (school, work, work.negotiate_for(school, "limited").await)
}

/// Asks for the data and waits for the end; returns the state and why.
async fn outcome(work: &Connector, agreement: &str) -> (String, String, String) {
    let pid = work.transfer(agreement).await;
    let ended = until("the transfer ends", async || {
        let shown = work.get(&format!("/v1/transfers/{pid}")).await;
        let state = text(&shown, "stateName");
        ["COMPLETED", "TERMINATED"].contains(&state.as_str()).then_some(shown)
    })
    .await;
    (pid, text(&ended, "stateName"), ended["explanation"].to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_for_three_transfers_gives_three_and_a_kill_gives_none_back() {
    let mut world = World::start(&["school", "work"]).await;
    let terms = limited("count", "lteq", &integer(3));
    let agreement = agreed(&world, terms, 4).await.2;
    for _ in 0..2 {
        let (_, state, why) = outcome(world.get("work"), &agreement).await;
        assert_eq!(state, "COMPLETED", "{why}");
    }
    world.get_mut("school").kill();
    world.get_mut("school").start().await;
    let (_, state, why) = outcome(world.get("work"), &agreement).await;
    assert_eq!(state, "COMPLETED", "{why}");
    let (_, state, why) = outcome(world.get("work"), &agreement).await;
    assert_eq!(state, "TERMINATED");
    assert!(why.contains("SYS-01 at /permission/0/constraint/"), "{why}");
    assert!(
        !why.contains("this is transfer number"),
        "the code and the node alone: {why}"
    );
    let log = world.get("school").get("/v1/audit/entries?limit=1000").await;
    let entries = log["entries"].as_array().unwrap();
    let refused = entries
        .iter()
        .map(|numbered| &numbered["entry"])
        .find(|entry| entry["kind"] == "transfer-refused");
    assert_eq!(refused.unwrap()["code"], "SYS-01");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_under_a_price_until_the_operator_has_recorded_it_as_paid() {
    let mut world = World::start(&["school", "work"]).await;
    let mut terms = limited(
        "payAmount",
        "gteq",
        &json!({"@value": "120.00", "@type": "xsd:decimal"}),
    );
    terms["permission"][0]["constraint"][3]["unit"] = json!("EUR");
    let agreement = agreed(&world, terms, 4).await.2;
    let (_, state, why) = outcome(world.get("work"), &agreement).await;
    assert_eq!(state, "TERMINATED", "{why}");
    let paid = |amount: &str, unit: &str| {
        let amount = ["--amount", amount, "--unit", unit];
        [&["agreement", "paid", &agreement][..], &amount].concat().join(" ")
    };
    for (who, amount, unit, succeeds) in [
        ("work", "120.00", "EUR", false),
        ("school", "-1", "EUR", false),
        ("school", "119.99", "EUR", true),
        ("school", "120", "CHF", true),
    ] {
        let command = paid(amount, unit);
        let done = world.get(who).cli(&command.split(' ').collect::<Vec<_>>());
        assert_eq!(done.status.success(), succeeds, "{who} {command}: {done:?}");
        let (_, state, why) = outcome(world.get("work"), &agreement).await;
        assert_eq!(state, "TERMINATED", "{who} {command}: {why}");
    }
    let command = paid("120", "EUR");
    let done = world.get("school").cli(&command.split(' ').collect::<Vec<_>>());
    assert!(done.status.success(), "{done:?}");
    world.get_mut("school").kill();
    world.get_mut("school").start().await;
    let (_, state, why) = outcome(world.get("work"), &agreement).await;
    assert_eq!(state, "COMPLETED", "it is remembered: {why}");
    let shown = world
        .get("school")
        .get(&format!("/v1/agreements/{agreement}/payment"))
        .await;
    assert_eq!(shown, json!({"amount": "120", "unit": "EUR"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_requests_at_once_never_get_more_transfers_than_agreed() {
    let world = World::start(&["school", "work"]).await;
    let (school, work, agreement) = agreed(&world, limited("count", "lteq", &integer(5)), 4).await;
    let mut asked = Vec::new();
    for _ in 0..32 {
        let body = json!({"agreement": agreement});
        asked.push(work.call(http::Method::POST, "/v1/transfers", Some(&body)).await);
    }
    let streams = until("all have been decided", async || {
        let all = school.get("/v1/transfers").await;
        let all = all["transfers"].as_array().cloned().unwrap_or_default();
        let complete = all.iter().filter(|one| one["stateName"] == "COMPLETED").count();
        (complete >= 5).then_some(all)
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let all = school.get("/v1/transfers").await;
    let released = |one: &&Value| one["release"]["sent"].as_u64().is_some_and(|sent| sent > 0);
    let count = all["transfers"].as_array().unwrap().iter().filter(released).count();
    assert_eq!(count, 5, "{} asked, {} known", asked.len(), streams.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_the_open_time_is_used_up_whether_its_receiver_reads_or_not() {
    let world = World::start_with(&["school", "work"], |_, config| brisk(config, 40_000)).await;
    let (school, work, agreement) = agreed(&world, limited("meteredTime", "lteq", &duration("PT2S")), 100).await;
    let begun = Instant::now();
    let (_, state, why) = outcome(work, &agreement).await;
    assert_eq!(state, "TERMINATED", "{why}");
    assert!(begun.elapsed() >= Duration::from_secs(2), "it was cut off early");
    let shown = school.get("/v1/transfers").await;
    let release = &shown["transfers"][0]["release"];
    assert_eq!(release["complete"], false, "{release}");
    assert!(release["sent"].as_u64().is_some_and(|sent| sent > 0), "{release}");
    // Nothing is left for another transfer.
    let (_, state, why) = outcome(work, &agreement).await;
    assert_eq!(state, "TERMINATED", "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_since_the_agreement_ends_a_running_stream_by_the_clock() {
    let world = World::start_with(&["school", "work"], |_, config| brisk(config, 40_000)).await;
    let (school, work, agreement) = agreed(&world, limited("elapsedTime", "lteq", &duration("PT4S")), 100).await;
    let shown = work.get(&format!("/v1/agreements/{agreement}")).await;
    let (_, state, why) = outcome(work, &agreement).await;
    assert_eq!(state, "TERMINATED", "{why} {shown}");
    let released = school.get("/v1/transfers").await;
    let release = &released["transfers"][0]["release"];
    assert_eq!(release["complete"], false, "{release}");
    assert!(
        release["sent"].as_u64().is_some_and(|sent| sent > 0),
        "{release} at {}",
        now()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_event_ends_a_running_stream_by_the_clock() {
    let fair = |until: Timestamp| format!("\n[[event]]\nid = \"urn:event:fair\"\nuntil = \"{until}\"\n");
    let planned = now().plus(Duration::from_secs(24 * 3600));
    let held = |name: &str, config: String| match name {
        "school" => brisk(config, 40_000) + &fair(planned),
        _ => brisk(config, 40_000),
    };
    let mut world = World::start_with(&["school", "work"], held).await;
    let agreement = agreed(&world, limited("event", "eq", &"urn:event:fair".into()), 100)
        .await
        .2;
    // The fair is cut short once all is agreed: it is over soon after the stream has begun.
    let school = world.get_mut("school");
    school.kill();
    let over = now().plus(Duration::from_secs(10));
    let config = fs::read_to_string(school.config()).unwrap();
    assert!(config.contains(&fair(planned)));
    fs::write(school.config(), config.replace(&fair(planned), &fair(over))).unwrap();
    school.start().await;
    let (_, state, why) = outcome(world.get("work"), &agreement).await;
    assert_eq!(state, "TERMINATED", "{why}");
    assert!(now() >= over, "it was cut off early");
    let shown = world.get("school").get("/v1/transfers").await;
    let release = &shown["transfers"][0]["release"];
    assert_eq!(release["complete"], false, "{release}");
    assert!(release["sent"].as_u64().is_some_and(|sent| sent > 0), "{release}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_does_not_cut_a_stream_that_only_keeps_its_pace() {
    // More than a second lies between two chunks.
    let world = World::start_with(&["school", "work"], |_, config| brisk(config, 40_000)).await;
    let (school, work, agreement) = agreed(&world, offer(), 20).await;
    let pid = work.transfer(&agreement).await;
    received_at_least(work, &pid, 1).await;
    school.post("/v1/consents/withdraw", &json!({"subject": "l3"})).await;
    work.transfer_until(&pid, "COMPLETED").await;
    assert_eq!(entries(school, "stream-opened").await.len(), 1, "it was taken up again");
}

/// How many records of each transfer arrived, of learner 0 and of all.
fn arrived(work: &Connector, pid: &str, name: &str) -> (usize, usize) {
    let lines = work.received(pid);
    let records: Vec<&Value> = lines.iter().filter(|line| line["t"] == "r").collect();
    let theirs = records.iter().filter(|line| line["record"]["sub"] == name).count();
    (theirs, records.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_for_two_transfers_lets_a_learners_records_into_two_and_a_kill_gives_none_back() {
    let mut world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(200, 4).await;
    let mut consents: Vec<Value> = (0..4)
        .map(|learner| consent(&format!("l{learner}"), &work.did))
        .collect();
    consents[0]["maxCount"] = json!(2);
    let given = school.post("/v1/consents", &json!(consents)).await;
    let id = text(&given["consents"][0], "id");
    let name = pseudonym(school, work, "l0").await;
    let agreement = work.negotiate(school).await;
    for expected in [(50, 200), (50, 200), (0, 150)] {
        let (pid, state, why) = outcome(world.get("work"), &agreement).await;
        assert_eq!(state, "COMPLETED", "{why}");
        assert_eq!(arrived(world.get("work"), &pid, &name), expected);
        world.get_mut("school").kill();
        world.get_mut("school").start().await;
    }
    let school = world.get("school");
    let shown = school.get(&format!("/v1/consents/{id}")).await;
    assert_eq!((&shown["transfers"], &shown["state"]), (&json!(2), &json!("given")));
    let withheld: Vec<Value> = school.get("/v1/transfers").await["transfers"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|transfer| transfer["release"]["withheld"].get("CNS-13").cloned())
        .collect();
    assert_eq!(withheld, [json!(50)]);
    let refused = school
        .call(
            Method::POST,
            "/v1/consents",
            Some(&json!([{"maxCount": 0, "subject": "l9", "recipients": [world.get("work").did],
                "purposes": consents[0]["purposes"], "categories": ["skills"], "method": "web-form", "notice": NOTICE, "evidence": "e"}])),
        )
        .await;
    assert_eq!(refused.0, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_transfers_at_once_do_not_take_more_than_a_consent_permits() {
    const AT_ONCE: usize = 6;
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(4000, 4).await;
    let mut consents: Vec<Value> = (0..4)
        .map(|learner| consent(&format!("l{learner}"), &work.did))
        .collect();
    for limited in &mut consents {
        limited["maxCount"] = json!(3);
    }
    school.post("/v1/consents", &json!(consents)).await;
    let agreement = work.negotiate(school).await;
    let mut pids = Vec::new();
    for _ in 0..AT_ONCE {
        pids.push(work.transfer(&agreement).await);
    }
    let mut all = Vec::new();
    for pid in &pids {
        work.transfer_until(pid, "COMPLETED").await;
        let lines = work.received(pid);
        let names = lines.iter().filter(|line| line["t"] == "r");
        let names: BTreeSet<String> = names.map(|line| text(&line["record"], "sub")).collect();
        all.extend(names);
    }
    let mut counts = BTreeMap::new();
    for name in all {
        *counts.entry(name).or_insert(0) += 1;
    }
    assert_eq!(counts.values().copied().collect::<Vec<i32>>(), [3; 4], "{counts:?}");
}
