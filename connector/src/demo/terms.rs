//! What the demonstration's holders offer: the data categories of a record and the ODRL offer over them.
//!
//! Only values live here; they are read by the same public interfaces as any operator's own, and decided by `policy`.

use super::learners::Holder;
use serde_json::{Value, json};

/// Where a record names its learner, by the holder's own identifier. It leaves only as a pairwise pseudonym.
pub const SUBJECT: &str = "/sub";

/// Each data category with the fields that it opens, as JSON pointers (RFC 6901). A field stands in exactly one category
/// or is [`SUBJECT`]; a field that stands nowhere must not leave.
pub const CATEGORIES: &[(&str, &[&str])] = &[
    ("identity", &["/person"]),
    ("skills", &["/kind", "/title", "/assurance", "/skills"]),
    ("results", &["/result"]),
    (
        "provenance",
        &["/v", "/id", "/rev", "/category", "/ret", "/issuer", "/awarded", "/src"],
    ),
    ("special-needs", &["/specialNeeds"]),
];

/// The categories that the demonstration's offers open: never the learner's identity or special needs.
pub const OFFERED: &[&str] = &["skills", "results", "provenance"];

/// The one purpose of the demonstration: a learner's orientation report.
pub const ORIENTATION: &str = "https://w3id.org/dases/ns/orientation";

/// The holder's offer as it stands in a dataset's `hasPolicy`, in plain JSON (DSP 2025-1: no `target`, it is the dataset's).
///
/// `until` is the first instant at which nothing may be used any more, as an RFC 3339 date-time with its zone.
pub fn offer(holder: Holder, until: &str) -> Value {
    json!({
        "@id": offer_id(holder),
        "@type": "Offer",
        "assigner": holder.did(),
        "permission": [{
            "action": "use",
            "constraint": [
                { "leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": ORIENTATION },
                { "leftOperand": "dases:dataCategory", "operator": "isAnyOf", "rightOperand": OFFERED },
                { "leftOperand": "dases:consent", "operator": "eq", "rightOperand": "given" },
                { "leftOperand": "odrl:dateTime", "operator": "lt", "rightOperand": until },
            ],
        }],
        "prohibition": [{ "action": "odrl:sell" }, { "action": "odrl:distribute" }],
    })
}

fn offer_id(holder: Holder) -> &'static str {
    match holder {
        Holder::Lycee => "urn:uuid:5f0b1c52-6a0e-4f55-9c39-0d5f1e2a7b01",
        Holder::FranceTravail => "urn:uuid:5f0b1c52-6a0e-4f55-9c39-0d5f1e2a7b02",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const UNTIL: &str = "2027-08-31T22:00:00Z";

    #[test]
    fn no_field_stands_in_two_categories() {
        let mut seen = HashSet::from([SUBJECT]);
        for pointer in CATEGORIES.iter().flat_map(|(_, pointers)| *pointers) {
            assert!(seen.insert(pointer), "{pointer}");
        }
    }

    #[test]
    fn offers_open_known_categories_and_neither_identity_nor_special_needs() {
        let known: HashSet<_> = CATEGORIES.iter().map(|(name, _)| *name).collect();
        assert!(OFFERED.iter().all(|name| known.contains(name)));
        assert!(!OFFERED.contains(&"identity") && !OFFERED.contains(&"special-needs"));
    }

    /// DSP 2025-1 contract-schema.json, `Offer`, as far as it constrains what is written here.
    #[test]
    fn offers_have_the_shape_that_the_protocol_asks_of_a_dataset_policy() {
        for holder in [Holder::Lycee, Holder::FranceTravail] {
            let offer = offer(holder, UNTIL);
            assert_eq!(offer["@type"], "Offer");
            assert_eq!(offer["assigner"], holder.did());
            assert!(offer["@id"].as_str().is_some_and(|id| id.starts_with("urn:uuid:")));
            assert!(offer.get("target").is_none(), "a dataset's offer names no target");
            let rules = |kind: &str| offer[kind].as_array().cloned().unwrap_or_default();
            assert_eq!((rules("permission").len(), rules("prohibition").len()), (1, 2));
            for rule in rules("permission").iter().chain(&rules("prohibition")) {
                assert!(rule["action"].is_string() && rule.get("target").is_none());
            }
            for constraint in rules("permission")[0]["constraint"].as_array().expect("constraints") {
                assert!(constraint["leftOperand"].is_string() && constraint["operator"].is_string());
                // The schema allows no number and no boolean here.
                assert!(constraint["rightOperand"].is_string() || constraint["rightOperand"].is_array());
            }
        }
        assert_ne!(
            offer(Holder::Lycee, UNTIL)["@id"],
            offer(Holder::FranceTravail, UNTIL)["@id"]
        );
    }

    #[test]
    fn the_purpose_of_the_demonstration_and_of_the_example_is_the_one_that_the_help_names() {
        assert_eq!(policy::canonical_name(ORIENTATION), "orientation");
        let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/two-connectors");
        for file in ["offer.json", "run"] {
            let text = std::fs::read_to_string(folder.join(file)).expect("the example is there");
            assert!(text.contains(ORIENTATION), "{file}");
        }
    }

    #[test]
    fn the_end_date_is_the_callers() {
        let offer = offer(Holder::Lycee, UNTIL);
        let constraint = &offer["permission"][0]["constraint"][3];
        assert_eq!(
            (&constraint["operator"], &constraint["rightOperand"]),
            (&json!("lt"), &json!(UNTIL))
        );
    }
}
