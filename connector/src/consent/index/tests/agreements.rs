//! Consents for one agreement: they open that one alone, and keep nothing back from another while they stand.

use super::*;

/// The same question under another agreement.
fn under(index: &Index, name: &str) -> Question {
    let purposes = texts(&["orientation"]);
    index
        .question(
            (&did("work"), &agreement(name)),
            &purposes,
            &dataset("d"),
            &texts(&["skills"]),
            |_| Ok(()),
        )
        .unwrap()
}

#[test]
fn a_consent_for_an_agreement_opens_that_one_and_no_other() {
    let (index, shared, one) = (Arc::new(Index::default()), Shared::new(), agreement("a"));
    let skills = Ok(index.category("skills").unwrap().into());
    let covered = Covered {
        agreement: Some(&one),
        ..shared.covered()
    };
    let (first, second) = (id(1), id(2));
    let bound = Grant {
        covered,
        ..shared.grant(&first, "anna")
    };
    index.open(&bound).unwrap();
    assert_eq!(ask(&index, &under(&index, "a"), "anna", 150), skills);
    assert_eq!(ask(&index, &under(&index, "b"), "anna", 150), Err(Reason::Agreement));
    // A second consent, which names none, opens both.
    index.open(&shared.grant(&second, "anna")).unwrap();
    for name in ["a", "b"] {
        assert_eq!(ask(&index, &under(&index, name), "anna", 150), skills, "{name}");
    }
    index.close("anna", |known| *known == second, at(150));
    assert_eq!(ask(&index, &under(&index, "a"), "anna", 150), skills);
    assert_eq!(ask(&index, &under(&index, "b"), "anna", 150), Err(Reason::Agreement));
}

#[test]
fn a_no_that_was_said_for_one_agreement_keeps_other_bases_back_under_all_and_a_yes_under_none() {
    let (index, shared, one) = (Arc::new(Index::default()), Shared::new(), agreement("a"));
    let skills = Ok(index.category("skills").unwrap().into());
    let given = id(1);
    let bound = Grant {
        covered: Covered {
            agreement: Some(&one),
            ..shared.covered()
        },
        ..shared.grant(&given, "anna")
    };
    index.open(&bound).unwrap();
    index.open_basis(&shared.rule(Basis::PublicTask)).unwrap();
    assert_eq!(ask(&index, &under(&index, "b"), "anna", 150), skills);
    index.close("anna", |known| *known == given, at(150));
    for name in ["a", "b"] {
        assert_eq!(
            ask(&index, &under(&index, name), "anna", 150),
            Err(Reason::Withdrawn),
            "{name}"
        );
    }
}

#[test]
fn a_request_for_one_agreement_is_no_reason_under_another() {
    let (index, shared, one, asked) = (Arc::new(Index::default()), Shared::new(), agreement("a"), id(1));
    let request = Request {
        id: &asked,
        subject: "anna",
        covered: Covered {
            agreement: Some(&one),
            ..shared.covered()
        },
        until: at(200),
    };
    index.ask(&request).unwrap();
    assert_eq!(ask(&index, &under(&index, "a"), "anna", 150), Err(Reason::Requested));
    assert_eq!(ask(&index, &under(&index, "b"), "anna", 150), Err(Reason::None));
}
