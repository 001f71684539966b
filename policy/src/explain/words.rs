//! Terms of policies in French and English. What has no words here is shown by its own name or as it stands, never left out.

use crate::{
    meaning::Test,
    model::{Atomic, Connective, Term},
    reason::{Language, quoted},
    vocabulary::{Action, LeftOperand, Operator, ValueType, canonical_name},
};

/// What the usual actions are called; the others keep their ODRL name.
const ACTIONS: &[(Action, &str, &str)] = &[
    (Action::Use, "utiliser les données", "use the data"),
    (Action::Transfer, "céder les données", "transfer ownership of the data"),
    (
        Action::Aggregate,
        "les agréger avec d’autres",
        "aggregate them with others",
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

fn action(action: &Term<Action>, language: Language) -> String {
    let known = action.known();
    match (ACTIONS.iter().find(|(named, ..)| Some(*named) == known), action) {
        (Some((_, french, english)), _) => language.say(french, english).to_owned(),
        (None, Term::Known(known)) => known.to_string(),
        (None, Term::Unknown(text)) => quoted(text),
    }
}

pub(super) fn permits(what: &Term<Action>, language: Language) -> String {
    format!("{}{}", language.say("Permet : ", "Permits: "), action(what, language))
}

pub(super) fn prohibits(what: &Term<Action>, language: Language) -> String {
    format!(
        "{}{}",
        language.say("Interdit : ", "Prohibits: "),
        action(what, language)
    )
}

pub(super) fn obliges(what: &Term<Action>, language: Language) -> String {
    format!(
        "{}{}",
        language.say("Oblige à : ", "Obliges to: "),
        action(what, language)
    )
}

/// A consequence or a remedy.
pub(super) fn mends(what: &Term<Action>, language: Language) -> String {
    let begin = language.say(
        "En cas de manquement, oblige aussi à : ",
        "After a failure, obliges as well to: ",
    );
    format!("{begin}{}", action(what, language))
}

pub(super) const fn connective(connective: Connective, language: Language) -> &'static str {
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

/// A comparison, such as "si finalité est l’une de : orientation".
pub(super) fn comparison(atomic: &Atomic, language: Language) -> String {
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
    let values: Vec<String> = atomic.right.iter().map(|value| canonical_name(&value.text)).collect();
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

/// Values of a peer: control characters are not shown, and no more than fits.
fn shown(text: &str) -> String {
    const MOST: usize = 400;
    let clean = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    clean.take(MOST).collect()
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
