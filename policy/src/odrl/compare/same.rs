//! Whether two statements say the same, whatever their ids and the order of their conditions.

use super::{codes, test::written};
use crate::odrl::{Constraint, Entity, Statement};

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
    let entity = |entity: &Option<Entity>| {
        let entity = entity.as_ref()?;
        Some((entity.names.clone(), sorted(&entity.refinements)))
    };
    same_action(one, other)
        && refined(one) == refined(other)
        && entity(&one.target) == entity(&other.target)
        && entity(&one.assignee) == entity(&other.assignee)
        && sorted(&one.constraints) == sorted(&other.constraints)
}
