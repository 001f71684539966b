use super::*;
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn now() -> Timestamp {
    Timestamp::from_seconds(1_767_225_600)
}

fn offer(constraint: &Value) -> (Value, policy::Policy) {
    let json =
        json!({"@type": "Offer", "@id": "urn:offer:1", "permission": [{"action": "use", "constraint": [constraint]}]});
    let read = policy::Policy::parse(&json).unwrap();
    (json, read)
}

fn purposes(names: &[&str]) -> (Value, policy::Policy) {
    offer(&json!({"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": names}))
}

#[test]
fn an_explanation_reads_in_both_languages_and_names_what_is_refused() {
    let (_, read) = purposes(&["orientation"]);
    let french = text(&policy::explain(&read, Language::French), Language::French);
    assert!(
        french.contains("Permet : utiliser les données") && french.contains("déclaré seulement"),
        "{french}"
    );
    let english = text(&policy::explain(&read, Language::English), Language::English);
    assert!(
        english.contains("\n  if purpose is one of: orientation [declared only]\n"),
        "{english}"
    );
    let (_, refused) = offer(&json!({"leftOperand": "virtualLocation", "operator": "eq", "rightOperand": "x"}));
    let told = text(&policy::explain(&refused, Language::English), Language::English);
    assert!(
        told.contains("[refused POL-04]") && told.contains("Refused because:"),
        "{told}"
    );
}

#[test]
fn two_policies_are_compared_both_ways() {
    let (narrow, wide, other) = (purposes(&["a"]), purposes(&["a", "b"]), purposes(&["c"]));
    let between = |one: &(Value, policy::Policy), two: &(Value, policy::Policy)| {
        compare((&one.0, &one.1), (&two.0, &two.1), now())
    };
    let found = between(&narrow, &wide);
    assert!(!found.same && found.first_within_second && !found.second_within_first);
    assert_eq!(
        found.common.as_ref().unwrap()["permission"][0]["constraint"][0]["rightOperand"],
        json!(["a"])
    );
    assert!(found.told(Language::English).contains("first within second     yes"));
    assert!(between(&wide, &wide).same);
    let apart = between(&narrow, &other);
    assert!(apart.common.is_none() && apart.told(Language::English).contains("nothing: "));
    assert!(apart.first.satisfiable && !apart.first.contradictory);
    assert!(
        found
            .told(Language::English)
            .contains("Compatible. Both permit, for instance: ")
    );
}

#[test]
fn nothing_is_called_common_above_a_proof_that_nothing_satisfies_both() {
    // More alternatives than a brief look writes out, each of them over before the other policy begins.
    let until = |second: u32| json!({"leftOperand": "dateTime", "operator": "lteq", "rightOperand": format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60)});
    let alternatives: Vec<Value> = (0..300).map(until).collect();
    let early = offer(&json!({"or": alternatives}));
    let late = offer(&json!({"leftOperand": "dateTime", "operator": "gt", "rightOperand": "2030-01-01T00:00:00Z"}));
    let found = compare((&early.0, &early.1), (&late.0, &late.1), now());
    let told = found.told(Language::English);
    assert!(told.contains("Conflict. "), "{told}");
    assert!(found.common.is_none() && told.contains("nothing: "), "{told}");
    assert!(found.nothing_common.is_some());
}

#[test]
fn a_policy_against_itself_is_told_to_be() {
    let json = json!({"@id": "urn:1", "permission": [{"action": "use"}], "prohibition": [{"action": "use"}]});
    let both = alone(&json);
    assert!(!both.satisfiable && both.contradictory);
    let codes: Vec<&str> = both.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, ["CST-05", "POL-02"]);
    // Not in force yet, and it never will be.
    let time = |operator, year| json!({"leftOperand": "dateTime", "operator": operator, "rightOperand": format!("{year}-01-01T00:00:00Z")});
    let never =
        json!({"@id": "urn:1", "permission": [{"action": "use", "constraint": [time("gt", 2030), time("lt", 2029)]}]});
    let never = alone(&never);
    assert!(!never.satisfiable && never.contradictory);
    let told = never.told(Language::English);
    let places = "/permission/0/constraint/0, /permission/0/constraint/1";
    assert_eq!(
        told,
        format!("CST-05 at /permission/0/constraint/0: impossible together: {places}")
    );
    let later = json!({"@id": "urn:1", "permission": [{"action": "use", "constraint": [time("gt", 2030)]}]});
    let later = alone(&later);
    assert!(later.satisfiable && !later.contradictory);
}

fn alone(json: &Value) -> Alone {
    Alone::of(json, &policy::Policy::parse(json).unwrap(), now())
}

#[test]
fn where_a_policy_is_not_understood_nothing_is_called_compatible() {
    let known = purposes(&["a"]);
    let unknown = offer(&json!({"leftOperand": "weather", "operator": "eq", "rightOperand": "sunny"}));
    for (first, second, which) in [
        (&known, &unknown, "second"),
        (&unknown, &known, "first"),
        (&unknown, &unknown, "first"),
    ] {
        let found = compare((&first.0, &first.1), (&second.0, &second.1), now());
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(json["firstWithinSecond"], false);
        assert_eq!(json["secondWithinFirst"], false);
        assert_eq!(json["common"], Value::Null);
        assert!(json.get("inDetail").is_none(), "{json}");
        let place = format!("/permission/0/constraint/0/leftOperand of the {which} policy: POL-04: ");
        assert!(json["notUnderstood"].as_str().unwrap().contains(&place), "{json}");
        let told = found.told(Language::English);
        assert!(
            told.contains("Unknown: a policy is not understood, at /permission/0/"),
            "{told}"
        );
        assert!(
            !told.contains("Compatible")
                && !told.contains("within second     yes")
                && !told.contains("permit, for instance"),
            "{told}"
        );
        let french = found.told(Language::French);
        assert!(
            french.contains("une politique n’est pas comprise ; voir ") && !french.contains("Compatibles"),
            "{french}"
        );
    }
    assert!(
        serde_json::to_value(compare((&known.0, &known.1), (&known.0, &known.1), now()))
            .unwrap()
            .get("notUnderstood")
            .is_none()
    );
}

#[test]
fn places_are_told_of_the_first_and_the_second_policy() {
    let (narrow, wide) = (purposes(&["a"]), purposes(&["a", "b"]));
    let (one, other) = (
        compare((&narrow.0, &narrow.1), (&wide.0, &wide.1), now()),
        compare((&wide.0, &wide.1), (&narrow.0, &narrow.1), now()),
    );
    let (beyond, mirrored) = (one.second_beyond.unwrap(), other.first_beyond.unwrap());
    let required = "at /permission/0/constraint/0 of the first policy: \"purpose isAnyOf a\" is required here";
    assert!(beyond.english.starts_with(required), "{}", beyond.english);
    assert!(
        beyond.english.ends_with("(asked for: the second; offered: the first)"),
        "{}",
        beyond.english
    );
    let required = "at /permission/0/constraint/0 of the second policy: \"purpose isAnyOf a\" is required here";
    assert!(mirrored.english.starts_with(required), "{}", mirrored.english);
    assert!(
        mirrored
            .english
            .ends_with("(asked for: the first; offered: the second)"),
        "{}",
        mirrored.english
    );
}

/// An offer for this participant alone, or for anybody.
fn offer_to(names: &[&str], assignee: Option<&str>) -> (Value, policy::Policy) {
    let (mut json, _) = purposes(names);
    if let Some(assignee) = assignee {
        json["assignee"] = assignee.into();
    }
    let read = policy::Policy::parse(&json).unwrap();
    (json, read)
}

#[test]
fn whom_an_offer_is_for_counts() {
    let to = |assignee| offer_to(&["a"], assignee);
    let (one, other, anybody) = (to(Some("did:web:one")), to(Some("did:web:other")), to(None));
    let between = |first: &(Value, policy::Policy), second: &(Value, policy::Policy)| {
        let found = compare((&first.0, &first.1), (&second.0, &second.1), now());
        let told = (found.same, found.first_within_second, found.second_within_first);
        (told, found.common.map(|common| common["assignee"].clone()))
    };
    assert_eq!(between(&one, &one), ((true, true, true), Some(json!("did:web:one"))));
    assert_eq!(between(&one, &other), ((false, false, false), None));
    assert_eq!(
        between(&anybody, &one),
        ((false, false, true), Some(json!("did:web:one")))
    );
    assert_eq!(
        between(&one, &anybody),
        ((false, true, false), Some(json!("did:web:one")))
    );
    assert_eq!(between(&anybody, &anybody), ((true, true, true), Some(Value::Null)));
    let found = compare((&anybody.0, &anybody.1), (&one.0, &one.1), now());
    let why = "at the top of the second policy: it is for did:web:one alone, and the other for anybody";
    for fault in [found.difference, found.first_beyond] {
        assert_eq!(fault.unwrap().english, why);
    }
    let found = compare((&one.0, &one.1), (&other.0, &other.1), now());
    let told = found.told(Language::French);
    assert!(
        told.contains("toutes deux permettent  rien : voir le début de la première politique"),
        "{told}"
    );
}

#[test]
fn an_offer_of_numbers_or_anonymous_rows_alone_can_be_used() {
    let time = json!({"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2020-01-01T00:00:00Z"});
    for action in ["aggregate", "anonymize"] {
        let offering =
            |constraints: Value| json!({"@id": "urn:1", "permission": [{"action": action, "constraint": constraints}]});
        let open = alone(&offering(json!([])));
        assert!(open.satisfiable && open.reasons.is_empty(), "{action}");
        let codes: Vec<Code> = alone(&offering(json!([time])))
            .reasons
            .iter()
            .map(|one| one.code)
            .collect();
        assert_eq!(codes, [Code::OutsideTime], "{action}");
    }
    let neither = alone(&json!({"@id": "urn:1", "permission": [{"action": "distribute"}]}));
    assert_eq!(neither.reasons[0].code, Code::NoPermission);
}

#[test]
fn answers_stand_in_one_column_in_both_languages() {
    let (one, other) = (purposes(&["a"]), purposes(&["b"]));
    let found = compare((&one.0, &one.1), (&other.0, &other.1), now());
    for language in Language::ALL {
        let told = found.told(language);
        let answers: Vec<&str> = told.lines().take_while(|line| !line.is_empty()).collect();
        assert_eq!(answers.len(), 6, "{told}");
        for line in answers {
            let (title, answer): (String, String) =
                (line.chars().take(TITLE).collect(), line.chars().skip(TITLE).collect());
            assert!(
                title.ends_with(' ') && !answer.starts_with(' ') && !answer.is_empty(),
                "{told}"
            );
        }
    }
}

#[test]
fn an_explanation_warns_of_a_rule_that_can_never_apply() {
    let warned = |json: &Value| -> Vec<String> {
        let mut told = policy::explain(&policy::Policy::parse(json).unwrap(), Language::English);
        warn_of_dead_rules(&mut told, json, Language::English);
        let never = told
            .warnings
            .iter()
            .filter(|warning| warning.code == LintCode::NeverApplies);
        never.map(|warning| warning.pointer.clone()).collect()
    };
    let prohibiting =
        |action: &str| json!({"@id": "urn:1", "permission": [{"action": "use"}], "prohibition": [{"action": action}]});
    assert_eq!(warned(&prohibiting("use")), ["/permission/0"]);
    assert_eq!(warned(&prohibiting("distribute")), Vec::<String>::new());
}

#[test]
fn an_explanation_warns_of_what_is_over() {
    let until = |end: &str| json!({"leftOperand": "dateTime", "operator": "lteq", "rightOperand": end});
    for (end, warned) in [("2025-12-31T23:59:59Z", true), ("2026-01-01T00:00:00Z", false)] {
        let (_, policy) = offer(&until(end));
        let mut told = policy::explain(&policy, Language::English);
        warn_of_what_is_over(&mut told, &policy, now(), Language::English);
        let over = "LNT-12 a permission whose time is over: it permits nothing any more \
                    (/permission/0/constraint/0, /permission/0)";
        let text = text(&told, Language::English);
        assert_eq!(text.contains(over), warned, "{text}");
    }
}

#[test]
fn a_rule_that_could_be_left_out_is_told_beside_the_one_that_covers_it() {
    let json = json!({"@id": "urn:1", "permission": [{"action": "use"}, {"action": "read"}]});
    let alone = alone(&json);
    assert_eq!(
        alone.told(Language::English),
        "somebody could use data under it; /permission/1 adds nothing to /permission/0"
    );
}

#[test]
fn a_comparison_is_told_in_french_as_well() {
    let (narrow, wide, other) = (purposes(&["a"]), purposes(&["a", "b"]), purposes(&["c"]));
    let told = |one: &(Value, policy::Policy), two: &(Value, policy::Policy)| {
        compare((&one.0, &one.1), (&two.0, &two.1), now()).told(Language::French)
    };
    let found = told(&narrow, &wide);
    assert!(found.contains("1re dans la 2de         oui\n"), "{found}");
    assert!(
        found.contains("2de dans la 1re         non : voir /permission/0"),
        "{found}"
    );
    assert!(
        found.contains("Compatibles. Toutes deux permettent, par exemple : "),
        "{found}"
    );
    assert!(
        found.contains("tout ce qu’elle permet, l’autre le permet aussi"),
        "{found}"
    );
    assert!(told(&narrow, &other).contains("toutes deux permettent  rien : voir "));
}

/// What a documented command prints.
fn printed(folder: &Path, arguments: &[&str]) -> String {
    let read = |name: &str| -> (Value, policy::Policy) {
        let json = serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap();
        let read = policy::Policy::parse(&json).unwrap();
        (json, read)
    };
    match arguments {
        ["explain", file, "--lang", tag] => {
            let language = Language::read(tag).unwrap();
            let told = policy::explain(&read(file).1, language);
            assert!(told.understood);
            text(&told, language)
        }
        ["compare", first, second, "--lang", tag] => {
            let (first, second) = (read(first), read(second));
            let found = compare((&first.0, &first.1), (&second.0, &second.1), now());
            found.told(Language::read(tag).unwrap())
        }
        other => panic!("{other:?} is not documented"),
    }
}

/// With `EXAMPLES=write` in the environment, the test writes what the commands print into the document.
#[test]
fn the_documented_examples_show_what_the_commands_print() {
    const COMMAND: &str = "$ connector policy ";
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/policies");
    let path = folder.join("README.md");
    let documented = fs::read_to_string(&path).unwrap();
    let (mut written, mut commands, mut inside) = (String::new(), 0, false);
    for line in documented.lines() {
        inside &= line != "```";
        if inside {
            continue;
        }
        written.push_str(line);
        written.push('\n');
        if let Some(command) = line.strip_prefix(COMMAND) {
            let arguments: Vec<&str> = command.split(' ').collect();
            written.push_str(printed(&folder, &arguments).trim_end());
            written.push('\n');
            (commands, inside) = (commands + 1, true);
        }
    }
    assert_eq!(commands, 4);
    if std::env::var("EXAMPLES").is_ok_and(|wish| wish == "write") {
        fs::write(&path, &written).unwrap();
        return;
    }
    assert!(
        documented == written,
        "examples/policies/README.md is stale; run this test with EXAMPLES=write"
    );
}
