//! What must hold for every policy, tried on random ones.

use crate::{
    Action, Category, Claims, Facts, LeftOperand, Policy, Stage, Timestamp, Usage,
    facts::Request,
    same_terms,
    testing::{CONSUMER, agreement_json, at, constraint},
};
use proptest::{prelude::*, sample::subsequence};
use serde_json::{Value, json};
use std::time::Duration;

mod surplus;
mod terms;

const OTHER: &str = "did:web:other.example";
const PURPOSES: [&str; 3] = ["orientation", "dpv:Marketing", "elsewhere"];
const ROLES: [&str; 3] = ["school", "agency", "edtech"];
const PLACES: [&str; 3] = ["FR", "DE", "EU"];
const DAYS: [&str; 3] = ["2026-06-01T00:00:00Z", "2026-06-15T12:00:00Z", "2026-07-01T00:00:00Z"];

fn atom() -> impl Strategy<Value = Value> {
    let set = |left: &'static str, names: &'static [&'static str]| {
        let operator = prop::sample::select(vec!["isAnyOf", "isNoneOf"]);
        (operator, subsequence(names.to_vec(), 1..=2)).prop_map(move |(op, right)| constraint(left, op, json!(right)))
    };
    let clock = (
        prop::sample::select(vec!["eq", "neq", "lt", "lteq", "gt", "gteq"]),
        prop::sample::select(DAYS.to_vec()),
    )
        .prop_map(|(op, day)| constraint("dateTime", op, json!(day)));
    let consent =
        prop::sample::select(vec!["eq", "neq"]).prop_map(|op| constraint("dases:consent", op, json!("given")));
    let role = (
        prop::sample::select(vec!["isAnyOf", "isNoneOf", "isAllOf"]),
        subsequence(ROLES.to_vec(), 1..=2),
    )
        .prop_map(|(op, right)| constraint("dases:membership.role", op, json!(right)));
    let below = prop::sample::select(PURPOSES.to_vec()).prop_map(|name| constraint("purpose", "isA", json!(name)));
    let known = prop_oneof![
        set("purpose", &PURPOSES),
        set("recipient", &[CONSUMER, OTHER]),
        set("dases:dataCategory", &["skills", "results", "identity"]),
        clock,
        consent,
        role,
        below,
    ];
    prop_oneof![2 => known, 1 => atom_of_the_transfer()]
}

/// Comparisons with facts of the agreement, of the transfer and of minors.
fn atom_of_the_transfer() -> impl Strategy<Value = Value> {
    let operator = || prop::sample::select(vec!["eq", "neq", "lt", "lteq", "gt", "gteq"]);
    let since = (
        prop::sample::select(vec!["elapsedTime", "delayPeriod", "timeInterval"]),
        operator(),
        prop::sample::select(vec!["P14D", "P1M", "PT36H"]),
    )
        .prop_map(|(left, op, length)| constraint(left, op, json!(length)));
    let count = (operator(), 0..5_u8).prop_map(|(op, number)| constraint("count", op, json!(number.to_string())));
    let metered = (operator(), prop::sample::select(vec!["PT0S", "PT1H", "PT2H"]))
        .prop_map(|(op, length)| constraint("meteredTime", op, json!(length)));
    let place = (
        prop::sample::select(vec!["isAnyOf", "isNoneOf", "isAllOf", "isPartOf"]),
        subsequence(PLACES.to_vec(), 1..=2),
    )
        .prop_map(|(op, right)| constraint("spatial", op, json!(right)));
    let event = operator().prop_map(|op| constraint("event", op, json!("dases:fair")));
    let paid = (operator(), prop::sample::select(vec!["EUR", "CHF"]), 0..3_u8).prop_map(|(op, unit, amount)| {
        let mut paid = constraint("payAmount", op, json!(amount.to_string()));
        paid["unit"] = json!(unit);
        paid
    });
    let flag = (
        prop::sample::select(vec!["dases:minor", "dases:guardianConsent"]),
        prop::sample::select(vec!["eq", "neq"]),
    )
        .prop_map(|(left, op)| constraint(left, op, json!("true")));
    prop_oneof![since, count, metered, place, event, paid, flag]
}

fn condition() -> impl Strategy<Value = Value> {
    atom().prop_recursive(2, 8, 3, |inner| {
        let name = prop::sample::select(vec!["and", "or", "xone", "andSequence"]);
        (name, prop::collection::vec(inner, 1..=3)).prop_map(|(name, parts)| json!({name: parts}))
    })
}

fn rule() -> impl Strategy<Value = Value> {
    let action = prop::sample::select(vec!["use", "use", "use", "read", "distribute"]);
    (action, prop::collection::vec(condition(), 0..=2))
        .prop_map(|(action, list)| json!({"action": action, "constraint": list}))
}

fn members() -> impl Strategy<Value = (Vec<Value>, Vec<Value>)> {
    (
        prop::collection::vec(rule(), 1..=3),
        prop::collection::vec(rule(), 0..=2),
    )
}

fn policy(permissions: &[Value], prohibitions: &[Value]) -> Policy {
    Policy::parse(&agreement_json(
        json!({"permission": permissions, "prohibition": prohibitions}),
    ))
    .unwrap()
}

fn facts() -> impl Strategy<Value = Facts> {
    let now = prop::sample::select(vec![
        "2026-05-01T00:00:00Z",
        DAYS[0],
        DAYS[1],
        "2026-06-20T00:00:00Z",
        DAYS[2],
        "2026-08-01T00:00:00Z",
    ]);
    let purpose = prop::option::of(prop::sample::select(vec![
        "orientation",
        "dpv:Marketing",
        "elsewhere",
        "unheard of",
    ]));
    let category = prop::option::of(prop::sample::select(Category::ALL.to_vec()));
    let action = prop::sample::select(vec![Action::Use, Action::Read]);
    let roles = prop::option::of(subsequence(ROLES.to_vec(), 0..=2));
    let flag = || prop::option::of(any::<bool>());
    (
        now,
        action,
        purpose,
        category,
        (flag(), flag(), flag()),
        roles,
        request(),
    )
        .prop_map(
            |(now, action, purpose, category, (consent, minor, guardian_consent), roles, request)| Facts {
                purpose: purpose.map(str::to_owned),
                category,
                consent,
                minor,
                guardian_consent,
                claims: roles.map(held).unwrap_or_default(),
                request,
                ..Facts::new(at(now), CONSUMER, action)
            },
        )
}

/// Facts of the agreement and the transfer, some of them missing.
fn request() -> impl Strategy<Value = Request> {
    let usage = (
        0..4_u64,
        0..3_u64,
        prop::option::of(prop::sample::select(DAYS.to_vec())),
    )
        .prop_map(|(transfers, hours, last)| Usage {
            transfers,
            metered: Duration::from_secs(hours * 3600),
            last_transfer: last.map(at),
        });
    let day = || prop::option::of(prop::sample::select(DAYS.to_vec()).prop_map(at));
    let event = (day(), day());
    (
        prop::option::of(prop::sample::select(DAYS.to_vec())),
        prop::option::of(usage),
        prop::option::of(subsequence(PLACES.to_vec(), 0..=2)),
        prop::option::of(event),
        prop::option::of((0..3_i64, prop::sample::select(vec!["EUR", "CHF"]))),
        any::<bool>(),
    )
        .prop_map(|(agreed, usage, places, event, paid, tells_minors)| {
            let mut facts = Facts::new(Timestamp::MIN, "", Action::Use);
            if let Some(places) = places {
                facts = facts.with_named(LeftOperand::Spatial, places);
            }
            if let Some((from, until)) = event {
                facts = facts.with_event("dases:fair", from, until);
            }
            if let Some((amount, unit)) = paid {
                facts = facts.with_amount(LeftOperand::PayAmount, amount.into(), unit);
            }
            Request {
                agreed: agreed.map(at),
                usage,
                tells_minors,
                ..facts.request
            }
        })
}

/// Whether nothing of the transfer is missing.
fn complete(facts: &Facts) -> bool {
    let request = &facts.request;
    let named = request.named.len() + request.events.len() + request.numbers.len();
    request.agreed.is_some() && request.usage.is_some() && named == 3 && request.tells_minors
}

fn held(roles: Vec<&str>) -> Claims {
    Claims::from([("role".to_owned(), roles.into_iter().map(str::to_owned).collect())])
}

/// The stages whose decision is about the policy alone, not about what a plan can hold.
const SEMANTIC: [Stage; 3] = [Stage::Catalog, Stage::Transfer, Stage::Record];

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let names = vec![
        "@id",
        "@type",
        "@context",
        "uid",
        "odrl:permission",
        "permission",
        "prohibition",
        "obligation",
        "action",
        "constraint",
        "and",
        "xone",
        "leftOperand",
        "operator",
        "rightOperand",
        "@value",
        "duty",
        "target",
        "profile",
        "other",
    ];
    let words = vec![
        "use",
        "Agreement",
        "Offer",
        "dateTime",
        "lteq",
        "2026-06-15T12:00Z",
        "é",
        "2026-06-1é",
        "",
        "purpose",
        "isAnyOf",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(words).prop_map(Value::from),
        ".{0,24}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        let name = prop::sample::select(names.clone()).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn adding_a_prohibition_never_permits_more((permissions, mut prohibitions) in members(), more in rule(), facts in facts()) {
        let before = policy(&permissions, &prohibitions);
        prohibitions.push(more);
        let after = policy(&permissions, &prohibitions);
        for stage in SEMANTIC {
            prop_assert!(!after.decide(stage, &facts).permits() || before.decide(stage, &facts).permits(), "{stage:?}");
        }
    }

    #[test]
    fn adding_a_constraint_to_a_permission_never_permits_more(
        (mut permissions, prohibitions) in members(), more in condition(), facts in facts(), which in any::<prop::sample::Index>(),
    ) {
        let before = policy(&permissions, &prohibitions);
        let which = which.index(permissions.len());
        permissions[which]["constraint"].as_array_mut().unwrap().push(more);
        let after = policy(&permissions, &prohibitions);
        for stage in SEMANTIC {
            prop_assert!(!after.decide(stage, &facts).permits() || before.decide(stage, &facts).permits(), "{stage:?}");
        }
    }

    #[test]
    fn the_order_of_rules_is_irrelevant((permissions, prohibitions) in members(), facts in facts()) {
        let forwards = policy(&permissions, &prohibitions);
        let turned = |rules: &[Value]| rules.iter().rev().cloned().collect::<Vec<_>>();
        let backwards = policy(&turned(&permissions), &turned(&prohibitions));
        for stage in [Stage::Publish, Stage::Catalog, Stage::Negotiation, Stage::Transfer, Stage::Record] {
            prop_assert_eq!(forwards.decide(stage, &facts).permits(), backwards.decide(stage, &facts).permits());
        }
        let undeclared = |policy: &Policy| policy.plan(&facts).ok().map(|mut plan| { plan.declared.clear(); plan });
        prop_assert_eq!(undeclared(&forwards), undeclared(&backwards));
        prop_assert_eq!(same_terms(&forwards, &backwards), Ok(()));
    }

    #[test]
    fn without_a_permission_that_covers_the_action_everything_is_denied(rules in prop::collection::vec(rule(), 1..=3), facts in facts()) {
        let narrow: Vec<Value> = rules.iter().map(|rule| json!({"action": "distribute", "constraint": rule["constraint"]})).collect();
        for policy in [policy(&[], &rules), policy(&narrow, &[])] {
            for stage in SEMANTIC {
                let decision = policy.decide(stage, &facts);
                prop_assert!(!decision.permits() && !decision.reasons().is_empty());
            }
        }
    }

    #[test]
    fn a_refusal_always_says_why((permissions, prohibitions) in members(), facts in facts()) {
        let policy = policy(&permissions, &prohibitions);
        for stage in [Stage::Publish, Stage::Catalog, Stage::Negotiation, Stage::Transfer, Stage::Record] {
            let decision = policy.decide(stage, &facts);
            prop_assert!(decision.permits() || !decision.reasons().is_empty(), "{stage:?}");
        }
        prop_assert!(policy.plan(&facts).map_or_else(|reasons| !reasons.is_empty(), |_| true));
    }

    /// The plan against the reference: whatever it lets through, at any time it is open, the policy permits.
    #[test]
    fn a_plan_never_lets_through_what_the_policy_refuses((permissions, prohibitions) in members(), start in facts(), record in facts()) {
        let policy = policy(&permissions, &prohibitions);
        let Ok(plan) = policy.plan(&start) else { return Ok(()) };
        // A plan holds for the claims that it was made with; whoever applies it makes a new one when they change.
        let usage = record.request.usage;
        let mut record = Facts { action: start.action, claims: start.claims.clone(), request: start.request.clone(), ..record };
        // Other transfers may have started and streams stayed open since, within the bounds of the plan.
        if let (Some(now), Some(before)) = (usage, record.request.usage.as_mut()) {
            let (transfers, open) = (before.transfers + now.transfers, before.metered + now.metered);
            before.transfers = transfers.min(plan.count_limit.map_or(transfers, |limit| limit - 1));
            before.metered = open.min(plan.metered_left.map_or(open, |left| before.metered + left));
        }
        let Some(purpose) = &record.purpose else { return Ok(()) };
        prop_assert_eq!(plan.permits(&record.record()).is_ok(), plan.permits_by_operations(&record.record()));
        for now in [start.now, record.now].into_iter().chain(plan.valid_from).chain(plan.valid_until) {
            let open = plan.open_at(now).is_ok() && plan.allows_purpose(purpose);
            if let (Some(category), Some(consent), false) = (record.category, record.consent, record.request.tells_minors) {
                let by_parts = plan.allows_category(category.name()) && (consent || !plan.consent_required);
                prop_assert!(!by_parts || plan.permits(&record.record()).is_ok(), "{plan:?}");
            }
            if open && plan.permits(&record.record()).is_ok() {
                let decision = policy.decide(Stage::Record, &Facts { now, ..record.clone() });
                prop_assert!(decision.permits(), "{plan:?} {decision:?}");
            }
        }
    }

    /// And the other way: with one permission, what the plan stops, the policy refuses.
    #[test]
    fn a_plan_of_one_permission_stops_nothing_that_the_policy_permits(one in rule(), record in facts()) {
        let policy = policy(&[one], &[]);
        // Where nobody promised to tell who is a minor, a plan cannot make use of it.
        let told = record.request.tells_minors;
        let record = Facts { minor: record.minor.filter(|_| told), guardian_consent: record.guardian_consent.filter(|_| told), ..record };
        let (Ok(plan), Some(purpose)) = (policy.plan(&record), &record.purpose)
        else { return Ok(()) };
        if policy.decide(Stage::Record, &record).permits() {
            prop_assert!(plan.open_at(record.now).is_ok() && plan.allows_purpose(purpose));
            prop_assert_eq!(plan.permits(&record.record()), Ok(()));
        }
    }

    #[test]
    fn what_may_be_transferred_may_be_negotiated_and_seen((permissions, prohibitions) in members(), facts in facts()) {
        // Of nobody in particular the most helpful claims are assumed, which is not always what permits most.
        let about_claims = json!([permissions, prohibitions]).to_string().contains("membership");
        let policy = policy(&permissions, &prohibitions);
        if complete(&facts) && policy.plan(&facts).is_ok() {
            prop_assert!(about_claims || policy.decide(Stage::Publish, &facts).permits());
            for stage in [Stage::Catalog, Stage::Negotiation, Stage::Transfer] {
                prop_assert!(policy.decide(stage, &facts).permits(), "{stage:?}");
            }
        }
    }

    /// What is permitted while a fact is missing is permitted whatever the fact turns out to be.
    #[test]
    fn a_missing_fact_never_permits_more((permissions, prohibitions) in members(), full in facts(), missing in prop::collection::vec(0..10_usize, 1..4)) {
        let policy = policy(&permissions, &prohibitions);
        let mut less = full.clone();
        for which in missing {
            match which {
                0 => less.purpose = None,
                1 => less.category = None,
                2 => less.consent = None,
                3 => less.minor = None,
                4 => less.guardian_consent = None,
                5 => less.claims.clear(),
                6 => less.request.agreed = None,
                7 => less.request.usage = None,
                8 => less.request.named.clear(),
                _ => { less.request.events.clear(); less.request.numbers.clear(); }
            }
        }
        for stage in [Stage::Transfer, Stage::Record] {
            prop_assert!(!policy.decide(stage, &less).permits() || policy.decide(stage, &full).permits(), "{stage:?}");
        }
    }

    #[test]
    fn parsing_never_panics_and_what_it_refuses_has_a_place(json in arbitrary_json()) {
        match Policy::parse(&json) {
            Ok(policy) => {
                let _ = policy.check(Stage::Publish);
                let _ = policy.decide(Stage::Catalog, &Facts::new(Timestamp::MIN, "", Action::Use));
                let _ = policy.plan(&Facts::new(Timestamp::MAX, "", Action::Sell));
                prop_assert_eq!(same_terms(&policy, &policy), Ok(()));
            }
            Err(malformed) => prop_assert!(malformed.pointer.is_empty() || json.pointer(&malformed.pointer).is_some(), "{malformed}"),
        }
    }
}
