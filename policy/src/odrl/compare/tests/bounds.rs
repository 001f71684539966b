//! Hostile policies: whatever their size and nesting, the work is bounded and the answer is honest.

use super::*;
use std::{
    fs,
    time::{Duration as Time, Instant as Clock},
};

/// What this thread has worked so far, where the system tells; other work on the machine does not count.
fn worked(since: Clock) -> Time {
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| since.elapsed(), Time::from_nanos)
}

fn bounded<T>(what: &str, ask: impl FnOnce() -> T) -> T {
    let start = Clock::now();
    let before = worked(start);
    let answer = ask();
    let work = worked(start).saturating_sub(before);
    assert!(work < Time::from_secs(20), "{what}: {work:?}");
    answer
}

fn asked(what: &str, policy: &Policy) -> Verdict {
    let concepts = Concepts::new();
    let verdict = bounded(what, || verdict(policy, policy, &concepts));
    bounded(what, || within(policy, policy, &concepts));
    bounded(what, || contradiction(policy, &concepts));
    bounded(what, || operands(policy, policy, &concepts));
    bounded(what, || intersection(policy, policy, &concepts));
    verdict
}

fn numbered(count: usize, left: &str, operator: &str) -> Vec<Constraint> {
    let each = |number: usize| atom(&format!("c{number}"), left, operator, &[&format!("{number}^^integer")]);
    (0..count).map(each).collect()
}

#[test]
fn a_hundred_thousand_conditions_are_answered() {
    let many = numbered(100_000, "urn:number", "neq");
    assert_eq!(asked("neq", &permits(many)), Verdict::Compatible);
    let names: Vec<Constraint> = (0..100_000)
        .map(|number| atom(&format!("c{number}"), "urn:name", "neq", &[&format!("urn:{number}")]))
        .collect();
    assert_ne!(asked("names", &permits(names)), Verdict::Conflict);
    let formats: Vec<String> = (0..100_000).map(|number| format!("text/{number}^^string")).collect();
    let formats: Vec<&str> = formats.iter().map(String::as_str).collect();
    let formats = ["isAllOf", "isAnyOf"].map(|operator| atom(operator, "fileFormat", operator, &formats));
    let formats = permits(formats.to_vec());
    let answer = bounded("formats", || satisfiable(&formats, &Concepts::profile()));
    assert!(!matches!(answer, Answer::Possible(_)), "{answer:?}");
    let operands: Vec<Constraint> = (0..100_000)
        .map(|number| atom(&format!("c{number}"), &format!("urn:{number}"), "eq", &["1^^integer"]))
        .collect();
    assert_eq!(asked("operands", &permits(operands)), Verdict::Compatible);
}

#[test]
fn a_conflict_is_found_among_a_hundred_thousand_conditions() {
    let mut many = numbered(100_000, "urn:number", "gteq");
    many.push(atom("least", "urn:number", "lt", &["99999^^integer"]));
    let answer = bounded("core", || satisfiable(&permits(many), &Concepts::new()));
    let Answer::Impossible(ids) = answer else { panic!() };
    assert_eq!(ids.len(), 2);
    assert_eq!(ids, ["c99999", "least"]);
}

#[test]
fn what_has_too_many_cases_is_unknown() {
    let pairs = |count: usize| -> Vec<Constraint> {
        let pair = |number: usize| {
            let left = |side: &str| format!("urn:{side}{number}");
            let parts = ["a", "b"].map(|side| atom(&left(side), &left(side), "eq", &["1^^integer"]));
            logical(&format!("or{number}"), Connective::Or, parts.to_vec())
        };
        (0..count).map(pair).collect()
    };
    // Inside of an `or` all cases are written out.
    let inner = logical("and", Connective::And, pairs(13));
    let outer = logical(
        "outer",
        Connective::Or,
        vec![inner, atom("c", "urn:c", "eq", &["1^^integer"])],
    );
    assert_eq!(asked("and of or", &permits(vec![outer])), Verdict::Unknown);
    // Side by side they are searched, and one way is enough.
    assert_eq!(asked("search", &permits(pairs(200))), Verdict::Compatible);
    for connective in [Connective::Or, Connective::Xone] {
        let wide = logical("wide", connective, numbered(100_000, "urn:number", "eq"));
        assert_eq!(asked("wide", &permits(vec![wide])), Verdict::Unknown);
    }
    let twofold = logical(
        "two",
        Connective::Xone,
        vec![
            logical("x", Connective::Xone, numbered(40, "urn:x", "gteq")),
            logical("y", Connective::Xone, numbered(40, "urn:y", "gteq")),
        ],
    );
    asked("xone of xone", &permits(vec![twofold]));
}

#[test]
fn a_search_without_a_way_ends() {
    // No two boxes of these pigeons fit, and every way of trying is needed to see it.
    let hole = |pigeon: usize| {
        let parts = (0..9).map(|hole| {
            let others = (0..10).filter(|other| *other != pigeon);
            let mut all = vec![atom("in", &format!("urn:{pigeon}-{hole}"), "eq", &["1^^integer"])];
            all.extend(others.map(|other| atom("out", &format!("urn:{other}-{hole}"), "eq", &["0^^integer"])));
            logical("and", Connective::And, all)
        });
        logical("or", Connective::Or, parts.collect())
    };
    let policy = permits((0..10).map(hole).collect());
    let answer = bounded("pigeons", || satisfiable(&policy, &Concepts::new()));
    assert_eq!(answer, Answer::Unknown(Why::TooLarge));
}

#[test]
fn what_lies_too_deep_is_unknown() {
    let mut deep = atom("c", "urn:number", "eq", &["1^^integer"]);
    for level in 0..2_000 {
        let connective = if level % 2 == 0 {
            Connective::Or
        } else {
            Connective::Xone
        };
        deep = logical("deep", connective, vec![deep]);
    }
    assert_eq!(asked("deep", &permits(vec![deep])), Verdict::Unknown);
}

#[test]
fn many_rules_are_answered() {
    fn rules(action: &str) -> impl Iterator<Item = Statement> {
        (0..2_000).map(move |number| rule(&format!("{action}{number}"), action, numbered(2, "urn:number", "gteq")))
    }
    let policy = Policy {
        permissions: rules("use").map(permission).collect(),
        prohibitions: rules("transfer").map(prohibition).collect(),
        ..Policy::default()
    };
    asked("rules", &policy);
}

#[test]
fn how_deep_conditions_are_nested_does_not_multiply_the_work() {
    let nested = |beside: &[Constraint]| {
        let deep = |number: usize| {
            let inner = atom(&format!("c{number}"), "event", "eq", &["urn:e"]);
            (0..20).fold(inner, |inner, level| {
                let parts = [vec![inner], beside.to_vec()].concat();
                logical(&format!("xone{number}-{level}"), Connective::Xone, parts)
            })
        };
        permits((0..55).map(deep).collect())
    };
    let never = logical("never", Connective::Or, Vec::new());
    for (beside, expected) in [(&[][..], Verdict::Compatible), (&[never], Verdict::Unknown)] {
        let policy = nested(beside);
        for concepts in [Concepts::profile(), Concepts::profile().briefly()] {
            let found = bounded("compatible", || verdict(&policy, &policy, &concepts));
            assert_eq!(found, expected);
            bounded("operands", || operands(&policy, &policy, &concepts));
        }
    }
}
