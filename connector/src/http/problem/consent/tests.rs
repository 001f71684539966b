//! The statuses and codes of refusals about consents, which programs depend on, and what peers are told of them.

use super::*;
use crate::{
    consent::{
        ConsentId, GrantError, Said,
        law::NoPower,
        state::{Act, Role, State},
    },
    jose::{JoseError, key::ExternalError},
    store::StoreError,
};
use policy::Timestamp;

fn at() -> Timestamp {
    Timestamp::from_seconds(1_767_225_600)
}

fn id() -> ConsentId {
    "urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11".parse().unwrap()
}

fn import(cause: ConsentError) -> ConsentError {
    ConsentError::Import {
        entry: 3,
        cause: Box::new(cause),
    }
}

fn of_consents() -> Vec<(ConsentError, u16, &'static str)> {
    vec![
        (
            GrantError::Invalid("categories", "are missing").into(),
            422,
            "invalid-consent",
        ),
        (GrantError::TooManyCategories.into(), 422, "invalid-consent"),
        (ConsentError::TooLarge, 422, "invalid-consent"),
        (import(GrantError::NoRandom.into()), 422, "invalid-consent"),
        (import(ConsentError::TooSoon(at())), 429, "too-soon"),
        (ConsentError::InvalidNotice("it is empty"), 422, "invalid-notice"),
        (ConsentError::Standing("a power has no end"), 422, "invalid-standing"),
        (ConsentError::Basis("a basis has no purpose"), 422, "invalid-basis"),
        (ConsentError::Future(at()), 422, "in-the-future"),
        (
            ConsentError::UnknownNotice("sha256:00".to_owned()),
            422,
            "unknown-notice",
        ),
        (Illegal::Backwards { at: at(), last: at() }.into(), 422, "backwards"),
        (ConsentError::NothingToWithdraw, 404, "nothing-to-withdraw"),
        (
            ConsentError::NothingTowards("did:web:work.example".parse().unwrap()),
            404,
            "nothing-to-withdraw",
        ),
        (
            ConsentError::UnknownAgreement("urn:uuid:agreement".parse().unwrap()),
            422,
            "unknown-agreement",
        ),
        (ConsentError::UnknownLearner, 404, "unknown-learner"),
        (ConsentError::Unknown, 404, "not-found"),
        (ConsentError::UnknownBasis, 404, "not-found"),
        (ConsentError::InForce, 409, "in-force"),
        (ConsentError::ObjectionInForce, 409, "in-force"),
        (ConsentError::RefusalInForce, 409, "in-force"),
        (ConsentError::BasisInForce(id()), 409, "basis-in-force"),
        (ConsentError::BasisEnded, 409, "ended"),
        (ConsentError::NoObjection, 409, "no-objection"),
        (ConsentError::AlreadyObjected, 409, "already-objected"),
        (ConsentError::Lapsed(at()), 409, "lapsed"),
        (ConsentError::NoticeReplaced, 409, "notice-replaced"),
        (ConsentError::NoticeExists, 409, "exists"),
        (ConsentError::AlreadyAsked(id()), 409, "already-asked"),
        (ConsentError::AlreadyGiven(id()), 409, "already-given"),
        (ConsentError::TooManySteps, 409, "too-many-steps"),
        (Illegal::Ended(State::Withdrawn).into(), 409, "ended"),
        (Illegal::Step(State::Given, Act::Refuse).into(), 409, "illegal-step"),
        (Illegal::Twice(Role::Guardian).into(), 409, "illegal-step"),
        (Illegal::AlreadyGiven.into(), 409, "illegal-step"),
        (Illegal::NotTheirs(Role::Consumer, Act::Give).into(), 403, "no-power"),
        (Illegal::BothAnew.into(), 403, "no-power"),
        (NoPower::Unknown(Role::Guardian).into(), 403, "no-power"),
        (ConsentError::TooSoon(at()), 429, "too-soon"),
        (ConsentError::TooManyRequests(5), 429, "too-many-requests"),
        (StoreError::Conflict { guard: 0 }.into(), 503, "busy"),
        (StoreError::Corrupt("a row".to_owned()).into(), 500, "internal"),
        (
            JoseError::SignerFailed(ExternalError::Busy).into(),
            503,
            "signer-failed",
        ),
        (JoseError::SignatureMissing.into(), 500, "internal"),
    ]
}

fn of_messages() -> Vec<(ExchangeError, u16, &'static str)> {
    vec![
        (ExchangeError::Invalid("no @id".to_owned()), 400, "invalid-message"),
        (ExchangeError::Unsigned, 401, "signature-missing"),
        (ExchangeError::WrongParty("the holder"), 403, "wrong-party"),
        (ExchangeError::NoAgreement, 403, "no-agreement"),
        (ExchangeError::UnknownNotice, 404, "unknown-notice"),
        (ExchangeError::Notice, 400, "notice-hash"),
        (ExchangeError::UnknownLearner, 404, "unknown-learner"),
        (ExchangeError::LinkedOtherwise, 404, "linked-otherwise"),
        (ExchangeError::NotCovered("purpose"), 403, "not-covered"),
        // Not 429, after which it would be sent again and again.
        (ConsentError::TooSoon(at()).into(), 403, "too-soon"),
        (ConsentError::TooManyRequests(5).into(), 429, "too-many-requests"),
        (ExchangeError::Link, 404, "link"),
        (ExchangeError::TooOften, 429, "too-often"),
        (ExchangeError::Stale("a newer one is known"), 410, "stale"),
        (ExchangeError::Replayed, 409, "replayed"),
        (ExchangeError::Reused, 409, "id-reused"),
        (ExchangeError::Busy, 503, "busy"),
        (ExchangeError::Store(StoreError::Closed), 503, "store-failed"),
    ]
}

/// Each with what it becomes, and what it is in English where that is told.
fn all() -> Vec<(Problem, Said, (u16, &'static str))> {
    let consents = of_consents().into_iter().map(|(error, status, code)| {
        let said = error.said();
        (error.into(), said, (status, code))
    });
    let messages = of_messages().into_iter().map(|(error, status, code)| {
        let said = error.said();
        (error.into(), said, (status, code))
    });
    consents.chain(messages).collect()
}

#[test]
fn each_refusal_about_consents_has_its_status_and_its_code() {
    for (problem, said, (status, code)) in all() {
        assert_eq!(
            (problem.status.as_u16(), problem.code),
            (status, code),
            "{}",
            said.french
        );
    }
    for (error, status, code) in [
        (
            LinkError::Invalid("a code has 16 letters and digits"),
            422,
            "invalid-link",
        ),
        (LinkError::NotFound, 404, "not-found"),
        (LinkError::NothingToConfirm, 409, "nothing-to-confirm"),
        (LinkError::TimeOver, 409, "lapsed"),
        (LinkError::Busy, 503, "busy"),
        (LinkError::Store(StoreError::Closed), 503, "store-failed"),
        (LinkError::Random(JoseError::SignatureMissing), 500, "internal"),
    ] {
        let problem = Problem::from(error);
        assert_eq!((problem.status.as_u16(), problem.code), (status, code));
    }
}

#[test]
fn a_peer_is_told_the_code_and_the_english_and_neither_the_french_nor_who_can_mend_it() {
    for (problem, said, (_, code)) in all() {
        assert_eq!(problem.said, Some(said.clone()), "people on this side are told it");
        let told = problem.dsp("ConsentError", None);
        let mut members: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["@context", "@type", "code", "reason"], "{told}");
        assert_eq!(
            (&told["code"], &told["reason"]),
            (&code.into(), &serde_json::json!([problem.message]))
        );
        assert!(!told.to_string().contains(&said.french), "{told}");
    }
}

#[test]
fn a_learner_who_cannot_be_forgotten_is_refused_with_the_command_for_what_stands_in_the_way() {
    for (error, command) in [
        (ConsentError::InForce, "connector consent withdraw"),
        (ConsentError::ObjectionInForce, "connector basis end"),
        (ConsentError::RefusalInForce, "connector basis end"),
        (ConsentError::BasisInForce(id()), "connector basis end"),
        (ConsentError::RestrictionInForce, "connector restriction lift"),
    ] {
        let hint = Problem::from(error).hint.unwrap();
        assert!(hint.contains(command), "{hint}");
    }
    let signer = JoseError::SignerFailed(ExternalError::Busy);
    assert!(
        Problem::from(ConsentError::Signing(signer)).hint.is_some(),
        "a hint that was there stays"
    );
}
