//! Lawful bases other than consent (GDPR art. 6(1)(b), (e), (f)): what the holder declares, as its register of processing says it (art. 30). A
//! record under such a basis never looks like a consent. Learners' objections to them are in `objections`.

use super::{
    ConsentError, Consents,
    index::{self, BasisRule, Covered},
    notice, objections,
    record::{ConsentId, NoticeRef},
};
use crate::{
    audit::{Entry, Kind},
    dsp::{DatasetId, ParticipantId},
    jose::{self, JoseError, sha256},
    process::{self, decode, encode},
    store::{Batch, Store, StoreError, Table, Version},
};
use policy::{Category, Timestamp, purpose_iri};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Declared bases by id.
const BASES: Table = Table(55);
/// Whose turn it is to change what is recorded of any declared basis.
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
    pub(super) const fn term(self) -> &'static str {
        match self {
            Self::PublicTask => "eu-gdpr:A6-1-e",
            Self::LegitimateInterest => "eu-gdpr:A6-1-f",
            Self::Contract => "eu-gdpr:A6-1-b",
        }
    }

    /// Which one a term of DPV's GDPR extension names.
    pub(super) fn read(term: &str) -> Option<Self> {
        let all = [Self::PublicTask, Self::LegitimateInterest, Self::Contract];
        all.into_iter().find(|basis| basis.term() == term)
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
    /// Who receives, by id; the management API takes the names of configured peers too.
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

/// All declared bases, ended ones too.
pub(super) async fn all(store: &dyn Store) -> Result<Vec<Declared>, StoreError> {
    process::all(store, BASES).await
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
        if self.purposes.iter().any(|purpose| purpose_iri(purpose).is_none()) {
            return wrong("purposes has a text that is no IRI and no single name");
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
            covered: Covered {
                recipients: &declared.recipients,
                purposes: &declared.purposes,
                datasets: &declared.datasets,
                categories: &declared.categories,
                agreement: None,
            },
            from: self.from,
            until: declared.until,
            may_object: declared.basis.may_be_objected_to(),
        }
    }

    /// An objection to it, as the index takes it in.
    pub(super) fn against<'a>(&'a self, id: &'a ConsentId, subject: &'a str) -> index::Objection<'a> {
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
        for objection in objections::all(&**self.log.store()).await? {
            if let Some(basis) = bases.iter().find(|basis| basis.id == objection.basis) {
                let objection = basis.against(&objection.id, &objection.subject);
                self.index.object(&objection, Timestamp::MIN).map_err(damaged)?;
            }
        }
        Ok(())
    }

    /// All declared bases, ended ones too.
    pub async fn bases(&self) -> Result<Vec<Declared>, StoreError> {
        all(&**self.log.store()).await
    }

    fn bases_changed(&self) {
        if let Some(courier) = self.courier.get() {
            courier.lapses().stir();
        }
    }

    pub(super) async fn basis(&self, id: &ConsentId) -> Result<(Declared, Version), ConsentError> {
        let item = self.log.store().get(BASES, id.as_str().as_bytes()).await?;
        let item = item.ok_or(ConsentError::UnknownBasis)?;
        Ok((decode(&item.value)?, item.version))
    }

    /// One that nobody has ended.
    async fn standing_basis(&self, id: &ConsentId) -> Result<(Declared, Version), ConsentError> {
        match self.basis(id).await? {
            (basis, _) if basis.ended.is_some() => Err(ConsentError::BasisEnded),
            standing => Ok(standing),
        }
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

    /// Ends a declared basis: closed first, committed after. Where it is certain that it was not committed, it is open again.
    pub async fn end_basis(&self, id: &ConsentId, now: Timestamp) -> Result<Declared, ConsentError> {
        // Whoever's turn it is: nothing goes out on it while this waits.
        self.standing_basis(id).await?;
        self.index.close_basis(id.as_str());
        let _turn = self.turns.of(&[TURN]).await;
        let (mut basis, version) = self.standing_basis(id).await?;
        // Again: one that could be read before it was durable may have been opened since.
        self.index.close_basis(id.as_str());
        basis.ended = Some(now);
        let mut batch = Batch::new();
        let bytes = encode(&basis)?;
        let entry = entry(&basis, "ended", &bytes);
        batch.replace(BASES, id.as_str(), version, bytes);
        if let Err(error) = self.log.commit(batch, entry, Vec::new(), now).await {
            if error.changed_nothing() {
                self.index.open_basis(&basis.rule())?;
                self.due.stir();
            }
            return Err(error.into());
        }
        self.reset_stalled();
        self.bases_changed();
        Ok(basis)
    }
}

fn entry(basis: &Declared, what: &str, bytes: &[u8]) -> Entry {
    Entry::new(Kind::Basis)
        .with("basis", basis.id.as_str())
        .with("what", what)
        .of("object", &sha256(bytes))
}
