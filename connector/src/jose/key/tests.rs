use super::*;
use crate::jose::testing::{self, hex, pem};
use proptest::prelude::*;

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Es256, Algorithm::EdDsa];

/// RFC 7515 A.3.1: signing input and signature.
const A3_INPUT: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const A3_SIGNATURE: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

/// RFC 8037 A.4.
const ED_INPUT: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
const ED_SIGNATURE: &str = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn bytes(text: &str) -> Vec<u8> {
    base64url::decode(text).unwrap()
}

#[test]
fn rfc7515_a3_verifies() {
    let key = testing::rfc7515_public();
    assert_eq!(
        key.verify(Algorithm::Es256, A3_INPUT.as_bytes(), &bytes(A3_SIGNATURE)),
        Ok(())
    );
    assert_eq!(
        key.verify(Algorithm::Es256, b"other", &bytes(A3_SIGNATURE)),
        Err(KeyError::BadSignature)
    );
    assert_eq!(
        key.verify(Algorithm::EdDsa, A3_INPUT.as_bytes(), &bytes(A3_SIGNATURE)),
        Err(KeyError::WrongAlgorithm)
    );
}

#[test]
fn rfc8037_a4_signs_and_a5_verifies() {
    assert_eq!(
        testing::rfc8037_private().sign(ED_INPUT.as_bytes()).unwrap(),
        bytes(ED_SIGNATURE)
    );
    let key = testing::rfc8037_public();
    assert_eq!(
        key.verify(Algorithm::EdDsa, ED_INPUT.as_bytes(), &bytes(ED_SIGNATURE)),
        Ok(())
    );
    assert_eq!(
        key.verify(Algorithm::Es256, ED_INPUT.as_bytes(), &bytes(ED_SIGNATURE)),
        Err(KeyError::WrongAlgorithm)
    );
}

/// RFC 8037 A.3; the other from the known-answer vectors of the message profile.
#[test]
fn thumbprints() {
    assert_eq!(
        testing::rfc8037_public().thumbprint().to_string(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    assert_eq!(
        testing::rfc7515_public().thumbprint().to_string(),
        "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"
    );
}

#[test]
fn a_private_key_yields_the_published_public_key() {
    assert_eq!(testing::rfc7515_private().public_jwk(), testing::rfc7515_jwk());
    assert_eq!(testing::rfc8037_private().public_jwk(), testing::rfc8037_jwk());
}

#[test]
fn generated_keys_survive_pem_and_jwk() {
    for algorithm in ALGORITHMS {
        let key = SigningKey::generate(algorithm).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let reread = SigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
        let public = VerifyingKey::from_jwk(&reread.public_jwk()).unwrap();
        assert_eq!(public.to_jwk(), key.public_jwk());
        assert_eq!(&public, key.verifying_key());
        for message in [b"".as_slice(), b"x", &[0; 10_000]] {
            let signature = reread.sign(message).unwrap();
            assert_eq!(signature.len(), SIGNATURE_LEN);
            assert_eq!(public.verify(algorithm, message, &signature), Ok(()));
        }
        assert_ne!(
            SigningKey::generate(algorithm).unwrap().verifying_key(),
            key.verifying_key()
        );
    }
}

/// r or s begins with a zero byte in one signature of 128; josekit must pad it.
#[test]
fn short_halves_are_padded() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let mut short = 0;
    for message in 0..1500u32 {
        let signature = key.sign(&message.to_be_bytes()).unwrap();
        short += usize::from(signature[0] == 0 || signature[32] == 0);
        assert_eq!(
            key.verifying_key()
                .verify(Algorithm::Es256, &message.to_be_bytes(), &signature),
            Ok(())
        );
    }
    assert!(short > 0);
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", testing::rfc8037_private());
    assert_eq!(
        shown,
        "SigningKey(EdDSA, kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k, secret)"
    );
}

#[test]
fn algorithm_names_are_exact() {
    assert_eq!(Algorithm::from_name("ES256"), Some(Algorithm::Es256));
    assert_eq!(Algorithm::from_name("EdDSA"), Some(Algorithm::EdDsa));
    assert_eq!(Algorithm::from_name("Ed25519"), Some(Algorithm::EdDsa));
    for other in [
        "none", "NONE", "", "es256", "Es256", "eddsa", "Ed448", "ES384", "ES512", "ES256K", "HS256", "RS256", "PS256",
        "ES256 ",
    ] {
        assert_eq!(Algorithm::from_name(other), None, "{other}");
    }
}

#[test]
fn pem_of_another_kind_is_refused_with_its_reason() {
    let ec = String::from_utf8(testing::rfc7515_private().to_pem().unwrap()).unwrap();
    for not_pkcs8 in [
        "",
        "x",
        &ec.replace("PRIVATE", "PUBLIC"),
        &ec.replace("PRIVATE", "EC PRIVATE"),
        &ec.replace("PRIVATE", "ENCRYPTED PRIVATE"),
    ] {
        assert_eq!(
            SigningKey::from_pem(not_pkcs8.as_bytes()).unwrap_err(),
            KeyError::NotPkcs8
        );
    }
    let twice = format!("{ec}{ec}");
    assert_eq!(SigningKey::from_pem(twice.as_bytes()).unwrap_err(), KeyError::NotPkcs8);
    let cut = ec.replacen('M', "", 1);
    let p384 = josekit::jws::ES384.generate_key_pair().unwrap().to_pem_private_key();
    let ed448 = EdDSA.generate_key_pair(EdCurve::Ed448).unwrap().to_pem_private_key();
    let rsa = josekit::jws::RS256
        .generate_key_pair(2048)
        .unwrap()
        .to_pem_private_key();
    assert_eq!(SigningKey::from_pem(cut.as_bytes()).unwrap_err(), KeyError::NotPkcs8);
    for unsupported in [&p384, &ed448, &rsa] {
        assert_eq!(SigningKey::from_pem(unsupported).unwrap_err(), KeyError::Unsupported);
    }
    assert!(
        SigningKey::from_pem(format!("\n{ec}\n\n").as_bytes()).is_ok(),
        "white space around it is no fault"
    );
}

#[test]
fn a_private_key_with_another_public_key_is_refused() {
    let other = SigningKey::generate(Algorithm::Es256).unwrap().public_jwk();
    let mut der = hex("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420");
    der.extend(bytes("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"));
    der.extend(hex("a14403420004"));
    let length = der.len();
    let with = |der: &mut Vec<u8>, jwk: &Value| {
        der.truncate(length);
        der.extend(bytes(jwk["x"].as_str().unwrap()));
        der.extend(bytes(jwk["y"].as_str().unwrap()));
        SigningKey::from_pem(&pem(der))
    };
    assert!(with(&mut der, &testing::rfc7515_jwk()).is_ok());
    assert_eq!(with(&mut der, &other).unwrap_err(), KeyError::Inconsistent);
}

/// A JWK that is good but for one member.
fn altered(base: Value, name: &str, value: Value) -> Result<VerifyingKey, KeyError> {
    let mut jwk = base;
    jwk[name] = value;
    VerifyingKey::from_jwk(&jwk)
}

fn without(mut jwk: Value, name: &str) -> Result<VerifyingKey, KeyError> {
    jwk.as_object_mut().unwrap().remove(name);
    VerifyingKey::from_jwk(&jwk)
}

#[test]
fn a_jwk_with_private_material_is_refused() {
    for name in ["d", "k", "p", "q", "dp", "dq", "qi", "oth"] {
        assert_eq!(
            altered(testing::rfc7515_jwk(), name, json!("AA")),
            Err(KeyError::Private),
            "{name}"
        );
        assert_eq!(
            altered(testing::rfc8037_jwk(), name, json!(null)),
            Err(KeyError::Private),
            "{name}"
        );
    }
}

#[test]
fn the_declared_purpose_must_allow_verification() {
    let ec = testing::rfc7515_jwk;
    let ed = testing::rfc8037_jwk;
    for (name, value) in [
        ("alg", "ES256"),
        ("use", "sig"),
        ("kid", "any"),
        ("x5u", "https://ignored.example"),
    ] {
        assert!(altered(ec(), name, json!(value)).is_ok(), "{name}");
    }
    assert!(altered(ec(), "key_ops", json!(["verify"])).is_ok());
    assert!(altered(ed(), "alg", json!("EdDSA")).is_ok() && altered(ed(), "alg", json!("Ed25519")).is_ok());
    for value in [
        json!("EdDSA"),
        json!("ES384"),
        json!("es256"),
        json!(null),
        json!(["ES256"]),
    ] {
        assert_eq!(altered(ec(), "alg", value), Err(KeyError::Member("alg")));
    }
    assert_eq!(altered(ed(), "alg", json!("ES256")), Err(KeyError::Member("alg")));
    for value in [json!("enc"), json!("SIG"), json!(1)] {
        assert_eq!(altered(ec(), "use", value), Err(KeyError::Member("use")));
    }
    for value in [
        json!([]),
        json!(["sign"]),
        json!(["verify", "verify"]),
        json!(["verify", "encrypt"]),
        json!("verify"),
    ] {
        assert_eq!(altered(ec(), "key_ops", value), Err(KeyError::Member("key_ops")));
    }
}

#[test]
fn kind_curve_and_coordinates_are_exact() {
    let ec = testing::rfc7515_jwk;
    let ed = testing::rfc8037_jwk;
    assert_eq!(VerifyingKey::from_jwk(&json!([])), Err(KeyError::Member("kty")));
    for name in ["kty", "crv", "x", "y"] {
        assert_eq!(without(ec(), name), Err(KeyError::Member(name_of(name))));
    }
    for value in ["RSA", "oct", "ec", "OKP"] {
        assert!(altered(ec(), "kty", json!(value)).is_err(), "{value}");
    }
    for value in ["P-384", "p-256", "secp256k1", "Ed25519"] {
        assert_eq!(altered(ec(), "crv", json!(value)), Err(KeyError::Member("crv")));
    }
    for value in ["Ed448", "X25519", "P-256"] {
        assert_eq!(altered(ed(), "crv", json!(value)), Err(KeyError::Member("crv")));
    }
    assert_eq!(altered(ed(), "y", json!("AA")), Err(KeyError::Member("y")));
    let x = ec()["x"].as_str().unwrap().to_owned();
    for bad in [
        format!("{x}="),
        format!("{x} "),
        format!("AA{x}"),
        x.chars().take(40).collect(),
        x.replace('8', "+"),
        String::new(),
    ] {
        assert_eq!(altered(ec(), "x", json!(bad)), Err(KeyError::Member("x")));
        assert_eq!(altered(ed(), "x", json!(bad)), Err(KeyError::Member("x")));
    }
}

fn name_of(name: &str) -> &'static str {
    ["kty", "crv", "x", "y"]
        .into_iter()
        .find(|known| *known == name)
        .unwrap()
}

#[test]
fn a_point_off_the_curve_is_refused() {
    let y = testing::rfc7515_jwk()["y"].clone();
    assert_eq!(altered(testing::rfc7515_jwk(), "x", y), Err(KeyError::NotAPoint));
    let zero = base64url::encode(&[0; 32]);
    assert_eq!(
        VerifyingKey::from_jwk(&json!({"kty": "EC", "crv": "P-256", "x": zero, "y": zero})),
        Err(KeyError::NotAPoint)
    );
    // x + p is the same field element in another spelling.
    let full = base64url::encode(&[0xff; 32]);
    assert_eq!(
        altered(testing::rfc7515_jwk(), "x", json!(full)),
        Err(KeyError::NotAPoint)
    );
}

fn ed25519(x: &[u8; 32]) -> Result<VerifyingKey, KeyError> {
    VerifyingKey::from_jwk(&json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(x)}))
}

#[test]
fn ed25519_keys_of_small_order_or_in_a_second_spelling_are_refused() {
    for y in SMALL_ORDER {
        for sign in [0, 0x80] {
            let mut x = y;
            x[31] |= sign;
            assert_eq!(ed25519(&x), Err(KeyError::NotAPoint), "{x:02x?}");
        }
    }
    // p + 3 spells y = 3 a second time; p - 2 is the largest y that might do.
    let mut unreduced = [0xff; 32];
    (unreduced[0], unreduced[31]) = (0xf0, 0x7f);
    assert_eq!(ed25519(&unreduced), Err(KeyError::NotAPoint));
    assert!(!is_reduced(&unreduced));
    unreduced[0] = 0xed;
    assert!(!is_reduced(&unreduced), "p itself");
    unreduced[0] = 0xec;
    assert!(is_reduced(&unreduced), "p - 1");
    unreduced[31] = 0xff;
    assert!(is_reduced(&unreduced), "the sign of x is no part of y");
}

/// With the neutral element as key and as R, s = 0 satisfies the equation for every message: what the strict rules are there for.
#[test]
fn a_signature_that_fits_every_message_is_refused() {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut jwk = Jwk::new("OKP");
    jwk.set_parameter("crv", Some(json!("Ed25519"))).unwrap();
    jwk.set_parameter("x", Some(json!(base64url::encode(&neutral))))
        .unwrap();
    let forged = [neutral, [0; 32]].concat();
    let lax = EdDSA.verifier_from_jwk(&jwk).unwrap();
    assert!(
        lax.verify(b"one message", &forged).is_ok() && lax.verify(b"another", &forged).is_ok(),
        "OpenSSL alone accepts it"
    );
    assert_eq!(ed25519(&neutral), Err(KeyError::NotAPoint));
    let honest = testing::rfc8037_public();
    assert_eq!(
        honest.verify(Algorithm::EdDsa, b"one message", &forged),
        Err(KeyError::BadSignature)
    );
}

/// Made with the private key of RFC 8037 A.1 and the neutral element as R: it satisfies the equation, and strict verifiers refuse it.
#[test]
fn an_r_of_small_order_is_refused() {
    let mut signature = [0; 64];
    signature[0] = 1;
    signature[32..].copy_from_slice(&hex("fbff41d3f1862677ed726d8b1f3fbca51b41e4964824945f8e6c14f54896c406"));
    let honest = testing::rfc8037_public();
    assert!(
        honest.0.verifier.verify(b"one message", &signature).is_ok(),
        "OpenSSL alone accepts it"
    );
    assert_eq!(
        honest.verify(Algorithm::EdDsa, b"one message", &signature),
        Err(KeyError::BadSignature)
    );
}

#[test]
fn ed25519_s_beyond_the_group_order_is_refused() {
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut signature = bytes(ED_SIGNATURE);
    let mut carry = 0;
    for (s, l) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*s) + u16::from(l) + carry;
        (*s, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(
        testing::rfc8037_public().verify(Algorithm::EdDsa, ED_INPUT.as_bytes(), &signature),
        Err(KeyError::BadSignature)
    );
}

/// n - s is the other square root's signature; RFC 7518 does not forbid it and Wycheproof counts it valid.
#[test]
fn ecdsa_with_the_other_s_is_accepted() {
    let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let mut signature = bytes(A3_SIGNATURE);
    let mut borrow = 0;
    for (s, n) in signature[32..].iter_mut().zip(order).rev() {
        let difference = i16::from(n) - i16::from(*s) - borrow;
        (*s, borrow) = (difference.rem_euclid(256) as u8, i16::from(difference < 0));
    }
    assert_eq!(
        testing::rfc7515_public().verify(Algorithm::Es256, A3_INPUT.as_bytes(), &signature),
        Ok(())
    );
}

#[test]
fn ecdsa_edge_values_wrong_lengths_and_der_are_refused() {
    let key = testing::rfc7515_public();
    let good = bytes(A3_SIGNATURE);
    let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let (r, s) = good.split_at(32);
    let zero = [0; 32];
    let der = [&[0x30, 0x45, 0x02, 0x20], r, &[0x02, 0x21, 0x00], s].concat();
    let bad: [Vec<u8>; 11] = [
        vec![],
        vec![0; 64],
        [r, &zero].concat(),
        [&zero, s].concat(),
        [&order, s].concat(),
        [r, &order].concat(),
        vec![0xff; 64],
        good[..63].to_vec(),
        [&good[..], &[0]].concat(),
        [&[0], &good[..]].concat(),
        der,
    ];
    for signature in bad {
        assert_eq!(
            key.verify(Algorithm::Es256, A3_INPUT.as_bytes(), &signature),
            Err(KeyError::BadSignature),
            "{signature:02x?}"
        );
    }
}

proptest! {
    #[test]
    fn damaged_pem_never_panics(at in 28usize..230, byte in any::<u8>(), which in 0usize..2) {
        let mut pem = [testing::rfc7515_private(), testing::rfc8037_private()][which].to_pem().unwrap();
        let at = at % pem.len();
        pem[at] = byte;
        let _ = SigningKey::from_pem(&pem);
    }

    #[test]
    fn damaged_der_never_panics(der in proptest::collection::vec(any::<u8>(), 0..80), keep in 0usize..68) {
        let mut good = hex("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420");
        good.extend([7; 32]);
        good.truncate(keep);
        good.extend(der);
        let _ = SigningKey::from_pem(&pem(&good));
    }

    #[test]
    fn any_64_bytes_are_refused_without_panic(signature in proptest::collection::vec(any::<u8>(), 64), message in any::<[u8; 8]>()) {
        prop_assert!(testing::rfc7515_public().verify(Algorithm::Es256, &message, &signature).is_err());
        prop_assert!(testing::rfc8037_public().verify(Algorithm::EdDsa, &message, &signature).is_err());
    }
}

/// Not a test of correctness: prints what one core does.
/// `cargo test --release -p connector --lib -- --ignored --nocapture a_measurement`
#[test]
#[ignore = "a measurement"]
fn a_measurement_of_keys() {
    for algorithm in ALGORITHMS {
        let key = SigningKey::generate(algorithm).unwrap();
        let (message, name) = ([7; 900], algorithm.name());
        let signature = key.sign(&message).unwrap();
        testing::rate(&format!("{name} sign"), || drop(key.sign(&message).unwrap()));
        testing::rate(&format!("{name} verify"), || {
            key.verifying_key().verify(algorithm, &message, &signature).unwrap();
        });
        testing::rate(&format!("{name} from_jwk"), || {
            drop(VerifyingKey::from_jwk(&key.public_jwk()).unwrap())
        });
        testing::rate(&format!("{name} from_pem"), || {
            drop(SigningKey::from_pem(&key.to_pem().unwrap()).unwrap())
        });
    }
}
