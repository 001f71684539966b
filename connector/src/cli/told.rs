//! Refusals in the language of whoever reads them: which language that is, and what reason codes and totals in the daemon's answers mean. The texts are
//! those of `policy`; `--json` shows codes alone.

use super::output::member;
use clap::ValueEnum;
use policy::{Code, Language};
use serde_json::Value;

/// A language on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Lang {
    Fr,
    En,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::Fr => Self::French,
            Lang::En => Self::English,
        }
    }
}

/// The language of the environment: the first of the variables that says anything decides (POSIX.1-2024, XBD 8.2).
pub(super) fn of_environment(read: impl Fn(&str) -> Option<String>) -> Language {
    let said = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .filter_map(|name| read(name))
        .find(|value| !value.is_empty());
    match said {
        Some(value) if value.starts_with("fr") => Language::French,
        _ => Language::English,
    }
}

/// A process for people: with what its reason codes mean and who can mend it.
pub(super) fn explained(mut record: Value, language: Language) -> Value {
    for place in ["/release/withheld", "/releaseWithheld"] {
        let Some(Value::Object(withheld)) = record.pointer_mut(place) else {
            continue;
        };
        for (name, count) in withheld.iter_mut() {
            if let Some(code) = Code::read(name) {
                *count = meaning(code, &count.to_string(), language).into();
            }
        }
    }
    if let Some(total) = record.pointer_mut("/progress/withheld") {
        *total = withheld(&total.to_string(), language).into();
    }
    if let Some(told) = left_out(&record, language)
        && let Some(shown) = record.pointer_mut("/progress/leftOut")
    {
        *shown = told.into();
    }
    if let Some(refused) = record.get_mut("releaseRefused")
        && let Some(code) = refused.as_str().and_then(Code::read)
    {
        *refused = code.told(language).into();
    }
    let told = ended_by(&record).map(|code| code.told(language));
    if let (Some(told), Some(Value::Object(explanation))) = (told, record.get_mut("explanation")) {
        explanation.insert("means".to_owned(), told.into());
    }
    record
}

/// Of how many learners a provider told that it withheld records. Whose and why is not for the consumer to know.
pub(super) fn withheld(total: &str, language: Language) -> String {
    let (begin, end) = (
        language.say("au moins", "at least"),
        language.say(
            "personnes concernées (nombre arrondi), sans que le fournisseur dise lesquelles",
            "learners, rounded; the provider does not say which",
        ),
    );
    format!("{begin} {total} {end}")
}

/// How many records a consumer did not keep of what came, why, and how it comes by those that remain permitted; none where all were kept.
pub(super) fn left_out(record: &Value, language: Language) -> Option<String> {
    let records = record
        .pointer("/progress/leftOut")?
        .as_u64()
        .filter(|records| *records > 0)?;
    let why = language.say(
        "de personnes dont un consentement a pris fin",
        "of learners of whom a consent has ended",
    );
    let until = member(record, &["/progress/leftOutUntil"]);
    let again = match until.as_str() {
        "" => String::new(),
        until => {
            let say = language.say(
                "\u{a0}; ce qui reste permis est dans un transfert demandé après",
                "; what remains permitted is in a transfer that is started after",
            );
            format!("{say} {until}")
        }
    };
    Some(format!("{records}, {why}{again}"))
}

fn meaning(code: Code, count: &str, language: Language) -> String {
    // The code stands before it already.
    let told = code.told(language);
    let text = told.strip_prefix(code.as_str()).unwrap_or(&told);
    format!("{count}{text}")
}

/// The reason code with which a process ended, if a policy ended it.
fn ended_by(record: &Value) -> Option<Code> {
    Code::read(record.pointer("/explanation/code")?.as_str()?)
}

/// Why a process ended, ready to follow a sentence: what its reason code means, or the words of whoever ended it.
pub(super) fn why(record: &Value, language: Language) -> String {
    if let Some(code) = ended_by(record) {
        return format!(": {}", code.told(language));
    }
    let why = member(
        record,
        &[
            "/explanation/reasons",
            "/explanation/reason",
            "/explanation/code",
            "explanation",
        ],
    );
    if why.is_empty() { why } else { format!(": {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_variable_that_says_anything_decides_the_language() {
        let of = |set: &[(&str, &str)]| {
            of_environment(|name| {
                set.iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(of(&[("LANG", "fr_FR.UTF-8")]), Language::French);
        assert_eq!(
            of(&[("LC_ALL", ""), ("LC_MESSAGES", "fr"), ("LANG", "C")]),
            Language::French
        );
        assert_eq!(of(&[("LC_ALL", "C.UTF-8"), ("LANG", "fr_FR.UTF-8")]), Language::English);
        assert_eq!(of(&[]), Language::English);
    }

    #[test]
    fn what_was_withheld_is_shown_with_what_each_code_means_and_who_can_mend_it() {
        let record = json!({"release": {"withheld": {"CNS-04": 12, "record-too-large": 1}}});
        let shown = explained(record, Language::French);
        let withheld = &shown["release"]["withheld"];
        let told = withheld["CNS-04"].as_str().unwrap();
        assert!(
            told.starts_with("12\u{a0}: ") && told.contains("a retiré son consentement"),
            "{told}"
        );
        assert!(told.contains("la personne concernée"), "{told}");
        assert_eq!(withheld["record-too-large"], 1, "about data, not about policy");
    }

    #[test]
    fn the_rule_that_refused_a_release_is_shown_with_what_it_means() {
        let ended = json!({"releaseRefused": "AGG-02", "releaseWithheld": {"CNS-01": 20}, "explanation": {"code": "release", "reasons": ["none can be made"]}});
        for language in Language::ALL {
            let shown = explained(ended.clone(), language);
            let missing = shown["releaseWithheld"]["CNS-01"].as_str().unwrap();
            assert!(
                missing.starts_with("20") && missing.contains(policy::Fix::Learner.text(language)),
                "{missing}"
            );
            assert_eq!(shown["releaseRefused"], Code::Differencing.told(language));
            assert_eq!(shown["explanation"], ended["explanation"], "as the peer was told it");
        }
    }

    #[test]
    fn the_total_that_a_provider_told_is_shown_as_the_least_that_was_withheld() {
        let record = || json!({"progress": {"records": 28, "withheld": 10}});
        let shown = explained(record(), Language::French);
        let told = shown["progress"]["withheld"].as_str().unwrap();
        assert!(
            told.starts_with("au moins 10 personnes concernées (nombre arrondi)"),
            "{told}"
        );
        let shown = explained(record(), Language::English);
        assert!(
            shown["progress"]["withheld"]
                .as_str()
                .unwrap()
                .starts_with("at least 10 learners")
        );
        let nothing = json!({"progress": {"records": 28}});
        assert_eq!(explained(nothing.clone(), Language::English), nothing);
    }

    #[test]
    fn what_was_left_out_is_shown_with_the_time_after_which_a_transfer_has_what_remains_permitted() {
        let record = json!({"progress": {"records": 8, "leftOut": 4, "leftOutUntil": "2026-11-27T18:01:00Z"}});
        let shown = explained(record.clone(), Language::English);
        let told = shown["progress"]["leftOut"].as_str().unwrap();
        assert!(
            told.starts_with("4, of learners") && told.ends_with("started after 2026-11-27T18:01:00Z"),
            "{told}"
        );
        let told = left_out(&record, Language::French).unwrap();
        assert!(
            told.contains("ce qui reste permis") && told.ends_with("2026-11-27T18:01:00Z"),
            "{told}"
        );
        let nothing = json!({"progress": {"records": 8}});
        assert_eq!(left_out(&nothing, Language::English), None);
    }

    #[test]
    fn what_a_policy_ended_is_told_by_its_code_and_everything_else_in_the_words_of_who_ended_it() {
        let by_policy = json!({"explanation": {"code": "SYS-01", "reasons": ["SYS-01 at /permission/0"]}});
        let told = why(&by_policy, Language::English);
        assert!(told.contains(Code::CountExhausted.text(Language::English)), "{told}");
        assert_eq!(
            explained(by_policy, Language::English)["explanation"]["means"],
            Code::CountExhausted.told(Language::English)
        );
        let by_operator = json!({"explanation": {"code": "operator", "reasons": ["enough"]}});
        assert_eq!(why(&by_operator, Language::English), ": enough");
        assert_eq!(explained(by_operator.clone(), Language::French), by_operator);
        assert_eq!(why(&json!({}), Language::English), "");
    }
}
