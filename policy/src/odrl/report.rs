//! What came of evaluating a policy: for each rule, which premises held, and what was decided because of which rules. Belongs to no vocabulary
//! of reports; whoever shows or serialises one starts from here. Nothing here decides.

use super::{Comparison, Deontic, Duty, Statement, Value};
use crate::{Truth, model::Connective};

/// A policy evaluated against one request and one state of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report<'a> {
    /// Permissions, prohibitions and obligations, each in the order of the policy.
    pub rules: Vec<RuleReport<'a>>,
    /// What follows.
    pub decision: Decision<'a>,
}

/// What a policy says to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<'a> {
    /// These permissions permit it.
    Permitted(Vec<&'a str>),
    /// These prohibitions forbid it.
    Forbidden(Vec<&'a str>),
    /// No rule says anything of it: what is not permitted is refused.
    NotPermitted,
    /// These permissions and prohibitions contradict each other, and that voids the policy (ODRL 2.2 §2.10).
    Void {
        /// What would permit it.
        permissions: Vec<&'a str>,
        /// What would forbid it.
        prohibitions: Vec<&'a str>,
    },
}

impl Decision<'_> {
    /// Whether it may be done.
    pub fn is_permitted(&self) -> bool {
        matches!(self, Self::Permitted(_))
    }
}

/// Which kind of rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleKind {
    /// `odrl:Permission`
    Permission,
    /// `odrl:Prohibition`
    Prohibition,
    /// `odrl:Duty` of the policy itself
    Obligation,
}

/// Whether a rule is in force for the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Activation {
    /// It is.
    Active,
    /// It is not.
    Inactive,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleReport<'a> {
    /// Which kind.
    pub kind: RuleKind,
    /// The rule.
    pub rule: &'a Statement,
    /// Whether it is in force.
    pub activation: Activation,
    /// What had to hold; nothing that the rule does not mention.
    pub premises: Vec<Premise<'a>>,
    /// The duties of a permission.
    pub duties: Vec<DutyReport<'a>>,
    /// How far an obligation has come, and what became of a prohibition.
    pub deontic: Deontic,
}

/// One thing that had to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Premise<'a> {
    /// Which.
    pub kind: PremiseKind,
    /// Whether it did, refinements included.
    pub truth: Truth,
    /// The refinements, or the constraint itself.
    pub constraints: Vec<ConstraintReport<'a>>,
}

/// What a premise is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PremiseKind {
    /// The asset.
    Target,
    /// The party.
    Party,
    /// The action.
    Action,
    /// A constraint.
    Constraint,
}

/// One constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConstraintReport<'a> {
    /// A comparison.
    Atomic {
        /// What was compared.
        comparison: &'a Comparison,
        /// The values of the left operand, where they were known.
        left: Option<Vec<Value>>,
        /// Whether it held.
        truth: Truth,
    },
    /// A connective over others.
    Logical {
        /// Its id.
        id: &'a str,
        /// Which.
        connective: Connective,
        /// The parts, all of them.
        parts: Vec<Self>,
        /// Whether it held.
        truth: Truth,
    },
}

impl ConstraintReport<'_> {
    /// Whether the constraint held.
    pub const fn truth(&self) -> Truth {
        match self {
            Self::Atomic { truth, .. } | Self::Logical { truth, .. } => *truth,
        }
    }

    /// The id of the constraint.
    pub fn id(&self) -> &str {
        match self {
            Self::Atomic { comparison, .. } => &comparison.id,
            Self::Logical { id, .. } => id,
        }
    }
}

/// A duty of a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DutyReport<'a> {
    /// The duty.
    pub duty: &'a Duty,
    /// Whether it is to be done: not when its constraints are known not to hold.
    pub activation: Activation,
    /// How far it has come, with its consequences.
    pub deontic: Deontic,
}
