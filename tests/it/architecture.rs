//! The rooms stand on each other in one order: a module uses only what is above it in that order.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// From the ground up. `policy` is a crate of its own and below all of them.
const ROOMS: [&str; 23] = [
    "clock",
    "dsp",
    "jose",
    "net",
    "store",
    "audit",
    "trust",
    "authority",
    "gaia_x",
    "process",
    "catalog",
    "contract",
    "consent",
    "plane",
    "transfer",
    "evidence",
    "peer",
    "http",
    "telemetry",
    "config",
    "daemon",
    "demo",
    "cli",
];

/// Crates that one room alone may use, so that each choice can be changed in one place.
const OWNED: [(&str, &str); 4] = [
    ("sled::", "store"),
    ("josekit::", "jose"),
    ("reqwest::", "net"),
    ("axum::", "http"),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../connector/src")
}

fn rank(room: &str) -> Option<usize> {
    ROOMS.iter().position(|known| *known == room)
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The room of a file, and its text without the test module and comments.
fn rooms() -> Vec<(String, PathBuf, String)> {
    let (root, mut paths) = (source(), Vec::new());
    files(&root, &mut paths);
    paths
        .into_iter()
        .filter_map(|path| {
            let relative = path.strip_prefix(&root).unwrap().to_path_buf();
            let room = relative.iter().next()?.to_str()?.trim_end_matches(".rs").to_owned();
            let is_test = relative
                .iter()
                .any(|part| part == "tests.rs" || part == "suite.rs" || part == "bench.rs");
            if room == "lib" || room == "main" || is_test {
                return None;
            }
            let text = fs::read_to_string(&path).unwrap();
            let text = text
                .split("#[cfg(test)]\nmod tests")
                .next()
                .unwrap_or_default()
                .to_owned();
            let code: Vec<&str> = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            Some((room, relative, code.join("\n")))
        })
        .collect()
}

/// The rooms that a text names after `crate::`, in a path or in a braced import.
fn used(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in text.split("crate::").skip(1) {
        if let Some(list) = part.strip_prefix('{') {
            let (mut depth, mut name, mut at_start) = (1, String::new(), true);
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => at_start = true,
                    c if (c.is_alphanumeric() || c == '_') && at_start && depth == 1 => {
                        name.push(c);
                        continue;
                    }
                    _ => {}
                }
                if !name.is_empty() {
                    found.push(std::mem::take(&mut name));
                    at_start = false;
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            found.push(part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    found
}

#[test]
fn architecture_no_room_uses_one_that_stands_on_it() {
    let mut wrong = Vec::new();
    for (room, path, text) in rooms() {
        let own = rank(&room).unwrap_or_else(|| panic!("{} is in no room of the list", path.display()));
        for name in used(&text) {
            if rank(&name).is_some_and(|other| other > own) {
                wrong.push(format!("{} ({room}) uses {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn architecture_each_chosen_library_stays_in_one_room() {
    let mut wrong = Vec::new();
    for (room, path, text) in rooms() {
        for (name, owner) in OWNED {
            // In `cli` and elsewhere a crate's name may be part of a longer word.
            let uses = text
                .match_indices(name)
                .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'));
            if uses && room != owner {
                wrong.push(format!("{} uses {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn architecture_the_reader_of_imports_sees_an_upward_one() {
    assert_eq!(
        used("use crate::{audit::{Log, x}, trust::Trust, jose};"),
        ["audit", "trust", "jose"]
    );
    assert_eq!(
        used("use crate::http::App; let x = crate::daemon::run();"),
        ["http", "daemon"]
    );
    assert!(rank("daemon") > rank("http"));
}

#[test]
fn architecture_no_file_is_over_eight_hundred_lines() {
    let mut long = BTreeMap::new();
    let mut paths = Vec::new();
    for folder in ["../connector", "../policy", "."] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for part in ["src", "it"] {
            if folder.join(part).is_dir() {
                files(&folder.join(part), &mut paths);
            }
        }
    }
    for path in paths {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        if lines > 800 {
            long.insert(path, lines);
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}
