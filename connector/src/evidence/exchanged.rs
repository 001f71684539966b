//! Checking the messages of a bundle: every signature over the very bytes, every answer, the order, and the chain in which each names the
//! one before.

use super::{
    Flaw,
    checks::{Bundle, Keys, When},
    manifest::{Answer, Item, Process},
};
use crate::{
    dsp::{
        ParticipantId,
        message::{NegotiationMessage, Pids, TransferMessage},
    },
    jose::{Binding, Digest, JoseError, Opened, Unverified, message::signature_digest, sha256},
    process::{
        Protocol,
        archive::{Direction, Form},
    },
};
use serde::Serialize;
use std::collections::HashSet;

/// How far the time at which a message was taken in may lie from the time at which it was signed: its lifetime, and what clocks differ by.
const TIME: u64 = 600;

/// What is known of the messages after they were checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Messages {
    /// Signed by the counterparty.
    pub from_counterparty: usize,
    /// Sent by the exporter, with the counterparty's signed answer.
    pub acknowledged: usize,
    /// Sent by the exporter; no answer to it was read.
    pub unanswered: usize,
    /// From or to a counterparty that cannot sign: nothing proves them but the exporter's word and its log.
    pub unsigned: usize,
}

/// Checks all messages, process by process.
pub(super) fn check(bundle: &Bundle, keys: &Keys) -> Result<Messages, Flaw> {
    let mut counts = Messages::default();
    for process in &bundle.manifest.processes {
        let items: Vec<&Item> = messages(bundle, process).collect();
        let mut bodies = HashSet::new();
        for item in &items {
            bodies.insert(sha256(bundle.bytes(&item.body)?));
        }
        for (number, item) in items.iter().enumerate() {
            content(bundle, process, item)?;
            let Some(opened) = request(bundle, keys, item)? else {
                // That it came unsigned stands in its entry of the log: no signature was taken away.
                match (item.direction, &item.answer, is_signed(bundle)) {
                    (Direction::Out, None, true) => counts.unanswered += 1,
                    _ => counts.unsigned += 1,
                }
                continue;
            };
            chain(item, &opened, number == 0, &bodies)?;
            match (&item.answer, item.direction) {
                (None, Direction::In) => counts.from_counterparty += 1,
                (Some(answer), Direction::Out) => {
                    reply(bundle, keys, item, answer)?;
                    counts.acknowledged += 1;
                }
                _ => {
                    return Err(Flaw::of(
                        item.body.as_str(),
                        "it has an answer that it cannot have, or lacks one",
                    ));
                }
            }
        }
    }
    Ok(counts)
}

/// The messages of one process, in order.
pub(super) fn messages<'a>(bundle: &'a Bundle, process: &'a Process) -> impl Iterator<Item = &'a Item> {
    let items = bundle.manifest.exhibits.iter();
    items.filter(|item| item.form == Form::Message && item.process == process.pid)
}

/// Whether the counterparty is one that signs: a peer does it always or never.
pub(super) fn is_signed(bundle: &Bundle) -> bool {
    let items = &bundle.manifest.exhibits;
    items.iter().any(|item| {
        item.form == Form::Message
            && (item.signature.is_some() || item.answer.as_ref().is_some_and(|answer| answer.signature.is_some()))
    })
}

/// The bytes are the kind of message that the manifest says, of that process.
fn content(bundle: &Bundle, process: &Process, item: &Item) -> Result<(), Flaw> {
    let refuse = |why: &str| Flaw::of(item.body.as_str(), why);
    let value = bundle.json(&item.body)?;
    let read: Result<(&str, Pids), _> = match process.protocol {
        Protocol::Negotiation => NegotiationMessage::read(&value).map(|read| (read.message.type_name(), read.pids)),
        Protocol::Transfer => TransferMessage::read(&value).map(|read| (read.message.type_name(), read.pids)),
        Protocol::Consent => return Err(refuse("it belongs to no process")),
    };
    let (kind, pids) = read.map_err(|error| refuse(&error.to_string()))?;
    if kind != item.kind {
        return Err(refuse(&format!("it is a {kind}, not a {}", item.kind)));
    }
    for (role, named) in [
        (crate::dsp::Role::Provider, &pids.provider),
        (crate::dsp::Role::Consumer, &pids.consumer),
    ] {
        // The message that opens a process names only its sender's id.
        if named.is_some() && named.as_ref() != bundle.pid_of(role, &process.pid) {
            return Err(refuse("it belongs to another process"));
        }
    }
    Ok(())
}

/// The sender and the recipient of an item.
fn parties<'a>(bundle: &'a Bundle, item: &Item) -> (&'a ParticipantId, &'a ParticipantId) {
    let (exporter, counterparty) = (&bundle.manifest.exporter, &bundle.manifest.counterparty);
    match item.direction {
        Direction::In => (counterparty, exporter),
        Direction::Out => (exporter, counterparty),
    }
}

/// Verifies a detached signature over the bytes of a file; `file` is the signature's.
fn open(
    bundle: &Bundle,
    keys: &Keys,
    (file, body): (&str, &str),
    (from, to): (&ParticipantId, &ParticipantId),
    binding: Binding<'_>,
    when: When,
) -> Result<Opened, Flaw> {
    let refuse = |error: JoseError| Flaw::of(file, format!("the signature over {body} does not count: {error}"));
    let unverified = Unverified::parse(bundle.text(file)?).map_err(refuse)?;
    if unverified.issuer() != from.as_str() {
        return Err(refuse(JoseError::WrongIssuer));
    }
    let signed = unverified.issued_at();
    let checked = unverified.check(to.as_str(), binding, signed).map_err(refuse)?;
    let bytes = bundle.bytes(body)?;
    let verified = keys.attempt("messages", when, |keys| {
        let key = keys(checked.kid()).ok_or(JoseError::UnknownKey)?;
        checked.clone().verify(&key, bytes)
    });
    verified.map(|(opened, _)| opened).map_err(refuse)
}

/// The message itself.
fn request(bundle: &Bundle, keys: &Keys, item: &Item) -> Result<Option<Opened>, Flaw> {
    let Some(file) = &item.signature else { return Ok(None) };
    let url = item.url.as_deref().unwrap_or_default();
    let binding = Binding::Request { method: "POST", url };
    // A message of the exporter is signed anew for every attempt until it is answered; a peer's is recorded as it comes.
    let when = When::between(item.entries.iter().copied());
    let opened = open(bundle, keys, (file, &item.body), parties(bundle, item), binding, when)?;
    let apart = opened.issued_at().seconds().abs_diff(item.at.seconds());
    if item.direction == Direction::In && apart > TIME {
        return Err(Flaw::of(
            item.body.as_str(),
            "the manifest says that it came at a time when its signature was not valid",
        ));
    }
    Ok(Some(opened))
}

/// The answer to a message of the exporter.
fn reply(bundle: &Bundle, keys: &Keys, item: &Item, answer: &Answer) -> Result<(), Flaw> {
    let missing = || Flaw::of(answer.body.as_str(), "the signature is missing");
    let file = answer.signature.as_deref().ok_or_else(missing)?;
    let sent = bundle.text(item.signature.as_deref().ok_or_else(missing)?)?;
    let refuse = |error: JoseError| Flaw::of(file, error.to_string());
    let request = signature_digest(sent).map_err(refuse)?;
    let binding = Binding::Response {
        request: &request,
        status: answer.status,
    };
    let (from, to) = parties(bundle, item);
    let when = When::at(item.entries.last().copied().unwrap_or_default());
    let opened = open(bundle, keys, (file, &answer.body), (to, from), binding, when)?;
    if opened.prev() != sha256(bundle.bytes(&item.body)?) {
        return Err(Flaw::of(file, "it answers another message"));
    }
    Ok(())
}

/// The message that opens a process follows nothing; every other names one of the same process. Which one, is the sender's view: a lost
/// acknowledgement and crossing messages make the two sides' views differ.
fn chain(item: &Item, opened: &Opened, first: bool, bodies: &HashSet<Digest>) -> Result<(), Flaw> {
    let file = item.signature.as_deref().unwrap_or_default();
    let prev = opened.prev();
    if first && prev != Digest::EMPTY {
        return Err(Flaw::of(
            file,
            "it follows another message, but is the first of its process",
        ));
    }
    if !first && (prev == opened.body_digest() || !bodies.contains(&prev)) {
        return Err(Flaw::of(
            file,
            "the message that it says it follows (prev) is not among those of its process",
        ));
    }
    Ok(())
}
