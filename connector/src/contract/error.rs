//! Why negotiations refuse.

use crate::{
    catalog::{CatalogError, DatasetError, list},
    dsp::MessageError,
    jose::{AgreementError, JoseError},
    process::{ProcessError, Verdict},
    store::StoreError,
    trust::{TrustError, did::DidError},
};
use policy::Reason;

/// Why a negotiation did not take a step. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// The shared mechanics refused.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The body is not the message that belongs here.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// No offer with this id, or not one that the caller may see.
    #[error("there is no offer {0}")]
    UnknownOffer(String),
    /// The policy cannot be read or has terms that are not understood.
    #[error(transparent)]
    Policy(#[from] DatasetError),
    /// The policy does not allow it.
    #[error("the policy does not allow this: {}", list(.0))]
    NotPermitted(Vec<Reason>),
    /// The agreement is not what was negotiated.
    #[error("the agreement is not what was negotiated: {0}")]
    AgreementDiffers(String),
    /// What the agreement says about us cannot be compared with our credentials yet.
    #[error("this connector's own credentials were not judged yet; try again")]
    NotJudged,
    /// A signature over the agreement is missing or wrong.
    #[error("the agreement's signature: {0}")]
    AgreementSignature(String),
    /// An address is not one that we would call back.
    #[error("callbackAddress: {0}")]
    Callback(String),
    /// Something about the request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The other party's keys are not to be had now.
    #[error(transparent)]
    Did(#[from] DidError),
    /// Our own signing failed.
    #[error("signing failed: {0}")]
    Signing(#[from] JoseError),
    /// The other party is not believed.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Verdict for ContractError {
    fn is_final(&self) -> bool {
        match self {
            Self::Process(error) => error.is_final(),
            Self::Message(_)
            | Self::UnknownOffer(_)
            | Self::Policy(_)
            | Self::NotPermitted(_)
            | Self::AgreementDiffers(_)
            | Self::AgreementSignature(_)
            | Self::Callback(_)
            | Self::Invalid(_) => true,
            Self::Did(_) | Self::NotJudged | Self::Signing(_) | Self::Trust(_) => false,
        }
    }

    fn reasons(&self) -> Vec<Reason> {
        match self {
            Self::NotPermitted(reasons) => reasons.clone(),
            Self::Policy(error) => error.reasons(),
            _ => Vec::new(),
        }
    }
}

impl From<StoreError> for ContractError {
    fn from(error: StoreError) -> Self {
        Self::Process(ProcessError::Store(error))
    }
}

impl From<AgreementError> for ContractError {
    fn from(error: AgreementError) -> Self {
        Self::AgreementSignature(error.to_string())
    }
}

impl From<CatalogError> for ContractError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Store(error) => error.into(),
            CatalogError::Dataset(error) => Self::Policy(error),
            CatalogError::Exists(id) => Self::Invalid(format!("{id} exists already")),
            CatalogError::NotFound => Self::UnknownOffer(String::new()),
        }
    }
}
