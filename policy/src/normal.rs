//! The normal form of rules and constraints: spelling, order of alternatives and repetitions do not show. What is compared
//! with what is decided by its users, `compare`, `narrower` and `intersect`.

use crate::{
    meaning::{Span, Test},
    model::{Atomic, Connective, Constraint, Duty, Rule, Value},
};
use std::collections::BTreeSet;

/// A constraint in normal form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Normal {
    /// A comparison that is understood.
    Test(Test),
    /// Not understood: the same only if written the same.
    Verbatim(String, String, Vec<Value>, Option<String>),
    Logical(Connective, Vec<Self>),
}

/// A rule or duty in normal form: action, who is informed, constraints, duties.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NormalRule {
    pub(crate) action: String,
    pub(crate) informed: Option<String>,
    pub(crate) constraints: BTreeSet<Normal>,
    /// Duties of a permission, remedies of a prohibition, consequences of a duty.
    pub(crate) duties: BTreeSet<Self>,
}

impl From<&Rule> for NormalRule {
    fn from(rule: &Rule) -> Self {
        Self {
            action: rule.action.to_string(),
            informed: None,
            constraints: rule.constraints.iter().map(Normal::from).collect(),
            duties: rule.duties.iter().chain(&rule.remedies).map(Self::from).collect(),
        }
    }
}

impl From<&Duty> for NormalRule {
    fn from(duty: &Duty) -> Self {
        Self {
            action: duty.action.to_string(),
            informed: duty.informed.clone(),
            constraints: duty.constraints.iter().map(Normal::from).collect(),
            duties: duty.consequences.iter().map(Self::from).collect(),
        }
    }
}

impl From<&Constraint> for Normal {
    fn from(constraint: &Constraint) -> Self {
        match constraint {
            Constraint::Atomic(atomic) => Self::from(atomic),
            Constraint::Logical { connective, parts, .. } => {
                let mut parts: Vec<Self> = parts.iter().map(Self::from).collect();
                if *connective != Connective::AndSequence {
                    parts.sort_unstable();
                }
                // Saying the same twice changes nothing, except under xone.
                if matches!(connective, Connective::And | Connective::Or) {
                    parts.dedup();
                }
                Self::Logical(*connective, parts)
            }
        }
    }
}

impl From<&Atomic> for Normal {
    fn from(atomic: &Atomic) -> Self {
        match &atomic.test {
            Ok(test) => Self::from(test.clone()),
            Err(_) => Self::Verbatim(
                atomic.left_name(),
                atomic.operator.to_string(),
                atomic.right.clone(),
                atomic.unit.clone(),
            ),
        }
    }
}

impl From<Test> for Normal {
    fn from(test: Test) -> Self {
        match test {
            Test::Time { order, spans } => Self::Test(Test::Time {
                order,
                spans: once_each(spans),
            }),
            Test::Used { meter, order, spans } => Self::Test(Test::Used {
                meter,
                order,
                spans: once_each(spans),
            }),
            other => Self::Test(other),
        }
    }
}

fn once_each(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    spans.dedup();
    spans
}
