//! Whom we know: peers of the configuration, members of the governance authority, and what is verified about either.

use super::{
    Memberships, Peer, Trust, TrustError,
    did::{DidError, Document},
    membership::attests::Attested,
};
use crate::{dsp::ParticipantId, jose::Digest};
use policy::{Claims, Timestamp};
use std::{collections::HashMap, sync::Arc};

/// Whether each of some participants is one to deal with now, and why not.
pub type Standings = HashMap<ParticipantId, Result<(), TrustError>>;

/// A participant, and what is verified about it: what policies are asked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its participant id.
    pub did: ParticipantId,
    /// Claims of its credentials; none for a participant that is no member.
    pub claims: Claims,
    /// What those of them attest that are believed about it.
    pub attested: Attested,
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

    /// Whether a participant is one to deal with, as far as that is known without asking anybody.
    pub fn standing(&self, did: &ParticipantId, now: Timestamp) -> Result<(), TrustError> {
        match (self.peers.get(did), &self.memberships) {
            (Some(_), _) => Ok(()),
            (None, Some(memberships)) => Ok(memberships.standing(did, now)?),
            (None, None) => Err(TrustError::UnknownPeer),
        }
    }

    /// Whom to tell what was decided about a process of ours: its peer may be a member no more, and is told that too.
    pub fn addressee(&self, did: &ParticipantId) -> Option<Arc<Peer>> {
        let former = || Some(Arc::new(self.memberships.as_ref()?.stranger(did)));
        self.peers.get(did).cloned().or_else(former)
    }

    /// The document of a participant with the keys that count: those that the governance authority has revoked are hidden.
    pub async fn keys_of(&self, peer: &Peer, now: Timestamp) -> Result<Arc<Document>, DidError> {
        let document = self.resolver.document(peer, now).await?;
        Ok(self.counting(document, now))
    }

    /// The same, of the document as it is now.
    pub async fn newest_keys_of(&self, peer: &Peer, now: Timestamp) -> Result<Arc<Document>, DidError> {
        let document = self.resolver.newest(peer, now).await?;
        Ok(self.counting(document, now))
    }

    fn counting(&self, document: Arc<Document>, now: Timestamp) -> Arc<Document> {
        let revoked = |jkt: &Digest| self.is_revoked(jkt, now);
        document.without(revoked).map_or(document, Arc::new)
    }

    /// Whether the governance authority has said that a key counts no more.
    pub fn is_revoked(&self, jkt: &Digest, now: Timestamp) -> bool {
        let memberships = self.memberships.as_ref();
        memberships.is_some_and(|memberships| memberships.is_revoked(jkt, now))
    }

    /// Whether what is verified about ourselves is known: not before our own credentials were judged.
    pub fn knows_itself(&self, now: Timestamp) -> bool {
        let memberships = self.memberships.as_ref();
        memberships.is_none_or(|memberships| memberships.knows_itself(now))
    }

    /// The legal name of a participant, if it is known as a member by credentials that say it.
    pub fn legal_name(&self, did: &ParticipantId) -> Option<String> {
        self.memberships.as_ref()?.legal_name(did)
    }

    /// A participant with what is verified about it now; ourselves too.
    pub fn party(&self, did: &ParticipantId, now: Timestamp) -> Party {
        let (claims, attested) = self
            .memberships
            .as_ref()
            .map(|memberships| {
                let claims = memberships.claims(did, now);
                let attested = memberships.attested(did, &claims);
                (claims, attested)
            })
            .unwrap_or_default();
        Party {
            did: did.clone(),
            claims,
            attested,
        }
    }
}
