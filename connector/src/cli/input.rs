//! What commands read: files or standard input, and JSON in them, with errors that name the place.

use super::exit::{Exit, Failure, Outcome};
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

/// A file's content as one JSON value.
pub(super) fn json(path: &Path) -> Outcome<Value> {
    serde_json::from_slice(&bytes(path)?).map_err(|error| {
        Failure::usage(format!("{} is not JSON: {error}", path.display()))
            .next("correct the file; expected is one JSON object")
    })
}
