//! What our profile knows of names beyond ODRL: languages, places, data categories, and the purposes of DPV and our own, whose tree is in
//! [`crate::purposes`]. Complete are ISO 3166, NUTS, BCP 47, our own categories, and the tree for the names in it. That two purposes have nothing
//! below them in common is certain only of the pairs that the vocabulary lists.

use super::Concepts;
use crate::{
    purposes,
    vocabulary::{self, PURPOSES_APART, dpv},
};

impl Concepts {
    /// What our profile knows: codes of languages and places, data categories, and purposes; and how it enforces operands.
    pub fn profile() -> Self {
        let mut concepts = Self::new().with_codes().under_enforcement();
        for (name, wider) in vocabulary::purposes() {
            concepts.below(&name, &wider);
        }
        for pair in PURPOSES_APART {
            let names = pair.map(dpv);
            concepts.apart(names.iter().map(String::as_str));
        }
        let known: Vec<&str> = purposes::all().collect();
        concepts.close(known);
        concepts
    }
}
