//! What a learner decided at an intermediary: the message in which the intermediary tells the holder, and what the holder checks before it
//! counts. An intermediary counts only where the holder's operator has named it, and only for learners who linked themselves at both.
//!
//! To give takes everything: the intermediary's receipt, the link, the agreement, the notice. To end takes the intermediary's signature alone.

use super::{
    ExchangeError,
    enclosed::{Said, enclosed, said_by},
    inbox::{Arrival, Inbox, Message},
    message::{self, Content},
    received::forget,
    requests::{NoticeText, Request, Requests, shown},
};
use crate::{
    audit::Log,
    consent::{
        Beside, ConsentError, ConsentId, NewRequest, Pseudonym, Stored,
        elsewhere::{Decided, Site, Word},
        state::State,
    },
    dsp::{AgreementId, DatasetId, MessageId, ParticipantId},
    jose::{self, Digest},
    process::{Outgoing, decode, encode, outbox::Outcome},
    store::{Batch, Pages, StoreError, Table},
    trust::Trust,
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc};

/// The newest decision about each consent that was taken, by hash of intermediary and consent. It outlives what was never recorded here, or was
/// forgotten: nothing older counts later.
const HEARD: Table = Table(78);
/// How many rows are read at a time.
const PAGE: usize = 256;

/// The newest decision about a consent that was taken.
#[derive(Serialize, Deserialize)]
struct Heard {
    /// Its number.
    number: u32,
    /// When it came.
    at: Timestamp,
}

/// Intermediary to holder: what a learner decided about what was asked for at the intermediary.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decision {
    /// The consent. Its terms are those of the receipt.
    pub consent: ConsentId,
    /// The learner as the holder named them to the intermediary; none where they have unlinked themselves since.
    pub learner: Option<Pseudonym>,
    /// Where it stands.
    pub state: State,
    /// The recipient's message that asked for it.
    pub request: Option<MessageId>,
    /// What the learner was shown; none of what has ended.
    pub notice: Option<NoticeText>,
    /// The receipt's number in the intermediary's chain.
    pub number: u32,
    /// Hash of the receipt.
    pub digest: Digest,
    /// The intermediary's receipt; none where it is too long for a message.
    pub receipt: Option<String>,
}

impl Content for Decision {
    const TYPE: &'static str = "ConsentDecisionMessage";
    const PATH: &'static str = "/dases/consents/decisions";
}

/// The terms that a receipt shows.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terms {
    holder: ParticipantId,
    via: Option<ParticipantId>,
    recipients: Vec<ParticipantId>,
    purposes: Vec<String>,
    categories: Vec<String>,
    #[serde(default)]
    fields: Vec<String>,
    datasets: Vec<DatasetId>,
    agreement: Option<AgreementId>,
    offer: Option<Digest>,
    max_count: Option<u64>,
    #[serde(default)]
    aggregate_only: bool,
    min_group_size: Option<u32>,
    retention_days: Option<u32>,
    notice: String,
}

/// What a receipt proves.
struct Proved {
    terms: Terms,
    until: Timestamp,
}

/// The yes that a holder will not have and why, if that is what became of a message.
pub(super) fn not_taken(sent: &Outgoing, outcome: &Outcome) -> Option<(Decision, String)> {
    let Outcome::Refused { explanation, .. } = outcome else {
        return None;
    };
    if sent.kind != Decision::TYPE {
        return None;
    }
    let said = message::read::<Decision>(sent.body.as_bytes()).ok()?.content;
    let why: String = explanation.reasons.join("; ").chars().take(500).collect();
    (said.state == State::Given).then_some((said, why))
}

/// Takes decisions in, as a holder.
pub(super) struct Decisions {
    pub(super) log: Arc<Log>,
    /// The intermediaries that count.
    pub(super) accepted: BTreeSet<ParticipantId>,
}

impl Decisions {
    /// Takes an intermediary's word.
    pub(super) async fn take(
        &self,
        inbox: &Inbox,
        requests: &Requests,
        message: &Message<Decision>,
        now: Timestamp,
    ) -> Result<Value, ExchangeError> {
        let mut opened = match inbox.open(message).await? {
            Arrival::Again(answer) => return Ok(answer),
            Arrival::New(opened) => opened,
        };
        let (sender, content) = (&message.sender().did, &message.value().content);
        if content.state.is_open() {
            return Err(ExchangeError::Invalid("nothing is decided yet".into()));
        }
        let known = known(requests, sender, &content.consent).await?;
        let is_end = !matches!(content.state, State::Given | State::Refused);
        // What was given through one that has been taken from the list since can still be withdrawn through it.
        let ends_what_is_known = content.state != State::Given && known.is_some();
        if !self.accepted.contains(sender) && !ends_what_is_known {
            return Err(ExchangeError::WrongParty(
                "this holder has named no such intermediary (its setting consent.intermediaries)",
            ));
        }
        self.note(sender, content, &mut opened.batch, now).await?;
        let answer = message::taken(&message.value().id);
        if known.is_none() && is_end {
            return inbox.close(message, opened, answer, now).await;
        }
        Inbox::remember(message, &mut opened.batch, &answer, now)?;
        let beside = Beside {
            batch: opened.batch,
            entries: opened.entries,
            notice: None,
        };
        let done = match known {
            Some(_) if content.state != State::Given => end(requests, content, &beside, now).await,
            known => adopt(requests, message, known.as_ref(), beside, now).await,
        };
        match done {
            Ok(()) => Ok(answer),
            Err(ExchangeError::Consent(ConsentError::Store(StoreError::Conflict { .. }))) => {
                Err(inbox.conflict(message).await)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds to a commit which decision is the newest, if this one is.
    async fn note(
        &self,
        sender: &ParticipantId,
        content: &Decision,
        batch: &mut Batch,
        now: Timestamp,
    ) -> Result<(), ExchangeError> {
        let hash = jose::sha256(format!("{sender}\0{}", content.consent).as_bytes());
        let item = self.log.store().get(HEARD, hash.as_bytes()).await?;
        let newest: Option<Heard> = item.as_ref().map(|item| decode(&item.value)).transpose()?;
        if newest.is_some_and(|newest| content.number <= newest.number) {
            return Err(ExchangeError::Stale("a newer decision about this consent is known"));
        }
        let number = content.number;
        let (key, value) = (hash.as_bytes().as_slice(), encode(&Heard { number, at: now })?);
        match item {
            Some(item) => batch.replace(HEARD, key, item.version, value),
            None => batch.insert(HEARD, key, value),
        };
        Ok(())
    }

    /// Forgets what came before `since`: no consent of that time is in force, and no message of it is believed.
    pub(super) async fn sweep(&self, since: Timestamp) -> Result<usize, StoreError> {
        let store = &**self.log.store();
        let (mut swept, mut pages) = (0, Pages::new(store, HEARD, [], PAGE));
        while let Some(rows) = pages.next().await? {
            for row in rows {
                if decode::<Heard>(&row.item.value)?.at < since && forget(store, HEARD, &row).await? {
                    swept += 1;
                }
            }
        }
        Ok(swept)
    }
}

/// The record of this id, if it is one that came through the sender.
async fn known(requests: &Requests, sender: &ParticipantId, id: &ConsentId) -> Result<Option<Stored>, ExchangeError> {
    match requests.consents.get(id).await {
        Ok(stored) if stored.consent.via.as_ref() == Some(sender) => Ok(Some(stored)),
        Ok(_) => Err(ExchangeError::WrongParty(
            "this consent did not come through the sender",
        )),
        Err(ConsentError::Unknown) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// It has ended: nothing else is looked at, so that nothing keeps it in force.
async fn end(requests: &Requests, content: &Decision, beside: &Beside, now: Timestamp) -> Result<(), ExchangeError> {
    let word = Word {
        at: Site::Intermediary,
        state: content.state,
        by: said_by(content.receipt.as_deref(), content.state),
        evidence: content.digest.to_string(),
    };
    let ended = requests
        .consents
        .do_likewise(&content.consent, &word, Some(beside), now);
    Ok(ended.await?)
}

/// It was given, again or for the first time, or what was asked for was refused.
async fn adopt(
    requests: &Requests,
    message: &Message<Decision>,
    known: Option<&Stored>,
    mut beside: Beside,
    now: Timestamp,
) -> Result<(), ExchangeError> {
    let (sender, content) = (&message.sender().did, &message.value().content);
    let Proved { terms, until } = proved(&requests.trust, message, now).await?;
    let learner = content.learner.as_ref().ok_or(ExchangeError::UnknownLearner)?;
    let subject = requests.links.subject(sender, learner).await?;
    let subject = subject.ok_or(ExchangeError::UnknownLearner)?;
    if known.is_some_and(|stored| stored.consent.subject != subject) {
        return Err(ExchangeError::WrongParty("this consent is another learner's"));
    }
    let request = terms.request(content, learner, until)?;
    if request.recipient == *sender {
        return Err(ExchangeError::WrongParty(
            "an intermediary does not vouch for itself: it asks the holder",
        ));
    }
    let offer = requests.covered(&request.recipient, &request, now).await?;
    let notice = shown(&request.recipient, &request.notice);
    requests.consents.register_beside(notice, &mut beside, now).await?;
    let asked = content.request.as_ref();
    let asked = asked.ok_or_else(|| ExchangeError::Invalid("the request that it answers is missing".into()))?;
    let decided = Decided {
        id: content.consent.clone(),
        via: sender.clone(),
        given: content.state == State::Given,
        by: said_by(content.receipt.as_deref(), content.state),
        request: NewRequest {
            offer: Some(offer),
            ..request.wanted(subject, asked)
        },
        evidence: content.digest.to_string(),
    };
    Ok(requests.consents.adopt(decided, &beside, now).await?)
}

impl Terms {
    /// What the recipient would have asked the holder for.
    fn request(self, content: &Decision, learner: &Pseudonym, until: Timestamp) -> Result<Request, ExchangeError> {
        let ([recipient], [dataset]) = (self.recipients.as_slice(), self.datasets.as_slice()) else {
            return Err(ExchangeError::Invalid(
                "expected one recipient and one dataset, those of the agreement".into(),
            ));
        };
        let notice = content.notice.clone().ok_or(ExchangeError::Notice)?;
        if !notice.is_intact() || notice.sha256 != self.notice {
            return Err(ExchangeError::Notice);
        }
        Ok(Request {
            recipient: recipient.clone(),
            holder: None,
            agreement: self.agreement.ok_or(ExchangeError::NoAgreement)?,
            offer: self.offer,
            dataset: dataset.clone(),
            purposes: self.purposes,
            categories: self.categories,
            fields: self.fields,
            notice,
            retention_days: self.retention_days,
            max_count: self.max_count,
            aggregate_only: self.aggregate_only,
            min_group_size: self.min_group_size,
            until: Some(until),
            learner: learner.clone(),
        })
    }
}

/// The receipt is the sender's, says what the message says, and is about records of ours.
async fn proved(trust: &Trust, message: &Message<Decision>, now: Timestamp) -> Result<Proved, ExchangeError> {
    let (sender, content) = (&message.sender().did, &message.value().content);
    let wrong = |what: &str| ExchangeError::Invalid(format!("the receipt: {what}"));
    let text = content.receipt.as_ref().ok_or_else(|| wrong("it is missing"))?;
    let document = trust.newest_keys_of(message.sender(), now).await;
    let document = document.map_err(|error| ExchangeError::Invalid(error.to_string()))?;
    let said = Said {
        consent: &content.consent,
        state: content.state,
        number: content.number,
        digest: &content.digest,
    };
    // Of what the intermediary signed before nothing is kept here that it would have to follow.
    let found = enclosed(text, &said, sender, None, |kid| document.key(kid).cloned())?;
    let terms: Terms = serde_json::from_value(found.terms).map_err(|error| wrong(&error.to_string()))?;
    if terms.holder != *trust.me() || terms.via.as_ref() != Some(sender) {
        return Err(ExchangeError::WrongParty(
            "it is about another holder's records, or came through another intermediary",
        ));
    }
    Ok(Proved {
        terms,
        until: found.proved.until,
    })
}
