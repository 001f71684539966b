//! Pairwise pseudonyms: one learner, one holder, one recipient. Stable for that recipient, different for every other, and without the
//! holder's key nobody's.

use super::ConsentId;
use crate::{
    dsp::ParticipantId,
    jose::{HmacKey, base64url},
};
use serde::{Deserialize, Deserializer, Serialize};
use std::{
    fmt,
    hash::{BuildHasher, Hasher},
    str::FromStr,
    sync::Arc,
};
use utoipa::ToSchema;

/// How many bytes of the keyed hash a pseudonym shows: enough that no two learners of a holder ever share one.
const SHOWN: usize = 16;
/// What every pseudonym begins with.
const PREFIX: &str = "p:";

/// Makes the pseudonyms of one holder.
#[derive(Clone)]
pub struct Pseudonyms(Arc<HmacKey>);

impl Pseudonyms {
    /// From the holder's secret.
    pub fn new(key: HmacKey) -> Self {
        Self(Arc::new(key))
    }

    /// The names under which one recipient sees this holder's learners.
    pub fn towards(&self, recipient: &ParticipantId) -> Pairwise {
        self.of(recipient.as_str())
    }

    /// The names of those who act on one consent, in it alone. Ids of consents are UUIDs and no participant's, so none is a name towards one.
    pub(super) fn within(&self, consent: &ConsentId) -> Pairwise {
        self.of(consent.as_str())
    }

    fn of(&self, what: &str) -> Pairwise {
        Pairwise(HmacKey::new(self.0.tag(what.as_bytes()).as_bytes()))
    }
}

/// Makes the pseudonyms of one holder towards one recipient.
pub struct Pairwise(HmacKey);

impl Pairwise {
    /// What a learner's pseudonym shows. It belongs to this learner and this recipient, and to no other pair.
    pub fn tag(&self, subject: &str) -> Tag {
        let mut shown = [0; SHOWN];
        let tag = self.0.tag(subject.as_bytes());
        shown.iter_mut().zip(tag.as_bytes()).for_each(|(to, from)| *to = *from);
        Tag(u128::from_be_bytes(shown))
    }

    /// A learner's pseudonym.
    pub fn name(&self, subject: &str) -> String {
        let mut out = String::new();
        self.tag(subject).write(&mut out);
        out
    }
}

/// A pseudonym as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag(u128);

impl Tag {
    /// Writes the pseudonym over what `out` held.
    pub fn write(self, out: &mut String) {
        out.clear();
        out.push_str(PREFIX);
        base64url::encode_into(&self.bytes(), out);
    }

    /// Its bytes.
    pub fn bytes(self) -> [u8; SHOWN] {
        self.0.to_be_bytes()
    }

    /// From its bytes.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self(u128::from_be_bytes(bytes.try_into().ok()?)))
    }
}

/// Hashes tags for tables in memory: they are keyed hashes already, so any part of them is as good as another.
#[derive(Clone, Copy, Default)]
pub(super) struct Uniform;

/// See [`Uniform`].
#[derive(Default)]
pub(super) struct Taken(u64);

impl BuildHasher for Uniform {
    type Hasher = Taken;

    fn build_hasher(&self) -> Taken {
        Taken::default()
    }
}

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
            self.0 = self.0.rotate_left(5) ^ word;
        }
    }
}

/// A pseudonym that a holder uses for a learner towards us, or we towards a recipient, as text of exactly that form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
pub struct Pseudonym(String);

/// The text is no pseudonym.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a pairwise pseudonym: p: and 22 letters, digits, - or _")]
pub struct NoPseudonym;

impl Pseudonym {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Tag> for Pseudonym {
    fn from(tag: Tag) -> Self {
        let mut text = String::new();
        tag.write(&mut text);
        Self(text)
    }
}

impl FromStr for Pseudonym {
    type Err = NoPseudonym;

    fn from_str(text: &str) -> Result<Self, NoPseudonym> {
        let bytes = text.strip_prefix(PREFIX).and_then(base64url::decode);
        let tag = bytes.and_then(|bytes| Tag::read(&bytes)).ok_or(NoPseudonym)?;
        Ok(tag.into())
    }
}

impl<'de> Deserialize<'de> for Pseudonym {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learner_has_one_name_for_each_recipient_and_holder() {
        let (a, b) = (
            "did:web:a.example".parse().unwrap(),
            "did:web:b.example".parse().unwrap(),
        );
        let holder = Pseudonyms::new(HmacKey::new(b"one holder's secret"));
        let other = Pseudonyms::new(HmacKey::new(b"another holder's secret"));
        assert_eq!(holder.towards(&a).name("x"), holder.towards(&a).name("x"));
        assert_ne!(holder.towards(&a).name("x"), holder.towards(&a).name("y"));
        assert_ne!(holder.towards(&a).name("x"), holder.towards(&b).name("x"));
        assert_ne!(holder.towards(&a).name("x"), other.towards(&a).name("x"));
        assert_eq!(holder.towards(&a).name("x").len(), 24);
    }

    #[test]
    fn a_pseudonym_is_read_in_exactly_the_form_in_which_it_is_written() {
        let tag = Pseudonyms::new(HmacKey::new(b"s"))
            .towards(&"did:web:a.example".parse().unwrap())
            .tag("x");
        let name = Pseudonym::from(tag);
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        assert_eq!(Tag::read(&tag.bytes()), Some(tag));
        let long = format!("{name}A");
        for wrong in [
            "",
            "p:",
            "e",
            "p:abc",
            "P:AAAAAAAAAAAAAAAAAAAAAA",
            "p:AAAAAAAAAAAAAAAAAAAAA*",
            &long,
        ] {
            assert_eq!(wrong.parse::<Pseudonym>(), Err(NoPseudonym), "{wrong}");
        }
    }
}
