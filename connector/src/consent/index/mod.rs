//! The live index: who consented to what, asked once for each record; and the gates through which every stream's chunks pass.
//!
//! A chunk is decided under one epoch. A withdrawal changes the learner's entry, raises the epoch and then takes each gate's lock: a
//! chunk that passed before is counted by the sequence number it names, a chunk that comes after finds the epoch changed and is decided
//! again. So the withdrawal needs no answer from any stream, and there is no moment between the check and the hand-over in which it
//! could be missed. A reader takes the epoch before it looks at any entry; what it sees may be newer than that epoch, never older.

mod answers;
mod asked;
mod basis;
mod cells;
mod fields;
mod gate;
mod joint;
mod limits;
mod question;
mod reason;
mod table;
mod terms;

pub(super) use asked::Request;
pub use basis::{Basis, BasisRule};
pub(super) use gate::reset_unmoved;
pub use gate::{Asks, Closed, Gate, Stale, StreamEnd};
pub use question::{Form, Question, Reader, Withheld};
pub use reason::Reason;
pub use terms::Covered;

use super::{ConsentId, GrantError, Occurrence};
use crate::catalog::{Category, CategorySet};
use crate::dsp::{AgreementId, DatasetId, ParticipantId, Pid};
use answers::Answers;
use basis::Rules;
use fields::Fields;
use gate::Gates;
use limits::Limits;
use policy::{Code, RecordFacts, Timestamp};
use question::Restrictions;
use std::collections::{BTreeMap, HashMap};
use std::sync::{
    Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicU64, Ordering},
};
use table::{Entry, Marks, OfAge, Standing, Table};
use terms::{Scope, Terms, Vocabulary};

/// How a consent ended before the index came to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It never began: the learner was asked and refused. To be known here only because no other basis counts for it then.
    Refused,
    /// The learner withdrew it.
    Withdrawn,
    /// Somebody else ended it, or it was not valid.
    Revoked,
    /// Its end has come and has been noted.
    Expired,
}

/// A committed consent, as the index takes it in.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// Its id.
    pub id: &'a ConsentId,
    /// The learner's local identifier.
    pub subject: &'a str,
    /// To whom, what for, and of what.
    pub covered: Covered<'a>,
    /// Only these fields of its categories, as JSON pointers; none means all.
    pub fields: &'a [String],
    /// From when.
    pub from: Timestamp,
    /// Until when: the first instant at which it no longer permits.
    pub until: Timestamp,
    /// For numbers about groups, never for a record.
    pub aggregate_only: bool,
    /// Counted only in releases in which no group has fewer learners.
    pub min_group_size: Option<u32>,
    /// The learner is a minor and the guardian's agreement, which is needed, is not there.
    pub guardian_missing: bool,
    /// A guardian has given it with the learner.
    pub guardian_gave: bool,
    /// For so many transfers and no more.
    pub most_transfers: Option<u64>,
    /// From when on the learner is no minor; none where nobody knows whether they are one.
    pub of_age: Option<Timestamp>,
    /// Whether and how it has ended already.
    pub ended: Option<Ended>,
}

/// A learner's objection to processing on another basis than consent (GDPR art. 21), as the index takes it in.
#[derive(Clone, Copy, Debug)]
pub struct Objection<'a> {
    /// Its id.
    pub id: &'a ConsentId,
    /// The learner's local identifier.
    pub subject: &'a str,
    /// Towards whom; none means everybody.
    pub recipients: &'a [ParticipantId],
    /// Against which purposes; none means all.
    pub purposes: &'a [String],
    /// About which datasets; none means all.
    pub datasets: &'a [DatasetId],
}

/// A restriction of the processing of a learner's records (GDPR art. 18), as the index takes it in.
#[derive(Clone, Copy, Debug)]
pub struct Restriction<'a> {
    /// Its id.
    pub id: &'a ConsentId,
    /// The learner's local identifier.
    pub subject: &'a str,
    /// Towards whom; none means everybody.
    pub recipients: &'a [ParticipantId],
}

/// The live index and the gates of all running streams.
#[derive(Default)]
pub struct Index {
    table: Table,
    vocabulary: RwLock<Vocabulary>,
    bases: Rules,
    limits: Limits,
    requests: asked::Requests,
    epoch: AtomicU64,
    gates: Gates,
}

impl Index {
    /// The current epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// To be called after a change that permits less, and before the gates are asked to confirm.
    fn raise_epoch(&self) -> u64 {
        self.epoch.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn vocabulary(&self) -> RwLockReadGuard<'_, Vocabulary> {
        self.vocabulary.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn vocabulary_mut(&self) -> RwLockWriteGuard<'_, Vocabulary> {
        self.vocabulary.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that data categories can be numbered, before consents that name them are committed.
    pub fn reserve<'a>(&self, categories: impl IntoIterator<Item = &'a String>) -> Result<(), GrantError> {
        let mut vocabulary = self.vocabulary_mut();
        categories
            .into_iter()
            .try_for_each(|name| vocabulary.category(name).map(drop))
    }

    /// Takes a committed consent in, in the place of what was known of it before: there is no moment at which neither counts. What may
    /// permit less than before raises the epoch, and every gate confirms it: where a learner was asked for consent, no other basis counts.
    pub fn open(&self, grant: &Grant<'_>) -> Result<(), GrantError> {
        let id = grant.id.uuid().ok_or(GrantError::Invalid("id", "is no urn:uuid"))?;
        let terms = {
            let mut vocabulary = self.vocabulary_mut();
            let covered = vocabulary.terms(&grant.covered)?;
            let fields = Scope::all_unless(vocabulary.names(grant.fields));
            let min_group_size = grant.min_group_size;
            vocabulary.intern(Terms {
                fields,
                min_group_size,
                ..covered
            })
        };
        let standing = match grant.ended {
            None => Standing::Given,
            Some(Ended::Refused) => Standing::Refused,
            Some(Ended::Withdrawn) => Standing::Withdrawn,
            Some(Ended::Revoked) => Standing::Revoked,
            Some(Ended::Expired) => Standing::Expired,
        };
        let learner = self.table.learner(grant.subject);
        let mut entry = Entry::new(learner, id, terms, (grant.from, grant.until), standing);
        entry.marks = Marks::default()
            .with(Marks::AGGREGATE_ONLY, grant.aggregate_only)
            .with(Marks::GUARDIAN_MISSING, grant.guardian_missing)
            .with(Marks::GUARDIAN_GAVE, grant.guardian_gave)
            .with(Marks::LIMITED, grant.most_transfers.is_some());
        entry.of_age = OfAge::new(grant.of_age);
        if let Some(most) = grant.most_transfers {
            // Before the entry: one whose limit is not known permits nothing.
            self.limits.set(id, most);
        }
        let before = self.table.put(entry);
        let permits_any_form = !grant.aggregate_only && grant.min_group_size.is_none();
        let permits = standing == Standing::Given && permits_any_form && !grant.guardian_missing;
        if !permits || before.is_some_and(|before| entry.permits_less_than(&before)) {
            self.raise_epoch();
            self.gates.confirm_all();
        }
        Ok(())
    }

    /// Closes a learner's consents that `which` names, raises the epoch, and has every gate confirm it. They stand as withdrawn until they are
    /// taken in as they are.
    pub fn close(&self, subject: &str, which: impl Fn(&ConsentId) -> bool, now: Timestamp) -> (u64, Vec<StreamEnd>) {
        let learner = self.table.learner(subject);
        self.table
            .set(learner, Standing::Withdrawn, |id| which(&ConsentId::from_uuid(id)));
        (self.raise_epoch(), self.confirmed(subject, Restrictions::Lifted, now))
    }

    /// Has every gate confirm the epoch as it is, for one learner: what was decided before it has passed by now, or does not.
    pub fn confirm(&self, subject: &str, now: Timestamp) -> (u64, Vec<StreamEnd>) {
        (self.epoch(), self.confirmed(subject, Restrictions::Lifted, now))
    }

    /// Asked once what was changed is changed: where something else permits records of the learner, they go on.
    fn confirmed(&self, subject: &str, restrictions: Restrictions, now: Timestamp) -> Vec<StreamEnd> {
        let learner = self.table.learner(subject);
        self.gates.confirm(subject, |asks| {
            asks.question.is_met(self, (learner, asks.by), restrictions, now)
        })
    }

    /// Tells from when on a learner is no minor, for all of their entries. What was decided before and has not left is decided again, because
    /// policies may permit less of a minor.
    pub fn tell_age(&self, subject: &str, of_age: Option<Timestamp>) {
        let learner = self.table.learner(subject);
        if self.table.tell_age(learner, OfAge::new(of_age)) {
            self.raise_epoch();
        }
    }

    /// Takes an objection in, raises the epoch, and has every gate confirm it: it stops the flow at once, as a withdrawal does. It is
    /// lifted by [`Index::forget`].
    pub fn object(&self, objection: &Objection<'_>, now: Timestamp) -> Result<(u64, Vec<StreamEnd>), GrantError> {
        self.stop_by(objection, Standing::Objection, now)
    }

    /// Takes a restriction in, in the same way: nothing of the learner leaves to these recipients while it is here, whatever permits it. It is
    /// lifted by [`Index::forget`].
    pub fn restrict(&self, restriction: &Restriction<'_>, now: Timestamp) -> Result<(u64, Vec<StreamEnd>), GrantError> {
        let everything = Objection {
            id: restriction.id,
            subject: restriction.subject,
            recipients: restriction.recipients,
            purposes: &[],
            datasets: &[],
        };
        self.stop_by(&everything, Standing::Restricted, now)
    }

    fn stop_by(
        &self,
        objection: &Objection<'_>,
        standing: Standing,
        now: Timestamp,
    ) -> Result<(u64, Vec<StreamEnd>), GrantError> {
        let id = objection.id.uuid().ok_or(GrantError::Invalid("id", "is no urn:uuid"))?;
        let terms = {
            let mut vocabulary = self.vocabulary_mut();
            let terms = Terms {
                recipients: Scope::all_unless(vocabulary.recipients(objection.recipients)),
                purposes: Scope::all_unless(vocabulary.purposes(objection.purposes)),
                datasets: Scope::all_unless(vocabulary.datasets(objection.datasets)),
                categories: CategorySet::ALL,
                fields: Scope::All,
                min_group_size: None,
                agreement: None,
            };
            vocabulary.intern(terms)
        };
        let learner = self.table.learner(objection.subject);
        let always = (Timestamp::MIN, Timestamp::MAX);
        self.table.put(Entry::new(learner, id, terms, always, standing));
        let restrictions = match standing {
            Standing::Restricted => Restrictions::Standing,
            _ => Restrictions::Lifted,
        };
        Ok((self.raise_epoch(), self.confirmed(objection.subject, restrictions, now)))
    }

    /// Takes a rule of the holder in that permits records without consent; one of the same name is replaced.
    pub fn open_basis(&self, rule: &BasisRule<'_>) -> Result<(), GrantError> {
        let terms = self.vocabulary_mut().terms(&rule.covered)?;
        self.bases.open(rule, terms);
        // What it replaces may have permitted more.
        self.raise_epoch();
        Ok(())
    }

    /// Takes a rule out, raises the epoch and has every gate confirm it. Returns the epoch and the last number of each running stream
    /// under that rule, by the provider's id of the transfer.
    pub fn close_basis(&self, id: &str) -> (u64, Vec<(Pid, u64)>) {
        self.bases.close(id);
        (self.raise_epoch(), self.gates.confirm_all())
    }

    /// The consents of a learner that were given by all whose word it takes, and neither withdrawn nor noted as expired.
    pub fn in_force(&self, subject: &str) -> Vec<ConsentId> {
        let mut ids = Vec::new();
        self.table.each(self.table.learner(subject), |entry| {
            if entry.standing == Standing::Given && !entry.marks.has(Marks::GUARDIAN_MISSING) {
                ids.push(ConsentId::from_uuid(entry.id));
            }
        });
        ids
    }

    /// Drops those of a learner's entries that `which` names, all at once. They permit nothing; whoever calls this has made sure that what
    /// they stopped does not go on without them.
    pub fn forget(&self, subject: &str, which: impl Fn(&ConsentId) -> bool) {
        let learner = self.table.learner(subject);
        let mut limited = Vec::new();
        self.table.each(learner, |entry| {
            if entry.marks.has(Marks::LIMITED) && which(&ConsentId::from_uuid(entry.id)) {
                limited.push(entry.id);
            }
        });
        self.table.remove(learner, |id| which(&ConsentId::from_uuid(id)));
        self.requests.remove(learner, |id| which(&ConsentId::from_uuid(id)));
        self.limits.remove(&limited);
    }

    /// Tells which uses have been counted for a consent that permits a number of transfers.
    pub(super) fn tell_counted(&self, id: &ConsentId, uses: Vec<Occurrence>) {
        if let Some(id) = id.uuid() {
            self.limits.tell(id, uses);
        }
    }

    /// As many transfers have been counted as this consent permits.
    pub(super) fn is_used_up(&self, id: &ConsentId) -> bool {
        id.uuid().is_some_and(|id| self.limits.is_used_up(id))
    }

    /// Has everything decided again that has not left, because something else than what may leave has changed for it.
    pub fn decide_again(&self) {
        self.raise_epoch();
    }

    /// When [`Index::expired`] should be asked next: no consent and no other basis ends before. `None` when none is in force.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        [self.table.next_expiry(), self.bases.next_end()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The consents whose end has come by `now`, each named once. Whether or not this is asked, neither a consent nor another basis permits
    /// anything from its end on; asking also has those chunks decided again that were decided before the end and have not left yet.
    pub fn expired(&self, now: Timestamp) -> Vec<ConsentId> {
        let expired = self.table.expire(now);
        let ended = self.bases.expire(now);
        if ended || !expired.is_empty() {
            self.raise_epoch();
            self.gates.confirm_all();
        }
        expired.into_iter().map(ConsentId::from_uuid).collect()
    }

    /// The same for the other bases alone, which nobody records.
    pub fn expire_bases(&self, now: Timestamp) {
        if self.bases.expire(now) {
            self.raise_epoch();
            self.gates.confirm_all();
        }
    }

    /// Compiles what a stream under an agreement will ask about these categories. `permits` is the policy's word about each record
    /// ([`policy::Plan::permits`]); it is asked here, and not again.
    pub fn question<'a>(
        &self,
        (recipient, agreement): (&ParticipantId, &AgreementId),
        purposes: &[String],
        dataset: &DatasetId,
        categories: impl IntoIterator<Item = &'a String>,
        permits: impl Fn(&RecordFacts) -> Result<(), Code>,
    ) -> Result<Question, GrantError> {
        let mut vocabulary = self.vocabulary_mut();
        let numbered: Result<Vec<_>, GrantError> = categories
            .into_iter()
            .map(|name| Ok((vocabulary.category(name)?, policy::Category::read(name))))
            .collect();
        let answers = Answers::of(&numbered?, permits);
        Ok(Question {
            allowed: answers.permitted(),
            without_consent: answers.permitted_without_consent(),
            answers,
            recipient: vocabulary.name(recipient.as_str()),
            purposes: vocabulary.purposes(purposes).into(),
            dataset: vocabulary.name(dataset.as_str()),
            agreement: vocabulary.name(agreement.as_str()),
            form: Form::Records,
            fields: Fields::default(),
        })
    }

    /// Gives the fields that a dataset claims numbers of their own in a question, so that consents to some of them alone are kept to. Returns
    /// for each pointer the numbers that open it: its category's and, if one was left, its own.
    pub fn number_fields(
        &self,
        question: &mut Question,
        claims: &BTreeMap<String, Vec<String>>,
    ) -> Result<HashMap<String, CategorySet>, GrantError> {
        let (fields, covers) = fields::number(&mut self.vocabulary_mut(), question.allowed, claims)?;
        fields.each(|category, field| question.answers.add_part(category, field));
        question.fields = fields;
        Ok(covers)
    }

    /// The number of a data category, as consents and questions use it.
    pub fn category(&self, name: &str) -> Result<Category, GrantError> {
        self.vocabulary_mut().category(name)
    }

    /// Registers a stream's gate; an older one of the same transfer is closed.
    pub fn enter(&self, transfer: &Pid, gate: Arc<Gate>) {
        self.gates.enter(transfer, gate);
    }

    /// Forgets a stream's gate, if it is still that one.
    pub fn leave(&self, transfer: &Pid, gate: &Arc<Gate>) {
        self.gates.leave(transfer, gate);
    }

    /// Stops a transfer's stream, if one runs. Returns the last number that passed.
    pub fn stop(&self, transfer: &Pid) -> Option<u64> {
        self.gates.stop(transfer)
    }

    /// Stops every stream.
    pub fn stop_all(&self) {
        self.gates.stop_all();
    }

    /// How many chunks have passed each gate, for [`reset_unmoved`].
    pub(super) fn progress(&self) -> Vec<(Arc<Gate>, u64)> {
        self.gates.progress()
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
