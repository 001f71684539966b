//! The protocol's own JSON Schemas (draft 2019-09) against everything that we write, and its own examples against our readers.

use connector::dsp::{
    AgreementId, CONTEXT, MessageId, Pid,
    catalog::{self, Listed, ListedDataset},
    json,
    message::{self, DataAddress, ENDPOINT_TYPE_HTTP, Explanation, NegotiationMessage, Pids, TransferMessage},
    negotiation, transfer,
};
use connector::trust::did::{Document, Own};
use jsonschema::{Registry, Validator};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const BASE: &str = "https://provider.example/dsp/2025-1";

/// The folder of schemas and examples; `None`, having said so, where it is missing.
fn data() -> Option<PathBuf> {
    let shared = std::env::var_os("SHARED_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let folder = shared.join("dsp-2025-1");
    if !folder.is_dir() {
        println!("skipped: ../shared/data is not here");
        return None;
    }
    Some(folder)
}

/// The JSON files directly in a folder, by name.
fn json_files(folder: &Path) -> BTreeMap<String, Value> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, json::parse(&std::fs::read(&path).unwrap()).unwrap())
        })
        .collect()
}

/// The validators by file name.
fn schemas(folder: &Path) -> BTreeMap<String, Validator> {
    let mut files = BTreeMap::new();
    for part in ["common", "catalog", "negotiation", "transfer"] {
        files.extend(json_files(&folder.join(part)));
    }
    assert_eq!(files.len(), 26, "the protocol has 26 schemas");
    files.values_mut().for_each(mend);
    let id = |schema: &Value| schema["$id"].as_str().unwrap().to_owned();
    let resources: Vec<_> = files
        .values()
        .map(|schema| (id(schema), jsonschema::Resource::from_contents(schema.clone())))
        .collect();
    let registry = Registry::new().extend(resources).unwrap().prepare().unwrap();
    files
        .iter()
        .map(|(name, schema)| {
            (
                name.clone(),
                jsonschema::options().with_registry(&registry).build(schema).unwrap(),
            )
        })
        .collect()
}

/// Three transfer schemas refer to `transfer-schema.json#definitions/…`, which is neither a pointer nor an anchor: the slash is missing.
fn mend(schema: &mut Value) {
    match schema {
        Value::String(text) => *text = text.replace(".json#definitions/", ".json#/definitions/"),
        Value::Array(items) => items.iter_mut().for_each(mend),
        Value::Object(members) => members.values_mut().for_each(mend),
        _ => {}
    }
}

/// `ContractRequestMessage` is described in `contract-request-message-schema.json`.
fn schema_of(body: &Value) -> String {
    let kind = body["@type"].as_str().unwrap();
    let words: String = kind
        .chars()
        .flat_map(|c| {
            if c.is_uppercase() {
                vec!['-', c.to_ascii_lowercase()]
            } else {
                vec![c]
            }
        })
        .collect();
    format!("{}-schema.json", words.trim_start_matches('-'))
}

fn assert_valid(schemas: &BTreeMap<String, Validator>, body: &Value) {
    assert_valid_as(schemas, &schema_of(body), body);
}

fn assert_valid_as(schemas: &BTreeMap<String, Validator>, schema: &str, body: &Value) {
    let errors: Vec<_> = schemas[schema]
        .iter_errors(body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{schema}: {errors:?}\n{body:#}");
}

fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn pids() -> Pids {
    Pids {
        consumer: Some(parse("urn:uuid:c")),
        provider: Some(parse("urn:uuid:p")),
    }
}

fn policy(kind: &str) -> Value {
    let constraint =
        json!({"leftOperand": "https://w3id.org/example/purpose", "operator": "isAnyOf", "rightOperand": ["a", "b"]});
    json!({"@id": "urn:offer", "@type": kind, "permission": [{"action": "use", "constraint": [{"and": [constraint, constraint]}]}]})
}

/// An offer that only prohibits, which 2025-1 allows.
fn prohibiting() -> Value {
    json!({"@id": "urn:offer-2", "@type": "Offer", "prohibition": [{"action": "distribute", "constraint": []}]})
}

fn in_message(kind: &str) -> Value {
    let mut policy = policy(kind);
    policy["target"] = "d1".into();
    if kind == "Agreement" {
        policy["assigner"] = "did:web:provider.example".into();
        policy["assignee"] = "did:web:consumer.example".into();
        policy["timestamp"] = "2026-01-01T00:00:00Z".into();
    }
    policy
}

fn explanations() -> [Explanation; 3] {
    let why = Explanation::new("POL-05", "POL-05 at /permission/0/constraint/0");
    [
        Explanation::default(),
        Explanation {
            code: None,
            ..why.clone()
        },
        why,
    ]
}

fn negotiation_messages() -> Vec<Value> {
    use NegotiationMessage as M;
    let id: MessageId = parse("urn:uuid:m");
    let offer = in_message("Offer");
    let callback = Some(parse("https://me.example/dsp/2025-1"));
    let consumer_only = Pids {
        provider: None,
        ..pids()
    };
    let provider_only = Pids {
        consumer: None,
        ..pids()
    };
    let mut written = vec![
        M::Request {
            offer: offer.clone(),
            callback: callback.clone(),
        }
        .write(&id, &consumer_only),
        M::Request {
            offer: offer.clone(),
            callback: None,
        }
        .write(&id, &pids()),
        M::Offer {
            offer: offer.clone(),
            callback,
        }
        .write(&id, &provider_only),
        M::Offer { offer, callback: None }.write(&id, &pids()),
        M::Accepted.write(&id, &pids()),
        M::Agreement {
            agreement: in_message("Agreement"),
        }
        .write(&id, &pids()),
        M::Verification.write(&id, &pids()),
        M::Finalized.write(&id, &pids()),
    ];
    written.extend(explanations().map(|why| M::Termination(why).write(&id, &pids())));
    written
}

fn transfer_messages() -> Vec<Value> {
    use TransferMessage as M;
    let id: MessageId = parse("urn:uuid:m");
    let full = DataAddress {
        endpoint_type: ENDPOINT_TYPE_HTTP.to_owned(),
        endpoint: Some(parse("https://provider.example/data/1")),
        authorization: Some("token".to_owned()),
    };
    let bare = DataAddress {
        endpoint: None,
        authorization: None,
        ..full.clone()
    };
    let push = M::Request {
        agreement: parse::<AgreementId>("urn:uuid:a"),
        format: "HttpData-PUSH".to_owned(),
        callback: parse("https://me.example/dsp/2025-1"),
        data_address: Some(full.clone()),
    };
    let consumer_only = Pids {
        provider: None,
        ..pids()
    };
    let mut written = vec![M::Completion.write(&id, &pids()), push.write(&id, &consumer_only)];
    for data_address in [None, Some(bare), Some(full)] {
        let request = M::Request {
            agreement: parse::<AgreementId>("urn:uuid:a"),
            format: connector::dsp::FORMAT_HTTP_PULL.to_owned(),
            callback: parse("https://me.example/"),
            data_address: data_address.clone(),
        };
        written.push(request.write(
            &id,
            &Pids {
                provider: None,
                ..pids()
            },
        ));
        written.push(M::Start { data_address }.write(&id, &pids()));
    }
    for why in explanations() {
        written.push(M::Suspension(why.clone()).write(&id, &pids()));
        written.push(M::Termination(why).write(&id, &pids()));
    }
    written
}

#[test]
fn every_message_that_we_write_is_valid() {
    let Some(folder) = data() else { return };
    let schemas = schemas(&folder);
    for body in negotiation_messages().iter().chain(&transfer_messages()) {
        assert_valid(&schemas, body);
    }
}

#[test]
fn every_acknowledgement_and_error_that_we_write_is_valid() {
    use negotiation::State as N;
    use transfer::State as T;
    let Some(folder) = data() else { return };
    let schemas = schemas(&folder);
    for state in [
        N::Requested,
        N::Offered,
        N::Accepted,
        N::Agreed,
        N::Verified,
        N::Finalized,
        N::Terminated,
    ] {
        assert_valid(
            &schemas,
            &message::acknowledgement("ContractNegotiation", &pids(), &state),
        );
    }
    for state in [T::Requested, T::Started, T::Suspended, T::Completed, T::Terminated] {
        assert_valid(&schemas, &message::acknowledgement("TransferProcess", &pids(), &state));
    }
    let nobody = Pids {
        consumer: None,
        provider: None,
    };
    for why in explanations() {
        for known in [
            pids(),
            Pids {
                provider: None,
                ..pids()
            },
            nobody.clone(),
        ] {
            assert_valid(
                &schemas,
                &message::error("ContractNegotiationError", Some(&known), &why),
            );
            assert_valid(&schemas, &message::error("TransferError", Some(&known), &why));
        }
        assert_valid(&schemas, &message::error("CatalogError", None, &why));
    }
}

#[test]
fn what_version_discovery_answers_is_valid() {
    let Some(folder) = data() else { return };
    let schemas = schemas(&folder);
    assert_valid_as(&schemas, "protocol-version-schema.json", &connector::dsp::versions());
}

#[test]
fn the_services_of_our_did_document_are_valid() {
    let Some(folder) = data() else { return };
    let mut schemas = schemas(&folder);
    let document = Own::new(
        parse("did:web:a.example"),
        "https://a.example",
        "did:web:a.example#key",
        json!({}),
    )
    .document();
    let of_kind = |kind: &str| {
        let services = document["service"].as_array().unwrap();
        services.iter().find(|service| service["type"] == kind).unwrap().clone()
    };
    assert_valid_as(&schemas, "did-service-schema.json", &of_kind("CatalogService"));
    // The schema's pattern fits a CatalogService only; the protocol's own example of a DataService fails it as ours does.
    let mut mended = json_files(&folder.join("common"))["did-service-schema.json"].clone();
    mended["definitions"]["DidService"]["properties"]["serviceEndpoint"]["pattern"] =
        json!("^https?://.*/(catalog|[.]well-known/dspace-version)$");
    mended["definitions"]["DidService"]["properties"]
        .as_object_mut()
        .unwrap()
        .remove("@context");
    schemas.insert("mended".to_owned(), jsonschema::options().build(&mended).unwrap());
    assert_valid_as(&schemas, "mended", &of_kind("DataService"));
    assert!(
        !schemas["mended"].is_valid(&json!({"id": "x", "type": "DataService", "serviceEndpoint": "https://a.example"}))
    );
}

#[test]
fn every_catalog_that_we_write_is_valid() {
    let Some(folder) = data() else { return };
    let schemas = schemas(&folder);
    let dataset = ListedDataset {
        id: parse("skills"),
        title: Some("Skills".to_owned()),
        offers: vec![policy("Offer")],
        formats: vec![connector::dsp::FORMAT_HTTP_PULL.to_owned()],
    };
    let untitled = ListedDataset {
        id: parse("other"),
        title: None,
        ..dataset.clone()
    };
    let bare = ListedDataset {
        id: parse("bare"),
        offers: Vec::new(),
        ..dataset.clone()
    };
    assert_valid(&schemas, &catalog::request());
    assert_valid(&schemas, &catalog::write_dataset(&dataset, BASE, true));
    let several = ListedDataset {
        id: parse("several"),
        offers: vec![policy("Offer"), prohibiting()],
        formats: ["HttpData-PULL", "HttpData-PUSH", "Other"].map(str::to_owned).to_vec(),
        ..dataset.clone()
    };
    assert_valid(&schemas, &catalog::write_dataset(&several, BASE, true));
    for datasets in [
        vec![],
        vec![bare],
        vec![dataset.clone()],
        vec![dataset, untitled, several],
    ] {
        let listed = Listed {
            participant: parse("did:web:provider.example"),
            datasets,
        };
        assert_valid(&schemas, &catalog::write(&listed, BASE));
    }
}

#[test]
fn the_schemas_refuse_what_they_should() {
    let Some(folder) = data() else { return };
    let schemas = schemas(&folder);
    let refused = |mut body: Value, member: &str, value: Value| {
        assert_valid(&schemas, &body);
        body[member] = value;
        assert!(!schemas[&schema_of(&body)].is_valid(&body), "{body:#}");
    };
    for body in negotiation_messages().into_iter().chain(transfer_messages()) {
        refused(body.clone(), "@context", json!(CONTEXT));
        refused(body.clone(), "consumerPid", json!(7));
        if ["Termination", "Suspension"]
            .iter()
            .any(|kind| body["@type"].as_str().unwrap().contains(kind))
        {
            refused(body, "reason", json!([]));
        }
    }
}

/// How an example is read.
fn read_example(name: &str, body: &Value) {
    match name.trim_end_matches(".json") {
        // Never sent over HTTPS (DSP 2025-1 §6.2.2), or read by other rooms than `dsp`.
        "dataset-request-message" | "protocol-version" => {}
        "catalogservice-did-service" | "dataservice-did-service" => {
            let did = parse("did:web:p.example");
            let document = json!({"id": "did:web:p.example", "service": [body]});
            let root = Document::read(&did, &document).unwrap().root;
            let expected = name
                .starts_with("data")
                .then(|| parse("https://bar.example.com/some/path"));
            assert_eq!(root, expected, "{name}");
        }
        "catalog-request-message" => assert!(catalog::read_request(body).is_ok()),
        "catalog" | "nested-catalog" => {
            let listed = catalog::read(body).unwrap();
            assert_eq!(listed.participant.as_str(), body["participantId"], "{name}");
            let datasets = listed.datasets.len();
            assert_eq!(
                datasets,
                usize::from(name == "catalog.json"),
                "{name}: the nested one has no datasets, only where to find them"
            );
        }
        "dataset" => {
            let around = json!({"@context": [CONTEXT], "@type": "Catalog", "participantId": "did:web:p.example", "dataset": body});
            assert!(catalog::read(&around).unwrap().datasets[0].is_transferable());
        }
        "catalog-error" | "contract-negotiation-error" | "transfer-error" => {
            let why = message::read_error(body);
            assert!(why.code.is_some() && why.reasons.len() == 1, "{name}: {why:?}");
        }
        "contract-negotiation" | "transfer-process" => {
            let pid: Option<Pid> = message::acknowledged_pid(body, "providerPid");
            assert!(pid.is_some(), "{name}");
        }
        message if message.starts_with("contract-") => {
            let read = NegotiationMessage::read(body).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(read.message.type_name(), body["@type"]);
        }
        _ => {
            let read = TransferMessage::read(body).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(read.message.type_name(), body["@type"]);
        }
    }
}

#[test]
fn every_example_is_valid_and_read() {
    let Some(folder) = data() else { return };
    let schemas = schemas(&folder);
    let mut read = 0;
    for part in ["common", "catalog", "negotiation", "transfer"] {
        for (name, body) in json_files(&folder.join(part).join("example")) {
            if body.get("@type").is_some() {
                assert_valid(&schemas, &body);
            }
            read_example(&name, &body);
            read += 1;
        }
    }
    assert_eq!(read, 27, "the protocol has 27 examples");
}

#[test]
fn what_we_read_from_an_example_we_write_as_valid() {
    let Some(folder) = data() else { return };
    let schemas = schemas(&folder);
    let id: MessageId = parse("urn:uuid:m");
    for body in json_files(&folder.join("negotiation/example")).values() {
        if let Ok(read) = NegotiationMessage::read(body) {
            assert_valid(&schemas, &read.message.write(&id, &read.pids));
        }
    }
    for body in json_files(&folder.join("transfer/example")).values() {
        if let Ok(read) = TransferMessage::read(body) {
            assert_valid(&schemas, &read.message.write(&id, &read.pids));
        }
    }
}
