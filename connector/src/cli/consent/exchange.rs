//! What is asked for, told and heard about consents between participants.

use crate::cli::{
    Context,
    api::encode,
    exit::Outcome,
    input,
    output::{Column, items, member},
};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Ask the holder of an agreement's data, or an intermediary, for a learner's consent
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector consent ask --agreement urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --subject jobseeker-4 --category skills --notice-id orientation --notice-version 3 --language fr --notice-file notice.txt
  connector consent ask --at did:web:parcours.example --agreement urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --subject jobseeker-4 --category skills --notice-id orientation --notice-version 3 --notice-file notice.txt
")]
pub(super) struct Ask {
    /// Under which agreement, as its consumer: what the learner allows opens that one alone
    #[arg(long)]
    agreement: String,
    /// The intermediary to ask in place of the holder: the learner decides there
    #[arg(long, value_name = "DID")]
    at: Option<String>,
    /// The learner by our local identifier, who has linked themselves with whoever is asked: connector link
    #[arg(long, required_unless_present = "learner")]
    subject: Option<String>,
    /// The learner by the pseudonym that whoever is asked uses towards us
    #[arg(long, value_name = "p:...", conflicts_with = "subject")]
    learner: Option<String>,
    /// For which purpose, as the agreement names it: its IRI, or its name behind `https://w3id.org/dases/ns/`; repeat for more [default: all of
    /// the agreement's]
    #[arg(long, value_name = "IRI")]
    purpose: Vec<String>,
    /// Which data category; repeat for more
    #[arg(long, value_name = "NAME", required = true)]
    category: Vec<String>,
    /// Only this field of the categories, as a JSON pointer; repeat for more [default: all]
    #[arg(long, value_name = "POINTER")]
    field: Vec<String>,
    /// The name of the notice that the learner is shown
    #[arg(long)]
    notice_id: String,
    /// Its version
    #[arg(long)]
    notice_version: String,
    /// Its language
    #[arg(long, default_value = "fr")]
    language: String,
    /// Its text
    #[arg(long, value_name = "FILE")]
    notice_file: PathBuf,
    /// For how many days the records are kept. It stands in the record and the receipts; no connector erases by it
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    retention_days: Option<u32>,
    /// For so many transfers in all, 1 to 366 [default: any number]
    #[arg(long, value_name = "NUMBER")]
    max_count: Option<u64>,
    /// For numbers about groups of learners alone, never for a record
    #[arg(long)]
    aggregate_only: bool,
    /// Counted only in releases in which no group has fewer learners, 5 to 1000000; says nothing about records [default: any]
    #[arg(long, value_name = "NUMBER")]
    min_group_size: Option<u32>,
    /// Until when
    #[arg(long, value_name = "RFC3339")]
    until: Option<String>,
}

impl Ask {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let text = String::from_utf8_lossy(&input::bytes(&self.notice_file)?).into_owned();
        let body = json!({
            "agreement": self.agreement, "at": self.at, "subject": self.subject, "learner": self.learner, "purposes": self.purpose,
            "categories": self.category, "fields": self.field, "retentionDays": self.retention_days, "maxCount": self.max_count, "aggregateOnly": self.aggregate_only,
            "minGroupSize": self.min_group_size, "until": self.until,
            "notice": {"id": self.notice_id, "version": self.notice_version, "language": self.language, "text": text},
        });
        let asked = context.api()?.post("/v1/consents/ask", &body).await?;
        if context.out.json {
            return context.out.json(&asked);
        }
        let (id, to) = (member(&asked, &["id"]), member(&asked, &["via", "holder"]));
        context.out.say(&format!("asked {to}: {id}"))
    }
}

const ASKED: [Column; 6] = [
    ("ID", &["id"]),
    ("HOLDER", &["holder"]),
    ("THROUGH", &["via"]),
    ("AT", &["at"]),
    ("DELIVERED", &["delivered"]),
    ("REFUSED", &["refused"]),
];

const RECEIVED: [Column; 7] = [
    ("CONSENT", &["consent"]),
    ("HOLDER", &["holder"]),
    ("PSEUDONYM", &["pseudonym"]),
    ("STATE", &["state"]),
    ("SINCE", &["at"]),
    ("UNTIL", &["until"]),
    ("ENDED BY", &["ended"]),
];

const RECIPIENTS: [Column; 3] = [
    ("RECIPIENT", &["recipient"]),
    ("NAME", &["name"]),
    ("FIRST", &["first"]),
];

const TOLD: [Column; 8] = [
    ("RECIPIENT", &["/notice/recipient"]),
    ("REASON", &["/notice/reason"]),
    ("AT", &["/notice/at"]),
    ("MESSAGE", &["/delivery/is"]),
    ("ANSWERED", &["/delivery/at"]),
    ("ERASED", &["/erased/records"]),
    ("ERASE BY", &["/notice/eraseBy"]),
    ("WHY", &["/delivery/why"]),
];

const PASSED_ON: [Column; 6] = [
    ("CONSENT", &["consent"]),
    ("HOLDER", &["holder"]),
    ("STATE", &["state"]),
    ("AT", &["at"]),
    ("MESSAGE", &["/delivery/is"]),
    ("WHY", &["/delivery/why"]),
];

const RETRACTIONS: [Column; 8] = [
    ("NOTICE", &["notice"]),
    ("HOLDER", &["holder"]),
    ("CONSENTS", &["consents"]),
    ("REASON", &["reason"]),
    ("AT", &["at"]),
    ("ERASE BY", &["eraseBy"]),
    ("ERASED", &["erased"]),
    ("REOPENED", &["reopened"]),
];

pub(super) async fn asked(context: &Context) -> Outcome {
    let list = context.api()?.get("/v1/consents/asked").await?;
    context
        .out
        .table(&list, items(&list, "asked"), &ASKED, "nothing was asked for")
}

pub(super) async fn received(context: &Context) -> Outcome {
    let list = context.api()?.get("/v1/consents/received").await?;
    context
        .out
        .table(&list, items(&list, "received"), &RECEIVED, "no consents received")
}

pub(super) async fn recipients(context: &Context, learner: &str) -> Outcome {
    let list = context
        .api()?
        .get(&format!("/v1/learners/recipients?subject={}", encode(learner)))
        .await?;
    let nobody = of_known(&list, "nobody received records of this learner");
    context
        .out
        .table(&list, items(&list, "recipients"), &RECIPIENTS, nobody)
}

pub(super) async fn told(context: &Context, learner: &str) -> Outcome {
    let list = context
        .api()?
        .get(&format!("/v1/consents/told?subject={}", encode(learner)))
        .await?;
    let nobody = of_known(&list, "nobody was told anything");
    let (told, passed_on) = (items(&list, "told"), items(&list, "passedOn"));
    if context.out.json || !told.is_empty() || passed_on.is_empty() {
        context.out.table(&list, told, &TOLD, nobody)?;
    }
    match context.out.json || passed_on.is_empty() {
        true => Ok(()),
        false => context.out.table(&list, passed_on, &PASSED_ON, ""),
    }
}

/// What an empty list says of a learner: nothing, where nothing of them is here any more.
fn of_known(list: &Value, nobody: &'static str) -> &'static str {
    match list.get("known") {
        Some(Value::Bool(false)) => {
            "nothing is known of this learner here: nothing about them was ever recorded, or they are forgotten"
        }
        _ => nobody,
    }
}

pub(super) async fn retractions(context: &Context) -> Outcome {
    let list = context.api()?.get("/v1/consents/retractions").await?;
    context
        .out
        .table(&list, items(&list, "retractions"), &RETRACTIONS, "no retractions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_of_a_learner_who_is_not_known_is_no_fact_about_them() {
        let said = |known: bool| of_known(&json!({"told": [], "known": known}), "nobody");
        assert_eq!(said(true), "nobody");
        assert!(said(false).contains("forgotten"));
    }
}
