use super::*;
use serde_json::json;

fn constraint(left: &str, operator: &str, right: &Json) -> Json {
    json!({"leftOperand": left, "operator": operator, "rightOperand": right})
}

/// Both sides of a negotiation write the same id, that of the offer.
fn using(constraints: &Json) -> Json {
    json!({"@id": "urn:offer:1", "@type": "Offer", "permission": [{"action": "use", "constraint": constraints}]})
}

fn categories(names: &[&str]) -> Json {
    using(&json!([
        constraint("purpose", "isAnyOf", &json!(["dases:orientation"])),
        constraint("dases:dataCategory", "isAnyOf", &json!(names)),
    ]))
}

#[test]
fn what_leaves_nothing_is_named_by_its_place_whatever_ids_it_carries() {
    let mut offer = categories(&["skills"]);
    offer["permission"][0]["@id"] = json!("urn:rule");
    let mut other = constraint("dases:dataCategory", "eq", &json!("results"));
    other["uid"] = json!("urn:constraint");
    offer["permission"][0]["constraint"].as_array_mut().unwrap().push(other);
    assert_eq!(
        leaving_nothing(&offer),
        ["/permission/0/constraint/1", "/permission/0/constraint/2"]
    );
    assert!(leaving_nothing(&categories(&["skills"])).is_empty());
}

#[test]
fn what_leaves_nothing_is_found_among_rules_and_on_any_operand() {
    let number = |number: &str| json!({"@value": number, "@type": "xsd:integer"});
    let both = json!({"@id": "urn:1", "permission": [{"action": "use"}], "prohibition": [{"action": "use"}]});
    assert_eq!(leaving_nothing(&both), ["/permission/0", "/prohibition/0"]);
    let mut counted = both.clone();
    counted["prohibition"][0]["constraint"] = json!([constraint("count", "gteq", &number("1"))]);
    assert!(leaving_nothing(&counted).contains(&"/prohibition/0".to_owned()));
    counted["prohibition"][0]["constraint"] = json!([constraint("count", "gteq", &number("2"))]);
    assert_eq!(leaving_nothing(&counted), Vec::<String>::new());
    let using =
        |constraints: &[Json]| json!({"@id": "urn:1", "permission": [{"action": "use", "constraint": constraints}]});
    let pair = ["/permission/0/constraint/0", "/permission/0/constraint/1"];
    let times = [
        constraint("dateTime", "gt", &json!("2030-01-01T00:00:00Z")),
        constraint("dateTime", "lt", &json!("2029-01-01T00:00:00Z")),
    ];
    assert_eq!(leaving_nothing(&using(&times)), pair);
    let waits = [
        constraint("delayPeriod", "gteq", &json!("P1M")),
        constraint("elapsedTime", "lteq", &json!("P3D")),
    ];
    assert_eq!(leaving_nothing(&using(&waits)), pair);
    assert_eq!(
        leaving_nothing(&using(&[constraint("count", "lteq", &json!("0"))])),
        [pair[0]]
    );
}

#[test]
fn rules_that_meet_and_rules_that_never_apply_are_told_with_their_places() {
    let mut offer = categories(&["skills"]);
    offer["prohibition"] = json!([
        {"action": "distribute"},
        {"action": "use", "constraint": [
            constraint("count", "lt", &json!({"@value": "3", "@type": "xsd:integer"})),
            constraint("count", "gt", &json!({"@value": "5", "@type": "xsd:integer"})),
        ]},
    ]);
    let found = rules_together(&offer);
    let told: Vec<_> = found.iter().map(|lint| (lint.code, lint.pointer.as_str())).collect();
    assert_eq!(
        told,
        [
            (LintCode::RulesMeet, "/prohibition/0"),
            (LintCode::NeverApplies, "/prohibition/1")
        ]
    );
    assert!(
        found[0].about.starts_with("/permission/0, for instance: action "),
        "{}",
        found[0].about
    );
    assert_eq!(
        found[1].about,
        "/prohibition/1/constraint/0, /prohibition/1/constraint/1"
    );
    assert!(rules_together(&categories(&["skills"])).is_empty());
}

#[test]
fn terms_that_ask_for_more_are_told_operand_by_operand_with_a_request_that_shows_it() {
    let found = differences(
        &categories(&["skills", "identity"]),
        &categories(&["skills", "results"]),
    );
    assert!(!found.disjoint);
    let told = found.told.join("\n");
    assert!(
        told.contains("POL-01: only what is asked permits, for instance: ") && told.contains("dataCategory identity"),
        "{told}"
    );
    assert!(
        told.contains("dataCategory: asked is identity or skills; offered is results or skills"),
        "{told}"
    );
    assert!(!told.contains("purpose: "), "they agree about it: {told}");
}

#[test]
fn terms_with_nothing_in_common_are_told_with_the_smallest_set_of_both_policies() {
    let found = differences(&categories(&["identity"]), &categories(&["skills", "results"]));
    assert!(found.disjoint);
    assert_eq!(
        found.told[0],
        "CST-05: nothing is permitted by both; together impossible: asked /permission/0/constraint/1, offered /permission/0/constraint/1"
    );
}

#[test]
fn who_terms_are_for_is_no_difference_between_them() {
    let (mut asked, mut offered) = (categories(&["skills"]), categories(&["skills", "results"]));
    offered["assignee"] = json!("did:web:a.example");
    offered["assigner"] = json!("did:web:school.example");
    let found = differences(&asked, &offered);
    assert_eq!((found.disjoint, &found.told), (false, &Vec::new()));
    asked["odrl:assignee"] = json!({"@id": "did:web:b.example"});
    asked["assigner"] = json!("did:web:other.example");
    let found = differences(&asked, &offered);
    assert_eq!((found.disjoint, &found.told), (false, &Vec::new()));
}

#[test]
fn what_the_offer_prohibits_and_its_operands_that_were_left_out_are_told() {
    let mut offered = categories(&["skills"]);
    offered["prohibition"] = json!([{"action": "distribute"}]);
    let told = differences(&categories(&["skills"]), &offered).told.join("\n");
    assert!(
        told.contains("POL-02: only what is asked permits, for instance: "),
        "{told}"
    );
    assert!(told.contains("offered /prohibition/0 prohibits it"), "{told}");
    let limited = using(&json!([constraint("elapsedTime", "eq", &json!("P3M"))]));
    let told = differences(&using(&json!([])), &limited).told.join("\n");
    assert!(
        told.contains("elapsedTime: asked is anything; offered is at most P3M"),
        "{told}"
    );
}

#[test]
fn agreements_contradict_each_other_where_one_permits_what_the_other_prohibits() {
    let (mut one, mut other) = (categories(&["skills"]), categories(&["results"]));
    assert!(contradictions(&one, &other).is_empty(), "to differ is no contradiction");
    other["prohibition"] =
        json!([{"action": "use", "constraint": [constraint("dases:dataCategory", "eq", &json!("skills"))]}]);
    let told = contradictions(&one, &other);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("this agreement permits what the other prohibits at /prohibition/0, for instance: "),
        "{told:?}"
    );
    assert!(
        contradictions(&other, &one)[0]
            .starts_with("the other permits what this agreement prohibits at /prohibition/0")
    );
    // What its own prohibition takes back, an agreement does not permit.
    one["prohibition"] = other["prohibition"].clone();
    assert!(contradictions(&one, &other).is_empty());
}

/// A policy of about the largest size that a peer may send: each way of one condition meets each way of the others.
fn tangled(values: &[&str]) -> Json {
    let either = |number: usize| {
        let parts: Vec<Json> = values
            .iter()
            .map(|value| {
                constraint(
                    &format!("membership.m{number}"),
                    "isNoneOf",
                    &json!([value, format!("{value}-{number}")]),
                )
            })
            .collect();
        json!({"or": parts})
    };
    let constraints: Vec<Json> = (0..24).map(either).collect();
    json!({"@id": "urn:a", "@type": "Offer", "permission": [{"action": "use", "constraint": constraints}],
        "prohibition": [{"action": "use", "constraint": (0..8).map(either).collect::<Vec<_>>()}]})
}

#[test]
fn terms_that_a_peer_has_tangled_are_not_looked_at_for_long() {
    let (asked, offered) = (tangled(&["a", "b", "c"]), tangled(&["d", "e", "f"]));
    let begun = std::time::Instant::now();
    let found = differences(&asked, &offered);
    let _ = contradictions(&asked, &offered);
    let took = begun.elapsed();
    assert!(!found.disjoint);
    // Some milliseconds; seconds where as much is looked at as for an operator. Compiled without optimization, on a busy machine.
    assert!(took < std::time::Duration::from_secs(1), "{took:?}");
}

#[test]
fn however_many_prohibitions_a_peer_writes_they_are_one_question() {
    let rules = |action: &str| {
        let rule = |number| {
            let constraint = constraint("purpose", "eq", &json!(format!("urn:p{number}")));
            json!({"action": action, "constraint": [constraint]})
        };
        (0..120).map(rule).collect::<Vec<_>>()
    };
    let terms = json!({"@id": "urn:a", "@type": "Offer", "permission": rules("use"), "prohibition": rules("read")});
    let begun = std::time::Instant::now();
    let _ = contradictions(&terms, &terms);
    let took = begun.elapsed();
    // Some milliseconds; seconds where each prohibition is a question of its own.
    assert!(took < std::time::Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_prohibition_of_what_handing_over_consists_of_leaves_nothing_whatever_is_permitted() {
    let purpose = || constraint("purpose", "eq", &json!("dases:orientation"));
    let with = |prohibition: Json| {
        let mut policy = using(&json!([purpose()]));
        policy["prohibition"] = json!([prohibition]);
        policy
    };
    let satisfiable = |policy: &Json, concepts: &Concepts| {
        Verdict::from(&compare::satisfiable(&located(policy, "policy").unwrap(), concepts))
    };
    for action in ["odrl:read", "stream", "use"] {
        let policy = with(json!({"action": action}));
        assert_eq!(
            leaving_nothing(&policy),
            ["/permission/0", "/prohibition/0"],
            "{action}"
        );
        let dead = rules_together(&policy);
        let dead = dead.iter().find(|lint| lint.code == LintCode::NeverApplies).unwrap();
        assert_eq!(dead.pointer, "/permission/0", "{action}");
        assert_eq!(
            contradictions(&using(&json!([])), &policy).len(),
            1,
            "an agreement of anything contradicts {action}"
        );
        let french = constraint("language", "eq", &json!("fr"));
        let in_french = with(json!({"action": action, "constraint": [french]}));
        assert_eq!(leaving_nothing(&in_french), Vec::<String>::new(), "{action}");
        let other = using(&json!([purpose(), french]));
        assert!(differences(&in_french, &other).disjoint, "{action}");
    }
    for action in ["distribute", "sell", "play"] {
        let policy = with(json!({"action": action}));
        assert!(leaving_nothing(&policy).is_empty(), "{action}");
    }
    // ODRL itself knows no such thing: what is not reading stays permitted.
    let mut reading = with(json!({"action": "read"}));
    reading["conflict"] = json!("prohibit");
    assert_eq!(satisfiable(&reading, &Concepts::new()), Verdict::Compatible);
    assert_eq!(satisfiable(&reading, &Concepts::profile()), Verdict::Conflict);
}

#[test]
fn exactly_one_of_two_that_say_the_same_leaves_nothing() {
    let french = || constraint("language", "eq", &json!("fr"));
    assert_eq!(
        leaving_nothing(&using(&json!([{"xone": [french(), french()]}]))),
        ["/permission/0/constraint/0"]
    );
}
