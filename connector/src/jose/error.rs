//! One name for each way in which a signature can fail to convince: tests and logs say which rule refused. Carries no secret, and
//! of foreign text only short member names.

use super::{
    canonical::CanonicalError,
    key::{ExternalError, KeyError},
};
use crate::dsp::json::JsonError;

/// Why a signed object was refused, or could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoseError {
    /// No signature, or an empty one.
    #[error("there is no signature")]
    SignatureMissing,
    /// Longer than the limit of its kind.
    #[error("the signed object is longer than {0} bytes")]
    TooLarge(usize),
    /// The outer shape is wrong: number of parts, a part where none may be, a member of the wrong kind.
    #[error("malformed signature: {0}")]
    Malformed(&'static str),
    /// A part is not canonical base64url without padding.
    #[error("a part is not base64url without padding in its canonical spelling")]
    NotBase64Url,
    /// The protected header or the payload is not the JSON that we read.
    #[error("not acceptable JSON: {0}")]
    Json(#[from] JsonError),
    /// The content has no canonical form that may be signed.
    #[error("no canonical form: {0}")]
    Canonical(#[from] CanonicalError),
    /// The payload is not in canonical form (RFC 8785), so the other party could not have rebuilt it.
    #[error("the payload is not in canonical form")]
    NotCanonical,
    /// `alg` is absent or not on the allow-list (`none`, HS256, RS256 and `es256` included).
    #[error("the algorithm is not allowed")]
    AlgorithmNotAllowed,
    /// The header brings a key or a pointer to one (`jwk`, `jku`, `x5u`, `x5c`, `x5t`).
    #[error("the header brings its own key ({0})")]
    EmbeddedKey(&'static str),
    /// `b64` is present: signed objects carry their payload encoded, without exception (RFC 7797).
    #[error("the header changes how the payload is encoded (b64)")]
    UnencodedPayload,
    /// `crit` is absent, empty, repeats itself, or is not exactly the list that this kind requires (RFC 7515 §4.1.11).
    #[error("the critical members are not exactly those understood here")]
    UnknownCritical,
    /// A member that this kind does not have.
    #[error("unknown member {0:?}")]
    UnknownMember(String),
    /// A required member is absent.
    #[error("the member {0:?} is missing")]
    MissingMember(&'static str),
    /// A member is there with a value that its rule does not allow.
    #[error("the member {0:?} has a value that is not allowed")]
    InvalidMember(&'static str),
    /// `typ` or `cty` belongs to another kind of signed object.
    #[error("signed as another kind of object")]
    WrongType,
    /// `kid` is not an absolute `did:web` DID URL.
    #[error("the key id is not an absolute did:web URL")]
    WrongKeyId,
    /// The sender named is not the owner of the key named.
    #[error("the issuer is not the owner of the key")]
    WrongIssuer,
    /// Meant for another recipient.
    #[error("signed for another recipient")]
    WrongAudience,
    /// A response where a request belongs, or the reverse; or another method or URL.
    #[error("signed for another method or URL")]
    WrongRoute,
    /// An answer to another request than ours.
    #[error("signed as the answer to another request")]
    WrongRequest,
    /// The HTTP status is not the one that was signed.
    #[error("signed with another HTTP status")]
    WrongStatus,
    /// `exp` has passed.
    #[error("the signature has expired")]
    Expired,
    /// `iat` lies in the future beyond the tolerated skew.
    #[error("the signature was made in the future")]
    NotYetValid,
    /// `exp - iat` is longer than allowed.
    #[error("the signature is valid for too long")]
    LifetimeTooLong,
    /// No key is known under the key id.
    #[error("no key is known under this key id")]
    UnknownKey,
    /// The key found is of another algorithm, or its thumbprint is not the one that was signed.
    #[error("the key is not the one that the signature names")]
    WrongKey,
    /// The signer is not the party whose place this is.
    #[error("signed by another party")]
    WrongParty,
    /// The signature does not match key and content.
    #[error("the signature does not match")]
    BadSignature,
    /// Our key is kept elsewhere, and its keeper did not sign. Nothing is wrong with what was to be signed.
    #[error("the external signer {0}")]
    SignerFailed(ExternalError),
    /// We cannot sign this: an argument breaks the profile, or the crypto library failed.
    #[error("cannot sign: {0}")]
    CannotSign(&'static str),
}

/// What a failed check of a signature means to the caller.
impl From<KeyError> for JoseError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::BadSignature => Self::BadSignature,
            KeyError::External(fault) => Self::SignerFailed(fault),
            KeyError::NotPkcs8
            | KeyError::NotAKeyFile
            | KeyError::Elsewhere
            | KeyError::Unsupported
            | KeyError::Inconsistent
            | KeyError::Member(_)
            | KeyError::Private
            | KeyError::NotAPoint
            | KeyError::WeakRsa
            | KeyError::WrongAlgorithm => Self::WrongKey,
            KeyError::Failed => Self::CannotSign("the crypto library failed"),
        }
    }
}
