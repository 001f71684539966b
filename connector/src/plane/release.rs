//! Makes one release of a dataset's records: reads the source as streams do, asks each learner's consent in the same way, and lets nothing
//! but groups or anonymous rows come out. Reads; commits and sends nothing.

use super::{
    PlaneError,
    project::Scratch,
    source::{FileSource, LineOutcome},
};
use crate::{
    catalog::{
        Shape,
        release::{self, DimensionSpec, MeasureSpec, QuasiSpec, ReleaseSpec, SensitiveSpec},
    },
    consent::{ConsentId, Form, Index, Occurrence, Question, Reader},
    jose::HmacKey,
};
use policy::{
    Code, Timestamp,
    release::{
        Cohort, GroupSize, Learner, Refused, TooMany,
        anonymity::{Anonymous, Rows},
        groups::{Amount, Line, ROUNDING, Table, Tally},
        ledger::Ledger,
    },
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// After so many lines it is looked whether consents have changed, so that reading on would be in vain.
const LINES: usize = 2048;

/// Why there is no release.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// It would show fewer learners than a group, or too much of one.
    #[error("{code}: {why}", code = .why.code())]
    Refused {
        /// Which rule of releases refuses it.
        why: Refused,
        /// Records that were not counted, by the code of the reason: with them it may have been one. Empty where none was read.
        withheld: BTreeMap<&'static str, u64>,
    },
    /// The declaration makes no release any more.
    #[error("the dataset's release is not usable: {0}")]
    Declared(String),
    /// What allowed it holds no more: consents have changed since rows were made, or what is released, or what was agreed about it. Who
    /// has a part of it gets no more.
    #[error("what allowed this release has changed since it was made; a new transfer makes a new one")]
    Outdated,
    /// Consents changed all the while.
    #[error("consents changed while the release was made; try again")]
    Moved,
    /// The source cannot be read.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// What the ledger holds is no ledger.
    #[error("the ledger of former releases is damaged: {0}")]
    Ledger(String),
}

impl ReleaseError {
    /// The rule of releases that refuses it, if one does.
    pub fn rule(&self) -> Option<Code> {
        match self {
            Self::Refused { why, .. } => Some(why.code()),
            _ => None,
        }
    }

    /// Records that were not counted for a release that is refused, by the code of the reason.
    pub fn withheld(&self) -> BTreeMap<String, u64> {
        match self {
            Self::Refused { withheld, .. } => named(withheld),
            _ => BTreeMap::new(),
        }
    }

    /// Whether the same transfer would never get a release.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Outdated | Self::Declared(_))
    }
}

/// Counts by code as they are stored.
pub fn named(withheld: &BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    let each = withheld.iter().map(|(code, count)| ((*code).to_owned(), *count));
    each.collect()
}

impl From<TooMany> for ReleaseError {
    fn from(too_many: TooMany) -> Self {
        Self::Refused {
            why: too_many.into(),
            withheld: BTreeMap::new(),
        }
    }
}

/// What is read for a release, and of whom.
pub struct Reading {
    /// The source, by the one path that it has.
    pub path: PathBuf,
    /// Its shape, with categories numbered as the index numbers them.
    pub shape: Shape,
    /// What to ask the index; the form in which it leaves is the release's.
    pub question: Question,
    /// The learners' consents.
    pub index: Arc<Index>,
    /// As what it is counted where a consent permits a number of transfers.
    pub occurrence: Occurrence,
    /// Names learners in the ledger of this source and recipient.
    pub names: HmacKey,
    /// The moment at which consents must be valid.
    pub now: Timestamp,
}

/// A release that may leave once its ledger is durable.
pub struct Made {
    /// One JSON object a line.
    pub lines: Vec<u8>,
    /// Former releases and this one.
    pub ledger: Ledger,
    /// The consent epoch that all of it was decided under.
    pub epoch: u64,
    /// How many learners are in it.
    pub learners: usize,
    /// The group size that it keeps to.
    pub group_size: GroupSize,
    /// Consents that are limited to a number of transfers, of which this one is not counted yet.
    pub uses: Vec<ConsentId>,
    /// Records that are not in it, by the code of the reason.
    pub withheld: BTreeMap<&'static str, u64>,
}

/// Under which consents all of a source was read, and of what they left nothing.
struct Read {
    epoch: u64,
    uses: Vec<ConsentId>,
    withheld: BTreeMap<&'static str, u64>,
}

impl Read {
    fn refused(&self, why: Refused) -> ReleaseError {
        ReleaseError::Refused {
            why,
            withheld: self.withheld.clone(),
        }
    }
}

impl Reading {
    /// Makes the release that is declared, called `id`, for a recipient who has what `ledger` says.
    pub fn release(&self, id: &str, spec: &ReleaseSpec, ledger: &Ledger) -> Result<Made, ReleaseError> {
        // Nothing that is told anew is of a smaller group than any release before, whatever is declared now.
        let size = ledger.group_size(spec.group_size());
        match spec {
            ReleaseSpec::Aggregate {
                dimensions, measures, ..
            } => {
                let layout = release::layout(dimensions, measures).map_err(ReleaseError::Declared)?;
                let mut tally = Tally::new(layout);
                let read = self.each(Form::Groups(size), |learner, record| {
                    count(&mut tally, dimensions, measures, learner, record)
                })?;
                let released = tally.release(size, ledger);
                let (table, ledger) = released.map_err(|why| read.refused(why))?;
                Ok(made(
                    table_lines(id, &table),
                    ledger,
                    read,
                    table.cohort(),
                    table.group_size(),
                ))
            }
            ReleaseSpec::Training {
                quasi_identifiers: quasi,
                sensitive,
                withheld_percent,
                ..
            } => {
                let plan = release::plan(quasi, sensitive, *withheld_percent).map_err(ReleaseError::Declared)?;
                let mut rows = Rows::new(plan);
                let read = self.each(Form::Rows(size), |learner, record| {
                    row(&mut rows, quasi, sensitive, learner, record)
                })?;
                let released = rows.release(size, ledger);
                let (rows, ledger) = released.map_err(|why| read.refused(why))?;
                let lines = row_lines(id, &rows, quasi, sensitive);
                Ok(made(lines, ledger, read, rows.cohort(), rows.group_size()))
            }
        }
    }

    /// Gives what consent and agreement leave of each record, and whose it is. All is decided under the epoch that is returned.
    fn each(
        &self,
        form: Form,
        mut take: impl FnMut(Learner, &Value) -> Result<(), TooMany>,
    ) -> Result<Read, ReleaseError> {
        let mut source = FileSource::open(&self.path, 0).map_err(PlaneError::Source)?;
        let (mut scratch, mut line, mut kept) = (Scratch::default(), Vec::new(), Vec::new());
        let mut question = self.question.clone();
        question.form = form;
        let mut consents = Reader::new(self.index.clone(), question).of(self.occurrence);
        consents.begin(self.now);
        let (epoch, mut withheld) = (consents.epoch(), BTreeMap::new());
        loop {
            if self.index.epoch() != epoch {
                return Err(ReleaseError::Moved);
            }
            for _ in 0..LINES {
                match source.next(&mut line).map_err(PlaneError::Source)? {
                    None => {
                        let uses = consents.uses();
                        return Ok(Read { epoch, uses, withheld });
                    }
                    // What is no record says nothing of anyone.
                    Some(LineOutcome::Refused(_)) => continue,
                    Some(LineOutcome::Line) => {}
                }
                let Ok(found) = self.shape.find(&mut scratch, &line) else {
                    continue;
                };
                let permitted = match consents.ask(found.subject()) {
                    Ok(permitted) => permitted,
                    Err(why) => {
                        *withheld.entry(why.code().as_str()).or_default() += 1;
                        continue;
                    }
                };
                kept.clear();
                found.project(permitted, "", &mut kept);
                let Ok(record) = serde_json::from_slice(&kept) else {
                    continue;
                };
                take(self.learner(found.subject()), &record)?;
            }
        }
    }

    fn learner(&self, subject: &str) -> Learner {
        let mut name = [0; 16];
        let tag = self.names.tag(subject.as_bytes());
        name.iter_mut().zip(tag.as_bytes()).for_each(|(to, from)| *to = *from);
        Learner::new(name)
    }
}

fn made(lines: Vec<Value>, ledger: Ledger, read: Read, cohort: &Cohort, group_size: GroupSize) -> Made {
    let lines = lines.iter().flat_map(|line| format!("{line}\n").into_bytes());
    Made {
        lines: lines.collect(),
        learners: cohort.places.len(),
        ledger,
        epoch: read.epoch,
        uses: read.uses,
        withheld: read.withheld,
        group_size,
    }
}

/// A value that can be compared with declared ones.
fn plain(record: &Value, field: &str) -> Option<String> {
    match record.pointer(field)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn count(
    tally: &mut Tally,
    dimensions: &[DimensionSpec],
    measures: &[MeasureSpec],
    learner: Learner,
    record: &Value,
) -> Result<(), TooMany> {
    let values: Vec<Option<String>> = dimensions.iter().map(|one| plain(record, &one.field)).collect();
    let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
    let amount = |one: &MeasureSpec| record.pointer(&one.field)?.as_f64().and_then(Amount::new);
    tally.add(learner, &values, &measures.iter().map(amount).collect::<Vec<_>>())
}

fn row(
    rows: &mut Rows,
    quasi: &[QuasiSpec],
    sensitive: &[SensitiveSpec],
    learner: Learner,
    record: &Value,
) -> Result<(), TooMany> {
    let quasi = quasi.iter().map(|one| plain(record, &one.field).unwrap_or_default());
    let learned = |one: &SensitiveSpec| match &one.values {
        Some(listed) => plain(record, &one.field).filter(|value| listed.contains(value)),
        None => record.pointer(&one.field)?.as_f64().map(|number| number.to_string()),
    };
    rows.add(learner, quasi.collect(), sensitive.iter().map(learned).collect())
}

fn table_lines(id: &str, table: &Table) -> Vec<Value> {
    let rounded = table.is_rounded().then_some(ROUNDING);
    let head = json!({"release": id, "mode": "aggregate", "minGroupSize": table.group_size(), "roundedTo": rounded});
    let total = group_line("total", &table.total());
    let margins: Vec<Value> = table.margins().map(|line| group_line("margin", &line)).collect();
    let cells = table.cells().map(|line| group_line("cell", &line));
    [head, total].into_iter().chain(margins).chain(cells).collect()
}

fn group_line(kind: &str, line: &Line<'_>) -> Value {
    let values: Map<String, Value> = line
        .values
        .iter()
        .map(|(name, values)| ((*name).to_owned(), json!(values)))
        .collect();
    // Sums are kept in thousandths.
    let sum = |(name, sum): &(&str, u128)| ((*name).to_owned(), json!(*sum as f64 / 1000.0));
    let sums: Map<String, Value> = line.sums.iter().map(sum).collect();
    json!({"kind": kind, "values": values, "learners": line.learners, "sums": sums})
}

fn row_lines(id: &str, rows: &Anonymous, quasi: &[QuasiSpec], sensitive: &[SensitiveSpec]) -> Vec<Value> {
    let steps: Map<String, Value> = (quasi.iter().zip(rows.levels()))
        .map(|(one, level)| (one.name.clone(), json!(level)))
        .collect();
    let head = json!({"release": id, "mode": "training", "minGroupSize": rows.group_size(), "generalised": steps});
    let lines = rows.rows().iter().map(|row| {
        let quasi = quasi
            .iter()
            .map(|one| &one.name)
            .zip(row.quasi.iter().map(|value| json!(value)));
        let learned = sensitive.iter().zip(&row.sensitive).map(|(one, value)| {
            let number = value
                .as_deref()
                .filter(|_| one.values.is_none())
                .and_then(|value| value.parse::<f64>().ok());
            (&one.name, number.map_or_else(|| json!(value), |number| json!(number)))
        });
        let members: Map<String, Value> = quasi
            .chain(learned)
            .map(|(name, value)| (name.clone(), value))
            .collect();
        Value::Object(members)
    });
    std::iter::once(head).chain(lines).collect()
}

#[cfg(test)]
mod tests;
