//! What an exchange delivers in all: every resource that was consented to, and many records in little memory (`ptx.md` 2.7).

use connector_tests::harness::{Connector, World, consent, dataset, offer, record, text};
use serde_json::{Value, json};
use std::{fmt::Write, fs, time::Duration};

/// Negotiates this dataset and fetches it; returns the ids of its records.
async fn fetched(work: &Connector, school: &Connector, dataset: &str) -> Vec<String> {
    let pid = work.transfer(&work.negotiate_for(school, dataset).await).await;
    work.transfer_until(&pid, "COMPLETED").await;
    let lines = work.received(&pid).into_iter().filter(|line| line["t"] == "r");
    lines.map(|line| text(&line["record"], "id")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_resources_that_are_consented_to_three_are_received_and_a_fourth_is_not() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let names = ["skills", "results", "traces", "notes"];
    for (number, name) in (0..).zip(names) {
        let path = school.dir.join(format!("{name}.ndjson"));
        fs::write(&path, record(number, 0)).unwrap();
        school.post("/v1/datasets", &dataset(name, &path, offer())).await;
    }
    let mut given = consent("l0", &work.did);
    given["datasets"] = json!(names[..3]);
    school.post("/v1/consents", &json!([given])).await;
    let mut received = Vec::new();
    for name in names {
        received.push(fetched(work, school, name).await);
    }
    let only = |number: u64| vec![format!("urn:record:{number}")];
    assert_eq!(received, [only(0), only(1), only(2), Vec::new()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_two_thousand_records_pass_through_both_daemons_in_bounded_memory() {
    const RECORDS: u64 = 22_000;
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    // More than 100 MB in all: whoever holds them all at once is found out.
    let (path, long) = (school.dir.join("records.ndjson"), "x".repeat(5_000));
    let mut all = String::new();
    for number in 0..RECORDS {
        let mut one: Value = serde_json::from_str(&record(number, number % 100)).unwrap();
        one["skills"][0]["text"] = json!(long);
        writeln!(all, "{one}").unwrap();
    }
    fs::write(&path, &all).unwrap();
    drop(all);
    school.publish_file(&path).await;
    school.consent(100, &work.did).await;
    let agreement = work.negotiate(school).await;
    let idle = [school, work].map(Connector::rss_mib);
    let mut highest = idle;
    let pid = work.transfer(&agreement).await;
    let done = work.transfer_until(&pid, "COMPLETED");
    tokio::pin!(done);
    let ended = loop {
        tokio::select! {
            ended = &mut done => break ended,
            () = tokio::time::sleep(Duration::from_millis(10)) => {
                for (most, daemon) in highest.iter_mut().zip([school, work]) {
                    *most = most.max(daemon.rss_mib());
                }
            }
        }
    };
    assert_eq!(ended["progress"]["records"], RECORDS, "{ended}");
    for (idle, highest) in idle.iter().zip(highest) {
        assert!(
            highest - idle < 64.0,
            "{:.0} MiB over the {idle:.0} MiB of an idle daemon",
            highest - idle
        );
    }
}
