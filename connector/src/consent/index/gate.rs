//! The gates through which every stream's chunks pass. A gate knows the last number that passed and nothing of consents.

use super::{Index, Question};
use crate::consent::{Occurrence, Pairwise};
use crate::dsp::Pid;
use serde::Serialize;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;

/// The last number of a stream at a withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamEnd {
    /// The provider's id of the transfer.
    pub transfer: Pid,
    /// The learner's name in that stream.
    pub pseudonym: String,
    /// The last sequence number handed to TLS.
    pub last_sequence: u64,
    /// Records of the learner may follow all the same: something else permits them in this stream.
    pub goes_on: bool,
}

/// What a stream of records asks of each learner.
pub struct Asks {
    /// Of the index.
    pub question: Question,
    /// As what it is counted where a consent permits a number of transfers.
    pub by: Occurrence,
}

/// The epoch has changed since the chunk was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale;

/// Nothing may pass any more: the transfer was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

#[derive(Default)]
struct Passage {
    last: u64,
    passed: u64,
    closed: bool,
    /// The connection has asked for more since the last chunk passed, and there is nothing yet.
    waits: bool,
}

/// The point through which a stream's chunks leave.
pub struct Gate {
    passage: Mutex<Passage>,
    names: Arc<Pairwise>,
    /// None of a stream that names nobody.
    asks: Option<Asks>,
    reset: CancellationToken,
}

impl Gate {
    /// A gate in which learners go by `names`, and whose connection is cut by cancelling `reset`.
    pub fn new(from: u64, names: Arc<Pairwise>, reset: CancellationToken) -> Self {
        Self {
            passage: Mutex::new(Passage {
                last: from,
                ..Passage::default()
            }),
            names,
            asks: None,
            reset,
        }
    }

    /// The same for a stream of learners' records.
    pub fn of_records(mut self, asks: Asks) -> Self {
        self.asks = Some(asks);
        self
    }

    fn lock(&self) -> MutexGuard<'_, Passage> {
        self.passage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a chunk through that was decided under `epoch` and ends with number `last`.
    pub fn pass(&self, index: &Index, epoch: u64, last: u64) -> Result<Result<(), Stale>, Closed> {
        let mut passage = self.lock();
        if passage.closed {
            return Err(Closed);
        }
        if index.epoch() != epoch {
            return Ok(Err(Stale));
        }
        passage.last = last;
        passage.passed += 1;
        passage.waits = false;
        Ok(Ok(()))
    }

    /// The connection asks for more, and there is nothing: the stream keeps a pace, is being decided or waits for its turn to be. Whatever it
    /// is, its receiver is not to blame.
    pub fn wait(&self) {
        self.lock().waits = true;
    }

    /// Lets nothing through any more and cuts the connection. Returns the last number that passed.
    pub fn close(&self) -> u64 {
        let mut passage = self.lock();
        passage.closed = true;
        self.reset.cancel();
        passage.last
    }

    /// The last number that passed.
    pub fn last(&self) -> u64 {
        self.lock().last
    }
}

/// The gates of all running streams.
#[derive(Default)]
pub(super) struct Gates(Mutex<HashMap<Pid, Arc<Gate>>>);

impl Gates {
    fn lock(&self) -> MutexGuard<'_, HashMap<Pid, Arc<Gate>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a stream's gate; an older one of the same transfer is closed.
    pub(super) fn enter(&self, transfer: &Pid, gate: Arc<Gate>) {
        let old = self.lock().insert(transfer.clone(), gate);
        if let Some(old) = old {
            old.close();
        }
    }

    /// Forgets a stream's gate, if it is still that one.
    pub(super) fn leave(&self, transfer: &Pid, gate: &Arc<Gate>) {
        let mut gates = self.lock();
        if gates.get(transfer).is_some_and(|current| Arc::ptr_eq(current, gate)) {
            gates.remove(transfer);
        }
    }

    /// Closes a transfer's gate, if it has one. Returns the last number that passed.
    pub(super) fn stop(&self, transfer: &Pid) -> Option<u64> {
        let gate = self.lock().remove(transfer)?;
        Some(gate.close())
    }

    /// Closes every gate.
    pub(super) fn stop_all(&self) {
        let gates: Vec<Arc<Gate>> = self.lock().drain().map(|(_, gate)| gate).collect();
        for gate in gates {
            gate.close();
        }
    }

    /// Takes every gate's lock in turn: the last number that passed each of them, by transfer. To be called after the epoch was raised:
    /// whatever takes a gate's lock later, in a gate that is here now or in one that enters later, finds it changed. `goes_on` says whether
    /// records of the learner may follow.
    pub(super) fn confirm(&self, subject: &str, goes_on: impl Fn(&Asks) -> bool) -> Vec<StreamEnd> {
        let confirmed = |(pid, gate): (&Pid, &Arc<Gate>)| (pid.clone(), gate.clone(), gate.last());
        let confirmed: Vec<_> = self.lock().iter().map(confirmed).collect();
        let end = |(transfer, gate, last_sequence): (Pid, Arc<Gate>, u64)| StreamEnd {
            transfer,
            pseudonym: gate.names.name(subject),
            last_sequence,
            goes_on: gate.asks.as_ref().is_some_and(&goes_on),
        };
        let mut ends: Vec<StreamEnd> = confirmed.into_iter().map(end).collect();
        ends.sort_by(|a, b| a.transfer.cmp(&b.transfer));
        ends
    }

    /// The same when it is about everybody: there is no learner to name.
    pub(super) fn confirm_all(&self) -> Vec<(Pid, u64)> {
        let mut ends: Vec<(Pid, u64)> = self
            .lock()
            .iter()
            .map(|(pid, gate)| (pid.clone(), gate.last()))
            .collect();
        ends.sort();
        ends
    }

    /// How many chunks have passed each gate.
    pub(super) fn progress(&self) -> Vec<(Arc<Gate>, u64)> {
        self.lock()
            .values()
            .map(|gate| (gate.clone(), gate.lock().passed))
            .collect()
    }
}

/// Cuts the streams whose gates have let nothing through since, because their receivers take nothing. Leaves those to be looked at again that
/// wait for something to send.
pub(in crate::consent) fn reset_unmoved(watched: &mut Vec<(Arc<Gate>, u64)>) {
    watched.retain(|(gate, passed)| {
        let passage = gate.lock();
        if passage.passed != *passed || passage.closed {
            return false;
        }
        if !passage.waits {
            gate.reset.cancel();
        }
        passage.waits
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{consent::Pseudonyms, jose::HmacKey};

    fn gate() -> (Arc<Gate>, CancellationToken) {
        let names = Pseudonyms::new(HmacKey::new(b"secret")).towards(&"did:web:work.example".parse().unwrap());
        let reset = CancellationToken::new();
        (Arc::new(Gate::new(0, Arc::new(names), reset.clone())), reset)
    }

    #[test]
    fn a_stream_that_waits_for_something_to_send_is_not_cut_and_one_that_waits_for_its_receiver_is() {
        let index = Index::default();
        let (waiting, waiting_reset) = gate();
        let (stalled, stalled_reset) = gate();
        let (moving, moving_reset) = gate();
        waiting.wait();
        let mut watched: Vec<_> = [&waiting, &stalled, &moving].map(|gate| (gate.clone(), 0)).into();
        moving.pass(&index, index.epoch(), 1).unwrap().unwrap();
        reset_unmoved(&mut watched);
        assert!(stalled_reset.is_cancelled() && !moving_reset.is_cancelled() && !waiting_reset.is_cancelled());
        assert_eq!(watched.len(), 1, "the one that waits is looked at again");
        reset_unmoved(&mut watched);
        assert_eq!(
            (watched.len(), waiting_reset.is_cancelled()),
            (1, false),
            "however long"
        );
        waiting.pass(&index, index.epoch(), 1).unwrap().unwrap();
        reset_unmoved(&mut watched);
        assert!(watched.is_empty() && !waiting_reset.is_cancelled(), "it has moved");
    }

    #[test]
    fn a_stream_that_has_waited_once_is_cut_when_its_receiver_takes_nothing_later() {
        let index = Index::default();
        let (gate, reset) = gate();
        gate.wait();
        gate.pass(&index, index.epoch(), 1).unwrap().unwrap();
        let mut watched = vec![(gate, 1)];
        reset_unmoved(&mut watched);
        assert!(reset.is_cancelled() && watched.is_empty());
    }
}
