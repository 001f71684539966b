//! Releases that show groups and no single learner: tables of counts and sums ([`groups`]), rows that many learners share
//! ([`anonymity`]), and what former releases to the same recipient leave room for ([`ledger`]). Pure: who consents is decided before, and
//! learners come in as keyed hashes. Nothing here names a learner, and no refusal tells a count.
//!
//! One rule carries all three: whatever is published are *blocks* of at least [`GroupSize`] learners that do not overlap, and unions of
//! such blocks. Whoever adds and subtracts published numbers gets unions of blocks again, so nobody isolates fewer learners.

pub mod anonymity;
pub mod groups;
pub mod hierarchy;
pub mod ledger;
#[cfg(test)]
mod tests;

use crate::reason::Code;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// How many learners one release counts at most; more are refused rather than held in memory.
pub const MAX_LEARNERS: usize = 1_000_000;

/// The smallest number of learners that a published group may have. Never below [`GroupSize::FLOOR`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct GroupSize(u32);

/// A group size below the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a group of {0} learners is too small to be published; the least is {floor}", floor = GroupSize::FLOOR)]
pub struct BelowFloor(u32);

impl GroupSize {
    /// No configuration and no agreement goes below it.
    pub const FLOOR: u32 = 5;
    /// What holds where nothing else is said.
    pub const DEFAULT: Self = Self(10);

    /// A group size of at least [`Self::FLOOR`].
    pub const fn new(learners: u32) -> Result<Self, BelowFloor> {
        if learners < Self::FLOOR {
            return Err(BelowFloor(learners));
        }
        Ok(Self(learners))
    }

    /// The number of learners.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether so many learners may be published as one group.
    pub const fn allows(self, learners: u64) -> bool {
        learners >= self.0 as u64
    }
}

impl Default for GroupSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<u32> for GroupSize {
    type Error = BelowFloor;
    fn try_from(learners: u32) -> Result<Self, BelowFloor> {
        Self::new(learners)
    }
}

impl From<GroupSize> for u32 {
    fn from(size: GroupSize) -> Self {
        size.0
    }
}

impl fmt::Display for GroupSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A learner as releases know one: a keyed hash, made with a key that belongs to one dataset and one recipient. Its order is as good as
/// random to whoever lacks the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Learner([u8; 16]);

impl Learner {
    /// From the first bytes of a keyed hash.
    pub const fn new(hash: [u8; 16]) -> Self {
        Self(hash)
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Learner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Learner(…)")
    }
}

/// Where a learner stands in a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the published block that counts the learner.
    pub block: u32,
    /// A digest of what the learner contributes besides being counted, so that a change of it is noticed.
    pub content: u64,
}

/// Who is in a release, and in which block: fixed once the release is made.
pub type Cohort = BTreeMap<Learner, Place>;

/// Why a release is refused. Tells which rule, never how many learners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Fewer learners than the group size, or no grouping that makes every group large and varied enough.
    #[error("too few consenting learners: a group needs {0} of them")]
    TooSmall(GroupSize),
    /// Together with a former release it would show fewer learners than the group size.
    #[error("compared with a former release to the same recipient it would show a group of fewer than {0} learners")]
    Differencing(GroupSize),
    /// One learner makes up more than half of a sum, or two more than four fifths.
    #[error("one or two learners make up most of a sum")]
    Dominance,
}

impl Refused {
    /// The stable code.
    pub const fn code(self) -> Code {
        match self {
            Self::TooSmall(_) => Code::GroupTooSmall,
            Self::Differencing(_) => Code::Differencing,
            Self::Dominance => Code::Dominance,
        }
    }
}

/// A release that would need more memory than it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_LEARNERS} learners are more than one release can hold")]
pub struct TooMany;

/// FNV-1a, 64 bit: notices that a contribution changed. Not a secret and no protection: ledgers stay with the provider.
pub fn digest<'b>(parts: impl IntoIterator<Item = &'b [u8]>) -> u64 {
    let byte = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    parts.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| {
        byte(part.iter().fold(hash, byte), &0xff)
    })
}
