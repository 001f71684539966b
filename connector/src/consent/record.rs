//! One consent as it is kept: the fields of ISO/IEC TS 27560 that this connector acts on, with DPV terms for purposes.

use super::Grant;
use crate::dsp::{DatasetId, ParticipantId};
use crate::jose;
use policy::{Category, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;
use uuid::Uuid;

/// The id of a consent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct ConsentId(String);

impl ConsentId {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of this UUID.
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid.urn().to_string())
    }

    /// Its UUID; `None` when it is not written as a `urn:uuid:`.
    pub fn uuid(&self) -> Option<Uuid> {
        Uuid::parse_str(self.0.strip_prefix("urn:uuid:")?).ok()
    }
}

impl fmt::Display for ConsentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who put a consent into the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EnteredBy {
    /// The holder's operator, for the learner: shown as such wherever the consent is shown.
    Holder,
}

/// Why a consent is not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// A member is missing or wrong.
    #[error("{0} {1}")]
    Invalid(&'static str, &'static str),
    /// More than 64 different data categories exist in this connector.
    #[error("there are more than 64 different data categories in this connector")]
    TooManyCategories,
    /// No id could be made.
    #[error("no random bytes are available")]
    NoRandom,
}

/// What an operator enters.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewConsent {
    /// The learner's local identifier at this holder.
    pub subject: String,
    /// Who may receive.
    pub recipients: Vec<ParticipantId>,
    /// For which purposes (IRIs).
    pub purposes: Vec<String>,
    /// Which data categories.
    pub categories: Vec<String>,
    /// Only these datasets; empty means all of this holder's.
    #[serde(default)]
    pub datasets: Vec<DatasetId>,
    /// When it ends; without it after twelve months.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    /// How it was collected (`paper-form`, `web-form`, …).
    pub method: String,
    /// SHA-256 of the notice that the learner was shown, `sha256:` and 64 hex digits.
    pub notice: String,
    /// Where the proof is kept (a file number, a scan's hash).
    pub evidence: String,
}

/// A consent in its recorded form.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Consent {
    /// Version of this form.
    pub v: u8,
    /// Its id.
    pub id: ConsentId,
    /// The learner's local identifier at the holder.
    pub subject: String,
    /// Who holds the records.
    pub holder: ParticipantId,
    /// Who may receive.
    pub recipients: Vec<ParticipantId>,
    /// For which purposes.
    pub purposes: Vec<String>,
    /// Which data categories.
    pub categories: Vec<String>,
    /// Only these datasets; empty means all.
    pub datasets: Vec<DatasetId>,
    /// From when.
    #[schema(value_type = String, format = DateTime)]
    pub given: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
    /// How it was collected.
    pub method: String,
    /// Hash of the notice.
    pub notice: String,
    /// Where the proof is.
    pub evidence: String,
    /// Who entered it.
    pub entered_by: EnteredBy,
}

/// What is on disk: the record, its signature, and the signed withdrawal once there is one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StoredConsent)]
pub struct Stored {
    /// The record.
    pub consent: Consent,
    /// The record as a signed JWS.
    pub token: String,
    /// The withdrawal as a signed JWS.
    #[schema(required)]
    pub withdrawn: Option<String>,
}

/// Consent without a stated end is good for this long.
const DEFAULT_VALIDITY: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);

impl Consent {
    /// What the live index takes in of it.
    pub(super) fn grant(&self) -> Grant<'_> {
        Grant {
            id: &self.id,
            subject: &self.subject,
            recipients: &self.recipients,
            purposes: &self.purposes,
            datasets: &self.datasets,
            categories: &self.categories,
            from: self.given,
            until: self.expires,
            aggregate_only: false,
            guardian_missing: false,
            ended: None,
        }
    }

    pub(super) fn give(new: NewConsent, holder: ParticipantId, now: Timestamp) -> Result<Self, GrantError> {
        check(&new, now)?;
        let id = jose::uuid(now).map_err(|_| GrantError::NoRandom)?;
        Ok(Self {
            v: 1,
            id: ConsentId(format!("urn:uuid:{id}")),
            subject: new.subject,
            holder,
            recipients: new.recipients,
            purposes: new.purposes,
            categories: new.categories,
            datasets: new.datasets,
            given: now,
            expires: new.expires.unwrap_or_else(|| now.plus(DEFAULT_VALIDITY)),
            method: new.method,
            notice: new.notice,
            evidence: new.evidence,
            entered_by: EnteredBy::Holder,
        })
    }
}

fn check(new: &NewConsent, now: Timestamp) -> Result<(), GrantError> {
    let text = |name: &'static str, text: &str, limit: usize| {
        if text.trim().is_empty() {
            Err(GrantError::Invalid(name, "is missing"))
        } else if text.len() > limit {
            Err(GrantError::Invalid(name, "is too long"))
        } else {
            Ok(())
        }
    };
    let some = |name: &'static str, empty: bool| {
        if empty {
            Err(GrantError::Invalid(name, "are missing"))
        } else {
            Ok(())
        }
    };
    text("subject", &new.subject, 512)?;
    text("method (how the consent was collected)", &new.method, 128)?;
    text("evidence (where the proof of the consent is kept)", &new.evidence, 1024)?;
    let hex = new.notice.strip_prefix("sha256:").unwrap_or_default();
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(GrantError::Invalid(
            "notice",
            "must be the notice's hash: sha256: and 64 hex digits",
        ));
    }
    some("recipients", new.recipients.is_empty())?;
    some("purposes", new.purposes.is_empty())?;
    some("categories", new.categories.is_empty())?;
    if new
        .recipients
        .len()
        .max(new.purposes.len())
        .max(new.categories.len())
        .max(new.datasets.len())
        > 64
    {
        return Err(GrantError::Invalid("a list", "has more than 64 members"));
    }
    new.purposes
        .iter()
        .try_for_each(|purpose| text("purpose", purpose, 512))?;
    // A misspelt category would be recorded and then cover nothing.
    if !new
        .categories
        .iter()
        .all(|name| Category::read(name).is_some_and(|known| known.name() == name))
    {
        return Err(GrantError::Invalid(
            "categories",
            "has a name that is no data category (identity, results, skills, certificates, activity-traces, experience, provenance, special-needs)",
        ));
    }
    if new.expires.is_some_and(|expires| expires <= now) {
        return Err(GrantError::Invalid("expires", "is in the past"));
    }
    Ok(())
}
