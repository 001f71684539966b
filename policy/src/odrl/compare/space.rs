//! All operands and tests of the policies that are compared, each once, so that a condition is two numbers and the same condition is the same
//! numbers; and the question that everything else comes down to: can these conditions hold together?

use super::{
    answer::Why,
    codes,
    concepts::{Concepts, Name},
    intervals::{Cut, Intervals},
    laws,
    lengths::Lengths,
    limits::Limits,
    names::{self, Ask, Left},
    test::{self, Axis, Place, Scale, Test},
    units::{ORDER, Unit},
};
use crate::odrl::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One condition: a test on an operand. `stated` is false where a request need not say anything of the operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Literal {
    pub(super) axis: usize,
    test: usize,
    stated: bool,
}

/// Conditions that hold together. What is not named is free.
pub(super) type Area = Vec<Literal>;

/// What is left of one operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Region {
    /// Points of a line.
    Line {
        scale: Scale,
        unit: Option<String>,
        set: Intervals,
    },
    /// Lengths of time of which only bounds are known.
    Lengths(Lengths),
    /// Moments that recur.
    Grid(laws::Grid),
    /// This name, or these together; empty for some name that nobody wrote.
    Names(BTreeSet<Name>),
    /// The request does not say.
    NotStated,
}

/// What is left of each operand, or why that is not known.
pub(super) type Regions = BTreeMap<Axis, Result<Region, Why>>;

/// One value for an operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pick {
    Value(Value, Option<String>),
    Names(BTreeSet<Name>),
    Grid(laws::Grid),
    NotStated,
}

/// Whether conditions can hold together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Certainly not.
    Empty,
    /// With these values they do.
    Inhabited(BTreeMap<Axis, Pick>),
    /// Nothing says.
    Unknown(Why),
}

/// How much may still be done before the answer is "unknown": conditions looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget(pub(super) usize);

impl Budget {
    pub(super) const fn is_spent(self) -> bool {
        self.0 == 0
    }

    pub(super) fn spend(&mut self, cost: usize) -> Result<(), Why> {
        self.0 = self.0.saturating_sub(cost);
        if self.0 == 0 { Err(Why::TooLarge) } else { Ok(()) }
    }
}

/// The operands and tests of the policies that are compared.
#[derive(Debug)]
pub(super) struct Space<'a> {
    pub(super) concepts: &'a Concepts,
    /// How many more conditions may be written out as areas.
    pub(super) writing: Budget,
    axes: Vec<Axis>,
    axis_numbers: BTreeMap<Axis, usize>,
    tests: Vec<Test>,
    test_numbers: BTreeMap<Test, usize>,
}

fn number<T: Ord + Clone>(item: T, items: &mut Vec<T>, numbers: &mut BTreeMap<T, usize>) -> usize {
    if let Some(number) = numbers.get(&item) {
        return *number;
    }
    let number = items.len();
    numbers.insert(item.clone(), number);
    items.push(item);
    number
}

impl<'a> Space<'a> {
    pub(super) const fn new(concepts: &'a Concepts) -> Self {
        Self {
            concepts,
            writing: Budget(concepts.limits().work),
            axes: Vec::new(),
            axis_numbers: BTreeMap::new(),
            tests: Vec::new(),
            test_numbers: BTreeMap::new(),
        }
    }

    pub(super) const fn limits(&self) -> Limits {
        self.concepts.limits()
    }

    pub(super) fn literal(&mut self, axis: Axis, test: Test) -> Literal {
        Literal {
            axis: number(axis, &mut self.axes, &mut self.axis_numbers),
            test: number(test, &mut self.tests, &mut self.test_numbers),
            stated: true,
        }
    }

    /// The condition that holds where this one does not; a request that says nothing of the operand fails the one and need not pass this.
    pub(super) fn denied(&mut self, literal: Literal) -> Option<Literal> {
        let test = self.tests.get(literal.test)?.denied();
        Some(Literal {
            test: number(test, &mut self.tests, &mut self.test_numbers),
            stated: false,
            ..literal
        })
    }

    /// The same condition, of an operand that is spoken of.
    pub(super) const fn stated(literal: Literal) -> Literal {
        Literal {
            stated: true,
            ..literal
        }
    }

    /// The same units where it is enough that they are not known to fail. What is done, to what and by whom is always said.
    pub(super) fn not_failing(&self, units: &[Unit]) -> Vec<Unit> {
        let mut units = units.to_vec();
        units.iter_mut().for_each(|unit| self.loosen(&mut unit.areas));
        units
    }

    /// The same for areas.
    pub(super) fn loosen(&self, areas: &mut [Area]) {
        for literal in areas.iter_mut().flatten() {
            literal.stated = self.axis(*literal).is_some_and(|axis| axis.left.is_empty());
        }
    }

    pub(super) fn axis(&self, literal: Literal) -> Option<&Axis> {
        self.axes.get(literal.axis)
    }

    pub(super) fn test(&self, literal: Literal) -> Option<&Test> {
        self.tests.get(literal.test)
    }

    /// What is left of each operand, without what joins operands; the first that is empty ends it.
    pub(super) fn regions(&self, area: &[Literal], budget: &mut Budget) -> Result<Option<Regions>, Why> {
        budget.spend(area.len() + 1)?;
        let mut sorted = area.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut regions = BTreeMap::new();
        for group in sorted.chunk_by(|one, other| one.axis == other.axis) {
            let Some(axis) = group.first().and_then(|literal| self.axis(*literal)) else {
                continue;
            };
            let stated = group.iter().any(|literal| literal.stated);
            if stated && self.denies_itself(group) {
                return Ok(None);
            }
            let mut tests: Vec<&Test> = group.iter().filter_map(|literal| self.test(*literal)).collect();
            tests.dedup();
            match self.region(axis, &tests, stated, budget) {
                Ok(None) => return Ok(None),
                Ok(Some(region)) => regions.insert(axis.clone(), Ok(region)),
                Err(why) => regions.insert(axis.clone(), Err(why)),
            };
        }
        Ok(Some(regions))
    }

    /// Whether a test and its denial are both among the conditions on one operand. Of points their intersection says it.
    fn denies_itself(&self, group: &[Literal]) -> bool {
        let has = |number: usize| group.binary_search_by_key(&number, |literal| literal.test).is_ok();
        group.len() > 1
            && group.iter().any(|literal| match self.test(*literal) {
                None | Some(Test::Line { .. }) => false,
                Some(test) => self.test_numbers.get(&test.denied()).copied().is_some_and(has),
            })
    }

    /// Whether the conditions of an area can hold together.
    pub(super) fn solve(&self, area: &[Literal], budget: &mut Budget) -> Outcome {
        match self.regions(area, budget) {
            Ok(Some(regions)) => laws::settle(regions, self.concepts.enforced()),
            Ok(None) => Outcome::Empty,
            Err(why) => Outcome::Unknown(why),
        }
    }

    /// What the tests leave of one operand; nothing when they leave nothing.
    fn region(&self, axis: &Axis, tests: &[&Test], stated: bool, budget: &mut Budget) -> Result<Option<Region>, Why> {
        let order = axis.left == ORDER;
        let in_order = tests.len() == 1
            && tests
                .iter()
                .all(|test| matches!(test, Test::Opaque { holds: true, .. }));
        if order && in_order || !order && !stated {
            return Ok(Some(Region::NotStated));
        }
        let told = axis.place == Place::World && self.concepts.is_held(&axis.left);
        let (mut lines, mut asks, mut grids, mut opaque) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for test in tests {
            match test {
                Test::Line { scale, unit, set } => lines.push((*scale, unit, set)),
                Test::Names { how, names, holds } => asks.push(Ask {
                    how: *how,
                    names,
                    holds: *holds,
                    told,
                }),
                Test::Every {
                    period,
                    anchor,
                    width,
                    holds: true,
                } => grids.push(laws::Grid::new(*period, *anchor, *width)),
                Test::Every { holds: false, .. } => opaque.push("what lies between recurring moments is not compared"),
                Test::Opaque { why, .. } => opaque.push(*why),
            }
        }
        let unclear = |why: &str| Why::NotUnderstood {
            operand: axis.to_string(),
            why: why.to_owned(),
        };
        // What is certainly empty is so whatever else is asked.
        let known = match (lines.as_slice(), asks.as_slice(), grids.as_slice()) {
            ([], [], []) => None,
            (_, [], []) => Some(points(axis, &lines, self.concepts.enforced())),
            ([], _, []) => Some(self.named(axis, &asks, budget)),
            ([], [], _) => Some(laws::Grid::common(&grids).map(|grid| grid.map(Region::Grid))),
            _ => Some(Err("values of different kinds")),
        };
        match (known, opaque.first().copied()) {
            (Some(Ok(None)), _) => Ok(None),
            (Some(Err(why)), _) | (_, Some(why)) => Err(unclear(why)),
            (Some(Ok(region)), None) => Ok(region),
            (None, None) => Ok(Some(Region::NotStated)),
        }
    }

    /// Whether a request may state several names of the operand at once.
    fn holds_several(&self, axis: &Axis) -> bool {
        axis.place == Place::World && self.concepts.holds_several(&axis.left)
    }

    fn named(&self, axis: &Axis, asks: &[Ask<'_>], budget: &mut Budget) -> Result<Option<Region>, &'static str> {
        let left = if self.holds_several(axis) {
            let kind = |name| codes::kind(&axis.left, name);
            names::solve_by_kind(asks, self.concepts, kind, &mut budget.0)
        } else {
            names::solve(asks, self.concepts, false, &mut budget.0)
        };
        match left {
            Left::Nothing => Ok(None),
            Left::Passes(names) => Ok(Some(Region::Names(names))),
            Left::Unknown if axis.left.is_empty() => {
                Err("nothing says whether these are the same, or one a part of the other")
            }
            Left::Unknown => Err("no vocabulary here says whether these names have anything in common"),
        }
    }
}

type Line<'a> = (Scale, &'a Option<String>, &'a Intervals);

/// The points that all lines leave. Times of which only some have a zone are compared under all zones that the others may be in.
fn points(axis: &Axis, lines: &[Line<'_>], enforced: bool) -> Result<Option<Region>, &'static str> {
    let Some((scale, unit, _)) = lines.first().copied() else {
        return Ok(Some(Region::NotStated));
    };
    if lines.iter().any(|(_, other, _)| *other != unit) {
        return Err("the units differ");
    }
    let timed = |scale: Scale| matches!(scale, Scale::Time(_));
    let mixed = lines.iter().any(|(other, ..)| *other != scale);
    let lasting = |scale: Scale| matches!(scale, Scale::Months | Scale::Span);
    if mixed && unit.is_none() && lines.iter().all(|(scale, ..)| lasting(*scale)) {
        return Ok(lengths(axis, lines, enforced));
    }
    if mixed && !lines.iter().all(|(scale, ..)| timed(*scale)) {
        return Err("values of different kinds");
    }
    let common = |hours: i128| {
        let moved = lines.iter().map(|(scale, _, set)| match scale {
            Scale::Time(false) if mixed => set.shifted(hours * 3_600_000_000_000),
            _ => (*set).clone(),
        });
        within_domain(axis, Intervals::intersect_all(moved.collect()), scale, enforced)
    };
    let set = common(0);
    // XML Schema 1.1 §3.3.7: without a zone a time lies anywhere within 14 hours of UTC.
    if mixed
        && [-14, 14]
            .iter()
            .any(|hours| common(*hours).is_empty() != set.is_empty())
    {
        return Err("one time has no zone, and it depends on the zone");
    }
    let scale = if mixed { Scale::Time(true) } else { scale };
    let unit = unit.clone();
    Ok((!set.is_empty()).then_some(Region::Line { scale, unit, set }))
}

/// What lengths of time leave of which some are told in months and some in days.
fn lengths(axis: &Axis, lines: &[Line<'_>], enforced: bool) -> Option<Region> {
    let told = |wanted: Scale| {
        let sets = lines.iter().filter(|(scale, ..)| *scale == wanted);
        let set = Intervals::intersect_all(sets.map(|(.., set)| (*set).clone()).collect());
        within_domain(axis, set, wanted, enforced)
    };
    let (months, days) = (told(Scale::Months), told(Scale::Span));
    Lengths::of_months(&months).within(&days).map(Region::Lengths)
}

/// The values that an operand can have. Where our profile is enforced, the use in question is counted itself.
fn within_domain(axis: &Axis, set: Intervals, scale: Scale, enforced: bool) -> Intervals {
    let least = match axis.left.as_str() {
        "count" if enforced => Some(test::step(scale)),
        left => test::is_never_negative(left).then_some(0),
    };
    let set = match least {
        Some(least) => set.intersect(&Intervals::from(Cut::before(least))),
        None => set,
    };
    if test::is_whole(&axis.left) {
        set.whole(test::step(scale))
    } else {
        set
    }
}
