//! The trust list: who may issue credentials of membership, and who and what no longer counts. Signed by the authority's root key, whose
//! thumbprint is pinned in the configuration; numbered, so that an older list never takes the place of a newer one. Pure.

use crate::{
    dsp::ParticipantId,
    jose::{CredentialKey, Digest, JoseError, Signer, VerifyingKey, sha256, token},
    trust::did::Document,
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

/// The longest time for which a list may be valid.
pub const MAX_VALIDITY: Duration = Duration::from_secs(7 * 24 * 3600);

/// Clocks may differ by this.
const SKEW: Duration = Duration::from_secs(60);

/// Most issuers that are read; a list fits into one item of the store anyway.
const MAX_ISSUERS: usize = 64;

/// What the authority says. A member that is not in this table refuses the list: what it may mean is not for us to guess.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustList {
    /// 1.
    pub v: u8,
    /// Who says it.
    pub authority: ParticipantId,
    /// Counted from 1; never goes back.
    pub sequence: u64,
    /// When it was signed.
    pub issued: Timestamp,
    /// Until when it counts; the next list comes before that.
    pub next_update: Timestamp,
    /// SHA-256 over the list before, as it was published; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    /// Who may issue what.
    pub issuers: Vec<Issuer>,
    /// Participants that are members no more, whatever they present.
    pub revoked_members: BTreeSet<ParticipantId>,
    /// Keys that count no more.
    pub revoked_jkts: Vec<RevokedKey>,
    /// SHA-256 over the rulebook that members have agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rulebook: Option<Digest>,
    /// The oldest version of the Dataspace Protocol that members speak.
    pub minimum_protocol: String,
}

/// Someone who may issue credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Issuer {
    /// Its DID.
    pub did: ParticipantId,
    /// The types of credential that it may issue.
    pub types: BTreeSet<String>,
    /// From when on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// Thumbprints (RFC 7638) of the only keys that count; none for any key of its DID document.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub jkts: BTreeSet<Digest>,
}

/// A key that counts no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokedKey {
    /// Its thumbprint (RFC 7638).
    pub jkt: Digest,
    /// From this time on. Nothing new is taken that it signs, and no credential or status list that it signed counts any more; agreements
    /// and receipts that were taken before, and what proves them, are not affected.
    pub not_after: Timestamp,
}

/// Why a trust list does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The signature or its header.
    #[error("the trust list's signature: {0}")]
    Signature(#[from] JoseError),
    /// Signed with a key that is not the pinned one, or by somebody else.
    #[error(
        "the trust list is not signed with the authority's root key (its thumbprint is not the one in the configuration)"
    )]
    WrongRoot,
    /// A member is missing, unknown, or has a value that is not allowed.
    #[error("the trust list is not usable: {0}")]
    Content(String),
    /// An older list than one that was seen before.
    #[error("the trust list has number {found}, but number {seen} was seen before: it was rolled back")]
    RolledBack {
        /// The number seen.
        seen: u64,
        /// The number offered.
        found: u64,
    },
    /// Another list with a number that was seen before, or one that does not follow.
    #[error("the trust list with number {0} does not follow the one that was seen before")]
    Forked(u64),
    /// It counts no more.
    #[error("the trust list expired at {0}")]
    Expired(Timestamp),
    /// It does not count yet.
    #[error("the trust list was issued in the future, at {0}")]
    Future(Timestamp),
}

/// The newest list that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its number.
    pub sequence: u64,
    /// Its hash.
    pub digest: Digest,
}

/// A list with the bytes that were signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What it says.
    pub list: TrustList,
    /// As it is published.
    pub token: String,
    /// SHA-256 over that.
    pub digest: Digest,
}

impl Signed {
    /// Verifies a list with the key that the authority's document holds under its key id and whose thumbprint is `root`. The pin alone
    /// makes it the root key: the document need not list it for any other purpose. Returns the key too.
    pub fn open(
        token: &str,
        authority: &ParticipantId,
        root: &Digest,
        document: &Document,
    ) -> Result<(Self, VerifyingKey), ListError> {
        let kid = token::kid(token)?;
        let key = document.method(&kid).and_then(CredentialKey::for_messages);
        let key = key.ok_or(ListError::WrongRoot)?.clone();
        Ok((Self::open_with(token, authority, root, &key)?, key))
    }

    /// As [`Signed::open`], with the key at hand.
    pub fn open_with(
        token: &str,
        authority: &ParticipantId,
        root: &Digest,
        key: &VerifyingKey,
    ) -> Result<Self, ListError> {
        if key.thumbprint() != *root {
            return Err(ListError::WrongRoot);
        }
        let claims = token::verify(token, token::Kind::TrustList, |_| Some(key.clone()))?;
        if claims.issuer() != authority.as_str() {
            return Err(ListError::WrongRoot);
        }
        let list: TrustList =
            serde_json::from_value(claims.into_value()).map_err(|error| ListError::Content(error.to_string()))?;
        list.check(authority)?;
        Ok(Self {
            list,
            digest: sha256(token.as_bytes()),
            token: token.to_owned(),
        })
    }

    /// Signs a list.
    pub fn seal(list: TrustList, root: &Signer) -> Result<Self, ListError> {
        let authority = list.authority.clone();
        list.check(&authority)?;
        let token = token::sign(root, token::Kind::TrustList, &json!(list))?;
        Ok(Self {
            list,
            digest: sha256(token.as_bytes()),
            token,
        })
    }

    /// What is remembered of it.
    pub fn seen(&self) -> Seen {
        Seen {
            sequence: self.list.sequence,
            digest: self.digest,
        }
    }

    /// Whether it may take the place of the newest list that was seen; `false` where it is that list.
    pub fn follows(&self, seen: Option<&Seen>) -> Result<bool, ListError> {
        let Some(seen) = seen else { return Ok(true) };
        let found = self.list.sequence;
        match found.checked_sub(seen.sequence) {
            None => Err(ListError::RolledBack {
                seen: seen.sequence,
                found,
            }),
            Some(0) if self.digest == seen.digest => Ok(false),
            Some(0) => Err(ListError::Forked(found)),
            Some(1) if self.list.previous != Some(seen.digest) => Err(ListError::Forked(found)),
            // Lists in between were not seen; the numbers alone say that this one is newer.
            Some(_) => Ok(true),
        }
    }
}

impl TrustList {
    fn check(&self, authority: &ParticipantId) -> Result<(), ListError> {
        let refuse = |why: &str| Err(ListError::Content(why.to_owned()));
        if self.v != 1 {
            return refuse("v is not 1");
        }
        if self.authority != *authority {
            return refuse("it names another authority");
        }
        if self.sequence == 0 || (self.sequence == 1) != self.previous.is_none() {
            return refuse("sequence counts from 1, and every list but the first names the previous one");
        }
        if self.next_update <= self.issued || self.next_update.since(self.issued) > MAX_VALIDITY {
            return refuse("nextUpdate is not within seven days after issued");
        }
        let named: HashSet<_> = self.issuers.iter().map(|issuer| &issuer.did).collect();
        if named.len() != self.issuers.len() || self.issuers.len() > MAX_ISSUERS {
            return refuse("an issuer is listed twice, or there are more than 64");
        }
        if self.issuers.iter().any(|issuer| issuer.types.is_empty()) {
            return refuse("an issuer has no type of credential");
        }
        if version(&self.minimum_protocol).is_none() {
            return refuse("minimumProtocol is not a version such as 2025-1");
        }
        Ok(())
    }

    /// Whether it counts now.
    pub fn check_time(&self, now: Timestamp) -> Result<(), ListError> {
        if self.issued > now.plus(SKEW) {
            Err(ListError::Future(self.issued))
        } else if self.next_update <= now {
            Err(ListError::Expired(self.next_update))
        } else {
            Ok(())
        }
    }

    /// Whether members must speak a newer protocol than `own`.
    pub fn needs_newer_than(&self, own: &str) -> bool {
        version(&self.minimum_protocol) > version(own)
    }

    /// The entry of an issuer that may issue now.
    pub fn issuer(&self, did: &str, now: Timestamp) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| {
            issuer.did.as_str() == did
                && issuer.valid_from.is_none_or(|from| from <= now)
                && issuer.valid_until.is_none_or(|until| now < until)
        })
    }

    /// Whether what this issuer signs with this key counts: the list names no other keys alone, and the key was not revoked.
    pub fn counts(&self, issuer: &Issuer, jkt: &Digest, now: Timestamp) -> bool {
        (issuer.jkts.is_empty() || issuer.jkts.contains(jkt)) && !self.is_revoked(jkt, now)
    }

    /// Whether a key counts no more.
    pub fn is_revoked(&self, jkt: &Digest, now: Timestamp) -> bool {
        self.revoked_jkts
            .iter()
            .any(|revoked| revoked.jkt == *jkt && revoked.not_after <= now)
    }
}

/// Year and number of a version of the Dataspace Protocol.
fn version(text: &str) -> Option<(u16, u16)> {
    let (year, number) = text.split_once('-')?;
    Some((year.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests;
