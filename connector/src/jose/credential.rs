//! W3C Verifiable Credentials 2.0 and presentations, enveloped as JWT (VC-JOSE-COSE): signed with one key, read strictly.
//!
//! What comes out is "the owner of this key said this of that subject, and it is in time". Whether the owner may say so, whether it was
//! revoked and what follows from it is for others to decide.

use super::{
    JoseError, Signer, VerifyingKey, base64url, canonical,
    compact::{self, Members},
    digest::Digest,
    key::{Algorithm, KeyError},
    rsa::{self, RsaKey},
};
use crate::dsp::json::{self, Limits, MAX_DEPTH};
use policy::Timestamp;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The context that comes first in every credential and presentation (VCDM 2.0 §4.3).
pub const CONTEXT: &str = "https://www.w3.org/ns/credentials/v2";

/// Longest credential, in bytes: nothing longer is ever stored.
pub const MAX_CREDENTIAL: usize = 64 * 1024;

/// Longest presentation, in bytes; it carries credentials.
pub const MAX_PRESENTATION: usize = 256 * 1024;

/// Clocks may differ by this.
const SKEW: Duration = Duration::from_secs(60);

/// The type of a credential inside a presentation (VCDM 2.0 §4.13).
const ENVELOPED: &str = "EnvelopedVerifiableCredential";

/// Algorithms of credentials: those of messages, and PS256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialAlgorithm {
    /// ES256 or EdDSA.
    Curve(Algorithm),
    /// RSASSA-PSS with SHA-256 (RFC 7518 §3.5).
    Ps256,
}

impl CredentialAlgorithm {
    /// The value of `alg` that we write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Curve(algorithm) => algorithm.name(),
            Self::Ps256 => rsa::NAME,
        }
    }

    /// The algorithm behind an `alg` value; exact.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            rsa::NAME => Some(Self::Ps256),
            other => Algorithm::from_name(other).map(Self::Curve),
        }
    }
}

/// A public key that may verify credentials: P-256, Ed25519, or RSA of at least 2048 bits.
#[derive(Debug, Clone)]
pub struct CredentialKey(Inner);

#[derive(Debug, Clone)]
enum Inner {
    Curve(VerifyingKey),
    Rsa(RsaKey),
}

impl CredentialKey {
    /// Reads a public JWK. Private members refuse it; `use`, `key_ops` and `alg`, where present, must allow verification with the
    /// algorithm of this kind of key.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        match jwk.get("kty").and_then(Value::as_str) {
            Some("RSA") => RsaKey::from_jwk(jwk).map(Inner::Rsa),
            _ => VerifyingKey::from_jwk(jwk).map(Inner::Curve),
        }
        .map(Self)
    }

    /// Which algorithm the key verifies.
    pub fn algorithm(&self) -> CredentialAlgorithm {
        match &self.0 {
            Inner::Curve(key) => CredentialAlgorithm::Curve(key.algorithm()),
            Inner::Rsa(_) => CredentialAlgorithm::Ps256,
        }
    }

    /// The key as a JWK with the required members only.
    pub fn to_jwk(&self) -> Value {
        match &self.0 {
            Inner::Curve(key) => key.to_jwk(),
            Inner::Rsa(key) => key.to_jwk(),
        }
    }

    /// RFC 7638 thumbprint with SHA-256.
    pub fn thumbprint(&self) -> Digest {
        match &self.0 {
            Inner::Curve(key) => key.thumbprint(),
            Inner::Rsa(key) => key.thumbprint(),
        }
    }

    /// The key as one that may verify messages too; none for RSA.
    pub fn for_messages(&self) -> Option<&VerifyingKey> {
        match &self.0 {
            Inner::Curve(key) => Some(key),
            Inner::Rsa(_) => None,
        }
    }

    fn verify(&self, algorithm: CredentialAlgorithm, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        match (&self.0, algorithm) {
            (Inner::Curve(key), CredentialAlgorithm::Curve(algorithm)) => key.verify(algorithm, message, signature),
            (Inner::Rsa(key), CredentialAlgorithm::Ps256) => key.verify(message, signature),
            _ => Err(KeyError::WrongAlgorithm),
        }
    }
}

impl From<VerifyingKey> for CredentialKey {
    fn from(key: VerifyingKey) -> Self {
        Self(Inner::Curve(key))
    }
}

/// What a token envelops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A verifiable credential.
    Credential,
    /// A verifiable presentation.
    Presentation,
}

impl Form {
    /// `typ` and the `cty` that belongs to it: what we write first, then the two spellings of Gaia-X releases that are in use.
    const fn spellings(self) -> [(&'static str, &'static str); 3] {
        match self {
            Self::Credential => [
                ("vc+jwt", "vc"),
                ("vc+ld+jwt", "vc+ld"),
                ("vc+ld+json+jwt", "vc+ld+json"),
            ],
            Self::Presentation => [
                ("vp+jwt", "vp"),
                ("vp+ld+jwt", "vp+ld"),
                ("vp+ld+json+jwt", "vp+ld+json"),
            ],
        }
    }

    /// The type that every one of this form has.
    const fn type_name(self) -> &'static str {
        match self {
            Self::Credential => "VerifiableCredential",
            Self::Presentation => "VerifiablePresentation",
        }
    }

    /// The member that names who says it.
    const fn author(self) -> &'static str {
        match self {
            Self::Credential => "issuer",
            Self::Presentation => "holder",
        }
    }

    const fn max_len(self) -> usize {
        match self {
            Self::Credential => MAX_CREDENTIAL,
            Self::Presentation => MAX_PRESENTATION,
        }
    }
}

/// Why a credential or presentation was refused. Repeats no foreign text but short member names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Framing, header, algorithm or signature.
    #[error(transparent)]
    Signature(#[from] JoseError),
    /// `vc` or `vp`: the claims are the credential itself (VC-JOSE-COSE §3.1.1).
    #[error("the claim {0:?} wraps a credential of an older form; the claims must be the credential itself")]
    Wrapped(&'static str),
    /// The first context is not that of VCDM 2.0.
    #[error("the first @context is not {CONTEXT}")]
    Context,
    /// Another type.
    #[error("it is not a {0}")]
    WrongType(&'static str),
    /// A claim is missing or has a value that is not allowed.
    #[error("the claim {0:?} is missing or has a value that is not allowed")]
    Claim(&'static str),
    /// The issuer or holder named is not the owner of the key named.
    #[error("the issuer is not the owner of the key that signed")]
    WrongIssuer,
    /// `validFrom` or `nbf` has not come.
    #[error("it is not valid yet")]
    NotYetValid,
    /// `validUntil` or `exp` has passed.
    #[error("it has expired")]
    Expired,
    /// Not a credential in its envelope.
    #[error("it is not an {ENVELOPED} with a JWT")]
    NotEnveloped,
}

/// The content of a verified credential or presentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Credential {
    kid: String,
    issuer: String,
    subject: Option<String>,
    types: Vec<String>,
    valid_from: Option<Timestamp>,
    valid_until: Option<Timestamp>,
    claims: Map<String, Value>,
}

impl Credential {
    /// DID URL of the key that signed.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// DID of the owner of that key: the issuer of a credential, the holder who made a presentation.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `credentialSubject.id`; none for a presentation, or for a credential about several subjects.
    pub fn subject_id(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// What was signed.
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Its types, `VerifiableCredential` or `VerifiablePresentation` among them.
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// Its own id.
    pub fn id(&self) -> Option<&str> {
        self.claims.get("id").and_then(Value::as_str)
    }

    /// From when it counts.
    pub const fn valid_from(&self) -> Option<Timestamp> {
        self.valid_from
    }

    /// Until when it counts; none where it has no end.
    pub const fn valid_until(&self) -> Option<Timestamp> {
        self.valid_until
    }

    /// Reads claims that the owner of `kid` signed, or is about to.
    fn read(form: Form, kid: String, owner: String, claims: Map<String, Value>) -> Result<Self, CredentialError> {
        if let Some(name) = ["vc", "vp"].into_iter().find(|name| claims.contains_key(*name)) {
            return Err(CredentialError::Wrapped(name));
        }
        let first = claims
            .get("@context")
            .and_then(Value::as_array)
            .and_then(|all| all.first());
        if first.and_then(Value::as_str) != Some(CONTEXT) {
            return Err(CredentialError::Context);
        }
        let types = names(claims.get("type")).ok_or(CredentialError::Claim("type"))?;
        if !types.iter().any(|name| name == form.type_name()) {
            return Err(CredentialError::WrongType(form.type_name()));
        }
        author(form, &owner, &claims)?;
        let subject = match form {
            Form::Credential => subject(&claims)?,
            Form::Presentation => None,
        };
        same(&claims, "sub", subject.as_deref())?;
        same(&claims, "jti", claims.get("id").and_then(Value::as_str))?;
        Ok(Self {
            valid_from: later(date(&claims, "validFrom")?, seconds(&claims, "nbf")?),
            valid_until: earlier(date(&claims, "validUntil")?, seconds(&claims, "exp")?),
            kid,
            issuer: owner,
            subject,
            types,
            claims,
        })
    }

    fn check_time(&self, now: Timestamp) -> Result<(), CredentialError> {
        let issued = seconds(&self.claims, "iat")?;
        if later(self.valid_from, issued).is_some_and(|from| from > now.plus(SKEW)) {
            return Err(CredentialError::NotYetValid);
        }
        if self.valid_until.is_some_and(|until| until.plus(SKEW) <= now) {
            return Err(CredentialError::Expired);
        }
        Ok(())
    }
}

/// Signs claims, which must be a credential or presentation of the signer and hold no fractional numbers, in canonical form (RFC 8785).
pub fn issue(signer: &Signer, form: Form, claims: &Value) -> Result<String, JoseError> {
    let Value::Object(members) = claims else {
        return Err(JoseError::CannotSign("claims are a JSON object"));
    };
    Credential::read(form, signer.kid().to_owned(), signer.did().to_owned(), members.clone())
        .map_err(|_| JoseError::CannotSign("the claims are not a credential or presentation of the signer"))?;
    let [(typ, cty), ..] = form.spellings();
    let protected = json!({ "alg": signer.key().algorithm().name(), "kid": signer.kid(), "typ": typ, "cty": cty });
    let payload = base64url::encode(&canonical::signable(claims)?);
    let (header, signature) = compact::sign(signer.key(), &protected, &payload)?;
    let token = format!("{header}.{payload}.{signature}");
    if token.len() > form.max_len() {
        Err(JoseError::TooLarge(form.max_len()))
    } else {
        Ok(token)
    }
}

/// The key id that a token names, unproven: for finding the key.
pub fn kid(token: &str) -> Result<String, JoseError> {
    let parts = compact::split(token, MAX_PRESENTATION)?;
    let (_, mut header) = compact::header_of(parts.protected, CredentialAlgorithm::from_name)?;
    header.kid().map(|(kid, _)| kid)
}

/// Verifies a token of this form with `key`, which is the one that its `kid` names. The header holds `alg`, `kid`, `typ`, perhaps the
/// `cty` that belongs to it and an `iss` that repeats the issuer, and nothing else; the claims are read only after the signature proved
/// right.
pub fn verify(token: &str, form: Form, key: &CredentialKey, now: Timestamp) -> Result<Credential, CredentialError> {
    let parts = compact::split(token, form.max_len())?;
    let (algorithm, mut header) = compact::header_of(parts.protected, CredentialAlgorithm::from_name)?;
    header.critical(&[])?;
    check_type(form, &mut header)?;
    let (kid, owner) = header.kid()?;
    if header.optional_text("iss")?.is_some_and(|issuer| issuer != owner) {
        return Err(CredentialError::WrongIssuer);
    }
    header.end()?;
    let signature = base64url::decode(parts.signature).ok_or(JoseError::NotBase64Url)?;
    let payload = base64url::decode(parts.payload).ok_or(JoseError::NotBase64Url)?;
    let input = compact::signing_input(parts.protected, parts.payload);
    key.verify(algorithm, input.as_bytes(), &signature)
        .map_err(JoseError::from)?;
    let limits = Limits {
        bytes: form.max_len(),
        depth: MAX_DEPTH,
    };
    let claims = Members::of(json::parse_within(&payload, limits).map_err(JoseError::from)?)?.into_map();
    let credential = Credential::read(form, kid, owner, claims)?;
    credential.check_time(now)?;
    Ok(credential)
}

/// `typ` is one of the form's, whole; `cty`, where it is present, belongs to it.
fn check_type(form: Form, header: &mut Members) -> Result<(), JoseError> {
    let typ = header.text("typ").map_err(|_| JoseError::WrongType)?;
    let cty = header.optional_text("cty").map_err(|_| JoseError::WrongType)?;
    let known = form
        .spellings()
        .into_iter()
        .any(|(name, content)| name == typ && cty.as_ref().is_none_or(|cty| content == cty));
    if known { Ok(()) } else { Err(JoseError::WrongType) }
}

/// A credential as a presentation carries it.
pub fn enveloped(token: &str) -> Value {
    json!({ "@context": CONTEXT, "type": ENVELOPED, "id": format!("data:application/vc+jwt,{token}") })
}

/// The token of a credential that a presentation carries.
pub fn unwrap_enveloped(value: &Value) -> Result<&str, CredentialError> {
    let refuse = CredentialError::NotEnveloped;
    if names(value.get("type")).is_none_or(|types| types != [ENVELOPED]) {
        return Err(refuse);
    }
    let id = value.get("id").and_then(Value::as_str);
    let content = id.and_then(|id| id.strip_prefix("data:application/"));
    match content.and_then(|content| content.split_once(',')) {
        Some((media, token)) if Form::Credential.spellings().iter().any(|(typ, _)| *typ == media) => Ok(token),
        _ => Err(refuse),
    }
}

/// A text, or a list of texts that is not empty.
fn names(value: Option<&Value>) -> Option<Vec<String>> {
    match value? {
        Value::String(name) => Some(vec![name.clone()]),
        Value::Array(list) if !list.is_empty() => list.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// A text, or the `id` of an object.
fn id_of(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("id")?.as_str())
}

/// A credential names its issuer, a presentation may name its holder; either is the owner of the key, and so is `iss`.
fn author(form: Form, owner: &str, claims: &Map<String, Value>) -> Result<(), CredentialError> {
    let named = claims.get(form.author());
    if form == Form::Credential && named.is_none() {
        return Err(CredentialError::Claim("issuer"));
    }
    let others = [named, claims.get("iss")];
    match others.into_iter().flatten().all(|value| id_of(value) == Some(owner)) {
        true => Ok(()),
        false => Err(CredentialError::WrongIssuer),
    }
}

/// The id of the one subject, if it is one and has an id.
fn subject(claims: &Map<String, Value>) -> Result<Option<String>, CredentialError> {
    let refuse = CredentialError::Claim("credentialSubject");
    let one = match claims.get("credentialSubject") {
        Some(Value::Array(several)) => match several.as_slice() {
            [one] => one,
            [] => return Err(refuse),
            [..] => return several.iter().all(Value::is_object).then_some(None).ok_or(refuse),
        },
        Some(one) => one,
        None => return Err(refuse),
    };
    match one {
        Value::Object(members) => match members.get("id") {
            None => Ok(None),
            Some(Value::String(id)) => Ok(Some(id.clone())),
            Some(_) => Err(refuse),
        },
        _ => Err(refuse),
    }
}

/// A registered claim that repeats a member must repeat it exactly (VC-JOSE-COSE §3.1.3).
fn same(claims: &Map<String, Value>, name: &'static str, as_member: Option<&str>) -> Result<(), CredentialError> {
    match claims.get(name) {
        None => Ok(()),
        Some(value) if value.as_str().is_some() && value.as_str() == as_member => Ok(()),
        Some(_) => Err(CredentialError::Claim(name)),
    }
}

fn date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, CredentialError> {
    let read = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    claims
        .get(name)
        .map(|value| read(value).ok_or(CredentialError::Claim(name)))
        .transpose()
}

/// A NumericDate (RFC 7519 §2); whole seconds, as everybody writes it.
fn seconds(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, CredentialError> {
    let read = |value: &Value| {
        value
            .as_i64()
            .filter(|seconds| *seconds >= 0)
            .map(Timestamp::from_seconds)
    };
    claims
        .get(name)
        .map(|value| read(value).ok_or(CredentialError::Claim(name)))
        .transpose()
}

fn later(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.max(other)
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
