//! What is wrong with a sender, a signature or a peer that is sought.

use super::Problem;
use crate::{
    jose::JoseError,
    peer::PeerError,
    trust::{NotAMember, TrustError, did::DidError},
};
use http::StatusCode;

impl From<TrustError> for Problem {
    fn from(error: TrustError) -> Self {
        let unauthorized = |code| Self::new(StatusCode::UNAUTHORIZED, code, error.to_string());
        match &error {
            TrustError::SignatureMissing => unauthorized("signature-missing"),
            TrustError::UnknownPeer => unauthorized("unknown-peer"),
            TrustError::NotAMember(NotAMember::Busy) => Self::unavailable("busy", error.to_string()),
            // Its signature was not looked at yet: whoever asks could have any address tried, and would read here what was found.
            TrustError::NotAMember(cause) => {
                tracing::info!(%cause, "a caller is no member");
                let text = format!("the sender is neither a known peer nor a member: {}", cause.outline());
                Self::new(StatusCode::UNAUTHORIZED, "not-a-member", text)
            }
            TrustError::RevokedKey => unauthorized("revoked-key"),
            TrustError::Unauthorized => unauthorized("unauthorized"),
            TrustError::Did(DidError::Store(error)) => error.clone().into(),
            TrustError::Did(_) => {
                tracing::warn!(%error, "a caller's keys are not to be had");
                unauthorized("no-key")
            }
            TrustError::Stripped(_) => unauthorized("signature-stripped"),
            TrustError::Signature(cause) => unauthorized(signature_code(cause)),
            TrustError::Store(cause) => cause.clone().into(),
        }
    }
}

/// A stable code for each way in which a signature fails.
fn signature_code(error: &JoseError) -> &'static str {
    match error {
        JoseError::SignatureMissing => "signature-missing",
        JoseError::TooLarge(_) => "signature-too-large",
        JoseError::Malformed(_) | JoseError::NotBase64Url | JoseError::NotCanonical | JoseError::Json(_) => {
            "signature-malformed"
        }
        JoseError::AlgorithmNotAllowed => "algorithm-not-allowed",
        JoseError::EmbeddedKey(_) => "embedded-key",
        JoseError::UnencodedPayload => "unencoded-payload",
        JoseError::UnknownCritical => "unknown-critical",
        JoseError::UnknownMember(_) | JoseError::MissingMember(_) | JoseError::InvalidMember(_) => "signature-header",
        JoseError::WrongType => "wrong-type",
        JoseError::WrongKeyId | JoseError::WrongIssuer | JoseError::UnknownKey | JoseError::WrongKey => "wrong-key",
        JoseError::WrongParty => "wrong-party",
        JoseError::WrongAudience => "wrong-audience",
        JoseError::WrongRoute | JoseError::WrongRequest | JoseError::WrongStatus => "wrong-route",
        JoseError::Expired => "expired",
        JoseError::NotYetValid => "not-yet-valid",
        JoseError::LifetimeTooLong => "lifetime-too-long",
        JoseError::BadSignature => "bad-signature",
        JoseError::CannotSign(_) | JoseError::SignerFailed(_) | JoseError::Canonical(_) => "cannot-sign",
    }
}

impl From<PeerError> for Problem {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::NotAMember { .. } => Self::new(StatusCode::NOT_FOUND, "not-a-member", error.to_string()),
            PeerError::Unknown(_) => Self::new(StatusCode::NOT_FOUND, "unknown-peer", error.to_string()),
            PeerError::NoParticipant(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-recipient", error.to_string())
            }
            PeerError::Signing(error) => Self::unsigned(&error),
            other => Self::new(StatusCode::BAD_GATEWAY, "peer-failed", other.to_string()),
        }
    }
}
