//! The search for a way in which all units hold, and for the least of them that cannot.

use super::{
    answer::{Answer, Request, Why},
    limits::Limits,
    space::{Area, Budget, Outcome, Space},
    units::Unit,
};

use std::collections::BTreeSet;

/// Of so many units every smaller set is tried.
const EXACT: usize = 10;

/// The work of one question.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) search: Budget,
    core: Budget,
}

impl Work {
    pub(super) const fn question(limits: Limits) -> Self {
        Self {
            search: Budget(limits.work),
            core: Budget(limits.core_work),
        }
    }
}

impl Space<'_> {
    /// Whether all units can hold together.
    pub(super) fn search(&self, units: &[&Unit], budget: &mut Budget) -> Outcome {
        if let Err(why) = budget.spend(units.len() + 1) {
            return Outcome::Unknown(why);
        }
        let (fixed, mut open): (Vec<&Unit>, Vec<&Unit>) = units.iter().partition(|unit| unit.areas.len() == 1);
        let mut area: Area = fixed
            .iter()
            .flat_map(|unit| unit.areas.iter().flatten().copied())
            .collect();
        open.sort_by_key(|unit| unit.areas.len());
        // What two policies say alike has the same ways: to try those of each with those of the other would only use up the work.
        open.dedup_by(|next, before| next.areas == before.areas);
        let mut ways = Ways {
            left: self.limits().areas,
            unknown: None,
        };
        match self.solve(&area, budget) {
            Outcome::Inhabited(found) if open.is_empty() => return Outcome::Inhabited(found),
            Outcome::Unknown(why) if open.is_empty() => return Outcome::Unknown(why),
            Outcome::Empty => return Outcome::Empty,
            Outcome::Inhabited(_) | Outcome::Unknown(_) => {}
        }
        match self.descend(&mut area, &open, &mut ways, budget) {
            Some(found) => found,
            None => ways.unknown.map_or(Outcome::Empty, Outcome::Unknown),
        }
    }

    /// Tries each way of the first open unit; what cannot be is left at once.
    fn descend(&self, area: &mut Area, open: &[&Unit], ways: &mut Ways, budget: &mut Budget) -> Option<Outcome> {
        let (unit, rest) = open.split_first()?;
        for way in &unit.areas {
            if ways.left == 0 || budget.0 == 0 {
                return Some(Outcome::Unknown(Why::TooLarge));
            }
            ways.left -= 1;
            let before = area.len();
            area.extend_from_slice(way);
            let found = match self.solve(area, budget) {
                Outcome::Empty => None,
                Outcome::Inhabited(found) if rest.is_empty() => Some(Outcome::Inhabited(found)),
                Outcome::Unknown(why) if rest.is_empty() => {
                    ways.unknown.get_or_insert(why);
                    None
                }
                Outcome::Inhabited(_) | Outcome::Unknown(_) => self.descend(area, rest, ways, budget),
            };
            area.truncate(before);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Whether the units can hold together; when not, a least set of them that cannot.
    pub(super) fn answer(&self, units: &[&Unit], work: &mut Work) -> Answer {
        match self.search(units, &mut work.search) {
            Outcome::Inhabited(found) => Answer::Possible(Request::of(&found)),
            Outcome::Unknown(why) => Answer::Unknown(why),
            Outcome::Empty => {
                let core = self.core(units, &mut work.core);
                let needed: BTreeSet<*const Unit> = core.into_iter().map(std::ptr::from_ref).collect();
                let needed = units.iter().filter(|unit| needed.contains(&std::ptr::from_ref(**unit)));
                Answer::Impossible(ids(needed))
            }
        }
    }

    /// A set of units that cannot hold together, of which none can be spared. Of few units it is one of the smallest.
    fn core<'u>(&self, units: &[&'u Unit], budget: &mut Budget) -> Vec<&'u Unit> {
        if let Some(single) = units.iter().find(|unit| self.search(&[unit], budget) == Outcome::Empty) {
            return vec![*single];
        }
        let mut core = Vec::new();
        self.quicken(&mut core, units, false, budget);
        if core.len() > EXACT {
            return core;
        }
        let small = (2..core.len()).find_map(|size| self.smaller(&core, size, units, budget));
        small.unwrap_or(core)
    }

    /// Junker's QuickXplain: of `units`, those that are needed beside `core`, found by halves.
    fn quicken<'u>(&self, core: &mut Vec<&'u Unit>, units: &[&'u Unit], tried: bool, budget: &mut Budget) {
        if tried && self.search(core, budget) == Outcome::Empty {
            return;
        }
        // Nothing left to find out with: all may be needed.
        if budget.is_spent() {
            return core.extend_from_slice(units);
        }
        match units {
            [] => return,
            [unit] => return core.push(unit),
            _ => {}
        }
        let (first, second) = units.split_at(units.len() / 2);
        let start = core.len();
        core.extend_from_slice(first);
        let with_first = core.len();
        let mut needed: Vec<&'u Unit> = core.clone();
        self.quicken(&mut needed, second, !first.is_empty(), budget);
        let from_second = needed.split_off(with_first);
        core.truncate(start);
        core.extend_from_slice(&from_second);
        let with_second = core.len();
        let mut needed: Vec<&'u Unit> = core.clone();
        self.quicken(&mut needed, first, !from_second.is_empty(), budget);
        core.extend(needed.split_off(with_second));
    }

    /// A conflicting set of this size, where there are few enough to try them all.
    fn smaller<'u>(
        &self,
        core: &[&'u Unit],
        size: usize,
        units: &[&'u Unit],
        budget: &mut Budget,
    ) -> Option<Vec<&'u Unit>> {
        if units.len() > EXACT || core.len() <= size {
            return None;
        }
        (1_u32..1 << units.len())
            .filter(|chosen| chosen.count_ones() as usize == size)
            .map(|chosen| -> Vec<&'u Unit> {
                let bit = |number: usize| chosen >> number & 1 == 1;
                units
                    .iter()
                    .enumerate()
                    .filter(|(number, _)| bit(*number))
                    .map(|(_, unit)| *unit)
                    .collect()
            })
            .find(|set| self.search(set, budget) == Outcome::Empty)
    }
}

/// What a search has left, and the first thing that it could not tell.
struct Ways {
    left: usize,
    unknown: Option<Why>,
}

/// Ids without repetitions, in their order.
fn ids<'u>(units: impl Iterator<Item = &'u &'u Unit>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    units
        .map(|unit| unit.id.clone())
        .filter(|id| seen.insert(id.clone()))
        .collect()
}
