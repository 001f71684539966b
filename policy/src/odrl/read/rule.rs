//! Rules as they are written, compact or not: each property with all its values.

use super::{
    Problem, Unreadable,
    constraint::constraints,
    node::{Document, FUNCTIONS, Kind, Node, expand, term},
};
use crate::odrl::{Constraint, Deed, Entity};
use serde_json::Value as Json;

type Result<T> = std::result::Result<T, Unreadable>;

/// What a rule says, or what a policy says for all its rules.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared {
    pub(super) actions: Vec<Deed>,
    pub(super) targets: Vec<Entity>,
    pub(super) assigners: Vec<Entity>,
    pub(super) assignees: Vec<Entity>,
    pub(super) functions: Vec<(String, Entity)>,
    pub(super) output: Option<Entity>,
    pub(super) constraints: Vec<Constraint>,
}

/// A rule as it is written: what it says itself, and the duties, remedies or consequences below it.
#[derive(Debug, Clone)]
pub(super) struct Compact {
    pub(super) pointer: String,
    pub(super) id: String,
    /// Whether it has a `uid` of its own.
    pub(super) named: bool,
    pub(super) says: Shared,
    pub(super) below: Vec<Self>,
}

impl Shared {
    pub(super) fn read<'a>(document: &mut Document<'a>, node: &Node<'a>) -> Result<Self> {
        let mut actions = Vec::new();
        for (value, pointer) in node.all("action")? {
            actions.push(action(document, value, &pointer)?);
        }
        let mut functions = Vec::new();
        for function in FUNCTIONS {
            let parties = entities(document, node, function)?;
            functions.extend(parties.into_iter().map(|party| (term(function), party)));
        }
        let output = match node.one("output")? {
            Some((value, pointer)) => Some(entity(document, value, &pointer)?),
            None => None,
        };
        Ok(Self {
            actions,
            targets: entities(document, node, "target")?,
            assigners: entities(document, node, "assigner")?,
            assignees: entities(document, node, "assignee")?,
            functions,
            output,
            constraints: constraints(document, node, "constraint", 0)?,
        })
    }

    /// The most that one atomic rule of this holds.
    pub(super) fn weight(&self) -> usize {
        let refined = |constraints: &[Constraint]| constraints.iter().map(size).sum::<usize>();
        let most = |entities: &[Entity]| {
            entities
                .iter()
                .map(|entity| refined(&entity.refinements))
                .max()
                .unwrap_or(0)
        };
        let action = self
            .actions
            .iter()
            .map(|deed| refined(&deed.refinements))
            .max()
            .unwrap_or(0);
        1 + refined(&self.constraints)
            + self.functions.len()
            + action
            + most(&self.targets)
            + most(&self.assigners)
            + most(&self.assignees)
    }
}

fn size(constraint: &Constraint) -> usize {
    match constraint {
        Constraint::Atomic(comparison) => comparison.right.len(),
        Constraint::Logical { parts, .. } => 1 + parts.iter().map(size).sum::<usize>(),
    }
}

/// The rules under a member.
pub(super) fn rules<'a>(
    document: &mut Document<'a>,
    node: &Node<'a>,
    member: &str,
    kind: Kind,
) -> Result<Vec<Compact>> {
    let mut read = Vec::new();
    for (value, pointer) in node.all(member)? {
        let node = document.node(value, &pointer, kind)?;
        let below = match kind {
            Kind::Permission => duties(document, &node, "duty", true)?,
            Kind::Prohibition => duties(document, &node, "remedy", false)?,
            _ => below_duty(document, &node, true, &Problem::NestedConsequence)?,
        };
        read.push(compact(document, &node, below)?);
    }
    Ok(read)
}

fn compact<'a>(document: &mut Document<'a>, node: &Node<'a>, below: Vec<Compact>) -> Result<Compact> {
    document.count(1, &node.pointer)?;
    Ok(Compact {
        pointer: node.pointer.clone(),
        id: node.id_or_place(),
        named: node.id.is_some(),
        says: Shared::read(document, node)?,
        below,
    })
}

/// Duties of a permission, which may have consequences, or remedies of a prohibition, which may not.
fn duties<'a>(document: &mut Document<'a>, node: &Node<'a>, member: &str, consequences: bool) -> Result<Vec<Compact>> {
    let mut read = Vec::new();
    for (value, pointer) in node.all(member)? {
        let duty = document.node(value, &pointer, Kind::Duty)?;
        let below = below_duty(document, &duty, consequences, &Problem::RemedyWithConsequence)?;
        read.push(compact(document, &duty, below)?);
    }
    Ok(read)
}

fn below_duty<'a>(document: &mut Document<'a>, duty: &Node<'a>, allowed: bool, or: &Problem) -> Result<Vec<Compact>> {
    let mut read = Vec::new();
    for (value, pointer) in duty.all("consequence")? {
        if !allowed {
            return Err(or.clone().at(&pointer));
        }
        let consequence = document.node(value, &pointer, Kind::Duty)?;
        if consequence.has("consequence") {
            return Err(Problem::NestedConsequence.at(&pointer));
        }
        read.push(compact(document, &consequence, Vec::new())?);
    }
    Ok(read)
}

/// `use`, `{"@id"}`, or `{"rdf:value", "refinement"}`.
fn action<'a>(document: &mut Document<'a>, value: &'a Json, pointer: &str) -> Result<Deed> {
    document.count(1, pointer)?;
    if let Json::String(text) = value {
        return match text.as_str() {
            "" => Err(Problem::NoAction.at(pointer)),
            text => Ok(Deed {
                action: term(text),
                refinements: Vec::new(),
            }),
        };
    }
    let node = document.node(value, pointer, Kind::Action)?;
    let named = match node.one_of("value")? {
        Some((value, _)) => Some(value),
        None => node.id.clone(),
    };
    Ok(Deed {
        action: term(&named.ok_or_else(|| Problem::NoAction.at(pointer))?),
        refinements: constraints(document, &node, "refinement", 0)?,
    })
}

fn entities<'a>(document: &mut Document<'a>, node: &Node<'a>, member: &str) -> Result<Vec<Entity>> {
    let all = node.all(member)?;
    all.into_iter()
        .map(|(value, at)| entity(document, value, &at))
        .collect()
}

/// A name, or a node with `uid` or `source` and refinements.
fn entity<'a>(document: &mut Document<'a>, value: &'a Json, pointer: &str) -> Result<Entity> {
    document.count(1, pointer)?;
    if let Json::String(text) = value
        && !document.describes(text)
    {
        if text.is_empty() {
            return Err(Problem::NoName.at(pointer));
        }
        return Ok(Entity {
            names: vec![expand(text)],
            refinements: Vec::new(),
        });
    }
    let node = document.node(value, pointer, Kind::Entity)?;
    let source = node.one_of("source")?.map(|(source, _)| source);
    let refinements = constraints(document, &node, "refinement", 0)?;
    let lenient = document.reading.lenient;
    if source.is_none() && !refinements.is_empty() && !lenient {
        return Err(Problem::RefinedUid.at(pointer));
    }
    let names: Vec<String> = source.into_iter().chain(node.id).collect();
    if names.is_empty() && (refinements.is_empty() || !lenient) {
        return Err(Problem::NoName.at(pointer));
    }
    Ok(Entity { names, refinements })
}
