//! What this connector does as a witness of its peers' logs (C2SP tlog-witness): it remembers of each log the last checkpoint that it saw,
//! and cosigns a newer one only after a proof that the log has only grown. The decision is pure; [`Witness`] keeps what was decided.

use super::{
    checkpoint::{Checkpoint, SignedCheckpoint, decimal, hash_text, read_hash},
    merkle,
    note::{LogKey, LogSigner, NoteError, Signature},
};
use crate::{
    jose::Digest,
    store::{Batch, Guard, Store, StoreError, Table},
};
use policy::Timestamp;
use std::{collections::BTreeSet, fmt, sync::Arc};

/// The last cosigned checkpoint, by whose log it is and by its key.
const WITNESSED: Table = Table(18);
/// Most lines of a consistency proof (tlog-witness, add-checkpoint).
const MAX_PROOF: usize = 63;

/// Why a checkpoint is not cosigned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request cannot be read, or contradicts itself.
    #[error("the request is not one to add a checkpoint: {0}")]
    Malformed(&'static str),
    /// No peer has published a log with this origin.
    #[error("the origin of the checkpoint is that of no peer's log")]
    UnknownOrigin,
    /// The checkpoint is not signed with the key that the peer has published.
    #[error("the checkpoint is not signed with the published key of its log")]
    NotSigned,
    /// The last checkpoint that was cosigned has another size than the one that the proof starts from.
    #[error("the last checkpoint that was cosigned has size {0}")]
    OtherSize(u64),
    /// The log now has another root at a size that was cosigned before.
    #[error("a checkpoint of size {0} with another root was cosigned before")]
    Forked(u64),
    /// Who publishes the log now, or with which key, does not agree with what was cosigned before.
    #[error("several peers have published this log or its key, and what was cosigned for them differs")]
    Contested,
    /// The proof does not show that the log has only grown.
    #[error("the proof does not show that the log has only grown")]
    Inconsistent,
    /// The store failed; nothing was cosigned.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Signing failed.
    #[error(transparent)]
    Signing(NoteError),
}

/// A request to cosign a checkpoint. Its text form is the body of `add-checkpoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The size that the proof starts from.
    pub old: u64,
    /// Proof that the tree of that size is the beginning of the new one.
    pub proof: Vec<Digest>,
    /// The new checkpoint.
    pub checkpoint: SignedCheckpoint,
}

impl Submission {
    /// Reads the body of a request.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(Refusal::Malformed("there is no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old
            .and_then(decimal)
            .ok_or(Refusal::Malformed("the first line is not `old` and a size"))?;
        let proof: Vec<Digest> = lines
            .map(read_hash)
            .collect::<Option<_>>()
            .ok_or(Refusal::Malformed("a line of the proof is not a hash"))?;
        if proof.len() > MAX_PROOF {
            return Err(Refusal::Malformed("the proof has more than 63 lines"));
        }
        let checkpoint = SignedCheckpoint::read(checkpoint)
            .map_err(|_| Refusal::Malformed("the checkpoint is not a signed checkpoint"))?;
        Ok(Self { old, proof, checkpoint })
    }
}

impl fmt::Display for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{}", hash_text(hash))?;
        }
        write!(f, "\n{}", self.checkpoint.note())
    }
}

/// Whether a checkpoint may be cosigned that is signed as it should be, when `latest` is the last one that was.
pub fn judge(submission: &Submission, latest: Option<&Checkpoint>) -> Result<(), Refusal> {
    let new = submission.checkpoint.checkpoint();
    if submission.old > new.size {
        return Err(Refusal::Malformed("the old size is greater than the new one"));
    }
    let (size, root) = latest.map_or((0, Digest::EMPTY), |latest| (latest.size, latest.root));
    if submission.old != size {
        return Err(Refusal::OtherSize(size));
    }
    if size == new.size && root != new.root {
        return Err(Refusal::Forked(size));
    }
    if merkle::verify_consistency(size, &root, new.size, &new.root, &submission.proof) {
        Ok(())
    } else {
        Err(Refusal::Inconsistent)
    }
}

/// This connector as a witness.
pub struct Witness {
    store: Arc<dyn Store>,
    signer: LogSigner,
}

impl Witness {
    /// Cosigns with the key of the connector's own log.
    pub fn new(store: Arc<dyn Store>, signer: LogSigner) -> Self {
        Self { store, signer }
    }

    /// Cosigns a checkpoint after having recorded it. `keys` are what peers have published for its origin, each with its owner.
    ///
    /// What is remembered belongs to the owner and to the key, under this origin: nobody can speak for the log of somebody else, a new key
    /// does not begin a new history, and neither does another peer that publishes the same key.
    pub async fn add(
        &self,
        submission: &Submission,
        keys: &[(String, LogKey)],
        now: Timestamp,
    ) -> Result<Signature, Refusal> {
        if keys.is_empty() {
            return Err(Refusal::UnknownOrigin);
        }
        let mut signed = keys.iter().filter(|(_, key)| submission.checkpoint.verify(key).is_ok());
        let first = signed.next().ok_or(Refusal::NotSigned)?;
        let note = submission.checkpoint.note().signed_by(&first.1).to_string();
        let new = submission.checkpoint.checkpoint();
        let places: BTreeSet<String> = std::iter::once(first)
            .chain(signed)
            .flat_map(|(owner, key)| [format!("{owner}\0{}", new.origin), format!("\0{key}")])
            .collect();
        loop {
            let (mut batch, mut latest, mut is_known) = (Batch::new(), None, true);
            for place in &places {
                let stored = self.store.get(WITNESSED, place.as_bytes()).await?;
                let known = stored.as_ref().map(|item| read(&item.value)).transpose()?;
                is_known &= known.as_ref() == Some(new);
                let guard = stored.map_or(Guard::Absent, |item| Guard::At(item.version));
                batch.require(WITNESSED, place.as_str(), guard);
                batch.put(WITNESSED, place.as_str(), note.as_str());
                if latest.is_some() && known.is_some() && latest != known {
                    return Err(Refusal::Contested);
                }
                latest = latest.or(known);
            }
            judge(submission, latest.as_ref())?;
            let cosignature = self
                .signer
                .cosign(submission.checkpoint.note(), now)
                .map_err(Refusal::Signing)?;
            if is_known {
                return Ok(cosignature);
            }
            // Recorded before it is said; whoever was quicker is compared with once more (tlog-witness, the race).
            match self.store.commit(batch).await {
                Ok(_) => return Ok(cosignature),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn read(value: &[u8]) -> Result<Checkpoint, StoreError> {
    let text = std::str::from_utf8(value).ok();
    let read = text.and_then(|text| SignedCheckpoint::read(text).ok());
    read.map(|signed| signed.checkpoint().clone())
        .ok_or_else(|| StoreError::Corrupt("a witnessed checkpoint cannot be read".into()))
}

#[cfg(test)]
mod tests;
