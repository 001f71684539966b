//! The agreement that both parties signed, checkable offline by anyone who has their public keys.
//!
//! A [`Record`] is the canonical form of what was agreed and between whom. Each party signs it in its role, detached; both signatures
//! together with the record are the [`Document`], a JWS in general JSON serialization (RFC 7515 §7.2.1). Where one party cannot sign, the
//! other's signature over a record that names its own key alone is the [`SingleDocument`]: another type, so that neither passes for the
//! other.

mod document;
mod single;

pub use document::{Document, VerifiedAgreement};
pub use single::{SingleDocument, VerifiedSingle};

use super::{
    Algorithm, Digest, JoseError, Signer, VerifyingKey, base64url, canonical,
    compact::{self, Members},
    digest::{sha256, sha256_parts},
    key::SIGNATURE_LEN,
};
use crate::dsp::json::{self, Limits, MAX_DEPTH};
use policy::Timestamp;
use serde_json::{Value, json};
use std::fmt;

/// The HTTP header that carries one party's signature beside the DSP message it belongs to.
pub const HEADER_NAME: &str = "x-dsp-agreement-signature";

/// Longest record and longest document, in bytes: nothing longer is ever stored.
pub const MAX_LEN: usize = 64 * 1024;

/// Longest detached signature, in bytes.
const MAX_SIGNATURE_LEN: usize = 4096;

const TYP: &str = "dsp-agreement+jws";
const CTY: &str = "json";
const RECORD_TYPE: &str = "AgreementRecord";
const DSP_VERSION: &str = "2025-1";

/// Which place a party has in the agreement (ODRL Information Model §2.6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The provider, who grants.
    Assigner,
    /// The consumer, to whom is granted.
    Assignee,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Assigner => "assigner",
            Self::Assignee => "assignee",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Assigner, Self::Assignee]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One party: who, and with which key it signs this agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// The party's DID.
    pub did: String,
    /// RFC 7638 thumbprint of its key; none for a party that does not sign.
    pub jkt: Option<Digest>,
}

/// What a record is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// DSP `providerPid` of the negotiation.
    pub provider_pid: String,
    /// DSP `consumerPid` of the negotiation.
    pub consumer_pid: String,
    /// The assigner.
    pub provider: Party,
    /// The assignee.
    pub consumer: Party,
    /// The DSP `agreement` object as it was sent; its `assigner` and `assignee` are the DIDs of the parties.
    pub agreement: Value,
    /// What led to the agreement: [`transcript`] of the bodies of all requests, offers and acceptances, in order.
    pub transcript: Digest,
    /// Hash of the verified claims that the policy was evaluated on.
    pub claims_hash: Option<Digest>,
    /// Hash of the offer accepted.
    pub offer_hash: Option<Digest>,
    /// Hash of the rulebook in force.
    pub rulebook_hash: Option<Digest>,
}

/// The hash over a conversation: SHA-256 over the SHA-256 values of its bodies, 32 bytes each, one after another in their order;
/// [`Digest::EMPTY`] for none.
pub fn transcript(bodies: &[Digest]) -> Digest {
    let bodies: Vec<&[u8]> = bodies.iter().map(|body| body.as_bytes().as_slice()).collect();
    sha256_parts(&bodies)
}

/// One party's failure to convince.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the signature of the {role} {did} does not count: {reason}")]
pub struct PartyFailure {
    /// The party's place.
    pub role: Role,
    /// The party's DID, from the record.
    pub did: String,
    /// What is wrong.
    pub reason: JoseError,
}

/// Why an agreement does not stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// The record is not one: no party is to blame yet.
    #[error("the agreement record is not acceptable: {0}")]
    Record(JoseError),
    /// The document is not one.
    #[error("the agreement document is not acceptable: {0}")]
    Document(JoseError),
    /// One or both signatures do not count; assigner first.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Parties(Vec<PartyFailure>),
}

/// The canonical form of an agreement: what both parties sign.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    parts: Parts,
    bytes: Vec<u8>,
}

impl Record {
    /// Builds the record; refuses an agreement object whose parties are not those named, and numbers that are not whole.
    pub fn new(parts: Parts) -> Result<Self, AgreementError> {
        Self::build(parts).map_err(AgreementError::Record)
    }

    fn build(parts: Parts) -> Result<Self, JoseError> {
        if parts.provider.jkt.or(parts.consumer.jkt).is_none() {
            return Err(JoseError::MissingMember("jkt"));
        }
        let party = |party: &Party| match &party.jkt {
            Some(jkt) => json!({ "did": party.did, "jkt": jkt }),
            None => json!({ "did": party.did }),
        };
        let mut value = json!({
            "type": RECORD_TYPE,
            "v": 1,
            "dsp": DSP_VERSION,
            "providerPid": parts.provider_pid,
            "consumerPid": parts.consumer_pid,
            "provider": party(&parts.provider),
            "consumer": party(&parts.consumer),
            "agreement": parts.agreement,
            "transcript": parts.transcript,
        });
        let optional = [
            ("claimsHash", parts.claims_hash),
            ("offerHash", parts.offer_hash),
            ("rulebookHash", parts.rulebook_hash),
        ];
        if let Value::Object(members) = &mut value {
            members.extend(
                optional
                    .into_iter()
                    .filter_map(|(name, hash)| Some((name.to_owned(), json!(hash?)))),
            );
        }
        for (name, party) in [("assigner", &parts.provider), ("assignee", &parts.consumer)] {
            if parts.agreement.get(name).and_then(Value::as_str) != Some(&party.did) {
                return Err(JoseError::InvalidMember(name));
            }
        }
        let bytes = canonical::signable(&value)?;
        if bytes.len() > MAX_LEN {
            Err(JoseError::TooLarge(MAX_LEN))
        } else {
            Ok(Self { parts, bytes })
        }
    }

    /// Reads canonical bytes; anything that building the record again would not give byte for byte is refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, AgreementError> {
        Self::read(bytes).map_err(AgreementError::Record)
    }

    fn read(bytes: &[u8]) -> Result<Self, JoseError> {
        let mut members = Members::of(json::parse_within(
            bytes,
            Limits {
                bytes: MAX_LEN,
                depth: MAX_DEPTH,
            },
        )?)?;
        members.expect("type", RECORD_TYPE, JoseError::WrongType)?;
        if members.integer("v")? != 1 {
            return Err(JoseError::InvalidMember("v"));
        }
        members.expect("dsp", DSP_VERSION, JoseError::InvalidMember("dsp"))?;
        let parts = Parts {
            provider_pid: members.text("providerPid")?,
            consumer_pid: members.text("consumerPid")?,
            provider: read_party(members.object("provider")?)?,
            consumer: read_party(members.object("consumer")?)?,
            agreement: members.take("agreement")?,
            transcript: members.digest("transcript")?,
            claims_hash: members.optional_digest("claimsHash")?,
            offer_hash: members.optional_digest("offerHash")?,
            rulebook_hash: members.optional_digest("rulebookHash")?,
        };
        members.end()?;
        let record = Self::build(parts)?;
        if record.bytes == bytes {
            Ok(record)
        } else {
            Err(JoseError::NotCanonical)
        }
    }

    /// What the record is made of.
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The canonical bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the canonical bytes.
    pub fn digest(&self) -> Digest {
        sha256(&self.bytes)
    }

    /// The party in this role.
    pub const fn party(&self, role: Role) -> &Party {
        match role {
            Role::Assigner => &self.parts.provider,
            Role::Assignee => &self.parts.consumer,
        }
    }

    /// The only party that signs, if there is only one.
    pub const fn only_signer(&self) -> Option<Role> {
        match (self.parts.provider.jkt, self.parts.consumer.jkt) {
            (Some(_), None) => Some(Role::Assigner),
            (None, Some(_)) => Some(Role::Assignee),
            _ => None,
        }
    }

    /// Signs in this role. The result, `protected..signature`, is the value of the header [`HEADER_NAME`].
    pub fn sign(&self, signer: &Signer, role: Role, now: Timestamp) -> Result<String, JoseError> {
        let party = self.party(role);
        if signer.did() != party.did {
            return Err(JoseError::WrongParty);
        }
        if Some(signer.key().verifying_key().thumbprint()) != party.jkt {
            return Err(JoseError::WrongKey);
        }
        let protected = json!({
            "alg": signer.key().algorithm().name(),
            "typ": TYP,
            "cty": CTY,
            "kid": signer.kid(),
            "crit": ["dspsig"],
            "dspsig": { "v": 1, "role": role.name(), "iat": now.seconds(), "jkt": party.jkt },
        });
        let (header, signature) = compact::sign(signer.key(), &protected, &base64url::encode(&self.bytes))?;
        Ok(format!("{header}..{signature}"))
    }

    /// Verifies one detached signature of this record by the party in `role`.
    pub fn verify_signature(&self, role: Role, signature: &str, key: &VerifyingKey) -> Result<Signed, JoseError> {
        self.verify_party(role, &PartySignature::parse(signature)?, key)
    }

    fn verify_party(&self, role: Role, signature: &PartySignature, key: &VerifyingKey) -> Result<Signed, JoseError> {
        let party = self.party(role);
        if signature.role != role || signature.did != party.did {
            return Err(JoseError::WrongParty);
        }
        if Some(signature.jkt) != party.jkt || Some(key.thumbprint()) != party.jkt {
            return Err(JoseError::WrongKey);
        }
        let input = compact::signing_input(&signature.protected, &base64url::encode(&self.bytes));
        key.verify(signature.algorithm, input.as_bytes(), &signature.bytes)?;
        Ok(Signed {
            kid: signature.kid.clone(),
            at: signature.signed_at,
        })
    }
}

fn read_party(mut members: Members) -> Result<Party, JoseError> {
    let party = Party {
        did: members.text("did")?,
        jkt: members.optional_digest("jkt")?,
    };
    members.end()?;
    Ok(party)
}

/// One party's detached signature, of the right shape and nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartySignature {
    algorithm: Algorithm,
    kid: String,
    did: String,
    role: Role,
    signed_at: Timestamp,
    jkt: Digest,
    protected: String,
    bytes: [u8; SIGNATURE_LEN],
}

impl PartySignature {
    /// Reads the value of the header [`HEADER_NAME`].
    pub fn parse(header_value: &str) -> Result<Self, JoseError> {
        let parts = compact::split_detached(header_value, MAX_SIGNATURE_LEN)?;
        Self::read(parts.protected, parts.signature)
    }

    fn read(protected: &str, signature: &str) -> Result<Self, JoseError> {
        let (algorithm, mut header) = compact::header(protected)?;
        header.expect("typ", TYP, JoseError::WrongType)?;
        header.expect("cty", CTY, JoseError::WrongType)?;
        header.critical(&["dspsig"])?;
        let (kid, did) = header.kid()?;
        let mut dspsig = header.object("dspsig")?;
        header.end()?;
        if dspsig.integer("v")? != 1 {
            return Err(JoseError::InvalidMember("v"));
        }
        let role = Role::from_name(&dspsig.text("role")?).ok_or(JoseError::InvalidMember("role"))?;
        let seconds = i64::try_from(dspsig.integer("iat")?).map_err(|_| JoseError::InvalidMember("iat"))?;
        let jkt = dspsig.digest("jkt")?;
        dspsig.end()?;
        let bytes = compact::signature(signature)?;
        let signed_at = Timestamp::from_seconds(seconds);
        Ok(Self {
            algorithm,
            kid,
            did,
            role,
            signed_at,
            jkt,
            protected: protected.to_owned(),
            bytes,
        })
    }

    /// DID URL of the key, as claimed.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The role in which it was made, as claimed.
    pub const fn role(&self) -> Role {
        self.role
    }

    fn to_json(&self) -> Value {
        json!({ "protected": self.protected, "signature": base64url::encode(&self.bytes) })
    }
}

/// By which key, and when by its own clock, a party signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// DID URL of the key.
    pub kid: String,
    /// The `iat` it signed.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests;
