//! Full blocks of numbered tables, each in a file of its own: what only grows and never changes needs no tree.
//!
//! sled keeps some hundred bytes in memory for every tree page, however cold, and a page holds about nine rows. A log would grow there
//! for as long as the daemon lives. So when [`BLOCK`] rows of a numbered table are complete they go into a file; only when that is synced
//! are they counted as moved and removed from the tree, in one atomic change. A crash in between leaves a file that is written again, the
//! same.
//!
//! A file holds the ends of its rows, four bytes each, then the rows, each followed by a CRC-32 over its number and itself.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{StoreError, chunks, store_error};
use crate::store::{Row, Table, plan};

/// Rows of one file.
pub(super) const BLOCK: u64 = 256;
/// The ends of its rows, in bytes.
const ENDS: usize = BLOCK as usize * 4;
/// What the key of a table's count of moved blocks begins with.
const MOVED: u8 = b'm';
/// What a file is called until it is whole.
const UNFINISHED: &str = "new";

/// How many blocks of each numbered table are in files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Moved(BTreeMap<u8, u64>);

impl Moved {
    /// As counted in the tree.
    pub(super) fn load(db: &sled::Db) -> Result<Self, StoreError> {
        let damaged = || StoreError::Corrupt("the count of a table's blocks cannot be read".to_owned());
        let mut moved = BTreeMap::new();
        for entry in db.scan_prefix([MOVED]) {
            let (key, count) = entry.map_err(store_error)?;
            let table = key.get(1).copied().ok_or_else(damaged)?;
            let count = <[u8; 8]>::try_from(&*count).map_err(|_| damaged())?;
            moved.insert(table, u64::from_be_bytes(count));
        }
        Ok(Self(moved))
    }

    /// How many blocks of a table.
    pub(super) fn blocks(&self, table: Table) -> u64 {
        self.0.get(&table.0).copied().unwrap_or(0)
    }

    /// How many rows of a table: all below this number are in files.
    pub(super) fn rows(&self, table: Table) -> u64 {
        self.blocks(table) * BLOCK
    }

    /// Whether a key names a row that is in a file.
    pub(super) fn holds(&self, table: Table, key: &[u8]) -> Option<u64> {
        let number = u64::from_be_bytes(key.try_into().ok()?);
        (number < self.rows(table)).then_some(number)
    }

    /// Counts one block more.
    pub(super) fn add(&mut self, table: Table) {
        *self.0.entry(table.0).or_default() += 1;
    }

    /// Adds to `batch` what makes the tree forget the rows of the newest block of a table and count it as moved.
    pub(super) fn write(&self, db: &sled::Db, batch: &mut sled::Batch, table: Table) -> Result<(), StoreError> {
        let blocks = self.blocks(table);
        batch.insert(&[MOVED, table.0], &blocks.to_be_bytes());
        for number in numbers(blocks.saturating_sub(1)) {
            chunks::write(db, batch, &plan::row_key(table, &number.to_be_bytes()), None)?;
        }
        Ok(())
    }
}

/// The numbers of the rows of a block.
pub(super) fn numbers(block: u64) -> Range<u64> {
    block * BLOCK..(block + 1) * BLOCK
}

/// The files.
#[derive(Debug)]
pub(super) struct Blocks(PathBuf);

impl Blocks {
    /// In a folder below the store's, which is made; what a crash left unfinished is removed.
    pub(super) fn open(store: &Path) -> io::Result<Self> {
        let folder = store.join("numbered");
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                fs::remove_file(path)?;
            }
        }
        File::open(&folder)?.sync_all()?;
        Ok(Self(folder))
    }

    fn path(&self, table: Table, block: u64) -> PathBuf {
        self.0.join(format!("{:02x}-{block:012x}", table.0))
    }

    /// Writes a whole block; it is on disk afterwards.
    pub(super) fn write(&self, table: Table, block: u64, rows: &[Vec<u8>]) -> io::Result<()> {
        let (mut ends, mut bytes) = (Vec::with_capacity(ENDS), Vec::new());
        for (number, row) in numbers(block).zip(rows) {
            bytes.extend_from_slice(row);
            bytes.extend_from_slice(&sum(number, row).to_be_bytes());
            let end = u32::try_from(ENDS + bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
            ends.extend_from_slice(&end.to_be_bytes());
        }
        let path = self.path(table, block);
        let unfinished = path.with_extension(UNFINISHED);
        let mut file = File::create(&unfinished)?;
        file.write_all(&ends)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(&self.0)?.sync_all()
    }

    /// Rows with these numbers, all of one block.
    pub(super) fn read(&self, table: Table, numbers: Range<u64>) -> Result<Vec<Vec<u8>>, StoreError> {
        let block = numbers.start / BLOCK;
        let path = self.path(table, block);
        let damaged = || StoreError::Corrupt(format!("the block {} is damaged", path.display()));
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => damaged(),
            _ => StoreError::Failed(format!("{}: {error}", path.display())),
        };
        let file = File::open(&path).map_err(failed)?;
        let mut ends = [0; ENDS];
        file.read_exact_at(&mut ends, 0).map_err(failed)?;
        let (ends, _) = ends.as_chunks::<4>();
        let end = |number: u64| {
            let place = number
                .checked_sub(block * BLOCK)
                .and_then(|place| usize::try_from(place).ok());
            place
                .and_then(|place| ends.get(place))
                .map(|end| u32::from_be_bytes(*end))
        };
        let start = |number: u64| match number % BLOCK {
            0 => u32::try_from(ENDS).ok(),
            _ => end(number - 1),
        };
        let (Some(first), Some(last)) = (start(numbers.start), numbers.end.checked_sub(1).and_then(end)) else {
            return Err(damaged());
        };
        let length = last.checked_sub(first).ok_or_else(damaged)?;
        let longest = u64::from(length) > file.metadata().map_err(failed)?.len();
        if longest {
            return Err(damaged());
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, u64::from(first)).map_err(failed)?;
        let mut rows = Vec::new();
        for number in numbers {
            let (Some(from), Some(to)) = (start(number), end(number)) else {
                return Err(damaged());
            };
            let place = from.checked_sub(first).zip(to.checked_sub(first));
            let row = place.and_then(|(from, to)| bytes.get(from as usize..to as usize));
            rows.push(checked(number, row.ok_or_else(damaged)?).ok_or_else(damaged)?);
        }
        Ok(rows)
    }
}

/// CRC-32 over the number of a row and the row: four zeros are no empty row, and a row is none of another number.
fn sum(number: u64, row: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_be_bytes());
    hasher.update(row);
    hasher.finalize()
}

/// A row without its CRC-32, if that is right.
fn checked(number: u64, row: &[u8]) -> Option<Vec<u8>> {
    let (row, found) = row.split_last_chunk::<4>()?;
    (sum(number, row) == u32::from_be_bytes(*found)).then(|| row.to_vec())
}

/// Up to `limit` rows of a table below the number `moved`, in order, whose key begins with `prefix` and comes after `after`.
pub(super) fn scan(
    blocks: &Blocks,
    table: Table,
    moved: u64,
    (prefix, after): (&[u8], Option<&[u8]>),
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    let mut next = first_number(prefix, after).unwrap_or(u64::MAX);
    while next < moved && rows.len() < limit {
        let room = u64::try_from(limit - rows.len()).unwrap_or(u64::MAX);
        let until = numbers(next / BLOCK).end.min(next.saturating_add(room));
        for (number, row) in (next..).zip(blocks.read(table, next..until)?) {
            let key = number.to_be_bytes().to_vec();
            if !key.starts_with(prefix) {
                return Ok(rows);
            }
            let item = plan::item(&row)?;
            rows.push(Row { key, item });
        }
        next = until;
    }
    Ok(rows)
}

/// The first number whose eight bytes come after `after` and not before `prefix`.
fn first_number(prefix: &[u8], after: Option<&[u8]>) -> Option<u64> {
    let (bound, beyond) = match after {
        Some(after) if after >= prefix => (after, true),
        _ => (prefix, false),
    };
    let mut bytes = [0; 8];
    for (byte, given) in bytes.iter_mut().zip(bound) {
        *byte = *given;
    }
    let number = u64::from_be_bytes(bytes);
    // Eight bytes that begin a longer bound come before it.
    if bound.len() > 8 || (beyond && bound.len() == 8) {
        number.checked_add(1)
    } else {
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table(9);

    fn rows(salt: u8) -> Vec<Vec<u8>> {
        (0..BLOCK)
            .map(|n| [&[0; 8][..], &vec![salt ^ n as u8; n as usize % 40]].concat())
            .collect()
    }

    #[test]
    fn every_part_of_a_block_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let blocks = Blocks::open(folder.path()).unwrap();
        let (first, second) = (rows(1), rows(2));
        blocks.write(TABLE, 0, &first).unwrap();
        blocks.write(TABLE, 1, &second).unwrap();
        for (base, written) in [(0, &first), (BLOCK, &second)] {
            for start in [0, 1, 100, 255] {
                for end in [start + 1, 200.max(start + 1), 256] {
                    let found = blocks.read(TABLE, base + start..base + end).unwrap();
                    assert_eq!(found, written[start as usize..end as usize]);
                }
            }
        }
        assert!(matches!(blocks.read(TABLE, 512..513), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn no_changed_byte_of_a_block_is_read_as_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let blocks = Blocks::open(folder.path()).unwrap();
        let written = rows(7);
        blocks.write(TABLE, 0, &written).unwrap();
        let path = blocks.path(TABLE, 0);
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 0x10;
            fs::write(&path, &changed).unwrap();
            let mut refused = 0;
            for number in 0..BLOCK {
                match blocks.read(TABLE, number..number + 1) {
                    Ok(found) => assert_eq!(found, [written[number as usize].clone()], "byte {place}"),
                    Err(StoreError::Corrupt(_)) => refused += 1,
                    Err(other) => panic!("byte {place}: {other}"),
                }
            }
            assert!((1..=2).contains(&refused), "byte {place}: {refused} refused");
        }
        for cut in [0, 3, ENDS - 1, ENDS, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(matches!(blocks.read(TABLE, 0..BLOCK), Err(StoreError::Corrupt(_))));
        }
    }

    #[test]
    fn a_scan_begins_at_the_first_number_that_its_bounds_allow() {
        let five = 5_u64.to_be_bytes();
        for (prefix, after, expected) in [
            (&[][..], None, Some(0)),
            (&[], Some(&five[..]), Some(6)),
            (&[], Some(&five[..7]), Some(0)),
            (&five, None, Some(5)),
            (&five[..7], None, Some(0)),
            (&[0, 0, 0, 0, 0, 0, 1], None, Some(256)),
            (&[], Some(&[0, 0, 0, 0, 0, 0, 0, 5, 9]), Some(6)),
            (&[0, 0, 0, 0, 0, 0, 0, 5, 9], None, Some(6)),
            (&[], Some(&[0xFF; 8]), None),
        ] {
            assert_eq!(first_number(prefix, after), expected, "{prefix:?} {after:?}");
        }
    }
}
