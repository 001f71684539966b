//! What connectors tell each other about consents: who is told that one has ended and answers what it erased, and what a recipient may not
//! keep any more. Messages are signed, queued in the commit of what they follow from, and delivered until they are acknowledged or refused.
//!
//! Sends nothing itself (`peer` does) and touches no record that was received (`transfer` does).

pub(super) mod inbox;
pub(super) mod message;
mod notices;
pub(super) mod post;
mod retractions;

pub use message::{Content, EndReason, ErasedOf, Erasure, LastOf, Withdrawal};
pub use notices::{Confirmed, Delivered, Ending, Notices, Scope, Told};
pub use post::Post;
pub use retractions::{Filter, Place, Retraction, Retractions, Stream};

use crate::{
    audit::Log,
    consent::links::{LinkConfirmation, LinkRequest, Links},
    contract::Agreements,
    dsp::{ParticipantId, Role},
    process::{self, Outgoing, outbox, outbox::Outcome},
    store::{Batch, StoreError},
    trust::Verified,
};
use bytes::Bytes;
use inbox::Inbox;
use policy::Timestamp;
use serde_json::Value;
use std::sync::Arc;

/// Why a message about consents was not taken. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// It is not what it should be.
    #[error("the message is not understood: {0}")]
    Invalid(String),
    /// Nothing was signed.
    #[error("messages about consents are signed, and this one is not")]
    Unsigned,
    /// It is not the sender's to say.
    #[error("it is not for the sender to say: {0}")]
    WrongParty(&'static str),
    /// There is no agreement that it could be about.
    #[error("there is no agreement between the two of us that this could be about")]
    NoAgreement,
    /// It answers what was not told, or not to the sender: the two look alike.
    #[error("the sender was told of no such ending")]
    UnknownNotice,
    /// A code that is wrong, used, too old or another participant's: they all look alike.
    #[error("there is no such link")]
    Link,
    /// Too much of this peer for now.
    #[error("this was asked too often; try again later")]
    TooOften,
    /// Something newer is known.
    #[error("it comes too late: {0}")]
    Stale(&'static str),
    /// The signature was used before.
    #[error("the message was already received (its jti is spent)")]
    Replayed,
    /// Another message had this id.
    #[error("another message of this sender had the same @id")]
    Reused,
    /// The same is changing at this moment.
    #[error("this is changing at the moment; try again")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes in what peers say about consents.
pub struct Exchange {
    inbox: Inbox,
    agreements: Agreements,
    notices: Arc<Notices>,
    retractions: Arc<Retractions>,
    links: Arc<Links>,
}

impl Exchange {
    /// Over the log's store.
    pub fn new(
        log: Arc<Log>,
        agreements: Agreements,
        notices: Arc<Notices>,
        retractions: Arc<Retractions>,
        links: Arc<Links>,
    ) -> Self {
        Self {
            inbox: Inbox(log),
            agreements,
            notices,
            retractions,
            links,
        }
    }

    /// What recipients are told, and who they are.
    pub fn notices(&self) -> &Arc<Notices> {
        &self.notices
    }

    /// What holders told us.
    pub fn retractions(&self) -> &Arc<Retractions> {
        &self.retractions
    }

    /// Links between identities.
    pub fn links(&self) -> &Arc<Links> {
        &self.links
    }

    /// Takes in what became of a message of ours.
    pub async fn settle(&self, sent: &Outgoing, outcome: &Outcome, now: Timestamp) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        outbox::unqueue(&sent.pid, sent.number, &mut batch);
        self.notices.settle(sent, outcome, &mut batch, now).await?;
        self.links.settle(sent, outcome, &mut batch).await?;
        let entry = process::settled(sent, outcome);
        self.inbox.0.commit(batch, entry, Vec::new(), now).await?;
        Ok(())
    }

    /// A peer brings the code of a link.
    pub async fn link_request(&self, verified: Verified<Bytes>, now: Timestamp) -> Result<Value, ExchangeError> {
        let message = inbox::understand::<LinkRequest>(verified)?;
        self.links.claimed(&self.inbox, &message, now).await
    }

    /// A holder says that a learner has confirmed a link.
    pub async fn link_confirmation(&self, verified: Verified<Bytes>, now: Timestamp) -> Result<Value, ExchangeError> {
        let message = inbox::understand::<LinkConfirmation>(verified)?;
        self.links.confirmed(&self.inbox, &message, now).await
    }

    /// A holder tells us that a consent has ended.
    pub async fn withdrawal(&self, verified: Verified<Bytes>, now: Timestamp) -> Result<Value, ExchangeError> {
        let message = inbox::understand::<Withdrawal>(verified)?;
        self.agreed(&message.sender().did, Role::Consumer).await?;
        self.retractions.told(&self.inbox, &message, now).await
    }

    /// A recipient tells us what it erased.
    pub async fn erasure(&self, verified: Verified<Bytes>, now: Timestamp) -> Result<Value, ExchangeError> {
        let message = inbox::understand::<Erasure>(verified)?;
        self.notices.confirmed(&self.inbox, &message, now).await
    }

    /// There is or was an agreement with this peer in which our part is `role`: what anybody else says would only fill the store.
    async fn agreed(&self, peer: &ParticipantId, role: Role) -> Result<(), ExchangeError> {
        let all = self.agreements.ever().await?;
        let with = |stored: &crate::contract::StoredAgreement| match role {
            Role::Consumer => stored.role == role && stored.provider == *peer,
            Role::Provider => stored.role == role && stored.consumer == *peer,
        };
        all.iter().any(with).then_some(()).ok_or(ExchangeError::NoAgreement)
    }
}
