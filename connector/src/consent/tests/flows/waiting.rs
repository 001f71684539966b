//! Requests that wait for an answer, as the reason why a record is withheld.

use super::*;

fn why(consents: &Consents, subject: &str, at: Timestamp) -> Result<(), Withheld> {
    under_a_guarded_policy(consents, subject, at)
}

const REQUESTED: Result<(), Withheld> = Err(Withheld::Consent(Reason::Requested));

#[tokio::test]
async fn a_request_is_the_reason_until_it_is_answered_or_over_and_through_a_restart_as_well() {
    let consents = consents().await;
    assert_eq!(why(&consents, "anna", now()), Err(Withheld::Consent(Reason::None)));
    let id = asked(&consents, "anna").await;
    assert_eq!(why(&consents, "anna", now()), REQUESTED);
    let again = over(consents.log.store().clone()).await;
    assert_eq!(why(&again, "anna", now()), REQUESTED);
    let until = consents.get(&id).await.unwrap().until;
    assert_eq!(why(&consents, "anna", until), Err(Withheld::Consent(Reason::None)));

    let step = |decision| event(decision, learner());
    consents.decide(&id, &step(Decision::Defer), now()).await.unwrap();
    assert_eq!(why(&consents, "anna", now()), REQUESTED, "later is no answer");
    consents.decide(&id, &step(Decision::Refuse), now()).await.unwrap();
    let refused = Err(Withheld::Consent(Reason::Refused));
    assert_eq!(why(&consents, "anna", now()), refused);
    let again = over(consents.log.store().clone()).await;
    assert_eq!(why(&again, "anna", now()), refused);
}

#[tokio::test]
async fn where_two_must_sign_the_one_who_has_not_is_the_reason() {
    let consents = consents().await;
    for (subject, first, reason) in [
        ("child1", actor(Role::Guardian, Some("mother")), Reason::Requested),
        ("child2", learner(), Reason::Guardian),
    ] {
        set_child(&consents, subject, days(100)).await;
        let id = asked(&consents, subject).await;
        consents
            .decide(&id, &event(Decision::Give, first), now())
            .await
            .unwrap();
        assert_eq!(
            why(&consents, subject, now()),
            Err(Withheld::Consent(reason)),
            "{subject}"
        );
    }
}

#[tokio::test]
async fn what_is_forgotten_is_waited_for_no_more() {
    let consents = consents().await;
    asked(&consents, "anna").await;
    consents.forget("anna", now()).await.unwrap();
    assert_eq!(why(&consents, "anna", now()), Err(Withheld::Consent(Reason::None)));
}

#[tokio::test]
async fn what_the_holder_ended_is_not_taken_for_the_learners_withdrawal_through_a_restart_as_well() {
    for (decision, role, reason) in [
        (Decision::Withdraw, Role::Learner, Reason::Withdrawn),
        (Decision::Revoke, Role::Holder, Reason::Revoked),
        (Decision::Invalidate, Role::Holder, Reason::Revoked),
    ] {
        let consents = consents().await;
        let given = consents.grant(vec![new("anna")], now()).await.unwrap().remove(0);
        let end = event(decision, actor(role, None));
        consents.decide(&given.consent.id, &end, now()).await.unwrap();
        let expected = Err(Withheld::Consent(reason));
        assert_eq!(why(&consents, "anna", now()), expected, "{decision:?}");
        let again = over(consents.log.store().clone()).await;
        assert_eq!(why(&again, "anna", now()), expected, "{decision:?}, after a restart");
    }
}
