//! Framing that all our signed objects share: three dot-separated parts, a protected header read strictly, and signing input built
//! from the exact bytes received. What a kind of object requires beyond that is said in its own module.

use super::{
    Digest, JoseError, base64url, canonical, did,
    key::{Algorithm, SIGNATURE_LEN, SigningKey},
};
use crate::dsp::json::{self, Limits};
use serde_json::{Map, Value};

/// A protected header holds flat members and one object.
const MAX_HEADER_DEPTH: usize = 4;

/// Longest protected header, in base64url characters.
const MAX_HEADER_LEN: usize = 4096;

/// How much of an unknown member's name an error repeats, in characters.
const NAME_SHOWN: usize = 32;

/// Header members that carry or point to a key (RFC 7515 §4.1.2-§4.1.8). A key comes from the issuer's DID document or not at all.
const KEY_MEMBERS: [&str; 6] = ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"];

/// Who signs: a key and the DID URL under which others find it.
#[derive(Debug, Clone)]
pub struct Signer {
    did: String,
    kid: String,
    key: SigningKey,
}

impl Signer {
    /// `kid` is an absolute DID URL `did:web:…#name`; the DID before the `#` is the signer's identity.
    pub fn new(kid: &str, key: SigningKey) -> Result<Self, JoseError> {
        let did = did::of_kid(kid).ok_or(JoseError::WrongKeyId)?;
        Ok(Self {
            did: did.to_owned(),
            kid: kid.to_owned(),
            key,
        })
    }

    /// The signer's DID.
    pub fn did(&self) -> &str {
        &self.did
    }

    /// The DID URL of the key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key.
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }
}

/// The parts of a compact serialization (RFC 7515 §7.1), still encoded; the payload is empty when it is detached (app. F).
pub(super) struct Parts<'a> {
    pub(super) protected: &'a str,
    pub(super) payload: &'a str,
    pub(super) signature: &'a str,
}

/// Cuts a compact serialization of at most `limit` bytes.
pub(super) fn split(text: &str, limit: usize) -> Result<Parts<'_>, JoseError> {
    if text.is_empty() {
        return Err(JoseError::SignatureMissing);
    }
    if text.len() > limit {
        return Err(JoseError::TooLarge(limit));
    }
    let mut parts = text.split('.');
    let (Some(protected), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(JoseError::Malformed("not three parts"));
    };
    if signature.is_empty() {
        return Err(JoseError::SignatureMissing);
    }
    Ok(Parts {
        protected,
        payload,
        signature,
    })
}

/// As [`split`], for a signature whose payload travels elsewhere.
pub(super) fn split_detached(text: &str, limit: usize) -> Result<Parts<'_>, JoseError> {
    let parts = split(text, limit)?;
    if parts.payload.is_empty() {
        Ok(parts)
    } else {
        Err(JoseError::Malformed("the payload must be detached"))
    }
}

/// A signature in its fixed length: r and s, never DER (RFC 7518 §3.4).
pub(super) fn signature(encoded: &str) -> Result<[u8; SIGNATURE_LEN], JoseError> {
    let bytes = base64url::decode(encoded).ok_or(JoseError::NotBase64Url)?;
    bytes
        .try_into()
        .map_err(|_| JoseError::Malformed("a signature has 64 bytes"))
}

/// Reads the protected header of a kind that is signed with the algorithms of messages.
pub(super) fn header(encoded: &str) -> Result<(Algorithm, Members), JoseError> {
    header_of(encoded, Algorithm::from_name)
}

/// Reads a protected header as far as it is the same for every kind: JSON, an algorithm that `allowed` knows by this exact name, no key
/// of its own, payload encoded.
pub(super) fn header_of<A>(encoded: &str, allowed: impl Fn(&str) -> Option<A>) -> Result<(A, Members), JoseError> {
    if encoded.len() > MAX_HEADER_LEN {
        return Err(JoseError::TooLarge(MAX_HEADER_LEN));
    }
    let bytes = base64url::decode(encoded).ok_or(JoseError::NotBase64Url)?;
    let limits = Limits {
        bytes: MAX_HEADER_LEN,
        depth: MAX_HEADER_DEPTH,
    };
    let mut members = Members::of(json::parse_within(&bytes, limits)?)?;
    let algorithm = match members.0.remove("alg") {
        Some(Value::String(name)) => allowed(&name).ok_or(JoseError::AlgorithmNotAllowed)?,
        _ => return Err(JoseError::AlgorithmNotAllowed),
    };
    if let Some(name) = KEY_MEMBERS.into_iter().find(|name| members.0.contains_key(*name)) {
        return Err(JoseError::EmbeddedKey(name));
    }
    if members.0.contains_key("b64") {
        return Err(JoseError::UnencodedPayload);
    }
    Ok((algorithm, members))
}

/// Signs `protected` with `payload` (already encoded) and returns both encoded: header, signature.
pub(super) fn sign(key: &SigningKey, protected: &Value, payload: &str) -> Result<(String, String), JoseError> {
    sign_canonical(key, &canonical::signable(protected)?, payload)
}

/// The same for a header that is written in canonical form already.
pub(super) fn sign_canonical(key: &SigningKey, protected: &[u8], payload: &str) -> Result<(String, String), JoseError> {
    let header = base64url::encode(protected);
    let signature = key.sign(signing_input(&header, payload).as_bytes())?;
    Ok((header, base64url::encode(&signature)))
}

/// RFC 7515 §5.1 step 5: both parts encoded, joined by a dot.
pub(super) fn signing_input(protected: &str, payload: &str) -> String {
    let mut input = String::with_capacity(protected.len() + 1 + payload.len());
    input.push_str(protected);
    input.push('.');
    input.push_str(payload);
    input
}

/// An object of which every member must be taken by name: what is left at the [`end`](Members::end) is unknown and refuses the whole.
pub(super) struct Members(Map<String, Value>);

impl Members {
    pub(super) fn of(value: Value) -> Result<Self, JoseError> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(JoseError::Malformed("not a JSON object")),
        }
    }

    pub(super) fn take(&mut self, name: &'static str) -> Result<Value, JoseError> {
        self.0.remove(name).ok_or(JoseError::MissingMember(name))
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<String, JoseError> {
        match self.take(name)? {
            Value::String(text) => Ok(text),
            _ => Err(JoseError::InvalidMember(name)),
        }
    }

    /// A text that may be absent.
    pub(super) fn optional_text(&mut self, name: &'static str) -> Result<Option<String>, JoseError> {
        match self.0.contains_key(name) {
            true => self.text(name).map(Some),
            false => Ok(None),
        }
    }

    /// A whole number that a double holds exactly.
    pub(super) fn integer(&mut self, name: &'static str) -> Result<u64, JoseError> {
        let number = self
            .take(name)?
            .as_u64()
            .filter(|number| *number <= canonical::MAX_SAFE_INTEGER);
        number.ok_or(JoseError::InvalidMember(name))
    }

    pub(super) fn digest(&mut self, name: &'static str) -> Result<Digest, JoseError> {
        self.text(name)?.parse().map_err(|_| JoseError::InvalidMember(name))
    }

    pub(super) fn optional_digest(&mut self, name: &'static str) -> Result<Option<Digest>, JoseError> {
        if self.0.contains_key(name) {
            self.digest(name).map(Some)
        } else {
            Ok(None)
        }
    }

    pub(super) fn object(&mut self, name: &'static str) -> Result<Self, JoseError> {
        Self::of(self.take(name)?).map_err(|_| JoseError::InvalidMember(name))
    }

    /// Takes a member that must be there with exactly this value.
    pub(super) fn expect(&mut self, name: &str, value: &str, otherwise: JoseError) -> Result<(), JoseError> {
        if self.0.remove(name).is_some_and(|found| found == value) {
            Ok(())
        } else {
            Err(otherwise)
        }
    }

    /// Takes `crit`, which must list exactly `names` (RFC 7515 §4.1.11); the named members are required where they are read.
    pub(super) fn critical(&mut self, names: &[&str]) -> Result<(), JoseError> {
        let understood = match self.0.remove("crit") {
            None => names.is_empty(),
            Some(Value::Array(listed)) => !names.is_empty() && listed == names,
            Some(_) => false,
        };
        if understood {
            Ok(())
        } else {
            Err(JoseError::UnknownCritical)
        }
    }

    /// Takes `kid`, an absolute DID URL, and returns it with its DID.
    pub(super) fn kid(&mut self) -> Result<(String, String), JoseError> {
        let kid = self.text("kid").map_err(|_| JoseError::WrongKeyId)?;
        let did = did::of_kid(&kid).ok_or(JoseError::WrongKeyId)?.to_owned();
        Ok((kid, did))
    }

    /// All members, for content whose members are not ours to list.
    pub(super) fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), JoseError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(JoseError::UnknownMember(name.chars().take(NAME_SHOWN).collect())),
        }
    }
}

#[cfg(test)]
mod tests;
