use super::*;
use crate::store::MemoryStore;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn kept() -> (Kept, Arc<dyn Store>) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    (Kept::new(store.clone()), store)
}

async fn rows(store: &Arc<dyn Store>) -> usize {
    store.scan(KEYS, &[], None, 10_000).await.unwrap().len()
}

async fn answered(kept: &Kept, key: &Digest, now: Timestamp) -> Option<(Begun, Option<(u16, Vec<u8>)>)> {
    match kept.find(key, now).await.unwrap() {
        Known::Answered(begun, answer) => Some((begun, answer.map(|answer| (answer.status, answer.body)))),
        _ => None,
    }
}

/// Bytes that no compression makes smaller.
fn noise(length: usize) -> Vec<u8> {
    (0..length.div_ceil(32) as u64)
        .flat_map(|number| *jose::sha256(&number.to_be_bytes()).as_bytes())
        .take(length)
        .collect()
}

#[tokio::test]
async fn an_answer_of_any_size_comes_back_as_it_was_given() {
    let (kept, store) = kept();
    for (number, body) in [Vec::new(), b"{}".to_vec(), noise(PIECE * PIECES_AT_ONCE * 2 + 5)]
        .into_iter()
        .enumerate()
    {
        let key = jose::sha256(&[number as u8]);
        let begun = kept.begin(key, Digest::EMPTY, NOW).await.unwrap();
        assert!(matches!(kept.find(&key, NOW).await.unwrap(), Known::Other(other) if other == begun));
        kept.end(key, begun.clone(), 201, &body).await.unwrap();
        assert_eq!(answered(&kept, &key, NOW).await, Some((begun, Some((201, body)))));
        kept.forget(&key).await.unwrap();
        assert!(matches!(kept.find(&key, NOW).await.unwrap(), Known::Nothing));
        assert_eq!(rows(&store).await, 0);
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_known_to_have_been_given() {
    let (kept, store) = kept();
    let key = jose::sha256(b"key");
    let begun = kept.begin(key, Digest::EMPTY, NOW).await.unwrap();
    kept.end(key, begun.clone(), 201, &noise(PIECE * MOST_PIECES + PIECE))
        .await
        .unwrap();
    assert_eq!(answered(&kept, &key, NOW).await, Some((begun, None)));
    assert_eq!(rows(&store).await, 2);
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day_and_can_be_used_again() {
    let (kept, store) = kept();
    let (early, late) = (jose::sha256(b"early"), jose::sha256(b"late"));
    let day_after = NOW.plus(DAY).plus(Duration::from_secs(1));
    for (key, at) in [(early, NOW), (late, NOW.plus(Duration::from_secs(60)))] {
        let begun = kept.begin(key, Digest::EMPTY, at).await.unwrap();
        kept.end(key, begun, 200, &noise(PIECE * PIECES_AT_ONCE)).await.unwrap();
    }
    assert_eq!(sweep(&*store, NOW.plus(DAY)).await.unwrap(), 0);
    assert_eq!(sweep(&*store, day_after).await.unwrap(), 1);
    assert!(answered(&kept, &late, day_after).await.is_some());

    // What the sweep has not come to yet is forgotten all the same.
    let long_after = day_after.plus(DAY);
    assert!(matches!(kept.find(&late, long_after).await.unwrap(), Known::Nothing));
    kept.begin(late, Digest::EMPTY, long_after).await.unwrap();
    assert_eq!(sweep(&*store, long_after).await.unwrap(), 0);
    assert_eq!(rows(&store).await, 2);
}
