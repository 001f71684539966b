//! What keeps a declared basis from being used for a learner: an objection, or a consent to the same that they were asked for and that is not
//! there. The same rules as the live index's, over what the store keeps; nothing is written here.

use super::{
    Consents, Declared, Objection, live,
    record::{Consent, Stored},
};
use crate::store::StoreError;
use policy::{Timestamp, canonical_name};

fn have_one_in_common(some: &[String], others: &[String]) -> bool {
    let others: Vec<String> = others.iter().map(|one| canonical_name(one)).collect();
    some.iter().any(|one| others.contains(&canonical_name(one)))
}

impl Declared {
    /// An objection to `objected` holds this basis back as well. It is against what is done, whatever it is based on and which categories it is
    /// about (GDPR art. 21(1)): another basis for the same, or a later one, does not bring it back.
    pub(super) fn is_held_back_by(&self, objected: &Self) -> bool {
        let (mine, theirs) = (&self.declared, &objected.declared);
        mine.basis.may_be_objected_to()
            && mine.recipients.iter().any(|did| theirs.recipients.contains(did))
            && have_one_in_common(&mine.purposes, &theirs.purposes)
            && mine.datasets.iter().any(|id| theirs.datasets.contains(id))
    }

    /// Whom the learner was asked for consent, which is not there now or is for no transfer more, is not served by this basis instead (EDPB
    /// guidelines 05/2020, 122).
    pub(super) fn yields_to(&self, stored: &Stored, used_up: bool, now: Timestamp) -> bool {
        let permits = stored.permits_records(now) && !used_up;
        live::counts(stored) && !permits && self.is_about_the_same_as(&stored.consent)
    }

    fn is_about_the_same_as(&self, consent: &Consent) -> bool {
        let declared = &self.declared;
        declared.recipients.iter().any(|did| consent.recipients.contains(did))
            && have_one_in_common(&declared.purposes, &consent.purposes)
            && declared.categories.iter().any(|name| consent.categories.contains(name))
            && (consent.datasets.is_empty() || declared.datasets.iter().any(|id| consent.datasets.contains(id)))
    }
}

/// Whether one of these objections, each to one of `all` bases, holds this one back.
fn is_objected_to(basis: &Declared, all: &[Declared], objections: &[Objection]) -> bool {
    let mut objected = all
        .iter()
        .filter(|other| objections.iter().any(|objection| objection.basis == other.id));
    objected.any(|objected| basis.is_held_back_by(objected))
}

impl Consents {
    /// The bases in force that count for a learner with these records.
    pub(super) async fn bases_of(
        &self,
        subject: &str,
        records: &[&Stored],
        now: Timestamp,
    ) -> Result<Vec<Declared>, StoreError> {
        let all = self.bases().await?;
        if !all.iter().any(|basis| basis.is_in_force(now)) {
            return Ok(Vec::new());
        }
        let objections = self.objections(Some(subject)).await?;
        let counts = |basis: &&Declared| {
            basis.is_in_force(now)
                && !is_objected_to(basis, &all, &objections)
                && !records.iter().any(|stored| self.withholds(stored, basis, now))
        };
        Ok(all.iter().filter(counts).cloned().collect())
    }

    /// Whether an objection of this learner keeps something from going out now.
    pub(super) async fn objects_to_something(&self, subject: &str, now: Timestamp) -> Result<bool, StoreError> {
        let objections = self.objections(Some(subject)).await?;
        if objections.is_empty() {
            return Ok(false);
        }
        let all = self.bases().await?;
        let mut standing = all.iter().filter(|basis| basis.stands(now));
        Ok(standing.any(|basis| is_objected_to(basis, &all, &objections)))
    }

    /// Whether one of these records keeps something from going out now on another basis.
    pub(super) async fn keep_something_back(&self, records: &[&Stored], now: Timestamp) -> Result<bool, StoreError> {
        if !records.iter().any(|stored| live::counts(stored)) {
            return Ok(false);
        }
        let bases = self.bases().await?;
        let mut standing = bases.iter().filter(|basis| basis.stands(now));
        Ok(standing.any(|basis| records.iter().any(|stored| self.withholds(stored, basis, now))))
    }

    /// What is kept for another holder says nothing about the records that are held here.
    fn withholds(&self, stored: &Stored, basis: &Declared, now: Timestamp) -> bool {
        let used_up = self.index.is_used_up(&stored.consent.id);
        self.is_held_here(stored) && basis.yields_to(stored, used_up, now)
    }
}
