//! The provider's side of a push at work: sends what a started transfer releases to where the consumer wants it, again from the beginning
//! after any break, and says that the transfer is complete.

use super::{
    NEUTRAL, RECEIPT_HEADER, TransferError, TransferRecord, Transfers,
    question::Wanted,
    refused::{Asking, disclosed},
};
use crate::{
    dsp::{
        Pid, Role,
        message::{Explanation, TransferMessage},
        transfer::State,
    },
    net::{Client, Upload},
    plane::{PlaneError, lines, paced::Paced},
    process::{Protocol, Verdict, follow},
};
use http::{HeaderMap, HeaderValue, header};
use policy::{Code, Decision};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How many pushes run at once.
const PUSHES: usize = 16;

/// Runs pushes until it is told to stop.
pub struct Pusher {
    /// The service.
    pub transfers: Arc<Transfers>,
    /// The guarded client.
    pub client: Arc<Client>,
    /// First and longest wait between attempts.
    pub retry: (Duration, Duration),
    /// Longest time in which the receiver takes nothing.
    pub silence: Duration,
    /// Ends everything.
    pub shutdown: CancellationToken,
}

impl Pusher {
    /// Takes up what was running before, then follows the queue.
    pub async fn run(self: Arc<Self>) -> Result<(), TransferError> {
        for record in self.transfers.list().await? {
            if wants_push(&record) {
                self.transfers.pushes().wake(Protocol::Transfer, &record.core.pid);
            }
        }
        let permits = Arc::new(Semaphore::new(PUSHES));
        follow(self.transfers.pushes(), &self.shutdown, |_, pid| {
            let (this, permits) = (self.clone(), permits.clone());
            async move {
                this.push(&pid, &permits).await;
                false
            }
        })
        .await;
        Ok(())
    }

    /// Tries until everything has left, the transfer stops, or the consumer refuses for good. Only an attempt counts against the limit:
    /// one that waits for the next leaves room.
    async fn push(&self, pid: &Pid, permits: &Semaphore) {
        let (mut wait, mut refused) = (self.retry.0, None);
        loop {
            let permit = tokio::select! {
                permit = permits.acquire() => permit,
                () = self.shutdown.cancelled() => return,
            };
            let record = match self.transfers.get(pid).await {
                Ok(record) if wants_push(&record) => record,
                _ => return,
            };
            let attempt = self.attempt(&record).await;
            drop(permit);
            let Err(error) = attempt else { return };
            let code = error.reasons().first().map(|reason| reason.code);
            let why = match code {
                Some(_) => {
                    // What its agreement does not permit now it does not permit in a moment either.
                    wait = self.retry.1;
                    let is_known = code == refused;
                    refused = code;
                    self.transfers
                        .push_refused(&record, &error, is_known, crate::clock::now())
                        .await
                }
                None => in_vain(&error),
            };
            let refused_release = match &error {
                TransferError::Release(why) => Some(why),
                _ => None,
            };
            if let Some(why) = why
                && self
                    .transfers
                    .terminate_by(pid, why, refused_release, crate::clock::now())
                    .await
                    .is_ok()
            {
                return;
            }
            tracing::warn!(%pid, %error, "the push was interrupted; it is begun again");
            tokio::select! {
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(self.retry.1),
                () = self.shutdown.cancelled() => return,
            }
        }
    }

    async fn attempt(&self, record: &TransferRecord) -> Result<(), TransferError> {
        let address = record.data_address.as_ref().ok_or(TransferError::NotStarted)?;
        let url = address.endpoint.clone().ok_or(TransferError::NotStarted)?;
        let trust = &self.transfers.parts.trust;
        let peer = trust.meet(&record.core.peer, crate::clock::now()).await?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(lines::MEDIA_TYPE));
        headers.extend(super::pull::authorization(address, trust.is_held(&peer))?);
        let reset = CancellationToken::new();
        let (body, ended) = self
            .transfers
            .open_stream(record, None, reset.clone(), crate::clock::now())
            .await?;
        let upload = Upload {
            url,
            headers,
            body: Paced::new(body, self.silence, reset.clone()),
            reach: peer.reach,
        };
        let answer = tokio::select! {
            answer = self.client.upload(upload) => answer.map_err(PlaneError::from)?,
            () = reset.cancelled() => return Err(PlaneError::Stopped.into()),
            () = self.shutdown.cancelled() => return Err(PlaneError::Stopped.into()),
        };
        if !answer.status.is_success() {
            return Err(TransferError::refused(answer.status, &answer.body));
        }
        // The receipt is compared with what left, once that is recorded.
        let _ = ended.await;
        let receipt = answer.headers.get(RECEIPT_HEADER).and_then(|value| value.to_str().ok());
        self.transfers.delivered(record, receipt, crate::clock::now()).await
    }
}

impl Transfers {
    /// An agreement refuses a push: that is recorded, once while it is refused for one reason. Why the transfer ends, if its agreement will
    /// permit no more.
    async fn push_refused(
        &self,
        record: &TransferRecord,
        error: &TransferError,
        is_known: bool,
        now: policy::Timestamp,
    ) -> Option<Explanation> {
        let (pid, agreement) = (&record.core.pid, &record.agreement);
        if !is_known {
            let asked = Asking {
                peer: &record.core.peer,
                agreement,
                process: Some(pid),
                spent: None,
            };
            if let Err(failed) = self.record_refusal(asked, &error.reasons(), now).await {
                tracing::error!(%pid, error = %failed, "that a push was refused could not be recorded");
            }
        }
        // Open time that another stream has reserved may come back, so what ends a push is the same refusal after a wait.
        if !is_known {
            return None;
        }
        if matches!(error, TransferError::UsedUp(_)) {
            return Some(disclosed(&error.reasons()));
        }
        match self.permits_later(Wanted::by(record, None), agreement, now).await {
            Ok(Decision::Permit { .. }) => None,
            // What nobody vouches for now may be vouched for later.
            Ok(Decision::Deny(reasons)) if reasons.iter().any(|one| one.code == Code::ConstraintUnknown) => None,
            Ok(Decision::Deny(reasons)) => Some(disclosed(&reasons)),
            Err(failed) => {
                tracing::warn!(%pid, error = %failed, "whether the agreement permits the push later is not known");
                None
            }
        }
    }

    /// A push has arrived: keeps the consumer's receipt, if it is one that signs, and says that the transfer is complete unless the
    /// operator decides about that.
    async fn delivered(
        &self,
        record: &TransferRecord,
        receipt: Option<&str>,
        now: policy::Timestamp,
    ) -> Result<(), TransferError> {
        let trust = &self.parts.trust;
        let keys = match trust.addressee(&record.core.peer).filter(|peer| trust.is_held(peer)) {
            Some(peer) => trust.newest_keys_of(&peer, now).await.ok(),
            None => None,
        };
        self.ledger
            .change(&record.core.pid, now, |record: &mut TransferRecord, turn| {
                if let (Some(receipt), Some(_)) = (receipt, &keys) {
                    let digest = record.take_receipt(receipt, keys.as_deref())?;
                    record.record_receipt(turn, receipt, &digest, now);
                }
                record.pushed = true;
                if record.held {
                    return Ok(());
                }
                record.send(turn, &TransferMessage::Completion, Vec::new(), now)
            })
            .await?;
        Ok(())
    }
}

/// Why trying again would end like this time, if it would: a refusal that is not about now, or a receipt for something else than was sent.
fn in_vain(error: &TransferError) -> Option<Explanation> {
    match error {
        TransferError::Plane(PlaneError::Refused { status, reason })
            if (400..500).contains(status) && !matches!(status, 408 | 409 | 425 | 429) =>
        {
            let said = format!("the destination answered {status}: {reason}");
            Some(Explanation::new("refused", said))
        }
        TransferError::Release(why) if why.is_final() => Some(Explanation::new("release", NEUTRAL)),
        TransferError::Receipt(_) => Some(Explanation::new("receipt", error.to_string())),
        _ => None,
    }
}

fn wants_push(record: &TransferRecord) -> bool {
    record.core.role == Role::Provider
        && record.is_push()
        && record.core.position.state == Some(State::Started)
        && record.core.position.pending.is_empty()
        && !record.pushed
}
