//! Logs that somebody changed who can write to the store and has no key: what was changed is named, and nothing is sealed on it.

use super::*;
use crate::{audit::Verification, store::Write};

const ENTRIES: Table = Table(1);

/// A log of 600 entries in two checkpoints, both cosigned, with one write made behind its back.
async fn tampered(write: Write) -> Result<Verification, AuditError> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let log = Log::new(store.clone(), sealer());
    fill(&log, 300).await;
    log.seal().await.unwrap();
    cosign(&log, &witness(5)).await;
    fill(&log, 300).await;
    log.seal().await.unwrap();
    cosign(&log, &witness(5)).await;
    fill(&log, 5).await;
    log.verify().await.unwrap();
    let mut batch = Batch::new();
    batch.writes.push(write);
    store.commit(batch).await.unwrap();
    Log::new(store, sealer()).verify().await
}

/// Whether an error is the one that is expected.
type Expected = fn(&AuditError) -> bool;

fn number_key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

#[tokio::test]
async fn whatever_is_changed_on_disk_is_named() {
    let put = |table, key: Vec<u8>, value: &[u8]| Write::Put(table, key, value.to_vec());
    let tile = |level, index| Tile { level, index };
    let other = |size| {
        let signer = LogSigner::new("a.example/log", SigningKey::from_seed(&[9; 32]).unwrap()).unwrap();
        SignedCheckpoint::sign(&signer, size, Digest::EMPTY)
            .unwrap()
            .note()
            .to_string()
    };
    let own = |size| {
        SignedCheckpoint::sign(&sealer(), size, Digest::EMPTY)
            .unwrap()
            .note()
            .to_string()
    };
    let cosigned = [cosigned_key(600).as_slice(), b"w5.example/log"].concat();
    let cases: [(&str, Write, Expected); 18] = [
        ("an entry", put(ENTRIES, number_key(0), b"{}"), |e| {
            matches!(e, AuditError::Tile(Tile { level: 0, index: 0 }))
        }),
        ("an entry of the last tile", put(ENTRIES, number_key(599), b"{}"), |e| {
            matches!(e, AuditError::Rewritten(600))
        }),
        ("an entry between", put(ENTRIES, number_key(299), b"{}"), |e| {
            matches!(e, AuditError::Rewritten(300))
        }),
        ("a missing entry", Write::Delete(ENTRIES, number_key(5)), |e| {
            matches!(e, AuditError::Gap(5))
        }),
        ("a missing end", Write::Delete(ENTRIES, number_key(604)), |e| {
            matches!(e, AuditError::Gap(604))
        }),
        ("a full tile", put(tile(0, 1).full(), number_key(1), &[0; 8192]), |e| {
            matches!(e, AuditError::Tile(Tile { level: 0, index: 1 }))
        }),
        (
            "a partial tile",
            put(PARTIAL, tile(1, 0).key().to_vec(), &[0; 64]),
            |e| matches!(e, AuditError::Tile(Tile { level: 1, index: 0 })),
        ),
        ("a short tile", put(PARTIAL, tile(0, 2).key().to_vec(), &[0; 32]), |e| {
            matches!(e, AuditError::Tile(Tile { level: 0, index: 2 }))
        }),
        ("a missing tile", Write::Delete(tile(0, 0).full(), number_key(0)), |e| {
            matches!(e, AuditError::Tile(Tile { level: 0, index: 0 }))
        }),
        (
            "a checkpoint of another key",
            put(CHECKPOINTS, number_key(300), other(300).as_bytes()),
            |e| matches!(e, AuditError::Checkpoint { size: 300, .. }),
        ),
        (
            "a checkpoint with another root",
            put(CHECKPOINTS, number_key(600), own(600).as_bytes()),
            |e| matches!(e, AuditError::Rewritten(600)),
        ),
        (
            "a checkpoint with another size",
            put(CHECKPOINTS, number_key(300), own(299).as_bytes()),
            |e| matches!(e, AuditError::Unreadable(300)),
        ),
        (
            "a checkpoint of an older form",
            put(CHECKPOINTS, number_key(300), b"eyJhbGciOiJFUzI1NiJ9.e30.AAAA"),
            |e| matches!(e, AuditError::Unreadable(300)),
        ),
        (
            "a checkpoint over more than there is",
            put(CHECKPOINTS, number_key(700), own(700).as_bytes()),
            |e| matches!(e, AuditError::NotNewest(700)),
        ),
        (
            "no newest checkpoint",
            Write::Delete(CHECKPOINTS, number_key(600)),
            |e| matches!(e, AuditError::Missing(600)),
        ),
        (
            "another newest checkpoint",
            put(NEWEST, Vec::new(), &number_key(300)),
            |e| matches!(e, AuditError::NotNewest(600)),
        ),
        ("no newest", Write::Delete(NEWEST, Vec::new()), |e| {
            matches!(e, AuditError::NotNewest(300))
        }),
        (
            "a cosignature",
            put(
                COSIGNATURES,
                cosigned,
                format!("{}\n— w5.example/log AAAAAAAAAAAA\n", witness(5).key().witness()).as_bytes(),
            ),
            |e| matches!(e, AuditError::Cosignature { size: 600, .. }),
        ),
    ];
    for (what, write, expected) in cases {
        match tampered(write).await {
            Err(error) => assert!(expected(&error), "{what}: {error}"),
            Ok(_) => panic!("{what} went unseen"),
        }
    }
}

#[tokio::test]
async fn a_log_that_was_changed_behind_its_back_is_not_sealed_on() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let log = Log::new(store.clone(), sealer());
    fill(&log, 10).await;
    log.seal().await.unwrap();
    let mut batch = Batch::new();
    batch.put(PARTIAL, Tile { level: 0, index: 0 }.key(), [0; 320]);
    store.commit(batch).await.unwrap();
    let log = Log::new(store.clone(), sealer());
    fill(&log, 1).await;
    assert!(matches!(log.seal().await, Err(AuditError::Rewritten(10))));
    // The store of an older version, whose checkpoints were tokens.
    let mut batch = Batch::new();
    batch.put(CHECKPOINTS, number_key(10), "eyJhbGciOiJFUzI1NiJ9.e30.AAAA");
    store.commit(batch).await.unwrap();
    assert!(matches!(
        Log::new(store, sealer()).seal().await,
        Err(AuditError::Unreadable(10))
    ));
}

#[tokio::test]
async fn a_log_whose_end_is_gone_is_named() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let log = Log::new(store.clone(), sealer());
    fill(&log, 10).await;
    log.seal().await.unwrap();
    let mut batch = Batch::new();
    for number in 7..10 {
        batch.delete(ENTRIES, number_key(number));
    }
    store.commit(batch).await.unwrap();
    assert!(matches!(
        log.verify().await,
        Err(AuditError::Truncated { sealed: 10, .. })
    ));
}

/// Whoever can write to the store and has no key makes a log of his own, tiles and all, and waits for the next start to have it signed.
#[tokio::test]
async fn a_log_that_was_made_without_the_key_is_not_sealed_on() {
    let forger = LogSigner::new(sealer().key().name(), SigningKey::from_seed(&[9; 32]).unwrap()).unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let log = Log::new(store.clone(), forger.clone());
    fill(&log, 300).await;
    log.seal().await.unwrap();
    let log = Log::new(store.clone(), sealer());
    fill(&log, 1).await;
    assert!(matches!(
        log.seal().await,
        Err(AuditError::Checkpoint { size: 300, .. })
    ));
    // Nor does he get far by hiding which checkpoint is the newest.
    let mut batch = Batch::new();
    batch.delete(NEWEST, []);
    store.commit(batch).await.unwrap();
    assert!(matches!(log.seal().await, Err(AuditError::NotNewest(300))));
    let mut batch = Batch::new();
    batch.put(NEWEST, [], 300_u64.to_be_bytes());
    batch.delete(CHECKPOINTS, number_key(300));
    store.commit(batch).await.unwrap();
    assert!(matches!(log.seal().await, Err(AuditError::Missing(300))));
}
