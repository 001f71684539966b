//! Consents that an intermediary keeps for a learner: it and the holder each have a record of one id, and what is said at one place is entered
//! at the other. Who may say so was decided before, by `exchange`.

use super::{
    ConsentError, Consents,
    change::Beside,
    decide::{asking, give},
    learner::{Learner, Step},
    not_before,
    record::{Actor, Cause, ConsentId, Event, NewRequest, Stored},
    state::{Act, Illegal, Role, State},
};
use crate::dsp::ParticipantId;
use policy::Timestamp;

/// Where something was said: how a step that was taken there is marked here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consent) enum Site {
    /// At the holder.
    Holder,
    /// At the intermediary.
    Intermediary,
}

impl Site {
    /// The method of the step.
    const fn method(self) -> &'static str {
        match self {
            Self::Holder => "holder",
            Self::Intermediary => "intermediary",
        }
    }
}

/// What a learner decided at an intermediary about what was asked for there.
pub(in crate::consent) struct Decided {
    /// The intermediary's id of it, which becomes the holder's.
    pub(in crate::consent) id: ConsentId,
    /// The intermediary.
    pub(in crate::consent) via: ParticipantId,
    /// Yes or no.
    pub(in crate::consent) given: bool,
    /// As whom they said no. A yes counts as the learner's alone, whoever else has signed there.
    pub(in crate::consent) by: Option<Role>,
    /// To what.
    pub(in crate::consent) request: NewRequest,
    /// Hash of the intermediary's receipt.
    pub(in crate::consent) evidence: String,
}

/// Where a consent stands at the other place, and who brought it there.
pub(in crate::consent) struct Word {
    /// Where that was said.
    pub(in crate::consent) at: Site,
    /// Where it stands there.
    pub(in crate::consent) state: State,
    /// As whom they spoke, where a receipt says that.
    pub(in crate::consent) by: Option<Role>,
    /// What proves it.
    pub(in crate::consent) evidence: String,
}

impl Word {
    /// The step that brings `stored` there likewise; none where it stands there already, or has ended.
    fn step(&self, stored: &Stored, now: Timestamp) -> Option<Step> {
        let side = |otherwise| on_learners_side(self.by, otherwise);
        let (act, role, cause) = match (stored.state, self.state) {
            (state, _) if state.is_terminal() => return None,
            // Once: when it comes again, it is older than what was said since.
            (State::Given, State::PendingSecond) if asked_at_holder(stored).is_none() => {
                (Act::Request, Role::Holder, None)
            }
            (State::PendingSecond, State::Given) if waits_at_holder(stored) => (Act::Give, side(Role::Guardian), None),
            (_, state) if !state.is_terminal() => return None,
            // Whatever ended it there: here it was never in force, and nobody is to give it any more.
            (state, _) if state.is_open() => (Act::Refuse, side(Role::Learner), None),
            (_, State::Expired) => (Act::Expire, Role::Holder, Some(Cause::PeriodEnded)),
            (_, State::Superseded) => (Act::Expire, Role::Holder, None),
            (_, State::Revoked | State::Invalidated) => (Act::Revoke, Role::Holder, Some(Cause::HolderDecided)),
            _ => (Act::Withdraw, side(Role::Learner), None),
        };
        let actor = said(role, self.at, &self.evidence);
        Some(Step::new(act, actor, not_before(now, stored.last()), now).because(cause))
    }
}

/// Whoever spoke on the learner's side, where that is known.
fn on_learners_side(by: Option<Role>, otherwise: Role) -> Role {
    by.filter(|by| by.is_learners_side()).unwrap_or(otherwise)
}

/// Which step of what an intermediary keeps is the holder's, to ask whoever has to sign with the learner: the first step only asks the learner.
fn asked_at_holder(stored: &Stored) -> Option<usize> {
    let asks = |event: &Event| event.fact.act == Act::Request;
    stored.events.iter().rposition(asks).filter(|step| *step > 0)
}

/// The learner has given it at an intermediary, and at the holder somebody has to sign with them.
pub(super) fn waits_at_holder(stored: &Stored) -> bool {
    stored.state == State::PendingSecond && asked_at_holder(stored).is_some_and(|step| step + 1 == stored.events.len())
}

/// It is given because whoever has to sign with the learner has done so at the holder: the holder need not be told.
pub(super) fn was_given_at_holder(stored: &Stored) -> bool {
    stored.state == State::Given && asked_at_holder(stored).is_some_and(|step| step + 2 == stored.events.len())
}

fn said(role: Role, at: Site, evidence: &str) -> Actor {
    Actor {
        evidence: Some(evidence.to_owned()),
        ..Actor::of(role, at.method())
    }
}

impl Consents {
    /// Holder: enters what a learner decided at an intermediary, with `beside` or not at all. Whose word it takes is decided by what is known
    /// of the learner here: of a minor it waits for the guardian's.
    pub(in crate::consent) async fn adopt(
        &self,
        decided: Decided,
        beside: &Beside,
        now: Timestamp,
    ) -> Result<(), ConsentError> {
        let asking = asking(&decided.request);
        let mut consent = self.draft_with(decided.request, Some(beside), now).await?;
        consent.id = decided.id;
        consent.via = Some(decided.via);
        let learners_word = said(Role::Learner, Site::Intermediary, &decided.evidence);
        let no = said(
            on_learners_side(decided.by, Role::Learner),
            Site::Intermediary,
            &decided.evidence,
        );
        let subject = consent.subject.clone();
        let (_, changed) = self
            .change(&[&subject], Some(beside), now, |learners| {
                let learner = learners.first_mut().ok_or(ConsentError::UnknownLearner)?;
                if let Some(at) = learner.find(&consent.id) {
                    return again(learner, at, &learners_word, consent.expires, now);
                }
                let at = learner.begin(consent.clone(), asking.clone(), now)?;
                match decided.given {
                    true => give(learner, at, &learners_word, now, now),
                    false => learner
                        .follow(at, Step::new(Act::Refuse, no.clone(), now, now))
                        .map(drop),
                }
            })
            .await?;
        self.reset_stalled_after(&changed, now).await;
        Ok(())
    }

    /// Brings a record to where the other place's stands: to its end, or to wait for who has to sign with the learner at the holder and on from
    /// there. What has ended already stays as it is.
    pub(in crate::consent) async fn do_likewise(
        &self,
        id: &ConsentId,
        word: &Word,
        beside: Option<&Beside>,
        now: Timestamp,
    ) -> Result<(), ConsentError> {
        let subject = self.get(id).await?.consent.subject;
        let (_, changed) = self
            .change(&[&subject], beside, now, |learners| {
                let learner = learners.first_mut().ok_or(ConsentError::Unknown)?;
                let at = learner.find(id).ok_or(ConsentError::Unknown)?;
                let step = learner.stored(at).and_then(|stored| word.step(stored, now));
                step.map_or(Ok(()), |step| learner.follow(at, step).map(drop))
            })
            .await?;
        self.reset_stalled_after(&changed, now).await;
        Ok(())
    }
}

/// The learner says yes once more to what is recorded: only a later end makes a difference.
fn again(learner: &mut Learner, at: usize, word: &Actor, until: Timestamp, now: Timestamp) -> Result<(), ConsentError> {
    let stored = learner.stored(at).ok_or(ConsentError::Unknown)?;
    if stored.state.is_terminal() {
        return Err(Illegal::Ended(stored.state).into());
    }
    if stored.state != State::Given || until <= stored.until {
        return Ok(());
    }
    if now >= stored.ends() {
        return Err(ConsentError::Lapsed(stored.ends()));
    }
    let step = Step::new(Act::Reaffirm, word.clone(), now, now).until(until);
    learner.step(at, step).map(drop)
}
