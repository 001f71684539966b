//! Pairwise pseudonyms: one learner, one holder, one recipient. Stable for that recipient, different for every other, and without the
//! holder's key nobody's.

use crate::{
    dsp::ParticipantId,
    jose::{HmacKey, base64url},
};

/// How many bytes of the keyed hash a pseudonym shows: enough that no two learners of a holder ever share one.
const SHOWN: usize = 16;

/// Makes the pseudonyms of one holder.
pub struct Pseudonyms(HmacKey);

impl Pseudonyms {
    /// From the holder's secret.
    pub fn new(key: HmacKey) -> Self {
        Self(key)
    }

    /// The names under which one recipient sees this holder's learners.
    pub fn towards(&self, recipient: &ParticipantId) -> Pairwise {
        Pairwise(HmacKey::new(self.0.tag(recipient.as_str().as_bytes()).as_bytes()))
    }
}

/// Makes the pseudonyms of one holder towards one recipient.
pub struct Pairwise(HmacKey);

impl Pairwise {
    /// Writes a learner's pseudonym over what `out` held.
    pub fn write(&self, subject: &str, out: &mut String) {
        out.clear();
        out.push_str("p:");
        let tag = self.0.tag(subject.as_bytes());
        base64url::encode_into(tag.as_bytes().get(..SHOWN).unwrap_or_default(), out);
    }

    /// A learner's pseudonym.
    pub fn name(&self, subject: &str) -> String {
        let mut out = String::new();
        self.write(subject, &mut out);
        out
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
}
