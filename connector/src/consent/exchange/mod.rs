//! What connectors tell each other about consents: who asks a learner, at the holder or at an intermediary, and what the two tell each other of
//! the answer; who is told that a consent has ended and answers what it erased, and what a recipient may not keep any more; and whom an agreement
//! has told of its transfers. Messages are signed, queued in the commit of what they follow from, and delivered until they are acknowledged or
//! refused.
//!
//! Sends nothing itself (`peer` does) and touches no record that was received (`transfer` does).

mod agent;
mod ask;
mod courier;
mod decisions;
mod disclosures;
mod enclosed;
pub(super) mod inbox;
mod kept;
mod lapses;
pub mod message;
mod notices;
pub(super) mod passed;
pub(super) mod post;
mod received;
mod requests;
mod retraction;
mod retractions;
mod scope;

pub use agent::Agent;
pub use ask::{Ask, NoticeToShow};
pub use courier::Courier;
pub use decisions::Decision;
pub use disclosures::{Disclosed, Disclosure, Disclosures};
pub use lapses::Lapses;
pub use message::{Content, EndReason, ErasedOf, Erasure, LastOf, Withdrawal};
pub use notices::{Confirmed, Delivered, Notices, Recipient, Told};
pub use passed::PassedOn;
pub use post::Post;
pub use received::{Asked, Receipt, Received};
pub use requests::{NoticeText, Request};
pub use retraction::{Filter, Place, Retraction, Stream};
pub use retractions::Retractions;

use crate::{
    audit::Log,
    consent::{
        ConsentError, ConsentId, Consents, Stored,
        elsewhere::{Site, Word},
        links::{LinkConfirmation, LinkRequest, Links},
        state::State,
    },
    contract::Agreements,
    dsp::{ParticipantId, Role},
    process::{self, Outgoing, outbox, outbox::Outcome},
    store::{Batch, StoreError},
    trust::{Trust, Verified},
};
use bytes::Bytes;
use decisions::Decisions;
use inbox::Inbox;
use policy::Timestamp;
use received::Receipts;
use requests::Requests;
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How long what is settled is kept as proof: claims lapse after five years (Code civil, art. 2224), and no older transfer goes on.
const KEPT: Duration = Duration::from_secs(5 * 366 * 24 * 3600);

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
    /// The text is not the one that its hash names.
    #[error("the hash of the notice is not that of its text")]
    Notice,
    /// Nobody is known here by that pseudonym, as far as the sender may know.
    #[error("no learner is known under this pseudonym; link the identities first: connector link")]
    UnknownLearner,
    /// The learner is linked with them the other way round: they know the learner by our name, and we not by theirs.
    #[error(
        "this link was begun here, so that the other side may ask us about the learner; to ask them, let them make the code (connector link create \
         there) and bring it here (connector link redeem)"
    )]
    LinkedOtherwise,
    /// The agreement does not go so far.
    #[error("the agreement does not cover this {0}")]
    NotCovered(&'static str),
    /// The consents here do not allow it.
    #[error(transparent)]
    Consent(#[from] ConsentError),
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
    lapses: Arc<Lapses>,
    disclosures: Arc<Disclosures>,
    receipts: Receipts,
    requests: Requests,
    decisions: Decisions,
    trust: Arc<Trust>,
}

/// What the exchange stands on.
pub struct Parts {
    /// Commits and entries.
    pub log: Arc<Log>,
    /// Identities.
    pub trust: Arc<Trust>,
    /// Agreements.
    pub agreements: Agreements,
    /// Consents.
    pub consents: Arc<Consents>,
    /// Who is told of endings.
    pub notices: Arc<Notices>,
    /// What holders told us.
    pub retractions: Arc<Retractions>,
    /// Links between identities.
    pub links: Arc<Links>,
    /// The intermediaries whose word counts for the records that we hold.
    pub intermediaries: BTreeSet<ParticipantId>,
}

impl Exchange {
    /// Over the log's store. From now on it tells others what changes in the consents; `clock` says when.
    pub async fn load(parts: Parts, clock: fn() -> Timestamp) -> Result<Self, StoreError> {
        let (log, index) = (parts.log.clone(), parts.consents.index().clone());
        let names = parts.consents.pseudonyms().clone();
        let lapses = Lapses::new(log.clone(), parts.notices.clone(), names, index.clone(), clock);
        let lapses = Arc::new(lapses);
        let (trust, post) = (parts.trust.clone(), parts.notices.post().clone());
        let disclosures = Disclosures::load(log.clone(), trust.me().clone(), post.clone()).await?;
        let agent = Agent::new(log.clone(), trust, parts.links.clone(), post);
        let (notices, links) = (parts.notices.clone(), parts.links.clone());
        let courier = Courier::new(notices, links, agent, lapses.clone(), index, clock);
        parts.consents.tell_through(Arc::new(courier));
        Ok(Self {
            inbox: Inbox(log.clone()),
            disclosures: Arc::new(disclosures),
            decisions: Decisions {
                log: log.clone(),
                accepted: parts.intermediaries,
            },
            receipts: Receipts::load(log, parts.trust.clone()).await?,
            requests: Requests {
                consents: parts.consents,
                trust: parts.trust.clone(),
                agreements: parts.agreements.clone(),
                links: parts.links.clone(),
                recent: requests::recent(),
            },
            agreements: parts.agreements,
            notices: parts.notices,
            retractions: parts.retractions,
            links: parts.links,
            lapses,
            trust: parts.trust,
        })
    }

    /// The ends of declared bases.
    pub fn lapses(&self) -> &Lapses {
        &self.lapses
    }

    /// Forgets what is long settled; returns how much that was.
    pub async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        let since = now.minus(KEPT);
        let taken = self.inbox.sweep(since).await?;
        let (told, received) = (self.retractions.sweep(since).await?, self.receipts.sweep(since).await?);
        let (heard, links) = (self.decisions.sweep(since).await?, self.links.sweep(now).await?);
        let unanswered = self.requests.consents.drop_unanswered(now).await?;
        let disclosed = self.disclosures.sweep(since).await?;
        Ok(taken + told + received + heard + links + unanswered + disclosed)
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

    /// Whom agreements have told of transfers.
    pub fn disclosures(&self) -> &Arc<Disclosures> {
        &self.disclosures
    }

    /// Takes in what became of a message of ours.
    pub async fn settle(&self, sent: &Outgoing, outcome: &Outcome, now: Timestamp) -> Result<(), StoreError> {
        if let Some((said, why)) = decisions::not_taken(sent, outcome) {
            // Before the message is done with: after a crash it is told, refused and undone again.
            self.undo(&said, why, now).await.map_err(|error| match error {
                ConsentError::Store(error) => error,
                error => StoreError::Corrupt(error.to_string()),
            })?;
        }
        let mut batch = Batch::new();
        outbox::unqueue(&sent.pid, sent.number, &mut batch);
        self.notices.settle(sent, outcome, &mut batch, now).await?;
        self.links.settle(sent, outcome, &mut batch).await?;
        self.receipts.settle(sent, outcome, &mut batch).await?;
        passed::settle(&**self.inbox.0.store(), sent, outcome, &mut batch, now).await?;
        self.disclosures.settle(sent, outcome, &mut batch, now).await?;
        let entry = process::settled(sent, outcome);
        self.inbox.0.commit(batch, entry, Vec::new(), now).await?;
        Ok(())
    }

    /// A peer asks for a learner's consent, of us as the holder or as an intermediary.
    pub async fn request(&self, verified: Verified<Bytes>, now: Timestamp) -> Result<Value, ExchangeError> {
        let message = inbox::understand::<Request>(verified)?;
        self.requests.take(&self.inbox, &message, now).await
    }

    /// A holder sends the receipt of a consent: as its recipient we note it, as its intermediary ours waits and ends with it.
    pub async fn receipt(&self, verified: Verified<Bytes>, now: Timestamp) -> Result<Value, ExchangeError> {
        let message = inbox::understand::<Receipt>(verified)?;
        let (sender, content) = (&message.sender().did, &message.value().content);
        let keeps = self.keeps(&content.consent, sender).await?;
        if !keeps {
            self.agreed(sender, Role::Consumer).await?;
        }
        let answer = self
            .receipts
            .take(&self.inbox, &message, &self.retractions, now)
            .await?;
        // After a repetition too: the first may have been noted and gone no further.
        if keeps {
            let word = Word {
                at: Site::Holder,
                state: content.state,
                by: enclosed::said_by(content.receipt.as_deref(), content.state),
                evidence: content.digest.to_string(),
            };
            self.said_at_holder(&content.consent, &word, now).await?;
        }
        Ok(answer)
    }

    /// An intermediary tells us what a learner of ours decided there.
    pub async fn decision(&self, verified: Verified<Bytes>, now: Timestamp) -> Result<Value, ExchangeError> {
        let message = inbox::understand::<Decision>(verified)?;
        self.decisions.take(&self.inbox, &self.requests, &message, now).await
    }

    /// It is kept here for this holder.
    async fn keeps(&self, consent: &ConsentId, holder: &ParticipantId) -> Result<bool, ExchangeError> {
        match self.requests.consents.get(consent).await {
            Ok(stored) => {
                let consent = stored.consent;
                Ok(consent.via.as_ref() == Some(self.trust.me()) && consent.holder == *holder)
            }
            Err(ConsentError::Unknown) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends what we keep for a holder that will not have it. What was said of it after it was taken, to prolong it, holds here alone: the
    /// learner's consent at the holder stands as it was, and is not to be revoked because it does not stand longer.
    async fn undo(&self, said: &Decision, why: String, now: Timestamp) -> Result<(), ConsentError> {
        match self.requests.consents.get(&said.consent).await {
            Ok(stored) if stored.given_receipt == Some(said.digest) => {
                let word = Word {
                    at: Site::Holder,
                    state: State::Revoked,
                    by: None,
                    evidence: why,
                };
                self.said_at_holder(&said.consent, &word, now).await
            }
            // Forgotten since, or only prolonged.
            Ok(_) | Err(ConsentError::Unknown) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Has what we keep for a holder stand where it stands there.
    async fn said_at_holder(&self, consent: &ConsentId, word: &Word, now: Timestamp) -> Result<(), ConsentError> {
        match self.requests.consents.do_likewise(consent, word, None, now).await {
            // Forgotten since.
            Err(ConsentError::Unknown) => Ok(()),
            done => done,
        }
    }

    /// What the holder of a consent was told of it by us, its intermediary; none of those that we hold.
    pub async fn passed_on(&self, stored: &Stored) -> Result<Option<PassedOn>, StoreError> {
        let consent = &stored.consent;
        match consent.via.as_ref() == Some(self.trust.me()) {
            true => passed::of(&**self.inbox.0.store(), &consent.id).await,
            false => Ok(None),
        }
    }

    /// What holders told us of consents.
    pub async fn received(&self) -> Result<Vec<Received>, StoreError> {
        self.receipts.list().await
    }

    /// What we asked holders for.
    pub async fn asked(&self) -> Result<Vec<Asked>, StoreError> {
        self.receipts.asked().await
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

    /// A provider tells us of a transfer, because an agreement of its names us to be informed.
    pub async fn disclosure(&self, verified: Verified<Bytes>, now: Timestamp) -> Result<Value, ExchangeError> {
        let message = inbox::understand::<Disclosure>(verified)?;
        // The agreement is between others: nothing else keeps a peer from filling the store.
        self.requests.room::<Disclosure>(&message.sender().did, now)?;
        self.disclosures.take(&self.inbox, &message, now).await
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
