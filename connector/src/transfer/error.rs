//! Why transfers refuse.

use crate::{
    catalog::{DatasetError, list},
    contract::ContractError,
    dsp::{FORMATS, MessageError, message::read_error},
    jose::JoseError,
    plane::{PlaneError, release::ReleaseError},
    process::{ProcessError, Verdict},
    store::StoreError,
    trust::TrustError,
};
use http::StatusCode;
use policy::{Code, Reason};

/// Why a transfer did not take a step. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The shared mechanics refused.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The body is not the message that belongs here.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// No such agreement between these two parties in these roles.
    #[error("there is no agreement {0} between these parties")]
    UnknownAgreement(String),
    /// The dataset is gone.
    #[error("the agreed dataset is no longer offered")]
    UnknownDataset,
    /// Not a format of the dataset.
    #[error("{0} is not a format of this dataset; it is offered as {formats}", formats = FORMATS.join(" and "))]
    UnknownFormat(String),
    /// The agreement's policy does not allow it now.
    #[error("the agreement does not allow this: {}", list(.0))]
    NotPermitted(Vec<Reason>),
    /// The agreement's policy cannot be read any more.
    #[error(transparent)]
    Policy(#[from] DatasetError),
    /// The agreement is used up.
    #[error("the agreement is used up: {0}")]
    UsedUp(&'static str),
    /// An address is not one that we would call back.
    #[error("callbackAddress: {0}")]
    Callback(String),
    /// Something about the request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The receipt is not a receipt for what was sent.
    #[error("the receipt is not for what was sent: {0}")]
    Receipt(String),
    /// The other party is not one that we talk to now.
    #[error("the other party of this transfer: {0}")]
    NotAPeer(#[from] TrustError),
    /// Whether somebody whom the agreement has informed can be told is not known at this moment.
    #[error("whoever is to be informed of this transfer cannot be found now")]
    NotInformed,
    /// Signing failed.
    #[error("signing failed: {0}")]
    Signing(#[from] JoseError),
    /// The data plane refused.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// There is no release for this transfer. Why is not for the peer.
    #[error("the release: {0}")]
    Release(#[from] ReleaseError),
    /// The token of a data request is not good: wrong, expired, or of another transfer.
    #[error("the token is not valid for this transfer now")]
    Token,
    /// Data does not flow in this state.
    #[error("the transfer is not started")]
    NotStarted,
    /// Data flows no more: the transfer is over.
    #[error("the transfer has ended")]
    Ended,
    /// Too many streams at once.
    #[error("too many streams are running; try again later")]
    TooManyStreams,
    /// The stream of this transfer was opened many times in a short time.
    #[error("the stream of this transfer was opened too often; try again later")]
    TooOften,
}

impl TransferError {
    /// The other side's refusal of a stream, with the reason that its body gives.
    pub(super) fn refused(status: StatusCode, body: &[u8]) -> Self {
        let said = serde_json::from_slice(body).map(|value| read_error(&value));
        Self::Plane(PlaneError::Refused {
            status: status.as_u16(),
            reason: said.unwrap_or_default().reasons.join("; "),
        })
    }
}

impl Verdict for TransferError {
    fn is_final(&self) -> bool {
        match self {
            Self::Process(error) => error.is_final(),
            Self::Message(_)
            | Self::UnknownAgreement(_)
            | Self::UnknownDataset
            | Self::UnknownFormat(_)
            | Self::NotPermitted(_)
            | Self::Policy(_)
            | Self::UsedUp(_)
            | Self::Callback(_)
            | Self::Invalid(_)
            | Self::Receipt(_) => true,
            Self::NotAPeer(_)
            | Self::NotInformed
            | Self::Signing(_)
            | Self::Plane(_)
            | Self::Release(_)
            | Self::Token
            | Self::NotStarted
            | Self::Ended
            | Self::TooManyStreams
            | Self::TooOften => false,
        }
    }

    fn reasons(&self) -> Vec<Reason> {
        match self {
            Self::NotPermitted(reasons) => reasons.clone(),
            Self::Policy(error) => error.reasons(),
            Self::UsedUp(what) => vec![Reason::new(Code::CountExhausted, "", *what)],
            _ => Vec::new(),
        }
    }
}

impl From<StoreError> for TransferError {
    fn from(error: StoreError) -> Self {
        Self::Process(ProcessError::Store(error))
    }
}

impl From<ContractError> for TransferError {
    fn from(error: ContractError) -> Self {
        Self::Invalid(error.to_string())
    }
}
