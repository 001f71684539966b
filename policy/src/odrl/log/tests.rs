use super::*;
use crate::odrl::Reading;
use serde_json::{Value as Json, json};

fn policy(json: Json) -> Policy {
    let mut json = json;
    json["@id"] = json!("urn:p");
    Policy::read(&json, &Reading::LENIENT).unwrap()
}

/// An event at this second: who does what to `urn:x`, and cells such as `Action urn:pages`.
fn event(at: i128, who: &str, action: &str, cells: &[(Of, &str, &str)]) -> Event {
    let cells = cells.iter().map(|(of, left, text)| {
        (
            (*of, super::super::read::left_operand(left)),
            Some((*text).to_owned()).filter(|text| !text.is_empty()),
        )
    });
    Event {
        at: Instant(at),
        request: Request {
            action: format!("{}{action}", ODRL.iri),
            target: Some("urn:x".to_owned()),
            assignee: Some(who.to_owned()),
        },
        cells: cells.collect(),
    }
}

fn breaches(policy: &Policy, events: &[Event]) -> String {
    let breaches = comply(policy, events, &World::default());
    let said: Vec<String> = breaches
        .iter()
        .map(|breach| match breach {
            Breach::NotPermitted { event } => format!("{event}"),
            Breach::DutiesOpen { event, duties } => format!("{event} without {}", duties.join("+")),
            Breach::Forbidden { event, rule } => format!("{event} against {rule}"),
            Breach::ObligationOpen { rule } => format!("no {rule}"),
        })
        .collect();
    said.join(", ")
}

fn compare(left: &str, operator: &str, right: Json) -> Json {
    json!({"leftOperand": left, "operator": operator, "rightOperand": right})
}

#[test]
fn every_event_must_be_permitted() {
    let policy = policy(json!({"permission": [{"action": "print", "assignee": "urn:a"}, {"action": "read"}]}));
    assert_eq!(
        breaches(
            &policy,
            &[event(2, "urn:a", "print", &[]), event(1, "urn:b", "read", &[])]
        ),
        ""
    );
    assert_eq!(
        breaches(
            &policy,
            &[event(2, "urn:b", "print", &[]), event(1, "urn:a", "sell", &[])]
        ),
        "0, 1"
    );
    assert_eq!(breaches(&policy, &[]), "");
}

#[test]
fn a_missing_column_is_open_and_an_empty_cell_is_no_value() {
    let fine = policy(
        json!({"permission": {"action": {"value": "print", "refinement": compare("urn:dpi", "lteq", json!(600))}}}),
    );
    assert_eq!(breaches(&fine, &[event(1, "urn:a", "print", &[])]), "");
    assert_eq!(
        breaches(
            &fine,
            &[event(1, "urn:a", "print", &[(Of::Action, "urn:dpi", "600.0")])]
        ),
        ""
    );
    assert_eq!(
        breaches(&fine, &[event(1, "urn:a", "print", &[(Of::Action, "urn:dpi", "601")])]),
        "0"
    );
    assert_eq!(
        breaches(&fine, &[event(1, "urn:a", "print", &[(Of::Action, "urn:dpi", "")])]),
        "0"
    );
    assert_eq!(
        breaches(&fine, &[event(1, "urn:a", "print", &[(Of::Action, "urn:dpi", "many")])]),
        "0"
    );
    // A column that is of nothing in particular stands in, one that is of something else does not.
    assert_eq!(
        breaches(&fine, &[event(1, "urn:a", "print", &[(Of::World, "urn:dpi", "601")])]),
        "0"
    );
    assert_eq!(
        breaches(&fine, &[event(1, "urn:a", "print", &[(Of::Party, "urn:dpi", "601")])]),
        ""
    );
    let world =
        policy(json!({"permission": {"action": "print", "constraint": compare("urn:dpi", "lteq", json!(600))}}));
    assert_eq!(
        breaches(&world, &[event(1, "urn:a", "print", &[(Of::Action, "urn:dpi", "601")])]),
        "0"
    );
    let both = [(Of::Action, "urn:dpi", "601"), (Of::Party, "urn:dpi", "1")];
    assert_eq!(breaches(&world, &[event(1, "urn:a", "print", &both)]), "");
    let forbidden = policy(json!({"permission": {"action": "print"}, "prohibition": {"@id": "n",
        "action": {"value": "print", "refinement": compare("urn:dpi", "gt", json!(600))}}}));
    assert_eq!(
        breaches(
            &forbidden,
            &[event(1, "urn:a", "print", &[(Of::Action, "urn:dpi", "")])]
        ),
        ""
    );
    assert_eq!(
        breaches(
            &forbidden,
            &[event(1, "urn:a", "print", &[(Of::Action, "urn:dpi", "601")])]
        ),
        "0 against n"
    );
}

#[test]
fn cells_take_the_type_that_they_are_compared_with() {
    let holds = |right: Json, cell: &str| {
        let policy = policy(json!({"permission": {"action": "use", "constraint": compare("urn:v", "lteq", right)}}));
        breaches(&policy, &[event(1, "urn:a", "use", &[(Of::World, "urn:v", cell)])]).is_empty()
    };
    let typed = |text: &str, kind: &str| json!({"@value": text, "@type": format!("xsd:{kind}")});
    assert!(holds(json!(10), "9.5") && !holds(json!(10), "10.5"));
    assert!(
        holds(json!("2026-03-11T11:33:10"), "2026-03-11T11:33:10")
            && !holds(json!("2026-03-11T11:33:10"), "2026-03-11T11:33:11")
    );
    assert!(
        holds(typed("2026-03-11", "date"), "2026-03-11T23:00:00Z") && !holds(typed("2026-03-11", "date"), "2026-03-12")
    );
    assert!(holds(typed("PT2H", "duration"), "PT120M") && !holds(typed("PT2H", "duration"), "PT121M"));
}

#[test]
fn a_plain_string_is_compared_by_what_it_looks_like() {
    let holds = |operator: &str, right: Json, cell: &str| {
        let policy = policy(json!({"permission": {"action": "use", "constraint": compare("urn:v", operator, right)}}));
        breaches(&policy, &[event(1, "urn:a", "use", &[(Of::World, "urn:v", cell)])]).is_empty()
    };
    assert!(holds("eq", json!("5"), "5.0") && !holds("neq", json!("5"), "5.0"));
    assert!(!holds("eq", json!("5"), "5.1") && holds("neq", json!("5"), "5.1"));
    assert!(holds("isAnyOf", json!(["5", "6"]), "6.0") && !holds("isNoneOf", json!(["5", "6"]), "6.0"));
    assert!(!holds("isAnyOf", json!(["5", "6"]), "7") && holds("isNoneOf", json!(["5", "6"]), "7"));
    let instant = "2026-03-11T11:33:10";
    assert!(
        holds("eq", json!(instant), "2026-03-11T11:33:10.000")
            && !holds("neq", json!(instant), "2026-03-11T11:33:10.000")
    );
    assert!(holds("eq", json!("PT1H"), "PT60M") && !holds("neq", json!("PT1H"), "PT60M"));
    // What looks like nothing is text, and so is what looks like something else.
    assert!(holds("eq", json!("paper"), "paper") && holds("neq", json!("paper"), "wood"));
    assert!(holds("neq", json!("2026-03-11"), "5") && !holds("eq", json!("paper"), "5"));
}

#[test]
fn years_months_and_truths_are_read_from_cells() {
    let holds = |operator: &str, (text, kind): (&str, &str), cell: &str| {
        let right = json!({"@value": text, "@type": format!("xsd:{kind}")});
        let policy = policy(json!({"permission": {"action": "use", "constraint": compare("urn:v", operator, right)}}));
        breaches(&policy, &[event(1, "urn:a", "use", &[(Of::World, "urn:v", cell)])]).is_empty()
    };
    assert!(holds("lteq", ("2026", "gYear"), "2026") && !holds("lteq", ("2026", "gYear"), "2027"));
    assert!(holds("lteq", ("2026-03", "gYearMonth"), "2026-03") && !holds("lt", ("2026-03", "gYearMonth"), "2026-03"));
    assert!(holds("eq", ("true", "boolean"), "True") && !holds("eq", ("true", "boolean"), "False"));
}

#[test]
fn the_time_of_an_event_is_its_date_time() {
    let policy = policy(
        json!({"permission": {"action": "use", "constraint": compare("dateTime", "lt", json!("1970-01-01T00:00:00.000000005Z"))}}),
    );
    assert_eq!(
        breaches(&policy, &[event(4, "urn:a", "use", &[]), event(5, "urn:a", "use", &[])]),
        "1"
    );
}

#[test]
fn count_is_how_often_a_rule_was_exercised() {
    let policy = policy(
        json!({"permission": [{"action": "print", "assignee": "urn:a", "constraint": compare("count", "lt", json!(3))}, {"action": "read"}]}),
    );
    let prints = |times: i128| -> Vec<Event> {
        let prints = (0..times).map(|at| event(-at, "urn:a", "print", &[]));
        prints.chain([event(-9, "urn:a", "read", &[])]).collect()
    };
    assert_eq!(breaches(&policy, &prints(2)), "");
    // The log is given latest first: the one too many is the latest.
    assert_eq!(breaches(&policy, &prints(3)), "0");
    let recorded = event(1, "urn:a", "print", &[(Of::World, "count", "7")]);
    assert_eq!(breaches(&policy, &[recorded]), "0");
    let often = self::policy(
        json!({"permission": {"action": "print"}, "obligation": {"@id": "twice", "action": "print", "constraint": compare("count", "gteq", json!(2))}}),
    );
    assert_eq!(breaches(&often, &[event(1, "urn:a", "print", &[])]), "no twice");
    assert_eq!(
        breaches(
            &often,
            &[event(1, "urn:a", "print", &[]), event(2, "urn:b", "print", &[])]
        ),
        ""
    );
}

fn with_duty(consequence: Option<Json>) -> Policy {
    let mut duty =
        json!({"@id": "pay", "action": {"value": "compensate", "refinement": compare("payAmount", "gteq", json!(50))}});
    if let Some(consequence) = consequence {
        duty["consequence"] = consequence;
    }
    policy(json!({"permission": [{"action": "print", "duty": duty}, {"action": "compensate"}, {"action": "delete"}]}))
}

#[test]
fn a_duty_is_done_before_the_use_by_anybody_and_once_for_all() {
    let policy = with_duty(None);
    let pay = |at, amount| event(at, "urn:b", "compensate", &[(Of::World, "payAmount", amount)]);
    let print = |at| event(at, "urn:a", "print", &[]);
    assert_eq!(breaches(&policy, &[pay(1, "50"), print(2), print(3)]), "");
    assert_eq!(
        breaches(&policy, &[print(2), print(3), pay(4, "50")]),
        "0 without pay, 1 without pay"
    );
    assert_eq!(breaches(&policy, &[pay(1, "49"), print(2)]), "1 without pay");
    assert_eq!(breaches(&policy, &[print(1)]), "0 without pay");
}

#[test]
fn an_event_does_not_do_its_own_duty() {
    let policy = policy(json!({"permission": {"action": "use", "duty": {"@id": "report", "action": "inform"}}}));
    let inform = |at| event(at, "urn:a", "inform", &[]);
    assert_eq!(breaches(&policy, &[inform(1), inform(2)]), "0 without report");
}

#[test]
fn a_late_duty_needs_its_consequences_after_the_use() {
    let policy = with_duty(Some(json!({"@id": "erase", "action": "delete"})));
    let pay = |at| event(at, "urn:a", "compensate", &[(Of::World, "payAmount", "50")]);
    let (print, erase) = (event(5, "urn:a", "print", &[]), |at| event(at, "urn:a", "delete", &[]));
    assert_eq!(breaches(&policy, &[pay(1), print.clone()]), "");
    assert_eq!(breaches(&policy, &[print.clone(), pay(6), erase(7)]), "");
    assert_eq!(breaches(&policy, &[print.clone(), pay(6)]), "0 without pay");
    assert_eq!(breaches(&policy, &[print.clone(), pay(6), erase(4)]), "0 without pay");
    assert_eq!(breaches(&policy, &[print, erase(7)]), "0 without pay");
}

#[test]
fn a_prohibition_stands_above_a_permission_until_it_is_remedied() {
    let with = |changes: Json| {
        let mut json = json!({"permission": {"action": "use"}, "prohibition": {"@id": "not", "action": "print",
            "remedy": [{"action": {"value": "compensate", "refinement": compare("payAmount", "gteq", json!(50))}}, {"action": "delete"}]}});
        for (name, value) in changes.as_object().unwrap() {
            json[name] = value.clone();
        }
        policy(json)
    };
    let (policy, print) = (with(json!({})), event(5, "urn:a", "print", &[]));
    let pay = |at, amount| event(at, "urn:a", "compensate", &[(Of::Action, "payAmount", amount)]);
    let erase = |at| event(at, "urn:a", "delete", &[]);
    assert_eq!(breaches(&policy, std::slice::from_ref(&print)), "0 against not");
    assert_eq!(breaches(&policy, &[print.clone(), pay(6, "50"), erase(7)]), "");
    assert_eq!(
        breaches(&policy, &[print.clone(), pay(6, "49"), erase(7)]),
        "0 against not"
    );
    assert_eq!(breaches(&policy, &[print.clone(), pay(6, "50")]), "0 against not");
    assert_eq!(
        breaches(&policy, &[pay(4, "50"), erase(7), print.clone()]),
        "2 against not"
    );
    assert_eq!(
        breaches(&with(json!({"conflict": "perm"})), std::slice::from_ref(&print)),
        ""
    );
    assert_eq!(
        breaches(
            &with(json!({"conflict": "perm", "permission": {"action": "read"}})),
            &[print]
        ),
        "0 against not, 0"
    );
}

#[test]
fn an_obligation_is_done_by_some_event() {
    let policy = policy(
        json!({"permission": {"action": "use"}, "obligation": {"@id": "report", "action": "inform",
        "constraint": compare("dateTime", "lt", json!("1970-01-01T00:00:00.000000005Z")), "consequence": {"action": "compensate"}}}),
    );
    let inform = |at| event(at, "urn:a", "inform", &[]);
    let pay = event(9, "urn:a", "compensate", &[]);
    assert_eq!(breaches(&policy, &[event(1, "urn:a", "read", &[])]), "no report");
    assert_eq!(breaches(&policy, &[inform(1)]), "");
    assert_eq!(breaches(&policy, &[inform(6)]), "no report");
    assert_eq!(breaches(&policy, &[inform(6), pay.clone()]), "");
    assert_eq!(breaches(&policy, &[pay]), "no report");
}

#[test]
fn what_follows_from_a_late_obligation_is_not_done_beforehand() {
    let with = |constraint: Json| {
        policy(
            json!({"permission": {"action": "use"}, "obligation": {"@id": "report", "action": "inform",
            "constraint": constraint, "consequence": {"action": "compensate"}}}),
        )
    };
    let at = |nanos: i128| json!(format!("1970-01-01T00:00:00.00000000{nanos}Z"));
    let inform = event(8, "urn:a", "inform", &[(Of::World, "urn:pages", "1")]);
    let pay = |at| event(at, "urn:a", "compensate", &[]);
    let by_then = with(compare("dateTime", "lteq", at(5)));
    for (paid, said) in [(3, "no report"), (5, "no report"), (6, ""), (8, ""), (9, "")] {
        assert_eq!(breaches(&by_then, &[inform.clone(), pay(paid)]), said, "{paid}");
    }
    // Before its time has come it can still be done in time.
    let window = with(json!([
        compare("dateTime", "gteq", at(4)),
        compare("dateTime", "lteq", at(5))
    ]));
    assert_eq!(breaches(&window, &[inform.clone(), pay(1)]), "no report");
    assert_eq!(breaches(&window, &[inform.clone(), pay(6)]), "");
    // Where no time is set it is late once it was done badly.
    let pages = with(compare("urn:pages", "gteq", json!(2)));
    assert_eq!(breaches(&pages, &[inform.clone(), pay(7)]), "no report");
    assert_eq!(breaches(&pages, &[inform.clone(), pay(9)]), "");
    // Exactly one of two things that the log does not record may hold as well.
    let unrecorded = json!({"xone": [compare("urn:dpi", "gteq", json!(2)), compare("urn:size", "gteq", json!(2))]});
    let either = with(unrecorded);
    assert_eq!(breaches(&either, &[inform.clone(), pay(7)]), "no report");
    assert_eq!(breaches(&either, &[inform, pay(9)]), "");
}

#[test]
fn names_are_compared_in_the_hierarchies_of_the_world() {
    let policy = policy(
        json!({"permission": {"action": "use", "target": "urn:shelf", "constraint": {"leftOperand": "spatial", "operator": "isPartOf", "rightOperand": {"@id": "urn:europe"}}}}),
    );
    let mut world = World::default();
    let read = event(1, "urn:a", "read", &[(Of::World, "spatial", "urn:paris")]);
    assert_eq!(comply(&policy, std::slice::from_ref(&read), &world).len(), 1);
    world.part_of.insert("urn:x", "urn:shelf");
    world.part_of.insert("urn:paris", "urn:europe");
    assert_eq!(comply(&policy, &[read], &world), []);
}

#[test]
fn an_action_of_a_profile_is_included_in_what_the_world_says() {
    let policy = policy(json!({"permission": {"action": "use"}, "prohibition": {"@id": "not", "action": "urn:sing"}}));
    let mut hum = event(1, "urn:a", "use", &[]);
    hum.request.action = "urn:hum".to_owned();
    let mut world = World::default();
    assert_eq!(
        comply(&policy, std::slice::from_ref(&hum), &world),
        [Breach::NotPermitted { event: 0 }]
    );
    world.concepts.insert("urn:hum", format!("{}use", ODRL.iri));
    assert_eq!(comply(&policy, std::slice::from_ref(&hum), &world), []);
    world.concepts.insert("urn:hum", "urn:sing");
    assert_eq!(
        comply(&policy, &[hum], &world),
        [Breach::Forbidden { event: 0, rule: "not" }]
    );
}
