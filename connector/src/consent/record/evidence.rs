//! Where a proof is kept is nobody's business but the holder's and the learner's: others see a hash of it, salted with what stays with the record.

use crate::jose::{Digest, HmacKey, JoseError, base64url, random};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// The salt of one record's evidence: 32 random bytes, written in base64url. It is shown with the record and never in a receipt, and is
/// deleted with the record. Whoever has it and the evidence can check the hash: HMAC-SHA-256 of the text under these bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceSalt([u8; 32]);

impl EvidenceSalt {
    /// A fresh one.
    pub fn fresh() -> Result<Self, JoseError> {
        Ok(Self(random::bytes()?))
    }

    /// What others see of where a proof is kept.
    pub fn hash(&self, evidence: &str) -> Digest {
        HmacKey::new(&self.0).tag(evidence.as_bytes())
    }
}

impl Serialize for EvidenceSalt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64url::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for EvidenceSalt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = base64url::decode_array(&text);
        bytes
            .map(Self)
            .ok_or_else(|| D::Error::custom("expected 32 bytes in base64url"))
    }
}
