//! What the strict reader accepts, any reader of JSON understands alike, and it is read again as it was.
#![no_main]

use connector::dsp::json;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    match json::parse(bytes) {
        Ok(value) => {
            let written = value.to_string();
            assert_eq!(json::parse(written.as_bytes()).as_ref(), Ok(&value));
            // serde_json gives one member name a meaning of its own.
            if !written.contains("$serde_json::") {
                assert_eq!(serde_json::from_slice::<Value>(bytes).unwrap(), value);
            }
        }
        Err(error) => assert!(
            error.to_string().len() < 1_000,
            "an error does not repeat what it was sent"
        ),
    }
});
