use super::*;

fn change(pid: &str, state: &str) -> Change {
    Change {
        protocol: Protocol::Negotiation,
        pid: pid.parse().unwrap(),
        peer: "did:web:peer.example".parse().unwrap(),
        peer_pid: None,
        role: Role::Provider,
        state: state.to_owned(),
        pending: Vec::new(),
        about: About {
            dataset: "urn:d".parse().unwrap(),
            agreement: None,
            offer_by: Some(Role::Consumer),
        },
        at: Timestamp::from_seconds(0),
    }
}

fn announce(events: &Arc<Events>, pid: &str, state: &str) {
    events.place(&pid.parse().unwrap()).announce(change(pid, state));
}

/// What a listener hears without waiting.
fn heard(listener: &mut Listener) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    while let Some(heard) = futures_util::FutureExt::now_or_never(listener.next()) {
        all.push(match heard {
            Heard::Event(event) => (event.id, format!("{} {}", event.change.pid, event.change.state)),
            Heard::Missed(newest) => (newest, "missed".to_owned()),
        });
    }
    all
}

fn said(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(id, text)| (*id, (*text).to_owned())).collect()
}

#[test]
fn a_listener_hears_what_comes_after_it_began_and_nothing_twice() {
    let events = Arc::new(Events::new(10));
    announce(&events, "a", "1");
    let mut listener = events.listen(None);
    assert_eq!(listener.seen(), 11);
    announce(&events, "a", "2");
    announce(&events, "b", "1");
    assert_eq!(heard(&mut listener), said(&[(12, "a 2"), (13, "b 1")]));
    assert_eq!(heard(&mut listener), said(&[]));
}

#[test]
fn events_of_one_process_keep_the_order_of_its_commits_however_late_they_are_told() {
    let events = Arc::new(Events::new(0));
    let mut listener = events.listen(None);
    let pid: Pid = "a".parse().unwrap();
    let (first, second, third) = (events.place(&pid), events.place(&pid), events.place(&pid));
    third.announce(change("a", "3"));
    announce(&events, "b", "1");
    assert_eq!(heard(&mut listener), said(&[(1, "b 1")]));
    // A commit that fails changes nothing and holds nobody up.
    drop(second);
    first.announce(change("a", "1"));
    assert_eq!(heard(&mut listener), said(&[(2, "a 1"), (3, "a 3")]));
    assert!(events.feed().places.is_empty());
}

#[test]
fn a_listener_comes_back_to_where_it_was_or_is_told_what_it_cannot_know() {
    let events = Arc::new(Events::new(100));
    announce(&events, "a", "1");
    announce(&events, "a", "2");
    assert_eq!(heard(&mut events.listen(Some(101))), said(&[(102, "a 2")]));
    assert_eq!(
        heard(&mut events.listen(Some(100))),
        said(&[(101, "a 1"), (102, "a 2")])
    );
    // Before a restart, and from a store that is not this one.
    assert_eq!(heard(&mut events.listen(Some(99))), said(&[(102, "missed")]));
    assert_eq!(heard(&mut events.listen(Some(103))), said(&[(102, "missed")]));
    assert_eq!(heard(&mut events.listen(Some(u64::MAX))), said(&[(102, "missed")]));
}

#[test]
fn a_listener_that_is_too_slow_is_told_so_once() {
    let events = Arc::new(Events::new(0));
    let mut listener = events.listen(None);
    for _ in 0..=HISTORY {
        announce(&events, "a", "x");
    }
    let newest = HISTORY as u64 + 1;
    assert_eq!(heard(&mut listener), said(&[(newest, "missed")]));
    announce(&events, "a", "y");
    assert_eq!(heard(&mut listener), said(&[(newest + 1, "a y")]));
    assert_eq!(events.feed().history.len(), HISTORY);
}

#[tokio::test]
async fn a_waiting_listener_wakes_up() {
    let events = Arc::new(Events::new(0));
    let mut listener = events.listen(None);
    let waiting = tokio::spawn(async move { listener.next().await });
    tokio::task::yield_now().await;
    announce(&events, "a", "1");
    let heard = tokio::time::timeout(std::time::Duration::from_secs(5), waiting)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(heard, Heard::Event(event) if event.change == change("a", "1")));
}
