use super::*;
use crate::jose::testing::{self, rfc7515_jwk, rfc7515_private, rfc8037_jwk, rfc8037_private};
use serde_json::json;

/// RFC 7515 A.3.1 and RFC 8037 A.1, private parts included.
fn published() -> [Value; 2] {
    let (mut ec, mut okp) = (rfc7515_jwk(), rfc8037_jwk());
    ec["d"] = json!("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    okp["d"] = json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    [ec, okp]
}

fn read(jwk: &Value) -> Result<SigningKey, KeyError> {
    SigningKey::from_file_bytes(jwk.to_string().as_bytes())
}

#[test]
fn both_forms_of_a_key_are_the_same_key() {
    for (jwk, pem) in published().iter().zip([rfc7515_private(), rfc8037_private()]) {
        let key = read(jwk).unwrap();
        assert_eq!(key.public_jwk(), pem.public_jwk());
        assert_eq!(key.to_private_jwk().unwrap(), *jwk);
        assert_eq!(
            SigningKey::from_file_bytes(&pem.to_pem().unwrap())
                .unwrap()
                .public_jwk(),
            pem.public_jwk()
        );
        let spaced = format!("\n  {jwk:#}\n");
        assert!(SigningKey::from_file_bytes(spaced.as_bytes()).is_ok());
    }
}

#[test]
fn a_generated_key_survives_both_forms() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        for _ in 0..300 {
            let key = SigningKey::generate(algorithm).unwrap();
            let jwk = key.to_private_jwk().unwrap();
            assert_eq!(jwk["d"].as_str().unwrap().len(), 43, "leading zeros are kept");
            assert_eq!(read(&jwk).unwrap().public_jwk(), key.public_jwk());
        }
    }
}

#[test]
fn a_private_jwk_that_breaks_a_rule_is_refused_by_member() {
    for jwk in published() {
        let with = |name: &str, value: Value| {
            let mut jwk = jwk.clone();
            jwk[name] = value;
            read(&jwk).map(|_| ()).unwrap_err()
        };
        let without = |name: &str| {
            let mut jwk = jwk.clone();
            jwk.as_object_mut().unwrap().shift_remove(name);
            read(&jwk).map(|_| ()).unwrap_err()
        };
        for (name, value) in [
            ("kty", json!("RSA")),
            ("kty", json!(1)),
            ("crv", json!("P-384")),
            ("use", json!("enc")),
            ("alg", json!("ES384")),
            ("key_ops", json!(["verify"])),
            ("key_ops", json!("sign")),
            ("d", json!("")),
            ("d", json!("AAAA")),
            ("d", json!("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI=")),
            ("x", json!("AAAA")),
        ] {
            assert_eq!(with(name, value), KeyError::Member(name_of(name)), "{name}");
        }
        for name in ["kty", "crv", "d", "x"] {
            assert_eq!(without(name), KeyError::Member(name_of(name)), "{name}");
        }
        let zero = with("d", json!("A".repeat(43)));
        assert!(
            matches!(zero, KeyError::Unsupported | KeyError::Inconsistent),
            "{zero:?}"
        );
        for allowed in [
            json!({"use": "sig", "key_ops": ["sign"], "kid": "k1"}),
            json!({"key_ops": ["sign", "verify"]}),
        ] {
            let mut jwk = jwk.clone();
            jwk.as_object_mut()
                .unwrap()
                .extend(allowed.as_object().unwrap().clone());
            assert!(read(&jwk).is_ok());
        }
    }
}

fn name_of(name: &str) -> &'static str {
    ["kty", "crv", "use", "alg", "key_ops", "d", "x"]
        .into_iter()
        .find(|known| *known == name)
        .unwrap()
}

#[test]
fn a_private_jwk_with_another_public_part_is_refused() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let other = SigningKey::generate(algorithm).unwrap().public_jwk();
        let mut jwk = published()[usize::from(algorithm == Algorithm::EdDsa)].clone();
        jwk.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        assert_eq!(read(&jwk).unwrap_err(), KeyError::Inconsistent);
    }
}

#[test]
fn what_is_no_key_file_is_said_to_be_none() {
    for bad in [
        &b""[..],
        b"ssh-ed25519 AAAA",
        b"{",
        b"{}x",
        b"{\"kty\":\"OKP\",\"kty\":\"OKP\"}",
        b"[1]",
        b"\xff\xfe",
    ] {
        assert_eq!(
            SigningKey::from_file_bytes(bad).unwrap_err(),
            KeyError::NotAKeyFile,
            "{bad:?}"
        );
        assert_eq!(
            VerifyingKey::from_file_bytes(bad).unwrap_err(),
            KeyError::NotAKeyFile,
            "{bad:?}"
        );
    }
    assert_eq!(
        SigningKey::from_file_bytes(b"-----BEGIN EC PRIVATE KEY-----\n").unwrap_err(),
        KeyError::NotPkcs8
    );
}

#[test]
fn a_public_key_is_read_from_pem_and_from_a_jwk_and_never_from_a_private_one() {
    // `openssl pkey -pubout` of the same keys.
    let ec = [
        &testing::hex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")[..],
        &point(&rfc7515_jwk()),
    ]
    .concat();
    let okp = [&testing::hex("302a300506032b6570032100")[..], &point(&rfc8037_jwk())].concat();
    for (der, jwk) in [(ec, rfc7515_jwk()), (okp, rfc8037_jwk())] {
        let pem = String::from_utf8(testing::pem(&der))
            .unwrap()
            .replace("PRIVATE", "PUBLIC");
        assert_eq!(VerifyingKey::from_file_bytes(pem.as_bytes()).unwrap().to_jwk(), jwk);
        assert_eq!(
            VerifyingKey::from_file_bytes(jwk.to_string().as_bytes())
                .unwrap()
                .to_jwk(),
            jwk
        );
        for length in 0..der.len() {
            let pem = String::from_utf8(testing::pem(&der[..length]))
                .unwrap()
                .replace("PRIVATE", "PUBLIC");
            assert!(
                VerifyingKey::from_file_bytes(pem.as_bytes()).is_err(),
                "cut to {length}"
            );
        }
    }
    let private = rfc8037_private();
    assert_eq!(
        VerifyingKey::from_file_bytes(private.to_private_jwk().unwrap().to_string().as_bytes()).unwrap_err(),
        KeyError::Private
    );
    assert!(VerifyingKey::from_file_bytes(&private.to_pem().unwrap()).is_err());
}

fn point(jwk: &Value) -> Vec<u8> {
    ["x", "y"]
        .into_iter()
        .filter_map(|name| base64url::decode(jwk.get(name)?.as_str()?))
        .flatten()
        .collect()
}
