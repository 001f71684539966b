use super::*;
use crate::testing::{
    CONSUMER, agreement, agreement_json, at, constraint, facts, facts_at, named, permitting, prohibiting,
};
use crate::{Category, Claims};
use serde_json::{Value, json};

mod decisions;

const T: &str = "2026-06-15T12:00:00Z";

/// Codes of the refusal; empty when permitted.
fn codes(policy: &Policy, stage: Stage, facts: &Facts) -> Vec<&'static str> {
    policy
        .decide(stage, facts)
        .reasons()
        .iter()
        .map(|reason| reason.code.as_str())
        .collect()
}

fn truth_of(constraint: Value, world: &World<'_>) -> Truth {
    permitting(constraint).permissions[0].constraints[0].truth(world)
}

fn world() -> World<'static> {
    // Leaked, so that every test may vary a world of its own.
    let facts: &'static Facts = Box::leak(Box::new(facts_at(T)));
    World {
        verified: Verified::Assumed(Truth::Unknown),
        purpose: Some(Purpose::Named("orientation")),
        record: RecordFacts::consented(Category::Skills),
        ..World::before_records(Moment::of(facts), facts.consumer(Stage::Record), Truth::Unknown)
    }
}

#[test]
fn clock_operators_compare_instants() {
    let (before, same, after) = (
        "2026-06-15T11:59:59.999Z",
        "2026-06-15T14:00:00+02:00",
        "2026-06-15T12:00:00.001Z",
    );
    let table = [
        ("eq", [false, true, false]),
        ("neq", [true, false, true]),
        ("lt", [false, false, true]),
        ("lteq", [false, true, true]),
        ("gt", [true, false, false]),
        ("gteq", [true, true, false]),
        ("isAnyOf", [false, true, false]),
        ("isNoneOf", [true, false, true]),
    ];
    for (operator, expected) in table {
        let truths =
            [before, same, after].map(|right| truth_of(constraint("dateTime", operator, json!(right)), &world()));
        assert_eq!(truths, expected.map(Truth::from), "{operator}");
    }
    let list = json!([before, after]);
    assert_eq!(
        truth_of(constraint("dateTime", "isAnyOf", list.clone()), &world()),
        Truth::False
    );
    assert_eq!(
        truth_of(constraint("dateTime", "isNoneOf", list), &world()),
        Truth::True
    );
}

#[test]
fn clock_operators_read_a_date_as_the_whole_day() {
    let table = [
        ("eq", [false, true, false]),
        ("neq", [true, false, true]),
        ("lt", [false, false, true]),
        ("lteq", [false, true, true]),
        ("gt", [true, false, false]),
        ("gteq", [true, true, false]),
    ];
    for (operator, expected) in table {
        let truths = ["2026-06-14Z", "2026-06-15Z", "2026-06-16Z"].map(|day| {
            truth_of(
                constraint("dateTime", operator, json!({"@value": day, "@type": "xsd:date"})),
                &world(),
            )
        });
        assert_eq!(truths, expected.map(Truth::from), "{operator}");
    }
    // Noon UTC on the 15th is already the 16th at +13:00.
    assert_eq!(
        truth_of(constraint("dateTime", "eq", json!("2026-06-16+13:00")), &world()),
        Truth::True
    );
}

#[test]
fn name_operators_compare_membership_and_miss_nothing_when_the_fact_is_missing() {
    let missing = World {
        purpose: None,
        record: RecordFacts::default(),
        ..world()
    };
    let operands = [
        ("recipient", CONSUMER, "did:web:other.example"),
        ("purpose", "dases:orientation", "dpv:Marketing"),
        ("dases:dataCategory", "https://w3id.org/dases/ns/skills", "results"),
    ];
    for (left, own, other) in operands {
        let table = [
            ("eq", json!(own), true),
            ("eq", json!(other), false),
            ("neq", json!(own), false),
            ("neq", json!(other), true),
            ("isAnyOf", json!([own, other]), true),
            ("isAnyOf", json!([other]), false),
            ("isNoneOf", json!([own, other]), false),
            ("isNoneOf", json!([other]), true),
        ];
        for (operator, right, expected) in table {
            let written = constraint(left, operator, right);
            assert_eq!(truth_of(written.clone(), &world()), Truth::from(expected), "{written}");
            if left != "recipient" {
                assert_eq!(truth_of(written, &missing), Truth::Unknown);
            }
        }
    }
}

#[test]
fn claims_are_compared_as_sets_and_a_missing_one_is_unknown() {
    let claims = Claims::from([(
        "role".to_owned(),
        ["DataProvider", "Orientation"].map(str::to_owned).into(),
    )]);
    let known = World {
        verified: Verified::Claims(&claims),
        ..world()
    };
    let table = [
        ("eq", json!("Orientation"), true),
        ("eq", json!("orientation"), false),
        ("neq", json!("Orientation"), false),
        ("neq", json!("EdTech"), true),
        ("isAnyOf", json!(["EdTech", "Orientation"]), true),
        ("isAnyOf", json!(["EdTech"]), false),
        ("isNoneOf", json!(["EdTech", "Orientation"]), false),
        ("isNoneOf", json!(["EdTech"]), true),
        ("isAllOf", json!(["DataProvider", "Orientation"]), true),
        ("isAllOf", json!(["DataProvider", "EdTech"]), false),
        ("hasPart", json!("DataProvider"), true),
        ("hasPart", json!("EdTech"), false),
    ];
    for (operator, right, expected) in table {
        for left in [
            "membership.role",
            "dases:membership.role",
            "https://w3id.org/dases/ns/membership.role",
        ] {
            let written = constraint(left, operator, right.clone());
            assert_eq!(
                truth_of(written, &known),
                Truth::from(expected),
                "{left} {operator} {right}"
            );
        }
        let other = constraint("membership.sector", operator, right.clone());
        assert_eq!(truth_of(other, &known), Truth::Unknown, "{operator} {right}");
    }
}

#[test]
fn only_the_verified_claims_of_this_consumer_permit() {
    let role = |name: &str| Claims::from([("role".to_owned(), [name.to_owned()].into())]);
    let asked = constraint("dases:membership.role", "eq", json!("Orientation"));
    let (permits, prohibits) = (permitting(asked.clone()), prohibiting(asked));
    for stage in [Stage::Catalog, Stage::Negotiation, Stage::Transfer, Stage::Record] {
        let with = |claims| permits.decide(stage, &facts().with_claims(claims)).permits();
        assert!(with(role("Orientation")), "{stage:?}");
        assert!(!with(role("EdTech")) && !with(Claims::new()), "{stage:?}");
        // What may be prohibited is: a consumer about whom nothing is known could be anybody.
        let with = |claims| prohibits.decide(stage, &facts().with_claims(claims)).permits();
        assert!(with(role("EdTech")), "{stage:?}");
        assert!(!with(role("Orientation")) && !with(Claims::new()), "{stage:?}");
    }
    for policy in [&permits, &prohibits] {
        assert!(
            policy.decide(Stage::Publish, &facts()).permits(),
            "somebody can have the claim"
        );
    }
    let missing = permits.decide(Stage::Catalog, &facts());
    assert_eq!(named(missing.reasons()), [("CST-02", "/permission/0/constraint/0")]);
    assert!(missing.reasons()[0].text.contains("says its role"));
    let other = permits.decide(Stage::Transfer, &facts().with_claims(role("EdTech")));
    assert_eq!(named(other.reasons()), [("CST-01", "/permission/0/constraint/0")]);
    assert!(permits.plan(&facts().with_claims(role("Orientation"))).is_ok() && permits.plan(&facts()).is_err());
}

#[test]
fn membership_needs_the_name_of_a_claim() {
    let long = format!("membership.{}", "a".repeat(65));
    for left in [
        "membership",
        "dases:membership",
        "membership.",
        "membership.1",
        "membership.a.b",
        "membership.a b",
        "membership.é",
        "odrl:membership.role",
        "Membership.role",
        &long,
    ] {
        let refused = permitting(constraint(left, "eq", json!("x")))
            .check(Stage::Publish)
            .unwrap_err();
        assert_eq!(
            named(&refused),
            [("POL-04", "/permission/0/constraint/0/leftOperand")],
            "{left}"
        );
    }
    let many = permitting(constraint("membership.role", "eq", json!(["a", "b"])));
    assert_eq!(
        named(&many.check(Stage::Publish).unwrap_err()),
        [("CST-04", "/permission/0/constraint/0/rightOperand")]
    );
}

#[test]
fn a_purpose_lies_below_what_the_tree_of_purposes_puts_above_it() {
    let below = |purpose, wider: Value| {
        let world = World {
            purpose: Some(purpose),
            ..world()
        };
        truth_of(constraint("purpose", "isA", wider), &world)
    };
    let advertising = Purpose::Named("https://w3id.org/dpv#TargetedAdvertising");
    let own = Purpose::Named("orientation");
    for (purpose, wider, expected) in [
        (advertising, json!("dpv:TargetedAdvertising"), Truth::True),
        (advertising, json!("dpv:Marketing"), Truth::True),
        (advertising, json!(["dpv:PublicBenefit", "dpv:Marketing"]), Truth::True),
        (advertising, json!("dpv:PublicBenefit"), Truth::False),
        (advertising, json!(["dpv:PublicBenefit", "training"]), Truth::Unknown),
        (own, json!("dases:orientation"), Truth::True),
        (own, json!(["x", "orientation"]), Truth::True),
        (own, json!("dpv:ServicePersonalisation"), Truth::True),
        (own, json!("dpv:Marketing"), Truth::False),
        (Purpose::Other, json!("dpv:Marketing"), Truth::Unknown),
    ] {
        assert_eq!(below(purpose, wider.clone()), expected, "{purpose:?} {wider}");
    }
    // What is excluded by its name leaves what lies below it.
    let world = World {
        purpose: Some(advertising),
        ..world()
    };
    assert_eq!(
        truth_of(constraint("purpose", "isNoneOf", json!(["dpv:Marketing"])), &world),
        Truth::True
    );
}

#[test]
fn consent_is_given_or_not_or_unknown() {
    let with = |consent| World {
        record: RecordFacts {
            consent,
            ..world().record
        },
        ..world()
    };
    for spelling in [
        "given",
        "dases:given",
        "https://w3id.org/dases/ns/given",
        "dpv:ConsentGiven",
    ] {
        for (operator, given, expected) in [
            ("eq", true, true),
            ("eq", false, false),
            ("neq", true, false),
            ("neq", false, true),
        ] {
            let truth = truth_of(
                constraint("dases:consent", operator, json!(spelling)),
                &with(Some(given)),
            );
            assert_eq!(truth, Truth::from(expected), "{operator} {spelling} {given}");
        }
        assert_eq!(
            truth_of(constraint("consent", "eq", json!(spelling)), &with(None)),
            Truth::Unknown
        );
    }
}

#[test]
fn every_pair_of_operand_and_operator_is_either_typed_or_refused_by_name() {
    use crate::vocabulary::{LeftOperand as L, Operator as O, ValueType as V};
    let name = [O::Eq, O::Neq, O::IsAnyOf, O::IsNoneOf];
    let order = [O::Lt, O::Lteq, O::Gt, O::Gteq];
    for left in L::ALL {
        let (value, allowed): (&str, Vec<O>) = match (left, left.operand().values) {
            (L::Consent, _) => ("given", vec![O::Eq, O::Neq]),
            (L::DataCategory, _) => ("skills", [name.as_slice(), &[O::IsA]].concat()),
            (L::Event, _) => ("dases:fair", [&[O::Eq, O::Neq], order.as_slice()].concat()),
            (L::Membership | L::Credential, _) => {
                let sets = [O::IsAllOf, O::HasPart, O::IsA];
                ("DataProvider", [name.as_slice(), &sets].concat())
            }
            (_, V::Instant) => (T, [name, order].concat()),
            (_, V::Number | V::Amount) => ("10", [name, order].concat()),
            (_, V::Duration) => ("P3M", [&[O::Eq, O::Neq], order.as_slice()].concat()),
            (_, V::Stretch) => ("PT10H", [&[O::Eq, O::Neq], order.as_slice()].concat()),
            (_, V::NameHierarchy) => ("orientation", [name.as_slice(), &[O::IsA]].concat()),
            (_, V::Name) => (CONSUMER, name.to_vec()),
            (_, V::Names) => (
                "x",
                [name.as_slice(), &[O::IsAllOf, O::HasPart, O::IsA, O::IsPartOf]].concat(),
            ),
            (_, V::Boolean) => ("true", vec![O::Eq, O::Neq]),
        };
        let written = match left {
            L::Membership => "membership.role",
            L::Credential => "credential.Diploma.level",
            other => other.name(),
        };
        for operator in O::ALL {
            let policy = permitting(constraint(written, operator.name(), json!(value)));
            let refused = policy.check(Stage::Publish).err().unwrap_or_default();
            if allowed.contains(operator) {
                assert_eq!(refused, [], "{left} {operator}");
            } else {
                assert_eq!(
                    named(&refused),
                    [("CST-03", "/permission/0/constraint/0/operator")],
                    "{left} {operator}"
                );
                assert!(refused[0].text.contains(operator.name()) && refused[0].text.contains(left.name()));
            }
        }
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused_by_name() {
    let cases = [
        ("dateTime", "eq", json!("tomorrow")),
        ("dateTime", "lteq", json!("2026-06-15T12:00:00")),
        ("dateTime", "lteq", json!("2026-06-15")),
        ("dateTime", "lteq", json!("2026-13-01Z")),
        ("dateTime", "lteq", json!("été 2026 à midi pile")),
        ("dateTime", "lteq", json!({"@value": T, "@type": "xsd:date"})),
        (
            "dateTime",
            "lteq",
            json!({"@value": "2026-06-15Z", "@type": "xsd:dateTime"}),
        ),
        ("dateTime", "lteq", json!({"@value": T, "@type": "xsd:string"})),
        ("dateTime", "lteq", json!({"@id": T})),
        ("dateTime", "lteq", json!([T, T])),
        ("purpose", "eq", json!(["a", "b"])),
        ("purpose", "eq", json!({"@value": "5", "@type": "xsd:integer"})),
        ("purpose", "isAnyOf", json!(["a", " b"])),
        ("recipient", "neq", json!(["a", "b"])),
        ("recipient", "eq", json!("")),
        ("consent", "eq", json!("refused")),
        ("consent", "eq", json!(["given", "given"])),
        ("dataCategory", "isNoneOf", json!(["skills", "special_needs"])),
    ];
    for (left, operator, right) in cases {
        let refused = permitting(constraint(left, operator, right.clone()))
            .check(Stage::Publish)
            .unwrap_err();
        assert_eq!(
            named(&refused),
            [("CST-04", "/permission/0/constraint/0/rightOperand")],
            "{left} {operator} {right}"
        );
    }
    let no_seconds = permitting(constraint("dateTime", "lteq", json!("2026-06-15T12:00Z")));
    assert!(no_seconds.decide(Stage::Transfer, &facts()).permits());
}

#[test]
fn the_three_valued_tables_are_strong_kleene() {
    // One operand of each truth: recipient known to match or not, purpose missing.
    let operand = |truth: Truth| match truth {
        Truth::True => constraint("recipient", "eq", json!(CONSUMER)),
        Truth::False => constraint("recipient", "neq", json!(CONSUMER)),
        Truth::Unknown => constraint("purpose", "eq", json!("orientation")),
    };
    let missing = World {
        purpose: None,
        ..world()
    };
    let (f, u, t) = (Truth::False, Truth::Unknown, Truth::True);
    let table = [
        // a, b, and, or, xone
        (f, f, f, f, f),
        (f, u, f, u, u),
        (f, t, f, t, t),
        (u, f, f, u, u),
        (u, u, u, u, u),
        (u, t, u, t, u),
        (t, f, f, t, t),
        (t, u, u, t, u),
        (t, t, t, t, f),
    ];
    for (a, b, and, or, xone) in table {
        let join = |name: &str| truth_of(json!({name: [operand(a), operand(b)]}), &missing);
        assert_eq!(
            (join("and"), join("andSequence"), join("or"), join("xone")),
            (and, and, or, xone),
            "{a:?} {b:?}"
        );
    }
    let three = |parts: [Truth; 3]| truth_of(json!({"xone": parts.map(operand)}), &missing);
    assert_eq!(three([t, t, u]), f);
    assert_eq!(three([t, f, f]), t);
    assert_eq!(three([f, f, u]), u);
}

#[test]
fn of_alternatives_the_one_that_lacks_least_is_told() {
    let over = || constraint("dateTime", "lt", json!("2026-01-01T00:00:00Z"));
    let other = |name: &str| constraint("recipient", "eq", json!(name));
    let claim = |name: &str| constraint(&format!("membership.{name}"), "eq", json!("x"));
    let told = |stage, constraint: Value| -> Vec<String> {
        let policy = permitting(constraint);
        let decided = policy.decide(stage, &facts_at(T));
        let mut places: Vec<String> = decided.reasons().iter().map(|reason| reason.pointer.clone()).collect();
        places.sort();
        places
    };
    let at = |places: &[&str]| -> Vec<String> {
        places
            .iter()
            .map(|place| format!("/permission/0/constraint/0/{place}"))
            .collect()
    };
    // What is false, before records are looked at and of a record.
    for stage in [Stage::Catalog, Stage::Transfer, Stage::Record] {
        let three = json!({"and": [over(), other("did:web:a.example"), other("did:web:b.example")]});
        assert_eq!(told(stage, json!({"or": [&three, over()]})), at(&["or/1"]), "{stage:?}");
        assert_eq!(told(stage, json!({"or": [over(), &three]})), at(&["or/0"]), "{stage:?}");
        let two = |name: &str| json!({"and": [other(name), over()]});
        let inner = json!({"or": [&three, two("did:web:c.example")]});
        let one_of_two = json!({"or": [inner, two("did:web:d.example"), &three]});
        // As many: the first in the document.
        assert_eq!(
            told(stage, one_of_two),
            at(&["or/0/or/1/and/0", "or/0/or/1/and/1"]),
            "{stage:?}"
        );
        // All of what has to hold together.
        assert_eq!(told(stage, three), at(&["and/0", "and/1", "and/2"]), "{stage:?}");
    }
    // What is not known of the consumer.
    let two = json!({"and": [claim("a"), claim("b")]});
    for stage in [Stage::Catalog, Stage::Negotiation, Stage::Transfer] {
        assert_eq!(
            told(stage, json!({"or": [&two, claim("c")]})),
            at(&["or/1"]),
            "{stage:?}"
        );
        assert_eq!(told(stage, two.clone()), at(&["and/0", "and/1"]), "{stage:?}");
    }
}

#[test]
fn a_part_of_an_alternative_that_holds_is_not_told() {
    let (over, running) = (
        constraint("dateTime", "lt", json!("2026-01-01T00:00:00Z")),
        constraint("dateTime", "lt", json!("2030-01-01T00:00:00Z")),
    );
    let other = constraint("recipient", "eq", json!("did:web:other.example"));
    let policy = permitting(json!({"or": [{"and": [running, &other]}, {"and": [over, &other]}]}));
    let decided = policy.decide(Stage::Transfer, &facts_at(T));
    assert_eq!(
        named(decided.reasons()),
        [("CST-01", "/permission/0/constraint/0/or/0/and/1")]
    );
}
