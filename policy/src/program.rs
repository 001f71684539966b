//! What a plan looks at for each record, as a flat list of operations: evaluated on a stack of bits, without recursion and without allocation.
//! Made from the rules of a policy by folding everything else into constants; three-valued exactly as `evaluate` is, so that a record with a
//! missing fact fares no better here than there.

use crate::{
    evaluate::World,
    meaning::{Relation, Test},
    model::{Connective, Constraint, Rule},
    reason::Code,
    record::RecordFacts,
    truth::Truth,
    vocabulary::{Category, LeftOperand},
};

/// How many operations a plan may hold.
pub(crate) const MAX_OPS: usize = 256;
/// How many truths the stack holds.
const MAX_STACK: usize = 128;

/// A condition on a record, folded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Condition {
    Is(Truth),
    /// The category is one of these; one bit for each.
    Category(u8),
    Consent,
    Minor,
    Guardian,
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
    One(Vec<Self>),
}

impl Condition {
    /// Whether one of the permissions permits and none of the prohibitions may forbid. `world` is everything but the record; a prohibition
    /// is judged in `against`.
    pub(crate) fn of(permissions: &[&Rule], world: &World<'_>, prohibitions: &[&Rule], against: &World<'_>) -> Self {
        let any = |rules: &[&Rule], world: &World<'_>| Self::any(rules.iter().map(|rule| Self::rule(rule, world)));
        Self::all([any(permissions, world), any(prohibitions, against).not()])
    }

    fn rule(rule: &Rule, world: &World<'_>) -> Self {
        Self::all(
            rule.constraints
                .iter()
                .map(|constraint| Self::constraint(constraint, world)),
        )
    }

    fn constraint(constraint: &Constraint, world: &World<'_>) -> Self {
        match constraint {
            Constraint::Atomic(atomic) => match &atomic.test {
                Ok(test) => Self::test(test, world),
                Err(_) => Self::Is(Truth::Unknown),
            },
            Constraint::Logical { connective, parts, .. } => {
                let parts = parts.iter().map(|part| Self::constraint(part, world));
                match connective {
                    Connective::And | Connective::AndSequence => Self::all(parts),
                    Connective::Or => Self::any(parts),
                    Connective::Xone => Self::one(parts),
                }
            }
        }
    }

    fn test(test: &Test, world: &World<'_>) -> Self {
        let (open, holds) = match test {
            Test::Category { relation, members } => {
                let listed = members.iter().fold(0, |bits, category| bits | bit(*category));
                let listed = if *relation == Relation::NoneOf { !listed } else { listed };
                (Self::Category(listed), true)
            }
            Test::Consent { given } => (Self::Consent, *given),
            Test::Flag { operand, set } if world.tells_minors => match operand {
                LeftOperand::Minor => (Self::Minor, *set),
                _ => (Self::Guardian, *set),
            },
            other => return Self::Is(other.truth(world)),
        };
        if holds { open } else { open.not() }
    }

    fn not(self) -> Self {
        match self {
            Self::Is(Truth::True) => Self::Is(Truth::False),
            Self::Is(Truth::False) => Self::Is(Truth::True),
            Self::Is(Truth::Unknown) => self,
            Self::Not(inner) => *inner,
            Self::Category(listed) => Self::Category(!listed),
            other => Self::Not(Box::new(other)),
        }
    }

    pub(crate) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::joined(parts, Truth::True, Self::All)
    }

    fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::joined(parts, Truth::False, Self::Any)
    }

    /// Parts of which the neutral ones say nothing and whose opposite decides; saying the same twice changes nothing.
    fn joined(parts: impl IntoIterator<Item = Self>, neutral: Truth, join: fn(Vec<Self>) -> Self) -> Self {
        let deciding = if neutral == Truth::True {
            Truth::False
        } else {
            Truth::True
        };
        let mut kept: Vec<Self> = parts.into_iter().filter(|part| *part != Self::Is(neutral)).collect();
        if kept.contains(&Self::Is(deciding)) {
            return Self::Is(deciding);
        }
        kept.sort_unstable();
        kept.dedup();
        match kept.len() {
            0 => Self::Is(neutral),
            1 => kept.remove(0),
            _ => join(kept),
        }
    }

    fn one(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept: Vec<Self> = parts
            .into_iter()
            .filter(|part| *part != Self::Is(Truth::False))
            .collect();
        let holding = kept.iter().filter(|part| **part == Self::Is(Truth::True)).count();
        kept.sort_unstable();
        match (holding, kept.len()) {
            (2.., _) | (_, 0) => Self::Is(Truth::False),
            (_, 1) => kept.remove(0),
            _ => Self::One(kept),
        }
    }

    fn write(&self, ops: &mut Vec<Op>) {
        let (parts, last): (&[Self], Op) = match self {
            Self::Is(truth) => (&[], Op::Push(*truth)),
            Self::Category(listed) => (&[], Op::Category(*listed)),
            Self::Consent => (&[], Op::Consent),
            Self::Minor => (&[], Op::Minor),
            Self::Guardian => (&[], Op::Guardian),
            Self::Not(inner) => (std::slice::from_ref(inner), Op::Not),
            Self::All(parts) => (parts, Op::All(small(parts.len()))),
            Self::Any(parts) => (parts, Op::Any(small(parts.len()))),
            Self::One(parts) => (parts, Op::One(small(parts.len()))),
        };
        parts.iter().for_each(|part| part.write(ops));
        ops.push(last);
    }
}

/// A longer list has too many operations as well, and is refused for that.
fn small(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn bit(category: Category) -> u8 {
    1 << category as u8
}

const _: () = assert!(Category::ALL.len() <= 8, "each category has its bit");

/// One operation: it takes truths from the stack and leaves one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Op {
    Push(Truth),
    Category(u8),
    Consent,
    Minor,
    Guardian,
    Not,
    All(u8),
    Any(u8),
    One(u8),
}

impl Op {
    fn takes(self) -> usize {
        match self {
            Self::Push(_) | Self::Category(_) | Self::Consent | Self::Minor | Self::Guardian => 0,
            Self::Not => 1,
            Self::All(parts) | Self::Any(parts) | Self::One(parts) => parts.into(),
        }
    }
}

/// A truth for each bit: it holds, it does not, or neither is known. The top is the lowest bit.
#[derive(Default)]
struct Stack {
    holds: u128,
    fails: u128,
}

impl Stack {
    fn push(&mut self, truth: Truth) {
        self.holds = self.holds << 1 | u128::from(truth == Truth::True);
        self.fails = self.fails << 1 | u128::from(truth == Truth::False);
    }

    /// How many of so many truths at the top hold, and how many fail; they are taken away.
    fn take(&mut self, parts: u8) -> (u32, u32) {
        let top = 1_u128.checked_shl(parts.into()).unwrap_or(0).wrapping_sub(1);
        let counts = ((self.holds & top).count_ones(), (self.fails & top).count_ones());
        self.holds = self.holds.checked_shr(parts.into()).unwrap_or(0);
        self.fails = self.fails.checked_shr(parts.into()).unwrap_or(0);
        counts
    }

    fn apply(&mut self, op: Op, record: &RecordFacts) {
        let fact = |fact: Option<bool>| fact.map_or(Truth::Unknown, Truth::from);
        let truth = match op {
            Op::Push(truth) => truth,
            Op::Category(listed) => fact(record.category.map(|category| listed & bit(category) != 0)),
            Op::Consent => fact(record.consent),
            Op::Minor => fact(record.minor),
            Op::Guardian => fact(record.guardian_consent),
            Op::Not => match self.take(1) {
                (1, _) => Truth::False,
                (_, 1) => Truth::True,
                _ => Truth::Unknown,
            },
            Op::All(parts) => match self.take(parts) {
                (_, 1..) => Truth::False,
                (holding, _) if holding == u32::from(parts) => Truth::True,
                _ => Truth::Unknown,
            },
            Op::Any(parts) => match self.take(parts) {
                (1.., _) => Truth::True,
                (_, failing) if failing == u32::from(parts) => Truth::False,
                _ => Truth::Unknown,
            },
            Op::One(parts) => match self.take(parts) {
                (2.., _) => Truth::False,
                (holding, failing) if holding + failing == u32::from(parts) => Truth::from(holding == 1),
                _ => Truth::Unknown,
            },
        };
        self.push(truth);
    }
}

/// The operations, and their answers for every record that there can be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Program {
    ops: Vec<Op>,
    /// For each category, and last for none: a bit for each combination of the other facts.
    answers: [u32; Category::ALL.len() + 1],
}

/// A fact that is missing, false or true.
const FLAGS: [Option<bool>; 3] = [None, Some(false), Some(true)];

fn flag(fact: Option<bool>) -> u32 {
    match fact {
        None => 0,
        Some(false) => 1,
        Some(true) => 2,
    }
}

/// Which bit of an answer these facts have.
fn place(record: &RecordFacts) -> u32 {
    flag(record.consent) * 9 + flag(record.minor) * 3 + flag(record.guardian_consent)
}

fn row(category: Option<Category>) -> usize {
    category.map_or(Category::ALL.len(), |category| category as usize)
}

impl Program {
    /// The operations that work out a condition; `None` when there would be too many.
    pub(crate) fn of(condition: &Condition) -> Option<Self> {
        let mut ops = Vec::new();
        condition.write(&mut ops);
        let mut depth = 0_usize;
        let fits = ops.iter().all(|op| {
            depth = depth.saturating_sub(op.takes()) + 1;
            depth <= MAX_STACK
        });
        if ops.len() > MAX_OPS || !fits {
            return None;
        }
        let mut program = Self {
            ops,
            answers: [0; Category::ALL.len() + 1],
        };
        let categories = Category::ALL.iter().copied().map(Some).chain([None]);
        for record in categories.flat_map(records_of) {
            if program.run(&record) == Truth::True
                && let Some(answer) = program.answers.get_mut(row(record.category))
            {
                *answer |= 1 << place(&record);
            }
        }
        Some(program)
    }

    /// Works the operations out.
    pub(crate) fn run(&self, record: &RecordFacts) -> Truth {
        let mut stack = Stack::default();
        for op in &self.ops {
            stack.apply(*op, record);
        }
        match stack.take(1) {
            (1, _) => Truth::True,
            (_, 1) => Truth::False,
            _ => Truth::Unknown,
        }
    }

    /// Whether the condition holds: one look into the answers.
    pub(crate) fn permits(&self, record: &RecordFacts) -> bool {
        self.answers
            .get(row(record.category))
            .is_some_and(|answer| answer >> place(record) & 1 == 1)
    }

    /// All answers.
    pub(crate) fn answers(&self) -> &[u32] {
        &self.answers
    }

    /// Why it does not: what would help most is named first.
    pub(crate) fn why_not(&self, record: &RecordFacts) -> Code {
        let consent = Some(true);
        let guardian_consent = Some(true);
        if self.permits(&RecordFacts { consent, ..*record }) {
            return Code::ConsentNone;
        }
        if self.permits(&RecordFacts {
            guardian_consent,
            ..*record
        }) || self.permits(&RecordFacts {
            consent,
            guardian_consent,
            ..*record
        }) {
            return Code::GuardianMissing;
        }
        match self.run(record) {
            Truth::Unknown => Code::ConstraintUnknown,
            Truth::True | Truth::False => Code::ConstraintFalse,
        }
    }

    /// Whether no record leaves that would not leave with one more consent, whatever else is known or missing.
    pub(crate) fn grows_with_consent(&self) -> bool {
        let categories = Category::ALL.iter().copied().map(Some).chain([None]);
        categories
            .flat_map(records_of)
            .filter(|record| self.permits(record))
            .all(|record| record.with_more_consent().all(|more| self.permits(&more)))
    }

    /// How many operations there are.
    pub(crate) fn len(&self) -> usize {
        self.ops.len()
    }
}

/// Every record of a category that there can be, with facts missing.
fn records_of(category: Option<Category>) -> impl Iterator<Item = RecordFacts> {
    FLAGS.into_iter().flat_map(move |consent| {
        FLAGS.into_iter().flat_map(move |minor| {
            FLAGS.into_iter().map(move |guardian_consent| RecordFacts {
                category,
                consent,
                minor,
                guardian_consent,
            })
        })
    })
}

#[cfg(test)]
mod tests;
