//! DID documents of peers, fetched through the guarded client and cached.

use super::{
    History, Peer,
    did::{self, DidError, Document, MAX_DOCUMENT},
    history::Version,
};
use crate::{
    dsp::{self, ParticipantId},
    jose::{Digest, VerifyingKey},
    net::{Client, Request},
};
use bytes::Bytes;
use http::{HeaderMap, Method};
use policy::Timestamp;
use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// How long documents are believed.
#[derive(Clone, Copy, Debug)]
pub struct ResolverSettings {
    /// A cached document is used this long without asking again.
    pub fresh: Duration,
    /// An unknown key id makes us ask again, but not more often than this.
    pub retry: Duration,
}

impl Default for ResolverSettings {
    fn default() -> Self {
        Self {
            fresh: Duration::from_secs(3600),
            retry: Duration::from_secs(10),
        }
    }
}

/// No document is believed longer than this, whatever the settings say: a revoked key must not live for ever in a cache.
pub const MAX_FRESH: Duration = Duration::from_secs(24 * 3600);

/// Longest wait for the document of somebody whom nobody configured.
const STRANGERS_PATIENCE: Duration = Duration::from_secs(5);

/// A document that is not in the cache: that of somebody of whom it is not known yet whether it matters.
pub struct Stranger(Arc<Document>, Version);

impl Stranger {
    /// The document.
    pub fn document(&self) -> &Document {
        &self.0
    }
}

/// A fetch that failed sooner cost little, and may be tried again at once.
const SLOW: Duration = Duration::from_millis(500);

/// A fetch that failed. Its host is left alone for as long again as it took: whoever names a peer whose host swallows requests must not
/// keep us waiting all the time, and one that refuses at once may be back the next moment.
struct Failed {
    at: Timestamp,
    took: Duration,
}

impl Failed {
    fn rests(&self, now: Timestamp) -> bool {
        self.took >= SLOW && self.at <= now && now.since(self.at) < self.took * 2
    }
}

#[derive(Clone)]
struct Cached {
    document: Arc<Document>,
    version: Digest,
    fetched: Timestamp,
}

/// The cache in front of the client.
pub struct Resolver {
    client: Arc<Client>,
    settings: ResolverSettings,
    history: History,
    cache: RwLock<HashMap<ParticipantId, Cached>>,
    fetching: RwLock<HashMap<ParticipantId, Arc<Turn>>>,
}

/// One fetch at a time and peer: callers that wait find the result in the cache, or learn that it failed. One for all peers would let
/// whoever does not answer hold up everybody.
#[derive(Default)]
struct Turn {
    /// The last fetch, if it failed.
    failed: Mutex<Option<Failed>>,
    failures: AtomicU64,
}

impl Resolver {
    /// An empty cache; every version of a document that comes to it is kept in the history.
    pub fn new(client: Arc<Client>, settings: ResolverSettings, history: History) -> Self {
        let settings = ResolverSettings {
            fresh: settings.fresh.min(MAX_FRESH),
            ..settings
        };
        Self {
            client,
            settings,
            history,
            cache: RwLock::default(),
            fetching: RwLock::default(),
        }
    }

    /// The peer's key with this id, from its document of now or of at most the configured age.
    pub async fn key(&self, peer: &Peer, kid: &str, now: Timestamp) -> Result<VerifyingKey, DidError> {
        let document = self.document(peer, now).await?;
        if let Some(key) = document.key(kid) {
            return Ok(key.clone());
        }
        let document = self.fetch(peer, now, self.settings.retry).await?;
        document
            .key(kid)
            .cloned()
            .ok_or_else(|| DidError::UnknownKey(kid.to_owned()))
    }

    /// The versions of documents that were ever seen.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The peer's document.
    pub async fn document(&self, peer: &Peer, now: Timestamp) -> Result<Arc<Document>, DidError> {
        match self.cached(&peer.did, now, self.settings.fresh) {
            Some(document) => Ok(document),
            None => self.fetch(peer, now, self.settings.fresh).await,
        }
    }

    /// The peer's document as it is now, or of a moment ago; if it cannot be fetched, the one in the cache.
    pub async fn newest(&self, peer: &Peer, now: Timestamp) -> Result<Arc<Document>, DidError> {
        match self.fetch(peer, now, self.settings.retry).await {
            Ok(document) => Ok(document),
            Err(error) => self.cached(&peer.did, now, self.settings.fresh).ok_or(error),
        }
    }

    /// The document of somebody whom nobody configured: fetched now, and not kept, so that strangers leave nothing behind.
    pub async fn of_stranger(&self, peer: &Peer) -> Result<Stranger, DidError> {
        tokio::time::timeout(STRANGERS_PATIENCE, self.download(peer))
            .await
            .unwrap_or(Err(DidError::Late))
            .map(|(document, version)| Stranger(document, version))
    }

    /// Keeps the document of a stranger who turned out to be a member.
    pub async fn keep(&self, stranger: Stranger, now: Timestamp) -> Result<(), DidError> {
        self.insert(stranger.0, stranger.1, now).await
    }

    pub(super) fn cached(&self, did: &ParticipantId, now: Timestamp, age: Duration) -> Option<Arc<Document>> {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        // A clock that jumped back makes an entry look new for ever: treat the future as old.
        cache
            .get(did)
            .filter(|c| c.fetched <= now && now.since(c.fetched) < age)
            .map(|c| c.document.clone())
    }

    /// The turns are as many as there are peers, members and issuers.
    fn turn(&self, did: &ParticipantId) -> Arc<Turn> {
        let known = self.fetching.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = known.get(did) {
            return turn.clone();
        }
        drop(known);
        let mut known = self.fetching.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(did.clone()).or_default().clone()
    }

    async fn fetch(&self, peer: &Peer, now: Timestamp, age: Duration) -> Result<Arc<Document>, DidError> {
        let turn = self.turn(&peer.did);
        let failures = turn.failures.load(Ordering::Relaxed);
        let mut failed = turn.failed.lock().await;
        if let Some(document) = self.cached(&peer.did, now, age) {
            return Ok(document);
        }
        // Those who waited for a fetch that failed do not each wait for one more, and neither do those who come a moment later.
        let rests = failed.as_ref().is_some_and(|failed| failed.rests(now));
        if rests || turn.failures.load(Ordering::Relaxed) != failures {
            return Err(DidError::JustFailed);
        }
        let begun = Instant::now();
        let fetched = self.fetch_now(peer, now).await;
        *failed = fetched.is_err().then(|| Failed {
            at: now,
            took: begun.elapsed(),
        });
        if fetched.is_err() {
            turn.failures.fetch_add(1, Ordering::Relaxed);
        }
        fetched
    }

    async fn fetch_now(&self, peer: &Peer, now: Timestamp) -> Result<Arc<Document>, DidError> {
        let (document, version) = self.download(peer).await?;
        self.insert(document.clone(), version, now).await?;
        Ok(document)
    }

    /// Believes a document from now on. The version is kept before that: what a key proves today must be provable when its owner has
    /// published another one. The store is not asked about the version that is in the cache.
    async fn insert(&self, document: Arc<Document>, version: Version, now: Timestamp) -> Result<(), DidError> {
        let did = document.id.clone();
        let known = {
            let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
            cache.get(&did).is_some_and(|cached| cached.version == version.digest())
        };
        if !known {
            self.history.note(&did, &version, now).await?;
        }
        let cached = Cached {
            document,
            version: version.digest(),
            fetched: now,
        };
        self.cache
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(did, cached);
        Ok(())
    }

    async fn download(&self, peer: &Peer) -> Result<(Arc<Document>, Version), DidError> {
        let url = did::document_url(&peer.did)?;
        let request = Request {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            reach: peer.reach,
        };
        let response = self.client.send_within(request, MAX_DOCUMENT).await?;
        if !response.status.is_success() {
            return Err(DidError::Status(response.status.as_u16()));
        }
        let value = dsp::json::parse(&response.body).map_err(|error| DidError::Document(error.to_string()))?;
        let document = Arc::new(Document::read(&peer.did, &value)?);
        Ok((document, Version::of(&value)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{Log, LogSigner},
        jose::SigningKey,
        net::{self, Reach},
        store::MemoryStore,
        trust::{Identity, Signatures},
    };

    /// A resolver that waits for `timeout`, and a peer at this address.
    fn at(address: &str, timeout: Duration) -> (Resolver, Peer) {
        let signer = LogSigner::new("a.example/log", SigningKey::from_seed(&[1; 32]).unwrap()).unwrap();
        let log = Arc::new(Log::new(Arc::new(MemoryStore::new()), signer));
        let client = Arc::new(Client::new(net::Settings {
            timeout,
            ..net::Settings::default()
        }));
        let peer = Peer {
            did: format!("did:web:{}", address.replace(':', "%3A")).parse().unwrap(),
            name: None,
            identity: Identity::DspJws,
            signatures: Signatures::Required,
            address: None,
            reach: Reach {
                private: true,
                http: false,
            },
        };
        (
            Resolver::new(client, ResolverSettings::default(), History::new(log)),
            peer,
        )
    }

    async fn just_failed(resolver: &Resolver, peer: &Peer, now: Timestamp) -> bool {
        matches!(resolver.document(peer, now).await, Err(DidError::JustFailed))
    }

    #[tokio::test]
    async fn a_host_that_swallowed_a_request_is_left_alone_for_as_long_as_that_took() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let timeout = SLOW + Duration::from_millis(100);
        let (resolver, peer) = at(&silent.local_addr().unwrap().to_string(), timeout);
        let begun = Timestamp::from_seconds(1_700_000_000);
        assert!(!just_failed(&resolver, &peer, begun).await, "nobody has asked before");
        assert!(just_failed(&resolver, &peer, begun.plus(timeout)).await);
        let kid = format!("{}#k1", peer.did);
        let key = resolver.key(&peer, &kid, begun.plus(timeout)).await;
        assert!(matches!(key, Err(DidError::JustFailed)));
        let later = begun.plus(Duration::from_secs(60));
        assert!(!just_failed(&resolver, &peer, later).await, "it may be back");
        assert!(
            !just_failed(&resolver, &peer, begun).await,
            "a clock that is set back makes it no longer"
        );
    }

    #[tokio::test]
    async fn a_host_that_refused_at_once_is_asked_again_a_moment_later() {
        let (resolver, peer) = at("127.0.0.1:1", Duration::from_secs(20));
        let begun = Timestamp::from_seconds(1_700_000_000);
        assert!(!just_failed(&resolver, &peer, begun).await);
        assert!(!just_failed(&resolver, &peer, begun).await);
    }
}
