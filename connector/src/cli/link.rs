//! `link`: ties the identifiers that a learner has at two participants, as the learner confirms at both.

use super::{
    Context,
    api::encode,
    exit::Outcome,
    output::{Column, items, member},
};
use clap::{Args, Subcommand};
use serde_json::json;

/// Link the identities that a learner has at two participants
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector link create --subject learner-17 --peer work
  connector link redeem --peer school --subject jobseeker-4 --code 7KQ2-M0XA-93TV-C5HD
  connector link confirm urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --subject learner-17
"
)]
pub(super) struct Link {
    #[command(subcommand)]
    command: LinkCommand,
}

#[derive(Subcommand)]
enum LinkCommand {
    /// Make a code that is good for ten minutes and once, for a learner who is known here
    ///
    /// Whoever makes the code will be asked: the holder of the records, or the intermediary. Whoever redeems it asks, as the recipient does with
    /// connector consent ask. A link that was made the other way round is none for that.
    #[command(after_help = "EXAMPLES:\n  connector link create --subject learner-17 --peer work\n")]
    Create {
        /// The learner's local identifier
        #[arg(long)]
        subject: String,
        /// The participant to link with: its id or name
        #[arg(long)]
        peer: String,
    },
    /// Send the code that a learner brought to the participant, holder or intermediary, that made it
    #[command(
        after_help = "EXAMPLES:\n  connector link redeem --peer school --subject jobseeker-4 --code 7KQ2-M0XA-93TV-C5HD\n"
    )]
    Redeem {
        /// The participant that made the code: its id or name
        #[arg(long)]
        peer: String,
        /// The learner's local identifier here
        #[arg(long)]
        subject: String,
        /// The code
        #[arg(long)]
        code: String,
    },
    /// Confirm a link whose code was brought, for the learner who is logged in here
    #[command(
        after_help = "EXAMPLES:\n  connector link confirm urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --subject learner-17\n"
    )]
    Confirm {
        /// The link
        id: String,
        /// The learner's local identifier
        #[arg(long)]
        subject: String,
    },
    /// List links
    #[command(after_help = "EXAMPLES:\n  connector link list\n  connector link list --subject learner-17 --json\n")]
    List {
        /// Only this learner's
        #[arg(long)]
        subject: Option<String>,
    },
    /// End a link here
    #[command(after_help = "EXAMPLES:\n  connector link remove urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11\n")]
    Remove {
        /// The link
        id: String,
    },
}

const COLUMNS: [Column; 6] = [
    ("ID", &["id"]),
    ("SIDE", &["side"]),
    ("PEER", &["peer"]),
    ("SUBJECT", &["subject"]),
    ("STAGE", &["stage"]),
    ("PSEUDONYM", &["pseudonym"]),
];

impl Link {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let api = context.api()?;
        let answer = match &self.command {
            LinkCommand::Create { subject, peer } => {
                let body = json!({"subject": subject, "peer": peer});
                api.post("/v1/links", &body).await?
            }
            LinkCommand::Redeem { peer, subject, code } => {
                let body = json!({"peer": peer, "subject": subject, "code": code});
                api.post("/v1/links/redeem", &body).await?
            }
            LinkCommand::Confirm { id, subject } => {
                let path = format!("/v1/links/{}/confirm", encode(id));
                api.post(&path, &json!({"subject": subject})).await?
            }
            LinkCommand::Remove { id } => api.delete(&format!("/v1/links/{}", encode(id))).await?,
            LinkCommand::List { subject } => {
                let query = subject
                    .as_deref()
                    .map(|subject| format!("?subject={}", encode(subject)));
                let list = api.get(&format!("/v1/links{}", query.unwrap_or_default())).await?;
                return context.out.table(&list, items(&list, "links"), &COLUMNS, "no links");
            }
        };
        if context.out.json {
            return context.out.json(&answer);
        }
        context.out.say(&match self.command {
            LinkCommand::Create { .. } => format!(
                "code: {}  (good for ten minutes and once; to be entered at {})",
                member(&answer, &["code"]),
                member(&answer, &["/link/peer"])
            ),
            LinkCommand::Remove { .. } => format!("removed: {}", member(&answer, &["removed"])),
            _ => format!("{}: {}", member(&answer, &["id"]), member(&answer, &["stage"])),
        })
    }
}
