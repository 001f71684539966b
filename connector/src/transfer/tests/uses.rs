//! When reading or sending again is another use under the agreement, and what becomes of a push that is permitted no more.

use super::*;
use crate::process::Verdict;
use std::collections::BTreeMap;

/// [`agreed`], for one use alone.
fn agreed_once() -> serde_json::Value {
    let mut once = agreed();
    let count = json!({"leftOperand": "count", "operator": "lteq", "rightOperand": "1"});
    once["permission"][0]["constraint"].as_array_mut().unwrap().push(count);
    once
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_is_never_read_to_its_end_is_another_use_when_it_is_read_anew_later() {
    let world = World::under(agreed_once()).await;
    let open_at = async |at: Timestamp| {
        let change = |record: &mut TransferRecord, _: &mut Turn| {
            Ok::<_, TransferError>(world.transfers.data_address(record, at).authorization)
        };
        let (_, token) = world.transfers.ledger.change(&world.pid, at, change).await.unwrap();
        let token = token.unwrap();
        let asked = world
            .transfers
            .stream(&world.pid, &token, None, CancellationToken::new(), at);
        asked.await.map(drop)
    };
    open_at(now()).await.unwrap();
    open_at(now().plus(Duration::from_secs(60))).await.unwrap();
    let later = open_at(now().plus(Duration::from_secs(2 * 3600))).await;
    assert!(!later.unwrap_err().reasons().is_empty());
    world.transfers.stop_streams().await;
    let record = world.transfers.get(&world.pid).await.unwrap();
    assert!(!record.sent_to_end, "it was never finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_the_same_use_until_it_was_sent_to_its_end_and_another_one_ever_after() {
    let world = World::start().await;
    let mut record = world.transfers.get(&world.pid).await.unwrap();
    assert!(record.reads_again(None) && !record.reads_again(Some("cursor")));
    record.format = crate::dsp::FORMAT_HTTP_PUSH.to_owned();
    let report = |complete| crate::plane::outgoing::Report {
        sent: 1,
        release: crate::plane::pipeline::Release::default(),
        root: crate::jose::sha256(b""),
        complete,
        framing: crate::plane::pipeline::Framing::default(),
    };
    record.released(&report(false), &BTreeMap::new());
    assert!(!record.reads_again(None));
    record.released(&report(true), &BTreeMap::new());
    record.released(&report(false), &BTreeMap::new());
    assert!(record.reads_again(None));
}

async fn ends(transfers: &Transfers, pid: &Pid) -> TransferRecord {
    loop {
        let record = transfers.get(pid).await.unwrap();
        if record.core.position.intended(Role::Provider) == Some(State::Terminated) {
            return record;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_its_agreement_permits_no_more_is_recorded_once_and_terminated() {
    let world = World::under(agreed_once()).await;
    world.asked_while(async |_| {}).await.unwrap();
    let pid = world.push().await;
    world
        .pushing(async |transfers| {
            let ended = ends(transfers, &pid).await;
            let why = ended.core.explanation.unwrap();
            assert_eq!(why.code.as_deref(), Some("SYS-01"));
        })
        .await;
    let refusals = world.refusals().await;
    assert_eq!(refusals.len(), 1);
    assert_eq!(
        (&refusals[0]["process"], &refusals[0]["code"]),
        (&json!(pid), &json!("SYS-01"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_may_be_permitted_later_is_tried_again_and_its_refusal_recorded_once() {
    let mut agreement = agreed();
    let later = json!({"leftOperand": "dateTime", "operator": "gteq", "rightOperand": "2999-01-01T00:00:00Z"});
    agreement["permission"][0]["constraint"]
        .as_array_mut()
        .unwrap()
        .push(later);
    let world = World::under(agreement).await;
    let pid = world.push().await;
    let anew = async |_: &Transfers| tokio::time::sleep(Duration::from_millis(300)).await;
    world.pushing(anew).await;
    let record = world.transfers.get(&pid).await.unwrap();
    assert_eq!(record.core.position.intended(Role::Provider), Some(State::Started));
    assert_eq!(world.refusals().await.len(), 1);
}
