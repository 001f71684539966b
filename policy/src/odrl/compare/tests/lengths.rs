//! Lengths of time, in months and in days.

use super::*;

fn on(left: &str, one: (&str, &str), other: (&str, &str)) -> Verdict {
    let asked = |(operator, length): (&str, &str)| permits(vec![atom("c", left, operator, &[length])]);
    verdict(&asked(one), &asked(other), &Concepts::profile())
}

fn elapsed(one: (&str, &str), other: (&str, &str)) -> Verdict {
    on("elapsedTime", one, other)
}

#[test]
fn lengths_of_one_scale_compare_in_any_spelling() {
    assert_eq!(
        elapsed(("lt", "P1Y^^duration"), ("gteq", "P12M^^duration")),
        Verdict::Conflict
    );
    assert_eq!(
        elapsed(("lt", "PT60M^^duration"), ("gteq", "PT1H^^duration")),
        Verdict::Conflict
    );
    assert_eq!(
        elapsed(("lt", "PT0S^^duration"), ("lt", "P1D^^duration")),
        Verdict::Conflict
    );
}

#[test]
fn months_and_days_compare_where_it_does_not_matter_how_long_the_months_are() {
    for (months, days, expected) in [
        ("P1M^^duration", "P90D^^duration", Verdict::Conflict),
        ("P3M^^duration", "P30D^^duration", Verdict::Compatible),
        ("P1M^^duration", "P20D^^duration", Verdict::Compatible),
        ("P1M^^duration", "P30D^^duration", Verdict::Unknown),
    ] {
        assert_eq!(
            elapsed(("lteq", months), ("gteq", days)),
            expected,
            "{months} and {days}"
        );
    }
    assert_eq!(
        on("urn:length", ("eq", "P1M^^duration"), ("neq", "P30D^^duration")),
        Verdict::Unknown
    );
    // Below zero it is the other way round.
    assert_eq!(
        on("urn:length", ("lteq", "-P2M^^duration"), ("gteq", "-P90D^^duration")),
        Verdict::Compatible
    );
    assert_eq!(
        on("urn:length", ("lteq", "-P2M^^duration"), ("gteq", "-P30D^^duration")),
        Verdict::Conflict
    );
}

#[test]
fn what_lies_within_days_lies_within_more_months() {
    let most = |length| permits(vec![atom("c", "elapsedTime", "lteq", &[length])]);
    let inside = |one, other| within(&most(one), &most(other), &Concepts::profile());
    assert_eq!(inside("P30D^^duration", "P3M^^duration"), Within::Yes);
    assert_eq!(inside("P1M^^duration", "P60D^^duration"), Within::Yes);
    assert!(matches!(inside("P3M^^duration", "P30D^^duration"), Within::No { .. }));
    assert!(matches!(inside("P30D^^duration", "P1M^^duration"), Within::Unknown(_)));
}

#[test]
fn lengths_in_months_add_up_and_pass_as_those_in_days_do() {
    let both = |constraints: Vec<Constraint>| Verdict::from(&satisfiable(&permits(constraints), &Concepts::new()));
    let elapsed = |length| atom("e", "elapsedTime", "lteq", &[length]);
    let metered = |length| atom("m", "meteredTime", "gteq", &[length]);
    assert_eq!(
        both(vec![metered("P2M^^duration"), elapsed("P1M^^duration")]),
        Verdict::Conflict
    );
    assert_eq!(
        both(vec![metered("P90D^^duration"), elapsed("P1M^^duration")]),
        Verdict::Conflict
    );
    assert_eq!(
        both(vec![metered("P20D^^duration"), elapsed("P1M^^duration")]),
        Verdict::Compatible
    );
    let sequence = |length| {
        let delay = || atom("d", "delayPeriod", "gteq", &[length]);
        logical("s", Connective::AndSequence, vec![delay(), delay()])
    };
    assert_eq!(
        both(vec![sequence("P2M^^duration"), elapsed("P3M^^duration")]),
        Verdict::Conflict
    );
    assert_eq!(
        both(vec![sequence("P60D^^duration"), elapsed("P3M^^duration")]),
        Verdict::Conflict
    );
    assert_eq!(
        both(vec![sequence("P2M^^duration"), elapsed("P200D^^duration")]),
        Verdict::Compatible
    );
}
