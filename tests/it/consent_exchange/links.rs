//! Links between identities: made when the learner has confirmed at both sides, by a code that is good once.

use super::fast;
use crate::scenes::{
    learners::{claimed, link_of, pseudonym, stage},
    until,
};
use connector::clock::now;
use connector_tests::harness::{Connector, World, text};
use http::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_made_when_the_learner_has_confirmed_at_both_sides() {
    let mut world = World::start_with(&["school", "work"], fast).await;
    let (theirs, ours) = claimed(world.get("school"), "l1", world.get("work"), "job-1").await;
    // Both are killed before the learner confirms.
    for name in ["school", "work"] {
        world.get_mut(name).kill();
        world.get_mut(name).start().await;
    }
    let (school, work) = (world.get("school"), world.get("work"));
    assert_eq!(
        (stage(school, &theirs).await, stage(work, &ours).await),
        ("claimed".into(), "asked".into())
    );
    let path = format!("/v1/links/{theirs}/confirm");
    let (status, said) = school.call(Method::POST, &path, Some(&json!({"subject": "l2"}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "another learner: {said}");
    let confirmed = school.post(&path, &json!({"subject": "l1"})).await;
    assert_eq!(text(&confirmed, "pseudonym"), pseudonym(school, work, "l1").await);
    let linked = until("both know", async || {
        let linked = link_of(work, &ours).await;
        (linked["stage"] == "linked").then_some(linked)
    })
    .await;
    assert_eq!(
        (&linked["pseudonym"], &linked["subject"]),
        (&confirmed["pseudonym"], &json!("job-1"))
    );
    let (status, _) = school.call(Method::POST, &path, Some(&json!({"subject": "l1"}))).await;
    assert_eq!(status, StatusCode::CONFLICT, "confirmed already");
    let (status, _) = work.call(Method::DELETE, &format!("/v1/links/{ours}"), None).await;
    assert_eq!((status, stage(work, &ours).await), (StatusCode::OK, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_wrong_used_or_another_participants_is_refused_alike_and_guessing_is_limited() {
    let world = World::start_with(&["school", "work", "edtech"], fast).await;
    let (school, work, edtech) = (world.get("school"), world.get("work"), world.get("edtech"));
    let redeem = async |who: &Connector, code: &str| {
        let redeemed = who
            .post(
                "/v1/links/redeem",
                &json!({"peer": "school", "subject": "x", "code": code}),
            )
            .await;
        let id = text(&redeemed, "id");
        until("it is refused", async || {
            stage(who, &id).await.eq("refused").then_some(())
        })
        .await;
    };
    let offered = school
        .post("/v1/links", &json!({"subject": "l1", "peer": "work"}))
        .await;
    let (code, id) = (text(&offered, "code"), text(&offered["link"], "id"));
    redeem(edtech, &code).await;
    redeem(work, "0000-0000-0000-0000").await;
    assert_eq!(stage(school, &id).await, "offered");
    work.post(
        "/v1/links/redeem",
        &json!({"peer": "school", "subject": "job-1", "code": code}),
    )
    .await;
    until("the code is claimed", async || {
        stage(school, &id).await.eq("claimed").then_some(())
    })
    .await;
    redeem(work, &code).await;
    // All were told the same.
    let log = [work.log(), edtech.log()].concat();
    assert!(!log.contains("claimed") && !log.contains("another participant"));
    for _ in 0..8 {
        redeem(work, "0000-0000-0000-0001").await;
    }
    let offered = school
        .post("/v1/links", &json!({"subject": "l2", "peer": "work"}))
        .await;
    work.post(
        "/v1/links/redeem",
        &json!({"peer": "school", "subject": "job-2", "code": offered["code"]}),
    )
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let id = text(&offered["link"], "id");
    assert_eq!(
        stage(school, &id).await,
        "offered",
        "who guessed too often waits, with a right code too"
    );
    assert!(!school.log().contains(&code), "no code is in a log");
    let before = now();
    assert!(
        offered["link"]["expires"]
            .as_str()
            .unwrap()
            .parse::<policy::Timestamp>()
            .unwrap()
            > before
    );
}
