use super::*;
use crate::testing::{agreement, agreement_json, constraint};
use serde_json::{Value, json};

fn difference(one: Value, other: Value) -> (String, bool) {
    let difference = same_terms(&agreement(one), &agreement(other)).unwrap_err();
    (difference.pointer, difference.in_first)
}

#[test]
fn an_agreement_matches_its_offer_whatever_the_order_spelling_parties_and_ids() {
    let by = |date: &str| constraint("dateTime", "lteq", json!(date));
    let offer = json!({
        "@id": "urn:uuid:offer",
        "permission": [
            {"action": "use", "constraint": [by("2023-12-31T06:00Z"), constraint("purpose", "isAnyOf", json!(["b", "a"]))], "duty": [{"action": "delete"}]},
            {"action": "read"},
        ],
        "prohibition": [{"action": "distribute"}],
    });
    let agreed = agreement(json!({
        "timestamp": "2023-01-01T00:00:00Z",
        "odrl:prohibition": {"action": "odrl:distribute"},
        "permission": [
            {"action": "http://www.w3.org/ns/odrl/2/read"},
            {"action": "use", "duty": {"action": "odrl:delete"}, "constraint": [
                constraint("odrl:purpose", "odrl:isAnyOf", json!(["a", "dases:b"])), by("2023-12-31T07:00:00+01:00"),
            ]},
        ],
    }));
    assert_eq!(same_terms(&Policy::parse(&offer).unwrap(), &agreed), Ok(()));
    assert_eq!(same_terms(&agreed, &Policy::parse(&offer).unwrap()), Ok(()));
}

#[test]
fn the_first_difference_is_named_with_its_pointer() {
    let rule = |constraint: Value| json!({"permission": [{"action": "use", "constraint": [constraint]}]});
    let (a, b) = (
        constraint("purpose", "eq", json!("a")),
        constraint("purpose", "eq", json!("b")),
    );
    let bare = json!({"permission": [{"action": "use"}]});
    assert_eq!(
        difference(rule(a.clone()), rule(b)),
        ("/permission/0/constraint/0".to_owned(), true)
    );
    assert_eq!(
        difference(rule(a.clone()), bare.clone()),
        ("/permission/0/constraint/0".to_owned(), true)
    );
    assert_eq!(
        difference(bare.clone(), rule(a)),
        ("/permission/0/constraint/0".to_owned(), false)
    );
    assert_eq!(
        difference(bare.clone(), json!({"permission": [{"action": "read"}]})),
        ("/permission/0/action".to_owned(), true)
    );
    let forbidding = json!({"permission": [{"action": "use"}], "prohibition": [{"action": "sell"}]});
    assert_eq!(
        difference(forbidding.clone(), bare.clone()),
        ("/prohibition/0".to_owned(), true)
    );
    assert_eq!(
        difference(bare.clone(), forbidding),
        ("/prohibition/0".to_owned(), false)
    );
    let obliging = json!({"permission": [{"action": "use"}], "obligation": [{"action": "delete"}]});
    assert_eq!(difference(bare.clone(), obliging), ("/obligation/0".to_owned(), false));
    let duty = json!({"permission": [{"action": "use", "duty": [{"action": "delete"}]}]});
    assert_eq!(difference(bare.clone(), duty), ("/permission/0".to_owned(), true));
    let profiled = json!({"profile": "https://w3id.org/dases/ns/profile", "permission": [{"action": "use"}]});
    assert_eq!(difference(bare, profiled), (String::new(), true));
}

#[test]
fn targets_are_compared_only_where_both_are_given() {
    let with = agreement_json(json!({"@type": "Offer", "permission": [{"action": "use"}]}));
    let (mut without, mut other) = (with.clone(), with.clone());
    without.as_object_mut().unwrap().remove("target");
    other["target"] = json!("urn:uuid:else");
    let [with, without, other] = [with, without, other].map(|json| Policy::parse(&json).unwrap());
    assert_eq!(same_terms(&with, &without), Ok(()));
    assert_eq!(same_terms(&with, &other).unwrap_err().pointer, "/target");
}

#[test]
fn logical_parts_are_sets_but_xone_counts_and_a_sequence_has_an_order() {
    let (a, b) = (
        constraint("purpose", "eq", json!("a")),
        constraint("purpose", "eq", json!("b")),
    );
    let rule = |name: &str, parts: &[&Value]| {
        agreement(json!({"permission": [{"action": "use", "constraint": [{name: parts}]}]}))
    };
    for name in ["and", "or", "xone"] {
        assert_eq!(
            same_terms(&rule(name, &[&a, &b]), &rule(name, &[&b, &a])),
            Ok(()),
            "{name}"
        );
    }
    assert_eq!(same_terms(&rule("or", &[&a, &a]), &rule("or", &[&a])), Ok(()));
    assert!(same_terms(&rule("xone", &[&a, &a]), &rule("xone", &[&a])).is_err());
    assert!(same_terms(&rule("andSequence", &[&a, &b]), &rule("andSequence", &[&b, &a])).is_err());
    assert!(same_terms(&rule("and", &[&a, &b]), &rule("or", &[&a, &b])).is_err());
}

#[test]
fn terms_that_are_not_understood_are_compared_as_written() {
    let rule = |left: &str, right: Value| {
        agreement(json!({"permission": [{"action": "use", "constraint": [constraint(left, "eq", right)]}]}))
    };
    assert_eq!(
        same_terms(&rule("partner", json!("gold")), &rule("partner", json!("gold"))),
        Ok(())
    );
    assert!(same_terms(&rule("partner", json!("gold")), &rule("partner", json!("silver"))).is_err());
    assert!(same_terms(&rule("partner", json!("gold")), &rule("associate", json!("gold"))).is_err());
}
