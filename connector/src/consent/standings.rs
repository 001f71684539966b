//! What the holder records about whose word counts for a learner. A birth date is computed with and never kept.

use super::{
    ConsentError, Consents, STANDINGS, is_identifier,
    law::{Capacity, Country, Day, Power, Standing, sole_consent_from},
    learner::Learner,
};
use crate::{
    audit::{Entry, Kind},
    jose::{Digest, JoseError, canonical, sha256},
    process::{decode, encode},
    store::{Batch, Pages, StoreError},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use utoipa::ToSchema;

/// Most powers of one learner.
const MOST_POWERS: usize = 16;

/// What an operator records about a learner. What it does not name stays as it was recorded: a child whose last guardian is removed is still a
/// child, and what is not known permits nothing.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewStanding {
    /// The learner's local identifier.
    pub subject: String,
    /// The day of birth, `2012-04-30`: the day of sole consent is computed from it, and it is forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub born_on: Option<String>,
    /// Or from when the learner consents alone, if that is what is known. Without either the age stays as it was recorded; a wrong one is
    /// corrected by the right one.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sole_consent_from: Option<Timestamp>,
    /// Whose law decides the age of who was born on that day, an ISO 3166 code; the holder's without it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub country: Option<Country>,
    /// All who act with or for the learner, in place of those recorded before, who stay without it. An empty list removes them.
    #[serde(default)]
    pub powers: Option<Vec<Power>>,
}

impl NewStanding {
    /// What is known of the learner with this, where `known` was recorded before.
    fn standing(&self, known: &Standing, ours: Country, now: Timestamp) -> Result<Standing, ConsentError> {
        let wrong = |what| Err(ConsentError::Standing(what));
        if !is_identifier(&self.subject) {
            return wrong("subject is missing or too long");
        }
        if self.born_on.is_none() && self.sole_consent_from.is_none() && self.powers.is_none() {
            return wrong("there is nothing to record: give bornOn or soleConsentFrom, or powers");
        }
        let from = self.age(ours, now)?.or(known.sole_consent_from);
        let powers = self.powers.as_ref().unwrap_or(&known.powers);
        self.check(powers)?;
        let parental = |power: &Power| power.capacity == Capacity::ParentalAuthority;
        if from.is_none() && powers.iter().any(parental) {
            return wrong("parental authority ends at an age: give bornOn or soleConsentFrom with it");
        }
        Ok(Standing {
            sole_consent_from: from,
            powers: powers.clone(),
        })
    }

    /// From when on the learner consents alone, where this says so.
    fn age(&self, ours: Country, now: Timestamp) -> Result<Option<Timestamp>, ConsentError> {
        let wrong = |what| Err(ConsentError::Standing(what));
        let Some(born) = &self.born_on else {
            return match self.country {
                Some(_) => wrong("country says at which age one consents alone: give bornOn with it"),
                None => Ok(self.sole_consent_from),
            };
        };
        if self.sole_consent_from.is_some() {
            return wrong("give bornOn or soleConsentFrom, not both");
        }
        let born: Day = born
            .parse()
            .map_err(|_| ConsentError::Standing("bornOn is no day such as 2012-04-30"))?;
        // A slip of a century would make a child of an adult, whose consents would be invalid.
        if born.begins() > now {
            return wrong("bornOn is in the future");
        }
        Ok(Some(sole_consent_from(born, self.country.unwrap_or(ours))))
    }

    fn check(&self, powers: &[Power]) -> Result<(), ConsentError> {
        let wrong = |what| Err(ConsentError::Standing(what));
        if powers.len() > MOST_POWERS {
            return wrong("a learner has at most 16 powers recorded");
        }
        let text = |text: &str, most: usize| !text.trim().is_empty() && text.len() <= most;
        for power in powers {
            if !text(&power.id, 256) || !text(&power.evidence, 1024) || power.scope.is_empty() || power.scope.len() > 3
            {
                return wrong("a power has an id, a scope, and evidence of where its proof is kept");
            }
            // One person would sign twice where the law wants two.
            if power.id.trim() == self.subject.trim() {
                return wrong("a power is another person's: nobody signs beside themselves or is their own guardian");
            }
            if power.until <= power.from {
                return wrong("a power ends after it begins");
            }
        }
        Ok(())
    }
}

impl Consents {
    /// Records whose word counts for a learner from now on, and holds what was given before to it: a consent whose signatures were not enough
    /// is invalid, one that rests on a power that has ended or on an age that is past ends. The index is closed before the commit.
    pub async fn set_standing(&self, new: &NewStanding, now: Timestamp) -> Result<Standing, ConsentError> {
        let ours = self.privacy.country;
        let (standing, changed) = self
            .change(&[&new.subject], None, now, |learners| {
                let learner = learners.first_mut().ok_or(ConsentError::UnknownLearner)?;
                let standing = new.standing(&learner.standing, ours, now)?;
                learner.stand(standing.clone(), now)?;
                Ok(standing)
            })
            .await?;
        self.reset_stalled_after(&changed, now).await;
        Ok(standing)
    }

    /// Puts what was recorded about a learner into the batch, if a change did so, and returns the entry of it.
    pub(super) fn record_standing(
        &self,
        learner: &Learner,
        name: &Digest,
        batch: &mut Batch,
    ) -> Result<Option<Entry>, ConsentError> {
        if !learner.standing_is_new {
            return Ok(None);
        }
        let standing = &learner.standing;
        batch.put(STANDINGS, self.salts.place(&learner.subject), encode(standing)?);
        let kept = canonical::signable(&json!(standing)).map_err(JoseError::from)?;
        let entry = Entry::new(Kind::Standing);
        Ok(Some(entry.of("subject", name).of("object", &sha256(&kept))))
    }

    /// From when on each learner is no minor, by their place in the tables, as far as it was recorded.
    pub(super) async fn ages(&self) -> Result<HashMap<Vec<u8>, Timestamp>, StoreError> {
        let mut ages = HashMap::new();
        let mut pages = Pages::new(&**self.log.store(), STANDINGS, [], 64);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let standing: Standing = decode(&row.item.value)?;
                ages.extend(standing.sole_consent_from.map(|from| (row.key, from)));
            }
        }
        Ok(ages)
    }
}
