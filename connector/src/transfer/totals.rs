//! Which transfer tells its consumer how much was withheld. A total alone tells of no learner, but two of them do: between them somebody
//! withdrew, or came to it. So one recipient is told one total of one source in thirty days, by one transfer, which tells the same however
//! often it is read; between two such totals lie the changes of a month. Beyond this are recipients that pool what they were told, two names
//! of one organisation among them, and copies of a source.

use super::TransferRecord;
use crate::{
    dsp::{ParticipantId, Pid},
    jose,
    plane::{PlaneError, Telling},
    process::{decode, encode},
    store::{Batch, Guard, Store, StoreError, Table},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Whose turn it is to tell, by the hashes of recipient and source.
const TELLS: Table = Table(75);
/// How long it stays the turn of one transfer.
const EVERY: Duration = Duration::from_secs(30 * 24 * 3600);

/// A transfer's turn to tell.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Turn {
    transfer: Pid,
    since: Timestamp,
}

/// What the transfers tell whose turn it is. What one has told stands in its record soon after, for the next start; here it stands at once, so
/// that no stream that is opened meanwhile tells anything else.
#[derive(Default)]
pub(super) struct Totals(Mutex<HashMap<Pid, Telling>>);

impl Totals {
    /// What the streams of this transfer tell of a source. Takes the turn, durably, where nobody has it.
    pub(super) async fn of(
        &self,
        store: &dyn Store,
        record: &TransferRecord,
        source: &Path,
        now: Timestamp,
    ) -> Result<Telling, PlaneError> {
        let pid = &record.core.pid;
        let source = tokio::fs::canonicalize(source).await.map_err(PlaneError::Source)?;
        if !takes_turn(store, &key(&record.core.peer, &source), pid, now).await? {
            return Ok(Telling::nothing());
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let telling = known.entry(pid.clone()).or_insert_with(|| match record.sent_to_end {
            true => Telling::again(record.told),
            false => Telling::first(),
        });
        Ok(telling.clone())
    }
}

fn key(recipient: &ParticipantId, source: &Path) -> Vec<u8> {
    let recipient = jose::sha256(recipient.as_str().as_bytes());
    let source = jose::sha256(source.as_os_str().as_bytes());
    [recipient.as_bytes().as_slice(), source.as_bytes()].concat()
}

/// Whether it is this transfer's turn, or nobody's.
async fn takes_turn(store: &dyn Store, key: &[u8], pid: &Pid, now: Timestamp) -> Result<bool, StoreError> {
    let mut guard = Guard::Absent;
    if let Some(item) = store.get(TELLS, key).await? {
        let turn: Turn = decode(&item.value)?;
        if turn.transfer == *pid {
            return Ok(true);
        }
        if now < turn.since.plus(EVERY) {
            return Ok(false);
        }
        guard = Guard::At(item.version);
    }
    let turn = Turn {
        transfer: pid.clone(),
        since: now,
    };
    let mut batch = Batch::new();
    batch.require(TELLS, key, guard);
    batch.put(TELLS, key, encode(&turn)?);
    match store.commit(batch).await {
        Ok(_) => Ok(true),
        // Another transfer took it at the same moment.
        Err(StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn one_transfer_of_a_recipient_and_a_source_has_the_turn_for_thirty_days() {
        let (store, begun) = (MemoryStore::new(), Timestamp::from_seconds(1_767_225_600));
        let (first, second): (Pid, Pid) = ("urn:uuid:1".parse().unwrap(), "urn:uuid:2".parse().unwrap());
        let (work, edtech): (ParticipantId, ParticipantId) = (
            "did:web:work.example".parse().unwrap(),
            "did:web:edtech.example".parse().unwrap(),
        );
        let (records, others) = (Path::new("/data/records"), Path::new("/data/others"));
        let takes = async |recipient, source, pid, now| takes_turn(&store, &key(recipient, source), pid, now).await;
        assert!(takes(&work, records, &first, begun).await.unwrap());
        assert!(takes(&work, records, &first, begun).await.unwrap(), "it keeps its turn");
        assert!(!takes(&work, records, &second, begun).await.unwrap());
        assert!(takes(&edtech, records, &second, begun).await.unwrap());
        assert!(takes(&work, others, &second, begun).await.unwrap());

        let almost = begun.plus(EVERY - Duration::from_secs(1));
        assert!(!takes(&work, records, &second, almost).await.unwrap());
        assert!(takes(&work, records, &second, begun.plus(EVERY)).await.unwrap());
        assert!(
            !takes(&work, records, &first, begun.plus(EVERY)).await.unwrap(),
            "its turn is over"
        );
    }
}
