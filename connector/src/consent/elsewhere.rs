//! Consents that an intermediary keeps for a learner: it and the holder each have a record of one id, and what is said at one place is entered
//! at the other. Who may say so was decided before, by `exchange`.

use super::{
    ConsentError, Consents,
    change::Beside,
    decide::{asking, give},
    learner::{Learner, Step},
    not_before,
    record::{Actor, Cause, ConsentId, NewRequest, Stored},
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
    /// To what.
    pub(in crate::consent) request: NewRequest,
    /// Hash of the intermediary's receipt.
    pub(in crate::consent) evidence: String,
}

/// That a consent has ended, and how.
pub(in crate::consent) struct Word {
    /// Where it ended.
    pub(in crate::consent) at: Site,
    /// Where it stands there.
    pub(in crate::consent) state: State,
    /// What proves it.
    pub(in crate::consent) evidence: String,
}

impl Word {
    /// The step that ends `stored` likewise; none where it has ended already.
    fn step(&self, stored: &Stored, now: Timestamp) -> Option<Step> {
        let (act, role, cause) = match (stored.state, self.state) {
            (state, _) if state.is_terminal() => return None,
            // Whatever ended it there: here it was never in force, and nobody is to give it any more.
            (state, _) if state.is_open() => (Act::Refuse, Role::Learner, None),
            (_, State::Expired) => (Act::Expire, Role::Holder, Some(Cause::PeriodEnded)),
            (_, State::Superseded) => (Act::Expire, Role::Holder, None),
            (_, State::Revoked | State::Invalidated) => (Act::Revoke, Role::Holder, Some(Cause::HolderDecided)),
            _ => (Act::Withdraw, Role::Learner, None),
        };
        let actor = said(role, self.at, &self.evidence);
        Some(Step::new(act, actor, not_before(now, stored.last()), now).because(cause))
    }
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
                        .step(at, Step::new(Act::Refuse, learners_word.clone(), now, now))
                        .map(drop),
                }
            })
            .await?;
        self.reset_stalled_after(&changed, now).await;
        Ok(())
    }

    /// Ends a record because the other place's has ended. What has ended already stays as it is.
    pub(in crate::consent) async fn end_likewise(
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
                step.map_or(Ok(()), |step| learner.step(at, step).map(drop))
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
