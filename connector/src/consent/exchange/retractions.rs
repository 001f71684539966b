//! The recipient's side of an ending: what a holder told us, which of its records are therefore not kept and not taken any more, and what was
//! erased. A pseudonym stays here only until its records are erased; then its hash is enough to know it again. What an ending means for one
//! record is in `retraction`.

use super::{
    ExchangeError,
    inbox::{Arrival, Inbox, Message},
    message::{self, ErasedOf, Erasure, Withdrawal},
    post::Post,
    received,
    retraction::{Filter, Retraction, Rules, SKEW, Stream, name_of},
};
use crate::{
    audit::{Entry, Kind as Recorded, Log},
    consent::{ConsentId, Pseudonym},
    dsp::{MessageId, ParticipantId},
    jose::{self, Digest},
    process::{self, decode, encode},
    store::{Batch, Pages, StoreError, Table, Turn, Turns},
    trust::Trust,
};
use policy::Timestamp;
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};
use tokio::sync::Notify;

/// What holders told us, by the hash of holder and pseudonym and the hash of the message's id.
const RETRACTIONS: Table = Table(63);
/// How many rows are read at a time.
const PAGE: usize = 64;
/// Most transfers that an [`Erasure`] names.
const NAMED: usize = 100;

/// All that holders told us.
pub struct Retractions {
    log: Arc<Log>,
    trust: Arc<Trust>,
    post: Arc<Post>,
    /// By holder.
    rules: RwLock<HashMap<ParticipantId, Arc<Rules>>>,
    /// Of endings and receipts of one learner each sees what the one before it has led to.
    turns: Turns,
    told: Notify,
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
            turns: Turns::default(),
            told: Notify::new(),
        };
        all.into_iter().for_each(|retraction| this.remember(retraction));
        Ok(this)
    }

    fn rules(&self) -> RwLockReadGuard<'_, HashMap<ParticipantId, Arc<Rules>>> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn rules_mut(&self) -> RwLockWriteGuard<'_, HashMap<ParticipantId, Arc<Rules>>> {
        self.rules.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remember(&self, retraction: Retraction) {
        let mut rules = self.rules_mut();
        let of_holder = Arc::make_mut(rules.entry(retraction.holder.clone()).or_default());
        of_holder.entry(retraction.name).or_default().push(retraction);
    }

    /// Changes what is known of some endings of a learner where it is: nobody puts back an older copy of one.
    fn update(&self, holder: &ParticipantId, name: &Digest, change: impl FnMut(&mut Retraction)) {
        let mut rules = self.rules_mut();
        let of_learner = rules
            .get_mut(holder)
            .and_then(|rules| Arc::make_mut(rules).get_mut(name));
        of_learner.into_iter().flatten().for_each(change);
    }

    /// Until it is dropped, nothing else that concerns this learner is taken in.
    pub(super) async fn turn(&self, holder: &ParticipantId, pseudonym: &Pseudonym) -> Turn {
        let name = name_of(holder, pseudonym.as_str().as_bytes());
        self.turns.of(&[name.to_hex().as_str()]).await
    }

    /// What applies to a stream of a holder; none where the holder has told us nothing.
    pub fn filter(&self, holder: &ParticipantId, stream: &Stream) -> Option<Filter> {
        self.rules().get(holder).map(|rules| Filter {
            rules: rules.clone(),
            holder: holder.clone(),
            stream: stream.clone(),
        })
    }

    /// After which time a transfer has to be asked for so that nothing told by now keeps out of it what remains permitted; none where nothing keeps
    /// anything out of this stream. What was asked for before, or too soon after for clocks to tell, lacks all of a learner's.
    pub fn over_after(&self, holder: &ParticipantId, stream: &Stream) -> Option<Timestamp> {
        let rules = self.rules();
        let all = rules.get(holder)?.values().flatten();
        let concerning = all.filter(|told| told.concerns(stream));
        concerning.map(|told| told.closed().plus(SKEW)).max()
    }

    /// Takes a holder's word that a consent has ended. From now on nothing of it is taken any more; what is there is erased beside. One that
    /// comes late is taken as well, because it may name what a newer one does not; what a later consent permits it leaves alone. So is one that is
    /// said to be of a time to come, as it is once a holder's clock went back. However many are kept, there is room for one more: what was not
    /// taken would not be erased (GDPR Art. 19).
    pub(super) async fn told(
        &self,
        inbox: &Inbox,
        message: &Message<Withdrawal>,
        now: Timestamp,
    ) -> Result<Value, ExchangeError> {
        let (sender, content) = (&message.sender().did, &message.value().content);
        let _turn = self.turn(sender, &content.pseudonym).await;
        let mut opened = match inbox.open(message).await? {
            Arrival::Again(answer) => return Ok(answer),
            Arrival::New(opened) => opened,
        };
        if content.holder != *sender || content.recipient != *self.trust.me() {
            return Err(ExchangeError::WrongParty(
                "an ending is told by the holder to a recipient",
            ));
        }
        let mut retraction = Retraction {
            notice: message.value().id.clone(),
            holder: sender.clone(),
            pseudonym: Some(content.pseudonym.clone()),
            name: name_of(sender, content.pseudonym.as_str().as_bytes()),
            reason: content.reason,
            consents: content.consents.clone(),
            at: content.at,
            received: now,
            agreements: content.agreements.clone(),
            streams: content.streams.clone(),
            erase_by: content.erase_by,
            erased: None,
            closing: false,
            reopened: None,
        };
        retraction.reopened = received::end(&**self.log.store(), &retraction, &mut opened.batch).await?;
        opened.batch.insert(RETRACTIONS, key(&retraction), encode(&retraction)?);
        let answer = message::taken(&message.value().id);
        let answer = inbox.close(message, opened, answer, now).await?;
        self.remember(retraction);
        self.told.notify_one();
        Ok(answer)
    }

    /// Whether a consent of this time comes too late: what it gave was taken back after it.
    pub fn is_stale(
        &self,
        holder: &ParticipantId,
        pseudonym: &Pseudonym,
        (consent, given): (&ConsentId, Timestamp),
    ) -> bool {
        let name = name_of(holder, pseudonym.as_str().as_bytes());
        let rules = self.rules();
        let known = rules.get(holder).and_then(|rules| rules.get(&name));
        known.into_iter().flatten().any(|known| known.overtakes(consent, given))
    }

    /// Adds to a commit that the learner has consented again. Call [`Self::reopened`] with what is returned when that is done.
    pub(super) async fn reopen(
        &self,
        holder: &ParticipantId,
        pseudonym: &Pseudonym,
        (consent, given): (&ConsentId, Timestamp),
        batch: &mut Batch,
    ) -> Result<Vec<MessageId>, StoreError> {
        let name = name_of(holder, pseudonym.as_str().as_bytes());
        let mut changed = Vec::new();
        let mut pages = Pages::new(&**self.log.store(), RETRACTIONS, name.as_bytes().as_slice(), PAGE);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let mut known: Retraction = decode(&row.item.value)?;
                if known.reopened.is_none() && !known.overtakes(consent, given) {
                    known.reopened = Some(given);
                    batch.replace(RETRACTIONS, row.key, row.item.version, encode(&known)?);
                    changed.push(known.notice);
                }
            }
        }
        Ok(changed)
    }

    /// What [`Self::reopen`] named is committed.
    pub(super) fn reopened(
        &self,
        holder: &ParticipantId,
        pseudonym: &Pseudonym,
        given: Timestamp,
        notices: &[MessageId],
    ) {
        let name = name_of(holder, pseudonym.as_str().as_bytes());
        self.update(holder, &name, |known| {
            if notices.contains(&known.notice) {
                known.reopened = Some(given);
            }
        });
    }

    /// What has still to be erased.
    pub fn pending(&self) -> Vec<Retraction> {
        let rules = self.rules();
        let all = rules.values().flat_map(|rules| rules.values()).flatten();
        all.filter(|retraction| retraction.erased.is_none()).cloned().collect()
    }

    /// What has still to be erased; nothing of it is taken in from now on.
    pub fn close(&self) -> Vec<Retraction> {
        for of_holder in self.rules_mut().values_mut() {
            let is_open = |known: &Retraction| known.erased.is_none() && !known.closing;
            if !of_holder.values().flatten().any(is_open) {
                continue;
            }
            for known in Arc::make_mut(of_holder).values_mut().flatten() {
                known.closing = known.closing || known.erased.is_none();
            }
        }
        // What was told since then is closed the next time.
        let mut pending = self.pending();
        pending.retain(|known| known.closing);
        pending
    }

    /// Waits until there may be something to erase.
    pub async fn changed(&self) {
        self.told.notified().await;
    }

    /// All that we were told, oldest first.
    pub fn list(&self) -> Vec<Retraction> {
        let rules = self.rules();
        let all = rules.values().flat_map(|rules| rules.values()).flatten();
        let mut all: Vec<Retraction> = all.cloned().collect();
        drop(rules);
        all.sort_by(|a, b| (a.received, &a.notice).cmp(&(b.received, &b.notice)));
        all
    }

    /// Notes that everything of a learner is erased, and tells the holder, in one commit with `batch`. The pseudonym goes.
    pub async fn erased(
        &self,
        notice: &Retraction,
        mut transfers: Vec<ErasedOf>,
        mut batch: Batch,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(pseudonym) = notice.pseudonym.clone() else {
            return Ok(());
        };
        let _turn = self.turn(&notice.holder, &pseudonym).await;
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
        let about = erasure.pseudonym.as_str();
        let posted = self.post.put(&mut batch, &notice.holder, about, &erasure, now)?;
        batch.replace(RETRACTIONS, key, item.version, encode(&retraction)?);
        let entry = Entry::new(Recorded::RecordsErased)
            .with("peer", notice.holder.as_str())
            .with("records", records);
        self.log.commit(batch, entry, vec![posted.entry], now).await?;
        self.update(&retraction.holder, &retraction.name, |known| {
            if known.notice == retraction.notice {
                known.erased = Some(records);
                known.pseudonym = None;
            }
        });
        self.post.wake(&posted.lane);
        Ok(())
    }

    /// Forgets what was dealt with before `since`; returns how much that was.
    pub(super) async fn sweep(&self, since: Timestamp) -> Result<usize, StoreError> {
        let mut settled = self.list();
        settled.retain(|known| known.erased.is_some() && known.received < since);
        for known in &settled {
            let mut batch = Batch::new();
            batch.delete(RETRACTIONS, key(known));
            self.log.store().commit(batch).await?;
            let mut rules = self.rules_mut();
            let of_holder = rules.get_mut(&known.holder).map(Arc::make_mut);
            if let Some(of_learner) = of_holder.and_then(|rules| rules.get_mut(&known.name)) {
                of_learner.retain(|one| one.notice != known.notice);
            }
        }
        Ok(settled.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{consent::tests::over, store::MemoryStore};
    use serde_json::json;

    const CONSENT: &str = "urn:uuid:00000000-0000-4000-8000-000000000001";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn holder() -> ParticipantId {
        "did:web:school.example".parse().unwrap()
    }

    fn learner() -> Pseudonym {
        "p:AAAAAAAAAAAAAAAAAAAAAA".parse().unwrap()
    }

    fn told(erased: Option<u64>) -> Retraction {
        serde_json::from_value(json!({
            "notice": "urn:uuid:n", "holder": holder(), "pseudonym": learner(),
            "name": name_of(&holder(), learner().as_str().as_bytes()), "reason": "withdrawn", "at": at(1_000),
            "received": at(1_001), "agreements": [], "streams": [], "eraseBy": at(2_000), "erased": erased, "reopened": null,
        }))
        .unwrap()
    }

    async fn with(told: &Retraction) -> Retractions {
        let store = Arc::new(MemoryStore::new());
        let consents = over(store).await;
        let mut batch = Batch::new();
        batch.put(RETRACTIONS, key(told), encode(told).unwrap());
        consents.log.store().commit(batch).await.unwrap();
        let post = Post::load(&**consents.log.store(), Arc::default()).await.unwrap();
        Retractions::load(consents.log.clone(), consents.trust.clone(), Arc::new(post))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_later_consent_and_the_erasure_of_an_ending_do_not_undo_each_other() {
        let retractions = with(&told(None)).await;
        let pending = retractions.close();
        let (mut batch, consent) = (Batch::new(), CONSENT.parse().unwrap());
        // In the very instant of the ending.
        let given = (&consent, at(1_000));
        assert!(!retractions.is_stale(&holder(), &learner(), given));
        let reopened = retractions
            .reopen(&holder(), &learner(), given, &mut batch)
            .await
            .unwrap();
        retractions.log.store().commit(batch).await.unwrap();
        retractions.reopened(&holder(), &learner(), at(1_000), &reopened);
        let known = retractions.list();
        assert!(known[0].closing && known[0].reopened == Some(at(1_000)), "{known:?}");
        retractions
            .erased(&pending[0], Vec::new(), Batch::new(), at(1_100))
            .await
            .unwrap();
        let known = retractions.list();
        assert_eq!(
            (known[0].erased, known[0].reopened, &known[0].pseudonym),
            (Some(0), Some(at(1_000)), &None)
        );
        assert!(retractions.pending().is_empty());
        let kept: Vec<Retraction> = process::all(&**retractions.log.store(), RETRACTIONS).await.unwrap();
        assert_eq!((kept[0].erased, kept[0].reopened), (Some(0), Some(at(1_000))));
    }

    #[tokio::test]
    async fn it_is_known_after_which_time_a_transfer_lacks_nothing_that_remains_permitted() {
        let retractions = with(&told(None)).await;
        let stream = |created| Stream {
            transfer: None,
            agreement: "urn:uuid:agreement".parse().unwrap(),
            created: at(created),
        };
        for created in [900, 1_001, 1_060] {
            let over = retractions.over_after(&holder(), &stream(created));
            assert_eq!(over, Some(at(1_060)), "{created}");
        }
        assert_eq!(retractions.over_after(&holder(), &stream(1_061)), None);
        let other = "did:web:other.example".parse().unwrap();
        assert_eq!(retractions.over_after(&other, &stream(900)), None);
    }

    #[tokio::test]
    async fn what_is_long_settled_is_forgotten_and_what_is_still_to_be_erased_is_not() {
        for (erased, left) in [(Some(3), 0), (None, 1)] {
            let retractions = with(&told(erased)).await;
            assert_eq!(retractions.sweep(at(1_001)).await.unwrap(), 0, "not long ago");
            assert_eq!(retractions.sweep(at(1_002)).await.unwrap(), 1 - left);
            assert_eq!(retractions.list().len(), left);
            let kept: Vec<Retraction> = process::all(&**retractions.log.store(), RETRACTIONS).await.unwrap();
            assert_eq!(kept.len(), left);
        }
    }
}
