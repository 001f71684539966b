//! Why a policy cannot be read.

use crate::{
    odrl::ValueError,
    parse::{MAX_DEPTH, MAX_NODES},
    reason::quoted,
};

/// The JSON is not a policy of ODRL 2.2 that can be read without ignoring something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a readable policy, at {}: {problem}", if pointer.is_empty() { "its top" } else { pointer })]
pub struct Unreadable {
    /// JSON pointer (RFC 6901) of the node; empty for the policy itself. In a parent it starts with the parent's IRI.
    pub pointer: String,
    /// What is wrong with it.
    pub problem: Problem,
}

impl Unreadable {
    /// The same, in the parent of this IRI.
    pub(super) fn within(self, parent: &str) -> Self {
        Self {
            pointer: format!("{parent}{}", self.pointer),
            problem: self.problem,
        }
    }
}

/// What is wrong with a node of a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Something else stands where this is expected.
    #[error("{0} is expected")]
    Expected(&'static str),
    /// A member that says something which is not understood.
    #[error("{} is not known here, and ignoring it could permit too much", quoted(.0))]
    UnknownMember(String),
    /// The same member under two spellings, or two different names of one node.
    #[error("{} is written twice", quoted(.0))]
    Twice(String),
    /// A type of ODRL that cannot stand here.
    #[error("a node of type {} cannot stand here", quoted(.0))]
    WrongType(String),
    /// One node is more than one of permission, prohibition and duty (ODRL 2.2 §2.6: the classes are disjoint).
    #[error("{} is a rule of two classes", quoted(.0))]
    TwoRuleClasses(String),
    /// `uid` is missing.
    #[error("the policy has no uid")]
    NoUid,
    /// Neither permission nor prohibition nor obligation (ODRL 2.2 §2.1).
    #[error("the policy has no rule")]
    NoRule,
    /// A rule, or a refined action, that does not say what is done.
    #[error("an action is missing")]
    NoAction,
    /// A permission or a prohibition without target (ODRL 2.2 §2.6.1, §2.6.2).
    #[error("a target is missing")]
    NoTarget,
    /// An offer or an agreement that does not say who says it, or to whom (ODRL 2.2 §2.1).
    #[error("{0} is missing, which a policy of this type needs")]
    NoParty(&'static str),
    /// A party or asset that has no name and no refinement.
    #[error("a uid or a source is missing")]
    NoName,
    /// A refined collection named by `uid` (ODRL 2.2 §2.2.2, §2.3.2).
    #[error("a collection with a refinement is named by source")]
    RefinedUid,
    /// ODRL 2.2 §2.5.1.
    #[error("leftOperand is missing")]
    NoLeftOperand,
    /// ODRL 2.2 §2.5.1.
    #[error("operator is missing")]
    NoOperator,
    /// An operator outside the vocabulary.
    #[error("{} is not an operator of ODRL", quoted(.0))]
    UnknownOperator(String),
    /// ODRL 2.2 §2.5.1.
    #[error("rightOperand is missing")]
    NoRightOperand,
    /// Both `rightOperand` and `rightOperandReference` (ODRL 2.2 §2.5.1).
    #[error("rightOperand and rightOperandReference are both given")]
    TwoRightOperands,
    /// `rightOperandReference`: nothing is fetched.
    #[error("rightOperandReference is not followed: a policy must say its right operands")]
    Reference,
    /// A comparison and a connective in one node, or two connectives.
    #[error("a constraint is either one comparison or one of and, or, xone, andSequence")]
    TwoConstraints,
    /// A connective over nothing.
    #[error("a logical constraint needs at least one part")]
    NoPart,
    /// A literal that its datatype forbids.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A literal of a type that the left operand never has.
    #[error("{} is compared with {wanted}", quoted(left))]
    OperandType {
        /// The left operand.
        left: String,
        /// What it is compared with.
        wanted: &'static str,
    },
    /// A consequence with a consequence of its own (ODRL 2.2 §2.6.6).
    #[error("a consequence cannot have a consequence")]
    NestedConsequence,
    /// A remedy with a consequence (ODRL 2.2 §2.6.7).
    #[error("a remedy cannot have a consequence")]
    RemedyWithConsequence,
    /// `dct:isReplacedBy` (ODRL 2.2 §2.1): the policy is void.
    #[error("the policy is replaced by {} and void", quoted(.0))]
    Replaced(String),
    /// No value of `odrl:ConflictTerm`.
    #[error("{} is not a conflict strategy", quoted(.0))]
    UnknownConflict(String),
    /// Two different conflict strategies in one policy.
    #[error("two different conflict strategies are given")]
    TwoConflicts,
    /// A profile that the caller does not know (ODRL 2.2 §3.2).
    #[error("the profile {} is not known", quoted(.0))]
    UnknownProfile(String),
    /// More levels of constraints or ancestors than are read.
    #[error("nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// More rules, constraints and values than are read.
    #[error("a policy may hold at most {MAX_NODES} rules, constraints and values")]
    TooMany,
    /// More atomic rules and constraints than a compact policy may stand for.
    #[error(
        "written out rule by rule, the policy holds more than {} rules and constraints",
        super::draft::MAX_ATOMIC
    )]
    TooManyAtomic,
    /// `inheritFrom`, where no parent can be given.
    #[error("the policy inherits from {}, which was not given", quoted(.0))]
    Inherits(String),
    /// A parent that the caller does not have.
    #[error("the parent policy {} is not here", quoted(.0))]
    NoParent(String),
    /// What the caller gave for a parent is another policy.
    #[error("the parent policy that was given calls itself {}", quoted(.0))]
    OtherParent(String),
    /// A circle of inheritance (ODRL 2.2 §2.8).
    #[error("the policy {} inherits from itself", quoted(.0))]
    InheritsItself(String),
}

impl Problem {
    pub(super) fn at(self, pointer: &str) -> Unreadable {
        Unreadable {
            pointer: pointer.to_owned(),
            problem: self,
        }
    }
}
