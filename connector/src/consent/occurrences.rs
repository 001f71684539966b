//! How often a consent was used whose learner allowed a number of transfers and no more (policy.md §5.3; `dpv:FixedOccurrencesDuration`). A
//! transfer is counted once, on disk, before the first record of the learner that it carries is handed over, or before the release that the
//! learner is in is made; from then on it goes on to its end, whatever the number.
//!
//! Never too many: of two transfers for the last place one commits, and the other's chunk is decided again. A chunk that was counted and then
//! kept back by a change of the epoch or a crash has taken its place all the same.

use super::{ATTEMPTS, CONSENTS, ConsentId, Index, Stored};
use crate::{
    dsp::Pid,
    process::{decode, encode},
    store::{Batch, Guard, Store, StoreError, Table, Version},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// Which transfers have been counted, by the consent's id.
const OCCURRENCES: Table = Table(57);

/// The transfers of one consent, in the order in which they were counted.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Counted(Vec<Pid>);

/// All counts.
pub struct Occurrences {
    store: Arc<dyn Store>,
    index: Arc<Index>,
}

impl Occurrences {
    /// Over a store, for the index that decides by what is counted.
    pub fn new(store: Arc<dyn Store>, index: Arc<Index>) -> Self {
        Self { store, index }
    }

    /// Counts a transfer for each of these consents, where it is not counted yet; on disk when it returns. Where there is no room any more,
    /// everything is decided again that has not left, and this transfer finds the consent used up.
    pub async fn count(&self, consents: &[ConsentId], transfer: &Pid) -> Result<(), StoreError> {
        let consents: BTreeSet<&ConsentId> = consents.iter().collect();
        for _ in 0..ATTEMPTS {
            match self.try_count(&consents, transfer).await {
                Err(StoreError::Conflict { .. }) => {}
                done => return done,
            }
        }
        Err(StoreError::Conflict { guard: 0 })
    }

    async fn try_count(&self, consents: &BTreeSet<&ConsentId>, transfer: &Pid) -> Result<(), StoreError> {
        let (mut batch, mut told, mut all_have_room) = (Batch::new(), Vec::new(), true);
        for id in consents {
            let key = id.as_str().as_bytes();
            let Some(item) = self.store.get(CONSENTS, key).await? else {
                all_have_room = false;
                continue;
            };
            let stored: Stored = decode(&item.value)?;
            let Some(most) = stored.consent.max_count else {
                continue;
            };
            // What is forgotten meanwhile is not counted after it.
            batch.require(CONSENTS, key, Guard::At(item.version));
            let (Counted(mut transfers), version) = self.read(id).await?;
            if !transfers.contains(transfer) {
                if transfers.len() as u64 >= most {
                    all_have_room = false;
                } else {
                    transfers.push(transfer.clone());
                    let counted = encode(&Counted(transfers.clone()))?;
                    match version {
                        None => batch.insert(OCCURRENCES, key, counted),
                        Some(version) => batch.replace(OCCURRENCES, key, version, counted),
                    };
                }
            }
            told.push((*id, transfers));
        }
        if !batch.writes.is_empty() {
            self.store.commit(batch).await?;
        }
        for (id, transfers) in told {
            self.index.tell_counted(id, transfers);
        }
        if !all_have_room {
            self.index.decide_again();
        }
        Ok(())
    }

    /// How many transfers have been counted.
    pub async fn counted(&self, id: &ConsentId) -> Result<usize, StoreError> {
        Ok(self.read(id).await?.0.0.len())
    }

    /// Has the index know at the start what is on disk.
    pub(super) async fn load(&self, id: &ConsentId) -> Result<(), StoreError> {
        let (Counted(transfers), _) = self.read(id).await?;
        self.index.tell_counted(id, transfers);
        Ok(())
    }

    async fn read(&self, id: &ConsentId) -> Result<(Counted, Option<Version>), StoreError> {
        let item = self.store.get(OCCURRENCES, id.as_str().as_bytes()).await?;
        item.map_or_else(
            || Ok((Counted::default(), None)),
            |item| Ok((decode(&item.value)?, Some(item.version))),
        )
    }
}

/// Adds to a batch that nothing was counted for a consent, which is deleted.
pub(super) fn erase(id: &ConsentId, batch: &mut Batch) {
    batch.delete(OCCURRENCES, id.as_str());
}
