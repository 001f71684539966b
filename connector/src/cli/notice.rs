//! `notice`: the texts that learners are shown, with their versions.

use super::{
    Context,
    exit::{Failure, Outcome},
    input,
    output::{Column, items, member},
};
use ::policy::Language;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Register and replace the notices that learners are shown
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector notice list
  connector notice add orientation --version 1 --language fr --file notice-fr.txt
"
)]
pub(super) struct Notice {
    #[command(subcommand)]
    command: NoticeCommand,
}

#[derive(Subcommand)]
enum NoticeCommand {
    /// List the registered notices
    #[command(after_help = "EXAMPLES:\n  connector notice list\n  connector notice list --json\n")]
    List,
    /// Register a notice; prints the hash that consents are bound to
    #[command(
        disable_version_flag = true,
        after_help = "EXAMPLES:\n  connector notice add orientation --version 1 --language fr --file notice-fr.txt\n"
    )]
    Add(New),
    /// Replace a notice by a newer version
    ///
    /// With --changes-meaning, consents given under the old one or any version before it end and are asked for anew; without, they go on and
    /// are marked. A notice is replaced in one language: in the others what was given goes on until they are replaced too, and a warning names
    /// those where the old version still stands.
    #[command(
        disable_version_flag = true,
        after_help = "EXAMPLES:\n  connector notice replace orientation --version 2 --language fr --file notice-fr.txt --old sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 --changes-meaning\n"
    )]
    Replace {
        #[command(flatten)]
        new: New,
        /// The hash of the one that is replaced
        #[arg(long, value_name = "sha256:HEX")]
        old: String,
        /// It means something else
        #[arg(long)]
        changes_meaning: bool,
    },
}

#[derive(Args)]
struct New {
    /// Its name, the same for all versions and languages
    id: String,
    /// Its version
    #[arg(long = "version", value_name = "VERSION")]
    number: String,
    /// Its language: fr, en, ...
    #[arg(long)]
    language: String,
    /// The text, exactly as it is shown; - for standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Where it can be read
    #[arg(long)]
    url: Option<String>,
}

impl New {
    fn body(&self) -> Outcome<Value> {
        let text = String::from_utf8(input::bytes(&self.file)?)
            .map_err(|_| Failure::usage(format!("{} is not text in UTF-8", self.file.display())))?;
        Ok(json!({
            "id": self.id, "version": self.number, "language": self.language, "text": text, "url": self.url,
        }))
    }
}

/// In which languages learners still say yes to something else.
fn unreplaced(done: &Value, language: Language) -> String {
    let languages = member(done, &["otherLanguages"]);
    let (french, english) = (
        format!(
            "avertissement\u{a0}: une autre version reste en vigueur en {languages}\u{a0}; ce qui a été donné ainsi continue, et d’autres peuvent le donner\u{a0}; remplacez-la aussi"
        ),
        format!(
            "warning: another version still stands in {languages}: what was given under it goes on, and more can be given; replace it too"
        ),
    );
    language.say(&french, &english).to_owned()
}

const COLUMNS: [Column; 6] = [
    ("ID", &["id"]),
    ("VERSION", &["version"]),
    ("LANGUAGE", &["language"]),
    ("HASH", &["hash"]),
    ("ADDED", &["added"]),
    ("REPLACED", &["/replaced/at"]),
];

impl Notice {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        match self.command {
            NoticeCommand::List => {
                let list = context.api()?.get("/v1/notices").await?;
                context
                    .out
                    .table(&list, items(&list, "notices"), &COLUMNS, "no notices")
            }
            NoticeCommand::Add(new) => {
                let added = context.api()?.post("/v1/notices", &new.body()?).await?;
                match context.out.json {
                    true => context.out.json(&added),
                    false => context.out.say(&member(&added, &["hash"])),
                }
            }
            NoticeCommand::Replace {
                new,
                old,
                changes_meaning,
            } => {
                let body = json!({"old": old, "notice": new.body()?, "changesMeaning": changes_meaning});
                let done = context.api()?.post("/v1/notices/replace", &body).await?;
                if context.out.json {
                    return context.out.json(&done);
                }
                let count = |name: &'static str| member(&done, &[name]);
                context.out.say(&format!(
                    "{}: {} consent(s) ended, {} asked for anew, {} marked",
                    member(&done, &["/notice/hash"]),
                    count("ended"),
                    count("requested"),
                    count("marked")
                ))?;
                match items(&done, "otherLanguages") {
                    [] => Ok(()),
                    _ => context.out.say(&unreplaced(&done, context.language())),
                }
            }
        }
    }
}
