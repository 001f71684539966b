//! `consent grant` and `consent import`: what learners allowed, entered by the holder's operator.

use super::{say_superseded, say_unknown};
use crate::{
    cli::{
        Context,
        api::Api,
        exit::{Exit, Failure, Outcome},
        input,
        output::{items, member},
    },
    consent::{IMPORT_PIECE, NewConsent},
    jose,
};
use ::policy::Language;
use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    path::{Path, PathBuf},
};

/// Record a consent that a learner gave
#[derive(Args)]
#[command(after_help = "EXAMPLES:
  connector consent grant --subject learner-17 --recipient did:web:work.example --purpose https://w3id.org/dpv#ServiceProvision --category skills --method paper-form --notice-file notice.pdf --evidence file:2026/0017
  connector consent grant --subject learner-17 --recipient did:web:work.example --purpose https://w3id.org/dpv#ServiceProvision --category skills --field /skill/name --dataset skills-2026 --expires 2027-01-01T00:00:00Z --method web-form --notice sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 --evidence form:42
  connector consent grant --subject learner-17 --recipient did:web:lab.example --purpose https://w3id.org/dpv#ScientificResearch --category results --aggregate-only --min-group-size 20 --method paper-form --notice-file notice.pdf --evidence file:2026/0018 --signed-by parent-3
")]
pub(super) struct Grant {
    /// The learner's local identifier at this holder
    #[arg(long)]
    subject: String,
    /// Who may receive: an id, or the name of a configured peer; repeat for more
    #[arg(long, value_name = "ID|NAME", required = true)]
    recipient: Vec<String>,
    /// For which purpose, as the offer or agreement names it (connector agreement show): its IRI, or of one of ours its name, which is what
    /// stands behind `https://w3id.org/dases/ns/`, such as orientation. Under another name it is another purpose; repeat for more
    #[arg(long, value_name = "IRI", required = true)]
    purpose: Vec<String>,
    /// Which data category; repeat for more
    #[arg(long, value_name = "NAME", required = true)]
    category: Vec<String>,
    /// Only this field of the categories, as a JSON pointer; repeat for more [default: all]
    #[arg(long, value_name = "POINTER")]
    field: Vec<String>,
    /// Only this dataset; repeat for more [default: all of this holder's]
    #[arg(long, value_name = "ID")]
    dataset: Vec<String>,
    /// For this agreement alone, of which the learner was told; one that takes its place needs a consent of its own [default: any]
    #[arg(long, value_name = "ID")]
    agreement: Option<String>,
    /// For so many transfers in all, 1 to 366 [default: any number]
    #[arg(long, value_name = "NUMBER")]
    max_count: Option<u64>,
    /// For numbers about groups of learners alone, never for a record
    #[arg(long)]
    aggregate_only: bool,
    /// Counted only in releases in which no group has fewer learners, 5 to 1000000; says nothing about records [default: any]
    #[arg(long, value_name = "NUMBER")]
    min_group_size: Option<u32>,
    /// When it ends [default: after twelve months]
    #[arg(long, value_name = "RFC3339")]
    expires: Option<String>,
    /// For how many days the recipient may keep the records [default: as the holder's privacy settings say]. It stands in the record, the
    /// receipts and what the recipient is told; no connector erases by it
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<u32>,
    /// Special categories of data are among it, and the learner agreed to them explicitly
    #[arg(long)]
    explicit: bool,
    /// How it was collected: paper-form, web-form, ...
    #[arg(long)]
    method: String,
    /// SHA-256 of the notice that the learner was shown
    #[arg(long, value_name = "sha256:HEX", required_unless_present = "notice_file")]
    notice: Option<String>,
    /// The notice itself; its SHA-256 is computed
    #[arg(long, value_name = "FILE", conflicts_with = "notice")]
    notice_file: Option<PathBuf>,
    /// Where the proof is kept: a file number, a scan's hash
    #[arg(long)]
    evidence: String,
    /// The guardian who signed the form beside the learner, by the holder's own identifier: both have said yes; needed for a learner who does
    /// not consent alone
    #[arg(long, value_name = "ID")]
    signed_by: Option<String>,
    /// How the guardian signed: paper-form, portal, ... [default: as the consent was collected]
    #[arg(long, value_name = "METHOD", requires = "signed_by")]
    signed_method: Option<String>,
}

impl Grant {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let granted = context.api()?.post("/v1/consents", &json!([self.body()?])).await?;
        if context.out.json {
            return context.out.json(&granted);
        }
        let (id, state) = (
            member(&granted, &["/consents/0/id"]),
            member(&granted, &["/consents/0/state"]),
        );
        context.out.say(&format!("recorded: {id} ({state})"))?;
        let entered = granted.pointer("/consents/0").unwrap_or(&Value::Null);
        say_superseded(context, entered)?;
        say_unknown(context, entered)
    }

    fn body(&self) -> Outcome<Value> {
        let notice = match &self.notice_file {
            Some(file) => notice_hash(&input::bytes(file)?),
            None => self.notice.clone().unwrap_or_default(),
        };
        // Without a guardian the learner's own signature is understood; with one, both are named. The guardian first: without a power of theirs
        // that is what is wrong, and not that the learner has given it already.
        let signed_by = self.signed_by.iter().flat_map(|id| {
            let method = self.signed_method.as_ref().unwrap_or(&self.method);
            [
                json!({"role": "guardian", "id": id, "method": method, "evidence": self.evidence}),
                json!({"role": "learner", "method": self.method, "evidence": self.evidence}),
            ]
        });
        let body = json!({
            "subject": self.subject,
            "recipients": self.recipient,
            "purposes": self.purpose,
            "categories": self.category,
            "fields": self.field,
            "datasets": self.dataset,
            "agreement": self.agreement,
            "expires": self.expires,
            "maxCount": self.max_count,
            "aggregateOnly": self.aggregate_only,
            "minGroupSize": self.min_group_size,
            "retentionDays": self.retention_days,
            "explicit": self.explicit,
            "method": self.method,
            "notice": notice,
            "evidence": self.evidence,
            "signedBy": signed_by.collect::<Vec<_>>(),
        });
        match serde_json::from_value::<NewConsent>(body.clone()) {
            Ok(_) => Ok(body),
            Err(error) => {
                Err(Failure::usage(format!("this is no consent: {error}")).next("see: connector consent grant --help"))
            }
        }
    }
}

fn notice_hash(notice: &[u8]) -> String {
    let hex: String = jose::sha256(notice)
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// Records what a file holds.
pub(super) async fn import_file(context: &Context, file: &Path) -> Outcome {
    let consents = read(file, &input::bytes(file)?)?;
    import(context, &context.api()?, &consents).await
}

/// An array, or one object a line; what is wrong is named with its place before anything is sent.
fn read(path: &Path, bytes: &[u8]) -> Outcome<Vec<Value>> {
    let wrong = |place: String, error: &dyn Display| {
        Failure::usage(format!("{}, {place}: not a consent: {error}", path.display()))
            .next("correct it and import again; nothing was recorded. The members are those of NewConsent in `connector openapi`")
    };
    let check = |place: String, value: Value| match serde_json::from_value::<NewConsent>(value.clone()) {
        Ok(_) => Ok(value),
        Err(error) => Err(wrong(place, &error)),
    };
    if bytes.trim_ascii_start().starts_with(b"[") {
        let whole = input::parse(bytes).map_err(|error| wrong("the whole array".to_owned(), &error))?;
        let Value::Array(list) = whole else {
            return Err(wrong("the whole array".to_owned(), &"it is none"));
        };
        return list
            .into_iter()
            .enumerate()
            .map(|(n, value)| check(format!("entry {}", n + 1), value))
            .collect();
    }
    let lines = bytes
        .split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.trim_ascii().is_empty());
    let read = lines.map(|(n, line)| {
        let place = format!("line {}", n + 1);
        let value = input::parse(line).map_err(|error| wrong(place.clone(), &error))?;
        check(place, value)
    });
    read.collect()
}

async fn import(context: &Context, api: &Api, consents: &[Value]) -> Outcome {
    let total = u64::try_from(consents.len()).unwrap_or(u64::MAX);
    // Hidden by itself where stderr is not a terminal.
    let bar = if context.out.json {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(total)
    };
    let (mut granted, mut superseded, mut states) = (0, Vec::new(), BTreeMap::new());
    let mut unknown = Unknown::default();
    // A request is a piece, so that it is known of each consent whether it is recorded.
    for (number, batch) in consents.chunks(IMPORT_PIECE).enumerate() {
        let recorded = number * IMPORT_PIECE;
        let at = format!("/v1/consents?first={}", recorded + 1);
        let answer = api.post(&at, &json!(batch)).await.map_err(|failure| {
            bar.abandon();
            let in_doubt = match failure.exit() {
                Exit::Unreachable | Exit::TimedOut => batch.len(),
                _ => 0,
            };
            failure.besides(so_far(recorded, in_doubt, context.language()))
        })?;
        granted += answer.get("granted").and_then(Value::as_u64).unwrap_or(0);
        for entered in items(&answer, "consents") {
            *states.entry(member(entered, &["state"])).or_insert(0_u64) += 1;
            superseded.extend(items(entered, "superseded").iter().cloned());
            unknown.add(entered);
        }
        bar.inc(u64::try_from(batch.len()).unwrap_or(0));
    }
    bar.finish_and_clear();
    if context.out.json {
        return context
            .out
            .json(&json!({"granted": granted, "states": states, "superseded": superseded, "unknown": unknown}));
    }
    context
        .out
        .say(&format!("{granted} consents recorded{}", counted(&states)))?;
    if !superseded.is_empty() {
        context.out.say(&format!(
            "  {} older ones have ended, because these take their places (--json names them)",
            superseded.len()
        ))?;
    }
    say_unknown(context, &json!({"unknown": unknown}))
}

/// What the consents of an import name and is not here.
#[derive(Default, Serialize)]
struct Unknown {
    datasets: BTreeSet<String>,
    fields: BTreeSet<String>,
}

impl Unknown {
    fn add(&mut self, entered: &Value) {
        let named = |name| {
            let all = entered.pointer(name).and_then(Value::as_array);
            let texts = all.into_iter().flatten().filter_map(Value::as_str);
            texts.map(str::to_owned)
        };
        self.datasets.extend(named("/unknown/datasets"));
        self.fields.extend(named("/unknown/fields"));
    }
}

/// How many are in which state, for people to read: of what two must sign, the other's word may be missing.
fn counted(states: &BTreeMap<String, u64>) -> String {
    let each: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    match each.is_empty() {
        true => String::new(),
        false => format!(": {}", each.join(", ")),
    }
}

/// How far an import came that stops half-way, and where to go on. `in_doubt`: how many more may be recorded, because no answer came.
fn so_far(recorded: usize, in_doubt: usize, language: Language) -> String {
    let next = recorded + 1;
    let (last, after) = (recorded + in_doubt, recorded + in_doubt + 1);
    let (french, english) = match recorded {
        _ if in_doubt > 0 => (
            format!("au moins {recorded} consentements du fichier sont enregistrés\u{a0}; de {next} à {last}, tous le sont ou aucun\u{a0}: cherchez-les d’abord (connector consent list), puis importez à partir du {next} ou du {after}"),
            format!("at least {recorded} consents of the file are recorded; of consents {next} to {last} all are or none: look for them first (connector consent list), then import from consent {next} or {after} on"),
        ),
        0 => (
            "aucun consentement du fichier n’est enregistré, que l’on sache\u{a0}; corrigez, puis importez de nouveau le fichier".to_owned(),
            "no consent of the file is known to be recorded; correct it, then import the file again".to_owned(),
        ),
        _ => (
            format!("les consentements 1 à {recorded} du fichier sont enregistrés\u{a0}; corrigez le reste, puis importez à partir du {next}"),
            format!("consents 1 to {recorded} of the file are recorded; correct the rest, then import from consent {next} on"),
        ),
    };
    language.say(&french, &english).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"subject":"s","recipients":["did:web:a.example"],"purposes":["p"],"categories":["c"],"method":"m","notice":"n","evidence":"e"}"#;

    fn failure(text: &str) -> String {
        read(Path::new("f"), text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn an_import_is_an_array_or_lines() {
        for text in [
            format!("[{LINE},{LINE}]"),
            format!("\n{LINE}\n\n{LINE}"),
            format!("{LINE}\r\n{LINE}\r\n"),
        ] {
            assert_eq!(read(Path::new("f"), text.as_bytes()).unwrap().len(), 2, "{text}");
        }
    }

    #[test]
    fn a_mistake_in_an_import_is_named_with_its_place() {
        assert!(failure(&format!("{LINE}\nnonsense")).contains("f, line 2: not a consent"));
        assert!(failure(&format!("[{LINE},{{}}]")).contains("f, entry 2: not a consent: missing field `subject`"));
        assert!(failure(&LINE.replace("evidence", "evidense")).contains("unknown field `evidense`"));
        assert!(failure(&LINE.replace("did:web:a.example", "a example")).contains("white space"));
    }

    #[test]
    fn a_consent_that_says_something_twice_is_not_recorded_by_what_it_says_last() {
        let twice = LINE.replace(r#""purposes":["p"]"#, r#""purposes":["p"],"purposes":["q"]"#);
        let named = r#"the member "purposes" more than once"#;
        let told = failure(&format!("{LINE}\n{twice}"));
        assert!(
            told.contains("f, line 2: not a consent") && told.contains(named),
            "{told}"
        );
        let told = failure(&format!("[{LINE},{twice}]"));
        assert!(told.contains("f, the whole array") && told.contains(named), "{told}");
    }

    #[test]
    fn a_stopped_import_says_what_is_recorded_and_where_to_go_on() {
        let refused = || {
            let answer = json!({"error": {"code": "invalid-consent", "message": "entry 700: x", "detail": "y"}});
            Failure::answered(422, &answer)
        };
        let stopped = refused().besides(so_far(640, 0, Language::English));
        assert_eq!(stopped.exit(), Exit::Failed);
        let text = stopped.to_string();
        assert!(text.contains("error: entry 700: x\n  detail: y\n  next: consents 1 to 640 of the file are recorded"));
        assert!(text.ends_with("import from consent 641 on"), "{text}");
        let french = refused().besides(so_far(640, 0, Language::French)).to_string();
        assert!(french.ends_with("importez à partir du 641"), "{french}");
        let nothing = refused().besides(so_far(0, 0, Language::English)).to_string();
        assert!(nothing.contains("no consent of the file"), "{nothing}");
        // What else there is to do is said as well.
        let lost = Failure::new(Exit::Unreachable, "no answer").next("start the daemon");
        let lost = lost.besides(so_far(64, 36, Language::English)).to_string();
        assert!(lost.contains("next: start the daemon; at least 64 consents"), "{lost}");
        // Whether the last piece was recorded is not known without its answer.
        assert!(lost.contains("of consents 65 to 100 all are or none"), "{lost}");
        assert!(lost.ends_with("then import from consent 65 or 101 on"), "{lost}");
    }

    #[test]
    fn a_form_with_a_guardians_signature_has_the_learners_as_well() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            grant: Grant,
        }
        let signers = |more: &[&str]| {
            let line = "grant --subject s --recipient did:web:a.example --purpose p --category skills --method paper-form \
                        --notice sha256:00 --evidence file:1";
            let line = line.split_whitespace().chain(more.iter().copied());
            let body = <Line as clap::Parser>::parse_from(line).grant.body().unwrap();
            body["signedBy"].clone()
        };
        assert_eq!(signers(&[]), json!([]), "the learner alone is understood");
        assert_eq!(
            signers(&["--signed-by", "parent-3", "--signed-method", "portal"]),
            json!([
                {"role": "guardian", "id": "parent-3", "method": "portal", "evidence": "file:1"},
                {"role": "learner", "method": "paper-form", "evidence": "file:1"},
            ])
        );
    }

    #[test]
    fn the_states_of_what_was_imported_are_counted() {
        let states = [("given", 2), ("pending-learner", 1)].map(|(state, count)| (state.to_owned(), count));
        assert_eq!(counted(&states.into()), ": 2 given, 1 pending-learner");
        assert_eq!(counted(&BTreeMap::new()), "");
    }

    #[test]
    fn a_notice_is_hashed() {
        assert_eq!(
            notice_hash(b""),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
