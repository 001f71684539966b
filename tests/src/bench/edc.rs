//! Ours beside Eclipse EDC on the same machine in the same run: two of our daemons that sign, speak TLS and commit to disk, and two EDC
//! runtimes in memory with plain HTTP and a mock identity.
//!
//! Every figure is the time from the consumer's command to the moment when its management API shows the new state. EDC is asked every
//! 5 ms; ours is asked without a pause, or answers when it has ended. Ours finds the peer's address and its catalog anew in each
//! negotiation; EDC is given both.

use super::{Figure, median, millis_since};
use crate::{
    edc::{Edc, Release, control::Counterparty},
    harness::{Connector, World, text},
};
use http::Method;
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// How often EDC is asked for a state.
const ASK: Duration = Duration::from_millis(5);
/// Before anything is measured: compilers of the JVM, connections, caches.
const WARM_UP: usize = 10;

/// How long EDC's state machines sleep between two looks at their store.
struct Pace {
    /// `None` is EDC's default, a second.
    wait: Option<u32>,
    rounds: usize,
    negotiation: &'static str,
    transfer: &'static str,
}

const PACES: [Pace; 2] = [
    Pace {
        wait: None,
        rounds: 24,
        negotiation: "negotiation_vs_edc_default",
        transfer: "transfer_start_vs_edc_default",
    },
    Pace {
        wait: Some(50),
        rounds: 60,
        negotiation: "negotiation_vs_edc_tuned",
        transfer: "transfer_start_vs_edc_tuned",
    },
];

/// The release to measure; without one the reason is printed.
fn release(name: &str) -> Option<Release> {
    let release = std::env::var("EDC_RELEASE").ok().and_then(|text| Release::parse(&text));
    if release.is_none() {
        let why = std::env::var("EDC_MISSING").unwrap_or_else(|_| "EDC_RELEASE is not set; run tests/bench".to_owned());
        println!("skipped: {name}: {why}");
    }
    release
}

/// Two EDC runtimes: one offers an asset, the other wants it.
struct Edcs {
    consumer: Edc,
    provider: Edc,
    started_in: f64,
    given_up: AtomicUsize,
}

impl Edcs {
    async fn start(release: &Release, wait: Option<u32>) -> Self {
        let begun = Instant::now();
        let provider = Edc::start(release, "provider", None, wait).await;
        let started_in = millis_since(begun);
        let consumer = Edc::start(release, "consumer", None, wait).await;
        // Nobody reads it: only starts are measured.
        provider.offer("records", "http://localhost:9/records").await;
        Self {
            consumer,
            provider,
            started_in,
            given_up: AtomicUsize::new(0),
        }
    }

    fn counterparty(&self) -> Counterparty {
        Counterparty {
            id: self.provider.id.clone(),
            address: format!("{}/2025-1", self.provider.protocol()),
        }
    }

    async fn listed_offer(&self) -> Value {
        let catalog = self.consumer.catalog(&self.counterparty()).await;
        let dataset = catalog["dataset"].get(0).unwrap_or(&catalog["dataset"]).clone();
        dataset["hasPolicy"].get(0).unwrap_or(&dataset["hasPolicy"]).clone()
    }

    /// One negotiation, in milliseconds; returns the contract's id too. With a short pause two runtimes sometimes overtake each other (an
    /// agreement comes before the consumer has stored that it asked, and is refused) and EDC gives up: those are counted and done again.
    async fn negotiate(&self, offer: &Value, ask: Duration) -> (f64, String) {
        loop {
            let begun = Instant::now();
            let id = self.consumer.request(&self.counterparty(), "records", offer).await;
            let ended = self.ended(&id, ask).await;
            if ended["state"] == "FINALIZED" {
                return (millis_since(begun), text(&ended, "contractAgreementId"));
            }
            self.given_up.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn ended(&self, id: &str, ask: Duration) -> Value {
        loop {
            let shown = self.consumer.negotiation(id).await;
            match shown["state"].as_str() {
                Some("FINALIZED" | "TERMINATED") => return shown,
                _ => tokio::time::sleep(ask).await,
            }
        }
    }

    /// From the request to the state in which the consumer has the data's address.
    async fn start_transfer(&self, contract: &str) -> f64 {
        let of = self.counterparty();
        let begun = Instant::now();
        let id = self.consumer.transfer(&of, contract, "HttpData-PULL", None, None).await;
        loop {
            let shown = self.consumer.transfer_now(&id).await;
            if shown["state"] == "STARTED" {
                return millis_since(begun);
            }
            assert_ne!(shown["state"], "TERMINATED", "{shown}");
            tokio::time::sleep(ASK).await;
        }
    }

    fn facts(&self, rounds: usize, times: (&[f64], &[f64])) -> Value {
        let ends = |times: &[f64]| {
            let (least, most) = (
                times.iter().copied().fold(f64::MAX, f64::min),
                times.iter().copied().fold(0.0, f64::max),
            );
            json!([least.round(), most.round()])
        };
        json!({
            "rounds": rounds, "edc_fastest_slowest_ms": ends(times.0), "ours_fastest_slowest_ms": ends(times.1),
            "edc_version": self.consumer.release.version, "edc_startup_ms": self.started_in.round(),
            "edc_memory_mib": self.consumer.rss_mib().round(),
            "edc_given_up": self.given_up.load(Ordering::Relaxed),
        })
    }
}

/// Our pair: a provider with one record and a consumer.
async fn ours() -> World {
    let world = World::start(&["school", "work"]).await;
    world.get("school").publish(1, 1).await;
    world
}

/// One negotiation of ours, in milliseconds; returns the agreement's id too.
async fn negotiate(consumer: &Connector, provider: &Connector) -> (f64, String) {
    let api = consumer.api();
    let wanted = json!({"peer": provider.did, "offer": "records"});
    let begun = Instant::now();
    let opened = api.call(Method::POST, "/v1/negotiations", Some(&wanted)).await;
    let (_, opened) = opened.expect("an answer");
    let path = format!("/v1/negotiations/{}/wait?timeout=60", text(&opened, "pid"));
    let (_, ended) = api.call(Method::GET, &path, None).await.expect("an answer");
    let taken = millis_since(begun);
    assert_eq!(text(&ended, "stateName"), "FINALIZED", "{opened} {ended}");
    (taken, text(&ended, "agreementId"))
}

/// From our command to the consumer's state that a provider's start leads to, or a later one: our consumer reads the data at once.
async fn start_transfer(consumer: &Connector, agreement: &str) -> f64 {
    let api = consumer.api();
    let begun = Instant::now();
    let wanted = json!({ "agreement": agreement });
    let opened = api.call(Method::POST, "/v1/transfers", Some(&wanted)).await;
    let path = format!("/v1/transfers/{}", text(&opened.expect("an answer").1, "pid"));
    loop {
        let (_, shown) = api.call(Method::GET, &path, None).await.expect("an answer");
        match shown["stateName"].as_str() {
            Some("STARTED" | "COMPLETED") => return millis_since(begun),
            state => assert_ne!(state, Some("TERMINATED"), "{shown}"),
        }
    }
}

/// Prints `negotiation_vs_edc_default` and `negotiation_vs_edc_tuned`.
pub async fn negotiations() {
    let Some(release) = release("negotiation_vs_edc") else {
        return;
    };
    let world = ours().await;
    let (school, work) = (world.get("school"), world.get("work"));
    for pace in PACES {
        let edcs = Edcs::start(&release, pace.wait).await;
        let offer = edcs.listed_offer().await;
        let (mut theirs, mut own) = (vec![], vec![]);
        for round in 0..WARM_UP + pace.rounds {
            let measured = (edcs.negotiate(&offer, ASK).await.0, negotiate(work, school).await.0);
            if round >= WARM_UP {
                theirs.push(measured.0);
                own.push(measured.1);
            }
        }
        print(
            pace.negotiation,
            "ours, catalog included, in the same run",
            &edcs,
            &theirs,
            &own,
        );
    }
}

/// Prints `transfer_start_vs_edc_default` and `transfer_start_vs_edc_tuned`.
pub async fn transfer_starts() {
    let Some(release) = release("transfer_start_vs_edc") else {
        return;
    };
    let world = ours().await;
    let (school, work) = (world.get("school"), world.get("work"));
    let agreement = negotiate(work, school).await.1;
    for pace in PACES {
        let edcs = Edcs::start(&release, pace.wait).await;
        let contract = edcs.negotiate(&edcs.listed_offer().await, ASK).await.1;
        let (mut theirs, mut own) = (vec![], vec![]);
        for round in 0..WARM_UP + pace.rounds {
            let measured = (
                edcs.start_transfer(&contract).await,
                start_transfer(work, &agreement).await,
            );
            if round >= WARM_UP {
                theirs.push(measured.0);
                own.push(measured.1);
            }
        }
        print(pace.transfer, "ours in the same run", &edcs, &theirs, &own);
    }
}

fn print(name: &'static str, reference: &'static str, edcs: &Edcs, theirs: &[f64], own: &[f64]) {
    let figure = Figure {
        name,
        value: median(theirs),
        unit: "ms",
        reference,
        reference_value: median(own),
    };
    figure.print(edcs.facts(theirs.len(), (theirs, own)));
}

/// Prints `negotiations_per_second_1`, `_16` and `_64`: whole negotiations, so many at a time, beside EDC's with a pause of 50 ms where
/// EDC can be had.
pub async fn per_second() {
    const LOADS: [(&str, usize, usize); 3] = [
        ("negotiations_per_second_1", 1, 100),
        ("negotiations_per_second_16", 16, 640),
        ("negotiations_per_second_64", 64, 1280),
    ];
    let world = ours().await;
    let (school, work) = (world.get("school"), world.get("work"));
    let edcs = match release("EDC beside negotiations_per_second") {
        Some(release) => Some(Edcs::start(&release, Some(50)).await),
        None => None,
    };
    for _ in 0..WARM_UP {
        negotiate(work, school).await;
    }
    let mut alone = None;
    for (name, at_once, count) in LOADS {
        let rate = rate(at_once, count, || async { negotiate(work, school).await.0 }).await;
        let mut more = json!({"at_once": at_once, "negotiations": count});
        if let Some(edcs) = &edcs {
            let offer = edcs.listed_offer().await;
            // Many who ask every 5 ms would be most of the load.
            let ask = ASK * u32::try_from(at_once.min(20)).unwrap_or(1);
            let run = || async { edcs.negotiate(&offer, ask).await.0 };
            self::rate(at_once, WARM_UP.max(at_once), run).await;
            edcs.given_up.store(0, Ordering::Relaxed);
            more["edc_tuned"] = self::rate(at_once, count / 4, run).await.round().into();
            more["edc_given_up"] = edcs.given_up.load(Ordering::Relaxed).into();
        }
        let figure = Figure {
            name,
            value: rate,
            unit: "1/s",
            reference: "one after the other in the same run",
            reference_value: *alone.get_or_insert(rate),
        };
        figure.print(more);
    }
}

/// Runs `count` of them, `at_once` at a time; how many a second that made.
async fn rate<A: Future<Output = f64>>(at_once: usize, count: usize, one: impl Fn() -> A) -> f64 {
    let taken = AtomicUsize::new(0);
    let begun = Instant::now();
    let worker = || async {
        while taken.fetch_add(1, Ordering::Relaxed) < count {
            one().await;
        }
    };
    futures_util::future::join_all((0..at_once).map(|_| worker())).await;
    count as f64 * 1000.0 / millis_since(begun)
}
