use super::*;
use crate::testing::{agreement, agreement_json, constraint};
use serde_json::{Value, json};

fn texts(parts: &[Part]) -> Vec<&str> {
    parts.iter().map(|part| part.text.as_str()).collect()
}

#[test]
fn a_policy_is_told_in_both_languages_with_how_far_each_part_is_kept() {
    let policy = agreement(json!({
        "permission": [{"action": "use", "constraint": [
            constraint("purpose", "isAnyOf", json!(["orientation"])),
            constraint("elapsedTime", "eq", json!("P3M")),
            {"or": [constraint("spatial", "isPartOf", json!("EU")), constraint("consent", "eq", json!("given"))]},
        ], "duty": [{"action": "delete", "consequence": [{"action": "compensate"}]}]}],
        "prohibition": [{"action": "sell", "remedy": [{"action": "delete"}]}],
        "obligation": [{"action": "dases:log"}, {"action": "inform", "odrl:informedParty": "did:web:ministry.example"}],
    }));
    let english = explain(&policy, Language::English);
    assert!(english.understood && english.refusals.is_empty());
    let permission = &english.permissions[0];
    assert_eq!(
        (permission.text.as_str(), permission.standing),
        ("Permits: use the data", Standing::NeedsConsumer)
    );
    assert_eq!(
        texts(&permission.parts),
        [
            "if purpose is one of: orientation",
            "if time since the agreement is at most P3M",
            "if at least one of these holds:",
            "Obliges to: delete the data"
        ]
    );
    let standings: Vec<Standing> = permission.parts.iter().map(|part| part.standing).collect();
    assert_eq!(
        standings,
        [
            Standing::DeclaredOnly,
            Standing::Enforced,
            Standing::Attested,
            Standing::NeedsConsumer
        ]
    );
    assert_eq!(
        texts(&permission.parts[3].parts),
        ["After a failure, obliges as well to: pay"]
    );
    assert_eq!(english.prohibitions[0].standing, Standing::NeedsConsumer);
    assert_eq!(english.obligations[0].standing, Standing::Enforced);
    assert_eq!(
        texts(&english.obligations[1..]),
        ["Obliges to: inform did:web:ministry.example"]
    );
    assert_eq!(english.obligations[1].standing, Standing::Enforced);
    let french = explain(&policy, Language::French);
    assert_eq!(french.permissions[0].text, "Permet : utiliser les données");
    assert_eq!(
        texts(&french.permissions[0].parts[2].parts)[1],
        "si consentement de la personne : oui"
    );
    let names: Vec<u8> = french.classes.iter().map(|class| class.number.number()).collect();
    assert_eq!(names, [1, 5, 6, 10, 12, 15, 16, 23]);
}

#[test]
fn conditions_of_what_the_consumer_has_to_do_or_leave_undone_are_kept_by_nobody_here() {
    let until = || constraint("dateTime", "lt", json!("2030-01-01T00:00:00Z"));
    let soon = || constraint("elapsedTime", "lteq", json!("P30D"));
    let either = || json!({"or": [until(), soon()]});
    let told = |members: Value| explain(&agreement(members), Language::English);
    let theirs = told(json!({
        "permission": [
            {"action": "use", "duty": [{"action": "delete", "constraint": [soon()]}]},
            {"action": "distribute", "constraint": [until()]},
        ],
        "prohibition": [{"action": "distribute", "constraint": [either()], "remedy": [{"action": "inform", "constraint": [soon()]}]}],
        "obligation": [{"action": "delete", "constraint": [soon()], "consequence": [{"action": "inform", "constraint": [until()]}]}],
    }));
    let mut conditions = Vec::new();
    let mut look: Vec<&Part> = theirs
        .permissions
        .iter()
        .chain(&theirs.prohibitions)
        .chain(&theirs.obligations)
        .collect();
    while let Some(part) = look.pop() {
        if part.text.starts_with("if ") {
            conditions.push((part.pointer.as_str(), part.standing));
        }
        look.extend(&part.parts);
    }
    assert_eq!(conditions.len(), 8, "{conditions:?}");
    for (pointer, standing) in conditions {
        assert_eq!(standing, Standing::NeedsConsumer, "{pointer}");
    }
    assert!(
        theirs
            .classes
            .iter()
            .all(|class| !matches!(class.number, Class::Interval | Class::Duration)),
        "{:?}",
        theirs.classes
    );
    let ours = told(json!({
        "permission": [{"action": "use"}],
        "prohibition": [{"action": "use", "constraint": [either()]}],
    }));
    let rule = &ours.prohibitions[0];
    assert_eq!(
        (rule.standing, rule.parts[0].standing),
        (Standing::Enforced, Standing::Enforced)
    );
    let classes: Vec<Class> = ours.classes.iter().map(|class| class.number).collect();
    assert_eq!(classes, [Class::Consumer, Class::Interval, Class::Duration]);
}

#[test]
fn conditions_of_a_duty_that_is_kept_here_limit_no_use() {
    let soon = || constraint("elapsedTime", "lteq", json!("P30D"));
    let attested = || constraint("spatial", "eq", json!("FR"));
    let told = explain(
        &agreement(json!({
            "permission": [{"action": "use", "duty": [{"action": "inform", "constraint": [soon(), attested()]}]}],
            "obligation": [{"action": "dases:log", "constraint": [{"or": [soon(), attested()]}]}],
        })),
        Language::English,
    );
    let standings = |part: &Part| part.parts.iter().map(|one| one.standing).collect::<Vec<_>>();
    let inform = &told.permissions[0].parts[0];
    assert_eq!(inform.standing, Standing::Attested, "told only where it is attested");
    assert_eq!(standings(inform), [Standing::Enforced, Standing::Attested]);
    let log = &told.obligations[0];
    assert_eq!(log.standing, Standing::Enforced, "entered in any case");
    assert_eq!(standings(&log.parts[0]), [Standing::Enforced, Standing::Enforced]);
    let classes: Vec<Class> = told.classes.iter().map(|class| class.number).collect();
    assert_eq!(classes, [Class::Consumer, Class::Log, Class::Inform]);
}

#[test]
fn duties_of_what_only_the_consumer_does_are_for_the_consumer_to_keep() {
    let duties = || json!([{"action": "dases:log"}, {"action": "inform", "informedParty": "did:web:ministry.example"}]);
    let told = |action: &str| {
        let permission = json!({"action": action, "duty": duties()});
        explain(
            &agreement(json!({"permission": [{"action": "use"}, permission]})),
            Language::English,
        )
    };
    for (action, standing) in [
        ("distribute", Standing::NeedsConsumer),
        ("read", Standing::NeedsConsumer),
        ("use", Standing::Enforced),
        ("aggregate", Standing::Enforced),
    ] {
        let told = told(action);
        for duty in &told.permissions[1].parts {
            assert_eq!(duty.standing, standing, "{action} {}", duty.text);
        }
        let of = |number| told.classes.iter().find(|class| class.number == number).unwrap();
        for class in [Class::Log, Class::Inform] {
            assert_eq!(of(class).standing, standing, "{action} {class:?}");
        }
    }
}

#[test]
fn a_price_that_only_a_duty_speaks_of_is_for_the_consumer_to_pay() {
    let sale = |members: Value| {
        let told = explain(&agreement(members), Language::English);
        told.classes
            .iter()
            .find(|class| class.number == Class::Sale)
            .map(|class| class.standing)
    };
    let price = json!({"leftOperand": "payAmount", "operator": "gteq", "rightOperand": "5.00", "unit": "EUR"});
    let pay = json!([{"action": "compensate"}]);
    let promised = json!({"permission": [{"action": "use"}], "obligation": pay});
    assert_eq!(sale(promised), Some(Standing::NeedsConsumer));
    let asked = json!({"permission": [{"action": "use", "constraint": [price]}], "obligation": pay});
    assert_eq!(sale(asked), Some(Standing::Attested));
}

#[test]
fn nothing_of_a_policy_that_is_not_understood_is_said_to_be_enforced() {
    let policy = agreement(json!({
        "profile": "https://other.example/profile",
        "permission": [{"action": "use", "constraint": [constraint("purpose", "eq", json!("orientation"))], "duty": [{"action": "delete"}]}],
        "prohibition": [{"action": "sell"}],
        "obligation": [{"action": "dases:log"}],
    }));
    let told = explain(&policy, Language::English);
    assert!(!told.understood && told.refusals[0].pointer.starts_with("/profile"));
    for rule in [&told.permissions[0], &told.prohibitions[0], &told.obligations[0]] {
        assert!(
            rule.code.is_none() && rule.standing == Standing::Refused,
            "{}",
            rule.pointer
        );
        assert!(
            rule.parts.iter().all(|part| part.standing == Standing::Refused),
            "{}",
            rule.pointer
        );
    }
}

#[test]
fn when_it_was_agreed_and_by_which_profiles_is_told() {
    let profile = crate::vocabulary::PROFILES[0];
    let policy = agreement(json!({
        "timestamp": "2026-01-01T00:00:00Z", "profile": profile,
        "permission": [{"action": "use", "constraint": [constraint("elapsedTime", "lteq", json!("P3M"))]}],
    }));
    let about = explain(&policy, Language::English).about;
    assert_eq!(
        about[3..],
        [
            "Agreed at 2026-01-01T00:00:00Z".to_owned(),
            format!("By the profile {profile}")
        ]
    );
    let about = explain(&policy, Language::French).about;
    assert_eq!(
        about[3..],
        [
            "Conclu le 2026-01-01T00:00:00Z".to_owned(),
            format!("Selon le profil {profile}")
        ]
    );
}

#[test]
fn what_is_refused_names_its_cause_in_both_languages() {
    let cause = |language, condition: Value| {
        let told = explain(
            &agreement(json!({"permission": [{"action": "use", "constraint": [condition]}]})),
            language,
        );
        told.refusals[0].reason().told(language)
    };
    let several = || constraint("purpose", "eq", json!(["dases:orientation", "dpv:Marketing"]));
    let unknown = || constraint("virtualLocation", "eq", json!("x"));
    let english = [several(), unknown()].map(|one| cause(Language::English, one));
    assert!(
        english[0].contains(": purpose eq takes exactly one value; "),
        "{english:?}"
    );
    assert!(
        english[1].contains(": the left operand \"virtualLocation\" is not"),
        "{english:?}"
    );
    let french = [several(), unknown()].map(|one| cause(Language::French, one));
    assert!(
        french[0].contains("une seule est attendue\u{a0}: purpose eq prend une seule valeur ; "),
        "{french:?}"
    );
    assert!(
        french[1].contains("\u{a0}: le critère \"virtualLocation\" n’est pas"),
        "{french:?}"
    );
}

#[test]
fn what_is_refused_is_named_in_its_place() {
    let policy = agreement(json!({
        "permission": [{"action": "use", "constraint": [{"and": [constraint("virtualLocation", "eq", json!("x"))]}]}],
        "prohibition": [{"action": "frobnicate"}],
    }));
    let told = explain(&policy, Language::English);
    assert!(!told.understood && told.classes.is_empty());
    let permission = &told.permissions[0];
    assert_eq!((permission.standing, permission.code), (Standing::Refused, None));
    let inner = &permission.parts[0].parts[0];
    assert_eq!(
        (inner.standing, inner.code),
        (Standing::Refused, Some(Code::NotUnderstood))
    );
    assert_eq!(told.prohibitions[0].code, Some(Code::NotUnderstood));
    assert_eq!(told.refusals.len(), 2);
    assert_eq!(told.refusals[0].fix, Fix::Provider);
    let json = serde_json::to_value(&told).unwrap();
    assert_eq!(json["refusals"][0]["code"], "POL-04");
}

#[test]
fn every_constraint_that_can_be_read_has_words_in_both_languages() {
    use crate::vocabulary::{LeftOperand, Operator};
    for left in LeftOperand::ALL {
        let written = match left {
            LeftOperand::Membership => "membership.role",
            LeftOperand::Credential => "credential.Diploma.level",
            other => other.name(),
        };
        for operator in Operator::ALL {
            let members: Value = json!({"permission": [{"action": "use", "constraint": [constraint(written, operator.name(), json!("value\u{1b}"))]}]});
            let policy = crate::Policy::parse(&agreement_json(members)).unwrap();
            let text = |language| explain(&policy, language).permissions[0].parts[0].text.clone();
            let (french, english) = (text(Language::French), text(Language::English));
            assert!(
                french.starts_with("si ") && english.starts_with("if ") && !english.contains('\u{1b}'),
                "{english}"
            );
        }
    }
}
