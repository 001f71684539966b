//! Who tells a total, when, and that it is always the same.

use super::*;
use crate::{
    consent::{Pseudonyms, Reason, Withheld},
    jose::HmacKey,
    store::{HeldStore, MemoryStore},
};

const SECOND: Duration = Duration::from_secs(1);

fn begun() -> Timestamp {
    Timestamp::from_seconds(1_767_225_600)
}

/// Where totals are kept, and a source.
struct World {
    store: Arc<dyn Store>,
    folder: tempfile::TempDir,
}

impl World {
    fn over(store: Arc<dyn Store>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["records", "others"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        Self { store, folder }
    }

    fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new()))
    }

    /// A stream of a transfer to a recipient, from a source.
    async fn of(&self, transfer: &str, recipient: &str, source: &str, now: Timestamp) -> Telling {
        let (recipient, transfer) = (recipient.parse().unwrap(), transfer.parse().unwrap());
        let source = self.folder.path().join(source);
        Telling::open(self.store.clone(), &recipient, &source, &transfer, now)
            .await
            .unwrap()
    }

    /// One of the usual recipient and source.
    async fn open(&self, transfer: &str, now: Timestamp) -> Telling {
        self.of(transfer, "did:web:work.example", "records", now).await
    }
}

/// The state at the end of a stream that began to count at `since` and withheld something of so many learners.
fn withheld(learners: u64, since: Timestamp) -> State {
    let names = Pseudonyms::new(HmacKey::new(b"secret")).towards(&"did:web:work.example".parse().unwrap());
    let mut state = State::begun(since);
    for learner in 0..learners {
        let whose = names.tag(&format!("l{learner}"));
        state.release.refuse(Withheld::Consent(Reason::None), whose);
    }
    state
}

/// What a stream says at its end, as it is made anew until it may leave.
async fn said(telling: &Telling, state: &State, now: Timestamp) -> Option<u64> {
    loop {
        let (total, first) = telling.at_end(state);
        match first {
            Some(first) if !telling.keep(&first, now).await.unwrap() => {}
            _ => return total,
        }
    }
}

#[tokio::test]
async fn a_total_is_told_once_and_repeated_by_the_transfer_that_told_it() {
    let world = World::new();
    let telling = world.open("urn:uuid:1", begun()).await;
    assert_eq!(telling.told(), None);
    assert_eq!(said(&telling, &withheld(25, begun()), begun()).await, Some(20));
    assert_eq!(telling.told(), Some(20));
    // Decided anew, opened anew (after a restart or not), and after its thirty days.
    assert_eq!(said(&telling, &withheld(40, begun()), begun()).await, Some(20));
    for later in [begun().plus(SECOND), begun().plus(3 * EVERY)] {
        let again = world.open("urn:uuid:1", later).await;
        assert_eq!(said(&again, &withheld(40, later), later).await, Some(20));
        assert_eq!(again.told(), Some(20));
    }
    let other = world.open("urn:uuid:2", begun()).await;
    assert_eq!(said(&other, &withheld(25, begun()), begun()).await, None);
    assert_eq!(other.told(), None);

    let elsewhere = world.of("urn:uuid:1", "did:web:work.example", "others", begun()).await;
    let edtech = world
        .of("urn:uuid:1", "did:web:edtech.example", "records", begun())
        .await;
    for telling in [elsewhere, edtech] {
        let told = said(&telling, &withheld(35, begun()), begun()).await;
        assert_eq!(told, Some(30), "another source, another recipient");
    }
}

#[tokio::test]
async fn nothing_is_a_total_too_and_does_not_become_one_soon_after() {
    let world = World::new();
    let telling = world.open("urn:uuid:1", begun()).await;
    assert_eq!(said(&telling, &withheld(3, begun()), begun()).await, None);
    for transfer in ["urn:uuid:1", "urn:uuid:2"] {
        let telling = world.open(transfer, begun()).await;
        assert_eq!(
            said(&telling, &withheld(25, begun()), begun()).await,
            None,
            "{transfer}"
        );
    }
}

#[tokio::test]
async fn opening_a_stream_that_tells_nothing_leaves_the_telling_to_others() {
    let world = World::new();
    let opened = world.open("urn:uuid:1", begun()).await;
    let (total, first) = opened.at_end(&withheld(25, begun()));
    assert!(total.is_some() && first.is_some(), "it was about to tell");
    drop((opened, first));
    let other = world.open("urn:uuid:2", begun()).await;
    assert_eq!(said(&other, &withheld(25, begun()), begun()).await, Some(20));
}

#[tokio::test]
async fn thirty_days_count_from_when_a_total_was_told_and_not_from_when_its_stream_was_opened() {
    let world = World::new();
    let late = begun().plus(EVERY - SECOND);
    let first = world.open("urn:uuid:1", begun()).await;
    assert_eq!(said(&first, &withheld(25, begun()), late).await, Some(20));

    let soon = begun().plus(EVERY);
    let second = world.open("urn:uuid:2", soon).await;
    assert_eq!(said(&second, &withheld(31, soon), soon).await, None);

    let almost = late.plus(EVERY - SECOND);
    let third = world.open("urn:uuid:3", almost).await;
    assert_eq!(said(&third, &withheld(31, almost), almost.plus(EVERY)).await, None);
    let then = late.plus(EVERY);
    let fourth = world.open("urn:uuid:4", then).await;
    assert_eq!(said(&fourth, &withheld(35, then), then).await, Some(30));
    let first = world.open("urn:uuid:1", then).await;
    assert_eq!(
        said(&first, &withheld(25, then), then).await,
        None,
        "another one has told since"
    );
}

#[tokio::test]
async fn a_counting_that_began_too_early_tells_nothing_however_late_its_cursor_is_taken_up() {
    let world = World::new();
    let first = world.open("urn:uuid:1", begun()).await;
    assert_eq!(said(&first, &withheld(25, begun()), begun()).await, Some(20));
    let (early, later) = (begun().plus(SECOND), begun().plus(2 * EVERY));
    let second = world.open("urn:uuid:2", later).await;
    assert_eq!(said(&second, &withheld(31, early), later).await, None);
    // The same transfer, read from the beginning.
    let anew = world.open("urn:uuid:2", later).await;
    assert_eq!(said(&anew, &withheld(35, later), later).await, Some(30));
}

#[tokio::test]
async fn of_two_streams_that_could_both_tell_the_quicker_one_does() {
    let world = World::new();
    let slow = world.open("urn:uuid:1", begun()).await;
    let same = world.open("urn:uuid:2", begun()).await;
    let quick = world.open("urn:uuid:2", begun()).await;
    let (_, proposed) = slow.at_end(&withheld(35, begun()));
    assert_eq!(said(&quick, &withheld(25, begun()), begun()).await, Some(20));
    assert!(!slow.keep(&proposed.unwrap(), begun()).await.unwrap());
    assert_eq!(said(&slow, &withheld(35, begun()), begun()).await, None);
    assert_eq!(
        said(&same, &withheld(35, begun()), begun()).await,
        Some(20),
        "of one transfer"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_is_kept_at_the_same_moment_as_another_is_decided_again() {
    let store = Arc::new(HeldStore::default());
    let world = World::over(store.clone());
    let (slow, quick) = (
        world.open("urn:uuid:1", begun()).await,
        world.open("urn:uuid:2", begun()).await,
    );
    let (came, go) = store.hold_before();
    let keeping = tokio::spawn(async move {
        let (_, first) = slow.at_end(&withheld(35, begun()));
        let kept = slow.keep(&first.unwrap(), begun()).await.unwrap();
        (kept, slow)
    });
    came.await.unwrap();
    assert_eq!(said(&quick, &withheld(25, begun()), begun()).await, Some(20));
    go.send(()).unwrap();
    let (kept, slow) = keeping.await.unwrap();
    assert!(!kept);
    assert_eq!(slow.at_end(&withheld(35, begun())), (None, None));
}
