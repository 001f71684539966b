//! Membership in the running daemon: what is read at the start, what is published, and the timer that keeps to it.

use super::DaemonError;
use crate::{
    audit::Log,
    authority, clock,
    config::Config,
    contract::Contracts,
    dsp::ParticipantId,
    http,
    net::Client,
    transfer::{TransferError, Transfers},
    trust::{Identity, Memberships, Resolver, Standings, Trust, TrustError, did},
};
use futures_util::{StreamExt, stream};
use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    sync::Arc,
};
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

/// How many are met at once: fewer than are looked up at once, so that strangers find room beside them.
const AT_ONCE: usize = 4;

/// Looks at the trust list and at statuses, and ends what runs with participants that are members no more.
pub(super) struct Keeper {
    pub(super) memberships: Arc<Memberships>,
    pub(super) trust: Arc<Trust>,
    pub(super) contracts: Arc<Contracts>,
    pub(super) transfers: Arc<Transfers>,
}

impl Keeper {
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            let round = async {
                self.memberships.refresh(clock::now()).await;
                // The next refresh does not wait for whoever does not answer.
                tokio::join!(self.settle(), tokio::time::sleep(self.memberships.every()));
            };
            tokio::select! {
                () = round => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Who is known to be out loses at once what runs with it; only then is asked who has to be.
    async fn settle(&self) {
        let parties = match self.parties().await {
            Ok(parties) => parties,
            Err(error) => return tracing::error!(%error, "what runs with members could not be looked at"),
        };
        let now = clock::now();
        let known = parties.iter().map(|did| (did.clone(), self.trust.standing(did, now)));
        self.keep_to(&known.collect()).await;
        let configured = self.trust.peers().map(|peer| peer.did.clone());
        let all: HashSet<ParticipantId> = parties.into_iter().chain(configured).collect();
        let met = stream::iter(all).map(|did| self.meet(did)).buffer_unordered(AT_ONCE);
        self.keep_to(&met.collect().await).await;
    }

    async fn parties(&self) -> Result<HashSet<ParticipantId>, TransferError> {
        let mut parties = self.contracts.parties().await?;
        parties.extend(self.transfers.parties().await?);
        Ok(parties)
    }

    async fn meet(&self, did: ParticipantId) -> (ParticipantId, Result<(), TrustError>) {
        let now = clock::now();
        let configured = self.trust.peer(did.as_str());
        if let Some(peer) = configured.filter(|peer| matches!(peer.identity, Identity::DspJws)) {
            // It is a peer whatever comes of this; as a member it has claims as well.
            if let Err(why) = self.memberships.admit_as(peer, now).await {
                tracing::debug!(peer = %did, reason = %why, "a configured peer is no member");
            }
        }
        let met = self.trust.meet(&did, now).await.map(drop);
        if let Err(TrustError::NotAMember(why)) = &met {
            self.memberships.note_out(&did, why);
        }
        (did, met)
    }

    async fn keep_to(&self, standings: &Standings) {
        let now = clock::now();
        if let Err(error) = self.transfers.keep_to(standings, now).await {
            tracing::error!(%error, "the transfers of members could not be looked at");
        }
        if let Err(error) = self.contracts.keep_to(standings, now).await {
            tracing::error!(%error, "the negotiations with members could not be looked at");
        }
    }
}
