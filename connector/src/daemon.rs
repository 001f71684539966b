//! The composition root: builds all rooms, supervises what runs, reloads, stops gracefully. Decides nothing.

mod members;
mod reload;

use crate::{
    audit::{AuditError, Log, LogSigner, Witness},
    catalog::Catalog,
    clock,
    config::{self, Config, Management, TlsVersion},
    consent::{Consents, Pseudonyms},
    contract::{self, Contracts},
    dsp,
    http::{self, App, management, server, tls},
    jose::{self, HmacKey},
    net::{Client, NetError},
    peer::{Dispatcher, Peers, Witnesses},
    plane::CursorKey,
    process::{Events, Queue},
    store::{SledStore, Store, StoreError},
    telemetry,
    transfer::{self, Keys, Puller, Pusher, TokenKey, Transfers},
    trust::{self, History, Pins, Resolver, Trust, did, spent},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{Signal, SignalKind, signal},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// After a change the log is sealed within this time; changes in between share one checkpoint.
const SEAL_AFTER: Duration = Duration::from_secs(1);
/// How often expired message ids and old keys are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(120);

/// Why the daemon did not start, or ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A file that the configuration names cannot be used.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: String,
        /// Why.
        cause: String,
    },
    /// A listener cannot be opened.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        cause: std::io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The outgoing client cannot be built.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The audit log cannot be sealed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Something about the configuration makes no sense together.
    #[error("{0}")]
    Setting(String),
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
}

fn file(path: &Path, cause: &dyn std::fmt::Display) -> DaemonError {
    DaemonError::File {
        path: path.display().to_string(),
        cause: cause.to_string(),
    }
}

/// Everything that runs, and the way to stop it.
struct Running {
    tls: Option<Arc<tls::Tls>>,
    log: Arc<Log>,
    trust: Arc<Trust>,
    store: Arc<dyn Store>,
    transfers: Arc<Transfers>,
    tasks: TaskTracker,
    /// Ends accepting and long answers.
    stop: CancellationToken,
    socket: Option<PathBuf>,
}

/// Runs the daemon until it is told to stop by SIGTERM or SIGINT.
pub async fn run(config: Config, log_level: telemetry::Handle, path: PathBuf) -> Result<(), DaemonError> {
    let mut signals = Signals::new()?;
    let running = start(&config).await?;
    tracing::info!(did = %config.did, address = %config.public_url, "ready");
    while let Order::Reload = signals.next().await {
        reload::reload(&running, &log_level, &path).await;
    }
    tracing::info!("stopping");
    running.stop.cancel();
    running.transfers.stop_streams().await;
    running.tasks.close();
    running.tasks.wait().await;
    running.log.seal().await?;
    running.store.close().await?;
    if let Some(socket) = &running.socket {
        let _ = std::fs::remove_file(socket);
    }
    tracing::info!("stopped");
    Ok(())
}

enum Order {
    Reload,
    Stop,
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, DaemonError> {
        let on = |kind| signal(kind).map_err(DaemonError::Signals);
        Ok(Self {
            hangup: on(SignalKind::hangup())?,
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.hangup.recv() => Order::Reload,
            _ = self.terminate.recv() => Order::Stop,
            _ = self.interrupt.recv() => Order::Stop,
        }
    }
}

fn tls_settings(tls: &config::Tls) -> tls::Settings {
    let allow_tls12 = tls.minimum == TlsVersion::Tls12;
    tls::Settings {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        allow_tls12,
    }
}

fn limits(config: &Config) -> http::Limits {
    let limits = &config.limits;
    http::Limits {
        connections: limits.connections,
        connections_per_address: limits.connections_per_peer,
        body_bytes: limits.body_bytes,
        header_timeout: limits.header_timeout,
        body_timeout: limits.body_timeout,
        handshake_timeout: limits.handshake_timeout,
        streams: limits.streams,
        catalog_page: limits.catalog_page,
        drain: limits.drain,
    }
}

/// Keys for separate uses, all made from the one secret file.
fn derive(secret: &HmacKey, label: &str) -> HmacKey {
    HmacKey::new(secret.tag(label.as_bytes()).as_bytes())
}

fn secret(path: &Path) -> Result<HmacKey, DaemonError> {
    let bytes = std::fs::read(path).map_err(|error| file(path, &error))?;
    if bytes.len() < 32 {
        return Err(file(path, &"a secret of at least 32 bytes is expected"));
    }
    Ok(HmacKey::new(&bytes))
}

/// Makes a folder that only this user may enter; one that exists keeps the permissions that its owner gave it.
fn private_folder(path: &Path) -> Result<(), DaemonError> {
    use std::os::unix::fs::DirBuilderExt;
    let mut folder = std::fs::DirBuilder::new();
    folder.recursive(true).mode(0o700);
    folder.create(path).map_err(|error| file(path, &error))
}

fn peers(config: &Config) -> Result<Vec<trust::Peer>, DaemonError> {
    let load = |peer: &config::Peer| peer.load().map_err(|error| DaemonError::Setting(error.to_string()));
    config.peers.iter().map(load).collect()
}

async fn start(config: &Config) -> Result<Running, DaemonError> {
    let keyring = reload::keyring(config)?;
    let secret = secret(&config.secret)?;
    let tls = match &config.tls {
        Some(tls) => Some(Arc::new(tls::Tls::load(tls_settings(tls))?)),
        None => None,
    };
    private_folder(&config.received)?;
    private_folder(&config.store)?;
    let public = TcpListener::bind(config.listen)
        .await
        .map_err(|cause| DaemonError::Listen {
            address: config.listen.to_string(),
            cause,
        })?;
    let store: Arc<dyn Store> = Arc::new(SledStore::open(&config.store)?);
    let client = Arc::new(Client::new(config.net.clone()));
    client.check()?;

    let root = config.root();
    let sealer = LogSigner::of(&root, &secret).map_err(|error| DaemonError::Setting(format!("public_url: {error}")))?;
    let log = Arc::new(Log::new(store.clone(), sealer.clone()));
    reload::tell(&log, &keyring).await?;
    let mut own = did::Own::empty(config.did.clone(), root.as_str());
    own.log = Some(sealer.key().clone());
    own.services.extend(members::presentation(config, &root));
    let resolver = Arc::new(Resolver::new(
        client.clone(),
        config.resolver,
        History::new(log.clone()),
    ));
    let memberships = members::memberships(config, &client, &resolver, &log).await?;
    let certificates = config
        .certificates(&keyring.active().key().public_jwk())
        .map_err(|error| DaemonError::Setting(error.to_string()))?;
    let trust = Arc::new(Trust::new(
        own,
        trust::Keys::new(keyring, certificates),
        Pins::load(log.clone()).await?,
        peers(config)?,
        memberships.clone(),
        resolver,
    ));
    trust
        .note_document(clock::now())
        .await
        .map_err(|error| DaemonError::Setting(error.to_string()))?;
    // Every event's commit has entries in the log: numbers from there on are greater than all that were given before.
    let (queue, events) = (Arc::new(Queue::default()), Arc::new(Events::new(log.count().await?)));
    let url = |text: &str| {
        text.parse()
            .map_err(|error| DaemonError::Setting(format!("public_url: {error}")))
    };
    let base: url::Url = url(&format!("{root}{}", dsp::PATH))?;
    let catalog = Arc::new(Catalog::new(log.clone(), config.did.clone()));
    let contracts = Contracts::load(contract::Parts {
        log: log.clone(),
        queue: queue.clone(),
        events: events.clone(),
        catalog: catalog.clone(),
        trust: trust.clone(),
        base: base.clone(),
        decisions: config.decisions,
        most_open: config.limits.processes_per_peer,
    });
    let contracts = Arc::new(contracts.await?);
    let consents = Arc::new(
        Consents::load(
            log.clone(),
            trust.clone(),
            derive(&secret, "audit"),
            Pseudonyms::new(derive(&secret, "pseudonym")),
        )
        .await?,
    );
    let keys = Keys {
        tokens: TokenKey::new(derive(&secret, "token")),
        cursors: Arc::new(
            CursorKey::new(secret.tag(b"cursor").as_bytes())
                .ok_or_else(|| DaemonError::Setting("no cursor key could be made".into()))?,
        ),
    };
    let transfers = Transfers::load(transfer::Parts {
        log: log.clone(),
        queue: queue.clone(),
        events: events.clone(),
        catalog: catalog.clone(),
        agreements: contracts.agreements().clone(),
        consents: consents.clone(),
        trust: trust.clone(),
        keys,
        base,
        root: url(&root)?,
        token_lifetime: config.token_lifetime,
        stream_bytes_per_second: config.limits.stream_bytes_per_second,
        received: config.received.clone(),
        decisions: config.decisions,
        most_open: config.limits.processes_per_peer,
        clock: clock::now,
    });
    let transfers = Arc::new(transfers.await?);
    let peers = Arc::new(Peers::new(client.clone(), trust.clone(), clock::now));
    let stop = CancellationToken::new();
    let app = Arc::new(App {
        trust: trust.clone(),
        catalog,
        contracts: contracts.clone(),
        transfers: transfers.clone(),
        consents,
        peers: peers.clone(),
        log: log.clone(),
        received: config.received.clone(),
        authority: members::published(config)?,
        witness: Witness::new(store.clone(), sealer),
        root,
        limits: limits(config),
        streams: Arc::new(Semaphore::new(config.limits.streams)),
        bodies: http::room_for_bodies(&limits(config)),
        shutdown: stop.clone(),
        started: clock::now(),
        clock: clock::now,
    });

    let tasks = TaskTracker::new();
    let routes = http::dsp::routes(app.clone());
    tasks.spawn(server::serve_public(
        public,
        tls.clone(),
        routes,
        limits(config),
        stop.clone(),
    ));
    let socket = serve_management(config, app, &tasks, &stop).await?;
    let retry = (config.retry.first, config.retry.longest);
    let witnesses = Arc::new(Witnesses {
        peers: peers.clone(),
        contracts: contracts.clone(),
        events,
        log: log.clone(),
        interval: config.audit.witness_interval,
        shutdown: stop.clone(),
    });
    watch(&tasks, "the search for witnesses", witnesses.run());
    let dispatcher = Arc::new(Dispatcher {
        peers,
        contracts,
        transfers: transfers.clone(),
        log: log.clone(),
        queue,
        retry,
        shutdown: stop.clone(),
        clock: clock::now,
    });
    watch(&tasks, "the outbox dispatcher", dispatcher.run());
    let puller = Arc::new(Puller {
        transfers: transfers.clone(),
        client: client.clone(),
        retry,
        shutdown: stop.clone(),
    });
    watch(&tasks, "the receptions", puller.run());
    let pusher = Arc::new(Pusher {
        transfers: transfers.clone(),
        client,
        retry,
        silence: config.limits.body_timeout,
        shutdown: stop.clone(),
    });
    watch(&tasks, "the pushes", pusher.run());
    if let Some(memberships) = memberships {
        tasks.spawn(members::keep(memberships, transfers.clone(), stop.clone()));
    }
    tasks.spawn(seal(log.clone(), stop.clone()));
    tasks.spawn(sweep(store.clone(), stop.clone()));
    Ok(Running {
        transfers,
        tls,
        log,
        trust,
        store,
        tasks,
        stop,
        socket,
    })
}

/// Runs a task that should not end before the daemon does, and says so when it fails.
fn watch<E: std::fmt::Display + Send + 'static>(
    tasks: &TaskTracker,
    name: &'static str,
    task: impl Future<Output = Result<(), E>> + Send + 'static,
) {
    tasks.spawn(async move {
        if let Err(error) = task.await {
            tracing::error!(%error, "{name} stopped");
        }
    });
}

async fn serve_management(
    config: &Config,
    app: Arc<App>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Option<PathBuf>, DaemonError> {
    let limits = limits(config);
    match &config.management {
        Management::Socket(path) => {
            let listener = bind_socket(path)?;
            let routes = management::routes(app, None);
            tasks.spawn(server::serve_unix(listener, routes, limits, stop.clone()));
            Ok(Some(path.clone()))
        }
        Management::Loopback { listen, token } => {
            if !listen.ip().is_loopback() {
                return Err(DaemonError::Setting(format!(
                    "management.listen {listen} is not a loopback address"
                )));
            }
            let text = std::fs::read_to_string(token).map_err(|error| file(token, &error))?;
            if text.trim().len() < 32 {
                return Err(file(token, &"a token of at least 32 characters is expected"));
            }
            let listener = TcpListener::bind(listen).await.map_err(|cause| DaemonError::Listen {
                address: listen.to_string(),
                cause,
            })?;
            let routes = management::routes(app, Some(jose::sha256(text.trim().as_bytes())));
            tasks.spawn(server::serve_loopback(listener, routes, limits, stop.clone()));
            Ok(None)
        }
    }
}

/// The socket is for this user alone. The store's lock, taken before, proves that a socket file found here is a dead daemon's.
fn bind_socket(path: &Path) -> Result<UnixListener, DaemonError> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |cause| DaemonError::Listen {
        address: path.display().to_string(),
        cause,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Signs the log's root a moment after each change.
async fn seal(log: Arc<Log>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = log.changed() => {}
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(SEAL_AFTER) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = log.seal().await {
            tracing::error!(%error, "the audit log could not be sealed");
        }
    }
}

/// Forgets spent message ids whose signatures have expired, and the keys of old requests.
async fn sweep(store: Arc<dyn Store>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = spent::sweep(&*store, clock::now()).await {
            tracing::warn!(%error, "expired message ids could not be forgotten");
        }
        if let Err(error) = management::sweep(&*store, clock::now()).await {
            tracing::warn!(%error, "old keys of requests could not be forgotten");
        }
    }
}
