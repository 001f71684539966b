use super::*;
use crate::{
    model::Connective,
    odrl::{Conflict, Constraint, Decimal, Value as Operand},
    vocabulary::Operator,
};
use serde_json::{Value, json};

mod compact;
mod constraints;
mod inheritance;

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
fn a_policy_may_stand_in_a_graph() {
    let duty = json!({"@id": "urn:pay", "action": "compensate"});
    let alone = permission(json!({"duty": {"@id": "urn:pay"}}));
    let graph = json!([duty, alone]);
    let whole = read(&json!({"@context": "http://www.w3.org/ns/odrl.jsonld", "@graph": graph})).unwrap();
    assert_eq!(
        whole.permissions[0].duties[0].statement.action.as_ref().unwrap().action,
        odrl("compensate")
    );
    assert_eq!(read(&graph).unwrap().permissions.len(), 1);
    assert_eq!(refusal(&json!([duty])).1, Problem::Expected("one policy"));
    assert_eq!(
        refusal(&json!({"@graph": [alone, alone]})),
        ("/@graph".to_owned(), Problem::Expected("one policy"))
    );
    let broken = permission(json!({"action": null}));
    assert_eq!(
        refusal(&json!({"@graph": [duty, broken]})),
        ("/@graph/1/permission".to_owned(), Problem::NoAction)
    );
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
