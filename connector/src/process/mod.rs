//! What negotiations and transfers share: a record with a position, the messages already seen (R2), the messages still to be
//! delivered (R1), what was exchanged as evidence, and the one commit that holds all of it together with its audit entries.
//!
//! Knows no message by name and decides nothing; `contract` and `transfer` do.

pub mod archive;
pub mod events;
mod follow;
mod ledger;
mod open;
pub mod outbox;
mod recent;
mod record;
mod turn;

pub use archive::{Answered, Exhibit, Reply};
pub use events::{About, Events, Stirs};
pub use follow::follow;
pub use ledger::{Ledger, settled};
pub use outbox::{Outgoing, Protocol, Queue};
pub use recent::Recent;
pub use record::{Core, Kind};
pub use turn::{Answer, Draft, Incoming, MessageKey, Turn};

use crate::{
    dsp::{Pid, Refused},
    jose,
    store::{Pages, Store, StoreError, Table},
};
use policy::Reason;
use serde::{Serialize, de::DeserializeOwned};

/// Why a process did not move. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// No such process, or not the caller's: the two look alike.
    #[error("there is no such process")]
    NotFound,
    /// The step is not possible now.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The signature was used before.
    #[error("the message was already received (its jti is spent)")]
    Replayed,
    /// The counterpart's id for this process is not the one that it gave before.
    #[error("the process ids are not those of this process")]
    PidMismatch,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The peer has as many open processes as it may have.
    #[error("there are {0} open processes with this participant, which is as many as there may be; end some first")]
    TooManyOpen(usize),
    /// Too many changes at once.
    #[error("the process is changing too quickly; try again")]
    Busy,
}

/// Whether an error is a decision about a message, which stands (R2), or only about now.
pub trait Verdict: From<ProcessError> + std::fmt::Display {
    /// The same message would be refused again whenever it came.
    fn is_final(&self) -> bool;

    /// What a policy has against it; empty where something else has.
    fn reasons(&self) -> Vec<Reason> {
        Vec::new()
    }
}

impl Verdict for ProcessError {
    fn is_final(&self) -> bool {
        match self {
            Self::Refused(refused) => !refused.is_temporary(),
            Self::PidMismatch => true,
            Self::NotFound | Self::Replayed | Self::Store(_) | Self::TooManyOpen(_) | Self::Busy => false,
        }
    }
}

/// A stored value as JSON.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Corrupt(format!("cannot be written: {error}")))
}

/// A stored value from JSON.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes)
        .map_err(|error| StoreError::Corrupt(format!("a stored value cannot be read: {error}")))
}

/// What the keys of a process begin with, in every table that keeps something for each: ids are up to 512 bytes long, their hash is short.
fn prefix(pid: &Pid) -> Vec<u8> {
    jose::sha256(pid.as_str().as_bytes()).as_bytes().to_vec()
}

/// How many rows are read at a time.
const PAGE: usize = 128;

/// Every value of a table in the order of its keys, a page at a time; the first error ends it.
pub async fn each<T: DeserializeOwned>(
    store: &dyn Store,
    table: Table,
    mut take: impl FnMut(T) -> Result<(), StoreError> + Send,
) -> Result<(), StoreError> {
    let mut pages = Pages::new(store, table, [], PAGE);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            take(decode(&row.item.value)?)?;
        }
    }
    Ok(())
}

/// [`each`] value, in memory.
pub async fn all<T: DeserializeOwned + Send>(store: &dyn Store, table: Table) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    each(store, table, |value| {
        found.push(value);
        Ok(())
    })
    .await?;
    Ok(found)
}
