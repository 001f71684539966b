//! What is wrong with the audit log, its witnesses or an evidence bundle.

use super::Problem;
use crate::{
    audit::{AuditError, witness::Refusal},
    evidence::EvidenceError,
};
use http::StatusCode;

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Store(error) => error.into(),
            AuditError::NoEntry(_) => Self::new(StatusCode::NOT_FOUND, "not-found", error.to_string()),
            AuditError::NotSealed(_) => Self::unavailable("not-sealed", error.to_string()),
            error => Self::new(StatusCode::CONFLICT, "audit-broken", error.to_string()),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(error: Refusal) -> Self {
        let refused = |status, code| Self::new(status, code, error.to_string());
        match error {
            Refusal::Malformed(_) => refused(StatusCode::BAD_REQUEST, "invalid"),
            Refusal::UnknownOrigin => refused(StatusCode::NOT_FOUND, "unknown-origin"),
            Refusal::NotSigned => refused(StatusCode::FORBIDDEN, "not-signed"),
            Refusal::Contested => refused(StatusCode::FORBIDDEN, "contested"),
            Refusal::OtherSize(_) => refused(StatusCode::CONFLICT, "other-size"),
            Refusal::Forked(_) => refused(StatusCode::CONFLICT, "forked"),
            Refusal::Inconsistent => refused(StatusCode::UNPROCESSABLE_ENTITY, "inconsistent"),
            Refusal::Store(error) => error.into(),
            Refusal::Signing(error) => Self::internal(&error),
        }
    }
}

impl From<EvidenceError> for Problem {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "not-found", error.to_string())
                .hint("list what there is with: connector agreement list"),
            EvidenceError::Unrecorded(_) | EvidenceError::Damaged(_) => {
                Self::new(StatusCode::CONFLICT, "audit-broken", error.to_string())
            }
            EvidenceError::Busy => Self::unavailable("busy", error.to_string()),
            EvidenceError::TooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", error.to_string()),
            EvidenceError::Store(error) => error.into(),
            EvidenceError::Audit(error) => error.into(),
            EvidenceError::Signing(error) => Self::internal(&error),
            EvidenceError::Archive(error) => Self::internal(&error),
        }
    }
}
