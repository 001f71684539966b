//! Checkpoints (C2SP tlog-checkpoint): the size and the root of a log at one moment, as a note that the log signed. Pure.

use super::note::{LogKey, LogSigner, Note, NoteError};
use crate::jose::Digest;
use base64::{Engine, prelude::BASE64_STANDARD};

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Digest,
}

impl Checkpoint {
    /// Reads the text of a note. Lines after the third are allowed and mean nothing here; they stay part of what is signed.
    pub fn read(text: &str) -> Result<Self, NoteError> {
        let mut lines = text
            .strip_suffix('\n')
            .ok_or(NoteError::Malformed("a checkpoint ends with the end of a line"))?
            .split('\n');
        let origin = lines.next().unwrap_or_default();
        if origin.is_empty() {
            return Err(NoteError::Malformed("a checkpoint begins with its origin"));
        }
        let size = lines.next().and_then(decimal);
        let size = size.ok_or(NoteError::Malformed("the second line of a checkpoint is its size"))?;
        let root = lines.next().and_then(read_hash);
        let root = root.ok_or(NoteError::Malformed(
            "the third line of a checkpoint is the root, 32 bytes in base64",
        ))?;
        if lines.any(str::is_empty) {
            return Err(NoteError::Malformed("a checkpoint has no empty lines"));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
        })
    }

    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, hash_text(&self.root))
    }
}

/// A checkpoint with its signatures. Nothing is verified by reading one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// Reads a signed checkpoint.
    pub fn read(text: &str) -> Result<Self, NoteError> {
        let note = Note::read(text)?;
        let checkpoint = Checkpoint::read(note.text())?;
        Ok(Self { checkpoint, note })
    }

    /// Signs the size and root of the signer's own log.
    pub fn sign(signer: &LogSigner, size: u64, root: Digest) -> Result<Self, NoteError> {
        let checkpoint = Checkpoint {
            origin: signer.key().name().to_owned(),
            size,
            root,
        };
        let note = signer.sign(checkpoint.text())?;
        Ok(Self { checkpoint, note })
    }

    /// What it says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, for its signatures.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// The same, to add cosignatures.
    pub fn note_mut(&mut self) -> &mut Note {
        &mut self.note
    }

    /// Checks that it is about the log with this key, and signed by it.
    pub fn verify(&self, key: &LogKey) -> Result<(), NoteError> {
        if self.checkpoint.origin != key.name() {
            return Err(NoteError::Malformed("the checkpoint is of another log"));
        }
        key.verify(&self.note)
    }
}

/// A number in its one spelling.
pub(super) fn decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// A hash in base64 with padding, as these formats write it.
pub(super) fn read_hash(text: &str) -> Option<Digest> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    bytes.try_into().ok().map(Digest::from_bytes)
}

/// The same, written.
pub(super) fn hash_text(hash: &Digest) -> String {
    BASE64_STANDARD.encode(hash.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::SigningKey;

    fn signer() -> LogSigner {
        LogSigner::new("a.example/log", SigningKey::from_seed(&[7; 32]).unwrap()).unwrap()
    }

    /// The example of tlog-checkpoint.
    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_published_example_is_read_and_written_back() {
        let read = Checkpoint::read(EXAMPLE).unwrap();
        assert_eq!(
            (read.origin.as_str(), read.size),
            ("example.com/behind-the-sofa", 20_852_163)
        );
        assert_eq!(read.text(), EXAMPLE);
        let extended = format!("{EXAMPLE}more\n");
        assert_eq!(Checkpoint::read(&extended), Ok(read));
    }

    #[test]
    fn every_line_is_required_in_its_one_spelling() {
        for bad in [
            "",
            "\n",
            "o\n",
            "o\n1\n",
            "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "o\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "o\n+1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "o\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "o\n18446744073709551616\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n",
            "o\n1\nCsUYapGGPo4dkMgIAUqom_Xajj7h2fB2MPA3j2jxq2I=\n",
            "o\n1\nAAAA\n",
            "o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
            "o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\nx\n",
            "o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\r\n",
        ] {
            assert!(Checkpoint::read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_signed_checkpoint_verifies_for_its_own_log_alone() {
        let signed = SignedCheckpoint::sign(&signer(), 3, Digest::EMPTY).unwrap();
        let read = SignedCheckpoint::read(&signed.note().to_string()).unwrap();
        assert_eq!(read, signed);
        assert_eq!(read.verify(signer().key()), Ok(()));
        let other = LogSigner::new("b.example/log", SigningKey::from_seed(&[7; 32]).unwrap()).unwrap();
        assert!(matches!(read.verify(other.key()), Err(NoteError::Malformed(_))));
        let other = LogSigner::new("a.example/log", SigningKey::from_seed(&[8; 32]).unwrap()).unwrap();
        assert_eq!(
            read.verify(other.key()),
            Err(NoteError::NotSigned("a.example/log".into()))
        );
    }
}
