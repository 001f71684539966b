//! RFC 8785: the canonical form says the same, and is its own canonical form.
#![no_main]

use connector::{
    dsp::json,
    jose::canonical::{self, CanonicalError},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = json::parse(bytes) else { return };
    if let Ok(form) = canonical::canonicalize(&value) {
        // Escapes may make the text a little longer than what is read.
        let Ok(read) = json::parse(&form) else {
            return assert!(form.len() > json::MAX_BYTES);
        };
        match canonical::canonicalize(&read) {
            Ok(again) => assert_eq!(again, form),
            // A large double without a fraction is written like an integer, and such an integer is not taken.
            Err(error) => assert_eq!(error, CanonicalError::UnsafeInteger),
        }
    }
    if let Ok(form) = canonical::signable(&value) {
        assert_eq!(canonical::canonicalize(&value).unwrap(), form);
        if form.len() <= json::MAX_BYTES {
            assert_eq!(json::parse(&form).unwrap(), value, "what is signed reads as it was");
        }
    }
});
