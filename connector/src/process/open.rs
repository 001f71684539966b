//! How many processes are open with each peer: what one opens is kept for good, so one that opens without end would fill the disk.

use super::{Core, ProcessError};
use crate::dsp::{Machine, ParticipantId, Pid};
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

/// The open processes of one kind, by peer.
pub(super) struct Open {
    most: usize,
    pids: Mutex<HashMap<ParticipantId, HashSet<Pid>>>,
}

impl Open {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            pids: Mutex::default(),
        }
    }

    /// Refuses a peer that has as many as it may have. Those that are being opened at this moment are not counted yet.
    pub(super) fn room(&self, peer: &ParticipantId) -> Result<(), ProcessError> {
        let pids = self.pids.lock().unwrap_or_else(PoisonError::into_inner);
        match pids.get(peer) {
            Some(open) if open.len() >= self.most => Err(ProcessError::TooManyOpen(open.len())),
            _ => Ok(()),
        }
    }

    /// Counts a process as it was stored, whoever opened it; one that is over counts no more.
    pub(super) fn note<M: Machine>(&self, core: &Core<M>) {
        let mut pids = self.pids.lock().unwrap_or_else(PoisonError::into_inner);
        if !core.position.is_terminal() {
            pids.entry(core.peer.clone()).or_default().insert(core.pid.clone());
            return;
        }
        if let Some(open) = pids.get_mut(&core.peer)
            && open.remove(&core.pid)
            && open.is_empty()
        {
            pids.remove(&core.peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::{
        Role,
        transfer::{State, Transfer},
    };
    use policy::Timestamp;

    fn core(pid: &str, peer: &str) -> Core<Transfer> {
        let base = "https://a.example/".parse().unwrap();
        let (pid, peer) = (pid.parse().unwrap(), peer.parse().unwrap());
        Core::new(pid, peer, Role::Provider, base, Timestamp::from_seconds(1))
    }

    #[test]
    fn a_peer_with_too_many_open_processes_opens_no_more_until_one_has_ended() {
        let open = Open::new(2);
        let mut first = core("urn:uuid:1", "did:web:a.example");
        open.note(&first);
        open.note(&first);
        assert!(open.room(&first.peer).is_ok(), "one that changes is counted once");
        open.note(&core("urn:uuid:2", "did:web:a.example"));
        assert!(matches!(open.room(&first.peer), Err(ProcessError::TooManyOpen(2))));
        assert!(open.room(&"did:web:b.example".parse().unwrap()).is_ok());
        first.position.state = Some(State::Terminated);
        open.note(&first);
        assert!(open.room(&first.peer).is_ok());
        open.note(&first);
        assert!(open.room(&first.peer).is_ok());
    }
}
