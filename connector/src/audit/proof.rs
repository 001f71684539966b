//! Proofs that a log holds an entry, in a text that stands alone (C2SP tlog-proof v1): place, Merkle path, signed checkpoint. Pure; checking
//! one takes no network and no store, only the entry's bytes and the log's key.

use super::{
    checkpoint::{SignedCheckpoint, decimal, hash_text, read_hash},
    merkle,
    note::{self, LogKey, NoteError},
};
use crate::jose::Digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use policy::Timestamp;

/// The first line (tlog-proof, Format).
const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Most hashes of a path: as many as the tallest tree has levels.
const MAX_PATH: usize = 64;

/// Why a proof does not convince. Each names the part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a proof.
    #[error("not a proof of inclusion: {0}")]
    Malformed(&'static str),
    /// The checkpoint cannot be read, or the log has not signed it.
    #[error("the checkpoint in the proof: {0}")]
    Checkpoint(#[from] NoteError),
    /// The path does not lead from the entry to the root.
    #[error("the path in the proof does not lead from these bytes, as entry {index}, to the root over {size} entries")]
    NotIncluded {
        /// Which entry.
        index: u64,
        /// Size of the tree.
        size: u64,
    },
}

/// A proof that the log holds some entry at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    extra: Option<Vec<u8>>,
    index: u64,
    path: Vec<Digest>,
    checkpoint: SignedCheckpoint,
}

impl Proof {
    pub(super) fn new(index: u64, path: Vec<Digest>, checkpoint: SignedCheckpoint) -> Self {
        Self {
            extra: None,
            index,
            path,
            checkpoint,
        }
    }

    /// The entry's number.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The checkpoint, with all signatures that came with it.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// The proof as a text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n");
        if let Some(extra) = &self.extra {
            text.push_str(&format!("extra {}\n", BASE64_STANDARD.encode(extra)));
        }
        text.push_str(&format!("index {}\n", self.index));
        for hash in &self.path {
            text.push_str(&hash_text(hash));
            text.push('\n');
        }
        format!("{text}\n{}", self.checkpoint.note())
    }

    /// Reads a proof; checks nothing but its form. Whatever it accepts writes back to the same text.
    pub fn read(text: &str) -> Result<Self, ProofError> {
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(ProofError::Malformed("there is no empty line before the checkpoint"))?;
        if head.len() > note::MAX_LEN {
            return Err(ProofError::Malformed("it is too long"));
        }
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(ProofError::Malformed("the first line is not c2sp.org/tlog-proof@v1"));
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            Some(extra) => {
                lines.next();
                let bytes = BASE64_STANDARD.decode(extra);
                Some(bytes.map_err(|_| ProofError::Malformed("the extra data is not base64"))?)
            }
            None => None,
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index
            .and_then(decimal)
            .ok_or(ProofError::Malformed("the line `index` is missing, or not a number"))?;
        let path: Vec<Digest> = lines
            .map(read_hash)
            .collect::<Option<_>>()
            .ok_or(ProofError::Malformed(
                "a line of the path is not a hash: 32 bytes in base64",
            ))?;
        if path.len() > MAX_PATH {
            return Err(ProofError::Malformed("the path is too long"));
        }
        let checkpoint = SignedCheckpoint::read(checkpoint)?;
        Ok(Self {
            extra,
            index,
            path,
            checkpoint,
        })
    }

    /// Checks that the log with this key holds `entry` at the proof's place.
    pub fn verify(&self, entry: &[u8], key: &LogKey) -> Result<(), ProofError> {
        self.checkpoint.verify(key)?;
        let tree = self.checkpoint.checkpoint();
        let leaf = merkle::leaf_hash(entry);
        if merkle::verify_inclusion(&leaf, self.index, tree.size, &self.path, &tree.root) {
            Ok(())
        } else {
            Err(ProofError::NotIncluded {
                index: self.index,
                size: tree.size,
            })
        }
    }
}

/// A proof that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified(Proof);

impl Verified {
    /// The entry's number in the log.
    pub fn index(&self) -> u64 {
        self.0.index
    }

    /// The checkpoint that covers it.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.0.checkpoint
    }

    /// When this witness cosigned the checkpoint: it saw then that the log had only grown since it first looked.
    pub fn cosigned_by(&self, witness: &LogKey) -> Result<Timestamp, ProofError> {
        Ok(witness.cosigned(self.0.checkpoint.note())?)
    }
}

/// Checks the text of a proof that the log with this key holds these bytes.
pub fn verify(text: &str, entry: &[u8], key: &LogKey) -> Result<Verified, ProofError> {
    let proof = Proof::read(text)?;
    proof.verify(entry, key)?;
    Ok(Verified(proof))
}

#[cfg(test)]
mod tests;
