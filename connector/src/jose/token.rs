//! Compact JWS that carry their payload: every signed object of ours beside messages and agreements. One kind, one `typ`, so that
//! none can pass for another (RFC 8725 §3.11).

use super::{
    JoseError, Signer, VerifyingKey, base64url, canonical,
    compact::{self, Members},
};
use crate::dsp::json::{self, Limits, MAX_DEPTH};
use serde_json::{Map, Value, json};

/// Longest token, in bytes: nothing longer is ever stored.
pub const MAX_LEN: usize = 64 * 1024;

/// The kinds of signed object. Their `typ` values are distinct from each other and from those of messages and agreements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A consent record, signed where the consent was given.
    Consent,
    /// The end of a consent, signed where it was asked for.
    Withdrawal,
    /// A receipt: of consent for the learner, of a stream or a withdrawal for a peer.
    Receipt,
    /// A begin, checkpoint or end line of a stream.
    StreamLine,
    /// The governance authority's list of participants.
    TrustList,
    /// The hash of an evidence bundle's manifest.
    Evidence,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Consent,
        Self::Withdrawal,
        Self::Receipt,
        Self::StreamLine,
        Self::TrustList,
        Self::Evidence,
    ];

    /// The value of the protected member `typ`.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Consent => "dases-consent+jws",
            Self::Withdrawal => "dases-withdrawal+jws",
            Self::Receipt => "dases-receipt+jws",
            Self::StreamLine => "dases-stream+jws",
            Self::TrustList => "dases-trustlist+jws",
            Self::Evidence => "dases-evidence+jws",
        }
    }
}

/// The content of a verified token.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    kid: String,
    issuer: String,
    members: Map<String, Value>,
}

impl Claims {
    /// DID URL of the key that signed.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// DID of the owner of that key. Whether it may say such things is for the caller to decide.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What was signed.
    pub const fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// What was signed, for reading into a type.
    pub fn into_value(self) -> Value {
        Value::Object(self.members)
    }
}

/// Signs `claims`, a JSON object without fractional numbers, in canonical form (RFC 8785).
pub fn sign(signer: &Signer, kind: Kind, claims: &Value) -> Result<String, JoseError> {
    if !claims.is_object() {
        return Err(JoseError::CannotSign("claims are a JSON object"));
    }
    let payload = base64url::encode(&canonical::signable(claims)?);
    let protected = json!({ "alg": signer.key().algorithm().name(), "kid": signer.kid(), "typ": kind.typ() });
    let (header, signature) = compact::sign(signer.key(), &protected, &payload)?;
    let token = format!("{header}.{payload}.{signature}");
    if token.len() > MAX_LEN {
        Err(JoseError::TooLarge(MAX_LEN))
    } else {
        Ok(token)
    }
}

/// Verifies a token of this kind with the key that `keys` knows under its key id. The header holds `alg`, `kid`, `typ` and nothing
/// else; the payload is read only after its signature proved right.
pub fn verify(token: &str, kind: Kind, keys: impl Fn(&str) -> Option<VerifyingKey>) -> Result<Claims, JoseError> {
    let parts = compact::split(token, MAX_LEN)?;
    let (algorithm, mut header) = compact::header(parts.protected)?;
    header.critical(&[])?;
    header.expect("typ", kind.typ(), JoseError::WrongType)?;
    let (kid, issuer) = header.kid()?;
    header.end()?;
    let signature = compact::signature(parts.signature)?;
    let payload = base64url::decode(parts.payload).ok_or(JoseError::NotBase64Url)?;
    let key = keys(&kid).ok_or(JoseError::UnknownKey)?;
    key.verify(
        algorithm,
        compact::signing_input(parts.protected, parts.payload).as_bytes(),
        &signature,
    )?;
    let members = members(&payload)?;
    Ok(Claims { kid, issuer, members })
}

fn members(payload: &[u8]) -> Result<Map<String, Value>, JoseError> {
    let limits = Limits {
        bytes: MAX_LEN,
        depth: MAX_DEPTH,
    };
    Ok(Members::of(json::parse_within(payload, limits)?)?.into_map())
}

/// What a token says, unproven: for finding the key beforehand where that depends on it. Proven is only what [`verify`] gives.
pub fn claimed(token: &str) -> Result<Map<String, Value>, JoseError> {
    let parts = compact::split(token, MAX_LEN)?;
    members(&base64url::decode(parts.payload).ok_or(JoseError::NotBase64Url)?)
}

/// The key id that a token names, unproven: for finding the key beforehand where that takes waiting.
pub fn kid(token: &str) -> Result<String, JoseError> {
    let (_, mut header) = compact::header(compact::split(token, MAX_LEN)?.protected)?;
    header.kid().map(|(kid, _)| kid)
}

#[cfg(test)]
mod tests;
