//! Terms of policies in words. What has none here is shown by its own name or as it stands, never left out.

use super::{Language, Page};
use policy::{
    Action, Atomic, Connective, Term,
    vocabulary::{Category, LeftOperand, Operator, canonical_name},
};

/// What the usual actions are called; the others keep their ODRL name.
const ACTIONS: [(Action, &str, &str); 24] = [
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
    (Action::Delete, "les effacer", "delete them"),
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
    (Action::Inform, "informer le fournisseur", "inform the provider"),
    (Action::Modify, "les modifier", "modify them"),
    (Action::ObtainConsent, "obtenir un consentement", "obtain consent"),
    (Action::Read, "les lire", "read them"),
    (Action::Reproduce, "les copier", "copy them"),
    (Action::Sell, "les vendre", "sell them"),
    (Action::Share, "les partager", "share them"),
    (Action::Stream, "les recevoir en flux", "receive them as a stream"),
    (Action::Translate, "les traduire", "translate them"),
];

/// The data categories.
const CATEGORIES: [(Category, &str, &str); 8] = [
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

/// What may or may not be done.
pub(super) fn action(page: &mut Page, language: Language, action: &Term<Action>) {
    let known = action.known();
    match ACTIONS.iter().find(|(named, ..)| Some(*named) == known) {
        Some((_, french, english)) => page.raw(language.say(french, english)),
        None => page.code(&action.to_string()),
    };
}

/// How the conditions that follow combine.
pub(super) fn connective(language: Language, connective: Connective) -> &'static str {
    match connective {
        Connective::And => language.say("toutes ces conditions :", "all of these conditions:"),
        Connective::Or => language.say("au moins une de ces conditions :", "at least one of these conditions:"),
        Connective::Xone => language.say("exactement une de ces conditions :", "exactly one of these conditions:"),
        Connective::AndSequence => language.say("ces conditions, dans cet ordre :", "these conditions, in this order:"),
    }
}

/// One comparison in words; false, and nothing written, where there are none for it.
pub(super) fn comparison(page: &mut Page, language: Language, atomic: &Atomic) -> bool {
    let (Some(left), Some(operator)) = (atomic.left().known(), atomic.operator().known()) else {
        return false;
    };
    let Some(begin) = beginning(language, left, operator) else {
        return false;
    };
    if left == LeftOperand::Consent {
        // The one state that can be asked for; another has no words.
        let given = atomic.right().len() == 1
            && atomic
                .right()
                .iter()
                .all(|value| canonical_name(&value.text) == "given");
        if given {
            page.raw(begin);
        }
        return given;
    }
    page.raw(begin);
    for (at, value) in atomic.right().iter().enumerate() {
        if at > 0 {
            page.raw(", ");
        }
        let category = Category::read(&value.text).filter(|_| left == LeftOperand::DataCategory);
        match CATEGORIES.iter().find(|(named, ..)| Some(*named) == category) {
            Some((_, french, english)) => page.raw(language.say(french, english)),
            None => page.raw("<q>").text(&value.text).raw("</q>"),
        };
    }
    true
}

/// What stands before the values of a comparison.
fn beginning(language: Language, left: LeftOperand, operator: Operator) -> Option<&'static str> {
    use LeftOperand::{Consent, DataCategory, DateTime, Purpose, Recipient};
    use Operator::{Eq, Gt, Gteq, IsAnyOf, IsNoneOf, Lt, Lteq, Neq};
    let (french, english) = match (left, operator) {
        (Purpose, Eq | IsAnyOf) => ("pour la finalité : ", "for the purpose: "),
        (Purpose, Neq | IsNoneOf) => ("pour toute finalité sauf : ", "for any purpose but: "),
        (DateTime, Lt) => ("avant le ", "before "),
        (DateTime, Lteq) => ("jusqu’au (inclus) ", "until (inclusive) "),
        (DateTime, Gt) => ("après le ", "after "),
        (DateTime, Gteq) => ("à partir du ", "from "),
        (Recipient, Eq | IsAnyOf) => ("pour le destinataire : ", "for the recipient: "),
        (Recipient, Neq | IsNoneOf) => ("pour tout destinataire sauf : ", "for any recipient but: "),
        (DataCategory, Eq | IsAnyOf) => ("pour les catégories de données : ", "for the data categories: "),
        (DataCategory, Neq | IsNoneOf) => ("pour toute catégorie de données sauf : ", "for any data category but: "),
        (Consent, Eq) => (
            "avec le consentement de la personne concernée",
            "with the consent of the learner",
        ),
        _ => return None,
    };
    Some(language.say(french, english))
}
