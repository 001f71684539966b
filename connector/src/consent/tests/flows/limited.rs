//! Consents for a number of transfers: counted on disk, once for each use, through a restart as well.

use super::*;
use crate::{
    catalog::CategorySet,
    consent::{Basis, BasisRule, Covered, Occurrence},
    store::HeldStore,
};
use tokio::{sync::oneshot::Sender, task::JoinHandle};

fn occurrence(number: u32) -> Occurrence {
    let transfer = format!("urn:uuid:00000000-0000-4000-8000-{number:012}");
    Occurrence::new(&transfer.parse().unwrap(), 1)
}

fn limited(subject: &str, most: u64) -> NewConsent {
    NewConsent {
        max_count: Some(most),
        ..new(subject)
    }
}

async fn given(consents: &Consents, subject: &str, most: u64) -> ConsentId {
    let given = consents.grant(vec![limited(subject, most)], now()).await.unwrap();
    given[0].consent.id.clone()
}

/// What one chunk of this transfer may carry of the learner, and the uses that are to be counted before it leaves.
fn chunk(consents: &Consents, subject: &str, number: u32) -> (Result<CategorySet, Withheld>, Vec<ConsentId>) {
    let question = question(consents, |_| Ok(()));
    let mut reader = Reader::new(consents.index.clone(), question).of(occurrence(number));
    reader.begin(now());
    (reader.ask(subject), reader.uses())
}

/// The same, with its uses counted; whether it left.
async fn leaves(consents: &Consents, subject: &str, number: u32) -> bool {
    let (answer, uses) = chunk(consents, subject, number);
    answer.is_ok() && consents.occurrences.count(&uses, occurrence(number)).await.unwrap()
}

const USED_UP: Result<CategorySet, Withheld> = Err(Withheld::Consent(Reason::UsedUp));

#[tokio::test]
async fn a_consent_for_two_transfers_permits_two_to_their_end_and_no_third_through_a_restart_as_well() {
    let consents = consents().await;
    let id = given(&consents, "anna", 2).await;
    let record = consents.rendered(&consents.get(&id).await.unwrap()).await.unwrap();
    check_27560(&record).unwrap();
    assert_eq!(
        record["dpv:hasDuration"][1],
        json!({"@type": "dpv:FixedOccurrencesDuration", "dases:maxCount": 2})
    );
    assert_eq!(chunk(&consents, "anna", 1).1, std::slice::from_ref(&id));
    assert!(leaves(&consents, "anna", 1).await);
    assert!(chunk(&consents, "anna", 1).1.is_empty(), "it is counted");
    assert!(leaves(&consents, "anna", 1).await && leaves(&consents, "anna", 2).await);
    assert_eq!(chunk(&consents, "anna", 3), (USED_UP, Vec::new()));
    assert_eq!(consents.occurrences.counted(&id).await.unwrap(), 2);

    let (log, trust, privacy) = (consents.log.clone(), consents.trust.clone(), consents.privacy.clone());
    drop(consents);
    let secret = HmacKey::new(&[4; 32]);
    let consents = Consents::load(log, trust, secret.clone(), Pseudonyms::new(secret), privacy)
        .await
        .unwrap();
    assert!(leaves(&consents, "anna", 1).await && leaves(&consents, "anna", 2).await);
    assert_eq!(chunk(&consents, "anna", 3), (USED_UP, Vec::new()));
    // Another consent is counted from its beginning.
    given(&consents, "anna", 1).await;
    assert!(leaves(&consents, "anna", 3).await);
    assert_eq!(chunk(&consents, "anna", 1), (USED_UP, Vec::new()));
}

/// A count that is about to be committed when something else happens: what says that it has come to that, and what lets it go on.
async fn counting(consents: &Arc<Consents>, store: &HeldStore, uses: Vec<ConsentId>) -> (JoinHandle<bool>, Sender<()>) {
    let (came, go) = store.hold_before();
    let consents = consents.clone();
    let count = async move { consents.occurrences.count(&uses, occurrence(1)).await.unwrap() };
    let counting = tokio::spawn(count);
    came.await.unwrap();
    (counting, go)
}

#[tokio::test]
async fn of_two_transfers_for_the_last_place_the_slower_one_does_not_stand() {
    let store = Arc::new(HeldStore::default());
    let consents = Arc::new(over(store.clone()).await);
    let id = given(&consents, "anna", 1).await;
    let [slower, quicker] = [1, 2].map(|number| chunk(&consents, "anna", number));
    assert!(slower.0.is_ok() && quicker.0.is_ok());
    let (slower, go) = counting(&consents, &store, slower.1).await;
    assert!(consents.occurrences.count(&quicker.1, occurrence(2)).await.unwrap());
    go.send(()).unwrap();
    assert!(!slower.await.unwrap());
    assert_eq!(chunk(&consents, "anna", 1).0, USED_UP);
    assert!(chunk(&consents, "anna", 2).0.is_ok(), "who has the place goes on");
    assert_eq!(consents.occurrences.counted(&id).await.unwrap(), 1);
}

#[tokio::test]
async fn nothing_is_counted_of_a_learner_who_is_forgotten_meanwhile() {
    let store = Arc::new(HeldStore::default());
    let consents = Arc::new(over(store.clone()).await);
    let id = given(&consents, "anna", 1).await;
    let (answer, uses) = chunk(&consents, "anna", 1);
    assert!(answer.is_ok());
    let (late, go) = counting(&consents, &store, uses).await;
    consents.withdraw("anna", None, now()).await.unwrap();
    consents.forget("anna", now()).await.unwrap();
    go.send(()).unwrap();
    assert!(!late.await.unwrap());
    assert_eq!(consents.occurrences.counted(&id).await.unwrap(), 0);
}

#[tokio::test]
async fn a_used_up_consent_keeps_other_bases_away() {
    let consents = consents().await;
    given(&consents, "anna", 1).await;
    let asked = new("anna");
    let rule = BasisRule {
        id: "task",
        basis: Basis::PublicTask,
        covered: Covered {
            recipients: &asked.recipients,
            purposes: &asked.purposes,
            datasets: &[],
            categories: &asked.categories,
            agreement: None,
        },
        from: Timestamp::MIN,
        until: Timestamp::MAX,
        may_object: true,
    };
    consents.index.open_basis(&rule).unwrap();
    assert!(chunk(&consents, "ben", 1).0.is_ok(), "the basis alone");
    assert!(leaves(&consents, "anna", 1).await);
    assert_eq!(chunk(&consents, "anna", 2), (USED_UP, Vec::new()));
}

#[tokio::test]
async fn the_same_is_asked_for_again_once_it_is_used_up_and_not_before() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    let asking = |most| NewRequest {
        max_count: Some(most),
        ..request("anna", &hash)
    };
    let first = consents.request(asking(2), None, now()).await.unwrap();
    let id = first.stored.consent.id;
    let give = event(Decision::Give, learner());
    consents.decide(&id, &give, now()).await.unwrap();
    for less in [1, 2] {
        let again = consents.request(asking(less), None, now()).await;
        assert!(matches!(again, Err(ConsentError::AlreadyGiven(_))), "{less}");
    }
    assert!(leaves(&consents, "anna", 1).await && leaves(&consents, "anna", 2).await);
    assert!(consents.request(asking(2), None, now()).await.is_ok());
}

#[tokio::test]
async fn what_was_counted_is_forgotten_with_the_learner() {
    let consents = consents().await;
    let id = given(&consents, "anna", 3).await;
    assert!(leaves(&consents, "anna", 1).await);
    consents.withdraw("anna", None, now()).await.unwrap();
    consents.forget("anna", now()).await.unwrap();
    assert_eq!(consents.occurrences.counted(&id).await.unwrap(), 0);
}

#[tokio::test]
async fn a_number_of_transfers_is_for_one_recipient_and_from_one_to_as_many_as_days_in_a_year() {
    let consents = consents().await;
    let refused = async |new| {
        let granted = consents.grant(vec![new], now()).await;
        matches!(granted, Err(ConsentError::Grant(GrantError::Invalid("maxCount", _))))
    };
    for wrong in [0, 367, u64::MAX] {
        assert!(refused(limited("anna", wrong)).await, "{wrong}");
    }
    let mut two = limited("anna", 3);
    two.recipients.push("did:web:lab.example".parse().unwrap());
    assert!(refused(two).await);
    for right in [1, 366] {
        assert!(consents.grant(vec![limited("anna", right)], now()).await.is_ok());
    }
}
