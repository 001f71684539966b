//! From a source to chunks that may leave, in two stages that run side by side on blocking threads: the [`Decider`] finds each record's
//! learner, asks for consent, keeps what is permitted and puts the pseudonym in place; the [`Sealer`] hashes the lines and adds the
//! signed ones. Hashing takes about as long as all the rest. Neither allocates anything per record, except of
//! learners with an open request or a consent for a number of transfers.

pub use super::withheld::Release;
use super::{
    CursorKey, PlaneError, lines,
    notes::Notes,
    project::Scratch,
    source::{FileSource, LineOutcome},
    telling::{First, Telling},
};
use crate::{
    audit::merkle::{self, Frontier},
    catalog::Shape,
    consent::{
        Asks, Deliveries, Delivery, Gate, Index, Known, Occurrence, Occurrences, Pairwise, Question, Reader, Tag,
    },
    dsp::{AgreementId, DatasetId, ParticipantId, Pid},
    jose::Signer,
};
use bytes::Bytes;
use policy::{Plan, Timestamp};
use serde_json::{Map, Value};
use std::{path::PathBuf, sync::Arc};
use tokio_util::sync::CancellationToken;

/// Chunks are about this large: small chunks cost a frame each, large ones delay a withdrawal's effect.
const CHUNK: usize = 64 * 1024;
/// A piece ends after so many lines at least, and before three times so many, even when all of them were withheld: it is decided under one epoch,
/// as of one time. How many is drawn for each piece: else a chunk that is not full would tell exactly how many of its lines were withheld.
const LINES: u16 = 1024;
/// A checkpoint after so many records.
pub const CHECKPOINT: u64 = 1024;

/// Everything that is known when a stream opens; per record only the learner is left to ask about.
pub struct Rules {
    /// The provider's id of the transfer.
    pub transfer: Pid,
    /// The agreement that permits it.
    pub agreement: AgreementId,
    /// The dataset.
    pub dataset: DatasetId,
    /// The file that is read.
    pub path: PathBuf,
    /// What its lines are.
    pub content: Content,
    /// Its shape, with categories numbered as the index numbers them.
    pub shape: Shape,
    /// What to ask the index; it holds the plan's answers about each record.
    pub question: Question,
    /// The learners' consents.
    pub index: Arc<Index>,
    /// Who receives.
    pub recipient: ParticipantId,
    /// Makes pseudonyms for this recipient alone.
    pub pseudonyms: Arc<Pairwise>,
    /// Whose records the recipient has received before.
    pub deliveries: Arc<Deliveries>,
    /// How often limited consents were used.
    pub occurrences: Arc<Occurrences>,
    /// As what this stream is counted there.
    pub occurrence: Occurrence,
    /// Signs control lines.
    pub signer: Arc<Signer>,
    /// Seals cursors.
    pub cursors: Arc<CursorKey>,
    /// What is left of the agreement's policy: until when it permits the use.
    pub plan: Plan,
    /// What the end line tells of what was withheld; nothing of a release, which was decided as a whole.
    pub telling: Option<Arc<Telling>>,
    /// Reads the time, once for each chunk.
    pub clock: fn() -> Timestamp,
}

impl Rules {
    /// The gate of a stream that goes on after number `sent`, and whose connection is cut by cancelling `reset`.
    pub fn gate(&self, sent: u64, reset: CancellationToken) -> Gate {
        let gate = Gate::new(sent, self.pseudonyms.clone(), reset);
        match self.content {
            Content::Records => gate.of_records(Asks {
                question: self.question.clone(),
                by: self.occurrence,
            }),
            // Its lines are nobody's.
            Content::Released { .. } => gate,
        }
    }
}

/// What the lines of a source are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Learners' records, each to be decided.
    Records,
    /// Lines of a release, decided when it was made: they leave as they are.
    Released {
        /// They leave under this consent epoch alone.
        only_under: Option<u64>,
    },
}

/// How far a stream has come: enough to go on from here, or to go back to here.
#[derive(Clone, Debug)]
pub struct State {
    /// When the first line was read, or earlier: nothing was decided before.
    pub since: Timestamp,
    /// Offset of the next unread line in the source.
    pub position: u64,
    /// Records sent.
    pub sent: u64,
    /// The Merkle tree over the record lines sent.
    pub frontier: Frontier,
    /// What was withheld.
    pub release: Release,
}

impl State {
    /// Before the first line.
    pub fn begun(since: Timestamp) -> Self {
        Self {
            since,
            position: 0,
            sent: 0,
            frontier: Frontier::default(),
            release: Release::default(),
        }
    }
}

/// Decided record lines that nobody can refer to yet: not hashed, and without the control line that may follow them.
pub struct Piece {
    bytes: Vec<u8>,
    epoch: u64,
    /// Everything of the state after these lines except the tree.
    position: u64,
    sent: u64,
    release: Release,
    then: Then,
    /// What is to be on disk before any of it is handed over.
    notes: Notes,
}

/// Which control line follows a piece.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    Checkpoint,
    End,
}

impl Piece {
    /// Nothing comes after it.
    pub fn is_last(&self) -> bool {
        self.then == Then::End
    }
}

/// Bytes to hand over together, with the epoch that they were decided under and the state after them.
pub struct Chunk {
    /// Whole lines.
    pub bytes: Bytes,
    /// The consent epoch.
    pub epoch: u64,
    /// The state after these lines.
    pub after: State,
    /// The last line is the end line.
    pub last: bool,
    /// The begin line, if it is the first, and the end line, if it is the last: evidence for both parties.
    pub framing: Framing,
    /// What is noted before it is handed over.
    pub notes: Notes,
}

/// The signed lines that a stream begins and ends with, without their line feeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// `begin`.
    pub begin: Option<Bytes>,
    /// `end`.
    pub end: Option<Bytes>,
}

/// One reading of a source: its two stages.
pub struct Pipeline {
    /// The first.
    pub decider: Decider,
    /// The second.
    pub sealer: Sealer,
}

impl Pipeline {
    /// Opens the source at its beginning, or at a cursor that we gave for this transfer.
    pub fn open(rules: Arc<Rules>, cursor: Option<&str>) -> Result<Self, PlaneError> {
        let (fingerprint, state) = match cursor {
            None => (None, State::begun((rules.clock)())),
            Some(cursor) => {
                let (fingerprint, state) = rules.cursors.open(&rules.transfer, cursor)?;
                (Some(fingerprint), state)
            }
        };
        let decider = Decider::at(rules.clone(), &state)?;
        let found = decider.source.fingerprint();
        if fingerprint.is_some_and(|fingerprint| fingerprint != found) {
            return Err(PlaneError::Cursor("the source has changed since; start a new transfer"));
        }
        let sealer = Sealer {
            rules,
            fingerprint: found,
            state,
            begun: false,
        };
        Ok(Self { decider, sealer })
    }

    /// What the stream goes by.
    pub(super) fn rules(&self) -> &Arc<Rules> {
        &self.sealer.rules
    }

    /// The state after the last chunk.
    pub fn state(&self) -> &State {
        &self.sealer.state
    }
}

/// The first stage: reads and decides.
pub struct Decider {
    rules: Arc<Rules>,
    consents: Reader,
    source: FileSource,
    sent: u64,
    release: Release,
    scratch: Scratch,
    line: Vec<u8>,
    /// The learner of the record before, with the name that they go by.
    tag: Option<Tag>,
    pseudonym: String,
    first: Vec<Delivery>,
}

impl Decider {
    fn at(rules: Arc<Rules>, state: &State) -> Result<Self, PlaneError> {
        let source = FileSource::open(&rules.path, state.position).map_err(PlaneError::Source)?;
        Ok(Self {
            consents: Reader::new(rules.index.clone(), rules.question.clone()).of(rules.occurrence),
            rules,
            source,
            sent: state.sent,
            release: state.release.clone(),
            scratch: Scratch::default(),
            line: Vec::with_capacity(4096),
            tag: None,
            pseudonym: String::with_capacity(32),
            first: Vec::new(),
        })
    }

    /// Goes back to an earlier state of the same reading: everything after it is decided again.
    pub fn rewind(&mut self, state: &State) -> Result<(), PlaneError> {
        let source = FileSource::open(&self.rules.path, state.position).map_err(PlaneError::Source)?;
        let before = std::mem::replace(&mut self.source, source);
        self.sent = state.sent;
        self.release = state.release.clone();
        // What was found missing may not have been noted.
        self.tag = None;
        self.first.clear();
        if self.source.fingerprint() != before.fingerprint() {
            return Err(PlaneError::Cursor("the source has changed while it was read"));
        }
        Ok(())
    }

    /// Decides the next piece, under one consent epoch and as of one time.
    pub fn piece(&mut self) -> Result<Piece, PlaneError> {
        let mut bytes = Vec::with_capacity(CHUNK + CHUNK / 4);
        let rules = self.rules.clone();
        let before = self.consents.epoch();
        let now = self.consents.begin((rules.clock)());
        if self.consents.epoch() != before {
            // A learner may have been forgotten, with what was noted of them.
            self.tag = None;
        }
        if rules.plan.open_at(now).is_err() {
            return Err(PlaneError::Stopped);
        }
        let only_under = match rules.content {
            Content::Records => None,
            Content::Released { only_under } => only_under,
        };
        if only_under.is_some_and(|epoch| epoch != self.consents.epoch()) {
            return Err(PlaneError::Stopped);
        }
        let known = rules.deliveries.known();
        let (mut then, mut left) = (Then::Nothing, lines_at_most(&rules, self.source.position()));
        while then == Then::Nothing && bytes.len() < CHUNK && left > 0 {
            left -= 1;
            match self.source.next(&mut self.line).map_err(PlaneError::Source)? {
                None => then = Then::End,
                Some(LineOutcome::Refused(error)) => self.release.cannot_use(error),
                Some(LineOutcome::Line) => {
                    let before = self.sent;
                    match rules.content {
                        Content::Records => self.record(&rules, &known, &mut bytes),
                        Content::Released { .. } => self.released(&mut bytes),
                    }
                    // A checkpoint follows a record line, not a withheld record.
                    if self.sent > before && self.sent.is_multiple_of(CHECKPOINT) {
                        then = Then::Checkpoint;
                    }
                }
            }
        }
        Ok(Piece {
            bytes,
            epoch: self.consents.epoch(),
            position: self.source.position(),
            sent: self.sent,
            release: self.release.clone(),
            then,
            notes: Notes {
                first: std::mem::take(&mut self.first),
                uses: self.consents.uses(),
                total: None,
            },
        })
    }

    fn released(&mut self, out: &mut Vec<u8>) {
        self.sent += 1;
        lines::begin_record(out, self.sent);
        out.extend_from_slice(&self.line);
        lines::end_record(out);
        out.push(b'\n');
    }

    fn record(&mut self, rules: &Rules, known: &Known<'_>, out: &mut Vec<u8>) {
        let found = match rules.shape.find(&mut self.scratch, &self.line) {
            Ok(found) => found,
            Err(error) => return self.release.cannot_use(error),
        };
        let permitted = match self.consents.ask(found.subject()) {
            Ok(permitted) => permitted,
            Err(why) => return self.release.refuse(why, rules.pseudonyms.tag(found.subject())),
        };
        let tag = rules.pseudonyms.tag(found.subject());
        if self.tag != Some(tag) {
            tag.write(&mut self.pseudonym);
            self.tag = Some(tag);
            self.first.extend(known.missing(found.subject(), tag));
        }
        self.sent += 1;
        lines::begin_record(out, self.sent);
        let projected = found.project(permitted, &self.pseudonym, out);
        lines::end_record(out);
        out.push(b'\n');
        self.release.remove_fields(projected.fields_removed);
    }
}

/// How many lines a piece may take that begins here: as if by chance, but the same whenever this recipient reads this place again, or the mean of
/// many readings would tell what one does not.
fn lines_at_most(rules: &Rules, position: u64) -> u16 {
    // No learner's identifier begins so: names are keyed texts, and this one must be none of theirs.
    let place = format!("\0lines of {} from {position}", rules.path.display());
    let [.., high, low] = rules.pseudonyms.tag(&place).bytes();
    LINES + u16::from_be_bytes([high, low]) % (2 * LINES)
}

/// The second stage: hashes the record lines and writes the signed ones between them.
pub struct Sealer {
    rules: Arc<Rules>,
    fingerprint: [u8; 32],
    state: State,
    begun: bool,
}

impl Sealer {
    /// Goes back to an earlier state of the same reading; `begun` tells whether the begin line has left.
    pub fn rewind(&mut self, state: State, begun: bool) {
        self.state = state;
        self.begun = begun;
    }

    /// Makes a piece ready to leave.
    pub fn seal(&mut self, piece: Piece) -> Result<Chunk, PlaneError> {
        let mut out = piece.bytes;
        let begin = if self.begun { None } else { Some(self.begin_line()?) };
        self.hash(&out);
        let mut framing = Framing::default();
        if let Some(mut line) = begin {
            self.begun = true;
            framing.begin = Some(Bytes::copy_from_slice(&line));
            line.push(b'\n');
            out.splice(..0, line);
        }
        self.state.position = piece.position;
        self.state.sent = piece.sent;
        self.state.release = piece.release;
        let mut notes = piece.notes;
        let control = match piece.then {
            Then::Nothing => None,
            Then::Checkpoint => Some(self.checkpoint_line()?),
            Then::End => {
                let (line, first) = self.end_line()?;
                notes.total = first;
                Some(line)
            }
        };
        if let Some(line) = control {
            out.extend_from_slice(&line);
            out.push(b'\n');
            if piece.then == Then::End {
                framing.end = Some(line.into());
            }
        }
        Ok(Chunk {
            bytes: out.into(),
            epoch: piece.epoch,
            after: self.state.clone(),
            last: piece.then == Then::End,
            framing,
            notes,
        })
    }

    /// Appends every line to the tree. No record holds a line feed.
    fn hash(&mut self, lines: &[u8]) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', lines) {
            let line = lines.get(start..end).unwrap_or_default();
            self.state.frontier.append(merkle::leaf_hash(line));
            start = end + 1;
        }
    }

    fn begin_line(&self) -> Result<Vec<u8>, PlaneError> {
        let mut members = self.members("begin");
        members.insert("v".into(), 1.into());
        members.insert("agreement".into(), self.rules.agreement.as_str().into());
        members.insert("dataset".into(), self.rules.dataset.as_str().into());
        self.signed(members)
    }

    fn checkpoint_line(&self) -> Result<Vec<u8>, PlaneError> {
        let mut members = self.members("cp");
        let cursor = self
            .rules
            .cursors
            .seal(&self.rules.transfer, &self.fingerprint, &self.state)
            .ok_or(PlaneError::Cursor("it cannot be sealed"))?;
        members.insert("cursor".into(), cursor.into());
        self.signed(members)
    }

    /// The end line, and what it tells for the first time.
    fn end_line(&self) -> Result<(Vec<u8>, Option<First>), PlaneError> {
        let mut members = self.members("end");
        let telling = self.rules.telling.as_ref();
        let (total, first) = telling.map_or((None, None), |telling| telling.at_end(&self.state));
        if let Some(total) = total {
            members.insert("withheld".into(), total.into());
        }
        Ok((self.signed(members)?, first))
    }

    fn members(&self, kind: &str) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("t".into(), kind.into());
        members.insert("transfer".into(), self.rules.transfer.as_str().into());
        members.insert("n".into(), self.state.sent.into());
        members.insert("root".into(), self.state.frontier.root().to_string().into());
        members
    }

    fn signed(&self, members: Map<String, Value>) -> Result<Vec<u8>, PlaneError> {
        lines::control(&self.rules.signer, members).map_err(PlaneError::Signing)
    }
}

#[cfg(test)]
mod tests;
