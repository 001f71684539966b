//! DID documents, their keys, and key files: whatever is read belongs to the participant that was asked for.
#![no_main]

use connector::{
    dsp::{ParticipantId, json},
    jose::{SigningKey, VerifyingKey},
    trust::did::{Document, document_url},
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(did) = std::str::from_utf8(bytes).unwrap_or_default().parse::<ParticipantId>()
        && let Ok(url) = document_url(&did)
    {
        assert!(
            url.scheme() == "https" && url.username().is_empty() && url.query().is_none(),
            "{did}: {url}"
        );
    }
    if let Ok(key) = SigningKey::from_file_bytes(bytes) {
        let written = key.to_private_jwk().unwrap();
        assert_eq!(
            SigningKey::from_private_jwk(&written).unwrap().public_jwk(),
            key.public_jwk()
        );
    }
    if let Ok(key) = VerifyingKey::from_file_bytes(bytes) {
        assert_eq!(VerifyingKey::from_jwk(&key.to_jwk()).unwrap(), key);
    }
    let Ok(mut body) = json::parse(bytes) else { return };
    if let Ok(key) = VerifyingKey::from_jwk(&body) {
        assert_eq!(
            VerifyingKey::from_jwk(&key.to_jwk()).unwrap().thumbprint(),
            key.thumbprint()
        );
    }
    let did: ParticipantId = "did:web:a.example".parse().unwrap();
    if let Some(members) = body.as_object_mut() {
        members.insert("id".into(), Value::from(did.as_str()));
    }
    if let Ok(document) = Document::read(&did, &body) {
        assert_eq!(document.id, did);
        assert!(document.ever("did:web:b.example#key").is_none());
    }
});
