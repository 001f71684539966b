//! The store under kills, power cuts, full and failing disks: what was acknowledged is there, and nothing is torn.
//!
//! A writer process runs the load of `store_load` and prints what was acknowledged to it; this process lets it die, opens
//! what it left behind, and compares. `CONNECTOR_LONG=1` runs more and longer rounds.

use std::{
    env, fs,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use crate::scenes::mixed;
use connector::store::{SledStore, Store};
use connector_tests::store_load::{Acknowledged, Unguarded};

const WRITER: &str = env!("CARGO_BIN_EXE_store-writer");
/// The largest value of an ordinary round, in bytes: many commits.
const SMALL: usize = 2_000;
/// The largest value of a heavy round: many segments are filled, cleaned and used again.
const LARGE: usize = 60_000;

fn rounds(normal: u64, long: u64) -> u64 {
    if env::var_os("CONNECTOR_LONG").is_some_and(|value| value == "1") {
        long
    } else {
        normal
    }
}

/// The preloaded disk, compiled once; `None` (and a word on why) where that cannot be done.
pub(crate) fn powercut() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    LIBRARY
        .get_or_init(|| {
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/faults/powercut.c");
            let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("powercut-{}.so", std::process::id()));
            let built = Command::new("cc")
                .args(["-shared", "-fPIC", "-O1", "-o"])
                .arg(&library)
                .arg(source)
                .status();
            match built {
                Ok(status) => {
                    assert!(status.success(), "cc cannot compile {source}");
                    Some(library)
                }
                Err(error) => {
                    println!("skipped: no C compiler for the power-cut model ({error})");
                    None
                }
            }
        })
        .as_deref()
}

/// A store directory, what was acknowledged of it, and where the shim keeps what is durable.
struct Scene {
    home: tempfile::TempDir,
    acknowledged: Acknowledged,
    size: usize,
    kind: &'static str,
}

impl Scene {
    fn new(kind: &'static str, size: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("store")).unwrap();
        Self {
            home,
            acknowledged: Acknowledged::default(),
            size,
            kind,
        }
    }

    fn store(&self) -> PathBuf {
        self.home.path().canonicalize().unwrap().join("store")
    }

    fn shadow(&self) -> PathBuf {
        self.home.path().join("shadow")
    }

    /// Runs the writer until it ends or `limit` is over, and notes what it acknowledged.
    fn run(&mut self, limit: Duration, environment: &[(&str, String)]) -> ExitStatus {
        let _ = fs::remove_dir_all(self.shadow());
        fs::create_dir(self.shadow()).unwrap();
        let mut command = Command::new(WRITER);
        command.arg(self.store()).arg(self.size.to_string()).arg(self.kind);
        if !environment.is_empty() {
            command.env("LD_PRELOAD", powercut().unwrap());
            command
                .env("POWERCUT_DIR", self.store())
                .env("POWERCUT_SHADOW", self.shadow());
            command.envs(environment.iter().map(|(name, value)| (name, value)));
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let reader = thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).unwrap();
            text
        });
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > limit {
                child.kill().unwrap();
                break child.wait().unwrap();
            }
            thread::sleep(Duration::from_millis(2));
        };
        let text = reader.join().unwrap();
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        for line in lines {
            assert!(
                self.acknowledged.read_line(line.trim_end_matches('\n')),
                "the writer said: {line}"
            );
        }
        status
    }

    /// Puts back what was durable when the power was cut. Names survive; a file keeps only its synced bytes.
    fn restore(&self) {
        restore(&self.store(), &self.shadow());
    }

    /// Opens the store as it is left, checks it, and closes it.
    fn check(&self) -> Result<(), String> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store: Arc<dyn Store> = match self.kind {
            "guarded" | "pausing" => {
                Arc::new(SledStore::open(&self.store()).map_err(|e| format!("does not open: {e}"))?)
            }
            // Damage makes sled panic as often as it makes it return an error.
            _ => match std::panic::catch_unwind(|| Unguarded::as_shipped(&self.store())) {
                Ok(Ok(store)) => Arc::new(store),
                Ok(Err(error)) => return Err(format!("does not open: {error}")),
                Err(_) => return Err("does not open: sled panicked".to_owned()),
            },
        };
        runtime.block_on(async {
            let outcome = self.acknowledged.check(&*store, self.size).await;
            store.close().await.unwrap();
            outcome
        })
    }
}

pub(crate) fn restore(dir: &Path, shadow: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let about = entry.metadata().unwrap();
        let durable = shadow.join(about.ino().to_string());
        if about.is_dir() {
            restore(&entry.path(), shadow);
        } else if durable.exists() {
            // A new file: the restored state must not depend on the old inode.
            fs::remove_file(entry.path()).unwrap();
            fs::copy(&durable, entry.path()).unwrap();
        }
    }
}

/// Cuts the power `rounds` times and returns the first complaint, with its round.
fn cut_power(scene: &mut Scene, rounds: u64, within: u64, keep: u64) -> Result<(), String> {
    for round in 0..rounds {
        let environment = [
            ("POWERCUT_AFTER", (1 + mixed(round * 3 + keep) % within).to_string()),
            ("POWERCUT_KEEP", keep.to_string()),
            ("POWERCUT_SEED", round.to_string()),
        ];
        scene.run(Duration::from_secs(20), &environment);
        scene.restore();
        scene
            .check()
            .map_err(|complaint| format!("round {round}: {complaint}"))?;
    }
    Ok(())
}

#[test]
fn a_killed_process_loses_nothing_acknowledged() {
    let mut scene = Scene::new("guarded", SMALL);
    for round in 0..rounds(20, 100) {
        let moment = Duration::from_millis(20 + mixed(round) % 200);
        scene.run(moment, &[]);
        scene.check().unwrap();
    }
    println!("killed: {} commits acknowledged, none lost", scene.acknowledged.count());
    assert!(scene.acknowledged.count() > 100);
}

#[test]
fn a_power_cut_loses_nothing_acknowledged() {
    let Some(_) = powercut() else { return };
    let mut scene = Scene::new("guarded", SMALL);
    cut_power(&mut scene, rounds(20, 100), 1_500, 0).unwrap();
    println!(
        "power cut: {} commits acknowledged, none lost",
        scene.acknowledged.count()
    );
    assert!(scene.acknowledged.count() > 100);
}

#[test]
fn a_power_cut_with_writes_out_of_order_loses_nothing_acknowledged() {
    let Some(_) = powercut() else { return };
    for keep in [20, 50, 90] {
        let mut scene = Scene::new("guarded", SMALL);
        cut_power(&mut scene, rounds(7, 100), 1_500, keep).unwrap();
        println!(
            "power cut, {keep} % of the rest kept: {} acknowledged, none lost",
            scene.acknowledged.count()
        );
    }
}

#[test]
fn a_power_cut_while_segments_are_used_again_loses_nothing_acknowledged() {
    let Some(_) = powercut() else { return };
    for keep in [0, 50] {
        let mut scene = Scene::new("guarded", LARGE);
        cut_power(&mut scene, rounds(6, 60), 3_000, keep).unwrap();
        println!(
            "power cut, large values: {} acknowledged, none lost",
            scene.acknowledged.count()
        );
    }
}

#[test]
fn a_power_cut_while_sled_cleans_loses_nothing_acknowledged() {
    let Some(_) = powercut() else { return };
    for (size, keep) in [(LARGE, 50), (SMALL, 80)] {
        let mut scene = Scene::new("pausing", size);
        cut_power(&mut scene, rounds(4, 60), 4_000, keep).unwrap();
        println!(
            "power cut, with breaks: {} acknowledged, none lost",
            scene.acknowledged.count()
        );
    }
}

#[test]
fn sled_as_shipped_loses_acknowledged_commits_in_the_same_test() {
    let Some(_) = powercut() else { return };
    let mut scene = Scene::new("as-shipped", SMALL);
    let complaint = cut_power(&mut scene, 20, 1_500, 0).unwrap_err();
    println!("sled as shipped: {complaint}");
}

#[test]
fn sled_with_only_its_log_synced_loses_large_pages_in_the_same_test() {
    let Some(_) = powercut() else { return };
    let mut scene = Scene::new("only-log", LARGE);
    let complaint = cut_power(&mut scene, 20, 3_000, 0).unwrap_err();
    println!("sled with only its log synced: {complaint}");
}

#[test]
fn a_kill_inside_the_snapshot_of_a_recovery_does_not_keep_the_store_from_opening() {
    let Some(_) = powercut() else { return };
    let mut scene = Scene::new("guarded", SMALL);
    for _ in 0..3 {
        scene.run(Duration::from_millis(300), &[]);
        let status = scene.run(Duration::from_secs(20), &[("POWERCUT_SNAPSHOT", "1".to_owned())]);
        assert!(!status.success());
        let left: Vec<_> = fs::read_dir(scene.store())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(
            left.iter().any(|name| name.to_string_lossy().ends_with(".generating")),
            "{left:?}"
        );
        scene.check().unwrap();
    }
    let mut bare = Scene::new("as-shipped", SMALL);
    bare.run(Duration::from_millis(300), &[]);
    bare.run(Duration::from_secs(20), &[("POWERCUT_SNAPSHOT", "1".to_owned())]);
    let complaint = bare.check().unwrap_err();
    assert!(complaint.contains("does not open"), "{complaint}");
    println!("sled as shipped, killed in its snapshot: {complaint}");
}

#[test]
fn a_full_disk_refuses_commits_and_loses_nothing_acknowledged() {
    let Some(_) = powercut() else { return };
    let mut scene = Scene::new("guarded", SMALL);
    for round in 0..rounds(6, 30) {
        let space = 10_000 + mixed(round) % 3_000_000;
        let status = scene.run(Duration::from_secs(20), &[("POWERCUT_SPACE", space.to_string())]);
        assert_eq!(
            status.code(),
            Some(4),
            "the writer was told that the store cannot write"
        );
        scene.check().unwrap();
    }
    println!(
        "full disk: {} commits acknowledged, none lost",
        scene.acknowledged.count()
    );
}

#[test]
fn a_failing_sync_is_never_acknowledged() {
    let Some(_) = powercut() else { return };
    let mut scene = Scene::new("guarded", SMALL);
    for round in 0..rounds(6, 30) {
        let sync = (12 + mixed(round) % 300).to_string();
        let status = scene.run(Duration::from_secs(20), &[("POWERCUT_BAD_SYNC", sync)]);
        assert_eq!(
            status.code(),
            Some(4),
            "the writer was told that the store cannot write"
        );
        scene.restore();
        scene.check().unwrap();
    }
    println!(
        "failing sync: {} commits acknowledged, none lost",
        scene.acknowledged.count()
    );
}

#[test]
fn a_second_process_is_told_that_the_store_is_in_use() {
    let mut scene = Scene::new("guarded", SMALL);
    let store = SledStore::open(&scene.store()).unwrap();
    let status = scene.run(Duration::from_secs(20), &[]);
    assert_eq!(status.code(), Some(3));
    drop(store);
}
