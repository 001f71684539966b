//! What the tests of this room share: published keys, and the folder of vectors that others made.

use super::{Signer, SigningKey, VerifyingKey, base64url};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A file or folder of `../shared/data`, or `None` after saying that the test is skipped.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SHARED_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    if !root.is_dir() {
        eprintln!("skipped: ../shared/data is not here");
        return None;
    }
    Some(root.join(path))
}

/// The JSON of one such file.
pub(crate) fn shared_json(path: &str) -> Option<Value> {
    let bytes = std::fs::read(shared(path)?).unwrap();
    Some(serde_json::from_slice(&bytes).unwrap())
}

/// RFC 7515 A.3.1, public part.
pub(crate) fn rfc7515_jwk() -> Value {
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

/// RFC 8037 A.2.
pub(crate) fn rfc8037_jwk() -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
}

pub(crate) fn rfc7515_public() -> VerifyingKey {
    VerifyingKey::from_jwk(&rfc7515_jwk()).unwrap()
}

pub(crate) fn rfc8037_public() -> VerifyingKey {
    VerifyingKey::from_jwk(&rfc8037_jwk()).unwrap()
}

/// RFC 7515 A.3.1, private part, wrapped as PKCS#8 (RFC 5958, RFC 5915 without the optional public key).
pub(crate) fn rfc7515_private() -> SigningKey {
    let mut der = hex("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420");
    der.extend(base64url::decode("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI").unwrap());
    SigningKey::from_pem(&pem(&der)).unwrap()
}

/// RFC 8037 A.1, private part, wrapped as PKCS#8 (RFC 8410 §7).
pub(crate) fn rfc8037_private() -> SigningKey {
    let mut der = hex("302e020100300506032b657004220420");
    der.extend(base64url::decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap());
    SigningKey::from_pem(&pem(&der)).unwrap()
}

/// The consumer of the known-answer vectors.
pub(crate) fn consumer() -> Signer {
    Signer::new("did:web:ft.example#k1", rfc7515_private()).unwrap()
}

/// The provider of the known-answer vectors.
pub(crate) fn provider() -> Signer {
    Signer::new("did:web:lycee.example#k7", rfc8037_private()).unwrap()
}

pub(crate) fn pem(der: &[u8]) -> Vec<u8> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        BASE64_STANDARD.encode(der)
    )
    .into_bytes()
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap())
        .collect()
}

/// What became of the cases of one published source.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Valid, and accepted.
    pub(crate) accepted: usize,
    /// Invalid, and refused for what is wrong with it.
    pub(crate) refused: usize,
    /// Refused because its algorithm or form is not one of ours, whatever it would prove.
    pub(crate) unsupported: usize,
    /// Faulty data, named one by one.
    pub(crate) quarantined: usize,
}

impl Tally {
    /// Prints a line of the table of the suite `vectors`, and fails where fewer cases ran than the source has.
    pub(crate) fn show(&self, source: &str, expected: usize) {
        let cases = self.accepted + self.refused + self.unsupported + self.quarantined;
        println!(
            "vectors: {source} | {cases} | {} | {} | {} | {}",
            self.accepted, self.refused, self.unsupported, self.quarantined
        );
        assert!(
            expected > 0 && cases >= expected,
            "{source}: {cases} of {expected} cases ran"
        );
    }
}

/// Prints how often a second one core does `work`.
#[allow(clippy::disallowed_methods, reason = "a stopwatch, not the time of day")]
pub(crate) fn rate(name: &str, mut work: impl FnMut()) {
    let start = std::time::Instant::now();
    let mut rounds = 0u32;
    while start.elapsed().as_millis() < 500 {
        (0..16).for_each(|_| work());
        rounds += 16;
    }
    println!("{name}: {:.0}/s", f64::from(rounds) / start.elapsed().as_secs_f64());
}
