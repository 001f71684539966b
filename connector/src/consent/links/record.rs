//! What is kept of a link, and how far it is.

use super::CODE_LIFETIME;
use crate::{
    consent::Pseudonym,
    dsp::{MessageId, ParticipantId},
    jose::{self, JoseError},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Our part in a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = LinkSide)]
pub enum Side {
    /// We hold the learner's records.
    Holder,
    /// We receive them.
    Recipient,
}

/// How far a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = LinkStage)]
pub enum Stage {
    /// Holder: a code was made.
    Offered,
    /// Holder: the peer has brought the code; the learner has to confirm.
    Claimed,
    /// Recipient: the code is on its way to the holder, or waits for the learner there.
    Asked,
    /// Recipient: the holder refused the code.
    Refused,
    /// Both sides know.
    Linked,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// Its id here.
    pub id: String,
    /// Our part.
    pub side: Side,
    /// The other participant.
    pub peer: ParticipantId,
    /// The learner's local identifier here.
    pub subject: String,
    /// How far it is.
    pub stage: Stage,
    /// When it was begun.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// Until when the next step has to be taken; nothing more is needed of a link that is made.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
    /// The learner as both know them, once that is made.
    #[schema(required)]
    pub pseudonym: Option<Pseudonym>,
    /// Holder: the recipient's id of the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub theirs: Option<String>,
}

/// A code, for the learner's eyes alone.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OfferedLink)]
pub struct Offered {
    /// The link.
    pub link: Link,
    /// To be entered at the other participant; it is not kept here.
    pub code: String,
}

impl Link {
    /// One that begins now.
    pub(super) fn begin(
        side: Side,
        peer: &ParticipantId,
        subject: &str,
        stage: Stage,
        now: Timestamp,
    ) -> Result<Self, JoseError> {
        let id = MessageId::from_uuid(jose::uuid(now)?);
        Ok(Self {
            id: id.as_str().to_owned(),
            side,
            peer: peer.clone(),
            subject: subject.to_owned(),
            stage,
            created: now,
            expires: now.plus(CODE_LIFETIME),
            pseudonym: None,
            theirs: None,
        })
    }
}
