//! The recipient's side of a consent: what it asked for, and the holder's signed receipts of what the learner decided. Nothing is believed that
//! the holder did not sign, that is about somebody else, or that something newer has overtaken.

use super::{
    ExchangeError,
    enclosed::{Said, enclosed},
    inbox::{Arrival, Inbox, Message},
    kept::Kept,
    message::{self, Content, EndReason},
    requests::Request,
    retraction::{Retraction, name_of},
    retractions::Retractions,
};
use crate::{
    audit::Log,
    consent::{ConsentId, Pseudonym, state::State},
    dsp::{MessageId, ParticipantId},
    jose::{self, Digest},
    process::{self, Outgoing, decode, encode, outbox::Outcome},
    store::{Batch, Guard, Pages, Row, Store, StoreError, Table},
    trust::{Trust, did::Document},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::HashMap, sync::Arc};
use utoipa::ToSchema;

/// Consents that holders told us of, by the hash of holder and pseudonym and the hash of the consent's id.
const RECEIVED: Table = Table(64);
/// What we asked for, by the message's id.
const ASKED: Table = Table(67);
/// How many rows are read at a time.
const PAGE: usize = 64;
/// Most consents of one holder that are kept. Of more the receipts are checked and acknowledged all the same: the messages of a learner wait for
/// each other, and one that is told to try again holds up every ending after it.
const MOST: usize = 100_000;

/// Holder to who asked, and to the intermediary: where a consent stands, with the signed receipt of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Receipt {
    /// The consent.
    pub consent: ConsentId,
    /// The learner, as the recipient knows them.
    pub pseudonym: Pseudonym,
    /// Where it stands.
    pub state: State,
    /// As of when it is told: after every ending that was told before it.
    pub at: Timestamp,
    /// Until when it holds.
    pub until: Timestamp,
    /// The receipt's number in its chain.
    pub number: u32,
    /// The message that asked for it, if that was the recipient's.
    pub request: Option<MessageId>,
    /// Hash of the receipt.
    pub digest: Digest,
    /// The receipt; none where it is too long for a message.
    pub receipt: Option<String>,
}

impl Content for Receipt {
    const TYPE: &'static str = "ConsentReceiptMessage";
    const PATH: &'static str = "/dases/consents/receipts";
}

/// A consent as a holder has told us of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ReceivedConsent)]
pub struct Received {
    /// Who holds the records.
    pub holder: ParticipantId,
    /// The consent.
    pub consent: ConsentId,
    /// The learner, as we know them.
    pub pseudonym: Pseudonym,
    /// Where it stands: what the newest receipt says, unless the holder has told its end since.
    pub state: State,
    /// As of when it is told: after every ending that was told before it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Until when it holds.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// The message with which we asked for it.
    #[schema(required)]
    pub request: Option<MessageId>,
    /// The newest receipt's number.
    pub number: u32,
    /// Its hash.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// The newest receipt, as the holder signed it.
    #[schema(required)]
    pub receipt: Option<String>,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    pub received: Timestamp,
    /// The holder's message that it has ended, where no receipt says so yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub ended: Option<MessageId>,
}

/// What became of something that we asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AskedConsent)]
pub struct Asked {
    /// The message.
    pub id: MessageId,
    /// The holder.
    pub holder: ParticipantId,
    /// The intermediary that was asked in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub via: Option<ParticipantId>,
    /// What it says.
    #[schema(value_type = Object)]
    pub request: Value,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Whoever was asked has it: the learner decides.
    pub delivered: bool,
    /// Why it was not taken.
    #[schema(required)]
    pub refused: Option<String>,
}

/// What holders told us of consents.
pub(super) struct Receipts {
    log: Arc<Log>,
    trust: Arc<Trust>,
    /// How many consents of each holder are kept.
    kept: Kept,
}

fn of_learner(holder: &ParticipantId, pseudonym: &Pseudonym) -> Vec<u8> {
    name_of(holder, pseudonym.as_str().as_bytes()).as_bytes().to_vec()
}

fn key(holder: &ParticipantId, pseudonym: &Pseudonym, consent: &ConsentId) -> Vec<u8> {
    let consent = jose::sha256(consent.as_str().as_bytes());
    [of_learner(holder, pseudonym).as_slice(), consent.as_bytes()].concat()
}

/// Adds to the commit of an ending that the consents which it names have ended, as far as they are known, and returns when the newest was given
/// that came after it: then the ending comes late.
pub(super) async fn end(
    store: &dyn Store,
    ending: &Retraction,
    batch: &mut Batch,
) -> Result<Option<Timestamp>, StoreError> {
    let mut newest = None;
    let mut pages = Pages::new(store, RECEIVED, ending.name.as_bytes().as_slice(), PAGE);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            let mut known: Received = decode(&row.item.value)?;
            if known.state.is_terminal() {
                continue;
            }
            if ending.consents.contains(&known.consent) {
                known.end(ending);
                batch.replace(RECEIVED, row.key, row.item.version, encode(&known)?);
            } else if known.state == State::Given && known.at > ending.closed() {
                newest = newest.max(Some(known.at));
            }
        }
    }
    Ok(newest)
}

impl Received {
    fn of(message: &Message<Receipt>, now: Timestamp) -> Self {
        let content = message.value().content.clone();
        Self {
            holder: message.sender().did.clone(),
            consent: content.consent,
            pseudonym: content.pseudonym,
            state: content.state,
            at: content.at,
            until: content.until,
            request: content.request,
            number: content.number,
            digest: content.digest,
            receipt: content.receipt,
            received: now,
            ended: None,
        }
    }

    /// The holder says that it has ended. What its newest receipt says stays.
    fn end(&mut self, ending: &Retraction) {
        self.state = match ending.reason {
            EndReason::Withdrawn | EndReason::Objected => State::Withdrawn,
            EndReason::Expired => State::Expired,
            EndReason::Revoked => State::Revoked,
        };
        self.at = ending.at;
        self.ended = Some(ending.notice.clone());
    }

    /// It permits nothing any more, or never did, since before a time.
    fn is_over(&self, since: Timestamp) -> bool {
        self.received < since && (self.state.is_terminal() || self.until < since)
    }
}

impl Receipts {
    pub(super) async fn load(log: Arc<Log>, trust: Arc<Trust>) -> Result<Self, StoreError> {
        let mut kept: HashMap<ParticipantId, usize> = HashMap::new();
        process::each(&**log.store(), RECEIVED, |known: Received| {
            *kept.entry(known.holder).or_default() += 1;
            Ok(())
        })
        .await?;
        Ok(Self {
            log,
            trust,
            kept: Kept::new(MOST, kept),
        })
    }

    /// Forgets consents that were over, and requests that were settled, before `since`; returns how many.
    pub(super) async fn sweep(&self, since: Timestamp) -> Result<usize, StoreError> {
        let store = &**self.log.store();
        let (mut swept, mut pages) = (0, Pages::new(store, RECEIVED, [], PAGE));
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let known: Received = decode(&row.item.value)?;
                if known.is_over(since) && forget(store, RECEIVED, &row).await? {
                    swept += 1;
                    self.kept.remove(&known.holder);
                }
            }
        }
        let mut pages = Pages::new(store, ASKED, [], PAGE);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let asked: Asked = decode(&row.item.value)?;
                let is_settled = asked.delivered || asked.refused.is_some();
                if is_settled && asked.at < since && forget(store, ASKED, &row).await? {
                    swept += 1;
                }
            }
        }
        Ok(swept)
    }

    pub(super) async fn list(&self) -> Result<Vec<Received>, StoreError> {
        process::all(&**self.log.store(), RECEIVED).await
    }

    pub(super) async fn asked(&self) -> Result<Vec<Asked>, StoreError> {
        process::all(&**self.log.store(), ASKED).await
    }

    /// Adds to the commit that queues a request that it was made.
    pub(super) fn ask(
        batch: &mut Batch,
        id: MessageId,
        (holder, via): (&ParticipantId, Option<&ParticipantId>),
        request: Value,
        at: Timestamp,
    ) -> Result<Asked, StoreError> {
        let asked = Asked {
            id,
            holder: holder.clone(),
            via: via.cloned(),
            request,
            at,
            delivered: false,
            refused: None,
        };
        batch.insert(ASKED, asked.id.as_str(), encode(&asked)?);
        Ok(asked)
    }

    /// Adds to the commit that settles a request what became of it.
    pub(super) async fn settle(&self, sent: &Outgoing, outcome: &Outcome, batch: &mut Batch) -> Result<(), StoreError> {
        if sent.kind != Request::TYPE {
            return Ok(());
        }
        let Ok(read) = message::read::<Request>(sent.body.as_bytes()) else {
            return Ok(());
        };
        let Some(item) = self.log.store().get(ASKED, read.id.as_str().as_bytes()).await? else {
            return Ok(());
        };
        let mut asked: Asked = decode(&item.value)?;
        match outcome {
            Outcome::Acknowledged { .. } => asked.delivered = true,
            Outcome::Refused { explanation, .. } => asked.refused = Some(explanation.reasons.join("; ")),
        }
        batch.replace(ASKED, read.id.as_str(), item.version, encode(&asked)?);
        Ok(())
    }

    /// Takes a holder's receipt.
    pub(super) async fn take(
        &self,
        inbox: &Inbox,
        message: &Message<Receipt>,
        retractions: &Retractions,
        now: Timestamp,
    ) -> Result<Value, ExchangeError> {
        let (sender, content) = (&message.sender().did, &message.value().content);
        // Before the turn: learners share turns, and no holder's host is to keep what others say waiting.
        let document = match &content.receipt {
            Some(_) => Some(self.trust.newest_keys_of(message.sender(), now).await),
            None => None,
        };
        let _turn = retractions.turn(sender, &content.pseudonym).await;
        let mut opened = match inbox.open(message).await? {
            Arrival::Again(answer) => return Ok(answer),
            Arrival::New(opened) => opened,
        };
        let key = key(sender, &content.pseudonym, &content.consent);
        let known = self.log.store().get(RECEIVED, &key).await?;
        let before: Option<Received> = known.as_ref().map(|item| decode(&item.value)).transpose()?;
        if before.as_ref().is_some_and(|before| content.number <= before.number) {
            return Err(ExchangeError::Stale("a newer receipt of this consent is known"));
        }
        let given = (&content.consent, content.at);
        if content.state == State::Given && retractions.is_stale(sender, &content.pseudonym, given) {
            return Err(ExchangeError::Stale("what it gave was taken back after it"));
        }
        if let (Some(text), Some(document)) = (&content.receipt, document) {
            let document = document.map_err(|error| ExchangeError::Invalid(error.to_string()))?;
            self.check(message, text, &document, before.as_ref())?;
        }
        let received = Received::of(message, now);
        let is_added = known.is_none() && self.kept.has_room(sender);
        if let Some(item) = known {
            opened.batch.replace(RECEIVED, key, item.version, encode(&received)?);
        } else if is_added {
            opened.batch.insert(RECEIVED, key, encode(&received)?);
        }
        let reopened = match content.state {
            State::Given => {
                let batch = &mut opened.batch;
                retractions.reopen(sender, &content.pseudonym, given, batch).await?
            }
            _ => Vec::new(),
        };
        let answer = message::taken(&message.value().id);
        let answer = inbox.close(message, opened, answer, now).await?;
        retractions.reopened(sender, &content.pseudonym, content.at, &reopened);
        if is_added {
            self.kept.add(sender);
        }
        Ok(answer)
    }

    /// The receipt says what the message says, of a consent in which we are a recipient, and follows the one that we have.
    fn check(
        &self,
        message: &Message<Receipt>,
        text: &str,
        document: &Document,
        before: Option<&Received>,
    ) -> Result<(), ExchangeError> {
        let (sender, content) = (&message.sender().did, &message.value().content);
        let said = Said {
            consent: &content.consent,
            state: content.state,
            number: content.number,
            digest: &content.digest,
        };
        // Where none is missing in between, it must follow the one that is known.
        let last = before.filter(|before| before.number + 1 == content.number);
        let last = last.and_then(|before| before.receipt.as_deref());
        let found = enclosed(text, &said, sender, last, |kid| document.key(kid).cloned())?;
        // Of what an intermediary says a recipient believes nothing: what counts is what the holder entered.
        if found.proved.holder != sender.as_str() {
            return Err(ExchangeError::WrongParty("a receipt is the holder's"));
        }
        let terms = |name: &str| found.terms.get(name);
        let me = self.trust.me().as_str();
        let is_me = |did: &Value| did.as_str() == Some(me);
        let recipients = terms("recipients").and_then(Value::as_array);
        let is_ours = recipients.is_some_and(|all| all.iter().any(is_me)) || terms("via").is_some_and(is_me);
        match is_ours {
            true => Ok(()),
            false => Err(ExchangeError::WrongParty("it is about other recipients")),
        }
    }
}

/// Deletes a row unless it has changed since it was read; whether it did.
pub(super) async fn forget(store: &dyn Store, table: Table, row: &Row) -> Result<bool, StoreError> {
    let mut batch = Batch::new();
    batch.require(table, row.key.as_slice(), Guard::At(row.item.version));
    batch.delete(table, row.key.as_slice());
    match store.commit(batch).await {
        Err(StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
        Ok(_) => Ok(true),
    }
}

#[cfg(test)]
mod tests;
