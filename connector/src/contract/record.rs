//! The stored form of one negotiation, and how its messages are addressed.

use super::{Basis, ContractError};
use crate::{
    catalog::{Decisions, Mode, read_policy},
    dsp::{
        AgreementId, DatasetId, Role,
        message::{self, Explanation, NegotiationMessage},
        negotiation::{Negotiation, State},
    },
    jose::{self, Digest},
    process::{About, Core, Draft, Kind, ProcessError, Protocol, Turn},
    store::Table,
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::marker::PhantomData;

/// Which terms were agreed, to a consumer that asked for other terms than the published ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AgreedTerms {
    /// Those that it asked for.
    Asked,
    /// The published ones.
    Published,
    /// Neither: what both sides came to.
    Others,
}

/// One negotiation as it is stored. Changing a member changes what is on operators' disks.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NegotiationRecord {
    /// What it shares with transfers.
    #[serde(flatten)]
    pub core: Core<Negotiation>,
    /// What is negotiated about.
    pub dataset: DatasetId,
    /// The terms on the table, as a `MessageOffer`, verbatim.
    pub offer: Value,
    /// Who put them there.
    pub offer_by: Role,
    /// The provider's published offer, which the rules compare with.
    pub published: Value,
    /// Consumer: the terms that it asked for first, where they are not the published ones.
    #[serde(default)]
    pub asked: Option<Value>,
    /// How often this side has answered other terms with terms of its own.
    pub rounds: u8,
    /// What is decided here and what waits for the operator.
    #[serde(default)]
    pub decisions: Decisions,
    /// Thumbprint of the key with which the peer signed its last message; none for one that cannot sign.
    #[serde(default)]
    pub peer_key: Option<Digest>,
    /// Provider: the consumer's key that the agreement names; none for a consumer that does not sign it.
    #[serde(default)]
    pub named_key: Option<Digest>,
    /// The operator wants to end it, but the peer has not named its process yet.
    pub wants_termination: Option<Explanation>,
    /// Hashes over the bodies of requests, offers and acceptances, in order: both sides see the same.
    pub transcript: Vec<Digest>,
    /// The agreement, verbatim.
    pub agreement: Option<Value>,
    /// The provider's signature over the agreement record.
    pub provider_signature: Option<String>,
    /// The consumer's.
    pub consumer_signature: Option<String>,
    /// What the agreement rests on beside its terms.
    #[serde(default)]
    pub basis: Basis,
}

impl Kind for NegotiationRecord {
    type Machine = Negotiation;
    const TABLE: Table = Table(8);
    const INDEX: Table = Table(9);
    const PROTOCOL: Protocol = Protocol::Negotiation;

    fn core(&self) -> &Core<Negotiation> {
        &self.core
    }

    fn core_mut(&mut self) -> &mut Core<Negotiation> {
        &mut self.core
    }

    fn about(&self) -> About {
        About {
            dataset: self.dataset.clone(),
            agreement: self.agreement_id(),
            offer_by: Some(self.offer_by),
        }
    }
}

impl NegotiationRecord {
    pub(super) fn new(
        core: Core<Negotiation>,
        dataset: DatasetId,
        (offer, offer_by): (Value, Role),
        published: Value,
        decisions: Decisions,
    ) -> Self {
        Self {
            core,
            dataset,
            offer,
            offer_by,
            published,
            asked: None,
            rounds: 0,
            decisions,
            peer_key: None,
            named_key: None,
            wants_termination: None,
            transcript: Vec::new(),
            agreement: None,
            provider_signature: None,
            consumer_signature: None,
            basis: Basis::default(),
        }
    }

    /// The agreement's id, once there is an agreement.
    pub fn agreement_id(&self) -> Option<AgreementId> {
        self.agreement.as_ref()?.get("@id")?.as_str()?.parse().ok()
    }

    pub(super) fn put_offer(&mut self, offer: Value, by: Role) {
        self.offer = offer;
        self.offer_by = by;
    }

    /// The terms that this side, as the consumer, asked for first.
    pub(super) fn wanted(&self) -> &Value {
        self.asked.as_ref().unwrap_or(&self.published)
    }

    /// Consumer: which terms were agreed, where it asked for its own. An agreement has the terms of the last offer, by what was checked of it.
    pub fn agreed_terms(&self) -> Option<AgreedTerms> {
        let asked = self.asked.as_ref().filter(|_| self.agreement.is_some())?;
        let agreed = read_policy(&self.offer).ok()?;
        let are = |terms: &Value| read_policy(terms).is_ok_and(|terms| policy::same_terms(&agreed, &terms).is_ok());
        let terms = if are(asked) {
            AgreedTerms::Asked
        } else if are(&self.published) {
            AgreedTerms::Published
        } else {
            AgreedTerms::Others
        };
        Some(terms)
    }

    /// The next step is this side's, and its operator decides about it.
    pub fn is_held(&self) -> bool {
        let mine = match self.core.role {
            Role::Consumer => matches!(self.core.position.state, Some(State::Offered | State::Agreed)),
            Role::Provider => matches!(
                self.core.position.state,
                Some(State::Requested | State::Accepted | State::Verified)
            ),
        };
        mine && self.decisions.negotiations == Mode::Manual && self.core.position.pending.is_empty()
    }

    /// Notes a message of the other side that belongs to the transcript.
    pub(super) fn heard(&mut self, body: Digest) {
        self.transcript.push(body);
    }

    /// Only the provider's own offer can be accepted (DSP 2025-1 §7.2.3).
    pub(super) fn expect_offer_of(&self, party: Role) -> Result<(), ContractError> {
        if self.offer_by == party {
            return Ok(());
        }
        Err(ContractError::Invalid(
            "only an offer of the provider can be accepted; the one on the table is the consumer's".into(),
        ))
    }

    /// A counter-request must be about the same offer.
    pub(super) fn same_offer(&self, offer: &Value) -> Result<(), ContractError> {
        super::decide::target(offer, &self.dataset)?;
        if message::offer_id(offer)? == message::offer_id(&self.published)? {
            return Ok(());
        }
        Err(ContractError::UnknownOffer(message::offer_id(offer)?.to_string()))
    }

    /// Originates a message: the position takes the step as pending, the turn queues it.
    pub(super) fn send(
        &mut self,
        turn: &mut Turn,
        message: &NegotiationMessage,
        headers: Vec<(String, String)>,
        now: Timestamp,
    ) -> Result<(), ContractError> {
        let core = &mut self.core;
        core.position = core
            .position
            .originate(core.role, core.sent, message.step())
            .map_err(ProcessError::from)?;
        let id = message_id(now)?;
        let body = message.write(&id, &core.pids());
        let path = path(message, core.role, core.peer_pid.as_ref().map(|pid| pid.as_str()));
        if matches!(
            message,
            NegotiationMessage::Request { .. } | NegotiationMessage::Offer { .. } | NegotiationMessage::Accepted
        ) {
            self.transcript.push(jose::sha256(body.to_string().as_bytes()));
        }
        let draft = Draft {
            kind: message.type_name(),
            path,
            body,
            headers,
            not_before: None,
            of: PhantomData,
        };
        turn.send(self, draft, now);
        Ok(())
    }
}

fn message_id(now: Timestamp) -> Result<crate::dsp::MessageId, ContractError> {
    Ok(crate::dsp::MessageId::from_uuid(
        jose::uuid(now).map_err(jose::JoseError::from)?,
    ))
}

/// The address of a message below the recipient's base (DSP 2025-1 §8.1).
fn path(message: &NegotiationMessage, sender: Role, recipient_pid: Option<&str>) -> String {
    let Some(pid) = recipient_pid else {
        return match sender {
            Role::Consumer => "/negotiations/request".to_owned(),
            Role::Provider => "/negotiations/offers".to_owned(),
        };
    };
    let last = match message {
        NegotiationMessage::Request { .. } => "request",
        NegotiationMessage::Offer { .. } => "offers",
        NegotiationMessage::Accepted | NegotiationMessage::Finalized => "events",
        NegotiationMessage::Agreement { .. } => "agreement",
        NegotiationMessage::Verification => "agreement/verification",
        NegotiationMessage::Termination(_) => "termination",
    };
    format!("/negotiations/{pid}/{last}")
}
