//! The append-only log: entries go into the same commit as the change that they record; signed checkpoints fix the tree's root.

use super::merkle::{self, Frontier};
use crate::{
    jose::{Digest, JoseError, Signer, VerifyingKey, base64url, canonical, token},
    store::{Batch, Committed, Store, StoreError, Table},
};
use policy::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tokio::sync::{Mutex, Notify};

/// Log entries by number.
const ENTRIES: Table = Table(1);
/// Signed checkpoints by tree size (big-endian).
const CHECKPOINTS: Table = Table(2);
/// The size of the newest checkpoint, so that a start need not look for it.
const NEWEST: Table = Table(14);
/// How many entries are read at a time.
const PAGE: usize = 512;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A peer's message was accepted.
    MessageIn,
    /// A message of ours was decided.
    MessageOut,
    /// A peer acknowledged a message of ours.
    Acknowledged,
    /// A peer refused a message of ours.
    Refused,
    /// An agreement carries both signatures.
    Agreement,
    /// An agreement lost its force.
    AgreementVoid,
    /// A dataset was published or removed.
    Dataset,
    /// A consent was recorded.
    ConsentGiven,
    /// A consent was withdrawn.
    ConsentWithdrawn,
    /// A stream of records was opened.
    StreamOpened,
    /// A stream of records ended: how many left, how many were withheld and why.
    Release,
    /// Records were received.
    Received,
    /// A receipt was signed or taken in.
    Receipt,
    /// A key of ours came, changed its state, or went.
    KeyEvent,
    /// A peer is held to signing, or not any more.
    PeerPinned,
    /// A peer that signs was spoken for without a signature, and refused.
    SignatureStripped,
}

/// One entry before it has a number. It never holds a direct identifier of a learner: only keyed hashes.
#[derive(Clone, Debug)]
pub struct Entry {
    kind: Kind,
    members: Map<String, Value>,
}

impl Entry {
    /// An entry about nothing in particular yet.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            members: Map::new(),
        }
    }

    /// Adds a member: a process, a peer, a state, a count.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds the hash of the object that this entry is about.
    pub fn of(self, name: &str, digest: &Digest) -> Self {
        self.with(name, digest.to_string())
    }

    fn bytes(&self, now: Timestamp) -> Result<Vec<u8>, StoreError> {
        let mut members = self.members.clone();
        members.insert("v".into(), 1.into());
        members.insert("ts".into(), now.to_string().into());
        members.insert("kind".into(), json!(self.kind));
        canonical::signable(&Value::Object(members))
            .map_err(|error| StoreError::Corrupt(format!("audit entry: {error}")))
    }
}

/// A checked or rejected log.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Verification {
    /// Number of entries.
    pub entries: u64,
    /// Number of signed checkpoints that were checked.
    pub checkpoints: u64,
    /// Size that the newest checkpoint covers.
    pub sealed: u64,
    /// Root over all entries.
    pub root: String,
}

/// Why a log is not what was once written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry number is missing or doubled.
    #[error("entry {0} is missing")]
    Gap(u64),
    /// Entries that a signed checkpoint covers are missing.
    #[error("a signed checkpoint covers {sealed} entries but only {found} are there")]
    Truncated {
        /// The checkpoint's size.
        sealed: u64,
        /// Entries found.
        found: u64,
    },
    /// The entries do not lead to the root that was signed.
    #[error("the first {0} entries do not have the root that was signed")]
    Rewritten(u64),
    /// A checkpoint's signature does not verify.
    #[error("the checkpoint over {size} entries is not signed by this connector: {cause}")]
    Signature {
        /// The checkpoint's size.
        size: u64,
        /// Why.
        cause: JoseError,
    },
    /// A checkpoint cannot be read.
    #[error("the checkpoint over {0} entries cannot be read")]
    Unreadable(u64),
}

/// The log over a store. Rooms commit through it, so that no change of theirs can forget its entry.
pub struct Log {
    store: Arc<dyn Store>,
    signer: Arc<Signer>,
    changed: Notify,
    head: Mutex<Option<Frontier>>,
}

impl Log {
    /// The log that lives in `store`, sealed by `signer`.
    pub fn new(store: Arc<dyn Store>, signer: Arc<Signer>) -> Self {
        Self {
            store,
            signer,
            changed: Notify::new(),
            head: Mutex::new(None),
        }
    }

    /// The store, for reading and for commits that change nothing worth recording (a spent message id).
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Commits a change together with the entries that record it.
    pub async fn commit(
        &self,
        mut batch: Batch,
        first: Entry,
        more: Vec<Entry>,
        now: Timestamp,
    ) -> Result<Committed, StoreError> {
        for entry in std::iter::once(first).chain(more) {
            batch.append(ENTRIES, entry.bytes(now)?);
        }
        let committed = self.store.commit(batch).await?;
        self.changed.notify_one();
        Ok(committed)
    }

    /// Waits until something was committed since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Up to `limit` entries from number `from` on, with their numbers.
    pub async fn entries(&self, from: u64, limit: usize) -> Result<Vec<(u64, Value)>, StoreError> {
        let after = from.checked_sub(1).map(u64::to_be_bytes);
        let rows = self
            .store
            .scan(ENTRIES, &[], after.as_ref().map(|key| key.as_slice()), limit)
            .await?;
        rows.into_iter()
            .map(|row| {
                let value = serde_json::from_slice(&row.item.value)
                    .map_err(|error| StoreError::Corrupt(format!("audit entry: {error}")))?;
                Ok((number(&row.key)?, value))
            })
            .collect()
    }

    /// How many entries there are.
    pub async fn count(&self) -> Result<u64, StoreError> {
        self.store.appended(ENTRIES).await
    }

    /// Signs the root over everything logged so far, if anything is new; returns the size that is now sealed.
    pub async fn seal(&self, now: Timestamp) -> Result<u64, AuditError> {
        let mut head = self.head.lock().await;
        let mut frontier = match head.take() {
            Some(frontier) => frontier,
            None => self.last_frontier().await?,
        };
        let sealed = frontier.size();
        self.extend(&mut frontier, u64::MAX).await?;
        let size = frontier.size();
        if size > sealed {
            let claims = json!({"size": size, "root": frontier.root().to_string(), "ts": now.to_string(),
                "frontier": base64url::encode(&frontier.to_bytes())});
            let signed = token::sign(&self.signer, token::Kind::Checkpoint, &claims)
                .map_err(|cause| AuditError::Signature { size, cause })?;
            let mut batch = Batch::new();
            batch.put(CHECKPOINTS, size.to_be_bytes(), signed);
            batch.put(NEWEST, [], size.to_be_bytes());
            self.store.commit(batch).await?;
        }
        *head = Some(frontier);
        Ok(size)
    }

    async fn last_frontier(&self) -> Result<Frontier, AuditError> {
        let Some(newest) = self.store.get(NEWEST, &[]).await? else {
            return Ok(Frontier::new());
        };
        let size = number(&newest.value)?;
        let checkpoint = self.store.get(CHECKPOINTS, &size.to_be_bytes()).await?;
        let value = checkpoint.ok_or(AuditError::Unreadable(size))?.value;
        let claims = self.open_checkpoint(size, &value, self.signer.key().verifying_key())?;
        claims
            .get("frontier")
            .and_then(Value::as_str)
            .and_then(base64url::decode)
            .and_then(|bytes| Frontier::from_bytes(&bytes).ok())
            .filter(|frontier| frontier.size() == size)
            .ok_or(AuditError::Unreadable(size))
    }

    /// Appends the leaves from `frontier.size()` on, up to `until`.
    async fn extend(&self, frontier: &mut Frontier, until: u64) -> Result<(), AuditError> {
        while frontier.size() < until {
            let after = frontier.size().checked_sub(1).map(u64::to_be_bytes);
            let limit = usize::try_from(until - frontier.size()).unwrap_or(PAGE).min(PAGE);
            let rows = self
                .store
                .scan(ENTRIES, &[], after.as_ref().map(|key| key.as_slice()), limit)
                .await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                if number(&row.key)? != frontier.size() {
                    return Err(AuditError::Gap(frontier.size()));
                }
                frontier.append(merkle::leaf_hash(&row.item.value));
            }
        }
        Ok(())
    }

    fn open_checkpoint(&self, size: u64, value: &[u8], key: &VerifyingKey) -> Result<Value, AuditError> {
        let text = std::str::from_utf8(value).map_err(|_| AuditError::Unreadable(size))?;
        token::verify(text, token::Kind::Checkpoint, |kid| {
            (kid == self.signer.kid()).then(|| key.clone())
        })
        .map(token::Claims::into_value)
        .map_err(|cause| AuditError::Signature { size, cause })
    }

    /// Reads everything back from disk and checks it against every checkpoint ever signed.
    pub async fn verify(&self) -> Result<Verification, AuditError> {
        let key = self.signer.key().verifying_key();
        let found = self.count().await?;
        let mut frontier = Frontier::new();
        let (mut checkpoints, mut after) = (0, None::<Vec<u8>>);
        loop {
            let rows = self.store.scan(CHECKPOINTS, &[], after.as_deref(), PAGE).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.key.clone());
            for row in rows {
                let size = number(&row.key)?;
                let claims = self.open_checkpoint(size, &row.item.value, key)?;
                self.extend(&mut frontier, size).await?;
                if frontier.size() < size {
                    return Err(AuditError::Truncated { sealed: size, found });
                }
                let root = frontier.root().to_string();
                if claims.get("root").and_then(Value::as_str) != Some(&root)
                    || claims.get("size").and_then(Value::as_u64) != Some(size)
                {
                    return Err(AuditError::Rewritten(size));
                }
                checkpoints += 1;
            }
        }
        let sealed = frontier.size();
        self.extend(&mut frontier, u64::MAX).await?;
        if frontier.size() < found {
            return Err(AuditError::Gap(frontier.size()));
        }
        let root = frontier.root().to_string();
        Ok(Verification {
            entries: frontier.size(),
            checkpoints,
            sealed,
            root,
        })
    }
}

fn number(key: &[u8]) -> Result<u64, StoreError> {
    key.try_into()
        .map(u64::from_be_bytes)
        .map_err(|_| StoreError::Corrupt("audit log: a key is not a number".into()))
}
