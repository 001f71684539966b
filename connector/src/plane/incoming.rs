//! The receiving end of a stream: checks every line, hashes every record, writes them to a file, and notes where it can be taken up
//! again. A plain state machine over bytes; the network is the caller's. Of records that may not be kept only the hash is written.

use super::{
    PlaneError,
    lines::{self, Line},
    scan,
};
use crate::{
    audit::merkle::{self, Frontier},
    consent::exchange::{Filter, Place},
    dsp::Pid,
    jose::{VerifyingKey, base64url},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

/// Longest line that is accepted: the largest record and its envelope.
const MAX_LINE: usize = scan::MAX_RECORD * 2;

/// How far a reception has come; durable only as far as the file was synced when it was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Records received.
    pub records: u64,
    /// Of how many only the hash was written, because their learner had taken their consent back.
    #[serde(default)]
    pub left_out: u64,
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// The provider's cursor after those records.
    pub cursor: Option<String>,
    /// The Merkle tree over those records, as base64url.
    pub frontier: String,
    /// The end line was received and agrees.
    pub complete: bool,
    /// The sender cannot sign: nothing about the bytes is proven.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsigned: bool,
    /// The signed line that the newest connection began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin: Option<String>,
    /// The signed end line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Of how many learners, at least, the provider says that it withheld records, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<u64>,
}

impl Progress {
    /// The root over the records, as base64url.
    pub fn root(&self) -> Option<String> {
        Some(self.tree()?.root().to_string())
    }

    fn tree(&self) -> Option<Frontier> {
        if self.frontier.is_empty() {
            return Some(Frontier::new());
        }
        Frontier::from_bytes(&base64url::decode(&self.frontier)?).ok()
    }
}

/// What a stream must say about itself.
#[derive(Clone)]
pub struct Expected {
    /// The provider's id of the transfer.
    pub transfer: Pid,
    /// The agreement's id.
    pub agreement: String,
    /// The provider's keys by id.
    pub key: KeyLookup,
    /// What may not be kept, as it is known now; asked for each piece that arrives.
    pub filter: FilterLookup,
}

/// Finds a public key by its id.
pub type KeyLookup = Arc<dyn Fn(&str) -> Option<VerifyingKey> + Send + Sync>;

/// Finds what may not be kept of a stream; none where all may.
pub type FilterLookup = Arc<dyn Fn() -> Option<Filter> + Send + Sync>;

/// Where control lines are in a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begin,
    Records,
    End,
}

/// One connection's worth of a stream on its way into a file.
pub struct Incoming {
    expected: Expected,
    file: BufWriter<File>,
    partial: Vec<u8>,
    tree: Frontier,
    records: u64,
    left_out: u64,
    bytes: u64,
    filter: Option<Filter>,
    line: u64,
    stage: Stage,
    begin: Option<String>,
    /// The last point at which everything agreed with the provider's signature.
    agreed: Progress,
}

impl Incoming {
    /// Opens the file and cuts off what was written after the last agreed point.
    pub fn open(path: &Path, from: &Progress, expected: Expected) -> Result<Self, PlaneError> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            // Learners' records are for the daemon's user alone.
            .mode(0o600)
            .open(path)
            .map_err(PlaneError::Sink)?;
        if file.metadata().map_err(PlaneError::Sink)?.len() < from.bytes {
            return Err(PlaneError::Sink(std::io::Error::other(
                "the file is shorter than what was received before",
            )));
        }
        file.set_len(from.bytes).map_err(PlaneError::Sink)?;
        file.seek(SeekFrom::End(0)).map_err(PlaneError::Sink)?;
        let tree = from
            .tree()
            .ok_or(PlaneError::Cursor("the stored progress cannot be read"))?;
        Ok(Self {
            expected,
            file: BufWriter::with_capacity(256 * 1024, file),
            partial: Vec::new(),
            tree,
            records: from.records,
            left_out: from.left_out,
            bytes: from.bytes,
            filter: None,
            line: 0,
            stage: Stage::Begin,
            begin: None,
            agreed: from.clone(),
        })
    }

    /// Records received so far, and bytes.
    pub fn counts(&self) -> (u64, u64) {
        (self.records, self.bytes)
    }

    /// The last agreed point.
    pub fn agreed(&self) -> &Progress {
        &self.agreed
    }

    /// Takes in bytes as they arrive.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), PlaneError> {
        self.filter = (self.expected.filter)();
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            if self.partial.is_empty() {
                self.line(line)?;
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                self.line(&whole)?;
                whole.clear();
                self.partial = whole;
            }
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > MAX_LINE {
            return Err(self.broken("it is too long"));
        }
        Ok(())
    }

    fn broken(&self, problem: impl Into<String>) -> PlaneError {
        PlaneError::Stream {
            line: self.line,
            problem: problem.into(),
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), PlaneError> {
        self.line += 1;
        if line.len() > MAX_LINE {
            return Err(self.broken("it is too long"));
        }
        if self.stage == Stage::End {
            return Err(self.broken("it comes after the end"));
        }
        match lines::read(line, self.line, &*self.expected.key)? {
            Line::Record { number, record } => self.record(line, number, record),
            Line::Control(members) => self.control(line, &members),
        }
    }

    fn record(&mut self, line: &[u8], number: u64, record: &[u8]) -> Result<(), PlaneError> {
        if self.stage == Stage::Begin {
            return Err(self.broken("a record comes before the begin line"));
        }
        if number != self.records + 1 {
            return Err(self.broken(format!("record {number} comes after record {}", self.records)));
        }
        if !scan::is_object(record) {
            return Err(self.broken("the record is not a JSON object"));
        }
        self.records = number;
        self.tree.append(merkle::leaf_hash(line));
        let filter = self.filter.as_ref();
        if filter.is_some_and(|filter| filter.leaves_out(number, record, Place::Arriving).is_some()) {
            self.left_out += 1;
            return self.write(&lines::erased(number, line));
        }
        self.write(line)
    }

    fn write(&mut self, line: &[u8]) -> Result<(), PlaneError> {
        self.bytes += line.len() as u64 + 1;
        self.file
            .write_all(line)
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(PlaneError::Sink)
    }

    fn control(&mut self, line: &[u8], members: &Map<String, Value>) -> Result<(), PlaneError> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        if text("transfer") != Some(self.expected.transfer.as_str()) {
            return Err(self.broken("it belongs to another transfer"));
        }
        let root = self.tree.root().to_string();
        if members.get("n").and_then(Value::as_u64) != Some(self.records) || text("root") != Some(&root) {
            return Err(self.broken("its count or root is not that of the records received"));
        }
        match (text("t"), self.stage) {
            (Some("begin"), Stage::Begin) => {
                if text("agreement") != Some(&self.expected.agreement) {
                    return Err(self.broken("it belongs to another agreement"));
                }
                self.stage = Stage::Records;
                self.begin = std::str::from_utf8(line).ok().map(str::to_owned);
                self.write(line)?;
            }
            (Some("cp"), Stage::Records) => {
                let cursor = text("cursor").filter(|cursor| cursor.len() <= 8192);
                self.agree(
                    line,
                    Some(cursor.ok_or_else(|| self.broken("it has no usable cursor"))?.to_owned()),
                )?;
            }
            (Some("end"), Stage::Records) => {
                let withheld = members.get("withheld").map(Value::as_u64);
                if withheld == Some(None) {
                    return Err(self.broken("what it withheld is no number"));
                }
                self.stage = Stage::End;
                self.agree(line, None)?;
                self.agreed.complete = true;
                self.agreed.withheld = withheld.flatten();
                self.agreed.end = std::str::from_utf8(line).ok().map(str::to_owned);
            }
            _ => return Err(self.broken("a control line is out of place")),
        }
        Ok(())
    }

    /// Keeps the signed line in the file too: the file proves itself.
    fn agree(&mut self, line: &[u8], cursor: Option<String>) -> Result<(), PlaneError> {
        self.write(line)?;
        let frontier = base64url::encode(&self.tree.to_bytes());
        self.agreed = Progress {
            records: self.records,
            left_out: self.left_out,
            bytes: self.bytes,
            cursor,
            frontier,
            begin: self.begin.clone(),
            ..Progress::default()
        };
        Ok(())
    }

    /// Makes everything received so far durable; the last agreed point may be recorded afterwards.
    pub fn sync(&mut self) -> Result<(), PlaneError> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_data())
            .map_err(PlaneError::Sink)
    }
}
