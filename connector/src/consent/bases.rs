//! Lawful bases other than consent (GDPR art. 6(1)(b), (e), (f)): what the holder declares, as its register of processing says it (art. 30), and
//! learners' objections (art. 21), which stop the flow at once. A record under such a basis never looks like a consent.

use super::{
    ATTEMPTS, ConsentError, Consents, RECEIPTS,
    change::{About, Ended, receipt_place},
    decide::Acknowledgement,
    index::{self, BasisRule},
    notice,
    receipt::{self, Slip},
    record::{Actor, CONTEXT, ConsentId, EvidenceSalt, NoticeRef, Parties, Stored, processing},
    state::Act,
};
use crate::{
    audit::{Entry, Kind},
    dsp::{DatasetId, ParticipantId},
    jose::{self, Digest, JoseError, sha256},
    process::{self, decode, encode},
    store::{Batch, Pages, Store, StoreError, Table, Version},
};
use policy::{Category, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Declared bases by id.
const BASES: Table = Table(55);
/// Objections by the keyed hash of the learner's identifier, and id.
const OBJECTIONS: Table = Table(56);
/// Whose turn it is to change any declared basis.
pub(super) const TURN: &str = "\0bases";
/// Most members of a list, and most text in all lists, as of consents.
const MOST: usize = 64;

/// On what processing rests, if not on consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LawfulBasis {
    /// GDPR art. 6(1)(e).
    PublicTask,
    /// GDPR art. 6(1)(f).
    LegitimateInterest,
    /// GDPR art. 6(1)(b): there is no right to object.
    Contract,
}

impl LawfulBasis {
    const fn in_index(self) -> index::Basis {
        match self {
            Self::PublicTask => index::Basis::PublicTask,
            Self::LegitimateInterest => index::Basis::LegitimateInterest,
            Self::Contract => index::Basis::Contract,
        }
    }

    /// Whether learners have the right to object.
    pub(super) const fn may_be_objected_to(self) -> bool {
        self.in_index().objectable()
    }

    /// The term of DPV's GDPR extension.
    const fn term(self) -> &'static str {
        match self {
            Self::PublicTask => "eu-gdpr:A6-1-e",
            Self::LegitimateInterest => "eu-gdpr:A6-1-f",
            Self::Contract => "eu-gdpr:A6-1-b",
        }
    }
}

/// What an operator declares.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewBasis {
    /// On what it rests.
    pub basis: LawfulBasis,
    /// The law, the interest or the contract, for people.
    pub grounds: String,
    /// Who receives.
    pub recipients: Vec<ParticipantId>,
    /// For which purposes (IRIs).
    pub purposes: Vec<String>,
    /// Which data categories; never special ones (GDPR art. 9).
    pub categories: Vec<String>,
    /// Of which datasets.
    pub datasets: Vec<DatasetId>,
    /// The registered notice that learners are shown: `sha256:` and 64 hex digits.
    pub notice: String,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}

/// A declared basis: an entry of the register of processing.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeclaredBasis)]
pub struct Declared {
    /// Its id.
    pub id: ConsentId,
    /// What was declared.
    #[serde(flatten)]
    pub declared: NewBasis,
    /// The notice, by name and version.
    pub notice_ref: NoticeRef,
    /// From when.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// When the holder ended it.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub ended: Option<Timestamp>,
}

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

/// All declared bases, ended ones too.
pub(super) async fn all(store: &dyn Store) -> Result<Vec<Declared>, StoreError> {
    process::all(store, BASES).await
}

/// Every learner's objections.
pub(super) async fn each_objection(
    store: &dyn Store,
    mut take: impl FnMut(&Objection) + Send,
) -> Result<(), StoreError> {
    process::each(store, OBJECTIONS, |objection: Objection| {
        take(&objection);
        Ok(())
    })
    .await
}

impl NewBasis {
    fn check(&self, now: Timestamp) -> Result<(), ConsentError> {
        let wrong = |what| Err(ConsentError::Basis(what));
        let lengths = [
            self.recipients.len(),
            self.purposes.len(),
            self.categories.len(),
            self.datasets.len(),
        ];
        if lengths.iter().any(|length| !(1..=MOST).contains(length)) {
            return wrong("recipients, purposes, categories and datasets each have 1 to 64 members");
        }
        let mut texts = self.purposes.iter().chain([&self.grounds]);
        if texts.any(|text| text.trim().is_empty() || text.len() > 512) {
            return wrong("purposes and grounds are texts of 1 to 512 bytes");
        }
        let known = |name: &String| Category::read(name).filter(|known| known.name() == name);
        if !self.categories.iter().all(|name| known(name).is_some()) {
            return wrong("categories has a name that is no data category");
        }
        if self
            .categories
            .iter()
            .any(|name| known(name) == Some(Category::SpecialNeeds))
        {
            return wrong("special categories of data take explicit consent (GDPR art. 9), not another basis");
        }
        if self.until <= now {
            return wrong("until is in the past");
        }
        Ok(())
    }
}

impl Declared {
    /// It permits something now.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.from <= now && self.stands(now)
    }

    /// It permits something now or later.
    pub(super) fn stands(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.declared.until
    }

    fn rule(&self) -> BasisRule<'_> {
        let declared = &self.declared;
        BasisRule {
            id: self.id.as_str(),
            basis: declared.basis.in_index(),
            recipients: &declared.recipients,
            purposes: &declared.purposes,
            datasets: &declared.datasets,
            categories: &declared.categories,
            from: self.from,
            until: declared.until,
            may_object: declared.basis.may_be_objected_to(),
        }
    }

    fn against<'a>(&'a self, id: &'a ConsentId, subject: &'a str) -> index::Objection<'a> {
        index::Objection {
            id,
            subject,
            recipients: &self.declared.recipients,
            purposes: &self.declared.purposes,
            datasets: &self.declared.datasets,
        }
    }
}

impl Consents {
    /// Reads declared bases and objections into the index.
    pub(super) async fn load_bases(&self) -> Result<(), StoreError> {
        let damaged = |error: super::GrantError| StoreError::Corrupt(error.to_string());
        let bases = self.bases().await?;
        for basis in bases.iter().filter(|basis| basis.ended.is_none()) {
            self.index.open_basis(&basis.rule()).map_err(damaged)?;
        }
        for objection in process::all::<Objection>(&**self.log.store(), OBJECTIONS).await? {
            if let Some(basis) = bases.iter().find(|basis| basis.id == objection.basis) {
                let objection = basis.against(&objection.id, &objection.subject);
                self.index.object(&objection).map_err(damaged)?;
            }
        }
        Ok(())
    }

    /// All declared bases, ended ones too.
    pub async fn bases(&self) -> Result<Vec<Declared>, StoreError> {
        all(&**self.log.store()).await
    }

    fn bases_changed(&self) {
        if let Some(messenger) = self.messenger.get() {
            messenger.bases_changed();
        }
    }

    async fn basis(&self, id: &ConsentId) -> Result<(Declared, Version), ConsentError> {
        let item = self.log.store().get(BASES, id.as_str().as_bytes()).await?;
        let item = item.ok_or(ConsentError::Unknown)?;
        Ok((decode(&item.value)?, item.version))
    }

    /// Declares a basis. Committed first, opened after.
    pub async fn declare(&self, declared: NewBasis, now: Timestamp) -> Result<Declared, ConsentError> {
        declared.check(now)?;
        let notice = notice::find(&**self.log.store(), &declared.notice).await?;
        let (notice, _) = notice.ok_or_else(|| ConsentError::UnknownNotice(declared.notice.clone()))?;
        let id = jose::uuid(now).map_err(JoseError::from)?;
        let basis = Declared {
            id: ConsentId::from_uuid(id),
            notice_ref: notice.reference(),
            declared,
            from: now,
            ended: None,
        };
        self.index.reserve(&basis.declared.categories)?;
        let _turn = self.turns.of(&[TURN]).await;
        let mut batch = Batch::new();
        let bytes = encode(&basis)?;
        let entry = entry(&basis, "declared", &bytes);
        batch.insert(BASES, basis.id.as_str(), bytes);
        self.log.commit(batch, entry, Vec::new(), now).await?;
        self.index.open_basis(&basis.rule())?;
        self.due.stir();
        self.bases_changed();
        Ok(basis)
    }

    /// Ends a declared basis: closed first, committed after.
    pub async fn end_basis(&self, id: &ConsentId, now: Timestamp) -> Result<Declared, ConsentError> {
        let _turn = self.turns.of(&[TURN]).await;
        let (mut basis, version) = self.basis(id).await?;
        if basis.ended.is_some() {
            return Err(ConsentError::Basis("this basis has ended already"));
        }
        self.index.close_basis(id.as_str());
        basis.ended = Some(now);
        let mut batch = Batch::new();
        let bytes = encode(&basis)?;
        let entry = entry(&basis, "ended", &bytes);
        batch.replace(BASES, id.as_str(), version, bytes);
        self.log.commit(batch, entry, Vec::new(), now).await?;
        self.reset_stalled();
        self.bases_changed();
        Ok(basis)
    }

    /// One learner's objections.
    pub async fn objections(&self, subject: &str) -> Result<Vec<Objection>, StoreError> {
        let mut all = Vec::new();
        let mut pages = Pages::new(&**self.log.store(), OBJECTIONS, self.salts.place(subject), 64);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                all.push(decode(&row.item.value)?);
            }
        }
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
            return Err(super::state::Illegal::NotTheirs(role, Act::Withdraw).into());
        }
        self.standing(subject).await?.may(role, id, Act::Withdraw, now)?;
        if self
            .objections(subject)
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
            notice: &basis.declared.notice,
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
        };
        let names = self.pseudonyms.towards(self.holder());
        let mut record = json!({
            "@context": CONTEXT, "@type": "dpv:Process", "@id": id, "dct:identifier": id, "dases:basis": basis.id,
            "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": names.name(&new.subject)},
            "dpv:hasPurpose": declared.purposes, "dpv:hasLegalBasis": declared.basis.term(), "dases:grounds": declared.grounds,
            "dpv:hasNotice": {"@type": "dpv:PrivacyNotice", "dct:identifier": basis.notice_ref.id, "dases:hash": declared.notice},
            "dpv:isExercisedRight": "eu-gdpr:A21", "dpv:isIndicatedAtTime": now, "dpv:hasIndicationMethod": new.actor.method,
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
        let all = self.objections(subject).await?;
        for objection in &all {
            let id = objection.id.as_str();
            let place = [self.salts.place(subject).as_slice(), id.as_bytes()].concat();
            batch.delete(OBJECTIONS, place);
            batch.delete(RECEIPTS, receipt_place(id, 0));
        }
        Ok(all.into_iter().map(|objection| objection.id).collect())
    }
}

fn entry(basis: &Declared, what: &str, bytes: &[u8]) -> Entry {
    Entry::new(Kind::Basis)
        .with("basis", basis.id.as_str())
        .with("what", what)
        .of("object", &sha256(bytes))
}
