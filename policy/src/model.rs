//! The policy as it was written: rules, constraints and duties, each with the JSON pointer of its node. Unknown terms
//! stay in the tree and are named later; nothing is dropped. Nothing here decides.

use crate::{
    meaning::Test,
    reason::Reason,
    vocabulary::{Action, LeftOperand, Operator},
};
use std::{collections::BTreeSet, fmt};

/// What the policy is: a proposal, a contract, or a plain set of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A proposal by the assigner: `Offer` or `MessageOffer` of DSP 2025-1.
    Offer,
    /// A contract between assigner and assignee; what is enforced.
    Agreement,
    /// Rules that nobody has proposed or agreed yet; not on the wire.
    Set,
}

/// A term of one of the vocabulary tables, or the text that none of them knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term<T> {
    /// A term that this crate understands.
    Known(T),
    /// Kept as it was written, so that it can be named.
    Unknown(String),
}

impl<T: Copy> Term<T> {
    /// The term, if it is understood.
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(term) => Some(*term),
            Self::Unknown(_) => None,
        }
    }
}

impl<T: fmt::Display> fmt::Display for Term<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(term) => term.fmt(f),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}

/// One right operand: a plain string, `{"@value", "@type"}` or `{"@id"}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    /// The lexical form.
    pub text: String,
    /// The datatype as a full IRI (`xsd:` expanded); `@id` for a value given as `{"@id"}`; none for a plain string.
    pub datatype: Option<String>,
}

/// `leftOperand operator rightOperand`, and what that means, decided once when the policy is parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Atomic {
    pub(crate) pointer: String,
    pub(crate) left: Term<LeftOperand>,
    /// Which claim the left operand names.
    pub(crate) claim: Option<String>,
    pub(crate) operator: Term<Operator>,
    pub(crate) right: Vec<Value>,
    pub(crate) unit: Option<String>,
    pub(crate) test: Result<Test, Vec<Reason>>,
}

impl Atomic {
    /// JSON pointer of the constraint object.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// What is compared.
    pub const fn left(&self) -> &Term<LeftOperand> {
        &self.left
    }

    /// How.
    pub const fn operator(&self) -> &Term<Operator> {
        &self.operator
    }

    /// The least group size that lies beyond this number, or starts from it, as its operator says.
    fn group_size(&self, bound: GroupBound) -> Option<u32> {
        let Ok(Test::Amount {
            operand: LeftOperand::MinGroupSize,
            numbers,
            ..
        }) = &self.test
        else {
            return None;
        };
        let (operator, number) = (self.operator.known()?, *numbers.last()?);
        if operator == bound.beyond {
            Some(number.whole_from().saturating_add(u32::from(number.is_whole())))
        } else {
            bound.from.contains(&operator).then(|| number.whole_from())
        }
    }

    /// With what.
    pub fn right(&self) -> &[Value] {
        &self.right
    }

    /// The unit of an amount.
    pub fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    /// The left operand as it is named to people, with its claim.
    pub fn left_name(&self) -> String {
        match &self.claim {
            Some(claim) => format!("{}.{claim}", self.left),
            None => self.left.to_string(),
        }
    }
}

/// How the parts of a logical constraint combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Connective {
    /// All parts hold.
    And,
    /// At least one part holds.
    Or,
    /// Exactly one part holds.
    Xone,
    /// All parts hold. The order in which they came to hold is not known to a connector, so this is judged as
    /// [`Connective::And`]; in comparisons the order of the parts counts.
    AndSequence,
}

impl Connective {
    pub(crate) const ALL: [Self; 4] = [Self::And, Self::Or, Self::Xone, Self::AndSequence];

    /// The member name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
            Self::Xone => "xone",
            Self::AndSequence => "andSequence",
        }
    }
}

/// A condition on the state of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// One comparison.
    Atomic(Atomic),
    /// Several constraints under one connective; never empty.
    Logical {
        /// JSON pointer of the constraint object.
        pointer: String,
        /// How the parts combine.
        connective: Connective,
        /// At least one part.
        parts: Vec<Self>,
    },
}

impl Constraint {
    /// JSON pointer of this constraint.
    pub fn pointer(&self) -> &str {
        match self {
            Self::Atomic(atomic) => &atomic.pointer,
            Self::Logical { pointer, .. } => pointer,
        }
    }

    /// Leaves every comparison that is chosen undecided for good.
    pub(crate) fn forget(&mut self, chosen: &impl Fn(&Atomic) -> bool) {
        match self {
            Self::Atomic(atomic) if chosen(atomic) => atomic.test = Err(Vec::new()),
            Self::Atomic(_) => {}
            Self::Logical { parts, .. } => parts.iter_mut().for_each(|part| part.forget(chosen)),
        }
    }

    /// This constraint, or the part of it, at a JSON pointer.
    pub(crate) fn at(&self, pointer: &str) -> Option<&Self> {
        match self {
            found if found.pointer() == pointer => Some(found),
            Self::Atomic(_) => None,
            Self::Logical { parts, .. } => parts.iter().find_map(|part| part.at(pointer)),
        }
    }

    /// Calls `visit` for every comparison in this constraint, in document order.
    pub(crate) fn each_atomic<'a>(&'a self, visit: &mut impl FnMut(&'a Atomic)) {
        match self {
            Self::Atomic(atomic) => visit(atomic),
            Self::Logical { parts, .. } => parts.iter().for_each(|part| part.each_atomic(visit)),
        }
    }
}

impl fmt::Display for Atomic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.left_name(), self.operator)?;
        let texts: Vec<&str> = self.right.iter().map(|value| value.text.as_str()).collect();
        match texts.as_slice() {
            [one] => f.write_str(one)?,
            many => write!(f, "[{}]", many.join(", "))?,
        }
        match &self.unit {
            Some(unit) => write!(f, " {unit}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Atomic(atomic) => atomic.fmt(f),
            Self::Logical { connective, parts, .. } => {
                let texts: Vec<String> = parts.iter().map(Self::to_string).collect();
                write!(f, "{}({})", connective.name(), texts.join("; "))
            }
        }
    }
}

/// Something that must be done: in a permission (a condition of it) or as an obligation of the whole policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// JSON pointer of the duty object.
    pub pointer: String,
    /// What must be done.
    pub action: Term<Action>,
    /// Who is to be informed (`informedParty`, ODRL 2.2 Vocabulary §3.6.5); only of a duty to inform.
    pub informed: Option<String>,
    /// When it must be done; all of them.
    pub constraints: Vec<Constraint>,
    /// What must be done as well when it was not (ODRL 2.2 §2.6.6); a consequence has none itself.
    pub consequences: Vec<Self>,
}

impl Duty {
    /// Who is to be informed, after the pointer of the duty.
    fn informs(&self) -> Option<(&str, &str)> {
        Some((&self.pointer, self.informed.as_deref()?))
    }
}

/// A permission or a prohibition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// JSON pointer of the rule object.
    pub pointer: String,
    /// What is permitted or prohibited.
    pub action: Term<Action>,
    /// When; all of them.
    pub constraints: Vec<Constraint>,
    /// Conditions of a permission; always empty in a prohibition.
    pub duties: Vec<Duty>,
    /// What must be done when a prohibition was violated (ODRL 2.2 §2.6.7); always empty in a permission. A remedy has no consequences.
    pub remedies: Vec<Duty>,
}

/// Which operators bound the size of groups from below.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupBound {
    /// Groups are larger than the number.
    beyond: Operator,
    /// They are as large, at least.
    from: [Operator; 2],
}

impl GroupBound {
    /// In a permission: what must hold.
    pub(crate) const PERMITTED: Self = Self {
        beyond: Operator::Gt,
        from: [Operator::Gteq, Operator::Eq],
    };
    /// In a prohibition: what must not hold.
    pub(crate) const PROHIBITED: Self = Self {
        beyond: Operator::Lteq,
        from: [Operator::Lt, Operator::Neq],
    };
}

impl Rule {
    /// How many learners a group needs for the bounds of this rule to be kept; `None` where it has none.
    pub(crate) fn group_size(&self, bound: GroupBound) -> Option<u32> {
        let mut least = None;
        for constraint in &self.constraints {
            constraint.each_atomic(&mut |atomic| least = least.max(atomic.group_size(bound)));
        }
        least
    }
}

/// A parsed policy. Only [`Policy::parse`] makes one, so its shape can be relied upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) profiles: Vec<(String, String)>,
    pub(crate) target: Option<String>,
    pub(crate) assigner: Option<String>,
    pub(crate) assignee: Option<String>,
    pub(crate) timestamp: Option<String>,
    pub(crate) permissions: Vec<Rule>,
    pub(crate) prohibitions: Vec<Rule>,
    pub(crate) obligations: Vec<Duty>,
}

fn compared<'a>(rules: impl Iterator<Item = &'a Rule>) -> Vec<&'a Atomic> {
    let mut comparisons = Vec::new();
    for constraint in rules.flat_map(|rule| &rule.constraints) {
        constraint.each_atomic(&mut |atomic| comparisons.push(atomic));
    }
    comparisons
}

impl Policy {
    /// The policy's `@id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Offer, agreement or set.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The dataset; always present in an agreement, absent from offers inside a catalog.
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// Who grants; always present in an agreement.
    pub fn assigner(&self) -> Option<&str> {
        self.assigner.as_deref()
    }

    /// To whom it is granted; always present in an agreement.
    pub fn assignee(&self) -> Option<&str> {
        self.assignee.as_deref()
    }

    /// The agreement's `timestamp` as it was written. No decision reads it here: whoever asks for one counts lengths of time from it
    /// ([`crate::Facts::with_agreed`]).
    pub fn timestamp(&self) -> Option<&str> {
        self.timestamp.as_deref()
    }

    /// The profiles that the policy names, as written.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.profiles.iter().map(|(_, profile)| profile.as_str())
    }

    /// The permissions, in document order.
    pub fn permissions(&self) -> &[Rule] {
        &self.permissions
    }

    /// The prohibitions, in document order.
    pub fn prohibitions(&self) -> &[Rule] {
        &self.prohibitions
    }

    /// The left operands that its permissions and prohibitions ask for: a connector that cannot bring a value of one of them would never start a
    /// transfer under it.
    pub fn asks_for(&self) -> BTreeSet<LeftOperand> {
        let comparisons = self.comparisons().into_iter();
        comparisons.filter_map(|atomic| atomic.left.known()).collect()
    }

    /// What its permissions and prohibitions compare, in document order.
    pub fn comparisons(&self) -> Vec<&Atomic> {
        compared(self.permissions.iter().chain(&self.prohibitions))
    }

    /// What its permissions compare, in document order.
    pub fn asked_by_permissions(&self) -> Vec<&Atomic> {
        compared(self.permissions.iter())
    }

    /// How many learners a group needs for every bound on `minGroupSize` to be kept; `None` where there is none. Bounds from above ask for
    /// nothing, but may refuse what others ask for.
    pub fn group_size(&self) -> Option<u32> {
        let permitted = self
            .permissions
            .iter()
            .map(|rule| rule.group_size(GroupBound::PERMITTED));
        let prohibited = self
            .prohibitions
            .iter()
            .map(|rule| rule.group_size(GroupBound::PROHIBITED));
        permitted.chain(prohibited).max().flatten()
    }

    /// The duties of the permissions and of the whole policy, in document order; what must be done after a failure is none of them.
    pub(crate) fn duties(&self) -> impl Iterator<Item = &Duty> {
        let of_permissions = self.permissions.iter().flat_map(|rule| &rule.duties);
        of_permissions.chain(&self.obligations)
    }

    /// Whom this connector is to inform, each after the pointer of the duty that says so: duties of what it gives, and of the whole policy.
    pub fn informs_here(&self) -> impl Iterator<Item = (&str, &str)> {
        let given = self.permissions.iter().filter(|rule| rule.gives_here());
        let duties = given.flat_map(|rule| &rule.duties).chain(&self.obligations);
        duties.filter_map(Duty::informs)
    }

    /// The obligations of the whole policy, in document order.
    pub fn obligations(&self) -> &[Duty] {
        &self.obligations
    }
}
