//! `key`: makes and shows the keys that sign. Works on files alone; the daemon takes a new key when its configuration names it.

use super::{
    Context,
    exit::{Exit, Failure, Outcome},
    shown,
};
use crate::{
    jose::{Algorithm, SigningKey, VerifyingKey, key::KeyError},
    trust::KeyState,
};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Make and show the keys that sign messages and agreements
#[derive(Args)]
#[command(
    arg_required_else_help = true,
    after_help = "EXAMPLES:
  connector key show
  connector key new --algorithm eddsa --out k2.pem
  connector key rotate
"
)]
pub(super) struct Key {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Make a new key in a file of its own, readable by you alone; an existing file is never overwritten
    #[command(
        after_help = "EXAMPLES:\n  connector key new --algorithm es256 --out k2.pem\n  connector key new --algorithm eddsa --format jwk --out k2.jwk\n"
    )]
    New {
        /// ECDSA on P-256, or Ed25519
        #[arg(long, value_enum)]
        algorithm: Kind,
        /// PKCS#8 in PEM, or a private JWK
        #[arg(long, value_enum, default_value = "pem")]
        format: Format,
        /// The file to make
        #[arg(long, short, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show algorithm, thumbprint and public JWK: of a key file, or of all keys of the configuration
    #[command(
        after_help = "EXAMPLES:\n  connector key show\n  connector key show k2.pem --json\n  connector key show hsm-public.pem\n"
    )]
    Show {
        /// A private or public key file, PEM or JWK
        file: Option<PathBuf>,
    },
    /// Say which step of replacing the key comes next; changes nothing
    #[command(
        after_help = "EXAMPLES:\n  connector key rotate\n  connector key rotate --config /etc/connector/connector.toml\n"
    )]
    Rotate,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Es256,
    Eddsa,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Pem,
    Jwk,
}

impl Key {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        match self.command {
            KeyCommand::New { algorithm, format, out } => new(context, algorithm, format, &out),
            KeyCommand::Show { file: Some(file) } => context.out.details(&of_file(&file)?),
            KeyCommand::Show { file: None } => show_all(context),
            KeyCommand::Rotate => rotate(context),
        }
    }
}

fn new(context: &Context, kind: Kind, format: Format, out: &Path) -> Outcome {
    let made = |error: KeyError| Failure::new(Exit::Failed, format!("the key cannot be made: {error}"));
    let algorithm = match kind {
        Kind::Es256 => Algorithm::Es256,
        Kind::Eddsa => Algorithm::EdDsa,
    };
    let key = SigningKey::generate(algorithm).map_err(made)?;
    let bytes = match format {
        Format::Pem => key.to_pem().map_err(made)?,
        Format::Jwk => {
            let jwk = key.to_private_jwk().map_err(made)?;
            let mut text = serde_json::to_vec_pretty(&jwk).map_err(io::Error::from)?;
            text.push(b'\n');
            text
        }
    };
    write_private(out, &bytes)?;
    let mut described = describe(key.verifying_key());
    if let Some(members) = described.as_object_mut() {
        members.insert("file".into(), json!(out));
    }
    context.out.details(&described)?;
    context.out.say(&format!(
        "\nnext: name it in the configuration, with state = \"next\", and reload the daemon; the steps: connector key rotate\n\
         show it again with: connector key show {}",
        shown(out)
    ))
}

/// Makes a file that only its owner can read; one that exists is left alone.
fn write_private(path: &Path, bytes: &[u8]) -> Outcome {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::new(Exit::Failed, format!("{} exists already", path.display()))
            .next("name a new file: a key in use must not be lost"),
        _ => Failure::new(Exit::Failed, format!("{}: {error}", path.display())),
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

fn describe(key: &VerifyingKey) -> Value {
    json!({"algorithm": key.algorithm().name(), "thumbprint": key.thumbprint().to_string(), "jwk": key.to_jwk()})
}

fn of_file(path: &Path) -> Outcome<Value> {
    let bytes = fs::read(path).map_err(|error| Failure::new(Exit::NotFound, format!("{}: {error}", path.display())))?;
    let public = match SigningKey::from_file_bytes(&bytes) {
        Ok(key) => Ok(key.verifying_key().clone()),
        // Perhaps it is a public one; if not, what is wrong with it as a private one is told.
        Err(private) => VerifyingKey::from_file_bytes(&bytes).map_err(|_| private),
    };
    let public = public.map_err(|error| {
        Failure::usage(format!("{}: {error}", path.display())).next("make one with: connector key new --help")
    })?;
    Ok(describe(&public))
}

fn show_all(context: &Context) -> Outcome {
    let ring = context.config()?.keyring()?;
    let keys: Vec<Value> = ring
        .keys()
        .iter()
        .map(|key| {
            let mut described = describe(key.public());
            if let Some(members) = described.as_object_mut() {
                members.insert("kid".into(), json!(key.kid()));
                members.insert("state".into(), json!(key.state()));
            }
            described
        })
        .collect();
    let columns = [
        ("KID", &["kid"] as &[_]),
        ("STATE", &["state"]),
        ("ALGORITHM", &["algorithm"]),
        ("THUMBPRINT", &["thumbprint"]),
    ];
    context.out.table(&json!({ "keys": keys }), &keys, &columns, "no keys")
}

/// The step that the states of the configured keys call for.
fn rotate(context: &Context) -> Outcome {
    let path = context.config_path()?;
    let ring = context.config()?.keyring()?;
    let with = |state: KeyState| ring.keys().iter().find(|key| key.state() == state).map(|key| key.kid());
    let (step, why) = match (with(KeyState::Next), with(KeyState::Previous)) {
        (None, None) => (
            "make a key (connector key new), list the present one and it as [[key]] sections, the new one with state = \"next\", and reload"
                .to_owned(),
            "peers must find the new key in the DID document before anything is signed with it",
        ),
        (Some(next), _) => (
            format!(
                "a day after {next} was published: set its state to \"active\" and that of {} to \"previous\", and reload",
                ring.active().kid()
            ),
            "peers keep a document for up to a day; both keys are accepted meanwhile",
        ),
        (None, Some(previous)) => (
            format!("when nothing is under way that {previous} signed (connector negotiation list): set its state to \"retired\", and reload"),
            "messages live for minutes, but an agreement under way may name the key; a retired key still proves what it signed",
        ),
    };
    if context.out.json {
        return context.out.json(&json!({"next": step, "because": why, "config": path}));
    }
    context.out.line(&format!(
        "next: {step}\n  because {why}\n  reload: kill -HUP of the daemon, or systemctl reload; certs/README.md shows every step\n  configuration: {}",
        shown(&path)
    ))
}
