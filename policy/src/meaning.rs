//! What one comparison means: the table of operators that each left operand allows, and the typed test that results.
//! A comparison that is not understood here never reaches a decision. Truth values live in `truth`.

use crate::{
    model::{Term, Value},
    reason::{Code, Reason, quoted},
    timestamp::Timestamp,
    vocabulary::{Category, LeftOperand, Operator, XSD, canonical_name, is_consent_given},
};
use std::collections::BTreeSet;

const DAY_MILLIS: i64 = 86_400_000;

/// A comparison that is understood: its operator and its right operands, typed by the left operand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Test {
    /// On the clock.
    Time { order: Order, spans: Vec<Span> },
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
    /// On a verified claim about the consumer's membership. A claim may have several values.
    Membership {
        claim: String,
        holding: Holding,
        values: BTreeSet<String>,
    },
}

/// A value on the clock in milliseconds since 1970: `[start, end)`. An instant is one millisecond long, an `xsd:date` a
/// day, so that `eq` on a date means "falls in it" (policy.md §1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// Comparisons on the clock.
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
    /// All of them are among the claim's: `isAllOf`, `hasPart`.
    All,
    /// None of them is among the claim's: `neq`, `isNoneOf`.
    None,
}

/// Types one comparison, or names every term in it that is not understood.
pub(crate) fn understand(
    pointer: &str,
    left: &Term<LeftOperand>,
    claim: Option<&str>,
    operator: &Term<Operator>,
    right: &[Value],
) -> Result<Test, Vec<Reason>> {
    let mut unknown = Vec::new();
    if let Term::Unknown(text) = left {
        let text = format!("the left operand {} is not understood", quoted(text));
        unknown.push(Reason::new(Code::NotUnderstood, format!("{pointer}/leftOperand"), text));
    }
    if let Term::Unknown(text) = operator {
        let text = format!("the operator {} is not understood", quoted(text));
        unknown.push(Reason::new(Code::NotUnderstood, format!("{pointer}/operator"), text));
    }
    match (left, operator) {
        (Term::Known(left), Term::Known(operator)) => {
            typed(*left, claim, *operator, right).map_err(|fault| vec![fault.at(pointer, *left, *operator)])
        }
        _ => Err(unknown),
    }
}

/// What is wrong with a comparison whose terms are all known.
enum Fault {
    Operator,
    OneValue,
    Value(String),
}

impl Fault {
    fn at(self, pointer: &str, left: LeftOperand, operator: Operator) -> Reason {
        match self {
            Self::Operator => Reason::new(
                Code::OperatorUnfit,
                format!("{pointer}/operator"),
                format!("{left} cannot be compared with {operator}"),
            ),
            Self::OneValue => Reason::new(
                Code::ValueUnfit,
                format!("{pointer}/rightOperand"),
                format!("{left} {operator} takes exactly one value; for alternatives write isAnyOf"),
            ),
            Self::Value(text) => Reason::new(Code::ValueUnfit, format!("{pointer}/rightOperand"), text),
        }
    }
}

fn typed(left: LeftOperand, claim: Option<&str>, operator: Operator, right: &[Value]) -> Result<Test, Fault> {
    match left {
        LeftOperand::DateTime => {
            let order = order(operator).ok_or(Fault::Operator)?;
            single_unless_set(operator, right)?;
            Ok(Test::Time {
                order,
                spans: right.iter().map(span).collect::<Result<_, _>>()?,
            })
        }
        LeftOperand::Purpose => {
            let relation = match operator {
                Operator::IsA => Relation::Below,
                other => membership(other).ok_or(Fault::Operator)?,
            };
            single_unless_set(operator, right)?;
            let names = right
                .iter()
                .map(|value| name(value).map(canonical_name))
                .collect::<Result<_, _>>()?;
            Ok(Test::Purpose { relation, names })
        }
        LeftOperand::Recipient => {
            let relation = membership(operator).ok_or(Fault::Operator)?;
            single_unless_set(operator, right)?;
            let names = right
                .iter()
                .map(|value| name(value).map(str::to_owned))
                .collect::<Result<_, _>>()?;
            Ok(Test::Recipient { relation, names })
        }
        LeftOperand::DataCategory => {
            let relation = membership(operator).ok_or(Fault::Operator)?;
            single_unless_set(operator, right)?;
            Ok(Test::Category {
                relation,
                members: right.iter().map(category).collect::<Result<_, _>>()?,
            })
        }
        LeftOperand::Consent => consent(operator, right),
        LeftOperand::Membership => {
            let holding = holding(operator).ok_or(Fault::Operator)?;
            if matches!(operator, Operator::Eq | Operator::Neq) && right.len() != 1 {
                return Err(Fault::OneValue);
            }
            let values = right
                .iter()
                .map(|value| name(value).map(str::to_owned))
                .collect::<Result<_, _>>()?;
            let claim = claim.unwrap_or_default().to_owned();
            Ok(Test::Membership { claim, holding, values })
        }
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

fn membership(operator: Operator) -> Option<Relation> {
    match operator {
        Operator::Eq | Operator::IsAnyOf => Some(Relation::AnyOf),
        Operator::Neq | Operator::IsNoneOf => Some(Relation::NoneOf),
        Operator::Lt
        | Operator::Lteq
        | Operator::Gt
        | Operator::Gteq
        | Operator::IsAllOf
        | Operator::IsA
        | Operator::HasPart
        | Operator::IsPartOf => None,
    }
}

fn holding(operator: Operator) -> Option<Holding> {
    match operator {
        Operator::IsAllOf | Operator::HasPart => Some(Holding::All),
        other => membership(other).map(|relation| match relation {
            Relation::NoneOf => Holding::None,
            Relation::AnyOf | Relation::Below => Holding::Any,
        }),
    }
}

/// Every left operand of this cut but the claims of a member has one value, so `eq` with a list would be a comparison of sets that never holds
/// (policy.md §1.5): the author meant something else.
fn single_unless_set(operator: Operator, right: &[Value]) -> Result<(), Fault> {
    let takes_set = matches!(operator, Operator::IsAnyOf | Operator::IsNoneOf | Operator::IsA);
    if takes_set || right.len() == 1 {
        Ok(())
    } else {
        Err(Fault::OneValue)
    }
}

fn consent(operator: Operator, right: &[Value]) -> Result<Test, Fault> {
    let given = match operator {
        Operator::Eq => true,
        Operator::Neq => false,
        _ => return Err(Fault::Operator),
    };
    let [value] = right else { return Err(Fault::OneValue) };
    if is_consent_given(name(value)?) {
        Ok(Test::Consent { given })
    } else {
        Err(Fault::Value(format!(
            "consent can only be compared with \"given\", not with {}",
            quoted(&value.text)
        )))
    }
}

/// The text of a value that names something: a plain string, an IRI, or a typed string.
fn name(value: &Value) -> Result<&str, Fault> {
    let datatype = value.datatype.as_deref();
    let fits = match datatype {
        None | Some("@id") => true,
        Some(datatype) => matches!(XSD.local(datatype), Some("string" | "anyURI")),
    };
    if !fits {
        return Err(Fault::Value(format!(
            "a name is expected, not a value of type {}",
            quoted(datatype.unwrap_or_default())
        )));
    }
    // Names are compared character by character, so white space around one would make it match nothing.
    if value.text.is_empty() || value.text.trim() != value.text {
        return Err(Fault::Value(format!(
            "a name without white space around it is expected, not {}",
            quoted(&value.text)
        )));
    }
    Ok(&value.text)
}

fn category(value: &Value) -> Result<Category, Fault> {
    let text = name(value)?;
    Category::read(text).ok_or_else(|| {
        let known: Vec<&str> = Category::ALL.iter().map(|category| category.name()).collect();
        Fault::Value(format!(
            "the data category {} is not known; known are {}",
            quoted(text),
            known.join(", ")
        ))
    })
}

/// Reads an `xsd:dateTime` (seconds may be missing, as in the examples of DSP 2025-1) or an `xsd:date`. A time zone is
/// required: without one the comparison is uncertain by 14 hours either way.
fn span(value: &Value) -> Result<Span, Fault> {
    let fault = |wanted: &str| Fault::Value(format!("{wanted} is expected, not {}", quoted(&value.text)));
    let text = value.text.as_str();
    match value.datatype.as_deref().map(|datatype| XSD.local(datatype)) {
        None => instant(text)
            .or_else(|| day(text))
            .ok_or_else(|| fault("a date-time or date with a time zone, such as 2026-06-30T22:00:00Z or 2026-06-30Z,")),
        Some(Some("dateTime" | "dateTimeStamp")) => {
            instant(text).ok_or_else(|| fault("a date-time with a time zone, such as 2026-06-30T22:00:00Z,"))
        }
        Some(Some("date")) => day(text).ok_or_else(|| fault("a date with a time zone, such as 2026-06-30Z,")),
        Some(_) => Err(fault("a value of type xsd:dateTime or xsd:date")),
    }
}

fn instant(text: &str) -> Option<Span> {
    let with_seconds = || {
        let (head, zone) = text.split_at_checked("2026-06-30T22:00".len())?;
        zone.starts_with(['Z', '+', '-'])
            .then(|| format!("{head}:00{zone}"))?
            .parse::<Timestamp>()
            .ok()
    };
    let start = text.parse::<Timestamp>().ok().or_else(with_seconds)?.millis();
    Some(Span {
        start,
        end: start.saturating_add(1),
    })
}

fn day(text: &str) -> Option<Span> {
    let (date, zone) = text.split_at_checked("2026-06-30".len())?;
    let start = format!("{date}T00:00:00{zone}").parse::<Timestamp>().ok()?.millis();
    Some(Span {
        start,
        end: start.saturating_add(DAY_MILLIS),
    })
}

impl Test {
    /// The instants at which a test on the clock may change its truth; empty for other tests.
    pub(crate) fn bounds(&self) -> Vec<i64> {
        let Self::Time { order, spans } = self else {
            return Vec::new();
        };
        let ends = |span: &Span| match order {
            Order::Before | Order::AfterOrIn => vec![span.start],
            Order::BeforeOrIn | Order::After => vec![span.end],
            Order::In | Order::NotIn => vec![span.start, span.end],
        };
        spans.iter().flat_map(ends).collect()
    }
}
