//! Restrictions (GDPR art. 18): nothing of the learner leaves while one stands, no consent changes, and both steps are proved.

use super::*;
use crate::consent::receipt::{
    KeyFault, ReceiptError,
    restriction::{self, Proved},
};

fn restriction(subject: &str, actor: Actor) -> NewRestriction {
    NewRestriction {
        subject: subject.into(),
        recipient: None,
        actor,
    }
}

fn lift(actor: Actor) -> NewLift {
    NewLift { actor }
}

/// What a stream is told of the learner's records.
fn leaves(consents: &Consents, subject: &str) -> Result<(), Withheld> {
    let mut reader = Reader::new(consents.index.clone(), question(consents, |_| Ok(())));
    reader.begin(now());
    reader.ask(subject).map(drop)
}

const RESTRICTED: Result<(), Withheld> = Err(Withheld::Consent(Reason::Restricted));

/// The holder's keys, at any time.
pub(super) fn dated(consents: &Consents) -> impl Fn(&str, Timestamp) -> Result<VerifyingKey, KeyFault> {
    let keys = key(consents);
    move |kid, _| keys(kid).ok_or(KeyFault::Unknown)
}

async fn proved(consents: &Consents, id: &ConsentId) -> Proved {
    let receipts = consents.receipts(id.as_str()).await.unwrap();
    restriction::verify(&receipts, dated(consents)).unwrap().unwrap()
}

#[tokio::test]
async fn a_restriction_stops_everything_through_a_restart_and_changes_no_consent() {
    let store = Arc::new(MemoryStore::new());
    let consents = over(store.clone()).await;
    let given = consents.grant(vec![new("anna")], now()).await.unwrap().remove(0);
    assert_eq!(leaves(&consents, "anna"), Ok(()));
    let asked = restriction("anna", learner());
    let (set, told) = consents.restrict(&asked, now()).await.unwrap();
    assert_eq!((told.epoch, told.consents.len()), (consents.index.epoch(), 0));
    assert_eq!(leaves(&consents, "anna"), RESTRICTED);
    let again = consents.restrict(&asked, now()).await;
    assert!(matches!(again, Err(ConsentError::AlreadyRestricted(known)) if known == set.id));
    let after = consents.get(&given.consent.id).await.unwrap();
    assert_eq!((after.state, after.receipts), (State::Given, given.receipts));

    let consents = over(store.clone()).await;
    assert_eq!(leaves(&consents, "anna"), RESTRICTED, "after a restart");
    // A consent that is given meanwhile counts later.
    consents.grant(vec![new("anna")], now()).await.unwrap();
    assert_eq!(leaves(&consents, "anna"), RESTRICTED);
    let lifted = consents.lift(&set.id, &lift(learner()), days(1)).await.unwrap();
    assert_eq!(lifted.lifted.unwrap().at, days(1));
    assert_eq!(leaves(&consents, "anna"), Ok(()));
    let again = consents.lift(&set.id, &lift(learner()), days(1)).await;
    assert!(matches!(again, Err(ConsentError::AlreadyLifted(at)) if at == days(1)));
    assert_eq!(leaves(&over(store).await, "anna"), Ok(()), "after another restart");
    consents.restrict(&asked, days(2)).await.unwrap();
    assert_eq!(leaves(&consents, "anna"), RESTRICTED, "it may be asked for again");
}

#[tokio::test]
async fn each_side_has_its_own_restriction_and_lifts_no_other() {
    let consents = consents().await;
    consents.grant(vec![new("anna")], now()).await.unwrap();
    let holder = || actor(Role::Holder, None);
    let (theirs, _) = consents.restrict(&restriction("anna", learner()), now()).await.unwrap();
    let (ours, _) = consents.restrict(&restriction("anna", holder()), now()).await.unwrap();
    let consumer = restriction("anna", actor(Role::Consumer, None));
    let stranger = consents.restrict(&consumer, now()).await;
    assert!(matches!(
        stranger,
        Err(ConsentError::NotTheirRestriction(Role::Consumer))
    ));
    let guardian = actor(Role::Guardian, Some("mother"));
    let powerless = consents.restrict(&restriction("ben", guardian), now()).await;
    assert!(matches!(powerless, Err(ConsentError::NoPower(_))), "{powerless:?}");
    let nameless = consents.restrict(&restriction(" ", learner()), now()).await;
    assert!(matches!(nameless, Err(ConsentError::Restriction(_))));

    let refused = consents.lift(&ours.id, &lift(learner()), now()).await;
    assert!(matches!(refused, Err(ConsentError::NotTheirRestriction(Role::Learner))));
    let silent = Actor {
        evidence: None,
        ..holder()
    };
    let untold = consents.lift(&theirs.id, &lift(silent.clone()), now()).await;
    assert!(matches!(untold, Err(ConsentError::LiftUntold)));
    consents.lift(&theirs.id, &lift(holder()), now()).await.unwrap();
    assert_eq!(leaves(&consents, "anna"), RESTRICTED, "the holder's own stands");
    consents.lift(&ours.id, &lift(silent), now()).await.unwrap();
    assert_eq!(leaves(&consents, "anna"), Ok(()));
    let unknown = consents
        .lift(
            &ConsentId::from_uuid(jose::uuid(now()).unwrap()),
            &lift(holder()),
            now(),
        )
        .await;
    assert!(matches!(unknown, Err(ConsentError::UnknownRestriction)));
}

#[tokio::test]
async fn a_restricted_learner_is_not_forgotten_and_with_a_lifted_one_everything_goes() {
    let consents = consents().await;
    let (set, _) = consents.restrict(&restriction("anna", learner()), now()).await.unwrap();
    let kept = consents.forget("anna", now()).await;
    assert!(matches!(kept, Err(ConsentError::RestrictionInForce)), "{kept:?}");
    consents.lift(&set.id, &lift(learner()), now()).await.unwrap();
    assert_eq!(consents.restrictions(Some("anna")).await.unwrap().len(), 1);
    consents.forget("anna", now()).await.unwrap();
    assert!(consents.restrictions(None).await.unwrap().is_empty());
    assert!(consents.receipts(set.id.as_str()).await.unwrap().is_empty());
}

#[tokio::test]
async fn its_receipts_prove_when_it_stood_and_pass_for_no_consent() {
    let consents = consents().await;
    let towards = NewRestriction {
        recipient: Some("did:web:ft.example".parse().unwrap()),
        ..restriction("anna", learner())
    };
    let (set, _) = consents.restrict(&towards, now()).await.unwrap();
    let first = proved(&consents, &set.id).await;
    assert_eq!((first.receipts, first.complete, &first.lifted), (1, true, &None));
    assert_eq!(first.recipient.as_deref(), Some("did:web:ft.example"));
    let hidden = first.set.evidence.is_some_and(|hash| !hash.contains("session"));
    assert!(hidden, "evidence is there as a hash");
    consents.lift(&set.id, &lift(learner()), days(1)).await.unwrap();
    let both = proved(&consents, &set.id).await;
    assert_eq!((both.receipts, both.lifted.map(|step| step.time)), (2, Some(days(1))));
    assert_eq!((both.set.time, both.set.role), (now(), Role::Learner));

    let receipts = consents.receipts(set.id.as_str()).await.unwrap();
    let verify = |receipts: &[String]| restriction::verify(receipts, dated(&consents));
    let later = verify(&receipts[1..]).unwrap().unwrap();
    assert!(!later.complete && later.lifted.is_some());
    let reversed: Vec<String> = receipts.iter().rev().cloned().collect();
    assert!(matches!(verify(&reversed), Err(ReceiptError::Wrong(1, _))));
    let twice = [receipts[0].clone(), receipts[0].clone()];
    assert!(matches!(verify(&twice), Err(ReceiptError::Wrong(1, _))));
    let (other, _) = consents.restrict(&restriction("ben", learner()), now()).await.unwrap();
    consents.lift(&other.id, &lift(learner()), days(1)).await.unwrap();
    let other = consents.receipts(other.id.as_str()).await.unwrap();
    assert!(matches!(
        verify(&[receipts[0].clone(), other[1].clone()]),
        Err(ReceiptError::Wrong(1, _))
    ));
    let stranger = restriction::verify(&receipts, |_, _| Err(KeyFault::Unknown));
    assert!(matches!(stranger, Err(ReceiptError::Signature(0, _))));
    assert!(receipt::verify(&receipts, key(&consents)).is_err(), "it is no consent");
    let consent = consents.grant(vec![new("anna")], now()).await.unwrap().remove(0);
    let theirs = consents.receipts(consent.consent.id.as_str()).await.unwrap();
    assert_eq!(verify(&theirs), Ok(None));
}

#[tokio::test]
async fn both_steps_stand_in_the_log_under_the_learners_name() {
    let consents = consents().await;
    let (set, _) = consents.restrict(&restriction("anna", learner()), now()).await.unwrap();
    consents.lift(&set.id, &lift(learner()), now()).await.unwrap();
    let entries = consents.log.entries(0, 10).await.unwrap();
    let kinds: Vec<&str> = entries.iter().filter_map(|(_, entry)| entry["kind"].as_str()).collect();
    assert_eq!(kinds, ["processing-restricted", "restriction-lifted"]);
    let anna = consents.audit_name("anna").await.unwrap().unwrap().to_string();
    assert_eq!(subjects(&consents).await, [anna.clone(), anna]);
}
