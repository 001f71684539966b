//! What is wrong with a dataset, a negotiation or a transfer. What a policy refuses carries its reasons.

use super::Problem;
use crate::{
    catalog::CatalogError,
    contract::ContractError,
    plane::PlaneError,
    process::Verdict,
    transfer::{NEUTRAL, TransferError},
    trust::TrustError,
};
use http::StatusCode;
use policy::Fix;

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Dataset(error) => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                Self {
                    // Nobody else has a part in it yet.
                    by: Some(Fix::Provider),
                    ..Self::by_policy(status, "invalid-dataset", &error, error.reasons())
                }
            }
            CatalogError::Exists(_) => Self::new(StatusCode::CONFLICT, "exists", error.to_string()),
            CatalogError::NotFound => Self::not_found("dataset"),
            CatalogError::Store(error) => error.into(),
        }
    }
}

impl From<ContractError> for Problem {
    fn from(error: ContractError) -> Self {
        let by_policy = |code| Self::by_policy(StatusCode::BAD_REQUEST, code, &error, error.reasons());
        match error {
            ContractError::Policy(_) => by_policy("policy-not-understood"),
            ContractError::NotPermitted(_) => by_policy("not-permitted"),
            ContractError::Process(error) => error.into(),
            ContractError::Message(error) => error.into(),
            ContractError::UnknownOffer(_) => Self::bad_request("unknown-offer", error.to_string()),
            ContractError::AgreementDiffers(_) => Self::bad_request("agreement-differs", error.to_string()),
            ContractError::NotJudged => Self::unavailable("not-yet", error.to_string()),
            ContractError::AgreementSignature(_) => Self::bad_request("agreement-signature", error.to_string()),
            ContractError::Callback(_) => Self::bad_request("callback", error.to_string()),
            ContractError::Invalid(_) => Self::bad_request("invalid", error.to_string()),
            ContractError::Did(error) => Self::unavailable("no-key", error.to_string()),
            ContractError::Signing(error) => Self::unsigned(&error),
            ContractError::Trust(error) => error.into(),
        }
    }
}

impl From<TransferError> for Problem {
    fn from(error: TransferError) -> Self {
        let text = error.to_string();
        match error {
            TransferError::Process(error) => error.into(),
            TransferError::Message(_) => Self::bad_request("invalid-message", text),
            TransferError::UnknownAgreement(_) => Self::bad_request("unknown-agreement", text),
            TransferError::UnknownDataset => Self::bad_request("unknown-dataset", text),
            TransferError::UnknownFormat(_) => Self::bad_request("unknown-format", text),
            TransferError::NotPermitted(_) | TransferError::Policy(_) | TransferError::UsedUp(_) => {
                Self::by_policy(StatusCode::BAD_REQUEST, "not-permitted", &error, error.reasons())
            }
            TransferError::Callback(_) => Self::bad_request("callback", text),
            TransferError::Invalid(_) => Self::bad_request("invalid", text),
            TransferError::Receipt(_) => Self::bad_request("receipt", text),
            TransferError::Signing(error) => Self::unsigned(&error),
            // Who is a member no more is told so; what is about this moment may pass.
            TransferError::NotAPeer(TrustError::NotAMember(cause)) if !cause.is_final() => {
                Self::unavailable("not-now", text)
            }
            TransferError::NotInformed => Self::unavailable("not-now", text),
            TransferError::NotAPeer(_) => Self::new(StatusCode::FORBIDDEN, "not-a-member", text),
            TransferError::Token => Self::new(StatusCode::UNAUTHORIZED, "token", text),
            TransferError::NotStarted => Self::new(StatusCode::CONFLICT, "not-started", text),
            TransferError::Ended => Self::new(StatusCode::FORBIDDEN, "ended", text),
            TransferError::TooManyStreams => Self::unavailable("too-many-streams", text),
            TransferError::TooOften => Self::new(StatusCode::TOO_MANY_REQUESTS, "too-often", text),
            TransferError::Release(error) => {
                tracing::warn!(%error, "a release was refused");
                Self::new(StatusCode::CONFLICT, "release", NEUTRAL)
            }
            TransferError::Plane(PlaneError::Cursor(_)) => Self::new(StatusCode::GONE, "cursor", text),
            TransferError::Plane(error) => Self::internal(&error),
        }
    }
}
