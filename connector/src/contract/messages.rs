//! What peers send: a message that opens a negotiation, or one that takes a step of it.

use super::{
    AGREEMENT_DOCUMENT_HEADER, AGREEMENT_SIGNATURE_HEADER, Basis, ContractError, Contracts, NegotiationRecord,
    agreement,
    decide::{self, Differing},
};
use crate::{
    catalog::{Dataset, Decisions, Mode},
    dsp::{
        MessageError, OfferId, ParticipantId, Pid, Role,
        message::{self, NegotiationMessage, Received},
        negotiation::Negotiation,
    },
    jose,
    process::{Answer, Core, Incoming, Turn},
    trust::{Verified, did::Document},
};
use policy::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use url::Url;

/// A verified request to us, with the headers that belong to the agreement.
pub struct Call<'a> {
    /// The message with the proof of its sender.
    pub message: &'a Verified<Received<NegotiationMessage>>,
    /// The sender's signature over the agreement record, if it sent one.
    pub signature: Option<&'a str>,
    /// The hash over the document, if it sent one.
    pub document: Option<&'a str>,
    /// What the sender's agreement rests on beside its terms.
    pub basis: Basis,
    /// The address that it was sent to, as we advertise it.
    pub url: &'a str,
}

/// What is known beside a record when a message is answered, whichever attempt it is.
#[derive(Default)]
struct Known {
    /// The sender's keys.
    keys: Option<Arc<Document>>,
    /// Provider: what is negotiated about, unless it was taken out of the catalog.
    dataset: Option<Dataset>,
    differing: Differing,
}

impl Contracts {
    /// A message that opens a negotiation: a consumer's request, or a provider's offer.
    pub async fn open(&self, call: Call<'_>, now: Timestamp) -> Result<Answer, ContractError> {
        let received = call.message.value();
        match &received.message {
            NegotiationMessage::Request {
                offer,
                callback: Some(callback),
            } => {
                let theirs = received.pids.consumer.as_ref();
                self.opened(&call, Role::Provider, theirs, offer, callback, now).await
            }
            NegotiationMessage::Offer {
                offer,
                callback: Some(callback),
            } => {
                let theirs = received.pids.provider.as_ref();
                self.opened(&call, Role::Consumer, theirs, offer, callback, now).await
            }
            _ => Err(ContractError::Invalid(
                "only a ContractRequestMessage or ContractOfferMessage with callbackAddress opens a negotiation".into(),
            )),
        }
    }

    /// The process that a peer's first message opens, in which we are the `role`.
    async fn opened(
        &self,
        call: &Call<'_>,
        role: Role,
        theirs: Option<&Pid>,
        offer: &Value,
        callback: &Url,
        now: Timestamp,
    ) -> Result<Answer, ContractError> {
        let sender = call.message.sender();
        let missing = match role {
            Role::Provider => "consumerPid",
            Role::Consumer => "providerPid",
        };
        let theirs = theirs.ok_or(MessageError::Missing(missing))?;
        let incoming = incoming(call, Some(theirs), now);
        if let Some(pid) = self.ledger.find(&sender.did, role, theirs).await? {
            return match self.ledger.opened(&pid, &incoming).await? {
                Some(answer) => Ok(answer),
                None => Err(ContractError::Invalid(format!(
                    "{missing} {theirs} names a negotiation that exists already"
                ))),
            };
        }
        // Before anything is read or compared for it.
        self.ledger.room(&sender.did)?;
        decide::callback(callback, sender)?;
        let pid = Pid::from_uuid(jose::uuid(now).map_err(jose::JoseError::from)?);
        let mut core = Core::new(pid, sender.did.clone(), role, callback.clone(), now);
        core.opened_by(&incoming)?;
        let (mut record, dataset) = match role {
            Role::Provider => self.requested(core, offer, now).await?,
            Role::Consumer => (self.proposed(core, offer)?, None),
        };
        record.heard(incoming.body);
        record.peer_key = call.message.signed_with();
        let answer = Answer::opened(&record.core);
        let mut turn = Turn::default();
        if role == Role::Provider {
            let known = Known {
                dataset,
                ..Known::default()
            };
            self.answer_request(&mut record, &mut turn, offer, &known, now)?;
        }
        self.ledger.admit(&record, &incoming, &answer, turn, now).await?;
        Ok(answer)
    }

    /// A consumer asks for one of our offers.
    async fn requested(
        &self,
        core: Core<Negotiation>,
        offer: &Value,
        now: Timestamp,
    ) -> Result<(NegotiationRecord, Option<Dataset>), ContractError> {
        let dataset = self.offered(&message::offer_id(offer)?, &core.peer, now).await?;
        decide::target(offer, &dataset.id)?;
        let (ours, decisions) = (dataset.message_offer(), dataset.decisions.over(self.decisions));
        let offer = (offer.clone(), Role::Consumer);
        let record = NegotiationRecord::new(core, dataset.id.clone(), offer, ours, decisions);
        Ok((record, Some(dataset)))
    }

    /// A provider offers what nobody here has asked for: the operator decides, whatever the configuration says.
    fn proposed(&self, core: Core<Negotiation>, offer: &Value) -> Result<NegotiationRecord, ContractError> {
        decide::understandable(offer)?;
        let target = offer.get("target").and_then(Value::as_str).unwrap_or_default();
        let dataset = target
            .parse()
            .map_err(|error| ContractError::Invalid(format!("the offer's target {error}")))?;
        let decisions = Decisions {
            negotiations: Mode::Manual,
            ..self.decisions
        };
        let theirs = (offer.clone(), Role::Provider);
        Ok(NegotiationRecord::new(core, dataset, theirs, offer.clone(), decisions))
    }

    async fn offered(&self, offer: &OfferId, peer: &ParticipantId, now: Timestamp) -> Result<Dataset, ContractError> {
        let unknown = || ContractError::UnknownOffer(offer.to_string());
        let dataset = self.catalog.by_offer(offer).await?.ok_or_else(unknown)?;
        dataset
            .visible_to(&self.trust.party(peer, now), now)
            .map_err(|_| unknown())?;
        Ok(dataset)
    }

    /// Any later message, addressed to our process id.
    pub async fn receive(&self, pid: &Pid, call: Call<'_>, now: Timestamp) -> Result<Answer, ContractError> {
        let received = call.message.value();
        let sender = call.message.sender();
        let record = self.ledger.of_peer(pid, &sender.did).await?;
        let (mine, theirs) = received.pids.seen_by(record.core.role);
        if mine != Some(pid) {
            return Err(MessageError::PidMismatch.into());
        }
        let incoming = incoming(&call, theirs, now);
        // What is fetched is fetched before the decision: decisions wait for nothing.
        let known = Known {
            // A peer that does not sign has none.
            keys: match call.message.signed_with().is_some() {
                true => Some(self.trust.keys_of(sender, now).await?),
                false => None,
            },
            dataset: match record.core.role {
                Role::Provider => self.catalog.get(&record.dataset).await?,
                Role::Consumer => None,
            },
            differing: Differing::default(),
        };
        let (record, answer) = self
            .ledger
            .receive(pid, incoming, now, |record: &mut NegotiationRecord, turn| {
                record.peer_key = call.message.signed_with();
                // The message has named the peer's process, which the operator's wish to end it was waiting for: R3 may have taken
                // the opening out of the outbox before its answer is read.
                match record.wants_termination.take() {
                    Some(why) if !record.core.position.is_terminal() => {
                        record.send(turn, &NegotiationMessage::Termination(why), Vec::new(), now)
                    }
                    _ => self.take(record, turn, &call, &known, now),
                }
                .map(|()| None)
            })
            .await?;
        let makes = matches!(
            received.message,
            NegotiationMessage::Verification | NegotiationMessage::Finalized
        );
        if let Some(id) = record.agreement_id().filter(|_| makes) {
            self.warn(&id).await;
        }
        Ok(answer)
    }

    /// Takes one message in, and the step that follows from it unless the operator decides about that.
    fn take(
        &self,
        record: &mut NegotiationRecord,
        turn: &mut Turn,
        call: &Call<'_>,
        known: &Known,
        now: Timestamp,
    ) -> Result<(), ContractError> {
        let (body, keys) = (call.message.body_digest(), known.keys.as_deref());
        let held = record.decisions.negotiations == Mode::Manual;
        match &call.message.value().message {
            NegotiationMessage::Request { offer, .. } => {
                record.same_offer(offer)?;
                record.put_offer(offer.clone(), Role::Consumer);
                record.heard(body);
                self.answer_request(record, turn, offer, known, now)
            }
            NegotiationMessage::Offer { offer, .. } => {
                decide::target(offer, &record.dataset)?;
                decide::understandable(offer)?;
                record.put_offer(offer.clone(), Role::Provider);
                record.heard(body);
                self.answer_offer(record, turn, &known.differing, now)
            }
            NegotiationMessage::Accepted => {
                record.expect_offer_of(Role::Provider)?;
                record.heard(body);
                if held {
                    return Ok(());
                }
                self.propose_agreement(record, turn, now)
            }
            NegotiationMessage::Agreement { agreement } => {
                agreement::accept(record, agreement, call.basis, call.signature, keys, &self.trust, now)?;
                if held {
                    return Ok(());
                }
                record.send_verification(turn, now)
            }
            NegotiationMessage::Verification => {
                let stored = agreement::countersigned(record, call.signature, keys, &self.trust, now)?;
                if held {
                    return self.agreements.put(turn.batch(), &stored);
                }
                self.finish(record, turn, stored, now)
            }
            NegotiationMessage::Finalized => {
                let stored = agreement::finalized(record, call.document, keys, &self.trust, now)?;
                self.agreements.put(turn.batch(), &stored)?;
                turn.record(stored.entry());
                Ok(())
            }
            NegotiationMessage::Termination(why) => {
                record.core.explanation = Some(why.clone());
                self.void(record, turn)
            }
        }
    }

    /// The provider's rule for a request. Terms that are not understood are refused even where the operator decides.
    fn answer_request(
        &self,
        record: &mut NegotiationRecord,
        turn: &mut Turn,
        offer: &Value,
        known: &Known,
        now: Timestamp,
    ) -> Result<(), ContractError> {
        let consumer = self.trust.party(&record.core.peer, now);
        let (parties, dataset) = ((&consumer, self.trust.me()), known.dataset.as_ref());
        match decide::on_request(record, offer, parties, dataset, &known.differing, now)? {
            decide::Proposal::Hold => Ok(()),
            decide::Proposal::Agree => self.propose_agreement(record, turn, now),
            decide::Proposal::Offer(ours) => record.offer_instead(turn, ours, now),
            decide::Proposal::Terminate(why) => {
                record.send(turn, &NegotiationMessage::Termination(why), Vec::new(), now)
            }
        }
    }

    /// The consumer's rule for an offer.
    fn answer_offer(
        &self,
        record: &mut NegotiationRecord,
        turn: &mut Turn,
        differing: &Differing,
        now: Timestamp,
    ) -> Result<(), ContractError> {
        match decide::on_counter_offer(record, differing)? {
            decide::Reply::Hold => Ok(()),
            decide::Reply::Accept => record.send(turn, &NegotiationMessage::Accepted, Vec::new(), now),
            decide::Reply::Ask(terms) => record.ask_instead(turn, terms, now),
            decide::Reply::Terminate(why) => record.send(turn, &NegotiationMessage::Termination(why), Vec::new(), now),
        }
    }
}

fn incoming<'a>(call: &Call<'a>, peer_pid: Option<&'a Pid>, now: Timestamp) -> Incoming<'a, Negotiation> {
    let message = &call.message.value().message;
    let basis: Vec<_> = call.basis.headers().collect();
    let mut headers = vec![
        (AGREEMENT_SIGNATURE_HEADER, call.signature),
        (AGREEMENT_DOCUMENT_HEADER, call.document),
    ];
    headers.extend(basis.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))));
    let taken = (message.step(), message.type_name());
    Incoming::of(call.message, taken, peer_pid, call.url, &headers, now)
}
