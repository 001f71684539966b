//! The ends of declared bases, by their time or because the holder ended them: whoever received records on one is told of each learner whose
//! records nothing else permits. It concerns many learners at once, so it is done piece by piece after the end is recorded, and what the store
//! says of how far it came is where it goes on after a crash.

use super::{
    message::EndReason,
    notices::Notices,
    post::Sheet,
    scope::{Agreed, Ending, Scope},
};
use crate::{
    audit::Log,
    consent::{CONSENTS, Declared, Index, Pairwise, Pseudonyms, Stored, Tag, bases, deliveries::Pair, objections},
    dsp::ParticipantId,
    process::{self, decode, encode},
    store::{Batch, StoreError, Table, Version},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use tokio::sync::{Mutex, Notify};

/// How far the ends of bases are told, by the basis.
const LAPSED: Table = Table(68);
/// How many pairs of learner and recipient one commit deals with.
const PIECE: usize = 64;

/// How far the end of a basis is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lapsed {
    /// When it was found to be over: nothing has passed on it since.
    at: Timestamp,
    /// The last pair that is dealt with.
    after: Option<Vec<u8>>,
    done: bool,
}

/// Tells of the ends of declared bases.
pub struct Lapses {
    log: Arc<Log>,
    notices: Arc<Notices>,
    names: Pseudonyms,
    index: Arc<Index>,
    clock: fn() -> Timestamp,
    changed: Notify,
    /// One tells at a time: whoever comes next finds what that one has told.
    telling: Mutex<()>,
}

/// What goes on being permitted of learners towards one recipient. Many consents say the same, which is kept once.
struct Covered {
    names: Pairwise,
    theirs: Vec<Agreed>,
    consents: HashMap<Tag, Vec<Arc<Scope>>>,
    /// Which of the other bases do not count for a learner, by their places.
    held_back: HashMap<Tag, BTreeSet<usize>>,
}

impl Covered {
    fn permit(&mut self, subject: &str, scope: Arc<Scope>) {
        self.consents.entry(self.names.tag(subject)).or_default().push(scope);
    }

    fn hold_back(&mut self, subject: &str, places: &[usize]) {
        let of = self.held_back.entry(self.names.tag(subject)).or_default();
        of.extend(places);
    }

    fn remaining(&self, tag: Tag, bases: &[&Declared]) -> Vec<Scope> {
        let consents = self.consents.get(&tag).into_iter().flatten();
        let held_back = self.held_back.get(&tag);
        let counts = |place: &usize| held_back.is_none_or(|held_back| !held_back.contains(place));
        let bases = bases.iter().enumerate().filter(|(place, _)| counts(place));
        let bases = bases.map(|(_, basis)| Scope::from(*basis));
        consents.map(|scope| scope.as_ref().clone()).chain(bases).collect()
    }
}

/// The places of the bases that are so.
fn places(bases: &[&Declared], is_so: impl Fn(&Declared) -> bool) -> Vec<usize> {
    let found = bases.iter().enumerate().filter(|(_, basis)| is_so(basis));
    found.map(|(place, _)| place).collect()
}

fn is_over(basis: &Declared, now: Timestamp) -> bool {
    basis.ended.is_some() || basis.declared.until <= now
}

impl Lapses {
    /// For the bases of the log's store, which `index` goes by; `clock` says when it is closed.
    pub fn new(
        log: Arc<Log>,
        notices: Arc<Notices>,
        names: Pseudonyms,
        index: Arc<Index>,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self {
            log,
            notices,
            names,
            index,
            clock,
            changed: Notify::new(),
            telling: Mutex::default(),
        }
    }

    /// A basis was declared or has ended.
    pub(in crate::consent) fn stir(&self) {
        self.changed.notify_one();
    }

    /// Waits until a basis was declared or has ended.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Tells all that is to be told now; returns when the next basis ends by its time. After an error call it again. A pass over all consents and
    /// all who received something: not for a time in which others wait.
    pub async fn tell(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let _turn = self.telling.lock().await;
        let all = bases::all(&**self.log.store()).await?;
        for basis in all.iter().filter(|basis| is_over(basis, now)) {
            let (lapsed, version) = self.begin(basis, now).await?;
            if !lapsed.done {
                self.tell_of(basis, &all, lapsed, version, now).await?;
            }
        }
        let open = all.iter().filter(|basis| !is_over(basis, now));
        Ok(open.map(|basis| basis.declared.until).min())
    }

    /// Whether the end of every basis that is over now is told. Waits for nobody who is telling.
    pub async fn are_told(&self, now: Timestamp) -> Result<bool, StoreError> {
        let all = bases::all(&**self.log.store()).await?;
        for basis in all.iter().filter(|basis| is_over(basis, now)) {
            if !self.read(basis).await?.is_some_and(|(lapsed, _)| lapsed.done) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn read(&self, basis: &Declared) -> Result<Option<(Lapsed, Version)>, StoreError> {
        let item = self.log.store().get(LAPSED, basis.id.as_str().as_bytes()).await?;
        item.map(|item| Ok((decode(&item.value)?, item.version))).transpose()
    }

    async fn begin(&self, basis: &Declared, now: Timestamp) -> Result<(Lapsed, Version), StoreError> {
        if let Some(begun) = self.read(basis).await? {
            return Ok(begun);
        }
        // One that the holder ended is closed; what was decided before another's time was over may still be about to leave.
        self.index.expire_bases(now);
        let at = (self.clock)().max(now);
        let lapsed = Lapsed {
            at: at.max(basis.ended.unwrap_or(at)),
            after: None,
            done: false,
        };
        let mut batch = Batch::new();
        batch.insert(LAPSED, basis.id.as_str(), encode(&lapsed)?);
        self.log.store().commit(batch).await?;
        let begun = self.read(basis).await?;
        begun.ok_or_else(|| StoreError::Corrupt("what was just written is not there".into()))
    }

    async fn tell_of(
        &self,
        basis: &Declared,
        all: &[Declared],
        mut lapsed: Lapsed,
        mut version: Version,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let others: Vec<&Declared> = all.iter().filter(|other| other.is_in_force(now)).collect();
        let mut covered = self.towards(basis).await?;
        self.consider_consents(&mut covered, &others, now).await?;
        self.consider_objections(&mut covered, all, &others).await?;
        while !lapsed.done {
            let mut sheet = Sheet::default();
            self.piece(basis, (&covered, &others), &mut lapsed, &mut sheet, now)
                .await?;
            let Sheet {
                mut batch,
                entries,
                queued,
            } = sheet;
            batch.replace(LAPSED, basis.id.as_str(), version, encode(&lapsed)?);
            let mut entries = entries.into_iter();
            match entries.next() {
                Some(first) => self.log.commit(batch, first, entries.collect(), now).await?,
                None => self.log.store().commit(batch).await?,
            };
            queued.iter().for_each(|lane| self.notices.post().wake(lane));
            match self.read(basis).await? {
                Some((_, newer)) => version = newer,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Puts on a sheet what the next recipients are told, and how far that is.
    async fn piece(
        &self,
        basis: &Declared,
        (covered, others): (&HashMap<ParticipantId, Covered>, &[&Declared]),
        lapsed: &mut Lapsed,
        sheet: &mut Sheet,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let pairs = self.notices.deliveries().page(lapsed.after.as_deref(), PIECE).await?;
        lapsed.done = pairs.len() < PIECE;
        let ended = [Scope::from(basis)];
        for Pair {
            key, tag, recipient, ..
        } in pairs
        {
            lapsed.after = Some(key);
            let (Some(tag), Some(known)) = (tag, covered.get(&recipient)) else {
                continue;
            };
            let ending = Ending {
                reason: if basis.ended.is_some() {
                    EndReason::Revoked
                } else {
                    EndReason::Expired
                },
                ended: &ended,
                remaining: &known.remaining(tag, others),
                at: lapsed.at,
                epoch: self.index.epoch(),
                streams: &[],
            };
            self.notices
                .tell_one((&recipient, &known.theirs), &tag.into(), &ending, sheet, now)?;
        }
        Ok(())
    }

    /// The recipients of a basis, of whose learners nothing is known yet.
    async fn towards(&self, basis: &Declared) -> Result<HashMap<ParticipantId, Covered>, StoreError> {
        let mut covered = HashMap::new();
        for recipient in &basis.declared.recipients {
            let known = Covered {
                names: self.names.towards(recipient),
                theirs: self.notices.agreed(recipient).await?,
                consents: HashMap::new(),
                held_back: HashMap::new(),
            };
            covered.insert(recipient.clone(), known);
        }
        Ok(covered)
    }

    /// What learners' consents permit, and which bases do not count where there is none any more.
    async fn consider_consents(
        &self,
        covered: &mut HashMap<ParticipantId, Covered>,
        others: &[&Declared],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut terms: HashMap<Vec<u8>, Arc<Scope>> = HashMap::new();
        process::each(&**self.log.store(), CONSENTS, |stored: Stored| {
            let consent = &stored.consent;
            if consent.holder != *self.notices.holder() {
                return Ok(());
            }
            let used_up = self.index.is_used_up(&consent.id);
            let held_back = places(others, |basis| basis.yields_to(&stored, used_up, now));
            for (recipient, known) in covered.iter_mut() {
                if !consent.recipients.contains(recipient) {
                    continue;
                }
                // What passed under one that is used up may stay until that consent ends, and a transfer that was counted still goes on.
                if stored.permits_records(now) {
                    let key = encode(&(
                        &consent.recipients,
                        &consent.purposes,
                        &consent.datasets,
                        &consent.categories,
                        &consent.fields,
                        &consent.agreement,
                    ))?;
                    let scope = terms.entry(key).or_insert_with(|| Arc::new(Scope::from(consent)));
                    known.permit(&consent.subject, scope.clone());
                }
                if !held_back.is_empty() {
                    known.hold_back(&consent.subject, &held_back);
                }
            }
            Ok(())
        })
        .await
    }

    /// Which bases do not count for learners who objected to one for the same, in force or not.
    async fn consider_objections(
        &self,
        covered: &mut HashMap<ParticipantId, Covered>,
        all: &[Declared],
        others: &[&Declared],
    ) -> Result<(), StoreError> {
        objections::each(&**self.log.store(), |objection| {
            let Some(objected) = all.iter().find(|basis| basis.id == objection.basis) else {
                return;
            };
            let held_back = places(others, |basis| basis.is_held_back_by(objected));
            for (recipient, known) in covered.iter_mut() {
                if objected.declared.recipients.contains(recipient) && !held_back.is_empty() {
                    known.hold_back(&objection.subject, &held_back);
                }
            }
        })
        .await
    }
}
