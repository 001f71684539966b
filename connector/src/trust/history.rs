//! Every version of a DID document that was ever seen, our own included: what a key proved then must be provable when its owner has
//! published another one since (`trust-and-skills.md` 2.6). Kept once, with an entry in the audit log; read for evidence only.

use super::did::{DidError, MAX_DOCUMENT};
use crate::{
    audit::{Entry, Kind, Log},
    dsp::ParticipantId,
    jose::{Digest, canonical, sha256},
    store::{Batch, Guard, Pages, StoreError, Table},
};
use policy::Timestamp;
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// Documents in canonical form, by hash of the DID, time of the first fetch and hash of the document.
const DOCUMENTS: Table = Table(22);
/// The hash of the newest version, by hash of the DID.
const NEWEST: Table = Table(23);

/// How many versions of one participant's document are kept within [`DAY`]: whoever publishes without end fills no disk here.
const MOST: usize = 64;
/// See [`MOST`].
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A document in canonical form (RFC 8785), with its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    bytes: Vec<u8>,
    digest: Digest,
}

impl Version {
    /// Of a document as it was fetched.
    pub fn of(document: &Value) -> Result<Self, DidError> {
        let bytes = canonical::canonicalize(document).map_err(|error| DidError::Document(error.to_string()))?;
        if bytes.len() > MAX_DOCUMENT {
            return Err(DidError::Document(format!("it is larger than {MAX_DOCUMENT} bytes")));
        }
        let digest = sha256(&bytes);
        Ok(Self { bytes, digest })
    }

    /// SHA-256 over the canonical form.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The canonical form.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The versions of a store, written through its log.
#[derive(Clone)]
pub struct History(Arc<Log>);

impl History {
    /// Over the log's store.
    pub fn new(log: Arc<Log>) -> Self {
        Self(log)
    }

    /// Keeps a version that is not the one that was seen last, together with its entry in the log: one that comes back is recorded again,
    /// because which keys counted at a time is read from the order of the entries. Of a participant who publishes version after version
    /// those over the limit are used like any other and not kept: evidence can then lack a key that only they had.
    pub async fn note(&self, did: &ParticipantId, version: &Version, now: Timestamp) -> Result<(), StoreError> {
        let hash = sha256(did.as_str().as_bytes());
        let owner = *hash.as_bytes();
        loop {
            let newest = self.0.store().get(NEWEST, &owner).await?;
            if newest
                .as_ref()
                .is_some_and(|item| item.value == version.digest.as_bytes())
            {
                return Ok(());
            }
            if self.newer_than(&hash, now.minus(DAY)).await? >= MOST {
                tracing::warn!(%did, document = %version.digest, "a version of this DID document is not kept: there were {MOST} others within a day");
                return Ok(());
            }
            let time = now.millis().max(0).to_be_bytes();
            let place = [owner.as_slice(), &time, version.digest.as_bytes()].concat();
            let mut batch = Batch::new();
            let guard = newest.map_or(Guard::Absent, |item| Guard::At(item.version));
            batch.require(NEWEST, owner, guard);
            batch.put(NEWEST, owner, *version.digest.as_bytes());
            batch.put(DOCUMENTS, place, version.bytes.clone());
            let entry = Entry::new(Kind::DidDoc)
                .with("did", did.as_str())
                .of("document", &version.digest);
            match self.0.commit(batch, entry, Vec::new(), now).await {
                // Somebody else has just kept one, most likely the same.
                Err(StoreError::Conflict { .. }) => {}
                other => return other.map(drop),
            }
        }
    }

    /// How many versions were first seen after this time, counted up to the limit.
    async fn newer_than(&self, owner: &Digest, time: Timestamp) -> Result<usize, StoreError> {
        let after = [owner.as_bytes().as_slice(), &time.millis().max(0).to_be_bytes()].concat();
        let rows = self.0.store().scan(DOCUMENTS, owner.as_bytes(), Some(&after), MOST);
        Ok(rows.await?.len())
    }

    /// All versions of one participant's document, the first seen first, each with the time when it was seen.
    pub async fn of(&self, did: &ParticipantId) -> Result<Vec<(Timestamp, Version)>, StoreError> {
        let owner = sha256(did.as_str().as_bytes());
        let mut found = Vec::new();
        let mut pages = Pages::new(&**self.0.store(), DOCUMENTS, *owner.as_bytes(), 16);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                found.push((seen_at(&row.key)?, kept(row.item.value)));
            }
        }
        Ok(found)
    }
}

fn kept(bytes: Vec<u8>) -> Version {
    let digest = sha256(&bytes);
    Version { bytes, digest }
}

fn seen_at(key: &[u8]) -> Result<Timestamp, StoreError> {
    let time = key.get(Digest::LEN..).and_then(|rest| rest.first_chunk::<8>());
    time.map(|bytes| Timestamp::from_millis(i64::from_be_bytes(*bytes)))
        .ok_or_else(|| StoreError::Corrupt("the key of a DID document has no time".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit::LogSigner, jose::SigningKey, store::MemoryStore};
    use serde_json::json;

    fn history() -> (History, Arc<Log>) {
        let signer = LogSigner::new("a.example/log", SigningKey::from_seed(&[1; 32]).unwrap()).unwrap();
        let log = Arc::new(Log::new(Arc::new(MemoryStore::default()), signer));
        (History::new(log.clone()), log)
    }

    #[tokio::test]
    async fn a_version_is_recorded_once_however_it_is_spelt_and_again_when_it_comes_back() {
        let (history, log) = history();
        let did: ParticipantId = "did:web:a.example".parse().unwrap();
        let other: ParticipantId = "did:web:b.example".parse().unwrap();
        let at = |seconds| Timestamp::from_seconds(seconds);
        let (first, second) = (json!({"id": "a", "n": 1}), json!({"id": "a", "n": 2}));
        let again: Value = serde_json::from_str("{ \"n\":1, \"id\":\"a\" }").unwrap();
        for (value, time) in [(&first, 10), (&again, 20), (&second, 30), (&first, 40)] {
            history
                .note(&did, &Version::of(value).unwrap(), at(time))
                .await
                .unwrap();
        }
        history
            .note(&other, &Version::of(&first).unwrap(), at(50))
            .await
            .unwrap();
        let kept = history.of(&did).await.unwrap();
        let expected = [(10, &first), (30, &second), (40, &first)];
        assert_eq!(kept.len(), 3);
        for ((time, version), (seconds, value)) in kept.iter().zip(expected) {
            assert_eq!((*time, version), (at(seconds), &Version::of(value).unwrap()));
        }
        let entries = log.entries(0, 10).await.unwrap();
        assert_eq!(entries.len(), 4);
        let (_, entry) = &entries[2];
        assert_eq!(entry["kind"], "did-doc");
        assert_eq!(entry["did"], "did:web:a.example");
        assert_eq!(entry["document"], Version::of(&first).unwrap().digest().to_string());
    }

    #[tokio::test]
    async fn of_versions_without_end_so_many_are_kept_a_day_and_others_are_not_affected() {
        let (history, log) = history();
        let did: ParticipantId = "did:web:a.example".parse().unwrap();
        let other: ParticipantId = "did:web:b.example".parse().unwrap();
        let version = |n: usize| Version::of(&json!({"id": "a", "n": n})).unwrap();
        let at = |seconds: usize| Timestamp::from_seconds(1_000_000 + i64::try_from(seconds).unwrap());
        for n in 0..MOST + 10 {
            history.note(&did, &version(n), at(n)).await.unwrap();
        }
        history.note(&other, &version(0), at(MOST)).await.unwrap();
        assert_eq!(history.of(&did).await.unwrap().len(), MOST);
        assert_eq!(history.of(&other).await.unwrap().len(), 1);
        assert_eq!(log.count().await.unwrap(), MOST as u64 + 1);
        // When the first of them is more than a day old there is room for one again.
        let later = at(24 * 3600 + 1);
        history.note(&did, &version(MOST + 10), later).await.unwrap();
        history.note(&did, &version(MOST + 11), later).await.unwrap();
        assert_eq!(history.of(&did).await.unwrap().len(), MOST + 1);
    }

    #[test]
    fn a_document_that_no_item_holds_is_refused() {
        let large = json!({"id": "x".repeat(MAX_DOCUMENT)});
        assert!(matches!(Version::of(&large), Err(DidError::Document(_))));
    }
}
