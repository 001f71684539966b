mod rsa;

use super::*;
use crate::{dsp::json::JsonError, jose::testing};
use std::collections::HashSet;

/// 2026-06-01.
fn now() -> Timestamp {
    Timestamp::from_seconds(1_780_272_000)
}

fn credential() -> Value {
    json!({
        "@context": [CONTEXT, "https://w3id.org/dases/credentials/v1"],
        "id": "urn:uuid:1",
        "type": ["VerifiableCredential", "MembershipCredential"],
        "issuer": "did:web:ft.example",
        "validFrom": "2026-01-01T00:00:00Z",
        "validUntil": "2026-12-31T00:00:00Z",
        "credentialSubject": {"id": "did:web:lycee.example", "role": ["DataProvider"]},
    })
}

fn presentation() -> Value {
    json!({
        "@context": [CONTEXT],
        "type": "VerifiablePresentation",
        "holder": "did:web:ft.example",
        "verifiableCredential": [enveloped("a.b.c")],
    })
}

fn key() -> CredentialKey {
    CredentialKey::from_jwk(&testing::rfc7515_jwk()).unwrap()
}

/// A token with this header and payload, whatever they are, truly signed by the issuer's key.
fn signed(header: &str, payload: &[u8]) -> String {
    let (header, payload) = (base64url::encode(header.as_bytes()), base64url::encode(payload));
    let signature = testing::rfc7515_private()
        .sign(format!("{header}.{payload}").as_bytes())
        .unwrap();
    format!("{header}.{payload}.{}", base64url::encode(&signature))
}

const HEADER: &str = r#"{"alg":"ES256","cty":"vc","kid":"did:web:ft.example#k1","typ":"vc+jwt"}"#;

fn under(header: &str) -> Result<Credential, CredentialError> {
    verify(
        &signed(header, credential().to_string().as_bytes()),
        Form::Credential,
        &key(),
        now(),
    )
}

fn saying(claims: &Value) -> Result<Credential, CredentialError> {
    verify(
        &signed(HEADER, claims.to_string().as_bytes()),
        Form::Credential,
        &key(),
        now(),
    )
}

/// The claims with one member changed, or taken away.
fn with(mut claims: Value, name: &str, value: Option<Value>) -> Value {
    let members = claims.as_object_mut().unwrap();
    match value {
        Some(value) => drop(members.insert(name.to_owned(), value)),
        None => drop(members.remove(name).unwrap()),
    }
    claims
}

#[test]
fn what_is_issued_is_read_back() {
    let issuers = [
        (testing::consumer(), testing::rfc7515_jwk()),
        (testing::provider(), testing::rfc8037_jwk()),
    ];
    for (signer, jwk) in issuers {
        let key = CredentialKey::from_jwk(&jwk).unwrap();
        assert_eq!(key.to_jwk(), jwk);
        let claims = with(
            credential(),
            "issuer",
            Some(json!({"id": signer.did(), "name": "Gouvernance"})),
        );
        let token = issue(&signer, Form::Credential, &claims).unwrap();
        assert_eq!(kid(&token).as_deref(), Ok(signer.kid()));
        let read = verify(&token, Form::Credential, &key, now()).unwrap();
        assert_eq!((read.kid(), read.issuer()), (signer.kid(), signer.did()));
        assert_eq!(read.subject_id(), Some("did:web:lycee.example"));
        assert_eq!(read.types(), ["VerifiableCredential", "MembershipCredential"]);
        assert_eq!(read.id(), Some("urn:uuid:1"));
        assert_eq!(read.valid_until(), "2026-12-31T00:00:00Z".parse().ok());
        assert_eq!(Value::Object(read.claims().clone()), claims);
        let shown = with(presentation(), "holder", Some(signer.did().into()));
        let token = issue(&signer, Form::Presentation, &shown).unwrap();
        let read = verify(&token, Form::Presentation, &key, now()).unwrap();
        assert_eq!(
            (read.issuer(), read.subject_id(), read.valid_until()),
            (signer.did(), None, None)
        );
    }
}

#[test]
fn the_header_is_exactly_what_the_recommendation_says() {
    let token = issue(&testing::consumer(), Form::Credential, &credential()).unwrap();
    let header = base64url::decode(token.split('.').next().unwrap()).unwrap();
    assert_eq!(String::from_utf8(header).unwrap(), HEADER);
}

#[test]
fn nobody_issues_what_would_be_refused() {
    let signer = testing::consumer();
    for claims in [
        json!([]),
        with(credential(), "issuer", Some("did:web:lycee.example".into())),
        with(credential(), "issuer", None),
        with(credential(), "vc", Some(json!({}))),
        with(credential(), "type", Some("VerifiablePresentation".into())),
    ] {
        assert!(
            matches!(issue(&signer, Form::Credential, &claims), Err(JoseError::CannotSign(_))),
            "{claims}"
        );
    }
    let long = with(credential(), "note", Some("x".repeat(MAX_CREDENTIAL).into()));
    assert_eq!(
        issue(&signer, Form::Credential, &long),
        Err(JoseError::TooLarge(MAX_CREDENTIAL))
    );
}

#[test]
fn typ_and_cty_are_one_of_the_accepted_spellings_whole() {
    let accepted: HashSet<_> = Form::Credential.spellings().into_iter().collect();
    let typs = [
        "vc+jwt",
        "vc+ld+jwt",
        "vc+ld+json+jwt",
        "vp+jwt",
        "jwt",
        "JWT",
        "VC+JWT",
        "vc+jwt ",
        "xvc+jwt",
        "vc+jwtx",
        "",
        "application/vc+jwt",
        "vc+sd-jwt",
        "dsp-msg+jws",
        "dases-trustlist+jws",
    ];
    let ctys = ["vc", "vc+ld", "vc+ld+json", "vp", "VC", "", "json", "vc "];
    for typ in typs {
        let header = |cty: &str| format!(r#"{{"alg":"ES256","kid":"did:web:ft.example#k1","typ":"{typ}"{cty}}}"#);
        let alone = accepted.iter().any(|(name, _)| *name == typ);
        assert_eq!(under(&header("")).is_ok(), alone, "{typ:?}");
        for cty in ctys {
            let both = accepted.contains(&(typ, cty));
            assert_eq!(
                under(&header(&format!(r#","cty":"{cty}""#))).is_ok(),
                both,
                "{typ:?} {cty:?}"
            );
        }
    }
}

#[test]
fn every_header_that_is_not_exact_is_refused() {
    let member = |from: &str, to: &str| HEADER.replace(from, to);
    let more = |name: &str| format!("{},{name}}}", HEADER.trim_end_matches('}'));
    let wrong_algorithm = JoseError::AlgorithmNotAllowed;
    for (header, error) in [
        (member(r#""alg":"ES256","#, ""), wrong_algorithm.clone()),
        (member("ES256", "none"), wrong_algorithm.clone()),
        (member("ES256", "es256"), wrong_algorithm.clone()),
        (member("ES256", "RS256"), wrong_algorithm.clone()),
        (member("ES256", "PS384"), wrong_algorithm.clone()),
        (member("ES256", "HS256"), wrong_algorithm),
        (member("ES256", "PS256"), JoseError::WrongKey),
        (member("ES256", "EdDSA"), JoseError::WrongKey),
        (member(r#""typ":"vc+jwt""#, r#""typ":1"#), JoseError::WrongType),
        (member(r#","typ":"vc+jwt""#, ""), JoseError::WrongType),
        (member(r#""cty":"vc""#, r#""cty":["vc"]"#), JoseError::WrongType),
        (member("did:web:ft.example#k1", "k1"), JoseError::WrongKeyId),
        (
            member("did:web:ft.example#k1", "did:key:z6Mk#z6Mk"),
            JoseError::WrongKeyId,
        ),
        (
            member("did:web:ft.example#k1", "did:web:ft.example"),
            JoseError::WrongKeyId,
        ),
        (member(r#","kid":"did:web:ft.example#k1""#, ""), JoseError::WrongKeyId),
        (more(r#""jwk":{}"#), JoseError::EmbeddedKey("jwk")),
        (more(r#""jku":"https://a.example""#), JoseError::EmbeddedKey("jku")),
        (more(r#""x5u":"https://a.example""#), JoseError::EmbeddedKey("x5u")),
        (more(r#""x5c":[]"#), JoseError::EmbeddedKey("x5c")),
        (more(r#""x5t":"""#), JoseError::EmbeddedKey("x5t")),
        (more(r#""b64":false,"crit":["b64"]"#), JoseError::UnencodedPayload),
        (more(r#""crit":[]"#), JoseError::UnknownCritical),
        (more(r#""crit":["exp"],"exp":1"#), JoseError::UnknownCritical),
        (more(r#""exp":1780272001000"#), JoseError::UnknownMember("exp".into())),
        (more(r#""iat":1"#), JoseError::UnknownMember("iat".into())),
        (more(r#""iss":1"#), JoseError::InvalidMember("iss")),
        (
            more(r#""typ":"vc+jwt""#),
            JoseError::Json(JsonError::DuplicateKey("typ".into())),
        ),
        ("[]".into(), JoseError::Malformed("not a JSON object")),
    ] {
        assert_eq!(under(&header), Err(CredentialError::Signature(error)), "{header}");
    }
    assert!(under(&more(r#""iss":"did:web:ft.example""#)).is_ok());
    assert_eq!(
        under(&more(r#""iss":"did:web:fx.example""#)),
        Err(CredentialError::WrongIssuer)
    );
}

#[test]
fn every_claim_that_breaks_its_rule_is_refused() {
    use CredentialError::{Claim, Context, Wrapped, WrongIssuer, WrongType};
    let cases = [
        ("vc", Some(json!({})), Wrapped("vc")),
        ("vp", Some(Value::Null), Wrapped("vp")),
        ("@context", None, Context),
        ("@context", Some(CONTEXT.into()), Context),
        ("@context", Some(json!([])), Context),
        (
            "@context",
            Some(json!(["https://www.w3.org/2018/credentials/v1"])),
            Context,
        ),
        ("@context", Some(json!(["https://a.example", CONTEXT])), Context),
        ("@context", Some(json!([{"a": CONTEXT}])), Context),
        ("type", None, Claim("type")),
        ("type", Some(json!([])), Claim("type")),
        ("type", Some(json!(["VerifiableCredential", 1])), Claim("type")),
        (
            "type",
            Some(json!(["MembershipCredential"])),
            WrongType("VerifiableCredential"),
        ),
        (
            "type",
            Some(json!("verifiableCredential")),
            WrongType("VerifiableCredential"),
        ),
        ("issuer", None, Claim("issuer")),
        ("issuer", Some(json!(1)), WrongIssuer),
        ("issuer", Some(json!({"name": "x"})), WrongIssuer),
        ("issuer", Some(json!("did:web:ft.example#k1")), WrongIssuer),
        ("issuer", Some(json!("did:web:ft.example ")), WrongIssuer),
        ("issuer", Some(json!("did:web:ftxexample")), WrongIssuer),
        ("issuer", Some(json!(["did:web:ft.example"])), WrongIssuer),
        ("iss", Some(json!("did:web:lycee.example")), WrongIssuer),
        ("iss", Some(Value::Null), WrongIssuer),
        ("credentialSubject", None, Claim("credentialSubject")),
        (
            "credentialSubject",
            Some(json!("did:web:lycee.example")),
            Claim("credentialSubject"),
        ),
        ("credentialSubject", Some(json!([])), Claim("credentialSubject")),
        ("credentialSubject", Some(json!(["x", {}])), Claim("credentialSubject")),
        ("credentialSubject", Some(json!({"id": 1})), Claim("credentialSubject")),
        ("sub", Some(json!("did:web:other.example")), Claim("sub")),
        ("sub", Some(Value::Null), Claim("sub")),
        ("jti", Some(json!("urn:uuid:2")), Claim("jti")),
        ("validFrom", Some(json!("2026-01-01")), Claim("validFrom")),
        ("validFrom", Some(json!("2026-01-01T00:00:00")), Claim("validFrom")),
        ("validFrom", Some(json!(1)), Claim("validFrom")),
        ("validUntil", Some(Value::Null), Claim("validUntil")),
        ("nbf", Some(json!("1")), Claim("nbf")),
        ("nbf", Some(json!(-1)), Claim("nbf")),
        ("exp", Some(json!(1.5)), Claim("exp")),
        ("iat", Some(json!("now")), Claim("iat")),
    ];
    for (name, value, error) in cases {
        assert_eq!(
            saying(&with(credential(), name, value.clone())),
            Err(error),
            "{name} {value:?}"
        );
    }
}

#[test]
fn claims_that_repeat_a_member_exactly_are_accepted() {
    for (name, value) in [
        ("iss", json!("did:web:ft.example")),
        ("sub", json!("did:web:lycee.example")),
        ("jti", json!("urn:uuid:1")),
        ("iat", json!(1_780_000_000)),
        ("anything", json!(0.5)),
    ] {
        saying(&with(credential(), name, Some(value))).unwrap();
    }
    let several = saying(&with(
        credential(),
        "credentialSubject",
        Some(json!([{"id": "a"}, {"id": "b"}])),
    ))
    .unwrap();
    assert_eq!(several.subject_id(), None);
    let one = saying(&with(credential(), "credentialSubject", Some(json!([{"id": "a"}])))).unwrap();
    assert_eq!(one.subject_id(), Some("a"));
}

#[test]
fn validity_is_checked_with_a_minute_of_skew() {
    let at = |claims: &Value, seconds: i64| {
        let token = signed(HEADER, claims.to_string().as_bytes());
        verify(&token, Form::Credential, &key(), Timestamp::from_seconds(seconds)).map(drop)
    };
    let (from, until) = (1_767_225_600, 1_798_675_200);
    for (seconds, expected) in [
        (from - 61, Err(CredentialError::NotYetValid)),
        (from - 60, Ok(())),
        (until + 59, Ok(())),
        (until + 60, Err(CredentialError::Expired)),
    ] {
        assert_eq!(at(&credential(), seconds), expected, "{seconds}");
    }
    let jwt = with(
        with(credential(), "nbf", Some(json!(from + 1000))),
        "exp",
        Some(json!(from + 2000)),
    );
    for (seconds, expected) in [
        (from + 939, Err(CredentialError::NotYetValid)),
        (from + 940, Ok(())),
        (from + 2059, Ok(())),
        (from + 2060, Err(CredentialError::Expired)),
    ] {
        assert_eq!(at(&jwt, seconds), expected, "{seconds}");
    }
    let future = with(credential(), "iat", Some(json!(from + 161)));
    assert_eq!(at(&future, from + 100), Err(CredentialError::NotYetValid));
}

#[test]
fn a_changed_token_or_another_key_is_refused() {
    let token = issue(&testing::consumer(), Form::Credential, &credential()).unwrap();
    let other = CredentialKey::from_jwk(&testing::rfc8037_jwk()).unwrap();
    assert_eq!(
        verify(&token, Form::Credential, &other, now()),
        Err(CredentialError::Signature(JoseError::WrongKey))
    );
    let mut refused = 0;
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] ^= 1;
        let changed = String::from_utf8_lossy(&changed).into_owned();
        assert!(verify(&changed, Form::Credential, &key(), now()).is_err(), "{at}");
        refused += 1;
    }
    assert_eq!(refused, token.len());
    for bad in [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        &format!("{token}."),
        &format!("{token}="),
        &format!(" {token}"),
    ] {
        assert!(verify(bad, Form::Credential, &key(), now()).is_err(), "{bad:?}");
    }
    let long = "x".repeat(MAX_CREDENTIAL + 1);
    assert_eq!(
        verify(&long, Form::Credential, &key(), now()),
        Err(CredentialError::Signature(JoseError::TooLarge(MAX_CREDENTIAL)))
    );
}

#[test]
fn a_credential_is_no_presentation_and_the_reverse() {
    let signer = testing::consumer();
    let credential = issue(&signer, Form::Credential, &credential()).unwrap();
    let presentation = issue(&signer, Form::Presentation, &presentation()).unwrap();
    let refused = Err(CredentialError::Signature(JoseError::WrongType));
    assert_eq!(verify(&credential, Form::Presentation, &key(), now()), refused);
    assert_eq!(verify(&presentation, Form::Credential, &key(), now()), refused);
}

#[test]
fn a_presentation_names_its_maker_or_nobody() {
    let shown = |claims: Value| {
        let header = HEADER.replace(r#""vc""#, r#""vp""#).replace("vc+jwt", "vp+jwt");
        verify(
            &signed(&header, claims.to_string().as_bytes()),
            Form::Presentation,
            &key(),
            now(),
        )
    };
    assert_eq!(
        shown(with(presentation(), "holder", None)).unwrap().issuer(),
        "did:web:ft.example"
    );
    for (name, value) in [
        ("holder", json!("did:web:lycee.example")),
        ("iss", json!("did:web:lycee.example")),
    ] {
        assert_eq!(
            shown(with(presentation(), name, Some(value))),
            Err(CredentialError::WrongIssuer)
        );
    }
}

#[test]
fn an_envelope_is_opened_only_if_it_is_one() {
    let value = enveloped("a.b.c");
    assert_eq!(unwrap_enveloped(&value), Ok("a.b.c"));
    assert_eq!(
        unwrap_enveloped(&with(value.clone(), "type", Some(json!([ENVELOPED])))),
        Ok("a.b.c")
    );
    let id = |text: &str| with(enveloped("a.b.c"), "id", Some(text.into()));
    for bad in [
        json!("a.b.c"),
        json!({}),
        with(value.clone(), "type", Some("VerifiableCredential".into())),
        with(value.clone(), "type", Some(json!([ENVELOPED, "X"]))),
        with(value, "id", None),
        id("a.b.c"),
        id("data:application/jwt,a.b.c"),
        id("data:application/vc+jwt;base64,a.b.c"),
        id("data:application/vc+jwtx,a.b.c"),
        id("data:application/vp+jwt,a.b.c"),
        id("https://a.example/data:application/vc+jwt,a.b.c"),
    ] {
        assert_eq!(unwrap_enveloped(&bad), Err(CredentialError::NotEnveloped), "{bad}");
    }
}

/// Tokens that others made for messages of another kind: none is a credential, whatever its key.
#[test]
fn no_foreign_jws_passes_for_a_credential() {
    let Some(file) = testing::shared_json("wycheproof/json_web_signature_test.json") else {
        return;
    };
    let mut seen = 0;
    for group in file["testGroups"].as_array().unwrap() {
        let Ok(key) = CredentialKey::from_jwk(&group["public"]) else {
            continue;
        };
        for test in group["tests"].as_array().unwrap() {
            let token = test["jws"].as_str().unwrap_or_default();
            assert!(
                verify(token, Form::Credential, &key, now()).is_err(),
                "{}",
                test["tcId"]
            );
            seen += 1;
        }
    }
    println!("wycheproof JWS under a key for credentials: {seen} refused");
    assert!(seen > 10);
}
