//! Messages about consents and links: what is read is written again and read as the same, and is of one kind.
#![no_main]

use connector::consent::{
    exchange::{Content, Decision, Disclosure, Erasure, Receipt, Request, Withdrawal, message},
    links::{LinkConfirmation, LinkRequest},
};
use libfuzzer_sys::fuzz_target;
use policy::Timestamp;

/// Whether the bytes are a message of this kind.
fn is<T: Content>(bytes: &[u8]) -> bool {
    let Ok(read) = message::read::<T>(bytes) else {
        return false;
    };
    let (id, written) = message::write(&read.content, Timestamp::from_seconds(1_700_000_000)).expect("an id");
    let again = message::read::<T>(written.as_bytes()).expect("what we write is read");
    assert_eq!(again.id, id);
    let as_json = |content: &T| serde_json::to_value(content).expect("a message is JSON");
    assert_eq!(as_json(&again.content), as_json(&read.content));
    true
}

fuzz_target!(|bytes: &[u8]| {
    let kinds = [
        is::<Request>(bytes),
        is::<Decision>(bytes),
        is::<Receipt>(bytes),
        is::<Withdrawal>(bytes),
        is::<Erasure>(bytes),
        is::<Disclosure>(bytes),
        is::<LinkRequest>(bytes),
        is::<LinkConfirmation>(bytes),
    ];
    assert!(
        kinds.iter().filter(|is_it| **is_it).count() <= 1,
        "a message is of one kind"
    );
});
