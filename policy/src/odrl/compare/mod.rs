//! How policies go together: is one satisfiable, does it contradict itself, is everything that it permits permitted by another, what do two have in
//! common. Conditions become areas (per operand a set of values); what cannot be told is "unknown", never a guess.
//!
//! A conflict is told only where it can be shown, and compatibility only with a request that satisfies both. Concepts that no vocabulary here
//! relates, units that differ, durations that do not compare and more cases than are looked at make the answer [`Verdict::Unknown`].
//!
//! What a policy permits is what its permissions cover and its prohibitions do not; under `perm` whatever its permissions cover; under `invalid`
//! nothing if the two meet (ODRL 2.2 §2.10).
//!
//! [`Concepts::new`] reads operands as ODRL describes them: each has one value, so `isAllOf` is membership. [`Concepts::profile`] reads them as our
//! profile enforces them: then `eq` of a length of time means within it, operands may hold several names, prohibitions win, those of what handing
//! over consists of cover every action, and what is told here holds for what this connector decides.

mod answer;
mod codes;
mod concepts;
mod contradiction;
mod events;
mod granted;
mod intervals;
mod laws;
mod lengths;
mod limits;
mod names;
mod operands;
mod profile;
mod report;
mod same;
mod search;
mod space;
mod test;
mod units;
mod within;
mod words;

#[cfg(test)]
mod tests;

pub(crate) use codes::{containing, spelling};

pub use answer::{Answer, Contradiction, Fact, Intersection, Operand, Overlap, Request, Stated, Verdict, Why, Within};
pub use concepts::Concepts;
pub use report::{Comparison, report};

use super::{Conflict, Policy, Prohibition};
use granted::Granted;
use search::Work;
use space::{Outcome, Space};
use std::collections::BTreeSet;
use units::{Side, Unit};

/// The first answer that there is such a request; else the first that nothing says; else all that stands in the way.
fn first_possible<'u>(space: &Space<'_>, ways: impl Iterator<Item = Vec<&'u Unit>>) -> Answer {
    let mut work = Work::question(space.limits());
    let (mut reasons, mut seen, mut unknown) = (Vec::new(), BTreeSet::new(), None);
    for units in ways {
        match space.answer(&units, &mut work) {
            Answer::Possible(request) => return Answer::Possible(request),
            Answer::Unknown(why) => drop(unknown.get_or_insert(why)),
            Answer::Impossible(ids) => reasons.extend(ids.into_iter().filter(|id| seen.insert(id.clone()))),
        }
        if work.search.is_spent() {
            return Answer::Unknown(unknown.unwrap_or(Why::TooLarge));
        }
    }
    unknown.map_or(Answer::Impossible(reasons), Answer::Unknown)
}

/// Whether the policy permits anything.
pub fn satisfiable(policy: &Policy, concepts: &Concepts) -> Answer {
    let mut space = Space::new(concepts);
    match granted::all(&mut space, policy) {
        Ok(granted) => first_possible(&space, granted.iter().map(Granted::units)),
        Err(why) => Answer::Unknown(why),
    }
}

/// Whether there is a request that both policies permit. Operands of which only one speaks are free in the other.
pub fn compatible(a: &Policy, b: &Policy, concepts: &Concepts) -> Answer {
    let mut space = Space::new(concepts);
    let (first, second) = match (granted::all(&mut space, a), granted::all(&mut space, b)) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(why), _) | (_, Err(why)) => return Answer::Unknown(why),
    };
    let pairs = first
        .iter()
        .flat_map(|one| second.iter().map(move |other| [one.units(), other.units()].concat()));
    first_possible(&space, pairs)
}

/// The ids of the prohibitions of one policy that cover something which another permits, each with a request that shows it. All of them together
/// are one question: how many there are, the other policy says.
pub fn opposed<'p>(permitting: &Policy, prohibiting: &'p Policy, concepts: &Concepts) -> Vec<(&'p str, Request)> {
    let mut space = Space::new(concepts);
    let Ok(granted) = granted::all(&mut space, permitting) else {
        return Vec::new();
    };
    let mut budget = Work::question(space.limits()).search;
    let mut found = Vec::new();
    for Prohibition { statement, .. } in &prohibiting.prohibitions {
        let Ok(prohibited) = space.units(statement, Side::Prohibits) else {
            continue;
        };
        let request = granted.iter().find_map(|one| {
            let units: Vec<&Unit> = one.units().into_iter().chain(&prohibited).collect();
            match space.search(&units, &mut budget) {
                Outcome::Inhabited(picks) => Some(Request::of(&picks)),
                Outcome::Empty | Outcome::Unknown(_) => None,
            }
        });
        found.extend(request.map(|request| (statement.id.as_str(), request)));
        if budget.is_spent() {
            break;
        }
    }
    found
}

/// Where a permission and a prohibition of the policy meet, and which rules never apply.
pub fn contradiction(policy: &Policy, concepts: &Concepts) -> Contradiction {
    contradiction::contradiction(&mut Space::new(concepts), policy)
}

/// Whether everything that `c` permits is permitted by `o`, which the duties of `o` are a part of: `c` has to keep them.
pub fn within(c: &Policy, o: &Policy, concepts: &Concepts) -> Within {
    within::within(&mut Space::new(concepts), c, o)
}

/// What two policies say of each operand that one of them speaks of, looked at alone.
pub fn operands(a: &Policy, b: &Policy, concepts: &Concepts) -> Vec<Operand> {
    operands::operands(&mut Space::new(concepts), a, b)
}

/// What two policies permit in common, in words.
pub fn intersection(a: &Policy, b: &Policy, concepts: &Concepts) -> Intersection {
    operands::intersection(&mut Space::new(concepts), a, b)
}
