//! Consents that ask for groups of a size: counted where the groups that leave are as large, and nothing that limits records.

use super::*;

const FORMS: [fn(GroupSize) -> Form; 2] = [Form::Groups, Form::Rows];

fn size(learners: u32) -> GroupSize {
    GroupSize::new(learners).unwrap()
}

fn leaving(question: &Question, form: Form) -> Question {
    Question {
        form,
        ..question.clone()
    }
}

impl Shared {
    /// The same in groups of so many.
    fn grouped<'a>(&'a self, id: &'a ConsentId, subject: &'a str, least: u32) -> Grant<'a> {
        Grant {
            min_group_size: Some(least),
            ..self.grant(id, subject)
        }
    }
}

#[test]
fn a_learner_is_counted_in_groups_as_large_as_they_ask_for_and_in_none_that_are_smaller() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let (records, skills) = (question(&index, &["skills"]), set(&index, &["skills"]));
    index.open(&shared.grouped(&id(1), "anna", 20)).unwrap();
    index.open(&shared.grant(&id(2), "ben")).unwrap();
    for form in FORMS {
        for (learners, expected) in [
            (5, Err(Reason::GroupSize)),
            (19, Err(Reason::GroupSize)),
            (20, Ok(skills)),
            (21, Ok(skills)),
        ] {
            let asked = leaving(&records, form(size(learners)));
            assert_eq!(ask(&index, &asked, "anna", 150), expected, "{:?}", asked.form);
            assert_eq!(ask(&index, &asked, "ben", 150), Ok(skills), "who asks for no size");
        }
    }
    assert_eq!(
        ask(&index, &records, "anna", 150),
        Ok(skills),
        "records leave as the consent says"
    );
}

#[test]
fn a_size_lets_no_record_and_no_row_out_of_a_consent_for_groups_alone() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let records = question(&index, &["skills"]);
    let id = id(1);
    let grant = Grant {
        aggregate_only: true,
        ..shared.grouped(&id, "anna", 20)
    };
    index.open(&grant).unwrap();
    for (form, expected) in [
        (Form::Records, Err(Reason::Aggregate)),
        (Form::Rows(size(20)), Err(Reason::Aggregate)),
        (Form::Groups(size(10)), Err(Reason::GroupSize)),
        (Form::Groups(size(20)), Ok(set(&index, &["skills"]))),
    ] {
        assert_eq!(ask(&index, &leaving(&records, form), "anna", 150), expected, "{form:?}");
    }
}

#[test]
fn where_groups_are_too_small_for_a_consent_no_other_basis_answers_for_it() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let records = question(&index, &["skills"]);
    let small = leaving(&records, Form::Groups(size(10)));
    index.open_basis(&shared.rule(Basis::PublicTask)).unwrap();
    assert!(ask(&index, &small, "anna", 150).is_ok());
    let epoch = index.epoch();
    index.open(&shared.grouped(&id(1), "anna", 20)).unwrap();
    assert!(index.epoch() > epoch, "what was decided before is decided again");
    assert_eq!(ask(&index, &small, "anna", 150), Err(Reason::GroupSize));
    assert!(ask(&index, &records, "anna", 150).is_ok());
    assert!(ask(&index, &small, "ben", 150).is_ok(), "who was not asked");
}

#[test]
fn a_consent_that_becomes_known_with_another_size_has_what_was_decided_decided_again() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let asked = leaving(&question(&index, &["skills"]), Form::Groups(size(20)));
    index.open(&shared.grant(&id(1), "anna")).unwrap();
    let mut reader = Reader::new(index.clone(), asked);
    for (least, expected) in [
        (20, Ok(set(&index, &["skills"]))),
        (21, withheld(Reason::GroupSize)),
        (5, Ok(set(&index, &["skills"]))),
    ] {
        let epoch = index.epoch();
        index.open(&shared.grouped(&id(1), "anna", least)).unwrap();
        assert!(index.epoch() > epoch, "{least}");
        reader.begin(at(150));
        assert_eq!(reader.ask("anna"), expected, "{least}");
    }
}

#[test]
fn a_release_whose_groups_are_too_small_takes_no_place_of_a_limited_consent() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let records = question(&index, &["skills"]);
    let limited = id(1);
    let grant = Grant {
        most_transfers: Some(1),
        ..shared.grouped(&limited, "anna", 20)
    };
    index.open(&grant).unwrap();
    // Something else covers the same, so that the learner is in either release.
    index.open(&shared.grant(&id(2), "anna")).unwrap();
    for (learners, uses) in [(10, Vec::new()), (20, vec![limited.clone()])] {
        let asked = leaving(&records, Form::Groups(size(learners)));
        let mut reader = Reader::new(index.clone(), asked);
        reader.begin(at(150));
        assert!(reader.ask("anna").is_ok());
        assert_eq!(reader.uses(), uses, "{learners}");
    }
}
