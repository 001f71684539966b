//! The search itself: every order in which two sides can decide, deliver and answer, and what is checked on the way.

use super::{
    super::{Machine, Position, Refused, Role},
    world::{Answered, Id, ROLES, ROOM, Side, World},
};
use std::{
    collections::{BTreeSet, HashSet},
    fmt::{Display, Write},
    hash::Hash,
    ops::RangeInclusive,
    time::Instant,
};

/// How a side takes a message.
pub(super) type Receive<M> = fn(&Position<M>, Role, <M as Machine>::Step) -> Result<Position<M>, Refused>;

/// One search: the protocol, its bounds, and the rules in force.
pub(super) struct Search<M: Machine> {
    /// Who opens, and how.
    pub(super) opener: Role,
    pub(super) opening: M::Step,
    pub(super) steps: Vec<M::Step>,
    /// How many messages each side decides to send; a termination that follows from a refusal comes on top.
    pub(super) most: u8,
    /// The real one is `Position::receive`.
    pub(super) receive: Receive<M>,
    /// In which states a side whose message was refused, and that has nothing else to say, terminates.
    pub(super) gives_up: fn(M::State) -> bool,
    /// R2 for refusals: the answer to a repetition of a refused message is the same refusal.
    pub(super) refusals_are_final: bool,
    /// R2 for the refusal of an opening message, of which the receiver keeps no process.
    pub(super) opening_refusals_are_final: bool,
    /// The receiver of the opening answers it with a message in the same commit, as our provider does.
    pub(super) answers_at_once: bool,
    /// A late acknowledgement settles the oldest pending message of the same kind, as if messages had no numbers.
    pub(super) settles_by_kind: bool,
    /// A receiver may find fault with what a message says, whatever the state.
    pub(super) refuses_content: bool,
    /// Steps that are only tolerated from peers are sent all the same.
    pub(super) replaces_offers: bool,
    /// `prev` is the head at the moment of the decision, not at that of the first sending.
    pub(super) chained_when_decided: bool,
    /// The side that sends no ids: two of its messages of one kind have equal bodies.
    pub(super) plain: Option<Role>,
    /// Another body does not replace what is remembered of the last, and an answer holds while the state does: R2 without R6.
    pub(super) remembers_by_state: bool,
    /// A copy of a message whose sender knows its fate does not arrive any more.
    pub(super) no_late_copies: bool,
}

/// What a search found.
pub(super) struct Found {
    pub(super) states: usize,
    /// States in which both sides rest, as `consumer/provider`.
    pub(super) rests: BTreeSet<String>,
    pub(super) disagreements: usize,
    /// States in which something is pending and neither an arrival nor an answer can happen any more.
    pub(super) stuck: usize,
    /// States of rest in which the heads differ.
    pub(super) forks: usize,
    /// Forks other than those of two terminations that crossed.
    pub(super) other_forks: usize,
    /// Arrivals accepted although `prev` is neither the receiver's head nor the message that it acknowledges (R3).
    pub(super) gaps: usize,
    /// States of rest in which the messages accepted cannot be put in order by their `prev`.
    pub(super) broken_chains: usize,
    /// The shortest way into the first disagreement.
    pub(super) trace: String,
    /// The shortest way into the first fault of a chain.
    pub(super) chain_trace: String,
}

impl Found {
    /// Both sides can come to rest in this state.
    pub(super) fn rests_in(&self, state: &str) -> bool {
        self.rests.contains(&format!("{state}/{state}"))
    }

    /// The search went where it should, and no further: another number of states means that the rules or the search changed.
    pub(super) fn assert_visited(&self, expected: RangeInclusive<usize>) {
        assert!(
            expected.contains(&self.states),
            "{} states, expected {expected:?}",
            self.states
        );
    }
}

impl<M: Machine> Search<M>
where
    M::State: Hash,
    M::Step: Hash,
{
    pub(super) fn run(&self, name: &str) -> Found {
        let begun = Instant::now();
        let mut worlds: Vec<(World<M>, u32)> = vec![([Side::new(); 2], 0)];
        let mut known: HashSet<World<M>> = HashSet::from([worlds[0].0]);
        let mut found = Found {
            states: 0,
            rests: BTreeSet::new(),
            disagreements: 0,
            stuck: 0,
            forks: 0,
            other_forks: 0,
            gaps: 0,
            broken_chains: 0,
            trace: String::new(),
            chain_trace: String::new(),
        };
        let mut at = 0;
        while at < worlds.len() {
            let world = worlds[at].0;
            if world.iter().all(|side| side.pending == 0) {
                self.at_rest(&worlds, at, &mut found);
            }
            let moves = self.moves(&world, &mut found);
            found.stuck += usize::from(moves.is_empty() && world.iter().any(|side| side.pending != 0));
            for next in moves.into_iter().chain(self.decisions(&world)) {
                if known.insert(next) {
                    worlds.push((next, at as u32));
                }
            }
            at += 1;
        }
        found.states = worlds.len();
        println!(
            "{name}: {} states, {} disagreements, {} stuck, {} forks, {} gaps, {:.1?}",
            found.states,
            found.disagreements,
            found.stuck,
            found.forks,
            found.gaps,
            begun.elapsed()
        );
        found
    }

    fn at_rest(&self, worlds: &[(World<M>, u32)], at: usize, found: &mut Found) {
        let world = &worlds[at].0;
        let [consumer, provider] = world.map(|side| side.state);
        found
            .rests
            .insert(format!("{}/{}", name_of(consumer), name_of(provider)));
        if !self.agree(world) {
            found.disagreements += 1;
            if found.trace.is_empty() {
                found.trace = self.explain(worlds, at);
            }
        }
        let [one, other] = world.map(|side| side.head);
        let crossed = one != other && is_termination::<M>(world, one) && is_termination::<M>(world, other);
        found.forks += usize::from(one != other);
        found.other_forks += usize::from(one != other && !crossed);
        let chained = is_whole(world, one) && is_whole(world, other);
        found.broken_chains += usize::from(!chained);
        if found.chain_trace.is_empty() && (!chained || (one != other && !crossed)) {
            found.chain_trace = self.explain(worlds, at);
        }
    }

    /// Equal states; or the opening was refused and only the opener remembers the process.
    fn agree(&self, [consumer, provider]: &World<M>) -> bool {
        let (opener, other) = if self.opener == Role::Consumer {
            (consumer, provider)
        } else {
            (provider, consumer)
        };
        opener.state == other.state || (other.state.is_none() && opener.state == Some(M::TERMINATED))
    }

    /// What the channel can do: arrivals and answers.
    fn moves(&self, world: &World<M>, found: &mut Found) -> Vec<World<M>> {
        let mut all = Vec::new();
        for me in 0..2 {
            for number in 0..world[me].sent {
                self.arrive(world, me, number, found, &mut all);
                self.answer(world, me, number, &mut all);
            }
        }
        all
    }

    /// What the two sides can decide to do.
    fn decisions(&self, world: &World<M>) -> Vec<World<M>> {
        let mut all = Vec::new();
        (0..2).for_each(|me| self.decide(world, me, &mut all));
        all
    }

    /// Side `me` decides to send something. Before it knows the peer's process id it can only open.
    fn decide(&self, world: &World<M>, me: usize, all: &mut Vec<World<M>>) {
        let side = &world[me];
        for step in &self.steps {
            let opens = ROLES[me] == self.opener && side.sent == 0 && *step == self.opening;
            if side.sent == self.most || (side.state.is_none() && !opens) {
                continue;
            }
            let (position, number) = (side.position::<M>(), u64::from(side.sent));
            let after = match position.originate(ROLES[me], number, *step) {
                Ok(after) => after,
                Err(_) if self.replaces_offers && M::only_tolerated(position.intended(ROLES[me]), ROLES[me], *step) => {
                    let mut after = position;
                    after.pending.push((number, *step));
                    after
                }
                Err(_) => continue,
            };
            let mut next = *world;
            self.send(&mut next[me], *step, &after);
            all.push(next);
        }
    }

    fn send(&self, side: &mut Side<M::State, M::Step>, step: M::Step, after: &Position<M>) {
        let number = usize::from(side.sent);
        side.steps[number] = Some(step);
        side.sent += 1;
        if self.chained_when_decided {
            side.prev[number] = side.head;
        }
        self.stand(side, after, side.head);
    }

    /// A side stands at `position` with `head`. A message that is the oldest now is on its way from now on, signed over this head.
    fn stand(&self, side: &mut Side<M::State, M::Step>, position: &Position<M>, head: Id) {
        let oldest = side.take(position, head);
        if let Some(number) = oldest
            && !self.chained_when_decided
        {
            side.prev[number] = head;
        }
    }

    /// A copy of message `number` of side `from` reaches the other side, which decides on it, perhaps not for the first time.
    fn arrive(&self, world: &World<M>, from: usize, number: u8, found: &mut Found, all: &mut Vec<World<M>>) {
        let (sender, bit) = (&world[from], 1 << number);
        if sender.launched & bit == 0 || (self.no_late_copies && sender.pending & bit == 0) {
            return;
        }
        let step = sender.steps[usize::from(number)].unwrap();
        if self.plain == Some(ROLES[from]) && !self.is_opening(from, number) {
            self.arrive_plain(world, from, number, step, found, all);
        } else if !self.is_known(world, from, number) {
            self.take_in(world, from, number, found, all);
        }
    }

    /// R2: the message was answered before, and its sender can read that answer.
    fn is_known(&self, world: &World<M>, from: usize, number: u8) -> bool {
        let (sender, bit) = (&world[from], 1 << number);
        let final_refusal = if self.is_opening(from, number) {
            self.opening_refusals_are_final
        } else {
            self.refusals_are_final
        };
        sender.taken & bit != 0 || (final_refusal && sender.refused & bit != 0)
    }

    /// A copy of a message without an id: any with its body may have been answered before (R6). Openings are not among them: they carry
    /// an address, and come to a path of their own.
    fn arrive_plain(
        &self,
        world: &World<M>,
        from: usize,
        number: u8,
        step: M::Step,
        found: &mut Found,
        all: &mut Vec<World<M>>,
    ) {
        let (bit, me) = (1 << number, &world[1 - from]);
        let position = me.position::<M>();
        let answered = world[from].answered[self.kind(step)];
        let repeats = answered.map_or(Ok(false), |answered| {
            if self.remembers_by_state {
                return Ok(answered.state == me.state);
            }
            let (since, acknowledged) = (u64::from(answered.since), u64::from(me.acknowledged));
            position.repeats(ROLES[1 - from], step, answered.accepted, since, acknowledged)
        });
        match (repeats, answered) {
            (Ok(true), Some(answered)) => {
                let mut next = *world;
                if answered.accepted {
                    next[from].taken |= bit;
                } else {
                    next[from].refused |= bit;
                    self.remember(&mut next, from, step, false);
                }
                all.push(next);
            }
            (Ok(_), _) => self.take_in(world, from, number, found, all),
            (Err(_), _) => {}
        }
    }

    fn remember(&self, world: &mut World<M>, from: usize, step: M::Step, accepted: bool) {
        if self.plain != Some(ROLES[from]) {
            return;
        }
        let me = &world[1 - from];
        let since = me.position::<M>().sets_out_next(accepted, u64::from(me.sent)) as u8;
        let state = me.state;
        if !self.remembers_by_state {
            world[from].answered = [None; ROOM];
        }
        world[from].answered[self.kind(step)] = Some(Answered { accepted, since, state });
    }

    fn is_opening(&self, from: usize, number: u8) -> bool {
        number == 0 && ROLES[from] == self.opener
    }

    fn kind(&self, step: M::Step) -> usize {
        self.steps.iter().position(|known| *known == step).unwrap()
    }

    fn take_in(&self, world: &World<M>, from: usize, number: u8, found: &mut Found, all: &mut Vec<World<M>>) {
        let (to, bit, id) = (1 - from, 1 << number, Id::of(from, number));
        let step = world[from].steps[usize::from(number)].unwrap();
        let position = world[to].position::<M>();
        let mut refused = *world;
        refused[from].refused |= bit;
        if !self.is_opening(from, number) {
            self.remember(&mut refused, from, step, false);
        }
        match (self.receive)(&position, ROLES[to], step) {
            Ok(after) => {
                self.look_at_prev(world, from, number, &position, found);
                let mut taken = *world;
                taken[from].taken |= bit;
                self.stand(&mut taken[to], &after, id);
                if !self.is_opening(from, number) {
                    self.remember(&mut taken, from, step, true);
                }
                if self.is_opening(from, number) && self.answers_at_once {
                    self.decide(&taken, to, all);
                } else {
                    all.push(taken);
                }
                if self.refuses_content && step != M::TERMINATE {
                    all.push(refused);
                }
            }
            Err(why) if why.is_temporary() => {}
            Err(_) => all.push(refused),
        }
    }

    /// Whether a message that is accepted follows from what its receiver knows: its head, or its own message on the way.
    fn look_at_prev(&self, world: &World<M>, from: usize, number: u8, position: &Position<M>, found: &mut Found) {
        let (to, prev) = (1 - from, world[from].prev[usize::from(number)]);
        let oldest = position.pending.first().map(|(mine, _)| Id::of(to, *mine as u8));
        if prev == world[to].head || Some(prev) == oldest {
            return;
        }
        found.gaps += 1;
    }

    /// Side `me` reads an answer to its message `number`.
    fn answer(&self, world: &World<M>, me: usize, number: u8, all: &mut Vec<World<M>>) {
        let (bit, role, position) = (1 << number, ROLES[me], world[me].position::<M>());
        let mut number = u64::from(number);
        if self.settles_by_kind && !position.awaits(number) {
            let kind = world[me].steps[number as usize];
            let Some((other, _)) = position.pending.iter().find(|(_, step)| Some(*step) == kind) else {
                return;
            };
            number = *other;
        }
        if !position.awaits(number) {
            assert_eq!(position.acknowledged(role, number), position);
            assert_eq!(position.refused(role, number), position);
            return;
        }
        if world[me].taken & bit != 0 {
            let mut next = *world;
            self.stand(
                &mut next[me],
                &position.acknowledged(role, number),
                Id::of(me, number as u8),
            );
            if self.plain == Some(role.other()) {
                next[me].acknowledged = number as u8 + 1;
            }
            all.push(next);
        }
        if world[me].refused & bit != 0 {
            let mut next = *world;
            self.stand(&mut next[me], &position.refused(role, number), world[me].head);
            self.give_up(&mut next[me], role);
            all.push(next);
        }
    }

    /// What `contract` and `transfer` do after a refusal, where nothing else is left to say.
    fn give_up(&self, side: &mut Side<M::State, M::Step>, role: Role) {
        let open = |state| !M::is_terminal(state) && (self.gives_up)(state);
        if side.pending == 0 && side.state.is_some_and(open) {
            let ends = side.position::<M>().originate(role, u64::from(side.sent), M::TERMINATE);
            self.send(side, M::TERMINATE, &ends.unwrap());
        }
    }

    fn explain(&self, worlds: &[(World<M>, u32)], mut at: usize) -> String {
        let mut way = vec![at];
        while at != 0 {
            at = worlds[at].1 as usize;
            way.push(at);
        }
        let mut text = String::new();
        for at in way.iter().rev() {
            for (role, side) in ROLES.iter().zip(&worlds[*at].0) {
                write!(
                    text,
                    "{role} {} head {} [{}] pending {:b} taken {:b} refused {:b}; ",
                    name_of(side.state),
                    side.head,
                    side.told(),
                    side.pending,
                    side.taken,
                    side.refused
                )
                .unwrap();
            }
            text.push('\n');
        }
        text
    }
}

fn is_termination<M: Machine>(world: &World<M>, id: Id) -> bool {
    id.parts()
        .is_some_and(|(side, number)| world[side].steps[number] == Some(M::TERMINATE))
}

/// Whether the way back from `head` by `prev` passes every message that was accepted; of two terminations that crossed, one.
fn is_whole<S: Copy, T: Copy>(world: &[Side<S, T>; 2], head: Id) -> bool {
    let (mut at, mut passed) = (head, [0u8; 2]);
    while let Some((side, number)) = at.parts() {
        if passed[side] >> number & 1 == 1 {
            return false;
        }
        passed[side] |= 1 << number;
        at = world[side].prev[number];
    }
    let other = world.iter().map(|side| side.head).find(|other| *other != head);
    if let Some((side, number)) = other.and_then(Id::parts) {
        passed[side] |= 1 << number;
    }
    (0..2).all(|side| passed[side] == world[side].taken)
}

fn name_of<S: Display>(state: Option<S>) -> String {
    state.map_or_else(|| "none".to_owned(), |state| state.to_string())
}
