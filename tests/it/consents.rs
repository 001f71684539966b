//! Learners' consents through real daemons: what is withheld and counted, what the peer cannot see, and withdrawal as the last word.

use crate::scenes::{
    account, address, brisk, browser, entries, file,
    learners::{numbers, pseudonym, released, withdraw},
    received_at_least, until, verified,
};
use connector::clock::now;
use connector_tests::harness::{Connector, NOTICE, World, consent, dataset, offer, offer_and, record, text};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

/// Negotiates a dataset and fetches it; returns the complete transfer of the consumer and what the provider released.
async fn fetch(provider: &Connector, consumer: &Connector, offered: &str) -> (Value, Value) {
    let agreement = consumer.negotiate_for(provider, offered).await;
    let pid = consumer.transfer(&agreement).await;
    let done = consumer.transfer_until(&pid, "COMPLETED").await;
    account(provider, consumer, &pid).await;
    let release = released(provider, &text(&done, "peerPid")).await;
    (done, release)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reason_withholds_under_its_name_and_the_peer_sees_none() {
    const EACH: u64 = 150;
    let world = World::start(&["school", "work", "edtech"]).await;
    let (school, work, edtech) = (world.get("school"), world.get("work"), world.get("edtech"));
    school.publish(EACH * 16, 16).await;
    let soon = now().plus(Duration::from_secs(1));
    let for_work = |learner: &str, member: &str, value: Value| {
        let mut consent = consent(learner, &work.did);
        consent[member] = value;
        consent
    };
    // l0 has none; l8 and on are allowed.
    let mut consents = vec![
        consent("l1", &edtech.did),
        for_work("l2", "purposes", json!(["https://w3id.org/dpv#Marketing"])),
        for_work("l3", "datasets", json!(["another"])),
        for_work("l4", "categories", json!(["experience"])),
        for_work("l5", "expires", json!(soon)),
        consent("l6", &work.did),
        for_work("l7", "categories", json!(["skills", "experience"])),
    ];
    consents.extend((8..16).map(|learner| consent(&format!("l{learner}"), &work.did)));
    school.post("/v1/consents", &json!(consents)).await;
    withdraw(school, "l6").await;
    until("the consent has run out", async || (now() > soon).then_some(())).await;

    let (done, release) = fetch(school, work, "records").await;
    assert_eq!(
        release["withheld"],
        json!({
            "CNS-01": EACH, "CNS-04": EACH, "CNS-05": EACH, "CNS-06": EACH,
            "CNS-07": EACH, "CNS-08": 2 * EACH,
        })
    );
    assert_eq!(release["sent"], 9 * EACH);
    // Who allows a part gets a part sent: no result of l7.
    let lines = work.received(&text(&done, "pid"));
    let partly = pseudonym(school, work, "l7").await;
    let of = |line: &&Value| line["t"] == "r" && line["record"]["sub"] == partly.as_str();
    assert_eq!(lines.iter().filter(of).count() as u64, EACH);
    assert!(
        lines
            .iter()
            .filter(of)
            .all(|line| line["record"].get("result").is_none())
    );

    // The same learners' records without the others: but for names and signatures, the stream is the same.
    let only = school.dir.join("only.ndjson");
    let allowed: String = (0..EACH * 16)
        .filter(|k| k % 16 >= 7)
        .map(|k| record(k, k % 16))
        .collect();
    fs::write(&only, allowed).unwrap();
    school.post("/v1/datasets", &dataset("only", &only, offer())).await;
    let (other, _) = fetch(school, work, "only").await;
    let bare = |pid: &str| -> Vec<Value> {
        let mut lines = work.received(pid);
        for line in &mut lines {
            let members = line.as_object_mut().unwrap();
            let control = members["t"] != "r";
            let names: BTreeSet<&str> = members.keys().map(String::as_str).collect();
            let known = [
                "t",
                "n",
                "record",
                "v",
                "agreement",
                "dataset",
                "transfer",
                "root",
                "sig",
                "cursor",
            ];
            assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
            if control {
                for name in ["agreement", "dataset", "transfer", "sig"] {
                    members.remove(name);
                }
                if let Some(cursor) = members.get_mut("cursor") {
                    *cursor = cursor.as_str().unwrap().len().into();
                }
            }
        }
        lines
    };
    let (mixed, alone) = (bare(&text(&done, "pid")), bare(&text(&other, "pid")));
    assert!(mixed.iter().any(|line| line["t"] == "cp"), "a checkpoint is among them");
    assert_eq!(mixed, alone);
    assert_eq!(done["release"], Value::Null);
    for connector in [school, work] {
        verified(connector).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_withdrawal_is_acknowledged_no_record_follows_in_any_stream() {
    const RECORDS: u64 = 6_000;
    let slow = |name: &str, config: String| brisk(config, if name == "school" { 400_000 } else { 0 });
    let world = World::start_with(&["school", "work", "edtech"], slow).await;
    let (school, work, edtech) = (world.get("school"), world.get("work"), world.get("edtech"));
    school.publish(RECORDS, 10).await;
    let mut streams = Vec::new();
    for consumer in [work, edtech] {
        school.consent(10, &consumer.did).await;
        let agreement = consumer.negotiate(school).await;
        streams.push((consumer, consumer.transfer(&agreement).await));
    }
    for (consumer, pid) in &streams {
        received_at_least(consumer, pid, 200).await;
    }
    let mut told = Vec::new();
    for learner in ["l3", "l7", "l0"] {
        let acknowledgement = withdraw(school, learner).await;
        assert_eq!(
            acknowledgement["streams"].as_array().unwrap().len(),
            2,
            "{acknowledgement}"
        );
        told.push((learner, acknowledgement));
        received_at_least(work, &streams[0].1, 200 + 600 * told.len() as u64).await;
    }
    for (consumer, pid) in &streams {
        let done = consumer.transfer_until(pid, "COMPLETED").await;
        account(school, consumer, pid).await;
        for (learner, acknowledgement) in &told {
            let end = acknowledgement["streams"]
                .as_array()
                .unwrap()
                .iter()
                .find(|end| end["transfer"] == done["peerPid"])
                .unwrap();
            let last = end["lastSequence"].as_u64().unwrap();
            let name = pseudonym(school, consumer, learner).await;
            assert_eq!(text(end, "pseudonym"), name);
            let (theirs, others) = numbers(&file(consumer, pid), &name);
            assert!(
                !theirs.is_empty() && theirs.iter().all(|n| *n <= last),
                "{learner}: {last} {theirs:?}"
            );
            assert!(others.iter().any(|n| *n > last), "the others go on");
        }
        let release = released(school, &text(&done, "peerPid")).await;
        let withheld = release["withheld"]["CNS-04"].as_u64().unwrap();
        assert_eq!(release["sent"].as_u64().unwrap() + withheld, RECORDS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_towards_one_recipient_leaves_the_other_stream_alone() {
    const RECORDS: u64 = 4_000;
    let slow = |name: &str, config: String| brisk(config, if name == "school" { 500_000 } else { 0 });
    let world = World::start_with(&["school", "work", "edtech"], slow).await;
    let (school, work, edtech) = (world.get("school"), world.get("work"), world.get("edtech"));
    school.publish(RECORDS, 10).await;
    let mut streams = Vec::new();
    for consumer in [work, edtech] {
        school.consent(10, &consumer.did).await;
        let agreement = consumer.negotiate(school).await;
        streams.push(consumer.transfer(&agreement).await);
    }
    received_at_least(work, &streams[0], 100).await;
    let body = json!({"subject": "l4", "recipient": work.did});
    school.post("/v1/consents/withdraw", &body).await;
    work.transfer_until(&streams[0], "COMPLETED").await;
    edtech.transfer_until(&streams[1], "COMPLETED").await;
    assert!(account(school, work, &streams[0]).await.len() < RECORDS as usize);
    let all: Vec<u64> = (0..RECORDS).collect();
    assert_eq!(account(school, edtech, &streams[1]).await, all);
}

/// Bytes that the kernel holds for receivers of this port which do not take them.
fn queued(port: u16) -> u64 {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let local = format!(":{port:04X}");
    let held = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (own, queues) = (*columns.get(1)?, *columns.get(4)?);
        own.ends_with(&local)
            .then(|| u64::from_str_radix(queues.split(':').next()?, 16).ok())?
    };
    table.lines().filter_map(held).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_stopped_reading_does_not_delay_a_withdrawal_and_is_cut_off() {
    const RECORDS: u64 = 3_000;
    let slow = |name: &str, config: String| brisk(config, if name == "school" { 100_000 } else { 0 });
    let mut world = World::start_with(&["school", "work"], slow).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let path = school.dir.join("large.ndjson");
    let long = "x".repeat(8_000);
    let large: String = (0..RECORDS)
        .map(|k| record(k, k % 10).replace("/skill/", &format!("/skill/{long}/")))
        .collect();
    fs::write(&path, large).unwrap();
    school.publish_file(&path).await;
    school.consent(10, &work.did).await;
    let agreement = work.negotiate(school).await;
    let pid = work.transfer(&agreement).await;
    received_at_least(work, &pid, 1).await;
    let name = pseudonym(school, work, "l5").await;
    world.get_mut("work").kill();
    let (endpoint, token) = address(world.get("work"), &pid).await;

    // From now on as fast as it goes, so that the buffers on the way are full soon.
    let school = world.get_mut("school");
    school.kill();
    let config = fs::read_to_string(school.config()).unwrap();
    let config = config.replace("stream_bytes_per_second = 100000", "stream_bytes_per_second = 0");
    fs::write(school.config(), config).unwrap();
    school.start().await;
    let school = world.get("school");
    let client = browser(school).http1_only().build().unwrap();
    let mut response = client.get(&endpoint).bearer_auth(&token).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut held = 0;
    until("the buffers are full", async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let before = std::mem::replace(&mut held, queued(school.port));
        (held > 0 && held == before).then_some(())
    })
    .await;

    let told = withdraw(school, "l5").await;
    let running = school.get("/v1/status").await["streams"].as_u64();
    assert_eq!(
        running,
        Some(1),
        "the answer came while the receiver still kept the stream waiting"
    );
    let last = told["streams"][0]["lastSequence"].as_u64().unwrap();
    let begun = Instant::now();
    until("the stream is cut", async || {
        (school.get("/v1/status").await["streams"] == 0).then_some(())
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let noted = until("the broken stream is noted", async || {
        let mut all = entries(school, "release").await;
        all.pop().filter(|noted| noted["sent"] == last)
    })
    .await;
    assert_eq!(noted["complete"], false);

    // What was on the way arrives, and then nothing more.
    let mut body = Vec::new();
    let broken = loop {
        match response.chunk().await {
            Ok(Some(bytes)) => body.extend_from_slice(&bytes),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken, "the stream did not end by itself");
    let got = world.folder.path().join("stalled.ndjson");
    fs::write(&got, body).unwrap();
    let (theirs, others) = numbers(&got, &name);
    assert!(theirs.iter().chain(&others).all(|n| *n <= last), "{last}");
    assert!(!theirs.is_empty() && others.len() > theirs.len());

    // The rightful receiver goes on, without that learner.
    world.get_mut("work").start().await;
    let (school, work) = (world.get("school"), world.get("work"));
    work.transfer_until(&pid, "COMPLETED").await;
    account(school, work, &pid).await;
    let (theirs, others) = numbers(&file(work, &pid), &name);
    assert!(theirs.iter().all(|n| *n <= last) && others.len() as u64 == RECORDS / 10 * 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_outlives_a_kill_and_a_new_grant_opens_again() {
    let mut world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(40, 4).await;
    school.consent(4, &work.did).await;
    withdraw(school, "l1").await;
    world.get_mut("school").kill();
    world.get_mut("school").start().await;
    let (school, work) = (world.get("school"), world.get("work"));
    let (_, release) = fetch(school, work, "records").await;
    assert_eq!(release["withheld"], json!({"CNS-04": 10}));
    let list = school.get("/v1/consents?subject=l1").await;
    assert!(list["consents"][0]["withdrawn"].is_string(), "{list}");

    let (status, said) = school
        .call(Method::POST, "/v1/consents/withdraw", Some(&json!({"subject": "l1"})))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{said}");
    assert_eq!(said["error"]["code"], "nothing-to-withdraw");

    school.post("/v1/consents", &json!([consent("l1", &work.did)])).await;
    let (_, release) = fetch(school, work, "records").await;
    assert_eq!((&release["sent"], &release["withheld"]), (&json!(40), &json!({})));
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_lines_are_withheld_and_counted_and_the_stream_goes_on() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let path = school.dir.join("odd.ndjson");
    let padded = record(3, 1).replace("Learner 1", &"x".repeat(1024 * 1024));
    let lines = [
        record(0, 0),
        "this is not JSON\n".to_owned(),
        record(1, 1).replace("\"sub\"", "\"who\""),
        record(2, 0).replace("\"l0\"", "7"),
        padded,
        "\n".to_owned(),
        "[1,2]\n".to_owned(),
        "{\"sub\":\"l0\",\"sub\":\"l1\"}\n".to_owned(),
        "{\"sub\":\"l0\"\n".to_owned(),
        record(4, 1),
        record(5, 0).trim_end().to_owned(),
    ];
    fs::write(&path, lines.concat()).unwrap();
    school.publish_file(&path).await;
    school.consent(2, &work.did).await;
    let (done, release) = fetch(school, work, "records").await;
    let withheld = json!({
        "not-json": 2, "no-subject": 1, "subject-not-text": 1, "too-long": 1, "not-an-object": 1, "duplicate-member": 1,
    });
    assert_eq!((&release["sent"], &release["withheld"]), (&json!(3), &withheld));
    assert_eq!(account(school, work, &text(&done, "pid")).await, [0, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_changed_between_cursor_and_resumption_ends_the_transfer_and_says_why() {
    let slow = |name: &str, config: String| brisk(config, if name == "school" { 300_000 } else { 0 });
    let mut world = World::start_with(&["school", "work"], slow).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let path = school.publish(6_000, 10).await;
    school.consent(10, &work.did).await;
    let agreement = work.negotiate(school).await;
    let pid = work.transfer(&agreement).await;
    received_at_least(work, &pid, 1_100).await;
    world.get_mut("school").kill();
    let text_before = fs::read_to_string(&path).unwrap();
    fs::write(&path, text_before + &record(6_000, 0)).unwrap();
    world.get_mut("school").start().await;
    let (school, work) = (world.get("school"), world.get("work"));
    let ended = work.transfer_until(&pid, "TERMINATED").await;
    assert!(
        ended["explanation"].to_string().contains("the source has changed"),
        "{ended}"
    );
    let theirs = school.transfer_until(&text(&ended, "peerPid"), "TERMINATED").await;
    assert!(
        theirs["explanation"].to_string().contains("the source has changed"),
        "{theirs}"
    );
    let records = work.cli(&["transfer", "records", &pid]);
    assert_eq!(
        records.status.code(),
        Some(1),
        "what is incomplete is not handed out: {records:?}"
    );
    let pid = work.transfer(&agreement).await;
    work.transfer_until(&pid, "COMPLETED").await;
    assert_eq!(account(school, work, &pid).await.len(), 6_001);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_agreements_validity_stops_its_running_stream() {
    let slow = |name: &str, config: String| brisk(config, if name == "school" { 60_000 } else { 0 });
    let world = World::start_with(&["school", "work"], slow).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(6_000, 10).await;
    school.consent(10, &work.did).await;
    let end = now().plus(Duration::from_secs(3));
    let until_then = json!({"leftOperand": "odrl:dateTime", "operator": "lt", "rightOperand": {"@value": end, "@type": "xsd:dateTime"}});
    let terms = offer_and(until_then);
    let path = school.dir.join("records.ndjson");
    school.post("/v1/datasets", &dataset("brief", &path, terms)).await;
    let agreement = work.negotiate_for(school, "brief").await;
    let pid = work.transfer(&agreement).await;
    received_at_least(work, &pid, 1).await;
    assert!(now() < end, "the stream began in time");
    let ended = work.transfer_until(&pid, "TERMINATED").await;
    assert!(now() >= end);
    assert_eq!(ended["explanation"]["code"], "POL-05", "{ended}");
    let theirs = text(&ended, "peerPid");
    school.transfer_until(&theirs, "TERMINATED").await;
    let noted = entries(school, "release").await.pop().unwrap();
    assert_eq!(noted["complete"], json!(false));
    assert!(
        noted["sent"].as_u64() > Some(0) && noted["sent"].as_u64() < Some(6_000),
        "{noted}"
    );
    let (status, said) = work
        .call(Method::POST, "/v1/transfers", Some(&json!({ "agreement": agreement })))
        .await;
    if status.is_success() {
        let refused = work.transfer_until(&text(&said, "pid"), "TERMINATED").await;
        assert_eq!(refused["explanation"]["code"], "POL-05", "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_incomplete_or_not_understood_is_refused_by_name() {
    let world = World::start(&["school"]).await;
    let school = world.get("school");
    let path = school.publish(3, 3).await;
    let whole = consent("l1", "did:web:work.example");
    let import = |lines: &[Value]| {
        let file = school.dir.join("consents.jsonl");
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&file, text).unwrap();
        let done = school.cli(&["consent", "import", file.to_str().unwrap()]);
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    for member in [
        "method",
        "notice",
        "evidence",
        "subject",
        "recipients",
        "purposes",
        "categories",
    ] {
        let mut lacking = whole.clone();
        lacking.as_object_mut().unwrap().remove(member);
        let (code, said) = import(&[whole.clone(), whole.clone(), lacking]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("line 3") && said.contains(member), "{member}: {said}");

        let mut empty = whole.clone();
        empty[member] = if empty[member].is_array() { json!([]) } else { json!("") };
        let (code, said) = import(&[whole.clone(), empty]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("entry 2") && said.contains(member), "{member}: {said}");
    }
    assert_eq!(
        school.get("/v1/consents").await["consents"],
        json!([]),
        "nothing was recorded"
    );
    let (code, said) = import(&[whole.clone(), whole.clone()]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        school.get("/v1/consents").await["consents"].as_array().unwrap().len(),
        2
    );
    assert!(NOTICE.starts_with("sha256:"));

    for (place, unknown) in [
        (
            "/permission/0/constraint/0/leftOperand",
            "https://example.org/moonPhase",
        ),
        ("/permission/0/constraint/0/operator", "roughly"),
        ("/permission/0/action", "https://example.org/juggle"),
    ] {
        let mut terms = offer();
        *terms.pointer_mut(place).unwrap() = json!(unknown);
        let new = dataset("odd", &path, terms);
        let (status, said) = school.call(Method::POST, "/v1/datasets", Some(&new)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
        assert!(text(&said["error"], "message").contains(unknown), "{said}");
    }
    let (status, _) = school.call(Method::GET, "/v1/datasets/odd", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
