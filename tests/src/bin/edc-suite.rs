//! Runs the interoperability matrix against real EDC runtimes and prints one line for each row and release.
//! `edc-suite VERSION=FOLDER... [--row N]...`; `tests/run --suite edc` gets the folders.
#![forbid(unsafe_code)]

use connector_tests::edc::{
    Pair, Release,
    rows::{self, ROWS},
};
use futures_util::FutureExt;
use std::{any::Any, panic::AssertUnwindSafe, process::ExitCode};

#[tokio::main]
async fn main() -> ExitCode {
    let (mut releases, mut wanted) = (Vec::new(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let row = (argument == "--row").then(|| arguments.next().and_then(|row| row.parse::<u8>().ok()));
        match (row, Release::parse(&argument)) {
            (Some(Some(row)), _) => wanted.push(row),
            (None, Some(release)) => releases.push(release),
            _ => {
                eprintln!("usage: edc-suite VERSION=FOLDER... [--row N]...");
                return ExitCode::from(2);
            }
        }
    }
    let mut failed = 0;
    for release in &releases {
        failed += suite(release, &wanted).await;
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs the rows in turn; returns how many failed. A row fails by a panic, as a test does, and the next one runs all the same.
async fn suite(release: &Release, wanted: &[u8]) -> usize {
    let rows = || ROWS.iter().filter(|(row, _)| wanted.is_empty() || wanted.contains(row));
    let mut pair = match AssertUnwindSafe(Pair::start(release)).catch_unwind().await {
        Ok(pair) => pair,
        Err(panic) => {
            for (row, name) in rows() {
                println!(
                    "{row} {} {name}: FAILED (not started: {})",
                    release.version,
                    reason(&*panic)
                );
            }
            return rows().count();
        }
    };
    let mut failed = 0;
    for (row, name) in rows() {
        let before = pair.edc.log().len();
        match AssertUnwindSafe(rows::run(*row, &mut pair)).catch_unwind().await {
            Ok(()) => println!("{row} {} {name}: passed", release.version),
            Err(panic) => {
                failed += 1;
                println!(
                    "{row} {} {name}: FAILED ({}; {})",
                    release.version,
                    reason(&*panic),
                    pair.evidence(before)
                );
                pair.recover().await;
            }
        }
    }
    failed
}

/// What a panic says, on one line.
fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    let words: Vec<&str> = text.unwrap_or("a panic").split_whitespace().collect();
    words.join(" ").chars().take(600).collect()
}
