//! The small formats: ids, times, base64url, digests, data tokens, stored trees, and those of the audit log: notes, proofs, requests to
//! cosign, keys, paths of tiles. What is read is written as it was.
#![no_main]

use connector::{
    audit::{LogKey, Proof, SignedCheckpoint, Submission, merkle::Frontier, note::Note, tiles::Tile},
    catalog::shape::Pointer,
    dsp::{ParticipantId, Pid},
    jose::{Digest, HmacKey, base64url},
    transfer::TokenKey,
};
use libfuzzer_sys::fuzz_target;
use policy::Timestamp;

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(base64url::decode(&base64url::encode(bytes)).as_deref(), Some(bytes));
    if let Ok(frontier) = Frontier::from_bytes(bytes) {
        assert_eq!(frontier.to_bytes(), bytes);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(decoded) = base64url::decode(text) {
        assert_eq!(base64url::encode(&decoded), text, "one spelling for each value");
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(did) = text.parse::<ParticipantId>() {
        assert_eq!(did.as_str(), text);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        assert_eq!(time.to_string().parse::<Timestamp>(), Ok(time));
    }
    if let Ok(pointer) = text.parse::<Pointer>() {
        assert_eq!(pointer.to_string(), text);
    }
    if let Ok(note) = Note::read(text) {
        assert_eq!(note.to_string(), text);
    }
    if let Ok(signed) = SignedCheckpoint::read(text) {
        assert!(signed.note().text().starts_with(&signed.checkpoint().text()));
    }
    if let Ok(proof) = Proof::read(text) {
        assert_eq!(proof.to_text(), text);
    }
    if let Ok(submission) = Submission::read(text) {
        assert_eq!(submission.to_string(), text);
    }
    if let Ok(key) = text.parse::<LogKey>() {
        assert!(key.to_string() == text || key.witness() == text);
    }
    if let Some((tile, width)) = Tile::read(text) {
        assert_eq!(tile.path(width), text);
    }
    let pid: Pid = "urn:p".parse().unwrap();
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let key = TokenKey::new(HmacKey::new(&[1; 32]));
    assert!(!key.verify(text, &pid, 0, now), "a token that was never given");
});
