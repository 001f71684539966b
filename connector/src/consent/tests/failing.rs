//! What is closed before its commit, when the commit fails: open again where it is certain that nothing was recorded, closed until the next start
//! where nobody knows.

use super::{
    flows::{actor, notice, state},
    learner::Step,
    *,
};
use crate::{
    consent::state::{Act, Role, State},
    jose::{
        SigningKey,
        key::{External, ExternalError},
    },
};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What stops Anna's records at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// She withdraws.
    Withdrawn,
    /// She turns out to be a child, whose own word was not enough.
    Invalid,
    /// She objects to the basis.
    Objected,
    /// She has everything restricted.
    Restricted,
    /// The holder ends the basis.
    Ended,
}

use Stop::{Ended, Invalid, Objected, Restricted, Withdrawn};

const ALL: [Stop; 5] = [Withdrawn, Invalid, Objected, Restricted, Ended];

/// What Anna's records leave on, and what stops them.
struct Scene {
    consents: Consents,
    basis: Option<ConsentId>,
    stop: Stop,
}

impl Scene {
    /// Anna's records leave, on a consent or on another basis.
    async fn before(stop: Stop, store: Arc<dyn Store>) -> Self {
        let consents = over(store).await;
        let basis = match stop {
            Objected | Ended => Some(declare(&consents).await),
            Withdrawn | Invalid | Restricted => {
                consents.grant(vec![new("anna")], now()).await.unwrap();
                None
            }
        };
        assert!(leaves(&consents, "anna"), "{stop:?}");
        Self { consents, basis, stop }
    }

    async fn stop(&self) -> Result<(), ConsentError> {
        let consents = &self.consents;
        match self.stop {
            Withdrawn => consents.withdraw("anna", None, now()).await.map(drop),
            Invalid => consents.set_standing(&child("anna"), now()).await.map(drop),
            Objected => {
                let basis = self.basis.clone().unwrap();
                consents.object(&objection("anna", basis), now()).await.map(drop)
            }
            Restricted => restrict(consents, Role::Learner).await.map(drop),
            Ended => {
                let basis = self.basis.as_ref().unwrap();
                consents.end_basis(basis, now()).await.map(drop)
            }
        }
    }
}

async fn declare(consents: &Consents) -> ConsentId {
    let asked = new("anna");
    let basis = NewBasis {
        basis: LawfulBasis::PublicTask,
        grounds: "Code de l'éducation, art. L331-7".into(),
        recipients: asked.recipients,
        purposes: asked.purposes,
        categories: asked.categories,
        datasets: vec!["records".parse().unwrap()],
        notice: notice(consents, "1").await,
        until: now().plus(Duration::from_secs(3600)),
    };
    consents.declare(basis, now()).await.unwrap().id
}

/// No guardian has signed for this child.
fn child(subject: &str) -> NewStanding {
    NewStanding {
        subject: subject.into(),
        born_on: None,
        sole_consent_from: Some(now().plus(Duration::from_secs(3600))),
        country: None,
        powers: Some(Vec::new()),
    }
}

fn objection(subject: &str, basis: ConsentId) -> NewObjection {
    NewObjection {
        subject: subject.into(),
        basis,
        actor: actor(Role::Learner, None),
    }
}

async fn restrict(consents: &Consents, role: Role) -> Result<ConsentId, ConsentError> {
    let new = NewRestriction {
        subject: "anna".into(),
        recipient: None,
        actor: actor(role, None),
    };
    let (restriction, _) = consents.restrict(&new, now()).await?;
    Ok(restriction.id)
}

/// Whether a stream would let the learner's records out.
fn leaves(consents: &Consents, subject: &str) -> bool {
    let asked = new(subject);
    let dataset = "records".parse().unwrap();
    let (recipient, purposes) = (&asked.recipients[0], &asked.purposes);
    let agreement = "urn:uuid:agreement".parse().unwrap();
    let question = consents
        .index
        .question((recipient, &agreement), purposes, &dataset, &asked.categories, |_| {
            Ok(())
        });
    let mut reader = Reader::new(consents.index.clone(), question.unwrap());
    reader.begin(now());
    reader.ask(subject).is_ok()
}

/// Failures after which it is certain that nothing was recorded, each for as many commits as are tried.
fn certain() -> [Vec<StoreError>; 3] {
    let too_large = StoreError::TooLarge {
        what: "value",
        size: 2,
        limit: 1,
    };
    [
        vec![StoreError::Conflict { guard: 0 }; ATTEMPTS],
        vec![too_large],
        vec![StoreError::Corrupt("a row".into())],
    ]
}

fn too_large() -> Vec<StoreError> {
    let [_, too_large, _] = certain();
    too_large
}

/// A stop that failed, and whether Anna's records leave after it.
async fn failed_with(stop: Stop, failures: Vec<StoreError>) -> (Scene, Arc<HeldStore>, bool) {
    let store = Arc::new(HeldStore::default());
    let scene = Scene::before(stop, store.clone()).await;
    store.fail(failures.clone());
    let stopped = scene.stop().await;
    assert!(
        matches!(&stopped, Err(ConsentError::Store(error)) if *error == failures[0]),
        "{stop:?} {stopped:?}"
    );
    store.fail([]);
    let leaves = leaves(&scene.consents, "anna");
    (scene, store, leaves)
}

#[tokio::test]
async fn what_certainly_was_not_recorded_stops_nothing_and_can_be_said_again() {
    for stop in ALL {
        for failures in certain() {
            let (scene, store, leaves_again) = failed_with(stop, failures).await;
            assert!(leaves_again, "{stop:?}");
            assert!(leaves(&over(store.clone()).await, "anna"), "{stop:?} after a restart");
            scene.stop().await.unwrap();
            assert!(!leaves(&scene.consents, "anna"), "{stop:?} once it is recorded");
            assert!(!leaves(&over(store).await, "anna"), "{stop:?} then after a restart");
        }
    }
}

#[tokio::test]
async fn what_nobody_knows_to_be_recorded_or_not_stays_stopped_until_the_next_start() {
    for stop in ALL {
        for failure in [StoreError::Failed("no space left".into()), StoreError::Closed] {
            let (_, store, leaves_again) = failed_with(stop, vec![failure]).await;
            assert!(!leaves_again, "{stop:?}");
            assert!(leaves(&over(store).await, "anna"), "{stop:?}: it was not");
        }
    }
}

#[tokio::test]
async fn a_conflict_that_passes_is_seen_by_nobody() {
    for stop in [Withdrawn, Invalid, Objected, Restricted] {
        let store = Arc::new(HeldStore::default());
        let scene = Scene::before(stop, store.clone()).await;
        store.fail(vec![StoreError::Conflict { guard: 0 }; ATTEMPTS - 1]);
        scene.stop().await.unwrap();
        assert!(!leaves(&scene.consents, "anna"), "{stop:?}");
    }
}

/// Signs nothing any more.
struct Silent;

impl External for Silent {
    fn sign(&self, _: &[u8]) -> Result<[u8; 64], ExternalError> {
        Err(ExternalError::TimedOut)
    }
}

fn sign_with(consents: &Consents, key: SigningKey) {
    let did = consents.holder();
    let key = OwnKey::signing(&format!("{did}#k7"), KeyState::Active, key).unwrap();
    consents
        .trust
        .keys()
        .replace(Keyring::new(did, vec![key]).unwrap(), None);
}

#[tokio::test]
async fn what_could_not_be_signed_stops_nothing_and_can_be_said_again() {
    for stop in [Withdrawn, Invalid, Objected, Restricted] {
        let scene = Scene::before(stop, Arc::new(MemoryStore::new())).await;
        sign_with(&scene.consents, SigningKey::external(testing::rfc8037_public(), Silent));
        let unsigned = scene.stop().await;
        assert!(
            matches!(unsigned, Err(ConsentError::Signing(_))),
            "{stop:?} {unsigned:?}"
        );
        assert!(leaves(&scene.consents, "anna"), "{stop:?}");
        sign_with(&scene.consents, testing::rfc8037_private());
        scene.stop().await.unwrap();
        assert!(!leaves(&scene.consents, "anna"), "{stop:?} once it is recorded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_a_failed_withdrawal_counts_and_the_consent_goes_on_under_it() {
    let store = Arc::new(HeldStore::default());
    let consents = Arc::new(over(store.clone()).await);
    let given = consents.grant(vec![new("anna")], now()).await.unwrap().remove(0);
    store.fail(too_large());
    let (came, go) = store.hold_before();
    let one = consents.clone();
    let withdrawing = tokio::spawn(async move { one.withdraw("anna", None, now()).await });
    came.await.unwrap();
    assert!(!leaves(&consents, "anna"), "closed while it is tried");
    let other = consents.clone();
    let restricting = tokio::spawn(async move { restrict(&other, Role::Learner).await });
    // Whoever does not wait for the withdrawal is through by now.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!restricting.is_finished(), "it waits for its turn");
    go.send(()).unwrap();
    withdrawing.await.unwrap().unwrap_err();
    let restriction = restricting.await.unwrap().unwrap();
    assert!(!leaves(&consents, "anna"), "it is restricted");
    assert_eq!(consents.index.in_force("anna"), std::slice::from_ref(&given.consent.id));
    let lift = NewLift {
        actor: actor(Role::Learner, None),
    };
    consents.lift(&restriction, &lift, now()).await.unwrap();
    assert!(leaves(&consents, "anna"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_that_waited_for_a_failed_restriction_has_the_last_word() {
    let store = Arc::new(HeldStore::default());
    let consents = Arc::new(over(store.clone()).await);
    consents.grant(vec![new("anna")], now()).await.unwrap();
    store.fail(too_large());
    let (came, go) = store.hold_before();
    let one = consents.clone();
    let restricting = tokio::spawn(async move { restrict(&one, Role::Learner).await });
    came.await.unwrap();
    let other = consents.clone();
    let withdrawing = tokio::spawn(async move { other.withdraw("anna", None, now()).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    go.send(()).unwrap();
    restricting.await.unwrap().unwrap_err();
    withdrawing.await.unwrap().unwrap();
    assert!(!leaves(&consents, "anna"));
    // Nothing is left of the restriction: what is given later is not held back.
    consents.grant(vec![new("anna")], now()).await.unwrap();
    assert!(leaves(&consents, "anna"));
}

#[tokio::test]
async fn only_what_a_failed_withdrawal_closed_is_opened_again() {
    let store = Arc::new(HeldStore::default());
    let consents = over(store.clone()).await;
    let elsewhere = NewConsent {
        recipients: vec!["did:web:edtech.example".parse().unwrap()],
        ..new("anna")
    };
    let all = consents.grant(vec![new("anna"), elsewhere], now()).await.unwrap();
    let edtech = &all[1].consent;
    consents
        .withdraw("anna", Some(&edtech.recipients[0]), now())
        .await
        .unwrap();
    store.fail(too_large());
    consents.withdraw("anna", None, now()).await.unwrap_err();
    assert_eq!(
        consents.index.in_force("anna"),
        std::slice::from_ref(&all[0].consent.id)
    );
    assert_eq!(state(&consents, &all[0].consent.id).await, State::Given);
    assert_eq!(state(&consents, &edtech.id).await, State::Withdrawn);
}

#[tokio::test]
async fn a_restriction_that_stands_goes_on_when_another_could_not_be_recorded() {
    let store = Arc::new(HeldStore::default());
    let consents = over(store.clone()).await;
    consents.grant(vec![new("anna")], now()).await.unwrap();
    restrict(&consents, Role::Holder).await.unwrap();
    store.fail(too_large());
    restrict(&consents, Role::Learner).await.unwrap_err();
    assert!(!leaves(&consents, "anna"));
    assert_eq!(consents.restrictions(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_only_an_attempt_before_the_last_closed_is_opened_again() {
    let store = Arc::new(HeldStore::default());
    let consents = over(store.clone()).await;
    consents.grant(vec![new("anna")], now()).await.unwrap();
    store.fail([StoreError::Conflict { guard: 0 }]);
    let attempts = AtomicUsize::new(0);
    let (_, changed) = consents
        .change(&["anna"], None, now(), |learners| {
            if attempts.fetch_add(1, Ordering::Relaxed) == 0 {
                let step = Step::new(Act::Withdraw, actor(Role::Learner, None), now(), now());
                learners[0].step(0, step)?;
            }
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!((changed.len(), attempts.into_inner()), (0, 2));
    assert!(leaves(&consents, "anna"));
}

/// Whether whoever records ends was woken since the last time.
async fn ends_changed(consents: &Consents) -> bool {
    tokio::time::timeout(Duration::from_millis(50), consents.ends_changed())
        .await
        .is_ok()
}

#[tokio::test]
async fn an_end_that_could_not_be_recorded_permits_nothing_wakes_nobody_and_is_recorded_later() {
    let store = Arc::new(HeldStore::default());
    let consents = over(store.clone()).await;
    let end = now().plus(Duration::from_secs(60));
    let short = NewConsent {
        expires: Some(end),
        ..new("anna")
    };
    let id = consents.grant(vec![short], now()).await.unwrap().remove(0).consent.id;
    assert!(ends_changed(&consents).await, "a consent was given");
    store.fail(too_large());
    consents.withdraw("anna", None, now()).await.unwrap_err();
    assert!(ends_changed(&consents).await, "it is open again, and ends");
    store.fail(too_large());
    consents.expire(|| end).await.unwrap_err();
    // Or it would be tried again at once, for ever.
    assert!(!ends_changed(&consents).await);
    assert_eq!(consents.next_end(), Some(Timestamp::MIN), "it is tried again");
    assert_eq!(state(&consents, &id).await, State::Given);
    assert_eq!(consents.expire(|| end).await.unwrap(), 1);
    assert_eq!(state(&consents, &id).await, State::Expired);
    assert!(consents.index.in_force("anna").is_empty());
}
