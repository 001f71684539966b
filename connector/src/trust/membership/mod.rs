//! Membership: a governance authority's trust list and the credentials of its issuers decide who becomes a peer, instead of lists kept by
//! hand. `list`, `status`, `held`, `attests` and `presentation` are pure; `refresh`, `issuers` and `admission` fetch; `lookups` bounds what strangers
//! cost; `shown` is what we present ourselves.
//!
//! Nothing is polled but on the timer of the refresh. A refresh that fails keeps the last list until its `nextUpdate`; after that nobody
//! is a member until there is a new one.

mod admission;
pub mod attests;
pub mod held;
mod issuers;
pub mod list;
mod lookups;
pub mod presentation;
mod refresh;
mod shown;
pub mod status;

use super::{Identity, Peer, Resolver, Signatures};
use crate::{
    audit::Log,
    dsp::ParticipantId,
    jose::{Digest, JoseError, Signer},
    net::{Client, Reach},
    store::StoreError,
    trust::did::{self, DidError},
};
use attests::{Attested, Attests};
use held::{Discounted, Held, MEMBERSHIP};
use issuers::{IssuerKey, KnownStatus};
use list::{Seen, Signed};
use lookups::Lookups;
use policy::{Claims, Timestamp};
use serde::Serialize;
use shown::Shown;
use status::StatusEntry;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use url::Url;

/// The file name of the trust list beside the authority's DID document.
pub const LIST_FILE: &str = "trust-list.jws";

/// What the operator chose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose members become peers.
    pub authority: ParticipantId,
    /// RFC 7638 thumbprint of its root key.
    pub root: Digest,
    /// Where the trust list is.
    pub list: Url,
    /// How often list and statuses are looked at; how long a presentation is believed without asking again.
    pub refresh: Duration,
    /// Our own credentials, as JWT.
    pub credentials: Vec<String>,
    /// Which types of credential are believed about what.
    pub attests: Attests,
    /// Which addresses are contacted: of the authority, of issuers and of members.
    pub reach: Reach,
}

/// Where the trust list is if nothing says otherwise: beside the authority's DID document.
pub fn default_list(authority: &ParticipantId) -> Result<Url, DidError> {
    let document = did::document_url(authority)?;
    document
        .join(LIST_FILE)
        .map_err(|_| DidError::NotWeb(authority.to_string()))
}

/// Why a participant is not a member, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAMember {
    /// There is no trust list that counts now.
    #[error("there is no trust list that counts now: {0}")]
    NoList(String),
    /// What shows its membership cannot be fetched now.
    #[error("what shows its membership cannot be fetched: {0}")]
    Unreachable(String),
    /// Too many are being looked up.
    #[error("too many participants are being looked up; try again")]
    Busy,
    /// The authority has removed it.
    #[error("the authority has removed it from its members")]
    Removed,
    /// What it shows does not make it one.
    #[error("{0}")]
    Refused(String),
}

impl NotAMember {
    /// Whether this is about the participant and not about the moment.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Removed | Self::Refused(_))
    }

    /// As much of it as anybody may know who claims to be the participant: nothing of what was found where its DID leads to.
    pub const fn outline(&self) -> &'static str {
        match self {
            Self::NoList(_) => "there is no trust list that counts here now",
            Self::Unreachable(_) => "what shows its membership cannot be fetched",
            Self::Busy => "too many participants are being looked up; try again",
            Self::Removed => "the authority has removed it from its members",
            Self::Refused(_) => "what it shows does not make it a member",
        }
    }
}

/// A participant that is a member, as far as was found when it was last looked at.
#[derive(Clone, Debug)]
pub struct Member {
    /// As a peer.
    pub peer: Arc<Peer>,
    /// Who says so: the issuer of its membership credential.
    pub issuer: String,
    /// What is verified about it.
    pub claims: Claims,
    /// Until when its membership credential counts.
    pub until: Option<Timestamp>,
    /// When it last presented its credentials.
    presented: Timestamp,
    credentials: Vec<Held>,
}

/// A member for people.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberView {
    /// Its DID.
    pub did: ParticipantId,
    /// Its name, if a credential says it.
    #[schema(required)]
    pub legal_name: Option<String>,
    /// Its roles.
    pub roles: Vec<String>,
    /// Who issued its membership credential.
    pub issuer: String,
    /// Until when that counts.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// Where membership stands.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// Whose members become peers.
    pub authority: ParticipantId,
    /// A trust list counts now: members are admitted.
    pub admits: bool,
    /// The number of the newest list.
    #[schema(required)]
    pub sequence: Option<u64>,
    /// Until when it counts.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub next_update: Option<Timestamp>,
    /// What went wrong at the last refresh.
    #[schema(required)]
    pub problem: Option<String>,
    /// How many of our own credentials count.
    pub own_credentials: usize,
    /// How many members are known now.
    pub members: usize,
}

#[derive(Default)]
struct State {
    list: Option<Arc<Signed>>,
    seen: Option<Seen>,
    problem: Option<String>,
    members: HashMap<ParticipantId, Arc<Member>>,
    /// Why somebody with whom something was agreed or done is a member no more.
    out: HashMap<ParticipantId, NotAMember>,
    /// Keys of issuers by their id.
    keys: HashMap<String, IssuerKey>,
    statuses: HashMap<Url, Arc<KnownStatus>>,
    /// Our own credentials that were judged, by their place in the configuration; none for one that does not count.
    own: BTreeMap<usize, Option<Held>>,
}

/// The members of one authority.
pub struct Memberships {
    settings: Settings,
    me: ParticipantId,
    client: Arc<Client>,
    resolver: Arc<Resolver>,
    log: Arc<Log>,
    state: RwLock<State>,
    lookups: Lookups,
    refreshing: tokio::sync::Mutex<()>,
    shown: Shown,
}

impl Memberships {
    /// With what was kept last; [`Memberships::refresh`] fetches what is new.
    pub async fn load(
        settings: Settings,
        me: ParticipantId,
        client: Arc<Client>,
        resolver: Arc<Resolver>,
        log: Arc<Log>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let kept = refresh::kept(&**log.store(), &settings).await?;
        let state = State {
            seen: kept.as_ref().map(Signed::seen),
            list: kept.map(Arc::new),
            ..State::default()
        };
        let memberships = Self {
            lookups: Lookups::new(settings.refresh),
            settings,
            me,
            client,
            resolver,
            log,
            state: RwLock::new(state),
            refreshing: tokio::sync::Mutex::default(),
            shown: Shown::default(),
        };
        memberships.recall(now).await?;
        Ok(memberships)
    }

    fn state(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often [`Memberships::refresh`] is due.
    pub fn every(&self) -> Duration {
        self.settings.refresh
    }

    /// A participant as somebody to talk to, member or not: for whoever has a reason of its own, such as telling a former member that
    /// something ended.
    pub fn stranger(&self, did: &ParticipantId) -> Peer {
        Peer {
            did: did.clone(),
            name: None,
            identity: Identity::DspJws,
            signatures: Signatures::Required,
            address: None,
            reach: self.settings.reach,
        }
    }

    /// The list, if it counts now.
    fn list(&self, now: Timestamp) -> Result<Arc<Signed>, NotAMember> {
        let state = self.state();
        let no_list = |why: &dyn std::fmt::Display| NotAMember::NoList(why.to_string());
        let Some(signed) = &state.list else {
            let problem = state.problem.as_deref().unwrap_or("it was not fetched yet");
            return Err(no_list(&problem));
        };
        signed.list.check_time(now).map_err(|error| no_list(&error))?;
        if signed.list.needs_newer_than(crate::dsp::VERSION) {
            let newer = format!("members speak DSP {} at least", signed.list.minimum_protocol);
            return Err(no_list(&newer));
        }
        Ok(signed.clone())
    }

    /// A member as it is known here, without looking anything up.
    pub fn member(&self, did: &ParticipantId, now: Timestamp) -> Option<Arc<Member>> {
        let signed = self.list(now).ok()?;
        let member = self.state().members.get(did).cloned()?;
        let counts = !signed.list.revoked_members.contains(did) && member.until.is_none_or(|until| now < until);
        counts.then_some(member)
    }

    /// The legal name that a member's credentials said when they were last judged: a name outlives what attests it.
    pub fn legal_name(&self, did: &ParticipantId) -> Option<String> {
        self.state().members.get(did)?.legal_name()
    }

    /// What is verified about a participant: about ourselves by our own credentials.
    pub fn claims(&self, did: &ParticipantId, now: Timestamp) -> Claims {
        if *did == self.me {
            return match self.list(now) {
                Ok(_) => held::together(self.state().own.values().flatten()),
                Err(_) => Claims::new(),
            };
        }
        self.member(did, now)
            .map(|member| member.claims.clone())
            .unwrap_or_default()
    }

    /// What claims of a participant attest.
    pub fn attested(&self, did: &ParticipantId, claims: &Claims) -> Attested {
        match *did == self.me {
            true => attests::at_most(claims),
            false => self.settings.attests.of(claims),
        }
    }

    /// Whether our own credentials were all judged: before that, what is verified about ourselves is not known.
    pub fn knows_itself(&self, now: Timestamp) -> bool {
        self.list(now).is_ok() && self.state().own.len() == self.settings.credentials.len()
    }

    /// The rulebook that counts now.
    pub fn rulebook(&self, now: Timestamp) -> Option<Digest> {
        self.list(now).ok()?.list.rulebook
    }

    /// Whether the authority has said that a key counts no more.
    pub fn is_revoked(&self, jkt: &Digest, now: Timestamp) -> bool {
        // An expired list revokes as well: what was revoked does not come back because there is no news.
        self.state()
            .list
            .as_ref()
            .is_some_and(|signed| signed.list.is_revoked(jkt, now))
    }

    /// Our credentials for anyone; none where we have none.
    pub async fn present(&self, signer: &Signer, now: Timestamp) -> Result<Option<String>, JoseError> {
        match self.settings.credentials.as_slice() {
            [] => Ok(None),
            credentials => self.shown.get(signer, credentials, now).await.map(Some),
        }
    }

    fn all(&self, now: Timestamp) -> impl Iterator<Item = Arc<Member>> {
        let known: Vec<ParticipantId> = self.state().members.keys().cloned().collect();
        known.into_iter().filter_map(move |did| self.member(&did, now))
    }

    /// The members that are known now, as peers.
    pub fn peers(&self, now: Timestamp) -> impl Iterator<Item = Arc<Peer>> {
        self.all(now).map(|member| member.peer.clone())
    }

    /// The members that are known now, by DID.
    pub fn members(&self, now: Timestamp) -> Vec<MemberView> {
        let mut views: Vec<MemberView> = self.all(now).map(|member| member.view()).collect();
        views.sort_by(|one, other| one.did.cmp(&other.did));
        views
    }

    /// Where membership stands.
    pub fn overview(&self, now: Timestamp) -> Overview {
        let (admits, members) = (self.list(now), self.members(now).len());
        let state = self.state();
        let list = state.list.as_ref().map(|signed| &signed.list);
        Overview {
            authority: self.settings.authority.clone(),
            sequence: list.map(|list| list.sequence),
            next_update: list.map(|list| list.next_update),
            problem: state
                .problem
                .clone()
                .or_else(|| admits.as_ref().err().map(ToString::to_string)),
            admits: admits.is_ok(),
            own_credentials: state.own.values().flatten().count(),
            members,
        }
    }

    /// Whether a credential counts under this list, with the statuses that are at hand.
    fn judge(&self, held: &Held, list: &list::TrustList, now: Timestamp) -> Result<(), Discounted> {
        let state = self.state();
        held.judge(list, now, |entry: &StatusEntry| {
            let known = state
                .statuses
                .get(&entry.list)
                .filter(|known| known.counts(list, now))
                .ok_or_else(|| Discounted::NoStatus(entry.list.to_string()))?;
            Ok(known.list.is_set(entry, &held.issuer)?)
        })
    }
}

impl Member {
    /// From the credentials that count; none if none of them makes it a member.
    fn of(peer: Arc<Peer>, all: &[Held], counting: &[&Held], presented: Timestamp) -> Option<Self> {
        let member = counting.iter().find(|held| held.is(MEMBERSHIP))?;
        Some(Self {
            peer,
            issuer: member.issuer.clone(),
            until: member.valid_until,
            claims: held::together(counting.iter().copied()),
            presented,
            credentials: all.to_vec(),
        })
    }

    fn legal_name(&self) -> Option<String> {
        self.claims.get("legalName")?.first().cloned()
    }

    fn view(&self) -> MemberView {
        let values = |name: &str| self.claims.get(name).into_iter().flatten().cloned();
        MemberView {
            did: self.peer.did.clone(),
            legal_name: self.legal_name(),
            roles: values("role").collect(),
            issuer: self.issuer.clone(),
            until: self.until,
        }
    }
}

#[cfg(test)]
mod tests;
