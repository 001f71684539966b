//! Learners' objections to lawful bases other than consent (GDPR art. 21), which stop the flow at once: what is kept of one, its receipt, and who
//! is told. What objections hold back is in `held_back`.

use super::{
    ConsentError, Consents, Declared,
    acts::{LearnerAct, Step},
    change::{About, Ended},
    decide::{Acknowledgement, acknowledgement},
    exchange::post::Sheet,
    is_named,
    receipt::{self, Slip},
    record::{Actor, CONTEXT, ConsentId, EvidenceSalt, Parties, Stored, processing, purpose},
    state::{Act, Illegal},
};
use crate::{
    audit::{Entry, Kind},
    jose::{self, Digest, JoseError},
    process,
    store::{Store, StoreError, Table},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Where objections are kept.
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

impl LearnerAct for Objection {
    const TABLE: Table = OBJECTIONS;
    const MOST_RECEIPTS: u32 = 1;

    fn id(&self) -> &ConsentId {
        &self.id
    }

    fn subject(&self) -> &str {
        &self.subject
    }
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
        let mut all: Vec<Objection> = match subject {
            Some(subject) => self.acts_of(subject).await?,
            None => process::all(&**self.log.store(), OBJECTIONS).await?,
        };
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
        if !is_named(subject) {
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
        let mut objection = Objection {
            id: ConsentId::from_uuid(jose::uuid(now).map_err(JoseError::from)?),
            subject: subject.to_owned(),
            basis: new.basis.clone(),
            actor: new.actor.clone(),
            at: now,
            salt: EvidenceSalt::fresh()?,
            receipt: Digest::EMPTY,
        };
        let (epoch, streams) = self.index.object(&basis.against(&objection.id, subject), now)?;
        let ended = Ended { epoch, streams };
        let recorded = self.record_objection(&mut objection, (&basis, &ended), now).await;
        recorded.inspect_err(|error| self.take_back(&objection, error))?;
        self.reset_stalled();
        let told = Acknowledgement {
            recipients: basis.declared.recipients.clone(),
            ..acknowledgement(subject, &[], ended, now)
        };
        Ok((objection, told))
    }

    async fn record_objection(
        &self,
        objection: &mut Objection,
        (basis, ended): (&Declared, &Ended),
        now: Timestamp,
    ) -> Result<(), ConsentError> {
        let receipt = self.objection_receipt(objection, basis, ended)?;
        objection.receipt = receipt::digest(&receipt);
        let mut told = Sheet::default();
        self.tell_objection(&objection.subject, (basis, ended), &mut told, now)
            .await?;
        let entry = Entry::new(Kind::Objection)
            .with("basis", objection.basis.as_str())
            .with("epoch", ended.epoch)
            .of("object", &objection.receipt);
        let step = Step {
            act: &*objection,
            version: None,
            number: 0,
            receipt: &receipt,
            entry,
        };
        self.commit_act(step, told, now).await
    }

    /// Has those told that received records of the learner on this basis (GDPR art. 19).
    async fn tell_objection(
        &self,
        subject: &str,
        what: (&Declared, &Ended),
        sheet: &mut Sheet,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(courier) = self.courier.get() else {
            return Ok(());
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
        courier.objected(&about, (&ended, what.1), sheet, now).await
    }

    fn objection_receipt(
        &self,
        objection: &Objection,
        basis: &Declared,
        ended: &Ended,
    ) -> Result<String, ConsentError> {
        let (subject, at) = (&objection.subject, objection.at);
        let record = self.objection_record(objection, basis)?;
        let slip = Slip {
            notice: Some(&basis.declared.notice),
            ended: Some(self.end(ended, subject, &basis.declared.recipients, at)),
            ..Slip::new(objection.id.as_str(), at, self.holder(), record)?
        };
        Ok(slip.sign(&self.trust.signer())?)
    }

    /// What is processed on which basis, and that the learner objected: no consent record, because nobody consented.
    fn objection_record(&self, objection: &Objection, basis: &Declared) -> Result<Value, ConsentError> {
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
        let (id, actor) = (&objection.id, &objection.actor);
        let purposes: Vec<String> = declared.purposes.iter().map(|name| purpose(name)).collect();
        let mut record = json!({
            "@context": CONTEXT, "@type": "dpv:Process", "@id": id, "dct:identifier": id, "dases:basis": basis.id,
            "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": names.name(&objection.subject)},
            "dpv:hasPurpose": purposes, "dpv:hasLegalBasis": declared.basis.term(), "dases:grounds": declared.grounds,
            "dpv:hasNotice": {"@type": "dpv:PrivacyNotice", "dct:identifier": basis.notice_ref.id, "dases:hash": declared.notice},
            "dpv:isExercisedRight": RIGHT, "dpv:isIndicatedAtTime": objection.at, "dpv:hasIndicationMethod": actor.method,
            "dases:role": actor.role, "dases:evidence": actor.evidence.as_ref().map(|text| objection.salt.hash(text)),
        });
        let shared = serde_json::to_value(processing(&parties, &self.privacy));
        let shared = shared.map_err(|_| JoseError::CannotSign("a record is not JSON"))?;
        if let (Value::Object(members), Value::Object(shared)) = (&mut record, shared) {
            members.extend(shared);
        }
        Ok(record)
    }
}
