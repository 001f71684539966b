//! Policies of the ODRL information model: what is read strictly is read leniently, to the same; what DSP lets pass is read as well; every
//! error has its place; nothing that was read lacks what ODRL requires.
#![no_main]

use connector::dsp::json;
use libfuzzer_sys::fuzz_target;
use policy::{
    MAX_NODES, Stage,
    odrl::{Constraint, Policy, Problem, Profiles, Reading, Statement, Unreadable},
};
use serde_json::Value;

/// As strict as it gets, but for the profiles.
const ANY_PROFILE: Reading<'_> = Reading {
    lenient: false,
    profiles: Profiles::Any,
};

/// How many comparisons there are; none of them lacks its right operands, no connective its parts.
fn comparisons(constraint: &Constraint, value: &Value) -> usize {
    match constraint {
        Constraint::Atomic(comparison) => {
            assert!(!comparison.right.is_empty() && !comparison.left.is_empty(), "{value}");
            1
        }
        Constraint::Logical { parts, .. } => {
            assert!(!parts.is_empty(), "{value}");
            parts.iter().map(|part| comparisons(part, value)).sum()
        }
    }
}

fn sound(statement: &Statement, strict: bool, needs_target: bool, value: &Value) {
    assert!(!strict || statement.action.is_some(), "a rule without action: {value}");
    assert!(
        !strict || !needs_target || statement.target.is_some(),
        "a rule without target: {value}"
    );
    let entities = [&statement.target, &statement.assigner, &statement.assignee]
        .into_iter()
        .flatten();
    let refined = entities.flat_map(|entity| &entity.refinements);
    let of_action = statement.action.iter().flat_map(|deed| &deed.refinements);
    let all = statement.constraints.iter().chain(refined).chain(of_action);
    assert!(
        all.map(|constraint| comparisons(constraint, value)).sum::<usize>() <= MAX_NODES,
        "{value}"
    );
}

/// The pointer leads to a node, or into one that is written elsewhere and named here.
fn placed(error: &Unreadable, value: &Value) {
    assert!(!error.problem.to_string().is_empty());
    let mut pointer = error.pointer.as_str();
    while value.pointer(pointer).is_none() {
        pointer = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    let node = value.pointer(pointer);
    let names = node.is_some_and(|node| node.is_string() || node.get("@id").is_some() || node.get("uid").is_some());
    assert!(pointer == error.pointer || names, "{error:?} leads nowhere in {value}");
}

fn check(policy: &Policy, strict: bool, value: &Value) {
    assert!(!policy.id.is_empty() || !strict, "a policy without uid: {value}");
    let rules = policy.permissions.len() + policy.prohibitions.len() + policy.obligations.len();
    assert!(rules > 0 || !strict, "a policy without rules: {value}");
    for permission in &policy.permissions {
        sound(&permission.statement, strict, true, value);
        permission
            .duties
            .iter()
            .for_each(|duty| sound(&duty.statement, strict, false, value));
    }
    for prohibition in &policy.prohibitions {
        sound(&prohibition.statement, strict, true, value);
    }
    for duty in &policy.obligations {
        sound(&duty.statement, strict, false, value);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = json::parse(bytes) else { return };
    let [strict, lenient] = [&ANY_PROFILE, &Reading::LENIENT].map(|reading| Policy::read(&value, reading));
    match (&strict, &lenient) {
        (Ok(strict), Ok(lenient)) => {
            assert_eq!(strict, lenient, "read to different things: {value}");
            check(strict, true, &value);
        }
        (Ok(_), Err(error)) => panic!("read strictly and not leniently: {error:?} {value}"),
        (Err(error), lenient) => {
            placed(error, &value);
            match lenient {
                Ok(policy) => check(policy, false, &value),
                Err(error) => placed(error, &value),
            }
        }
    }
    // Without parents to be found, resolving is reading.
    match (Policy::resolve(&value, &ANY_PROFILE, |_| None), &strict) {
        (Ok(resolved), Ok(strict)) => assert_eq!(&resolved, strict),
        (Err(error), Err(other)) => assert!(
            error == *other || matches!(error.problem, Problem::NoParent(_) | Problem::InheritsItself(_)),
            "{error:?} {other:?} {value}"
        ),
        (resolved, strict) => panic!("{resolved:?} {strict:?} {value}"),
    }
    if let Ok(dsp) = policy::Policy::parse(&value)
        && dsp.check(Stage::Publish).is_ok()
    {
        let read = lenient.unwrap_or_else(|error| panic!("DSP lets it pass: {error:?} {value}"));
        let counts = (read.permissions.len(), read.prohibitions.len(), read.obligations.len());
        let wanted = (
            dsp.permissions().len(),
            dsp.prohibitions().len(),
            dsp.obligations().len(),
        );
        assert_eq!(counts, wanted, "{value}");
    }
});
