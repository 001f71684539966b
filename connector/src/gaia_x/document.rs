//! The DID document of a signer, as far as a credential needs it: one key, for one purpose.

use super::GaiaXError;
use crate::jose::CredentialKey;
use serde_json::Value;

/// A key as its owner publishes it.
pub(super) struct Method<'a> {
    pub(super) key: CredentialKey,
    /// With `x5u` and `x5c`, where they are.
    pub(super) jwk: &'a Value,
}

/// The key `kid` of `did` in the one document that is `did`'s, listed under `purpose`. All names are compared as text; an id relative to
/// the document is that of the document's own DID.
pub(super) fn find<'a>(
    documents: &'a [Value],
    did: &str,
    kid: &str,
    purpose: &'static str,
) -> Result<Method<'a>, GaiaXError> {
    let is_theirs = |document: &&Value| document.get("id").and_then(Value::as_str) == Some(did);
    let document = documents
        .iter()
        .find(is_theirs)
        .ok_or_else(|| GaiaXError::NoDocument(did.to_owned()))?;
    let list = |name: &str| {
        document
            .get(name)
            .and_then(Value::as_array)
            .map_or(&[] as &[Value], Vec::as_slice)
    };
    let names = |id: Option<&str>| id.is_some_and(|id| id == kid || kid.strip_prefix(did) == Some(id));
    let unlisted = || GaiaXError::UnlistedKey {
        kid: kid.to_owned(),
        purpose,
    };
    if !list(purpose).iter().any(|entry| names(entry.as_str())) {
        return Err(unlisted());
    }
    let mut methods = list("verificationMethod")
        .iter()
        .filter(|method| names(method.get("id").and_then(Value::as_str)));
    // Two methods of one name: nobody can say which one is meant.
    let (Some(method), None) = (methods.next(), methods.next()) else {
        return Err(unlisted());
    };
    let controller = method.get("controller").and_then(Value::as_str);
    let jwk = method
        .get("publicKeyJwk")
        .filter(|_| controller == Some(did))
        .ok_or_else(unlisted)?;
    let key = CredentialKey::from_jwk(jwk).map_err(|_| GaiaXError::UnusableKey(kid.to_owned()))?;
    Ok(Method { key, jwk })
}
