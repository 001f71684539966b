//! Writes rules in the JSON form of DSP 2025-1 from any form that `parse` reads: bare member names, plain strings for terms,
//! arrays for constraints and duties, no ids, no empty arrays. Terms and values keep their spelling, because peers compare
//! policies character by character. What a rule means plays no part here.

use crate::{
    model::Connective,
    parse::{identifier, one_or_many},
    vocabulary::ODRL,
};
use serde_json::{Map, Value as Json};

/// A member by its bare name, under whichever name it was written.
fn member<'a>(node: &'a Json, name: &str) -> Option<&'a Json> {
    let named = |written: &str| written == name || ODRL.local(written) == Some(name);
    node.as_object()?
        .iter()
        .find_map(|(written, value)| named(written).then_some(value))
}

/// The nodes of a one-or-many member.
fn nodes<'a>(node: &'a Json, name: &str) -> Vec<&'a Json> {
    let many = member(node, name)
        .map(|value| one_or_many(value, ""))
        .unwrap_or_default();
    many.into_iter().map(|(value, _)| value).collect()
}

/// A member that names one thing, as its plain name.
fn name(node: &Json, member_name: &str) -> Option<Json> {
    let text = identifier(member(node, member_name)?, "").ok()?;
    Some(text.into())
}

fn put(object: &mut Map<String, Json>, name: &str, items: Vec<Json>) {
    if !items.is_empty() {
        object.insert(name.to_owned(), items.into());
    }
}

/// The action of a rule or duty, as it was written.
pub(crate) fn action(rule: &Json) -> Json {
    name(rule, "action").unwrap_or_default()
}

/// The profiles of a policy, as they were written.
pub(crate) fn profiles(policy: &Json) -> Vec<Json> {
    let plain = |node: &Json| identifier(node, "").ok().map(Json::from);
    nodes(policy, "profile").into_iter().filter_map(plain).collect()
}

/// A permission, prohibition or duty from its parts.
pub(crate) fn rule(action: Json, constraints: Vec<Json>, duties: Vec<Json>) -> Json {
    let mut object = Map::from_iter([("action".to_owned(), action)]);
    put(&mut object, "constraint", constraints);
    put(&mut object, "duty", duties);
    object.into()
}

/// A whole rule or duty.
pub(crate) fn whole_rule(node: &Json) -> Json {
    let all = |name: &str, write: fn(&Json) -> Json| nodes(node, name).into_iter().map(write).collect();
    let mut written = rule(action(node), all("constraint", constraint), all("duty", whole_rule));
    if let Some(object) = written.as_object_mut() {
        if let Some(party) = name(node, "informedParty") {
            object.insert("informedParty".to_owned(), party);
        }
        for below in ["remedy", "consequence"] {
            put(object, below, all(below, whole_rule));
        }
    }
    written
}

/// A whole constraint.
pub(crate) fn constraint(node: &Json) -> Json {
    let mut object = Map::new();
    for term in ["leftOperand", "operator"] {
        if let Some(text) = name(node, term) {
            object.insert(term.to_owned(), text);
        }
    }
    if let Some(right) = member(node, "rightOperand") {
        object.insert("rightOperand".to_owned(), right.clone());
    }
    if let Some(unit) = name(node, "unit") {
        object.insert("unit".to_owned(), unit);
    }
    for connective in Connective::ALL {
        let parts = nodes(node, connective.name()).into_iter().map(constraint);
        put(&mut object, connective.name(), parts.collect());
    }
    object.into()
}

/// A comparison with some of its right operands, by their places.
pub(crate) fn with_alternatives(node: &Json, kept: &[usize]) -> Json {
    let right = nodes(node, "rightOperand");
    let mut written = constraint(node);
    let some: Vec<Json> = kept
        .iter()
        .filter_map(|place| right.get(*place))
        .map(|value| (*value).clone())
        .collect();
    if let Some(object) = written.as_object_mut() {
        object.insert("rightOperand".to_owned(), some.into());
    }
    written
}

/// A policy's rules and profiles, without everything else that a policy says.
pub(crate) fn terms(
    profiles: Vec<Json>,
    permissions: Vec<Json>,
    prohibitions: Vec<Json>,
    obligations: Vec<Json>,
) -> Json {
    let mut object = Map::new();
    put(&mut object, "profile", profiles);
    put(&mut object, "permission", permissions);
    put(&mut object, "prohibition", prohibitions);
    put(&mut object, "obligation", obligations);
    object.into()
}
