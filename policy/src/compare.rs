//! Do two policies say the same? Used to hold an agreement against the offer that it came from. Compares what the rules
//! mean, not how they are written; which of two different policies is wider is not asked here.

use crate::{
    meaning::{Order, Relation, Test},
    model::{Atomic, Connective, Constraint, Duty, Policy, Rule, Value},
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

/// The normal form of a constraint: spelling, order of alternatives and repetitions do not show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Canonical {
    Time(u8, BTreeSet<(i64, i64)>),
    Names(&'static str, u8, BTreeSet<String>),
    Consent(bool),
    /// Not understood: the same only if written the same.
    Verbatim(String, String, Vec<Value>),
    Logical(Connective, Vec<Self>),
}

/// The normal form of a rule or duty: action, constraints, duties.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct CanonicalRule {
    action: String,
    constraints: BTreeSet<Canonical>,
    duties: BTreeSet<Self>,
}

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
    canonical: CanonicalRule,
}

impl<'a> Node<'a> {
    fn of_rule(rule: &'a Rule) -> Self {
        Self {
            pointer: &rule.pointer,
            constraints: &rule.constraints,
            canonical: canonical_rule(rule),
        }
    }

    fn of_duty(duty: &'a Duty) -> Self {
        Self {
            pointer: &duty.pointer,
            constraints: &duty.constraints,
            canonical: canonical_duty(duty),
        }
    }
}

fn same_nodes(first: &[Node<'_>], second: &[Node<'_>], what: &str) -> Result<(), Difference> {
    let lacking = |from: &[Node<'_>], node: &Node<'_>| !from.iter().any(|other| other.canonical == node.canonical);
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
    let (one, other) = (&first.canonical, &second.canonical);
    if one.action != other.action {
        let text = format!("the actions are {} and {}", quoted(&one.action), quoted(&other.action));
        return differ(&format!("{}/action", first.pointer), true, text);
    }
    let lacking = |constraints: &'_ [Constraint], other: &CanonicalRule| {
        let found = constraints
            .iter()
            .find(|one| !other.constraints.contains(&canonical(one)));
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

fn canonical_rule(rule: &Rule) -> CanonicalRule {
    CanonicalRule {
        action: rule.action.to_string(),
        constraints: rule.constraints.iter().map(canonical).collect(),
        duties: rule.duties.iter().map(canonical_duty).collect(),
    }
}

fn canonical_duty(duty: &Duty) -> CanonicalRule {
    CanonicalRule {
        action: duty.action.to_string(),
        constraints: duty.constraints.iter().map(canonical).collect(),
        duties: BTreeSet::new(),
    }
}

fn canonical(constraint: &Constraint) -> Canonical {
    match constraint {
        Constraint::Atomic(atomic) => canonical_atomic(atomic),
        Constraint::Logical { connective, parts, .. } => {
            let mut parts: Vec<Canonical> = parts.iter().map(canonical).collect();
            if *connective != Connective::AndSequence {
                parts.sort_unstable();
            }
            // Saying the same twice changes nothing, except under xone.
            if matches!(connective, Connective::And | Connective::Or) {
                parts.dedup();
            }
            Canonical::Logical(*connective, parts)
        }
    }
}

fn canonical_atomic(atomic: &Atomic) -> Canonical {
    match &atomic.test {
        Ok(Test::Time { order, spans }) => {
            let spans = spans.iter().map(|span| (span.start, span.end)).collect();
            Canonical::Time(order_rank(*order), spans)
        }
        Ok(Test::Purpose { relation, names }) => Canonical::Names("purpose", relation_rank(*relation), names.clone()),
        Ok(Test::Recipient { relation, names }) => {
            Canonical::Names("recipient", relation_rank(*relation), names.clone())
        }
        Ok(Test::Category { relation, members }) => {
            let names = members.iter().map(|category| category.name().to_owned()).collect();
            Canonical::Names("dataCategory", relation_rank(*relation), names)
        }
        Ok(Test::Consent { given }) => Canonical::Consent(*given),
        Err(_) => Canonical::Verbatim(
            atomic.left.to_string(),
            atomic.operator.to_string(),
            atomic.right.clone(),
        ),
    }
}

fn order_rank(order: Order) -> u8 {
    match order {
        Order::Before => 0,
        Order::BeforeOrIn => 1,
        Order::After => 2,
        Order::AfterOrIn => 3,
        Order::In => 4,
        Order::NotIn => 5,
    }
}

fn relation_rank(relation: Relation) -> u8 {
    match relation {
        Relation::AnyOf => 0,
        Relation::NoneOf => 1,
        Relation::Below => 2,
    }
}

#[cfg(test)]
mod tests;
