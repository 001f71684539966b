//! What time ends: which consent ends next, and the step that says so. Access ends by the record's own end whether or not this ran.

use super::{Consents, error::ConsentError, record::ConsentId};
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
