//! Whether two statements say the same, whatever their ids and the order of their conditions.

use super::{codes, test::written};
use crate::odrl::{Constraint, Statement};

fn sorted(constraints: &[Constraint]) -> Vec<String> {
    let mut all: Vec<String> = constraints.iter().map(written).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The same action, refinements aside.
pub(super) fn same_action(one: &Statement, other: &Statement) -> bool {
    let name = |statement: &Statement| statement.action.as_ref().map(|deed| codes::action(&deed.action));
    name(one) == name(other)
}

/// The same in everything that matters to who has to keep it.
pub(super) fn same_statement(one: &Statement, other: &Statement) -> bool {
    let refined = |statement: &Statement| statement.action.as_ref().map(|deed| sorted(&deed.refinements));
    let target = |statement: &Statement| {
        let asset = statement.target.as_ref();
        asset.map(|asset| (asset.id.clone(), sorted(&asset.refinements)))
    };
    let assignee = |statement: &Statement| {
        let party = statement.assignee.as_ref();
        party.map(|party| (party.id.clone(), sorted(&party.refinements)))
    };
    same_action(one, other)
        && refined(one) == refined(other)
        && target(one) == target(other)
        && assignee(one) == assignee(other)
        && sorted(&one.constraints) == sorted(&other.constraints)
}
