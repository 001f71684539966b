//! Judges what the kit printed. Its exit status says nothing, and its own count of failures leaves out classes that did not start, so
//! only the number of tests that passed counts, and that none is said to have failed. No I/O.

use super::script::{GROUPS, expected};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// What a run came to.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The tests that began, by id.
    started: BTreeSet<String>,
    /// How each ended.
    ended: BTreeMap<String, String>,
    /// The number behind "Passed tests:".
    pub passed: Option<u32>,
    /// What the kit says about the failures, its lines as they are.
    pub failures: String,
}

impl Verdict {
    /// Reads the kit's standard output.
    pub fn of(output: &str) -> Self {
        let mut verdict = Self::default();
        let mut in_failures = false;
        for line in output.lines() {
            let said = without_time(line);
            if let Some(test) = said.strip_prefix("Started: ") {
                verdict.started.insert(id(test));
            } else if let Some(count) = said.strip_prefix("Passed tests: ") {
                verdict.passed = count.trim().parse().ok();
            } else if let Some((how @ ("SUCCESSFUL" | "FAILED" | "ABORTED"), test)) = said.split_once(": ") {
                verdict.ended.insert(id(test), how.to_owned());
            } else if said.starts_with("Test run complete") {
                in_failures = false;
            } else if said.starts_with("Failures:") {
                in_failures = true;
            } else if in_failures && !said.trim().is_empty() {
                verdict.failures += &format!("{}\n", said.trim_end());
            }
        }
        verdict
    }

    /// All of the kit's tests ran and passed.
    pub fn is_pass(&self) -> bool {
        self.passed == Some(expected()) && self.ended.values().all(|how| how == "SUCCESSFUL")
    }

    /// How many did not pass, counting those that never began.
    pub fn failed(&self) -> u32 {
        let unproven = expected().saturating_sub(self.passed.unwrap_or(0));
        if self.is_pass() { 0 } else { unproven.max(1) }
    }

    /// Passed and run by group, then the failures.
    pub fn table(&self) -> String {
        let mut table = format!("{:8}{:>8}{:>8}{:>8}\n", "group", "passed", "run", "of");
        for group in &GROUPS {
            let of_group = |test: &&String| test.split_once(':').is_some_and(|(name, _)| name == group.name);
            let run = self.started.iter().filter(of_group).count();
            let ended = self
                .ended
                .iter()
                .filter(|(test, how)| of_group(test) && *how == "SUCCESSFUL");
            let _ = writeln!(table, "{:8}{:>8}{run:>8}{:>8}", group.name, ended.count(), group.run);
        }
        let bad: Vec<&str> = self
            .ended
            .iter()
            .filter(|(_, how)| *how != "SUCCESSFUL")
            .map(|(test, _)| &**test)
            .collect();
        if !bad.is_empty() {
            let _ = writeln!(table, "not passed: {}", bad.join(", "));
        }
        table + &self.failures
    }
}

/// The line without the kit's time in square brackets.
fn without_time(line: &str) -> &str {
    match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((time, said)) if time.starts_with(|first: char| first.is_ascii_digit()) => said,
        _ => line,
    }
}

/// `CN:01-01` out of `CN:01-01: Verify …`.
fn id(test: &str) -> String {
    test.split_once(": ").map_or(test, |(id, _)| id).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(failed: &[&str], counted: u32) -> String {
        let mut text = String::new();
        for group in &GROUPS {
            let tests = group
                .tests()
                .filter(|test| !(group.name.starts_with("TP") && *test == (2, 4)));
            for (part, number) in tests {
                let test = format!("{}:{part:02}-{number:02}", group.name);
                let how = if failed.contains(&&*test) {
                    "FAILED"
                } else {
                    "SUCCESSFUL"
                };
                text += &format!(
                    "\n[2026-01-01T00:00:00.1] Started: {test}: Verify it\n[2026-01-01T00:00:01.1] {how}: {test}\n\n"
                );
            }
        }
        text += &format!("[2026-01-01T00:00:01.1] Passed tests: {counted}\n[2026-01-01T00:00:01.1] Failed tests: 0\n");
        if !failed.is_empty() {
            text += "\n[2026-01-01T00:00:01.1] Failures:\n   x a.B.c\n\n[2026-01-01T00:00:01.1]      Timeout waiting\n";
        }
        text + "[2026-01-01T00:00:01.1] Test run complete\nlater\n"
    }

    #[test]
    fn only_65_passed_and_none_failed_is_a_pass() {
        let verdict = Verdict::of(&output(&[], 65));
        assert!(verdict.is_pass() && verdict.failed() == 0, "{verdict:?}");
        for (failed, counted, bad) in [(&["CN:01-01"][..], 64, 1), (&["TP_C:03-06"], 65, 1), (&[], 40, 25)] {
            let verdict = Verdict::of(&output(failed, counted));
            assert!(!verdict.is_pass() && verdict.failed() == bad, "{verdict:?}");
        }
        let crashed = Verdict::of("Exception in thread main\n");
        assert!(!crashed.is_pass() && crashed.failed() == 65);
    }

    #[test]
    fn the_table_counts_by_group_and_names_what_failed_with_what_was_said() {
        let table = Verdict::of(&output(&["CN_C:02-05"], 64)).table();
        for line in [
            "CN            15      15      15",
            "CN_C          15      16      16",
            "not passed: CN_C:02-05",
        ] {
            assert!(
                table.lines().any(|found| found == line),
                "{line} is missing in\n{table}"
            );
        }
        assert!(table.contains("Timeout waiting") && !table.contains("later"), "{table}");
    }
}
