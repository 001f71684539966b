//! What agreements have to do with who is told: consents for one alone, when another basis ends, and one that permits less by now.

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

#[tokio::test]
async fn who_received_what_an_agreement_no_longer_permits_is_told_when_its_consent_ends() {
    let holder = Holder::start().await;
    let category = |name: &str| json!({"leftOperand": "dases:dataCategory", "operator": "eq", "rightOperand": name});
    let purpose = json!({"leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": PURPOSE});
    let yesterday = json!({"leftOperand": "odrl:dateTime", "operator": "lt", "rightOperand": "2025-12-31T00:00:00Z"});
    let both = json!([
        {"action": "use", "constraint": [purpose, category("results"), yesterday]},
        {"action": "use", "constraint": [purpose, category("skills")]},
    ]);
    let log = holder.consents.log.clone();
    let stored = log.store().get(Table(13), AGREEMENT.as_bytes()).await.unwrap().unwrap();
    let mut agreement: Value = serde_json::from_slice(&stored.value).unwrap();
    agreement["agreement"]["permission"] = both;
    let mut batch = crate::store::Batch::new();
    batch.put(Table(13), AGREEMENT, agreement.to_string());
    log.store().commit(batch).await.unwrap();
    holder.give("anna", &["skills", "results"]).await;
    holder.give("anna", &["skills"]).await;
    let told = holder.told("anna").await;
    assert_eq!(told.len(), 1, "the results are not kept");
    assert_eq!(told[0].notice.agreements, [AGREEMENT.parse().unwrap()]);
}
