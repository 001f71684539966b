//! `catalog`, `negotiate`, `propose`, `negotiation`: from a peer's offer to an agreement.

use super::{
    Context,
    api::{encode, path},
    exit::{Exit, Failure, Outcome},
    input,
    output::{Column, items, member},
    told,
};
use clap::{Args, Subcommand};
use policy::Language;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Show what a peer offers to this connector
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector catalog school
  connector catalog did:web:school.example --json
")]
pub(super) struct Catalog {
    /// The peer: its name in the configuration, or its DID
    peer: String,
}

impl Catalog {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let catalog = context
            .api()?
            .get(&format!("/v1/catalog?peer={}", encode(&self.peer)))
            .await?;
        let rows: Vec<Value> = items(&catalog, "datasets").iter().flat_map(rows).collect();
        let columns: [Column; 4] = [
            ("DATASET", &["dataset"]),
            ("TITLE", &["title"]),
            ("OFFER", &["offer"]),
            ("FORMATS", &["formats"]),
        ];
        context
            .out
            .table(&catalog, &rows, &columns, "this peer offers nothing to this connector")
    }
}

/// One row for each offer of a dataset.
fn rows(dataset: &Value) -> Vec<Value> {
    let row = |offer: &Value| {
        json!({
            "dataset": dataset.get("id").or_else(|| dataset.get("@id")),
            "title": dataset.get("title"),
            "offer": offer.get("@id"),
            "formats": dataset.get("formats"),
        })
    };
    dataset
        .get("offers")
        .and_then(Value::as_array)
        .map(|offers| offers.iter().map(row).collect())
        .unwrap_or_default()
}

/// Ask a peer for an agreement about one of its offers
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector negotiate school urn:offer:skills-2026 --wait
  connector negotiate school urn:offer:skills-2026 --wait --timeout 300 --terms terms.json
  connector negotiate school urn:offer:skills-2026 --manual --json
  connector negotiate --address https://school.example/dsp/2025-1 --offer urn:offer:skills-2026 --dataset skills --wait
")]
pub(super) struct Negotiate {
    /// The peer: its name in the configuration, or its DID. Not needed where --address leads to one configured peer
    #[arg(required_unless_present = "address")]
    peer: Option<String>,
    /// The offer's id, from `connector catalog`
    #[arg(required_unless_present = "offer_id")]
    offer: Option<String>,
    /// The offer's id, as an option
    #[arg(long = "offer", value_name = "ID", id = "offer_id", conflicts_with = "offer")]
    offer_id: Option<String>,
    /// The peer's base address with the version's path: negotiates without discovery and catalog
    #[arg(long, value_name = "URL", requires = "dataset")]
    address: Option<String>,
    /// The dataset, where the catalog is not asked
    #[arg(long, value_name = "ID", requires = "address")]
    dataset: Option<String>,
    /// Wait until there is an agreement, a refusal, or something for you to decide
    #[arg(long)]
    wait: bool,
    /// Longest wait, in seconds
    #[arg(long, value_name = "S", default_value_t = 60, requires = "wait")]
    timeout: u32,
    /// Ask for these terms instead of the offered ones: a file with an ODRL policy
    #[arg(long, value_name = "FILE")]
    terms: Option<PathBuf>,
    /// Hold every step for your decision
    #[arg(long)]
    manual: bool,
}

impl Negotiate {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let terms = self.terms.as_deref().map(input::json).transpose()?;
        let body = given(json!({
            "peer": self.peer, "offer": self.offer.or(self.offer_id), "address": self.address, "dataset": self.dataset,
            "terms": terms, "manual": self.manual.then_some(true),
        }));
        let api = context.api()?;
        let begun = api.post("/v1/negotiations", &body).await?;
        let pid = member(&begun, &["pid"]);
        if !self.wait {
            if context.out.json {
                return context.out.json(&begun);
            }
            return context
                .out
                .say(&format!("{pid}\n  next: connector negotiation show {pid}"));
        }
        let wait = format!("{}?timeout={}", path(&["negotiations", &pid, "wait"])?, self.timeout);
        let ended = api
            .get(&wait)
            .await
            .map_err(|failure| failure.next(format!("it goes on: connector negotiation show {pid}")))?;
        let text = conclude(&ended, context.language())?;
        if context.out.json {
            context.out.json(&ended)
        } else {
            context.out.say(&text)
        }
    }
}

/// A body without the members that were not given.
pub(super) fn given(mut body: Value) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    body
}

/// Propose an agreement about one of your datasets to a peer that has not asked
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector propose edtech skills
  connector propose edtech skills --terms terms.json --json
  connector propose edtech skills --address https://edtech.example/dsp/2025-1
")]
pub(super) struct Propose {
    /// The peer: its name in the configuration, or its DID
    peer: String,
    /// The dataset, from `connector dataset list`
    dataset: String,
    /// Propose these terms instead of the published ones: a file with an ODRL policy
    #[arg(long, value_name = "FILE")]
    terms: Option<PathBuf>,
    /// The peer's base address with the version's path: proposes without discovery
    #[arg(long, value_name = "URL")]
    address: Option<String>,
    /// Hold every step for your decision
    #[arg(long)]
    manual: bool,
}

impl Propose {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let terms = self.terms.as_deref().map(input::json).transpose()?;
        let body = given(json!({
            "peer": self.peer, "dataset": self.dataset, "address": self.address, "terms": terms,
            "manual": self.manual.then_some(true),
        }));
        let begun = context.api()?.post("/v1/offers", &body).await?;
        if context.out.json {
            return context.out.json(&begun);
        }
        let pid = member(&begun, &["pid"]);
        context
            .out
            .say(&format!("{pid}\n  next: connector negotiation show {pid}"))
    }
}

/// How a negotiation stands, in words; one that ended without agreement is a failure.
fn conclude(record: &Value, language: Language) -> Outcome<String> {
    let pid = member(record, &["pid"]);
    let reached = state(record);
    if reached == "TERMINATED" {
        let why = told::why(record, language);
        return Err(Failure::new(
            Exit::Failed,
            format!("the negotiation {pid} ended without an agreement{why}"),
        )
        .next("ask for other terms with --terms FILE; what is offered: connector catalog PEER --json"));
    }
    if reached == "FINALIZED" {
        let agreement = member(record, &["agreementId"]);
        let on = terms(record, language)
            .map(|on| format!("\n  {on}"))
            .unwrap_or_default();
        return Ok(format!(
            "agreed: {agreement}{on}\n  next: connector transfer start {agreement} -o records.jsonl\n  \
             its terms: connector agreement explain {agreement}"
        ));
    }
    Ok(format!(
        "{pid} is {reached} and waits for your decision\n  next: connector negotiation show {pid}, then {}",
        decisions(&reached)
    ))
}

/// On which terms there is an agreement, where this side asked for its own.
fn terms(record: &Value, language: Language) -> Option<&'static str> {
    Some(match record.get("agreedTerms")?.as_str()? {
        "asked" => language.say("aux conditions demandées", "on the terms that were asked for"),
        "published" => language.say(
            "aux conditions publiées, et non à celles qui étaient demandées",
            "on the published terms, not on those that were asked for",
        ),
        _ => language.say(
            "à des conditions qui ne sont ni celles demandées, ni celles publiées",
            "on terms that are neither those that were asked for nor the published ones",
        ),
    })
}

/// What can be decided in a state.
fn decisions(state: &str) -> &'static str {
    match state {
        "REQUESTED" => "offer, agree or terminate",
        "OFFERED" => "accept, counter or terminate",
        "ACCEPTED" => "agree or terminate",
        "AGREED" => "verify or terminate",
        "VERIFIED" => "finalize or terminate",
        _ => "terminate",
    }
}

/// The protocol's name of a record's state.
pub(super) fn state(record: &Value) -> String {
    let name = member(record, &["stateName", "state"]);
    if name.is_empty() {
        "not acknowledged yet".to_owned()
    } else {
        name
    }
}

/// Follow and steer negotiations
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector negotiation list
  connector negotiation show urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11
"
)]
pub(super) struct Negotiation {
    #[command(subcommand)]
    command: NegotiationCommand,
}

#[derive(Subcommand)]
enum NegotiationCommand {
    /// List negotiations, as provider and as consumer
    #[command(after_help = "EXAMPLES:\n  connector negotiation list\n  connector negotiation list --json\n")]
    List,
    /// Show one negotiation with the terms on the table
    #[command(after_help = "EXAMPLES:\n  connector negotiation show urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11\n")]
    Show {
        /// The negotiation's id
        pid: String,
    },
    /// Accept the provider's offer that is on the table
    #[command(after_help = "EXAMPLES:\n  connector negotiation accept urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11\n")]
    Accept {
        /// The negotiation's id
        pid: String,
    },
    /// Confirm the agreement that the provider proposed
    #[command(after_help = "EXAMPLES:\n  connector negotiation verify urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11\n")]
    Verify {
        /// The negotiation's id
        pid: String,
    },
    /// As the provider, answer a request with an offer: of the published terms, or of others
    #[command(
        after_help = "EXAMPLES:\n  connector negotiation offer urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --terms terms.json\n"
    )]
    Offer {
        /// The negotiation's id
        pid: String,
        /// The terms: a file with an ODRL policy
        #[arg(long, value_name = "FILE")]
        terms: Option<PathBuf>,
    },
    /// As the provider, agree to the terms on the table
    #[command(after_help = "EXAMPLES:\n  connector negotiation agree urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11\n")]
    Agree {
        /// The negotiation's id
        pid: String,
    },
    /// As the provider, put a confirmed agreement in force
    #[command(
        after_help = "EXAMPLES:\n  connector negotiation finalize urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11\n"
    )]
    Finalize {
        /// The negotiation's id
        pid: String,
    },
    /// Propose other terms
    #[command(
        after_help = "EXAMPLES:\n  connector negotiation counter urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --terms terms.json\n"
    )]
    Counter {
        /// The negotiation's id
        pid: String,
        /// The terms: a file with an ODRL policy
        #[arg(long, value_name = "FILE")]
        terms: PathBuf,
    },
    /// End a negotiation without agreement
    #[command(
        after_help = "EXAMPLES:\n  connector negotiation terminate urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11 --reason 'no longer needed'\n"
    )]
    Terminate {
        /// The negotiation's id
        pid: String,
        /// Why; the peer reads it
        #[arg(long)]
        reason: Option<String>,
    },
}

impl Negotiation {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let api = context.api()?;
        let (pid, step, body) = match self.command {
            NegotiationCommand::List => {
                let list = api.get("/v1/negotiations").await?;
                return context
                    .out
                    .table(&list, items(&list, "negotiations"), &COLUMNS, "no negotiations");
            }
            NegotiationCommand::Show { pid } => {
                let record = api.get(&path(&["negotiations", &pid])?).await?;
                return context.process(record);
            }
            NegotiationCommand::Accept { pid } => (pid, "accept", json!({})),
            NegotiationCommand::Verify { pid } => (pid, "verify", json!({})),
            NegotiationCommand::Agree { pid } => (pid, "agree", json!({})),
            NegotiationCommand::Finalize { pid } => (pid, "finalize", json!({})),
            NegotiationCommand::Offer { pid, terms } => {
                let terms = terms.as_deref().map(input::json).transpose()?;
                (pid, "offer", given(json!({ "terms": terms })))
            }
            NegotiationCommand::Counter { pid, terms } => (pid, "counter", json!({"terms": input::json(&terms)?})),
            NegotiationCommand::Terminate { pid, reason } => (pid, "terminate", because(reason)),
        };
        let record = api.post(&path(&["negotiations", &pid, step])?, &body).await?;
        if context.out.json {
            return context.out.json(&record);
        }
        context.out.say(&format!(
            "{pid}: {}\n  next: connector negotiation show {pid}",
            state(&record)
        ))
    }
}

const COLUMNS: [Column; 7] = [
    ("PID", &["pid"]),
    ("PEER", &["peer"]),
    ("ROLE", &["role"]),
    ("STATE", &["stateName", "state"]),
    ("DATASET", &["dataset"]),
    ("AGREEMENT", &["agreementId"]),
    ("UPDATED", &["updated"]),
];

/// The body of a command that may give a reason.
pub(super) fn because(reason: Option<String>) -> Value {
    reason.map_or_else(|| json!({}), |reason| json!({"reason": reason}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_negotiation_is_a_failure_with_its_reason() {
        let record = json!({"pid": "p", "stateName": "TERMINATED", "explanation": {"code": "no", "reasons": ["purpose not offered"]}});
        let failure = conclude(&record, Language::English).unwrap_err();
        assert_eq!(failure.exit(), Exit::Failed);
        assert!(
            failure
                .to_string()
                .contains("ended without an agreement: purpose not offered"),
            "{failure}"
        );
        let agreed = conclude(
            &json!({"pid": "p", "stateName": "FINALIZED", "agreementId": "a"}),
            Language::English,
        )
        .unwrap();
        assert!(
            agreed.starts_with("agreed: a\n  next: "),
            "nothing else was asked for: {agreed}"
        );
        let held = conclude(&json!({"pid": "p", "stateName": "OFFERED"}), Language::English).unwrap();
        assert!(held.contains("waits for your decision"), "{held}");
    }

    #[test]
    fn it_is_said_whether_the_terms_that_were_asked_for_were_agreed() {
        let told = |terms: &str, language| {
            let record = json!({"stateName": "FINALIZED", "agreementId": "a", "agreedTerms": terms});
            conclude(&record, language).unwrap()
        };
        let asked = told("asked", Language::English);
        assert!(
            asked.starts_with("agreed: a\n  on the terms that were asked for\n"),
            "{asked}"
        );
        let published = told("published", Language::French);
        assert!(published.contains("aux conditions publiées, et non"), "{published}");
        let others = told("others", Language::English);
        assert!(
            others.contains("neither") && others.contains("connector agreement explain a"),
            "{others}"
        );
    }

    #[test]
    fn a_state_that_is_not_known_yet_is_said_so() {
        assert_eq!(state(&json!({"state": null})), "not acknowledged yet");
        assert_eq!(
            state(&json!({"stateName": "REQUESTED", "state": {"x": 1}})),
            "REQUESTED"
        );
    }

    #[test]
    fn every_offer_of_a_dataset_gets_a_row() {
        let dataset = json!({"id": "d", "offers": [{"@id": "o1"}, {"@id": "o2"}], "formats": ["F"]});
        let offers: Vec<String> = rows(&dataset).iter().map(|row| member(row, &["offer"])).collect();
        assert_eq!(offers, ["o1", "o2"]);
    }
}
