//! What participants tell each other about a link.

use crate::consent::{Pseudonym, exchange::Content};
use serde::{Deserialize, Serialize};

/// Recipient to holder: the code that a learner has brought.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkRequest {
    pub(super) code: String,
    /// The recipient's id of the link.
    pub(super) link: String,
}

impl Content for LinkRequest {
    const TYPE: &'static str = "LinkRequestMessage";
    const PATH: &'static str = "/dases/consents/links";
}

/// Holder to recipient: the learner has confirmed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkConfirmation {
    /// The recipient's id of the link.
    pub(super) link: String,
    pub(super) pseudonym: Pseudonym,
}

impl Content for LinkConfirmation {
    const TYPE: &'static str = "LinkConfirmationMessage";
    const PATH: &'static str = "/dases/consents/links/confirmations";
}
