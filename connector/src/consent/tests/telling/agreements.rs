//! Consents that are for one agreement alone, when another lawful basis ends.

use super::*;

#[tokio::test]
async fn a_consent_for_another_agreement_does_not_stand_in_for_a_basis_because_others_gave_one_for_any() {
    let holder = Holder::start().await;
    let basis = holder.declare().await;
    holder.give("ben", &["skills"]).await;
    let bound = NewConsent {
        purposes: vec![PURPOSE.into()],
        categories: vec!["skills".into()],
        agreement: Some("urn:uuid:another".parse().unwrap()),
        ..new("anna")
    };
    holder.consents.grant(vec![bound], now()).await.unwrap();
    holder.consents.end_basis(&basis, now()).await.unwrap();
    holder.lapses.tell(later()).await.unwrap();
    assert_eq!(holder.told("anna").await.len(), 1);
    assert!(holder.told("ben").await.is_empty());
}
