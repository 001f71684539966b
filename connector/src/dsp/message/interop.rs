//! What conforming peers, Eclipse EDC first, write differently from us, and is read all the same.

use super::{
    tests::{all_bodies, body, offer},
    *,
};

fn property(name: &str, value: Value) -> Value {
    json!({"@type": "EndpointProperty", "name": name, "value": value})
}

fn address(properties: Value) -> Value {
    json!({"@type": "DataAddress", "endpointType": ENDPOINT_TYPE_HTTP, "endpointProperties": properties})
}

fn read(body: &Value) -> Result<(), MessageError> {
    match NegotiationMessage::read(body) {
        Err(MessageError::WrongType { .. }) => TransferMessage::read(body).map(|_| ()),
        other => other.map(|_| ()),
    }
}

#[test]
fn a_type_may_stand_alone_in_an_array() {
    for (body, _) in all_bodies() {
        let mut kept = body.clone();
        kept["@type"] = json!([body["@type"]]);
        assert_eq!(read(&kept), Ok(()), "{kept}");
        for bad in [json!([]), json!([body["@type"], "Other"]), json!([7])] {
            let mut other = body.clone();
            other["@type"] = bad;
            assert!(
                matches!(read(&other), Err(MessageError::Invalid { member: "@type", .. })),
                "{other}"
            );
        }
    }
}

#[test]
fn a_property_of_an_address_is_known_by_the_end_of_its_name() {
    for prefix in ["", "edc:", "https://w3id.org/edc/v0.0.1/ns/", "urn:x#"] {
        let read = DataAddress::read(&address(json!([
            property(&format!("{prefix}endpoint"), json!("https://peer.example/data")),
            property(&format!("{prefix}authorization"), json!("token")),
            property(&format!("{prefix}authType"), json!("bearer")),
        ])))
        .unwrap();
        assert_eq!(read.endpoint.unwrap().as_str(), "https://peer.example/data", "{prefix}");
        assert_eq!(read.authorization.as_deref(), Some("token"), "{prefix}");
    }
    let other = DataAddress::read(&address(property("refreshendpoint", json!("https://x.example")))).unwrap();
    assert_eq!(other.endpoint, None, "a name that only ends alike is another one");
}

#[test]
fn what_is_no_text_in_an_address_is_passed_over() {
    let read = DataAddress::read(&address(json!([
        property("authorization", json!({"@type": "DataAddress"})),
        {"name": "authorization"},
        {"value": "x"},
        "authorization",
        null,
        property("authorization", json!("token")),
    ])))
    .unwrap();
    assert_eq!(read.authorization.as_deref(), Some("token"));
    assert_eq!(DataAddress::read(&address(json!([]))).unwrap().authorization, None);
    assert_eq!(DataAddress::read(&address(json!("x"))).unwrap().authorization, None);
}

#[test]
fn the_url_of_an_address_goes_before_its_property() {
    let mut both = address(json!([property("endpoint", json!("https://other.example"))]));
    both["endpoint"] = "https://peer.example/data".into();
    let read = DataAddress::read(&both).unwrap();
    assert_eq!(read.endpoint.unwrap().host_str(), Some("peer.example"));
}

#[test]
fn an_error_body_of_edc_has_no_process_ids() {
    let edc = json!({
        "@context": [CONTEXT, "https://w3id.org/edc/dspace/v0.0.1"], "@type": "ContractNegotiationError",
        "code": "409", "reason": ["Cannot process ContractAgreementMessage because entity is in state REQUESTING"],
    });
    let why = read_error(&edc);
    assert_eq!(why.code.as_deref(), Some("409"));
    assert_eq!(why.reasons.len(), 1);
}

#[test]
fn a_reason_may_have_any_shape() {
    let shapes = [
        (json!("a"), vec!["a"]),
        (json!(["a", "b"]), vec!["a", "b"]),
        (
            json!({"@value": "a", "@language": "en"}),
            vec![r#"{"@value":"a","@language":"en"}"#],
        ),
        (
            json!([{"a": 1}, 7, null, ["x"]]),
            vec![r#"{"a":1}"#, "7", "null", r#"["x"]"#],
        ),
        (json!(7), vec!["7"]),
        (json!([]), vec![]),
        (Value::Null, vec![]),
    ];
    for (reason, expected) in shapes {
        for kind in ["TransferSuspensionMessage", "TransferTerminationMessage"] {
            let why = match TransferMessage::read(&body(kind, json!({ "reason": reason })))
                .unwrap()
                .message
            {
                TransferMessage::Suspension(why) | TransferMessage::Termination(why) => why,
                other => panic!("{other:?}"),
            };
            assert_eq!(why.reasons, expected);
        }
        assert_eq!(read_error(&json!({ "reason": reason })).reasons, expected);
    }
}

#[test]
fn an_acknowledgement_may_carry_an_id_of_its_own_or_the_process_id_there() {
    for id in ["urn:uuid:of-the-message", "urn:p"] {
        let ack = json!({"@context": [CONTEXT], "@type": "TransferProcess", "@id": id, "providerPid": "urn:p", "consumerPid": "urn:c"});
        assert_eq!(acknowledged_pid(&ack, "providerPid"), Some("urn:p".parse().unwrap()));
    }
    assert_eq!(acknowledged_pid(&Value::Null, "providerPid"), None, "an empty answer");
}

#[test]
fn a_policy_stays_as_it_was_sent() {
    let mut edc = offer();
    edc["odrl:permission"] = json!({"odrl:action": {"@id": "odrl:use"}, "odrl:constraint": []});
    let sent = body("ContractOfferMessage", json!({ "offer": edc }));
    match NegotiationMessage::read(&sent).unwrap().message {
        NegotiationMessage::Offer { offer, .. } => assert_eq!(offer.to_string(), edc.to_string()),
        other => panic!("{other:?}"),
    }
}
