//! Inbound HTTP: TLS, limits, routes for DSP, data and management, thin handlers, and the one place where an error becomes a status.
//! No rule of business lives here.

pub mod data;
pub mod dsp;
pub mod management;
pub mod problem;
pub mod server;
pub mod tls;

use crate::{
    audit::Log, catalog::Catalog, consent::Consents, contract::Contracts, peer::Peers, transfer::Transfers,
    trust::Trust,
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use policy::Timestamp;
use problem::Problem;
use serde_json::Value;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
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
    /// Longest wait for a request's body.
    pub body_timeout: Duration,
    /// Longest TLS handshake.
    pub handshake_timeout: Duration,
    /// Outgoing data streams at once.
    pub streams: usize,
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
    /// The way to other connectors.
    pub peers: Arc<Peers>,
    /// The audit log.
    pub log: Arc<Log>,
    /// Where received records are.
    pub received: PathBuf,
    /// Our public root address, without a trailing slash: what signatures must name, whatever `Host` says.
    pub root: String,
    /// Our DID document.
    pub document: Value,
    /// Limits.
    pub limits: Limits,
    /// Outgoing streams that may still be opened.
    pub streams: Arc<Semaphore>,
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
