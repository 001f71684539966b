//! How one side of a process moves: the acknowledged state, the messages it has originated and not yet seen acknowledged,
//! and the rules that keep both sides from ever disagreeing. Pure.
//!
//! DSP moves a state on *message and acknowledgement*, so lost acknowledgements and crossing messages can split the parties. Six rules
//! prevent it (each is marked below); the search in `exchange/model.rs` runs this code through every loss, delay and crossing:
//! R1 a message is never abandoned: it waits in the outbox until it is acknowledged, refused or overtaken, and only the oldest of a
//!    process is on its way. The outbox holds exactly the pending steps: what leaves `pending` leaves the outbox in the same commit;
//! R2 an answer is final: a message already answered, accepted *or refused*, gets the same answer again and changes nothing (kept by
//!    [`crate::process`], which knows message ids);
//! R3 a message that is legal after my oldest unacknowledged one counts as its acknowledgement;
//! R4 while my termination is unacknowledged I refuse everything but termination;
//! R5 when messages cross, the provider's stands: while a step of its own is unacknowledged, the provider refuses what does not follow
//!    from it, and the consumer answers *not yet* ([`Refused::NotYet`], to be tried again) until its own step is decided. Termination
//!    crosses everything. So nothing of mine becomes stale on its way: my state rests until the peer has decided on it;
//! R6 a peer that sends no message ids is known again by its last body alone, until a message of mine that set out after the answer is
//!    acknowledged; where an equal body may as well be news, the answer is *not yet* until my own step is decided. This holds as long as
//!    no copy arrives after its sender has read the answer. Ids need no such channel, and without them no rule does without it.
//!
//! Each message names as `prev` the last one that its sender accepted or had acknowledged when it set out. With the rules in force an
//! accepted message follows the receiver's head, or the receiver's own message on its way; and at rest `prev` leads from each head
//! back over everything that was accepted. Both heads are equal then, with one exception: when two terminations cross, each side's
//! head is the other's. A peer may keep other rules, so `prev` is evidence, never a reason to refuse.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt::{Debug, Display};
use utoipa::ToSchema;

/// The part a connector plays in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
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
    /// The state that it leads to.
    const TERMINATED: Self::State;

    /// The state after `sender` sent `step` in state `from` (`None`: the process does not exist yet), if that is legal.
    fn next(from: Option<Self::State>, sender: Role, step: Self::Step) -> Option<Self::State>;

    /// Whether this is only tolerated from peers and never sent by us, although [`next`](Self::next) allows it.
    fn only_tolerated(_from: Option<Self::State>, _sender: Role, _step: Self::Step) -> bool {
        false
    }

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
    /// R5: a message of the provider is on its way and stands first.
    #[error("the message crossed one of the provider, which stands")]
    Crossed,
    /// R5: the consumer cannot tell before its own message is decided. Not final and never remembered: the sender tries again.
    #[error("a message of the consumer is still undecided; try again")]
    NotYet,
}

impl Refused {
    /// Whether the same message can be accepted later, so that the answer must not count as its fate.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::NotYet)
    }
}

/// Where one side stands in a process.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Position<M: Machine> {
    /// The last state known to be shared; `None` until the first message is acknowledged.
    pub state: Option<M::State>,
    /// Steps that this side originated and whose fate it does not know, oldest first (R1), by the numbers of their messages. Each is
    /// legal after the one before it.
    pub pending: Vec<(u64, M::Step)>,
}

impl<M: Machine> Clone for Position<M> {
    fn clone(&self) -> Self {
        Self {
            state: self.state,
            pending: self.pending.clone(),
        }
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
        Self {
            state: None,
            pending: Vec::new(),
        }
    }
}

impl<M: Machine> Position<M> {
    /// No further step can happen on this side.
    pub fn is_terminal(&self) -> bool {
        self.state.is_some_and(M::is_terminal)
    }

    /// The state once everything pending is acknowledged: what this side wants. Data may flow only where this and
    /// [`state`](Self::state) (or a start that is still pending) say so.
    pub fn intended(&self, me: Role) -> Option<M::State> {
        self.pending
            .iter()
            .fold(self.state, |state, (_, step)| M::next(state, me, *step).or(state))
    }

    /// Whether the fate of the message with this number is still open.
    pub fn awaits(&self, number: u64) -> bool {
        self.pending.iter().any(|(pending, _)| *pending == number)
    }

    /// The numbers that were pending in `before` and are no more: their messages leave the outbox (R1).
    pub fn left_since(&self, before: &Self) -> impl Iterator<Item = u64> {
        before
            .pending
            .iter()
            .map(|(number, _)| *number)
            .filter(|number| !self.awaits(*number))
    }

    fn is_terminating(&self) -> bool {
        self.pending.iter().any(|(_, step)| *step == M::TERMINATE)
    }

    /// This side decides to send `step` in its message `number`, which is higher than any before: it becomes pending.
    pub fn originate(&self, me: Role, number: u64, step: M::Step) -> Result<Self, Refused> {
        if self.is_terminating() {
            return Err(Refused::Terminating);
        }
        let from = self.intended(me);
        if M::next(from, me, step).is_none() || M::only_tolerated(from, me, step) {
            return Err(illegal::<M>(from, me, step));
        }
        let mut after = self.clone();
        after.pending.push((number, step));
        Ok(after)
    }

    /// The other side acknowledged message `number`. One that is not pending any more changes nothing.
    pub fn acknowledged(&self, me: Role, number: u64) -> Self {
        match self.pending.iter().find(|(pending, _)| *pending == number) {
            Some((_, step)) => self.enter(M::next(self.state, me, *step).or(self.state), Some(number), me),
            None => self.clone(),
        }
    }

    /// The other side refused message `number` for good. The state stays and what built on that message is dropped, except that a
    /// refused opening or termination closes this side: access ends whatever the peer says.
    pub fn refused(&self, me: Role, number: u64) -> Self {
        match self.pending.iter().find(|(pending, _)| *pending == number) {
            Some((_, step)) if *step == M::TERMINATE || self.state.is_none() => {
                self.enter(Some(M::TERMINATED), Some(number), me)
            }
            Some(_) => self.enter(self.state, Some(number), me),
            None => self.clone(),
        }
    }

    /// The other side sent `step`, seen for the first time.
    pub fn receive(&self, me: Role, step: M::Step) -> Result<Self, Refused> {
        let sender = me.other();
        if step != M::TERMINATE && self.is_terminating() {
            return Err(Refused::Terminating); // R4
        }
        if let Some((oldest, mine)) = self.pending.first()
            && let Some(between) = M::next(self.state, me, *mine)
            && let Some(next) = M::next(Some(between), sender, step)
        {
            return Ok(self.enter(Some(next), Some(*oldest), me)); // R3
        }
        let Some(next) = M::next(self.state, sender, step) else {
            return Err(illegal::<M>(self.state, sender, step));
        };
        match me {
            _ if self.pending.is_empty() || step == M::TERMINATE => Ok(self.enter(Some(next), None, me)),
            Role::Provider => Err(Refused::Crossed), // R5
            Role::Consumer => Err(Refused::NotYet),  // R5
        }
    }

    /// R6: the number of the first message that sets out after a message of the peer was answered just now, given how many were sent.
    pub fn sets_out_next(&self, accepted: bool, sent: u64) -> u64 {
        match self.pending.first() {
            None => sent,
            // What stood before an accepted message was decided by it; what stands before a refused one is on its way already.
            Some((oldest, _)) => oldest + u64::from(!accepted),
        }
    }

    /// R6: whether a body equal to the last one is a repetition of it. That one was answered before message `since` set out;
    /// `acknowledged` is one more than the number of the newest message that the peer has acknowledged.
    pub fn repeats(
        &self,
        me: Role,
        step: M::Step,
        accepted: bool,
        since: u64,
        acknowledged: u64,
    ) -> Result<bool, Refused> {
        if acknowledged > since {
            return Ok(false);
        }
        if accepted && !self.pending.is_empty() && self.receive(me, step).is_ok() {
            return Err(Refused::NotYet);
        }
        Ok(true)
    }

    /// This position in `state`, without message `decided` and without pending steps that are not possible any more. Those were never
    /// sent, because only the oldest is, or the process is over.
    fn enter(&self, state: Option<M::State>, decided: Option<u64>, me: Role) -> Self {
        let (mut reached, mut pending) = (state, Vec::new());
        for (number, step) in &self.pending {
            if Some(*number) != decided
                && let Some(next) = M::next(reached, me, *step)
            {
                reached = Some(next);
                pending.push((*number, *step));
            }
        }
        Self { state, pending }
    }
}

fn illegal<M: Machine>(state: Option<M::State>, sender: Role, step: M::Step) -> Refused {
    Refused::Illegal {
        sender,
        step: step.to_string(),
        state: state.map_or_else(|| "none".to_owned(), |state| state.to_string()),
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
