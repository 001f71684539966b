//! Bitstring Status Lists (W3C Bitstring Status List 1.0): one bit for each credential of an issuer, set when it was revoked. Pure.

use super::list::MAX_VALIDITY;
use crate::jose::{Credential, base64url};
use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};
use policy::Timestamp;
use serde_json::{Map, Value, json};
use std::io::{Read, Write};
use url::Url;

/// The fewest bits of a list: a crowd to hide in (§3.4).
pub const MIN_BITS: usize = 131_072;

/// The most bytes that a list may unpack to. A few hundred bytes of gzip can claim gigabytes.
const MAX_BYTES: usize = 1 << 20;

/// The type of a credential that carries a list.
pub const LIST_CREDENTIAL: &str = "BitstringStatusListCredential";

const LIST: &str = "BitstringStatusList";
const ENTRY: &str = "BitstringStatusListEntry";

/// What a set bit means; both end the credential here.
const PURPOSES: [&str; 2] = ["revocation", "suspension"];

/// Why a status cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// `credentialStatus` is not one that we can check.
    #[error("its credentialStatus is not a {ENTRY} for revocation with an index and the address of a list")]
    Entry,
    /// Not a list, or another's.
    #[error("the status list is not a {LIST_CREDENTIAL} of the same issuer under that address and for that purpose")]
    WrongList,
    /// The bits cannot be unpacked.
    #[error("the status list's bits are not multibase base64url (u) over one gzip member")]
    Encoding,
    /// Too few or too many.
    #[error("the status list has fewer than {MIN_BITS} bits, or more than {} bytes", MAX_BYTES)]
    Size,
    /// It does not say how new it is.
    #[error("the status list does not say from when it counts (validFrom)")]
    Undated,
    /// An older list than one that was seen before.
    #[error("the status list is older than one that was seen before: it was rolled back")]
    RolledBack,
    /// It counts no more.
    #[error("the status list counts no more")]
    Expired,
    /// Beyond the end.
    #[error("the index is beyond the end of the status list")]
    Index,
}

/// Where the status of one credential is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusEntry {
    /// The address and id of the list.
    pub list: Url,
    /// Which bit.
    pub index: usize,
    purpose: String,
}

impl StatusEntry {
    /// All entries of a credential's claims; none where it has no `credentialStatus`.
    pub fn all(claims: &Map<String, Value>) -> Result<Vec<Self>, StatusError> {
        match claims.get("credentialStatus") {
            None => Ok(Vec::new()),
            Some(Value::Array(many)) if many.len() <= PURPOSES.len() => many.iter().map(Self::read).collect(),
            Some(one) => Ok(vec![Self::read(one)?]),
        }
    }

    fn read(value: &Value) -> Result<Self, StatusError> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).ok_or(StatusError::Entry);
        let (purpose, index) = (text("statusPurpose")?, text("statusListIndex")?);
        let list = Url::parse(text("statusListCredential")?).map_err(|_| StatusError::Entry)?;
        let plain = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
        if text("type")? != ENTRY || !PURPOSES.contains(&purpose) || !plain {
            return Err(StatusError::Entry);
        }
        Ok(Self {
            list,
            index: index.parse().map_err(|_| StatusError::Entry)?,
            purpose: purpose.to_owned(),
        })
    }

    /// As it stands in a credential that can be revoked.
    pub fn write(list: &Url, index: usize) -> Value {
        json!({
            "id": format!("{list}#{index}"), "type": ENTRY, "statusPurpose": "revocation",
            "statusListIndex": index.to_string(), "statusListCredential": list.as_str(),
        })
    }
}

/// The bits of a list; the first is the highest of the first byte (§3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits(Vec<u8>);

impl Bits {
    /// All clear.
    pub fn clear() -> Self {
        Self(vec![0; MIN_BITS / 8])
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len() * 8
    }

    /// Whether there is none; never so.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One bit.
    pub fn get(&self, index: usize) -> Result<bool, StatusError> {
        let byte = self.0.get(index / 8).ok_or(StatusError::Index)?;
        Ok(byte & (0x80 >> (index % 8)) != 0)
    }

    /// Sets one bit.
    pub fn set(&mut self, index: usize) -> Result<(), StatusError> {
        let byte = self.0.get_mut(index / 8).ok_or(StatusError::Index)?;
        *byte |= 0x80 >> (index % 8);
        Ok(())
    }

    /// `encodedList`.
    pub fn encode(&self) -> Result<String, StatusError> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&self.0).map_err(|_| StatusError::Encoding)?;
        let packed = packed.finish().map_err(|_| StatusError::Encoding)?;
        Ok(format!("u{}", base64url::encode(&packed)))
    }

    /// Reads an `encodedList`, and never unpacks more than a list may have.
    pub fn decode(text: &str) -> Result<Self, StatusError> {
        let packed = text
            .strip_prefix('u')
            .and_then(base64url::decode)
            .ok_or(StatusError::Encoding)?;
        let mut member = GzDecoder::new(packed.as_slice());
        let mut bits = Vec::new();
        let most = u64::try_from(MAX_BYTES).map_err(|_| StatusError::Size)? + 1;
        (&mut member)
            .take(most)
            .read_to_end(&mut bits)
            .map_err(|_| StatusError::Encoding)?;
        if bits.len() > MAX_BYTES || bits.len() * 8 < MIN_BITS {
            return Err(StatusError::Size);
        }
        // One member, its checksum read, and nothing behind it: a second one would be bits that others see and we do not.
        if member.into_inner().is_empty() {
            Ok(Self(bits))
        } else {
            Err(StatusError::Encoding)
        }
    }
}

/// A list that its issuer signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusList {
    issuer: String,
    purpose: String,
    bits: Bits,
    /// From when it counts.
    from: Timestamp,
    /// Until when.
    until: Timestamp,
}

impl StatusList {
    /// Reads the list that a verified credential carries, which was fetched from `address`.
    pub fn read(credential: &Credential, address: &Url) -> Result<Self, StatusError> {
        let subject = credential.claims().get("credentialSubject").and_then(Value::as_object);
        let subject = subject.ok_or(StatusError::WrongList)?;
        let text = |name: &str| subject.get(name).and_then(Value::as_str).ok_or(StatusError::WrongList);
        let is_list = credential.types().iter().any(|name| name == LIST_CREDENTIAL);
        if !is_list || credential.id() != Some(address.as_str()) || text("type")? != LIST {
            return Err(StatusError::WrongList);
        }
        let from = credential.valid_from().ok_or(StatusError::Undated)?;
        // Whoever keeps a newer one back gains no more than that with a trust list.
        let longest = from.plus(MAX_VALIDITY);
        Ok(Self {
            issuer: credential.issuer().to_owned(),
            purpose: text("statusPurpose")?.to_owned(),
            bits: Bits::decode(text("encodedList")?)?,
            from,
            until: credential.valid_until().map_or(longest, |until| until.min(longest)),
        })
    }

    /// Whose it is.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether it may take the place of what was seen before, now.
    pub fn follows(&self, seen: Option<&Self>, now: Timestamp) -> Result<(), StatusError> {
        if seen.is_some_and(|seen| self.from < seen.from) {
            return Err(StatusError::RolledBack);
        }
        if !self.counts(now) {
            return Err(StatusError::Expired);
        }
        Ok(())
    }

    /// Whether it counts still.
    pub fn counts(&self, now: Timestamp) -> bool {
        now < self.until
    }

    /// Whether a list that is older than this one could still count.
    pub fn is_needed(&self, now: Timestamp) -> bool {
        now < self.from.plus(MAX_VALIDITY)
    }

    /// Whether the credential with this entry, of this issuer, was revoked.
    pub fn is_set(&self, entry: &StatusEntry, issuer: &str) -> Result<bool, StatusError> {
        if self.issuer != issuer || self.purpose != entry.purpose {
            return Err(StatusError::WrongList);
        }
        self.bits.get(entry.index)
    }

    /// The claims of a credential that carries these bits.
    pub fn claims(address: &Url, issuer: &str, bits: &Bits) -> Result<Map<String, Value>, StatusError> {
        let subject = json!({
            "id": format!("{address}#list"), "type": LIST, "statusPurpose": "revocation", "encodedList": bits.encode()?,
        });
        let members = json!({
            "id": address.as_str(), "type": ["VerifiableCredential", LIST_CREDENTIAL], "issuer": issuer,
            "credentialSubject": subject,
        });
        match members {
            Value::Object(members) => Ok(members),
            _ => Err(StatusError::WrongList),
        }
    }
}

#[cfg(test)]
mod tests;
