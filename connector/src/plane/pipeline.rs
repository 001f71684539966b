//! From a source to decided chunks: for each record find its learner, ask for consent, keep what is permitted, put the pseudonym in
//! place. Runs on a blocking thread; allocates nothing per record.

use super::{
    CursorKey, PlaneError, lines,
    project::Scratch,
    source::{FileSource, LineOutcome},
};
use crate::{
    audit::merkle::{self, Frontier},
    catalog::Shape,
    consent::{Index, Pairwise, Question, Reason},
    dsp::{AgreementId, DatasetId, Pid},
    jose::Signer,
    plane::scan::RecordError,
};
use bytes::Bytes;
use policy::{Plan, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// Chunks are about this large: small chunks cost a frame each, large ones delay a withdrawal's effect.
const CHUNK: usize = 64 * 1024;
/// A checkpoint after so many records.
pub const CHECKPOINT: u64 = 1024;

/// Everything that is known when a stream opens; per record only the learner's consent is left to ask.
pub struct Rules {
    /// The provider's id of the transfer.
    pub transfer: Pid,
    /// The agreement that permits it.
    pub agreement: AgreementId,
    /// The dataset.
    pub dataset: DatasetId,
    /// Its file.
    pub path: PathBuf,
    /// Its shape, with categories numbered as the index numbers them.
    pub shape: Shape,
    /// What to ask the index.
    pub question: Question,
    /// The learners' consents.
    pub index: Arc<Index>,
    /// Makes pseudonyms for this recipient alone.
    pub pseudonyms: Arc<Pairwise>,
    /// Signs control lines.
    pub signer: Arc<Signer>,
    /// Seals cursors.
    pub cursors: Arc<CursorKey>,
    /// What is left of the agreement's policy: until when it permits the use.
    pub plan: Plan,
    /// Reads the time, once for each chunk.
    pub clock: fn() -> Timestamp,
}

/// What became of the records read so far. For the provider only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    consent: [u64; Reason::ALL.len()],
    unusable: [u64; RecordError::ALL.len()],
    fields_removed: u64,
}

impl Release {
    /// Withheld records by reason; reasons that did not occur are left out.
    pub fn withheld(&self) -> BTreeMap<&'static str, u64> {
        let consent = Reason::ALL.iter().map(|reason| reason.code()).zip(self.consent);
        let unusable = RecordError::ALL.iter().map(|error| error.code()).zip(self.unusable);
        consent.chain(unusable).filter(|(_, count)| *count > 0).collect()
    }

    /// Fields that were left out of records that were sent.
    pub fn fields_removed(&self) -> u64 {
        self.fields_removed
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = &u64> {
        self.consent
            .iter()
            .chain(&self.unusable)
            .chain(std::iter::once(&self.fields_removed))
    }

    pub(super) fn counts_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        self.consent
            .iter_mut()
            .chain(&mut self.unusable)
            .chain(std::iter::once(&mut self.fields_removed))
    }

    fn withhold(counts: &mut [u64], number: usize) {
        if let Some(count) = counts.get_mut(number) {
            *count += 1;
        }
    }
}

/// How far a stream has come: enough to go on from here, or to go back to here.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Offset of the next unread line in the source.
    pub position: u64,
    /// Records sent.
    pub sent: u64,
    /// The Merkle tree over the record lines sent.
    pub frontier: Frontier,
    /// What was withheld.
    pub release: Release,
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
}

/// One reading of a source.
pub struct Pipeline {
    rules: Arc<Rules>,
    source: FileSource,
    state: State,
    scratch: Scratch,
    line: Vec<u8>,
    pseudonym: String,
    begun: bool,
}

impl Pipeline {
    /// Opens the source at its beginning, or at a cursor that we gave for this transfer.
    pub fn open(rules: Arc<Rules>, cursor: Option<&str>) -> Result<Self, PlaneError> {
        let (fingerprint, state) = match cursor {
            None => (None, State::default()),
            Some(cursor) => {
                let (fingerprint, state) = rules.cursors.open(&rules.transfer, cursor)?;
                (Some(fingerprint), state)
            }
        };
        let mut pipeline = Self::at(rules, state)?;
        if fingerprint.is_some_and(|fingerprint| fingerprint != pipeline.source.fingerprint()) {
            return Err(PlaneError::Cursor("the source has changed since; start a new transfer"));
        }
        pipeline.begun = false;
        Ok(pipeline)
    }

    fn at(rules: Arc<Rules>, state: State) -> Result<Self, PlaneError> {
        let source = FileSource::open(&rules.path, state.position).map_err(PlaneError::Source)?;
        let (scratch, line, pseudonym) = (Scratch::default(), Vec::with_capacity(4096), String::with_capacity(32));
        Ok(Self {
            rules,
            source,
            state,
            scratch,
            line,
            pseudonym,
            begun: true,
        })
    }

    /// Goes back to an earlier state of the same reading: everything after it is decided again.
    pub fn rewind(&mut self, state: State, begun: bool) -> Result<(), PlaneError> {
        let fingerprint = self.source.fingerprint();
        *self = Self::at(self.rules.clone(), state)?;
        self.begun = begun;
        if self.source.fingerprint() != fingerprint {
            return Err(PlaneError::Cursor("the source has changed while it was read"));
        }
        Ok(())
    }

    /// The state after the last chunk.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Decides the next chunk. The consent index is held still while it is made and the time is read once.
    pub fn chunk(&mut self) -> Result<Chunk, PlaneError> {
        let mut out = Vec::with_capacity(CHUNK + CHUNK / 4);
        let rules = self.rules.clone();
        if !self.begun {
            self.begun = true;
            let line = self.begin_line()?;
            push_line(&mut out, &line);
        }
        let now = (rules.clock)();
        let open = rules.plan.open_at(now).is_ok();
        let consents = rules.index.read();
        let epoch = consents.epoch;
        let mut last = !open;
        while !last && out.len() < CHUNK {
            match self.source.next(&mut self.line).map_err(PlaneError::Source)? {
                None => last = true,
                Some(LineOutcome::Refused(error)) => {
                    Release::withhold(&mut self.state.release.unusable, error as usize)
                }
                Some(LineOutcome::Line) => self.record(&rules, &consents, now, &mut out),
            }
            self.state.position = self.source.position();
            if self.state.sent.is_multiple_of(CHECKPOINT) && self.state.sent > 0 && self.checkpoint_due(&out) {
                let line = self.checkpoint_line()?;
                push_line(&mut out, &line);
            }
        }
        drop(consents);
        if last {
            if !open {
                return Err(PlaneError::Stopped);
            }
            let line = self.end_line()?;
            push_line(&mut out, &line);
        }
        Ok(Chunk {
            bytes: out.into(),
            epoch,
            after: self.state.clone(),
            last,
        })
    }

    /// A checkpoint follows a record line, not a withheld record.
    fn checkpoint_due(&self, out: &[u8]) -> bool {
        out.strip_suffix(b"\n").is_some_and(|out| out.ends_with(b"}}"))
    }

    fn record(&mut self, rules: &Rules, consents: &crate::consent::Reader<'_>, now: Timestamp, out: &mut Vec<u8>) {
        let found = match rules.shape.find(&mut self.scratch, &self.line) {
            Ok(found) => found,
            Err(error) => return Release::withhold(&mut self.state.release.unusable, error as usize),
        };
        let permitted = match consents.ask(found.subject(), &rules.question, now) {
            Ok(permitted) => permitted,
            Err(reason) => return Release::withhold(&mut self.state.release.consent, reason as usize),
        };
        rules.pseudonyms.write(found.subject(), &mut self.pseudonym);
        let start = out.len();
        lines::begin_record(out, self.state.sent + 1);
        let projected = found.project(permitted, &self.pseudonym, out);
        lines::end_record(out);
        self.state.release.fields_removed += u64::from(projected.fields_removed);
        self.state.sent += 1;
        self.state
            .frontier
            .append(merkle::leaf_hash(out.get(start..).unwrap_or_default()));
        out.push(b'\n');
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
            .seal(&self.rules.transfer, &self.source.fingerprint(), &self.state)
            .ok_or(PlaneError::Cursor("it cannot be sealed"))?;
        members.insert("cursor".into(), cursor.into());
        self.signed(members)
    }

    fn end_line(&self) -> Result<Vec<u8>, PlaneError> {
        self.signed(self.members("end"))
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

fn push_line(out: &mut Vec<u8>, line: &[u8]) {
    out.extend_from_slice(line);
    out.push(b'\n');
}
