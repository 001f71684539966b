//! Events. An event is a stretch of time, and what is compared is the use with it: `lt` is before it, `eq` during it, `gt` after it (ODRL 2.2,
//! Common Vocabulary §4.4 `event`). When it is, the world says, of each event by itself: so each is an operand of its own, which has one of three
//! values.

use super::{
    codes::{self, Scheme},
    concepts::Name,
    test::{How, Test},
};
use crate::{
    odrl::{Value, model::Comparison},
    vocabulary::{ODRL, Operator, canonical_name},
};

/// Before an event, during it and after it.
pub(super) const PHASES: [&str; 3] = ["before", "during", "after"];
/// The use itself is an event too (`odrl:policyUsage`), and where our profile is enforced it is never before or after itself.
pub(super) const OF_USE: [&str; 1] = ["during"];

/// What the operand of a comparison with an event begins with; its name follows.
const EVENT: &str = "event ";

/// Whether a left operand is an event.
pub(super) fn is_event(left: &str) -> bool {
    left.starts_with(EVENT)
}

/// Whether the left operand is compared with events.
pub(super) fn compares_events(comparison: &Comparison) -> bool {
    codes::local(&comparison.left) == "event"
}

fn phases(operator: Operator) -> Option<&'static [&'static str]> {
    match operator {
        Operator::Lt => Some(&["before"]),
        Operator::Lteq => Some(&["before", "during"]),
        Operator::Eq => Some(&["during"]),
        Operator::Neq => Some(&["before", "after"]),
        Operator::Gteq => Some(&["during", "after"]),
        Operator::Gt => Some(&["after"]),
        Operator::IsAnyOf
        | Operator::IsNoneOf
        | Operator::IsAllOf
        | Operator::IsA
        | Operator::HasPart
        | Operator::IsPartOf => None,
    }
}

/// The event of a comparison that is understood, and in which of its phases the comparison holds.
fn read(comparison: &Comparison) -> Option<(String, &'static [&'static str])> {
    let ([Value::Iri(text) | Value::Text(text)], None) = (comparison.right.as_slice(), &comparison.unit) else {
        return None;
    };
    let phases = phases(comparison.operator).filter(|_| compares_events(comparison))?;
    Some((canonical_name(text), phases))
}

/// The operand of a comparison: an event, or the left operand as it is known or written.
pub(super) fn operand(comparison: &Comparison) -> String {
    read(comparison).map_or_else(
        || codes::local(&comparison.left).to_owned(),
        |(event, _)| format!("{EVENT}{event}"),
    )
}

/// What a comparison with an event asks of it.
pub(super) fn test(comparison: &Comparison, enforced: bool) -> Result<Test, &'static str> {
    let (event, phases) = read(comparison).ok_or("a use is before, during or after one event")?;
    let (scheme, possible) = if enforced && ODRL.local(&event) == Some("policyUsage") {
        (Scheme::Use, &OF_USE[..])
    } else {
        (Scheme::Phase, &PHASES[..])
    };
    let left = phases.iter().filter(|phase| possible.contains(phase));
    let names = left.map(|phase| Name {
        scheme,
        text: (*phase).to_owned(),
    });
    Ok(Test::names(How::Any, names))
}
