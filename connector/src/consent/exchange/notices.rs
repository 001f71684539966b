//! The holder's side of an ending: who is told of it, in the commit of the ending itself, and what each answers that it erased.

use super::{
    ExchangeError,
    inbox::{Arrival, Inbox, Message},
    message::{self, EndReason, Erasure, LastOf, Withdrawal},
    post::{self, Post},
};
use crate::{
    audit::{Entry, Kind as Recorded, Log},
    catalog,
    consent::{ConsentId, Deliveries, Pseudonym, Pseudonyms, StreamEnd},
    contract::{Agreements, StoredAgreement},
    dsp::{AgreementId, DatasetId, MessageId, ParticipantId, Pid, Role},
    jose::HmacKey,
    process::{Outgoing, Queue, decode, encode, outbox::Outcome},
    store::{Batch, Pages, Store, StoreError, Table},
    trust::Trust,
};
use policy::{Action, Timestamp, canonical_name};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use utoipa::ToSchema;

/// What was told, by queue and number of the message.
const TOLD: Table = Table(62);
/// How many rows are read at a time.
const PAGE: usize = 64;
/// A recipient has this long to erase: GDPR Art. 12(3).
const ERASE_WITHIN: Duration = Duration::from_secs(30 * 24 * 3600);
/// Most streams of one recipient that are named with their last number. Of one that is not named, everything is erased.
const MOST_STREAMS: usize = 100;

/// What has become of a message to a recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Delivered {
    /// It is on its way, as long as it takes.
    Waiting,
    /// The recipient signed that it has it.
    #[serde(rename_all = "camelCase")]
    Acknowledged {
        /// When.
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
        /// Our signature over the message that was answered.
        signature: Option<String>,
        /// The recipient's signature over its answer.
        answer_signature: Option<String>,
        /// Its answer, byte for byte.
        answer: String,
    },
    /// The recipient will not take it.
    Refused {
        /// When.
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
        /// The HTTP status.
        status: u16,
        /// What it said.
        why: String,
    },
}

/// What a recipient says that it erased, as it signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Confirmed {
    /// When it was done, by its clock.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How many records.
    pub records: u64,
    /// The message, byte for byte.
    pub body: String,
    /// Its signature.
    pub signature: String,
}

/// One recipient that was told of an ending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ToldOfEnding)]
pub struct Told {
    /// The message's id.
    pub id: MessageId,
    /// What it says.
    pub notice: Withdrawal,
    /// The message, byte for byte.
    pub body: String,
    /// What has become of it.
    pub delivery: Delivered,
    /// What the recipient says that it erased, once it has.
    #[schema(required)]
    pub erased: Option<Confirmed>,
}

/// An ending, for those who have to be told.
pub struct Ending<'a> {
    /// The learner's local identifier.
    pub subject: &'a str,
    /// Why.
    pub reason: EndReason,
    /// The consents that ended.
    pub ended: &'a [Scope],
    /// The learner's consents that remain in force.
    pub remaining: &'a [Scope],
    /// When.
    pub at: Timestamp,
    /// The epoch that all streams have confirmed.
    pub epoch: u64,
    /// How far each stream was then.
    pub streams: &'a [StreamEnd],
}

/// What one consent permits, as far as endings need it.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Which consent.
    pub id: ConsentId,
    /// Who may receive.
    pub recipients: Vec<ParticipantId>,
    /// For which purposes.
    pub purposes: Vec<String>,
    /// Only these datasets; empty means all.
    pub datasets: Vec<DatasetId>,
    /// Which data categories.
    pub categories: Vec<String>,
}

impl Scope {
    fn covers(&self, stored: &StoredAgreement, purposes: &[String]) -> bool {
        let mine: Vec<_> = self.purposes.iter().map(|purpose| canonical_name(purpose)).collect();
        self.recipients.contains(&stored.consumer)
            && (self.datasets.is_empty() || self.datasets.contains(&stored.dataset))
            && !purposes.is_empty()
            && purposes.iter().all(|purpose| mine.contains(&canonical_name(purpose)))
    }
}

/// Who is told of endings.
pub struct Notices {
    log: Arc<Log>,
    trust: Arc<Trust>,
    agreements: Agreements,
    deliveries: Arc<Deliveries>,
    post: Arc<Post>,
}

impl Notices {
    /// Over the log's store; `key` keeps learners' identifiers out of it, `queue` wakes who delivers.
    pub async fn load(log: Arc<Log>, trust: Arc<Trust>, key: HmacKey, queue: Arc<Queue>) -> Result<Self, StoreError> {
        let store = log.store().clone();
        Ok(Self {
            agreements: Agreements::new(store.clone()),
            post: Arc::new(Post::load(&*store, queue).await?),
            deliveries: Arc::new(Deliveries::new(store, key)),
            log,
            trust,
        })
    }

    /// Who received records of whom.
    pub fn deliveries(&self) -> &Arc<Deliveries> {
        &self.deliveries
    }

    /// The way out.
    pub fn post(&self) -> &Arc<Post> {
        &self.post
    }

    fn store(&self) -> &dyn Store {
        &**self.log.store()
    }

    /// Adds to the commit of an ending what its recipients are told: those that received records of the learner, and nobody else. Returns the
    /// queues to wake when that is committed.
    pub async fn tell(
        &self,
        names: &Pseudonyms,
        ending: &Ending<'_>,
        batch: &mut Batch,
        entries: &mut Vec<Entry>,
        now: Timestamp,
    ) -> Result<Vec<Pid>, StoreError> {
        let mut queued = Vec::new();
        for recipient in self.deliveries.recipients(ending.subject).await? {
            let of: Vec<&Scope> = ending
                .ended
                .iter()
                .filter(|scope| scope.recipients.contains(&recipient))
                .collect();
            if of.is_empty() {
                continue;
            }
            let Some(agreements) = self.concerned(&recipient, ending).await? else {
                continue;
            };
            let pseudonym = Pseudonym::from(names.towards(&recipient).tag(ending.subject));
            let notice = Withdrawal {
                holder: self.trust.me().clone(),
                reason: ending.reason,
                consents: of.iter().map(|scope| scope.id.clone()).collect(),
                purposes: purposes(&of),
                agreements,
                at: ending.at,
                epoch: ending.epoch,
                streams: streams(ending.streams, &pseudonym),
                erase_by: ending.at.plus(ERASE_WITHIN),
                recipient,
                pseudonym,
            };
            let about = notice.pseudonym.as_str();
            let posted = self.post.put(batch, &notice.recipient, about, &notice, now)?;
            let told = Told {
                id: posted.id,
                notice,
                body: posted.body,
                delivery: Delivered::Waiting,
                erased: None,
            };
            batch.insert(TOLD, key(&posted.lane, posted.number), encode(&told)?);
            entries.push(posted.entry);
            queued.push(posted.lane);
        }
        Ok(queued)
    }

    /// The agreements of a recipient that no remaining consent covers; an empty list for all of them, none where each is covered.
    async fn concerned(
        &self,
        recipient: &ParticipantId,
        ending: &Ending<'_>,
    ) -> Result<Option<Vec<AgreementId>>, StoreError> {
        // The agreement that a consent was asked for under says why it was asked; it does not limit what the consent lets pass.
        if !ending
            .remaining
            .iter()
            .any(|scope| scope.recipients.contains(recipient))
        {
            return Ok(Some(Vec::new()));
        }
        let all = self.agreements.list().await?;
        let theirs = all
            .iter()
            .filter(|stored| stored.role == Role::Provider && stored.consumer == *recipient);
        let concerned: Vec<AgreementId> = theirs
            .filter(|stored| !self.is_covered(stored, ending))
            .map(|stored| stored.id.clone())
            .collect();
        Ok((!concerned.is_empty()).then_some(concerned))
    }

    fn is_covered(&self, stored: &StoredAgreement, ending: &Ending<'_>) -> bool {
        let facts = catalog::facts(&self.trust.party(&stored.consumer, ending.at), Action::Use, ending.at);
        let Some(plan) = catalog::read_policy(&stored.agreement)
            .ok()
            .and_then(|policy| catalog::plan(&policy, &facts).ok())
        else {
            return false;
        };
        let covers = |scope: &Scope| scope.covers(stored, &plan.purposes);
        ending.remaining.iter().any(covers)
    }

    /// Who was told about a learner, oldest first for each recipient.
    pub async fn of(&self, names: &Pseudonyms, subject: &str) -> Result<Vec<Told>, StoreError> {
        let mut found = Vec::new();
        for recipient in self.deliveries.recipients(subject).await? {
            let pseudonym = names.towards(&recipient).name(subject);
            found.extend(
                self.rows(&post::lane(&recipient, &pseudonym))
                    .await?
                    .into_iter()
                    .map(|(_, told)| told),
            );
        }
        Ok(found)
    }

    async fn rows(&self, lane: &Pid) -> Result<Vec<(Vec<u8>, Told)>, StoreError> {
        let mut found = Vec::new();
        let mut pages = Pages::new(self.store(), TOLD, post::lane_prefix(lane), PAGE);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                found.push((row.key, decode(&row.item.value)?));
            }
        }
        Ok(found)
    }

    /// Adds to a batch that nothing is known any more of what was told about a learner, and to whom. What is on its way arrives all the same.
    pub async fn forget(&self, names: &Pseudonyms, subject: &str, batch: &mut Batch) -> Result<(), StoreError> {
        for recipient in self.deliveries.recipients(subject).await? {
            let pseudonym = names.towards(&recipient).name(subject);
            for (key, _) in self.rows(&post::lane(&recipient, &pseudonym)).await? {
                batch.delete(TOLD, key);
            }
        }
        self.deliveries.forget(subject, batch).await
    }

    /// Adds to the commit that settles a message what is known of it from then on.
    pub(super) async fn settle(
        &self,
        sent: &Outgoing,
        outcome: &Outcome,
        batch: &mut Batch,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = key(&sent.pid, sent.number);
        // Of a learner who was forgotten meanwhile nothing is kept; messages of other kinds have no row.
        if let Some(item) = self.store().get(TOLD, &key).await? {
            let mut told: Told = decode(&item.value)?;
            told.delivery = delivered(outcome, now);
            batch.replace(TOLD, key, item.version, encode(&told)?);
        }
        Ok(())
    }

    /// Takes a recipient's word for what it erased.
    pub(super) async fn confirmed(
        &self,
        inbox: &Inbox,
        message: &Message<Erasure>,
        now: Timestamp,
    ) -> Result<Value, ExchangeError> {
        let mut opened = match inbox.open(message).await? {
            Arrival::Again(answer) => return Ok(answer),
            Arrival::New(opened) => opened,
        };
        let (sender, content) = (&message.sender().did, &message.value().content);
        if content.recipient != *sender || content.holder != *self.trust.me() {
            return Err(ExchangeError::WrongParty(
                "an erasure is told to the holder by the recipient",
            ));
        }
        let lane = post::lane(sender, content.pseudonym.as_str());
        let rows = self.rows(&lane).await?;
        let row = rows.into_iter().find(|(_, told)| told.id == content.notice);
        let (key, mut told) = row.ok_or(ExchangeError::UnknownNotice)?;
        told.erased = Some(Confirmed {
            at: content.at,
            records: content.records,
            body: String::from_utf8_lossy(message.body()).into_owned(),
            signature: message.signature().unwrap_or_default(),
        });
        let item = self
            .store()
            .get(TOLD, &key)
            .await?
            .ok_or(ExchangeError::UnknownNotice)?;
        opened.batch.replace(TOLD, key, item.version, encode(&told)?);
        let entry = Entry::new(Recorded::RecordsErased)
            .with("peer", sender.as_str())
            .with("records", content.records);
        opened.entries.push(entry);
        inbox
            .close(message, opened, message::taken(&message.value().id), now)
            .await
    }
}

fn key(lane: &Pid, number: u64) -> Vec<u8> {
    let mut key = post::lane_prefix(lane);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn purposes(of: &[&Scope]) -> Vec<String> {
    let mut all: Vec<String> = of.iter().flat_map(|scope| scope.purposes.iter().cloned()).collect();
    all.sort();
    all.dedup();
    all
}

/// Those in which the learner goes by this name: the streams of this recipient.
fn streams(all: &[StreamEnd], pseudonym: &Pseudonym) -> Vec<LastOf> {
    let theirs = all.iter().filter(|end| end.pseudonym == pseudonym.as_str());
    let last = |end: &StreamEnd| LastOf {
        transfer: end.transfer.clone(),
        last_sequence: end.last_sequence,
    };
    theirs.take(MOST_STREAMS).map(last).collect()
}

fn delivered(outcome: &Outcome, at: Timestamp) -> Delivered {
    match outcome {
        Outcome::Acknowledged { reply, .. } => Delivered::Acknowledged {
            at,
            signature: reply.as_ref().and_then(|reply| reply.about.signature.clone()),
            answer_signature: reply.as_ref().and_then(|reply| reply.about.answer_signature.clone()),
            answer: reply
                .as_ref()
                .map_or_else(String::new, |reply| String::from_utf8_lossy(&reply.body).into_owned()),
        },
        Outcome::Refused {
            status, explanation, ..
        } => Delivered::Refused {
            at,
            status: *status,
            why: explanation.reasons.join("; "),
        },
    }
}
