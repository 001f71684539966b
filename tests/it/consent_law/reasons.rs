//! What a provider is told of why records were withheld: the true reason, and who can mend it.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn consent_law_a_consent_that_the_holder_ended_is_not_counted_as_withdrawn_by_the_learner() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(40, 4).await;
    school.consent(4, &work.did).await;
    let of = async |learner: &str| {
        let all = school.get(&format!("/v1/consents?subject={learner}")).await;
        text(&all["consents"][0]["consent"], "id")
    };
    let (first, second) = (of("l0").await, of("l1").await);
    decide(school, &first, &event("revoke", actor("holder", None))).await;
    decide(school, &second, &event("withdraw", actor("learner", None))).await;
    let told = release(school, work).await;
    assert_eq!(
        (&told["sent"], &told["withheld"]),
        (&json!(20), &json!({"CNS-04": 10, "CNS-17": 10}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_law_under_an_agreement_for_no_purpose_the_provider_is_told_that_the_agreement_lacks_one() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    let file = school.publish(40, 4).await;
    school.consent(3, &work.did).await;
    let consented = json!({"leftOperand": "dases:consent", "operator": "eq", "rightOperand": "given"});
    let terms = json!({"permission": [{"action": "use", "constraint": [consented]}]});
    school.post("/v1/datasets", &dataset("unbound", &file, terms)).await;
    let agreement = work.negotiate_for(school, "unbound").await;
    let pid = work.transfer(&agreement).await;
    let done = work.transfer_until(&pid, "COMPLETED").await;
    let told = released(school, &text(&done, "peerPid")).await;
    assert_eq!((&told["sent"], &told["withheld"]), (&json!(0), &json!({"POL-12": 40})));
    assert_eq!(release(school, work).await["sent"], 30, "under one for a purpose");
}
