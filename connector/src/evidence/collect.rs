//! Putting a bundle together from what the connector keeps: the agreement, what was exchanged, the documents with the keys, the entries of
//! the log with their proofs. Reads only.

use super::{
    Flaw,
    container::{self, Files},
    found::{Belonging, Found, Read},
    manifest::{AGREEMENT, Answer, CHECKPOINT, ConsentHashes, Item, Manifest, PAGE, Process, Version},
    recorded::{self, Pattern, fits},
};
use crate::{
    audit::{AuditError, Log},
    consent::Consents,
    contract::{self, ContractError, Contracts, StoredAgreement},
    dsp::{AgreementId, ParticipantId, Pid, Role},
    jose::{JoseError, canonical},
    process::{
        Kind, ProcessError, Reply,
        archive::{self, Exhibit, Form},
    },
    store::StoreError,
    transfer::{TransferError, TransferRecord, Transfers},
    trust::{SIGNATURE_HEADER, Trust},
};
use policy::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// How often it is begun again because something happened meanwhile.
const ATTEMPTS: usize = 8;
/// Largest bundle, in bytes: it is made in memory.
const MAX_LEN: usize = 512 * 1024 * 1024;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// Neither an agreement in force nor a process that led to one or belongs to one.
    #[error("there is no agreement, negotiation or transfer {0} that an agreement is in force for")]
    NotFound(String),
    /// Something in the archive has no entry in the log: the store is not what this connector wrote.
    #[error("the log does not record {0}")]
    Unrecorded(String),
    /// An entry of the log, or what it records, cannot be read.
    #[error("entry {0} of the log, or what it records, cannot be read")]
    Damaged(u64),
    /// Messages kept coming.
    #[error("messages of this agreement are being exchanged; try again")]
    Busy,
    /// More than is made in memory.
    #[error("the bundle would be larger than {MAX_LEN} bytes")]
    TooLarge,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log cannot be sealed or proven.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Signing failed.
    #[error("signing failed: {0}")]
    Signing(#[from] JoseError),
    /// The archive could not be written.
    #[error("the archive cannot be written: {0}")]
    Archive(#[from] std::io::Error),
}

impl From<Flaw> for EvidenceError {
    fn from(flaw: Flaw) -> Self {
        Self::Unrecorded(flaw.to_string())
    }
}

/// What a bundle is made of.
pub struct Sources<'a> {
    /// Negotiations and agreements.
    pub contracts: &'a Contracts,
    /// Transfers.
    pub transfers: &'a Transfers,
    /// Consents.
    pub consents: &'a Consents,
    /// The log.
    pub log: &'a Log,
    /// Our identity, and the documents that were seen.
    pub trust: &'a Trust,
}

/// Makes the bundle of the agreement that `about` names: by its own id, or by our id of its negotiation or of a transfer under it.
pub async fn collect(sources: &Sources<'_>, about: &str, now: Timestamp) -> Result<Vec<u8>, EvidenceError> {
    let stored = sources.agreement(about).await?;
    let mut read = Read::default();
    for _ in 0..ATTEMPTS {
        if let Some(mut draft) = sources.draft(&stored, &mut read, now).await? {
            draft.manifest.seal(&mut draft.files, &sources.trust.signer())?;
            return Ok(container::write(&draft.files)?);
        }
    }
    Err(EvidenceError::Busy)
}

/// A bundle before it is signed.
struct Draft {
    manifest: Manifest,
    files: Files,
}

impl Sources<'_> {
    async fn agreement(&self, about: &str) -> Result<StoredAgreement, EvidenceError> {
        let unknown = || EvidenceError::NotFound(about.to_owned());
        let agreements = self.contracts.agreements();
        if let Ok(id) = about.parse::<AgreementId>()
            && let Some(stored) = agreements.get(&id).await?
        {
            return Ok(stored);
        }
        let pid: Pid = about.parse().map_err(|_| unknown())?;
        let id = match self.contracts.get(&pid).await {
            Ok(record) => record.agreement_id(),
            Err(ContractError::Process(ProcessError::NotFound)) => match self.transfers.get(&pid).await {
                Ok(record) => Some(record.agreement),
                Err(TransferError::Process(ProcessError::Store(error))) => return Err(error.into()),
                Err(_) => None,
            },
            Err(ContractError::Process(ProcessError::Store(error))) => return Err(error.into()),
            Err(_) => None,
        };
        agreements.get(&id.ok_or_else(unknown)?).await?.ok_or_else(unknown)
    }

    /// One attempt; none when something happened while it was read.
    async fn draft(
        &self,
        stored: &StoredAgreement,
        read: &mut Read,
        now: Timestamp,
    ) -> Result<Option<Draft>, EvidenceError> {
        let listed = self.log.count().await?;
        let mut draft = self.begin(stored, now).await?;
        let mut exchanged = Vec::new();
        for process in &draft.manifest.processes {
            exchanged.push((
                process.pid.clone(),
                archive::exhibits(&**self.log.store(), &process.pid).await?,
            ));
        }
        let consents = self.consents_for(stored).await?;
        self.log.seal().await?;
        let belonging = Belonging::to(&draft.manifest, &consents);
        read.go_on(self.log, &belonging, listed).await?;
        let mut found = read.found(&belonging);
        let mut number = 0;
        for (pid, exhibits) in exchanged {
            let mut after = None;
            let counted = draft.manifest.processes.iter().find(|process| process.pid == pid);
            if counted.and_then(|process| process.exhibits) < u64::try_from(exhibits.len()).ok() {
                return Ok(None);
            }
            for (place, exhibit) in exhibits {
                number += 1;
                let reply = match exhibit.about.sent {
                    Some(sent) => archive::reply(&**self.log.store(), &pid, sent).await?,
                    None => None,
                };
                let mut item = draft.add((&pid, place), number, exhibit, reply);
                let patterns = recorded::of_item(&item, |name| draft.bytes(name))?;
                let Some(entries) = found.link(&patterns, after) else {
                    return Ok(None);
                };
                if item.form == Form::Message {
                    after = entries.first().copied();
                }
                item.entries = entries;
                draft.manifest.exhibits.push(item);
            }
        }
        // What came while this was read has an entry and is not among the exhibits.
        if found.has_unlinked_messages() {
            return Ok(None);
        }
        for mut consent in consents {
            let Some(entries) = found.link(&recorded::of_consent(&consent), None) else {
                return Ok(None);
            };
            consent.entries = entries;
            draft.manifest.consents.push(consent);
        }
        self.documents(&mut draft, &found).await?;
        self.prove(draft, found).await.map(Some)
    }

    /// The manifest's head, and the processes that it is about.
    async fn begin(&self, stored: &StoredAgreement, now: Timestamp) -> Result<Draft, EvidenceError> {
        let counterparty = match stored.role {
            Role::Provider => &stored.consumer,
            Role::Consumer => &stored.provider,
        };
        let unknown = |_| EvidenceError::NotFound(stored.negotiation.to_string());
        let negotiation = self.contracts.get(&stored.negotiation).await.map_err(unknown)?;
        let mut transfers = self.transfers.list().await.map_err(unknown_transfer)?;
        transfers.retain(|transfer| transfer.agreement == stored.id);
        transfers.sort_by_key(|transfer| transfer.core.created);
        let (ended, running): (Vec<_>, Vec<_>) = transfers
            .into_iter()
            .partition(|transfer| transfer.core.position.is_terminal());
        let mut processes = vec![process(&negotiation)];
        processes.extend(ended.iter().map(process::<TransferRecord>));
        let (r#type, v) = Manifest::head();
        let manifest = Manifest {
            r#type,
            v,
            exporter: self.trust.me().clone(),
            role: stored.role,
            counterparty: counterparty.clone(),
            agreement: stored.id.clone(),
            created: now,
            processes,
            running: running.into_iter().map(|transfer| transfer.core.pid).collect(),
            documents: Vec::new(),
            exhibits: Vec::new(),
            consents: Vec::new(),
            entries: Vec::new(),
            files: BTreeMap::new(),
        };
        let mut files = vec![
            ("README.txt".to_owned(), include_bytes!("evidence.txt").to_vec()),
            (AGREEMENT.to_owned(), stored.document.clone().into_bytes()),
        ];
        files.extend(page(stored, now).map(|page| (PAGE.to_owned(), page)));
        Ok(Draft { manifest, files })
    }

    /// The consents in which our learners name the consumer, for this dataset or for all.
    async fn consents_for(&self, stored: &StoredAgreement) -> Result<Vec<ConsentHashes>, EvidenceError> {
        if stored.role == Role::Consumer {
            return Ok(Vec::new());
        }
        let mut all = self.consents.list(None).await?;
        all.retain(|kept| {
            let consent = &kept.consent;
            consent.recipients.contains(&stored.consumer)
                && (consent.datasets.is_empty() || consent.datasets.contains(&stored.dataset))
        });
        let hashes = all.iter().filter_map(|kept| {
            Some(ConsentHashes {
                given: kept.given_receipt?,
                withdrawn: kept.withdrawal_receipt,
                entries: Vec::new(),
            })
        });
        Ok(hashes.collect())
    }

    /// The documents of both parties, in the order in which they became the newest: one for each entry, one file for each content.
    async fn documents(&self, draft: &mut Draft, found: &Found) -> Result<(), EvidenceError> {
        for did in [&draft.manifest.exporter, &draft.manifest.counterparty].map(ParticipantId::clone) {
            let versions = self.trust.resolver().history().of(&did).await?;
            let versions: HashMap<String, Vec<u8>> = versions
                .into_iter()
                .map(|(_, version)| (version.digest().to_string(), version.bytes().to_vec()))
                .collect();
            let mut files: HashMap<&str, String> = HashMap::new();
            let pattern: Pattern = vec![("kind", "did-doc".into()), ("did", did.as_str().into())];
            for (number, entry) in found.entries.iter().filter(|(_, entry)| fits(entry, &pattern)) {
                let unreadable = || EvidenceError::Damaged(*number);
                let digest = entry.get("document").and_then(Value::as_str).ok_or_else(unreadable)?;
                let seen = entry
                    .get("ts")
                    .and_then(Value::as_str)
                    .and_then(|time| time.parse().ok());
                let file = match files.get(digest) {
                    Some(file) => file.clone(),
                    None => {
                        let bytes = versions.get(digest).ok_or_else(unreadable)?;
                        let file = draft.file(format!("did/{:03}.json", draft.manifest.documents.len() + 1), bytes);
                        files.insert(digest, file.clone());
                        file
                    }
                };
                draft.manifest.documents.push(Version {
                    did: did.clone(),
                    seen: seen.ok_or_else(unreadable)?,
                    file,
                    entry: *number,
                });
            }
        }
        Ok(())
    }

    /// Adds every entry with the proof that the log holds it, all under the newest checkpoint that a witness has cosigned and that covers
    /// them, or the newest of all.
    async fn prove(&self, mut draft: Draft, found: Found) -> Result<Draft, EvidenceError> {
        let last = found.entries.keys().next_back().copied().unwrap_or_default();
        let checkpoint = self.log.covering(last).await?;
        for (number, entry) in found.entries {
            let proof = self.log.proof_under(number, &checkpoint).await?;
            let bytes = canonical::signable(&entry).map_err(JoseError::from)?;
            let (entry_file, proof_file) = recorded::files(number);
            draft.files.push((entry_file, bytes));
            draft.files.push((proof_file, proof.to_text().into_bytes()));
            draft.manifest.entries.push(number);
        }
        let note = checkpoint.note().to_string();
        draft.files.push((CHECKPOINT.to_owned(), note.into_bytes()));
        if draft.files.iter().map(|(_, bytes)| bytes.len() + 1024).sum::<usize>() > MAX_LEN {
            return Err(EvidenceError::TooLarge);
        }
        Ok(draft)
    }
}

fn unknown_transfer(error: TransferError) -> EvidenceError {
    match error {
        TransferError::Process(ProcessError::Store(error)) => error.into(),
        other => EvidenceError::Unrecorded(other.to_string()),
    }
}

/// The agreement as people read it, if it verifies by the keys that are kept with it.
fn page(stored: &StoredAgreement, now: Timestamp) -> Option<Vec<u8>> {
    let export = stored.export().ok()?;
    let checked = contract::verify_export(&serde_json::to_vec(&export).ok()?).ok()?;
    Some(contract::page::write(&export, &checked, now).into_bytes())
}

fn process<K: Kind>(record: &K) -> Process {
    let core = record.core();
    Process {
        protocol: K::PROTOCOL,
        pid: core.pid.clone(),
        peer_pid: core.peer_pid.clone(),
        state: core.state_name(),
        exhibits: Some(core.archived),
    }
}

impl Draft {
    fn bytes(&self, name: &str) -> Result<&[u8], Flaw> {
        let found = self.files.iter().rev().find(|(known, _)| known == name);
        found
            .map(|(_, bytes)| bytes.as_slice())
            .ok_or_else(|| Flaw::of(name, "it is missing"))
    }

    fn file(&mut self, name: String, bytes: &[u8]) -> String {
        self.files.push((name.clone(), bytes.to_vec()));
        name
    }

    /// Adds the files of one exhibit: the `place`-th of its process, the `number`-th of the bundle.
    fn add(&mut self, (pid, place): (&Pid, u64), number: usize, exhibit: Exhibit, reply: Option<Reply>) -> Item {
        let about = exhibit.about;
        let kind = &about.kind;
        let (stem, extension) = match about.form {
            Form::Message => (format!("messages/{number:03}-{kind}"), "json"),
            Form::Line => (format!("releases/{number:03}-{kind}"), "json"),
            Form::Receipt => (format!("releases/{number:03}-{kind}"), "jws"),
        };
        let body = self.file(format!("{stem}.{extension}"), &exhibit.body);
        let own = about.header(SIGNATURE_HEADER).map(str::to_owned);
        let (signature, answer) = match reply {
            None => (own, None),
            Some(reply) => {
                let body = self.file(format!("{stem}.answer.json"), &reply.body);
                let signature = reply.about.answer_signature.as_ref();
                let signature = signature.map(|value| self.file(format!("{stem}.answer.jws"), value.as_bytes()));
                let answer = Answer {
                    status: reply.about.status,
                    body,
                    signature,
                };
                (reply.about.signature, Some(answer))
            }
        };
        let signature = signature.map(|value| self.file(format!("{stem}.jws"), value.as_bytes()));
        let headers = about.headers.into_iter().filter(|(name, _)| name != SIGNATURE_HEADER);
        Item {
            process: pid.clone(),
            number: Some(place),
            form: about.form,
            direction: about.direction,
            kind: about.kind,
            at: about.at,
            body,
            url: about.url,
            signature,
            headers: headers.collect(),
            answer,
            entries: Vec::new(),
        }
    }
}
