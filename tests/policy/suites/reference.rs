//! A second evaluator, written from the standard and sharing no code with the crate's: from the JSON text of a policy and
//! a flat world to yes or no. Slow and obvious on purpose. It is what `differential` holds the crate against, so nothing
//! of the crate may be used here. Each step is a method of its own, so that a mutant can get exactly one of them wrong.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// False < Unknown < True: strong Kleene logic, `and` is the least and `or` the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Truth {
    False,
    Unknown,
    True,
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// Everything that is known when one record is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct World {
    /// Milliseconds since 1970.
    pub(crate) now: i64,
    pub(crate) action: String,
    pub(crate) recipient: String,
    /// The values of each operand by its bare name. What is not here is not known.
    pub(crate) known: BTreeMap<String, BTreeSet<String>>,
}

/// How an operand is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With instants and days.
    Clock,
    /// With names, character by character.
    Name,
    /// With names that have several spellings, and may lie below others.
    Purpose,
    /// With a closed list of names.
    Category,
    /// Given or not.
    Consent,
    /// Several values at once.
    Claim,
}

const ORDERED: &[&str] = &["eq", "neq", "isAnyOf", "isNoneOf", "lt", "lteq", "gt", "gteq"];
const NAMES: &[&str] = &["eq", "neq", "isAnyOf", "isNoneOf"];
const CONCEPT: &[&str] = &["eq", "neq", "isAnyOf", "isNoneOf", "isA"];
const EITHER: &[&str] = &["eq", "neq"];
const SETS: &[&str] = &["eq", "neq", "isAnyOf", "isNoneOf", "isAllOf", "hasPart"];

/// Namespace, name, kind, and the operators that fit.
pub(crate) const OPERANDS: &[(&str, &str, Kind, &[&str])] = &[
    ("odrl", "dateTime", Kind::Clock, ORDERED),
    ("odrl", "purpose", Kind::Purpose, CONCEPT),
    ("odrl", "recipient", Kind::Name, NAMES),
    ("dases", "dataCategory", Kind::Category, NAMES),
    ("dases", "consent", Kind::Consent, EITHER),
    ("dases", "membership", Kind::Claim, SETS),
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

const PROFILES: &[&str] = &[
    "https://w3id.org/dases/ns/profile",
    "http://www.w3.org/ns/odrl/2/",
    "http://www.w3.org/ns/odrl/2/core",
    "https://w3id.org/dspace/2025/1/odrl-profile.jsonld",
];

/// Each action, and the next wider one.
const ACTIONS: &[(&str, &str)] = &[
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
const PROMISES: &[&str] = &["delete", "inform", "attribute", "nextPolicy", "acceptTracking"];

const SPACES: &[(&str, &str)] = &[
    ("odrl", "http://www.w3.org/ns/odrl/2/"),
    ("dases", "https://w3id.org/dases/ns/"),
    ("dpv", "https://w3id.org/dpv#"),
    ("xsd", "http://www.w3.org/2001/XMLSchema#"),
];

/// The name in `space`, from its prefixed or full form.
fn local<'a>(space: &str, text: &'a str) -> Option<&'a str> {
    let (prefix, iri) = SPACES.iter().find(|(prefix, _)| *prefix == space)?;
    text.strip_prefix(iri)
        .or_else(|| text.strip_prefix(prefix)?.strip_prefix(':'))
}

/// As `local`, or the bare name.
fn term<'a>(space: &str, text: &'a str) -> Option<&'a str> {
    local(space, text).or_else(|| (!text.contains(':')).then_some(text))
}

/// A term of ODRL, or what no table holds.
fn odrl(text: &str) -> &str {
    term("odrl", text).unwrap_or("")
}

/// The one spelling of a purpose.
pub(crate) fn spelling(text: &str) -> String {
    if let Some(name) = local("dases", text) {
        return name.to_owned();
    }
    for (prefix, iri) in SPACES.iter().filter(|(prefix, _)| matches!(*prefix, "odrl" | "dpv")) {
        if let Some(name) = local(prefix, text) {
            return format!("{iri}{name}");
        }
    }
    text.to_owned()
}

/// A member under its bare, prefixed or full name.
fn member<'a>(node: &'a Value, name: &str) -> Option<&'a Value> {
    let object = node.as_object()?;
    object
        .iter()
        .find_map(|(key, value)| (key == name || local("odrl", key) == Some(name)).then_some(value))
}

/// The nodes of a member that holds one or many.
pub(crate) fn nodes<'a>(node: &'a Value, name: &str) -> Vec<&'a Value> {
    match member(node, name) {
        None => Vec::new(),
        Some(Value::Array(many)) => many.iter().collect(),
        Some(one) => vec![one],
    }
}

/// A name, or a value's lexical form.
fn text(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        Value::Array(one) if one.len() == 1 => text(&one[0]),
        Value::Object(object) => ["@value", "@id"]
            .iter()
            .find_map(|key| object.get(*key))
            .map_or("", text),
        _ => "",
    }
}

fn named<'a>(node: &'a Value, name: &str) -> &'a str {
    member(node, name).map_or("", text)
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

pub(crate) trait Evaluator: Sync {
    fn permits(&self, policy: &Value, world: &World) -> bool {
        self.understood(policy)
            && self.in_force(policy, world)
            && self.permitted(policy, world)
            && !self.forbidden(policy, world)
    }

    /// Some permission covers the action, and is known to hold.
    fn permitted(&self, policy: &Value, world: &World) -> bool {
        nodes(policy, "permission").into_iter().any(|rule| {
            self.covers(odrl(named(rule, "action")), &world.action) && self.satisfied(self.rule(rule, world))
        })
    }

    /// Some prohibition is about the action, and is not known to fail.
    fn forbidden(&self, policy: &Value, world: &World) -> bool {
        nodes(policy, "prohibition")
            .into_iter()
            .any(|rule| self.stops(odrl(named(rule, "action")), &world.action) && self.active(self.rule(rule, world)))
    }

    fn satisfied(&self, truth: Truth) -> bool {
        truth == Truth::True
    }

    fn active(&self, truth: Truth) -> bool {
        truth != Truth::False
    }

    /// Only an agreement (or a bare set) is enforced, and an agreement for its assignee alone.
    fn in_force(&self, policy: &Value, world: &World) -> bool {
        match odrl(named(policy, "@type")) {
            "Agreement" => named(policy, "assignee") == world.recipient,
            "Set" | "Policy" => true,
            _ => false,
        }
    }

    /// A rule on an action is about every action below it.
    fn covers(&self, of_rule: &str, asked: &str) -> bool {
        of_rule == asked
            || ACTIONS
                .iter()
                .any(|(action, wider)| *action == asked && !wider.is_empty() && self.covers(of_rule, wider))
    }

    /// Records are handed over by reading and streaming; whoever forbids that forbids all.
    fn stops(&self, of_rule: &str, asked: &str) -> bool {
        [asked, "read", "stream"].iter().any(|part| self.covers(of_rule, part))
    }

    fn rule(&self, rule: &Value, world: &World) -> Truth {
        self.all(&self.parts(rule, "constraint", world))
    }

    fn parts(&self, node: &Value, name: &str, world: &World) -> Vec<Truth> {
        nodes(node, name)
            .into_iter()
            .map(|part| self.constraint(part, world))
            .collect()
    }

    fn constraint(&self, node: &Value, world: &World) -> Truth {
        for connective in ["and", "or", "xone", "andSequence"] {
            if member(node, connective).is_some() {
                return self.combined(connective, &self.parts(node, connective, world));
            }
        }
        self.comparison(node, world)
    }

    fn combined(&self, connective: &str, parts: &[Truth]) -> Truth {
        match connective {
            "or" => self.any(parts),
            "xone" => self.one(parts),
            _ => self.all(parts),
        }
    }

    fn all(&self, parts: &[Truth]) -> Truth {
        parts.iter().copied().min().unwrap_or(Truth::True)
    }

    fn any(&self, parts: &[Truth]) -> Truth {
        parts.iter().copied().max().unwrap_or(Truth::False)
    }

    fn one(&self, parts: &[Truth]) -> Truth {
        let count = |wanted| parts.iter().filter(|part| **part == wanted).count();
        match (count(Truth::True), count(Truth::Unknown)) {
            (2.., _) | (0, 0) => Truth::False,
            (1, 0) => Truth::True,
            _ => Truth::Unknown,
        }
    }

    fn missing(&self) -> Truth {
        Truth::Unknown
    }

    fn comparison(&self, node: &Value, world: &World) -> Truth {
        let Some((name, kind, _)) = operand(named(node, "leftOperand")) else {
            return Truth::Unknown;
        };
        let operator = odrl(named(node, "operator"));
        let right = nodes(node, "rightOperand");
        if kind == Kind::Clock {
            return Truth::from(self.on_clock(operator, &right, world.now));
        }
        let wanted: BTreeSet<String> = right.iter().map(|value| self.value(kind, text(value))).collect();
        let held = match name.as_str() {
            "recipient" => BTreeSet::from([world.recipient.clone()]),
            name => match world.known.get(name) {
                Some(values) => values.iter().map(|value| self.value(kind, value)).collect(),
                None => return self.missing(),
            },
        };
        self.compare(kind, operator, &held, &wanted)
    }

    /// The form in which a value is compared.
    fn value(&self, kind: Kind, written: &str) -> String {
        match kind {
            Kind::Purpose => spelling(written),
            Kind::Category => term("dases", written).unwrap_or(written).to_owned(),
            Kind::Consent => match spelling(written).as_str() {
                "given" | "https://w3id.org/dpv#ConsentGiven" => "given".to_owned(),
                other => other.to_owned(),
            },
            Kind::Clock | Kind::Name | Kind::Claim => written.to_owned(),
        }
    }

    fn compare(&self, kind: Kind, operator: &str, held: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Truth {
        match operator {
            "eq" | "isAnyOf" => Truth::from(self.overlap(held, wanted)),
            "neq" | "isNoneOf" => Truth::from(!self.overlap(held, wanted)),
            "isAllOf" | "hasPart" => Truth::from(self.contains(held, wanted)),
            // What lies below a purpose is not known, but it lies below itself.
            "isA" if kind == Kind::Purpose => {
                if self.overlap(held, wanted) {
                    Truth::True
                } else {
                    self.missing()
                }
            }
            _ => Truth::Unknown,
        }
    }

    fn overlap(&self, held: &BTreeSet<String>, wanted: &BTreeSet<String>) -> bool {
        held.iter().any(|value| wanted.contains(value))
    }

    fn contains(&self, held: &BTreeSet<String>, wanted: &BTreeSet<String>) -> bool {
        wanted.iter().all(|value| held.contains(value))
    }

    fn on_clock(&self, operator: &str, right: &[&Value], now: i64) -> bool {
        let spans: Vec<(i64, i64)> = right.iter().filter_map(|value| span(value)).collect();
        let in_one = spans.iter().any(|(first, last)| *first <= now && now <= *last);
        let (first, last) = spans.first().copied().unwrap_or_default();
        match operator {
            "lt" => now < first,
            "lteq" => now <= last,
            "gt" => now > last,
            "gteq" => now >= first,
            "eq" | "isAnyOf" => in_one,
            _ => !in_one,
        }
    }

    /// One word that is not understood voids the whole policy.
    fn understood(&self, policy: &Value) -> bool {
        let acted = |rule: &&Value| ACTIONS.iter().any(|(name, _)| *name == odrl(named(rule, "action")));
        let clear = |rule: &&Value| nodes(rule, "constraint").into_iter().all(|part| self.clear(part));
        let promised = |duty: &&Value| PROMISES.contains(&odrl(named(duty, "action"))) && clear(duty);
        let monitored = |duty: &&Value| {
            promised(duty) || matches!(odrl(named(duty, "action")), "anonymize" | "compensate") && clear(duty)
        };
        let rules = [nodes(policy, "permission"), nodes(policy, "prohibition")].concat();
        nodes(policy, "profile")
            .into_iter()
            .all(|profile| PROFILES.contains(&text(profile)))
            && rules.iter().all(|rule| acted(rule) && clear(rule))
            && rules.iter().all(|rule| nodes(rule, "duty").iter().all(promised))
            && nodes(policy, "obligation").iter().all(monitored)
    }

    fn clear(&self, node: &Value) -> bool {
        let parts = ["and", "or", "xone", "andSequence"]
            .map(|name| nodes(node, name))
            .concat();
        if !parts.is_empty() {
            return parts.into_iter().all(|part| self.clear(part));
        }
        let Some((_, kind, operators)) = operand(named(node, "leftOperand")) else {
            return false;
        };
        let operator = odrl(named(node, "operator"));
        let right = nodes(node, "rightOperand");
        operators.contains(&operator)
            && (right.len() == 1 || operator.starts_with("is") || operator == "hasPart")
            && right.iter().all(|value| fits(kind, value))
    }
}

/// The evaluator that the crate is held against.
pub(crate) struct Reference;

impl Evaluator for Reference {}

/// Whether a right operand can be compared with an operand of this kind.
fn fits(kind: Kind, value: &Value) -> bool {
    let datatype = value
        .get("@type")
        .map(text)
        .map(|written| local("xsd", written).unwrap_or(written));
    let name = matches!(datatype, None | Some("string" | "anyURI"))
        && !text(value).is_empty()
        && text(value).trim() == text(value);
    match kind {
        Kind::Clock => span(value).is_some(),
        Kind::Name | Kind::Purpose | Kind::Claim => name,
        Kind::Category => name && CATEGORIES.contains(&Reference.value(kind, text(value)).as_str()),
        Kind::Consent => name && Reference.value(kind, text(value)) == "given",
    }
}

/// First and last millisecond of an instant or of a day; both need a time zone.
pub(crate) fn span(value: &Value) -> Option<(i64, i64)> {
    const DAY: i64 = 86_400_000;
    let datatype = value.get("@type").map(text).and_then(|written| local("xsd", written));
    let written = text(value);
    let (date, rest) = written.split_at_checked(10)?;
    let days = days(date)?;
    match rest.strip_prefix('T') {
        None if matches!(datatype, None | Some("date")) => {
            let first = days * DAY - zone(rest)?;
            Some((first, first + DAY - 1))
        }
        Some(rest) if matches!(datatype, None | Some("dateTime" | "dateTimeStamp")) => {
            let at = rest.find(['Z', '+', '-'])?;
            let (clock, offset) = rest.split_at(at);
            let instant = days * DAY + time_of_day(clock)? - zone(offset)?;
            Some((instant, instant))
        }
        _ => None,
    }
}

/// `hh:mm`, `hh:mm:ss` or `hh:mm:ss.fraction`, in milliseconds.
fn time_of_day(clock: &str) -> Option<i64> {
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let parts: Vec<i64> = whole.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    match parts.as_slice() {
        [hour, minute] => Some((hour * 60 + minute) * 60_000),
        [hour, minute, second] => Some(((hour * 60 + minute) * 60 + second) * 1000 + millis),
        _ => None,
    }
}

/// `Z`, `+hh:mm` or `-hh:mm`, in milliseconds.
fn zone(offset: &str) -> Option<i64> {
    match offset.split_at_checked(1)? {
        ("Z", "") => Some(0),
        ("+", rest) => time_of_day(rest),
        ("-", rest) => time_of_day(rest).map(|millis| -millis),
        _ => None,
    }
}

/// `yyyy-mm-dd` as days since 1970, counted year by year and month by month.
fn days(date: &str) -> Option<i64> {
    let parts: Vec<i64> = date.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day] = parts.try_into().ok()?;
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let years: i64 = (1970..year).map(|year| 365 + i64::from(leap(year))).sum();
    let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: i64 = lengths.iter().take(usize::try_from(month).ok()? - 1).sum();
    Some(years + months + day - 1)
}
