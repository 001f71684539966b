use super::*;
use crate::odrl::World;
use Operator::{Eq, Gt, Gteq, HasPart, IsA, IsAllOf, IsAnyOf, IsNoneOf, IsPartOf, Lt, Lteq, Neq};

const ORDERED: [Operator; 6] = [Eq, Neq, Lt, Lteq, Gt, Gteq];

fn xsd(text: &str, kind: &str) -> Value {
    Value::literal(text, Some(&format!("xsd:{kind}"))).unwrap()
}

fn number(text: &str) -> Value {
    xsd(text, "decimal")
}

fn time(text: &str) -> Value {
    xsd(text, "dateTime")
}

fn iri(name: &str) -> Value {
    Value::Iri(format!("urn:{name}"))
}

fn iris(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| iri(name)).collect()
}

fn world() -> World {
    let mut world = World::default();
    for (below, above) in [
        ("paris", "france"),
        ("france", "europe"),
        ("europe", "earth"),
        ("earth", "europe"),
        ("lima", "peru"),
    ] {
        world.part_of.insert(format!("urn:{below}"), format!("urn:{above}"));
    }
    world.concepts.insert("urn:tutoring", "urn:teaching");
    world.concepts.insert("urn:teaching", "urn:education");
    world.concepts.insert("urn:sales", "urn:business");
    world
}

fn truth(left: &[Value], operator: Operator, right: &[Value]) -> Truth {
    compare(left, operator, right, &world())
}

/// `eq neq lt lteq gt gteq` as `+` true, `-` false, `?` unknown.
fn row(left: &Value, right: &Value) -> String {
    let one = |operator| truth(std::slice::from_ref(left), operator, std::slice::from_ref(right));
    let sign = |truth| match truth {
        Truth::True => '+',
        Truth::False => '-',
        Truth::Unknown => '?',
    };
    ORDERED.into_iter().map(|operator| sign(one(operator))).collect()
}

const LESS: &str = "-+++--";
const EQUAL: &str = "+--+-+";
const GREATER: &str = "-+--++";
const OPEN: &str = "??????";
/// Different, and without an order.
const APART: &str = "-+????";
const SAME: &str = "+-????";

#[test]
fn numbers_compare_by_value() {
    assert_eq!(row(&number("4.99"), &number("5")), LESS);
    assert_eq!(row(&xsd("5", "integer"), &xsd("5.00", "double")), EQUAL);
    assert_eq!(row(&number("-1"), &number("-2")), GREATER);
}

#[test]
fn instants_compare_on_the_timeline() {
    assert_eq!(
        row(&time("2024-01-01T00:00:00Z"), &time("2024-01-01T00:00:00.001Z")),
        LESS
    );
    assert_eq!(
        row(&time("2024-01-01T01:00:00+01:00"), &time("2024-01-01T00:00:00Z")),
        EQUAL
    );
    assert_eq!(
        row(&time("2024-01-01T00:00:00"), &time("2023-12-31T23:59:59Z")),
        GREATER
    );
}

#[test]
fn a_day_is_an_interval() {
    let day = xsd("2024-02-12", "date");
    assert_eq!(row(&time("2024-02-11T23:59:59.999Z"), &day), LESS);
    assert_eq!(row(&time("2024-02-12T00:00:00Z"), &day), EQUAL);
    assert_eq!(row(&time("2024-02-12T23:59:59.999Z"), &day), EQUAL);
    assert_eq!(row(&time("2024-02-13T00:00:00Z"), &day), GREATER);
    assert_eq!(row(&day, &day), EQUAL);
    assert_eq!(row(&day, &xsd("2024-02", "gYearMonth")), EQUAL);
    assert_eq!(row(&xsd("2024-02-29", "date"), &xsd("2024-02", "gYearMonth")), EQUAL);
    assert_eq!(row(&xsd("2024-03-01", "date"), &xsd("2024-02", "gYearMonth")), GREATER);
    assert_eq!(row(&time("2024-12-31T23:59:59Z"), &xsd("2024", "gYear")), EQUAL);
    assert_eq!(row(&day, &xsd("2025", "gYear")), LESS);
    // Where in the day the left value lies is not said.
    assert_eq!(row(&day, &time("2024-02-12T12:00:00Z")), OPEN);
    assert_eq!(row(&day, &time("2024-02-13T00:00:00Z")), LESS);
}

#[test]
fn durations_compare_where_they_can() {
    let length = |text| xsd(text, "duration");
    assert_eq!(row(&length("PT59M"), &length("PT1H")), LESS);
    assert_eq!(row(&length("PT60M"), &length("PT1H")), EQUAL);
    assert_eq!(row(&length("P60M"), &length("P4Y")), GREATER);
    assert_eq!(row(&length("P1M"), &length("P30D")), APART);
}

#[test]
fn names_and_truths_have_no_order() {
    assert_eq!(row(&iri("a"), &iri("a")), SAME);
    assert_eq!(row(&iri("a"), &iri("b")), APART);
    assert_eq!(row(&Value::Text("b".to_owned()), &Value::Text("a".to_owned())), APART);
    assert_eq!(row(&Value::Text("urn:a".to_owned()), &iri("a")), SAME);
    assert_eq!(row(&Value::Boolean(true), &Value::Boolean(true)), SAME);
    assert_eq!(row(&Value::Boolean(true), &Value::Boolean(false)), APART);
}

#[test]
fn values_of_different_kinds_are_not_compared() {
    let kinds = [
        number("1"),
        time("2024-01-01T00:00:00Z"),
        xsd("P1D", "duration"),
        Value::Boolean(true),
        iri("a"),
    ];
    for (at, left) in kinds.iter().enumerate() {
        for right in kinds.iter().skip(at + 1) {
            assert_eq!(row(left, right), OPEN, "{left:?} {right:?}");
            assert_eq!(row(right, left), OPEN, "{right:?} {left:?}");
        }
    }
}

#[test]
fn sets_are_equal_or_not_and_have_no_order() {
    assert_eq!(truth(&iris(&["a", "b"]), Eq, &iris(&["b", "a", "a"])), Truth::True);
    assert_eq!(truth(&iris(&["a", "b"]), Eq, &iris(&["a"])), Truth::False);
    assert_eq!(truth(&iris(&["a"]), Neq, &iris(&["a", "b"])), Truth::True);
    for operator in [Lt, Lteq, Gt, Gteq] {
        assert_eq!(
            truth(&[number("1"), number("2")], operator, &[number("3")]),
            Truth::Unknown
        );
        assert_eq!(
            truth(&[number("1")], operator, &[number("3"), number("4")]),
            Truth::Unknown
        );
    }
}

#[test]
fn membership_is_asked_of_any_none_and_all() {
    let cases = [
        (&["a"][..], &["a", "b"][..], "+--"),
        (&["c"], &["a", "b"], "-+-"),
        (&["a"], &["a"], "+-+"),
        (&["a", "b", "c"], &["a", "b"], "+-+"),
        (&["a", "c"], &["a", "b"], "+--"),
        (&["c", "d"], &["a"], "-+-"),
    ];
    for (left, right, expected) in cases {
        let signs: String = [IsAnyOf, IsNoneOf, IsAllOf]
            .into_iter()
            .map(|operator| {
                if truth(&iris(left), operator, &iris(right)) == Truth::True {
                    '+'
                } else {
                    '-'
                }
            })
            .collect();
        assert_eq!(signs, expected, "{left:?} {right:?}");
    }
    for (text, kind) in [
        ("5.0", "decimal"),
        ("2024-01-01T00:00:00Z", "dateTime"),
        ("PT1H", "duration"),
    ] {
        let (same, list) = (xsd(text, kind), [xsd(text, kind), iri("other")]);
        assert_eq!(truth(std::slice::from_ref(&same), IsAnyOf, &list), Truth::True);
        assert_eq!(truth(std::slice::from_ref(&same), IsNoneOf, &list), Truth::False);
        assert_eq!(truth(std::slice::from_ref(&same), IsAllOf, &list[..1]), Truth::True);
    }
    // Of another kind it may be the same or not.
    assert_eq!(truth(&[number("1")], IsNoneOf, &iris(&["a"])), Truth::Unknown);
}

#[test]
fn concepts_and_places_lie_in_cones() {
    let holds = |left: &[&str], operator, right: &[&str]| truth(&iris(left), operator, &iris(right));
    assert_eq!(holds(&["tutoring"], IsA, &["education"]), Truth::True);
    assert_eq!(holds(&["education"], IsA, &["education"]), Truth::True);
    assert_eq!(holds(&["education"], IsA, &["tutoring"]), Truth::False);
    assert_eq!(holds(&["sales", "tutoring"], IsA, &["teaching"]), Truth::True);
    assert_eq!(holds(&["nobody-knows"], IsA, &["teaching"]), Truth::Unknown);
    assert_eq!(holds(&["paris"], IsPartOf, &["europe"]), Truth::True);
    assert_eq!(holds(&["paris"], IsPartOf, &["peru"]), Truth::False);
    assert_eq!(holds(&["paris"], IsPartOf, &["peru", "france"]), Truth::True);
    assert_eq!(holds(&["europe"], HasPart, &["paris"]), Truth::True);
    assert_eq!(holds(&["europe"], HasPart, &["paris", "lima"]), Truth::False);
    assert_eq!(holds(&["france", "peru"], HasPart, &["paris", "lima"]), Truth::True);
    assert_eq!(holds(&["paris"], HasPart, &["paris"]), Truth::True);
    for operator in [IsA, IsPartOf, HasPart] {
        assert_eq!(
            truth(&[number("1")], operator, &[number("1")]),
            Truth::Unknown,
            "{operator}"
        );
    }
}

#[test]
fn of_no_value_only_the_negative_holds() {
    for operator in Operator::ALL {
        let expected = Truth::from(matches!(operator, Neq | IsNoneOf));
        assert_eq!(truth(&[], *operator, &[number("1")]), expected, "{operator}");
    }
}

#[test]
fn an_event_is_before_during_or_after() {
    let event = (Instant(10), Some(Instant(20)));
    for (now, expected) in [(9, LESS), (10, EQUAL), (19, EQUAL), (20, GREATER)] {
        let signs: String = ORDERED
            .into_iter()
            .map(|operator| {
                if at_event(Instant(now), operator, event) == Truth::True {
                    '+'
                } else {
                    '-'
                }
            })
            .collect();
        assert_eq!(signs, expected, "{now}");
    }
    assert_eq!(at_event(Instant(99), Eq, (Instant(10), None)), Truth::True);
    assert_eq!(at_event(Instant(99), IsA, event), Truth::Unknown);
}
