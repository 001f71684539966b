//! `peer`: whom this connector talks to, and who of them is held to signing.

use super::{
    Context,
    api::path,
    exit::Outcome,
    output::{Column, items},
};
use clap::{Args, Subcommand};

/// List the peers, and let one be that does not sign any more
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector peer list
  connector peer unpin lycee
"
)]
pub(super) struct Peer {
    #[command(subcommand)]
    command: PeerCommand,
}

#[derive(Subcommand)]
enum PeerCommand {
    /// List the peers with how their messages are signed, and the members of the governance authority that are known now
    #[command(after_help = "EXAMPLES:\n  connector peer list\n  connector peer list --json\n")]
    List,
    /// Forget that a peer signs, so that its messages are taken without signatures again
    ///
    /// Only for a peer with `signatures = "if-offered"` that has ceased to sign; ask its operator first, by another way. While its DID
    /// document says that it signs, it is held to that again at once: then set `signatures = "off"`.
    #[command(after_help = "EXAMPLES:\n  connector peer unpin did:web:lycee.example\n")]
    Unpin {
        /// Its DID, or its name in the configuration
        peer: String,
    },
}

/// What a list of peers shows.
pub(super) const COLUMNS: [Column; 5] = [
    ("PEER", &["name"]),
    ("DID", &["did"]),
    ("SIGNATURES", &["signatures"]),
    ("HELD SINCE", &["/pin/since"]),
    ("BECAUSE", &["/pin/reason"]),
];

/// What a list of members shows.
const MEMBERS: [Column; 5] = [
    ("MEMBER", &["legalName"]),
    ("DID", &["did"]),
    ("ROLES", &["roles"]),
    ("ISSUER", &["issuer"]),
    ("UNTIL", &["until"]),
];

/// What a list without any says.
pub(super) const NONE: &str = "no peers: add a [[peer]] or a [membership] section to the configuration";

impl Peer {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let api = context.api()?;
        match self.command {
            PeerCommand::List => {
                let list = api.get("/v1/peers").await?;
                let (peers, members) = (items(&list, "peers"), items(&list, "members"));
                if context.out.json || members.is_empty() {
                    return context.out.table(&list, peers, &COLUMNS, NONE);
                }
                if !peers.is_empty() {
                    context.out.table(&list, peers, &COLUMNS, NONE)?;
                    context.out.line("")?;
                }
                context.out.table(&list, members, &MEMBERS, NONE)
            }
            PeerCommand::Unpin { peer } => {
                let answer = api.delete(&path(&["peers", &peer, "pin"])?).await?;
                context.out.details(&answer)
            }
        }
    }
}
