//! Which learners a piece asks to be noted as delivered.

use super::*;
use crate::{
    catalog::shape::Pointer,
    consent::{Basis, BasisRule, Pseudonyms},
    jose::{HmacKey, testing},
    store::MemoryStore,
};
use policy::{Action, Facts, Policy};
use serde_json::json;
use std::path::Path;

fn now() -> Timestamp {
    Timestamp::from_seconds(1_767_225_600)
}

fn plan() -> Plan {
    let policy = json!({
        "@type": "Agreement", "@id": "urn:uuid:1", "target": "records", "assigner": "did:web:lycee.example",
        "assignee": "did:web:work.example", "permission": [{"action": "use"}],
    });
    let facts = Facts::new(now(), "did:web:work.example", Action::Use);
    Policy::parse(&policy).unwrap().plan(&facts).unwrap()
}

/// All records of one learner, enough for several pieces, which may leave on another basis than consent.
fn rules(folder: &Path) -> Rules {
    let path = folder.join("records.ndjson");
    std::fs::write(&path, "{\"sub\":\"anna\",\"skills\":[1]}\n".repeat(4 * LINES)).unwrap();
    let recipient: ParticipantId = "did:web:work.example".parse().unwrap();
    let dataset: DatasetId = "records".parse().unwrap();
    let (purposes, categories) = (["orientation".to_owned()], ["skills".to_owned()]);
    let index = Arc::new(Index::default());
    index
        .open_basis(&BasisRule {
            id: "task",
            basis: Basis::PublicTask,
            recipients: std::slice::from_ref(&recipient),
            purposes: &purposes,
            datasets: &[],
            categories: &categories,
            from: Timestamp::MIN,
            until: Timestamp::MAX,
            may_object: true,
        })
        .unwrap();
    let question = index.question(&recipient, &purposes, &dataset, &categories, |_| Ok(()));
    let (subject, skills): (Pointer, Pointer) = ("/sub".parse().unwrap(), "/skills".parse().unwrap());
    let shape = Shape::compile(&subject, [(index.category("skills").unwrap(), &skills)]).unwrap();
    let (secret, store) = (HmacKey::new(b"secret"), Arc::new(MemoryStore::new()));
    let occurrences = Arc::new(Occurrences::new(store.clone(), index.clone()));
    Rules {
        transfer: "urn:uuid:transfer".parse().unwrap(),
        agreement: "urn:uuid:agreement".parse().unwrap(),
        dataset,
        path,
        content: Content::Records,
        shape,
        question: question.unwrap(),
        index,
        pseudonyms: Arc::new(Pseudonyms::new(secret.clone()).towards(&recipient)),
        recipient,
        deliveries: Arc::new(Deliveries::new(store, secret)),
        occurrences,
        signer: Arc::new(Signer::new("did:web:lycee.example#k7", testing::rfc8037_private()).unwrap()),
        cursors: Arc::new(CursorKey::new(&[7; 32]).unwrap()),
        plan: plan(),
        clock: now,
    }
}

#[test]
fn a_learner_is_to_be_noted_again_when_the_epoch_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let rules = Arc::new(rules(folder.path()));
    let mut decider = Pipeline::open(rules.clone(), None).unwrap().decider;
    let mut to_note = || {
        let piece = decider.piece().unwrap();
        assert!(!piece.is_last() && piece.sent > 0);
        piece.notes.first.len()
    };
    assert_eq!([to_note(), to_note()], [1, 0]);
    // As it is when the learner was forgotten.
    rules.index.decide_again();
    assert_eq!([to_note(), to_note()], [1, 0]);
}
