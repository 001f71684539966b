//! What a policy grants, rule by rule: the units of a permission, and one unit for each prohibition, which has to leave it alone. Of a policy
//! that its own conflict voids (`invalid`, ODRL 2.2 §2.10), nothing.

use super::{
    Conflict, Policy,
    answer::Why,
    contradiction,
    space::Space,
    units::{Side, Unit},
};
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

/// What the policy grants. What voids it are units that contradict each other, under the ids of the rules that meet.
pub(super) fn all<'p>(space: &mut Space<'_>, policy: &'p Policy) -> Result<Vec<Granted<'p>>, Why> {
    let mut granted = each(space, policy)?;
    if let Some(meeting) = contradiction::voids(space, policy)? {
        let void = std::rc::Rc::new(space.contradicting(&meeting).to_vec());
        granted
            .iter_mut()
            .for_each(|one| one.spared = std::rc::Rc::clone(&void));
    }
    Ok(granted)
}

/// What each permission gives as far as no prohibition takes it back, whatever the conflict strategy makes of the policy as a whole.
pub(super) fn each<'p>(space: &mut Space<'_>, policy: &'p Policy) -> Result<Vec<Granted<'p>>, Why> {
    let against = if policy.conflict == Conflict::Perm {
        &[]
    } else {
        policy.prohibitions.as_slice()
    };
    let spared: Result<Vec<Unit>, Why> = against
        .iter()
        .map(|prohibition| space.denied_rule(&prohibition.statement, Side::Prohibits))
        .collect();
    let spared = std::rc::Rc::new(spared?);
    let granted = policy.permissions.iter().map(|permission| {
        Ok(Granted {
            id: permission.statement.id.clone(),
            permission,
            own: space.units(&permission.statement, Side::Permits)?,
            spared: std::rc::Rc::clone(&spared),
        })
    });
    granted.collect()
}
