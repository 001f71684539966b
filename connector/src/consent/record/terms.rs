//! What comes in: an operator's entry, a participant's request, a learner's own share, a decision. Everything is checked (`complete`),
//! before any of it is looked at by anything else.

mod complete;

use super::{Cause, Consent, ConsentId, EnteredBy};
use crate::{
    consent::state::{Act, Role},
    dsp::{AgreementId, DatasetId, ParticipantId},
    jose::{self, Digest},
};
use complete::{check, text};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

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

/// Who acts, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Actor {
    /// As whom.
    pub role: Role,
    /// Who, by the holder's own identifier; a guardian or delegate always has one.
    #[serde(default)]
    pub id: Option<String>,
    /// How they said it (`portal`, `paper-form`, …).
    pub method: String,
    /// How sure it is that it was them.
    #[serde(default)]
    pub assurance: Option<String>,
    /// Where the proof is kept.
    #[serde(default)]
    pub evidence: Option<String>,
}

impl Actor {
    /// The clock.
    pub(in crate::consent) fn clock() -> Self {
        Self::of(Role::Clock, "schedule")
    }

    pub(in crate::consent) fn of(role: Role, method: &str) -> Self {
        Self {
            role,
            id: None,
            method: method.to_owned(),
            assurance: None,
            evidence: None,
        }
    }

    pub(in crate::consent) fn check(&self) -> Result<(), GrantError> {
        text("actor.method", &self.method, 128)?;
        let some = |name, value: &Option<String>, limit| match value {
            Some(value) => text(name, value, limit),
            None => Ok(()),
        };
        some("actor.id", &self.id, 256)?;
        some("actor.assurance", &self.assurance, 128)?;
        some("actor.evidence", &self.evidence, 1024)
    }
}

/// What an operator enters.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewConsent {
    /// The learner's local identifier at this holder.
    pub subject: String,
    /// Who may receive, by id; the management API takes the names of configured peers too.
    pub recipients: Vec<ParticipantId>,
    /// For which purposes, as the offer or agreement names them: IRIs, or single names, which stand behind `https://w3id.org/dases/ns/`
    /// (`orientation`). Under another name it is another purpose. Records show them as IRIs.
    pub purposes: Vec<String>,
    /// Which data categories.
    pub categories: Vec<String>,
    /// Only these fields of them, as the datasets claim them: JSON pointers such as `/result/score`. Where a dataset claims none of them for a
    /// category, nothing of that category leaves it. Empty means all.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Only these datasets; empty means all of this holder's.
    #[serde(default)]
    pub datasets: Vec<DatasetId>,
    /// For this agreement alone, of which the learner was told; one that takes its place needs a consent of its own. Without it for any.
    #[serde(default)]
    pub agreement: Option<AgreementId>,
    /// When it ends; without it after twelve months.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    /// For so many transfers in all, 1 to 366; without it for any number.
    #[serde(default)]
    pub max_count: Option<u64>,
    /// For how many days the recipient may keep them: said in the record and the receipts, and enforced by nothing.
    #[serde(default)]
    pub retention_days: Option<u32>,
    /// How it was collected (`paper-form`, `web-form`, …).
    pub method: String,
    /// SHA-256 of the notice that the learner was shown, `sha256:` and 64 hex digits.
    pub notice: String,
    /// Where the proof is kept (a file number, a scan's hash).
    pub evidence: String,
    /// The learner agreed explicitly to special categories of data; needed for `special-needs`.
    #[serde(default)]
    pub explicit: bool,
    /// For numbers about groups of learners alone, never for a record: counted in the releases of datasets that declare a table of groups.
    #[serde(default)]
    pub aggregate_only: bool,
    /// Counted only in releases of groups or anonymous rows in which no group has fewer learners, 5 to 1,000,000; without it in any. It says
    /// nothing about records.
    #[serde(default)]
    pub min_group_size: Option<u32>,
    /// Who signed beside the learner (a guardian): needed for a learner who does not consent alone.
    #[serde(default)]
    pub signed_by: Vec<Actor>,
}

/// What a participant asks a learner for.
#[derive(Clone, Debug)]
pub struct NewRequest {
    /// The learner's local identifier here.
    pub subject: String,
    /// Who holds the records, where it is not this participant: that one keeps the consent as an intermediary then.
    pub holder: Option<ParticipantId>,
    /// Who asks, as its signature proved.
    pub requested_by: ParticipantId,
    /// Who would receive.
    pub recipients: Vec<ParticipantId>,
    /// For which purposes (IRIs).
    pub purposes: Vec<String>,
    /// Which data categories.
    pub categories: Vec<String>,
    /// Only these fields of them, as JSON pointers; empty means all.
    pub fields: Vec<String>,
    /// From which datasets.
    pub datasets: Vec<DatasetId>,
    /// Under which agreement.
    pub agreement: Option<AgreementId>,
    /// Hash of the offer or agreement that the notice is about.
    pub offer: Option<Digest>,
    /// Until when.
    pub expires: Option<Timestamp>,
    /// For so many transfers in all; none means for any number.
    pub max_count: Option<u64>,
    /// For how many days the recipient would keep them.
    pub retention_days: Option<u32>,
    /// The notice to show, registered here: `sha256:` and 64 hex digits.
    pub notice: String,
    /// Where the request is kept: the id or hash of the signed message.
    pub evidence: String,
    /// Special categories of data are asked for.
    pub explicit: bool,
    /// For numbers about groups alone, never for a record.
    pub aggregate_only: bool,
    /// Counted only in releases in which no group has fewer learners.
    pub min_group_size: Option<u32>,
}

/// What a learner shares by themselves.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewShare {
    /// The learner's local identifier at this holder.
    pub subject: String,
    /// Who receives, by id; the management API takes the name of a configured peer too.
    pub recipient: ParticipantId,
    /// What for (IRIs): all that the notice names.
    #[serde(default)]
    pub purposes: Vec<String>,
    /// The same of one purpose alone.
    #[serde(default)]
    pub purpose: Option<String>,
    /// Which data categories.
    pub categories: Vec<String>,
    /// Only these fields of them, as JSON pointers; empty means all.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Only from these datasets.
    #[serde(default)]
    pub datasets: Vec<DatasetId>,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// For so many transfers in all, 1 to 366; without it for any number.
    #[serde(default)]
    pub max_count: Option<u64>,
    /// The registered notice that the learner was shown: `sha256:` and 64 hex digits.
    pub notice: String,
    /// Explicitly for special categories of data too.
    #[serde(default)]
    pub explicit: bool,
    /// For numbers about groups of learners alone, never for a record.
    #[serde(default)]
    pub aggregate_only: bool,
    /// Counted only in releases of groups or anonymous rows in which no group has fewer learners, 5 to 1,000,000; without it in any. It says
    /// nothing about records.
    #[serde(default)]
    pub min_group_size: Option<u32>,
    /// Who shares: the learner, or a delegate who represents them.
    pub actor: Actor,
}

/// What can be decided about a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Yes.
    Give,
    /// No.
    Refuse,
    /// Later.
    Defer,
    /// Still yes.
    Reaffirm,
    /// No more.
    Withdraw,
    /// Against a consent, the same as to withdraw; against another lawful basis, an objection.
    Object,
    /// The holder or an authority ends it.
    Revoke,
    /// It was not valid.
    Invalidate,
}

impl Decision {
    /// The step that it takes.
    pub const fn act(self) -> Act {
        match self {
            Self::Give => Act::Give,
            Self::Refuse => Act::Refuse,
            Self::Defer => Act::Defer,
            Self::Reaffirm => Act::Reaffirm,
            Self::Withdraw | Self::Object => Act::Withdraw,
            Self::Revoke => Act::Revoke,
            Self::Invalidate => Act::Invalidate,
        }
    }

    /// What a record says of the reason.
    pub(in crate::consent) const fn cause(self, role: Role) -> Option<Cause> {
        match (self, role) {
            (Self::Revoke, Role::Authority) => Some(Cause::AuthorityDecided),
            (Self::Revoke, _) => Some(Cause::HolderDecided),
            (Self::Invalidate, Role::Authority) => Some(Cause::AuthorityDecided),
            (Self::Invalidate, _) => Some(Cause::NoticeFaulty),
            _ => None,
        }
    }
}

/// A decision about one consent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewEvent {
    /// What.
    pub event: Decision,
    /// Whose.
    pub actor: Actor,
    /// When it was said, if that was before it came here (a paper form): not before the newest step, and not in the future.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub time: Option<Timestamp>,
}

/// Terms on their way into a record.
pub(in crate::consent) struct Draft {
    pub(in crate::consent) new: NewConsent,
    pub(in crate::consent) holder: Option<ParticipantId>,
    pub(in crate::consent) offer: Option<Digest>,
    pub(in crate::consent) entered_by: EnteredBy,
}

impl From<NewConsent> for Draft {
    fn from(new: NewConsent) -> Self {
        Self {
            new,
            holder: None,
            offer: None,
            entered_by: EnteredBy::Holder,
        }
    }
}

impl From<NewRequest> for Draft {
    fn from(new: NewRequest) -> Self {
        Self {
            holder: new.holder,
            offer: new.offer,
            entered_by: EnteredBy::Consumer,
            new: NewConsent {
                subject: new.subject,
                recipients: new.recipients,
                purposes: new.purposes,
                categories: new.categories,
                fields: new.fields,
                datasets: new.datasets,
                agreement: new.agreement,
                expires: new.expires,
                max_count: new.max_count,
                retention_days: new.retention_days,
                method: "consent-request".into(),
                notice: new.notice,
                evidence: new.evidence,
                explicit: new.explicit,
                aggregate_only: new.aggregate_only,
                min_group_size: new.min_group_size,
                signed_by: Vec::new(),
            },
        }
    }
}

impl From<NewShare> for Draft {
    fn from(new: NewShare) -> Self {
        Self {
            holder: None,
            offer: None,
            entered_by: EnteredBy::Learner,
            new: NewConsent {
                subject: new.subject,
                recipients: vec![new.recipient],
                purposes: new.purposes.into_iter().chain(new.purpose).collect(),
                categories: new.categories,
                fields: new.fields,
                datasets: new.datasets,
                expires: Some(new.until),
                max_count: new.max_count,
                method: new.actor.method,
                notice: new.notice,
                evidence: new.actor.evidence.unwrap_or_else(|| "the learner's own act".into()),
                explicit: new.explicit,
                aggregate_only: new.aggregate_only,
                min_group_size: new.min_group_size,
                ..NewConsent::default()
            },
        }
    }
}

impl Draft {
    /// The terms as `me` keeps them, if they are complete and make sense.
    pub(in crate::consent) fn consent(
        self,
        me: &ParticipantId,
        validity: Duration,
        now: Timestamp,
    ) -> Result<Consent, GrantError> {
        let Self {
            new,
            holder,
            offer,
            entered_by,
        } = self;
        let elsewhere = holder.filter(|holder| holder != me);
        check(&new, now)?;
        let id = jose::uuid(now).map_err(|_| GrantError::NoRandom)?;
        Ok(Consent {
            v: 2,
            id: ConsentId::from_uuid(id),
            subject: new.subject,
            via: elsewhere.is_some().then(|| me.clone()),
            holder: elsewhere.unwrap_or_else(|| me.clone()),
            recipients: new.recipients,
            purposes: new.purposes,
            categories: new.categories,
            fields: new.fields,
            datasets: new.datasets,
            agreement: new.agreement,
            offer,
            given: now,
            expires: new.expires.unwrap_or_else(|| now.plus(validity)),
            max_count: new.max_count,
            retention_days: new.retention_days,
            method: new.method,
            notice: new.notice.to_ascii_lowercase(),
            notice_ref: None,
            evidence: new.evidence,
            entered_by,
            explicit: new.explicit,
            aggregate_only: new.aggregate_only,
            min_group_size: new.min_group_size,
        })
    }
}

/// The hash of a text as notices are named: `sha256:` and 64 hex digits.
pub(in crate::consent) fn hash_of_text(text: &str) -> String {
    format!("sha256:{}", jose::sha256(text.as_bytes()).to_hex())
}
