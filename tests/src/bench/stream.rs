//! A stream of records, decided one by one, against the same number of bytes copied by a bare server.
//!
//! The contract and the transfer are real: two connectors negotiate, the consumer asks for the data and the provider starts. For
//! `stream_end_to_end` the consumer fetches, checks, hashes, writes and syncs. For `stream` a second transfer is started and the
//! consumer is then ended, so that a client that throws everything away can take its place. That client makes the transfer's token
//! from the provider's secret file, which it may read because it runs in the provider's place, too; no part of the provider is changed.

use super::{Figure, bare, median};
use crate::harness::{NOTICE, PURPOSE, World, dataset, text};
use connector::{clock, jose::HmacKey, transfer::TokenKey};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufWriter, Write},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::{Duration, Instant},
};

const RECORDS: u64 = 200_000;
const LEARNERS: u64 = 2000;
const ROUNDS: usize = 5;
const CATEGORIES: [&str; 3] = ["identity", "skills", "results"];

/// Prints `stream` and `stream_end_to_end`.
pub async fn run() {
    let records = std::env::var("BENCH_RECORDS").ok().and_then(|text| text.parse().ok());
    let records = records.unwrap_or(RECORDS);
    let mut world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let path = school.dir.join("records.ndjson");
    write_records(&path, records);
    school.post("/v1/datasets", &dataset("records", &path, offer())).await;
    consent(school, &work.did).await;
    let agreement = work.negotiate(school).await;

    let begun = Instant::now();
    let received = work.transfer(&agreement).await;
    let done = work.transfer_until(&received, "COMPLETED").await;
    let end_to_end = done["progress"]["bytes"].as_f64().unwrap_or(0.0) / begun.elapsed().as_secs_f64() / 1e6;
    assert_eq!(done["progress"]["records"], records);

    let second = work.transfer(&agreement).await;
    let started = work.transfer_until(&second, "STARTED").await;
    let pid = text(&started, "peerPid");
    world.get_mut("work").kill();
    let school = world.get("school");
    let authority = school.dir.join("ca.pem");
    let ours = SocketAddr::from((Ipv4Addr::LOCALHOST, school.port));
    let bare = bare::serve(&school.dir).await;
    let (token, data) = (token(&school.dir, &pid), format!("/data/{pid}"));
    // Once for the page cache, and to know the size.
    let (bytes, _) = bare::discard(ours, &authority, &data, Some(&token)).await;
    let (mut streamed, mut copied) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (bytes, seconds) = bare::discard(ours, &authority, &data, Some(&token)).await;
        streamed.push(bytes as f64 / seconds / 1e6);
        let (bytes, seconds) = bare::discard(bare, &authority, &format!("/{bytes}"), None).await;
        copied.push(bytes as f64 / seconds / 1e6);
    }
    let figure = |name, value| Figure {
        name,
        value,
        unit: "MB/s",
        reference: "the same bytes from memory over bare hyper and rustls to a client that discards them, in the same run",
        reference_value: median(&copied),
    };
    let more = json!({"records": records, "bytes": bytes, "rounds": ROUNDS,
        "records_per_second": (median(&streamed) * 1e6 / (bytes as f64 / records as f64)).round()});
    figure("stream", median(&streamed)).print(more);
    let more = json!({"records": records, "rounds": 1, "memory_mib_provider": school.rss_mib().round()});
    figure("stream_end_to_end", end_to_end).print(more);
}

/// The current token of a transfer that was started once, as the provider makes it.
pub(super) fn token(folder: &Path, pid: &str) -> String {
    let secret = fs::read(folder.join("secret.key")).expect("the provider's secret");
    let key = HmacKey::new(HmacKey::new(&secret).tag(b"token").as_bytes());
    let expires = clock::now().plus(Duration::from_secs(3600));
    TokenKey::new(key).make(&pid.parse().expect("a process id"), 1, expires)
}

/// Records of about 1 KiB, all of whose fields belong to a category, of learners in turn.
fn write_records(path: &Path, count: u64) {
    let mut file = BufWriter::new(fs::File::create(path).expect("a file"));
    for number in 0..count {
        let learner = number % LEARNERS;
        let record = json!({
            "id": format!("urn:uuid:7d4f3c70-1e79-4243-9b7d-{number:012}"),
            "sub": format!("l{learner}"),
            "person": {"name": format!("Élodie Martin {learner}"), "email": format!("elodie.{learner}@example.org"), "birth": "2004-07-01"},
            "skills": [
                {"fw": "esco", "code": format!("http://data.europa.eu/esco/skill/{number:036}"), "level": 3 + number % 5,
                    "label": {"fr": "gérer une base de données relationnelle", "en": "manage a relational database"}},
                {"fw": "rome", "code": format!("{:06}", number % 20_000), "level": number % 4,
                    "label": {"fr": "rédiger un rapport d'analyse", "en": "write an analysis report"}},
            ],
            "result": {
                "score": {"raw": number % 100, "min": 0, "max": 100, "scaled": 0.42}, "completion": true, "duration": "PT45M",
                "note": "Rendu \"à l'heure\", soutenance claire.", "course": format!("course-v1:FUN-MOOC+{:05}+session01", number % 1000),
                "evidence": format!("{:0256x}", u128::from(number) * 0x9E37_79B9_7F4A_7C15),
            },
        });
        writeln!(file, "{record}").expect("a record is written");
    }
    file.flush().expect("records are written");
}

fn offer() -> Value {
    json!({"permission": [{"action": "use", "constraint": [
        {"leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": PURPOSE},
        {"leftOperand": "dases:dataCategory", "operator": "isAnyOf", "rightOperand": CATEGORIES},
        {"leftOperand": "dases:consent", "operator": "eq", "rightOperand": "given"},
    ]}]})
}

async fn consent(holder: &crate::harness::Connector, recipient: &str) {
    let all: Vec<Value> = (0..LEARNERS)
        .map(|learner| {
            json!({"subject": format!("l{learner}"), "recipients": [recipient], "purposes": [PURPOSE], "categories": CATEGORIES,
                "method": "paper-form", "notice": NOTICE, "evidence": "file 1"})
        })
        .collect();
    for some in all.chunks(500) {
        holder.post("/v1/consents", &json!(some)).await;
    }
}
