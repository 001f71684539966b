use super::*;
use crate::store::{
    Guard, Version,
    suite::{Fixture, store_suite},
};
use tempfile::TempDir;

struct InTempDir(TempDir);

impl Fixture for InTempDir {
    const DURABLE: bool = true;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SledStore::open(self.0.path()).unwrap())
    }
}

store_suite!(InTempDir);

const TABLE: Table = Table(7);

fn blobs(dir: &Path) -> usize {
    fs::read_dir(dir.join("blobs")).unwrap().count()
}

#[tokio::test]
async fn a_second_opening_is_told_that_the_store_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let first = SledStore::open(dir.path()).unwrap();
    assert!(matches!(SledStore::open(dir.path()), Err(StoreError::InUse(_))));
    first.close().await.unwrap();
    assert!(SledStore::open(dir.path()).is_ok());
}

#[tokio::test]
async fn a_store_dropped_without_closing_can_be_opened_again_soon() {
    let dir = tempfile::tempdir().unwrap();
    let first = SledStore::open(dir.path()).unwrap();
    first.commit(one_put(b"k", b"v")).await.unwrap();
    drop(first);
    let second = loop {
        match SledStore::open(dir.path()) {
            Err(StoreError::InUse(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            other => break other.unwrap(),
        }
    };
    assert_eq!(second.get(TABLE, b"k").await.unwrap().unwrap().value, b"v");
}

#[tokio::test]
async fn a_commit_nobody_waits_for_does_not_disturb_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SledStore::open(dir.path()).unwrap());
    for round in 0_u64..50 {
        let impatient = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.commit(one_put(b"lost", &round.to_be_bytes())).await }
        });
        tokio::task::yield_now().await;
        impatient.abort();
        store.commit(one_put(b"kept", &round.to_be_bytes())).await.unwrap();
    }
    assert_eq!(
        store.get(TABLE, b"kept").await.unwrap().unwrap().value,
        49_u64.to_be_bytes()
    );
    store.close().await.unwrap();
}

#[tokio::test]
async fn closing_finishes_what_was_queued_and_refuses_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SledStore::open(dir.path()).unwrap());
    let mut running = tokio::task::JoinSet::new();
    for n in 0_u64..64 {
        let store = Arc::clone(&store);
        running.spawn(async move { store.commit(one_put(&n.to_be_bytes(), b"v")).await.map(|_| n) });
    }
    tokio::task::yield_now().await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    let results = running.join_all().await;
    assert_eq!(store.commit(Batch::new()).await, Err(StoreError::Closed));
    assert_eq!(store.get(TABLE, b"k").await, Err(StoreError::Closed));
    let store = SledStore::open(dir.path()).unwrap();
    for result in results {
        match result {
            Ok(n) => assert!(
                store.get(TABLE, &n.to_be_bytes()).await.unwrap().is_some(),
                "{n} was acknowledged"
            ),
            Err(error) => assert_eq!(error, StoreError::Closed),
        }
    }
}

#[test]
fn a_half_written_snapshot_does_not_keep_the_store_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    drop(open_sled(dir.path()).unwrap());
    fs::write(dir.path().join("snap.7FFFFFFFFFFFFFFF.generating"), b"half a snapshot").unwrap();
    assert!(open_sled(dir.path()).is_err(), "sled reads it when nobody removes it");
    clear_leftovers(dir.path()).unwrap();
    assert!(open_sled(dir.path()).is_ok());
}

#[test]
fn a_half_written_conf_of_an_empty_store_does_not_keep_it_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("conf"), b"segment_size: 83").unwrap();
    assert!(SledStore::open(dir.path()).is_ok());
}

/// The worst a tree page can hold: full leaves of the largest items, and index pages of the longest keys.
#[tokio::test]
async fn the_largest_items_stay_in_the_synced_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    let key = |n: u16| {
        // The number comes first, so that no common prefix shortens what a page holds.
        let mut key = n.to_be_bytes().to_vec();
        key.resize(super::super::MAX_KEY, b'k');
        key
    };
    for round in 0..3_u8 {
        for start in (0..120).step_by(10) {
            let mut batch = Batch::new();
            for n in start..start + 10 {
                batch.put(TABLE, key(n), vec![round; super::super::MAX_VALUE]);
            }
            store.commit(batch).await.unwrap();
            assert_eq!(blobs(dir.path()), 0);
        }
    }
    for start in (0..8_000_u16).step_by(500) {
        let mut batch = Batch::new();
        for n in start..start + 500 {
            batch.put(Table(8), key(n), b"v");
        }
        store.commit(batch).await.unwrap();
    }
    assert_eq!(blobs(dir.path()), 0);
    assert_eq!(store.scan(Table(8), b"", None, usize::MAX).await.unwrap().len(), 8_000);
    store.close().await.unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    assert_eq!(
        store.get(TABLE, &key(119)).await.unwrap().unwrap().value,
        vec![2; super::super::MAX_VALUE]
    );
}

#[tokio::test]
async fn bytes_too_short_for_a_row_are_called_damage() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_sled(dir.path()).unwrap();
    db.insert([b"r", &plan::row_key(TABLE, b"k")[..]].concat(), b"short")
        .unwrap();
    drop(db);
    let store = SledStore::open(dir.path()).unwrap();
    assert!(matches!(store.get(TABLE, b"k").await, Err(StoreError::Corrupt(_))));
    assert!(matches!(
        store.scan(TABLE, b"", None, 9).await,
        Err(StoreError::Corrupt(_))
    ));
}

/// sled merges a leaf of fewer than four items into its left neighbour without looking at that one's size.
#[tokio::test]
async fn thinning_out_large_items_keeps_them_in_the_synced_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    for start in (0..1_000_u64).step_by(20) {
        let mut batch = Batch::new();
        for n in start..start + 20 {
            batch.put(TABLE, n.to_be_bytes(), vec![1; chunks::CHUNK]);
        }
        store.commit(batch).await.unwrap();
    }
    for keep in [4, 8, 16] {
        for n in (0..1_000_u64).filter(|n| n % keep != 0) {
            let mut batch = Batch::new();
            batch.delete(TABLE, n.to_be_bytes());
            store.commit(batch).await.unwrap();
            assert_eq!(blobs(dir.path()), 0, "after removing {n}, keeping one in {keep}");
        }
    }
}

#[tokio::test]
async fn long_values_leave_no_chunk_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    for length in [
        0,
        1,
        chunks::CHUNK,
        chunks::CHUNK + 1,
        3 * chunks::CHUNK,
        super::super::MAX_VALUE,
        5,
    ] {
        let value: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        store.commit(one_put(b"k", &value)).await.unwrap();
        assert_eq!(store.get(TABLE, b"k").await.unwrap().unwrap().value, value);
        assert_eq!(store.scan(TABLE, b"", None, 9).await.unwrap()[0].item.value, value);
    }
    let mut batch = Batch::new();
    batch.delete(TABLE, b"k");
    store
        .commit(one_put(b"k", &[1; super::super::MAX_VALUE]))
        .await
        .unwrap();
    store.commit(batch).await.unwrap();
    let left = store.shared.read(|db| Ok(db.len())).unwrap();
    assert_eq!(left, 1, "the counters");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_value_is_read_whole_while_it_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SledStore::open(dir.path()).unwrap());
    store
        .commit(one_put(b"k", &[0; super::super::MAX_VALUE]))
        .await
        .unwrap();
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for round in 0..=200_u8 {
                let length = if round % 3 == 0 {
                    10
                } else {
                    super::super::MAX_VALUE - usize::from(round)
                };
                store.commit(one_put(b"k", &vec![round; length])).await.unwrap();
            }
        }
    });
    while !writer.is_finished() {
        let rows = store.scan(TABLE, b"", None, 9).await.unwrap();
        assert_eq!(rows.len(), 1);
        for value in [
            store.get(TABLE, b"k").await.unwrap().unwrap().value,
            rows[0].item.value.clone(),
        ] {
            assert!(value.iter().all(|byte| *byte == value[0]), "a torn value");
        }
    }
    writer.await.unwrap();
}

const LOG: Table = Table(1);

async fn append(store: &SledStore, count: usize) {
    let mut batch = Batch::new();
    for _ in 0..count {
        batch.append(LOG, vec![7; count]);
    }
    store.commit(batch).await.unwrap();
}

/// Waits until so many blocks have left the tree; the committer moves them after it has answered.
async fn moved(store: &SledStore, blocks: u64) {
    let gone = |progress: &Progress| progress.moved.blocks(LOG) == blocks;
    store.shared.progress.subscribe().wait_for(gone).await.unwrap();
    // The next commit is taken up when the move is over.
    store.commit(one_put(b"k", b"v")).await.unwrap();
}

#[tokio::test]
async fn full_blocks_of_a_numbered_table_leave_the_tree() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    for _ in 0..10 {
        append(&store, 100).await;
    }
    moved(&store, 3).await;
    let in_tree = |store: &SledStore| store.shared.read(|db| Ok(db.len())).unwrap();
    let expected = 1_000 - 3 * 256 + 3;
    assert_eq!(
        in_tree(&store),
        expected,
        "with the counters, the count of blocks, and a key"
    );
    assert_eq!(fs::read_dir(dir.path().join("numbered")).unwrap().count(), 3);
    store.close().await.unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    assert_eq!(in_tree(&store), expected);
    assert_eq!(store.scan(LOG, b"", None, usize::MAX).await.unwrap().len(), 1_000);
    append(&store, 24).await;
    moved(&store, 4).await;
    assert_eq!(in_tree(&store), 3);
}

#[tokio::test]
async fn a_row_that_left_the_tree_is_guarded_and_never_changed() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    append(&store, 300).await;
    moved(&store, 1).await;
    let key = 9_u64.to_be_bytes();
    let item = store.get(LOG, &key).await.unwrap().unwrap();
    let commit = async |fill: &dyn Fn(&mut Batch)| {
        let mut batch = Batch::new();
        fill(&mut batch);
        store.commit(batch).await
    };
    let (fixed, conflict) = (Err(StoreError::Numbered), Err(StoreError::Conflict { guard: 0 }));
    let guard = async |guard: Guard| commit(&|batch| _ = batch.require(LOG, key, guard.clone())).await;
    assert_eq!(commit(&|batch| _ = batch.put(LOG, key, b"x")).await, fixed);
    assert_eq!(commit(&|batch| _ = batch.delete(LOG, key)).await, fixed);
    assert_eq!(guard(Guard::Absent).await, conflict);
    assert_eq!(guard(Guard::At(Version(item.version.0 + 1))).await, conflict);
    assert!(guard(Guard::At(item.version)).await.is_ok());
    assert_eq!(store.get(LOG, &key).await.unwrap(), Some(item));
}

#[tokio::test]
async fn what_a_crash_left_of_a_block_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("numbered")).unwrap();
    for left in ["01-000000000000", "01-000000000001.new"] {
        fs::write(dir.path().join("numbered").join(left), b"half a block").unwrap();
    }
    let store = SledStore::open(dir.path()).unwrap();
    append(&store, 600).await;
    moved(&store, 2).await;
    let rows = store.scan(LOG, b"", None, usize::MAX).await.unwrap();
    assert_eq!(rows.len(), 600);
    assert!(rows.iter().all(|row| row.item.value == vec![7; 600]));
    assert_eq!(fs::read_dir(dir.path().join("numbered")).unwrap().count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_finds_a_gap_while_blocks_leave_the_tree() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SledStore::open(dir.path()).unwrap());
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for _ in 0..60 {
                append(&store, 50).await;
            }
        }
    });
    let mut scans = 0;
    while !writer.is_finished() {
        let least = store.appended(LOG).await.unwrap();
        let rows = store.scan(LOG, b"", None, usize::MAX).await.unwrap();
        assert!(rows.len() as u64 >= least);
        assert!(
            rows.iter()
                .map(|row| row.key.as_slice())
                .eq((0..rows.len() as u64).map(u64::to_be_bytes))
        );
        for number in (0..least).step_by(31) {
            assert!(
                store.get(LOG, &number.to_be_bytes()).await.unwrap().is_some(),
                "{number}"
            );
        }
        scans += 1;
    }
    writer.await.unwrap();
    assert!(scans > 0);
}

fn one_put(key: &[u8], value: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.put(TABLE, key, value);
    batch
}
