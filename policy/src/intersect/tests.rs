use super::*;
use crate::{
    testing::{agreement_json, constraint},
    within,
};

fn purposes(operator: &str, names: &[&str]) -> Json {
    constraint("purpose", operator, json!(names))
}

fn time(operator: &str, date: &str) -> Json {
    constraint("dateTime", operator, json!(date))
}

fn of(constraints: Json) -> Json {
    agreement_json(json!({"permission": [{"action": "use", "constraint": constraints}]}))
}

/// The constraints of the one permission that two permissions of `use` have in common.
fn common(asked: Json, offered: Json) -> Json {
    intersect(&of(asked), &of(offered)).unwrap()["permission"][0]["constraint"].clone()
}

/// Pointer and text of what stands in the way, and whether the pointer leads into the asked policy.
fn fault(asked: &Json, offered: &Json) -> (String, bool, String) {
    let NoCommonTerms {
        pointer,
        in_asked,
        text,
    } = intersect(asked, offered).unwrap_err();
    (pointer, in_asked, text)
}

#[test]
fn a_counter_offer_is_answered_with_what_both_allow() {
    let asked = agreement_json(json!({
        "profile": "https://w3id.org/dases/ns/profile",
        "odrl:permission": {
            "odrl:action": {"@id": "odrl:use"}, "uid": "urn:rule",
            "constraint": [
                {"odrl:leftOperand": {"@id": "odrl:purpose"}, "operator": "odrl:isAnyOf", "rightOperand": ["dases:orientation", {"@id": "dpv:Marketing"}]},
                time("lteq", "2027-12-31T00:00:00Z"),
            ],
            "duty": {"action": "attribute"},
        },
        "prohibition": [{"action": "sell"}],
    }));
    let offered = agreement_json(json!({
        "profile": ["https://w3id.org/dases/ns/profile"],
        "permission": [{
            "action": "use",
            "constraint": [
                purposes("isAnyOf", &["orientation", "training"]),
                time("lteq", "2026-12-31T00:00:00Z"),
                constraint("dases:dataCategory", "isNoneOf", json!(["identity"])),
            ],
            "duty": [{"action": "delete"}],
        }],
        "prohibition": [{"action": "distribute"}, {"action": "odrl:sell"}],
        "obligation": [{"action": "inform"}],
    }));
    let common = json!({
        "profile": ["https://w3id.org/dases/ns/profile"],
        "permission": [{
            "action": "odrl:use",
            "constraint": [
                {"leftOperand": "odrl:purpose", "operator": "odrl:isAnyOf", "rightOperand": ["dases:orientation"]},
                time("lteq", "2026-12-31T00:00:00Z"),
                constraint("dases:dataCategory", "isNoneOf", json!(["identity"])),
            ],
            "duty": [{"action": "attribute"}, {"action": "delete"}],
        }],
        "prohibition": [{"action": "sell"}, {"action": "distribute"}],
        "obligation": [{"action": "inform"}],
    });
    assert_eq!(intersect(&asked, &offered), Ok(common.clone()));
    let policy = |json: &Json| Policy::parse(json).unwrap();
    let common = policy(&agreement_json(common));
    assert_eq!(within(&common, &policy(&asked)), Ok(()));
    assert_eq!(within(&common, &policy(&offered)), Ok(()));
}

#[test]
fn the_tighter_time_bound_stays_as_it_was_written() {
    let tight = time("lteq", "2026-06-30T23:00:00Z");
    assert_eq!(
        common(json!([time("lt", "2026-12-31Z")]), json!([tight])),
        json!([tight])
    );
    assert_eq!(
        common(json!([tight]), json!([time("lt", "2026-12-31Z")])),
        json!([tight])
    );
    let window = json!([time("gteq", "2026-01-01Z"), time("lt", "2026-12-31Z")]);
    assert_eq!(common(json!([window[0]]), json!([window[1]])), window);
}

#[test]
fn alternatives_that_the_other_side_excludes_go() {
    let any = |names: &[&str]| json!([purposes("isAnyOf", names)]);
    assert_eq!(common(any(&["a", "b", "c"]), any(&["b", "c", "d"])), any(&["b", "c"]));
    assert_eq!(
        common(any(&["a", "b"]), json!([purposes("isNoneOf", &["b", "z"])])),
        any(&["a"])
    );
    let none = json!([purposes("isNoneOf", &["a"]), purposes("isNoneOf", &["b"])]);
    assert_eq!(common(json!([none[0]]), json!([none[1]])), none);
    let days = |list: &[&str]| json!([constraint("dateTime", "isAnyOf", json!(list))]);
    let first_days = days(&["2026-06-01Z", "2026-06-02Z"]);
    assert_eq!(
        common(
            days(&["2026-06-01Z", "2026-06-02Z", "2026-07-01Z"]),
            json!([time("lt", "2026-06-15Z")])
        ),
        first_days
    );
}

#[test]
fn the_parts_of_an_and_are_constraints_like_others_and_an_or_stays_whole() {
    let (a, b) = (purposes("eq", &["a"]), time("lt", "2026-06-15Z"));
    let either = json!({"or": [a, b]});
    assert_eq!(common(json!([{"and": [a, b]}]), json!([b])), json!([a, b]));
    assert_eq!(
        common(json!([either]), json!([time("gt", "2026-01-01Z")])),
        json!([either, time("gt", "2026-01-01Z")])
    );
    assert_eq!(common(json!([either]), json!([a])), json!([a]));
}

#[test]
fn the_narrower_action_is_common_and_needless_permissions_go() {
    let asked = agreement_json(json!({"permission": [{"action": "use"}, {"action": "read"}]}));
    let offered =
        agreement_json(json!({"permission": [{"action": "display"}, {"action": "play"}, {"action": "sell"}]}));
    let common = json!({"permission": [{"action": "play"}]});
    assert_eq!(intersect(&asked, &offered), Ok(common.clone()));
    assert_eq!(intersect(&offered, &asked), Ok(common));
}

#[test]
fn whoever_is_to_be_informed_stays_so_in_what_both_allow() {
    let informing = |duty: &Json| json!({"permission": [{"action": "use", "duty": [duty]}], "obligation": [duty]});
    let bare = |party: &str| json!({"action": "inform", "informedParty": party});
    let prefixed = json!({"odrl:action": "inform", "odrl:informedParty": {"@id": "did:web:a"}});
    let offered = agreement_json(informing(&bare("did:web:a")));
    let common = |duty: &Json| {
        let mut asked = agreement_json(informing(duty));
        // Narrower, so that the answer is not the offer itself.
        asked["permission"][0]["constraint"] = json!([purposes("eq", &["a"])]);
        intersect(&asked, &offered).unwrap()
    };
    for (asked, expected) in [
        (bare("did:web:a"), json!([bare("did:web:a")])),
        (prefixed, json!([bare("did:web:a")])),
        (bare("did:web:b"), json!([bare("did:web:b"), bare("did:web:a")])),
    ] {
        let common = common(&asked);
        assert_eq!(common["obligation"], expected, "{asked}");
        assert_eq!(common["permission"][0]["duty"], expected, "{asked}");
    }
}

#[test]
fn nothing_in_common_is_said_with_its_reason() {
    let act = |action: &str| agreement_json(json!({"permission": [{"action": action}]}));
    let (pointer, in_asked, text) = fault(&act("use"), &act("sell"));
    assert_eq!((pointer.as_str(), in_asked), ("/permission", true));
    assert_eq!(text, "no action is permitted by both policies");
    let clash = |one: Json, other: Json| fault(&of(json!([one])), &of(json!([other]))).2;
    assert!(clash(purposes("eq", &["a"]), purposes("eq", &["b"])).starts_with("no purpose is left"));
    assert!(clash(time("lt", "2026-01-01Z"), time("gt", "2026-06-01Z")).starts_with("no time is left"));
    assert!(clash(purposes("eq", &["a"]), json!({"and": [purposes("neq", &["a"])]})).starts_with("no purpose is left"));
    let consent = |operator: &str| constraint("dases:consent", operator, json!("given"));
    assert!(clash(consent("eq"), consent("neq")).starts_with("no state of consent is left"));
    let category = |name: &str| constraint("dases:dataCategory", "eq", json!(name));
    assert!(clash(category("skills"), category("results")).starts_with("no data category is left"));
    let recipient = |name: &str| constraint("recipient", "eq", json!(name));
    assert!(clash(recipient("did:web:a"), recipient("did:web:b")).starts_with("no recipient is left"));
}

#[test]
fn profiles_must_agree_and_every_term_must_be_understood() {
    let profiled = agreement_json(json!({"permission": [{"action": "use"}], "profile": "odrl:core"}));
    assert_eq!(
        fault(&profiled, &of(json!([]))).2,
        "the policies name different profiles"
    );
    let region = of(json!([constraint("virtualLocation", "eq", json!("FR"))]));
    let (pointer, in_asked, text) = fault(&of(json!([])), &region);
    assert_eq!(
        (pointer.as_str(), in_asked),
        ("/permission/0/constraint/0/leftOperand", false)
    );
    assert_eq!(text, "the left operand \"virtualLocation\" is not understood");
    assert!(intersect(&region, &region).is_ok());
}

#[test]
fn what_is_not_a_policy_has_nothing_in_common_with_one() {
    let (pointer, in_asked, _) = fault(&of(json!([])), &json!({"@id": "urn:1", "permission": [{"action": 1}]}));
    assert_eq!((pointer.as_str(), in_asked), ("/permission/0/action", false));
    assert_eq!(fault(&json!(null), &of(json!([]))).0, "");
}

#[test]
fn the_common_terms_are_bounded() {
    let many = |left: &str, count: usize| {
        let rules = (0..count)
            .map(|i| json!({"action": "use", "constraint": [constraint(left, "eq", json!(format!("n{i}")))]}));
        agreement_json(json!({"permission": rules.collect::<Vec<_>>()}))
    };
    let (pointer, in_asked, text) = fault(&of(json!([])), &many("purpose", MAX_PERMISSIONS + 1));
    assert_eq!((pointer.as_str(), in_asked), ("/permission", false));
    assert!(text.contains("more than 32 permissions"));
    assert!(intersect(&many("purpose", MAX_PERMISSIONS), &of(json!([]))).is_ok());
    let product = fault(&many("purpose", 6), &many("recipient", 6)).2;
    assert!(product.contains("more than 32 permissions in common"), "{product}");
    let names = |from: usize| (from..from + 900).map(|i| format!("n{i}")).collect::<Vec<_>>();
    let long = |from| of(json!([constraint("purpose", "isNoneOf", json!(names(from)))]));
    assert!(
        fault(&long(0), &long(900))
            .2
            .starts_with("the common terms would be too long")
    );
}

#[test]
fn what_permits_nothing_is_not_in_common_whatever_operand_it_is_for() {
    let amount = |operator: &str| constraint("payAmount", operator, json!({"@value": "5", "@type": "xsd:decimal"}));
    let minor = |flag: &str| constraint("dases:minor", "eq", json!(flag));
    let languages = |operator: &str, names: &[&str]| constraint("language", operator, json!(names));
    let below = |name: &str| constraint("purpose", "isA", json!(name));
    let pairs = [
        (amount("gteq"), amount("lt")),
        (minor("true"), minor("false")),
        (languages("isAllOf", &["fr", "de"]), languages("isNoneOf", &["fr"])),
        (below("dpv:CommercialPurpose"), below("dpv:NonCommercialPurpose")),
    ];
    for (one, other) in pairs {
        let (pointer, in_asked, text) = fault(&of(json!([one])), &of(json!([other])));
        assert_eq!((pointer.as_str(), in_asked), ("/permission/0", true), "{text}");
        let expected =
            "nothing is left of this permission and the one offered at /permission/0: nothing satisfies all of ";
        assert!(text.starts_with(expected), "{text}");
        // The same terms as well.
        let both = of(json!([one, other]));
        assert!(fault(&both, &both).2.starts_with("nothing is permitted: "), "{both}");
    }
    let text = fault(&of(json!([amount("gteq")])), &of(json!([amount("lt")]))).2;
    assert!(text.ends_with("\"payAmount gteq 5\"; \"payAmount lt 5\""), "{text}");
}

#[test]
fn prohibitions_of_either_may_leave_nothing_in_common_or_not_all_of_it() {
    let use_and = |members: Json| {
        let mut policy = of(json!([purposes("eq", &["a"])]));
        for (name, value) in members.as_object().unwrap() {
            policy[name] = value.clone();
        }
        agreement_json(policy)
    };
    let plain = use_and(json!({}));
    for action in ["use", "read"] {
        let (pointer, in_asked, text) = fault(&plain, &use_and(json!({"prohibition": [{"action": action}]})));
        assert_eq!((pointer.as_str(), in_asked), ("/permission/0", true));
        assert!(text.contains("the permission of use; the prohibition of "), "{text}");
    }
    let permissions = json!([
        {"action": "use", "constraint": [purposes("eq", &["a"])]},
        {"action": "use", "constraint": [purposes("eq", &["b"])]},
    ]);
    let prohibition = json!({"action": "use", "constraint": [purposes("eq", &["a"])]});
    let common = intersect(
        &use_and(json!({"permission": permissions})),
        &use_and(json!({"permission": permissions, "prohibition": [prohibition]})),
    );
    assert_eq!(
        common,
        Ok(json!({"permission": permissions, "prohibition": [prohibition]}))
    );
}

#[test]
fn terms_about_different_targets_have_nothing_in_common() {
    let about = |target: Option<&str>| {
        let mut policy = of(json!([]));
        policy["@type"] = json!("Set");
        match target {
            Some(target) => policy["target"] = json!(target),
            None => drop(policy.as_object_mut().unwrap().remove("target")),
        }
        policy
    };
    let (pointer, in_asked, text) = fault(&about(Some("urn:a")), &about(Some("urn:b")));
    assert_eq!((pointer.as_str(), in_asked), ("/target", true));
    assert_eq!(text, "the target is \"urn:a\", and offered is \"urn:b\"");
    assert!(intersect(&about(Some("urn:a")), &about(Some("urn:a"))).is_ok());
    // An offer in a catalog has none (DSP 2025-1).
    assert!(intersect(&about(Some("urn:a")), &about(None)).is_ok());
}
