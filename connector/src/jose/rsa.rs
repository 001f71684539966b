//! RSA public keys for PS256 (RFC 7518 §3.5): credentials of others may be signed with it, messages never are. Verifies only.

use super::{
    base64url,
    digest::{Digest, sha256},
    key::{self, KeyError},
};
use josekit::{
    jwk::Jwk,
    jws::{JwsVerifier, PS256},
};
use serde_json::{Value, json};
use std::{fmt, sync::Arc};

/// The algorithm's name in headers and JWKs.
pub(super) const NAME: &str = "PS256";

/// Sizes of the modulus that are accepted, in bytes: at least 2048 bits, and no more than anybody needs, because verifying takes longer
/// with each bit of a key that a stranger chose.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// The smallest public exponent that is accepted, and the longest, in bytes.
const MIN_EXPONENT: u64 = 65_537;
const MAX_EXPONENT_LEN: usize = 8;

/// A public key, parsed and found usable.
#[derive(Clone)]
pub(super) struct RsaKey(Arc<Inner>);

struct Inner {
    n: String,
    e: String,
    signature_len: usize,
    verifier: Box<dyn JwsVerifier>,
}

impl RsaKey {
    /// Reads a public JWK (RFC 7518 §6.3.1). What the owner says about `use`, `key_ops` and `alg` must allow PS256.
    pub(super) fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let members = key::public_members(jwk)?;
        key::check_purpose(members, |name| name == NAME)?;
        let (n, e) = (key::text(members, "n")?, key::text(members, "e")?);
        let signature_len = modulus(n)?;
        exponent(e)?;
        let mut public = Jwk::new("RSA");
        for (name, value) in [("n", n), ("e", e)] {
            public
                .set_parameter(name, Some(Value::from(value)))
                .map_err(|_| KeyError::Member(name))?;
        }
        let verifier = PS256.verifier_from_jwk(&public).map_err(|_| KeyError::WeakRsa)?;
        Ok(Self(Arc::new(Inner {
            n: n.to_owned(),
            e: e.to_owned(),
            signature_len,
            verifier: Box::new(verifier),
        })))
    }

    /// The required members only.
    pub(super) fn to_jwk(&self) -> Value {
        json!({ "kty": "RSA", "n": self.0.n, "e": self.0.e })
    }

    /// RFC 7638 §3.2.
    pub(super) fn thumbprint(&self) -> Digest {
        sha256(format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, self.0.e, self.0.n).as_bytes())
    }

    /// A signature has exactly the modulus' length (RFC 8017 §8.1.2 step 1).
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        if signature.len() != self.0.signature_len {
            return Err(KeyError::BadSignature);
        }
        self.0
            .verifier
            .verify(message, signature)
            .map_err(|_| KeyError::BadSignature)
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaKey({NAME}, {})", self.thumbprint())
    }
}

/// An odd number in its shortest spelling (RFC 7518 §6.3.1.1); returns its length in bytes.
fn modulus(text: &str) -> Result<usize, KeyError> {
    match base64url::decode(text).ok_or(KeyError::Member("n"))?.as_slice() {
        bytes @ [first, .., last] if *first != 0 && last % 2 == 1 && bytes.len() <= *MODULUS.end() => {
            // A length of 256 bytes with a zero bit in front is 2047 bits or fewer.
            let bits = bytes.len() * 8 - first.leading_zeros() as usize;
            if bits < MODULUS.start() * 8 {
                return Err(KeyError::WeakRsa);
            }
            Ok(bytes.len())
        }
        _ => Err(KeyError::Member("n")),
    }
}

fn exponent(text: &str) -> Result<(), KeyError> {
    let bytes = base64url::decode(text).ok_or(KeyError::Member("e"))?;
    if bytes.first().is_none_or(|first| *first == 0) || bytes.len() > MAX_EXPONENT_LEN {
        return Err(KeyError::Member("e"));
    }
    let value = bytes.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    if value >= MIN_EXPONENT && value % 2 == 1 {
        Ok(())
    } else {
        Err(KeyError::WeakRsa)
    }
}
