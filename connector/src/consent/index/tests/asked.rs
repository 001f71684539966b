//! Requests that wait for an answer: the reason that they give, and nothing else that they do.

use super::*;

impl Shared {
    fn request<'a>(&'a self, id: &'a ConsentId, subject: &'a str) -> Request<'a> {
        Request {
            id,
            subject,
            covered: self.covered(),
            until: at(200),
        }
    }
}

#[test]
fn who_is_asked_and_has_not_answered_has_that_as_the_reason_until_the_answer() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let question = question(&index, &["skills"]);
    let epoch = index.epoch();
    index.ask(&shared.request(&id(1), "anna")).unwrap();
    assert_eq!(index.epoch(), epoch, "nothing is permitted or withheld by it");
    assert_eq!(ask(&index, &question, "anna", 150), Err(Reason::Requested));
    assert_eq!(ask(&index, &question, "ben", 150), Err(Reason::None));
    assert_eq!(
        ask(&index, &question, "anna", 200),
        Err(Reason::None),
        "too late to answer"
    );
    index.answered("anna", &id(1));
    assert_eq!(ask(&index, &question, "anna", 150), Err(Reason::None));
    index.ask(&shared.request(&id(2), "anna")).unwrap();
    index.forget("anna", |known| *known == id(2));
    assert_eq!(ask(&index, &question, "anna", 150), Err(Reason::None));
}

#[test]
fn a_request_about_something_else_is_no_reason() {
    let index = Arc::new(Index::default());
    let question = question(&index, &["skills"]);
    let elsewhere = [dataset("another")];
    let others = [
        Shared {
            recipients: vec![did("other")],
            ..Shared::new()
        },
        Shared {
            purposes: texts(&["marketing"]),
            ..Shared::new()
        },
        Shared {
            categories: texts(&["identity"]),
            ..Shared::new()
        },
    ];
    for (number, other) in others.iter().enumerate() {
        index.ask(&other.request(&id(number as u128), "anna")).unwrap();
    }
    let (shared, last) = (Shared::new(), id(9));
    let request = Request {
        covered: Covered {
            datasets: &elsewhere,
            ..shared.covered()
        },
        ..shared.request(&last, "anna")
    };
    index.ask(&request).unwrap();
    assert_eq!(ask(&index, &question, "anna", 150), Err(Reason::None));
}

#[test]
fn a_request_takes_nothing_from_what_is_given_and_is_a_weaker_reason_than_any_answer() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let question = question(&index, &["skills"]);
    index.open(&shared.grant(&id(1), "anna")).unwrap();
    index.ask(&shared.request(&id(2), "anna")).unwrap();
    assert_eq!(ask(&index, &question, "anna", 150), Ok(set(&index, &["skills"])));
    index.close("anna", |closed| *closed == id(1), at(150));
    assert_eq!(ask(&index, &question, "anna", 150), Err(Reason::Withdrawn));
    // Another basis does not yield to a question.
    index.open_basis(&shared.rule(Basis::PublicTask)).unwrap();
    index.ask(&shared.request(&id(3), "ben")).unwrap();
    assert_eq!(ask(&index, &question, "ben", 150), Ok(set(&index, &["skills"])));
}

#[test]
fn a_consent_for_somebody_else_does_not_hide_that_one_is_asked_for() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let question = question(&index, &["skills"]);
    let others = Shared {
        recipients: vec![did("other")],
        ..Shared::new()
    };
    index.open(&others.grant(&id(1), "anna")).unwrap();
    assert_eq!(ask(&index, &question, "anna", 150), Err(Reason::Recipient));
    index.ask(&shared.request(&id(2), "anna")).unwrap();
    assert_eq!(ask(&index, &question, "anna", 150), Err(Reason::Requested));
}

#[test]
fn a_stream_that_runs_learns_of_a_request() {
    let (index, shared) = (Arc::new(Index::default()), Shared::new());
    let mut reader = Reader::new(index.clone(), question(&index, &["skills"]));
    reader.begin(at(150));
    assert_eq!(reader.ask("anna"), withheld(Reason::None));
    index.ask(&shared.request(&id(1), "anna")).unwrap();
    reader.begin(at(150));
    assert_eq!(reader.ask("anna"), withheld(Reason::Requested));
}
