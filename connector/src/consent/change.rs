//! One change: the records of some learners are read, something is decided on them, and one commit holds the records, their receipts and their
//! audit entries. Every change of a learner writes their salt again, so that of two at once one decides anew.

use super::{
    ATTEMPTS, CONSENTS, ConsentError, Consents, Declared, OF_LEARNER, Pseudonyms, RECEIPTS, STANDINGS,
    exchange::post::Sheet,
    index::StreamEnd,
    law::Standing,
    learner::{Kept, Learner},
    live, notice,
    notice::Notice,
    receipt::{self, Slip},
    record::{Consent, ConsentId, Context, LegalNames, Stored, render},
    salts::Salts,
    state::{Act, State},
};
use crate::{
    audit::{Entry, Kind},
    dsp::{ParticipantId, Pid},
    jose::{self, Digest, JoseError},
    process::{decode, encode},
    store::{Batch, StoreError},
};
use policy::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Longest receipt of a new record, in bytes: later ones, with more steps and the streams of a withdrawal, still have to fit.
const LONGEST_FIRST: usize = 32 * 1024;
/// Most streams that a receipt names; the acknowledgement names all.
const MOST_STREAMS: usize = 64;

/// Where a consent stands among its learner's.
pub(super) fn place(salts: &Salts, stored: &Stored) -> Vec<u8> {
    let id = stored.consent.id.as_str().as_bytes();
    [salts.place(&stored.consent.subject).as_slice(), id].concat()
}

/// What the keys of a consent's receipts begin with.
pub(super) fn receipts_of(id: &str) -> Vec<u8> {
    [id.as_bytes(), b"\n"].concat()
}

/// Where one receipt stands.
pub(super) fn receipt_place(id: &str, number: u32) -> Vec<u8> {
    [receipts_of(id).as_slice(), &number.to_be_bytes()].concat()
}

/// Something else that is committed together with a change, or not at all: a spent message id, an answer.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// Guards and writes.
    pub batch: Batch,
    /// Their entries.
    pub entries: Vec<Entry>,
    /// A notice that is registered with it: nothing is, where the change is refused.
    pub notice: Option<Notice>,
}

impl Beside {
    /// What a commit begins with.
    fn sheet(&self) -> Sheet {
        Sheet {
            batch: self.batch.clone(),
            entries: self.entries.clone(),
            queued: Vec::new(),
        }
    }
}

/// Where a learner's records go.
struct Paper<'a> {
    /// The learner's name in the audit log.
    name: Digest,
    /// A notice that is registered in the same commit.
    notice: Option<&'a Notice>,
    /// What is known of what was closed.
    ended: Option<Ended>,
    sheet: &'a mut Sheet,
}

/// One record that a change made or changed.
#[derive(Clone, Debug)]
pub struct Changed {
    /// As it is now.
    pub stored: Stored,
    /// The signed receipt of it.
    pub receipt: String,
    /// Of what a withdrawal or the like ended here: the epoch, and the last numbers of all streams.
    pub ended: Option<Ended>,
    /// The older consents whose place it took by this change: they have ended, even where they covered more.
    pub superseded: Vec<ConsentId>,
}

/// What is known when nothing more can pass.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The epoch that every running stream has confirmed.
    pub epoch: u64,
    /// The last number of each.
    pub streams: Vec<StreamEnd>,
}

/// What a change means for one learner.
pub struct About<'a> {
    /// The learner's local identifier.
    pub subject: &'a str,
    /// The records that it makes or changes.
    pub changed: &'a [Changed],
    /// All that is in force once it is committed.
    pub in_force: Vec<&'a Consent>,
    /// The declared bases in force that count for the learner; not looked up where nothing ends.
    pub bases: Vec<Declared>,
    /// The names under which recipients see the learner.
    pub pseudonyms: &'a Pseudonyms,
}

impl Consents {
    /// Decides something about some learners and commits it, again and again until nobody else was quicker. What ends is closed before the
    /// commit, and open again if it is certain that there was none; what is given is opened after it.
    pub(super) async fn change<T>(
        &self,
        subjects: &[&str],
        beside: Option<&Beside>,
        now: Timestamp,
        decide: impl Fn(&mut [Learner]) -> Result<T, ConsentError> + Send + Sync,
    ) -> Result<(T, Vec<Changed>), ConsentError> {
        let _turn = self.turns.of(subjects).await;
        let (mut attempts, mut closed) = (1, BTreeSet::new());
        let done = loop {
            match self.attempt(subjects, beside, &mut closed, now, &decide).await {
                Err(ConsentError::Store(StoreError::Conflict { .. })) if attempts < ATTEMPTS => attempts += 1,
                done => break done,
            }
        };
        match &done {
            // An attempt that was not the last may have closed more.
            Ok((_, changed)) => closed.retain(|id| changed.iter().all(|one| one.stored.consent.id != *id)),
            Err(error) if error.changed_nothing() => {}
            Err(_) => closed.clear(),
        }
        self.reopen(&closed, now).await;
        done
    }

    /// The same once. What it closes goes to `closed`.
    async fn attempt<T>(
        &self,
        subjects: &[&str],
        beside: Option<&Beside>,
        closed: &mut BTreeSet<ConsentId>,
        now: Timestamp,
        decide: &(impl Fn(&mut [Learner]) -> Result<T, ConsentError> + Send + Sync),
    ) -> Result<(T, Vec<Changed>), ConsentError> {
        let mut sheet = beside.map(Beside::sheet).unwrap_or_default();
        // The salts first: whoever changes one of these learners after this makes the commit below conflict.
        let store = &**self.log.store();
        let names = self.salts.renew(store, subjects.iter().copied(), &mut sheet.batch);
        let names = names.await?;
        let mut learners = Vec::with_capacity(names.len());
        let mut seen: Vec<&str> = Vec::with_capacity(subjects.len());
        for subject in subjects {
            if !seen.contains(subject) {
                seen.push(subject);
                learners.push(self.learner(subject).await?);
            }
        }
        let decided = decide(&mut learners)?;
        let beside_notice = beside.and_then(|beside| beside.notice.as_ref());
        let mut changed = Vec::new();
        for learner in &learners {
            self.rest_on_notices(learner, beside_notice, &mut sheet.batch).await?;
            let name = names.get(learner.subject.as_str()).copied().unwrap_or(Digest::EMPTY);
            let before = changed.len();
            let standing = self.record_standing(learner, &name, &mut sheet.batch)?;
            sheet.entries.extend(standing);
            let ended = self.close(learner, closed, now)?;
            let mut paper = Paper {
                name,
                notice: beside_notice,
                ended,
                sheet: &mut sheet,
            };
            self.record(learner, &mut paper, &mut changed, now).await?;
            let changed = changed.get(before..).unwrap_or_default();
            self.tell(learner, changed, &mut sheet, now).await?;
        }
        let Sheet { batch, entries, queued } = sheet;
        let mut entries = entries.into_iter();
        if let Some(first) = entries.next() {
            self.log.commit(batch, first, entries.collect(), now).await?;
            self.committed(&changed, &learners, &queued)?;
        }
        Ok((decided, changed))
    }

    /// Nobody says yes under a notice that does not hold any more when it is committed.
    async fn rest_on_notices(
        &self,
        learner: &Learner,
        beside: Option<&Notice>,
        batch: &mut Batch,
    ) -> Result<(), ConsentError> {
        let store = &**self.log.store();
        for kept in learner.kept.iter().filter(|kept| kept.agreed) {
            let hash = &kept.stored.consent.notice;
            let is_beside = beside.is_some_and(|notice| notice.hash == *hash);
            // What an operator enters from paper may rest on one that is not registered.
            let Some(found) = notice::find(store, hash).await?.filter(|_| !is_beside) else {
                continue;
            };
            let newest = notice::newest(store, found).await?;
            newest.ok_or(ConsentError::NoticeReplaced)?.guard(batch);
        }
        Ok(())
    }

    /// Takes in again what was closed for a commit that was not made, as the store has it. In the learners' turn: nothing else has come of it
    /// meanwhile.
    async fn reopen(&self, closed: &BTreeSet<ConsentId>, now: Timestamp) {
        for id in closed {
            match self.take_in(id, now).await {
                // It may end before all others. An end that could not be recorded is tried again by who records it, in its own time.
                Ok(true) => self.due.stir(),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "what could not be ended stays closed until the next start"),
            }
        }
    }

    /// Has the index say of a consent what the store says; returns whether it is in force.
    async fn take_in(&self, id: &ConsentId, now: Timestamp) -> Result<bool, ConsentError> {
        let Some((stored, _)) = self.read(id).await? else {
            return Ok(false);
        };
        let standing = self.standing(&stored.consent.subject).await?;
        live::load(&self.index, &stored, standing.sole_consent_from)?;
        Ok(stored.is_in_force(now))
    }

    /// Has others told what changes for a learner.
    async fn tell(
        &self,
        learner: &Learner,
        changed: &[Changed],
        sheet: &mut Sheet,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(courier) = self.courier.get().filter(|_| !changed.is_empty()) else {
            return Ok(());
        };
        let in_force = learner.all().filter(|stored| stored.is_in_force(now));
        let bases = match changed.iter().any(|one| one.stored.state.is_terminal()) {
            true => {
                let records: Vec<&Stored> = learner.all().collect();
                self.bases_of(&learner.subject, &records, now).await?
            }
            false => Vec::new(),
        };
        let about = About {
            subject: &learner.subject,
            changed,
            in_force: in_force.map(|stored| &stored.consent).collect(),
            bases,
            pseudonyms: &self.pseudonyms,
        };
        courier.tell(&about, sheet, now).await
    }

    /// A learner with all their records.
    async fn learner(&self, subject: &str) -> Result<Learner, StoreError> {
        let kept: Vec<Kept> = self
            .of_learner(subject)
            .await?
            .into_iter()
            .map(|(stored, version)| Kept {
                stored,
                version: Some(version),
                changed: false,
                agreed: false,
            })
            .collect();
        Ok(Learner {
            subject: subject.to_owned(),
            standing: self.standing(subject).await?,
            standing_is_new: false,
            records: kept.iter().map(|kept| kept.stored.consent.id.clone()).collect(),
            kept,
            grace: self.privacy.coming_of_age_grace,
            names: self.pseudonyms.clone(),
        })
    }

    /// What is known of a learner that decides whose word counts.
    pub async fn standing(&self, subject: &str) -> Result<Standing, StoreError> {
        let item = self.log.store().get(STANDINGS, &self.salts.place(subject)).await?;
        item.map_or_else(|| Ok(Standing::default()), |item| decode(&item.value))
    }

    /// Closes what ends of a learner's records, except what another takes the place of: that one ends when the other begins.
    fn close(
        &self,
        learner: &Learner,
        closed: &mut BTreeSet<ConsentId>,
        now: Timestamp,
    ) -> Result<Option<Ended>, ConsentError> {
        let touched = || learner.kept.iter().filter(|kept| kept.changed);
        for kept in touched() {
            self.index.reserve(&kept.stored.consent.categories)?;
        }
        let ends = |state| is_taken_back(state) || state == State::Expired;
        // What is kept for another holder stands in no index here, and no stream of ours says how far it came.
        let ids: Vec<&ConsentId> = touched()
            .filter(|kept| ends(kept.stored.state) && self.is_held_here(&kept.stored))
            .map(|kept| &kept.stored.consent.id)
            .collect();
        if ids.is_empty() {
            return Ok(None);
        }
        closed.extend(ids.iter().copied().cloned());
        let (epoch, streams) = self.index.close(&learner.subject, |id| ids.contains(&id), now);
        Ok(Some(Ended { epoch, streams }))
    }

    /// Puts a learner's changed records on the sheet, with receipts and entries.
    async fn record(
        &self,
        learner: &Learner,
        paper: &mut Paper<'_>,
        all: &mut Vec<Changed>,
        now: Timestamp,
    ) -> Result<(), ConsentError> {
        let store = &**self.log.store();
        let checkpoint = self.log.newest().await.ok().flatten().map(|signed| {
            let known = signed.checkpoint();
            json!({"origin": known.origin, "size": known.size, "root": known.root.to_string()})
        });
        for kept in learner.kept.iter().filter(|kept| kept.changed) {
            let mut stored = kept.stored.clone();
            let is_closed = is_taken_back(stored.state) && self.is_held_here(&stored);
            let ended = if is_closed { paper.ended.clone() } else { None };
            let notice = match paper.notice.filter(|notice| notice.hash == stored.consent.notice) {
                Some(notice) => Some(notice.clone()),
                None => notice::find(store, &stored.consent.notice)
                    .await?
                    .map(|(notice, _)| notice),
            };
            let receipt = self.receipt(&stored, notice.as_ref(), ended.as_ref(), checkpoint.clone(), now)?;
            if kept.version.is_none() && receipt.len() > LONGEST_FIRST {
                return Err(ConsentError::TooLarge);
            }
            let digest = receipt::digest(&receipt);
            let id = stored.consent.id.as_str().to_owned();
            let batch = &mut paper.sheet.batch;
            batch.insert(RECEIPTS, receipt_place(&id, stored.receipts), receipt.as_bytes());
            stored.receipts += 1;
            stored.receipt = Some(digest);
            match stored.state {
                State::Given if stored.given_receipt.is_none() => stored.given_receipt = Some(digest),
                State::Withdrawn => stored.withdrawal_receipt = Some(digest),
                _ => {}
            }
            match kept.version {
                None => {
                    batch.insert(CONSENTS, id.as_str(), encode(&stored)?);
                    batch.insert(OF_LEARNER, place(&self.salts, &stored), id.as_bytes());
                }
                Some(version) => {
                    batch.replace(CONSENTS, id.as_str(), version, encode(&stored)?);
                }
            }
            let entry = entry(&stored, paper.name, &digest, ended.as_ref());
            paper.sheet.entries.push(entry);
            all.push(Changed {
                superseded: learner.superseded_by(&stored.consent.id),
                stored,
                receipt,
                ended,
            });
        }
        Ok(())
    }

    /// Tells the index and the clock what was committed.
    fn committed(&self, changed: &[Changed], learners: &[Learner], queued: &[Pid]) -> Result<(), ConsentError> {
        for learner in learners.iter().filter(|learner| learner.standing_is_new) {
            self.index
                .tell_age(&learner.subject, learner.standing.sole_consent_from);
        }
        // What ends or is not given yet before what is in force: at no time is more permitted than before or after.
        let ours = changed.iter().filter(|one| self.is_held_here(&one.stored));
        let (given, others): (Vec<_>, Vec<_>) = ours.partition(|one| one.stored.state == State::Given);
        for one in others.into_iter().chain(given) {
            let subject = &one.stored.consent.subject;
            let learner = learners.iter().find(|learner| learner.subject == *subject);
            let of_age = learner.and_then(|learner| learner.standing.sole_consent_from);
            live::follow(&self.index, &one.stored, of_age)?;
        }
        self.due.stir();
        if let Some(courier) = self.courier.get() {
            courier.committed(queued);
        }
        Ok(())
    }

    /// What these participants are called, as far as their credentials have said it.
    pub(super) fn legal_names<'d>(&self, of: impl IntoIterator<Item = &'d ParticipantId>) -> LegalNames {
        let named = |did: &'d ParticipantId| Some((did.clone(), self.trust.legal_name(did)?));
        of.into_iter().filter_map(named).collect()
    }

    /// The record as others see it.
    pub(super) fn render(&self, stored: &Stored, notice: Option<&Notice>) -> Result<Value, JoseError> {
        let names = match (&stored.consent.via, stored.consent.recipients.as_slice()) {
            // Holder, intermediary and recipient read it: the name that one of them knows is not for the others.
            (Some(_), _) => self.pseudonyms.within(&stored.consent.id),
            // To one recipient the learner goes by the name that it knows; to several by one that none of them knows.
            (None, [one]) => self.pseudonyms.towards(one),
            (None, _) => self.pseudonyms.towards(self.holder()),
        };
        let consent = &stored.consent;
        let others = consent.recipients.iter().chain(&consent.via).chain([&consent.holder]);
        let context = Context {
            keeper: self.holder(),
            privacy: &self.privacy,
            notice,
            subject: names.name(&consent.subject),
            names: &self.legal_names(others),
        };
        render(stored, &context)
    }

    /// The signed receipt of a record's newest step.
    fn receipt(
        &self,
        stored: &Stored,
        notice: Option<&Notice>,
        ended: Option<&Ended>,
        checkpoint: Option<Value>,
        now: Timestamp,
    ) -> Result<String, ConsentError> {
        let id = jose::uuid(now).map_err(JoseError::from)?;
        let slip = Slip {
            id: format!("urn:uuid:{id}"),
            about: stored.consent.id.as_str(),
            created: stored.last(),
            issuer: self.holder(),
            agreement: stored.consent.agreement.as_ref().map(|id| id.as_str()),
            offer: stored.consent.offer,
            notice: Some(&stored.consent.notice),
            number: stored.receipts,
            previous: stored.receipt,
            checkpoint,
            ended: ended.map(|ended| self.end_of(&stored.consent, ended, stored.last())),
            record: self.render(stored, notice)?,
        };
        slip.sign(&self.trust.signer()).map_err(|error| match error {
            JoseError::TooLarge(_) => ConsentError::TooLarge,
            error => error.into(),
        })
    }

    /// What the receipt of a consent says of its end; nothing of what passed between the others, where an intermediary reads it too.
    fn end_of(&self, consent: &Consent, ended: &Ended, at: Timestamp) -> Value {
        match consent.via {
            Some(_) => json!({"epoch": ended.epoch, "deletedBy": at.plus(self.privacy.deletion)}),
            None => self.end(ended, &consent.subject, &consent.recipients, at),
        }
    }

    /// What a receipt says of an end to those who read it: of those of their own streams in which nothing of the learner follows, and where they
    /// are several without the name that one of them knows and the others do not.
    pub(super) fn end(&self, ended: &Ended, subject: &str, recipients: &[ParticipantId], at: Timestamp) -> Value {
        let towards = |recipient| self.pseudonyms.towards(recipient).name(subject);
        let names: Vec<String> = recipients.iter().map(towards).collect();
        let theirs: Vec<&StreamEnd> = ended
            .streams
            .iter()
            .filter(|stream| !stream.goes_on && names.contains(&stream.pseudonym))
            .collect();
        let streams = theirs.iter().take(MOST_STREAMS).map(|stream| match names.as_slice() {
            [_] => json!(stream),
            _ => json!({"transfer": stream.transfer, "lastSequence": stream.last_sequence}),
        });
        let streams: Vec<Value> = streams.collect();
        json!({
            "epoch": ended.epoch, "streams": streams, "moreStreams": theirs.len().saturating_sub(MOST_STREAMS),
            "deletedBy": at.plus(self.privacy.deletion),
        })
    }
}

/// Somebody took back what was given, or what was not validly given; its receipt says how far it came.
const fn is_taken_back(state: State) -> bool {
    matches!(state, State::Withdrawn | State::Revoked | State::Invalidated)
}

/// What the audit log holds about one consent: hashes, none of which names the learner without the salt.
fn entry(stored: &Stored, learner: Digest, receipt: &Digest, ended: Option<&Ended>) -> Entry {
    let reaffirmed = stored
        .events
        .last()
        .is_some_and(|event| event.fact.act == Act::Reaffirm);
    let kind = match stored.state {
        State::Requested => Kind::ConsentRequested,
        State::Deferred => Kind::ConsentDeferred,
        State::PendingSecond | State::PendingLearner => Kind::ConsentSigned,
        State::Given if reaffirmed => Kind::ConsentReaffirmed,
        State::Given if stored.receipts > 1 && stored.given_receipt != Some(*receipt) => Kind::ConsentNoted,
        State::Given => Kind::ConsentGiven,
        State::Refused => Kind::ConsentRefused,
        State::Withdrawn => Kind::ConsentWithdrawn,
        State::Expired => Kind::ConsentExpired,
        State::Revoked => Kind::ConsentRevoked,
        State::Invalidated => Kind::ConsentInvalidated,
        State::Superseded => Kind::ConsentSuperseded,
    };
    let entry = Entry::new(kind)
        .with("consent", stored.consent.id.as_str())
        .of("subject", &learner)
        .of("object", receipt);
    match ended {
        Some(ended) => entry.with("epoch", ended.epoch),
        None => entry,
    }
}
