//! Records a second on one core, printed; run with
//! `cargo test --release -p connector --lib plane::project::bench -- --ignored --nocapture`.

use std::hint::black_box;
use std::time::Instant;

use super::*;
use crate::catalog::shape::{Category, CategorySet, Pointer, Shape};

/// A skills record of about 1 KiB, written compactly, with ten top-level members.
fn record(number: usize) -> Vec<u8> {
    let record = serde_json::json!({
        "id": format!("urn:uuid:7d4f3c70-1e79-4243-9b7d-{number:012}"),
        "subject": format!("did:web:school-{}.example:learners:{number:08}", number % 97),
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "issuedAt": "2026-03-14T09:26:53Z",
        "person": { "name": format!("Élodie Martin {number}"), "email": format!("elodie.{number}@example.org"), "birth": "2004-07-01" },
        "skill": {
            "esco": format!("http://data.europa.eu/esco/skill/{number:036}"),
            "label": { "fr": "gérer une base de données relationnelle", "en": "manage a relational database" },
            "level": 3 + number % 5,
            "evidence": [
                { "kind": "exam", "score": 0.875, "max": 1, "passed": true },
                { "kind": "project", "score": 17.5, "max": 20, "passed": true, "note": "Rendu \"à l'heure\", soutenance claire." }
            ]
        },
        "result": { "score": { "raw": number % 100, "min": 0, "max": 100, "scaled": 0.42 }, "completion": true, "duration": "PT45M" },
        "context": { "platform": "moodle", "language": "fr-FR", "course": format!("course-v1:FUN-MOOC+{:05}+session01", number % 1000) },
        "status": "active",
        "proof": format!("{:0128x}", number * 0x9E37_79B9)
    });
    serde_json::to_vec(&record).unwrap()
}

fn shape() -> (Shape, CategorySet) {
    let category = |number| Category::new(number).unwrap();
    let claims: Vec<(Category, Pointer)> = [
        (0, "/person"),
        (1, "/skill"),
        (1, "/type"),
        (1, "/issuedAt"),
        (2, "/result"),
        (3, "/result/score"),
        (1, "/id"),
        (1, "/status"),
    ]
    .map(|(number, pointer)| (category(number), pointer.parse().unwrap()))
    .into();
    let shape = Shape::compile(
        &"/subject".parse().unwrap(),
        claims.iter().map(|(number, at)| (*number, at)),
    )
    .unwrap();
    (shape, [category(1), category(2)].into_iter().collect())
}

/// The best of seven passes over the records, in thousands a second.
fn measure(what: &str, records: &[Vec<u8>], mut each: impl FnMut(&[u8])) {
    let pass = |each: &mut dyn FnMut(&[u8])| {
        let begun = Instant::now();
        records.iter().for_each(|record| each(record));
        records.len() as f64 / begun.elapsed().as_secs_f64() / 1000.0
    };
    let best = (0..7).map(|_| pass(&mut each)).fold(0.0, f64::max);
    println!("{what:<44} {best:>8.0} k records/s");
}

fn compare(title: &str, records: &[Vec<u8>], shape: &Shape, permitted: CategorySet) {
    let bytes: usize = records.iter().map(Vec::len).sum();
    println!(
        "{title}: {} records of {} bytes on average",
        records.len(),
        bytes / records.len()
    );
    let mut scratch = Scratch::default();
    let mut out = Vec::with_capacity(64 * 1024);
    measure("find", records, |record| {
        black_box(shape.find(&mut scratch, record).unwrap().subject());
    });
    let mut share = |what: &str, permitted: CategorySet| {
        measure(what, records, |record| {
            let found = shape.find(&mut scratch, record).unwrap();
            black_box(found.subject());
            if out.len() > 60 * 1024 {
                out.clear();
            }
            black_box(found.project(permitted, "p-0123456789abcdef0123456789abcdef", &mut out));
        });
    };
    share("find + project, some permitted", permitted);
    share("find + project, all permitted", CategorySet::from_bits(u64::MAX));
    measure("std::str::from_utf8 alone", records, |record| {
        black_box(std::str::from_utf8(record).unwrap());
    });
    measure("serde_json to Value", records, |record| {
        black_box(serde_json::from_slice::<serde_json::Value>(record).unwrap());
    });
    measure("serde_json, validate and ignore", records, |record| {
        black_box(serde_json::from_slice::<serde::de::IgnoredAny>(record).unwrap());
    });
}

#[test]
#[ignore = "prints a measurement; meaningful with --release only"]
fn records_per_second_on_one_core() {
    let (shape, permitted) = shape();
    let records: Vec<_> = (0..20_000).map(record).collect();
    compare("made", &records, &shape, permitted);
    let Some(records) = super::tests::statements() else {
        return;
    };
    let (shape, permitted) = super::tests::statement_shape();
    compare("xAPI statements", &records, &shape, permitted);
}
