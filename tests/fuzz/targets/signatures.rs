//! Headers of signatures, whole or as the JSON inside: never a panic, and never a sender other than the owner of the key.
#![no_main]

use connector::jose::{Unverified, agreement::PartySignature, base64url, did, message::signature_digest, token};
use libfuzzer_sys::fuzz_target;

fn read(text: &str) {
    let _ = signature_digest(text);
    if let Ok(message) = Unverified::parse(text) {
        assert_eq!(did::of_kid(message.kid()), Some(message.issuer()));
    }
    if let Ok(signature) = PartySignature::parse(text) {
        assert!(did::of_kid(signature.kid()).is_some());
    }
    if let Ok(kid) = token::kid(text) {
        assert!(did::of_kid(&kid).is_some());
    }
    let _ = token::claimed(text);
    for kind in token::Kind::ALL {
        assert!(token::verify(text, kind, |_| None).is_err(), "verified without a key");
    }
}

fuzz_target!(|bytes: &[u8]| {
    read(std::str::from_utf8(bytes).unwrap_or_default());
    let (header, signature) = (base64url::encode(bytes), base64url::encode(&[7; 64]));
    read(&format!("{header}..{signature}"));
    read(&format!("{header}.e30.{signature}"));
});
