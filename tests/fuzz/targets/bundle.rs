//! Evidence bundles: nobody's bytes bring the verifier down, and none verify that no key signed.
#![no_main]

use connector::evidence::verify;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    assert!(verify(bytes, &[]).is_err(), "verified without a key");
});
