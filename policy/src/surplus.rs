//! Rules that add nothing to their policy, because another rule of the same kind covers them. Told only where it is proved that without the rule no
//! decision would change, at any stage, and no duty, remedy or declared prohibition would go. Whether one policy stays within another is asked in
//! `narrower`.

use crate::{
    evaluate::Stage,
    meaning::{Relation, Test},
    model::{Atomic, Connective, Constraint, GroupBound, Policy, Rule},
    narrower::{covers, normals, permits, prohibits},
    normal::Normal,
    premises::Premises,
    vocabulary::{Action, HANDING_OVER, LeftOperand},
};
use std::collections::BTreeSet;

/// A policy with more comparisons is not looked at. Of so few, each at most a comparison, its negation and a connective, every plan holds
/// all that remain ([`crate::program::MAX_OPS`]).
const MAX_COMPARISONS: usize = 64;
const _: () = assert!(4 * MAX_COMPARISONS <= crate::program::MAX_OPS);

/// A rule that adds nothing, and the one that covers it, by their JSON pointers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Surplus {
    pub(crate) rule: String,
    pub(crate) beside: String,
}

impl Policy {
    /// The rules that add nothing, all of which may be left out together: each is covered by one that stays, or by one that such a one covers. Of
    /// two that say the same it is the later. None of a policy that is not understood, which is refused as a whole.
    pub(crate) fn surplus(&self) -> Vec<Surplus> {
        if self.comparisons().len() > MAX_COMPARISONS || self.check(Stage::Publish).is_err() {
            return Vec::new();
        }
        let permissions = among(&self.permissions, |one, other, left| {
            permission_within(one, other)
                && always_plannable(other.rule, &self.prohibitions)
                && (names_no_more(one.rule, other.rule)
                    || !asks_below(other.rule) && left.iter().all(|third| permission_within(third, other)))
        });
        let prohibitions = among(&self.prohibitions, |one, other, _| {
            prohibition_within(one, other) && names_no_more(one.rule, other.rule)
        });
        permissions.into_iter().chain(prohibitions).collect()
    }
}

/// A rule with what its constraints say together.
struct Stated<'a> {
    rule: &'a Rule,
    premises: Premises<'a>,
}

/// Those of the rules that are found to lie within another of those that are left, which `within` is shown as well.
fn among(rules: &[Rule], within: impl Fn(&Stated<'_>, &Stated<'_>, &[Stated<'_>]) -> bool) -> Vec<Surplus> {
    let normal: Vec<Vec<Normal>> = rules.iter().map(|rule| normals(&rule.constraints)).collect();
    let stated = rules.iter().zip(&normal).map(|(rule, normal)| Stated {
        rule,
        premises: Premises::of(normal),
    });
    // A rule that contradicts itself never applies, of which another warning tells.
    let mut left: Vec<Stated<'_>> = stated.filter(|one| one.premises.contradiction().is_none()).collect();
    let mut found = Vec::new();
    for place in (0..left.len()).rev() {
        let one = left.remove(place);
        match left.iter().find(|other| within(&one, other, &left)) {
            Some(other) => found.push(Surplus {
                rule: one.rule.pointer.clone(),
                beside: other.rule.pointer.clone(),
            }),
            None => left.insert(place, one),
        }
    }
    found.reverse();
    found
}

/// Whether `other` permits all that `one` does, for no more duties. Groups are as large as the largest that any rule asks for, whether the rule
/// applies or not ([`Policy::group_size`]).
fn permission_within(one: &Stated<'_>, other: &Stated<'_>) -> bool {
    let size = |stated: &Stated<'_>| stated.rule.group_size(GroupBound::PERMITTED);
    covers(&other.rule.action, &one.rule.action)
        && permits(one.rule, &one.premises, other.rule).is_ok()
        && size(one) <= size(other)
}

/// Whether `other` prohibits all that `one` does, with no remedy less, and is declared to the consumer where `one` is. What the handing over
/// consists of is never declared: it is refused here.
fn prohibition_within(one: &Stated<'_>, other: &Stated<'_>) -> bool {
    let size = |stated: &Stated<'_>| stated.rule.group_size(GroupBound::PROHIBITED);
    let refused_here = HANDING_OVER.iter().any(|part| one.rule.covers(*part));
    prohibits(other.rule, one.rule)
        && (refused_here || one.rule.action == other.rule.action)
        && size(one) <= size(other)
}

/// Whether `other` names every purpose that `rule` names. Of permissions that no plan holds together, the one for most of the named purposes is
/// taken, so that a name by itself may weigh.
fn names_no_more(rule: &Rule, other: &Rule) -> bool {
    purposes(rule).is_subset(&purposes(other))
}

fn purposes(rule: &Rule) -> BTreeSet<&str> {
    let mut named = BTreeSet::new();
    each_purpose(rule, |_, names| named.extend(names.iter().map(String::as_str)));
    named
}

/// Whether the rule is about all that lies below some purposes. Of these a plan holds those that the policy names, so that every name counts.
fn asks_below(rule: &Rule) -> bool {
    let mut found = false;
    each_purpose(rule, |relation, _| found |= relation == Relation::Below);
    found
}

fn each_purpose<'a>(rule: &'a Rule, mut visit: impl FnMut(Relation, &'a BTreeSet<String>)) {
    for constraint in &rule.constraints {
        constraint.each_atomic(&mut |atomic| {
            if let Ok(Test::Purpose { relation, names }) = &atomic.test {
                visit(*relation, names);
            }
        });
    }
}

/// Whether a plan can hold what the permission leaves open, whatever the time and the consumer: the same records for each of its purposes, these
/// named or any, and none that only a missing consent lets out.
fn always_plannable(permission: &Rule, prohibitions: &[Rule]) -> bool {
    let of_records = |atomic: &Atomic| match &atomic.test {
        Ok(Test::Purpose { .. } | Test::Consent { .. } | Test::Flag { .. }) | Err(_) => true,
        Ok(_) => false,
    };
    let mut telling = prohibitions
        .iter()
        .filter(|rule| rule.constraints.iter().any(|one| mentions(one, &of_records)));
    let against = |rule: &Rule| {
        Action::ALL
            .iter()
            .any(|action| permission.covers(*action) && rule.forbids(*action))
    };
    permission.constraints.iter().all(is_plain) && !telling.any(against)
}

/// Whether a constraint is one comparison of purposes or of a record that a plan can always hold, or is about neither.
fn is_plain(constraint: &Constraint) -> bool {
    match constraint {
        Constraint::Logical {
            connective: Connective::And | Connective::AndSequence,
            parts,
            ..
        } => parts.iter().all(is_plain),
        Constraint::Logical { .. } => !mentions(constraint, &|atomic| {
            matches!(
                &atomic.test,
                Ok(Test::Purpose { .. } | Test::Category { .. } | Test::Consent { .. } | Test::Flag { .. }) | Err(_)
            )
        }),
        Constraint::Atomic(atomic) => match &atomic.test {
            Ok(Test::Purpose { relation, .. }) => *relation != Relation::NoneOf,
            Ok(Test::Consent { given }) => *given,
            Ok(Test::Flag { operand, set }) => *set || *operand == LeftOperand::Minor,
            Ok(_) => true,
            Err(_) => false,
        },
    }
}

fn mentions(constraint: &Constraint, chosen: &impl Fn(&Atomic) -> bool) -> bool {
    let mut found = false;
    constraint.each_atomic(&mut |atomic| found |= chosen(atomic));
    found
}

#[cfg(test)]
mod tests;
