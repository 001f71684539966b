//! What a policy says against itself: requests that a permission and a prohibition both cover, and rules that never apply.

use super::{
    answer::{Answer, Contradiction, Overlap, Request, Why},
    granted,
    search::Work,
    space::{Budget, Outcome, Space},
    units::Unit,
};
use crate::odrl::{Policy, Statement};

/// A rule and its units.
type Rule<'p> = (&'p Statement, Result<Vec<Unit>, Why>);

pub(super) fn contradiction(space: &mut Space<'_>, policy: &Policy) -> Contradiction {
    let mut work = Work::question();
    let mut read = |statement| -> Rule<'_> { (statement, space.units(statement)) };
    let permissions: Vec<Rule<'_>> = policy.permissions.iter().map(|one| read(&one.statement)).collect();
    let prohibitions: Vec<Rule<'_>> = policy.prohibitions.iter().map(|one| read(&one.statement)).collect();
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
    found.dead = dead(space, policy, &prohibitions);
    found
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
fn dead(space: &mut Space<'_>, policy: &Policy, prohibitions: &[Rule<'_>]) -> Vec<(String, Vec<String>)> {
    let mut work = Work::question();
    let mut dead = Vec::new();
    let mut ask = |space: &Space<'_>, id: &str, units: &[&Unit]| {
        if let Answer::Impossible(ids) = space.answer(units, &mut work) {
            dead.push((id.to_owned(), ids));
        }
    };
    for granted in granted::all(space, policy).unwrap_or_default() {
        ask(space, &granted.id, &granted.units());
    }
    for (statement, units) in prohibitions {
        if let Ok(units) = units {
            ask(space, &statement.id, &units.iter().collect::<Vec<_>>());
        }
    }
    dead
}
