//! The agreement that both parties sign: proposed by the provider, checked and signed by the consumer, kept as a document that anyone
//! can check offline.

use super::{ContractError, NegotiationRecord, decide};
use crate::{
    audit::{Entry, Kind as Recorded},
    dsp::{AgreementId, DatasetId, ParticipantId, Pid, Role},
    jose::{
        self, AgreementError, Digest, VerifyingKey,
        agreement::{self, Document, Parts, Party, Record},
    },
    process::{self, decode, encode},
    store::{Batch, Store, StoreError, Table},
    trust::{Trust, did::Document as DidDocument},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// Agreements by id.
const AGREEMENTS: Table = Table(13);

/// An agreement with both signatures, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredAgreement {
    /// Its id.
    pub id: AgreementId,
    /// What it is about.
    pub dataset: DatasetId,
    /// The assigner.
    pub provider: ParticipantId,
    /// The assignee.
    pub consumer: ParticipantId,
    /// Our part in it.
    pub role: Role,
    /// Our id of the negotiation that led to it.
    pub negotiation: Pid,
    /// The DSP agreement object, verbatim.
    pub agreement: Value,
    /// The two-signature document (JWS general serialization) as canonical JSON text.
    pub document: String,
    /// The public keys that signed it, as they were published then.
    pub keys: Vec<PublishedKey>,
    /// When the second signature arrived here.
    pub signed: Timestamp,
}

/// A public key under the id that its owner published it with.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PublishedKey {
    /// The DID URL.
    pub kid: String,
    /// The key.
    #[schema(value_type = Object)]
    pub jwk: Value,
}

/// What `agreement export` writes: everything that an offline check needs.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgreementExport {
    /// Names this form.
    pub r#type: String,
    /// The two-signature document.
    #[schema(value_type = Object)]
    pub document: Value,
    /// The keys that signed it.
    pub keys: Vec<PublishedKey>,
}

/// The name of the export's form.
const EXPORT_TYPE: &str = "DasesAgreementExport";

/// Why an exported agreement proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Not the JSON that it should be.
    #[error("the file is not an agreement export: {0}")]
    NotAnExport(String),
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

/// What an offline check established.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// The agreement's id.
    pub agreement: String,
    /// How many valid signatures it carries.
    pub signatures_valid: u8,
    /// Who signed, with which key (RFC 7638 thumbprint), when.
    pub parties: Vec<CheckedParty>,
}

/// One party of a checked agreement.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedParty {
    /// `assigner` or `assignee`.
    pub role: String,
    /// Its DID.
    pub did: String,
    /// The key's id.
    pub kid: String,
    /// The key's thumbprint: compare it with what the party publishes.
    pub jkt: String,
    /// When it signed, by its own clock.
    pub at: Timestamp,
}

/// Checks an exported agreement with nothing but the file.
pub fn verify_export(bytes: &[u8]) -> Result<Checked, VerifyError> {
    let refuse = |why: String| VerifyError::NotAnExport(why);
    let value = crate::dsp::json::parse(bytes).map_err(|error| refuse(error.to_string()))?;
    let export: AgreementExport = serde_json::from_value(value).map_err(|error| refuse(error.to_string()))?;
    if export.r#type != EXPORT_TYPE {
        return Err(refuse(format!("its type is not {EXPORT_TYPE}")));
    }
    let mut keys = Vec::new();
    for key in &export.keys {
        let parsed = VerifyingKey::from_jwk(&key.jwk).map_err(|cause| VerifyError::Key {
            kid: key.kid.clone(),
            cause,
        })?;
        keys.push((key.kid.clone(), parsed));
    }
    let document = Document::parse(export.document.to_string().as_bytes())?;
    let verified = document.verify(|kid| keys.iter().find(|(id, _)| id == kid).map(|(_, key)| key.clone()))?;
    let party = |role: agreement::Role, signed: &agreement::Signed| {
        let party = verified.record().party(role);
        CheckedParty {
            role: role.to_string(),
            did: party.did.clone(),
            kid: signed.kid.clone(),
            jkt: party.jkt.to_string(),
            at: signed.at,
        }
    };
    let parties = vec![
        party(agreement::Role::Assigner, verified.assigner()),
        party(agreement::Role::Assignee, verified.assignee()),
    ];
    let id = verified
        .record()
        .parts()
        .agreement
        .get("@id")
        .and_then(Value::as_str)
        .unwrap_or_default();
    Ok(Checked {
        agreement: id.to_owned(),
        signatures_valid: 2,
        parties,
    })
}

impl StoredAgreement {
    /// Hash over the document with both signatures.
    pub fn document_digest(&self) -> Result<Digest, ContractError> {
        Ok(jose::sha256(self.document.as_bytes()))
    }

    /// The form in which it leaves the connector.
    pub fn export(&self) -> Result<AgreementExport, StoreError> {
        Ok(AgreementExport {
            r#type: EXPORT_TYPE.to_owned(),
            document: decode(self.document.as_bytes())?,
            keys: self.keys.clone(),
        })
    }

    pub(super) fn entry(&self) -> Result<Entry, ContractError> {
        Ok(Entry::new(Recorded::Agreement)
            .with("agreement", self.id.as_str())
            .with("provider", self.provider.as_str())
            .with("consumer", self.consumer.as_str())
            .of("document", &self.document_digest()?))
    }
}

/// The agreements of a store.
#[derive(Clone)]
pub struct Agreements(Arc<dyn Store>);

impl Agreements {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// An agreement by id.
    pub async fn get(&self, id: &AgreementId) -> Result<Option<StoredAgreement>, StoreError> {
        let item = self.0.get(AGREEMENTS, id.as_str().as_bytes()).await?;
        item.map(|item| decode(&item.value)).transpose()
    }

    /// All agreements, by id.
    pub async fn list(&self) -> Result<Vec<StoredAgreement>, StoreError> {
        process::all(&*self.0, AGREEMENTS).await
    }

    pub(super) fn put(&self, batch: &mut Batch, stored: &StoredAgreement) -> Result<(), ContractError> {
        batch.put(AGREEMENTS, stored.id.as_str(), encode(stored)?);
        Ok(())
    }

    pub(super) fn remove(&self, batch: &mut Batch, id: &AgreementId) {
        batch.delete(AGREEMENTS, id.as_str());
    }
}

/// The record that both sides build from the same parts and sign.
fn record(negotiation: &NegotiationRecord, provider: Party, consumer: Party) -> Result<Record, ContractError> {
    let pids = negotiation.core.pids();
    let text = |pid: Option<Pid>| pid.map(|pid| pid.to_string()).unwrap_or_default();
    let hashes: Vec<&[u8]> = negotiation
        .transcript
        .iter()
        .map(|digest| digest.as_bytes().as_slice())
        .collect();
    Ok(Record::new(Parts {
        provider_pid: text(pids.provider),
        consumer_pid: text(pids.consumer),
        provider,
        consumer,
        agreement: negotiation.agreement.clone().unwrap_or(Value::Null),
        transcript: jose::digest::sha256_parts(&hashes),
        claims_hash: None,
        offer_hash: None,
        rulebook_hash: None,
    })?)
}

fn me(trust: &Trust) -> Party {
    Party {
        did: trust.me().to_string(),
        jkt: trust.signer().key().verifying_key().thumbprint(),
    }
}

/// The other party with the key that its signature names.
fn them(
    negotiation: &NegotiationRecord,
    signature: &str,
    keys: &DidDocument,
) -> Result<(Party, VerifyingKey), ContractError> {
    let refuse = |error: &dyn std::fmt::Display| ContractError::AgreementSignature(error.to_string());
    let parsed = agreement::PartySignature::parse(signature).map_err(|error| refuse(&error))?;
    let key = keys
        .key(parsed.kid())
        .ok_or_else(|| refuse(&"it names a key that the signer does not publish"))?;
    Ok((
        Party {
            did: negotiation.core.peer.to_string(),
            jkt: key.thumbprint(),
        },
        key.clone(),
    ))
}

/// Provider: writes the agreement and signs the record of it, which names the keys of both.
pub(super) fn propose(
    negotiation: &mut NegotiationRecord,
    id: &AgreementId,
    consumer: Party,
    trust: &Trust,
    now: Timestamp,
) -> Result<(), ContractError> {
    let mut members = negotiation.offer.as_object().cloned().unwrap_or_default();
    for own in [
        "@id",
        "@type",
        "@context",
        "target",
        "assigner",
        "assignee",
        "timestamp",
    ] {
        members.shift_remove(own);
    }
    let mut agreement = json!({
        "@id": id.as_str(), "@type": "Agreement", "target": negotiation.dataset.as_str(),
        "assigner": trust.me().as_str(), "assignee": negotiation.core.peer.as_str(), "timestamp": now.to_string(),
    });
    if let Some(all) = agreement.as_object_mut() {
        all.extend(members);
    }
    negotiation.agreement = Some(agreement);
    let record = record(negotiation, me(trust), consumer)?;
    negotiation.provider_signature = Some(record.sign(trust.signer(), agreement::Role::Assigner, now)?);
    Ok(())
}

/// Consumer: checks that the agreement is what was negotiated and that the provider signed it, and signs it too.
pub(super) fn accept(
    negotiation: &mut NegotiationRecord,
    agreement: &Value,
    signature: Option<&str>,
    keys: &DidDocument,
    trust: &Trust,
    now: Timestamp,
) -> Result<(), ContractError> {
    decide::agreement(negotiation, agreement, trust.me().as_str(), now)?;
    let signature = signature.ok_or_else(|| ContractError::AgreementSignature("the provider's is missing".into()))?;
    let (provider, key) = them(negotiation, signature, keys)?;
    negotiation.agreement = Some(agreement.clone());
    let record = record(negotiation, provider, me(trust))?;
    record
        .verify_signature(agreement::Role::Assigner, signature, &key)
        .map_err(|error| ContractError::AgreementSignature(error.to_string()))?;
    negotiation.provider_signature = Some(signature.to_owned());
    negotiation.consumer_signature = Some(record.sign(trust.signer(), agreement::Role::Assignee, now)?);
    Ok(())
}

/// Provider: checks the consumer's signature and puts the document together.
pub(super) fn countersigned(
    negotiation: &mut NegotiationRecord,
    signature: Option<&str>,
    keys: &DidDocument,
    trust: &Trust,
    now: Timestamp,
) -> Result<StoredAgreement, ContractError> {
    let signature = signature.ok_or_else(|| ContractError::AgreementSignature("the consumer's is missing".into()))?;
    let (consumer, _) = them(negotiation, signature, keys)?;
    negotiation.consumer_signature = Some(signature.to_owned());
    assemble(negotiation, me(trust), consumer, keys, trust, now)
}

/// Consumer: puts the document together and checks that it is the one that the provider finalized.
pub(super) fn finalized(
    negotiation: &mut NegotiationRecord,
    document: Option<&str>,
    keys: &DidDocument,
    trust: &Trust,
    now: Timestamp,
) -> Result<StoredAgreement, ContractError> {
    let signature = negotiation.provider_signature.clone().unwrap_or_default();
    let (provider, _) = them(negotiation, &signature, keys)?;
    let stored = assemble(negotiation, provider, me(trust), keys, trust, now)?;
    if document != Some(stored.document_digest()?.to_string().as_str()) {
        return Err(ContractError::AgreementSignature(
            "the provider finalized another document".into(),
        ));
    }
    Ok(stored)
}

fn assemble(
    negotiation: &NegotiationRecord,
    provider: Party,
    consumer: Party,
    keys: &DidDocument,
    trust: &Trust,
    now: Timestamp,
) -> Result<StoredAgreement, ContractError> {
    let signer = trust.signer();
    let record = record(negotiation, provider, consumer)?;
    let signatures = (
        negotiation.provider_signature.as_deref(),
        negotiation.consumer_signature.as_deref(),
    );
    let document = Document::assemble(
        record,
        signatures.0.unwrap_or_default(),
        signatures.1.unwrap_or_default(),
    )?;
    let own = signer.key().verifying_key();
    document.verify(|kid| {
        if kid == signer.kid() {
            Some(own.clone())
        } else {
            keys.key(kid).cloned()
        }
    })?;
    let text = |name: &str| negotiation.agreement.as_ref()?.get(name)?.as_str();
    let party = |name: &str| {
        text(name)
            .and_then(|did| did.parse().ok())
            .ok_or_else(|| ContractError::AgreementDiffers(format!("{name} is missing")))
    };
    let published = document
        .signatures()
        .iter()
        .filter_map(|signature| {
            let kid = signature.kid();
            let jwk = if kid == signer.kid() {
                own.to_jwk()
            } else {
                keys.key(kid)?.to_jwk()
            };
            Some(PublishedKey {
                kid: kid.to_owned(),
                jwk,
            })
        })
        .collect();
    let bytes = document.to_bytes()?;
    Ok(StoredAgreement {
        id: negotiation
            .agreement_id()
            .ok_or_else(|| ContractError::AgreementDiffers("it has no usable @id".into()))?,
        dataset: negotiation.dataset.clone(),
        provider: party("assigner")?,
        consumer: party("assignee")?,
        role: negotiation.core.role,
        negotiation: negotiation.core.pid.clone(),
        agreement: negotiation.agreement.clone().unwrap_or(Value::Null),
        document: String::from_utf8(bytes).map_err(|_| ContractError::AgreementDiffers("it is not text".into()))?,
        keys: published,
        signed: now,
    })
}
