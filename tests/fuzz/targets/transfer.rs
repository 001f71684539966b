//! A transfer message that is read can be written, and what was written is read as the same.
#![no_main]

use connector::dsp::{json, message::TransferMessage};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(body) = json::parse(bytes) else { return };
    let read = match TransferMessage::read(&body) {
        Ok(read) => read,
        Err(error) => {
            return assert!(
                error.to_string().len() < 1_000,
                "an error does not repeat what it was sent"
            );
        }
    };
    let id = read.id.unwrap_or_else(|| "urn:m".parse().unwrap());
    let again = |message: &TransferMessage, pids| {
        let written = message.write(&id, pids).to_string();
        json::parse(written.as_bytes())
            .ok()
            .map(|body| TransferMessage::read(&body).unwrap())
    };
    let Some(first) = again(&read.message, &read.pids) else {
        return;
    };
    assert_eq!((&first.pids, first.message.step()), (&read.pids, read.message.step()));
    let Some(second) = again(&first.message, &first.pids) else {
        return;
    };
    assert_eq!(first, second);
});
