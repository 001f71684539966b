//! One consent as it is kept: who allowed what to whom (`terms`), and every step that was taken since, each bound to the one before it.
//! How a record looks to others is in `rendered`; `check` says whether any record, ours or not, is complete.

mod check;
mod context;
mod evidence;
mod rendered;
mod terms;

pub use check::{Missing, check_27560};
pub(super) use context::CONTEXT;
pub use context::context;
pub use evidence::EvidenceSalt;
pub(super) use rendered::{Context, LegalNames, Parties, processing, purpose, render};
pub use terms::{Actor, Decision, GrantError, NewConsent, NewEvent, NewRequest, NewShare};
pub(super) use terms::{Draft, hash_of_text};

use super::{
    law::Signature,
    state::{Act, Role, State},
};
use crate::{
    dsp::{AgreementId, DatasetId, ParticipantId},
    jose::{Digest, JoseError, canonical, sha256},
};
use policy::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use std::{fmt, str::FromStr, time::Duration};
use utoipa::ToSchema;

/// The id of a consent, `urn:uuid:…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
pub struct ConsentId(String);

/// The text is no id of a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected urn:uuid: and a UUID")]
pub struct NoConsentId;

impl ConsentId {
    /// From a fresh UUID.
    pub fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(format!("urn:uuid:{uuid}"))
    }

    /// Its UUID; `None` is never the case for an id that was read here.
    pub fn uuid(&self) -> Option<uuid::Uuid> {
        uuid::Uuid::parse_str(self.0.strip_prefix("urn:uuid:")?).ok()
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConsentId {
    type Err = NoConsentId;

    fn from_str(text: &str) -> Result<Self, NoConsentId> {
        let uuid = text.strip_prefix("urn:uuid:").ok_or(NoConsentId)?;
        let uuid: uuid::Uuid = uuid.parse().map_err(|_| NoConsentId)?;
        let id = Self::from_uuid(uuid);
        // One spelling alone, because ids are compared as text.
        if id.0 == text { Ok(id) } else { Err(NoConsentId) }
    }
}

impl<'de> Deserialize<'de> for ConsentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for ConsentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a consent came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EnteredBy {
    /// The holder's operator entered it for the learner: shown as such wherever the consent is shown.
    Holder,
    /// The learner shares by themselves.
    Learner,
    /// A participant asked for it, and the learner decides.
    Consumer,
}

/// The registered notice that a consent was given under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NoticeRef {
    /// Its name.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The language in which it was shown (BCP 47).
    pub language: String,
}

/// What is, or is to be, consented to. It never changes; other terms are another consent.
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
    /// The intermediary through which it came, which keeps it for the learner. The holder and the intermediary each have a record of it, with
    /// the same id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub via: Option<ParticipantId>,
    /// Who may receive.
    pub recipients: Vec<ParticipantId>,
    /// For which purposes.
    pub purposes: Vec<String>,
    /// Which data categories.
    pub categories: Vec<String>,
    /// Only these fields of them, as JSON pointers that the datasets claim; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Only these datasets; empty means all.
    pub datasets: Vec<DatasetId>,
    /// The agreement for which it was given, of which the learner was told: it opens that one alone, and one that takes its place needs a consent
    /// of its own. None means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub agreement: Option<AgreementId>,
    /// Hash of the offer or agreement that the learner was told about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub offer: Option<Digest>,
    /// Since when it is here; nothing of it permits anything earlier.
    #[schema(value_type = String, format = DateTime)]
    pub given: Timestamp,
    /// Until when, as it was given first. A reaffirmation moves the end and leaves the terms as they are.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
    /// For so many transfers in all, and no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub max_count: Option<u64>,
    /// The recipient keeps what it receives for so many days; none means what the holder's privacy settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retention_days: Option<u32>,
    /// How it was collected.
    pub method: String,
    /// Hash of the notice.
    pub notice: String,
    /// The notice of that hash, where it is registered here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub notice_ref: Option<NoticeRef>,
    /// Where the proof is.
    pub evidence: String,
    /// How it came here.
    pub entered_by: EnteredBy,
    /// Special categories of data (GDPR art. 9) are among it, and were agreed to explicitly.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub explicit: bool,
    /// For numbers about groups, and never for a record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aggregate_only: bool,
    /// Counted only in releases of groups or anonymous rows in which no group has fewer learners. It says nothing about records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub min_group_size: Option<u32>,
}

impl Consent {
    /// The terms as everybody may see them: without what names the learner or a file of the holder's.
    pub(in crate::consent) fn terms(&self) -> Value {
        let mut terms = json!({
            "id": self.id, "holder": self.holder, "recipients": self.recipients, "purposes": self.purposes,
            "categories": self.categories, "fields": self.fields, "datasets": self.datasets, "agreement": self.agreement,
            "offer": self.offer, "expires": self.expires, "maxCount": self.max_count, "retentionDays": self.retention_days,
            "notice": self.notice, "explicit": self.explicit,
        });
        // Not even as null where there is none: the first event of older records is bound to terms without them.
        if let Value::Object(members) = &mut terms {
            if let Some(via) = &self.via {
                members.insert("via".into(), json!(via));
            }
            if self.aggregate_only {
                members.insert("aggregateOnly".into(), true.into());
            }
            if let Some(least) = self.min_group_size {
                members.insert("minGroupSize".into(), least.into());
            }
        }
        terms
    }

    /// For how long it was given.
    pub(in crate::consent) fn length(&self) -> Duration {
        self.expires.since(self.given)
    }

    /// What the first event is bound to: the hash of the terms.
    pub fn root(&self) -> Result<Digest, JoseError> {
        Ok(sha256(&canonical::signable(&self.terms())?))
    }

    /// All that another one allows is allowed by this one too, while it lasts.
    pub(in crate::consent) fn terms_cover(&self, other: &Self) -> bool {
        fn all<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
            narrow.iter().all(|one| wide.contains(one))
        }
        // An empty list of datasets or fields means all of them.
        fn open<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
            wide.is_empty() || (!narrow.is_empty() && all(wide, narrow))
        }
        let agreement = self.agreement.is_none() || self.agreement == other.agreement;
        let count = self
            .max_count
            .is_none_or(|most| other.max_count.is_some_and(|wanted| wanted <= most));
        // What records may be used for, groups may be counted for; never the other way round.
        let form = !self.aggregate_only || other.aggregate_only;
        let groups = self
            .min_group_size
            .is_none_or(|least| other.min_group_size.is_some_and(|wanted| wanted >= least));
        form && groups
            && all(&self.recipients, &other.recipients)
            && all(&named(&self.purposes), &named(&other.purposes))
            && all(&self.categories, &other.categories)
            && open(&self.datasets, &other.datasets)
            && open(&self.fields, &other.fields)
            && agreement
            && count
    }

    /// Both are about the same: a learner, a holder, a recipient, a purpose, and data that both cover, under an agreement for which both can be. Of
    /// two such consents one is in force.
    pub fn is_about_the_same_as(&self, other: &Self) -> bool {
        let agreement = self.agreement.is_none() || other.agreement.is_none() || self.agreement == other.agreement;
        agreement && self.is_about_the_same_use_as(other)
    }

    /// The same, whatever the agreement: what a learner has said no to is not asked for again at once because there is another one.
    pub(in crate::consent) fn is_about_the_same_use_as(&self, other: &Self) -> bool {
        fn meet<T: PartialEq>(some: &[T], others: &[T]) -> bool {
            some.iter().any(|one| others.contains(one))
        }
        // An empty list of datasets or fields means all of them.
        fn open<T: PartialEq>(some: &[T], others: &[T]) -> bool {
            some.is_empty() || others.is_empty() || meet(some, others)
        }
        self.subject == other.subject
            && self.holder == other.holder
            && meet(&self.recipients, &other.recipients)
            && meet(&named(&self.purposes), &named(&other.purposes))
            && meet(&self.categories, &other.categories)
            && open(&self.datasets, &other.datasets)
            && open(&self.fields, &other.fields)
    }
}

/// Purposes in the one spelling in which they are compared.
fn named(purposes: &[String]) -> Vec<String> {
    purposes.iter().map(|purpose| policy::canonical_name(purpose)).collect()
}

/// Why a step was taken, where the step alone does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The time for which it was given is over.
    PeriodEnded,
    /// The learner reached the age of sole consent.
    CameOfAge,
    /// The notice was replaced by one that means something else.
    NoticeChanged,
    /// The holder decided so.
    HolderDecided,
    /// An authority decided so.
    AuthorityDecided,
    /// The notice was faulty.
    NoticeFaulty,
    /// Whoever signed was not enough, as was found out later: the learner did not consent alone, or another had no power to.
    SignatureMissing,
    /// The power on which it rested has ended.
    PowerEnded,
}

/// One step of a consent as everybody may see it: what the next one's hash covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConsentFact)]
pub struct Fact {
    /// What was done.
    pub act: Act,
    /// Where it led.
    pub state: State,
    /// As whom.
    pub role: Role,
    /// When it was said.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// When it came here.
    #[schema(value_type = String, format = DateTime)]
    pub recorded: Timestamp,
    /// How: a form, a click, a signed message.
    pub method: String,
    /// How sure it is that it was them (an assurance level of eIDAS, a way to log in).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub assurance: Option<String>,
    /// HMAC-SHA-256 of where the proof is kept, under the salt that is kept with the record and is in no receipt: `file 7` would be guessed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub evidence: Option<Digest>,
    /// Who: a pseudonym that only the holder can resolve, or a participant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cause: Option<Cause>,
    /// Until when it holds from then on, where the step changes that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub until: Option<Timestamp>,
    /// The consent that takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub replaced_by: Option<ConsentId>,
    /// Hash of the step before it, or of the terms.
    #[schema(value_type = String)]
    pub previous: Digest,
}

impl Fact {
    /// What the next step names as the previous one.
    pub fn digest(&self) -> Result<Digest, JoseError> {
        Ok(sha256(&canonical::signable(&json!(self))?))
    }
}

/// One step as it is kept here.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConsentEvent)]
pub struct Event {
    /// What others may see.
    #[serde(flatten)]
    pub fact: Fact,
    /// Who, by the holder's own identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub actor: Option<String>,
    /// Where the proof is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub proof: Option<String>,
}

/// A consent with all that happened to it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StoredConsent)]
pub struct Stored {
    /// The terms.
    pub consent: Consent,
    /// Where it stands.
    pub state: State,
    /// How it came to that, the oldest first.
    pub events: Vec<Event>,
    /// Until when it holds: the end of its terms, or of the last reaffirmation, which says so in its event. Where it is shown, never later than
    /// `threshold`.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// When it ends because the learner comes of age, or with the power on which it rests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub threshold: Option<Timestamp>,
    /// The notice was replaced since, without changing its meaning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub notice_replaced: bool,
    /// What the hashes of its evidence are salted with.
    #[schema(value_type = String)]
    pub salt: EvidenceSalt,
    /// How many receipts there are.
    pub receipts: u32,
    /// Hash of the newest receipt.
    #[schema(value_type = Option<String>, required)]
    pub receipt: Option<Digest>,
    /// Hash of the receipt of its being given.
    #[serde(default)]
    #[schema(value_type = Option<String>, required)]
    pub given_receipt: Option<Digest>,
    /// Hash of the receipt of its withdrawal.
    #[serde(default)]
    #[schema(value_type = Option<String>, required)]
    pub withdrawal_receipt: Option<Digest>,
    /// When it was withdrawn.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub withdrawn: Option<Timestamp>,
}

impl Stored {
    /// The first instant at which it permits nothing any more, whatever else happens.
    pub fn ends(&self) -> Timestamp {
        self.threshold.map_or(self.until, |threshold| threshold.min(self.until))
    }

    /// As it is shown: with the end that it has.
    #[must_use]
    pub fn shown(self) -> Self {
        Self {
            until: self.ends(),
            ..self
        }
    }

    /// It permits something now.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.state == State::Given && now < self.ends()
    }

    /// It lets records out now, and not only numbers about groups.
    pub fn permits_records(&self, now: Timestamp) -> bool {
        self.is_in_force(now) && !self.consent.aggregate_only
    }

    /// It is open and can still be given.
    pub fn is_waiting(&self, now: Timestamp) -> bool {
        self.state.is_open() && now < self.until
    }

    /// Whose word it rests on: of whoever said yes, or since of whoever said that it goes on.
    pub(in crate::consent) fn signatures(&self) -> Vec<Signature<'_>> {
        let renewed = self.events.iter().rposition(|event| event.fact.act == Act::Reaffirm);
        let signed = |event: &&Event| matches!(event.fact.act, Act::Give | Act::Reaffirm);
        let events = self.events.iter().skip(renewed.unwrap_or(0)).filter(signed);
        events
            .map(|event| Signature {
                role: event.fact.role,
                id: event.actor.as_deref(),
                time: event.fact.time,
            })
            .collect()
    }

    /// When the newest step was taken.
    pub fn last(&self) -> Timestamp {
        let newest = self.events.last().map(|event| event.fact.time.max(event.fact.recorded));
        newest.unwrap_or(self.consent.given)
    }

    /// When it got its present state.
    pub fn since(&self) -> Timestamp {
        self.events.last().map_or(self.consent.given, |event| event.fact.time)
    }

    /// What the next step names as the previous one.
    pub fn head(&self) -> Result<Digest, JoseError> {
        match self.events.last() {
            Some(event) => event.fact.digest(),
            None => self.consent.root(),
        }
    }
}
