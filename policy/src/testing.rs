//! Builders that the tests of this crate share. Compiled for tests only.

use crate::{Action, Facts, Policy, Reason, Timestamp};
use serde_json::{Value, json};

pub(crate) const CONSUMER: &str = "did:web:agency.example";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Noon on 15 June 2026, the consumer asks for `use`.
pub(crate) fn facts() -> Facts {
    Facts::new(at("2026-06-15T12:00:00Z"), CONSUMER, Action::Use)
}

pub(crate) fn facts_at(now: &str) -> Facts {
    Facts {
        now: at(now),
        ..facts()
    }
}

/// An agreement with the consumer; `members` holds its rules.
pub(crate) fn agreement_json(members: Value) -> Value {
    let mut policy = json!({
        "@type": "Agreement", "@id": "urn:uuid:1", "target": "urn:uuid:2",
        "assigner": "did:web:school.example", "assignee": CONSUMER,
    });
    for (name, value) in members.as_object().unwrap() {
        policy[name] = value.clone();
    }
    policy
}

pub(crate) fn agreement(members: Value) -> Policy {
    Policy::parse(&agreement_json(members)).unwrap()
}

/// An agreement with one permission of `use` under one constraint.
pub(crate) fn permitting(constraint: Value) -> Policy {
    agreement(json!({"permission": [{"action": "use", "constraint": [constraint]}]}))
}

/// An agreement that permits `use` and prohibits it under one constraint.
pub(crate) fn prohibiting(constraint: Value) -> Policy {
    agreement(json!({
        "permission": [{"action": "use"}],
        "prohibition": [{"action": "use", "constraint": [constraint]}],
    }))
}

pub(crate) fn constraint(left: &str, operator: &str, right: Value) -> Value {
    json!({"leftOperand": left, "operator": operator, "rightOperand": right})
}

/// Code and pointer of each reason.
pub(crate) fn named(reasons: &[Reason]) -> Vec<(&'static str, &str)> {
    reasons
        .iter()
        .map(|reason| (reason.code.as_str(), reason.pointer.as_str()))
        .collect()
}
