//! Which names pass several tests on one operand. Certain is only what the vocabularies say: a name passes where each test is known to hold of
//! it, and none does where that can be shown. An operand has one name, unless a test asks for exactly several or the caller says that it may
//! have several.

use super::{
    codes::{self, Scheme},
    concepts::{Concepts, Name},
    test::How,
};
use crate::Truth;
use std::collections::{BTreeMap, BTreeSet};

/// A test on names and whether it is to hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) how: How,
    pub(super) names: &'a BTreeSet<Name>,
    pub(super) holds: bool,
    /// As our profile enforces operands of several names: what contains a name is known by its code or by what was told, so that a name that is
    /// not known to lie below another may still do so; and what a name contains is not known at all.
    pub(super) told: bool,
}

/// What is left of an operand under all tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Left {
    /// Certainly nothing.
    Nothing,
    /// These together pass; at least one.
    Passes(BTreeSet<Name>),
    /// Nothing says.
    Unknown,
}

fn all(mut parts: impl Iterator<Item = Truth>) -> Truth {
    parts
        .try_fold(Truth::True, |least, part| {
            (part != Truth::False).then_some(least.min(part))
        })
        .unwrap_or(Truth::False)
}

fn any(mut parts: impl Iterator<Item = Truth>) -> Truth {
    parts
        .try_fold(Truth::False, |most, part| {
            (part != Truth::True).then_some(most.max(part))
        })
        .unwrap_or(Truth::True)
}

impl Ask<'_> {
    /// Whether this test takes one name for a part of another.
    fn below(&self, name: &Name, wider: &Name, concepts: &Concepts) -> Truth {
        let coded = self.how == How::Below && matches!(name.scheme, Scheme::Place | Scheme::Language);
        let found = if self.told && !coded {
            Truth::from(name == wider)
        } else {
            concepts.is_below(name, wider)
        };
        if self.told { found.max(Truth::Unknown) } else { found }
    }

    /// Whether the test holds of an operand that has these names.
    fn of(&self, found: &BTreeSet<Name>, concepts: &Concepts) -> Truth {
        let same = |one: &Name, other: &Name| concepts.same(one, other);
        let among = |name: &Name, names: &BTreeSet<Name>| {
            // Of long lists most are in it by their spelling.
            if names.contains(name) {
                return Truth::True;
            }
            any(names.iter().map(|other| same(name, other)))
        };
        let asked = match self.how {
            How::Any => any(found.iter().map(|name| among(name, self.names))),
            How::All => all(self.names.iter().map(|name| among(name, found))),
            How::Exactly if found.len() == 1 && self.names.len() > 1 => Truth::False,
            How::Exactly => all(self
                .names
                .iter()
                .map(|name| among(name, found))
                .chain(found.iter().map(|name| among(name, self.names)))),
            How::Below => any(found
                .iter()
                .flat_map(|name| self.names.iter().map(|wider| self.below(name, wider, concepts)))),
            How::Above => all(self
                .names
                .iter()
                .map(|part| any(found.iter().map(|name| self.below(part, name, concepts))))),
        };
        // What is excluded by its name leaves every other name that is known.
        let known = || found.iter().chain(self.names).all(|name| concepts.knows(name));
        match (self.holds, asked) {
            (true, asked) => asked,
            (false, Truth::Unknown) if (self.how == How::Any || self.is_one(found)) && known() => Truth::True,
            (false, asked) => !asked,
        }
    }

    /// Whether it asks for exactly one name, of an operand that has one.
    fn is_one(&self, found: &BTreeSet<Name>) -> bool {
        self.how == How::Exactly && self.names.len() == 1 && found.len() == 1
    }
}

/// What passes all tests on an operand that may have several names at once, but of one kind only: for each kind that the tests speak of, what
/// passes without the names of the others.
pub(super) fn solve_by_kind<'n>(
    asks: &[Ask<'n>],
    concepts: &Concepts,
    kind: impl Fn(&'n Name) -> Option<&'n str>,
    budget: &mut usize,
) -> Left {
    let mut kinds: BTreeMap<&str, BTreeSet<Name>> = BTreeMap::new();
    for name in asks.iter().flat_map(|ask| ask.names) {
        if let Some(kind) = kind(name) {
            kinds.entry(kind).or_default().insert(name.clone());
        }
    }
    if kinds.len() < 2 {
        return solve(asks, concepts, true, budget);
    }
    let mut left = Left::Nothing;
    for kept in kinds.keys() {
        if *budget == 0 {
            return Left::Unknown;
        }
        let others = kinds.iter().filter(|(kind, _)| *kind != kept);
        let others: BTreeSet<Name> = others.flat_map(|(_, names)| names.iter().cloned()).collect();
        let without = Ask {
            how: How::Any,
            names: &others,
            holds: false,
            told: true,
        };
        let asks: Vec<Ask<'_>> = asks.iter().copied().chain([without]).collect();
        match solve(&asks, concepts, true, budget) {
            Left::Passes(found) => return Left::Passes(found),
            Left::Unknown => left = Left::Unknown,
            Left::Nothing => {}
        }
    }
    left
}

/// What passes all tests. `several` is true of an operand that may have several names at once. `budget` goes down with the work.
pub(super) fn solve(asks: &[Ask<'_>], concepts: &Concepts, several: bool, budget: &mut usize) -> Left {
    let exactly = |ask: &Ask<'_>| ask.holds && ask.how == How::Exactly && ask.names.len() > 1;
    let exactly_several = asks.iter().any(exactly);
    let several = exactly_several || several && counted(asks).is_empty();
    let asked_together = several
        && asks
            .iter()
            .any(|ask| ask.holds && matches!(ask.how, How::All | How::Exactly));
    let mut tries = if asked_together {
        Vec::new()
    } else {
        singles(asks, concepts)
    };
    // Where tests only exclude, the name that nobody wrote passes them all.
    if asks.iter().all(|ask| !ask.holds) {
        tries.reverse();
    }
    if several {
        tries.extend(sets(asks, concepts).into_iter().filter(|set| !set.is_empty()));
    }
    let mut spend = |cost: usize| {
        *budget = budget.saturating_sub(cost);
        *budget > 0
    };
    let size: usize = asks.iter().map(|ask| ask.names.len()).sum();
    for found in tries {
        if !spend(size) {
            return Left::Unknown;
        }
        if asks.iter().all(|ask| ask.of(&found, concepts) == Truth::True) {
            return Left::Passes(found);
        }
    }
    if !spend(size.saturating_mul(asks.len().min(64))) {
        return Left::Unknown;
    }
    let nothing = if several {
        no_set(asks, concepts)
    } else {
        no_single(asks, concepts)
    };
    if nothing { Left::Nothing } else { Left::Unknown }
}

/// The names worth trying: those that are written, what lies below or above them where that is asked for, and one that nobody wrote.
fn singles(asks: &[Ask<'_>], concepts: &Concepts) -> Vec<BTreeSet<Name>> {
    let mut found = BTreeSet::new();
    for ask in asks {
        for name in ask.names {
            match (ask.holds, ask.how) {
                (true, How::Below) => found.extend(concepts.all_below(name)),
                (true, How::Above) => found.extend(concepts.above(name)),
                _ => drop(found.insert(name.clone())),
            }
        }
    }
    // Where all names can be counted, there is none that nobody wrote.
    let counted = counted(asks);
    let fresh = counted.is_empty().then(|| Name {
        scheme: Scheme::Fresh,
        text: String::new(),
    });
    found.extend(counted);
    found
        .into_iter()
        .chain(fresh)
        .map(|name| BTreeSet::from([name]))
        .collect()
}

/// The one set that has to be tried: what must be in it, and then one name for each test that it does not pass yet.
fn sets(asks: &[Ask<'_>], concepts: &Concepts) -> Vec<BTreeSet<Name>> {
    let of = |how| asks.iter().filter(move |ask| ask.holds && ask.how == how);
    if let Some(exactly) = of(How::Exactly).next() {
        return vec![exactly.names.clone()];
    }
    let mut found: BTreeSet<Name> = of(How::All).flat_map(|ask| ask.names.iter().cloned()).collect();
    for ask in asks.iter().filter(|ask| ask.holds) {
        if ask.of(&found, concepts) == Truth::True {
            continue;
        }
        let passes = |name: &&Name| {
            let one = BTreeSet::from([(*name).clone()]);
            let denied = asks.iter().filter(|ask| !ask.holds);
            denied.into_iter().all(|ask| ask.of(&one, concepts) == Truth::True)
        };
        found.extend(ask.names.iter().find(passes).cloned());
    }
    vec![found]
}

/// Whether it can be shown that no set of names passes: with any name that has to be in it, it fails a test that more names do not mend.
fn no_set(asks: &[Ask<'_>], concepts: &Concepts) -> bool {
    let positive = |how| asks.iter().filter(move |ask| ask.holds && ask.how == how);
    if let Some(exactly) = positive(How::Exactly).next() {
        return asks.iter().any(|ask| ask.of(exactly.names, concepts) == Truth::False);
    }
    let denied = || asks.iter().filter(|ask| !ask.holds);
    let lasting = || denied().filter(|ask| ask.how != How::Exactly);
    let fails = |names: &BTreeSet<Name>| lasting().any(|ask| ask.of(names, concepts) == Truth::False);
    let required: BTreeSet<Name> = positive(How::All).flat_map(|ask| ask.names.iter().cloned()).collect();
    fails(&required)
        || positive(How::Any).any(|ask| ask.names.iter().all(|name| fails(&BTreeSet::from([name.clone()]))))
        || asks
            .iter()
            .any(|one| one.holds && denied().any(|other| exclude(one, other, concepts)))
}

/// Whether it can be shown that no single name passes.
fn no_single(asks: &[Ask<'_>], concepts: &Concepts) -> bool {
    let counted = counted(asks);
    let mut names = asks.iter().flat_map(|ask| ask.names);
    let all_counted = !counted.is_empty() && names.all(|name| counted.contains(name));
    let choices = asks.iter().filter_map(|ask| choices(ask, concepts));
    let choices = choices.chain(all_counted.then_some(counted));
    let shortest = choices.min_by_key(BTreeSet::len);
    let none_of = |choices: BTreeSet<Name>| {
        choices.into_iter().all(|name| {
            let one = BTreeSet::from([name]);
            asks.iter().any(|ask| ask.of(&one, concepts) == Truth::False)
        })
    };
    shortest.is_some_and(none_of)
        || asks
            .iter()
            .any(|one| one.holds && asks.iter().any(|other| exclude(one, other, concepts)))
}

/// All names of the schemes that the tests speak of and that can be counted.
fn counted(asks: &[Ask<'_>]) -> BTreeSet<Name> {
    let schemes: BTreeSet<Scheme> = asks.iter().flat_map(|ask| ask.names).map(|name| name.scheme).collect();
    schemes.into_iter().flat_map(codes::counted).collect()
}

/// All names that a test leaves, where they can be counted.
fn choices(ask: &Ask<'_>, concepts: &Concepts) -> Option<BTreeSet<Name>> {
    match (ask.holds, ask.how) {
        (true, How::Any) => Some(ask.names.clone()),
        // What is each of these is the first of them.
        (true, How::Exactly | How::All) => ask.names.first().map(|name| BTreeSet::from([name.clone()])),
        (true, How::Above) => {
            let part = ask.names.iter().find(|name| concepts.complete_above(name))?;
            Some(concepts.above(part))
        }
        _ => None,
    }
}

/// Whether a test that holds leaves nothing to another, by what is known of the names in them.
fn exclude(one: &Ask<'_>, other: &Ask<'_>, concepts: &Concepts) -> bool {
    let below = |name: &Name, wider: &Name, truth| other.below(name, wider, concepts) == truth;
    match (one.how, other.how, other.holds) {
        (How::Below, How::Below, true) => one
            .names
            .iter()
            .all(|name| other.names.iter().all(|beside| concepts.disjoint(name, beside))),
        (How::Below, How::Below, false) => one
            .names
            .iter()
            .all(|name| other.names.iter().any(|wider| below(name, wider, Truth::True))),
        (How::Below, How::Above, true) => other
            .names
            .iter()
            .any(|part| one.names.iter().all(|wider| below(part, wider, Truth::False))),
        (How::Above, How::Above, false) => other
            .names
            .iter()
            .all(|part| one.names.iter().any(|name| below(part, name, Truth::True))),
        _ => false,
    }
}
