//! The folder as one file: an uncompressed tar with nothing in it but names and bytes, in one fixed form, so that one set of files makes
//! one sequence of bytes. Whatever deviates from that form is refused.

use super::Flaw;
use std::{collections::BTreeMap, io::Read};

/// Longest name that the plain header holds.
const MAX_NAME: usize = 100;

/// Files in the order in which they stand in the archive.
pub(super) type Files = Vec<(String, Vec<u8>)>;

/// Writes the archive.
pub(super) fn write(files: &Files) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, name, bytes.as_slice())?;
    }
    archive.into_inner()
}

/// Reads an archive of exactly the form that [`write()`] gives.
pub(super) fn read(bytes: &[u8]) -> Result<Files, Flaw> {
    let mut files: Files = Vec::new();
    let broken = |files: &Files, error: &dyn std::fmt::Display| {
        Flaw::of(after(files), format!("the archive cannot be read here: {error}"))
    };
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().map_err(|error| broken(&files, &error))?;
    for entry in entries {
        let mut entry = entry.map_err(|error| broken(&files, &error))?;
        let name = String::from_utf8(entry.path_bytes().into_owned())
            .ok()
            .filter(|name| is_name(name))
            .ok_or_else(|| broken(&files, &"the name is none that a bundle has"))?;
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(Flaw::of(name, "it is not a regular file"));
        }
        // What the header claims allocates nothing: only bytes that are there are read.
        let mut content = Vec::new();
        entry
            .read_to_end(&mut content)
            .map_err(|error| broken(&files, &error))?;
        files.push((name, content));
    }
    let again = write(&files).map_err(|error| broken(&files, &error))?;
    if again == bytes {
        return Ok(files);
    }
    Err(Flaw::of(
        differs(&files, &again, bytes),
        "the archive's framing is not the one form that a bundle has",
    ))
}

/// Plain names below the folder: no way out of it, nothing that a shell or a file system would read otherwise.
fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    name.len() <= MAX_NAME && name.split('/').all(part)
}

/// Where a reader that got so far stands.
fn after(files: &Files) -> String {
    match files.last() {
        Some((name, _)) => format!("the archive after {name}"),
        None => "the archive at its beginning".to_owned(),
    }
}

/// The part of the archive that the first difference lies in.
fn differs(files: &Files, expected: &[u8], found: &[u8]) -> String {
    let same = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
    let mut end = 0;
    for (name, bytes) in files {
        end += 512 + bytes.len().next_multiple_of(512);
        if same < end {
            return format!("the header or padding of {name}");
        }
    }
    "the end of the archive".to_owned()
}

/// The files by name; no name twice.
pub(super) fn by_name(files: Files) -> Result<BTreeMap<String, Vec<u8>>, Flaw> {
    let mut named = BTreeMap::new();
    for (name, bytes) in files {
        if named.insert(name.clone(), bytes).is_some() {
            return Err(Flaw::of(name, "it is there twice"));
        }
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        [
            ("README.txt", 3),
            ("did/001.json", 0),
            ("messages/001-a.jws", 512),
            ("z", 700),
        ]
        .map(|(name, length)| (name.to_owned(), vec![b'x'; length]))
        .into()
    }

    #[test]
    fn one_set_of_files_makes_one_archive_and_comes_back() {
        let bytes = write(&files()).unwrap();
        assert_eq!(bytes, write(&files()).unwrap());
        assert_eq!(read(&bytes).unwrap(), files());
        assert_eq!(read(&write(&Files::new()).unwrap()).unwrap(), Files::new());
    }

    #[test]
    fn every_changed_byte_of_the_framing_is_noticed_and_every_cut() {
        let bytes = write(&files()).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x01;
            // A changed byte of a file's content, or of its name, is for the hashes to find; all else is found here.
            assert!(read(&changed).map_or(true, |found| found != files()), "byte {at}");
        }
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(read(&longer).is_err());
    }

    #[test]
    fn names_that_lead_out_of_the_folder_are_refused() {
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            ".hidden",
            "a/.b",
            "a b",
            "a\\b",
            "é",
        ] {
            assert!(!is_name(bad), "{bad:?}");
        }
        assert!(is_name("log/entries/000001.json") && !is_name(&"a".repeat(101)));
    }
}
