//! Forgetting a learner: what links them to the audit log goes, what proves the log stays.

use super::{
    ATTEMPTS, CONSENTS, ConsentError, Consents, OF_LEARNER, Objection, RECEIPTS, Restriction, STANDINGS, bases, change,
    exchange::passed,
    occurrences,
    record::{ConsentId, Stored},
};
use crate::{
    audit::{Entry, Kind},
    process,
    store::{Batch, Guard, StoreError, Version},
};
use policy::Timestamp;
use serde::Serialize;

/// How often the ends of bases are told before a learner is forgotten: whoever ends one after the other meanwhile is not waited for.
const TELLINGS: usize = 4;

/// What is left when a learner is forgotten.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Forgotten {
    /// How many ended consents were deleted with what linked them to the audit log.
    pub consents: usize,
}

impl Consents {
    /// Deletes what links a learner to the audit log: the salt of their name in it, the records of their ended consents with their receipts,
    /// and what was known of them. The entries stay and so does every proof, but nobody can say any more whom they are about. Refused while a
    /// consent is in force or their records are restricted (GDPR art. 18(2): what is restricted is kept), and while what the learner said keeps
    /// another basis from being used: without it, records would go out again. Refused as well while a basis stands on which records may have
    /// gone out: each recipient is to be told when they are to be erased (GDPR art. 19), and what says who it is goes here.
    pub async fn forget(&self, subject: &str, now: Timestamp) -> Result<Forgotten, ConsentError> {
        // An end that has come and is not recorded yet is recorded first, so that recipients are told of it.
        self.expire_learner(subject, now).await?;
        for _ in 0..TELLINGS {
            if let Some(forgotten) = self.forget_where_all_is_told(subject, now).await? {
                return Ok(forgotten);
            }
            // In nobody's turn: it takes as long as there is to tell, and a consent or a basis is to end at once.
            if let Some(courier) = self.courier.get() {
                courier.lapses().tell(now).await?;
            }
        }
        Err(StoreError::Conflict { guard: 0 }.into())
    }

    /// The same, and nothing where the end of a basis is still to be told.
    async fn forget_where_all_is_told(&self, subject: &str, now: Timestamp) -> Result<Option<Forgotten>, ConsentError> {
        // No basis is declared or recorded as ended meanwhile: records could go out on one, or its end go untold, behind what is looked at here.
        let _turn = self.turns.of(&[subject, bases::TURN]).await;
        if let Some(courier) = self.courier.get()
            && !courier.lapses().are_told(now).await?
        {
            return Ok(None);
        }
        let store = &**self.log.store();
        for _ in 0..ATTEMPTS {
            // The salt first: a consent that is recorded after this renews it, and the commit below conflicts.
            let salt = self.salts.get(store, subject).await?;
            let salt = salt.map(|(_, version)| version);
            let all = self.of_learner(subject).await?;
            self.check_nothing_stands(subject, &all, now).await?;
            let mut batch = Batch::new();
            self.forget_told(subject, &mut batch, now).await?;
            // Who never consented or objected may be linked, or have had records sent on another basis.
            if all.is_empty() && salt.is_none() && batch.writes.is_empty() {
                return Err(ConsentError::UnknownLearner);
            }
            self.salts.delete(subject, salt, &mut batch);
            batch.delete(STANDINGS, self.salts.place(subject));
            let objections = self.erase_acts::<Objection>(subject, &mut batch).await?;
            // None of them stands, so the index knows none.
            self.erase_acts::<Restriction>(subject, &mut batch).await?;
            for (stored, version) in &all {
                self.erase(stored, *version, &mut batch);
            }
            let entry = Entry::new(Kind::LearnerForgotten).with("consents", all.len());
            match self.log.commit(batch, entry, Vec::new(), now).await {
                Ok(_) => {
                    let ids: Vec<&ConsentId> = all.iter().map(|(stored, _)| &stored.consent.id).collect();
                    self.index
                        .forget(subject, |id| ids.contains(&id) || objections.contains(id));
                    // What leaves from now on is to be noted anew as delivered, or nobody would be told of a later end.
                    self.index.decide_again();
                    return Ok(Some(Forgotten { consents: all.len() }));
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict { guard: 0 }.into())
    }

    /// No restriction stands, no consent is in force, and nothing that the learner said keeps a basis from being used.
    async fn check_nothing_stands(
        &self,
        subject: &str,
        all: &[(Stored, Version)],
        now: Timestamp,
    ) -> Result<(), ConsentError> {
        if self.is_restricted(subject).await? {
            return Err(ConsentError::RestrictionInForce);
        }
        if all.iter().any(|(stored, _)| stored.is_in_force(now)) {
            return Err(ConsentError::InForce);
        }
        if self.objects_to_something(subject, now).await? {
            return Err(ConsentError::ObjectionInForce);
        }
        let records: Vec<&Stored> = all.iter().map(|(stored, _)| stored).collect();
        if self.keep_something_back(&records, now).await? {
            return Err(ConsentError::RefusalInForce);
        }
        Ok(())
    }

    /// Adds to a batch that nothing is known any more of who received records of a learner, unless a basis stands on which they did.
    async fn forget_told(&self, subject: &str, batch: &mut Batch, now: Timestamp) -> Result<(), ConsentError> {
        let Some(courier) = self.courier.get() else {
            return Ok(());
        };
        let mut bases = self.bases().await?;
        bases.retain(|basis| basis.stands(now));
        match courier.forget(subject, &self.pseudonyms, &bases, batch).await? {
            Some(basis) => Err(ConsentError::BasisInForce(basis)),
            None => Ok(()),
        }
    }

    /// Deletes requests that nobody answered in time, once they could be made anew; returns how many. One that a learner has signed stays while
    /// another basis yields to it: without it, records would go out on that.
    pub(super) async fn drop_unanswered(&self, now: Timestamp) -> Result<usize, StoreError> {
        let is_over = |stored: &Stored| stored.state.is_open() && stored.until.plus(self.privacy.request_pause) <= now;
        let mut over = Vec::new();
        process::each(&**self.log.store(), CONSENTS, |stored: Stored| {
            if is_over(&stored) {
                over.push((stored.consent.subject, stored.consent.id));
            }
            Ok(())
        })
        .await?;
        let mut dropped = 0;
        for (subject, id) in over {
            let _turn = self.turns.of(&[subject.as_str()]).await;
            let Some((stored, version)) = self.read(&id).await?.filter(|(stored, _)| is_over(stored)) else {
                continue;
            };
            if self.keep_something_back(&[&stored], now).await? {
                continue;
            }
            let mut batch = Batch::new();
            self.erase(&stored, version, &mut batch);
            self.log.store().commit(batch).await?;
            self.index.forget(&subject, |known| *known == id);
            dropped += 1;
        }
        Ok(dropped)
    }

    /// Deletes one record with everything that hangs on it.
    fn erase(&self, stored: &Stored, version: Version, batch: &mut Batch) {
        let id = stored.consent.id.as_str();
        batch.require(CONSENTS, id, Guard::At(version));
        batch.delete(CONSENTS, id);
        batch.delete(OF_LEARNER, change::place(&self.salts, stored));
        occurrences::erase(&stored.consent.id, batch);
        passed::erase(&stored.consent.id, batch);
        for number in 0..stored.receipts {
            batch.delete(RECEIPTS, change::receipt_place(id, number));
        }
    }
}
