//! How rows lie in sled's one tree: short rows whole, long rows cut into chunks, so that no tree page grows large (g4).
//!
//! `r` + row key holds a version and the value, or, with the top bit of the version set, no value: then it lies in
//! `c` + version + chunk number. Versions never repeat, so a chunk never changes between its creation and its removal, and a
//! reader that finds all chunks of a version has read one whole value.

use std::ops::Bound;

use super::{StoreError, store_error};
use crate::store::{Version, plan};

/// The longest piece of a value in one sled item, in bytes.
pub(super) const CHUNK: usize = 16 << 10;
/// Marks a row whose value lies in chunks.
const CHUNKED: u64 = 1 << 63;
const ROW: u8 = b'r';
const PIECE: u8 = b'c';
/// How often a row may be overwritten under a reader that collects its chunks.
const TRIES: usize = 1_000;

/// A row key with its row.
pub(super) type Keyed = (Vec<u8>, Vec<u8>);

fn physical(key: &[u8]) -> Vec<u8> {
    [&[ROW], key].concat()
}

fn piece(version: u64, number: u8) -> Vec<u8> {
    [&[PIECE][..], &version.to_be_bytes(), &[number]].concat()
}

/// The version that a head names, without the mark, and whether the value lies in chunks.
fn head(stored: &[u8]) -> Result<(u64, bool), StoreError> {
    let (Version(version), _) = plan::decode_row(stored)?;
    Ok((version & !CHUNKED, version & CHUNKED != 0))
}

fn pieces(db: &sled::Db, version: u64) -> impl Iterator<Item = Result<(Vec<u8>, sled::IVec), StoreError>> {
    let prefix = [&[PIECE][..], &version.to_be_bytes()].concat();
    db.scan_prefix(prefix)
        .map(|entry| entry.map(|(key, bytes)| (key.to_vec(), bytes)).map_err(store_error))
}

/// The row under a key: version and value.
pub(super) fn load(db: &sled::Db, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let key = physical(key);
    for _ in 0..TRIES {
        let Some(stored) = db.get(&key).map_err(store_error)? else {
            return Ok(None);
        };
        if let Some(row) = whole(db, &stored)? {
            return Ok(Some(row));
        }
    }
    Err(StoreError::Corrupt("a value has lost a part of itself".to_owned()))
}

/// The row that a stored head stands for; `None` when its chunks are gone, because it was overwritten meanwhile.
fn whole(db: &sled::Db, stored: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let (version, chunked) = head(stored)?;
    if !chunked {
        return Ok(Some(stored.to_vec()));
    }
    let (_, length) = plan::decode_row(stored)?;
    let length = <[u8; 4]>::try_from(length).map(u32::from_be_bytes);
    let length = length.map_err(|_| StoreError::Corrupt("a long value has no length".to_owned()))?;
    let mut row = version.to_be_bytes().to_vec();
    for entry in pieces(db, version) {
        row.extend_from_slice(&entry?.1);
    }
    Ok((row.len() as u64 == 8 + u64::from(length)).then_some(row))
}

/// The version of the row under a key.
pub(super) fn version(db: &sled::Db, key: &[u8]) -> Result<Option<Version>, StoreError> {
    let stored = db.get(physical(key)).map_err(store_error)?;
    stored
        .map(|stored| head(&stored).map(|(version, _)| Version(version)))
        .transpose()
}

/// Rows in key order, with their keys, as far as those begin with `prefix`; no other row is read. A row that is removed meanwhile may be
/// missing.
pub(super) fn rows_from(
    db: &sled::Db,
    start: Bound<Vec<u8>>,
    prefix: &[u8],
) -> impl Iterator<Item = Result<Keyed, StoreError>> {
    let (start, prefix) = (start.map(|key| physical(&key)), physical(prefix));
    db.range((start, Bound::Excluded(vec![ROW + 1])))
        .take_while(move |entry| entry.as_ref().map_or(true, |(key, _)| key.starts_with(&prefix)))
        .filter_map(|entry| row_of(db, entry).transpose())
}

fn row_of(db: &sled::Db, entry: sled::Result<(sled::IVec, sled::IVec)>) -> Result<Option<Keyed>, StoreError> {
    let (key, stored) = entry.map_err(store_error)?;
    let key: Vec<u8> = key.iter().skip(1).copied().collect();
    let row = match whole(db, &stored)? {
        Some(row) => Some(row),
        None => load(db, &key)?,
    };
    Ok(row.map(|row| (key, row)))
}

/// Adds to `batch` what makes `row` (version and value; `None` for none) the row under `key`.
pub(super) fn write(db: &sled::Db, batch: &mut sled::Batch, key: &[u8], row: Option<&[u8]>) -> Result<(), StoreError> {
    let key = physical(key);
    if let Some(old) = db.get(&key).map_err(store_error)?
        && let (version, true) = head(&old)?
    {
        for entry in pieces(db, version) {
            batch.remove(entry?.0);
        }
    }
    let Some(row) = row else {
        batch.remove(key);
        return Ok(());
    };
    let (Version(version), value) = plan::decode_row(row)?;
    if value.len() <= CHUNK {
        batch.insert(key, row);
        return Ok(());
    }
    // MAX_VALUE is 64 KiB, so the length fits and the chunks can be counted in a byte.
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    batch.insert(
        key,
        [&(version | CHUNKED).to_be_bytes()[..], &length.to_be_bytes()].concat(),
    );
    for (number, bytes) in (0..=u8::MAX).zip(value.chunks(CHUNK)) {
        batch.insert(piece(version, number), bytes);
    }
    Ok(())
}
