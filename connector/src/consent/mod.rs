//! The learners' consents: records with a chain of events and signed receipts on disk, a live index in memory that answers for each record of a
//! stream, and the epoch rule that makes a withdrawal final. No data path may go around it.
//!
//! Pure: `state` (which step is possible), `law` (whose word counts), `record` (what a consent says, and how it looks to others), `receipt`
//! (chains of signed copies). The service here changes one learner's records at a time: `change` reads them and commits what was decided, `learner` takes the steps,
//! `decide` says what is decided when something is asked for, given or withdrawn, `occurrences` counts uses of limited ones, `expiry` when time
//! passes, `notices` when a text changes, `words` what people are told of a refusal in French, and who can mend it,
//! `held_back` what keeps another lawful basis from being used, `restrictions` what keeps everything of a learner here (GDPR art. 18), `acts` what these have in common with objections, `elsewhere` when the holder or the intermediary of a consent says what happened there.

mod acts;
mod bases;
mod change;
mod decide;
mod deliveries;
mod elsewhere;
mod error;
pub mod exchange;
mod expiry;
mod forget;
mod held_back;
mod index;
pub mod law;
mod learner;
pub mod links;
mod live;
pub mod notice;
mod notices;
mod objections;
mod occurrences;
pub mod privacy;
mod pseudonym;
pub mod receipt;
mod record;
mod restrictions;
mod salts;
mod standings;
pub mod state;
mod words;

pub use bases::{Declared, LawfulBasis, NewBasis};
pub use change::{About, Beside, Changed, Ended};
pub use decide::{Acknowledgement, IMPORT_PIECE};
pub use deliveries::{Deliveries, Delivery, Known};
pub use error::ConsentError;
pub use forget::Forgotten;
pub use index::{
    Asks, Basis, BasisRule, Closed, Covered, Form, Gate, Grant, Index, Question, Reader, Reason, Stale, StreamEnd,
    Withheld,
};
pub use notice::{NewNotice, Notice};
pub use notices::Replacement;
pub use objections::{NewObjection, Objection};
pub use occurrences::{Occurrence, Occurrences};
pub use privacy::{MOST_DELETION, Privacy};
pub use pseudonym::{Pairwise, Pseudonym, Pseudonyms, Tag};
pub use record::{
    Actor, Cause, Consent, ConsentId, Decision, EnteredBy, Event, EvidenceSalt, Fact, GrantError, Missing, NewConsent,
    NewEvent, NewRequest, NewShare, NoticeRef, Stored, check_27560, context,
};
pub use restrictions::{Lifted, NewLift, NewRestriction, Restriction};
pub use standings::NewStanding;
pub use words::Said;

use crate::{
    audit::Log,
    dsp::ParticipantId,
    jose::{Digest, HmacKey},
    process::{self, decode},
    store::{Pages, StoreError, Table, Turns, Version},
    trust::Trust,
};
use exchange::Courier;
use expiry::Due;
use policy::Timestamp;
use salts::Salts;
use std::sync::{Arc, OnceLock};

/// Consents by id.
const CONSENTS: Table = Table(12);
/// The ids of a learner's consents, by the keyed hash of the learner's identifier.
const OF_LEARNER: Table = Table(52);
/// What is known of a learner that decides whose word counts, by the keyed hash of their identifier.
const STANDINGS: Table = Table(53);
/// Receipts by consent and number.
const RECEIPTS: Table = Table(54);
/// How often a change is decided again because somebody else was quicker.
const ATTEMPTS: usize = 16;

/// The consent service.
pub struct Consents {
    log: Arc<Log>,
    trust: Arc<Trust>,
    index: Arc<Index>,
    occurrences: Arc<Occurrences>,
    /// What names learners in the audit log.
    salts: Salts,
    pseudonyms: Pseudonyms,
    privacy: Privacy,
    due: Due,
    /// Taken before anything of a learner or of a declared basis is read to be changed, and kept until the index has followed. A store shows a
    /// commit to readers before it is durable: a withdrawal that read a grant in between would close an index in which the grant is not open
    /// yet, and the grant would open it afterwards.
    turns: Turns,
    courier: OnceLock<Arc<Courier>>,
}

impl Consents {
    /// Reads every consent in force into the index.
    pub async fn load(
        log: Arc<Log>,
        trust: Arc<Trust>,
        audit_key: HmacKey,
        pseudonyms: Pseudonyms,
        privacy: Privacy,
    ) -> Result<Self, StoreError> {
        let index = Arc::new(Index::default());
        let service = Self {
            occurrences: Arc::new(Occurrences::new(log.store().clone(), index.clone())),
            log,
            trust,
            index,
            salts: Salts::new(audit_key),
            pseudonyms,
            privacy,
            due: Due::default(),
            turns: Turns::default(),
            courier: OnceLock::new(),
        };
        let ages = service.ages().await?;
        let mut limited = Vec::new();
        process::each(&**service.log.store(), CONSENTS, |stored: Stored| {
            if !service.is_held_here(&stored) {
                return Ok(());
            }
            if stored.consent.max_count.is_some() {
                limited.push(stored.consent.id.clone());
            }
            let of_age = ages.get(&service.salts.place(&stored.consent.subject)).copied();
            live::load(&service.index, &stored, of_age).map_err(|error| StoreError::Corrupt(error.to_string()))
        })
        .await?;
        for id in &limited {
            service.occurrences.load(id).await?;
        }
        service.load_bases().await?;
        service.load_restrictions().await?;
        Ok(service)
    }

    /// Who tells other participants what changed; asked before each commit from then on.
    pub fn tell_through(&self, courier: Arc<Courier>) {
        // Set once, by the composition root.
        let _ = self.courier.set(courier);
    }

    /// The live index.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// How often limited consents were used.
    pub fn occurrences(&self) -> &Arc<Occurrences> {
        &self.occurrences
    }

    /// The names under which recipients see learners.
    pub fn pseudonyms(&self) -> &Pseudonyms {
        &self.pseudonyms
    }

    /// What the holder tells about itself.
    pub fn privacy(&self) -> &Privacy {
        &self.privacy
    }

    fn holder(&self) -> &ParticipantId {
        self.trust.me()
    }

    /// It is about records that this participant holds. What it keeps as an intermediary permits nothing here.
    fn is_held_here(&self, stored: &Stored) -> bool {
        stored.consent.holder == *self.holder()
    }

    /// A learner as the audit log names them; `None` for one who was forgotten or never recorded.
    pub async fn audit_name(&self, subject: &str) -> Result<Option<Digest>, StoreError> {
        let salt = self.salts.get(&**self.log.store(), subject).await?;
        Ok(salt.map(|(salt, _)| salts::name(&salt, subject)))
    }

    /// Whether anything about a learner was ever recorded here and is not forgotten.
    pub async fn knows(&self, subject: &str) -> Result<bool, StoreError> {
        Ok(self.audit_name(subject).await?.is_some())
    }

    /// All consents, or one learner's, by id.
    pub async fn list(&self, subject: Option<&str>) -> Result<Vec<Stored>, StoreError> {
        match subject {
            None => process::all(&**self.log.store(), CONSENTS).await,
            Some(subject) => {
                let mut kept = self.of_learner(subject).await?;
                kept.sort_by(|(one, _), (other, _)| one.consent.id.cmp(&other.consent.id));
                Ok(kept.into_iter().map(|(stored, _)| stored).collect())
            }
        }
    }

    /// One consent.
    pub async fn get(&self, id: &ConsentId) -> Result<Stored, ConsentError> {
        let found = self.read(id).await?;
        found.map(|(stored, _)| stored).ok_or(ConsentError::Unknown)
    }

    async fn read(&self, id: &ConsentId) -> Result<Option<(Stored, Version)>, StoreError> {
        let item = self.log.store().get(CONSENTS, id.as_str().as_bytes()).await?;
        item.map(|item| Ok((decode(&item.value)?, item.version))).transpose()
    }

    /// The receipts of a consent, an objection or a restriction, the oldest first.
    pub async fn receipts(&self, id: &str) -> Result<Vec<String>, StoreError> {
        let mut all = Vec::new();
        let mut pages = Pages::new(&**self.log.store(), RECEIPTS, change::receipts_of(id), 32);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let text = String::from_utf8(row.item.value);
                all.push(text.map_err(|_| StoreError::Corrupt("a receipt is not text".into()))?);
            }
        }
        Ok(all)
    }

    /// The whole record of a consent in JSON-LD.
    pub async fn rendered(&self, stored: &Stored) -> Result<serde_json::Value, ConsentError> {
        let notice = notice::find(&**self.log.store(), &stored.consent.notice).await?;
        Ok(self.render(stored, notice.as_ref().map(|(notice, _)| notice))?)
    }

    /// All consents of a learner, in no particular order.
    async fn of_learner(&self, subject: &str) -> Result<Vec<(Stored, Version)>, StoreError> {
        let mut all = Vec::new();
        let store = &**self.log.store();
        let mut pages = Pages::new(store, OF_LEARNER, self.salts.place(subject), 64);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let item = store.get(CONSENTS, &row.item.value).await?;
                if let Some(item) = item {
                    all.push((decode(&item.value)?, item.version));
                }
            }
        }
        Ok(all)
    }
}

/// Whether this may be a learner's local identifier: no character in it has to be guessed by who reads it.
fn is_identifier(subject: &str) -> bool {
    is_named(subject) && !subject.chars().any(char::is_control)
}

/// Whether somebody may be known under this. What stops something for a learner is not refused for how their identifier is written.
fn is_named(subject: &str) -> bool {
    !subject.trim().is_empty() && subject.len() <= 512
}

/// What happens later, never at a time that has passed.
fn not_before(now: Timestamp, last: Timestamp) -> Timestamp {
    now.max(last)
}

#[cfg(test)]
mod tests;
