//! Is everything that one policy permits permitted by another? It is where nothing is left of it outside the permissions whose duties it keeps, and
//! nothing of it lies in a prohibition.

use super::{
    answer::{Request, Why, Within},
    granted::{self, Granted},
    same,
    space::{Budget, Outcome, Space},
    units::Unit,
};
use crate::{
    Truth,
    odrl::{Conflict, Duty, Policy, Statement},
};

/// Asks it for each permission of `c`.
pub(super) fn within(space: &mut Space<'_>, c: &Policy, o: &Policy) -> Within {
    let mut budget = Budget::question();
    let granted = match granted::all(space, c) {
        Ok(granted) => granted,
        Err(why) => return Within::Unknown(why),
    };
    let mut unknown = None;
    for one in &granted {
        match permitted(space, one, (c, o), &mut budget) {
            Within::No { request, because } => return Within::No { request, because },
            Within::Unknown(why) => drop(unknown.get_or_insert(why)),
            Within::Yes => {}
        }
    }
    unknown.map_or(Within::Yes, Within::Unknown)
}

fn permitted(space: &mut Space<'_>, one: &Granted<'_>, (c, o): (&Policy, &Policy), budget: &mut Budget) -> Within {
    let promised: Vec<&Duty> = one.permission.duties.iter().chain(&c.obligations).collect();
    let keeps = |duty: &Duty| {
        promised
            .iter()
            .map(|other| same_duty(other, duty))
            .max()
            .unwrap_or(Truth::False)
    };
    let kept = |duties: &[Duty]| duties.iter().map(keeps).min().unwrap_or(Truth::True);
    let obliged = o.obligations.iter().find(|duty| keeps(duty) != Truth::True);
    let (mut outside, mut unkept, mut unsure) = (Vec::new(), Vec::new(), Vec::new());
    for permission in &o.permissions {
        match kept(&permission.duties) {
            Truth::True => match space.denied_rule(&permission.statement, false) {
                Ok(unit) => outside.push(unit),
                Err(why) => return Within::Unknown(why),
            },
            Truth::Unknown => unsure.push(permission.statement.id.as_str()),
            Truth::False => unkept.push(permission.statement.id.as_str()),
        }
    }
    let units: Vec<&Unit> = one.units().into_iter().chain(&outside).collect();
    let because = match unkept.first() {
        Some(id) => format!("no permission whose duties are kept covers it; those of {id} are not kept"),
        None => "no permission covers it".to_owned(),
    };
    let mut verdict = match space.search(&units, budget) {
        Outcome::Inhabited(_) if !unsure.is_empty() => Within::Unknown(duty_unclear(&unsure.join(", "))),
        Outcome::Inhabited(picks) => return no(Request::of(&picks), because),
        Outcome::Unknown(why) => Within::Unknown(why),
        Outcome::Empty => Within::Yes,
    };
    if o.conflict != Conflict::Perm {
        for prohibition in &o.prohibitions {
            match prohibited(space, one, &prohibition.statement, budget) {
                Within::Yes => {}
                Within::Unknown(why) if verdict == Within::Yes => verdict = Within::Unknown(why),
                Within::Unknown(_) => {}
                no => return no,
            }
        }
    }
    match obliged {
        // Whatever it permits lacks the obligation; where it permits nothing there is nothing to lack.
        Some(duty) => match space.search(&one.units(), budget) {
            Outcome::Empty => verdict,
            Outcome::Inhabited(picks) if keeps(duty) == Truth::False => no(
                Request::of(&picks),
                format!("the obligation {} is not kept", duty.statement.id),
            ),
            _ => Within::Unknown(duty_unclear(&duty.statement.id)),
        },
        None => verdict,
    }
}

const fn no(request: Request, because: String) -> Within {
    Within::No { request, because }
}

fn duty_unclear(ids: &str) -> Why {
    Why::NotUnderstood {
        operand: ids.to_owned(),
        why: "duties of the same action whose other terms differ are not compared".to_owned(),
    }
}

/// Whether anything that is granted lies in a prohibition, or is not certain to lie outside it because it leaves something unsaid.
fn prohibited(space: &mut Space<'_>, one: &Granted<'_>, against: &Statement, budget: &mut Budget) -> Within {
    let units = match space.units(against) {
        Ok(units) => units,
        Err(why) => return Within::Unknown(why),
    };
    let unfailing = space.not_failing(&units);
    let mut verdict = Within::Yes;
    for units in [&units, &unfailing] {
        let all: Vec<&Unit> = one.units().into_iter().chain(units).collect();
        match space.search(&all, budget) {
            Outcome::Empty => {}
            Outcome::Unknown(why) => verdict = Within::Unknown(why),
            Outcome::Inhabited(picks) => return no(Request::of(&picks), format!("{} prohibits it", against.id)),
        }
    }
    verdict
}

/// Whether who keeps one duty keeps the other: certain where they say the same, and not so where they ask for different actions.
fn same_duty(one: &Duty, other: &Duty) -> Truth {
    let same = same::same_statement(&one.statement, &other.statement)
        && one.consequences.len() == other.consequences.len()
        && one
            .consequences
            .iter()
            .all(|own| other.consequences.iter().any(|its| same::same_statement(own, its)));
    if same {
        Truth::True
    } else if same::same_action(&one.statement, &other.statement) {
        Truth::Unknown
    } else {
        Truth::False
    }
}
