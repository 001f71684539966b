//! Whom we know: peers of the configuration, members of the governance authority, and what is verified about either.

use super::{Memberships, Peer, Trust, TrustError};
use crate::dsp::ParticipantId;
use policy::{Claims, Timestamp};
use std::sync::Arc;

/// A participant, and what is verified about it: what policies are asked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its participant id.
    pub did: ParticipantId,
    /// Claims of its credentials; none for a participant that is no member.
    pub claims: Claims,
}

impl Trust {
    /// The members, where there is an authority.
    pub fn memberships(&self) -> Option<&Arc<Memberships>> {
        self.memberships.as_ref()
    }

    /// A peer of the configuration, or a member that is known to be one now.
    pub fn known(&self, did: &ParticipantId, now: Timestamp) -> Option<Arc<Peer>> {
        let member = || Some(self.memberships.as_ref()?.member(did, now)?.peer.clone());
        self.peers.get(did).cloned().or_else(member)
    }

    /// A peer of the configuration, or a member, looked up if it is not known.
    pub async fn meet(&self, did: &ParticipantId, now: Timestamp) -> Result<Arc<Peer>, TrustError> {
        match (self.peers.get(did), &self.memberships) {
            (Some(peer), _) => Ok(peer.clone()),
            (None, Some(memberships)) => Ok(memberships.admit(did, now).await?.peer.clone()),
            (None, None) => Err(TrustError::UnknownPeer),
        }
    }

    /// Whom to tell what was decided about a process of ours: its peer may be a member no more, and is told that too.
    pub fn addressee(&self, did: &ParticipantId) -> Option<Arc<Peer>> {
        let former = || Some(Arc::new(self.memberships.as_ref()?.stranger(did)));
        self.peers.get(did).cloned().or_else(former)
    }

    /// A participant with what is verified about it now; ourselves too.
    pub fn party(&self, did: &ParticipantId, now: Timestamp) -> Party {
        let claims = self
            .memberships
            .as_ref()
            .map(|memberships| memberships.claims(did, now));
        Party {
            did: did.clone(),
            claims: claims.unwrap_or_default(),
        }
    }
}
