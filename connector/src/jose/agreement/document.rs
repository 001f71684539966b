//! The document: a record with both signatures, as it is stored, sent and checked. Whose keys they are is for the caller to know.

use super::{AgreementError, MAX_LEN, PartyFailure, PartySignature, Record, Role, Signed};
use crate::{
    dsp::json::{self, Limits},
    jose::{Digest, JoseError, VerifyingKey, base64url, canonical, compact::Members, digest::sha256},
};
use serde_json::{Value, json};

/// A record with the signatures of both parties. Being one says nothing yet about whether they verify.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    record: Record,
    assigner: PartySignature,
    assignee: PartySignature,
}

impl Document {
    /// Puts both header values of [`super::HEADER_NAME`] beside the record they were made over.
    pub fn assemble(record: Record, assigner: &str, assignee: &str) -> Result<Self, AgreementError> {
        Self::pair(
            record,
            [PartySignature::parse(assigner), PartySignature::parse(assignee)],
        )
    }

    /// Gives each role its signature, in whichever order they come. A role left without one is named, with the fault of the signature
    /// that could not be read, if any.
    fn pair<const N: usize>(
        record: Record,
        read: [Result<PartySignature, JoseError>; N],
    ) -> Result<Self, AgreementError> {
        let (mut assigner, mut assignee) = (None, None);
        let mut faults = Vec::new();
        for signature in read {
            match signature {
                Ok(signature) if signature.role == Role::Assigner && assigner.is_none() => assigner = Some(signature),
                Ok(signature) if signature.role == Role::Assignee && assignee.is_none() => assignee = Some(signature),
                Ok(_) => {}
                Err(fault) => faults.push(fault),
            }
        }
        match (assigner, assignee) {
            (Some(assigner), Some(assignee)) if record.only_signer().is_none() => Ok(Self {
                record,
                assigner,
                assignee,
            }),
            (assigner, assignee) => {
                let mut faults = faults.into_iter();
                // A party whose key the record does not name has not signed it, whatever stands here.
                let absent = [
                    (
                        Role::Assigner,
                        assigner.is_none() || record.parts.provider.jkt.is_none(),
                    ),
                    (
                        Role::Assignee,
                        assignee.is_none() || record.parts.consumer.jkt.is_none(),
                    ),
                ];
                let failures = absent
                    .into_iter()
                    .filter(|(_, absent)| *absent)
                    .map(|(role, _)| PartyFailure {
                        role,
                        did: record.party(role).did.clone(),
                        reason: faults.next().unwrap_or(JoseError::SignatureMissing),
                    });
                Err(AgreementError::Parties(failures.collect()))
            }
        }
    }

    /// The record.
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Both signatures, assigner first.
    pub const fn signatures(&self) -> [&PartySignature; 2] {
        [&self.assigner, &self.assignee]
    }

    /// The document as canonical JSON, assigner first.
    pub fn to_bytes(&self) -> Result<Vec<u8>, AgreementError> {
        let value = json!({
            "payload": base64url::encode(&self.record.bytes),
            "signatures": [self.assigner.to_json(), self.assignee.to_json()],
        });
        canonical::signable(&value).map_err(|error| AgreementError::Document(error.into()))
    }

    /// SHA-256 of [`Document::to_bytes`], whatever the order of signatures it was read in.
    pub fn digest(&self) -> Result<Digest, AgreementError> {
        Ok(sha256(&self.to_bytes()?))
    }

    /// Reads a document: a payload and two signatures, each `protected` and `signature`, no unprotected header, nothing else.
    pub fn parse(bytes: &[u8]) -> Result<Self, AgreementError> {
        let (payload, signatures) = read_document(bytes).map_err(AgreementError::Document)?;
        let record = Record::parse(&payload)?;
        let mut read = signatures.into_iter().map(read_entry);
        match (read.next(), read.next(), read.next()) {
            (Some(one), Some(two), None) => Self::pair(record, [one, two]),
            (Some(only), None, None) => Self::pair(record, [only]),
            (None, ..) => Self::pair(record, []),
            _ => Err(AgreementError::Document(JoseError::Malformed(
                "more than two signatures",
            ))),
        }
    }

    /// Verifies both signatures with the keys that `keys` knows under their key ids. Every party that fails is named.
    pub fn verify(&self, keys: impl Fn(&str) -> Option<VerifyingKey>) -> Result<VerifiedAgreement, AgreementError> {
        let check = |role, signature: &PartySignature| {
            keys(&signature.kid)
                .ok_or(JoseError::UnknownKey)
                .and_then(|key| self.record.verify_party(role, signature, &key))
                .map_err(|reason| PartyFailure {
                    role,
                    did: self.record.party(role).did.clone(),
                    reason,
                })
        };
        match (
            check(Role::Assigner, &self.assigner),
            check(Role::Assignee, &self.assignee),
        ) {
            (Ok(assigner), Ok(assignee)) => Ok(VerifiedAgreement {
                record: self.record.clone(),
                assigner,
                assignee,
            }),
            (assigner, assignee) => Err(AgreementError::Parties(
                [assigner.err(), assignee.err()].into_iter().flatten().collect(),
            )),
        }
    }
}

pub(super) fn read_document(bytes: &[u8]) -> Result<(Vec<u8>, Vec<Value>), JoseError> {
    // The payload grows by a third in base64url, and the signatures come on top.
    let limits = Limits {
        bytes: 2 * MAX_LEN,
        depth: 4,
    };
    let mut members = Members::of(json::parse_within(bytes, limits)?)?;
    let payload = base64url::decode(&members.text("payload")?).ok_or(JoseError::NotBase64Url)?;
    let Value::Array(signatures) = members.take("signatures")? else {
        return Err(JoseError::InvalidMember("signatures"));
    };
    members.end()?;
    Ok((payload, signatures))
}

pub(super) fn read_entry(entry: Value) -> Result<PartySignature, JoseError> {
    let mut members = Members::of(entry)?;
    let (protected, signature) = (members.text("protected")?, members.text("signature")?);
    members.end()?;
    PartySignature::read(&protected, &signature)
}

/// An agreement that both parties did sign. Made by [`Document::verify`] only.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedAgreement {
    record: Record,
    assigner: Signed,
    assignee: Signed,
}

impl VerifiedAgreement {
    /// What they signed.
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// The provider's signature.
    pub const fn assigner(&self) -> &Signed {
        &self.assigner
    }

    /// The consumer's signature.
    pub const fn assignee(&self) -> &Signed {
        &self.assignee
    }
}
