//! The examples of the RFCs: 7515 (JWS), 7520 (cookbook), 7797 (unencoded payload), 8037 (Ed25519), 7638 (thumbprints).

use super::{open, public};
use crate::jose::{
    Algorithm, JoseError, SigningKey, VerifyingKey,
    agreement::Document,
    base64url, canonical,
    compact::{self, signing_input, split_detached},
    digest::sha256,
    key::KeyError,
    testing::{self, Tally},
};
use serde_json::{Value, json};

/// RFC 7515 A.1 to A.3, A.5: the payload.
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
/// A.1.
const HS256: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// A.3, and the second signature of A.6.
const ES256: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// A.2, and the first signature of A.6.
const RS256: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcA\
    cQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHW\
    EsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
/// A.4.
const ES512: &str = "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xK\
    pRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
/// RFC 7520 §4: the payload.
const FRODO: &str = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIH\
    lvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
/// RFC 7520 §4.8, first signature.
const FRODO_RS256: &str = "MIsjqtVlOpa71KE-Mss8_Nq2YH4FGhiocsqrgi5NvyG53uoimic1tcMdSg-qptrzZc7CG6Svw2Y13TDIqHzTUrL_lR2ZFcryNFiHkSw129EghGpwkpxaTn\
    _THJTCglNbADko1MZBCdwzJxwqZc-1RlpO2HibUYyXSwO97BSe0_evZKdjvvKSgsIqjytKSeAMbhMBdMma622_BG5t4sdbuCHtFjp9iJmkio47AIwqkZV1\
    aIZsv33uPUqBBCXbYoQJwt7mxPftHmNlGoOSMxR_3thmXTCm4US-xiNOyhbm8afKK64jU6_TPtQHiJeQJxz9G3Tx-083B745_AfYOnlC9w";
/// RFC 7520 §4.8, second signature, with no protected header.
const FRODO_ES512: &str = "ARcVLnaJJaUWG8fG-8t5BREVAuTY8n8YHjwDO1muhcdCoFZFFjfISu0Cdkn9Ybdlmi54ho0x924DUz8sK7ZXkhc7AFM8ObLfTvNCrqcI3Jkl2U5IX3utNh\
    ODH6v7xgy1Qahsn0fyb4zSAkje8bAWz4vIfj5pCMYxxm4fgV3q7ZYhm5eD";
/// RFC 7638 §3.1.
const RSA_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn6\
    4tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n9\
    1CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

/// What must become of an example.
#[derive(Debug)]
enum Expected {
    Accepted,
    Refused(JoseError),
    Unsupported,
}
use Expected::{Accepted, Refused, Unsupported};

fn judge(tally: &mut Tally, name: &str, outcome: Result<(), JoseError>, expected: Expected) {
    match (outcome, expected) {
        (Ok(()), Accepted) => tally.accepted += 1,
        (Err(JoseError::AlgorithmNotAllowed), Unsupported) => tally.unsupported += 1,
        (Err(found), Refused(error)) if found == error => tally.refused += 1,
        (found, expected) => panic!("{name}: expected {expected:?}, found {found:?}"),
    }
}

/// A JWS in JSON, flattened or general: no compact token, and no agreement document either, because of its unprotected header or
/// because it does not have the signatures of two parties.
fn json_form(tally: &mut Tally, name: &str, jws: &Value) {
    let text = jws.to_string();
    judge(
        tally,
        name,
        open(&text, &testing::rfc7515_jwk()),
        Refused(JoseError::Malformed("not three parts")),
    );
    assert!(Document::parse(text.as_bytes()).is_err(), "{name}");
}

fn encoded(header: &str) -> String {
    base64url::encode(header.as_bytes())
}

/// Any protected header over any signing input's second part, signed with the key of A.3.
fn signed(header: &str, payload: &str) -> String {
    let key: SigningKey = testing::rfc7515_private();
    let header = encoded(header);
    let signature = key.sign(signing_input(&header, payload).as_bytes()).unwrap();
    format!("{header}.{payload}.{}", base64url::encode(&signature))
}

#[test]
fn rfc7515() {
    let mut tally = Tally::default();
    let key = testing::rfc7515_jwk();
    let token = |header: &str, payload: &str, signature: &str| format!("{}.{payload}.{signature}", encoded(header));
    let (rs256, es256) = (r#"{"alg":"RS256"}"#, r#"{"alg":"ES256"}"#);
    let undefined = r#"{"alg":"none",
 "crit":["http://example.com/UNDEFINED"],
 "http://example.com/UNDEFINED":true
}"#
    .replace('\n', "\r\n");
    let critical = undefined.replace("none", "ES256");
    let cases = [
        (
            "A.1",
            token("{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}", JOE, HS256),
            Unsupported,
        ),
        ("A.2", token(rs256, JOE, RS256), Unsupported),
        ("A.3", token(es256, JOE, ES256), Accepted),
        ("A.4", token(r#"{"alg":"ES512"}"#, "UGF5bG9hZA", ES512), Unsupported),
        (
            "A.5",
            token(r#"{"alg":"none"}"#, JOE, ""),
            Refused(JoseError::SignatureMissing),
        ),
        ("A.5, filled up", token(r#"{"alg":"none"}"#, JOE, "AA"), Unsupported),
        (
            "E",
            token(&undefined, "RkFJTA", ""),
            Refused(JoseError::SignatureMissing),
        ),
        ("E, filled up", token(&undefined, "RkFJTA", "AA"), Unsupported),
        (
            "E, signed",
            signed(&critical, "RkFJTA"),
            Refused(JoseError::UnknownCritical),
        ),
        ("E, signed, nothing critical", signed(es256, "RkFJTA"), Accepted),
        ("F, its payload put back", token(es256, JOE, ES256), Accepted),
        (
            "F, its payload left out",
            token(es256, "", ES256),
            Refused(JoseError::BadSignature),
        ),
    ];
    for (name, token, expected) in cases {
        judge(&mut tally, name, open(&token, &key), expected);
    }
    assert!(
        split_detached(&token(es256, "", ES256), 1000).is_ok(),
        "F is a detached signature"
    );
    let entry = |header: &str, kid: &str, signature: &str| json!({"protected": encoded(header), "header": {"kid": kid}, "signature": signature});
    let second = entry(es256, "e9bc097a-ce51-4036-9562-d2ade882db0d", ES256);
    let general = json!({"payload": JOE, "signatures": [entry(rs256, "2010-12-29", RS256), second]});
    json_form(&mut tally, "A.6", &general);
    let mut flat = second;
    flat["payload"] = json!(JOE);
    json_form(&mut tally, "A.7", &flat);
    assert_eq!(base64url::decode("A-z_4ME").unwrap(), [3, 236, 255, 224, 193], "C");
    tally.accepted += 1;
    tally.show("RFC 7515, A.1-A.7, C, E, F", 15);
}

#[test]
fn rfc7520_of_the_folder() {
    let Some(folder) = testing::shared("jose-cookbook") else {
        return;
    };
    let mut tally = Tally::default();
    for entry in std::fs::read_dir(folder).unwrap() {
        let example: Value = serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let title = example["title"].as_str().unwrap_or_default();
        let (output, key) = (&example["output"], &example["input"]["key"]);
        for form in ["json", "json_flat"] {
            if let Some(jws) = output.get(form) {
                json_form(&mut tally, title, jws);
            }
        }
        let Some(token) = output["compact"].as_str() else {
            continue;
        };
        if Algorithm::from_name(example["input"]["alg"].as_str().unwrap_or_default()).is_none() {
            judge(&mut tally, title, open(token, key), Unsupported);
        } else {
            judge(&mut tally, title, open(token, key), Refused(JoseError::WrongKey));
            judge(&mut tally, title, open(token, &public(key)), Accepted);
        }
    }
    tally.show("RFC 7520 and 8037, the cookbook's files", 19);
    assert!(
        tally.accepted >= 1 && tally.unsupported >= 5 && tally.refused >= 13,
        "{tally:?}"
    );
}

/// Partly protected, unprotected and several signatures: JSON alone. Each signature is then also tried as a compact token of its own.
#[test]
fn rfc7520_with_unprotected_headers() {
    let mut tally = Tally::default();
    let (hs256, kid) = (encoded(r#"{"alg":"HS256"}"#), "018c0ae5-4d9b-471b-bfd6-eef314bc7037");
    let named = encoded(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#));
    let rs256 = encoded(r#"{"alg":"RS256"}"#);
    let bilbo = "bilbo.baggins@hobbiton.example";
    let examples = [
        (
            "4.6",
            json!([{"protected": hs256, "header": {"kid": kid}, "signature": "bWUSVaxorn7bEF1djytBd0kHv70Ly5pvbomzMWSOr20"}]),
        ),
        (
            "4.7",
            json!([{"header": {"alg": "HS256", "kid": kid}, "signature": "xuLifqLGiblpv9zBpuZczWhNj1gARaLV3UxvxhJxZuk"}]),
        ),
        (
            "4.8",
            json!([
                {"protected": rs256, "header": {"kid": bilbo}, "signature": FRODO_RS256},
                {"header": {"alg": "ES512", "kid": bilbo}, "signature": FRODO_ES512},
                {"protected": named, "signature": "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"},
            ]),
        ),
    ];
    for (name, signatures) in examples {
        json_form(&mut tally, name, &json!({"payload": FRODO, "signatures": signatures}));
        for signature in signatures.as_array().unwrap() {
            let protected = signature["protected"].as_str().unwrap_or_default();
            let token = format!("{protected}.{FRODO}.{}", signature["signature"].as_str().unwrap());
            let outcome = open(&token, &testing::rfc7515_jwk());
            // With nothing protected there is no header to read an algorithm from.
            let expected = match (protected, &outcome) {
                ("", Err(JoseError::Json(error))) => Refused(JoseError::Json(error.clone())),
                _ => Unsupported,
            };
            judge(&mut tally, name, outcome, expected);
        }
    }
    tally.show("RFC 7520, 4.6-4.8", 8);
    assert!(tally.accepted == 0 && tally.unsupported == 3, "{tally:?}");
}

/// `b64` refuses whatever it says, critical or not, and whichever way the signature was made.
#[test]
fn rfc7797() {
    let mut tally = Tally::default();
    let key = testing::rfc7515_jwk();
    let detached = |header: &str, payload: &str| {
        let whole = signed(header, payload);
        let (head, signature) = (whole.split_once('.').unwrap().0, whole.rsplit_once('.').unwrap().1);
        format!("{head}..{signature}")
    };
    let unencoded = r#"{"alg":"ES256","b64":false,"crit":["b64"]}"#;
    let refused = || Refused(JoseError::UnencodedPayload);
    let cases = [
        (
            "4.1",
            format!(
                "{}.JC4wMg.5mvfOroL-g7HyqJoozehmsaqmvTYGEq5jTI1gVvoEoQ",
                encoded(r#"{"alg":"HS256"}"#)
            ),
            Unsupported,
        ),
        (
            "4.2",
            "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19..A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY"
                .to_owned(),
            Unsupported,
        ),
        ("4.1 with ES256", signed(r#"{"alg":"ES256"}"#, "JC4wMg"), Accepted),
        ("4.2 with ES256", detached(unencoded, "$.02"), refused()),
        (
            "4.2 with ES256, over the encoded payload",
            signed(unencoded, "JC4wMg"),
            refused(),
        ),
        (
            "b64 false and not critical",
            detached(r#"{"alg":"ES256","b64":false}"#, "$.02"),
            refused(),
        ),
        (
            "b64 true",
            signed(r#"{"alg":"ES256","b64":true,"crit":["b64"]}"#, "JC4wMg"),
            refused(),
        ),
        (
            "b64 critical and absent",
            signed(r#"{"alg":"ES256","crit":["b64"]}"#, "JC4wMg"),
            Refused(JoseError::UnknownCritical),
        ),
    ];
    for (name, token, expected) in cases {
        judge(&mut tally, name, open(&token, &key), expected);
    }
    tally.show("RFC 7797, 4.1, 4.2 and with ES256", 8);
}

#[test]
fn rfc8037() {
    let mut tally = Tally::default();
    let (input, signature) = (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    let private = testing::rfc8037_private();
    assert_eq!(private.public_jwk(), testing::rfc8037_jwk(), "A.1, A.2");
    assert_eq!(
        testing::rfc8037_public().thumbprint().to_string(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "A.3"
    );
    assert_eq!(
        base64url::encode(&private.sign(input.as_bytes()).unwrap()),
        signature,
        "A.4"
    );
    tally.accepted += 3;
    let token = format!("{input}.{signature}");
    judge(&mut tally, "A.5", open(&token, &testing::rfc8037_jwk()), Accepted);
    judge(
        &mut tally,
        "A.5, another key",
        open(&token, &testing::rfc7515_jwk()),
        Refused(JoseError::WrongKey),
    );
    // A.6 and A.7 agree on keys, which nobody signs with.
    for (curve, x) in [
        ("X25519", "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"),
        ("X448", &"A".repeat(75)),
    ] {
        let key = VerifyingKey::from_jwk(&json!({"kty": "OKP", "crv": curve, "x": x}));
        assert_eq!(key, Err(KeyError::Member("crv")), "{curve}");
        tally.unsupported += 1;
    }
    tally.show("RFC 8037, A.1-A.7", 7);
}

#[test]
fn rfc7638() {
    let members = json!({"kty": "RSA", "n": RSA_N, "e": "AQAB"});
    let canonical = canonical::signable(&members).unwrap();
    assert_eq!(
        sha256(&canonical).to_string(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
    // The key itself is of an algorithm that no message is signed with.
    assert_eq!(VerifyingKey::from_jwk(&members), Err(KeyError::Member("kty")));
    assert!(compact::header(&encoded(r#"{"alg":"RS256"}"#)).is_err());
    let tally = Tally {
        accepted: 1,
        unsupported: 1,
        ..Tally::default()
    };
    tally.show("RFC 7638, 3.1", 2);
}
