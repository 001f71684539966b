//! `consent`: what learners allowed or are asked for, how they decide, and the proof of it.

mod decide;
mod exchange;
mod grant;
mod verify;
mod withdraw;

pub(super) use decide::Actor;
pub(super) use withdraw::say_streams;

use super::{
    Context,
    api::{encode, path},
    exit::Outcome,
    output::{Column, items},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Record, decide, prove and withdraw learners' consents
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector consent list --subject learner-17
  connector consent show urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11
  connector consent withdraw --subject learner-17
"
)]
pub(super) struct Consent {
    #[command(subcommand)]
    command: ConsentCommand,
}

#[derive(Subcommand)]
enum ConsentCommand {
    Grant(grant::Grant),
    Request(decide::Request),
    Decide(decide::Decide),
    Share(decide::Share),
    Object(decide::Object),
    /// List objections to bases other than consent; their receipts: connector consent receipts ID
    #[command(
        after_help = "EXAMPLES:\n  connector consent objections\n  connector consent objections --subject learner-17 --json\n"
    )]
    Objections {
        /// Only this learner's
        #[arg(long)]
        subject: Option<String>,
    },
    Learner(decide::Learner),
    Withdraw(withdraw::Withdraw),
    /// Delete what links a learner to the audit log, once all of their consents have ended
    ///
    /// The records of the consents go, and the salt of the learner's name in the log. The log's entries and proofs stay valid. This cannot
    /// be undone: nobody can say afterwards which entries were about this learner. Refused while another lawful basis is in force on which
    /// records of theirs may have gone out: end it first (connector basis end), and its recipients are told. Refused as well while their
    /// records are restricted (connector restriction lift).
    #[command(after_help = "EXAMPLES:\n  connector consent forget learner-17\n")]
    Forget {
        /// The learner's local identifier at this holder
        learner: String,
    },
    Ask(exchange::Ask),
    /// List what holders and intermediaries were asked for, and whether they took it
    #[command(after_help = "EXAMPLES:\n  connector consent asked\n")]
    Asked,
    /// List where consents stand, as their holders have signed
    ///
    /// By the newest receipt of each, or where the holder has told its end since by that message, which ENDED BY names (connector consent
    /// retractions).
    #[command(after_help = "EXAMPLES:\n  connector consent received --json\n")]
    Received,
    /// List who received records of a learner (GDPR art. 15(1)(c)), and since when
    ///
    /// Those to whom a record was about to be handed over. FIRST is empty where that was before the time was noted, NAME where no credential
    /// says the legal name. Under which agreements is not kept for each learner: connector agreement list shows those with a recipient.
    /// Nobody is listed for numbers about groups or rows made anonymous, nor for a learner who was forgotten.
    #[command(
        after_help = "EXAMPLES:\n  connector consent recipients learner-17\n  connector consent recipients learner-17 --json\n"
    )]
    Recipients {
        /// The learner's local identifier at this holder
        learner: String,
    },
    /// Show who was told that a learner's consents have ended, and what each erased
    ///
    /// At an intermediary also what the holders of the consents that it keeps were told of them, and whether they have confirmed it.
    #[command(after_help = "EXAMPLES:\n  connector consent told learner-17\n")]
    Told {
        /// The learner's local identifier at this holder
        learner: String,
    },
    /// List what holders told us that we may not keep, and what was erased
    #[command(after_help = "EXAMPLES:\n  connector consent retractions --json\n")]
    Retractions,
    /// List consents, those that ended too
    ///
    /// At an intermediary AT ITS HOLDER says whether the holder of the records has confirmed where the consent stands: waiting, acknowledged or
    /// refused. Until it has, what ended here may go on there.
    #[command(
        after_help = "EXAMPLES:\n  connector consent list\n  connector consent list --subject learner-17 --json\n"
    )]
    List {
        /// Only this learner's
        #[arg(long)]
        subject: Option<String>,
    },
    /// Show one consent with its events; --json also gives its record in JSON-LD
    ///
    /// `via` names the intermediary through which it came and which keeps it for the learner; there `passedOn` is what the holder was told last, and
    /// whether it has confirmed it.
    #[command(
        after_help = "EXAMPLES:\n  connector consent show urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --json\n"
    )]
    Show {
        /// The consent's id
        id: String,
    },
    /// Print the signed receipts of a consent, an objection or a restriction, one a line, the oldest first
    #[command(
        after_help = "EXAMPLES:\n  connector consent receipts urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 > receipts.txt\n"
    )]
    Receipts {
        /// The id of the consent, the objection or the restriction
        id: String,
    },
    Verify(verify::Verify),
    /// Record many consents: a JSON array, or one JSON object a line
    ///
    /// In pieces of 64, each whole or not at all. Where one is refused, its number in the file is named, how many are recorded, and from which
    /// one on to import again.
    #[command(
        after_help = "EXAMPLES:\n  connector consent import consents.jsonl\n  connector consent import - < consents.json\n"
    )]
    Import {
        /// The file; - for standard input
        file: PathBuf,
    },
}

/// Names the older consents that have ended because a newer one takes their place: they may have covered more.
fn say_superseded(context: &Context, given: &Value) -> Outcome {
    for id in items(given, "superseded") {
        let id = id.as_str().unwrap_or_default();
        context
            .out
            .say(&format!("  ended, because this one takes its place: {id}"))?;
    }
    Ok(())
}

/// Warns of what an answer says is not here: what was just recorded opens nothing of it.
pub(super) fn say_unknown(context: &Context, told: &Value) -> Outcome {
    let unknown = told.get("unknown").unwrap_or(&Value::Null);
    for name in items(unknown, "datasets").iter().filter_map(Value::as_str) {
        context.out.say(context.language().say(
            &format!(
                "avertissement\u{a0}: aucun jeu de données n’est publié ici sous le nom {name}\u{a0}; rien n’en part"
            ),
            &format!("warning: no dataset is published here as {name}; nothing of it leaves"),
        ))?;
    }
    for field in items(unknown, "fields").iter().filter_map(Value::as_str) {
        context.out.say(context.language().say(
            &format!("avertissement\u{a0}: aucun jeu de données visé n’a le champ {field} dans ces catégories\u{a0}; rien n’en part"),
            &format!("warning: no dataset that is meant has the field {field} in these categories; nothing of it leaves"),
        ))?;
    }
    Ok(())
}

const COLUMNS: [Column; 9] = [
    ("ID", &["/consent/id"]),
    ("SUBJECT", &["/consent/subject"]),
    ("STATE", &["state"]),
    ("RECIPIENTS", &["/consent/recipients"]),
    ("PURPOSES", &["/consent/purposes"]),
    ("CATEGORIES", &["/consent/categories"]),
    ("UNTIL", &["until"]),
    ("WITHDRAWN", &["withdrawn"]),
    ("AT ITS HOLDER", &["/passedOn/delivery/is"]),
];

const OBJECTIONS: [Column; 5] = [
    ("ID", &["id"]),
    ("SUBJECT", &["subject"]),
    ("BASIS", &["basis"]),
    ("BY", &["/actor/role"]),
    ("AT", &["at"]),
];

/// The part of a path that asks for one learner's alone.
fn of_learner(subject: Option<String>) -> String {
    subject
        .map(|subject| format!("?subject={}", encode(&subject)))
        .unwrap_or_default()
}

impl Consent {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        match self.command {
            ConsentCommand::Grant(grant) => grant.run(context).await,
            ConsentCommand::Request(request) => request.run(context).await,
            ConsentCommand::Decide(decide) => decide.run(context).await,
            ConsentCommand::Share(share) => share.run(context).await,
            ConsentCommand::Object(object) => object.run(context).await,
            ConsentCommand::Objections { subject } => {
                let at = format!("/v1/objections{}", of_learner(subject));
                let list = context.api()?.get(&at).await?;
                let rows = items(&list, "objections");
                context.out.table(&list, rows, &OBJECTIONS, "no objections")
            }
            ConsentCommand::Learner(learner) => learner.run(context).await,
            ConsentCommand::Withdraw(withdraw) => withdraw.run(context).await,
            ConsentCommand::Verify(verify) => verify.run(context).await,
            ConsentCommand::Ask(ask) => ask.run(context).await,
            ConsentCommand::Asked => exchange::asked(context).await,
            ConsentCommand::Received => exchange::received(context).await,
            ConsentCommand::Recipients { learner } => exchange::recipients(context, &learner).await,
            ConsentCommand::Told { learner } => exchange::told(context, &learner).await,
            ConsentCommand::Retractions => exchange::retractions(context).await,
            ConsentCommand::Import { file } => grant::import_file(context, &file).await,
            ConsentCommand::Forget { learner } => {
                let body = json!({"subject": learner});
                let forgotten = context.api()?.post("/v1/consents/forget", &body).await;
                let forgotten =
                    forgotten.map_err(|failure| failure.next("see: connector consent list --subject LEARNER"))?;
                context.out.say("forgotten")?;
                context.out.details(&forgotten)
            }
            ConsentCommand::List { subject } => {
                let at = format!("/v1/consents{}", of_learner(subject));
                let list = context.api()?.get(&at).await?;
                context
                    .out
                    .table(&list, items(&list, "consents"), &COLUMNS, "no consents")
            }
            ConsentCommand::Show { id } => {
                let shown = context.api()?.get(&path(&["consents", &id])?).await?;
                if context.out.json {
                    return context.out.json(&shown);
                }
                let mut brief = shown;
                if let Some(members) = brief.as_object_mut() {
                    members.remove("record");
                }
                context.out.details(&brief)
            }
            ConsentCommand::Receipts { id } => {
                let list = context.api()?.get(&path(&["consents", &id, "receipts"])?).await?;
                if context.out.json {
                    return context.out.json(&list);
                }
                let mut receipts = items(&list, "receipts").iter().filter_map(|one| one.as_str());
                receipts.try_for_each(|receipt| context.out.line(receipt))
            }
        }
    }
}
