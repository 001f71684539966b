//! The keys that sign: one by its file, as `init` writes it, or several as `[[key]]` while one replaces another.

use super::{ConfigError, Fault, file::period};
use crate::{
    dsp::ParticipantId,
    jose::{SigningKey, VerifyingKey, key::KeyError},
    trust::{KeyState, OwnKey, external::Program},
};
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::Spanned;

/// How long an external signer may take unless its section says otherwise.
const ANSWER: Duration = Duration::from_secs(5);

/// A key of this connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its DID URL.
    pub id: String,
    /// Where it stands in its life.
    pub state: KeyState,
    /// Where it is.
    pub kept: KeyFile,
}

/// Where a key is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFile {
    /// In a file: PKCS#8 PEM or a private JWK.
    Private(PathBuf),
    /// With a program that signs.
    Command {
        /// The program, by its absolute path.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
        /// How long it may take.
        timeout: Duration,
        /// The file with the public key.
        public: PathBuf,
    },
    /// Of a retired key only the public half is left.
    Public(PathBuf),
}

/// A `[[key]]` section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    id: Spanned<String>,
    #[serde(default)]
    state: KeyState,
    file: Option<PathBuf>,
    command: Option<Vec<String>>,
    public: Option<PathBuf>,
    #[serde(default = "answer", deserialize_with = "period")]
    timeout: Duration,
}

const fn answer() -> Duration {
    ANSWER
}

/// The one key of `signing_key` and `key_id`, or those of the sections.
pub(super) fn read(
    signing_key: Option<Spanned<PathBuf>>,
    key_id: Option<Spanned<String>>,
    sections: Vec<Written>,
    did: &ParticipantId,
    folder: &Path,
) -> Result<Vec<Key>, Fault> {
    if sections.is_empty() {
        let file = signing_key.map_or_else(|| "signing-key.pem".into(), Spanned::into_inner);
        return Ok(vec![Key {
            id: key_id.map_or_else(|| Ok(format!("{did}#k1")), |id| whole_id(&id, "key_id", did))?,
            state: KeyState::Active,
            kept: KeyFile::Private(folder.join(file)),
        }]);
    }
    let doubled = [signing_key.map(|it| it.span()), key_id.map(|it| it.span())];
    if let Some(span) = doubled.into_iter().flatten().next() {
        let message = "expected either signing_key and key_id, or [[key]] sections".into();
        return Err(Fault { span, message });
    }
    sections
        .into_iter()
        .map(|written| {
            let span = written.id.span();
            let id = whole_id(&written.id, "id", did)?;
            let kept = written.kept(folder).map_err(|message| Fault { span, message })?;
            let state = written.state;
            Ok(Key { id, state, kept })
        })
        .collect()
}

impl Written {
    fn kept(&self, folder: &Path) -> Result<KeyFile, String> {
        match (&self.file, &self.command, &self.public) {
            (Some(file), None, None) => Ok(KeyFile::Private(folder.join(file))),
            (None, Some(command), Some(public)) => {
                let absolute = |path: &&String| Path::new(path).is_absolute();
                let (program, arguments) = command
                    .split_first()
                    .filter(|(program, _)| absolute(program))
                    .ok_or("expected `command` to begin with the absolute path of a program")?;
                Ok(KeyFile::Command {
                    program: program.into(),
                    arguments: arguments.to_vec(),
                    timeout: self.timeout,
                    public: folder.join(public),
                })
            }
            (None, None, Some(public)) if self.state == KeyState::Retired => Ok(KeyFile::Public(folder.join(public))),
            _ => Err("expected `file`, or `command` with `public`, or for a retired key `public` alone".into()),
        }
    }
}

/// A key's DID URL, of which the name after the # is enough.
fn whole_id(written: &Spanned<String>, setting: &str, did: &ParticipantId) -> Result<String, Fault> {
    let text = written.get_ref();
    let name = match text.split_once('#') {
        Some((of, name)) => (of == did.as_str()).then_some(name),
        None => Some(text.as_str()).filter(|_| setting == "id"),
    };
    let usable =
        |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    name.filter(usable).map(|name| format!("{did}#{name}")).ok_or_else(|| {
        let short = if setting == "id" { ", or the name alone" } else { "" };
        Fault {
            span: written.span(),
            message: format!("{setting} is {text:?}, expected the DID, # and a name, such as \"{did}#k1\"{short}"),
        }
    })
}

impl Key {
    /// Reads the key's file. That of an external signer is its public half; nothing is signed yet.
    pub fn load(&self) -> Result<OwnKey, ConfigError> {
        let unusable = |path: &Path, error: KeyError| ConfigError::Key(format!("{}: {error}", path.display()));
        let key = match &self.kept {
            KeyFile::Private(path) => SigningKey::from_file_bytes(&bytes(path)?).map_err(|e| unusable(path, e))?,
            KeyFile::Command {
                program,
                arguments,
                timeout,
                public,
            } => {
                let public = VerifyingKey::from_file_bytes(&bytes(public)?).map_err(|e| unusable(public, e))?;
                SigningKey::external(public, Program::new(program.clone(), arguments.clone(), *timeout))
            }
            KeyFile::Public(path) => {
                let public = VerifyingKey::from_file_bytes(&bytes(path)?).map_err(|e| unusable(path, e))?;
                return Ok(OwnKey::retired(&self.id, public));
            }
        };
        OwnKey::signing(&self.id, self.state, key).map_err(|error| ConfigError::Key(format!("{}: {error}", self.id)))
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|cause| ConfigError::Read {
        path: path.to_owned(),
        cause,
    })
}

#[cfg(test)]
mod tests;
