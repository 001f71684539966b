//! The append-only log: entries go into the same commit as the change that they record. What makes it provable is in `seal`, what checks
//! it in `verify`.

use super::{
    merkle,
    note::{LogKey, LogSigner},
    tiles::Edge,
};
use crate::{
    jose::{Digest, base64url, canonical, random},
    store::{Batch, Committed, Store, StoreError, Table},
};
use policy::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tokio::sync::{Mutex, Notify, watch};

/// Log entries by number.
pub(super) const ENTRIES: Table = Table(1);
/// How many entries are read at a time.
pub(super) const PAGE: usize = 512;
/// Longest entry, in bytes: bundles of entries give each its length in 16 bits (tlog-tiles, Log entries).
const MAX_ENTRY: usize = 0xFFFF;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A peer's message was accepted.
    MessageIn,
    /// A peer's message was refused for good: only hashes of it are kept.
    MessageRefused,
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
    /// The operator recorded what was paid under an agreement.
    AgreementPaid,
    /// A dataset was published or removed.
    Dataset,
    /// A consent was asked for.
    ConsentRequested,
    /// A decision about a consent was put off.
    ConsentDeferred,
    /// One of two who sign a consent together has.
    ConsentSigned,
    /// A consent was given.
    ConsentGiven,
    /// A consent was given again for a longer time.
    ConsentReaffirmed,
    /// The notice of a consent was replaced without changing its meaning.
    ConsentNoted,
    /// A consent was refused.
    ConsentRefused,
    /// A consent was withdrawn.
    ConsentWithdrawn,
    /// A message about a learner's consents was decided.
    ConsentMessageOut,
    /// A peer's message about a learner's consents was accepted.
    ConsentMessageIn,
    /// A link between two identifiers of a learner was begun, claimed, confirmed or removed.
    IdentityLink,
    /// Received records of a learner were erased.
    RecordsErased,
    /// The time of a consent was over.
    ConsentExpired,
    /// A consent was ended by the holder or an authority.
    ConsentRevoked,
    /// A consent turned out not to be valid.
    ConsentInvalidated,
    /// A newer consent took the place of one.
    ConsentSuperseded,
    /// A notice for learners was registered.
    Notice,
    /// Whose word counts for a learner was recorded.
    Standing,
    /// Another lawful basis than consent was declared, or ended.
    Basis,
    /// A learner objected.
    Objection,
    /// The processing of a learner's records was restricted.
    ProcessingRestricted,
    /// Such a restriction was lifted.
    RestrictionLifted,
    /// What linked a learner to the entries about their consents was deleted.
    LearnerForgotten,
    /// A transfer, or a stream of one, was refused by the policy of its agreement, by which code.
    TransferRefused,
    /// A stream of records was opened.
    StreamOpened,
    /// A stream of records ended: how many left, how many were withheld and why.
    Release,
    /// A table of groups or anonymous rows were made for a recipient, and noted in the ledger of what it has.
    GroupsReleased,
    /// A table or anonymous rows were refused, by which rule.
    ReleaseRefused,
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
    /// A newer trust list counts.
    TrustList,
    /// A participant was admitted as a member.
    MemberAdmitted,
    /// A participant is a member no more.
    MemberRemoved,
    /// A version of a DID document, a peer's or our own, was seen for the first time.
    DidDoc,
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

    /// Adds the number that something recorded by this entry has in the archive of its process, so that nothing can be left out of it unseen.
    pub fn archived(mut self, number: u64) -> Self {
        let numbers = self.members.entry("exhibits").or_insert_with(|| json!([]));
        if let Value::Array(numbers) = numbers {
            numbers.push(number.into());
        }
        self
    }

    /// Adds the hash of the object that this entry is about.
    pub fn of(self, name: &str, digest: &Digest) -> Self {
        self.with(name, digest.to_string())
    }

    /// The entry as it is stored and hashed. The hashes of all entries are public, so each carries 128 random bits: without them, whoever
    /// guesses an entry could see whether he is right.
    fn bytes(&self, now: Timestamp) -> Result<Vec<u8>, StoreError> {
        let salt = random::bytes::<16>().map_err(|error| unwritable(&error))?;
        let mut members = self.members.clone();
        members.insert("v".into(), 1.into());
        members.insert("ts".into(), now.to_string().into());
        members.insert("kind".into(), json!(self.kind));
        members.insert("salt".into(), base64url::encode(&salt).into());
        let bytes = canonical::signable(&Value::Object(members)).map_err(|error| unwritable(&error))?;
        if bytes.len() > MAX_ENTRY {
            return Err(StoreError::TooLarge {
                what: "audit entry",
                size: bytes.len(),
                limit: MAX_ENTRY,
            });
        }
        Ok(bytes)
    }
}

fn unwritable(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("audit entry: {error}"))
}

/// The log over a store. Rooms commit through it, so that no change of theirs can forget its entry.
pub struct Log {
    pub(super) store: Arc<dyn Store>,
    pub(super) signer: LogSigner,
    /// Keys that signed this log before.
    pub(super) past: Vec<LogKey>,
    changed: Notify,
    pub(super) sealed: watch::Sender<u64>,
    /// The right edge of the tree as it was last sealed; none before the first look.
    pub(super) edge: Mutex<Option<Edge>>,
}

impl Log {
    /// The log that lives in `store`, sealed by `signer`.
    pub fn new(store: Arc<dyn Store>, signer: LogSigner) -> Self {
        Self {
            store,
            signer,
            past: Vec::new(),
            changed: Notify::new(),
            sealed: watch::Sender::new(0),
            edge: Mutex::new(None),
        }
    }

    /// With keys that signed it before, of a master secret that was replaced. They are not in the store: whoever can write there would
    /// bring his own.
    pub fn signed_before_by(self, past: Vec<LogKey>) -> Self {
        Self { past, ..self }
    }

    /// The store, for reading and for commits that change nothing worth recording (a spent message id).
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The key that seals the log; the log's origin is its name.
    pub fn signer(&self) -> &LogSigner {
        &self.signer
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

    /// The size of the newest checkpoint that was signed since the start, for those who wait for the next one; 0 before the first.
    pub fn sealed(&self) -> watch::Receiver<u64> {
        self.sealed.subscribe()
    }

    /// Up to `limit` entries from number `from` on, with their numbers.
    pub async fn entries(&self, from: u64, limit: usize) -> Result<Vec<(u64, Value)>, StoreError> {
        let rows = self.raw_entries(from, limit).await?;
        rows.into_iter()
            .map(|(number, bytes)| {
                let value = serde_json::from_slice(&bytes)
                    .map_err(|error| StoreError::Corrupt(format!("audit entry: {error}")))?;
                Ok((number, value))
            })
            .collect()
    }

    /// The same as the bytes that are hashed.
    pub async fn raw_entries(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let after = from.checked_sub(1).map(u64::to_be_bytes);
        let rows = self
            .store
            .scan(ENTRIES, &[], after.as_ref().map(|key| key.as_slice()), limit)
            .await?;
        rows.into_iter()
            .map(|row| Ok((number(&row.key)?, row.item.value)))
            .collect()
    }

    /// One entry as the bytes that are hashed.
    pub async fn entry(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let item = self.store.get(ENTRIES, &number.to_be_bytes()).await?;
        Ok(item.map(|item| item.value))
    }

    /// How many entries there are.
    pub async fn count(&self) -> Result<u64, StoreError> {
        self.store.appended(ENTRIES).await
    }

    /// The hashes of up to a page of entries from number `from` on, none beyond `until`.
    pub(super) async fn leaves(&self, from: u64, until: u64) -> Result<Vec<Digest>, super::AuditError> {
        let limit = usize::try_from(until.saturating_sub(from)).unwrap_or(PAGE).min(PAGE);
        let rows = self.raw_entries(from, limit).await?;
        (from..)
            .zip(rows)
            .map(|(expected, (found, bytes))| match found == expected {
                true => Ok(merkle::leaf_hash(&bytes)),
                false => Err(super::AuditError::Gap(expected)),
            })
            .collect()
    }
}

pub(super) fn number(key: &[u8]) -> Result<u64, StoreError> {
    key.try_into()
        .map(u64::from_be_bytes)
        .map_err(|_| StoreError::Corrupt("audit log: a key is not a number".into()))
}
