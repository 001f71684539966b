//! The learners' consents: signed records on disk, a live index in memory that answers for each record of a stream, and the epoch rule
//! that makes a withdrawal final. No data path may go around it.

mod index;
mod pseudonym;
mod record;

pub use index::{Closed, Gate, Index, Question, Reader, Reason, Stale, StreamEnd};
pub use pseudonym::{Pairwise, Pseudonyms};
pub use record::{Consent, ConsentId, EnteredBy, GrantError, NewConsent, Stored};

use crate::{
    audit::{Entry, Kind, Log},
    dsp::ParticipantId,
    jose::{self, HmacKey, JoseError, token},
    process::{self, decode, encode},
    store::{Batch, StoreError, Table},
    trust::Trust,
};
use policy::Timestamp;
use serde::Serialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// Consents by id.
const CONSENTS: Table = Table(12);
/// How many grants share one durable commit in an import.
const IMPORT_BATCH: usize = 64;
/// A stream that makes no progress for this long after a withdrawal is reset (design: the answer never waits on a peer).
const STALL: Duration = Duration::from_secs(1);

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

/// The consent service.
pub struct Consents {
    log: Arc<Log>,
    trust: Arc<Trust>,
    index: Arc<Index>,
    /// Keyed hash for learners in the audit log.
    audit_key: HmacKey,
    pseudonyms: Pseudonyms,
}

impl Consents {
    /// Reads every consent in force into the index.
    pub async fn load(
        log: Arc<Log>,
        trust: Arc<Trust>,
        audit_key: HmacKey,
        pseudonyms: Pseudonyms,
    ) -> Result<Self, StoreError> {
        let service = Self {
            log,
            trust,
            index: Arc::new(Index::default()),
            audit_key,
            pseudonyms,
        };
        let index = &service.index;
        process::each(&**service.log.store(), CONSENTS, |stored: Stored| {
            index
                .open(&stored.consent)
                .map_err(|error| StoreError::Corrupt(error.to_string()))?;
            if stored.withdrawn.is_some() {
                index.close(&stored.consent.subject, |id| *id == stored.consent.id);
            }
            Ok(())
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

    /// A learner as the audit log names them.
    pub fn audit_name(&self, subject: &str) -> String {
        self.audit_key.tag(subject.as_bytes()).to_string()
    }

    /// Records consents that the holder's operator enters for learners. Committed first, opened after.
    pub async fn grant(&self, new: Vec<NewConsent>, now: Timestamp) -> Result<Vec<Consent>, ConsentError> {
        let many = new.len() > 1;
        let mut all = Vec::with_capacity(new.len());
        for (at, chunk) in new.chunks(IMPORT_BATCH).enumerate() {
            let mut batch = Batch::new();
            let mut entries = Vec::new();
            let begin = all.len();
            for (offset, one) in chunk.iter().enumerate() {
                let holder = self.holder();
                let consent = Consent::give(one.clone(), holder, now).map_err(|cause| match many {
                    true => ConsentError::Import {
                        entry: at * IMPORT_BATCH + offset + 1,
                        cause,
                    },
                    false => cause.into(),
                })?;
                let token = token::sign(&self.trust.signer(), token::Kind::Consent, &json!(consent))?;
                entries.push(self.entry(Kind::ConsentGiven, &consent, &token));
                batch.insert(
                    CONSENTS,
                    consent.id.as_str(),
                    encode(&Stored {
                        consent: consent.clone(),
                        token,
                        withdrawn: None,
                    })?,
                );
                all.push(consent);
            }
            self.index.reserve(all.get(begin..).unwrap_or_default())?;
            let mut entries = entries.into_iter();
            if let Some(first) = entries.next() {
                self.log.commit(batch, first, entries.collect(), now).await?;
            }
            for consent in all.get(begin..).unwrap_or_default() {
                self.index.open(consent)?;
            }
        }
        Ok(all)
    }

    fn holder(&self) -> ParticipantId {
        self.trust.me().clone()
    }

    fn entry(&self, kind: Kind, consent: &Consent, token: &str) -> Entry {
        Entry::new(kind)
            .with("consent", consent.id.as_str())
            .with("subjectRef", self.audit_name(&consent.subject))
            .of("object", &jose::sha256(token.as_bytes()))
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
        let (epoch, streams) = self.index.close(subject, |id| ids.contains(id));
        let mut batch = Batch::new();
        let mut entries = Vec::new();
        for (mut stored, version) in affected {
            let claims = json!({"consent": stored.consent.id, "subject": subject, "at": now, "epoch": epoch});
            let token = token::sign(&self.trust.signer(), token::Kind::Withdrawal, &claims)?;
            entries.push(
                self.entry(Kind::ConsentWithdrawn, &stored.consent, &token)
                    .with("epoch", epoch),
            );
            stored.withdrawn = Some(token);
            let key = stored.consent.id.as_str().to_owned();
            batch.replace(CONSENTS, key, version, encode(&stored)?);
        }
        let mut entries = entries.into_iter();
        if let Some(first) = entries.next() {
            self.log.commit(batch, first, entries.collect(), now).await?;
        }
        self.reset_stalled();
        Ok(Acknowledgement {
            subject: subject.to_owned(),
            consents: ids,
            at: now,
            epoch,
            streams,
        })
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
