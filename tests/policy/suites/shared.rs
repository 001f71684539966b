//! Where the data lies that others made.

use std::{
    env,
    path::{Path, PathBuf},
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
