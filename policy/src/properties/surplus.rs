//! What must hold for every policy without the rules that add nothing to it, tried on random ones.

use super::{
    terms::{EVERY, parsed, terms},
    *,
};
use crate::{Carried, Decision, LintCode, Plan, plan::Said, surplus::Surplus};
use std::collections::BTreeSet;

/// Terms, some rules of which are said again, or for less, or for more.
fn repeated() -> impl Strategy<Value = Value> {
    let more = prop::collection::vec((any::<bool>(), 0..3_usize, prop::option::of(atom())), 1..=3);
    (prop_oneof![terms(), simple()], more).prop_map(|(mut terms, more)| {
        for (permitted, place, constraint) in more {
            let rules = if permitted { "permission" } else { "prohibition" };
            let Some(mut rule) = terms[rules].get(place).cloned() else {
                continue;
            };
            rule["constraint"].as_array_mut().unwrap().extend(constraint);
            terms[rules].as_array_mut().unwrap().push(rule);
        }
        terms
    })
}

/// Terms of comparisons alone, prohibitions of what is not handed over among them.
fn simple() -> impl Strategy<Value = Value> {
    let rule = |actions: Vec<&'static str>| {
        (prop::sample::select(actions), prop::collection::vec(atom(), 0..=2))
            .prop_map(|(action, list)| json!({"action": action, "constraint": list}))
    };
    let permissions = prop::collection::vec(rule(vec!["use", "read"]), 1..=3);
    let prohibitions = prop::collection::vec(rule(vec!["distribute", "sell", "read"]), 0..=2);
    (permissions, prohibitions)
        .prop_map(|(permissions, prohibitions)| json!({"permission": permissions, "prohibition": prohibitions}))
}

/// The same without the rules at these places.
fn without(terms: &Value, surplus: &[Surplus]) -> Value {
    let mut less = terms.clone();
    for (name, rules) in less.as_object_mut().unwrap() {
        let mut place = 0;
        rules.as_array_mut().unwrap().retain(|_| {
            let pointer = format!("/{name}/{place}");
            place += 1;
            !surplus.iter().any(|one| one.rule == pointer)
        });
    }
    less
}

fn said(carried: &[Carried]) -> BTreeSet<Said> {
    carried.iter().map(Carried::said).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn without_the_rules_that_add_nothing_every_decision_is_the_same(terms in repeated(), facts in facts(), other in facts()) {
        let policy = parsed(&terms);
        let found = policy.surplus();
        prop_assert_eq!(policy.lints().iter().filter(|lint| lint.code == LintCode::AddsNothing).count(), found.len());
        if found.is_empty() {
            return Ok(());
        }
        let less = parsed(&without(&terms, &found));
        prop_assert_eq!(less.group_size(), policy.group_size());
        for facts in [&facts, &other] {
            for stage in EVERY {
                let decided = |policy: &Policy| match policy.decide(stage, facts) {
                    Decision::Permit { from } => Some(from),
                    Decision::Deny(_) => None,
                };
                prop_assert_eq!(decided(&policy), decided(&less), "{:?}: {:?}", stage, found);
            }
            match (policy.plan(facts), less.plan(facts)) {
                (Ok(one), Ok(two)) => {
                    prop_assert_eq!(said(&one.duties), said(&two.duties));
                    // Of a narrower prohibition the wider one is declared instead.
                    let declared = |plan: &Plan| plan.declared.iter().map(|one| one.action).collect::<BTreeSet<_>>();
                    prop_assert_eq!(declared(&one), declared(&two));
                    // Permissions of different duties are not held together, so that without one of them a plan may hold more.
                    let duties: BTreeSet<_> = policy.permissions().iter().map(|rule| said(&Carried::of_duties(&rule.duties))).collect();
                    if duties.len() == 1 {
                        prop_assert_eq!(one.answers(), two.answers());
                        prop_assert_eq!(&one.purposes, &two.purposes);
                    }
                }
                (one, two) => prop_assert_eq!(one.is_ok(), two.is_ok()),
            }
        }
    }
}
