//! How much is kept of what each peer sends of its own accord: there is a most for each, or one of them could fill the store.

use crate::dsp::ParticipantId;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Counts of what is kept, by peer.
pub(super) struct Kept {
    most: usize,
    counts: Mutex<HashMap<ParticipantId, usize>>,
}

impl Kept {
    /// At most so many of each peer, counted from what is kept already.
    pub(super) fn new(most: usize, counts: HashMap<ParticipantId, usize>) -> Self {
        Self {
            most,
            counts: Mutex::new(counts),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ParticipantId, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more of this peer's may be kept.
    pub(super) fn has_room(&self, peer: &ParticipantId) -> bool {
        self.lock().get(peer).is_none_or(|kept| *kept < self.most)
    }

    /// One more is kept.
    pub(super) fn add(&self, peer: &ParticipantId) {
        *self.lock().entry(peer.clone()).or_default() += 1;
    }

    /// As many are kept as there may be.
    #[cfg(test)]
    pub(super) fn fill(&self, peer: &ParticipantId) {
        self.lock().insert(peer.clone(), self.most);
    }

    /// One is kept no more.
    pub(super) fn remove(&self, peer: &ParticipantId) {
        if let Some(kept) = self.lock().get_mut(peer) {
            *kept = kept.saturating_sub(1);
        }
    }
}
