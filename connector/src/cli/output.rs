//! What commands print: tables and details for people, JSON for scripts. A reader that goes away ends a command quietly.

use super::exit::{Failure, Outcome};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Standard output.
pub(super) struct Output {
    /// JSON instead of text.
    pub(super) json: bool,
}

/// One column of a table: its title, and where its value stands (the first member that is there).
pub(super) type Column = (&'static str, &'static [&'static str]);

impl Output {
    /// One line of text.
    pub(super) fn line(&self, text: &str) -> Outcome {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }

    /// Text from elsewhere or from here, unless JSON was asked for.
    pub(super) fn say(&self, text: &str) -> Outcome {
        if self.json {
            Ok(())
        } else {
            self.line(&clean_lines(text))
        }
    }

    /// A value: as JSON, or with a member a line.
    pub(super) fn details(&self, value: &Value) -> Outcome {
        if self.json {
            return self.json(value);
        }
        let mut text = String::new();
        describe(value, 0, &mut text);
        self.line(text.trim_end())
    }

    /// Indented JSON, whatever was asked for.
    pub(super) fn json(&self, value: &Value) -> Outcome {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        self.line(&text)
    }

    /// A list: as the API's JSON, or as a table; `empty` is said when there is nothing.
    pub(super) fn table(&self, value: &Value, rows: &[Value], columns: &[Column], empty: &str) -> Outcome {
        if self.json {
            return self.json(value);
        }
        if rows.is_empty() {
            return self.line(empty);
        }
        self.line(&table(rows, columns))
    }
}

/// The items of a list answer: the array itself, or the member with this name.
pub(super) fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .as_array()
        .or_else(|| value.get(name)?.as_array())
        .map_or(&[], Vec::as_slice)
}

/// The first of these members (names or pointers) that is there, as text for people.
pub(super) fn member(value: &Value, names: &[&str]) -> String {
    let found = |name: &&str| match name.starts_with('/') {
        true => value.pointer(name),
        false => value.get(*name),
    };
    names
        .iter()
        .filter_map(found)
        .find(|value| !value.is_null())
        .map(plain)
        .unwrap_or_default()
}

/// A value on one line. Control characters, which a peer could use to write elsewhere on the terminal, are replaced.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => clean(text),
        Value::Array(list) if list.iter().all(|item| !item.is_object() && !item.is_array()) => {
            list.iter().map(plain).collect::<Vec<_>>().join(", ")
        }
        other => clean(&other.to_string()),
    }
}

/// Text without control characters: no line breaks, no terminal commands, no reordering of what is shown.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if is_unsafe(c) { '\u{fffd}' } else { c })
        .collect()
}

/// The same for text that may have several lines.
pub(super) fn clean_lines(text: &str) -> String {
    text.chars()
        .map(|c| if c != '\n' && is_unsafe(c) { '\u{fffd}' } else { c })
        .collect()
}

fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn describe(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    let Value::Object(members) = value else {
        out.push_str(&format!("{indent}{}\n", plain(value)));
        return;
    };
    let width = members.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, value) in members {
        let name = clean(name);
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push_str(&format!("{indent}{name}:\n"));
                describe(value, depth + 1, out);
            }
            Value::Array(list) if list.iter().any(Value::is_object) => {
                out.push_str(&format!("{indent}{name}:\n"));
                for item in list {
                    out.push_str(&format!("{indent}  - {}\n", plain(item)));
                }
            }
            _ => out.push_str(&format!(
                "{indent}{:width$}  {}\n",
                format!("{name}:"),
                plain(value),
                width = width + 1
            )),
        }
    }
}

/// Columns that are empty in every row are left out.
fn table(rows: &[Value], columns: &[Column]) -> String {
    let filled = columns.iter().map(|(title, names)| {
        let cells: Vec<String> = rows.iter().map(|row| member(row, names)).collect();
        (*title, cells)
    });
    let filled: Vec<(&str, Vec<String>)> = filled
        .filter(|(_, cells)| cells.iter().any(|cell| !cell.is_empty()))
        .collect();
    let mut lines = vec![String::new(); rows.len() + 1];
    let last = filled.len().saturating_sub(1);
    for (number, (title, cells)) in filled.iter().enumerate() {
        let width = cells
            .iter()
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
            .max(title.len());
        let width = if number == last { 0 } else { width + 2 };
        for (line, cell) in lines
            .iter_mut()
            .zip(std::iter::once(*title).chain(cells.iter().map(String::as_str)))
        {
            line.push_str(&format!("{cell:width$}"));
        }
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// Where a command's bulk output goes: a file that appears only when it is complete, or standard output.
pub(super) enum Sink {
    /// Standard output.
    Stdout(io::Stdout),
    /// `FILE.part`, and the name that it gets in the end.
    File {
        /// What is being written.
        part: BufWriter<File>,
        /// The final name.
        path: PathBuf,
    },
}

impl Sink {
    /// Opens the sink; `-` is standard output.
    pub(super) fn open(path: &Path) -> Outcome<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout(io::stdout()));
        }
        let part = File::create(part_name(path)).map_err(|error| cannot_write(path, &error))?;
        Ok(Self::File {
            part: BufWriter::new(part),
            path: path.to_owned(),
        })
    }

    /// Opens a sink for what is not for everybody: a file that this user alone may read, and over no other unless `force` says so.
    pub(super) fn private(path: &Path, force: bool) -> Outcome<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        if path == Path::new("-") {
            return Ok(Self::Stdout(io::stdout()));
        }
        if !force && path.exists() {
            let message = format!("{} is there already", path.display());
            return Err(Failure::new(super::Exit::Failed, message)
                .next("choose another file with --out, or write over it with --force"));
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let part = options
            .open(part_name(path))
            .map_err(|error| cannot_write(path, &error))?;
        Ok(Self::File {
            part: BufWriter::new(part),
            path: path.to_owned(),
        })
    }

    /// Appends bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Outcome {
        match self {
            Self::Stdout(out) => Ok(out.write_all(bytes)?),
            Self::File { part, path } => part.write_all(bytes).map_err(|error| cannot_write(path, &error)),
        }
    }

    /// Completes the output: only now the file has its name.
    pub(super) fn finish(self) -> Outcome {
        match self {
            Self::Stdout(mut out) => Ok(out.flush()?),
            Self::File { part, path } => {
                let complete = part
                    .into_inner()
                    .map_err(io::IntoInnerError::into_error)
                    .and_then(|file| file.sync_all());
                complete
                    .and_then(|()| fs::rename(part_name(&path), &path))
                    .map_err(|error| cannot_write(&path, &error))
            }
        }
    }
}

fn part_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        super::Exit::Failed,
        format!("{} cannot be written: {error}", path.display()),
    )
    .next("choose another file with -o, in a folder that exists and that you may write")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_aligns_and_leaves_out_empty_columns() {
        let rows = [
            json!({"id": "a", "n": 1, "none": null}),
            json!({"id": "longer", "n": 22}),
        ];
        let text = table(&rows, &[("ID", &["id"]), ("NONE", &["none"]), ("N", &["missing", "n"])]);
        assert_eq!(text, "ID      N\na       1\nlonger  22");
    }

    #[test]
    fn details_show_nested_members() {
        let mut text = String::new();
        describe(
            &json!({"a": "x", "long": {"b": [1, 2]}, "list": [{"c": 1}]}),
            0,
            &mut text,
        );
        assert_eq!(text, "a:     x\nlong:\n  b:  1, 2\nlist:\n  - {\"c\":1}\n");
    }

    #[test]
    fn text_of_a_peer_cannot_command_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\n\u{202e}c"), "a\u{fffd}[31mb\u{fffd}\u{fffd}c");
        assert_eq!(member(&json!({"t": "x\ry"}), &["t"]), "x\u{fffd}y");
    }

    #[test]
    fn a_file_appears_only_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let mut sink = Sink::open(&path).unwrap();
        sink.write(b"one\n").unwrap();
        assert!(!path.exists());
        sink.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(Sink::open(&folder.path().join("no/such/folder")).is_err());
    }

    #[test]
    fn a_private_file_is_this_users_alone_and_replaces_none_unasked() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evidence.tar");
        for (content, force) in [("one", false), ("two", true)] {
            let mut sink = Sink::private(&path, force).unwrap();
            sink.write(content.as_bytes()).unwrap();
            sink.finish().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(Sink::private(&path, false).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    }

    #[test]
    fn lists_come_bare_or_named() {
        assert_eq!(items(&json!([1]), "x").len(), 1);
        assert_eq!(items(&json!({"x": [1, 2]}), "x").len(), 2);
        assert!(items(&json!({}), "x").is_empty());
    }
}
