//! Does one policy stay within another? Used to accept the terms that a peer asks for in place of our own. Shown from the
//! structure of the rules and the meaning of their constraints; what cannot be shown is refused. What two policies have in
//! common is worked out in `intersect`.

use crate::{
    evaluate::Stage,
    model::{Constraint, Duty, Policy, Rule, Term},
    normal::{Normal, NormalRule},
    premises::Premises,
    reason::{Reason, quoted},
    vocabulary::Action,
};
use std::{collections::BTreeSet, fmt};

/// The first thing that the asked policy has beyond the offered one, or that could not be shown to stay within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wider {
    /// JSON pointer of the node, into the asked policy if [`Wider::in_asked`], else into the offered one.
    pub pointer: String,
    /// Which policy the pointer belongs to.
    pub in_asked: bool,
    /// What is wider, in plain English.
    pub text: String,
}

impl fmt::Display for Wider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        place(f, &self.pointer, self.in_asked, &self.text)
    }
}

impl std::error::Error for Wider {}

/// How errors about an asked and an offered policy read.
pub(crate) fn place(f: &mut fmt::Formatter<'_>, pointer: &str, in_asked: bool, text: &str) -> fmt::Result {
    let which = if in_asked { "asked" } else { "offered" };
    let place = if pointer.is_empty() { "the top" } else { pointer };
    write!(f, "at {place} of the {which} policy: {text}")
}

fn wider<T>(pointer: &str, in_asked: bool, text: impl Into<String>) -> Result<T, Wider> {
    Err(Wider {
        pointer: pointer.to_owned(),
        in_asked,
        text: text.into(),
    })
}

/// Whether `asked` permits nothing that `offered` does not permit, carries each of its prohibitions, obligations and
/// duties, and names the same profiles. Then whoever offered the one may accept the other. A prohibition is also carried
/// by a wider one; obligations and duties only by the same ones, because a constraint on them may be a deadline.
///
/// Targets are compared when both policies have one; ids, parties and timestamp are not. A term that is not understood is within the same term only.
///
/// # Errors
/// The first thing found to be [`Wider`], or that cannot be shown not to be.
pub fn within(asked: &Policy, offered: &Policy) -> Result<(), Wider> {
    if let (Some(one), Some(other)) = (asked.target(), offered.target())
        && one != other
    {
        let text = format!("the target is {}, and offered is {}", quoted(one), quoted(other));
        return wider("/target", true, text);
    }
    if !same_profiles(asked, offered) {
        return wider("", true, "the policies name different profiles");
    }
    same_unknown(asked, offered)?;
    for rule in &asked.permissions {
        permitted(rule, &offered.permissions)?;
    }
    for rule in &offered.prohibitions {
        if !asked.prohibitions.iter().any(|own| prohibits(own, rule)) {
            let text = format!("{} is prohibited here, and not in what is asked", rule.action);
            return wider(&rule.pointer, false, text);
        }
    }
    match lacking(&offered.obligations, &asked.obligations) {
        None => Ok(()),
        Some(duty) => wider(
            &duty.pointer,
            false,
            format!("the obligation to {} is not in what is asked", duty.action),
        ),
    }
}

pub(crate) fn same_profiles(asked: &Policy, offered: &Policy) -> bool {
    let (one, other): (BTreeSet<_>, BTreeSet<_>) = (asked.profiles().collect(), offered.profiles().collect());
    one == other
}

/// One term that is not understood voids a whole policy ([`Policy::check`]): a policy without it would permit more.
fn same_unknown(asked: &Policy, offered: &Policy) -> Result<(), Wider> {
    let reasons = |policy: &Policy| policy.check(Stage::Publish).err().unwrap_or_default();
    let (one, other) = (reasons(asked), reasons(offered));
    let beyond = |these: &[Reason], those: &[Reason]| {
        let new = |reason: &&Reason| {
            !those
                .iter()
                .any(|other| (other.code, &other.text) == (reason.code, &reason.text))
        };
        these.iter().find(new).cloned()
    };
    match (beyond(&one, &other), beyond(&other, &one)) {
        (None, None) => Ok(()),
        (Some(reason), _) => wider(
            &reason.pointer,
            true,
            format!("{}, and the offer does not say this", reason.text),
        ),
        (None, Some(reason)) => wider(
            &reason.pointer,
            false,
            format!("{}, and what is asked does not say this", reason.text),
        ),
    }
}

/// Whether one of the `offered` rules permits whatever `rule` permits. A permission that contradicts itself permits nothing.
fn permitted(rule: &Rule, offered: &[Rule]) -> Result<(), Wider> {
    let normal = normals(&rule.constraints);
    let premises = Premises::of(&normal);
    if premises.contradiction().is_some() {
        return Ok(());
    }
    let mut first = None;
    for candidate in offered
        .iter()
        .filter(|candidate| covers(&candidate.action, &rule.action))
    {
        match permits(rule, &premises, candidate) {
            Ok(()) => return Ok(()),
            Err(fault) => first.get_or_insert(fault),
        };
    }
    match first {
        Some(fault) => Err(fault),
        None => {
            let text = format!("{} is not offered", rule.action);
            wider(&format!("{}/action", rule.pointer), true, text)
        }
    }
}

/// Whether whatever `rule` permits under its constraints, the `premises`, is permitted by `offered`, whose action covers its
/// own.
pub(crate) fn permits(rule: &Rule, premises: &Premises<'_>, offered: &Rule) -> Result<(), Wider> {
    let beyond = |wanted: &&Constraint| !premises.imply(&Normal::from(*wanted));
    if let Some(constraint) = offered.constraints.iter().find(beyond) {
        let text = format!(
            "{} is required here, and the permission asked for at {} is not shown to keep to it",
            quoted(&constraint.to_string()),
            rule.pointer
        );
        return wider(constraint.pointer(), false, text);
    }
    match lacking(&offered.duties, &rule.duties) {
        None => Ok(()),
        Some(duty) => {
            let text = format!(
                "the duty to {} is not in the permission asked for at {}",
                duty.action, rule.pointer
            );
            wider(&duty.pointer, false, text)
        }
    }
}

/// Whether `own` prohibits whatever `offered` prohibits.
pub(crate) fn prohibits(own: &Rule, offered: &Rule) -> bool {
    let normal = normals(&offered.constraints);
    let premises = Premises::of(&normal);
    covers(&own.action, &offered.action)
        && own
            .constraints
            .iter()
            .all(|constraint| premises.imply(&Normal::from(constraint)))
        && lacking(&offered.remedies, &own.remedies).is_none()
}

pub(crate) fn normals(constraints: &[Constraint]) -> Vec<Normal> {
    constraints.iter().map(Normal::from).collect()
}

/// Whether a rule on `wide` speaks about `narrow`; of actions that are not understood only about the same.
pub(crate) fn covers(wide: &Term<Action>, narrow: &Term<Action>) -> bool {
    match (wide, narrow) {
        (Term::Known(wide), Term::Known(narrow)) => narrow.is_covered_by(*wide),
        _ => wide == narrow,
    }
}

/// The first duty that has no equal among `present`.
fn lacking<'a>(wanted: &'a [Duty], present: &[Duty]) -> Option<&'a Duty> {
    let present: BTreeSet<NormalRule> = present.iter().map(NormalRule::from).collect();
    wanted.iter().find(|duty| !present.contains(&NormalRule::from(*duty)))
}

#[cfg(test)]
mod tests;
