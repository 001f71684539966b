//! The document of an agreement that one party signed, because the other cannot: weaker than [`Document`](super::Document), and never
//! read as one.

use super::{
    AgreementError, PartyFailure, PartySignature, Record, Role, Signed,
    document::{read_document, read_entry},
};
use crate::jose::{JoseError, VerifyingKey, base64url, canonical};
use serde_json::json;

/// A record that names the key of one party, with that party's signature.
#[derive(Debug, Clone, PartialEq)]
pub struct SingleDocument {
    record: Record,
    role: Role,
    signature: PartySignature,
}

impl SingleDocument {
    /// Puts the header value of [`super::HEADER_NAME`] beside the record it was made over. A record that names both keys is refused: it
    /// lacks a signature.
    pub fn assemble(record: Record, signature: &str) -> Result<Self, AgreementError> {
        Self::put(record, PartySignature::parse(signature))
    }

    fn put(record: Record, signature: Result<PartySignature, JoseError>) -> Result<Self, AgreementError> {
        let role = record
            .only_signer()
            .ok_or(AgreementError::Document(JoseError::SignatureMissing))?;
        match signature {
            Ok(signature) => Ok(Self {
                record,
                role,
                signature,
            }),
            Err(reason) => Err(failure(&record, role, reason)),
        }
    }

    /// Whether the record in a document names one key alone, so that it is this kind of document.
    pub fn fits(bytes: &[u8]) -> Result<bool, AgreementError> {
        let (payload, _) = read_document(bytes).map_err(AgreementError::Document)?;
        Ok(Record::parse(&payload)?.only_signer().is_some())
    }

    /// Reads a document: a payload and one signature, `protected` and `signature`, no unprotected header, nothing else.
    pub fn parse(bytes: &[u8]) -> Result<Self, AgreementError> {
        let (payload, signatures) = read_document(bytes).map_err(AgreementError::Document)?;
        let record = Record::parse(&payload)?;
        let mut read = signatures.into_iter().map(read_entry);
        match (read.next(), read.next()) {
            (Some(only), None) => Self::put(record, only),
            (None, _) => Err(AgreementError::Document(JoseError::SignatureMissing)),
            _ => Err(AgreementError::Document(JoseError::Malformed(
                "more than one signature over a record of one",
            ))),
        }
    }

    /// The record.
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Whose signature it is.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The signature.
    pub const fn signature(&self) -> &PartySignature {
        &self.signature
    }

    /// The document as canonical JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, AgreementError> {
        let value = json!({
            "payload": base64url::encode(self.record.bytes()),
            "signatures": [self.signature.to_json()],
        });
        canonical::signable(&value).map_err(|error| AgreementError::Document(error.into()))
    }

    /// Verifies the signature with the key that `keys` knows under its key id.
    pub fn verify(&self, keys: impl Fn(&str) -> Option<VerifyingKey>) -> Result<VerifiedSingle, AgreementError> {
        let signed = keys(self.signature.kid())
            .ok_or(JoseError::UnknownKey)
            .and_then(|key| self.record.verify_party(self.role, &self.signature, &key))
            .map_err(|reason| failure(&self.record, self.role, reason))?;
        Ok(VerifiedSingle {
            record: self.record.clone(),
            role: self.role,
            signed,
        })
    }
}

fn failure(record: &Record, role: Role, reason: JoseError) -> AgreementError {
    AgreementError::Parties(vec![PartyFailure {
        role,
        did: record.party(role).did.clone(),
        reason,
    }])
}

/// An agreement that one party did sign. Made by [`SingleDocument::verify`] only.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedSingle {
    record: Record,
    role: Role,
    signed: Signed,
}

impl VerifiedSingle {
    /// What it signed.
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// In which role.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The signature.
    pub const fn signed(&self) -> &Signed {
        &self.signed
    }
}

#[cfg(test)]
mod tests;
