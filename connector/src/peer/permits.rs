//! How many requests are on their way at once: in all, and to each peer, so that one that never answers holds up nobody else.

use crate::dsp::ParticipantId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The room for requests.
pub(super) struct Permits {
    all: Arc<Semaphore>,
    each: usize,
    peers: Mutex<HashMap<ParticipantId, Arc<Semaphore>>>,
}

/// Room for one request, until it is dropped.
pub(super) struct Permit {
    _of_all: OwnedSemaphorePermit,
    _of_peer: OwnedSemaphorePermit,
}

impl Permits {
    /// Room for `all` requests at once, `each` of them to one peer.
    pub(super) fn new(all: usize, each: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            each,
            peers: Mutex::default(),
        }
    }

    /// Waits for room; the peer's own first, so that whoever waits for it takes none of the others'. None never comes: nothing closes it.
    pub(super) async fn to(&self, peer: &ParticipantId) -> Option<Permit> {
        let of_peer = self.of(peer).acquire_owned().await.ok()?;
        let of_all = self.all.clone().acquire_owned().await.ok()?;
        Some(Permit {
            _of_all: of_all,
            _of_peer: of_peer,
        })
    }

    fn of(&self, peer: &ParticipantId) -> Arc<Semaphore> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        // Whom nobody waits for and nothing goes to needs no place here.
        peers.retain(|_, room| Arc::strong_count(room) > 1);
        let room = peers.entry(peer.clone());
        room.or_insert_with(|| Arc::new(Semaphore::new(self.each))).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn peer(name: &str) -> ParticipantId {
        format!("did:web:{name}.example").parse().unwrap()
    }

    #[tokio::test]
    async fn a_peer_that_never_answers_leaves_room_for_the_others() {
        let permits = Permits::new(3, 2);
        let (dead, other) = (peer("dead"), peer("other"));
        let held = [permits.to(&dead).await, permits.to(&dead).await];
        assert!(permits.to(&dead).now_or_never().is_none());
        let last = permits.to(&other).await;
        assert!(permits.to(&other).now_or_never().is_none());
        drop(last);
        assert!(permits.to(&other).now_or_never().flatten().is_some());
        drop(held);
        assert!(permits.to(&dead).now_or_never().flatten().is_some());
        assert!(permits.peers.lock().unwrap().len() <= 2);
    }
}
