//! The consumer's side of the data plane at work: fetches what a started transfer has to offer, takes it up again after any break, and
//! ends with a signed receipt.

use super::{Counts, TransferError, TransferRecord, Transfers};
use crate::{
    dsp::{
        Pid, Role,
        message::{DataAddress, Explanation},
        transfer::State,
    },
    net::{Client, Request},
    plane::PlaneError,
    process::{Protocol, follow},
    trust::Peer,
};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method, header};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// How many receptions run at once.
const RECEPTIONS: usize = 16;

/// Runs receptions until it is told to stop.
pub struct Puller {
    /// The service.
    pub transfers: Arc<Transfers>,
    /// The guarded client.
    pub client: Arc<Client>,
    /// First and longest wait between attempts.
    pub retry: (Duration, Duration),
    /// Ends everything.
    pub shutdown: CancellationToken,
}

impl Puller {
    /// Takes up what was running before, then follows the queue.
    pub async fn run(self: Arc<Self>) -> Result<(), TransferError> {
        for record in self.transfers.list().await? {
            if wants_data(&record) {
                self.transfers.pulls().wake(Protocol::Transfer, &record.core.pid);
            }
        }
        let permits = Arc::new(Semaphore::new(RECEPTIONS));
        follow(self.transfers.pulls(), &self.shutdown, |_, pid| {
            let (this, permits) = (self.clone(), permits.clone());
            async move { this.follow(&pid, &permits).await }
        })
        .await;
        Ok(())
    }

    /// Receives what a transfer has to offer. Says whether to look at it again: it was stopped, and may be wanted all the same.
    async fn follow(&self, pid: &Pid, permits: &Semaphore) -> bool {
        let stop = self.shutdown.child_token();
        let Some(counts) = self.transfers.live.enter(pid, &stop) else {
            return false;
        };
        // Whoever follows the transfer can follow its counts from now on.
        self.transfers.events().stir(Protocol::Transfer, pid);
        self.receive(pid, permits, &stop, &counts).await;
        self.transfers.live.leave(pid);
        stop.is_cancelled() && self.transfers.get(pid).await.is_ok_and(|record| wants_data(&record))
    }

    /// Tries until the stream is complete, the transfer stops, or the provider refuses for good. Only an attempt counts against the
    /// limit: one that waits for the next leaves room.
    async fn receive(&self, pid: &Pid, permits: &Semaphore, stop: &CancellationToken, counts: &watch::Sender<Counts>) {
        let mut wait = self.retry.0;
        loop {
            let permit = tokio::select! {
                permit = permits.acquire() => permit,
                () = stop.cancelled() => return,
            };
            let record = match self.transfers.get(pid).await {
                Ok(record) if wants_data(&record) => record,
                _ => return,
            };
            let before = record.progress.records;
            let attempt = self.attempt(record, stop, counts).await;
            drop(permit);
            let error = match attempt {
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
                self.transfers.suspend(pid, why, now).await.is_ok() && self.transfers.start(pid, now).await.is_ok()
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
        let trust = &self.transfers.parts.trust;
        let peer = trust.meet(&record.core.peer, crate::clock::now()).await?;
        let sink = self.transfers.sink(&record, crate::clock::now()).await?;
        let stream = tokio::select! {
            stream = self.open(&record, &peer) => stream?,
            () = stop.cancelled() => return Err(PlaneError::Stopped.into()),
        };
        let progress = self
            .transfers
            .take_in(&record.core.pid, sink, stream, stop, counts)
            .await?;
        self.transfers.arrived(&record, &progress).await?;
        Ok(())
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
        let mut url = address.endpoint.clone().ok_or(TransferError::NotStarted)?;
        if let Some(cursor) = &record.progress.cursor {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        let headers = authorization(&address, self.transfers.parts.trust.is_held(peer))?;
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
        Err(TransferError::refused(status, &said))
    }
}

/// The `Authorization` that an address asks for. EDC wants its token as it gave it; `ours`, of a peer that signs, goes with its scheme.
pub(super) fn authorization(address: &DataAddress, ours: bool) -> Result<HeaderMap, TransferError> {
    let mut headers = HeaderMap::new();
    if let Some(token) = &address.authorization {
        let scheme = if ours { "Bearer " } else { "" };
        let mut value = HeaderValue::from_str(&format!("{scheme}{token}"))
            .map_err(|_| TransferError::Invalid("the token is not usable as a header".into()))?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}

fn wants_data(record: &TransferRecord) -> bool {
    record.core.role == Role::Consumer
        && !record.is_push()
        && (!record.held || record.wants_fetch)
        && record.core.position.state == Some(State::Started)
        && record.core.position.pending.is_empty()
        && !record.progress.complete
        && record.data_address.is_some()
}
