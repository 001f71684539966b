//! What the holders hold: invented records, or the user's own; and which learners consent.

use super::{
    Options,
    learners::{Generator, Holder},
    run::DemoError,
    terms,
};
use crate::{
    catalog::shape,
    plane::{
        project::Scratch,
        source::{FileSource, LineOutcome},
    },
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

/// About this share of the learners consents.
const SHARE: f64 = 0.6;

/// One holder's records.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) subject: String,
    pub(super) categories: BTreeMap<String, Vec<String>>,
    pub(super) offer: Value,
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// All learners that the records name.
    pub(super) learners: BTreeSet<String>,
    /// Those who consent.
    pub(super) consenting: BTreeSet<String>,
    pub(super) consent_categories: Vec<&'static str>,
}

/// The records of the user, or of one of the two invented holders.
pub(super) fn prepare(
    options: &Options,
    holder: Holder,
    count: u64,
    dir: &Path,
    until: &str,
) -> Result<Source, DemoError> {
    match (&options.input, &options.subject) {
        (Some(input), Some(subject)) => own(options.seed, input, subject, until),
        _ => invented(options.seed, holder, count, dir, until),
    }
}

fn invented(seed: u64, holder: Holder, count: u64, dir: &Path, until: &str) -> Result<Source, DemoError> {
    let learners = count.div_ceil(super::learners::RECORDS_PER_LEARNER).max(1);
    let generator = Generator::new(seed, holder).spread(learners);
    let path = dir.join("records.ndjson");
    let mut file = BufWriter::new(File::create(&path)?);
    let (mut line, mut bytes) = (Vec::new(), 0);
    let (mut known, mut consenting) = (BTreeSet::new(), BTreeSet::new());
    for k in 0..count {
        line.clear();
        generator.record(k, &mut line);
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        bytes += line.len() as u64;
        file.write_all(&line)?;
        let number = generator.learner_of(k);
        let id = generator.learner(number).id;
        if generator.consents(number, SHARE) {
            consenting.insert(id.clone());
        }
        known.insert(id);
    }
    file.flush()?;
    let categories = terms::CATEGORIES
        .iter()
        .map(|(name, pointers)| ((*name).to_owned(), pointers.iter().map(|p| (*p).to_owned()).collect()))
        .collect();
    Ok(Source {
        path,
        subject: terms::SUBJECT.to_owned(),
        categories,
        offer: terms::offer(holder, until),
        records: count,
        bytes,
        learners: known,
        consenting,
        consent_categories: terms::OFFERED.to_vec(),
    })
}

/// The user's own file: every top-level member that is not on the way to the learner is an activity trace.
fn own(seed: u64, input: &Path, subject: &str, until: &str) -> Result<Source, DemoError> {
    let path = std::fs::canonicalize(input)?;
    let mut members = BTreeSet::new();
    let (mut records, mut bytes) = (0, 0);
    let mut learners = BTreeSet::new();
    let finder = shape::shape(subject, &BTreeMap::new(), |_, _| None)
        .map_err(|error| DemoError::Step("--subject", error.to_string()))?;
    let (mut source, mut line, mut scratch) = (FileSource::open(&path, 0)?, Vec::new(), Scratch::default());
    while let Some(outcome) = source.next(&mut line)? {
        records += 1;
        bytes += line.len() as u64;
        if outcome != LineOutcome::Line {
            continue;
        }
        if let Ok(found) = finder.find(&mut scratch, &line) {
            learners.insert(found.subject().to_owned());
            if let Ok(Value::Object(object)) = serde_json::from_slice(&line) {
                members.extend(object.into_iter().map(|(name, _)| name));
            }
        }
    }
    // Whatever stands beside the learner's identifier identifies too, and stays; `context` holds session ids and stays as well.
    let first = subject.split('/').nth(1).unwrap_or_default().to_owned();
    let pointer = |name: &String| format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    let traces: Vec<String> = members
        .iter()
        .filter(|name| **name != first && *name != "context")
        .map(pointer)
        .collect();
    let categories = BTreeMap::from([("activity-traces".to_owned(), traces)]);
    let consenting = learners.iter().filter(|id| chosen(seed, id)).cloned().collect();
    Ok(Source {
        path,
        subject: subject.to_owned(),
        categories,
        offer: json!({
            "permission": [{"action": "use", "constraint": [
                {"leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": terms::ORIENTATION},
                {"leftOperand": "dases:dataCategory", "operator": "isAnyOf", "rightOperand": ["activity-traces"]},
                {"leftOperand": "dases:consent", "operator": "eq", "rightOperand": "given"},
                {"leftOperand": "odrl:dateTime", "operator": "lt", "rightOperand": until},
            ]}],
            "prohibition": [{"action": "odrl:sell"}, {"action": "odrl:distribute"}],
        }),
        records,
        bytes,
        learners,
        consenting,
        consent_categories: vec!["activity-traces"],
    })
}

/// A fixed choice for each learner and seed.
fn chosen(seed: u64, id: &str) -> bool {
    let digest = crate::jose::sha256(format!("{seed}\0{id}").as_bytes());
    let [first, second, ..] = *digest.as_bytes();
    f64::from(u16::from_be_bytes([first, second])) / 65536.0 < SHARE
}
