//! Our own keys: which one signs, which ones peers find in our DID document, and how one takes over from another.
//!
//! A key is `next` first: peers learn it before anything is signed with it. Then it is `active`, and the one before becomes `previous`:
//! nothing new is signed with it, but what was sent with it is still accepted, and an agreement that names it is still signed with it.
//! At last that one is `retired`: it stays in the document to prove what it signed, and messages signed with it are not accepted.

use super::did::{Certified, Published, Uses};
use crate::{
    audit::{Entry, Kind, Log},
    dsp::ParticipantId,
    jose::{Digest, JoseError, Signer, SigningKey, VerifyingKey},
    store::{Batch, StoreError, Table},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

/// Keys as the audit log last told of them, by key id.
const TOLD: Table = Table(28);

/// How many keys can ever have been told of.
const MOST_TOLD: usize = 4096;

/// Where a key of ours stands in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Published, not used yet.
    Next,
    /// Signs.
    #[default]
    Active,
    /// Accepted still, and used only to finish what was begun with it.
    Previous,
    /// Proves what it signed, and nothing new.
    Retired,
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Previous => "previous",
            Self::Retired => "retired",
        })
    }
}

/// A key of ours.
#[derive(Clone, Debug)]
pub struct OwnKey {
    kid: String,
    state: KeyState,
    public: VerifyingKey,
    signer: Option<Arc<Signer>>,
}

impl OwnKey {
    /// A key that can sign, under an absolute DID URL.
    pub fn signing(kid: &str, state: KeyState, key: SigningKey) -> Result<Self, JoseError> {
        Ok(Self {
            kid: kid.to_owned(),
            state,
            public: key.verifying_key().clone(),
            signer: Some(Arc::new(Signer::new(kid, key)?)),
        })
    }

    /// A retired key of which only the public half is left.
    pub fn retired(kid: &str, public: VerifyingKey) -> Self {
        Self {
            kid: kid.to_owned(),
            state: KeyState::Retired,
            public,
            signer: None,
        }
    }

    /// Its DID URL.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Where it stands.
    pub fn state(&self) -> KeyState {
        self.state
    }

    /// Its public half.
    pub fn public(&self) -> &VerifyingKey {
        &self.public
    }
}

/// Why keys do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// No key signs.
    #[error("no key is active")]
    NoActive,
    /// More than one would sign.
    #[error("{0} and {1} are both active; exactly one key signs")]
    SeveralActive(String, String),
    /// Two keys of one name.
    #[error("two keys are called {0}")]
    Twice(String),
    /// The id is not one of this participant's.
    #[error("the key {0} does not belong to {1}")]
    Foreign(String, ParticipantId),
    /// Only the public half is there of a key that should sign.
    #[error("the key {0} is not retired, so its private half is needed")]
    Halved(String),
}

/// All keys of ours at one time.
#[derive(Clone, Debug)]
pub struct Keyring {
    keys: Vec<OwnKey>,
    active: Arc<Signer>,
}

impl Keyring {
    /// The keys of `did`, of which exactly one is active.
    pub fn new(did: &ParticipantId, keys: Vec<OwnKey>) -> Result<Self, KeyringError> {
        let (mut names, mut active) = (HashSet::new(), None::<&Arc<Signer>>);
        for key in &keys {
            if key.kid.split_once('#').map(|(of, _)| of) != Some(did.as_str()) {
                return Err(KeyringError::Foreign(key.kid.clone(), did.clone()));
            }
            if !names.insert(&key.kid) {
                return Err(KeyringError::Twice(key.kid.clone()));
            }
            match (&key.signer, key.state, active) {
                (None, KeyState::Next | KeyState::Active | KeyState::Previous, _) => {
                    return Err(KeyringError::Halved(key.kid.clone()));
                }
                (Some(_), KeyState::Active, Some(other)) => {
                    return Err(KeyringError::SeveralActive(other.kid().to_owned(), key.kid.clone()));
                }
                (Some(signer), KeyState::Active, None) => active = Some(signer),
                _ => {}
            }
        }
        let active = active.ok_or(KeyringError::NoActive)?.clone();
        Ok(Self { keys, active })
    }

    /// The key that signs.
    pub fn active(&self) -> &Arc<Signer> {
        &self.active
    }

    /// All keys, in the operator's order.
    pub fn keys(&self) -> &[OwnKey] {
        &self.keys
    }

    /// The public half of the key with this id, whatever its state.
    pub fn public(&self, kid: &str) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| key.kid == kid).map(OwnKey::public)
    }

    /// The keys with which an agreement may be signed that names one of ours: the active one first, then those before it.
    pub fn finishing(&self) -> impl Iterator<Item = &Arc<Signer>> {
        let before = self.keys.iter().filter(|key| key.state == KeyState::Previous);
        std::iter::once(&self.active).chain(before.filter_map(|key| key.signer.as_ref()))
    }

    /// What the DID document shows.
    pub fn published(&self) -> Vec<Published> {
        self.keys
            .iter()
            .map(|key| Published {
                kid: key.kid.clone(),
                jwk: key.public.to_jwk(),
                uses: match key.state {
                    KeyState::Next | KeyState::Active | KeyState::Previous => Uses::Signing,
                    KeyState::Retired => Uses::VerifyingOnly,
                },
            })
            .collect()
    }
}

/// Our keys, and the certificates that speak for the one that signs, if any do.
#[derive(Clone, Debug)]
pub struct KeySet {
    /// The keys.
    pub ring: Arc<Keyring>,
    /// The certificates.
    pub certified: Option<Certified>,
}

/// The keys of a running daemon, which a reload replaces all at once.
pub struct Keys(RwLock<Arc<KeySet>>);

impl Keys {
    /// The keys at the start.
    pub fn new(ring: Keyring, certified: Option<Certified>) -> Self {
        Self(RwLock::new(Arc::new(KeySet::new(ring, certified))))
    }

    /// The keys of now with their certificates.
    pub fn all(&self) -> Arc<KeySet> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys of now. Whoever does several things with them takes them once.
    pub fn current(&self) -> Arc<Keyring> {
        self.all().ring.clone()
    }

    /// The key that signs now.
    pub fn signer(&self) -> Arc<Signer> {
        self.current().active().clone()
    }

    /// Takes other keys and certificates from now on.
    pub fn replace(&self, ring: Keyring, certified: Option<Certified>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(KeySet::new(ring, certified));
    }
}

impl KeySet {
    fn new(ring: Keyring, certified: Option<Certified>) -> Self {
        let ring = Arc::new(ring);
        Self { ring, certified }
    }
}

/// What the audit log was last told about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    jkt: Digest,
    state: KeyState,
}

/// A change of a key that was written into the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEvent {
    /// Which key.
    pub kid: String,
    /// Its thumbprint.
    pub jkt: Digest,
    /// Where it stood before; none for a key that is new.
    pub before: Option<KeyState>,
    /// Where it stands; none for one that is not configured any more.
    pub now: Option<KeyState>,
    /// It signs without having been published before: peers that hold our document do not know it yet.
    pub abrupt: bool,
}

impl KeyEvent {
    fn entry(&self) -> Entry {
        let state = self.now.map_or_else(|| "removed".to_owned(), |state| state.to_string());
        Entry::new(Kind::KeyEvent)
            .with("kid", self.kid.as_str())
            .with("state", state)
            .of("jkt", &self.jkt)
    }
}

/// Writes into the audit log what changed about our keys since it was last told; the changes, none at a start like the one before.
pub async fn tell(log: &Log, keyring: &Keyring, now: Timestamp) -> Result<Vec<KeyEvent>, StoreError> {
    let mut before = BTreeMap::new();
    for row in log.store().scan(TOLD, &[], None, MOST_TOLD).await? {
        let kid = String::from_utf8(row.key).map_err(|_| StoreError::Corrupt("a key id is not text".into()))?;
        let told: Told = serde_json::from_slice(&row.item.value)
            .map_err(|error| StoreError::Corrupt(format!("what was told of the key {kid}: {error}")))?;
        before.insert(kid, told);
    }
    let begins = before.is_empty();
    let (mut batch, mut events) = (Batch::new(), Vec::new());
    for key in keyring.keys() {
        let told = Told {
            jkt: key.public.thumbprint(),
            state: key.state,
        };
        let last = before.remove(&key.kid);
        if last.as_ref() == Some(&told) {
            continue;
        }
        let value = serde_json::to_vec(&told).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        batch.put(TOLD, key.kid.as_str(), value);
        let before = last.filter(|last| last.jkt == told.jkt).map(|last| last.state);
        events.push(KeyEvent {
            kid: key.kid.clone(),
            jkt: told.jkt,
            before,
            now: Some(key.state),
            abrupt: !begins && before.is_none() && key.state == KeyState::Active,
        });
    }
    for (kid, last) in before {
        batch.delete(TOLD, kid.as_str());
        events.push(KeyEvent {
            kid,
            jkt: last.jkt,
            before: Some(last.state),
            now: None,
            abrupt: false,
        });
    }
    let mut entries = events.iter().map(KeyEvent::entry);
    if let Some(first) = entries.next() {
        log.commit(batch, first, entries.collect(), now).await?;
    }
    Ok(events)
}

#[cfg(test)]
mod tests;
