//! The transfer process state machine (DSP 2025-1 §9.1). A total, pure function.

use super::exchange::{Machine, Role};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A state of a transfer process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = TransferState)]
pub enum State {
    /// The consumer's request is acknowledged.
    Requested,
    /// Data may flow.
    Started,
    /// Data must not flow until it is started again.
    Suspended,
    /// Everything was transferred.
    Completed,
    /// Ended early.
    Terminated,
}

/// A message kind that moves a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// `TransferRequestMessage`.
    Request,
    /// `TransferStartMessage`.
    Start,
    /// `TransferSuspensionMessage`.
    Suspend,
    /// `TransferCompletionMessage`.
    Complete,
    /// `TransferTerminationMessage`.
    Terminate,
}

/// The transfer protocol as a [`Machine`].
#[derive(Debug)]
pub struct Transfer;

impl Machine for Transfer {
    type State = State;
    type Step = Step;
    const TERMINATE: Step = Step::Terminate;
    const TERMINATED: State = State::Terminated;

    fn next(from: Option<State>, sender: Role, step: Step) -> Option<State> {
        use State::{Completed, Requested, Started, Suspended, Terminated};
        match (from, sender, step) {
            (None, Role::Consumer, Step::Request) => Some(Requested),
            (Some(Requested), Role::Provider, Step::Start) => Some(Started),
            (Some(Suspended), _, Step::Start) => Some(Started),
            (Some(Started), _, Step::Suspend) => Some(Suspended),
            (Some(Started), _, Step::Complete) => Some(Completed),
            (Some(Requested | Started | Suspended), _, Step::Terminate) => Some(Terminated),
            _ => None,
        }
    }

    fn is_terminal(state: State) -> bool {
        matches!(state, State::Completed | State::Terminated)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "REQUESTED",
            Self::Started => "STARTED",
            Self::Suspended => "SUSPENDED",
            Self::Completed => "COMPLETED",
            Self::Terminated => "TERMINATED",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "TransferRequestMessage",
            Self::Start => "TransferStartMessage",
            Self::Suspend => "TransferSuspensionMessage",
            Self::Complete => "TransferCompletionMessage",
            Self::Terminate => "TransferTerminationMessage",
        })
    }
}

#[cfg(test)]
mod tests;
