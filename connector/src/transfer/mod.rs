//! Transfer processes: the control side of the data plane, in both roles. Sends nothing itself; opens and stops streams.

mod erased;
mod erasure;
mod error;
mod hours;
mod informing;
mod members;
mod messages;
mod pull;
mod push;
mod question;
mod reception;
mod record;
mod refused;
mod releases;
mod streams;
mod token;
mod usage;

pub use erasure::Eraser;
pub use error::TransferError;
pub use messages::Call;
pub use pull::Puller;
pub use push::Pusher;
pub use reception::{Counts, Live, file};
pub use record::{Erased, Released, TransferRecord};
pub use releases::NEUTRAL;
pub use token::TokenKey;

use crate::{
    audit::Log,
    catalog::{self, Catalog, Decisions, Mode},
    consent::{
        Consents, Deliveries,
        exchange::{Disclosures, Retractions},
    },
    contract::Agreements,
    dsp::{
        AgreementId, FORMATS, ParticipantId, Pid, Role,
        message::{DataAddress, Explanation, TransferMessage},
        transfer::State,
    },
    jose::HmacKey,
    plane::{CursorKey, release::ReleaseError},
    process::{Core, Events, Ledger, Outgoing, ProcessError, Protocol, Queue, Recent, Turn, outbox::Outcome},
    store::StoreError,
    trust::{Trust, Verified},
};
use policy::Timestamp;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio_util::task::TaskTracker;
use url::Url;

/// The header of a completion: the consumer's signed receipt.
pub const RECEIPT_HEADER: &str = "x-dases-receipt";

/// Secrets of the data plane, all made from the daemon's master secret.
pub struct Keys {
    /// Makes the tokens of data requests.
    pub tokens: TokenKey,
    /// Seals source cursors.
    pub cursors: Arc<CursorKey>,
    /// Names learners in the ledgers of releases.
    pub releases: HmacKey,
}

/// What the service needs from the rooms above it.
pub struct Parts {
    /// Commits and entries.
    pub log: Arc<Log>,
    /// Undelivered messages.
    pub queue: Arc<Queue>,
    /// Who listens.
    pub events: Arc<Events>,
    /// Datasets.
    pub catalog: Arc<Catalog>,
    /// Agreements.
    pub agreements: Agreements,
    /// Consents.
    pub consents: Arc<Consents>,
    /// Who received records of whom.
    pub deliveries: Arc<Deliveries>,
    /// What may not be kept of what is received.
    pub retractions: Arc<Retractions>,
    /// Whom agreements have told of transfers.
    pub disclosures: Arc<Disclosures>,
    /// Identities.
    pub trust: Arc<Trust>,
    /// Secrets.
    pub keys: Keys,
    /// Our public base address for DSP.
    pub base: Url,
    /// Our public root address.
    pub root: Url,
    /// How long a data token is good for opening a stream.
    pub token_lifetime: Duration,
    /// Pace of each outgoing stream; 0 for as fast as it goes.
    pub stream_bytes_per_second: u64,
    /// Where received records go.
    pub received: PathBuf,
    /// The operator's register of events.
    pub policy_events: Vec<catalog::Event>,
    /// Where the lines of releases are kept.
    pub released: PathBuf,
    /// What is decided here and what waits for the operator.
    pub decisions: Decisions,
    /// How many transfers may be open with one peer before it opens no more.
    pub most_open: usize,
    /// Reads the time.
    pub clock: fn() -> Timestamp,
}

/// So many times, within this time, the stream of a transfer may be opened: each time puts entries into the audit log, which a receiver that asks
/// and hangs up without end would fill. Whoever takes a broken stream up again, waiting longer each time, stays far below.
const MOST_OPENINGS: usize = 120;
/// See [`MOST_OPENINGS`].
const OPENINGS_WITHIN: Duration = Duration::from_secs(60);

/// The transfer service of one connector.
pub struct Transfers {
    ledger: Ledger<TransferRecord>,
    parts: Parts,
    pulls: Arc<Queue>,
    pushes: Arc<Queue>,
    live: Live,
    claims: members::Claims,
    /// When the streams of a transfer were opened.
    openings: Recent<Pid>,
    refusals: refused::Refusals,
    usage: usage::Usage,
    releases: releases::Releases,
    /// What still has to be recorded about streams that ended.
    ends: TaskTracker,
}

impl Transfers {
    /// The service over the log's store.
    pub async fn load(parts: Parts) -> Result<Self, StoreError> {
        let (log, queue, events) = (parts.log.clone(), parts.queue.clone(), parts.events.clone());
        let usage = usage::Usage::new(log.clone(), parts.disclosures.clone());
        let transfers = Self {
            ledger: Ledger::over(log, queue, events, parts.most_open).await?,
            releases: releases::Releases::new(parts.keys.releases.clone(), parts.released.clone()),
            parts,
            pulls: Arc::default(),
            pushes: Arc::default(),
            live: Live::default(),
            claims: members::Claims::default(),
            openings: Recent::new(MOST_OPENINGS, OPENINGS_WITHIN),
            refusals: refused::Refusals::default(),
            usage,
            ends: TaskTracker::new(),
        };
        transfers.sweep_releases().await?;
        Ok(transfers)
    }

    /// Transfers that have data to fetch.
    pub(crate) fn pulls(&self) -> &Arc<Queue> {
        &self.pulls
    }

    /// Transfers that have data to send.
    pub(crate) fn pushes(&self) -> &Arc<Queue> {
        &self.pushes
    }

    /// Counts of running receptions.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Where changes are announced.
    pub fn events(&self) -> &Arc<Events> {
        self.ledger.events()
    }

    /// All transfers.
    pub async fn list(&self) -> Result<Vec<TransferRecord>, TransferError> {
        Ok(self.ledger.list().await?)
    }

    /// One transfer.
    pub async fn get(&self, pid: &Pid) -> Result<TransferRecord, TransferError> {
        Ok(self.ledger.load(pid).await?.ok_or(ProcessError::NotFound)?.0)
    }

    /// One transfer, for the peer that takes part in it.
    pub async fn get_for(&self, pid: &Pid, peer: &ParticipantId) -> Result<TransferRecord, TransferError> {
        Ok(self.ledger.of_peer(pid, peer).await?)
    }

    /// Answers to a request that changed nothing must burn its id too.
    pub async fn spend<T>(&self, verified: &Verified<T>) -> Result<(), TransferError> {
        Ok(self.ledger.spend(&verified.spent()).await?)
    }

    /// Asks for the data of an agreement, as its consumer: to fetch them, or to have them sent. `pid` is our id for the transfer.
    pub async fn request(
        &self,
        pid: Pid,
        agreement: &AgreementId,
        format: &str,
        peer_base: Url,
        now: Timestamp,
    ) -> Result<TransferRecord, TransferError> {
        if !FORMATS.contains(&format) {
            return Err(TransferError::UnknownFormat(format.chars().take(80).collect()));
        }
        let stored = self.agreement(agreement, Role::Consumer).await?;
        self.parts.trust.meet(&stored.provider, now).await?;
        let core = Core::new(pid, stored.provider.clone(), Role::Consumer, peer_base, now);
        let held = self.parts.decisions.transfers == Mode::Manual;
        let mut record = TransferRecord::new(core, &stored, format, held);
        let mut turn = Turn::default();
        let message = TransferMessage::Request {
            agreement: agreement.clone(),
            format: format.to_owned(),
            callback: self.parts.base.clone(),
            data_address: record.is_push().then(|| self.data_address(&mut record, now)),
        };
        record.send(&mut turn, &message, Vec::new(), now)?;
        self.ledger.open(&record, turn, now).await?;
        Ok(record)
    }

    /// Starts a requested transfer as its provider, or a suspended one from either side.
    pub async fn start(&self, pid: &Pid, now: Timestamp) -> Result<TransferRecord, TransferError> {
        self.command(pid, now, |record| self.start_message(record, now)).await
    }

    /// Suspends a transfer from our side. Data stops at once, whether the peer has heard of it or not.
    pub async fn suspend(&self, pid: &Pid, why: Explanation, now: Timestamp) -> Result<TransferRecord, TransferError> {
        let record = self
            .command(pid, now, |_| TransferMessage::Suspension(why.clone()))
            .await?;
        self.halt(&record);
        Ok(record)
    }

    /// Says that everything was transferred.
    pub async fn complete(&self, pid: &Pid, now: Timestamp) -> Result<TransferRecord, TransferError> {
        let record = self.command(pid, now, |_| TransferMessage::Completion).await?;
        self.halt(&record);
        Ok(record)
    }

    /// Ends a transfer. Data stops at once.
    pub async fn terminate(
        &self,
        pid: &Pid,
        why: Explanation,
        now: Timestamp,
    ) -> Result<TransferRecord, TransferError> {
        self.terminate_by(pid, why, None, now).await
    }

    /// The same where no release could be made: what refused it stays in our record, the peer is told `why` alone.
    async fn terminate_by(
        &self,
        pid: &Pid,
        why: Explanation,
        refused: Option<&ReleaseError>,
        now: Timestamp,
    ) -> Result<TransferRecord, TransferError> {
        let step = |record: &mut TransferRecord| {
            record.refused_release(refused);
            TransferMessage::Termination(why.clone())
        };
        let record = self.command(pid, now, step).await?;
        self.halt(&record);
        Ok(record)
    }

    /// Consumer, where the operator decides: fetches the data of a started pull.
    pub async fn fetch(&self, pid: &Pid, now: Timestamp) -> Result<TransferRecord, TransferError> {
        let (record, ()) = self
            .ledger
            .change(pid, now, |record: &mut TransferRecord, _| {
                if record.core.role != Role::Consumer || record.is_push() {
                    return Err(TransferError::Invalid("only the consumer of a pull fetches".into()));
                }
                if record.core.position.state != Some(State::Started) {
                    return Err(TransferError::NotStarted);
                }
                record.wants_fetch = true;
                Ok(())
            })
            .await?;
        self.pulls.wake(Protocol::Transfer, pid);
        Ok(record)
    }

    async fn command(
        &self,
        pid: &Pid,
        now: Timestamp,
        message: impl Fn(&mut TransferRecord) -> TransferMessage,
    ) -> Result<TransferRecord, TransferError> {
        let (record, ()) = self
            .ledger
            .change(pid, now, |record: &mut TransferRecord, turn| {
                let message = message(record);
                let headers = match &message {
                    TransferMessage::Completion => record.receipt_header(),
                    _ => Vec::new(),
                };
                record.send(turn, &message, headers, now)?;
                if let TransferMessage::Suspension(why) | TransferMessage::Termination(why) = message {
                    record.core.explanation = Some(why);
                }
                Ok::<(), TransferError>(())
            })
            .await?;
        Ok(record)
    }

    /// The provider of a pull says where to fetch, with a new token (DSP 2025-1 §9.2.2).
    fn start_message(&self, record: &mut TransferRecord, now: Timestamp) -> TransferMessage {
        let tells = record.core.role == Role::Provider && !record.is_push();
        TransferMessage::Start {
            data_address: tells.then(|| self.data_address(record, now)),
        }
    }

    /// Wakes whoever moves the data of a started transfer.
    fn go_on(&self, record: &TransferRecord) {
        let queue = match (record.core.role, record.is_push()) {
            (Role::Consumer, false) => &self.pulls,
            (Role::Provider, true) => &self.pushes,
            _ => return,
        };
        queue.wake(Protocol::Transfer, &record.core.pid);
    }

    /// Stops whatever stream runs for this transfer, in either role.
    fn halt(&self, record: &TransferRecord) {
        self.parts.consents.index().stop(&record.core.pid);
        self.live.stop(&record.core.pid);
    }

    /// Takes in what became of a message of ours.
    pub async fn settle(&self, entry: &Outgoing, outcome: &Outcome, now: Timestamp) -> Result<(), TransferError> {
        let record = self
            .ledger
            .settle(entry, outcome, now, |record: &mut TransferRecord, turn| match outcome {
                Outcome::Acknowledged { body, .. } => {
                    if record.core.role == Role::Consumer
                        && !record.is_push()
                        && let Some(address) = body.get("dataAddress")
                    {
                        record.take_address(&DataAddress::read(address)?)?;
                    }
                    Ok(())
                }
                Outcome::Refused { explanation, .. } => after_refusal(record, turn, explanation, now),
            })
            .await?;
        if record.core.position.state == Some(State::Started) {
            self.go_on(&record);
        }
        if record.core.position.is_terminal() {
            self.halt(&record);
            self.drop_release_if_over(&record).await;
        }
        Ok(())
    }
}

/// A start that the peer refuses leaves the two sides apart: the transfer ends. Other refusals leave the state as it was.
fn after_refusal(
    record: &mut TransferRecord,
    turn: &mut Turn,
    explanation: &Explanation,
    now: Timestamp,
) -> Result<(), TransferError> {
    match record.core.position.state {
        Some(State::Requested) if record.core.position.pending.is_empty() => {
            let said = explanation.reasons.first().cloned().unwrap_or_default();
            let why = Explanation::new("refused", format!("our last message was refused: {said}"));
            record.send(turn, &TransferMessage::Termination(why), Vec::new(), now)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
