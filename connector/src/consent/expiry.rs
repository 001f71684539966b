//! What time ends: which consent ends next, and the step that says so. Access ends by the record's own end whether or not this ran.

use super::{
    Consents,
    error::ConsentError,
    learner::Step,
    not_before,
    record::{Actor, Cause, ConsentId},
    state::{Act, State},
};
use policy::Timestamp;
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Consents whose end has come and is not recorded yet: the index names each once.
#[derive(Default)]
pub(super) struct Due {
    ids: Mutex<BTreeSet<ConsentId>>,
    changed: Notify,
}

impl Due {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<ConsentId>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A consent was given or prolonged: it may end before all others.
    pub(super) fn stir(&self) {
        self.changed.notify_one();
    }
}

impl Consents {
    /// When [`Consents::expire`] should be called next: nothing ends before.
    pub fn next_end(&self) -> Option<Timestamp> {
        match self.due.lock().is_empty() {
            true => self.index.next_expiry(),
            false => Some(Timestamp::MIN),
        }
    }

    /// Waits until a consent was given or prolonged.
    pub async fn ends_changed(&self) {
        self.due.changed.notified().await;
    }

    /// Records the end of every consent whose time is over; returns how many. After an error call it again.
    pub async fn expire(&self, now: Timestamp) -> Result<usize, ConsentError> {
        let expired = self.index.expired(now);
        let ids: Vec<ConsentId> = {
            let mut due = self.due.lock();
            due.extend(expired);
            due.iter().cloned().collect()
        };
        let mut ended = 0;
        for id in ids {
            if let Some((stored, _)) = self.read(&id).await? {
                ended += self.expire_learner(&stored.consent.subject, now).await?;
            }
            self.due.lock().remove(&id);
        }
        Ok(ended)
    }

    async fn expire_learner(&self, subject: &str, now: Timestamp) -> Result<usize, ConsentError> {
        let (_, changed) = self
            .change(&[subject], None, now, |learners| {
                for learner in learners.iter_mut() {
                    for at in 0..learner.records.len() {
                        let Some(stored) = learner.stored(at) else { continue };
                        if stored.state != State::Given || now < stored.ends() {
                            continue;
                        }
                        let of_age = stored.threshold.is_some_and(|threshold| threshold <= stored.until);
                        let cause = if of_age { Cause::CameOfAge } else { Cause::PeriodEnded };
                        let time = not_before(now, stored.last());
                        learner.step(at, Step::new(Act::Expire, Actor::clock(), time, now).because(cause))?;
                    }
                }
                Ok(())
            })
            .await?;
        Ok(changed.len())
    }
}
