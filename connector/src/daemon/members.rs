//! Membership in the running daemon: what is read at the start, what is published, and the timer that keeps to it.

use super::DaemonError;
use crate::{
    audit::Log,
    authority, clock,
    config::Config,
    http,
    net::Client,
    transfer::Transfers,
    trust::{Memberships, Resolver, did},
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use tokio_util::sync::CancellationToken;

/// The members of the configured authority, as far as they are known from before.
pub(super) async fn memberships(
    config: &Config,
    client: &Arc<Client>,
    resolver: &Arc<Resolver>,
    log: &Arc<Log>,
) -> Result<Option<Arc<Memberships>>, DaemonError> {
    let Some(membership) = &config.membership else {
        return Ok(None);
    };
    let settings = membership
        .load()
        .map_err(|error| DaemonError::Setting(error.to_string()))?;
    let (me, client, resolver, log) = (config.did.clone(), client.clone(), resolver.clone(), log.clone());
    Ok(Some(Arc::new(
        Memberships::load(settings, me, client, resolver, log, clock::now()).await?,
    )))
}

/// The service entry that leads to our credentials, if there are any to show.
pub(super) fn presentation(config: &Config, root: &str) -> Option<serde_json::Value> {
    let membership = config.membership.as_ref()?;
    let endpoint = format!("{root}{}", http::published::PRESENTATION);
    (!membership.credentials.is_empty()).then(|| did::presentation_service(&config.did, &endpoint))
}

/// The files of an authority that this daemon publishes, by path.
pub(super) fn published(config: &Config) -> Result<BTreeMap<String, PathBuf>, DaemonError> {
    let published = |dir: &PathBuf| authority::published(dir, &config.public_url);
    let files = config.authority.as_ref().map(published).transpose();
    Ok(files
        .map_err(|error| DaemonError::Setting(error.to_string()))?
        .unwrap_or_default())
}

/// Looks at the trust list and at statuses, and ends what runs with participants that are members no more.
pub(super) async fn keep(memberships: Arc<Memberships>, transfers: Arc<Transfers>, stop: CancellationToken) {
    loop {
        let round = async {
            memberships.refresh(clock::now()).await;
            if let Err(error) = transfers.keep_to_members(clock::now()).await {
                tracing::error!(%error, "the transfers of members could not be looked at");
            }
            tokio::time::sleep(memberships.every()).await;
        };
        tokio::select! {
            () = round => {}
            () = stop.cancelled() => return,
        }
    }
}
