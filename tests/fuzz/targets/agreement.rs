//! Agreements with two signatures or one, as records, documents and exported files: what is read is written to the same bytes.
#![no_main]

use connector::{
    contract::verify_export,
    jose::agreement::{Document, Record, SingleDocument},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = verify_export(bytes);
    if let Ok(record) = Record::parse(bytes) {
        let again = Record::parse(record.bytes()).unwrap();
        assert_eq!(again.digest(), record.digest());
    }
    if let Ok(document) = Document::parse(bytes) {
        let written = document.to_bytes().unwrap();
        assert_eq!(Document::parse(&written).unwrap().to_bytes().unwrap(), written);
        assert!(document.verify(|_| None).is_err(), "verified without a key");
        assert!(SingleDocument::parse(bytes).is_err(), "one document is of one kind");
    }
    if let Ok(document) = SingleDocument::parse(bytes) {
        let written = document.to_bytes().unwrap();
        assert_eq!(SingleDocument::parse(&written).unwrap().to_bytes().unwrap(), written);
        assert!(document.verify(|_| None).is_err(), "verified without a key");
    }
});
