//! Durable state: a narrow key-value contract and its backends. Knows keys, values and versions; never what they mean.
//!
//! Every backend passes the same conformance suite (`suite.rs`). A commit is atomic and, once acknowledged, survives a power cut.

#[cfg(test)]
mod held;
pub mod memory;
mod plan;
pub mod sled;
#[cfg(test)]
pub(crate) mod suite;
mod turns;

#[cfg(test)]
pub(crate) use held::HeldStore;
pub use memory::MemoryStore;
pub use sled::SledStore;
pub use turns::{Turn, Turns};

use async_trait::async_trait;

/// A key space. Each room owns its constants; the store only keeps them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Table(pub u8);

/// Largest value a store accepts, in bytes. Larger items would leave sled's synced log (design section 6).
pub const MAX_VALUE: usize = 64 * 1024;
/// Largest key a store accepts, in bytes.
pub const MAX_KEY: usize = 1024;

/// The version of an item: changes on every write of its key, never repeats for that key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub u64);

/// A stored value with the version that a later commit can require.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The bytes as they were put.
    pub value: Vec<u8>,
    /// What [`Batch::require`] compares.
    pub version: Version,
}

/// One row of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The whole key, prefix included.
    pub key: Vec<u8>,
    /// Its value and version.
    pub item: Item,
}

/// The rows of a table whose key starts with a prefix, a page at a time, so that no table needs to fit into memory.
pub struct Pages<'a> {
    store: &'a dyn Store,
    table: Table,
    prefix: Vec<u8>,
    size: usize,
    after: Option<Vec<u8>>,
}

impl<'a> Pages<'a> {
    /// Of `size` rows each, from the first on.
    pub fn new(store: &'a dyn Store, table: Table, prefix: impl Into<Vec<u8>>, size: usize) -> Self {
        Self {
            store,
            table,
            prefix: prefix.into(),
            size,
            after: None,
        }
    }

    /// The next rows in key order, never empty; none when there are no more.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>, StoreError> {
        // A store in memory or in the page cache answers at once: without this, a long table would keep a worker from all other work.
        tokio::task::yield_now().await;
        let after = self.after.as_deref();
        let rows = self.store.scan(self.table, &self.prefix, after, self.size).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        self.after = Some(last.key.clone());
        Ok(Some(rows))
    }
}

/// What must hold at the moment of the commit; otherwise nothing of the batch is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The key has no value.
    Absent,
    /// The key still has the value that was read at this version.
    At(Version),
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Store a value under a key.
    Put(Table, Vec<u8>, Vec<u8>),
    /// Remove a key; absent keys are no error.
    Delete(Table, Vec<u8>),
    /// Store a value under the table's next number (big-endian `u64`, from 0, without gaps). It stays as it is, and
    /// nothing else has a place in such a table.
    Append(Table, Vec<u8>),
}

/// An atomic set of writes with the preconditions under which it may be applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Preconditions, checked together against the state before the batch.
    pub guards: Vec<(Table, Vec<u8>, Guard)>,
    /// Writes, applied in order.
    pub writes: Vec<Write>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a value, whatever was there.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.writes.push(Write::Put(table, key.into(), value.into()));
        self
    }

    /// Puts a value under a key that must not exist yet.
    pub fn insert(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        let key = key.into();
        self.guards.push((table, key.clone(), Guard::Absent));
        self.put(table, key, value)
    }

    /// Puts a value over the one read at `version`.
    pub fn replace(
        &mut self,
        table: Table,
        key: impl Into<Vec<u8>>,
        version: Version,
        value: impl Into<Vec<u8>>,
    ) -> &mut Self {
        let key = key.into();
        self.guards.push((table, key.clone(), Guard::At(version)));
        self.put(table, key, value)
    }

    /// Removes a key.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) -> &mut Self {
        self.writes.push(Write::Delete(table, key.into()));
        self
    }

    /// Appends a value to a numbered table; its number is in [`Committed::appended`].
    pub fn append(&mut self, table: Table, value: impl Into<Vec<u8>>) -> &mut Self {
        self.writes.push(Write::Append(table, value.into()));
        self
    }

    /// Adds all of another batch, after what is there.
    pub fn extend(&mut self, other: Self) -> &mut Self {
        self.guards.extend(other.guards);
        self.writes.extend(other.writes);
        self
    }

    /// Adds a precondition without a write.
    pub fn require(&mut self, table: Table, key: impl Into<Vec<u8>>, guard: Guard) -> &mut Self {
        self.guards.push((table, key.into(), guard));
        self
    }
}

/// What a durable commit returns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Numbers given to the batch's appends, in their order.
    pub appended: Vec<u64>,
}

/// Why a store did not do what was asked. Nothing was changed in any of these cases, except after [`StoreError::Failed`],
/// where the outcome is unknown and the store refuses all further commits, and after [`StoreError::Closed`], where the store
/// may have closed over a commit that was on its way.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum StoreError {
    /// A precondition did not hold: somebody else changed the key. Read again and decide again.
    #[error("the stored state changed meanwhile")]
    Conflict {
        /// Index of the first guard that failed.
        guard: usize,
    },
    /// A key or value is over its limit.
    #[error("{what} of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// `key` or `value`.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A row of a numbered table was to be changed. A store may keep those where nothing changes.
    #[error("a row of a numbered table does not change")]
    Numbered,
    /// Another process has the store open.
    #[error("the store at {0} is in use by another process")]
    InUse(String),
    /// Bytes on disk are not what was written.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The disk is full or failed; the store is read-only from now on.
    #[error("the store cannot write: {0}")]
    Failed(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether it is certain that nothing was changed. Where it is not, only the next start shows what has become of a commit.
    pub const fn changed_nothing(&self) -> bool {
        match self {
            Self::Conflict { .. } | Self::TooLarge { .. } | Self::Numbered | Self::InUse(_) | Self::Corrupt(_) => true,
            Self::Failed(_) | Self::Closed => false,
        }
    }
}

/// The contract that sled, PostgreSQL and the in-memory store of the tests meet.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The item under a key.
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Item>, StoreError>;

    /// Up to `limit` rows whose key starts with `prefix` and is greater than `after` (when given), in key order.
    async fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// How many values were ever appended to a numbered table.
    async fn appended(&self, table: Table) -> Result<u64, StoreError>;

    /// Applies the batch atomically if every guard holds; returns when it is durable.
    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError>;

    /// Waits for running commits and releases the files.
    async fn close(&self) -> Result<(), StoreError>;
}
