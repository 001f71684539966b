//! What was paid under an agreement, as the provider's operator records it: payments are made elsewhere, and policies ask for their amount
//! (`odrl:payAmount`). One amount in one unit for each agreement, the sum so far; a new one takes the place of the one before, and the audit
//! log keeps all of them. Decides nothing.

use super::{Agreements, ContractError, Contracts};
use crate::{
    audit::{Entry, Kind as Recorded},
    dsp::{AgreementId, Role},
    process::{ProcessError, decode, encode},
    store::{Batch, StoreError, Table},
};
use policy::{Timestamp, odrl::Decimal};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was paid under each agreement, by its id.
const PAID: Table = Table(80);

/// Longest name of a unit.
const MAX_UNIT: usize = 64;

/// What was paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// The sum of all payments so far: a decimal number, not below zero.
    #[schema(example = "120.00")]
    pub amount: String,
    /// Its unit, spelled as policies spell it.
    #[schema(example = "EUR")]
    pub unit: String,
}

impl Payment {
    /// The amount as a number; none where it is none that could have been paid.
    pub fn number(&self) -> Option<Decimal> {
        Decimal::read(&self.amount).filter(|number| *number >= Decimal::from(0))
    }

    fn check(&self) -> Result<(), ContractError> {
        let unit = !self.unit.is_empty() && self.unit.len() <= MAX_UNIT && !self.unit.contains(char::is_whitespace);
        if unit && self.number().is_some() {
            return Ok(());
        }
        Err(ContractError::Invalid(
            "expected an amount such as 120.00, not below zero, and a unit such as EUR".into(),
        ))
    }
}

impl Agreements {
    /// What was paid under an agreement; none where nothing was recorded.
    pub async fn paid(&self, id: &AgreementId) -> Result<Option<Payment>, StoreError> {
        let item = self.store().get(PAID, id.as_str().as_bytes()).await?;
        item.map(|item| decode(&item.value)).transpose()
    }
}

impl Contracts {
    /// Provider: records what was paid under an agreement in all. Transfers that start from now on are decided by it.
    pub async fn record_payment(
        &self,
        id: &AgreementId,
        payment: Payment,
        now: Timestamp,
    ) -> Result<Payment, ContractError> {
        payment.check()?;
        let stored = self.agreements.get(id).await?.ok_or(ProcessError::NotFound)?;
        if stored.role != Role::Provider {
            return Err(ContractError::Invalid(
                "the other party is the provider of this agreement: what was paid is for it to record".into(),
            ));
        }
        let mut batch = Batch::new();
        batch.put(PAID, id.as_str(), encode(&payment)?);
        let entry = Entry::new(Recorded::AgreementPaid)
            .with("agreement", id.as_str())
            .with("amount", payment.amount.as_str())
            .with("unit", payment.unit.as_str());
        self.log.commit(batch, entry, Vec::new(), now).await?;
        Ok(payment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_is_a_decimal_number_in_a_unit() {
        let payment = |amount: &str, unit: &str| Payment {
            amount: amount.to_owned(),
            unit: unit.to_owned(),
        };
        for (amount, unit) in [("0", "EUR"), ("120.00", "iso4217:EUR")] {
            assert!(payment(amount, unit).check().is_ok(), "{amount} {unit}");
        }
        for (amount, unit) in [
            ("-1", "EUR"),
            ("12,50", "EUR"),
            ("", "EUR"),
            ("1", ""),
            ("1", "E UR"),
            ("NaN", "EUR"),
        ] {
            assert!(payment(amount, unit).check().is_err(), "{amount} {unit}");
        }
    }
}
