//! Consents for a number of transfers: counted on disk, once for each transfer, through a restart as well.

use super::*;
use crate::{catalog::CategorySet, dsp::Pid};

fn transfer(number: u32) -> Pid {
    format!("urn:uuid:00000000-0000-4000-8000-{number:012}")
        .parse()
        .unwrap()
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
    let asked = new(subject);
    let dataset = "records".parse().unwrap();
    let question = consents.index.question(
        &asked.recipients[0],
        &asked.purposes,
        &dataset,
        &asked.categories,
        |_| Ok(()),
    );
    let mut reader = Reader::new(consents.index.clone(), question.unwrap()).of(&transfer(number));
    reader.begin(now());
    (reader.ask(subject), reader.uses())
}

/// The same, with its uses counted; whether it left.
async fn leaves(consents: &Consents, subject: &str, number: u32) -> bool {
    let (answer, uses) = chunk(consents, subject, number);
    let epoch = consents.index.epoch();
    consents.occurrences.count(&uses, &transfer(number)).await.unwrap();
    answer.is_ok() && consents.index.epoch() == epoch
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

#[tokio::test]
async fn of_two_transfers_for_the_last_place_one_leaves_and_the_other_is_decided_again() {
    let consents = consents().await;
    let id = given(&consents, "anna", 1).await;
    let decided = [1, 2].map(|number| chunk(&consents, "anna", number));
    assert!(decided.iter().all(|(answer, uses)| answer.is_ok() && uses.len() == 1));
    let epoch = consents.index.epoch();
    let (one, two) = (transfer(1), transfer(2));
    let (first, second) = tokio::join!(
        consents.occurrences.count(&decided[0].1, &one),
        consents.occurrences.count(&decided[1].1, &two)
    );
    first.unwrap();
    second.unwrap();
    assert!(consents.index.epoch() > epoch, "neither chunk leaves as it was decided");
    let left = [1, 2].map(|number| chunk(&consents, "anna", number).0);
    assert_eq!(left.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(left.contains(&USED_UP));
    assert_eq!(consents.occurrences.counted(&id).await.unwrap(), 1);
}

#[tokio::test]
async fn a_used_up_consent_keeps_other_bases_away_and_may_be_asked_for_again() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    let asking = |most| NewRequest {
        max_count: most,
        ..request("anna", &hash)
    };
    let first = consents.request(asking(Some(1)), None, now()).await.unwrap();
    let id = first.stored.consent.id;
    consents
        .decide(&id, &event(Decision::Give, learner()), now())
        .await
        .unwrap();
    let again = consents.request(asking(Some(1)), None, now()).await;
    assert!(matches!(again, Err(ConsentError::AlreadyGiven(_))));
    let wider = consents.request(asking(Some(2)), None, now()).await;
    assert!(wider.is_ok(), "more than was given");
    let wider = wider.unwrap().stored.consent.id;
    consents
        .decide(&wider, &event(Decision::Refuse, learner()), now())
        .await
        .unwrap();
    assert_eq!(chunk(&consents, "anna", 1).1, std::slice::from_ref(&id));
    assert!(leaves(&consents, "anna", 1).await);
    assert!(!leaves(&consents, "anna", 2).await);
    // The refusal of more was this moment; nobody asks about the same again before its pause is over.
    let later = now().plus(consents.privacy.request_pause);
    assert!(
        consents.request(asking(Some(1)), None, later).await.is_ok(),
        "it is used up"
    );
}

#[tokio::test]
async fn what_was_counted_is_forgotten_with_the_learner() {
    let consents = consents().await;
    let id = given(&consents, "anna", 3).await;
    assert!(leaves(&consents, "anna", 1).await);
    consents.withdraw("anna", None, now()).await.unwrap();
    consents.forget("anna", now()).await.unwrap();
    assert_eq!(consents.occurrences.counted(&id).await.unwrap(), 0);
    let uses = [id.clone()];
    consents.occurrences.count(&uses, &transfer(2)).await.unwrap();
    assert_eq!(
        consents.occurrences.counted(&id).await.unwrap(),
        0,
        "not counted after it"
    );
}

#[tokio::test]
async fn a_number_of_transfers_is_from_one_to_a_thousand() {
    let consents = consents().await;
    for wrong in [0, 1001, u64::MAX] {
        assert!(matches!(
            consents.grant(vec![limited("anna", wrong)], now()).await,
            Err(ConsentError::Grant(GrantError::Invalid("maxCount", _)))
        ));
    }
    for right in [1, 1000] {
        assert!(consents.grant(vec![limited("anna", right)], now()).await.is_ok());
    }
}
