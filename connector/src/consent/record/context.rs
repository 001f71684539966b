//! The JSON-LD contexts of our records. Their texts are bundled and never fetched; each record names the hash of its own. A version that records
//! have named never changes: what must differ is the next version.

/// The context of the records that are made now.
pub(in crate::consent) const CONTEXT: &str = "https://w3id.org/dases/ns/consent/context/2";
/// Its text.
pub(super) const TEXT: &str = include_str!("context-2.json");
/// The first one has prefixes alone, so that JSON-LD reads the terms which it shortens as texts.
const OLDER: [(&str, &str); 1] = [(
    "https://w3id.org/dases/ns/consent/context/1",
    include_str!("context-1.json"),
)];

/// The text of a context of our records, of any version.
pub fn context(iri: &str) -> Option<&'static str> {
    let mut all = OLDER.into_iter().chain([(CONTEXT, TEXT)]);
    all.find_map(|(known, text)| (known == iri).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::sha256;

    #[test]
    fn a_context_that_records_have_named_by_its_hash_never_changes() {
        for (version, hash) in [
            (1, "u0ow4-LgO98_hm9_wh2mwI5oWcjWNwUURFWg-W2gEtY"),
            (2, "bHq0OD0CAE466PUCUTWa5WfF9R__vtzaFpxm2254rJs"),
        ] {
            let text = context(&format!("https://w3id.org/dases/ns/consent/context/{version}")).unwrap();
            assert_eq!(sha256(text.as_bytes()).to_string(), hash, "version {version}");
        }
        assert_eq!(context("https://w3id.org/dases/ns/consent/context/3"), None);
    }
}
