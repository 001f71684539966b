//! Published vectors through the verifier that the daemon uses: RFC appendices, Wycheproof, JSON Canonicalization. `tests/run --suite
//! vectors` selects this module by its name and prints one line a source: cases, accepted, refused, unsupported, quarantined.
//!
//! What the allow-list excludes (HS256, RS256, PS256, ES512, …) is not decided but refused as unsupported, and counted apart. Where
//! the vectors come from `../shared/data`, a part of each suite lies there: the counts are those of the files, and never fewer than
//! those of the part.

mod canonical;
mod rfc;
mod wycheproof;

use super::{JoseError, VerifyingKey, base64url, compact};
use serde_json::Value;

/// What the shared framing and the key say about a compact JWS that belongs to none of our kinds.
fn open(token: &str, jwk: &Value) -> Result<(), JoseError> {
    let parts = compact::split(token, 64 * 1024)?;
    let (algorithm, mut members) = compact::header(parts.protected)?;
    members.critical(&[])?;
    base64url::decode(parts.payload).ok_or(JoseError::NotBase64Url)?;
    let signature = compact::signature(parts.signature)?;
    let key = VerifyingKey::from_jwk(jwk)?;
    let input = compact::signing_input(parts.protected, parts.payload);
    Ok(key.verify(algorithm, input.as_bytes(), &signature)?)
}

/// A JWK without its private members.
fn public(jwk: &Value) -> Value {
    let mut public = jwk.clone();
    let members = public.as_object_mut().unwrap();
    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        members.shift_remove(name);
    }
    public
}
