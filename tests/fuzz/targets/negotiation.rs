//! A negotiation message that is read can be written, and what was written is read as the same.
#![no_main]

use connector::dsp::{json, message::NegotiationMessage};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(body) = json::parse(bytes) else { return };
    let read = match NegotiationMessage::read(&body) {
        Ok(read) => read,
        Err(error) => {
            return assert!(
                error.to_string().len() < 1_000,
                "an error does not repeat what it was sent"
            );
        }
    };
    let id = read.id.unwrap_or_else(|| "urn:m".parse().unwrap());
    let again = |message: &NegotiationMessage, pids| {
        let written = message.write(&id, pids).to_string();
        // Writing may add a member or two to a body that is just short enough.
        json::parse(written.as_bytes())
            .ok()
            .map(|body| NegotiationMessage::read(&body).unwrap())
    };
    // A callback address loses its trailing slash the first time.
    let Some(first) = again(&read.message, &read.pids) else {
        return;
    };
    assert_eq!((&first.pids, first.message.step()), (&read.pids, read.message.step()));
    assert_eq!(first.id.as_ref(), Some(&id));
    let Some(second) = again(&first.message, &first.pids) else {
        return;
    };
    assert_eq!(first, second);
});
