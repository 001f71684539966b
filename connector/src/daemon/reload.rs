//! What a running daemon takes anew on SIGHUP: its certificate, its keys with what certifies them, its log level. Whatever cannot be used
//! leaves the old in place; certificates of the signing key that do not fit it leave it without any, so that they hold up no rotation.

use super::{DaemonError, Running, setting};
use crate::{
    audit::Log,
    clock,
    config::Config,
    telemetry,
    trust::{Keyring, keys},
};
use std::path::Path;

/// Reads everything again.
pub(super) async fn reload(running: &Running, log_level: &telemetry::Handle, path: &Path) {
    match running.tls.as_ref().map(|tls| tls.reload()) {
        None => {}
        Some(Ok(())) => tracing::info!("certificate reloaded"),
        Some(Err(error)) => tracing::error!(%error, "the certificate could not be reloaded; the old one stays in use"),
    }
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            return tracing::error!(%error, "the configuration could not be reloaded; the old settings stay in use");
        }
    };
    match log_level.set(&config.log.level) {
        Ok(()) => tracing::info!(level = config.log.level, "log level reloaded"),
        Err(error) => tracing::error!(%error, "the log level could not be changed"),
    }
    match reload_keys(running, &config).await {
        Ok(()) => tracing::info!(kid = running.trust.signer().kid(), "keys reloaded"),
        Err(error) => tracing::error!(%error, "the keys could not be reloaded; the old ones stay in use"),
    }
}

/// Takes the keys that the configuration names now, after the audit log was told of them.
async fn reload_keys(running: &Running, config: &Config) -> Result<(), DaemonError> {
    if let Some(fault) = config.check().into_iter().find(|problem| problem.is_about_keys()) {
        return Err(setting(fault));
    }
    if config.did != *running.trust.me() {
        return Err(setting("a running daemon cannot become another participant"));
    }
    let keyring = keyring(config)?;
    let certified = config.certificates(&keyring.active().key().public_jwk());
    let certified = certified.unwrap_or_else(|error| {
        tracing::error!(%error, "the signing key is published without certificates");
        None
    });
    tell(&running.log, &keyring).await?;
    running.trust.keys().replace(keyring, certified);
    running.trust.note_document(clock::now()).await.map_err(setting)
}

/// The keys that the configuration names.
pub(super) fn keyring(config: &Config) -> Result<Keyring, DaemonError> {
    config.keyring().map_err(setting)
}

/// Tells the audit log what changed about our keys.
pub(super) async fn tell(log: &Log, keyring: &Keyring) -> Result<(), DaemonError> {
    for event in keys::tell(log, keyring, clock::now()).await? {
        let (before, now) = (
            event.before.map(|state| state.to_string()),
            event.now.map(|state| state.to_string()),
        );
        tracing::info!(kid = event.kid, jkt = %event.jkt, before, now, "a signing key changed");
        if event.abrupt {
            tracing::warn!(
                kid = event.kid,
                "this key signs without having been published as \"next\" before: peers learn it when they ask again"
            );
        }
    }
    Ok(())
}
