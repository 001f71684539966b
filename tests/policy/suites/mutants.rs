//! Evaluators that get exactly one thing wrong. A comparison that does not notice each of them is not worth much.

use crate::reference::{Evaluator, Kind, Reference, Truth, World, duration, nodes, spelling};
use serde_json::Value;
use std::collections::BTreeSet;

/// A mutant by its name: the reference with the given methods in place of its own.
macro_rules! mutants {
    ($($name:ident: $text:literal { $($method:item)+ })+) => {
        $(struct $name; impl Evaluator for $name { $($method)+ })+
        pub(crate) const MUTANTS: &[(&str, &dyn Evaluator)] = &[$(($text, &$name)),+];
    };
}

/// The number of transfers under a name that is not counted up.
fn uncounted(world: &World) -> World {
    let mut world = world.clone();
    if let Some(count) = world.known.get("count").cloned() {
        world.known.insert("uncounted".to_owned(), count);
    }
    world
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
        fn on_line(&self, operator: &str, right: &[(i64, i64)], at: i64) -> bool {
            Reference.on_line(if operator == "lteq" { "lt" } else { operator }, right, at)
        }
    }
    LtIsLteq: "lt takes its bound in" {
        fn on_line(&self, operator: &str, right: &[(i64, i64)], at: i64) -> bool {
            Reference.on_line(if operator == "lt" { "lteq" } else { operator }, right, at)
        }
    }
    GtIsGteq: "gt takes its bound in" {
        fn on_line(&self, operator: &str, right: &[(i64, i64)], at: i64) -> bool {
            Reference.on_line(if operator == "gt" { "gteq" } else { operator }, right, at)
        }
    }
    GteqIsGt: "gteq leaves its bound out" {
        fn on_line(&self, operator: &str, right: &[(i64, i64)], at: i64) -> bool {
            Reference.on_line(if operator == "gteq" { "gt" } else { operator }, right, at)
        }
    }
    ClockIsLate: "the clock is a millisecond late" {
        fn on_line(&self, operator: &str, right: &[(i64, i64)], at: i64) -> bool {
            Reference.on_line(operator, right, at - 1)
        }
    }
    DayIsMidnight: "a day is its first instant" {
        fn on_line(&self, operator: &str, right: &[(i64, i64)], at: i64) -> bool {
            let first: Vec<(i64, i64)> = right.iter().map(|(first, _)| (*first, *first)).collect();
            Reference.on_line(operator, &first, at)
        }
    }
    FirstAlternative: "only the first alternative is read" {
        fn on_line(&self, operator: &str, right: &[(i64, i64)], at: i64) -> bool {
            Reference.on_line(operator, &right[..1], at)
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
    NothingBelow: "nothing lies below anything" {
        fn below(&self, held: &BTreeSet<String>, _: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Truth {
            Truth::from(Reference.overlap(held, wanted))
        }
    }
    BelowIsOverlooked: "what contains a place is overlooked" {
        fn below(&self, held: &BTreeSet<String>, _: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Truth {
            Reference.below(held, &BTreeSet::new(), wanted)
        }
    }
    CodesAreOverlooked: "what a code says of what contains it is overlooked" {
        fn around(&self, _: &str, _: &str) -> BTreeSet<String> {
            BTreeSet::new()
        }
    }
    PurposesAreFlat: "no purpose lies below another" {
        fn climbs(&self, name: &str, wider: &str) -> bool {
            name == wider
        }
    }
    PurposesAreTurnedRound: "isA holds of what is wider" {
        fn climbs(&self, name: &str, wider: &str) -> bool {
            Reference.climbs(wider, name)
        }
    }
    PurposesAreOneStepDeep: "what lies two steps below a purpose is overlooked" {
        fn climbs(&self, name: &str, wider: &str) -> bool {
            Reference.climbs(name, wider) && !(name.ends_with("TargetedAdvertising") && wider.ends_with("Marketing"))
        }
    }
    PurposesAreOpen: "what does not lie below a purpose might" {
        fn purpose_below(&self, held: &BTreeSet<String>, wider: &str) -> Truth {
            Reference.purpose_below(held, wider).max(Truth::Unknown)
        }
    }
    PurposesAreClosed: "a purpose that is not in the tree lies below nothing" {
        fn purpose_below(&self, held: &BTreeSet<String>, wider: &str) -> Truth {
            Truth::from(Reference.purpose_below(held, wider) == Truth::True)
        }
    }
    EqIsMet: "a length of time is met to the millisecond" {
        fn within_or_over<'a>(&self, operator: &'a str, _: bool) -> &'a str {
            operator
        }
    }
    WithinIsOver: "eq of elapsed time is read as for a delay" {
        fn within_or_over<'a>(&self, operator: &'a str, _: bool) -> &'a str {
            Reference.within_or_over(operator, false)
        }
    }
    NoFirstTransfer: "before a first transfer no time has passed" {
        fn since(&self, name: &str, operator: &str, right: &Value, world: &World) -> Truth {
            match self.fact("lastTransfer", world).as_deref() {
                Some("never") if name == "timeInterval" => Truth::False,
                _ => Reference.since(name, operator, right, world),
            }
        }
    }
    MonthsAreDays: "a month has thirty days" {
        fn since(&self, name: &str, operator: &str, right: &Value, world: &World) -> Truth {
            let (months, millis) = duration(crate::reference::text(right)).unwrap();
            let days = Value::from(format!("PT{}S", months * 30 * 86_400 + millis / 1000));
            Reference.since(name, operator, &days, world)
        }
    }
    UsageIsUnasked: "the transfer that is asked about is not counted" {
        fn number(&self, name: &str, operator: &str, node: &Value, world: &World) -> Truth {
            Reference.number(if name == "count" { "uncounted" } else { name }, operator, node, &uncounted(world))
        }
    }
    UnitIsIgnored: "units are ignored" {
        fn number(&self, name: &str, operator: &str, node: &Value, world: &World) -> Truth {
            let (mut node, mut world) = (node.clone(), world.clone());
            if let Some(members) = node.as_object_mut() {
                members.remove("unit");
            }
            if let Some(fact) = self.fact(name, &world) {
                let number = fact.split(' ').next().unwrap_or_default().to_owned();
                world.known.insert(name.to_owned(), BTreeSet::from([number]));
            }
            Reference.number(name, operator, &node, &world)
        }
    }
    EventsAreOver: "after an event is taken for during it" {
        fn event(&self, operator: &str, name: &str, world: &World) -> Truth {
            Reference.event(if operator == "gt" { "gteq" } else { operator }, name, world)
        }
    }
    EventsEndLate: "an event goes on in the millisecond in which it is over" {
        fn beside(&self, (from, until): (Option<i64>, Option<i64>), now: i64) -> i64 {
            Reference.beside((from, until.map(|until| until + 1)), now)
        }
    }
    EventsBeginLate: "an event is to come in its first millisecond" {
        fn beside(&self, (from, until): (Option<i64>, Option<i64>), now: i64) -> i64 {
            Reference.beside((from.map(|from| from + 1), until), now)
        }
    }
    EventsNeverEnd: "what has begun goes on" {
        fn beside(&self, (from, _): (Option<i64>, Option<i64>), now: i64) -> i64 {
            Reference.beside((from, None), now)
        }
    }
    UsageIsNoEvent: "the use itself is not known as an event" {
        fn event(&self, operator: &str, name: &str, world: &World) -> Truth {
            if spelling(name).ends_with("policyUsage") { Truth::Unknown } else { Reference.event(operator, name, world) }
        }
    }
    OneSpelling: "purposes are compared as they are written" {
        fn value(&self, kind: Kind, written: &str) -> String {
            if matches!(kind, Kind::Purpose | Kind::Names) { written.to_owned() } else { Reference.value(kind, written) }
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
