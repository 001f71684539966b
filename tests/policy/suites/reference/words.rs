//! The reference's own tables: operands with the operators that fit, actions, namespaces and spellings.

/// How an operand is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The clock, with instants and days.
    Clock,
    /// The clock counted from an earlier instant, with lengths of time on the calendar.
    Since,
    /// Time that is added up, with lengths that have no months.
    Stretch,
    /// A number, with numbers.
    Number,
    /// One name, with names character by character.
    Name,
    /// One name that has several spellings, and may lie below others.
    Purpose,
    /// One of a closed list of names.
    Category,
    /// Given or not.
    Consent,
    /// Yes or no.
    Flag,
    /// Several names at once, as a credential says them.
    Claim,
    /// Several names at once that have several spellings, and may lie below others.
    Names,
    /// Before, during or after something.
    Event,
}

const ORDERED: &[&str] = &["eq", "neq", "isAnyOf", "isNoneOf", "lt", "lteq", "gt", "gteq"];
const SINGLE: &[&str] = &["eq", "neq", "lt", "lteq", "gt", "gteq"];
const NAMES: &[&str] = &["eq", "neq", "isAnyOf", "isNoneOf"];
const CONCEPT: &[&str] = &["eq", "neq", "isAnyOf", "isNoneOf", "isA"];
const EITHER: &[&str] = &["eq", "neq"];
const SETS: &[&str] = &["eq", "neq", "isAnyOf", "isNoneOf", "isAllOf", "hasPart"];
const CONES: &[&str] = &[
    "eq", "neq", "isAnyOf", "isNoneOf", "isAllOf", "hasPart", "isA", "isPartOf",
];

/// Namespace, name, kind, and the operators that fit.
pub(crate) const OPERANDS: &[(&str, &str, Kind, &[&str])] = &[
    ("odrl", "dateTime", Kind::Clock, ORDERED),
    ("odrl", "elapsedTime", Kind::Since, SINGLE),
    ("odrl", "delayPeriod", Kind::Since, SINGLE),
    ("odrl", "timeInterval", Kind::Since, SINGLE),
    ("odrl", "meteredTime", Kind::Stretch, SINGLE),
    ("odrl", "count", Kind::Number, ORDERED),
    ("odrl", "payAmount", Kind::Number, ORDERED),
    ("dases", "minGroupSize", Kind::Number, ORDERED),
    ("odrl", "purpose", Kind::Purpose, CONCEPT),
    ("odrl", "recipient", Kind::Name, NAMES),
    ("dases", "dataCategory", Kind::Category, NAMES),
    ("dases", "consent", Kind::Consent, EITHER),
    ("dases", "minor", Kind::Flag, EITHER),
    ("dases", "guardianConsent", Kind::Flag, EITHER),
    ("dases", "membership", Kind::Claim, SETS),
    ("dases", "credential", Kind::Claim, SETS),
    ("odrl", "event", Kind::Event, SINGLE),
    ("odrl", "spatial", Kind::Names, CONES),
    ("odrl", "language", Kind::Names, CONES),
    ("odrl", "fileFormat", Kind::Names, CONES),
    ("odrl", "version", Kind::Names, CONES),
    ("odrl", "industry", Kind::Names, CONES),
    ("odrl", "product", Kind::Names, CONES),
    ("odrl", "deliveryChannel", Kind::Names, CONES),
    ("odrl", "systemDevice", Kind::Names, CONES),
    ("dases", "application", Kind::Names, CONES),
    ("dases", "role", Kind::Names, CONES),
    ("dpv-odrl", "LegalBasis", Kind::Names, CONES),
    ("dases", "assurance", Kind::Names, CONES),
    ("dases", "securityLevel", Kind::Names, CONES),
    ("dases", "state", Kind::Names, CONES),
    ("dases", "artifactState", Kind::Names, CONES),
];

pub(crate) const CATEGORIES: &[&str] = &[
    "identity",
    "results",
    "skills",
    "certificates",
    "activity-traces",
    "experience",
    "provenance",
    "special-needs",
];

pub(super) const PROFILES: &[&str] = &[
    "https://w3id.org/dases/ns/profile",
    "http://www.w3.org/ns/odrl/2/",
    "http://www.w3.org/ns/odrl/2/core",
    "https://w3id.org/dspace/2025/1/odrl-profile.jsonld",
];

/// Each action, and the next wider one.
pub(super) const ACTIONS: &[(&str, &str)] = &[
    ("use", ""),
    ("transfer", ""),
    ("give", "transfer"),
    ("sell", "transfer"),
    ("play", "use"),
    ("display", "play"),
    ("reproduce", "use"),
    ("extract", "reproduce"),
    ("read", "use"),
    ("stream", "use"),
    ("derive", "use"),
    ("distribute", "use"),
    ("aggregate", "use"),
    ("anonymize", "use"),
    ("delete", "use"),
    ("inform", "use"),
    ("attribute", "use"),
    ("nextPolicy", "use"),
    ("acceptTracking", "use"),
    ("compensate", "use"),
    ("modify", "use"),
];
/// What a consumer promises for after the use.
pub(super) const PROMISES: &[&str] = &["delete", "inform", "attribute", "nextPolicy", "acceptTracking"];

pub(super) const SPACES: &[(&str, &str)] = &[
    ("odrl", "http://www.w3.org/ns/odrl/2/"),
    ("dases", "https://w3id.org/dases/ns/"),
    ("dpv", "https://w3id.org/dpv#"),
    ("dpv-odrl", "https://w3id.org/dpv/mappings/odrl#"),
    ("eu-gdpr", "https://w3id.org/dpv/legal/eu/gdpr#"),
    ("xsd", "http://www.w3.org/2001/XMLSchema#"),
];

/// The name in `space`, from its prefixed or full form.
pub(super) fn local<'a>(space: &str, text: &'a str) -> Option<&'a str> {
    let (prefix, iri) = SPACES.iter().find(|(prefix, _)| *prefix == space)?;
    text.strip_prefix(iri)
        .or_else(|| text.strip_prefix(prefix)?.strip_prefix(':'))
}

/// As `local`, or the bare name.
pub(super) fn term<'a>(space: &str, text: &'a str) -> Option<&'a str> {
    local(space, text).or_else(|| (!text.contains(':')).then_some(text))
}

/// A term of ODRL, or what no table holds.
pub(super) fn odrl(text: &str) -> &str {
    term("odrl", text).unwrap_or("")
}

/// The one spelling of a purpose.
pub(crate) fn spelling(text: &str) -> String {
    if let Some(name) = local("dases", text) {
        return name.to_owned();
    }
    for (prefix, iri) in SPACES {
        if let Some(name) = local(prefix, text) {
            return format!("{iri}{name}");
        }
    }
    text.to_owned()
}

/// The operand's name in worlds, with its kind and operators.
pub(crate) fn operand(written: &str) -> Option<(String, Kind, &'static [&'static str])> {
    OPERANDS.iter().find_map(|(space, name, kind, operators)| {
        let read = term(space, written)?;
        let claim = read
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('.'))
            .filter(|claim| *kind == Kind::Claim && !claim.is_empty());
        (claim.is_some() || (read == *name && *kind != Kind::Claim)).then(|| (read.to_owned(), *kind, *operators))
    })
}
