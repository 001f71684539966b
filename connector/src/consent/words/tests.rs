//! Every refusal about consents has its French, of its own and not that of another, and says who can mend it.

use super::*;
use crate::{
    consent::{
        law::NoPower,
        state::{Act, Illegal, Role, State},
    },
    jose::JoseError,
    store::StoreError,
};
use policy::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

fn at() -> Timestamp {
    Timestamp::from_seconds(1_767_225_600)
}

/// The variants of an error by name. One that is added does not compile until it is named, and then has to be in the list below.
macro_rules! kinds {
    ($all:ident, $kind:ident, $error:ident: $($variant:ident)*) => {
        const $all: &[&str] = &[$(stringify!($variant)),*];

        fn $kind(error: &$error) -> &'static str {
            match error {
                $($error::$variant { .. } => stringify!($variant),)*
            }
        }
    };
}

kinds!(CONSENT, of_consent, ConsentError:
    Grant Import NothingToWithdraw NothingTowards UnknownAgreement InForce ObjectionInForce RefusalInForce BasisInForce UnknownLearner Unknown Illegal NoPower Future Lapsed
    UnknownNotice NoticeReplaced InvalidNotice NoticeExists AlreadyAsked AlreadyGiven TooSoon TooManyRequests TooManySteps Standing Basis
    UnknownBasis BasisEnded NoObjection AlreadyObjected Restriction UnknownRestriction AlreadyRestricted AlreadyLifted NotTheirRestriction LiftUntold
    RestrictionInForce TooLarge Store Signing);
kinds!(GRANT, of_grant, GrantError: Invalid TooManyCategories NoRandom);
kinds!(LINK, of_link, LinkError: Invalid NotFound NothingToConfirm TimeOver Busy Store Random);
kinds!(EXCHANGE, of_exchange, ExchangeError:
    Invalid Unsigned WrongParty NoAgreement UnknownNotice Link TooOften Notice UnknownLearner LinkedOtherwise NotCovered Consent Stale Replayed
    Reused Busy Store);

/// One of each: what they hold is left out where it makes no other sentence.
fn errors() -> Vec<ConsentError> {
    let id = || "urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11".parse().unwrap();
    let mut all: Vec<ConsentError> = vec![
        GrantError::Invalid("fields", "has a text that is no JSON pointer").into(),
        GrantError::TooManyCategories.into(),
        GrantError::NoRandom.into(),
        ConsentError::Import {
            entry: 3,
            cause: Box::new(ConsentError::InForce),
        },
        ConsentError::NothingToWithdraw,
        ConsentError::NothingTowards("did:web:work.example".parse().unwrap()),
        ConsentError::UnknownAgreement("urn:uuid:agreement".parse().unwrap()),
        ConsentError::InForce,
        ConsentError::ObjectionInForce,
        ConsentError::RefusalInForce,
        ConsentError::BasisInForce(id()),
        ConsentError::UnknownLearner,
        ConsentError::Unknown,
        ConsentError::Future(at()),
        ConsentError::Lapsed(at()),
        ConsentError::UnknownNotice("sha256:00".to_owned()),
        ConsentError::NoticeReplaced,
        ConsentError::InvalidNotice("it is empty"),
        ConsentError::NoticeExists,
        ConsentError::AlreadyAsked(id()),
        ConsentError::AlreadyGiven(id()),
        ConsentError::TooSoon(at()),
        ConsentError::TooManyRequests(5),
        ConsentError::TooManySteps,
        ConsentError::Standing("a power has no end"),
        ConsentError::Basis("a basis has no purpose"),
        ConsentError::UnknownBasis,
        ConsentError::BasisEnded,
        ConsentError::NoObjection,
        ConsentError::AlreadyObjected,
        ConsentError::Restriction("subject is missing or too long"),
        ConsentError::UnknownRestriction,
        ConsentError::AlreadyRestricted(id()),
        ConsentError::AlreadyLifted(at()),
        ConsentError::NotTheirRestriction(Role::Consumer),
        ConsentError::LiftUntold,
        ConsentError::RestrictionInForce,
        ConsentError::TooLarge,
        StoreError::Conflict { guard: 0 }.into(),
        StoreError::Failed("disk full".to_owned()).into(),
        StoreError::Corrupt("a row".to_owned()).into(),
        JoseError::SignatureMissing.into(),
    ];
    let illegal = [
        Illegal::Twice(Role::Guardian),
        Illegal::AlreadyGiven,
        Illegal::BothAnew,
        Illegal::Backwards { at: at(), last: at() },
    ];
    all.extend(illegal.map(ConsentError::from));
    all.extend(State::ALL.map(|state| ConsentError::from(Illegal::Ended(state))));
    for state in [
        State::Requested,
        State::PendingSecond,
        State::PendingLearner,
        State::Given,
    ] {
        all.extend(Act::ALL.map(|act| ConsentError::from(Illegal::Step(state, act))));
    }
    for act in Act::ALL {
        all.extend(Role::ALL.map(|role| ConsentError::from(Illegal::NotTheirs(role, act))));
    }
    let no_power = [
        NoPower::Nameless,
        NoPower::Unknown(Role::Guardian),
        NoPower::OfAge(at()),
        NoPower::NotBoth(Role::Learner),
    ];
    all.extend(no_power.map(ConsentError::from));
    all
}

/// What is wrong with a French text: words that are one, and spaces at which a line must not break.
const WRONG: [&str; 11] = [
    "à le ", "à les ", "de le ", "de les ", "de un ", "de une ", " :", " ;", " ?", "« ", " »",
];

fn differ<E: std::fmt::Display>(
    all: &[E],
    (kinds, kind): (&[&str], fn(&E) -> &'static str),
    said: impl Fn(&E) -> Said,
) {
    let listed: BTreeSet<&str> = all.iter().map(kind).collect();
    assert_eq!(listed, kinds.iter().copied().collect());
    let mut seen = BTreeMap::new();
    for error in all {
        let (english, said) = (error.to_string(), said(error));
        assert!(!said.french.is_empty() && said.french != english, "{english}");
        assert!(
            !WRONG.iter().any(|wrong| said.french.contains(wrong)),
            "{}",
            said.french
        );
        for (language, text) in [(Language::French, &said.french), (Language::English, &english)] {
            let told = said.told(&english, language);
            assert!(
                told.starts_with(text.as_str()) && told.contains(said.fix.text(language)),
                "{told}"
            );
        }
        if let Some(other) = seen.insert(said.french.clone(), english.clone()) {
            panic!("{english} and {other} have the same French");
        }
    }
}

#[test]
fn every_refusal_about_a_consent_has_french_of_its_own_and_says_who_can_mend_it() {
    let all = errors();
    differ(&all, (CONSENT, of_consent), ConsentError::said);
    let grants: BTreeSet<&str> = all
        .iter()
        .filter_map(|error| match error {
            ConsentError::Grant(error) => Some(of_grant(error)),
            _ => None,
        })
        .collect();
    assert_eq!(grants, GRANT.iter().copied().collect());
}

#[test]
fn every_refusal_of_a_link_and_of_a_message_about_consents_has_french_of_its_own() {
    differ(
        &[
            LinkError::Invalid("a code has 16 letters and digits"),
            LinkError::NotFound,
            LinkError::NothingToConfirm,
            LinkError::TimeOver,
            LinkError::Busy,
            LinkError::Store(StoreError::Closed),
            LinkError::Random(JoseError::SignatureMissing),
        ],
        (LINK, of_link),
        LinkError::said,
    );
    differ(
        &[
            ExchangeError::Invalid("no @id".to_owned()),
            ExchangeError::Unsigned,
            ExchangeError::WrongParty("the holder"),
            ExchangeError::NoAgreement,
            ExchangeError::UnknownNotice,
            ExchangeError::Link,
            ExchangeError::TooOften,
            ExchangeError::Notice,
            ExchangeError::UnknownLearner,
            ExchangeError::LinkedOtherwise,
            ExchangeError::NotCovered("dataset"),
            ExchangeError::NotCovered("purpose"),
            ExchangeError::NotCovered("data category"),
            ExchangeError::NotCovered("agreement, which permits nothing any more"),
            ExchangeError::Consent(ConsentError::InForce),
            ExchangeError::Stale("a newer one is known"),
            ExchangeError::Replayed,
            ExchangeError::Reused,
            ExchangeError::Busy,
            ExchangeError::Store(StoreError::Closed),
        ],
        (EXCHANGE, of_exchange),
        ExchangeError::said,
    );
}

#[test]
fn who_can_mend_it_is_whoever_has_the_next_word() {
    let fix = |error: ConsentError| error.said().fix;
    assert_eq!(fix(Illegal::Twice(Role::Guardian).into()), Fix::Guardian);
    assert_eq!(fix(NoPower::NotBoth(Role::Learner).into()), Fix::Learner);
    assert_eq!(fix(Illegal::NotTheirs(Role::Guardian, Act::Give).into()), Fix::Learner);
    assert_eq!(
        fix(Illegal::NotTheirs(Role::Learner, Act::Revoke).into()),
        Fix::Provider
    );
    assert_eq!(fix(Illegal::NotTheirs(Role::Learner, Act::Expire).into()), Fix::Nobody);
    assert_eq!(
        fix(Illegal::Ended(State::Withdrawn).into()),
        Fix::Learner,
        "who said no can share"
    );
    assert_eq!(fix(Illegal::Ended(State::Expired).into()), Fix::Consumer);
    assert_eq!(
        fix(ConsentError::NoticeReplaced),
        Fix::Operator,
        "nobody may have asked"
    );
    assert_eq!(fix(ConsentError::TooSoon(at())), Fix::Consumer);
    assert_eq!(fix(ConsentError::ObjectionInForce), Fix::Provider);
    assert_eq!(fix(ConsentError::UnknownNotice(String::new())), Fix::Operator);
    assert_eq!(fix(ConsentError::AlreadyObjected), Fix::Nobody);
    let import = ConsentError::Import {
        entry: 7,
        cause: Box::new(ConsentError::AlreadyObjected),
    };
    assert_eq!(fix(import), Fix::Nobody);
}

#[test]
fn a_member_that_is_missing_or_wrong_is_named_in_french_as_it_is_written() {
    let french = |member, problem| GrantError::Invalid(member, problem).said().french;
    assert_eq!(
        french("categories", "are missing"),
        "categories\u{a0}: cette indication du consentement manque"
    );
    assert_eq!(
        french("expires", "is in the past"),
        "expires\u{a0}: cette date est passée"
    );
    let method = french("method (how the consent was collected)", "is too long");
    assert!(method.starts_with("method\u{a0}: "), "{method}");
    let unknown = french("fields", "has a text that is no JSON pointer");
    assert!(
        unknown.starts_with("fields\u{a0}: ") && !unknown.contains("JSON"),
        "{unknown}"
    );
}

#[test]
fn whoever_a_step_does_not_belong_to_is_named_with_the_word_before_them() {
    let give = |role| ConsentError::from(Illegal::NotTheirs(role, Act::Give)).said().french;
    assert!(give(Role::Consumer).contains(" ne revient pas au destinataire\u{a0}: "));
    assert!(give(Role::Guardian).contains(" ne revient pas à un représentant légal\u{a0}: "));
    let unknown = ConsentError::from(NoPower::Unknown(Role::Guardian)).said().french;
    assert!(unknown.contains(" en vigueur d’un représentant légal "), "{unknown}");
}

#[test]
fn no_refusal_names_a_state_a_step_or_a_role_as_the_program_does() {
    let names: BTreeSet<String> = (State::ALL.iter().map(|state| format!("{state:?}")))
        .chain(Act::ALL.iter().map(|act| format!("{act:?}")))
        .chain(Role::ALL.iter().map(|role| format!("{role:?}")))
        .collect();
    for error in errors() {
        let english = error.to_string();
        let words = english.split(|letter: char| !letter.is_ascii_alphanumeric());
        let named: Vec<&str> = words.filter(|word| names.contains(*word)).collect();
        assert!(named.is_empty(), "{named:?}: {english}");
    }
}

#[test]
fn a_step_that_a_state_does_not_take_is_refused_with_what_can_be_done_instead_and_by_whom() {
    for (state, act, english, french, fix) in [
        (
            State::Requested,
            Act::Withdraw,
            "the step refuse",
            "l’étape refuse",
            Fix::Learner,
        ),
        (
            State::Requested,
            Act::Reaffirm,
            "the step give",
            "l’étape give",
            Fix::Learner,
        ),
        (
            State::PendingSecond,
            Act::Defer,
            "the other one takes the step give",
            "l’autre prend l’étape give",
            Fix::Guardian,
        ),
        (
            State::PendingLearner,
            Act::Reaffirm,
            "the other one takes the step give",
            "l’étape give",
            Fix::Learner,
        ),
        (
            State::Deferred,
            Act::Revoke,
            "nothing is in force",
            "rien n’est en vigueur",
            Fix::Learner,
        ),
        (
            State::Given,
            Act::Refuse,
            "the step withdraw",
            "l’étape withdraw",
            Fix::Learner,
        ),
        (
            State::Given,
            Act::Request,
            "it is there already",
            "il est déjà là",
            Fix::Nobody,
        ),
    ] {
        let error = ConsentError::from(Illegal::Step(state, act));
        let (told, said) = (error.to_string(), error.said());
        assert!(told.contains(english), "{told}");
        assert!(said.french.contains(french), "{}", said.french);
        assert_eq!(said.fix, fix, "{told}");
    }
}

#[test]
fn what_can_follow_the_end_of_a_consent_is_said_as_it_is() {
    let told = |state| ConsentError::from(Illegal::Ended(state)).to_string();
    for state in [State::Refused, State::Withdrawn] {
        assert!(
            told(state).contains("once the pause after a no is over"),
            "{}",
            told(state)
        );
    }
    assert!(told(State::Superseded).contains("decide about that one"));
    assert!(told(State::Expired).ends_with("a new one can be asked for"));
}
