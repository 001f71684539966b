//! A catalog that is read can be written, as far as its datasets can be negotiated, and is read as it was.
#![no_main]

use connector::dsp::{catalog, json, message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(body) = json::parse(bytes) else { return };
    let _ = catalog::read_request(&body);
    let _ = message::read_error(&body);
    let mut listed = match catalog::read(&body) {
        Ok(listed) => listed,
        Err(error) => {
            return assert!(
                error.to_string().len() < 1_000,
                "an error does not repeat what it was sent"
            );
        }
    };
    listed
        .datasets
        .retain(|dataset| !dataset.offers.is_empty() && !dataset.formats.is_empty());
    let written = catalog::write(&listed, "https://provider.example/dsp/2025-1");
    assert_eq!(catalog::read(&written), Ok(listed));
});
