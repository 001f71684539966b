//! Evaluators that get exactly one thing wrong. A comparison that does not notice each of them is not worth much.

use crate::reference::{Evaluator, Kind, Reference, Truth, World, nodes, spelling};
use serde_json::Value;
use std::collections::BTreeSet;

/// A mutant by its name: the reference with the given methods in place of its own.
macro_rules! mutants {
    ($($name:ident: $text:literal { $($method:item)+ })+) => {
        $(struct $name; impl Evaluator for $name { $($method)+ })+
        pub(crate) const MUTANTS: &[(&str, &dyn Evaluator)] = &[$(($text, &$name)),+];
    };
}

mutants! {
    AndIsOr: "and is read as or" {
        fn combined(&self, connective: &str, parts: &[Truth]) -> Truth {
            Reference.combined(if connective == "and" { "or" } else { connective }, parts)
        }
    }
    OrIsAnd: "or is read as and" {
        fn combined(&self, connective: &str, parts: &[Truth]) -> Truth {
            Reference.combined(if connective == "or" { "and" } else { connective }, parts)
        }
    }
    XoneIsOr: "xone is read as or" {
        fn combined(&self, connective: &str, parts: &[Truth]) -> Truth {
            Reference.combined(if connective == "xone" { "or" } else { connective }, parts)
        }
    }
    XoneOverlooksUnknown: "xone takes Unknown for False" {
        fn one(&self, parts: &[Truth]) -> Truth {
            Truth::from(parts.iter().filter(|part| **part == Truth::True).count() == 1)
        }
    }
    XoneIsParity: "xone holds of any odd number" {
        fn one(&self, parts: &[Truth]) -> Truth {
            let odd = parts.iter().filter(|part| **part == Truth::True).count() % 2 == 1;
            if odd && !parts.contains(&Truth::Unknown) { Truth::True } else { Reference.one(parts) }
        }
    }
    SequenceIsOr: "andSequence is read as or" {
        fn combined(&self, connective: &str, parts: &[Truth]) -> Truth {
            Reference.combined(if connective == "andSequence" { "or" } else { connective }, parts)
        }
    }
    ConstraintsAreAlternatives: "one constraint of a rule is enough" {
        fn rule(&self, rule: &Value, world: &World) -> Truth {
            let parts = self.parts(rule, "constraint", world);
            if parts.is_empty() { Truth::True } else { self.any(&parts) }
        }
    }
    FirstConstraint: "only the first constraint is read" {
        fn rule(&self, rule: &Value, world: &World) -> Truth {
            self.parts(rule, "constraint", world).first().copied().unwrap_or(Truth::True)
        }
    }
    FirstPermission: "only the first permission is read" {
        fn permitted(&self, policy: &Value, world: &World) -> bool {
            let first = nodes(policy, "permission").first().copied().cloned();
            Reference.permitted(&serde_json::json!({"permission": first}), world)
        }
    }
    LastProhibition: "only the last prohibition is read" {
        fn forbidden(&self, policy: &Value, world: &World) -> bool {
            let last = nodes(policy, "prohibition").last().copied().cloned();
            last.is_some_and(|last| Reference.forbidden(&serde_json::json!({"prohibition": last}), world))
        }
    }
    NoProhibitions: "prohibitions are ignored" {
        fn forbidden(&self, _: &Value, _: &World) -> bool {
            false
        }
    }
    BareProhibition: "a prohibition without constraints never forbids" {
        fn forbidden(&self, policy: &Value, world: &World) -> bool {
            let mut policy = policy.clone();
            let bound: Vec<Value> = nodes(&policy, "prohibition").into_iter().filter(|rule| !nodes(rule, "constraint").is_empty()).cloned().collect();
            policy["prohibition"] = bound.into();
            Reference.forbidden(&policy, world)
        }
    }
    OpenByDefault: "what nothing forbids is permitted" {
        fn permitted(&self, _: &Value, _: &World) -> bool {
            true
        }
    }
    UnknownPermits: "an Unknown permission permits" {
        fn satisfied(&self, truth: Truth) -> bool {
            truth != Truth::False
        }
    }
    UnknownAllows: "an Unknown prohibition does not forbid" {
        fn active(&self, truth: Truth) -> bool {
            truth == Truth::True
        }
    }
    MissingIsFalse: "what is missing is False" {
        fn missing(&self) -> Truth {
            Truth::False
        }
    }
    MissingIsTrue: "what is missing is True" {
        fn missing(&self) -> Truth {
            Truth::True
        }
    }
    LteqIsLt: "lteq leaves its bound out" {
        fn on_clock(&self, operator: &str, right: &[&Value], now: i64) -> bool {
            Reference.on_clock(if operator == "lteq" { "lt" } else { operator }, right, now)
        }
    }
    LtIsLteq: "lt takes its bound in" {
        fn on_clock(&self, operator: &str, right: &[&Value], now: i64) -> bool {
            Reference.on_clock(if operator == "lt" { "lteq" } else { operator }, right, now)
        }
    }
    GtIsGteq: "gt takes its bound in" {
        fn on_clock(&self, operator: &str, right: &[&Value], now: i64) -> bool {
            Reference.on_clock(if operator == "gt" { "gteq" } else { operator }, right, now)
        }
    }
    GteqIsGt: "gteq leaves its bound out" {
        fn on_clock(&self, operator: &str, right: &[&Value], now: i64) -> bool {
            Reference.on_clock(if operator == "gteq" { "gt" } else { operator }, right, now)
        }
    }
    ClockIsLate: "the clock is a millisecond late" {
        fn on_clock(&self, operator: &str, right: &[&Value], now: i64) -> bool {
            Reference.on_clock(operator, right, now - 1)
        }
    }
    DayIsMidnight: "a day is its first instant" {
        fn on_clock(&self, operator: &str, right: &[&Value], now: i64) -> bool {
            let first = |value: &&Value| {
                let (first, _) = crate::reference::span(value).unwrap_or_default();
                Value::from(policy::Timestamp::from_millis(first).to_string())
            };
            let right: Vec<Value> = right.iter().map(first).collect();
            Reference.on_clock(operator, &right.iter().collect::<Vec<_>>(), now)
        }
    }
    FirstAlternative: "only the first alternative is read" {
        fn on_clock(&self, operator: &str, right: &[&Value], now: i64) -> bool {
            Reference.on_clock(operator, &right[..1], now)
        }
    }
    NeqIsEq: "neq is read as eq" {
        fn compare(&self, kind: Kind, operator: &str, held: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Truth {
            Reference.compare(kind, if operator == "neq" { "eq" } else { operator }, held, wanted)
        }
    }
    NoneIsNotAll: "isNoneOf is not isAllOf" {
        fn compare(&self, kind: Kind, operator: &str, held: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Truth {
            match operator {
                "isNoneOf" => Truth::from(!Reference.contains(held, wanted)),
                _ => Reference.compare(kind, operator, held, wanted),
            }
        }
    }
    AllIsAny: "isAllOf is isAnyOf" {
        fn contains(&self, held: &BTreeSet<String>, wanted: &BTreeSet<String>) -> bool {
            Reference.overlap(held, wanted)
        }
    }
    AllIsWithin: "isAllOf is turned round" {
        fn contains(&self, held: &BTreeSet<String>, wanted: &BTreeSet<String>) -> bool {
            Reference.contains(wanted, held)
        }
    }
    IsAIsEq: "nothing lies below anything" {
        fn compare(&self, kind: Kind, operator: &str, held: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Truth {
            Reference.compare(kind, if operator == "isA" { "isAnyOf" } else { operator }, held, wanted)
        }
    }
    OneSpelling: "purposes are compared as they are written" {
        fn value(&self, kind: Kind, written: &str) -> String {
            if kind == Kind::Purpose && spelling(written) != written { written.to_owned() } else { Reference.value(kind, written) }
        }
    }
    SameActionOnly: "a rule is about its own action alone" {
        fn covers(&self, of_rule: &str, asked: &str) -> bool {
            of_rule == asked
        }
    }
    UseIsEverything: "use covers sell" {
        fn covers(&self, of_rule: &str, asked: &str) -> bool {
            of_rule == "use" || of_rule == "transfer" || Reference.covers(of_rule, asked)
        }
    }
    CoversUpwards: "a rule covers what is wider" {
        fn covers(&self, of_rule: &str, asked: &str) -> bool {
            Reference.covers(of_rule, asked) || Reference.covers(asked, of_rule)
        }
    }
    HandingOver: "a prohibition of reading does not stop the handing over" {
        fn stops(&self, of_rule: &str, asked: &str) -> bool {
            Reference.covers(of_rule, asked)
        }
    }
    AnyParty: "an agreement is enforced for everybody" {
        fn in_force(&self, policy: &Value, world: &World) -> bool {
            let mut policy = policy.clone();
            policy["assignee"] = world.recipient.clone().into();
            Reference.in_force(&policy, world)
        }
    }
    OffersPermit: "an offer permits" {
        fn in_force(&self, policy: &Value, world: &World) -> bool {
            policy["assignee"] == world.recipient.as_str()
        }
    }
    UnknownWordsAreDropped: "what is not understood is passed over" {
        fn understood(&self, _: &Value) -> bool {
            true
        }
    }
}
