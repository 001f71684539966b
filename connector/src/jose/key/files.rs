//! Keys as files: private ones as PKCS#8 in PEM or as a JWK (RFC 7517, RFC 7518 §6.2.2, RFC 8037 §2), public ones as a JWK or in PEM
//! (RFC 7468 §13). What a file is shows in its content, not in its name.

use super::{Algorithm, KeyError, SigningKey, VerifyingKey, check_use, coordinate, text};
use crate::{
    dsp::json,
    jose::{base64url, pkcs8},
};
use serde_json::{Map, Value};

impl SigningKey {
    /// Reads a private key: PKCS#8 in PEM, or a JWK.
    pub fn from_file_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        match json_of(bytes) {
            Some(jwk) => Self::from_private_jwk(&jwk?),
            None if is_pem(bytes) => Self::from_pem(bytes),
            None => Err(KeyError::NotAKeyFile),
        }
    }

    /// Reads a private JWK. Its public members must be those of its private one; `use`, `alg` and `key_ops`, where present, must allow
    /// signing.
    pub fn from_private_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let members = jwk.as_object().ok_or(KeyError::Member("kty"))?;
        let algorithm = match (text(members, "kty")?, text(members, "crv")?) {
            ("EC", "P-256") => Algorithm::Es256,
            ("OKP", "Ed25519") => Algorithm::EdDsa,
            ("EC" | "OKP", _) => return Err(KeyError::Member("crv")),
            _ => return Err(KeyError::Member("kty")),
        };
        check_use(members, |name| Algorithm::from_name(name) == Some(algorithm))?;
        let may_sign = |operations: &Value| {
            let listed = operations.as_array();
            listed.is_some_and(|listed| listed.iter().any(|operation| operation == "sign"))
        };
        if !members.get("key_ops").is_none_or(may_sign) {
            return Err(KeyError::Member("key_ops"));
        }
        let private = base64url::decode_array(&coordinate(members, "d")?).ok_or(KeyError::Member("d"))?;
        let key = Self::from_der(&pkcs8::wrap(algorithm, &private))?;
        let published = VerifyingKey::from_jwk(&public_part(members))?;
        if published == *key.verifying_key() {
            Ok(key)
        } else {
            Err(KeyError::Inconsistent)
        }
    }

    /// The private key as a JWK with the required members only. Whoever holds it can sign for the participant.
    pub fn to_private_jwk(&self) -> Result<Value, KeyError> {
        let jwk = self.pair()?.to_jwk_private_key();
        let written = jwk.parameter("d").and_then(Value::as_str).ok_or(KeyError::Failed)?;
        let bytes = base64url::decode(written).ok_or(KeyError::Failed)?;
        // RFC 7518 §6.2.2.1: full length, leading zeros included.
        let mut private = vec![0; 32usize.saturating_sub(bytes.len())];
        private.extend_from_slice(&bytes);
        let mut whole = self.public_jwk();
        if let Value::Object(members) = &mut whole {
            members.insert("d".into(), base64url::encode(&private).into());
        }
        Ok(whole)
    }
}

impl VerifyingKey {
    /// Reads a public key: a JWK, or `BEGIN PUBLIC KEY` in PEM.
    pub fn from_file_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        match json_of(bytes) {
            Some(jwk) => Self::from_jwk(&jwk?),
            None => Self::from_jwk(&pkcs8::public_jwk(bytes).ok_or(KeyError::NotAKeyFile)?),
        }
    }
}

/// The JSON of a file that begins like an object.
fn json_of(bytes: &[u8]) -> Option<Result<Value, KeyError>> {
    let begins = bytes.trim_ascii_start().starts_with(b"{");
    begins.then(|| json::parse(bytes).map_err(|_| KeyError::NotAKeyFile))
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"-----BEGIN ")
}

/// What of a private JWK is public and says which key it is.
fn public_part(members: &Map<String, Value>) -> Value {
    let public = members
        .iter()
        .filter(|(name, _)| matches!(name.as_str(), "kty" | "crv" | "x" | "y"));
    Value::Object(public.map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests;
