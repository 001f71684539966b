//! Builds the rooms of the daemon from its configuration, from the ground up.

use super::{DaemonError, file, limits, members, reload, setting};
use crate::{
    audit::{Log, LogSigner, Witness},
    catalog::Catalog,
    clock,
    config::{self, Config},
    consent::{
        Consents, Pseudonyms,
        exchange::{self, Exchange, Notices, Retractions},
        links::Links,
    },
    contract::{self, Contracts},
    dsp,
    http::{self, App},
    jose::HmacKey,
    net::Client,
    peer::Peers,
    plane::CursorKey,
    process::{Events, Queue},
    store::{SledStore, Store},
    transfer::{self, Keys, TokenKey, Transfers},
    trust::{self, History, Pins, Resolver, Trust, did},
};
use std::{path::Path, sync::Arc};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use url::Url;

/// What everything else stands on.
pub(super) struct Ground {
    pub(super) store: Arc<dyn Store>,
    pub(super) log: Arc<Log>,
    pub(super) client: Arc<Client>,
    pub(super) queue: Arc<Queue>,
    secret: HmacKey,
    sealer: LogSigner,
    /// Our public root address, without a trailing slash.
    root: String,
}

/// Keys for separate uses, all made from the one secret file.
fn derive(secret: &HmacKey, label: &str) -> HmacKey {
    HmacKey::new(secret.tag(label.as_bytes()).as_bytes())
}

/// Makes a folder that only this user may enter; one that exists keeps the permissions that its owner gave it.
fn private_folder(path: &Path) -> Result<(), DaemonError> {
    use std::os::unix::fs::DirBuilderExt;
    let mut folder = std::fs::DirBuilder::new();
    folder.recursive(true).mode(0o700);
    folder.create(path).map_err(|error| file(path, &error))
}

fn peers(config: &Config) -> Result<Vec<trust::Peer>, DaemonError> {
    let load = |peer: &config::Peer| peer.load().map_err(setting);
    config.peers.iter().map(load).collect()
}

fn public_url(text: &str) -> Result<Url, DaemonError> {
    text.parse().map_err(|error| setting(format!("public_url: {error}")))
}

impl Ground {
    /// Opens the store, the log in it, and the way out.
    pub(super) fn lay(config: &Config) -> Result<Self, DaemonError> {
        let secret = HmacKey::new(&config.read_secret().map_err(setting)?);
        private_folder(&config.received)?;
        private_folder(&config.store)?;
        let store: Arc<dyn Store> = Arc::new(SledStore::open(&config.store)?);
        let client = Arc::new(Client::new(config.net.clone()));
        client.check()?;
        let root = config.root();
        let sealer = LogSigner::of(&root, &secret).map_err(|error| setting(format!("public_url: {error}")))?;
        let log = Log::new(store.clone(), sealer.clone()).signed_before_by(config.audit.past_keys.clone());
        Ok(Self {
            log: Arc::new(log),
            queue: Arc::default(),
            store,
            client,
            secret,
            sealer,
            root,
        })
    }
}

/// Who we are, and whom we know.
pub(super) async fn identity(config: &Config, ground: &Ground) -> Result<Arc<Trust>, DaemonError> {
    let Ground { log, client, root, .. } = ground;
    let keyring = reload::keyring(config)?;
    let certified = config.certificates(&keyring.active().key().public_jwk());
    let certified = certified.map_err(setting)?;
    reload::tell(log, &keyring).await?;
    let mut own = did::Own::empty(config.did.clone(), root.as_str());
    own.log = Some(ground.sealer.key().clone());
    own.services.extend(members::presentation(config, root));
    let history = History::new(log.clone());
    let resolver = Arc::new(Resolver::new(client.clone(), config.resolver, history));
    let memberships = members::memberships(config, client, &resolver, log).await?;
    let (keys, pins) = (trust::Keys::new(keyring, certified), Pins::load(log.clone()).await?);
    let trust = Trust::new(own, keys, pins, peers(config)?, memberships, resolver);
    trust.note_document(clock::now()).await.map_err(setting)?;
    Ok(Arc::new(trust))
}

/// The rooms below transfers.
struct Rooms {
    trust: Arc<Trust>,
    events: Arc<Events>,
    catalog: Arc<Catalog>,
    contracts: Arc<Contracts>,
    consents: Arc<Consents>,
    exchange: Arc<Exchange>,
    /// Our public base address for DSP.
    base: Url,
}

async fn rooms(config: &Config, ground: &Ground, trust: Arc<Trust>) -> Result<Rooms, DaemonError> {
    let Ground { log, secret, root, .. } = ground;
    // Every event's commit has entries in the log: numbers from there on are greater than all that were given before.
    let events = Arc::new(Events::new(log.count().await?));
    let base = public_url(&format!("{root}{}", dsp::PATH))?;
    let catalog = Arc::new(Catalog::new(log.clone(), trust.clone(), config.policy_events.clone()));
    let contracts = Contracts::load(contract::Parts {
        log: log.clone(),
        queue: ground.queue.clone(),
        events: events.clone(),
        catalog: catalog.clone(),
        trust: trust.clone(),
        base: base.clone(),
        decisions: config.decisions,
        most_open: config.limits.processes_per_peer,
    });
    let contracts = contracts.await?;
    let (audit, pseudonyms) = (derive(secret, "audit"), Pseudonyms::new(derive(secret, "pseudonym")));
    let places = derive(secret, "deliveries");
    let deletion = config.privacy.deletion;
    let notices = Notices::load(log.clone(), trust.clone(), places, ground.queue.clone(), deletion);
    let notices = Arc::new(notices.await?);
    let retractions = Retractions::load(log.clone(), trust.clone(), notices.post().clone());
    let consents = Consents::load(log.clone(), trust.clone(), audit, pseudonyms, config.privacy.clone());
    let consents = Arc::new(consents.await?);
    let parts = exchange::Parts {
        log: log.clone(),
        trust: trust.clone(),
        agreements: contracts.agreements().clone(),
        consents: consents.clone(),
        links: Arc::new(Links::new(log.clone(), notices.post().clone())),
        notices,
        retractions: Arc::new(retractions.await?),
        intermediaries: config.intermediaries.clone(),
    };
    let exchange = Exchange::load(parts, clock::now).await?;
    Ok(Rooms {
        contracts: Arc::new(contracts),
        exchange: Arc::new(exchange),
        consents,
        trust,
        events,
        catalog,
        base,
    })
}

async fn transfers(config: &Config, ground: &Ground, rooms: &Rooms) -> Result<Transfers, DaemonError> {
    let secret = &ground.secret;
    let cursors = CursorKey::new(secret.tag(b"cursor").as_bytes());
    let keys = Keys {
        tokens: TokenKey::new(derive(secret, "token")),
        cursors: Arc::new(cursors.ok_or_else(|| setting("no cursor key could be made"))?),
        releases: derive(secret, "release"),
    };
    let transfers = Transfers::load(transfer::Parts {
        log: ground.log.clone(),
        queue: ground.queue.clone(),
        events: rooms.events.clone(),
        catalog: rooms.catalog.clone(),
        agreements: rooms.contracts.agreements().clone(),
        consents: rooms.consents.clone(),
        deliveries: rooms.exchange.notices().deliveries().clone(),
        retractions: rooms.exchange.retractions().clone(),
        disclosures: rooms.exchange.disclosures().clone(),
        trust: rooms.trust.clone(),
        keys,
        base: rooms.base.clone(),
        root: public_url(&ground.root)?,
        token_lifetime: config.token_lifetime,
        stream_bytes_per_second: config.limits.stream_bytes_per_second,
        received: config.received.clone(),
        policy_events: config.policy_events.clone(),
        released: config.received.with_file_name("released"),
        decisions: config.decisions,
        most_open: config.limits.processes_per_peer,
        clock: clock::now,
    });
    Ok(transfers.await?)
}

/// All rooms, as the handlers need them; `stop` ends long answers.
pub(super) async fn services(
    config: &Config,
    ground: &Ground,
    trust: Arc<Trust>,
    stop: CancellationToken,
) -> Result<Arc<App>, DaemonError> {
    let rooms = rooms(config, ground, trust).await?;
    let transfers = transfers(config, ground, &rooms).await?;
    let limits = limits(config);
    Ok(Arc::new(App {
        peers: Arc::new(Peers::new(ground.client.clone(), rooms.trust.clone(), clock::now)),
        trust: rooms.trust,
        catalog: rooms.catalog,
        contracts: rooms.contracts,
        transfers: Arc::new(transfers),
        consents: rooms.consents,
        exchange: rooms.exchange,
        log: ground.log.clone(),
        received: config.received.clone(),
        authority: members::published(config)?,
        witness: Witness::new(ground.store.clone(), ground.sealer.clone()),
        root: ground.root.clone(),
        streams: Arc::new(Semaphore::new(config.limits.streams)),
        bodies: http::room_for_bodies(&limits),
        limits,
        shutdown: stop,
        started: clock::now(),
        clock: clock::now,
    }))
}
