//! Consents for numbers about groups alone: counted where groups are made, and no reason to let a record out.

use super::*;
use crate::{catalog::CategorySet, consent::Form};
use policy::release::GroupSize;

fn for_groups(subject: &str) -> NewConsent {
    NewConsent {
        aggregate_only: true,
        ..new(subject)
    }
}

/// What may be used of the learner in this form.
pub(super) fn ask(consents: &Consents, subject: &str, form: Form) -> Result<CategorySet, Withheld> {
    let mut question = question(consents, |_| Ok(()));
    question.form = form;
    let mut reader = Reader::new(consents.index.clone(), question);
    reader.begin(now());
    reader.ask(subject)
}

const IN_GROUPS: Form = Form::Groups(GroupSize::DEFAULT);
const FOR_GROUPS_ALONE: Result<CategorySet, Withheld> = Err(Withheld::Consent(Reason::Aggregate));

#[tokio::test]
async fn a_consent_for_groups_is_counted_and_lets_no_record_out_through_a_restart_as_well() {
    let consents = consents().await;
    consents.grant(vec![for_groups("anna")], now()).await.unwrap();
    assert_eq!(Reason::Aggregate.code().as_str(), "CNS-12");
    assert_eq!(ask(&consents, "anna", Form::Records), FOR_GROUPS_ALONE);
    assert!(ask(&consents, "anna", IN_GROUPS).is_ok());

    let (log, trust, privacy) = (consents.log.clone(), consents.trust.clone(), consents.privacy.clone());
    drop(consents);
    let secret = HmacKey::new(&[4; 32]);
    let consents = Consents::load(log, trust, secret.clone(), Pseudonyms::new(secret), privacy)
        .await
        .unwrap();
    assert_eq!(ask(&consents, "anna", Form::Records), FOR_GROUPS_ALONE);
    assert!(ask(&consents, "anna", IN_GROUPS).is_ok());
    consents.withdraw("anna", None, now()).await.unwrap();
    assert!(ask(&consents, "anna", IN_GROUPS).is_err());
}

#[tokio::test]
async fn a_record_says_that_it_is_for_groups_and_others_are_as_they_were() {
    let consents = consents().await;
    let given = consents.grant(vec![for_groups("anna"), new("ben")], now()).await;
    let given = given.unwrap();
    let [groups, records] = [
        consents.rendered(&given[0]).await.unwrap(),
        consents.rendered(&given[1]).await.unwrap(),
    ];
    check_27560(&groups).unwrap();
    assert_eq!(groups["dpv:hasProcessing"], json!(["dpv:Aggregate"]));
    assert_eq!(groups["dases:terms"]["aggregateOnly"], true);
    assert_eq!(records["dpv:hasProcessing"], json!(["dpv:DiscloseByTransmission"]));
    // The hashes of records that are older than this member go on.
    assert_eq!(records["dases:terms"].get("aggregateOnly"), None);
    assert_eq!(json!(given[1].consent).get("aggregateOnly"), None);
    let receipts = consents.receipts(given[0].consent.id.as_str()).await.unwrap();
    assert_eq!(receipt::verify(&receipts, key(&consents)).unwrap().state, State::Given);
}

#[tokio::test]
async fn a_consent_for_groups_does_not_cover_records_and_one_for_records_covers_groups() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    let asking = |aggregate_only| NewRequest {
        aggregate_only,
        ..request("anna", &hash)
    };
    let mut given = Vec::new();
    for aggregate_only in [true, false] {
        let asked = consents.request(asking(aggregate_only), None, now()).await.unwrap();
        let id = asked.stored.consent.id;
        consents
            .decide(&id, &event(Decision::Give, learner()), now())
            .await
            .unwrap();
        let again = consents.request(asking(aggregate_only), None, now()).await;
        assert!(matches!(again, Err(ConsentError::AlreadyGiven(_))), "{aggregate_only}");
        given.push(id);
    }
    assert_eq!(state(&consents, &given[0]).await, State::Superseded);
    let less = consents.request(asking(true), None, now()).await;
    assert!(matches!(less, Err(ConsentError::AlreadyGiven(id)) if id == given[1]));
    assert!(ask(&consents, "anna", IN_GROUPS).is_ok() && ask(&consents, "anna", Form::Records).is_ok());
}

#[tokio::test]
async fn where_a_learner_agreed_to_groups_alone_no_other_basis_counts_for_records() {
    let consents = consents().await;
    later::basis(&consents, "ServiceProvision").await;
    assert!(ask(&consents, "anna", Form::Records).is_ok());
    let given = consents.grant(vec![for_groups("anna")], now()).await.unwrap();
    assert_eq!(ask(&consents, "anna", Form::Records), FOR_GROUPS_ALONE);
    let bases = consents.bases_of("anna", &[&given[0]], now()).await.unwrap();
    assert!(bases.is_empty(), "the store and the index say the same");
    assert_eq!(consents.bases_of("ben", &[], now()).await.unwrap().len(), 1);
}
