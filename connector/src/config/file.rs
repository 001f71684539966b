//! The file as it is written: its sections, its spelling of durations, and how it becomes a [`Config`].

use super::{Config, Fault, Limits, Log, Management, Retry, Tls};
use crate::{
    dsp::ParticipantId,
    net::{self, Reach},
    telemetry,
    trust::{self, ResolverSettings, did},
};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};
use toml::Spanned;
use url::Url;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(deserialize_with = "own_did")]
    did: ParticipantId,
    #[serde(default, deserialize_with = "root")]
    public_url: Option<Url>,
    #[serde(default = "listen")]
    listen: SocketAddr,
    #[serde(default = "signing_key")]
    signing_key: PathBuf,
    key_id: Option<Spanned<String>>,
    #[serde(default = "secret")]
    secret: PathBuf,
    #[serde(default = "store")]
    store: PathBuf,
    #[serde(default = "received")]
    received: PathBuf,
    #[serde(default = "token_lifetime", deserialize_with = "period")]
    token_lifetime: Duration,
    #[serde(default)]
    tls: Tls,
    #[serde(default)]
    management: Management,
    #[serde(default)]
    log: Log,
    #[serde(default)]
    limits: Limits,
    #[serde(default, with = "Net")]
    net: net::Settings,
    #[serde(default, with = "Resolver")]
    resolver: ResolverSettings,
    #[serde(default)]
    retry: Retry,
    #[serde(default, rename = "peer")]
    peers: Vec<Peer>,
}

fn listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 8443).into()
}

fn signing_key() -> PathBuf {
    "signing-key.pem".into()
}

fn secret() -> PathBuf {
    "secret.key".into()
}

fn store() -> PathBuf {
    "store".into()
}

fn received() -> PathBuf {
    "received".into()
}

const fn token_lifetime() -> Duration {
    Duration::from_secs(3600)
}

#[derive(Deserialize)]
#[serde(remote = "net::Settings", default = "net::Settings::default", deny_unknown_fields)]
struct Net {
    trusted_ca: Vec<PathBuf>,
    system_roots: bool,
    #[serde(deserialize_with = "period")]
    connect_timeout: Duration,
    #[serde(deserialize_with = "period")]
    timeout: Duration,
    max_response: usize,
}

#[derive(Deserialize)]
#[serde(
    remote = "ResolverSettings",
    default = "ResolverSettings::default",
    deny_unknown_fields
)]
struct Resolver {
    #[serde(deserialize_with = "period")]
    fresh: Duration,
    #[serde(deserialize_with = "period")]
    retry: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Peer {
    did: ParticipantId,
    name: Option<String>,
    #[serde(default)]
    allow_private: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    socket: Option<PathBuf>,
    listen: Option<SocketAddr>,
    token: Option<PathBuf>,
}

impl<'de> Deserialize<'de> for Management {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Place::deserialize(deserializer)? {
            Place {
                socket: None,
                listen: None,
                token: None,
            } => Ok(Self::default()),
            Place {
                socket: Some(path),
                listen: None,
                token: None,
            } => Ok(Self::Socket(path)),
            // Whoever reaches this port and has the token can do everything: never from another machine.
            Place {
                listen: Some(listen), ..
            } if !listen.ip().is_loopback() => Err(D::Error::custom(format!(
                "listen is {listen}, expected a loopback address such as 127.0.0.1:9191"
            ))),
            Place {
                socket: None,
                listen: Some(listen),
                token: Some(token),
            } => Ok(Self::Loopback { listen, token }),
            _ => Err(D::Error::custom(
                "expected either `socket`, or `listen` together with `token`",
            )),
        }
    }
}

/// Reads the file's text; relative paths start at `folder`.
pub(super) fn read(text: &str, folder: &Path) -> Result<Config, Fault> {
    let file: File = toml::from_str(text).map_err(|error| Fault {
        span: error.span().unwrap_or_default(),
        message: error.message().to_owned(),
    })?;
    let at = |path: PathBuf| folder.join(path);
    let key_id = key_id(file.key_id, &file.did)?;
    let public_url = match file.public_url {
        Some(url) => url,
        None => own_root(&file.did).map_err(|message| Fault { span: 0..0, message })?,
    };
    Ok(Config {
        key_id,
        public_url,
        did: file.did,
        listen: file.listen,
        tls: Tls {
            certificate: at(file.tls.certificate),
            key: at(file.tls.key),
            minimum: file.tls.minimum,
        },
        signing_key: at(file.signing_key),
        secret: at(file.secret),
        store: at(file.store),
        received: at(file.received),
        management: match file.management {
            Management::Socket(path) => Management::Socket(at(path)),
            Management::Loopback { listen, token } => Management::Loopback {
                listen,
                token: at(token),
            },
        },
        log: file.log,
        limits: file.limits,
        net: net::Settings {
            trusted_ca: file.net.trusted_ca.into_iter().map(at).collect(),
            ..file.net
        },
        resolver: file.resolver,
        token_lifetime: file.token_lifetime,
        retry: file.retry,
        peers: file.peers.into_iter().map(Peer::known).collect(),
    })
}

impl Peer {
    fn known(self) -> trust::Peer {
        trust::Peer {
            did: self.did,
            name: self.name,
            reach: Reach::private_if(self.allow_private),
        }
    }
}

fn key_id(written: Option<Spanned<String>>, did: &ParticipantId) -> Result<String, Fault> {
    let Some(written) = written else {
        return Ok(format!("{did}#k1"));
    };
    let named = written
        .get_ref()
        .strip_prefix(did.as_str())
        .and_then(|rest| rest.strip_prefix('#'));
    if named
        .is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)))
    {
        return Ok(written.into_inner());
    }
    let message = format!(
        "key_id is {:?}, expected the DID, # and a name, such as \"{did}#k1\"",
        written.get_ref()
    );
    Err(Fault {
        span: written.span(),
        message,
    })
}

/// The root address that a DID implies: its host and port.
fn own_root(did: &ParticipantId) -> Result<Url, String> {
    let mut url = did::document_url(did).map_err(|error| error.to_string())?;
    url.set_path("/");
    Ok(url)
}

fn own_did<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ParticipantId, D::Error> {
    let did = ParticipantId::deserialize(deserializer)?;
    own_root(&did).map_err(|problem| {
        D::Error::custom(format!(
            "{problem}, expected for example did:web:connector.school.example"
        ))
    })?;
    Ok(did)
}

fn root<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let url = Url::deserialize(deserializer)?;
    let plain = url.scheme() == "https"
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain {
        return Err(D::Error::custom(
            "expected https://, a host and at most a port, such as https://connector.school.example:8443",
        ));
    }
    Ok(Some(url))
}

/// A log level or list of them.
pub(super) fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    telemetry::targets(&text).map_err(D::Error::custom)?;
    Ok(text)
}

/// A duration: a whole number and its unit.
pub(super) fn period<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    const EXPECTED: &str = "a duration in quotes, such as \"200ms\", \"10s\", \"5m\", \"1h\" or \"1d\"";
    struct Visitor;
    impl serde::de::Visitor<'_> for Visitor {
        type Value = Duration;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(EXPECTED)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Duration, E> {
            parse_period(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_str(Visitor)
}

fn parse_period(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit)?;
    let number: u64 = number.parse().ok()?;
    match unit.trim_start() {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        "d" => number.checked_mul(86_400).map(Duration::from_secs),
        _ => None,
    }
}
