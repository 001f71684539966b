//! Learners' objections to lawful bases other than consent (GDPR art. 21), which stop the flow at once: what is kept of one, its receipt, and who
//! is told. What objections hold back is in `held_back`.

use super::{
    ATTEMPTS, ConsentError, Consents, Declared, RECEIPTS,
    change::{About, Ended, receipt_place},
    decide::Acknowledgement,
    receipt::{self, Slip},
    record::{Actor, CONTEXT, ConsentId, EvidenceSalt, Parties, Stored, processing},
    state::{Act, Illegal},
};
use crate::{
    audit::{Entry, Kind},
    jose::{self, Digest, JoseError},
    process::{self, decode, encode},
    store::{Batch, Pages, Store, StoreError, Table},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Objections by the keyed hash of the learner's identifier, and id.
const OBJECTIONS: Table = Table(56);
/// What is exercised, as records say it: the term of DPV's GDPR extension.
pub(super) const RIGHT: &str = "eu-gdpr:A21";

/// What a learner objects to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewObjection {
    /// The learner's local identifier.
    pub subject: String,
    /// The declared basis.
    pub basis: ConsentId,
    /// Who objects.
    pub actor: Actor,
}

/// A learner's objection.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Objection {
    /// Its id.
    pub id: ConsentId,
    /// The learner's local identifier.
    pub subject: String,
    /// Against which declared basis.
    pub basis: ConsentId,
    /// Who objected.
    pub actor: Actor,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What the hash of the evidence in the receipt is salted with.
    #[schema(value_type = String)]
    pub salt: EvidenceSalt,
    /// Hash of the receipt.
    #[schema(value_type = String)]
    pub receipt: Digest,
}

/// Every learner's objections.
pub(super) async fn all(store: &dyn Store) -> Result<Vec<Objection>, StoreError> {
    process::all(store, OBJECTIONS).await
}

/// The same, one at a time.
pub(super) async fn each(store: &dyn Store, mut take: impl FnMut(&Objection) + Send) -> Result<(), StoreError> {
    process::each(store, OBJECTIONS, |objection: Objection| {
        take(&objection);
        Ok(())
    })
    .await
}

impl Consents {
    /// All objections, or one learner's, the oldest first.
    pub async fn objections(&self, subject: Option<&str>) -> Result<Vec<Objection>, StoreError> {
        let mut all: Vec<Objection> = Vec::new();
        let whose = subject.map(|subject| self.salts.place(subject)).unwrap_or_default();
        let mut pages = Pages::new(&**self.log.store(), OBJECTIONS, whose, 64);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                all.push(decode(&row.item.value)?);
            }
        }
        all.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
        Ok(all)
    }

    /// A learner objects. The index is closed first; the answer is given when it is committed and every running stream has confirmed.
    pub async fn object(
        &self,
        new: &NewObjection,
        now: Timestamp,
    ) -> Result<(Objection, Acknowledgement), ConsentError> {
        new.actor.check()?;
        let subject = new.subject.as_str();
        if subject.trim().is_empty() || subject.len() > 512 {
            return Err(ConsentError::Basis("subject is missing or too long"));
        }
        let _turn = self.turns.of(&[subject]).await;
        let (basis, _) = self.basis(&new.basis).await?;
        if !basis.declared.basis.may_be_objected_to() {
            return Err(ConsentError::NoObjection);
        }
        let (role, id) = (new.actor.role, new.actor.id.as_deref());
        if !role.is_learners_side() {
            return Err(Illegal::NotTheirs(role, Act::Withdraw).into());
        }
        self.standing(subject).await?.may(role, id, Act::Withdraw, now)?;
        if self
            .objections(Some(subject))
            .await?
            .iter()
            .any(|known| known.basis == new.basis)
        {
            return Err(ConsentError::AlreadyObjected);
        }
        let id = ConsentId::from_uuid(jose::uuid(now).map_err(JoseError::from)?);
        let salt = EvidenceSalt::fresh()?;
        let (epoch, streams) = self.index.object(&basis.against(&id, subject))?;
        let ended = Ended { epoch, streams };
        let receipt = self.objection_receipt(&basis, (&id, &salt), new, &ended, now)?;
        let objection = Objection {
            id,
            salt,
            subject: subject.to_owned(),
            basis: new.basis.clone(),
            actor: new.actor.clone(),
            at: now,
            receipt: receipt::digest(&receipt),
        };
        self.commit_objection(&objection, &receipt, (&basis, &ended), now)
            .await?;
        self.reset_stalled();
        let told = Acknowledgement {
            subject: subject.to_owned(),
            consents: Vec::new(),
            at: now,
            epoch,
            streams: ended.streams,
        };
        Ok((objection, told))
    }

    async fn commit_objection(
        &self,
        objection: &Objection,
        receipt: &str,
        what: (&Declared, &Ended),
        now: Timestamp,
    ) -> Result<(), ConsentError> {
        let subject = objection.subject.as_str();
        let store = &**self.log.store();
        let place = [self.salts.place(subject).as_slice(), objection.id.as_str().as_bytes()].concat();
        for _ in 0..ATTEMPTS {
            let mut batch = Batch::new();
            let names = self.salts.renew(store, [subject].into_iter(), &mut batch).await?;
            let entry = Entry::new(Kind::Objection)
                .with("basis", objection.basis.as_str())
                .with("epoch", what.1.epoch)
                .of("subject", names.get(subject).unwrap_or(&Digest::EMPTY))
                .of("object", &objection.receipt);
            batch.insert(OBJECTIONS, place.as_slice(), encode(objection)?);
            batch.insert(RECEIPTS, receipt_place(objection.id.as_str(), 0), receipt.as_bytes());
            let told = self.tell_objection(subject, what, &mut batch, now).await?;
            match self.log.commit(batch, entry, told, now).await {
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    if let Some(messenger) = self.messenger.get() {
                        messenger.committed();
                    }
                    return Ok(());
                }
            }
        }
        Err(StoreError::Conflict { guard: 0 }.into())
    }

    /// Has those told that received records of the learner on this basis (GDPR art. 19).
    async fn tell_objection(
        &self,
        subject: &str,
        what: (&Declared, &Ended),
        batch: &mut Batch,
        now: Timestamp,
    ) -> Result<Vec<Entry>, StoreError> {
        let Some(messenger) = self.messenger.get() else {
            return Ok(Vec::new());
        };
        let kept = self.of_learner(subject).await?;
        let records: Vec<&Stored> = kept.iter().map(|(stored, _)| stored).collect();
        let bases = self.bases_of(subject, &records, now).await?;
        let (held_back, bases): (Vec<_>, Vec<_>) = bases.into_iter().partition(|basis| basis.is_held_back_by(what.0));
        // What other bases permitted of the same has ended with it, of whatever categories it was.
        let mut ended = what.0.clone();
        let more = held_back.into_iter().flat_map(|basis| basis.declared.categories);
        ended.declared.categories.extend(more);
        let about = About {
            subject,
            changed: &[],
            in_force: records
                .iter()
                .filter(|stored| stored.is_in_force(now))
                .map(|stored| &stored.consent)
                .collect(),
            bases,
            pseudonyms: &self.pseudonyms,
        };
        messenger.objected(&about, (&ended, what.1), batch, now).await
    }

    fn objection_receipt(
        &self,
        basis: &Declared,
        (id, salt): (&ConsentId, &EvidenceSalt),
        new: &NewObjection,
        ended: &Ended,
        now: Timestamp,
    ) -> Result<String, ConsentError> {
        let slip = Slip {
            id: format!("urn:uuid:{}", jose::uuid(now).map_err(JoseError::from)?),
            about: id.as_str(),
            created: now,
            issuer: self.holder(),
            agreement: None,
            offer: None,
            notice: Some(&basis.declared.notice),
            number: 0,
            previous: None,
            checkpoint: None,
            ended: Some(self.end(ended, &new.subject, &basis.declared.recipients, now)),
            record: self.objection_record(basis, (id, salt), new, now)?,
        };
        Ok(slip.sign(&self.trust.signer())?)
    }

    /// What is processed on which basis, and that the learner objected: no consent record, because nobody consented.
    fn objection_record(
        &self,
        basis: &Declared,
        (id, salt): (&ConsentId, &EvidenceSalt),
        new: &NewObjection,
        now: Timestamp,
    ) -> Result<Value, ConsentError> {
        let declared = &basis.declared;
        let parties = Parties {
            holder: self.holder(),
            recipients: &declared.recipients,
            categories: &declared.categories,
            fields: &[],
            datasets: declared.datasets.iter().map(|id| id.as_str()).collect(),
            retention_days: self.privacy.retention_days,
            control: "dpv:ObjectToProcess",
            names: &self.legal_names(&declared.recipients),
        };
        let names = self.pseudonyms.towards(self.holder());
        let mut record = json!({
            "@context": CONTEXT, "@type": "dpv:Process", "@id": id, "dct:identifier": id, "dases:basis": basis.id,
            "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": names.name(&new.subject)},
            "dpv:hasPurpose": declared.purposes, "dpv:hasLegalBasis": declared.basis.term(), "dases:grounds": declared.grounds,
            "dpv:hasNotice": {"@type": "dpv:PrivacyNotice", "dct:identifier": basis.notice_ref.id, "dases:hash": declared.notice},
            "dpv:isExercisedRight": RIGHT, "dpv:isIndicatedAtTime": now, "dpv:hasIndicationMethod": new.actor.method,
            "dases:role": new.actor.role, "dases:evidence": new.actor.evidence.as_ref().map(|text| salt.hash(text)),
        });
        let shared = serde_json::to_value(processing(&parties, &self.privacy));
        let shared = shared.map_err(|_| JoseError::CannotSign("a record is not JSON"))?;
        if let (Value::Object(members), Value::Object(shared)) = (&mut record, shared) {
            members.extend(shared);
        }
        Ok(record)
    }

    /// Deletes a learner's objections from a batch's store; returns their ids.
    pub(super) async fn erase_objections(
        &self,
        subject: &str,
        batch: &mut Batch,
    ) -> Result<Vec<ConsentId>, StoreError> {
        let all = self.objections(Some(subject)).await?;
        for objection in &all {
            let id = objection.id.as_str();
            let place = [self.salts.place(subject).as_slice(), id.as_bytes()].concat();
            batch.delete(OBJECTIONS, place);
            batch.delete(RECEIPTS, receipt_place(id, 0));
        }
        Ok(all.into_iter().map(|objection| objection.id).collect())
    }
}
