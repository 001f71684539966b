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

/// The keys of the DID documents in a bundle.
pub(super) struct Keys {
    documents: Vec<Document>,
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
            documents.push(document);
        }
        Ok(Self {
            documents,
            used: RefCell::default(),
        })
    }

    /// The keys that some version of the owner's document publishes under this id.
    fn candidates(&self, kid: &str) -> Vec<VerifyingKey> {
        let mut found: Vec<VerifyingKey> = Vec::new();
        for document in &self.documents {
            if of_kid(kid) == Some(document.id.as_str())
                && let Some(key) = document.key(kid)
                && found.iter().all(|known| known.thumbprint() != key.thumbprint())
            {
                found.push(key.clone());
            }
        }
        found
    }

    /// The key with this id and thumbprint.
    pub(super) fn exactly(&self, kid: &str, thumbprint: &Digest) -> Option<VerifyingKey> {
        let mut candidates = self.candidates(kid).into_iter();
        candidates.find(|key| key.thumbprint() == *thumbprint)
    }

    /// Makes an attempt with each key that a key id may stand for; returns what came of it and the id that was asked for. A party that
    /// gave a new key the id of an old one has more than one.
    pub(super) fn attempt<T, E>(
        &self,
        what: &'static str,
        attempt: impl Fn(&dyn Fn(&str) -> Option<VerifyingKey>) -> Result<T, E>,
    ) -> Result<(T, String), E> {
        let mut number = 0;
        loop {
            let asked = RefCell::new(None);
            let look_up = |kid: &str| {
                let candidates = self.candidates(kid);
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
        for document in self.documents.iter().filter(|document| document.id == *did) {
            let published = document.log.as_ref().map(|log| log.key.clone());
            found.extend(published.filter(|key| !found.contains(key)));
        }
        found
    }

    /// Whether the exporter signed the manifest.
    pub(super) fn check_manifest(&self, bundle: &Bundle) -> Result<(), Flaw> {
        let refuse = |why: String| Flaw::of(SIGNATURE, why);
        let text = bundle.text(SIGNATURE)?;
        let verified = self.attempt("the manifest", |keys| token::verify(text, token::Kind::Evidence, keys));
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
