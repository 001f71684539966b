//! Tests: each operand of the profile is decided at the stages at which its row says that it has a value, and is open before.

use super::*;
use crate::{
    LeftOperand, Usage,
    testing::{CONSUMER, at, constraint, facts, permitting, prohibiting},
    vocabulary::Known,
};
use serde_json::{Value, json};
use std::time::Duration;

/// A comparison of an operand, without it in the facts and with a value of it that makes the comparison true.
fn example(operand: LeftOperand) -> (Value, Facts, Facts) {
    use LeftOperand as L;
    let name = operand.name();
    let number = |text: &str| json!({"@value": text, "@type": "xsd:decimal"});
    let claim = |key: &str| facts().with_claims([(key.to_owned(), ["x".to_owned()].into())].into());
    let agreed = facts().with_agreed(at("2026-06-14T12:00:00Z"));
    let used = facts().with_usage(Usage {
        transfers: 1,
        metered: Duration::from_secs(1),
        last_transfer: Some(at("2026-06-13T12:00:00Z")),
    });
    let (atom, with) = match operand {
        L::DateTime => (constraint(name, "gteq", json!("2026-06-01T00:00:00Z")), facts()),
        L::Recipient => (constraint(name, "eq", json!(CONSUMER)), facts()),
        L::Purpose => {
            let purpose = Some("orientation".to_owned());
            (
                constraint(name, "eq", json!("orientation")),
                Facts { purpose, ..facts() },
            )
        }
        L::Consent => {
            let consent = Some(true);
            (constraint(name, "eq", json!("given")), Facts { consent, ..facts() })
        }
        L::DataCategory => {
            let category = crate::Category::read("skills");
            (constraint(name, "eq", json!("skills")), Facts { category, ..facts() })
        }
        L::Minor => {
            let minor = Some(false);
            (constraint(name, "eq", json!("false")), Facts { minor, ..facts() })
        }
        L::GuardianConsent => {
            let guardian_consent = Some(true);
            (
                constraint(name, "eq", json!("true")),
                Facts {
                    guardian_consent,
                    ..facts()
                },
            )
        }
        L::Membership => (constraint("membership.country", "eq", json!("x")), claim("country")),
        L::Credential => {
            let key = "credential.Diploma.level";
            (constraint(key, "eq", json!("x")), claim(key))
        }
        L::ElapsedTime => (constraint(name, "lteq", json!("P3D")), agreed),
        L::DelayPeriod => (constraint(name, "gteq", json!("PT1H")), agreed),
        L::TimeInterval => (constraint(name, "eq", json!("P1D")), used),
        L::MeteredTime => (constraint(name, "lteq", json!("PT1H")), used),
        L::Count => (
            constraint(name, "lteq", json!({"@value": "3", "@type": "xsd:integer"})),
            used,
        ),
        L::Event => {
            let event = "urn:event:fair";
            (
                constraint(name, "eq", json!(event)),
                facts().with_named(operand, [event]),
            )
        }
        L::PayAmount => {
            let mut atom = constraint(name, "gteq", number("5"));
            atom["unit"] = json!("EUR");
            (atom, facts().with_amount(operand, 5.into(), "EUR"))
        }
        L::MinGroupSize => (
            constraint(name, "gteq", number("5")),
            facts().with_number(operand, 5.into()),
        ),
        _ => (
            constraint(name, "eq", json!("urn:x")),
            facts().with_named(operand, ["urn:x"]),
        ),
    };
    (atom, facts(), with)
}

#[test]
fn every_operand_is_decided_from_its_stage_on_and_open_before() {
    use Stage::{Catalog, Negotiation, Publish, Record, Transfer};
    for operand in LeftOperand::ALL {
        let (atom, without, with) = example(*operand);
        let policy = permitting(atom.clone());
        assert_eq!(policy.asks_for(), [*operand].into());
        for stage in [Publish, Catalog, Negotiation, Transfer, Record] {
            let decided = policy.decide(stage, &with);
            let minors = matches!(operand, LeftOperand::Minor | LeftOperand::GuardianConsent);
            if minors && stage == Transfer {
                assert!(!decided.permits(), "nobody has promised to tell");
                assert!(policy.decide(stage, &with.clone().with_minors_told()).permits());
            } else {
                assert!(decided.permits(), "{operand} {stage:?}: {decided:?}");
            }
        }
        let first_refused = match operand.operand().known {
            Known::Always => continue,
            // Who asks is always known.
            Known::Consumer if *operand == LeftOperand::Recipient => continue,
            Known::Consumer => Catalog,
            Known::Transfer => Transfer,
            Known::Record => Record,
        };
        let without = without.with_minors_told();
        for stage in [Publish, Catalog, Negotiation, Transfer, Record] {
            let permitted = stage < first_refused;
            let decided = policy.decide(stage, &without);
            assert_eq!(decided.permits(), permitted, "{operand} {stage:?}: {decided:?}");
            // What records show is not prohibited by itself in a way that a plan could hold.
            if first_refused != Record {
                let decided = prohibiting(atom.clone()).decide(stage, &without);
                assert_eq!(decided.permits(), permitted, "{operand} {stage:?}: {decided:?}");
            }
        }
    }
}

#[test]
fn a_consumer_without_what_a_policy_asks_of_it_is_refused_before_anything_is_agreed() {
    for operand in [
        LeftOperand::Role,
        LeftOperand::Spatial,
        LeftOperand::SecurityLevel,
        LeftOperand::State,
    ] {
        let policy = permitting(constraint(operand.name(), "eq", json!("urn:x")));
        for stage in [Stage::Catalog, Stage::Negotiation] {
            let other = policy.decide(stage, &facts().with_named(operand, ["urn:y"]));
            let nothing = policy.decide(stage, &facts());
            assert_eq!(other.reasons()[0].code.as_str(), "CST-01", "{operand} {stage:?}");
            assert_eq!(nothing.reasons()[0].code.as_str(), "CST-02", "{operand} {stage:?}");
        }
        assert!(
            policy.decide(Stage::Publish, &facts()).permits(),
            "somebody may have it"
        );
    }
}
