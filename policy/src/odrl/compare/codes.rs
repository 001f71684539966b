//! Names whose spelling says how they relate: actions of ODRL, language tags, codes of places, identifiers of parties, plain strings. Each of
//! these schemes is complete: what its spelling does not say is not so.

use super::{concepts::Name, events};
use crate::{
    Truth,
    vocabulary::{Action, Category, DASES, LeftOperand, ODRL, canonical_name},
};

/// What kind of name it is. Names of different kinds are never known to be the same or different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scheme {
    /// A concept of some vocabulary, or of none that is known.
    Term,
    /// A string; the same by code point.
    Text,
    /// `true` or `false`.
    Flag,
    /// A term of ODRL's tree of actions, as its IRI.
    Action,
    /// A BCP 47 tag in lower case: `fr`, `fr-ca`.
    Language,
    /// A place by ISO 3166 (`FR`, `FR-IDF`) or NUTS (`FR1`, `FR10`), in capitals.
    Place,
    /// A decentralised identifier. Equality, never pattern.
    Party,
    /// A category of a skills record, bare.
    Category,
    /// How the use lies to an event.
    Phase,
    /// How it lies to itself.
    Use,
    /// Some name that nobody wrote.
    Fresh,
}

/// Left operands whose strings name concepts, as bare names.
const CONCEPTUAL: &[&str] = &[
    "purpose",
    "spatial",
    "language",
    "recipient",
    "industry",
    "event",
    "product",
    "consent",
    "membership",
];

/// Customary spellings of a language and of a place as an IRI.
const LANGUAGES: &[&str] = &["bcp47:", "https://tools.ietf.org/html/bcp47#", "urn:ietf:bcp:47:"];
const PLACES: &[&str] = &["iso3166:", "nuts:", "http://data.europa.eu/nuts/code/"];

/// The same of a media type.
const MEDIA_TYPES: &[&str] = &[
    "https://www.iana.org/assignments/media-types/",
    "http://www.iana.org/assignments/media-types/",
];

/// The kinds of which a thing is only ever one, each by the names that go with it: a transfer is pushed or pulled.
const KINDS: &[(&str, &[&[&str]])] = &[(
    "deliveryChannel",
    &[&["push", "HttpData-PUSH"], &["pull", "HttpData-PULL"]],
)];

/// Codes of their own that ISO 3166-2 lists as parts of a country as well.
const PARTS: &[(&str, &str)] = &[
    ("FR", "BL GF GP MF MQ NC PF PM RE TF WF YT"),
    ("NL", "AW BQ CW SX"),
    ("NO", "SJ"),
    ("FI", "AX"),
    ("US", "AS GU MP PR UM VI"),
    ("CN", "HK MO TW"),
];

/// Operands of ODRL by single axes, such as `absoluteSizeWidth` of `absoluteSize`.
const SPATIAL_AXES: &str = "http://w3id.org/odrl/spatial-axis#";

/// The local name of a left operand of ODRL, of its spatial axes or of our profile, or the text as it stands.
pub(super) fn local(left: &str) -> &str {
    let known = ODRL.local(left).or_else(|| DASES.local(left));
    known.or_else(|| left.strip_prefix(SPATIAL_AXES)).unwrap_or(left)
}

/// The name that a text stands for, given the left operand; `coded` reads languages and places as codes.
pub(super) fn name(left: &str, text: &str, literal: bool, coded: bool) -> Name {
    let local = local(left);
    let named = |scheme, text: String| Name { scheme, text };
    if let Some((scheme, code)) = coded.then(|| code(local, text)).flatten() {
        return named(scheme, code);
    }
    if let Some(category) = (local == "dataCategory").then(|| Category::read(text)).flatten() {
        return named(Scheme::Category, category.name().to_owned());
    }
    if text.starts_with("did:") {
        return named(Scheme::Party, text.to_owned());
    }
    if literal && !CONCEPTUAL.contains(&local) {
        return named(Scheme::Text, text.to_owned());
    }
    named(Scheme::Term, canonical_name(text))
}

/// The code of a language, a place or a format that a text stands for, given the left operand.
fn code(local: &str, text: &str) -> Option<(Scheme, String)> {
    let text = canonical_name(text);
    match local {
        "language" => Some((Scheme::Language, language(&text)?)),
        "spatial" => Some((Scheme::Place, place(&text)?)),
        "fileFormat" => Some((Scheme::Text, media_type(&text)?)),
        _ => None,
    }
}

/// The one spelling in which names of an operand are enforced: languages, places and formats by their codes, identities and claims as they are written.
pub(crate) fn spelling(operand: LeftOperand, text: &str) -> String {
    match operand {
        LeftOperand::Recipient | LeftOperand::Membership | LeftOperand::Credential => text.to_owned(),
        other => code(other.name(), text).map_or_else(|| canonical_name(text), |(_, code)| code),
    }
}

/// All that contains a name of an operand, as its code says, and the name itself.
pub(crate) fn containing(operand: LeftOperand, name: &str) -> Vec<String> {
    match code(operand.name(), name) {
        Some((scheme, code)) => above(&code, scheme),
        None => vec![name.to_owned()],
    }
}

/// The name of an action.
pub(super) fn action(text: &str) -> Name {
    match Action::read(text) {
        Some(action) => Name {
            scheme: Scheme::Action,
            text: action.iri(),
        },
        None => Name {
            scheme: Scheme::Term,
            text: text.to_owned(),
        },
    }
}

/// All names of a scheme, where they can be counted.
pub(super) fn counted(scheme: Scheme) -> Vec<Name> {
    let all = match scheme {
        Scheme::Flag => vec!["false", "true"],
        Scheme::Category => Category::ALL.iter().map(|category| category.name()).collect(),
        Scheme::Phase => events::PHASES.to_vec(),
        Scheme::Use => events::OF_USE.to_vec(),
        _ => Vec::new(),
    };
    let named = |text: &str| Name {
        scheme,
        text: text.to_owned(),
    };
    all.into_iter().map(named).collect()
}

fn stripped<'a>(text: &'a str, prefixes: &[&str]) -> &'a str {
    prefixes
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text)
}

/// Longest tag that is read as one, in bytes. RFC 5646 §4.4.1 shows that 35 are enough; each subtag makes one more name to compare.
const LONGEST_TAG: usize = 64;

/// A well-formed tag (RFC 5646 §2.1) in lower case.
fn language(text: &str) -> Option<String> {
    let tag = Some(stripped(text, LANGUAGES)).filter(|tag| tag.len() <= LONGEST_TAG)?;
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let primary = tag.split('-').next().unwrap_or(tag);
    let known = (2..=3).contains(&primary.len()) && primary.bytes().all(|byte| byte.is_ascii_alphabetic());
    (known && tag.split('-').all(part)).then(|| tag.to_ascii_lowercase())
}

/// `FR`, `FR-IDF`, `FR1` to `FR101`. Codes that ISO 3166 leaves to its users, and those that stand for unions, are no places here; nor are three
/// letters, which may be a country's other code (`CHN` is no part of `CH`).
fn place(text: &str) -> Option<String> {
    let code = stripped(text, PLACES);
    let (country, rest) = code.split_at_checked(2)?;
    let capitals = country.bytes().all(|byte| byte.is_ascii_uppercase());
    let of_users = country == "AA" || country == "ZZ" || country.starts_with('X') || ("QM".."R").contains(&country);
    let subdivision = rest.strip_prefix('-').unwrap_or(rest);
    let letters = subdivision.len() <= 3
        && subdivision
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && rest.is_empty() == subdivision.is_empty();
    let union = matches!(country, "EU" | "UN" | "EZ");
    let told_apart = rest.is_empty() || is_iso(rest) || rest.bytes().any(|byte| byte.is_ascii_digit());
    // NUTS has codes of its own for two countries.
    let country = match country {
        "EL" => "GR",
        "UK" => "GB",
        other => other,
    };
    (capitals && letters && told_apart && !of_users && !union).then(|| format!("{country}{rest}"))
}

/// `text/csv`, in lower case (RFC 6838 §4.2).
fn media_type(text: &str) -> Option<String> {
    let (kind, format) = stripped(text, MEDIA_TYPES).split_once('/')?;
    let is_name = |part: &str| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !part.is_empty() && part.bytes().all(letter)
    };
    (is_name(kind) && is_name(format)).then(|| format!("{kind}/{format}").to_ascii_lowercase())
}

/// The kind that a name says its operand is of, if an operand that has this name has none that says otherwise: a transfer is pushed or pulled, in
/// one format.
pub(super) fn kind<'n>(left: &str, name: &'n Name) -> Option<&'n str> {
    let (local, name) = (local(left), name.text.as_str());
    if local == "fileFormat" {
        return media_type(name).is_some().then_some(name);
    }
    let (_, kinds) = KINDS.iter().find(|(operand, _)| *operand == local)?;
    kinds.iter().find(|names| names.contains(&name))?.first().copied()
}

fn country(code: &str) -> &str {
    code.split_at_checked(2).map_or(code, |(country, _)| country)
}

/// The country of which a country's code names a part.
fn whole(code: &str) -> Option<&'static str> {
    let found = PARTS
        .iter()
        .find(|(_, parts)| parts.split(' ').any(|part| part == country(code)));
    found.map(|(whole, _)| *whole)
}

/// Whether a code is written in the manner of ISO 3166-2, which NUTS does not relate to within a country.
fn is_iso(code: &str) -> bool {
    code.contains('-')
}

/// The name and all that its spelling puts it into.
pub(super) fn above(text: &str, scheme: Scheme) -> Vec<String> {
    match scheme {
        Scheme::Action => {
            let steps = std::iter::successors(Action::read(text), |action| action.included_in());
            steps.map(Action::iri).collect()
        }
        Scheme::Language => {
            let ends = text.match_indices('-').map(|(at, _)| at).chain([text.len()]);
            ends.filter_map(|end| text.get(..end)).map(str::to_owned).collect()
        }
        Scheme::Place => {
            let ends = (2..=text.len()).filter(|end| !is_iso(text) || *end == 2 || *end == text.len());
            let own = ends.filter_map(|end| text.get(..end)).map(str::to_owned);
            own.chain(whole(text).map(str::to_owned)).collect()
        }
        _ => vec![text.to_owned()],
    }
}

/// Whether one name is a part of another of the same scheme.
pub(super) fn is_below(name: &str, wider: &str, scheme: Scheme) -> Truth {
    match scheme {
        Scheme::Action | Scheme::Language | Scheme::Category | Scheme::Flag | Scheme::Phase | Scheme::Use => {
            above(name, scheme).iter().any(|text| text == wider).into()
        }
        Scheme::Place if above(name, scheme).iter().any(|text| text == wider) => Truth::True,
        Scheme::Place if may_overlap(name, wider) => Truth::Unknown,
        // An identifier of a party is equal or it is not; it has no parts.
        Scheme::Place | Scheme::Party => Truth::False,
        Scheme::Term | Scheme::Text | Scheme::Fresh => Truth::Unknown,
    }
}

/// Two places of which the codes do not tell how they lie: an ISO 3166-2 and a NUTS code of one country, or a country and a code that
/// stands for a part of it elsewhere.
fn may_overlap(one: &str, other: &str) -> bool {
    let whole_of = |code: &str| whole(code).unwrap_or_else(|| country(code)).to_owned();
    let plain = |code: &str| code.len() == 2;
    let own_code = |code: &str| whole(code).is_some();
    whole_of(one) == whole_of(other)
        && !(plain(one) && whole(one).is_none() || plain(other) && whole(other).is_none())
        && (is_iso(one) != is_iso(other) || own_code(one) != own_code(other))
}

/// Whether two different names of one scheme are certain to mean different things.
pub(super) fn different(one: &str, other: &str, scheme: Scheme) -> bool {
    match scheme {
        Scheme::Place => !may_overlap(one, other),
        Scheme::Term => false,
        _ => one != other,
    }
}

/// Whether two different names of one scheme are certain to have nothing in common.
pub(super) fn disjoint(one: &str, other: &str, scheme: Scheme) -> bool {
    let within = |name: &str, wider: &str| above(name, scheme).iter().any(|text| text == wider);
    match scheme {
        Scheme::Action | Scheme::Language | Scheme::Category | Scheme::Flag | Scheme::Phase | Scheme::Use => {
            !within(one, other) && !within(other, one)
        }
        Scheme::Place => !within(one, other) && !within(other, one) && !may_overlap(one, other),
        Scheme::Party => one != other,
        // Strings and terms may have parts that nothing here tells of.
        Scheme::Term | Scheme::Text | Scheme::Fresh => false,
    }
}
