//! The learners' consents: signed records on disk, a live index in memory that answers for each record of a stream, and the epoch rule
//! that makes a withdrawal final. No data path may go around it.

mod deliveries;
pub mod exchange;
mod index;
pub mod links;
mod pseudonym;
mod record;
mod salts;

pub use deliveries::{Deliveries, Delivery, Known};
pub use index::{
    Basis, BasisRule, Closed, Ended, Gate, Grant, Index, Objection, Question, Reader, Reason, Stale, StreamEnd,
};
pub use pseudonym::{Pairwise, Pseudonym, Pseudonyms, Tag};
pub use record::{Consent, ConsentId, EnteredBy, GrantError, NewConsent, Stored};

use crate::{
    audit::{Entry, Kind, Log},
    dsp::ParticipantId,
    jose::{self, Digest, HmacKey, JoseError, token},
    process::{self, decode, encode},
    store::{Batch, Guard, StoreError, Table, Version},
    trust::Trust,
};
use exchange::{EndReason, Ending, Notices, Scope};
use policy::Timestamp;
use salts::Salts;
use serde::Serialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// Consents by id.
const CONSENTS: Table = Table(12);
/// How many grants share one durable commit in an import.
const IMPORT_BATCH: usize = 64;
/// A stream that makes no progress for this long after a withdrawal is reset (design: the answer never waits on a peer).
const STALL: Duration = Duration::from_secs(1);
/// How often a change is decided again because somebody else was quicker.
const ATTEMPTS: usize = 16;

/// Why a consent was not recorded or withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// The consent is not complete or makes no sense.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// Entry `n` of an import (from 1) is not usable; nothing after the last full batch was recorded.
    #[error("entry {entry}: {cause}")]
    Import {
        /// Its number, from 1.
        entry: usize,
        /// What is wrong.
        cause: GrantError,
    },
    /// Nothing is there to withdraw.
    #[error("this learner has no consent in force here")]
    NothingToWithdraw,
    /// A learner is not forgotten while a consent is in force.
    #[error("this learner has a consent in force here; withdraw it first")]
    InForce,
    /// Nothing here refers to this learner.
    #[error("no consent of this learner was ever recorded here, or the learner is forgotten already")]
    UnknownLearner,
    /// The store failed. After a failed withdrawal access stays closed until the next start; withdraw again to make it last.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Signing failed.
    #[error("signing failed: {0}")]
    Signing(#[from] JoseError),
}

/// What a learner is told when a withdrawal is done.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledgement {
    /// The learner's local identifier.
    pub subject: String,
    /// The consents that ended.
    pub consents: Vec<ConsentId>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The epoch that every running stream has confirmed.
    pub epoch: u64,
    /// The last sequence number that each running stream had handed to TLS. No record of the learner is in it beyond that number.
    pub streams: Vec<StreamEnd>,
}

/// What is left when a learner is forgotten.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Forgotten {
    /// How many ended consents were deleted with what linked them to the audit log.
    pub consents: usize,
}

/// The consent service.
pub struct Consents {
    log: Arc<Log>,
    trust: Arc<Trust>,
    index: Arc<Index>,
    /// What names learners in the audit log.
    salts: Salts,
    pseudonyms: Pseudonyms,
    /// Who is told when a consent ends.
    notices: Arc<Notices>,
}

impl Consents {
    /// Reads every consent in force into the index.
    pub async fn load(
        log: Arc<Log>,
        trust: Arc<Trust>,
        audit_key: HmacKey,
        pseudonyms: Pseudonyms,
        notices: Arc<Notices>,
    ) -> Result<Self, StoreError> {
        let service = Self {
            log,
            trust,
            index: Arc::new(Index::default()),
            salts: Salts::new(audit_key),
            pseudonyms,
            notices,
        };
        let index = &service.index;
        process::each(&**service.log.store(), CONSENTS, |stored: Stored| {
            let grant = Grant {
                ended: stored.withdrawn.as_ref().map(|_| Ended::Withdrawn),
                ..stored.consent.grant()
            };
            index
                .open(&grant)
                .map_err(|error| StoreError::Corrupt(error.to_string()))
        })
        .await?;
        Ok(service)
    }

    /// The live index.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// The names under which recipients see learners.
    pub fn pseudonyms(&self) -> &Pseudonyms {
        &self.pseudonyms
    }

    /// A learner as the audit log names them; `None` for one who was forgotten or never recorded.
    pub async fn audit_name(&self, subject: &str) -> Result<Option<Digest>, StoreError> {
        let salt = self.salts.get(&**self.log.store(), subject).await?;
        Ok(salt.map(|(salt, _)| salts::name(&salt, subject)))
    }

    /// Records consents that the holder's operator enters for learners. Committed first, opened after.
    pub async fn grant(&self, new: Vec<NewConsent>, now: Timestamp) -> Result<Vec<Consent>, ConsentError> {
        let many = new.len() > 1;
        let mut all = Vec::with_capacity(new.len());
        for (at, chunk) in new.chunks(IMPORT_BATCH).enumerate() {
            let mut consents = Vec::with_capacity(chunk.len());
            for (offset, one) in chunk.iter().enumerate() {
                let consent = Consent::give(one.clone(), self.holder(), now).map_err(|cause| match many {
                    true => ConsentError::Import {
                        entry: at * IMPORT_BATCH + offset + 1,
                        cause,
                    },
                    false => cause.into(),
                })?;
                consents.push(consent);
            }
            self.index
                .reserve(consents.iter().flat_map(|consent| &consent.categories))?;
            self.record(&consents, now).await?;
            for consent in &consents {
                self.index.open(&consent.grant())?;
            }
            all.extend(consents);
        }
        Ok(all)
    }

    /// Commits consents with their entries. Each renews the learner's salt: so nobody is forgotten while a consent is being recorded.
    async fn record(&self, consents: &[Consent], now: Timestamp) -> Result<(), ConsentError> {
        let mut stored = Vec::with_capacity(consents.len());
        for consent in consents {
            let token = token::sign(&self.trust.signer(), token::Kind::Consent, &json!(consent))?;
            stored.push(Stored {
                consent: consent.clone(),
                token,
                withdrawn: None,
            });
        }
        for _ in 0..ATTEMPTS {
            let (mut batch, mut entries) = (Batch::new(), Vec::new());
            let subjects = consents.iter().map(|consent| consent.subject.as_str());
            let names = self.salts.renew(&**self.log.store(), subjects, &mut batch).await?;
            for one in &stored {
                let name = names.get(one.consent.subject.as_str()).copied();
                entries.push(entry(
                    Kind::ConsentGiven,
                    one,
                    name.unwrap_or(Digest::EMPTY),
                    &one.token,
                ));
                batch.insert(CONSENTS, one.consent.id.as_str(), encode(one)?);
            }
            let mut entries = entries.into_iter();
            let Some(first) = entries.next() else { return Ok(()) };
            match self.log.commit(batch, first, entries.collect(), now).await {
                Err(StoreError::Conflict { .. }) => {}
                other => return other.map(drop).map_err(ConsentError::from),
            }
        }
        Err(StoreError::Conflict { guard: 0 }.into())
    }

    fn holder(&self) -> ParticipantId {
        self.trust.me().clone()
    }

    /// Ends a learner's consents: all of them, or those for one recipient. The live index is closed first; the answer is given when it
    /// is committed and every running stream has confirmed.
    pub async fn withdraw(
        &self,
        subject: &str,
        recipient: Option<&ParticipantId>,
        now: Timestamp,
    ) -> Result<Acknowledgement, ConsentError> {
        let mut affected = Vec::new();
        for id in self.index.in_force(subject) {
            if let Some(item) = self.log.store().get(CONSENTS, id.as_str().as_bytes()).await? {
                let stored: Stored = decode(&item.value)?;
                if recipient.is_none_or(|recipient| stored.consent.recipients.contains(recipient)) {
                    affected.push((stored, item.version));
                }
            }
        }
        if affected.is_empty() {
            return Err(ConsentError::NothingToWithdraw);
        }
        let ids: Vec<ConsentId> = affected.iter().map(|(stored, _)| stored.consent.id.clone()).collect();
        let ended: Vec<Scope> = affected.iter().map(|(stored, _)| scope(&stored.consent)).collect();
        let (epoch, streams) = self.index.close(subject, |id| ids.contains(id));
        let mut batch = Batch::new();
        let mut entries = Vec::new();
        // A consent that is in force has a salt: both are in the same commits.
        let name = self.audit_name(subject).await?.unwrap_or(Digest::EMPTY);
        for (mut stored, version) in affected {
            let claims = json!({"consent": stored.consent.id, "subject": subject, "at": now, "epoch": epoch});
            let token = token::sign(&self.trust.signer(), token::Kind::Withdrawal, &claims)?;
            entries.push(entry(Kind::ConsentWithdrawn, &stored, name, &token).with("epoch", epoch));
            stored.withdrawn = Some(token);
            let key = stored.consent.id.as_str().to_owned();
            batch.replace(CONSENTS, key, version, encode(&stored)?);
        }
        let ending = Ending {
            subject,
            reason: EndReason::Withdrawn,
            ended: &ended,
            remaining: &self.scopes_in_force(subject).await?,
            at: now,
            epoch,
            streams: &streams,
        };
        let queued = self
            .notices
            .tell(&self.pseudonyms, &ending, &mut batch, &mut entries, now)
            .await?;
        let mut entries = entries.into_iter();
        if let Some(first) = entries.next() {
            self.log.commit(batch, first, entries.collect(), now).await?;
        }
        queued.iter().for_each(|lane| self.notices.post().wake(lane));
        self.reset_stalled();
        Ok(Acknowledgement {
            subject: subject.to_owned(),
            consents: ids,
            at: now,
            epoch,
            streams,
        })
    }

    /// What the learner's consents that are in force permit.
    async fn scopes_in_force(&self, subject: &str) -> Result<Vec<Scope>, StoreError> {
        let mut scopes = Vec::new();
        for id in self.index.in_force(subject) {
            if let Some(item) = self.log.store().get(CONSENTS, id.as_str().as_bytes()).await? {
                scopes.push(scope(&decode::<Stored>(&item.value)?.consent));
            }
        }
        Ok(scopes)
    }

    /// A peer that stops reading would otherwise keep what was handed over before the withdrawal waiting in our buffers.
    fn reset_stalled(&self) {
        let watched = self.index.progress();
        if watched.is_empty() {
            return;
        }
        let index = self.index.clone();
        tokio::spawn(async move {
            tokio::time::sleep(STALL).await;
            index.reset_unmoved(&watched);
        });
    }

    /// Deletes what links a learner to the audit log: the salt of their name in it, and the records of their ended consents. The entries
    /// stay and so does every proof, but nobody can say any more whom they are about. Refused while a consent is in force.
    pub async fn forget(&self, subject: &str, now: Timestamp) -> Result<Forgotten, ConsentError> {
        for _ in 0..ATTEMPTS {
            // The salt first: a consent that is recorded after this renews it, and the commit below conflicts.
            let salt = self.salts.get(&**self.log.store(), subject).await?;
            let salt = salt.map(|(_, version)| version);
            let ended = self.ended(subject, now).await?;
            if ended.is_empty() && salt.is_none() {
                return Err(ConsentError::UnknownLearner);
            }
            let mut batch = Batch::new();
            self.salts.delete(subject, salt, &mut batch);
            self.notices.forget(&self.pseudonyms, subject, &mut batch).await?;
            for (id, version) in &ended {
                batch.require(CONSENTS, id.as_str(), Guard::At(*version));
                batch.delete(CONSENTS, id.as_str());
            }
            let entry = Entry::new(Kind::LearnerForgotten).with("consents", ended.len());
            match self.log.commit(batch, entry, Vec::new(), now).await {
                Ok(_) => {
                    self.index
                        .forget(subject, |id| ended.iter().any(|(ended, _)| ended == id));
                    return Ok(Forgotten { consents: ended.len() });
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict { guard: 0 }.into())
    }

    /// The consents of a learner, all of which must have ended.
    async fn ended(&self, subject: &str, now: Timestamp) -> Result<Vec<(ConsentId, Version)>, ConsentError> {
        let mut ended = Vec::new();
        for stored in self.list(Some(subject)).await? {
            if stored.withdrawn.is_none() && now < stored.consent.expires {
                return Err(ConsentError::InForce);
            }
            let item = self
                .log
                .store()
                .get(CONSENTS, stored.consent.id.as_str().as_bytes())
                .await?;
            ended.extend(item.map(|item| (stored.consent.id, item.version)));
        }
        Ok(ended)
    }

    /// All consents, by id.
    pub async fn list(&self, subject: Option<&str>) -> Result<Vec<Stored>, StoreError> {
        let mut all = Vec::new();
        process::each(&**self.log.store(), CONSENTS, |stored: Stored| {
            if subject.is_none_or(|subject| stored.consent.subject == subject) {
                all.push(stored);
            }
            Ok(())
        })
        .await?;
        Ok(all)
    }
}

/// What a consent permits, as far as its end is told to others.
fn scope(consent: &Consent) -> Scope {
    Scope {
        id: consent.id.clone(),
        recipients: consent.recipients.clone(),
        purposes: consent.purposes.clone(),
        datasets: consent.datasets.clone(),
        agreement: None,
    }
}

/// What the audit log holds about one consent: hashes, none of which names the learner without the salt.
fn entry(kind: Kind, stored: &Stored, learner: Digest, token: &str) -> Entry {
    Entry::new(kind)
        .with("consent", stored.consent.id.as_str())
        .of("subject", &learner)
        .of("object", &jose::sha256(token.as_bytes()))
}

#[cfg(test)]
mod tests;
