//! The lines of releases on disk.

use super::TransferError;
use crate::plane::{PlaneError, release::Made};
use std::{
    collections::HashSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Writes the lines where only this user can read them, whole or not at all.
pub(super) async fn keep(path: PathBuf, made: Made) -> Result<(), TransferError> {
    tokio::task::spawn_blocking(move || write(&path, &made.lines))
        .await
        .map_err(|_| PlaneError::Incomplete)?
        .map_err(|error| PlaneError::Sink(error).into())
}

/// Drops lines that leave no more. A stream that still reads them has them open, and ends if it must go back.
pub(super) async fn remove(path: PathBuf) {
    let _ = tokio::task::spawn_blocking(move || fs::remove_file(path)).await;
}

/// Removes lines, written whole or not, that nothing names.
pub(super) fn sweep(folder: &Path, named: &HashSet<PathBuf>) -> io::Result<()> {
    let files = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    for file in files {
        let path = file?.path();
        let is_ours = path
            .extension()
            .is_some_and(|kind| kind == "ndjson" || kind == "writing");
        if is_ours && !named.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn write(path: &Path, lines: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let folder = path.parent().unwrap_or(path);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let written = path.with_extension("writing");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&written)?;
    file.write_all(lines)?;
    file.sync_all()?;
    fs::rename(&written, path)?;
    fs::File::open(folder)?.sync_all()
}
