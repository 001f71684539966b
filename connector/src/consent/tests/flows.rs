//! How consents come about and end, through the service over a store in memory.

use super::*;
use crate::{
    consent::{
        law::{Capacity, NoPower, Power, Scope},
        receipt::{self, ReceiptError},
        state::{Act, Illegal, Role, State},
    },
    jose::{self, VerifyingKey},
};
use serde_json::{Value, json};

mod groups;
mod later;
mod limited;
mod restricted;
mod sizes;
mod waiting;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn days(n: u32) -> Timestamp {
    now().plus(DAY * n)
}

pub(super) fn actor(role: Role, id: Option<&str>) -> Actor {
    Actor {
        role,
        id: id.map(str::to_owned),
        method: "portal".into(),
        assurance: Some("substantial".into()),
        evidence: Some("session 8".into()),
    }
}

fn learner() -> Actor {
    actor(Role::Learner, None)
}

pub(super) fn event(event: Decision, actor: Actor) -> NewEvent {
    NewEvent {
        event,
        actor,
        time: None,
    }
}

pub(super) async fn notice(consents: &Consents, version: &str) -> String {
    let new = NewNotice {
        id: "orientation".into(),
        version: version.into(),
        language: "fr".into(),
        text: format!("Ton lycée veut envoyer tes compétences. Version {version}."),
        url: Some("https://lycee.example/notice".into()),
    };
    consents.add_notice(new, now()).await.unwrap().hash
}

pub(super) fn request(subject: &str, notice: &str) -> NewRequest {
    NewRequest {
        subject: subject.into(),
        holder: None,
        requested_by: "did:web:ft.example".parse().unwrap(),
        recipients: vec!["did:web:ft.example".parse().unwrap()],
        purposes: vec!["https://w3id.org/dpv#ServiceProvision".into()],
        categories: vec!["skills".into()],
        fields: Vec::new(),
        datasets: Vec::new(),
        agreement: None,
        offer: None,
        expires: None,
        max_count: None,
        retention_days: None,
        notice: notice.into(),
        evidence: "message 1".into(),
        explicit: false,
        aggregate_only: false,
        min_group_size: None,
    }
}

async fn asked(consents: &Consents, subject: &str) -> ConsentId {
    let known = consents.notices().await.unwrap();
    let hash = match known.last() {
        Some(known) => known.hash.clone(),
        None => notice(consents, "1").await,
    };
    let changed = consents.request(request(subject, &hash), None, now()).await.unwrap();
    assert_eq!(changed.stored.state, State::Requested);
    changed.stored.consent.id
}

pub(super) async fn state(consents: &Consents, id: &ConsentId) -> State {
    consents.get(id).await.unwrap().state
}

pub(super) fn key(consents: &Consents) -> impl Fn(&str) -> Option<VerifyingKey> {
    let signer = consents.trust.signer();
    move |kid: &str| (kid == signer.kid()).then(|| signer.key().verifying_key().clone())
}

pub(super) async fn set_child(consents: &Consents, subject: &str, of_age: Timestamp) {
    let new = NewStanding {
        subject: subject.into(),
        born_on: None,
        sole_consent_from: Some(of_age),
        country: None,
        powers: vec![Power {
            id: "mother".into(),
            capacity: Capacity::ParentalAuthority,
            scope: vec![Scope::Give, Scope::Withdraw],
            from: now(),
            until: days(1000),
            evidence: "register 3".into(),
        }],
    };
    consents.set_standing(&new, now()).await.unwrap();
}

#[tokio::test]
async fn a_request_is_decided_by_the_learner_and_opens_the_index_only_then() {
    let consents = consents().await;
    let id = asked(&consents, "anna").await;
    assert!(consents.index.in_force("anna").is_empty());
    let later = consents
        .decide(&id, &event(Decision::Defer, learner()), days(1))
        .await
        .unwrap();
    assert_eq!(later.stored.state, State::Deferred);
    let given = consents
        .decide(&id, &event(Decision::Give, learner()), days(2))
        .await
        .unwrap();
    assert_eq!(given.stored.state, State::Given);
    assert_eq!(consents.index.in_force("anna"), std::slice::from_ref(&id));
    let again = consents.decide(&id, &event(Decision::Give, learner()), days(3)).await;
    assert!(matches!(again, Err(ConsentError::Illegal(Illegal::AlreadyGiven))));
    let ended = consents
        .decide(&id, &event(Decision::Object, learner()), days(4))
        .await
        .unwrap();
    assert_eq!(ended.stored.state, State::Withdrawn);
    assert!(ended.ended.is_some() && consents.index.in_force("anna").is_empty());
    // The same give event once more, as a replay would bring it.
    let replay = consents.decide(&id, &event(Decision::Give, learner()), days(5)).await;
    assert!(matches!(
        replay,
        Err(ConsentError::Illegal(Illegal::Ended(State::Withdrawn)))
    ));
    let proved = receipt::verify(&consents.receipts(id.as_str()).await.unwrap(), key(&consents)).unwrap();
    let acts: Vec<Act> = proved.steps.iter().map(|fact| fact.act).collect();
    assert_eq!(acts, [Act::Request, Act::Defer, Act::Give, Act::Withdraw]);
    assert_eq!(
        (proved.state, proved.complete, proved.receipts),
        (State::Withdrawn, true, 4)
    );
}

#[tokio::test]
async fn whoever_is_not_the_learners_side_decides_nothing_for_them() {
    let consents = consents().await;
    let id = asked(&consents, "anna").await;
    for role in [Role::Holder, Role::Consumer, Role::Authority, Role::Clock] {
        for decision in [Decision::Give, Decision::Refuse, Decision::Defer, Decision::Reaffirm] {
            let refused = consents
                .decide(&id, &event(decision, actor(role, Some("x"))), now())
                .await;
            assert!(
                matches!(refused, Err(ConsentError::Illegal(Illegal::NotTheirs(..)))),
                "{role:?} {decision:?}"
            );
        }
    }
    for role in [Role::Guardian, Role::Delegate] {
        let refused = consents
            .decide(&id, &event(Decision::Give, actor(role, Some("mother"))), now())
            .await;
        assert!(refused.is_err(), "{role:?} without a recorded power");
    }
    assert_eq!(state(&consents, &id).await, State::Requested);
    let unknown = "urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11".parse().unwrap();
    let refused = consents
        .decide(&unknown, &event(Decision::Give, learner()), now())
        .await;
    assert!(matches!(refused, Err(ConsentError::Unknown)));
}

#[tokio::test]
async fn times_only_go_forward() {
    let consents = consents().await;
    let id = asked(&consents, "anna").await;
    let early = NewEvent {
        time: Some(now().minus(DAY)),
        ..event(Decision::Give, learner())
    };
    let refused = consents.decide(&id, &early, days(1)).await;
    assert!(matches!(refused, Err(ConsentError::Illegal(Illegal::Backwards { .. }))));
    let future = NewEvent {
        time: Some(days(2)),
        ..event(Decision::Give, learner())
    };
    assert!(matches!(
        consents.decide(&id, &future, days(1)).await,
        Err(ConsentError::Future(_))
    ));
    // The clock itself went backwards: nothing is given, but no is still no.
    let back = now().minus(DAY);
    let refused = consents.decide(&id, &event(Decision::Give, learner()), back).await;
    assert!(matches!(refused, Err(ConsentError::Illegal(Illegal::Backwards { .. }))));
    let no = consents
        .decide(&id, &event(Decision::Refuse, learner()), back)
        .await
        .unwrap();
    assert_eq!((no.stored.state, no.stored.since()), (State::Refused, now()));
}

#[tokio::test]
async fn a_child_and_a_guardian_give_together_and_each_of_them_can_say_no() {
    let consents = consents().await;
    let mother = || actor(Role::Guardian, Some("mother"));
    for (subject, first, second) in [("child1", learner(), mother()), ("child2", mother(), learner())] {
        set_child(&consents, subject, days(100)).await;
        let id = asked(&consents, subject).await;
        let half = consents
            .decide(&id, &event(Decision::Give, first.clone()), now())
            .await
            .unwrap();
        assert!(half.stored.state.is_open() && half.stored.state != State::Requested);
        assert!(matches!(
            consents.decide(&id, &event(Decision::Give, first), now()).await,
            Err(ConsentError::Illegal(Illegal::Twice(_)))
        ));
        let whole = consents
            .decide(&id, &event(Decision::Give, second), now())
            .await
            .unwrap();
        assert_eq!(whole.stored.state, State::Given);
        assert_eq!(whole.stored.ends(), days(100), "it ends when the child comes of age");
        let ended = consents
            .decide(&id, &event(Decision::Withdraw, mother()), days(1))
            .await
            .unwrap();
        assert_eq!(ended.stored.state, State::Withdrawn);
    }
    for who in [learner(), mother()] {
        let subject = format!("no-{:?}", who.role);
        set_child(&consents, &subject, days(100)).await;
        let id = asked(&consents, &subject).await;
        let other = if who.role == Role::Learner { mother() } else { learner() };
        consents
            .decide(&id, &event(Decision::Give, other), now())
            .await
            .unwrap();
        let no = consents
            .decide(&id, &event(Decision::Refuse, who), now())
            .await
            .unwrap();
        assert_eq!(no.stored.state, State::Refused);
    }
    // A stranger's word is none, and a guardian's alone neither, on paper or not.
    set_child(&consents, "child3", days(100)).await;
    let stranger = NewConsent {
        signed_by: vec![actor(Role::Guardian, Some("stranger"))],
        ..new("child3")
    };
    assert!(matches!(
        consents.grant(vec![stranger], now()).await,
        Err(ConsentError::NoPower(NoPower::Unknown(Role::Guardian)))
    ));
    let guardian_alone = NewConsent {
        signed_by: vec![mother()],
        ..new("child3")
    };
    let entered = consents.grant(vec![guardian_alone], now()).await.unwrap();
    assert_eq!(entered[0].state, State::PendingLearner);
    let both = NewConsent {
        signed_by: vec![learner(), mother()],
        ..new("child3")
    };
    assert_eq!(consents.grant(vec![both], now()).await.unwrap()[0].state, State::Given);
}

#[tokio::test]
async fn at_the_birthday_the_guardians_powers_end_and_the_consent_with_them() {
    let consents = consents().await;
    set_child(&consents, "child", days(10)).await;
    let id = asked(&consents, "child").await;
    for who in [learner(), actor(Role::Guardian, Some("mother"))] {
        consents.decide(&id, &event(Decision::Give, who), now()).await.unwrap();
    }
    assert_eq!(consents.next_end(), Some(days(10)));
    assert_eq!(
        consents
            .expire(|| days(10).minus(Duration::from_millis(1)))
            .await
            .unwrap(),
        0
    );
    assert_eq!(consents.expire(|| days(10)).await.unwrap(), 1);
    let stored = consents.get(&id).await.unwrap();
    let last = &stored.events.last().unwrap().fact;
    assert_eq!(
        (stored.state, last.role, last.cause),
        (State::Expired, Role::Clock, Some(Cause::CameOfAge))
    );
    // From then on the learner's word alone counts.
    let changed = consents
        .request(request("child", &stored.consent.notice), None, days(11))
        .await
        .unwrap();
    let id = changed.stored.consent.id;
    let mother = actor(Role::Guardian, Some("mother"));
    let refused = consents.decide(&id, &event(Decision::Give, mother), days(11)).await;
    assert!(refused.is_err());
    let given = consents
        .decide(&id, &event(Decision::Give, learner()), days(11))
        .await
        .unwrap();
    assert_eq!(given.stored.state, State::Given);
    let all: String = format!("{:?}", consents.standing("child").await.unwrap());
    assert!(!all.contains("born"), "no birth date is kept");
}

#[tokio::test]
async fn a_consent_expires_by_time_and_a_restart_catches_up() {
    let consents = consents().await;
    let short = NewConsent {
        expires: Some(days(1)),
        ..new("anna")
    };
    let id = consents.grant(vec![short], now()).await.unwrap()[0].consent.id.clone();
    let reaffirmed = consents
        .decide(&id, &event(Decision::Reaffirm, learner()), now())
        .await
        .unwrap();
    assert_eq!(reaffirmed.stored.ends(), days(365));
    let secret = HmacKey::new(&[4; 32]);
    let (log, trust) = (consents.log.clone(), consents.trust.clone());
    let privacy = consents.privacy.clone();
    drop(consents);
    let consents = Consents::load(log, trust, secret.clone(), Pseudonyms::new(secret), privacy)
        .await
        .unwrap();
    assert_eq!(consents.next_end(), Some(days(365)));
    assert_eq!(consents.expire(|| days(400)).await.unwrap(), 1);
    assert_eq!(consents.expire(|| days(400)).await.unwrap(), 0);
    assert_eq!(state(&consents, &id).await, State::Expired);
    let proved = receipt::verify(&consents.receipts(id.as_str()).await.unwrap(), key(&consents)).unwrap();
    assert_eq!((proved.state, proved.receipts), (State::Expired, 3));
}

/// Whether skills of this learner leave under a policy that asks for a guardian's consent unless the learner is known to be no minor.
fn under_a_guarded_policy(consents: &Consents, subject: &str, at: Timestamp) -> Result<(), Withheld> {
    let asked = request(subject, "");
    let dataset = "records".parse().unwrap();
    let question = consents.index.question(
        &asked.requested_by,
        &asked.purposes,
        &dataset,
        &asked.categories,
        |record| match (record.minor, record.guardian_consent) {
            (Some(false), _) | (_, Some(true)) => Ok(()),
            _ => Err(policy::Code::GuardianMissing),
        },
    );
    let mut reader = Reader::new(consents.index.clone(), question.unwrap());
    reader.begin(at);
    reader.ask(subject).map(drop)
}

#[tokio::test]
async fn the_index_knows_who_is_a_minor_and_to_what_a_guardian_agreed_through_a_restart_as_well() {
    let consents = consents().await;
    let missing = Err(Withheld::Policy(policy::Code::GuardianMissing));
    set_child(&consents, "child", days(10)).await;
    let id = asked(&consents, "child").await;
    for who in [actor(Role::Guardian, Some("mother")), learner()] {
        consents.decide(&id, &event(Decision::Give, who), now()).await.unwrap();
    }
    for subject in ["unknown", "told later", "a child after all"] {
        let id = asked(&consents, subject).await;
        consents
            .decide(&id, &event(Decision::Give, learner()), now())
            .await
            .unwrap();
        assert_eq!(under_a_guarded_policy(&consents, subject, now()), missing, "{subject}");
    }
    set_child(&consents, "told later", now()).await;
    assert_eq!(under_a_guarded_policy(&consents, "told later", now()), Ok(()));
    set_child(&consents, "a child after all", days(10)).await;
    let check = |consents: &Consents| {
        let leaves = |subject, at| under_a_guarded_policy(consents, subject, at);
        assert_eq!(leaves("child", days(1)), Ok(()), "the mother agreed");
        assert_eq!(leaves("told later", days(1)), Ok(()), "of age, as is known now");
        // Nobody agreed with them, so what they gave alone is not valid.
        let invalid = Err(Withheld::Consent(Reason::Withdrawn));
        assert_eq!(leaves("a child after all", days(1)), invalid);
        assert_eq!(
            leaves("a child after all", days(10)),
            invalid,
            "of age, and not asked again"
        );
        assert_eq!(leaves("unknown", days(10)), missing);
    };
    check(&consents);
    let secret = HmacKey::new(&[4; 32]);
    let (log, trust, privacy) = (consents.log.clone(), consents.trust.clone(), consents.privacy.clone());
    drop(consents);
    let consents = Consents::load(log, trust, secret.clone(), Pseudonyms::new(secret), privacy);
    check(&consents.await.unwrap());
}

#[tokio::test]
async fn a_newer_consent_about_the_same_takes_the_place_of_the_older() {
    let consents = consents().await;
    let first = consents.grant(vec![new("anna")], now()).await.unwrap().remove(0);
    let elsewhere = NewConsent {
        recipients: vec!["did:web:edtech.example".parse().unwrap()],
        ..new("anna")
    };
    let other = consents.grant(vec![elsewhere], now()).await.unwrap().remove(0);
    let second = consents.grant(vec![new("anna")], now()).await.unwrap().remove(0);
    let replaced = consents.get(&first.consent.id).await.unwrap();
    assert_eq!(replaced.state, State::Superseded);
    let last = replaced.events.last().unwrap();
    assert_eq!(last.fact.replaced_by.as_ref(), Some(&second.consent.id));
    let mut in_force = consents.index.in_force("anna");
    in_force.sort();
    let mut expected = [other.consent.id, second.consent.id];
    expected.sort();
    assert_eq!(in_force, expected);
}

#[tokio::test]
async fn who_has_said_no_is_left_in_peace() {
    let consents = consents().await;
    let id = asked(&consents, "anna").await;
    let hash = consents.get(&id).await.unwrap().consent.notice;
    let twice = consents.request(request("anna", &hash), None, now()).await;
    assert!(matches!(twice, Err(ConsentError::AlreadyAsked(known)) if known == id));
    consents
        .decide(&id, &event(Decision::Refuse, learner()), now())
        .await
        .unwrap();
    let soon = consents.request(request("anna", &hash), None, days(29)).await;
    assert!(matches!(soon, Err(ConsentError::TooSoon(at)) if at == days(30)));
    let other = NewRequest {
        purposes: vec!["https://w3id.org/dpv#Marketing".into()],
        ..request("anna", &hash)
    };
    assert!(consents.request(other, None, days(1)).await.is_ok(), "another purpose");
    let again = consents.request(request("anna", &hash), None, days(30)).await.unwrap();
    assert_ne!(again.stored.consent.id, id, "a new record");
    assert_eq!(state(&consents, &id).await, State::Refused);
}

#[tokio::test]
async fn what_is_asked_for_needs_a_known_notice_that_still_means_the_same() {
    let consents = consents().await;
    let unknown = format!("sha256:{}", "1".repeat(64));
    let refused = consents.request(request("anna", &unknown), None, now()).await;
    assert!(matches!(refused, Err(ConsentError::UnknownNotice(_))));
    let first = notice(&consents, "1").await;
    let id = asked(&consents, "anna").await;
    consents
        .decide(&id, &event(Decision::Give, learner()), now())
        .await
        .unwrap();
    let open = consents
        .request(request("ben", &first), None, now())
        .await
        .unwrap()
        .stored
        .consent
        .id;
    let newer = |version: &str| NewNotice {
        id: "orientation".into(),
        version: version.into(),
        language: "fr".into(),
        text: format!("version {version}"),
        url: None,
    };
    let marked = consents
        .replace_notice(&first, newer("2"), false, days(1))
        .await
        .unwrap();
    assert_eq!((marked.marked, marked.ended), (1, 0));
    assert!(consents.get(&id).await.unwrap().notice_replaced);
    assert!(
        consents
            .replace_notice(&first, newer("3"), true, days(2))
            .await
            .is_err(),
        "not the newest"
    );
    // The consent is still bound to the first; the second changes its meaning for who came after.
    let second = marked.notice.hash;
    let carl = consents
        .request(request("carl", &second), None, days(2))
        .await
        .unwrap()
        .stored
        .consent
        .id;
    consents
        .decide(&carl, &event(Decision::Give, learner()), days(2))
        .await
        .unwrap();
    let dora = consents
        .request(request("dora", &second), None, days(2))
        .await
        .unwrap()
        .stored
        .consent
        .id;
    let changed = consents
        .replace_notice(&second, newer("3"), true, days(3))
        .await
        .unwrap();
    assert_eq!((changed.ended, changed.requested), (1, 1));
    let ended = consents.get(&carl).await.unwrap();
    let last = &ended.events.last().unwrap().fact;
    assert_eq!((ended.state, last.cause), (State::Expired, Some(Cause::NoticeChanged)));
    assert!(consents.index.in_force("carl").is_empty());
    let anew = consents.list(Some("carl")).await.unwrap();
    let anew = anew.iter().find(|stored| stored.state == State::Requested).unwrap();
    assert_eq!(anew.consent.notice, changed.notice.hash);
    let late = consents.decide(&dora, &event(Decision::Give, learner()), days(3)).await;
    assert!(matches!(late, Err(ConsentError::NoticeReplaced)));
    assert!(
        consents
            .decide(&open, &event(Decision::Give, learner()), days(3))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn an_objection_stands_beside_consents_and_is_acknowledged_like_a_withdrawal() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    let declared = NewBasis {
        basis: LawfulBasis::PublicTask,
        grounds: "Code de l'éducation, art. L331-7".into(),
        recipients: vec!["did:web:ft.example".parse().unwrap()],
        purposes: vec!["https://w3id.org/dpv#ServiceProvision".into()],
        categories: vec!["skills".into()],
        datasets: vec!["records".parse().unwrap()],
        notice: hash,
        until: days(100),
    };
    let special = NewBasis {
        categories: vec!["special-needs".into()],
        ..declared.clone()
    };
    assert!(matches!(
        consents.declare(special, now()).await,
        Err(ConsentError::Basis(_))
    ));
    let basis = consents.declare(declared.clone(), now()).await.unwrap();
    let contract = NewBasis {
        basis: LawfulBasis::Contract,
        ..declared
    };
    let contract = consents.declare(contract, now()).await.unwrap();
    let objection = |basis: &ConsentId| NewObjection {
        subject: "anna".into(),
        basis: basis.clone(),
        actor: learner(),
    };
    let refused = consents.object(&objection(&contract.id), now()).await;
    assert!(matches!(refused, Err(ConsentError::NoObjection)));
    let (kept, told) = consents.object(&objection(&basis.id), now()).await.unwrap();
    assert_eq!(told.epoch, consents.index.epoch());
    assert!(matches!(
        consents.object(&objection(&basis.id), now()).await,
        Err(ConsentError::AlreadyObjected)
    ));
    let receipts = consents.receipts(kept.id.as_str()).await.unwrap();
    let claims = jose::token::verify(&receipts[0], jose::token::Kind::Consent, key(&consents)).unwrap();
    let record = &claims.members()["dases:record"];
    assert_eq!(
        (&record["@type"], &record["dpv:hasLegalBasis"]),
        (&json!("dpv:Process"), &json!("eu-gdpr:A6-1-e"))
    );
    assert!(check_27560(record).is_err(), "an objection does not pass for a consent");
    assert!(consents.list(Some("anna")).await.unwrap().is_empty());
    // To forget it would let go on what was stopped.
    let kept = consents.forget("anna", now()).await;
    assert!(matches!(kept, Err(ConsentError::ObjectionInForce)));
    consents.end_basis(&basis.id, now()).await.unwrap();
    consents.forget("anna", now()).await.unwrap();
    assert!(consents.objections("anna").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_special_category_is_never_agreed_to_by_the_way() {
    let consents = consents().await;
    let special = |explicit| NewConsent {
        categories: vec!["skills".into(), "special-needs".into()],
        explicit,
        ..new("anna")
    };
    assert!(matches!(
        consents.grant(vec![special(false)], now()).await,
        Err(ConsentError::Grant(GrantError::Invalid("explicit", _)))
    ));
    let given = consents.grant(vec![special(true)], now()).await.unwrap().remove(0);
    let record = consents.rendered(&given).await.unwrap();
    assert_eq!(record["dpv:hasConsentType"], "dpv:ExplicitlyExpressedConsent");
    assert_eq!(record["dpv:hasProcess"][0]["dpv:hasLegalBasis"], "eu-gdpr:A9-2-a");
    check_27560(&record).unwrap();
}

#[tokio::test]
async fn huge_terms_are_refused_before_anything_is_recorded() {
    let consents = consents().await;
    let many: Vec<String> = (0..65).map(|n| format!("https://a.example/{n}")).collect();
    let long: Vec<String> = (0..64)
        .map(|n| format!("https://a.example/{n}/{}", "x".repeat(400)))
        .collect();
    for purposes in [many, long] {
        let huge = NewConsent {
            purposes,
            ..new("anna")
        };
        assert!(matches!(
            consents.grant(vec![huge], now()).await,
            Err(ConsentError::Grant(_))
        ));
    }
    // As many recipients as fit into the terms, each of whom a record names four times.
    let recipients = (0..64).map(|n| format!("did:web:{}{n}.example", "x".repeat(100)).parse().unwrap());
    let wide = NewConsent {
        recipients: recipients.collect(),
        ..new("anna")
    };
    let entered = consents.grant(vec![wide], now()).await;
    assert!(matches!(entered, Err(ConsentError::TooLarge)), "{entered:?}");
    assert_eq!(consents.log.count().await.unwrap(), 0);
    assert!(consents.index.in_force("anna").is_empty());
}

#[tokio::test]
async fn the_largest_consent_can_still_be_withdrawn_after_as_many_steps_as_there_may_be() {
    let consents = consents().await;
    let recipients = (0..20).map(|n| format!("did:web:{}{n}.example", "x".repeat(90)).parse().unwrap());
    let wide = NewConsent {
        recipients: recipients.collect(),
        evidence: "e".repeat(1024),
        ..new("anna")
    };
    let id = consents.grant(vec![wide], now()).await.unwrap().remove(0).consent.id;
    let wordy = Actor {
        id: Some("i".repeat(256)),
        method: "m".repeat(128),
        assurance: Some("a".repeat(128)),
        evidence: Some("e".repeat(1024)),
        ..learner()
    };
    let mut steps = 0;
    let full = loop {
        match consents
            .decide(&id, &event(Decision::Reaffirm, wordy.clone()), now())
            .await
        {
            Ok(_) => steps += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, ConsentError::TooManySteps), "{full}");
    assert!(steps > 10);
    consents
        .decide(&id, &event(Decision::Withdraw, wordy), now())
        .await
        .unwrap();
    let receipts = consents.receipts(id.as_str()).await.unwrap();
    let proved = receipt::verify(&receipts, key(&consents)).unwrap();
    assert_eq!((proved.state, proved.receipts), (State::Withdrawn, steps + 2));
}

#[tokio::test]
async fn a_record_has_every_mandatory_field_and_names_the_learner_to_nobody() {
    let consents = consents().await;
    let id = asked(&consents, "anna@lycee.example").await;
    consents
        .decide(&id, &event(Decision::Give, learner()), now())
        .await
        .unwrap();
    let record = consents.rendered(&consents.get(&id).await.unwrap()).await.unwrap();
    check_27560(&record).unwrap();
    let text = record.to_string();
    for secret in ["anna", "session 8", "message 1"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let ft = "did:web:ft.example".parse().unwrap();
    let known = consents.pseudonyms.towards(&ft).name("anna@lycee.example");
    assert_eq!(record["dpv:hasDataSubject"]["dct:identifier"], json!(known));
    assert_eq!(record["dpv:hasNotice"]["dct:hasVersion"], "1");
    assert_eq!(record["dct:language"], "fr");
    // Whatever member is taken away, it is missed by its name.
    for (member, field) in [
        ("dpv:hasNotice", "privacy_notice"),
        ("dpv:hasDataController", "pii_controllers"),
        ("dpv:hasConsentControl", "withdrawal_method"),
        ("dpv:hasRight", "privacy_rights"),
        ("dpv:hasDuration", "validity_duration"),
        ("dpv:hasConsentStatus", "event_time"),
        ("dpv:hasStorageCondition", "retention_period"),
        ("dpv:hasDataSubject", "pii_principal_id"),
    ] {
        let mut lacking = record.clone();
        lacking.as_object_mut().unwrap().remove(member);
        let missing = check_27560(&lacking).unwrap_err();
        assert!(missing.iter().any(|one| one.field == field), "{member}: {missing:?}");
    }
    assert!(check_27560(&json!({})).unwrap_err().len() > 30);
    assert!(check_27560(&Value::Null).is_err());
}

#[tokio::test]
async fn a_chain_of_receipts_that_was_tampered_with_proves_nothing() {
    let consents = consents().await;
    let id = asked(&consents, "anna").await;
    let other = asked(&consents, "ben").await;
    for decision in [Decision::Give, Decision::Reaffirm, Decision::Withdraw] {
        consents.decide(&id, &event(decision, learner()), now()).await.unwrap();
    }
    let chain = consents.receipts(id.as_str()).await.unwrap();
    let foreign = consents.receipts(other.as_str()).await.unwrap();
    let verify = |receipts: &[String]| receipt::verify(receipts, key(&consents));
    assert_eq!(verify(&chain).unwrap().state, State::Withdrawn);
    assert!(
        !verify(&chain[1..]).unwrap().complete,
        "the first is missing, and that is said"
    );
    assert_eq!(verify(&[]), Err(ReceiptError::Empty));
    let [a, b, c, d] = chain.clone().try_into().unwrap();
    for wrong in [
        vec![a.clone(), c.clone()],
        vec![b.clone(), a.clone()],
        vec![a.clone(), a.clone()],
        // An earlier yes, replayed after the withdrawal.
        vec![a.clone(), b.clone(), c.clone(), d.clone(), b.clone()],
        vec![a.clone(), foreign[0].clone()],
        vec![a.clone(), b.replace('.', "")],
    ] {
        assert!(verify(&wrong).is_err());
    }
    let stranger = receipt::verify(&chain, |_| None);
    assert!(matches!(stranger, Err(ReceiptError::Signature(0, _))));
    for at in [10, d.len() / 2, d.len() - 3] {
        let mut bytes = d.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let flipped = String::from_utf8(bytes).unwrap();
        assert!(
            verify(&[a.clone(), b.clone(), c.clone(), flipped]).is_err(),
            "byte {at}"
        );
    }
}

#[tokio::test]
async fn forgetting_takes_receipts_standing_and_objections_with_it() {
    let consents = consents().await;
    set_child(&consents, "anna", days(100)).await;
    let id = asked(&consents, "anna").await;
    consents
        .decide(&id, &event(Decision::Refuse, learner()), now())
        .await
        .unwrap();
    consents.forget("anna", now()).await.unwrap();
    assert!(consents.receipts(id.as_str()).await.unwrap().is_empty());
    assert_eq!(consents.standing("anna").await.unwrap(), law::Standing::default());
    assert!(matches!(consents.get(&id).await, Err(ConsentError::Unknown)));
    let store = consents.log.store();
    let place = consents.salts.place("anna");
    for table in 0..=u8::MAX {
        let left = store.scan(Table(table), &place, None, 10).await.unwrap();
        assert!(left.is_empty(), "table {table}");
    }
}
