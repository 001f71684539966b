//! The connector under test: the real binary, with a configuration as any operator could write it for a plain peer on this machine.
//! Knows nothing of the kit but its address.

use super::PARTICIPANT;
use crate::harness::{Connector, World};
use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// A running connector and the folder that it lives in.
pub struct Subject {
    world: World,
    folder: PathBuf,
    /// The value of the `Authorization` header, from the peer and to it.
    pub token: String,
}

impl Subject {
    /// Starts it with the peer at `peer`. Its log is left in `folder` at the end, whatever the end is.
    pub async fn start(peer: &str, token: String, folder: &Path) -> Self {
        let mut world = World::init(&["subject"]);
        let connector = world.get_mut("subject");
        secret(&connector.dir.join("peer.token"), &token);
        fs::write(connector.config(), configuration(&connector.did, connector.port, peer))
            .expect("a configuration can be written");
        connector.start().await;
        Self {
            world,
            folder: folder.to_owned(),
            token,
        }
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

impl Drop for Subject {
    fn drop(&mut self) {
        if let Err(error) = fs::write(self.folder.join("connector.log"), self.connector().log()) {
            eprintln!("the connector's log is lost: {error}");
        }
    }
}

/// The connector refuses secrets that others can read.
fn secret(path: &Path, text: &str) {
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .expect("a new file");
    file.write_all(text.as_bytes()).expect("a token can be written");
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
