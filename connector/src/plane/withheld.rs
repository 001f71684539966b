//! What became of the records of a stream: how many were withheld and why, and the learners behind them as far as totals need them. Counts alone;
//! what of it the receiver is told is decided in `totals`.

use super::{
    scan::RecordError,
    totals::{self, Behind},
};
use crate::consent::{Reason, Tag, Withheld};
use policy::Plan;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What became of the records read so far. For the provider only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    consent: [u64; Reason::ALL.len()],
    policy: [u64; Plan::REFUSALS.len()],
    unusable: [u64; RecordError::ALL.len()],
    fields_removed: u64,
    behind: Behind,
}

impl Release {
    /// Withheld records by the code of the reason; reasons that did not occur are left out.
    pub fn withheld(&self) -> BTreeMap<&'static str, u64> {
        let consent = Reason::ALL
            .iter()
            .map(|reason| reason.code().as_str())
            .zip(self.consent);
        let policy = Plan::REFUSALS.iter().map(|code| code.as_str()).zip(self.policy);
        let unusable = RecordError::ALL.iter().map(|error| error.code()).zip(self.unusable);
        let mut all = BTreeMap::new();
        for (reason, count) in consent.chain(policy).chain(unusable).filter(|(_, count)| *count > 0) {
            *all.entry(reason).or_default() += count;
        }
        all
    }

    /// Fields that were left out of records that were sent.
    pub fn fields_removed(&self) -> u64 {
        self.fields_removed
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = &u64> {
        self.consent
            .iter()
            .chain(&self.policy)
            .chain(&self.unusable)
            .chain(std::iter::once(&self.fields_removed))
            .chain(&self.behind)
    }

    pub(super) fn counts_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        self.consent
            .iter_mut()
            .chain(&mut self.policy)
            .chain(&mut self.unusable)
            .chain(std::iter::once(&mut self.fields_removed))
            .chain(&mut self.behind)
    }

    /// What may be told of the withheld: lines that hold no record are nobody's.
    pub(super) fn shown(&self) -> Option<u64> {
        totals::shown(&self.behind)
    }

    /// Counts a record that was withheld, and its learner.
    pub(super) fn refuse(&mut self, why: Withheld, whose: Tag) {
        totals::count(&mut self.behind, whose);
        match why {
            Withheld::Consent(reason) => Self::withhold(&mut self.consent, reason as usize),
            Withheld::Policy(code) => {
                if let Some(number) = Plan::REFUSALS.iter().position(|known| *known == code) {
                    Self::withhold(&mut self.policy, number);
                }
            }
        }
    }

    /// Counts a line that holds no record that could be sent.
    pub(super) fn cannot_use(&mut self, error: RecordError) {
        Self::withhold(&mut self.unusable, error as usize);
    }

    /// Counts fields that were left out of one record.
    pub(super) fn remove_fields(&mut self, fields: u32) {
        self.fields_removed += u64::from(fields);
    }

    fn withhold(counts: &mut [u64], number: usize) {
        if let Some(count) = counts.get_mut(number) {
            *count += 1;
        }
    }
}
