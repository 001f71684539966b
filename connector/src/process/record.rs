//! What every process record holds, and what a kind of process has to say about itself.

use super::{About, Incoming, ProcessError, Protocol};
use crate::{
    dsp::{Machine, ParticipantId, Pid, Position, Role, message::Explanation, message::Pids},
    jose::Digest,
    store::Table,
};
use policy::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::Url;

/// What every process record holds.
#[derive(Serialize, Deserialize)]
#[serde(bound = "", rename_all = "camelCase")]
pub struct Core<M: Machine> {
    /// Our id of the process.
    pub pid: Pid,
    /// The other party.
    pub peer: ParticipantId,
    /// Its id of the process, once known.
    pub peer_pid: Option<Pid>,
    /// Our part.
    pub role: Role,
    /// The base address below which the other party takes messages of this process.
    pub base: Url,
    /// Where we stand.
    pub position: Position<M>,
    /// Hash over the body of the last message that we accepted or that was acknowledged (`prev` of DSP-JWS-1).
    pub head: Digest,
    /// How many messages we have originated.
    pub sent: u64,
    /// One more than the number of the newest message that was acknowledged (R6).
    #[serde(default)]
    pub acknowledged: u64,
    /// How many things of this process are in the archive.
    #[serde(default)]
    pub archived: u64,
    /// When the process began here.
    pub created: Timestamp,
    /// When it last changed here.
    pub updated: Timestamp,
    /// Why it ended, was suspended, or what the peer refused last.
    pub explanation: Option<Explanation>,
}

impl<M: Machine> Clone for Core<M> {
    fn clone(&self) -> Self {
        Self {
            pid: self.pid.clone(),
            peer: self.peer.clone(),
            peer_pid: self.peer_pid.clone(),
            role: self.role,
            base: self.base.clone(),
            position: self.position.clone(),
            head: self.head,
            sent: self.sent,
            acknowledged: self.acknowledged,
            archived: self.archived,
            created: self.created,
            updated: self.updated,
            explanation: self.explanation.clone(),
        }
    }
}

impl<M: Machine> Core<M> {
    /// A process that begins now.
    pub fn new(pid: Pid, peer: ParticipantId, role: Role, base: Url, now: Timestamp) -> Self {
        Self {
            pid,
            peer,
            peer_pid: None,
            role,
            base,
            position: Position::default(),
            head: Digest::EMPTY,
            sent: 0,
            acknowledged: 0,
            archived: 0,
            created: now,
            updated: now,
            explanation: None,
        }
    }

    /// Takes the message with which a peer opens the process.
    pub fn opened_by(&mut self, message: &Incoming<'_, M>) -> Result<(), ProcessError> {
        self.meet(message.peer_pid)?;
        self.position = self.position.receive(self.role, message.step)?;
        self.head = message.body;
        // The ledger keeps the message as the first.
        self.archived = 1;
        Ok(())
    }

    /// Both ids, as messages carry them.
    pub fn pids(&self) -> Pids {
        let (mine, theirs) = (Some(self.pid.clone()), self.peer_pid.clone());
        match self.role {
            Role::Consumer => Pids {
                consumer: mine,
                provider: theirs,
            },
            Role::Provider => Pids {
                consumer: theirs,
                provider: mine,
            },
        }
    }

    /// Learns the counterpart's id, or checks that it is still the same.
    pub fn meet(&mut self, theirs: Option<&Pid>) -> Result<(), ProcessError> {
        match (&self.peer_pid, theirs) {
            (Some(known), Some(given)) if known != given => Err(ProcessError::PidMismatch),
            (None, Some(given)) => {
                self.peer_pid = Some(given.clone());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The state for people and acknowledgements; before the first acknowledgement it is the one that we asked for.
    pub fn state_name(&self) -> String {
        self.position
            .state
            .map_or_else(|| "REQUESTING".to_owned(), |state| state.to_string())
    }

    /// The state that our oldest unacknowledged step leads to.
    pub fn awaited(&self) -> Option<String> {
        let (_, step) = self.position.pending.first()?;
        M::next(self.position.state, self.role, *step).map(|state| state.to_string())
    }

    /// The steps of ours that are not acknowledged yet, oldest first.
    pub fn pending(&self) -> Vec<String> {
        self.position.pending.iter().map(|(_, step)| step.to_string()).collect()
    }
}

/// A kind of process: negotiation or transfer.
pub trait Kind: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Its state machine.
    type Machine: Machine;
    /// Where its records live.
    const TABLE: Table;
    /// Where the counterparts' ids lead to ours.
    const INDEX: Table;
    /// Its name in outbox entries, the audit log and events.
    const PROTOCOL: Protocol;

    /// The shared part.
    fn core(&self) -> &Core<Self::Machine>;
    /// The shared part, to change.
    fn core_mut(&mut self) -> &mut Core<Self::Machine>;
    /// What it is about, for events.
    fn about(&self) -> About;
}
