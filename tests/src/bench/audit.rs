//! The audit log: what a durable entry costs beside the bare commit of the same bytes, and what a proof costs in logs of three sizes.

use super::{Figure, median, millis_since};
use crate::harness::rss_mib;
use connector::{
    audit::{Entry, Kind, Log, LogSigner},
    clock,
    jose::{Digest, HmacKey, sha256},
    store::{Batch, SledStore, Store, Table},
};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc, time::Instant};
use tempfile::TempDir;

/// Rounds of appending, each in both ways.
const ROUNDS: usize = 8;
/// Commits of one round, by so many callers at once.
const COMMITS: usize = 4096;
const CALLERS: usize = 64;
/// Entries of one commit while a log is filled for the proofs.
const FILL: u64 = 512;
/// A seal while filling, so that no step of it is larger than a daemon's.
const SEAL_EVERY: u64 = 16 * 1024;
const PROOFS: u64 = 500;
const SIZES: [u64; 3] = [1_000, 10_000, 1_000_000];

/// Prints `audit_append` and `audit_proof_1e6`.
pub async fn run() {
    append().await;
    proofs().await;
}

async fn store(folder: &Path) -> Arc<dyn Store> {
    Arc::new(SledStore::open(folder).expect("a store"))
}

fn log(store: Arc<dyn Store>) -> Log {
    let signer = LogSigner::of("https://localhost:9443", &HmacKey::new(&[7; 32])).expect("a key");
    Log::new(store, signer)
}

/// An entry of the size of a received message's.
fn entry(number: u64) -> Entry {
    Entry::new(Kind::MessageIn)
        .with("process", "urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11")
        .with("peer", "did:web:localhost%3A9443")
        .with("message", "ContractRequestMessage")
        .with("state", "REQUESTED")
        .with("n", number)
        .of("body", &sha256(&number.to_be_bytes()))
        .of("signedWith", &Digest::EMPTY)
}

/// Commits one after another by many callers; how many a second.
async fn rate<F>(commit: impl Fn(u64) -> F) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let begun = Instant::now();
    let each = COMMITS / CALLERS;
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let all: Vec<F> = (0..each).map(|n| commit((caller * each + n) as u64)).collect();
            tokio::spawn(async move {
                for one in all {
                    one.await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("a caller");
    }
    COMMITS as f64 / (millis_since(begun) / 1000.0)
}

async fn append() {
    let folder = TempDir::new().expect("a folder");
    let bare = store(&folder.path().join("bare")).await;
    let log = Arc::new(log(store(&folder.path().join("log")).await));
    let commit = |number| {
        let log = log.clone();
        async move {
            let committed = log.commit(Batch::new(), entry(number), Vec::new(), clock::now()).await;
            committed.expect("a commit");
        }
    };
    commit(0).await;
    let bytes = log.entry(0).await.expect("a store").expect("an entry");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(rate(commit).await);
        let append = |_| {
            let (store, bytes) = (bare.clone(), bytes.clone());
            async move {
                let mut batch = Batch::new();
                batch.append(Table(1), bytes);
                store.commit(batch).await.expect("a commit");
            }
        };
        theirs.push(rate(append).await);
    }
    let begun = Instant::now();
    let sealed = log.seal().await.expect("a seal");
    let seal = millis_since(begun);
    let figure = Figure {
        name: "audit_append",
        value: median(&ours),
        unit: "durable entries/s",
        reference: "bare commits of the same bytes, as many callers",
        reference_value: median(&theirs),
    };
    figure.print(json!({
        "callers": CALLERS, "entry_bytes": bytes.len(), "sealed_entries": sealed, "seal_entries_per_second": (sealed as f64 / seal * 1000.0).round(),
    }));
}

/// What proofs cost in a log of some size.
struct Proved {
    size: u64,
    /// The median time in microseconds, over entries all over the log.
    middle: f64,
    /// The slowest in a hundred.
    slow: f64,
    /// Resident memory in MiB before: that of the store too, which keeps an index of its pages.
    before: f64,
    /// By how much the proofs and a check of the whole log raised it.
    raised: f64,
}

impl Proved {
    async fn measure(log: &Log, size: u64) -> Self {
        let before = rss_mib(std::process::id());
        let mut times = Vec::new();
        for number in 0..PROOFS {
            // The golden ratio spreads the entries evenly.
            let index = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11) % size;
            let begun = Instant::now();
            let proof = log.proof(index).await.expect("a proof");
            times.push(millis_since(begun) * 1000.0);
            assert_eq!(proof.checkpoint().checkpoint().size, size);
        }
        log.verify().await.expect("a whole log");
        times.sort_by(f64::total_cmp);
        Self {
            size,
            middle: median(&times),
            slow: times[times.len() * 99 / 100],
            before,
            raised: rss_mib(std::process::id()) - before,
        }
    }

    fn row(&self) -> Value {
        let tenth = |value: f64| (value * 10.0).round() / 10.0;
        json!({"entries": self.size, "us": tenth(self.middle), "us_p99": tenth(self.slow), "rss_mib": tenth(self.before),
            "rss_raised_mib": tenth(self.raised)})
    }
}

async fn proofs() {
    let folder = TempDir::new().expect("a folder");
    let log = log(store(&folder.path().join("log")).await);
    let (mut size, mut found) = (0, Vec::new());
    let mut sizes = SIZES.to_vec();
    if std::env::var_os("CONNECTOR_LONG").is_some() {
        sizes.push(10_000_000);
    }
    for wanted in sizes {
        while size < wanted {
            let many = FILL.min(wanted - size);
            let more = (1..many).map(|n| entry(size + n)).collect();
            let committed = log.commit(Batch::new(), entry(size), more, clock::now()).await;
            committed.expect("a commit");
            size += many;
            if size % SEAL_EVERY == 0 {
                log.seal().await.expect("a seal");
            }
        }
        assert_eq!(log.seal().await.expect("a seal"), size);
        found.push(Proved::measure(&log, size).await);
    }
    let at = |size| {
        found
            .iter()
            .find(|one| one.size == size)
            .map_or(f64::NAN, |one| one.middle)
    };
    let rows: Vec<Value> = found.iter().map(Proved::row).collect();
    let figure = Figure {
        name: "audit_proof_1e6",
        value: at(1_000_000),
        unit: "µs",
        reference: "twice the time at 1,000 entries: the logarithm has doubled",
        reference_value: 2.0 * at(1_000),
    };
    figure.print(json!({ "proofs": rows }));
}
