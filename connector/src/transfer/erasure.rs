//! Erasing received records whose learner has taken their consent back. The file of a transfer is written anew, with a line in the place of each
//! that holds its number and hash alone, and replaces the old one; the transfer's record says how many are missing and why, in the same commit
//! as the file's new length.
//!
//! The new file stands beside the old one until that commit: after a crash the length that was committed tells which of the two counts.

use super::{TransferError, TransferRecord, Transfers, erased, reception};
use crate::{
    audit::{Entry, Kind as Recorded},
    consent::exchange::{EndReason, Filter, Place, Retraction, Retractions},
    dsp::{MessageId, ParticipantId, Pid, Role},
    plane::{PlaneError, lines},
    process::Turn,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether a reception that was asked to stop has.
const PATIENCE: Duration = Duration::from_millis(20);
/// The wait after an erasure that failed.
const RETRY: Duration = Duration::from_secs(5);

/// Erases what holders said is not to be kept, and has them told.
pub struct Eraser {
    /// Where the records are.
    pub transfers: Arc<Transfers>,
    /// What is to be erased.
    pub retractions: Arc<Retractions>,
    /// How long endings are collected, so that many at once cost one writing of the files.
    pub after: Duration,
    /// Ends everything; what is not erased yet is at the next start.
    pub shutdown: CancellationToken,
}

impl Eraser {
    /// Takes up what was not done before, then waits for more.
    pub async fn run(self: Arc<Self>) -> Result<(), TransferError> {
        loop {
            tokio::select! {
                () = self.due() => {}
                () = self.shutdown.cancelled() => return Ok(()),
            }
            let done = tokio::select! {
                done = self.erase_pending() => done,
                () = self.shutdown.cancelled() => return Ok(()),
            };
            if let Err(error) = done {
                tracing::error!(%error, "received records could not be erased yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Waits until the oldest ending that is not dealt with has waited long enough for others.
    async fn due(&self) {
        loop {
            let oldest = self
                .retractions
                .pending()
                .into_iter()
                .map(|pending| pending.received)
                .min();
            match oldest {
                None => self.retractions.changed().await,
                Some(received) => {
                    let now = (self.transfers.parts.clock)();
                    return tokio::time::sleep(received.plus(self.after).since(now)).await;
                }
            }
        }
    }

    /// Goes on after a failure, which concerns one holder, and returns the first: a file that cannot be read keeps nobody else's records alive.
    async fn erase_pending(&self) -> Result<(), TransferError> {
        // From now on nothing of them is taken in any more, so that what is erased stays so.
        let pending = self.retractions.close();
        let holders: BTreeSet<&ParticipantId> = pending.iter().map(|retraction| &retraction.holder).collect();
        let mut first = Ok(());
        for holder in holders {
            let of_holder: Vec<&Retraction> = pending.iter().filter(|told| told.holder == *holder).collect();
            let done = self.erase_of(holder, &of_holder).await;
            first = first.and(done);
        }
        first
    }

    /// What one holder said is told to be done when nothing of it is left in any transfer. Each file is read once for all of it.
    async fn erase_of(&self, holder: &ParticipantId, pending: &[&Retraction]) -> Result<(), TransferError> {
        self.transfers.erase(holder, pending).await?;
        for retraction in pending {
            let (of, forget) = erased::of(&**self.transfers.parts.log.store(), &retraction.notice).await?;
            let now = (self.transfers.parts.clock)();
            self.retractions.erased(retraction, of, forget, now).await?;
        }
        Ok(())
    }
}

impl Transfers {
    /// Erases from what came from a holder all that it said is not to be kept.
    async fn erase(&self, holder: &ParticipantId, pending: &[&Retraction]) -> Result<(), TransferError> {
        let mut first = Ok(());
        for record in self.list().await? {
            let from_holder = record.core.role == Role::Consumer && record.core.peer == *holder;
            if !from_holder || !self.may_hold(&record, pending).await? {
                continue;
            }
            let pid = &record.core.pid;
            while !self.live.hold(pid) {
                tokio::time::sleep(PATIENCE).await;
            }
            let done = self.erase_from(pid).await;
            self.live.release(pid);
            self.go_on(&self.get(pid).await?);
            first = first.and(done);
        }
        first
    }

    /// Whether something that is pending can be in what a transfer has brought. A reception that begins after this takes in nothing of it.
    async fn may_hold(&self, record: &TransferRecord, pending: &[&Retraction]) -> Result<bool, TransferError> {
        let stream = record.stream();
        if !pending.iter().any(|retraction| retraction.concerns(&stream)) {
            return Ok(false);
        }
        // In this order: a reception that has just ended has said before how far it came.
        let receives = self.live.watch(&record.core.pid).is_some();
        Ok(receives || self.get(&record.core.pid).await?.progress.bytes > 0)
    }

    async fn erase_from(&self, pid: &Pid) -> Result<(), TransferError> {
        let record = self.get(pid).await?;
        let (path, length) = (reception::file(&self.parts.received, pid), record.progress.bytes);
        let Some(filter) = self.parts.retractions.filter(&record.core.peer, &record.stream()) else {
            return Ok(());
        };
        let copied = tokio::task::spawn_blocking(move || -> io::Result<Option<Copied>> {
            settle(&path, length)?;
            match path.exists() {
                true => copy(&path, length, &filter).map(Some),
                false => Ok(None),
            }
        })
        .await
        .map_err(|_| PlaneError::Incomplete)?
        .map_err(PlaneError::Sink)?;
        let path = reception::file(&self.parts.received, pid);
        let Some(copied) = copied.filter(|copied| !copied.left_out.is_empty()) else {
            remove(&beside(&path)).map_err(PlaneError::Sink)?;
            return Ok(());
        };
        self.note_erased(&record, &copied).await?;
        tokio::task::spawn_blocking(move || settle(&path, copied.length))
            .await
            .map_err(|_| PlaneError::Incomplete)?
            .map_err(PlaneError::Sink)?;
        Ok(())
    }

    /// From this commit on the new file counts.
    async fn note_erased(&self, record: &TransferRecord, copied: &Copied) -> Result<(), TransferError> {
        let (now, store) = ((self.parts.clock)(), &**self.parts.log.store());
        let pid = &record.core.pid;
        // What came while the file was copied is among it: the copy went by all that was known then.
        let pending = self.parts.retractions.pending();
        let because: HashMap<&MessageId, EndReason> = pending.iter().map(|told| (&told.notice, told.reason)).collect();
        let (mut totals, mut rows) = (BTreeMap::<EndReason, u64>::new(), Vec::new());
        for (notice, records) in &copied.left_out {
            let Some(reason) = because.get(notice) else { continue };
            *totals.entry(*reason).or_default() += records;
            if let Some(theirs) = &record.core.peer_pid {
                rows.push(erased::more(store, (notice, pid), theirs, *records).await?);
            }
        }
        self.ledger
            .change(
                pid,
                now,
                |record: &mut TransferRecord, turn: &mut Turn| -> Result<(), TransferError> {
                    record.progress.bytes = copied.length;
                    for (reason, records) in &totals {
                        record.count_erased(*reason, *records, now);
                    }
                    rows.iter().for_each(|row| erased::note(row, turn.batch()));
                    turn.record(
                        Entry::new(Recorded::RecordsErased)
                            .with("process", record.core.pid.as_str())
                            .with("peer", record.core.peer.as_str())
                            .with("records", copied.left_out.values().sum::<u64>()),
                    );
                    Ok(())
                },
            )
            .await?;
        Ok(())
    }
}

/// A file that was written anew beside the old one.
struct Copied {
    length: u64,
    /// By the message because of which they are missing.
    left_out: BTreeMap<MessageId, u64>,
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("ndjson.new")
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Copies the first `length` bytes without the records that may not be kept; on disk when it returns.
fn copy(path: &Path, length: u64, filter: &Filter) -> io::Result<Copied> {
    let mut input = BufReader::with_capacity(256 * 1024, File::open(path)?).take(length);
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        // Learners' records are for the daemon's user alone.
        .mode(0o600)
        .open(beside(path))?;
    let mut out = BufWriter::with_capacity(256 * 1024, file);
    let mut copied = Copied {
        length: 0,
        left_out: BTreeMap::new(),
    };
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let record = lines::read_record(text);
        let because = record.and_then(|(n, record)| Some((n, filter.leaves_out(n, record, Place::Kept)?)));
        if let Some((n, notice)) = because {
            *copied.left_out.entry(notice.clone()).or_default() += 1;
            line = lines::erased(n, text);
            line.push(b'\n');
        }
        out.write_all(&line)?;
        copied.length += line.len() as u64;
        line.clear();
    }
    out.flush()?;
    out.get_ref().sync_all()?;
    Ok(copied)
}

/// After this there is one file: what stands beside it counts once its length is committed. Where none is beside it, nothing happens.
pub(super) fn settle(path: &Path, committed: u64) -> io::Result<()> {
    let new = beside(path);
    let found = match fs::metadata(&new) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if found != committed {
        return remove(&new);
    }
    fs::rename(&new, path)?;
    match path.parent() {
        // The name too has to outlive a power cut.
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_crash_the_committed_length_tells_which_file_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.ndjson");
        fs::write(&path, "the old one").unwrap();
        settle(&path, 11).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "the old one");

        fs::write(beside(&path), "new").unwrap();
        settle(&path, 11).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "the old one", "not committed");
        assert!(!beside(&path).exists());

        fs::write(beside(&path), "new").unwrap();
        settle(&path, 3).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new", "committed");
        settle(&path, 3).unwrap();
        assert!(path.exists() && !beside(&path).exists());
    }
}
