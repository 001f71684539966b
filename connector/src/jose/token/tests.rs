use super::*;
use crate::{
    dsp::json::JsonError,
    jose::{Algorithm, SigningKey, canonical::CanonicalError, testing},
};
use std::collections::HashSet;

fn claims() -> Value {
    json!({"subject": "ref-1", "purpose": "orientation", "given": true, "until": "2027-01-01T00:00:00Z", "n": 3})
}

fn keys(kid: &str) -> Option<VerifyingKey> {
    match kid {
        "did:web:ft.example#k1" => Some(testing::rfc7515_public()),
        "did:web:lycee.example#k7" => Some(testing::rfc8037_public()),
        _ => None,
    }
}

/// A token with this header and payload, whatever they are, truly signed by the consumer's key.
fn signed(header: &str, payload: &[u8]) -> String {
    let (header, payload) = (base64url::encode(header.as_bytes()), base64url::encode(payload));
    let signature = testing::rfc7515_private()
        .sign(format!("{header}.{payload}").as_bytes())
        .unwrap();
    format!("{header}.{payload}.{}", base64url::encode(&signature))
}

fn refusal(token: &str) -> JoseError {
    verify(token, Kind::Consent, keys).unwrap_err()
}

const HEADER: &str = r#"{"alg":"ES256","kid":"did:web:ft.example#k1","typ":"dases-consent+jws"}"#;

#[test]
fn what_is_signed_is_read_back() {
    for signer in [testing::consumer(), testing::provider()] {
        for kind in Kind::ALL {
            let token = sign(&signer, kind, &claims()).unwrap();
            assert_eq!(kid(&token).as_deref(), Ok(signer.kid()));
            let read = verify(&token, kind, keys).unwrap();
            assert_eq!((read.kid(), read.issuer()), (signer.kid(), signer.did()));
            assert_eq!(read.members().get("n"), Some(&json!(3)));
            assert_eq!(read.into_value(), claims());
        }
    }
}

#[test]
fn the_payload_is_canonical_and_the_header_exact() {
    let token = sign(
        &testing::consumer(),
        Kind::Consent,
        &json!({"b": 1, "a": {"d": 1, "c": 2}}),
    )
    .unwrap();
    let mut parts = token
        .split('.')
        .map(|part| String::from_utf8_lossy(&base64url::decode(part).unwrap()).into_owned());
    assert_eq!(parts.next().as_deref(), Some(HEADER));
    assert_eq!(parts.next().as_deref(), Some(r#"{"a":{"c":2,"d":1},"b":1}"#));
}

#[test]
fn no_two_kinds_share_a_typ_and_none_passes_for_another() {
    let types: HashSet<_> = Kind::ALL
        .into_iter()
        .map(Kind::typ)
        .chain(["dsp-msg+jws", "dsp-agreement+jws"])
        .collect();
    assert_eq!(types.len(), Kind::ALL.len() + 2);
    for signed_as in Kind::ALL {
        let token = sign(&testing::consumer(), signed_as, &claims()).unwrap();
        for read_as in Kind::ALL {
            assert_eq!(verify(&token, read_as, keys).is_ok(), signed_as == read_as);
        }
    }
    let message = HEADER.replace("dases-consent+jws", "dsp-msg+jws");
    assert_eq!(refusal(&signed(&message, b"{}")), JoseError::WrongType);
}

#[test]
fn every_changed_character_is_refused() {
    let token = sign(&testing::consumer(), Kind::Consent, &claims()).unwrap();
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let text = String::from_utf8(bytes).unwrap();
        assert!(verify(&text, Kind::Consent, keys).is_err(), "character {at}");
    }
}

#[test]
fn headers_out_of_the_rule_are_refused_though_well_signed() {
    assert!(
        verify(&signed(HEADER, b"{}"), Kind::Consent, keys).is_ok(),
        "the good one, so that each below fails for its own reason"
    );
    let with = |from: &str, to: &str| refusal(&signed(&HEADER.replacen(from, to, 1), b"{}"));
    assert_eq!(with("ES256", "none"), JoseError::AlgorithmNotAllowed);
    assert_eq!(with("ES256", "HS256"), JoseError::AlgorithmNotAllowed);
    assert_eq!(with("ES256", "EdDSA"), JoseError::WrongKey);
    assert_eq!(with("{", r#"{"jwk":{},"#), JoseError::EmbeddedKey("jwk"));
    assert_eq!(
        with("{", r#"{"b64":false,"crit":["b64"],"#),
        JoseError::UnencodedPayload
    );
    assert_eq!(with("{", r#"{"crit":[],"#), JoseError::UnknownCritical);
    assert_eq!(
        with("{", r#"{"crit":["dspsig"],"dspsig":{},"#),
        JoseError::UnknownCritical
    );
    assert_eq!(with("{", r#"{"cty":"json","#), JoseError::UnknownMember("cty".into()));
    assert_eq!(
        with("{", r#"{"alg":"ES256","#),
        JoseError::Json(JsonError::DuplicateKey("alg".into()))
    );
    assert_eq!(with("did:web:ft.example#k1", "k1"), JoseError::WrongKeyId);
    assert_eq!(
        with("did:web:ft.example#k1", "did:web:ft.example#k2"),
        JoseError::UnknownKey
    );
    assert_eq!(
        with("did:web:ft.example#k1", "did:web:lycee.example#k7"),
        JoseError::WrongKey
    );
    assert_eq!(with(r#","typ":"dases-consent+jws""#, ""), JoseError::WrongType);
}

#[test]
fn payloads_out_of_the_rule_are_refused_though_well_signed() {
    let with = |payload: &[u8]| refusal(&signed(HEADER, payload));
    assert_eq!(
        with(br#"{"a":1,"a":2}"#),
        JoseError::Json(JsonError::DuplicateKey("a".into()))
    );
    assert_eq!(with(b"[]"), JoseError::Malformed("not a JSON object"));
    assert_eq!(with(b"\xff"), JoseError::Json(JsonError::NotUtf8));
    assert!(matches!(with(b""), JoseError::Json(JsonError::Syntax { .. })));
    assert_eq!(with("[".repeat(100).as_bytes()), JoseError::Json(JsonError::TooDeep));
}

#[test]
fn another_key_is_refused() {
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let token = sign(&testing::consumer(), Kind::Receipt, &claims()).unwrap();
    let substituted = verify(&token, Kind::Receipt, |_| Some(stranger.verifying_key().clone()));
    assert_eq!(substituted, Err(JoseError::BadSignature));
}

#[test]
fn what_cannot_be_signed() {
    let try_sign = |claims: &Value| sign(&testing::consumer(), Kind::Consent, claims).unwrap_err();
    assert!(matches!(try_sign(&json!([])), JoseError::CannotSign(_)));
    assert_eq!(
        try_sign(&json!({"n": 1.5})),
        JoseError::Canonical(CanonicalError::Fraction)
    );
    assert_eq!(
        try_sign(&json!({"n": u64::MAX})),
        JoseError::Canonical(CanonicalError::UnsafeInteger)
    );
    assert_eq!(
        try_sign(&json!({"long": "x".repeat(MAX_LEN)})),
        JoseError::TooLarge(MAX_LEN)
    );
}

#[test]
fn a_detached_payload_is_not_a_token() {
    let token = sign(&testing::consumer(), Kind::Consent, &claims()).unwrap();
    let [header, _, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!()
    };
    assert_eq!(refusal(&format!("{header}..{signature}")), JoseError::BadSignature);
    assert_eq!(refusal(""), JoseError::SignatureMissing);
    assert_eq!(refusal(&"A".repeat(MAX_LEN + 1)), JoseError::TooLarge(MAX_LEN));
}
