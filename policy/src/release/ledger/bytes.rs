//! A ledger as bytes: written and read, and nothing else. What it decides is in the module above.

use super::{Column, Entry, GroupSize, KEPT, Learner, Ledger, MAX_COLUMNS, MAX_LEARNERS, ToldOf};
use std::collections::BTreeMap;

/// Why bytes are no ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these are not the bytes of a ledger: {0}")]
pub struct Unreadable(&'static str);

const VERSION: u8 = 3;
const CUT_OFF: Unreadable = Unreadable("they are cut off");

impl Ledger {
    /// The ledger as bytes: its columns, then each learner in the order of keyed hashes, so that equal ledgers are equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.size.map_or(0, GroupSize::get).to_be_bytes());
        // `admit` and `from_bytes` let no more than MAX_COLUMNS in.
        bytes.push(u8::try_from(self.columns.len()).unwrap_or(u8::MAX));
        for column in &self.columns {
            bytes.push(column.kind as u8);
            bytes.extend(column.of.to_be_bytes());
        }
        for (learner, entry) in &self.entries {
            bytes.extend(learner.as_bytes());
            bytes.extend(entry.class.to_be_bytes());
            bytes.push(entry.counted.into());
            for told in &entry.told {
                // `told` and `from_bytes` let no more than KEPT in.
                bytes.push(u8::try_from(told.len()).unwrap_or(u8::MAX));
                bytes.extend(told.iter().flat_map(|told| told.to_be_bytes()));
            }
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote, and nothing else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut rest = Bytes(bytes);
        if rest.byte()? != VERSION {
            return Err(Unreadable("of an unknown version"));
        }
        let size = match rest.number()? {
            0 => None,
            size => Some(GroupSize::new(size).map_err(|_| Unreadable("the group size is below the floor"))?),
        };
        let columns: Vec<Column> = (0..rest.byte()?).map(|_| rest.column()).collect::<Result<_, _>>()?;
        if columns.len() > MAX_COLUMNS {
            return Err(Unreadable("there are too many columns"));
        }
        let mut entries = BTreeMap::new();
        while !rest.0.is_empty() {
            let learner = Learner::new(rest.take()?);
            if entries.last_key_value().is_some_and(|(last, _)| *last >= learner) {
                return Err(Unreadable("the learners are not in order"));
            }
            let (class, counted) = (rest.number()?, rest.flag()?);
            let told = columns.iter().map(|_| rest.told()).collect::<Result<_, _>>()?;
            entries.insert(learner, Entry { class, counted, told });
        }
        if entries.len() > MAX_LEARNERS {
            return Err(Unreadable("there are too many learners"));
        }
        if size.is_none() && !(entries.is_empty() && columns.is_empty()) {
            return Err(Unreadable("it tells something of groups without a size"));
        }
        Ok(Self { size, columns, entries })
    }
}

/// What is left to read.
struct Bytes<'b>(&'b [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Unreadable> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<u32, Unreadable> {
        self.take().map(u32::from_be_bytes)
    }

    fn flag(&mut self) -> Result<bool, Unreadable> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Unreadable("a flag is neither set nor clear")),
        }
    }

    fn told(&mut self) -> Result<Vec<u64>, Unreadable> {
        let count = self.byte()?;
        if usize::from(count) > KEPT {
            return Err(Unreadable("more is told than is kept"));
        }
        let told: Vec<u64> = (0..count)
            .map(|_| self.take().map(u64::from_be_bytes))
            .collect::<Result<_, _>>()?;
        if !told.is_sorted_by(|one, next| one != next) {
            return Err(Unreadable("the same is told twice"));
        }
        Ok(told)
    }

    fn column(&mut self) -> Result<Column, Unreadable> {
        let kind = match self.byte()? {
            0 => ToldOf::Sum,
            1 => ToldOf::Value,
            _ => return Err(Unreadable("a column is of an unknown kind")),
        };
        let of = u64::from_be_bytes(self.take()?);
        Ok(Column { kind, of })
    }
}
