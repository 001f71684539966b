//! Which transfer tells its consumer how much was withheld, and that it tells the same ever after. A total alone tells of no learner, but two of
//! them do: between them somebody withdrew, or came to it. So one recipient is told one total of one source, by one transfer, which repeats it
//! however often it is read; another transfer tells a total only if its counting began thirty days after that one was told. Between what two
//! totals count lie then the changes of a month, however late either is read to its end and from whichever cursor.
//!
//! A total is on disk before the end line that tells it can leave: whatever breaks off in between, that number is repeated, or none is told. That
//! nothing was told at an end is kept in the same way, because nothing must not become a total soon after.
//!
//! Beyond this are recipients that pool what they were told, two names of one organisation among them, and copies of a source.

use super::{PlaneError, pipeline::State};
use crate::{
    dsp::{ParticipantId, Pid},
    jose,
    process::{decode, encode},
    store::{Batch, Guard, Store, StoreError, Table},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What was told last, by the hashes of recipient and source.
const TELLS: Table = Table(75);
/// So long after a total was told, the counting of the next one may begin.
const EVERY: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often it is decided again because another stream was quicker.
const ATTEMPTS: usize = 16;

/// What a recipient was told of a source last.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    transfer: Pid,
    total: Option<u64>,
    /// When it was written down, right before it could be told for the first time.
    at: Timestamp,
}

/// What an end line may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// Nothing: another transfer told a total.
    Nothing,
    /// What is found.
    First,
    /// What was told before.
    Again(Option<u64>),
}

/// A total, or that there is none, as it is told for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    total: Option<u64>,
    /// When its counting began.
    since: Timestamp,
}

/// What one stream of a transfer tells at its end.
pub struct Telling {
    store: Arc<dyn Store>,
    key: Vec<u8>,
    transfer: Pid,
    says: Mutex<Says>,
}

impl Telling {
    /// For a stream that is opened now. Changes nothing: until a total is told, it can be told by whoever comes to an end first.
    pub async fn open(
        store: Arc<dyn Store>,
        recipient: &ParticipantId,
        source: &Path,
        transfer: &Pid,
        now: Timestamp,
    ) -> Result<Self, PlaneError> {
        let source = tokio::fs::canonicalize(source).await.map_err(PlaneError::Source)?;
        let telling = Self {
            store,
            key: key(recipient, &source),
            transfer: transfer.clone(),
            says: Mutex::new(Says::Nothing),
        };
        // A counting may have begun earlier, by a cursor; that is asked before anything is told.
        let (says, _) = telling.find(now).await?;
        *telling.lock() = says;
        Ok(telling)
    }

    fn lock(&self) -> MutexGuard<'_, Says> {
        self.says.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the end line says after `state`, and what has to be kept before it leaves.
    pub(super) fn at_end(&self, state: &State) -> (Option<u64>, Option<First>) {
        match *self.lock() {
            Says::Nothing => (None, None),
            Says::Again(total) => (total, None),
            Says::First => {
                let (total, since) = (state.release.shown(), state.since);
                (total, Some(First { total, since }))
            }
        }
    }

    /// Writes down what is told for the first time. `false` where it may not be told, because another stream was quicker or its counting began
    /// too early: the end line has to be made anew.
    pub(super) async fn keep(&self, first: &First, now: Timestamp) -> Result<bool, StoreError> {
        for _ in 0..ATTEMPTS {
            let (says, guard) = self.find(first.since).await?;
            if says != Says::First {
                *self.lock() = says;
                return Ok(says == Says::Again(first.total));
            }
            let told = Told {
                transfer: self.transfer.clone(),
                total: first.total,
                at: now,
            };
            let mut batch = Batch::new();
            batch.require(TELLS, self.key.as_slice(), guard);
            batch.put(TELLS, self.key.as_slice(), encode(&told)?);
            match self.store.commit(batch).await {
                Ok(_) => {
                    *self.lock() = Says::Again(first.total);
                    return Ok(true);
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict { guard: 0 })
    }

    /// What may be said of a counting that began at `since`, and as long as what.
    async fn find(&self, since: Timestamp) -> Result<(Says, Guard), StoreError> {
        let Some(item) = self.store.get(TELLS, &self.key).await? else {
            return Ok((Says::First, Guard::Absent));
        };
        let told: Told = decode(&item.value)?;
        let says = if told.transfer == self.transfer {
            Says::Again(told.total)
        } else if since < told.at.plus(EVERY) {
            Says::Nothing
        } else {
            Says::First
        };
        Ok((says, Guard::At(item.version)))
    }

    /// The total that a stream has told that came to its end.
    pub fn told(&self) -> Option<u64> {
        match *self.lock() {
            Says::Again(total) => total,
            Says::Nothing | Says::First => None,
        }
    }
}

fn key(recipient: &ParticipantId, source: &Path) -> Vec<u8> {
    let recipient = jose::sha256(recipient.as_str().as_bytes());
    let source = jose::sha256(source.as_os_str().as_bytes());
    [recipient.as_bytes().as_slice(), source.as_bytes()].concat()
}

#[cfg(test)]
mod tests;
