//! A peer that opens ever more.

use super::{Attack, Rig, records_offer, repel, rests, tally};
use http::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_opens_only_so_many_processes_until_some_have_ended() {
    let few = |config: String| config.replace("#processes_per_peer = 1000", "processes_per_peer = 3");
    let mut rig = Rig::start_with(10, few).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let process = rig.open(&records_offer()).await;
        rests(rig.school(), "negotiations", &process.provider, "AGREED").await;
        open.push(process);
    }
    let one_more = |rig: &Rig| {
        let letter = rig
            .consumer
            .letter(rig.school(), "/negotiations/request", &rig.request());
        vec![Attack::new("a fourth negotiation", letter, 429, "too-many-processes")]
    };
    repel("too many processes", rig.school(), &rig.consumer, one_more(&rig)).await;
    // They are counted after a restart too.
    let school = rig.world.get_mut("school");
    assert!(school.stop().success());
    school.start().await;
    repel("too many processes", rig.school(), &rig.consumer, one_more(&rig)).await;
    // The operator may open what it likes, and others are not affected; whoever ends one opens one.
    let other = rig.world.get("other");
    let wanted = json!({"peer": rig.school().did, "offer": "records"});
    let (status, said) = other.call(Method::POST, "/v1/negotiations", Some(&wanted)).await;
    assert!(status.is_success(), "{said}");
    let ended = open.pop().unwrap();
    let body = ended.message("ContractNegotiationTerminationMessage", json!({}));
    let path = format!("/negotiations/{}/termination", ended.provider);
    let reply = rig.consumer.say(rig.school(), &path, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    rig.open(&records_offer()).await;
    tally("too many processes", 2);
}
