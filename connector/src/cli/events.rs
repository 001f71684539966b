//! `events`: what happens to negotiations and transfers, while it happens.

use super::{
    Context,
    exit::{Exit, Failure, Outcome},
    output::member,
};
use clap::Args;
use serde_json::{Value, json};

/// Follow every change of a negotiation or transfer until the daemon stops
///
/// Each change is one line (with --json: one JSON object). A line `reset` says that changes were missed which the daemon does not
/// remember: list the negotiations and transfers then.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector events
  connector events --json | jq 'select(.state == \"FINALIZED\")'
  connector events --since 1042
")]
pub(super) struct Events {
    /// Go on after this event instead of from now on
    #[arg(long, value_name = "ID")]
    since: Option<u64>,
}

impl Events {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let out = &context.out;
        let mut last = self.since;
        let followed = context
            .api()?
            .events("/v1/events", self.since, |id, name, event| {
                last = Some(id);
                if out.json {
                    out.line(&flat(id, name, event).to_string())
                } else {
                    out.line(&line(id, name, &event))
                }
            })
            .await;
        followed.and_then(|()| {
            let next = last.map_or_else(String::new, |last| format!(" --since {last}"));
            Err(Failure::new(Exit::Unreachable, "the daemon has stopped")
                .next(format!("when it runs again: connector events{next}")))
        })
    }
}

/// An event as one object, its number and name first.
fn flat(id: u64, name: &str, event: Value) -> Value {
    let mut whole = json!({"id": id, "event": name});
    if let (Some(whole), Value::Object(members)) = (whole.as_object_mut(), event) {
        whole.extend(members);
    }
    whole
}

fn line(id: u64, name: &str, event: &Value) -> String {
    if name == "reset" {
        return format!("{id}  reset  {}", member(event, &["message"]));
    }
    let pending = member(event, &["pending"]);
    let pending = match pending.as_str() {
        "" => String::new(),
        steps => format!(" (sending {steps})"),
    };
    format!(
        "{id}  {}  {name} {}  {} of {}: {}{pending}",
        member(event, &["at"]),
        member(event, &["pid"]),
        member(event, &["role"]),
        member(event, &["dataset"]),
        member(event, &["state"]),
    )
}
