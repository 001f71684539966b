//! Consents that are limited to single fields, down to the bytes that leave.

use super::super::{
    Basis, BasisRule, Covered, Ended, Grant, Index, Reader, Reason, Withheld,
    tests::{agreement, at, did, id, texts},
};
use super::*;
use crate::{catalog::shape::shape, plane::project::Scratch};
use proptest::{collection::vec, prelude::*, sample::subsequence};
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc};

const RECORD: &str = r#"{"sub":"anna","skill":{"name":"x","level":3},"score":{"raw":1,"max":2},"name":"A","secret":9}"#;
const CATEGORIES: [&str; 3] = ["skills", "results", "identity"];
/// All that are claimed, and one that is not.
const POINTERS: [&str; 6] = ["/skill", "/skill/level", "/score", "/score/raw", "/name", "/secret"];

fn claims() -> BTreeMap<String, Vec<String>> {
    let of = |name: &str, pointers: &[&str]| (name.to_owned(), texts(pointers));
    BTreeMap::from([
        of("skills", &["/skill", "/skill/level"]),
        of("results", &["/score", "/score/raw"]),
        of("identity", &["/name"]),
    ])
}

/// What a consent is about, and how it ended if it did.
#[derive(Clone, Debug)]
struct Given {
    categories: Vec<&'static str>,
    fields: Vec<&'static str>,
    ended: Option<Ended>,
}

fn given(categories: &[&'static str], fields: &[&'static str]) -> Given {
    Given {
        categories: categories.to_vec(),
        fields: fields.to_vec(),
        ended: None,
    }
}

/// What leaves of the record, as pointers to its values, under these consents and another basis for these categories.
fn leaving(
    claims: &BTreeMap<String, Vec<String>>,
    record: &str,
    consents: &[Given],
    basis: &[&str],
) -> Result<BTreeSet<String>, Reason> {
    let index = Arc::new(Index::default());
    let (recipients, purposes) = ([did("work")], texts(&["orientation"]));
    for (number, given) in consents.iter().enumerate() {
        let grant = Grant {
            id: &id(number as u128),
            subject: "anna",
            covered: Covered {
                recipients: &recipients,
                purposes: &purposes,
                datasets: &[],
                categories: &texts(&given.categories),
                agreement: None,
            },
            fields: &texts(&given.fields),
            from: at(100),
            until: at(200),
            aggregate_only: false,
            min_group_size: None,
            guardian_missing: false,
            guardian_gave: false,
            most_transfers: None,
            of_age: None,
            ended: given.ended,
        };
        index.open(&grant).unwrap();
    }
    let rule = BasisRule {
        id: "rule",
        basis: Basis::PublicTask,
        covered: Covered {
            recipients: &recipients,
            purposes: &purposes,
            datasets: &[],
            categories: &texts(basis),
            agreement: None,
        },
        from: at(100),
        until: at(200),
        may_object: false,
    };
    index.open_basis(&rule).unwrap();
    let all: Vec<String> = claims.keys().cloned().collect();
    let dataset = "records".parse().unwrap();
    let mut question = index
        .question((&did("work"), &agreement("a")), &purposes, &dataset, &all, |_| Ok(()))
        .unwrap();
    let covers = index.number_fields(&mut question, claims).unwrap();
    let shape = shape("/sub", claims, |_, pointer| covers.get(pointer).copied()).unwrap();
    let mut reader = Reader::new(index, question);
    reader.begin(at(150));
    let permitted = reader.ask("anna").map_err(|withheld| match withheld {
        Withheld::Consent(reason) => reason,
        Withheld::Policy(code) => panic!("{code:?}, under a policy that refuses nothing"),
    })?;
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    let found = shape.find(&mut scratch, record.as_bytes()).unwrap();
    found.project(permitted, "P", &mut out);
    let mut left = BTreeSet::new();
    collect("", &serde_json::from_slice(&out).unwrap(), &mut left);
    left.remove("/sub");
    Ok(left)
}

fn collect(at: &str, value: &Value, left: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => members
            .iter()
            .for_each(|(name, value)| collect(&format!("{at}/{name}"), value, left)),
        _ => {
            left.insert(at.to_owned());
        }
    }
}

fn left(consents: &[Given]) -> Result<BTreeSet<String>, Reason> {
    leaving(&claims(), RECORD, consents, &[])
}

fn set(pointers: &[&str]) -> Result<BTreeSet<String>, Reason> {
    Ok(pointers.iter().map(|pointer| (*pointer).to_owned()).collect())
}

#[test]
fn a_consent_limited_to_fields_lets_out_those_fields_alone() {
    assert_eq!(left(&[given(&["skills"], &[])]), set(&["/skill/name", "/skill/level"]));
    assert_eq!(left(&[given(&["skills"], &["/skill/level"])]), set(&["/skill/level"]));
    assert_eq!(
        left(&[given(&["skills"], &["/skill"])]),
        set(&["/skill/name"]),
        "the more specific claim decides for its own part"
    );
    assert_eq!(
        left(&[given(&["skills", "identity"], &["/name", "/score"])]),
        set(&["/name"]),
        "nothing of a category of which no field is named, or of another's field"
    );
    let two = [given(&["skills"], &["/skill/level"]), given(&["results"], &[])];
    assert_eq!(left(&two), set(&["/skill/level", "/score/raw", "/score/max"]));
}

#[test]
fn a_pointer_that_is_no_field_of_the_dataset_lets_nothing_out() {
    for field in ["/secret", "/skill/name", "/", "/nothing"] {
        assert_eq!(left(&[given(&["skills"], &[field])]), Err(Reason::Category), "{field}");
    }
}

#[test]
fn who_refused_one_field_is_not_served_its_category_by_another_basis() {
    let refused = Given {
        ended: Some(Ended::Refused),
        ..given(&["skills"], &["/skill/level"])
    };
    let served = leaving(&claims(), RECORD, &[refused], &["skills"]);
    assert_eq!(served, Err(Reason::Refused));
}

#[test]
fn a_field_without_a_number_of_its_own_is_opened_by_its_category_alone() {
    let names: Vec<String> = (0..70).map(|number| format!("f{number}")).collect();
    let pointers: Vec<String> = names.iter().map(|name| format!("/{name}")).collect();
    let members: Vec<String> = names.iter().map(|name| format!(r#""{name}":1"#)).collect();
    let record = format!(r#"{{"sub":"anna",{}}}"#, members.join(","));
    let claims = BTreeMap::from([("skills".to_owned(), pointers)]);
    let left = |fields: &[&'static str]| leaving(&claims, &record, &[given(&["skills"], fields)], &[]);
    assert_eq!(left(&["/f62"]), set(&["/f62"]));
    assert_eq!(left(&["/f63"]), Err(Reason::Category));
    assert_eq!(left(&["/f63", "/f0"]), set(&["/f0"]));
    assert_eq!(left(&[]).unwrap().len(), 70);
}

fn any_given() -> impl Strategy<Value = Given> {
    (
        subsequence(&CATEGORIES[..], 1..=3),
        subsequence(&POINTERS[..], 0..=6),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(categories, fields, refused)| Given {
            categories,
            fields,
            ended: refused.then_some(Ended::Refused),
        })
}

proptest! {
    #[test]
    fn narrowing_a_consent_never_sends_more(
        others in vec(any_given(), 0..3),
        wide in any_given(),
        categories in subsequence(&CATEGORIES[..], 1..=3),
        fields in subsequence(&POINTERS[..], 1..=6),
        basis in subsequence(&CATEGORIES[..], 0..=2),
    ) {
        let wide = Given { ended: None, ..wide };
        let mut narrow = wide.clone();
        narrow.categories.retain(|name| categories.contains(name));
        narrow.fields.retain(|field| fields.contains(field));
        if wide.fields.is_empty() {
            narrow.fields = fields;
        }
        // An empty list of fields means all, and nobody consents to no category.
        prop_assume!(!narrow.categories.is_empty() && !narrow.fields.is_empty());
        let under = |given: Given| {
            let consents: Vec<Given> = others.iter().cloned().chain([given]).collect();
            leaving(&claims(), RECORD, &consents, &basis).unwrap_or_default()
        };
        let (more, less) = (under(wide), under(narrow));
        prop_assert!(less.is_subset(&more), "{less:?} is not in {more:?}");
    }
}
