//! `consent withdraw`: the end of a learner's consents, and what is told of it.

use crate::cli::{
    Context,
    exit::Outcome,
    output::{items, member},
};
use clap::Args;
use serde_json::{Value, json};

/// End a learner's consents; answers when no running stream of this connector can send that learner's records under them any more
///
/// All of them, or with --recipient those that name that recipient. A consent that names several recipients ends for all of them: the answer
/// says who they are, and for whom it is to go on it is granted anew.
///
/// At an intermediary, which keeps consents for other holders, the answer waits for nobody: each holder is told, for as long as it takes, and until
/// it has confirmed the end, records can still leave there. The answer names those holders; connector consent told LEARNER and connector consent
/// list show when they have confirmed.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector consent withdraw --subject learner-17
  connector consent withdraw --subject learner-17 --recipient did:web:work.example --json
")]
pub(super) struct Withdraw {
    /// The learner's local identifier at this holder
    #[arg(long)]
    subject: String,
    /// Only the consents that name this recipient: an id, or the name of a configured peer
    #[arg(long, value_name = "ID|NAME")]
    recipient: Option<String>,
}

impl Withdraw {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let mut body = json!({"subject": self.subject});
        if let (Some(members), Some(recipient)) = (body.as_object_mut(), &self.recipient) {
            members.insert("recipient".into(), recipient.as_str().into());
        }
        let told = context.api()?.post("/v1/consents/withdraw", &body).await?;
        if context.out.json {
            return context.out.json(&told);
        }
        let ended = items(&told, "consents").len();
        context.out.say(&format!(
            "withdrawn at {}: {ended} consent(s) of {} ended",
            member(&told, &["at"]),
            self.subject
        ))?;
        for recipient in items(&told, "recipients") {
            let ended = format!("  ended towards {}", recipient.as_str().unwrap_or_default());
            context.out.say(&ended)?;
        }
        for holder in items(&told, "unconfirmed") {
            let holder = holder.as_str().unwrap_or_default();
            context.out.say(&unconfirmed(holder, &self.subject, true))?;
        }
        say_streams(context, &told)
    }
}

/// What is said where a holder has yet to confirm what was decided at its intermediary: that it ended something, or not.
pub(super) fn unconfirmed(holder: &str, subject: &str, has_ended: bool) -> String {
    let meanwhile = match has_ended {
        true => ", and records that could leave there still can",
        false => "",
    };
    format!(
        "  not confirmed yet by {holder}, which holds the records: until it is, this counts here alone{meanwhile}\n  next: connector consent told {subject}"
    )
}

/// Says where each running stream stood when nothing more could pass.
pub(in crate::cli) fn say_streams(context: &Context, told: &Value) -> Outcome {
    for stream in items(told, "streams") {
        let (transfer, last) = (member(stream, &["transfer"]), member(stream, &["lastSequence"]));
        let said = match stream.get("goesOn") {
            Some(Value::Bool(true)) => {
                format!(
                    "  records of this learner go on in transfer {transfer} after number {last}: something else permits them"
                )
            }
            _ => format!("  no record of this learner is in transfer {transfer} beyond sequence number {last}"),
        };
        context.out.say(&said)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_of_an_end_it_is_said_that_records_still_leave_until_the_holder_has_confirmed_it() {
        let told = |has_ended| unconfirmed("did:web:cfa.example", "learner-17", has_ended);
        assert!(told(true).contains("still can") && !told(false).contains("still can"));
        assert!(told(false).ends_with("this counts here alone\n  next: connector consent told learner-17"));
    }
}
