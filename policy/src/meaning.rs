//! What one comparison means: the operators that the profile allows each left operand, and the typed test that results. A comparison that is
//! not understood here never reaches a decision. Values are read in `values`; truth values live in `truth`.

mod values;

use crate::{
    facts::Request,
    model::{Term, Value},
    odrl::{Decimal, compare::spelling},
    reason::{Code, Reason, Said, quoted},
    timestamp::Timestamp,
    vocabulary::{Category, LeftOperand, Operator, canonical_name},
};
use std::collections::BTreeSet;

/// A comparison that is understood: its operator and its right operands, typed by the left operand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Test {
    /// On the clock.
    Time { order: Order, spans: Vec<Span> },
    /// On the clock, counted from the agreement or from the transfer before.
    Since {
        operand: LeftOperand,
        order: Order,
        length: Length,
    },
    /// On what is used up: the number of transfers, or milliseconds of open streams.
    Used {
        meter: Meter,
        order: Order,
        spans: Vec<Span>,
    },
    /// On an amount; the unit must be the same.
    Amount {
        operand: LeftOperand,
        order: Order,
        numbers: BTreeSet<Decimal>,
        unit: Option<String>,
    },
    /// On the purpose of the use, by canonical name.
    Purpose {
        relation: Relation,
        names: BTreeSet<String>,
    },
    /// On the identity of the consumer.
    Recipient {
        relation: Relation,
        names: BTreeSet<String>,
    },
    /// On the learner's consent: `given` true asks for it, false for its absence (`neq given`).
    Consent { given: bool },
    /// On the category of the record.
    Category {
        relation: Relation,
        members: BTreeSet<Category>,
    },
    /// On whether the learner is a minor, or a guardian has consented.
    Flag { operand: LeftOperand, set: bool },
    /// On names that the consumer, the dataset or the transfer has. It may have several.
    Held {
        what: Held,
        holding: Holding,
        values: BTreeSet<String>,
    },
    /// On the clock, beside the time of an event.
    Event { order: Order, name: String },
}

/// What is used up while an agreement is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Meter {
    Transfers,
    OpenTime,
}

/// What has the names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Held {
    /// A verified claim, by its key in [`crate::Claims`].
    Claim(String),
    /// An operand of the transfer.
    Named(LeftOperand),
}

/// A value on a line of whole numbers: `[start, end)`. On the clock, milliseconds since 1970: an instant is one millisecond long, an `xsd:date`
/// a day, so that `eq` on a date means "falls in it" (policy.md §1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

impl Span {
    pub(crate) const fn at(start: i64) -> Self {
        Self {
            start,
            end: start.saturating_add(1),
        }
    }
}

/// A length of time on the calendar: months first, then the rest. Never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Length {
    pub(crate) months: u32,
    pub(crate) millis: i64,
}

impl Length {
    /// The instant that lies this far after `from`.
    pub(crate) fn after(self, from: Timestamp) -> i64 {
        let millis = from.plus_months(self.months).millis().saturating_add(self.millis);
        Timestamp::from_millis(millis).millis()
    }

    /// Milliseconds that it takes at least and at most, whenever it begins.
    pub(crate) fn bounds(self) -> (i64, i64) {
        let (least, most) = months_millis(self.months);
        (least.saturating_add(self.millis), most.saturating_add(self.millis))
    }
}

/// How long so many months take at least and at most, in milliseconds: as long as they do on average (146,097 days in 400 years), give or take a
/// week. From no day of the calendar on is it more: lengths of months and leap years make up for each other before.
pub(crate) fn months_millis(months: u32) -> (i64, i64) {
    const MONTH: i64 = 146_097 * 86_400_000 / 4_800;
    const WEEK: i64 = 7 * 86_400_000;
    if months == 0 {
        return (0, 0);
    }
    let about = i64::from(months).saturating_mul(MONTH);
    (about.saturating_sub(WEEK), about.saturating_add(WEEK))
}

/// Comparisons on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    Before,
    BeforeOrIn,
    After,
    AfterOrIn,
    In,
    NotIn,
}

/// Comparisons of a name with a set of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Relation {
    /// The name is one of them: `eq`, `isAnyOf`. Plain membership, no hierarchy (policy.md §1.5, decision 1).
    AnyOf,
    /// The name is none of them: `neq`, `isNoneOf`.
    NoneOf,
    /// The name is one of them or below one of them: `isA`.
    Below,
}

/// Comparisons of the values of a claim with a set of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holding {
    /// At least one of them is among the claim's: `eq`, `isAnyOf`.
    Any,
    /// All of them are among the claim's: `isAllOf`, and `hasPart` of a claim.
    All,
    /// None of them is among the claim's: `neq`, `isNoneOf`.
    None,
    /// One of the names held is one of them or below one of them: `isA`, `isPartOf`.
    Below,
    /// All of them are among the names held or below these: `hasPart`. What is held is told with what contains it and not with what it contains, so
    /// what is not named is not known.
    Above,
}

/// A comparison as it was written, before it is understood.
pub(crate) struct Comparison<'a> {
    pub(crate) pointer: &'a str,
    pub(crate) left: &'a Term<LeftOperand>,
    pub(crate) claim: Option<&'a str>,
    pub(crate) operator: &'a Term<Operator>,
    pub(crate) right: &'a [Value],
    pub(crate) unit: Option<&'a str>,
}

/// Types one comparison, or names every term in it that is not understood.
pub(crate) fn understand(written: &Comparison<'_>) -> Result<Test, Vec<Reason>> {
    let mut unknown = Vec::new();
    let mut name = |[english, french]: [&str; 2], member: &str, text: &str| {
        let text = quoted(text);
        let said = Said::new(
            format!("the {english} {text} is not understood"),
            format!("{french} {text} n’est pas compris"),
        );
        let pointer = format!("{}/{member}", written.pointer);
        unknown.push(Reason::said(Code::NotUnderstood, pointer, said));
    };
    if let Term::Unknown(text) = written.left {
        name(["left operand", "le critère"], "leftOperand", text);
    }
    if let Term::Unknown(text) = written.operator {
        name(["operator", "l’opérateur"], "operator", text);
    }
    match (written.left.known(), written.operator.known()) {
        (Some(left), Some(operator)) => {
            typed(left, operator, written).map_err(|fault| vec![fault.at(written.pointer, left, operator)])
        }
        _ => Err(unknown),
    }
}

/// What is wrong with a comparison whose terms are all known.
enum Fault {
    Operator,
    OneValue,
    Value(Said),
}

impl Fault {
    fn at(self, pointer: &str, left: LeftOperand, operator: Operator) -> Reason {
        let (code, member, said) = match self {
            Self::Operator => (
                Code::OperatorUnfit,
                "operator",
                Said::new(
                    format!("{left} cannot be compared with {operator}"),
                    format!("{left} ne se compare pas avec {operator}"),
                ),
            ),
            Self::OneValue => (
                Code::ValueUnfit,
                "rightOperand",
                Said::new(
                    format!("{left} {operator} takes exactly one value; for alternatives write isAnyOf"),
                    format!("{left} {operator} prend une seule valeur ; pour des alternatives, écrivez isAnyOf"),
                ),
            ),
            Self::Value(said) => (Code::ValueUnfit, "rightOperand", said),
        };
        Reason::said(code, format!("{pointer}/{member}"), said)
    }
}

fn typed(left: LeftOperand, operator: Operator, written: &Comparison<'_>) -> Result<Test, Fault> {
    if !left.operand().operators.contains(&operator) {
        return Err(Fault::Operator);
    }
    let right = written.right;
    if !takes_set(operator) && right.len() != 1 {
        return Err(Fault::OneValue);
    }
    let order = || order(operator).ok_or(Fault::Operator);
    let relation = || relation(operator).ok_or(Fault::Operator);
    match left {
        LeftOperand::DateTime => Ok(Test::Time {
            order: order()?,
            spans: all(right, values::span)?,
        }),
        LeftOperand::ElapsedTime | LeftOperand::DelayPeriod | LeftOperand::TimeInterval => Ok(Test::Since {
            operand: left,
            order: since(left, operator).ok_or(Fault::Operator)?,
            length: one(right, values::length)?,
        }),
        LeftOperand::MeteredTime => Ok(Test::Used {
            meter: Meter::OpenTime,
            order: since(left, operator).ok_or(Fault::Operator)?,
            spans: all(right, values::stretch)?,
        }),
        LeftOperand::Count => Ok(Test::Used {
            meter: Meter::Transfers,
            order: order()?,
            spans: all(right, values::count)?,
        }),
        LeftOperand::PayAmount | LeftOperand::MinGroupSize => Ok(Test::Amount {
            operand: left,
            order: order()?,
            numbers: all(right, values::number)?,
            unit: written.unit.map(canonical_name),
        }),
        LeftOperand::Purpose => Ok(Test::Purpose {
            relation: relation()?,
            names: all(right, |value| values::name(value).map(canonical_name))?,
        }),
        LeftOperand::Recipient => Ok(Test::Recipient {
            relation: relation()?,
            names: all(right, |value| values::name(value).map(str::to_owned))?,
        }),
        LeftOperand::DataCategory => Ok(Test::Category {
            // The categories are complete, and none lies below another: `isA` is to be one of them.
            relation: match relation()? {
                Relation::Below => Relation::AnyOf,
                other => other,
            },
            members: all(right, values::category)?,
        }),
        LeftOperand::Consent => one(right, values::given).map(|()| Test::Consent {
            given: operator == Operator::Eq,
        }),
        LeftOperand::Minor | LeftOperand::GuardianConsent => Ok(Test::Flag {
            operand: left,
            set: one(right, values::boolean)? == (operator == Operator::Eq),
        }),
        LeftOperand::Event => Ok(Test::Event {
            order: order()?,
            name: one(right, |value| values::name(value).map(canonical_name))?,
        }),
        LeftOperand::Membership | LeftOperand::Credential => {
            let claim = written.claim.unwrap_or_default();
            let key = match left {
                LeftOperand::Membership => claim.to_owned(),
                _ => format!("{left}.{claim}"),
            };
            Ok(Test::Held {
                what: Held::Claim(key),
                holding: holding(operator).ok_or(Fault::Operator)?,
                values: all(right, |value| values::name(value).map(str::to_owned))?,
            })
        }
        named => Ok(Test::Held {
            what: Held::Named(named),
            holding: match operator {
                Operator::HasPart => Holding::Above,
                other => holding(other).ok_or(Fault::Operator)?,
            },
            values: all(right, |value| values::name(value).map(|text| spelling(named, text)))?,
        }),
    }
}

fn all<T, C: FromIterator<T>>(right: &[Value], read: impl FnMut(&Value) -> Result<T, Fault>) -> Result<C, Fault> {
    right.iter().map(read).collect()
}

fn one<T>(right: &[Value], read: impl FnOnce(&Value) -> Result<T, Fault>) -> Result<T, Fault> {
    match right {
        [value] => read(value),
        _ => Err(Fault::OneValue),
    }
}

fn order(operator: Operator) -> Option<Order> {
    match operator {
        Operator::Lt => Some(Order::Before),
        Operator::Lteq => Some(Order::BeforeOrIn),
        Operator::Gt => Some(Order::After),
        Operator::Gteq => Some(Order::AfterOrIn),
        Operator::Eq | Operator::IsAnyOf => Some(Order::In),
        Operator::Neq | Operator::IsNoneOf => Some(Order::NotIn),
        Operator::IsAllOf | Operator::IsA | Operator::HasPart | Operator::IsPartOf => None,
    }
}

/// A length of time is hardly ever met to the millisecond. The profile reads `eq` as what policies mean by it: use within the time, or use
/// once the time has passed.
fn since(left: LeftOperand, operator: Operator) -> Option<Order> {
    let waits = matches!(left, LeftOperand::DelayPeriod | LeftOperand::TimeInterval);
    match operator {
        Operator::Eq if waits => Some(Order::AfterOrIn),
        Operator::Eq => Some(Order::BeforeOrIn),
        Operator::Neq if waits => Some(Order::Before),
        Operator::Neq => Some(Order::After),
        other => order(other).filter(|order| !matches!(order, Order::In | Order::NotIn)),
    }
}

fn relation(operator: Operator) -> Option<Relation> {
    match operator {
        Operator::Eq | Operator::IsAnyOf => Some(Relation::AnyOf),
        Operator::Neq | Operator::IsNoneOf => Some(Relation::NoneOf),
        Operator::IsA => Some(Relation::Below),
        Operator::Lt
        | Operator::Lteq
        | Operator::Gt
        | Operator::Gteq
        | Operator::IsAllOf
        | Operator::HasPart
        | Operator::IsPartOf => None,
    }
}

fn holding(operator: Operator) -> Option<Holding> {
    match operator {
        Operator::IsAllOf | Operator::HasPart => Some(Holding::All),
        Operator::IsA | Operator::IsPartOf => Some(Holding::Below),
        other => relation(other).map(|relation| match relation {
            Relation::NoneOf => Holding::None,
            Relation::AnyOf | Relation::Below => Holding::Any,
        }),
    }
}

/// The others compare one value: `eq` with a list would be a comparison of sets that hardly ever holds (policy.md §1.5): the author meant
/// something else.
const fn takes_set(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::IsAnyOf
            | Operator::IsNoneOf
            | Operator::IsAllOf
            | Operator::IsA
            | Operator::IsPartOf
            | Operator::HasPart
    )
}

/// From when a length of time is counted: `None` when that is not known.
pub(crate) enum Anchor {
    At(Timestamp),
    /// There was no transfer before, so any length of time has passed.
    Never,
}

impl Anchor {
    pub(crate) fn of(operand: LeftOperand, request: &Request) -> Option<Self> {
        match operand {
            LeftOperand::TimeInterval => {
                let last = request.usage?.last_transfer;
                Some(last.map_or(Self::Never, Self::At))
            }
            _ => request.agreed.map(Self::At),
        }
    }
}

impl Test {
    /// The values of a line at which a test on it may change its truth; empty for other tests.
    fn changes(order: Order, spans: &[Span]) -> Vec<i64> {
        let ends = |span: &Span| match order {
            Order::Before | Order::AfterOrIn => vec![span.start],
            Order::BeforeOrIn | Order::After => vec![span.end],
            Order::In | Order::NotIn => vec![span.start, span.end],
        };
        spans.iter().flat_map(ends).collect()
    }

    /// The instants at which a test on the clock may change its truth; empty for other tests.
    pub(crate) fn instants(&self, request: &Request) -> Vec<i64> {
        match self {
            Self::Time { order, spans } => Self::changes(*order, spans),
            Self::Since { operand, order, length } => match Anchor::of(*operand, request) {
                Some(Anchor::At(from)) => Self::changes(*order, &[Span::at(length.after(from))]),
                Some(Anchor::Never) | None => Vec::new(),
            },
            Self::Event { order, name } => request
                .event(name)
                .map_or_else(Vec::new, |time| Self::changes(*order, &[time])),
            _ => Vec::new(),
        }
    }

    /// The readings of a meter at which a test on it may change its truth; empty for other tests.
    pub(crate) fn readings(&self, wanted: Meter) -> Vec<i64> {
        match self {
            Self::Used { meter, order, spans } if *meter == wanted => Self::changes(*order, spans),
            _ => Vec::new(),
        }
    }
}
