//! A store for tests of what happens while a commit is being made: in memory, and one commit is held until it is let go, or some are not made.

use super::{Batch, Committed, Item, MemoryStore, Row, Store, StoreError, Table};
use async_trait::async_trait;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};
use tokio::sync::oneshot;

/// Where a commit is held.
enum Moment {
    /// Nobody sees it yet.
    Before,
    /// Readers see it, and it is not durable yet.
    After,
}

struct Hold {
    moment: Moment,
    come: oneshot::Sender<()>,
    gone: oneshot::Receiver<()>,
}

impl Hold {
    async fn wait(self) {
        let _ = self.come.send(());
        let _ = self.gone.await;
    }
}

/// In memory, and the next commit waits or fails when it is told so.
#[derive(Default)]
pub(crate) struct HeldStore {
    inner: MemoryStore,
    held: Mutex<Option<Hold>>,
    failures: Mutex<VecDeque<StoreError>>,
}

impl HeldStore {
    /// Holds the next commit before it is made: what says that it has come, and what lets it go.
    pub(crate) fn hold_before(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        self.hold(Moment::Before)
    }

    /// The same once others can read it, before it is acknowledged.
    pub(crate) fn hold_after(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        self.hold(Moment::After)
    }

    /// The next commits are not made, and answered with these errors, one each; no others any more.
    pub(crate) fn fail(&self, with: impl IntoIterator<Item = StoreError>) {
        *self.failures.lock().unwrap_or_else(PoisonError::into_inner) = with.into_iter().collect();
    }

    async fn make(&self, batch: Batch) -> Result<Committed, StoreError> {
        let failure = self.failures.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        match failure {
            Some(error) => Err(error),
            None => self.inner.commit(batch).await,
        }
    }

    fn hold(&self, moment: Moment) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((come, came), (go, gone)) = (oneshot::channel(), oneshot::channel());
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(Hold { moment, come, gone });
        (came, go)
    }
}

#[async_trait]
impl Store for HeldStore {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Item>, StoreError> {
        self.inner.get(table, key).await
    }

    async fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.inner.scan(table, prefix, after, limit).await
    }

    async fn appended(&self, table: Table) -> Result<u64, StoreError> {
        self.inner.appended(table).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        let hold = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        match hold {
            None => self.make(batch).await,
            Some(hold) if matches!(hold.moment, Moment::Before) => {
                hold.wait().await;
                self.make(batch).await
            }
            Some(hold) => {
                let committed = self.make(batch).await;
                hold.wait().await;
                committed
            }
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}
