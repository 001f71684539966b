//! Reading of every message with each member left out or spoilt, and what is tolerated from peers.

mod addresses;

use super::{
    explanation::{MAX_CODE, MAX_REASON, MAX_REASONS},
    *,
};

const CONSUMER: &str = "urn:uuid:32541fe6-c580-409e-85a8-8a9a32fbe833";
const PROVIDER: &str = "urn:uuid:a343fcbf-99fc-4ce8-8e9b-148c97605aab";
const CALLBACK: &str = "https://peer.example/dsp";

pub(super) fn offer() -> Value {
    json!({"@id": "urn:offer", "@type": "Offer", "target": "d1", "permission": [{"action": "use"}]})
}

fn agreement() -> Value {
    json!({"@id": "urn:agreement", "@type": "Agreement", "target": "d1", "timestamp": "2026-01-01T00:00:00Z"})
}

fn address() -> Value {
    json!({"@type": "DataAddress", "endpointType": ENDPOINT_TYPE_HTTP, "endpoint": "https://peer.example/data"})
}

pub(super) fn body(kind: &str, members: Value) -> Value {
    let mut body = json!({"@context": [CONTEXT], "@type": kind, "consumerPid": CONSUMER, "providerPid": PROVIDER});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn without(mut body: Value, member: &str) -> Value {
    body.as_object_mut().unwrap().remove(member);
    body
}

/// Every message that there is, and its required members apart from the ones with a rule of their own.
fn negotiation_bodies() -> Vec<(Value, &'static [&'static str])> {
    let opening = |kind: &str, unknown: &str| {
        without(
            body(kind, json!({"offer": offer(), "callbackAddress": CALLBACK})),
            unknown,
        )
    };
    vec![
        (
            opening("ContractRequestMessage", "providerPid"),
            &["consumerPid", "offer"],
        ),
        (
            body("ContractRequestMessage", json!({"offer": offer()})),
            &["consumerPid", "offer"],
        ),
        (
            opening("ContractOfferMessage", "consumerPid"),
            &["providerPid", "offer"],
        ),
        (
            body("ContractOfferMessage", json!({"offer": offer()})),
            &["providerPid", "offer"],
        ),
        (
            body("ContractNegotiationEventMessage", json!({"eventType": "ACCEPTED"})),
            &["consumerPid", "providerPid", "eventType"],
        ),
        (
            body("ContractNegotiationEventMessage", json!({"eventType": "FINALIZED"})),
            &["consumerPid", "providerPid", "eventType"],
        ),
        (
            body("ContractAgreementMessage", json!({"agreement": agreement()})),
            &["consumerPid", "providerPid", "agreement"],
        ),
        (
            body("ContractAgreementVerificationMessage", json!({})),
            &["consumerPid", "providerPid"],
        ),
        (
            body(
                "ContractNegotiationTerminationMessage",
                json!({"code": "1", "reason": ["x"]}),
            ),
            &["consumerPid", "providerPid"],
        ),
    ]
}

fn transfer_bodies() -> Vec<(Value, &'static [&'static str])> {
    let request = json!({"agreementId": "urn:agreement", "format": "HttpData-PULL", "callbackAddress": CALLBACK});
    let reasons = json!({"code": "1", "reason": ["x"]});
    vec![
        (
            without(body("TransferRequestMessage", request), "providerPid"),
            &["consumerPid", "agreementId", "format", "callbackAddress"],
        ),
        (
            body("TransferStartMessage", json!({"dataAddress": address()})),
            &["consumerPid", "providerPid"],
        ),
        (
            body("TransferSuspensionMessage", reasons.clone()),
            &["consumerPid", "providerPid"],
        ),
        (
            body("TransferCompletionMessage", json!({})),
            &["consumerPid", "providerPid"],
        ),
        (
            body("TransferTerminationMessage", reasons),
            &["consumerPid", "providerPid"],
        ),
    ]
}

/// What reading a body of either protocol comes to, without the message.
fn outcome(body: &Value) -> Result<Pids, MessageError> {
    if body["@type"].as_str().unwrap_or_default().starts_with("Transfer") {
        TransferMessage::read(body).map(|received| received.pids)
    } else {
        NegotiationMessage::read(body).map(|received| received.pids)
    }
}

pub(super) fn all_bodies() -> Vec<(Value, &'static [&'static str])> {
    negotiation_bodies().into_iter().chain(transfer_bodies()).collect()
}

#[test]
fn every_message_is_read() {
    for (body, _) in all_bodies() {
        let pid = |name: &str| body.get(name).map(|pid| pid.as_str().unwrap().parse().unwrap());
        let pids = Pids {
            consumer: pid("consumerPid"),
            provider: pid("providerPid"),
        };
        assert_eq!(outcome(&body), Ok(pids), "{body}");
    }
}

#[test]
fn a_required_member_that_is_absent_or_null_is_missed_by_name() {
    for (body, required) in all_bodies() {
        for member in required {
            // Of the two ids of an opening or an answer to it, one is bound to the callback address.
            let error = Err(MessageError::Missing(member));
            assert_eq!(outcome(&without(body.clone(), member)), error, "{body}");
            let mut null = body.clone();
            null[*member] = Value::Null;
            assert_eq!(outcome(&null), error, "{body}");
        }
    }
}

#[test]
fn a_required_member_of_another_type_or_empty_is_named() {
    for (body, required) in all_bodies() {
        for member in required {
            for wrong in [json!(7), json!(true), json!([]), json!([["x"]]), json!("")] {
                let mut spoilt = body.clone();
                spoilt[*member] = wrong;
                let error = outcome(&spoilt).unwrap_err();
                assert!(
                    matches!(&error, MessageError::Invalid { member: named, .. } if named == member),
                    "{error} in {spoilt}"
                );
            }
        }
    }
}

#[test]
fn an_opening_has_a_callback_address_and_a_later_message_the_other_pid() {
    for (kind, pid) in [
        ("ContractRequestMessage", "providerPid"),
        ("ContractOfferMessage", "consumerPid"),
    ] {
        let error = Err(MessageError::ExactlyOne("callbackAddress", pid));
        let both = body(kind, json!({"offer": offer(), "callbackAddress": CALLBACK}));
        assert_eq!(outcome(&both), error);
        let neither = without(without(both.clone(), "callbackAddress"), pid);
        assert_eq!(outcome(&neither), error);
        let mut null = neither;
        null[pid] = Value::Null;
        null["callbackAddress"] = CALLBACK.into();
        assert!(outcome(&null).is_ok(), "null is as good as absent");
    }
}

#[test]
fn an_offer_in_a_message_has_an_id_and_a_target() {
    for kind in ["ContractRequestMessage", "ContractOfferMessage"] {
        for member in ["@id", "target"] {
            let missing = body(kind, json!({"offer": without(offer(), member)}));
            assert_eq!(outcome(&missing), Err(MessageError::Missing(member)));
            for wrong in [json!(7), json!({}), json!("")] {
                let mut spoilt = offer();
                spoilt[member] = wrong;
                let error = outcome(&body(kind, json!({ "offer": spoilt }))).unwrap_err();
                assert!(matches!(error, MessageError::Invalid { member: named, .. } if named == member));
            }
        }
    }
}

#[test]
fn an_event_is_one_of_two() {
    for event in ["accepted", "TERMINATED", "ACCEPTED "] {
        let error = outcome(&body("ContractNegotiationEventMessage", json!({"eventType": event}))).unwrap_err();
        assert!(matches!(
            error,
            MessageError::Invalid {
                member: "eventType",
                ..
            }
        ));
    }
}

#[test]
fn the_context_is_ours_alone_or_among_others() {
    for (body, _) in all_bodies() {
        for good in [
            json!([CONTEXT]),
            json!(CONTEXT),
            json!(["https://w3id.org/edc/dspace/v0.0.1", CONTEXT]),
            json!([CONTEXT, {"x": "urn:x"}]),
        ] {
            let mut other = body.clone();
            other["@context"] = good;
            assert_eq!(outcome(&other), outcome(&body));
        }
        for bad in [
            Value::Null,
            json!([]),
            json!({}),
            json!(""),
            json!([[CONTEXT]]),
            json!("https://w3id.org/dspace/2024/1/context.json"),
            json!(["https://w3id.org/dspace/2025/1/context.jsonld#"]),
        ] {
            let mut other = body.clone();
            other["@context"] = bad;
            assert_eq!(outcome(&other), Err(MessageError::WrongContext), "{other}");
        }
        assert_eq!(outcome(&without(body, "@context")), Err(MessageError::WrongContext));
    }
}

#[test]
fn a_message_of_another_type_is_not_read() {
    for (body, _) in all_bodies() {
        for wrong in [
            "dspace:ContractRequestMessage",
            "CatalogRequestMessage",
            "ContractNegotiation",
            "contractrequestmessage",
        ] {
            let mut other = body.clone();
            other["@type"] = wrong.into();
            assert!(
                matches!(NegotiationMessage::read(&other), Err(MessageError::WrongType { .. })),
                "{other}"
            );
            assert!(
                matches!(TransferMessage::read(&other), Err(MessageError::WrongType { .. })),
                "{other}"
            );
        }
        assert_eq!(outcome(&without(body, "@type")), Err(MessageError::Missing("@type")));
    }
    for (body, _) in negotiation_bodies() {
        assert!(matches!(
            TransferMessage::read(&body),
            Err(MessageError::WrongType { .. })
        ));
    }
    for (body, _) in transfer_bodies() {
        assert!(matches!(
            NegotiationMessage::read(&body),
            Err(MessageError::WrongType { .. })
        ));
    }
    let long = body(&"x".repeat(10_000), json!({}));
    assert!(
        NegotiationMessage::read(&long).unwrap_err().to_string().len() < 200,
        "an error does not repeat what it was sent"
    );
}

#[test]
fn what_is_not_an_object_is_not_a_message() {
    for other in [Value::Null, json!([]), json!("x"), json!(1)] {
        assert_eq!(NegotiationMessage::read(&other), Err(MessageError::NotAnObject));
        assert_eq!(TransferMessage::read(&other), Err(MessageError::NotAnObject));
    }
}

#[test]
fn members_that_we_do_not_know_are_ignored() {
    for (body, _) in all_bodies() {
        let mut more = body.clone();
        more["callbackAddresses"] = json!([1]);
        more["edc:more"] = json!({"a": null});
        assert_eq!(outcome(&more), outcome(&body));
    }
}

#[test]
fn a_message_id_is_read_if_it_is_usable() {
    for (id, expected) in [
        (json!("urn:m"), Some("urn:m")),
        (json!(7), None),
        (json!(""), None),
        (json!("a b"), None),
    ] {
        let read = NegotiationMessage::read(&body("ContractAgreementVerificationMessage", json!({"@id": id}))).unwrap();
        assert_eq!(read.id.as_ref().map(MessageId::as_str), expected);
    }
}

#[test]
fn no_explanation_is_a_reason_to_refuse_a_termination() {
    let read = |members: Value| match NegotiationMessage::read(&body("ContractNegotiationTerminationMessage", members))
        .unwrap()
        .message
    {
        NegotiationMessage::Termination(why) => why,
        other => panic!("{other:?}"),
    };
    let why = |code: Option<&str>, reasons: &[&str]| Explanation {
        code: code.map(str::to_owned),
        reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
    };
    assert_eq!(read(json!({})), why(None, &[]));
    assert_eq!(read(json!({"code": null, "reason": null})), why(None, &[]));
    assert_eq!(read(json!({"code": 99, "reason": "one"})), why(Some("99"), &["one"]));
    assert_eq!(
        read(json!({"reason": ["a", {"@value": "b"}, 3]})),
        why(None, &["a", r#"{"@value":"b"}"#, "3"])
    );
    let much = read(json!({"code": "c".repeat(5000), "reason": vec!["é".repeat(5000); 100]}));
    assert_eq!(much.code.unwrap().len(), MAX_CODE);
    assert_eq!(much.reasons, vec!["é".repeat(MAX_REASON); MAX_REASONS]);
}

#[test]
fn errors_and_acknowledgements_say_what_is_known() {
    let known = Pids {
        consumer: Some(CONSUMER.parse().unwrap()),
        provider: None,
    };
    assert_eq!(
        error("TransferError", Some(&known), &Explanation::new("gone", "It is gone.")),
        json!({"@context": [CONTEXT], "@type": "TransferError", "consumerPid": CONSUMER, "providerPid": "", "code": "gone", "reason": ["It is gone."]})
    );
    assert_eq!(
        error("CatalogError", None, &Explanation::default()),
        json!({"@context": [CONTEXT], "@type": "CatalogError"})
    );
    let both = Pids {
        provider: Some(PROVIDER.parse().unwrap()),
        ..known
    };
    let body = acknowledgement("ContractNegotiation", &both, &negotiation::State::Requested);
    assert_eq!(acknowledged_pid(&body, "providerPid"), both.provider);
    assert_eq!(body["state"], "REQUESTED");
    assert_eq!(
        acknowledged_pid(&json!({"@id": PROVIDER}), "providerPid"),
        None,
        "an @id is never a process id"
    );
    assert_eq!(acknowledged_pid(&json!({"providerPid": 7}), "providerPid"), None);
}

#[test]
fn error_bodies_of_peers_are_read_as_far_as_they_go() {
    assert_eq!(
        read_error(&json!({"code": 400, "reason": "no"})),
        Explanation::new("400", "no")
    );
    assert_eq!(read_error(&json!({"reason": []})), Explanation::default());
    assert_eq!(read_error(&json!("no")), Explanation::default());
    assert_eq!(read_error(&Value::Null), Explanation::default());
}

#[test]
fn an_explanation_of_ours_is_cut_to_what_a_recipient_keeps() {
    let long = "é".repeat(MAX_REASON + 1);
    let cut = Explanation::of("no-agreement", vec![long; MAX_REASONS + 1]);
    assert_eq!(cut.reasons, vec!["é".repeat(MAX_REASON); MAX_REASONS]);
}
