//! What holds of every policy: reading survives anything, and no addition of a rule that forbids, of a condition or of an unknown opens a door.

use super::*;
use crate::Truth;
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value as Json, json};

/// Names with which arbitrary JSON comes near a policy.
const NAMES: &[&str] = &[
    "@id",
    "uid",
    "@type",
    "@value",
    "@list",
    "@set",
    "permission",
    "odrl:prohibition",
    "obligation",
    "duty",
    "remedy",
    "consequence",
    "action",
    "rdf:value",
    "refinement",
    "target",
    "assignee",
    "source",
    "constraint",
    "leftOperand",
    "operator",
    "rightOperand",
    "unit",
    "status",
    "dataType",
    "and",
    "xone",
    "andSequence",
    "conflict",
    "profile",
    "inheritFrom",
    "x",
];
const TEXTS: &[&str] = &[
    "",
    "urn:p",
    "urn:x",
    "use",
    "odrl:print",
    "count",
    "dateTime",
    "lt",
    "isAnyOf",
    "2026-02-30",
    "PT1H",
    "xsd:date",
    "Set",
    "Permission",
    "é\u{0}",
];

fn anything() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<i64>().prop_map(Json::from),
        select(TEXTS).prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 64, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::from),
            vec((select(NAMES), inner), 0..6).prop_map(|members| {
                members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}

/// A condition on numbers, names and places that the world may know or not.
fn condition() -> impl Strategy<Value = Json> {
    let number = (
        select(&["count", "percentage"][..]),
        select(&["eq", "neq", "lt", "lteq", "gt", "gteq", "isAnyOf", "isNoneOf"][..]),
        0..4,
    )
        .prop_map(|(left, operator, right)| json!({"leftOperand": left, "operator": operator, "rightOperand": right}));
    let name = (
        select(&["purpose", "spatial"][..]),
        select(
            &[
                "eq", "neq", "isA", "isPartOf", "hasPart", "isAnyOf", "isNoneOf", "isAllOf",
            ][..],
        ),
        vec(select(PLACES), 1..3),
    )
        .prop_map(|(left, operator, right)| json!({"leftOperand": left, "operator": operator, "rightOperand": right}));
    prop_oneof![number, name].prop_recursive(3, 8, 3, |inner| {
        (select(&["and", "or", "xone", "andSequence"][..]), vec(inner, 1..4))
            .prop_map(|(connective, parts)| json!({connective: {"@list": parts}}))
    })
}

const PLACES: &[&str] = &["urn:paris", "urn:france", "urn:lima", "urn:moon"];
const LEFT: &[&str] = &["count", "percentage", "purpose", "spatial"];

fn rule() -> impl Strategy<Value = Json> {
    let action = (
        select(&["use", "play", "display", "sell", "urn:fold"][..]),
        option::of(condition()),
    )
        .prop_map(|(action, refinement)| {
            refinement.map_or_else(
                || json!(action),
                |refinement| json!({"rdf:value": {"@id": action}, "refinement": refinement}),
            )
        });
    let names = (
        select(&["urn:x", "urn:y", "urn:all"][..]),
        option::of(select(&["urn:alice", "urn:bob", "urn:staff"][..])),
    );
    (action, names, vec(condition(), 0..3)).prop_map(|(action, (target, assignee), constraints)| {
        let mut rule = json!({"action": action, "target": target, "constraint": constraints});
        if let Some(assignee) = assignee {
            rule["assignee"] = json!(assignee);
        }
        rule
    })
}

fn duty() -> impl Strategy<Value = Json> {
    (select(&["urn:d1", "urn:d2"][..]), option::of(condition())).prop_map(|(id, constraint)| {
        let constraints: Vec<Json> = constraint.into_iter().collect();
        json!({"@id": id, "action": "compensate", "constraint": constraints})
    })
}

/// Permissions, prohibitions, conflict strategy.
type Rules = (Vec<Json>, Vec<Json>, &'static str);

fn rules() -> impl Strategy<Value = Rules> {
    let permission = (rule(), vec(duty(), 0..2)).prop_map(|(mut rule, duties)| {
        rule["duty"] = duties.into();
        rule
    });
    (
        vec(permission, 1..4),
        vec(rule(), 0..3),
        select(&["perm", "prohibit", "invalid"][..]),
    )
}

/// Rules are named by what they say, so that their places do not matter.
fn policy((permissions, prohibitions, conflict): &Rules) -> Policy {
    let named = |rules: &[Json], kind: &str| -> Vec<Json> {
        let name = |rule: &Json| {
            let mut rule = rule.clone();
            rule["@id"] = json!(format!("{kind} {rule}"));
            rule
        };
        rules.iter().map(name).collect()
    };
    let json = json!({"@id": "urn:p", "conflict": conflict, "permission": named(permissions, "may"), "prohibition": named(prohibitions, "not")});
    Policy::read(&json, &Reading::STRICT).unwrap()
}

fn request() -> impl Strategy<Value = Request> {
    let actions = select(&["use", "play", "display", "sell"][..])
        .prop_map(|action| format!("http://www.w3.org/ns/odrl/2/{action}"));
    (
        actions,
        option::of(select(&["urn:x", "urn:y"][..])),
        option::of(select(&["urn:alice", "urn:bob"][..])),
    )
        .prop_map(|(action, target, assignee)| Request {
            action,
            target: target.map(str::to_owned),
            assignee: assignee.map(str::to_owned),
        })
}

fn value(left: &str) -> BoxedStrategy<Value> {
    if matches!(left, "count" | "percentage") {
        (0..4_i64)
            .prop_map(|number| Value::Number(Decimal::from(number)))
            .boxed()
    } else {
        select(PLACES).prop_map(|place| Value::Iri(place.to_owned())).boxed()
    }
}

/// The values of every left operand; of some the world knows none.
type Known = Vec<(Of, &'static str, Option<Vec<Value>>)>;

fn known() -> impl Strategy<Value = Known> {
    let all = LEFT.iter().flat_map(|left| [(Of::World, *left), (Of::Action, *left)]);
    all.map(|(of, left)| option::of(vec(value(left), 0..3)).prop_map(move |values| (of, left, values)))
        .collect::<Vec<_>>()
}

fn world(known: &Known, duty: Deontic) -> World {
    let mut world = World::default();
    for (member, collection) in [
        ("urn:x", "urn:all"),
        ("urn:alice", "urn:staff"),
        ("urn:paris", "urn:france"),
        ("urn:lima", "urn:peru"),
    ] {
        world.part_of.insert(member, collection);
        world.concepts.insert(member, collection);
    }
    for (of, left, values) in known {
        if let Some(values) = values {
            let left = super::read::left_operand(left);
            world
                .values
                .insert((*of, left), values.iter().cloned().map(Measured::from).collect());
        }
    }
    world.deontic.insert("urn:d1".to_owned(), duty);
    world
}

fn deontic() -> impl Strategy<Value = Deontic> {
    select(&[Deontic::NotSet, Deontic::Fulfilled, Deontic::Violated][..])
}

fn permitted(rules: &Rules, request: &Request, world: &World) -> bool {
    evaluate(&policy(rules), request, world, Options::default())
        .decision
        .is_permitted()
}

proptest! {
    #[test]
    fn reading_and_evaluating_survive_anything(json in anything(), asked in request(), known in known()) {
        for reading in [Reading::STRICT, Reading::LENIENT] {
            let parent = |_: &str| Some(json.clone());
            let _ = Policy::resolve(&json, &reading, parent);
            if let Ok(policy) = Policy::read(&json, &reading) {
                let _ = evaluate(&policy, &asked, &world(&known, Deontic::NotSet), Options::default());
            }
        }
        let around = json!({"@id": "urn:p", "permission": {"action": "use", "target": "urn:x", "constraint": json, "duty": json, "assignee": json}});
        let _ = Policy::read(&around, &Reading::LENIENT);
    }

    #[test]
    fn another_prohibition_never_permits_more(rules in rules(), more in rule(), asked in request(), known in known(), duty in deontic()) {
        let world = world(&known, duty);
        let mut stricter = rules.clone();
        stricter.1.push(more);
        prop_assert!(permitted(&rules, &asked, &world) || !permitted(&stricter, &asked, &world));
    }

    #[test]
    fn another_condition_of_a_permission_never_permits_more(rules in rules(), more in condition(), asked in request(), known in known(), duty in deontic()) {
        let world = world(&known, duty);
        let mut stricter = rules.clone();
        for permission in &mut stricter.0 {
            permission["constraint"].as_array_mut().unwrap().push(more.clone());
        }
        prop_assert!(permitted(&rules, &asked, &world) || !permitted(&stricter, &asked, &world));
    }

    #[test]
    fn what_is_permitted_without_knowing_a_value_is_permitted_whatever_it_is(
        rules in rules(), asked in request(), (less, more) in (known(), known()), duty in deontic()
    ) {
        // The second world knows all that the first knows, and something of the rest.
        let more: Known = less.iter().zip(&more).map(|((of, left, known), (.., also))| (*of, *left, known.clone().or_else(|| also.clone()))).collect();
        prop_assert!(!permitted(&rules, &asked, &world(&less, duty)) || permitted(&rules, &asked, &world(&more, duty)));
    }

    #[test]
    fn the_order_of_rules_is_irrelevant(rules in rules(), asked in request(), known in known(), duty in deontic()) {
        let world = world(&known, duty);
        let mut turned = rules.clone();
        turned.0.reverse();
        turned.1.reverse();
        for rule in turned.0.iter_mut().chain(&mut turned.1) {
            rule["constraint"].as_array_mut().unwrap().reverse();
        }
        prop_assert_eq!(permitted(&rules, &asked, &world), permitted(&turned, &asked, &world));
    }

    #[test]
    fn a_premise_that_is_not_true_never_leaves_a_permission_active(rules in rules(), asked in request(), known in known(), duty in deontic()) {
        let (policy, world) = (policy(&rules), world(&known, duty));
        for rule in evaluate(&policy, &asked, &world, Options::default()).rules {
            let least = rule.premises.iter().map(|premise| premise.truth).min().unwrap_or(Truth::True);
            match rule.kind {
                RuleKind::Permission => prop_assert!(least == Truth::True || rule.activation == Activation::Inactive),
                _ => prop_assert_eq!(least == Truth::False, rule.activation == Activation::Inactive),
            }
        }
    }
}
