//! What a group of batches would change: guards checked, versions and numbers given, rows encoded. Pure; touches no disk.
//!
//! A backend that owns its rows (sled, memory) plans a group here and then applies [`Plan::rows`] atomically. Nothing in
//! this file may know how rows are kept.

use std::collections::BTreeMap;

use super::{Batch, Committed, Guard, Item, MAX_KEY, MAX_VALUE, StoreError, Table, Version, Write};

/// Rows to write (`Some`) or remove (`None`), by row key.
pub(super) type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Where the [`Ledger`] lives: every other row key has at least its table byte.
pub(super) const LEDGER_KEY: &[u8] = b"";

/// The store-wide counters. One row holds them, written in the same atomic change as the rows that they count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    /// The last version handed out.
    last_version: u64,
    /// How many values each numbered table received.
    appended: BTreeMap<u8, u64>,
}

impl Ledger {
    /// How many values `table` received.
    pub(super) fn appended(&self, table: Table) -> u64 {
        self.appended.get(&table.0).copied().unwrap_or(0)
    }

    /// The numbered tables, each with how many values it received.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (Table, u64)> {
        self.appended.iter().map(|(table, count)| (Table(*table), *count))
    }

    /// Reads the row: the version, then a table byte and a count for each numbered table, all big-endian.
    pub(super) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let damaged = || StoreError::Corrupt(format!("the counters are {} bytes long", row.len()));
        let (version, mut rest) = row.split_first_chunk::<8>().ok_or_else(damaged)?;
        let mut ledger = Self {
            last_version: u64::from_be_bytes(*version),
            appended: BTreeMap::new(),
        };
        while let Some((&table, tail)) = rest.split_first() {
            let (count, tail) = tail.split_first_chunk::<8>().ok_or_else(damaged)?;
            ledger.appended.insert(table, u64::from_be_bytes(*count));
            rest = tail;
        }
        Ok(ledger)
    }

    fn encode(&self) -> Vec<u8> {
        let mut row = self.last_version.to_be_bytes().to_vec();
        for (table, count) in &self.appended {
            row.push(*table);
            row.extend_from_slice(&count.to_be_bytes());
        }
        row
    }
}

/// The key of a row: its table, then the caller's key, so that a table's rows are neighbours in key order.
pub(super) fn row_key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + key.len());
    row.push(table.0);
    row.extend_from_slice(key);
    row
}

/// Splits a stored row into its version and its value.
pub(super) fn decode_row(row: &[u8]) -> Result<(Version, &[u8]), StoreError> {
    match row.split_first_chunk::<8>() {
        Some((version, value)) => Ok((Version(u64::from_be_bytes(*version)), value)),
        None => Err(StoreError::Corrupt(format!(
            "a row of {} bytes has no version",
            row.len()
        ))),
    }
}

/// A stored row as callers see it.
pub(super) fn item(row: &[u8]) -> Result<Item, StoreError> {
    decode_row(row).map(|(version, value)| Item {
        value: value.to_vec(),
        version,
    })
}

/// Refuses what no backend stores; checked before a batch is queued.
pub(super) fn check_limits(batch: &Batch) -> Result<(), StoreError> {
    let within = |what, size, limit| {
        if size > limit {
            Err(StoreError::TooLarge { what, size, limit })
        } else {
            Ok(())
        }
    };
    for (_, key, _) in &batch.guards {
        within("key", key.len(), MAX_KEY)?;
    }
    for write in &batch.writes {
        match write {
            Write::Put(_, key, value) => {
                within("key", key.len(), MAX_KEY)?;
                within("value", value.len(), MAX_VALUE)?;
            }
            Write::Delete(_, key) => within("key", key.len(), MAX_KEY)?,
            Write::Append(_, value) => within("value", value.len(), MAX_VALUE)?,
        }
    }
    Ok(())
}

/// How many bytes a batch brings, for bounding a group.
pub(super) fn size(batch: &Batch) -> usize {
    let of = |write: &Write| match write {
        Write::Put(_, key, value) => key.len() + value.len(),
        Write::Delete(_, key) => key.len(),
        Write::Append(_, value) => value.len(),
    };
    batch.writes.iter().map(of).sum()
}

/// The joint effect of the batches accepted so far.
#[derive(Debug)]
pub(super) struct Plan {
    ledger: Ledger,
    rows: Rows,
}

impl Plan {
    /// A plan that changes nothing yet, on top of a store whose counters are `ledger`.
    pub(super) fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            rows: Rows::new(),
        }
    }

    /// Adds a batch if its guards hold in the store as earlier batches of this plan leave it; otherwise changes nothing.
    /// `stored` tells the version of a row, by table and key, that this plan has not touched.
    pub(super) fn add(
        &mut self,
        batch: Batch,
        stored: impl Fn(Table, &[u8]) -> Result<Option<Version>, StoreError>,
    ) -> Result<Committed, StoreError> {
        for (index, (table, key, guard)) in batch.guards.iter().enumerate() {
            let found = match self.rows.get(&row_key(*table, key)) {
                Some(planned) => planned
                    .as_deref()
                    .map(decode_row)
                    .transpose()?
                    .map(|(version, _)| version),
                None => stored(*table, key)?,
            };
            let holds = match guard {
                Guard::Absent => found.is_none(),
                Guard::At(version) => found == Some(*version),
            };
            if !holds {
                return Err(StoreError::Conflict { guard: index });
            }
        }
        let mut committed = Committed::default();
        for write in batch.writes {
            match write {
                Write::Put(table, key, value) => self.put(row_key(table, &key), &value),
                Write::Delete(table, key) => {
                    self.rows.insert(row_key(table, &key), None);
                }
                Write::Append(table, value) => {
                    let next = self.ledger.appended.entry(table.0).or_default();
                    let number = *next;
                    *next += 1;
                    committed.appended.push(number);
                    self.put(row_key(table, &number.to_be_bytes()), &value);
                }
            }
        }
        Ok(committed)
    }

    fn put(&mut self, key: Vec<u8>, value: &[u8]) {
        self.ledger.last_version += 1;
        let mut row = Vec::with_capacity(8 + value.len());
        row.extend_from_slice(&self.ledger.last_version.to_be_bytes());
        row.extend_from_slice(value);
        self.rows.insert(key, Some(row));
    }

    /// The counters afterwards, and the rows to apply in one atomic change, the counters' own among them.
    /// No rows when nothing is to be written.
    pub(super) fn finish(mut self) -> (Ledger, Rows) {
        if !self.rows.is_empty() {
            self.rows.insert(LEDGER_KEY.to_vec(), Some(self.ledger.encode()));
        }
        (self.ledger, self.rows)
    }
}

/// The smallest row key that a scan may return.
pub(super) fn scan_start(table: Table, prefix: &[u8], after: Option<&[u8]>) -> std::ops::Bound<Vec<u8>> {
    match after {
        Some(after) if after >= prefix => std::ops::Bound::Excluded(row_key(table, after)),
        _ => std::ops::Bound::Included(row_key(table, prefix)),
    }
}
