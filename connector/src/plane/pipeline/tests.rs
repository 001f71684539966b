//! Which learners a piece asks to be noted as delivered, and what the end line tells of what was withheld.

use super::*;
use crate::{
    catalog::shape::Pointer,
    consent::{Basis, BasisRule, Covered, Pseudonyms, Reason, Withheld},
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
    rules_over(folder, &record("anna").repeat(8 * usize::from(LINES)), true)
}

fn record(subject: &str) -> String {
    format!("{{\"sub\":\"{subject}\",\"skills\":[1]}}\n")
}

/// These records; without a basis all of them are withheld.
fn rules_over(folder: &Path, records: &str, based: bool) -> Rules {
    let path = folder.join("records.ndjson");
    std::fs::write(&path, records).unwrap();
    let recipient: ParticipantId = "did:web:work.example".parse().unwrap();
    let dataset: DatasetId = "records".parse().unwrap();
    let (purposes, categories) = (["orientation".to_owned()], ["skills".to_owned()]);
    let index = Arc::new(Index::default());
    index
        .open_basis(&BasisRule {
            id: "task",
            basis: Basis::PublicTask,
            covered: Covered {
                recipients: std::slice::from_ref(&recipient),
                purposes: &purposes,
                datasets: &[],
                categories: &categories,
                agreement: None,
            },
            from: Timestamp::MIN,
            until: if based { Timestamp::MAX } else { Timestamp::MIN },
            may_object: true,
        })
        .unwrap();
    let agreement = "urn:uuid:agreement".parse().unwrap();
    let question = index.question((&recipient, &agreement), &purposes, &dataset, &categories, |_| Ok(()));
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
        occurrence: Occurrence::new(&"urn:uuid:transfer".parse().unwrap(), 1),
        signer: Arc::new(Signer::new("did:web:lycee.example#k7", testing::rfc8037_private()).unwrap()),
        cursors: Arc::new(CursorKey::new(&[7; 32]).unwrap()),
        plan: plan(),
        telling: None,
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

/// What the end line tells of so many records of each of so many learners, all withheld.
async fn told(learners: usize, each: usize) -> Option<u64> {
    let folder = tempfile::tempdir().unwrap();
    let records: String = (0..learners * each)
        .map(|k| record(&format!("l{}", k % learners)))
        .collect();
    let mut rules = rules_over(folder.path(), &records, false);
    let store = Arc::new(MemoryStore::new());
    let telling = Telling::open(store, &rules.recipient, &rules.path, &rules.transfer, now());
    rules.telling = Some(Arc::new(telling.await.unwrap()));
    let Pipeline {
        mut decider,
        mut sealer,
    } = Pipeline::open(Arc::new(rules), None).unwrap();
    loop {
        let chunk = sealer.seal(decider.piece().unwrap()).unwrap();
        assert_eq!(chunk.notes.total.is_some(), chunk.last, "it is noted with the end line");
        if chunk.last {
            assert_eq!(chunk.after.sent, 0);
            let end: Value = serde_json::from_slice(&chunk.framing.end.unwrap()).unwrap();
            return end.get("withheld").map(|total| total.as_u64().unwrap());
        }
    }
}

#[tokio::test]
async fn the_end_line_tells_a_total_of_whole_groups_of_learners_and_nothing_below_one() {
    assert_eq!(told(12, 1).await, Some(10));
    assert_eq!(told(12, 300).await, Some(10), "learners, not records");
    assert_eq!(told(25, 1).await, Some(20));
    assert_eq!(told(4, 1).await, None);
    assert_eq!(told(9, 500).await, None, "many records of too few learners");
}

#[test]
fn how_many_lines_a_piece_takes_is_drawn_anew_each_time() {
    const PIECES: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let line = record("anna");
    let records = line.repeat(3 * PIECES * usize::from(LINES));
    let rules = rules_over(folder.path(), &records, false);
    let mut decider = Pipeline::open(Arc::new(rules), None).unwrap().decider;
    let (mut before, mut lines) = (0, Vec::new());
    for _ in 0..PIECES {
        let piece = decider.piece().unwrap();
        assert!(!piece.is_last() && piece.bytes.is_empty());
        lines.push((piece.position - before) / line.len() as u64);
        before = piece.position;
    }
    let (least, most) = (u64::from(LINES), 3 * u64::from(LINES));
    assert!(lines.iter().all(|lines| (least..most).contains(lines)), "{lines:?}");
    lines.sort_unstable();
    lines.dedup();
    assert!(lines.len() > PIECES / 2, "{lines:?}");
    assert!(lines[lines.len() - 1] - lines[0] > least / 2, "{lines:?}");
}

#[test]
fn a_cursor_knows_which_learners_are_behind_what_was_withheld_and_since_when_they_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let rules = rules(folder.path());
    let mut state = State::begun(now());
    for learner in 0..7 {
        let whose = rules.pseudonyms.tag(&format!("l{learner}"));
        state.release.refuse(Withheld::Consent(Reason::None), whose);
    }
    let cursor = rules.cursors.seal(&rules.transfer, &[1; 32], &state).unwrap();
    let (_, opened) = rules.cursors.open(&rules.transfer, &cursor).unwrap();
    assert_eq!((opened.release, opened.since), (state.release, now()));
}
