//! What is written of learners is linked data: whatever reads as a term, an address or a time is typed as such in its context, so that a JSON-LD
//! processor reads no text there.

use super::*;
use crate::consent::context;
use serde_json::Value;

/// Members that are texts whatever they look like: ids, names, ways to reach somebody.
const TEXTS: [&str; 7] = [
    "dct:identifier",
    "dpv:hasName",
    "dpv:hasAddress",
    "dpv:hasContact",
    "dpv:hasDataProtectionOfficer",
    "dpv:isExercisedAt",
    "dases:agreement",
];

/// As what JSON-LD must read this text.
fn kind(text: &str, terms: &Value) -> Option<&'static str> {
    let (prefix, rest) = text.split_once(':').unwrap_or_default();
    let is_days = text.strip_prefix('P').and_then(|text| text.strip_suffix('D'));
    if terms.get(prefix).is_some_and(Value::is_string) || ["urn", "did"].contains(&prefix) || rest.starts_with("//") {
        Some("@id")
    } else if text.parse::<Timestamp>().is_ok() {
        Some("xsd:dateTime")
    } else if is_days.is_some_and(|days| days.parse::<u32>().is_ok()) {
        Some("xsd:duration")
    } else {
        None
    }
}

/// The members that JSON-LD would read as something else than they are, and how many it reads rightly.
fn misread(value: &Value, terms: &Value) -> (Vec<String>, usize) {
    let (mut wrong, mut right) = (Vec::new(), 0);
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        let Some(members) = value.as_object() else {
            open.extend(value.as_array().into_iter().flatten());
            continue;
        };
        for (name, value) in members {
            let typed = terms[name]["@type"].as_str();
            if name.starts_with('@') || TEXTS.contains(&name.as_str()) || typed == Some("@json") {
                continue;
            }
            let texts = value
                .as_array()
                .map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
            for text in texts.iter().filter_map(Value::as_str) {
                match (kind(text, terms), typed) {
                    (None, None) => {}
                    (kind, typed) if kind == typed => right += 1,
                    (kind, typed) => wrong.push(format!("{name}: {text}: {kind:?}, {typed:?}")),
                }
            }
            open.push(value);
        }
    }
    (wrong, right)
}

/// What the receipts of a record, an objection or a restriction say.
async fn said(consents: &Consents, id: &ConsentId) -> Vec<Value> {
    let receipts = consents.receipts(id.as_str()).await.unwrap();
    let read = |receipt: &String| Value::Object(jose::token::claimed(receipt).unwrap());
    receipts.iter().map(read).collect()
}

fn terms(iri: &Value) -> Value {
    let text = context(iri.as_str().unwrap()).unwrap();
    serde_json::from_str::<Value>(text).unwrap()["@context"].clone()
}

#[tokio::test]
async fn every_term_address_and_time_of_what_is_signed_is_typed_in_its_context() {
    let consents = consents().await;
    let id = asked(&consents, "anna").await;
    consents
        .decide(&id, &event(Decision::Give, learner()), now())
        .await
        .unwrap();
    // In its place: fields, a number of transfers, and a purpose in each of its spellings.
    let wide = NewConsent {
        purposes: ["https://w3id.org/dpv#ServiceProvision", "dpv:Marketing", "orientation"]
            .map(String::from)
            .to_vec(),
        fields: vec!["/skill/name".into()],
        max_count: Some(3),
        retention_days: Some(7),
        ..new("anna")
    };
    consents.grant(vec![wide], now()).await.unwrap();
    let basis = NewBasis {
        basis: LawfulBasis::PublicTask,
        grounds: "Code de l'éducation, art. L331-7".into(),
        recipients: vec!["did:web:ft.example".parse().unwrap()],
        purposes: vec!["orientation".into()],
        categories: vec!["skills".into()],
        datasets: vec!["records".parse().unwrap()],
        notice: consents.notices().await.unwrap()[0].hash.clone(),
        until: days(100),
    };
    let objection = NewObjection {
        subject: "anna".into(),
        basis: consents.declare(basis, now()).await.unwrap().id,
        actor: learner(),
    };
    let (objection, _) = consents.object(&objection, now()).await.unwrap();
    let restriction = NewRestriction {
        subject: "anna".into(),
        recipient: None,
        actor: learner(),
    };
    let (restriction, _) = consents.restrict(&restriction, now()).await.unwrap();
    let all = consents.list(Some("anna")).await.unwrap();
    let ids = all.iter().map(|stored| &stored.consent.id);
    let mut seen = 0;
    for id in ids.chain([&objection.id, &restriction.id]) {
        for receipt in said(&consents, id).await {
            let (wrong, right) = misread(&receipt, &terms(&receipt["@context"]));
            assert!(wrong.is_empty(), "{id}: {wrong:?}");
            seen += right;
            assert!(
                !misread(&receipt, &terms(&json!("https://w3id.org/dases/ns/consent/context/1")))
                    .0
                    .is_empty(),
                "the first context would pass"
            );
        }
    }
    assert!(seen > 80, "{seen}");
}

#[tokio::test]
async fn a_purpose_stands_as_an_iri_in_the_record_and_what_is_none_is_refused() {
    let consents = consents().await;
    let with = |purpose: &str| NewConsent {
        purposes: vec![purpose.into()],
        ..new("anna")
    };
    for (purpose, iri) in [
        ("orientation", "https://w3id.org/dases/ns/orientation"),
        ("dpv:Marketing", "https://w3id.org/dpv#Marketing"),
    ] {
        let given = consents.grant(vec![with(purpose)], now()).await.unwrap().remove(0);
        let record = consents.rendered(&given).await.unwrap();
        assert_eq!(record["dpv:hasProcess"][0]["dpv:hasPurpose"], iri);
        assert_eq!(record["dases:terms"]["purposes"], json!([purpose]), "as it was said");
    }
    for none in ["to find work", "1:2"] {
        let refused = consents.grant(vec![with(none)], now()).await;
        assert!(
            matches!(refused, Err(ConsentError::Grant(GrantError::Invalid("purposes", _)))),
            "{none}: {refused:?}"
        );
    }
    // What was kept before they were refused can still be shown.
    let mut old = consents.list(Some("anna")).await.unwrap().remove(0);
    old.consent.purposes = vec!["to find work".into()];
    let record = consents.rendered(&old).await.unwrap();
    assert_eq!(record["dpv:hasProcess"][0]["dpv:hasPurpose"], "to find work");
}
