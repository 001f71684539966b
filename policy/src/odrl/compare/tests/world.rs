//! Random policies over a world so small that every request can be tried.

use super::*;
use crate::{
    Truth,
    odrl::{Conflict, Decimal, Duration},
};
use proptest::prelude::*;
use std::{collections::BTreeMap, ops::Range};

const NAMES: [&str; 6] = ["urn:a", "urn:a1", "urn:a2", "urn:a11", "urn:b", "urn:b1"];
/// What lies directly below what in the world, whether or not it is told.
const BELOW: [(&str, &str); 4] = [
    ("urn:a1", "urn:a"),
    ("urn:a2", "urn:a"),
    ("urn:a11", "urn:a1"),
    ("urn:b1", "urn:b"),
];
/// Pairs that have nothing in common in the world.
const APART: [[&str; 2]; 3] = [["urn:a", "urn:b"], ["urn:a1", "urn:a2"], ["urn:a11", "urn:b1"]];
const NUMBER: &str = "urn:number";
const NAME: &str = "urn:name";
const ACTIONS: [&str; 3] = ["use", "read", "transfer"];

fn is_below(name: &str, wider: &str) -> bool {
    name == wider
        || BELOW
            .iter()
            .any(|(below, above)| *below == name && is_below(above, wider))
}

/// What a request says, by operand; what is missing is not stated.
type Facts = BTreeMap<&'static str, Value>;

fn holds(constraint: &Constraint, facts: &Facts) -> Truth {
    match constraint {
        Constraint::Atomic(atomic) => {
            let left = atomic.left.strip_prefix(ODRL.iri).unwrap_or(&atomic.left);
            facts
                .get(left)
                .map_or(Truth::Unknown, |value| compares(value, atomic).into())
        }
        Constraint::Logical { connective, parts, .. } => {
            let truths: Vec<Truth> = parts.iter().map(|part| holds(part, facts)).collect();
            match connective {
                Connective::And | Connective::AndSequence => truths.into_iter().min().unwrap(),
                Connective::Or => truths.into_iter().max().unwrap(),
                Connective::Xone => {
                    let of = |truth| truths.iter().filter(|found| **found == truth).count();
                    match (of(Truth::True), of(Truth::Unknown)) {
                        (1, 0) => Truth::True,
                        (2.., _) | (0, 0) => Truth::False,
                        _ => Truth::Unknown,
                    }
                }
            }
        }
    }
}

fn compares(value: &Value, atomic: &Atomic) -> bool {
    let number = |value: &Value| match value {
        Value::Number(number) => number.key(),
        Value::Duration(length) => length.nanos,
        _ => unreachable!(),
    };
    let text = |value: &Value| match value {
        Value::Iri(text) => text.clone(),
        _ => unreachable!(),
    };
    let right = &atomic.right;
    match atomic.operator {
        Operator::Eq => right == std::slice::from_ref(value),
        Operator::Neq => right != std::slice::from_ref(value),
        Operator::Lt => number(value) < number(&right[0]),
        Operator::Lteq => number(value) <= number(&right[0]),
        Operator::Gt => number(value) > number(&right[0]),
        Operator::Gteq => number(value) >= number(&right[0]),
        Operator::IsAnyOf => right.contains(value),
        Operator::IsNoneOf => !right.contains(value),
        // Of one value, all is any (policy.md §3.3).
        Operator::IsAllOf => right.contains(value),
        Operator::IsA | Operator::IsPartOf => right.iter().any(|wider| is_below(&text(value), &text(wider))),
        Operator::HasPart => right.iter().all(|part| is_below(&text(part), &text(value))),
    }
}

fn applies(statement: &Statement, action: &str, facts: &Facts) -> Truth {
    let covered = statement.action.as_ref().is_none_or(|deed| {
        let covering = deed.action.strip_prefix(ODRL.iri).unwrap();
        covering == action || covering == "use" && action == "read"
    });
    let all = statement
        .constraints
        .iter()
        .map(|constraint| holds(constraint, facts))
        .min();
    all.unwrap_or(Truth::True).min(covered.into())
}

/// Permitted for certain: a prohibition of which that is not known stands in the way.
fn permitted(policy: &Policy, action: &str, facts: &Facts) -> bool {
    let mut permissions = policy.permissions.iter();
    let mut prohibitions = policy.prohibitions.iter();
    permissions.any(|one| applies(&one.statement, action, facts) == Truth::True)
        && (policy.conflict == Conflict::Perm
            || prohibitions.all(|one| applies(&one.statement, action, facts) == Truth::False))
}

/// Every request of the world, those that leave something out among them.
fn requests() -> Vec<(&'static str, Facts)> {
    let days = |days: i128| {
        Value::Duration(Duration {
            months: 0,
            nanos: days * 86_400_000_000_000,
        })
    };
    let numbers = ["0", "1", "1.5", "2", "3"].map(|text| Value::Number(Decimal::read(text).unwrap()));
    let operands: [(&str, Vec<Value>); 4] = [
        (NUMBER, numbers.to_vec()),
        ("elapsedTime", (0..4).map(days).collect()),
        ("meteredTime", (0..4).map(days).collect()),
        (NAME, NAMES.iter().map(|name| Value::Iri((*name).to_owned())).collect()),
    ];
    let mut all: Vec<Facts> = vec![Facts::new()];
    for (operand, values) in operands {
        let stated = all.iter().flat_map(|facts| {
            values.iter().map(move |value| {
                let mut facts = facts.clone();
                facts.insert(operand, value.clone());
                facts
            })
        });
        let stated: Vec<Facts> = stated.collect();
        all.extend(stated);
    }
    // Nothing is used for longer than time has passed.
    all.retain(|facts| match (facts.get("meteredTime"), facts.get("elapsedTime")) {
        (Some(Value::Duration(metered)), Some(Value::Duration(elapsed))) => metered.nanos <= elapsed.nanos,
        _ => true,
    });
    ACTIONS
        .iter()
        .flat_map(|action| all.iter().map(|facts| (*action, facts.clone())))
        .collect()
}

/// The request that an answer shows. What it leaves out is not stated; any other name is one that nobody wrote.
fn shown(request: &Request) -> (String, Facts) {
    let mut facts = Facts::new();
    for operand in [NUMBER, "elapsedTime", "meteredTime", NAME] {
        match request.get(operand) {
            Some(Stated::One(value, None)) => drop(facts.insert(operand, value.clone())),
            Some(Stated::Other) => drop(facts.insert(operand, Value::Iri("urn:other".to_owned()))),
            Some(Stated::Nothing) | None => {}
            Some(other) => panic!("{other:?}"),
        }
    }
    let action = match request.get("action") {
        Some(Stated::One(Value::Iri(action), None)) => action.strip_prefix(ODRL.iri).unwrap().to_owned(),
        _ => "use".to_owned(),
    };
    (action, facts)
}

fn lines() -> impl Strategy<Value = Constraint> {
    let operator = prop::sample::select(&["eq", "neq", "lt", "lteq", "gt", "gteq"][..]);
    let operand = prop_oneof![
        prop::sample::select(&["0", "1", "1.5", "2", "3"][..]).prop_map(|text| (NUMBER, format!("{text}^^decimal"))),
        (prop::sample::select(&["elapsedTime", "meteredTime"][..]), 0..4_u8)
            .prop_map(|(left, days)| { (left, format!("P{days}D^^duration")) }),
    ];
    (operand, operator).prop_map(|((left, right), operator)| atom("", left, operator, &[&right]))
}

fn named() -> impl Strategy<Value = Constraint> {
    let one = prop::sample::select(&["eq", "neq", "isA", "isPartOf", "hasPart"][..]);
    let many = prop::sample::select(&["isAnyOf", "isAllOf", "isNoneOf", "isA"][..]);
    let names = |count| proptest::sample::subsequence(&NAMES[..], count);
    let asked = prop_oneof![
        3 => (one, names(1..=1)),
        2 => (many, names(1..=3)),
    ];
    asked.prop_map(|(operator, names)| atom("", NAME, operator, &names))
}

fn constraint() -> impl Strategy<Value = Constraint> {
    let leaf = prop_oneof![lines(), named()];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let connective = prop::sample::select(&[Connective::And, Connective::Or, Connective::Xone][..]);
        (connective, proptest::collection::vec(inner, 1..4))
            .prop_map(|(connective, parts)| logical("", connective, parts))
    })
}

fn statement() -> impl Strategy<Value = Statement> {
    let constraints = proptest::collection::vec(constraint(), 0..4);
    (prop::sample::select(&ACTIONS[..]), constraints).prop_map(|(action, constraints)| rule("", action, constraints))
}

/// Gives every rule and constraint an id of its own.
fn number(policy: &mut Policy, prefix: &str) {
    fn constraints(all: &mut [Constraint], prefix: &str, next: &mut usize) {
        for one in all {
            *next += 1;
            match one {
                Constraint::Atomic(atomic) => atomic.id = format!("{prefix}{next}"),
                Constraint::Logical { id, parts, .. } => {
                    *id = format!("{prefix}{next}");
                    constraints(parts, prefix, next);
                }
            }
        }
    }
    let mut next = 0;
    let permissions = policy.permissions.iter_mut().map(|one| &mut one.statement);
    let prohibitions = policy.prohibitions.iter_mut().map(|one| &mut one.statement);
    for statement in permissions.chain(prohibitions) {
        next += 1;
        statement.id = format!("{prefix}{next}");
        constraints(&mut statement.constraints, prefix, &mut next);
    }
}

fn policy(prefix: &'static str) -> impl Strategy<Value = Policy> {
    policies(prefix, 1..3, 0..2)
}

fn policies(
    prefix: &'static str,
    permissions: Range<usize>,
    prohibitions: Range<usize>,
) -> impl Strategy<Value = Policy> {
    let permissions = proptest::collection::vec(statement(), permissions);
    let prohibitions = proptest::collection::vec(statement(), prohibitions);
    let strategy = prop::sample::select(&[Conflict::Perm, Conflict::Prohibit][..]);
    (permissions, prohibitions, strategy).prop_map(move |(permissions, prohibitions, conflict)| {
        let mut policy = Policy {
            conflict,
            permissions: permissions.into_iter().map(permission).collect(),
            prohibitions: prohibitions.into_iter().map(prohibition).collect(),
            ..Policy::default()
        };
        number(&mut policy, prefix);
        policy
    })
}

/// What is told of the world: all of it and that it is all, or some of it.
fn told() -> impl Strategy<Value = Concepts> {
    let some = |count: usize| proptest::collection::vec(any::<bool>(), count);
    (any::<bool>(), some(BELOW.len()), some(APART.len()), some(NAMES.len())).prop_map(|(all, below, apart, known)| {
        let mut concepts = Concepts::new();
        let told = |told: bool| all || told;
        for ((name, wider), _) in BELOW.iter().zip(below).filter(|(_, some)| told(*some)) {
            concepts.below(name, wider);
        }
        for (pair, _) in APART.iter().zip(apart).filter(|(_, some)| told(*some)) {
            concepts.apart(pair.iter().copied());
        }
        for (name, _) in NAMES.iter().zip(known).filter(|(_, some)| told(*some)) {
            concepts.concept(name);
        }
        if all {
            concepts.close(NAMES);
        }
        concepts
    })
}

/// The policy with nothing in its one permission but the units of these ids.
fn only(policy: &Policy, ids: &[String]) -> Policy {
    fn keep(constraints: &[Constraint], ids: &[String]) -> Vec<Constraint> {
        let kept = constraints.iter().flat_map(|constraint| match constraint {
            Constraint::Logical {
                connective: Connective::And,
                parts,
                ..
            } => keep(parts, ids),
            other if ids.contains(&other.id().to_owned()) => vec![other.clone()],
            _ => Vec::new(),
        });
        kept.collect()
    }
    let mut policy = policy.clone();
    for one in &mut policy.permissions {
        one.statement.constraints = keep(&one.statement.constraints, ids);
        if !ids.contains(&one.statement.id) {
            one.statement.action = None;
        }
    }
    policy
}

proptest! {
    #[test]
    fn a_verdict_says_what_trying_every_request_shows(a in policy("a"), b in policy("b"), concepts in told()) {
        let both = |(action, facts): &(&str, Facts)| permitted(&a, action, facts) && permitted(&b, action, facts);
        match compatible(&a, &b, &concepts) {
            Answer::Possible(request) => {
                let (action, facts) = shown(&request);
                prop_assert!(permitted(&a, &action, &facts) && permitted(&b, &action, &facts), "{request}");
            }
            Answer::Impossible(_) => {
                let found = requests().into_iter().find(both);
                prop_assert!(found.is_none(), "{found:?}");
            }
            Answer::Unknown(_) => {}
        }
    }

    #[test]
    fn what_is_within_permits_nothing_more(a in policy("a"), b in policy("b"), concepts in told()) {
        match within(&a, &b, &concepts) {
            Within::Yes => {
                let more = |(action, facts): &(&str, Facts)| permitted(&a, action, facts) && !permitted(&b, action, facts);
                let found = requests().into_iter().find(more);
                prop_assert!(found.is_none(), "{found:?}");
            }
            Within::No { request, because } => {
                let (action, facts) = shown(&request);
                prop_assert!(permitted(&a, &action, &facts), "{request}");
                prop_assert!(!permitted(&b, &action, &facts), "{request}: {because}");
            }
            Within::Unknown(_) => {}
        }
    }

    #[test]
    fn of_a_conflict_nothing_can_be_spared(
        a in policies("a", 1..2, 0..1),
        b in policies("b", 1..2, 0..1),
        concepts in told(),
    ) {
        if let Answer::Impossible(ids) = compatible(&a, &b, &concepts) {
            let (least_a, least_b) = (only(&a, &ids), only(&b, &ids));
            let both = |(action, facts): &(&str, Facts)| permitted(&least_a, action, facts) && permitted(&least_b, action, facts);
            prop_assert!(requests().iter().find(|request| both(request)).is_none());
            for id in &ids {
                let fewer: Vec<String> = ids.iter().filter(|other| *other != id).cloned().collect();
                let answer = compatible(&only(&a, &fewer), &only(&b, &fewer), &concepts);
                prop_assert!(!matches!(answer, Answer::Impossible(_)), "{id} of {ids:?} can be spared");
            }
        }
    }

    #[test]
    fn a_policy_goes_with_itself_whenever_it_permits_anything(a in policy("a"), concepts in told()) {
        match satisfiable(&a, &concepts) {
            Answer::Possible(request) => {
                let (action, facts) = shown(&request);
                prop_assert!(permitted(&a, &action, &facts), "{request}");
                // Of both together there may be more cases than are looked at.
                prop_assert!(matches!(compatible(&a, &a, &concepts), Answer::Possible(_) | Answer::Unknown(Why::TooLarge)));
            }
            Answer::Impossible(_) => {
                prop_assert!(requests().iter().all(|(action, facts)| !permitted(&a, action, facts)));
            }
            Answer::Unknown(_) => prop_assert!(!matches!(compatible(&a, &a, &concepts), Answer::Impossible(_))),
        }
        let goes_beyond = matches!(within(&a, &a, &concepts), Within::No { .. });
        prop_assert!(!goes_beyond);
    }

    #[test]
    fn under_invalid_a_policy_is_void_or_permits_what_it_permits_under_prohibit(a in policy("a"), concepts in told()) {
        let of = |conflict| Policy { conflict, ..a.clone() };
        let (invalid, prohibit) = (of(Conflict::Invalid), of(Conflict::Prohibit));
        let found = contradiction(&prohibit, &concepts);
        match (found.overlaps.is_empty(), found.undecided.is_empty()) {
            (true, true) => prop_assert_eq!(satisfiable(&invalid, &concepts), satisfiable(&prohibit, &concepts)),
            (true, false) => prop_assert!(matches!(satisfiable(&invalid, &concepts), Answer::Unknown(_))),
            (false, _) => {
                prop_assert!(matches!(satisfiable(&invalid, &concepts), Answer::Impossible(_)));
                prop_assert_eq!(within(&invalid, &prohibit, &concepts), Within::Yes);
                if let Answer::Possible(_) = satisfiable(&prohibit, &concepts) {
                    prop_assert_ne!(within(&prohibit, &invalid, &concepts), Within::Yes);
                }
            }
        }
    }

    #[test]
    fn what_permits_and_prohibits_is_shown(a in policy("a"), concepts in told()) {
        let found = contradiction(&a, &concepts);
        for overlap in &found.overlaps {
            let (action, facts) = shown(&overlap.request);
            let by_id = |statement: &Statement, id: &str| statement.id == id && applies(statement, &action, &facts) == Truth::True;
            prop_assert!(a.permissions.iter().any(|one| by_id(&one.statement, &overlap.permission)), "{}", overlap.request);
            prop_assert!(a.prohibitions.iter().any(|one| by_id(&one.statement, &overlap.prohibition)), "{}", overlap.request);
        }
        for (dead, _) in &found.dead {
            let rule = a.permissions.iter().find(|one| one.statement.id == *dead);
            let alone = rule.map(|rule| Policy { permissions: vec![rule.clone()], ..a.clone() });
            let permits = |policy: &Policy| requests().iter().any(|(action, facts)| permitted(policy, action, facts));
            prop_assert!(!alone.is_some_and(|alone| permits(&alone)), "{dead}");
        }
    }
}
