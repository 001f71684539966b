//! The one strict way in for JSON that somebody else wrote: UTF-8, no duplicate member names, bounded depth and size.
//!
//! Nothing here knows DSP. `serde_json::from_slice::<Value>` must not be used on foreign bytes: it keeps the last of two equal
//! names (two readers of one signed message could then disagree), and with `raw_value` it gives one magic member name a meaning.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::{cell::Cell, fmt};

/// Objects and arrays may be nested this deep in a protocol message: enough for the deepest policy, so that a deeper one is refused by the place
/// where it is. Each level of its conditions is an array and an object; around and in them are nine more, where they are those of a consequence,
/// and a catalog puts a policy into six.
pub const MAX_DEPTH: usize = 2 * policy::MAX_DEPTH + 16;

/// A protocol message may be this long, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// How much of a member name an error repeats, in characters.
const NAME_SHOWN: usize = 64;

/// What a text may cost its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest text, in bytes.
    pub bytes: usize,
    /// Deepest nesting of objects and arrays; a scalar has depth 0. At most 127, where serde_json stops of its own accord.
    pub depth: usize,
}

impl Limits {
    /// What a protocol message may cost.
    pub const MESSAGE: Self = Self {
        bytes: MAX_BYTES,
        depth: MAX_DEPTH,
    };
}

/// Why a text is not JSON that we read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The bytes are not UTF-8 (RFC 8259 §8.1).
    #[error("the text is not valid UTF-8")]
    NotUtf8,
    /// Some editors write one before a text; it is no part of JSON (RFC 8259 §8.1).
    #[error("the text begins with a byte order mark (U+FEFF), which JSON has not; save it as UTF-8 without one")]
    ByteOrderMark,
    /// One object names a member twice, compared after unescaping. The name is shortened.
    #[error("an object has the member {0:?} more than once")]
    DuplicateKey(String),
    /// Objects or arrays are nested deeper than the limit.
    #[error("the text is nested too deeply")]
    TooDeep,
    /// Not JSON at this place (both from 1; the column counts bytes).
    #[error("not JSON at line {line}, column {column}")]
    Syntax {
        /// Line of the fault.
        line: usize,
        /// Byte in that line.
        column: usize,
    },
    /// The text is longer than the limit.
    #[error("the text is {actual} bytes long, more than the {limit} allowed")]
    TooLarge {
        /// The limit that applied, in bytes.
        limit: usize,
        /// The length met, in bytes.
        actual: usize,
    },
}

/// Reads one JSON text within [`Limits::MESSAGE`]; bytes after it other than white space are a fault.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    parse_within(bytes, Limits::MESSAGE)
}

/// Reads one JSON text within `limits`.
pub fn parse_within(bytes: &[u8], limits: Limits) -> Result<Value, JsonError> {
    if bytes.len() > limits.bytes {
        return Err(JsonError::TooLarge {
            limit: limits.bytes,
            actual: bytes.len(),
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::NotUtf8)?;
    if text.starts_with('\u{feff}') {
        return Err(JsonError::ByteOrderMark);
    }
    let fault = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Node {
        room: limits.depth,
        fault: &fault,
    }
    .deserialize(&mut reader);
    read.and_then(|value| reader.end().map(|()| value)).map_err(|error| {
        fault.take().unwrap_or_else(|| JsonError::Syntax {
            line: error.line(),
            column: error.column(),
        })
    })
}

/// One value of the text, with the number of levels that may still open below it. serde's errors are text, so ours travel in `fault`.
#[derive(Clone, Copy)]
struct Node<'a> {
    room: usize,
    fault: &'a Cell<Option<JsonError>>,
}

impl Node<'_> {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.room.checked_sub(1) {
            Some(room) => Ok(Self { room, ..self }),
            None => Err(self.fail(JsonError::TooDeep)),
        }
    }

    fn fail<E: serde::de::Error>(self, error: JsonError) -> E {
        self.fault.set(Some(error));
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let item = self.inside()?;
        let mut list = Vec::new();
        while let Some(value) = items.next_element_seed(item)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let member = self.inside()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(self.fail(JsonError::DuplicateKey(name.chars().take(NAME_SHOWN).collect())));
            }
            let value = members.next_value_seed(member)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests;
