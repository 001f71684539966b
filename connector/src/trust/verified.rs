//! What was received together with the proof of who sent it.

use super::{Peer, Spent};
use crate::{
    dsp::ParticipantId,
    jose::{Digest, Opened},
};
use bytes::Bytes;
use std::sync::Arc;

/// A value together with the proof of who sent it. Only `trust` makes it.
#[derive(Clone, Debug)]
pub struct Verified<T> {
    pub(super) value: T,
    pub(super) body: Bytes,
    pub(super) sender: Arc<Peer>,
    pub(super) proof: Proof,
}

/// Why we believe a sender.
#[derive(Clone, Debug)]
pub(super) enum Proof {
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

    /// The bytes that it was read from, exactly as they came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The header value that signed them, letter for letter, if anything was signed.
    pub fn signature(&self) -> Option<String> {
        match &self.proof {
            Proof::Signed { opened, .. } => Some(opened.header_value()),
            Proof::Plain { .. } => None,
        }
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
            body: self.body,
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
