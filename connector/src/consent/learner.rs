//! A learner with all of their records while a change is decided: which steps are taken on them, by whom. Nothing is read or written here.

use super::{
    ConsentError, Pseudonyms,
    law::{Signature, Standing},
    not_before,
    record::{Actor, Cause, Consent, ConsentId, Event, EvidenceSalt, Fact, Stored},
    state::{self, Act, Illegal, Role, Rule, State},
};
use crate::store::Version;
use policy::Timestamp;
use std::time::Duration;

/// Steps that a record may have before only its end is left: what is stored and signed has a limit.
const MOST_STEPS: usize = 20;

/// One step to be taken.
pub(super) struct Step {
    act: Act,
    actor: Actor,
    time: Timestamp,
    recorded: Timestamp,
    cause: Option<Cause>,
    until: Option<Timestamp>,
    replaced_by: Option<ConsentId>,
}

impl Step {
    /// A step said to be taken at `time`, which came here `now`.
    pub(super) fn new(act: Act, actor: Actor, time: Timestamp, now: Timestamp) -> Self {
        Self {
            act,
            actor,
            time,
            // The server's own time goes forward as well.
            recorded: now.max(time),
            cause: None,
            until: None,
            replaced_by: None,
        }
    }

    pub(super) fn because(self, cause: impl Into<Option<Cause>>) -> Self {
        Self {
            cause: cause.into(),
            ..self
        }
    }

    pub(super) fn until(self, until: Timestamp) -> Self {
        Self {
            until: Some(until),
            ..self
        }
    }

    fn replaced_by(self, id: ConsentId) -> Self {
        Self {
            replaced_by: Some(id),
            ..self
        }
    }
}

/// One record of a learner, and whether a change touched it.
pub(super) struct Kept {
    pub(super) stored: Stored,
    /// At which it was read; none for a new one.
    pub(super) version: Option<Version>,
    pub(super) changed: bool,
    /// Somebody says yes to it by this change.
    pub(super) agreed: bool,
}

/// A learner as they are while a change is decided.
pub(super) struct Learner {
    pub(super) subject: String,
    pub(super) standing: Standing,
    /// It was recorded by this change, and is committed with it.
    pub(super) standing_is_new: bool,
    pub(super) records: Vec<ConsentId>,
    pub(super) kept: Vec<Kept>,
    /// How long what two gave goes on after the learner has come of age.
    pub(super) grace: Duration,
    /// Names an actor without saying who it is.
    pub(super) names: Pseudonyms,
}

impl Learner {
    /// A record by its place.
    pub(super) fn stored(&self, at: usize) -> Option<&Stored> {
        self.kept.get(at).map(|kept| &kept.stored)
    }

    /// All records.
    pub(super) fn all(&self) -> impl Iterator<Item = &Stored> {
        self.kept.iter().map(|kept| &kept.stored)
    }

    /// The place of a record.
    pub(super) fn find(&self, id: &ConsentId) -> Option<usize> {
        self.records.iter().position(|known| known == id)
    }

    /// A new record, asked for by `actor`.
    pub(super) fn begin(&mut self, consent: Consent, actor: Actor, now: Timestamp) -> Result<usize, ConsentError> {
        let state = state::begin(Act::Request, actor.role)?;
        let stored = Stored {
            until: consent.expires,
            threshold: None,
            consent,
            state,
            events: Vec::new(),
            notice_replaced: false,
            salt: EvidenceSalt::fresh()?,
            receipts: 0,
            receipt: None,
            given_receipt: None,
            withdrawal_receipt: None,
            withdrawn: None,
        };
        self.records.push(stored.consent.id.clone());
        self.kept.push(Kept {
            stored,
            version: None,
            changed: true,
            agreed: false,
        });
        let at = self.kept.len() - 1;
        let event = self.event(at, Step::new(Act::Request, actor, now, now), state)?;
        if let Some(kept) = self.kept.get_mut(at) {
            kept.stored.events.push(event);
        }
        Ok(at)
    }

    fn event(&self, at: usize, step: Step, state: State) -> Result<Event, ConsentError> {
        let stored = self.stored(at).ok_or(ConsentError::Unknown)?;
        // In another way in each consent: those who read two of them do not find out that they are one person's.
        let names = self.names.within(&stored.consent.id);
        let by = match (step.actor.role, &step.actor.id) {
            // A participant is who it says it is, and everybody may know.
            (Role::Consumer | Role::Authority, Some(id)) => Some(id.clone()),
            (Role::Holder, _) => Some(stored.consent.holder.to_string()),
            (Role::Learner, None) => Some(names.name(&self.subject)),
            (_, Some(id)) => Some(names.name(id)),
            (_, None) => None,
        };
        Ok(Event {
            fact: Fact {
                act: step.act,
                state,
                role: step.actor.role,
                time: step.time,
                recorded: step.recorded,
                method: step.actor.method,
                assurance: step.actor.assurance,
                evidence: step.actor.evidence.as_ref().map(|text| stored.salt.hash(text)),
                by,
                cause: step.cause,
                until: step.until,
                replaced_by: step.replaced_by,
                previous: stored.head()?,
            },
            actor: step.actor.id,
            proof: step.actor.evidence,
        })
    }

    /// Takes a step on a record, if it is possible and whoever takes it may.
    pub(super) fn step(&mut self, at: usize, step: Step) -> Result<State, ConsentError> {
        let stored = self.stored(at).ok_or(ConsentError::Unknown)?;
        let (act, role) = (step.act, step.actor.role);
        let rule = self.standing.rule(step.time);
        let stepped = state::step(stored.state, (act, role), rule, stored.last(), step.time);
        if matches!(stepped, Err(Illegal::NotTheirs(..))) {
            // Where a power is missing or has ended, that is why.
            self.standing.may(role, step.actor.id.as_deref(), act, step.time)?;
        }
        let state = stepped?;
        if role.is_learners_side() && act != Act::Supersede {
            self.standing.may(role, step.actor.id.as_deref(), act, step.time)?;
        }
        self.take(at, step, state)?;
        if let Some(kept) = self.kept.get_mut(at)
            && matches!(act, Act::Give | Act::Reaffirm)
        {
            kept.agreed = true;
            if state == State::Given {
                kept.stored.threshold = self.standing.holds(&kept.stored.signatures(), self.grace)?;
            }
        }
        Ok(state)
    }

    /// Takes a step that was taken elsewhere. Whose word it takes was decided there: it counts if it is possible under either rule.
    pub(super) fn follow(&mut self, at: usize, step: Step) -> Result<State, ConsentError> {
        let stored = self.stored(at).ok_or(ConsentError::Unknown)?;
        let (taken, last) = ((step.act, step.actor.role), stored.last());
        let to = |rule| state::step(stored.state, taken, rule, last, step.time);
        let state = to(Rule::Alone).or_else(|_| to(Rule::Joint))?;
        self.take(at, step, state)?;
        Ok(state)
    }

    /// Records a step that leads to `state`.
    fn take(&mut self, at: usize, step: Step, state: State) -> Result<(), ConsentError> {
        let stored = self.stored(at).ok_or(ConsentError::Unknown)?;
        if !state.is_terminal() && stored.events.len() >= MOST_STEPS {
            return Err(ConsentError::TooManySteps);
        }
        let (act, time, until) = (step.act, step.time, step.until);
        let event = self.event(at, step, state)?;
        let kept = self.kept.get_mut(at).ok_or(ConsentError::Unknown)?;
        let stored = &mut kept.stored;
        stored.until = until.unwrap_or(stored.until);
        stored.state = state;
        stored.events.push(event);
        if act == Act::Withdraw {
            stored.withdrawn = Some(time);
        }
        kept.changed = true;
        Ok(())
    }

    /// Takes over whose word counts from now on, and holds the consents in force to it: those whose signatures were not enough end, and those
    /// that rest on an age or a power end with it.
    pub(super) fn stand(&mut self, standing: Standing, now: Timestamp) -> Result<(), ConsentError> {
        self.standing = standing;
        self.standing_is_new = true;
        for at in 0..self.kept.len() {
            let given = self.stored(at).filter(|stored| stored.state == State::Given);
            let Some(stored) = given else { continue };
            let time = not_before(now, stored.last());
            let Ok(threshold) = self.standing.holds(&stored.signatures(), self.grace) else {
                let step = Step::new(Act::Invalidate, Actor::of(Role::Holder, "standing"), time, now);
                self.step(at, step.because(Cause::SignatureMissing))?;
                continue;
            };
            if threshold != stored.threshold
                && let Some(kept) = self.kept.get_mut(at)
            {
                kept.stored.threshold = threshold;
                kept.changed = true;
            }
            self.expire(at, now)?;
        }
        Ok(())
    }

    /// Ends a consent in force whose time is over.
    pub(super) fn expire(&mut self, at: usize, now: Timestamp) -> Result<(), ConsentError> {
        let Some(stored) = self.stored(at).filter(|stored| stored.state == State::Given) else {
            return Ok(());
        };
        if now < stored.ends() {
            return Ok(());
        }
        let was_minor = |signature: &Signature<'_>| self.standing.is_minor(signature.time);
        let cause = match stored.threshold.filter(|threshold| *threshold <= stored.until) {
            None => Cause::PeriodEnded,
            Some(_) if !self.standing.is_minor(now) && stored.signatures().iter().all(was_minor) => Cause::CameOfAge,
            Some(_) => Cause::PowerEnded,
        };
        let time = not_before(now, stored.last());
        let step = Step::new(Act::Expire, Actor::clock(), time, now).because(cause);
        self.step(at, step).map(drop)
    }

    /// Ends what the given consent at this place takes the place of.
    pub(super) fn supersede(&mut self, at: usize, actor: &Actor, now: Timestamp) -> Result<(), ConsentError> {
        let Some(newer) = self.stored(at).map(|stored| stored.consent.clone()) else {
            return Ok(());
        };
        for older in 0..self.kept.len() {
            let replaced = self.stored(older).is_some_and(|stored| {
                older != at && stored.state == State::Given && stored.consent.is_about_the_same_as(&newer)
            });
            if !replaced {
                continue;
            }
            let time = self.stored(older).map_or(now, |stored| not_before(now, stored.last()));
            let step = Step::new(Act::Supersede, actor.clone(), time, now).replaced_by(newer.id.clone());
            self.step(older, step)?;
        }
        Ok(())
    }

    /// What this change has ended because the consent of this id takes its place.
    pub(super) fn superseded_by(&self, id: &ConsentId) -> Vec<ConsentId> {
        let is_replaced = |stored: &Stored| {
            let last = stored.events.last().filter(|_| stored.state == State::Superseded);
            last.is_some_and(|event| event.fact.replaced_by.as_ref() == Some(id))
        };
        let changed = self.kept.iter().filter(|kept| kept.changed).map(|kept| &kept.stored);
        let replaced = changed.filter(|stored| is_replaced(stored));
        replaced.map(|stored| stored.consent.id.clone()).collect()
    }

    /// Marks a record as given under a notice that was replaced since.
    pub(super) fn flag(&mut self, at: usize) {
        if let Some(kept) = self.kept.get_mut(at) {
            kept.stored.notice_replaced = true;
            kept.changed = true;
        }
    }
}
