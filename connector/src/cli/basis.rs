//! `basis`: lawful bases other than consent, as the holder's register of processing has them.

use super::{
    Context,
    api::path,
    exit::Outcome,
    input,
    output::{Column, items, member},
};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Declare lawful bases other than consent
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector basis list
  connector basis declare basis.json
"
)]
pub(super) struct Basis {
    #[command(subcommand)]
    command: BasisCommand,
}

#[derive(Subcommand)]
enum BasisCommand {
    /// List declared bases, ended ones too
    #[command(after_help = "EXAMPLES:\n  connector basis list\n  connector basis list --json\n")]
    List,
    /// Declare a basis: an entry of the register of processing (GDPR art. 30)
    ///
    /// A file says it: {"basis": "public-task", "grounds": "...", "recipients": ["did:web:..."], "purposes": ["..."], "categories": ["skills"],
    /// "datasets": ["..."], "notice": "sha256:...", "until": "..."}. basis is public-task, legitimate-interest or contract. A purpose is named
    /// as the offer names it: by its IRI, or by its name behind `https://w3id.org/dases/ns/`, such as orientation. Where an agreement's policy
    /// asks for consent, nothing goes out without it all the same.
    #[command(after_help = "EXAMPLES:\n  connector basis declare basis.json\n")]
    Declare {
        /// The file; - for standard input
        file: PathBuf,
    },
    /// End a declared basis; answers when it permits nothing any more
    #[command(after_help = "EXAMPLES:\n  connector basis end urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11\n")]
    End {
        /// Its id
        id: String,
    },
}

const COLUMNS: [Column; 7] = [
    ("ID", &["id"]),
    ("BASIS", &["basis"]),
    ("RECIPIENTS", &["recipients"]),
    ("PURPOSES", &["purposes"]),
    ("DATASETS", &["datasets"]),
    ("UNTIL", &["until"]),
    ("ENDED", &["ended"]),
];

impl Basis {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let api = context.api()?;
        match self.command {
            BasisCommand::List => {
                let list = api.get("/v1/bases").await?;
                context.out.table(&list, items(&list, "bases"), &COLUMNS, "no bases")
            }
            BasisCommand::Declare { file } => {
                let declared = api.post("/v1/bases", &input::json(&file)?).await?;
                if context.out.json {
                    return context.out.json(&declared);
                }
                context.out.say(&format!("declared: {}", member(&declared, &["id"])))?;
                super::consent::say_unknown(context, &declared)
            }
            BasisCommand::End { id } => {
                let ended = api.post(&path(&["bases", &id, "end"])?, &serde_json::json!({})).await?;
                match context.out.json {
                    true => context.out.json(&ended),
                    false => context.out.say(&format!("ended at {}", member(&ended, &["ended"]))),
                }
            }
        }
    }
}
