//! Releases of groups and of anonymous rows: which ones a recipient has (the ledger), and what a transfer carries. A release is committed
//! with its ledger and its audit entry before the first byte of it can leave; each transfer has one, however often its stream is opened.

use super::{TransferError, TransferRecord, Transfers};
use crate::{
    audit::{Entry, Kind as Recorded},
    catalog::{Dataset, ReleaseSpec},
    dsp::{DatasetId, ParticipantId, Pid, message::Explanation},
    jose::{Digest, HmacKey, random, sha256},
    plane::{
        PlaneError,
        release::{Made, Reading, ReleaseError},
    },
    process::{decode, encode},
    store::{Batch, Guard, StoreError, Table, Version},
};
use policy::{Timestamp, release::ledger::Ledger};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Ledgers: under the hash of dataset and recipient a head, and under that and a number each part of its bytes.
const LEDGERS: Table = Table(72);
/// Releases by transfer.
const RELEASES: Table = Table(73);
/// Bytes of a ledger in one item: below what a store accepts.
const PART: usize = 60 * 1024;
/// How often a release is made anew because consents or the ledger changed meanwhile.
const ATTEMPTS: usize = 5;

/// What the peer is told of a refused release; why is for the operator alone.
pub const NEUTRAL: &str = "no release can be made for this agreement now";

/// The first item of a ledger.
#[derive(Serialize, Deserialize)]
struct Head {
    parts: u32,
    /// Over all bytes.
    digest: Digest,
}

/// The release of one transfer.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// The lineage id, fresh for each release.
    release: String,
    /// Over the lines.
    digest: Digest,
    /// It shows rows and not groups.
    rows: bool,
}

/// Where the lines of a release are.
pub(super) struct Ready {
    /// The file.
    pub(super) path: PathBuf,
    /// Rows leave only while no consent has changed since they were made.
    pub(super) only_under: Option<u64>,
}

/// What releases need besides what transfers have.
pub(super) struct Releases {
    names: HmacKey,
    folder: PathBuf,
    /// Under which epoch rows were made. Not kept over a restart: then epochs are counted anew.
    epochs: Mutex<HashMap<Pid, u64>>,
}

impl Releases {
    /// Learners get names from `names`; files are kept in `folder`.
    pub(super) fn new(names: HmacKey, folder: PathBuf) -> Self {
        Self {
            names,
            folder,
            epochs: Mutex::default(),
        }
    }

    /// The key that belongs to one dataset and one recipient.
    pub(super) fn names(&self, dataset: &DatasetId, recipient: &ParticipantId) -> HmacKey {
        let tag = self
            .names
            .tag_parts(&[dataset.as_str().as_bytes(), b"\0", recipient.as_str().as_bytes()]);
        HmacKey::new(tag.as_bytes())
    }

    fn file(&self, release: &str) -> PathBuf {
        self.folder
            .join(format!("{}.ndjson", release.trim_start_matches("urn:uuid:")))
    }

    /// The release that was committed for this transfer, if it may still leave: rows only while no consent has changed.
    fn ready(&self, pid: &Pid, stored: &Stored, epoch: u64) -> Option<Ready> {
        let epochs = self.epochs.lock().unwrap_or_else(PoisonError::into_inner);
        if stored.rows && epochs.get(pid) != Some(&epoch) {
            return None;
        }
        Some(Ready {
            path: self.file(&stored.release),
            only_under: stored.rows.then_some(epoch),
        })
    }
}

impl Transfers {
    /// The release of this transfer: the one that it has, or a new one.
    pub(super) async fn release(
        &self,
        record: &TransferRecord,
        dataset: &Dataset,
        spec: &ReleaseSpec,
        reading: impl Fn() -> Reading,
        now: Timestamp,
    ) -> Result<Ready, TransferError> {
        let pid = &record.core.pid;
        for _ in 0..ATTEMPTS {
            if let Some(item) = self.parts.log.store().get(RELEASES, pid.as_str().as_bytes()).await? {
                let epoch = self.parts.consents.index().epoch();
                let ready = self.releases.ready(pid, &decode(&item.value)?, epoch);
                return ready.ok_or_else(|| ReleaseError::Outdated.into());
            }
            match self.make(record, dataset, spec, reading(), now).await {
                Ok(()) | Err(TransferError::Release(ReleaseError::Moved)) => {}
                Err(TransferError::Release(ReleaseError::Refused(why))) => {
                    let entry =
                        about(record, dataset, spec, Recorded::ReleaseRefused).with("code", why.code().as_str());
                    self.parts.log.commit(Batch::new(), entry, Vec::new(), now).await?;
                    return Err(ReleaseError::Refused(why).into());
                }
                Err(error) => return Err(error),
            }
        }
        Err(ReleaseError::Moved.into())
    }

    /// Makes a release and commits it, unless consents or the ledger have changed since it was begun.
    async fn make(
        &self,
        record: &TransferRecord,
        dataset: &Dataset,
        spec: &ReleaseSpec,
        reading: Reading,
        now: Timestamp,
    ) -> Result<(), TransferError> {
        let pid = &record.core.pid;
        let of = sha256_of(&dataset.id, &record.core.peer);
        let (head, ledger) = self.ledger_of(&of).await?;
        let id = format!(
            "urn:uuid:{}",
            random::uuid(now).map_err(|error| TransferError::Invalid(error.to_string()))?
        );
        let (name, declared) = (id.clone(), spec.clone());
        let made = tokio::task::spawn_blocking(move || reading.release(&name, &declared, &ledger))
            .await
            .map_err(|_| PlaneError::Incomplete)??;
        let digest = sha256(&made.lines);
        let entry = about(record, dataset, spec, Recorded::GroupsReleased)
            .with("release", id.as_str())
            .with("minGroupSize", made.group_size.get())
            .with("learners", made.learners as u64)
            .of("lines", &digest);
        let stored = Stored {
            release: id,
            digest,
            rows: matches!(spec, ReleaseSpec::Training { .. }),
        };
        let mut batch = Batch::new();
        put_ledger(&mut batch, &of, head, &made.ledger)?;
        batch.insert(RELEASES, pid.as_str(), encode(&stored)?);
        let epoch = made.epoch;
        let path = self.releases.file(&stored.release);
        keep(path.clone(), made).await?;
        let committed = if self.parts.consents.index().epoch() == epoch {
            self.parts.log.commit(batch, entry, Vec::new(), now).await
        } else {
            Err(StoreError::Conflict { guard: 0 })
        };
        if let Err(error) = committed {
            let _ = tokio::task::spawn_blocking(move || fs::remove_file(path)).await;
            return Err(match error {
                StoreError::Conflict { .. } => ReleaseError::Moved.into(),
                error => error.into(),
            });
        }
        let mut epochs = self.releases.epochs.lock().unwrap_or_else(PoisonError::into_inner);
        epochs.insert(pid.clone(), epoch);
        Ok(())
    }

    async fn ledger_of(&self, of: &Digest) -> Result<(Option<(Version, Head)>, Ledger), TransferError> {
        let store = self.parts.log.store();
        let damaged = |what: &str| TransferError::from(ReleaseError::Ledger(what.to_owned()));
        let Some(item) = store.get(LEDGERS, of.as_bytes()).await? else {
            return Ok((None, Ledger::default()));
        };
        let head: Head = decode(&item.value)?;
        let mut bytes = Vec::new();
        for number in 0..head.parts {
            let part = store.get(LEDGERS, &part_key(of, number)).await?;
            bytes.extend(part.ok_or_else(|| damaged("a part is missing"))?.value);
        }
        if !sha256(&bytes).matches(&head.digest) {
            let now = store.get(LEDGERS, of.as_bytes()).await?;
            let moved = now.is_none_or(|now| now.version != item.version);
            return Err(if moved {
                ReleaseError::Moved.into()
            } else {
                damaged("its hash is another")
            });
        }
        let ledger = Ledger::from_bytes(&bytes).map_err(|error| damaged(&error.to_string()))?;
        Ok((Some((item.version, head)), ledger))
    }

    /// Ends a transfer whose release was refused. The peer is not told why.
    pub(super) async fn end_refused(&self, pid: &Pid, now: Timestamp) {
        if let Err(error) = self.terminate(pid, Explanation::new("release", NEUTRAL), now).await {
            tracing::warn!(%pid, %error, "a transfer whose release was refused could not be ended");
        }
    }
}

/// Writes the lines where only this user can read them, whole or not at all.
async fn keep(path: PathBuf, made: Made) -> Result<(), TransferError> {
    tokio::task::spawn_blocking(move || write(&path, &made.lines))
        .await
        .map_err(|_| PlaneError::Incomplete)?
        .map_err(|error| PlaneError::Sink(error).into())
}

fn about(record: &TransferRecord, dataset: &Dataset, spec: &ReleaseSpec, kind: Recorded) -> Entry {
    Entry::new(kind)
        .with("process", record.core.pid.as_str())
        .with("peer", record.core.peer.as_str())
        .with("agreement", record.agreement.as_str())
        .with("dataset", dataset.id.as_str())
        .with("mode", spec.mode())
}

fn sha256_of(dataset: &DatasetId, recipient: &ParticipantId) -> Digest {
    sha256(format!("{dataset}\0{recipient}").as_bytes())
}

fn part_key(of: &Digest, number: u32) -> Vec<u8> {
    let number = number.to_be_bytes();
    of.as_bytes().iter().chain(&number).copied().collect()
}

fn put_ledger(
    batch: &mut Batch,
    of: &Digest,
    before: Option<(Version, Head)>,
    ledger: &Ledger,
) -> Result<(), TransferError> {
    let bytes = ledger.to_bytes();
    let mut parts = 0;
    for part in bytes.chunks(PART) {
        batch.put(LEDGERS, part_key(of, parts), part);
        parts += 1;
    }
    let digest = sha256(&bytes);
    let head = encode(&Head { parts, digest })?;
    let guard = before
        .as_ref()
        .map_or(Guard::Absent, |(version, _)| Guard::At(*version));
    batch.require(LEDGERS, of.as_bytes().to_vec(), guard);
    batch.put(LEDGERS, of.as_bytes().to_vec(), head);
    for gone in parts..before.map_or(0, |(_, head)| head.parts) {
        batch.delete(LEDGERS, part_key(of, gone));
    }
    Ok(())
}

fn write(path: &Path, lines: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let folder = path.parent().unwrap_or(path);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let written = path.with_extension("writing");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&written)?;
    file.write_all(lines)?;
    file.sync_all()?;
    fs::rename(&written, path)?;
    fs::File::open(folder)?.sync_all()
}
