//! Empties the outbox: one message at a time and process, in order, until it is acknowledged or refused (R1). A commit wakes it; between
//! attempts it sleeps, longer each time.

use super::{PeerError, Peers, Question, permits::Permits};
use crate::{
    audit::Log,
    consent::exchange::Exchange,
    contract::{ContractError, Contracts},
    dsp::{Pid, Role, message::acknowledged_pid},
    jose::Digest,
    process::{
        Outgoing, Protocol, Queue, follow,
        outbox::{self, Outcome},
    },
    store::StoreError,
    transfer::{TransferError, Transfers},
};
use http::Method;
use policy::Timestamp;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How often a refusal that may be about the moment is tried again before it counts: a peer that cannot sign answers 404 and 409 while
/// it is still busy with the message before (`dsp.md` traps 2 and 17).
const PATIENCE: u32 = 6;

/// How many messages are on their way at once.
const IN_FLIGHT: usize = 64;
/// How many of them to one peer.
const TO_EACH: usize = 16;

/// Runs until it is told to stop.
pub struct Dispatcher {
    /// The way out.
    pub peers: Arc<Peers>,
    /// Takes the outcomes of negotiation messages.
    pub contracts: Arc<Contracts>,
    /// Takes the outcomes of transfer messages.
    pub transfers: Arc<Transfers>,
    /// Takes the outcomes of messages about consents.
    pub exchange: Arc<Exchange>,
    /// Where undelivered messages are.
    pub log: Arc<Log>,
    /// Says what is new.
    pub queue: Arc<Queue>,
    /// First and longest wait between attempts.
    pub retry: (Duration, Duration),
    /// Ends everything; what is undelivered is still there at the next start.
    pub shutdown: CancellationToken,
    /// Reads the time.
    pub clock: fn() -> Timestamp,
}

/// What one attempt came to.
enum Attempt {
    Settled,
    Again(String),
}

impl Dispatcher {
    /// Takes up what was undelivered before, then follows the queue.
    pub async fn run(self: Arc<Self>) -> Result<(), StoreError> {
        for (protocol, pid) in outbox::waiting(&**self.log.store()).await? {
            self.queue.wake(protocol, &pid);
        }
        let permits = Arc::new(Permits::new(IN_FLIGHT, TO_EACH));
        follow(&self.queue, &self.shutdown, |_, pid| {
            let (this, permits) = (self.clone(), permits.clone());
            async move {
                if let Err(error) = this.empty(&pid, &permits).await {
                    tracing::error!(%pid, %error, "the outbox cannot be read");
                }
                false
            }
        })
        .await;
        Ok(())
    }

    async fn empty(&self, pid: &Pid, permits: &Permits) -> Result<(), StoreError> {
        let (mut wait, mut tries) = (self.retry.0, 0);
        while let Some(entry) = outbox::next(&**self.log.store(), pid).await? {
            // Even a sleep of no time lasts until the timer's next millisecond.
            if let Some(time) = entry.not_before.filter(|time| *time > (self.clock)()) {
                tokio::select! {
                    () = tokio::time::sleep(time.since((self.clock)())) => {}
                    () = self.shutdown.cancelled() => return Ok(()),
                }
            }
            let permit = tokio::select! {
                permit = permits.to(&entry.peer) => permit,
                () = self.shutdown.cancelled() => return Ok(()),
            };
            let attempt = tokio::select! {
                attempt = self.attempt(&entry, tries) => attempt,
                () = self.shutdown.cancelled() => return Ok(()),
            };
            drop(permit);
            match attempt {
                Attempt::Settled => (wait, tries) = (self.retry.0, 0),
                Attempt::Again(why) => {
                    tries += 1;
                    tracing::warn!(%pid, peer = %entry.peer, message = entry.kind, why, "not delivered; trying again");
                    tokio::select! {
                        () = tokio::time::sleep(wait) => wait = (wait * 2).min(self.retry.1),
                        () = self.shutdown.cancelled() => return Ok(()),
                    }
                }
            }
        }
        Ok(())
    }

    async fn attempt(&self, entry: &Outgoing, tries: u32) -> Attempt {
        let (outcome, description) = match self.send(entry).await {
            Ok(outcome) => (outcome, "acknowledged"),
            Err(PeerError::Refused { believed: true, .. }) if self.arrived_before(entry).await => {
                let acknowledged = Outcome::Acknowledged {
                    peer_pid: None,
                    body: Value::Null,
                    reply: None,
                };
                (acknowledged, "had arrived before")
            }
            Err(PeerError::Refused {
                status,
                explanation,
                believed: true,
                reply,
            }) if self.is_final(entry, status, tries) => {
                let refused = Outcome::Refused {
                    status,
                    explanation,
                    reply: *reply,
                };
                (refused, "refused")
            }
            Err(error) => return Attempt::Again(error.to_string()),
        };
        tracing::debug!(pid = %entry.pid, peer = %entry.peer, message = entry.kind, description, "delivered");
        match self.settle(entry, &outcome).await {
            Ok(()) => Attempt::Settled,
            Err(error) => Attempt::Again(error),
        }
    }

    async fn send(&self, entry: &Outgoing) -> Result<Outcome, PeerError> {
        let peer = self.peers.addressee(&entry.peer)?;
        let base = match &entry.base {
            Some(base) => base.clone(),
            None => self.peers.root(&peer).await?,
        };
        let url = entry.url(&base).map_err(|error| PeerError::Answer(error.to_string()))?;
        let question = Question {
            body: entry.body.clone().into_bytes(),
            prev: self.prev(entry).await?,
            headers: &entry.headers,
            ..Question::new(Method::POST, url)
        };
        let answer = self.peers.ask(&peer, question).await?;
        // The id that the peer gave the process stands under the name of its role.
        let ours = entry.pid.as_str();
        let theirs = [Role::Consumer, Role::Provider]
            .into_iter()
            .filter_map(|role| acknowledged_pid(&answer.body, &format!("{role}Pid")))
            .find(|pid| pid.as_str() != ours);
        Ok(Outcome::Acknowledged {
            peer_pid: theirs,
            body: answer.body,
            reply: Some(answer.reply),
        })
    }

    /// Whether a peer that cannot sign refuses what it has taken already: when its first answer was lost, EDC answers the repetition with
    /// 409. Then its process is in the state that the message leads to. Peers that sign give the same answer again (R2).
    async fn arrived_before(&self, entry: &Outgoing) -> bool {
        let peer = match self.peers.addressee(&entry.peer) {
            Ok(peer) if !self.peers.sign(&peer) => peer,
            _ => return false,
        };
        let (family, theirs, awaited) = match entry.protocol {
            Protocol::Negotiation => match self.contracts.get(&entry.pid).await {
                Ok(record) => ("negotiations", record.core.peer_pid.clone(), record.core.awaited()),
                Err(_) => return false,
            },
            Protocol::Transfer => match self.transfers.get(&entry.pid).await {
                Ok(record) => ("transfers", record.core.peer_pid.clone(), record.core.awaited()),
                Err(_) => return false,
            },
            Protocol::Consent => return false,
        };
        let (Some(theirs), Some(awaited), Some(base)) = (theirs, awaited, &entry.base) else {
            return false;
        };
        let root = base.as_str().trim_end_matches('/');
        let Ok(url) = format!("{root}/{family}/{theirs}").parse() else {
            return false;
        };
        let asked = self.peers.ask(&peer, Question::new(Method::GET, url));
        asked
            .await
            .is_ok_and(|answer| answer.body.get("state").and_then(Value::as_str) == Some(awaited.as_str()))
    }

    /// A refusal that trying again will not change. 401 may be a key that the peer has not seen yet; 408, 425 and 429 are about now.
    fn is_final(&self, entry: &Outgoing, status: u16, tries: u32) -> bool {
        let signs = || {
            self.peers
                .addressee(&entry.peer)
                .is_ok_and(|peer| self.peers.sign(&peer))
        };
        match status {
            401 | 408 | 425 | 429 => false,
            409 => tries >= PATIENCE,
            404 => tries >= PATIENCE || signs(),
            other => (400..500).contains(&other),
        }
    }

    /// The `prev` of a message is the head when it sets out, not when it was decided: what was decided before it may have been
    /// acknowledged since. While it is the oldest of its process the head rests, so every repetition names the same.
    async fn prev(&self, entry: &Outgoing) -> Result<Digest, PeerError> {
        let unreadable = |error: &dyn std::fmt::Display| PeerError::Answer(format!("our own record: {error}"));
        match entry.protocol {
            Protocol::Negotiation => match self.contracts.get(&entry.pid).await {
                Ok(record) => Ok(record.core.head),
                Err(error) => Err(unreadable(&error)),
            },
            Protocol::Transfer => match self.transfers.get(&entry.pid).await {
                Ok(record) => Ok(record.core.head),
                Err(error) => Err(unreadable(&error)),
            },
            Protocol::Consent => Ok(Digest::EMPTY),
        }
    }

    async fn settle(&self, entry: &Outgoing, outcome: &Outcome) -> Result<(), String> {
        let now = (self.clock)();
        match entry.protocol {
            Protocol::Negotiation => self
                .contracts
                .settle(entry, outcome, now)
                .await
                .map_err(|error: ContractError| error.to_string()),
            Protocol::Transfer => self
                .transfers
                .settle(entry, outcome, now)
                .await
                .map_err(|error: TransferError| error.to_string()),
            Protocol::Consent => self
                .exchange
                .settle(entry, outcome, now)
                .await
                .map_err(|error| error.to_string()),
        }
    }
}
