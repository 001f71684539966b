//! The embedded store: sled 0.34 behind the [`Store`] trait, with the guards that make "acknowledged" mean "on disk".
//! sled appears in this file and in those of `sled/`, and in no other.
//!
//! Bare, sled 0.34.7 loses acknowledged writes at a power cut, can refuse to open after a crash during recovery and can hang
//! in `flush_async`. What is done about it, and tested in `tests/it/store_crash.rs`:
//!
//! - **g1** Recovery writes `snap.*.generating` and would take a half-written one for a snapshot, so left-overs are removed
//!   before opening. They hold nothing that the log does not.
//! - **g2** `flush` only starts write-back (`sync_file_range`), so the file `db` is `fdatasync`ed after it, and only then is
//!   anything acknowledged. Once after opening, the small files and the directories are synced as well.
//! - **g3** One committer thread (`sled/committer.rs`) owns all writes: it drains a bounded queue, applies a whole group of
//!   batches as one sled batch, and pays one flush for it. `flush_async` is never called.
//! - **g4** A tree page over a quarter of sled's segment goes to a file of its own in `blobs/`, which sled never syncs. A
//!   leaf page holds about 16 items, so at sled's default of 512 KiB items of 8 KiB would be enough. Segments are
//!   `SEGMENT` bytes instead and long values are cut into chunks of 16 KiB (`sled/chunks.rs`); a blob that appears
//!   all the same is synced before it is acknowledged.
//!
//! - **Memory** grows with the tree, so full blocks of numbered tables lie in files of their own (`sled/blocks.rs`).
//!
//! Reads run inline on the caller's thread: they take microseconds from the page cache, and at worst one disk read.

use std::{
    fs::{self, File, TryLockError},
    io,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread,
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Batch, Committed, Item, Row, Store, StoreError, Table,
    plan::{self, LEDGER_KEY, Ledger, Rows},
};

mod blocks;
mod chunks;
mod committer;

use blocks::{Blocks, Moved};
use committer::{Committer, SyncedBlobs};

/// sled's segment size. A quarter of it, 512 KiB, is the largest page that stays in the synced log: 30 items of the longest
/// key and a whole chunk, or an index of 256 of the longest keys. Larger segments cost memory: recovery reads whole ones.
const SEGMENT: usize = 2 << 20;
/// sled's page cache. The working set of a connector is small, and the kernel caches the file anyway.
const CACHE: u64 = 4 << 20;
/// How often sled's own thread moves live pages out of mostly dead segments and syncs. Without it the file grows for ever.
const CLEAN_EVERY_MS: u64 = 500;
/// Callers that may wait in the queue before `commit` itself waits for room.
const QUEUE: usize = 256;
/// sled lets go of its file a moment after the last handle is dropped; how long to wait for that, in steps of 10 ms.
const RELEASE_STEPS: u32 = 200;

/// A [`Store`] in a directory of its own.
#[derive(Debug)]
pub struct SledStore {
    shared: Arc<Shared>,
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    /// Turns true when the committer has ended and the files are released.
    ended: watch::Receiver<bool>,
}

/// A batch and who waits for it.
struct Job {
    batch: Batch,
    reply: oneshot::Sender<Result<Committed, StoreError>>,
}

/// What readers see.
#[derive(Debug)]
struct Shared {
    /// `None` once closed. Readers hold the lock only while they read, never across an await.
    db: RwLock<Option<sled::Db>>,
    /// What has moved out of the tree.
    blocks: Blocks,
    progress: watch::Sender<Progress>,
}

/// How far the committer is.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// Counts groups.
    group: u64,
    /// The rows of the group that is being written: visible in sled, not yet durable. Stays set when that group failed.
    pending: Option<Arc<Rows>>,
    /// Why the store cannot write any more.
    failed: Option<String>,
    /// The durable counters.
    ledger: Ledger,
    /// The blocks that are whole in files, and soon gone from the tree.
    moved: Moved,
}

impl SledStore {
    /// Opens the store in `dir`, creating it (and `dir`) where there is none. Blocks for the recovery: milliseconds to
    /// some tenths of a second.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process, or another handle of this one, has it open; [`StoreError::Corrupt`]
    /// when sled finds damage; [`StoreError::Failed`] for any other reason the disk gives.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let on_disk = |e: io::Error| StoreError::Failed(format!("{}: {e}", dir.display()));
        fs::create_dir_all(dir).map_err(on_disk)?;
        let lock = lock(dir)?;
        clear_leftovers(dir).map_err(on_disk)?;
        let db = open_sled(dir)?;
        let data = sync_created(dir).map_err(on_disk)?;
        let ledger = match contain(|| chunks::load(&db, LEDGER_KEY))? {
            Some(row) => Ledger::decode(&row)?,
            None => Ledger::default(),
        };
        let progress = watch::Sender::new(Progress {
            ledger: ledger.clone(),
            moved: contain(|| Moved::load(&db))?,
            ..Progress::default()
        });
        let shared = Arc::new(Shared {
            db: RwLock::new(Some(db.clone())),
            blocks: Blocks::open(dir).map_err(on_disk)?,
            progress,
        });
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (ending, ended) = watch::channel(false);
        let committer = Committer {
            shared: Arc::clone(&shared),
            db,
            blobs: SyncedBlobs::of(dir),
            data,
            ledger,
            failed: None,
            moves: true,
            dir: dir.to_owned(),
            lock,
        };
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || committer.run(jobs, &ending))
            .map_err(on_disk)?;
        Ok(Self {
            shared,
            queue: Mutex::new(Some(queue)),
            ended,
        })
    }

    /// Waits until what was just read is durable, when it belongs to a group that is being written this moment: nobody may
    /// act on what a power cut could still undo. `touched` tells whether the group concerns the reader.
    async fn settle(&self, touched: impl Fn(&Rows) -> bool) -> Result<(), StoreError> {
        let mut progress = self.shared.progress.subscribe();
        let group = {
            let now = progress.borrow();
            match &now.pending {
                Some(rows) if touched(rows) => now.group,
                _ => return Ok(()),
            }
        };
        let over = |now: &Progress| now.failed.is_some() || now.group != group || now.pending.is_none();
        let now = progress.wait_for(over).await.map_err(|_| StoreError::Closed)?;
        match &now.failed {
            Some(reason) if now.group == group => Err(StoreError::Failed(reason.clone())),
            _ => Ok(()),
        }
    }
}

impl Shared {
    fn read<T>(&self, read: impl FnOnce(&sled::Db) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().ok_or(StoreError::Closed)?;
        contain(|| read(db))
    }

    /// A row, wherever it is: one that is not in the tree may have moved out of it meanwhile.
    fn row(&self, db: &sled::Db, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(row) = self.moved_row(table, key)? {
            return Ok(Some(row));
        }
        match chunks::load(db, &plan::row_key(table, key))? {
            Some(row) => Ok(Some(row)),
            None => self.moved_row(table, key),
        }
    }

    fn moved_row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(number) = self.progress.borrow().moved.holds(table, key) else {
            return Ok(None);
        };
        Ok(self.blocks.read(table, number..number + 1)?.pop())
    }

    fn rows(
        &self,
        db: &sled::Db,
        table: Table,
        (prefix, after): (&[u8], Option<&[u8]>),
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        loop {
            let moved = self.progress.borrow().moved.rows(table);
            let mut rows = blocks::scan(&self.blocks, table, moved, (prefix, after), limit)?;
            let mut start = plan::scan_start(table, prefix, after);
            if moved > 0 {
                // Until a block is gone from the tree its rows are in both.
                start = later(start, plan::row_key(table, &moved.to_be_bytes()));
            }
            let begins = plan::row_key(table, prefix);
            for entry in chunks::rows_from(db, start, &begins).take(limit - rows.len()) {
                let (key, row) = entry?;
                rows.push(Row {
                    key: key.iter().skip(1).copied().collect(),
                    item: plan::item(&row)?,
                });
            }
            // Otherwise the rows of a block may have gone before they were reached.
            if self.progress.borrow().moved.rows(table) == moved {
                return Ok(rows);
            }
        }
    }
}

#[async_trait]
impl Store for SledStore {
    /// Waits out a running commit of the same key; otherwise answers at once.
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Item>, StoreError> {
        let item = self.shared.read(|db| {
            let row = self.shared.row(db, table, key)?;
            row.map(|row| plan::item(&row)).transpose()
        })?;
        let key = plan::row_key(table, key);
        self.settle(|rows| rows.contains_key(&key)).await?;
        Ok(item)
    }

    /// Every row is whole and durable, but the rows may come from before and after a commit that runs meanwhile.
    async fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let rows = self
            .shared
            .read(|db| self.shared.rows(db, table, (prefix, after), limit))?;
        let prefix = plan::row_key(table, prefix);
        self.settle(|pending| {
            pending
                .range(prefix.clone()..)
                .next()
                .is_some_and(|(key, _)| key.starts_with(&prefix))
        })
        .await?;
        Ok(rows)
    }

    async fn appended(&self, table: Table) -> Result<u64, StoreError> {
        self.shared.read(|_| Ok(()))?;
        Ok(self.shared.progress.borrow().ledger.appended(table))
    }

    /// A caller that stops waiting (a dropped future) leaves the outcome open: the batch is applied whole or not at all.
    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        plan::check_limits(&batch)?;
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (reply, answer) = oneshot::channel();
        queue
            .ok_or(StoreError::Closed)?
            .send(Job { batch, reply })
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    async fn close(&self) -> Result<(), StoreError> {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut ended = self.ended.clone();
        // An error means that the committer is gone, which is what was waited for.
        let _ = ended.wait_for(|ended| *ended).await;
        Ok(())
    }
}

/// The bound that is further on.
fn later(bound: Bound<Vec<u8>>, from: Vec<u8>) -> Bound<Vec<u8>> {
    match bound {
        Bound::Included(key) if key > from => Bound::Included(key),
        Bound::Excluded(key) if key >= from => Bound::Excluded(key),
        _ => Bound::Included(from),
    }
}

/// Takes the store's own lock. sled locks `db` itself, but only after g1 would have removed the snapshot that a running
/// process is writing.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let failed = |e: io::Error| StoreError::Failed(format!("{}: {e}", path.display()));
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(dir.display().to_string())),
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

/// Removes what a crash can leave behind and sled would stumble over: half-written snapshots (g1), and a half-written
/// `conf` of a store that never held anything.
fn clear_leftovers(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    let empty = fs::metadata(dir.join("db")).map_or(true, |db| db.len() == 0);
    if empty && dir.join("conf").exists() {
        fs::remove_file(dir.join("conf"))?;
    }
    Ok(())
}

fn open_sled(dir: &Path) -> Result<sled::Db, StoreError> {
    let config = || {
        sled::Config::new()
            .path(dir)
            .segment_size(SEGMENT)
            .cache_capacity(CACHE)
            .flush_every_ms(Some(CLEAN_EVERY_MS))
    };
    for _ in 0..RELEASE_STEPS {
        match contain(|| Ok(config().open()))? {
            Ok(db) => return Ok(db),
            Err(error) if is_locked(&error) => thread::sleep(Duration::from_millis(10)),
            Err(error) => return Err(store_error(error)),
        }
    }
    Err(StoreError::InUse(dir.display().to_string()))
}

/// sled wraps the failed lock into an untyped I/O error; its text is all there is.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(e) if e.to_string().contains("could not acquire lock"))
}

/// Syncs what opening may have created and sled leaves to the kernel: `conf`, `db` and their directory entries.
/// Returns `db`.
fn sync_created(dir: &Path) -> io::Result<File> {
    File::open(dir.join("conf"))?.sync_all()?;
    let data = File::open(dir.join("db"))?;
    data.sync_all()?;
    File::open(dir.join("blobs"))?.sync_all()?;
    File::open(dir)?.sync_all()?;
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all()?,
        _ => File::open(".")?.sync_all()?,
    }
    Ok(data)
}

fn store_error(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Corruption { .. } => StoreError::Corrupt(error.to_string()),
        other => StoreError::Failed(other.to_string()),
    }
}

/// sled panics where it meets what it did not expect (a full disk, damaged bytes); here that is an error like any other.
fn contain<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(StoreError::Failed(format!(
            "sled panicked: {}",
            text.unwrap_or("without a message")
        )))
    })
}

#[cfg(test)]
mod tests;
