//! The section `[gaia_x]`: certificates of the signing key, and that they are of that key.

use super::{Config, ConfigError};
use crate::{
    gaia_x::{CHAIN_PATH, chain::Chain},
    trust::did::Certified,
};
use serde::Deserialize;
use serde_json::Value;
use std::{fs, path::PathBuf};

/// What GAIA-X asks of a participant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GaiaX {
    /// X.509 certificates of the signing key, PEM, leaf first.
    pub certificates: Option<PathBuf>,
}

impl Config {
    /// The certificates of our key with this public JWK; none where none are configured.
    pub fn certificates(&self, jwk: &Value) -> Result<Option<Certified>, ConfigError> {
        let Some(path) = &self.gaia_x.certificates else {
            return Ok(None);
        };
        let refuse = |problem: String| ConfigError::Certificates {
            path: path.clone(),
            problem,
        };
        let pem = fs::read(path).map_err(|cause| ConfigError::Read {
            path: path.clone(),
            cause,
        })?;
        let chain = Chain::from_pem(&pem, "the file").map_err(|error| refuse(error.to_string()))?;
        chain.holds(jwk).map_err(|error| refuse(error.to_string()))?;
        Ok(Some(Certified {
            jwk: jwk.clone(),
            x5u: format!("{}{CHAIN_PATH}", self.root()),
            x5c: chain.to_x5c(),
            pem: pem.into(),
        }))
    }
}
