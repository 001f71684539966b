//! A restriction keeps everything of a learner here, whatever permits it, and lets go of it when it is lifted.

use super::*;

fn restrict(index: &Index, number: u128, towards: &[ParticipantId]) -> (u64, Vec<StreamEnd>) {
    let restriction = Restriction {
        id: &id(number),
        subject: "anna",
        recipients: towards,
    };
    index.restrict(&restriction, at(150)).unwrap()
}

#[test]
fn a_restriction_stops_consents_and_other_bases_alike_and_no_consent_changes() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let asked = question(&index, &["skills"]);
    index.open(&shared.grant(&id(1), "anna")).unwrap();
    index.open_basis(&shared.rule(Basis::Contract)).unwrap();
    let epoch = index.epoch();
    assert_eq!(
        restrict(&index, 2, &[]).0,
        epoch + 1,
        "chunks on their way are decided again"
    );
    assert_eq!(ask(&index, &asked, "anna", 150), Err(Reason::Restricted));
    assert!(ask(&index, &asked, "ben", 150).is_ok(), "others go on");
    assert_eq!(index.in_force("anna"), [id(1)], "the consent is what it was");
    // What is given or closed meanwhile lets nothing out, and does not lift it.
    index.open(&shared.grant(&id(3), "anna")).unwrap();
    index.close("anna", |_| true, at(150));
    index.open(&shared.grant(&id(4), "anna")).unwrap();
    assert_eq!(ask(&index, &asked, "anna", 150), Err(Reason::Restricted));
    index.forget("anna", |lifted| *lifted == id(2));
    assert!(ask(&index, &asked, "anna", 150).is_ok());
}

#[test]
fn a_restriction_towards_one_recipient_leaves_the_others_alone_and_two_are_lifted_one_by_one() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let asked = question(&index, &["skills"]);
    index.open(&shared.grant(&id(1), "anna")).unwrap();
    restrict(&index, 2, &[did("edtech")]);
    assert!(ask(&index, &asked, "anna", 150).is_ok());
    restrict(&index, 3, &[did("work")]);
    restrict(&index, 4, &[]);
    for lifted in [3, 4] {
        assert_eq!(ask(&index, &asked, "anna", 150), Err(Reason::Restricted));
        index.forget("anna", |known| *known == id(lifted));
    }
    assert!(ask(&index, &asked, "anna", 150).is_ok());
}

#[test]
fn an_expiry_and_an_age_that_is_told_leave_a_restriction_standing() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let asked = question(&index, &["skills"]);
    restrict(&index, 2, &[]);
    index.open(&shared.grant(&id(1), "anna")).unwrap();
    index.tell_age("anna", Some(at(500)));
    assert_eq!(index.expired(at(200)), [id(1)]);
    assert!(
        index.expired(Timestamp::MAX).is_empty(),
        "a restriction has no end of its own"
    );
    assert_eq!(ask(&index, &asked, "anna", 150), Err(Reason::Restricted));
}
