//! What the search holds of the two sides: where they stand, what they sent, what became of it, and their chains of `prev`.

use super::super::{Machine, Position, Role};
use std::fmt::Display;

/// Room for the messages of one side, and for the kinds of message of one protocol.
pub(super) const ROOM: usize = 8;
pub(super) const ROLES: [Role; 2] = [Role::Consumer, Role::Provider];

/// Which message, of either side. The real chain holds hashes over bodies; no two messages have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(u8);

impl Id {
    /// The `prev` of the first message.
    pub(super) const NOTHING: Self = Self(0);

    pub(super) fn of(side: usize, number: u8) -> Self {
        Self(1 + (side * ROOM) as u8 + number)
    }

    /// Whose message this is, and which of its messages.
    pub(super) fn parts(self) -> Option<(usize, usize)> {
        let at = usize::from(self.0).checked_sub(1)?;
        Some((at / ROOM, at % ROOM))
    }
}

impl Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.parts() {
            None => f.write_str("-"),
            Some((side, number)) => write!(f, "{}{number}", if side == 0 { 'c' } else { 'p' }),
        }
    }
}

/// What one side has sent and where it stands. Bit `n` of a mask is message number `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Side<S, T> {
    pub(super) state: Option<S>,
    pub(super) steps: [Option<T>; ROOM],
    pub(super) sent: u8,
    pub(super) pending: u8,
    /// Was the oldest of the outbox once: copies of it may be anywhere.
    pub(super) launched: u8,
    /// The peer has accepted it.
    pub(super) taken: u8,
    /// The peer has refused it.
    pub(super) refused: u8,
    /// The last message that this side accepted or had acknowledged (`Core::head`).
    pub(super) head: Id,
    /// What the signatures of this side's messages name as `prev`.
    pub(super) prev: [Id; ROOM],
    /// How the other side answered this side's bodies, by kind; only where this side sends no ids.
    pub(super) answered: [Option<Answered<S>>; ROOM],
    /// One more than the number of the newest message whose acknowledgement was read; only where the other side sends no ids.
    pub(super) acknowledged: u8,
}

/// What a receiver remembers of a body that it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Answered<S> {
    pub(super) accepted: bool,
    /// The number of its own first message that set out afterwards.
    pub(super) since: u8,
    /// Its state after the answer.
    pub(super) state: Option<S>,
}

/// The consumer and the provider.
pub(super) type World<M> = [Side<<M as Machine>::State, <M as Machine>::Step>; 2];

impl<S: Copy, T: Copy> Side<S, T> {
    pub(super) fn new() -> Self {
        Self {
            state: None,
            steps: [None; ROOM],
            sent: 0,
            pending: 0,
            launched: 0,
            taken: 0,
            refused: 0,
            head: Id::NOTHING,
            prev: [Id::NOTHING; ROOM],
            answered: [None; ROOM],
            acknowledged: 0,
        }
    }

    pub(super) fn position<M: Machine<State = S, Step = T>>(&self) -> Position<M> {
        let pending = (0..ROOM as u64).filter(|n| self.pending >> n & 1 == 1);
        Position {
            state: self.state,
            pending: pending.map(|n| (n, self.steps[n as usize].unwrap())).collect(),
        }
    }

    /// Stands at `position` with `head`; says which message became the oldest and so is on its way from now on.
    pub(super) fn take<M: Machine<State = S, Step = T>>(&mut self, position: &Position<M>, head: Id) -> Option<usize> {
        self.state = position.state;
        self.head = head;
        self.pending = position.pending.iter().fold(0, |mask, (n, _)| mask | 1 << n);
        let oldest = self.pending & self.pending.wrapping_neg() & !self.launched;
        self.launched |= oldest;
        (oldest != 0).then(|| oldest.trailing_zeros() as usize)
    }

    /// The steps that were sent, in order, and what they were chained to.
    pub(super) fn told(&self) -> String
    where
        T: Display,
    {
        let steps = self.steps.iter().flatten().zip(&self.prev);
        steps
            .map(|(step, prev)| format!("{step} after {prev}"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}
