//! GAIA-X, Loire form: a participant's description of itself as W3C VC 2.0 credentials in JWT envelopes, made as far as it goes without
//! the clearing house, and the check of such credentials offline.
//!
//! Nothing here does I/O: documents, certificates, anchors and the time are handed in. What a credential claims is only read, never acted
//! upon: whether a participant is admitted anywhere is not decided here.

pub mod chain;
mod describe;
mod document;
mod verify;

pub use describe::{Description, Number, NumberKind, Offering, Participant, Registration, describe};
pub use verify::{Checked, Evidence, Refused, verify};

use crate::jose::{CredentialError, JoseError};
use chain::ChainError;

/// The context of the GAIA-X ontology that the clearing houses of this release use.
pub const CONTEXT: &str = "https://w3id.org/gaia-x/development#";

/// SHA-256 (hexadecimal) of the terms and conditions that a `gx:Issuer` signs.
pub const TERMS: &str = "067dcac5efd18c1927deb1ffed3feab6d0ad044c0a9a263e6d5d8bdc43224515";

/// That of the terms before those; still met, and said to be old.
pub const FORMER_TERMS: &str = "4bd7554097444c960292b4726c2efa1373485e8a5565d94d41195214c5e0ceb3";

/// Where a participant serves the certificates of its signing key (`x5u`).
pub const CHAIN_PATH: &str = "/.well-known/x509CertificateChain.pem";

/// Why a self-description cannot be made, or a credential is refused: one name for each rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GaiaXError {
    /// Envelope, header, signature, issuer, time.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// No DID document of the signer was given.
    #[error("there is no DID document of {0}; give it with --did-document")]
    NoDocument(String),
    /// The document does not list the key for this purpose.
    #[error("the DID document does not list the key {kid} under {purpose}")]
    UnlistedKey {
        /// The key's id.
        kid: String,
        /// `assertionMethod` or `authentication`.
        purpose: &'static str,
    },
    /// The key in the document cannot be used.
    #[error("the key {0} in the DID document cannot be used")]
    UnusableKey(String),
    /// The certificates of the key.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Two of presentation, credentials and subjects share an id, or one has none.
    #[error("presentation, credentials and subjects need ids that differ: {0}")]
    Ids(String),
    /// A credential in a presentation was signed by somebody else than the presentation, or is about somebody else.
    #[error("{0} does not belong to the participant that presents it")]
    Holder(String),
    /// A claim that this type of credential must have.
    #[error("{0} is missing or has a value that is not allowed")]
    Claim(&'static str),
    /// The terms and conditions are none that are known.
    #[error("gx:gaiaxTermsAndConditions is the hash of no terms that are known")]
    Terms,
    /// The registration number that a legal person refers to is not presented.
    #[error("the registration number {0} is not among the credentials")]
    NoRegistration(String),
    /// A label was given for another version of a credential.
    #[error("the credential {0} is not the one that the label was given for: its digest differs")]
    Digest(String),
    /// A label names no such credential.
    #[error("the label does not cover {0}")]
    Label(String),
    /// A label that a participant gave itself.
    #[error("the label was given by {0}, whom it is about")]
    OwnLabel(String),
    /// An argument of a self-description.
    #[error("{0} is not acceptable: {1}")]
    Argument(&'static str, &'static str),
    /// It could not be signed.
    #[error("the self-description cannot be signed: {0}")]
    Sign(JoseError),
}

impl GaiaXError {
    /// A stable name for programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Credential(error) => credential_name(error),
            Self::NoDocument(_) => "no-did-document",
            Self::UnlistedKey { .. } => "unlisted-key",
            Self::UnusableKey(_) => "unusable-key",
            Self::Chain(error) => error.name(),
            Self::Ids(_) => "ids-not-distinct",
            Self::Holder(_) => "wrong-holder",
            Self::Claim(_) => "claim",
            Self::Terms => "unknown-terms",
            Self::NoRegistration(_) => "no-registration",
            Self::Digest(_) => "altered-digest",
            Self::Label(_) => "not-labelled",
            Self::OwnLabel(_) => "own-label",
            Self::Argument(..) => "argument",
            Self::Sign(_) => "cannot-sign",
        }
    }
}

const fn credential_name(error: &CredentialError) -> &'static str {
    match error {
        CredentialError::Signature(JoseError::WrongType) => "wrong-typ",
        CredentialError::Signature(JoseError::AlgorithmNotAllowed) => "algorithm-not-allowed",
        CredentialError::Signature(JoseError::EmbeddedKey(_)) => "embedded-key",
        CredentialError::Signature(JoseError::BadSignature) => "bad-signature",
        CredentialError::Signature(JoseError::WrongKeyId) => "wrong-key-id",
        CredentialError::Signature(_) => "malformed",
        CredentialError::WrongIssuer => "wrong-issuer",
        CredentialError::NotYetValid => "not-yet-valid",
        CredentialError::Expired => "expired",
        CredentialError::NotEnveloped => "not-enveloped",
        _ => "claim",
    }
}

#[cfg(test)]
mod tests;
