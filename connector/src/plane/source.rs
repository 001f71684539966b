//! Where records come from: an NDJSON file, plain or gzip, read line by line and resumable. Blocking I/O, for a blocking
//! thread. Looks at line ends only; whether a line is a record is for `project` to say.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::UNIX_EPOCH;

use aws_lc_rs::digest;
use flate2::bufread::MultiGzDecoder;

use super::scan::{MAX_RECORD, RecordError};

/// How much is read from the file, or decompressed, at once.
const BUFFER: usize = 128 * 1024;
/// RFC 1952 §2.3.1: what every gzip member begins with. No JSON text does.
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];
/// How much of the file's beginning goes into its fingerprint.
const HEAD: u64 = 1024;

/// What [`FileSource::next`] met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineOutcome {
    /// A line, without its end, is in the buffer.
    Line,
    /// A line was passed over; the buffer is empty.
    Refused(RecordError),
}

/// An NDJSON file. Lines end in `\n` or `\r\n`, the last one possibly in neither; empty lines are passed over.
///
/// After an error, drop the source and open it again at the [`position`](Self::position) it had.
pub struct FileSource {
    reader: Box<dyn BufRead + Send>,
    position: u64,
    fingerprint: [u8; 32],
}

impl FileSource {
    /// Opens the file at a [`position`](Self::position) of an earlier reading, or at 0. A file that ends in `.gz` or begins like
    /// gzip is decompressed, all its members; resuming then costs decompressing what lies before.
    ///
    /// Refuses (`InvalidInput`) what is no regular file and a position where no line begins. Compare the
    /// [`fingerprint`](Self::fingerprint) with the earlier one before trusting the position.
    pub fn open(path: &Path, position: u64) -> io::Result<Self> {
        // Before opening: opening a pipe would wait for its writer.
        if !fs::metadata(path)?.is_file() {
            return Err(refused("the source is not a regular file"));
        }
        let mut file = File::open(path)?;
        let mut head = Vec::with_capacity(HEAD as usize);
        (&mut file).take(HEAD).read_to_end(&mut head)?;
        let fingerprint = fingerprint(&file.metadata()?, &head)?;
        let gzip = path.extension() == Some(OsStr::new("gz")) || head.starts_with(&GZIP_MAGIC);
        // The byte before the position must be a line end, so reading begins there.
        let before = position.saturating_sub(1);
        file.seek(SeekFrom::Start(if gzip { 0 } else { before }))?;
        let file = BufReader::with_capacity(BUFFER, file);
        let mut reader: Box<dyn BufRead + Send> = if gzip {
            let mut unzipped = MultiGzDecoder::new(file);
            io::copy(&mut (&mut unzipped).take(before), &mut io::sink())?;
            Box::new(BufReader::with_capacity(BUFFER, unzipped))
        } else {
            Box::new(file)
        };
        if position > 0 {
            take_line_end(&mut *reader)?;
        }
        Ok(Self {
            reader,
            position,
            fingerprint,
        })
    }

    /// Offset, in the uncompressed stream, of the next unread line.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What tells this file from a changed one: SHA-256 over its length, its modification time and its first KiB, as they were
    /// when it was opened. Any ordinary change shows, appending and replacing included; a change that keeps length and
    /// modification time and spares the first KiB does not. Copying a file without its time counts as a change.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Reads the next line into `line`, whose former content is dropped; `None` at the end of the stream.
    ///
    /// A line over [`MAX_RECORD`] bytes is passed over without being held. A gzip stream that breaks off is an error, and the
    /// line it breaks is not given.
    pub fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Option<LineOutcome>> {
        loop {
            let outcome = self.read_line(line)?;
            if outcome != Some(LineOutcome::Line) || !line.is_empty() {
                return Ok(outcome);
            }
        }
    }

    fn read_line(&mut self, line: &mut Vec<u8>) -> io::Result<Option<LineOutcome>> {
        let (mut bytes, mut too_long, mut ended) = (0, false, false);
        line.clear();
        while !ended {
            let buffer = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                filled => filled?,
            };
            if buffer.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', buffer);
            let content = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            // One byte more than a record, because it may be the carriage return of the line's end.
            too_long |= line.len() + content.len() > MAX_RECORD + 1;
            if !too_long {
                line.extend_from_slice(content);
            }
            ended = end.is_some();
            let taken = content.len() + usize::from(ended);
            self.reader.consume(taken);
            bytes += taken as u64;
        }
        self.position += bytes;
        line.pop_if(|last| *last == b'\r');
        if too_long || line.len() > MAX_RECORD {
            line.clear();
            return Ok(Some(LineOutcome::Refused(RecordError::TooLong)));
        }
        Ok((bytes > 0).then_some(LineOutcome::Line))
    }
}

/// Takes the byte before a position and refuses the position unless a line begins there, or the stream ends.
fn take_line_end(reader: &mut dyn BufRead) -> io::Result<()> {
    let mut last = [0];
    let read = reader.read(&mut last)?;
    if read == 1 && (last == *b"\n" || reader.fill_buf()?.is_empty()) {
        return Ok(());
    }
    Err(refused("no line of the source begins at the given position"))
}

fn fingerprint(metadata: &Metadata, head: &[u8]) -> io::Result<[u8; 32]> {
    let (after, modified) = match metadata.modified()?.duration_since(UNIX_EPOCH) {
        Ok(since) => (1, since.as_nanos()),
        Err(until) => (0, until.duration().as_nanos()),
    };
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(b"connector file source 1\0");
    hash.update(&metadata.len().to_be_bytes());
    hash.update(&[after]);
    hash.update(&modified.to_be_bytes());
    hash.update(head);
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(hash.finish().as_ref());
    Ok(fingerprint)
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests;
