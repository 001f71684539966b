//! The connector under test: the real binary, with a configuration as any operator could write it for a plain peer on this machine.
//! Knows nothing of the kit but its address.

use super::PARTICIPANT;
use crate::harness::{Connector, World};
use std::fs;

/// A running connector and the folder that it lives in.
pub struct Subject {
    world: World,
    /// The value of the `Authorization` header, from the peer and to it.
    pub token: String,
}

impl Subject {
    /// Starts it with the peer at `peer`.
    pub async fn start(peer: &str, token: String) -> Self {
        let mut world = World::init(&["subject"]);
        let connector = world.get_mut("subject");
        fs::write(connector.dir.join("peer.token"), &token).expect("a token can be written");
        fs::write(connector.config(), configuration(&connector.did, connector.port, peer))
            .expect("a configuration can be written");
        connector.start().await;
        Self { world, token }
    }

    /// The process.
    pub fn connector(&self) -> &Connector {
        self.world.get("subject")
    }

    /// Its public root.
    pub fn root(&self) -> String {
        format!("http://localhost:{}", self.connector().port)
    }

    /// The base of the protocol.
    pub fn base(&self) -> String {
        format!("{}{}", self.root(), crate::peer::DSP)
    }
}

fn configuration(did: &str, port: u16, peer: &str) -> String {
    format!(
        r#"did = "{did}"
public_url = "http://localhost:{port}"
listen = "127.0.0.1:{port}"
tls = false

[log]
level = "info,connector=debug"

[decisions]
negotiations = "manual"
transfers = "manual"

[net]
timeout = "3s"

[retry]
first = "200ms"
longest = "1s"

[[peer]]
id = "{PARTICIPANT}"
name = "tck"
identity = "static-token"
token = "peer.token"
address = "{peer}"
allow_http = true
allow_private = true
"#
    )
}
