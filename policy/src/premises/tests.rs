use crate::{
    Stage,
    meaning::months_millis,
    testing::{agreement, at, constraint, facts, named, permitting},
};
use serde_json::{Value, json};

fn published(policy: &crate::Policy) -> Vec<(String, String)> {
    let decided = policy.decide(Stage::Publish, &facts());
    let told = named(decided.reasons()).into_iter();
    told.map(|(code, pointer)| (code.to_owned(), pointer.to_owned()))
        .collect()
}

#[test]
fn a_count_begins_with_the_transfer_itself() {
    let never = [
        ("lteq", json!("0")),
        ("lt", json!("1")),
        ("eq", json!("0")),
        ("isAnyOf", json!(["0"])),
    ];
    for (operator, right) in never {
        let policy = permitting(constraint("count", operator, right));
        assert_eq!(
            published(&policy),
            [("CST-05".to_owned(), "/permission/0".to_owned())],
            "{operator}"
        );
    }
    for (operator, right) in [("lteq", "1"), ("lt", "2"), ("eq", "1"), ("gteq", "0")] {
        assert_eq!(
            published(&permitting(constraint("count", operator, json!(right)))),
            [],
            "{operator}"
        );
    }
    // A permission that says no more than this is covered by one that says nothing of the first three.
    let from_one = permitting(constraint("count", "gteq", json!("1")));
    let from_none = permitting(constraint("count", "gteq", json!("0")));
    assert!(crate::within(&from_none, &from_one).is_ok() && crate::within(&from_one, &from_none).is_ok());
}

#[test]
fn a_delay_that_ends_after_the_time_since_the_agreement_leaves_nothing() {
    let both = |delay: (&str, &str), end: (&str, &str)| {
        let constraints: Vec<Value> = vec![
            constraint("delayPeriod", delay.0, json!(delay.1)),
            constraint("elapsedTime", end.0, json!(end.1)),
        ];
        published(&agreement(
            json!({"permission": [{"action": "use", "constraint": constraints}]}),
        ))
        .is_empty()
    };
    for (delay, end) in [
        (("eq", "P1M"), ("lteq", "P3D")),
        (("gteq", "P4D"), ("lteq", "P3D")),
        (("gteq", "P3D"), ("lt", "P3D")),
        (("gt", "P3D"), ("lteq", "P3D")),
        (("gteq", "P13M"), ("lteq", "P12M")),
        (("gteq", "P1M"), ("lt", "P1M")),
        (("gteq", "P400D"), ("lteq", "P1Y")),
    ] {
        assert!(!both(delay, end), "{delay:?} {end:?}");
    }
    for (delay, end) in [
        (("gteq", "P3D"), ("lteq", "P3D")),
        (("gteq", "P1D"), ("lteq", "P3D")),
        (("gteq", "P1M"), ("lteq", "P1M")),
        (("gteq", "P1M"), ("lteq", "P28D")),
        (("gteq", "P31D"), ("lteq", "P1M")),
        (("lteq", "P3D"), ("gteq", "P1D")),
    ] {
        assert!(both(delay, end), "{delay:?} {end:?}");
    }
}

#[test]
fn no_months_are_longer_or_shorter_than_their_bounds() {
    let starts = [
        "1896-02-29T00:00:00Z",
        "1897-01-31T00:00:00Z",
        "1999-07-31T12:00:00Z",
        "2024-02-29T00:00:00Z",
        "2026-12-31T23:59:59Z",
    ];
    for start in starts.map(at) {
        for months in (0..60).chain([84, 85, 120, 1199, 1200, 4799, 4800, 50_000]) {
            let length = start.plus_months(months).millis() - start.millis();
            let (least, most) = months_millis(months);
            assert!(
                (least..=most).contains(&length),
                "{start} {months}: {least} {length} {most}"
            );
        }
    }
}
