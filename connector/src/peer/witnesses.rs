//! Has peers cosign the checkpoints of our log (C2SP tlog-witness): each peer that signs and with which we ever negotiated is asked at the
//! start and after a seal, at most once an interval, until it has cosigned the newest one. A seal wakes the task of each.

use super::Peers;
use crate::{
    audit::{AuditError, Log, SignedCheckpoint, Submission, note::Signature},
    contract::NegotiationRecord,
    dsp::ParticipantId,
    net::{NetError, Request},
    process::{self, Events, Kind, events::Heard},
    store::StoreError,
    trust::{Peer, PublishedLog, did::DidError},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

/// Most signature lines of an answer that are looked at.
const MAX_LINES: usize = 64;
/// The type of an answer that says which size the witness knows.
const SIZE: &str = "text/x.tlog.size";

/// Runs until it is told to stop.
pub struct Witnesses {
    /// The way out.
    pub peers: Arc<Peers>,
    /// Say with whom we begin to.
    pub events: Arc<Events>,
    /// What is to be cosigned; its store says with whom we have negotiated.
    pub log: Arc<Log>,
    /// A peer is not asked again before this time has passed.
    pub interval: Duration,
    /// Ends everything.
    pub shutdown: CancellationToken,
}

/// Why a peer has not cosigned.
#[derive(Debug, thiserror::Error)]
enum Unwitnessed {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error(transparent)]
    Did(#[from] DidError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("it has published no log")]
    NoLog,
    #[error("it answered {0}: {1}")]
    Refused(StatusCode, String),
    #[error("its answer carries no signature of its own")]
    NoSignature,
    #[error("it knows this log with {known} entries, of which {found} are left")]
    Shorter { known: u64, found: u64 },
}

impl Unwitnessed {
    /// The witness remembers another log than this one: an older store was put back, or entries were changed.
    fn is_alarming(&self) -> bool {
        let refused = |status: &StatusCode| matches!(*status, StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY);
        match self {
            Self::Shorter { .. } => true,
            Self::Refused(status, _) => refused(status),
            _ => false,
        }
    }
}

enum Answer {
    Lines(Vec<Signature>),
    /// It starts from another size.
    Size(u64),
}

impl Witnesses {
    /// Takes up the peers of all negotiations so far, then follows the events.
    pub async fn run(self: Arc<Self>) -> Result<(), StoreError> {
        let (tracker, mut asked) = (TaskTracker::new(), BTreeSet::new());
        let mut listener = self.events.listen(None);
        let mut list = true;
        loop {
            if list {
                let listed = process::each(
                    &**self.log.store(),
                    NegotiationRecord::TABLE,
                    |record: NegotiationRecord| {
                        self.follow(&record.core.peer, &mut asked, &tracker);
                        Ok(())
                    },
                );
                if let Err(error) = listed.await {
                    tracing::error!(%error, "some peers are not asked to cosign: the negotiations cannot be read");
                }
            }
            let heard = tokio::select! {
                heard = listener.next() => heard,
                () = self.shutdown.cancelled() => break,
            };
            list = matches!(heard, Heard::Missed(_));
            if let Heard::Event(event) = heard {
                self.follow(&event.change.peer, &mut asked, &tracker);
            }
        }
        tracker.close();
        tracker.wait().await;
        Ok(())
    }

    /// Begins to ask a peer, unless it cannot sign or is asked already. A member that has not shown itself since the start is asked too.
    fn follow(self: &Arc<Self>, did: &ParticipantId, asked: &mut BTreeSet<ParticipantId>, tracker: &TaskTracker) {
        let trust = &self.peers.trust;
        let peer = trust.addressee(did).filter(|peer| trust.is_held(peer));
        let Some(peer) = peer.filter(|_| asked.insert(did.clone())) else {
            return;
        };
        let this = self.clone();
        tracker.spawn(async move {
            let stop = this.shutdown.clone();
            tokio::select! {
                () = this.ask_after_seals(&peer) => {}
                () = stop.cancelled() => {}
            }
        });
    }

    async fn ask_after_seals(&self, peer: &Peer) {
        let (mut sealed, mut known) = (self.log.sealed(), 0);
        loop {
            // A seal from here on, the pause included, is news.
            sealed.mark_unchanged();
            let is_over = match self.ask(peer, &mut known).await {
                Ok(size) => {
                    tracing::debug!(peer = %peer.did, size, "the newest checkpoint is cosigned");
                    true
                }
                Err(error) if error.is_alarming() => {
                    tracing::error!(peer = %peer.did, %error, "this log is not what it was when a peer cosigned it");
                    true
                }
                Err(error) => {
                    tracing::debug!(peer = %peer.did, %error, "a checkpoint was not cosigned");
                    false
                }
            };
            tokio::time::sleep(self.interval).await;
            if is_over && sealed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Has the newest checkpoint cosigned, unless it is; `known` is the size from which the witness takes proofs, as far as we know.
    async fn ask(&self, peer: &Peer, known: &mut u64) -> Result<u64, Unwitnessed> {
        let now = (self.peers.clock)();
        let document = self.peers.trust.resolver().document(peer, now).await?;
        let log = document.log.as_ref().ok_or(Unwitnessed::NoLog)?;
        let Some(checkpoint) = self.log.newest().await? else {
            return Ok(0);
        };
        let size = checkpoint.checkpoint().size;
        let cosigned = self.log.cosignatures(size).await?;
        if cosigned.iter().any(|(witness, _)| *witness == log.key) {
            *known = size;
            return Ok(size);
        }
        let mut answer = self.submit(peer, log, &checkpoint, *known).await?;
        if let Answer::Size(other) = answer {
            if other > size {
                return Err(Unwitnessed::Shorter {
                    known: other,
                    found: size,
                });
            }
            *known = other;
            answer = self.submit(peer, log, &checkpoint, other).await?;
        }
        let Answer::Lines(lines) = answer else {
            return Err(Unwitnessed::NoSignature);
        };
        for signature in lines {
            if self.log.add_cosignature(&checkpoint, &log.key, signature).await.is_ok() {
                *known = size;
                return Ok(size);
            }
        }
        Err(Unwitnessed::NoSignature)
    }

    async fn submit(
        &self,
        peer: &Peer,
        log: &PublishedLog,
        checkpoint: &SignedCheckpoint,
        old: u64,
    ) -> Result<Answer, Unwitnessed> {
        let submission = Submission {
            old,
            proof: self.log.consistency(old, checkpoint.checkpoint().size).await?,
            checkpoint: checkpoint.clone(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        let request = Request {
            method: Method::POST,
            url: below(&log.address),
            headers,
            body: submission.to_string().into(),
            reach: peer.reach,
        };
        let response = self.peers.client.send(request).await?;
        let text = String::from_utf8_lossy(&response.body);
        let kind = response.headers.get(header::CONTENT_TYPE);
        if response.status == StatusCode::CONFLICT && kind.is_some_and(|kind| kind == SIZE) {
            let size = text.trim_end().parse().ok().filter(|size| *size != old);
            return size.map(Answer::Size).ok_or(Unwitnessed::NoSignature);
        }
        if response.status != StatusCode::OK {
            let said = text.chars().take(200).collect();
            return Err(Unwitnessed::Refused(response.status, said));
        }
        let lines = text.lines().take(MAX_LINES).map(Signature::read);
        Ok(Answer::Lines(lines.filter_map(Result::ok).collect()))
    }
}

/// Where a log takes checkpoints to cosign.
fn below(log: &Url) -> Url {
    let mut url = log.clone();
    url.set_path(&format!("{}/add-checkpoint", log.path().trim_end_matches('/')));
    url
}
