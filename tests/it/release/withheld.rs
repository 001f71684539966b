//! What the provider's operator sees of what was withheld from a release, and the consumer does not.

use super::*;

/// What both sides show of a transfer of a release that was made.
async fn both(school: &Connector, lab: &Connector, agreement: &str) -> (Value, Value) {
    let pid = lab.transfer(agreement).await;
    let ours = lab.transfer_until(&pid, "COMPLETED").await;
    let path = format!("/v1/transfers/{}", text(&ours, "peerPid"));
    let theirs = until("the provider has noted what left", async || {
        let theirs = school.get(&path).await;
        theirs["release"]["complete"].eq(&json!(true)).then_some(theirs)
    })
    .await;
    (theirs, ours)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_alone_is_shown_with_its_transfer_what_was_withheld_from_a_release() {
    let world = World::start(&["school", "lab"]).await;
    let (school, lab) = (world.get("school"), world.get("lab"));
    publish(school, &[("59", 20), ("62", 20), ("75", 20)], "aggregate", table()).await;
    consent(school, (0..60).filter(|learner| learner % 2 == 0), &lab.did).await;
    let agreement = lab.negotiate(school).await;
    let (theirs, ours) = both(school, lab, &agreement).await;
    let missing = json!({"CNS-01": 30});
    assert_eq!(theirs["release"]["withheld"], missing);
    let noted = entries(school, "release").await;
    assert_eq!(
        noted.last().unwrap()["withheld"],
        missing,
        "of one transfer the log says the same"
    );
    assert_eq!(ours["release"], Value::Null);
    let lines = lab.received(&text(&ours, "pid"));
    for shown in [json!(ours), json!(lines)] {
        assert!(!shown.to_string().contains("\"CNS-"), "{shown}");
        assert!(!shown.to_string().contains("\"withheld"), "{shown}");
    }
}
