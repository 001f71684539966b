//! Catalogs: what is written can be read again, what peers leave out or collapse is read all the same.

use super::*;
use crate::dsp::reader::has_empty_array;
use proptest::{collection::vec, prelude::*};

const BASE: &str = "https://provider.example/dsp/2025-1";

fn catalog(dataset: Value) -> Value {
    json!({"@context": [CONTEXT], "@id": "urn:c", "@type": "Catalog", "participantId": "did:web:provider.example", "dataset": dataset})
}

fn dataset() -> Value {
    json!({
        "@id": "d1", "@type": "Dataset", "title": "Skills",
        "hasPolicy": [{"@id": "o1", "@type": "Offer", "permission": [{"action": "use"}]}],
        "distribution": [{"@type": "Distribution", "format": "HttpData-PULL", "accessService": "urn:s"}],
    })
}

#[test]
fn a_catalog_is_read() {
    let listed = read(&catalog(json!([dataset()]))).unwrap();
    assert_eq!(listed.participant.as_str(), "did:web:provider.example");
    let [found] = listed.datasets.as_slice() else {
        panic!("one dataset")
    };
    assert_eq!((found.id.as_str(), found.title.as_deref()), ("d1", Some("Skills")));
    assert!(found.is_transferable());
    assert_eq!(found.offer(&"o1".parse().unwrap()), dataset()["hasPolicy"].get(0));
    assert_eq!(found.offer(&"o2".parse().unwrap()), None);
}

#[test]
fn single_elements_may_have_been_collapsed() {
    let mut collapsed = dataset();
    collapsed["hasPolicy"] = collapsed["hasPolicy"][0].clone();
    collapsed["distribution"] = collapsed["distribution"][0].clone();
    assert_eq!(read(&catalog(collapsed)), read(&catalog(json!([dataset()]))));
}

#[test]
fn an_empty_catalog_is_a_catalog() {
    for none in [json!([]), Value::Null] {
        assert_eq!(read(&catalog(none)).unwrap().datasets, []);
    }
}

#[test]
fn what_a_catalog_must_have_is_missed_by_name() {
    let missing = |member: &'static str, body: &Value| assert_eq!(read(body), Err(MessageError::Missing(member)));
    let mut body = catalog(json!([dataset()]));
    body["participantId"] = Value::Null;
    missing("participantId", &body);
    let mut unnamed = dataset();
    unnamed["@id"] = Value::Null;
    missing("@id", &catalog(json!([unnamed])));
    let mut unnamed = dataset();
    unnamed["hasPolicy"][0]["@id"] = Value::Null;
    missing("@id", &catalog(json!([unnamed])));
}

#[test]
fn what_is_not_a_catalog_is_not_read_as_one() {
    let mut body = catalog(json!([]));
    body["@type"] = "Dataset".into();
    assert!(matches!(read(&body), Err(MessageError::WrongType { .. })));
    body["@context"] = json!(["https://w3id.org/dspace/2024/1/context.json"]);
    assert_eq!(read(&body), Err(MessageError::WrongContext));
    assert_eq!(read(&json!([])), Err(MessageError::NotAnObject));
    assert_eq!(read(&catalog(json!(["d1"]))), Err(MessageError::NotAnObject));
    let mut body = catalog(json!([]));
    body["participantId"] = "a provider".into();
    assert!(matches!(
        read(&body),
        Err(MessageError::Invalid {
            member: "participantId",
            ..
        })
    ));
}

#[test]
fn a_format_is_listed_once() {
    let mut twice = dataset();
    twice["distribution"] = json!([{"format": "A"}, {"format": "B"}, {"format": "A"}, {"format": 7}, {}]);
    assert_eq!(read(&catalog(twice)).unwrap().datasets[0].formats, ["A", "B"]);
}

#[test]
fn a_request_shows_its_filters() {
    assert_eq!(read_request(&request()), Ok([].as_slice()));
    let with = |filter: Value| {
        let mut body = request();
        body["filter"] = filter;
        read_request(&body).map(<[Value]>::to_vec)
    };
    assert_eq!(with(json!([])), Ok(vec![]));
    assert_eq!(with(Value::Null), Ok(vec![]));
    assert_eq!(with(json!(["x"])), Ok(vec![json!("x")]));
    assert_eq!(with(json!({"limit": 5})), Ok(vec![json!({"limit": 5})]));
    let mut other = request();
    other["@type"] = "DatasetRequestMessage".into();
    assert!(matches!(read_request(&other), Err(MessageError::WrongType { .. })));
}

#[test]
fn a_dataset_nobody_could_negotiate_is_not_written() {
    let bare = ListedDataset {
        id: "d".parse().unwrap(),
        title: None,
        offers: vec![],
        formats: vec!["A".into()],
    };
    let unreachable = ListedDataset {
        offers: vec![json!({"@id": "o"})],
        formats: vec![],
        ..bare.clone()
    };
    let listed = Listed {
        participant: "did:web:a".parse().unwrap(),
        datasets: vec![bare, unreachable],
    };
    assert_eq!(write(&listed, BASE).get("dataset"), None);
}

#[test]
fn only_a_root_dataset_carries_the_context() {
    let listed = read(&catalog(json!([dataset()]))).unwrap();
    assert_eq!(
        write_dataset(&listed.datasets[0], BASE, true)["@context"],
        json!([CONTEXT])
    );
    assert_eq!(write_dataset(&listed.datasets[0], BASE, false).get("@context"), None);
}

#[test]
fn nested_catalogs_are_read_as_far_as_they_are_the_same_participants() {
    let named = |id: &str| {
        let mut named = dataset();
        named["@id"] = id.into();
        named
    };
    let nested = |datasets: Value| json!({"@id": "urn:n", "@type": "Catalog", "dataset": datasets});
    let mut own = nested(json!([named("d3")]));
    own["participantId"] = "did:web:provider.example".into();
    let mut foreign = nested(json!([named("d4")]));
    foreign["participantId"] = json!({"@id": "did:web:other.example"});
    let mut deep = nested(json!(named("d2")));
    deep["catalog"] = json!([own, foreign]);
    let mut body = catalog(json!([named("d1")]));
    // A single one may have been collapsed; one without datasets only points elsewhere.
    body["catalog"] = deep;
    let ids = |body: &Value| {
        let datasets = read(body).unwrap().datasets;
        datasets
            .iter()
            .map(|dataset| dataset.id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&body), ["d1", "d2", "d3"]);
    body["catalog"] = json!([nested(Value::Null), nested(json!([named("d5")]))]);
    assert_eq!(ids(&body), ["d1", "d5"]);
    body["catalog"] = json!([7]);
    assert_eq!(read(&body), Err(MessageError::NotAnObject));
}

#[test]
fn references_are_read_in_either_form() {
    let mut written = dataset();
    written["distribution"] = json!([
        {"@type": "Distribution", "format": {"@id": "HttpData-PULL"}, "accessService": {"@id": "urn:s", "@type": "DataService"}},
        {"@type": "Distribution", "format": "HttpData-PUSH", "accessService": "urn:s"},
        {"@type": "Distribution", "format": {"@value": "none"}},
        "urn:distribution",
    ]);
    let mut body = catalog(json!([written]));
    body["participantId"] = json!({"@id": "did:web:provider.example"});
    let listed = read(&body).unwrap();
    assert_eq!(listed.datasets[0].formats, ["HttpData-PULL", "HttpData-PUSH"]);
    assert_eq!(listed.participant.as_str(), "did:web:provider.example");
}

#[test]
fn a_dataset_with_a_spoilt_member_is_refused_and_never_skipped() {
    for (member, wrong) in [
        ("@id", json!(7)),
        ("@id", json!("")),
        ("@id", "x".repeat(1_000_000).into()),
        ("hasPolicy", json!("o1")),
        ("hasPolicy", json!([["o1"]])),
        ("hasPolicy", json!([{"@id": 7}])),
        ("hasPolicy", json!([null])),
    ] {
        let mut spoilt = dataset();
        spoilt[member] = wrong.clone();
        let error = read(&catalog(json!([dataset(), spoilt]))).expect_err(member);
        assert!(error.to_string().len() < 200, "{member} {wrong}");
    }
}

fn listed_dataset() -> impl Strategy<Value = ListedDataset> {
    let offer = "[a-z:]{1,12}".prop_map(|id| json!({"@id": id, "@type": "Offer", "permission": [{"action": "use"}]}));
    (
        "[a-z0-9-]{1,20}",
        proptest::option::of("\\PC{0,20}"),
        vec(offer, 1..3),
        proptest::sample::subsequence(vec!["A", "B", "C"], 1..=3),
    )
        .prop_map(|(id, title, offers, formats)| ListedDataset {
            id: id.parse().unwrap(),
            title,
            offers,
            formats: formats.into_iter().map(str::to_owned).collect(),
        })
}

proptest! {
    #[test]
    fn a_written_catalog_is_read_as_it_was(datasets in vec(listed_dataset(), 0..4)) {
        let listed = Listed { participant: "did:web:provider.example".parse().unwrap(), datasets };
        let body = write(&listed, BASE);
        prop_assert!(!has_empty_array(&body));
        prop_assert_eq!(read(&body), Ok(listed));
    }
}
