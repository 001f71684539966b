//! How policies go together: is one satisfiable, does it contradict itself, is everything that it permits permitted by another, what do two have in
//! common. Conditions become areas (per operand a set of values); what cannot be told is "unknown", never a guess.
//!
//! A conflict is told only where it can be shown, and compatibility only with a request that satisfies both. Concepts that no vocabulary here
//! relates, units that differ, durations that do not compare and more cases than are looked at make the answer [`Verdict::Unknown`].
//!
//! What a policy permits is what its permissions cover and its prohibitions do not (under `perm` whatever its permissions cover). That a policy is
//! void because the two meet (`invalid`, ODRL 2.2 §2.10) is told by [`contradiction`].

mod answer;
mod codes;
mod concepts;
mod granted;
mod intervals;
mod laws;
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

pub use answer::{Answer, Contradiction, Fact, Intersection, Operand, Overlap, Request, Stated, Verdict, Why, Within};
pub use concepts::Concepts;
pub use report::{Comparison, report};

use super::{Conflict, Policy, Statement};
use space::{Budget, Space};
use units::Unit;

/// The first answer that there is such a request; else the first that nothing says; else all that stands in the way.
fn first_possible(answers: impl Iterator<Item = Answer>) -> Answer {
    let (mut reasons, mut unknown) = (Vec::new(), None);
    for answer in answers {
        match answer {
            Answer::Possible(request) => return Answer::Possible(request),
            Answer::Unknown(why) => drop(unknown.get_or_insert(why)),
            Answer::Impossible(ids) => reasons.extend(ids),
        }
    }
    let mut seen = Vec::new();
    reasons.retain(|id: &String| {
        !seen.contains(id) && {
            seen.push(id.clone());
            true
        }
    });
    unknown.map_or(Answer::Impossible(reasons), Answer::Unknown)
}

/// Whether the policy permits anything.
pub fn satisfiable(policy: &Policy, concepts: &Concepts) -> Answer {
    let mut space = Space::new(concepts);
    let mut budget = Budget::question();
    match granted::all(&mut space, policy) {
        Ok(granted) => first_possible(granted.iter().map(|one| space.answer(&one.units(), &mut budget))),
        Err(why) => Answer::Unknown(why),
    }
}

/// Whether there is a request that both policies permit. Operands of which only one speaks are free in the other.
pub fn compatible(a: &Policy, b: &Policy, concepts: &Concepts) -> Answer {
    let mut space = Space::new(concepts);
    let mut budget = Budget::question();
    let (first, second) = match (granted::all(&mut space, a), granted::all(&mut space, b)) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(why), _) | (_, Err(why)) => return Answer::Unknown(why),
    };
    let pairs = first
        .iter()
        .flat_map(|one| second.iter().map(move |other| (one, other)));
    first_possible(pairs.map(|(one, other)| {
        let units = [one.units(), other.units()].concat();
        space.answer(&units, &mut budget)
    }))
}

/// Where a permission and a prohibition of the policy meet, and which rules never apply.
pub fn contradiction(policy: &Policy, concepts: &Concepts) -> Contradiction {
    let mut space = Space::new(concepts);
    let mut budget = Budget::question();
    let mut found = Contradiction::default();
    for permission in &policy.permissions {
        for prohibition in &policy.prohibitions {
            let (of, against) = (&permission.statement, &prohibition.statement);
            let undecided = |why| (of.id.clone(), against.id.clone(), why);
            match meeting(&mut space, of, against, &mut budget) {
                Answer::Possible(request) => found.overlaps.push(Overlap {
                    permission: of.id.clone(),
                    prohibition: against.id.clone(),
                    request,
                }),
                Answer::Unknown(why) => found.undecided.push(undecided(why)),
                Answer::Impossible(_) => {}
            }
            if budget.is_spent() {
                return found;
            }
        }
    }
    found.dead = dead(&mut space, policy, &mut budget);
    found
}

/// A request that a permission and a prohibition both cover: the same action, or one that implies what is prohibited.
fn meeting(space: &mut Space<'_>, of: &Statement, against: &Statement, budget: &mut Budget) -> Answer {
    let (permitted, prohibited) = match (space.units(of), space.units(against)) {
        (Ok(permitted), Ok(prohibited)) => (permitted, prohibited),
        (Err(why), _) | (_, Err(why)) => return Answer::Unknown(why),
    };
    let units: Vec<&Unit> = permitted.iter().chain(&prohibited).collect();
    let direct = space.answer(&units, budget);
    let actions = of.action.as_ref().zip(against.action.as_ref());
    let implying = actions.map(|(of, against)| space.implying(&of.action, &against.action));
    let by_way = implying.into_iter().flatten().map(|action| {
        let asked = space.asked(&action);
        let others = prohibited.iter().filter(|unit| !space.is_action(unit));
        let units: Vec<&Unit> = permitted.iter().chain(others).chain([&asked]).collect();
        space.answer(&units, budget)
    });
    let by_way: Vec<Answer> = by_way.collect();
    first_possible(std::iter::once(direct).chain(by_way))
}

/// Rules that cannot apply, and permissions that prohibitions leave nothing of.
fn dead(space: &mut Space<'_>, policy: &Policy, budget: &mut Budget) -> Vec<(String, Vec<String>)> {
    let mut dead = Vec::new();
    let mut note = |id: &str, answer: Answer| {
        if let Answer::Impossible(ids) = answer {
            dead.push((id.to_owned(), ids));
        }
    };
    for granted in granted::all(space, policy).unwrap_or_default() {
        note(&granted.id, space.answer(&granted.units(), budget));
    }
    for prohibition in &policy.prohibitions {
        if let Ok(units) = space.units(&prohibition.statement) {
            let units: Vec<&Unit> = units.iter().collect();
            note(&prohibition.statement.id, space.answer(&units, budget));
        }
    }
    dead
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
