//! Consents that permit a number of transfers and no more, and the transfers that have been counted for each. A copy of what is on disk, where
//! alone it is decided who takes the last place (`consent/occurrences.rs`): what it permits is counted there before it leaves.

use crate::dsp::Pid;
use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock, RwLockWriteGuard},
};
use uuid::Uuid;

/// What a limited consent says to one transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is among those that were counted.
    Counted,
    /// There is room for one more.
    Free,
    /// There is none, or nothing is known of the limit.
    UsedUp,
}

struct Limit {
    most: u64,
    /// In the order in which they were counted; only grows.
    counted: Vec<Pid>,
}

/// The limits of all limited consents.
#[derive(Default)]
pub(super) struct Limits(RwLock<HashMap<Uuid, Limit>>);

impl Limits {
    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Uuid, Limit>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how many transfers a consent permits; those that were counted stay counted.
    pub(super) fn set(&self, id: Uuid, most: u64) {
        let mut limits = self.write();
        let counted = Vec::new();
        limits.entry(id).or_insert(Limit { most, counted }).most = most;
    }

    /// Notes which transfers have been counted. Whoever was told less before is told more now, never the other way round.
    pub(super) fn tell(&self, id: Uuid, counted: Vec<Pid>) {
        if let Some(limit) = self.write().get_mut(&id)
            && limit.counted.len() < counted.len()
        {
            limit.counted = counted;
        }
    }

    pub(super) fn remove(&self, ids: &[Uuid]) {
        let mut limits = self.write();
        for id in ids {
            limits.remove(id);
        }
    }

    /// What a consent says to this transfer, or to one that has no name yet.
    pub(super) fn place(&self, id: Uuid, transfer: Option<&Pid>) -> Place {
        let limits = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match limits.get(&id) {
            None => Place::UsedUp,
            Some(limit) if transfer.is_some_and(|transfer| limit.counted.contains(transfer)) => Place::Counted,
            Some(limit) if (limit.counted.len() as u64) < limit.most => Place::Free,
            Some(_) => Place::UsedUp,
        }
    }
}
