//! Reads a policy from the JSON form of the Dataspace Protocol (DSP 2025-1: Offer, MessageOffer, Agreement). The only way
//! to make a [`Policy`]. Strict where leniency would widen a permission, lenient where only the notation differs.
//!
//! - Members are read bare, with the prefix `odrl:`, or as full IRIs; the same member twice is refused.
//! - One object stands for an array of one, as JSON-LD compaction writes it. Empty rule and constraint arrays are read as
//!   absent; an empty logical constraint or right operand is refused.
//! - A member that this module does not know is refused at every level, because whatever it says would be ignored. The
//!   exception is prose at the top of the policy (`dct:title`, `rdfs:label` and the like), and `@context`: terms are read
//!   by their names, as the DSP JSON schemas do, never through a context supplied by a peer.
//! - What ODRL defines and DSP leaves out (`inheritFrom`, `refinement`, a target on a rule, ...) is refused by name, except where it is
//!   understood: the `consequence` of a duty and the `remedy` of a prohibition (neither may have a consequence itself, ODRL 2.2 §2.6.6 and
//!   §2.6.7), and the `unit` of an amount. `conflict` may only say `prohibit`, which is how this crate always decides.

mod members;

pub(crate) use members::{child, identifier, is_prose, one_or_many};

use crate::{
    meaning::{Comparison, understand},
    model::{Atomic, Connective, Constraint, Duty, Kind, Policy, Rule, Term, Value},
    reason::{Said, quoted},
    vocabulary::{Action, LeftOperand, ODRL, Operator, ValueType, XSD},
};
use members::{Members, unit_elsewhere};
use serde_json::{Map, Value as Json};

/// How deep logical constraints may nest.
pub const MAX_DEPTH: usize = 16;
/// How many rules, duties, constraints and right operands a policy may hold together.
pub const MAX_NODES: usize = 1_000;

/// The JSON is not a policy that can be read without ignoring something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a readable policy, at {}: {problem}", if pointer.is_empty() { "its top" } else { pointer })]
pub struct Malformed {
    /// JSON pointer (RFC 6901) of the offending node; empty for the policy itself.
    pub pointer: String,
    /// What is wrong with it, in plain English.
    pub problem: String,
    /// The same in French.
    pub french: String,
}

const POLICY_MEMBERS: &[&str] = &[
    "@context",
    "@type",
    "@id",
    "uid",
    "profile",
    "target",
    "assigner",
    "assignee",
    "timestamp",
    "conflict",
    "permission",
    "prohibition",
    "obligation",
];
/// Of a consequence or a remedy.
const LAST_MEMBERS: &[&str] = &["@type", "@id", "uid", "action", "constraint"];
const DUTY_MEMBERS: &[&str] = &[
    "@type",
    "@id",
    "uid",
    "action",
    "informedParty",
    "constraint",
    "consequence",
];
const PROHIBITION_MEMBERS: &[&str] = &["@type", "@id", "uid", "action", "constraint", "remedy"];
const PERMISSION_MEMBERS: &[&str] = &["@type", "@id", "uid", "action", "constraint", "duty"];
const CONSTRAINT_MEMBERS: &[&str] = &[
    "@type",
    "@id",
    "uid",
    "leftOperand",
    "operator",
    "rightOperand",
    "unit",
    "and",
    "or",
    "xone",
    "andSequence",
];
type Result<T> = std::result::Result<T, Malformed>;

fn malformed<T>(pointer: &str, english: impl Into<String>, french: impl Into<String>) -> Result<T> {
    refused(pointer, Said::new(english, french))
}

fn refused<T>(pointer: &str, said: Said) -> Result<T> {
    Err(Malformed {
        pointer: pointer.to_owned(),
        problem: said.english,
        french: said.french,
    })
}

impl Policy {
    /// Reads a policy. Terms that are not understood are kept, for [`Policy::check`] to name.
    ///
    /// # Errors
    /// [`Malformed`] for the first node that is not in the form described at the top of this module.
    pub fn parse(value: &Json) -> Result<Self> {
        Reader { nodes: 0 }.policy(value)
    }
}

struct Reader {
    nodes: usize,
}

impl Reader {
    fn count(&mut self, pointer: &str) -> Result<()> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return malformed(
                pointer,
                format!("a policy may hold at most {MAX_NODES} rules, constraints and values"),
                format!("une politique contient au plus {MAX_NODES} règles, conditions et valeurs"),
            );
        }
        Ok(())
    }

    fn policy(&mut self, value: &Json) -> Result<Policy> {
        let members = Members::read(value, "", POLICY_MEMBERS, "policy")?;
        let kind = kind(&members)?;
        let Some(id) = members.id()? else {
            return malformed("", "@id is missing", "@id manque");
        };
        conflict(&members)?;
        let mut profiles = Vec::new();
        for (profile, at) in members.many("profile") {
            self.count(&at)?;
            profiles.push((at.clone(), identifier(profile, &at)?.to_owned()));
        }
        let owned = |name: &str| members.name(name).map(|text| text.map(str::to_owned));
        let policy = Policy {
            kind,
            id: id.to_owned(),
            profiles,
            target: owned("target")?,
            assigner: owned("assigner")?,
            assignee: owned("assignee")?,
            timestamp: owned("timestamp")?,
            permissions: self.rules(&members, "permission", PERMISSION_MEMBERS, &["Permission", "Rule"])?,
            prohibitions: self.rules(&members, "prohibition", PROHIBITION_MEMBERS, &["Prohibition", "Rule"])?,
            obligations: self.duties(&members, "obligation", DUTY_MEMBERS)?,
        };
        if policy.permissions.is_empty() && policy.prohibitions.is_empty() {
            return malformed(
                "",
                "a policy needs a permission or a prohibition (DSP 2025-1)",
                "une politique contient une permission ou une interdiction (DSP 2025-1)",
            );
        }
        Ok(policy)
    }

    fn rules(&mut self, members: &Members<'_>, name: &str, known: &[&str], types: &[&str]) -> Result<Vec<Rule>> {
        let mut rules = Vec::new();
        for (value, pointer) in members.many(name) {
            self.count(&pointer)?;
            let rule = Members::read(value, &pointer, known, name)?;
            rule.expect_type(types)?;
            rule.id()?;
            rules.push(Rule {
                action: action(&rule)?,
                constraints: self.constraints(&rule, "constraint", 0)?,
                duties: self.duties(&rule, "duty", DUTY_MEMBERS)?,
                remedies: self.duties(&rule, "remedy", LAST_MEMBERS)?,
                pointer,
            });
        }
        Ok(rules)
    }

    fn duties(&mut self, members: &Members<'_>, name: &str, known: &[&str]) -> Result<Vec<Duty>> {
        let mut duties = Vec::new();
        for (value, pointer) in members.many(name) {
            self.count(&pointer)?;
            let what = if matches!(name, "remedy" | "consequence") {
                name
            } else {
                "duty"
            };
            let duty = Members::read(value, &pointer, known, what)?;
            duty.expect_type(&["Duty", "Obligation", "Rule"])?;
            duty.id()?;
            let action = action(&duty)?;
            duties.push(Duty {
                informed: informed(&duty, &action)?,
                action,
                constraints: self.constraints(&duty, "constraint", 0)?,
                consequences: self.duties(&duty, "consequence", LAST_MEMBERS)?,
                pointer,
            });
        }
        Ok(duties)
    }

    fn constraints(&mut self, members: &Members<'_>, name: &str, depth: usize) -> Result<Vec<Constraint>> {
        members
            .many(name)
            .into_iter()
            .map(|(value, pointer)| self.constraint(value, pointer, depth))
            .collect()
    }

    fn constraint(&mut self, value: &Json, pointer: String, depth: usize) -> Result<Constraint> {
        self.count(&pointer)?;
        if depth >= MAX_DEPTH {
            return malformed(
                &pointer,
                format!("constraints may nest at most {MAX_DEPTH} deep"),
                format!("les conditions s’emboîtent sur {MAX_DEPTH} niveaux au plus"),
            );
        }
        let members = Members::read(value, &pointer, CONSTRAINT_MEMBERS, "constraint")?;
        members.expect_type(&["Constraint", "AtomicConstraint", "LogicalConstraint"])?;
        members.id()?;
        let atomic = ["leftOperand", "operator", "rightOperand", "unit"]
            .iter()
            .any(|name| members.get(name).is_some());
        let logical: Vec<_> = Connective::ALL
            .into_iter()
            .filter(|c| members.get(c.name()).is_some())
            .collect();
        match (atomic, logical.as_slice()) {
            (true, []) => self.atomic(&members, pointer),
            (false, [connective]) => {
                let name = connective.name();
                let parts = self.constraints(&members, name, depth + 1)?;
                if parts.is_empty() {
                    return malformed(
                        &pointer,
                        format!("{name} needs at least one constraint"),
                        format!("{name} contient au moins une condition"),
                    );
                }
                Ok(Constraint::Logical {
                    pointer,
                    connective: *connective,
                    parts,
                })
            }
            _ => malformed(
                &pointer,
                "a constraint is either leftOperand, operator and rightOperand, or exactly one of and, or, xone, andSequence",
                "une condition est soit leftOperand, operator et rightOperand, soit un seul de and, or, xone, andSequence",
            ),
        }
    }

    fn atomic(&mut self, members: &Members<'_>, pointer: String) -> Result<Constraint> {
        let written = members.required_name("leftOperand")?;
        let (left, claim) = match LeftOperand::with_claim(written) {
            Some((known, claim)) => (Term::Known(known), claim.map(str::to_owned)),
            None => (Term::Unknown(written.to_owned()), None),
        };
        let operator = term(members.required_name("operator")?, Operator::read);
        let mut right = Vec::new();
        for (value, at) in members.many("rightOperand") {
            self.count(&at)?;
            right.push(right_operand(value, &at)?);
        }
        if right.is_empty() {
            return malformed(
                &pointer,
                "rightOperand is missing or empty",
                "rightOperand manque ou est vide",
            );
        }
        let unit = unit(members, &left)?;
        let test = understand(&Comparison {
            pointer: &pointer,
            left: &left,
            claim: claim.as_deref(),
            operator: &operator,
            right: &right,
            unit: unit.as_deref(),
        });
        Ok(Constraint::Atomic(Atomic {
            pointer,
            left,
            claim,
            operator,
            right,
            unit,
            test,
        }))
    }
}

/// Only an amount has a unit.
fn unit(members: &Members<'_>, left: &Term<LeftOperand>) -> Result<Option<String>> {
    let amount = |known: LeftOperand| known.operand().values == ValueType::Amount;
    match members.get("unit") {
        Some((_, pointer)) if !left.known().is_some_and(amount) => refused(pointer, unit_elsewhere()),
        _ => Ok(members.name("unit")?.map(str::to_owned)),
    }
}

fn kind(members: &Members<'_>) -> Result<Kind> {
    let written = members.name("@type")?;
    let kind = match written.map(|text| ODRL.local_or_bare(text).unwrap_or(text)) {
        None | Some("Offer") => Kind::Offer,
        Some("Agreement") => Kind::Agreement,
        Some("Set" | "Policy") => Kind::Set,
        Some(other) => {
            let other = quoted(other);
            return malformed(
                "/@type",
                format!("{other} is not Offer, Agreement or Set"),
                format!("{other} n’est ni Offer, ni Agreement, ni Set"),
            );
        }
    };
    if kind == Kind::Agreement {
        for required in ["target", "assigner", "assignee"] {
            if members.get(required).is_none() {
                return malformed(
                    "",
                    format!("an agreement needs {required} (DSP 2025-1)"),
                    format!("un accord contient {required} (DSP 2025-1)"),
                );
            }
        }
    }
    Ok(kind)
}

fn conflict(members: &Members<'_>) -> Result<()> {
    let Some((value, pointer)) = members.get("conflict") else {
        return Ok(());
    };
    match ODRL.local_or_bare(identifier(value, pointer)?) {
        Some("prohibit") => Ok(()),
        _ => malformed(
            pointer,
            "only the conflict strategy prohibit is supported",
            "seule la stratégie de conflit prohibit est prise en charge",
        ),
    }
}

fn action(rule: &Members<'_>) -> Result<Term<Action>> {
    Ok(term(rule.required_name("action")?, Action::read))
}

/// Whom a duty names to be informed: no other duty has such a party.
fn informed(duty: &Members<'_>, action: &Term<Action>) -> Result<Option<String>> {
    let named = duty.name("informedParty")?;
    match (named, duty.get("informedParty")) {
        (Some(_), Some((_, pointer))) if *action != Term::Known(Action::Inform) => malformed(
            pointer,
            "only a duty to inform names a party to be informed",
            "seule une obligation d’informer nomme qui est à informer",
        ),
        _ => Ok(named.map(str::to_owned)),
    }
}

fn term<T>(text: &str, read: fn(&str) -> Option<T>) -> Term<T> {
    read(text).map_or_else(|| Term::Unknown(text.to_owned()), Term::Known)
}

fn right_operand(value: &Json, pointer: &str) -> Result<Value> {
    match value {
        Json::String(text) => Ok(Value {
            text: text.clone(),
            datatype: None,
        }),
        Json::Object(object) => value_object(object, pointer),
        Json::Number(_) | Json::Bool(_) => malformed(
            pointer,
            "DSP 2025-1 allows no bare number or boolean here; write {\"@value\": \"10\", \"@type\": \"xsd:integer\"}",
            "DSP 2025-1 n’admet ici ni nombre ni booléen nu ; écrivez {\"@value\": \"10\", \"@type\": \"xsd:integer\"}",
        ),
        Json::Null | Json::Array(_) => malformed(
            pointer,
            "a string, {\"@value\", \"@type\"} or {\"@id\"} is expected",
            "il faut une chaîne, {\"@value\", \"@type\"} ou {\"@id\"}",
        ),
    }
}

fn value_object(object: &Map<String, Json>, pointer: &str) -> Result<Value> {
    if let Some(unknown) = object
        .keys()
        .find(|key| !matches!(key.as_str(), "@value" | "@type" | "@id"))
    {
        return malformed(
            &child(pointer, unknown),
            "not known in a value, and ignoring it could permit too much",
            "inconnu dans une valeur, et l’ignorer pourrait permettre trop",
        );
    }
    let text = |name: &str| match object.get(name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.as_str())),
        Some(_) => malformed(&child(pointer, name), "a string is expected", "il faut une chaîne"),
    };
    match (text("@value")?, text("@type")?, text("@id")?) {
        (Some(value), datatype, None) => {
            let datatype = datatype.map(|written| match XSD.local(written) {
                Some(local) => format!("{}{local}", XSD.iri),
                None => written.to_owned(),
            });
            Ok(Value {
                text: value.to_owned(),
                datatype,
            })
        }
        (None, None, Some(id)) => Ok(Value {
            text: id.to_owned(),
            datatype: Some("@id".to_owned()),
        }),
        _ => malformed(
            pointer,
            "a value is either {\"@value\"} with an optional {\"@type\"}, or {\"@id\"}",
            "une valeur est soit {\"@value\"}, au besoin avec {\"@type\"}, soit {\"@id\"}",
        ),
    }
}

#[cfg(test)]
mod tests;
