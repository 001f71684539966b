//! Addresses in messages, for answers and for data: which are read, and how they are written.

use super::*;

#[test]
fn a_callback_address_is_a_plain_url() {
    let request = |callback: &str| {
        outcome(&without(
            body(
                "ContractRequestMessage",
                json!({"offer": offer(), "callbackAddress": callback}),
            ),
            "providerPid",
        ))
    };
    for good in [
        "https://peer.example",
        "https://peer.example/",
        "http://127.0.0.1:8083/x/",
        "https://[::1]/x",
    ] {
        assert!(request(good).is_ok(), "{good}");
    }
    let long = format!("https://peer.example/{}", "x".repeat(2048));
    let long_once_encoded = format!("https://peer.example/{}", "{".repeat(700));
    for bad in [
        "",
        "peer.example",
        "/dsp",
        "ftp://peer.example",
        "file:///etc",
        "https://me:secret@peer.example",
        "https://me@peer.example",
        long.as_str(),
        long_once_encoded.as_str(),
    ] {
        let error = request(bad).unwrap_err();
        assert!(
            matches!(
                error,
                MessageError::Invalid {
                    member: "callbackAddress",
                    ..
                }
            ),
            "{bad}: {error}"
        );
        assert!(!error.to_string().contains("secret"));
    }
}

#[test]
fn a_callback_address_is_written_without_a_trailing_slash() {
    for (given, written) in [
        ("https://me.example/", "https://me.example"),
        ("https://me.example/dsp/", "https://me.example/dsp"),
    ] {
        let message = NegotiationMessage::Request {
            offer: offer(),
            callback: Some(given.parse().unwrap()),
        };
        let pids = Pids {
            consumer: Some(CONSUMER.parse().unwrap()),
            provider: None,
        };
        assert_eq!(
            message.write(&"urn:m".parse().unwrap(), &pids)["callbackAddress"],
            written
        );
    }
}

#[test]
fn an_address_is_read_in_either_spelling() {
    let property = |name: &str, value: Value| json!({"@type": "EndpointProperty", "name": name, "value": value});
    let expected = DataAddress {
        endpoint_type: ENDPOINT_TYPE_HTTP.to_owned(),
        endpoint: Some("https://peer.example/data".parse().unwrap()),
        authorization: Some("token".to_owned()),
    };
    let mut plain = address();
    plain["endpointProperties"] = json!([
        property("authorization", json!("token")),
        property("authType", json!("bearer"))
    ]);
    let mut edc = without(address(), "endpoint");
    let edc_name = |name: &str| format!("https://w3id.org/edc/v0.0.1/ns/{name}");
    edc["endpointProperties"] = json!([
        property(
            &edc_name("responseChannel"),
            json!({"@type": "DataAddress", "endpointType": "x"})
        ),
        property(&edc_name("endpoint"), json!("https://peer.example/data")),
        property(&edc_name("endpointType"), json!("ignored")),
        property(&edc_name("authorization"), json!("token")),
    ]);
    for spelling in [plain.clone(), edc] {
        assert_eq!(DataAddress::read(&spelling), Ok(expected.clone()), "{spelling}");
    }
    plain["endpointProperties"] = property("authorization", json!("token"));
    assert_eq!(
        DataAddress::read(&plain),
        Ok(expected),
        "a single property may have been collapsed"
    );
}

#[test]
fn an_address_that_cannot_be_used_is_refused() {
    let start =
        |address: Value| TransferMessage::read(&body("TransferStartMessage", json!({ "dataAddress": address })));
    assert_eq!(start(json!("x")), Err(invalid("dataAddress", "is not an object")));
    assert_eq!(
        start(without(address(), "endpointType")),
        Err(MessageError::Missing("endpointType"))
    );
    for (member, value) in [
        ("endpoint", json!("ftp://x")),
        ("endpoint", json!(7)),
        ("endpointType", json!("x".repeat(9000))),
    ] {
        let mut spoilt = address();
        spoilt[member] = value;
        assert!(matches!(start(spoilt), Err(MessageError::Invalid { member: named, .. }) if named == member));
    }
    let mut long = address();
    long["endpointProperties"] = json!([{"name": "authorization", "value": "x".repeat(9000)}]);
    assert!(matches!(
        start(long),
        Err(MessageError::Invalid {
            member: "authorization",
            ..
        })
    ));
    let none = start(Value::Null).unwrap();
    assert_eq!(none.message, TransferMessage::Start { data_address: None });
}

#[test]
fn an_address_is_written_for_those_who_read_only_properties_too() {
    let read = DataAddress::read(&address()).unwrap();
    let written = read.write();
    assert_eq!(
        DataAddress::read(&without(written.clone(), "endpoint")),
        Ok(read.clone())
    );
    assert_eq!(written["endpointProperties"].as_array().map(Vec::len), Some(1));
    let bare = DataAddress {
        endpoint: None,
        authorization: None,
        ..read
    };
    assert_eq!(
        bare.write(),
        json!({"@type": "DataAddress", "endpointType": ENDPOINT_TYPE_HTTP})
    );
}
