//! The event feed of the management API: what a program that follows it can rely on.

use connector_tests::harness::{Connector, World, binary, text};
use futures_util::StreamExt;
use policy::Timestamp;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

/// One event: its number, its name and what it says.
type Event = (u64, String, Value);

/// Follows a feed in the background.
struct Feed {
    events: tokio::sync::mpsc::UnboundedReceiver<Event>,
}

impl Feed {
    /// Returns when the daemon has begun to answer.
    async fn open(connector: &Connector, since: Option<u64>) -> Self {
        let (status, mut body) = connector.api().follow("/v1/events", since).await.unwrap();
        assert_eq!(status, 200);
        let (sender, events) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut rest = String::new();
            while let Some(Ok(chunk)) = body.next().await {
                rest += std::str::from_utf8(&chunk).unwrap();
                while let Some((event, more)) = rest.split_once("\n\n") {
                    let field = |name: &str| {
                        event
                            .lines()
                            .find_map(|line| line.strip_prefix(name))
                            .unwrap_or_default()
                    };
                    if let Ok(data) = serde_json::from_str(field("data: ")) {
                        let event = (field("id: ").parse().unwrap(), field("event: ").to_owned(), data);
                        let _ = sender.send(event);
                    }
                    rest = more.to_owned();
                }
            }
        });
        Self { events }
    }

    async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(Duration::from_secs(20), self.events.recv())
            .await
            .expect("an event")
    }

    /// Everything up to the first event of `pid` with this state and nothing pending.
    async fn up_to(&mut self, pid: &str, state: &str) -> Vec<Event> {
        let mut all = Vec::new();
        loop {
            let event = self.next().await.expect("the feed goes on");
            let last =
                text(&event.2, "pid") == pid && text(&event.2, "state") == state && event.2["pending"] == json!([]);
            all.push(event);
            if last {
                return all;
            }
        }
    }
}

/// State and pending steps of each event, in order.
fn steps(events: &[Event], pid: &str) -> Vec<String> {
    let of = events.iter().filter(|(_, _, said)| text(said, "pid") == pid);
    of.map(|(_, _, said)| format!("{} {}", text(said, "state"), said["pending"]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_told_once_and_in_order() {
    let world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(4, 2).await;
    school.consent(2, &work.did).await;
    let (mut ours, mut theirs) = (Feed::open(work, None).await, Feed::open(school, None).await);

    let agreement = work.negotiate(school).await;
    let negotiation = work.get("/v1/negotiations").await["negotiations"][0].clone();
    let (pid, peer_pid) = (text(&negotiation, "pid"), text(&negotiation, "peerPid"));
    let told = ours.up_to(&pid, "FINALIZED").await;
    // What overtakes an acknowledgement stands for it (R3): the states in between may be skipped, and are never told late.
    let possible = [
        r#"REQUESTING ["ContractRequestMessage"]"#,
        "REQUESTED []",
        r#"AGREED ["ContractAgreementVerificationMessage"]"#,
        "VERIFIED []",
        "FINALIZED []",
    ];
    let seen = steps(&told, &pid);
    let places: Vec<usize> = seen
        .iter()
        .filter_map(|step| possible.iter().position(|one| one == step))
        .collect();
    assert_eq!(places.len(), seen.len(), "{seen:?}");
    assert!(
        places.is_sorted_by(|a, b| a < b) && places[0] == 0 && places.last() == Some(&4),
        "{seen:?}"
    );
    let (_, name, last) = told.last().unwrap();
    // An acknowledgement that comes late touches the record again and changes nothing that is told.
    let time = |of: &Value, name: &str| text(of, name).parse::<Timestamp>().unwrap();
    assert!(
        time(last, "at") <= time(&negotiation, "updated"),
        "{last} {negotiation}"
    );
    assert_eq!(name, "negotiation");
    assert_eq!(
        *last,
        json!({
            "protocol": "negotiation", "pid": pid, "peer": school.did, "peerPid": peer_pid, "role": "consumer", "state": "FINALIZED",
            "pending": [], "dataset": "records", "agreement": agreement, "offerBy": "consumer", "at": last["at"],
        })
    );
    let their_last = theirs.up_to(&peer_pid, "FINALIZED").await;
    assert_eq!(steps(&their_last, &peer_pid).last().unwrap(), "FINALIZED []");

    let transfer = work.transfer(&agreement).await;
    work.transfer_until(&transfer, "COMPLETED").await;
    let moved = ours.up_to(&transfer, "COMPLETED").await;
    assert_eq!(
        steps(&moved, &transfer).first().unwrap(),
        r#"REQUESTING ["TransferRequestMessage"]"#
    );
    assert!(
        moved
            .iter()
            .all(|(_, name, said)| name == "transfer" && said["agreement"] == *agreement)
    );

    // Numbers grow, and whoever comes back with one hears exactly what it missed.
    let all: Vec<Event> = told.into_iter().chain(moved).collect();
    assert!(all.windows(2).all(|two| two[0].0 < two[1].0), "{all:?}");
    let mut again = Feed::open(work, Some(all[0].0)).await;
    assert_eq!(again.up_to(&transfer, "COMPLETED").await, all[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_ends_with_the_daemon_and_says_what_it_no_longer_knows() {
    let mut world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(2, 2).await;
    let mut feed = Feed::open(work, None).await;
    work.negotiate(school).await;
    let (before, _, _) = feed.next().await.unwrap();
    assert!(world.get_mut("work").stop().success());
    while feed.next().await.is_some() {}

    world.get_mut("work").start().await;
    let (school, work) = (world.get("school"), world.get("work"));
    let mut feed = Feed::open(work, Some(before)).await;
    let (id, name, _) = feed.next().await.unwrap();
    assert_eq!(name, "reset");
    assert!(id > before);
    work.negotiate(school).await;
    let (next, name, _) = feed.next().await.unwrap();
    assert_eq!((next, name.as_str()), (id + 1, "negotiation"));
    assert_eq!(Feed::open(work, Some(u64::MAX)).await.next().await.unwrap().1, "reset");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_writes_one_line_for_each_change() {
    let mut world = World::start(&["school", "work"]).await;
    let (school, work) = (world.get("school"), world.get("work"));
    school.publish(2, 2).await;
    work.negotiate(school).await;
    // From the beginning of this daemon's memory: nothing that happened since it started is missed, whenever the command connects.
    let follow = |more: &[&str]| {
        let mut command = Command::new(binary());
        command
            .arg("--config")
            .arg(work.config())
            .args(["events", "--since", "0"])
            .args(more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let (mut people, mut programs) = (follow(&[]), follow(&["--json"]));
    let lines = |child: &mut std::process::Child| BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut said, mut told) = (lines(&mut people), lines(&mut programs));
    let first: Value = serde_json::from_str(&told.next().unwrap().unwrap()).unwrap();
    let line = said.next().unwrap().unwrap();
    if first["event"] == "reset" {
        assert!(line.contains("reset"), "{line}");
    }
    work.negotiate(school).await;
    let next: Value = serde_json::from_str(&told.next().unwrap().unwrap()).unwrap();
    assert_eq!(next["event"], "negotiation", "{next}");
    let line = said.next().unwrap().unwrap();
    assert!(
        line.contains(&text(&next, "pid")) && line.contains(&text(&next, "state")),
        "{line}"
    );
    world.get_mut("work").stop();
    for child in [people, programs] {
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(3));
        let complaint = String::from_utf8(ended.stderr).unwrap();
        assert!(complaint.contains("connector events --since"), "{complaint}");
    }
}
