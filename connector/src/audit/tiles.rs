//! The tree as tiles (C2SP tlog-tiles): rows of at most 256 hashes, so that a proof costs a few reads whatever the log's size.
//! Addressing and the growing right edge are pure; `Reader` finds proofs over a store and writes nothing.
//!
//! The hashes of a tile never change, they only become more: the tile of a smaller tree is the beginning of the same tile of a larger
//! one. So each tile is one item (8 KiB at most), a partial one too, and what was written for a tree that was never signed is harmless.
//! Full tiles are numbered rows: they become full in order and stay as they are.

use super::merkle;
use crate::{
    jose::Digest,
    store::{Store, StoreError, Table},
};
use std::{collections::HashMap, mem, ops::Range};

/// Tiles that are not full, by level and index.
pub(super) const PARTIAL: Table = Table(16);
/// The tables of full tiles, by index, begin here: one for each level. A tree of 2^64 leaves has eight.
const FULL: Table = Table(0xF0);
/// Hashes in a full tile.
pub const WIDTH: u64 = 256;
/// Levels of the tree in one tile.
const HEIGHT: u32 = 8;

/// One tile: the `index`-th row of 256 hashes at its level. At level 0 they are leaf hashes, above it each is the root over a full tile
/// of the level below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// From 0 at the leaves.
    pub level: u8,
    /// From 0 on the left.
    pub index: u64,
}

impl Tile {
    /// How many hashes it has in a tree of `size` leaves: 256 when it is full, 0 when that tree has no such tile.
    pub fn width_in(self, size: u64) -> u64 {
        let row = shifted(size, HEIGHT * u32::from(self.level));
        let start = self.index.saturating_mul(WIDTH);
        row.saturating_sub(start).min(WIDTH)
    }

    /// The table of its level that it is in when it is full.
    pub(super) const fn full(self) -> Table {
        Table(FULL.0.saturating_add(self.level))
    }

    /// The key under which it is stored while it is not full.
    pub(super) fn key(self) -> [u8; 9] {
        let mut key = [self.level; 9];
        for (to, from) in key.iter_mut().skip(1).zip(self.index.to_be_bytes()) {
            *to = from;
        }
        key
    }

    /// Its path below `tile/`, with the suffix of a partial tile unless it is full.
    pub fn path(self, width: u64) -> String {
        let mut index = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            index = format!("x{:03}/{index}", rest % 1000);
            rest /= 1000;
        }
        if width == WIDTH {
            format!("{}/{index}", self.level)
        } else {
            format!("{}/{index}.p/{width}", self.level)
        }
    }

    /// Reads such a path: the tile and its width. Only the one spelling of each is known.
    pub fn read(path: &str) -> Option<(Self, u64)> {
        let (place, width) = match path.split_once(".p/") {
            Some((place, width)) => (place, width.parse().ok().filter(|width| (1..WIDTH).contains(width))?),
            None => (path, WIDTH),
        };
        let (level, parts) = place.split_once('/')?;
        let level = level.parse().ok().filter(|level| *level < 64)?;
        let index = parts.split('/').try_fold(0_u64, |index, part| {
            let part: u64 = part.strip_prefix('x').unwrap_or(part).parse().ok()?;
            index.checked_mul(1000)?.checked_add(part)
        })?;
        let tile = Self { level, index };
        (tile.path(width) == path).then_some((tile, width))
    }
}

fn shifted(number: u64, bits: u32) -> u64 {
    number.checked_shr(bits).unwrap_or(0)
}

fn index_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The hashes of a stored tile.
pub(super) fn hashes(bytes: &[u8]) -> Option<Vec<Digest>> {
    let (hashes, left_over) = bytes.as_chunks::<{ Digest::LEN }>();
    let fits = left_over.is_empty() && hashes.len() <= index_of(WIDTH);
    fits.then(|| hashes.iter().copied().map(Digest::from_bytes).collect())
}

/// The hashes of a tile as far as they are stored.
pub(super) async fn stored(store: &dyn Store, tile: Tile) -> Result<Option<Vec<Digest>>, StoreError> {
    let index = tile.index.to_be_bytes();
    let full = || store.get(tile.full(), &index);
    let item = match full().await? {
        Some(item) => Some(item),
        None => match store.get(PARTIAL, &tile.key()).await? {
            Some(item) => Some(item),
            // It may have become full between the two looks.
            None => full().await?,
        },
    };
    Ok(item.and_then(|item| hashes(&item.value)))
}

/// A tile as it is stored and served.
pub(super) fn bytes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(Digest::as_bytes).copied().collect()
}

/// A tile with its hashes.
pub type Row = (Tile, Vec<Digest>);

/// The right edge of a growing tree: of each level the tile that is not full yet. At most 255 hashes for each of eight levels, whatever
/// the size; enough to append and to know the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<Digest>>,
}

impl Edge {
    /// The empty tree.
    pub const fn new() -> Self {
        Self {
            size: 0,
            levels: Vec::new(),
        }
    }

    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds one leaf by its hash; tiles that become full with it are put into `full`.
    pub fn append(&mut self, leaf: Digest, full: &mut Vec<Row>) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0_u8.. {
            let at = usize::from(level);
            if self.levels.len() == at {
                self.levels.push(Vec::new());
            }
            let Some(row) = self.levels.get_mut(at) else { return };
            row.push(hash);
            if row.len() < index_of(WIDTH) {
                return;
            }
            let hashes = mem::take(row);
            hash = merkle::root(&hashes);
            let index = shifted(self.size, HEIGHT * (u32::from(level) + 1)) - 1;
            full.push((Tile { level, index }, hashes));
        }
    }

    /// The tiles that are not full, from the leaves up.
    pub fn partial(&self) -> impl Iterator<Item = (Tile, &[Digest])> {
        (0_u8..).zip(&self.levels).filter_map(|(level, row)| {
            let index = shifted(self.size, HEIGHT * (u32::from(level) + 1));
            (!row.is_empty()).then_some((Tile { level, index }, row.as_slice()))
        })
    }

    /// The root over all leaves; [`Digest::EMPTY`] for none.
    pub fn root(&self) -> Digest {
        let peaks: Vec<Digest> = self.levels.iter().rev().flat_map(|row| peaks(row)).collect();
        merkle::join(&peaks)
    }

    /// The edge of the tree of `size` leaves whose tiles are in the store.
    pub(super) async fn load(store: &dyn Store, size: u64) -> Result<Self, TileError> {
        let mut reader = Reader::new(store, size);
        let mut levels = Vec::new();
        for level in 0_u8.. {
            let row = shifted(size, HEIGHT * u32::from(level));
            if row == 0 {
                break;
            }
            let tile = Tile {
                level,
                index: row / WIDTH,
            };
            levels.push(match tile.width_in(size) {
                0 => Vec::new(),
                _ => reader.tile(tile).await?.to_vec(),
            });
        }
        Ok(Self { size, levels })
    }
}

/// The roots of the complete subtrees in a row of hashes, from left to right: the binary digits of its length.
fn peaks(row: &[Digest]) -> Vec<Digest> {
    let (mut peaks, mut rest) = (Vec::new(), row);
    while let Some(log) = rest.len().checked_ilog2() {
        let (group, more) = rest.split_at(1 << log);
        peaks.push(merkle::root(group));
        rest = more;
    }
    peaks
}

/// Why the tiles give no proof.
#[derive(Debug, thiserror::Error)]
pub enum TileError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A tile is missing, too short, or not a row of hashes.
    #[error("the tile {} is missing or damaged", .0.path(WIDTH))]
    Damaged(Tile),
}

/// Reads the tree of `size` leaves from its tiles, each at most once.
pub(super) struct Reader<'a> {
    store: &'a dyn Store,
    size: u64,
    read: HashMap<Tile, Vec<Digest>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(store: &'a dyn Store, size: u64) -> Self {
        Self {
            store,
            size,
            read: HashMap::new(),
        }
    }

    /// The hashes that the tree has in this tile.
    pub(super) async fn tile(&mut self, tile: Tile) -> Result<&[Digest], TileError> {
        let width = index_of(tile.width_in(self.size));
        if !self.read.contains_key(&tile) {
            let mut row = stored(self.store, tile).await?.unwrap_or_default();
            row.truncate(width);
            self.read.insert(tile, row);
        }
        let row = self.read.get(&tile).map_or(&[] as &[Digest], Vec::as_slice);
        if width == 0 || row.len() < width {
            return Err(TileError::Damaged(tile));
        }
        Ok(row)
    }

    /// Proof that leaf `index` is in the tree; `None` when there is no such leaf.
    pub(super) async fn inclusion(&mut self, index: u64) -> Result<Option<Vec<Digest>>, TileError> {
        match merkle::inclusion_ranges(index, self.size) {
            Some(ranges) => self.roots(ranges).await.map(Some),
            None => Ok(None),
        }
    }

    /// Proof that the first `old` leaves are those of the older tree; `None` when that one would be larger.
    pub(super) async fn consistency(&mut self, old: u64) -> Result<Option<Vec<Digest>>, TileError> {
        match merkle::consistency_ranges(old, self.size) {
            Some(ranges) => self.roots(ranges).await.map(Some),
            None => Ok(None),
        }
    }

    async fn roots(&mut self, ranges: Vec<Range<u64>>) -> Result<Vec<Digest>, TileError> {
        let mut roots = Vec::with_capacity(ranges.len());
        for range in ranges {
            roots.push(self.root(range).await?);
        }
        Ok(roots)
    }

    /// The root over a range of leaves that is a subtree: its complete parts, joined.
    async fn root(&mut self, range: Range<u64>) -> Result<Digest, TileError> {
        let (mut peaks, mut start) = (Vec::new(), range.start);
        while let Some(log) = range.end.saturating_sub(start).checked_ilog2() {
            peaks.push(self.complete(start, log).await?);
            start += 1 << log;
        }
        Ok(merkle::join(&peaks))
    }

    /// The root over the 2^`log` leaves from `start` on, which is a multiple of that number: at most 128 neighbours in one tile.
    async fn complete(&mut self, start: u64, log: u32) -> Result<Digest, TileError> {
        let level = log / HEIGHT;
        let first = shifted(start, HEIGHT * level);
        let tile = Tile {
            level: u8::try_from(level).unwrap_or(u8::MAX),
            index: first / WIDTH,
        };
        let from = index_of(first % WIDTH);
        let row = self.tile(tile).await?;
        let group = row.get(from..from + (1 << (log % HEIGHT)));
        group.map(merkle::root).ok_or(TileError::Damaged(tile))
    }
}

#[cfg(test)]
mod tests;
