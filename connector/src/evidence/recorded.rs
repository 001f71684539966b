//! How things in a bundle and entries of the log belong together: by the hashes that an entry carries. The exporter finds entries by it,
//! the verifier holds the two against each other.

use super::{
    Flaw,
    manifest::{ConsentHashes, Item},
};
use crate::{
    jose::{Digest, sha256},
    process::archive::{Direction, Form},
};
use serde_json::{Value, json};

/// What an entry must say: names and values of some of its members.
pub(super) type Pattern = Vec<(&'static str, Value)>;

/// Whether an entry says all of it.
pub(super) fn fits(entry: &Value, pattern: &Pattern) -> bool {
    pattern.iter().all(|(name, value)| entry.get(name) == Some(value))
}

/// Whether an entry records one message: none may be without its message, and no message without its entry. What became of a message of
/// ours can be known without an answer to it (a lost one, found out by asking for the state), and nothing in the archive is about that.
pub(super) fn is_about_message(entry: &Value) -> bool {
    match entry.get("kind").and_then(Value::as_str) {
        Some("message-in" | "message-out") => true,
        Some("acknowledged" | "refused") => entry.get("answer").is_some(),
        _ => false,
    }
}

/// The entries that record an exhibit, in their order. `bytes` finds the content of a file.
pub(super) fn of_item<'a>(item: &Item, bytes: impl Fn(&str) -> Result<&'a [u8], Flaw>) -> Result<Vec<Pattern>, Flaw> {
    let hash = |file: &str| Ok(json!(sha256(bytes(file)?)));
    let body = hash(&item.body)?;
    let process = ("process", json!(item.process));
    let single =
        |kind: &str, name: &'static str| Ok(vec![vec![("kind", json!(kind)), process.clone(), (name, body.clone())]]);
    let line = if item.kind == "end" { "end" } else { "begin" };
    match (item.form, item.direction) {
        (Form::Line, Direction::Out) => single("release", line),
        (Form::Line, Direction::In) => single("received", line),
        (Form::Receipt, Direction::In) => single("receipt", "object"),
        (Form::Receipt, Direction::Out) => single("received", "receipt"),
        (Form::Message, direction) => {
            let pattern = |kind: &str| {
                let members = [
                    ("kind", json!(kind)),
                    ("message", json!(item.kind)),
                    ("body", body.clone()),
                ];
                Vec::from_iter(members.into_iter().chain([process.clone()]))
            };
            if direction == Direction::In {
                let mut came = pattern("message-in");
                came.push(match &item.signature {
                    Some(file) => ("signature", hash(file)?),
                    None => ("signed", json!(false)),
                });
                return Ok(vec![came]);
            }
            let mut patterns = vec![pattern("message-out")];
            if let Some(answer) = &item.answer {
                let mut settled = pattern(if (200..300).contains(&answer.status) {
                    "acknowledged"
                } else {
                    "refused"
                });
                settled.push(("status", json!(answer.status)));
                settled.push(("answer", hash(&answer.body)?));
                match (&item.signature, &answer.signature) {
                    (Some(ours), Some(theirs)) => {
                        settled.push(("signature", hash(ours)?));
                        settled.push(("answerSignature", hash(theirs)?));
                    }
                    _ => settled.push(("signed", json!(false))),
                }
                patterns.push(settled);
            }
            Ok(patterns)
        }
    }
}

/// The entries that record a consent.
pub(super) fn of_consent(consent: &ConsentHashes) -> Vec<Pattern> {
    let pattern = |kind: &str, object: &Digest| vec![("kind", json!(kind)), ("object", json!(object))];
    let mut patterns = vec![pattern("consent-given", &consent.given)];
    patterns.extend(
        consent
            .withdrawn
            .iter()
            .map(|object| pattern("consent-withdrawn", object)),
    );
    patterns
}

/// The file of an entry, and that of the proof that the log holds it.
pub(super) fn files(entry: u64) -> (String, String) {
    (
        format!("log/entries/{entry:09}.json"),
        format!("log/proofs/{entry:09}.tlog-proof"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_without_an_answer_needs_no_message() {
        for kind in ["message-in", "message-out"] {
            assert!(is_about_message(&json!({"kind": kind})), "{kind}");
        }
        for kind in ["acknowledged", "refused"] {
            assert!(is_about_message(&json!({"kind": kind, "answer": "x"})), "{kind}");
            assert!(!is_about_message(&json!({"kind": kind})), "{kind}");
        }
        assert!(!is_about_message(&json!({"kind": "stream-opened", "answer": "x"})));
    }
}
