mod tampered;

use super::*;
use crate::{
    audit::{
        Entry, Kind, LogSigner,
        merkle::{self, Frontier, leaf_hash},
        note::NoteError,
        proof::verify,
        tiles::Tile,
    },
    jose::{HmacKey, SigningKey},
    store::{Batch, Committed, Item, MemoryStore, Row as Stored, Store},
};
use async_trait::async_trait;
use policy::Timestamp;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

fn now() -> Timestamp {
    Timestamp::from_seconds(1_700_000_000)
}

fn sealer() -> LogSigner {
    LogSigner::of("https://a.example", &HmacKey::new(&[3; 32])).unwrap()
}

fn witness(seed: u8) -> LogSigner {
    LogSigner::new(
        &format!("w{seed}.example/log"),
        SigningKey::from_seed(&[seed; 32]).unwrap(),
    )
    .unwrap()
}

fn log() -> Log {
    Log::new(Arc::new(MemoryStore::new()), sealer())
}

async fn fill(log: &Log, entries: u64) {
    let mut left = entries;
    while left > 0 {
        let now_many = left.min(700);
        let entry = || Entry::new(Kind::Receipt).with("n", left);
        let more = (1..now_many).map(|_| entry()).collect();
        log.commit(Batch::new(), entry(), more, now()).await.unwrap();
        left -= now_many;
    }
}

async fn cosign(log: &Log, by: &LogSigner) {
    let signed = log.signed(log.sealed_size().await.unwrap()).await.unwrap();
    let cosignature = by.cosign(signed.note(), now()).unwrap();
    log.add_cosignature(&signed, by.key(), cosignature).await.unwrap();
}

async fn convinces(log: &Log, index: u64) -> u64 {
    let text = log.proof(index).await.unwrap().to_text();
    let entry = log.entry(index).await.unwrap().unwrap();
    let verified = verify(&text, &entry, sealer().key()).unwrap();
    assert_eq!(verified.index(), index);
    verified.checkpoint().checkpoint().size
}

#[tokio::test]
async fn every_entry_is_proved_in_every_tree_and_the_whole_verifies() {
    let log = log();
    let mut roots = vec![(0, Digest::EMPTY)];
    assert_eq!((log.seal().await.unwrap(), log.checkpoint().await.unwrap()), (0, None));
    for (more, size) in [(1, 1), (254, 255), (1, 256), (1, 257), (400, 657)] {
        fill(&log, more).await;
        assert_eq!(log.seal().await.unwrap(), size);
        assert_eq!(log.seal().await.unwrap(), size, "nothing is new");
        for index in 0..size {
            assert_eq!(convinces(&log, index).await, size);
        }
        let verified = log.verify().await.unwrap();
        assert_eq!((verified.entries, verified.sealed), (size, size));
        roots.push((size, log.newest().await.unwrap().unwrap().checkpoint().root));
    }
    let verified = log.verify().await.unwrap();
    assert_eq!((verified.checkpoints, verified.tiles, verified.cosignatures), (1, 4, 0));
    let mut frontier = Frontier::new();
    for (_, bytes) in log.raw_entries(0, 1000).await.unwrap() {
        frontier.append(leaf_hash(&bytes));
    }
    assert_eq!(verified.root, frontier.root().to_string());
    for (old, older) in roots {
        let proof = log.consistency(old, 657).await.unwrap();
        assert!(
            merkle::verify_consistency(old, &older, 657, &frontier.root(), &proof),
            "{old}"
        );
    }
}

#[tokio::test]
async fn what_is_not_sealed_or_not_there_is_told_apart() {
    let log = log();
    fill(&log, 3).await;
    assert!(matches!(log.proof(0).await, Err(AuditError::NotSealed(0))));
    log.seal().await.unwrap();
    fill(&log, 1).await;
    assert!(matches!(log.proof(3).await, Err(AuditError::NotSealed(3))));
    assert!(matches!(log.proof(4).await, Err(AuditError::NoEntry(4))));
    assert!(matches!(log.proof(u64::MAX).await, Err(AuditError::NoEntry(_))));
    assert!(matches!(log.consistency(9, 3).await, Err(AuditError::NoEntry(9))));
}

#[tokio::test]
async fn entries_of_the_same_content_do_not_look_alike() {
    let log = log();
    fill(&log, 2).await;
    let entries = log.entries(0, 10).await.unwrap();
    let salt = |at: usize| entries[at].1["salt"].as_str().unwrap().to_owned();
    assert_eq!(salt(0).len(), 22, "128 bits");
    assert_ne!(salt(0), salt(1));
}

#[tokio::test]
async fn an_entry_that_fits_into_no_bundle_is_refused() {
    let log = log();
    let long = |bytes: usize| Entry::new(Kind::Receipt).with("x", "y".repeat(bytes));
    let refused = log.commit(Batch::new(), long(0xFFFF), Vec::new(), now()).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })));
    log.commit(Batch::new(), long(65_000), Vec::new(), now()).await.unwrap();
    fill(&log, 1).await;
    log.seal().await.unwrap();
    let bundle = log.bundle(0).await.unwrap().unwrap();
    let first = log.entry(0).await.unwrap().unwrap();
    assert_eq!(bundle[..2], u16::try_from(first.len()).unwrap().to_be_bytes());
    assert_eq!(bundle[2..2 + first.len()], first);
    let second = log.entry(1).await.unwrap().unwrap();
    assert_eq!(bundle.len(), 4 + first.len() + second.len());
    assert_eq!(log.bundle(1).await.unwrap(), None);
}

#[tokio::test]
async fn a_restart_goes_on_from_the_tiles() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    for (more, size) in [(300, 300), (1, 301), (700, 1001)] {
        let log = Log::new(store.clone(), sealer());
        fill(&log, more).await;
        assert_eq!(log.seal().await.unwrap(), size);
    }
    let log = Log::new(store, sealer());
    assert_eq!(log.seal().await.unwrap(), 1001);
    assert_eq!(log.verify().await.unwrap().checkpoints, 1);
}

#[tokio::test]
async fn of_older_checkpoints_only_those_that_were_cosigned_are_kept() {
    let log = log();
    let mut asked = None;
    for size in 1..=6 {
        fill(&log, 1).await;
        log.seal().await.unwrap();
        match size {
            2 => cosign(&log, &witness(5)).await,
            4 => asked = log.newest().await.unwrap(),
            _ => {}
        }
    }
    let kept = async |size| log.signed(size).await.is_ok();
    let mut sizes = Vec::new();
    for size in 1..=6 {
        sizes.push(kept(size).await);
    }
    assert_eq!(sizes, [false, true, false, false, false, true]);
    // A witness that took its time still counts: its checkpoint comes back with its signature.
    let asked = asked.unwrap();
    let cosignature = witness(6).cosign(asked.note(), now()).unwrap();
    log.add_cosignature(&asked, witness(6).key(), cosignature)
        .await
        .unwrap();
    assert!(kept(4).await);
    assert_eq!(convinces(&log, 3).await, 4);
    assert_eq!(convinces(&log, 0).await, 4);
    let verified = log.verify().await.unwrap();
    assert_eq!((verified.checkpoints, verified.cosignatures), (3, 2));
}

#[tokio::test]
async fn a_proof_under_a_checkpoint_that_was_superseded_still_convinces() {
    let log = log();
    fill(&log, 300).await;
    log.seal().await.unwrap();
    let checkpoint = log.covering(7).await.unwrap();
    fill(&log, 300).await;
    log.seal().await.unwrap();
    let text = log.proof_under(7, &checkpoint).await.unwrap().to_text();
    let verified = verify(&text, &log.entry(7).await.unwrap().unwrap(), sealer().key()).unwrap();
    assert_eq!(verified.checkpoint().checkpoint().size, 300);
}

/// A store that fails at some commit and at every later one, as a crash does.
struct Crashing {
    inner: Arc<dyn Store>,
    left: AtomicUsize,
}

#[async_trait]
impl Store for Crashing {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Item>, StoreError> {
        self.inner.get(table, key).await
    }

    async fn scan(&self, t: Table, prefix: &[u8], after: Option<&[u8]>, n: usize) -> Result<Vec<Stored>, StoreError> {
        self.inner.scan(t, prefix, after, n).await
    }

    async fn appended(&self, table: Table) -> Result<u64, StoreError> {
        self.inner.appended(table).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        let left = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => self.inner.commit(batch).await,
            Err(_) => Err(StoreError::Failed("the power is cut".into())),
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

/// 40,000 entries take two commits of full tiles ahead of the last one.
#[tokio::test]
async fn a_crash_at_any_commit_of_a_seal_is_harmless() {
    for left in 0..=3 {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let log = Log::new(store.clone(), sealer());
        fill(&log, 100).await;
        log.seal().await.unwrap();
        fill(&log, 40_000).await;
        let crashing = Crashing {
            inner: store.clone(),
            left: AtomicUsize::new(left),
        };
        let sealed = Log::new(Arc::new(crashing), sealer()).seal().await;
        assert_eq!(sealed.is_ok(), left == 3, "{left} commits");
        let log = Log::new(store, sealer());
        let expected = if left == 3 { 40_100 } else { 100 };
        let verified = log.verify().await.unwrap();
        assert_eq!(
            (verified.sealed, verified.entries),
            (expected, 40_100),
            "{left} commits"
        );
        assert_eq!(convinces(&log, 7).await, expected);
        let beyond = Tile { level: 0, index: 1 };
        assert_eq!(
            log.tile(beyond, 256).await.unwrap().is_some(),
            left == 3,
            "only what is signed is served"
        );
        fill(&log, 50).await;
        assert_eq!(log.seal().await.unwrap(), 40_150);
        assert_eq!(log.verify().await.unwrap().sealed, 40_150);
        convinces(&log, 40_149).await;
    }
}

#[tokio::test]
async fn tiles_are_served_in_every_width_that_a_checkpoint_covers() {
    let log = log();
    fill(&log, 300).await;
    log.seal().await.unwrap();
    let tile = |level, index| Tile { level, index };
    let full = log.tile(tile(0, 0), 256).await.unwrap().unwrap();
    assert_eq!(full.len(), 256 * 32);
    assert_eq!(full[..32], *leaf_hash(&log.entry(0).await.unwrap().unwrap()).as_bytes());
    assert_eq!(log.tile(tile(0, 0), 10).await.unwrap().unwrap(), full[..320]);
    assert_eq!(log.tile(tile(0, 1), 44).await.unwrap().unwrap().len(), 44 * 32);
    assert_eq!(log.tile(tile(1, 0), 1).await.unwrap().unwrap().len(), 32);
    for (missing, width) in [
        (tile(0, 1), 45),
        (tile(0, 1), 256),
        (tile(0, 2), 1),
        (tile(1, 0), 2),
        (tile(2, 0), 1),
        (tile(0, 0), 0),
    ] {
        assert_eq!(log.tile(missing, width).await.unwrap(), None, "{missing:?} {width}");
    }
}

#[tokio::test]
async fn cosignatures_are_kept_with_their_checkpoint_and_go_into_proofs() {
    let log = log();
    fill(&log, 10).await;
    log.seal().await.unwrap();
    cosign(&log, &witness(5)).await;
    cosign(&log, &witness(6)).await;
    fill(&log, 1).await;
    log.seal().await.unwrap();
    // Entry 3 is proved against the checkpoint that was cosigned, entry 10 against the newest.
    let (older, newer) = (log.proof(3).await.unwrap(), log.proof(10).await.unwrap());
    assert_eq!(
        (
            older.checkpoint().checkpoint().size,
            newer.checkpoint().checkpoint().size
        ),
        (10, 11)
    );
    for seed in [5, 6] {
        assert_eq!(witness(seed).key().cosigned(older.checkpoint().note()), Ok(now()));
        assert!(witness(seed).key().cosigned(newer.checkpoint().note()).is_err());
    }
    cosign(&log, &witness(5)).await;
    assert_eq!(convinces(&log, 3).await, 11, "the newest cosigned one");
    let newest = log.checkpoint().await.unwrap().unwrap();
    assert_eq!(newest.note().signatures().len(), 2);
    assert_eq!(log.verify().await.unwrap().cosignatures, 3);
}

#[tokio::test]
async fn a_wrong_cosignature_is_not_kept() {
    let log = log();
    fill(&log, 10).await;
    log.seal().await.unwrap();
    let signed = log.signed(10).await.unwrap();
    let cosignature = witness(5).cosign(signed.note(), now()).unwrap();
    let other = log
        .add_cosignature(&signed, witness(6).key(), cosignature.clone())
        .await;
    assert!(matches!(
        other,
        Err(AuditError::Cosignature {
            cause: NoteError::NotSigned(_),
            ..
        })
    ));
    let of_other_text = witness(5).cosign(&sealer().sign("x\n".into()).unwrap(), now()).unwrap();
    let other = log.add_cosignature(&signed, witness(5).key(), of_other_text).await;
    assert!(matches!(
        other,
        Err(AuditError::Cosignature {
            cause: NoteError::BadSignature(_),
            ..
        })
    ));
    let foreign = SignedCheckpoint::sign(&witness(7), 10, Digest::EMPTY).unwrap();
    assert!(matches!(
        log.add_cosignature(&foreign, witness(5).key(), cosignature).await,
        Err(AuditError::Checkpoint { size: 10, .. })
    ));
    assert!(log.cosignatures(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_new_address_and_a_key_that_is_known_from_before_break_nothing() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let of = |address: &str, secret: u8| LogSigner::of(address, &HmacKey::new(&[secret; 32])).unwrap();
    let signers = [
        of("https://a.example", 3),
        of("https://b.example", 3),
        of("https://b.example", 4),
    ];
    let past = vec![signers[1].key().clone()];
    for (signer, past, size) in [
        (&signers[0], &Vec::new(), 5),
        (&signers[1], &Vec::new(), 10),
        (&signers[2], &past, 15),
        (&signers[2], &past, 20),
    ] {
        let log = Log::new(store.clone(), signer.clone()).signed_before_by(past.clone());
        fill(&log, 5).await;
        assert_eq!(log.seal().await.unwrap(), size);
        cosign(&log, &witness(5)).await;
        if size == 10 {
            let other = Log::new(store.clone(), signers[2].clone());
            assert!(matches!(other.verify().await, Err(AuditError::Checkpoint { .. })));
        }
    }
    let log = Log::new(store, signers[2].clone()).signed_before_by(past);
    assert_eq!(log.verify().await.unwrap().checkpoints, 4);
}

#[tokio::test]
async fn those_who_wait_for_a_seal_hear_of_it() {
    let log = log();
    let mut sealed = log.sealed();
    fill(&log, 2).await;
    assert!(!sealed.has_changed().unwrap());
    log.seal().await.unwrap();
    sealed.changed().await.unwrap();
    assert_eq!(*sealed.borrow_and_update(), 2);
    log.seal().await.unwrap();
    assert!(!sealed.has_changed().unwrap(), "nothing new was sealed");
}
