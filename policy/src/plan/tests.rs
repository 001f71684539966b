mod bounds;

use super::*;
use crate::testing::{agreement, at, constraint, facts, facts_at, named, permitting, prohibiting};
use serde_json::{Value, json};

fn plan(policy: &Policy) -> Plan {
    policy.plan(&facts()).unwrap_or_else(|reasons| panic!("{reasons:?}"))
}

fn refusal(policy: &Policy) -> Vec<&'static str> {
    policy
        .plan(&facts())
        .unwrap_err()
        .iter()
        .map(|reason| reason.code.as_str())
        .collect()
}

fn category(operator: &str, right: Value) -> Value {
    constraint("dases:dataCategory", operator, right)
}

fn given() -> Value {
    constraint("dases:consent", "eq", json!("given"))
}

#[test]
fn a_bare_permission_leaves_nothing_open() {
    let plan = plan(&agreement(json!({"permission": [{"action": "use"}]})));
    assert!(plan.any_purpose() && plan.purposes.is_empty() && plan.categories.is_none() && !plan.consent_required);
    assert_eq!((plan.valid_from, plan.valid_until), (None, None));
    assert_eq!(
        (plan.policy.as_str(), plan.recipient.as_str()),
        ("urn:uuid:1", "did:web:agency.example")
    );
    assert!(plan.allows_purpose("anything") && plan.allows_category("no such category"));
}

#[test]
fn purposes_bind_the_use() {
    for (operator, right, expected) in [
        ("eq", json!("dases:orientation"), vec!["orientation"]),
        ("isA", json!("orientation"), vec!["orientation"]),
        (
            "isAnyOf",
            json!(["https://w3id.org/dpv#ScientificResearch", "orientation"]),
            vec!["https://w3id.org/dpv#ScientificResearch", "orientation"],
        ),
    ] {
        let plan = plan(&permitting(constraint("purpose", operator, right)));
        assert_eq!(plan.purposes, expected, "{operator}");
        assert!(
            !plan.any_purpose()
                && plan.allows_purpose("https://w3id.org/dases/ns/orientation")
                && !plan.allows_purpose("x")
        );
    }
}

#[test]
fn prohibited_purposes_are_taken_away_in_any_spelling() {
    let policy = agreement(json!({
        "permission": [{"action": "use", "constraint": [constraint("purpose", "isAnyOf", json!(["orientation", "dpv:Marketing"]))]}],
        "prohibition": [{"action": "use", "constraint": [constraint("purpose", "eq", json!("https://w3id.org/dpv#Marketing"))]}],
    }));
    assert_eq!(plan(&policy).purposes, ["orientation"]);
}

#[test]
fn categories_become_a_list() {
    for (operator, right, expected) in [
        ("eq", json!("skills"), vec!["skills"]),
        ("isAnyOf", json!(["dases:skills", "results"]), vec!["results", "skills"]),
        ("isA", json!(["dases:skills", "results"]), vec!["results", "skills"]),
        (
            "isNoneOf",
            json!(["special-needs", "identity", "activity-traces"]),
            vec!["results", "skills", "certificates", "experience", "provenance"],
        ),
        (
            "neq",
            json!("special-needs"),
            vec![
                "identity",
                "results",
                "skills",
                "certificates",
                "activity-traces",
                "experience",
                "provenance",
            ],
        ),
    ] {
        let plan = plan(&permitting(category(operator, right)));
        assert_eq!(plan.categories.as_deref().unwrap(), expected, "{operator}");
        assert!(!plan.allows_category("special-needs") && !plan.allows_category("no such category"));
    }
    assert!(plan(&permitting(category("eq", json!("skills")))).allows_category("dases:skills"));
    let prohibited = plan(&prohibiting(category("isAnyOf", json!(["special-needs", "identity"]))));
    assert_eq!(prohibited.categories.unwrap().len(), crate::Category::ALL.len() - 2);
}

#[test]
fn a_claim_is_a_kind_of_what_it_names_and_of_nothing_that_is_known_here() {
    let member = |role: &str| facts().with_claims([("role".to_owned(), [role.to_owned()].into())].into());
    let provider = || constraint("membership.role", "isA", json!(["DataProvider", "Authority"]));
    assert!(permitting(provider()).plan(&member("DataProvider")).is_ok());
    assert!(permitting(provider()).plan(&member("School")).is_err());
    // Whether a school is a kind of provider is unknown, and a prohibition holds then.
    assert!(prohibiting(provider()).plan(&member("School")).is_err());
}

#[test]
fn consent_is_required_by_a_permission_or_by_a_prohibition_of_its_absence() {
    assert!(plan(&permitting(given())).consent_required);
    assert!(plan(&prohibiting(constraint("dases:consent", "neq", json!("given")))).consent_required);
    assert_eq!(
        refusal(&permitting(constraint("dases:consent", "neq", json!("given")))),
        ["POL-08"]
    );
}

#[test]
fn the_window_is_exact_to_the_millisecond() {
    let (earlier, later) = ("2026-06-01T00:00:00Z", "2026-06-30T00:00:00Z");
    let cases = [
        ("gteq", earlier, Some("2026-06-01T00:00:00Z"), None),
        ("gt", earlier, Some("2026-06-01T00:00:00.001Z"), None),
        ("lteq", later, None, Some("2026-06-30T00:00:00Z")),
        ("lt", later, None, Some("2026-06-29T23:59:59.999Z")),
        ("neq", later, None, Some("2026-06-29T23:59:59.999Z")),
        (
            "eq",
            "2026-06-15Z",
            Some("2026-06-15T00:00:00Z"),
            Some("2026-06-15T23:59:59.999Z"),
        ),
        ("lteq", "2026-06-15Z", None, Some("2026-06-15T23:59:59.999Z")),
    ];
    for (operator, right, from, until) in cases {
        let plan = plan(&permitting(constraint("dateTime", operator, json!(right))));
        assert_eq!(
            (plan.valid_from, plan.valid_until),
            (from.map(at), until.map(at)),
            "{operator} {right}"
        );
        if let Some(until) = plan.valid_until {
            assert!(plan.open_at(until).is_ok());
            let after = plan.open_at(Timestamp::from_millis(until.millis() + 1)).unwrap_err();
            assert_eq!(after.code, Code::OutsideTime);
        }
        if let Some(from) = plan.valid_from {
            assert!(plan.open_at(from).is_ok() && plan.open_at(Timestamp::from_millis(from.millis() - 1)).is_err());
        }
    }
}

#[test]
fn a_prohibition_that_starts_later_ends_the_window() {
    let policy = prohibiting(constraint("dateTime", "gteq", json!("2026-07-01T00:00:00Z")));
    let before = plan(&policy);
    assert_eq!(
        (before.valid_from, before.valid_until),
        (None, Some(at("2026-06-30T23:59:59.999Z")))
    );
    assert_eq!(
        policy.plan(&facts_at("2026-07-01T00:00:00Z")).unwrap_err()[0].code,
        Code::Prohibited
    );
}

#[test]
fn bounds_that_change_nothing_do_not_narrow_the_window() {
    let policy = permitting(json!({"or": [
        constraint("dateTime", "lteq", json!("2026-06-20T00:00:00Z")),
        constraint("dateTime", "lteq", json!("2026-07-20T00:00:00Z")),
        constraint("dateTime", "gteq", json!("2026-07-01T00:00:00Z")),
    ]}));
    let plan = plan(&policy);
    assert_eq!((plan.valid_from, plan.valid_until), (None, None));
}

#[test]
fn a_mix_of_time_and_category_is_held_by_a_shorter_window() {
    let policy = permitting(json!({"or": [
        constraint("dateTime", "lteq", json!("2026-06-30T00:00:00Z")), category("eq", json!("skills")),
    ]}));
    let now = plan(&policy);
    assert_eq!(
        (now.categories.map(|list| list.len()), now.valid_until),
        (Some(crate::Category::ALL.len()), Some(at("2026-06-30T00:00:00Z")))
    );
    let later = policy.plan(&facts_at("2026-07-01T00:00:00Z")).unwrap();
    assert_eq!(
        (later.categories.unwrap(), later.valid_from),
        (vec!["skills".to_owned()], Some(at("2026-06-30T00:00:00.001Z")))
    );
}

#[test]
fn what_no_plan_can_hold_is_refused_and_named_and_never_negotiated() {
    let cases = [
        json!({"xone": [constraint("purpose", "eq", json!("a")), category("eq", json!("skills"))]}),
        constraint("purpose", "isNoneOf", json!(["dpv:Marketing"])),
        constraint("purpose", "neq", json!("dpv:Marketing")),
    ];
    for case in cases {
        let policy = permitting(case.clone());
        assert_eq!(
            named(&policy.plan(&facts()).unwrap_err()),
            [("POL-08", "/permission/0")],
            "{case}"
        );
        assert!(
            !policy.decide(Stage::Negotiation, &facts()).permits()
                && !policy.decide(Stage::Publish, &facts()).permits()
        );
    }
}

#[test]
fn a_condition_that_ties_category_and_consent_together_is_held_by_the_plan() {
    let plan = plan(&permitting(json!({"or": [given(), category("eq", json!("skills"))]})));
    let record = |category, consent| {
        let record = RecordFacts {
            category,
            consent,
            ..RecordFacts::default()
        };
        assert_eq!(plan.permits(&record).is_ok(), plan.permits_by_operations(&record));
        plan.permits(&record)
    };
    let (skills, results) = (Some(Category::Skills), Some(Category::Results));
    for consent in [None, Some(false), Some(true)] {
        assert_eq!(record(skills, consent), Ok(()));
        let expected = if consent == Some(true) {
            Ok(())
        } else {
            Err(Code::ConsentNone)
        };
        assert_eq!(record(results, consent), expected);
        assert_eq!(record(None, consent), expected);
    }
    // Who looks at the parts alone lets through less, never more.
    assert!(plan.consent_required && plan.allows_category("skills") && plan.allows_category("results"));
}

#[test]
fn a_plan_is_bound_to_purposes_by_their_names_along_the_tree() {
    let (research, science) = ("dpv:ResearchAndDevelopment", "dpv:ScientificResearch");
    let any = |names: &[&str]| constraint("purpose", "isAnyOf", json!(names));
    let below = |name: &str| constraint("purpose", "isA", json!(name));
    let none = |names: &[&str]| constraint("purpose", "isNoneOf", json!(names));
    let science_alone = [
        json!([any(&[science, "orientation"]), below(research)]),
        json!([any(&[science, "dpv:Marketing"]), below(research)]),
    ];
    for constraints in science_alone {
        let permitted = plan(&agreement(
            json!({"permission": [{"action": "use", "constraint": constraints}]}),
        ));
        assert_eq!(permitted.purposes, ["https://w3id.org/dpv#ScientificResearch"]);
    }
    // Where what is named is permitted, the names below it are not added: consent would have to name them all.
    assert_eq!(
        plan(&permitting(below(research))).purposes,
        ["https://w3id.org/dpv#ResearchAndDevelopment"]
    );
    let but_itself = json!({"and": [below("dpv:Advertising"), none(&["dpv:Advertising"])]});
    assert_eq!(
        plan(&permitting(but_itself)).purposes,
        [
            "https://w3id.org/dpv#PersonalisedAdvertising",
            "https://w3id.org/dpv#PoliticalCampaign",
            "https://w3id.org/dpv#RecruitmentAdvertising",
            "https://w3id.org/dpv#RecruitmentTargetedAdvertising",
            "https://w3id.org/dpv#TargetedAdvertising"
        ]
    );
    let marketing = agreement(json!({
        "permission": [{"action": "use", "constraint": [any(&[science, "dpv:Advertising"])]}],
        "prohibition": [{"action": "use", "constraint": [below("dpv:Marketing")]}],
    }));
    assert_eq!(plan(&marketing).purposes, ["https://w3id.org/dpv#ScientificResearch"]);
}

#[test]
fn more_purposes_than_a_consent_can_name_are_not_planned() {
    let any_but_the_root = json!({"and": [
        constraint("purpose", "isA", json!("dpv:Purpose")), constraint("purpose", "neq", json!("dpv:Purpose")),
    ]});
    assert_eq!(refusal(&permitting(any_but_the_root)), ["POL-08"]);
}

#[test]
fn a_purpose_that_might_lie_below_a_prohibited_one_is_not_planned() {
    let policy = agreement(json!({
        "permission": [{"action": "use", "constraint": [constraint("purpose", "isAnyOf", json!(["training", "a"]))]}],
        "prohibition": [{"action": "use", "constraint": [constraint("purpose", "isA", json!("dpv:Marketing"))]}],
    }));
    assert_eq!(refusal(&policy), ["POL-03"]);
}

#[test]
fn several_permissions_are_united_where_exact_and_else_the_widest_stands() {
    let permission = |constraints: Value| json!({"action": "use", "constraint": constraints});
    let united = agreement(json!({"permission": [
        permission(json!([category("eq", json!("skills")), given()])), permission(json!([category("eq", json!("results")), given()])),
    ]}));
    let both = plan(&united);
    assert_eq!(
        (both.categories.unwrap(), both.consent_required),
        (vec!["results".to_owned(), "skills".to_owned()], true)
    );

    let narrow = permission(json!([
        category("eq", json!("skills")),
        constraint("purpose", "eq", json!("a"))
    ]));
    let wide = permission(json!([
        category("isAnyOf", json!(["results", "identity"])),
        constraint("purpose", "eq", json!("b"))
    ]));
    for order in [[&narrow, &wide], [&wide, &narrow]] {
        let plan = plan(&agreement(json!({"permission": order})));
        assert_eq!(
            (plan.purposes, plan.categories.unwrap().len()),
            (vec!["b".to_owned()], 2)
        );
    }
    let other = permission(json!([constraint("recipient", "eq", json!("did:web:other"))]));
    assert_eq!(plan(&agreement(json!({"permission": [other, narrow]}))).purposes, ["a"]);
}

#[test]
fn duties_and_declared_prohibitions_are_carried() {
    let by = constraint("dateTime", "lteq", json!("2026-12-31T00:00:00Z"));
    let policy = agreement(json!({
        "permission": [{"action": "use", "duty": [{"action": "odrl:delete", "constraint": [by]}]}],
        "prohibition": [{"action": "distribute"}, {"action": "sell", "constraint": [given()]}, {"action": "use", "constraint": [category("eq", json!("identity"))]}],
        "obligation": [{"action": "inform"}, {"action": "compensate"}],
    }));
    let plan = plan(&policy);
    let said = |list: &[Carried]| {
        list.iter()
            .map(|one| (one.action, one.pointer.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        said(&plan.duties),
        [
            (Action::Delete, "/permission/0/duty/0".to_owned()),
            (Action::Compensate, "/obligation/1".to_owned()),
            (Action::Inform, "/obligation/0".to_owned()),
        ]
    );
    assert_eq!(plan.duties[0].when, ["dateTime lteq 2026-12-31T00:00:00Z"]);
    assert_eq!(
        said(&plan.declared),
        [
            (Action::Distribute, "/prohibition/0".to_owned()),
            (Action::Sell, "/prohibition/1".to_owned())
        ]
    );
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["declared"][0]["action"], "distribute");
}

#[test]
fn a_plan_says_who_is_informed_where_a_duty_names_them_and_its_constraints_may_hold() {
    let inform = |party: &str, constraints: &[Value]| json!({"action": "inform", "odrl:informedParty": {"@id": party}, "constraint": constraints});
    let (past, to_come) = (json!("2020-01-01T00:00:00Z"), json!("2999-01-01T00:00:00Z"));
    let policy = agreement(json!({
        "permission": [
            {"action": "use", "duty": [inform("did:web:ministry", &[]), inform("did:web:late", &[constraint("dateTime", "lt", past)])]},
            // Another action's, so it is not carried.
            {"action": "sell", "duty": [inform("did:web:seller", &[])]},
        ],
        "obligation": [
            inform("did:web:academy", &[constraint("dateTime", "lt", to_come), constraint("count", "lteq", json!("5"))]),
            inform("did:web:ministry", &[]),
            {"action": "inform"},
        ],
    }));
    let plan = plan(&policy);
    assert_eq!(
        plan.informed.iter().collect::<Vec<_>>(),
        ["did:web:academy", "did:web:ministry"]
    );
    let of_permission = plan.duties.iter().find(|one| one.pointer == "/permission/0/duty/0");
    assert_eq!(of_permission.unwrap().informed.as_deref(), Some("did:web:ministry"));
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["informed"], json!(["did:web:academy", "did:web:ministry"]));
}

#[test]
fn permissions_that_inform_different_parties_are_not_taken_together() {
    let informing = |party: &str, name: &str| {
        json!({"action": "use", "constraint": [category("eq", json!(name))],
            "duty": [{"action": "inform", "informedParty": party}]})
    };
    let both = |first: &str, second: &str| {
        let rules = [informing(first, "skills"), informing(second, "results")];
        plan(&agreement(json!({"permission": rules})))
    };
    let same = both("did:web:a", "did:web:a");
    assert_eq!((same.informed.len(), same.categories.unwrap().len()), (1, 2));
    let different = both("did:web:a", "did:web:b");
    assert_eq!((different.informed.len(), different.categories.unwrap().len()), (1, 1));
}

#[test]
fn a_permission_without_duty_is_preferred_over_an_equal_one_with_a_duty() {
    let policy = agreement(json!({"permission": [{"action": "use", "duty": {"action": "delete"}}, {"action": "use"}]}));
    assert_eq!(plan(&policy).duties, []);
}

#[test]
fn a_hostile_policy_costs_bounded_work() {
    let purposes: Vec<String> = (0..600).map(|i| format!("p{i}")).collect();
    let dates: Vec<Value> = (0..180)
        .map(|i| constraint("dateTime", "neq", json!(format!("2027-01-01T00:00:00.{i:03}Z"))))
        .collect();
    let policy = permitting(json!({"and": [constraint("purpose", "isAnyOf", json!(purposes)), {"and": dates}]}));
    // The search for the window stops at the limit: at the first date, although later ones change nothing at all.
    let plan = plan(&policy);
    assert_eq!(
        (plan.purposes.len(), plan.valid_until),
        (600, Some(at("2026-12-31T23:59:59.999Z")))
    );
    let many: Vec<Value> = (0..330)
        .map(|i| constraint("purpose", "neq", json!(format!("p{i}"))))
        .collect();
    assert_eq!(
        named(&permitting(json!({"and": many})).plan(&facts()).unwrap_err())[0].0,
        "POL-08"
    );
    let more: Vec<Value> = (0..480)
        .map(|i| constraint("purpose", "neq", json!(format!("p{i}"))))
        .collect();
    assert_eq!(
        named(&permitting(json!({"and": more})).plan(&facts()).unwrap_err())[0].0,
        "POL-09"
    );
}

/// Whoever withdraws a consent must never let more leave.
#[test]
fn no_plan_lets_a_record_leave_without_consent_alone() {
    let consented = constraint("dases:consent", "eq", json!("given"));
    let skills = constraint("dases:dataCategory", "eq", json!("skills"));
    let guardian = constraint("dases:guardianConsent", "neq", json!("true"));
    for constraint in [json!({"xone": [consented, skills]}), guardian] {
        let reasons = permitting(constraint).plan(&facts().with_minors_told()).unwrap_err();
        assert_eq!(named(&reasons), [("POL-08", "/permission/0")]);
    }
}

#[test]
fn a_scope_asks_for_no_fact_of_a_transfer() {
    let policy = agreement(json!({"permission": [{"action": "use", "constraint": [
        constraint("purpose", "eq", json!("dases:orientation")),
        constraint("dataCategory", "isAnyOf", json!(["skills"])),
        constraint("elapsedTime", "lteq", json!("P30D")),
        constraint("count", "lteq", json!("3")),
        constraint("language", "eq", json!("fr")),
    ]}]}));
    assert!(policy.plan(&facts()).is_err());
    let scope = policy.scope(&facts()).unwrap();
    assert_eq!(scope.purposes.len(), 1);
    assert!(scope.allows_category("skills") && !scope.allows_category("identity"));
}

#[test]
fn plans_that_differ_for_minors_alone_have_other_answers() {
    let adult = constraint("minor", "eq", json!("false"));
    let until = constraint("dateTime", "lteq", json!("2026-06-20T00:00:00Z"));
    let policy = permitting(json!({"and": [given(), {"or": [adult, until]}]}));
    let plan_at = |now| policy.plan(&facts_at(now).with_minors_told()).unwrap();
    let (before, after) = (plan_at("2026-06-19T00:00:00Z"), plan_at("2026-06-21T00:00:00Z"));
    let seen = |plan: &Plan| (plan.purposes.clone(), plan.categories.clone(), plan.consent_required);
    assert_eq!(seen(&before), seen(&after));
    assert_ne!(before.answers(), after.answers());
    assert_eq!(before.answers(), plan_at("2026-06-18T00:00:00Z").answers());
}

#[test]
fn no_plan_lets_more_leave_without_consent_where_it_is_not_known_who_is_a_minor() {
    let flag = |value: &str| constraint("minor", "eq", json!(value));
    let policy = agreement(json!({
        "permission": [{"action": "use"}],
        "prohibition": [{"action": "use", "constraint": [given(), flag("true"), flag("false")]}],
    }));
    let refused = policy.plan(&facts().with_minors_told()).unwrap_err();
    assert_eq!(refused[0].code, Code::NotPlannable, "{refused:?}");
}
