//! Writes the load of `store_load` until it is killed, and prints `task seq number .` for each commit after the store
//! acknowledged it. For the crash tests only.
//!
//! `store-writer DIR SIZE KIND`, where SIZE is that of the largest value and KIND is `guarded`, `as-shipped` or `only-log`;
//! KIND `pausing` is `guarded` with breaks, in which sled cleans its segments while nobody commits;
//! with KIND `idle` it opens the guarded store, says `open`, and closes it when its input ends.
//! Ends with 3 when the store is in use, with 4 when it stops accepting commits, with 1 for anything else.
#![forbid(unsafe_code)]

use std::{
    env,
    io::{self, Read, Write},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use connector::store::{SledStore, Store, StoreError, Table};
use connector_tests::store_load::{Id, TASKS, Unguarded, next_seq};

/// Commits of a task between two breaks.
const BURST: u64 = 100;

fn open(dir: &Path, kind: &str) -> Result<Arc<dyn Store>, StoreError> {
    let failed = |e: sled::Error| StoreError::Failed(e.to_string());
    match kind {
        "guarded" | "pausing" => Ok(Arc::new(SledStore::open(dir)?)),
        "as-shipped" => Ok(Arc::new(Unguarded::as_shipped(dir).map_err(failed)?)),
        "only-log" => Ok(Arc::new(Unguarded::only_log_synced(dir).map_err(failed)?)),
        _ => Err(StoreError::Failed(format!("no such kind: {kind}"))),
    }
}

async fn write(store: Arc<dyn Store>, task: u64, size: usize, pause: Duration) -> Result<(), StoreError> {
    let mut seq = next_seq(&*store, task).await?;
    loop {
        let committed = store.commit(Id { task, seq }.batch(size)).await?;
        let number = committed.appended.first().copied().unwrap_or(u64::MAX);
        let line = format!("{task} {seq} {number} .\n");
        if io::stdout().lock().write_all(line.as_bytes()).is_err() {
            return Ok(());
        }
        seq += 1;
        if seq % BURST == 0 {
            tokio::time::sleep(pause).await;
        }
    }
}

async fn run(dir: &Path, size: usize, kind: &str) -> Result<(), StoreError> {
    if kind == "idle" {
        let store = open(dir, "guarded")?;
        println!("open");
        // Until the parent closes the pipe.
        let _ = io::stdin().read(&mut [0]);
        return store.close().await;
    }
    let store = open(dir, kind)?;
    let pause = if kind == "pausing" {
        Duration::from_millis(700)
    } else {
        Duration::ZERO
    };
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(write(Arc::clone(&store), task, size, pause)))
        .collect();
    let mut outcome = Ok(());
    for task in tasks {
        if let Ok(Err(error)) = task.await {
            // After a failure the store refuses every further commit, still reads, and closes in an orderly way. Anything
            // else is a line that the test does not expect.
            if store.commit(Id { task: TASKS, seq: 0 }.batch(size)).await.is_ok() {
                println!("accepted after a failure");
            }
            if let Err(error) = store.get(Table(0), b"never written").await {
                println!("cannot read after a failure: {error}");
            }
            outcome = Err(error);
        }
    }
    store.close().await?;
    outcome
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [dir, size, kind] = arguments.as_slice() else {
        eprintln!("usage: store-writer DIR SIZE KIND");
        return ExitCode::FAILURE;
    };
    let Ok(size) = size.parse() else {
        return ExitCode::FAILURE;
    };
    match run(Path::new(dir), size, kind).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            match error {
                StoreError::InUse(_) => ExitCode::from(3),
                StoreError::Failed(_) => ExitCode::from(4),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
