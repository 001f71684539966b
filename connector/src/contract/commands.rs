//! What the operator decides: opening negotiations from either side, and every step of one that is held.

use super::{AGREEMENT_DOCUMENT_HEADER, ContractError, Contracts, NegotiationRecord, agreement, decide};
use crate::{
    catalog::{self, Dataset, Decisions, Mode, read_policy},
    dsp::{
        DatasetId, ParticipantId, Pid, Role,
        message::{self, Explanation, NegotiationMessage},
    },
    process::{Core, Turn},
};
use policy::{Stage, Timestamp};
use serde_json::Value;
use url::Url;

/// What a consumer wants to negotiate.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Our id for the negotiation.
    pub pid: Pid,
    /// The provider.
    pub peer: ParticipantId,
    /// The provider's base address.
    pub base: Url,
    /// The dataset.
    pub dataset: DatasetId,
    /// The provider's offer: from its catalog, or as far as the operator knows it.
    pub offer: Value,
    /// Terms to ask for instead of the offered ones.
    pub terms: Option<Value>,
    /// Hold every step for the operator, whatever the configuration says.
    pub manual: bool,
}

/// What a provider proposes to a consumer that has not asked.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// Our id for the negotiation.
    pub pid: Pid,
    /// The consumer.
    pub peer: ParticipantId,
    /// The consumer's base address.
    pub base: Url,
    /// The dataset.
    pub dataset: Dataset,
    /// Terms to propose instead of the published ones.
    pub terms: Option<Value>,
    /// Hold every step for the operator, whatever the configuration says.
    pub manual: bool,
}

fn mode(decisions: Decisions, manual: bool) -> Decisions {
    Decisions {
        negotiations: if manual { Mode::Manual } else { decisions.negotiations },
        ..decisions
    }
}

impl Contracts {
    /// Opens a negotiation as the consumer.
    pub async fn request(&self, wanted: Wanted, now: Timestamp) -> Result<NegotiationRecord, ContractError> {
        decide::understandable(&wanted.offer)?;
        let id = message::offer_id(&wanted.offer)?;
        let offer = decide::offer_of(
            wanted.terms.as_ref().unwrap_or(&wanted.offer),
            id.as_str(),
            &wanted.dataset,
        );
        decide::understandable(&offer)?;
        let core = Core::new(wanted.pid, wanted.peer, Role::Consumer, wanted.base, now);
        let decisions = mode(self.decisions, wanted.manual);
        let asked = wanted.terms.map(|_| offer.clone());
        let ours = (offer, Role::Consumer);
        let mut record = NegotiationRecord::new(core, wanted.dataset, ours, wanted.offer, decisions);
        record.asked = asked;
        self.begin(record, now).await
    }

    /// Opens a negotiation as the provider (DSP 2025-1 §7.2.2: an offer without `consumerPid`).
    pub async fn propose(&self, proposed: Proposed, now: Timestamp) -> Result<NegotiationRecord, ContractError> {
        let Proposed { dataset, peer, .. } = proposed;
        let published = dataset.message_offer();
        let terms = proposed.terms.as_ref().unwrap_or(&published);
        let offer = decide::offer_of(terms, dataset.offer_id.as_str(), &dataset.id);
        let understood = decide::offerable(&offer, &peer, self.trust.me())?;
        self.reaches(&understood, now).await?;
        let consumer = self.trust.party(&peer, now);
        catalog::permitted(&understood, Stage::Negotiation, &consumer, Some(&dataset), now)
            .map_err(ContractError::NotPermitted)?;
        let core = Core::new(proposed.pid, peer, Role::Provider, proposed.base, now);
        let decisions = mode(dataset.decisions.over(self.decisions), proposed.manual);
        let ours = (offer, Role::Provider);
        let record = NegotiationRecord::new(core, dataset.id, ours, published, decisions);
        self.begin(record, now).await
    }

    /// Whoever is informed under these terms of ours can be told, or nothing would flow under them.
    async fn reaches(&self, terms: &policy::Policy, now: Timestamp) -> Result<(), ContractError> {
        let named = terms.informs_here().collect::<Vec<_>>();
        let reached = catalog::informed(&self.trust, &named, now).await;
        reached
            .map(drop)
            .map_err(|why| ContractError::NotPermitted(why.reasons()))
    }

    /// Stores a negotiation of ours with the message that opens it: the consumer's request or the provider's offer.
    async fn begin(&self, mut record: NegotiationRecord, now: Timestamp) -> Result<NegotiationRecord, ContractError> {
        let (offer, callback) = (record.offer.clone(), Some(self.base.clone()));
        let message = match record.core.role {
            Role::Consumer => NegotiationMessage::Request { offer, callback },
            Role::Provider => NegotiationMessage::Offer { offer, callback },
        };
        let mut turn = Turn::default();
        record.send(&mut turn, &message, Vec::new(), now)?;
        self.ledger.open(&record, turn, now).await?;
        Ok(record)
    }

    /// Provider: answers a request with an offer, of the published terms or of others.
    pub async fn offer(
        &self,
        pid: &Pid,
        terms: Option<&Value>,
        now: Timestamp,
    ) -> Result<NegotiationRecord, ContractError> {
        if let Some(terms) = terms {
            let record = self.get(pid).await?;
            let id = message::offer_id(&record.published)?;
            let offer = decide::offer_of(terms, id.as_str(), &record.dataset);
            self.reaches(&decide::understandable(&offer)?, now).await?;
        }
        self.command(pid, now, |record, turn| {
            record.expect_role(Role::Provider)?;
            let id = message::offer_id(&record.published)?;
            let offer = decide::offer_of(terms.unwrap_or(&record.published), id.as_str(), &record.dataset);
            decide::offerable(&offer, &record.core.peer, self.trust.me())?;
            record.offer_instead(turn, offer, now)
        })
        .await
    }

    /// Provider: agrees to the terms on the table, the consumer's or its own accepted ones.
    pub async fn agree(&self, pid: &Pid, now: Timestamp) -> Result<NegotiationRecord, ContractError> {
        let record = self.get(pid).await?;
        if record.core.role == Role::Provider {
            self.reaches(&read_policy(&record.offer)?, now).await?;
        }
        let dataset = self.catalog.get(&record.dataset).await?;
        self.command(pid, now, |record, turn| {
            record.expect_role(Role::Provider)?;
            let ours = read_policy(&record.offer)?;
            let consumer = self.trust.party(&record.core.peer, now);
            catalog::permitted(&ours, Stage::Negotiation, &consumer, dataset.as_ref(), now)
                .map_err(ContractError::NotPermitted)?;
            self.propose_agreement(record, turn, now)
        })
        .await
    }

    /// Provider: finalizes a verified agreement, which has force from then on.
    pub async fn finalize(&self, pid: &Pid, now: Timestamp) -> Result<NegotiationRecord, ContractError> {
        let id = self.get(pid).await?.agreement_id();
        let stored = match &id {
            Some(id) => self.agreements.find(id).await?,
            None => None,
        };
        let record = self
            .command(pid, now, |record, turn| {
                record.expect_role(Role::Provider)?;
                let Some(stored) = &stored else {
                    return Err(ContractError::Invalid(
                        "the consumer has not verified an agreement yet".into(),
                    ));
                };
                self.finish(record, turn, stored.clone(), now)
            })
            .await?;
        if let Some(id) = &id {
            self.warn(id).await;
        }
        Ok(record)
    }

    /// Consumer: accepts the provider's offer on the table.
    pub async fn accept(&self, pid: &Pid, now: Timestamp) -> Result<NegotiationRecord, ContractError> {
        self.command(pid, now, |record, turn| {
            record.expect_role(Role::Consumer)?;
            record.expect_offer_of(Role::Provider)?;
            record.send(turn, &NegotiationMessage::Accepted, Vec::new(), now)
        })
        .await
    }

    /// Consumer: asks for other terms in answer to the provider's offer; without any, for those on the table.
    pub async fn counter(
        &self,
        pid: &Pid,
        terms: Option<&Value>,
        now: Timestamp,
    ) -> Result<NegotiationRecord, ContractError> {
        self.command(pid, now, |record, turn| {
            record.expect_role(Role::Consumer)?;
            let id = message::offer_id(&record.offer)?;
            let offer = decide::offer_of(terms.unwrap_or(&record.offer), id.as_str(), &record.dataset);
            decide::understandable(&offer)?;
            record.ask_instead(turn, offer, now)
        })
        .await
    }

    /// Consumer: confirms the agreement that the provider proposed.
    pub async fn verify(&self, pid: &Pid, now: Timestamp) -> Result<NegotiationRecord, ContractError> {
        self.command(pid, now, |record, turn| {
            record.expect_role(Role::Consumer)?;
            record.send_verification(turn, now)
        })
        .await
    }

    /// Ends a negotiation. Before the peer has named its process the wish is kept and carried out as soon as it has.
    pub async fn terminate(
        &self,
        pid: &Pid,
        why: Explanation,
        now: Timestamp,
    ) -> Result<NegotiationRecord, ContractError> {
        let end = |record: &mut NegotiationRecord, turn: &mut Turn| {
            if record.core.peer_pid.is_none() && !record.core.position.is_terminal() {
                record.wants_termination = Some(why.clone());
                return Ok(());
            }
            self.void(record, turn)?;
            record.core.explanation = Some(why.clone());
            record.send(turn, &NegotiationMessage::Termination(why.clone()), Vec::new(), now)
        };
        Ok(self.ledger.change(pid, now, end).await?.0)
    }

    async fn command(
        &self,
        pid: &Pid,
        now: Timestamp,
        decide: impl FnMut(&mut NegotiationRecord, &mut Turn) -> Result<(), ContractError>,
    ) -> Result<NegotiationRecord, ContractError> {
        // Nothing is agreed with who is no peer any more.
        let peer = self.get(pid).await?.core.peer;
        let met = self.trust.meet(&peer, now).await;
        met.map_err(|error| ContractError::Invalid(format!("the other party: {error}")))?;
        Ok(self.ledger.change(pid, now, decide).await?.0)
    }

    /// Writes the agreement over the terms on the table and sends it, signed if the consumer signs too.
    pub(super) fn propose_agreement(
        &self,
        record: &mut NegotiationRecord,
        turn: &mut Turn,
        now: Timestamp,
    ) -> Result<(), ContractError> {
        // The consumer signs agreements with the key that signs its messages; the record names it.
        agreement::propose(record, record.peer_key, &self.trust, now)?;
        let agreement = record.agreement.clone().unwrap_or(Value::Null);
        let signature = record.provider_signature.as_deref();
        let mut headers = agreement::signature_header(signature.filter(|_| record.named_key.is_some()));
        headers.extend(record.basis.headers());
        record.send(turn, &NegotiationMessage::Agreement { agreement }, headers, now)
    }

    /// Gives an agreement force and tells the consumer.
    pub(super) fn finish(
        &self,
        record: &mut NegotiationRecord,
        turn: &mut Turn,
        mut stored: agreement::StoredAgreement,
        now: Timestamp,
    ) -> Result<(), ContractError> {
        stored.in_force = true;
        let header = || {
            (
                AGREEMENT_DOCUMENT_HEADER.to_owned(),
                stored.document_digest().to_string(),
            )
        };
        let headers: Vec<_> = (!stored.one_party).then(header).into_iter().collect();
        self.agreements.put(turn.batch(), &stored)?;
        turn.record(stored.entry());
        record.send(turn, &NegotiationMessage::Finalized, headers, now)
    }
}

impl NegotiationRecord {
    /// Provider: puts an offer of its own on the table.
    pub(super) fn offer_instead(&mut self, turn: &mut Turn, offer: Value, now: Timestamp) -> Result<(), ContractError> {
        self.put_offer(offer.clone(), Role::Provider);
        self.rounds = self.rounds.saturating_add(1);
        self.send(
            turn,
            &NegotiationMessage::Offer { offer, callback: None },
            Vec::new(),
            now,
        )
    }

    /// Consumer: puts a request of its own on the table.
    pub(super) fn ask_instead(&mut self, turn: &mut Turn, offer: Value, now: Timestamp) -> Result<(), ContractError> {
        self.put_offer(offer.clone(), Role::Consumer);
        self.rounds = self.rounds.saturating_add(1);
        self.send(
            turn,
            &NegotiationMessage::Request { offer, callback: None },
            Vec::new(),
            now,
        )
    }

    /// Consumer: confirms the agreement, to a provider that signed it with its own signature.
    pub(super) fn send_verification(&mut self, turn: &mut Turn, now: Timestamp) -> Result<(), ContractError> {
        let signature = self.consumer_signature.as_deref();
        let headers = agreement::signature_header(signature.filter(|_| self.provider_signature.is_some()));
        self.send(turn, &NegotiationMessage::Verification, headers, now)
    }

    pub(super) fn expect_role(&self, role: Role) -> Result<(), ContractError> {
        if self.core.role == role {
            return Ok(());
        }
        Err(ContractError::Invalid(format!(
            "this is for the {role}; here this connector is the {}",
            self.core.role
        )))
    }
}
