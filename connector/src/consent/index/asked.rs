//! Which consents are asked for and not answered yet. They permit nothing and keep nothing back; that they are there is why a record is withheld
//! for want of a consent (`CNS-02`). Looked at after a refusal alone, so that what may leave costs nothing more.

use super::{
    Index,
    table::Learner,
    terms::{Covered, TermsId},
};
use crate::consent::{ConsentId, GrantError};
use policy::Timestamp;
use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};
use uuid::Uuid;

/// A committed request for a consent, as the index takes it in.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The id of what is asked for.
    pub id: &'a ConsentId,
    /// The learner's local identifier.
    pub subject: &'a str,
    /// To whom, what for, and of what.
    pub covered: Covered<'a>,
    /// Until when it can be answered.
    pub until: Timestamp,
}

/// One request that waits.
struct Waiting {
    id: Uuid,
    terms: TermsId,
    until: Timestamp,
}

/// The requests that wait, by learner.
#[derive(Default)]
pub(super) struct Requests(RwLock<HashMap<Learner, Vec<Waiting>>>);

impl Requests {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Learner, Vec<Waiting>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Learner, Vec<Waiting>>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, learner: Learner, request: Waiting) {
        let mut all = self.write();
        let theirs = all.entry(learner).or_default();
        theirs.retain(|known| known.id != request.id);
        theirs.push(request);
    }

    pub(super) fn remove(&self, learner: Learner, which: impl Fn(Uuid) -> bool) {
        // Every consent comes by here, at the start as well, and few learners are asked for one: only then is the lock taken from readers.
        if !self.read().contains_key(&learner) {
            return;
        }
        let mut all = self.write();
        if let Some(theirs) = all.get_mut(&learner) {
            theirs.retain(|request| !which(request.id));
            if theirs.is_empty() {
                all.remove(&learner);
            }
        }
    }

    /// What the requests to a learner say that still wait, as numbers of terms.
    pub(super) fn of(&self, learner: Learner, now: Timestamp) -> Vec<TermsId> {
        let all = self.read();
        let theirs = all.get(&learner).map(Vec::as_slice).unwrap_or_default();
        let waiting = theirs.iter().filter(|request| now < request.until);
        waiting.map(|request| request.terms).collect()
    }
}

impl Index {
    /// Takes a committed request in that waits for an answer.
    pub fn ask(&self, request: &Request<'_>) -> Result<(), GrantError> {
        let id = request.id.uuid().ok_or(GrantError::Invalid("id", "is no urn:uuid"))?;
        let terms = {
            let mut vocabulary = self.vocabulary_mut();
            let terms = vocabulary.terms(&request.covered)?;
            vocabulary.intern(terms)
        };
        let until = request.until;
        let learner = self.table.learner(request.subject);
        self.requests.put(learner, Waiting { id, terms, until });
        Ok(())
    }

    /// A request waits no more: it was answered.
    pub fn answered(&self, subject: &str, id: &ConsentId) {
        let id = id.uuid();
        self.requests
            .remove(self.table.learner(subject), |known| Some(known) == id);
    }
}
