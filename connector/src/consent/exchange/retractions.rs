//! The recipient's side of an ending: what a holder told us, which of its records are therefore not kept and not taken any more, and what was
//! erased. A pseudonym stays here only until its records are erased; then its hash is enough to know it again.

use super::{
    ExchangeError,
    inbox::{Arrival, Inbox, Message},
    message::{self, EndReason, ErasedOf, Erasure, LastOf, Withdrawal},
    post::Post,
};
use crate::{
    audit::{Entry, Kind as Recorded, Log},
    consent::Pseudonym,
    dsp::{AgreementId, MessageId, ParticipantId, Pid},
    jose::{self, Digest},
    process::{self, decode, encode},
    store::{Batch, Pages, StoreError, Table},
    trust::Trust,
};
use memchr::memmem;
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::sync::Notify;
use utoipa::ToSchema;

/// What holders told us, by the hash of holder and pseudonym and the hash of the message's id.
const RETRACTIONS: Table = Table(63);
/// How many rows are read at a time.
const PAGE: usize = 64;
/// What clocks may differ by: as much as the signatures of messages allow.
const SKEW: Duration = Duration::from_secs(60);
/// What a pseudonym as a JSON string begins with. Its characters are never escaped.
const START: &[u8] = b"\"p:";
/// How long a pseudonym is.
const LENGTH: usize = 24;
/// Most transfers that an [`Erasure`] names.
const NAMED: usize = 100;

/// What a holder told us about a learner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retraction {
    /// The holder's message.
    pub notice: MessageId,
    /// The holder.
    pub holder: ParticipantId,
    /// The learner, until their records are erased.
    #[schema(required)]
    pub pseudonym: Option<Pseudonym>,
    /// Hash of holder and pseudonym.
    #[schema(value_type = String)]
    pub name: Digest,
    /// Why.
    pub reason: EndReason,
    /// When the consent ended.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// When we were told.
    #[schema(value_type = String, format = DateTime)]
    pub received: Timestamp,
    /// Only what came under these agreements; all if none is listed.
    pub agreements: Vec<AgreementId>,
    /// The last number that may hold a record of the learner, by the holder's id of the transfer.
    pub streams: Vec<LastOf>,
    /// Until when everything is to be erased.
    #[schema(value_type = String, format = DateTime)]
    pub erase_by: Timestamp,
    /// How many records were erased, once that is done.
    #[schema(required)]
    pub erased: Option<u64>,
    /// Its records are being erased: what still arrives of them is left out.
    #[serde(skip)]
    pub closing: bool,
    /// A later consent of the learner, which permits later records.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub reopened: Option<Timestamp>,
}

/// The stream that a record came in.
#[derive(Clone, Debug)]
pub struct Stream {
    /// The holder's id of the transfer.
    pub transfer: Option<Pid>,
    /// The agreement.
    pub agreement: AgreementId,
    /// When the transfer was asked for, here.
    pub created: Timestamp,
}

/// Where a record is when it is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is kept already.
    Kept,
    /// It arrives now.
    Arriving,
}

impl Retraction {
    /// Whether a record of this learner, number `n` of a stream, may not be kept.
    fn covers(&self, stream: &Stream, n: u64, place: Place) -> bool {
        if !self.agreements.is_empty() && !self.agreements.contains(&stream.agreement) {
            return false;
        }
        let last = self
            .streams
            .iter()
            .find(|last| Some(&last.transfer) == stream.transfer.as_ref());
        match last {
            // What was on its way is erased with the rest.
            Some(last) if n <= last.last_sequence => place == Place::Kept || self.closing || self.erased.is_some(),
            Some(_) => self.reopened.is_none(),
            // It was asked for when the holder had long closed: whatever comes, the holder has decided anew.
            None if stream.created > self.at.plus(SKEW) => false,
            None => place == Place::Kept || self.reopened.is_none(),
        }
    }
}

type Rules = HashMap<Digest, Vec<Retraction>>;

/// All that holders told us.
pub struct Retractions {
    log: Arc<Log>,
    trust: Arc<Trust>,
    post: Arc<Post>,
    /// By holder.
    rules: RwLock<HashMap<ParticipantId, Arc<Rules>>>,
    told: Notify,
}

/// What a holder told us, for one of its streams.
#[derive(Clone)]
pub struct Filter {
    rules: Arc<Rules>,
    holder: ParticipantId,
    stream: Stream,
}

impl Filter {
    /// The message because of which a record may not be kept, if there is one.
    pub fn leaves_out(&self, n: u64, record: &[u8], place: Place) -> Option<&MessageId> {
        memmem::find_iter(record, START).find_map(|at| {
            // The quotation mark comes first.
            let end = at + 1 + LENGTH;
            let name = record.get(at + 1..end).filter(|_| record.get(end) == Some(&b'"'))?;
            let known = self.rules.get(&name_of(&self.holder, name))?;
            let covering = known.iter().find(|rule| rule.covers(&self.stream, n, place))?;
            Some(&covering.notice)
        })
    }
}

fn name_of(holder: &ParticipantId, pseudonym: &[u8]) -> Digest {
    jose::digest::sha256_parts(&[holder.as_str().as_bytes(), b"\0", pseudonym])
}

fn key(retraction: &Retraction) -> Vec<u8> {
    let notice = jose::sha256(retraction.notice.as_str().as_bytes());
    [retraction.name.as_bytes().as_slice(), notice.as_bytes()].concat()
}

impl Retractions {
    /// Reads what we were told before.
    pub async fn load(log: Arc<Log>, trust: Arc<Trust>, post: Arc<Post>) -> Result<Self, StoreError> {
        let all: Vec<Retraction> = process::all(&**log.store(), RETRACTIONS).await?;
        let this = Self {
            log,
            trust,
            post,
            rules: RwLock::default(),
            told: Notify::new(),
        };
        all.into_iter().for_each(|retraction| this.remember(retraction));
        Ok(this)
    }

    fn remember(&self, retraction: Retraction) {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let of_holder = Arc::make_mut(rules.entry(retraction.holder.clone()).or_default());
        let of_learner = of_holder.entry(retraction.name).or_default();
        of_learner.retain(|known| known.notice != retraction.notice);
        of_learner.push(retraction);
    }

    /// What applies to a stream of a holder; none where the holder has told us nothing.
    pub fn filter(&self, holder: &ParticipantId, stream: &Stream) -> Option<Filter> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.get(holder).map(|rules| Filter {
            rules: rules.clone(),
            holder: holder.clone(),
            stream: stream.clone(),
        })
    }

    /// Takes a holder's word that a consent has ended. From now on nothing of it is taken any more; what is there is erased beside.
    pub(super) async fn told(
        &self,
        inbox: &Inbox,
        message: &Message<Withdrawal>,
        now: Timestamp,
    ) -> Result<Value, ExchangeError> {
        let mut opened = match inbox.open(message).await? {
            Arrival::Again(answer) => return Ok(answer),
            Arrival::New(opened) => opened,
        };
        let (sender, content) = (&message.sender().did, &message.value().content);
        if content.holder != *sender || content.recipient != *self.trust.me() {
            return Err(ExchangeError::WrongParty(
                "an ending is told by the holder to a recipient",
            ));
        }
        if content.at > now.plus(SKEW) {
            return Err(ExchangeError::Invalid("it is about the future".into()));
        }
        let name = name_of(sender, content.pseudonym.as_str().as_bytes());
        if self.known(sender, &name).iter().any(|known| known.at > content.at) {
            return Err(ExchangeError::Stale(
                "a newer ending of this learner's consent is known",
            ));
        }
        if self
            .known(sender, &name)
            .iter()
            .any(|known| known.reopened.is_some_and(|since| since > content.at))
        {
            return Err(ExchangeError::Stale("the learner has consented again since"));
        }
        let retraction = Retraction {
            notice: message.value().id.clone(),
            holder: sender.clone(),
            pseudonym: Some(content.pseudonym.clone()),
            name,
            reason: content.reason,
            at: content.at,
            received: now,
            agreements: content.agreements.clone(),
            streams: content.streams.clone(),
            erase_by: content.erase_by,
            erased: None,
            closing: false,
            reopened: None,
        };
        opened.batch.insert(RETRACTIONS, key(&retraction), encode(&retraction)?);
        let answer = message::taken(&message.value().id);
        let answer = inbox.close(message, opened, answer, now).await?;
        self.remember(retraction);
        self.told.notify_one();
        Ok(answer)
    }

    fn known(&self, holder: &ParticipantId, name: &Digest) -> Vec<Retraction> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        let known = rules.get(holder).and_then(|rules| rules.get(name));
        known.cloned().unwrap_or_default()
    }

    /// Whether a consent of this time comes too late: what it gave was taken back after it.
    pub fn is_stale(&self, holder: &ParticipantId, pseudonym: &Pseudonym, given: Timestamp) -> bool {
        let name = name_of(holder, pseudonym.as_str().as_bytes());
        self.known(holder, &name).iter().any(|known| given <= known.at)
    }

    /// Adds to a commit that the learner has consented again. Call [`Self::remember_all`] with what is returned when that is done.
    pub(super) async fn reopen(
        &self,
        holder: &ParticipantId,
        pseudonym: &Pseudonym,
        given: Timestamp,
        batch: &mut Batch,
    ) -> Result<Vec<Retraction>, StoreError> {
        let name = name_of(holder, pseudonym.as_str().as_bytes());
        let mut changed = Vec::new();
        let mut pages = Pages::new(&**self.log.store(), RETRACTIONS, name.as_bytes().as_slice(), PAGE);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let mut known: Retraction = decode(&row.item.value)?;
                if known.reopened.is_none() && known.at < given {
                    known.reopened = Some(given);
                    batch.replace(RETRACTIONS, row.key, row.item.version, encode(&known)?);
                    changed.push(known);
                }
            }
        }
        Ok(changed)
    }

    pub(super) fn remember_all(&self, changed: Vec<Retraction>) {
        changed.into_iter().for_each(|retraction| self.remember(retraction));
    }

    /// What has still to be erased.
    pub fn pending(&self) -> Vec<Retraction> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        let all = rules.values().flat_map(|rules| rules.values()).flatten();
        all.filter(|retraction| retraction.erased.is_none()).cloned().collect()
    }

    /// What has still to be erased; nothing of it is taken in from now on.
    pub fn close(&self) -> Vec<Retraction> {
        let mut pending = self.pending();
        for retraction in &mut pending {
            retraction.closing = true;
            self.remember(retraction.clone());
        }
        pending
    }

    /// Waits until there may be something to erase.
    pub async fn changed(&self) {
        self.told.notified().await;
    }

    /// All that we were told, oldest first.
    pub fn list(&self) -> Vec<Retraction> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Retraction> = rules
            .values()
            .flat_map(|rules| rules.values())
            .flatten()
            .cloned()
            .collect();
        all.sort_by(|a, b| (a.received, &a.notice).cmp(&(b.received, &b.notice)));
        all
    }

    /// Notes that everything of a learner is erased, and tells the holder, in one commit. The pseudonym goes.
    pub async fn erased(
        &self,
        notice: &Retraction,
        mut transfers: Vec<ErasedOf>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(pseudonym) = notice.pseudonym.clone() else {
            return Ok(());
        };
        let key = key(notice);
        let Some(item) = self.log.store().get(RETRACTIONS, &key).await? else {
            return Ok(());
        };
        let mut retraction: Retraction = decode(&item.value)?;
        let records = transfers.iter().map(|of| of.records).sum();
        retraction.erased = Some(records);
        retraction.pseudonym = None;
        transfers.truncate(NAMED);
        let erasure = Erasure {
            notice: notice.notice.clone(),
            holder: notice.holder.clone(),
            recipient: self.trust.me().clone(),
            pseudonym,
            at: now,
            records,
            transfers,
        };
        let mut batch = Batch::new();
        let about = erasure.pseudonym.as_str();
        let posted = self.post.put(&mut batch, &notice.holder, about, &erasure, now)?;
        batch.replace(RETRACTIONS, key, item.version, encode(&retraction)?);
        let entry = Entry::new(Recorded::RecordsErased)
            .with("peer", notice.holder.as_str())
            .with("records", records);
        self.log.commit(batch, entry, vec![posted.entry], now).await?;
        self.remember(retraction);
        self.post.wake(&posted.lane);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn retraction() -> Retraction {
        let holder: ParticipantId = "did:web:school.example".parse().unwrap();
        let pseudonym: Pseudonym = "p:AAAAAAAAAAAAAAAAAAAAAA".parse().unwrap();
        Retraction {
            notice: "urn:uuid:n".parse().unwrap(),
            name: name_of(&holder, pseudonym.as_str().as_bytes()),
            holder,
            pseudonym: Some(pseudonym),
            reason: EndReason::Withdrawn,
            at: at(1_000),
            received: at(1_001),
            agreements: Vec::new(),
            streams: vec![LastOf {
                transfer: "urn:uuid:running".parse().unwrap(),
                last_sequence: 7,
            }],
            erase_by: at(2_000),
            erased: None,
            closing: false,
            reopened: None,
        }
    }

    fn stream(transfer: &str, created: i64) -> Stream {
        Stream {
            transfer: Some(transfer.parse().unwrap()),
            agreement: "urn:uuid:agreement".parse().unwrap(),
            created: at(created),
        }
    }

    #[test]
    fn what_came_before_the_ending_is_covered_and_what_was_asked_for_long_after_is_not() {
        let told = retraction();
        for place in [Place::Kept, Place::Arriving] {
            assert_eq!(
                told.covers(&stream("urn:uuid:running", 900), 7, place),
                place == Place::Kept,
                "on its way"
            );
            let closing = Retraction {
                closing: true,
                ..told.clone()
            };
            assert!(closing.covers(&stream("urn:uuid:running", 900), 7, place));
            assert!(
                told.covers(&stream("urn:uuid:running", 900), 8, place),
                "it should not have come"
            );
            assert!(told.covers(&stream("urn:uuid:older", 900), 1, place));
            assert!(!told.covers(&stream("urn:uuid:newer", 1_100), 1, place));
        }
    }

    #[test]
    fn a_later_consent_lets_later_records_in_and_leaves_earlier_ones_out() {
        let told = Retraction {
            reopened: Some(at(1_050)),
            ..retraction()
        };
        let running = stream("urn:uuid:running", 900);
        assert!(told.covers(&running, 7, Place::Kept) && !told.covers(&running, 8, Place::Kept));
        assert!(!told.covers(&running, 8, Place::Arriving));
        let older = stream("urn:uuid:older", 900);
        assert!(told.covers(&older, 1, Place::Kept) && !told.covers(&older, 1, Place::Arriving));
    }

    #[test]
    fn only_what_came_under_the_agreements_that_are_named_is_covered() {
        let mut told = retraction();
        told.agreements = vec!["urn:uuid:another".parse().unwrap()];
        assert!(!told.covers(&stream("urn:uuid:older", 900), 1, Place::Kept));
        told.agreements.push("urn:uuid:agreement".parse().unwrap());
        assert!(told.covers(&stream("urn:uuid:older", 900), 1, Place::Kept));
    }

    #[test]
    fn a_record_is_found_by_the_whole_pseudonym_of_that_holder_alone() {
        let told = retraction();
        let rules: Rules = [(told.name, vec![told.clone()])].into();
        let filter = |holder: &str| Filter {
            rules: Arc::new(rules.clone()),
            holder: holder.parse().unwrap(),
            stream: stream("urn:uuid:older", 900),
        };
        let (ours, other) = (filter("did:web:school.example"), filter("did:web:other.example"));
        let record = br#"{"a":"p:x","sub":"p:AAAAAAAAAAAAAAAAAAAAAA"}"#;
        assert_eq!(ours.leaves_out(1, record, Place::Kept), Some(&told.notice));
        assert_eq!(other.leaves_out(1, record, Place::Kept), None);
        for another in [
            br#"{"sub":"p:AAAAAAAAAAAAAAAAAAAAAB"}"#.as_slice(),
            br#"{"sub":"p:AAAAAAAAAAAAAAAAAAAAAAA"}"#,
            br#"{"sub":"p:AAAAAAAAAAAAAAAAAAAAA"}"#,
            br#"{"sub":"xp:AAAAAAAAAAAAAAAAAAAAAA"}"#,
            br#"{"sub":"p:"#,
        ] {
            assert_eq!(ours.leaves_out(1, another, Place::Kept), None);
        }
    }
}
