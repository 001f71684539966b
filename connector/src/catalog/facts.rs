//! What is known when a policy is asked: about a consumer from its verified claims and what they attest, about a dataset from its
//! description, about a transfer from what it is, about events from the operator's register. Where nothing is known nothing is said, and the policy refuses.

use super::{Dataset, DatasetError};
use crate::{dsp::FORMAT_HTTP_PUSH, trust::Party};
use policy::{Action, Facts, LeftOperand, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An event of the operator's register, to which constraints on `odrl:event` refer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Its IRI.
    pub id: String,
    /// When it begins; without this it has begun.
    pub from: Option<Timestamp>,
    /// When it ends: the first instant at which it is over; without this it goes on.
    pub until: Option<Timestamp>,
}

/// The operands that the description of a dataset may speak about.
pub(super) const DESCRIBED: [LeftOperand; 5] = [
    LeftOperand::Language,
    LeftOperand::Version,
    LeftOperand::Product,
    LeftOperand::ArtifactState,
    LeftOperand::LegalBasis,
];

/// How records are written on the wire.
const FILE_FORMATS: [&str; 2] = [
    "application/x-ndjson",
    "https://www.iana.org/assignments/media-types/application/x-ndjson",
];

/// What this connector does to every record that leaves (`artifactState`).
const DONE_TO_RECORDS: [&str; 2] = ["pseudonymised", "pseudonymized"];

/// What is known of the consumer, who wants to do this, before any record is looked at.
pub fn facts(recipient: &Party, action: Action, now: Timestamp) -> Facts {
    // The data plane asks the plan about every record, with what the live index knows of its learner.
    let facts = Facts::new(now, recipient.did.as_str(), action)
        .with_minors_told()
        .with_claims(recipient.claims.clone())
        .with_named(LeftOperand::SystemDevice, [recipient.did.as_str()]);
    recipient.attested.iter().fold(facts, |facts, (operand, values)| {
        let facts = facts.with_named(*operand, values);
        match operand {
            LeftOperand::Spatial => facts.with_containers(*operand, values.iter().flat_map(|place| containing(place))),
            _ => facts,
        }
    })
}

/// The same with what is known of a dataset, whoever gets it.
pub(super) fn of_dataset(facts: Facts, dataset: &Dataset) -> Facts {
    let facts = facts.with_named(LeftOperand::FileFormat, FILE_FORMATS);
    let states = dataset.described(LeftOperand::ArtifactState);
    let facts = match &dataset.release {
        // Records show no group: a bound on its size is never met by them.
        None => facts.with_named(LeftOperand::ArtifactState, states.chain(DONE_TO_RECORDS)),
        Some(release) => facts
            .with_named(LeftOperand::ArtifactState, states)
            .with_number(LeftOperand::MinGroupSize, i64::from(release.group_size().get()).into()),
    };
    DESCRIBED
        .into_iter()
        .filter(|operand| *operand != LeftOperand::ArtifactState && dataset.described(*operand).next().is_some())
        .fold(facts, |facts, operand| {
            facts.with_named(operand, dataset.described(operand))
        })
}

/// The same with what is known once a transfer of a dataset starts.
pub fn of_transfer(facts: Facts, dataset: &Dataset, format: &str, events: &[Event]) -> Facts {
    let channel = if format == FORMAT_HTTP_PUSH { "push" } else { "pull" };
    let facts = of_dataset(facts, dataset).with_named(LeftOperand::DeliveryChannel, [format, channel]);
    events.iter().fold(facts, |facts, event| {
        facts.with_event(&event.id, event.from, event.until)
    })
}

/// A place and all that contain it, as far as codes say so: NUTS codes begin with the code of what contains them, subdivisions of ISO 3166-2
/// with that of their country.
fn containing(place: &str) -> Vec<&str> {
    let upper = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    let country = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_uppercase());
    if let Some((nation, part)) = place.split_once('-')
        && country(nation)
        && upper(part)
    {
        return vec![place, nation];
    }
    match place.get(..2) {
        // A code of NUTS has digits after the country's letters: three letters alone are a country's other code, or no code at all.
        Some(nation)
            if country(nation)
                && upper(place)
                && place.len() <= 5
                && place.bytes().any(|byte| byte.is_ascii_digit()) =>
        {
            (2..=place.len()).rev().filter_map(|end| place.get(..end)).collect()
        }
        _ => vec![place],
    }
}

impl Dataset {
    pub(super) fn described(&self, operand: LeftOperand) -> impl Iterator<Item = &str> {
        self.facts.get(operand.name()).into_iter().flatten().map(String::as_str)
    }
}

/// Whether a description names only operands that it may speak about, each with a name at least.
pub(super) fn check(described: &BTreeMap<String, BTreeSet<String>>) -> Result<(), DatasetError> {
    for (name, values) in described {
        let problem = if !DESCRIBED.iter().any(|operand| operand.name() == name) {
            let known: Vec<&str> = DESCRIBED.iter().map(|operand| operand.name()).collect();
            format!("{name:?} is none of {}", known.join(", "))
        } else if values.is_empty() || values.iter().any(|value| value.trim() != value || value.is_empty()) {
            format!("{name} needs names without white space around them")
        } else {
            continue;
        };
        return Err(DatasetError::Invalid {
            member: "facts".into(),
            problem,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_place_lies_in_what_its_code_says() {
        assert_eq!(containing("FR101"), ["FR101", "FR10", "FR1", "FR"]);
        assert_eq!(containing("FR-75"), ["FR-75", "FR"]);
        for alone in [
            "FR",
            "CHN",
            "ROME",
            "https://sws.geonames.org/3017382/",
            "France",
            "fr10",
            "É1",
        ] {
            assert_eq!(containing(alone), [alone]);
        }
    }

    #[test]
    fn a_plan_begins_and_ends_with_the_event_that_its_policy_needs() {
        let at = Timestamp::from_seconds;
        let events = [Event {
            id: "urn:event:exams".into(),
            from: Some(at(10)),
            until: Some(at(20)),
        }];
        let dataset: Dataset = serde_json::from_value(json!({
            "id": "records", "title": null, "source": {"type": "file", "path": "/records"}, "subject": "/sub", "categories": {},
            "offerId": "urn:offer:records", "offer": {}, "published": "2026-01-01T00:00:00Z",
        }))
        .unwrap();
        let policy = policy::Policy::parse(&json!({
            "@type": "Agreement", "@id": "urn:uuid:1", "target": "records", "assigner": "did:web:a.example",
            "assignee": "did:web:b.example", "permission": [{"action": "use", "constraint": [
                {"leftOperand": "event", "operator": "eq", "rightOperand": "urn:event:exams"},
            ]}],
        }))
        .unwrap();
        let consumer = Party {
            did: "did:web:b.example".parse().unwrap(),
            claims: policy::Claims::new(),
            attested: Default::default(),
        };
        let plan = |now| {
            let known = facts(&consumer, Action::Use, at(now));
            policy
                .plan(&of_transfer(known, &dataset, FORMAT_HTTP_PUSH, &events))
                .ok()
        };
        let during = plan(15).unwrap();
        let last = Timestamp::from_millis(19_999);
        assert_eq!((during.valid_from, during.valid_until), (Some(at(10)), Some(last)));
        assert!(plan(9).is_none() && plan(20).is_none());
    }
}
