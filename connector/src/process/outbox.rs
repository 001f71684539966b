//! Messages that are decided and not yet delivered, and the wake-up calls for their dispatcher. No sending here.
//!
//! A message belongs to a queue, named by a `Pid`: that of its process, or that of what messages about consents are about. Queues are emptied
//! in order, and none waits for another.

use super::{Reply, decode, encode, prefix};
use crate::{
    dsp::{ParticipantId, Pid, message::Explanation},
    store::{Batch, Store, StoreError, Table},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};
use tokio::sync::Notify;
use url::Url;

/// Undelivered messages by process and number.
const OUTBOX: Table = Table(5);

/// What a queue of messages belongs to: a process of one of the two protocols, or consents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Contract negotiation.
    Negotiation,
    /// Transfer process.
    Transfer,
    /// Messages about a learner's consents. They belong to no process.
    Consent,
}

impl Protocol {
    /// As events and records write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Negotiation => "negotiation",
            Self::Transfer => "transfer",
            Self::Consent => "consent",
        }
    }
}

/// A message on its way: body and id never change over its retries, only the signature is made anew.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outgoing {
    /// Whose machine it moves.
    pub protocol: Protocol,
    /// Our id of its process.
    pub pid: Pid,
    /// Its number among the messages of this process.
    pub number: u64,
    /// The recipient.
    pub peer: ParticipantId,
    /// The recipient's base address for this process; none for the root that it names when the message sets out.
    pub base: Option<Url>,
    /// The path below it.
    pub path: String,
    /// The `@type`.
    pub kind: String,
    /// The body.
    pub body: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// When it was decided.
    pub created: Timestamp,
    /// It sets out at this time at the earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

/// What became of a message.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The peer took it.
    Acknowledged {
        /// The peer's id of the process, when its answer names one.
        peer_pid: Option<Pid>,
        /// The answer's body.
        body: Value,
        /// The answer as it was; none when the message was known to have arrived by another way.
        reply: Option<Reply>,
    },
    /// The peer will never take it.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        explanation: Explanation,
        /// The answer as it was.
        reply: Reply,
    },
}

impl Outcome {
    /// The peer's answer as it was.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Acknowledged { reply, .. } => reply.as_ref(),
            Self::Refused { reply, .. } => Some(reply),
        }
    }
}

impl Outgoing {
    /// Adds it to the commit of what it follows from.
    pub fn queue(&self, batch: &mut Batch) -> Result<(), StoreError> {
        batch.put(OUTBOX, key(&self.pid, self.number), encode(self)?);
        Ok(())
    }

    /// The absolute address below a base.
    pub fn url(&self, base: &Url) -> Result<Url, url::ParseError> {
        Url::parse(&format!("{}{}", base.as_str().trim_end_matches('/'), self.path))
    }
}

fn key(pid: &Pid, number: u64) -> Vec<u8> {
    let mut key = prefix(pid);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// Takes a message out of the outbox whose fate is known.
pub fn unqueue(pid: &Pid, number: u64, batch: &mut Batch) {
    batch.delete(OUTBOX, key(pid, number));
}

/// The oldest undelivered message of a process.
pub async fn next(store: &dyn Store, pid: &Pid) -> Result<Option<Outgoing>, StoreError> {
    let rows = store.scan(OUTBOX, &prefix(pid), None, 1).await?;
    rows.first().map(|row| decode(&row.item.value)).transpose()
}

/// Every undelivered message, in no order that means anything.
pub async fn each(store: &dyn Store, mut take: impl FnMut(Outgoing) + Send) -> Result<(), StoreError> {
    super::each(store, OUTBOX, |outgoing| {
        take(outgoing);
        Ok(())
    })
    .await
}

/// Every queue that has undelivered messages; read once, at start.
pub async fn waiting(store: &dyn Store) -> Result<BTreeSet<(Protocol, Pid)>, StoreError> {
    let mut found = BTreeSet::new();
    each(store, |outgoing| {
        found.insert((outgoing.protocol, outgoing.pid));
    })
    .await?;
    Ok(found)
}

/// Which processes have new messages. A commit wakes the dispatcher; nobody polls.
#[derive(Default)]
pub struct Queue {
    dirty: Mutex<BTreeSet<(Protocol, Pid)>>,
    notify: Notify,
}

impl Queue {
    /// Says that a process has something to deliver.
    pub fn wake(&self, protocol: Protocol, pid: &Pid) {
        self.dirty
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((protocol, pid.clone()));
        self.notify.notify_one();
    }

    /// Waits for processes with something to deliver.
    pub async fn take(&self) -> BTreeSet<(Protocol, Pid)> {
        loop {
            let taken = std::mem::take(&mut *self.dirty.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                return taken;
            }
            self.notify.notified().await;
        }
    }
}
