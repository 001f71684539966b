//! Merkle tree hashing and proofs (RFC 6962 §2.1, proofs as RFC 9162 §2.1.3-2.1.4 words them). Pure: knows neither entries nor store.
//!
//! A proof is a list of subtree hashes. Which subtrees, is a list of leaf ranges ([`inclusion_ranges`], [`consistency_ranges`]), so
//! that a log of any length can look them up where it keeps them; the functions over slices serve small trees and tests.

use crate::jose::digest::{Digest, sha256, sha256_parts};
use std::ops::Range;

/// Hash of a leaf's bytes: `SHA-256(0x00 ‖ entry)`.
pub fn leaf_hash(entry: &[u8]) -> Digest {
    sha256_parts(&[&[0], entry])
}

/// Hash of a node: `SHA-256(0x01 ‖ left ‖ right)`.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut buffer = [1; 1 + 2 * Digest::LEN];
    let sides = left.as_bytes().iter().chain(right.as_bytes());
    for (to, from) in buffer.iter_mut().skip(1).zip(sides) {
        *to = *from;
    }
    sha256(&buffer)
}

/// The right edge of a growing tree: the roots of its complete subtrees, largest first, at most 64. Enough to append and to know the
/// root, not enough to prove anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

/// The bytes are not a frontier: the number of hashes must be the number of ones in the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a frontier: the number of hashes does not fit the size")]
pub struct FrontierError;

impl Frontier {
    /// The empty tree.
    pub const fn new() -> Self {
        Self {
            size: 0,
            peaks: Vec::new(),
        }
    }

    /// Adds one leaf by its [`leaf_hash`].
    pub fn append(&mut self, leaf: Digest) {
        let merges = self.size.trailing_ones();
        let peak = (0..merges).fold(leaf, |right, _| {
            self.peaks.pop().map_or(right, |left| node_hash(&left, &right))
        });
        self.peaks.push(peak);
        self.size += 1;
    }

    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Root hash of the tree so far; [`Digest::EMPTY`] for no leaves.
    pub fn root(&self) -> Digest {
        join(&self.peaks)
    }

    /// Size as 8 bytes big-endian, then the hashes from the largest subtree to the smallest.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.peaks.len() * Digest::LEN);
        bytes.extend_from_slice(&self.size.to_be_bytes());
        for peak in &self.peaks {
            bytes.extend_from_slice(peak.as_bytes());
        }
        bytes
    }

    /// Reads what [`Frontier::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, rest) = bytes.split_first_chunk().ok_or(FrontierError)?;
        let size = u64::from_be_bytes(*size);
        let (hashes, left_over) = rest.as_chunks::<{ Digest::LEN }>();
        if !left_over.is_empty() || u32::try_from(hashes.len()) != Ok(size.count_ones()) {
            return Err(FrontierError);
        }
        Ok(Self {
            size,
            peaks: hashes.iter().copied().map(Digest::from_bytes).collect(),
        })
    }
}

impl Extend<Digest> for Frontier {
    fn extend<T: IntoIterator<Item = Digest>>(&mut self, leaves: T) {
        for leaf in leaves {
            self.append(leaf);
        }
    }
}

/// The root over complete subtrees that become smaller from left to right; [`Digest::EMPTY`] for none (RFC 6962 §2.1).
pub fn join(peaks: &[Digest]) -> Digest {
    let mut from_right = peaks.iter().rev();
    match from_right.next() {
        None => Digest::EMPTY,
        Some(last) => from_right.fold(*last, |right, left| node_hash(left, &right)),
    }
}

/// Root hash over leaf hashes (RFC 6962 §2.1, MTH).
pub fn root(leaves: &[Digest]) -> Digest {
    let mut tree = Frontier::new();
    tree.extend(leaves.iter().copied());
    tree.root()
}

/// The subtrees, as ranges of leaves, whose roots prove that leaf `index` is in the tree of `size` leaves, leaf side first
/// (RFC 6962 §2.1.1). `None` when there is no such leaf.
pub fn inclusion_ranges(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let mut ranges = Vec::new();
    let mut tree = 0..size;
    while tree.end - tree.start > 1 {
        let middle = split(&tree);
        let (inside, sibling) = if index < middle {
            (tree.start..middle, middle..tree.end)
        } else {
            (middle..tree.end, tree.start..middle)
        };
        ranges.push(sibling);
        tree = inside;
    }
    ranges.reverse();
    Some(ranges)
}

/// The subtrees whose roots prove that the first `old` of `new` leaves are those of the older tree (RFC 6962 §2.1.2). Empty for equal
/// trees and for `old` = 0, where there is nothing to prove; `None` when `old > new`.
pub fn consistency_ranges(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    if old > new {
        return None;
    }
    let mut ranges = Vec::new();
    if old == 0 || old == new {
        return Some(ranges);
    }
    let mut tree = 0..new;
    while tree.end > old {
        let middle = split(&tree);
        if old <= middle {
            ranges.push(middle..tree.end);
            tree = tree.start..middle;
        } else {
            ranges.push(tree.start..middle);
            tree = middle..tree.end;
        }
    }
    if tree.start > 0 {
        ranges.push(tree);
    }
    ranges.reverse();
    Some(ranges)
}

/// Where RFC 6962 divides a tree of two leaves or more: after the largest power of two below its size.
fn split(tree: &Range<u64>) -> u64 {
    let largest = (tree.end - tree.start - 1).checked_ilog2().map_or(1, |log| 1 << log);
    tree.start + largest
}

/// Proof that leaf `index` is among `leaves`.
pub fn inclusion_proof(leaves: &[Digest], index: u64) -> Option<Vec<Digest>> {
    let size = u64::try_from(leaves.len()).ok()?;
    inclusion_ranges(index, size)?
        .into_iter()
        .map(|range| subtree(leaves, range))
        .collect()
}

/// Proof that the first `old` of `leaves` have not changed.
pub fn consistency_proof(leaves: &[Digest], old: u64) -> Option<Vec<Digest>> {
    let size = u64::try_from(leaves.len()).ok()?;
    consistency_ranges(old, size)?
        .into_iter()
        .map(|range| subtree(leaves, range))
        .collect()
}

fn subtree(leaves: &[Digest], range: Range<u64>) -> Option<Digest> {
    let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
    leaves.get(range).map(root)
}

/// Whether `proof` shows that `leaf` (a [`leaf_hash`]) has place `index` in the tree of `size` leaves with that `root`
/// (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(leaf: &Digest, index: u64, size: u64, proof: &[Digest], root: &Digest) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, *leaf);
    for step in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(step, &hash);
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, step);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `old_size` leaves is the beginning of the tree of `new_size` leaves (RFC 9162 §2.1.4.2).
/// The empty tree begins every tree.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Digest,
    new_size: u64,
    new_root: &Digest,
    proof: &[Digest],
) -> bool {
    if old_size > new_size {
        return false;
    }
    if old_size == new_size {
        let empty_is_empty = new_size > 0 || *new_root == Digest::EMPTY;
        return proof.is_empty() && old_root == new_root && empty_is_empty;
    }
    if old_size == 0 {
        return proof.is_empty() && *old_root == Digest::EMPTY;
    }
    // When the old tree is itself a complete subtree of the new one, its root is not repeated in the proof.
    let (first, steps) = match proof {
        [] => return false,
        steps if old_size.is_power_of_two() => (old_root, steps),
        [first, steps @ ..] => (first, steps),
    };
    let shift = (old_size - 1).trailing_ones();
    let (mut place, mut last) = ((old_size - 1) >> shift, (new_size - 1) >> shift);
    let (mut old_hash, mut new_hash) = (*first, *first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            old_hash = node_hash(step, &old_hash);
            new_hash = node_hash(step, &new_hash);
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            new_hash = node_hash(&new_hash, step);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

#[cfg(test)]
mod tests;
