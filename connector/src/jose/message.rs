//! The message profile DSP-JWS-1: a detached JWS over the exact body bytes, in the header `x-jws-signature` of request and response,
//! whose one critical member `dspsig` binds sender, recipient, route, time, message id and what came before.
//!
//! Reading goes in three steps that the types keep in order: [`Unverified::parse`] (shape), [`Unverified::check`] (recipient, route,
//! time), [`Checked::verify`] (signature). Only the last makes an [`Opened`]. Whether its id was spent before is for the caller's store
//! to say, after this and before any effect.

mod dspsig;

use super::{
    Algorithm, Digest, JoseError, Signer, VerifyingKey, base64url, compact, did, digest::sha256, key::SIGNATURE_LEN,
};
use dspsig::{Claims, Dspsig, is_id};
use policy::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// The HTTP header that carries the signature.
pub const HEADER_NAME: &str = "x-jws-signature";

/// Longest header value, in bytes.
pub const MAX_LEN: usize = 4096;

/// How long our own signatures are valid.
pub const LIFETIME: Duration = Duration::from_secs(120);

/// Clocks may differ by this, in seconds.
const SKEW: i64 = 60;

const TYP: &str = "dsp-msg+jws";
const CTY: &str = "json";

/// What one signature belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding<'a> {
    /// A request.
    Request {
        /// HTTP method, upper case.
        method: &'a str,
        /// Absolute URL as the recipient advertises it (never rebuilt from `Host`), without query and fragment.
        url: &'a str,
    },
    /// The response to one request.
    Response {
        /// [`signature_digest`] of that request.
        request: &'a Digest,
        /// HTTP status.
        status: u16,
    },
}

/// Signs `body` for `audience` (a DID). `prev` is the SHA-256 of the last body of this conversation that we accepted or had
/// acknowledged, [`Digest::EMPTY`] for the first; `jti` is fresh for every signature, retries included. Returns the header value.
pub fn seal(
    signer: &Signer,
    audience: &str,
    binding: Binding<'_>,
    prev: Digest,
    body: &[u8],
    now: Timestamp,
    jti: &str,
) -> Result<String, JoseError> {
    if !did::is_did(audience) {
        return Err(JoseError::CannotSign("the audience is not a did:web identifier"));
    }
    if !is_id(jti) {
        return Err(JoseError::CannotSign(
            "the message id is not 22 to 64 characters of A-Z a-z 0-9 _ -",
        ));
    }
    let header = serde_json::to_vec(&Protected {
        alg: signer.key().algorithm().name(),
        crit: ["dspsig"],
        cty: CTY,
        dspsig: Dspsig::of(binding, signer.did(), audience, prev, now, jti)?,
        kid: signer.kid(),
        typ: TYP,
    })
    .map_err(|_| JoseError::CannotSign("the header cannot be written"))?;
    let (header, signature) = compact::sign_canonical(signer.key(), &header, &base64url::encode(body))?;
    let value = format!("{header}..{signature}");
    if value.len() > MAX_LEN {
        Err(JoseError::TooLarge(MAX_LEN))
    } else {
        Ok(value)
    }
}

/// The protected header that we write. Every message has one, so it goes straight to its canonical form (RFC 8785): members in the order of
/// their names, and nothing in them that serde_json writes otherwise.
#[derive(Serialize)]
struct Protected<'a> {
    alg: &'static str,
    crit: [&'static str; 1],
    cty: &'static str,
    dspsig: Dspsig<'a>,
    kid: &'a str,
    typ: &'static str,
}

/// SHA-256 over the signature as it stands in a header value: the characters after the last dot. A response binds itself to its
/// request by this.
pub fn signature_digest(header_value: &str) -> Result<Digest, JoseError> {
    Ok(sha256(
        compact::split_detached(header_value, MAX_LEN)?.signature.as_bytes(),
    ))
}

/// A header value of the right shape, nothing of which is proven yet.
#[derive(Debug, Clone)]
pub struct Unverified {
    algorithm: Algorithm,
    kid: String,
    claims: Claims,
    protected: String,
    signature: [u8; SIGNATURE_LEN],
    signature_digest: Digest,
}

impl Unverified {
    /// Reads the value of the header `x-jws-signature`: every rule that needs neither clock, configuration nor key.
    pub fn parse(header_value: &str) -> Result<Self, JoseError> {
        let parts = compact::split_detached(header_value, MAX_LEN)?;
        let (algorithm, mut header) = compact::header(parts.protected)?;
        header.expect("typ", TYP, JoseError::WrongType)?;
        header.expect("cty", CTY, JoseError::WrongType)?;
        header.critical(&["dspsig"])?;
        let (kid, owner) = header.kid()?;
        let claims = Claims::read(header.object("dspsig")?)?;
        header.end()?;
        if claims.issuer != owner {
            return Err(JoseError::WrongIssuer);
        }
        Ok(Self {
            algorithm,
            kid,
            claims,
            protected: parts.protected.to_owned(),
            signature: compact::signature(parts.signature)?,
            signature_digest: sha256(parts.signature.as_bytes()),
        })
    }

    /// DID of the sender, as claimed; the owner of the key named.
    pub fn issuer(&self) -> &str {
        &self.claims.issuer
    }

    /// DID URL of the key, as claimed.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// DID of the recipient, as claimed.
    pub fn audience(&self) -> &str {
        &self.claims.audience
    }

    /// When it was signed, as claimed.
    pub const fn issued_at(&self) -> Timestamp {
        self.claims.issued_at
    }

    /// Whether this was sent to `audience` (our DID) on this route, and is neither expired nor from the future at `now`.
    pub fn check(self, audience: &str, binding: Binding<'_>, now: Timestamp) -> Result<Checked, JoseError> {
        if self.claims.audience != audience {
            return Err(JoseError::WrongAudience);
        }
        self.claims.route.check(binding)?;
        if self.claims.issued_at.seconds() > now.seconds().saturating_add(SKEW) {
            return Err(JoseError::NotYetValid);
        }
        if now.seconds() >= self.claims.expires.seconds().saturating_add(SKEW) {
            return Err(JoseError::Expired);
        }
        Ok(Checked(self))
    }
}

/// A signature that is meant for us, here and now; the content is not proven yet.
#[derive(Debug, Clone)]
pub struct Checked(Unverified);

impl Checked {
    /// DID of the sender, as claimed; the owner of the key named.
    pub fn issuer(&self) -> &str {
        self.0.issuer()
    }

    /// DID URL of the key, as claimed: look it up in the issuer's document, compare as text.
    pub fn kid(&self) -> &str {
        self.0.kid()
    }

    /// Verifies the signature over the body bytes exactly as they came.
    pub fn verify(self, key: &VerifyingKey, body: &[u8]) -> Result<Opened, JoseError> {
        let Self(message) = self;
        let mut input = String::with_capacity(message.protected.len() + 1 + body.len().div_ceil(3).saturating_mul(4));
        input.push_str(&message.protected);
        input.push('.');
        base64url::encode_into(body, &mut input);
        key.verify(message.algorithm, input.as_bytes(), &message.signature)?;
        Ok(Opened {
            message,
            body_digest: sha256(body),
        })
    }
}

/// A message whose signature was verified. Its id is still to be spent.
#[derive(Debug, Clone)]
pub struct Opened {
    message: Unverified,
    body_digest: Digest,
}

impl Opened {
    /// DID of the sender.
    pub fn issuer(&self) -> &str {
        self.message.issuer()
    }

    /// DID URL of the key that signed.
    pub fn kid(&self) -> &str {
        self.message.kid()
    }

    /// The id that may be used once by this issuer.
    pub fn jti(&self) -> &str {
        &self.message.claims.jti
    }

    /// When it was signed, by the sender's clock.
    pub const fn issued_at(&self) -> Timestamp {
        self.message.claims.issued_at
    }

    /// The `exp` that was signed.
    pub const fn expires(&self) -> Timestamp {
        self.message.claims.expires
    }

    /// Until when the spent id must be remembered: `exp` plus the tolerated skew.
    pub fn remember_until(&self) -> Timestamp {
        self.message
            .claims
            .expires
            .plus(Duration::from_secs(SKEW.unsigned_abs()))
    }

    /// SHA-256 of the body before this one in the conversation, as the sender saw it. Evidence, never a reason to refuse.
    pub const fn prev(&self) -> Digest {
        self.message.claims.prev
    }

    /// SHA-256 of the body: the `prev` of what follows.
    pub const fn body_digest(&self) -> Digest {
        self.body_digest
    }

    /// The header value that was verified, letter for letter: only one spelling of it passes.
    pub fn header_value(&self) -> String {
        let mut value = format!("{}..", self.message.protected);
        base64url::encode_into(&self.message.signature, &mut value);
        value
    }

    /// [`signature_digest`] of this message: what our response is bound to.
    pub const fn signature_digest(&self) -> Digest {
        self.message.signature_digest
    }
}

#[cfg(test)]
mod tests;
