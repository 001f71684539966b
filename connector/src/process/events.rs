//! Who is told that a process changed: those who wait for one process, and those who follow all of them (the event feed).
//!
//! An event is in the feed once its commit is durable, in the order of the commits of its process, and once only. Nothing here reads a
//! store; what is forgotten here is found by listing the processes.

use super::{Kind, Protocol};
use crate::dsp::{AgreementId, DatasetId, ParticipantId, Pid, Role};
use policy::Timestamp;
use serde::Serialize;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{broadcast, watch};
use utoipa::ToSchema;

/// How many events can be asked for again.
const HISTORY: usize = 4096;

/// What a process is about, for those who were only told its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// The dataset.
    pub dataset: DatasetId,
    /// The agreement, once there is one.
    #[schema(required)]
    pub agreement: Option<AgreementId>,
    /// Negotiations: whose offer is on the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer_by: Option<Role>,
}

/// What a process has come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Which protocol.
    pub protocol: Protocol,
    /// Our id of the process.
    pub pid: Pid,
    /// The other party.
    pub peer: ParticipantId,
    /// Its id of the process, once known.
    #[schema(required)]
    pub peer_pid: Option<Pid>,
    /// Our part.
    pub role: Role,
    /// The state as people read it; before the first acknowledgement the one that we asked for.
    pub state: String,
    /// The steps of ours that are not acknowledged yet, oldest first.
    pub pending: Vec<String>,
    /// What it is about.
    #[serde(flatten)]
    pub about: About,
    /// When it changed.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl Change {
    pub(super) fn of<K: Kind>(record: &K) -> Self {
        let core = record.core();
        Self {
            protocol: K::PROTOCOL,
            pid: core.pid.clone(),
            peer: core.peer.clone(),
            peer_pid: core.peer_pid.clone(),
            role: core.role,
            state: core.state_name(),
            pending: core.pending(),
            about: record.about(),
            at: core.updated,
        }
    }
}

/// A change with its number in the feed.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// Greater than that of every event before it, those before a restart included.
    pub id: u64,
    /// What happened.
    pub change: Change,
}

/// What a listener hears next.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// The next event.
    Event(Arc<Event>),
    /// Events are missing that nobody remembers; the next ones come after this number. List the processes.
    Missed(u64),
}

/// A commit on its way, in the order in which they began.
struct Place {
    number: u64,
    /// `None` while the commit runs; then what it changed, if anything.
    settled: Option<Option<Change>>,
}

#[derive(Default)]
struct Feed {
    newest: u64,
    history: VecDeque<Arc<Event>>,
    places: HashMap<Pid, VecDeque<Place>>,
    next_place: u64,
}

impl Feed {
    fn publish(&mut self, change: Change) {
        self.newest += 1;
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Arc::new(Event {
            id: self.newest,
            change,
        }));
    }

    fn settle(&mut self, pid: &Pid, number: u64, change: Option<Change>) {
        let Some(places) = self.places.get_mut(pid) else { return };
        if let Some(place) = places.iter_mut().find(|place| place.number == number) {
            place.settled = Some(change);
        }
        let mut ready = Vec::new();
        while let Some(settled) = places.front_mut().and_then(|place| place.settled.take()) {
            places.pop_front();
            ready.extend(settled);
        }
        if places.is_empty() {
            self.places.remove(pid);
        }
        for change in ready {
            self.publish(change);
        }
    }

    /// The event after `seen`; an error when it is not known what came after it.
    fn after(&self, seen: u64) -> Result<Option<Arc<Event>>, u64> {
        let oldest = self.newest - self.history.len() as u64;
        let index = seen.checked_sub(oldest).filter(|_| seen <= self.newest);
        let index = index.and_then(|index| usize::try_from(index).ok()).ok_or(self.newest)?;
        Ok(self.history.get(index).cloned())
    }
}

/// Announces changes to whoever listens.
pub struct Events {
    feed: Mutex<Feed>,
    newest: watch::Sender<u64>,
    stirred: broadcast::Sender<(Protocol, Pid)>,
}

impl Events {
    /// Numbers events from after `last` on, which must not be less than any number given before.
    pub fn new(last: u64) -> Self {
        let feed = Feed {
            newest: last,
            ..Feed::default()
        };
        Self {
            feed: Mutex::new(feed),
            newest: watch::Sender::new(last),
            stirred: broadcast::channel(1024).0,
        }
    }

    fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place in the order of a process's changes, before the commit: whoever commits upon another's change has begun after it.
    pub fn place(self: &Arc<Self>, pid: &Pid) -> Ticket {
        let mut feed = self.feed();
        let number = feed.next_place;
        feed.next_place += 1;
        feed.places
            .entry(pid.clone())
            .or_default()
            .push_back(Place { number, settled: None });
        Ticket {
            events: self.clone(),
            pid: pid.clone(),
            number,
            change: None,
        }
    }

    /// Wakes those who wait for a process although its state has not changed.
    pub fn stir(&self, protocol: Protocol, pid: &Pid) {
        // No listener is no error.
        let _ = self.stirred.send((protocol, pid.clone()));
    }

    /// Waits for changes of any kind of one process, from now on: listen first, then look, and nothing is missed.
    pub fn stirs(&self, protocol: Protocol, pid: &Pid) -> Stirs {
        Stirs {
            all: self.stirred.subscribe(),
            of: (protocol, pid.clone()),
        }
    }

    /// Follows the feed from the event after number `seen` on, or from now on.
    pub fn listen(self: &Arc<Self>, seen: Option<u64>) -> Listener {
        let newest = self.newest.subscribe();
        let seen = seen.unwrap_or_else(|| self.feed().newest);
        Listener {
            events: self.clone(),
            seen,
            newest,
        }
    }
}

/// The changes of one process.
pub struct Stirs {
    all: broadcast::Receiver<(Protocol, Pid)>,
    of: (Protocol, Pid),
}

impl Stirs {
    /// Returns when the process may have changed since the last call. A slow listener loses the oldest and is told to look again.
    pub async fn next(&mut self) {
        while let Ok(stirred) = self.all.recv().await {
            if stirred == self.of {
                return;
            }
        }
    }
}

/// A place in the order of a process's changes. Given up when it is dropped.
pub struct Ticket {
    events: Arc<Events>,
    pid: Pid,
    number: u64,
    change: Option<Change>,
}

impl Ticket {
    /// The commit is durable and changed this.
    pub fn announce(mut self, change: Change) {
        self.change = Some(change);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let newest = {
            let mut feed = self.events.feed();
            feed.settle(&self.pid, self.number, self.change.take());
            feed.newest
        };
        self.events.newest.send_if_modified(|known| {
            let more = newest > *known;
            *known = newest.max(*known);
            more
        });
    }
}

/// One follower of the feed. However slow it is, it hears every event once and in order, or that it missed some.
pub struct Listener {
    events: Arc<Events>,
    seen: u64,
    newest: watch::Receiver<u64>,
}

impl Listener {
    /// The number of the last event that it heard.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Waits for the next event. Nothing is lost when this is dropped early.
    pub async fn next(&mut self) -> Heard {
        loop {
            self.newest.borrow_and_update();
            let next = self.events.feed().after(self.seen);
            match next {
                Ok(Some(event)) => {
                    self.seen = event.id;
                    return Heard::Event(event);
                }
                Err(newest) => {
                    self.seen = newest;
                    return Heard::Missed(newest);
                }
                // The sender lives as long as `events`.
                Ok(None) => drop(self.newest.changed().await),
            }
        }
    }
}

#[cfg(test)]
mod tests;
