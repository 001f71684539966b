mod agreements;
mod asked;
mod groups;
mod joined;
mod order;
mod policies;
mod restricted;

use super::*;
use policy::release::GroupSize;
use std::collections::BTreeSet;
use uuid::Uuid;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(second)
}

pub(super) fn id(number: u128) -> ConsentId {
    ConsentId::from_uuid(Uuid::from_u128(number))
}

pub(super) fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(super) fn did(name: &str) -> ParticipantId {
    format!("did:web:{name}.example").parse().unwrap()
}

fn dataset(name: &str) -> DatasetId {
    name.parse().unwrap()
}

pub(super) fn agreement(name: &str) -> AgreementId {
    format!("urn:uuid:{name}").parse().unwrap()
}

/// What the consents here share; a test changes what it is about.
struct Shared {
    recipients: Vec<ParticipantId>,
    purposes: Vec<String>,
    categories: Vec<String>,
}

impl Shared {
    fn new() -> Self {
        Self {
            recipients: vec![did("work")],
            purposes: texts(&["orientation"]),
            categories: texts(&["skills"]),
        }
    }

    fn covered(&self) -> Covered<'_> {
        Covered {
            recipients: &self.recipients,
            purposes: &self.purposes,
            datasets: &[],
            categories: &self.categories,
            agreement: None,
        }
    }

    fn grant<'a>(&'a self, id: &'a ConsentId, subject: &'a str) -> Grant<'a> {
        Grant {
            id,
            subject,
            covered: self.covered(),
            fields: &[],
            from: at(100),
            until: at(200),
            aggregate_only: false,
            min_group_size: None,
            guardian_missing: false,
            guardian_gave: false,
            most_transfers: None,
            of_age: None,
            ended: None,
        }
    }

    fn rule(&self, basis: Basis) -> BasisRule<'_> {
        BasisRule {
            id: "rule",
            basis,
            covered: self.covered(),
            from: at(100),
            until: at(200),
            may_object: false,
        }
    }

    fn objection<'a>(id: &'a ConsentId, subject: &'a str) -> Objection<'a> {
        Objection {
            id,
            subject,
            recipients: &[],
            purposes: &[],
            datasets: &[],
        }
    }
}

fn question(index: &Index, categories: &[&str]) -> Question {
    let purposes = texts(&["orientation"]);
    index
        .question(
            (&did("work"), &agreement("a")),
            &purposes,
            &dataset("d"),
            &texts(categories),
            |_| Ok(()),
        )
        .unwrap()
}

/// The same under a policy that says this of each record.
fn question_under(index: &Index, categories: &[&str], permits: impl Fn(&RecordFacts) -> Result<(), Code>) -> Question {
    let purposes = texts(&["orientation"]);
    index
        .question(
            (&did("work"), &agreement("a")),
            &purposes,
            &dataset("d"),
            &texts(categories),
            permits,
        )
        .unwrap()
}

/// A policy that asks for consent.
fn consented(record: &RecordFacts) -> Result<(), Code> {
    match record.consent {
        Some(true) => Ok(()),
        _ => Err(Code::ConsentNone),
    }
}

fn withheld(reason: Reason) -> Result<CategorySet, Withheld> {
    Err(Withheld::Consent(reason))
}

fn asked(index: &Arc<Index>, question: &Question, subject: &str, now: i64) -> Result<CategorySet, Withheld> {
    let mut reader = Reader::new(index.clone(), question.clone());
    reader.begin(at(now));
    reader.ask(subject)
}

/// The same where only consents can be the reason.
fn ask(index: &Arc<Index>, question: &Question, subject: &str, now: i64) -> Result<CategorySet, Reason> {
    asked(index, question, subject, now).map_err(|why| match why {
        Withheld::Consent(reason) => reason,
        Withheld::Policy(code) => panic!("{code}"),
    })
}

fn set(index: &Index, categories: &[&str]) -> CategorySet {
    categories.iter().map(|name| index.category(name).unwrap()).collect()
}

#[test]
fn consents_of_one_learner_add_up_and_each_permits_only_what_it_names() {
    let (index, mut shared) = (Arc::new(Index::default()), Shared::new());
    index.open(&shared.grant(&id(1), "anna")).unwrap();
    shared.categories = texts(&["results", "experience"]);
    index.open(&shared.grant(&id(2), "anna")).unwrap();
    shared.recipients = vec![did("other")];
    shared.categories = texts(&["identity"]);
    index.open(&shared.grant(&id(3), "anna")).unwrap();
    let asked = question(&index, &["skills", "results", "identity"]);
    assert_eq!(
        ask(&index, &asked, "anna", 150),
        Ok(set(&index, &["skills", "results"]))
    );
    assert_eq!(ask(&index, &asked, "ben", 150), Err(Reason::None));
    index.close("anna", |closed| *closed == id(1), at(150));
    assert_eq!(ask(&index, &asked, "anna", 150), Ok(set(&index, &["results"])));
}

#[test]
fn each_way_to_fail_has_its_reason_and_the_nearest_is_told() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let other = Shared {
        purposes: texts(&["marketing"]),
        ..Shared::new()
    };
    let (elsewhere, another) = ([dataset("another")], agreement("b"));
    let ids: Vec<ConsentId> = (0..11).map(id).collect();
    let grants = [
        (
            Reason::Refused,
            Grant {
                ended: Some(Ended::Refused),
                ..shared.grant(&ids[9], "refused")
            },
        ),
        (
            Reason::Withdrawn,
            Grant {
                ended: Some(Ended::Withdrawn),
                ..shared.grant(&ids[0], "withdrawn")
            },
        ),
        (
            Reason::Revoked,
            Grant {
                ended: Some(Ended::Revoked),
                ..shared.grant(&ids[10], "revoked")
            },
        ),
        (
            Reason::Expired,
            Grant {
                ended: Some(Ended::Expired),
                ..shared.grant(&ids[1], "noted")
            },
        ),
        (
            Reason::Expired,
            Grant {
                until: at(150),
                ..shared.grant(&ids[2], "over")
            },
        ),
        (
            Reason::Expired,
            Grant {
                from: at(151),
                ..shared.grant(&ids[3], "early")
            },
        ),
        (Reason::Purpose, other.grant(&ids[4], "purpose")),
        (
            Reason::Category,
            Grant {
                covered: Covered {
                    datasets: &elsewhere,
                    ..shared.covered()
                },
                ..shared.grant(&ids[5], "dataset")
            },
        ),
        (
            Reason::Aggregate,
            Grant {
                aggregate_only: true,
                ..shared.grant(&ids[6], "aggregate")
            },
        ),
        (
            Reason::Guardian,
            Grant {
                guardian_missing: true,
                ..shared.grant(&ids[7], "minor")
            },
        ),
        (
            Reason::Agreement,
            Grant {
                covered: Covered {
                    agreement: Some(&another),
                    ..shared.covered()
                },
                ..shared.grant(&ids[9], "agreement")
            },
        ),
    ];
    let asked = question(&index, &["skills"]);
    for (reason, grant) in &grants {
        index.open(grant).unwrap();
        assert_eq!(
            ask(&index, &asked, grant.subject, 150),
            Err(*reason),
            "{}",
            grant.subject
        );
    }
    let aggregate = Question {
        form: Form::Groups(GroupSize::DEFAULT),
        ..asked.clone()
    };
    assert!(ask(&index, &aggregate, "aggregate", 150).is_ok());
    assert!(ask(&index, &aggregate, "minor", 150).is_err());
    index.open(&other.grant(&ids[8], "withdrawn")).unwrap();
    assert_eq!(
        ask(&index, &asked, "withdrawn", 150),
        Err(Reason::Withdrawn),
        "what is for another purpose does not hide that this was withdrawn"
    );
    let unasked = did("edtech");
    let question_of_another = Question {
        recipient: index.vocabulary_mut().name(unasked.as_str()),
        ..asked.clone()
    };
    assert_eq!(
        ask(&index, &question_of_another, "refused", 150),
        Err(Reason::None),
        "what was refused to somebody else is no reason"
    );
    let closer = Grant {
        ended: Some(Ended::Expired),
        ..shared.grant(&ids[1], "revoked")
    };
    index.open(&closer).unwrap();
    assert_eq!(ask(&index, &asked, "revoked", 150), Err(Reason::Expired));
    let unbound = index
        .question(
            (&did("work"), &agreement("a")),
            &[],
            &dataset("d"),
            &texts(&["skills"]),
            |_| Ok(()),
        )
        .unwrap();
    index.open(&shared.grant(&ids[0], "given")).unwrap();
    for subject in ["given", "withdrawn", "nobody"] {
        assert_eq!(ask(&index, &unbound, subject, 150), Err(Reason::Unbound), "{subject}");
    }
}

#[test]
fn a_clock_that_goes_back_opens_nothing_again() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    index.open(&shared.grant(&id(1), "anna")).unwrap();
    let mut reader = Reader::new(index.clone(), question(&index, &["skills"]));
    assert_eq!(reader.begin(at(99)), at(99));
    assert_eq!(reader.ask("anna"), withheld(Reason::Expired), "not yet");
    reader.begin(at(199));
    assert!(reader.ask("anna").is_ok());
    reader.begin(at(200));
    assert_eq!(reader.ask("anna"), withheld(Reason::Expired));
    assert_eq!(reader.begin(at(150)), at(200));
    assert_eq!(reader.ask("anna"), withheld(Reason::Expired));
}

#[test]
fn a_reader_learns_terms_and_bases_that_are_opened_while_it_reads() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let mut reader = Reader::new(index.clone(), question(&index, &["skills"]));
    reader.begin(at(150));
    assert_eq!(reader.ask("anna"), withheld(Reason::None));
    index.open(&shared.grant(&id(1), "anna")).unwrap();
    index.open_basis(&shared.rule(Basis::Contract)).unwrap();
    assert_eq!(
        reader.ask("anna"),
        withheld(Reason::None),
        "the same answer within a chunk"
    );
    reader.begin(at(150));
    assert!(reader.ask("anna").is_ok() && reader.ask("ben").is_ok());
    index.close_basis("rule");
    index.close("anna", |_| true, at(150));
    let before = reader.epoch();
    reader.begin(at(150));
    assert_eq!(reader.epoch(), before + 2);
    assert_eq!(reader.ask("ben"), withheld(Reason::None));
    assert_eq!(reader.ask("anna"), withheld(Reason::Withdrawn));
}

#[test]
fn another_basis_permits_who_was_not_asked_and_has_not_objected() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let asked = question(&index, &["skills"]);
    let strict = question_under(&index, &["skills"], consented);
    index.open_basis(&shared.rule(Basis::PublicTask)).unwrap();
    assert!(ask(&index, &asked, "anna", 150).is_ok());
    assert_eq!(ask(&index, &strict, "anna", 150), Err(Reason::None));
    for outside in [99, 200] {
        assert_eq!(ask(&index, &asked, "anna", outside), Err(Reason::None));
    }
    let epoch = index.epoch();
    let raised = index.object(&Shared::objection(&id(1), "anna"), at(150)).unwrap().0;
    assert_eq!(raised, epoch + 1);
    assert_eq!(ask(&index, &asked, "anna", 150), Err(Reason::Objected));
    assert!(ask(&index, &asked, "ben", 150).is_ok());
    assert!(index.in_force("anna").is_empty(), "an objection is no consent");
    // Consent is not what she objected to.
    index.open(&shared.grant(&id(2), "anna")).unwrap();
    assert!(ask(&index, &asked, "anna", 150).is_ok());
    index.close("anna", |closed| *closed == id(2), at(150));
    // Once asked and withdrawn, no other basis takes over, even when the objection is lifted.
    index.forget("anna", |lifted| *lifted == id(1));
    assert_eq!(ask(&index, &asked, "anna", 150), Err(Reason::Withdrawn));
    index.forget("anna", |_| true);
    assert!(ask(&index, &asked, "anna", 150).is_ok());
    let (third, ended) = (id(3), Some(Ended::Refused));
    index
        .open(&Grant {
            ended,
            ..shared.grant(&third, "ben")
        })
        .unwrap();
    assert_eq!(ask(&index, &asked, "ben", 150), Err(Reason::Refused));
    index.close_basis("rule");
    assert_eq!(ask(&index, &asked, "anna", 150), Err(Reason::None));
}

#[test]
fn nobody_objects_to_a_contract_unless_the_holder_lets_them() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let asked = question(&index, &["skills"]);
    index.open_basis(&shared.rule(Basis::Contract)).unwrap();
    index.object(&Shared::objection(&id(1), "anna"), at(150)).unwrap();
    assert!(ask(&index, &asked, "anna", 150).is_ok());
    let lenient = BasisRule {
        may_object: true,
        ..shared.rule(Basis::Contract)
    };
    index.open_basis(&lenient).unwrap();
    assert_eq!(ask(&index, &asked, "anna", 150), Err(Reason::Objected));
}

#[test]
fn an_end_is_told_once_and_has_undelivered_chunks_decided_again() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    assert_eq!(index.next_expiry(), None);
    for learner in 0..1000 {
        let (id, subject) = (id(learner), format!("l{learner}"));
        let until = at(200 + i64::try_from(learner).unwrap() % 10);
        index
            .open(&Grant {
                until,
                ..shared.grant(&id, &subject)
            })
            .unwrap();
    }
    index.close("l0", |_| true, at(150));
    index.forget("l10", |_| true);
    assert_eq!(index.next_expiry(), Some(at(200)));
    let epoch = index.epoch();
    assert!(index.expired(at(199)).is_empty());
    assert_eq!(index.epoch(), epoch);
    let ended: BTreeSet<String> = index.expired(at(200)).iter().map(ToString::to_string).collect();
    let expected: BTreeSet<String> = (2..100).map(|k| id(k * 10).to_string()).collect();
    assert_eq!(ended, expected);
    assert_eq!(index.epoch(), epoch + 1);
    assert!(index.expired(at(200)).is_empty());
    assert_eq!(index.next_expiry(), Some(at(201)));
    assert_eq!(index.expired(at(1000)).len(), 900);
    assert_eq!(index.next_expiry(), None);
    assert!(index.in_force("l500").is_empty());
    assert_eq!(
        ask(&index, &question(&index, &["skills"]), "l500", 150),
        Err(Reason::Expired),
        "whatever the clock says"
    );
}

#[test]
fn a_consent_with_one_category_too_many_is_refused_whole() {
    let (index, mut shared) = (Arc::new(Index::default()), Shared::new());
    shared.categories = (0..65).map(|k| format!("c{k}")).collect();
    assert_eq!(index.reserve(&shared.categories), Err(GrantError::TooManyCategories));
    assert_eq!(
        index.open(&shared.grant(&id(1), "anna")),
        Err(GrantError::TooManyCategories)
    );
    assert!(index.in_force("anna").is_empty());
}

#[test]
fn a_hundred_thousand_learners_are_told_apart_through_growth_and_forgetting() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let names: Vec<String> = (0..100_000).map(|k| format!("did:example:learner:{k}")).collect();
    for (number, name) in names.iter().enumerate() {
        index.open(&shared.grant(&id(number as u128), name)).unwrap();
    }
    for name in names.iter().step_by(3) {
        index.forget(name, |_| true);
    }
    for name in names.iter().step_by(5) {
        index.close(name, |_| true, at(150));
    }
    let mut reader = Reader::new(index.clone(), question(&index, &["skills"]));
    reader.begin(at(150));
    for (number, name) in names.iter().enumerate() {
        let expected = match (number % 3, number % 5) {
            (0, _) => withheld(Reason::None),
            (_, 0) => withheld(Reason::Withdrawn),
            _ => Ok(set(&index, &["skills"])),
        };
        assert_eq!(reader.ask(name), expected, "{name}");
    }
}
