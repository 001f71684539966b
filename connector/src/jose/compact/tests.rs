use super::*;
use crate::jose::{VerifyingKey, testing};
use serde_json::json;

/// What the shared framing and the key say about a compact JWS that belongs to none of our kinds.
fn open(token: &str, jwk: &Value) -> Result<(), JoseError> {
    let parts = split(token, 64 * 1024)?;
    let (algorithm, mut members) = header(parts.protected)?;
    members.critical(&[])?;
    base64url::decode(parts.payload).ok_or(JoseError::NotBase64Url)?;
    let signature = signature(parts.signature)?;
    let key = VerifyingKey::from_jwk(jwk)?;
    Ok(key.verify(
        algorithm,
        signing_input(parts.protected, parts.payload).as_bytes(),
        &signature,
    )?)
}

fn encoded(header: &str) -> String {
    base64url::encode(header.as_bytes())
}

fn header_error(text: &str) -> JoseError {
    header(&encoded(text)).map(|_| ()).unwrap_err()
}

#[derive(Debug, Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    unsupported: usize,
}

/// A group gives one key or a set; in a set the header's key id must name exactly one.
fn key_for(group: &Value, token: &str) -> Option<Value> {
    let given = group.get("public").or_else(|| group.get("private"))?;
    let Some(set) = given.get("keys") else {
        return Some(given.clone());
    };
    let header = base64url::decode(token.split('.').next()?)?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    let mut named = set.as_array()?.iter().filter(|key| key.get("kid") == header.get("kid"));
    named.next().filter(|_| named.next().is_none()).cloned()
}

fn run_wycheproof(file: &str) -> Option<Tally> {
    let suite = testing::shared_json(file)?;
    let mut tally = Tally::default();
    for group in suite["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let Some(jws) = test.get("jws") else { continue };
            let token = jws.as_str().map_or_else(|| jws.to_string(), str::to_owned);
            let outcome = key_for(group, &token).map_or(Err(JoseError::UnknownKey), |key| open(&token, &key));
            let (id, valid) = (&test["tcId"], test["result"] == "valid");
            match outcome {
                Ok(()) => {
                    assert!(valid, "{file} tcId {id} must be refused");
                    tally.accepted += 1;
                }
                // Whatever it proves, it proves it with an algorithm that is not compiled in.
                Err(JoseError::AlgorithmNotAllowed) => tally.unsupported += 1,
                Err(error) => {
                    assert!(
                        !valid,
                        "{file} tcId {id} must be accepted, or refused for its algorithm: {error}"
                    );
                    tally.refused += 1;
                }
            }
        }
    }
    Some(tally)
}

#[test]
fn wycheproof_signatures() {
    let Some(tally) = run_wycheproof("wycheproof/json_web_signature_test.json") else {
        return;
    };
    println!("{tally:?}");
    assert!(
        tally.accepted >= 1 && tally.refused >= 13 && tally.unsupported >= 200,
        "{tally:?}"
    );
}

#[test]
fn wycheproof_keys() {
    let Some(tally) = run_wycheproof("wycheproof/json_web_key_test.json") else {
        return;
    };
    println!("{tally:?}");
    assert!(
        tally.accepted == 0 && tally.refused >= 4 && tally.unsupported >= 10,
        "{tally:?}"
    );
}

#[test]
fn wycheproof_mixed() {
    let Some(tally) = run_wycheproof("wycheproof/json_web_crypto_test.json") else {
        return;
    };
    println!("{tally:?}");
    assert!(
        tally.accepted >= 1 && tally.refused >= 13 && tally.unsupported >= 5,
        "{tally:?}"
    );
}

#[test]
fn cookbook_examples_of_other_algorithms_are_unsupported() {
    let Some(folder) = testing::shared("jose-cookbook") else {
        return;
    };
    let mut unsupported = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let example: Value = serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let (compact, key) = (example["output"]["compact"].as_str().unwrap(), &example["input"]["key"]);
        let name = example["input"]["alg"].as_str().unwrap_or_default();
        if Algorithm::from_name(name).is_none() {
            assert_eq!(
                open(compact, key),
                Err(JoseError::AlgorithmNotAllowed),
                "{}",
                example["title"]
            );
            unsupported += 1;
        } else {
            assert_eq!(
                open(compact, key),
                Err(JoseError::WrongKey),
                "the key given is a private one"
            );
            let mut public = key.clone();
            public.as_object_mut().unwrap().remove("d");
            assert_eq!(open(compact, &public), Ok(()), "{}", example["title"]);
        }
    }
    assert!(unsupported >= 4, "{unsupported}");
}

/// RFC 7515 A.3, RFC 8037 A.4.
#[test]
fn the_examples_of_the_standards_open() {
    let a3 = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert_eq!(open(a3, &testing::rfc7515_jwk()), Ok(()));
    assert_eq!(open(a3, &testing::rfc8037_jwk()), Err(JoseError::WrongKey));
    let a4 = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
        hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(open(a4, &testing::rfc8037_jwk()), Ok(()));
}

/// RFC 7515 A.5 and app. E, RFC 7797 §4.2.
#[test]
fn the_examples_that_must_fail_do() {
    let a5 = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
    assert_eq!(open(a5, &testing::rfc7515_jwk()), Err(JoseError::SignatureMissing));
    assert_eq!(
        open(&format!("{a5}AA"), &testing::rfc7515_jwk()),
        Err(JoseError::AlgorithmNotAllowed)
    );
    let e = "eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0.RkFJTA.";
    assert!(open(e, &testing::rfc7515_jwk()).is_err());
    let unencoded = r#"{"alg":"ES256","b64":false,"crit":["b64"]}"#;
    assert_eq!(header_error(unencoded), JoseError::UnencodedPayload);
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
        Some(JoseError::Json(JsonError::Syntax { line: 1, column: 1 }))
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
