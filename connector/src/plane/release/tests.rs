//! Who is in a release: learners whose consent goes with groups as small as those that it has.

use super::*;
use crate::{
    catalog::shape::Pointer,
    consent::{Covered, Grant},
    dsp::{DatasetId, ParticipantId},
};
use std::path::Path;

/// Forty learners of each of two places, all of whom consented; every second one asks for groups of twenty.
fn reading(folder: &Path) -> Reading {
    let recipient: ParticipantId = "did:web:lab.example".parse().unwrap();
    let dataset: DatasetId = "records".parse().unwrap();
    let (purposes, categories) = (["research".to_owned()], ["skills".to_owned()]);
    let (index, mut records) = (Arc::new(Index::default()), String::new());
    for learner in 0..80u32 {
        let (subject, place) = (format!("l{learner}"), if learner < 40 { "59" } else { "62" });
        records += &format!("{}\n", json!({"sub": subject, "where": place}));
        let grant = Grant {
            id: &ConsentId::from_uuid(uuid::Uuid::from_u128(learner.into())),
            subject: &subject,
            covered: Covered {
                recipients: std::slice::from_ref(&recipient),
                purposes: &purposes,
                datasets: &[],
                categories: &categories,
                agreement: None,
            },
            fields: &[],
            from: Timestamp::MIN,
            until: Timestamp::MAX,
            aggregate_only: false,
            min_group_size: learner.is_multiple_of(2).then_some(20),
            guardian_missing: false,
            guardian_gave: false,
            most_transfers: None,
            of_age: None,
            ended: None,
        };
        index.open(&grant).unwrap();
    }
    let path = folder.join("records.ndjson");
    std::fs::write(&path, records).unwrap();
    let agreement = "urn:uuid:agreement".parse().unwrap();
    let question = index.question((&recipient, &agreement), &purposes, &dataset, &categories, |_| Ok(()));
    let [subject, place] = ["/sub", "/where"].map(|pointer| pointer.parse::<Pointer>().unwrap());
    let transfer = "urn:uuid:00000000-0000-4000-8000-000000000000".parse().unwrap();
    Reading {
        path,
        shape: Shape::compile(&subject, [(index.category("skills").unwrap(), &place)]).unwrap(),
        question: question.unwrap(),
        index,
        occurrence: Occurrence::new(&transfer, 1),
        names: HmacKey::new(b"names"),
        now: Timestamp::from_seconds(1_767_225_600),
    }
}

fn table(least: u32) -> ReleaseSpec {
    let dimension = json!({"name": "where", "field": "/where", "values": ["59", "62"]});
    let declared = json!({"mode": "aggregate", "minGroupSize": least, "dimensions": [dimension]});
    serde_json::from_value(declared).unwrap()
}

fn rows(least: u32) -> ReleaseSpec {
    let place = json!({"name": "where", "field": "/where", "steps": {"prefixes": [1]}});
    let declared = json!({"mode": "training", "minGroupSize": least, "quasiIdentifiers": [place]});
    serde_json::from_value(declared).unwrap()
}

#[test]
fn who_asks_for_groups_of_twenty_is_in_a_release_of_such_groups_and_in_none_of_smaller_ones() {
    let folder = tempfile::tempdir().unwrap();
    let reading = reading(folder.path());
    let specs: [fn(u32) -> ReleaseSpec; 2] = [table, rows];
    for spec in specs {
        for (least, learners, withheld) in [
            (10, 40, BTreeMap::from([("CNS-15", 40)])),
            (19, 40, BTreeMap::from([("CNS-15", 40)])),
            (20, 80, BTreeMap::new()),
        ] {
            let spec = spec(least);
            let made = reading.release("urn:uuid:1", &spec, &Ledger::default()).unwrap();
            assert_eq!((made.learners, made.withheld), (learners, withheld), "{spec:?}");
        }
    }
}

#[test]
fn what_was_told_of_groups_of_twenty_holds_later_releases_to_that_whatever_is_declared_then() {
    let folder = tempfile::tempdir().unwrap();
    let reading = reading(folder.path());
    let first = reading.release("urn:uuid:1", &table(20), &Ledger::default()).unwrap();
    let second = reading.release("urn:uuid:2", &table(10), &first.ledger).unwrap();
    assert_eq!((second.learners, second.group_size.get()), (80, 20));
    assert!(second.withheld.is_empty());
}
