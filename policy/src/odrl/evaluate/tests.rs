use super::*;
use crate::odrl::{Hierarchy, Instant, Measured, Reading, World};
use serde_json::{Value as Json, json};

fn policy(json: Json) -> Policy {
    let mut json = json;
    json["@id"] = json!("urn:p");
    Policy::read(&json, &Reading::STRICT).unwrap()
}

fn request(action: &str) -> Request {
    Request {
        action: format!("{}{action}", ODRL.iri),
        target: Some("urn:x".to_owned()),
        assignee: Some("urn:alice".to_owned()),
    }
}

fn number(text: &str) -> Measured {
    Value::literal(text, Some("xsd:decimal")).unwrap().into()
}

fn at(text: &str) -> Instant {
    Instant::read(text).unwrap().0
}

/// `Permitted(a,b)`, as the decision reads.
fn decided(policy: &Policy, request: &Request, world: &World, duties: DutyMode) -> String {
    match evaluate(policy, request, world, Options { duties }).decision {
        Decision::Permitted(by) => format!("permitted by {}", by.join(",")),
        Decision::Forbidden(by) => format!("forbidden by {}", by.join(",")),
        Decision::NotPermitted => "not permitted".to_owned(),
        Decision::Void {
            permissions,
            prohibitions,
        } => format!("void by {} and {}", permissions.join(","), prohibitions.join(",")),
    }
}

fn permitted(policy: &Policy, request: &Request, world: &World) -> bool {
    evaluate(policy, request, world, Options::default())
        .decision
        .is_permitted()
}

/// The truth of one constraint on `use` of `urn:x`.
fn truth_of(constraint: Json, world: &World) -> Truth {
    let policy = policy(json!({"permission": {"action": "use", "target": "urn:x", "constraint": constraint}}));
    let report = evaluate(&policy, &request("use"), world, Options::default());
    let last = report.rules[0].premises.last().unwrap();
    assert_eq!(last.kind, PremiseKind::Constraint);
    assert_eq!(report.decision.is_permitted(), last.truth == Truth::True);
    last.truth
}

fn count(operator: &str, right: u32) -> Json {
    json!({"leftOperand": "count", "operator": operator, "rightOperand": right})
}

#[test]
fn what_nothing_permits_is_refused() {
    let policy =
        policy(json!({"permission": {"@id": "r", "action": "print", "target": "urn:x", "assignee": "urn:alice"}}));
    let says = |request: &Request| decided(&policy, request, &World::default(), DutyMode::Strict);
    assert_eq!(says(&request("print")), "permitted by r");
    assert_eq!(says(&request("sell")), "not permitted");
    let other = |target: Option<&str>, assignee: Option<&str>| Request {
        target: target.map(str::to_owned),
        assignee: assignee.map(str::to_owned),
        ..request("print")
    };
    assert_eq!(says(&other(Some("urn:y"), Some("urn:alice"))), "not permitted");
    assert_eq!(says(&other(Some("urn:x"), Some("urn:bob"))), "not permitted");
    assert_eq!(says(&other(None, Some("urn:alice"))), "not permitted");
    assert_eq!(says(&other(Some("urn:x"), None)), "not permitted");
}

#[test]
fn a_rule_reaches_down_the_hierarchy_of_actions_and_over_synonyms() {
    let covers = |rule: &str, asked: &str| {
        let policy = policy(json!({"permission": {"action": rule, "target": "urn:x"}}));
        let asked = Request {
            action: if asked.contains(':') {
                asked.to_owned()
            } else {
                request(asked).action
            },
            ..request("use")
        };
        permitted(&policy, &asked, &World::default())
    };
    for (rule, asked) in [
        ("use", "display"),
        ("play", "display"),
        ("transfer", "sell"),
        ("modify", "write"),
        ("pay", "compensate"),
        ("urn:fold", "urn:fold"),
    ] {
        assert!(covers(rule, asked), "{rule} {asked}");
    }
    for (rule, asked) in [
        ("display", "play"),
        ("read", "use"),
        ("use", "sell"),
        ("use", "urn:fold"),
        ("urn:fold", "use"),
        ("fly", "use"),
    ] {
        assert!(!covers(rule, asked), "{rule} {asked}");
    }
}

#[test]
fn members_of_a_collection_are_reached_over_any_number_of_steps() {
    let policy = policy(json!({"permission": {"action": "read", "target": "urn:archive",
        "assignee": {"@id": "urn:node", "@type": "PartyCollection", "source": "urn:staff"}}}));
    let mut world = World::default();
    for (member, collection) in [
        ("urn:x", "urn:shelf"),
        ("urn:shelf", "urn:archive"),
        ("urn:archive", "urn:shelf"),
        ("urn:alice", "urn:node"),
    ] {
        world.part_of.insert(member, collection);
    }
    assert!(permitted(&policy, &request("read"), &world));
    world.part_of = Hierarchy::default();
    assert!(!permitted(&policy, &request("read"), &world));
}

#[test]
fn a_missing_value_is_unknown_and_refuses() {
    assert_eq!(truth_of(count("lt", 3), &World::default()), Truth::Unknown);
    let prohibition = policy(json!({
        "permission": {"@id": "may", "action": "use", "target": "urn:x"},
        "prohibition": {"@id": "not", "action": "use", "target": "urn:x", "constraint": count("gt", 3)},
        "conflict": "prohibit"
    }));
    let mut world = World::default();
    assert_eq!(
        decided(&prohibition, &request("use"), &world, DutyMode::Strict),
        "forbidden by not"
    );
    world.know(Of::World, "count", number("2"));
    assert_eq!(
        decided(&prohibition, &request("use"), &world, DutyMode::Strict),
        "permitted by may"
    );
}

#[test]
fn the_clock_is_what_date_time_means() {
    let until = json!({"leftOperand": "dateTime", "operator": "lteq", "rightOperand": {"@value": "2026-06-30", "@type": "xsd:date"}});
    let mut world = World::default();
    assert_eq!(truth_of(until.clone(), &world), Truth::Unknown);
    for (now, expected) in [
        ("2026-06-30T23:59:59Z", Truth::True),
        ("2026-07-01T00:00:00Z", Truth::False),
    ] {
        world.now = Some(at(now));
        assert_eq!(truth_of(until.clone(), &world), expected);
    }
}

#[test]
fn units_must_match() {
    let limit = |unit: &str| json!({"leftOperand": "payAmount", "operator": "lteq", "rightOperand": 5, "unit": unit});
    let mut world = World::default();
    let measured = Measured {
        unit: Some("urn:euro".to_owned()),
        ..number("4")
    };
    world.know(Of::World, "payAmount", measured);
    assert_eq!(truth_of(limit("urn:euro"), &world), Truth::True);
    assert_eq!(truth_of(limit("urn:dollar"), &world), Truth::Unknown);
    assert_eq!(
        truth_of(
            json!({"leftOperand": "payAmount", "operator": "lteq", "rightOperand": 5}),
            &world
        ),
        Truth::Unknown
    );
}

#[test]
fn status_stands_in_for_a_value_that_is_not_known() {
    let mut used = count("lt", 3);
    used["status"] = json!(3);
    let mut world = World::default();
    assert_eq!(truth_of(used.clone(), &world), Truth::False);
    world.know(Of::World, "count", number("2"));
    assert_eq!(truth_of(used, &world), Truth::True);
}

#[test]
fn connectives_follow_kleene() {
    let part = |truth: char| match truth {
        '+' => count("gteq", 1),
        '-' => count("lt", 1),
        _ => json!({"leftOperand": "percentage", "operator": "eq", "rightOperand": 1}),
    };
    let mut world = World::default();
    world.know(Of::World, "count", number("1"));
    let cases = [
        ("++", "and", '+'),
        ("+-", "and", '-'),
        ("+?", "and", '?'),
        ("-?", "and", '-'),
        ("--", "or", '-'),
        ("-+", "or", '+'),
        ("-?", "or", '?'),
        ("+?", "or", '+'),
        ("+-", "xone", '+'),
        ("++", "xone", '-'),
        ("--", "xone", '-'),
        ("+?", "xone", '?'),
        ("-?", "xone", '?'),
        ("++?", "xone", '-'),
        ("++", "andSequence", '+'),
        ("+-", "andSequence", '-'),
        ("+?", "andSequence", '?'),
    ];
    for (parts, connective, expected) in cases {
        let parts: Vec<Json> = parts.chars().map(part).collect();
        let expected = match expected {
            '+' => Truth::True,
            '-' => Truth::False,
            _ => Truth::Unknown,
        };
        assert_eq!(
            truth_of(json!({connective: parts}), &world),
            expected,
            "{connective} {parts:?}"
        );
    }
}

#[test]
fn a_sequence_came_true_in_its_order() {
    let part = |id: &str| {
        let mut part = count("gteq", 1);
        part["uid"] = json!(id);
        part
    };
    let sequence = json!({"andSequence": {"@list": [part("urn:first"), part("urn:second")]}});
    let mut world = World::default();
    world.know(Of::World, "count", number("1"));
    world.since.insert("urn:second".to_owned(), Instant(1));
    assert_eq!(truth_of(sequence.clone(), &world), Truth::True);
    world.since.insert("urn:first".to_owned(), Instant(2));
    assert_eq!(truth_of(sequence.clone(), &world), Truth::False);
    world.since.insert("urn:first".to_owned(), Instant(0));
    assert_eq!(truth_of(sequence, &world), Truth::True);
}

#[test]
fn an_event_is_judged_by_the_clock() {
    let during = json!({"leftOperand": "event", "operator": "eq", "rightOperand": {"@id": "urn:fair"}});
    let mut world = World {
        now: Some(Instant(15)),
        ..World::default()
    };
    assert_eq!(truth_of(during.clone(), &world), Truth::Unknown);
    world
        .events
        .insert("urn:fair".to_owned(), (Instant(10), Some(Instant(20))));
    assert_eq!(truth_of(during.clone(), &world), Truth::True);
    world.now = Some(Instant(20));
    assert_eq!(truth_of(during, &world), Truth::False);
}

#[test]
fn refinements_ask_the_request_and_constraints_the_world() {
    let refinement = |left: &str| json!({"leftOperand": left, "operator": "lteq", "rightOperand": 5});
    let policy = policy(json!({"permission": {
        "action": {"rdf:value": {"@id": "odrl:print"}, "refinement": refinement("urn:copies")},
        "target": {"source": "urn:x", "refinement": refinement("urn:pages")},
        "assignee": {"source": "urn:alice", "refinement": refinement("urn:age")},
        "constraint": refinement("urn:day")
    }}));
    let all = [
        (Of::Action, "urn:copies"),
        (Of::Target, "urn:pages"),
        (Of::Party, "urn:age"),
        (Of::World, "urn:day"),
    ];
    let world = |value: &dyn Fn(usize) -> (Of, &'static str)| {
        let mut world = World::default();
        for place in 0..all.len() {
            let (of, left) = value(place);
            world.know(of, left, number("5"));
        }
        world
    };
    assert!(permitted(&policy, &request("print"), &world(&|place| all[place])));
    for wrong in 0..all.len() {
        let moved = world(&|place| {
            let (of, left) = all[place];
            let elsewhere = if of == Of::World { Of::Party } else { Of::World };
            (if place == wrong { elsewhere } else { of }, left)
        });
        assert!(!permitted(&policy, &request("print"), &moved), "{:?}", all[wrong]);
    }
    let report = evaluate(
        &policy,
        &request("print"),
        &world(&|place| all[place]),
        Options::default(),
    );
    let kinds: Vec<_> = report.rules[0]
        .premises
        .iter()
        .map(|premise| (premise.kind, premise.constraints.len()))
        .collect();
    use PremiseKind::{Action, Constraint, Party, Target};
    assert_eq!(kinds, [(Target, 1), (Party, 1), (Action, 1), (Constraint, 1)]);
}

#[test]
fn each_conflict_strategy_decides_its_way() {
    for (conflict, expected) in [
        (json!("perm"), "permitted by may"),
        (json!("prohibit"), "forbidden by not"),
        (json!("invalid"), "void by may and not"),
        (json!([]), "void by may and not"),
    ] {
        let policy = policy(json!({
            "conflict": conflict,
            "permission": {"@id": "may", "action": "use", "target": "urn:x"},
            "prohibition": {"@id": "not", "action": "print", "target": "urn:x"}
        }));
        let says = |action: &str| decided(&policy, &request(action), &World::default(), DutyMode::Strict);
        assert_eq!(says("print"), expected);
        assert_eq!(says("read"), "permitted by may");
    }
}

#[test]
fn a_duty_gates_its_permission_as_the_mode_says() {
    let policy = policy(
        json!({"permission": {"@id": "r", "action": "use", "target": "urn:x", "duty": {"@id": "pay", "action": "compensate"}}}),
    );
    let cases = [
        (Deontic::NotSet, [false, true, true]),
        (Deontic::Fulfilled, [true, true, true]),
        (Deontic::Violated, [false, false, true]),
    ];
    for (state, expected) in cases {
        let mut world = World::default();
        world.deontic.insert("pay".to_owned(), state);
        let modes = [DutyMode::Strict, DutyMode::Eventual, DutyMode::Advise];
        let permitted = modes.map(|duties| {
            evaluate(&policy, &request("use"), &world, Options { duties })
                .decision
                .is_permitted()
        });
        assert_eq!(permitted, expected, "{state:?}");
        let report = evaluate(&policy, &request("use"), &world, Options::default());
        assert_eq!(
            (report.rules[0].duties[0].deontic, report.rules[0].duties[0].activation),
            (state, Activation::Active)
        );
    }
}

#[test]
fn a_duty_is_due_unless_its_constraints_are_known_not_to_hold() {
    let policy = policy(json!({"permission": {"action": "use", "target": "urn:x",
        "duty": {"@id": "pay", "action": "compensate", "constraint": count("gt", 10)}}}));
    let mut world = World::default();
    assert!(!permitted(&policy, &request("use"), &world));
    world.know(Of::World, "count", number("10"));
    assert!(permitted(&policy, &request("use"), &world));
}

#[test]
fn one_duty_of_several_permissions_is_done_once_for_all() {
    let pay = json!({"@id": "pay", "action": "compensate"});
    let policy = policy(json!({"permission": [
        {"@id": "a", "action": "read", "target": "urn:x", "duty": pay}, {"@id": "b", "action": "print", "target": "urn:x", "duty": {"@id": "pay"}}
    ]}));
    let mut world = World::default();
    assert!(!permitted(&policy, &request("read"), &world) && !permitted(&policy, &request("print"), &world));
    world.deontic.insert("pay".to_owned(), Deontic::Fulfilled);
    assert!(permitted(&policy, &request("read"), &world) && permitted(&policy, &request("print"), &world));
}

#[test]
fn a_failed_duty_is_made_good_by_all_its_consequences() {
    let consequence = |id: &str| json!({"@id": id, "action": "delete"});
    let policy = policy(json!({"permission": {"action": "use", "target": "urn:x",
        "duty": {"@id": "pay", "action": "compensate", "consequence": [consequence("c1"), consequence("c2")]}}}));
    let says = |states: &[(&str, Deontic)]| {
        let mut world = World::default();
        world
            .deontic
            .extend(states.iter().map(|(id, state)| ((*id).to_owned(), *state)));
        permitted(&policy, &request("use"), &world)
    };
    use Deontic::{Fulfilled, NotSet, Violated};
    assert!(says(&[("pay", Violated), ("c1", Fulfilled), ("c2", Fulfilled)]));
    assert!(!says(&[("pay", Violated), ("c1", Fulfilled)]));
    assert!(!says(&[("pay", NotSet), ("c1", Fulfilled), ("c2", Fulfilled)]));
    assert!(says(&[("pay", Fulfilled)]));
}

#[test]
fn a_prohibition_stays_in_force_whether_made_good_or_not() {
    let policy = policy(
        json!({"prohibition": {"@id": "not", "action": "use", "target": "urn:x", "remedy": {"@id": "fee", "action": "pay"}}}),
    );
    let says = |states: &[(&str, Deontic)]| {
        let mut world = World::default();
        world
            .deontic
            .extend(states.iter().map(|(id, state)| ((*id).to_owned(), *state)));
        let report = evaluate(&policy, &request("use"), &world, Options::default());
        assert_eq!(report.decision, Decision::Forbidden(vec!["not"]));
        report.rules[0].deontic
    };
    assert_eq!(says(&[]), Deontic::NotSet);
    assert_eq!(says(&[("not", Deontic::Violated)]), Deontic::Violated);
    assert_eq!(
        says(&[("not", Deontic::Violated), ("fee", Deontic::Fulfilled)]),
        Deontic::Fulfilled
    );
}

#[test]
fn an_obligation_is_reported_and_decides_nothing() {
    let policy = policy(json!({
        "permission": {"@id": "r", "action": "use", "target": "urn:x"},
        "obligation": {"@id": "o", "action": "delete", "constraint": count("gt", 1), "consequence": {"@id": "c", "action": "pay"}}
    }));
    let mut world = World::default();
    world.deontic.insert("o".to_owned(), Deontic::Violated);
    let report = evaluate(&policy, &request("use"), &world, Options::default());
    assert_eq!(report.decision, Decision::Permitted(vec!["r"]));
    let obligation = &report.rules[1];
    assert_eq!(
        (obligation.kind, obligation.activation, obligation.deontic),
        (RuleKind::Obligation, Activation::Active, Deontic::Violated)
    );
    assert_eq!(obligation.premises[0].truth, Truth::Unknown);
    world.know(Of::World, "count", number("1"));
    assert_eq!(
        evaluate(&policy, &request("use"), &world, Options::default()).rules[1].activation,
        Activation::Inactive
    );
}
