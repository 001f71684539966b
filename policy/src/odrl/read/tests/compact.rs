use super::*;

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
