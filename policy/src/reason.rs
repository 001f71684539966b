//! Why something was refused: one table of stable codes, who can mend each, and its text in French and English; and the reason that carries
//! one. Nothing here decides.

use crate::parse::Malformed;
use serde::{Serialize, Serializer};
use std::fmt;

/// A language in which something is told to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// French.
    French,
    /// English.
    English,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::French, Self::English];

    /// The tag of BCP 47: `fr` or `en`.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::French => "fr",
            Self::English => "en",
        }
    }

    /// Reads `fr` or `en`, with or without a region.
    pub fn read(tag: &str) -> Option<Self> {
        match tag.split('-').next()? {
            "fr" => Some(Self::French),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    /// A colon as the language sets it.
    pub(crate) const fn colon(self) -> &'static str {
        self.say("\u{a0}: ", ": ")
    }

    /// The text in this language.
    pub const fn say<'a>(self, french: &'a str, english: &'a str) -> &'a str {
        match self {
            Self::French => french,
            Self::English => english,
        }
    }
}

/// Who can make a refusal go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fix {
    /// The person whom the record is about, by a consent.
    Learner,
    /// Who signs for or with the learner: a holder of parental authority, or whoever acts under a mandate or a measure of protection.
    Guardian,
    /// Whoever asks for the data.
    Consumer,
    /// Whoever holds the data.
    Provider,
    /// Whoever runs this connector, or enters things into it.
    Operator,
    /// Nobody: it is over, or it is meant to be so.
    Nobody,
}

impl Fix {
    /// As it is written in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Learner => "learner",
            Self::Guardian => "guardian",
            Self::Consumer => "consumer",
            Self::Provider => "provider",
            Self::Operator => "operator",
            Self::Nobody => "nobody",
        }
    }

    /// Who that is.
    pub const fn text(self, language: Language) -> &'static str {
        match self {
            Self::Learner => language.say("la personne concernée", "the learner"),
            Self::Guardian => language.say("le représentant de la personne", "the learner's guardian or delegate"),
            Self::Consumer => language.say("le destinataire", "the consumer"),
            Self::Provider => language.say("le fournisseur", "the provider"),
            Self::Operator => language.say("l’opérateur de ce connecteur", "the operator of this connector"),
            Self::Nobody => language.say("personne", "nobody"),
        }
    }

    /// What people are told of it after what was refused.
    pub fn told(self, language: Language) -> String {
        let begin = language.say("peut y remédier", "can be mended by");
        format!("{begin}{}{}", language.colon(), self.text(language))
    }
}

macro_rules! codes {
    ($($variant:ident = $code:literal $fix:ident $meaning:literal / $french:literal),+ $(,)?) => {
        /// A stable, documented refusal code. A code is never reused for another meaning. `POL` is about the policy, `CST` about a
        /// constraint, `DUT` about a duty, `CNS` about a learner's consent, `AGG` about an aggregate, `SYS` about this connector.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = concat!("`", $code, "`: ", $meaning, ".")] $variant),+ }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code as it is written in answers and logs, such as `POL-02`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// What the code means, in one English clause.
            pub const fn meaning(self) -> &'static str {
                self.text(Language::English)
            }

            /// What the code means, in one clause.
            pub const fn text(self, language: Language) -> &'static str {
                match self { $(Self::$variant => language.say($french, $meaning)),+ }
            }

            /// Who can make the refusal go away.
            pub const fn fix(self) -> Fix {
                match self { $(Self::$variant => Fix::$fix),+ }
            }

            /// Reads a code as it is written in answers and logs.
            pub fn read(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == text)
            }
        }
    };
}

codes! {
    NoPermission = "POL-01" Provider "no permission covers the action"
        / "aucune permission ne couvre l’action",
    Prohibited = "POL-02" Nobody "a prohibition forbids the action, or may do so"
        / "une interdiction exclut l’action, ou pourrait l’exclure",
    Conflict = "POL-03" Provider "the prohibitions leave nothing of what the permissions give"
        / "les interdictions ne laissent rien de ce que les permissions accordent",
    NotUnderstood = "POL-04" Provider "a profile, action, operator or left operand is not understood"
        / "un profil, une action, un opérateur ou un critère n’est pas compris",
    OutsideTime = "POL-05" Nobody "not in force yet (then waiting is enough), or expired"
        / "pas encore en vigueur (il suffit alors d’attendre), ou expiré",
    Superseded = "POL-06" Nobody "replaced by a newer policy (reserved)"
        / "remplacé par une politique plus récente (réservé)",
    Malformed = "POL-07" Provider "not a policy in the JSON form of the Dataspace Protocol"
        / "ce n’est pas une politique au format JSON du Dataspace Protocol",
    NotPlannable = "POL-08" Provider "the condition that remains per record cannot be held by a transfer plan"
        / "un plan de transfert ne peut pas tenir la condition qui reste à vérifier pour chaque enregistrement",
    TooComplex = "POL-09" Provider "too many different values to be decided within the work limit"
        / "trop de valeurs différentes pour décider dans la limite de travail",
    WrongKind = "POL-10" Provider "only an agreement can be enforced, an offer is a proposal"
        / "seul un accord s’applique ; une offre n’est qu’une proposition",
    WrongParty = "POL-11" Consumer "the offer or agreement is for another party"
        / "l’offre ou l’accord s’adresse à une autre partie",
    NoPurpose = "POL-12" Provider "the agreement binds the use to no purpose, and neither a consent nor another basis is for any use"
        / "l’accord ne lie l’usage à aucune finalité, et ni un consentement ni une autre base ne vaut pour tout usage",
    ConstraintFalse = "CST-01" Consumer "a constraint does not hold"
        / "une condition n’est pas remplie",
    ConstraintUnknown = "CST-02" Consumer "a constraint cannot be judged because a fact is missing"
        / "une condition ne peut pas être vérifiée : une information manque",
    OperatorUnfit = "CST-03" Provider "the operator makes no sense for the left operand"
        / "l’opérateur n’a pas de sens pour ce critère",
    ValueUnfit = "CST-04" Provider "the right operand is not a value of the left operand's type, or is several where one is expected"
        / "la valeur comparée n’est pas du type de ce critère, ou il y en a plusieurs là où une seule est attendue",
    Unsatisfiable = "CST-05" Provider "no purpose, data category and consent can satisfy the constraints together"
        / "aucune finalité, catégorie de données et aucun consentement ne remplissent ensemble les conditions",
    NeverKnown = "CST-06" Provider "a constraint asks for a fact that this provider never has about this dataset"
        / "une contrainte porte sur un fait que ce fournisseur ne connaît jamais de ce jeu de données",
    DutyBeforehand = "DUT-01" Provider "a duty must be fulfilled before the use, and this connector cannot establish that"
        / "une obligation doit être remplie avant l’usage, et ce connecteur ne peut pas l’établir",
    DutyNotUnderstood = "DUT-02" Provider "an action that is not supported as a duty"
        / "cette action n’est pas prise en charge comme obligation",
    InformedUnknown = "DUT-03" Provider "a duty names a participant to be informed that this connector cannot tell anything"
        / "une obligation nomme un participant à informer que ce connecteur ne peut pas joindre",
    ConsentNone = "CNS-01" Learner "there is no consent of the learner"
        / "la personne n’a pas donné de consentement",
    ConsentRequested = "CNS-02" Learner "consent was asked for and not answered yet"
        / "le consentement est demandé, et la réponse n’est pas encore donnée",
    ConsentRefused = "CNS-03" Learner "the learner refused consent"
        / "la personne a refusé son consentement",
    ConsentWithdrawn = "CNS-04" Learner "the learner withdrew the consent"
        / "la personne a retiré son consentement",
    ConsentExpired = "CNS-05" Learner "the consent has expired"
        / "le consentement a expiré",
    ConsentPurpose = "CNS-06" Learner "the consent does not cover every purpose of the agreement"
        / "le consentement ne couvre pas toutes les finalités de l’accord",
    ConsentRecipient = "CNS-07" Learner "the consent is for other recipients"
        / "le consentement vaut pour d’autres destinataires",
    ConsentCategory = "CNS-08" Learner "the consent does not cover this data category or dataset"
        / "le consentement ne couvre pas cette catégorie ou ce jeu de données",
    GuardianMissing = "CNS-09" Guardian "the learner is a minor and the consent of a guardian is missing"
        / "la personne est mineure et le consentement d’un représentant légal manque",
    ConsentUnconfirmed = "CNS-10" Provider "the latest state of consents is not confirmed here (reserved for nodes that share one store; a single node knows it)"
        / "le dernier état des consentements n’est pas confirmé ici (réservé aux nœuds qui partagent une base ; un nœud seul le connaît)",
    ConsentObjected = "CNS-11" Learner "the learner objected to the use on another lawful basis than consent"
        / "la personne s’est opposée à l’usage fondé sur une autre base légale que le consentement",
    ConsentAggregate = "CNS-12" Learner "the consent is for numbers about groups, not for records"
        / "le consentement vaut pour des chiffres sur des groupes, pas pour des enregistrements",
    ConsentUsedUp = "CNS-13" Learner "the consent is for a number of transfers, and that many have been made"
        / "le consentement vaut pour un nombre de transferts, et ils ont tous eu lieu",
    ProcessingRestricted = "CNS-14" Provider "the learner's records are restricted (GDPR, art. 18)"
        / "le traitement des données de la personne est limité (RGPD, art. 18)",
    ConsentGroupSize = "CNS-15" Learner "the consent is for groups of more learners than those of this release"
        / "le consentement vaut pour des groupes de plus de personnes que ceux de cette publication",
    ConsentAgreement = "CNS-16" Learner "the consent is for another agreement"
        / "le consentement vaut pour un autre accord",
    ConsentRevoked = "CNS-17" Learner "the holder or an authority ended the consent, or it was not valid"
        / "l’organisme ou une autorité a mis fin au consentement, ou il n’était pas valable",
    GroupTooSmall = "AGG-01" Nobody "the group is smaller than the smallest that may be shown"
        / "le groupe est plus petit que le minimum publiable",
    Differencing = "AGG-02" Nobody "together with an earlier answer it would single out a few people"
        / "avec une réponse précédente, quelques personnes seraient isolées",
    Dominance = "AGG-03" Nobody "one or two people make up most of the total"
        / "une ou deux personnes font l’essentiel du total",
    ReleaseTooLarge = "AGG-04" Provider "it is about more people, or tells more of them, than one release can hold"
        / "cela concerne plus de personnes, ou en dit plus, qu’une publication ne peut contenir",
    GroupAlike = "AGG-05" Provider "everyone in the group would have the same value of a sensitive attribute, or none"
        / "tout le groupe aurait la même valeur d’un attribut sensible, ou aucune",
    CountExhausted = "SYS-01" Nobody "the transfers or the open time that the agreement permits are used up"
        / "les transferts ou le temps d’ouverture que l’accord permet sont épuisés",
    AuditUnavailable = "SYS-02" Provider "the audit log cannot be written (reserved)"
        / "le journal d’audit ne peut pas être écrit (réservé)",
    ClockUntrusted = "SYS-03" Provider "the clock is not to be trusted (reserved)"
        / "l’horloge n’est pas fiable (réservé)",
}

impl Code {
    /// What people are told of it, wherever they meet it: the code, what it means, and who can mend it.
    pub fn told(self, language: Language) -> String {
        format!(
            "{self}{}{} ({})",
            language.colon(),
            self.text(language),
            self.fix().told(language)
        )
    }

    /// It is about what a policy says and not about who asks, when or how often.
    const fn is_about_terms(self) -> bool {
        matches!(
            self,
            Self::NotUnderstood
                | Self::Malformed
                | Self::OperatorUnfit
                | Self::ValueUnfit
                | Self::DutyBeforehand
                | Self::DutyNotUnderstood
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One reason for a refusal: the code, the node of the policy (JSON pointer, RFC 6901; empty for the whole policy) and
/// the story in plain English. Holds terms of the policy and public identifiers, never a value of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reason {
    /// The stable code.
    pub code: Code,
    /// JSON pointer into the policy as it was parsed.
    pub pointer: String,
    /// Plain English, for an operator.
    pub text: String,
    /// The same in French, where it was said: of all that is wrong with the terms themselves.
    #[serde(skip)]
    french: Option<String>,
}

impl Reason {
    /// A reason whose story has English words alone.
    pub fn new(code: Code, pointer: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            code,
            pointer: pointer.into(),
            text: text.into(),
            french: None,
        }
    }

    /// A reason whose story is told in both languages.
    pub(crate) fn said(code: Code, pointer: impl Into<String>, said: Said) -> Self {
        Self {
            code,
            pointer: pointer.into(),
            text: said.english,
            french: Some(said.french),
        }
    }

    /// What people on this side are told: the code and where, what it means, the details as far as they have words in the language, and who can
    /// mend it.
    pub fn told(&self, language: Language) -> String {
        self.told_to(self.code.fix(), language)
    }

    /// The same where it is plain from what was asked who can mend it, whatever the code says in general.
    pub fn told_to(&self, fix: Fix, language: Language) -> String {
        let details = match language {
            Language::French => self.french.as_deref(),
            Language::English => Some(self.text.as_str()),
        };
        let details = details
            .map(|text| format!("{}{text}", language.colon()))
            .unwrap_or_default();
        format!(
            "{} {} {}{}{}{details} ({})",
            self.code,
            language.say("dans", "at"),
            self.place(language),
            language.colon(),
            self.code.text(language),
            fix.told(language),
        )
    }

    /// What the other party is told (policy.md §6.5): the code and the node of the policy. What is wrong with the terms themselves it is told
    /// in full, for that says no more than the policy, which it has.
    pub fn disclosed(&self) -> String {
        if self.code.is_about_terms() {
            return self.to_string();
        }
        format!("{} at {}", self.code, self.place(Language::English))
    }

    fn place(&self, language: Language) -> &str {
        if self.pointer.is_empty() {
            language.say("la politique", "the policy")
        } else {
            &self.pointer
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.code, self.place(Language::English), self.text)
    }
}

impl std::error::Error for Reason {}

impl From<Malformed> for Reason {
    fn from(malformed: Malformed) -> Self {
        let said = Said::new(malformed.problem, malformed.french);
        Self::said(Code::Malformed, malformed.pointer, said)
    }
}

/// What is wrong in one place, in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) english: String,
    pub(crate) french: String,
}

impl Said {
    pub(crate) fn new(english: impl Into<String>, french: impl Into<String>) -> Self {
        Self {
            english: english.into(),
            french: french.into(),
        }
    }
}

/// Foreign text for a message: quoted, control characters escaped, cut to a bounded length.
pub(crate) fn quoted(text: &str) -> String {
    const MOST: usize = 120;
    let mut shown: String = text.chars().take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    format!("{shown:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_written_once_and_has_a_meaning() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(!code.meaning().is_empty() && code.text(Language::French) != code.meaning());
            assert_eq!(Code::read(code.as_str()), Some(*code));
        }
    }

    #[test]
    fn people_are_told_the_code_what_it_means_and_who_can_mend_it() {
        assert_eq!(
            Code::ConsentWithdrawn.told(Language::English),
            "CNS-04: the learner withdrew the consent (can be mended by: the learner)"
        );
        let reason = Reason::new(Code::WrongParty, "", "the agreement is with \"a\", not with \"b\"");
        assert_eq!(
            reason.told(Language::French),
            "POL-11 dans la politique\u{a0}: l’offre ou l’accord s’adresse à une autre partie (peut y remédier\u{a0}: le destinataire)"
        );
        let english = reason.told(Language::English);
        assert!(
            english.starts_with("POL-11 at the policy: the offer or agreement is for another party: the agreement is")
        );
        assert!(english.ends_with("(can be mended by: the consumer)"), "{english}");
        let here = reason.told_to(Fix::Provider, Language::English);
        assert_eq!(here, english.replace("by: the consumer", "by: the provider"));
    }

    #[test]
    fn details_that_were_said_in_both_languages_are_told_in_each() {
        let said = Said::new("@id is missing", "@id manque");
        let reason = Reason::said(Code::Malformed, "", said);
        let english = reason.told(Language::English);
        assert!(
            english.contains("Dataspace Protocol: @id is missing (can be"),
            "{english}"
        );
        let french = reason.told(Language::French);
        assert!(
            french.contains("Dataspace Protocol\u{a0}: @id manque (peut y"),
            "{french}"
        );
        let json = serde_json::to_value(&reason).unwrap();
        assert_eq!(json["text"], "@id is missing");
        assert!(json.get("french").is_none());
    }

    #[test]
    fn the_other_party_is_told_the_code_and_the_node_and_of_terms_what_they_say() {
        for code in Code::ALL {
            let told = Reason::new(*code, "/permission/0/action", "because of number 3 of 4").disclosed();
            assert!(told.starts_with(&format!("{code} at /permission/0/action")), "{told}");
            assert_eq!(told.contains("number 3"), code.is_about_terms(), "{told}");
        }
        assert!(!Code::ConsentNone.is_about_terms() && !Code::CountExhausted.is_about_terms());
    }

    #[test]
    fn a_reason_reads_as_a_sentence_and_serialises_its_code() {
        let reason = Reason::new(Code::Prohibited, "/prohibition/0", "use is prohibited");
        assert_eq!(reason.to_string(), "POL-02 at /prohibition/0: use is prohibited");
        let json = serde_json::to_value(&reason).unwrap();
        assert_eq!(json["code"], "POL-02");
    }

    #[test]
    fn foreign_text_is_cut_and_escaped() {
        let shown = quoted(&format!("a\u{1b}[31m{}", "x".repeat(10_000)));
        assert!(shown.len() < 200 && !shown.contains('\u{1b}'));
    }
}
