//! What people are told when something about a consent is refused, beside the English of the errors themselves: the same in French, and who can
//! mend it. One table for all errors of this room, by exhaustive matches: a new error does not compile without its French. Decides nothing.

mod steps;

use super::{ConsentError, GrantError, exchange::ExchangeError, links::LinkError};
use crate::store::StoreError;
use policy::{Fix, Language};
use steps::to;

/// What people are told of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Who can mend it.
    pub fix: Fix,
    /// What happened, in French; details that are particular to one place are in the English alone.
    pub french: String,
}

impl Said {
    fn new(fix: Fix, french: impl Into<String>) -> Self {
        Self {
            fix,
            french: french.into(),
        }
    }

    /// The same of an entry of a list.
    #[must_use]
    pub fn of_entry(self, entry: usize) -> Self {
        Self {
            french: format!("entrée {entry}\u{a0}: {}", self.french),
            ..self
        }
    }

    /// The whole sentence, of a refusal that is `english` in English.
    pub fn told(&self, english: &str, language: Language) -> String {
        let text = language.say(&self.french, english);
        format!("{text} ({})", self.fix.told(language))
    }
}

impl ConsentError {
    /// What people are told of it.
    pub fn said(&self) -> Said {
        Said::new(self.fix(), self.french())
    }

    fn fix(&self) -> Fix {
        match self {
            Self::Grant(error) => error.said().fix,
            Self::Illegal(error) => error.said().fix,
            Self::NoPower(error) => error.said().fix,
            Self::Import { cause, .. } => cause.fix(),
            Self::InForce | Self::AlreadyAsked(_) | Self::TooManyRequests(_) => Fix::Learner,
            Self::Lapsed(_) | Self::TooSoon(_) | Self::TooManySteps | Self::AlreadyGiven(_) => Fix::Consumer,
            Self::ObjectionInForce
            | Self::RefusalInForce
            | Self::BasisInForce(_)
            | Self::LiftUntold
            | Self::RestrictionInForce => Fix::Provider,
            Self::NothingToWithdraw
            | Self::UnknownLearner
            | Self::BasisEnded
            | Self::NoObjection
            | Self::AlreadyObjected
            | Self::AlreadyRestricted(_)
            | Self::AlreadyLifted(_) => Fix::Nobody,
            Self::Unknown
            | Self::NothingTowards(_)
            | Self::UnknownAgreement(_)
            | Self::Future(_)
            | Self::UnknownNotice(_)
            | Self::InvalidNotice(_)
            | Self::NoticeReplaced
            | Self::NoticeExists
            | Self::Standing(_)
            | Self::Basis(_)
            | Self::UnknownBasis
            | Self::Restriction(_)
            | Self::UnknownRestriction
            | Self::NotTheirRestriction(_)
            | Self::TooLarge
            | Self::Store(_)
            | Self::Signing(_) => Fix::Operator,
        }
    }

    fn french(&self) -> String {
        let text = match self {
            Self::Grant(error) => return error.said().french,
            Self::Illegal(error) => return error.said().french,
            Self::NoPower(error) => return error.said().french,
            Self::Import { entry, cause } => return cause.said().of_entry(*entry).french,
            Self::NothingToWithdraw => "aucun consentement de cette personne n’est en vigueur ni en cours de signature",
            Self::NothingTowards(recipient) => {
                return format!(
                    "aucun consentement de cette personne qui nomme {recipient} n’est en vigueur ni en cours de signature"
                );
            }
            Self::UnknownAgreement(id) => {
                return format!(
                    "aucun accord {id} par lequel un de ces destinataires reçoit de nous n’est connu ici\u{a0}; voyez la liste des accords"
                );
            }
            Self::InForce => "un consentement de cette personne est en vigueur\u{a0}; il faut d’abord le retirer",
            Self::ObjectionInForce => {
                "une opposition écarte une base légale en vigueur\u{a0}; mettez d’abord fin à cette base légale"
            }
            Self::RefusalInForce => {
                "un refus, ou un consentement qui a pris fin, écarte une base légale en vigueur\u{a0}; mettez d’abord fin à cette base légale"
            }
            Self::BasisInForce(id) => {
                return format!(
                    "des enregistrements ont pu partir sur une autre base légale en vigueur\u{a0}; mettez-y d’abord fin, pour que ses destinataires soient prévenus\u{a0}: {id}"
                );
            }
            Self::UnknownLearner => "rien n’est enregistré ici au sujet de cette personne, ou elle est déjà oubliée",
            Self::Unknown => "ce consentement n’existe pas",
            Self::Future(at) => return format!("l’événement est daté du {at}, dans le futur"),
            Self::Lapsed(since) => return format!("le délai de cette demande est écoulé depuis le {since}"),
            Self::UnknownNotice(hash) => {
                return format!("aucune notice d’information {hash} n’est enregistrée ici\u{a0}; ajoutez-la");
            }
            Self::NoticeReplaced => {
                "une notice d’information de sens différent remplace celle-ci\u{a0}; montrez la nouvelle à la personne, et faites demander ou donner le consentement sous la nouvelle"
            }
            Self::InvalidNotice(_) => "la notice d’information n’est pas utilisable",
            Self::NoticeExists => {
                "une notice d’information de même texte, ou de mêmes nom, version et langue, est déjà enregistrée"
            }
            Self::AlreadyAsked(id) => return format!("la même chose est déjà demandée\u{a0}: {id}"),
            Self::AlreadyGiven(id) => {
                return format!(
                    "la personne a déjà donné le même consentement\u{a0}: {id}\u{a0}; pour le demander plus longtemps, dites jusqu’à quand"
                );
            }
            Self::TooSoon(from) => {
                return format!(
                    "la personne a refusé ou retiré ce consentement\u{a0}; il peut être redemandé à partir du {from}"
                );
            }
            Self::TooManyRequests(count) => {
                return format!("{count} demandes attendent une réponse\u{a0}; c’est le maximum");
            }
            Self::TooManySteps => "ce consentement a été modifié trop de fois\u{a0}; il peut seulement prendre fin",
            Self::Standing(_) => "ce qui est dit de cette personne n’a pas de sens",
            Self::Basis(_) => "ce qui est déclaré comme base légale, ou l’opposition, n’a pas de sens",
            Self::UnknownBasis => "cette base légale n’existe pas",
            Self::BasisEnded => "cette base légale a déjà pris fin",
            Self::NoObjection => "un contrat avec la personne ne laisse pas de droit d’opposition (RGPD, art. 21)",
            Self::AlreadyObjected => "la personne s’y est déjà opposée",
            Self::Restriction(_) => "ce qui est dit de la limitation n’a pas de sens",
            Self::UnknownRestriction => "cette limitation n’existe pas",
            Self::AlreadyRestricted(id) => return format!("le traitement est déjà limité de cette manière : {id}"),
            Self::AlreadyLifted(at) => return format!("cette limitation est levée depuis le {at}"),
            Self::NotTheirRestriction(role) => {
                return format!(
                    "il ne revient pas {} de poser ou de lever cette limitation\u{a0}: l’ordre d’une autorité est levé par elle, la pause d’un détenteur par lui ou par une autorité, et ni l’enfant ni son représentant ne lève ce que l’autre a demandé",
                    to(*role)
                );
            }
            Self::LiftUntold => {
                "la personne a obtenu cette limitation et doit en apprendre la levée d’abord (RGPD, art. 18, §\u{a0}3)\u{a0}; indiquez où en est gardée la preuve (evidence)"
            }
            Self::RestrictionInForce => {
                "le traitement est limité et les données sont conservées (RGPD, art. 18, § 2) ; levez d’abord la limitation"
            }
            Self::TooLarge => "les listes sont trop longues pour un seul consentement",
            Self::Store(error) => stored(error),
            Self::Signing(_) => "la signature a échoué",
        };
        text.to_owned()
    }
}

impl GrantError {
    fn said(&self) -> Said {
        let french = match self {
            Self::Invalid(member, problem) => format!("{}\u{a0}: {}", named(member), wrong(problem)),
            Self::TooManyCategories => "ce connecteur connaît déjà 64 catégories de données différentes".to_owned(),
            Self::NoRandom => "aucun octet aléatoire n’est disponible".to_owned(),
        };
        Said::new(Fix::Operator, french)
    }
}

/// A member of a consent as it is written, without what English adds to its name.
fn named(member: &'static str) -> &'static str {
    match member {
        "a list" => "une liste",
        "the lists" => "les listes",
        name => name.split_once(" (").map_or(name, |(name, _)| name),
    }
}

/// What is wrong with a member; what is not here is in the English alone.
fn wrong(problem: &str) -> &'static str {
    match problem {
        "is missing" | "are missing" => "cette indication du consentement manque",
        "is too long" => "cette indication du consentement est trop longue",
        "has more than 64 members" => "64 éléments au plus",
        "are longer than 8 KiB together" => "8 Kio au plus, toutes ensemble",
        "is in the past" => "cette date est passée",
        "has a control character" => "un caractère de contrôle s’y trouve",
        "must be at least one day; leave it out for what the holder's privacy settings say" => {
            "un jour au moins\u{a0}; sans cette indication, les réglages du détenteur valent"
        }
        _ => "cette indication du consentement n’est pas valable",
    }
}

const fn stored(error: &StoreError) -> &'static str {
    match error {
        StoreError::Conflict { .. } => "l’état a changé entre-temps\u{a0}; réessayez",
        StoreError::TooLarge { .. } => "le contenu est trop grand pour être enregistré",
        StoreError::Failed(_) | StoreError::Closed => {
            "ce connecteur ne peut pas écrire sur son disque\u{a0}; rien n’a été changé"
        }
        StoreError::InUse(_) | StoreError::Corrupt(_) | StoreError::Numbered => {
            "ce connecteur est en panne\u{a0}; son opérateur en trouve la cause dans son journal"
        }
    }
}

impl LinkError {
    /// What people are told of it.
    pub fn said(&self) -> Said {
        match self {
            Self::Invalid(_) => Said::new(Fix::Operator, "une indication du lien n’est pas valable"),
            Self::NotFound => Said::new(Fix::Operator, "ce lien n’existe pas"),
            Self::NothingToConfirm => Said::new(
                Fix::Learner,
                "rien n’est à confirmer\u{a0}: le code n’a pas été apporté, ou le lien est déjà confirmé",
            ),
            Self::TimeOver => Said::new(
                Fix::Learner,
                "le délai pour confirmer est écoulé\u{a0}; recommencez avec un nouveau code",
            ),
            Self::Busy => Said::new(Fix::Operator, "une autre modification est en cours\u{a0}; réessayez"),
            Self::Store(error) => Said::new(Fix::Operator, stored(error)),
            Self::Random(_) => Said::new(Fix::Operator, "aucun octet aléatoire n’est disponible"),
        }
    }
}

impl ExchangeError {
    /// What people on this side are told of it; the other party is told the English.
    pub fn said(&self) -> Said {
        let (fix, french) = match self {
            Self::Consent(error) => return error.said(),
            Self::Invalid(_) => (Fix::Operator, "le message n’est pas compris"),
            Self::Unsigned => (
                Fix::Operator,
                "les messages sur les consentements sont signés\u{a0}; celui-ci ne l’est pas",
            ),
            Self::WrongParty(_) => (Fix::Nobody, "cela ne revient pas à cette partie"),
            Self::NoAgreement => (
                Fix::Consumer,
                "aucun accord entre ces deux parties ne peut être concerné",
            ),
            Self::UnknownNotice => (Fix::Nobody, "aucune fin de ce genre n’a été annoncée à l’expéditeur"),
            Self::Link => (Fix::Learner, "ce lien n’existe pas"),
            Self::TooOften => (Fix::Operator, "trop de demandes\u{a0}; réessayez plus tard"),
            Self::Notice => (
                Fix::Operator,
                "l’empreinte de la notice d’information n’est pas celle de son texte",
            ),
            Self::UnknownLearner => (
                Fix::Learner,
                "personne n’est connu sous ce pseudonyme\u{a0}; les identités doivent d’abord être liées",
            ),
            Self::LinkedOtherwise => (
                Fix::Learner,
                "ce lien a été commencé ici, pour que l’autre partie puisse nous solliciter\u{a0}; pour la solliciter, il faut un code créé chez elle (connector link create) et saisi ici (connector link redeem)",
            ),
            Self::NotCovered(what) => (Fix::Consumer, beyond(what)),
            Self::Stale(_) => (Fix::Nobody, "le message arrive trop tard"),
            Self::Replayed => (Fix::Nobody, "ce message a déjà été reçu"),
            Self::Reused => (Fix::Operator, "un autre message du même expéditeur porte le même @id"),
            Self::Busy => (Fix::Operator, "une autre modification est en cours\u{a0}; réessayez"),
            Self::Store(error) => (Fix::Operator, stored(error)),
        };
        Said::new(fix, french)
    }
}

/// What an agreement does not go as far as; what is not here is in the English alone.
fn beyond(what: &str) -> &'static str {
    match what {
        "dataset" => "l’accord ne couvre pas ce jeu de données",
        "purpose" => "l’accord ne couvre pas cette finalité",
        "data category" => "l’accord ne couvre pas cette catégorie de données",
        _ => "l’accord ne va pas jusque-là",
    }
}

#[cfg(test)]
mod tests;
