//! The agreement that both parties sign: proposed by the provider, checked and signed by the consumer, kept as a document that anyone
//! can check offline.

use super::{AGREEMENT_SIGNATURE_HEADER, ContractError, NegotiationRecord, decide};
use crate::{
    audit::{Entry, Kind as Recorded},
    dsp::{AgreementId, DatasetId, ParticipantId, Pid, Role},
    jose::{
        self, AgreementError, Digest, JoseError, Signer, VerifyingKey,
        agreement::{self, Document, Parts, Party, PartySignature, Record},
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
    /// The two-signature document (JWS general serialization) as canonical JSON text; none where one party cannot sign.
    pub document: Option<String>,
    /// The public keys that signed it, as they were published then.
    pub keys: Vec<PublishedKey>,
    /// When the second party's word arrived here.
    pub signed: Timestamp,
    /// It is finalized, or about to be: transfers may refer to it.
    #[serde(default = "yes")]
    pub in_force: bool,
}

fn yes() -> bool {
    true
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
    /// Hash over the document with both signatures, if there is one.
    pub fn document_digest(&self) -> Option<Digest> {
        self.document.as_ref().map(|document| jose::sha256(document.as_bytes()))
    }

    /// How many parties' signatures it carries.
    pub fn signatures(&self) -> usize {
        if self.document.is_some() { 2 } else { 0 }
    }

    /// The form in which it leaves the connector; none without signatures: there is nothing to check.
    pub fn export(&self) -> Result<Option<AgreementExport>, StoreError> {
        let Some(document) = &self.document else {
            return Ok(None);
        };
        Ok(Some(AgreementExport {
            r#type: EXPORT_TYPE.to_owned(),
            document: decode(document.as_bytes())?,
            keys: self.keys.clone(),
        }))
    }

    pub(super) fn entry(&self) -> Entry {
        let entry = Entry::new(Recorded::Agreement)
            .with("agreement", self.id.as_str())
            .with("provider", self.provider.as_str())
            .with("consumer", self.consumer.as_str());
        match self.document_digest() {
            Some(digest) => entry.of("document", &digest),
            None => entry.with("signed", false),
        }
    }
}

/// The agreements of a store.
#[derive(Clone)]
pub struct Agreements(Arc<dyn Store>);

impl Agreements {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// An agreement in force, by id.
    pub async fn get(&self, id: &AgreementId) -> Result<Option<StoredAgreement>, StoreError> {
        Ok(self.find(id).await?.filter(|stored| stored.in_force))
    }

    /// An agreement by id, in force or waiting for that.
    pub(super) async fn find(&self, id: &AgreementId) -> Result<Option<StoredAgreement>, StoreError> {
        let item = self.0.get(AGREEMENTS, id.as_str().as_bytes()).await?;
        item.map(|item| decode(&item.value)).transpose()
    }

    /// All agreements in force, by id.
    pub async fn list(&self) -> Result<Vec<StoredAgreement>, StoreError> {
        let mut all: Vec<StoredAgreement> = process::all(&*self.0, AGREEMENTS).await?;
        all.retain(|stored| stored.in_force);
        Ok(all)
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

/// Us, signing with this key.
fn me(signer: &Signer) -> Party {
    Party {
        did: signer.did().to_owned(),
        jkt: signer.key().verifying_key().thumbprint(),
    }
}

/// Us, with the key that made this signature of ours: another may have become the active one since.
fn me_who_signed(signature: Option<&str>, trust: &Trust) -> Result<Party, ContractError> {
    let parsed = PartySignature::parse(signature.unwrap_or_default())?;
    let ring = trust.keys().current();
    let key = ring.public(parsed.kid()).ok_or(JoseError::UnknownKey)?;
    Ok(Party {
        did: trust.me().to_string(),
        jkt: key.thumbprint(),
    })
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

/// A header with this signature over the agreement record, if there is one.
pub(super) fn signature_header(signature: Option<&str>) -> Vec<(String, String)> {
    let header = |signature: &str| (AGREEMENT_SIGNATURE_HEADER.to_owned(), signature.to_owned());
    signature.map(header).into_iter().collect()
}

/// Provider: writes the agreement and, for a consumer that signs, signs the record of it, which names the keys of both.
pub(super) fn propose(
    negotiation: &mut NegotiationRecord,
    consumer: Option<Party>,
    trust: &Trust,
    now: Timestamp,
) -> Result<(), ContractError> {
    let id = AgreementId::from_uuid(jose::uuid(now).map_err(jose::JoseError::from)?);
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
    if let Some(consumer) = consumer {
        let signer = trust.signer();
        let record = record(negotiation, me(&signer), consumer)?;
        negotiation.provider_signature = Some(record.sign(&signer, agreement::Role::Assigner, now)?);
    }
    Ok(())
}

/// Consumer: checks that the agreement is what was negotiated and that the provider signed it, and signs it too. Without `keys` the
/// provider is one that cannot sign, and nobody does.
pub(super) fn accept(
    negotiation: &mut NegotiationRecord,
    agreement: &Value,
    signature: Option<&str>,
    keys: Option<&DidDocument>,
    trust: &Trust,
    now: Timestamp,
) -> Result<(), ContractError> {
    decide::agreement(negotiation, agreement, trust.me().as_str(), now)?;
    negotiation.agreement = Some(agreement.clone());
    let Some(keys) = keys else { return Ok(()) };
    let signature = signature.ok_or_else(|| ContractError::AgreementSignature("the provider's is missing".into()))?;
    let (provider, key) = them(negotiation, signature, keys)?;
    // The record names the key that signed our last message before it, which another may have followed since.
    let mut refused = None;
    for signer in trust.keys().current().finishing() {
        let record = record(negotiation, provider.clone(), me(signer))?;
        match record.verify_signature(agreement::Role::Assigner, signature, &key) {
            Ok(_) => {
                negotiation.provider_signature = Some(signature.to_owned());
                negotiation.consumer_signature = Some(record.sign(signer, agreement::Role::Assignee, now)?);
                return Ok(());
            }
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let refused = refused.unwrap_or(JoseError::UnknownKey);
    Err(ContractError::AgreementSignature(refused.to_string()))
}

/// Provider: checks the consumer's signature, if that is a party that signs, and puts the agreement together. It has no force yet.
pub(super) fn countersigned(
    negotiation: &mut NegotiationRecord,
    signature: Option<&str>,
    keys: Option<&DidDocument>,
    trust: &Trust,
    now: Timestamp,
) -> Result<StoredAgreement, ContractError> {
    let Some(keys) = keys else {
        return stored(negotiation, None, now);
    };
    let signature = signature.ok_or_else(|| ContractError::AgreementSignature("the consumer's is missing".into()))?;
    let (consumer, _) = them(negotiation, signature, keys)?;
    negotiation.consumer_signature = Some(signature.to_owned());
    let me = me_who_signed(negotiation.provider_signature.as_deref(), trust)?;
    let signed = assemble(negotiation, me, consumer, keys, trust)?;
    stored(negotiation, Some(signed), now)
}

/// Consumer: puts the agreement together and, if the provider signs, checks that it is the document that the provider finalized.
pub(super) fn finalized(
    negotiation: &mut NegotiationRecord,
    document: Option<&str>,
    keys: Option<&DidDocument>,
    trust: &Trust,
    now: Timestamp,
) -> Result<StoredAgreement, ContractError> {
    let signed = match keys {
        None => None,
        Some(keys) => {
            // The provider may have retired that key since its signature was taken in.
            let signature = PartySignature::parse(negotiation.provider_signature.as_deref().unwrap_or_default())?;
            let provider = Party {
                did: negotiation.core.peer.to_string(),
                jkt: keys.ever(signature.kid()).ok_or(JoseError::UnknownKey)?.thumbprint(),
            };
            let me = me_who_signed(negotiation.consumer_signature.as_deref(), trust)?;
            Some(assemble(negotiation, provider, me, keys, trust)?)
        }
    };
    let stored = StoredAgreement {
        in_force: true,
        ..stored(negotiation, signed, now)?
    };
    let expected = stored.document_digest().map(|digest| digest.to_string());
    if expected.is_some() && document != expected.as_deref() {
        return Err(ContractError::AgreementSignature(
            "the provider finalized another document".into(),
        ));
    }
    Ok(stored)
}

/// The document with both signatures, checked, and the keys that made them.
fn assemble(
    negotiation: &NegotiationRecord,
    provider: Party,
    consumer: Party,
    keys: &DidDocument,
    trust: &Trust,
) -> Result<(String, Vec<PublishedKey>), ContractError> {
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
    let ring = trust.keys().current();
    let key = |kid: &str| ring.public(kid).or_else(|| keys.ever(kid)).cloned();
    document.verify(key)?;
    let published = document
        .signatures()
        .iter()
        .filter_map(|signature| {
            let kid = signature.kid();
            let jwk = key(kid)?.to_jwk();
            Some(PublishedKey {
                kid: kid.to_owned(),
                jwk,
            })
        })
        .collect();
    let text = String::from_utf8(document.to_bytes()?)
        .map_err(|_| ContractError::AgreementDiffers("it is not text".into()))?;
    Ok((text, published))
}

/// The agreement as it is kept, with its document if there is one; without force.
fn stored(
    negotiation: &NegotiationRecord,
    signed: Option<(String, Vec<PublishedKey>)>,
    now: Timestamp,
) -> Result<StoredAgreement, ContractError> {
    let party = |name: &str| {
        let text = negotiation
            .agreement
            .as_ref()
            .and_then(|agreement| agreement.get(name)?.as_str());
        text.and_then(|id| id.parse().ok())
            .ok_or_else(|| ContractError::AgreementDiffers(format!("{name} is missing")))
    };
    let (document, keys) = signed.unzip();
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
        document,
        keys: keys.unwrap_or_default(),
        signed: now,
        in_force: false,
    })
}
