//! The sections `[membership]`, whose members become peers, and `[authority]`, which this daemon publishes.

use super::{Config, ConfigError, Fault};
use crate::{
    authority,
    dsp::ParticipantId,
    jose::{Digest, credential},
    net::Reach,
    trust::{
        did,
        membership::{self, attests::Attests, list::MAX_VALIDITY},
    },
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::Spanned;
use url::Url;

/// Whose members become peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The governance authority.
    pub authority: ParticipantId,
    /// RFC 7638 thumbprint of its root key.
    pub root: Digest,
    /// Where its trust list is.
    pub list: Url,
    /// How often list and statuses are looked at.
    pub refresh: Duration,
    /// Files with this connector's own credentials.
    pub credentials: Vec<PathBuf>,
    /// Which types of credential are believed about what.
    pub attests: Attests,
    /// Which addresses are contacted: of the authority, of issuers and of members.
    pub reach: Reach,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    authority: Spanned<ParticipantId>,
    root: Digest,
    list: Option<Url>,
    #[serde(default = "refresh", deserialize_with = "super::file::period")]
    refresh: Duration,
    #[serde(default)]
    credentials: Vec<PathBuf>,
    #[serde(default)]
    allow_private: bool,
    attests: Option<Spanned<BTreeMap<String, BTreeSet<String>>>>,
}

/// The section `[authority]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Published {
    pub(super) dir: PathBuf,
}

const fn refresh() -> Duration {
    Duration::from_secs(300)
}

impl Written {
    pub(super) fn known(self, folder: &Path) -> Result<Membership, Fault> {
        let span = self.authority.span();
        let authority = self.authority.into_inner();
        let beside = membership::default_list(&authority).map_err(|error| Fault {
            span,
            message: format!("{error}, expected for example did:web:gouvernance.example"),
        })?;
        let attests = match self.attests {
            None => Attests::default(),
            Some(chosen) => {
                let span = chosen.span();
                Attests::over_defaults(chosen.into_inner()).map_err(|message| Fault { span, message })?
            }
        };
        Ok(Membership {
            authority,
            root: self.root,
            list: self.list.unwrap_or(beside),
            refresh: self.refresh,
            credentials: self.credentials.into_iter().map(|path| folder.join(path)).collect(),
            attests,
            reach: Reach {
                private: self.allow_private,
                http: false,
            },
        })
    }
}

impl Membership {
    /// As `trust` knows it; reads the files with credentials.
    pub fn load(&self) -> Result<membership::Settings, ConfigError> {
        Ok(membership::Settings {
            authority: self.authority.clone(),
            root: self.root,
            list: self.list.clone(),
            refresh: self.refresh,
            credentials: self
                .credentials
                .iter()
                .map(|path| read(path))
                .collect::<Result<_, _>>()?,
            attests: self.attests.clone(),
            reach: self.reach,
        })
    }
}

/// A credential as `connector authority issue` writes it.
fn read(path: &Path) -> Result<String, ConfigError> {
    let text = fs::read_to_string(path).map_err(|cause| ConfigError::Read {
        path: path.to_owned(),
        cause,
    })?;
    let token = text.trim();
    match credential::kid(token) {
        Ok(_) => Ok(token.to_owned()),
        Err(_) => Err(ConfigError::Secret {
            path: path.to_owned(),
            problem: "must hold one credential as a JWT, as `connector authority issue` writes it",
        }),
    }
}

/// What is wrong: the setting, what was found, what to do.
pub(super) fn problems(config: &Config) -> Vec<(&'static str, String, String)> {
    let mut found = Vec::new();
    if let Some(membership) = &config.membership {
        if membership.refresh.is_zero() {
            let remedy = "choose a value above zero, or remove the line for the default";
            found.push(("membership.refresh", "is zero".to_owned(), remedy.to_owned()));
        }
        if membership.refresh > MAX_VALIDITY {
            let remedy = "choose less than that, such as \"5m\"";
            found.push((
                "membership.refresh",
                "is longer than any trust list counts (7 days)".to_owned(),
                remedy.to_owned(),
            ));
        }
        for path in &membership.credentials {
            if let Err(error) = read(path) {
                let remedy =
                    "ask the authority for a credential about this connector's DID, or remove it from the list";
                found.push(("membership.credentials", error.to_string(), remedy.to_owned()));
            }
        }
    }
    if let Some(dir) = &config.authority {
        let own = did::document_url(&config.did).map(|url| url.path().to_owned());
        match authority::published(dir, &config.public_url) {
            Err(error) => {
                let remedy = "make one with: connector authority init; or remove the section";
                found.push(("authority.dir", error.to_string(), remedy.to_owned()));
            }
            Ok(files) if own.is_ok_and(|own| files.contains_key(&own)) => found.push((
                "authority.dir",
                format!("the authority's DID document would be where that of {} is", config.did),
                "make the authority with a DID that has a path, such as did:web:school.example:authority".to_owned(),
            )),
            Ok(_) => {}
        }
    }
    found
}
