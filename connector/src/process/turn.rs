//! One message or command on its way to a commit: what comes in, what is answered, what goes out with it.

use super::{
    Core, Exhibit, Kind, Outgoing, Reply,
    archive::{About, Direction, Form},
    prefix,
};
use crate::{
    audit::{Entry, Kind as Recorded},
    dsp::{
        Machine, MessageId, ParticipantId, Pid,
        message::{Pids, Received},
    },
    jose::{self, Digest},
    store::{Batch, Table},
    trust::{Spent, Verified},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::marker::PhantomData;

/// Messages already answered, by our process id and the message's key.
pub(super) const SEEN: Table = Table(4);

/// What was answered to a message, to be answered again to its repetition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The state at the time, as DSP writes it.
    pub state: String,
    /// The ids at the time.
    pub pids: Pids,
    /// An addition that the answer carried (a renewed data address).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Value>,
    /// The message was refused, and why, as its sender is told: that stands too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The code of the reason, where a policy refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// For a sender without ids: the body that was answered, and the number of our first message that set out afterwards (R6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<(Digest, u64)>,
}

impl Answer {
    /// To a message that opens a process.
    pub fn opened<M: Machine>(core: &Core<M>) -> Self {
        Self::of(201, core)
    }

    /// As the process stands now.
    pub(super) fn of<M: Machine>(status: u16, core: &Core<M>) -> Self {
        Self {
            status,
            state: core.state_name(),
            pids: core.pids(),
            extra: None,
            refusal: None,
            code: None,
            last: None,
        }
    }
}

/// What a change wants to commit besides the record itself.
#[derive(Default)]
pub struct Turn {
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) entries: Vec<Entry>,
    pub(super) batch: Batch,
    pub(super) delivered: Option<Outgoing>,
    /// By number in the archive.
    pub(super) exhibits: Vec<(u64, Exhibit)>,
    pub(super) reply: Option<Reply>,
}

impl Turn {
    /// Records something else in the audit log.
    pub fn record(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Further writes for the same commit; must not carry guards of its own.
    pub fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// Keeps something that was exchanged in the archive of the process; returns its number there.
    pub fn exhibit<K: Kind>(&mut self, record: &mut K, exhibit: Exhibit) -> u64 {
        let core = record.core_mut();
        let number = core.archived;
        self.exhibits.push((number, exhibit));
        core.archived += 1;
        number
    }

    /// Queues a message whose step the record's position already holds as pending.
    pub fn send<K: Kind>(&mut self, record: &mut K, draft: Draft<K>, now: Timestamp) {
        let core = record.core_mut();
        let outgoing = Outgoing {
            protocol: K::PROTOCOL,
            pid: core.pid.clone(),
            number: core.sent,
            peer: core.peer.clone(),
            base: Some(core.base.clone()),
            path: draft.path,
            kind: draft.kind.to_owned(),
            body: draft.body.to_string(),
            headers: draft.headers,
            created: now,
            not_before: draft.not_before,
        };
        core.sent += 1;
        let about = About {
            url: outgoing.url(&core.base).ok().map(String::from),
            headers: outgoing.headers.clone(),
            sent: Some(outgoing.number),
            ..About::new(Direction::Out, Form::Message, draft.kind, &outgoing.peer, now)
        };
        let body = outgoing.body.clone().into();
        let number = self.exhibit(record, Exhibit { about, body });
        self.record(
            Entry::new(Recorded::MessageOut)
                .with("process", outgoing.pid.as_str())
                .with("peer", outgoing.peer.as_str())
                .with("message", draft.kind)
                .of("body", &jose::sha256(outgoing.body.as_bytes()))
                .archived(number),
        );
        self.outgoing.push(outgoing);
    }
}

/// A message to be queued.
pub struct Draft<K: Kind> {
    /// Its `@type`, for logs.
    pub kind: &'static str,
    /// The path below the peer's base.
    pub path: String,
    /// The body.
    pub body: Value,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// It sets out at this time at the earliest.
    pub not_before: Option<Timestamp>,
    /// Ties the draft to its kind.
    pub of: PhantomData<K>,
}

/// An incoming message as the shared mechanics see it.
pub struct Incoming<'a, M: Machine> {
    /// The step that it wants to take.
    pub step: M::Step,
    /// Its `@type`, for logs.
    pub kind: &'static str,
    /// The sender's id of the process.
    pub peer_pid: Option<&'a Pid>,
    /// The sender.
    pub sender: &'a ParticipantId,
    /// The key under which a repetition is recognised.
    pub key: MessageKey,
    /// Hash over its body.
    pub body: Digest,
    /// Thumbprint of the key that signed it; none for a message without signature.
    pub signed_with: Option<Digest>,
    /// Its id, to be spent with what it causes.
    pub spent: Spent,
    /// The message itself, for the archive.
    pub exhibit: Exhibit,
    /// In this state it takes no step and only renews what it carries: EDC answers a consumer's resumption with a start of its own.
    pub renews_in: Option<M::State>,
}

impl<'a, M: Machine> Incoming<'a, M> {
    /// A message that wants to take `step`, sent to `url` by the process `peer_pid`. Of `headers` those that came are kept as evidence.
    pub fn of<T>(
        message: &'a Verified<Received<T>>,
        (step, kind): (M::Step, &'static str),
        peer_pid: Option<&'a Pid>,
        url: &str,
        headers: &[(&str, Option<&str>)],
        now: Timestamp,
    ) -> Self {
        Self {
            step,
            kind,
            peer_pid,
            sender: &message.sender().did,
            key: MessageKey::of(message.value().id.as_ref(), message),
            body: message.body_digest(),
            signed_with: message.signed_with(),
            spent: message.spent(),
            exhibit: Exhibit::received(message, kind, url, headers, now),
            renews_in: None,
        }
    }
}

/// The key of a message for rule R2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageKey {
    /// The sender's `@id`.
    Id(MessageId),
    /// For a sender without ids: the hash of the body. Only its last is known again (R6), and the one that opened the process.
    Body(Digest),
}

impl MessageKey {
    /// From a verified message and the id that it carries.
    pub fn of<T>(id: Option<&MessageId>, verified: &Verified<T>) -> Self {
        match id {
            Some(id) => Self::Id(id.clone()),
            None => Self::Body(verified.body_digest()),
        }
    }

    /// Where the answer to a message that opened the process is.
    pub(super) fn opening(&self, pid: &Pid) -> Vec<u8> {
        Self::row(
            pid,
            &match self {
                Self::Id(id) => format!("i{id}"),
                Self::Body(digest) => format!("b{digest}"),
            },
        )
    }

    /// Where the answer to any later message is: for a sender without ids there is only the last one's.
    pub(super) fn later(&self, pid: &Pid) -> Vec<u8> {
        match self {
            Self::Id(_) => self.opening(pid),
            Self::Body(_) => Self::row(pid, "l"),
        }
    }

    fn row(pid: &Pid, name: &str) -> Vec<u8> {
        let text = format!("{pid}\0{name}");
        let mut key = prefix(pid);
        key.extend_from_slice(jose::sha256(text.as_bytes()).as_bytes());
        key
    }
}
