//! Where the data lies that others made, and what becomes of a case that cannot be judged at all.

use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    thread,
};

/// A folder of `../shared/data`, or nothing where it is missing; then the caller's test counts as skipped.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let shared = env::var_os("SHARED_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let folder = shared.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: ../shared/data/{name} is not here");
    None
}

/// What a case is told to be that panicked begins with.
pub(crate) const PANICKED: &str = "panicked: ";

/// Judges one case. What panics on the way, be it the case that is odd or the crate that is wrong, is a miss of this case, and the others are
/// judged all the same.
pub(crate) fn guarded<T>(judge: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("{PANICKED}{}", said.unwrap_or("without a word")))
    })
}

/// A folder of the calling test with these files alone, of which none is from elsewhere.
pub(crate) fn made(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let test = thread::current().name().unwrap_or("main").replace(':', "-");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    for (file, text) in files {
        let file = folder.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    folder
}

#[test]
fn a_case_that_panics_is_a_miss() {
    let judged: Vec<_> = [1, 0].map(|part| guarded(|| Ok(1 / part))).into();
    assert_eq!(judged[0], Ok(1));
    assert!(
        judged[1].as_ref().is_err_and(|said| said.starts_with(PANICKED)),
        "{judged:?}"
    );
}
