//! What a bundle says about itself: whose it is, what each file is, which entries of the log belong to it, and the hash of every file.
//! `manifest.json` in canonical form; `manifest.jws` is the exporter's signature over its hash.

use super::{Flaw, container::Files};
use crate::{
    dsp::{
        AgreementId, ParticipantId, Pid, Role,
        json::{self, Limits},
    },
    jose::{Digest, JoseError, Signer, canonical, sha256, token},
    process::{
        Protocol,
        archive::{Direction, Form},
    },
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The names of the two files that the manifest does not list.
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const SIGNATURE: &str = "manifest.jws";
/// The two-signature agreement.
pub(super) const AGREEMENT: &str = "agreement.json";
/// The same for people to read.
pub(super) const PAGE: &str = "agreement.html";
/// The signed checkpoint that all proofs lead to.
pub(super) const CHECKPOINT: &str = "log/checkpoint";

/// The value of `type`.
const TYPE: &str = "DasesEvidenceBundle";
/// Largest manifest that is read, in bytes.
const MAX_LEN: usize = 256 * 1024 * 1024;

/// The content of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// `DasesEvidenceBundle`.
    pub r#type: String,
    /// 1.
    pub v: u8,
    /// Who made the bundle, from its own store.
    pub exporter: ParticipantId,
    /// The exporter's part in the agreement.
    pub role: Role,
    /// The other party.
    pub counterparty: ParticipantId,
    /// Which agreement it is about.
    pub agreement: AgreementId,
    /// When it was made.
    pub created: Timestamp,
    /// The negotiation, then the transfers under the agreement that have ended.
    pub processes: Vec<Process>,
    /// Transfers that have not ended, which are left out: what opens their streams would be in it.
    pub running: Vec<Pid>,
    /// The DID documents of both parties in every version that was seen, the first seen first.
    pub documents: Vec<Version>,
    /// What was exchanged, in the order in which the exporter took it in or decided it, process by process.
    pub exhibits: Vec<Item>,
    /// The consents in which the provider's learners name the consumer: hashes alone.
    pub consents: Vec<ConsentHashes>,
    /// The entries of the exporter's log that belong to all this, by number.
    pub entries: Vec<u64>,
    /// SHA-256 of every file but the manifest and its signature, in hexadecimal, by name.
    pub files: BTreeMap<String, String>,
}

/// A negotiation or transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Process {
    /// Which of the two.
    pub protocol: Protocol,
    /// The exporter's id for it.
    pub pid: Pid,
    /// The counterparty's id for it.
    pub peer_pid: Option<Pid>,
    /// Its last state.
    pub state: String,
    /// How many things of it the exporter has in its archive: all of them are exhibits. None in a bundle of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exhibits: Option<u64>,
}

/// A DID document as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Version {
    /// Whose it is.
    pub did: ParticipantId,
    /// When the exporter saw it first.
    pub seen: Timestamp,
    /// Its file.
    pub file: String,
    /// The entry that recorded it.
    pub entry: u64,
}

/// Something that was exchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Item {
    /// The exporter's id of its process.
    pub process: Pid,
    /// Its number among what was kept of its process, from 0. None in a bundle of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// What it is.
    pub form: Form,
    /// Which way it went, as the exporter sees it.
    pub direction: Direction,
    /// A message's `@type`; `begin` or `end` of a stream; `receipt`.
    pub kind: String,
    /// When the exporter took it in or decided it.
    pub at: Timestamp,
    /// The file with its very bytes.
    pub body: String,
    /// Messages: where it was sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Messages: the file with the header `x-jws-signature`; none where nothing was signed, or no answer was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Messages: further headers that are evidence, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Messages of the exporter: the counterparty's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// The entries of the log that recorded it: that it came or was decided, and what became of it.
    pub entries: Vec<u64>,
}

/// The answer to a message of the exporter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The file with its very bytes.
    pub body: String,
    /// The file with the header `x-jws-signature` of the answer; none where nothing was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// One consent: the hash of the signed record, of which the learner has a copy, and no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsentHashes {
    /// SHA-256 of the signed consent.
    pub given: Digest,
    /// SHA-256 of the signed withdrawal, if it was withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Digest>,
    /// The entries of the log that recorded them.
    pub entries: Vec<u64>,
}

impl Manifest {
    /// The names that are fixed.
    pub(super) fn head() -> (String, u8) {
        (TYPE.to_owned(), 1)
    }

    /// Lists the files and signs; the two new files come last.
    pub(super) fn seal(mut self, files: &mut Files, signer: &Signer) -> Result<(), JoseError> {
        files.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.files = files
            .iter()
            .map(|(name, bytes)| (name.clone(), sha256(bytes).to_hex()))
            .collect();
        let bytes = canonical::signable(&json!(self))?;
        let claims = json!({"type": TYPE, "exporter": self.exporter, "agreement": self.agreement, "at": self.created,
            "manifest": sha256(&bytes)});
        let signature = token::sign(signer, token::Kind::Evidence, &claims)?;
        files.push((MANIFEST.to_owned(), bytes));
        files.push((SIGNATURE.to_owned(), signature.into_bytes()));
        Ok(())
    }

    /// Reads canonical bytes; anything that writing it again would not give byte for byte is refused.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Flaw> {
        let refuse = |why: String| Flaw::of(MANIFEST, why);
        let limits = Limits {
            bytes: MAX_LEN,
            ..Limits::MESSAGE
        };
        let value = json::parse_within(bytes, limits).map_err(|error| refuse(error.to_string()))?;
        let manifest: Self = serde_json::from_value(value).map_err(|error| refuse(error.to_string()))?;
        if (manifest.r#type.clone(), manifest.v) != Self::head() {
            return Err(refuse(format!("it is not a {TYPE} of version 1")));
        }
        match canonical::signable(&json!(manifest)) {
            Ok(again) if again == bytes => Ok(manifest),
            _ => Err(refuse("it is not in canonical form".into())),
        }
    }

    /// Checks that exactly the listed files are there, in the order of their names, and that each has its hash.
    pub(super) fn check_files(&self, files: &Files) -> Result<(), Flaw> {
        let found: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let listed: Vec<&str> = self
            .files
            .keys()
            .map(String::as_str)
            .chain([MANIFEST, SIGNATURE])
            .collect();
        let (there, known): (BTreeSet<&str>, BTreeSet<&str>) =
            (found.iter().copied().collect(), listed.iter().copied().collect());
        if let Some(missing) = listed.iter().find(|name| !there.contains(*name)) {
            return Err(Flaw::of(*missing, "it is missing"));
        }
        if let Some(stranger) = found.iter().find(|name| !known.contains(*name)) {
            return Err(Flaw::of(*stranger, "the manifest does not list it"));
        }
        if let Some((name, _)) = found.iter().zip(&listed).find(|(found, listed)| found != listed) {
            return Err(Flaw::of(
                *name,
                "it stands in another place than a bundle has it, or is there twice",
            ));
        }
        if found.len() != listed.len() {
            return Err(Flaw::of(SIGNATURE, "something comes after it"));
        }
        for (name, bytes) in files {
            if self.files.get(name).is_some_and(|hash| *hash != sha256(bytes).to_hex()) {
                return Err(Flaw::of(name, "its hash is not the one in the manifest"));
            }
        }
        Ok(())
    }
}

/// What `manifest.jws` claims, before its signature is checked: that the manifest has this hash. Lets a changed manifest be told from a
/// changed file.
pub(super) fn check_claim(signature: &[u8], manifest: &[u8]) -> Result<(), Flaw> {
    let claimed = std::str::from_utf8(signature)
        .ok()
        .and_then(|text| text.split('.').nth(1))
        .and_then(crate::jose::base64url::decode)
        .and_then(|payload| json::parse(&payload).ok())
        .and_then(|claims| Some(claims.get("manifest")?.as_str()?.to_owned()))
        .ok_or_else(|| Flaw::of(SIGNATURE, "it is not a signed statement about a manifest"))?;
    if claimed == sha256(manifest).to_string() {
        return Ok(());
    }
    Err(Flaw::of(
        format!("{MANIFEST} or {SIGNATURE}"),
        "the manifest does not have the hash that was signed",
    ))
}

/// Whether the signed claims are those that the manifest calls for.
pub(super) fn claims_fit(claims: &Value, manifest: &Manifest) -> bool {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    text("type") == Some(TYPE)
        && text("exporter") == Some(manifest.exporter.as_str())
        && text("agreement") == Some(manifest.agreement.as_str())
        && text("at") == Some(manifest.created.to_string().as_str())
}
