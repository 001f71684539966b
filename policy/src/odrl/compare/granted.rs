//! What a policy grants, rule by rule: the units of a permission, and one unit for each prohibition, which has to leave it alone.

use super::{Conflict, Policy, answer::Why, space::Space, units::Unit};
use crate::odrl::Permission;

/// A permission as far as no prohibition takes it back.
#[derive(Debug)]
pub(super) struct Granted<'p> {
    pub(super) id: String,
    pub(super) permission: &'p Permission,
    own: Vec<Unit>,
    /// The same for all permissions of a policy.
    spared: std::rc::Rc<Vec<Unit>>,
}

impl Granted<'_> {
    /// Everything that has to hold for the permission to permit.
    pub(super) fn units(&self) -> Vec<&Unit> {
        self.own.iter().chain(self.spared.iter()).collect()
    }
}

/// What the policy grants.
pub(super) fn all<'p>(space: &mut Space<'_>, policy: &'p Policy) -> Result<Vec<Granted<'p>>, Why> {
    let against = if policy.conflict == Conflict::Perm {
        &[]
    } else {
        policy.prohibitions.as_slice()
    };
    let spared: Result<Vec<Unit>, Why> = against
        .iter()
        .map(|prohibition| space.denied_rule(&prohibition.statement, true))
        .collect();
    let spared = std::rc::Rc::new(spared?);
    let granted = policy.permissions.iter().map(|permission| {
        Ok(Granted {
            id: permission.statement.id.clone(),
            permission,
            own: space.units(&permission.statement)?,
            spared: std::rc::Rc::clone(&spared),
        })
    });
    granted.collect()
}
