//! The members of JSON objects under one name each, however they are written. Knows notations, and not what the members mean.

use super::{Result, malformed, refused};
use crate::{
    reason::{Said, quoted},
    vocabulary::{Namespace, ODRL},
};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Prose about a policy: kept out of the rules by the vocabularies that define it, so it may be passed over.
const PROSE: &[(Namespace, &[&str])] = &[
    (
        Namespace {
            prefix: "dct",
            iri: "http://purl.org/dc/terms/",
        },
        DUBLIN_CORE,
    ),
    (
        Namespace {
            prefix: "dcterms",
            iri: "http://purl.org/dc/terms/",
        },
        DUBLIN_CORE,
    ),
    (
        Namespace {
            prefix: "rdfs",
            iri: "http://www.w3.org/2000/01/rdf-schema#",
        },
        &["label", "comment"],
    ),
];
const DUBLIN_CORE: &[&str] = &[
    "title",
    "description",
    "issued",
    "modified",
    "created",
    "creator",
    "publisher",
    "identifier",
];

/// The members of one JSON object under their bare names, each with its pointer.
pub(super) struct Members<'a> {
    pub(super) pointer: String,
    by_name: BTreeMap<&'a str, (&'a Json, String)>,
}

impl<'a> Members<'a> {
    pub(super) fn read(value: &'a Json, pointer: &str, known: &[&str], what: &str) -> Result<Self> {
        let Json::Object(object) = value else {
            let [english, french] = called(what);
            return malformed(
                pointer,
                format!("{english} must be a JSON object"),
                format!("{french} doit être un objet JSON"),
            );
        };
        let mut by_name = BTreeMap::new();
        for (written, member) in object {
            let at = child(pointer, written);
            let name = ODRL
                .local(written)
                .filter(|local| !local.starts_with('@'))
                .unwrap_or(written);
            if !known.contains(&name) {
                if what == "policy" && is_prose(written) {
                    continue;
                }
                return refused(&at, unknown_member(name, what));
            }
            if by_name.insert(name, (member, at.clone())).is_some() {
                return malformed(
                    &at,
                    format!("{name} is written twice"),
                    format!("{name} est écrit deux fois"),
                );
            }
        }
        Ok(Self {
            pointer: pointer.to_owned(),
            by_name,
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<(&'a Json, &str)> {
        self.by_name
            .get(name)
            .map(|(value, pointer)| (*value, pointer.as_str()))
    }

    /// The nodes of a one-or-many member; none when it is absent.
    pub(super) fn many(&self, name: &str) -> Vec<(&'a Json, String)> {
        match self.get(name) {
            None => Vec::new(),
            Some((value, pointer)) => one_or_many(value, pointer),
        }
    }

    /// A member that names one thing: a string, `{"@id": string}`, or an array of one of these.
    pub(super) fn name(&self, name: &str) -> Result<Option<&'a str>> {
        self.get(name)
            .map(|(value, pointer)| identifier(value, pointer))
            .transpose()
    }

    pub(super) fn required_name(&self, name: &str) -> Result<&'a str> {
        let missing = || malformed(&self.pointer, format!("{name} is missing"), format!("{name} manque"));
        self.name(name)?.map_or_else(missing, Ok)
    }

    /// `@id` and `uid` are two names of one member; at most one may be given.
    pub(super) fn id(&self) -> Result<Option<&'a str>> {
        match (self.name("@id")?, self.name("uid")?) {
            (Some(_), Some(_)) => malformed(
                &self.pointer,
                "@id and uid are both given",
                "@id et uid sont donnés tous les deux",
            ),
            (id, uid) => Ok(id.or(uid)),
        }
    }

    /// Refuses an `@type` that contradicts the place where the object stands.
    pub(super) fn expect_type(&self, allowed: &[&str]) -> Result<()> {
        let Some(written) = self.name("@type")? else {
            return Ok(());
        };
        if ODRL
            .local_or_bare(written)
            .is_some_and(|local| allowed.contains(&local))
        {
            return Ok(());
        }
        let written = quoted(written);
        malformed(
            &child(&self.pointer, "@type"),
            format!("{written} cannot stand here"),
            format!("{written} n’a pas sa place ici"),
        )
    }
}

/// What a node is called in English and in French.
fn called(what: &str) -> [String; 2] {
    let french = match what {
        "policy" => "une politique",
        "permission" => "une permission",
        "prohibition" => "une interdiction",
        "remedy" => "une réparation",
        "consequence" => "une conséquence",
        "constraint" => "une condition",
        _ => "une obligation",
    };
    [format!("a {what}"), french.to_owned()]
}

fn unknown_member(name: &str, what: &str) -> Said {
    let [english, french] = called(what);
    match name {
        "target" => Said::new(
            "a rule must not carry its own target (DSP 2025-1): the policy has one target",
            "une règle n’a pas de cible à elle (DSP 2025-1) : la politique en a une",
        ),
        "assigner" | "assignee" => Said::new(
            format!("{english} must not name its own parties: the policy names them"),
            format!("{french} ne nomme pas de parties à elle : la politique les nomme"),
        ),
        "duty" => Said::new(
            format!("{english} cannot have duties"),
            format!("{french} n’a pas d’obligations"),
        ),
        "inheritFrom"
        | "refinement"
        | "remedy"
        | "consequence"
        | "unit"
        | "dataType"
        | "status"
        | "constraint"
        | "action"
        | "rightOperandReference"
        | "isReplacedBy"
        | "relation"
        | "function"
        | "output" => unsupported(name, [&english, &french]),
        _ => {
            let name = quoted(name);
            Said::new(
                format!("{name} is not known in {english}, and ignoring it could permit too much"),
                format!("{name} est inconnu dans {french}, et l’ignorer pourrait permettre trop"),
            )
        }
    }
}

/// Only an amount has a unit.
pub(super) fn unit_elsewhere() -> Said {
    unsupported("unit", ["this constraint", "cette condition"])
}

fn unsupported(name: &str, [english, french]: [&str; 2]) -> Said {
    Said::new(
        format!("{name} is not supported in {english}, and ignoring it could permit too much"),
        format!("{name} n’est pas pris en charge dans {french}, et l’ignorer pourrait permettre trop"),
    )
}

pub(crate) fn is_prose(written: &str) -> bool {
    PROSE
        .iter()
        .any(|(namespace, names)| namespace.local(written).is_some_and(|local| names.contains(&local)))
}

pub(crate) fn child(pointer: &str, member: &str) -> String {
    format!("{pointer}/{}", member.replace('~', "~0").replace('/', "~1"))
}

pub(crate) fn one_or_many<'a>(value: &'a Json, pointer: &str) -> Vec<(&'a Json, String)> {
    match value {
        Json::Array(items) => items
            .iter()
            .enumerate()
            .map(|(i, item)| (item, format!("{pointer}/{i}")))
            .collect(),
        one => vec![(one, pointer.to_owned())],
    }
}

pub(crate) fn identifier<'a>(value: &'a Json, pointer: &str) -> Result<&'a str> {
    let text = match value {
        Json::String(text) => Some(text.as_str()),
        Json::Array(items) => match items.as_slice() {
            [one] if !one.is_array() => return identifier(one, &format!("{pointer}/0")),
            _ => return malformed(pointer, "exactly one is expected", "il en faut un seul"),
        },
        Json::Object(object) if object.len() == 1 => object.get("@id").and_then(Json::as_str),
        _ => None,
    };
    match text {
        Some("") | None => malformed(
            pointer,
            "a non-empty string is expected",
            "il faut une chaîne qui ne soit pas vide",
        ),
        Some(text) => Ok(text),
    }
}
