//! Identifiers as types: parsed where they enter, compared for equality and never by pattern afterwards.

use serde::{Deserialize, Deserializer, Serialize};
use std::{fmt, str::FromStr};
use utoipa::ToSchema;

/// Longest identifier that is accepted, in bytes.
pub const MAX_ID: usize = 512;

/// The text is not usable as an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty text.
    #[error("is empty")]
    Empty,
    /// More than [`MAX_ID`] bytes.
    #[error("is longer than {MAX_ID} bytes")]
    TooLong,
    /// Control characters, white space, or characters that would change a URL's meaning.
    #[error("contains white space or control characters")]
    BadCharacter,
}

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > MAX_ID {
        return Err(IdError::TooLong);
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(IdError::BadCharacter);
    }
    Ok(())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
        pub struct $name(String);

        impl $name {
            /// The identifier as it is written on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A participant of the data space: its DID, or whatever a peer that cannot sign calls itself.
    ParticipantId
);
id!(
    /// One side's id of a negotiation or transfer (`consumerPid`, `providerPid`).
    Pid
);
id!(
    /// The `@id` of one message; the key under which a repetition is recognised.
    MessageId
);
id!(
    /// A dataset.
    DatasetId
);
id!(
    /// An offer; opaque, echoed exactly.
    OfferId
);
id!(
    /// An agreement.
    AgreementId
);

impl Pid {
    /// A process id from a fresh UUID.
    pub fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(format!("urn:uuid:{uuid}"))
    }

    /// The name of a queue of messages about consents, which belong to no process; `about` is the hash of what they are about.
    pub fn consents(about: &str) -> Self {
        Self(format!("urn:dases:consents:{about}"))
    }
}

impl MessageId {
    /// A message id from a fresh UUID.
    pub fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(format!("urn:uuid:{uuid}"))
    }
}

impl AgreementId {
    /// An agreement id from a fresh UUID.
    pub fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(format!("urn:uuid:{uuid}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_would_be_ambiguous() {
        assert_eq!("".parse::<Pid>(), Err(IdError::Empty));
        assert_eq!("a b".parse::<Pid>(), Err(IdError::BadCharacter));
        assert_eq!("a\nb".parse::<Pid>(), Err(IdError::BadCharacter));
        assert_eq!("x".repeat(MAX_ID + 1).parse::<Pid>(), Err(IdError::TooLong));
        assert!("urn:uuid:a343fcbf-99fc-4ce8-8e9b-148c97605aab".parse::<Pid>().is_ok());
    }
}
