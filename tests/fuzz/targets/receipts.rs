//! Receipts, truly signed over whatever the input is: what is accepted is its signer's; without the key, or with the key of another time, nothing
//! is. A receipt of a consent goes on with the one that follows it, and with no other order of the two.
#![no_main]

use connector::{
    consent::receipt::{self, KeyFault, Shown},
    dsp::json,
    jose::{Signer, SigningKey, VerifyingKey, base64url, token},
};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// RFC 8037 A.1.
static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    Signer::new("did:web:a.example#k", SigningKey::from_pem(pem.as_bytes()).unwrap()).unwrap()
});

fn signed(payload: &[u8]) -> String {
    let header = r#"{"alg":"EdDSA","kid":"did:web:a.example#k","typ":"dases-consent+jws"}"#;
    let input = format!(
        "{}.{}",
        base64url::encode(header.as_bytes()),
        base64url::encode(payload)
    );
    let signature = SIGNER.key().sign(input.as_bytes()).unwrap();
    format!("{input}.{}", base64url::encode(&signature))
}

fn key(kid: &str) -> Option<VerifyingKey> {
    (kid == SIGNER.kid()).then(|| SIGNER.key().verifying_key().clone())
}

/// The receipt that says the same once more.
fn next(payload: &[u8], first: &str) -> Option<String> {
    let mut claims = json::parse(payload).ok()?;
    let number = claims.get("dases:number")?.as_u64()?.checked_add(1)?;
    let members = claims.as_object_mut()?;
    members.insert("dases:number".into(), number.into());
    members.insert(
        "dases:previousReceipt".into(),
        receipt::digest(first).to_string().into(),
    );
    token::sign(&SIGNER, token::Kind::Consent, &claims).ok()
}

fuzz_target!(|bytes: &[u8]| {
    let text = std::str::from_utf8(bytes).unwrap_or_default().to_owned();
    assert!(receipt::verify(&[text], key).is_err(), "nobody signed it");

    let first = signed(bytes);
    let chain = [first.clone()];
    if let Ok(shown) = receipt::prove(&chain, |kid, _| key(kid).ok_or(KeyFault::Unknown)) {
        let issuer = match &shown {
            Shown::Consent(proved) => &proved.issuer,
            Shown::Restriction(proved) => &proved.issuer,
            Shown::Objection(proved) => &proved.issuer,
        };
        assert_eq!(issuer, SIGNER.did());
        let unknown = receipt::prove(&chain, |_, _| Err(KeyFault::Unknown));
        assert!(unknown.is_err(), "proved without a key");
    }
    let Ok(proved) = receipt::verify(&chain, key) else {
        return;
    };
    assert_eq!(proved.issuer, SIGNER.did());
    assert_eq!(proved.steps.last().map(|step| step.state), Some(proved.state));
    assert!(receipt::verify(&chain, |_| None).is_err(), "verified without a key");
    assert!(
        receipt::verify_then(&chain, |_, _| Err(KeyFault::NotThen)).is_err(),
        "verified with a key of another time"
    );
    let twice = [first.clone(), first.clone()];
    assert!(receipt::verify(&twice, key).is_err(), "none follows itself");
    if let Some(second) = next(bytes, &first) {
        let both = receipt::verify(&[first.clone(), second.clone()], key).expect("it follows");
        assert_eq!(
            (both.receipts, both.state, &both.steps),
            (2, proved.state, &proved.steps)
        );
        assert!(receipt::verify(&[second, first], key).is_err(), "verified out of order");
    }
});
