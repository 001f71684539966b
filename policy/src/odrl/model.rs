//! The parts of a policy after it was read: atomic rules, with everything that a policy or a compact rule says once already distributed
//! (ODRL 2.2 §2.7). Names of parties, assets, actions and left operands are full IRIs, or the text that was written. Nothing here decides.

use super::Value;
use crate::{model::Connective, vocabulary::Operator};

/// What holds when a permission and a prohibition meet (ODRL 2.2 §2.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Conflict {
    /// Permissions win.
    Perm,
    /// Prohibitions win.
    Prohibit,
    /// The whole policy is void. What ODRL takes when nothing is said.
    #[default]
    Invalid,
}

/// A policy of atomic rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Its `uid`.
    pub id: String,
    /// The profiles that it names.
    pub profiles: Vec<String>,
    /// The conflict strategy.
    pub conflict: Conflict,
    /// What is permitted.
    pub permissions: Vec<Permission>,
    /// What is prohibited.
    pub prohibitions: Vec<Prohibition>,
    /// What must be done.
    pub obligations: Vec<Duty>,
}

/// What every kind of rule says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statement {
    /// Its `uid`, or one that was made for it while reading.
    pub id: String,
    /// What is done; none only where a reader was told to let that pass.
    pub action: Option<Deed>,
    /// What it is done to; none means anything.
    pub target: Option<Entity>,
    /// Who says so.
    pub assigner: Option<Entity>,
    /// To whom it is said; none means anybody.
    pub assignee: Option<Entity>,
    /// Further parties by their function, such as `odrl:informedParty`. No request is permitted or refused by them, but a duty to inform one is
    /// not a duty to inform another.
    pub functions: Vec<(String, Entity)>,
    /// What the action makes. It is named and decides nothing.
    pub output: Option<Entity>,
    /// When it applies; all of them.
    pub constraints: Vec<Constraint>,
}

/// A permission.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permission {
    /// What is permitted.
    pub statement: Statement,
    /// What must be done for it.
    pub duties: Vec<Duty>,
}

/// A prohibition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prohibition {
    /// What is prohibited.
    pub statement: Statement,
    /// What makes good for a violation. A remedy has no consequences (ODRL 2.2 §2.6.7).
    pub remedies: Vec<Statement>,
}

/// A duty of a permission, or an obligation of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Duty {
    /// What must be done.
    pub statement: Statement,
    /// What must be done as well when it was not. A consequence has no consequences (ODRL 2.2 §2.6.6).
    pub consequences: Vec<Statement>,
}

/// An action, narrowed by refinements of what exactly is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deed {
    /// The action.
    pub action: String,
    /// All of them must hold of the request.
    pub refinements: Vec<Constraint>,
}

/// A party or an asset, or those members of a collection of which the refinements hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entity {
    /// Its `source` and its `uid`, where it has them. Without a name it is any party or asset of which the refinements hold.
    pub names: Vec<String>,
    /// What must hold of the member.
    pub refinements: Vec<Constraint>,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// One comparison.
    Atomic(Comparison),
    /// Several under one connective.
    Logical {
        /// Its `uid`, or one that was made for it while reading.
        id: String,
        /// How they combine.
        connective: Connective,
        /// At least one part.
        parts: Vec<Self>,
    },
}

/// `leftOperand operator rightOperand`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Its `uid`, or one that was made for it while reading.
    pub id: String,
    /// What is compared.
    pub left: String,
    /// How.
    pub operator: Operator,
    /// With what; at least one.
    pub right: Vec<Value>,
    /// The unit of the right operand.
    pub unit: Option<String>,
    /// What of the left operand was used up before (ODRL 2.2 §2.5.1 `status`).
    pub status: Option<Value>,
    /// For a recurring `timeInterval`: one of its occurrences, from which all others follow. No term of ODRL; profiles add it.
    pub anchor: Option<Value>,
}

impl Constraint {
    /// Its `uid`, or the one that was made for it.
    pub fn id(&self) -> &str {
        match self {
            Self::Atomic(comparison) => &comparison.id,
            Self::Logical { id, .. } => id,
        }
    }
}
