//! Ed25519 keys as bare bytes (RFC 8032 §5.1.5), for formats that know neither JWK nor PKCS#8: signed notes.

use super::{Algorithm, KeyError, Point, SigningKey, VerifyingKey};
use crate::jose::{base64url, pkcs8};
use serde_json::json;

impl SigningKey {
    /// The Ed25519 key pair of a seed: 32 bytes that nobody else knows. The same seed gives the same key.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, KeyError> {
        Self::from_der(&pkcs8::wrap(Algorithm::EdDsa, seed))
    }
}

impl VerifyingKey {
    /// The key with this encoding; points of small order and encodings that are not canonical are refused.
    pub fn from_ed25519(encoded: &[u8; 32]) -> Result<Self, KeyError> {
        Self::from_jwk(&json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url::encode(encoded) }))
    }

    /// The encoding of an Ed25519 key; `None` for a key of another kind.
    pub fn to_ed25519(&self) -> Option<[u8; 32]> {
        match &self.0.point {
            Point::Ed25519 { x } => base64url::decode_array(x),
            Point::P256 { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::testing;

    /// RFC 8037 A.1 and A.2.
    #[test]
    fn a_seed_gives_the_published_key() {
        let seed = base64url::decode_array("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let key = SigningKey::from_seed(&seed).unwrap();
        assert_eq!(key.public_jwk(), testing::rfc8037_jwk());
        let bytes = key.verifying_key().to_ed25519().unwrap();
        assert_eq!(&VerifyingKey::from_ed25519(&bytes).unwrap(), key.verifying_key());
    }

    #[test]
    fn a_point_of_small_order_is_no_key_and_p256_has_no_such_bytes() {
        assert_eq!(VerifyingKey::from_ed25519(&[0; 32]), Err(KeyError::NotAPoint));
        assert_eq!(VerifyingKey::from_ed25519(&[0xff; 32]), Err(KeyError::NotAPoint));
        assert_eq!(testing::rfc7515_public().to_ed25519(), None);
    }
}
