//! `dataset`: what this connector offers.

use super::{
    Context,
    api::path,
    exit::{Exit, Failure, Outcome},
    input,
    output::{Column, items, member},
};
use clap::{Args, Subcommand};
use policy::Language;
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::PathBuf};

/// Publish, list and remove datasets
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector dataset list
  connector dataset show skills-2026
"
)]
pub(super) struct Dataset {
    #[command(subcommand)]
    command: DatasetCommand,
}

#[derive(Subcommand)]
enum DatasetCommand {
    Add(Add),
    /// List the published datasets
    #[command(after_help = "EXAMPLES:\n  connector dataset list\n  connector dataset list --json\n")]
    List,
    /// Show one dataset with its offer
    #[command(after_help = "EXAMPLES:\n  connector dataset show skills-2026\n")]
    Show {
        /// The dataset's id
        id: String,
    },
    /// Stop offering a dataset; agreements that exist stay, its records are not touched
    #[command(after_help = "EXAMPLES:\n  connector dataset remove skills-2026\n")]
    Remove {
        /// The dataset's id
        id: String,
    },
}

/// Publish a dataset under terms of use
///
/// A field that belongs to no category never leaves, whatever the terms say. Terms under which nobody could ever use the data are refused; what
/// their author may not have meant, such as a permission and a prohibition that meet, is told as a warning.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector dataset add --id skills-2026 --file records.jsonl --subject /learner/id --category skills=/skills --offer offer.json
  connector dataset add --id skills-2026 --title 'Skills, 2026' --file records.jsonl.gz --subject /id --category skills=/skills,/level --category identity=/name --offer offer.json
")]
struct Add {
    /// Its id: unique here, without / ? # %
    #[arg(long)]
    id: String,
    /// A title for people
    #[arg(long)]
    title: Option<String>,
    /// The records: one JSON object a line, plain or gzip
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
    /// JSON pointer to the learner's local identifier in each record
    #[arg(long, value_name = "POINTER")]
    subject: String,
    /// A data category and the JSON pointers of its fields; repeat for each category
    #[arg(long, value_name = "NAME=PTR[,PTR...]", required = true, value_parser = category)]
    category: Vec<(String, Vec<String>)>,
    /// The terms: a file with an ODRL offer
    #[arg(long, value_name = "FILE")]
    offer: PathBuf,
    /// Release groups or anonymous rows instead of records: a file that declares them
    #[arg(long, value_name = "FILE")]
    release: Option<PathBuf>,
}

fn category(text: &str) -> Result<(String, Vec<String>), String> {
    let expected = "expected NAME=POINTER[,POINTER...], such as skills=/skills,/level";
    let (name, pointers) = text.split_once('=').ok_or(expected)?;
    let pointers: Vec<String> = pointers.split(',').map(str::to_owned).collect();
    match name.is_empty() || pointers.iter().any(|pointer| !pointer.starts_with('/')) {
        true => Err(expected.to_owned()),
        false => Ok((name.to_owned(), pointers)),
    }
}

impl Dataset {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let out = &context.out;
        match self.command {
            DatasetCommand::Add(add) => add.run(context).await,
            DatasetCommand::List => {
                let columns: [Column; 4] = [
                    ("ID", &["id"]),
                    ("TITLE", &["title"]),
                    ("OFFER", &["offerId"]),
                    ("PUBLISHED", &["published"]),
                ];
                let list = context.api()?.get("/v1/datasets").await?;
                out.table(
                    &list,
                    items(&list, "datasets"),
                    &columns,
                    "no datasets; publish one with: connector dataset add --help",
                )
            }
            DatasetCommand::Show { id } => out.details(&context.api()?.get(&path(&["datasets", &id])?).await?),
            DatasetCommand::Remove { id } => {
                let answer = context.api()?.delete(&path(&["datasets", &id])?).await?;
                if out.json {
                    out.json(&answer)
                } else {
                    out.say(&format!("{id} is no longer offered"))
                }
            }
        }
    }
}

impl Add {
    async fn run(self, context: &Context) -> Outcome {
        let published = context.api()?.post("/v1/datasets", &self.body()?).await?;
        if context.out.json {
            return context.out.json(&published);
        }
        let offer = published.get("offerId").and_then(Value::as_str).unwrap_or("its offer");
        context
            .out
            .say(&format!("{} is published; peers negotiate about {offer}", self.id))?;
        items(&published, "warnings")
            .iter()
            .try_for_each(|warning| context.out.say(&told(warning, context.language())))
    }

    fn body(&self) -> Outcome<Value> {
        // The daemon opens the file, from another folder.
        let file = self.file.canonicalize().map_err(|error| {
            Failure::new(Exit::NotFound, format!("{}: {error}", self.file.display()))
                .next("name an existing file that the daemon can read")
        })?;
        let mut categories: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, pointers) in &self.category {
            categories
                .entry(name)
                .or_default()
                .extend(pointers.iter().map(String::as_str));
        }
        let mut body = json!({
            "id": self.id,
            "title": self.title,
            "source": {"type": "file", "path": file},
            "subject": self.subject,
            "categories": categories,
            "offer": input::json(&self.offer)?,
        });
        if let (Some(file), Some(members)) = (&self.release, body.as_object_mut()) {
            members.insert("release".into(), input::json(file)?);
        }
        Ok(body)
    }
}

/// A warning about the terms in one line; the daemon has told it in the same language.
fn told(warning: &Value, language: Language) -> String {
    let [code, pointer, text, about] = ["code", "pointer", "text", "about"].map(|name| member(warning, &[name]));
    let (begin, at, colon) = match language {
        Language::French => ("avertissement", "dans", "\u{a0}:"),
        Language::English => ("warning", "at", ":"),
    };
    format!("{begin} {code} {at} {pointer}{colon} {text} ({about})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_told_in_one_line_with_its_place() {
        let warning = json!({
            "code": "LNT-07", "pointer": "/prohibition/0", "text": "they meet", "about": "/permission/0, for instance: any request",
        });
        assert_eq!(
            told(&warning, Language::English),
            "warning LNT-07 at /prohibition/0: they meet (/permission/0, for instance: any request)"
        );
        let french = told(&warning, Language::French);
        assert!(
            french.starts_with("avertissement LNT-07 dans /prohibition/0\u{a0}: they meet"),
            "{french}"
        );
    }

    #[test]
    fn categories_are_read_and_repetitions_added() {
        assert_eq!(
            category("skills=/a,/b/c").unwrap(),
            ("skills".into(), vec!["/a".into(), "/b/c".into()])
        );
        for bad in ["skills", "=/a", "skills=", "skills=a", "skills=/a,,/b"] {
            assert!(category(bad).is_err(), "{bad}");
        }
        let folder = tempfile::tempdir().unwrap();
        let (file, offer) = (folder.path().join("r.jsonl"), folder.path().join("o.json"));
        std::fs::write(&file, "").unwrap();
        std::fs::write(&offer, "{}").unwrap();
        let pair = |name: &str, pointer: &str| (name.to_owned(), vec![pointer.to_owned()]);
        let add = Add {
            id: "d".into(),
            title: None,
            file,
            subject: "/id".into(),
            category: vec![pair("a", "/1"), pair("b", "/2"), pair("a", "/3")],
            offer,
            release: None,
        };
        let body = add.body().unwrap();
        assert_eq!(body["categories"], json!({"a": ["/1", "/3"], "b": ["/2"]}));
        let new: crate::catalog::NewDataset = serde_json::from_value(body).unwrap();
        assert_eq!(new.id.as_str(), "d");
    }
}
