//! Asking for a learner's consent: the request as a recipient writes it, and what is checked before the learner sees it, by the holder or by an
//! intermediary. The intermediary does not know the agreement: the holder looks at it when the learner has decided.

use super::{
    ExchangeError,
    inbox::{Arrival, Inbox, Message},
    message::{self, Content},
};
use crate::{
    catalog,
    consent::{
        Beside, ConsentError, Consents, NewRequest, Pseudonym, links::Links, notice::NewNotice, record::hash_of_text,
    },
    contract::{Agreements, StoredAgreement},
    dsp::{AgreementId, DatasetId, MessageId, ParticipantId, Role},
    jose::{self, Digest},
    process::Recent,
    store::StoreError,
    trust::{Party, Trust},
};
use policy::{Reach, Timestamp, canonical_name};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use utoipa::ToSchema;

/// Requests of one peer within [`WINDOW`].
const MOST: usize = 60;
/// See [`MOST`].
const WINDOW: Duration = Duration::from_secs(60);
/// Longest notice, in bytes, that goes on to a holder: it is stored with the receipt until that has it.
const LONGEST_PASSED_ON: usize = 16 * 1024;

/// The text that the learner is to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoticeText {
    /// Its name at the recipient.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Its language (BCP 47).
    pub language: String,
    /// `sha256:` and the hash of the text in hex.
    pub sha256: String,
    /// The text.
    pub text: String,
}

impl NoticeText {
    /// The hash is that of the text.
    pub(super) fn is_intact(&self) -> bool {
        self.sha256 == hash_of_text(&self.text)
    }
}

/// Recipient to holder or intermediary: asks for a learner's consent to what an agreement allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// Who would receive: who signs, and nobody else.
    pub recipient: ParticipantId,
    /// Who holds the records, where an intermediary is asked; without it whoever is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub holder: Option<ParticipantId>,
    /// Under which agreement.
    pub agreement: AgreementId,
    /// Hash of that agreement (canonical JSON of the DSP object): an intermediary does not know the agreement, and records this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub offer: Option<Digest>,
    /// From which dataset: the agreement's.
    pub dataset: DatasetId,
    /// For which purposes (IRIs), of those of the agreement.
    pub purposes: Vec<String>,
    /// Which data categories, of those of the agreement.
    pub categories: Vec<String>,
    /// Only these fields of them, as JSON pointers that the dataset claims; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// What the learner is shown.
    pub notice: NoticeText,
    /// For how many days the records would be kept.
    pub retention_days: Option<u32>,
    /// For so many transfers in all; without it for any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub max_count: Option<u64>,
    /// For numbers about groups of learners alone, never for a record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aggregate_only: bool,
    /// Counted only in releases of groups or anonymous rows in which no group has fewer learners; without it in any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub min_group_size: Option<u32>,
    /// Until when.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// The learner, as the recipient knows them since they linked themselves with whoever is asked.
    pub learner: Pseudonym,
}

impl Request {
    /// What is recorded of it for a learner of ours; `message` asked for it.
    pub(super) fn wanted(&self, subject: String, message: &MessageId) -> NewRequest {
        NewRequest {
            subject,
            holder: self.holder.clone(),
            requested_by: self.recipient.clone(),
            recipients: vec![self.recipient.clone()],
            purposes: self.purposes.clone(),
            categories: self.categories.clone(),
            fields: self.fields.clone(),
            datasets: vec![self.dataset.clone()],
            agreement: Some(self.agreement.clone()),
            offer: self.offer,
            expires: self.until,
            max_count: self.max_count,
            retention_days: self.retention_days,
            notice: self.notice.sha256.clone(),
            evidence: message.as_str().to_owned(),
            explicit: self.categories.iter().any(|name| name == "special-needs"),
            aggregate_only: self.aggregate_only,
            min_group_size: self.min_group_size,
        }
    }
}

impl Content for Request {
    const TYPE: &'static str = "ConsentRequestMessage";
    const PATH: &'static str = "/dases/consents/requests";
}

/// How often peers have asked, for each kind of message.
pub(super) fn recent() -> Recent<(ParticipantId, &'static str)> {
    Recent::new(MOST, WINDOW)
}

/// Takes requests in, as a holder or an intermediary.
pub(super) struct Requests {
    pub(super) consents: Arc<Consents>,
    pub(super) trust: Arc<Trust>,
    pub(super) agreements: Agreements,
    pub(super) links: Arc<Links>,
    /// When peers asked.
    pub(super) recent: Recent<(ParticipantId, &'static str)>,
}

impl Requests {
    /// Takes a peer's request: it waits for the learner from then on.
    pub(super) async fn take(
        &self,
        inbox: &Inbox,
        message: &Message<Request>,
        now: Timestamp,
    ) -> Result<Value, ExchangeError> {
        let mut opened = match inbox.open(message).await? {
            Arrival::Again(answer) => return Ok(answer),
            Arrival::New(opened) => opened,
        };
        let (sender, content) = (&message.sender().did, &message.value().content);
        self.room::<Request>(sender, now)?;
        if content.recipient != *sender {
            return Err(ExchangeError::WrongParty("whoever asks is who would receive"));
        }
        if !content.notice.is_intact() {
            return Err(ExchangeError::Notice);
        }
        let elsewhere = content.holder.as_ref().filter(|holder| *holder != self.trust.me());
        let offer = match elsewhere {
            Some(_) => content.offer,
            None => Some(self.covered(sender, content, now).await?),
        };
        let subject = self.links.subject(sender, &content.learner).await?;
        let subject = subject.ok_or(ExchangeError::UnknownLearner)?;
        if let Some(holder) = elsewhere {
            self.can_pass_on(holder, &subject, &content.notice).await?;
        }
        let answer = message::taken(&message.value().id);
        Inbox::remember(message, &mut opened.batch, &answer, now)?;
        let mut beside = Beside {
            batch: opened.batch,
            entries: opened.entries,
            notice: None,
        };
        let notice = shown(sender, &content.notice);
        self.consents.register_beside(notice, &mut beside, now).await?;
        let new = NewRequest {
            offer,
            ..content.wanted(subject, &message.value().id)
        };
        match self.consents.request(new, Some(&beside), now).await {
            Ok(_) => Ok(answer),
            Err(ConsentError::Store(StoreError::Conflict { .. })) => Err(inbox.conflict(message).await),
            Err(error) => Err(error.into()),
        }
    }

    /// Of an intermediary: the learner is linked with the holder too, and what they decide can go there.
    async fn can_pass_on(
        &self,
        holder: &ParticipantId,
        subject: &str,
        notice: &NoticeText,
    ) -> Result<(), ExchangeError> {
        if self.links.pseudonym(holder, subject).await?.is_none() {
            return Err(ExchangeError::UnknownLearner);
        }
        match notice.text.len() > LONGEST_PASSED_ON {
            true => Err(ExchangeError::Invalid(
                "a notice that goes through an intermediary has at most 16 KiB".into(),
            )),
            false => Ok(()),
        }
    }

    /// Counts one more message of this kind of a peer, or refuses it.
    pub(super) fn room<T: Content>(&self, peer: &ParticipantId, now: Timestamp) -> Result<(), ExchangeError> {
        match self.recent.take((peer.clone(), T::TYPE), now) {
            true => Ok(()),
            false => Err(ExchangeError::TooOften),
        }
    }

    /// The agreement is theirs and allows all that is asked for. Returns the hash of it.
    pub(super) async fn covered(
        &self,
        sender: &ParticipantId,
        asked: &Request,
        now: Timestamp,
    ) -> Result<Digest, ExchangeError> {
        let stored = self.agreements.get(&asked.agreement).await?;
        let stored = stored.filter(|stored| stored.role == Role::Provider && stored.consumer == *sender);
        let stored = stored.ok_or(ExchangeError::NoAgreement)?;
        let offer = hash_of(&stored)?;
        if asked.offer.is_some_and(|named| named != offer) {
            return Err(ExchangeError::Invalid(
                "the hash of the agreement is another one".into(),
            ));
        }
        if stored.dataset != asked.dataset {
            return Err(ExchangeError::NotCovered("dataset"));
        }
        let scope = scope_of(&stored, &self.trust.party(sender, now), now)?;
        if asked.purposes.is_empty()
            || !asked
                .purposes
                .iter()
                .all(|asked| scope.purposes.contains(&canonical_name(asked)))
        {
            return Err(ExchangeError::NotCovered("purpose"));
        }
        if asked.categories.is_empty() || !asked.categories.iter().all(|name| scope.allows_category(name)) {
            return Err(ExchangeError::NotCovered("data category"));
        }
        Ok(offer)
    }
}

/// What a consent that is asked for under an agreement names it by.
pub(super) fn hash_of(stored: &StoredAgreement) -> Result<Digest, ExchangeError> {
    let hash = stored.terms_digest();
    hash.map_err(|error| ExchangeError::Invalid(format!("the agreement has no hash: {error}")))
}

/// What an agreement with this recipient lets learners be asked for.
pub(super) fn scope_of(stored: &StoredAgreement, recipient: &Party, now: Timestamp) -> Result<Reach, ExchangeError> {
    let policy = catalog::read_policy(&stored.agreement).ok();
    let scope = policy.and_then(|policy| catalog::scope(&policy, recipient, now).ok());
    scope.ok_or(ExchangeError::NotCovered("agreement, which permits nothing any more"))
}

/// The text under the recipient's name: two recipients may give theirs the same.
pub(super) fn shown(recipient: &ParticipantId, notice: &NoticeText) -> NewNotice {
    let by = jose::sha256(recipient.as_str().as_bytes()).to_hex();
    let by: String = by.chars().take(8).collect();
    // What comes through an intermediary is named so already.
    let id = match notice.id.strip_prefix(&by) {
        Some(rest) if rest.starts_with('-') => notice.id.clone(),
        _ => format!("{by}-{}", notice.id),
    };
    NewNotice {
        id,
        version: notice.version.clone(),
        language: notice.language.clone(),
        text: notice.text.clone(),
        url: None,
    }
}
