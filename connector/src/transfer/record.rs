//! The stored form of one transfer, and how its messages are addressed.

use super::{RECEIPT_HEADER, TransferError};
use crate::{
    audit::{Entry, Kind as Recorded},
    consent::exchange::{EndReason, Stream},
    contract::StoredAgreement,
    dsp::{
        AgreementId, DatasetId, FORMAT_HTTP_PULL, FORMAT_HTTP_PUSH, Role,
        message::{DataAddress, TransferMessage},
        transfer::Transfer,
    },
    jose::{self, Digest, token},
    plane::{incoming::Progress, outgoing::Report, release::ReleaseError},
    process::{
        About, Core, Draft, Exhibit, Kind, ProcessError, Protocol, Turn,
        archive::{Direction, Form},
    },
    store::Table,
    trust::did::Document,
};
use bytes::Bytes;
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, marker::PhantomData, time::Duration};

/// What left, as the provider knows it. The peer is never told what was withheld, and of how many learners at most once, as a rounded total.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Released {
    /// Records sent.
    pub sent: u64,
    /// Records withheld, by the code of the reason (`policy/PROFILE.md`), or of what makes a record unusable; of a release of groups or
    /// anonymous rows the records that were not counted when it was made.
    pub withheld: BTreeMap<String, u64>,
    /// Fields left out of sent records.
    pub fields_removed: u64,
    /// Root over the record lines sent.
    pub root: String,
    /// The end line was handed over.
    pub complete: bool,
}

/// Records that were erased from what a transfer brought, all for one reason. The signed lines and the receipt stay: they speak of what came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Erased {
    /// Why.
    pub reason: EndReason,
    /// How many records.
    pub records: u64,
    /// When the last of them.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// One transfer as it is stored. Changing a member changes what is on operators' disks.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransferRecord {
    /// What it shares with negotiations.
    #[serde(flatten)]
    pub core: Core<Transfer>,
    /// Under which agreement.
    pub agreement: AgreementId,
    /// Of which dataset.
    pub dataset: DatasetId,
    /// In which of the dataset's formats.
    #[serde(default = "pull")]
    pub format: String,
    /// Pull: where the consumer fetches. Push: where the provider sends.
    pub data_address: Option<DataAddress>,
    /// The operator decides about every step.
    #[serde(default)]
    pub held: bool,
    /// Consumer, where the operator decides: it has said that the data are to be fetched.
    #[serde(default)]
    pub wants_fetch: bool,
    /// Provider of a push: everything has arrived.
    #[serde(default)]
    pub pushed: bool,
    /// Provider: it was sent to the end once, whatever was sent after that.
    #[serde(default)]
    pub sent_to_end: bool,
    /// Number of the data token that is good now: the provider's of a pull, the consumer's of a push.
    pub token_serial: u64,
    /// Consumer: how far the reception is.
    pub progress: Progress,
    /// Consumer: what was erased of what came, once for each reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub erased: Vec<Erased>,
    /// Provider: what left.
    pub release: Option<Released>,
    /// Provider: the total that the consumer was told last of what was withheld. To look at; `plane/telling.rs` keeps what is told again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<u64>,
    /// Provider: by which rule no release was made (`AGG` in `policy/PROFILE.md`), so that it ended. It stays here: the peer is told that there
    /// is none and not why, for that would tell it of learners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_refused: Option<String>,
    /// Provider: the records that were not counted for the release that was refused, by the code of the reason. They stay here as well.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub release_withheld: BTreeMap<String, u64>,
    /// The consumer's signed receipt.
    pub receipt: Option<String>,
}

/// EDC repeats a message whose answer was lost after half a second; a start that comes before the repetition is answered would be
/// overwritten in its state.
const PAUSE: Duration = Duration::from_secs(1);

fn pull() -> String {
    FORMAT_HTTP_PULL.to_owned()
}

impl Kind for TransferRecord {
    type Machine = Transfer;
    const TABLE: Table = Table(10);
    const INDEX: Table = Table(11);
    const PROTOCOL: Protocol = Protocol::Transfer;

    fn core(&self) -> &Core<Transfer> {
        &self.core
    }

    fn core_mut(&mut self) -> &mut Core<Transfer> {
        &mut self.core
    }

    fn about(&self) -> About {
        About {
            dataset: self.dataset.clone(),
            agreement: Some(self.agreement.clone()),
            offer_by: None,
        }
    }
}

impl TransferRecord {
    pub(super) fn new(core: Core<Transfer>, stored: &StoredAgreement, format: &str, held: bool) -> Self {
        Self {
            core,
            agreement: stored.id.clone(),
            dataset: stored.dataset.clone(),
            format: format.to_owned(),
            data_address: None,
            held,
            wants_fetch: false,
            pushed: false,
            sent_to_end: false,
            token_serial: 0,
            progress: Progress::default(),
            erased: Vec::new(),
            release: None,
            told: None,
            release_refused: None,
            release_withheld: BTreeMap::new(),
            receipt: None,
        }
    }

    /// Its stream, as what holders told us refers to it.
    pub fn stream(&self) -> Stream {
        Stream {
            transfer: self.core.peer_pid.clone(),
            agreement: self.agreement.clone(),
            created: self.core.created,
        }
    }

    /// Counts records that were erased.
    pub(super) fn count_erased(&mut self, reason: EndReason, records: u64, at: Timestamp) {
        match self.erased.iter_mut().find(|erased| erased.reason == reason) {
            Some(erased) => {
                erased.records += records;
                erased.at = at;
            }
            None => self.erased.push(Erased { reason, records, at }),
        }
    }

    /// The provider sends; otherwise the consumer fetches.
    pub fn is_push(&self) -> bool {
        self.format == FORMAT_HTTP_PUSH
    }

    /// The header of a completion: the receipt, if there is one.
    pub(super) fn receipt_header(&self) -> Vec<(String, String)> {
        let header = |receipt: &String| (RECEIPT_HEADER.to_owned(), receipt.clone());
        self.receipt
            .iter()
            .filter(|_| self.core.role == Role::Consumer)
            .map(header)
            .collect()
    }

    pub(super) fn take_address(&mut self, address: &DataAddress) -> Result<(), TransferError> {
        if address.endpoint.is_none() {
            return Err(TransferError::Invalid("the dataAddress has no endpoint".into()));
        }
        self.data_address = Some(address.clone());
        Ok(())
    }

    /// Keeps the signed lines of a stream in the archive; the hashes that tie `entry` to them are added to it.
    pub(super) fn keep_lines(
        &mut self,
        turn: &mut Turn,
        lines: [(&'static str, Option<Bytes>); 2],
        entry: Entry,
        now: Timestamp,
    ) -> Entry {
        let direction = match self.core.role {
            Role::Provider => Direction::Out,
            Role::Consumer => Direction::In,
        };
        let peer = self.core.peer.clone();
        lines.into_iter().fold(entry, |entry, (name, line)| {
            let Some(line) = line else { return entry };
            let entry = entry.of(name, &jose::sha256(&line));
            let number = turn.exhibit(self, Exhibit::of(direction, Form::Line, name, &peer, line, now));
            entry.archived(number)
        })
    }

    /// Consumer: keeps the signed lines of what was received and our receipt for it.
    pub(super) fn keep_reception(&mut self, turn: &mut Turn, entry: Entry, now: Timestamp) -> Entry {
        let line = |line: &Option<String>| line.as_ref().map(|line| Bytes::copy_from_slice(line.as_bytes()));
        let lines = [("begin", line(&self.progress.begin)), ("end", line(&self.progress.end))];
        let entry = self.keep_lines(turn, lines, entry, now);
        match self.receipt.clone() {
            Some(receipt) => entry.archived(self.keep_receipt(turn, &receipt, now)),
            None => entry,
        }
    }

    /// Provider: keeps a receipt that came, and records it.
    pub(super) fn record_receipt(&mut self, turn: &mut Turn, receipt: &str, digest: &Digest, now: Timestamp) {
        let number = self.keep_receipt(turn, receipt, now);
        turn.record(
            Entry::new(Recorded::Receipt)
                .with("process", self.core.pid.as_str())
                .of("object", digest)
                .archived(number),
        );
    }

    /// Keeps a receipt in the archive, whether it came or was signed here.
    fn keep_receipt(&mut self, turn: &mut Turn, receipt: &str, now: Timestamp) -> u64 {
        let direction = match self.core.role {
            Role::Provider => Direction::In,
            Role::Consumer => Direction::Out,
        };
        let (peer, body) = (self.core.peer.clone(), Bytes::copy_from_slice(receipt.as_bytes()));
        turn.exhibit(self, Exhibit::of(direction, Form::Receipt, "receipt", &peer, body, now))
    }

    /// Whether a stream that begins here may bring again what the consumer has. Who fetches decides when a stream breaks off, before its last
    /// line perhaps, and goes on by cursor if the rest is wanted; where we send, we begin anew after every break, until all was sent.
    pub(super) fn reads_again(&self, cursor: Option<&str>) -> bool {
        if self.is_push() {
            self.sent_to_end
        } else {
            cursor.is_none()
        }
    }

    /// Provider: keeps what left, and what of it was withheld: by the stream, or when the release was made that it carried.
    pub(super) fn released(&mut self, report: &Report, withheld: &BTreeMap<String, u64>) {
        self.sent_to_end |= report.complete;
        self.release = Some(Released {
            sent: report.sent,
            withheld: withheld.clone(),
            fields_removed: report.release.fields_removed(),
            root: report.root.to_string(),
            complete: report.complete,
        });
    }

    /// Provider: keeps by what rule no release was made, and of how many records that is.
    pub(super) fn refused_release(&mut self, why: Option<&ReleaseError>) {
        let rule = why.and_then(ReleaseError::rule);
        self.release_refused = rule.map(|code| code.as_str().to_owned());
        self.release_withheld = why.map(ReleaseError::withheld).unwrap_or_default();
    }

    /// Checks the consumer's receipt against what left and keeps it.
    pub(super) fn take_receipt(&mut self, receipt: &str, keys: Option<&Document>) -> Result<Digest, TransferError> {
        let refuse = |why: &str| TransferError::Receipt(why.to_owned());
        let keys = keys.ok_or_else(|| refuse("the consumer's keys are not to be had now"))?;
        let opened = token::verify(receipt, token::Kind::Receipt, |kid| keys.key(kid).cloned())
            .map_err(|error| TransferError::Receipt(error.to_string()))?;
        let text = |name: &str| opened.members().get(name).and_then(Value::as_str);
        if text("transfer") != Some(self.core.pid.as_str()) || text("agreement") != Some(self.agreement.as_str()) {
            return Err(refuse("it names another transfer"));
        }
        if let Some(release) = self.release.as_ref().filter(|release| release.complete)
            && (opened.members().get("count").and_then(Value::as_u64) != Some(release.sent)
                || text("root") != Some(&release.root))
        {
            return Err(refuse("its count or root differs"));
        }
        self.receipt = Some(receipt.to_owned());
        Ok(jose::sha256(receipt.as_bytes()))
    }

    /// Originates a message: the position takes the step as pending, the turn queues it.
    pub(super) fn send(
        &mut self,
        turn: &mut Turn,
        message: &TransferMessage,
        headers: Vec<(String, String)>,
        now: Timestamp,
    ) -> Result<(), TransferError> {
        let core = &mut self.core;
        if core.peer_pid.is_none() && !matches!(message, TransferMessage::Request { .. }) {
            return Err(TransferError::Invalid(
                "the peer has not answered the request yet; try again when it has".into(),
            ));
        }
        core.position = core
            .position
            .originate(core.role, core.sent, message.step())
            .map_err(ProcessError::from)?;
        self.queue(turn, message, headers, None, now)
    }

    /// Sends a message that takes no step, after a pause: EDC gets it only when it has dealt with our answer to its own.
    pub(super) fn remind(
        &mut self,
        turn: &mut Turn,
        message: &TransferMessage,
        now: Timestamp,
    ) -> Result<(), TransferError> {
        self.queue(turn, message, Vec::new(), Some(now.plus(PAUSE)), now)
    }

    fn queue(
        &mut self,
        turn: &mut Turn,
        message: &TransferMessage,
        headers: Vec<(String, String)>,
        not_before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), TransferError> {
        let core = &self.core;
        let id = crate::dsp::MessageId::from_uuid(jose::uuid(now).map_err(jose::JoseError::from)?);
        let body = message.write(&id, &core.pids());
        let path = path(message, core.peer_pid.as_ref().map(|pid| pid.as_str()));
        let draft = Draft {
            kind: message.type_name(),
            path,
            body,
            headers,
            not_before,
            of: PhantomData,
        };
        turn.send(self, draft, now);
        Ok(())
    }
}

/// The address of a message below the recipient's base (DSP 2025-1 §10.2).
fn path(message: &TransferMessage, recipient_pid: Option<&str>) -> String {
    let Some(pid) = recipient_pid else {
        return "/transfers/request".to_owned();
    };
    let last = match message {
        TransferMessage::Request { .. } => "request",
        TransferMessage::Start { .. } => "start",
        TransferMessage::Suspension(_) => "suspension",
        TransferMessage::Completion => "completion",
        TransferMessage::Termination(_) => "termination",
    };
    format!("/transfers/{pid}/{last}")
}
