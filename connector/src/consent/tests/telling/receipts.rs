//! Whom the receipts of a consent are sent to.

use super::*;

#[tokio::test]
async fn who_heard_that_a_consent_is_given_hears_of_its_end_where_something_else_permits_as_much() {
    let holder = Holder::start().await;
    holder.declare().await;
    holder.give("anna", &["skills"]).await;
    let id = holder.consents.list(Some("anna")).await.unwrap().remove(0).consent.id;
    let revoke = NewEvent {
        event: Decision::Revoke,
        actor: Actor::of(Role::Holder, "portal"),
        time: None,
    };
    holder.consents.decide(&id, &revoke, now()).await.unwrap();
    let receipts = holder.queued().await.into_iter();
    let receipts = receipts.filter(|(kind, _)| kind == "ConsentReceiptMessage");
    let states: Vec<Value> = receipts.map(|(_, message)| message["state"].clone()).collect();
    assert_eq!(states, ["given", "revoked"]);
}
