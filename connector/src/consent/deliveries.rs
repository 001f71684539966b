//! Which recipient received records of which learner. A pair is on disk before the first record of that learner is handed to that recipient, so
//! that an ending is told to all who have something to erase, and to nobody else.
//!
//! Never too few: what was committed for a chunk that a crash or a change of the epoch then kept from leaving stays, which concerns at most
//! the learners whose first record was in the one chunk that each stream had in hand.

use super::pseudonym::{Tag, Uniform};
use crate::{
    dsp::ParticipantId,
    jose::HmacKey,
    process::{decode, encode},
    store::{Batch, Pages, Row, Store, StoreError, Table},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

/// Recipients by the keyed hash of the learner's identifier and the learner's tag towards the recipient.
const DELIVERIES: Table = Table(60);
/// How many rows are read at a time.
const PAGE: usize = 256;
/// How long the keyed hash of a learner's identifier is, in front of the tag.
const PLACE: usize = 32;
/// Most pairs that are remembered in memory, about 120 MB; beyond, the memory is emptied and the store asked again.
const MOST_KNOWN: usize = 4_000_000;

/// The first record of a learner for a recipient is about to leave.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    place: [u8; PLACE],
    tag: Tag,
}

impl Delivery {
    fn key(&self) -> Vec<u8> {
        [self.place.as_slice(), self.tag.bytes().as_slice()].concat()
    }
}

/// What is noted of one learner and one recipient.
pub(super) struct Pair {
    /// Where it stands in the store.
    pub(super) key: Vec<u8>,
    /// The learner's tag towards the recipient.
    pub(super) tag: Option<Tag>,
    pub(super) recipient: ParticipantId,
    /// When it was noted, which is before the first record left; not known of what was noted before that was kept.
    pub(super) first: Option<Timestamp>,
}

/// What a row holds. There is one for each learner and recipient, so it is short.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Noted {
    /// To whom, and when in milliseconds.
    At(ParticipantId, i64),
    /// As rows were before they had a time.
    Before(ParticipantId),
}

impl Pair {
    fn read(row: Row) -> Result<Self, StoreError> {
        let (recipient, first) = match decode(&row.item.value)? {
            Noted::At(recipient, first) => (recipient, Some(Timestamp::from_millis(first))),
            Noted::Before(recipient) => (recipient, None),
        };
        Ok(Self {
            recipient,
            first,
            tag: Tag::read(row.key.get(PLACE..).unwrap_or_default()),
            key: row.key,
        })
    }
}

type Tags = HashSet<Tag, Uniform>;

#[derive(Default)]
struct KnownPairs {
    /// They are on disk.
    noted: Tags,
    /// Of learners who were forgotten since the start. Whether they are on disk is asked of the store each time: a stream that is noting one
    /// while its learner is forgotten would otherwise remember what was just deleted.
    forgotten: Tags,
}

/// All pairs of learner and recipient.
pub struct Deliveries {
    store: Arc<dyn Store>,
    key: HmacKey,
    /// Pairs that are on disk, as far as a stream has met them. A tag belongs to one learner and one recipient.
    known: RwLock<KnownPairs>,
}

/// What is known to be on disk, held still for one piece of a stream.
pub struct Known<'a>(RwLockReadGuard<'a, KnownPairs>, &'a HmacKey);

impl Known<'_> {
    /// The delivery that has to be noted before a record of this learner leaves under this tag; none where it is noted.
    pub fn missing(&self, subject: &str, tag: Tag) -> Option<Delivery> {
        if self.0.noted.contains(&tag) {
            return None;
        }
        let place = *self.1.tag(subject.as_bytes()).as_bytes();
        Some(Delivery { place, tag })
    }
}

impl Deliveries {
    /// Over a store; `key` keeps learners' identifiers out of it.
    pub fn new(store: Arc<dyn Store>, key: HmacKey) -> Self {
        Self {
            store,
            key,
            known: RwLock::default(),
        }
    }

    /// What is known, for one piece.
    pub fn known(&self) -> Known<'_> {
        Known(self.known.read().unwrap_or_else(PoisonError::into_inner), &self.key)
    }

    /// Writes down that `recipient` is about to receive, all in one commit; on disk when it returns.
    pub async fn note(&self, new: &[Delivery], recipient: &ParticipantId, now: Timestamp) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let value = encode(&Noted::At(recipient.clone(), now.millis()))?;
        for delivery in new {
            let key = delivery.key();
            if self.store.get(DELIVERIES, &key).await?.is_none() {
                batch.put(DELIVERIES, key, value.clone());
            }
        }
        if !batch.writes.is_empty() {
            self.store.commit(batch).await?;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let KnownPairs { noted, forgotten } = &mut *known;
        if noted.len() + new.len() > MOST_KNOWN {
            noted.clear();
        }
        let new = new.iter().map(|delivery| delivery.tag);
        noted.extend(new.filter(|tag| !forgotten.contains(tag)));
        Ok(())
    }

    /// Up to `limit` pairs after a key, in no order that means anything.
    pub(super) async fn page(&self, after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let rows = self.store.scan(DELIVERIES, &[], after, limit).await?;
        rows.into_iter().map(Pair::read).collect()
    }

    /// The pairs of a learner, in no order.
    pub(super) async fn of(&self, subject: &str) -> Result<Vec<Pair>, StoreError> {
        let mut found = Vec::new();
        let mut pages = Pages::new(&*self.store, DELIVERIES, self.place(subject), PAGE);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                found.push(Pair::read(row)?);
            }
        }
        Ok(found)
    }

    /// Who received records of a learner, in no order.
    pub async fn recipients(&self, subject: &str) -> Result<Vec<ParticipantId>, StoreError> {
        let pairs = self.of(subject).await?;
        Ok(pairs.into_iter().map(|pair| pair.recipient).collect())
    }

    /// Adds to a batch that nothing is known any more of these pairs.
    pub(super) fn forget(&self, pairs: Vec<Pair>, batch: &mut Batch) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for pair in pairs {
            // Before the commit: whoever asks meanwhile looks into the store.
            if let Some(tag) = pair.tag {
                known.noted.remove(&tag);
                known.forgotten.insert(tag);
            }
            batch.delete(DELIVERIES, pair.key);
        }
    }

    fn place(&self, subject: &str) -> Vec<u8> {
        self.key.tag(subject.as_bytes()).as_bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{consent::Pseudonyms, store::MemoryStore};

    fn did(name: &str) -> ParticipantId {
        format!("did:web:{name}.example").parse().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[tokio::test]
    async fn a_pair_is_missing_until_it_is_noted_and_names_its_recipient_alone() {
        let store = Arc::new(MemoryStore::new());
        let names = Pseudonyms::new(HmacKey::new(b"names"));
        let deliveries = Deliveries::new(store.clone(), HmacKey::new(b"places"));
        let (work, edtech) = (did("work"), did("edtech"));
        let tag = names.towards(&work).tag("l1");
        let new = deliveries.known().missing("l1", tag).expect("nothing is noted yet");
        assert!(deliveries.recipients("l1").await.unwrap().is_empty());
        deliveries.note(&[new], &work, at(1)).await.unwrap();
        assert!(deliveries.known().missing("l1", tag).is_none());
        assert_eq!(deliveries.recipients("l1").await.unwrap(), std::slice::from_ref(&work));
        assert!(deliveries.recipients("l2").await.unwrap().is_empty());
        let other = names.towards(&edtech).tag("l1");
        assert!(deliveries.known().missing("l1", other).is_some(), "another recipient");

        // After a restart the store knows; noting again changes nothing in it.
        let again = Deliveries::new(store.clone(), HmacKey::new(b"places"));
        let met = again.known().missing("l1", tag).expect("the memory is empty");
        again.note(&[met], &work, at(2)).await.unwrap();
        assert_eq!(again.recipients("l1").await.unwrap(), [work]);
        assert_eq!(
            again.of("l1").await.unwrap()[0].first,
            Some(at(1)),
            "the first time counts"
        );

        let mut batch = Batch::new();
        again.forget(again.of("l1").await.unwrap(), &mut batch);
        store.commit(batch).await.unwrap();
        assert!(again.recipients("l1").await.unwrap().is_empty());
        assert!(again.known().missing("l1", tag).is_some());
        let rows = store.scan(DELIVERIES, &[], None, 10).await.unwrap();
        assert!(rows.is_empty());
    }

    #[tokio::test]
    async fn a_pair_that_was_noted_without_a_time_is_known_without_one_and_gets_none() {
        let store = Arc::new(MemoryStore::new());
        let names = Pseudonyms::new(HmacKey::new(b"names"));
        let deliveries = Deliveries::new(store.clone(), HmacKey::new(b"places"));
        let (work, tag) = (did("work"), names.towards(&did("work")).tag("l1"));
        let old = deliveries.known().missing("l1", tag).unwrap();
        let mut batch = Batch::new();
        batch.put(DELIVERIES, old.key(), encode(&work).unwrap());
        store.commit(batch).await.unwrap();
        deliveries.note(&[old], &work, at(1)).await.unwrap();
        let pairs = deliveries.of("l1").await.unwrap();
        assert_eq!((pairs.len(), &pairs[0].recipient, pairs[0].first), (1, &work, None));
    }

    #[tokio::test]
    async fn a_pair_that_is_noted_while_its_learner_is_forgotten_is_not_remembered_as_noted() {
        let store = Arc::new(MemoryStore::new());
        let names = Pseudonyms::new(HmacKey::new(b"names"));
        let deliveries = Deliveries::new(store.clone(), HmacKey::new(b"places"));
        let (work, tag) = (did("work"), names.towards(&did("work")).tag("l1"));
        let first = deliveries.known().missing("l1", tag).unwrap();
        deliveries.note(&[first], &work, at(1)).await.unwrap();
        let mut batch = Batch::new();
        deliveries.forget(deliveries.of("l1").await.unwrap(), &mut batch);
        // A stream finds the pair in the store just before it is deleted there.
        deliveries.note(&[first], &work, at(1)).await.unwrap();
        store.commit(batch).await.unwrap();
        let again = deliveries.known().missing("l1", tag).expect("it is not on disk");
        deliveries.note(&[again], &work, at(1)).await.unwrap();
        assert_eq!(deliveries.recipients("l1").await.unwrap(), [work]);
    }
}
