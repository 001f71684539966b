//! What was exchanged in a process, byte for byte: messages with their signatures, for those of ours the peer's signed answer, the
//! signed lines of streams, receipts. Written in the commit of what it belongs to and never changed.
//!
//! It is kept to be shown to others (`evidence`). Nothing is decided by it.

use super::{decode, encode, prefix};
use crate::{
    dsp::{ParticipantId, Pid},
    jose,
    store::{Batch, Pages, Store, StoreError, Table},
    trust::{SIGNATURE_HEADER, Verified},
};
use bytes::Bytes;
use policy::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Exhibits by process and number.
const EXHIBITS: Table = Table(20);
/// Answers to messages of ours, by process and the message's number in the outbox.
const REPLIES: Table = Table(21);
/// Most bytes of one item of the store, which holds no more than [`crate::store::MAX_VALUE`].
const PIECE: usize = 48 * 1024;
/// A header that is longer means nothing to us (`DSP-JWS-1`: 4 KiB) and is not kept.
const MAX_HEADER: usize = 8 * 1024;

/// Which way something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To us.
    In,
    /// From us.
    Out,
}

/// What kind of thing was exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A message of the protocol: the body is signed by a header.
    Message,
    /// A control line of a stream, which carries its own signature.
    Line,
    /// A receipt: the body is a JWS.
    Receipt,
}

/// One thing that was exchanged, exactly as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhibit {
    /// What is known about it.
    pub about: About,
    /// Its bytes.
    pub body: Bytes,
}

/// What is known about an exhibit beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// Which way it went.
    pub direction: Direction,
    /// What it is.
    pub form: Form,
    /// A message's `@type`, a line's `t`.
    pub kind: String,
    /// When it was taken in, or decided, here.
    pub at: Timestamp,
    /// The other party.
    pub peer: ParticipantId,
    /// Messages: the address that it was sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Messages that came: the headers that are evidence, by name in lower case. Of ours, those beside the message's own signature, which
    /// is made anew for every attempt and kept with the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Messages of ours: the number in the outbox, which the answer is kept under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
    /// How long the body is, in bytes.
    pub length: usize,
}

impl Exhibit {
    /// A peer's message, as it was believed; `headers` are those beside the signature that mean something to it.
    pub fn received<T>(
        message: &Verified<T>,
        kind: &str,
        url: &str,
        headers: &[(&str, Option<&str>)],
        now: Timestamp,
    ) -> Self {
        let signature = message.signature();
        let all = std::iter::once((SIGNATURE_HEADER, signature.as_deref())).chain(headers.iter().copied());
        let kept = all.filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        Self {
            about: About {
                url: Some(url.to_owned()),
                headers: kept.filter(|(_, value)| value.len() <= MAX_HEADER).collect(),
                ..About::new(Direction::In, Form::Message, kind, &message.sender().did, now)
            },
            body: message.body().clone(),
        }
    }

    /// A signed line of a stream, or a receipt.
    pub fn of(direction: Direction, form: Form, kind: &str, peer: &ParticipantId, body: Bytes, now: Timestamp) -> Self {
        Self {
            about: About::new(direction, form, kind, peer, now),
            body,
        }
    }

    /// Adds it to a batch as number `number` of its process.
    pub(super) fn keep(&self, batch: &mut Batch, pid: &Pid, number: u64) -> Result<(), StoreError> {
        let about = About {
            length: self.body.len(),
            ..self.about.clone()
        };
        put(batch, EXHIBITS, pid, number, &about, &self.body)
    }
}

impl About {
    pub(super) fn new(direction: Direction, form: Form, kind: &str, peer: &ParticipantId, at: Timestamp) -> Self {
        Self {
            direction,
            form,
            kind: kind.to_owned(),
            at,
            peer: peer.clone(),
            url: None,
            headers: Vec::new(),
            sent: None,
            length: 0,
        }
    }

    /// A header that was kept.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A peer's answer to a message of ours, exactly as it was, and the signature that the message carried in the attempt that it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What is known about it.
    pub about: Answered,
    /// The answer's body.
    pub body: Bytes,
}

/// What is known about an answer beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answered {
    /// Our signature over the message in the attempt that was answered; none towards a peer that cannot sign.
    pub signature: Option<String>,
    /// The answer's HTTP status.
    pub status: u16,
    /// The peer's signature over the answer; none of a peer that cannot sign.
    pub answer_signature: Option<String>,
    /// How long the answer's body is, in bytes.
    pub length: usize,
}

impl Reply {
    /// Adds it to a batch, for our message `sent` of this process.
    pub(super) fn keep(&self, batch: &mut Batch, pid: &Pid, sent: u64) -> Result<(), StoreError> {
        put(batch, REPLIES, pid, sent, &self.about, &self.body)
    }
}

fn key(pid: &Pid, number: u64, piece: u32) -> Vec<u8> {
    let mut key = prefix(pid);
    key.extend_from_slice(&number.to_be_bytes());
    key.extend_from_slice(&piece.to_be_bytes());
    key
}

/// The length of the head in four bytes, the head, the body: one value for most messages, cut into pieces where it is long.
fn put(
    batch: &mut Batch,
    table: Table,
    pid: &Pid,
    number: u64,
    head: &impl Serialize,
    body: &[u8],
) -> Result<(), StoreError> {
    let head = encode(head)?;
    let length = u32::try_from(head.len()).map_err(|_| damaged("has a head that is too long"))?;
    let whole = [&length.to_be_bytes(), head.as_slice(), body].concat();
    for (piece, bytes) in (0..).zip(whole.chunks(PIECE)) {
        batch.put(table, key(pid, number, piece), bytes);
    }
    Ok(())
}

fn split<H: DeserializeOwned>(whole: &[u8]) -> Result<(H, Bytes), StoreError> {
    let parts = whole.split_first_chunk::<4>().and_then(|(length, rest)| {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        rest.split_at_checked(length)
    });
    let (head, body) = parts.ok_or_else(|| damaged("lacks a head"))?;
    Ok((decode(head)?, Bytes::copy_from_slice(body)))
}

fn damaged(what: &str) -> StoreError {
    StoreError::Corrupt(format!("the archive of a process {what}"))
}

/// Everything that was exchanged in a process, in the order in which it was taken in or decided here.
pub async fn exhibits(store: &dyn Store, pid: &Pid) -> Result<Vec<(u64, Exhibit)>, StoreError> {
    let found = collect(store, EXHIBITS, prefix(pid), |about: &About| about.length).await?;
    Ok(found
        .into_iter()
        .map(|(number, about, body)| (number, Exhibit { about, body }))
        .collect())
}

/// The answer to our message `sent` of a process, if one was read.
pub async fn reply(store: &dyn Store, pid: &Pid, sent: u64) -> Result<Option<Reply>, StoreError> {
    let mut place = prefix(pid);
    place.extend_from_slice(&sent.to_be_bytes());
    let found = collect(store, REPLIES, place, |about: &Answered| about.length).await?;
    Ok(found.into_iter().next().map(|(_, about, body)| Reply { about, body }))
}

async fn collect<H: DeserializeOwned>(
    store: &dyn Store,
    table: Table,
    prefix: Vec<u8>,
    length: impl Fn(&H) -> usize,
) -> Result<Vec<(u64, H, Bytes)>, StoreError> {
    let mut wholes: Vec<(u64, u32, Vec<u8>)> = Vec::new();
    let mut pages = Pages::new(store, table, prefix, 64);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            let (number, piece) = place(&row.key).ok_or_else(|| damaged("has a key of another form"))?;
            match wholes.last_mut() {
                _ if piece == 0 => wholes.push((number, 1, row.item.value)),
                Some((known, next, whole)) if (*known, *next) == (number, piece) => {
                    whole.extend_from_slice(&row.item.value);
                    *next += 1;
                }
                _ => return Err(damaged("lacks a piece")),
            }
        }
    }
    let mut found = Vec::with_capacity(wholes.len());
    for (number, _, whole) in wholes {
        let (head, body) = split(&whole)?;
        if length(&head) != body.len() {
            return Err(damaged("lacks a part of a body"));
        }
        found.push((number, head, body));
    }
    Ok(found)
}

/// The number and the piece that a key names.
fn place(key: &[u8]) -> Option<(u64, u32)> {
    let (number, rest) = key.get(jose::Digest::LEN..)?.split_first_chunk::<8>()?;
    let (piece, rest) = rest.split_first_chunk::<4>()?;
    rest.is_empty()
        .then(|| (u64::from_be_bytes(*number), u32::from_be_bytes(*piece)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn line(kind: &str, body: Vec<u8>) -> Exhibit {
        let peer = "did:web:a.example".parse().unwrap();
        let now = Timestamp::from_seconds(1);
        Exhibit::of(Direction::In, Form::Line, kind, &peer, body.into(), now)
    }

    #[tokio::test]
    async fn what_is_kept_comes_back_byte_for_byte_and_in_order() {
        let store = MemoryStore::new();
        let (pid, other): (Pid, Pid) = ("urn:uuid:1".parse().unwrap(), "urn:uuid:2".parse().unwrap());
        let large: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_be_bytes()[3] ^ 0x5a).collect();
        let exhibits: Vec<Exhibit> = [Vec::new(), large.clone(), vec![7; PIECE], vec![8; PIECE + 1]]
            .into_iter()
            .map(|body| line("begin", body))
            .collect();
        let mut batch = Batch::new();
        for (number, exhibit) in (0..).zip(&exhibits) {
            exhibit.keep(&mut batch, &pid, number).unwrap();
        }
        line("end", vec![1]).keep(&mut batch, &other, 0).unwrap();
        let answer = Reply {
            about: Answered {
                signature: None,
                status: 200,
                answer_signature: Some("x".into()),
                length: large.len(),
            },
            body: large.into(),
        };
        answer.keep(&mut batch, &pid, 2).unwrap();
        store.commit(batch).await.unwrap();
        let found = super::exhibits(&store, &pid).await.unwrap();
        assert_eq!(found.len(), exhibits.len());
        for ((number, found), (expected, exhibit)) in found.iter().zip((0..).zip(&exhibits)) {
            assert_eq!((*number, &found.body), (expected, &exhibit.body));
            assert_eq!(found.about.length, exhibit.body.len());
        }
        assert_eq!(reply(&store, &pid, 2).await.unwrap(), Some(answer));
        assert_eq!(reply(&store, &pid, 1).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_part_that_is_missing_is_noticed() {
        let store = MemoryStore::new();
        let pid: Pid = "urn:uuid:1".parse().unwrap();
        let mut batch = Batch::new();
        line("begin", vec![7; 3 * PIECE]).keep(&mut batch, &pid, 0).unwrap();
        store.commit(batch).await.unwrap();
        for piece in 0..=3 {
            let key = key(&pid, 0, piece);
            let item = store.get(EXHIBITS, &key).await.unwrap().unwrap();
            let mut batch = Batch::new();
            batch.delete(EXHIBITS, key.clone());
            store.commit(batch).await.unwrap();
            assert!(super::exhibits(&store, &pid).await.is_err(), "piece {piece}");
            let mut batch = Batch::new();
            batch.put(EXHIBITS, key, item.value);
            store.commit(batch).await.unwrap();
        }
    }
}
