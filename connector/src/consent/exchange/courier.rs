//! What a holder sends when a learner's consents change or they object: an ending to who received records, and the signed receipt to who asked for
//! the consent, to the intermediary that keeps it, and to who has to know that a later one permits later records. It is put on the sheet of that
//! commit, so that none is forgotten. What an intermediary sends of those that it keeps is in `agent`, what is told of the end of a basis in
//! `lapses`.

use super::{
    agent::Agent,
    lapses::Lapses,
    message::EndReason,
    notices::Notices,
    post::{Posted, Sheet},
    received::Receipt,
    scope::{Ending, Scope},
};
use crate::{
    consent::{
        About, Changed, Consent, ConsentId, Declared, Ended, Index, Pseudonym, Pseudonyms, Stored,
        links::Links,
        state::{Role, State},
    },
    dsp::{MessageId, ParticipantId, Pid},
    store::{Batch, StoreError},
};
use policy::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Longest receipt that goes with its message, which is stored until it is delivered.
pub(super) const LONGEST_RECEIPT: usize = 48 * 1024;

/// Sends what follows from changes of consents.
pub struct Courier {
    notices: Arc<Notices>,
    links: Arc<Links>,
    agent: Agent,
    lapses: Arc<Lapses>,
    index: Arc<Index>,
    clock: fn() -> Timestamp,
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
        }
    }

    /// What is told of the ends of bases.
    pub(in crate::consent) fn lapses(&self) -> &Lapses {
        &self.lapses
    }

    /// Puts on the sheet what is to be sent because a learner's consents change.
    pub(in crate::consent) async fn tell(
        &self,
        about: &About<'_>,
        sheet: &mut Sheet,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let at = self.instant(about.changed, now);
        self.endings(about, sheet, (at, now)).await?;
        self.agent.tell(about, sheet, now).await?;
        let held_here = |one: &&Changed| !self.agent.keeps(&one.stored.consent);
        // After the endings: what a later consent permits is permitted although something ended in the same instant.
        for changed in about.changed.iter().filter(held_here) {
            self.receipt(about, changed, sheet, (at, now)).await?;
        }
        Ok(())
    }

    /// The same because a learner objects to a declared basis: what `about` says is in force remains.
    pub(in crate::consent) async fn objected(
        &self,
        about: &About<'_>,
        (basis, ended): (&Declared, &Ended),
        sheet: &mut Sheet,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ending = Ending {
            reason: EndReason::Objected,
            ended: &[Scope::from(basis)],
            remaining: &self.remaining(about),
            at: self.instant(&[], now),
            epoch: ended.epoch,
            streams: &ended.streams,
        };
        self.notices.tell(about, &ending, sheet, now).await
    }

    /// The commit of a sheet was made: wakes who delivers.
    pub(in crate::consent) fn committed(&self, queued: &[Pid]) {
        queued.iter().for_each(|lane| self.notices.post().wake(lane));
    }

    /// Adds the removal of what is kept about a learner who is forgotten. Where records of theirs may have gone out on one of these bases, it
    /// returns that one and adds nothing: its recipients could not be told of its end any more.
    pub(in crate::consent) async fn forget(
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
        sheet: &mut Sheet,
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
            self.notices.tell(about, &ending, sheet, now).await?;
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

    /// The receipt of one change, for those who have to have it.
    async fn receipt(
        &self,
        about: &About<'_>,
        changed: &Changed,
        sheet: &mut Sheet,
        (at, now): (Timestamp, Timestamp),
    ) -> Result<(), StoreError> {
        let (stored, subject) = (&changed.stored, about.subject);
        let asked = asked(stored);
        let mut to: BTreeSet<ParticipantId> = asked.iter().map(|(by, _)| by.clone()).collect();
        // So that its record ends with ours, and the learner has our word there.
        to.extend(stored.consent.via.clone());
        // Who hears that it is given hears as well that it has ended: of an end nobody is told otherwise where something else permits as much.
        let was_given = stored.given_receipt.is_some() || stored.state == State::Superseded;
        let is_told = stored.state == State::Given || (stored.state.is_terminal() && was_given);
        if is_told && !stored.consent.aggregate_only {
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
            let post = self.notices.post();
            let Posted { lane, entry, .. } = post.put(&mut sheet.batch, &recipient, learner, &receipt, now)?;
            sheet.add(lane, entry);
        }
        Ok(())
    }
}
