//! The twelve operators over typed values (ODRL 2.2, Vocabulary §4.8). What cannot be compared is unknown, and never false.

use super::{Instant, State, Value};
use crate::{Truth, vocabulary::Operator};
use std::cmp::Ordering;

/// `left operator right`, where each side has any number of values.
///
/// | operator | one value each | several values |
/// |---|---|---|
/// | `eq`, `neq` | the same value; a point in time equals the day that it falls in | the same set |
/// | `lt`, `lteq`, `gt`, `gteq` | by order; unknown without one | unknown |
/// | `isAnyOf`, `isNoneOf` | the left is, or is not, among the right | some, or no, left value is among them |
/// | `isAllOf` | equal | every right value is among the left |
/// | `isA`, `isPartOf` | the left is the right one or lies below it | some left value below some right one |
/// | `hasPart` | the left is the right one or lies above it | every right value below some left one |
///
/// Of no left value at all nothing holds but `neq` and `isNoneOf`.
pub(super) fn compare(left: &[Value], operator: Operator, right: &[Value], state: &impl State) -> Truth {
    let part_of = |part: &Value, whole: &Value| below(part, whole, |part, whole| state.is_part_of(part, whole));
    match operator {
        Operator::Eq => set_equal(left, right),
        Operator::Neq => !set_equal(left, right),
        Operator::Lt => ordered(left, right, |order| order == Ordering::Less),
        Operator::Lteq => ordered(left, right, |order| order != Ordering::Greater),
        Operator::Gt => ordered(left, right, |order| order == Ordering::Greater),
        Operator::Gteq => ordered(left, right, |order| order != Ordering::Less),
        Operator::IsAnyOf => any(left, |value| among(value, right)),
        Operator::IsNoneOf => !any(left, |value| among(value, right)),
        Operator::IsAllOf => all(right, |value| among(value, left)),
        Operator::IsA => any(left, |value| {
            any(right, |wider| {
                below(value, wider, |narrow, wide| state.is_a(narrow, wide))
            })
        }),
        Operator::IsPartOf => any(left, |part| any(right, |whole| part_of(part, whole))),
        Operator::HasPart => all(right, |part| any(left, |whole| part_of(part, whole))),
    }
}

/// How an event stands to now: before it, during it, after it.
pub(super) fn at_event(now: Instant, operator: Operator, event: (Instant, Option<Instant>)) -> Truth {
    let (start, end) = event;
    let order = match end {
        _ if now < start => Ordering::Less,
        Some(end) if now >= end => Ordering::Greater,
        _ => Ordering::Equal,
    };
    match operator {
        Operator::Lt => Truth::from(order == Ordering::Less),
        Operator::Lteq => Truth::from(order != Ordering::Greater),
        Operator::Gt => Truth::from(order == Ordering::Greater),
        Operator::Gteq => Truth::from(order != Ordering::Less),
        Operator::Eq => Truth::from(order == Ordering::Equal),
        Operator::Neq => Truth::from(order != Ordering::Equal),
        Operator::IsAnyOf
        | Operator::IsNoneOf
        | Operator::IsAllOf
        | Operator::IsA
        | Operator::HasPart
        | Operator::IsPartOf => Truth::Unknown,
    }
}

fn any<T>(values: &[T], holds: impl Fn(&T) -> Truth) -> Truth {
    values.iter().map(holds).max().unwrap_or(Truth::False)
}

fn all<T>(values: &[T], holds: impl Fn(&T) -> Truth) -> Truth {
    values.iter().map(holds).min().unwrap_or(Truth::True)
}

fn among(value: &Value, others: &[Value]) -> Truth {
    any(others, |other| same(value, other))
}

fn set_equal(left: &[Value], right: &[Value]) -> Truth {
    all(left, |value| among(value, right)).min(all(right, |value| any(left, |other| same(other, value))))
}

/// Whether the left value is the right one.
pub(super) fn same(left: &Value, right: &Value) -> Truth {
    match (left, right) {
        (Value::Boolean(left), Value::Boolean(right)) => Truth::from(left == right),
        // DSP writes names of things as plain strings, so the two are one kind here.
        (Value::Iri(left) | Value::Text(left), Value::Iri(right) | Value::Text(right)) => Truth::from(left == right),
        (Value::Duration(left), Value::Duration(right)) => Truth::from(left == right),
        _ => order(left, right).map_or(Truth::Unknown, |order| Truth::from(order == Ordering::Equal)),
    }
}

fn ordered(left: &[Value], right: &[Value], holds: impl Fn(Ordering) -> bool) -> Truth {
    match (left, right) {
        ([], _) => Truth::False,
        ([left], [right]) => order(left, right).map_or(Truth::Unknown, |order| Truth::from(holds(order))),
        _ => Truth::Unknown,
    }
}

/// The order of two values; none where they have no order, or more than one is possible.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Some(left.cmp(right)),
        (Value::Duration(left), Value::Duration(right)) => left.compare(*right),
        _ => span_order(span(left)?, span(right)?),
    }
}

/// First and last nanosecond.
fn span(value: &Value) -> Option<(i128, i128)> {
    match value {
        Value::Instant(at, _) => Some((at.0, at.0)),
        Value::Day(start, end, _) => Some((start.0, end.0.saturating_sub(1))),
        _ => None,
    }
}

/// A time equals the span that it lies in. A day that holds a point in time stands in no order to it.
fn span_order(left: (i128, i128), right: (i128, i128)) -> Option<Ordering> {
    if left.1 < right.0 {
        Some(Ordering::Less)
    } else if left.0 > right.1 {
        Some(Ordering::Greater)
    } else if left.0 >= right.0 && left.1 <= right.1 {
        Some(Ordering::Equal)
    } else {
        None
    }
}

/// Whether a name is another or lies below it.
fn below(narrow: &Value, wide: &Value, places: impl Fn(&str, &str) -> Truth) -> Truth {
    match (narrow, wide) {
        (Value::Iri(narrow) | Value::Text(narrow), Value::Iri(wide) | Value::Text(wide)) => {
            if narrow == wide {
                Truth::True
            } else {
                places(narrow, wide)
            }
        }
        _ => Truth::Unknown,
    }
}

#[cfg(test)]
mod tests;
