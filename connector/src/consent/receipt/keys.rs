//! Which key of an issuer counted when, by the versions of its DID document that somebody has seen (`policy.md` 5.5: the key is in the issuer's
//! document at that time). Pure.

use crate::{audit::LogKey, jose::VerifyingKey, trust::did::Document};
use policy::Timestamp;

/// Why there is no key to check a signature with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// No document that is known has it.
    Unknown,
    /// Its owner published it, but did not sign with it then.
    NotThen,
}

/// The versions of one participant's DID document, the first seen first.
#[derive(Clone, Debug, Default)]
pub struct KeyHistory(Vec<(Timestamp, Document)>);

impl KeyHistory {
    /// Of the versions, each with the time when it was first seen.
    pub fn new(mut versions: Vec<(Timestamp, Document)>) -> Self {
        versions.sort_by_key(|(seen, _)| *seen);
        Self(versions)
    }

    /// The key with this id, if its owner signed with it at that time. The version that was the newest then counts, and the one seen after it:
    /// a document is published before others see it.
    pub fn key(&self, kid: &str, at: Timestamp) -> Result<VerifyingKey, KeyFault> {
        let after = self.0.partition_point(|(seen, _)| *seen <= at);
        let mut newest_then = self.0.iter().skip(after.saturating_sub(1)).take(1 + after.min(1));
        match newest_then.find_map(|(_, document)| document.key(kid)) {
            Some(key) => Ok(key.clone()),
            None if self.knows(kid) => Err(KeyFault::NotThen),
            None => Err(KeyFault::Unknown),
        }
    }

    /// Whether any version has a key with this id.
    pub fn knows(&self, kid: &str) -> bool {
        self.0.iter().any(|(_, document)| document.ever(kid).is_some())
    }

    /// The keys of the participant's log, from all versions.
    pub fn log_keys(&self) -> impl Iterator<Item = &LogKey> {
        let logs = self.0.iter().filter_map(|(_, document)| document.log.as_ref());
        logs.map(|log| &log.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dsp::ParticipantId,
        jose::{Algorithm, SigningKey},
        trust::did::{Own, Published, Uses},
    };

    fn document(keys: &[(&str, &SigningKey, Uses)]) -> Document {
        let did: ParticipantId = "did:web:a.example".parse().unwrap();
        let published = keys.iter().map(|(name, key, uses)| Published {
            kid: format!("{did}#{name}"),
            jwk: key.public_jwk(),
            uses: *uses,
        });
        let own = Own {
            keys: published.collect(),
            ..Own::empty(did, "https://a.example")
        };
        Document::read(&own.did, &own.document()).unwrap()
    }

    #[test]
    fn a_key_counts_while_its_owner_signs_with_it_and_until_the_next_version_is_seen() {
        let [one, two] = [(); 2].map(|()| SigningKey::generate(Algorithm::EdDsa).unwrap());
        let at = Timestamp::from_seconds;
        let history = KeyHistory::new(vec![
            (at(40), document(&[("k2", &two, Uses::Signing)])),
            (at(10), document(&[("k1", &one, Uses::Signing)])),
            (
                at(30),
                document(&[("k1", &one, Uses::VerifyingOnly), ("k2", &two, Uses::Signing)]),
            ),
        ]);
        let key = |name: &str, time| {
            let found = history.key(&format!("did:web:a.example#{name}"), at(time));
            found.map(|key| key.thumbprint())
        };
        let [first, second] = [&one, &two].map(|key| Ok(key.verifying_key().thumbprint()));
        let not_then = Err(KeyFault::NotThen);
        for (time, k1, k2) in [
            (5, first, not_then),
            (10, first, second),
            (29, first, second),
            (30, not_then, second),
            (50, not_then, second),
        ] {
            assert_eq!((key("k1", time), key("k2", time)), (k1, k2), "{time}");
        }
        assert_eq!(key("k3", 20), Err(KeyFault::Unknown));
        assert_eq!(KeyHistory::default().key("k1", at(1)).unwrap_err(), KeyFault::Unknown);
    }
}
