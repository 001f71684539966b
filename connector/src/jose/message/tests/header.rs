//! What the header of a message may not say, whatever is signed: its shape, its members and their values.

use super::*;
use crate::dsp::json::JsonError;

fn removed(pointer: &str) -> Result<Opened, JoseError> {
    let mut header = header();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    header
        .pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove(name)
        .unwrap();
    open(&signed(&header.to_string()), BODY.as_bytes())
}

#[test]
fn shape_of_the_header_value() {
    let value = known();
    let body = base64url::encode(BODY.as_bytes());
    let parse = |text: &str| Unverified::parse(text).map(|_| ()).unwrap_err();
    assert_eq!(parse(""), JoseError::SignatureMissing);
    assert_eq!(parse(value.trim_end_matches(SIGNATURE)), JoseError::SignatureMissing);
    assert_eq!(
        parse(&value.replacen("..", &format!(".{body}."), 1)),
        JoseError::Malformed("the payload must be detached")
    );
    assert_eq!(parse(&format!("{value}.")), JoseError::Malformed("not three parts"));
    assert_eq!(
        parse(&format!("{value}, {value}")),
        JoseError::Malformed("not three parts"),
        "two values of the HTTP header joined"
    );
    for bad in [
        format!("{value}="),
        format!("{value} "),
        format!(" {value}"),
        format!("{value}\t"),
        value.strip_suffix('Q').unwrap().to_owned() + "R",
        format!("{value}é"),
    ] {
        assert_eq!(parse(&bad), JoseError::NotBase64Url, "{bad}");
    }
    assert_eq!(
        parse(value.strip_suffix("imQ").unwrap()),
        JoseError::Malformed("a signature has 64 bytes")
    );
    assert_eq!(
        parse(&format!("{}..{}", "A".repeat(4096), SIGNATURE)),
        JoseError::TooLarge(MAX_LEN)
    );
}

#[test]
fn algorithm_confusion() {
    for name in [
        "none", "NONE", "None", "HS256", "RS256", "PS256", "ES384", "ES512", "es256", "",
    ] {
        assert_eq!(
            refusal(changed("/alg", json!(name))),
            JoseError::AlgorithmNotAllowed,
            "{name}"
        );
    }
    for name in ["EdDSA", "Ed25519"] {
        assert_eq!(
            refusal(changed("/alg", json!(name))),
            JoseError::WrongKey,
            "the key decides"
        );
    }
    assert_eq!(refusal(removed("/alg")), JoseError::AlgorithmNotAllowed);
}

#[test]
fn the_fully_specified_name_of_ed25519_is_read() {
    let signer = testing::provider();
    let value = seal(&signer, AUDIENCE, REQUEST, Digest::EMPTY, b"", NOW, JTI).unwrap();
    let header = base64url::decode(value.split('.').next().unwrap()).unwrap();
    let header = String::from_utf8(header).unwrap().replace("EdDSA", "Ed25519");
    let protected = base64url::encode(header.as_bytes());
    let signature = signer
        .key()
        .sign(compact::signing_input(&protected, "").as_bytes())
        .unwrap();
    let value = format!("{protected}..{}", base64url::encode(&signature));
    let checked = Unverified::parse(&value)
        .unwrap()
        .check(AUDIENCE, REQUEST, NOW)
        .unwrap();
    assert!(checked.verify(&testing::rfc8037_public(), b"").is_ok());
}

#[test]
fn key_id_injection() {
    for bad in [
        "k1",
        "#k1",
        "did:web:ft.example",
        "did:web:ft.example#",
        "did:web:ft.example#k1#k1",
        "did:web:ft.example/../x#k1",
        "did:web:ft.example#../../etc/passwd",
        "did:web:ft.example#k1' OR '1'='1",
        "https://ft.example/keys#k1",
        "did:key:z6Mk#z6Mk",
        "did:web:.*#k1",
        "",
    ] {
        assert_eq!(refusal(changed("/kid", json!(bad))), JoseError::WrongKeyId, "{bad}");
    }
    assert_eq!(
        refusal(changed("/kid", json!(["did:web:ft.example#k1"]))),
        JoseError::WrongKeyId
    );
    assert_eq!(refusal(removed("/kid")), JoseError::WrongKeyId);
    // Text equality, so that a dot is a dot.
    assert_eq!(
        refusal(changed("/kid", json!("did:web:ftxexample#k1"))),
        JoseError::WrongIssuer
    );
    assert_eq!(
        refusal(changed("/kid", json!("did:web:ft.example:x#k1"))),
        JoseError::WrongIssuer
    );
    assert_eq!(
        refusal(changed("/dspsig/iss", json!("did:web:ftxexample"))),
        JoseError::WrongIssuer
    );
    assert_eq!(
        refusal(changed("/dspsig/iss", json!("did:web:ft.example#k1"))),
        JoseError::WrongIssuer
    );
}

#[test]
fn keys_in_the_header() {
    for name in ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"] {
        let refused = refusal(changed(&format!("/{name}"), json!("https://evil.example")));
        assert!(
            matches!(refused, JoseError::EmbeddedKey(found) if found == name),
            "{name}"
        );
    }
}

#[test]
fn critical_members() {
    for bad in [
        json!([]),
        json!(["dspsig", "dspsig"]),
        json!(["dspsig", "b65"]),
        json!(["kid"]),
        json!("dspsig"),
        json!(null),
    ] {
        assert_eq!(
            refusal(changed("/crit", bad.clone())),
            JoseError::UnknownCritical,
            "{bad}"
        );
    }
    assert_eq!(refusal(removed("/crit")), JoseError::UnknownCritical);
    assert_eq!(
        refusal(removed("/dspsig")),
        JoseError::MissingMember("dspsig"),
        "crit names an absent member"
    );
}

#[test]
fn unencoded_payload() {
    for b64 in [json!(false), json!(true)] {
        assert_eq!(refusal(changed("/b64", b64)), JoseError::UnencodedPayload);
    }
}

#[test]
fn unknown_members() {
    for pointer in ["/zip", "/nonce", "/iat", "/dspsig/sub", "/dspsig/sts", "/dspsig/req"] {
        let name = pointer.rsplit('/').next().unwrap().to_owned();
        assert_eq!(
            refusal(changed(pointer, json!(1))),
            JoseError::UnknownMember(name),
            "{pointer}"
        );
    }
}

#[test]
fn missing_members() {
    for name in ["v", "iss", "aud", "dir", "iat", "exp", "jti", "htm", "htu", "prev"] {
        let refused = refusal(removed(&format!("/dspsig/{name}")));
        assert!(
            matches!(refused, JoseError::MissingMember(found) if found == name),
            "{name}: {refused}"
        );
    }
}

#[test]
fn duplicate_members() {
    for (twice, name) in [
        (r#""alg":"ES256","alg":"ES256""#, "alg"),
        (r#""alg":"ES256","\u0061lg":"none""#, "alg"),
    ] {
        let header = PROTECTED.replacen(r#""alg":"ES256""#, twice, 1);
        let refused = refusal(open(&signed(&header), BODY.as_bytes()));
        assert_eq!(refused, JoseError::Json(JsonError::DuplicateKey(name.into())));
    }
    let header = PROTECTED.replacen(r#""v":1"#, r#""v":1,"aud":"did:web:lycee.example""#, 1);
    assert_eq!(
        refusal(open(&signed(&header), BODY.as_bytes())),
        JoseError::Json(JsonError::DuplicateKey("aud".into()))
    );
}

#[test]
fn another_kind_of_object() {
    for typ in [
        "dsp-agreement+jws",
        "dases-consent+jws",
        "JWT",
        "DSP-MSG+JWS",
        "application/dsp-msg+jws",
        "",
    ] {
        assert_eq!(refusal(changed("/typ", json!(typ))), JoseError::WrongType, "{typ}");
    }
    assert_eq!(refusal(removed("/typ")), JoseError::WrongType);
    assert_eq!(
        refusal(changed("/cty", json!("application/json"))),
        JoseError::WrongType
    );
    assert_eq!(refusal(removed("/cty")), JoseError::WrongType);
}

#[test]
fn values_out_of_their_rule() {
    let long_url = format!("https://a.example/{}", "x".repeat(2048));
    let cases: [(&str, &[Value]); 9] = [
        ("v", &[json!(2), json!(0), json!("1"), json!(1.0), json!(true)]),
        (
            "aud",
            &[
                json!(["did:web:lycee.example"]),
                json!("lycee.example"),
                json!("did:web:lycee.example#k"),
                json!(null),
            ],
        ),
        ("dir", &[json!("REQ"), json!("request"), json!(1)]),
        (
            "iat",
            &[
                json!("1767225600"),
                json!(1_767_225_600.0),
                json!(-1),
                json!(9_007_199_254_740_992_u64),
            ],
        ),
        ("exp", &[json!(IAT), json!(IAT - 1), json!(0), json!(null)]),
        (
            "jti",
            &[
                json!(""),
                json!("short"),
                json!("x".repeat(21)),
                json!("x".repeat(65)),
                json!(format!("{JTI}\n")),
                json!(format!("{JTI}/")),
            ],
        ),
        ("htm", &[json!("post"), json!(""), json!("PO ST"), json!("P\nT")]),
        (
            "htu",
            &[
                json!("/dsp/x"),
                json!("ftp://a.example/"),
                json!("https:///x"),
                json!("https://"),
                json!(format!("{URL}?a=b")),
                json!(format!("{URL}#f")),
                json!("https://a.example/ x"),
                json!("https://é.example/"),
                json!(long_url),
                json!("HTTPS://a.example/"),
            ],
        ),
        (
            "prev",
            &[
                json!(""),
                json!("47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFV"),
                json!("AAAA"),
                json!(null),
            ],
        ),
    ];
    for (name, values) in cases {
        for value in values {
            let refused = refusal(changed(&format!("/dspsig/{name}"), value.clone()));
            assert!(
                matches!(refused, JoseError::InvalidMember(found) if found == name),
                "{name} = {value}: {refused}"
            );
        }
    }
    assert_eq!(
        refusal(changed("/dspsig", json!([]))),
        JoseError::InvalidMember("dspsig")
    );
}
