//! What a peer that cannot sign sends: bytes into a file, with nothing proven about them. Taken from the beginning each time.

use super::{PlaneError, incoming::Progress};
use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// One connection's worth of an unsigned stream on its way into a file.
pub struct Raw {
    file: BufWriter<File>,
    lines: u64,
    bytes: u64,
    open_line: bool,
}

impl Raw {
    /// Opens the file and empties it.
    pub fn open(path: &Path) -> Result<Self, PlaneError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            // Learners' records are for the daemon's user alone.
            .mode(0o600)
            .open(path)
            .map_err(PlaneError::Sink)?;
        Ok(Self {
            file: BufWriter::with_capacity(256 * 1024, file),
            lines: 0,
            bytes: 0,
            open_line: false,
        })
    }

    /// Lines so far, the open one included, and bytes.
    pub fn counts(&self) -> (u64, u64) {
        (self.lines + u64::from(self.open_line), self.bytes)
    }

    /// Takes in bytes as they arrive.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), PlaneError> {
        self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.bytes += bytes.len() as u64;
        if let Some(last) = bytes.last() {
            self.open_line = *last != b'\n';
        }
        self.file.write_all(bytes).map_err(PlaneError::Sink)
    }

    /// Makes everything received so far durable.
    pub fn sync(&mut self) -> Result<(), PlaneError> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_data())
            .map_err(PlaneError::Sink)
    }

    /// What was received, once the sender has closed its stream properly.
    pub fn ended(&self) -> Progress {
        let (records, bytes) = self.counts();
        Progress {
            records,
            bytes,
            complete: true,
            unsigned: true,
            ..Progress::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsigned_stream_is_kept_byte_for_byte_and_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("raw");
        std::fs::write(&path, "what an attempt before left").unwrap();
        let mut raw = Raw::open(&path).unwrap();
        for piece in ["{\"a\"", ":1}\n", "", "{\"b\":2}"] {
            raw.feed(piece.as_bytes()).unwrap();
        }
        raw.sync().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{\"b\":2}");
        let ended = raw.ended();
        assert_eq!(
            (ended.records, ended.bytes, ended.complete, ended.unsigned),
            (2, 15, true, true)
        );
    }
}
