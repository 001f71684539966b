//! The composition root: has all rooms built, supervises what runs, reloads, stops gracefully. Decides nothing.

mod build;
mod expiry;
mod lapses;
mod members;
mod reload;

use crate::{
    audit::{AuditError, Log},
    clock,
    config::{self, Config, Management, TlsVersion},
    http::{self, App, management, server, tls},
    jose,
    net::NetError,
    peer::{Dispatcher, Witnesses},
    store::{Store, StoreError},
    telemetry,
    transfer::{Eraser, Puller, Pusher, Transfers},
    trust::{Trust, spent},
};
use build::Ground;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{Signal, SignalKind, signal},
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

fn setting(error: impl std::fmt::Display) -> DaemonError {
    DaemonError::Setting(error.to_string())
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

async fn start(config: &Config) -> Result<Running, DaemonError> {
    let tls = match &config.tls {
        Some(tls) => Some(Arc::new(tls::Tls::load(tls_settings(tls))?)),
        None => None,
    };
    let public = listen(config.listen).await?;
    let ground = Ground::lay(config)?;
    let trust = build::identity(config, &ground).await?;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let app = build::services(config, &ground, trust.clone(), stop.clone()).await?;
    let (routes, limits) = (http::dsp::routes(app.clone()), limits(config));
    tasks.spawn(server::serve_public(public, tls.clone(), routes, limits, stop.clone()));
    let socket = serve_management(config, app.clone(), &tasks, &stop).await?;
    spawn(config, &ground, &app, &tasks, &stop);
    Ok(Running {
        transfers: app.transfers.clone(),
        log: ground.log,
        store: ground.store,
        tls,
        trust,
        tasks,
        stop,
        socket,
    })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, DaemonError> {
    let failed = |cause| DaemonError::Listen {
        address: address.to_string(),
        cause,
    };
    TcpListener::bind(address).await.map_err(failed)
}

/// Starts what runs beside the listeners.
fn spawn(config: &Config, ground: &Ground, app: &App, tasks: &TaskTracker, stop: &CancellationToken) {
    let retry = (config.retry.first, config.retry.longest);
    let witnesses = Arc::new(Witnesses {
        peers: app.peers.clone(),
        events: app.transfers.events().clone(),
        log: ground.log.clone(),
        interval: config.audit.witness_interval,
        shutdown: stop.clone(),
    });
    watch(tasks, "the search for witnesses", witnesses.run());
    let dispatcher = Arc::new(Dispatcher {
        peers: app.peers.clone(),
        contracts: app.contracts.clone(),
        transfers: app.transfers.clone(),
        exchange: app.exchange.clone(),
        log: ground.log.clone(),
        queue: ground.queue.clone(),
        retry,
        shutdown: stop.clone(),
        clock: clock::now,
    });
    watch(tasks, "the outbox dispatcher", dispatcher.run());
    let puller = Arc::new(Puller {
        transfers: app.transfers.clone(),
        client: ground.client.clone(),
        retry,
        shutdown: stop.clone(),
    });
    watch(tasks, "the receptions", puller.run());
    let eraser = Arc::new(Eraser {
        transfers: app.transfers.clone(),
        retractions: app.exchange.retractions().clone(),
        after: config.erase_after,
        shutdown: stop.clone(),
    });
    watch(tasks, "the erasure of received records", eraser.run());
    let pusher = Arc::new(Pusher {
        transfers: app.transfers.clone(),
        client: ground.client.clone(),
        retry,
        silence: config.limits.body_timeout,
        shutdown: stop.clone(),
    });
    watch(tasks, "the pushes", pusher.run());
    if let Some(memberships) = app.trust.memberships() {
        let keeper = members::Keeper {
            memberships: memberships.clone(),
            trust: app.trust.clone(),
            contracts: app.contracts.clone(),
            transfers: app.transfers.clone(),
        };
        tasks.spawn(keeper.run(stop.clone()));
    }
    tasks.spawn(expiry::run(app.consents.clone(), stop.clone()));
    tasks.spawn(lapses::run(app.exchange.clone(), stop.clone()));
    tasks.spawn(seal(ground.log.clone(), stop.clone()));
    tasks.spawn(lapses::sweep(app.exchange.clone(), stop.clone()));
    tasks.spawn(sweep(ground.store.clone(), stop.clone()));
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
            // The configuration takes no other address than a loopback one.
            let token = config::read_token(token).map_err(setting)?;
            let routes = management::routes(app, Some(jose::sha256(token.as_bytes())));
            let listener = self::listen(*listen).await?;
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
