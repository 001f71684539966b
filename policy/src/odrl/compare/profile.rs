//! What our profile knows of names beyond ODRL: languages, places, data categories, and the purposes of DPV, whose tree is in
//! [`crate::purposes`].

use super::Concepts;
use crate::purposes;

impl Concepts {
    /// What our profile knows: codes of languages and places, data categories, and the purposes of DPV; and how it enforces operands.
    pub fn profile() -> Self {
        let mut concepts = Self::new().with_codes().under_enforcement();
        for (name, wider) in purposes::pairs() {
            concepts.below(&name, &wider);
        }
        for pair in purposes::apart() {
            concepts.apart(pair.iter().map(String::as_str));
        }
        let known: Vec<&str> = purposes::all().collect();
        concepts.close(known);
        concepts
    }
}
