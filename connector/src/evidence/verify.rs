//! Checking a bundle with nothing but its bytes: no store, no network, no clock, no configuration.
//!
//! It proves what the keys in it prove. Whose keys they are nobody can say offline: the report names them, for comparison by another way.

use super::{
    Flaw,
    agreed::{self, SignedBy},
    checks::{Bundle, Keys},
    exchanged::{self, Messages},
    manifest::{AGREEMENT, CHECKPOINT, Item, MANIFEST, PAGE, SIGNATURE},
    recorded::{self, Pattern, fits},
    released::{self, Release},
};
use crate::{
    audit::{LogKey, SignedCheckpoint, proof},
    dsp::{ParticipantId, json},
    jose::{Digest, did::of_kid, sha256},
    process::archive::Form,
};
use policy::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A key that the caller knows a participant by, from somewhere else than the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The participant.
    pub did: ParticipantId,
    /// RFC 7638 thumbprint of its key.
    pub thumbprint: Digest,
}

/// What a bundle proves.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The agreement.
    pub agreement: String,
    /// Who made the bundle.
    pub exporter: ParticipantId,
    /// The other party.
    pub counterparty: ParticipantId,
    /// When it was made, by the exporter's clock.
    pub created: Timestamp,
    /// How many parties signed the agreement.
    pub signatures: u8,
    /// In words: whether both parties signed, or one.
    pub signed_by: String,
    /// The messages.
    pub messages: Messages,
    /// What left.
    pub releases: Vec<Release>,
    /// Transfers that had not ended and are not in it.
    pub running: usize,
    /// Consents whose hashes are in it.
    pub consents: usize,
    /// How many of them were withdrawn.
    pub withdrawn: usize,
    /// The log that the entries are in.
    pub log: Logged,
    /// The keys that all this rests on.
    pub keys: Vec<KeyUse>,
}

/// The log and its checkpoint.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Logged {
    /// Its name.
    pub origin: String,
    /// The key that signed the checkpoint, as a verifier key.
    pub key: String,
    /// How many entries the checkpoint covers.
    pub size: u64,
    /// The root over them.
    pub root: String,
    /// How many of them are in the bundle, each with its proof.
    pub entries: usize,
}

/// A key and what it proved.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyUse {
    /// Whose it is, by the DID document in the bundle.
    pub did: String,
    /// Its id.
    pub kid: String,
    /// RFC 7638 thumbprint: compare it with one that you have from elsewhere.
    pub thumbprint: String,
    /// What it signed.
    pub signed: Vec<&'static str>,
    /// The caller named it beforehand.
    pub pinned: bool,
}

/// Checks everything; the first part that is not what it should be is named.
pub fn verify(bytes: &[u8], pins: &[Pin]) -> Result<Report, Flaw> {
    let bundle = Bundle::open(bytes)?;
    let keys = Keys::read(&bundle)?;
    keys.check_manifest(&bundle)?;
    names(&bundle)?;
    let (entries, log) = logged(&bundle, &keys)?;
    documents(&bundle, &entries)?;
    links(&bundle, &entries)?;
    whole(&bundle, &entries)?;
    let messages = exchanged::check(&bundle, &keys)?;
    let agreement = agreed::check(&bundle, &keys)?;
    if agreement != SignedBy::Nobody {
        recorded_agreement(&bundle, &entries)?;
    }
    let releases = released::check(&bundle, &keys, &|number| entries.get(&number).cloned())?;
    let used = pinned(&keys, pins)?;
    let manifest = &bundle.manifest;
    Ok(Report {
        agreement: manifest.agreement.to_string(),
        exporter: manifest.exporter.clone(),
        counterparty: manifest.counterparty.clone(),
        created: manifest.created,
        signatures: match agreement {
            SignedBy::Both => 2,
            SignedBy::Exporter => 1,
            SignedBy::Nobody => 0,
        },
        signed_by: match agreement {
            SignedBy::Both => "both parties".to_owned(),
            SignedBy::Exporter | SignedBy::Nobody => format!(
                "one party: {} cannot sign, and {} answers alone for what this bundle says",
                manifest.counterparty, manifest.exporter
            ),
        },
        messages,
        releases,
        running: manifest.running.len(),
        consents: manifest.consents.len(),
        withdrawn: manifest
            .consents
            .iter()
            .filter(|consent| consent.withdrawn.is_some())
            .count(),
        log,
        keys: used,
    })
}

/// The manifest says of every file what it is.
fn names(bundle: &Bundle) -> Result<(), Flaw> {
    let manifest = &bundle.manifest;
    let pairs: Vec<(String, String)> = manifest.entries.iter().map(|number| recorded::files(*number)).collect();
    let mut names = BTreeSet::from(["README.txt", AGREEMENT, PAGE, CHECKPOINT, MANIFEST, SIGNATURE]);
    names.extend(pairs.iter().flat_map(|(entry, proof)| [entry.as_str(), proof.as_str()]));
    names.extend(manifest.documents.iter().map(|version| version.file.as_str()));
    for item in &manifest.exhibits {
        names.insert(&item.body);
        names.extend(item.signature.as_deref());
        names.extend(item.answer.iter().map(|answer| answer.body.as_str()));
        names.extend(item.answer.iter().filter_map(|answer| answer.signature.as_deref()));
    }
    bundle.check_names(&names)
}

type Entries = BTreeMap<u64, Value>;

/// Every entry is in the exporter's log, under one checkpoint that the log's key signed.
fn logged(bundle: &Bundle, keys: &Keys) -> Result<(Entries, Logged), Flaw> {
    let (key, note) = checkpoint(bundle, keys)?;
    let mut entries = Entries::new();
    for number in &bundle.manifest.entries {
        let (entry_file, proof_file) = recorded::files(*number);
        let bytes = bundle.bytes(&entry_file)?;
        let proven = proof::verify(bundle.text(&proof_file)?, bytes, &key)
            .map_err(|error| Flaw::of(proof_file.as_str(), format!("it does not prove {entry_file}: {error}")))?;
        if proven.index() != *number || proven.checkpoint() != &note {
            return Err(Flaw::of(
                proof_file.as_str(),
                format!("it is about another entry, or leads to another root than {CHECKPOINT}"),
            ));
        }
        let entry = json::parse(bytes).map_err(|error| Flaw::of(entry_file.as_str(), error.to_string()))?;
        if entries.insert(*number, entry).is_some() {
            return Err(Flaw::of(entry_file, "the manifest names it twice"));
        }
    }
    let tree = note.checkpoint();
    let log = Logged {
        origin: tree.origin.clone(),
        key: key.to_string(),
        size: tree.size,
        root: tree.root.to_string(),
        entries: entries.len(),
    };
    Ok((entries, log))
}

/// The checkpoint, and the key from the exporter's document that signed it.
fn checkpoint(bundle: &Bundle, keys: &Keys) -> Result<(LogKey, SignedCheckpoint), Flaw> {
    let refuse = |why: String| Flaw::of(CHECKPOINT, why);
    let note = SignedCheckpoint::read(bundle.text(CHECKPOINT)?).map_err(|error| refuse(error.to_string()))?;
    let mut fault = "no DID document of the exporter names the log's key".to_owned();
    for key in keys.log_keys(&bundle.manifest.exporter) {
        match note.verify(&key) {
            Ok(()) => return Ok((key, note)),
            Err(error) => fault = error.to_string(),
        }
    }
    Err(refuse(fault))
}

/// Whether the entries fit the patterns one by one, in ascending order.
fn check_links(entries: &Entries, numbers: &[u64], patterns: &[Pattern], part: &str) -> Result<(), Flaw> {
    let fit = numbers.len() == patterns.len()
        && numbers.is_sorted_by(|a, b| a < b)
        && numbers
            .iter()
            .zip(patterns)
            .all(|(number, pattern)| entries.get(number).is_some_and(|entry| fits(entry, pattern)));
    if fit {
        return Ok(());
    }
    Err(Flaw::of(
        part,
        "the entries of the log that the manifest names do not record these bytes",
    ))
}

/// Every version of a document was recorded when it was seen.
fn documents(bundle: &Bundle, entries: &Entries) -> Result<(), Flaw> {
    for version in &bundle.manifest.documents {
        let pattern = vec![
            ("kind", json!("did-doc")),
            ("did", json!(version.did)),
            ("document", json!(sha256(bundle.bytes(&version.file)?))),
            ("ts", json!(version.seen)),
        ];
        check_links(entries, &[version.entry], &[pattern], &version.file)?;
    }
    Ok(())
}

/// Every exhibit and consent is recorded in the log, messages in their order, and every message that is recorded is there.
fn links(bundle: &Bundle, entries: &Entries) -> Result<(), Flaw> {
    let manifest = &bundle.manifest;
    let mut messages = BTreeSet::new();
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for item in &manifest.exhibits {
        if !manifest.processes.iter().any(|process| process.pid == item.process) {
            return Err(Flaw::of(item.body.as_str(), "it belongs to no process of this bundle"));
        }
        let patterns = recorded::of_item(item, |name| bundle.bytes(name))?;
        check_links(entries, &item.entries, &patterns, &item.body)?;
        if item.form != Form::Message {
            continue;
        }
        let first = item.entries.first().copied().unwrap_or_default();
        if last
            .insert(item.process.as_str(), first)
            .is_some_and(|before| before >= first)
        {
            return Err(Flaw::of(
                item.body.as_str(),
                "it stands in another order than the log recorded",
            ));
        }
        if !item.entries.iter().all(|number| messages.insert(*number)) {
            return Err(Flaw::of(
                item.body.as_str(),
                "another message has the same entry of the log",
            ));
        }
    }
    for consent in &manifest.consents {
        check_links(entries, &consent.entries, &recorded::of_consent(consent), MANIFEST)?;
    }
    let lost = entries
        .iter()
        .find(|(number, entry)| recorded::is_about_message(entry) && !messages.contains(number));
    match lost {
        Some((number, _)) => Err(Flaw::of(
            recorded::files(*number).0,
            "the message that it records is missing",
        )),
        None => Ok(()),
    }
}

/// Nothing that was kept of a process is left out: each has its number there, by its entry in the log, and there are as many as were kept.
/// Entries of an older version have no numbers.
fn whole(bundle: &Bundle, entries: &Entries) -> Result<(), Flaw> {
    let manifest = &bundle.manifest;
    let recorded = |item: &Item| {
        let entries = item.entries.iter().filter_map(|number| entries.get(number));
        entries.filter_map(|entry| entry.get("exhibits")).next()
    };
    for process in &manifest.processes {
        let mut missing = 0;
        for item in manifest.exhibits.iter().filter(|item| item.process == process.pid) {
            let numbers = recorded(item);
            if numbers.is_none() && item.number.is_none() && process.exhibits.is_none() {
                continue;
            }
            if item.number != Some(missing) {
                let problem = format!("number {missing} of what was kept of its process does not stand before it");
                return Err(Flaw::of(item.body.as_str(), problem));
            }
            let numbers = numbers.map(|numbers| numbers.as_array().is_some_and(|all| all.contains(&json!(missing))));
            if numbers == Some(false) {
                return Err(Flaw::of(item.body.as_str(), "the log recorded it under another number"));
            }
            missing += 1;
        }
        let of_process = |entry: &&Value| entry.get("process") == Some(&json!(process.pid));
        let numbers = entries
            .values()
            .filter(of_process)
            .filter_map(|entry| entry.get("exhibits")?.as_array());
        let is_short = numbers
            .flatten()
            .filter_map(Value::as_u64)
            .any(|number| number >= missing);
        if is_short || process.exhibits.is_some_and(|count| count != missing) {
            let problem = format!("of what was kept of {}, number {missing} is missing", process.pid);
            return Err(Flaw::of(MANIFEST, problem));
        }
    }
    Ok(())
}

/// The log recorded the very document.
fn recorded_agreement(bundle: &Bundle, entries: &Entries) -> Result<(), Flaw> {
    let pattern = vec![
        ("kind", json!("agreement")),
        ("agreement", json!(bundle.manifest.agreement)),
        ("document", json!(sha256(bundle.bytes(AGREEMENT)?))),
    ];
    if entries.values().any(|entry| fits(entry, &pattern)) {
        return Ok(());
    }
    Err(Flaw::of(AGREEMENT, "the log does not record it"))
}

/// The keys that were relied upon, held against those that the caller knows.
fn pinned(keys: &Keys, pins: &[Pin]) -> Result<Vec<KeyUse>, Flaw> {
    let mut used = Vec::new();
    for (kid, thumbprint, signed) in keys.used() {
        let did = of_kid(&kid).unwrap_or_default().to_owned();
        let mut known = pins.iter().filter(|pin| pin.did.as_str() == did).peekable();
        let is_pinned = known.peek().is_some();
        if is_pinned && !known.any(|pin| pin.thumbprint.to_string() == thumbprint) {
            return Err(Flaw::of(
                kid,
                format!("the bundle rests on the key {thumbprint}, which is not one that you trust for {did}"),
            ));
        }
        used.push(KeyUse {
            did,
            kid,
            thumbprint,
            signed,
            pinned: is_pinned,
        });
    }
    match pins
        .iter()
        .find(|pin| !used.iter().any(|key| key.did == pin.did.as_str()))
    {
        Some(pin) => Err(Flaw::of(
            pin.did.as_str(),
            "nothing in the bundle is signed by this participant",
        )),
        None => Ok(used),
    }
}
