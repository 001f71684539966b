//! Taking a stream in, whoever opened its connection: checks and writes on a blocking thread, notes how far it has come, signs a receipt.

use super::{TransferError, TransferRecord, Transfers, erasure};
use crate::{
    audit::{Entry, Kind as Recorded},
    dsp::{Pid, Role, message::TransferMessage, transfer::State},
    jose::{self, token},
    plane::{
        PlaneError,
        incoming::{Expected, Incoming, Progress},
        raw::Raw,
    },
    process::{Protocol, Turn},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use policy::Timestamp;
use serde::Serialize;
use serde_json::json;
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// How often a running reception makes what it has durable.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// How long data that is pushed waits for the message that starts its transfer.
const START_WAIT: Duration = Duration::from_secs(10);

/// What is known of a running reception.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Records received.
    pub records: u64,
    /// Bytes received.
    pub bytes: u64,
}

/// The receptions that run now.
#[derive(Default)]
pub struct Live(Mutex<Receptions>);

#[derive(Default)]
struct Receptions {
    running: HashMap<Pid, (CancellationToken, watch::Receiver<Counts>)>,
    /// Transfers of which nothing is received for a while.
    held: HashSet<Pid>,
}

impl Live {
    fn lock(&self) -> std::sync::MutexGuard<'_, Receptions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts of a running reception, and their changes.
    pub fn watch(&self, pid: &Pid) -> Option<watch::Receiver<Counts>> {
        self.lock().running.get(pid).map(|(_, counts)| counts.clone())
    }

    /// Notes a reception that begins; none where one runs already, or none may.
    pub(super) fn enter(&self, pid: &Pid, stop: &CancellationToken) -> Option<watch::Sender<Counts>> {
        let mut receptions = self.lock();
        if receptions.running.contains_key(pid) || receptions.held.contains(pid) {
            return None;
        }
        let (counts, watch) = watch::channel(Counts::default());
        receptions.running.insert(pid.clone(), (stop.clone(), watch));
        Some(counts)
    }

    pub(super) fn leave(&self, pid: &Pid) {
        self.lock().running.remove(pid);
    }

    pub(super) fn stop(&self, pid: &Pid) {
        if let Some((stop, _)) = self.lock().running.get(pid) {
            stop.cancel();
        }
    }

    /// Lets no reception of this transfer begin and stops the one that runs. Whether none runs any more.
    pub(super) fn hold(&self, pid: &Pid) -> bool {
        let mut receptions = self.lock();
        receptions.held.insert(pid.clone());
        let running = receptions.running.get(pid);
        running.inspect(|(stop, _)| stop.cancel()).is_none()
    }

    /// Receptions of this transfer may begin again.
    pub(super) fn release(&self, pid: &Pid) {
        self.lock().held.remove(pid);
    }
}

/// The file of a transfer's records below the folder.
pub fn file(folder: &Path, pid: &Pid) -> PathBuf {
    // Process ids of ours are `urn:uuid:…`: the uuid alone is a safe file name.
    folder.join(format!(
        "{}.ndjson",
        pid.as_str().rsplit(':').next().unwrap_or("transfer")
    ))
}

/// Where the bytes of one connection go.
pub(super) enum Sink {
    /// Every line is checked against the provider's signatures.
    Checked(Box<Incoming>),
    /// The provider cannot sign.
    Raw(Raw),
}

impl Sink {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), PlaneError> {
        match self {
            Self::Checked(incoming) => incoming.feed(bytes),
            Self::Raw(raw) => raw.feed(bytes),
        }
    }

    fn counts(&self) -> Counts {
        let (records, bytes) = match self {
            Self::Checked(incoming) => incoming.counts(),
            Self::Raw(raw) => raw.counts(),
        };
        Counts { records, bytes }
    }

    fn sync(&mut self) -> Result<(), PlaneError> {
        match self {
            Self::Checked(incoming) => incoming.sync(),
            Self::Raw(raw) => raw.sync(),
        }
    }

    /// How far a reception has come that may be taken up again.
    fn agreed(&self) -> Option<Progress> {
        match self {
            Self::Checked(incoming) => Some(incoming.agreed().clone()),
            Self::Raw(_) => None,
        }
    }

    /// What a connection that was closed properly has brought.
    fn ended(&self) -> Progress {
        match self {
            Self::Checked(incoming) => incoming.agreed().clone(),
            Self::Raw(raw) => raw.ended(),
        }
    }
}

/// Moves the bytes of a connection to a blocking thread, which checks and writes them, and hands points at which the reception can be
/// taken up again to `agreed`.
async fn feed<E: Into<PlaneError>>(
    mut stream: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
    mut sink: Sink,
    agreed: mpsc::Sender<Progress>,
    stop: &CancellationToken,
    counts: &watch::Sender<Counts>,
) -> Result<(Sink, Option<PlaneError>), PlaneError> {
    let (chunks, mut inbox) = mpsc::channel::<Bytes>(8);
    let counts = counts.clone();
    let writer = tokio::task::spawn_blocking(move || -> Result<Sink, PlaneError> {
        let mut synced = std::time::Instant::now();
        while let Some(chunk) = inbox.blocking_recv() {
            sink.feed(&chunk)?;
            counts.send_replace(sink.counts());
            if synced.elapsed() >= SYNC_EVERY {
                synced = std::time::Instant::now();
                sink.sync()?;
                if let Some(point) = sink.agreed() {
                    let _ = agreed.try_send(point);
                }
            }
        }
        sink.sync()?;
        Ok(sink)
    });
    let mut broken = None;
    loop {
        tokio::select! {
            chunk = stream.next() => match chunk {
                Some(Ok(chunk)) => if chunks.send(chunk).await.is_err() { break },
                Some(Err(error)) => { broken = Some(error.into()); break }
                None => break,
            },
            () = stop.cancelled() => { broken = Some(PlaneError::Stopped); break }
        }
    }
    drop(chunks);
    let sink = writer.await.map_err(|_| PlaneError::Incomplete)??;
    Ok((sink, broken))
}

impl Transfers {
    /// Opens where the bytes of a transfer go.
    pub(super) async fn sink(&self, record: &TransferRecord, now: Timestamp) -> Result<Sink, TransferError> {
        let trust = &self.parts.trust;
        let invalid = |why: String| TransferError::Invalid(why);
        let peer = trust.meet(&record.core.peer, now).await?;
        let path = file(&self.parts.received, &record.core.pid);
        if !trust.is_held(&peer) {
            let raw = tokio::task::spawn_blocking(move || Raw::open(&path)).await;
            return Ok(Sink::Raw(raw.map_err(|_| PlaneError::Incomplete)??));
        }
        let document = trust.resolver().newest(&peer, now).await;
        let document = document.map_err(|error| invalid(error.to_string()))?;
        let transfer = record
            .core
            .peer_pid
            .clone()
            .ok_or_else(|| invalid("the provider has no process id".into()))?;
        let (trust, clock) = (trust.clone(), self.parts.clock);
        let (retractions, holder, stream) = (
            self.parts.retractions.clone(),
            record.core.peer.clone(),
            record.stream(),
        );
        let expected = Expected {
            transfer,
            agreement: record.agreement.to_string(),
            // Streams may last: a key that is revoked meanwhile signs no line more.
            key: Arc::new(move |kid| {
                let key = document.key(kid);
                key.filter(|key| !trust.is_revoked(&key.thumbprint(), clock())).cloned()
            }),
            filter: Arc::new(move || retractions.filter(&holder, &stream)),
        };
        let from = record.progress.clone();
        let incoming = tokio::task::spawn_blocking(move || {
            erasure::settle(&path, from.bytes).map_err(PlaneError::Sink)?;
            Incoming::open(&path, &from, expected)
        })
        .await;
        Ok(Sink::Checked(Box::new(incoming.map_err(|_| PlaneError::Incomplete)??)))
    }

    /// Takes one connection's worth of a stream in; an error where it ended before its end, with what it brought remembered.
    pub(super) async fn take_in<E: Into<PlaneError>>(
        &self,
        pid: &Pid,
        sink: Sink,
        stream: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
        stop: &CancellationToken,
        counts: &watch::Sender<Counts>,
    ) -> Result<Progress, TransferError> {
        let (agreed, mut points) = mpsc::channel::<Progress>(1);
        let fed = feed(stream, sink, agreed, stop, counts);
        tokio::pin!(fed);
        let (sink, broken) = loop {
            tokio::select! {
                fed = &mut fed => break fed?,
                Some(progress) = points.recv() => self.remember(pid, &progress).await?,
            }
        };
        let Some(error) = broken else {
            let progress = sink.ended();
            if progress.complete {
                return Ok(progress);
            }
            self.remember(pid, &progress).await?;
            return Err(PlaneError::Incomplete.into());
        };
        match sink.agreed() {
            // Everything was there before the connection broke.
            Some(progress) if progress.complete => return Ok(progress),
            Some(progress) => self.remember(pid, &progress).await?,
            None => {}
        }
        Err(error.into())
    }

    async fn remember(&self, pid: &Pid, progress: &Progress) -> Result<(), TransferError> {
        let now = (self.parts.clock)();
        self.ledger
            .change(
                pid,
                now,
                |record: &mut TransferRecord, _| -> Result<(), TransferError> {
                    record.progress = progress.clone();
                    Ok(())
                },
            )
            .await?;
        Ok(())
    }

    /// The receipt for everything that came, if it can be signed for, and what the audit log notes about it.
    fn receipt(
        &self,
        record: &TransferRecord,
        progress: &Progress,
        now: Timestamp,
    ) -> Result<(Option<String>, Entry), TransferError> {
        let entry = Entry::new(Recorded::Received)
            .with("process", record.core.pid.as_str())
            .with("peer", record.core.peer.as_str())
            .with("count", progress.records);
        if progress.unsigned {
            return Ok((None, entry.with("signed", false)));
        }
        let root = progress.root().ok_or(PlaneError::Incomplete)?;
        let claims = json!({
            "transfer": record.core.peer_pid, "agreement": record.agreement, "dataset": record.dataset,
            "count": progress.records, "root": root, "at": now,
        });
        let receipt = token::sign(&self.signer(), token::Kind::Receipt, &claims)?;
        let entry = entry
            .with("root", root)
            .of("receipt", &jose::sha256(receipt.as_bytes()));
        Ok((Some(receipt), entry))
    }

    /// The record when the transfer has started. EDC begins to push beside its start message, not after it.
    async fn once_started(&self, pid: &Pid) -> Result<TransferRecord, TransferError> {
        let mut changes = self.events().stirs(Protocol::Transfer, pid);
        let started = async {
            loop {
                let record = self.get(pid).await?;
                match record.core.position.state {
                    Some(State::Started) => return Ok(record),
                    _ if is_before_start(&record) => changes.next().await,
                    _ => return Err(TransferError::NotStarted),
                }
            }
        };
        tokio::time::timeout(START_WAIT, started)
            .await
            .unwrap_or(Err(TransferError::NotStarted))
    }

    /// Takes in what a provider pushes to whoever holds the token that we gave it. Returns the signed receipt, if it can be signed for.
    /// It always comes from the beginning; what an attempt before has left is replaced.
    pub async fn pushed(
        &self,
        pid: &Pid,
        token: &str,
        body: impl Stream<Item = Result<Bytes, PlaneError>> + Send + Unpin,
        now: Timestamp,
    ) -> Result<Option<String>, TransferError> {
        let (record, _) = self.ledger.load(pid).await?.ok_or(TransferError::Token)?;
        if record.core.role != Role::Consumer
            || !record.is_push()
            || !self.parts.keys.tokens.verify(token, pid, record.token_serial, now)
        {
            return Err(TransferError::Token);
        }
        if record.core.position.is_terminal() {
            return Err(TransferError::Ended);
        }
        let mut record = self.once_started(pid).await?;
        if record.progress.complete {
            return Ok(record.receipt);
        }
        record.progress = Progress::default();
        let stop = CancellationToken::new();
        let counts = self.live.enter(pid, &stop).ok_or(TransferError::TooManyStreams)?;
        let taken = async {
            let sink = self.sink(&record, now).await?;
            self.take_in(pid, sink, body, &stop, &counts).await
        }
        .await;
        self.live.leave(pid);
        self.arrived(&record, &taken?).await
    }

    /// Keeps a complete reception with our receipt for it, which is returned. Of a pull it is said in the same commit that the transfer is
    /// complete, unless the operator decides about that; of a push the provider says so.
    pub(super) async fn arrived(
        &self,
        record: &TransferRecord,
        progress: &Progress,
    ) -> Result<Option<String>, TransferError> {
        let now = (self.parts.clock)();
        let (receipt, entry) = self.receipt(record, progress, now)?;
        self.ledger
            .change(&record.core.pid, now, |record: &mut TransferRecord, turn: &mut Turn| {
                record.progress = progress.clone();
                record.receipt = receipt.clone();
                record.core.explanation = None;
                let entry = record.keep_reception(turn, entry.clone(), now);
                turn.record(entry);
                if record.is_push() || record.held {
                    return Ok(());
                }
                record.send(turn, &TransferMessage::Completion, record.receipt_header(), now)
            })
            .await?;
        Ok(receipt)
    }
}

/// It was asked for and has not started yet.
fn is_before_start(record: &TransferRecord) -> bool {
    matches!(record.core.position.state, None | Some(State::Requested))
}
