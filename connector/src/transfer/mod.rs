//! Transfer processes: the control side of the data plane, in both roles. Sends nothing itself; opens and stops streams.

mod error;
mod members;
mod pull;
mod push;
mod reception;
mod record;
mod streams;
mod token;

pub use error::TransferError;
pub use pull::Puller;
pub use push::Pusher;
pub use reception::{Counts, Live, file};
pub use record::{Released, TransferRecord};
pub use token::TokenKey;

use crate::{
    audit::Log,
    catalog::{Catalog, Decisions, Mode},
    consent::Consents,
    contract::Agreements,
    dsp::{
        AgreementId, FORMATS, MessageError, ParticipantId, Pid, Role,
        message::{DataAddress, Explanation, Received, TransferMessage},
        transfer::{State, Transfer},
    },
    jose::{self},
    plane::CursorKey,
    process::{
        Answer, Core, Events, Exhibit, Incoming, Ledger, MessageKey, Outgoing, ProcessError, Queue, Turn,
        outbox::Outcome,
    },
    trust::{Peer, Trust, Verified},
};
use policy::Timestamp;
use serde_json::Value;
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
    /// What is decided here and what waits for the operator.
    pub decisions: Decisions,
    /// Reads the time.
    pub clock: fn() -> Timestamp,
}

/// A verified request to us, with the header that belongs to a completion.
pub struct Call<'a> {
    /// The message with the proof of its sender.
    pub message: &'a Verified<Received<TransferMessage>>,
    /// The receipt, if one came along.
    pub receipt: Option<&'a str>,
    /// The address that it was sent to, as we advertise it.
    pub url: &'a str,
}

/// The transfer service of one connector.
pub struct Transfers {
    ledger: Ledger<TransferRecord>,
    parts: Parts,
    pulls: Arc<Queue>,
    pushes: Arc<Queue>,
    live: Live,
    claims: members::Claims,
    /// What still has to be recorded about streams that ended.
    ends: TaskTracker,
}

impl Transfers {
    /// The service.
    pub fn new(parts: Parts) -> Self {
        let ledger = Ledger::new(parts.log.clone(), parts.queue.clone(), parts.events.clone());
        Self {
            ledger,
            parts,
            pulls: Arc::default(),
            pushes: Arc::default(),
            live: Live::default(),
            claims: members::Claims::default(),
            ends: TaskTracker::new(),
        }
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

    // ---- commands of the operator ------------------------------------------------------------------------------------

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
        let record = self
            .command(pid, now, |_| TransferMessage::Termination(why.clone()))
            .await?;
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
        self.pulls.wake(crate::process::Protocol::Transfer, pid);
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
        queue.wake(crate::process::Protocol::Transfer, &record.core.pid);
    }

    /// Stops whatever stream runs for this transfer, in either role.
    fn halt(&self, record: &TransferRecord) {
        self.parts.consents.index().stop(&record.core.pid);
        self.live.stop(&record.core.pid);
    }

    // ---- messages of peers -------------------------------------------------------------------------------------------

    /// A consumer's request. A repetition of its `consumerPid` is the same process (DSP 2025-1 §9.2).
    pub async fn open(&self, call: Call<'_>, now: Timestamp) -> Result<Answer, TransferError> {
        let received = call.message.value();
        let TransferMessage::Request {
            agreement,
            format,
            callback,
            data_address,
        } = &received.message
        else {
            return Err(TransferError::Invalid(
                "only a TransferRequestMessage opens a transfer".into(),
            ));
        };
        let sender = call.message.sender();
        let theirs = received
            .pids
            .consumer
            .as_ref()
            .ok_or(MessageError::Missing("consumerPid"))?;
        let incoming = incoming(&call, Some(theirs), now);
        if let Some(pid) = self.ledger.find(&sender.did, Role::Provider, theirs).await? {
            let record = self.ledger.of_peer(&pid, &sender.did).await?;
            if let Some(answer) = self.ledger.opened(&pid, &incoming).await? {
                return Ok(answer);
            }
            self.ledger.spend(&incoming.spent).await?;
            return Ok(Answer {
                status: 201,
                state: record.core.state_name(),
                pids: record.core.pids(),
                extra: None,
                refusal: None,
                last: None,
            });
        }
        crate::net::guard::check(callback, sender.reach).map_err(|why| TransferError::Callback(why.to_string()))?;
        let stored = self.agreement(agreement, Role::Provider).await?;
        if stored.consumer != sender.did {
            return Err(TransferError::UnknownAgreement(agreement.to_string()));
        }
        self.plan(&stored, now)?;
        let dataset = self
            .parts
            .catalog
            .get(&stored.dataset)
            .await?
            .ok_or(TransferError::UnknownDataset)?;
        if !dataset.formats().contains(&format.as_str()) {
            return Err(TransferError::UnknownFormat(format.chars().take(80).collect()));
        }
        let held = dataset.decisions.over(self.parts.decisions).transfers == Mode::Manual;
        let mut core = Core::new(
            Pid::from_uuid(jose::uuid(now).map_err(jose::JoseError::from)?),
            sender.did.clone(),
            Role::Provider,
            callback.clone(),
            now,
        );
        core.opened_by(&incoming)?;
        let mut record = TransferRecord::new(core, &stored, format, held);
        destination(&mut record, data_address.as_ref(), sender)?;
        let answer = Answer {
            status: 201,
            state: record.core.state_name(),
            pids: record.core.pids(),
            extra: None,
            refusal: None,
            last: None,
        };
        let mut turn = Turn::default();
        if !held {
            let start = self.start_message(&mut record, now);
            record.send(&mut turn, &start, Vec::new(), now)?;
        }
        self.ledger.admit(&record, &incoming, &answer, turn, now).await?;
        Ok(answer)
    }

    /// Any later message, addressed to our process id.
    pub async fn receive(&self, pid: &Pid, call: Call<'_>, now: Timestamp) -> Result<Answer, TransferError> {
        let received = call.message.value();
        let record = self.ledger.of_peer(pid, &call.message.sender().did).await?;
        let (mine, theirs) = match record.core.role {
            Role::Consumer => (&received.pids.consumer, &received.pids.provider),
            Role::Provider => (&received.pids.provider, &received.pids.consumer),
        };
        if mine.as_ref() != Some(pid) {
            return Err(MessageError::PidMismatch.into());
        }
        let mut incoming = incoming(&call, theirs.as_ref(), now);
        if matches!(received.message, TransferMessage::Start { .. }) && call.message.signed_with().is_none() {
            incoming.renews_in = Some(State::Started);
        }
        let keys = match call.receipt {
            Some(_) => self
                .parts
                .trust
                .resolver()
                .document(call.message.sender(), now)
                .await
                .ok(),
            None => None,
        };
        let (record, answer) = self
            .ledger
            .receive(pid, incoming, now, |record: &mut TransferRecord, turn| {
                self.take(record, turn, &call, keys.as_deref(), now)
            })
            .await?;
        match record.core.position.state {
            Some(State::Started) => self.go_on(&record),
            _ => self.halt(&record),
        }
        Ok(answer)
    }

    fn take(
        &self,
        record: &mut TransferRecord,
        turn: &mut Turn,
        call: &Call<'_>,
        keys: Option<&crate::trust::did::Document>,
        now: Timestamp,
    ) -> Result<Option<Value>, TransferError> {
        match (&call.message.value().message, record.core.role) {
            (TransferMessage::Request { .. }, _) => Err(TransferError::Invalid("the transfer exists already".into())),
            (TransferMessage::Start { data_address }, Role::Consumer) => {
                match data_address {
                    _ if record.is_push() => {}
                    Some(address) => record.take_address(address)?,
                    None if record.data_address.is_some() => {}
                    None => return Err(MessageError::Missing("dataAddress").into()),
                }
                Ok(None)
            }
            // The consumer goes on; a fresh token travels in our answer, whose body the protocol leaves to us.
            (TransferMessage::Start { .. }, Role::Provider) if record.is_push() => Ok(None),
            // EDC reads no answer and waits for a start of the provider's with the new address. It takes no step: nothing hangs on it.
            (TransferMessage::Start { .. }, Role::Provider) if call.message.signed_with().is_none() => {
                let message = self.start_message(record, now);
                record.remind(turn, &message, now)?;
                Ok(None)
            }
            (TransferMessage::Start { .. }, Role::Provider) => Ok(Some(self.data_address(record, now).write())),
            (TransferMessage::Suspension(why), _) => {
                record.core.explanation = Some(why.clone());
                Ok(None)
            }
            (TransferMessage::Termination(why), _) => {
                record.core.explanation = Some(why.clone());
                Ok(None)
            }
            (TransferMessage::Completion, _) => {
                if let Some(receipt) = call.receipt {
                    let digest = record.take_receipt(receipt, keys)?;
                    record.record_receipt(turn, receipt, &digest, now);
                }
                Ok(None)
            }
        }
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
        }
        Ok(())
    }
}

/// A push names where it goes, a pull must not (DSP 2025-1 §9.2.1). The place is one that we would contact for this peer.
fn destination(record: &mut TransferRecord, address: Option<&DataAddress>, sender: &Peer) -> Result<(), TransferError> {
    match (record.is_push(), address) {
        (false, None) => Ok(()),
        (false, Some(_)) => Err(TransferError::Invalid(
            "a pull takes no dataAddress in its request".into(),
        )),
        (true, None) => Err(MessageError::Missing("dataAddress").into()),
        (true, Some(address)) => {
            record.take_address(address)?;
            let place = address.endpoint.as_ref().ok_or(MessageError::Missing("dataAddress"))?;
            crate::net::guard::check(place, sender.reach)
                .map_err(|why| TransferError::Invalid(format!("dataAddress: {why}")))
        }
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

fn incoming<'a>(call: &Call<'a>, peer_pid: Option<&'a Pid>, now: Timestamp) -> Incoming<'a, Transfer> {
    let received = call.message.value();
    let kind = received.message.type_name();
    Incoming {
        step: received.message.step(),
        kind,
        peer_pid,
        sender: &call.message.sender().did,
        key: MessageKey::of(received.id.as_ref(), call.message),
        body: call.message.body_digest(),
        signed_with: call.message.signed_with(),
        spent: call.message.spent(),
        exhibit: Exhibit::received(call.message, kind, call.url, &[(RECEIPT_HEADER, call.receipt)], now),
        renews_in: None,
    }
}
