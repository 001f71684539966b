//! What commands read: files or standard input, and JSON in them, with errors that name the place. JSON is read as strictly as the API reads it:
//! of a member that stands twice one would be lost on the way, and it may be the prohibition.

use super::exit::{Exit, Failure, Outcome};
use crate::dsp::json::{self, JsonError, Limits};
use serde_json::Value;
use std::{
    fs,
    io::{self, Read},
    path::Path,
};

/// A file's content; `-` is standard input.
pub(super) fn bytes(path: &Path) -> Outcome<Vec<u8>> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    read.map_err(|error| {
        let exit = if error.kind() == io::ErrorKind::NotFound {
            Exit::NotFound
        } else {
            Exit::Failed
        };
        Failure::new(exit, format!("{} cannot be read: {error}", path.display()))
            .next("correct the path, or use - for standard input")
    })
}

/// One JSON text of a file, however long the operator's file is.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let limits = Limits {
        bytes: usize::MAX,
        ..Limits::MESSAGE
    };
    json::parse_within(bytes, limits)
}

/// A file's content as one JSON value.
pub(super) fn json(path: &Path) -> Outcome<Value> {
    parse(&bytes(path)?).map_err(|error| {
        Failure::usage(format!("{} cannot be read as JSON: {error}", path.display()))
            .next("correct the file; expected is one JSON object, each of its members once")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_stands_twice_is_named_and_nothing_of_the_file_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("offer.json");
        fs::write(
            &file,
            r#"{"prohibition": [{"action": "sell"}], "prohibition": [{"action": "distribute"}]}"#,
        )
        .unwrap();
        let refused = json(&file).unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage);
        let told = refused.to_string();
        assert!(told.contains(r#"the member "prohibition" more than once"#), "{told}");
        assert!(told.contains("offer.json"), "{told}");
        fs::write(
            &file,
            r#"{"prohibition": [{"action": "sell"}, {"action": "distribute"}]}"#,
        )
        .unwrap();
        assert_eq!(json(&file).unwrap()["prohibition"][1]["action"], "distribute");
    }

    #[test]
    fn a_file_may_be_longer_than_a_message() {
        let long = format!("[{}1]", "1,".repeat(json::MAX_BYTES));
        assert!(json::parse(long.as_bytes()).is_err());
        assert!(parse(long.as_bytes()).is_ok());
    }
}
