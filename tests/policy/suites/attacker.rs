//! The attacker who tries everything: sees each permitted release, and each refusal, to one recipient, knows the code that made them, and
//! holds against them every world of a few learners that the same code would have answered in the same way. A group is *isolated* when it
//! has, in all these worlds, the same number of learners, and that is at least one and fewer than k.
//!
//! A group is any union of cells and of histories (who consented when): what left with a withdrawal is a group like any other. A sum over
//! a group is *told* when it is the same in all these worlds; nobody may make up most of one that is.

mod view;

use policy::release::GroupSize;
use std::collections::HashMap;

const K: u32 = GroupSize::FLOOR;
const REFUSED: &str = "refused";

/// What is switched off.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Off {
    Nothing,
    Suppression,
    ComplementarySuppression,
    Ledger,
    /// Each table has a ledger of its own, as if it were of another source.
    OneLedger,
    /// The ledger knows who is counted where, and not what is told of them.
    LedgerOfSums,
}

/// A table to ask for: which of the two attributes, in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Query {
    First,
    Second,
    Both,
    BothReversed,
    Rows,
}

const TABLES: [Query; 4] = [Query::First, Query::Second, Query::Both, Query::BothReversed];

/// A family of worlds and what is asked in each, in order.
struct Scenario {
    /// How many values the two attributes have.
    values: [usize; 2],
    /// For each kind of learner, at which times consent is valid: bit t for time t.
    histories: Vec<u8>,
    /// How many learners there are at most.
    learners: usize,
    /// What is asked, and when.
    asked: Vec<(Query, u8)>,
    /// For each time what a learner adds to sums, by the second attribute; from the last of these times on the same.
    amounts: Vec<[u32; 2]>,
    off: Off,
}

#[derive(Default, Debug, PartialEq)]
struct Found {
    releases: u64,
    pairs: u64,
    isolated: u64,
}

struct Kind {
    first: usize,
    second: usize,
    history: u8,
}

impl Scenario {
    fn kinds(&self) -> Vec<Kind> {
        let [rows, columns] = self.values;
        let cells = (0..rows).flat_map(|first| (0..columns).map(move |second| (first, second)));
        cells
            .flat_map(|(first, second)| {
                self.histories.iter().map(move |history| Kind {
                    first,
                    second,
                    history: *history,
                })
            })
            .collect()
    }

    /// Goes through all worlds and counts what stays the same in all that look alike.
    fn attack(&self) -> Found {
        let kinds = self.kinds();
        let groups = self.groups(&kinds);
        let mut found = Found::default();
        let mut seen: HashMap<String, Vec<(u32, u32)>> = HashMap::new();
        let mut world = vec![0u32; kinds.len()];
        loop {
            let (view, permitted) = self.view(&kinds, &world);
            found.releases += permitted;
            found.pairs += permitted * permitted.saturating_sub(1) / 2;
            let known = seen.entry(view).or_insert_with(|| vec![(u32::MAX, 0); groups.len()]);
            for (group, (least, most)) in groups.iter().zip(known) {
                let size = group.iter().map(|kind| world[*kind]).sum();
                (*least, *most) = ((*least).min(size), (*most).max(size));
            }
            if !next(&mut world, self.learners as u32) {
                break;
            }
        }
        let is_isolated = |(least, most): &&(u32, u32)| least == most && (1..K).contains(least);
        found.isolated = seen.values().flatten().filter(is_isolated).count() as u64;
        found
    }

    /// How many sums over groups, the second attribute aside, at a time or of what has changed between two, are told by releases alone of
    /// which one or two learners make up most. What a refusal tells to whoever knows all amounts that there can be is not among them.
    fn attack_sums(&self) -> Found {
        let kinds = self.kinds();
        let measures = self.measures();
        let groups = self.unions(&kinds, true);
        let sums: Vec<_> = groups
            .iter()
            .flat_map(|group| measures.iter().map(move |measure| (group, *measure)))
            .collect();
        let mut found = Found::default();
        let mut seen: HashMap<String, Vec<(u32, u32, bool)>> = HashMap::new();
        let mut world = vec![0u32; kinds.len()];
        while next(&mut world, self.learners as u32) {
            let (view, permitted) = self.view(&kinds, &world);
            if permitted < self.asked.len() as u64 {
                continue;
            }
            found.releases += permitted;
            found.pairs += permitted * permitted.saturating_sub(1) / 2;
            let known = seen.entry(view);
            let known = known.or_insert_with(|| vec![(u32::MAX, 0, false); sums.len()]);
            for ((group, measure), (least, most, dominated)) in sums.iter().zip(known) {
                let (sum, is_dominated) = self.sum(group, *measure, &kinds, &world);
                (*least, *most) = ((*least).min(sum), (*most).max(sum));
                *dominated |= is_dominated;
            }
        }
        let is_victim = |(least, most, dominated): &&(u32, u32, bool)| least == most && *least > 0 && *dominated;
        found.isolated = seen.values().flatten().filter(is_victim).count() as u64;
        found
    }

    /// What can be added up over a group: what its learners have at a time, or by how much that differs from what they had.
    fn measures(&self) -> Vec<(usize, Option<usize>)> {
        let times = 0..self.amounts.len();
        times
            .flat_map(|time| std::iter::once((time, None)).chain((0..time).map(move |before| (time, Some(before)))))
            .collect()
    }

    /// What a learner adds to sums at a time.
    fn amount(&self, kind: &Kind, time: usize) -> u32 {
        let amounts = self.amounts.get(time).or_else(|| self.amounts.last());
        amounts
            .and_then(|amounts| amounts.get(kind.second))
            .copied()
            .unwrap_or(1)
    }

    /// What a group adds up to in a world, and whether one or two of it make up most of that.
    fn sum(
        &self,
        group: &[usize],
        (time, before): (usize, Option<usize>),
        kinds: &[Kind],
        world: &[u32],
    ) -> (u32, bool) {
        let amount = |kind: &Kind| {
            let before = before.map_or(0, |before| self.amount(kind, before));
            self.amount(kind, time).abs_diff(before)
        };
        let amounts = group
            .iter()
            .flat_map(|kind| std::iter::repeat_n(amount(&kinds[*kind]), world[*kind] as usize));
        let mut amounts: Vec<u32> = amounts.collect();
        amounts.sort_unstable();
        let sum: u32 = amounts.iter().sum();
        let one = amounts.last().copied().unwrap_or(0);
        let two: u32 = amounts.iter().rev().take(2).sum();
        (sum, one * 2 > sum || two * 5 > sum * 4)
    }

    /// Every union of kinds. Where rows are released their second attribute is what is told of groups, so no group is made by it.
    fn groups(&self, kinds: &[Kind]) -> Vec<Vec<usize>> {
        self.unions(kinds, self.asked.iter().any(|(query, _)| matches!(query, Query::Rows)))
    }

    /// Every union of kinds, of all values of the second attribute where it is `told`.
    fn unions(&self, kinds: &[Kind], told: bool) -> Vec<Vec<usize>> {
        let mut atoms: Vec<Vec<usize>> = Vec::new();
        let mut names: Vec<(usize, usize, u8)> = Vec::new();
        for (number, kind) in kinds.iter().enumerate() {
            let name = (kind.first, if told { 0 } else { kind.second }, kind.history);
            match names.iter().position(|known| *known == name) {
                Some(known) => atoms[known].push(number),
                None => {
                    names.push(name);
                    atoms.push(vec![number]);
                }
            }
        }
        let union = |set: usize| {
            let inside = atoms.iter().enumerate().filter(|(atom, _)| set >> atom & 1 == 1);
            inside.flat_map(|(_, kinds)| kinds.iter().copied()).collect()
        };
        (1..1usize << atoms.len()).map(union).collect()
    }
}

/// The next world of at most so many learners; `false` after the last.
fn next(world: &mut [u32], learners: u32) -> bool {
    let mut all: u32 = world.iter().sum();
    for count in world {
        if all < learners {
            *count += 1;
            return true;
        }
        all -= *count;
        *count = 0;
    }
    false
}

const STAYS: u8 = 0b111;
/// Everybody stays, or withdraws after the first release, or after the second.
const WITHDRAWALS: [u8; 3] = [STAYS, 0b001, 0b011];

fn one(values: [usize; 2], learners: usize, query: Query, off: Off) -> Scenario {
    Scenario {
        values,
        histories: vec![STAYS],
        learners,
        asked: vec![(query, 0)],
        amounts: vec![[1, 1]],
        off,
    }
}

fn over_time(values: [usize; 2], histories: &[u8], learners: usize, queries: &[Query], off: Off) -> Scenario {
    Scenario {
        values,
        histories: histories.to_vec(),
        learners,
        asked: queries.iter().copied().zip(0..).collect(),
        amounts: vec![[1, 1]],
        off,
    }
}

#[test]
fn the_attacker_who_sees_every_permitted_release_isolates_nobody() {
    let mut scenarios = vec![
        one([4, 1], 20, Query::First, Off::Nothing),
        one([2, 3], 14, Query::Both, Off::Nothing),
        one([3, 2], 14, Query::Both, Off::Nothing),
        one([3, 3], 12, Query::Both, Off::Nothing),
        over_time([3, 1], &WITHDRAWALS[..2], 12, &[Query::First; 2], Off::Nothing),
        // Joining, leaving, and coming back.
        over_time([2, 1], &[0b01, 0b10, 0b11], 12, &[Query::First; 2], Off::Nothing),
        over_time([2, 1], &WITHDRAWALS, 12, &[Query::First; 3], Off::Nothing),
        over_time([1, 1], &[1, 2, 3, 4, 5, 6, 7], 12, &[Query::First; 3], Off::Nothing),
    ];
    for first in TABLES {
        for second in TABLES {
            scenarios.push(over_time([2, 2], &WITHDRAWALS[..2], 10, &[first, second], Off::Nothing));
            let third = [first, second, Query::Both];
            scenarios.push(over_time([2, 2], &[STAYS], 16, &third, Off::Nothing));
        }
    }
    let mut all = Found::default();
    for scenario in scenarios {
        let found = scenario.attack();
        assert_eq!(
            found.isolated, 0,
            "{:?} {:?} {:?}",
            scenario.values, scenario.asked, scenario.histories
        );
        all.releases += found.releases;
        all.pairs += found.pairs;
    }
    println!(
        "attacker: {} releases, {} pairs, {} isolated",
        all.releases, all.pairs, all.isolated
    );
    assert!(
        all.releases > 10_000 && all.pairs > 1_000,
        "too little was permitted to mean anything: {all:?}"
    );
}

#[test]
fn the_attacker_isolates_nobody_in_rows_released_over_time() {
    let rows = [Query::Rows; 3];
    for (scenario, pairs) in [
        (over_time([2, 2], &WITHDRAWALS[..2], 12, &rows[..2], Off::Nothing), 1000),
        (over_time([1, 2], &WITHDRAWALS, 15, &rows, Off::Nothing), 1000),
    ] {
        let found = scenario.attack();
        println!(
            "attacker on rows: {} releases, {} pairs, {} isolated",
            found.releases, found.pairs, found.isolated
        );
        assert_eq!(found.isolated, 0);
        assert!(found.pairs > pairs);
    }
}

#[test]
fn the_attacker_finds_victims_as_soon_as_one_protection_is_off() {
    let victims = [
        one([3, 1], 12, Query::First, Off::Suppression),
        one([3, 1], 12, Query::First, Off::ComplementarySuppression),
        one([2, 2], 16, Query::Both, Off::ComplementarySuppression),
        over_time([1, 1], &WITHDRAWALS[..2], 12, &[Query::First; 2], Off::Ledger),
        over_time([2, 2], &[STAYS], 16, &[Query::Both, Query::BothReversed], Off::Ledger),
        over_time([1, 2], &WITHDRAWALS[..2], 12, &[Query::Rows; 2], Off::Ledger),
        // Two datasets over one source.
        over_time(
            [2, 2],
            &[STAYS],
            16,
            &[Query::Both, Query::BothReversed],
            Off::OneLedger,
        ),
    ];
    for scenario in victims {
        let found = scenario.attack();
        println!("attacker without {:?}: {} isolated", scenario.off, found.isolated);
        assert!(
            found.isolated > 0,
            "without {:?} {:?} nobody was found",
            scenario.off,
            scenario.asked
        );
    }
}

/// Learners with much or little, all of one value otherwise, some of whom withdraw.
fn sums_over_time(amounts: [u32; 2], queries: &[Query], off: Off) -> Scenario {
    Scenario {
        amounts: vec![amounts],
        ..over_time([1, 2], &WITHDRAWALS[..2], 14, queries, off)
    }
}

#[test]
fn the_attacker_learns_no_sum_that_one_or_two_make_up_from_what_is_permitted() {
    for amounts in [[1, 7], [1, 30], [2, 3]] {
        let found = sums_over_time(amounts, &[Query::First; 2], Off::Nothing).attack_sums();
        println!(
            "attacker on sums of {amounts:?}: {} releases, {} pairs, {} told",
            found.releases, found.pairs, found.isolated
        );
        assert_eq!(found.isolated, 0, "{amounts:?}");
        assert!(found.pairs > 50, "{amounts:?}");
    }
}

#[test]
fn the_attacker_learns_no_change_that_one_or_two_make_up_from_three_releases() {
    // What the second kind has differs from what it had at first; the neighbours differ in all, if they differ.
    for amounts in [
        [[100, 100], [110, 110], [100, 111]],
        [[100, 100], [110, 130], [100, 107]],
        [[10, 10], [20, 20], [15, 20]],
    ] {
        let scenario = Scenario {
            amounts: amounts.to_vec(),
            ..over_time([1, 2], &[STAYS], 14, &[Query::First; 3], Off::Nothing)
        };
        let found = scenario.attack_sums();
        println!(
            "attacker on {amounts:?}: {} releases, {} pairs, {} told",
            found.releases, found.pairs, found.isolated
        );
        assert_eq!(found.isolated, 0, "{amounts:?}");
        assert!(found.pairs > 50, "{amounts:?}");
    }
}

#[test]
fn the_attacker_learns_what_one_or_two_make_up_once_differences_are_not_asked_about_sums() {
    let found = sums_over_time([1, 7], &[Query::First; 2], Off::LedgerOfSums).attack_sums();
    println!("attacker without {:?}: {} told", Off::LedgerOfSums, found.isolated);
    assert!(found.isolated > 0);
}
