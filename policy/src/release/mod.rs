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

/// A learner as releases know one: a keyed hash, made with a key that belongs to one source and one recipient. Its order is as good as
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

/// Whether a release adds something up over learners or shows it row by row: what must hold of a group of them depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ToldOf {
    /// A sum: nobody may dominate it.
    Sum = 0,
    /// A value in rows: a group differs in it.
    Value = 1,
}

/// One thing that releases tell of learners: the same column wherever the same is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Column {
    pub(crate) kind: ToldOf,
    pub(crate) of: u64,
}

impl Column {
    /// What stands for a value that a learner lacks.
    pub const MISSING: u64 = 0;

    /// What is told of `of`: the name of a field, or whatever else is the same in all releases that tell it.
    pub fn new(kind: ToldOf, of: &str) -> Self {
        Self {
            kind,
            of: digest([of.as_bytes()]),
        }
    }

    /// What stands for a value.
    pub(crate) fn value(value: Option<&str>) -> u64 {
        value.map_or(Self::MISSING, |value| digest([value.as_bytes()]).max(1))
    }
}

/// Where a learner stands in a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the published block that counts the learner.
    pub block: u32,
    /// What each column of the release tells of the learner.
    pub told: Box<[u64]>,
}

/// Who is in a release, in which block, and what is told: fixed once the release is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cohort {
    /// What the release tells besides counting.
    pub columns: Vec<Column>,
    /// The learners.
    pub places: BTreeMap<Learner, Place>,
}

/// Why a release is refused. Tells which rule, never how many learners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Fewer learners than the group size.
    #[error("too few consenting learners: a group needs {0} of them")]
    TooSmall(GroupSize),
    /// All learners together have one value of a sensitive attribute, or none: no group of them would hide it.
    #[error(
        "all consenting learners have fewer than {} values of a sensitive attribute, and a group needs as many",
        anonymity::DIVERSITY
    )]
    Alike,
    /// Together with a former release it would show fewer learners than the group size.
    #[error(
        "compared with a former release to the same recipient it would show a group of fewer than {0} learners, or too much of one"
    )]
    Differencing(GroupSize),
    /// One learner makes up more than half of a sum, or two more than four fifths.
    #[error("one or two learners make up most of a sum")]
    Dominance,
    /// It would need more memory than a release and its ledger may take.
    #[error("more than {MAX_LEARNERS} learners, or more sums and attributes of them than can be compared")]
    Full,
}

impl Refused {
    /// The stable code.
    pub const fn code(self) -> Code {
        match self {
            Self::TooSmall(_) => Code::GroupTooSmall,
            Self::Alike => Code::GroupAlike,
            Self::Differencing(_) => Code::Differencing,
            Self::Dominance => Code::Dominance,
            Self::Full => Code::ReleaseTooLarge,
        }
    }
}

/// A release that would need more memory than it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_LEARNERS} learners are more than one release can hold")]
pub struct TooMany;

impl From<TooMany> for Refused {
    fn from(_: TooMany) -> Self {
        Self::Full
    }
}

/// FNV-1a, 64 bit: tells values apart. Not a secret and no protection: ledgers stay with the provider.
pub fn digest<'b>(parts: impl IntoIterator<Item = &'b [u8]>) -> u64 {
    let byte = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    parts.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| {
        byte(part.iter().fold(hash, byte), &0xff)
    })
}
