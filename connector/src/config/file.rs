//! The file as it is written: its sections, its spelling of durations, and how it becomes a [`Config`].

use super::{
    Audit, Config, Fault, GaiaX, Limits, Log, Management, PeerIdentity, Retry, Tls, keys, membership, privacy,
};
use crate::{
    audit::LogKey,
    catalog::{self, Decisions},
    dsp::ParticipantId,
    net::{self, Reach},
    telemetry,
    trust::{ResolverSettings, Signatures, did},
};
use serde::{Deserialize, Deserializer, de::Error as _, de::value::MapAccessDeserializer};
use std::{
    collections::BTreeSet,
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
    public_url: Option<Spanned<Root>>,
    #[serde(default = "listen")]
    listen: SocketAddr,
    signing_key: Option<Spanned<PathBuf>>,
    key_id: Option<Spanned<String>>,
    #[serde(default, rename = "key")]
    keys: Vec<keys::Written>,
    #[serde(default = "secret")]
    secret: PathBuf,
    #[serde(default = "store")]
    store: PathBuf,
    #[serde(default = "received")]
    received: PathBuf,
    #[serde(default = "token_lifetime", deserialize_with = "period")]
    token_lifetime: Duration,
    #[serde(default = "erase_after", deserialize_with = "period")]
    erase_after: Duration,
    #[serde(default)]
    tls: ListenerTls,
    #[serde(default)]
    management: Management,
    #[serde(default)]
    decisions: Decisions,
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
    #[serde(default)]
    audit: Audit,
    membership: Option<membership::Written>,
    authority: Option<membership::Published>,
    #[serde(default)]
    privacy: privacy::Written,
    #[serde(default)]
    consent: Consent,
    #[serde(default)]
    gaia_x: GaiaX,
    #[serde(default, rename = "event")]
    policy_events: Vec<catalog::Event>,
    #[serde(default, rename = "peer")]
    peers: Vec<Peer>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Consent {
    intermediaries: BTreeSet<ParticipantId>,
}

fn listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 8443).into()
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

const fn erase_after() -> Duration {
    Duration::from_secs(10)
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
    #[serde(alias = "id")]
    did: Spanned<ParticipantId>,
    name: Option<String>,
    #[serde(default)]
    identity: IdentityKind,
    signatures: Option<Signatures>,
    token: Option<PathBuf>,
    #[serde(default, deserialize_with = "address")]
    address: Option<Url>,
    #[serde(default)]
    allow_http: bool,
    #[serde(default)]
    allow_private: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum IdentityKind {
    #[default]
    DspJws,
    StaticToken,
    EdcMock,
}

/// The `[tls]` section, or `tls = false`.
struct ListenerTls(Option<Tls>);

impl Default for ListenerTls {
    fn default() -> Self {
        Self(Some(Tls::default()))
    }
}

impl<'de> Deserialize<'de> for ListenerTls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = ListenerTls;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a section [tls], or false")
            }

            fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<ListenerTls, E> {
                Ok(ListenerTls(on.then(Tls::default)))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<ListenerTls, A::Error> {
                Tls::deserialize(MapAccessDeserializer::new(map)).map(|tls| ListenerTls(Some(tls)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
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
    let keys = keys::read(file.signing_key, file.key_id, file.keys, &file.did, folder)?;
    let tls = file.tls.0;
    let public_url = match file.public_url {
        Some(url) if (url.get_ref().0.scheme() == "https") != tls.is_some() => {
            return Err(Fault {
                span: url.span(),
                message: "expected https://, a host and at most a port; http:// goes with tls = false".into(),
            });
        }
        Some(url) => url.into_inner().0,
        None => own_root(&file.did, tls.is_some()).map_err(|message| Fault { span: 0..0, message })?,
    };
    Ok(Config {
        keys,
        privacy: file.privacy.known(&file.did, &public_url),
        public_url,
        did: file.did,
        listen: file.listen,
        tls: tls.map(|tls| Tls {
            certificate: at(tls.certificate),
            key: at(tls.key),
            minimum: tls.minimum,
        }),
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
        decisions: file.decisions,
        token_lifetime: file.token_lifetime,
        erase_after: file.erase_after,
        retry: file.retry,
        audit: file.audit,
        membership: file.membership.map(|written| written.known(folder)).transpose()?,
        authority: file.authority.map(|published| at(published.dir)),
        intermediaries: file.consent.intermediaries,
        gaia_x: GaiaX {
            certificates: file.gaia_x.certificates.map(at),
        },
        policy_events: file.policy_events,
        peers: peers(file.peers, folder)?,
    })
}

fn peers(written: Vec<Peer>, folder: &Path) -> Result<Vec<super::Peer>, Fault> {
    let known = |peer: Peer| {
        let span = peer.did.span();
        peer.known(folder).map_err(|message| Fault { span, message })
    };
    written.into_iter().map(known).collect()
}

impl Peer {
    fn known(self, folder: &Path) -> Result<super::Peer, String> {
        let did = self.did.into_inner();
        let identity = match (self.identity, self.token) {
            (IdentityKind::DspJws, None) => {
                did::document_url(&did).map_err(|error| error.to_string())?;
                PeerIdentity::DspJws
            }
            (IdentityKind::EdcMock, None) => PeerIdentity::EdcMock,
            (IdentityKind::StaticToken, Some(file)) => PeerIdentity::StaticToken(folder.join(file)),
            (IdentityKind::StaticToken, None) => {
                return Err(format!(
                    "{did}: identity \"static-token\" needs `token`, a file with the token"
                ));
            }
            (_, Some(_)) => return Err(format!("{did}: `token` belongs to identity \"static-token\"")),
        };
        let signatures = match (self.signatures, &identity) {
            (None, PeerIdentity::DspJws) => Signatures::Required,
            (None, _) => Signatures::Off,
            (Some(Signatures::Required), PeerIdentity::DspJws) => Signatures::Required,
            (Some(_), PeerIdentity::DspJws) => {
                return Err(format!(
                    "{did}: identity \"dsp-jws\" is shown by signatures alone; other values of `signatures` go with \"static-token\" or \"edc-mock\""
                ));
            }
            (Some(signatures), _) => signatures,
        };
        if signatures != Signatures::Off {
            did::document_url(&did).map_err(|error| format!("{error}, which `signatures` needs"))?;
        }
        Ok(super::Peer {
            did,
            name: self.name,
            identity,
            signatures,
            address: self.address,
            reach: Reach {
                private: self.allow_private,
                http: self.allow_http,
            },
        })
    }
}

/// The root address that a DID implies: its host and port.
fn own_root(did: &ParticipantId, tls: bool) -> Result<Url, String> {
    let mut url = did::document_url(did).map_err(|error| error.to_string())?;
    url.set_path("/");
    if tls {
        return Ok(url);
    }
    let plain = url.as_str().replacen("https://", "http://", 1);
    Url::parse(&plain).map_err(|error| error.to_string())
}

fn own_did<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ParticipantId, D::Error> {
    let did = ParticipantId::deserialize(deserializer)?;
    own_root(&did, true).map_err(|problem| {
        D::Error::custom(format!(
            "{problem}, expected for example did:web:connector.school.example"
        ))
    })?;
    Ok(did)
}

/// A root address: scheme, host and port.
struct Root(Url);

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let url = Url::deserialize(deserializer)?;
        if !is_address(&url) || url.path() != "/" {
            return Err(D::Error::custom(
                "expected https://, a host and at most a port, such as https://connector.school.example:8443",
            ));
        }
        Ok(Self(url))
    }
}

/// An address of HTTP without credentials, query or fragment.
fn is_address(url: &Url) -> bool {
    matches!(url.scheme(), "https" | "http")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

/// Where a peer is: an address with a path at most.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let url = Url::deserialize(deserializer)?;
    if !is_address(&url) {
        return Err(D::Error::custom(
            "expected an address such as https://connector.school.example/protocol",
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

/// Verifier keys of a log.
pub(super) fn log_keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<LogKey>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let keys = texts.iter().map(|text| text.parse().map_err(D::Error::custom));
    keys.collect()
}

/// A whole number and its unit.
pub(crate) fn parse_period(text: &str) -> Option<Duration> {
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
