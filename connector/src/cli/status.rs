//! `status`: what the daemon is doing, and with whom.

use super::{Context, exit::Outcome, output::items, peer};
use clap::Args;
use serde_json::json;

/// Show what the daemon is doing and which peers it talks to
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector status
  connector status --json --config dev/connector.toml
  connector status --socket /run/connector/management.sock
")]
pub(super) struct Status {}

impl Status {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let api = context.api()?;
        let status = api.get("/v1/status").await?;
        let peers = api.get("/v1/peers").await?;
        let list = items(&peers, "peers");
        if context.out.json {
            let mut both = status;
            if let Some(members) = both.as_object_mut() {
                members.entry("peers").or_insert_with(|| json!(list));
            }
            return context.out.json(&both);
        }
        context.out.details(&status)?;
        context.out.line("")?;
        context.out.table(&peers, list, &peer::COLUMNS, peer::NONE)
    }
}
