//! An agreement outside the connector: the form in which it is handed over, and how anyone checks it with nothing but files.

use crate::{
    jose::{
        self, AgreementError, JoseError, VerifyingKey,
        agreement::{self, Document, Record, Signed, SingleDocument},
    },
    trust::did::Document as DidDocument,
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The name of the export's form.
const EXPORT_TYPE: &str = "DasesAgreementExport";

/// A public key under the id that its owner published it with.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PublishedKey {
    /// The DID URL.
    pub kid: String,
    /// The key.
    #[schema(value_type = Object)]
    pub jwk: Value,
}

impl PublishedKey {
    pub(super) fn of(kid: &str, key: &VerifyingKey) -> Self {
        Self {
            kid: kid.to_owned(),
            jwk: key.to_jwk(),
        }
    }
}

/// What `agreement export` writes: everything that an offline check needs.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgreementExport {
    /// Names this form.
    pub r#type: String,
    /// The signed document: a JWS in general JSON serialization, with both signatures or, where the peer cannot sign, with one.
    #[schema(value_type = Object)]
    pub document: Value,
    /// The keys that signed it.
    pub keys: Vec<PublishedKey>,
}

impl AgreementExport {
    pub(super) fn new(document: Value, keys: Vec<PublishedKey>) -> Self {
        Self {
            r#type: EXPORT_TYPE.to_owned(),
            document,
            keys,
        }
    }
}

/// Why an exported agreement proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Not the JSON that it should be.
    #[error("the file is not an agreement export: {0}")]
    NotAnExport(String),
    /// The file is a bare document, and nothing says whose the keys are.
    #[error("the file carries no keys, so the parties' DID documents are needed")]
    NoKeys,
    /// A key in the file cannot be used.
    #[error("the key {kid} in the file is not usable: {cause}")]
    Key {
        /// Its id.
        kid: String,
        /// Why.
        cause: jose::key::KeyError,
    },
    /// A signature is wrong or missing.
    #[error(transparent)]
    Agreement(#[from] AgreementError),
}

/// Where the keys of a check came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySource {
    /// From the file itself: it says only that the parts belong together.
    File,
    /// From DID documents that whoever checks has brought.
    DidDocuments,
}

/// What an offline check established.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// The agreement's id.
    pub agreement: String,
    /// How many valid signatures it carries: two, or one where it says itself that one party does not sign.
    pub signatures_valid: u8,
    /// The same in words: `both parties` or `one party`.
    pub signed_by: &'static str,
    /// Where the keys came from.
    pub keys_from: KeySource,
    /// SHA-256 over the record that was signed.
    pub record_hash: String,
    /// The parties: who signed, with which key (RFC 7638 thumbprint), when.
    pub parties: Vec<CheckedParty>,
    /// What was signed.
    #[serde(skip)]
    pub record: Record,
}

impl Checked {
    /// Both parties signed.
    pub fn is_complete(&self) -> bool {
        self.signatures_valid == 2
    }
}

/// One party of a checked agreement.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedParty {
    /// `assigner` or `assignee`.
    pub role: String,
    /// Its DID.
    pub did: String,
    /// Its signature; none for the party that does not sign.
    #[serde(flatten)]
    pub signature: Option<CheckedSignature>,
}

/// A signature that is valid.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedSignature {
    /// The key's id.
    pub kid: String,
    /// The key's thumbprint: compare it with what the party publishes.
    pub jkt: String,
    /// When it signed, by its own clock.
    pub at: Timestamp,
}

/// Checks an exported agreement with nothing but the file.
pub fn verify_export(bytes: &[u8]) -> Result<Checked, VerifyError> {
    verify_with(bytes, &[])
}

/// Checks an exported agreement, or the bare document of one. Where DID documents are given, only their keys count: those that the
/// parties sign with and those that they once signed with.
pub fn verify_with(bytes: &[u8], documents: &[DidDocument]) -> Result<Checked, VerifyError> {
    let refuse = |why: String| VerifyError::NotAnExport(why);
    let value = crate::dsp::json::parse(bytes).map_err(|error| refuse(error.to_string()))?;
    let (document, brought) = match value.get("payload") {
        Some(_) => (value, None),
        None => {
            let export: AgreementExport = serde_json::from_value(value).map_err(|error| refuse(error.to_string()))?;
            if export.r#type != EXPORT_TYPE {
                return Err(refuse(format!("its type is not {EXPORT_TYPE}")));
            }
            (export.document, Some(parsed(&export.keys)?))
        }
    };
    let document = document.to_string();
    if !documents.is_empty() {
        let keys = |kid: &str| documents.iter().find_map(|document| document.ever(kid)).cloned();
        return check(document.as_bytes(), KeySource::DidDocuments, keys);
    }
    let brought = brought.ok_or(VerifyError::NoKeys)?;
    let keys = |kid: &str| brought.iter().find(|(id, _)| id == kid).map(|(_, key)| key.clone());
    check(document.as_bytes(), KeySource::File, keys)
}

fn parsed(keys: &[PublishedKey]) -> Result<Vec<(String, VerifyingKey)>, VerifyError> {
    let one = |key: &PublishedKey| match VerifyingKey::from_jwk(&key.jwk) {
        Ok(parsed) => Ok((key.kid.clone(), parsed)),
        Err(cause) => Err(VerifyError::Key {
            kid: key.kid.clone(),
            cause,
        }),
    };
    keys.iter().map(one).collect()
}

/// What a record is decides what it is checked as: one that names both keys needs both signatures.
fn check(
    document: &[u8],
    keys_from: KeySource,
    keys: impl Fn(&str) -> Option<VerifyingKey>,
) -> Result<Checked, VerifyError> {
    use agreement::Role::{Assignee, Assigner};
    let (record, assigner, assignee) = match SingleDocument::fits(document)? {
        true => {
            let verified = SingleDocument::parse(document)?.verify(keys)?;
            let signed = Some(verified.signed().clone());
            match verified.role() {
                Assigner => (verified.record().clone(), signed, None),
                Assignee => (verified.record().clone(), None, signed),
            }
        }
        false => {
            let verified = Document::parse(document)?.verify(keys)?;
            let (assigner, assignee) = (verified.assigner().clone(), verified.assignee().clone());
            (verified.record().clone(), Some(assigner), Some(assignee))
        }
    };
    let complete = assigner.is_some() && assignee.is_some();
    let id = record.parts().agreement.get("@id").and_then(Value::as_str);
    Ok(Checked {
        agreement: id.unwrap_or_default().to_owned(),
        signatures_valid: if complete { 2 } else { 1 },
        signed_by: if complete { "both parties" } else { "one party" },
        keys_from,
        record_hash: record.digest().to_string(),
        parties: vec![party(&record, Assigner, assigner)?, party(&record, Assignee, assignee)?],
        record,
    })
}

fn party(record: &Record, role: agreement::Role, signed: Option<Signed>) -> Result<CheckedParty, AgreementError> {
    let party = record.party(role);
    let signature = match (signed, party.jkt) {
        (None, _) => None,
        (Some(signed), Some(jkt)) => Some(CheckedSignature {
            kid: signed.kid,
            jkt: jkt.to_string(),
            at: signed.at,
        }),
        (Some(_), None) => return Err(AgreementError::Record(JoseError::MissingMember("jkt"))),
    };
    Ok(CheckedParty {
        role: role.to_string(),
        did: party.did.clone(),
        signature,
    })
}

#[cfg(test)]
mod tests;
