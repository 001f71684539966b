//! The consumer's side of the data plane at work: fetches what a started transfer has to offer, takes it up again after any break, and
//! ends with a signed receipt.

use super::{RECEIPT_HEADER, TransferError, TransferRecord, Transfers};
use crate::{
    audit::{Entry, Kind as Recorded},
    dsp::{
        Pid, Role,
        message::{Explanation, TransferMessage},
        transfer::State,
    },
    jose::{self, token},
    net::{Client, Request},
    plane::{
        PlaneError,
        incoming::{Expected, Incoming, Progress},
    },
    process::{Protocol, Turn},
    trust::Peer,
};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::Serialize;
use serde_json::json;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How often a running reception makes what it has durable.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How many receptions run at once.
const RECEPTIONS: usize = 16;

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
pub struct Live(Mutex<HashMap<Pid, (CancellationToken, watch::Receiver<Counts>)>>);

impl Live {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Pid, (CancellationToken, watch::Receiver<Counts>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts of a running reception, and their changes.
    pub fn watch(&self, pid: &Pid) -> Option<watch::Receiver<Counts>> {
        self.lock().get(pid).map(|(_, counts)| counts.clone())
    }

    pub(super) fn stop(&self, pid: &Pid) {
        if let Some((stop, _)) = self.lock().get(pid) {
            stop.cancel();
        }
    }
}

/// Runs receptions until it is told to stop.
pub struct Puller {
    /// The service.
    pub transfers: Arc<Transfers>,
    /// The guarded client.
    pub client: Arc<Client>,
    /// Where received records go.
    pub folder: PathBuf,
    /// First and longest wait between attempts.
    pub retry: (Duration, Duration),
    /// Ends everything.
    pub shutdown: CancellationToken,
}

/// The file of a transfer's records below the folder.
pub fn file(folder: &Path, pid: &Pid) -> PathBuf {
    // Process ids of ours are `urn:uuid:…`: the uuid alone is a safe file name.
    folder.join(format!(
        "{}.ndjson",
        pid.as_str().rsplit(':').next().unwrap_or("transfer")
    ))
}

impl Puller {
    /// Takes up what was running before, then follows the queue.
    pub async fn run(self: Arc<Self>) -> Result<(), TransferError> {
        let (tracker, permits) = (TaskTracker::new(), Arc::new(Semaphore::new(RECEPTIONS)));
        for record in self.transfers.list().await? {
            if wants_data(&record) {
                self.transfers.pulls().wake(Protocol::Transfer, &record.core.pid);
            }
        }
        loop {
            let woken = tokio::select! {
                woken = self.transfers.pulls().take() => woken,
                () = self.shutdown.cancelled() => break,
            };
            for (_, pid) in woken {
                let stop = self.shutdown.child_token();
                let (counts, watch) = watch::channel(Counts::default());
                if self.transfers.live.lock().contains_key(&pid) {
                    continue;
                }
                self.transfers.live.lock().insert(pid.clone(), (stop.clone(), watch));
                // Whoever follows the transfer can follow its counts from now on.
                self.transfers.events().stir(Protocol::Transfer, &pid);
                let (this, permits) = (self.clone(), permits.clone());
                tracker.spawn(async move {
                    let _permit = permits.acquire().await;
                    this.receive(&pid, &stop, &counts).await;
                    this.transfers.live.lock().remove(&pid);
                    // A start that came while the old reception was ending must not be missed.
                    if stop.is_cancelled() && !this.shutdown.is_cancelled() {
                        this.again(&pid).await;
                    }
                });
            }
        }
        tracker.close();
        tracker.wait().await;
        Ok(())
    }

    async fn again(&self, pid: &Pid) {
        if self.transfers.get(pid).await.is_ok_and(|record| wants_data(&record)) {
            self.transfers.pulls().wake(Protocol::Transfer, pid);
        }
    }

    /// Tries until the stream is complete, the transfer stops, or the provider refuses for good.
    async fn receive(&self, pid: &Pid, stop: &CancellationToken, counts: &watch::Sender<Counts>) {
        let mut wait = self.retry.0;
        loop {
            let record = match self.transfers.get(pid).await {
                Ok(record) if wants_data(&record) => record,
                _ => return,
            };
            let before = record.progress.records;
            let error = match self.attempt(record, stop, counts).await {
                Ok(()) => return,
                Err(TransferError::Plane(PlaneError::Stopped)) => return,
                Err(error) => error,
            };
            if self.changed_course(pid, &error).await {
                return;
            }
            tracing::warn!(%pid, %error, "the reception was interrupted; it is taken up again");
            if let Err(error) = self.note(pid, &error).await {
                tracing::error!(%pid, %error, "the interruption could not be recorded");
            }
            let moved = self
                .transfers
                .get(pid)
                .await
                .is_ok_and(|record| record.progress.records > before);
            wait = if moved {
                self.retry.0
            } else {
                (wait * 2).min(self.retry.1)
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// What retrying cannot mend: a token that has run out is renewed by suspending and resuming; an agreement that permits no more, a
    /// dataset that is gone or a source that has changed ends it.
    async fn changed_course(&self, pid: &Pid, error: &TransferError) -> bool {
        let TransferError::Plane(PlaneError::Refused { status, reason }) = error else {
            return false;
        };
        let now = crate::clock::now();
        match status {
            401 => {
                let why = Explanation::new("token-expired", "the data token has run out");
                self.transfers.suspend(pid, why, now).await.is_ok() && self.transfers.resume(pid, now).await.is_ok()
            }
            400 => self.give_up(pid, "refused", reason, now).await,
            410 => self.give_up(pid, "source-changed", reason, now).await,
            _ => false,
        }
    }

    async fn give_up(&self, pid: &Pid, code: &'static str, reason: &str, now: policy::Timestamp) -> bool {
        let why = Explanation::new(code, reason);
        self.transfers.terminate(pid, why, now).await.is_ok()
    }

    async fn note(&self, pid: &Pid, error: &TransferError) -> Result<(), TransferError> {
        let why = Explanation::new("interrupted", error.to_string());
        self.transfers
            .ledger
            .change(
                pid,
                crate::clock::now(),
                |record: &mut TransferRecord, _| -> Result<(), TransferError> {
                    // Who suspended or ended the transfer said why: the break that followed says less.
                    if wants_data(record) {
                        record.core.explanation = Some(why.clone());
                    }
                    Ok(())
                },
            )
            .await?;
        Ok(())
    }

    async fn attempt(
        &self,
        record: TransferRecord,
        stop: &CancellationToken,
        counts: &watch::Sender<Counts>,
    ) -> Result<(), TransferError> {
        let now = crate::clock::now();
        let trust = &self.transfers.parts.trust;
        let peer = trust
            .known(&record.core.peer)
            .ok_or_else(|| TransferError::Invalid("the peer is not configured any more".into()))?;
        let document = trust
            .resolver()
            .document(peer, now)
            .await
            .map_err(|error| TransferError::Invalid(error.to_string()))?;
        let transfer = record
            .core
            .peer_pid
            .clone()
            .ok_or_else(|| TransferError::Invalid("the provider has no process id".into()))?;
        let expected = Expected {
            transfer,
            agreement: record.agreement.to_string(),
            key: Arc::new(move |kid| document.key(kid).cloned()),
        };
        let stream = tokio::select! {
            stream = self.open(&record, peer) => stream?,
            () = stop.cancelled() => return Err(PlaneError::Stopped.into()),
        };
        let path = file(&self.folder, &record.core.pid);
        let from = record.progress.clone();
        let incoming = tokio::task::spawn_blocking(move || Incoming::open(&path, &from, expected))
            .await
            .map_err(|_| PlaneError::Incomplete)??;
        let progress = self.feed(&record.core.pid, stream, incoming, stop, counts).await?;
        self.complete(&record, &progress).await
    }

    async fn open(
        &self,
        record: &TransferRecord,
        peer: &Peer,
    ) -> Result<
        impl futures_util::Stream<Item = Result<Bytes, crate::net::NetError>> + Send + Unpin + use<>,
        TransferError,
    > {
        let address = record.data_address.clone().ok_or(TransferError::NotStarted)?;
        let mut url = address.endpoint.ok_or(TransferError::NotStarted)?;
        if let Some(cursor) = &record.progress.cursor {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        let mut headers = HeaderMap::new();
        if let Some(token) = address.authorization {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| TransferError::Invalid("the token is not usable as a header".into()))?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let request = Request {
            method: Method::GET,
            url,
            headers,
            body: Bytes::new(),
            reach: peer.reach,
        };
        let (status, _, mut body) = self.client.open(request).await.map_err(PlaneError::from)?;
        if status.is_success() {
            return Ok(body);
        }
        let mut said = Vec::new();
        while let Some(Ok(chunk)) = body.next().await {
            said.extend_from_slice(chunk.get(..chunk.len().min(4096)).unwrap_or_default());
            if said.len() >= 4096 {
                break;
            }
        }
        let reason = serde_json::from_slice(&said)
            .map(|value| crate::dsp::message::read_error(&value))
            .unwrap_or_default();
        Err(PlaneError::Refused {
            status: status.as_u16(),
            reason: reason.reasons.join("; "),
        }
        .into())
    }

    /// Moves the bytes from the network to a blocking thread, which checks and writes them.
    async fn feed(
        &self,
        pid: &Pid,
        mut stream: impl futures_util::Stream<Item = Result<Bytes, crate::net::NetError>> + Send + Unpin,
        mut incoming: Incoming,
        stop: &CancellationToken,
        counts: &watch::Sender<Counts>,
    ) -> Result<Progress, TransferError> {
        let (chunks, mut inbox) = mpsc::channel::<Bytes>(8);
        let (agreed, mut points) = mpsc::channel::<Progress>(1);
        let counts = counts.clone();
        let writer = tokio::task::spawn_blocking(move || -> Result<Progress, PlaneError> {
            let mut synced = std::time::Instant::now();
            while let Some(chunk) = inbox.blocking_recv() {
                incoming.feed(&chunk)?;
                let (records, bytes) = incoming.counts();
                counts.send_replace(Counts { records, bytes });
                if synced.elapsed() >= SYNC_EVERY {
                    synced = std::time::Instant::now();
                    incoming.sync()?;
                    let _ = agreed.try_send(incoming.agreed().clone());
                }
            }
            incoming.sync()?;
            Ok(incoming.agreed().clone())
        });
        let mut broken = None;
        loop {
            tokio::select! {
                chunk = stream.next() => match chunk {
                    Some(Ok(chunk)) => if chunks.send(chunk).await.is_err() { break },
                    Some(Err(error)) => { broken = Some(PlaneError::from(error)); break }
                    None => break,
                },
                Some(progress) = points.recv() => self.remember(pid, &progress).await?,
                () = stop.cancelled() => { broken = Some(PlaneError::Stopped); break }
            }
        }
        drop(chunks);
        let progress = writer.await.map_err(|_| PlaneError::Incomplete)??;
        if progress.complete {
            return Ok(progress);
        }
        self.remember(pid, &progress).await?;
        Err(broken.unwrap_or(PlaneError::Incomplete).into())
    }

    async fn remember(&self, pid: &Pid, progress: &Progress) -> Result<(), TransferError> {
        self.transfers
            .ledger
            .change(
                pid,
                crate::clock::now(),
                |record: &mut TransferRecord, _| -> Result<(), TransferError> {
                    record.progress = progress.clone();
                    Ok(())
                },
            )
            .await?;
        Ok(())
    }

    /// Signs the receipt and says that the transfer is complete.
    async fn complete(&self, record: &TransferRecord, progress: &Progress) -> Result<(), TransferError> {
        let now = crate::clock::now();
        let root = progress.root().ok_or(PlaneError::Incomplete)?;
        let claims = json!({
            "transfer": record.core.peer_pid, "agreement": record.agreement, "dataset": record.dataset,
            "count": progress.records, "root": root, "at": now,
        });
        let receipt = token::sign(self.transfers.signer(), token::Kind::Receipt, &claims)?;
        let headers = vec![(RECEIPT_HEADER.to_owned(), receipt.clone())];
        let entry = Entry::new(Recorded::Received)
            .with("process", record.core.pid.as_str())
            .with("peer", record.core.peer.as_str())
            .with("count", progress.records)
            .with("root", root)
            .of("receipt", &jose::sha256(receipt.as_bytes()));
        self.transfers
            .ledger
            .change(&record.core.pid, now, |record: &mut TransferRecord, turn: &mut Turn| {
                // In the same commit: a reception that is complete is also said to be.
                record.progress = progress.clone();
                record.receipt = Some(receipt.clone());
                record.core.explanation = None;
                turn.record(entry.clone());
                record.send(turn, &TransferMessage::Completion, headers.clone(), now)
            })
            .await?;
        Ok(())
    }
}

fn wants_data(record: &TransferRecord) -> bool {
    record.core.role == Role::Consumer
        && record.core.position.state == Some(State::Started)
        && record.core.position.pending.is_empty()
        && !record.progress.complete
        && record.data_address.is_some()
}
