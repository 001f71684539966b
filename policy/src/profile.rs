//! The profile as it is published: the document `PROFILE.md` and the JSON-LD context `profile.jsonld`, written from the tables of `vocabulary`,
//! `reason`, `lint` and `ids`. Nothing is decided here, and apart from `DECISIONS` and `CLOSED`, which say in words what other modules do, nothing
//! is said here that those tables do not say.

use crate::{
    ids::Class,
    lint::LintCode,
    reason::{Code, Language},
    vocabulary::{
        Action, Category, DASES, DPV, Enforcement, LeftOperand, NAMESPACES, OWN_PURPOSES, Operator, PROFILES,
        PURPOSES_APART,
    },
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fmt::Write};

/// What ODRL leaves open and the profile fixes.
const DECISIONS: &[(&str, &str)] = &[
    (
        "Where a permission and a prohibition meet",
        "the prohibition wins (`conflict` is `prohibit`); nothing is permitted that no permission covers",
    ),
    (
        "A term that is not in these tables",
        "an unknown profile, action, operator, left operand or member refuses the whole policy, and is named",
    ),
    (
        "A fact that is missing",
        "is unknown: a permission that asks for it does not hold, a prohibition that asks for it does",
    ),
    (
        "`eq`, `isAnyOf`, `isNoneOf` on names",
        "compare the names themselves; what lies below a name is asked with `isA` or `isPartOf`: of purposes along the tree of DPV 2.3 and ours, of places and languages by their codes, and of any other name it is unknown",
    ),
    (
        "`eq` with several right operands",
        "is refused; alternatives are written `isAnyOf`",
    ),
    (
        "`isA` on `dataCategory`",
        "is the same as `isAnyOf`: the categories are complete, and none lies below another",
    ),
    (
        "`isPartOf` on `recipient`",
        "is refused: a DID has no parts. Groups of consumers are asked for with `membership.CLAIM`, `credential.TYPE.CLAIM` or `dases:role`",
    ),
    (
        "`isNoneOf` on purposes",
        "leaves a more precise purpose permitted; there is a warning",
    ),
    (
        "A name that its vocabulary does not have",
        "is equal to itself and to no other; of purposes of DPV, places and languages there is a warning. Of bare purposes, which may be anybody's own, only where DPV or this profile has the name in another spelling",
    ),
    (
        "Times without a zone",
        "are refused; a date is the whole day in its zone, so `eq` means falls in it",
    ),
    (
        "`P60M`",
        "is 60 months, as XML Schema has it; there is a warning. Months are counted on the calendar, in UTC, and a month that is too short ends them (`P1M` from 31 January is the last of February)",
    ),
    (
        "`elapsedTime`, `delayPeriod`",
        "are counted from the agreement's `timestamp`; `eq` means within for the first and at least for the second",
    ),
    (
        "`timeInterval`",
        "is counted from the start of the transfer before; `eq` means at least",
    ),
    (
        "`count`",
        "counts transfers under the agreement, the one in question included. One is counted when its first stream opens; read from the beginning again over an hour after it was counted, it counts anew",
    ),
    ("`meteredTime`", "sums up how long streams of the agreement were open"),
    ("`payAmount`", "compares only with evidence in the same `unit`"),
    ("`andSequence`", "is judged as `and`; there is a warning"),
    (
        "Duties of a permission",
        "are promises for after the use, carried in the plan; `log` and `inform` alone are done here as well. One that would have to be fulfilled before the use is refused",
    ),
    (
        "A consequence and a remedy",
        "are carried as promises; neither may have a consequence itself",
    ),
];

/// Which vocabularies are complete, so that two of their names are different for certain; and how their names lie to each other (policy.md §3.3).
const CLOSED: &[(&str, &str, &str)] = &[
    (
        "ISO 3166 and NUTS (`spatial`)",
        "yes",
        "by their codes: `FR-IDF` and `FR10` lie in `FR`; how an ISO 3166-2 and a NUTS code of one country lie is unknown",
    ),
    (
        "BCP 47 (`language`)",
        "yes",
        "by their subtags: `fr-CA` lies below `fr`",
    ),
    ("data categories (`dataCategory`)", "yes", "none lies below another"),
    ("actions of ODRL", "yes", "`includedIn`"),
    (
        "DIDs (`recipient`, `systemDevice`)",
        "yes",
        "two that differ are two parties; none is a part of another",
    ),
    (
        "ways and formats of a transfer (`deliveryChannel`, `fileFormat`)",
        "no",
        "a transfer is either pushed or pulled, and in one format: names of both ways, or of two media types, never go together",
    ),
    (
        "events (`event`)",
        "no",
        "each has its own time: a use is before, during or after it, whatever it is to others",
    ),
    (
        "purposes of DPV 2.3 and ours (`purpose`)",
        "for the names in it",
        "`skos:broader`; below the pairs that are listed here nothing is in common, and of all other pairs that is unknown",
    ),
    (
        "everything else",
        "no",
        "a name is equal to itself; everything else about it is unknown",
    ),
];

/// The profile as a document.
pub fn markdown() -> String {
    let mut text = String::from(
        "<!-- Written from the tables in policy/src; change those, then run the tests with PROFILE=write. -->\n\n# The ODRL profile of this connector\n\n",
    );
    let mut put = |line: &str| {
        let _ = writeln!(text, "{line}");
    };
    put(&format!(
        "Profile IRI: `{}`. Terms under `{}` are ours; all others keep the IRI of the",
        PROFILES.first().copied().unwrap_or_default(),
        DASES.iri
    ));
    put("vocabulary that defines them. The JSON-LD context is [`profile.jsonld`](profile.jsonld).\n");
    put("## What the profile fixes\n\n| ODRL leaves open | here |\n|---|---|");
    for (question, answer) in DECISIONS {
        put(&format!("| {question} | {answer} |"));
    }
    put(
        "\n## Left operands\n\n| operand | means | values | operators | known at | from | privacy | enforcement |\n|---|---|---|---|---|---|---|---|",
    );
    for left in LeftOperand::ALL {
        put(&operand(*left));
    }
    put(
        "\n## Spellings\n\nEach term is read bare, with its prefix and as an IRI. Read as well:\n\n| term | also |\n|---|---|",
    );
    for left in LeftOperand::ALL {
        also(&mut put, &left.iri(), left.synonyms());
    }
    for action in Action::ALL {
        also(&mut put, &action.iri(), action.synonyms());
    }
    for category in Category::ALL {
        also(&mut put, &category.iri(), category.synonyms());
    }
    vocabularies(&mut put);
    put(
        "\n## Policy classes of the International Data Spaces\n\n| no. | class | recognised by | enforcement | what is done |\n|---|---|---|---|---|",
    );
    for class in Class::ALL {
        put(&format!(
            "| {} | {} | {} | {} | {} |",
            class.number(),
            class.name(Language::English),
            class.recognised_by(),
            class.enforcement().name(),
            class.handling()
        ));
    }
    put(&format!("\n{}", kept()));
    put("\n## Reason codes\n\n| code | means | en français | who can mend it |\n|---|---|---|---|");
    for code in Code::ALL {
        let (english, french) = (code.text(Language::English), code.text(Language::French));
        put(&format!("| {code} | {english} | {french} | {} |", code.fix().as_str()));
    }
    put("\n## Warnings\n\n| code | means | en français | who can mend it |\n|---|---|---|---|");
    for lint in LintCode::ALL {
        let (english, french) = (lint.text(Language::English), lint.text(Language::French));
        let fix = lint.fix().as_str();
        put(&format!("| {} | {english} | {french} | {fix} |", lint.as_str()));
    }
    put("\n## Enforcement\n\n| word | means |\n|---|---|");
    for enforcement in Enforcement::ALL {
        put(&format!("| {} | {} |", enforcement.name(), means(enforcement)));
    }
    text
}

/// How many of the first list of classes are kept without the consumer.
fn kept() -> String {
    let count = |enforcement| {
        let first = Class::ALL.iter().filter(|class| class.number() <= 21);
        first.filter(|class| class.enforcement() == enforcement).count()
    };
    let [enforced, attested, declared, others] = Enforcement::ALL.map(count);
    format!(
        "Of the first 21, {} are kept by this connector: {enforced} enforced, {attested} on attested facts, {declared} on declared ones. {others} need the consumer.",
        enforced + attested + declared
    )
}

/// What is certain about names, when policies are compared and when they are enforced.
fn vocabularies(put: &mut impl FnMut(&str)) {
    put(
        "\n## Vocabularies\n\nWhat is certain about names when two policies are compared. At a transfer the same tree and codes decide; what they do not say is unknown, and refuses.\n\n| names | complete | what lies below what |\n|---|---|---|",
    );
    for (names, complete, hierarchy) in CLOSED {
        put(&format!("| {names} | {complete} | {hierarchy} |"));
    }
    put("\n| purpose of ours | lies below |\n|---|---|");
    for (name, wider) in OWN_PURPOSES {
        put(&format!("| `{}:{name}` | `{}:{wider}` |", DASES.prefix, DPV.prefix));
    }
    put("\n| these exclude each other | with all that lies below them |\n|---|---|");
    for [one, other] in PURPOSES_APART {
        put(&format!("| `{0}:{one}` | `{0}:{other}` |", DPV.prefix));
    }
}

const fn means(enforcement: Enforcement) -> &'static str {
    match enforcement {
        Enforcement::Enforced => {
            "this connector makes it so, on facts that it knows itself or that are its operator's to set, such as the register of events and the description of a dataset"
        }
        Enforcement::Attested => {
            "this connector makes it so, on facts that a verified credential or a signed statement attests"
        }
        Enforcement::Declared => {
            "this connector makes it so, on facts that a party declares; their truth is a matter of the contract"
        }
        Enforcement::NeedsConsumer => {
            "only the consumer can do it; it is carried in the plan and bound by the agreement"
        }
    }
}

fn operand(left: LeftOperand) -> String {
    let row = left.operand();
    let operators = |list: &[Operator]| {
        list.iter()
            .map(|operator| operator.name())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let advised = row
        .advised
        .map(|advised| format!(" (advised: {})", operators(advised)))
        .unwrap_or_default();
    format!(
        "| `{}:{left}` | {} / {} | {} | {}{advised} | {} | {} | {} | {} |",
        left.namespace().prefix,
        row.english,
        row.french,
        row.values.name(),
        operators(row.operators),
        row.known.stages(),
        row.source,
        row.privacy.name(),
        row.enforcement.name(),
    )
}

fn also(put: &mut impl FnMut(&str), term: &str, synonyms: &[&str]) {
    if !synonyms.is_empty() {
        put(&format!("| `{term}` | `{}` |", synonyms.join("`, `")));
    }
}

/// The JSON-LD context: each term under its bare name.
pub fn context() -> Value {
    let mut terms = BTreeMap::new();
    for namespace in NAMESPACES {
        terms.insert(namespace.prefix.to_owned(), json!(namespace.iri));
    }
    for left in LeftOperand::ALL {
        terms.insert(left.name().to_owned(), json!({"@id": left.iri()}));
    }
    for action in Action::ALL {
        terms.insert(action.name().to_owned(), json!({"@id": action.iri()}));
    }
    for operator in Operator::ALL {
        terms.insert(operator.name().to_owned(), json!({"@id": operator.iri()}));
    }
    for category in Category::ALL {
        terms.insert(category.name().to_owned(), json!({"@id": category.iri()}));
    }
    for (purpose, _) in OWN_PURPOSES {
        terms.insert((*purpose).to_owned(), json!({"@id": format!("{}{purpose}", DASES.iri)}));
    }
    // Sorted here, because another crate of the build decides whether a JSON object keeps its order.
    json!({"@context": terms.into_iter().collect::<Map<String, Value>>()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::ValueType;
    use std::{collections::BTreeSet, path::PathBuf};

    fn is_what_is_published(name: &str, written: &str) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
        if std::env::var("PROFILE").is_ok_and(|wish| wish == "write") {
            std::fs::write(&path, written).unwrap();
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            published == written,
            "{name} is stale; run the tests with PROFILE=write"
        );
    }

    #[test]
    fn the_published_profile_is_the_one_in_the_code() {
        is_what_is_published("PROFILE.md", &markdown());
        let context = serde_json::to_string_pretty(&context()).unwrap();
        is_what_is_published("profile.jsonld", &format!("{context}\n"));
    }

    #[test]
    fn the_readme_counts_the_classes_as_the_profile_does() {
        let readme = std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
        let kept = kept();
        // "Of the first 21, N are kept".
        let count = kept.split(' ').nth(4).unwrap();
        assert!(
            readme.contains(&format!("\nInternational Data Spaces, {count} are kept")),
            "{kept}"
        );
    }

    #[test]
    fn every_code_of_every_table_has_both_languages_and_a_fix_and_is_published() {
        let published = markdown();
        let reasons = Code::ALL.iter().map(|code| {
            (
                code.as_str(),
                Language::ALL.map(|language| code.text(language)),
                code.fix(),
            )
        });
        let warnings = LintCode::ALL.iter().map(|lint| {
            (
                lint.as_str(),
                Language::ALL.map(|language| lint.text(language)),
                lint.fix(),
            )
        });
        for (code, [french, english], fix) in reasons.chain(warnings) {
            assert!(!french.is_empty() && !english.is_empty() && french != english, "{code}");
            assert!(!fix.as_str().is_empty() && fix.text(Language::French) != fix.text(Language::English));
            let row = format!("| {code} | {english} | {french} | {} |", fix.as_str());
            assert!(published.lines().any(|line| line == row), "{row}");
        }
    }

    #[test]
    fn every_operand_says_what_it_is_and_advises_only_what_it_understands() {
        for left in LeftOperand::ALL {
            let row = left.operand();
            assert!(
                !row.operators.is_empty()
                    && !row.source.is_empty()
                    && !row.english.is_empty()
                    && !row.french.is_empty()
            );
            let advised = row.advised.unwrap_or_default();
            assert!(
                advised.iter().all(|operator| row.operators.contains(operator)),
                "{left}"
            );
            let ordered = row.operators.contains(&Operator::Lt);
            let line = !matches!(
                row.values,
                ValueType::Name | ValueType::Names | ValueType::NameHierarchy | ValueType::Boolean
            );
            assert!(ordered == (line || *left == LeftOperand::Event), "{left}");
        }
    }

    #[test]
    fn the_context_gives_no_name_two_meanings() {
        let names: Vec<&str> = (LeftOperand::ALL.iter().map(|term| term.name()))
            .chain(Action::ALL.iter().map(|term| term.name()))
            .chain(Operator::ALL.iter().map(|term| term.name()))
            .chain(Category::ALL.iter().map(|term| term.name()))
            .chain(OWN_PURPOSES.iter().map(|(purpose, _)| *purpose))
            .chain(NAMESPACES.iter().map(|namespace| namespace.prefix))
            .collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert_eq!(context()["@context"].as_object().unwrap().len(), names.len());
    }
}
