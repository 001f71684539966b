//! Releases of groups and of anonymous rows: which ones a recipient has (the ledger), and what a transfer carries. A release is committed
//! with its ledger and its audit entry before the first byte of it can leave.
//!
//! * **One source, one ledger.** What a recipient has is kept by the file that it was made of, by the one path that it has, and not by
//!   dataset: two datasets over one source are compared. They must find learners at the same place of a record; else learners could not be
//!   told to be the same, and the second gets no release. A copy of a source is another source, and so is what a hard link names: an
//!   operator who publishes both vouches for both. Recipients that pool what they got, under two names of one organisation perhaps, are
//!   beyond any ledger of one recipient (`policy::release::ledger`).
//! * **What leaves again.** A release lives as long as what allowed it: how and of what it is made, the size of its groups, what its
//!   agreement permits (`terms`), and for rows the consent epoch. A stream that is taken up by its cursor goes on with the same release or
//!   not at all: groups may be finished after a withdrawal, since past groups of k stay (policy.md 5.7), rows may not. A stream that begins
//!   anew gets the same release only while nothing of this has changed, no consent either, since this connector started, and only as the same
//!   use; else a new one,
//!   made under the consents of now and compared with all that went before, the one that it replaces among them.
//! * **Work.** Making a release reads the whole source. Each opening is counted before (`openings`), one release at a time is made for a
//!   recipient and few over all; whoever waited for another opening of the same transfer gets what that one made. Who hangs up frees no
//!   turn: the reading goes on to its end, and so does the turn.
//! * **Its end.** A release goes with its transfer: once that is over, nothing of it leaves again. What the recipient has of it stays in the
//!   ledger. Lines that a stop left behind are dropped at the next start.
//!
//! A release has a lineage id, which its first line names. Rows of one lineage are replaced, at the recipient, by those of the next.

mod lines;

use super::{TransferError, TransferRecord, Transfers};
use crate::{
    audit::{Entry, Kind as Recorded},
    catalog::{Dataset, ReleaseSpec},
    consent::Occurrence,
    dsp::{ParticipantId, Pid, Role, message::Explanation},
    jose::{Digest, HmacKey, random, sha256, sha256_parts},
    plane::{
        PlaneError,
        release::{Made, Reading, ReleaseError, named},
    },
    process::{decode, encode},
    store::{Batch, Guard, Pages, StoreError, Table, Turn, Turns, Version},
};
use lines::{keep, remove, sweep};
use policy::{
    Timestamp,
    release::{Refused, ledger::Ledger},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Ledgers: under the hash of source and recipient a head, and under that and a number each part of its bytes.
const LEDGERS: Table = Table(72);
/// Releases by transfer.
const RELEASES: Table = Table(73);
/// Bytes of a ledger in one item: below what a store accepts.
const PART: usize = 60 * 1024;
/// How often a release is made anew because consents or the ledger changed meanwhile.
const ATTEMPTS: usize = 5;
/// How many releases are looked at together at the start.
const PAGE: usize = 128;

/// How many releases are made at once.
const MAKINGS: usize = 2;

/// What the peer is told of a refused release; why is for the operator alone.
pub const NEUTRAL: &str = "no release can be made for this agreement now";

/// The first item of a ledger.
#[derive(Serialize, Deserialize)]
struct Head {
    parts: u32,
    /// Over all bytes.
    digest: Digest,
    /// Where records say whose they are: by it learners are named in the ledger.
    subject: String,
}

/// The release of one transfer.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// The lineage id, fresh for each release.
    release: String,
    /// Over the lines.
    digest: Digest,
    /// What it was made under besides consents.
    terms: Digest,
    /// Records that were not counted when it was made, by the code of the reason: for our operator alone.
    #[serde(default)]
    withheld: BTreeMap<String, u64>,
}

/// A release that is asked for.
#[derive(Clone, Copy)]
pub(super) struct Sought<'a> {
    /// By which transfer.
    pub(super) record: &'a TransferRecord,
    /// Of what.
    pub(super) dataset: &'a Dataset,
    /// What it is made under besides consents.
    pub(super) terms: Digest,
    /// As what it is counted where a consent permits a number of transfers.
    pub(super) occurrence: Occurrence,
    /// The recipient has a part of it and goes on from there.
    pub(super) taken_up: bool,
    /// When.
    pub(super) now: Timestamp,
}

/// Where the lines of a release are.
pub(super) struct Ready {
    /// The file.
    pub(super) path: PathBuf,
    /// Rows leave only while no consent has changed since they were made.
    pub(super) only_under: Option<u64>,
    /// Records that were not counted when they were made, by the code of the reason.
    pub(super) withheld: BTreeMap<String, u64>,
}

/// The right to make a release now: of this recipient, and of all.
struct Making {
    _of_recipient: Turn,
    _of_all: OwnedSemaphorePermit,
}

/// What releases need besides what transfers have.
pub(super) struct Releases {
    names: HmacKey,
    folder: PathBuf,
    /// Under which epoch releases were made, and as what they were counted. Not kept over a restart: then epochs are counted anew.
    epochs: Mutex<HashMap<Pid, (u64, Occurrence)>>,
    recipients: Turns,
    makings: Arc<Semaphore>,
}

impl Releases {
    /// Learners get names from `names`; files are kept in `folder`.
    pub(super) fn new(names: HmacKey, folder: PathBuf) -> Self {
        Self {
            names,
            folder,
            epochs: Mutex::default(),
            recipients: Turns::default(),
            makings: Arc::new(Semaphore::new(MAKINGS)),
        }
    }

    /// The key that belongs to one source and one recipient.
    pub(super) fn names(&self, source: &Path, recipient: &ParticipantId) -> HmacKey {
        let tag = self
            .names
            .tag_parts(&[source.as_os_str().as_bytes(), b"\0", recipient.as_str().as_bytes()]);
        HmacKey::new(tag.as_bytes())
    }

    fn file(&self, release: &str) -> PathBuf {
        self.folder
            .join(format!("{}.ndjson", release.trim_start_matches("urn:uuid:")))
    }

    fn forget(&self, pid: &Pid) {
        let mut epochs = self.epochs.lock().unwrap_or_else(PoisonError::into_inner);
        epochs.remove(pid);
    }

    async fn turn(&self, recipient: &ParticipantId) -> Result<Arc<Making>, TransferError> {
        let of_recipient = self.recipients.of(&[recipient.as_str()]).await;
        let of_all = self.makings.clone().acquire_owned().await;
        Ok(Arc::new(Making {
            _of_recipient: of_recipient,
            _of_all: of_all.map_err(|_| PlaneError::Stopped)?,
        }))
    }

    /// The release that was committed for this transfer, if it may leave still, or again.
    fn ready(&self, sought: &Sought<'_>, stored: &Stored, epoch: u64) -> Option<Ready> {
        let shows_rows = matches!(sought.dataset.release, Some(ReleaseSpec::Training { .. }));
        let epochs = self.epochs.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of_now = epochs.get(&sought.record.core.pid) == Some(&(epoch, sought.occurrence));
        let may_leave = is_of_now || sought.taken_up && !shows_rows;
        (may_leave && stored.terms == sought.terms).then(|| Ready {
            path: self.file(&stored.release),
            only_under: shows_rows.then_some(epoch),
            withheld: stored.withheld.clone(),
        })
    }
}

impl Transfers {
    /// The release of this transfer: the one that it has, or a new one.
    pub(super) async fn release(
        &self,
        sought: Sought<'_>,
        spec: &ReleaseSpec,
        reading: impl Fn() -> Reading,
    ) -> Result<Ready, TransferError> {
        if let Some(ready) = self.made_before(&sought).await? {
            return Ok(ready);
        }
        let turn = self.releases.turn(&sought.record.core.peer).await?;
        for _ in 0..ATTEMPTS {
            if let Some(ready) = self.made_before(&sought).await? {
                return Ok(ready);
            }
            match self.make(&sought, spec, reading(), turn.clone()).await {
                Ok(()) | Err(TransferError::Release(ReleaseError::Moved)) => {}
                Err(TransferError::Release(ReleaseError::Refused { why, withheld })) => {
                    let entry = about(&sought, spec, Recorded::ReleaseRefused)
                        .with("code", why.code().as_str())
                        .with("withheld", json!(withheld));
                    let log = &self.parts.log;
                    log.commit(Batch::new(), entry, Vec::new(), sought.now).await?;
                    return Err(ReleaseError::Refused { why, withheld }.into());
                }
                Err(error) => return Err(error),
            }
        }
        Err(ReleaseError::Moved.into())
    }

    /// What was made for this transfer and may leave. Who goes on with what may not gets nothing else instead.
    async fn made_before(&self, sought: &Sought<'_>) -> Result<Option<Ready>, TransferError> {
        let epoch = self.parts.consents.index().epoch();
        let stored = self.stored(&sought.record.core.pid).await?;
        let ready = stored.and_then(|(_, stored)| self.releases.ready(sought, &stored, epoch));
        if ready.is_none() && sought.taken_up {
            return Err(ReleaseError::Outdated.into());
        }
        Ok(ready)
    }

    async fn stored(&self, pid: &Pid) -> Result<Option<(Version, Stored)>, TransferError> {
        let item = self.parts.log.store().get(RELEASES, pid.as_str().as_bytes()).await?;
        Ok(item
            .map(|item| decode(&item.value).map(|stored| (item.version, stored)))
            .transpose()?)
    }

    /// Makes a release and commits it in place of the one before, unless consents or the ledger have changed since it was begun.
    async fn make(
        &self,
        sought: &Sought<'_>,
        spec: &ReleaseSpec,
        reading: Reading,
        turn: Arc<Making>,
    ) -> Result<(), TransferError> {
        let (pid, subject) = (&sought.record.core.pid, &sought.dataset.subject);
        let replaced = self.stored(pid).await?;
        let of = sha256_of(&reading.path, &sought.record.core.peer);
        let (head, ledger) = self.ledger_of(&of).await?;
        if head.as_ref().is_some_and(|(_, head)| head.subject != *subject) {
            let why = Refused::Differencing(ledger.group_size(spec.group_size()));
            let withheld = BTreeMap::new();
            return Err(ReleaseError::Refused { why, withheld }.into());
        }
        let id = format!(
            "urn:uuid:{}",
            random::uuid(sought.now).map_err(|error| TransferError::Invalid(error.to_string()))?
        );
        let (name, declared) = (id.clone(), spec.clone());
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            reading.release(&name, &declared, &ledger)
        });
        let made = made.await.map_err(|_| PlaneError::Incomplete)??;
        let digest = sha256(&made.lines);
        let entry = about(sought, spec, Recorded::GroupsReleased)
            .with("release", id.as_str())
            .with("minGroupSize", made.group_size.get())
            .with("learners", made.learners as u64)
            .with("withheld", json!(made.withheld))
            .of("lines", &digest);
        let stored = Stored {
            release: id,
            digest,
            terms: sought.terms,
            withheld: named(&made.withheld),
        };
        let mut batch = Batch::new();
        put_ledger(&mut batch, &of, head, &made.ledger, subject)?;
        let encoded = encode(&stored)?;
        match &replaced {
            None => batch.insert(RELEASES, pid.as_str(), encoded),
            Some((version, _)) => batch.replace(RELEASES, pid.as_str(), *version, encoded),
        };
        let occurrences = self.parts.consents.occurrences();
        if !occurrences.count(&made.uses, sought.occurrence).await? {
            return Err(ReleaseError::Moved.into());
        }
        self.commit(sought, batch, entry, made, &stored).await?;
        if let Some((_, replaced)) = replaced {
            remove(self.releases.file(&replaced.release)).await;
        }
        Ok(())
    }

    /// Writes the lines, then commits, if no consent has changed since.
    async fn commit(
        &self,
        sought: &Sought<'_>,
        batch: Batch,
        entry: Entry,
        made: Made,
        stored: &Stored,
    ) -> Result<(), TransferError> {
        let epoch = made.epoch;
        let path = self.releases.file(&stored.release);
        keep(path.clone(), made).await?;
        let committed = if self.parts.consents.index().epoch() == epoch {
            self.parts.log.commit(batch, entry, Vec::new(), sought.now).await
        } else {
            Err(StoreError::Conflict { guard: 0 })
        };
        if let Err(error) = committed {
            remove(path).await;
            return Err(match error {
                StoreError::Conflict { .. } => ReleaseError::Moved.into(),
                error => error.into(),
            });
        }
        let mut epochs = self.releases.epochs.lock().unwrap_or_else(PoisonError::into_inner);
        epochs.insert(sought.record.core.pid.clone(), (epoch, sought.occurrence));
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

    /// Drops the release of a transfer that is over.
    pub(super) async fn drop_release_if_over(&self, record: &TransferRecord) {
        if record.core.role != Role::Provider || !record.core.position.is_terminal() {
            return;
        }
        let pid = &record.core.pid;
        if let Err(error) = self.drop_release(pid).await {
            tracing::warn!(%pid, %error, "the release of a transfer that is over stays until the next start");
        }
    }

    async fn drop_release(&self, pid: &Pid) -> Result<(), TransferError> {
        let Some((version, stored)) = self.stored(pid).await? else {
            return Ok(());
        };
        let mut batch = Batch::new();
        batch.require(RELEASES, pid.as_str(), Guard::At(version));
        batch.delete(RELEASES, pid.as_str());
        self.parts.log.store().commit(batch).await?;
        self.releases.forget(pid);
        remove(self.releases.file(&stored.release)).await;
        Ok(())
    }

    /// Drops the releases of transfers that are over, and the lines that no release names. Only while none is made.
    pub(super) async fn sweep_releases(&self) -> Result<(), StoreError> {
        let store = self.parts.log.store();
        let mut named = HashSet::new();
        let mut pages = Pages::new(&**store, RELEASES, [], PAGE);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let stored: Stored = decode(&row.item.value)?;
                let pid = String::from_utf8(row.key.clone()).ok().and_then(|pid| pid.parse().ok());
                let record = match pid {
                    Some(pid) => self.ledger.load(&pid).await?,
                    None => None,
                };
                if record.is_some_and(|(record, _)| !record.core.position.is_terminal()) {
                    named.insert(self.releases.file(&stored.release));
                } else {
                    let mut batch = Batch::new();
                    batch.delete(RELEASES, row.key);
                    store.commit(batch).await?;
                }
            }
        }
        let folder = self.releases.folder.clone();
        match tokio::task::spawn_blocking(move || sweep(&folder, &named)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "lines of former releases could not be dropped"),
            Err(error) => tracing::warn!(%error, "lines of former releases could not be dropped"),
        }
        Ok(())
    }

    /// Ends a transfer whose release was refused. The peer is not told why.
    pub(super) async fn end_refused(&self, pid: &Pid, why: &ReleaseError, now: Timestamp) {
        let told = Explanation::new("release", NEUTRAL);
        if let Err(error) = self.terminate_by(pid, told, Some(why), now).await {
            tracing::warn!(%pid, %error, "a transfer whose release was refused could not be ended");
        }
    }
}

fn about(sought: &Sought<'_>, spec: &ReleaseSpec, kind: Recorded) -> Entry {
    let record = sought.record;
    Entry::new(kind)
        .with("process", record.core.pid.as_str())
        .with("peer", record.core.peer.as_str())
        .with("agreement", record.agreement.as_str())
        .with("dataset", sought.dataset.id.as_str())
        .with("mode", spec.mode())
}

fn sha256_of(source: &Path, recipient: &ParticipantId) -> Digest {
    sha256_parts(&[source.as_os_str().as_bytes(), b"\0", recipient.as_str().as_bytes()])
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
    subject: &str,
) -> Result<(), TransferError> {
    let bytes = ledger.to_bytes();
    let mut parts = 0;
    for part in bytes.chunks(PART) {
        batch.put(LEDGERS, part_key(of, parts), part);
        parts += 1;
    }
    let digest = sha256(&bytes);
    let head = encode(&Head {
        parts,
        digest,
        subject: subject.to_owned(),
    })?;
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
