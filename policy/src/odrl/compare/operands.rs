//! Two policies operand by operand, and what they have in common in words.

use super::{
    answer::{Intersection, Operand, Verdict, Why},
    granted,
    search::Work,
    space::{Area, Budget, Literal, Outcome, Space},
    test::Place,
    units::{ORDER, Side, Unit},
    words,
};
use crate::odrl::Policy;
use std::collections::{BTreeMap, BTreeSet};

/// As many ways are written out in words.
const MAX_WAYS: usize = 64;

type Key = (Place, String);

/// The permissions of a policy, each as its units.
fn permissions(space: &mut Space<'_>, policy: &Policy) -> Result<Vec<Vec<Unit>>, Why> {
    policy
        .permissions
        .iter()
        .map(|one| space.units(&one.statement, Side::Permits))
        .collect()
}

fn key(space: &Space<'_>, literal: Literal) -> Option<Key> {
    let axis = space.axis(literal)?;
    (axis.left != ORDER).then(|| (axis.place, axis.left.clone()))
}

/// The units of a rule by what they say of each operand alone. Where one way of a unit says nothing of an operand, the unit leaves it free.
fn by_operand(space: &Space<'_>, units: &[Unit]) -> BTreeMap<Key, Vec<Unit>> {
    let mut found: BTreeMap<Key, Vec<Unit>> = BTreeMap::new();
    for unit in units {
        let mut ways: BTreeMap<Key, Vec<Area>> = BTreeMap::new();
        for area in &unit.areas {
            let mut parts: BTreeMap<Key, Area> = BTreeMap::new();
            for literal in area {
                if let Some(key) = key(space, *literal) {
                    parts.entry(key).or_default().push(*literal);
                }
            }
            for (key, part) in parts {
                ways.entry(key).or_default().push(part);
            }
        }
        for (key, areas) in ways {
            let about = found.entry(key).or_default();
            if areas.len() == unit.areas.len() {
                about.push(Unit {
                    id: unit.id.clone(),
                    areas,
                });
            }
        }
    }
    found
}

/// What two policies say of each operand that one of them speaks of.
pub(super) fn operands(space: &mut Space<'_>, a: &Policy, b: &Policy) -> Vec<Operand> {
    let (Ok(first), Ok(second)) = (permissions(space, a), permissions(space, b)) else {
        return Vec::new();
    };
    let split = |rules: &[Vec<Unit>]| -> Vec<BTreeMap<Key, Vec<Unit>>> {
        rules.iter().map(|units| by_operand(space, units)).collect()
    };
    let (mine, theirs) = (split(&first), split(&second));
    let spoken_of = |rules: &[BTreeMap<Key, Vec<Unit>>]| -> BTreeSet<Key> {
        rules.iter().flat_map(|rule| rule.keys().cloned()).collect()
    };
    let (of_mine, of_theirs) = (spoken_of(&mine), spoken_of(&theirs));
    let mut budget = Work::question(space.limits()).search;
    let mut found = Vec::new();
    for wanted in of_mine.union(&of_theirs) {
        let (one, other) = (about(&mine, wanted), about(&theirs, wanted));
        found.push(Operand {
            operand: name(wanted),
            in_both: of_mine.contains(wanted) && of_theirs.contains(wanted),
            first: said(space, &one),
            second: said(space, &other),
            overlap: overlap(space, &one, &other, &mut budget),
            contained: contained(space, &one, &other, &mut budget),
        });
    }
    found
}

/// What each rule says of an operand.
fn about<'u>(rules: &'u [BTreeMap<Key, Vec<Unit>>], wanted: &Key) -> Vec<&'u [Unit]> {
    rules
        .iter()
        .map(|rule| rule.get(wanted).map_or(&[][..], Vec::as_slice))
        .collect()
}

/// What rules say of an operand, each once: `at most P30D`.
fn said(space: &Space<'_>, rules: &[&[Unit]]) -> String {
    let way = |area: &Area| {
        let tests = area.iter().filter_map(|literal| space.test(*literal));
        tests.map(words::test).collect::<Vec<_>>().join(" and ")
    };
    let rule = |units: &&[Unit]| {
        let units = units
            .iter()
            .map(|unit| unit.areas.iter().map(way).collect::<BTreeSet<_>>());
        let units: Vec<String> = units
            .map(|ways| ways.into_iter().take(MAX_WAYS).collect::<Vec<_>>().join(", or "))
            .collect();
        if units.is_empty() {
            "anything".to_owned()
        } else {
            units.join(", and ")
        }
    };
    let all: BTreeSet<String> = rules.iter().map(rule).collect();
    all.into_iter().collect::<Vec<_>>().join("; or ")
}

fn name((place, left): &Key) -> String {
    super::test::Axis {
        place: *place,
        left: left.clone(),
        step: 0,
    }
    .to_string()
}

fn overlap(space: &Space<'_>, one: &[&[Unit]], other: &[&[Unit]], budget: &mut Budget) -> Verdict {
    let mut pairs = one.iter().flat_map(|left| other.iter().map(move |right| (left, right)));
    let mut most = Verdict::Conflict;
    while let (Some((left, right)), false) = (pairs.next(), most == Verdict::Compatible) {
        if budget.is_spent() {
            return Verdict::Unknown;
        }
        let units: Vec<&Unit> = left.iter().chain(*right).collect();
        most = most.max(match space.search(&units, budget) {
            Outcome::Inhabited(_) => Verdict::Compatible,
            Outcome::Unknown(_) => Verdict::Unknown,
            Outcome::Empty => Verdict::Conflict,
        });
    }
    most
}

fn contained(space: &mut Space<'_>, one: &[&[Unit]], other: &[&[Unit]], budget: &mut Budget) -> Verdict {
    if budget.is_spent() {
        return Verdict::Unknown;
    }
    let mut outside = Vec::new();
    for units in other {
        let mut areas = Vec::new();
        for unit in *units {
            match space.denied_areas(&unit.areas) {
                Ok(ways) => areas.extend(ways),
                Err(_) => return Verdict::Unknown,
            }
        }
        outside.push(Unit {
            id: String::new(),
            areas,
        });
    }
    let verdicts = one.iter().map(|units| {
        let units: Vec<&Unit> = units.iter().chain(&outside).collect();
        match space.search(&units, budget) {
            Outcome::Inhabited(_) => Verdict::Conflict,
            Outcome::Unknown(_) => Verdict::Unknown,
            Outcome::Empty => Verdict::Compatible,
        }
    });
    verdicts.min().unwrap_or(Verdict::Compatible)
}

/// What two policies permit in common, in words.
pub(super) fn intersection(space: &mut Space<'_>, a: &Policy, b: &Policy) -> Intersection {
    let (Ok(first), Ok(second)) = (granted::all(space, a), granted::all(space, b)) else {
        return Intersection::default();
    };
    let mut budget = Work::question(space.limits()).search;
    let mut found = Ways {
        seen: BTreeSet::new(),
        result: Intersection {
            ways: Vec::new(),
            exact: true,
        },
    };
    for one in &first {
        for other in &second {
            if found.is_full(budget) {
                found.result.exact = false;
                return found.result;
            }
            let units = [one.units(), other.units()].concat();
            found.descend(space, &mut Vec::new(), &units, &mut budget);
        }
    }
    found.result
}

struct Ways {
    seen: BTreeSet<Vec<String>>,
    result: Intersection,
}

impl Ways {
    const fn is_full(&self, budget: Budget) -> bool {
        self.result.ways.len() >= MAX_WAYS || budget.is_spent()
    }

    fn descend(&mut self, space: &Space<'_>, area: &mut Area, open: &[&Unit], budget: &mut Budget) {
        if self.is_full(*budget) {
            self.result.exact = false;
            return;
        }
        // Units with one way need no step of their own.
        let fixed = open.iter().take_while(|unit| unit.areas.len() == 1);
        let (fixed, open) = open.split_at(fixed.count());
        let before = area.len();
        area.extend(fixed.iter().flat_map(|unit| unit.areas.iter().flatten().copied()));
        match (space.solve(area, budget), open.split_first()) {
            (Outcome::Empty, _) => {}
            (outcome, None) => {
                self.result.exact &= matches!(outcome, Outcome::Inhabited(_));
                let way = in_words(space, area, budget);
                if self.seen.insert(way.clone()) {
                    self.result.ways.push(way);
                }
            }
            (_, Some((unit, rest))) => {
                for way in &unit.areas {
                    let here = area.len();
                    area.extend_from_slice(way);
                    self.descend(space, area, rest, budget);
                    area.truncate(here);
                }
            }
        }
        area.truncate(before);
    }
}

/// Each operand with what is left of it: points of a line together, names test by test.
fn in_words(space: &Space<'_>, area: &[Literal], budget: &mut Budget) -> Vec<String> {
    let regions = space.regions(area, budget).ok().flatten().unwrap_or_default();
    let mut by_axis: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for literal in area {
        if let (Some(axis), Some(test)) = (space.axis(*literal), space.test(*literal)) {
            by_axis.entry(axis).or_default().insert(words::test(test));
        }
    }
    let said = by_axis.into_iter().map(|(axis, tests)| {
        let together = regions
            .get(axis)
            .and_then(|region| region.as_ref().ok())
            .and_then(words::region);
        let text = together.unwrap_or_else(|| tests.into_iter().collect::<Vec<_>>().join(", and "));
        if axis.left == ORDER {
            text
        } else {
            format!("{axis} {text}")
        }
    });
    said.collect()
}
