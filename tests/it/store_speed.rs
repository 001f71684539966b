//! Figures of the store on this machine: durable commits a second, opening time, memory. They print; they do not judge.
//!
//! `cargo test -p connector-tests --test it store_speed -- --ignored --nocapture --test-threads 1`

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use connector::store::{Batch, SledStore, Store, Table};

const TABLE: Table = Table(1);
const SECONDS: u64 = 3;

async fn commits_a_second(store: &Arc<SledStore>, tasks: u64) -> u64 {
    let end = Instant::now() + Duration::from_secs(SECONDS);
    let mut running = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let store = Arc::clone(store);
        running.spawn(async move {
            let mut done = 0_u64;
            while Instant::now() < end {
                let mut batch = Batch::new();
                batch.put(
                    TABLE,
                    [tasks.to_be_bytes(), task.to_be_bytes(), done.to_be_bytes()].concat(),
                    [7; 1024],
                );
                store.commit(batch).await.unwrap();
                done += 1;
            }
            done
        });
    }
    running.join_all().await.into_iter().sum::<u64>() / SECONDS
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; needs a quiet machine"]
async fn figures() {
    let dir = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let store = Arc::new(SledStore::open(dir.path()).unwrap());
    println!("create: {:?}", started.elapsed());
    for tasks in [1, 8, 64] {
        println!(
            "{tasks} tasks: {} durable commits of 1 KiB a second",
            commits_a_second(&store, tasks).await
        );
    }
    let rows = store.scan(TABLE, b"", None, usize::MAX).await.unwrap().len();
    let started = Instant::now();
    store.close().await.unwrap();
    println!("close: {:?}", started.elapsed());
    let started = Instant::now();
    let store = SledStore::open(dir.path()).unwrap();
    println!(
        "open with {rows} rows, {} bytes: {:?}",
        fs::metadata(dir.path().join("db")).unwrap().len(),
        started.elapsed()
    );
    store.close().await.unwrap();
    let mut idle = Command::new(env!("CARGO_BIN_EXE_store-writer"));
    let mut idle = idle
        .arg(dir.path())
        .args(["0", "idle"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(idle.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let status = fs::read_to_string(format!("/proc/{}/status", idle.id())).unwrap();
    let memory: Vec<_> = status
        .lines()
        .filter(|line| line.starts_with("VmRSS") || line.starts_with("RssAnon"))
        .collect();
    println!(
        "a process that only holds it open: {}",
        memory.join(", ").replace(['\t', ' '], "")
    );
    drop(idle.stdin.take());
    assert!(idle.wait().unwrap().success());
}
