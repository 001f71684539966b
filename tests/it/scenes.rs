//! What the tests of faults, operations and consents share: changed configurations, chance that can be repeated, paced streams, and
//! the account that a complete reception must agree with. What is about learners is in `learners`.

pub mod learners;

use connector::{
    audit::merkle::{Frontier, leaf_hash},
    jose::base64url,
    store::{SledStore, Store, Table},
};
use connector_tests::harness::{Connector, text};
use serde_json::Value;
use std::{
    fs,
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    process::Output,
    time::{Duration, Instant},
};

/// Puts settings into a section of a configuration that has none of them yet.
pub fn with(config: String, section: &str, settings: &str) -> String {
    let head = format!("\n[{section}]\n");
    assert!(config.contains(&head), "no section {section}");
    config.replacen(&head, &format!("{head}{settings}\n"), 1)
}

/// Retries that suit a test, and a pace for outgoing streams.
pub fn brisk(config: String, bytes_per_second: u64) -> String {
    let config = with(config, "retry", "first = \"20ms\"\nlongest = \"300ms\"");
    with(
        config,
        "limits",
        &format!("stream_bytes_per_second = {bytes_per_second}"),
    )
}

/// A seed that changes from run to run; `CONNECTOR_SEED` repeats one.
pub fn seed() -> u64 {
    let seed = std::env::var("CONNECTOR_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("CONNECTOR_SEED={seed}");
    seed
}

/// A fixed sequence that looks random.
pub fn mixed(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Asks every few milliseconds until there is an answer; panics after half a minute.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}: never");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What a command that succeeded printed.
pub fn said(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A client that trusts whom a connector trusts, and nobody else.
pub fn browser(of: &Connector) -> reqwest::ClientBuilder {
    let authority = fs::read(of.dir.join("ca.pem")).unwrap();
    reqwest::Client::builder().tls_certs_only([reqwest::Certificate::from_pem(&authority).unwrap()])
}

/// Waits until a running reception has this many records.
pub async fn received_at_least(consumer: &Connector, pid: &str, records: u64) {
    until("enough records", async || {
        let shown = consumer.get(&format!("/v1/transfers/{pid}")).await;
        (shown["progress"]["records"].as_u64().unwrap_or(0) >= records).then_some(())
    })
    .await;
}

/// Where a transfer's data is and the token for it, from the store of a consumer that is not running.
pub async fn address(consumer: &Connector, pid: &str) -> (String, String) {
    let store = SledStore::open(&consumer.dir.join("store")).unwrap();
    let item = store
        .get(Table(10), pid.as_bytes())
        .await
        .unwrap()
        .expect("the transfer");
    store.close().await.unwrap();
    let transfer: Value = serde_json::from_slice(&item.value).unwrap();
    let address = &transfer["dataAddress"];
    (text(address, "endpoint"), text(address, "authorization"))
}

/// The audit log's entries of one kind, oldest first.
pub async fn entries(connector: &Connector, kind: &str) -> Vec<Value> {
    let (mut found, mut from) = (Vec::new(), 0);
    loop {
        let page = connector
            .get(&format!("/v1/audit/entries?from={from}&limit=1000"))
            .await;
        let all = page["entries"].as_array().unwrap().clone();
        if all.is_empty() {
            return found;
        }
        found.extend(
            all.into_iter()
                .map(|one| one["entry"].clone())
                .filter(|entry| entry["kind"] == kind),
        );
        from = page["next"].as_u64().unwrap();
    }
}

/// Has the connector recompute its audit log.
pub async fn verified(connector: &Connector) {
    connector.post("/v1/audit/verify", &serde_json::json!({})).await;
}

/// Where the records of a transfer are.
pub fn file(consumer: &Connector, pid: &str) -> PathBuf {
    let name = format!("{}.ndjson", pid.rsplit(':').next().unwrap());
    consumer.dir.join("received").join(name)
}

/// The payload of a compact JWS, unverified.
pub fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("a compact JWS");
    serde_json::from_slice(&base64url::decode(part).expect("base64url")).expect("claims")
}

/// Checks a complete reception against itself (numbers, hashes, end line), against its receipt and against what the provider recorded.
/// Returns the numbers that its records had in the source, in the order of their arrival.
pub async fn account(provider: &Connector, consumer: &Connector, pid: &str) -> Vec<u64> {
    let raw = fs::read(file(consumer, pid)).expect("received records");
    let mut tree = Frontier::new();
    let (mut numbers, mut last) = (Vec::new(), Value::Null);
    for line in raw.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let value: Value = serde_json::from_slice(line).expect("a line of JSON");
        if value["t"] == "r" {
            tree.append(leaf_hash(line));
            assert_eq!(value["n"], tree.size(), "numbers without gap or double");
            let id = text(&value["record"], "id");
            numbers.push(id.rsplit(':').next().unwrap().parse().expect("the record's number"));
        } else if value["t"] == "erased" {
            tree.append(
                text(&value, "leaf")
                    .parse()
                    .expect("the hash of the record that was here"),
            );
            assert_eq!(value["n"], tree.size(), "numbers without gap or double");
        }
        last = value;
    }
    let (count, root) = (tree.size(), tree.root().to_string());
    assert_eq!((&last["t"], &last["n"]), (&"end".into(), &count.into()));
    assert_eq!(text(&last, "root"), root);
    let ours = consumer.get(&format!("/v1/transfers/{pid}")).await;
    let theirs = until("the provider has the receipt", async || {
        let theirs = provider.get(&format!("/v1/transfers/{}", text(&ours, "peerPid"))).await;
        theirs["receipt"].is_string().then_some(theirs)
    })
    .await;
    assert_eq!(theirs["receipt"], ours["receipt"]);
    let receipt = payload(&text(&theirs, "receipt"));
    assert_eq!(
        (&receipt["count"], text(&receipt, "root")),
        (&count.into(), root.clone())
    );
    // A provider that was killed after the last byte, before it could note so, has no figures of its own.
    if theirs["release"]["complete"] == true {
        assert_eq!(theirs["release"]["sent"], count);
        assert_eq!(text(&theirs["release"], "root"), root);
    }
    numbers
}
