//! States, steps and roles as people read them in a refusal, what can be done in place of a refused step, and whose a step is. Their French is in
//! `consent/words.rs`.

use super::{Act, Role, State};
use std::fmt;

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "requested",
            Self::Deferred => "deferred",
            Self::PendingSecond => "waiting for the guardian or delegate",
            Self::PendingLearner => "waiting for the learner",
            Self::Given => "given",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Invalidated => "invalidated",
            Self::Superseded => "superseded",
        })
    }
}

/// As the command line and the API spell it, so that who reads it can type it.
impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Defer => "defer",
            Self::Give => "give",
            Self::Refuse => "refuse",
            Self::Reaffirm => "reaffirm",
            Self::Withdraw => "withdraw",
            Self::Expire => "expire",
            Self::Revoke => "revoke",
            Self::Invalidate => "invalidate",
            Self::Supersede => "supersede",
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Learner => "the learner",
            Self::Guardian => "a guardian",
            Self::Delegate => "a delegate",
            Self::Holder => "the holder",
            Self::Consumer => "the consumer",
            Self::Authority => "an authority",
            Self::Clock => "the clock",
        })
    }
}

/// What follows the end of a consent: what has ended does not reopen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// Who said no is left in peace for a while, and may change their mind whenever they like.
    Pause,
    /// A newer one is there.
    Newer,
    /// It is asked for anew.
    Ask,
}

impl Afterwards {
    /// After the end in this state.
    pub const fn of(state: State) -> Self {
        match state {
            State::Refused | State::Withdrawn => Self::Pause,
            State::Superseded => Self::Newer,
            _ => Self::Ask,
        }
    }
}

impl fmt::Display for Afterwards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pause => {
                "a new one can be asked for once the pause after a no is over, and the learner can share unasked at any time"
            }
            Self::Newer => "a newer one took its place: decide about that one",
            Self::Ask => "a new one can be asked for",
        })
    }
}

/// What can be done in place of a step that does not belong to a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instead {
    /// What is not given yet is refused.
    Refuse,
    /// What is not given yet is given.
    Give,
    /// What is given is withdrawn.
    Withdraw,
    /// What one side has signed is signed by the other, or refused.
    Sign(Role),
    /// Nothing is in force that could end.
    Wait,
    /// It is there already.
    Nothing,
}

impl Instead {
    /// Of a step that is refused for the state alone.
    pub const fn of(state: State, act: Act) -> Self {
        match (state, act) {
            (State::Given, Act::Refuse | Act::Defer) => Self::Withdraw,
            (State::Given, _) | (_, Act::Request) => Self::Nothing,
            (_, Act::Withdraw) => Self::Refuse,
            (State::PendingSecond, Act::Defer | Act::Reaffirm) => Self::Sign(Role::Guardian),
            (State::PendingLearner, Act::Defer | Act::Reaffirm) => Self::Sign(Role::Learner),
            (_, Act::Reaffirm) => Self::Give,
            _ => Self::Wait,
        }
    }
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refuse => "nothing is given yet that could be taken back; the step refuse says no to it",
            Self::Give => "it is not given yet; the step give says yes to it",
            Self::Withdraw => "it is given; the step withdraw takes it back",
            Self::Sign(_) => "one side has signed; the other one takes the step give, or either the step refuse",
            Self::Wait => {
                "nothing is in force that could end; the learner refuses it, or it ends by itself with its time"
            }
            Self::Nothing => "it is there already",
        })
    }
}

/// Whose a step is, where it is not that of whoever takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The learner's, or of somebody who acts for them.
    Learner,
    /// The learner's, who needs no guardian.
    LearnerAlone,
    /// The holder's, or an authority's.
    Holder,
    /// The holder's, who is somebody else than this connector.
    HolderElsewhere,
    /// Whoever wants a consent asks for it.
    Asker,
    /// Time alone takes it.
    Nobody,
}

impl Whose {
    /// Of a step that this role may not take.
    pub const fn of(role: Role, act: Act) -> Self {
        match (act, role) {
            (Act::Request, _) => Self::Asker,
            (Act::Expire, _) => Self::Nobody,
            // The holder itself may: who is refused keeps the consent for another.
            (Act::Revoke | Act::Invalidate, Role::Holder) => Self::HolderElsewhere,
            (Act::Revoke | Act::Invalidate, _) => Self::Holder,
            (_, Role::Guardian) => Self::LearnerAlone,
            _ => Self::Learner,
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Learner => "it is for the learner, or for somebody with a power to act for them",
            Self::LearnerAlone => {
                "the learner consents alone; where that is not so, record from when on they do (consent learner --set)"
            }
            Self::Holder => {
                "it is for the holder or an authority; on the learner's side the step withdraw ends a consent"
            }
            Self::HolderElsewhere => "the records are held elsewhere, and it is for their holder",
            Self::Asker => "it is for the holder, the learner, or the participant that asks",
            Self::Nobody => "time alone takes it",
        })
    }
}
