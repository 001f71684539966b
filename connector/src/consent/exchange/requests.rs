//! Asking for a learner's consent: the request as a recipient writes it, and what a holder checks before the learner sees it.

use super::{
    ExchangeError,
    inbox::{Arrival, Inbox, Message},
    message::{self, Content},
};
use crate::{
    catalog,
    consent::{Beside, ConsentError, Consents, NewRequest, Pseudonym, links::Links, notice::NewNotice},
    contract::Agreements,
    dsp::{AgreementId, DatasetId, ParticipantId, Role},
    jose,
    store::StoreError,
    trust::Trust,
};
use policy::{Action, Plan, Timestamp, canonical_name};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use utoipa::ToSchema;

/// Requests of one peer within [`WINDOW`].
const MOST: usize = 60;
/// See [`MOST`].
const WINDOW: Duration = Duration::from_secs(60);

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

/// Recipient to holder: asks for a learner's consent to what an agreement allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// Who would receive: who signs, and nobody else.
    pub recipient: ParticipantId,
    /// Under which agreement.
    pub agreement: AgreementId,
    /// From which dataset: the agreement's.
    pub dataset: DatasetId,
    /// For which purposes (IRIs), of those of the agreement.
    pub purposes: Vec<String>,
    /// Which data categories, of those of the agreement.
    pub categories: Vec<String>,
    /// What the learner is shown.
    pub notice: NoticeText,
    /// For how many days the records would be kept.
    pub retention_days: Option<u32>,
    /// Until when.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// The learner, as the recipient knows them since they linked themselves.
    pub learner: Pseudonym,
}

impl Content for Request {
    const TYPE: &'static str = "ConsentRequestMessage";
    const PATH: &'static str = "/dases/consents/requests";
}

/// Takes requests in, as a holder.
pub(super) struct Requests {
    pub(super) consents: Arc<Consents>,
    pub(super) trust: Arc<Trust>,
    pub(super) agreements: Agreements,
    pub(super) links: Arc<Links>,
    /// When peers asked.
    pub(super) recent: Mutex<HashMap<ParticipantId, Vec<Timestamp>>>,
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
        self.room(sender, now)?;
        if content.recipient != *sender {
            return Err(ExchangeError::WrongParty("whoever asks is who would receive"));
        }
        let hash = format!("sha256:{}", jose::sha256(content.notice.text.as_bytes()).to_hex());
        if content.notice.sha256 != hash {
            return Err(ExchangeError::Notice);
        }
        self.covered(sender, content, now).await?;
        let subject = self.links.subject(sender, &content.learner).await?;
        let subject = subject.ok_or(ExchangeError::UnknownLearner)?;
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
            subject,
            requested_by: sender.clone(),
            recipients: vec![sender.clone()],
            purposes: content.purposes.clone(),
            categories: content.categories.clone(),
            fields: Vec::new(),
            datasets: vec![content.dataset.clone()],
            agreement: Some(content.agreement.clone()),
            offer: None,
            expires: content.until,
            max_count: None,
            retention_days: content.retention_days,
            notice: hash,
            evidence: message.value().id.as_str().to_owned(),
            explicit: content.categories.iter().any(|name| name == "special-needs"),
        };
        match self.consents.request(new, Some(&beside), now).await {
            Ok(_) => Ok(answer),
            Err(ConsentError::Store(StoreError::Conflict { .. })) => Err(inbox.conflict(message).await),
            Err(error) => Err(error.into()),
        }
    }

    fn room(&self, peer: &ParticipantId, now: Timestamp) -> Result<(), ExchangeError> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|_, times| {
            times.retain(|time| now < time.plus(WINDOW));
            !times.is_empty()
        });
        let times = recent.entry(peer.clone()).or_default();
        if times.len() >= MOST {
            return Err(ExchangeError::TooOften);
        }
        times.push(now);
        Ok(())
    }

    /// The agreement is theirs and allows all that is asked for.
    async fn covered(&self, sender: &ParticipantId, asked: &Request, now: Timestamp) -> Result<(), ExchangeError> {
        let stored = self.agreements.get(&asked.agreement).await?;
        let stored = stored.filter(|stored| stored.role == Role::Provider && stored.consumer == *sender);
        let stored = stored.ok_or(ExchangeError::NoAgreement)?;
        if stored.dataset != asked.dataset {
            return Err(ExchangeError::NotCovered("dataset"));
        }
        let facts = catalog::facts(&self.trust.party(sender, now), Action::Use, now);
        let policy = catalog::read_policy(&stored.agreement);
        let plan: Option<Plan> = policy.ok().and_then(|policy| catalog::plan(&policy, &facts).ok());
        let plan = plan.ok_or(ExchangeError::NotCovered("agreement, which permits nothing now"))?;
        let allowed: Vec<String> = plan.purposes.iter().map(|purpose| canonical_name(purpose)).collect();
        if asked.purposes.is_empty()
            || !asked
                .purposes
                .iter()
                .all(|asked| allowed.contains(&canonical_name(asked)))
        {
            return Err(ExchangeError::NotCovered("purpose"));
        }
        if asked.categories.is_empty() || !asked.categories.iter().all(|name| plan.allows_category(name)) {
            return Err(ExchangeError::NotCovered("data category"));
        }
        Ok(())
    }
}

/// The text under the recipient's name: two recipients may give theirs the same.
fn shown(sender: &ParticipantId, notice: &NoticeText) -> NewNotice {
    let by = jose::sha256(sender.as_str().as_bytes()).to_hex();
    let by: String = by.chars().take(8).collect();
    NewNotice {
        id: format!("{by}-{}", notice.id),
        version: notice.version.clone(),
        language: notice.language.clone(),
        text: notice.text.clone(),
        url: None,
    }
}
