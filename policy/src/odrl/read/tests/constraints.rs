use super::*;

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
