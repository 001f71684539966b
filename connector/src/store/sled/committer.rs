//! The one writer (g3): it groups batches, decides each, makes a group durable at once (g2, g4), and moves full blocks out of the tree.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    thread,
    time::Duration,
};

use tokio::sync::{mpsc, watch};

use super::{
    Job, RELEASE_STEPS, Shared,
    blocks::{self, BLOCK},
    chunks, contain, store_error,
};
use crate::store::{
    Batch, Committed, StoreError, Table, Write,
    plan::{self, Ledger, Plan, Rows},
};

/// Blocks of a table that are moved after one group at most: callers of the next one wait meanwhile.
const MOVED_AT_ONCE: usize = 4;
/// A group is closed at this many batches ...
const GROUP_BATCHES: usize = 256;
/// ... or when it holds this many bytes.
const GROUP_BYTES: usize = 1 << 20;

/// The one writer.
pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) db: sled::Db,
    /// The file `db`, for g2.
    pub(super) data: File,
    pub(super) blobs: SyncedBlobs,
    pub(super) ledger: Ledger,
    pub(super) failed: Option<String>,
    /// Blocks are moved out of the tree; not any more once that has failed, until the next start.
    pub(super) moves: bool,
    pub(super) dir: PathBuf,
    pub(super) lock: File,
}

impl Committer {
    /// Serves the queue until every sender is gone, then releases the files.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>, ending: &watch::Sender<bool>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut bytes = plan::size(&first.batch);
            let mut group = vec![first];
            while group.len() < GROUP_BATCHES && bytes < GROUP_BYTES {
                let Ok(job) = jobs.try_recv() else { break };
                bytes += plan::size(&job.batch);
                group.push(job);
            }
            self.commit(group);
            self.move_blocks();
        }
        self.release();
        ending.send_replace(true);
    }

    /// Decides every batch of the group in order, makes the accepted ones durable together, then answers all.
    fn commit(&mut self, group: Vec<Job>) {
        if let Some(reason) = &self.failed {
            for job in group {
                // Nobody may be waiting any more; that is the caller's right.
                let _ = job.reply.send(Err(StoreError::Failed(reason.clone())));
            }
            return;
        }
        let mut plan = Plan::new(self.ledger.clone());
        let mut answers = Vec::with_capacity(group.len());
        for Job { batch, reply } in group {
            answers.push((reply, contain(|| self.decide(&mut plan, batch))));
        }
        let (ledger, rows) = plan.finish();
        let outcome = if rows.is_empty() {
            Ok(())
        } else {
            self.make_durable(ledger, rows)
        };
        for (reply, answer) in answers {
            // When the group failed, even a conflict was found against rows whose fate is unknown.
            let _ = reply.send(outcome.clone().and(answer));
        }
    }

    fn decide(&self, plan: &mut Plan, batch: Batch) -> Result<Committed, StoreError> {
        let progress = self.shared.progress.borrow();
        let moved = |table: Table, key: &[u8]| progress.moved.holds(table, key);
        let changes_moved = batch.writes.iter().any(|write| match write {
            Write::Put(table, key, _) | Write::Delete(table, key) => moved(*table, key).is_some(),
            Write::Append(..) => false,
        });
        if changes_moved {
            return Err(StoreError::Numbered);
        }
        plan.add(batch, |table, key| match moved(table, key) {
            Some(number) => match self.shared.blocks.read(table, number..number + 1)?.pop() {
                Some(row) => plan::decode_row(&row).map(|(version, _)| Some(version)),
                None => Ok(None),
            },
            None => chunks::version(&self.db, &plan::row_key(table, key)),
        })
    }

    /// Moves the blocks that are full out of the tree, a few at a time. Nobody waits for it, and where it fails everything is where it was.
    fn move_blocks(&mut self) {
        for (table, appended) in self.ledger.numbered().collect::<Vec<_>>() {
            for _ in 0..MOVED_AT_ONCE {
                let block = self.shared.progress.borrow().moved.blocks(table);
                if self.failed.is_some() || !self.moves || appended / BLOCK <= block {
                    break;
                }
                if let Err(error) = contain(|| self.move_block(table, block)) {
                    tracing::warn!(%error, "a block of the log stays in the tree, and so will all that follow until the next start");
                    self.moves = false;
                }
            }
        }
    }

    fn move_block(&mut self, table: Table, block: u64) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        for number in blocks::numbers(block) {
            let row = chunks::load(&self.db, &plan::row_key(table, &number.to_be_bytes()))?;
            rows.push(row.ok_or_else(|| StoreError::Corrupt(format!("row {number} of a numbered table is missing")))?);
        }
        self.shared
            .blocks
            .write(table, block, &rows)
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        let mut batch = sled::Batch::default();
        // From here on readers look into the file.
        self.shared.progress.send_modify(|progress| progress.moved.add(table));
        let moved = self.shared.progress.borrow().moved.clone();
        let forgotten = moved.write(&self.db, &mut batch, table);
        let forgotten = forgotten.and_then(|()| self.make_batch_durable(batch));
        if let Err(error) = &forgotten {
            self.failed = Some(error.to_string());
            self.shared
                .progress
                .send_modify(|progress| progress.failed.clone_from(&self.failed));
        }
        forgotten
    }

    fn make_durable(&mut self, ledger: Ledger, rows: Rows) -> Result<(), StoreError> {
        let rows = Arc::new(rows);
        self.shared.progress.send_modify(|progress| {
            progress.group += 1;
            progress.pending = Some(Arc::clone(&rows));
        });
        let written = contain(|| self.write(&rows));
        match &written {
            Ok(()) => self.ledger.clone_from(&ledger),
            Err(error) => self.failed = Some(error.to_string()),
        }
        self.shared.progress.send_modify(|progress| match &written {
            Ok(()) => {
                progress.pending = None;
                progress.ledger = ledger;
            }
            Err(_) => progress.failed.clone_from(&self.failed),
        });
        written.map_err(|error| StoreError::Failed(error.to_string()))
    }

    /// One atomic change, then the barriers (g2, g4). An error leaves the outcome unknown.
    fn write(&mut self, rows: &Rows) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, row) in rows {
            chunks::write(&self.db, &mut batch, key, row.as_deref())?;
        }
        self.make_batch_durable(batch)
    }

    fn make_batch_durable(&mut self, batch: sled::Batch) -> Result<(), StoreError> {
        self.db.apply_batch(batch).map_err(store_error)?;
        self.db.flush().map_err(store_error)?;
        self.blobs
            .sync()
            .and_then(|()| self.data.sync_data())
            .map_err(|e| StoreError::Failed(e.to_string()))
    }

    /// Drops sled and waits until it has let go of its file, so that whoever sees the end can open the store again.
    fn release(self) {
        let Self {
            shared, db, dir, lock, ..
        } = self;
        let _ = contain(|| {
            drop(shared.db.write().unwrap_or_else(PoisonError::into_inner).take());
            drop(db);
            Ok(())
        });
        for _ in 0..RELEASE_STEPS {
            match File::open(dir.join("db")).map(|file| file.try_lock()) {
                Ok(Err(TryLockError::WouldBlock)) => thread::sleep(Duration::from_millis(10)),
                _ => break,
            }
        }
        drop(lock);
    }
}

/// The blobs that are known to be on disk (g4).
pub(super) struct SyncedBlobs {
    dir: PathBuf,
    synced: HashSet<OsString>,
}

impl SyncedBlobs {
    /// None yet of those in a store's folder.
    pub(super) fn of(store: &Path) -> Self {
        Self {
            dir: store.join("blobs"),
            synced: HashSet::new(),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut fresh = false;
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if self.synced.contains(&entry.file_name()) {
                continue;
            }
            match File::open(entry.path()) {
                Ok(file) => file.sync_all()?,
                // sled removed a blob that was replaced meanwhile.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            }
            self.synced.insert(entry.file_name());
            fresh = true;
        }
        if fresh {
            File::open(&self.dir)?.sync_all()
        } else {
            Ok(())
        }
    }
}
