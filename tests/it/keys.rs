//! The keys that sign, over real daemons: one replaced by another under traffic, and one kept by a program that fails and comes back.

mod unsigned;

use crate::scenes::{account, brisk, browser, entries, received_at_least, until, with};
use connector_tests::{
    harness::{Connector, World, text},
    peer::Peer,
};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Puts key sections in the place of the one key that `init` wrote.
fn with_keys(config: &str, sections: &str) -> String {
    let single = |line: &&str| !line.starts_with("key_id = ") && !line.starts_with("signing_key = ");
    let before = config.split("\n[[key]]").next().unwrap();
    let kept: Vec<&str> = before.lines().filter(single).collect();
    format!("{}\n\n{sections}", kept.join("\n"))
}

fn section(id: &str, file: &str, state: &str) -> String {
    format!("[[key]]\nid = \"{id}\"\nfile = \"{file}\"\nstate = \"{state}\"\n")
}

/// Writes the keys into the configuration and has the daemon take them.
async fn take(connector: &Connector, keys: &[(&str, &str, &str)]) {
    let sections: String = keys.iter().map(|(id, file, state)| section(id, file, state)).collect();
    let config = fs::read_to_string(connector.config()).unwrap();
    fs::write(connector.config(), with_keys(&config, &sections)).unwrap();
    let taken = || connector.log().matches("keys reloaded").count();
    let before = taken();
    connector.signal("HUP");
    until("the new keys", async || (taken() > before).then_some(())).await;
}

fn new_key(connector: &Connector, algorithm: &str, format: &str, file: &str) -> Value {
    let path = connector.dir.join(file);
    let arguments = [
        "key",
        "new",
        "--algorithm",
        algorithm,
        "--format",
        format,
        "--json",
        "--out",
    ];
    let made = connector.cli(&[&arguments[..], &[path.to_str().unwrap()]].concat());
    assert!(made.status.success(), "{made:?}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    serde_json::from_slice(&made.stdout).unwrap()
}

async fn document(of: &Connector) -> Value {
    let url = format!("{}/.well-known/did.json", of.root());
    let client = browser(of).build().unwrap();
    client.get(url).send().await.unwrap().json().await.unwrap()
}

fn names(list: &Value) -> Vec<String> {
    let all = list.as_array().unwrap();
    let name = |entry: &Value| entry.as_str().or_else(|| entry["id"].as_str()).unwrap().to_owned();
    all.iter()
        .map(|entry| name(entry).rsplit('#').next().unwrap().to_owned())
        .collect()
}

/// A contract and a transfer, to the end.
async fn exchange(consumer: &Connector, provider: &Connector) -> String {
    let agreement = consumer.negotiate(provider).await;
    let pid = consumer.transfer(&agreement).await;
    consumer.transfer_until(&pid, "COMPLETED").await;
    account(provider, consumer, &pid).await;
    agreement
}

fn quick(config: String) -> String {
    with(brisk(config, 40_000), "resolver", "retry = \"1ms\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_both_algorithms_replace_each_other_under_traffic() {
    let world = World::start_with(&["school", "work"], |_, config| quick(config)).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(1_000, 10).await;
    school.consent(10, &work.did).await;
    new_key(school, "eddsa", "jwk", "k2.jwk");
    new_key(school, "es256", "pem", "k3.pem");
    let first = work.negotiate(school).await;
    let long = work.transfer(&first).await;
    received_at_least(work, &long, 1).await;

    let mut agreements = vec![first];
    let one = "signing-key.pem";
    for keys in [
        vec![("k1", one, "active"), ("k2", "k2.jwk", "next")],
        vec![("k1", one, "previous"), ("k2", "k2.jwk", "active")],
        vec![
            ("k1", one, "retired"),
            ("k2", "k2.jwk", "active"),
            ("k3", "k3.pem", "next"),
        ],
        vec![
            ("k1", one, "retired"),
            ("k2", "k2.jwk", "previous"),
            ("k3", "k3.pem", "active"),
        ],
        vec![
            ("k1", one, "retired"),
            ("k2", "k2.jwk", "retired"),
            ("k3", "k3.pem", "active"),
        ],
    ] {
        take(school, &keys).await;
        let shown = document(school).await;
        let all: Vec<&str> = keys.iter().map(|(id, ..)| *id).collect();
        assert_eq!(names(&shown["verificationMethod"]), all);
        let live: Vec<&str> = keys
            .iter()
            .filter(|(.., state)| *state != "retired")
            .map(|(id, ..)| *id)
            .collect();
        for relationship in ["assertionMethod", "authentication"] {
            assert_eq!(names(&shown[relationship]), live, "{relationship}");
        }
        agreements.push(work.negotiate(school).await);
    }
    work.transfer_until(&long, "COMPLETED").await;
    account(school, work, &long).await;
    exchange(work, school).await;

    // Whatever key signed, the document of today proves it.
    let (ours, theirs) = (work.dir.join("work.did"), work.dir.join("school.did"));
    fs::write(&ours, document(work).await.to_string()).unwrap();
    fs::write(&theirs, document(school).await.to_string()).unwrap();
    for agreement in &agreements {
        let file = work.dir.join("agreement.jws");
        let file = file.to_str().unwrap();
        let exported = work.cli(&["agreement", "export", agreement, "--format", "jws", "--out", file]);
        assert!(exported.status.success(), "{exported:?}");
        let documents = [
            "--did-document",
            ours.to_str().unwrap(),
            "--did-document",
            theirs.to_str().unwrap(),
        ];
        let checked = work.cli(&[&["agreement", "verify", file, "--json"][..], &documents].concat());
        assert!(checked.status.success(), "{checked:?}");
        let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
        assert_eq!(
            (&checked["signaturesValid"], &checked["keysFrom"]),
            (&json!(2), &json!("did-documents"))
        );
    }
    let told: Vec<Value> = entries(school, "key-event")
        .await
        .iter()
        .map(|entry| json!([text(entry, "kid").rsplit('#').next(), entry["state"]]))
        .collect();
    let expected = json!([
        ["k1", "active"],
        ["k2", "next"],
        ["k1", "previous"],
        ["k2", "active"],
        ["k1", "retired"],
        ["k3", "next"],
        ["k2", "previous"],
        ["k3", "active"],
        ["k2", "retired"],
    ]);
    assert_eq!(json!(told), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_under_way_is_signed_with_the_key_that_it_names() {
    let world = World::start_with(&["school", "work"], |name, config| match name {
        "school" => with(quick(config), "decisions", "negotiations = \"manual\""),
        _ => quick(config),
    })
    .await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(3, 3).await;
    new_key(work, "eddsa", "pem", "k2.pem");
    let wanted = json!({"peer": school.did, "offer": "records"});
    let ours = text(&work.post("/v1/negotiations", &wanted).await, "pid");
    let asked = until("the request", async || {
        let shown = work.get(&format!("/v1/negotiations/{ours}")).await;
        Some(text(&shown, "peerPid")).filter(|pid| !pid.is_empty())
    })
    .await;
    take(work, &[("k1", "signing-key.pem", "active"), ("k2", "k2.pem", "next")]).await;
    take(
        work,
        &[("k1", "signing-key.pem", "previous"), ("k2", "k2.pem", "active")],
    )
    .await;
    school
        .post(&format!("/v1/negotiations/{asked}/agree"), &json!({}))
        .await;
    let verified = until("the verification", async || {
        let shown = school.get(&format!("/v1/negotiations/{asked}")).await;
        (text(&shown, "stateName") == "VERIFIED").then_some(shown)
    })
    .await;
    school
        .post(&format!("/v1/negotiations/{asked}/finalize"), &json!({}))
        .await;
    let ended = work.get(&format!("/v1/negotiations/{ours}/wait?timeout=30")).await;
    assert_eq!(text(&ended, "stateName"), "FINALIZED", "{verified}\n{}", school.log());
    let export = work
        .get(&format!("/v1/agreements/{}", text(&ended, "agreementId")))
        .await;
    let kids: Vec<String> = export["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| text(key, "kid"))
        .collect();
    assert!(kids.contains(&format!("{}#k1", work.did)), "{kids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_used_leave_the_old_ones_in_place() {
    let world = World::start_with(&["school", "work"], |_, config| quick(config)).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(3, 3).await;
    new_key(school, "eddsa", "pem", "k2.pem");
    let before = document(school).await;
    let good = fs::read_to_string(school.config()).unwrap();
    let complaints = || school.log().matches("keys could not be reloaded").count();
    fs::set_permissions(school.dir.join("k2.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let two_active = section("k1", "signing-key.pem", "active") + &section("k2", "signing-key.pem", "active");
    for sections in [
        section("k2", "k2.pem", "active"),
        two_active,
        section("k1", "nowhere.pem", "active"),
        section("k1", "signing-key.pem", "next"),
    ] {
        let seen = complaints();
        fs::write(school.config(), with_keys(&good, &sections)).unwrap();
        school.signal("HUP");
        until("a complaint", async || (complaints() > seen).then_some(())).await;
        assert_eq!(document(school).await, before, "{sections}");
        let refused = school.cli(&["serve", "--check"]);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
    assert!(school.log().contains("chmod 600"), "{}", school.log());
    work.negotiate(school).await;
}

/// A program that signs with a key of OpenSSL's, as long as the file `away` is not beside it.
fn keeper(folder: &Path) -> PathBuf {
    let path = folder.join("sign");
    let text = format!(
        "#!/bin/sh\ncd {} || exit 1\n[ -e away ] && exit 3\nmessage=$(mktemp)\ncat > $message\n\
         openssl pkeyutl -sign -rawin -inkey hsm.pem -in $message | base64 -w0 | tr '+/' '-_' | tr -d =\nrm -f $message\n",
        folder.display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

/// Two participants of whom one has its key kept by a program; none where there is no OpenSSL.
fn with_a_keeper(whose: &str) -> Option<World> {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: there is no openssl");
        return None;
    }
    let world = World::init(&["school", "work"]);
    let kept = world.get(whose);
    let jwk = new_key(kept, "eddsa", "pem", "hsm.pem")["jwk"].to_string();
    fs::write(kept.dir.join("hsm.jwk"), jwk).unwrap();
    let command = keeper(&kept.dir);
    let sections = format!(
        "[[key]]\nid = \"k1\"\ncommand = [\"{}\", \"--slot\", \"1\"]\npublic = \"hsm.jwk\"\ntimeout = \"10s\"\n",
        command.display()
    );
    for connector in &world.connectors {
        let config = quick(fs::read_to_string(connector.config()).unwrap());
        let config = if connector.name == whose {
            with_keys(&config, &sections)
        } else {
            config
        };
        fs::write(connector.config(), config).unwrap();
    }
    Some(world)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_signer_that_dies_stops_nothing_for_good() {
    let Some(mut world) = with_a_keeper("work") else { return };
    let checked = world.get("work").cli(&["serve", "--check"]);
    assert!(checked.status.success(), "{checked:?}");
    for connector in &mut world.connectors {
        connector.start().await;
    }
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(30, 3).await;
    school.consent(3, &work.did).await;
    exchange(work, school).await;
    let wanted = json!({"peer": school.did, "offer": "records", "manual": true});
    let ours = text(&work.post("/v1/negotiations", &wanted).await, "pid");
    until("the agreement", async || {
        let shown = work.get(&format!("/v1/negotiations/{ours}")).await;
        (text(&shown, "stateName") == "AGREED").then_some(())
    })
    .await;

    fs::write(work.dir.join("away"), "").unwrap();
    let broken = work.cli(&["serve", "--check"]);
    assert_eq!(broken.status.code(), Some(2), "{broken:?}");
    assert!(
        String::from_utf8_lossy(&broken.stderr).contains("failed with status 3"),
        "{broken:?}"
    );
    // What must be signed at once is refused, and nothing of it stays.
    let consent = json!([connector_tests::harness::consent("l9", &school.did)]);
    let (status, refused) = work.call(Method::POST, "/v1/consents", Some(&consent)).await;
    assert_eq!(
        (status, &refused["error"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("signer-failed"))
    );
    assert_eq!(work.get("/v1/consents").await["consents"], json!([]));
    // What is sent later waits.
    work.post(&format!("/v1/negotiations/{ours}/verify"), &json!({})).await;
    until("the failure in the log", async || {
        let log = work.log();
        let waiting =
            log.contains("not delivered; trying again") && log.contains("the external signer failed with status 3");
        waiting.then_some(())
    })
    .await;
    // A request to work is answered with 503, which nobody takes for its word.
    let asked = Peer::of(school)
        .ask(work, "/negotiations/urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11")
        .await;
    assert_eq!((asked.status, asked.signed), (503, false), "{}", asked.body);
    assert!(!work.log().contains("PRIVATE KEY"));

    fs::remove_file(work.dir.join("away")).unwrap();
    let ended = work.get(&format!("/v1/negotiations/{ours}/wait?timeout=30")).await;
    assert_eq!(text(&ended, "stateName"), "FINALIZED", "{}", work.log());
    let pid = work.transfer(&text(&ended, "agreementId")).await;
    work.transfer_until(&pid, "COMPLETED").await;
    account(school, work, &pid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_signed_for_a_learner_stops_nothing_until_it_is_said_again() {
    let Some(mut world) = with_a_keeper("school") else {
        return;
    };
    for connector in &mut world.connectors {
        connector.start().await;
    }
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(30, 3).await;
    school.consent(3, &work.did).await;
    let agreement = work.negotiate(school).await;
    let said = [
        ("/v1/consents/withdraw", json!({"subject": "l0"})),
        (
            "/v1/restrictions",
            json!({"subject": "l1", "actor": {"role": "learner", "method": "letter"}}),
        ),
    ];
    fs::write(school.dir.join("away"), "").unwrap();
    for (path, body) in &said {
        let (status, refused) = school.call(Method::POST, path, Some(body)).await;
        assert_eq!(
            (status, &refused["error"]["code"]),
            (StatusCode::SERVICE_UNAVAILABLE, &json!("signer-failed")),
            "{path}"
        );
    }
    assert_eq!(school.get("/v1/restrictions").await["restrictions"], json!([]));
    fs::remove_file(school.dir.join("away")).unwrap();
    let before = received(work, school, &agreement).await;
    assert_eq!(before, (0..30).collect::<Vec<u64>>(), "what is shown as given leaves");
    for (path, body) in &said {
        school.post(path, body).await;
    }
    let after = received(work, school, &agreement).await;
    assert!(after.iter().all(|k| k % 3 == 2) && after.len() == 10, "{after:?}");
}

/// The numbers of the records that come under an agreement now.
async fn received(consumer: &Connector, provider: &Connector, agreement: &str) -> Vec<u64> {
    let pid = consumer.transfer(agreement).await;
    consumer.transfer_until(&pid, "COMPLETED").await;
    account(provider, consumer, &pid).await
}
