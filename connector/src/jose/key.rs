//! Key pairs and public keys for the two algorithms that are allowed. The only module that knows josekit; framing is ours.
//!
//! Parsing a key costs several times what using it does, so both types parse once and are then cheap to clone and to share.

mod external;
mod files;

pub use external::{External, ExternalError};

use super::{
    base64url,
    digest::{Digest, sha256},
    pkcs8,
};
use josekit::{
    jwk::{Jwk, KeyPair, alg::ed::EdCurve},
    jws::{ES256, EdDSA, JwsSigner, JwsVerifier},
};
use serde_json::{Map, Value, json};
use std::{fmt, sync::Arc};

/// Length of a signature of either algorithm, in bytes: r and s (RFC 7518 §3.4), or R and S (RFC 8032 §5.1.6).
pub const SIGNATURE_LEN: usize = 64;

/// The algorithms that are allowed. The key decides which one applies, never a message alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    Es256,
    /// EdDSA on Ed25519 (RFC 8037 §3.1). Written `EdDSA`; the fully specified name `Ed25519` (RFC 9864) is read as well.
    EdDsa,
}

/// Why a key was refused or failed. Says nothing about private material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not one PKCS#8 block in PEM.
    #[error("not a PKCS#8 private key in PEM (\"BEGIN PRIVATE KEY\"); convert with: openssl pkcs8 -topk8 -nocrypt")]
    NotPkcs8,
    /// The key is neither P-256 nor Ed25519, or it is damaged.
    #[error("not a P-256 or Ed25519 key")]
    Unsupported,
    /// Private and public half do not belong together.
    #[error("the private key does not match its public key")]
    Inconsistent,
    /// A JWK member is missing or has a wrong value.
    #[error("the JWK member {0:?} is missing or not acceptable")]
    Member(&'static str),
    /// A public JWK carries private material; whoever published it must replace the key.
    #[error("the JWK contains a private member; this key must not be used any more")]
    Private,
    /// The coordinates name no point on the curve, or one of small order.
    #[error("the JWK is not a usable point on its curve")]
    NotAPoint,
    /// An RSA key that is too short, or has an exponent that invites attacks.
    #[error("an RSA key needs at least 2048 bits and an odd exponent of at least 65537")]
    WeakRsa,
    /// The signature was claimed to be of another algorithm than the key's.
    #[error("the key belongs to another algorithm")]
    WrongAlgorithm,
    /// The signature does not match.
    #[error("the signature does not match")]
    BadSignature,
    /// Neither PEM nor the JSON of a JWK.
    #[error("not a key file: expected PKCS#8 in PEM (\"BEGIN PRIVATE KEY\") or a private JWK")]
    NotAKeyFile,
    /// The private half is not in this process, so it cannot be written.
    #[error("the private key is kept elsewhere")]
    Elsewhere,
    /// Whoever keeps the key did not sign.
    #[error("the external signer {0}")]
    External(ExternalError),
    /// The crypto library failed.
    #[error("the crypto library failed")]
    Failed,
}

impl Algorithm {
    /// The value of the `alg` header that we write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm behind an `alg` value; exact, so that `none`, `es256` and all others are `None`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A private key, here or kept elsewhere, with its public half.
#[derive(Clone)]
pub struct SigningKey(Arc<KeyMaterial>);

struct KeyMaterial {
    private: Private,
    public: VerifyingKey,
}

/// Where the private half is.
enum Private {
    /// In this process.
    Here {
        pair: Box<dyn KeyPair>,
        signer: Box<dyn JwsSigner>,
    },
    /// With a module or program that signs for us.
    Elsewhere(Box<dyn External>),
}

impl SigningKey {
    /// A new key pair.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pem = match algorithm {
            Algorithm::Es256 => ES256
                .generate_key_pair()
                .map_err(|_| KeyError::Failed)?
                .to_pem_private_key(),
            Algorithm::EdDsa => EdDSA
                .generate_key_pair(EdCurve::Ed25519)
                .map_err(|_| KeyError::Failed)?
                .to_pem_private_key(),
        };
        Self::from_pem(&pem)
    }

    /// Reads one unencrypted PKCS#8 block (RFC 5958 version 0) of a P-256 or Ed25519 key, and tries it once.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        Self::from_der(&pkcs8::from_pem(pem).ok_or(KeyError::NotPkcs8)?)
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let material = match pkcs8::algorithm(der).ok_or(KeyError::Unsupported)? {
            Algorithm::Es256 => {
                let pair = ES256.key_pair_from_der(der).map_err(|_| KeyError::Unsupported)?;
                let signer = ES256.signer_from_der(der).map_err(|_| KeyError::Unsupported)?;
                KeyMaterial::new(Algorithm::Es256, Box::new(pair), Box::new(signer))?
            }
            Algorithm::EdDsa => {
                let pair = EdDSA.key_pair_from_der(der).map_err(|_| KeyError::Unsupported)?;
                let signer = EdDSA.signer_from_der(der).map_err(|_| KeyError::Unsupported)?;
                KeyMaterial::new(Algorithm::EdDsa, Box::new(pair), Box::new(signer))?
            }
        };
        let key = Self(Arc::new(material));
        key.prove_halves_match()?;
        Ok(key)
    }

    /// A key whose private half is kept elsewhere. What `external` signs is checked with `public` before anybody sees it.
    pub fn external(public: VerifyingKey, external: impl External + 'static) -> Self {
        let private = Private::Elsewhere(Box::new(external));
        Self(Arc::new(KeyMaterial { private, public }))
    }

    /// A PKCS#8 file may carry a public key that is not the private key's; every signature would then be refused elsewhere.
    fn prove_halves_match(&self) -> Result<(), KeyError> {
        const PROBE: &[u8] = b"key pair consistency";
        let signature = self.sign(PROBE)?;
        self.verifying_key()
            .verify(self.algorithm(), PROBE, &signature)
            .map_err(|_| KeyError::Inconsistent)
    }

    /// The private key as PKCS#8 in PEM. Whoever holds this text can sign for the participant.
    pub fn to_pem(&self) -> Result<Vec<u8>, KeyError> {
        Ok(self.pair()?.to_pem_private_key())
    }

    fn pair(&self) -> Result<&dyn KeyPair, KeyError> {
        match &self.0.private {
            Private::Here { pair, .. } => Ok(&**pair),
            Private::Elsewhere(_) => Err(KeyError::Elsewhere),
        }
    }

    /// Which algorithm the key signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.0.public.algorithm()
    }

    /// The public half, parsed.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.0.public
    }

    /// The public half as a JWK with the required members only.
    pub fn public_jwk(&self) -> Value {
        self.0.public.to_jwk()
    }

    /// Signs `message`; always [`SIGNATURE_LEN`] bytes. With a key that is kept elsewhere this takes as long as its keeper does.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.0.private {
            Private::Here { signer, .. } => {
                let signature = signer.sign(message).map_err(|_| KeyError::Failed)?;
                if signature.len() == SIGNATURE_LEN {
                    Ok(signature)
                } else {
                    Err(KeyError::Failed)
                }
            }
            Private::Elsewhere(external) => {
                let signature = external.sign(message).map_err(KeyError::External)?;
                self.0
                    .public
                    .verify(self.algorithm(), message, &signature)
                    .map_err(|_| KeyError::External(ExternalError::WrongSignature))?;
                Ok(signature.to_vec())
            }
        }
    }
}

impl KeyMaterial {
    fn new(algorithm: Algorithm, pair: Box<dyn KeyPair>, signer: Box<dyn JwsSigner>) -> Result<Self, KeyError> {
        let jwk = pair.to_jwk_public_key();
        let text = |name| jwk.parameter(name).and_then(Value::as_str).ok_or(KeyError::Unsupported);
        let public = match algorithm {
            Algorithm::Es256 => json!({ "kty": "EC", "crv": "P-256", "x": text("x")?, "y": text("y")? }),
            Algorithm::EdDsa => json!({ "kty": "OKP", "crv": "Ed25519", "x": text("x")? }),
        };
        Ok(Self {
            public: VerifyingKey::from_jwk(&public)?,
            private: Private::Here { pair, signer },
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SigningKey({}, {}, secret)",
            self.algorithm().name(),
            self.0.public.thumbprint()
        )
    }
}

/// A public key, parsed and found usable.
#[derive(Clone)]
pub struct VerifyingKey(Arc<PublicKey>);

struct PublicKey {
    point: Point,
    verifier: Box<dyn JwsVerifier>,
    thumbprint: Digest,
}

/// The required members of a public JWK beside `kty` and `crv`, as the canonical text in which they are published.
enum Point {
    P256 { x: String, y: String },
    Ed25519 { x: String },
}

impl VerifyingKey {
    /// Reads a public JWK (RFC 7517, RFC 7518 §6.2, RFC 8037 §2). Private members refuse the key; `use`, `key_ops` and `alg`, where
    /// present, must allow verification with this key's algorithm; members without meaning here (`kid`, `x5u`, …) are ignored.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let members = public_members(jwk)?;
        let point = match (text(members, "kty")?, text(members, "crv").unwrap_or_default()) {
            ("EC", "P-256") => Point::P256 {
                x: coordinate(members, "x")?,
                y: coordinate(members, "y")?,
            },
            ("OKP", "Ed25519") if members.contains_key("y") => return Err(KeyError::Member("y")),
            ("OKP", "Ed25519") => Point::Ed25519 {
                x: coordinate(members, "x")?,
            },
            ("EC" | "OKP", _) => return Err(KeyError::Member("crv")),
            _ => return Err(KeyError::Member("kty")),
        };
        check_purpose(members, |name| Algorithm::from_name(name) == Some(point.algorithm()))?;
        let verifier = point.verifier()?;
        let thumbprint = point.thumbprint();
        Ok(Self(Arc::new(PublicKey {
            point,
            verifier,
            thumbprint,
        })))
    }

    /// Which algorithm the key verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.0.point.algorithm()
    }

    /// The key as a JWK with the required members only.
    pub fn to_jwk(&self) -> Value {
        match &self.0.point {
            Point::P256 { x, y } => json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y }),
            Point::Ed25519 { x } => json!({ "kty": "OKP", "crv": "Ed25519", "x": x }),
        }
    }

    /// RFC 7638 thumbprint with SHA-256; its text form is the `jkt` of agreements.
    pub fn thumbprint(&self) -> Digest {
        self.0.thumbprint
    }

    /// Checks `signature` over `message`, which claims to be of `algorithm`.
    ///
    /// ECDSA takes high and low s alike (RFC 7518 asks for no more). Ed25519 is strict: s below the group order, R as computed, and
    /// neither R nor the key of small order, so that one signature never fits two messages.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        if algorithm != self.algorithm() {
            return Err(KeyError::WrongAlgorithm);
        }
        let (first, second) = halves(signature).ok_or(KeyError::BadSignature)?;
        let degenerate = match algorithm {
            Algorithm::Es256 => *first == [0; 32] || *second == [0; 32],
            Algorithm::EdDsa => is_small_order(first),
        };
        if degenerate {
            return Err(KeyError::BadSignature);
        }
        self.0
            .verifier
            .verify(message, signature)
            .map_err(|_| KeyError::BadSignature)
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.thumbprint == other.0.thumbprint
    }
}

impl Eq for VerifyingKey {}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({}, {})", self.algorithm().name(), self.0.thumbprint)
    }
}

impl Point {
    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256 { .. } => Algorithm::Es256,
            Self::Ed25519 { .. } => Algorithm::EdDsa,
        }
    }

    /// RFC 7638 §3: the required members in lexicographic order, no white space. The values need no escaping: they are base64url.
    fn thumbprint(&self) -> Digest {
        let canonical = match self {
            Self::P256 { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
            Self::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
        };
        sha256(canonical.as_bytes())
    }

    fn verifier(&self) -> Result<Box<dyn JwsVerifier>, KeyError> {
        let set = |jwk: &mut Jwk, name, value: &str| {
            jwk.set_parameter(name, Some(Value::from(value)))
                .map_err(|_| KeyError::NotAPoint)
        };
        match self {
            Self::P256 { x, y } => {
                let mut jwk = Jwk::new("EC");
                set(&mut jwk, "crv", "P-256")?;
                set(&mut jwk, "x", x)?;
                set(&mut jwk, "y", y)?;
                Ok(Box::new(
                    ES256.verifier_from_jwk(&jwk).map_err(|_| KeyError::NotAPoint)?,
                ))
            }
            Self::Ed25519 { x } => {
                let bytes = base64url::decode_array(x).ok_or(KeyError::NotAPoint)?;
                if is_small_order(&bytes) || !is_reduced(&bytes) {
                    return Err(KeyError::NotAPoint);
                }
                let mut jwk = Jwk::new("OKP");
                set(&mut jwk, "crv", "Ed25519")?;
                set(&mut jwk, "x", x)?;
                Ok(Box::new(
                    EdDSA.verifier_from_jwk(&jwk).map_err(|_| KeyError::NotAPoint)?,
                ))
            }
        }
    }
}

/// The members of a JWK that has no private ones: whoever published those must replace the key.
pub(super) fn public_members(jwk: &Value) -> Result<&Map<String, Value>, KeyError> {
    let members = jwk.as_object().ok_or(KeyError::Member("kty"))?;
    let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    if private.iter().any(|name| members.contains_key(*name)) {
        return Err(KeyError::Private);
    }
    Ok(members)
}

pub(super) fn text<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, KeyError> {
    members.get(name).and_then(Value::as_str).ok_or(KeyError::Member(name))
}

/// A coordinate has its full length, leading zeros included (RFC 7518 §6.2.1.2), in its one canonical spelling.
fn coordinate(members: &Map<String, Value>, name: &'static str) -> Result<String, KeyError> {
    let value = text(members, name)?;
    base64url::decode_array::<32>(value)
        .map(|_| value.to_owned())
        .ok_or(KeyError::Member(name))
}

/// RFC 7517 §4.2-§4.4: what the owner says the key is for; `own` knows the names of its algorithm.
pub(super) fn check_purpose(members: &Map<String, Value>, own: impl Fn(&str) -> bool) -> Result<(), KeyError> {
    check_use(members, own)?;
    match members.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if *operations == ["verify"] => Ok(()),
        Some(_) => Err(KeyError::Member("key_ops")),
    }
}

/// What `use` and `alg` say, which is the same for both halves of a key.
fn check_use(members: &Map<String, Value>, own: impl Fn(&str) -> bool) -> Result<(), KeyError> {
    if members.contains_key("alg") && !own(text(members, "alg")?) {
        return Err(KeyError::Member("alg"));
    }
    if members.contains_key("use") && text(members, "use")? != "sig" {
        return Err(KeyError::Member("use"));
    }
    Ok(())
}

fn halves(signature: &[u8]) -> Option<(&[u8; 32], &[u8; 32])> {
    let (first, rest) = signature.split_first_chunk()?;
    Some((first, rest.try_into().ok()?))
}

/// The y coordinates, little-endian, of the eight points of Ed25519 whose order divides 8. With such a point as key or as R, a
/// signature says nothing about the message.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    [
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// The encoding without the sign of x.
fn y_of(encoded: &[u8; 32]) -> [u8; 32] {
    let mut y = *encoded;
    let [.., last] = &mut y;
    *last &= 0x7f;
    y
}

fn is_small_order(encoded: &[u8; 32]) -> bool {
    SMALL_ORDER.contains(&y_of(encoded))
}

/// Whether y is below the field's prime 2^255 - 19 (RFC 8032 §5.1.3 step 1): otherwise one key would have two spellings.
fn is_reduced(encoded: &[u8; 32]) -> bool {
    let mut prime = [0xff; 32];
    let [low, .., high] = &mut prime;
    (*low, *high) = (0xed, 0x7f);
    y_of(encoded).iter().rev().lt(prime.iter().rev())
}

mod ed25519;
#[cfg(test)]
mod tests;
