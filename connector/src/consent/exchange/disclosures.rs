//! What a duty to inform comes to (ODRL 2.2 `inform` and `informedParty`): the provider tells the participant that the duty names that a transfer
//! has begun, and a participant that is told keeps it for its operator. A message says who gives what to whom and for what, and nothing of any
//! learner. Whom a policy names is not decided here.

use super::{
    ExchangeError,
    inbox::{Arrival, Inbox, Message, key},
    kept::Kept,
    message::{self, Content},
    notices::{Delivered, delivered},
    post::{self, Post},
    received::forget,
};
use crate::{
    audit::{Entry, Log},
    dsp::{AgreementId, DatasetId, MessageId, ParticipantId, Pid},
    process::{self, Outgoing, decode, encode, outbox::Outcome},
    store::{Batch, Pages, StoreError, Table},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::HashMap, sync::Arc};
use utoipa::ToSchema;

/// What was told and heard, by hash of sender and `@id`.
const DISCLOSED: Table = Table(76);
/// How many rows are read at a time.
const PAGE: usize = 256;
/// Most messages of one provider that are kept to be shown. More are acknowledged and stand in the audit log alone.
const MOST: usize = 10_000;

/// Provider to the party that an agreement names to be informed: a transfer has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Disclosure {
    /// Whose records they are, and who signs.
    pub provider: ParticipantId,
    /// Who receives them.
    pub recipient: ParticipantId,
    /// Who is told.
    pub informed: ParticipantId,
    /// Under which agreement.
    pub agreement: AgreementId,
    /// From which dataset.
    pub dataset: DatasetId,
    /// For which purposes (IRIs).
    pub purposes: Vec<String>,
    /// The provider's id of the transfer.
    pub transfer: Pid,
    /// When its stream was opened.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl Content for Disclosure {
    const TYPE: &'static str = "DisclosureMessage";
    const PATH: &'static str = "/dases/disclosures";
}

/// A transfer of which somebody was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Disclosed {
    /// The message's id.
    pub id: MessageId,
    /// What it says.
    pub disclosure: Disclosure,
    /// What has become of a message of ours; nothing where we were told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub delivery: Option<Delivered>,
    /// When it was sent or received.
    #[schema(value_type = String, format = DateTime)]
    pub noted: Timestamp,
}

/// Who is told of transfers, and what we are told of others'.
pub struct Disclosures {
    log: Arc<Log>,
    me: ParticipantId,
    post: Arc<Post>,
    kept: Kept,
}

impl Disclosures {
    /// Over the log's store; `post` is the way out.
    pub async fn load(log: Arc<Log>, me: ParticipantId, post: Arc<Post>) -> Result<Self, StoreError> {
        let mut counts: HashMap<ParticipantId, usize> = HashMap::new();
        process::each(&**log.store(), DISCLOSED, |known: Disclosed| {
            *counts.entry(known.disclosure.provider).or_default() += 1;
            Ok(())
        })
        .await?;
        let kept = Kept::new(MOST, counts);
        Ok(Self { log, me, post, kept })
    }

    /// Adds to the commit with which a transfer begins that somebody is told of it. Returns what the log says of that; afterwards, wake the
    /// queue.
    pub fn put(&self, batch: &mut Batch, disclosure: &Disclosure, now: Timestamp) -> Result<Entry, StoreError> {
        let about = disclosure.transfer.as_str();
        let posted = self.post.put(batch, &disclosure.informed, about, disclosure, now)?;
        let told = Disclosed {
            id: posted.id,
            disclosure: disclosure.clone(),
            delivery: Some(Delivered::Waiting),
            noted: now,
        };
        batch.insert(DISCLOSED, key(&self.me, &told.id), encode(&told)?);
        Ok(posted.entry)
    }

    /// Says that what was put into a commit can be sent.
    pub fn wake(&self, disclosures: &[Disclosure]) {
        for one in disclosures {
            self.post.wake(&post::lane(&one.informed, one.transfer.as_str()));
        }
    }

    /// Takes in what became of a message of ours.
    pub(super) async fn settle(
        &self,
        sent: &Outgoing,
        outcome: &Outcome,
        batch: &mut Batch,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if sent.kind != Disclosure::TYPE {
            return Ok(());
        }
        let Ok(read) = message::read::<Disclosure>(sent.body.as_bytes()) else {
            return Ok(());
        };
        let key = key(&self.me, &read.id);
        if let Some(item) = self.log.store().get(DISCLOSED, &key).await? {
            let mut told: Disclosed = decode(&item.value)?;
            told.delivery = Some(delivered(outcome, now));
            batch.replace(DISCLOSED, key, item.version, encode(&told)?);
        }
        Ok(())
    }

    /// Takes a provider's word for a transfer of its own, which an agreement of others' has it tell us.
    pub(super) async fn take(
        &self,
        inbox: &Inbox,
        message: &Message<Disclosure>,
        now: Timestamp,
    ) -> Result<Value, ExchangeError> {
        let mut opened = match inbox.open(message).await? {
            Arrival::Again(answer) => return Ok(answer),
            Arrival::New(opened) => opened,
        };
        let (sender, received) = (&message.sender().did, message.value());
        if received.content.provider != *sender {
            return Err(ExchangeError::WrongParty("a transfer is told by its provider"));
        }
        if received.content.informed != self.me {
            return Err(ExchangeError::WrongParty("another participant is to be informed"));
        }
        let has_room = self.kept.has_room(sender);
        if has_room {
            let heard = Disclosed {
                id: received.id.clone(),
                disclosure: received.content.clone(),
                delivery: None,
                noted: now,
            };
            opened
                .batch
                .insert(DISCLOSED, key(sender, &received.id), encode(&heard)?);
        }
        let answer = message::taken(&received.id);
        let answer = inbox.close(message, opened, answer, now).await?;
        if has_room {
            self.kept.add(sender);
        }
        Ok(answer)
    }

    /// What was told and heard, the oldest first.
    pub async fn list(&self) -> Result<Vec<Disclosed>, StoreError> {
        let mut all: Vec<Disclosed> = process::all(&**self.log.store(), DISCLOSED).await?;
        all.sort_by(|a, b| (a.noted, &a.id).cmp(&(b.noted, &b.id)));
        Ok(all)
    }

    /// Forgets what was settled before `since`; returns how much that was.
    pub(super) async fn sweep(&self, since: Timestamp) -> Result<usize, StoreError> {
        let store = &**self.log.store();
        let (mut swept, mut pages) = (0, Pages::new(store, DISCLOSED, [], PAGE));
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let known: Disclosed = decode(&row.item.value)?;
                let is_settled = known.delivery != Some(Delivered::Waiting);
                if is_settled && known.noted < since && forget(store, DISCLOSED, &row).await? {
                    swept += 1;
                    self.kept.remove(&known.disclosure.provider);
                }
            }
        }
        Ok(swept)
    }
}
