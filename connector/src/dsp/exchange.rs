//! How one side of a process moves: the acknowledged state, the messages it has originated and not yet seen acknowledged,
//! and the rules that keep both sides from ever disagreeing. Pure.
//!
//! DSP moves a state on *message and acknowledgement*, so lost acknowledgements and crossing messages can split the parties. Four rules
//! prevent it (each is marked below):
//! R1 a message is never abandoned, only acknowledged or refused;
//! R2 a message already seen gets the same answer again and changes nothing (kept by [`crate::process`], which knows message ids);
//! R3 a message that is legal only after my unacknowledged one counts as its acknowledgement;
//! R4 while my termination is unacknowledged I refuse everything but termination.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt::{Debug, Display};

/// The part a connector plays in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Offers the data.
    Provider,
    /// Asks for the data.
    Consumer,
}

impl Role {
    /// The role of the other side.
    pub fn other(self) -> Self {
        match self {
            Self::Provider => Self::Consumer,
            Self::Consumer => Self::Provider,
        }
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Provider => "provider",
            Self::Consumer => "consumer",
        })
    }
}

/// One of the two protocols: its states, its steps, and which step leads where.
pub trait Machine {
    /// A state in which both sides can be.
    type State: Copy + Eq + Debug + Display + Serialize + DeserializeOwned + Send + Sync;
    /// A kind of message that moves the state.
    type Step: Copy + Eq + Debug + Display + Serialize + DeserializeOwned + Send + Sync;
    /// The step that ends a process from either side.
    const TERMINATE: Self::Step;

    /// The state after `sender` sent `step` in state `from` (`None`: the process does not exist yet), if that is legal.
    fn next(from: Option<Self::State>, sender: Role, step: Self::Step) -> Option<Self::State>;

    /// Nothing may follow this state.
    fn is_terminal(state: Self::State) -> bool;
}

/// Why a step was not taken. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The step is not legal in this state.
    #[error("{step} from the {sender} is not possible in state {state}")]
    Illegal {
        /// Who sent it.
        sender: Role,
        /// What was sent.
        step: String,
        /// The state as DSP writes it, or `none`.
        state: String,
    },
    /// R4: this side has terminated and waits for the acknowledgement.
    #[error("this side has terminated the process")]
    Terminating,
}

/// Where one side stands in a process.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Position<M: Machine> {
    /// The last state known to be shared; `None` until the first message is acknowledged.
    pub state: Option<M::State>,
    /// Steps that this side originated and that are neither acknowledged nor refused, oldest first (R1).
    pub pending: Vec<M::Step>,
}

impl<M: Machine> Clone for Position<M> {
    fn clone(&self) -> Self {
        Self { state: self.state, pending: self.pending.clone() }
    }
}

impl<M: Machine> PartialEq for Position<M> {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state && self.pending == other.pending
    }
}

impl<M: Machine> Debug for Position<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} pending {:?}", self.state, self.pending)
    }
}

impl<M: Machine> Default for Position<M> {
    fn default() -> Self {
        Self { state: None, pending: Vec::new() }
    }
}

impl<M: Machine> Position<M> {
    /// No further step can happen on this side.
    pub fn is_terminal(&self) -> bool {
        self.state.is_some_and(M::is_terminal)
    }

    /// The state once everything pending is acknowledged.
    fn settled(&self, me: Role) -> Option<M::State> {
        self.pending.iter().fold(self.state, |state, step| M::next(state, me, *step).or(state))
    }

    /// This side decides to send `step`: it becomes pending.
    pub fn originate(&self, me: Role, step: M::Step) -> Result<Self, Refused> {
        if self.pending.contains(&M::TERMINATE) {
            return Err(Refused::Terminating);
        }
        if M::next(self.settled(me), me, step).is_none() {
            return Err(illegal::<M>(self.settled(me), me, step));
        }
        let mut after = self.clone();
        after.pending.push(step);
        Ok(after)
    }

    /// The other side acknowledged `step`. Unknown or superseded steps change nothing.
    pub fn acknowledged(&self, me: Role, step: M::Step) -> Self {
        let mut after = self.clone();
        if let Some(at) = after.pending.iter().position(|pending| *pending == step) {
            after.pending.remove(at);
            after.enter(M::next(self.state, me, step).or(self.state), me);
        }
        after
    }

    /// The other side refused `step` for good. The state stays, except that a refused termination still closes this side: access
    /// ends whatever the peer says.
    pub fn refused(&self, me: Role, step: M::Step) -> Self {
        if step == M::TERMINATE {
            return self.acknowledged(me, step);
        }
        let mut after = self.clone();
        after.pending.retain(|pending| *pending == M::TERMINATE);
        after
    }

    /// The other side sent `step`, seen for the first time.
    pub fn receive(&self, me: Role, step: M::Step) -> Result<Self, Refused> {
        let sender = me.other();
        if step != M::TERMINATE && self.pending.contains(&M::TERMINATE) {
            return Err(Refused::Terminating); // R4
        }
        let mut assumed = self.clone();
        loop {
            if let Some(next) = M::next(assumed.state, sender, step) {
                assumed.enter(Some(next), me);
                return Ok(assumed);
            }
            if assumed.pending.is_empty() {
                return Err(illegal::<M>(self.state, sender, step));
            }
            // R3: the peer can only say this after it took my oldest pending step.
            let mine = assumed.pending.remove(0);
            assumed.state = M::next(assumed.state, me, mine).or(assumed.state);
        }
    }

    /// Takes a state and drops the pending steps that it has overtaken.
    fn enter(&mut self, state: Option<M::State>, me: Role) {
        self.state = state;
        let mut reached = state;
        self.pending.retain(|step| match M::next(reached, me, *step) {
            Some(next) => {
                reached = Some(next);
                true
            }
            None => false,
        });
    }
}

fn illegal<M: Machine>(state: Option<M::State>, sender: Role, step: M::Step) -> Refused {
    Refused::Illegal {
        sender,
        step: step.to_string(),
        state: state.map_or_else(|| "none".to_owned(), |state| state.to_string()),
    }
}
