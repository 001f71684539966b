//! Finding the entries of the log that belong to one agreement, and which of them record what.

use super::{
    collect::EvidenceError,
    manifest::{ConsentHashes, Manifest},
    recorded::{self, Pattern, fits},
};
use crate::{
    audit::Log,
    dsp::{AgreementId, ParticipantId, Pid},
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};

/// How many entries of the log are read at a time.
const ENTRIES: usize = 512;

/// What an entry is about, as far as it says which agreement it belongs to. Read without copying: most entries are about others.
#[derive(Deserialize)]
struct Subject<'a> {
    kind: &'a str,
    process: Option<&'a str>,
    did: Option<&'a str>,
    agreement: Option<&'a str>,
    object: Option<&'a str>,
}

impl<'a> Subject<'a> {
    fn of(entry: &'a Value) -> Self {
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        Self {
            kind: text("kind").unwrap_or_default(),
            process: text("process"),
            did: text("did"),
            agreement: text("agreement"),
            object: text("object"),
        }
    }
}

/// What belongs to the agreement of a manifest.
pub(super) struct Belonging {
    parties: [ParticipantId; 2],
    agreement: AgreementId,
    /// Those of the manifest.
    processes: HashSet<String>,
    /// Transfers that have not ended.
    running: HashSet<String>,
    consents: HashSet<String>,
}

impl Belonging {
    pub(super) fn to(manifest: &Manifest, consents: &[ConsentHashes]) -> Self {
        let tokens = consents
            .iter()
            .flat_map(|consent| std::iter::once(consent.given).chain(consent.withdrawn));
        let processes = manifest.processes.iter().map(|process| process.pid.to_string());
        Self {
            parties: [&manifest.exporter, &manifest.counterparty].map(ParticipantId::clone),
            agreement: manifest.agreement.clone(),
            processes: processes.collect(),
            running: manifest.running.iter().map(Pid::to_string).collect(),
            consents: tokens.map(|digest| digest.to_string()).collect(),
        }
    }

    fn has(&self, subject: &Subject<'_>) -> bool {
        match subject.kind {
            "did-doc" => self.parties.iter().any(|did| subject.did == Some(did.as_str())),
            "agreement" | "agreement-void" | "agreement-paid" => subject.agreement == Some(self.agreement.as_str()),
            "consent-given" | "consent-withdrawn" => {
                subject.object.is_some_and(|object| self.consents.contains(object))
            }
            _ => subject.process.is_some_and(|process| self.processes.contains(process)),
        }
    }

    /// Whether it may belong to the agreement at a later attempt.
    fn may_have(&self, subject: &Subject<'_>) -> bool {
        self.has(subject) || subject.process.is_some_and(|process| self.running.contains(process))
    }
}

/// What was read of the log: each attempt goes on where the one before ended.
#[derive(Default)]
pub(super) struct Read {
    next: u64,
    entries: BTreeMap<u64, Value>,
}

impl Read {
    /// Keeps what any attempt may need: of the entries before `listed`, those of what was there when processes and consents were listed.
    pub(super) async fn go_on(&mut self, log: &Log, belonging: &Belonging, listed: u64) -> Result<(), EvidenceError> {
        loop {
            let page = log.raw_entries(self.next, ENTRIES).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            self.next = last + 1;
            for (number, bytes) in page {
                // One with an escape in it cannot be borrowed, and is looked at as a whole.
                let subject = serde_json::from_slice::<Subject<'_>>(&bytes);
                if number < listed && subject.is_ok_and(|subject| !belonging.may_have(&subject)) {
                    continue;
                }
                let entry = serde_json::from_slice(&bytes).map_err(|_| EvidenceError::Damaged(number))?;
                self.entries.insert(number, entry);
            }
            // The store answers at once, page after page.
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn found(&self, belonging: &Belonging) -> Found {
        let mut found = Found::default();
        for (number, entry) in &self.entries {
            if belonging.has(&Subject::of(entry)) {
                found.add(*number, entry.clone());
            }
        }
        found
    }
}

/// The entries that belong to an agreement, by number, and which of them something was found for.
#[derive(Default)]
pub(super) struct Found {
    pub(super) entries: BTreeMap<u64, Value>,
    /// The numbers of entries with this hash in one of their members: entries are looked for by hash.
    by_hash: HashMap<String, Vec<u64>>,
    linked: HashSet<u64>,
}

impl Found {
    fn add(&mut self, number: u64, entry: Value) {
        for value in entry.as_object().into_iter().flat_map(|members| members.values()) {
            if let Some(text) = value.as_str().filter(|text| text.len() == 43) {
                self.by_hash.entry(text.to_owned()).or_default().push(number);
            }
        }
        self.entries.insert(number, entry);
    }

    /// The numbers of entries that fit the patterns, each after the one before and the first after `after`.
    pub(super) fn link(&mut self, patterns: &[Pattern], after: Option<u64>) -> Option<Vec<u64>> {
        let (mut numbers, mut after) = (Vec::new(), after);
        for pattern in patterns {
            let hash = pattern
                .iter()
                .filter_map(|(_, value)| value.as_str())
                .find(|text| text.len() == 43)?;
            let number = self.by_hash.get(hash)?.iter().copied().find(|number| {
                after.is_none_or(|after| *number > after)
                    && self.entries.get(number).is_some_and(|entry| fits(entry, pattern))
            })?;
            self.linked.insert(number);
            numbers.push(number);
            after = Some(number);
        }
        Some(numbers)
    }

    pub(super) fn has_unlinked_messages(&self) -> bool {
        let mut messages = self
            .entries
            .iter()
            .filter(|(_, entry)| recorded::is_about_message(entry));
        messages.any(|(number, _)| !self.linked.contains(number))
    }
}
