//! The one conformance suite that every backend passes. A backend brings a [`Fixture`] and calls [`store_suite!`].
//!
//! What only one backend does (files, locks, limits of its engine) is tested beside that backend, not here.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
};

use proptest::prelude::*;

use super::{Batch, Guard, Item, MAX_KEY, MAX_VALUE, Store, StoreError, Table, Version, Write};

/// An empty place where one store can live, opened once or several times after each other.
pub(crate) trait Fixture: Sized + Send + Sync {
    /// Whether what was committed is still there after closing and opening again.
    const DURABLE: bool;

    /// A new, empty place.
    fn new() -> Self;

    /// Opens the store that lives here.
    fn open(&self) -> impl Future<Output = Arc<dyn Store>> + Send;
}

/// Makes one test of every case, for one [`Fixture`].
macro_rules! store_suite {
    ($fixture:ty) => {
        $crate::store::suite::store_suite!($fixture:
            gets_what_was_put, deletes, refuses_what_its_guards_forbid, a_conflict_names_its_guard_and_changes_nothing,
            guards_see_the_state_before_their_own_batch, the_last_write_of_a_key_in_a_batch_wins,
            versions_never_repeat, appends_are_numbered_without_gaps_under_concurrency, a_refused_append_takes_no_number,
            a_long_numbered_table_is_read_from_anywhere,
            scans_in_key_order, scans_by_prefix_and_position, scans_stay_in_their_table, refuses_what_is_too_large,
            the_largest_item_fits, concurrent_increments_are_not_lost, one_of_many_inserts_wins, batches_are_atomic_to_readers_that_come_after,
            an_empty_batch_is_no_error, a_closed_store_says_so, everything_is_there_after_opening_again, agrees_with_a_model);
    };
    ($fixture:ty: $($case:ident),*) => {
        mod conformance {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::store::suite::$case::<$fixture>().await;
                }
            )*
        }
    };
}
pub(crate) use store_suite;

const T: Table = Table(3);
const OTHER: Table = Table(4);
const LOG: Table = Table(0xFF);
const TASKS: u64 = 64;

async fn fresh<F: Fixture>() -> (F, Arc<dyn Store>) {
    let fixture = F::new();
    let store = fixture.open().await;
    (fixture, store)
}

async fn put(store: &dyn Store, key: &[u8], value: &[u8]) -> Version {
    let mut batch = Batch::new();
    batch.put(T, key, value);
    store.commit(batch).await.unwrap();
    store.get(T, key).await.unwrap().unwrap().version
}

async fn value(store: &dyn Store, table: Table, key: &[u8]) -> Option<Vec<u8>> {
    store.get(table, key).await.unwrap().map(|item| item.value)
}

pub(crate) async fn gets_what_was_put<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    assert_eq!(store.get(T, b"k").await.unwrap(), None);
    put(&*store, b"k", b"one").await;
    put(&*store, b"", b"under the empty key").await;
    put(&*store, b"empty", b"").await;
    assert_eq!(value(&*store, T, b"k").await.unwrap(), b"one");
    put(&*store, b"k", b"two").await;
    assert_eq!(value(&*store, T, b"k").await.unwrap(), b"two");
    assert_eq!(value(&*store, T, b"").await.unwrap(), b"under the empty key");
    assert_eq!(value(&*store, T, b"empty").await.unwrap(), b"");
    assert_eq!(value(&*store, OTHER, b"k").await, None);
}

pub(crate) async fn deletes<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    put(&*store, b"k", b"v").await;
    let mut batch = Batch::new();
    batch.delete(T, b"k").delete(T, b"never there");
    store.commit(batch).await.unwrap();
    assert_eq!(value(&*store, T, b"k").await, None);
    assert_eq!(store.scan(T, b"", None, 10).await.unwrap(), []);
}

pub(crate) async fn refuses_what_its_guards_forbid<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    let mut insert = Batch::new();
    insert.insert(T, b"k", b"first");
    store.commit(insert.clone()).await.unwrap();
    assert_eq!(store.commit(insert).await, Err(StoreError::Conflict { guard: 0 }));
    let read = store.get(T, b"k").await.unwrap().unwrap();
    let mut replace = Batch::new();
    replace.replace(T, b"k", read.version, b"second");
    store.commit(replace.clone()).await.unwrap();
    assert_eq!(store.commit(replace).await, Err(StoreError::Conflict { guard: 0 }));
    let mut of_absent = Batch::new();
    of_absent.replace(T, b"absent", read.version, b"v");
    assert_eq!(store.commit(of_absent).await, Err(StoreError::Conflict { guard: 0 }));
    assert_eq!(value(&*store, T, b"k").await.unwrap(), b"second");
}

pub(crate) async fn a_conflict_names_its_guard_and_changes_nothing<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    put(&*store, b"there", b"v").await;
    let mut batch = Batch::new();
    batch
        .require(T, b"absent", Guard::Absent)
        .put(T, b"a", b"v")
        .delete(T, b"there")
        .append(LOG, b"v");
    batch.require(T, b"there", Guard::Absent);
    assert_eq!(store.commit(batch).await, Err(StoreError::Conflict { guard: 1 }));
    assert_eq!(value(&*store, T, b"a").await, None);
    assert_eq!(value(&*store, T, b"there").await.unwrap(), b"v");
    assert_eq!(store.appended(LOG).await.unwrap(), 0);
}

pub(crate) async fn guards_see_the_state_before_their_own_batch<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    let mut batch = Batch::new();
    batch.put(T, b"k", b"v").require(T, b"k", Guard::Absent);
    store.commit(batch).await.unwrap();
    assert_eq!(value(&*store, T, b"k").await.unwrap(), b"v");
}

pub(crate) async fn the_last_write_of_a_key_in_a_batch_wins<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    let mut batch = Batch::new();
    batch
        .put(T, b"a", b"1")
        .put(T, b"a", b"2")
        .put(T, b"b", b"1")
        .delete(T, b"b")
        .delete(T, b"c")
        .put(T, b"c", b"2");
    store.commit(batch).await.unwrap();
    assert_eq!(value(&*store, T, b"a").await.unwrap(), b"2");
    assert_eq!(value(&*store, T, b"b").await, None);
    assert_eq!(value(&*store, T, b"c").await.unwrap(), b"2");
}

pub(crate) async fn versions_never_repeat<F: Fixture>() {
    let (home, mut store) = fresh::<F>().await;
    let mut seen = BTreeSet::new();
    for round in 0..12 {
        // The same bytes again still make a new version.
        assert!(seen.insert(put(&*store, b"k", b"same").await.0), "round {round}");
        if round % 3 == 1 {
            let mut batch = Batch::new();
            batch.delete(T, b"k");
            store.commit(batch).await.unwrap();
        }
        if F::DURABLE && round % 4 == 3 {
            store.close().await.unwrap();
            store = home.open().await;
        }
    }
}

pub(crate) async fn appends_are_numbered_without_gaps_under_concurrency<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut numbers = Vec::new();
            for _ in 0..4 {
                let mut batch = Batch::new();
                batch
                    .append(LOG, task.to_be_bytes())
                    .append(OTHER, b"x")
                    .append(LOG, task.to_be_bytes());
                let appended = store.commit(batch).await.unwrap().appended;
                assert_eq!(appended[2], appended[0] + 1, "one batch's appends follow each other");
                numbers.extend([(appended[0], task), (appended[2], task)]);
            }
            numbers
        });
    }
    let mut numbers: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    numbers.sort_unstable();
    assert!(numbers.iter().map(|(number, _)| *number).eq(0..TASKS * 8));
    assert_eq!(store.appended(LOG).await.unwrap(), TASKS * 8);
    assert_eq!(store.appended(OTHER).await.unwrap(), TASKS * 4);
    let rows = store.scan(LOG, b"", None, usize::MAX).await.unwrap();
    assert_eq!(rows.len(), numbers.len());
    for (row, (number, task)) in rows.iter().zip(numbers) {
        assert_eq!(
            (row.key.as_slice(), row.item.value.as_slice()),
            (&number.to_be_bytes()[..], &task.to_be_bytes()[..])
        );
    }
}

pub(crate) async fn a_refused_append_takes_no_number<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    put(&*store, b"k", b"v").await;
    let mut refused = Batch::new();
    refused.insert(T, b"k", b"v").append(LOG, b"refused");
    assert!(store.commit(refused).await.is_err());
    let mut taken = Batch::new();
    taken.append(LOG, b"taken");
    assert_eq!(store.commit(taken).await.unwrap().appended, [0]);
}

pub(crate) async fn a_long_numbered_table_is_read_from_anywhere<F: Fixture>() {
    const COUNT: u64 = 1_000;
    let value = |n: u64| {
        vec![
            (n % 251) as u8;
            if n.is_multiple_of(97) {
                MAX_VALUE
            } else {
                n as usize % 500
            }
        ]
    };
    let (home, mut store) = fresh::<F>().await;
    for start in (0..COUNT).step_by(50) {
        let mut batch = Batch::new();
        for n in start..start + 50 {
            batch.append(LOG, value(n));
        }
        store.commit(batch).await.unwrap();
    }
    for opened_again in [false, true] {
        for n in 0..COUNT {
            assert_eq!(store.get(LOG, &n.to_be_bytes()).await.unwrap().unwrap().value, value(n));
        }
        assert_eq!(store.get(LOG, &COUNT.to_be_bytes()).await.unwrap(), None);
        for first in [0, 1, 255, 256, 257, 511, 700, COUNT - 1, COUNT] {
            for limit in [0, 1, 255, 256, 300, usize::MAX] {
                let after = first.checked_sub(1).map(u64::to_be_bytes);
                let after = after.as_ref().map(|after| after.as_slice());
                let rows = store.scan(LOG, b"", after, limit).await.unwrap();
                let expected = (first..COUNT).take(limit);
                assert!(
                    rows.iter()
                        .map(|row| row.key.as_slice())
                        .eq(expected.clone().map(u64::to_be_bytes))
                );
                assert!(
                    rows.iter()
                        .map(|row| &row.item.value)
                        .eq(&expected.map(value).collect::<Vec<_>>())
                );
            }
        }
        let prefixed = store.scan(LOG, &[0, 0, 0, 0, 0, 0, 2], None, usize::MAX).await.unwrap();
        assert_eq!((prefixed.len(), prefixed[0].key[7]), (256, 0));
        if F::DURABLE && !opened_again {
            store.close().await.unwrap();
            store = home.open().await;
        }
    }
}

pub(crate) async fn scans_in_key_order<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    let numbers = [
        0_u64,
        1,
        2,
        255,
        256,
        257,
        65_535,
        65_536,
        u64::from(u32::MAX),
        u64::MAX,
    ];
    let mut batch = Batch::new();
    for number in numbers.iter().rev() {
        batch.put(T, number.to_be_bytes(), number.to_string());
    }
    store.commit(batch).await.unwrap();
    let rows = store.scan(T, b"", None, 100).await.unwrap();
    assert!(
        rows.iter()
            .map(|row| row.item.value.clone())
            .eq(numbers.iter().map(|n| n.to_string().into_bytes()))
    );
    for row in rows {
        assert_eq!(store.get(T, &row.key).await.unwrap(), Some(row.item));
    }
}

pub(crate) async fn scans_by_prefix_and_position<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    let keys: [&[u8]; 8] = [b"", b"a", b"a\0", b"ab", b"ab\xff", b"ab\xff\xff", b"b", b"\xff\xff"];
    let mut batch = Batch::new();
    for key in keys {
        batch.put(T, key, b"v");
    }
    store.commit(batch).await.unwrap();
    let positions: Vec<Option<&[u8]>> = keys
        .iter()
        .map(|key| Some(*key))
        .chain([None, Some(&b"aa"[..]), Some(b"zz")])
        .collect();
    for prefix in keys.iter().copied().chain([&b"aa"[..], b"c", b"\xff"]) {
        for after in &positions {
            for limit in [0, 1, 2, 100] {
                let mut expected: Vec<&[u8]> = keys.to_vec();
                expected.sort_unstable();
                expected.retain(|key| key.starts_with(prefix) && after.is_none_or(|after| *key > after));
                expected.truncate(limit);
                let rows = store.scan(T, prefix, *after, limit).await.unwrap();
                let found: Vec<&[u8]> = rows.iter().map(|row| row.key.as_slice()).collect();
                assert_eq!(found, expected, "prefix {prefix:?} after {after:?} limit {limit}");
            }
        }
    }
}

pub(crate) async fn scans_stay_in_their_table<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    let mut batch = Batch::new();
    for table in [0, 1, 2, 0xFE, 0xFF] {
        batch
            .put(Table(table), b"k", [table])
            .put(Table(table), b"\xff\xff", [table])
            .append(Table(table), [table]);
    }
    store.commit(batch).await.unwrap();
    for table in [0, 1, 2, 0xFE, 0xFF] {
        let rows = store.scan(Table(table), b"", None, 100).await.unwrap();
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().all(|row| row.item.value == [table]));
    }
    assert_eq!(store.scan(Table(3), b"", None, 100).await.unwrap(), []);
}

pub(crate) async fn refuses_what_is_too_large<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    let (long, big) = (vec![b'k'; MAX_KEY + 1], vec![0; MAX_VALUE + 1]);
    let key = Err(StoreError::TooLarge {
        what: "key",
        size: MAX_KEY + 1,
        limit: MAX_KEY,
    });
    let value_ = Err(StoreError::TooLarge {
        what: "value",
        size: MAX_VALUE + 1,
        limit: MAX_VALUE,
    });
    let refused = |make: &dyn Fn(&mut Batch)| {
        let mut batch = Batch::new();
        batch.put(T, b"beside", b"v");
        make(&mut batch);
        batch
    };
    assert_eq!(
        store
            .commit(refused(&|batch| {
                batch.put(T, long.clone(), b"v");
            }))
            .await,
        key
    );
    assert_eq!(
        store
            .commit(refused(&|batch| {
                batch.delete(T, long.clone());
            }))
            .await,
        key
    );
    assert_eq!(
        store
            .commit(refused(&|batch| {
                batch.require(T, long.clone(), Guard::Absent);
            }))
            .await,
        key
    );
    assert_eq!(
        store
            .commit(refused(&|batch| {
                batch.put(T, b"k", big.clone());
            }))
            .await,
        value_
    );
    assert_eq!(
        store
            .commit(refused(&|batch| {
                batch.append(T, big.clone());
            }))
            .await,
        value_
    );
    assert_eq!(value(&*store, T, b"beside").await, None);
    assert_eq!(store.get(T, &long).await.unwrap(), None);
}

pub(crate) async fn the_largest_item_fits<F: Fixture>() {
    let (home, mut store) = fresh::<F>().await;
    let (long, big) = (vec![b'k'; MAX_KEY], vec![7; MAX_VALUE]);
    put(&*store, &long, &big).await;
    if F::DURABLE {
        store.close().await.unwrap();
        store = home.open().await;
    }
    assert_eq!(value(&*store, T, &long).await.unwrap(), big);
}

pub(crate) async fn concurrent_increments_are_not_lost<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    put(&*store, b"counter", &0_u64.to_be_bytes()).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            loop {
                let Item { value, version } = store.get(T, b"counter").await.unwrap().unwrap();
                let next = u64::from_be_bytes(value.try_into().unwrap()) + 1;
                let mut batch = Batch::new();
                batch.replace(T, b"counter", version, next.to_be_bytes());
                match store.commit(batch).await {
                    Ok(_) => return,
                    Err(error) => assert_eq!(error, StoreError::Conflict { guard: 0 }),
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(value(&*store, T, b"counter").await.unwrap(), TASKS.to_be_bytes());
}

pub(crate) async fn one_of_many_inserts_wins<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut batch = Batch::new();
            batch.insert(T, b"only one", task.to_be_bytes());
            store.commit(batch).await.is_ok().then_some(task)
        });
    }
    let winners: Vec<u64> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(value(&*store, T, b"only one").await.unwrap(), winners[0].to_be_bytes());
}

/// A reader that sees one write of a batch sees, with its next read, all others of it.
pub(crate) async fn batches_are_atomic_to_readers_that_come_after<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for round in 1_u64..=200 {
                let mut batch = Batch::new();
                batch
                    .put(T, b"left", round.to_be_bytes())
                    .put(T, b"right", round.to_be_bytes());
                store.commit(batch).await.unwrap();
            }
        }
    });
    while !writer.is_finished() {
        let left = value(&*store, T, b"left").await;
        let right = value(&*store, T, b"right").await;
        assert!(right >= left, "{left:?} was seen before {right:?}");
    }
    writer.await.unwrap();
}

pub(crate) async fn an_empty_batch_is_no_error<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    assert_eq!(store.commit(Batch::new()).await.unwrap().appended, Vec::<u64>::new());
    let version = put(&*store, b"k", b"v").await;
    let mut only_guards = Batch::new();
    only_guards.require(T, b"k", Guard::At(version));
    store.commit(only_guards.clone()).await.unwrap();
    only_guards.require(T, b"k", Guard::Absent);
    assert_eq!(store.commit(only_guards).await, Err(StoreError::Conflict { guard: 1 }));
}

pub(crate) async fn a_closed_store_says_so<F: Fixture>() {
    let (_home, store) = fresh::<F>().await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    let mut batch = Batch::new();
    batch.put(T, b"k", b"v");
    assert_eq!(store.commit(batch).await, Err(StoreError::Closed));
    assert_eq!(store.get(T, b"k").await, Err(StoreError::Closed));
    assert_eq!(store.scan(T, b"", None, 1).await, Err(StoreError::Closed));
    assert_eq!(store.appended(LOG).await, Err(StoreError::Closed));
}

pub(crate) async fn everything_is_there_after_opening_again<F: Fixture>() {
    if !F::DURABLE {
        return;
    }
    let (home, mut store) = fresh::<F>().await;
    let mut expected: Vec<(Vec<u8>, Item)> = Vec::new();
    for round in 0_u64..6 {
        for n in 0_u64..40 {
            let mut batch = Batch::new();
            batch.put(
                T,
                [&round.to_be_bytes()[..], &n.to_be_bytes()].concat(),
                vec![n as u8; n as usize * 50],
            );
            assert_eq!(
                store
                    .commit(batch.append(LOG, b"entry").clone())
                    .await
                    .unwrap()
                    .appended,
                [round * 40 + n]
            );
        }
        let rows = |rows: Vec<super::Row>| rows.into_iter().map(|row| (row.key, row.item)).collect::<Vec<_>>();
        let written = rows(store.scan(T, b"", None, usize::MAX).await.unwrap());
        assert_eq!(written.len() as u64, (round + 1) * 40);
        assert!(expected.iter().all(|old| written.contains(old)));
        store.close().await.unwrap();
        store = home.open().await;
        assert_eq!(rows(store.scan(T, b"", None, usize::MAX).await.unwrap()), written);
        assert_eq!(store.appended(LOG).await.unwrap(), (round + 1) * 40);
        expected = written;
    }
}

/// A step of the differential test.
#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(u8, GuardKind)>, Vec<WriteKind>),
    Reopen,
}

#[derive(Clone, Copy, Debug)]
enum GuardKind {
    Absent,
    Current,
    Stale,
}

#[derive(Clone, Debug)]
enum WriteKind {
    Put(u8, usize),
    Delete(u8),
    Append(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0_u8..12;
    let guard = (
        key.clone(),
        prop_oneof![
            Just(GuardKind::Absent),
            Just(GuardKind::Current),
            Just(GuardKind::Stale)
        ],
    );
    let size = prop_oneof![8 => 0_usize..40, 1 => 0..MAX_VALUE];
    let write = prop_oneof![
        4 => (key.clone(), size.clone()).prop_map(|(key, size)| WriteKind::Put(key, size)),
        2 => key.prop_map(WriteKind::Delete),
        1 => size.prop_map(WriteKind::Append),
    ];
    let commit = (prop::collection::vec(guard, 0..2), prop::collection::vec(write, 0..5));
    let step = prop_oneof![
        20 => commit.prop_map(|(guards, writes)| Step::Commit(guards, writes)),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

/// What a store should hold, told in the plainest way.
#[derive(Default)]
struct Model {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    log: Vec<Vec<u8>>,
    /// Versions as the store showed them: the current one of each key, and one that is over.
    current: BTreeMap<Vec<u8>, Version>,
    stale: BTreeMap<Vec<u8>, Version>,
}

impl Model {
    /// The batch, and the guard that must refuse it.
    fn batch(&self, guards: &[(u8, GuardKind)], writes: &[WriteKind], fill: u8) -> (Batch, Option<usize>) {
        let mut batch = Batch::new();
        let mut refused = None;
        for (index, (key, kind)) in guards.iter().enumerate() {
            let key = vec![*key];
            let never = Version(u64::MAX);
            let (guard, holds) = match kind {
                GuardKind::Absent => (Guard::Absent, !self.rows.contains_key(&key)),
                GuardKind::Current => (
                    Guard::At(self.current.get(&key).copied().unwrap_or(never)),
                    self.rows.contains_key(&key),
                ),
                GuardKind::Stale => (Guard::At(self.stale.get(&key).copied().unwrap_or(never)), false),
            };
            batch.require(T, key, guard);
            if !holds && refused.is_none() {
                refused = Some(index);
            }
        }
        for write in writes {
            match write {
                WriteKind::Put(key, size) => batch.put(T, [*key], vec![fill; *size]),
                WriteKind::Delete(key) => batch.delete(T, [*key]),
                WriteKind::Append(size) => batch.append(LOG, vec![fill; *size]),
            };
        }
        (batch, refused)
    }

    fn apply(&mut self, batch: Batch) -> Vec<u64> {
        let mut appended = Vec::new();
        for write in batch.writes {
            match write {
                Write::Put(_, key, value) => drop(self.rows.insert(key, value)),
                Write::Delete(_, key) => drop(self.rows.remove(&key)),
                Write::Append(_, value) => {
                    appended.push(self.log.len() as u64);
                    self.log.push(value);
                }
            }
        }
        appended
    }

    /// Compares everything and learns the versions.
    async fn check(&mut self, store: &dyn Store) {
        let rows = store.scan(T, b"", None, usize::MAX).await.unwrap();
        assert!(rows.iter().map(|row| (&row.key, &row.item.value)).eq(self.rows.iter()));
        let current: BTreeMap<_, _> = rows.into_iter().map(|row| (row.key, row.item.version)).collect();
        for (key, version) in std::mem::take(&mut self.current) {
            if current.get(&key) != Some(&version) {
                self.stale.insert(key, version);
            }
        }
        self.current = current;
        let log = store.scan(LOG, b"", None, usize::MAX).await.unwrap();
        assert!(log.iter().map(|row| &row.item.value).eq(self.log.iter()));
        assert_eq!(store.appended(LOG).await.unwrap(), self.log.len() as u64);
    }
}

async fn differ<F: Fixture>(steps: Vec<Step>) {
    let (home, mut store) = fresh::<F>().await;
    let mut model = Model::default();
    for (index, step) in steps.into_iter().enumerate() {
        match step {
            Step::Commit(guards, writes) => {
                let (batch, refused) = model.batch(&guards, &writes, index as u8);
                let answer = store.commit(batch.clone()).await;
                match refused {
                    Some(guard) => assert_eq!(answer, Err(StoreError::Conflict { guard })),
                    None => assert_eq!(answer.unwrap().appended, model.apply(batch)),
                }
            }
            Step::Reopen if F::DURABLE => {
                store.close().await.unwrap();
                store = home.open().await;
            }
            Step::Reopen => {}
        }
        model.check(&*store).await;
    }
    store.close().await.unwrap();
}

pub(crate) async fn agrees_with_a_model<F: Fixture>() {
    let handle = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let cases = if F::DURABLE { 24 } else { 256 };
        let config = ProptestConfig {
            cases,
            max_shrink_iters: 200,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        proptest!(config, |(steps in steps())| {
            handle.block_on(differ::<F>(steps));
        });
    })
    .await
    .unwrap();
}
