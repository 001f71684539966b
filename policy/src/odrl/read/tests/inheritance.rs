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
    // Names that are made of places in two documents are two names.
    assert_eq!(prohibition.id, "urn:house#/prohibition");
    assert_eq!(permission.id, "urn:child#/permission");
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

#[test]
fn what_is_inherited_on_many_ways_is_there_once() {
    // Each policy inherits from both of the next step: there are 2^16 ways to the last two.
    let ladder = |iri: &str| {
        let step: usize = iri.strip_prefix("urn:step-")?.split('-').next()?.parse().ok()?;
        let mut policy = json!({"@id": iri, "profile": format!("urn:profile-{step}"), "conflict": "perm",
            "permission": {"action": "read", "target": "urn:x"}});
        if step < 15 {
            policy["inheritFrom"] = json!([format!("urn:step-{}-a", step + 1), format!("urn:step-{}-b", step + 1)]);
        }
        Some(policy)
    };
    let top = child(json!({"inheritFrom": ["urn:step-0-a", "urn:step-0-b", "urn:step-0-a"]}));
    let policy = Policy::resolve(&top, &Reading::LENIENT, ladder).unwrap();
    assert_eq!((policy.permissions.len(), policy.profiles.len()), (32, 16));
    assert_eq!(policy.conflict, Conflict::Perm);
}

#[test]
fn profiles_and_parents_count_against_the_size_of_a_policy() {
    let many: Vec<String> = (0..2_000).map(|number| format!("urn:many-{number}")).collect();
    for member in ["profile", "inheritFrom"] {
        let error = Policy::resolve(&child(json!({member: many})), &Reading::LENIENT, parents).unwrap_err();
        assert_eq!(error.problem, Problem::TooMany, "{member}");
    }
}
