//! What a learner waits for: from the request to withdraw to the acknowledgement, beside running streams; and whether any receiver got a
//! record of that learner beyond the number that the acknowledgement names for its stream.
//!
//! The contract and the transfers are real, and so are the provider, its disk and TLS. The consumer is then ended and clients that read
//! slowly, or not at all, take its place, with the tokens that the provider gave out.

use super::{Figure, millis_since, stream::token};
use crate::harness::{Connector, World, record, text};
use futures_util::future::join_all;
use reqwest::{Certificate, Client, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    fs,
    io::{BufWriter, Write},
    time::{Duration, Instant},
};
use tokio::sync::watch;

const RECORDS: u64 = 150_000;
const LEARNERS: u64 = 400;
const AIM_MS: f64 = 50.0;
/// How long receivers go on reading after the last acknowledgement: whatever was on the way has come by then.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// One situation.
struct Case {
    name: &'static str,
    streams: usize,
    /// Of each stream, in bytes a second; 0 is as fast as it goes.
    pace: u64,
    /// Receivers read, if slowly; or they stop after the first bytes until all is over.
    reading: bool,
    withdrawals: u64,
    /// Between two of them.
    gap: Duration,
}

const CASES: [Case; 4] = [
    Case {
        name: "withdrawal_ack_p99_ms_1_stream",
        streams: 1,
        pace: 100_000,
        reading: true,
        withdrawals: 200,
        gap: Duration::from_millis(50),
    },
    Case {
        name: "withdrawal_ack_p99_ms_100_streams",
        streams: 100,
        pace: 100_000,
        reading: true,
        withdrawals: 200,
        gap: Duration::from_millis(100),
    },
    Case {
        name: "withdrawal_ack_p99_ms_20_stalled_streams",
        streams: 20,
        pace: 0,
        reading: false,
        withdrawals: 20,
        gap: Duration::ZERO,
    },
    Case {
        name: "withdrawal_ack_p99_ms_1000_streams",
        streams: 1000,
        pace: 70_000,
        reading: true,
        withdrawals: 200,
        gap: Duration::from_millis(500),
    },
];

/// Prints `withdrawal_ack_p99_ms_…` and `records_after_ack` for each situation; that of 1,000 streams with `CONNECTOR_LONG` only.
pub async fn run() {
    let long = std::env::var_os("CONNECTOR_LONG").is_some();
    for case in CASES.iter().filter(|case| long || case.streams < 1000) {
        case.run().await;
    }
}

/// The highest number of each pseudonym that one receiver got.
type Got = HashMap<String, u64>;

impl Case {
    async fn run(&self) {
        let mut world = World::start_with(&["school", "work"], |_, config| self.configure(&config)).await;
        let pids = self.transfers(world.get("school"), world.get("work")).await;
        world.get_mut("work").kill();
        let school = world.get("school");
        let (stop, stopped) = watch::channel(false);
        let mut receivers = Vec::new();
        for pid in &pids {
            let response = open(school, pid).await;
            receivers.push(tokio::spawn(receive(response, self.reading, stopped.clone())));
        }
        // Every stream has begun and, where nobody reads, filled what lies between.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (mut times, mut told) = (Vec::new(), Vec::new());
        for learner in 0..self.withdrawals {
            tokio::time::sleep(self.gap).await;
            let body = json!({"subject": format!("l{}", learner * (LEARNERS / self.withdrawals))});
            let begun = Instant::now();
            let acknowledgement = school.post("/v1/consents/withdraw", &body).await;
            times.push(millis_since(begun));
            told.push(acknowledgement);
        }
        tokio::time::sleep(AFTERWARDS).await;
        stop.send(true).expect("receivers");
        let got: Vec<Got> = join_all(receivers)
            .await
            .into_iter()
            .map(|got| got.expect("a receiver"))
            .collect();
        let got: HashMap<&str, Got> = pids.iter().map(String::as_str).zip(got).collect();
        self.print(&times, &told, &got);
    }

    fn configure(&self, config: &str) -> String {
        let (streams, pace) = (self.streams + 8, self.pace);
        let connections = streams * 4;
        let limits = format!(
            "\n[limits]\nstreams = {streams}\nstream_bytes_per_second = {pace}\nconnections = {connections}\n\
             connections_per_peer = {connections}\nprocesses_per_peer = {connections}\n"
        );
        config.replacen("\n[limits]\n", &limits, 1)
    }

    /// Negotiates and starts all transfers; returns the provider's ids.
    async fn transfers(&self, school: &Connector, work: &Connector) -> Vec<String> {
        let path = school.dir.join("records.ndjson");
        let mut file = BufWriter::new(fs::File::create(&path).expect("a file"));
        for number in 0..RECORDS {
            let line = record(number, number % LEARNERS);
            file.write_all(line.as_bytes()).expect("a record is written");
        }
        file.flush().expect("records are written");
        school.publish_file(&path).await;
        school.consent(LEARNERS, &work.did).await;
        let agreement = work.negotiate(school).await;
        let mut pids = Vec::new();
        for _ in 0..self.streams {
            let pid = work.transfer(&agreement).await;
            let started = work.transfer_until(&pid, "STARTED").await;
            pids.push(text(&started, "peerPid"));
        }
        pids
    }

    fn print(&self, times: &[f64], told: &[Value], got: &HashMap<&str, Got>) {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100) - 1];
        let ends = told.iter().map(|told| told["streams"].as_array().map_or(0, Vec::len));
        let (fewest, most) = (ends.clone().min(), ends.max());
        let figure = Figure {
            name: self.name,
            value: at(99),
            unit: "ms",
            reference: "aim",
            reference_value: AIM_MS,
        };
        figure.print(
            json!({"p50_ms": at(50), "max_ms": at(100), "withdrawals": times.len(), "streams": self.streams,
            "running_at_withdrawals": [fewest, most]}),
        );
        let (mut checked, mut after) = (0u64, 0u64);
        for end in told.iter().filter_map(|told| told["streams"].as_array()).flatten() {
            let last = end["lastSequence"].as_u64().expect("a number");
            let got = &got[text(end, "transfer").as_str()];
            if let Some(highest) = got.get(&text(end, "pseudonym")) {
                checked += 1;
                after += u64::from(*highest > last);
            }
        }
        assert!(checked > 0, "receivers got records of those who withdrew");
        let figure = Figure {
            name: "records_after_ack",
            value: after as f64,
            unit: "learners' streams",
            reference: "aim",
            reference_value: 0.0,
        };
        figure.print(json!({"case": self.name, "checked": checked}));
    }
}

async fn open(school: &Connector, pid: &str) -> Response {
    let authority = fs::read(school.dir.join("ca.pem")).expect("the provider's authority");
    let client = Client::builder()
        .tls_certs_only([Certificate::from_pem(&authority).expect("a certificate")])
        .http1_only()
        .build()
        .expect("a client");
    let request = client
        .get(format!("{}/data/{pid}", school.root()))
        .bearer_auth(token(&school.dir, pid));
    let response = request.send().await.expect("an answer");
    assert!(response.status().is_success(), "{}", response.status());
    response
}

/// A line of a stream, as far as it matters here.
#[derive(Deserialize)]
struct Line {
    n: u64,
    record: Option<Record>,
}

#[derive(Deserialize)]
struct Record {
    sub: String,
}

/// Reads on until it is over: the stream's end, a cut, or the word to stop.
async fn receive(mut response: Response, reading: bool, mut stopped: watch::Receiver<bool>) -> Got {
    let (mut got, mut rest) = (Got::new(), Vec::new());
    loop {
        let chunk = tokio::select! {
            chunk = response.chunk() => chunk,
            _ = stopped.wait_for(|stopped| *stopped), if reading => return got,
        };
        let Ok(Some(bytes)) = chunk else { return got };
        rest.extend_from_slice(&bytes);
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in rest[..whole]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let line: Line = serde_json::from_slice(line).expect("a line of the stream");
            if let Some(record) = line.record {
                got.insert(record.sub, line.n);
            }
        }
        rest.drain(..whole);
        if reading {
            tokio::time::sleep(Duration::from_millis(20)).await;
        } else {
            // Not another byte until all is over; then everything that is on the way.
            stopped
                .wait_for(|stopped| *stopped)
                .await
                .expect("the one who says stop");
        }
    }
}
