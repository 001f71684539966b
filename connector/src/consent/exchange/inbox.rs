//! Taking a peer's message about consents: who sent it and that it was signed, that it is no repetition, and the one commit of what it leads
//! to. A message that comes again gets the answer that it got before and changes nothing (R2).

use super::{
    ExchangeError,
    message::{self, Content, Malformed, Received},
};
use crate::{
    audit::{Entry, Kind as Recorded, Log},
    dsp::{MessageId, ParticipantId},
    jose,
    process::{decode, encode},
    store::{Batch, Pages, StoreError, Table},
    trust::Verified,
};
use bytes::Bytes;
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Messages that were taken, by hash of sender and `@id`.
const TAKEN: Table = Table(61);
/// How many rows are read at a time.
const PAGE: usize = 256;

/// A message that was taken, and what was answered.
#[derive(Serialize, Deserialize)]
struct Taken {
    body: jose::Digest,
    answer: Value,
    at: Timestamp,
}

/// Where messages come in.
pub(in crate::consent) struct Inbox(pub(in crate::consent) Arc<Log>);

/// A message of a peer that was understood.
pub(in crate::consent) type Message<T> = Verified<Received<T>>;

/// What to do with a message.
pub(in crate::consent) enum Arrival {
    /// It was taken before: the same answer again.
    Again(Value),
    /// It is new: what it leads to goes into this commit.
    New(Opened),
}

/// The commit of a new message, begun.
pub(in crate::consent) struct Opened {
    pub(in crate::consent) batch: Batch,
    pub(in crate::consent) entries: Vec<Entry>,
    spent: Option<usize>,
}

/// Understands a verified message. Only one that was signed counts: what it leads to must be shown to others.
pub(in crate::consent) fn understand<T: Content>(verified: Verified<Bytes>) -> Result<Message<T>, ExchangeError> {
    if verified.signed_with().is_none() {
        return Err(ExchangeError::Unsigned);
    }
    Ok(verified.try_map(|bytes| message::read::<T>(&bytes))?)
}

impl From<Malformed> for ExchangeError {
    fn from(error: Malformed) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// Where something about one message of one sender is kept.
pub(super) fn key(sender: &ParticipantId, id: &MessageId) -> Vec<u8> {
    jose::sha256(format!("{sender}\0{id}").as_bytes()).as_bytes().to_vec()
}

impl Inbox {
    /// Looks whether a message was taken before, and begins its commit. A signature that was used before is refused whatever it signs.
    pub(in crate::consent) async fn open<T: Content>(&self, message: &Message<T>) -> Result<Arrival, ExchangeError> {
        let mut batch = Batch::new();
        let spent = message.spent().burn(&mut batch);
        let key = key(&message.sender().did, &message.value().id);
        let Some(item) = self.0.store().get(TAKEN, &key).await? else {
            let entry = Entry::new(Recorded::ConsentMessageIn)
                .with("peer", message.sender().did.as_str())
                .with("message", T::TYPE)
                .of("body", &message.body_digest());
            let entry = match (message.signed_with(), message.signature()) {
                (Some(key), Some(signature)) => entry
                    .of("signedWith", &key)
                    .of("signature", &jose::sha256(signature.as_bytes())),
                _ => return Err(ExchangeError::Unsigned),
            };
            return Ok(Arrival::New(Opened {
                batch,
                entries: vec![entry],
                spent,
            }));
        };
        let taken: Taken = decode(&item.value)?;
        if taken.body != message.body_digest() {
            return Err(ExchangeError::Reused);
        }
        match self.0.store().commit(batch).await {
            Ok(_) => Ok(Arrival::Again(taken.answer)),
            Err(StoreError::Conflict { .. }) => Err(ExchangeError::Replayed),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds to a commit that a message was taken, and what it is answered.
    pub(in crate::consent) fn remember<T: Content>(
        message: &Message<T>,
        batch: &mut Batch,
        answer: &Value,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let key = key(&message.sender().did, &message.value().id);
        let taken = Taken {
            body: message.body_digest(),
            answer: answer.clone(),
            at,
        };
        batch.insert(TAKEN, key, encode(&taken)?);
        Ok(())
    }

    /// Forgets what was answered before `since`: whoever has not had the answer by then gets no other.
    pub(super) async fn sweep(&self, since: Timestamp) -> Result<usize, StoreError> {
        let store = &**self.0.store();
        let (mut swept, mut pages) = (0, Pages::new(store, TAKEN, [], PAGE));
        while let Some(rows) = pages.next().await? {
            let mut batch = Batch::new();
            for row in rows {
                if decode::<Taken>(&row.item.value)?.at < since {
                    batch.delete(TAKEN, row.key);
                }
            }
            swept += batch.writes.len();
            if !batch.writes.is_empty() {
                store.commit(batch).await?;
            }
        }
        Ok(swept)
    }

    /// What it means that the commit of a message failed because something had changed: its signature was used, or only something else.
    pub(in crate::consent) async fn conflict<T: Content>(&self, message: &Message<T>) -> ExchangeError {
        let mut batch = Batch::new();
        message.spent().burn(&mut batch);
        match self.0.store().commit(batch).await {
            Err(StoreError::Conflict { .. }) => ExchangeError::Replayed,
            Err(error) => error.into(),
            Ok(_) => ExchangeError::Busy,
        }
    }

    /// Commits what a message leads to, with its answer.
    pub(in crate::consent) async fn close<T: Content>(
        &self,
        message: &Message<T>,
        opened: Opened,
        answer: Value,
        now: Timestamp,
    ) -> Result<Value, ExchangeError> {
        let Opened {
            mut batch,
            entries,
            spent,
        } = opened;
        Self::remember(message, &mut batch, &answer, now)?;
        let mut entries = entries.into_iter();
        let Some(first) = entries.next() else {
            return Err(ExchangeError::Unsigned);
        };
        match self.0.commit(batch, first, entries.collect(), now).await {
            Ok(_) => Ok(answer),
            Err(StoreError::Conflict { guard }) if Some(guard) == spent => Err(ExchangeError::Replayed),
            Err(StoreError::Conflict { .. }) => Err(ExchangeError::Busy),
            Err(error) => Err(error.into()),
        }
    }
}
