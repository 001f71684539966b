//! What an objection and a restriction have in common: an act of the learner's side that is no consent, stops something at once, and is kept by the
//! learner with a chain of receipts. What such an act says, who may take it and what follows from it is for `objections` and `restrictions`.

use super::{
    ATTEMPTS, ConsentError, Consents, RECEIPTS, change::receipt_place, exchange::post::Sheet, record::ConsentId,
};
use crate::{
    audit::Entry,
    jose::Digest,
    process::{decode, encode},
    store::{Batch, Pages, StoreError, Table, Version},
};
use policy::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

/// How many rows are read at a time.
const PAGE: usize = 64;

/// An act as it is kept.
pub(super) trait LearnerAct: Serialize + DeserializeOwned + Send + Sync {
    /// Where such acts are, by the keyed hash of the learner's identifier, and id.
    const TABLE: Table;
    /// Most receipts that one has.
    const MOST_RECEIPTS: u32;

    fn id(&self) -> &ConsentId;

    /// The learner's local identifier.
    fn subject(&self) -> &str;
}

/// One step of an act, as it is committed.
pub(super) struct Step<'a, A> {
    /// The act after it.
    pub(super) act: &'a A,
    /// At which it was read; none for a new one.
    pub(super) version: Option<Version>,
    /// The number of its receipt in the chain.
    pub(super) number: u32,
    /// The signed receipt.
    pub(super) receipt: &'a str,
    /// What the log says of it, all but whose it is.
    pub(super) entry: Entry,
}

impl Consents {
    /// Where an act stands.
    pub(super) fn place_of(&self, act: &impl LearnerAct) -> Vec<u8> {
        let id = act.id().as_str().as_bytes();
        [self.salts.place(act.subject()).as_slice(), id].concat()
    }

    /// One learner's acts of a kind.
    pub(super) async fn acts_of<A: LearnerAct>(&self, subject: &str) -> Result<Vec<A>, StoreError> {
        let mut all = Vec::new();
        let mut pages = Pages::new(&**self.log.store(), A::TABLE, self.salts.place(subject), PAGE);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                all.push(decode(&row.item.value)?);
            }
        }
        Ok(all)
    }

    /// Commits a step with its receipt, its entry under the learner's name, and what is told of it.
    pub(super) async fn commit_act<A: LearnerAct>(
        &self,
        step: Step<'_, A>,
        told: Sheet,
        now: Timestamp,
    ) -> Result<(), ConsentError> {
        let (act, store) = (step.act, &**self.log.store());
        let (place, bytes) = (self.place_of(act), encode(act)?);
        for _ in 0..ATTEMPTS {
            let mut batch = Batch::new();
            let names = self.salts.renew(store, [act.subject()].into_iter(), &mut batch).await?;
            let name = names.get(act.subject()).unwrap_or(&Digest::EMPTY);
            let entry = step.entry.clone().of("subject", name);
            match step.version {
                None => batch.insert(A::TABLE, place.as_slice(), bytes.as_slice()),
                Some(version) => batch.replace(A::TABLE, place.as_slice(), version, bytes.as_slice()),
            };
            let at = receipt_place(act.id().as_str(), step.number);
            batch.insert(RECEIPTS, at, step.receipt.as_bytes());
            batch.extend(told.batch.clone());
            match self.log.commit(batch, entry, told.entries.clone(), now).await {
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    if let Some(courier) = self.courier.get() {
                        courier.committed(&told.queued);
                    }
                    return Ok(());
                }
            }
        }
        Err(StoreError::Conflict { guard: 0 }.into())
    }

    /// The index was closed for an act that could not be recorded: takes it out again, if it is certain that it is not in the store. In the
    /// learner's turn, so that nothing has come of it meanwhile.
    pub(super) fn take_back(&self, act: &impl LearnerAct, error: &ConsentError) {
        if error.changed_nothing() {
            self.index.forget(act.subject(), |known| known == act.id());
        }
    }

    /// Deletes a learner's acts of a kind, with their receipts, from a batch's store; returns their ids.
    pub(super) async fn erase_acts<A: LearnerAct>(
        &self,
        subject: &str,
        batch: &mut Batch,
    ) -> Result<Vec<ConsentId>, StoreError> {
        let mut ids = Vec::new();
        for act in self.acts_of::<A>(subject).await? {
            batch.delete(A::TABLE, self.place_of(&act));
            for number in 0..A::MOST_RECEIPTS {
                batch.delete(RECEIPTS, receipt_place(act.id().as_str(), number));
            }
            ids.push(act.id().clone());
        }
        Ok(ids)
    }
}
