//! Exhaustive search: two sides run the real [`Position`] over a channel that loses, repeats, delays and reorders, and wherever
//! nothing is left to deliver both must be in the same state. Around `Position` stands only what `process`, `contract` and
//! `transfer` do with it. Each rule is also taken away once, to show that the search notices.
//!
//! The channel needs no state of its own. A message that was once the oldest of its outbox may arrive at any moment from then on
//! and any number of times (delay, repetition, reordering), or never (loss); an answer, once given, may be read at any moment while
//! its message is undecided for the sender, or never. Since everything may be lost, *at rest* means no more than: both outboxes are empty.

use super::*;
use crate::dsp::{
    negotiation::{self, Negotiation},
    transfer::{self, Transfer},
};
use std::{
    collections::{BTreeSet, HashSet},
    fmt::Write,
    hash::Hash,
    time::Instant,
};

/// Room for the messages of one side.
const ROOM: usize = 8;
const ROLES: [Role; 2] = [Role::Consumer, Role::Provider];

/// What one side has sent and where it stands. Bit `n` of a mask is message number `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Side<S, T> {
    state: Option<S>,
    steps: [Option<T>; ROOM],
    sent: u8,
    pending: u8,
    /// Was the oldest of the outbox once: copies of it may be anywhere.
    launched: u8,
    /// The peer has accepted it.
    taken: u8,
    /// The peer has refused it.
    refused: u8,
}

type World<M> = [Side<<M as Machine>::State, <M as Machine>::Step>; 2];

impl<S: Copy, T: Copy> Side<S, T> {
    fn new() -> Self {
        Self {
            state: None,
            steps: [None; ROOM],
            sent: 0,
            pending: 0,
            launched: 0,
            taken: 0,
            refused: 0,
        }
    }

    fn position<M: Machine<State = S, Step = T>>(&self) -> Position<M> {
        let pending = (0..ROOM as u64).filter(|n| self.pending >> n & 1 == 1);
        Position {
            state: self.state,
            pending: pending.map(|n| (n, self.steps[n as usize].unwrap())).collect(),
        }
    }

    fn take<M: Machine<State = S, Step = T>>(&mut self, position: &Position<M>) {
        self.state = position.state;
        self.pending = position.pending.iter().fold(0, |mask, (n, _)| mask | 1 << n);
        self.launched |= self.pending & self.pending.wrapping_neg();
    }

    /// Sends `step` from the position `after`, which holds it as pending.
    fn send<M: Machine<State = S, Step = T>>(&mut self, step: T, after: &Position<M>) {
        self.steps[usize::from(self.sent)] = Some(step);
        self.sent += 1;
        self.take(after);
    }
}

/// How a side takes a message.
type Receive<M> = fn(&Position<M>, Role, <M as Machine>::Step) -> Result<Position<M>, Refused>;

/// One search: the protocol, its bounds, and the rules in force.
struct Search<M: Machine> {
    /// Who opens, and how.
    opener: Role,
    opening: M::Step,
    steps: Vec<M::Step>,
    /// How many messages each side decides to send; a termination that follows from a refusal comes on top.
    most: u8,
    /// The real one is `Position::receive`.
    receive: Receive<M>,
    /// In which states a side whose message was refused, and that has nothing else to say, terminates.
    gives_up: fn(M::State) -> bool,
    /// R2 for refusals: the answer to a repetition of a refused message is the same refusal.
    refusals_are_final: bool,
    /// R2 for the refusal of an opening message, of which the receiver keeps no process.
    opening_refusals_are_final: bool,
    /// The receiver of the opening answers it with a message in the same commit, as our provider does.
    answers_at_once: bool,
    /// A late acknowledgement settles the oldest pending message of the same kind, as if messages had no numbers.
    settles_by_kind: bool,
    /// A receiver may find fault with what a message says, whatever the state.
    refuses_content: bool,
    /// Steps that are only tolerated from peers are sent all the same.
    replaces_offers: bool,
}

/// What a search found.
struct Found {
    states: usize,
    /// States in which both sides rest, as `consumer/provider`.
    rests: BTreeSet<String>,
    disagreements: usize,
    /// States in which something is pending and neither an arrival nor an answer can happen any more.
    stuck: usize,
    /// The shortest way into the first disagreement.
    trace: String,
}

impl Found {
    /// Both sides can come to rest in this state.
    fn rests_in(&self, state: &str) -> bool {
        self.rests.contains(&format!("{state}/{state}"))
    }
}

impl<M: Machine> Search<M>
where
    M::State: Hash,
    M::Step: Hash,
{
    fn run(&self, name: &str) -> Found {
        let begun = Instant::now();
        let mut worlds: Vec<(World<M>, usize)> = vec![([Side::new(); 2], 0)];
        let mut known: HashSet<World<M>> = HashSet::from([worlds[0].0]);
        let mut found = Found {
            states: 0,
            rests: BTreeSet::new(),
            disagreements: 0,
            stuck: 0,
            trace: String::new(),
        };
        let mut at = 0;
        while at < worlds.len() {
            let world = worlds[at].0;
            if world.iter().all(|side| side.pending == 0) {
                let [consumer, provider] = world.map(|side| side.state);
                found
                    .rests
                    .insert(format!("{}/{}", name_of(consumer), name_of(provider)));
                if !self.agree(&world) {
                    found.disagreements += 1;
                    if found.trace.is_empty() {
                        found.trace = self.explain(&worlds, at);
                    }
                }
            }
            let moves = self.moves(&world);
            found.stuck += usize::from(moves.is_empty() && world.iter().any(|side| side.pending != 0));
            for next in moves.into_iter().chain(self.decisions(&world)) {
                if known.insert(next) {
                    worlds.push((next, at));
                }
            }
            at += 1;
        }
        found.states = worlds.len();
        println!(
            "{name}: {} states, {} disagreements, {:?}",
            found.states,
            found.disagreements,
            begun.elapsed()
        );
        found
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
    fn moves(&self, world: &World<M>) -> Vec<World<M>> {
        let mut all = Vec::new();
        for me in 0..2 {
            for number in 0..world[me].sent {
                self.arrive(world, me, number, &mut all);
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
            next[me].send(*step, &after);
            all.push(next);
        }
    }

    /// A copy of message `number` of side `from` reaches the other side, which decides on it, perhaps not for the first time.
    fn arrive(&self, world: &World<M>, from: usize, number: u8, all: &mut Vec<World<M>>) {
        let (sender, bit, to) = (&world[from], 1 << number, 1 - from);
        let is_opening = number == 0 && ROLES[from] == self.opener;
        let final_refusal = if is_opening {
            self.opening_refusals_are_final
        } else {
            self.refusals_are_final
        };
        if sender.launched & bit == 0 || sender.taken & bit != 0 || (final_refusal && sender.refused & bit != 0) {
            return; // Not sent yet, or R2.
        }
        let step = sender.steps[usize::from(number)].unwrap();
        let mut refused = *world;
        refused[from].refused |= bit;
        match (self.receive)(&world[to].position(), ROLES[to], step) {
            Ok(after) => {
                let mut taken = *world;
                taken[from].taken |= bit;
                taken[to].take(&after);
                if is_opening && self.answers_at_once {
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
        if world[me].taken & bit != 0 {
            let mut next = *world;
            next[me].take(&position.acknowledged(role, number));
            all.push(next);
        }
        if world[me].refused & bit != 0 && position.awaits(number) {
            let mut next = *world;
            next[me].take(&position.refused(role, number));
            if next[me].pending == 0
                && next[me]
                    .state
                    .is_some_and(|state| !M::is_terminal(state) && (self.gives_up)(state))
            {
                let ends = next[me]
                    .position::<M>()
                    .originate(role, u64::from(next[me].sent), M::TERMINATE);
                next[me].send(M::TERMINATE, &ends.unwrap());
            }
            all.push(next);
        }
    }

    fn explain(&self, worlds: &[(World<M>, usize)], mut at: usize) -> String {
        let mut way = vec![at];
        while at != 0 {
            at = worlds[at].1;
            way.push(at);
        }
        let mut text = String::new();
        for at in way.iter().rev() {
            for (role, side) in ROLES.iter().zip(&worlds[*at].0) {
                let steps = side
                    .steps
                    .iter()
                    .flatten()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ");
                write!(
                    text,
                    "{role} {} [{steps}] pending {:b} taken {:b} refused {:b}; ",
                    name_of(side.state),
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

fn name_of<S: Display>(state: Option<S>) -> String {
    state.map_or_else(|| "none".to_owned(), |state| state.to_string())
}

/// `CONNECTOR_LONG=1` takes the larger bound.
fn most(short: u8, long: u8) -> u8 {
    if std::env::var_os("CONNECTOR_LONG").is_some() {
        long
    } else {
        short
    }
}

fn negotiation(opener: Role) -> Search<Negotiation> {
    use negotiation::Step::{Accept, Agree, Finalize, Offer, Request, Terminate, Verify};
    Search {
        opener,
        opening: if opener == Role::Consumer { Request } else { Offer },
        steps: vec![Request, Offer, Accept, Agree, Verify, Finalize, Terminate],
        most: most(3, 6),
        receive: Position::receive,
        gives_up: |_| true,
        refusals_are_final: true,
        opening_refusals_are_final: true,
        answers_at_once: false,
        settles_by_kind: false,
        refuses_content: true,
        replaces_offers: false,
    }
}

fn transfer() -> Search<Transfer> {
    use transfer::Step::{Complete, Request, Start, Suspend, Terminate};
    Search {
        opener: Role::Consumer,
        opening: Request,
        steps: vec![Request, Start, Suspend, Complete, Terminate],
        most: most(4, 5),
        receive: Position::receive,
        gives_up: |state| state == transfer::State::Requested,
        refusals_are_final: true,
        opening_refusals_are_final: true,
        answers_at_once: false,
        settles_by_kind: false,
        refuses_content: true,
        replaces_offers: false,
    }
}

/// Without R3: what follows from an unacknowledged message is not recognised.
fn without_r3<M: Machine>(position: &Position<M>, me: Role, step: M::Step) -> Result<Position<M>, Refused> {
    let bare = Position {
        state: position.state,
        pending: Vec::new(),
    };
    let after = bare.receive(me, step)?;
    if position.pending.is_empty() || step == M::TERMINATE {
        Ok(after)
    } else {
        position.receive(me, step)
    }
}

/// Without R4: a pending termination is no reason to refuse.
fn without_r4<M: Machine>(position: &Position<M>, me: Role, step: M::Step) -> Result<Position<M>, Refused> {
    let (ends, others): (Vec<_>, Vec<_>) = position
        .pending
        .iter()
        .copied()
        .partition(|(_, step)| *step == M::TERMINATE);
    let mut after = Position {
        state: position.state,
        pending: others,
    }
    .receive(me, step)?;
    if !after.is_terminal() {
        after.pending.extend(ends);
    }
    Ok(after)
}

/// Without R5: a crossing message is taken, and what is pending stays so.
fn without_r5<M: Machine>(position: &Position<M>, me: Role, step: M::Step) -> Result<Position<M>, Refused> {
    match position.receive(me, step) {
        Err(Refused::Crossed | Refused::NotYet) => {
            let state = M::next(position.state, me.other(), step);
            Ok(Position {
                state,
                pending: position.pending.clone(),
            })
        }
        other => other,
    }
}

#[test]
fn negotiations_never_end_in_disagreement_whoever_opens() {
    for opener in ROLES {
        let found = negotiation(opener).run(&format!("negotiation, {opener} opens"));
        assert_eq!((found.disagreements, found.stuck), (0, 0), "{}", found.trace);
        assert!(found.states > 500, "the search saw only {} states", found.states);
        for state in [
            "REQUESTED",
            "OFFERED",
            "ACCEPTED",
            "AGREED",
            "VERIFIED",
            "FINALIZED",
            "TERMINATED",
        ] {
            assert!(found.rests_in(state), "nothing rests in {state}: {:?}", found.rests);
        }
    }
}

#[test]
fn transfers_never_end_in_disagreement() {
    let found = transfer().run("transfer");
    assert_eq!((found.disagreements, found.stuck), (0, 0), "{}", found.trace);
    assert!(found.states > 50_000, "the search saw only {} states", found.states);
    for state in ["REQUESTED", "STARTED", "SUSPENDED", "COMPLETED", "TERMINATED"] {
        assert!(found.rests_in(state), "nothing rests in {state}: {:?}", found.rests);
    }
}

#[test]
fn a_negotiation_that_nobody_ends_is_not_ended_by_the_channel() {
    for opener in ROLES {
        let mut search = negotiation(opener);
        search.refuses_content = false;
        search.steps.retain(|step| *step != Negotiation::TERMINATE);
        let found = search.run(&format!("negotiation without termination, {opener} opens"));
        assert!(found.rests_in("FINALIZED"));
        assert!(
            !found.rests.iter().any(|rest| rest.contains("TERMINATED")),
            "{:?}",
            found.rests
        );
    }
}

#[test]
fn a_forgotten_refusal_of_the_opening_does_no_harm_where_the_opening_is_answered_at_once() {
    fn check<M: Machine>(search: Search<M>)
    where
        M::State: Hash,
        M::Step: Hash,
    {
        let mut search = Search {
            opening_refusals_are_final: false,
            ..search
        };
        assert_ne!(search.run("forgotten, not answered").disagreements, 0);
        search.answers_at_once = true;
        assert_eq!(search.run("forgotten, answered at once").disagreements, 0);
    }
    ROLES.into_iter().for_each(|opener| check(negotiation(opener)));
    check(Search { most: 3, ..transfer() });
}

#[test]
fn without_rule_2_for_refusals_a_late_copy_parts_the_sides() {
    for opener in ROLES {
        let found = Search {
            refusals_are_final: false,
            most: 3,
            ..negotiation(opener)
        }
        .run("negotiation without R2");
        assert!(found.rests.contains("FINALIZED/TERMINATED"), "{:?}", found.rests);
    }
    let found = Search {
        refusals_are_final: false,
        most: 3,
        ..transfer()
    }
    .run("transfer without R2");
    assert!(found.rests.contains("STARTED/SUSPENDED"), "{:?}", found.rests);
}

#[test]
fn without_rule_3_a_lost_acknowledgement_parts_the_sides() {
    for opener in ROLES {
        assert_ne!(
            Search {
                receive: without_r3,
                most: 3,
                ..negotiation(opener)
            }
            .run("negotiation without R3")
            .disagreements,
            0
        );
    }
    assert_ne!(
        Search {
            receive: without_r3,
            most: 3,
            ..transfer()
        }
        .run("transfer without R3")
        .disagreements,
        0
    );
}

#[test]
fn without_rule_4_a_finalization_crosses_a_termination() {
    for opener in ROLES {
        let found = Search {
            receive: without_r4,
            most: 3,
            ..negotiation(opener)
        }
        .run("negotiation without R4");
        assert!(found.rests.contains("FINALIZED/TERMINATED"), "{:?}", found.rests);
    }
    let found = Search {
        receive: without_r4,
        most: 3,
        ..transfer()
    }
    .run("transfer without R4");
    assert!(found.rests.contains("COMPLETED/TERMINATED"), "{:?}", found.rests);
}

#[test]
fn without_rule_5_a_suspension_crosses_a_completion() {
    let found = Search {
        receive: without_r5,
        most: 3,
        ..transfer()
    }
    .run("transfer without R5");
    assert!(found.rests.contains("SUSPENDED/COMPLETED"), "{:?}", found.rests);
}

#[test]
fn without_numbers_a_late_acknowledgement_settles_a_newer_message() {
    let found = Search {
        settles_by_kind: true,
        most: 3,
        ..negotiation(Role::Consumer)
    }
    .run("negotiation by kind");
    assert!(found.rests.contains("REQUESTED/OFFERED"), "{:?}", found.rests);
    let found = Search {
        settles_by_kind: true,
        most: 3,
        ..transfer()
    }
    .run("transfer by kind");
    assert!(found.rests.contains("SUSPENDED/STARTED"), "{:?}", found.rests);
}

#[test]
fn an_offer_in_place_of_an_offer_cannot_be_told_from_an_answer() {
    let found = Search {
        replaces_offers: true,
        most: 3,
        ..negotiation(Role::Consumer)
    }
    .run("negotiation with replaced offers");
    assert!(
        found.rests.contains("OFFERED/REQUESTED") || found.rests.contains("REQUESTED/OFFERED"),
        "{:?}",
        found.rests
    );
}
