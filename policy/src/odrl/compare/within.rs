//! Is everything that one policy permits permitted by another? It is where nothing is left of it outside the permissions whose duties it keeps, and
//! nothing of it lies in a prohibition.

use super::{
    answer::{Request, Why, Within},
    contradiction,
    granted::{self, Granted},
    same,
    search::Work,
    space::{Budget, Outcome, Space},
    units::{Side, Unit},
};
use crate::{
    Truth,
    odrl::{Conflict, Duty, Permission, Policy, Prohibition},
};

/// The policy that has to permit everything: where each permission does not apply, and where each prohibition does, or is not known not to.
struct Wide<'p> {
    policy: &'p Policy,
    outside: Vec<(&'p Permission, Unit)>,
    prohibited: Vec<(&'p str, [Vec<Unit>; 2])>,
}

impl<'p> Wide<'p> {
    fn new(space: &mut Space<'_>, policy: &'p Policy) -> Result<Self, Why> {
        let mut outside = Vec::new();
        let void = contradiction::voids(space, policy)?.is_some();
        for permission in policy.permissions.iter().filter(|_| !void) {
            outside.push((permission, space.denied_rule(&permission.statement, Side::Permits)?));
        }
        let mut prohibited = Vec::new();
        for Prohibition { statement, .. } in policy.prohibitions.iter().filter(|_| policy.conflict != Conflict::Perm) {
            let units = space.units(statement, Side::Prohibits)?;
            let unfailing = space.not_failing(&units);
            prohibited.push((statement.id.as_str(), [units, unfailing]));
        }
        Ok(Self {
            policy,
            outside,
            prohibited,
        })
    }
}

/// Asks it for each permission of `c`.
pub(super) fn within(space: &mut Space<'_>, c: &Policy, o: &Policy) -> Within {
    let mut budget = Work::question(space.limits()).search;
    let (granted, wide) = match (granted::all(space, c), Wide::new(space, o)) {
        (Ok(granted), Ok(wide)) => (granted, wide),
        (Err(why), _) | (_, Err(why)) => return Within::Unknown(why),
    };
    let mut unknown = None;
    for one in &granted {
        let promised: Vec<&Duty> = one.permission.duties.iter().chain(&c.obligations).collect();
        let parts = [
            covered(space, one, &wide, &promised, &mut budget),
            unprohibited(space, one, &wide, &mut budget),
            obliged(space, one, &wide, &promised, &mut budget),
        ];
        for part in parts {
            match part {
                Within::No { request, because } => return Within::No { request, because },
                Within::Unknown(why) => drop(unknown.get_or_insert(why)),
                Within::Yes => {}
            }
        }
        if budget.is_spent() {
            return Within::Unknown(Why::TooLarge);
        }
    }
    unknown.map_or(Within::Yes, Within::Unknown)
}

/// Whether what was promised keeps the duty.
fn keeps(promised: &[&Duty], duty: &Duty) -> Truth {
    let best = promised.iter().map(|other| same_duty(other, duty)).max();
    best.unwrap_or(Truth::False)
}

/// Whether permissions whose duties are kept cover all that is granted.
fn covered(space: &Space<'_>, one: &Granted<'_>, wide: &Wide<'_>, promised: &[&Duty], budget: &mut Budget) -> Within {
    let kept = |permission: &Permission| permission.duties.iter().map(|duty| keeps(promised, duty)).min();
    let (mut units, mut unkept, mut unsure) = (one.units(), None, false);
    for (permission, outside) in &wide.outside {
        match kept(permission).unwrap_or(Truth::True) {
            Truth::True => units.push(outside),
            Truth::Unknown => unsure = true,
            Truth::False => drop(unkept.get_or_insert(&permission.statement.id)),
        }
    }
    match space.search(&units, budget) {
        Outcome::Empty => Within::Yes,
        Outcome::Unknown(why) => Within::Unknown(why),
        Outcome::Inhabited(_) if unsure => Within::Unknown(duty_unclear()),
        Outcome::Inhabited(picks) => no(
            Request::of(&picks),
            match unkept {
                Some(id) => format!("no permission whose duties are kept covers it; those of {id} are not kept"),
                None => "no permission covers it".to_owned(),
            },
        ),
    }
}

/// Whether nothing that is granted lies in a prohibition, or is not certain to lie outside it because it leaves something unsaid.
fn unprohibited(space: &Space<'_>, one: &Granted<'_>, wide: &Wide<'_>, budget: &mut Budget) -> Within {
    let mut verdict = Within::Yes;
    for (id, readings) in &wide.prohibited {
        for units in readings {
            let all: Vec<&Unit> = one.units().into_iter().chain(units).collect();
            match space.search(&all, budget) {
                Outcome::Empty => {}
                Outcome::Unknown(why) => verdict = Within::Unknown(why),
                Outcome::Inhabited(picks) => return no(Request::of(&picks), format!("{id} prohibits it")),
            }
        }
        if budget.is_spent() {
            return Within::Unknown(Why::TooLarge);
        }
    }
    verdict
}

/// Whether the obligations of the whole policy are kept, unless nothing is granted.
fn obliged(space: &Space<'_>, one: &Granted<'_>, wide: &Wide<'_>, promised: &[&Duty], budget: &mut Budget) -> Within {
    let least = wide.policy.obligations.iter().min_by_key(|duty| keeps(promised, duty));
    let Some(duty) = least.filter(|duty| keeps(promised, duty) != Truth::True) else {
        return Within::Yes;
    };
    match space.search(&one.units(), budget) {
        Outcome::Empty => Within::Yes,
        Outcome::Inhabited(picks) if keeps(promised, duty) == Truth::False => no(
            Request::of(&picks),
            format!("the obligation {} is not kept", duty.statement.id),
        ),
        Outcome::Inhabited(_) => Within::Unknown(duty_unclear()),
        Outcome::Unknown(why) => Within::Unknown(why),
    }
}

const fn no(request: Request, because: String) -> Within {
    Within::No { request, because }
}

fn duty_unclear() -> Why {
    Why::NotUnderstood {
        operand: "duties".to_owned(),
        why: "two of the same action whose other terms differ are not compared".to_owned(),
    }
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
