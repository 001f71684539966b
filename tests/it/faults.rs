//! Whole connectors under kills, full disks and power cuts: both sides agree afterwards, and what was acknowledged is still there.
//!
//! Not here: a clock that jumps. The daemon reads the machine's clock, and changing that needs rights that a test does not have.

use crate::{
    scenes::{account, brisk, entries, mixed, received_at_least, seed, until, verified},
    store_crash::{powercut, restore},
};
use connector_tests::harness::{Connector, World, consent, offer, text};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::net::UnixStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const KILLS: u64 = 20;

fn ids(list: &Value, name: &str, id: &str) -> BTreeSet<String> {
    list[name].as_array().unwrap().iter().map(|one| text(one, id)).collect()
}

/// Waits until a negotiation has ended here and returns it.
async fn ended(connector: &Connector, pid: &str) -> Value {
    let path = format!("/v1/negotiations/{pid}/wait?timeout=20");
    let (status, ended) = connector.call(Method::GET, &path, None).await;
    if status.is_success() {
        return ended;
    }
    let stuck = connector.get(&format!("/v1/negotiations/{pid}")).await;
    panic!("{}: {ended}\n{stuck}\n{}", connector.name, connector.log());
}

/// Both sides of every negotiation have ended alike, with the same signed document if there is an agreement.
async fn agree(consumer: &Connector, provider: &Connector) {
    let all = consumer.get("/v1/negotiations").await;
    let ours = ids(&all, "negotiations", "pid");
    for pid in &ours {
        let here = ended(consumer, pid).await;
        let there = ended(provider, &text(&here, "peerPid")).await;
        assert_eq!(here["stateName"], there["stateName"], "{here}\n{there}");
        assert_eq!(text(&there, "peerPid"), *pid);
        assert_eq!(here["agreementId"], there["agreementId"], "{here}\n{there}");
        if here["stateName"] == "FINALIZED" {
            let path = format!("/v1/agreements/{}", text(&here, "agreementId"));
            let (here, there) = (consumer.get(&path).await, provider.get(&path).await);
            assert!(here["document"].is_object());
            assert_eq!(here["document"], there["document"]);
        }
    }
    let theirs = provider.get("/v1/negotiations").await;
    assert_eq!(
        ids(&theirs, "negotiations", "peerPid"),
        ours,
        "no side has one that the other lacks"
    );
    verified(consumer).await;
    verified(provider).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_negotiations_end_alike_on_both_sides() {
    let seed = seed();
    let mut world = World::start_with(&["school", "work"], |_, config| brisk(config, 0)).await;
    world.get("school").publish(3, 3).await;
    let (mut acknowledged, mut under_way) = (0, 0);
    for round in 0..KILLS {
        let chance = mixed(seed.wrapping_add(round));
        // Most of a negotiation is over after a few milliseconds: short delays are more frequent than long ones.
        let delay = Duration::from_micros((chance % 200).pow(2));
        let victim = if round % 2 == 0 { "school" } else { "work" };
        let (school, work) = (world.get("school"), world.get("work"));
        let (api, body) = (work.api(), json!({"peer": school.did, "offer": "records"}));
        let asked = tokio::spawn(async move { api.call(Method::POST, "/v1/negotiations", Some(&body)).await });
        // Every fourth kill may come before the answer, the others after it.
        let answer = if round % 4 > 2 {
            tokio::time::sleep(delay).await;
            None
        } else {
            let answer = asked.await.unwrap().expect("both are running");
            assert_eq!(answer.0, StatusCode::CREATED, "{}", answer.1);
            tokio::time::sleep(delay).await;
            let pid = text(&answer.1, "pid");
            let last_seen = world.get("work").get(&format!("/v1/negotiations/{pid}")).await;
            under_way += u64::from(last_seen["stateName"] != "FINALIZED");
            Some(pid)
        };
        world.get_mut(victim).kill();
        world.get_mut(victim).start().await;
        let work = world.get("work");
        if let Some(pid) = answer {
            acknowledged += 1;
            let state = text(&ended(work, &pid).await, "stateName");
            assert_eq!(state, "FINALIZED", "round {round}: nobody refused");
        }
    }
    agree(world.get("work"), world.get("school")).await;
    println!("{acknowledged} requests were acknowledged, {under_way} of them were under way at the kill");
    assert!(acknowledged >= KILLS * 3 / 4);
}

/// What is received when the learners of `before` may be sent up to one record, and those of `after` from there on. Withdrawals and grants
/// are separate changes, so each has a place of its own.
fn owed(count: u64, learners: u64, always: &[u64], until_cut: (u64, u64), from_cut: (u64, u64)) -> Vec<u64> {
    let sent = |k: &u64| {
        let learner = k % learners;
        always.contains(&learner)
            || (learner == until_cut.0 && *k < until_cut.1)
            || (learner == from_cut.0 && *k >= from_cut.1)
    };
    (0..count).filter(sent).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_streams_complete_by_themselves_without_gap_or_double() {
    const RECORDS: u64 = 4_000;
    let seed = seed();
    let mut world = World::start_with(&["school", "work"], |_, config| brisk(config, 900_000)).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(RECORDS, 10).await;
    school.consent(8, &work.did).await;
    let agreement = work.negotiate(school).await;
    let owed: Vec<u64> = (0..RECORDS).filter(|k| k % 10 < 8).collect();
    for round in 0..KILLS {
        let delay = Duration::from_micros(mixed(seed.wrapping_add(round)) % 700_000);
        let victim = if round % 2 == 0 { "school" } else { "work" };
        let pid = world.get("work").transfer(&agreement).await;
        tokio::time::sleep(delay).await;
        world.get_mut(victim).kill();
        world.get_mut(victim).start().await;
        let (school, work) = (world.get("school"), world.get("work"));
        work.transfer_until(&pid, "COMPLETED").await;
        assert_eq!(account(school, work, &pid).await, owed, "round {round}");
    }
    let (school, work) = (world.get("school"), world.get("work"));
    let resumed = entries(school, "stream-opened")
        .await
        .iter()
        .filter(|entry| entry["from"].as_u64() > Some(0))
        .count();
    println!("{resumed} of {KILLS} streams were taken up in their middle");
    verified(school).await;
    verified(work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consents_that_change_between_kill_and_resumption_neither_double_nor_lose_a_record() {
    const RECORDS: u64 = 8_000;
    let mut world = World::start_with(&["school", "work"], |_, config| brisk(config, 350_000)).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(RECORDS, 10).await;
    school.consent(8, &work.did).await;
    let agreement = work.negotiate(school).await;
    for victim in ["work", "school"] {
        let work = world.get("work");
        let pid = work.transfer(&agreement).await;
        received_at_least(work, &pid, 1_100).await;
        // A reception notes once a second how far it is.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        world.get_mut(victim).kill();
        if victim == "school" {
            world.get_mut(victim).start().await;
        }
        let school = world.get("school");
        let (leaves, comes) = if victim == "work" { (0, 8) } else { (1, 9) };
        school
            .post("/v1/consents/withdraw", &json!({"subject": format!("l{leaves}")}))
            .await;
        let grant = consent(&format!("l{comes}"), &world.get("work").did);
        school.post("/v1/consents", &json!([grant])).await;
        if victim == "work" {
            world.get_mut(victim).start().await;
        }
        let (school, work) = (world.get("school"), world.get("work"));
        work.transfer_until(&pid, "COMPLETED").await;
        let received = account(school, work, &pid).await;
        let cut = |k: Option<u64>, otherwise: u64| k.unwrap_or(otherwise);
        let of = |learner: u64| received.iter().copied().filter(move |k| k % 10 == learner);
        let (last, first) = (cut(of(leaves).max(), 0), cut(of(comes).min(), RECORDS));
        let always: Vec<u64> = (0..10)
            .filter(|l| ![leaves, comes].contains(l) && if victim == "work" { *l < 8 } else { (1..9).contains(l) })
            .collect();
        assert_eq!(received, owed(RECORDS, 10, &always, (leaves, last + 1), (comes, first)));
        assert!(last > 1_000 && last < RECORDS, "withdrawn in the middle: {last}");
        assert!(first > last && first < RECORDS, "granted in the middle: {first}");
        let resumed = entries(school, "stream-opened").await;
        assert!(resumed.last().unwrap()["from"].as_u64() >= Some(1_024), "{resumed:?}");
    }
}

/// Records consents one by one until the daemon does not take one; returns the learners whose consent was acknowledged, and the refusal.
async fn consent_until_refused(connector: &Connector, prefix: &str) -> (Vec<String>, Option<(StatusCode, Value)>) {
    let mut acknowledged = Vec::new();
    for k in 0..20_000 {
        let subject = format!("{prefix}{k}");
        let mut entry = consent(&subject, "did:web:work.example");
        entry["evidence"] = "scan ".repeat(180).into();
        match connector
            .api()
            .call(Method::POST, "/v1/consents", Some(&json!([entry])))
            .await
        {
            Ok((status, _)) if status.is_success() => acknowledged.push(subject),
            Ok(refusal) => return (acknowledged, Some(refusal)),
            Err(_) => return (acknowledged, None),
        }
    }
    panic!("the disk never filled");
}

async fn still_there(connector: &Connector, subjects: &[String]) {
    let list = connector.get("/v1/consents").await;
    let found: BTreeSet<String> = list["consents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stored| text(&stored["consent"], "subject"))
        .collect();
    let lost: Vec<_> = subjects.iter().filter(|subject| !found.contains(*subject)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    verified(connector).await;
}

/// Puts the modelled disk below one folder of the connector; `false` where there is no compiler for it.
fn preload(connector: &mut Connector, folder: &str, settings: &[(&str, String)]) -> bool {
    let Some(library) = powercut() else { return false };
    let watched = connector.dir.canonicalize().unwrap().join(folder);
    let shadow = connector.dir.join("shadow");
    let _ = fs::remove_dir_all(&shadow);
    fs::create_dir(&shadow).unwrap();
    let set = |name: &str, value: String| (name.to_owned(), value);
    connector.environment = vec![
        set("LD_PRELOAD", library.display().to_string()),
        set("POWERCUT_DIR", watched.display().to_string()),
        set("POWERCUT_SHADOW", shadow.display().to_string()),
    ];
    connector
        .environment
        .extend(settings.iter().map(|(name, value)| set(name, value.clone())));
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_commands_clearly_and_loses_nothing() {
    let mut world = World::init(&["school"]);
    let school = world.get_mut("school");
    if !preload(school, "store", &[("POWERCUT_SPACE", "3000000".to_owned())]) {
        return;
    }
    school.start().await;
    let (acknowledged, refusal) = consent_until_refused(school, "l").await;
    let (status, said) = refusal.expect("the daemon lives and answers");
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{said}");
    assert_eq!(said["error"]["code"], "store-failed", "{said}");
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
    // It still reads, and refuses every further change alike.
    let again = json!([consent("late", "did:web:work.example")]);
    let (status, _) = school.call(Method::POST, "/v1/consents", Some(&again)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        school.cli(&["consent", "withdraw", "--subject", "l0"]).status.code(),
        Some(1)
    );
    school.get("/v1/status").await;
    assert_eq!(school.stop().code(), Some(1), "it could not seal its log and says so");

    school.environment.clear();
    school.start().await;
    still_there(school, &acknowledged).await;
    let refused = school.get("/v1/consents?subject=l0").await;
    assert_eq!(
        refused["consents"][0]["withdrawn"],
        Value::Null,
        "what was refused was not done"
    );
    school.post("/v1/consents", &again).await;
    println!("full disk: {} consents acknowledged, none lost", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_with_received_records_interrupts_the_reception_until_there_is_space() {
    const RECORDS: u64 = 4_000;
    let mut world = World::init(&["school", "work"]);
    let config = fs::read_to_string(world.get("work").config()).unwrap();
    fs::write(world.get("work").config(), brisk(config, 0)).unwrap();
    world.get_mut("school").start().await;
    if !preload(
        world.get_mut("work"),
        "received",
        &[("POWERCUT_SPACE", "400000".to_owned())],
    ) {
        return;
    }
    world.get_mut("work").start().await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(RECORDS, 10).await;
    school.consent(10, &work.did).await;
    let agreement = work.negotiate(school).await;
    let pid = work.transfer(&agreement).await;
    until("it is said why", async || {
        let shown = work.get(&format!("/v1/transfers/{pid}")).await;
        shown["explanation"].to_string().contains("No space left").then_some(())
    })
    .await;
    let shown = work.get(&format!("/v1/transfers/{pid}")).await;
    assert_eq!(
        (&shown["stateName"], &shown["progress"]["complete"]),
        (&json!("STARTED"), &json!(false))
    );
    world.get_mut("work").kill();
    world.get_mut("work").environment.clear();
    world.get_mut("work").start().await;
    let (school, work) = (world.get("school"), world.get("work"));
    work.transfer_until(&pid, "COMPLETED").await;
    let all: Vec<u64> = (0..RECORDS).collect();
    assert_eq!(account(school, work, &pid).await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_loses_no_acknowledged_consent() {
    let seed = seed();
    let mut world = World::init(&["school"]);
    let school = world.get_mut("school");
    let mut acknowledged = Vec::new();
    for round in 0..5 {
        let chance = mixed(seed.wrapping_add(round));
        let settings = [
            ("POWERCUT_AFTER", (40 + chance % 1_000).to_string()),
            ("POWERCUT_KEEP", (chance % 3 * 40).to_string()),
            ("POWERCUT_SEED", chance.to_string()),
        ];
        if !preload(school, "store", &settings) {
            return;
        }
        school.spawn();
        if school.ready().await {
            let (more, refusal) = consent_until_refused(school, &format!("r{round}-")).await;
            assert!(refusal.is_none(), "{refusal:?}");
            acknowledged.extend(more);
        }
        school.kill();
        restore(&school.dir.join("store"), &school.dir.join("shadow"));
        school.environment.clear();
        school.start().await;
        still_there(school, &acknowledged).await;
        school.kill();
    }
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
    println!("power cut: {} consents acknowledged, none lost", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_refused_and_the_first_is_unharmed() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(3, 3).await;
    let second = |config: &std::path::Path| {
        let begun = Command::new(connector_tests::harness::binary())
            .args(["serve", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(begun.status.code(), Some(1), "{begun:?}");
        String::from_utf8(begun.stderr).unwrap()
    };
    let said = second(&school.config());
    assert!(
        said.contains(&format!("cannot listen on 127.0.0.1:{}", school.port)),
        "{said}"
    );

    let config = fs::read_to_string(school.config()).unwrap();
    let elsewhere = config.replace(&format!("127.0.0.1:{}", school.port), "127.0.0.1:0");
    assert_ne!(config, elsewhere);
    let copy = school.dir.join("second.toml");
    fs::write(&copy, elsewhere).unwrap();
    let said = second(&copy);
    assert!(said.contains("store") && said.contains("use"), "{said}");

    work.negotiate(school).await;
    verified(school).await;
}

/// Opens a negotiation that waits for its operator to accept the provider's offer.
async fn held(work: &Connector, school: &Connector) -> String {
    let mut terms = offer();
    terms["permission"][0]["constraint"][1]["rightOperand"] = json!(["skills"]);
    let body = json!({"peer": school.did, "offer": "records", "terms": terms, "manual": true});
    let pid = text(&work.post("/v1/negotiations", &body).await, "pid");
    assert_eq!(ended(work, &pid).await["stateName"], "OFFERED");
    pid
}

/// The operator confirms the agreement to which the acceptance led, and it comes into force.
async fn confirmed(work: &Connector, pid: &str) {
    assert_eq!(ended(work, pid).await["stateName"], "AGREED");
    work.post(&format!("/v1/negotiations/{pid}/verify"), &json!({})).await;
    assert_eq!(ended(work, pid).await["stateName"], "FINALIZED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_no_message_behind() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(3, 3).await;
    for _ in 0..5 {
        let pid = held(work, school).await;
        let request =
            format!("POST /v1/negotiations/{pid}/accept HTTP/1.1\r\nhost: c\r\ncontent-length: 2\r\n\r\n{{}}");
        // One that was gone before its request was taken up may come again.
        until("the command is taken up", async || {
            let mut caller = UnixStream::connect(work.dir.join("management.sock")).unwrap();
            caller.write_all(request.as_bytes()).unwrap();
            drop(caller);
            tokio::time::sleep(Duration::from_millis(20)).await;
            let shown = work.get(&format!("/v1/negotiations/{pid}")).await;
            (shown["stateName"] != "OFFERED" || shown["pending"] != json!([])).then_some(())
        })
        .await;
        confirmed(work, &pid).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_a_peer_that_is_down_waits_and_is_not_sent_all_the_time() {
    let mut world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(3, 3).await;
    let pid = held(work, school).await;

    world.get_mut("school").kill();
    let work = world.get("work");
    let body = json!({"peer": "school", "offer": "records"});
    let (status, said) = work.call(Method::POST, "/v1/negotiations", Some(&body)).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{said}");
    assert_eq!(said["error"]["code"], "peer-failed", "{said}");

    let begun = Instant::now();
    let accepted = work.post(&format!("/v1/negotiations/{pid}/accept"), &json!({})).await;
    assert_eq!(accepted["pending"].as_array().unwrap().len(), 1, "{accepted}");
    let attempts = || work.log().matches("not delivered").count();
    until("four attempts", async || (attempts() >= 4).then_some(())).await;
    // 0.2, 0.4 and 0.8 seconds lie between the first four.
    assert!(begun.elapsed() >= Duration::from_millis(1_400), "{:?}", begun.elapsed());
    assert!(attempts() <= 5);
    let shown = work.get(&format!("/v1/negotiations/{pid}")).await;
    assert_eq!(shown["pending"], accepted["pending"], "it is still waiting");

    world.get_mut("school").start().await;
    let (school, work) = (world.get("school"), world.get("work"));
    confirmed(work, &pid).await;
    agree(work, school).await;
}
