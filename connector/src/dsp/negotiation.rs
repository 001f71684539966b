//! The contract negotiation state machine (DSP 2025-1 §7.1). A total, pure function.

use super::exchange::{Machine, Role};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A state of a contract negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = NegotiationState)]
pub enum State {
    /// The consumer's request is acknowledged.
    Requested,
    /// The provider's offer is acknowledged.
    Offered,
    /// The consumer's acceptance is acknowledged.
    Accepted,
    /// The provider's agreement is acknowledged.
    Agreed,
    /// The consumer's verification is acknowledged.
    Verified,
    /// The provider's finalization is acknowledged: the agreement is in force.
    Finalized,
    /// Ended without agreement.
    Terminated,
}

/// A message kind that moves a negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// `ContractRequestMessage`.
    Request,
    /// `ContractOfferMessage`.
    Offer,
    /// `ContractNegotiationEventMessage` with `ACCEPTED`.
    Accept,
    /// `ContractAgreementMessage`.
    Agree,
    /// `ContractAgreementVerificationMessage`.
    Verify,
    /// `ContractNegotiationEventMessage` with `FINALIZED`.
    Finalize,
    /// `ContractNegotiationTerminationMessage`.
    Terminate,
}

/// The negotiation protocol as a [`Machine`].
#[derive(Debug)]
pub struct Negotiation;

impl Machine for Negotiation {
    type State = State;
    type Step = Step;
    const TERMINATE: Step = Step::Terminate;
    const TERMINATED: State = State::Terminated;

    fn next(from: Option<State>, sender: Role, step: Step) -> Option<State> {
        use Role::{Consumer, Provider};
        use State::{Accepted, Agreed, Finalized, Offered, Requested, Terminated, Verified};
        match (from, sender, step) {
            (None | Some(Offered), Consumer, Step::Request) => Some(Requested),
            // Offered -> Offered replaces the offer: see `only_tolerated`.
            (None | Some(Requested | Offered), Provider, Step::Offer) => Some(Offered),
            (Some(Offered), Consumer, Step::Accept) => Some(Accepted),
            (Some(Requested | Accepted), Provider, Step::Agree) => Some(Agreed),
            (Some(Agreed), Consumer, Step::Verify) => Some(Verified),
            (Some(Verified), Provider, Step::Finalize) => Some(Finalized),
            // The prose allows termination from either side in every state that is not final.
            (Some(Requested | Offered | Accepted | Agreed | Verified), _, Step::Terminate) => Some(Terminated),
            _ => None,
        }
    }

    /// Replacing one's own offer is not in the diagram, but the conformance kit and EDC know it. We never do it: the consumer's
    /// counter-request, legal before and after it, could then be taken for an answer to either.
    fn only_tolerated(from: Option<State>, sender: Role, step: Step) -> bool {
        (from, sender, step) == (Some(State::Offered), Role::Provider, Step::Offer)
    }

    fn is_terminal(state: State) -> bool {
        matches!(state, State::Finalized | State::Terminated)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "REQUESTED",
            Self::Offered => "OFFERED",
            Self::Accepted => "ACCEPTED",
            Self::Agreed => "AGREED",
            Self::Verified => "VERIFIED",
            Self::Finalized => "FINALIZED",
            Self::Terminated => "TERMINATED",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "ContractRequestMessage",
            Self::Offer => "ContractOfferMessage",
            Self::Accept => "event ACCEPTED",
            Self::Agree => "ContractAgreementMessage",
            Self::Verify => "ContractAgreementVerificationMessage",
            Self::Finalize => "event FINALIZED",
            Self::Terminate => "ContractNegotiationTerminationMessage",
        })
    }
}

#[cfg(test)]
mod tests;
