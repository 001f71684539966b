//! The receipt of a learner's objection (GDPR art. 21): the only one that an objection has. It is checked as those of a consent are, and proves
//! no consent.

use super::{Head, KeyFault, ReceiptError, signed};
use crate::{
    consent::{bases::LawfulBasis, objections::RIGHT, record::ConsentId, state::Role},
    jose::VerifyingKey,
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the receipt of an objection proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proved {
    /// The objection.
    pub objection: String,
    /// Who signed: the holder of the records.
    pub issuer: String,
    /// The declared basis that the learner objected to.
    pub basis: ConsentId,
    /// On what that rests.
    pub legal_basis: LawfulBasis,
    /// Who received on it.
    pub recipients: Vec<String>,
    /// For which purposes.
    pub purposes: Vec<String>,
    /// When the learner objected.
    pub at: Timestamp,
    /// At whose word.
    pub role: Role,
    /// How they said it.
    pub method: String,
    /// The salted hash of where the proof is kept.
    pub evidence: Option<String>,
}

/// A participant in the record.
#[derive(Deserialize)]
struct Party {
    #[serde(rename = "dct:identifier")]
    id: String,
}

/// What the record says of the objection, and of what it is against.
#[derive(Deserialize)]
struct Said {
    #[serde(rename = "dases:basis")]
    basis: ConsentId,
    #[serde(rename = "dpv:hasLegalBasis")]
    legal_basis: String,
    #[serde(rename = "dpv:hasDataController")]
    controllers: Vec<Party>,
    #[serde(rename = "dpv:hasRecipient")]
    recipients: Vec<Party>,
    #[serde(rename = "dpv:hasPurpose")]
    purposes: Vec<String>,
    #[serde(rename = "dpv:isIndicatedAtTime")]
    at: Timestamp,
    #[serde(rename = "dases:role")]
    role: Role,
    #[serde(rename = "dpv:hasIndicationMethod")]
    method: String,
    #[serde(rename = "dases:evidence")]
    evidence: Option<String>,
}

/// Checks the receipt of an objection: the signature, that it is whole, and that the learner had that right. `None` if the first receipt, which
/// is signed, is about something else.
pub fn verify(
    receipts: &[String],
    keys: impl Fn(&str, Timestamp) -> Result<VerifyingKey, KeyFault>,
) -> Result<Option<Proved>, ReceiptError> {
    let first = receipts.first().ok_or(ReceiptError::Empty)?;
    let claims = signed(0, first, keys)?;
    let signer = claims.issuer().to_owned();
    let claims = claims.into_value();
    let right = claims.pointer("/dases:record/dpv:isExercisedRight");
    if right.and_then(Value::as_str) != Some(RIGHT) {
        return Ok(None);
    }
    if receipts.len() > 1 {
        return Err(ReceiptError::Wrong(1, "an objection has one receipt".into()));
    }
    let proved = read(&claims, &signer).map_err(|what| ReceiptError::Wrong(0, what))?;
    Ok(Some(proved))
}

fn read(receipt: &Value, signer: &str) -> Result<Proved, String> {
    let (head, record) = Head::read(receipt, signer)?;
    if head.number != 0 || head.previous.is_some() {
        return Err("an objection has one receipt, and this says that it follows another".into());
    }
    let said = Said::deserialize(record).map_err(|error| format!("the objection cannot be read: {error}"))?;
    if said.controllers.iter().all(|party| party.id != head.issuer) {
        return Err("its issuer is not the controller of the record".into());
    }
    if said.at != head.created {
        return Err("it was not made when the learner objected".into());
    }
    if !said.role.is_learners_side() {
        return Err(format!("{} may not object", said.role));
    }
    let legal_basis = LawfulBasis::read(&said.legal_basis).filter(|basis| basis.may_be_objected_to());
    let ids = |parties: Vec<Party>| parties.into_iter().map(|party| party.id).collect();
    Ok(Proved {
        objection: head.about,
        issuer: head.issuer,
        basis: said.basis,
        legal_basis: legal_basis.ok_or_else(|| format!("there is no right to object to {}", said.legal_basis))?,
        recipients: ids(said.recipients),
        purposes: said.purposes,
        at: said.at,
        role: said.role,
        method: said.method,
        evidence: said.evidence,
    })
}
