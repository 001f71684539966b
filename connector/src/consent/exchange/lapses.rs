//! The ends of declared bases, by their time or because the holder ended them: whoever received records on one is told of each learner whose
//! records nothing else permits. It concerns many learners at once, so it is done piece by piece after the end is recorded, and what the store
//! says of how far it came is where it goes on after a crash.

use super::{
    message::EndReason,
    notices::{Notices, Sheet},
    scope::{Agreed, Ending, Scope},
};
use crate::{
    audit::Log,
    consent::{CONSENTS, ConsentId, Declared, Index, Pseudonyms, Stored, Tag, bases},
    dsp::ParticipantId,
    process::{self, decode, encode},
    store::{Batch, StoreError, Table, Version},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::Notify;

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
    changed: Notify,
}

/// What goes on being permitted of learners towards one recipient. Many consents say the same, which is kept once.
struct Covered {
    theirs: Vec<Agreed>,
    consents: HashMap<Tag, Vec<Arc<Scope>>>,
    objections: HashMap<Tag, Vec<ConsentId>>,
}

impl Covered {
    fn remaining(&self, tag: Tag, bases: &[Scope]) -> Vec<Scope> {
        let consents = self.consents.get(&tag).into_iter().flatten();
        let objected = |basis: &&Scope| {
            let all = self.objections.get(&tag);
            all.is_some_and(|all| all.contains(&basis.id))
        };
        let bases = bases.iter().filter(|basis| !objected(basis)).cloned();
        consents.map(|scope| scope.as_ref().clone()).chain(bases).collect()
    }
}

fn is_over(basis: &Declared, now: Timestamp) -> bool {
    basis.ended.is_some() || basis.declared.until <= now
}

impl Lapses {
    /// For the bases of the log's store, which `index` goes by.
    pub fn new(log: Arc<Log>, notices: Arc<Notices>, names: Pseudonyms, index: Arc<Index>) -> Self {
        Self {
            log,
            notices,
            names,
            index,
            changed: Notify::new(),
        }
    }

    /// A basis was declared or has ended.
    pub(super) fn stir(&self) {
        self.changed.notify_one();
    }

    /// Waits until a basis was declared or has ended.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Tells all that is to be told now; returns when the next basis ends by its time. After an error call it again.
    pub async fn tell(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
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

    async fn read(&self, basis: &Declared) -> Result<Option<(Lapsed, Version)>, StoreError> {
        let item = self.log.store().get(LAPSED, basis.id.as_str().as_bytes()).await?;
        item.map(|item| Ok((decode(&item.value)?, item.version))).transpose()
    }

    async fn begin(&self, basis: &Declared, now: Timestamp) -> Result<(Lapsed, Version), StoreError> {
        if let Some(begun) = self.read(basis).await? {
            return Ok(begun);
        }
        let lapsed = Lapsed {
            at: now.max(basis.ended.unwrap_or(now)),
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
        let covered = self.covered(basis, now).await?;
        let others = all.iter().filter(|other| other.is_in_force(now));
        let others: Vec<Scope> = others.map(Scope::from).collect();
        while !lapsed.done {
            let (mut batch, mut entries) = (Batch::new(), Vec::new());
            let mut sheet = Sheet {
                batch: &mut batch,
                entries: &mut entries,
                queued: Vec::new(),
            };
            self.piece(basis, (&covered, &others), &mut lapsed, &mut sheet, now)
                .await?;
            let queued = sheet.queued;
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
        (covered, others): (&HashMap<ParticipantId, Covered>, &[Scope]),
        lapsed: &mut Lapsed,
        sheet: &mut Sheet<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let pairs = self.notices.deliveries().page(lapsed.after.as_deref(), PIECE).await?;
        lapsed.done = pairs.len() < PIECE;
        let ended = [Scope::from(basis)];
        for (place, tag, recipient) in pairs {
            lapsed.after = Some(place);
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

    /// What else permits something towards the recipients of a basis.
    async fn covered(&self, basis: &Declared, now: Timestamp) -> Result<HashMap<ParticipantId, Covered>, StoreError> {
        let store = &**self.log.store();
        let mut covered = HashMap::new();
        for recipient in &basis.declared.recipients {
            let known = Covered {
                theirs: self.notices.agreed(recipient).await?,
                consents: HashMap::new(),
                objections: HashMap::new(),
            };
            covered.insert(recipient.clone(), (self.names.towards(recipient), known));
        }
        let mut terms: HashMap<Vec<u8>, Arc<Scope>> = HashMap::new();
        process::each(store, CONSENTS, |stored: Stored| {
            let consent = &stored.consent;
            if !stored.is_in_force(now) || consent.holder != *self.notices.holder() {
                return Ok(());
            }
            for (recipient, (names, known)) in &mut covered {
                if consent.recipients.contains(recipient) {
                    let (purposes, datasets) = (&consent.purposes, &consent.datasets);
                    let key = encode(&(
                        &consent.recipients,
                        purposes,
                        datasets,
                        &consent.categories,
                        &consent.fields,
                    ))?;
                    let scope = terms.entry(key).or_insert_with(|| Arc::new(Scope::from(consent)));
                    let of = known.consents.entry(names.tag(&consent.subject)).or_default();
                    of.push(scope.clone());
                }
            }
            Ok(())
        })
        .await?;
        bases::each_objection(store, |objection| {
            for (names, known) in covered.values_mut() {
                let of = known.objections.entry(names.tag(&objection.subject)).or_default();
                of.push(objection.basis.clone());
            }
        })
        .await?;
        let known = covered.into_iter().map(|(recipient, (_, known))| (recipient, known));
        Ok(known.collect())
    }
}
