//! Requests that carry a key, and so may be repeated: through refusals, restarts and crashes in between.

use super::{Got, JSON, raw};
use crate::scenes::until;
use connector::{
    jose,
    store::{Batch, SledStore, Store, Table},
};
use connector_tests::harness::{Connector, World, consent, dataset, offer, text};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

async fn keyed(connector: &Connector, key: &str, path: &str, body: &Value) -> Got {
    let body = body.to_string().into_bytes();
    raw(connector, Method::POST, path, &[JSON, ("idempotency-key", key)], body)
        .await
        .expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_the_same_answer_and_does_nothing() {
    let mut world = World::start(&["school", "work"]).await;
    let school = world.get("school");
    let path = school.dir.join("records.ndjson");
    std::fs::write(&path, "").unwrap();
    let new = dataset("records", &path, offer());
    let first = keyed(school, "publish", "/v1/datasets", &new).await;
    assert_eq!(
        (first.status, first.is_replayed()),
        (StatusCode::CREATED, false),
        "{}",
        first.body
    );
    let again = keyed(school, "publish", "/v1/datasets", &new).await;
    assert_eq!(
        (again.status, &again.body, again.is_replayed()),
        (first.status, &first.body, true)
    );
    let fresh = keyed(school, "publish-2", "/v1/datasets", &new).await;
    assert_eq!((fresh.status, fresh.code()), (StatusCode::CONFLICT, "exists"));

    // A refusal is an answer too, and stands.
    school.call(Method::DELETE, "/v1/datasets/records", None).await;
    let refused = keyed(school, "publish-2", "/v1/datasets", &new).await;
    assert_eq!((refused.status, refused.is_replayed()), (StatusCode::CONFLICT, true));
    assert_eq!(
        keyed(school, "publish-3", "/v1/datasets", &new).await.status,
        StatusCode::CREATED
    );

    let work = world.get("work");
    let wanted = json!({"peer": "school", "offer": "records"});
    let opened = keyed(work, "negotiate", "/v1/negotiations", &wanted).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.body);
    let other = json!({"peer": "school", "offer": "records", "manual": true});
    for (path, body) in [
        ("/v1/negotiations", &other),
        ("/v1/transfers", &wanted),
        ("/v1/negotiations?x=y", &wanted),
    ] {
        let got = keyed(work, "negotiate", path, body).await;
        assert_eq!(
            (got.status, got.code()),
            (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused"),
            "{path}"
        );
    }
    let pid = text(&opened.body, "pid");
    work.get(&format!("/v1/negotiations/{pid}/wait?timeout=30")).await;
    world.get_mut("work").kill();
    world.get_mut("work").start().await;
    let work = world.get("work");
    let again = keyed(work, "negotiate", "/v1/negotiations", &wanted).await;
    assert_eq!(
        (again.status, &again.body, again.is_replayed()),
        (opened.status, &opened.body, true)
    );
    assert_eq!(
        work.get("/v1/negotiations").await["negotiations"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_one_is_refused() {
    let world = World::start(&["school"]).await;
    let school = world.get("school");
    let long = "k".repeat(256);
    for key in ["", "two words", "clé", &long] {
        let got = keyed(school, key, "/v1/audit/verify", &json!({})).await;
        assert_eq!(
            (got.status, got.code()),
            (StatusCode::BAD_REQUEST, "idempotency-key"),
            "{key}"
        );
    }
    let two = [("idempotency-key", "a"), ("idempotency-key", "b")];
    let got = raw(school, Method::POST, "/v1/audit/verify", &two, Vec::new())
        .await
        .unwrap();
    assert_eq!((got.status, got.code()), (StatusCode::BAD_REQUEST, "idempotency-key"));
    assert_eq!(
        keyed(school, &long[..255], "/v1/audit/verify", &json!({})).await.status,
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_still_runs_is_not_carried_out_twice_and_may_be_tried_again_when_it_could_not_be() {
    let mut world = World::start(&["school", "work"]).await;
    world.get("school").publish(2, 2).await;
    let wanted = json!({"peer": "school", "offer": "records"});
    world.get("school").signal("STOP");
    let work = world.get("work");
    let api = async || keyed(work, "k", "/v1/negotiations", &wanted).await;
    let (first, ()) = tokio::join!(api(), async {
        let other = json!({"peer": "school", "offer": "else"});
        // Of two that set out together either may come first, and only the second is told so.
        tokio::time::sleep(Duration::from_secs(1)).await;
        until("the first runs", async || {
            let got = api().await;
            (got.code() == "in-progress").then(|| assert_eq!(got.status, StatusCode::CONFLICT))
        })
        .await;
        assert_eq!(
            keyed(work, "k", "/v1/negotiations", &other).await.code(),
            "idempotency-key-reused"
        );
        world.get("school").signal("CONT");
    });
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    assert!(api().await.is_replayed());
    assert_eq!(
        work.get("/v1/negotiations").await["negotiations"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    // What was not done because the peer is away is done when it is back, with the same key.
    world.get_mut("school").stop();
    let work = world.get("work");
    assert_eq!(
        keyed(work, "l", "/v1/negotiations", &wanted).await.status,
        StatusCode::BAD_GATEWAY
    );
    world.get_mut("school").start().await;
    let work = world.get("work");
    let opened = keyed(work, "l", "/v1/negotiations", &wanted).await;
    assert_eq!(
        (opened.status, opened.is_replayed()),
        (StatusCode::CREATED, false),
        "{}",
        opened.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_in_between_an_outcome_is_not_guessed() {
    let mut world = World::start(&["school", "work"]).await;
    let school = world.get("school");
    let many: Vec<Value> = (0..20_000)
        .map(|number| consent(&format!("l{number}"), "did:web:work.example"))
        .collect();
    let many = json!(many);
    let entries = async || school.get("/v1/status").await["auditEntries"].as_u64();
    let before = entries().await;
    let sending = keyed_or_cut(school, &many);
    let killing = async {
        until("some are recorded", async || (entries().await > before).then_some(())).await;
        school.signal("KILL");
    };
    let (got, ()) = tokio::join!(sending, killing);
    assert!(got.is_none(), "the import was done before the daemon was killed");
    world.get_mut("school").kill();
    world.get_mut("school").start().await;
    let school = world.get("school");
    for _ in 0..2 {
        let got = keyed(school, "import", "/v1/consents", &many).await;
        assert_eq!((got.status, got.code()), (StatusCode::CONFLICT, "outcome-unknown"));
        assert!(got.body["error"]["hint"].as_str().unwrap().contains("list"));
    }
}

async fn keyed_or_cut(connector: &Connector, body: &Value) -> Option<Got> {
    let headers = [JSON, ("idempotency-key", "import")];
    raw(
        connector,
        Method::POST,
        "/v1/consents",
        &headers,
        body.to_string().into_bytes(),
    )
    .await
}

/// Makes the store say what it says when the daemon died after a request was carried out and before its answer was kept.
async fn forget_answer(connector: &Connector, key: &str) {
    let store = SledStore::open(&connector.dir.join("store")).unwrap();
    let row = [b"k".as_slice(), jose::sha256(key.as_bytes()).as_bytes()].concat();
    let kept = store.get(Table(15), &row).await.unwrap().expect("the key is kept");
    let mut kept: Value = serde_json::from_slice(&kept.value).unwrap();
    assert!(kept["answer"].is_object());
    kept["answer"] = Value::Null;
    let mut batch = Batch::new();
    batch.put(Table(15), row, kept.to_string());
    store.commit(batch).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_opened_before_a_crash_is_found_by_its_key() {
    let mut world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(2, 2).await;
    let agreement = work.negotiate(school).await;
    let requests = [
        (
            "negotiation",
            "/v1/negotiations",
            json!({"peer": "school", "offer": "records"}),
        ),
        ("transfer", "/v1/transfers", json!({"agreement": agreement})),
    ];
    let mut opened = Vec::new();
    for (key, path, body) in &requests {
        opened.push(text(&keyed(work, key, path, body).await.body, "pid"));
    }
    work.get(&format!("/v1/negotiations/{}/wait?timeout=30", opened[0]))
        .await;
    work.transfer_until(&opened[1], "COMPLETED").await;
    world.get_mut("work").stop();
    for (key, ..) in &requests {
        forget_answer(world.get("work"), key).await;
    }
    world.get_mut("work").start().await;
    let work = world.get("work");
    for ((key, path, body), pid) in requests.iter().zip(&opened) {
        let got = keyed(work, key, path, body).await;
        assert_eq!(
            (got.status, &text(&got.body, "pid")),
            (StatusCode::CREATED, pid),
            "{}",
            got.body
        );
    }
    assert_eq!(
        work.get("/v1/negotiations").await["negotiations"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        work.get("/v1/transfers").await["transfers"].as_array().unwrap().len(),
        1
    );
}
