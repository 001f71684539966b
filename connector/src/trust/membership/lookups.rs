//! Looking strangers up costs requests to places that they name. What bounds it: how many at once, how many a minute, one at a time for
//! each participant, and a memory of who was refused.

use super::NotAMember;
use crate::dsp::ParticipantId;
use policy::Timestamp;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// How many are looked up at once.
const AT_ONCE: usize = 8;

/// How many may wait for one that is being looked up, and for how many different ones.
const WAITING: usize = 64;

/// How many are looked up in a minute.
const A_MINUTE: u32 = 240;

/// How long a refusal is remembered at most, and one that may be about the moment.
const REFUSED: Duration = Duration::from_secs(60);
const UNREACHABLE: Duration = Duration::from_secs(10);

/// How many refusals are remembered.
const MEMORY: usize = 4_096;

/// The bounds.
pub(super) struct Lookups {
    permits: Arc<Semaphore>,
    inner: Mutex<Inner>,
    /// Nobody is refused longer than the list takes to change.
    refresh: Duration,
}

#[derive(Default)]
struct Inner {
    turns: HashMap<ParticipantId, Arc<Turn<()>>>,
    refused: HashMap<ParticipantId, (Timestamp, NotAMember)>,
    /// The current minute, and how many were looked up in it.
    minute: (i64, u32),
}

/// The right to look one participant up.
pub(super) struct Permit {
    _turn: OwnedMutexGuard<()>,
    _permit: OwnedSemaphorePermit,
}

impl Lookups {
    pub(super) fn new(refresh: Duration) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            inner: Mutex::default(),
            refresh,
        }
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while somebody else looks the same participant up; whoever gets a permit looks first whether that helped.
    pub(super) async fn enter(&self, did: &ParticipantId) -> Result<OwnedMutexGuard<()>, NotAMember> {
        let turn = {
            let mut inner = self.inner();
            // Nobody waits for or holds these.
            inner.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            if !inner.turns.contains_key(did) && inner.turns.len() >= WAITING {
                return Err(NotAMember::Busy);
            }
            let turn = inner.turns.entry(did.clone()).or_default().clone();
            if Arc::strong_count(&turn) > WAITING {
                return Err(NotAMember::Busy);
            }
            turn
        };
        Ok(turn.lock_owned().await)
    }

    /// Takes one of the lookups that may run now; nobody waits for one.
    pub(super) fn begin(&self, turn: OwnedMutexGuard<()>, now: Timestamp) -> Result<Permit, NotAMember> {
        let permit = self.permits.clone().try_acquire_owned().map_err(|_| NotAMember::Busy)?;
        let minute = now.seconds().div_euclid(60);
        let mut inner = self.inner();
        if inner.minute.0 != minute {
            inner.minute = (minute, 0);
        }
        if inner.minute.1 >= A_MINUTE {
            return Err(NotAMember::Busy);
        }
        inner.minute.1 += 1;
        Ok(Permit {
            _turn: turn,
            _permit: permit,
        })
    }

    /// Why this participant was refused a moment ago.
    pub(super) fn refused(&self, did: &ParticipantId, now: Timestamp) -> Option<NotAMember> {
        let inner = self.inner();
        inner
            .refused
            .get(did)
            .filter(|(until, _)| now < *until)
            .map(|(_, why)| why.clone())
    }

    /// Remembers a refusal for a while.
    pub(super) fn refuse(&self, did: &ParticipantId, why: &NotAMember, now: Timestamp) {
        if matches!(why, NotAMember::Busy) {
            return;
        }
        let longest = if why.is_final() { REFUSED } else { UNREACHABLE };
        let until = now.plus(longest.min(self.refresh));
        let mut inner = self.inner();
        if inner.refused.len() >= MEMORY {
            inner.refused.retain(|_, (until, _)| now < *until);
        }
        if inner.refused.len() >= MEMORY {
            inner.refused.clear();
        }
        inner.refused.insert(did.clone(), (until, why.clone()));
    }

    /// Forgets a refusal.
    pub(super) fn forgive(&self, did: &ParticipantId) {
        self.inner().refused.remove(did);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn did(n: usize) -> ParticipantId {
        format!("did:web:p{n}.example").parse().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[tokio::test]
    async fn only_a_few_are_looked_up_at_once_and_in_a_minute() {
        let lookups = Lookups::new(Duration::from_secs(300));
        let mut running = Vec::new();
        for n in 0..AT_ONCE {
            let turn = lookups.enter(&did(n)).await.unwrap();
            running.push(lookups.begin(turn, at(0)).unwrap());
        }
        let turn = lookups.enter(&did(100)).await.unwrap();
        assert!(matches!(lookups.begin(turn, at(0)), Err(NotAMember::Busy)));
        running.clear();
        let mut done = AT_ONCE;
        loop {
            let turn = lookups.enter(&did(done)).await.unwrap();
            if lookups.begin(turn, at(1)).is_err() {
                break;
            }
            done += 1;
        }
        assert_eq!(u32::try_from(done), Ok(A_MINUTE));
        let turn = lookups.enter(&did(1)).await.unwrap();
        assert!(lookups.begin(turn, at(60)).is_ok(), "a new minute");
    }

    #[tokio::test]
    async fn one_participant_is_looked_up_by_one_at_a_time() {
        let lookups = Lookups::new(Duration::from_secs(300));
        let first = lookups.enter(&did(1)).await.unwrap();
        let waits = tokio::time::timeout(Duration::from_millis(50), lookups.enter(&did(1))).await;
        assert!(waits.is_err());
        drop(first);
        assert!(lookups.enter(&did(1)).await.is_ok());
        assert!(lookups.enter(&did(2)).await.is_ok());
        assert!(
            lookups.inner().turns.len() <= 2,
            "turns that nobody holds are forgotten"
        );
    }

    #[test]
    fn a_refusal_is_remembered_for_a_while_and_not_for_ever() {
        let lookups = Lookups::new(Duration::from_secs(300));
        let (removed, unreachable) = (NotAMember::Removed, NotAMember::Unreachable(String::new()));
        lookups.refuse(&did(1), &removed, at(0));
        lookups.refuse(&did(2), &unreachable, at(0));
        lookups.refuse(&did(3), &NotAMember::Busy, at(0));
        assert!(lookups.refused(&did(1), at(59)).is_some() && lookups.refused(&did(1), at(60)).is_none());
        assert!(lookups.refused(&did(2), at(9)).is_some() && lookups.refused(&did(2), at(10)).is_none());
        assert!(lookups.refused(&did(3), at(0)).is_none());
        lookups.forgive(&did(1));
        assert!(lookups.refused(&did(1), at(0)).is_none());
        for n in 0..3 * MEMORY {
            lookups.refuse(&did(n), &removed, at(0));
        }
        assert!(lookups.inner().refused.len() <= MEMORY);
        let brief = Lookups::new(Duration::from_secs(1));
        brief.refuse(&did(1), &removed, at(0));
        assert!(
            brief.refused(&did(1), at(1)).is_none(),
            "not longer than the list takes to change"
        );
    }
}
