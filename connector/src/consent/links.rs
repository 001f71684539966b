//! Links between identities: a learner who is known to two participants under two local identifiers confirms at both that they are the same
//! person. No comparison of names or addresses takes part in it.
//!
//! The holder, or an intermediary, makes a code for one learner and one peer; the learner takes it to the peer, which sends it back signed; the
//! learner confirms where it was made; both sides then hold the local identifier beside the pairwise pseudonym. A code is good once, for a short
//! time, for that peer; whatever is wrong with one, the answer is the same. Below and in records, `holder` is whoever made the code.

mod code;
mod message;
mod record;

pub use message::{LinkConfirmation, LinkRequest};
pub use record::{Link, Offered, Side, Stage};

use super::{
    Pseudonym, Pseudonyms,
    exchange::{
        Content, ExchangeError, Post,
        inbox::{Arrival, Inbox, Message},
        message::taken,
    },
    is_identifier,
};
use crate::{
    audit::{Entry, Kind as Recorded, Log},
    dsp::{ParticipantId, Pid},
    jose::{self, Digest, JoseError},
    process::{self, Outgoing, Recent, decode, encode, outbox::Outcome},
    store::{Batch, Guard, Pages, Store, StoreError, Table, Version},
};
use policy::Timestamp;
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// Links by id.
const LINKS: Table = Table(65);
/// The id of a link, by the hash of its code, and by that of peer and pseudonym.
const INDEX: Table = Table(66);
/// How long a code is good.
const CODE_LIFETIME: Duration = Duration::from_secs(600);
/// How long a link that a peer has claimed waits for the learner.
const CONFIRM_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// How long a link that nobody confirmed is shown; it names the learner, who went no further.
const SHOWN: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many rows are read at a time.
const PAGE: usize = 256;
/// Codes of one peer that may be wrong within [`CODE_LIFETIME`].
const MOST_WRONG: usize = 10;

/// Why a link was not made or found. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A member makes no sense.
    #[error("{0}")]
    Invalid(&'static str),
    /// No such link, or not this learner's: the two look alike.
    #[error("there is no such link")]
    NotFound,
    /// The code was not brought, or the link is made.
    #[error("there is nothing to confirm: the code was not brought, or it is confirmed already")]
    NothingToConfirm,
    /// The learner did not confirm in time.
    #[error("the time to confirm is over; begin again with a new code")]
    TimeOver,
    /// Somebody else was quicker.
    #[error("this is changing at the moment; try again")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] JoseError),
}

impl From<StoreError> for LinkError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => Self::Busy,
            error => Self::Store(error),
        }
    }
}

/// All links of this participant.
pub struct Links {
    log: Arc<Log>,
    post: Arc<Post>,
    /// When peers came with codes that were wrong.
    wrong: Recent<ParticipantId>,
}

fn of_code(code: &str) -> Digest {
    jose::sha256(format!("code\0{code}").as_bytes())
}

fn of_pseudonym(peer: &ParticipantId, pseudonym: &Pseudonym) -> Digest {
    jose::sha256(format!("pseudonym\0{peer}\0{pseudonym}").as_bytes())
}

fn usable(subject: &str) -> Result<(), LinkError> {
    match is_identifier(subject) {
        true => Ok(()),
        false => Err(LinkError::Invalid(
            "the learner's identifier is missing or longer than 512 bytes",
        )),
    }
}

impl Links {
    /// Over the log's store.
    pub fn new(log: Arc<Log>, post: Arc<Post>) -> Self {
        Self {
            log,
            post,
            wrong: Recent::new(MOST_WRONG, CODE_LIFETIME),
        }
    }

    fn store(&self) -> &dyn Store {
        &**self.log.store()
    }

    /// All links, or one learner's.
    pub async fn list(&self, subject: Option<&str>) -> Result<Vec<Link>, StoreError> {
        let mut all: Vec<Link> = process::all(self.store(), LINKS).await?;
        all.retain(|link| subject.is_none_or(|subject| link.subject == subject));
        Ok(all)
    }

    async fn read(&self, id: &str) -> Result<Option<(Link, Version)>, StoreError> {
        let item = self.store().get(LINKS, id.as_bytes()).await?;
        item.map(|item| Ok((decode(&item.value)?, item.version))).transpose()
    }

    async fn by(&self, hash: &Digest) -> Result<Option<(Link, Version)>, StoreError> {
        match self.store().get(INDEX, hash.as_bytes()).await? {
            Some(item) => self.read(&decode::<String>(&item.value)?).await,
            None => Ok(None),
        }
    }

    /// The learner whom a peer knows by this pseudonym, if that was linked.
    pub async fn subject(&self, peer: &ParticipantId, pseudonym: &Pseudonym) -> Result<Option<String>, StoreError> {
        let found = self.by(&of_pseudonym(peer, pseudonym)).await?;
        Ok(found
            .filter(|(link, _)| link.side == Side::Holder && link.stage == Stage::Linked)
            .map(|(link, _)| link.subject))
    }

    /// The pseudonym under which a holder knows a learner of ours, if that was linked.
    pub async fn pseudonym(&self, holder: &ParticipantId, subject: &str) -> Result<Option<Pseudonym>, StoreError> {
        let links = self.list(Some(subject)).await?;
        let linked = |link: &Link| link.side == Side::Recipient && link.stage == Stage::Linked && link.peer == *holder;
        Ok(links.into_iter().find(linked).and_then(|link| link.pseudonym))
    }

    /// The same for who is about to ask that holder: or why there is none.
    pub(super) async fn known_by(&self, holder: &ParticipantId, subject: &str) -> Result<Pseudonym, ExchangeError> {
        if let Some(pseudonym) = self.pseudonym(holder, subject).await? {
            return Ok(pseudonym);
        }
        let links = self.list(Some(subject)).await?;
        let is_other_way = |link: &Link| link.side == Side::Holder && link.peer == *holder;
        match links.iter().any(is_other_way) {
            true => Err(ExchangeError::LinkedOtherwise),
            false => Err(ExchangeError::UnknownLearner),
        }
    }

    /// Holder: makes a code with which this learner can link themselves at a peer.
    pub async fn offer(&self, subject: &str, peer: &ParticipantId, now: Timestamp) -> Result<Offered, LinkError> {
        usable(subject)?;
        let code = code::fresh()?;
        let link = Link::begin(Side::Holder, peer, subject, Stage::Offered, now)?;
        let mut batch = Batch::new();
        batch.insert(LINKS, link.id.as_str(), encode(&link)?);
        let hash = of_code(&code::normal(&code));
        batch.insert(INDEX, hash.as_bytes().as_slice(), encode(&link.id)?);
        self.commit(batch, &link, "offered", Vec::new(), now).await?;
        Ok(Offered { link, code })
    }

    /// Recipient: sends the code that a learner has brought to the holder.
    pub async fn redeem(
        &self,
        holder: &ParticipantId,
        code: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<Link, LinkError> {
        usable(subject)?;
        let code = code::normal(code);
        if code.len() != code::LENGTH {
            return Err(LinkError::Invalid("a code has 16 letters and digits"));
        }
        let link = Link::begin(Side::Recipient, holder, subject, Stage::Asked, now)?;
        let link = Link {
            expires: now.plus(CONFIRM_WITHIN),
            ..link
        };
        let mut batch = Batch::new();
        batch.insert(LINKS, link.id.as_str(), encode(&link)?);
        let request = LinkRequest {
            code,
            link: link.id.clone(),
        };
        let posted = self.post.put(&mut batch, holder, &link.id, &request, now)?;
        let lane = posted.lane.clone();
        // Where the outcome of the message finds its link.
        let hash = of_lane(&lane);
        batch.insert(INDEX, hash.as_bytes().as_slice(), encode(&link.id)?);
        self.commit(batch, &link, "asked", vec![posted.entry], now).await?;
        self.post.wake(&lane);
        Ok(link)
    }

    /// Holder: a peer has brought a code.
    pub(super) async fn claimed(
        &self,
        inbox: &Inbox,
        message: &Message<LinkRequest>,
        now: Timestamp,
    ) -> Result<Value, ExchangeError> {
        let mut opened = match inbox.open(message).await? {
            Arrival::Again(answer) => return Ok(answer),
            Arrival::New(opened) => opened,
        };
        let (sender, content) = (&message.sender().did, &message.value().content);
        if !self.wrong.has_room(sender, now) {
            return Err(ExchangeError::TooOften);
        }
        let found = self.by(&of_code(&code::normal(&content.code))).await?;
        let offered = found.filter(|(link, _)| {
            link.side == Side::Holder && link.stage == Stage::Offered && link.peer == *sender && now < link.expires
        });
        let Some((link, version)) = offered else {
            self.wrong.take(sender.clone(), now);
            return Err(ExchangeError::Link);
        };
        let claimed = Link {
            stage: Stage::Claimed,
            expires: now.plus(CONFIRM_WITHIN),
            theirs: Some(content.link.chars().take(128).collect()),
            ..link
        };
        opened
            .batch
            .replace(LINKS, claimed.id.as_str(), version, encode(&claimed)?);
        let hash = of_code(&code::normal(&content.code));
        opened.batch.delete(INDEX, hash.as_bytes().as_slice());
        opened.entries.push(entry(&claimed, "claimed"));
        inbox.close(message, opened, taken(&message.value().id), now).await
    }

    /// Holder: the learner, who is logged in here, confirms that the one who brought the code is they.
    pub async fn confirm(
        &self,
        names: &Pseudonyms,
        id: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<Link, LinkError> {
        let (link, version) = self.read(id).await?.ok_or(LinkError::NotFound)?;
        if link.subject != subject || link.side != Side::Holder {
            return Err(LinkError::NotFound);
        }
        if link.stage != Stage::Claimed {
            return Err(LinkError::NothingToConfirm);
        }
        if now >= link.expires {
            return Err(LinkError::TimeOver);
        }
        let pseudonym = Pseudonym::from(names.towards(&link.peer).tag(subject));
        let linked = Link {
            stage: Stage::Linked,
            expires: Timestamp::MAX,
            pseudonym: Some(pseudonym.clone()),
            ..link
        };
        let mut batch = Batch::new();
        batch.replace(LINKS, linked.id.as_str(), version, encode(&linked)?);
        let hash = of_pseudonym(&linked.peer, &pseudonym);
        batch.put(INDEX, hash.as_bytes().as_slice(), encode(&linked.id)?);
        let confirmation = LinkConfirmation {
            link: linked.theirs.clone().unwrap_or_default(),
            pseudonym,
        };
        let posted = self
            .post
            .put(&mut batch, &linked.peer, &linked.id, &confirmation, now)?;
        let lane = posted.lane.clone();
        self.commit(batch, &linked, "confirmed", vec![posted.entry], now)
            .await?;
        self.post.wake(&lane);
        Ok(linked)
    }

    /// Recipient: the holder says that the learner has confirmed.
    pub(super) async fn confirmed(
        &self,
        inbox: &Inbox,
        message: &Message<LinkConfirmation>,
        now: Timestamp,
    ) -> Result<Value, ExchangeError> {
        let mut opened = match inbox.open(message).await? {
            Arrival::Again(answer) => return Ok(answer),
            Arrival::New(opened) => opened,
        };
        let (sender, content) = (&message.sender().did, &message.value().content);
        let found = self.read(&content.link).await?;
        let asked = found.filter(|(link, _)| {
            link.side == Side::Recipient && link.stage == Stage::Asked && link.peer == *sender && now < link.expires
        });
        let (link, version) = asked.ok_or(ExchangeError::Link)?;
        let linked = Link {
            stage: Stage::Linked,
            expires: Timestamp::MAX,
            pseudonym: Some(content.pseudonym.clone()),
            ..link
        };
        opened
            .batch
            .replace(LINKS, linked.id.as_str(), version, encode(&linked)?);
        opened.entries.push(entry(&linked, "confirmed"));
        inbox.close(message, opened, taken(&message.value().id), now).await
    }

    /// Ends a link here; what the other side knows stays there.
    pub async fn remove(&self, id: &str, now: Timestamp) -> Result<(), LinkError> {
        let (link, version) = self.read(id).await?.ok_or(LinkError::NotFound)?;
        let mut batch = Batch::new();
        batch.require(LINKS, id, Guard::At(version));
        self.delete(&[link.id.as_str()], &mut batch).await?;
        self.commit(batch, &link, "removed", Vec::new(), now).await
    }

    /// Adds to a batch that nothing is known of these links, nor what leads to them: a code, a pseudonym, a message.
    async fn delete(&self, ids: &[&str], batch: &mut Batch) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut pages = Pages::new(self.store(), INDEX, [], PAGE);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                if ids.contains(&decode::<String>(&row.item.value)?.as_str()) {
                    batch.delete(INDEX, row.key);
                }
            }
        }
        for id in ids {
            batch.delete(LINKS, *id);
        }
        Ok(())
    }

    /// Adds to a batch that no link of a learner is known any more.
    pub async fn forget(&self, subject: &str, batch: &mut Batch) -> Result<(), StoreError> {
        let links = self.list(Some(subject)).await?;
        let ids: Vec<&str> = links.iter().map(|link| link.id.as_str()).collect();
        self.delete(&ids, batch).await
    }

    /// Forgets links that nobody confirmed in time; returns how many.
    pub(super) async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        let (mut swept, mut pages) = (0, Pages::new(self.store(), LINKS, [], PAGE));
        while let Some(rows) = pages.next().await? {
            let (mut batch, mut lapsed) = (Batch::new(), Vec::new());
            for row in rows {
                let link: Link = decode(&row.item.value)?;
                if link.stage != Stage::Linked && link.expires < now.minus(SHOWN) {
                    batch.require(LINKS, row.key, Guard::At(row.item.version));
                    lapsed.push(link.id);
                }
            }
            if lapsed.is_empty() {
                continue;
            }
            let ids: Vec<&str> = lapsed.iter().map(String::as_str).collect();
            self.delete(&ids, &mut batch).await?;
            match self.store().commit(batch).await {
                Ok(_) => swept += ids.len(),
                // One of them goes on at this moment; the others wait for the next time.
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(swept)
    }

    /// Adds to the commit that settles a message what that means for its link: a refused code makes none.
    pub(super) async fn settle(&self, sent: &Outgoing, outcome: &Outcome, batch: &mut Batch) -> Result<(), StoreError> {
        if sent.kind != LinkRequest::TYPE {
            return Ok(());
        }
        let hash = of_lane(&sent.pid);
        if let (Outcome::Refused { .. }, Some((link, version))) = (outcome, self.by(&hash).await?) {
            let refused = Link {
                stage: Stage::Refused,
                ..link
            };
            batch.replace(LINKS, refused.id.as_str(), version, encode(&refused)?);
        }
        batch.delete(INDEX, hash.as_bytes().as_slice());
        Ok(())
    }

    async fn commit(
        &self,
        batch: Batch,
        link: &Link,
        step: &'static str,
        more: Vec<Entry>,
        now: Timestamp,
    ) -> Result<(), LinkError> {
        self.log.commit(batch, entry(link, step), more, now).await?;
        Ok(())
    }
}

fn of_lane(lane: &Pid) -> Digest {
    jose::sha256(format!("lane\0{lane}").as_bytes())
}

/// What the log says about a step: the link's id is random and names nobody.
fn entry(link: &Link, step: &'static str) -> Entry {
    Entry::new(Recorded::IdentityLink)
        .with("link", link.id.as_str())
        .with("peer", link.peer.as_str())
        .with("step", step)
}
