//! Contract negotiation: a command or a peer's message comes in, is checked, and becomes one commit of new state, queued messages and
//! audit entries. Sends nothing itself.

mod agreement;
mod decide;
mod record;

pub use agreement::{AgreementExport, Agreements, StoredAgreement, VerifyError, verify_export};
pub use record::NegotiationRecord;

use crate::{
    audit::{Entry, Kind as Recorded, Log},
    catalog::{Catalog, CatalogError, Dataset, DatasetError},
    dsp::{
        AgreementId, DatasetId, MessageError, OfferId, ParticipantId, Pid, Role,
        catalog::ListedDataset,
        message::{self, Explanation, NegotiationMessage, Received},
        negotiation::State,
    },
    jose::{self, AgreementError, agreement::Party},
    process::{
        Answer, Core, Events, Incoming, Ledger, MessageKey, Outgoing, ProcessError, Queue, Turn, Verdict,
        outbox::Outcome,
    },
    store::StoreError,
    trust::{Trust, TrustError, Verified, did::DidError},
};
use policy::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use url::Url;

/// The header with a party's signature over the agreement record.
pub const AGREEMENT_SIGNATURE_HEADER: &str = "x-dsp-agreement-signature";
/// The header of the finalization: hash over the document with both signatures.
pub const AGREEMENT_DOCUMENT_HEADER: &str = "x-dsp-agreement-document";

/// Why a negotiation did not take a step. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// The shared mechanics refused.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The body is not the message that belongs here.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// No offer with this id, or not one that the caller may see.
    #[error("there is no offer {0}")]
    UnknownOffer(String),
    /// The policy cannot be read or has terms that are not understood.
    #[error(transparent)]
    Policy(#[from] DatasetError),
    /// The policy does not allow it.
    #[error("the policy does not allow this: {0}")]
    NotPermitted(String),
    /// The agreement is not what was negotiated.
    #[error("the agreement is not what was negotiated: {0}")]
    AgreementDiffers(String),
    /// A signature over the agreement is missing or wrong.
    #[error("the agreement's signature: {0}")]
    AgreementSignature(String),
    /// An address is not one that we would call back.
    #[error("callbackAddress: {0}")]
    Callback(String),
    /// Something about the request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The other party's keys are not to be had now.
    #[error(transparent)]
    Did(#[from] DidError),
    /// Our own signing failed.
    #[error("signing failed: {0}")]
    Signing(#[from] jose::JoseError),
    /// The other party is not believed.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Verdict for ContractError {
    fn is_final(&self) -> bool {
        match self {
            Self::Process(error) => error.is_final(),
            Self::Message(_)
            | Self::UnknownOffer(_)
            | Self::Policy(_)
            | Self::NotPermitted(_)
            | Self::AgreementDiffers(_)
            | Self::AgreementSignature(_)
            | Self::Callback(_)
            | Self::Invalid(_) => true,
            Self::Did(_) | Self::Signing(_) | Self::Trust(_) => false,
        }
    }
}

impl From<StoreError> for ContractError {
    fn from(error: StoreError) -> Self {
        Self::Process(ProcessError::Store(error))
    }
}

impl From<AgreementError> for ContractError {
    fn from(error: AgreementError) -> Self {
        Self::AgreementSignature(error.to_string())
    }
}

impl From<CatalogError> for ContractError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Store(error) => error.into(),
            CatalogError::Dataset(error) => Self::Policy(error),
            CatalogError::Exists(id) => Self::Invalid(format!("{id} exists already")),
            CatalogError::NotFound => Self::UnknownOffer(String::new()),
        }
    }
}

/// What a consumer wants to negotiate.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The provider.
    pub peer: ParticipantId,
    /// The provider's base address.
    pub base: Url,
    /// The dataset.
    pub dataset: DatasetId,
    /// The offer from the catalog.
    pub offer: Value,
    /// Terms to ask for instead of the offered ones.
    pub terms: Option<Value>,
    /// Wait for the operator before accepting a counter-offer.
    pub manual: bool,
}

/// A verified request to us, with the headers that belong to the agreement.
pub struct Call<'a> {
    /// The message with the proof of its sender.
    pub message: &'a Verified<Received<NegotiationMessage>>,
    /// The sender's signature over the agreement record, if it sent one.
    pub signature: Option<&'a str>,
    /// The hash over the document, if it sent one.
    pub document: Option<&'a str>,
}

/// The negotiation service of one connector, in both roles.
pub struct Contracts {
    ledger: Ledger<NegotiationRecord>,
    catalog: Arc<Catalog>,
    agreements: Agreements,
    trust: Arc<Trust>,
    base: Url,
}

impl Contracts {
    /// The service over the log's store; `base` is our own public base address.
    pub fn new(
        log: Arc<Log>,
        queue: Arc<Queue>,
        events: Arc<Events>,
        catalog: Arc<Catalog>,
        trust: Arc<Trust>,
        base: Url,
    ) -> Self {
        let agreements = Agreements::new(log.store().clone());
        Self {
            ledger: Ledger::new(log, queue, events),
            catalog,
            agreements,
            trust,
            base,
        }
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

    // ---- commands of the operator ------------------------------------------------------------------------------------

    /// Opens a negotiation as the consumer.
    pub async fn request(&self, wanted: Wanted, now: Timestamp) -> Result<NegotiationRecord, ContractError> {
        decide::understandable(&wanted.offer)?;
        let mut offer = wanted.terms.unwrap_or_else(|| wanted.offer.clone());
        let id = message::offer_id(&wanted.offer)?;
        if let Some(members) = offer.as_object_mut() {
            members.insert("@id".into(), id.as_str().into());
            members.insert("@type".into(), "Offer".into());
            members.insert("target".into(), wanted.dataset.as_str().into());
        }
        decide::understandable(&offer)?;
        let pid = Pid::from_uuid(jose::uuid(now).map_err(jose::JoseError::from)?);
        let core = Core::new(pid, wanted.peer, Role::Consumer, wanted.base, now);
        let mut record = NegotiationRecord::new(core, wanted.dataset, offer.clone(), wanted.offer, wanted.manual);
        let mut turn = Turn::default();
        let message = NegotiationMessage::Request {
            offer,
            callback: Some(self.base.clone()),
        };
        record.send(&mut turn, &message, Vec::new(), now)?;
        self.ledger.open(&record, turn, now).await?;
        Ok(record)
    }

    /// Accepts the provider's offer on the table.
    pub async fn accept(&self, pid: &Pid, now: Timestamp) -> Result<NegotiationRecord, ContractError> {
        self.command(pid, now, |record, turn| {
            record.expect_role(Role::Consumer)?;
            record.expect_offer_of(Role::Provider)?;
            record.send(turn, &NegotiationMessage::Accepted, Vec::new(), now)
        })
        .await
    }

    /// Asks for other terms in answer to the provider's offer.
    pub async fn counter(&self, pid: &Pid, terms: &Value, now: Timestamp) -> Result<NegotiationRecord, ContractError> {
        self.command(pid, now, |record, turn| {
            record.expect_role(Role::Consumer)?;
            let mut offer = terms.clone();
            if let Some(members) = offer.as_object_mut() {
                members.insert("@id".into(), message::offer_id(&record.offer)?.as_str().into());
                members.insert("@type".into(), "Offer".into());
                members.insert("target".into(), record.dataset.as_str().into());
            }
            decide::understandable(&offer)?;
            record.put_offer(offer.clone(), Role::Consumer);
            record.send(
                turn,
                &NegotiationMessage::Request { offer, callback: None },
                Vec::new(),
                now,
            )
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
        self.command(pid, now, |record, turn| {
            if record.core.peer_pid.is_none() && !record.core.position.is_terminal() {
                record.wants_termination = Some(why.clone());
                return Ok(());
            }
            record.send(turn, &NegotiationMessage::Termination(why.clone()), Vec::new(), now)
        })
        .await
    }

    async fn command(
        &self,
        pid: &Pid,
        now: Timestamp,
        decide: impl FnMut(&mut NegotiationRecord, &mut Turn) -> Result<(), ContractError>,
    ) -> Result<NegotiationRecord, ContractError> {
        Ok(self.ledger.change(pid, now, decide).await?.0)
    }

    // ---- messages of peers -------------------------------------------------------------------------------------------

    /// A consumer's first request.
    pub async fn open(&self, call: Call<'_>, now: Timestamp) -> Result<(Answer, u16), ContractError> {
        let received = call.message.value();
        let NegotiationMessage::Request {
            offer,
            callback: Some(callback),
        } = &received.message
        else {
            return Err(ContractError::Invalid(
                "only a ContractRequestMessage with callbackAddress opens a negotiation".into(),
            ));
        };
        let sender = call.message.sender();
        let incoming = incoming(&call, received.pids.consumer.as_ref());
        let theirs = received
            .pids
            .consumer
            .as_ref()
            .ok_or(MessageError::Missing("consumerPid"))?;
        if let Some(pid) = self.ledger.find(&sender.did, Role::Provider, theirs).await? {
            return match self.ledger.opened(&pid, &incoming).await? {
                Some(answer) => Ok((answer, 201)),
                None => Err(ContractError::Invalid(format!(
                    "consumerPid {theirs} names a negotiation that exists already"
                ))),
            };
        }
        decide::callback(callback, sender)?;
        let dataset = self.offered(&message::offer_id(offer)?, &sender.did, now).await?;
        decide::target(offer, &dataset.id)?;
        let mut core = Core::new(
            Pid::from_uuid(jose::uuid(now).map_err(jose::JoseError::from)?),
            sender.did.clone(),
            Role::Provider,
            callback.clone(),
            now,
        );
        core.meet(Some(theirs))?;
        core.position = core
            .position
            .receive(Role::Provider, incoming.step)
            .map_err(ProcessError::from)?;
        core.head = incoming.body;
        let ours = dataset.message_offer();
        let mut record = NegotiationRecord::new(core, dataset.id.clone(), offer.clone(), ours, false);
        record.heard(incoming.body);
        let answer = Answer {
            status: 201,
            state: record.core.state_name(),
            pids: record.core.pids(),
            extra: None,
            refusal: None,
            last: None,
        };
        let mut turn = Turn::default();
        self.answer_request(&mut record, &mut turn, offer, &call, now)?;
        self.ledger.admit(&record, &incoming, &answer, turn, now).await?;
        Ok((answer, 201))
    }

    /// Any later message, addressed to our process id.
    pub async fn receive(&self, pid: &Pid, call: Call<'_>, now: Timestamp) -> Result<Answer, ContractError> {
        let received = call.message.value();
        let record = self.ledger.of_peer(pid, &call.message.sender().did).await?;
        let (mine, theirs) = match record.core.role {
            Role::Consumer => (&received.pids.consumer, &received.pids.provider),
            Role::Provider => (&received.pids.provider, &received.pids.consumer),
        };
        if mine.as_ref() != Some(pid) {
            return Err(MessageError::PidMismatch.into());
        }
        let incoming = incoming(&call, theirs.as_ref());
        // Keys are fetched before the decision: decisions wait for nothing.
        let peer_key = self.trust.resolver().document(call.message.sender(), now).await?;
        let (_, answer) = self
            .ledger
            .receive(pid, incoming, now, |record: &mut NegotiationRecord, turn| {
                // The message has named the peer's process, which the operator's wish to end it was waiting for: R3 may have taken
                // the opening out of the outbox before its answer is read.
                match record.wants_termination.take() {
                    Some(why) if !record.core.position.is_terminal() => {
                        record.send(turn, &NegotiationMessage::Termination(why), Vec::new(), now)
                    }
                    _ => self.take(record, turn, &call, &peer_key, now),
                }
                .map(|()| None)
            })
            .await?;
        Ok(answer)
    }

    fn take(
        &self,
        record: &mut NegotiationRecord,
        turn: &mut Turn,
        call: &Call<'_>,
        keys: &crate::trust::did::Document,
        now: Timestamp,
    ) -> Result<(), ContractError> {
        let body = call.message.body_digest();
        match &call.message.value().message {
            NegotiationMessage::Request { offer, .. } => {
                record.same_offer(offer)?;
                record.put_offer(offer.clone(), Role::Consumer);
                record.heard(body);
                self.answer_request(record, turn, offer, call, now)
            }
            NegotiationMessage::Offer { offer, .. } => {
                decide::target(offer, &record.dataset)?;
                decide::understandable(offer)?;
                record.put_offer(offer.clone(), Role::Provider);
                record.heard(body);
                match decide::on_counter_offer(record) {
                    decide::Reply::Accept => record.send(turn, &NegotiationMessage::Accepted, Vec::new(), now),
                    decide::Reply::Hold => Ok(()),
                    decide::Reply::Terminate(why) => {
                        record.send(turn, &NegotiationMessage::Termination(why), Vec::new(), now)
                    }
                }
            }
            NegotiationMessage::Accepted => {
                record.expect_offer_of(Role::Provider)?;
                record.heard(body);
                self.propose_agreement(record, turn, call, now)
            }
            NegotiationMessage::Agreement { agreement } => {
                agreement::accept(record, agreement, call.signature, keys, &self.trust, now)?;
                let signature = record.consumer_signature.clone().unwrap_or_default();
                let headers = vec![(AGREEMENT_SIGNATURE_HEADER.to_owned(), signature)];
                record.send(turn, &NegotiationMessage::Verification, headers, now)
            }
            NegotiationMessage::Verification => {
                let stored = agreement::countersigned(record, call.signature, keys, &self.trust, now)?;
                let headers = vec![(
                    AGREEMENT_DOCUMENT_HEADER.to_owned(),
                    stored.document_digest()?.to_string(),
                )];
                self.agreements.put(turn.batch(), &stored)?;
                turn.record(stored.entry()?);
                record.send(turn, &NegotiationMessage::Finalized, headers, now)
            }
            NegotiationMessage::Finalized => {
                let stored = agreement::finalized(record, call.document, keys, &self.trust, now)?;
                self.agreements.put(turn.batch(), &stored)?;
                turn.record(stored.entry()?);
                Ok(())
            }
            NegotiationMessage::Termination(why) => {
                record.core.explanation = Some(why.clone());
                self.void(record, turn)
            }
        }
    }

    /// The provider's rule: equal terms lead to an agreement, other terms to our own offer, too many rounds to the end.
    fn answer_request(
        &self,
        record: &mut NegotiationRecord,
        turn: &mut Turn,
        offer: &Value,
        call: &Call<'_>,
        now: Timestamp,
    ) -> Result<(), ContractError> {
        match decide::on_request(record, offer, now)? {
            decide::Proposal::Agree => self.propose_agreement(record, turn, call, now),
            decide::Proposal::Offer(ours) => {
                record.put_offer(ours.clone(), Role::Provider);
                record.rounds += 1;
                record.send(
                    turn,
                    &NegotiationMessage::Offer {
                        offer: ours,
                        callback: None,
                    },
                    Vec::new(),
                    now,
                )
            }
            decide::Proposal::Terminate(why) => {
                record.send(turn, &NegotiationMessage::Termination(why), Vec::new(), now)
            }
        }
    }

    fn propose_agreement(
        &self,
        record: &mut NegotiationRecord,
        turn: &mut Turn,
        call: &Call<'_>,
        now: Timestamp,
    ) -> Result<(), ContractError> {
        let id = AgreementId::from_uuid(jose::uuid(now).map_err(jose::JoseError::from)?);
        // The consumer signs agreements with the key that signs its messages; the record names it.
        let consumer = Party {
            did: call.message.sender().did.to_string(),
            jkt: call.message.thumbprint(),
        };
        agreement::propose(record, &id, consumer, &self.trust, now)?;
        let agreement = record.agreement.clone().unwrap_or(Value::Null);
        let headers = vec![(
            AGREEMENT_SIGNATURE_HEADER.to_owned(),
            record.provider_signature.clone().unwrap_or_default(),
        )];
        record.send(turn, &NegotiationMessage::Agreement { agreement }, headers, now)
    }

    /// An agreement that its negotiation did not bring to the end has no force.
    fn void(&self, record: &NegotiationRecord, turn: &mut Turn) -> Result<(), ContractError> {
        if let Some(id) = record.agreement_id() {
            self.agreements.remove(turn.batch(), &id);
            turn.record(Entry::new(Recorded::AgreementVoid).with("agreement", id.as_str()));
        }
        Ok(())
    }

    async fn offered(&self, offer: &OfferId, peer: &ParticipantId, now: Timestamp) -> Result<Dataset, ContractError> {
        let unknown = || ContractError::UnknownOffer(offer.to_string());
        let dataset = self.catalog.by_offer(offer).await?.ok_or_else(unknown)?;
        dataset.visible_to(peer, now).map_err(|_| unknown())?;
        Ok(dataset)
    }

    // ---- outcomes of deliveries --------------------------------------------------------------------------------------

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
        self.void_unless_final(record, turn)?;
        if record.core.position.is_terminal() || !record.core.position.pending.is_empty() {
            return Ok(());
        }
        let said = explanation.reasons.first().cloned().unwrap_or_default();
        let why = Explanation::new("refused", format!("our last message was refused: {said}"));
        record.send(turn, &NegotiationMessage::Termination(why), Vec::new(), now)
    }

    fn void_unless_final(&self, record: &NegotiationRecord, turn: &mut Turn) -> Result<(), ContractError> {
        if record.core.position.state == Some(State::Finalized) {
            Ok(())
        } else {
            self.void(record, turn)
        }
    }
}

fn incoming<'a>(call: &Call<'a>, peer_pid: Option<&'a Pid>) -> Incoming<'a, crate::dsp::negotiation::Negotiation> {
    let received = call.message.value();
    Incoming {
        step: received.message.step(),
        kind: received.message.type_name(),
        peer_pid,
        sender: &call.message.sender().did,
        key: MessageKey::of(received.id.as_ref(), call.message),
        body: call.message.body_digest(),
        signed_with: call.message.thumbprint(),
        spent: call.message.spent(),
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
