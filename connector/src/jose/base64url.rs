//! Base64url without padding (RFC 7515 §2), in its one canonical spelling.

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// No padding either way, and the unused low bits of the last character must be zero: then each byte string has exactly one
/// spelling, and whatever decodes encodes back to the same text.
const STRICT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(false),
);

/// The base64url text of `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    STRICT.encode(bytes)
}

/// Appends the base64url text of `bytes` to `out`.
pub fn encode_into(bytes: &[u8], out: &mut String) {
    STRICT.encode_string(bytes, out);
}

/// The bytes that `text` spells canonically; `None` for padding, white space, foreign characters and set trailing bits.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    STRICT.decode(text).ok()
}

/// As [`decode`], for exactly `N` bytes.
pub fn decode_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 4648 §10 in the URL-safe alphabet, RFC 7515 app. C.
    #[test]
    fn published_examples() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(encode(&[3, 236, 255, 224, 193]), "A-z_4ME");
    }

    #[test]
    fn refuses_padding_space_foreign_characters_and_trailing_bits() {
        for bad in [
            "Zg==", "Zm8=", "Zh", "Zm9", "Zm9v\n", " Zm9v", "Zm 9v", "Zm9+", "Zm9/", "Zm9?", "Z", "Zm9vé",
        ] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn every_short_text_that_decodes_is_canonical() {
        let characters: Vec<char> = (0u8..128).map(char::from).collect();
        let mut accepted = 0;
        for a in &characters {
            for b in &characters {
                let text: String = [*a, *b].iter().collect();
                if let Some(bytes) = decode(&text) {
                    assert_eq!(encode(&bytes), text);
                    accepted += 1;
                }
            }
        }
        assert_eq!(accepted, 256, "one spelling for each single byte");
    }

    #[test]
    fn a_fixed_length_is_exact() {
        assert_eq!(decode_array::<3>("Zm9v"), Some(*b"foo"));
        assert_eq!(decode_array::<4>("Zm9v"), None);
        assert_eq!(decode_array::<2>("Zm9v"), None);
    }

    proptest! {
        #[test]
        fn round_trips(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn whatever_decodes_encodes_back(text in "[A-Za-z0-9_=-]{0,12}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
