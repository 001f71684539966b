//! Consents that ask for groups of a size: counted in releases of groups as large, kept through a restart, and no limit for records.

use super::{groups::ask, *};
use crate::{
    catalog::CategorySet,
    consent::{Form, NewShare},
};
use policy::release::{GroupSize, MAX_LEARNERS};

const IN_TENS: Form = Form::Groups(GroupSize::DEFAULT);
const TOO_SMALL: Result<CategorySet, Withheld> = Err(Withheld::Consent(Reason::GroupSize));

fn in_twenties() -> Form {
    Form::Groups(GroupSize::new(20).unwrap())
}

fn grouped(subject: &str, least: u32) -> NewConsent {
    NewConsent {
        min_group_size: Some(least),
        ..new(subject)
    }
}

#[tokio::test]
async fn a_consent_for_groups_of_twenty_counts_in_no_smaller_ones_through_a_restart_as_well() {
    let consents = consents().await;
    consents.grant(vec![grouped("anna", 20)], now()).await.unwrap();
    assert_eq!(Reason::GroupSize.code().as_str(), "CNS-15");
    assert_eq!(ask(&consents, "anna", IN_TENS), TOO_SMALL);
    assert!(ask(&consents, "anna", in_twenties()).is_ok());
    assert!(ask(&consents, "anna", Form::Records).is_ok(), "it limits no record");

    let (log, trust, privacy) = (consents.log.clone(), consents.trust.clone(), consents.privacy.clone());
    drop(consents);
    let secret = HmacKey::new(&[4; 32]);
    let consents = Consents::load(log, trust, secret.clone(), Pseudonyms::new(secret), privacy)
        .await
        .unwrap();
    assert_eq!(ask(&consents, "anna", IN_TENS), TOO_SMALL);
    assert!(ask(&consents, "anna", in_twenties()).is_ok());
    consents.withdraw("anna", None, now()).await.unwrap();
    assert!(ask(&consents, "anna", in_twenties()).is_err());
}

#[tokio::test]
async fn a_record_says_for_groups_of_which_size_it_is_and_others_are_as_they_were() {
    let consents = consents().await;
    let given = consents.grant(vec![grouped("anna", 20), new("ben")], now()).await;
    let given = given.unwrap();
    let [grouped, others] = [
        consents.rendered(&given[0]).await.unwrap(),
        consents.rendered(&given[1]).await.unwrap(),
    ];
    check_27560(&grouped).unwrap();
    assert_eq!(
        (&grouped["dases:minGroupSize"], &grouped["dases:terms"]["minGroupSize"]),
        (&json!(20), &json!(20))
    );
    // The hashes of records that are older than this member go on.
    assert_eq!(others["dases:terms"].get("minGroupSize"), None);
    assert_eq!(others.get("dases:minGroupSize"), None);
    assert_eq!(json!(given[1].consent).get("minGroupSize"), None);
    let receipts = consents.receipts(given[0].consent.id.as_str()).await.unwrap();
    assert_eq!(receipt::verify(&receipts, key(&consents)).unwrap().state, State::Given);
}

#[tokio::test]
async fn a_consent_for_groups_of_a_size_covers_larger_ones_and_no_smaller_ones() {
    let consents = consents().await;
    let hash = notice(&consents, "1").await;
    let asking = |min_group_size| NewRequest {
        min_group_size,
        ..request("anna", &hash)
    };
    let mut before = None;
    for least in [Some(20), Some(10), None] {
        let asked = consents.request(asking(least), None, now()).await;
        let id = asked.expect("more than before").stored.consent.id;
        let give = event(Decision::Give, learner());
        consents.decide(&id, &give, now()).await.unwrap();
        for covered in [least, Some(50)] {
            let again = consents.request(asking(covered), None, now()).await;
            assert!(
                matches!(&again, Err(ConsentError::AlreadyGiven(given)) if *given == id),
                "{covered:?} of {least:?}"
            );
        }
        if let Some(before) = before.replace(id) {
            assert_eq!(state(&consents, &before).await, State::Superseded);
        }
    }
    assert!(ask(&consents, "anna", IN_TENS).is_ok());
    // Asked for less than before, the learner narrows what there is.
    consents.grant(vec![grouped("anna", 20)], now()).await.unwrap();
    assert_eq!(ask(&consents, "anna", IN_TENS), TOO_SMALL);
}

#[tokio::test]
async fn a_learner_says_it_when_they_share_by_themselves() {
    let consents = consents().await;
    let share = NewShare {
        subject: "anna".into(),
        recipient: "did:web:ft.example".parse().unwrap(),
        purposes: vec!["https://w3id.org/dpv#ServiceProvision".into()],
        purpose: None,
        categories: vec!["skills".into()],
        fields: Vec::new(),
        datasets: Vec::new(),
        until: days(30),
        max_count: None,
        notice: notice(&consents, "1").await,
        explicit: false,
        aggregate_only: false,
        min_group_size: Some(20),
        actor: learner(),
    };
    let shared = consents.share(share, now()).await.unwrap();
    assert_eq!(shared.stored.consent.min_group_size, Some(20));
    assert_eq!(ask(&consents, "anna", IN_TENS), TOO_SMALL);
}

#[tokio::test]
async fn a_group_size_is_between_the_least_and_the_most_that_a_release_can_have() {
    let consents = consents().await;
    let most = u32::try_from(MAX_LEARNERS).unwrap();
    for wrong in [0, GroupSize::FLOOR - 1, most + 1, u32::MAX] {
        let granted = consents.grant(vec![grouped("anna", wrong)], now()).await;
        let Err(ConsentError::Grant(GrantError::Invalid("minGroupSize", why))) = granted else {
            panic!("{wrong}: {granted:?}");
        };
        assert!(why.contains(&GroupSize::FLOOR.to_string()) && why.contains(&most.to_string()));
    }
    for right in [GroupSize::FLOOR, most] {
        assert!(consents.grant(vec![grouped("anna", right)], now()).await.is_ok());
    }
}
