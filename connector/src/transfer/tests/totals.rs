//! What streams tell at their end of what was withheld: kept before it leaves, and the same ever after.

use super::*;
use http_body_util::BodyExt;

const TELLS: Table = Table(75);

impl World {
    /// A source with one record of each of so many learners, none of whom has consented.
    async fn withholding(learners: u64) -> Self {
        let world = Self::start().await;
        world.fill(learners);
        world
    }

    fn fill(&self, learners: u64) {
        let records: String = (0..learners)
            .map(|learner| format!("{{\"sub\":\"l{learner}\",\"skills\":[1]}}\n"))
            .collect();
        std::fs::write(self.folder.path().join("records.ndjson"), records).unwrap();
    }

    async fn stream(
        &self,
        transfers: &Arc<Transfers>,
        cursor: Option<&str>,
    ) -> Result<crate::plane::outgoing::Outgoing, TransferError> {
        let reset = CancellationToken::new();
        transfers.stream(&self.pid, &self.token, cursor, reset, now()).await
    }

    /// What the end line of a whole stream tells.
    async fn told(&self, transfers: &Arc<Transfers>) -> Option<u64> {
        let body = self.stream(transfers, None).await.unwrap();
        end_line(body).await.get("withheld").and_then(serde_json::Value::as_u64)
    }

    async fn tells(&self) -> usize {
        self.store.scan(TELLS, &[], None, 10).await.unwrap().len()
    }
}

async fn end_line(body: crate::plane::outgoing::Outgoing) -> serde_json::Value {
    let bytes = body.collect().await.unwrap().to_bytes();
    let last = bytes.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
    let line: serde_json::Value = serde_json::from_slice(last.unwrap()).unwrap();
    assert_eq!(line["t"], "end");
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_is_on_disk_before_the_end_line_that_tells_it_leaves() {
    let world = World::withholding(25).await;
    let body = world.stream(&world.transfers, None).await.unwrap();
    let (came, go) = world.store.hold_before();
    let mut reading = tokio::spawn(end_line(body));
    tokio::select! {
        came = came => came.unwrap(),
        ended = &mut reading => panic!("nothing was kept: {ended:?}"),
    }
    assert_eq!(world.tells().await, 0);
    let left = tokio::time::timeout(Duration::from_millis(200), &mut reading).await;
    assert!(left.is_err(), "it left before it was kept");
    go.send(()).unwrap();
    assert_eq!(reading.await.unwrap()["withheld"], 20);
    assert_eq!(world.tells().await, 1);
    world.transfers.stop_streams().await;
    assert_eq!(world.transfers.get(&world.pid).await.unwrap().told, Some(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transfer_that_told_tells_the_same_when_it_is_read_again_before_and_after_a_restart() {
    let world = World::withholding(25).await;
    assert_eq!(world.told(&world.transfers).await, Some(20));
    world.fill(35);
    assert_eq!(world.told(&world.transfers).await, Some(20));
    // Whether the old one could still note what it released is all the same.
    let restarted = services(world.store.clone(), world.folder.path()).await;
    assert_eq!(world.told(&restarted).await, Some(20));
    assert_eq!(world.tells().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_does_not_open_or_is_not_read_takes_no_turn_to_tell() {
    let world = World::withholding(25).await;
    world
        .stream(&world.transfers, Some("no cursor"))
        .await
        .map(drop)
        .unwrap_err();
    drop(world.stream(&world.transfers, None).await.unwrap());
    world.transfers.stop_streams().await;
    assert_eq!(world.tells().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_slower_than_that_of_another_transfer_is_told_nothing_and_goes_on_to_its_end() {
    let world = World::withholding(25).await;
    let slow = world.stream(&world.transfers, None).await.unwrap();
    let mut other = world.transfers.get(&world.pid).await.unwrap();
    other.core.pid = "urn:uuid:other".parse().unwrap();
    other.core.peer_pid = Some("urn:uuid:their-other".parse().unwrap());
    let address = world.transfers.data_address(&mut other, now());
    let opened = world.transfers.ledger.open(&other, Turn::default(), now());
    opened.await.unwrap();
    let (pid, token) = (other.core.pid, address.authorization.unwrap());
    let quick = world
        .transfers
        .stream(&pid, &token, None, CancellationToken::new(), now());
    assert_eq!(end_line(quick.await.unwrap()).await["withheld"], 20);
    assert_eq!(end_line(slow).await.get("withheld"), None);
    world.transfers.stop_streams().await;
    let record = world.transfers.get(&world.pid).await.unwrap();
    assert!(record.sent_to_end && record.told.is_none());
}
