//! One decision: the learner's entry found in the live index, and the verdict on it by the plan of a real policy. Against a bare look-up of the
//! same identifiers in a map of the standard library, and against Cedar's answer to the same question, all in the same run and on one thread.
//!
//! The policy is read and planned once, and the plan's answers are worked out when a reader begins, as for a stream: that is within the time
//! measured, once for all decisions of a round. Withdrawals beside it are made by another thread, each of a learner's own consent, which
//! is given again at once; they count by what they cost the deciding thread (entries that change under it, chunks begun in a new epoch).
//!
//! Times are the thread's own time on a processor, so that whatever else the machine does counts for none of them.

#[cfg(feature = "cedar")]
mod cedar;
mod people;

use super::{Figure, median};
use people::{Order, People};
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region};
use std::{
    collections::HashMap,
    fs,
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// A chunk of the data plane holds about as many records.
const CHUNK: usize = 256;
/// Decisions in one measurement.
const EACH: usize = 1 << 20;
const ROUNDS: usize = 5;
/// A million decisions a second and core.
const AIM: f64 = 1e6;
const BYTES_AIM: f64 = 100.0;
const LARGEST: usize = 5_000_000;

/// Prints `policy_decisions` for each size and load, `policy_vs_hashmap`, `policy_vs_cedar`, `policy_allocations` and `bytes_per_consent`.
pub fn run() {
    let long = std::env::var_os("CONNECTOR_LONG").is_some();
    for size in [1000, 100_000, 1_000_000, LARGEST] {
        for denied in [0, 10, 90] {
            // Without CONNECTOR_LONG: every size and order once, and each other thing varied alone.
            if long || denied == 10 || size == 100_000 {
                let people = People::new(size, denied);
                for order in [Order::Sorted, Order::Random] {
                    for rate in [0, 100, 10_000] {
                        if long || rate == 0 || (size == 100_000 && denied == 10) {
                            decisions(&people, order, rate);
                        }
                    }
                }
                if denied == 10 {
                    beside_hashmap(&people);
                    allocations(&people);
                }
                if size == LARGEST && denied == 10 {
                    bytes(&people);
                }
            }
        }
    }
    #[cfg(feature = "cedar")]
    cedar::run();
}

/// Seconds that this thread has been on a processor.
fn busy() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel that counts");
    let nanos: f64 = text
        .split_whitespace()
        .next()
        .and_then(|text| text.parse().ok())
        .expect("nanoseconds");
    nanos / 1e9
}

/// Nanoseconds of this thread for each of `count` pieces of work.
fn nanos<T>(count: usize, work: impl FnOnce() -> T) -> f64 {
    let begun = busy();
    black_box(work());
    (busy() - begun) * 1e9 / count as f64
}

/// Asks about all records of `order`, chunk by chunk; returns how many may go out.
fn decide(people: &People, order: &[u32]) -> usize {
    let mut reader = people.reader();
    let mut permitted = 0;
    for chunk in order.chunks(CHUNK) {
        reader.begin(people::now());
        permitted += chunk
            .iter()
            .filter(|who| reader.ask(people.name(**who)).is_ok())
            .count();
    }
    permitted
}

/// Decisions a second with so many withdrawals a second beside them.
fn decisions(people: &People, order: Order, rate: u32) {
    let records = people.records(order, EACH);
    let stop = AtomicBool::new(false);
    let (times, withdrawn) = thread::scope(|scope| {
        let beside = scope.spawn(|| withdraw(people, rate, &stop));
        let times: Vec<f64> = (0..ROUNDS).map(|_| nanos(EACH, || decide(people, &records))).collect();
        stop.store(true, Ordering::Relaxed);
        (times, beside.join().expect("withdrawals"))
    });
    let expected = records.iter().filter(|who| !people.is_denied(**who)).count();
    assert_eq!(decide(people, &records), expected, "the answers are right, too");
    let figure = Figure {
        name: "policy_decisions",
        value: 1e9 / median(&times),
        unit: "decisions/s",
        reference: "aim, one core",
        reference_value: AIM,
    };
    figure.print(
        json!({"subjects": people.len(), "order": order.name(), "denied_percent": people.denied(),
        "withdrawals_per_second": withdrawn.round(), "ns": median(&times)}),
    );
}

/// Withdraws at this rate until told to stop, each time the consent of another learner, which is then given again; returns the rate that was
/// reached.
fn withdraw(people: &People, rate: u32, stop: &AtomicBool) -> f64 {
    let (begun, mut done) = (Instant::now(), 0u32);
    while rate > 0 && !stop.load(Ordering::Relaxed) {
        let due = (begun.elapsed().as_secs_f64() * f64::from(rate)) as u32;
        while done < due {
            people.withdraw(done);
            done += 1;
        }
        thread::sleep(Duration::from_micros(500));
    }
    f64::from(done) / begun.elapsed().as_secs_f64().max(1e-9)
}

/// The decision against the bare look-up of the same identifiers in the same order.
fn beside_hashmap(people: &People) {
    // A map has identifiers of its own; those that are looked up stand elsewhere, in the records.
    let own = people.all_names().to_owned();
    let map: HashMap<&str, u64> = people.names_in(&own).zip(0..).collect();
    for order in [Order::Sorted, Order::Random] {
        let records = people.records(order, EACH);
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(nanos(EACH, || decide(people, &records)));
            let found = || records.iter().filter_map(|who| map.get(people.name(*who))).sum::<u64>();
            bare.push(nanos(EACH, found));
        }
        let figure = Figure {
            name: "policy_vs_hashmap",
            value: median(&ours),
            unit: "ns",
            reference: "HashMap<&str, u64> of the standard library, the same identifiers in the same order, one core (aim: ratio at most 2)",
            reference_value: median(&bare),
        };
        figure.print(json!({"subjects": people.len(), "order": order.name()}));
    }
}

/// A stream that has begun allocates nothing for a decision.
fn allocations(people: &People) {
    let records = people.records(Order::Random, EACH);
    let mut reader = people.reader();
    reader.begin(people::now());
    // What a reader keeps for the length of the stream: the verdicts, and room for the longest identifier.
    let _ = reader.ask(people.name(0));
    let region = Region::new(&INSTRUMENTED_SYSTEM);
    for chunk in records.chunks(CHUNK) {
        reader.begin(people::now());
        for who in chunk {
            let _ = black_box(reader.ask(people.name(*who)));
        }
    }
    let made = region.change();
    let made = made.allocations + made.reallocations;
    assert_eq!(made, 0, "decisions allocate");
    let figure = Figure {
        name: "policy_allocations",
        value: made as f64,
        unit: "allocations",
        reference: "aim",
        reference_value: 0.0,
    };
    figure.print(json!({"subjects": people.len(), "decisions": EACH}));
}

/// What the index takes, as the allocator counts it.
fn bytes(people: &People) {
    let figure = Figure {
        name: "bytes_per_consent",
        value: people.bytes() as f64 / people.len() as f64,
        unit: "B",
        reference: "aim, one consent of each learner",
        reference_value: BYTES_AIM,
    };
    figure.print(json!({"consents": people.len(), "resident": people.resident() / people.len() as f64}));
}
