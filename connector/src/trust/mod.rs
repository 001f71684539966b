//! Who a message comes from: the peers that the operator lists and the members of a governance authority, their DID documents, and the
//! proof that a message is theirs.
//!
//! `Trust::authenticate` is the only maker of [`Verified`]. It never decides what a verified peer may do.

pub mod did;
pub mod external;
pub mod history;
pub mod keys;
pub mod logs;
pub mod membership;
mod parties;
pub mod pins;
pub mod plain;
pub mod resolver;
pub mod spent;
#[cfg(test)]
mod testing;
mod verified;

pub use history::History;
pub use keys::{KeyState, Keyring, Keys, OwnKey};
pub use logs::PublishedLog;
pub use membership::{Memberships, NotAMember};
pub use parties::{Party, Standings};
pub use pins::{Pin, Pins};
pub use plain::{Identity, Token};
pub use resolver::{Resolver, ResolverSettings};
pub use spent::Spent;
pub use verified::{Exchange, Verified};

/// The header that carries a message's detached signature.
pub use crate::jose::message::HEADER_NAME as SIGNATURE_HEADER;

use crate::{
    dsp::ParticipantId,
    jose::{self, Binding, Digest, JoseError, Signer, Unverified, random},
    net::Reach,
    store::StoreError,
};
use bytes::Bytes;
use did::DidError;
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::HashMap, sync::Arc};
use url::Url;
use verified::Proof;

/// A participant that the operator's configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its participant id: the DID of a peer that signs, whatever another one calls itself.
    pub did: ParticipantId,
    /// A name for people, usable instead of the DID on the command line.
    pub name: Option<String>,
    /// How it shows who it is.
    pub identity: Identity,
    /// Whether messages to and from it are signed.
    pub signatures: Signatures,
    /// The root address under which it serves version discovery; without it the DID document says so.
    pub address: Option<Url>,
    /// Which of its addresses are contacted.
    pub reach: Reach,
}

/// Whether messages to and from a peer are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Signatures {
    /// All of them.
    Required,
    /// As soon as the peer is known to sign, and from then on all of them.
    IfOffered,
    /// None: nothing is signed for this peer, and no signature of its is looked at.
    Off,
}

/// Why a caller is not believed. The text names the check, never a secret.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// No signature header, or more than one.
    #[error("the message carries no {SIGNATURE_HEADER} header, or several")]
    SignatureMissing,
    /// The sender is known to sign, so the signature was taken away or left out.
    #[error(
        "{0} signs its messages, and this one carries no signature; if it has ceased to sign: connector peer unpin {0}"
    )]
    Stripped(ParticipantId),
    /// The sender is not in the configuration, or not as one that signs.
    #[error("the sender is not a known peer")]
    UnknownPeer,
    /// Nor is it a member.
    #[error("the sender is neither a known peer nor a member: {0}")]
    NotAMember(#[from] NotAMember),
    /// The authority has said that the key counts no more.
    #[error("the key was revoked by the governance authority")]
    RevokedKey,
    /// `Authorization` is not that of a peer whom the configuration lets speak without signatures.
    #[error("the caller is not authorized")]
    Unauthorized,
    /// The signature or its header breaks a rule.
    #[error(transparent)]
    Signature(#[from] JoseError),
    /// The sender's DID document gives no such key.
    #[error(transparent)]
    Did(#[from] DidError),
    /// That the sender signs could not be written down.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Our own identity, the peers, and their keys.
pub struct Trust {
    own: did::Own,
    keys: Keys,
    pins: Pins,
    peers: HashMap<ParticipantId, Arc<Peer>>,
    memberships: Option<Arc<Memberships>>,
    resolver: Arc<Resolver>,
}

impl Trust {
    /// Puts the parts together. `own` is our document without the keys that sign messages and their certificates: those are in `keys`.
    pub fn new(
        own: did::Own,
        keys: Keys,
        pins: Pins,
        peers: Vec<Peer>,
        memberships: Option<Arc<Memberships>>,
        resolver: Arc<Resolver>,
    ) -> Self {
        let by_did = |peer: Peer| (peer.did.clone(), Arc::new(peer));
        Self {
            own,
            keys,
            pins,
            peers: peers.into_iter().map(by_did).collect(),
            memberships,
            resolver,
        }
    }

    /// Our DID.
    pub fn me(&self) -> &ParticipantId {
        &self.own.did
    }

    /// Our DID document as it is now.
    pub fn document(&self) -> Value {
        let (mut own, keys) = (self.own.clone(), self.keys.all());
        own.keys.splice(0..0, keys.ring.published());
        own.certified = keys.certified.clone();
        own.document()
    }

    /// Keeps our document as it is now, if it was not like that before: at the start, and whenever our keys have changed.
    pub async fn note_document(&self, now: Timestamp) -> Result<(), DidError> {
        let version = history::Version::of(&self.document())?;
        Ok(self.resolver.history().note(self.me(), &version, now).await?)
    }

    /// Our keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The key that signs now.
    pub fn signer(&self) -> Arc<Signer> {
        self.keys.signer()
    }

    /// Who is held to signing.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Where DID documents come from.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// The peers of the configuration, in no order.
    pub fn peers(&self) -> impl Iterator<Item = &Arc<Peer>> {
        self.peers.values()
    }

    /// A peer of the configuration, by DID or by the name that the operator gave it.
    pub fn peer(&self, did_or_name: &str) -> Option<&Arc<Peer>> {
        self.peers
            .values()
            .find(|peer| peer.did.as_str() == did_or_name || peer.name.as_deref() == Some(did_or_name))
    }

    /// Everything about a request that can be refused before its body is read: shape, audience, route, time, sender. A sender whom
    /// nobody configured is looked up only when all the rest is right.
    pub async fn plausible(
        &self,
        signature: &str,
        method: &str,
        url: &str,
        now: Timestamp,
    ) -> Result<Unverified, TrustError> {
        let unverified = Unverified::parse(signature)?;
        let sender = self.claimed(&unverified)?;
        unverified
            .clone()
            .check(self.me().as_str(), Binding::Request { method, url }, now)?;
        self.meet(&sender, now).await?;
        Ok(unverified)
    }

    /// The participant that the sender claims to be, if one like it may come signed.
    fn claimed(&self, unverified: &Unverified) -> Result<ParticipantId, TrustError> {
        let issuer: ParticipantId = unverified.issuer().parse().map_err(|_| TrustError::UnknownPeer)?;
        match self.peers.get(&issuer) {
            Some(peer) if peer.signatures != Signatures::Off => Ok(issuer),
            None if self.memberships.is_some() => Ok(issuer),
            _ => Err(TrustError::UnknownPeer),
        }
    }

    /// Whether this peer signs, as far as is known here and now.
    pub fn is_held(&self, peer: &Peer) -> bool {
        match peer.signatures {
            Signatures::Required => true,
            Signatures::IfOffered => self.pins.get(&peer.did).is_some(),
            Signatures::Off => false,
        }
    }

    /// Whether this peer signs; one that may, and is not known to, is looked up in its DID document now and then.
    pub async fn signs(&self, peer: &Peer, now: Timestamp) -> Result<bool, StoreError> {
        if peer.signatures != Signatures::IfOffered || self.is_held(peer) {
            return Ok(self.is_held(peer));
        }
        let advertised =
            self.pins.may_ask(&peer.did, now) && self.resolver.newest(peer, now).await.is_ok_and(|found| found.signs);
        if advertised {
            self.pins.pin(&peer.did, pins::Reason::Advertised, now).await?;
        }
        Ok(advertised)
    }

    /// The caller of a request without a signature that counts, whom [`Trust::admitted`] has let in.
    pub fn admit(&self, sender: &Arc<Peer>, body: Bytes) -> Verified<Bytes> {
        let proof = Proof::Plain {
            body: jose::sha256(&body),
        };
        Verified {
            value: body.clone(),
            body,
            sender: sender.clone(),
            proof,
        }
    }

    /// The peer that `Authorization` shows, if it may come without a signature; before any body is read.
    pub async fn admitted(&self, authorization: Option<&str>, now: Timestamp) -> Result<&Arc<Peer>, TrustError> {
        let peer = self.shown(authorization.ok_or(TrustError::SignatureMissing)?);
        let peer = peer.ok_or(TrustError::Unauthorized)?;
        if !self.signs(peer, now).await? {
            return Ok(peer);
        }
        if peer.signatures == Signatures::Required {
            return Err(TrustError::SignatureMissing);
        }
        self.pins.stripped(&peer.did, now).await;
        Err(TrustError::Stripped(peer.did.clone()))
    }

    /// Whether `Authorization` shows a peer whose signatures, if it makes any, are not looked at.
    pub fn ignores_signatures(&self, authorization: Option<&str>) -> bool {
        let peer = authorization.and_then(|authorization| self.shown(authorization));
        peer.is_some_and(|peer| peer.signatures == Signatures::Off)
    }

    fn shown(&self, authorization: &str) -> Option<&Arc<Peer>> {
        self.peers
            .values()
            .find(|peer| peer.identity.admits(&peer.did, authorization))
    }

    /// The `Authorization` of a request of ours; none for a peer that knows us by our signature alone.
    pub fn authorization(&self, peer: &Peer, url: &Url) -> Option<String> {
        peer.identity.authorization(self.me(), url)
    }

    /// Checks a request to us that was found [plausible](Self::plausible), now that its body is here.
    pub async fn authenticate(
        &self,
        unverified: Unverified,
        method: &str,
        url: &str,
        body: Bytes,
        now: Timestamp,
    ) -> Result<Verified<Bytes>, TrustError> {
        let sender = self.meet(&self.claimed(&unverified)?, now).await?;
        self.open(unverified, sender, Binding::Request { method, url }, body, now)
            .await
    }

    /// Checks an answer to a request of ours.
    pub async fn authenticate_response(
        &self,
        signature: Option<&str>,
        from: &Peer,
        request: &Digest,
        status: u16,
        body: Bytes,
        now: Timestamp,
    ) -> Result<Verified<Bytes>, TrustError> {
        if signature.is_none() && from.signatures == Signatures::IfOffered {
            // Whoever could not verify us answers without a signature, and so does what stands in between.
            if (200..300).contains(&status) {
                self.pins.stripped(&from.did, now).await;
            }
            return Err(TrustError::Stripped(from.did.clone()));
        }
        let unverified = Unverified::parse(signature.ok_or(TrustError::SignatureMissing)?)?;
        // Whom we asked is known; whether it is still a member is not the question.
        if unverified.issuer() != from.did.as_str() {
            return Err(TrustError::UnknownPeer);
        }
        let binding = Binding::Response { request, status };
        self.open(unverified, Arc::new(from.clone()), binding, body, now).await
    }

    async fn open(
        &self,
        unverified: Unverified,
        sender: Arc<Peer>,
        binding: Binding<'_>,
        body: Bytes,
        now: Timestamp,
    ) -> Result<Verified<Bytes>, TrustError> {
        let checked = unverified.check(self.me().as_str(), binding, now)?;
        let key = self.resolver.key(&sender, checked.kid(), now).await?;
        if self.is_revoked(&key.thumbprint(), now) {
            return Err(TrustError::RevokedKey);
        }
        let opened = checked.verify(&key, &body)?;
        if sender.signatures == Signatures::IfOffered {
            self.pins.pin(&sender.did, pins::Reason::Signed, now).await?;
        }
        Ok(Verified {
            value: body.clone(),
            body,
            sender,
            proof: Proof::Signed {
                opened: Arc::new(opened),
                key: key.thumbprint(),
            },
        })
    }

    /// Signs a request of ours.
    pub fn sign_request(
        &self,
        to: &ParticipantId,
        method: &str,
        url: &Url,
        prev: Digest,
        body: &[u8],
        now: Timestamp,
    ) -> Result<String, JoseError> {
        // The profile binds the address without its query.
        let mut bound = url.clone();
        bound.set_query(None);
        let binding = Binding::Request {
            method,
            url: bound.as_str(),
        };
        jose::seal(
            &self.signer(),
            to.as_str(),
            binding,
            prev,
            body,
            now,
            &random::message_id(now)?,
        )
    }

    /// Signs our answer to a verified request.
    pub fn sign_response(
        &self,
        exchange: &Exchange,
        status: u16,
        body: &[u8],
        now: Timestamp,
    ) -> Result<String, JoseError> {
        let binding = Binding::Response {
            request: &exchange.request,
            status,
        };
        jose::seal(
            &self.signer(),
            exchange.caller.as_str(),
            binding,
            exchange.body,
            body,
            now,
            &random::message_id(now)?,
        )
    }
}
