//! What is told of times: until when recipients erase, and since when they have received.

use super::*;

#[tokio::test]
async fn the_receipt_the_record_and_the_notice_name_the_same_time_for_erasure() {
    let mut consents = over(Arc::new(MemoryStore::new())).await;
    consents.privacy.deletion = Duration::from_secs(7 * 24 * 3600);
    let holder = Holder::of(consents).await;
    holder.give("anna", &["skills"]).await;
    let id = holder.consents.list(Some("anna")).await.unwrap().remove(0).consent.id;
    // By the courier's clock, as of which the recipient is told.
    holder.consents.withdraw("anna", None, later()).await.unwrap();
    let told = holder.told("anna").await.remove(0).notice;
    assert_eq!(told.erase_by, told.at.plus(holder.consents.privacy.deletion));
    let receipt = holder.consents.receipts(id.as_str()).await.unwrap().pop().unwrap();
    let receipt = jose::token::claimed(&receipt).unwrap();
    assert_eq!(receipt["dases:ended"]["deletedBy"], json!(told.erase_by));
    let record = &receipt["dases:record"];
    assert_eq!(record["dpv:hasStorageCondition"][2]["dpv:hasDuration"], "P7D");
}

#[tokio::test]
async fn an_ending_is_told_as_of_the_time_when_the_index_was_closed() {
    let holder = Holder::start().await;
    holder.give("anna", &["skills"]).await;
    holder.consents.withdraw("anna", None, now()).await.unwrap();
    let told = holder.told("anna").await;
    assert_eq!((told.len(), told[0].notice.at), (1, later()));
}

#[tokio::test]
async fn who_received_records_is_shown_with_the_time_that_was_noted_and_no_name_that_nobody_said() {
    let holder = Holder::start().await;
    let shown = holder.notices.recipients("anna").await.unwrap();
    assert_eq!(json!(shown), json!([{"recipient": ft(), "name": null, "first": now()}]));
    assert!(holder.notices.recipients("nobody").await.unwrap().is_empty());
}
