//! The states of a consent and the steps between them, as a pure function. Nothing here knows a store, a clock or a law: who must sign
//! together is handed in as [`Rule`], and whether somebody has the powers that they claim was decided before (`law`).

mod english;

pub use english::{Afterwards, Instead, Whose};

use policy::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a consent stands. Only [`State::Given`] permits anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ConsentState)]
pub enum State {
    /// Somebody asks for it.
    Requested,
    /// The learner wants to decide later.
    Deferred,
    /// The learner has signed; who must sign with them has not.
    PendingSecond,
    /// Who must sign with the learner has signed; the learner has not.
    PendingLearner,
    /// It is in force.
    Given,
    /// It was refused.
    Refused,
    /// The learner took it back, or somebody with the power to.
    Withdrawn,
    /// Its time is over.
    Expired,
    /// The holder ended it.
    Revoked,
    /// It was found not to have been valid, by an authority or for a faulty notice.
    Invalidated,
    /// A newer consent of the learner about the same took its place.
    Superseded,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Requested,
        Self::Deferred,
        Self::PendingSecond,
        Self::PendingLearner,
        Self::Given,
        Self::Refused,
        Self::Withdrawn,
        Self::Expired,
        Self::Revoked,
        Self::Invalidated,
        Self::Superseded,
    ];

    /// It is still to be decided.
    pub const fn is_open(self) -> bool {
        matches!(
            self,
            Self::Requested | Self::Deferred | Self::PendingSecond | Self::PendingLearner
        )
    }

    /// Nothing leads out of it.
    pub const fn is_terminal(self) -> bool {
        !self.is_open() && !matches!(self, Self::Given)
    }

    /// The term of DPV 2.3 that a record shows for it.
    pub const fn dpv(self) -> &'static str {
        match self {
            Self::Requested | Self::PendingSecond | Self::PendingLearner => "dpv:ConsentRequested",
            Self::Deferred => "dpv:ConsentRequestDeferred",
            Self::Given => "dpv:ConsentGiven",
            Self::Refused => "dpv:ConsentRefused",
            Self::Withdrawn => "dpv:ConsentWithdrawn",
            Self::Expired | Self::Superseded => "dpv:ConsentExpired",
            Self::Revoked => "dpv:ConsentRevoked",
            Self::Invalidated => "dpv:ConsentInvalidated",
        }
    }
}

/// What happens to a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ConsentAct)]
pub enum Act {
    /// It is asked for.
    Request,
    /// Later.
    Defer,
    /// Yes.
    Give,
    /// No.
    Refuse,
    /// Still yes, for as long again.
    Reaffirm,
    /// No more.
    Withdraw,
    /// Its time is over.
    Expire,
    /// The holder ends it.
    Revoke,
    /// It was not valid.
    Invalidate,
    /// A newer one takes its place.
    Supersede,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Request,
        Self::Defer,
        Self::Give,
        Self::Refuse,
        Self::Reaffirm,
        Self::Withdraw,
        Self::Expire,
        Self::Revoke,
        Self::Invalidate,
        Self::Supersede,
    ];
}

/// As whom somebody acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ActorRole)]
pub enum Role {
    /// The learner: GDPR's data subject.
    Learner,
    /// A holder of parental authority.
    Guardian,
    /// Who acts for or with an adult learner, by a mandate or a measure of protection.
    Delegate,
    /// The holder of the records, a controller.
    Holder,
    /// A participant that wants to receive records.
    Consumer,
    /// A supervisory authority.
    Authority,
    /// Nobody: time has passed.
    Clock,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Learner,
        Self::Guardian,
        Self::Delegate,
        Self::Holder,
        Self::Consumer,
        Self::Authority,
        Self::Clock,
    ];

    /// Speaks on the learner's side.
    pub const fn is_learners_side(self) -> bool {
        matches!(self, Self::Learner | Self::Guardian | Self::Delegate)
    }
}

/// Whose word makes a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The learner's, or that of a delegate who represents them.
    Alone,
    /// The learner's together with one guardian's or assisting delegate's.
    Joint,
}

/// Why a step is not possible. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// What has ended does not reopen.
    #[error("this consent is {0} and does not reopen; {after}", after = Afterwards::of(*.0))]
    Ended(State),
    /// The step does not belong to this state.
    #[error("a consent that is {0} does not take the step {1}: {instead}", instead = Instead::of(*.0, *.1))]
    Step(State, Act),
    /// The step is not theirs to take.
    #[error("{0} may not take the step {1}: {whose}", whose = Whose::of(*.0, *.1))]
    NotTheirs(Role, Act),
    /// Where two must sign, one word does not prolong what both gave.
    #[error(
        "the learner does not consent alone, so nobody reaffirms alone: a new one is given, which the learner and whoever signs with them both sign"
    )]
    BothAnew,
    /// They have said so already; the other's word is missing: the learner's, or a guardian's.
    #[error("this side has signed already; the word of {0} is missing")]
    Twice(Role),
    /// It is in force already.
    #[error("this consent is given already")]
    AlreadyGiven,
    /// What happens later is not earlier: a clock went backwards.
    #[error("the step is said to be at {at}, before the one that precedes it at {last}; is the clock right?")]
    Backwards {
        /// When the step is said to happen.
        at: Timestamp,
        /// When the newest one did.
        last: Timestamp,
    },
}

/// The first step of every consent.
pub fn begin(act: Act, role: Role) -> Result<State, Illegal> {
    match (act, role) {
        (Act::Request, Role::Consumer | Role::Holder | Role::Learner) => Ok(State::Requested),
        _ => Err(Illegal::NotTheirs(role, act)),
    }
}

/// One step from `state`, whose newest step was at `last`.
pub fn step(
    state: State,
    (act, role): (Act, Role),
    rule: Rule,
    last: Timestamp,
    at: Timestamp,
) -> Result<State, Illegal> {
    if state.is_terminal() {
        return Err(Illegal::Ended(state));
    }
    if at < last {
        return Err(Illegal::Backwards { at, last });
    }
    if act == Act::Reaffirm && rule == Rule::Joint && role.is_learners_side() {
        return Err(Illegal::BothAnew);
    }
    if !may(act, role, rule) {
        return Err(Illegal::NotTheirs(role, act));
    }
    let open = state.is_open();
    match act {
        Act::Give if open => give(state, role, rule),
        Act::Give => Err(Illegal::AlreadyGiven),
        // Who has signed says so with a refusal or waits; there is nothing left to put off.
        Act::Defer if matches!(state, State::Requested | State::Deferred) => Ok(State::Deferred),
        Act::Refuse if open => Ok(State::Refused),
        // To an intermediary the learner's word was enough; the holder knows who has to sign with them.
        Act::Request if state == State::Given && role == Role::Holder => Ok(State::PendingSecond),
        Act::Reaffirm if state == State::Given => Ok(State::Given),
        Act::Withdraw if state == State::Given => Ok(State::Withdrawn),
        Act::Expire if state == State::Given => Ok(State::Expired),
        Act::Revoke if state == State::Given => Ok(State::Revoked),
        Act::Invalidate if state == State::Given => Ok(State::Invalidated),
        Act::Supersede if state == State::Given => Ok(State::Superseded),
        _ => Err(Illegal::Step(state, act)),
    }
}

/// Whether a role may take a step at all.
fn may(act: Act, role: Role, rule: Rule) -> bool {
    match act {
        // The first step, and the holder's to ask for a second signature.
        Act::Request => true,
        Act::Give | Act::Refuse | Act::Withdraw | Act::Defer => match role {
            Role::Learner | Role::Delegate => true,
            Role::Guardian => rule == Rule::Joint,
            _ => false,
        },
        // Where two must sign, one word does not prolong what both gave: it is asked for anew.
        Act::Reaffirm => rule == Rule::Alone && matches!(role, Role::Learner | Role::Delegate),
        Act::Supersede => role.is_learners_side() && (rule == Rule::Joint || role != Role::Guardian),
        // Time, or the holder who replaced the notice under which it was given.
        Act::Expire => matches!(role, Role::Clock | Role::Holder),
        Act::Revoke | Act::Invalidate => matches!(role, Role::Holder | Role::Authority),
    }
}

/// Both sides sign where the law wants both, in either order; neither stands for the other.
fn give(state: State, role: Role, rule: Rule) -> Result<State, Illegal> {
    let learner = role == Role::Learner;
    match (rule, state) {
        (Rule::Alone, _) => Ok(State::Given),
        (Rule::Joint, State::PendingSecond) if learner => Err(Illegal::Twice(Role::Guardian)),
        (Rule::Joint, State::PendingLearner) if !learner => Err(Illegal::Twice(Role::Learner)),
        (Rule::Joint, State::PendingSecond | State::PendingLearner) => Ok(State::Given),
        (Rule::Joint, _) if learner => Ok(State::PendingSecond),
        (Rule::Joint, _) => Ok(State::PendingLearner),
    }
}

#[cfg(test)]
mod tests;
