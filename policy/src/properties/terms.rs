//! What must hold for every pair of policies that are weighed against each other, tried on random ones.

use super::*;
use crate::{intersect, leaving_nothing, within};

pub(super) const EVERY: [Stage; 5] = [
    Stage::Publish,
    Stage::Catalog,
    Stage::Negotiation,
    Stage::Transfer,
    Stage::Record,
];

fn duties() -> impl Strategy<Value = Vec<Value>> {
    let action = prop::sample::select(vec!["delete", "inform"]);
    let duty = (action, prop::collection::vec(atom(), 0..=1))
        .prop_map(|(action, list)| json!({"action": action, "constraint": list}));
    prop::collection::vec(duty, 0..=1)
}

/// Permissions with duties, prohibitions, obligations.
pub(super) fn terms() -> impl Strategy<Value = Value> {
    let permission = (rule(), duties()).prop_map(|(mut rule, duties)| {
        rule["duty"] = json!(duties);
        rule
    });
    let permissions = prop::collection::vec(permission, 1..=3);
    (permissions, prop::collection::vec(rule(), 0..=1), duties()).prop_map(
        |(permissions, prohibitions, obligations)| json!({"permission": permissions, "prohibition": prohibitions, "obligation": obligations}),
    )
}

/// Terms of one permission under few comparisons, so that one policy is often within another.
fn plain() -> impl Strategy<Value = Value> {
    let constraints = prop::collection::vec(prop_oneof![3 => atom(), 1 => condition()], 0..=2);
    let prohibited = prop::collection::vec(rule(), 0..=1);
    (constraints, prohibited).prop_map(
        |(list, prohibited)| json!({"permission": [{"action": "use", "constraint": list}], "prohibition": prohibited}),
    )
}

/// Terms, and the same with some permissions left out or constrained further, and with one more prohibition.
fn terms_and_narrower() -> impl Strategy<Value = (Value, Value)> {
    let changes = (
        prop::collection::vec(condition(), 3),
        subsequence(vec![0_usize, 1, 2], 1..=3),
        rule(),
    );
    (terms(), changes).prop_map(|(offered, (constraints, kept, prohibited))| {
        let mut asked = offered.clone();
        let rules = offered["permission"].as_array().unwrap();
        let narrowed = kept.iter().filter_map(|place| rules.get(*place)).zip(constraints);
        let narrowed = narrowed.map(|(rule, constraint)| {
            let mut rule = rule.clone();
            rule["constraint"].as_array_mut().unwrap().push(constraint);
            rule
        });
        asked["permission"] = narrowed.collect();
        if asked["permission"] == json!([]) {
            asked["permission"] = offered["permission"].clone();
        }
        asked["prohibition"].as_array_mut().unwrap().push(prohibited);
        (offered, asked)
    })
}

pub(super) fn parsed(terms: &Value) -> Policy {
    Policy::parse(&agreement_json(terms.clone())).unwrap()
}

fn common(asked: &Value, offered: &Value) -> Option<Value> {
    intersect(&agreement_json(asked.clone()), &agreement_json(offered.clone())).ok()
}

/// Whatever the narrower policy permits, the wider one does.
fn permits_no_more(narrower: &Policy, wider: &Policy, facts: &Facts) -> Result<(), TestCaseError> {
    for stage in SEMANTIC {
        let allowed = wider.decide(stage, facts).permits() || !narrower.decide(stage, facts).permits();
        prop_assert!(allowed, "{stage:?} {narrower:?} {wider:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_within_an_offer_never_permits_more((asked, offered) in (plain(), plain()), facts in facts()) {
        let (asked, offered) = (parsed(&asked), parsed(&offered));
        if within(&asked, &offered).is_ok() {
            permits_no_more(&asked, &offered, &facts)?;
        }
    }

    #[test]
    fn terms_that_were_only_narrowed_are_within_the_offer((offered, asked) in terms_and_narrower(), facts in facts()) {
        let (asked, offered) = (parsed(&asked), parsed(&offered));
        prop_assert_eq!(within(&asked, &offered), Ok(()));
        permits_no_more(&asked, &offered, &facts)?;
    }

    #[test]
    fn the_same_terms_are_within_each_other(terms in terms(), other in plain()) {
        let mut turned = terms.clone();
        turned["permission"].as_array_mut().unwrap().reverse();
        let (one, two, other) = (parsed(&terms), parsed(&turned), parsed(&other));
        for (a, b) in [(&one, &two), (&one, &other), (&other, &two)] {
            if same_terms(a, b).is_ok() {
                prop_assert_eq!(within(a, b), Ok(()));
                prop_assert_eq!(within(b, a), Ok(()));
            }
        }
        prop_assert_eq!(same_terms(&one, &two), Ok(()));
    }

    #[test]
    fn common_terms_are_within_both_and_permit_what_both_permit((asked, offered) in (terms(), terms()), facts in facts()) {
        let (one, two) = (parsed(&asked), parsed(&offered));
        let both = one.decide(Stage::Record, &facts).permits() && two.decide(Stage::Record, &facts).permits();
        let Some(common) = common(&asked, &offered) else {
            prop_assert!(!both, "nothing in common, and both permit");
            return Ok(());
        };
        let common = parsed(&common);
        prop_assert_eq!(within(&common, &one), Ok(()));
        prop_assert_eq!(within(&common, &two), Ok(()));
        permits_no_more(&common, &one, &facts)?;
        permits_no_more(&common, &two, &facts)?;
        prop_assert_eq!(common.decide(Stage::Record, &facts).permits(), both);
    }

    #[test]
    fn who_asked_is_irrelevant_to_what_is_common((asked, offered) in (terms(), terms())) {
        match (common(&asked, &offered), common(&offered, &asked)) {
            (Some(one), Some(two)) => {
                let (one, two) = (parsed(&one), parsed(&two));
                prop_assert_eq!(within(&one, &two), Ok(()));
                prop_assert_eq!(within(&two, &one), Ok(()));
            }
            (one, two) => prop_assert_eq!(one, two),
        }
    }

    #[test]
    fn what_is_narrower_already_is_what_is_common((offered, asked) in terms_and_narrower(), facts in facts()) {
        let asked_policy = parsed(&asked);
        match common(&asked, &offered) {
            Some(common) => prop_assert_eq!(within(&asked_policy, &parsed(&common)), Ok(())),
            // Before all facts are known each of them may be what helps most, even where no facts together would.
            None => {
                for stage in [Stage::Transfer, Stage::Record] {
                    prop_assert!(!asked_policy.decide(stage, &facts).permits(), "{stage:?}");
                }
            }
        }
    }

    #[test]
    fn terms_have_themselves_in_common(terms in terms()) {
        let Some(common) = common(&terms, &terms) else {
            prop_assert!(!leaving_nothing(&terms).is_empty(), "nothing in common, and something permitted");
            return Ok(());
        };
        prop_assert_eq!(same_terms(&parsed(&common), &parsed(&terms)), Ok(()));
        prop_assert!(!common.to_string().contains("[]"), "{common}");
    }

    #[test]
    fn comparing_and_intersecting_never_panics(one in arbitrary_json(), other in plain()) {
        let other = agreement_json(other);
        for (asked, offered) in [(&one, &other), (&other, &one), (&one, &one)] {
            if let Ok(common) = intersect(asked, offered) {
                prop_assert!(common.is_object());
            }
            if let (Ok(asked), Ok(offered)) = (Policy::parse(asked), Policy::parse(offered)) {
                let _ = within(&asked, &offered);
            }
        }
    }
}
