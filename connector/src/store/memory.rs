//! A store in memory, for tests of the rooms above. NOT durable: everything is gone when it is dropped.
//!
//! It keeps the whole contract except durability, and passes the same suite as the real backends.

use std::{
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    Batch, Committed, Item, Row, Store, StoreError, Table,
    plan::{self, Ledger, Plan, Rows},
};

/// A [`Store`] that forgets. For tests only.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: Rows,
    ledger: Ledger,
    closed: bool,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        // No code between lock and unlock can leave the rows half-changed, so a panicked test's lock is still good.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            Err(StoreError::Closed)
        } else {
            Ok(state)
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Item>, StoreError> {
        let state = self.state()?;
        state
            .rows
            .get(&plan::row_key(table, key))
            .and_then(Option::as_deref)
            .map(plan::item)
            .transpose()
    }

    async fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let start = plan::scan_start(table, prefix, after);
        let prefix = plan::row_key(table, prefix);
        self.state()?
            .rows
            .range((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(&prefix))
            .filter_map(|(key, row)| Some((key, row.as_deref()?)))
            .take(limit)
            .map(|(key, row)| {
                Ok(Row {
                    key: key.iter().skip(1).copied().collect(),
                    item: plan::item(row)?,
                })
            })
            .collect()
    }

    async fn appended(&self, table: Table) -> Result<u64, StoreError> {
        Ok(self.state()?.ledger.appended(table))
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        plan::check_limits(&batch)?;
        let mut state = self.state()?;
        let mut plan = Plan::new(state.ledger.clone());
        let stored = |table, key: &[u8]| {
            let row = state.rows.get(&plan::row_key(table, key)).and_then(Option::as_deref);
            row.map(plan::decode_row)
                .transpose()
                .map(|found| found.map(|(version, _)| version))
        };
        let committed = plan.add(batch, stored)?;
        let (ledger, rows) = plan.finish();
        state.ledger = ledger;
        for (key, row) in rows {
            match row {
                Some(row) => state.rows.insert(key, Some(row)),
                None => state.rows.remove(&key),
            };
        }
        Ok(committed)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite::{Fixture, store_suite};
    use std::sync::Arc;

    struct InMemory;

    impl Fixture for InMemory {
        const DURABLE: bool = false;

        fn new() -> Self {
            Self
        }

        async fn open(&self) -> Arc<dyn Store> {
            Arc::new(MemoryStore::new())
        }
    }

    store_suite!(InMemory);
}
