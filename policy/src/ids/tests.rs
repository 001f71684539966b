use super::*;
use crate::{
    Facts, Stage, Usage,
    testing::{CONSUMER, agreement, at, constraint, facts},
};
use serde_json::{Value, json};
use std::time::Duration;

/// A permission of `use` under one constraint, with the facts under which it holds, and under which it does not.
struct Example {
    class: Class,
    members: Value,
    good: Facts,
    bad: Option<Facts>,
}

fn under(class: Class, left: &str, operator: &str, right: Value, good: Facts, bad: Facts) -> Example {
    Example {
        class,
        members: json!({"permission": [{"action": "use", "constraint": [constraint(left, operator, right)]}]}),
        good,
        bad: Some(bad),
    }
}

/// A promise of the consumer: nothing that is known here refuses it.
fn promised(class: Class, members: Value) -> Example {
    Example {
        class,
        members,
        good: facts(),
        bad: None,
    }
}

fn named(operand: LeftOperand, name: &str) -> Facts {
    facts().with_named(operand, [name])
}

fn used(transfers: u64) -> Facts {
    facts().with_usage(Usage {
        transfers,
        ..Usage::default()
    })
}

fn claim(name: &str, value: &str) -> Facts {
    facts().with_claims([(name.to_owned(), [value.to_owned()].into())].into())
}

fn examples() -> Vec<Example> {
    use LeftOperand as L;
    let agreed = |text: &str| facts().with_agreed(at(text));
    let paid = |amount: i64| facts().with_amount(L::PayAmount, amount.into(), "EUR");
    let pay = |amount: &str| json!({"leftOperand": "payAmount", "operator": "gteq", "rightOperand": {"@value": amount, "@type": "xsd:decimal"}, "unit": "EUR"});
    let monthly = |last: &str| {
        paid(5).with_usage(Usage {
            transfers: 1,
            metered: Duration::ZERO,
            last_transfer: Some(at(last)),
        })
    };
    vec![
        under(
            Class::Consumer,
            "recipient",
            "eq",
            json!(CONSUMER),
            facts(),
            Facts {
                recipient: "did:web:other.example".to_owned(),
                ..facts()
            },
        ),
        under(
            Class::Connector,
            "idsc:CONNECTOR",
            "isAnyOf",
            json!(["did:web:one.example", "did:web:two.example"]),
            named(L::SystemDevice, "did:web:two.example"),
            named(L::SystemDevice, "did:web:three.example"),
        ),
        under(
            Class::Application,
            "idsc:APPLICATION",
            "isPartOf",
            json!(["urn:app:orientation"]),
            named(L::Application, "urn:app:orientation"),
            facts(),
        ),
        under(
            Class::Role,
            "idsc:ROLE",
            "eq",
            json!("idsc:AUDITOR"),
            named(L::Role, "https://w3id.org/idsa/code/AUDITOR"),
            named(L::Role, "idsc:ADMIN"),
        ),
        under(
            Class::Location,
            "spatial",
            "isPartOf",
            json!(["EU"]),
            named(L::Spatial, "FR-75").with_containers(L::Spatial, ["FR", "EU"]),
            named(L::Spatial, "US"),
        ),
        promised(
            Class::Purpose,
            json!({"permission": [{"action": "use", "constraint": [constraint("idsc:PURPOSE", "eq", json!("orientation"))]}]}),
        ),
        under(
            Class::Event,
            "event",
            "eq",
            json!("urn:event:fair"),
            facts().with_event("urn:event:fair", None, None),
            facts().with_event("urn:event:fair", None, Some(facts().now)),
        ),
        under(
            Class::Security,
            "idsc:SECURITY_LEVEL",
            "isPartOf",
            json!(["idsc:TRUST_PLUS_SECURITY_PROFILE", "idsc:TRUST_SECURITY_PROFILE"]),
            named(L::SecurityLevel, "idsc:TRUST_SECURITY_PROFILE"),
            named(L::SecurityLevel, "idsc:BASE_SECURITY_PROFILE"),
        ),
        Example {
            class: Class::Interval,
            members: json!({"permission": [{"action": "use", "constraint": [
                constraint("dateTime", "gteq", json!("2026-06-01T00:00:00Z")), constraint("idsc:POLICY_EVALUATION_TIME", "lteq", json!("2026-06-30T00:00:00Z")),
            ]}]}),
            good: facts(),
            bad: Some(Facts {
                now: at("2026-07-01T00:00:00Z"),
                ..facts()
            }),
        },
        under(
            Class::Duration,
            "idsc:ELAPSED_TIME",
            "eq",
            json!({"@value": "P3M", "@type": "xsd:duration"}),
            agreed("2026-04-01T00:00:00Z"),
            agreed("2026-03-01T00:00:00Z"),
        ),
        under(
            Class::Times,
            "idsc:COUNT",
            "lteq",
            json!({"@value": "10", "@type": "xsd:integer"}),
            used(9),
            used(10),
        ),
        promised(
            Class::Delete,
            json!({"permission": [{"action": "use", "duty": [{"action": "delete", "constraint": [constraint("delayPeriod", "lteq", json!("P30D"))]}]}]}),
        ),
        promised(
            Class::InTransit,
            json!({"permission": [{"action": "use", "constraint": [constraint("dataCategory", "isAnyOf", json!(["skills"]))]}]}),
        ),
        promised(
            Class::AtRest,
            json!({"permission": [{"action": "use"}], "obligation": [{"action": "anonymize"}]}),
        ),
        promised(
            Class::Log,
            json!({"permission": [{"action": "use", "duty": [{"action": "idsc:LOG"}]}]}),
        ),
        promised(
            Class::Inform,
            json!({"permission": [{"action": "use", "duty": [{"action": "inform", "informedParty": "did:web:ministry.example"}]}]}),
        ),
        promised(
            Class::PassOn,
            json!({"permission": [{"action": "use", "duty": [{"action": "nextPolicy"}]}]}),
        ),
        under(
            Class::Artifact,
            "idsc:ARTIFACT_STATE",
            "isAllOf",
            json!(["idsc:ENCRYPTED", "idsc:PSEUDONYMIZED"]),
            facts().with_named(L::ArtifactState, ["idsc:PSEUDONYMIZED", "idsc:ENCRYPTED"]),
            named(L::ArtifactState, "idsc:ENCRYPTED"),
        ),
        Example {
            class: Class::Sale,
            members: json!({"permission": [{"action": "use", "constraint": [pay("5")]}]}),
            good: paid(5),
            bad: Some(facts().with_amount(L::PayAmount, 5.into(), "CHF")),
        },
        Example {
            class: Class::Rental,
            members: json!({"permission": [{"action": "use", "constraint": [pay("5.00"), constraint("timeInterval", "eq", json!("P1M"))]}]}),
            good: monthly("2026-05-15T00:00:00Z"),
            bad: Some(monthly("2026-05-16T00:00:00Z")),
        },
        under(
            Class::Environment,
            "idsc:state",
            "eq",
            json!("idsc:FIREWALL_ACTIVE"),
            named(L::State, "idsc:FIREWALL_ACTIVE"),
            facts(),
        ),
        under(
            Class::Participant,
            "membership.country",
            "isAnyOf",
            json!(["FR", "BE"]),
            claim("country", "FR"),
            claim("country", "US"),
        ),
        promised(
            Class::UserConsent,
            json!({"permission": [{"action": "use", "constraint": [constraint("consent", "eq", json!("given"))]}]}),
        ),
        promised(
            Class::Classification,
            json!({"permission": [{"action": "use", "constraint": [constraint("dataCategory", "isNoneOf", json!(["special-needs"]))]}]}),
        ),
        under(
            Class::Anonymisation,
            "artifactState",
            "isAnyOf",
            json!(["idsc:ANONYMIZED", "aggregated"]),
            named(L::ArtifactState, "dases:aggregated"),
            named(L::ArtifactState, "idsc:PSEUDONYMIZED"),
        ),
    ]
}

#[test]
fn an_example_of_every_class_is_recognised_and_kept() {
    let examples = examples();
    let shown: Vec<Class> = examples.iter().map(|example| example.class).collect();
    assert_eq!(shown, Class::ALL);
    for Example {
        class,
        members,
        good,
        bad,
    } in examples
    {
        let policy = agreement(members);
        assert!(classes(&policy).contains(&class), "{class:?}: {:?}", classes(&policy));
        let plan = policy
            .plan(&good)
            .unwrap_or_else(|reasons| panic!("{class:?}: {reasons:?}"));
        match bad {
            Some(bad) => assert!(policy.plan(&bad).is_err(), "{class:?}"),
            None => assert!(
                class.enforcement() == Enforcement::NeedsConsumer && !plan.duties.is_empty()
                    || class == Class::Log && !plan.duties.is_empty()
                    || class == Class::Inform && !plan.informed.is_empty()
                    || !plan.purposes.is_empty()
                    || plan.categories.is_some()
                    || plan.consent_required,
                "{class:?}: {plan:?}"
            ),
        }
        assert!(policy.decide(Stage::Negotiation, &good).permits(), "{class:?}");
    }
}

#[test]
fn most_classes_are_kept_here() {
    let first: Vec<&Class> = Class::ALL.iter().filter(|class| class.number() <= 21).collect();
    assert_eq!(first.len(), 21);
    let kept = |enforcement| first.iter().filter(|class| class.enforcement() == enforcement).count();
    assert!(kept(Enforcement::NeedsConsumer) <= 5);
    assert!(kept(Enforcement::Enforced) >= 10);
    // The purpose: what a party says, and no more.
    assert_eq!(kept(Enforcement::Declared), 1);
    let numbers: Vec<u8> = Class::ALL.iter().map(|class| class.number()).collect();
    assert_eq!(numbers, (1..=25).collect::<Vec<u8>>());
}

#[test]
fn a_policy_that_is_not_understood_has_no_classes() {
    let policy = agreement(
        json!({"permission": [{"action": "use", "constraint": [constraint("virtualLocation", "eq", json!("x"))]}]}),
    );
    assert_eq!(classes(&policy), []);
}
