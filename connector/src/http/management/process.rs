//! What negotiations and transfers have in common, as the management API shows it.

use crate::{
    dsp::{Machine, ParticipantId, Pid, Role, message::Explanation},
    http::problem::Problem,
    process::{Core, ProcessError},
};
use policy::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A process between us and one other party; its state, which each kind has its own of, stands beside it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Process {
    /// Our id of it.
    pid: Pid,
    /// The other party.
    peer: ParticipantId,
    /// Its id of it, once known.
    #[schema(required)]
    peer_pid: Option<Pid>,
    /// Our part.
    role: Role,
    /// The state for people.
    pub(super) state_name: String,
    /// Steps of ours that are not acknowledged yet, oldest first.
    pending: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated: Timestamp,
    /// Why it ended, was suspended, or what the peer refused last.
    #[schema(required)]
    pub(super) explanation: Option<Explanation>,
}

impl<M: Machine> From<Core<M>> for Process {
    fn from(core: Core<M>) -> Self {
        let (state_name, pending) = (core.state_name(), core.pending());
        Self {
            pid: core.pid,
            peer: core.peer,
            peer_pid: core.peer_pid,
            role: core.role,
            state_name,
            pending,
            created: core.created,
            updated: core.updated,
            explanation: core.explanation,
        }
    }
}

/// What an earlier try with the same key has opened, if one has.
pub(super) fn opened<R, E: Into<Problem>>(
    found: Result<R, E>,
    cause: impl FnOnce(&E) -> Option<&ProcessError>,
) -> Result<Option<R>, Problem> {
    match found {
        Ok(record) => Ok(Some(record)),
        Err(error) if matches!(cause(&error), Some(ProcessError::NotFound)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
