use super::*;
use crate::{
    audit::merkle,
    dsp::json::JsonError,
    jose::{SigningKey, canonical::CanonicalError, testing},
};

const PAYLOAD: &str = concat!(
    r#"{"agreement":{"@id":"urn:uuid:e8dc8655-44c2-46ef-b701-4cffdc2faa44","@type":"Agreement","assignee":"did:web:ft.example","#,
    r#""assigner":"did:web:lycee.example","permission":[{"action":"use","constraint":[{"leftOperand":"purpose","operator":"eq","#,
    r#""rightOperand":"bilan-orientation"}]}],"target":"urn:uuid:3dd1add4-4d2d-569e-d634-8394a8836d23","timestamp":"2026-01-01T00:00:00Z"},"#,
    r#""consumer":{"did":"did:web:ft.example","jkt":"oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"},"#,
    r#""consumerPid":"urn:uuid:32541fe6-c580-409e-85a8-8a9a32fbe833","dsp":"2025-1","#,
    r#""provider":{"did":"did:web:lycee.example","jkt":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},"#,
    r#""providerPid":"urn:uuid:a343fcbf-99fc-4ce8-8e9b-148c97605aab","transcript":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU","#,
    r#""type":"AgreementRecord","v":1}"#
);
const ASSIGNER: &str = concat!(
    r#"{"alg":"EdDSA","crit":["dspsig"],"cty":"json","dspsig":{"iat":1767225600,"jkt":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","#,
    r#""role":"assigner","v":1},"kid":"did:web:lycee.example#k7","typ":"dsp-agreement+jws"}"#
);
const ASSIGNER_SIGNATURE: &str =
    "ke_lRuMcHu5rpJzcxYSdVNcuED-YCahke3_VDuh2GSFW-2n_AdDszwTz0g-clizBpybXUEOiJVMeENqhL1YwAQ";
const ASSIGNEE: &str = concat!(
    r#"{"alg":"ES256","crit":["dspsig"],"cty":"json","dspsig":{"iat":1767225660,"jkt":"oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U","#,
    r#""role":"assignee","v":1},"kid":"did:web:ft.example#k1","typ":"dsp-agreement+jws"}"#
);
const ASSIGNEE_SIGNATURE: &str =
    "gG5SIFsZBCXhvPzoA3q91mX2bAmx04uRhWNh0bd9EEzC8282hfWwo29PODXtk1vav9h8jcDd3AKTLOv4S_qKTQ";
const SIGNED_AT: Timestamp = Timestamp::from_seconds(1_767_225_600);

fn detached(protected: &str, signature: &str) -> String {
    format!("{}..{signature}", base64url::encode(protected.as_bytes()))
}

fn entry(protected: &str, signature: &str) -> Value {
    json!({ "protected": base64url::encode(protected.as_bytes()), "signature": signature })
}

fn known_json() -> Value {
    json!({
        "payload": base64url::encode(PAYLOAD.as_bytes()),
        "signatures": [entry(ASSIGNER, ASSIGNER_SIGNATURE), entry(ASSIGNEE, ASSIGNEE_SIGNATURE)],
    })
}

fn known() -> Document {
    Document::parse(known_json().to_string().as_bytes()).unwrap()
}

fn record() -> Record {
    Record::parse(PAYLOAD.as_bytes()).unwrap()
}

fn keys(kid: &str) -> Option<VerifyingKey> {
    match kid {
        "did:web:lycee.example#k7" => Some(testing::rfc8037_public()),
        "did:web:ft.example#k1" => Some(testing::rfc7515_public()),
        _ => None,
    }
}

/// Who failed, and why.
fn failures(result: Result<impl std::fmt::Debug, AgreementError>) -> Vec<(Role, JoseError)> {
    match result {
        Err(AgreementError::Parties(failures)) => failures
            .into_iter()
            .map(|failure| (failure.role, failure.reason))
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn of_document(value: &Value) -> JoseError {
    match Document::parse(value.to_string().as_bytes()) {
        Err(AgreementError::Document(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_known_answer_verifies() {
    assert_eq!(PAYLOAD.len(), 788);
    let expected = testing::hex("16ba17c01da7323f0f80412704bece4b5bd15a54aa7e31ea6956bca023b3e5cf");
    assert_eq!(record().digest().as_bytes().as_slice(), expected);
    let verified = known().verify(keys).unwrap();
    assert_eq!(verified.record(), &record());
    assert_eq!(
        verified.assigner(),
        &Signed {
            kid: "did:web:lycee.example#k7".into(),
            at: SIGNED_AT
        }
    );
    assert_eq!(verified.assignee().at, Timestamp::from_seconds(1_767_225_660));
}

#[test]
fn the_document_has_one_canonical_form_whatever_the_order_it_came_in() {
    let bytes = known().to_bytes().unwrap();
    assert_eq!(bytes.len(), 1870);
    let expected = testing::hex("081379315ebd8e19ed0fd9cd7e7fc788e9258c3432a6ed2bf7287f85a57242c7");
    assert_eq!(merkle::leaf_hash(&bytes).as_bytes().as_slice(), expected);
    let mut swapped = known_json();
    swapped["signatures"].as_array_mut().unwrap().reverse();
    let swapped = Document::parse(swapped.to_string().as_bytes()).unwrap();
    assert!(swapped.verify(keys).is_ok());
    assert_eq!(swapped.digest(), known().digest());
    assert_eq!(Document::parse(&bytes), Ok(known()));
}

#[test]
fn building_and_signing_give_the_known_bytes() {
    let built = Record::new(record().parts().clone()).unwrap();
    assert_eq!(std::str::from_utf8(built.bytes()).unwrap(), PAYLOAD);
    let by_provider = built.sign(&testing::provider(), Role::Assigner, SIGNED_AT).unwrap();
    assert_eq!(
        by_provider,
        detached(ASSIGNER, ASSIGNER_SIGNATURE),
        "Ed25519 signatures are deterministic"
    );
    let by_consumer = built
        .sign(
            &testing::consumer(),
            Role::Assignee,
            SIGNED_AT.plus(std::time::Duration::from_secs(60)),
        )
        .unwrap();
    assert_eq!(
        by_consumer.split("..").next(),
        detached(ASSIGNEE, "").split("..").next()
    );
    let document = Document::assemble(built, &by_provider, &by_consumer).unwrap();
    assert!(document.verify(keys).is_ok());
}

#[test]
fn one_detached_signature_is_checked_for_its_role() {
    let (assigner, assignee) = (
        detached(ASSIGNER, ASSIGNER_SIGNATURE),
        detached(ASSIGNEE, ASSIGNEE_SIGNATURE),
    );
    let parsed = PartySignature::parse(&assigner).unwrap();
    assert_eq!(
        (parsed.kid(), parsed.role()),
        ("did:web:lycee.example#k7", Role::Assigner)
    );
    let (provider, consumer) = (testing::rfc8037_public(), testing::rfc7515_public());
    assert!(record().verify_signature(Role::Assigner, &assigner, &provider).is_ok());
    assert!(record().verify_signature(Role::Assignee, &assignee, &consumer).is_ok());
    assert_eq!(
        record().verify_signature(Role::Assignee, &assigner, &provider),
        Err(JoseError::WrongParty)
    );
    assert_eq!(
        record().verify_signature(Role::Assigner, &assigner, &consumer),
        Err(JoseError::WrongKey)
    );
    assert_eq!(
        record().verify_signature(Role::Assigner, "", &provider),
        Err(JoseError::SignatureMissing)
    );
}

#[test]
fn a_changed_record_is_no_longer_signed() {
    let parts = record().parts().clone();
    let changes: [fn(&mut Parts); 5] = [
        |parts| parts.agreement["permission"][0]["action"] = json!("sell"),
        |parts| parts.provider_pid.push('0'),
        |parts| parts.consumer_pid.push('0'),
        |parts| parts.transcript = sha256(b"another conversation"),
        |parts| parts.claims_hash = Some(Digest::EMPTY),
    ];
    for change in changes {
        let mut parts = parts.clone();
        change(&mut parts);
        let forged = Record::new(parts).unwrap();
        let document = Document::assemble(
            forged,
            &detached(ASSIGNER, ASSIGNER_SIGNATURE),
            &detached(ASSIGNEE, ASSIGNEE_SIGNATURE),
        )
        .unwrap();
        let both = vec![
            (Role::Assigner, JoseError::BadSignature),
            (Role::Assignee, JoseError::BadSignature),
        ];
        assert_eq!(failures(document.verify(keys)), both);
    }
}

#[test]
fn every_changed_byte_of_the_document_is_refused() {
    let bytes = known().to_bytes().unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let outcome = Document::parse(&changed).and_then(|document| document.verify(keys));
        assert!(outcome.is_err(), "byte {at}");
    }
}

#[test]
fn the_party_whose_signature_fails_is_named() {
    let mut bad = known_json();
    bad["signatures"][1]["signature"] = json!(ASSIGNER_SIGNATURE);
    let document = Document::parse(bad.to_string().as_bytes()).unwrap();
    assert_eq!(
        failures(document.verify(keys)),
        [(Role::Assignee, JoseError::BadSignature)]
    );
    let error = document.verify(keys).unwrap_err().to_string();
    assert_eq!(
        error,
        "the signature of the assignee did:web:ft.example does not count: the signature does not match"
    );

    let provider_unknown = |kid: &str| keys(kid).filter(|_| !kid.contains("lycee"));
    assert_eq!(
        failures(known().verify(provider_unknown)),
        [(Role::Assigner, JoseError::UnknownKey)]
    );
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let replaced = |_: &str| Some(stranger.verifying_key().clone());
    assert_eq!(
        failures(known().verify(replaced)),
        [
            (Role::Assigner, JoseError::WrongKey),
            (Role::Assignee, JoseError::WrongKey)
        ]
    );
}

#[test]
fn a_missing_or_unreadable_signature_is_the_fault_of_its_role() {
    let with = |signatures: Value| {
        let mut document = known_json();
        document["signatures"] = signatures;
        failures(Document::parse(document.to_string().as_bytes()))
    };
    let (assigner, assignee) = (entry(ASSIGNER, ASSIGNER_SIGNATURE), entry(ASSIGNEE, ASSIGNEE_SIGNATURE));
    assert_eq!(with(json!([assigner])), [(Role::Assignee, JoseError::SignatureMissing)]);
    assert_eq!(with(json!([assignee])), [(Role::Assigner, JoseError::SignatureMissing)]);
    assert_eq!(with(json!([])).len(), 2);
    assert_eq!(
        with(json!([assigner, assigner])),
        [(Role::Assignee, JoseError::SignatureMissing)],
        "one party twice is not both"
    );
    let none = entry(&ASSIGNEE.replace("ES256", "none"), ASSIGNEE_SIGNATURE);
    assert_eq!(
        with(json!([assigner, none])),
        [(Role::Assignee, JoseError::AlgorithmNotAllowed)]
    );
    assert_eq!(
        with(json!([none, assigner])),
        [(Role::Assignee, JoseError::AlgorithmNotAllowed)]
    );
    let mut unprotected = assignee;
    unprotected["header"] = json!({"kid": "did:web:ft.example#k1"});
    assert_eq!(
        with(json!([assigner, unprotected])),
        [(Role::Assignee, JoseError::UnknownMember("header".into()))]
    );
}

#[test]
fn other_shapes_are_not_documents() {
    let (assigner, assignee) = (entry(ASSIGNER, ASSIGNER_SIGNATURE), entry(ASSIGNEE, ASSIGNEE_SIGNATURE));
    let with = |name: &str, value: Value| {
        let mut document = known_json();
        document[name] = value;
        document
    };
    let third = with("signatures", json!([assigner, assignee, assignee]));
    assert_eq!(of_document(&third), JoseError::Malformed("more than two signatures"));
    assert_eq!(
        of_document(&with("signatures", json!({}))),
        JoseError::InvalidMember("signatures")
    );
    assert_eq!(
        of_document(&with("header", json!({}))),
        JoseError::UnknownMember("header".into())
    );
    assert_eq!(of_document(&with("payload", json!("e30="))), JoseError::NotBase64Url);
    assert_eq!(of_document(&json!([])), JoseError::Malformed("not a JSON object"));
    let flattened = json!({"payload": known_json()["payload"], "protected": "", "signature": ""});
    assert_eq!(of_document(&flattened), JoseError::MissingMember("signatures"));
    let twice = known_json().to_string().replacen('{', r#"{"payload":"","#, 1);
    let duplicate = AgreementError::Document(JoseError::Json(JsonError::DuplicateKey("payload".into())));
    assert_eq!(Document::parse(twice.as_bytes()), Err(duplicate));
}

#[test]
fn a_signature_of_another_kind_or_shape_is_refused() {
    let parse = |from: &str, to: &str| {
        PartySignature::parse(&detached(&ASSIGNEE.replacen(from, to, 1), ASSIGNEE_SIGNATURE)).map(|_| ())
    };
    assert_eq!(parse("", ""), Ok(()));
    assert_eq!(parse("dsp-agreement+jws", "dsp-msg+jws"), Err(JoseError::WrongType));
    assert_eq!(parse(r#""cty":"json""#, r#""cty":"text""#), Err(JoseError::WrongType));
    assert_eq!(parse(r#"["dspsig"]"#, "[]"), Err(JoseError::UnknownCritical));
    assert_eq!(parse("assignee", "witness"), Err(JoseError::InvalidMember("role")));
    assert_eq!(parse(r#""v":1"#, r#""v":2"#), Err(JoseError::InvalidMember("v")));
    assert_eq!(
        parse(r#""v":1"#, r#""v":1,"x":1"#),
        Err(JoseError::UnknownMember("x".into()))
    );
    assert_eq!(parse("{", r#"{"jwk":{},"#), Err(JoseError::EmbeddedKey("jwk")));
    assert_eq!(parse("{", r#"{"b64":false,"#), Err(JoseError::UnencodedPayload));
    assert_eq!(parse("did:web:ft.example#k1", "k1"), Err(JoseError::WrongKeyId));
    assert_eq!(parse("oKIy", "oKI"), Err(JoseError::InvalidMember("jkt")));
}

#[test]
fn a_signature_by_a_look_alike_is_not_the_party_s() {
    let look_alike = crate::jose::Signer::new("did:web:ftxexample#k1", testing::rfc7515_private()).unwrap();
    assert_eq!(
        record().sign(&look_alike, Role::Assignee, SIGNED_AT),
        Err(JoseError::WrongParty)
    );
    let protected = ASSIGNEE.replace("ft.example", "ftxexample");
    let header = base64url::encode(protected.as_bytes());
    let input = compact::signing_input(&header, &base64url::encode(PAYLOAD.as_bytes()));
    let signature = base64url::encode(&testing::rfc7515_private().sign(input.as_bytes()).unwrap());
    let refused = record().verify_signature(
        Role::Assignee,
        &format!("{header}..{signature}"),
        &testing::rfc7515_public(),
    );
    assert_eq!(refused, Err(JoseError::WrongParty));
}

#[test]
fn nobody_signs_in_another_role_or_with_another_key() {
    assert_eq!(
        record().sign(&testing::provider(), Role::Assignee, SIGNED_AT),
        Err(JoseError::WrongParty)
    );
    let other = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let rotated = crate::jose::Signer::new("did:web:lycee.example#k8", other).unwrap();
    assert_eq!(
        record().sign(&rotated, Role::Assigner, SIGNED_AT),
        Err(JoseError::WrongKey)
    );
}

#[test]
fn a_record_that_is_not_exact_is_refused() {
    let parse = |text: &str| match Record::parse(text.as_bytes()) {
        Err(AgreementError::Record(error)) => error,
        other => panic!("{other:?}"),
    };
    let with = |from: &str, to: &str| parse(&PAYLOAD.replacen(from, to, 1));
    assert_eq!(with(":", ": "), JoseError::NotCanonical);
    assert_eq!(with("bilan", "\\u0062ilan"), JoseError::NotCanonical);
    assert_eq!(with(r#""v":1"#, r#""v":2"#), JoseError::InvalidMember("v"));
    assert_eq!(with(r#""v":1"#, r#""v":1,"w":1"#), JoseError::UnknownMember("w".into()));
    assert_eq!(
        with(r#""v":1"#, r#""v":1,"v":1"#),
        JoseError::Json(JsonError::DuplicateKey("v".into()))
    );
    assert_eq!(with("AgreementRecord", "Other"), JoseError::WrongType);
    assert_eq!(with("2025-1", "2024-1"), JoseError::InvalidMember("dsp"));
    assert_eq!(
        with(
            r#""assigner":"did:web:lycee.example""#,
            r#""assigner":"did:web:ft.example""#
        ),
        JoseError::InvalidMember("assigner")
    );
    assert_eq!(
        with(
            r#""assignee":"did:web:ft.example""#,
            r#""assignee":["did:web:ft.example"]"#
        ),
        JoseError::InvalidMember("assignee")
    );
    assert_eq!(with(r#""eq""#, "1.5"), JoseError::Canonical(CanonicalError::Fraction));
    assert_eq!(
        with(r#""eq""#, "9007199254740993"),
        JoseError::Canonical(CanonicalError::UnsafeInteger)
    );
    assert_eq!(parse(&format!("{PAYLOAD} ")), JoseError::NotCanonical);
    assert_eq!(
        parse(&"x".repeat(MAX_LEN + 1)),
        JoseError::Json(JsonError::TooLarge {
            limit: MAX_LEN,
            actual: MAX_LEN + 1
        })
    );
}

#[test]
fn the_optional_hashes_are_part_of_what_is_signed() {
    let mut parts = record().parts().clone();
    parts.claims_hash = Some(sha256(b"claims"));
    parts.offer_hash = Some(sha256(b"offer"));
    parts.rulebook_hash = Some(sha256(b"rulebook"));
    let full = Record::new(parts.clone()).unwrap();
    assert_eq!(Record::parse(full.bytes()).unwrap().parts(), &parts);
    assert_ne!(full.digest(), record().digest());
}
