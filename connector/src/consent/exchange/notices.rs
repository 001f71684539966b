//! The holder's side of an ending: who is told of it, in the commit of the ending itself, and what each answers that it erased.

use super::{
    ExchangeError,
    inbox::{Arrival, Inbox, Message},
    message::{self, Erasure, LastOf, Withdrawal},
    post::{self, Post, Posted, Sheet},
    scope::{Agreed, Ending, Scope, concerned, may_have_passed_on},
};
use crate::{
    audit::{Entry, Kind as Recorded, Log},
    catalog,
    consent::{About, ConsentId, Declared, Deliveries, Pseudonym, Pseudonyms, StreamEnd, deliveries::Pair},
    contract::{Agreements, StoredAgreement},
    dsp::{AgreementId, MessageId, ParticipantId, Pid, Role},
    jose::HmacKey,
    process::{Outgoing, Queue, decode, encode, outbox::Outcome},
    store::{Batch, Pages, Store, StoreError, Table},
    trust::Trust,
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use utoipa::ToSchema;

/// What was told, by queue and number of the message.
pub(super) const TOLD: Table = Table(62);
/// How many rows are read at a time.
const PAGE: usize = 64;
/// Most streams of one recipient that are named with their last number. Of one that is not named, everything is erased.
const MOST_STREAMS: usize = 100;
/// Most agreements that one message names: what is stored of it has a limit.
const MOST_AGREEMENTS: usize = 100;

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

/// One that received records of a learner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RecipientOfRecords)]
pub struct Recipient {
    /// Who.
    pub recipient: ParticipantId,
    /// The legal name, if credentials have said it.
    #[schema(required)]
    pub name: Option<String>,
    /// When the first record was about to be handed over; none where that was before the time was noted.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub first: Option<Timestamp>,
}

/// Who is told of endings.
pub struct Notices {
    log: Arc<Log>,
    trust: Arc<Trust>,
    agreements: Agreements,
    deliveries: Arc<Deliveries>,
    post: Arc<Post>,
    deletion: Duration,
}

impl Notices {
    /// Over the log's store; `key` keeps learners' identifiers out of it, `queue` wakes who delivers. Recipients have `deletion` to erase: what
    /// records and receipts say ([`crate::consent::Privacy::deletion`]).
    pub async fn load(
        log: Arc<Log>,
        trust: Arc<Trust>,
        key: HmacKey,
        queue: Arc<Queue>,
        deletion: Duration,
    ) -> Result<Self, StoreError> {
        let store = log.store().clone();
        Ok(Self {
            agreements: Agreements::new(store.clone()),
            post: Arc::new(Post::load(&*store, queue).await?),
            deliveries: Arc::new(Deliveries::new(store, key)),
            log,
            trust,
            deletion,
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

    /// Who holds the records.
    pub(super) fn holder(&self) -> &ParticipantId {
        self.trust.me()
    }

    fn store(&self) -> &dyn Store {
        &**self.log.store()
    }

    /// Adds to the commit of an ending what its recipients are told: those that received records of the learner, and nobody else.
    pub(super) async fn tell(
        &self,
        about: &About<'_>,
        ending: &Ending<'_>,
        sheet: &mut Sheet,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for recipient in self.deliveries.recipients(about.subject).await? {
            if ending.ended.iter().any(|scope| scope.recipients.contains(&recipient)) {
                let theirs = self.agreed(&recipient).await?;
                let pseudonym = Pseudonym::from(about.pseudonyms.towards(&recipient).tag(about.subject));
                self.tell_one((&recipient, &theirs), &pseudonym, ending, sheet, now)?;
            }
        }
        Ok(())
    }

    /// Adds to a commit what one recipient with these agreements is told of an ending, if it takes something away there.
    pub(super) fn tell_one(
        &self,
        (recipient, theirs): (&ParticipantId, &[Agreed]),
        pseudonym: &Pseudonym,
        ending: &Ending<'_>,
        sheet: &mut Sheet,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(agreements) = concerned(theirs, recipient, ending) else {
            return Ok(());
        };
        // No agreement at all means all of them.
        let mut chunks: Vec<&[AgreementId]> = agreements.chunks(MOST_AGREEMENTS).collect();
        if chunks.is_empty() {
            chunks.push(&[]);
        }
        let of = ending.ended.iter().filter(|scope| scope.recipients.contains(recipient));
        let of: Vec<&Scope> = of.collect();
        for agreements in chunks {
            let notice = Withdrawal {
                holder: self.trust.me().clone(),
                recipient: recipient.clone(),
                pseudonym: pseudonym.clone(),
                reason: ending.reason,
                consents: of.iter().map(|scope| scope.id.clone()).collect(),
                purposes: purposes(&of),
                agreements: agreements.to_vec(),
                at: ending.at,
                epoch: ending.epoch,
                streams: streams(ending.streams, pseudonym),
                erase_by: ending.at.plus(self.deletion),
            };
            self.queue(notice, sheet, now)?;
        }
        Ok(())
    }

    fn queue(&self, notice: Withdrawal, sheet: &mut Sheet, now: Timestamp) -> Result<(), StoreError> {
        let about = notice.pseudonym.as_str();
        let posted = self
            .post
            .put(&mut sheet.batch, &notice.recipient, about, &notice, now)?;
        let Posted {
            id,
            lane,
            number,
            body,
            entry,
        } = posted;
        let told = Told {
            id,
            notice,
            body,
            delivery: Delivered::Waiting,
            erased: None,
        };
        sheet.batch.insert(TOLD, key(&lane, number), encode(&told)?);
        sheet.add(lane, entry);
        Ok(())
    }

    /// The agreements under which a recipient may have received something, those that have no force any more too.
    pub(super) async fn agreed(&self, recipient: &ParticipantId) -> Result<Vec<Agreed>, StoreError> {
        let all = self.agreements.ever().await?;
        let theirs = all
            .into_iter()
            .filter(|stored| stored.role == Role::Provider && stored.consumer == *recipient);
        let read = |stored: StoredAgreement| {
            let policy = catalog::read_policy(&stored.agreement).ok();
            Agreed {
                bounds: policy.and_then(|policy| catalog::bounds(&policy, recipient)),
                id: stored.id,
                dataset: stored.dataset,
            }
        };
        Ok(theirs.map(read).collect())
    }

    /// Who received records of a learner (GDPR Art. 15(1)(c)), in the order in which that began; first those of whom it is not known.
    pub async fn recipients(&self, subject: &str) -> Result<Vec<Recipient>, StoreError> {
        let mut pairs = self.deliveries.of(subject).await?;
        pairs.sort_by(|a, b| (a.first, &a.recipient).cmp(&(b.first, &b.recipient)));
        let known = |pair: Pair| Recipient {
            name: self.trust.legal_name(&pair.recipient),
            first: pair.first,
            recipient: pair.recipient,
        };
        Ok(pairs.into_iter().map(known).collect())
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

    /// The first of these bases on which records may have gone out to one of those that received some: its end would be told there.
    pub(super) async fn received_on(&self, met: &[Pair], bases: &[Declared]) -> Result<Option<ConsentId>, StoreError> {
        for Pair { recipient, .. } in met {
            let theirs = self.agreed(recipient).await?;
            let mut bases = bases.iter();
            if let Some(basis) = bases.find(|basis| may_have_passed_on(basis, &theirs, recipient)) {
                return Ok(Some(basis.id.clone()));
            }
        }
        Ok(None)
    }

    /// Adds to a batch that nothing is known any more of what was told about a learner, and to whom. What is on its way arrives all the same.
    pub(super) async fn forget(
        &self,
        names: &Pseudonyms,
        subject: &str,
        met: Vec<Pair>,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        for pair in &met {
            let pseudonym = names.towards(&pair.recipient).name(subject);
            for (key, _) in self.rows(&post::lane(&pair.recipient, &pseudonym)).await? {
                batch.delete(TOLD, key);
            }
        }
        self.deliveries.forget(met, batch);
        Ok(())
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
        goes_on: end.goes_on,
    };
    theirs.take(MOST_STREAMS).map(last).collect()
}

pub(super) fn delivered(outcome: &Outcome, at: Timestamp) -> Delivered {
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
