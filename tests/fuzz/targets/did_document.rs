//! DID documents and their keys: whatever is read belongs to the participant that was asked for.
#![no_main]

use connector::{
    dsp::{ParticipantId, json},
    jose::VerifyingKey,
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
        assert!(document.key("did:web:b.example#key").is_none());
    }
});
