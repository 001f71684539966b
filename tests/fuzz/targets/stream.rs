//! The lines of a stream: a record line is what its numbers and its record make, and nothing unsigned is a control line.
#![no_main]

use connector::plane::{lines, scan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for line in bytes.split(|byte| *byte == b'\n') {
        match lines::read(line, 1, |_| None) {
            Ok(lines::Line::Record { number, record }) => {
                let mut again = Vec::new();
                lines::begin_record(&mut again, number);
                again.extend_from_slice(record);
                lines::end_record(&mut again);
                // A number may have been written with leading zeros.
                assert_eq!(lines::read_record(&again), Some((number, record)));
                if scan::is_object(record) {
                    assert!(
                        scan::is_object(&again),
                        "a record within the limits makes one line of JSON"
                    );
                }
            }
            Ok(lines::Line::Control(_)) => panic!("verified without a key"),
            Err(_) => {}
        }
    }
});
