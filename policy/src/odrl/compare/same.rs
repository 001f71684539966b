//! Whether two statements say the same, whatever their ids and the order of their conditions.

use super::{codes, test::written};
use crate::odrl::{Constraint, Entity, Statement};
use std::collections::BTreeSet;

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
    let entity = |entity: &Entity| (entity.names.clone(), sorted(&entity.refinements));
    let named = |one: &Option<Entity>| one.as_ref().map(entity);
    let functions = |statement: &Statement| {
        let all = statement.functions.iter();
        all.map(|(function, party)| (function.clone(), entity(party)))
            .collect::<BTreeSet<_>>()
    };
    same_action(one, other)
        && refined(one) == refined(other)
        && named(&one.target) == named(&other.target)
        && named(&one.assignee) == named(&other.assignee)
        && functions(one) == functions(other)
        && sorted(&one.constraints) == sorted(&other.constraints)
}
