//! Every term that this crate understands, in one place: actions and their hierarchy, operators, data categories, profiles, in `operand`
//! the left operands, in `purposes` what lies below what. A term that is not in these tables is unknown, and unknown denies.
//!
//! Each term is read in three spellings: bare (`use`), prefixed (`odrl:use`, `dases:consent`) and as a full IRI. The
//! DSP 2025-1 context maps almost no ODRL term (`reference/dsp.md` §1.5), so peers send all three.

mod operand;
mod purposes;

pub(crate) use purposes::{OWN_PURPOSES, PURPOSES_APART, dpv, purposes};

pub use operand::{Enforcement, Known, LeftOperand, Operand, Privacy, ValueType, is_claim};

use serde::{Serialize, Serializer};
use std::fmt;

/// Where a term is defined: the customary prefix and the IRI that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespace {
    /// The prefix, without its colon.
    pub prefix: &'static str,
    /// The IRI, with its closing `/` or `#`.
    pub iri: &'static str,
}

/// ODRL 2.2, Information Model and Common Vocabulary.
pub const ODRL: Namespace = Namespace {
    prefix: "odrl",
    iri: "http://www.w3.org/ns/odrl/2/",
};
/// Our own terms.
pub const DASES: Namespace = Namespace {
    prefix: "dases",
    iri: "https://w3id.org/dases/ns/",
};
/// Data Privacy Vocabulary: purposes.
pub const DPV: Namespace = Namespace {
    prefix: "dpv",
    iri: "https://w3id.org/dpv#",
};
/// XML Schema datatypes.
pub const XSD: Namespace = Namespace {
    prefix: "xsd",
    iri: "http://www.w3.org/2001/XMLSchema#",
};

/// Data Privacy Vocabulary: categories of personal data.
pub const PD: Namespace = Namespace {
    prefix: "pd",
    iri: "https://w3id.org/dpv/pd#",
};
/// Data Privacy Vocabulary: its concepts as ODRL operands.
pub const DPV_ODRL: Namespace = Namespace {
    prefix: "dpv-odrl",
    iri: "https://w3id.org/dpv/mappings/odrl#",
};
/// Data Privacy Vocabulary: legal bases of the GDPR.
pub const EU_GDPR: Namespace = Namespace {
    prefix: "eu-gdpr",
    iri: "https://w3id.org/dpv/legal/eu/gdpr#",
};
/// Data Privacy Vocabulary: its extension for artificial intelligence, such as the purpose `ai:ModelTraining` (policy.md §5.7).
pub const AI: Namespace = Namespace {
    prefix: "ai",
    iri: "https://w3id.org/dpv/ai#",
};
/// Codes of the International Data Spaces.
pub const IDSC: Namespace = Namespace {
    prefix: "idsc",
    iri: "https://w3id.org/idsa/code/",
};
/// Creative Commons.
pub const CC: Namespace = Namespace {
    prefix: "cc",
    iri: "http://creativecommons.org/ns#",
};

/// Every namespace whose prefix is read without a context.
pub const NAMESPACES: &[Namespace] = &[ODRL, DASES, DPV, XSD, PD, DPV_ODRL, EU_GDPR, AI, IDSC, CC];

/// The full IRI of a prefixed name; anything else as it stands.
pub(crate) fn expand(text: &str) -> String {
    let local = |namespace: &Namespace| Some(format!("{}{}", namespace.iri, namespace.local(text)?));
    NAMESPACES.iter().find_map(local).unwrap_or_else(|| text.to_owned())
}

/// Profiles that may be named in a policy. Each adds no terms beyond the tables below.
pub const PROFILES: &[&str] = &[
    "https://w3id.org/dases/ns/profile",
    "http://www.w3.org/ns/odrl/2/",
    "http://www.w3.org/ns/odrl/2/core",
    "https://w3id.org/dspace/2025/1/odrl-profile.jsonld",
];

impl Namespace {
    /// The local name, when `text` is the prefixed or the full form of a term of this namespace.
    pub(crate) fn local(self, text: &str) -> Option<&str> {
        let qualified = text.strip_prefix(self.iri);
        qualified.or_else(|| text.strip_prefix(self.prefix)?.strip_prefix(':'))
    }

    /// As [`Namespace::local`], and a bare name counts as well.
    pub(crate) fn local_or_bare(self, text: &str) -> Option<&str> {
        self.local(text).or_else(|| (!text.contains(':')).then_some(text))
    }
}

macro_rules! terms {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $namespace:ident $local:literal $(or $($also:literal)+)?),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $(#[doc = concat!("`", $local, "`")] $variant),+ }

        impl $name {
            /// Every term of this table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name without its namespace.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $local),+ }
            }

            /// The namespace that defines the term.
            pub const fn namespace(self) -> Namespace {
                match self { $(Self::$variant => $namespace),+ }
            }

            /// Further spellings with the same meaning: bare ones live in the same namespace, others are prefixed names.
            pub const fn synonyms(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($($also),+)?]),+ }
            }

            /// The full IRI of the term.
            pub fn iri(self) -> String {
                format!("{}{}", self.namespace().iri, self.name())
            }

            /// Reads any accepted spelling; `None` when the term is not known.
            pub fn read(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|term| {
                    let local = term.namespace().local_or_bare(text);
                    local == Some(term.name())
                        || term
                            .synonyms()
                            .iter()
                            .any(|also| local == Some(*also) || also.contains(':') && expand(text) == expand(also))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    };
}
use terms;

terms! {
    /// What may be done with the data (ODRL 2.2 §2.3 and Common Vocabulary §4). Deprecated names are read as the term
    /// that replaced them.
    Action {
        Use = ODRL "use",
        Transfer = ODRL "transfer",
        AcceptTracking = ODRL "acceptTracking",
        Aggregate = ODRL "aggregate",
        Annotate = ODRL "annotate",
        Anonymize = ODRL "anonymize",
        Archive = ODRL "archive",
        Attribute = ODRL "attribute",
        Commercialize = ODRL "commercialize" or "cc:CommercialUse",
        Compensate = ODRL "compensate" or "pay",
        ConcurrentUse = ODRL "concurrentUse",
        Delete = ODRL "delete",
        Derive = ODRL "derive",
        Digitize = ODRL "digitize",
        Display = ODRL "display",
        Distribute = ODRL "distribute",
        EnsureExclusivity = ODRL "ensureExclusivity",
        Execute = ODRL "execute",
        Extract = ODRL "extract",
        Give = ODRL "give",
        GrantUse = ODRL "grantUse" or "license",
        Include = ODRL "include",
        Index = ODRL "index",
        Inform = ODRL "inform",
        Log = DASES "log" or "idsc:LOG" "idsc:log" "ids:log",
        Modify = ODRL "modify" or "append" "appendTo" "write" "writeTo",
        Move = ODRL "move",
        NextPolicy = ODRL "nextPolicy",
        ObtainConsent = ODRL "obtainConsent",
        Play = ODRL "play",
        Present = ODRL "present",
        Print = ODRL "print",
        Read = ODRL "read",
        Reproduce = ODRL "reproduce" or "copy",
        ReviewPolicy = ODRL "reviewPolicy",
        Sell = ODRL "sell",
        Share = ODRL "share" or "cc:Sharing",
        Stream = ODRL "stream",
        Synchronize = ODRL "synchronize",
        Transform = ODRL "transform" or "export",
        Translate = ODRL "translate",
        Watermark = ODRL "watermark",
    }
}

terms! {
    /// How a left operand is compared with a right operand (ODRL 2.2, Common Vocabulary §4). The stray `term-lteq` of
    /// the DSP schema is not among them.
    Operator {
        Eq = ODRL "eq",
        Neq = ODRL "neq",
        Lt = ODRL "lt",
        Lteq = ODRL "lteq",
        Gt = ODRL "gt",
        Gteq = ODRL "gteq",
        IsAnyOf = ODRL "isAnyOf",
        IsNoneOf = ODRL "isNoneOf",
        IsAllOf = ODRL "isAllOf",
        IsA = ODRL "isA",
        HasPart = ODRL "hasPart",
        IsPartOf = ODRL "isPartOf",
    }
}

terms! {
    /// The category of a skills record: the unit of a learner's consent. The list is closed, so that a misspelt category
    /// in a prohibition is refused instead of matching nothing.
    Category {
        Identity = DASES "identity" or "pd:Identifying",
        Results = DASES "results" or "pd:ProfessionalEvaluation" "pd:PerformanceAtWork",
        Skills = DASES "skills",
        Certificates = DASES "certificates" or "pd:EducationQualification" "pd:ProfessionalCertification",
        ActivityTraces = DASES "activity-traces",
        Experience = DASES "experience" or "pd:WorkHistory" "pd:EducationExperience" "pd:EducationTraining" "pd:ProfessionalTraining",
        Provenance = DASES "provenance",
        SpecialNeeds = DASES "special-needs" or "pd:Disability",
    }
}

/// What [`Action`]s the handing over of records consists of.
pub(crate) const HANDING_OVER: [Action; 2] = [Action::Read, Action::Stream];

impl Action {
    /// The next wider action (`includedIn`, ODRL 2.2 §2.3); `None` for the two roots `use` and `transfer`.
    pub const fn included_in(self) -> Option<Self> {
        match self {
            Self::Use | Self::Transfer => None,
            Self::Give | Self::Sell => Some(Self::Transfer),
            Self::Display => Some(Self::Play),
            Self::Extract => Some(Self::Reproduce),
            _ => Some(Self::Use),
        }
    }

    /// True when a rule on `wider` speaks about this action: they are equal, or `wider` is further up the hierarchy.
    pub fn is_covered_by(self, wider: Self) -> bool {
        std::iter::successors(Some(self), |action| action.included_in()).any(|action| action == wider)
    }

    /// Whether a prohibition of this action stops every handing over, whatever action is asked for: it covers what handing over consists of.
    pub(crate) fn stops_handing_over(self) -> bool {
        HANDING_OVER.iter().any(|part| part.is_covered_by(self))
    }

    /// Duties of a permission that a consumer can only promise for after the use, and that are carried in the plan.
    pub(crate) const fn is_promise(self) -> bool {
        matches!(
            self,
            Self::Delete | Self::Inform | Self::Attribute | Self::NextPolicy | Self::AcceptTracking | Self::Log
        )
    }

    /// Duties that this connector keeps itself: no stream opens without their being done.
    pub(crate) const fn is_kept_here(self) -> bool {
        matches!(self, Self::Log | Self::Inform)
    }

    /// Actions understood as an obligation of the whole policy. It is carried in the plan and told; it gates nothing (ODRL 2.2 §2.6.3), and
    /// nothing here monitors it.
    pub(crate) const fn is_obligation(self) -> bool {
        self.is_promise() || matches!(self, Self::Anonymize | Self::Compensate)
    }

    /// Understood as duties, but a permission holds only once they are fulfilled, and nothing here can establish that.
    pub(crate) const fn is_precondition(self) -> bool {
        matches!(
            self,
            Self::Anonymize | Self::Compensate | Self::ObtainConsent | Self::ReviewPolicy | Self::Watermark
        )
    }
}

/// The one spelling under which purposes are compared: our own terms bare (`orientation` for `dases:orientation` and for
/// its IRI), prefixed names of [`NAMESPACES`] as full IRIs, everything else as it stands. Consent records must be read through this
/// same function before their purposes are compared with [`crate::Plan::purposes`].
pub fn canonical_name(text: &str) -> String {
    if let Some(local) = DASES.local(text) {
        // A local name with a colon would read as a prefixed name if it stood bare.
        return if local.contains(':') {
            format!("{}{local}", DASES.iri)
        } else {
            local.to_owned()
        };
    }
    expand(text)
}

/// A purpose as an IRI, for where others read it as linked data: a name that stands bare is ours, as [`canonical_name`] has it, so its IRI is
/// one of our namespace. `None` where that is none (RFC 3987): it has no scheme, or characters that stand in no IRI.
pub fn purpose_iri(text: &str) -> Option<String> {
    let canonical = canonical_name(text);
    let iri = match canonical.split_once(':') {
        Some((scheme, _)) if is_scheme(scheme) => canonical,
        Some(_) => return None,
        None if canonical.is_empty() => return None,
        None => format!("{}{canonical}", DASES.iri),
    };
    let never = |c: char| c.is_whitespace() || c.is_control() || "<>\"{}|\\^`".contains(c);
    (!iri.contains(never)).then_some(iri)
}

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// True for the one consent state that a policy may ask for.
pub(crate) fn is_consent_given(text: &str) -> bool {
    let canonical = canonical_name(text);
    canonical == "given" || DPV.local(&canonical) == Some("ConsentGiven")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_purpose_is_an_iri_in_whatever_spelling_it_came_and_stays_the_same_purpose() {
        for (text, iri) in [
            ("orientation", "https://w3id.org/dases/ns/orientation"),
            ("dases:orientation", "https://w3id.org/dases/ns/orientation"),
            ("dpv:Marketing", "https://w3id.org/dpv#Marketing"),
            ("https://w3id.org/dpv#Marketing", "https://w3id.org/dpv#Marketing"),
            ("https://w3id.org/dases/ns/a:b", "https://w3id.org/dases/ns/a:b"),
            ("parcours-santé", "https://w3id.org/dases/ns/parcours-santé"),
            ("urn:example:purpose", "urn:example:purpose"),
        ] {
            assert_eq!(purpose_iri(text).as_deref(), Some(iri), "{text}");
            assert_eq!(canonical_name(iri), canonical_name(text), "{text}");
        }
        for text in [
            "",
            "to help me",
            "1:2",
            ":a",
            "a b:c",
            "urn:a b",
            "a<b>",
            "urn:\u{7f}",
            "dases:",
            "urn:a\"b",
        ] {
            assert_eq!(purpose_iri(text), None, "{text:?}");
        }
    }

    #[test]
    fn each_term_is_read_bare_prefixed_and_as_iri() {
        fn spellings(namespace: Namespace, name: &str) -> [String; 3] {
            [
                name.to_owned(),
                format!("{}:{name}", namespace.prefix),
                format!("{}{name}", namespace.iri),
            ]
        }
        for action in Action::ALL {
            assert!(
                spellings(action.namespace(), action.name())
                    .iter()
                    .all(|text| Action::read(text) == Some(*action))
            );
            assert!(action.synonyms().iter().all(|text| Action::read(text) == Some(*action)));
        }
        for operator in Operator::ALL {
            assert!(
                spellings(ODRL, operator.name())
                    .iter()
                    .all(|text| Operator::read(text) == Some(*operator))
            );
        }
        for left in LeftOperand::ALL {
            assert!(
                spellings(left.namespace(), left.name())
                    .iter()
                    .all(|text| LeftOperand::read(text) == Some(*left))
            );
        }
        for category in Category::ALL {
            assert!(
                spellings(DASES, category.name())
                    .iter()
                    .all(|text| Category::read(text) == Some(*category))
            );
        }
    }

    #[test]
    fn a_term_of_another_namespace_is_unknown() {
        assert_eq!(LeftOperand::read("odrl:consent"), None);
        assert_eq!(LeftOperand::read("dases:dateTime"), None);
        assert_eq!(Action::read("USE"), None);
        assert_eq!(Action::read("http://example.org/use"), None);
        assert_eq!(Operator::read("term-lteq"), None);
    }

    #[test]
    fn no_spelling_means_two_things() {
        let mut seen = BTreeSet::new();
        for action in Action::ALL {
            assert!(seen.insert(action.name()), "{action}");
            assert!(action.synonyms().iter().all(|also| seen.insert(also)), "{action}");
        }
    }

    #[test]
    fn the_action_hierarchy_covers_downwards_only() {
        assert!(Action::Display.is_covered_by(Action::Play) && Action::Display.is_covered_by(Action::Use));
        assert!(Action::Extract.is_covered_by(Action::Reproduce));
        assert!(!Action::Use.is_covered_by(Action::Read));
        assert!(!Action::Sell.is_covered_by(Action::Use) && Action::Sell.is_covered_by(Action::Transfer));
        for action in Action::ALL {
            assert!(
                action.is_covered_by(Action::Use) != action.is_covered_by(Action::Transfer),
                "{action}"
            );
        }
    }

    #[test]
    fn purposes_have_one_spelling() {
        for text in [
            "orientation",
            "dases:orientation",
            "https://w3id.org/dases/ns/orientation",
        ] {
            assert_eq!(canonical_name(text), "orientation");
        }
        assert_eq!(
            canonical_name("dpv:ScientificResearch"),
            "https://w3id.org/dpv#ScientificResearch"
        );
        for text in ["ai:ModelTraining", "https://w3id.org/dpv/ai#ModelTraining"] {
            assert_eq!(canonical_name(text), "https://w3id.org/dpv/ai#ModelTraining");
        }
        assert_eq!(canonical_name("https://example.org/p"), "https://example.org/p");
    }
}
