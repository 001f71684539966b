//! What a holder sends when a learner's consents change, in the commit of the change: an ending to who received records, and the signed receipt
//! to who asked for the consent, to the intermediary that keeps it, and to who has to know that a later one permits later records. What an
//! intermediary sends of those that it keeps is in `agent`.

use super::{
    agent::Agent,
    lapses::Lapses,
    message::EndReason,
    notices::{Notices, Sheet},
    post::Posted,
    received::Receipt,
    scope::{Ending, Scope},
};
use crate::{
    audit::Entry,
    consent::{
        About, Changed, Consent, ConsentId, Declared, Ended, Index, Messenger, Pseudonym, Pseudonyms, Stored,
        links::Links,
        state::{Role, State},
    },
    dsp::{MessageId, ParticipantId, Pid},
    store::{Batch, StoreError},
};
use async_trait::async_trait;
use policy::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Longest receipt that goes with its message, which is stored until it is delivered.
pub(super) const LONGEST_RECEIPT: usize = 48 * 1024;

/// No commit takes longer than this.
const LONGEST_COMMIT: Duration = Duration::from_secs(30);

/// Sends what follows from changes of consents.
pub struct Courier {
    notices: Arc<Notices>,
    links: Arc<Links>,
    agent: Agent,
    lapses: Arc<Lapses>,
    index: Arc<Index>,
    clock: fn() -> Timestamp,
    /// Queues of commits that are being made.
    queued: Mutex<BTreeMap<Pid, Instant>>,
}

/// Why, for who received records; none of what has not ended.
fn end(state: State) -> Option<EndReason> {
    match state {
        State::Withdrawn => Some(EndReason::Withdrawn),
        State::Expired | State::Superseded => Some(EndReason::Expired),
        State::Revoked | State::Invalidated => Some(EndReason::Revoked),
        State::Requested
        | State::Deferred
        | State::PendingSecond
        | State::PendingLearner
        | State::Given
        | State::Refused => None,
    }
}

/// Who asked for it with a message, and which.
pub(super) fn asked(stored: &Stored) -> Option<(ParticipantId, Option<MessageId>)> {
    let first = stored
        .events
        .first()
        .filter(|event| event.fact.role == Role::Consumer)?;
    let by = first.fact.by.as_ref()?.parse().ok()?;
    Some((by, first.proof.as_ref().and_then(|id| id.parse().ok())))
}

impl Courier {
    /// For changes that close and open `index`.
    pub fn new(
        notices: Arc<Notices>,
        links: Arc<Links>,
        agent: Agent,
        lapses: Arc<Lapses>,
        index: Arc<Index>,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self {
            notices,
            links,
            agent,
            lapses,
            index,
            clock,
            queued: Mutex::default(),
        }
    }

    fn note(&self, lane: Pid) {
        self.queued
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(lane, Instant::now());
    }

    /// The time as of which a change is told: after all that passed before the index was closed for it, and after each of its steps. What was
    /// said may have been said earlier; a learner's messages are in order by this time.
    fn instant(&self, changed: &[Changed], now: Timestamp) -> Timestamp {
        let steps = changed.iter().map(|one| one.stored.last());
        steps.fold((self.clock)().max(now), Timestamp::max)
    }

    /// The endings of the learner's consents, reason by reason.
    async fn endings(
        &self,
        about: &About<'_>,
        batch: &mut Batch,
        entries: &mut Vec<Entry>,
        (at, now): (Timestamp, Timestamp),
    ) -> Result<(), StoreError> {
        let mut by_reason: BTreeMap<EndReason, Vec<&Changed>> = BTreeMap::new();
        let let_records_out = |one: &&Changed| self.lets_records_out(&one.stored.consent);
        for one in about.changed.iter().filter(let_records_out) {
            if let Some(reason) = end(one.stored.state) {
                by_reason.entry(reason).or_default().push(one);
            }
        }
        let remaining = self.remaining(about);
        for (reason, ended) in by_reason {
            let scopes: Vec<Scope> = ended.iter().map(|one| Scope::from(&one.stored.consent)).collect();
            let at_once = ended.iter().find_map(|one| one.ended.as_ref());
            let ending = Ending {
                reason,
                ended: &scopes,
                remaining: &remaining,
                at,
                epoch: at_once.map_or_else(|| self.index.epoch(), |ended| ended.epoch),
                streams: at_once.map_or(&[], |ended| ended.streams.as_slice()),
            };
            self.ending(about, &ending, batch, entries, now).await?;
        }
        Ok(())
    }

    /// While it is in force, records that we hold may leave. Of one for groups alone nobody has a record that would have to be erased, and the
    /// numbers that were released stay.
    fn lets_records_out(&self, consent: &Consent) -> bool {
        !self.agent.keeps(consent) && !consent.aggregate_only
    }

    /// What remains in force for the learner of what we hold.
    fn remaining(&self, about: &About<'_>) -> Vec<Scope> {
        let in_force = about.in_force.iter();
        let in_force = in_force.filter(|consent| self.lets_records_out(consent));
        let consents = in_force.map(|consent| Scope::from(*consent));
        consents.chain(about.bases.iter().map(Scope::from)).collect()
    }

    async fn ending(
        &self,
        about: &About<'_>,
        ending: &Ending<'_>,
        batch: &mut Batch,
        entries: &mut Vec<Entry>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut sheet = Sheet {
            batch,
            entries,
            queued: Vec::new(),
        };
        let told = self
            .notices
            .tell(about.pseudonyms, about.subject, ending, &mut sheet, now);
        told.await?;
        sheet.queued.into_iter().for_each(|lane| self.note(lane));
        Ok(())
    }

    /// The receipt of one change, for those who have to have it.
    async fn receipt(
        &self,
        about: &About<'_>,
        changed: &Changed,
        batch: &mut Batch,
        entries: &mut Vec<Entry>,
        (at, now): (Timestamp, Timestamp),
    ) -> Result<(), StoreError> {
        let (stored, subject) = (&changed.stored, about.subject);
        let asked = asked(stored);
        let mut to: BTreeSet<ParticipantId> = asked.iter().map(|(by, _)| by.clone()).collect();
        // So that its record ends with ours, and the learner has our word there.
        to.extend(stored.consent.via.clone());
        if stored.state == State::Given && !stored.consent.aggregate_only {
            let met = self.notices.deliveries().recipients(subject).await?;
            let theirs = |recipient: &ParticipantId| stored.consent.recipients.contains(recipient);
            to.extend(met.into_iter().filter(theirs));
        }
        for recipient in to {
            let request = asked.as_ref().filter(|(by, _)| *by == recipient);
            let receipt = Receipt {
                consent: stored.consent.id.clone(),
                pseudonym: Pseudonym::from(about.pseudonyms.towards(&recipient).tag(subject)),
                state: stored.state,
                at,
                until: stored.ends(),
                number: stored.receipts.saturating_sub(1),
                request: request.and_then(|(_, id)| id.clone()),
                digest: crate::consent::receipt::digest(&changed.receipt),
                receipt: (changed.receipt.len() <= LONGEST_RECEIPT).then(|| changed.receipt.clone()),
            };
            let learner = receipt.pseudonym.as_str();
            let Posted { lane, entry, .. } = self.notices.post().put(batch, &recipient, learner, &receipt, now)?;
            entries.push(entry);
            self.note(lane);
        }
        Ok(())
    }
}

#[async_trait]
impl Messenger for Courier {
    async fn tell(&self, about: &About<'_>, batch: &mut Batch, now: Timestamp) -> Result<Vec<Entry>, StoreError> {
        let (mut entries, at) = (Vec::new(), self.instant(about.changed, now));
        self.endings(about, batch, &mut entries, (at, now)).await?;
        for posted in self.agent.tell(about, batch, now).await? {
            entries.push(posted.entry);
            self.note(posted.lane);
        }
        let held_here = |one: &&Changed| !self.agent.keeps(&one.stored.consent);
        // After the endings: what a later consent permits is permitted although something ended in the same instant.
        for changed in about.changed.iter().filter(held_here) {
            self.receipt(about, changed, batch, &mut entries, (at, now)).await?;
        }
        Ok(entries)
    }

    async fn objected(
        &self,
        about: &About<'_>,
        (basis, ended): (&Declared, &Ended),
        batch: &mut Batch,
        now: Timestamp,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        let ending = Ending {
            reason: EndReason::Objected,
            ended: &[Scope::from(basis)],
            remaining: &self.remaining(about),
            at: self.instant(&[], now),
            epoch: ended.epoch,
            streams: &ended.streams,
        };
        self.ending(about, &ending, batch, &mut entries, now).await?;
        Ok(entries)
    }

    fn bases_changed(&self) {
        self.lapses.stir();
    }

    async fn ended_bases_are_told(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.lapses.are_told(now).await
    }

    async fn tell_of_ended_bases(&self, now: Timestamp) -> Result<(), StoreError> {
        self.lapses.tell(now).await?;
        Ok(())
    }

    async fn forget(
        &self,
        subject: &str,
        pseudonyms: &Pseudonyms,
        bases: &[Declared],
        batch: &mut Batch,
    ) -> Result<Option<ConsentId>, StoreError> {
        // Read once: a pair that is noted meanwhile is neither looked at nor forgotten. No basis comes in between either: its turn is the
        // caller's. An agreement may, and is not looked for again. Before a record leaves under it on a basis that stands, a transfer is asked
        // for, started and begun, each a commit of its own, while this one waits for nothing but its own.
        let met = self.notices.deliveries().of(subject).await?;
        let basis = self.notices.received_on(&met, bases).await?;
        if basis.is_none() {
            self.links.forget(subject, batch).await?;
            self.notices.forget(pseudonyms, subject, met, batch).await?;
        }
        Ok(basis)
    }

    fn committed(&self) {
        // Those of a commit that is still being made are woken in vain, and again after it.
        let mut queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        queued.keys().for_each(|lane| self.notices.post().wake(lane));
        queued.retain(|_, noted| noted.elapsed() < LONGEST_COMMIT);
    }
}
