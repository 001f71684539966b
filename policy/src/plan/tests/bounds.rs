//! Lengths of time, counts and meters as bounds of a plan; facts of the transfer and of minors.

use super::*;
use crate::{Decision, Facts, LeftOperand, Usage, testing::CONSUMER};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn agreed(text: &str) -> Facts {
    facts().with_agreed(at(text))
}

fn used(transfers: u64, metered: Duration) -> Facts {
    facts().with_usage(Usage {
        transfers,
        metered,
        last_transfer: None,
    })
}

fn since(left: &str, operator: &str, length: &str) -> Policy {
    permitting(constraint(left, operator, json!(length)))
}

fn codes(policy: &Policy, facts: &Facts) -> Vec<&'static str> {
    policy
        .plan(facts)
        .unwrap_err()
        .iter()
        .map(|reason| reason.code.as_str())
        .collect()
}

#[test]
fn elapsed_time_is_counted_from_the_agreement_on_the_calendar() {
    let cases = [
        ("lteq", "P1M", "2026-05-31T12:00:00Z", Some("2026-06-30T12:00:00Z")),
        ("eq", "P1M", "2026-05-31T12:00:00Z", Some("2026-06-30T12:00:00Z")),
        ("lt", "P1M", "2026-05-31T12:00:00Z", Some("2026-06-30T11:59:59.999Z")),
        ("lteq", "P1M", "2026-01-31T12:00:00Z", None),
        ("lteq", "P30D", "2026-06-01T00:00:00Z", Some("2026-07-01T00:00:00Z")),
        ("lteq", "P1MT12H", "2026-05-31T12:00:00Z", Some("2026-07-01T00:00:00Z")),
    ];
    for (operator, length, from, until) in cases {
        let policy = since("elapsedTime", operator, length);
        match until {
            Some(until) => {
                let plan = policy.plan(&agreed(from)).unwrap();
                assert_eq!(
                    (plan.valid_from, plan.valid_until),
                    (None, Some(at(until))),
                    "{operator} {length}"
                );
            }
            None => assert_eq!(codes(&policy, &agreed(from)), ["POL-05"], "{operator} {length}"),
        }
        assert_eq!(codes(&policy, &facts()), ["CST-02"], "without an anchor");
        assert!(policy.decide(Stage::Negotiation, &facts()).permits());
    }
}

#[test]
fn a_delay_opens_and_an_interval_waits_for_the_transfer_before() {
    let delay = since("delayPeriod", "gteq", "P14D");
    let plan = delay.plan(&agreed("2026-06-01T12:00:00Z")).unwrap();
    assert_eq!(
        (plan.valid_from, plan.valid_until),
        (Some(at("2026-06-15T12:00:00Z")), None)
    );
    assert_eq!(codes(&delay, &agreed("2026-06-01T12:00:00.001Z")), ["POL-05"]);

    let interval = since("timeInterval", "eq", "P1M");
    let last = |text: &str| {
        facts().with_usage(Usage {
            last_transfer: Some(at(text)),
            ..Usage::default()
        })
    };
    assert!(interval.plan(&last("2026-05-15T12:00:00Z")).is_ok());
    assert_eq!(codes(&interval, &last("2026-05-15T12:00:00.001Z")), ["POL-05"]);
    assert!(
        interval.plan(&used(0, Duration::ZERO)).is_ok(),
        "a first transfer need not wait"
    );
    assert_eq!(codes(&interval, &facts()), ["CST-02"]);
}

#[test]
fn a_count_limits_how_many_transfers_may_ever_be_started() {
    let permitted = |operator: &str, right: &str| permitting(constraint("count", operator, json!(right)));
    let prohibited = |operator: &str, right: &str| prohibiting(constraint("count", operator, json!(right)));
    for (policy, limit) in [
        (permitted("lteq", "10"), 10),
        (permitted("lt", "10"), 9),
        (prohibited("gt", "10"), 10),
        (prohibited("gteq", "10"), 9),
    ] {
        for before in [0, limit - 1] {
            assert_eq!(policy.plan(&used(before, HOUR)).unwrap().count_limit, Some(limit));
        }
        assert!(!policy.decide(Stage::Transfer, &used(limit, HOUR)).permits());
        assert!(policy.plan(&used(limit, HOUR)).is_err() && policy.plan(&facts()).is_err());
        assert!(
            policy.decide(Stage::Publish, &facts()).permits() && policy.decide(Stage::Negotiation, &facts()).permits()
        );
    }
    assert_eq!(codes(&permitted("lteq", "10"), &used(10, HOUR)), ["SYS-01"]);
    assert_eq!(permitted("gteq", "2").plan(&used(1, HOUR)).unwrap().count_limit, None);
    assert!(permitted("gteq", "2").plan(&used(0, HOUR)).is_err());
    assert_eq!(codes(&permitted("lteq", "1.5"), &used(0, HOUR)), ["CST-04"]);
    assert_eq!(codes(&permitted("lteq", "-1"), &used(0, HOUR)), ["CST-04"]);
}

#[test]
fn what_no_count_can_satisfy_is_not_published() {
    let never =
        permitting(json!({"and": [constraint("count", "gt", json!("5")), constraint("count", "lt", json!("5"))]}));
    let refused = never.decide(Stage::Publish, &facts());
    assert_eq!(named(refused.reasons()), [("CST-05", "/permission/0")]);
}

#[test]
fn a_meter_limits_how_long_streams_may_stay_open() {
    let within = |operator: &str, length: &str| since("meteredTime", operator, length);
    let left = |policy: &Policy, metered| policy.plan(&used(0, metered)).map(|plan| plan.metered_left);
    assert_eq!(left(&within("lteq", "PT10H"), HOUR), Ok(Some(9 * HOUR)));
    assert_eq!(left(&within("eq", "PT600M"), HOUR), Ok(Some(9 * HOUR)));
    assert_eq!(
        left(&within("lt", "PT2H"), HOUR),
        Ok(Some(HOUR - Duration::from_millis(1)))
    );
    assert_eq!(left(&within("lteq", "PT1H"), HOUR), Ok(Some(Duration::ZERO)));
    assert!(left(&within("lt", "PT1H"), HOUR).is_err());
    assert_eq!(
        left(&prohibiting(constraint("meteredTime", "gt", json!("PT2H"))), HOUR),
        Ok(Some(HOUR))
    );
    assert_eq!(left(&within("gteq", "PT1H"), HOUR), Ok(None));
    // A month is no length that could be summed up.
    assert_eq!(codes(&within("lteq", "P60M"), &used(0, HOUR)), ["CST-04"]);
}

/// Each bound alone would be too wide: an hour more, and at the same time a later date, is refused.
#[test]
fn bounds_hold_together() {
    let policy = permitting(json!({"or": [
        constraint("dateTime", "lteq", json!("2026-06-30T00:00:00Z")), constraint("meteredTime", "lteq", json!("PT2H")),
    ]}));
    let plan = policy.plan(&used(0, HOUR)).unwrap();
    assert_eq!((plan.valid_until, plan.metered_left), (None, Some(HOUR)));
    let later = Facts {
        now: at("2026-07-01T00:00:00Z"),
        ..used(0, HOUR)
    };
    assert_eq!(policy.plan(&later).unwrap().metered_left, Some(HOUR));
}

#[test]
fn an_unusable_length_is_refused_before_anything_is_agreed() {
    for (left, right) in [
        ("elapsedTime", "-P1D"),
        ("elapsedTime", "60 minutes"),
        ("elapsedTime", "PT0.0001S"),
        ("delayPeriod", "P"),
        ("meteredTime", "P1Y"),
    ] {
        assert_eq!(
            codes(&since(left, "lteq", right), &agreed("2026-06-01T00:00:00Z")),
            ["CST-04"],
            "{left} {right}"
        );
    }
    let typed = json!({"@value": "P1M", "@type": "xsd:string"});
    assert_eq!(
        codes(&permitting(constraint("elapsedTime", "lteq", typed)), &facts()),
        ["CST-04"]
    );
}

#[test]
fn names_of_the_transfer_are_compared_as_sets_in_any_spelling_and_missing_ones_refuse() {
    let base = |operator: &str, right: Value| permitting(constraint("dpv-odrl:LegalBasis", operator, right));
    let has = |names: &[&str]| facts().with_named(LeftOperand::LegalBasis, names.iter().copied());
    let consent = "https://w3id.org/dpv/legal/eu/gdpr#A6-1-a";
    assert!(base("eq", json!("eu-gdpr:A6-1-a")).plan(&has(&[consent])).is_ok());
    assert!(
        base("isAnyOf", json!(["eu-gdpr:A6-1-a", "eu-gdpr:A6-1-e"]))
            .plan(&has(&["eu-gdpr:A6-1-e"]))
            .is_ok()
    );
    assert_eq!(
        codes(&base("eq", json!(consent)), &has(&["eu-gdpr:A6-1-e"])),
        ["CST-01"]
    );
    assert_eq!(
        codes(&base("isNoneOf", json!([consent])), &has(&["eu-gdpr:A6-1-a"])),
        ["CST-01"]
    );
    assert_eq!(codes(&base("isAllOf", json!(["a", "b"])), &has(&["a"])), ["CST-01"]);
    assert!(base("hasPart", json!(["a", "b"])).plan(&has(&["a", "b", "c"])).is_ok());
    assert_eq!(
        codes(&base("isA", json!("a")), &has(&["b"])),
        ["CST-02"],
        "b may be a kind of a"
    );
    for operator in ["eq", "neq", "isAnyOf", "isNoneOf", "isAllOf", "isPartOf"] {
        let asked = constraint("language", operator, json!("fr"));
        assert_eq!(codes(&permitting(asked.clone()), &facts()), ["CST-02"], "{operator}");
        assert!(permitting(asked.clone()).decide(Stage::Negotiation, &facts()).permits());
        assert!(prohibiting(asked.clone()).decide(Stage::Publish, &facts()).permits());
        assert!(!prohibiting(asked).decide(Stage::Transfer, &facts()).permits());
    }
}

#[test]
fn an_amount_compares_in_its_own_unit_only() {
    let priced = |unit: Option<&str>| {
        let mut price = constraint("payAmount", "gteq", json!({"@value": "5.00", "@type": "xsd:decimal"}));
        if let Some(unit) = unit {
            price["unit"] = json!(unit);
        }
        permitting(price)
    };
    let paid = |amount: i64| facts().with_amount(LeftOperand::PayAmount, amount.into(), "iso4217:EUR");
    assert!(priced(Some("iso4217:EUR")).plan(&paid(5)).is_ok());
    assert_eq!(codes(&priced(Some("iso4217:EUR")), &paid(4)), ["CST-01"]);
    assert_eq!(codes(&priced(Some("iso4217:CHF")), &paid(5)), ["CST-02"]);
    assert_eq!(codes(&priced(None), &paid(5)), ["CST-02"]);
    let number = facts().with_number(LeftOperand::PayAmount, 5.into());
    assert!(priced(None).plan(&number).is_ok());
    let group = permitting(constraint("minGroupSize", "gteq", json!("10")));
    assert!(
        group
            .plan(&facts().with_number(LeftOperand::MinGroupSize, 10.into()))
            .is_ok()
    );
    assert!(
        group
            .plan(&facts().with_number(LeftOperand::MinGroupSize, 9.into()))
            .is_err()
    );
}

#[test]
fn an_event_is_before_during_or_after_the_use() {
    let fair = |from, until| facts().with_event("fair", Some(at(from)), Some(at(until)));
    let known = [
        fair("2026-06-15T12:00:00.001Z", "2026-07-01T00:00:00Z"),
        fair("2026-06-15T12:00:00Z", "2026-06-15T12:00:00.001Z"),
        fair("2026-06-01T00:00:00Z", "2026-06-15T12:00:00Z"),
    ];
    for (operator, expected) in [
        ("lt", [true, false, false]),
        ("lteq", [true, true, false]),
        ("eq", [false, true, false]),
        ("neq", [true, false, true]),
        ("gteq", [false, true, true]),
        ("gt", [false, false, true]),
    ] {
        let policy = permitting(constraint("event", operator, json!("dases:fair")));
        let permits = known.each_ref().map(|facts| policy.plan(facts).is_ok());
        assert_eq!(permits, expected, "{operator}");
        let always = policy.plan(&facts().with_event("fair", None, None));
        assert_eq!(always.is_ok(), expected[1], "{operator}");
        assert_eq!(codes(&policy, &facts()), ["CST-02"]);
        let itself = permitting(constraint("event", operator, json!("odrl:policyUsage")));
        assert_eq!(itself.plan(&facts()).is_ok(), expected[1], "{operator}");
    }
}

#[test]
fn the_times_of_an_event_bound_the_plan_to_the_millisecond() {
    let (begins, ends) = ("2026-06-10T08:00:00Z", "2026-06-20T18:00:00Z");
    let (before, last) = ("2026-06-10T07:59:59.999Z", "2026-06-20T17:59:59.999Z");
    let window = |policy: Policy, now: &str| {
        let facts = facts_at(now).with_event("dases:fair", Some(at(begins)), Some(at(ends)));
        policy.plan(&facts).map(|plan| (plan.valid_from, plan.valid_until)).ok()
    };
    let early = "2026-06-01T00:00:00Z";
    let late = "2026-07-01T00:00:00Z";
    for (operator, now, expected) in [
        ("eq", "2026-06-15T12:00:00Z", Some((Some(begins), Some(last)))),
        ("eq", begins, Some((Some(begins), Some(last)))),
        ("eq", last, Some((Some(begins), Some(last)))),
        ("eq", before, None),
        ("eq", ends, None),
        ("lt", early, Some((None, Some(before)))),
        ("lteq", early, Some((None, Some(last)))),
        ("gteq", late, Some((Some(begins), None))),
        ("gt", late, Some((Some(ends), None))),
        ("neq", early, Some((None, Some(before)))),
        ("neq", late, Some((Some(ends), None))),
    ] {
        let expected = expected.map(|(from, until)| (from.map(at), until.map(at)));
        let policy = permitting(constraint("event", operator, json!("fair")));
        assert_eq!(window(policy, now), expected, "{operator} at {now}");
    }
    let forbidden = prohibiting(constraint("event", "eq", json!("fair")));
    assert_eq!(window(forbidden, early), Some((None, Some(at(before)))));
    let itself = permitting(constraint("event", "eq", json!("odrl:policyUsage")));
    assert_eq!(window(itself, early), Some((None, None)));
}

#[test]
fn what_waits_for_an_event_is_permitted_from_its_beginning_and_never_after_its_end() {
    let policy = permitting(constraint("event", "eq", json!("fair")));
    let ahead = |now| {
        facts_at(now).with_event(
            "fair",
            Some(at("2026-06-20T00:00:00Z")),
            Some(at("2026-06-21T00:00:00Z")),
        )
    };
    let decided = policy.decide(Stage::Negotiation, &ahead("2026-06-15T00:00:00Z"));
    let from = at("2026-06-20T00:00:00Z");
    assert_eq!(decided, Decision::Permit { from });
    assert!(
        !policy
            .decide(Stage::Negotiation, &ahead("2026-06-21T00:00:00Z"))
            .permits()
    );
}

#[test]
fn what_already_holds_or_no_longer_can_is_not_told_to_be_lacking() {
    let place = || constraint("spatial", "eq", json!("FR"));
    let language = || constraint("language", "eq", json!("fr"));
    let recipient = |name: &str| constraint("recipient", "eq", json!(name));
    let told = |permissions: Value| {
        let refused = agreement(json!({"permission": permissions}))
            .plan(&facts())
            .unwrap_err();
        let told = named(&refused).into_iter();
        told.map(|(code, pointer)| format!("{code} {pointer}"))
            .collect::<Vec<_>>()
    };
    let using = |constraint: Value| json!({"action": "use", "constraint": [constraint]});
    // Another's alternative, though no more is lacking of it and it stands first.
    let other = json!({"and": [recipient("did:web:other"), language()]});
    let alternatives = using(json!({"or": [other, place()]}));
    assert_eq!(told(json!([alternatives])), ["CST-02 /permission/0/constraint/0/or/1"]);
    // Another's permission.
    let permissions = json!([using(other), using(place())]);
    assert_eq!(told(permissions), ["CST-02 /permission/1/constraint/0"]);
    // An alternative to what holds.
    let holds = json!({"or": [recipient(CONSUMER), language()]});
    let both = using(json!({"and": [holds, place()]}));
    assert_eq!(told(json!([both])), ["CST-02 /permission/0/constraint/0/and/1"]);
}

#[test]
fn minors_need_whoever_tells_them_apart() {
    let guarded = permitting(json!({"and": [given(), {"or": [
        constraint("minor", "eq", json!("false")), constraint("guardianConsent", "eq", json!("true")),
    ]}]}));
    assert!(guarded.decide(Stage::Negotiation, &facts()).permits());
    // Either would do; the first is told.
    let refused = guarded.decide(Stage::Transfer, &facts());
    assert_eq!(
        named(refused.reasons()),
        [("CST-02", "/permission/0/constraint/0/and/1/or/0")]
    );
    let plan = guarded.plan(&facts().with_minors_told()).unwrap();
    let record = |minor, guardian_consent| RecordFacts {
        minor,
        guardian_consent,
        ..RecordFacts::consented(Category::Skills)
    };
    assert_eq!(plan.permits(&record(Some(false), None)), Ok(()));
    assert_eq!(plan.permits(&record(Some(true), Some(true))), Ok(()));
    assert_eq!(plan.permits(&record(None, Some(true))), Ok(()));
    assert_eq!(plan.permits(&record(Some(true), None)), Err(Code::GuardianMissing));
    assert_eq!(plan.permits(&record(None, None)), Err(Code::GuardianMissing));
    let refused = RecordFacts {
        consent: Some(false),
        ..record(Some(false), None)
    };
    assert_eq!(plan.permits(&refused), Err(Code::ConsentNone));
}

#[test]
fn personal_data_of_the_privacy_vocabulary_is_read_as_categories() {
    let policy = permitting(constraint(
        "dpv-odrl:PersonalData",
        "isAnyOf",
        json!(["pd:WorkHistory", "https://w3id.org/dpv/pd#ProfessionalCertification"]),
    ));
    assert_eq!(plan(&policy).categories.unwrap(), ["certificates", "experience"]);
}

#[test]
fn consequences_and_remedies_are_carried_as_promises() {
    let policy = agreement(json!({
        "permission": [{"action": "use", "duty": [{"action": "delete", "consequence": [{"action": "compensate"}]}]}],
        "prohibition": [{"action": "sell", "remedy": [{"action": "inform"}]}],
    }));
    let plan = plan(&policy);
    let then = |carried: &Carried| {
        carried
            .otherwise
            .iter()
            .map(|one| (one.action, one.pointer.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        then(&plan.duties[0]),
        [(Action::Compensate, "/permission/0/duty/0/consequence/0".to_owned())]
    );
    assert_eq!(
        then(&plan.declared[0]),
        [(Action::Inform, "/prohibition/0/remedy/0".to_owned())]
    );
    let with = |action: &str| {
        agreement(
            json!({"permission": [{"action": "use", "duty": [{"action": "delete", "consequence": [{"action": action}]}]}]}),
        )
    };
    assert!(crate::same_terms(&with("inform"), &with("compensate")).is_err());
    assert!(crate::within(&with("inform"), &with("compensate")).is_err());
    assert_eq!(
        named(&with("play").plan(&facts()).unwrap_err()),
        [("DUT-02", "/permission/0/duty/0/consequence/0/action")]
    );
}

#[test]
fn a_credential_is_asked_for_by_type_and_claim() {
    let policy = permitting(constraint(
        "dases:credential.Certification.level",
        "isAnyOf",
        json!(["2", "3"]),
    ));
    let with = |key: &str| facts().with_claims([(key.to_owned(), ["3".to_owned()].into())].into());
    assert!(policy.plan(&with("credential.Certification.level")).is_ok());
    assert_eq!(codes(&policy, &with("level")), ["CST-02"]);
    for left in [
        "credential",
        "credential.X",
        "credential.X.",
        "credential..x",
        "credential.X.y.z",
    ] {
        let refused = permitting(constraint(left, "eq", json!("x")))
            .check(Stage::Publish)
            .unwrap_err();
        assert_eq!(refused[0].code, Code::NotUnderstood, "{left}");
    }
}

#[test]
fn a_policy_tells_which_operands_it_asks_for() {
    let policy = agreement(json!({
        "permission": [{"action": "use", "constraint": [{"or": [given(), constraint("idsc:COUNT", "lteq", json!("5"))]}]}],
        "prohibition": [{"action": "sell", "constraint": [constraint("spatial", "neq", json!("FR"))]}],
        "obligation": [{"action": "delete", "constraint": [constraint("elapsedTime", "lteq", json!("P1M"))]}],
    }));
    let asked: Vec<LeftOperand> = policy.asks_for().into_iter().collect();
    assert_eq!(asked, [LeftOperand::Consent, LeftOperand::Count, LeftOperand::Spatial]);
}

#[test]
fn a_policy_tells_how_large_groups_must_be() {
    let bound = |operator: &str, number: &str| constraint("minGroupSize", operator, json!(number));
    for (operator, number, least) in [
        ("gteq", "12", Some(12)),
        ("gt", "12", Some(13)),
        ("gteq", "11.5", Some(12)),
        ("gt", "11.5", Some(12)),
        ("eq", "20", Some(20)),
        ("gteq", "-3", Some(0)),
        ("gteq", "99999999999", Some(u32::MAX)),
        ("lteq", "12", None),
    ] {
        let policy = permitting(bound(operator, number));
        assert_eq!(policy.group_size(), least, "{operator} {number}");
    }
    assert_eq!(prohibiting(bound("lt", "12")).group_size(), Some(12));
    assert_eq!(prohibiting(bound("lteq", "12")).group_size(), Some(13));
    assert_eq!(prohibiting(bound("gt", "12")).group_size(), None);
    assert_eq!(
        permitting(json!({"or": [bound("gteq", "6"), bound("gteq", "15")]})).group_size(),
        Some(15)
    );
    assert_eq!(permitting(given()).group_size(), None);
    // Where nothing shows groups, a bound on them is not met.
    assert_eq!(codes(&permitting(bound("gteq", "12")), &facts()), ["CST-02"]);
}
