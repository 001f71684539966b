//! What time ends: which consent ends next, and the step that says so. Access ends by the record's own end whether or not this ran.

use super::{Consents, error::ConsentError, record::ConsentId};
use policy::Timestamp;
use std::{
    collections::BTreeSet,
    ops::Bound,
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

    /// A consent was given or prolonged, or a basis declared: it may end before all others.
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

    /// Waits until a consent was given or prolonged, or a basis declared.
    pub async fn ends_changed(&self) {
        self.due.changed.notified().await;
    }

    /// Records the end of every consent whose time is over; returns how many. The clock is read before each, so that what ends meanwhile is
    /// closed at its time as well. An end that cannot be recorded keeps no other waiting; after an error, the first, call it again.
    pub async fn expire(&self, clock: impl Fn() -> Timestamp + Send) -> Result<usize, ConsentError> {
        let (mut ended, mut failed) = (0, None);
        let (mut now, mut last) = (clock(), None);
        while let Some(id) = self.next_due(now, last.as_ref()) {
            match self.record_end(&id, now).await {
                Ok(more) => ended += more,
                Err(error) => failed = failed.or(Some(error)),
            }
            // A clock that is set back does not take back what the index was told: it names each end once.
            (now, last) = (now.max(clock()), Some(id));
        }
        failed.map_or(Ok(ended), Err)
    }

    /// The consent after the last one whose end is to be recorded next.
    fn next_due(&self, now: Timestamp, last: Option<&ConsentId>) -> Option<ConsentId> {
        let expired = self.index.expired(now);
        let mut due = self.due.lock();
        due.extend(expired);
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        due.range((after, Bound::Unbounded)).next().cloned()
    }

    async fn record_end(&self, id: &ConsentId, now: Timestamp) -> Result<usize, ConsentError> {
        let ended = match self.read(id).await? {
            Some((stored, _)) => self.expire_learner(&stored.consent.subject, now).await?,
            None => 0,
        };
        self.due.lock().remove(id);
        Ok(ended)
    }

    /// Records the end of a learner's consents whose time is over; returns how many.
    pub(super) async fn expire_learner(&self, subject: &str, now: Timestamp) -> Result<usize, ConsentError> {
        let (_, changed) = self
            .change(&[subject], None, now, |learners| {
                for learner in learners.iter_mut() {
                    for at in 0..learner.records.len() {
                        learner.expire(at, now)?;
                    }
                }
                Ok(())
            })
            .await?;
        Ok(changed.len())
    }
}
