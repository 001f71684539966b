//! Contract negotiation: a command or a peer's message comes in, is checked, and becomes one commit of new state, queued messages and
//! audit entries. Sends nothing itself.
//!
//! `commands` holds what the operator decides, `messages` what peers send, `decide` the rules, `agreement` what both sign, `beside` how
//! agreements stand to each other, `export` how anyone checks it, `page` how people read it, `payments` what was paid under it.

mod agreement;
mod basis;
mod beside;
mod commands;
mod decide;
mod error;
mod export;
mod members;
mod messages;
pub mod page;
mod payments;
mod record;

pub use agreement::{Agreements, StoredAgreement};
pub use basis::{Basis, CLAIMS_HEADER, RULEBOOK_HEADER};
pub use beside::{Contradicted, Contradiction};
pub use commands::{Proposed, Wanted};
pub use error::ContractError;
pub use export::{
    AgreementExport, Checked, CheckedParty, KeySource, PublishedKey, VerifyError, verify_export, verify_with,
};
pub use messages::Call;
pub use payments::Payment;
pub use record::{AgreedTerms, NegotiationRecord};

use crate::{
    audit::{Entry, Kind as Recorded, Log},
    catalog::{Catalog, Decisions},
    dsp::{
        AgreementId, OfferId, ParticipantId, Pid,
        catalog::ListedDataset,
        message::{Explanation, NegotiationMessage},
        negotiation::State,
    },
    process::{Events, Ledger, Outgoing, ProcessError, Queue, Turn, outbox::Outcome},
    store::StoreError,
    trust::{Trust, Verified},
};
use beside::Beside;
use policy::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use url::Url;

/// The header with a party's signature over the agreement record.
pub use crate::jose::agreement::HEADER_NAME as AGREEMENT_SIGNATURE_HEADER;
/// The header of the finalization: hash over the document with both signatures.
pub const AGREEMENT_DOCUMENT_HEADER: &str = "x-dsp-agreement-document";

/// What the service needs from the rooms above it.
pub struct Parts {
    /// Commits and entries.
    pub log: Arc<Log>,
    /// Undelivered messages.
    pub queue: Arc<Queue>,
    /// Who listens.
    pub events: Arc<Events>,
    /// Datasets.
    pub catalog: Arc<Catalog>,
    /// Identities.
    pub trust: Arc<Trust>,
    /// Our own public base address.
    pub base: Url,
    /// What is decided here and what waits for the operator.
    pub decisions: Decisions,
    /// How many negotiations may be open with one peer before it opens no more.
    pub most_open: usize,
}

/// The negotiation service of one connector, in both roles.
pub struct Contracts {
    log: Arc<Log>,
    ledger: Ledger<NegotiationRecord>,
    catalog: Arc<Catalog>,
    agreements: Agreements,
    beside: Beside,
    trust: Arc<Trust>,
    base: Url,
    decisions: Decisions,
}

impl Contracts {
    /// The service over the log's store.
    pub async fn load(parts: Parts) -> Result<Self, StoreError> {
        let agreements = Agreements::new(parts.log.store().clone());
        Ok(Self {
            beside: Beside::of(&agreements.list().await?),
            agreements,
            log: parts.log.clone(),
            ledger: Ledger::over(parts.log, parts.queue, parts.events, parts.most_open).await?,
            catalog: parts.catalog,
            trust: parts.trust,
            base: parts.base,
            decisions: parts.decisions,
        })
    }

    /// The agreements in force and those that were.
    pub fn agreements(&self) -> &Agreements {
        &self.agreements
    }

    /// All negotiations.
    pub async fn list(&self) -> Result<Vec<NegotiationRecord>, ContractError> {
        Ok(self.ledger.list().await?)
    }

    /// One negotiation.
    pub async fn get(&self, pid: &Pid) -> Result<NegotiationRecord, ContractError> {
        Ok(self.ledger.load(pid).await?.ok_or(ProcessError::NotFound)?.0)
    }

    /// One negotiation, for the peer that takes part in it.
    pub async fn get_for(&self, pid: &Pid, peer: &ParticipantId) -> Result<NegotiationRecord, ContractError> {
        Ok(self.ledger.of_peer(pid, peer).await?)
    }

    /// Answers to a request that changed nothing must burn its id too.
    pub async fn spend<T>(&self, verified: &Verified<T>) -> Result<(), ContractError> {
        Ok(self.ledger.spend(&verified.spent()).await?)
    }

    /// The agreements in force that one contradicts.
    pub async fn contradicted(&self, agreement: &StoredAgreement) -> Result<Contradicted, StoreError> {
        let question = self.beside.question(agreement);
        let all = question.len();
        let compared = tokio::task::spawn_blocking(move || question.answer()).await;
        let mut found = compared.unwrap_or_else(|_| Contradicted::none_of(all));
        let mut void = Vec::new();
        for other in &found.by {
            if self.agreements.get(&other.agreement).await?.is_none() {
                void.push(other.agreement.clone());
            }
        }
        self.beside.forget(agreement, &void);
        found.by.retain(|other| !void.contains(&other.agreement));
        Ok(found)
    }

    /// Warns of what an agreement that was just made contradicts. It is made, whatever is found or fails here.
    async fn warn(&self, id: &AgreementId) {
        let found = async {
            let Some(stored) = self.agreements.get(id).await? else {
                return Ok(Contradicted::default());
            };
            self.beside.add(&stored);
            self.contradicted(&stored).await
        };
        let found: Contradicted = match found.await {
            Ok(found) => found,
            Err::<_, StoreError>(error) => {
                return tracing::warn!(agreement = %id, %error, "not compared with other agreements");
            }
        };
        for other in found.by {
            let (beside, why) = (&other.agreement, other.reasons.join("; "));
            tracing::warn!(agreement = %id, %beside, %why, "this agreement contradicts another in force");
        }
        if found.not_compared > 0 {
            let others = found.not_compared;
            tracing::warn!(agreement = %id, others, "not compared with all other agreements: there are too many");
        }
    }

    /// An agreement that its negotiation did not bring to the end has no force.
    fn void(&self, record: &NegotiationRecord, turn: &mut Turn) -> Result<(), ContractError> {
        if let Some(id) = record.agreement_id() {
            self.agreements.remove(turn.batch(), &id);
            turn.record(Entry::new(Recorded::AgreementVoid).with("agreement", id.as_str()));
        }
        Ok(())
    }

    /// Takes in what became of a message of ours.
    pub async fn settle(&self, entry: &Outgoing, outcome: &Outcome, now: Timestamp) -> Result<(), ContractError> {
        self.ledger
            .settle(entry, outcome, now, |record: &mut NegotiationRecord, turn| {
                let wants = record
                    .wants_termination
                    .take()
                    .filter(|_| !record.core.position.is_terminal());
                if let Some(why) = wants {
                    if record.core.peer_pid.is_some() {
                        return record.send(turn, &NegotiationMessage::Termination(why), Vec::new(), now);
                    }
                    record.wants_termination = Some(why);
                }
                if let Outcome::Refused { explanation, .. } = outcome {
                    return self.after_refusal(record, turn, explanation, now);
                }
                Ok(())
            })
            .await?;
        Ok(())
    }

    /// The peer will not follow: the two sides no longer agree on where they are, so the negotiation must end (DSP 2025-1 §7.1).
    fn after_refusal(
        &self,
        record: &mut NegotiationRecord,
        turn: &mut Turn,
        explanation: &Explanation,
        now: Timestamp,
    ) -> Result<(), ContractError> {
        if record.core.position.state != Some(State::Finalized) {
            self.void(record, turn)?;
        }
        if record.core.position.is_terminal() || !record.core.position.pending.is_empty() {
            return Ok(());
        }
        let said = explanation.reasons.first().cloned().unwrap_or_default();
        let why = Explanation::new("refused", format!("our last message was refused: {said}"));
        record.send(turn, &NegotiationMessage::Termination(why), Vec::new(), now)
    }
}

/// The offer of a listed dataset that the operator named: by its id, or the only one of the dataset with that id.
pub fn pick<'a>(datasets: &'a [ListedDataset], wanted: &str) -> Option<(&'a ListedDataset, &'a Value)> {
    let by_offer = datasets.iter().find_map(|dataset| {
        let offer = wanted.parse().ok().and_then(|id: OfferId| dataset.offer(&id))?;
        Some((dataset, offer))
    });
    by_offer.or_else(|| {
        let dataset = datasets.iter().find(|dataset| dataset.id.as_str() == wanted)?;
        match dataset.offers.as_slice() {
            [only] => Some((dataset, only)),
            _ => None,
        }
    })
}
