//! What one constraint asks of one operand, in a form in which it can be denied, intersected and recognised again: points of a line, names,
//! recurring moments, or something that is not understood.

use super::{
    codes,
    concepts::{Concepts, Name},
    events,
    intervals::{Cut, Intervals},
    words,
};
use crate::{
    model::Connective,
    odrl::{Constraint, Decimal, Duration, Instant, Value, model::Comparison, value::date},
    vocabulary::Operator,
};
use std::{collections::BTreeSet, fmt};

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;

/// What the operand belongs to: the world at the time of use, or the request (ODRL 2.2 §2.5.3, refinements).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// What is done; its refinements have a left operand.
    Action,
    /// What it is done to.
    Target,
    /// By whom.
    Assignee,
    /// The state of the world.
    World,
}

/// One operand. `step` tells the delays of a sequence apart (1, 2, …); 0 everywhere else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Axis {
    pub(super) place: Place,
    /// The local name of an operand that is known, or as it was written; empty for action, target and assignee themselves.
    pub(super) left: String,
    pub(super) step: usize,
}

/// What the keys of a line mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scale {
    /// Units of 10^-18.
    Number,
    /// Nanoseconds since 1970; false without a time zone.
    Time(bool),
    /// Nanoseconds.
    Span,
    /// Months, which no number of days equals.
    Months,
}

/// How names are asked for. All of them can be denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    /// One of these.
    Any,
    /// These all and no other.
    Exactly,
    /// These all; at least two.
    All,
    /// One of these or something below it.
    Below,
    /// Something that each of these lies below, or is.
    Above,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Test {
    Line {
        scale: Scale,
        unit: Option<String>,
        set: Intervals,
    },
    Names {
        how: How,
        names: BTreeSet<Name>,
        holds: bool,
    },
    /// Recurring: `anchor` and every `period` before and after it, `width` long.
    Every {
        period: i128,
        anchor: i128,
        width: i128,
        holds: bool,
    },
    /// Not understood, as it was written, and why. The same text twice is the same condition.
    Opaque {
        text: String,
        why: &'static str,
        holds: bool,
    },
}

impl Test {
    /// What holds exactly where this does not.
    pub(super) fn denied(&self) -> Self {
        let mut test = self.clone();
        match &mut test {
            Self::Line { set, .. } => *set = set.complement(),
            Self::Names { holds, .. } | Self::Every { holds, .. } | Self::Opaque { holds, .. } => *holds = !*holds,
        }
        test
    }

    pub(super) fn names(how: How, names: impl IntoIterator<Item = Name>) -> Self {
        Self::Names {
            how,
            names: names.into_iter().collect(),
            holds: true,
        }
    }

    fn opaque(comparison: &Comparison, why: &'static str) -> Self {
        Self::Opaque {
            text: written(&Constraint::Atomic(comparison.clone())),
            why,
            holds: true,
        }
    }

    /// That parts come to hold in their order, which nothing else says.
    pub(super) fn sequence(parts: &[Constraint]) -> Self {
        Self::Opaque {
            text: format!(
                "in this order: {}",
                parts.iter().map(written).collect::<Vec<_>>().join(", then ")
            ),
            why: "in which order conditions come to hold cannot be compared",
            holds: true,
        }
    }

    /// That the conflict strategy lets a policy be.
    pub(super) fn void() -> Self {
        Self::Opaque {
            text: "no permission and prohibition of a policy meet".to_owned(),
            why: "whether rules meet is no condition on a request",
            holds: true,
        }
    }

    /// What a comparison asks. What it does not understand it keeps as it stands.
    pub(super) fn read(comparison: &Comparison, concepts: &Concepts) -> Self {
        let left = codes::local(&comparison.left);
        let right: Vec<Value> = comparison.right.iter().map(|value| typed(left, value)).collect();
        if comparison.status.is_some() {
            return Self::opaque(comparison, "a value that was used up before is not compared");
        }
        if comparison.anchor.is_some() {
            return recurring(comparison, &right)
                .unwrap_or_else(|| Self::opaque(comparison, "this recurrence is not understood"));
        }
        if events::compares_events(comparison) {
            return events::test(comparison, concepts.enforced()).unwrap_or_else(|why| Self::opaque(comparison, why));
        }
        let ordered = right.iter().all(|value| key(value).is_some());
        let named = right.iter().all(|value| name(left, value, concepts).is_some());
        let read = match (ordered, named) {
            (true, _) => line(comparison, &right, concepts),
            (false, true) => {
                let names = right.iter().filter_map(|value| name(left, value, concepts));
                named_test(comparison, names.collect(), concepts)
            }
            (false, false) => Err("values of different kinds"),
        };
        read.unwrap_or_else(|why| Self::opaque(comparison, why))
    }
}

/// A constraint without ids, spellings of values and, where it does not count, order.
pub(super) fn written(constraint: &Constraint) -> String {
    match constraint {
        Constraint::Atomic(comparison) => {
            let mut right: Vec<String> = comparison.right.iter().map(words::value).collect();
            right.sort_unstable();
            let Comparison {
                left,
                operator,
                unit,
                status,
                anchor,
                ..
            } = comparison;
            format!(
                "{} {operator} {right:?} {unit:?} {status:?} {anchor:?}",
                codes::local(left)
            )
        }
        Constraint::Logical { connective, parts, .. } => {
            let mut parts: Vec<String> = parts.iter().map(written).collect();
            if *connective != Connective::AndSequence {
                parts.sort_unstable();
            }
            format!("{}({})", connective_name(*connective), parts.join(", "))
        }
    }
}

const fn connective_name(connective: Connective) -> &'static str {
    match connective {
        Connective::And => "and",
        Connective::Or => "or",
        Connective::Xone => "xone",
        Connective::AndSequence => "andSequence",
    }
}

/// A string where the left operand's type says more: DSP 2025-1 has peers write times and numbers untyped.
fn typed(left: &str, value: &Value) -> Value {
    let Value::Text(text) = value else {
        return value.clone();
    };
    let read = match left {
        "dateTime" => Instant::read(text)
            .map(|(at, zoned)| Value::Instant(at, zoned))
            .or_else(|| date(text).map(|(start, end, zoned)| Value::Day(start, end, zoned))),
        "elapsedTime" | "meteredTime" | "delayPeriod" | "timeInterval" => Duration::read(text).map(Value::Duration),
        _ if is_numeric(left) => Decimal::read(text).map(Value::Number),
        _ => None,
    };
    read.unwrap_or_else(|| value.clone())
}

fn is_numeric(left: &str) -> bool {
    matches!(left, "count" | "percentage" | "payAmount" | "resolution")
        || left.starts_with("absoluteSize")
        || left.starts_with("relativeSize")
        || left == "minGroupSize"
}

/// Whether values of the operand never lie below zero.
pub(super) fn is_never_negative(left: &str) -> bool {
    matches!(left, "elapsedTime" | "meteredTime" | "delayPeriod" | "timeInterval") || is_numeric(left)
}

/// Whether values of the operand are whole numbers.
pub(super) fn is_whole(left: &str) -> bool {
    matches!(left, "count" | "minGroupSize")
}

/// A whole unit of a scale: what a witness is moved by.
pub(super) const fn step(scale: Scale) -> i128 {
    match scale {
        Scale::Number => 1_000_000_000_000_000_000,
        Scale::Time(_) | Scale::Span => DAY,
        Scale::Months => 1,
    }
}

/// The value of a key.
pub(super) fn value(scale: Scale, key: i128) -> Value {
    match scale {
        Scale::Number => Value::Number(Decimal::from_key(key)),
        Scale::Time(zoned) => Value::Instant(Instant(key), zoned),
        Scale::Span => Value::Duration(Duration { months: 0, nanos: key }),
        Scale::Months => Value::Duration(Duration {
            months: i64::try_from(key).unwrap_or(i64::MAX),
            nanos: 0,
        }),
    }
}

/// Scale, and where the value begins and ends; a point but for days.
fn key(value: &Value) -> Option<(Scale, Cut, Cut)> {
    let point = |scale, at| Some((scale, Cut::before(at), Cut::after(at)));
    match value {
        Value::Number(number) => point(Scale::Number, number.key()),
        Value::Instant(at, zoned) => point(Scale::Time(*zoned), at.0),
        Value::Day(start, end, zoned) => Some((Scale::Time(*zoned), Cut::before(start.0), Cut::before(end.0))),
        Value::Duration(Duration { months: 0, nanos }) => point(Scale::Span, *nanos),
        Value::Duration(Duration { months, nanos: 0 }) => point(Scale::Months, (*months).into()),
        Value::Duration(_) | Value::Boolean(_) | Value::Iri(_) | Value::Text(_) => None,
    }
}

fn name(left: &str, value: &Value, concepts: &Concepts) -> Option<Name> {
    match value {
        Value::Iri(text) => Some(concepts.name(left, text, false)),
        Value::Text(text) => Some(concepts.name(left, text, true)),
        Value::Boolean(flag) => Some(Name {
            scheme: codes::Scheme::Flag,
            text: flag.to_string(),
        }),
        _ => None,
    }
}

/// What an operator means of a length of time. It is hardly ever met to the millisecond, so our profile enforces `eq` as within that time, or
/// as once it has passed.
fn under_enforcement(left: &str, operator: Operator) -> Result<Operator, &'static str> {
    let waits = match left {
        "delayPeriod" | "timeInterval" => true,
        "elapsedTime" | "meteredTime" => false,
        _ => return Ok(operator),
    };
    match operator {
        Operator::Eq if waits => Ok(Operator::Gteq),
        Operator::Eq => Ok(Operator::Lteq),
        Operator::Neq if waits => Ok(Operator::Lt),
        Operator::Neq => Ok(Operator::Gt),
        Operator::Lt | Operator::Lteq | Operator::Gt | Operator::Gteq => Ok(operator),
        _ => Err("a length of time is compared with one other"),
    }
}

fn line(comparison: &Comparison, right: &[Value], concepts: &Concepts) -> Result<Test, &'static str> {
    let keys: Vec<(Scale, Cut, Cut)> = right.iter().filter_map(key).collect();
    let Some((scale, low, high)) = keys.first().copied() else {
        return Err("no value");
    };
    if keys.iter().any(|(other, ..)| *other != scale) {
        return Err("values of different kinds");
    }
    let points = || Intervals::union(keys.iter().map(|(_, low, high)| Intervals::between(*low, *high)));
    let one = keys.iter().all(|(_, l, h)| (*l, *h) == (low, high));
    let operator = if concepts.enforced() {
        under_enforcement(codes::local(&comparison.left), comparison.operator)?
    } else {
        comparison.operator
    };
    let set = match operator {
        Operator::IsAnyOf => points(),
        Operator::IsNoneOf => points().complement(),
        _ if !one => return Err("several values where one is compared"),
        Operator::Eq | Operator::IsAllOf => points(),
        Operator::Neq => points().complement(),
        Operator::Lt => Intervals::to(low),
        Operator::Lteq => Intervals::to(high),
        Operator::Gt => Intervals::from(high),
        Operator::Gteq => Intervals::from(low),
        Operator::IsA | Operator::HasPart | Operator::IsPartOf => return Err("this operator compares names"),
    };
    Ok(Test::Line {
        scale,
        unit: comparison.unit.clone(),
        set,
    })
}

/// What a comparison asks of names. An operand of ODRL has one value, so `isAllOf` is membership as `isAnyOf` is (policy.md §3.3). Our profile
/// enforces operands that hold several, of which `isAllOf` asks for all its names, and `eq` for its one among others.
fn named_test(comparison: &Comparison, names: BTreeSet<Name>, concepts: &Concepts) -> Result<Test, &'static str> {
    if comparison.unit.is_some() {
        return Err("a name has no unit");
    }
    let among = concepts.enforced() && names.len() < 2;
    let (how, holds) = match comparison.operator {
        Operator::Eq if among => (How::Any, true),
        Operator::Neq if among => (How::Any, false),
        Operator::Eq => (How::Exactly, true),
        Operator::Neq => (How::Exactly, false),
        Operator::IsAnyOf => (How::Any, true),
        Operator::IsNoneOf => (How::Any, false),
        Operator::IsAllOf if among || !concepts.enforced() => (How::Any, true),
        Operator::IsAllOf => (How::All, true),
        Operator::IsA | Operator::IsPartOf => (How::Below, true),
        Operator::HasPart => (How::Above, true),
        Operator::Lt | Operator::Lteq | Operator::Gt | Operator::Gteq => return Err("names have no order"),
    };
    let test = Test::names(how, names);
    Ok(if holds { test } else { test.denied() })
}

/// `timeInterval eq P30D` with an anchor. Months recur at no fixed distance.
fn recurring(comparison: &Comparison, right: &[Value]) -> Option<Test> {
    let (
        Operator::Eq,
        [
            Value::Duration(Duration {
                months: 0,
                nanos: period @ 1..,
            }),
        ],
    ) = (comparison.operator, right)
    else {
        return None;
    };
    let (anchor, width) = match comparison.anchor.as_ref().map(|anchor| typed("dateTime", anchor))? {
        Value::Instant(at, _) => (at.0, 0),
        Value::Day(start, end, _) => (start.0, end.0 - start.0),
        _ => return None,
    };
    Some(Test::Every {
        period: *period,
        anchor,
        width,
        holds: true,
    })
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Action => "action",
            Place::Target => "target",
            Place::Assignee => "assignee",
            Place::World => "",
        };
        match (place, self.left.as_str()) {
            (place, "") => f.write_str(place),
            ("", left) => f.write_str(left),
            (place, left) => write!(f, "{left} of the {place}"),
        }
    }
}
