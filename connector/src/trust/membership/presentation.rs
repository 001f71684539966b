//! Presentations: what a connector shows of its own credentials to anyone, and what is accepted from others. Pure.
//!
//! One at a service entry of the DID document, without a reader in mind; the Decentralized Claims Protocol asks for one with `aud` and
//! `nonce`, which is made and read by the same functions.

use crate::{
    jose::{
        JoseError, Signer,
        credential::{self, CONTEXT, CredentialError, Form, enveloped, unwrap_enveloped},
    },
    trust::did::{Document, Use},
};
use policy::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a presentation of ours counts.
pub const LIFETIME: Duration = Duration::from_secs(600);

/// The longest that one of others may count: it is made when it is asked for, or a little before.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Most credentials of one presentation that are looked at.
pub const MAX_CREDENTIALS: usize = 8;

/// Why a presentation says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PresentationError {
    /// Framing, key, signature, form or time.
    #[error("the presentation: {0}")]
    Token(#[from] CredentialError),
    /// Somebody else's.
    #[error("the presentation is signed by {0}, not by who is asked for")]
    WrongHolder(String),
    /// The document does not list the key for authentication.
    #[error("the presentation is signed with {0}, which the DID document does not list for authentication")]
    UnknownKey(String),
    /// Made for another reader.
    #[error("the presentation was made for another reader")]
    WrongAudience,
    /// No end, or one too far away.
    #[error("the presentation does not say that it ends within a day")]
    NotShortLived,
    /// Too many credentials.
    #[error("the presentation does not list its credentials, or lists more than {MAX_CREDENTIALS}")]
    Credentials,
}

/// Signs a presentation of these credentials; for one reader if there is an audience.
pub fn make(
    signer: &Signer,
    credentials: &[String],
    audience: Option<&str>,
    now: Timestamp,
) -> Result<String, JoseError> {
    let mut claims = json!({
        "@context": [CONTEXT],
        "type": ["VerifiablePresentation"],
        "holder": signer.did(),
        "verifiableCredential": credentials.iter().map(|token| enveloped(token)).collect::<Vec<_>>(),
        "iat": now.seconds(),
        "exp": now.plus(LIFETIME).seconds(),
    });
    if let (Some(audience), Some(members)) = (audience, claims.as_object_mut()) {
        members.insert("aud".into(), audience.into());
    }
    credential::issue(signer, Form::Presentation, &claims)
}

/// The credentials that `holder`, whose document this is, presents to `me`.
pub fn open(
    token: &str,
    holder: &str,
    document: &Document,
    me: &str,
    now: Timestamp,
) -> Result<Vec<String>, PresentationError> {
    let kid = credential::kid(token).map_err(CredentialError::from)?;
    let owner = kid.split('#').next().unwrap_or_default();
    if owner != holder {
        return Err(PresentationError::WrongHolder(owner.to_owned()));
    }
    let key = document
        .key_for(&kid, Use::Authentication)
        .ok_or_else(|| PresentationError::UnknownKey(kid.clone()))?;
    let presented = credential::verify(token, Form::Presentation, key, now)?;
    if !is_for(presented.claims().get("aud"), me) {
        return Err(PresentationError::WrongAudience);
    }
    if presented
        .valid_until()
        .is_none_or(|until| until > now.plus(MAX_LIFETIME))
    {
        return Err(PresentationError::NotShortLived);
    }
    let one;
    let list = match presented.claims().get("verifiableCredential") {
        Some(Value::Array(list)) => list.as_slice(),
        Some(value @ Value::Object(_)) => {
            one = [value.clone()];
            &one
        }
        _ => return Err(PresentationError::Credentials),
    };
    if list.len() > MAX_CREDENTIALS {
        return Err(PresentationError::Credentials);
    }
    list.iter()
        .map(|value| Ok(unwrap_enveloped(value)?.to_owned()))
        .collect()
}

/// A presentation without audience is for anyone; one with an audience for whom it names (RFC 7519 §4.1.3).
fn is_for(audience: Option<&Value>, me: &str) -> bool {
    match audience {
        None => true,
        Some(Value::String(one)) => one == me,
        Some(Value::Array(many)) => many.iter().any(|one| one == me),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests;
