//! How often a consent was used whose learner allowed a number of transfers and no more (policy.md §5.3; `dpv:FixedOccurrencesDuration`). A
//! transfer is counted once, on disk, before the first record of the learner that it carries is handed over, or before the release that the
//! learner is in is made; from then on it goes on to its end, whatever the number. Read anew from its beginning when there is nothing left to
//! mend, it is counted anew, as its agreement counts it.
//!
//! Never too many: of two transfers for the last place one commits, and the other's chunk is decided again. A place once taken stays taken: by
//! a chunk that a change of the epoch or a crash then kept back, or for a learner whom a release left out because their group was too small.

use super::{ATTEMPTS, CONSENTS, ConsentId, Index, Stored};
use crate::{
    dsp::Pid,
    jose::sha256_parts,
    process::decode,
    store::{Batch, Guard, Store, StoreError, Table, Version},
};
use std::{collections::BTreeSet, sync::Arc};

/// The names of the uses that have been counted, one after the other, by the consent's id.
const OCCURRENCES: Table = Table(57);
/// Of how many consents a use is counted in one commit.
const PAGE: usize = 256;
/// The length of a name.
const NAME: usize = 16;

/// One use of consents: a transfer that is read. Named by half a hash, because a consent may have hundreds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence([u8; NAME]);

impl Occurrence {
    /// A transfer that is read from its beginning for the n-th time as a use of its own.
    pub fn new(transfer: &Pid, reading: u32) -> Self {
        let hash = sha256_parts(&[&reading.to_be_bytes(), transfer.as_str().as_bytes()]);
        let mut name = [0; NAME];
        name.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
        Self(name)
    }
}

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

    /// Counts a use for each of these consents, where it is not counted yet; on disk when it returns. Returns whether there was room in all:
    /// where there was not, what was decided does not stand, and the index finds the consent used up from now on.
    pub async fn count(&self, consents: &[ConsentId], by: Occurrence) -> Result<bool, StoreError> {
        let consents: BTreeSet<&ConsentId> = consents.iter().collect();
        let consents: Vec<&ConsentId> = consents.into_iter().collect();
        let mut all_have_room = true;
        for page in consents.chunks(PAGE) {
            all_have_room &= self.count_page(page, by).await?;
        }
        Ok(all_have_room)
    }

    async fn count_page(&self, consents: &[&ConsentId], by: Occurrence) -> Result<bool, StoreError> {
        for _ in 0..ATTEMPTS {
            match self.try_count(consents, by).await {
                Err(StoreError::Conflict { .. }) => {}
                done => return done,
            }
        }
        Err(StoreError::Conflict { guard: 0 })
    }

    async fn try_count(&self, consents: &[&ConsentId], by: Occurrence) -> Result<bool, StoreError> {
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
            let (mut counted, version) = self.read(id).await?;
            if !counted.contains(&by) {
                if counted.len() as u64 >= most {
                    all_have_room = false;
                } else {
                    counted.push(by);
                    let names: Vec<u8> = counted.iter().flat_map(|Occurrence(name)| *name).collect();
                    match version {
                        None => batch.insert(OCCURRENCES, key, names),
                        Some(version) => batch.replace(OCCURRENCES, key, version, names),
                    };
                }
            }
            told.push((*id, counted));
        }
        if !batch.writes.is_empty() {
            self.store.commit(batch).await?;
        }
        for (id, counted) in told {
            self.index.tell_counted(id, counted);
        }
        Ok(all_have_room)
    }

    /// How many uses have been counted.
    pub async fn counted(&self, id: &ConsentId) -> Result<usize, StoreError> {
        Ok(self.read(id).await?.0.len())
    }

    /// Has the index know at the start what is on disk.
    pub(super) async fn load(&self, id: &ConsentId) -> Result<(), StoreError> {
        let (counted, _) = self.read(id).await?;
        self.index.tell_counted(id, counted);
        Ok(())
    }

    async fn read(&self, id: &ConsentId) -> Result<(Vec<Occurrence>, Option<Version>), StoreError> {
        let Some(item) = self.store.get(OCCURRENCES, id.as_str().as_bytes()).await? else {
            return Ok((Vec::new(), None));
        };
        let names = item.value.chunks(NAME).map(|name| name.try_into().map(Occurrence));
        let names: Result<Vec<_>, _> = names.collect();
        let names = names.map_err(|_| StoreError::Corrupt("a count of a consent's uses".into()))?;
        Ok((names, Some(item.version)))
    }
}

/// Adds to a batch that nothing was counted for a consent, which is deleted.
pub(super) fn erase(id: &ConsentId, batch: &mut Batch) {
    batch.delete(OCCURRENCES, id.as_str());
}
