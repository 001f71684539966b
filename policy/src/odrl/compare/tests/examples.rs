//! One example for each thing that comparisons tell apart.

use super::*;
use crate::odrl::{Conflict, Duty, Entity, Reading};

fn both(one: Vec<Constraint>, other: Vec<Constraint>) -> Verdict {
    verdict(&permits(one), &permits(other), &Concepts::profile())
}

/// As ODRL describes operands, rather than as our profile enforces them.
fn described(one: Vec<Constraint>, other: Vec<Constraint>) -> Verdict {
    verdict(&permits(one), &permits(other), &Concepts::new())
}

fn one(left: &str, operator: &str, right: &str) -> Vec<Constraint> {
    vec![atom("c", left, operator, &[right])]
}

fn named(name: &str) -> Option<Entity> {
    Some(Entity {
        names: vec![name.to_owned()],
        refinements: Vec::new(),
    })
}

#[test]
fn a_day_is_all_of_its_instants() {
    let time = |operator, right| one("dateTime", operator, right);
    let (day, noon) = ("2026-06-30Z^^date", "2026-06-30T12:00:00Z^^dateTime");
    let next = "2026-07-01T00:00:00Z^^dateTime";
    assert_eq!(both(time("eq", day), time("eq", noon)), Verdict::Compatible);
    assert_eq!(both(time("lteq", day), time("gteq", noon)), Verdict::Compatible);
    assert_eq!(both(time("lteq", day), time("gteq", next)), Verdict::Conflict);
    assert_eq!(both(time("gt", day), time("lt", next)), Verdict::Conflict);
    assert_eq!(both(time("gt", day), time("eq", next)), Verdict::Compatible);
    assert_eq!(both(time("lt", day), time("eq", noon)), Verdict::Conflict);
}

#[test]
fn a_time_without_zone_decides_nothing_within_fourteen_hours() {
    let time = |operator, right| one("dateTime", operator, right);
    let (zoned, same) = ("2026-06-30T12:00:00Z^^dateTime", "2026-06-30T12:00:00^^dateTime");
    assert_eq!(both(time("lt", zoned), time("gt", same)), Verdict::Unknown);
    assert_eq!(
        both(time("lt", zoned), time("gt", "2026-07-02T12:00:00^^dateTime")),
        Verdict::Conflict
    );
    assert_eq!(
        both(time("lt", zoned), time("gt", "2026-06-01T12:00:00^^dateTime")),
        Verdict::Compatible
    );
}

#[test]
fn a_count_is_a_whole_number() {
    let count = |operator, right| one("count", operator, right);
    assert_eq!(
        both(count("gt", "1^^integer"), count("lt", "2^^integer")),
        Verdict::Conflict
    );
    assert_eq!(
        both(count("lt", "1^^integer"), count("neq", "0^^integer")),
        Verdict::Conflict
    );
    assert_eq!(
        both(one("urn:size", "gt", "1^^integer"), one("urn:size", "lt", "2^^integer")),
        Verdict::Compatible
    );
}

#[test]
fn a_count_is_enforced_with_the_use_in_question() {
    let count = |operator, right| one("count", operator, right);
    for nothing in [
        count("lteq", "0^^integer"),
        count("lt", "1^^integer"),
        count("eq", "0^^integer"),
    ] {
        assert_eq!(both(nothing.clone(), Vec::new()), Verdict::Conflict);
    }
    assert_eq!(both(count("lteq", "1^^integer"), Vec::new()), Verdict::Compatible);
    assert_eq!(described(count("lteq", "0^^integer"), Vec::new()), Verdict::Compatible);
    let (most, from_one) = (
        permits(count("lteq", "3^^integer")),
        permits(count("gteq", "1^^integer")),
    );
    assert_eq!(within(&most, &from_one, &Concepts::profile()), Within::Yes);
    assert!(matches!(within(&most, &from_one, &Concepts::new()), Within::No { .. }));
}

#[test]
fn units_have_to_agree() {
    let pay = |unit: &str, operator: &str, amount: &str| {
        let mut constraints = one("payAmount", operator, amount);
        if let Some(Constraint::Atomic(atomic)) = constraints.first_mut() {
            atomic.unit = Some(unit.to_owned());
        }
        constraints
    };
    assert_eq!(
        both(pay("EUR", "lt", "5^^decimal"), pay("EUR", "gt", "6^^decimal")),
        Verdict::Conflict
    );
    assert_eq!(
        both(pay("EUR", "lt", "5^^decimal"), pay("USD", "gt", "6^^decimal")),
        Verdict::Unknown
    );
    assert_eq!(
        both(pay("EUR", "lt", "5^^decimal"), pay("USD", "lt", "6^^decimal")),
        Verdict::Unknown
    );
}

#[test]
fn what_recurs_meets_where_the_divisor_of_the_periods_allows() {
    let every = |period: &str, anchor: &str| {
        let mut constraints = one("timeInterval", "eq", &format!("{period}^^duration"));
        if let Some(Constraint::Atomic(atomic)) = constraints.first_mut() {
            atomic.anchor = Some(Value::literal(anchor, Some("xsd:date")).unwrap());
        }
        constraints
    };
    assert_eq!(
        both(every("P6D", "2026-01-01"), every("P10D", "2026-01-05")),
        Verdict::Compatible
    );
    assert_eq!(
        both(every("P6D", "2026-01-01"), every("P10D", "2026-01-04")),
        Verdict::Conflict
    );
    assert_eq!(
        both(every("P1M", "2026-01-01"), every("P1M", "2026-01-02")),
        Verdict::Unknown
    );
    assert_eq!(
        both(every("PT36H", "2026-01-01"), every("P1D", "2026-01-02")),
        Verdict::Unknown
    );
    // Every six days and every ten, from the first and the fifth, is every thirty days from the twenty-fifth.
    let met = |from: &str, to: &str| {
        let mut constraints = every("P10D", "2026-01-05");
        constraints.push(atom("from", "dateTime", "gteq", &[&format!("{from}^^date")]));
        constraints.push(atom("to", "dateTime", "lteq", &[&format!("{to}^^date")]));
        both(every("P6D", "2026-01-01"), constraints)
    };
    assert_eq!(met("2026-01-26", "2026-02-23"), Verdict::Conflict);
    assert_eq!(met("2026-01-26", "2026-02-24"), Verdict::Compatible);
    assert_eq!(met("2026-01-25", "2026-02-23"), Verdict::Compatible);
}

#[test]
fn delays_of_a_sequence_add_up() {
    let delays = |days: [u32; 2]| {
        let parts = days.map(|days| atom("delay", "delayPeriod", "gteq", &[&format!("P{days}D^^duration")]));
        vec![logical("sequence", Connective::AndSequence, parts.to_vec())]
    };
    assert_eq!(
        described(delays([5, 3]), one("elapsedTime", "lteq", "P8D^^duration")),
        Verdict::Compatible
    );
    assert_eq!(
        described(delays([5, 3]), one("elapsedTime", "lt", "P8D^^duration")),
        Verdict::Conflict
    );
    assert_eq!(described(delays([5, 3]), delays([3, 5])), Verdict::Unknown);
    assert_eq!(
        described(delays([5, 3]), one("delayPeriod", "lteq", "P3D^^duration")),
        Verdict::Unknown
    );
    // Nothing but the sequence itself says that it is in this order.
    let parts = |days: u32| atom("delay", "delayPeriod", "gteq", &[&format!("P{days}D^^duration")]);
    let loose = permits(vec![parts(5), parts(3)]);
    let concepts = Concepts::new();
    assert!(!matches!(
        within(&loose, &permits(delays([5, 3])), &concepts),
        Within::Yes
    ));
    assert_eq!(
        within(&permits(delays([5, 3])), &permits(delays([5, 3])), &concepts),
        Within::Yes
    );
}

#[test]
fn what_is_used_once_is_not_used_for_longer_than_time_has_passed() {
    let verdict =
        |metered, elapsed| described(one("meteredTime", "gteq", metered), one("elapsedTime", "lteq", elapsed));
    assert_eq!(verdict("P5D^^duration", "P5D^^duration"), Verdict::Compatible);
    assert_eq!(verdict("P6D^^duration", "P5D^^duration"), Verdict::Conflict);
}

#[test]
fn a_length_of_time_is_compared_as_the_profile_enforces_it() {
    let time = |left, operator, right| one(left, operator, right);
    let (months, longer) = ("P3M^^duration", "P4M^^duration");
    // eq of elapsed or metered time is within, of a delay it is once it has passed.
    for left in ["elapsedTime", "meteredTime"] {
        let (three, four) = (permits(time(left, "eq", months)), permits(time(left, "lteq", longer)));
        assert_eq!(within(&three, &four, &Concepts::profile()), Within::Yes);
        assert_eq!(
            both(time(left, "eq", months), time(left, "eq", longer)),
            Verdict::Compatible
        );
        assert_eq!(
            both(time(left, "neq", longer), time(left, "eq", months)),
            Verdict::Conflict
        );
        assert_eq!(
            described(time(left, "eq", months), time(left, "eq", longer)),
            Verdict::Conflict
        );
    }
    assert_eq!(
        both(time("delayPeriod", "eq", months), time("delayPeriod", "gt", longer)),
        Verdict::Compatible
    );
    assert_eq!(
        both(time("delayPeriod", "neq", months), time("delayPeriod", "eq", longer)),
        Verdict::Conflict
    );
    let within_days = permits(time("elapsedTime", "eq", "P5D^^duration"));
    let exactly = permits(time("elapsedTime", "gteq", "P5D^^duration"));
    assert!(matches!(
        within(&within_days, &exactly, &Concepts::profile()),
        Within::No { .. }
    ));
}

#[test]
fn streams_side_by_side_are_open_for_longer_than_time_has_passed() {
    let (metered, elapsed) = (
        one("meteredTime", "gteq", "P6D^^duration"),
        one("elapsedTime", "lteq", "P5D^^duration"),
    );
    assert_eq!(both(metered, elapsed), Verdict::Compatible);
}

#[test]
fn a_delay_and_elapsed_time_are_counted_from_the_agreement() {
    let delay = || one("delayPeriod", "gteq", "P10D^^duration");
    assert_eq!(
        both(delay(), one("elapsedTime", "lt", "P10D^^duration")),
        Verdict::Conflict
    );
    assert_eq!(
        both(delay(), one("elapsedTime", "lteq", "P10D^^duration")),
        Verdict::Compatible
    );
    assert_eq!(
        both(delay(), one("elapsedTime", "lteq", "P2M^^duration")),
        Verdict::Compatible
    );
    // Whatever month it is.
    let months = |length| one("delayPeriod", "gteq", length);
    let most = |length| one("elapsedTime", "lteq", length);
    for (delay, elapsed, expected) in [
        ("P1M^^duration", "P3D^^duration", Verdict::Conflict),
        ("P1M^^duration", "P30D^^duration", Verdict::Unknown),
        ("P60D^^duration", "P1M^^duration", Verdict::Conflict),
        ("P1Y^^duration", "P300D^^duration", Verdict::Conflict),
        ("P1D^^duration", "P1M^^duration", Verdict::Compatible),
        ("P31D^^duration", "P1M^^duration", Verdict::Unknown),
    ] {
        assert_eq!(both(months(delay), most(elapsed)), expected, "{delay} {elapsed}");
    }
    // A sequence is enforced as `and`.
    let days = |days: u32| atom("delay", "delayPeriod", "gteq", &[&format!("P{days}D^^duration")]);
    let sequence = vec![logical("sequence", Connective::AndSequence, vec![days(5), days(3)])];
    assert_eq!(
        both(sequence, one("elapsedTime", "lteq", "P5D^^duration")),
        Verdict::Compatible
    );
}

#[test]
fn actions_meet_by_hierarchy_synonym_and_implication() {
    let policy = |action: &str, prohibited: &str| Policy {
        permissions: vec![permission(rule("p", action, Vec::new()))],
        prohibitions: vec![prohibition(rule("q", prohibited, Vec::new()))],
        ..Policy::default()
    };
    let mut concepts = Concepts::new();
    let meets = |policy: &Policy, concepts: &Concepts| !contradiction(policy, concepts).overlaps.is_empty();
    assert!(meets(&policy("play", "display"), &concepts));
    assert!(meets(&policy("display", "play"), &concepts));
    assert!(meets(&policy("copy", "reproduce"), &concepts));
    assert!(!meets(&policy("use", "sell"), &concepts));
    assert!(!meets(&policy("print", "sell"), &concepts));
    concepts.implies("odrl:print", "odrl:reproduce");
    concepts.implies("odrl:copy", "odrl:give");
    assert!(
        meets(&policy("use", "transfer"), &concepts),
        "print is a use and implies to give"
    );
    assert!(meets(&policy("print", "give"), &concepts));
    assert!(!meets(&policy("read", "give"), &concepts));
    assert_eq!(
        contradiction(&policy("display", "play"), &concepts).dead,
        [("p".to_owned(), vec!["p".to_owned(), "q".to_owned()])]
    );
}

#[test]
fn duties_have_to_be_kept() {
    let duty = |action: &str, constraints| Duty {
        statement: rule("duty", action, constraints),
        consequences: Vec::new(),
    };
    let with = |duties: Vec<Duty>| {
        let mut policy = permits(Vec::new());
        policy
            .permissions
            .iter_mut()
            .for_each(|one| one.duties = duties.clone());
        policy
    };
    let concepts = Concepts::new();
    let delete = || duty("delete", one("elapsedTime", "lteq", "P30D^^duration"));
    assert_eq!(
        within(
            &with(vec![delete(), duty("inform", Vec::new())]),
            &with(vec![delete()]),
            &concepts
        ),
        Within::Yes
    );
    assert!(matches!(
        within(&with(Vec::new()), &with(vec![delete()]), &concepts),
        Within::No { .. }
    ));
    let later = duty("delete", one("elapsedTime", "lteq", "P60D^^duration"));
    assert!(matches!(
        within(&with(vec![later]), &with(vec![delete()]), &concepts),
        Within::Unknown(_)
    ));
    let obliged = Policy {
        obligations: vec![delete()],
        ..permits(Vec::new())
    };
    assert_eq!(within(&obliged, &with(vec![delete()]), &concepts), Within::Yes);
    assert_eq!(within(&with(vec![delete()]), &obliged, &concepts), Within::Yes);
    assert!(matches!(
        within(&with(Vec::new()), &obliged, &concepts),
        Within::No { .. }
    ));
}

#[test]
fn to_inform_one_is_not_to_inform_another() {
    let informing = |duty: &str, party: &str| {
        let policy = format!(
            r#"{{"@id": "urn:p", "permission": [{{"action": "use"}}], "obligation": [{{"action": "{duty}", {party}}}]}}"#
        );
        Policy::read(&serde_json::from_str(&policy).unwrap(), &Reading::LENIENT).unwrap()
    };
    let offered = informing("inform", r#""informedParty": "did:web:a""#);
    let verdict = |party: &str| within(&informing("inform", party), &offered, &Concepts::profile());
    assert_eq!(verdict(r#""informedParty": "did:web:a""#), Within::Yes);
    assert_eq!(verdict(r#""odrl:informedParty": {"@id": "did:web:a"}"#), Within::Yes);
    for other in [
        r#""informedParty": "did:web:b""#,
        r#""informingParty": "did:web:a""#,
        r#""constraint": []"#,
    ] {
        assert!(matches!(verdict(other), Within::Unknown(_)), "{other}");
    }
}

#[test]
fn who_and_what_a_rule_is_about_counts() {
    let to = |assignee: Option<Entity>, target: Option<Entity>| {
        let mut policy = permits(Vec::new());
        for one in &mut policy.permissions {
            one.statement.assignee.clone_from(&assignee);
            one.statement.target.clone_from(&target);
        }
        policy
    };
    let mut concepts = Concepts::new();
    let (a, b) = (to(named("did:web:a"), None), to(named("did:web:b"), None));
    assert_eq!(verdict(&a, &b, &concepts), Verdict::Conflict);
    assert_eq!(within(&a, &to(None, None), &concepts), Within::Yes);
    assert!(matches!(within(&to(None, None), &a, &concepts), Within::No { .. }));
    let (record, dataset) = (to(None, named("urn:record")), to(None, named("urn:dataset")));
    assert_eq!(verdict(&record, &dataset, &concepts), Verdict::Unknown);
    concepts.below("urn:record", "urn:dataset");
    assert_eq!(within(&record, &dataset, &concepts), Within::Yes);
}

#[test]
fn an_operand_that_is_not_spoken_of_is_free_and_not_contained() {
    let (narrow, free) = (
        permits(one("purpose", "eq", "dpv:AcademicResearch")),
        permits(Vec::new()),
    );
    let concepts = Concepts::profile();
    assert_eq!(verdict(&narrow, &free, &concepts), Verdict::Compatible);
    assert_eq!(within(&narrow, &free, &concepts), Within::Yes);
    let Within::No { request, .. } = within(&free, &narrow, &concepts) else {
        panic!()
    };
    assert_eq!(request.get("purpose"), Some(&Stated::Nothing));
    let found = operands(&narrow, &free, &concepts);
    assert_eq!(
        found
            .iter()
            .map(|one| (one.operand.as_str(), one.in_both))
            .collect::<Vec<_>>(),
        [("action", true), ("purpose", false)]
    );
}

#[test]
fn a_policy_without_permission_permits_nothing() {
    let nothing = Policy {
        prohibitions: vec![prohibition(rule("q", "use", Vec::new()))],
        ..Policy::default()
    };
    let concepts = Concepts::new();
    assert_eq!(satisfiable(&nothing, &concepts), Answer::Impossible(Vec::new()));
    assert_eq!(verdict(&nothing, &permits(Vec::new()), &concepts), Verdict::Conflict);
    assert_eq!(within(&nothing, &permits(Vec::new()), &concepts), Within::Yes);
}

#[test]
fn under_perm_a_prohibition_takes_nothing_back() {
    let policy = |conflict| Policy {
        conflict,
        prohibitions: vec![prohibition(rule("q", "use", Vec::new()))],
        ..permits(Vec::new())
    };
    let concepts = Concepts::new();
    assert!(matches!(
        satisfiable(&policy(Conflict::Perm), &concepts),
        Answer::Possible(_)
    ));
    assert!(matches!(
        satisfiable(&policy(Conflict::Prohibit), &concepts),
        Answer::Impossible(_)
    ));
    assert_eq!(contradiction(&policy(Conflict::Perm), &concepts).overlaps.len(), 1);
}

#[test]
fn under_invalid_a_conflict_voids_the_policy_and_our_profile_lets_prohibitions_win() {
    let policy = Policy {
        prohibitions: vec![prohibition(rule("q", "display", Vec::new()))],
        ..permits(Vec::new())
    };
    let ids = ["permission", "q"].map(str::to_owned).to_vec();
    let described = Concepts::new();
    assert_eq!(satisfiable(&policy, &described), Answer::Impossible(ids.clone()));
    assert_eq!(
        compatible(&policy, &permits(Vec::new()), &described),
        Answer::Impossible(ids)
    );
    assert!(matches!(
        within(&permits(Vec::new()), &policy, &described),
        Within::No { .. }
    ));
    let found = satisfiable(&policy, &Concepts::profile());
    assert!(matches!(found, Answer::Possible(_)), "{found:?}");
}

#[test]
fn what_was_read_from_json_is_reported_in_words_and_as_json() {
    let policy = |id: &str, days: &str, purpose: &str| {
        let json = serde_json::json!({
            "@type": "Set",
            "uid": id,
            "permission": [{"action": "use", "target": "urn:dataset", "constraint": [
                {"uid": format!("{id}/purpose"), "leftOperand": "purpose", "operator": "isA", "rightOperand": purpose},
                {"uid": format!("{id}/until"), "leftOperand": "elapsedTime", "operator": "lteq", "rightOperand": days},
            ]}],
            "prohibition": [{"uid": format!("{id}/no"), "action": "distribute", "target": "urn:dataset"}],
        });
        Policy::read(&json, &Reading::STRICT).unwrap()
    };
    let offer = policy("urn:offer", "P30D", "dpv:ResearchAndDevelopment");
    let counter = policy("urn:counter", "P60D", "dpv:AcademicResearch");
    let found = report(&counter, &offer, &Concepts::profile());
    let text = found.to_string();
    for line in [
        "Compatible. Both permit, for instance: action http://www.w3.org/ns/odrl/2/use, target urn:dataset",
        "elapsedTime: compatible, the first goes beyond the second",
        "purpose: compatible, the first is within the second",
        "elapsedTime at least PT0S and at most P30D",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["verdict"], "compatible");
    assert_eq!(json["first"]["withinOther"]["no"]["because"], "no permission covers it");
    let against = policy("urn:other", "P30D", "dpv:Marketing");
    assert_eq!(report(&against, &offer, &Concepts::profile()).verdict, Verdict::Unknown);
}
