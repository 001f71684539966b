//! What is remembered of requests with keys, for a day and across restarts.
//!
//! Three kinds of rows, all under a hash of the key: that it began and what became of it; when it may be forgotten, so that old ones are
//! found in order; and the answer, compressed, in pieces that the store accepts.

use crate::{
    dsp::Pid,
    http::problem::Problem,
    jose::{self, Digest},
    process::{decode, encode},
    store::{Batch, Guard, Store, StoreError, Table},
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    io::{Read, Write},
    sync::Arc,
    time::Duration,
};

const KEYS: Table = Table(15);

/// How long a key is remembered.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A piece of an answer, in bytes.
const PIECE: usize = 60 * 1024;
/// Pieces in one commit.
const PIECES_AT_ONCE: usize = 16;
/// Longest answer that is kept, in pieces.
const MOST_PIECES: usize = 1024;

/// A request that began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    /// Hash over method, path, query and body.
    pub(super) request: Digest,
    /// The id of the process that it opens, if it opens one.
    pub(super) pid: Pid,
    /// When it began.
    pub(super) at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Row {
    begun: Begun,
    until: Timestamp,
    answer: Option<Answered>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Answered {
    status: u16,
    /// `None`: too large to be kept.
    pieces: Option<u32>,
}

/// An answer as it was given.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// What is known of a key.
pub(super) enum Known {
    Nothing,
    /// A request began, and nobody saw it end.
    Other(Begun),
    /// It was answered; the answer is missing if it was too large.
    Answered(Begun, Option<Answer>),
}

/// The keys in the store.
pub(super) struct Kept(Arc<dyn Store>);

pub(super) fn fresh_pid(now: Timestamp) -> Result<Pid, Problem> {
    let uuid = jose::uuid(now).map_err(|error| Problem::internal(&error))?;
    Ok(Pid::from_uuid(uuid))
}

fn row_key(key: &[u8]) -> Vec<u8> {
    [b"k", key].concat()
}

fn time_key(until: Timestamp, key: &[u8]) -> Vec<u8> {
    [b"t", until.seconds().max(0).to_be_bytes().as_slice(), key].concat()
}

fn pieces_of(key: &[u8]) -> Vec<u8> {
    [b"a", key].concat()
}

fn piece_key(key: &[u8], number: u32) -> Vec<u8> {
    [b"a", key, number.to_be_bytes().as_slice()].concat()
}

fn corrupt(error: &std::io::Error) -> StoreError {
    StoreError::Corrupt(format!("a kept answer cannot be read: {error}"))
}

impl Kept {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    pub(super) async fn find(&self, key: &Digest, now: Timestamp) -> Result<Known, StoreError> {
        let key = key.as_bytes();
        let Some(item) = self.0.get(KEYS, &row_key(key)).await? else {
            return Ok(Known::Nothing);
        };
        let row: Row = decode(&item.value)?;
        if row.until <= now {
            forget(&*self.0, key, row.until, Guard::At(item.version)).await?;
            return Ok(Known::Nothing);
        }
        let Some(answered) = row.answer else {
            return Ok(Known::Other(row.begun));
        };
        let Some(pieces) = answered.pieces else {
            return Ok(Known::Answered(row.begun, None));
        };
        let mut packed = Vec::new();
        for number in 0..pieces {
            let piece = self.0.get(KEYS, &piece_key(key, number)).await?;
            let piece = piece.ok_or_else(|| StoreError::Corrupt("a piece of a kept answer is missing".into()))?;
            packed.extend_from_slice(&piece.value);
        }
        let mut body = Vec::new();
        GzDecoder::new(packed.as_slice())
            .read_to_end(&mut body)
            .map_err(|error| corrupt(&error))?;
        let status = answered.status;
        Ok(Known::Answered(row.begun, Some(Answer { status, body })))
    }

    /// Notes that a request begins. Durable when it returns.
    pub(super) async fn begin(&self, key: Digest, request: Digest, now: Timestamp) -> Result<Begun, Problem> {
        let begun = Begun {
            request,
            pid: fresh_pid(now)?,
            at: now,
        };
        let row = Row {
            begun,
            until: now.plus(DAY),
            answer: None,
        };
        let mut batch = Batch::new();
        batch.insert(KEYS, row_key(key.as_bytes()), encode(&row)?);
        batch.put(KEYS, time_key(row.until, key.as_bytes()), []);
        self.0.commit(batch).await?;
        Ok(row.begun)
    }

    /// Keeps what was answered. Durable when it returns.
    pub(super) async fn end(&self, key: Digest, begun: Begun, status: u16, body: &[u8]) -> Result<(), StoreError> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(body).map_err(|error| corrupt(&error))?;
        let packed = packer.finish().map_err(|error| corrupt(&error))?;
        let pieces: Vec<&[u8]> = packed.chunks(PIECE).collect();
        let kept = pieces.len() <= MOST_PIECES;
        let answered = Answered {
            status,
            pieces: if kept { u32::try_from(pieces.len()).ok() } else { None },
        };
        let row = Row {
            until: begun.at.plus(DAY),
            begun,
            answer: Some(answered),
        };
        let mut batch = Batch::new();
        for (number, piece) in (0_u32..).zip(pieces).filter(|_| kept) {
            batch.put(KEYS, piece_key(key.as_bytes(), number), piece);
            if batch.writes.len() == PIECES_AT_ONCE {
                self.0.commit(std::mem::take(&mut batch)).await?;
            }
        }
        batch.put(KEYS, row_key(key.as_bytes()), encode(&row)?);
        self.0.commit(batch).await?;
        Ok(())
    }

    /// Forgets a key whose request was not carried out.
    pub(super) async fn forget(&self, key: &Digest) -> Result<(), StoreError> {
        let Some(item) = self.0.get(KEYS, &row_key(key.as_bytes())).await? else {
            return Ok(());
        };
        let row: Row = decode(&item.value)?;
        forget(&*self.0, key.as_bytes(), row.until, Guard::At(item.version)).await
    }
}

/// Removes everything of a key, the pieces first: a crash in between leaves nothing that nobody finds.
async fn forget(store: &dyn Store, key: &[u8], until: Timestamp, guard: Guard) -> Result<(), StoreError> {
    loop {
        let rows = store.scan(KEYS, &pieces_of(key), None, PIECES_AT_ONCE).await?;
        let mut batch = Batch::new();
        batch.require(KEYS, row_key(key), guard.clone());
        for row in &rows {
            batch.delete(KEYS, row.key.clone());
        }
        if rows.len() < PIECES_AT_ONCE {
            batch.delete(KEYS, row_key(key));
            batch.delete(KEYS, time_key(until, key));
            store.commit(batch).await?;
            return Ok(());
        }
        store.commit(batch).await?;
    }
}

/// Forgets keys whose day is over; returns how many.
pub async fn sweep(store: &dyn Store, now: Timestamp) -> Result<usize, StoreError> {
    let mut swept = 0;
    let limit = time_key(now, &[]);
    loop {
        let rows = store.scan(KEYS, b"t", None, 256).await?;
        let old = rows.iter().take_while(|row| row.key < limit);
        let mut some = false;
        for row in old {
            let Some((time, key)) = row.key.get(1..).and_then(|rest| rest.split_first_chunk::<8>()) else {
                return Err(StoreError::Corrupt("a row of the keys cannot be read".into()));
            };
            let until = Timestamp::from_seconds(i64::from_be_bytes(*time));
            let found = store.get(KEYS, &row_key(key)).await?;
            let guard = found.map_or(Guard::Absent, |item| Guard::At(item.version));
            forget(store, key, until, guard).await?;
            some = true;
            swept += 1;
        }
        if !some {
            return Ok(swept);
        }
    }
}

#[cfg(test)]
mod tests;
