//! Policies, one or two, a line each: what is not understood permits nothing, every refusal has a code and a place, a plan permits nothing
//! that the policy refuses, and comparing is reflexive and symmetric and never widens.
#![no_main]

use connector::dsp::json;
use libfuzzer_sys::fuzz_target;
use policy::{
    Action, Category, Decision, Facts, Language, Plan, Policy, Reason, RecordFacts, Stage, Timestamp, explain,
    intersect, same_terms, within,
};
use serde_json::Value;

const STAGES: [Stage; 5] = [
    Stage::Publish,
    Stage::Catalog,
    Stage::Negotiation,
    Stage::Transfer,
    Stage::Record,
];

fn facts() -> Facts {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut facts = Facts::new(now, "did:web:a.example", Action::Use);
    facts.claims.insert("role".to_owned(), ["school".to_owned()].into());
    facts
}

/// Reasons are there, and each leads to a node of the policy.
fn explained(reasons: &[Reason], value: &Value) {
    assert!(!reasons.is_empty(), "refused for no reason: {value}");
    for reason in reasons {
        // What is missing is named by the place where it should stand.
        let (parent, _) = reason.pointer.rsplit_once('/').unwrap_or_default();
        let leads = value.pointer(&reason.pointer).is_some() || value.pointer(parent).is_some();
        assert!(
            leads || reason.pointer == "/assignee",
            "{reason:?} leads nowhere in {value}"
        );
        assert!(
            !reason.text.is_empty() && reason.code.as_str().contains('-'),
            "{reason:?}"
        );
    }
}

/// A policy in words, in both languages: every part leads to its node, and nothing that is refused is told as kept.
fn told(policy: &Policy, value: &Value) {
    for language in [Language::English, Language::French] {
        let explanation = explain(policy, language);
        assert_eq!(explanation.understood, explanation.refusals.is_empty(), "{value}");
        assert_eq!(explanation.understood, policy.check(Stage::Publish).is_ok(), "{value}");
        assert_eq!(explanation.permissions.len(), policy.permissions().len(), "{value}");
        assert_eq!(explanation.prohibitions.len(), policy.prohibitions().len(), "{value}");
        let words = [
            explanation.permissions,
            explanation.prohibitions,
            explanation.obligations,
        ]
        .concat();
        for part in words {
            assert!(
                value.pointer(&part.pointer).is_some() && !part.text.is_empty(),
                "{part:?} in {value}"
            );
        }
        assert!(
            explanation
                .warnings
                .iter()
                .all(|warning| value.pointer(&warning.pointer).is_some()),
            "{value}"
        );
    }
    for lint in policy.lints() {
        assert!(
            value.pointer(&lint.pointer).is_some(),
            "{lint:?} leads nowhere in {value}"
        );
    }
}

/// Whatever the plan lets through, the policy permits, at the first and the last moment of the plan as well.
fn keeps_to(plan: &Plan, policy: &Policy) {
    let start = facts();
    assert!(
        plan.open_at(start.now).is_ok() && serde_json::to_value(plan).is_ok(),
        "{plan:?}"
    );
    let times = [Some(start.now), plan.valid_from, plan.valid_until];
    for (now, category) in times
        .into_iter()
        .flatten()
        .flat_map(|now| Category::ALL.iter().map(move |one| (now, *one)))
    {
        let purpose = plan.purposes.first().map_or("urn:any", String::as_str);
        assert!(plan.open_at(now).is_ok() && plan.allows_purpose(purpose));
        let mut record = facts();
        record.now = now;
        record.purpose = Some(purpose.to_owned());
        record.category = Some(category);
        for consent in [None, Some(false), Some(true)] {
            record.consent = consent;
            let told = RecordFacts {
                category: Some(category),
                consent,
                ..RecordFacts::default()
            };
            let decision = policy.decide(Stage::Record, &record);
            let permits = plan.permits(&told).is_ok();
            assert_eq!(permits, plan.permits_by_operations(&told), "{plan:?} {told:?}");
            assert!(
                !permits || decision.permits(),
                "{plan:?} lets {record:?} through: {decision:?}"
            );
        }
    }
}

fn read(bytes: &[u8]) -> Option<(Value, Policy)> {
    let value = json::parse(bytes).ok()?;
    let policy = match Policy::parse(&value) {
        Ok(policy) => policy,
        Err(malformed) => {
            assert!(
                value.pointer(&malformed.pointer).is_some(),
                "{malformed:?} leads nowhere in {value}"
            );
            return None;
        }
    };
    let facts = facts();
    for stage in STAGES {
        let decision = policy.decide(stage, &facts);
        match (policy.check(stage), &decision) {
            (Err(reasons), decision) => {
                assert!(!decision.permits(), "what is not understood permits nothing: {value}");
                explained(&reasons, &value);
            }
            (Ok(()), Decision::Deny(reasons)) => explained(reasons, &value),
            (Ok(()), Decision::Permit { from }) => assert!(*from >= facts.now),
        }
    }
    match policy.plan(&facts) {
        Ok(plan) => {
            assert!(
                policy.decide(Stage::Transfer, &facts).permits(),
                "planned and refused: {value}"
            );
            keeps_to(&plan, &policy);
        }
        Err(reasons) => explained(&reasons, &value),
    }
    told(&policy, &value);
    assert_eq!(same_terms(&policy, &policy), Ok(()), "{value}");
    assert_eq!(within(&policy, &policy), Ok(()), "{value}");
    Some((value, policy))
}

/// What both allow is within each, and permits nothing that one of them refuses.
fn in_common(one: &(Value, Policy), other: &(Value, Policy)) {
    let Ok(mut common) = intersect(&one.0, &other.0) else {
        return;
    };
    common["@id"] = "urn:common".into();
    let policy = Policy::parse(&common).expect("common terms can be read");
    for whole in [one, other] {
        assert_eq!(
            within(&policy, &whole.1),
            Ok(()),
            "{common} of {} and {}",
            one.0,
            other.0
        );
    }
}

fuzz_target!(|bytes: &[u8]| {
    let (one, other) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &b""[..]),
    };
    if let (Some(one), Some(other)) = (read(one), read(other)) {
        assert_eq!(
            same_terms(&one.1, &other.1).is_ok(),
            same_terms(&other.1, &one.1).is_ok()
        );
        if same_terms(&one.1, &other.1).is_ok() {
            assert_eq!(within(&one.1, &other.1), Ok(()), "the same terms are within each other");
        }
        in_common(&one, &other);
    }
});
