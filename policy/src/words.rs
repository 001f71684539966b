//! Terms of policies in French and English, wherever people read them: one table for all. What has no words here is shown by its own name or as
//! it stands, never left out. Decides nothing.

use crate::{
    meaning::Test,
    model::{Atomic, Connective, Duty, Term},
    reason::{Language, quoted},
    vocabulary::{Action, Category, LeftOperand, Operator, ValueType, canonical_name},
};

/// What the usual actions are called; the others keep their ODRL name.
const ACTIONS: &[(Action, &str, &str)] = &[
    (Action::Use, "utiliser les données", "use the data"),
    (Action::Transfer, "céder les données", "transfer ownership of the data"),
    (
        Action::Aggregate,
        "recevoir des chiffres sur des groupes de personnes, au lieu d’enregistrements",
        "receive numbers about groups of learners, instead of records",
    ),
    (Action::Anonymize, "les anonymiser", "anonymize them"),
    (Action::Archive, "les archiver", "archive them"),
    (Action::Attribute, "citer la source", "name the source"),
    (
        Action::Commercialize,
        "en faire un usage commercial",
        "use them commercially",
    ),
    (Action::Compensate, "payer", "pay"),
    (Action::Delete, "effacer les données", "delete the data"),
    (Action::Derive, "en dériver d’autres", "derive others from them"),
    (Action::Display, "les afficher", "display them"),
    (Action::Distribute, "les diffuser", "distribute them"),
    (Action::Give, "les donner", "give them away"),
    (
        Action::GrantUse,
        "en accorder l’usage à d’autres",
        "grant others their use",
    ),
    (Action::Index, "les indexer", "index them"),
    (Action::Inform, "informer", "inform"),
    (Action::Log, "journaliser l’usage", "log the use"),
    (Action::Modify, "les modifier", "modify them"),
    (
        Action::NextPolicy,
        "transmettre la politique avec les données",
        "pass the policy on with the data",
    ),
    (Action::ObtainConsent, "obtenir un consentement", "obtain consent"),
    (Action::Read, "les lire", "read them"),
    (Action::Reproduce, "les copier", "copy them"),
    (Action::Sell, "les vendre", "sell them"),
    (Action::Share, "les partager", "share them"),
    (Action::Stream, "les recevoir en flux", "receive them as a stream"),
    (Action::Translate, "les traduire", "translate them"),
];

/// What the data categories are called.
const CATEGORIES: &[(Category, &str, &str)] = &[
    (Category::Identity, "identité", "identity"),
    (Category::Results, "résultats", "results"),
    (Category::Skills, "compétences", "skills"),
    (
        Category::Certificates,
        "diplômes et certificats",
        "diplomas and certificates",
    ),
    (Category::ActivityTraces, "traces d’activité", "activity traces"),
    (Category::Experience, "expérience", "experience"),
    (Category::Provenance, "provenance", "provenance"),
    (Category::SpecialNeeds, "besoins particuliers", "special needs"),
];

/// What may, must or must not be done.
pub fn action(action: &Term<Action>, language: Language) -> String {
    let known = action.known();
    match (ACTIONS.iter().find(|(named, ..)| Some(*named) == known), action) {
        (Some((_, french, english)), _) => language.say(french, english).to_owned(),
        (None, Term::Known(known)) => known.to_string(),
        (None, Term::Unknown(text)) => quoted(text),
    }
}

pub(crate) fn permits(what: &Term<Action>, language: Language) -> String {
    format!("{}{}", language.say("Permet : ", "Permits: "), action(what, language))
}

pub(crate) fn prohibits(what: &Term<Action>, language: Language) -> String {
    format!(
        "{}{}",
        language.say("Interdit : ", "Prohibits: "),
        action(what, language)
    )
}

/// What a duty is to do, and to whom.
pub fn duty(duty: &Duty, language: Language) -> String {
    let what = action(&duty.action, language);
    match &duty.informed {
        Some(party) => format!("{what} {}", shown(party)),
        None => what,
    }
}

pub(crate) fn obliges(what: &Duty, language: Language) -> String {
    format!(
        "{}{}",
        language.say("Oblige à : ", "Obliges to: "),
        duty(what, language)
    )
}

/// A consequence or a remedy: what must be done as well once something was not done, or was done against a prohibition.
pub fn mends(what: &Duty, language: Language) -> String {
    let begin = language.say(
        "En cas de manquement, oblige aussi à : ",
        "After a failure, obliges as well to: ",
    );
    format!("{begin}{}", duty(what, language))
}

/// How the conditions that follow combine.
pub const fn connective(connective: Connective, language: Language) -> &'static str {
    match connective {
        Connective::And => language.say("si toutes ces conditions sont remplies :", "if all of these hold:"),
        Connective::Or => language.say(
            "si au moins une de ces conditions est remplie :",
            "if at least one of these holds:",
        ),
        Connective::Xone => language.say(
            "si exactement une de ces conditions est remplie :",
            "if exactly one of these holds:",
        ),
        Connective::AndSequence => language.say(
            "si toutes ces conditions sont remplies (leur ordre n’est pas vérifié) :",
            "if all of these hold (their order is not checked):",
        ),
    }
}

/// A comparison that is understood, such as "si finalité est l’un de : orientation"; one that is not is to be shown as it stands.
pub fn comparison(atomic: &Atomic, language: Language) -> Option<String> {
    atomic.test.is_ok().then(|| written(atomic, language))
}

/// The same of any comparison, as far as there are words.
pub(crate) fn written(atomic: &Atomic, language: Language) -> String {
    let begin = language.say("si ", "if ");
    let Some(left) = atomic.left.known() else {
        return format!("{begin}{}", quoted(&atomic.to_string()));
    };
    let name = language.say(left.operand().french, left.operand().english);
    if let Ok(Test::Consent { given } | Test::Flag { set: given, .. }) = &atomic.test {
        let yes = if *given {
            language.say("oui", "yes")
        } else {
            language.say("non", "no")
        };
        return format!("{begin}{name}{}{yes}", language.say(" : ", ": "));
    }
    let name = match &atomic.claim {
        Some(claim) => format!("{name} ({claim})"),
        None => name.to_owned(),
    };
    let values: Vec<String> = atomic
        .right
        .iter()
        .map(|value| called(left, &value.text, language))
        .collect();
    let unit = atomic
        .unit
        .as_deref()
        .map(|unit| format!(" {unit}"))
        .unwrap_or_default();
    let Some(operator) = atomic.operator.known() else {
        return format!("{begin}{}", quoted(&atomic.to_string()));
    };
    let how = relation(left, operator, language);
    format!("{begin}{name} {how} {}{unit}", shown(&values.join(", ")))
}

/// What a value is called.
fn called(left: LeftOperand, value: &str, language: Language) -> String {
    let category = Category::read(value).filter(|_| left == LeftOperand::DataCategory);
    match CATEGORIES.iter().find(|(named, ..)| Some(*named) == category) {
        Some((_, french, english)) => language.say(french, english).to_owned(),
        None => canonical_name(value),
    }
}

/// Values of a peer: control characters are not shown.
fn shown(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

const fn relation(left: LeftOperand, operator: Operator, language: Language) -> &'static str {
    let clock = matches!(left.operand().values, ValueType::Instant);
    let event = matches!(left, LeftOperand::Event);
    let waits = matches!(left, LeftOperand::DelayPeriod | LeftOperand::TimeInterval);
    let length = matches!(left.operand().values, ValueType::Duration | ValueType::Stretch);
    match operator {
        Operator::Eq if waits => language.say("est au moins", "is at least"),
        Operator::Eq if length => language.say("est au plus", "is at most"),
        Operator::Neq if waits => language.say("est moins de", "is less than"),
        Operator::Neq if length => language.say("est plus de", "is more than"),
        Operator::Eq if event => language.say("en cours :", "going on:"),
        Operator::Neq if event => language.say("pas en cours :", "not going on:"),
        Operator::Lt if clock || event => language.say("avant", "before"),
        Operator::Lteq if clock || event => language.say("jusqu’à (inclus)", "until (inclusive)"),
        Operator::Gt if clock || event => language.say("après", "after"),
        Operator::Gteq if clock || event => language.say("à partir de", "from"),
        Operator::Eq => language.say("est", "is"),
        Operator::Neq => language.say("n’est pas", "is not"),
        Operator::Lt => language.say("est moins de", "is less than"),
        Operator::Lteq => language.say("est au plus", "is at most"),
        Operator::Gt => language.say("est plus de", "is more than"),
        Operator::Gteq => language.say("est au moins", "is at least"),
        Operator::IsAnyOf => language.say("est l’un de :", "is one of:"),
        Operator::IsNoneOf => language.say("n’est aucun de :", "is none of:"),
        Operator::IsAllOf => language.say("comprend tous :", "includes all of:"),
        Operator::HasPart => language.say("contient :", "contains:"),
        Operator::IsA => language.say("est, ou relève de :", "is, or is a kind of:"),
        Operator::IsPartOf => language.say("est, ou fait partie de :", "is, or is part of:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{agreement, constraint};
    use serde_json::{Value, json};

    fn said(condition: &Value, language: Language) -> Option<String> {
        let policy = agreement(json!({"permission": [{"action": "use", "constraint": [condition]}]}));
        match &policy.permissions[0].constraints[0] {
            crate::Constraint::Atomic(atomic) => comparison(atomic, language),
            crate::Constraint::Logical { .. } => None,
        }
    }

    #[test]
    fn every_action_and_category_that_has_words_has_them_in_both_languages() {
        assert_eq!(CATEGORIES.len(), Category::ALL.len());
        let named: Vec<Category> = CATEGORIES.iter().map(|(category, ..)| *category).collect();
        assert!(Category::ALL.iter().all(|category| named.contains(category)));
        for (_, french, english) in ACTIONS {
            assert!(!french.is_empty() && !english.is_empty() && french != english);
        }
    }

    #[test]
    fn to_aggregate_is_to_receive_numbers_and_no_records() {
        let said = action(&Term::Known(Action::Aggregate), Language::English);
        assert!(
            said.contains("numbers about groups") && said.contains("instead of records"),
            "{said}"
        );
    }

    #[test]
    fn data_categories_are_called_what_people_call_them() {
        let skills = constraint("dases:dataCategory", "isAnyOf", json!(["skills", "results"]));
        let french = said(&skills, Language::French).unwrap();
        assert!(french.ends_with("compétences, résultats"), "{french}");
    }

    #[test]
    fn an_event_is_going_on_or_not_and_is_no_name_of_another() {
        for (operator, french, english) in [
            ("eq", "si événement en cours : urn:e", "if event going on: urn:e"),
            (
                "neq",
                "si événement pas en cours : urn:e",
                "if event not going on: urn:e",
            ),
        ] {
            let event = constraint("event", operator, json!("urn:e"));
            assert_eq!(said(&event, Language::French).as_deref(), Some(french));
            assert_eq!(said(&event, Language::English).as_deref(), Some(english));
        }
    }

    #[test]
    fn a_comparison_that_is_not_understood_has_no_words() {
        let withdrawn = constraint("dases:consent", "eq", json!("withdrawn"));
        assert_eq!(said(&withdrawn, Language::English), None);
        let unknown = constraint("https://example.org/weather", "eq", json!("sunny"));
        assert_eq!(said(&unknown, Language::English), None);
    }

    #[test]
    fn however_many_values_there_are_all_are_said() {
        let many: Vec<String> = (0..200).map(|number| format!("did:web:{number}.example")).collect();
        let text = said(&constraint("recipient", "isAnyOf", json!(many)), Language::English).unwrap();
        assert!(many.iter().all(|one| text.contains(one.as_str())));
    }
}
