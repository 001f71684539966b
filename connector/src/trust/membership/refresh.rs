//! What the timer does: the trust list and the status lists are fetched again, and everybody is judged anew by what they say.

use super::{
    Member, Memberships, NotAMember, Settings,
    admission::why_none_counts,
    list::{ListError, Seen, Signed},
    status::StatusError,
};
use crate::{
    audit::{Entry, Kind},
    dsp::ParticipantId,
    jose::{CredentialError, Digest, VerifyingKey, token},
    net::{NetError, Reach, Request},
    store::{Batch, Store, StoreError, Table},
    trust::did::DidError,
};
use bytes::Bytes;
use http::{HeaderMap, Method};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use url::Url;

/// What is remembered of an authority's newest list, by the authority's DID.
const NEWEST: Table = Table(24);
/// That list as it was published, by the authority's DID.
const LISTS: Table = Table(25);

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The root key goes with what it signed, so that a start without network can check the list again.
#[derive(Serialize, Deserialize)]
struct Newest {
    #[serde(flatten)]
    seen: Seen,
    key: Value,
}

/// Why something that was fetched does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum RefreshError {
    #[error(transparent)]
    List(#[from] ListError),
    #[error(transparent)]
    Did(#[from] DidError),
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("{0} answered {1}")]
    Status(String, u16),
    #[error("{0} did not answer in time")]
    Late(String),
    #[error("{0} is not text")]
    NotText(String),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("{0} is not on the trust list")]
    Issuer(String),
    #[error("the key {0} is not one that its owner's DID document lists for assertions")]
    Key(String),
    #[error("the key {0} does not count: the trust list names others, or it was revoked by the authority")]
    UncountedKey(Digest),
    #[error(transparent)]
    Bits(#[from] StatusError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    NotNow(#[from] NotAMember),
}

impl RefreshError {
    /// Whether the fault lies in what was fetched, so that fetching it again will not help.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Did(error) => matches!(
                error,
                DidError::NotWeb(_) | DidError::Document(_) | DidError::BadKey { .. }
            ),
            Self::Net(error) => matches!(error, NetError::Forbidden { .. } | NetError::TooLarge { .. }),
            Self::Status(..) | Self::Late(_) | Self::Store(_) => false,
            Self::NotNow(error) => error.is_final(),
            _ => true,
        }
    }
}

/// The newest list that was seen of the configured authority under the configured root; it may have expired since.
pub(super) async fn kept(store: &dyn Store, settings: &Settings) -> Result<Option<Signed>, StoreError> {
    let id = settings.authority.as_str().as_bytes();
    let (Some(newest), Some(list)) = (store.get(NEWEST, id).await?, store.get(LISTS, id).await?) else {
        return Ok(None);
    };
    let unreadable = |error: &dyn std::fmt::Display| StoreError::Corrupt(format!("the newest trust list: {error}"));
    let newest: Newest = serde_json::from_slice(&newest.value).map_err(|error| unreadable(&error))?;
    let key = VerifyingKey::from_jwk(&newest.key).map_err(|error| unreadable(&error))?;
    // Another root was configured since: what the old one said is of no interest.
    if key.thumbprint() != settings.root {
        return Ok(None);
    }
    let token = std::str::from_utf8(&list.value).map_err(|error| unreadable(&error))?;
    Signed::open_with(token, &settings.authority, &settings.root, &key)
        .map(Some)
        .map_err(|error| unreadable(&error))
}

impl Memberships {
    /// Fetches list and statuses, and judges all members and our own credentials by them. What fails keeps its last state as long as
    /// that counts; the status and the log say so.
    pub async fn refresh(&self, now: Timestamp) {
        let _one = self.refreshing.lock().await;
        let problem = match self.renew_list(now).await {
            Ok(()) => None,
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = &problem {
            match self.list(now) {
                Ok(signed) => tracing::warn!(
                    problem, until = %signed.list.next_update, "the trust list was not renewed; the last one counts until then"
                ),
                Err(_) => tracing::error!(problem, "no trust list counts now: members are not admitted"),
            }
        }
        self.state_mut().problem = problem;
        self.renew_own(now).await;
        self.renew_statuses(now).await;
        self.judge_all(now).await;
    }

    async fn renew_list(&self, now: Timestamp) -> Result<(), RefreshError> {
        let token = self
            .get(&self.settings.list, token::MAX_LEN, self.settings.reach)
            .await?;
        let authority = self.stranger(&self.settings.authority);
        let document = self.resolver.document(&authority, now).await?;
        let open = |document| Signed::open(&token, &self.settings.authority, &self.settings.root, document);
        let (signed, key) = match open(&document) {
            // The root key may stand in a newer document than the one that is at hand.
            Err(ListError::WrongRoot) => open(&*self.resolver.newest(&authority, now).await?)?,
            other => other?,
        };
        let seen = self.state().seen.clone();
        if signed.follows(seen.as_ref())? {
            signed.list.check_time(now)?;
            self.keep(&signed, &key, now).await?;
        }
        signed.list.check_time(now)?;
        self.state_mut().list = Some(Arc::new(signed));
        Ok(())
    }

    /// Remembers a newer list, and says so in the audit log, before it counts.
    pub(super) async fn keep(&self, signed: &Signed, key: &VerifyingKey, now: Timestamp) -> Result<(), StoreError> {
        let newest = Newest {
            seen: signed.seen(),
            key: key.to_jwk(),
        };
        let value = serde_json::to_vec(&newest).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let id = self.settings.authority.as_str();
        let mut batch = Batch::new();
        batch.put(NEWEST, id, value).put(LISTS, id, signed.token.as_bytes());
        let entry = Entry::new(Kind::TrustList)
            .with("authority", id)
            .with("sequence", signed.list.sequence)
            .of("list", &signed.digest);
        self.log.commit(batch, entry, Vec::new(), now).await?;
        self.state_mut().seen = Some(signed.seen());
        tracing::info!(authority = id, sequence = signed.list.sequence, "a new trust list");
        Ok(())
    }

    /// Reads our own credentials as everybody else will. What cannot be found out now stays as it was.
    async fn renew_own(&self, now: Timestamp) {
        for (place, token) in self.settings.credentials.iter().enumerate() {
            let judged = match self.accept(token, &self.me, now).await {
                Ok(held) => Some(held),
                Err(error) => {
                    tracing::warn!(%error, "one of our own credentials does not count");
                    if !error.is_final() {
                        continue;
                    }
                    None
                }
            };
            self.state_mut().own.insert(place, judged);
        }
    }

    async fn renew_statuses(&self, now: Timestamp) {
        let wanted: BTreeSet<(Url, String)> = {
            let state = self.state();
            let held = state
                .members
                .values()
                .flat_map(|member| &member.credentials)
                .chain(state.own.values().flatten());
            held.flat_map(|held| {
                held.status
                    .iter()
                    .map(|entry| (entry.list.clone(), held.issuer.clone()))
            })
            .collect()
        };
        let needed = |url: &Url| wanted.iter().any(|(list, _)| list == url);
        if let Err(error) = self.forget_statuses(needed, now).await {
            tracing::error!(%error, "old status lists could not be forgotten");
        }
        for (url, issuer) in wanted {
            if let Err(error) = self.renew_status(&url, &issuer, now).await {
                tracing::warn!(list = %url, %error, "a status list was not renewed");
            }
        }
    }

    /// Judges everybody again; who is a member no more is told nothing here, but finds out.
    async fn judge_all(&self, now: Timestamp) {
        let Ok(signed) = self.list(now) else { return };
        let members: Vec<Arc<Member>> = self.state().members.values().cloned().collect();
        for member in members {
            let judged = self.judged(&member, &signed, now);
            if let Some(why) = self.replace(&member, judged) {
                self.expel(&member.peer.did, &why, now).await;
            }
        }
        let own = self.state().own.clone();
        for (place, held) in own {
            let Some(Err(error)) = held.map(|held| self.judge(&held, &signed.list, now)) else {
                continue;
            };
            tracing::warn!(%error, "one of our own credentials does not count any more");
            let mut state = self.state_mut();
            match error.is_final() {
                true => drop(state.own.insert(place, None)),
                false => drop(state.own.remove(&place)),
            }
        }
    }

    /// Puts a member that was judged again in its own place. Meanwhile it may have been found to be none, or have shown other credentials:
    /// that is newer. Says why it is to be expelled, if it is.
    pub(super) fn replace(&self, member: &Arc<Member>, judged: Result<Member, NotAMember>) -> Option<NotAMember> {
        let mut state = self.state_mut();
        let known = state.members.get_mut(&member.peer.did);
        let known = known.filter(|known| Arc::ptr_eq(known, member))?;
        match judged {
            Ok(again) => {
                *known = Arc::new(again);
                None
            }
            Err(why) => Some(why),
        }
    }

    fn judged(&self, member: &Member, signed: &Signed, now: Timestamp) -> Result<Member, NotAMember> {
        if signed.list.revoked_members.contains(&member.peer.did) {
            return Err(NotAMember::Removed);
        }
        let (mut counting, mut reasons) = (Vec::new(), Vec::new());
        for held in &member.credentials {
            match self.judge(held, &signed.list, now) {
                Ok(()) => counting.push(held),
                Err(why) => reasons.push(why.into()),
            }
        }
        Member::of(member.peer.clone(), &member.credentials, &counting, member.presented)
            .ok_or_else(|| why_none_counts(reasons))
    }

    /// Notes that a participant is a member no more.
    pub(super) async fn expel(&self, did: &ParticipantId, why: &NotAMember, now: Timestamp) {
        self.lookups.refuse(did, why, now);
        if self.state_mut().members.remove(did).is_none() {
            return;
        }
        self.note_out(did, why);
        tracing::warn!(member = %did, reason = %why, "no longer a member");
        let entry = Entry::new(Kind::MemberRemoved)
            .with("member", did.as_str())
            .with("reason", why.to_string());
        if let Err(error) = self.log.commit(Batch::new(), entry, Vec::new(), now).await {
            tracing::error!(member = %did, %error, "the end of a membership could not be recorded");
        }
    }

    /// Fetches a text of at most `limit` bytes.
    pub(super) async fn get(&self, url: &Url, limit: usize, reach: Reach) -> Result<String, RefreshError> {
        let request = Request {
            method: Method::GET,
            url: url.clone(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            reach,
        };
        let answer = tokio::time::timeout(PATIENCE, self.client.send_within(request, limit)).await;
        let response = answer.map_err(|_| RefreshError::Late(url.to_string()))??;
        if !response.status.is_success() {
            return Err(RefreshError::Status(url.to_string(), response.status.as_u16()));
        }
        let text = std::str::from_utf8(&response.body).map_err(|_| RefreshError::NotText(url.to_string()))?;
        Ok(text.trim_end().to_owned())
    }
}
