//! Peers that may come without signatures until they are known to sign. From then on they are held to it, across restarts: taking a
//! signature away must not turn a message into one of a peer that cannot sign.

use crate::{
    audit::{Entry, Kind, Log},
    dsp::ParticipantId,
    store::{Batch, StoreError, Table},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

/// Pins by participant id.
const PINS: Table = Table(29);

/// Most pins that are read; a configuration has fewer peers.
const MOST: usize = 65_536;

/// How often at most the audit log is told of one peer's missing signatures: whoever sends them could fill it otherwise.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How long a document that could not be fetched is not asked for again.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// How a peer is known to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// A message or answer of its was signed, and verified.
    Signed,
    /// Its DID document says so.
    Advertised,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signed => "signed",
            Self::Advertised => "advertised",
        })
    }
}

/// Since when a peer is held to signing, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Pin {
    /// Why.
    pub reason: Reason,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

/// All pins.
pub struct Pins {
    log: Arc<Log>,
    pins: RwLock<HashMap<ParticipantId, Pin>>,
    told: Moments,
    asked: Moments,
}

/// When something was last done about a peer.
#[derive(Default)]
struct Moments(Mutex<HashMap<ParticipantId, Timestamp>>);

impl Moments {
    /// Whether it is time again; if so, it is done now.
    fn due(&self, peer: &ParticipantId, every: Duration, now: Timestamp) -> bool {
        let mut moments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |last: &Timestamp| *last <= now && now.since(*last) < every;
        if moments.get(peer).is_some_and(recent) {
            return false;
        }
        moments.insert(peer.clone(), now);
        true
    }
}

impl Pins {
    /// Reads the pins of the log's store.
    pub async fn load(log: Arc<Log>) -> Result<Self, StoreError> {
        let mut pins = HashMap::new();
        for row in log.store().scan(PINS, &[], None, MOST).await? {
            let unreadable = || StoreError::Corrupt("a peer's pin cannot be read".into());
            let peer = std::str::from_utf8(&row.key).ok().and_then(|text| text.parse().ok());
            let pin = serde_json::from_slice(&row.item.value).map_err(|_| unreadable())?;
            pins.insert(peer.ok_or_else(unreadable)?, pin);
        }
        Ok(Self {
            log,
            pins: RwLock::new(pins),
            told: Moments::default(),
            asked: Moments::default(),
        })
    }

    /// The pin of a peer.
    pub fn get(&self, peer: &ParticipantId) -> Option<Pin> {
        self.pins
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(peer)
            .copied()
    }

    /// Holds a peer to signing; on disk when it returns.
    pub(super) async fn pin(&self, peer: &ParticipantId, reason: Reason, now: Timestamp) -> Result<(), StoreError> {
        if self.get(peer).is_some() {
            return Ok(());
        }
        let pin = Pin { reason, since: now };
        let value = serde_json::to_vec(&pin).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let mut batch = Batch::new();
        batch.put(PINS, peer.as_str(), value);
        let entry = Entry::new(Kind::PeerPinned)
            .with("peer", peer.as_str())
            .with("reason", reason.to_string());
        self.log.commit(batch, entry, Vec::new(), now).await?;
        self.pins
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(peer.clone(), pin);
        tracing::info!(%peer, %reason, "this peer is held to signing from now on");
        Ok(())
    }

    /// Forgets that a peer signs, by the operator's word; whether it was held to it.
    pub async fn unpin(&self, peer: &ParticipantId, now: Timestamp) -> Result<bool, StoreError> {
        if self.get(peer).is_none() {
            return Ok(false);
        }
        let mut batch = Batch::new();
        batch.delete(PINS, peer.as_str());
        let entry = Entry::new(Kind::PeerPinned)
            .with("peer", peer.as_str())
            .with("reason", "unpinned");
        self.log.commit(batch, entry, Vec::new(), now).await?;
        self.pins.write().unwrap_or_else(PoisonError::into_inner).remove(peer);
        Ok(true)
    }

    /// Whether it is time to look at the document of a peer that is not known to sign.
    pub(super) fn may_ask(&self, peer: &ParticipantId, now: Timestamp) -> bool {
        self.asked.due(peer, ASK_EVERY, now)
    }

    /// Notes that something came in the name of a peer without the signature that it is held to.
    pub(super) async fn stripped(&self, peer: &ParticipantId, now: Timestamp) {
        tracing::warn!(%peer, "refused: this peer signs, and this carries no signature");
        if !self.told.due(peer, TELL_EVERY, now) {
            return;
        }
        let entry = Entry::new(Kind::SignatureStripped).with("peer", peer.as_str());
        if let Err(error) = self.log.commit(Batch::new(), entry, Vec::new(), now).await {
            tracing::error!(%peer, %error, "the audit log cannot be told of a missing signature");
        }
    }
}
