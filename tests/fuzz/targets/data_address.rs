//! A data address that is read is written so that it is read as it was.
#![no_main]

use connector::dsp::{json, message::DataAddress};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(body) = json::parse(bytes) else { return };
    match DataAddress::read(&body) {
        Ok(address) => assert_eq!(DataAddress::read(&address.write()), Ok(address)),
        Err(error) => assert!(
            error.to_string().len() < 1_000,
            "an error does not repeat what it was sent"
        ),
    }
});
