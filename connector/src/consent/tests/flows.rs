//! How consents come about and end, through the service over a store in memory.

use super::*;
use crate::{
    consent::{
        law::{Capacity, Power, Scope},
        receipt,
        state::{Act, Illegal, Role, State},
    },
    jose::{self, VerifyingKey},
};
use serde_json::json;

mod asking;
mod beside;
mod groups;
mod later;
mod limited;
mod linked;
mod minors;
mod objected;
mod restricted;
mod sizes;
mod waiting;
mod written;

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
        powers: Some(vec![Power {
            id: "mother".into(),
            capacity: Capacity::ParentalAuthority,
            scope: vec![Scope::Give, Scope::Withdraw],
            from: now(),
            until: days(1000),
            evidence: "register 3".into(),
        }]),
    };
    consents.set_standing(&new, now()).await.unwrap();
}

/// What a stream asks for that uses exactly what [`new`] and [`request`] are about, under a policy that says this of each record.
fn question(consents: &Consents, permits: impl Fn(&policy::RecordFacts) -> Result<(), policy::Code>) -> Question {
    let asked = new("anna");
    let (recipient, dataset) = (&asked.recipients[0], "records".parse().unwrap());
    let agreement = "urn:uuid:agreement".parse().unwrap();
    let question = consents.index.question(
        (recipient, &agreement),
        &asked.purposes,
        &dataset,
        &asked.categories,
        permits,
    );
    question.unwrap()
}

/// Whether skills of this learner leave under a policy that asks for a guardian's consent unless the learner is known to be no minor.
fn under_a_guarded_policy(consents: &Consents, subject: &str, at: Timestamp) -> Result<(), Withheld> {
    let guarded = question(consents, |record| match (record.minor, record.guardian_consent) {
        (Some(false), _) | (_, Some(true)) => Ok(()),
        _ => Err(policy::Code::GuardianMissing),
    });
    let mut reader = Reader::new(consents.index.clone(), guarded);
    reader.begin(at);
    reader.ask(subject).map(drop)
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
async fn a_consent_expires_by_time_and_a_restart_catches_up() {
    let consents = consents().await;
    let short = NewConsent {
        expires: Some(days(1)),
        ..new("anna")
    };
    let id = consents.grant(vec![short], now()).await.unwrap()[0].consent.id.clone();
    let half = now().plus(DAY / 2);
    let reaffirmed = consents
        .decide(&id, &event(Decision::Reaffirm, learner()), half)
        .await
        .unwrap();
    assert_eq!(reaffirmed.stored.ends(), half.plus(DAY));
    let secret = HmacKey::new(&[4; 32]);
    let (log, trust) = (consents.log.clone(), consents.trust.clone());
    let privacy = consents.privacy.clone();
    drop(consents);
    let consents = Consents::load(log, trust, secret.clone(), Pseudonyms::new(secret), privacy)
        .await
        .unwrap();
    assert_eq!(consents.next_end(), Some(half.plus(DAY)));
    assert_eq!(consents.expire(|| days(400)).await.unwrap(), 1);
    assert_eq!(consents.expire(|| days(400)).await.unwrap(), 0);
    assert_eq!(state(&consents, &id).await, State::Expired);
    let proved = receipt::verify(&consents.receipts(id.as_str()).await.unwrap(), key(&consents)).unwrap();
    assert_eq!((proved.state, proved.receipts), (State::Expired, 3));
}

#[tokio::test]
async fn a_yes_said_again_is_for_as_long_as_the_learner_chose_and_the_record_says_until_when() {
    let consents = consents().await;
    let chosen = NewConsent {
        expires: Some(days(4)),
        ..new("anna")
    };
    let new = vec![chosen, new("ben")];
    let given = consents.grant(new, now()).await.unwrap();
    let reaffirm = event(Decision::Reaffirm, learner());
    for (stored, expected) in given.iter().zip([days(7), days(3).plus(consents.privacy.validity)]) {
        let told = consents.decide(&stored.consent.id, &reaffirm, days(3)).await.unwrap();
        assert_eq!(told.stored.ends(), expected);
        let record = consents.rendered(&told.stored).await.unwrap();
        let step = record["dpv:hasConsentStatus"].as_array().unwrap().last().unwrap();
        for said in [
            &record["dpv:hasDuration"][0]["dct:valid"],
            &step["dases:event"]["until"],
        ] {
            assert_eq!(said, &json!(expected), "{record}");
        }
    }
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
    assert!(consents.objections(Some("anna")).await.unwrap().is_empty());
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
