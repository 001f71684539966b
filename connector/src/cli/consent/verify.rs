//! `consent verify`: receipts and records checked with nothing but their bytes, the keys of their issuer, the holder or an intermediary, and
//! proofs of its log. What was not checked is said as plainly as what was.

mod keys;

use crate::{
    audit::LogKey,
    cli::{
        Context,
        exit::{Exit, Failure, Outcome},
        input,
    },
    consent::{
        check_27560,
        receipt::{self, Included, Proved, Shown, objection, restriction},
    },
    dsp::json::JsonError,
};
use clap::Args;
use keys::Keys;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    ops::Range,
    path::{Path, PathBuf},
};

/// Check receipts of a consent: signatures, the chain, every step, and the fields of ISO/IEC TS 27560; or only the fields of a bare record
///
/// That each key was valid when its receipt was made is checked by the versions of the issuer's DID document that the daemon has seen, or
/// those in --did-document. Without either, the DID document of today is fetched, which does not say since when a key is in it. That the
/// issuer's log holds a receipt is checked by --proof. What was not checked is named.
/// Receipts of a restriction and of an objection are checked in the same way.
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector consent verify receipts.txt
  connector consent verify receipts.json --did-document school.json
  connector consent verify receipts.txt --did-document school.json --proof entry-17.tlog-proof --entry entry-17.json
  connector consent verify record.json
")]
pub(super) struct Verify {
    /// Receipts, one a line or as the API gives them, or a record in JSON-LD; - for standard input
    file: PathBuf,
    /// The issuer's DID document, or its versions as `audit documents` prints them
    #[arg(long, value_name = "FILE", conflicts_with = "jwks")]
    did_document: Option<PathBuf>,
    /// The issuer's keys as a JWK set
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// A proof that the issuer's log holds the entry of a receipt (audit prove); repeat for more receipts
    #[arg(long, value_name = "FILE", requires = "entry")]
    proof: Vec<PathBuf>,
    /// The entry that is proven, byte for byte: one for each --proof, in the same order
    #[arg(long, value_name = "FILE", requires = "proof")]
    entry: Vec<PathBuf>,
    /// The key of the issuer's log [default: the one in its DID document]
    #[arg(long, value_name = "VKEY", requires = "proof")]
    log_key: Option<LogKey>,
}

/// What a file holds.
enum Held {
    Receipts(Vec<String>),
    Record(Value),
}

/// What was found out about receipts, as `--json` prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    #[serde(flatten)]
    proved: &'a Shown,
    checked: Vec<&'static str>,
    not_checked: Vec<&'static str>,
    inclusion: &'a [Included],
}

impl Verify {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        match read(&input::bytes(&self.file)?, &self.file)? {
            Held::Record(record) => {
                fields(&record)?;
                context
                    .out
                    .say("complete: the record has every mandatory field of ISO/IEC TS 27560 and the GDPR")?;
                match context.out.json {
                    true => context.out.json(&json!({"complete": true})),
                    false => Ok(()),
                }
            }
            Held::Receipts(receipts) => self.receipts(context, &receipts).await,
        }
    }

    async fn receipts(&self, context: &Context, receipts: &[String]) -> Outcome {
        let keys = Keys::find(context, (self.did_document.as_deref(), self.jwks.as_deref()), receipts).await?;
        let proved = receipt::prove(receipts, |kid, at| keys.key(kid, at));
        let proved = proved.map_err(|error| failed(error.to_string()))?;
        let included = self.included(receipts, &keys)?;
        if context.out.json {
            let (checked, not_checked) = done(parts(&proved), receipts, &included, &keys);
            let told = Told {
                proved: &proved,
                checked,
                not_checked,
                inclusion: &included,
            };
            let told = serde_json::to_value(told).map_err(std::io::Error::from)?;
            return context.out.json(&told);
        }
        let text = match &proved {
            Shown::Consent(proved) => said(proved),
            Shown::Restriction(proved) => said_of_restriction(proved),
            Shown::Objection(proved) => said_of_objection(proved),
        };
        let first = receipt::first_number(receipts);
        let (periods, inclusion) = (
            periods(keys.are_dated()),
            inclusion(first..first + receipts.len(), &included),
        );
        context.out.say(&format!("{text}\n{periods}{inclusion}"))
    }

    /// What the proofs prove; each must be good, and of one of the receipts.
    fn included(&self, receipts: &[String], keys: &Keys) -> Outcome<Vec<Included>> {
        if self.proof.len() != self.entry.len() {
            return Err(Failure::usage("there is not one --entry for each --proof")
                .next("name both that `connector audit prove N -o PROOF --entry ENTRY` has written"));
        }
        let pairs = self.proof.iter().zip(&self.entry);
        let each = pairs.map(|(proof, entry)| {
            let refuse = |why: &dyn std::fmt::Display| failed(format!("{}: {why}", proof.display()));
            let text = String::from_utf8(input::bytes(proof)?).map_err(|_| refuse(&"it is not text in UTF-8"))?;
            let log_keys = self
                .log_key
                .iter()
                .chain(keys.log_keys().filter(|_| self.log_key.is_none()));
            receipt::included(receipts, (&text, &input::bytes(entry)?), log_keys).map_err(|error| refuse(&error))
        });
        each.collect()
    }
}

/// What the receipts of a consent prove, for people to read.
fn said(proved: &Proved) -> String {
    let state = json!(proved.state);
    let mut text = format!(
        "verified: {} receipt(s) of {}, signed by {}; it was {} at {}",
        proved.receipts,
        proved.consent,
        proved.issuer,
        state.as_str().unwrap_or_default(),
        proved.at
    );
    if proved.holder != proved.issuer {
        let holder = &proved.holder;
        text.push_str(&format!(
            "\nsigned by the intermediary: the records are those of {holder}"
        ));
    }
    if !proved.complete {
        text.push_str("\nthe first receipts are not among them");
    }
    text.push_str("\nchecked: the signatures, the chain, every step, the fields of the records");
    text
}

/// Whether it was checked that the keys counted when receipts were made.
const fn periods(are_dated: bool) -> &'static str {
    match are_dated {
        true => "checked: each key was valid when its receipt says that it was made",
        false => {
            "NOT checked: whether each key was valid when its receipt was made (name the versions with --did-document)"
        }
    }
}

/// Which receipts are shown to be in the issuer's log, a line each, and which are not: by the numbers that they have in their chain.
fn inclusion(numbers: Range<usize>, included: &[Included]) -> String {
    let first = numbers.start;
    let mut text = String::new();
    for one in included {
        text.push_str(&format!(
            "\nchecked: receipt {} is in the log {} as entry {} of {}, written {}",
            first + one.receipt,
            one.log,
            one.entry,
            one.size,
            one.at
        ));
    }
    let is_missing = |number: &usize| included.iter().all(|one| first + one.receipt != *number);
    let missing: Vec<String> = numbers.filter(is_missing).map(|number| number.to_string()).collect();
    if !missing.is_empty() {
        text.push_str(&format!(
            "\nNOT checked: whether the issuer's log holds receipt(s) {} (prove it with --proof)",
            missing.join(", ")
        ));
    }
    text
}

/// The names of what is always checked.
const fn parts(proved: &Shown) -> &'static [&'static str] {
    match proved {
        Shown::Consent(_) => &["signatures", "chain", "steps", "fields"],
        Shown::Restriction(_) => &["signatures", "chain", "steps"],
        Shown::Objection(_) => &["signatures", "steps"],
    }
}

/// The names of what was checked, and of what was not.
fn done(
    all: &[&'static str],
    receipts: &[String],
    included: &[Included],
    keys: &Keys,
) -> (Vec<&'static str>, Vec<&'static str>) {
    let whole = (0..receipts.len()).all(|number| included.iter().any(|one| one.receipt == number));
    let (mut checked, mut not_checked) = (all.to_vec(), Vec::new());
    for (name, done) in [("keyPeriods", keys.are_dated()), ("inclusion", whole)] {
        let list = if done { &mut checked } else { &mut not_checked };
        list.push(name);
    }
    (checked, not_checked)
}

/// What the receipts of a restriction prove, for people to read.
fn said_of_restriction(proved: &restriction::Proved) -> String {
    let towards = proved.recipient.as_deref().unwrap_or("everybody");
    let lifted = match &proved.lifted {
        Some(lifted) => format!("lifted at {}", lifted.time),
        None => "not lifted".to_owned(),
    };
    let mut text = format!(
        "verified: {} receipt(s) of the restriction {}, signed by {}; towards {towards} from {} on, {lifted}",
        proved.receipts, proved.restriction, proved.issuer, proved.set.time
    );
    if !proved.complete {
        text.push_str("\nthe first receipt is not among them");
    }
    text.push_str("\nchecked: the signatures, the chain, every step");
    text
}

/// What the receipt of an objection proves, for people to read.
fn said_of_objection(proved: &objection::Proved) -> String {
    format!(
        "verified: the receipt of the objection {}, signed by {}; at {} to the basis {}, towards {}\nchecked: the signature, the step",
        proved.objection,
        proved.issuer,
        proved.at,
        proved.basis,
        proved.recipients.join(", ")
    )
}

fn failed(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Verification, message)
        .next("do not rely on it; ask the holder for the receipts and its keys again")
}

fn fields(record: &Value) -> Outcome {
    check_27560(record).map_err(|missing| {
        let all: Vec<String> = missing.iter().map(ToString::to_string).collect();
        failed(all.join("\n"))
    })
}

/// Receipts in lines or in JSON, or a record.
fn read(bytes: &[u8], path: &Path) -> Outcome<Held> {
    let nothing = || Failure::usage(format!("{} holds neither receipts nor a record", path.display()));
    let text = std::str::from_utf8(bytes).map_err(|_| nothing())?;
    let texts =
        |list: &[Value]| -> Option<Vec<String>> { list.iter().map(|one| one.as_str().map(str::to_owned)).collect() };
    match input::parse(bytes) {
        Err(error @ (JsonError::DuplicateKey(_) | JsonError::ByteOrderMark)) => {
            Err(Failure::usage(format!("{}: {error}", path.display())))
        }
        Ok(Value::Array(list)) => texts(&list).map(Held::Receipts).ok_or_else(nothing),
        Ok(Value::Object(members)) => {
            if let Some(Value::Array(list)) = members.get("receipts") {
                return texts(list).map(Held::Receipts).ok_or_else(nothing);
            }
            let record = members.get("record").filter(|record| record.is_object()).cloned();
            Ok(Held::Record(record.unwrap_or(Value::Object(members))))
        }
        _ => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let receipts: Vec<String> = lines.map(str::to_owned).collect();
            match receipts.is_empty() {
                true => Err(nothing()),
                false => Ok(Held::Receipts(receipts)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_says_something_twice_is_not_checked_by_what_it_says_last() {
        let bytes = br#"{"record": {"status": "given", "status": "withdrawn"}}"#;
        let Err(refused) = read(bytes, Path::new("record.json")) else {
            panic!("it was read");
        };
        let told = refused.to_string();
        assert!(
            told.contains(r#"record.json: an object has the member "status" more than once"#),
            "{told}"
        );
        assert!(read(br#"{"record": {"status": "given"}}"#, Path::new("record.json")).is_ok());
    }

    #[test]
    fn a_file_that_begins_with_a_byte_order_mark_is_refused_for_that() {
        let Err(refused) = read(
            "\u{feff}eyJhbGciOiJFZERTQSJ9.e30.AA".as_bytes(),
            Path::new("receipts.txt"),
        ) else {
            panic!("it was read");
        };
        assert!(refused.to_string().contains("byte order mark"), "{refused}");
    }

    #[test]
    fn receipts_are_named_by_the_numbers_that_they_have_in_their_chain() {
        let included = Included {
            receipt: 1,
            entry: 17,
            log: "school.example/log".to_owned(),
            size: 20,
            at: "2026-06-01T00:00:00Z".to_owned(),
        };
        let last_alone = inclusion(1..2, &[]);
        assert!(last_alone.contains("holds receipt(s) 1 ("), "{last_alone}");
        let two = inclusion(1..3, &[included]);
        assert!(
            two.contains("checked: receipt 2 is in the log school.example/log as entry 17 of 20"),
            "{two}"
        );
        assert!(two.contains("holds receipt(s) 1 ("), "{two}");
    }
}
