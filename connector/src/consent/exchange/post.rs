//! Messages about consents on their way to peers. What concerns one learner and one peer is one queue, so that it arrives in order and what
//! one learner's message waits for holds up no other's. Where numbers say what is newer, an end has a queue of its own.

use super::{
    message::{self, Content},
    notices::TOLD,
};
use crate::{
    audit::{Entry, Kind as Recorded},
    dsp::{MessageId, ParticipantId, Pid},
    jose::{self, random::RandomError},
    process::{Outgoing, Protocol, Queue, outbox},
    store::{Batch, Pages, Store, StoreError},
};
use policy::Timestamp;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The way out for messages about consents.
pub struct Post {
    queue: Arc<Queue>,
    /// The number of the next message; greater than that of every one that waits or of which something is kept.
    next: AtomicU64,
}

/// How many rows are read at a time.
const PAGE: usize = 256;

/// A message that a commit will queue.
#[derive(Clone, Debug)]
pub(in crate::consent) struct Posted {
    /// Its `@id`.
    pub(in crate::consent) id: MessageId,
    /// Its queue.
    pub(in crate::consent) lane: Pid,
    /// Its number there.
    pub(in crate::consent) number: u64,
    /// Its text.
    pub(in crate::consent) body: String,
    /// What the commit records about it. It names nobody: the text has an id that nobody can guess.
    pub(in crate::consent) entry: Entry,
}

/// A commit that is being made, and the queues to wake when it is.
#[derive(Default)]
pub(in crate::consent) struct Sheet {
    /// Guards and writes.
    pub(in crate::consent) batch: Batch,
    /// Their entries.
    pub(in crate::consent) entries: Vec<Entry>,
    /// Queues into which the batch puts something.
    pub(in crate::consent) queued: Vec<Pid>,
}

impl Sheet {
    /// Takes a message in that was put into the batch.
    pub(super) fn add(&mut self, lane: Pid, entry: Entry) {
        self.queued.push(lane);
        self.entries.push(entry);
    }
}

/// The queue of what concerns one learner (or link, or end of a consent) and one peer.
pub(super) fn lane(peer: &ParticipantId, about: &str) -> Pid {
    Pid::consents(&jose::sha256(format!("{peer}\0{about}").as_bytes()).to_hex())
}

/// What the keys of a queue begin with, in the tables of this room.
pub(super) fn lane_prefix(lane: &Pid) -> Vec<u8> {
    jose::sha256(lane.as_str().as_bytes()).as_bytes().to_vec()
}

impl Post {
    /// Goes on after what waits in the store, and after what is kept of messages that were delivered long ago.
    pub async fn load(store: &dyn Store, queue: Arc<Queue>) -> Result<Self, StoreError> {
        let mut next = 0;
        outbox::each(store, |outgoing: Outgoing| {
            if outgoing.protocol == Protocol::Consent {
                next = next.max(outgoing.number + 1);
            }
        })
        .await?;
        let mut pages = Pages::new(store, TOLD, [], PAGE);
        while let Some(rows) = pages.next().await? {
            let numbers = rows.iter().filter_map(|row| row.key.last_chunk().copied());
            next = numbers
                .map(u64::from_be_bytes)
                .fold(next, |next, kept| next.max(kept + 1));
        }
        Ok(Self {
            queue,
            next: AtomicU64::new(next),
        })
    }

    /// Adds a message to a commit. Wake its queue when that is done.
    pub(in crate::consent) fn put<T: Content>(
        &self,
        batch: &mut Batch,
        to: &ParticipantId,
        about: &str,
        content: &T,
        now: Timestamp,
    ) -> Result<Posted, StoreError> {
        self.queue(batch, (to, about), content, None, now)
    }

    /// The same for a message that sets out at a time at the earliest.
    pub(super) fn put_later<T: Content>(
        &self,
        batch: &mut Batch,
        (to, about): (&ParticipantId, &str),
        content: &T,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<Posted, StoreError> {
        self.queue(batch, (to, about), content, Some(at), now)
    }

    fn queue<T: Content>(
        &self,
        batch: &mut Batch,
        (to, about): (&ParticipantId, &str),
        content: &T,
        not_before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Posted, StoreError> {
        let unmade = |error: RandomError| StoreError::Corrupt(format!("a message id: {error}"));
        let (id, body) = message::write(content, now).map_err(unmade)?;
        let outgoing = Outgoing {
            protocol: Protocol::Consent,
            pid: lane(to, about),
            number: self.next.fetch_add(1, Ordering::Relaxed),
            peer: to.clone(),
            base: None,
            path: T::PATH.to_owned(),
            kind: T::TYPE.to_owned(),
            body: body.clone(),
            headers: Vec::new(),
            created: now,
            not_before,
        };
        outgoing.queue(batch)?;
        let entry = Entry::new(Recorded::ConsentMessageOut)
            .with("peer", to.as_str())
            .with("message", T::TYPE)
            .of("body", &jose::sha256(body.as_bytes()));
        Ok(Posted {
            id,
            lane: outgoing.pid,
            number: outgoing.number,
            body,
            entry,
        })
    }

    /// Says that a queue has something to deliver.
    pub(in crate::consent) fn wake(&self, lane: &Pid) {
        self.queue.wake(Protocol::Consent, lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn no_number_is_given_again_while_something_is_kept_under_it() {
        let store = MemoryStore::new();
        let lane = lane(&"did:web:work.example".parse().unwrap(), "p:AAAAAAAAAAAAAAAAAAAAAA");
        let mut batch = Batch::new();
        batch.put(
            TOLD,
            [lane_prefix(&lane).as_slice(), &41_u64.to_be_bytes()].concat(),
            b"{}",
        );
        store.commit(batch).await.unwrap();
        // Nothing waits any more: it was delivered before the restart.
        let post = Post::load(&store, Arc::default()).await.unwrap();
        assert_eq!(post.next.load(Ordering::Relaxed), 42);
    }
}
