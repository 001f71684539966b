//! Who a message comes from: the peers that the operator lists, their DID documents, and the proof that a message is theirs.
//!
//! `Trust::authenticate` is the only maker of [`Verified`]. It never decides what a verified peer may do.

pub mod did;
pub mod external;
pub mod plain;
pub mod resolver;
pub mod spent;

pub use plain::{Identity, Token};
pub use resolver::{Resolver, ResolverSettings};
pub use spent::Spent;

use crate::{
    dsp::ParticipantId,
    jose::{self, Binding, Digest, JoseError, Opened, Signer, Unverified, random},
    net::Reach,
};
use did::DidError;
use policy::Timestamp;
use std::{collections::HashMap, sync::Arc};
use url::Url;

/// The header that carries a message's detached signature.
pub const SIGNATURE_HEADER: &str = "x-jws-signature";

/// A participant that the operator's configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its participant id: the DID of a peer that signs, whatever another one calls itself.
    pub did: ParticipantId,
    /// A name for people, usable instead of the DID on the command line.
    pub name: Option<String>,
    /// How it shows who it is.
    pub identity: Identity,
    /// The root address under which it serves version discovery; without it the DID document says so.
    pub address: Option<Url>,
    /// Which of its addresses are contacted.
    pub reach: Reach,
}

/// Why a caller is not believed. The text names the check, never a secret.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// No signature header, or more than one.
    #[error("the message carries no {SIGNATURE_HEADER} header, or several")]
    SignatureMissing,
    /// The sender is not in the configuration, or not as one that signs.
    #[error("the sender is not a known peer")]
    UnknownPeer,
    /// `Authorization` is not that of a peer whom the configuration lets speak without signatures.
    #[error("the caller is not authorized")]
    Unauthorized,
    /// The signature or its header breaks a rule.
    #[error(transparent)]
    Signature(#[from] JoseError),
    /// The sender's DID document gives no such key.
    #[error(transparent)]
    Did(#[from] DidError),
    /// The same message id was used before.
    #[error("the message was already received (its jti is spent)")]
    Replayed,
}

/// A value together with the proof of who sent it. Only this module makes it.
#[derive(Clone, Debug)]
pub struct Verified<T> {
    value: T,
    sender: Peer,
    proof: Proof,
}

/// Why we believe a sender.
#[derive(Clone, Debug)]
enum Proof {
    /// Its signature over the very bytes, made with the key of this thumbprint (RFC 7638).
    Signed { opened: Arc<Opened>, key: Digest },
    /// Its `Authorization`, and nothing about the bytes, of which this is the hash.
    Plain { body: Digest },
}

impl<T> Verified<T> {
    /// The value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Who sent it.
    pub fn sender(&self) -> &Peer {
        &self.sender
    }

    /// Hash over the body bytes.
    pub fn body_digest(&self) -> Digest {
        match &self.proof {
            Proof::Signed { opened, .. } => opened.body_digest(),
            Proof::Plain { body } => *body,
        }
    }

    /// RFC 7638 thumbprint of the key that signed, if anything was signed.
    pub fn signed_with(&self) -> Option<Digest> {
        match &self.proof {
            Proof::Signed { key, .. } => Some(*key),
            Proof::Plain { .. } => None,
        }
    }

    /// The message id that must be spent in the commit of what it causes.
    pub fn spent(&self) -> Spent {
        match &self.proof {
            Proof::Signed { opened, .. } => Spent::new(opened),
            Proof::Plain { .. } => Spent::nothing(),
        }
    }

    /// Turns the value into what it says; the proof stays.
    pub fn try_map<U, E>(self, read: impl FnOnce(T) -> Result<U, E>) -> Result<Verified<U>, E> {
        Ok(Verified {
            value: read(self.value)?,
            sender: self.sender,
            proof: self.proof,
        })
    }

    /// What the signature of the answer refers to; none where nothing was signed.
    pub fn exchange(&self) -> Option<Exchange> {
        match &self.proof {
            Proof::Signed { opened, .. } => Some(Exchange {
                caller: self.sender.did.clone(),
                request: opened.signature_digest(),
                body: opened.body_digest(),
            }),
            Proof::Plain { .. } => None,
        }
    }
}

/// A verified request, as far as the signature of its answer needs it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The audience of the answer.
    pub caller: ParticipantId,
    /// Hash over the request's signature value.
    pub request: Digest,
    /// Hash over the request's body: the last message that this side accepted.
    pub body: Digest,
}

/// Our own identity, the peers, and their keys.
pub struct Trust {
    me: ParticipantId,
    signer: Arc<Signer>,
    peers: HashMap<ParticipantId, Peer>,
    resolver: Resolver,
}

impl Trust {
    /// Puts the parts together.
    pub fn new(me: ParticipantId, signer: Arc<Signer>, peers: Vec<Peer>, resolver: Resolver) -> Self {
        Self {
            me,
            signer,
            peers: peers.into_iter().map(|peer| (peer.did.clone(), peer)).collect(),
            resolver,
        }
    }

    /// Our DID.
    pub fn me(&self) -> &ParticipantId {
        &self.me
    }

    /// Our key.
    pub fn signer(&self) -> &Arc<Signer> {
        &self.signer
    }

    /// Where DID documents come from.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// The peers of the configuration, in no order.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }

    /// A peer by DID, or by the name that the operator gave it.
    pub fn peer(&self, did_or_name: &str) -> Option<&Peer> {
        self.peers
            .values()
            .find(|peer| peer.did.as_str() == did_or_name || peer.name.as_deref() == Some(did_or_name))
    }

    /// A peer by DID.
    pub fn known(&self, did: &ParticipantId) -> Option<&Peer> {
        self.peers.get(did)
    }

    /// Everything about a request that can be refused before its body is read: shape, sender, audience, route, time.
    pub fn plausible(&self, signature: &str, method: &str, url: &str, now: Timestamp) -> Result<(), TrustError> {
        let unverified = Unverified::parse(signature)?;
        self.claimed(&unverified)?;
        unverified.check(self.me.as_str(), Binding::Request { method, url }, now)?;
        Ok(())
    }

    /// The peer that the sender claims to be.
    fn claimed(&self, unverified: &Unverified) -> Result<&Peer, TrustError> {
        let issuer: ParticipantId = unverified.issuer().parse().map_err(|_| TrustError::UnknownPeer)?;
        self.known(&issuer)
            .filter(|peer| peer.identity.signs())
            .ok_or(TrustError::UnknownPeer)
    }

    /// The caller of a request without signature: a peer whose configuration allows that, shown by `Authorization`.
    pub fn admit<T: AsRef<[u8]>>(&self, authorization: Option<&str>, body: T) -> Result<Verified<T>, TrustError> {
        let sender = self.admitted(authorization)?.clone();
        let proof = Proof::Plain {
            body: jose::sha256(body.as_ref()),
        };
        Ok(Verified {
            value: body,
            sender,
            proof,
        })
    }

    /// The peer that `Authorization` shows; before any body is read.
    pub fn admitted(&self, authorization: Option<&str>) -> Result<&Peer, TrustError> {
        let Some(authorization) = authorization else {
            return Err(TrustError::SignatureMissing);
        };
        self.peers
            .values()
            .find(|peer| peer.identity.admits(&peer.did, authorization))
            .ok_or(TrustError::Unauthorized)
    }

    /// The `Authorization` of a request of ours; none for a peer whose messages are signed.
    pub fn authorization(&self, peer: &Peer, url: &Url) -> Option<String> {
        peer.identity.authorization(&self.me, url)
    }

    /// Checks a request to us: the cheapest checks first, so that an unknown caller costs no signature check.
    pub async fn authenticate<T: AsRef<[u8]>>(
        &self,
        signature: Option<&str>,
        method: &str,
        url: &str,
        body: T,
        now: Timestamp,
    ) -> Result<Verified<T>, TrustError> {
        self.open(signature, Binding::Request { method, url }, body, now).await
    }

    /// Checks an answer to a request of ours.
    pub async fn authenticate_response<T: AsRef<[u8]>>(
        &self,
        signature: Option<&str>,
        from: &ParticipantId,
        request: &Digest,
        status: u16,
        body: T,
        now: Timestamp,
    ) -> Result<Verified<T>, TrustError> {
        let opened = self
            .open(signature, Binding::Response { request, status }, body, now)
            .await?;
        if opened.sender.did != *from {
            return Err(TrustError::UnknownPeer);
        }
        Ok(opened)
    }

    async fn open<T: AsRef<[u8]>>(
        &self,
        signature: Option<&str>,
        binding: Binding<'_>,
        body: T,
        now: Timestamp,
    ) -> Result<Verified<T>, TrustError> {
        let unverified = Unverified::parse(signature.ok_or(TrustError::SignatureMissing)?)?;
        let sender = self.claimed(&unverified)?.clone();
        let checked = unverified.check(self.me.as_str(), binding, now)?;
        let key = self.resolver.key(&sender, checked.kid(), now).await?;
        let opened = checked.verify(&key, body.as_ref())?;
        Ok(Verified {
            value: body,
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
            &self.signer,
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
            &self.signer,
            exchange.caller.as_str(),
            binding,
            exchange.body,
            body,
            now,
            &random::message_id(now)?,
        )
    }
}
