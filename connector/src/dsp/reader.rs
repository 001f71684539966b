//! Lenient, typed reading of message members: accepts what conforming peers send, names what is missing or wrong.

use serde_json::{Map, Value};
use std::str::FromStr;

/// Why a body is not the message that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The body is not a JSON object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// `@context` lacks the protocol's context.
    #[error("@context does not contain {}", super::CONTEXT)]
    WrongContext,
    /// `@type` is not one that this place accepts.
    #[error("@type is {found:?}; expected {expected}")]
    WrongType {
        /// What was sent.
        found: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A required member is absent.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A member has the wrong type or value.
    #[error("{member} {problem}")]
    Invalid {
        /// The member's name.
        member: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Two members that exclude each other, or neither of two of which one is required.
    #[error("exactly one of {0} and {1} is required")]
    ExactlyOne(&'static str, &'static str),
    /// A process id in the body is not the one of the address.
    #[error("the process ids of the body are not those of the address")]
    PidMismatch,
}

/// The members of one JSON object.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a Map<String, Value>);

impl<'a> Reader<'a> {
    pub(super) fn new(value: &'a Value) -> Result<Self, MessageError> {
        value.as_object().map(Self).ok_or(MessageError::NotAnObject)
    }

    /// Checks `@context` (an array that contains ours; a bare string is tolerated) and returns `@type`.
    pub(super) fn message_type(self) -> Result<&'a str, MessageError> {
        let known = match self.0.get("@context") {
            Some(Value::Array(contexts)) => contexts.iter().any(|c| c.as_str() == Some(super::CONTEXT)),
            Some(Value::String(context)) => context == super::CONTEXT,
            _ => false,
        };
        if !known {
            return Err(MessageError::WrongContext);
        }
        match self.0.get("@type") {
            // A JSON-LD processor may keep the array of a single type.
            Some(Value::Array(types)) => match types.as_slice() {
                [Value::String(one)] => Ok(one),
                _ => Err(invalid("@type", "is not a single type")),
            },
            _ => self.text("@type"),
        }
    }

    /// A text that must be there and say something.
    pub(super) fn text(self, member: &'static str) -> Result<&'a str, MessageError> {
        match self.optional_text(member)? {
            None => Err(MessageError::Missing(member)),
            Some("") => Err(invalid(member, "is empty")),
            Some(text) => Ok(text),
        }
    }

    pub(super) fn optional_text(self, member: &'static str) -> Result<Option<&'a str>, MessageError> {
        match self.0.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(member, "is not a string")),
        }
    }

    /// What a member names: a text, or an object with an `@id`, as JSON-LD writes a reference.
    pub(super) fn name(self, member: &str) -> Option<&'a str> {
        match self.0.get(member)? {
            Value::String(text) => Some(text),
            Value::Object(reference) => reference.get("@id")?.as_str(),
            _ => None,
        }
    }

    pub(super) fn id<T: FromStr>(self, member: &'static str) -> Result<T, MessageError>
    where
        T::Err: std::fmt::Display,
    {
        self.optional_id(member)?.ok_or(MessageError::Missing(member))
    }

    pub(super) fn optional_id<T: FromStr>(self, member: &'static str) -> Result<Option<T>, MessageError>
    where
        T::Err: std::fmt::Display,
    {
        self.optional_text(member)?
            .map(|text| text.parse().map_err(|error: T::Err| invalid(member, error)))
            .transpose()
    }

    pub(super) fn object(self, member: &'static str) -> Result<&'a Value, MessageError> {
        match self.0.get(member) {
            None | Some(Value::Null) => Err(MessageError::Missing(member)),
            Some(value @ Value::Object(_)) => Ok(value),
            Some(_) => Err(invalid(member, "is not an object")),
        }
    }

    pub(super) fn get(self, member: &str) -> Option<&'a Value> {
        self.0.get(member).filter(|value| !value.is_null())
    }

    /// A member that the schema makes an array; a JSON-LD peer may have collapsed a single element.
    pub(super) fn one_or_many(self, member: &str) -> &'a [Value] {
        match self.0.get(member) {
            None | Some(Value::Null) => &[],
            Some(Value::Array(items)) => items,
            Some(one) => std::slice::from_ref(one),
        }
    }
}

pub(super) fn invalid(member: &'static str, problem: impl std::fmt::Display) -> MessageError {
    MessageError::Invalid {
        member,
        problem: problem.to_string(),
    }
}

/// Whether there is an empty array anywhere: the schemas refuse most of them.
#[cfg(test)]
pub(super) fn has_empty_array(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty() || items.iter().any(has_empty_array),
        Value::Object(members) => members.values().any(has_empty_array),
        _ => false,
    }
}
