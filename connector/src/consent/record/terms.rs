//! What comes in: an operator's entry, a participant's request, a learner's own share, a decision. Everything is checked here, before any of
//! it is looked at by anything else.

use super::{Cause, Consent, ConsentId, EnteredBy};
use crate::{
    catalog::shape::Pointer,
    consent::state::{Act, Role},
    dsp::{AgreementId, DatasetId, ParticipantId},
    jose::{self, Digest},
};
use policy::{Category, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// Most members of a list.
const MOST: usize = 64;
/// Most text in all lists together, in bytes: a receipt repeats them, and has to fit into what is stored and signed.
const MOST_TEXT: usize = 8 * 1024;
/// A consent that never ends is none (DPV's `EndlessDuration` is refused): this is as good as never.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// Most transfers of a consent that is limited to a number of them, each of which is kept by name: one a day for a year.
const MOST_TRANSFERS: u64 = 366;

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
    /// Who may receive.
    pub recipients: Vec<ParticipantId>,
    /// For which purposes (IRIs).
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
    /// The agreement under which it was asked for.
    #[serde(default)]
    pub agreement: Option<AgreementId>,
    /// When it ends; without it after twelve months.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    /// For so many transfers in all, 1 to 366; without it for any number.
    #[serde(default)]
    pub max_count: Option<u64>,
    /// For how many days the recipient may keep them.
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
}

/// What a learner shares by themselves.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewShare {
    /// The learner's local identifier at this holder.
    pub subject: String,
    /// Who receives.
    pub recipient: ParticipantId,
    /// What for (IRI).
    pub purpose: String,
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
                purposes: vec![new.purpose],
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
        })
    }
}

/// The hash of a text as notices are named: `sha256:` and 64 hex digits.
pub(in crate::consent) fn hash_of_text(text: &str) -> String {
    format!("sha256:{}", jose::sha256(text.as_bytes()).to_hex())
}

fn text(name: &'static str, text: &str, limit: usize) -> Result<(), GrantError> {
    if text.trim().is_empty() {
        Err(GrantError::Invalid(name, "is missing"))
    } else if text.len() > limit {
        Err(GrantError::Invalid(name, "is too long"))
    } else {
        Ok(())
    }
}

fn check(new: &NewConsent, now: Timestamp) -> Result<(), GrantError> {
    text("subject", &new.subject, 512)?;
    text("method (how the consent was collected)", &new.method, 128)?;
    text("evidence (where the proof of the consent is kept)", &new.evidence, 1024)?;
    let hex = new.notice.strip_prefix("sha256:").unwrap_or_default();
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(GrantError::Invalid(
            "notice",
            "must be the notice's hash: sha256: and 64 hex digits",
        ));
    }
    lists(new)?;
    special(new)?;
    if new.expires.is_some_and(|expires| expires <= now) {
        return Err(GrantError::Invalid("expires", "is in the past"));
    }
    if new.expires.is_some_and(|expires| expires > now.plus(LONGEST)) {
        return Err(GrantError::Invalid(
            "expires",
            "is more than ten years from now: a consent has an end",
        ));
    }
    if new.max_count.is_some_and(|most| !(1..=MOST_TRANSFERS).contains(&most)) {
        return Err(GrantError::Invalid(
            "maxCount",
            "must be a number of transfers from 1 to 366; leave it out for any number",
        ));
    }
    // One of them could use up what the learner meant for the other, and each would see how often the other asked.
    if new.max_count.is_some() && new.recipients.len() > 1 {
        return Err(GrantError::Invalid(
            "maxCount",
            "is for one recipient: give each of them a consent of its own",
        ));
    }
    if new.signed_by.len() > 2 {
        return Err(GrantError::Invalid("signedBy", "has more than 2 members"));
    }
    new.signed_by.iter().try_for_each(Actor::check)
}

fn lists(new: &NewConsent) -> Result<(), GrantError> {
    let some = |name: &'static str, empty: bool| match empty {
        true => Err(GrantError::Invalid(name, "are missing")),
        false => Ok(()),
    };
    some("recipients", new.recipients.is_empty())?;
    some("purposes", new.purposes.is_empty())?;
    some("categories", new.categories.is_empty())?;
    let lengths = [
        new.recipients.len(),
        new.purposes.len(),
        new.categories.len(),
        new.datasets.len(),
        new.fields.len(),
    ];
    if lengths.iter().any(|length| *length > MOST) {
        return Err(GrantError::Invalid("a list", "has more than 64 members"));
    }
    let recipients = new.recipients.iter().map(ParticipantId::as_str);
    let datasets = new.datasets.iter().map(DatasetId::as_str);
    let texts = new.purposes.iter().chain(&new.categories).chain(&new.fields);
    let all = recipients.chain(datasets).chain(texts.map(String::as_str));
    if all.map(str::len).sum::<usize>() > MOST_TEXT {
        return Err(GrantError::Invalid("the lists", "are longer than 8 KiB together"));
    }
    new.purposes
        .iter()
        .try_for_each(|purpose| text("purpose", purpose, 512))?;
    // The spelling of a pointer is unique, so that those of consents and of datasets are compared as texts.
    if new.fields.iter().any(|field| field.parse::<Pointer>().is_err()) {
        return Err(GrantError::Invalid(
            "fields",
            "has a text that is no JSON pointer to a field, such as /result/score",
        ));
    }
    // A misspelt category would be recorded and then cover nothing.
    let is_category = |name: &String| Category::read(name).is_some_and(|known| known.name() == name);
    if !new.categories.iter().all(is_category) {
        return Err(GrantError::Invalid(
            "categories",
            "has a name that is no data category (identity, results, skills, certificates, activity-traces, experience, provenance, special-needs)",
        ));
    }
    Ok(())
}

/// Special categories are never among what is agreed to by the way (GDPR art. 9).
fn special(new: &NewConsent) -> Result<(), GrantError> {
    let asked = new.categories.iter().any(|name| name == Category::SpecialNeeds.name());
    match (asked, new.explicit) {
        (true, false) => Err(GrantError::Invalid(
            "explicit",
            "must be true for special-needs: special categories of data take explicit consent (GDPR art. 9)",
        )),
        (false, true) => Err(GrantError::Invalid(
            "explicit",
            "is for special categories of data alone, and none is named",
        )),
        _ => Ok(()),
    }
}
