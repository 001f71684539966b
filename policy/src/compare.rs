//! Do two policies say the same? Used to hold an agreement against the offer that it came from. Compares what the rules
//! mean, not how they are written; which of two different policies is wider is asked in `narrower`.

use crate::{
    model::{Constraint, Duty, Policy, Rule},
    normal::{Normal, NormalRule},
    reason::quoted,
};
use std::{collections::BTreeSet, fmt};

/// The first difference between two policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// JSON pointer of the differing node, into the first policy if [`Difference::in_first`], else into the second.
    pub pointer: String,
    /// Which policy the pointer belongs to.
    pub in_first: bool,
    /// What differs, in plain English.
    pub text: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let which = if self.in_first { "first" } else { "second" };
        let place = if self.pointer.is_empty() {
            "the top"
        } else {
            &self.pointer
        };
        write!(f, "at {place} of the {which} policy: {}", self.text)
    }
}

impl std::error::Error for Difference {}

/// Compares the rules of two policies (profiles, permissions with their duties, prohibitions, obligations), whatever
/// their order and spelling. `@id`, `@type`, parties and timestamp are ignored; targets are compared when both policies
/// have one, because an offer in a catalog has none (DSP 2025-1).
///
/// # Errors
/// The first [`Difference`], with a pointer to its node.
pub fn same_terms(first: &Policy, second: &Policy) -> Result<(), Difference> {
    if let (Some(one), Some(other)) = (first.target(), second.target())
        && one != other
    {
        return differ(
            "/target",
            true,
            format!("the targets are {} and {}", quoted(one), quoted(other)),
        );
    }
    let (one, other): (BTreeSet<_>, BTreeSet<_>) = (first.profiles().collect(), second.profiles().collect());
    if one != other {
        return differ("", true, "the policies name different profiles");
    }
    let rules = |rules: &[Rule], others: &[Rule], what| {
        let (rules, others): (Vec<_>, Vec<_>) = (
            rules.iter().map(Node::of_rule).collect(),
            others.iter().map(Node::of_rule).collect(),
        );
        same_nodes(&rules, &others, what)
    };
    rules(&first.permissions, &second.permissions, "permission")?;
    rules(&first.prohibitions, &second.prohibitions, "prohibition")?;
    let (duties, others): (Vec<_>, Vec<_>) = (
        first.obligations.iter().map(Node::of_duty).collect(),
        second.obligations.iter().map(Node::of_duty).collect(),
    );
    same_nodes(&duties, &others, "obligation")
}

fn differ<T>(pointer: &str, in_first: bool, text: impl Into<String>) -> Result<T, Difference> {
    Err(Difference {
        pointer: pointer.to_owned(),
        in_first,
        text: text.into(),
    })
}

/// A rule or duty beside its normal form.
struct Node<'a> {
    pointer: &'a str,
    constraints: &'a [Constraint],
    normal: NormalRule,
}

impl<'a> Node<'a> {
    fn of_rule(rule: &'a Rule) -> Self {
        Self {
            pointer: &rule.pointer,
            constraints: &rule.constraints,
            normal: rule.into(),
        }
    }

    fn of_duty(duty: &'a Duty) -> Self {
        Self {
            pointer: &duty.pointer,
            constraints: &duty.constraints,
            normal: duty.into(),
        }
    }
}

fn same_nodes(first: &[Node<'_>], second: &[Node<'_>], what: &str) -> Result<(), Difference> {
    let lacking = |from: &[Node<'_>], node: &Node<'_>| !from.iter().any(|other| other.normal == node.normal);
    let left = first.iter().find(|node| lacking(second, node));
    let right = second.iter().find(|node| lacking(first, node));
    match (left, right) {
        (None, None) => Ok(()),
        (Some(node), None) => differ(node.pointer, true, format!("the second policy has no such {what}")),
        (None, Some(node)) => differ(node.pointer, false, format!("the first policy has no such {what}")),
        (Some(one), Some(other)) => same_node(one, other),
    }
}

/// Two nodes that differ: finds the member in which they do.
fn same_node(first: &Node<'_>, second: &Node<'_>) -> Result<(), Difference> {
    let (one, other) = (&first.normal, &second.normal);
    if one.action != other.action {
        let text = format!("the actions are {} and {}", quoted(&one.action), quoted(&other.action));
        return differ(&format!("{}/action", first.pointer), true, text);
    }
    if one.informed != other.informed {
        return differ(first.pointer, true, "the parties to be informed are not the same");
    }
    let lacking = |constraints: &'_ [Constraint], other: &NormalRule| {
        let found = constraints
            .iter()
            .find(|one| !other.constraints.contains(&Normal::from(*one)));
        found.map(|constraint| (constraint.pointer().to_owned(), quoted(&constraint.to_string())))
    };
    if let Some((pointer, text)) = lacking(first.constraints, other) {
        return differ(&pointer, true, format!("the second policy does not say {text} here"));
    }
    if let Some((pointer, text)) = lacking(second.constraints, one) {
        return differ(&pointer, false, format!("the first policy does not say {text} here"));
    }
    differ(first.pointer, true, "the duties differ")
}

#[cfg(test)]
mod tests;
