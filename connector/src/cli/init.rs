//! `init`: keys, certificates and a configuration for development, or the start of a real one. Never overwrites anything.

mod certificates;

use super::{
    Context,
    exit::{Exit, Failure, Outcome},
    shown,
};
use crate::{
    audit::LogSigner,
    clock,
    config::{self, Config},
    dsp::ParticipantId,
    jose::{Algorithm, Digest, HmacKey, SigningKey, random},
    trust::did,
};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Make keys, certificates and a configuration
///
/// The certificate is signed by a development authority: trust that one only between connectors that you run yourself.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector init --dir ./dev
  connector init --dir ./school --did did:web:localhost%3A8443
  connector init --dir ./work --did did:web:localhost%3A8444 --ca ./school --peer did:web:localhost%3A8443=school --allow-private
  connector init --dir ./lycee --did did:web:lycee.example --membership did:web:gouvernance.example=oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U
")]
pub(super) struct Init {
    /// The folder to make them in; nothing in it is overwritten
    #[arg(long)]
    dir: PathBuf,
    /// Who the connector is
    #[arg(long, default_value = "did:web:localhost%3A8443")]
    did: ParticipantId,
    /// The algorithm of the signing key
    #[arg(long, default_value = "es256")]
    algorithm: KeyKind,
    /// Where to accept connections [default: the DID's port (8443 without one), on loopback for localhost, else on all addresses]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Sign the certificate with the development authority in this folder, made by an earlier `init`
    #[arg(long, value_name = "DIR")]
    ca: Option<PathBuf>,
    /// A peer, and the name to use for it; repeat for more
    #[arg(long, value_name = "DID[=NAME]", value_parser = peer)]
    peer: Vec<(ParticipantId, Option<String>)>,
    /// Members of this governance authority become peers too; ROOT is its root key's thumbprint, as `authority list` shows it
    #[arg(long, value_name = "DID=ROOT", value_parser = membership)]
    membership: Option<(ParticipantId, Digest)>,
    /// A file with a credential of our own membership; repeat for more
    #[arg(long, value_name = "FILE", requires = "membership")]
    credential: Vec<PathBuf>,
    /// These peers, and the members, may be reached on loopback and private networks
    #[arg(long)]
    allow_private: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum KeyKind {
    /// ECDSA on P-256
    Es256,
    /// Ed25519
    Eddsa,
}

fn peer(text: &str) -> Result<(ParticipantId, Option<String>), String> {
    let (did, name) = text
        .split_once('=')
        .map_or((text, None), |(did, name)| (did, Some(name)));
    if name.is_some_and(|name| name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace())) {
        return Err("the name is empty or has white space, expected DID=NAME".to_owned());
    }
    let did = did
        .parse()
        .map_err(|error| format!("{error}, expected DID or DID=NAME"))?;
    did::document_url(&did).map_err(|error| error.to_string())?;
    Ok((did, name.map(str::to_owned)))
}

fn membership(text: &str) -> Result<(ParticipantId, Digest), String> {
    let (did, root) = text
        .split_once('=')
        .ok_or("expected DID=ROOT, as `connector authority list` shows both")?;
    let did = did.parse().map_err(|error| format!("{error}, expected DID=ROOT"))?;
    did::document_url(&did).map_err(|error| error.to_string())?;
    let root = root.parse().map_err(|error| format!("ROOT is {error}"))?;
    Ok((did, root))
}

/// A file to be made.
struct Made {
    name: &'static str,
    what: &'static str,
    private: bool,
    content: Vec<u8>,
}

impl Made {
    fn public(name: &'static str, what: &'static str, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name,
            what,
            private: false,
            content: content.into(),
        }
    }

    fn private(name: &'static str, what: &'static str, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name,
            what,
            private: true,
            content: content.into(),
        }
    }
}

const CONFIG: &str = "connector.toml";

impl Init {
    /// Makes everything, or nothing.
    fn make(&self) -> Outcome<Vec<Made>> {
        let files = self.files()?;
        self.refuse_to_overwrite(&files)?;
        // A folder that is there keeps its mode; the private files have theirs.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(|error| failed(&self.dir, &error))?;
        write_all(&self.dir, &files)?;
        Ok(files)
    }

    pub(super) fn run(self, context: &Context) -> Outcome {
        let files = self.make()?;
        let config = self.dir.join(CONFIG);
        let next = format!("connector serve --config {}", shown(&config));
        if context.out.json {
            let list: Vec<Value> = files
                .iter()
                .map(|file| json!({"path": self.dir.join(file.name), "what": file.what, "private": file.private}))
                .collect();
            return context
                .out
                .json(&json!({"did": self.did, "config": config, "files": list, "next": next}));
        }
        for file in &files {
            let private = if file.private { " (private)" } else { "" };
            context.out.say(&format!(
                "{}  {}{private}",
                self.dir.join(file.name).display(),
                file.what
            ))?;
        }
        context.out.say(&format!("\n{} is ready\n  next: {next}", self.did))
    }

    /// Everything that is made, in memory: if something cannot be made, nothing is written.
    fn files(&self) -> Outcome<Vec<Made>> {
        let url = did::document_url(&self.did).map_err(|error| Failure::usage(error.to_string()))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let text = self.config(&url.origin().ascii_serialization(), host == "localhost", url.port())?;
        // Read back as the daemon will read it, so that what is written is known to be usable.
        let config = Config::parse(&text, &self.dir.join(CONFIG), &self.dir)?;
        let mut files = vec![Made::public(
            CONFIG,
            "the configuration, with every default shown",
            text,
        )];
        files.extend(self.identity(&config)?);
        files.extend(self.certificates(host)?);
        Ok(files)
    }

    fn identity(&self, config: &Config) -> Outcome<[Made; 3]> {
        let key = SigningKey::generate(match self.algorithm {
            KeyKind::Es256 => Algorithm::Es256,
            KeyKind::Eddsa => Algorithm::EdDsa,
        })
        .map_err(|error| cannot_make("the signing key", &error))?;
        let secret = random::bytes::<32>().map_err(|error| cannot_make("the master secret", &error))?;
        let log = LogSigner::of(&config.root(), &HmacKey::new(&secret))
            .map_err(|error| cannot_make("the key of the audit log", &error))?;
        let key_id = config.active_key().map(|key| key.id.clone()).unwrap_or_default();
        let mut own = did::Own::new(self.did.clone(), config.root(), &key_id, key.public_jwk());
        own.log = Some(log.key().clone());
        let document = serde_json::to_vec_pretty(&own.document()).map_err(io::Error::from)?;
        let back_up = "the master secret: back it up, a new one changes every pseudonym";
        Ok([
            Made::private(
                "signing-key.pem",
                "the key that signs messages and agreements",
                key.to_pem().map_err(|error| cannot_make("the signing key", &error))?,
            ),
            Made::private("secret.key", back_up, secret),
            Made::public(
                "did.json",
                "the DID document, which the connector publishes itself",
                document,
            ),
        ])
    }

    fn certificates(&self, host: &str) -> Outcome<Vec<Made>> {
        let now = clock::now();
        let authority = match &self.ca {
            Some(folder) => certificates::Authority::load(folder)?,
            None => certificates::Authority::new(now)?,
        };
        let leaf = authority.issue(host, now)?;
        let list_it = "the development authority: peers list it under net.trusted_ca";
        let mut files = vec![
            Made::public(
                "tls.pem",
                "the certificate that peers see, valid for one year",
                leaf.certificate,
            ),
            Made::private("tls-key.pem", "its key", leaf.key),
            Made::public("ca.pem", list_it, authority.certificate()),
        ];
        if self.ca.is_none() {
            files.push(Made::private(
                "ca-key.pem",
                "its key, for the next `init --ca`",
                authority.key(),
            ));
        }
        Ok(files)
    }

    fn config(&self, root: &str, local: bool, port: Option<u16>) -> Outcome<String> {
        let listen = self.listen.unwrap_or_else(|| {
            let address = if local {
                Ipv4Addr::LOCALHOST
            } else {
                Ipv4Addr::UNSPECIFIED
            };
            (address, port.unwrap_or(8443)).into()
        });
        let mut settings = vec![
            ("", "did", quoted(self.did.as_str())),
            ("", "public_url", quoted(root)),
            ("", "key_id", quoted(&format!("{}#k1", self.did))),
            ("", "listen", quoted(&listen.to_string())),
            ("net", "trusted_ca", format!("[{}]", quoted("ca.pem"))),
        ];
        if local {
            // Everyone on this machine has a certificate of the development authority.
            settings.push(("net", "system_roots", "false".to_owned()));
        }
        let mut peers = self.membership_section();
        for (did, name) in &self.peer {
            peers.push_str(&format!("\n[[peer]]\ndid = {}\n", quoted(did.as_str())));
            if let Some(name) = name {
                peers.push_str(&format!("name = {}\n", quoted(name)));
            }
            if self.allow_private {
                peers.push_str("allow_private = true\n");
            }
        }
        config::fill(&settings, &peers)
            .map_err(|name| Failure::new(Exit::Failed, format!("the sample configuration lacks {name}")))
    }

    fn membership_section(&self) -> String {
        let Some((authority, root)) = &self.membership else {
            return String::new();
        };
        let credentials: Vec<String> = self
            .credential
            .iter()
            .map(|file| {
                quoted(
                    &std::path::absolute(file)
                        .unwrap_or_else(|_| file.clone())
                        .display()
                        .to_string(),
                )
            })
            .collect();
        let private = if self.allow_private {
            "allow_private = true\n"
        } else {
            ""
        };
        format!(
            "\n[membership]\nauthority = {}\nroot = {}\ncredentials = [{}]\n{private}",
            quoted(authority.as_str()),
            quoted(&root.to_string()),
            credentials.join(", ")
        )
    }

    fn refuse_to_overwrite(&self, files: &[Made]) -> Outcome {
        let there: Vec<String> = files
            .iter()
            .map(|file| self.dir.join(file.name))
            .filter(|path| path.symlink_metadata().is_ok())
            .map(|path| path.display().to_string())
            .collect();
        if there.is_empty() {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Failed,
            format!("nothing was made, because these files exist: {}", there.join(", ")),
        )
        .next("choose another folder with --dir; keys are replaced as certs/README.md says"))
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Writes all files or, if one fails, none.
fn write_all(folder: &Path, files: &[Made]) -> Outcome {
    let mut written: Vec<PathBuf> = Vec::new();
    for file in files {
        let path = folder.join(file.name);
        // `create_new` decides, not the check before: nothing that appeared meanwhile is overwritten, or removed below.
        let mode = if file.private { 0o600 } else { 0o644 };
        let result = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .and_then(|mut open| {
                written.push(path.clone());
                open.write_all(&file.content).and_then(|()| open.sync_all())
            });
        if let Err(error) = result {
            for path in &written {
                drop(fs::remove_file(path));
            }
            return Err(failed(&path, &error));
        }
    }
    Ok(())
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("{}: {error}; nothing was made", path.display()))
        .next("choose a folder that you may write, with --dir")
}

fn cannot_make(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("{what} cannot be made: {error}"))
}

#[cfg(test)]
mod tests;
