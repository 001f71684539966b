//! Who is told that a transfer begins, because the agreement's policy says so. How they are told is for `consent::exchange`.

use super::{TransferError, TransferRecord, Transfers};
use crate::{catalog, consent::exchange::Disclosure, contract::StoredAgreement};
use policy::{Plan, Timestamp};

impl Transfers {
    /// What is to be told to whom before a transfer's first record leaves.
    ///
    /// # Errors
    /// `DUT-03` where somebody is named whom we cannot tell: nothing leaves then.
    pub(super) async fn due(
        &self,
        record: &TransferRecord,
        stored: &StoredAgreement,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<Vec<Disclosure>, TransferError> {
        let named = plan.informs().collect::<Vec<_>>();
        let informed = catalog::informed(&self.parts.trust, &named, now)
            .await
            .map_err(|why| match why {
                catalog::Unreached::Nobody(reasons) => TransferError::NotPermitted(reasons),
                catalog::Unreached::NotNow(reason) => {
                    tracing::warn!(%reason, transfer = %record.core.pid, "a transfer waits for whoever is to be informed");
                    TransferError::NotInformed
                }
            })?;
        let disclosure = |informed| Disclosure {
            provider: self.parts.trust.me().clone(),
            recipient: stored.consumer.clone(),
            informed,
            agreement: stored.id.clone(),
            dataset: stored.dataset.clone(),
            purposes: plan.purposes.iter().map(|name| iri(name)).collect(),
            transfer: record.core.pid.clone(),
            at: now,
        };
        Ok(informed.into_iter().map(disclosure).collect())
    }
}

/// A purpose as others read it; what has no IRI stands as the policy names it.
fn iri(name: &str) -> String {
    policy::purpose_iri(name).unwrap_or_else(|| name.to_owned())
}
