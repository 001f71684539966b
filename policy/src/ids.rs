//! The usage-control classes of the International Data Spaces: how each is recognised in a policy, and how far this connector keeps it. A class is
//! a name for what constraints and duties say anyway; nothing is decided by it.

use crate::{
    evaluate::Stage,
    model::{Atomic, Constraint, Duty, Policy},
    reason::Language,
    vocabulary::{Action, Enforcement, LeftOperand, Operator, canonical_name},
};
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;

macro_rules! classes {
    ($($variant:ident = $number:literal $english:literal / $french:literal, $recognised:literal, $enforcement:ident, $handling:literal;)+) => {
        /// A class of usage-control policies. 1 to 21 are the first list, 22 to 25 came later.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Class { $(#[doc = concat!("Class ", $number, ": ", $english, ".")] $variant),+ }

        impl Class {
            /// Every class, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The number of the class.
            pub const fn number(self) -> u8 {
                match self { $(Self::$variant => $number),+ }
            }

            /// What it is called.
            pub const fn name(self, language: Language) -> &'static str {
                match self { $(Self::$variant => language.say($french, $english)),+ }
            }

            /// How it is recognised in a policy.
            pub const fn recognised_by(self) -> &'static str {
                match self { $(Self::$variant => $recognised),+ }
            }

            /// How far it is kept without the consumer's help.
            pub const fn enforcement(self) -> Enforcement {
                match self { $(Self::$variant => Enforcement::$enforcement),+ }
            }

            /// What this connector does about it.
            pub const fn handling(self) -> &'static str {
                match self { $(Self::$variant => $handling),+ }
            }
        }
    };
}

classes! {
    Consumer = 1 "restrict the consumer" / "restreindre le destinataire",
        "`assignee`, or `recipient`", Enforced, "bound to the verified DID of the consumer";
    Connector = 2 "restrict the connector" / "restreindre le connecteur",
        "`systemDevice` (`idsc:CONNECTOR`)", Enforced, "bound to the verified identity of the connector that receives";
    Application = 3 "restrict the application" / "restreindre l’application",
        "`dases:application` (`idsc:APPLICATION`)", Attested, "an attestation is asked for; what runs there later is not seen";
    Role = 4 "restrict users by role or group" / "restreindre par rôle ou groupe",
        "`dases:role`, or a claim named role or group", Attested, "a verified role is asked for";
    Location = 5 "place of use" / "lieu d’usage",
        "`spatial`", Attested, "an attested place is asked for";
    Purpose = 6 "purpose" / "finalité",
        "`purpose`", Declared, "frozen in the agreement, and each learner's consent, or another lawful basis, must cover it";
    Event = 7 "event" / "événement",
        "`event`", Enforced, "asked of the provider's register of events";
    Security = 8 "security level" / "niveau de sécurité",
        "`dases:securityLevel` (`idsc:SECURITY_LEVEL`), or `dases:assurance`", Attested, "a certificate is asked for";
    Interval = 9 "time interval" / "période",
        "`dateTime`", Enforced, "a stream stops at the bound, by a timer";
    Duration = 10 "duration" / "durée",
        "`elapsedTime`, `meteredTime` or `delayPeriod`", Enforced, "counted from the agreement, or while streams are open; later use needs the consumer";
    Times = 11 "n times" / "n fois",
        "`count`", Enforced, "a transfer is counted durably before its first stream opens; read from the beginning again over an hour after it was counted, it counts anew; reads at the consumer are not seen";
    Delete = 12 "delete after use" / "effacer après usage",
        "a duty or obligation `delete`", NeedsConsumer, "carried as a promise of the consumer";
    InTransit = 13 "modify in transit" / "modifier en transit",
        "`dases:dataCategory`, or `dases:minGroupSize`", Enforced, "fields of other categories are removed, identifiers become pseudonyms, small groups are not shown";
    AtRest = 14 "modify at rest" / "modifier au repos",
        "an obligation `anonymize`", NeedsConsumer, "carried as a promise of the consumer";
    Log = 15 "log usage" / "journaliser l’usage",
        "a duty or obligation `dases:log` (`idsc:LOG`)", Enforced, "no stream opens before its entry is in this connector's audit log; its end is entered too, unless the store or the daemon fails first; use at the consumer is not seen";
    Inform = 16 "inform a party" / "informer une partie",
        "a duty or obligation `inform`, with the participant as its `odrl:informedParty`", Enforced, "no transfer's first stream opens before a signed message about it to that participant is in the outbox, which sends it until it is acknowledged or refused; where nobody is named it is the provider, whose audit log and event feed have it; what the consumer does later is not seen";
    PassOn = 17 "pass the policy on" / "transmettre la politique",
        "a duty `nextPolicy`", NeedsConsumer, "carried as a promise of the consumer";
    Artifact = 18 "state of the data" / "état des données",
        "`dases:artifactState` (`idsc:ARTIFACT_STATE`)", Enforced, "asked of what this connector does to every record, and of what the operator says of the dataset; this connector itself only pseudonymises";
    Sale = 19 "sale" / "vente",
        "`payAmount`, or an obligation `compensate`", Attested, "what the operator recorded as paid is asked for, in the unit of the constraint; an obligation alone is a promise of the consumer";
    Rental = 20 "rental" / "location",
        "`payAmount` or `compensate`, together with `timeInterval`, `elapsedTime` or `meteredTime`", Attested, "what the operator recorded as paid is asked for at every transfer; an obligation alone is a promise of the consumer";
    Environment = 21 "state of the environment" / "état de l’environnement",
        "`dases:state` (`idsc:STATE`)", Attested, "a signed report is asked for";
    Participant = 22 "location of the participant" / "lieu du participant",
        "a claim named country, location or jurisdiction", Attested, "a verified claim is asked for";
    UserConsent = 23 "consent of the person" / "consentement de la personne",
        "`dases:consent`, `dases:guardianConsent`", Enforced, "asked of the consent records for every record, and again while the stream runs";
    Classification = 24 "classification of the data" / "classification des données",
        "`dases:dataCategory` with `isNoneOf` or `neq`", Enforced, "records of these categories stay";
    Anonymisation = 25 "anonymisation" / "anonymisation",
        "`dases:artifactState` with a state such as anonymised or aggregated", Declared, "asked of what this connector does to every record, and of what the operator says of the dataset; this connector itself only pseudonymises";
}

impl Serialize for Class {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

/// What the classes are recognised by.
#[derive(Default)]
struct Marks<'a> {
    atoms: Vec<&'a Atomic>,
    duties: BTreeSet<Action>,
    /// Those among the duties that this connector does itself.
    kept: BTreeSet<Action>,
}

impl<'a> Marks<'a> {
    /// Conditions mark a class where they decide what leaves; those of a duty decide no more than the duty, and what a rule asks of the consumer
    /// alone is kept by nobody here.
    fn of(policy: &'a Policy) -> Self {
        let mut marks = Self::default();
        for rule in &policy.permissions {
            let here = rule.gives_here();
            if here {
                marks.add_constraints(&rule.constraints);
            }
            marks.add_duties(&rule.duties, here);
        }
        for rule in policy.prohibitions.iter().filter(|rule| rule.refuses_here()) {
            marks.add_constraints(&rule.constraints);
        }
        marks.add_duties(&policy.obligations, true);
        marks
    }

    /// What must be done after a failure is no class of its own.
    fn add_duties(&mut self, duties: &[Duty], here: bool) {
        for action in duties.iter().filter_map(|duty| duty.action.known()) {
            self.duties.insert(action);
            if here && action.is_kept_here() {
                self.kept.insert(action);
            }
        }
    }

    fn add_constraints(&mut self, constraints: &'a [Constraint]) {
        for constraint in constraints {
            constraint.each_atomic(&mut |atomic| self.atoms.push(atomic));
        }
    }

    fn has(&self, operands: &[LeftOperand]) -> bool {
        self.atoms
            .iter()
            .any(|atomic| atomic.left.known().is_some_and(|left| operands.contains(&left)))
    }

    /// A claim of a membership or credential under one of these names.
    fn claims(&self, names: &[&str]) -> bool {
        let last = |atomic: &Atomic| {
            atomic
                .claim
                .as_deref()
                .and_then(|claim| claim.rsplit('.').next().map(str::to_lowercase))
        };
        self.atoms
            .iter()
            .any(|atomic| last(atomic).is_some_and(|claim| names.contains(&claim.as_str())))
    }

    fn duty(&self, action: Action) -> bool {
        self.duties.contains(&action)
    }

    /// Whether this policy asks it of this connector, rather than of the consumer alone.
    fn keeps(&self, class: Class) -> bool {
        match class {
            Class::Log => self.kept.contains(&Action::Log),
            Class::Inform => self.kept.contains(&Action::Inform),
            Class::Sale | Class::Rental => self.has(&[LeftOperand::PayAmount]),
            _ => true,
        }
    }

    fn pays(&self) -> bool {
        self.has(&[LeftOperand::PayAmount]) || self.duty(Action::Compensate)
    }

    fn excludes_categories(&self) -> bool {
        self.atoms.iter().any(|atomic| {
            atomic.left.known() == Some(LeftOperand::DataCategory)
                && matches!(atomic.operator.known(), Some(Operator::IsNoneOf | Operator::Neq))
        })
    }

    fn anonymises(&self) -> bool {
        let state = |text: &str| {
            let name = canonical_name(text).to_lowercase();
            name.contains("anonymi") && !name.contains("pseudonymi") || name.contains("aggregat")
        };
        self.atoms.iter().any(|atomic| {
            atomic.left.known() == Some(LeftOperand::ArtifactState)
                && atomic.right.iter().any(|value| state(&value.text))
        })
    }
}

impl Class {
    fn is_in(self, policy: &Policy, marks: &Marks<'_>) -> bool {
        use LeftOperand as L;
        match self {
            Self::Consumer => policy.assignee().is_some() || marks.has(&[L::Recipient]),
            Self::Connector => marks.has(&[L::SystemDevice]),
            Self::Application => marks.has(&[L::Application]),
            Self::Role => marks.has(&[L::Role]) || marks.claims(&["role", "group", "roles", "groups"]),
            Self::Location => marks.has(&[L::Spatial]),
            Self::Purpose => marks.has(&[L::Purpose]),
            Self::Event => marks.has(&[L::Event]),
            Self::Security => marks.has(&[L::SecurityLevel, L::Assurance]),
            Self::Interval => marks.has(&[L::DateTime]),
            Self::Duration => marks.has(&[L::ElapsedTime, L::MeteredTime, L::DelayPeriod]),
            Self::Times => marks.has(&[L::Count]),
            Self::Delete => marks.duty(Action::Delete),
            Self::InTransit => marks.has(&[L::DataCategory, L::MinGroupSize]),
            Self::AtRest => marks.duty(Action::Anonymize),
            Self::Log => marks.duty(Action::Log),
            Self::Inform => marks.duty(Action::Inform),
            Self::PassOn => marks.duty(Action::NextPolicy),
            Self::Artifact => marks.has(&[L::ArtifactState]),
            Self::Sale => marks.pays(),
            Self::Rental => marks.pays() && marks.has(&[L::TimeInterval, L::ElapsedTime, L::MeteredTime]),
            Self::Environment => marks.has(&[L::State]),
            Self::Participant => marks.claims(&["country", "location", "jurisdiction"]),
            Self::UserConsent => marks.has(&[L::Consent, L::GuardianConsent]),
            Self::Classification => marks.excludes_categories(),
            Self::Anonymisation => marks.anonymises(),
        }
    }
}

/// The classes that a policy is made of. A policy that is not understood is refused whatever its classes, and has none.
pub fn classes(policy: &Policy) -> Vec<Class> {
    kept(policy).into_iter().map(|(class, _)| class).collect()
}

/// The same, each with how far it is kept of this policy: where nothing but a duty speaks of a price, paying is for the consumer, and so is to
/// enter or tell what only the consumer does.
pub(crate) fn kept(policy: &Policy) -> Vec<(Class, Enforcement)> {
    if policy.check(Stage::Publish).is_err() {
        return Vec::new();
    }
    let marks = Marks::of(policy);
    let found = Class::ALL.iter().filter(|class| class.is_in(policy, &marks));
    let kept = found.map(|class| {
        let enforcement = if marks.keeps(*class) {
            class.enforcement()
        } else {
            Enforcement::NeedsConsumer
        };
        (*class, enforcement)
    });
    kept.collect()
}

#[cfg(test)]
mod tests;
