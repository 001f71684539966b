//! The notation: JSON objects as nodes of JSON-LD, their members under one name each, their values flat. Knows what members there are, and not
//! what they mean.

use super::{Problem, Reading, Unreadable};
use crate::{
    parse::{MAX_NODES, child, is_prose},
    vocabulary::{DASES, DPV, LeftOperand, ODRL, XSD},
};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, HashMap};

type Result<T> = std::result::Result<T, Unreadable>;

/// What a node is, which says what members it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Policy,
    Permission,
    Prohibition,
    Duty,
    Constraint,
    Action,
    Entity,
}

const RULE: &[&str] = &["action", "target", "assigner", "assignee", "output", "constraint"];
/// The further functions of parties in the Common Vocabulary (ODRL 2.2, Vocabulary §4.5).
pub(super) const FUNCTIONS: &[&str] = &[
    "attributedParty",
    "attributingParty",
    "compensatedParty",
    "compensatingParty",
    "consentedParty",
    "consentingParty",
    "contractedParty",
    "contractingParty",
    "informedParty",
    "informingParty",
    "trackedParty",
    "trackingParty",
];

impl Kind {
    /// The members beside `@id`, `@type`, and those of every rule.
    const fn members(self) -> &'static [&'static str] {
        match self {
            Self::Policy => &[
                "@context",
                "profile",
                "inheritFrom",
                "conflict",
                "permission",
                "prohibition",
                "obligation",
                "isReplacedBy",
            ],
            Self::Permission => &["duty"],
            Self::Prohibition => &["remedy"],
            Self::Duty => &["consequence"],
            Self::Constraint => &[
                "leftOperand",
                "operator",
                "rightOperand",
                "rightOperandReference",
                "dataType",
                "unit",
                "status",
                "anchor",
                "and",
                "or",
                "xone",
                "andSequence",
            ],
            Self::Action => &["value", "refinement"],
            Self::Entity => &["source", "refinement", "partOf", "hasPolicy"],
        }
    }

    /// The types of ODRL that a node of this kind may have.
    const fn types(self) -> &'static [&'static str] {
        match self {
            Self::Policy => &[
                "Policy",
                "Set",
                "Offer",
                "Agreement",
                "Request",
                "Assertion",
                "Privacy",
                "Ticket",
            ],
            Self::Permission => &["Permission", "Rule"],
            Self::Prohibition => &["Prohibition", "Rule"],
            Self::Duty => &["Duty", "Rule"],
            Self::Constraint => &["Constraint", "LogicalConstraint"],
            Self::Action => &["Action"],
            Self::Entity => &["Asset", "AssetCollection", "Party", "PartyCollection"],
        }
    }

    const fn is_rule(self) -> bool {
        matches!(self, Self::Permission | Self::Prohibition | Self::Duty)
    }

    fn knows(self, name: &str) -> bool {
        let of_rules = self.is_rule() || self == Self::Policy;
        matches!(name, "@id" | "@type")
            || self.members().contains(&name)
            || (of_rules && (RULE.contains(&name) || FUNCTIONS.contains(&name)))
    }
}

/// A document: what it says of each `@id`, and how much of it has been read.
pub(super) struct Document<'a> {
    pub(super) reading: &'a Reading<'a>,
    /// The policy, of whose name and their place the names of nodes without `uid` are made.
    pub(super) policy: String,
    by_id: HashMap<&'a str, &'a Map<String, Json>>,
    nodes: usize,
}

impl<'a> Document<'a> {
    pub(super) fn new(json: &'a Json, reading: &'a Reading<'a>) -> Self {
        let (mut by_id, mut open) = (HashMap::new(), vec![json]);
        while let Some(value) = open.pop() {
            match value {
                Json::Array(items) => open.extend(items),
                Json::Object(object) => {
                    open.extend(object.values());
                    if let Some(id) = object
                        .iter()
                        .find_map(|(key, value)| (name_of(key) == "@id").then(|| value.as_str())?)
                        && object.len() > 1
                    {
                        by_id.entry(id).or_insert(object);
                    }
                }
                _ => {}
            }
        }
        Self {
            reading,
            policy: String::new(),
            by_id,
            nodes: 0,
        }
    }

    /// Whether it says anything of this `@id`.
    pub(super) fn describes(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// Counts rules, constraints and values against the limit.
    pub(super) fn count(&mut self, nodes: usize, pointer: &str) -> Result<()> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(Problem::TooMany.at(pointer));
        }
        Ok(())
    }

    /// Reads an object, or what the document says elsewhere of the `@id` that stands in its place.
    pub(super) fn node(&self, value: &'a Json, pointer: &str, kind: Kind) -> Result<Node<'a>> {
        let object = match value {
            Json::Object(object) => match object.iter().next() {
                Some((key, Json::String(id))) if object.len() == 1 && name_of(key) == "@id" => {
                    self.by_id.get(id.as_str()).copied().unwrap_or(object)
                }
                _ => object,
            },
            Json::String(id) if kind != Kind::Policy => *self
                .by_id
                .get(id.as_str())
                .ok_or_else(|| Problem::Expected("an object").at(pointer))?,
            _ => return Err(Problem::Expected("an object").at(pointer)),
        };
        let node = Node::read(object, pointer, kind, self.reading.lenient)?;
        node.check_type(kind)?;
        Ok(node)
    }
}

/// The members of one object under their names, each with its pointer.
pub(super) struct Node<'a> {
    pub(super) pointer: String,
    pub(super) id: Option<String>,
    members: BTreeMap<&'a str, (&'a Json, String)>,
}

impl<'a> Node<'a> {
    fn read(object: &'a Map<String, Json>, pointer: &str, kind: Kind, lenient: bool) -> Result<Self> {
        let (mut members, mut id) = (BTreeMap::new(), None);
        for (written, value) in object {
            let (at, name) = (child(pointer, written), name_of(written));
            // What other vocabularies say of a party or an asset describes it, and no rule asks.
            let passed_over =
                lenient || is_prose(written) || (kind == Kind::Entity && name == written && name.contains(':'));
            if !kind.knows(name) {
                if passed_over {
                    continue;
                }
                return Err(Problem::UnknownMember(written.clone()).at(&at));
            }
            if name == "@id" {
                let read = Self::one_name(value, &at)?;
                if id.replace(read.clone()).is_some_and(|before| before != read) {
                    return Err(Problem::Twice("uid".to_owned()).at(&at));
                }
            } else if members.insert(name, (value, at.clone())).is_some() {
                return Err(Problem::Twice(name.to_owned()).at(&at));
            }
        }
        Ok(Self {
            pointer: pointer.to_owned(),
            id,
            members,
        })
    }

    fn one_name(value: &Json, pointer: &str) -> Result<String> {
        match flat(value, pointer)?.as_slice() {
            [(one, at)] => name(one, at),
            _ => Err(Problem::Expected("exactly one").at(pointer)),
        }
    }

    fn check_type(&self, kind: Kind) -> Result<()> {
        for (written, at) in self.names("@type")? {
            // A type of another vocabulary says nothing about the place of a node here.
            let Some(local) = ODRL.local_or_bare(&written) else {
                continue;
            };
            if kind.types().contains(&local) {
                continue;
            }
            let other_rule = kind.is_rule() && matches!(local, "Permission" | "Prohibition" | "Duty");
            return Err(if other_rule {
                Problem::TwoRuleClasses(self.id.clone().unwrap_or(written))
            } else {
                Problem::WrongType(written)
            }
            .at(&at));
        }
        Ok(())
    }

    /// Whether it says that it is of this type of ODRL.
    pub(super) fn is_a(&self, kind: &str) -> Result<bool> {
        let types = self.names("@type")?;
        Ok(types
            .iter()
            .any(|(written, _)| ODRL.local_or_bare(written) == Some(kind)))
    }

    /// Its own name, or one made of its place in the document.
    pub(super) fn id_in(&self, document: &Document<'_>) -> String {
        let made = || format!("{}#{}", document.policy, self.pointer);
        self.id.clone().unwrap_or_else(made)
    }

    /// Whether the member is written at all.
    pub(super) fn has(&self, member: &str) -> bool {
        self.members.contains_key(member)
    }

    /// The values of a member, each with its pointer; none when it is absent.
    pub(super) fn all(&self, name: &str) -> Result<Vec<(&'a Json, String)>> {
        match self.members.get(name) {
            None => Ok(Vec::new()),
            Some((value, pointer)) => flat(value, pointer),
        }
    }

    /// The value of a member that has at most one.
    pub(super) fn one(&self, member: &'static str) -> Result<Option<(&'a Json, String)>> {
        let mut all = self.all(member)?;
        match (all.pop(), all.is_empty()) {
            (one, true) => Ok(one),
            (_, false) => Err(Problem::Expected("exactly one").at(&child(&self.pointer, member))),
        }
    }

    /// The names that a member gives.
    pub(super) fn names(&self, member: &str) -> Result<Vec<(String, String)>> {
        let all = self.all(member)?;
        all.into_iter().map(|(value, at)| Ok((name(value, &at)?, at))).collect()
    }

    /// As [`Node::names`], for a member that gives at most one.
    pub(super) fn one_of(&self, member: &'static str) -> Result<Option<(String, String)>> {
        let one = self.one(member)?;
        one.map(|(value, at)| Ok((name(value, &at)?, at))).transpose()
    }
}

/// The name of a member, whatever its spelling.
fn name_of(written: &str) -> &str {
    match written {
        "uid" | "id" | "odrl:uid" | "http://www.w3.org/ns/odrl/2/uid" => return "@id",
        "type" | "rdf:type" | "http://www.w3.org/1999/02/22-rdf-syntax-ns#type" => return "@type",
        "rdf:value" | "http://www.w3.org/1999/02/22-rdf-syntax-ns#value" => return "value",
        "dases:anchor" | "https://w3id.org/dases/ns/anchor" => return "anchor",
        "dct:isReplacedBy" | "dcterms:isReplacedBy" | "http://purl.org/dc/terms/isReplacedBy" => return "isReplacedBy",
        _ => {}
    }
    ODRL.local(written)
        .filter(|local| !local.starts_with('@'))
        .unwrap_or(written)
}

/// Whether a node has rules, which makes it a policy.
pub(super) fn holds_rules(node: &Json) -> bool {
    let rules = |written: &String| {
        matches!(
            name_of(written),
            "permission" | "prohibition" | "obligation" | "inheritFrom"
        )
    };
    node.as_object().is_some_and(|object| object.keys().any(rules))
}

/// The values of a member: one, an array, a `@list` or a `@set`.
fn flat<'a>(value: &'a Json, pointer: &str) -> Result<Vec<(&'a Json, String)>> {
    let items = |items: &'a [Json], pointer: &str| -> Vec<(&'a Json, String)> {
        let places = items.iter().enumerate();
        places
            .map(|(place, item)| (item, format!("{pointer}/{place}")))
            .collect()
    };
    let around = match value {
        Json::Array(all) => items(all, pointer),
        one => vec![(one, pointer.to_owned())],
    };
    let mut flat = Vec::new();
    for (value, pointer) in around {
        let inner = value.as_object().and_then(|object| {
            let (key, inner) = object.iter().next()?;
            (object.len() == 1 && matches!(key.as_str(), "@list" | "@set")).then_some((key, inner))
        });
        match (inner, value) {
            (Some((key, Json::Array(all))), _) => flat.extend(items(all, &child(&pointer, key))),
            (Some((key, inner)), _) => flat.push((inner, child(&pointer, key))),
            (None, Json::Null | Json::Array(_)) => return Err(Problem::Expected("one value").at(&pointer)),
            (None, value) => flat.push((value, pointer)),
        }
    }
    Ok(flat)
}

/// What names a thing: a string, `{"@id"}`, or `{"@value"}`. Known prefixes are written out.
fn name(value: &Json, pointer: &str) -> Result<String> {
    let text = match value {
        Json::String(text) => Some(text.as_str()),
        Json::Object(object) => {
            let ided = object.iter().find(|(key, _)| matches!(name_of(key), "@id" | "@value"));
            ided.and_then(|(_, text)| text.as_str())
        }
        _ => None,
    };
    match text {
        None | Some("") => Err(Problem::Expected("a name").at(pointer)),
        Some(text) => Ok(expand(text)),
    }
}

/// The full IRI behind a known prefix, or the text as it stands.
pub(super) fn expand(text: &str) -> String {
    let known = [ODRL, DASES, DPV, XSD];
    let found = known
        .iter()
        .find_map(|namespace| Some(format!("{}{}", namespace.iri, namespace.local(text)?)));
    found.unwrap_or_else(|| text.to_owned())
}

/// As [`expand`], and a bare name is a term of ODRL.
pub(super) fn term(text: &str) -> String {
    if text.contains(':') {
        expand(text)
    } else {
        format!("{}{text}", ODRL.iri)
    }
}

/// As [`term`]; our own left operands may stand bare as well.
pub(in crate::odrl) fn left_operand(text: &str) -> String {
    match LeftOperand::read(text) {
        Some(known) => known.iri(),
        None if LeftOperand::with_claim(text).is_some() && !text.contains(':') => format!("{}{text}", DASES.iri),
        None => term(text),
    }
}
