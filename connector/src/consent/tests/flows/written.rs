//! What is written of a consent: its record, its chain of receipts, and how large both may become.

use super::*;
use crate::consent::receipt::ReceiptError;
use serde_json::Value;

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
async fn no_days_to_keep_records_and_no_unseen_characters_in_an_identifier_are_recorded() {
    let consents = consents().await;
    let no_days = NewConsent {
        retention_days: Some(0),
        ..new("anna")
    };
    for (wrong, member) in [
        (no_days, "retentionDays"),
        (new("anna\0"), "subject"),
        (new("an\u{85}na"), "subject"),
    ] {
        let refused = consents.grant(vec![wrong], now()).await;
        let Err(ConsentError::Grant(GrantError::Invalid(named, _))) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(named, member);
    }
    let one = NewConsent {
        retention_days: Some(1),
        ..new("anna")
    };
    assert_eq!(consents.grant(vec![one], now()).await.unwrap()[0].state, State::Given);
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
