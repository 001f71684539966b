//! What a policy asks of each record, beside the consents: for some categories alone, and of minors.

use super::*;

/// A policy that asks for a guardian's consent unless the learner is known to be no minor.
fn guarded(record: &RecordFacts) -> Result<(), Code> {
    match (record.minor, record.guardian_consent) {
        (Some(false), _) | (_, Some(true)) => Ok(()),
        _ => Err(Code::GuardianMissing),
    }
}

#[test]
fn a_policy_may_ask_for_consent_to_some_categories_alone() {
    let (index, mut shared) = (Arc::new(Index::default()), Shared::new());
    let for_results = |record: &RecordFacts| match record.category {
        Some(policy::Category::Skills) => Ok(()),
        _ => consented(record),
    };
    let question = question_under(&index, &["skills", "results"], for_results);
    shared.categories = texts(&["skills", "results"]);
    index.open_basis(&shared.rule(Basis::PublicTask)).unwrap();
    assert_eq!(ask(&index, &question, "anna", 150), Ok(set(&index, &["skills"])));
    shared.categories = texts(&["results"]);
    index.open(&shared.grant(&id(1), "anna")).unwrap();
    let both = set(&index, &["skills", "results"]);
    assert_eq!(ask(&index, &question, "anna", 150), Ok(both));
    index.close("anna", |_| true, at(150));
    assert_eq!(ask(&index, &question, "anna", 150), Ok(set(&index, &["skills"])));
}

#[test]
fn a_minor_needs_a_guardian_where_the_policy_says_so_until_they_come_of_age() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let question = question_under(&index, &["skills"], guarded);
    let (skills, refused) = (set(&index, &["skills"]), Err(Withheld::Policy(Code::GuardianMissing)));
    let ids: Vec<ConsentId> = (0..5).map(id).collect();
    let known = |number: usize, subject, of_age| Grant {
        of_age: Some(at(of_age)),
        ..shared.grant(&ids[number], subject)
    };
    index.open(&known(0, "adult", -100)).unwrap();
    index.open(&known(1, "alone", 160)).unwrap();
    index
        .open(&Grant {
            guardian_gave: true,
            ..known(2, "child", 160)
        })
        .unwrap();
    index.open(&shared.grant(&ids[3], "unknown")).unwrap();
    assert_eq!(asked(&index, &question, "adult", 150), Ok(skills));
    assert_eq!(asked(&index, &question, "child", 150), Ok(skills));
    assert_eq!(asked(&index, &question, "alone", 159), refused);
    assert_eq!(asked(&index, &question, "alone", 160), Ok(skills), "of age");
    assert_eq!(asked(&index, &question, "unknown", 150), refused);
    // What covers nothing is told before what the policy says.
    assert_eq!(asked(&index, &question, "alone", 200), withheld(Reason::Expired));
    // The guardian's word is about what it was given for, not about the learner.
    let mut other = Shared::new();
    other.categories = texts(&["results"]);
    index
        .open(&Grant {
            guardian_gave: true,
            of_age: Some(at(160)),
            ..other.grant(&ids[4], "alone")
        })
        .unwrap();
    let question = question_under(&index, &["skills", "results"], guarded);
    assert_eq!(asked(&index, &question, "alone", 150), Ok(set(&index, &["results"])));
}

#[test]
fn what_is_told_of_a_learners_age_holds_for_all_that_is_there_and_has_chunks_decided_again() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let question = question_under(&index, &["skills"], guarded);
    index.open(&shared.grant(&id(1), "anna")).unwrap();
    index.object(&Shared::objection(&id(2), "anna"), at(150)).unwrap();
    let epoch = index.epoch();
    index.tell_age("anna", Some(at(100)));
    assert_eq!(index.epoch(), epoch + 1);
    assert!(asked(&index, &question, "anna", 150).is_ok());
    index.tell_age("anna", Some(at(170)));
    assert!(asked(&index, &question, "anna", 150).is_err());
    assert!(asked(&index, &question, "anna", 170).is_ok());
    let epoch = index.epoch();
    index.tell_age("anna", Some(at(170)));
    index.tell_age("nobody", Some(at(170)));
    assert_eq!(index.epoch(), epoch, "nothing has changed");
    index.tell_age("anna", None);
    assert!(asked(&index, &question, "anna", 170).is_err(), "not known any more");
}

#[test]
fn an_age_is_kept_to_the_second_and_nobody_is_of_age_too_early() {
    let is_minor = |from: i64, now: i64| {
        let of_age = OfAge::new(Some(Timestamp::from_millis(from)));
        of_age.is_minor(Timestamp::from_millis(now)).unwrap()
    };
    assert!(is_minor(1_000, 999) && !is_minor(1_000, 1_000));
    assert!(is_minor(1_001, 1_999) && !is_minor(1_001, 2_000));
    assert!(!is_minor(-1, 0) && !is_minor(Timestamp::MIN.millis(), 0));
    let far = i64::from(u32::MAX - 1) * 1_000;
    assert!(is_minor(Timestamp::MAX.millis(), far - 1));
    assert_eq!(OfAge::new(None).is_minor(Timestamp::MAX), None);
}
