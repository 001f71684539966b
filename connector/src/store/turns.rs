//! Whose turn it is to change what goes by a name, where guards of a commit do not suffice: because something in memory follows after the
//! commit, or because deciding takes work that is not to be done twice at once. A turn is kept from the first read until all of that is done.
//! Names mean nothing here; those of different kinds share the same turns, and it is for the caller that they differ.

use std::{collections::hash_map::RandomState, hash::BuildHasher, sync::Arc};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Names share turns; two that share one only wait for each other.
const TURNS: usize = 1024;

/// The turns of all names, of whatever kind.
pub struct Turns {
    /// With a secret of this process: nobody chooses names that share a turn.
    hashes: RandomState,
    all: Vec<Arc<Mutex<()>>>,
}

/// The turn of some names, until it is dropped.
pub struct Turn(#[expect(dead_code, reason = "held, not read")] Vec<OwnedMutexGuard<()>>);

impl Default for Turns {
    fn default() -> Self {
        Self {
            hashes: RandomState::new(),
            all: (0..TURNS).map(|_| Arc::default()).collect(),
        }
    }
}

impl Turns {
    /// Waits for the turn of all these names. Always in one order, so that two who need some of the same never wait for each other.
    pub async fn of(&self, names: &[&str]) -> Turn {
        let mut places: Vec<usize> = names.iter().map(|name| self.place(name)).collect();
        places.sort_unstable();
        places.dedup();
        let mut held = Vec::with_capacity(places.len());
        for turn in places.into_iter().filter_map(|place| self.all.get(place)) {
            held.push(turn.clone().lock_owned().await);
        }
        Turn(held)
    }

    fn place(&self, name: &str) -> usize {
        usize::try_from(self.hashes.hash_one(name) % TURNS as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    #[tokio::test(flavor = "multi_thread")]
    async fn of_those_who_need_a_name_one_at_a_time_has_its_turn_and_none_waits_for_ever() {
        let (turns, inside) = (Arc::new(Turns::default()), Arc::new(AtomicUsize::new(0)));
        let names: Vec<String> = (0..200).map(|number| format!("learner {number}")).collect();
        let tasks: Vec<_> = (0..64)
            .map(|task: usize| {
                let (turns, inside, mut mine) = (turns.clone(), inside.clone(), names.clone());
                mine.rotate_left(task * 3);
                if task.is_multiple_of(2) {
                    mine.reverse();
                }
                tokio::spawn(async move {
                    let mine: Vec<&str> = mine.iter().map(String::as_str).chain(["anna", "anna"]).collect();
                    let _turn = turns.of(&mine).await;
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                })
            })
            .collect();
        for task in tasks {
            tokio::time::timeout(Duration::from_secs(30), task)
                .await
                .unwrap()
                .unwrap();
        }
    }
}
