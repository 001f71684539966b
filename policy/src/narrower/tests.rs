use super::*;
use crate::{
    same_terms,
    testing::{agreement, constraint, permitting, prohibiting},
};
use serde_json::{Value, json};

fn purposes(operator: &str, names: &[&str]) -> Value {
    constraint("purpose", operator, json!(names))
}

fn until(date: &str) -> Value {
    constraint("dateTime", "lteq", json!(date))
}

/// Pointer of what is wider, and whether it leads into the asked policy.
fn fault(asked: Value, offered: Value) -> (String, bool) {
    let wider = within(&agreement(asked), &agreement(offered)).unwrap_err();
    (wider.pointer, wider.in_asked)
}

/// Whether a permission under `asked` is within a permission under `offered`.
fn keeps_to(asked: Value, offered: Value) -> bool {
    within(&permitting(asked), &permitting(offered)).is_ok()
}

#[test]
fn a_shorter_time_for_fewer_purposes_and_a_narrower_action_is_within_the_offer() {
    let offered = agreement(json!({
        "permission": [{
            "action": "use",
            "constraint": [until("2026-12-31T00:00:00Z"), purposes("isAnyOf", &["orientation", "training"])],
            "duty": [{"action": "delete"}],
        }],
        "prohibition": [{"action": "distribute"}],
        "obligation": [{"action": "inform"}],
    }));
    let asked = agreement(json!({
        "permission": [{
            "action": "odrl:read",
            "constraint": [
                purposes("isAnyOf", &["dases:orientation"]),
                constraint("dases:dataCategory", "eq", json!("skills")),
                until("2026-06-30T00:00:00Z"),
            ],
            "duty": [{"action": "odrl:delete"}, {"action": "attribute"}],
        }],
        "prohibition": [{"action": "sell"}, {"action": "use", "constraint": [purposes("eq", &["marketing"])]}, {"action": "distribute"}],
        "obligation": [{"action": "inform"}],
    }));
    assert_eq!(within(&asked, &offered), Ok(()));
    let wider = within(&offered, &asked).unwrap_err();
    assert_eq!((wider.pointer.as_str(), wider.in_asked), ("/permission/0/action", true));
    assert_eq!(
        wider.to_string(),
        "at /permission/0/action of the asked policy: use is not offered"
    );
}

#[test]
fn what_is_wider_is_named_with_its_pointer() {
    let rule = |constraint: Value| json!({"permission": [{"action": "use", "constraint": [constraint]}]});
    let bare = json!({"permission": [{"action": "use"}]});
    assert_eq!(
        fault(bare.clone(), rule(until("2026-12-31T00:00:00Z"))),
        ("/permission/0/constraint/0".to_owned(), false)
    );
    let with = |name: &str, value: Value| json!({"permission": [{"action": "use"}], name: value});
    assert_eq!(
        fault(bare.clone(), with("prohibition", json!([{"action": "sell"}]))),
        ("/prohibition/0".to_owned(), false)
    );
    assert_eq!(
        fault(bare.clone(), with("obligation", json!([{"action": "inform"}]))),
        ("/obligation/0".to_owned(), false)
    );
    assert_eq!(
        fault(
            bare.clone(),
            json!({"permission": [{"action": "use", "duty": [{"action": "delete"}]}]})
        ),
        ("/permission/0/duty/0".to_owned(), false)
    );
    assert_eq!(
        fault(bare.clone(), with("profile", json!("odrl:core"))),
        (String::new(), true)
    );
    assert_eq!(
        fault(with("target", json!("urn:other")), bare),
        ("/target".to_owned(), true)
    );
}

#[test]
fn each_permission_asked_for_needs_one_that_is_offered() {
    let offered = agreement(json!({"permission": [
        {"action": "read"},
        {"action": "use", "constraint": [purposes("eq", &["orientation"])]},
    ]}));
    let asked = |list: Value| agreement(json!({"permission": list}));
    let orientation = purposes("eq", &["orientation"]);
    assert_eq!(within(&asked(json!([{"action": "read"}])), &offered), Ok(()));
    assert_eq!(
        within(
            &asked(json!([{"action": "index", "constraint": [orientation]}])),
            &offered
        ),
        Ok(())
    );
    assert!(within(&asked(json!([{"action": "read"}, {"action": "sell"}])), &offered).is_err());
    assert!(within(&asked(json!([{"action": "index"}])), &offered).is_err());
}

#[test]
fn a_permission_that_contradicts_itself_permits_nothing() {
    let never = json!({"and": [purposes("eq", &["a"]), purposes("eq", &["b"])]});
    assert!(keeps_to(never.clone(), until("2026-12-31Z")) && !keeps_to(until("2026-12-31Z"), never.clone()));
    let of = |action: &str, list: Value| agreement(json!({"permission": [{"action": action, "constraint": list}]}));
    assert_eq!(within(&of("sell", json!([never])), &of("read", json!([]))), Ok(()));
    // A prohibition that can never hold may still do so where the fact is missing.
    let nothing = agreement(json!({"permission": [{"action": "use"}]}));
    assert!(within(&nothing, &prohibiting(never)).is_err());
}

#[test]
fn names_are_compared_as_sets() {
    let (any, none) = (
        |names: &[&str]| purposes("isAnyOf", names),
        |names: &[&str]| purposes("isNoneOf", names),
    );
    assert!(keeps_to(any(&["a"]), any(&["a", "b"])) && !keeps_to(any(&["a", "b"]), any(&["a"])));
    assert!(keeps_to(none(&["a", "b"]), none(&["a"])) && !keeps_to(none(&["a"]), none(&["a", "b"])));
    assert!(keeps_to(any(&["a"]), none(&["b"])) && !keeps_to(any(&["a", "b"]), none(&["b"])));
    assert!(!keeps_to(none(&["a"]), any(&["b"])));
    assert!(keeps_to(json!({"and": [any(&["a", "b"]), none(&["b"])]}), any(&["a"])));
    let recipient = |operator: &str, name: &str| constraint("recipient", operator, json!(name));
    assert!(keeps_to(recipient("eq", "did:web:a"), recipient("neq", "did:web:b")));
    assert!(!keeps_to(recipient("eq", "did:web:a"), recipient("eq", "did:web:b")));
}

#[test]
fn of_a_purpose_that_is_not_in_the_tree_nothing_below_is_known() {
    let below = |names: &[&str]| purposes("isA", names);
    assert!(keeps_to(purposes("eq", &["a"]), below(&["a"])) && !keeps_to(below(&["a"]), purposes("eq", &["a"])));
    assert!(keeps_to(below(&["a"]), below(&["a", "b"])) && !keeps_to(below(&["a", "b"]), below(&["a"])));
    assert!(!keeps_to(purposes("eq", &["b"]), below(&["a"])));
    assert!(!keeps_to(below(&["a"]), purposes("neq", &["b"])));
}

#[test]
fn purposes_are_compared_along_their_tree() {
    let (any, below) = (
        |names: &[&str]| purposes("isAnyOf", names),
        |names: &[&str]| purposes("isA", names),
    );
    let (advertising, marketing, science) = ("dpv:Advertising", "dpv:Marketing", "dpv:ScientificResearch");
    assert!(keeps_to(any(&[advertising]), below(&[marketing])));
    assert!(!keeps_to(any(&[marketing]), below(&[advertising])));
    assert!(!keeps_to(any(&[advertising, science]), below(&[marketing])));
    assert!(!keeps_to(any(&[advertising, "a"]), below(&[marketing])));
    assert!(keeps_to(below(&[advertising]), below(&[marketing, "a"])));
    assert!(!keeps_to(below(&[marketing]), below(&[advertising])));
    assert!(keeps_to(below(&[marketing]), purposes("isNoneOf", &[science])));
    assert!(!keeps_to(below(&[marketing]), purposes("isNoneOf", &[advertising])));
    // Nothing is left of these together; of a name that is not in the tree that is not shown.
    assert!(keeps_to(
        json!({"and": [any(&[science]), below(&[marketing])]}),
        any(&["b"])
    ));
    assert!(!keeps_to(
        json!({"and": [any(&["a"]), below(&[marketing])]}),
        any(&["b"])
    ));
}

#[test]
fn places_and_languages_are_compared_by_what_their_codes_put_them_into() {
    let place = |operator: &str, names: &[&str]| constraint("spatial", operator, json!(names));
    let (any, within) = (
        |names: &[&str]| place("isAnyOf", names),
        |names: &[&str]| place("isPartOf", names),
    );
    assert!(keeps_to(any(&["FR10", "FR-75"]), within(&["FR"])) && keeps_to(within(&["FR10"]), within(&["FR1", "DE"])));
    assert!(keeps_to(any(&["EL30"]), within(&["GR"])) && keeps_to(any(&["EL30"]), any(&["nuts:EL30", "DE"])));
    assert!(!keeps_to(within(&["FR1"]), within(&["FR10"])) && !keeps_to(within(&["FR1"]), any(&["FR"])));
    assert!(!keeps_to(any(&["FR10", "DE1"]), within(&["FR"])) && !keeps_to(any(&["FR"]), within(&["EU"])));
    let (french, canadian) = (
        constraint("language", "isA", json!("fr")),
        constraint("language", "eq", json!("fr-CA")),
    );
    assert!(keeps_to(canadian.clone(), french.clone()) && !keeps_to(french, canadian));
}

#[test]
fn a_prohibition_of_a_purpose_is_carried_by_one_of_a_wider_one() {
    let prohibiting = |constraint: Value| {
        agreement(
            json!({"permission": [{"action": "use"}], "prohibition": [{"action": "use", "constraint": [constraint]}]}),
        )
    };
    let [wide, narrow, own] = [
        purposes("isA", &["dpv:Marketing"]),
        purposes("isA", &["dpv:Advertising"]),
        json!({"and": [purposes("isAnyOf", &["a"]), purposes("isA", &["dpv:Advertising"])]}),
    ]
    .map(prohibiting);
    assert!(within(&wide, &narrow).is_ok() && within(&narrow, &wide).is_err());
    // Whether the purpose "a" lies below another is not known, so that it may be prohibited.
    assert!(within(&prohibiting(purposes("isAnyOf", &["b"])), &own).is_err());
}

#[test]
fn categories_are_a_closed_list() {
    let category = |operator: &str, names: &[&str]| constraint("dases:dataCategory", operator, json!(names));
    let all_but_identity: Vec<&str> = crate::Category::ALL
        .iter()
        .map(|category| category.name())
        .filter(|name| *name != "identity")
        .collect();
    assert!(keeps_to(
        category("isNoneOf", &["identity"]),
        category("isAnyOf", &all_but_identity)
    ));
    assert!(!keeps_to(
        category("isNoneOf", &["skills"]),
        category("isAnyOf", &all_but_identity)
    ));
    // A record whose category is missing satisfies the one and not the other.
    let all: Vec<&str> = crate::Category::ALL.iter().map(|category| category.name()).collect();
    assert!(!keeps_to(until("2026-12-31Z"), category("isAnyOf", &all)));
}

#[test]
fn times_are_compared_on_the_clock() {
    let at = |operator: &str, date: &str| constraint("dateTime", operator, json!(date));
    assert!(keeps_to(at("lt", "2026-06-01T00:00:00Z"), at("lteq", "2026-05-31Z")));
    assert!(keeps_to(at("lteq", "2026-05-31Z"), at("lt", "2026-06-01T00:00:00Z")));
    assert!(!keeps_to(
        at("lteq", "2026-06-01T00:00:00Z"),
        at("lt", "2026-06-01T00:00:00Z")
    ));
    assert!(
        keeps_to(at("gt", "2026-06-01Z"), at("gteq", "2026-06-01Z"))
            && !keeps_to(at("gteq", "2026-06-01Z"), at("gt", "2026-06-01Z"))
    );
    assert!(keeps_to(at("eq", "2026-06-01T12:00:00Z"), at("eq", "2026-06-01Z")));
    assert!(keeps_to(at("lt", "2026-06-01Z"), at("neq", "2026-06-01Z")));
    let window = json!({"and": [at("gteq", "2026-06-01T08:00:00Z"), at("lt", "2026-06-01T20:00:00Z")]});
    assert!(keeps_to(window, at("eq", "2026-06-01Z")));
}

#[test]
fn logical_constraints_are_narrower_when_their_parts_are() {
    let (a, b, ab) = (
        purposes("eq", &["a"]),
        purposes("eq", &["b"]),
        purposes("isAnyOf", &["a", "b"]),
    );
    let join = |name: &str, parts: &[&Value]| json!({name: parts});
    assert!(keeps_to(a.clone(), join("or", &[&b, &a])) && keeps_to(join("or", &[&a, &b]), ab.clone()));
    assert!(!keeps_to(join("or", &[&a, &b]), a.clone()));
    assert!(keeps_to(join("and", &[&a, &until("2026-12-31Z")]), a.clone()));
    assert!(!keeps_to(a.clone(), join("and", &[&a, &until("2026-12-31Z")])));
    for ordered in ["xone", "andSequence"] {
        assert!(keeps_to(join(ordered, &[&a, &b]), join(ordered, &[&a, &b])));
        assert!(!keeps_to(a.clone(), join(ordered, &[&a, &b])));
    }
}

#[test]
fn a_prohibition_is_carried_by_a_wider_one_only() {
    let (a, ab) = (purposes("eq", &["a"]), purposes("isAnyOf", &["a", "b"]));
    let carried =
        |asked: &Value, offered: &Value| within(&prohibiting(asked.clone()), &prohibiting(offered.clone())).is_ok();
    assert!(carried(&ab, &a) && !carried(&a, &ab));
    let of = |action: &str| agreement(json!({"permission": [{"action": "use"}], "prohibition": [{"action": action}]}));
    assert!(within(&of("reproduce"), &of("extract")).is_ok() && within(&of("extract"), &of("reproduce")).is_err());
}

#[test]
fn obligations_and_duties_are_carried_by_the_same_only() {
    let duty = |date: &str| {
        agreement(
            json!({"permission": [{"action": "use", "duty": [{"action": "delete", "constraint": [until(date)]}]}]}),
        )
    };
    assert!(within(&duty("2026-06-30Z"), &duty("2026-07-31Z")).is_err());
    assert!(within(&duty("2026-07-31Z"), &duty("2026-06-30Z")).is_err());
    assert!(within(&duty("2026-06-30Z"), &duty("2026-06-30Z")).is_ok());
}

#[test]
fn a_term_that_is_not_understood_is_within_the_same_term_only() {
    let region = |name: &str| constraint("virtualLocation", "eq", json!(name));
    let asked = |list: Value| agreement(json!({"permission": [{"action": "use", "constraint": list}]}));
    let offered = asked(json!([region("FR"), until("2026-12-31Z")]));
    assert_eq!(
        within(&asked(json!([until("2026-06-30Z"), region("FR")])), &offered),
        Ok(())
    );
    assert!(within(&asked(json!([region("DE"), until("2026-12-31Z")])), &offered).is_err());
    assert!(
        within(
            &asked(json!([
                region("FR"),
                until("2026-12-31Z"),
                constraint("media", "eq", json!("x"))
            ])),
            &offered
        )
        .is_err()
    );
    // The offer permits nothing while it is not understood, so leaving the unknown rule out would permit more.
    let unknown =
        agreement(json!({"permission": [{"action": "read"}, {"action": "use", "constraint": [region("FR")]}]}));
    let wider = within(&agreement(json!({"permission": [{"action": "read"}]})), &unknown).unwrap_err();
    assert_eq!(
        (wider.pointer.as_str(), wider.in_asked),
        ("/permission/1/constraint/0/leftOperand", false)
    );
    let act = |name: &str| agreement(json!({"permission": [{"action": name}]}));
    assert!(within(&act("ex:foo"), &act("ex:foo")).is_ok() && within(&act("ex:foo"), &act("ex:bar")).is_err());
}

#[test]
fn permissions_that_say_the_same_are_within_each_other() {
    let one = agreement(json!({"permission": [{"action": "use", "constraint": [purposes("isAnyOf", &["a", "b"])]}]}));
    let other = agreement(
        json!({"permission": {"action": "odrl:use", "constraint": purposes("odrl:isAnyOf", &["b", "a", "b"])}}),
    );
    assert_eq!(same_terms(&one, &other), Ok(()));
    assert!(within(&one, &other).is_ok() && within(&other, &one).is_ok());
}

#[test]
fn lengths_counts_and_amounts_are_compared_by_size() {
    let priced = |amount: &str, unit: &str| {
        let mut price = constraint("payAmount", "gteq", json!(amount));
        price["unit"] = json!(unit);
        price
    };
    let cases = [
        (
            constraint("elapsedTime", "lteq", json!("P1M")),
            constraint("elapsedTime", "eq", json!("P3M")),
            true,
        ),
        (
            constraint("elapsedTime", "lteq", json!("P3M")),
            constraint("elapsedTime", "lteq", json!("P1M")),
            false,
        ),
        (
            constraint("elapsedTime", "lteq", json!("P30D")),
            constraint("elapsedTime", "lteq", json!("P1M")),
            false,
        ),
        (
            constraint("delayPeriod", "gteq", json!("P2D")),
            constraint("delayPeriod", "gteq", json!("P1D")),
            true,
        ),
        (
            constraint("count", "lteq", json!("5")),
            constraint("count", "lt", json!("10")),
            true,
        ),
        (
            constraint("count", "lteq", json!("10")),
            constraint("count", "lt", json!("10")),
            false,
        ),
        (
            constraint("meteredTime", "lteq", json!("PT1H")),
            constraint("meteredTime", "lteq", json!("PT60M")),
            true,
        ),
        (priced("6", "EUR"), priced("5.50", "EUR"), true),
        (priced("6", "EUR"), priced("5.50", "CHF"), false),
        (
            constraint("spatial", "eq", json!("FR")),
            constraint("spatial", "isAnyOf", json!(["FR", "DE"])),
            true,
        ),
        (
            constraint("minor", "eq", json!("false")),
            constraint("minor", "neq", json!("true")),
            true,
        ),
        (
            constraint("minor", "eq", json!("false")),
            constraint("minor", "eq", json!("true")),
            false,
        ),
    ];
    for (asked, offered, expected) in cases {
        assert_eq!(keeps_to(asked.clone(), offered.clone()), expected, "{asked} {offered}");
    }
}

#[test]
fn whoever_is_to_be_informed_stays_so_in_narrower_and_common_terms() {
    let informing = |party: Option<&str>| {
        let mut duty = json!({"action": "inform"});
        if let Some(party) = party {
            duty["informedParty"] = party.into();
        }
        json!({"permission": [{"action": "use"}], "obligation": [duty]})
    };
    let (a, b, provider) = (Some("did:web:a"), Some("did:web:b"), None);
    assert!(within(&agreement(informing(a)), &agreement(informing(a))).is_ok());
    for other in [b, provider] {
        let (asked, offered) = (agreement(informing(other)), agreement(informing(a)));
        assert!(within(&asked, &offered).is_err(), "{other:?}");
        assert!(crate::same_terms(&asked, &offered).is_err(), "{other:?}");
    }
    let mut prefixed = informing(None);
    prefixed["obligation"][0]["odrl:informedParty"] = json!({"@id": "did:web:a"});
    assert_eq!(
        crate::same_terms(&agreement(prefixed), &agreement(informing(a))),
        Ok(())
    );
}

#[test]
fn a_prohibition_is_carried_with_its_remedies() {
    let with = |remedies: Value| {
        agreement(json!({"permission": [{"action": "use"}], "prohibition": [{"action": "sell", "remedy": remedies}]}))
    };
    let offered = with(json!([{"action": "inform"}]));
    assert!(within(&with(json!([{"action": "inform"}, {"action": "delete"}])), &offered).is_ok());
    assert!(within(&with(json!([])), &offered).is_err());
}
