//! What a policy says against itself: requests that a permission and a prohibition both cover, and rules that never apply.

use super::{
    answer::{Answer, Contradiction, Overlap, Request, Why},
    granted,
    search::Work,
    space::{Budget, Outcome, Space},
    units::{Side, Unit},
};
use crate::odrl::{Conflict, Policy, Statement};

/// A rule and its units.
type Rule<'p> = (&'p Statement, Result<Vec<Unit>, Why>);

pub(super) fn contradiction(space: &mut Space<'_>, policy: &Policy) -> Contradiction {
    Contradiction {
        dead: dead(space, policy),
        ..overlaps(space, policy)
    }
}

fn prohibitions<'p>(space: &mut Space<'_>, policy: &'p Policy) -> Vec<Rule<'p>> {
    let statements = policy.prohibitions.iter().map(|one| &one.statement);
    statements
        .map(|statement| (statement, space.units(statement, Side::Prohibits)))
        .collect()
}

/// Where permissions and prohibitions meet.
fn overlaps(space: &mut Space<'_>, policy: &Policy) -> Contradiction {
    let mut work = Work::question(space.limits());
    let statements = policy.permissions.iter().map(|one| &one.statement);
    let permissions: Vec<Rule<'_>> = statements
        .map(|statement| (statement, space.units(statement, Side::Permits)))
        .collect();
    let prohibitions = prohibitions(space, policy);
    let mut found = Contradiction::default();
    'all: for permission in &permissions {
        for prohibition in &prohibitions {
            let (of, against) = (&permission.0.id, &prohibition.0.id);
            match meeting(space, permission, prohibition, &mut work.search) {
                Outcome::Inhabited(picks) => found.overlaps.push(Overlap {
                    permission: of.clone(),
                    prohibition: against.clone(),
                    request: Request::of(&picks),
                }),
                Outcome::Unknown(why) => found.undecided.push((of.clone(), against.clone(), why)),
                Outcome::Empty => {}
            }
            if work.search.is_spent() {
                break 'all;
            }
        }
    }
    found
}

/// The permission and the prohibition by which the policy is void, if it is: its strategy is `invalid`, and a request lies in both. Where our
/// profile is enforced prohibitions win, because an agreement of the Dataspace Protocol names no strategy.
pub(super) fn voids(space: &mut Space<'_>, policy: &Policy) -> Result<Option<[String; 2]>, Why> {
    if policy.conflict != Conflict::Invalid || policy.prohibitions.is_empty() || space.concepts.enforced() {
        return Ok(None);
    }
    let found = overlaps(space, policy);
    let first = found.overlaps.into_iter().next();
    match (first, found.undecided.into_iter().next()) {
        (
            Some(Overlap {
                permission,
                prohibition,
                ..
            }),
            _,
        ) => Ok(Some([permission, prohibition])),
        (None, Some((_, _, why))) => Err(why),
        (None, None) => Ok(None),
    }
}

/// A request that a permission and a prohibition both cover: the same action, or one that implies what is prohibited.
fn meeting(space: &mut Space<'_>, permission: &Rule<'_>, prohibition: &Rule<'_>, budget: &mut Budget) -> Outcome {
    let ((of, permitted), (against, prohibited)) = (permission, prohibition);
    let (permitted, prohibited) = match (permitted, prohibited) {
        (Ok(permitted), Ok(prohibited)) => (permitted, prohibited),
        (Err(why), _) | (_, Err(why)) => return Outcome::Unknown(why.clone()),
    };
    let units: Vec<&Unit> = permitted.iter().chain(prohibited).collect();
    let mut answer = space.search(&units, budget);
    let (Some(of), Some(against)) = (&of.action, &against.action) else {
        return answer;
    };
    for action in space.implying(&of.action, &against.action) {
        if let Outcome::Inhabited(_) = answer {
            break;
        }
        let asked = space.asked(&action);
        let others = prohibited.iter().filter(|unit| !space.is_action(unit));
        let units: Vec<&Unit> = permitted.iter().chain(others).chain([&asked]).collect();
        match space.search(&units, budget) {
            Outcome::Empty => {}
            other => answer = other,
        }
    }
    answer
}

/// Rules that cannot apply, and permissions that prohibitions leave nothing of, each with the ids of what sees to it.
fn dead(space: &mut Space<'_>, policy: &Policy) -> Vec<(String, Vec<String>)> {
    let prohibitions = prohibitions(space, policy);
    let mut work = Work::question(space.limits());
    let mut dead = Vec::new();
    let mut ask = |space: &Space<'_>, id: &str, units: &[&Unit]| {
        if let Answer::Impossible(ids) = space.answer(units, &mut work) {
            dead.push((id.to_owned(), ids));
        }
    };
    for granted in granted::each(space, policy).unwrap_or_default() {
        ask(space, &granted.id, &granted.units());
    }
    for (statement, units) in &prohibitions {
        if let Ok(units) = units {
            ask(space, &statement.id, &units.iter().collect::<Vec<_>>());
        }
    }
    dead
}
