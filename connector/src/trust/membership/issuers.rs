//! What is fetched of issuers, their keys and their status lists, and kept: a start without network knows what was known before, and
//! nobody who stands between can put an older status list in the place of a newer one.

use super::{
    Memberships, held::Held, list::TrustList, refresh::RefreshError, status::LIST_CREDENTIAL, status::StatusError,
    status::StatusList,
};
use crate::{
    dsp::ParticipantId,
    jose::{
        CredentialError, CredentialKey, Digest,
        credential::{self, Credential, Form},
        sha256,
    },
    store::{Batch, Pages, StoreError, Table},
    trust::{did::Use, resolver::MAX_FRESH},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::HashMap, sync::Arc, time::Duration};
use url::Url;

/// Keys of issuers, by the hash of their id.
const KEYS: Table = Table(38);
/// Status lists as they were published, by the hash of their address.
const STATUSES: Table = Table(39);

/// How often it is written down that a key is still published.
const SEEN_EVERY: Duration = Duration::from_secs(3600);

/// A key that an issuer's DID document listed for assertions, and when it did so last.
#[derive(Clone)]
pub(super) struct IssuerKey {
    key: CredentialKey,
    seen: Timestamp,
}

/// The same as it is kept.
#[derive(Serialize, Deserialize)]
struct StoredKey {
    kid: String,
    key: Value,
    seen: Timestamp,
}

/// A status list with the thumbprint of the key that signed it.
#[derive(PartialEq, Eq)]
pub(super) struct KnownStatus {
    pub(super) list: StatusList,
    jkt: Digest,
}

impl KnownStatus {
    /// Whether it counts now, and so does the key that signed it.
    pub(super) fn counts(&self, trusted: &TrustList, now: Timestamp) -> bool {
        let issuer = trusted.issuer(self.list.issuer(), now);
        self.list.counts(now) && issuer.is_some_and(|issuer| trusted.counts(issuer, &self.jkt, now))
    }
}

fn keys(rows: Vec<StoredKey>) -> HashMap<String, IssuerKey> {
    let key = |row: StoredKey| {
        let key = CredentialKey::from_jwk(&row.key).ok()?;
        Some((row.kid, IssuerKey { key, seen: row.seen }))
    };
    rows.into_iter().filter_map(key).collect()
}

impl Memberships {
    /// Takes up what was kept, and judges our own credentials by it. Asks nobody.
    pub(super) async fn recall(&self, now: Timestamp) -> Result<(), StoreError> {
        let unreadable = |error: serde_json::Error| StoreError::Corrupt(format!("an issuer's key: {error}"));
        let mut rows = Vec::new();
        for value in self.values(KEYS).await? {
            rows.push(serde_json::from_slice(&value).map_err(unreadable)?);
        }
        self.state_mut().keys = keys(rows);
        for value in self.values(STATUSES).await? {
            let known = std::str::from_utf8(&value)
                .ok()
                .and_then(|token| self.recalled(token, now));
            if let Some((url, known)) = known {
                self.state_mut().statuses.insert(url, Arc::new(known));
            }
        }
        let Ok(signed) = self.list(now) else { return Ok(()) };
        for (place, token) in self.settings.credentials.iter().enumerate() {
            let verified = self.known_key(token).and_then(|key| {
                let credential = credential::verify(token, Form::Credential, &key, now).ok()?;
                Held::read(&credential, key.thumbprint(), self.me.as_str()).ok()
            });
            if let Some(held) = verified.filter(|held| self.judge(held, &signed.list, now).is_ok()) {
                self.state_mut().own.insert(place, Some(held));
            }
        }
        Ok(())
    }

    async fn values(&self, table: Table) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut found = Vec::new();
        let mut pages = Pages::new(&**self.log.store(), table, Vec::new(), 16);
        while let Some(rows) = pages.next().await? {
            found.extend(rows.into_iter().map(|row| row.item.value));
        }
        Ok(found)
    }

    /// The key that a token names, if it was seen before, whenever that was: of what was read then, the trust list says whether it counts.
    fn known_key(&self, token: &str) -> Option<CredentialKey> {
        let kid = credential::kid(token).ok()?;
        self.state().keys.get(&kid).map(|known| known.key.clone())
    }

    fn recalled(&self, token: &str, now: Timestamp) -> Option<(Url, KnownStatus)> {
        let key = self.known_key(token)?;
        let credential = credential::verify(token, Form::Credential, &key, now).ok()?;
        let url = Url::parse(credential.id()?).ok()?;
        let list = StatusList::read(&credential, &url).ok()?;
        let jkt = key.thumbprint();
        Some((url, KnownStatus { list, jkt }))
    }

    /// Fetches the status list of an issuer that is on the trust list.
    pub(super) async fn renew_status(&self, url: &Url, issuer: &str, now: Timestamp) -> Result<(), RefreshError> {
        let token = self.get(url, credential::MAX_CREDENTIAL, self.settings.reach).await?;
        let (credential, jkt) = self.verified(&token, now).await?;
        if credential.issuer() != issuer || !credential.types().iter().any(|name| name == LIST_CREDENTIAL) {
            return Err(StatusError::WrongList.into());
        }
        let list = StatusList::read(&credential, url)?;
        self.take_status(url, &token, KnownStatus { list, jkt }, now).await
    }

    /// Takes a status list in the place of the one before, unless that was newer.
    async fn take_status(
        &self,
        url: &Url,
        token: &str,
        status: KnownStatus,
        now: Timestamp,
    ) -> Result<(), RefreshError> {
        let before = self.state().statuses.get(url).cloned();
        status.list.follows(before.as_ref().map(|before| &before.list), now)?;
        if before.is_none_or(|before| *before != status) {
            let mut batch = Batch::new();
            batch.put(STATUSES, *sha256(url.as_str().as_bytes()).as_bytes(), token.as_bytes());
            self.log.store().commit(batch).await?;
        }
        let mut state = self.state_mut();
        // Somebody else may have fetched it meanwhile.
        let before = state.statuses.get(url).map(|known| &known.list);
        status.list.follows(before, now)?;
        state.statuses.insert(url.clone(), Arc::new(status));
        Ok(())
    }

    /// Forgets status lists that nobody needs, once nothing older could take their place.
    pub(super) async fn forget_statuses(
        &self,
        needed: impl Fn(&Url) -> bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let idle: Vec<Url> = {
            let state = self.state();
            let idle = state
                .statuses
                .iter()
                .filter(|(url, known)| !needed(url) && !known.list.is_needed(now));
            idle.map(|(url, _)| url.clone()).collect()
        };
        if idle.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for url in &idle {
            self.state_mut().statuses.remove(url);
            batch.delete(STATUSES, *sha256(url.as_str().as_bytes()).as_bytes());
        }
        self.log.store().commit(batch).await.map(drop)
    }

    /// A credential whose issuer is on the trust list, verified with a key that its DID document lists for assertions.
    pub(super) async fn verified(&self, token: &str, now: Timestamp) -> Result<(Credential, Digest), RefreshError> {
        let signed = self.list(now)?;
        let kid = credential::kid(token).map_err(CredentialError::from)?;
        let issuer = kid.split('#').next().unwrap_or_default();
        // Only whoever is on the list makes us fetch its document.
        let listed = signed
            .list
            .issuer(issuer, now)
            .ok_or_else(|| RefreshError::Issuer(issuer.to_owned()))?;
        let key = self.issuer_key(&listed.did, &kid, now).await?;
        let jkt = key.thumbprint();
        if !signed.list.counts(listed, &jkt, now) {
            return Err(RefreshError::UncountedKey(jkt));
        }
        let credential = credential::verify(token, Form::Credential, &key, now)?;
        Ok((credential, jkt))
    }

    /// A key of an issuer. While its document cannot be fetched, the one that it listed within a day counts: no issuer's outage shuts
    /// members out at once, and no key that was taken from a document lives on for long.
    async fn issuer_key(
        &self,
        issuer: &ParticipantId,
        kid: &str,
        now: Timestamp,
    ) -> Result<CredentialKey, RefreshError> {
        match self.published_key(issuer, kid, now).await {
            Ok(key) => {
                self.note_key(kid, &key, now).await?;
                Ok(key)
            }
            Err(error) if error.is_final() => {
                if matches!(error, RefreshError::Key(_)) {
                    self.forget_key(kid).await?;
                }
                Err(error)
            }
            Err(error) => {
                let known = self.state().keys.get(kid).cloned();
                let recent = known.filter(|known| known.seen <= now && now.since(known.seen) < MAX_FRESH);
                recent.map(|known| known.key).ok_or(error)
            }
        }
    }

    async fn published_key(
        &self,
        issuer: &ParticipantId,
        kid: &str,
        now: Timestamp,
    ) -> Result<CredentialKey, RefreshError> {
        let issuer = self.stranger(issuer);
        let document = self.resolver.document(&issuer, now).await?;
        if let Some(key) = document.key_for(kid, Use::Assertion) {
            return Ok(key.clone());
        }
        let document = self.resolver.newest(&issuer, now).await?;
        let key = document.key_for(kid, Use::Assertion);
        key.cloned().ok_or_else(|| RefreshError::Key(kid.to_owned()))
    }

    async fn note_key(&self, kid: &str, key: &CredentialKey, now: Timestamp) -> Result<(), StoreError> {
        let noted = self.state().keys.get(kid).is_some_and(|known| {
            let recent = known.seen <= now && now.since(known.seen) < SEEN_EVERY;
            recent && known.key.thumbprint() == key.thumbprint()
        });
        if noted {
            return Ok(());
        }
        let stored = StoredKey {
            kid: kid.to_owned(),
            key: key.to_jwk(),
            seen: now,
        };
        let value = serde_json::to_vec(&stored).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let mut batch = Batch::new();
        batch.put(KEYS, *sha256(kid.as_bytes()).as_bytes(), value);
        self.log.store().commit(batch).await?;
        let known = IssuerKey {
            key: key.clone(),
            seen: now,
        };
        self.state_mut().keys.insert(kid.to_owned(), known);
        Ok(())
    }

    async fn forget_key(&self, kid: &str) -> Result<(), StoreError> {
        if self.state_mut().keys.remove(kid).is_none() {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.delete(KEYS, *sha256(kid.as_bytes()).as_bytes());
        self.log.store().commit(batch).await.map(drop)
    }
}

#[cfg(test)]
mod tests;
