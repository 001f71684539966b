//! Asking a holder for a learner's consent, or the intermediary that keeps the learner's consents, as the recipient: what the agreement allows,
//! unless less is asked for.

use super::{
    Exchange, ExchangeError,
    received::{Asked, Receipts},
    requests::{NoticeText, Request, hash_of, scope_of},
};
use crate::{
    consent::Pseudonym,
    dsp::{AgreementId, ParticipantId, Role},
    jose,
    process::encode,
    store::Batch,
};
use policy::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

/// The text that the learner is to be shown.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoticeToShow {
    /// Its name.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Its language (BCP 47).
    pub language: String,
    /// The text.
    pub text: String,
}

/// What to ask for.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ask {
    /// Under which agreement, as its consumer: what the learner allows opens that one alone.
    pub agreement: AgreementId,
    /// The intermediary to ask in place of the holder.
    #[serde(default)]
    pub at: Option<ParticipantId>,
    /// The learner by our local identifier, who has linked themselves with whoever is asked.
    #[serde(default)]
    pub subject: Option<String>,
    /// The learner by the pseudonym that whoever is asked uses towards us.
    #[serde(default)]
    pub learner: Option<Pseudonym>,
    /// For which purposes; without them all of the agreement's.
    #[serde(default)]
    pub purposes: Vec<String>,
    /// Which data categories.
    pub categories: Vec<String>,
    /// Only these fields of them, as JSON pointers such as `/result/score`; without them all.
    #[serde(default)]
    pub fields: Vec<String>,
    /// What the learner is shown.
    pub notice: NoticeToShow,
    /// For how many days the records are kept: said in the record and the receipts, and enforced by nothing.
    #[serde(default)]
    pub retention_days: Option<u32>,
    /// For so many transfers in all, 1 to 366; without it for any number.
    #[serde(default)]
    pub max_count: Option<u64>,
    /// For numbers about groups of learners alone, never for a record.
    #[serde(default)]
    pub aggregate_only: bool,
    /// Counted only in releases of groups or anonymous rows in which no group has fewer learners, 5 to 1,000,000; without it in any.
    #[serde(default)]
    pub min_group_size: Option<u32>,
    /// Until when.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

impl Exchange {
    /// Asks the holder of an agreement's data, or an intermediary in its place, for a learner's consent.
    pub async fn ask(&self, ask: Ask, now: Timestamp) -> Result<Asked, ExchangeError> {
        let stored = self.agreements.get(&ask.agreement).await?;
        let stored = stored
            .filter(|stored| stored.role == Role::Consumer)
            .ok_or(ExchangeError::NoAgreement)?;
        let holder = stored.provider.clone();
        let via = ask.at.filter(|at| *at != holder);
        let to = via.as_ref().unwrap_or(&holder);
        let learner = match (ask.learner, &ask.subject) {
            (Some(pseudonym), _) => Some(pseudonym),
            (None, Some(subject)) => Some(self.links.known_by(to, subject).await?),
            (None, None) => None,
        };
        let learner = learner.ok_or(ExchangeError::UnknownLearner)?;
        let purposes = match ask.purposes.is_empty() {
            true => scope_of(&stored, &self.trust.party(self.trust.me(), now), now)?.purposes,
            false => ask.purposes,
        };
        let request = Request {
            recipient: self.trust.me().clone(),
            holder: via.is_some().then(|| holder.clone()),
            agreement: stored.id.clone(),
            // The holder has the agreement itself.
            offer: via.is_some().then(|| hash_of(&stored)).transpose()?,
            dataset: stored.dataset.clone(),
            purposes,
            categories: ask.categories,
            fields: ask.fields,
            notice: NoticeText {
                sha256: format!("sha256:{}", jose::sha256(ask.notice.text.as_bytes()).to_hex()),
                id: ask.notice.id,
                version: ask.notice.version,
                language: ask.notice.language,
                text: ask.notice.text,
            },
            retention_days: ask.retention_days,
            max_count: ask.max_count,
            aggregate_only: ask.aggregate_only,
            min_group_size: ask.min_group_size,
            until: ask.until,
            learner,
        };
        let mut batch = Batch::new();
        let post = self.notices.post();
        let posted = post.put(&mut batch, to, request.learner.as_str(), &request, now)?;
        let said = serde_json::from_slice(&encode(&request)?).unwrap_or_default();
        let asked = Receipts::ask(&mut batch, posted.id, (&holder, via.as_ref()), said, now)?;
        self.inbox.0.commit(batch, posted.entry, Vec::new(), now).await?;
        post.wake(&posted.lane);
        Ok(asked)
    }
}
