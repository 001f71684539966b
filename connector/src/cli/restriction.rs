//! `restriction`: when nothing of a learner's records may leave for a while, whatever permits it (GDPR art. 18).

use super::{
    Context,
    api::{encode, path},
    consent::{Actor, say_streams},
    exit::Outcome,
    output::{Column, items, member},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Restrict what is done with a learner's records, and lift that again
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector restriction set --subject learner-17 --method letter --evidence file:12
  connector restriction list --subject learner-17
"
)]
pub(super) struct Restriction {
    #[command(subcommand)]
    command: RestrictionCommand,
}

#[derive(Subcommand)]
enum RestrictionCommand {
    /// Restrict a learner's records (GDPR art. 18); answers when no running stream can send any of them any more
    ///
    /// While it stands, no record of the learner leaves to the recipient, or to anybody if none is named, whatever permits it. Consents stay
    /// as they are, nothing is erased, and recipients are not told. --as holder is the holder's own pause, --as authority a supervisory
    /// authority's order.
    #[command(after_help = "EXAMPLES:
  connector restriction set --subject learner-17 --method letter --evidence file:12
  connector restriction set --subject learner-17 --recipient did:web:work.example --as holder --method inquiry
")]
    Set {
        /// The learner's local identifier at this holder
        #[arg(long)]
        subject: String,
        /// Only towards this recipient: an id, or the name of a configured peer [default: everybody]
        #[arg(long, value_name = "ID|NAME")]
        recipient: Option<String>,
        #[command(flatten)]
        actor: Actor,
    },
    /// Lift a restriction: what consents and other bases permit leaves again
    ///
    /// A holder or an authority that lifts what the learner asked for has them told first (GDPR art. 18(3)), and says with --evidence where that
    /// is kept. A holder's own pause is lifted by the holder, an authority's order by the authority.
    #[command(after_help = "EXAMPLES:
  connector restriction lift urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --method portal
  connector restriction lift urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --as holder --method checked --evidence letter:13
")]
    Lift {
        /// Its id
        id: String,
        #[command(flatten)]
        actor: Actor,
    },
    /// List restrictions, lifted ones too; their receipts: connector consent receipts ID
    #[command(
        after_help = "EXAMPLES:\n  connector restriction list\n  connector restriction list --subject learner-17 --json\n"
    )]
    List {
        /// Only this learner's
        #[arg(long)]
        subject: Option<String>,
    },
}

const COLUMNS: [Column; 6] = [
    ("ID", &["id"]),
    ("SUBJECT", &["subject"]),
    ("RECIPIENT", &["recipient"]),
    ("SET BY", &["/actor/role"]),
    ("AT", &["at"]),
    ("LIFTED", &["/lifted/at"]),
];

impl Restriction {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let api = context.api()?;
        match self.command {
            RestrictionCommand::Set {
                subject,
                recipient,
                actor,
            } => {
                let body = json!({"subject": subject, "recipient": recipient, "actor": actor.body()});
                let told = api.post("/v1/restrictions", &body).await?;
                if context.out.json {
                    return context.out.json(&told);
                }
                let id = member(&told, &["/restriction/id"]);
                context.out.say(&format!("restricted: {id}"))?;
                say_streams(context, told.get("acknowledgement").unwrap_or(&Value::Null))
            }
            RestrictionCommand::Lift { id, actor } => {
                let at = path(&["restrictions", &id, "lift"])?;
                let lifted = api.post(&at, &json!({"actor": actor.body()})).await?;
                match context.out.json {
                    true => context.out.json(&lifted),
                    false => context
                        .out
                        .say(&format!("lifted at {}", member(&lifted, &["/lifted/at"]))),
                }
            }
            RestrictionCommand::List { subject } => {
                let query = subject
                    .map(|subject| format!("?subject={}", encode(&subject)))
                    .unwrap_or_default();
                let list = api.get(&format!("/v1/restrictions{query}")).await?;
                let rows = items(&list, "restrictions");
                context.out.table(&list, rows, &COLUMNS, "no restrictions")
            }
        }
    }
}
