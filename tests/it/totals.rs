//! What a consumer is told of what was withheld: one rounded total of learners, once, and nothing where fewer than a group are behind it.

use crate::scenes::{account, address, browser, until, with};
use connector_tests::harness::{Connector, World, dataset, offer, record, text};
use http::StatusCode;
use serde_json::{Value, json};
use std::fs;

/// Fetches under an agreement; the transfer as its consumer and as its provider see it.
async fn fetched(provider: &Connector, consumer: &Connector, agreement: &str) -> (Value, Value) {
    let pid = consumer.transfer(agreement).await;
    let done = consumer.transfer_until(&pid, "COMPLETED").await;
    account(provider, consumer, &pid).await;
    let path = format!("/v1/transfers/{}", text(&done, "peerPid"));
    let theirs = until("what was released is noted", async || {
        let shown = provider.get(&path).await;
        (shown["release"]["complete"] == true).then_some(shown)
    })
    .await;
    (done, theirs)
}

fn withheld(provider: &Value) -> u64 {
    let counts = provider["release"]["withheld"].as_object().unwrap().values();
    counts.filter_map(Value::as_u64).sum()
}

/// The last line of what came.
fn end(consumer: &Connector, done: &Value) -> Value {
    consumer.received(&text(done, "pid")).pop().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_withheld_of_forty_are_told_as_ten_once_and_by_one_transfer() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(40, 40).await;
    school.consent(28, &work.did).await;
    let agreement = work.negotiate(school).await;
    let (done, theirs) = fetched(school, work, &agreement).await;
    assert_eq!((&done["progress"]["records"], withheld(&theirs)), (&json!(28), 12));
    assert_eq!(done["progress"]["withheld"], 10);
    assert_eq!(theirs["told"], 10);
    let line = end(work, &done);
    assert_eq!((&line["t"], &line["withheld"]), (&json!("end"), &json!(10)));
    let shown = work.cli(&["transfer", "show", &text(&done, "pid"), "--lang", "fr"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("au moins 10 personnes concernées"), "{shown}");

    // With one learner less, under the same agreement or under another: nothing with which to compare the ten.
    school.post("/v1/consents/withdraw", &json!({"subject": "l3"})).await;
    let another = work.negotiate(school).await;
    for agreement in [&agreement, &another] {
        let (done, theirs) = fetched(school, work, agreement).await;
        assert_eq!((&done["progress"]["records"], withheld(&theirs)), (&json!(27), 13));
        assert_eq!((done["progress"].get("withheld"), theirs.get("told")), (None, None));
        assert_eq!(end(work, &done).get("withheld"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_withheld_learners_than_a_group_look_like_none_however_many_their_records_are() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.consent(36, &work.did).await;
    // Four learners without consent, with one record each and with ten; and none of them.
    for (id, learners) in [
        ("few", (0..40).collect::<Vec<u64>>()),
        ("many", (0..36).chain((0..40).map(|k| 36 + k % 4)).collect()),
        ("none", (0..36).collect()),
    ] {
        let path = school.dir.join(format!("{id}.ndjson"));
        let records: String = (0..).zip(&learners).map(|(k, learner)| record(k, *learner)).collect();
        fs::write(&path, records).unwrap();
        school.post("/v1/datasets", &dataset(id, &path, offer())).await;
        let agreement = work.negotiate_for(school, id).await;
        let (done, theirs) = fetched(school, work, &agreement).await;
        assert_eq!(done["progress"]["records"], 36, "{id}");
        assert_eq!(withheld(&theirs), learners.len() as u64 - 36, "{id}");
        assert_eq!(
            (done["progress"].get("withheld"), theirs.get("told")),
            (None, None),
            "{id}"
        );
        assert_eq!(end(work, &done).get("withheld"), None, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_learner_with_most_of_the_withheld_records_does_not_show_in_the_total() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.consent(28, &work.did).await;
    // Twelve learners without consent, one of them with three hundred records.
    let path = school.dir.join("heavy.ndjson");
    let learners = (0..40).chain((0..299).map(|_| 39));
    let records: String = (0..).zip(learners).map(|(k, learner)| record(k, learner)).collect();
    fs::write(&path, records).unwrap();
    school.post("/v1/datasets", &dataset("heavy", &path, offer())).await;
    let agreement = work.negotiate_for(school, "heavy").await;
    let (done, theirs) = fetched(school, work, &agreement).await;
    assert_eq!((&done["progress"]["records"], withheld(&theirs)), (&json!(28), 311));
    assert_eq!(
        (&done["progress"]["withheld"], &theirs["told"]),
        (&json!(10), &json!(10))
    );
}

/// What the end line tells of a whole stream that is read by hand.
async fn read_by_hand(school: &Connector, (endpoint, token): &(String, String)) -> Option<u64> {
    let client = browser(school).http1_only().build().unwrap();
    let response = client.get(endpoint).bearer_auth(token).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.text().await.unwrap();
    let end: Value = serde_json::from_str(body.lines().last().unwrap()).unwrap();
    assert_eq!(end["t"], "end");
    end.get("withheld").and_then(Value::as_u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transfer_that_told_tells_the_same_when_it_is_read_again_before_and_after_its_provider_was_killed() {
    let by_hand = |name: &str, config: String| match name {
        "work" => with(config, "decisions", "transfers = \"manual\""),
        _ => config,
    };
    let mut world = World::start_with(&["school", "work"], by_hand).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(60, 60).await;
    school.consent(48, &work.did).await;
    let agreement = work.negotiate(school).await;
    let pid = work.transfer(&agreement).await;
    work.transfer_until(&pid, "STARTED").await;
    world.get_mut("work").kill();
    let address = address(world.get("work"), &pid).await;
    assert_eq!(read_by_hand(world.get("school"), &address).await, Some(10));

    // Whether it could note what it released or not.
    let school = world.get_mut("school");
    school.kill();
    school.start().await;
    // Of forty learners something is withheld now.
    for learner in 0..28 {
        let body = json!({"subject": format!("l{learner}")});
        school.post("/v1/consents/withdraw", &body).await;
    }
    for _ in 0..2 {
        assert_eq!(read_by_hand(school, &address).await, Some(10));
    }
}
