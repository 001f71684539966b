//! What a connector takes that does nothing: memory, and the time until it can.

use super::{Figure, median, millis_since};
use crate::harness::{Connector, World};
use serde_json::json;
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

const STARTS: usize = 20;
const MEMORY_AIM_MIB: f64 = 25.0;
const STARTUP_AIM_MS: f64 = 150.0;

/// Prints `idle_memory`: resident memory a second after the start, and again a second after a negotiation.
pub async fn memory() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    // The one deliberate wait: the figure is defined as that of a second later.
    let rest = || tokio::time::sleep(Duration::from_secs(1));
    rest().await;
    let idle = school.rss_mib();
    school.publish(1, 1).await;
    work.negotiate(school).await;
    rest().await;
    let figure = Figure {
        name: "idle_memory",
        value: idle,
        unit: "MiB",
        reference: "aim",
        reference_value: MEMORY_AIM_MIB,
    };
    figure.print(
        json!({"after_a_negotiation": {"provider": round(school.rss_mib()), "consumer": round(work.rss_mib())}}),
    );
}

fn round(mib: f64) -> f64 {
    (mib * 10.0).round() / 10.0
}

/// Prints `startup`: from the start of the process to the first answer of its management API, the store being there already.
pub async fn startup() {
    let mut world = World::start(&["school"]).await;
    let school = world.get_mut("school");
    school.stop();
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        school.spawn();
        while !answers(school) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{}", school.log());
            std::thread::sleep(Duration::from_micros(500));
        }
        times.push(millis_since(begun));
        school.stop();
    }
    let figure = Figure {
        name: "startup",
        value: median(&times),
        unit: "ms",
        reference: "aim",
        reference_value: STARTUP_AIM_MS,
    };
    figure.print(json!({ "starts": STARTS }));
}

/// One request by hand: building an HTTP client would take as long as what is measured.
fn answers(connector: &Connector) -> bool {
    let Ok(mut stream) = UnixStream::connect(connector.dir.join("management.sock")) else {
        return false;
    };
    let request = b"GET /v1/peers HTTP/1.1\r\nhost: connector\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
