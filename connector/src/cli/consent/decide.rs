//! `consent request`, `decide`, `share`, `object` and `learner`: how a consent comes about, and whose word counts.

use super::{
    say_superseded, say_unknown,
    withdraw::{say_streams, unconfirmed},
};
use crate::cli::{
    Context,
    api::path,
    exit::{Failure, Outcome},
    input,
    output::member,
};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::path::PathBuf;

/// As whom somebody acts.
#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Learner,
    Guardian,
    Delegate,
    Holder,
    Authority,
}

#[derive(Clone, Copy, ValueEnum)]
enum Event {
    Give,
    Refuse,
    Defer,
    Reaffirm,
    Withdraw,
    Object,
    Revoke,
    Invalidate,
}

/// A value as the API spells it.
fn name(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

/// Who acts.
#[derive(Args)]
pub(in crate::cli) struct Actor {
    /// As whom
    #[arg(long = "as", value_enum, default_value = "learner", value_name = "ROLE")]
    role: Role,
    /// Who, by the holder's own identifier; a guardian or delegate always has one
    #[arg(long, value_name = "ID")]
    by: Option<String>,
    /// How they said it: paper-form, portal, ...
    #[arg(long)]
    method: String,
    /// How sure it is that it was them: a level of assurance, a way to log in
    #[arg(long)]
    assurance: Option<String>,
    /// Where the proof is kept
    #[arg(long)]
    evidence: Option<String>,
}

impl Actor {
    /// As the API takes it.
    pub(in crate::cli) fn body(&self) -> Value {
        json!({
            "role": name(&self.role), "id": self.by, "method": self.method, "assurance": self.assurance,
            "evidence": self.evidence,
        })
    }
}

/// What is asked for or shared.
#[derive(Args)]
struct Terms {
    /// The learner's local identifier at this holder
    #[arg(long)]
    subject: String,
    /// Who may receive: an id, or the name of a configured peer
    #[arg(long, value_name = "ID|NAME")]
    recipient: String,
    /// For which purpose, as the offer or agreement names it: its IRI, or its name behind `https://w3id.org/dases/ns/`, such as orientation;
    /// repeat for more, all of which the notice names
    #[arg(long, value_name = "IRI", required = true)]
    purpose: Vec<String>,
    /// Which data category; repeat for more
    #[arg(long, value_name = "NAME", required = true)]
    category: Vec<String>,
    /// Only this field of the categories, as a JSON pointer; repeat for more [default: all]
    #[arg(long, value_name = "POINTER")]
    field: Vec<String>,
    /// Only this dataset; repeat for more [default: all of this holder's]
    #[arg(long, value_name = "ID")]
    dataset: Vec<String>,
    /// For so many transfers in all, 1 to 366 [default: any number]
    #[arg(long, value_name = "NUMBER")]
    max_count: Option<u64>,
    /// The hash of the registered notice that the learner is shown
    #[arg(long, value_name = "sha256:HEX")]
    notice: String,
    /// Special categories of data are among it, explicitly
    #[arg(long)]
    explicit: bool,
    /// For numbers about groups of learners alone, never for a record
    #[arg(long)]
    aggregate_only: bool,
    /// Counted only in releases in which no group has fewer learners, 5 to 1000000; says nothing about records [default: any]
    #[arg(long, value_name = "NUMBER")]
    min_group_size: Option<u32>,
}

/// Ask a learner of this holder for a consent; the learner decides
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector consent request --subject learner-17 --recipient did:web:work.example --purpose https://w3id.org/dpv#ServiceProvision --category skills --notice sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
")]
pub(super) struct Request {
    #[command(flatten)]
    terms: Terms,
    /// For this agreement alone, of which the learner is told; one that takes its place needs a consent of its own [default: any]
    #[arg(long, value_name = "ID")]
    agreement: Option<String>,
    /// For how many days the recipient would keep the records [default: as the holder's privacy settings say]. It stands in the record, the
    /// receipts and what the recipient is told; no connector erases by it
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<u32>,
    /// When it would end [default: after twelve months]. What the learner has given already is asked for again only with a later end
    #[arg(long, value_name = "RFC3339")]
    expires: Option<String>,
}

impl Request {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let terms = self.terms;
        let body = json!({
            "subject": terms.subject, "recipients": [terms.recipient], "purposes": terms.purpose,
            "categories": terms.category, "fields": terms.field, "datasets": terms.dataset, "agreement": self.agreement,
            "expires": self.expires, "maxCount": terms.max_count, "retentionDays": self.retention_days, "method": "consent-request",
            "notice": terms.notice, "evidence": "asked for by the holder", "explicit": terms.explicit,
            "aggregateOnly": terms.aggregate_only, "minGroupSize": terms.min_group_size,
        });
        let told = context.api()?.post("/v1/consents/requests", &body).await?;
        say(context, &told)
    }
}

/// Decide about a consent, as the learner or as somebody with a power to act for them
///
/// To reaffirm is to say yes for as long again as the consent was given for at first; the answer says the new end.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector consent decide urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 give --method portal
  connector consent decide urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 give --as guardian --by parent-3 --method paper-form --evidence file:9
  connector consent decide urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 withdraw --method portal
")]
pub(super) struct Decide {
    /// The consent's id
    id: String,
    /// What is decided
    #[arg(value_enum)]
    event: Event,
    #[command(flatten)]
    actor: Actor,
    /// When it was said, if that was before now
    #[arg(long, value_name = "RFC3339")]
    time: Option<String>,
}

impl Decide {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let body = json!({"event": name(&self.event), "actor": self.actor.body(), "time": self.time});
        let at = path(&["consents", &self.id, "events"])?;
        let told = context.api()?.post(&at, &body).await?;
        say(context, &told)
    }
}

/// Share as a learner, without having been asked
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector consent share --subject learner-17 --recipient did:web:work.example --purpose https://w3id.org/dpv#ServiceProvision --category skills --until 2027-08-31T00:00:00Z --notice sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 --method portal
  connector consent share --subject learner-17 --recipient did:web:work.example --purpose https://w3id.org/dpv#ServiceProvision --purpose https://w3id.org/dpv#ScientificResearch --category skills --until 2027-08-31T00:00:00Z --notice sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 --method portal
")]
pub(super) struct Share {
    #[command(flatten)]
    terms: Terms,
    /// When it ends
    #[arg(long, value_name = "RFC3339")]
    until: String,
    #[command(flatten)]
    actor: Actor,
}

impl Share {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let terms = self.terms;
        let body = json!({
            "subject": terms.subject, "recipient": terms.recipient, "purposes": terms.purpose, "categories": terms.category,
            "fields": terms.field, "datasets": terms.dataset, "until": self.until, "notice": terms.notice, "explicit": terms.explicit,
            "maxCount": terms.max_count, "aggregateOnly": terms.aggregate_only, "minGroupSize": terms.min_group_size,
            "actor": self.actor.body(),
        });
        let told = context.api()?.post("/v1/shares", &body).await?;
        say(context, &told)
    }
}

fn say(context: &Context, told: &Value) -> Outcome {
    if context.out.json {
        return context.out.json(told);
    }
    let (id, state) = (member(told, &["/consent/id"]), member(told, &["state"]));
    let until = match state.as_str() {
        "given" => format!(", until {}", member(told, &["until"])),
        _ => String::new(),
    };
    context.out.say(&format!("{id}: {state}{until}"))?;
    say_superseded(context, told)?;
    say_unknown(context, told)?;
    if member(told, &["/passedOn/delivery/is"]) == "waiting" {
        let (holder, subject) = (member(told, &["/passedOn/holder"]), member(told, &["/consent/subject"]));
        context.out.say(&unconfirmed(&holder, &subject, state != "given"))?;
    }
    say_streams(context, told)
}

/// Object for a learner to processing that rests on another basis than consent
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector consent object --subject learner-17 --basis urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --method letter --evidence file:12
")]
pub(super) struct Object {
    /// The learner's local identifier at this holder
    #[arg(long)]
    subject: String,
    /// The declared basis (connector basis list)
    #[arg(long, value_name = "ID")]
    basis: String,
    #[command(flatten)]
    actor: Actor,
}

impl Object {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let body = json!({"subject": self.subject, "basis": self.basis, "actor": self.actor.body()});
        let told = context.api()?.post("/v1/objections", &body).await?;
        if context.out.json {
            return context.out.json(&told);
        }
        context
            .out
            .say(&format!("objection {} recorded", member(&told, &["/objection/id"])))?;
        say_streams(context, told.get("acknowledgement").unwrap_or(&Value::Null))
    }
}

/// Show or record whose word counts for a learner: the age of sole consent, guardians, delegates
///
/// A file says it: {"bornOn": "2012-04-30", "powers": [{"id": "parent-3", "capacity": "parental-authority", "scope": ["give", "withdraw"],
/// "from": "...", "until": "...", "evidence": "..."}]}. The birth date is computed with and not kept. What the file does not name stays as it
/// was recorded: {"powers": []} removes all guardians and delegates, and a child stays a child who does not consent alone. A wrong age is
/// corrected by the right bornOn or soleConsentFrom. Consents given before are held to it: those that rest on a power that is not recorded any
/// more are invalid.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector consent learner learner-17
  connector consent learner learner-17 --set standing.json
")]
pub(super) struct Learner {
    /// The learner's local identifier at this holder
    learner: String,
    /// What to record, a JSON file; - for standard input
    #[arg(long, value_name = "FILE")]
    set: Option<PathBuf>,
}

impl Learner {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let api = context.api()?;
        let shown = match &self.set {
            None => {
                let query = crate::cli::api::encode(&self.learner);
                api.get(&format!("/v1/learners?subject={query}")).await?
            }
            Some(file) => {
                let mut body = input::json(file)?;
                let members = body
                    .as_object_mut()
                    .ok_or_else(|| Failure::usage("expected is one JSON object"))?;
                members.insert("subject".into(), self.learner.clone().into());
                api.post("/v1/learners", &body).await?
            }
        };
        context.out.details(&shown)
    }
}
