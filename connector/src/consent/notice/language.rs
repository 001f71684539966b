//! Language tags of notices: learners and auditors read by them in which language a text is, so a tag that names none is a slip.

/// The languages that have a code of two letters (ISO 639-1).
const TWO_LETTERS: &str = "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en \
    eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn \
    ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps \
    pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi \
    vo wa wo xh yi yo za zh zu";

/// Whether this is a tag of a language, such as `fr` or `en-GB` (BCP 47): a code of two letters that ISO 639-1 has, or one of three letters,
/// and after it subtags, the names of which are not looked up.
pub(super) fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let language = parts.next().unwrap_or_default().to_ascii_lowercase();
    let is_known = match language.len() {
        2 => TWO_LETTERS.split_ascii_whitespace().any(|known| known == language),
        3 => language.bytes().all(|byte| byte.is_ascii_lowercase()),
        _ => false,
    };
    let is_part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_known && tag.len() <= 35 && parts.all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_a_language() {
        for tag in ["fr", "en", "FR", "en-GB", "zh-Hant-TW", "gsw", "fr-1990"] {
            assert!(is_language(tag), "{tag}");
        }
        for tag in [
            "",
            "f",
            "xx",
            "xx-nonsense-language",
            "french",
            "fr-",
            "-fr",
            "fr--FR",
            "fr_FR",
            "f1",
            "fr-abcdefghi",
            "fr FR",
        ] {
            assert!(!is_language(tag), "{tag}");
        }
    }
}
