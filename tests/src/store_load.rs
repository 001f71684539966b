//! A load for a store whose survivors can be checked: what a writer acknowledged must be there, and nothing torn.
//! Shared by the binary `store-writer` and the crash tests.
//!
//! Task `t` commits `s = 0, 1, 2, …`. One commit puts the key `(t, s)` into three tables, removes the keys of
//! `s - `[`KEPT`], overwrites one of a few hot keys, and appends `(t, s)` to a log.

use std::{collections::BTreeMap, path::Path, sync::Mutex};

use connector::store::{Batch, Committed, Item, Row, Store, StoreError, Table};

/// How many commits of a task stay readable before a later one removes them.
pub const KEPT: u64 = 40;
/// How many writers run.
pub const TASKS: u64 = 4;
const HOT_SLOTS: u64 = 16;
const THREE: [Table; 3] = [Table(1), Table(2), Table(3)];
const HOT: Table = Table(4);
const LOG: Table = Table(5);

/// Which commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// The writer.
    pub task: u64,
    /// Its commits, counted from 0 over all runs.
    pub seq: u64,
}

impl Id {
    fn key(self) -> Vec<u8> {
        [self.task.to_be_bytes(), self.seq.to_be_bytes()].concat()
    }

    fn of(key: &[u8]) -> Option<Self> {
        let (task, rest) = key.split_first_chunk::<8>()?;
        let (seq, _) = rest.split_first_chunk::<8>()?;
        Some(Self {
            task: u64::from_be_bytes(*task),
            seq: u64::from_be_bytes(*seq),
        })
    }

    /// Bytes that tell which commit and table they belong to. Most are short, one in sixteen is of the full size.
    fn value(self, table: Table, size: usize) -> Vec<u8> {
        let mixed = (self.task * 31 + self.seq * 7 + u64::from(table.0)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let len = if mixed.is_multiple_of(16) {
            size
        } else {
            usize::try_from(mixed).unwrap_or(0) % (size / 4 + 1)
        };
        let stamp = [&self.key()[..], &[table.0]].concat();
        stamp.iter().copied().cycle().take(len.max(stamp.len())).collect()
    }

    /// The commit as a batch; `size` is that of the largest value, in bytes.
    pub fn batch(self, size: usize) -> Batch {
        let mut batch = Batch::new();
        for table in THREE {
            batch.insert(table, self.key(), self.value(table, size));
            if let Some(seq) = self.seq.checked_sub(KEPT) {
                batch.delete(table, Self { seq, ..self }.key());
            }
        }
        batch.put(
            HOT,
            Self {
                seq: self.seq % HOT_SLOTS,
                ..self
            }
            .key(),
            self.value(HOT, size),
        );
        batch.append(LOG, self.key());
        batch
    }
}

/// Where `task` goes on: after the last commit that the store holds.
///
/// # Errors
/// What the store says.
pub async fn next_seq(store: &dyn Store, task: u64) -> Result<u64, StoreError> {
    let rows = store.scan(THREE[0], &task.to_be_bytes(), None, usize::MAX).await?;
    Ok(rows.last().and_then(|row| Id::of(&row.key)).map_or(0, |id| id.seq + 1))
}

/// What was acknowledged, over all runs so far.
#[derive(Clone, Debug, Default)]
pub struct Acknowledged {
    /// The last commit of each task.
    last: BTreeMap<u64, u64>,
    /// The log's numbers.
    log: BTreeMap<u64, Id>,
}

impl Acknowledged {
    /// Reads a line `task seq number` as the writer prints it; false if it is cut off.
    pub fn read_line(&mut self, line: &str) -> bool {
        let mut numbers = line.split(' ').map(str::parse::<u64>);
        let (Some(Ok(task)), Some(Ok(seq)), Some(Ok(number)), Some(Err(_)), None) = (
            numbers.next(),
            numbers.next(),
            numbers.next(),
            numbers.next(),
            numbers.next(),
        ) else {
            return false;
        };
        self.last.insert(task, seq);
        self.log.insert(number, Id { task, seq });
        true
    }

    /// How many commits.
    pub fn count(&self) -> usize {
        self.log.len()
    }

    /// Compares a store with what it acknowledged.
    ///
    /// # Errors
    /// Says what is lost, torn or wrong.
    pub async fn check(&self, store: &dyn Store, size: usize) -> Result<(), String> {
        let log = self.check_log(store).await?;
        for task in 0..TASKS {
            let commits = log.iter().filter(|id| id.task == task).count() as u64;
            let acknowledged = self.last.get(&task).map_or(0, |last| last + 1);
            // At most one commit of a task can be under way, so at most one may be there unacknowledged from each run.
            if commits < acknowledged {
                return Err(format!(
                    "task {task}: {acknowledged} commits acknowledged, {commits} found"
                ));
            }
            let expected: Vec<Id> = (commits.saturating_sub(KEPT)..commits)
                .map(|seq| Id { task, seq })
                .collect();
            for table in THREE {
                check_rows(&scan(store, table, task).await?, &expected, table, size)?;
            }
            let mut hot: Vec<Id> = (commits.saturating_sub(HOT_SLOTS)..commits)
                .map(|seq| Id { task, seq })
                .collect();
            hot.sort_by_key(|id| id.seq % HOT_SLOTS);
            let rows = scan(store, HOT, task).await?;
            let values: Vec<_> = rows.iter().map(|row| &row.item.value).collect();
            if values
                .iter()
                .copied()
                .ne(&hot.iter().map(|id| id.value(HOT, size)).collect::<Vec<_>>())
            {
                return Err(format!("task {task}: a hot key holds an old or torn value"));
            }
        }
        Ok(())
    }

    async fn check_log(&self, store: &dyn Store) -> Result<Vec<Id>, String> {
        let rows = store
            .scan(LOG, b"", None, usize::MAX)
            .await
            .map_err(|e| e.to_string())?;
        let count = store.appended(LOG).await.map_err(|e| e.to_string())?;
        if rows.len() as u64 != count {
            return Err(format!("the log has {} rows and counts {count}", rows.len()));
        }
        let mut log = Vec::new();
        let mut next = BTreeMap::new();
        for (number, row) in (0_u64..).zip(&rows) {
            let id = Id::of(&row.item.value).ok_or("the log holds bytes that are no id")?;
            if row.key != number.to_be_bytes() {
                return Err(format!("the log has a gap before {number}"));
            }
            if self.log.get(&number).is_some_and(|acknowledged| *acknowledged != id) {
                return Err(format!(
                    "log entry {number} is {id:?}, but another was acknowledged under that number"
                ));
            }
            let expected = next.entry(id.task).or_insert(0);
            if id.seq != *expected {
                return Err(format!("the log has {id:?} where commit {expected} should be"));
            }
            *expected += 1;
            log.push(id);
        }
        match self.log.last_key_value() {
            Some((number, id)) if *number >= count => Err(format!("log entry {number} ({id:?}) is lost")),
            _ => Ok(log),
        }
    }
}

async fn scan(store: &dyn Store, table: Table, task: u64) -> Result<Vec<Row>, String> {
    store
        .scan(table, &task.to_be_bytes(), None, usize::MAX)
        .await
        .map_err(|e| e.to_string())
}

fn check_rows(rows: &[Row], expected: &[Id], table: Table, size: usize) -> Result<(), String> {
    let found: Vec<Option<Id>> = rows.iter().map(|row| Id::of(&row.key)).collect();
    if !found.iter().copied().eq(expected.iter().copied().map(Some)) {
        return Err(format!(
            "{table:?} should hold {} keys from {:?}, holds {found:?}",
            expected.len(),
            expected.first()
        ));
    }
    for (row, id) in rows.iter().zip(expected) {
        if row.item.value != id.value(table, size) {
            return Err(format!("{id:?} has a wrong value in {table:?}"));
        }
    }
    Ok(())
}

/// sled without one or several of the guards, to show that the tests notice: the same load through the same trait.
/// Knows just enough of the contract for that load; guards of a batch are not looked at.
#[derive(Debug)]
pub struct Unguarded {
    db: Mutex<Option<sled::Db>>,
    data: Option<std::fs::File>,
}

impl Unguarded {
    /// sled as shipped: nothing but its own `flush`.
    ///
    /// # Errors
    /// What sled says.
    pub fn as_shipped(dir: &Path) -> Result<Self, sled::Error> {
        Ok(Self {
            db: Mutex::new(Some(sled::open(dir)?)),
            data: None,
        })
    }

    /// sled with its file `db` synced before every acknowledgement, and nothing else.
    ///
    /// # Errors
    /// What sled says.
    pub fn only_log_synced(dir: &Path) -> Result<Self, sled::Error> {
        let store = Self::as_shipped(dir)?;
        Ok(Self {
            data: Some(std::fs::File::open(dir.join("db"))?),
            ..store
        })
    }

    fn with<T>(&self, work: impl FnOnce(&sled::Db) -> Result<T, sled::Error>) -> Result<T, StoreError> {
        let db = self.db.lock().map_err(|_| StoreError::Closed)?;
        work(db.as_ref().ok_or(StoreError::Closed)?).map_err(|e| StoreError::Failed(e.to_string()))
    }
}

fn row_key(table: Table, key: &[u8]) -> Vec<u8> {
    [&[table.0], key].concat()
}

fn item(value: &[u8]) -> Item {
    Item {
        value: value.to_vec(),
        version: connector::store::Version(0),
    }
}

#[async_trait::async_trait]
impl Store for Unguarded {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Item>, StoreError> {
        self.with(|db| Ok(db.get(row_key(table, key))?.map(|value| item(&value))))
    }

    async fn scan(&self, table: Table, prefix: &[u8], _: Option<&[u8]>, _: usize) -> Result<Vec<Row>, StoreError> {
        self.with(|db| {
            let rows = db.scan_prefix(row_key(table, prefix));
            rows.map(|row| {
                row.map(|(key, value)| Row {
                    key: key.iter().skip(1).copied().collect(),
                    item: item(&value),
                })
            })
            .collect()
        })
    }

    async fn appended(&self, table: Table) -> Result<u64, StoreError> {
        Ok(self.scan(table, b"", None, usize::MAX).await?.len() as u64)
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        use connector::store::Write;
        self.with(|db| {
            let mut changes = sled::Batch::default();
            let mut committed = Committed::default();
            for write in batch.writes {
                match write {
                    Write::Put(table, key, value) => changes.insert(row_key(table, &key), value),
                    Write::Delete(table, key) => changes.remove(row_key(table, &key)),
                    Write::Append(table, value) => {
                        let last = db.scan_prefix([table.0]).next_back().transpose()?;
                        let last = last.and_then(|(key, _)| key.get(1..9)?.try_into().ok().map(u64::from_be_bytes));
                        let number = last.map_or(0, |last| last + 1);
                        committed.appended.push(number);
                        changes.insert(row_key(table, &number.to_be_bytes()), value);
                    }
                }
            }
            db.apply_batch(changes)?;
            db.flush()?;
            if let Some(data) = &self.data {
                data.sync_data()?;
            }
            Ok(committed)
        })
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.db.lock().map_err(|_| StoreError::Closed)?.take();
        Ok(())
    }
}
