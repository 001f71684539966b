use super::*;
use crate::jose::testing;
use serde_json::json;

fn encoded(header: &str) -> String {
    base64url::encode(header.as_bytes())
}

fn header_error(text: &str) -> JoseError {
    header(&encoded(text)).map(|_| ()).unwrap_err()
}

#[test]
fn parts_are_three_and_bounded() {
    assert_eq!(split("", 10).err(), Some(JoseError::SignatureMissing));
    assert_eq!(split("a.b.", 10).err(), Some(JoseError::SignatureMissing));
    assert_eq!(split("aaaaaaaaaaa", 10).err(), Some(JoseError::TooLarge(10)));
    for bad in ["a", "a.b", "a.b.c.d", "a.b.c.", "...."] {
        assert_eq!(
            split(bad, 10).err(),
            Some(JoseError::Malformed("not three parts")),
            "{bad}"
        );
    }
    assert_eq!(
        split_detached("a.b.c", 10).err(),
        Some(JoseError::Malformed("the payload must be detached"))
    );
    assert!(split_detached("a..c", 10).is_ok());
}

#[test]
fn only_listed_algorithms_pass() {
    for bad in [
        "{}",
        r#"{"alg":"none"}"#,
        r#"{"alg":"NONE"}"#,
        r#"{"alg":"nOnE"}"#,
        r#"{"alg":""}"#,
        r#"{"alg":null}"#,
        r#"{"alg":["ES256"]}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"ES384"}"#,
        r#"{"alg":"es256"}"#,
        r#"{"ALG":"ES256"}"#,
    ] {
        assert_eq!(header_error(bad), JoseError::AlgorithmNotAllowed, "{bad}");
    }
}

#[test]
fn a_header_may_not_bring_a_key() {
    for name in KEY_MEMBERS {
        let text = json!({"alg": "ES256", name: "x"}).to_string();
        assert_eq!(header_error(&text), JoseError::EmbeddedKey(name));
    }
}

#[test]
fn a_header_is_a_small_flat_strict_object() {
    use crate::dsp::json::JsonError;
    let duplicate = r#"{"alg":"ES256","alg":"ES256"}"#;
    assert_eq!(
        header_error(duplicate),
        JoseError::Json(JsonError::DuplicateKey("alg".into()))
    );
    assert_eq!(
        header_error(r#"{"alg":"ES256","x":[[[[1]]]]}"#),
        JoseError::Json(JsonError::TooDeep)
    );
    assert!(matches!(
        header_error(r#"{"alg":"ES256"} x"#),
        JoseError::Json(JsonError::Syntax { .. })
    ));
    assert_eq!(header_error("[]"), JoseError::Malformed("not a JSON object"));
    assert_eq!(
        header(&encoded("\u{feff}{}")).err(),
        Some(JoseError::Json(JsonError::ByteOrderMark))
    );
    assert_eq!(
        header(&base64url::encode(b"{\"alg\":\"\xff\"}")).err(),
        Some(JoseError::Json(JsonError::NotUtf8))
    );
    assert_eq!(
        header(&"A".repeat(MAX_HEADER_LEN + 1)).err(),
        Some(JoseError::TooLarge(MAX_HEADER_LEN))
    );
    let good = encoded(r#"{"alg":"ES256"} "#);
    let unused_bits_set = good.strip_suffix('A').unwrap().to_owned() + "B";
    assert!(header(&good).is_ok());
    for bad in [
        format!("{good}="),
        format!("{good} "),
        format!("{good}\n"),
        good.replacen('e', "+", 1),
        unused_bits_set,
    ] {
        assert_eq!(header(&bad).err(), Some(JoseError::NotBase64Url), "{bad}");
    }
}

#[test]
fn crit_is_exactly_what_is_understood() {
    let check = |crit: Value, names: &[&str]| {
        let mut members = Members::of(json!({"crit": crit, "dspsig": {}})).unwrap();
        members.critical(names)
    };
    assert_eq!(check(json!(["dspsig"]), &["dspsig"]), Ok(()));
    for bad in [
        json!([]),
        json!(["dspsig", "dspsig"]),
        json!(["dspsig", "exp"]),
        json!(["exp"]),
        json!("dspsig"),
        json!(null),
        json!({}),
        json!([["dspsig"]]),
        json!(["DSPSIG"]),
    ] {
        assert_eq!(
            check(bad.clone(), &["dspsig"]),
            Err(JoseError::UnknownCritical),
            "{bad}"
        );
    }
    for any in [json!([]), json!(["dspsig"])] {
        assert_eq!(
            check(any, &[]),
            Err(JoseError::UnknownCritical),
            "none is understood, so there may be no list (RFC 7515 §4.1.11)"
        );
    }
    assert_eq!(
        Members::of(json!({})).unwrap().critical(&["dspsig"]),
        Err(JoseError::UnknownCritical)
    );
    assert_eq!(Members::of(json!({})).unwrap().critical(&[]), Ok(()));
}

#[test]
fn integers_are_whole_and_exact() {
    for (value, expected) in [
        (json!(0), Ok(0)),
        (json!(9_007_199_254_740_991_u64), Ok(9_007_199_254_740_991)),
        (json!(9_007_199_254_740_992_u64), Err(JoseError::InvalidMember("n"))),
        (json!(-1), Err(JoseError::InvalidMember("n"))),
        (json!(1.0), Err(JoseError::InvalidMember("n"))),
        (json!("1"), Err(JoseError::InvalidMember("n"))),
    ] {
        assert_eq!(Members::of(json!({"n": value})).unwrap().integer("n"), expected);
    }
}

#[test]
fn what_is_left_over_is_named_and_shortened() {
    let members = Members::of(json!({"x".repeat(100): 1})).unwrap();
    assert_eq!(members.end(), Err(JoseError::UnknownMember("x".repeat(NAME_SHOWN))));
}

#[test]
fn a_signer_needs_an_absolute_key_id() {
    let key = testing::rfc7515_private();
    let signer = Signer::new("did:web:ft.example:a#k1", key.clone()).unwrap();
    assert_eq!(
        (signer.did(), signer.kid()),
        ("did:web:ft.example:a", "did:web:ft.example:a#k1")
    );
    for bad in ["", "k1", "#k1", "did:web:ft.example", "did:key:z#z"] {
        assert_eq!(
            Signer::new(bad, key.clone()).err(),
            Some(JoseError::WrongKeyId),
            "{bad}"
        );
    }
}
