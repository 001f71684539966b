//! Events, which a use is before, during or after.

use super::*;

fn on(one: (&str, &str), other: (&str, &str)) -> Verdict {
    verdict(&asking(one), &asking(other), &Concepts::profile())
}

fn asking((operator, event): (&str, &str)) -> Policy {
    permits(vec![atom("c", "event", operator, &[event])])
}

fn inside(one: (&str, &str), other: (&str, &str)) -> Within {
    within(&asking(one), &asking(other), &Concepts::profile())
}

#[test]
fn a_use_is_before_during_or_after_an_event() {
    let operators = ["lt", "lteq", "eq", "neq", "gteq", "gt"];
    // Before, during, after.
    let phases = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1], [0, 0, 1]];
    for (one, mine) in operators.iter().zip(phases) {
        for (other, theirs) in operators.iter().zip(phases) {
            let together = mine.iter().zip(theirs).any(|(mine, theirs)| *mine == 1 && theirs == 1);
            let expected = if together {
                Verdict::Compatible
            } else {
                Verdict::Conflict
            };
            assert_eq!(on((one, "urn:e"), (other, "urn:e")), expected, "{one} {other}");
            let contained = mine.iter().zip(theirs).all(|(mine, theirs)| *mine <= theirs);
            let found = inside((one, "urn:e"), (other, "urn:e"));
            assert_eq!(found == Within::Yes, contained, "{one} {other}");
            assert_eq!(matches!(found, Within::No { .. }), !contained, "{one} {other}");
        }
    }
}

#[test]
fn events_are_each_at_their_own_time() {
    assert_eq!(on(("lt", "urn:e"), ("gt", "urn:f")), Verdict::Compatible);
    assert!(matches!(inside(("eq", "urn:e"), ("eq", "urn:f")), Within::No { .. }));
    assert_eq!(on(("lt", "dases:fair"), ("gteq", "fair^^string")), Verdict::Conflict);
    let answer = compatible(
        &asking(("lteq", "urn:e")),
        &asking(("neq", "urn:e")),
        &Concepts::profile(),
    );
    let Answer::Possible(request) = answer else { panic!() };
    assert_eq!(
        request.to_string(),
        "action http://www.w3.org/ns/odrl/2/use, event urn:e before"
    );
}

#[test]
fn the_use_itself_is_an_event_that_goes_on() {
    let usage = "http://www.w3.org/ns/odrl/2/policyUsage";
    let possible = |operator| {
        matches!(
            satisfiable(&asking((operator, usage)), &Concepts::profile()),
            Answer::Possible(_)
        )
    };
    assert_eq!(
        ["lt", "lteq", "eq", "neq", "gteq", "gt"].map(possible),
        [false, true, true, false, true, false]
    );
    // ODRL itself only says that something is before, during or after it.
    let asked = asking(("lt", usage));
    assert!(matches!(satisfiable(&asked, &Concepts::new()), Answer::Possible(_)));
    let mut never = permits(Vec::new());
    let during = rule("prohibition", "use", vec![atom("c", "event", "eq", &[usage])]);
    never.prohibitions = vec![prohibition(during)];
    assert_eq!(
        verdict(&never, &asking(("eq", usage)), &Concepts::profile()),
        Verdict::Conflict
    );
}

#[test]
fn what_is_not_compared_with_one_event_is_unknown() {
    let some = permits(vec![atom("c", "event", "isNoneOf", &["urn:e"])]);
    let two = permits(vec![atom("c", "event", "eq", &["urn:e", "urn:f"])]);
    let number = permits(vec![atom("c", "event", "lt", &["5^^integer"])]);
    for policy in [some, two, number] {
        assert_eq!(
            verdict(&policy, &asking(("eq", "urn:e")), &Concepts::new()),
            Verdict::Unknown
        );
    }
}
