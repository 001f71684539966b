//! What learners' consents and other lawful bases are for, beside whom they name: an agreement, datasets, fields. A consent for what is not here
//! opens nothing, and one that does opens nothing any more once the other takes its place. An agreement that cannot be meant is refused;
//! data that nobody publishes here may be published later, and is told of.

use crate::{
    catalog::Dataset,
    consent::{ConsentError, NewConsent},
    dsp::DatasetId,
    http::{App, problem::Problem},
};
use serde::Serialize;
use utoipa::ToSchema;

/// What is named and not here. Nothing of it leaves until it is.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct UnknownHere {
    /// Datasets that are not published.
    datasets: Vec<DatasetId>,
    /// Fields that no dataset which is meant has in one of the categories.
    fields: Vec<String>,
}

/// What is meant: of which datasets, all for none; which categories; which fields of them, all for none.
pub(super) struct Meant<'a> {
    pub(super) datasets: &'a [DatasetId],
    pub(super) categories: &'a [String],
    pub(super) fields: &'a [String],
}

impl Meant<'_> {
    /// What of it is not among these datasets.
    pub(super) fn unknown(&self, published: &[Dataset]) -> UnknownHere {
        let is_meant = |dataset: &&Dataset| self.datasets.is_empty() || self.datasets.contains(&dataset.id);
        let meant: Vec<&Dataset> = published.iter().filter(is_meant).collect();
        let has = |field: &String| {
            let claims = meant.iter().flat_map(|dataset| {
                let of = |category| dataset.categories.get(category);
                self.categories.iter().filter_map(of)
            });
            claims.flatten().any(|claimed| claimed == field)
        };
        let is_published = |id: &DatasetId| published.iter().any(|dataset| dataset.id == *id);
        UnknownHere {
            datasets: self.datasets.iter().filter(|id| !is_published(id)).cloned().collect(),
            fields: self.fields.iter().filter(|field| !has(field)).cloned().collect(),
        }
    }
}

/// Refuses a consent for an agreement under which none of its recipients, ids by now, receives from us.
pub(super) async fn check_agreement(app: &App, new: &NewConsent) -> Result<(), Problem> {
    let Some(id) = &new.agreement else { return Ok(()) };
    let found = app.contracts.agreements().get(id).await?;
    let is_theirs = found
        .is_some_and(|agreement| agreement.provider == *app.trust.me() && new.recipients.contains(&agreement.consumer));
    match is_theirs {
        true => Ok(()),
        false => Err(ConsentError::UnknownAgreement(id.clone()).into()),
    }
}
