//! The TLS side of the public listener: certificate and key from files, reloaded without a restart.

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where certificate and key are, and the oldest TLS that is spoken.
#[derive(Clone, Debug)]
pub struct Settings {
    /// PEM, leaf first.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
    /// Also speak TLS 1.2.
    pub allow_tls12: bool,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {cause}")]
pub struct TlsError {
    /// Which file.
    pub file: String,
    /// What is wrong with it.
    pub cause: String,
}

/// The configuration that new connections use.
pub struct Tls {
    settings: Settings,
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    pub fn load(settings: Settings) -> Result<Self, TlsError> {
        let current = ArcSwap::new(Arc::new(read(&settings)?));
        Ok(Self { settings, current })
    }

    /// Reads the files again; on any error the old certificate stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(read(&self.settings)?));
        Ok(())
    }

    /// The configuration for the next connection.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

fn read(settings: &Settings) -> Result<ServerConfig, TlsError> {
    let wrong = |path: &Path, cause: String| TlsError {
        file: path.display().to_string(),
        cause,
    };
    let certificates = CertificateDer::pem_file_iter(&settings.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&settings.certificate, error.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong(&settings.certificate, "holds no certificate".into()));
    }
    let key = PrivateKeyDer::from_pem_file(&settings.key).map_err(|error| wrong(&settings.key, error.to_string()))?;
    let versions: &[_] = if settings.allow_tls12 {
        &[&TLS13, &TLS12]
    } else {
        &[&TLS13]
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .map_err(|error| wrong(&settings.certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| {
            wrong(
                &settings.key,
                format!("certificate and key do not belong together: {error}"),
            )
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
