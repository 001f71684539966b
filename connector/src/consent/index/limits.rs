//! Consents that permit a number of transfers and no more, and the uses that have been counted for each. A copy of what is on disk, where
//! alone it is decided who takes the last place (`consent/occurrences.rs`): what it permits is counted there before it leaves.

use crate::consent::Occurrence;
use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock, RwLockWriteGuard},
};
use uuid::Uuid;

/// What a limited consent says to one use.
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
    counted: Vec<Occurrence>,
}

impl Limit {
    fn is_used_up(&self) -> bool {
        self.counted.len() as u64 >= self.most
    }
}

/// The limits of all limited consents that are held here.
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

    /// Notes which uses have been counted. Whoever was told less before is told more now, never the other way round.
    pub(super) fn tell(&self, id: Uuid, counted: Vec<Occurrence>) {
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

    /// As many have been counted as it permits. Not so where no limit is known, as of what is kept for another holder.
    pub(super) fn is_used_up(&self, id: Uuid) -> bool {
        let limits = self.0.read().unwrap_or_else(PoisonError::into_inner);
        limits.get(&id).is_some_and(Limit::is_used_up)
    }

    /// What a consent says to this use, or to one that has no name yet.
    pub(super) fn place(&self, id: Uuid, by: Option<Occurrence>) -> Place {
        let limits = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match limits.get(&id) {
            None => Place::UsedUp,
            Some(limit) if by.is_some_and(|by| limit.counted.contains(&by)) => Place::Counted,
            Some(limit) if limit.is_used_up() => Place::UsedUp,
            Some(_) => Place::Free,
        }
    }
}
