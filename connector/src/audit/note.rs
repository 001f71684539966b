//! Signed notes (C2SP signed-note) and timestamped cosignatures on them (C2SP tlog-cosignature), with Ed25519 keys. Pure: knows neither
//! what a note says nor where it comes from.
//!
//! One key signs notes as a log and cosigns those of others as a witness. The two can never be taken for each other: the text of a
//! cosignature begins with a line that no note of ours has as its first, and the key ids differ.

use crate::jose::{Algorithm, HmacKey, SigningKey, VerifyingKey, digest::sha256_parts, key::KeyError};
use base64::{Engine, prelude::BASE64_STANDARD};
use policy::Timestamp;
use std::{fmt, str::FromStr};

/// Longest note that is read, in bytes; a stored one must fit into one value of the store.
pub const MAX_LEN: usize = 60 * 1024;
/// Most signatures of a note that is read.
const MAX_SIGNATURES: usize = 100;
/// Longest name of a key, in bytes.
const MAX_NAME: usize = 256;

/// Signature type of an Ed25519 signature over the note's text.
const SIGNATURE: u8 = 0x01;
/// Signature type of an Ed25519 cosignature.
const COSIGNATURE: u8 = 0x04;

/// Why a note or a key is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a note, or not one of the kind that was expected.
    #[error("{0}")]
    Malformed(&'static str),
    /// Not a verifier key `name+id+key` of Ed25519.
    #[error("not a verifier key (expected name+8 hex digits+base64 of an Ed25519 key): {0}")]
    Key(&'static str),
    /// No signature is by this key.
    #[error("it carries no signature by {0} with that key")]
    NotSigned(String),
    /// A signature by this key is wrong.
    #[error("the signature by {0} does not match")]
    BadSignature(String),
    /// Signing failed.
    #[error("signing failed: {0}")]
    Signing(KeyError),
}

/// Names of keys: not empty, no white space, no plus, nothing that could be taken for the end of a line.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c != '+' && !c.is_whitespace() && !c.is_control();
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(fits)
}

/// The public key of a log or a witness, with the name under which it signs. Its text form is that of a verifier key, `name+id+key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKey {
    name: String,
    key: VerifyingKey,
    bytes: [u8; 32],
}

impl LogKey {
    /// An Ed25519 key under a name.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        if !is_name(name) {
            return Err(NoteError::Key(
                "the name is empty, too long, or has a space or a plus in it",
            ));
        }
        let bytes = key.to_ed25519().ok_or(NoteError::Key("the key is of another kind"))?;
        let name = name.to_owned();
        Ok(Self { name, key, bytes })
    }

    /// The same key under another name.
    pub fn named(&self, name: &str) -> Result<Self, NoteError> {
        Self::new(name, self.key.clone())
    }

    /// The name: for a log its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn id(&self, kind: u8) -> [u8; 4] {
        let hash = sha256_parts(&[self.name.as_bytes(), b"\n", &[kind], &self.bytes]);
        let [a, b, c, d, ..] = *hash.as_bytes();
        [a, b, c, d]
    }

    fn text(&self, kind: u8) -> String {
        let id = u32::from_be_bytes(self.id(kind));
        let key = BASE64_STANDARD.encode([&[kind], self.bytes.as_slice()].concat());
        format!("{}+{id:08x}+{key}", self.name)
    }

    /// The verifier key of this key as a witness.
    pub fn witness(&self) -> String {
        self.text(COSIGNATURE)
    }

    /// The signatures on a note that claim to be of this key and kind.
    fn signatures<'a>(&self, note: &'a Note, kind: u8) -> impl Iterator<Item = &'a Signature> {
        let (name, id) = (self.name.clone(), self.id(kind));
        note.signatures
            .iter()
            .filter(move |signature| signature.name == name && signature.id == id)
    }

    /// Checks that this key has signed the note. Signatures of others are ignored; one of this key that is wrong refuses the note. Only one
    /// is computed: Ed25519 signatures are deterministic (RFC 8032 §5.1.6), so an honest repetition has the same bytes.
    pub fn verify(&self, note: &Note) -> Result<(), NoteError> {
        let mut signatures = self.signatures(note, SIGNATURE);
        let first = signatures
            .next()
            .ok_or_else(|| NoteError::NotSigned(self.name.clone()))?;
        if signatures.any(|other| other != first) {
            return Err(NoteError::BadSignature(self.name.clone()));
        }
        self.check(note.text.as_bytes(), &first.bytes)
    }

    /// Checks that this key has cosigned the note as a witness; says when, the last time.
    pub fn cosigned(&self, note: &Note) -> Result<Timestamp, NoteError> {
        let mut newest = None;
        for signature in self.signatures(note, COSIGNATURE) {
            let bad = || NoteError::BadSignature(self.name.clone());
            let (time, bytes) = signature.bytes.split_first_chunk().ok_or_else(bad)?;
            let time = i64::from_be_bytes(*time);
            if time < 0 {
                return Err(bad());
            }
            self.check(cosigned_text(time, &note.text).as_bytes(), bytes)?;
            newest = newest.max(Some(time));
        }
        newest
            .map(Timestamp::from_seconds)
            .ok_or_else(|| NoteError::NotSigned(self.name.clone()))
    }

    fn check(&self, text: &[u8], signature: &[u8]) -> Result<(), NoteError> {
        self.key
            .verify(Algorithm::EdDsa, text, signature)
            .map_err(|_| NoteError::BadSignature(self.name.clone()))
    }
}

/// What a witness signs (tlog-cosignature, Ed25519 signed message).
fn cosigned_text(seconds: i64, text: &str) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

impl fmt::Display for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(SIGNATURE))
    }
}

impl FromStr for LogKey {
    type Err = NoteError;

    /// Reads a verifier key that is published for signing or for cosigning; which of the two is asked when a note is checked.
    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, rest) = text.split_once('+').ok_or(NoteError::Key("there is no name"))?;
        let (id, key) = rest.split_once('+').ok_or(NoteError::Key("there is no key id"))?;
        let bytes = BASE64_STANDARD
            .decode(key)
            .map_err(|_| NoteError::Key("the key is not base64"))?;
        let (kind, encoded) = match bytes.split_first() {
            Some((kind @ (&SIGNATURE | &COSIGNATURE), encoded)) => (*kind, encoded),
            _ => return Err(NoteError::Key("the key is of another kind")),
        };
        let encoded = encoded
            .try_into()
            .map_err(|_| NoteError::Key("the key is not 32 bytes long"))?;
        let key =
            VerifyingKey::from_ed25519(encoded).map_err(|_| NoteError::Key("the key is no point on the curve"))?;
        let key = Self::new(name, key)?;
        if id != format!("{:08x}", u32::from_be_bytes(key.id(kind))) {
            return Err(NoteError::Key("the key id is not that of the key"));
        }
        Ok(key)
    }
}

/// The private key of a log, which is its key as a witness too.
#[derive(Clone, Debug)]
pub struct LogSigner {
    public: LogKey,
    key: SigningKey,
}

impl LogSigner {
    /// An Ed25519 key under a name.
    pub fn new(name: &str, key: SigningKey) -> Result<Self, NoteError> {
        let public = LogKey::new(name, key.verifying_key().clone())?;
        Ok(Self { public, key })
    }

    /// The key of the log of the connector at this root address, made from the connector's master secret. Its name, the log's origin,
    /// is the address of the log without a scheme (tlog-tiles, Parameters).
    pub fn of(root: &str, secret: &HmacKey) -> Result<Self, NoteError> {
        let seed = *secret.tag(b"log").as_bytes();
        Self::new(&origin(root), SigningKey::from_seed(&seed).map_err(NoteError::Signing)?)
    }

    /// The public half.
    pub fn key(&self) -> &LogKey {
        &self.public
    }

    /// Signs a text: a note.
    pub fn sign(&self, text: String) -> Result<Note, NoteError> {
        check_text(&text)?;
        let bytes = self.key.sign(text.as_bytes()).map_err(NoteError::Signing)?;
        let signature = self.signature(SIGNATURE, bytes);
        Ok(Note {
            text,
            signatures: vec![signature],
        })
    }

    /// Cosigns a note as a witness.
    pub fn cosign(&self, note: &Note, now: Timestamp) -> Result<Signature, NoteError> {
        let seconds = now.seconds().max(0);
        let signed = cosigned_text(seconds, &note.text);
        let bytes = self.key.sign(signed.as_bytes()).map_err(NoteError::Signing)?;
        Ok(self.signature(COSIGNATURE, [seconds.to_be_bytes().as_slice(), &bytes].concat()))
    }

    fn signature(&self, kind: u8, bytes: Vec<u8>) -> Signature {
        Signature {
            name: self.public.name.clone(),
            id: self.public.id(kind),
            bytes,
        }
    }
}

/// The origin of the log of the connector at this root address.
pub fn origin(root: &str) -> String {
    let place = root.split_once("://").map_or(root, |(_, place)| place);
    format!("{}/log", place.trim_end_matches('/'))
}

/// One signature line: whose it claims to be, and the bytes. Its text form is the line with its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl Signature {
    /// The name of the key that it claims to be of.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads one line without its end.
    pub fn read(line: &str) -> Result<Self, NoteError> {
        let parts = line.strip_prefix("— ").and_then(|rest| rest.split_once(' '));
        let (name, base64) = parts.ok_or(NoteError::Malformed("a signature line is not `— name base64`"))?;
        if !is_name(name) {
            return Err(NoteError::Malformed("the name in a signature line is not usable"));
        }
        let bytes = BASE64_STANDARD
            .decode(base64)
            .map_err(|_| NoteError::Malformed("a signature is not base64"))?;
        match bytes.split_first_chunk() {
            Some((id, bytes)) if !bytes.is_empty() => Ok(Self {
                name: name.to_owned(),
                id: *id,
                bytes: bytes.to_vec(),
            }),
            _ => Err(NoteError::Malformed("a signature is too short")),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = BASE64_STANDARD.encode([self.id.as_slice(), &self.bytes].concat());
        writeln!(f, "— {} {bytes}", self.name)
    }
}

/// A text with signatures. What it says counts only after a key that is trusted has been asked ([`LogKey::verify`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// Reads a note. Everything that it accepts writes back to the same text.
    pub fn read(text: &str) -> Result<Self, NoteError> {
        if text.len() > MAX_LEN {
            return Err(NoteError::Malformed("the note is too long"));
        }
        let (body, lines) = text
            .rsplit_once("\n\n")
            .ok_or(NoteError::Malformed("the note has no signatures"))?;
        let body = format!("{body}\n");
        check_text(&body)?;
        let lines = lines
            .strip_suffix('\n')
            .ok_or(NoteError::Malformed("the last line has no end"))?;
        let signatures: Vec<Signature> = lines.split('\n').map(Signature::read).collect::<Result<_, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::Malformed("the note has too many signatures"));
        }
        Ok(Self { text: body, signatures })
    }

    /// What was signed, with the end of its last line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All signatures, whosever they claim to be.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a signature.
    pub fn add(&mut self, signature: Signature) {
        self.signatures.push(signature);
    }

    /// The note with one signature of this key alone.
    pub fn signed_by(&self, key: &LogKey) -> Self {
        Self {
            text: self.text.clone(),
            signatures: key.signatures(self, SIGNATURE).take(1).cloned().collect(),
        }
    }
}

/// A text ends with the end of a line, and its line ends are the only control characters.
fn check_text(text: &str) -> Result<(), NoteError> {
    if !text.ends_with('\n') {
        Err(NoteError::Malformed("the text does not end with the end of a line"))
    } else if text.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        Err(NoteError::Malformed("there is a control character in the text"))
    } else {
        Ok(())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_str("\n")?;
        self.signatures.iter().try_for_each(|signature| signature.fmt(f))
    }
}

#[cfg(test)]
mod tests;
