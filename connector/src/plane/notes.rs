//! What is on disk before a chunk is handed over: learners that this recipient had no record of, uses of consents that are limited to a number of
//! transfers, a total of what was withheld. What a chunk brings of these is found in `pipeline`; `outgoing` has it written down here, and lets
//! nothing pass of which that is not done.

use super::{PlaneError, Rules, telling::First};
use crate::consent::{ConsentId, Delivery};

/// What is noted on disk before a chunk is handed over.
#[derive(Default)]
pub struct Notes {
    /// Learners whose first record for this recipient may be in the chunk.
    pub first: Vec<Delivery>,
    /// Consents that are limited to a number of transfers, of which this one is not counted yet.
    pub uses: Vec<ConsentId>,
    /// What the end line tells, if it is told for the first time.
    pub total: Option<First>,
}

impl Notes {
    /// There is nothing to write down.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty() && self.uses.is_empty() && self.total.is_none()
    }
}

/// Writes down what a chunk does for the first time. Returns whether it stands: not where another transfer took the last place of a consent, or
/// it tells a total that may not be told.
pub(super) async fn note(rules: &Rules, notes: &Notes) -> Result<bool, PlaneError> {
    if !rules.occurrences.count(&notes.uses, rules.occurrence).await? {
        return Ok(false);
    }
    if !notes.first.is_empty() {
        let now = (rules.clock)();
        rules.deliveries.note(&notes.first, &rules.recipient, now).await?;
    }
    match (&rules.telling, &notes.total) {
        (Some(telling), Some(first)) => Ok(telling.keep(first, (rules.clock)()).await?),
        _ => Ok(true),
    }
}
