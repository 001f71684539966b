//! Why a step is not possible, or somebody's word does not count, in French; what can be done instead, and who can do it.

use super::Said;
use crate::consent::{
    law::NoPower,
    state::{Act, Afterwards, Illegal, Instead, Role, State, Whose},
};
use policy::Fix;

impl Illegal {
    pub(super) fn said(self) -> Said {
        match self {
            Self::Ended(state) => {
                let after = Afterwards::of(state);
                Said::new(
                    after.fix(),
                    format!(
                        "ce consentement est {} et ne revient pas\u{a0}; {}",
                        in_state(state),
                        after.french()
                    ),
                )
            }
            Self::Step(state, act) => {
                let instead = Instead::of(state, act);
                Said::new(
                    instead.fix(),
                    format!(
                        "un consentement {} n’admet pas l’étape «\u{a0}{}\u{a0}»\u{a0}: {}",
                        in_state(state),
                        step(act),
                        instead.french()
                    ),
                )
            }
            Self::NotTheirs(role, act) => {
                let whose = Whose::of(role, act);
                Said::new(
                    whose.fix(),
                    format!(
                        "l’étape «\u{a0}{}\u{a0}» ne revient pas {}\u{a0}: {}",
                        step(act),
                        to(role),
                        whose.french()
                    ),
                )
            }
            Self::BothAnew => Said::new(
                Fix::Learner,
                "la personne ne consent pas seule, et personne ne confirme donc seul\u{a0}: un nouveau consentement est donné, que signent la personne et son représentant",
            ),
            Self::Twice(missing) => Said::new(
                signatory(missing),
                format!(
                    "cette partie a déjà signé\u{a0}; la signature {} manque encore",
                    of(missing)
                ),
            ),
            Self::AlreadyGiven => Said::new(Fix::Nobody, "ce consentement est déjà donné"),
            Self::Backwards { at, last } => Said::new(
                Fix::Operator,
                format!(
                    "l’étape est datée du {at}, avant la précédente, du {last}\u{a0}; l’horloge est-elle à l’heure\u{a0}?"
                ),
            ),
        }
    }
}

impl Afterwards {
    const fn fix(self) -> Fix {
        match self {
            Self::Pause | Self::Newer => Fix::Learner,
            Self::Ask => Fix::Consumer,
        }
    }

    const fn french(self) -> &'static str {
        match self {
            Self::Pause => {
                "un nouveau peut être demandé une fois passé le délai qui suit un non, et la personne peut partager d’elle-même à tout moment"
            }
            Self::Newer => "un plus récent a pris sa place\u{a0}; c’est de celui-là qu’il faut décider",
            Self::Ask => "un nouveau peut être demandé",
        }
    }
}

impl Instead {
    const fn fix(self) -> Fix {
        match self {
            Self::Refuse | Self::Give | Self::Withdraw | Self::Wait => Fix::Learner,
            Self::Sign(missing) => signatory(missing),
            Self::Nothing => Fix::Nobody,
        }
    }

    const fn french(self) -> &'static str {
        match self {
            Self::Refuse => "rien n’est encore donné qui puisse être retiré\u{a0}; l’étape refuse y dit non",
            Self::Give => "il n’est pas encore donné\u{a0}; l’étape give y dit oui",
            Self::Withdraw => "il est donné\u{a0}; l’étape withdraw le retire",
            Self::Sign(_) => "une partie a signé\u{a0}; l’autre prend l’étape give, ou l’une des deux l’étape refuse",
            Self::Wait => {
                "rien n’est en vigueur qui puisse prendre fin\u{a0}; la personne le refuse, ou il prend fin avec son délai"
            }
            Self::Nothing => "il est déjà là",
        }
    }
}

impl Whose {
    const fn fix(self) -> Fix {
        match self {
            Self::Learner | Self::LearnerAlone => Fix::Learner,
            Self::Holder | Self::HolderElsewhere => Fix::Provider,
            // Who entered it under one role can enter it under the right one.
            Self::Asker => Fix::Operator,
            Self::Nobody => Fix::Nobody,
        }
    }

    const fn french(self) -> &'static str {
        match self {
            Self::Learner => "elle revient à la personne concernée, ou à qui a le pouvoir d’agir pour elle",
            Self::LearnerAlone => {
                "la personne consent seule\u{a0}; si ce n’est pas le cas, enregistrez à partir de quand elle le fait (consent learner --set)"
            }
            Self::Holder => {
                "elle revient à l’organisme qui détient les données ou à une autorité\u{a0}; du côté de la personne, l’étape withdraw met fin à un consentement"
            }
            Self::HolderElsewhere => "les données sont détenues ailleurs, et elle revient à leur détenteur",
            Self::Asker => "elle revient au détenteur, à la personne ou au participant qui demande",
            Self::Nobody => "elle se fait avec le temps seul",
        }
    }
}

impl NoPower {
    pub(super) fn said(self) -> Said {
        match self {
            Self::Nameless => Said::new(Fix::Operator, "l’identifiant du représentant ou du mandataire manque"),
            Self::Unknown(role) => Said::new(
                Fix::Operator,
                format!(
                    "aucun pouvoir en vigueur {} n’est enregistré pour cette étape\u{a0}; enregistrez-le avec sa preuve",
                    of(role)
                ),
            ),
            Self::OfAge(since) => Said::new(
                Fix::Learner,
                format!(
                    "les pouvoirs du représentant légal ont pris fin le {since}\u{a0}: la personne consent seule depuis"
                ),
            ),
            Self::NotBoth(missing) => Said::new(
                signatory(missing),
                format!(
                    "la personne et son représentant doivent signer tous deux, et la signature {} manque",
                    of(missing)
                ),
            ),
        }
    }
}

/// Who signs where this role's word is missing.
const fn signatory(role: Role) -> Fix {
    match role {
        Role::Learner => Fix::Learner,
        Role::Guardian | Role::Delegate => Fix::Guardian,
        Role::Holder | Role::Consumer | Role::Authority | Role::Clock => Fix::Nobody,
    }
}

const fn in_state(state: State) -> &'static str {
    match state {
        State::Requested => "demandé",
        State::Deferred => "remis à plus tard",
        State::PendingSecond => "en attente du représentant",
        State::PendingLearner => "en attente de la personne",
        State::Given => "donné",
        State::Refused => "refusé",
        State::Withdrawn => "retiré",
        State::Expired => "expiré",
        State::Revoked => "révoqué",
        State::Invalidated => "invalidé",
        State::Superseded => "remplacé",
    }
}

const fn step(act: Act) -> &'static str {
    match act {
        Act::Request => "demander",
        Act::Defer => "remettre à plus tard",
        Act::Give => "donner",
        Act::Refuse => "refuser",
        Act::Reaffirm => "confirmer",
        Act::Withdraw => "retirer",
        Act::Expire => "expirer",
        Act::Revoke => "révoquer",
        Act::Invalidate => "invalider",
        Act::Supersede => "remplacer",
    }
}

/// To whom: `à` and its article are one word before some.
pub(super) const fn to(role: Role) -> &'static str {
    match role {
        Role::Learner => "à la personne concernée",
        Role::Guardian => "à un représentant légal",
        Role::Delegate => "à un mandataire",
        Role::Holder => "à l’organisme qui détient les données",
        Role::Consumer => "au destinataire",
        Role::Authority => "à une autorité de contrôle",
        Role::Clock => "à l’horloge",
    }
}

/// Whose, likewise.
const fn of(role: Role) -> &'static str {
    match role {
        Role::Learner => "de la personne concernée",
        Role::Guardian => "d’un représentant légal",
        Role::Delegate => "d’un mandataire",
        Role::Holder => "de l’organisme qui détient les données",
        Role::Consumer => "du destinataire",
        Role::Authority => "d’une autorité de contrôle",
        Role::Clock => "de l’horloge",
    }
}
