//! The agreement that both parties sign: proposed by the provider, checked and signed by the consumer, kept as a document that anyone
//! can check offline. With a peer that cannot sign it carries our own signature, and says that it is the only one.

use super::{
    AGREEMENT_SIGNATURE_HEADER, Basis, ContractError, NegotiationRecord, decide,
    export::{AgreementExport, PublishedKey},
};
use crate::{
    audit::{Entry, Kind as Recorded},
    dsp::{AgreementId, DatasetId, ParticipantId, Pid, Role},
    jose::{
        self, Digest, JoseError, Signer, VerifyingKey,
        agreement::{self, Document, Parts, Party, PartySignature, Record, SingleDocument},
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

/// An agreement with its signatures, as it is kept.
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
    /// The signed document (JWS general serialization) as canonical JSON text.
    pub document: String,
    /// The peer could not sign: the document carries our signature alone.
    #[serde(default)]
    pub one_party: bool,
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

impl StoredAgreement {
    /// Hash over the document.
    pub fn document_digest(&self) -> Digest {
        jose::sha256(self.document.as_bytes())
    }

    /// Hash over what was agreed, the DSP agreement object: the same at both parties, whoever signed.
    pub fn terms_digest(&self) -> Result<Digest, JoseError> {
        Ok(jose::sha256(&jose::canonical::signable(&self.agreement)?))
    }

    /// How many parties signed it.
    pub fn signatures(&self) -> usize {
        if self.one_party { 1 } else { 2 }
    }

    /// The form in which it leaves the connector.
    pub fn export(&self) -> Result<AgreementExport, StoreError> {
        Ok(AgreementExport::new(
            decode(self.document.as_bytes())?,
            self.keys.clone(),
        ))
    }

    pub(super) fn entry(&self) -> Entry {
        Entry::new(Recorded::Agreement)
            .with("agreement", self.id.as_str())
            .with("provider", self.provider.as_str())
            .with("consumer", self.consumer.as_str())
            .with("signatures", self.signatures())
            .of("document", &self.document_digest())
    }
}

/// The agreements of a store.
#[derive(Clone)]
pub struct Agreements(Arc<dyn Store>);

impl Agreements {
    /// Those that a store holds.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.0
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

    /// All agreements that there ever were, by id: what was received under one that has no force any more is there all the same.
    pub async fn ever(&self) -> Result<Vec<StoredAgreement>, StoreError> {
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
    Ok(Record::new(Parts {
        provider_pid: text(pids.provider),
        consumer_pid: text(pids.consumer),
        provider,
        consumer,
        agreement: negotiation.agreement.clone().unwrap_or(Value::Null),
        transcript: agreement::transcript(&negotiation.transcript),
        claims_hash: negotiation.basis.claims,
        offer_hash: None,
        rulebook_hash: negotiation.basis.rulebook,
    })?)
}

/// Us, signing with this key.
fn me(signer: &Signer) -> Party {
    Party {
        did: signer.did().to_owned(),
        jkt: Some(signer.key().verifying_key().thumbprint()),
    }
}

/// Us, with the key that made this signature of ours: another may have become the active one since.
fn me_who_signed(signature: Option<&str>, trust: &Trust) -> Result<Party, ContractError> {
    let parsed = PartySignature::parse(signature.unwrap_or_default())?;
    let ring = trust.keys().current();
    let key = ring.public(parsed.kid()).ok_or(JoseError::UnknownKey)?;
    Ok(Party {
        did: trust.me().to_string(),
        jkt: Some(key.thumbprint()),
    })
}

/// The peer with the key that it is known to sign with; without any it is one that does not sign.
fn peer(negotiation: &NegotiationRecord, jkt: Option<Digest>) -> Party {
    Party {
        did: negotiation.core.peer.to_string(),
        jkt,
    }
}

/// The other party with the key that its signature names, which must be one that it signs with today.
fn them(
    negotiation: &NegotiationRecord,
    signature: &str,
    keys: &DidDocument,
) -> Result<(Party, VerifyingKey), ContractError> {
    let refuse = |error: &dyn std::fmt::Display| ContractError::AgreementSignature(error.to_string());
    let parsed = PartySignature::parse(signature).map_err(|error| refuse(&error))?;
    let key = keys
        .key(parsed.kid())
        .ok_or_else(|| refuse(&"it names a key that the signer does not publish"))?;
    Ok((peer(negotiation, Some(key.thumbprint())), key.clone()))
}

/// A header with this signature over the agreement record, if there is one.
pub(super) fn signature_header(signature: Option<&str>) -> Vec<(String, String)> {
    let header = |signature: &str| (AGREEMENT_SIGNATURE_HEADER.to_owned(), signature.to_owned());
    signature.map(header).into_iter().collect()
}

/// Provider: writes the agreement and signs the record of it, which names the key of a consumer that signs too.
pub(super) fn propose(
    negotiation: &mut NegotiationRecord,
    consumer: Option<Digest>,
    trust: &Trust,
    now: Timestamp,
) -> Result<(), ContractError> {
    let id = AgreementId::from_uuid(jose::uuid(now).map_err(JoseError::from)?);
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
    negotiation.basis = Basis::of(&trust.party(&negotiation.core.peer, now), trust, now);
    negotiation.named_key = consumer;
    let signer = trust.signer();
    let record = record(negotiation, me(&signer), peer(negotiation, consumer))?;
    negotiation.provider_signature = Some(record.sign(&signer, agreement::Role::Assigner, now)?);
    Ok(())
}

/// Consumer: checks that the agreement is what was negotiated and that the provider signed it, and signs it too. Without `keys` the
/// provider is one that does not sign, and the consumer's signature stays alone.
pub(super) fn accept(
    negotiation: &mut NegotiationRecord,
    agreement: &Value,
    basis: Basis,
    signature: Option<&str>,
    keys: Option<&DidDocument>,
    trust: &Trust,
    now: Timestamp,
) -> Result<(), ContractError> {
    let own = trust.party(trust.me(), now);
    let fits =
        decide::agreement(negotiation, agreement, &own, now).and_then(|()| basis.check(&Basis::of(&own, trust, now)));
    match fits {
        // What it is compared with may be missing for the moment, and this refusal would be for good.
        Err(_) if !trust.knows_itself(now) => return Err(ContractError::NotJudged),
        fits => fits?,
    }
    negotiation.basis = basis;
    negotiation.agreement = Some(agreement.clone());
    let Some(keys) = keys else {
        let signer = trust.signer();
        let record = record(negotiation, peer(negotiation, None), me(&signer))?;
        negotiation.consumer_signature = Some(record.sign(&signer, agreement::Role::Assignee, now)?);
        return Ok(());
    };
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
    let me = me_who_signed(negotiation.provider_signature.as_deref(), trust)?;
    if negotiation.named_key.is_none() {
        let signature = negotiation.provider_signature.clone().unwrap_or_default();
        let record = record(negotiation, me, peer(negotiation, None))?;
        return stored(negotiation, alone(record, &signature, trust)?, now);
    }
    let missing = || ContractError::AgreementSignature("the consumer's is missing".into());
    let (signature, keys) = signature.zip(keys).ok_or_else(missing)?;
    let (consumer, _) = them(negotiation, signature, keys)?;
    negotiation.consumer_signature = Some(signature.to_owned());
    let record = record(negotiation, me, consumer)?;
    stored(negotiation, assemble(negotiation, record, keys, trust)?, now)
}

/// Consumer: puts the agreement together and, if the provider signs, checks that it is the document that the provider finalized.
pub(super) fn finalized(
    negotiation: &mut NegotiationRecord,
    document: Option<&str>,
    keys: Option<&DidDocument>,
    trust: &Trust,
    now: Timestamp,
) -> Result<StoredAgreement, ContractError> {
    let me = me_who_signed(negotiation.consumer_signature.as_deref(), trust)?;
    let refuse = |why: &str| ContractError::AgreementSignature(why.to_owned());
    let signed = match &negotiation.provider_signature {
        None => {
            let signature = negotiation.consumer_signature.clone().unwrap_or_default();
            alone(record(negotiation, peer(negotiation, None), me)?, &signature, trust)?
        }
        Some(signature) => {
            let keys = keys.ok_or_else(|| refuse("the finalization is not signed"))?;
            // The provider may have retired that key since its signature was taken in.
            let kid = PartySignature::parse(signature)?.kid().to_owned();
            let key = keys
                .ever(&kid)
                .ok_or_else(|| refuse("the provider does not publish its key any more"))?;
            let record = record(negotiation, peer(negotiation, Some(key.thumbprint())), me)?;
            assemble(negotiation, record, keys, trust)?
        }
    };
    let stored = StoredAgreement {
        in_force: true,
        ..stored(negotiation, signed, now)?
    };
    if !stored.one_party && document != Some(stored.document_digest().to_string().as_str()) {
        return Err(refuse("the provider finalized another document"));
    }
    Ok(stored)
}

/// A document with all the signatures that it will have, checked, and the keys that made them.
struct Signed {
    document: Vec<u8>,
    keys: Vec<PublishedKey>,
    one_party: bool,
}

/// The document with both signatures.
fn assemble(
    negotiation: &NegotiationRecord,
    record: Record,
    keys: &DidDocument,
    trust: &Trust,
) -> Result<Signed, ContractError> {
    let document = Document::assemble(
        record,
        negotiation.provider_signature.as_deref().unwrap_or_default(),
        negotiation.consumer_signature.as_deref().unwrap_or_default(),
    )?;
    let ring = trust.keys().current();
    let key = |kid: &str| ring.public(kid).or_else(|| keys.ever(kid)).cloned();
    document.verify(key)?;
    Ok(Signed {
        document: document.to_bytes()?,
        keys: document
            .signatures()
            .iter()
            .filter_map(|signature| Some(PublishedKey::of(signature.kid(), &key(signature.kid())?)))
            .collect(),
        one_party: false,
    })
}

/// The document with our signature alone.
fn alone(record: Record, signature: &str, trust: &Trust) -> Result<Signed, ContractError> {
    let document = SingleDocument::assemble(record, signature)?;
    let ring = trust.keys().current();
    let verified = document.verify(|kid| ring.public(kid).cloned())?;
    let kid = verified.signed().kid.as_str();
    Ok(Signed {
        document: document.to_bytes()?,
        keys: ring
            .public(kid)
            .map(|key| PublishedKey::of(kid, key))
            .into_iter()
            .collect(),
        one_party: true,
    })
}

/// The agreement as it is kept; without force.
fn stored(negotiation: &NegotiationRecord, signed: Signed, now: Timestamp) -> Result<StoredAgreement, ContractError> {
    let party = |name: &str| {
        let text = negotiation
            .agreement
            .as_ref()
            .and_then(|agreement| agreement.get(name)?.as_str());
        text.and_then(|id| id.parse().ok())
            .ok_or_else(|| ContractError::AgreementDiffers(format!("{name} is missing")))
    };
    let document =
        String::from_utf8(signed.document).map_err(|_| ContractError::AgreementDiffers("it is not text".into()))?;
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
        one_party: signed.one_party,
        keys: signed.keys,
        signed: now,
        in_force: false,
    })
}
