//! Inbound HTTP: TLS, limits, routes for DSP, data and management, thin handlers, and the one place where an error becomes a status.
//! No rule of business lives here.

mod compress;
mod consents;
pub mod data;
pub mod dsp;
mod language;
mod log;
pub mod management;
mod page;
pub mod problem;
pub mod published;
pub mod server;
pub mod tls;

use crate::{
    audit::{Log, Witness},
    catalog::Catalog,
    consent::{Consents, exchange::Exchange},
    contract::Contracts,
    peer::Peers,
    transfer::Transfers,
    trust::Trust,
};
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use policy::Timestamp;
use problem::Problem;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Limits of what comes in.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_address: usize,
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Longest wait for a request's headers.
    pub header_timeout: Duration,
    /// Longest wait for a request's body, and for the reader of a stream to take more of it.
    pub body_timeout: Duration,
    /// Longest TLS handshake.
    pub handshake_timeout: Duration,
    /// Outgoing data streams at once.
    pub streams: usize,
    /// Datasets on one page of the catalog.
    pub catalog_page: usize,
    /// How long running requests may go on after the order to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 64,
            body_bytes: 1024 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            handshake_timeout: Duration::from_secs(5),
            streams: 64,
            catalog_page: 100,
            drain: Duration::from_secs(30),
        }
    }
}

/// What the handlers need of the rooms.
pub struct App {
    /// Identities and signatures.
    pub trust: Arc<Trust>,
    /// Datasets.
    pub catalog: Arc<Catalog>,
    /// Negotiations.
    pub contracts: Arc<Contracts>,
    /// Transfers.
    pub transfers: Arc<Transfers>,
    /// Consents.
    pub consents: Arc<Consents>,
    /// What peers say about consents.
    pub exchange: Arc<Exchange>,
    /// The way to other connectors.
    pub peers: Arc<Peers>,
    /// The audit log.
    pub log: Arc<Log>,
    /// What we are for the logs of peers.
    pub witness: Witness,
    /// Where received records are.
    pub received: PathBuf,
    /// Our public root address, without a trailing slash: what signatures must name, whatever `Host` says.
    pub root: String,
    /// Files of a governance authority that anyone may read, by path; a folder holds status lists.
    pub authority: BTreeMap<String, PathBuf>,
    /// Limits.
    pub limits: Limits,
    /// Outgoing streams that may still be opened.
    pub streams: Arc<Semaphore>,
    /// Bytes of peers' bodies that may still be held in memory.
    pub bodies: Arc<Semaphore>,
    /// Ends long answers when the daemon stops.
    pub shutdown: CancellationToken,
    /// When the daemon was ready.
    pub started: Timestamp,
    /// Reads the time.
    pub clock: fn() -> Timestamp,
}

impl App {
    /// Our public DSP base address.
    pub fn base(&self) -> String {
        format!("{}{}", self.root, crate::dsp::PATH)
    }
}

/// The connection that a request came on; cancelling cuts it.
#[derive(Clone)]
pub struct Connection(pub CancellationToken);

/// The path as it was asked for, before [`tolerate_slash`].
#[derive(Clone)]
struct RequestedPath(String);

/// Takes a slash from the end of the path: peers differ in whether they write one (DSP 2025-1 §8.1.2).
fn tolerate_slash(request: &mut http::Request<axum::body::Body>) {
    let path = request.uri().path();
    let Some(short) = path.strip_suffix('/').filter(|short| !short.is_empty()) else {
        return;
    };
    let query = request
        .uri()
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let Ok(uri) = format!("{short}{query}").parse() else {
        return;
    };
    let requested = RequestedPath(path.to_owned());
    *request.uri_mut() = uri;
    request.extensions_mut().insert(requested);
}

/// The path that the caller asked for and its signature names.
fn requested_path(parts: &http::request::Parts) -> &str {
    parts
        .extensions
        .get::<RequestedPath>()
        .map_or_else(|| parts.uri.path(), |requested| &requested.0)
}

/// What all bodies of peers that are in memory at once may take, in bytes. One connection carries many requests: without this, a few
/// callers without any key could fill the memory with bodies that never end.
const BODIES: usize = 64 * 1024 * 1024;

/// Room for bodies, at least for one of the largest.
pub fn room_for_bodies(limits: &Limits) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(BODIES.max(limits.body_bytes)))
}

/// Takes room for a body before it is read: as much as it announces, or as much as is allowed.
pub(crate) fn room(
    bodies: &Arc<Semaphore>,
    body: &axum::body::Body,
    limits: &Limits,
) -> Result<OwnedSemaphorePermit, Problem> {
    let most = limits.body_bytes;
    let announced = body.size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = announced.map_or(most, |bytes| bytes.min(most));
    let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
    bodies
        .clone()
        .try_acquire_many_owned(permits)
        .map_err(|_| Problem::unavailable("busy", "too many messages at once; try again"))
}

/// Reads a whole body within the limits.
pub(crate) async fn read_body(body: axum::body::Body, limits: &Limits) -> Result<Bytes, Problem> {
    let whole = async {
        let mut body = body;
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Problem::bad_request("body-broken", "the request body broke off"))?;
            if let Ok(data) = frame.into_data() {
                if bytes.len() + data.len() > limits.body_bytes {
                    return Err(Problem::too_large(limits.body_bytes));
                }
                bytes.extend_from_slice(&data);
            }
        }
        Ok(bytes.freeze())
    };
    tokio::time::timeout(limits.body_timeout, whole)
        .await
        .unwrap_or_else(|_| Err(Problem::timeout()))
}
