//! What can be found wrong before serving: files, permissions, and values that do not fit together. All of it at once.

use super::{Config, KeyFile, Management, PeerIdentity, Tls, membership, read_token};
use crate::{
    net::Client,
    trust::{KeyState, did},
};
use rustls::{
    client::verify_server_name,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use std::{
    collections::HashSet,
    fmt,
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::Path,
};

/// Whether the daemon can serve all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but probably not as intended.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it can serve all the same.
    pub severity: Severity,
    /// The setting, as in the file: `tls.key`.
    pub setting: &'static str,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub remedy: String,
}

impl Problem {
    /// It keeps the signing keys from being used.
    pub fn is_about_keys(&self) -> bool {
        let setting = self.setting;
        self.severity == Severity::Error && (setting == "signing_key" || setting.starts_with("key."))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{word}: {}: {}\n  next: {}", self.setting, self.found, self.remedy)
    }
}

/// Unix refuses longer socket names (`sun_path`).
const LONGEST_SOCKET: usize = 107;

#[derive(Default)]
struct Findings(Vec<Problem>);

impl Findings {
    fn error(&mut self, setting: &'static str, found: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Problem {
            severity: Severity::Error,
            setting,
            found: found.into(),
            remedy: remedy.into(),
        });
    }

    fn warning(&mut self, setting: &'static str, found: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Problem {
            severity: Severity::Warning,
            setting,
            found: found.into(),
            remedy: remedy.into(),
        });
    }

    /// Whether a file can be read and, if it is private, only by those who must.
    fn file(&mut self, setting: &'static str, path: &Path, private: bool) -> bool {
        let opened = File::open(path).and_then(|file| file.metadata());
        match opened {
            Err(error) => {
                let remedy = match error.kind() {
                    ErrorKind::NotFound => {
                        "create the file (`connector init` makes a set for development) or correct its path"
                    }
                    _ => "let the daemon's user read it",
                };
                self.error(setting, format!("{}: {error}", path.display()), remedy);
                false
            }
            Ok(metadata) if !metadata.is_file() => {
                self.error(setting, format!("{} is not a file", path.display()), "correct its path");
                false
            }
            Ok(metadata) if private && is_open_to_others(&metadata) => {
                let mode = metadata.mode() & 0o777;
                let found = format!(
                    "{} can be read or changed by other users (mode {mode:04o})",
                    path.display()
                );
                self.error(setting, found, format!("chmod 600 {}", path.display()));
                true
            }
            Ok(_) => true,
        }
    }

    /// Whether a folder can be written, or made where it would be.
    fn folder(&mut self, setting: &'static str, path: &Path) {
        let Some(existing) = path.ancestors().find(|path| path.exists()) else {
            return;
        };
        let probe = existing.join(format!(".connector-check-{}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&probe) {
            Ok(_) => drop(fs::remove_file(&probe)),
            Err(error) => {
                let found = format!("{} cannot be written: {error}", existing.display());
                self.error(
                    setting,
                    found,
                    "name a folder that the daemon's user may write, or change its owner",
                );
            }
        }
    }

    fn positive(&mut self, setting: &'static str, zero: bool) {
        if zero {
            self.error(
                setting,
                "is zero",
                "choose a value above zero, or remove the line for the default",
            );
        }
    }
}

/// A private file is its owner's alone. One that root owns may be read by the group under which the daemon runs (deploy/hardening.md).
fn is_open_to_others(metadata: &fs::Metadata) -> bool {
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    metadata.mode() & forbidden != 0
}

pub(super) fn check(config: &Config) -> Vec<Problem> {
    let mut findings = Findings::default();
    identity(config, &mut findings);
    certificate(config, &mut findings);
    development(config, &mut findings);
    peers(config, &mut findings);
    management(config, &mut findings);
    values(config, &mut findings);
    for (setting, found, remedy) in membership::problems(config) {
        findings.error(setting, found, remedy);
    }
    findings.folder("store", &config.store);
    findings.folder("received", &config.received);
    if let Err(error) = Client::new(config.net.clone()).check() {
        findings.error(
            "net",
            error.to_string(),
            "correct net.trusted_ca, or install the system's certificate authorities",
        );
    }
    findings.0
}

fn certificates(config: &Config, jwk: &serde_json::Value, findings: &mut Findings) {
    if let Err(error) = config.certificates(jwk) {
        findings.error(
            "gaia_x.certificates",
            error.to_string(),
            "name the chain of the signing key, PEM, leaf first; or leave the setting out",
        );
    }
}

fn identity(config: &Config, findings: &mut Findings) {
    keys(config, findings);
    if findings.file("secret", &config.secret, true)
        && let Err(error) = config.read_secret()
    {
        findings.error(
            "secret",
            error.to_string(),
            "restore it from the backup; a new one changes every pseudonym",
        );
    }
    let implied = did::document_url(&config.did).map(|url| (url.host_str().map(str::to_owned), url.port()));
    if implied.is_ok_and(|implied| {
        implied
            != (
                config.public_url.host_str().map(str::to_owned),
                config.public_url.port(),
            )
    }) {
        findings.warning(
            "public_url",
            format!("{} is not the host of {}", config.root(), config.did),
            "peers fetch the DID document from the DID's host: publish did.json there, or use one host for both",
        );
    }
}

fn keys(config: &Config, findings: &mut Findings) {
    let mut readable = true;
    for key in &config.keys {
        readable &= match &key.kept {
            KeyFile::Private(path) => findings.file("signing_key", path, true),
            KeyFile::Command { program, public, .. } => {
                findings.file("key.command", program, false) & findings.file("key.public", public, false)
            }
            KeyFile::Public(path) => findings.file("key.public", path, false),
        };
    }
    if !readable {
        return;
    }
    let ring = match config.keyring() {
        Ok(ring) => ring,
        Err(error) => return findings.error("signing_key", error.to_string(), "see certs/README.md"),
    };
    certificates(config, &ring.active().key().public_jwk(), findings);
    // A file signs once it can be read; a program may be there and fail.
    if let Some(KeyFile::Command { .. }) = config.active_key().map(|key| &key.kept)
        && let Err(error) = ring.active().key().sign(b"connector serve --check")
    {
        findings.error(
            "key.command",
            error.to_string(),
            "run the command by hand: it reads the bytes to sign and writes 64 bytes in base64url; see certs/README.md",
        );
    }
    for key in ring.keys().iter().filter(|key| key.state() == KeyState::Next) {
        let same = ring
            .keys()
            .iter()
            .any(|other| other.kid() != key.kid() && other.public() == key.public());
        if same {
            let found = format!("{} is the same key as another one", key.kid());
            findings.warning(
                "key",
                found,
                "make a new one: connector key new --algorithm es256 --out FILE",
            );
        }
    }
}

fn certificate(config: &Config, findings: &mut Findings) {
    let Some(tls) = &config.tls else { return };
    let certificate = findings.file("tls.certificate", &tls.certificate, false);
    let key = findings.file("tls.key", &tls.key, true);
    if !certificate || !key {
        return;
    }
    match certified_key(tls) {
        Err(error) => findings.error(
            "tls",
            error,
            "see certs/README.md; `connector init` makes a pair for development",
        ),
        Ok(pair) => {
            let Some(host) = config.public_url.host_str() else {
                return;
            };
            if !covers(&pair, host) {
                let found = format!("{} is not valid for {host}", tls.certificate.display());
                findings.error(
                    "tls.certificate",
                    found,
                    format!("use a certificate whose alternative names hold {host}"),
                );
            }
        }
    }
}

fn covers(pair: &CertifiedKey, host: &str) -> bool {
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
    let leaf = pair.cert.first().map(ParsedCertificate::try_from);
    matches!((name, leaf), (Ok(name), Some(Ok(leaf))) if verify_server_name(&leaf, &name).is_ok())
}

pub(super) fn certified_key(tls: &Tls) -> Result<CertifiedKey, String> {
    let place = tls.certificate.display();
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| format!("{place}: not a certificate chain in PEM: {error}"))?;
    if chain.is_empty() {
        return Err(format!("{place}: holds no certificate (\"BEGIN CERTIFICATE\")"));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|_| {
        format!(
            "{}: holds no private key in PEM (\"BEGIN PRIVATE KEY\")",
            tls.key.display()
        )
    })?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => format!("{} is not the key of {place}", tls.key.display()),
        other => format!("{place} and {}: {other}", tls.key.display()),
    })
}

/// What gives up a protection works only where nobody else can come in: on loopback, for development or behind a gateway of one's own.
fn development(config: &Config, findings: &mut Findings) {
    if config.listen.ip().is_loopback() {
        return;
    }
    let public = |what: &str| format!("{what}, but {} is not a loopback address", config.listen);
    let remedy = "listen on 127.0.0.1, or remove that setting";
    if config.tls.is_none() {
        findings.error("tls", public("TLS is off"), remedy);
    }
    for peer in &config.peers {
        if peer.identity != PeerIdentity::DspJws {
            findings.error("peer.identity", public(&format!("{} does not sign", peer.did)), remedy);
        }
        if peer.reach.http {
            findings.error(
                "peer.allow_http",
                public(&format!("{} is reached without TLS", peer.did)),
                remedy,
            );
        }
    }
}

fn peers(config: &Config, findings: &mut Findings) {
    let (mut seen, mut tokens) = (HashSet::new(), HashSet::new());
    for peer in &config.peers {
        if peer.did == config.did {
            findings.error(
                "peer",
                format!("{} is this connector itself", peer.did),
                "remove that section",
            );
        }
        if let PeerIdentity::StaticToken(path) = &peer.identity
            && findings.file("peer.token", path, true)
        {
            match read_token(path) {
                Ok(token) => {
                    if !tokens.insert(token) {
                        findings.error(
                            "peer.token",
                            format!("{} has the token of another peer", peer.did),
                            "give each peer a token of its own: it tells them apart",
                        );
                    }
                }
                Err(error) => findings.error(
                    "peer.token",
                    error.to_string(),
                    "write a new token into the file, on both sides",
                ),
            }
        }
        let name = peer.name.as_deref().filter(|name| *name != peer.did.as_str());
        for name in [Some(peer.did.as_str()), name].into_iter().flatten() {
            if !seen.insert(name) {
                findings.error(
                    "peer",
                    format!("{name} is listed twice"),
                    "keep one section for each participant, with a name of its own",
                );
            }
        }
    }
}

fn management(config: &Config, findings: &mut Findings) {
    match &config.management {
        Management::Socket(path) => {
            let length = path.as_os_str().len();
            if length > LONGEST_SOCKET {
                let found = format!(
                    "{} has {length} bytes; a socket's name may have {LONGEST_SOCKET}",
                    path.display()
                );
                findings.error(
                    "management.socket",
                    found,
                    "choose a shorter path, such as /run/connector/management.sock",
                );
            }
            if let Some(folder) = path.parent() {
                findings.folder("management.socket", folder);
            }
        }
        Management::Loopback { token, .. } => {
            if findings.file("management.token", token, true)
                && let Err(error) = read_token(token)
            {
                findings.error(
                    "management.token",
                    error.to_string(),
                    "write a new token into the file and restart",
                );
            }
        }
    }
}

fn values(config: &Config, findings: &mut Findings) {
    let limits = &config.limits;
    let zeros = [
        ("token_lifetime", config.token_lifetime.is_zero()),
        ("limits.connections", limits.connections == 0),
        ("limits.connections_per_peer", limits.connections_per_peer == 0),
        ("limits.body_bytes", limits.body_bytes == 0),
        ("limits.processes_per_peer", limits.processes_per_peer == 0),
        ("limits.streams", limits.streams == 0),
        ("limits.catalog_page", limits.catalog_page == 0),
        ("limits.handshake_timeout", limits.handshake_timeout.is_zero()),
        ("limits.header_timeout", limits.header_timeout.is_zero()),
        ("limits.body_timeout", limits.body_timeout.is_zero()),
        ("net.connect_timeout", config.net.connect_timeout.is_zero()),
        ("net.timeout", config.net.timeout.is_zero()),
        ("net.max_response", config.net.max_response == 0),
        ("retry.first", config.retry.first.is_zero()),
    ];
    for (setting, zero) in zeros {
        findings.positive(setting, zero);
    }
    if config.retry.first > config.retry.longest {
        findings.error(
            "retry.longest",
            "is shorter than retry.first",
            "choose at least the value of retry.first",
        );
    }
}
