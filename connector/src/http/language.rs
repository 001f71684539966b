//! The language in which a caller wants to be told something (RFC 9110 §12.5.4). English where none of ours is asked for.

use http::{HeaderMap, header};
use policy::Language;

/// The language of ours that the caller prefers.
pub(super) fn preferred(headers: &HeaderMap) -> Language {
    let ranges = headers
        .get_all(header::ACCEPT_LANGUAGE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut best = (Language::English, 0.0);
    for (language, weight) in ranges.filter_map(weighed) {
        // Of two that are wanted alike, the one that was named first.
        if weight > best.1 {
            best = (language, weight);
        }
    }
    best.0
}

fn weighed(range: &str) -> Option<(Language, f32)> {
    let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
    let weight = match parameters.trim().strip_prefix("q=") {
        None => 1.0,
        Some(weight) => weight.trim().parse().ok()?,
    };
    let language = Language::read(&tag.trim().to_ascii_lowercase())?;
    Some((language, weight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(value: &'static str) -> Language {
        preferred(&HeaderMap::from_iter([(
            header::ACCEPT_LANGUAGE,
            HeaderValue::from_static(value),
        )]))
    }

    #[test]
    fn the_language_that_weighs_most_is_taken_and_english_where_there_is_none() {
        for french in ["fr", "FR-ca", "de, fr;q=0.5", "en;q=0.3, fr;q=0.8", "fr, en"] {
            assert_eq!(of(french), Language::French, "{french}");
        }
        for english in [
            "",
            "*",
            "de",
            "en, fr",
            "fr;q=0",
            "fr;q=0.2,en-GB;q=0.9",
            "fr;q=x",
            ";;,",
        ] {
            assert_eq!(of(english), Language::English, "{english}");
        }
        assert_eq!(preferred(&HeaderMap::new()), Language::English);
    }
}
