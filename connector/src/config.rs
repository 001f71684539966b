//! The configuration file: what the operator chooses, with a default for everything but the identity. Only this module reads it; each
//! room gets its own settings type. No secret stands in the file, only the names of files that hold one.

mod check;
mod file;
mod gaia_x;
mod keys;
mod membership;
mod privacy;
mod sample;

pub use check::{Problem, Severity};
pub(crate) use file::parse_period;
pub use gaia_x::GaiaX;
pub use keys::{Key, KeyFile};
pub use membership::Membership;
pub use sample::{SAMPLE, Setting, fill};

use crate::{
    audit::LogKey,
    catalog::{self, Decisions},
    consent::Privacy,
    dsp::ParticipantId,
    net,
    net::local::Endpoint,
    trust,
};
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    fs, io,
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use url::Url;

/// Everything that the operator chose. All paths are absolute.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who this connector is.
    pub did: ParticipantId,
    /// The root under which peers reach it: no path, and `https` unless there is no TLS. [`Config::root`] is its text.
    pub public_url: Url,
    /// Where it accepts connections of peers.
    pub listen: SocketAddr,
    /// Its side of TLS; none where a loopback listener speaks plain HTTP.
    pub tls: Option<Tls>,
    /// The keys that sign messages and agreements: one, or several while one replaces another.
    pub keys: Vec<Key>,
    /// File with 32 random bytes from which other secrets are derived.
    pub secret: PathBuf,
    /// Folder of the embedded store.
    pub store: PathBuf,
    /// Folder of received records.
    pub received: PathBuf,
    /// Where operators' commands come in.
    pub management: Management,
    /// What is logged, and how.
    pub log: Log,
    /// What one caller, and all together, may use.
    pub limits: Limits,
    /// Outgoing connections.
    pub net: net::Settings,
    /// DID documents of peers.
    pub resolver: trust::ResolverSettings,
    /// What the operator decides and what the connector decides by itself.
    pub decisions: Decisions,
    /// How long the access token of a transfer is valid.
    pub token_lifetime: Duration,
    /// How long received records of a learner who took their consent back wait for others before all are erased at once.
    pub erase_after: Duration,
    /// When undelivered messages are sent again.
    pub retry: Retry,
    /// How the audit log is witnessed.
    pub audit: Audit,
    /// Whose members become peers.
    pub membership: Option<Membership>,
    /// Folder of a governance authority whose public files this daemon publishes.
    pub authority: Option<PathBuf>,
    /// What learners are told about this participant, and how long things take.
    pub privacy: Privacy,
    /// The intermediaries through which learners may consent to what we hold.
    pub intermediaries: BTreeSet<ParticipantId>,
    /// What GAIA-X asks of a participant.
    pub gaia_x: GaiaX,
    /// Events that constraints may refer to, with their times.
    pub policy_events: Vec<catalog::Event>,
    /// The participants that this connector talks to.
    pub peers: Vec<Peer>,
}

/// A participant that this connector talks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its participant id.
    pub did: ParticipantId,
    /// A name for people.
    pub name: Option<String>,
    /// How it shows who it is.
    pub identity: PeerIdentity,
    /// Under which address it serves version discovery.
    pub address: Option<Url>,
    /// Whether messages to and from it are signed.
    pub signatures: trust::Signatures,
    /// Which of its addresses are contacted.
    pub reach: net::Reach,
}

/// How a peer shows who it is; a secret stands in a file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerIdentity {
    /// It signs.
    DspJws,
    /// The file with the token that both know.
    StaticToken(PathBuf),
    /// Eclipse EDC's mock identity.
    EdcMock,
}

impl Peer {
    /// The peer as `trust` knows it; reads its token file if there is one.
    pub fn load(&self) -> Result<trust::Peer, ConfigError> {
        let identity = match &self.identity {
            PeerIdentity::DspJws => trust::Identity::DspJws,
            PeerIdentity::StaticToken(path) => trust::Identity::StaticToken(trust::Token::new(read_token(path)?)),
            PeerIdentity::EdcMock => trust::Identity::EdcMock,
        };
        Ok(trust::Peer {
            did: self.did.clone(),
            name: self.name.clone(),
            identity,
            signatures: self.signatures,
            address: self.address.clone(),
            reach: self.reach,
        })
    }
}

/// The certificate that peers see.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// PEM chain, leaf first.
    pub certificate: PathBuf,
    /// PEM private key of the leaf.
    pub key: PathBuf,
    /// The oldest version that is accepted.
    pub minimum: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246, only with the cipher suites of aws-lc's default.
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}

/// Where the management API listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Management {
    /// A Unix socket; its file permissions decide who may use it.
    Socket(PathBuf),
    /// A loopback port.
    Loopback {
        /// A loopback address.
        listen: SocketAddr,
        /// File that holds the token to present.
        token: PathBuf,
    },
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `info`, or levels by part: `connector=debug,hyper=warn`.
    #[serde(deserialize_with = "file::level")]
    pub level: String,
    /// One JSON object a line instead of text.
    pub json: bool,
}

/// What callers may use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_peer: usize,
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Longest wait for a request's headers.
    #[serde(deserialize_with = "file::period")]
    pub header_timeout: Duration,
    /// Longest wait for a request's body, and for the reader of a stream to take more of it.
    #[serde(deserialize_with = "file::period")]
    pub body_timeout: Duration,
    /// Longest TLS handshake.
    #[serde(deserialize_with = "file::period")]
    pub handshake_timeout: Duration,
    /// Negotiations, and as many transfers, that are open with one peer before it opens no more.
    pub processes_per_peer: usize,
    /// Record streams at once.
    pub streams: usize,
    /// Pace of each record stream, in bytes a second; 0 for as fast as it goes.
    pub stream_bytes_per_second: u64,
    /// Datasets on one page of the catalog.
    pub catalog_page: usize,
    /// How long running streams may take to end when the daemon stops.
    #[serde(deserialize_with = "file::period")]
    pub drain: Duration,
}

/// When an undelivered message is sent again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// The first wait.
    #[serde(deserialize_with = "file::period")]
    pub first: Duration,
    /// The longest wait.
    #[serde(deserialize_with = "file::period")]
    pub longest: Duration,
}

/// How the audit log is witnessed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// A peer is asked to cosign a new checkpoint after this time at the earliest.
    #[serde(deserialize_with = "file::period")]
    pub witness_interval: Duration,
    /// Verifier keys with which the log was signed under another master secret.
    #[serde(deserialize_with = "file::log_keys")]
    pub past_keys: Vec<LogKey>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: "tls.pem".into(),
            key: "tls-key.pem".into(),
            minimum: TlsVersion::Tls13,
        }
    }
}

impl Default for Management {
    fn default() -> Self {
        Self::Socket("management.sock".into())
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".into(),
            json: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_peer: 64,
            body_bytes: 1024 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            handshake_timeout: Duration::from_secs(5),
            processes_per_peer: 1000,
            streams: 64,
            stream_bytes_per_second: 0,
            catalog_page: 100,
            drain: Duration::from_secs(30),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(200),
            longest: Duration::from_secs(60),
        }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            witness_interval: Duration::from_secs(60),
            past_keys: Vec::new(),
        }
    }
}

/// Why there is no configuration. No message holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{}: {cause}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// The operating system's reason.
        cause: io::Error,
    },
    /// The text is not a configuration.
    #[error("{}:{line}:{column}: {message}\n  {line} | {excerpt}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
        /// What is wrong and what was expected.
        message: String,
        /// The line itself.
        excerpt: String,
    },
    /// The certificates of the signing key are none, or of another key.
    #[error("gaia_x.certificates, {}: {problem}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A key cannot be used.
    #[error("{0}")]
    Key(String),
    /// A file that holds a secret holds something else.
    #[error("{}: {problem}", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Config {
    /// Reads the file at `path`. Nothing that it names is touched; [`Config::check`] does that.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let read = |cause| ConfigError::Read {
            path: path.to_owned(),
            cause,
        };
        let folder = std::path::absolute(path)
            .map_err(read)?
            .parent()
            .map(Path::to_owned)
            .unwrap_or_default();
        let text = fs::read_to_string(path).map_err(read)?;
        Self::parse(&text, path, &folder)
    }

    /// Reads the text of the file `path`; relative paths in it start at `folder`.
    pub fn parse(text: &str, path: &Path, folder: &Path) -> Result<Self, ConfigError> {
        file::read(text, folder).map_err(|fault| invalid(text, path, fault))
    }

    /// The root address as text, without a slash at its end.
    pub fn root(&self) -> String {
        self.public_url.as_str().trim_end_matches('/').to_owned()
    }

    /// Everything that keeps the daemon from serving with this configuration, or would surprise its operator. Opens no port; writes
    /// only a file of a moment into the folders that must be writable.
    pub fn check(&self) -> Vec<Problem> {
        check::check(self)
    }

    /// All keys, read from their files.
    pub fn keyring(&self) -> Result<trust::Keyring, ConfigError> {
        let keys = self.keys.iter().map(Key::load).collect::<Result<_, _>>()?;
        trust::Keyring::new(&self.did, keys).map_err(|error| ConfigError::Key(format!("[[key]]: {error}")))
    }

    /// The key that signs.
    pub fn active_key(&self) -> Option<&Key> {
        self.keys.iter().find(|key| key.state == trust::KeyState::Active)
    }

    /// The master secret.
    pub fn read_secret(&self) -> Result<[u8; 32], ConfigError> {
        let bytes = fs::read(&self.secret).map_err(|cause| ConfigError::Read {
            path: self.secret.clone(),
            cause,
        })?;
        let problem = "must hold exactly 32 random bytes; make it with: head -c 32 /dev/urandom";
        bytes.try_into().map_err(|_| ConfigError::Secret {
            path: self.secret.clone(),
            problem,
        })
    }

    /// How a command on this machine reaches the daemon; reads the token file if there is one.
    pub fn endpoint(&self) -> Result<Endpoint, ConfigError> {
        match &self.management {
            Management::Socket(path) => Ok(Endpoint::Socket(path.clone())),
            Management::Loopback { listen, token } => Ok(Endpoint::Loopback {
                address: listen.to_string(),
                token: read_token(token)?,
            }),
        }
    }
}

impl Tls {
    /// Reads the chain and its key; refuses a pair that does not belong together.
    pub fn load(&self) -> Result<Arc<rustls::sign::CertifiedKey>, String> {
        check::certified_key(self).map(Arc::new)
    }
}

/// The management token in this file: at least 32 printable characters, surrounding white space ignored.
pub fn read_token(path: &Path) -> Result<String, ConfigError> {
    let text = fs::read_to_string(path).map_err(|cause| ConfigError::Read {
        path: path.to_owned(),
        cause,
    })?;
    let token = text.trim();
    // A peer's token may be written as the whole value of `Authorization`, with its scheme.
    let bare = token.strip_prefix("Bearer ").unwrap_or(token);
    if bare.len() < 32 || !bare.bytes().all(|byte| byte.is_ascii_graphic()) {
        let problem = "must hold a token of at least 32 printable characters; make it with: openssl rand -hex 32";
        return Err(ConfigError::Secret {
            path: path.to_owned(),
            problem,
        });
    }
    Ok(token.to_owned())
}

/// What is wrong with a text, and where.
struct Fault {
    span: Range<usize>,
    message: String,
}

fn invalid(text: &str, path: &Path, fault: Fault) -> ConfigError {
    let before = text.get(..fault.span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let excerpt = text.lines().nth(line - 1).unwrap_or_default().trim_end().to_owned();
    ConfigError::Invalid {
        path: path.to_owned(),
        line,
        column,
        message: fault.message,
        excerpt,
    }
}

#[cfg(test)]
mod tests;
