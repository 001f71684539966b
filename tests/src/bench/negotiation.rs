//! A negotiation between two real connectors, from the catalog to FINALIZED, against the sum of the parts that it cannot do without.
//!
//! The floor counts, one after the other:
//! - five HTTPS round trips on a kept-alive connection: catalog, request, agreement, verification, finalization (DSP 2025-1 §6, §8);
//! - five durable commits: before each of the four messages leaves, what it says must be on disk, and the last one's recipient must
//!   have it on disk before it calls the negotiation finalized. Acknowledgements taken in and message ids of a catalog that is asked
//!   for are not counted: nothing of the next message depends on them;
//! - eight signatures and eight verifications: of each request, of the catalog that is answered, and of the agreement by both parties.
//!   Answers to the other four messages are not counted: the next message does not wait for them.

use super::{Figure, bare, median, millis_since, signatures};
use crate::harness::{Connector, World, text};
use connector::{
    net::local::Local,
    store::{Batch, SledStore, Store, Table},
};
use http::Method;
use serde_json::{Value, json};
use std::time::Instant;

const ROUNDS: usize = 10;
const EACH: usize = 4;
const COMMITS: u32 = 5;
const SIGNATURES: u32 = 8;
/// Bytes sent and answered in each round trip: round figures for the messages of a negotiation about a small dataset, with about 800
/// bytes of signature header each. Estimated, not measured; a KiB more or less moves the floor by microseconds.
const BODIES: [(usize, usize); 5] = [(950, 2300), (2000, 1050), (2800, 1050), (1850, 1050), (1100, 1050)];

/// Prints `negotiation`.
pub async fn run() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(1, 1).await;
    let api = work.api();
    let bare = bare::serve(&school.dir).await;
    let mut line = bare::RoundTrips::new(bare, &school.dir.join("ca.pem")).await;
    let folder = world.folder.path().join("bare-store");
    let store = SledStore::open(&folder).expect("a store");
    let mut number = 0;
    // The first ones find identities and addresses and open connections.
    for _ in 0..EACH {
        negotiate(&api, school).await;
        all_trips(&mut line).await;
        commit(&store, &mut number).await;
    }
    let before = entries(school).await.len() + entries(work).await.len();
    let (mut times, mut trips, mut commits, mut signs, mut verifies) = (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        for _ in 0..EACH {
            times.push(negotiate(&api, school).await);
        }
        for _ in 0..EACH {
            trips.push(all_trips(&mut line).await);
            commits.push(commit(&store, &mut number).await);
        }
        let (sign, verify) = signatures::bare();
        signs.push(sign);
        verifies.push(verify);
    }
    let (trips, commit) = (median(&trips), median(&commits));
    let (sign, verify) = (median(&signs), median(&verifies));
    let floor = trips + f64::from(COMMITS) * commit + f64::from(SIGNATURES) * (sign + verify);
    let figure = Figure {
        name: "negotiation",
        value: median(&times),
        unit: "ms",
        reference: "floor: round trips, durable commits and signatures that it cannot do without, measured bare in the same run",
        reference_value: floor,
    };
    let after: Vec<Value> = [entries(school).await, entries(work).await].concat();
    times.sort_by(f64::total_cmp);
    figure.print(json!({
        "rounds": times.len(), "fastest": times.first(), "slowest": times.last(),
        "took": took(&after, before),
        "floor_counts": {"round_trips": BODIES.len(), "commits": COMMITS, "signatures": SIGNATURES, "verifications": SIGNATURES},
        "floor_parts_ms": {"round_trips": trips, "one_commit": commit, "one_signature": sign, "one_verification": verify},
    }));
    store.close().await.expect("a store that closes");
}

/// One negotiation through the management API, in milliseconds.
async fn negotiate(api: &Local, provider: &Connector) -> f64 {
    let wanted = json!({"peer": provider.did, "offer": "records"});
    let begun = Instant::now();
    let (_, opened) = api
        .call(Method::POST, "/v1/negotiations", Some(&wanted))
        .await
        .expect("an answer");
    let path = format!("/v1/negotiations/{}/wait?timeout=30", text(&opened, "pid"));
    let (_, ended) = api.call(Method::GET, &path, None).await.expect("an answer");
    let taken = millis_since(begun);
    assert_eq!(text(&ended, "stateName"), "FINALIZED", "{opened} {ended}");
    taken
}

async fn all_trips(line: &mut bare::RoundTrips) -> f64 {
    let mut taken = 0.0;
    for (sent, answered) in BODIES {
        taken += line.take(sent, answered).await;
    }
    taken
}

/// One durable commit of what a step of a negotiation writes: the record, the answer kept, the spent id, the queued message, and the
/// audit entries of a message in and a message out.
async fn commit(store: &SledStore, number: &mut u64) -> f64 {
    *number += 1;
    let key = |table: u8| [&[table; 40][..], &number.to_be_bytes()].concat();
    let mut batch = Batch::new();
    for (table, bytes) in [(8, 5000), (4, 300), (3, 0), (5, 2500)] {
        batch.put(Table(table), key(table), vec![b'x'; bytes]);
    }
    for _ in 0..2 {
        batch.append(Table(1), vec![b'x'; 400]);
    }
    let begun = Instant::now();
    store.commit(batch).await.expect("a commit");
    millis_since(begun)
}

async fn entries(connector: &Connector) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let page = connector
            .get(&format!("/v1/audit/entries?from={}&limit=1000", all.len()))
            .await;
        match page["entries"].as_array() {
            Some(entries) if !entries.is_empty() => all.extend(entries.iter().cloned()),
            _ => return all,
        }
    }
}

/// What the negotiations after the first `before` entries took, on both sides together, from what the audit logs say. Every message
/// is one round trip, one commit where it is received and one where its acknowledgement is taken in. Besides there are the commit that
/// opens the negotiation, and the round trip and the spent id of the catalog. All answers are signed; the agreement is by both.
fn took(entries: &[Value], before: usize) -> Value {
    let share = (entries.len() - before) as f64 / entries.len() as f64;
    let of = |kind: &str| {
        let found = entries.iter().filter(|entry| entry["entry"]["kind"] == kind);
        found.count() as f64 * share / (ROUNDS * EACH) as f64
    };
    let (sent, received) = (of("message-out").round(), of("message-in").round());
    let round_trips = sent + 1.0;
    json!({"round_trips": round_trips, "commits": sent + received + 2.0, "signatures": 2.0 * round_trips + 2.0})
}
