//! The authority's folder: private files for its owner alone, `public/` for any web server, every change whole or not at all.

use super::AuthorityError;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// What a web server may show.
pub const PUBLIC: &str = "public";

/// The folder, held by one command at a time.
pub(super) struct Folder {
    path: PathBuf,
    _held: File,
}

fn failed(path: &Path, cause: &std::io::Error) -> AuthorityError {
    AuthorityError::File {
        path: path.to_owned(),
        cause: cause.to_string(),
    }
}

/// A file of the folder, whoever holds it.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, AuthorityError> {
    fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => AuthorityError::Missing(path.to_owned()),
        _ => failed(path, &error),
    })
}

impl Folder {
    /// Makes a folder, or takes an empty one.
    pub(super) fn make(path: &Path) -> Result<Self, AuthorityError> {
        let mut folder = DirBuilder::new();
        folder.recursive(true).mode(0o700);
        folder.create(path).map_err(|error| failed(path, &error))?;
        let held = Self::hold(path)?;
        let mut entries = fs::read_dir(path).map_err(|error| failed(path, &error))?;
        let occupied = entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != ".lock"));
        if occupied {
            return Err(AuthorityError::Occupied(path.to_owned()));
        }
        for name in [PUBLIC.to_owned(), format!("{PUBLIC}/status")] {
            let below = path.join(name);
            let mut folder = DirBuilder::new();
            folder.mode(0o755);
            folder.create(&below).map_err(|error| failed(&below, &error))?;
        }
        Ok(Self {
            path: path.to_owned(),
            _held: held,
        })
    }

    /// Opens a folder that was made before; waits while another command has it.
    pub(super) fn open(path: &Path) -> Result<Self, AuthorityError> {
        Ok(Self {
            path: path.to_owned(),
            _held: Self::hold(path)?,
        })
    }

    fn hold(path: &Path) -> Result<File, AuthorityError> {
        let lock = path.join(".lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&lock).map_err(|error| failed(&lock, &error))?;
        file.lock().map_err(|error| failed(&lock, &error))?;
        Ok(file)
    }

    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, AuthorityError> {
        read(&self.path.join(name))
    }

    /// Puts a file in place whole: whoever reads it sees the old one or the new one, after a crash too.
    pub(super) fn write(&self, name: &str, private: bool, content: &[u8]) -> Result<(), AuthorityError> {
        let path = self.path.join(name);
        let new = path.with_extension("new");
        let mode = if private { 0o600 } else { 0o644 };
        let written = || -> std::io::Result<()> {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(mode);
            let mut file = options.open(&new)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            match path.parent() {
                Some(folder) => File::open(folder)?.sync_all(),
                None => Ok(()),
            }
        };
        written().map_err(|error| failed(&path, &error))
    }
}
