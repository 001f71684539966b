use super::*;
use crate::{
    model::Connective,
    odrl::{Conflict, Constraint, Decimal, Value as Operand},
    vocabulary::Operator,
};
use serde_json::{Value, json};

const ODRL: &str = "http://www.w3.org/ns/odrl/2/";

fn odrl(name: &str) -> String {
    format!("{ODRL}{name}")
}

fn read(json: &Value) -> Result<Policy, Unreadable> {
    Policy::read(json, &Reading::STRICT)
}

/// A policy with one permission, changed member by member.
fn permission(changes: Value) -> Value {
    policy(json!({"permission": changed(json!({"action": "use", "target": "urn:x"}), changes)}))
}

fn policy(changes: Value) -> Value {
    changed(json!({"@type": "Set", "@id": "urn:p"}), changes)
}

/// Members set, or taken away by null.
fn changed(mut object: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            object[name] = value.clone();
        }
    }
    object
}

fn constrained(changes: Value) -> Value {
    let constraint = changed(
        json!({"leftOperand": "count", "operator": "lteq", "rightOperand": 5}),
        changes,
    );
    permission(json!({"constraint": constraint}))
}

fn comparison(policy: &Policy) -> &crate::odrl::Comparison {
    match policy.permissions[0].statement.constraints.as_slice() {
        [Constraint::Atomic(comparison)] => comparison,
        other => panic!("{other:?}"),
    }
}

/// Pointer and problem of the refusal.
fn refusal(json: &Value) -> (String, Problem) {
    let error = read(json).expect_err(&json.to_string());
    assert!(error.to_string().starts_with("not a readable policy, at "), "{error}");
    (error.pointer, error.problem)
}

#[test]
fn the_same_policy_is_read_in_every_notation() {
    let bare = json!({
        "@type": "Set", "uid": "urn:p",
        "permission": [{
            "action": "print", "target": "urn:x", "assignee": "urn:a",
            "constraint": [{"uid": "urn:c", "leftOperand": "count", "operator": "lteq", "rightOperand": 5}]
        }]
    });
    let prefixed = json!({
        "@type": "odrl:Set", "odrl:uid": {"@id": "urn:p"},
        "odrl:permission": {
            "@type": "odrl:Permission",
            "odrl:action": {"@id": "odrl:print"}, "odrl:target": {"@id": "urn:x"}, "odrl:assignee": {"@id": "urn:a"},
            "odrl:constraint": {
                "@id": "urn:c", "odrl:leftOperand": {"@id": "odrl:count"}, "odrl:operator": {"@id": "odrl:lteq"},
                "odrl:rightOperand": {"@value": "5", "@type": "xsd:integer"}
            }
        }
    });
    let full = json!({
        "@type": [odrl("Set")], "@id": "urn:p", odrl("uid"): [{"@id": "urn:p"}],
        odrl("permission"): {"@set": [{
            odrl("action"): [{"@id": odrl("print")}], odrl("target"): {"@list": [{"@id": "urn:x"}]},
            odrl("assignee"): {"@type": "odrl:Party", odrl("uid"): "urn:a"},
            odrl("constraint"): {"@id": "urn:c", odrl("leftOperand"): {"@id": odrl("count")}, odrl("operator"): {"@id": odrl("lteq")},
                odrl("rightOperand"): {"@value": 5, "@type": "http://www.w3.org/2001/XMLSchema#decimal"}}
        }]}
    });
    let mut expected = read(&bare).unwrap();
    for other in [prefixed, full] {
        let mut other = read(&other).unwrap();
        // Without a uid a rule is named by its place, which the notation changes.
        for policy in [&mut other, &mut expected] {
            policy.permissions[0].statement.id = String::new();
        }
        assert_eq!(other, expected);
    }
    assert_eq!(
        expected.permissions[0].statement.action.as_ref().unwrap().action,
        odrl("print")
    );
    assert_eq!(comparison(&expected).right, [Operand::Number(Decimal::from(5))]);
}

#[test]
fn what_the_information_model_forbids_is_refused_where_it_stands() {
    let consequence = json!({"action": "pay", "consequence": {"action": "delete"}});
    let nested = json!({"action": "pay", "consequence": consequence});
    let prohibition =
        |remedy: Value| policy(json!({"prohibition": {"action": "use", "target": "urn:x", "remedy": remedy}}));
    let two = json!([{"@id": "urn:r", "action": "use", "target": "urn:x"}]);
    let cases = [
        (permission(json!({"action": null})), "/permission", Problem::NoAction),
        (
            permission(json!({"action": {"refinement": []}})),
            "/permission/action",
            Problem::NoAction,
        ),
        (permission(json!({"duty": {}})), "/permission/duty", Problem::NoAction),
        (permission(json!({"target": null})), "/permission", Problem::NoTarget),
        (
            policy(json!({"prohibition": {"action": "use"}})),
            "/prohibition",
            Problem::NoTarget,
        ),
        (
            constrained(json!({"leftOperand": null})),
            "/permission/constraint",
            Problem::NoLeftOperand,
        ),
        (
            constrained(json!({"operator": null})),
            "/permission/constraint",
            Problem::NoOperator,
        ),
        (
            constrained(json!({"operator": "term-lteq"})),
            "/permission/constraint/operator",
            Problem::UnknownOperator("term-lteq".into()),
        ),
        (
            constrained(json!({"rightOperand": null})),
            "/permission/constraint",
            Problem::NoRightOperand,
        ),
        (
            constrained(json!({"rightOperand": []})),
            "/permission/constraint",
            Problem::NoRightOperand,
        ),
        (
            constrained(json!({"rightOperandReference": "urn:r"})),
            "/permission/constraint",
            Problem::TwoRightOperands,
        ),
        (
            constrained(json!({"rightOperand": null, "rightOperandReference": "urn:r"})),
            "/permission/constraint",
            Problem::Reference,
        ),
        (
            constrained(json!({"and": []})),
            "/permission/constraint",
            Problem::TwoConstraints,
        ),
        (
            permission(json!({"constraint": {"or": []}})),
            "/permission/constraint",
            Problem::NoPart,
        ),
        (
            permission(json!({"constraint": {"or": [], "and": []}})),
            "/permission/constraint",
            Problem::TwoConstraints,
        ),
        (
            permission(json!({"duty": nested})),
            "/permission/duty/consequence",
            Problem::NestedConsequence,
        ),
        (
            prohibition(consequence),
            "/prohibition/remedy/consequence",
            Problem::RemedyWithConsequence,
        ),
        (
            policy(json!({"permission": two, "prohibition": two})),
            "/prohibition/0",
            Problem::TwoRuleClasses("urn:r".into()),
        ),
        (
            permission(json!({"@type": ["Permission", "Prohibition"]})),
            "/permission/@type/1",
            Problem::TwoRuleClasses("Prohibition".into()),
        ),
        (
            permission(json!({"@type": "Constraint"})),
            "/permission/@type",
            Problem::WrongType("Constraint".into()),
        ),
        (
            changed(permission(json!({})), json!({"dct:isReplacedBy": "urn:q"})),
            "/dct:isReplacedBy",
            Problem::Replaced("urn:q".into()),
        ),
        (
            changed(permission(json!({})), json!({"conflict": "odrl:maybe"})),
            "/conflict",
            Problem::UnknownConflict(odrl("maybe")),
        ),
        (
            changed(permission(json!({})), json!({"conflict": ["perm", "prohibit"]})),
            "/conflict/1",
            Problem::TwoConflicts,
        ),
        (
            changed(permission(json!({})), json!({"profile": "urn:mine"})),
            "/profile",
            Problem::UnknownProfile("urn:mine".into()),
        ),
        (
            changed(permission(json!({})), json!({"inheritFrom": "urn:q"})),
            "/inheritFrom",
            Problem::Inherits("urn:q".into()),
        ),
        (changed(permission(json!({})), json!({"@id": null})), "", Problem::NoUid),
        (
            changed(permission(json!({})), json!({"@type": "Offer"})),
            "/permission",
            Problem::NoParty("assigner"),
        ),
        (
            changed(
                permission(json!({})),
                json!({"@type": "Agreement", "assigner": "urn:a"}),
            ),
            "/permission",
            Problem::NoParty("assignee"),
        ),
        (policy(json!({})), "", Problem::NoRule),
        (policy(json!({"permission": []})), "", Problem::NoRule),
        (permission(json!({"target": {}})), "/permission/target", Problem::NoName),
        (permission(json!({"target": ""})), "/permission/target", Problem::NoName),
    ];
    for (json, pointer, problem) in cases {
        assert_eq!(refusal(&json), (pointer.to_owned(), problem), "{json}");
    }
}

#[test]
fn a_member_that_would_be_ignored_is_refused_and_prose_is_not() {
    for member in [
        "remedy",
        "permision",
        "odrl:function",
        "http://example.org/onlyOnSundays",
        "dct:source",
    ] {
        let (_, problem) = refusal(&permission(json!({member: "x"})));
        assert_eq!(problem, Problem::UnknownMember(member.to_owned()));
        assert!(Policy::read(&permission(json!({member: "x"})), &Reading::LENIENT).is_ok());
    }
    let described = permission(json!({
        "dct:title": "A permission", "informedParty": "urn:b", "output": "urn:y",
        "target": {"@id": "urn:x", "schema:name": "a book", "dct:source": "urn:shelf"}
    }));
    let policy = read(&described).unwrap();
    assert_eq!(policy.permissions[0].statement.functions[0].0, odrl("informedParty"));
    assert_eq!(
        policy.permissions[0].statement.output.as_ref().unwrap().names,
        ["urn:y"]
    );
}

#[test]
fn a_member_is_written_once() {
    let mut json = permission(json!({}));
    json["permission"]["odrl:action"] = json!("use");
    assert!(matches!(refusal(&json).1, Problem::Twice(name) if name == "action"));
    let two_names = changed(permission(json!({})), json!({"uid": "urn:other"}));
    assert!(matches!(refusal(&two_names).1, Problem::Twice(name) if name == "uid"));
}

#[test]
fn literals_are_typed_by_themselves_or_by_what_they_are_compared_with() {
    let right = |left: &str, operator: &str, right: Value| {
        let json = constrained(json!({"leftOperand": left, "operator": operator, "rightOperand": right}));
        read(&json).map(|policy| comparison(&policy).right[0].clone())
    };
    let time = Operand::literal("2023-12-31T06:00:00Z", Some("xsd:dateTime")).unwrap();
    assert_eq!(right("dateTime", "lt", json!("2023-12-31T06:00Z")).unwrap(), time);
    assert_eq!(
        right(
            "dateTime",
            "eq",
            json!({"@value": "2023-12-31T06:00:00Z", "@type": "xsd:string"})
        )
        .unwrap(),
        time
    );
    assert!(matches!(
        right("dateTime", "lt", json!("2023-12-31")).unwrap(),
        Operand::Day(..)
    ));
    assert!(matches!(
        right("elapsedTime", "lt", json!("PT60M")).unwrap(),
        Operand::Duration(_)
    ));
    assert_eq!(
        right("count", "lt", json!("5")).unwrap(),
        Operand::Number(Decimal::from(5))
    );
    assert_eq!(
        right("urn:pages", "gt", json!("5")).unwrap(),
        Operand::Number(Decimal::from(5))
    );
    assert_eq!(
        right("urn:pages", "eq", json!("5")).unwrap(),
        Operand::Text("5".to_owned())
    );
    assert_eq!(right("urn:public", "eq", json!(true)).unwrap(), Operand::Boolean(true));
    assert_eq!(
        right("purpose", "isA", json!("odrl:x")).unwrap(),
        Operand::Iri(odrl("x"))
    );
    assert_eq!(
        right("purpose", "isA", json!({"@id": "urn:y"})).unwrap(),
        Operand::Iri("urn:y".to_owned())
    );
    let typed = constrained(json!({"leftOperand": "urn:day", "rightOperand": "2024-01-01", "dataType": "xsd:date"}));
    assert!(matches!(comparison(&read(&typed).unwrap()).right[0], Operand::Day(..)));
    let bad = [
        ("urn:day", json!({"@value": "2024-02-30", "@type": "xsd:date"})),
        ("urn:pages", json!({"@value": "many", "@type": "xsd:integer"})),
        ("urn:public", json!({"@value": "maybe", "@type": "xsd:boolean"})),
        ("dateTime", json!("tomorrow")),
        ("delayPeriod", json!("60 minutes")),
        ("count", json!("few")),
        ("count", json!(1e300)),
    ];
    for (left, literal) in bad {
        assert!(
            matches!(
                right(left, "eq", literal.clone()).unwrap_err().problem,
                Problem::Value(_)
            ),
            "{left} {literal}"
        );
    }
    let wrong = right("dateTime", "lt", json!(5)).unwrap_err();
    assert!(matches!(
        wrong.problem,
        Problem::OperandType {
            wanted: "a dateTime or a date",
            ..
        }
    ));
    for none in [
        json!({"@value": null}),
        json!({"@id": "urn:x", "@type": "xsd:string"}),
        json!({"x": 1}),
        json!([null]),
    ] {
        assert!(right("urn:l", "eq", none).is_err());
    }
}

#[test]
fn unit_and_status_are_kept() {
    let policy = read(&constrained(json!({"unit": "urn:dpi", "status": "3"}))).unwrap();
    assert_eq!(comparison(&policy).unit.as_deref(), Some("urn:dpi"));
    assert_eq!(comparison(&policy).status, Some(Operand::Number(Decimal::from(3))));
}

#[test]
fn logical_constraints_keep_their_order() {
    let part = |id: &str| json!({"uid": id, "leftOperand": "count", "operator": "lt", "rightOperand": 1});
    let json =
        permission(json!({"constraint": {"andSequence": {"@list": [part("urn:2"), part("urn:1"), part("urn:3")]}}}));
    let policy = read(&json).unwrap();
    let [
        Constraint::Logical {
            connective: Connective::AndSequence,
            parts,
            ..
        },
    ] = policy.permissions[0].statement.constraints.as_slice()
    else {
        panic!("{policy:?}");
    };
    assert_eq!(
        parts.iter().map(Constraint::id).collect::<Vec<_>>(),
        ["urn:2", "urn:1", "urn:3"]
    );
}

#[test]
fn refinements_belong_to_actions_and_collections() {
    let refinement = json!({"leftOperand": "resolution", "operator": "lteq", "rightOperand": 1200});
    let json = permission(json!({
        "action": {"rdf:value": {"@id": "odrl:print"}, "refinement": refinement},
        "target": {"@type": "AssetCollection", "source": "urn:archive", "refinement": refinement},
        "assignee": {"@id": "urn:node", "@type": "PartyCollection", "source": "urn:staff"}
    }));
    let policy = read(&json).unwrap();
    let statement = &policy.permissions[0].statement;
    assert_eq!(statement.action.as_ref().unwrap().refinements.len(), 1);
    assert_eq!(statement.target.as_ref().unwrap().names, ["urn:archive"]);
    assert_eq!(statement.target.as_ref().unwrap().refinements.len(), 1);
    assert_eq!(statement.assignee.as_ref().unwrap().names, ["urn:staff", "urn:node"]);
    let by_uid = permission(json!({"target": {"@id": "urn:archive", "refinement": refinement}}));
    assert_eq!(refusal(&by_uid).1, Problem::RefinedUid);
    assert!(Policy::read(&by_uid, &Reading::LENIENT).is_ok());
}

#[test]
fn a_node_may_be_written_elsewhere_in_the_document() {
    let duty = json!({"@id": "urn:pay", "action": "compensate"});
    let json = policy(json!({"permission": [
        {"action": "read", "target": "urn:x", "duty": duty},
        {"action": "print", "target": "urn:x", "duty": {"@id": "urn:pay"}},
        {"action": "play", "target": "urn:x", "duty": "urn:pay"}
    ]}));
    let policy = read(&json).unwrap();
    let duties: Vec<_> = policy
        .permissions
        .iter()
        .map(|permission| &permission.duties[0])
        .collect();
    assert!(
        duties
            .iter()
            .all(|duty| duty.statement.id == "urn:pay" && duty.statement.action == duties[0].statement.action)
    );
    let circle = permission(json!({"constraint": {"@id": "urn:c", "and": [{"@id": "urn:c"}]}}));
    assert_eq!(refusal(&circle).1, Problem::TooDeep);
    let nowhere = permission(json!({"duty": {"@id": "urn:nowhere"}}));
    assert_eq!(refusal(&nowhere).1, Problem::NoAction);
}

#[test]
fn a_compact_policy_is_written_out() {
    let json = policy(json!({
        "action": "use", "target": "urn:x", "assigner": "urn:me",
        "constraint": {"uid": "urn:shared", "leftOperand": "count", "operator": "lt", "rightOperand": 9},
        "permission": [
            {"assignee": ["urn:a", "urn:b"], "action": ["print", "display"]},
            {"target": ["urn:y", "urn:z"], "constraint": {"uid": "urn:own", "leftOperand": "count", "operator": "gt", "rightOperand": 1}}
        ],
        "prohibition": {"action": "sell"},
        "obligation": {"action": "delete"}
    }));
    let policy = read(&json).unwrap();
    let written: Vec<String> = policy
        .permissions
        .iter()
        .map(|permission| {
            let statement = &permission.statement;
            let name = |entity: &Option<crate::odrl::Entity>| {
                entity
                    .as_ref()
                    .map_or_else(|| "-".to_owned(), |entity| entity.names.join("+"))
            };
            let constraints: Vec<&str> = statement.constraints.iter().map(Constraint::id).collect();
            let action = statement.action.as_ref().unwrap().action.replace(ODRL, "");
            format!(
                "{action} {} {} {} {}",
                name(&statement.target),
                name(&statement.assigner),
                name(&statement.assignee),
                constraints.join(",")
            )
        })
        .collect();
    assert_eq!(
        written,
        [
            "print urn:x urn:me urn:a urn:shared",
            "print urn:x urn:me urn:b urn:shared",
            "display urn:x urn:me urn:a urn:shared",
            "display urn:x urn:me urn:b urn:shared",
            "use urn:y urn:me - urn:own,urn:shared",
            "use urn:z urn:me - urn:own,urn:shared",
        ]
    );
    assert_eq!(policy.prohibitions[0].statement.constraints.len(), 1);
    assert_eq!(
        policy.obligations[0].statement.action.as_ref().unwrap().action,
        odrl("delete")
    );
}

#[test]
fn what_a_policy_may_cost_is_bounded() {
    let many = |count: usize| -> Value { (0..count).map(|n| format!("urn:{n}")).collect() };
    assert_eq!(
        refusal(&permission(json!({"target": many(101), "assignee": many(100)}))).1,
        Problem::TooManyAtomic
    );
    assert_eq!(
        read(&permission(json!({"target": many(50), "assignee": many(50)})))
            .unwrap()
            .permissions
            .len(),
        2_500
    );
    assert_eq!(refusal(&permission(json!({"target": many(2_000)}))).1, Problem::TooMany);
    assert_eq!(
        refusal(&constrained(
            json!({"operator": "isAnyOf", "leftOperand": "purpose", "rightOperand": many(1_001)})
        ))
        .1,
        Problem::TooMany
    );
    let duties = json!({"action": "delete", "target": many(60), "consequence": {"action": "pay", "target": many(60)}});
    assert_eq!(
        refusal(&permission(json!({"target": many(60), "duty": duties}))).1,
        Problem::TooManyAtomic
    );
    let mut deep = json!({"leftOperand": "count", "operator": "lt", "rightOperand": 1});
    for _ in 0..crate::MAX_DEPTH {
        deep = json!({"and": [deep]});
    }
    assert!(read(&permission(json!({"constraint": deep}))).is_ok());
    assert_eq!(
        refusal(&permission(json!({"constraint": {"and": [deep]}}))).1,
        Problem::TooDeep
    );
}

#[test]
fn what_the_lenient_reader_lets_through() {
    let bare = json!({"permission": {}, "profile": "urn:any", "@type": "Agreement"});
    let policy = Policy::read(&bare, &Reading::LENIENT).unwrap();
    assert!(policy.permissions[0].statement.action.is_none() && policy.permissions[0].statement.target.is_none());
    let known = Reading {
        profiles: Profiles::Known(&["urn:mine"]),
        ..Reading::STRICT
    };
    let profiled = changed(permission(json!({})), json!({"profile": ["urn:mine"]}));
    assert_eq!(Policy::read(&profiled, &known).unwrap().profiles, ["urn:mine"]);
    // What has no meaning at all is refused here as well.
    for json in [
        json!({"@id": "urn:p"}),
        constrained(json!({"operator": null})),
        constrained(json!({"rightOperand": null})),
        constrained(json!({"rightOperandReference": "urn:r"})),
    ] {
        assert!(Policy::read(&json, &Reading::LENIENT).is_err(), "{json}");
    }
}

#[test]
fn known_left_operands_have_one_spelling() {
    for (written, full) in [
        ("consent", "https://w3id.org/dases/ns/consent".to_owned()),
        (
            "membership.role",
            "https://w3id.org/dases/ns/membership.role".to_owned(),
        ),
        ("odrl:count", odrl("count")),
        ("purpose", odrl("purpose")),
        ("http://example.org/age", "http://example.org/age".to_owned()),
    ] {
        let policy = read(&constrained(json!({"leftOperand": written}))).or_else(|_| {
            read(&constrained(
                json!({"leftOperand": written, "operator": "eq", "rightOperand": "x"}),
            ))
        });
        assert_eq!(comparison(&policy.unwrap()).left, full);
    }
    assert_eq!(
        comparison(&read(&constrained(json!({}))).unwrap()).operator,
        Operator::Lteq
    );
}

mod inheritance {
    use super::*;

    fn parents(iri: &str) -> Option<Value> {
        let constraint = |id: &str| json!({"uid": id, "leftOperand": "count", "operator": "lt", "rightOperand": 9});
        Some(match iri {
            "urn:house" => {
                json!({"@id": iri, "assigner": "urn:org", "conflict": "prohibit", "constraint": constraint("urn:house-hours"),
                "prohibition": {"action": "sell", "target": "urn:all"}})
            }
            "urn:terms" => json!({"@id": iri, "inheritFrom": "urn:house", "conflict": "prohibit",
                "obligation": {"action": "reviewPolicy", "target": "urn:terms-text"}}),
            "urn:other" => {
                json!({"@id": iri, "conflict": "perm", "inheritFrom": "urn:house", "constraint": constraint("urn:other-hours"),
                "permission": {"action": "read", "target": "urn:all"}})
            }
            "urn:circle" => {
                json!({"@id": iri, "inheritFrom": "urn:circle-2", "permission": {"action": "read", "target": "urn:x"}})
            }
            "urn:circle-2" => {
                json!({"@id": iri, "inheritFrom": "urn:circle", "permission": {"action": "read", "target": "urn:x"}})
            }
            "urn:liar" => json!({"@id": "urn:somebody-else", "permission": {"action": "read", "target": "urn:x"}}),
            "urn:broken" => {
                json!({"@id": iri, "permission": {"action": "read", "target": "urn:x", "constraint": {"operator": "lt"}}})
            }
            "urn:profiled" => {
                json!({"@id": iri, "profile": "urn:strange", "permission": {"action": "read", "target": "urn:x"}})
            }
            _ => return None,
        })
    }

    fn child(changes: Value) -> Value {
        changed(json!({"@id": "urn:child", "assignee": "urn:me"}), changes)
    }

    fn resolve(json: &Value) -> Result<Policy, Unreadable> {
        Policy::resolve(json, &Reading::STRICT, parents)
    }

    fn constraints(statement: &crate::odrl::Statement) -> Vec<&str> {
        statement.constraints.iter().map(Constraint::id).collect()
    }

    #[test]
    fn rules_and_shared_properties_come_from_any_depth() {
        let json = child(
            json!({"inheritFrom": "urn:terms", "permission": {"action": "display", "target": "urn:x",
            "constraint": {"uid": "urn:mine", "leftOperand": "count", "operator": "lt", "rightOperand": 2}}}),
        );
        let policy = resolve(&json).unwrap();
        assert_eq!(
            (
                policy.permissions.len(),
                policy.prohibitions.len(),
                policy.obligations.len()
            ),
            (1, 1, 1)
        );
        assert_eq!(policy.conflict, Conflict::Prohibit);
        let permission = &policy.permissions[0].statement;
        assert_eq!(permission.assigner.as_ref().unwrap().names, ["urn:org"]);
        assert_eq!(constraints(permission), ["urn:mine", "urn:house-hours"]);
        // The parties of the agreement are those of the rules that it inherits; its constraints are not.
        let prohibition = &policy.prohibitions[0].statement;
        assert_eq!(prohibition.assignee.as_ref().unwrap().names, ["urn:me"]);
        assert_eq!(constraints(prohibition), ["urn:house-hours"]);
        assert_eq!(prohibition.id, "urn:house#/prohibition");
    }

    #[test]
    fn a_child_may_have_no_rule_of_its_own() {
        assert_eq!(
            resolve(&child(json!({"inheritFrom": "urn:terms"})))
                .unwrap()
                .obligations
                .len(),
            1
        );
        assert_eq!(resolve(&child(json!({}))).unwrap_err().problem, Problem::NoRule);
    }

    #[test]
    fn several_parents_are_merged_once_and_do_not_narrow_each_other() {
        let policy = resolve(&child(json!({"inheritFrom": ["urn:terms", "urn:other"]}))).unwrap();
        assert_eq!(
            (
                policy.permissions.len(),
                policy.prohibitions.len(),
                policy.obligations.len()
            ),
            (1, 1, 1)
        );
        assert_eq!(
            constraints(&policy.permissions[0].statement),
            ["urn:other-hours", "urn:house-hours"]
        );
        assert_eq!(constraints(&policy.obligations[0].statement), ["urn:house-hours"]);
        // perm here and prohibit there: any conflict voids the policy.
        assert_eq!(policy.conflict, Conflict::Invalid);
    }

    #[test]
    fn a_circle_a_gap_and_a_broken_parent_are_refused() {
        let refused = |parent: &str| {
            let error = resolve(&child(json!({"inheritFrom": parent}))).unwrap_err();
            (error.pointer, error.problem)
        };
        assert_eq!(
            refused("urn:circle"),
            (
                "/inheritFrom".to_owned(),
                Problem::InheritsItself("urn:circle".to_owned())
            )
        );
        assert_eq!(refused("urn:child").1, Problem::InheritsItself("urn:child".to_owned()));
        assert_eq!(refused("urn:nobody").1, Problem::NoParent("urn:nobody".to_owned()));
        assert_eq!(
            refused("urn:liar").1,
            Problem::OtherParent("urn:somebody-else".to_owned())
        );
        assert_eq!(
            refused("urn:broken"),
            ("urn:broken/permission/constraint".to_owned(), Problem::NoLeftOperand)
        );
        assert_eq!(
            refused("urn:profiled").1,
            Problem::UnknownProfile("urn:strange".to_owned())
        );
        let endless = |iri: &str| {
            let n: usize = iri.strip_prefix("urn:n")?.parse().ok()?;
            Some(json!({"@id": iri, "inheritFrom": format!("urn:n{}", n + 1)}))
        };
        let error = Policy::resolve(&child(json!({"inheritFrom": "urn:n0"})), &Reading::STRICT, endless).unwrap_err();
        assert_eq!(error.problem, Problem::TooDeep);
    }
}
