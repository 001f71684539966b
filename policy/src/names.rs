//! Names in constraints that the vocabulary of their operand does not have: they match nothing but themselves, and may be misspelt. Which names
//! mean the same is decided in `odrl::compare`; this only warns.

use crate::{
    model::Atomic,
    purposes,
    vocabulary::{DPV, LeftOperand, NAMESPACES, canonical_name},
};

/// The names of a comparison, as they are written, that their vocabulary does not have: purposes of DPV, places by ISO 3166 and NUTS, languages
/// by BCP 47. Of a name of any other vocabulary nothing is known here, and of data categories and whatever else is listed in full one that is
/// not there refuses the policy.
pub(crate) fn unknown(atomic: &Atomic) -> Vec<&str> {
    let lacks = match atomic.left.known() {
        Some(LeftOperand::Purpose) => lacks_purpose,
        Some(LeftOperand::Spatial) => |text: &str| !text.contains(':') && !is_place(text),
        Some(LeftOperand::Language) => |text: &str| !text.contains(':') && !is_language(text),
        _ => return Vec::new(),
    };
    let names = atomic.right.iter().map(|value| value.text.as_str());
    names.filter(|text| lacks(text) || is_prefixed_amiss(text)).collect()
}

/// Bare names may be of anybody's own making. They are taken for amiss only where the tree of purposes has them in another spelling, as it has
/// `dpv:Marketing` for `Marketing`.
fn lacks_purpose(text: &str) -> bool {
    let name = canonical_name(text);
    let local = |known: &'static str| DPV.local(known).unwrap_or(known);
    let otherwise = |known: &'static str| local(known).eq_ignore_ascii_case(&name);
    !purposes::all().any(|known| known == name) && (DPV.local(&name).is_some() || purposes::all().any(otherwise))
}

/// A known prefix in other letters, such as `DPV:`, stands for nothing.
fn is_prefixed_amiss(text: &str) -> bool {
    let prefix = text.split_once(':').map_or("", |(prefix, _)| prefix);
    NAMESPACES
        .iter()
        .any(|known| known.prefix != prefix && known.prefix.eq_ignore_ascii_case(prefix))
}

/// Written as codes of ISO 3166 and NUTS are: `FR`, `FR-IDF`, `FR10`. Codes that ISO 3166 leaves to its users, and such as `EU`, are among them.
fn is_place(text: &str) -> bool {
    let code = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    text.split_at_checked(2).is_some_and(|(country, rest)| {
        let part = rest.strip_prefix('-').unwrap_or(rest);
        country.bytes().all(|byte| byte.is_ascii_uppercase())
            && part.len() <= 3
            && code(part)
            && part.is_empty() == rest.is_empty()
    })
}

/// Written as tags of BCP 47 are, whose languages have two or three letters; `i-` and `x-` begin what was registered otherwise, and private tags.
fn is_language(text: &str) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let first = text.split('-').next().unwrap_or_default();
    let language = (2..=3).contains(&first.len()) && first.bytes().all(|byte| byte.is_ascii_alphabetic());
    let other = text.len() > 2 && matches!(first, "i" | "x");
    (language || other) && text.split('-').all(part)
}

#[cfg(test)]
mod tests {
    use crate::testing::{constraint, permitting};
    use serde_json::json;

    fn unknown(left: &str, names: &[&str]) -> Vec<String> {
        let policy = permitting(constraint(left, "isAnyOf", json!(names)));
        let found = policy.comparisons().into_iter().flat_map(super::unknown);
        found.map(str::to_owned).collect()
    }

    #[test]
    fn names_that_their_vocabulary_does_not_have_are_found() {
        for (left, names) in [
            (
                "purpose",
                &["dpv:Marketting", "https://w3id.org/dpv#marketing", "dpv:hasPurpose"][..],
            ),
            ("purpose", &["DASES:orientation", "DPV:Marketing"]),
            ("purpose", &["Marketing", "Orientation", "dases:Orientation"]),
            ("spatial", &["France", "fr", "FR-", "FR-ILE-DE-FRANCE", "Dpv:FR"]),
            ("language", &["french", "fr_FR", "fr-", "x"]),
        ] {
            assert_eq!(unknown(left, names), names, "{left}");
        }
    }

    #[test]
    fn names_of_their_vocabulary_and_of_any_other_are_not() {
        for (left, names) in [
            (
                "purpose",
                &["dpv:Marketing", "https://w3id.org/dpv#Purpose", "dases:orientation"][..],
            ),
            (
                "purpose",
                &[
                    "orientation",
                    "training",
                    "https://w3id.org/dases/ns/purpose/orientation",
                ],
            ),
            (
                "purpose",
                &["https://other.example/purposes#Marketting", "urn:p", "ai:ModelTraining"],
            ),
            ("spatial", &["FR", "FR-IDF", "FR10", "FRK", "EU", "XK", "UKI"]),
            (
                "spatial",
                &["https://sws.geonames.org/3017382/", "iso3166:FR", "dases:campus"],
            ),
            ("language", &["fr", "FR-ca", "gsw", "zh-Hant-TW", "i-klingon", "x-ours"]),
            (
                "language",
                &["http://id.loc.gov/vocabulary/iso639-1/fr", "urn:ietf:bcp:47:fr"],
            ),
            ("industry", &["France", "DPV:Marketing"]),
        ] {
            assert_eq!(unknown(left, names), Vec::<String>::new(), "{left}");
        }
    }
}
