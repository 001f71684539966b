//! Every message with each of its members spoilt, as bytes on the wire: a typed error each time, short, and never a panic.

use super::{tests::all_bodies, *};
use crate::dsp::json::{self, JsonError};

/// What reading the bytes of a message of either protocol comes to.
#[derive(Debug, PartialEq)]
enum Refusal {
    Json(JsonError),
    Message(MessageError),
}

fn read(text: &str) -> Result<(), Refusal> {
    let body = json::parse(text.as_bytes()).map_err(Refusal::Json)?;
    let read = match body["@type"].as_str() {
        Some(kind) if kind.starts_with("Transfer") => TransferMessage::read(&body).map(|_| ()),
        _ => NegotiationMessage::read(&body).map(|_| ()),
    };
    read.map_err(Refusal::Message)
}

/// The members without which a message is none, by its pointer: those of the table, and what every message has.
fn required(listed: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    ["@context", "@type"].into_iter().chain(listed.iter().copied())
}

fn with(body: &Value, member: &str, value: Value) -> String {
    let mut spoilt = body.clone();
    spoilt[member] = value;
    spoilt.to_string()
}

fn expect_short(text: &str, case: &str) -> Refusal {
    let refusal = read(text).expect_err(case);
    let said = match &refusal {
        Refusal::Json(error) => error.to_string(),
        Refusal::Message(error) => error.to_string(),
    };
    assert!(said.len() < 300, "{case}: an error does not repeat what it was sent");
    refusal
}

#[test]
fn a_required_member_that_is_missing_null_empty_or_of_another_type_is_refused() {
    for (body, listed) in all_bodies() {
        for member in required(listed) {
            let mut missing = body.clone();
            missing.as_object_mut().unwrap().remove(member);
            expect_short(&missing.to_string(), member);
            for wrong in [
                Value::Null,
                json!(""),
                json!([]),
                json!(0),
                json!(-1.5),
                json!(true),
                json!([null]),
                json!([[]]),
                json!({"x": {}}),
            ] {
                let refusal = expect_short(&with(&body, member, wrong.clone()), member);
                assert!(matches!(refusal, Refusal::Message(_)), "{member} {wrong}: {refusal:?}");
            }
        }
    }
}

#[test]
fn any_member_that_is_written_twice_is_refused() {
    for (body, _) in all_bodies() {
        for (name, value) in body.as_object().unwrap() {
            let text = body.to_string();
            let twice = format!("{{{}:{value},{}", Value::from(name.as_str()), &text[1..]);
            assert_eq!(
                read(&twice),
                Err(Refusal::Json(JsonError::DuplicateKey(name.clone()))),
                "{twice}"
            );
            // The same name, escaped.
            let escaped: String = name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let twice = format!("{{\"{escaped}\":{value},{}", &text[1..]);
            assert_eq!(read(&twice), Err(Refusal::Json(JsonError::DuplicateKey(name.clone()))));
        }
    }
}

#[test]
fn a_required_member_of_a_mebibyte_is_refused_and_so_is_one_that_just_fits() {
    for (body, listed) in all_bodies() {
        for member in required(listed) {
            let refusal = expect_short(&with(&body, member, "x".repeat(1 << 20).into()), member);
            assert!(matches!(refusal, Refusal::Json(JsonError::TooLarge { .. })), "{member}");
            let refusal = expect_short(&with(&body, member, "x".repeat(1_000_000).into()), member);
            assert!(matches!(refusal, Refusal::Message(_)), "{member}: {refusal:?}");
        }
    }
}

#[test]
fn a_member_that_is_nested_too_deeply_is_refused() {
    for (body, _) in all_bodies() {
        for deep in [json::MAX_DEPTH, 127, 100_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let value = format!("{}0{}", open.repeat(deep), close.repeat(deep));
                let text = format!("{{\"extra\":{value},{}", &body.to_string()[1..]);
                let refusal = expect_short(&text, "deep");
                assert_eq!(refusal, Refusal::Json(JsonError::TooDeep), "{deep}");
            }
        }
    }
}

#[test]
fn an_offer_and_an_address_are_refused_as_their_members_are() {
    let nested = [
        ("offer", &["@id", "target"][..]),
        ("agreement", &["@id"][..]),
        ("dataAddress", &["endpointType"][..]),
    ];
    for (body, _) in all_bodies() {
        for (member, inner) in nested {
            if body.get(member).is_none() {
                continue;
            }
            for name in inner {
                for wrong in [
                    Value::Null,
                    json!(""),
                    json!([]),
                    json!(0),
                    json!({}),
                    "x".repeat(1_000_000).into(),
                ] {
                    let mut spoilt = body[member].clone();
                    spoilt[*name] = wrong;
                    // A target is text of any length here; it is compared with the dataset's id afterwards.
                    if *name == "target" && spoilt[*name].as_str().is_some_and(|text| !text.is_empty()) {
                        continue;
                    }
                    expect_short(&with(&body, member, spoilt), name);
                }
            }
        }
    }
}

#[test]
fn a_message_that_is_cut_off_anywhere_is_refused() {
    for (body, _) in all_bodies() {
        let text = body.to_string();
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            let refusal = expect_short(&text[..end], "cut off");
            assert!(matches!(refusal, Refusal::Json(JsonError::Syntax { .. })));
        }
    }
}
