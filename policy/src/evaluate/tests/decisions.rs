//! What whole policies permit and refuse, and why, stage by stage. Single comparisons are tried in the module above.

use super::*;

#[test]
fn a_missing_fact_never_permits_and_always_prohibits_a_record() {
    for atom in [
        constraint("purpose", "isNoneOf", json!(["dpv:Marketing"])),
        constraint("dataCategory", "isNoneOf", json!(["special-needs"])),
        constraint("consent", "eq", json!("given")),
    ] {
        let permission = permitting(atom.clone());
        assert_eq!(codes(&permission, Stage::Record, &facts()), ["CST-02"], "{atom}");
        let prohibition = prohibiting(atom.clone());
        assert_eq!(codes(&prohibition, Stage::Record, &facts()), ["POL-02"], "{atom}");
        // At earlier stages the same fact is only open.
        assert!(permission.decide(Stage::Transfer, &facts()).permits(), "{atom}");
        assert!(prohibition.decide(Stage::Catalog, &facts()).permits(), "{atom}");
    }
}

#[test]
fn a_record_is_decided_once_its_facts_are_known() {
    let policy = permitting(json!({"and": [
        constraint("purpose", "eq", json!("orientation")),
        constraint("dataCategory", "isAnyOf", json!(["skills"])),
        constraint("consent", "eq", json!("given")),
    ]}));
    let known = Facts {
        purpose: Some("dases:orientation".to_owned()),
        category: Some(Category::Skills),
        consent: Some(true),
        ..facts()
    };
    assert!(policy.decide(Stage::Record, &known).permits());
    assert_eq!(
        codes(
            &policy,
            Stage::Record,
            &Facts {
                consent: Some(false),
                ..known.clone()
            }
        ),
        ["CST-01"]
    );
    assert_eq!(
        codes(
            &policy,
            Stage::Record,
            &Facts {
                category: Some(Category::Results),
                ..known
            }
        ),
        ["CST-01"]
    );
}

#[test]
fn one_unknown_term_of_each_kind_denies_every_stage_and_is_named() {
    let rule = |rule: Value| json!({"permission": [{"action": "use"}, rule]});
    let cases = [
        (
            json!({"profile": "https://other.example/p", "permission": [{"action": "use"}]}),
            "POL-04",
            "/profile",
            "other.example",
        ),
        (
            rule(json!({"action": "frobnicate"})),
            "POL-04",
            "/permission/1/action",
            "frobnicate",
        ),
        (
            json!({"permission": [{"action": "use"}], "prohibition": [{"action": "ex:resell"}]}),
            "POL-04",
            "/prohibition/0/action",
            "ex:resell",
        ),
        (
            rule(json!({"action": "use", "constraint": [constraint("odrl:virtualLocation", "eq", json!("EU"))]})),
            "POL-04",
            "/permission/1/constraint/0/leftOperand",
            "virtualLocation",
        ),
        (
            rule(json!({"action": "use", "constraint": [constraint("dateTime", "term-lteq", json!(T))]})),
            "POL-04",
            "/permission/1/constraint/0/operator",
            "term-lteq",
        ),
        (
            rule(json!({"action": "use", "duty": [{"action": "dance"}]})),
            "POL-04",
            "/permission/1/duty/0/action",
            "dance",
        ),
        (
            rule(json!({"action": "use", "duty": [{"action": "compensate"}]})),
            "DUT-01",
            "/permission/1/duty/0/action",
            "compensate",
        ),
        (
            rule(json!({"action": "use", "duty": [{"action": "obtainConsent"}]})),
            "DUT-01",
            "/permission/1/duty/0/action",
            "dases:consent",
        ),
        (
            rule(json!({"action": "use", "duty": [{"action": "play"}]})),
            "DUT-02",
            "/permission/1/duty/0/action",
            "play",
        ),
        (
            json!({"permission": [{"action": "use"}], "obligation": [{"action": "obtainConsent"}]}),
            "DUT-01",
            "/obligation/0/action",
            "obtainConsent",
        ),
        (
            json!({"permission": [{"action": "use"}], "obligation": [{"action": "delete", "constraint": [constraint("resolution", "lteq", json!("P30D"))]}]}),
            "POL-04",
            "/obligation/0/constraint/0/leftOperand",
            "resolution",
        ),
    ];
    for (members, code, pointer, word) in cases {
        let policy = agreement(members);
        for stage in [
            Stage::Publish,
            Stage::Catalog,
            Stage::Negotiation,
            Stage::Transfer,
            Stage::Record,
        ] {
            let decision = policy.decide(stage, &facts());
            assert_eq!(named(decision.reasons()), [(code, pointer)], "{stage:?}");
            assert!(decision.reasons()[0].text.contains(word), "{}", decision.reasons()[0]);
        }
        assert!(policy.plan(&facts()).is_err());
    }
}

#[test]
fn all_unknown_terms_are_named_at_once() {
    let policy = permitting(json!({"or": [
        constraint("partner", "like", json!("gold")),
        constraint("recipient", "eq", json!(CONSUMER)),
    ]}));
    let decision = policy.decide(Stage::Negotiation, &facts());
    assert_eq!(
        named(decision.reasons()),
        [
            ("POL-04", "/permission/0/constraint/0/or/0/leftOperand"),
            ("POL-04", "/permission/0/constraint/0/or/0/operator")
        ]
    );
}

#[test]
fn nothing_is_permitted_by_default() {
    let silent = agreement(json!({"prohibition": [{"action": "distribute"}]}));
    assert_eq!(codes(&silent, Stage::Transfer, &facts()), ["POL-01"]);
    let narrow = agreement(json!({"permission": [{"action": "read"}]}));
    assert_eq!(codes(&narrow, Stage::Transfer, &facts()), ["POL-01"]);
    assert!(
        narrow
            .decide(
                Stage::Transfer,
                &Facts {
                    action: Action::Read,
                    ..facts()
                }
            )
            .permits()
    );
    assert_eq!(
        codes(
            &permitting(constraint("recipient", "eq", json!("did:web:other"))),
            Stage::Catalog,
            &facts()
        ),
        ["CST-01"]
    );
}

#[test]
fn a_prohibition_stops_what_it_covers_and_what_handing_over_needs() {
    let with =
        |action: &str| agreement(json!({"permission": [{"action": "use"}], "prohibition": [{"action": action}]}));
    for stops in ["use", "read", "stream"] {
        assert_eq!(codes(&with(stops), Stage::Transfer, &facts()), ["POL-02"], "{stops}");
    }
    for declared in ["distribute", "sell", "commercialize", "derive", "transfer", "reproduce"] {
        assert!(with(declared).decide(Stage::Transfer, &facts()).permits(), "{declared}");
    }
    let reproducing = Facts {
        action: Action::Extract,
        ..facts()
    };
    assert_eq!(codes(&with("reproduce"), Stage::Transfer, &reproducing), ["POL-02"]);
}

#[test]
fn time_closes_a_catalog_for_good_but_not_before_its_time() {
    let until = permitting(constraint("dateTime", "lteq", json!(T)));
    let from = permitting(constraint("dateTime", "gteq", json!("2026-09-01T00:00:00Z")));
    for stage in [Stage::Publish, Stage::Catalog, Stage::Negotiation] {
        assert!(until.decide(stage, &facts()).permits());
        assert_eq!(codes(&until, stage, &facts_at("2026-06-15T12:00:00.001Z")), ["POL-05"]);
        assert_eq!(
            from.decide(stage, &facts()),
            Decision::Permit {
                from: at("2026-09-01T00:00:00Z")
            }
        );
    }
    let early = from.decide(Stage::Transfer, &facts());
    assert!(early.reasons()[0].text.starts_with("not in force yet"), "{early:?}");
    let late = until.decide(Stage::Transfer, &facts_at("2027-01-01T00:00:00Z"));
    assert!(late.reasons()[0].text.starts_with("expired"), "{late:?}");
}

#[test]
fn publication_asks_whether_anybody_could_use_it() {
    let somebody = permitting(constraint("recipient", "isAnyOf", json!(["did:web:a", "did:web:b"])));
    let anyone = Facts::new(at(T), "", Action::Use);
    assert!(somebody.decide(Stage::Publish, &anyone).permits());
    assert!(!somebody.decide(Stage::Catalog, &anyone).permits());
    let nobody = permitting(json!({"and": [
        constraint("recipient", "eq", json!("did:web:a")), constraint("recipient", "eq", json!("did:web:b")),
    ]}));
    assert!(!nobody.decide(Stage::Publish, &anyone).permits());
}

#[test]
fn what_contradicts_itself_is_refused_before_any_record() {
    let both = permitting(json!({"and": [
        constraint("dataCategory", "eq", json!("skills")), constraint("dataCategory", "eq", json!("results")),
    ]}));
    assert_eq!(codes(&both, Stage::Catalog, &facts()), ["CST-05"]);
    let conflict = agreement(json!({
        "permission": [{"action": "use", "constraint": [constraint("dataCategory", "eq", json!("skills"))]}],
        "prohibition": [{"action": "use", "constraint": [constraint("dataCategory", "eq", json!("skills"))]}],
    }));
    assert_eq!(
        named(conflict.decide(Stage::Publish, &facts()).reasons()),
        [("POL-03", "/prohibition/0")]
    );
}

#[test]
fn only_an_agreement_is_enforced_and_only_for_its_assignee() {
    let mut offer = agreement_json(json!({"permission": [{"action": "use"}]}));
    offer["@type"] = json!("Offer");
    let offer = Policy::parse(&offer).unwrap();
    assert!(offer.decide(Stage::Negotiation, &facts()).permits());
    assert_eq!(codes(&offer, Stage::Transfer, &facts()), ["POL-10"]);
    let agreement = agreement(json!({"permission": [{"action": "use"}]}));
    let other = Facts {
        recipient: "did:web:other".to_owned(),
        ..facts()
    };
    assert_eq!(codes(&agreement, Stage::Transfer, &other), ["POL-11"]);
    assert_eq!(named(&agreement.plan(&other).unwrap_err()), [("POL-11", "/assignee")]);
}

#[test]
fn an_offer_that_names_an_assignee_is_for_that_one_alone_from_the_catalog_on() {
    let mut named = agreement_json(json!({"permission": [{"action": "use"}]}));
    named["@type"] = json!("Offer");
    let mut open = named.clone();
    open.as_object_mut().unwrap().remove("assignee");
    let (named, open) = (Policy::parse(&named).unwrap(), Policy::parse(&open).unwrap());
    let other = Facts {
        recipient: "did:web:other".to_owned(),
        ..facts()
    };
    for stage in [Stage::Catalog, Stage::Negotiation] {
        assert!(named.decide(stage, &facts()).permits(), "{stage:?}");
        let refused = named.decide(stage, &other);
        assert_eq!(super::named(refused.reasons()), [("POL-11", "/assignee")], "{stage:?}");
        assert!(open.decide(stage, &other).permits(), "{stage:?}");
    }
    // Whoever publishes it is not whom it is for.
    assert!(named.decide(Stage::Publish, &other).permits());
    assert!(named.grants_to(CONSUMER).is_ok() && open.grants_to("did:web:other").is_ok());
    assert!(
        named.grants_to("did:web:agency.example.").is_err(),
        "character by character"
    );
}

#[test]
fn what_is_used_up_has_one_code_and_what_may_still_come_another() {
    use crate::facts::Usage;
    let hour = std::time::Duration::from_secs(3600);
    let usage = Usage {
        transfers: 3,
        metered: hour,
        last_transfer: Some(at(T)),
    };
    let refused = |left: &str, operator: &str, right: Value| {
        let (policy, facts) = (
            permitting(constraint(left, operator, right)),
            facts_at(T).with_usage(usage),
        );
        let decided = codes(&policy, Stage::Transfer, &facts);
        let planned = policy.plan(&facts).err().unwrap_or_default();
        assert_eq!(
            decided,
            planned.iter().map(|reason| reason.code.as_str()).collect::<Vec<_>>()
        );
        decided
    };
    let stretch = |text: &str| json!({"@value": text, "@type": "xsd:duration"});
    for (operator, number) in [("lteq", "3"), ("lt", "4"), ("eq", "2")] {
        let number = json!({"@value": number, "@type": "xsd:integer"});
        assert_eq!(refused("count", operator, number), ["SYS-01"], "count {operator}");
    }
    assert_eq!(
        refused("count", "eq", json!({"@value": "5", "@type": "xsd:integer"})),
        ["CST-01"]
    );
    assert_eq!(refused("meteredTime", "lteq", stretch("PT1H")), Vec::<&str>::new());
    assert_eq!(refused("meteredTime", "lt", stretch("PT1H")), ["SYS-01"]);
    assert_eq!(refused("meteredTime", "eq", stretch("PT30M")), ["SYS-01"]);
    assert_eq!(refused("timeInterval", "gteq", stretch("PT1H")), ["POL-05"]);
}

#[test]
fn an_event_that_is_to_come_or_over_refuses_as_the_time_does_and_not_as_what_the_consumer_can_mend() {
    let fair = facts().with_event(
        "urn:event:fair",
        Some(at("2026-06-16T00:00:00Z")),
        Some(at("2026-06-17T00:00:00Z")),
    );
    let policy = permitting(constraint("event", "eq", json!("urn:event:fair")));
    for now in [T, "2026-06-17T00:00:00Z"] {
        let facts = Facts {
            now: at(now),
            ..fair.clone()
        };
        assert_eq!(codes(&policy, Stage::Transfer, &facts), ["POL-05"], "{now}");
    }
}

#[test]
fn what_is_never_known_leaves_what_is_permitted_without_it() {
    let language = || constraint("language", "eq", json!("fr"));
    let until = || constraint("dateTime", "lteq", json!("2030-01-01T00:00:00Z"));
    let permits = |policy: &Policy| {
        policy.permits_never_knowing(&facts(), |asked| {
            asked.left().known() == Some(crate::LeftOperand::Language)
        })
    };
    assert!(!permits(&permitting(language())));
    assert!(!permits(&permitting(json!({"and": [language(), until()]}))));
    assert!(permits(&permitting(json!({"or": [language(), until()]}))));
    assert!(!permits(&prohibiting(language())));
    let of = |members: Value| permits(&agreement(members));
    assert!(of(
        json!({"permission": [{"action": "use", "constraint": [language()]}, {"action": "use"}]})
    ));
    assert!(of(json!({"permission": [{"action": "use"}],
        "prohibition": [{"action": "distribute", "constraint": [language()]}]})));
}

/// Why an offer of `use` under one constraint, and one that prohibits it under the same, are refused at publication.
fn published(constraint: &Value) -> [Vec<&'static str>; 2] {
    let nobody = Facts::new(at(T), "", Action::Use);
    let offers = [permitting(constraint.clone()), prohibiting(constraint.clone())];
    offers.map(|offer| codes(&offer, Stage::Publish, &nobody))
}

#[test]
fn exactly_one_of_what_is_not_known_yet_refuses_only_where_no_facts_could_make_it_so() {
    let language = || constraint("language", "eq", json!("fr"));
    let others = [
        constraint("meteredTime", "gt", json!("PT2H")),
        constraint("spatial", "isPartOf", json!("DE")),
        constraint("membership.level", "eq", json!("gold")),
        constraint("elapsedTime", "lteq", json!("P3D")),
        constraint("delayPeriod", "gteq", json!("P3D")),
        constraint("minGroupSize", "gteq", json!({"@value": "5", "@type": "xsd:integer"})),
        constraint("count", "lteq", json!({"@value": "5", "@type": "xsd:integer"})),
        json!({"xone": [constraint("product", "eq", json!("urn:a")), constraint("event", "eq", json!("urn:b"))]}),
    ];
    let either = [Vec::<&str>::new(), Vec::new()];
    for other in others {
        assert_eq!(published(&json!({"xone": [language(), other]})), either, "{other}");
    }
    let (past, future) = (
        constraint("dateTime", "gteq", json!("2020-01-01T00:00:00Z")),
        constraint("dateTime", "gteq", json!("9020-01-01T00:00:00Z")),
    );
    // One that holds already, beside what may still fail: exactly one where that fails, and more where it holds.
    assert_eq!(published(&json!({"xone": [past, language()]})), either);
    // Two that hold leave nothing to what is open, and prohibit nothing.
    let two = json!({"xone": [past, past, language()]});
    assert_eq!(published(&two), [vec!["CST-01"], Vec::new()]);
    let nested = json!({"xone": [{"and": [past, past]}, {"or": [past, language()]}, future]});
    assert_eq!(published(&nested)[0], ["CST-01"]);
}

#[test]
fn exactly_one_of_facts_and_consents_is_planned_once_the_facts_are_known() {
    let language = || constraint("language", "eq", json!("fr"));
    let policy = permitting(json!({"xone": [language(), constraint("consent", "eq", json!("given"))]}));
    for stage in [Stage::Publish, Stage::Catalog, Stage::Negotiation] {
        assert!(policy.decide(stage, &facts()).permits(), "{stage:?}");
    }
    let of = |language: &str| facts().with_named(crate::LeftOperand::Language, [language]);
    let plan = policy.plan(&of("de")).unwrap();
    assert!(plan.permits(&RecordFacts::consented(Category::Skills)).is_ok());
    // Where it is the one that holds, consent must be absent, and no plan lets more leave without consent.
    for decided in [
        codes(&policy, Stage::Negotiation, &of("fr")),
        policy
            .plan(&of("fr"))
            .unwrap_err()
            .iter()
            .map(|reason| reason.code.as_str())
            .collect(),
    ] {
        assert_eq!(decided, ["POL-08"]);
    }
}

#[test]
fn who_is_not_meant_is_no_reason_before_there_is_a_consumer() {
    let nobody = Facts::new(at(T), "", Action::Use);
    let offer = |permission: Value, prohibitions: Value| {
        agreement(json!({"permission": [{"action": "use", "constraint": permission}], "prohibition": prohibitions}))
    };
    let recipient = |operator: &str| constraint("recipient", operator, json!("did:web:x.example"));
    let read = json!([{"action": "read"}]);
    for operator in ["eq", "neq"] {
        let policy = offer(json!([recipient(operator)]), read.clone());
        let decision = policy.decide(Stage::Publish, &nobody);
        assert_eq!(named(decision.reasons()), [("POL-02", "/prohibition/0")], "{operator}");
    }
    // Where nobody can be meant, that is the reason, and no party is made up for it.
    let policy = offer(
        json!([recipient("eq"), recipient("neq"), recipient("isNoneOf")]),
        json!([]),
    );
    let decision = policy.decide(Stage::Publish, &nobody);
    assert!(!decision.permits());
    for reason in decision.reasons() {
        assert!(!reason.text.contains("\"\""), "{reason}");
    }
}
