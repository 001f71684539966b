//! The live index: who consented to what, asked once for each record; and the gates through which every stream's chunks pass.
//!
//! A chunk is decided under one epoch. A withdrawal raises the epoch and then takes each gate's lock: a chunk that passed before is
//! counted by the sequence number it names, a chunk that comes after finds the epoch changed and is decided again. So the withdrawal
//! needs no answer from any stream, and there is no moment between the check and the hand-over in which it could be missed.

use super::{Consent, ConsentId, GrantError, Pairwise};
use crate::catalog::{Category, CategorySet};
use crate::dsp::{DatasetId, ParticipantId, Pid};
use policy::{Timestamp, canonical_name};
use serde::Serialize;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio_util::sync::CancellationToken;

/// Why a learner's record is withheld. For the provider's operator and audit log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// There is no consent.
    None,
    /// It was withdrawn.
    Withdrawn,
    /// It has expired.
    Expired,
    /// It does not cover every purpose of the agreement.
    Purpose,
    /// It is for other recipients.
    Recipient,
    /// It covers none of the data categories, or another dataset.
    Category,
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Withdrawn,
        Self::Expired,
        Self::Purpose,
        Self::Recipient,
        Self::Category,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::None => "consent-none",
            Self::Withdrawn => "consent-withdrawn",
            Self::Expired => "consent-expired",
            Self::Purpose => "consent-other-purpose",
            Self::Recipient => "consent-other-recipient",
            Self::Category => "consent-other-category",
        }
    }
}

/// Texts as small numbers, so that comparing them for each record costs nothing.
#[derive(Default)]
struct Names(HashMap<String, u32>);

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.0.get(name) {
            return *number;
        }
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.insert(name.to_owned(), number);
        number
    }
}

struct Grant {
    id: ConsentId,
    recipients: Box<[u32]>,
    purposes: Box<[u32]>,
    datasets: Box<[u32]>,
    categories: CategorySet,
    given: Timestamp,
    expires: Timestamp,
    withdrawn: bool,
}

#[derive(Default)]
struct Inner {
    subjects: HashMap<Box<str>, Vec<Grant>>,
    names: Names,
    categories: Names,
}

impl Inner {
    fn category(&mut self, name: &str) -> Result<Category, GrantError> {
        let number = self.categories.number(name);
        u8::try_from(number)
            .ok()
            .and_then(Category::new)
            .ok_or(GrantError::TooManyCategories)
    }
}

/// What a stream asks about each record, compiled once.
#[derive(Clone, Debug)]
pub struct Question {
    recipient: u32,
    purposes: Box<[u32]>,
    dataset: u32,
    /// The categories that the agreement allows.
    pub allowed: CategorySet,
}

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
}

/// The point through which a stream's chunks leave.
pub struct Gate {
    passage: Mutex<Passage>,
    names: Arc<Pairwise>,
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
            reset,
        }
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
        Ok(Ok(()))
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

/// The live index and the gates of all running streams.
#[derive(Default)]
pub struct Index {
    inner: RwLock<Inner>,
    epoch: AtomicU64,
    gates: Mutex<HashMap<Pid, Arc<Gate>>>,
}

impl Index {
    /// The current epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Makes sure that the consents' categories can be numbered, before they are committed.
    pub fn reserve(&self, consents: &[Consent]) -> Result<(), GrantError> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        consents
            .iter()
            .flat_map(|consent| &consent.categories)
            .try_for_each(|name| inner.category(name).map(|_| ()))
    }

    /// Takes a committed consent in.
    pub fn open(&self, consent: &Consent) -> Result<(), GrantError> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let categories = consent
            .categories
            .iter()
            .map(|name| inner.category(name))
            .collect::<Result<CategorySet, GrantError>>()?;
        let grant = Grant {
            id: consent.id.clone(),
            recipients: consent
                .recipients
                .iter()
                .map(|did| inner.names.number(did.as_str()))
                .collect(),
            // Policies and consents write purposes in several spellings; only the canonical ones are compared.
            purposes: consent
                .purposes
                .iter()
                .map(|purpose| inner.names.number(&canonical_name(purpose)))
                .collect(),
            datasets: consent
                .datasets
                .iter()
                .map(|id| inner.names.number(id.as_str()))
                .collect(),
            categories,
            given: consent.given,
            expires: consent.expires,
            withdrawn: false,
        };
        inner
            .subjects
            .entry(consent.subject.as_str().into())
            .or_default()
            .push(grant);
        Ok(())
    }

    /// Closes a learner's consents that `which` names, raises the epoch, and has every gate confirm it.
    pub fn close(&self, subject: &str, which: impl Fn(&ConsentId) -> bool) -> (u64, Vec<StreamEnd>) {
        let epoch = {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            for grant in inner.subjects.get_mut(subject).into_iter().flatten() {
                grant.withdrawn |= which(&grant.id);
            }
            self.epoch.fetch_add(1, Ordering::AcqRel) + 1
        };
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let end = |(pid, gate): (&Pid, &Arc<Gate>)| StreamEnd {
            transfer: pid.clone(),
            pseudonym: gate.names.name(subject),
            last_sequence: gate.last(),
        };
        let mut ends: Vec<StreamEnd> = gates.iter().map(end).collect();
        ends.sort_by(|a, b| a.transfer.cmp(&b.transfer));
        (epoch, ends)
    }

    /// The consents of a learner that are not withdrawn.
    pub fn in_force(&self, subject: &str) -> Vec<ConsentId> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let grants = inner.subjects.get(subject).map_or(&[] as &[Grant], Vec::as_slice);
        grants
            .iter()
            .filter(|grant| !grant.withdrawn)
            .map(|grant| grant.id.clone())
            .collect()
    }

    /// Drops those of a learner's consents that `which` names; they have ended, so no answer changes but its reason.
    pub fn forget(&self, subject: &str, which: impl Fn(&ConsentId) -> bool) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let Some(grants) = inner.subjects.get_mut(subject) else {
            return;
        };
        grants.retain(|grant| !which(&grant.id));
        if grants.is_empty() {
            inner.subjects.remove(subject);
        }
    }

    /// Compiles what a stream will ask.
    pub fn question(
        &self,
        recipient: &ParticipantId,
        purposes: &[String],
        dataset: &DatasetId,
        categories: &[String],
    ) -> Result<Question, GrantError> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Question {
            allowed: categories
                .iter()
                .map(|name| inner.category(name))
                .collect::<Result<CategorySet, GrantError>>()?,
            recipient: inner.names.number(recipient.as_str()),
            purposes: purposes
                .iter()
                .map(|purpose| inner.names.number(&canonical_name(purpose)))
                .collect(),
            dataset: inner.names.number(dataset.as_str()),
        })
    }

    /// The number of a data category, as consents and questions use it.
    pub fn category(&self, name: &str) -> Result<Category, GrantError> {
        self.inner
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .category(name)
    }

    /// Holds the index still for one chunk.
    pub fn read(&self) -> Reader<'_> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        // The epoch is raised under the write lock: what is read here belongs to the content that is held.
        Reader {
            epoch: self.epoch(),
            inner,
        }
    }

    /// Registers a stream's gate; an older one of the same transfer is closed.
    pub fn enter(&self, transfer: &Pid, gate: Arc<Gate>) {
        let old = self
            .gates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(transfer.clone(), gate);
        if let Some(old) = old {
            old.close();
        }
    }

    /// Forgets a stream's gate, if it is still that one.
    pub fn leave(&self, transfer: &Pid, gate: &Arc<Gate>) {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if gates.get(transfer).is_some_and(|current| Arc::ptr_eq(current, gate)) {
            gates.remove(transfer);
        }
    }

    /// Stops a transfer's stream, if one runs. Returns the last number that passed.
    pub fn stop(&self, transfer: &Pid) -> Option<u64> {
        let gate = self
            .gates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(transfer)?;
        Some(gate.close())
    }

    /// Stops every stream.
    pub fn stop_all(&self) {
        let gates: Vec<Arc<Gate>> = self
            .gates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain()
            .map(|(_, gate)| gate)
            .collect();
        for gate in gates {
            gate.close();
        }
    }

    pub(super) fn progress(&self) -> Vec<(Arc<Gate>, u64)> {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.values().map(|gate| (gate.clone(), gate.lock().passed)).collect()
    }

    pub(super) fn reset_unmoved(&self, watched: &[(Arc<Gate>, u64)]) {
        for (gate, passed) in watched {
            if gate.lock().passed == *passed {
                gate.reset.cancel();
            }
        }
    }
}

/// The index as it stands for one chunk.
pub struct Reader<'a> {
    /// The epoch under which everything read here was true.
    pub epoch: u64,
    inner: RwLockReadGuard<'a, Inner>,
}

impl Reader<'_> {
    /// Which of the allowed categories of this learner's records may go out now. Never an empty set.
    pub fn ask(&self, subject: &str, question: &Question, now: Timestamp) -> Result<CategorySet, Reason> {
        let Some(grants) = self.inner.subjects.get(subject) else {
            return Err(Reason::None);
        };
        let mut permitted = CategorySet::EMPTY;
        let mut nearest = Reason::None;
        for grant in grants {
            let verdict = if grant.withdrawn {
                Err(Reason::Withdrawn)
            } else if now >= grant.expires || now < grant.given {
                Err(Reason::Expired)
            } else if !grant.recipients.contains(&question.recipient) {
                Err(Reason::Recipient)
            } else if question.purposes.is_empty() || !question.purposes.iter().all(|p| grant.purposes.contains(p)) {
                // An agreement that binds to no purpose could serve any: no consent covers that.
                Err(Reason::Purpose)
            } else if !(grant.datasets.is_empty() || grant.datasets.contains(&question.dataset))
                || !grant.categories.meets(question.allowed)
            {
                Err(Reason::Category)
            } else {
                Ok(CategorySet::from_bits(
                    grant.categories.bits() & question.allowed.bits(),
                ))
            };
            match verdict {
                Ok(categories) => permitted = permitted.union(categories),
                Err(reason) => nearest = nearest.max(reason),
            }
        }
        if permitted == CategorySet::EMPTY {
            Err(nearest)
        } else {
            Ok(permitted)
        }
    }
}
