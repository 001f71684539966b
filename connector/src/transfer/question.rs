//! What the policy of an agreement is asked with for one of its uses: the facts of consumer, dataset and transfer, what was used before, what was
//! paid. Opens nothing.

use super::{
    TransferError, TransferRecord, Transfers,
    usage::{Limits, Use},
};
use crate::{
    catalog::{self, Dataset, ReleaseSpec, read_policy},
    contract::StoredAgreement,
    dsp::{AgreementId, Pid, Role},
};
use policy::{Action, Facts, LeftOperand, Plan, Policy, Stage, Timestamp};

/// Which use of an agreement is asked about.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) pid: &'a Pid,
    pub(super) format: &'a str,
    /// It reads from the beginning, and may have all of it already ([`TransferRecord::reads_again`]).
    pub(super) again: bool,
}

impl<'w> Wanted<'w> {
    /// What the stream of a transfer is opened for that goes on from `cursor`, or begins anew.
    pub(super) fn by(record: &'w TransferRecord, cursor: Option<&str>) -> Self {
        Self {
            pid: &record.core.pid,
            format: &record.format,
            again: record.reads_again(cursor),
        }
    }

    pub(super) fn of<'a>(&'a self, agreement: &'a AgreementId) -> Use<'a> {
        Use {
            agreement,
            pid: self.pid,
            again: self.again,
        }
    }
}

/// A policy with all that is known when it is asked.
pub(super) struct Asked {
    pub(super) policy: Policy,
    pub(super) facts: Facts,
    /// How the dataset is released.
    pub(super) release: Option<ReleaseSpec>,
    /// What was used of the agreement.
    usage: policy::Usage,
}

/// What a decision depends on that another stream of the same agreement changes.
const COUNTED: [LeftOperand; 2] = [LeftOperand::Count, LeftOperand::TimeInterval];

impl Transfers {
    pub(super) async fn agreement(&self, id: &AgreementId, role: Role) -> Result<StoredAgreement, TransferError> {
        let unknown = || TransferError::UnknownAgreement(id.to_string());
        self.parts
            .agreements
            .get(id)
            .await?
            .filter(|stored| stored.role == role)
            .ok_or_else(unknown)
    }

    /// Folds everything that is known into what remains to be asked for each record of one transfer, and into what it may use.
    pub(super) async fn plan(
        &self,
        wanted: Wanted<'_>,
        stored: &StoredAgreement,
        now: Timestamp,
    ) -> Result<(Plan, Limits), TransferError> {
        let asked = self.question(wanted, stored, now).await?;
        asked
            .policy
            .check(Stage::Transfer)
            .map_err(TransferError::NotPermitted)?;
        let plan = catalog::plan_of(asked.release.as_ref(), &asked.policy, &asked.facts)
            .map_err(TransferError::NotPermitted)?;
        let asks_for = asked.policy.asks_for();
        let limits = Limits {
            transfers: plan.count_limit,
            open: plan.metered_left.map(|left| asked.usage.metered + left),
            after: COUNTED
                .iter()
                .any(|operand| asks_for.contains(operand))
                .then_some(asked.usage),
        };
        Ok((plan, limits))
    }

    /// What was agreed and about which dataset; groups of it are as large as the agreement asks.
    pub(super) async fn agreed(&self, stored: &StoredAgreement) -> Result<(Policy, Dataset), TransferError> {
        let policy = read_policy(&stored.agreement)?;
        let dataset = self.parts.catalog.get(&stored.dataset).await?;
        let mut dataset = dataset.ok_or(TransferError::UnknownDataset)?;
        dataset.release = dataset.release.map(|release| release.held_to(&policy));
        Ok((policy, dataset))
    }

    /// What was agreed, and all that is known for one of its uses.
    pub(super) async fn question(
        &self,
        wanted: Wanted<'_>,
        stored: &StoredAgreement,
        now: Timestamp,
    ) -> Result<Asked, TransferError> {
        let consumer = self.parts.trust.party(&stored.consumer, now);
        let (policy, dataset) = self.agreed(stored).await?;
        let usage = self.usage.before(wanted.of(&stored.id), now).await?;
        let facts = catalog::facts(&consumer, Action::Use, now).with_usage(usage);
        let facts = catalog::of_transfer(facts, &dataset, wanted.format, &self.parts.policy_events);
        // What nobody has recorded as paid is not known, and not zero.
        let paid = self.parts.agreements.paid(&stored.id).await?;
        let facts = match paid.as_ref().and_then(|paid| Some((paid.number()?, &paid.unit))) {
            Some((amount, unit)) => facts.with_amount(LeftOperand::PayAmount, amount, unit),
            None => facts,
        };
        // An agreement that does not say when it was made cannot be held to a time since then.
        let agreed = policy.timestamp().and_then(|text| text.parse::<Timestamp>().ok());
        Ok(Asked {
            facts: match agreed {
                Some(agreed) => facts.with_agreed(agreed),
                None => facts,
            },
            policy,
            release: dataset.release,
            usage,
        })
    }
}
