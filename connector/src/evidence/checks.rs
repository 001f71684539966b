//! What every check of a bundle works on: its files by name, the keys in its DID documents, and which of them were relied upon.

use super::{
    Flaw,
    container::{self, Files},
    manifest::{self, MANIFEST, Manifest, SIGNATURE},
};
use crate::{
    audit::LogKey,
    dsp::{ParticipantId, Pid, Role, json},
    jose::{Digest, VerifyingKey, did::of_kid, token},
    trust::did::Document,
};
use serde_json::Value;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

/// A bundle whose files are those of its manifest. No signature is checked yet.
pub(super) struct Bundle {
    pub(super) manifest: Manifest,
    files: BTreeMap<String, Vec<u8>>,
}

impl Bundle {
    /// Takes the archive apart and holds every file against the manifest.
    pub(super) fn open(bytes: &[u8]) -> Result<Self, Flaw> {
        let files: Files = container::read(bytes)?;
        let find = |name: &str| {
            let found = files.iter().find(|(known, _)| known == name);
            found
                .map(|(_, bytes)| bytes.as_slice())
                .ok_or_else(|| Flaw::of(name, "it is missing"))
        };
        manifest::check_claim(find(SIGNATURE)?, find(MANIFEST)?)?;
        let manifest = Manifest::read(find(MANIFEST)?)?;
        manifest.check_files(&files)?;
        let files = container::by_name(files)?;
        Ok(Self { manifest, files })
    }

    /// The bytes of a file.
    pub(super) fn bytes(&self, name: &str) -> Result<&[u8], Flaw> {
        let found = self.files.get(name).map(Vec::as_slice);
        found.ok_or_else(|| Flaw::of(name, "it is missing"))
    }

    /// The text of a file.
    pub(super) fn text(&self, name: &str) -> Result<&str, Flaw> {
        std::str::from_utf8(self.bytes(name)?).map_err(|_| Flaw::of(name, "it is not text"))
    }

    /// The JSON value of a file.
    pub(super) fn json(&self, name: &str) -> Result<Value, Flaw> {
        json::parse(self.bytes(name)?).map_err(|error| Flaw::of(name, error.to_string()))
    }

    /// Whether there is such a file.
    pub(super) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Whether the manifest accounts for every file.
    pub(super) fn check_names(&self, accounted: &BTreeSet<&str>) -> Result<(), Flaw> {
        match self.files.keys().find(|name| !accounted.contains(name.as_str())) {
            Some(stranger) => Err(Flaw::of(stranger.as_str(), "the manifest does not say what it is")),
            None => Ok(()),
        }
    }

    /// Who has this part in the agreement.
    pub(super) fn party(&self, role: Role) -> &ParticipantId {
        if role == self.manifest.role {
            &self.manifest.exporter
        } else {
            &self.manifest.counterparty
        }
    }

    /// When what belongs to a process was signed: while it lasted.
    pub(super) fn during(&self, pid: &Pid) -> When {
        let items = self.manifest.exhibits.iter().filter(|item| item.process == *pid);
        When::between(items.flat_map(|item| item.entries.iter().copied()))
    }

    /// The id that the party in this role has for a process of ours.
    pub(super) fn pid_of(&self, role: Role, pid: &Pid) -> Option<&Pid> {
        let process = self.manifest.processes.iter().find(|process| process.pid == *pid)?;
        if role == self.manifest.role {
            Some(&process.pid)
        } else {
            process.peer_pid.as_ref()
        }
    }
}

/// When something was signed, by numbers of entries in the exporter's log: not before `from` was recorded, and before `to` was.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    from: u64,
    to: u64,
}

impl When {
    /// Now, as the exporter sees it.
    const LAST: Self = Self::at(u64::MAX);

    /// Checked here at once, and recorded as this entry.
    pub(super) const fn at(entry: u64) -> Self {
        Self { from: entry, to: entry }
    }

    /// Between the first and the last of these entries.
    pub(super) fn between(entries: impl Iterator<Item = u64> + Clone) -> Self {
        Self {
            from: entries.clone().min().unwrap_or_default(),
            to: entries.max().unwrap_or_default(),
        }
    }
}

/// The keys of the DID documents in a bundle.
pub(super) struct Keys {
    /// Each with the number of the entry that recorded it.
    documents: Vec<(u64, Document)>,
    used: RefCell<BTreeMap<(String, String), BTreeSet<&'static str>>>,
}

impl Keys {
    /// Reads the documents; each must be one of the two parties'.
    pub(super) fn read(bundle: &Bundle) -> Result<Self, Flaw> {
        let manifest = &bundle.manifest;
        let mut documents = Vec::new();
        for version in &manifest.documents {
            let refuse = |why: String| Flaw::of(version.file.as_str(), why);
            if version.did != manifest.exporter && version.did != manifest.counterparty {
                return Err(refuse("it belongs to neither party".into()));
            }
            let value = bundle.json(&version.file)?;
            let document = Document::read(&version.did, &value).map_err(|error| refuse(error.to_string()))?;
            documents.push((version.entry, document));
        }
        Ok(Self {
            documents,
            used: RefCell::default(),
        })
    }

    /// The versions of a participant's document that were the newest one at some time in between: a key that its owner has given up
    /// proves nothing that was recorded afterwards (`trust-and-skills.md` 2.6).
    fn current<'a>(&'a self, did: &'a str, when: When) -> impl Iterator<Item = &'a Document> {
        let theirs = self
            .documents
            .iter()
            .filter(move |(entry, document)| *entry < when.to && document.id.as_str() == did);
        let before = theirs
            .clone()
            .map(|(entry, _)| *entry)
            .filter(|entry| *entry < when.from);
        let first = before.max().unwrap_or_default();
        theirs
            .filter(move |(entry, _)| *entry >= first)
            .map(|(_, document)| document)
    }

    /// The keys that the owner's document published under this id at that time.
    fn candidates(&self, kid: &str, when: When) -> Vec<VerifyingKey> {
        let mut found: Vec<VerifyingKey> = Vec::new();
        for document in self.current(of_kid(kid).unwrap_or_default(), when) {
            if let Some(key) = document.key(kid)
                && found.iter().all(|known| known.thumbprint() != key.thumbprint())
            {
                found.push(key.clone());
            }
        }
        found
    }

    /// The key with this id and thumbprint.
    pub(super) fn exactly(&self, kid: &str, thumbprint: &Digest, when: When) -> Option<VerifyingKey> {
        let mut candidates = self.candidates(kid, when).into_iter();
        candidates.find(|key| key.thumbprint() == *thumbprint)
    }

    /// Makes an attempt with each key that a key id may stand for; returns what came of it and the id that was asked for. A party that
    /// gave a new key the id of an old one has more than one.
    pub(super) fn attempt<T, E>(
        &self,
        what: &'static str,
        when: When,
        attempt: impl Fn(&dyn Fn(&str) -> Option<VerifyingKey>) -> Result<T, E>,
    ) -> Result<(T, String), E> {
        let mut number = 0;
        loop {
            let asked = RefCell::new(None);
            let look_up = |kid: &str| {
                let candidates = self.candidates(kid, when);
                let key = candidates.get(number).cloned();
                let more = candidates.len() > number + 1;
                asked.replace(Some((kid.to_owned(), key.as_ref().map(VerifyingKey::thumbprint), more)));
                key
            };
            let outcome = attempt(&look_up);
            match (outcome, asked.into_inner()) {
                (Ok(value), Some((kid, Some(thumbprint), _))) => {
                    self.relied_on(&kid, &thumbprint, what);
                    return Ok((value, kid));
                }
                (Ok(value), _) => return Ok((value, String::new())),
                (Err(_), Some((_, _, true))) => number += 1,
                (Err(error), _) => return Err(error),
            }
        }
    }

    /// Notes that a key proved something.
    pub(super) fn relied_on(&self, kid: &str, thumbprint: &Digest, what: &'static str) {
        let place = (kid.to_owned(), thumbprint.to_string());
        self.used.borrow_mut().entry(place).or_default().insert(what);
    }

    /// The keys that proved something: id, thumbprint, and what.
    pub(super) fn used(&self) -> Vec<(String, String, Vec<&'static str>)> {
        let used = self.used.borrow();
        used.iter()
            .map(|((kid, thumbprint), what)| (kid.clone(), thumbprint.clone(), what.iter().copied().collect()))
            .collect()
    }

    /// The keys of the log that the documents of `did` publish.
    pub(super) fn log_keys(&self, did: &ParticipantId) -> Vec<LogKey> {
        let mut found: Vec<LogKey> = Vec::new();
        for (_, document) in self.documents.iter().filter(|(_, document)| document.id == *did) {
            let published = document.log.as_ref().map(|log| log.key.clone());
            found.extend(published.filter(|key| !found.contains(key)));
        }
        found
    }

    /// Whether the exporter signed the manifest.
    pub(super) fn check_manifest(&self, bundle: &Bundle) -> Result<(), Flaw> {
        let refuse = |why: String| Flaw::of(SIGNATURE, why);
        let text = bundle.text(SIGNATURE)?;
        let verified = self.attempt("the manifest", When::LAST, |keys| {
            token::verify(text, token::Kind::Evidence, keys)
        });
        let (claims, _) = verified.map_err(|error| refuse(error.to_string()))?;
        if claims.issuer() != bundle.manifest.exporter.as_str() {
            return Err(refuse(format!(
                "it is signed by {}, not by the exporter",
                claims.issuer()
            )));
        }
        if !manifest::claims_fit(&claims.into_value(), &bundle.manifest) {
            return Err(refuse("it was signed for another bundle".into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{Algorithm, SigningKey};
    use serde_json::json;

    const DID: &str = "did:web:a.example";

    fn document(keys: &[(&str, &SigningKey)]) -> Document {
        let methods = keys.iter().map(|(name, key)| {
            json!({"id": format!("{DID}#{name}"), "type": "JsonWebKey2020", "controller": DID, "publicKeyJwk": key.public_jwk()})
        });
        let names: Vec<String> = keys.iter().map(|(name, _)| format!("{DID}#{name}")).collect();
        let document = json!({"id": DID, "verificationMethod": methods.collect::<Vec<_>>(), "assertionMethod": names});
        Document::read(&DID.parse().unwrap(), &document).unwrap()
    }

    /// Whoever has a key that its owner has given up cannot prove anything with it that the log recorded afterwards.
    #[test]
    fn a_key_counts_for_what_was_recorded_while_it_was_published() {
        let [one, two] = [(); 2].map(|()| SigningKey::generate(Algorithm::EdDsa).unwrap());
        let keys = Keys {
            documents: vec![
                (10, document(&[("k1", &one)])),
                (20, document(&[("k1", &one), ("k2", &two)])),
                (30, document(&[("k2", &two)])),
                (40, document(&[("k1", &one)])),
            ],
            used: RefCell::default(),
        };
        let counts = |name: &str, when| !keys.candidates(&format!("{DID}#{name}"), when).is_empty();
        for (entry, old, new) in [
            (9, false, false),
            (11, true, false),
            (21, true, true),
            (31, false, true),
            (41, true, false),
        ] {
            let when = When::at(entry);
            assert_eq!((counts("k1", when), counts("k2", when)), (old, new), "entry {entry}");
        }
        let between = |from, to| When::between([from, to].into_iter());
        assert!(counts("k1", between(25, 35)), "signed before, recorded after");
        assert!(!counts("k1", between(31, 39)));
        assert!(counts("k2", between(35, 45)) && counts("k1", between(35, 45)));
        assert!(counts("k1", When::LAST) && !counts("k2", When::LAST));
    }
}
