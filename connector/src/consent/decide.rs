//! What is decided when a consent is asked for, given, refused or withdrawn: the rules between a learner's records, over the pure steps.

use super::{
    ConsentError, Consents,
    change::{Beside, Changed, Ended},
    elsewhere::waits_at_holder,
    index::{Index, StreamEnd, reset_unmoved},
    learner::{Learner, Step},
    not_before, notice,
    record::{Actor, Consent, ConsentId, Draft, EnteredBy, NewConsent, NewEvent, NewRequest, NewShare, Stored},
    state::{Act, Illegal, Role, State},
};
use crate::dsp::ParticipantId;
use policy::Timestamp;
use serde::Serialize;
use std::{collections::BTreeSet, time::Duration};

/// How many grants share one durable commit: of a list in one such piece all are recorded or none.
pub const IMPORT_PIECE: usize = 64;
/// A stream that makes no progress for this long after a withdrawal is reset (design: the answer never waits on a peer).
const STALL: Duration = Duration::from_secs(1);
/// Requests of one participant to one learner that may wait for an answer.
const MOST_OPEN: usize = 32;

/// What a learner is told when a withdrawal is done.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledgement {
    /// The learner's local identifier.
    pub subject: String,
    /// The consents that ended, and those that waited for another's word and are refused now.
    pub consents: Vec<ConsentId>,
    /// Towards whom: a consent that names several recipients ends for all of them, whichever of them was meant. Of a restriction towards
    /// everybody there are none.
    pub recipients: Vec<ParticipantId>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The epoch that every running stream has confirmed.
    pub epoch: u64,
    /// The last sequence number that each running stream had handed to TLS. No record of the learner is in it beyond that number, but where
    /// something else still permits them.
    pub streams: Vec<StreamEnd>,
    /// Of consents that are kept here as their intermediary: who holds the records, is told, and has not confirmed the end yet. Until it has,
    /// records may leave there. `GET /v1/consents/told` says what has become of it.
    pub unconfirmed: Vec<ParticipantId>,
}

impl Consents {
    /// Records consents that the holder's operator enters for learners, piece by piece. Committed first, opened after. `first` is the number of
    /// the first of them in the list that they are from, and by these numbers what is refused is named; one alone has none.
    pub async fn enter(
        &self,
        new: Vec<NewConsent>,
        first: Option<usize>,
        now: Timestamp,
    ) -> Result<Vec<Changed>, ConsentError> {
        let mut all = Vec::with_capacity(new.len());
        for (number, chunk) in new.chunks(IMPORT_PIECE).enumerate() {
            let at = |offset: usize, cause: ConsentError| match first {
                Some(first) => ConsentError::Import {
                    entry: first + number * IMPORT_PIECE + offset,
                    cause: Box::new(cause),
                },
                None => cause,
            };
            let mut consents = Vec::with_capacity(chunk.len());
            for (offset, one) in chunk.iter().enumerate() {
                let signed_by = one.signed_by.clone();
                let consent = self.draft(one.clone(), now).await;
                consents.push((consent.map_err(|cause| at(offset, cause))?, signed_by));
            }
            let subjects: Vec<&str> = consents.iter().map(|(consent, _)| consent.subject.as_str()).collect();
            let (ids, mut changed) = self
                .change(&subjects, None, now, |learners| {
                    let mut ids = Vec::with_capacity(consents.len());
                    for (offset, (consent, signed_by)) in consents.iter().enumerate() {
                        let id = enter_one(learners, consent, signed_by, now).map_err(|cause| at(offset, cause))?;
                        ids.push(id);
                    }
                    Ok(ids)
                })
                .await?;
            changed.retain(|one| ids.contains(&one.stored.consent.id));
            changed.sort_by_key(|one| ids.iter().position(|id| *id == one.stored.consent.id));
            all.extend(changed);
        }
        Ok(all)
    }

    /// Terms that are complete, with the notice that they name if it is registered.
    async fn draft(&self, new: impl Into<Draft>, now: Timestamp) -> Result<Consent, ConsentError> {
        self.draft_with(new, None, now).await
    }

    /// The same where a notice may be registered beside.
    pub(super) async fn draft_with(
        &self,
        new: impl Into<Draft>,
        beside: Option<&Beside>,
        now: Timestamp,
    ) -> Result<Consent, ConsentError> {
        let mut consent = new.into().consent(self.holder(), self.privacy.validity, now)?;
        let registered = beside.and_then(|beside| beside.notice.as_ref());
        if let Some(notice) = registered.filter(|notice| notice.hash == consent.notice) {
            consent.notice_ref = Some(notice.reference());
            return Ok(consent);
        }
        let store = &**self.log.store();
        match notice::find(store, &consent.notice).await? {
            Some(found) => {
                consent.notice_ref = Some(found.0.reference());
                if notice::newest(store, found).await?.is_none() {
                    return Err(ConsentError::NoticeReplaced);
                }
            }
            // What an operator enters from paper may be older than the register of notices, and is shown so.
            None if consent.entered_by == EnteredBy::Holder => {}
            None => return Err(ConsentError::UnknownNotice(consent.notice)),
        }
        Ok(consent)
    }

    /// The holder asks its learner for somebody.
    pub async fn ask(&self, new: NewConsent, now: Timestamp) -> Result<Changed, ConsentError> {
        let asking = Actor::of(Role::Holder, "consent-request");
        let until = new.expires;
        let consent = self.draft(new, now).await?;
        // What a learner is asked to read has to be here.
        if consent.notice_ref.is_none() {
            return Err(ConsentError::UnknownNotice(consent.notice));
        }
        self.begin(consent, until, asking, None, now).await
    }

    /// A participant asks a learner. `beside` is committed with it, or not at all.
    pub async fn request(
        &self,
        new: NewRequest,
        beside: Option<&Beside>,
        now: Timestamp,
    ) -> Result<Changed, ConsentError> {
        let (asking, until) = (asking(&new), new.expires);
        let consent = self.draft_with(new, beside, now).await?;
        self.begin(consent, until, asking, beside, now).await
    }

    /// `until`: the end that was asked for, if one was.
    async fn begin(
        &self,
        consent: Consent,
        until: Option<Timestamp>,
        asking: Actor,
        beside: Option<&Beside>,
        now: Timestamp,
    ) -> Result<Changed, ConsentError> {
        let pause = self.privacy.request_pause;
        let subject = consent.subject.clone();
        let (id, changed) = self
            .change(&[&subject], beside, now, |learners| {
                let learner = learners.first_mut().ok_or(ConsentError::UnknownLearner)?;
                may_ask(learner, (&consent, until), &asking, &self.index, pause, now)?;
                learner.begin(consent.clone(), asking.clone(), now)?;
                Ok(consent.id.clone())
            })
            .await?;
        the(changed, &id)
    }

    /// A learner shares by themselves.
    pub async fn share(&self, new: NewShare, now: Timestamp) -> Result<Changed, ConsentError> {
        new.actor.check()?;
        let actor = new.actor.clone();
        let consent = self.draft(new, now).await?;
        let subject = consent.subject.clone();
        let (id, changed) = self
            .change(&[&subject], None, now, |learners| {
                let learner = learners.first_mut().ok_or(ConsentError::UnknownLearner)?;
                let asking = Actor::of(Role::Learner, &consent.method);
                let at = learner.begin(consent.clone(), asking, now)?;
                give(learner, at, &actor, now, now)?;
                Ok(consent.id.clone())
            })
            .await?;
        the(changed, &id)
    }

    /// A decision about one consent.
    pub async fn decide(&self, id: &ConsentId, new: &NewEvent, now: Timestamp) -> Result<Changed, ConsentError> {
        new.actor.check()?;
        if let Some(time) = new.time.filter(|time| *time > now) {
            return Err(ConsentError::Future(time));
        }
        let found = self.get(id).await?;
        // An intermediary speaks for the learner, never for the holder.
        if new.actor.role == Role::Holder && !self.is_held_here(&found) {
            return Err(Illegal::NotTheirs(Role::Holder, new.event.act()).into());
        }
        let subject = found.consent.subject;
        let (_, changed) = self
            .change(&[&subject], None, now, |learners| {
                let learner = learners.first_mut().ok_or(ConsentError::Unknown)?;
                let at = learner.find(id).ok_or(ConsentError::Unknown)?;
                self.take(learner, at, new, now)
            })
            .await?;
        self.reset_stalled_after(&changed, now).await;
        the(changed, id)
    }

    fn take(&self, learner: &mut Learner, at: usize, new: &NewEvent, now: Timestamp) -> Result<(), ConsentError> {
        let stored = learner.stored(at).ok_or(ConsentError::Unknown)?;
        let (act, actor) = (new.event.act(), new.actor.clone());
        // Whoever has to sign with the learner does so there.
        if act == Act::Give && waits_at_holder(stored) {
            return Err(Illegal::Twice(Role::Guardian).into());
        }
        let (last, until, length) = (stored.last(), stored.ends(), stored.consent.length());
        let time = match (new.time, act) {
            (Some(time), _) => time,
            // No clock that went backwards keeps a learner from saying no.
            (None, Act::Withdraw | Act::Refuse) => not_before(now, last),
            (None, _) => now,
        };
        if act == Act::Give && stored.state.is_open() {
            if now >= stored.until {
                return Err(ConsentError::Lapsed(stored.until));
            }
            return give(learner, at, &actor, time, now);
        }
        let step = Step::new(act, actor, time, now).because(new.event.cause(new.actor.role));
        let step = match act {
            Act::Reaffirm => {
                if now >= until {
                    return Err(ConsentError::Lapsed(until));
                }
                // A yes said again is one to what was said before, and that was for so long.
                step.until(now.plus(length).max(until))
            }
            _ => step,
        };
        learner.step(at, step).map(drop)
    }

    /// Ends a learner's consents: all of them, or those that name one recipient, which end for all whom they name: a withdrawal must not leave
    /// more open than was asked for, and who is to go on is asked for anew (GDPR art. 7(3)). What waits for a second signature is refused, or somebody else could
    /// bring it into force afterwards. The live index is closed first; the answer is given when it is committed and every running stream has
    /// confirmed.
    pub async fn withdraw(
        &self,
        subject: &str,
        recipient: Option<&ParticipantId>,
        now: Timestamp,
    ) -> Result<Acknowledgement, ConsentError> {
        let actor = Actor::of(Role::Learner, "holder");
        let concerned = |stored: &Stored| {
            let theirs = recipient.is_none_or(|recipient| stored.consent.recipients.contains(recipient));
            no_to(stored.state).filter(|_| theirs)
        };
        // Whoever has nothing to take back leaves no trace here, not even a salt.
        if !self
            .list(Some(subject))
            .await?
            .iter()
            .any(|stored| concerned(stored).is_some())
        {
            return Err(ConsentError::NothingToWithdraw);
        }
        let (_, changed) = self
            .change(&[subject], None, now, |learners| {
                let learner = learners.first_mut().ok_or(ConsentError::NothingToWithdraw)?;
                let mut any = false;
                for at in 0..learner.records.len() {
                    let found = learner.stored(at).map(|stored| (concerned(stored), stored.last()));
                    let Some((Some(act), last)) = found else {
                        continue;
                    };
                    let time = not_before(now, last);
                    learner.step(at, Step::new(act, actor.clone(), time, now))?;
                    any = true;
                }
                if any {
                    Ok(())
                } else {
                    Err(ConsentError::NothingToWithdraw)
                }
            })
            .await?;
        self.reset_stalled();
        let ended = changed.iter().find_map(|one| one.ended.clone());
        let ended = ended.unwrap_or_else(|| {
            // Nothing of it was in force in the index: every stream is as far as it is.
            let (epoch, streams) = self.index.confirm(subject, now);
            Ended { epoch, streams }
        });
        Ok(Acknowledgement {
            unconfirmed: self.elsewhere(&changed),
            ..acknowledgement(subject, &changed, ended, now)
        })
    }

    /// Who else holds the records of what changed here.
    fn elsewhere(&self, changed: &[Changed]) -> Vec<ParticipantId> {
        let kept = changed.iter().filter(|one| !self.is_held_here(&one.stored));
        let holders: BTreeSet<&ParticipantId> = kept.map(|one| &one.stored.consent.holder).collect();
        holders.into_iter().cloned().collect()
    }

    /// A peer that stops reading would otherwise keep what was handed over before the withdrawal waiting in our buffers.
    pub(super) fn reset_stalled(&self) {
        let mut watched = self.index.progress();
        if watched.is_empty() {
            return;
        }
        tokio::spawn(async move {
            while !watched.is_empty() {
                tokio::time::sleep(STALL).await;
                reset_unmoved(&mut watched);
            }
        });
    }

    /// The same where a change took away something that could leave before: what ended, or another basis, which yields to what was said.
    pub(super) async fn reset_stalled_after(&self, changed: &[Changed], now: Timestamp) {
        let records: Vec<&Stored> = changed.iter().map(|one| &one.stored).collect();
        let ended = changed.iter().any(|one| one.ended.is_some());
        // The change is made: in doubt it took something away.
        if ended || self.keep_something_back(&records, now).await.unwrap_or(true) {
            self.reset_stalled();
        }
    }
}

/// How a learner says no to a consent that they have said yes to, or somebody with them; none where there is no yes.
const fn no_to(state: State) -> Option<Act> {
    match state {
        State::Given => Some(Act::Withdraw),
        State::PendingSecond | State::PendingLearner => Some(Act::Refuse),
        _ => None,
    }
}

/// What is told of the end of consents, or of an act that changed none and stopped something all the same.
pub(super) fn acknowledgement(subject: &str, changed: &[Changed], ended: Ended, now: Timestamp) -> Acknowledgement {
    let mut consents: Vec<ConsentId> = changed.iter().map(|one| one.stored.consent.id.clone()).collect();
    consents.sort();
    let named = changed.iter().flat_map(|one| &one.stored.consent.recipients);
    let recipients: BTreeSet<&ParticipantId> = named.collect();
    Acknowledgement {
        subject: subject.to_owned(),
        consents,
        recipients: recipients.into_iter().cloned().collect(),
        at: now,
        epoch: ended.epoch,
        streams: ended.streams,
        unconfirmed: Vec::new(),
    }
}

/// The one that was asked about.
fn the(changed: Vec<Changed>, id: &ConsentId) -> Result<Changed, ConsentError> {
    let found = changed.into_iter().find(|one| one.stored.consent.id == *id);
    found.ok_or(ConsentError::Unknown)
}

/// Enters what a learner gave on paper or elsewhere.
fn enter_one(
    learners: &mut [Learner],
    consent: &Consent,
    signed_by: &[Actor],
    now: Timestamp,
) -> Result<ConsentId, ConsentError> {
    let learner = learners.iter_mut().find(|learner| learner.subject == consent.subject);
    let learner = learner.ok_or(ConsentError::UnknownLearner)?;
    let at = learner.begin(consent.clone(), Actor::of(Role::Holder, &consent.method), now)?;
    let on_paper = Actor {
        evidence: Some(consent.evidence.clone()),
        ..Actor::of(Role::Learner, &consent.method)
    };
    // Without other names it is the learner's own signature that the operator vouches for.
    let alone = [on_paper];
    let signers = if signed_by.is_empty() { &alone } else { signed_by };
    for signer in signers {
        give(learner, at, signer, now, now)?;
    }
    Ok(consent.id.clone())
}

/// The participant that asks with a signed message.
pub(super) fn asking(new: &NewRequest) -> Actor {
    Actor {
        id: Some(new.requested_by.to_string()),
        evidence: Some(new.evidence.clone()),
        ..Actor::of(Role::Consumer, "consent-request")
    }
}

/// Somebody says yes; once all have whose word it takes, what it takes the place of ends.
pub(super) fn give(
    learner: &mut Learner,
    at: usize,
    actor: &Actor,
    time: Timestamp,
    now: Timestamp,
) -> Result<(), ConsentError> {
    let state = learner.step(at, Step::new(Act::Give, actor.clone(), time, now))?;
    match state {
        State::Given => learner.supersede(at, actor, now),
        _ => Ok(()),
    }
}

/// Whether a participant may ask for this now, until then if an end was named.
fn may_ask(
    learner: &Learner,
    (consent, until): (&Consent, Option<Timestamp>),
    asking: &Actor,
    index: &Index,
    pause: Duration,
    now: Timestamp,
) -> Result<(), ConsentError> {
    let mut open = 0;
    for known in learner.all() {
        let first = known.events.first().map(|event| &event.actor);
        let theirs = first == Some(&asking.id);
        if theirs && known.is_waiting(now) {
            open += 1;
        }
        if !known.consent.is_about_the_same_use_as(consent) {
            continue;
        }
        let same = known.consent.is_about_the_same_as(consent) && known.consent.notice == consent.notice;
        if theirs && known.is_waiting(now) && same {
            return Err(ConsentError::AlreadyAsked(known.consent.id.clone()));
        }
        let again = known.since().plus(pause);
        // Who took it back has said no as well.
        if matches!(known.state, State::Refused | State::Withdrawn) && now < again {
            return Err(ConsentError::TooSoon(again));
        }
        let used_up = || known.consent.max_count.is_some() && index.is_used_up(&known.consent.id);
        // The end that every consent has without another is later with each moment: nobody asks for more by it.
        let longer = until.is_some_and(|until| until > known.ends());
        if known.is_in_force(now) && known.consent.terms_cover(consent) && !longer && !used_up() {
            return Err(ConsentError::AlreadyGiven(known.consent.id.clone()));
        }
    }
    match open >= MOST_OPEN {
        true => Err(ConsentError::TooManyRequests(open)),
        false => Ok(()),
    }
}
