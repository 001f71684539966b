//! What the comparison of areas (`odrl::compare`) tells of policies of the Dataspace Protocol, place by place: rules of one policy that meet or
//! never apply, how asked terms differ from offered ones, and where two agreements contradict each other. It names and explains. Whether one
//! policy stays within another is decided in `narrower`, and the terms that both allow are written in `intersect`.

use crate::{
    Lint, LintCode, Policy,
    model::Connective,
    narrower,
    odrl::{
        self, Reading,
        compare::{self, Answer, Concepts, Verdict, Why, Within},
    },
    reason::Code,
    vocabulary::ODRL,
};
use serde_json::Value as Json;
use std::sync::LazyLock;

/// What is asked about terms that a peer has a part in, who may send as many as it likes.
static BRIEFLY: LazyLock<Concepts> = LazyLock::new(|| Concepts::profile().briefly());

/// The policy under this name, as the comparison reads it: each rule and constraint is called by the name and its JSON pointer.
fn located(json: &Json, name: &str) -> Option<odrl::Policy> {
    let mut json = json.clone();
    unnamed(&mut json);
    let members = json.as_object_mut()?;
    members.retain(|key, _| ODRL.local_or_bare(key) != Some("uid"));
    members.insert("@id".to_owned(), name.into());
    odrl::Policy::read(&json, &Reading::LENIENT).ok()
}

/// Takes the ids off rules and constraints, so that each is called by its place.
fn unnamed(json: &mut Json) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(unnamed),
        Json::Object(members) => {
            let is_node = members.keys().any(|key| {
                let local = ODRL.local_or_bare(key).unwrap_or_default();
                matches!(local, "action" | "leftOperand") || Connective::ALL.iter().any(|one| one.name() == local)
            });
            if is_node {
                members.retain(|key, _| key != "@id" && ODRL.local_or_bare(key) != Some("uid"));
            }
            members.values_mut().for_each(unnamed);
        }
        _ => {}
    }
}

/// The JSON pointer in the name that a rule or constraint was given.
fn pointer(id: &str) -> &str {
    id.split_once('#').map_or("", |(_, pointer)| pointer)
}

/// The rules and constraints, by their JSON pointers, that leave nothing of each other: a smallest such set. Empty where there is none, or none
/// can be shown.
pub fn leaving_nothing(policy: &Json) -> Vec<String> {
    impossible(policy, &Concepts::profile())
}

/// The same as far as a few milliseconds show.
pub(crate) fn leaving_nothing_briefly(policy: &Json) -> Vec<String> {
    impossible(policy, &BRIEFLY)
}

fn impossible(policy: &Json, concepts: &Concepts) -> Vec<String> {
    match located(policy, "policy").map(|read| compare::satisfiable(&read, concepts)) {
        Some(Answer::Impossible(ids)) => ids.iter().map(|id| pointer(id).to_owned()).collect(),
        _ => Vec::new(),
    }
}

/// What the author of a policy may not have meant by its rules together: a permission and a prohibition that meet, and rules that never apply.
pub fn rules_together(policy: &Json) -> Vec<Lint> {
    let Some(read) = located(policy, "policy") else {
        return Vec::new();
    };
    let found = compare::contradiction(&read, &Concepts::profile());
    let overlaps = found.overlaps.into_iter().map(|overlap| Lint {
        code: LintCode::RulesMeet,
        pointer: pointer(&overlap.prohibition).to_owned(),
        about: format!("{}, for instance: {}", pointer(&overlap.permission), overlap.request),
    });
    let dead = found.dead.into_iter().map(|(rule, ids)| Lint {
        code: LintCode::NeverApplies,
        pointer: pointer(&rule).to_owned(),
        about: ids.iter().map(|id| pointer(id)).collect::<Vec<_>>().join(", "),
    });
    overlaps.chain(dead).collect()
}

/// How terms that were asked for differ from those offered. Holds nothing but what the two policies say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differences {
    /// It is shown that nothing is permitted by both.
    pub disjoint: bool,
    /// In plain English, for whoever asked: the smallest set of rules and constraints that leaves nothing in common; a request that only what
    /// was asked for permits; and what each says of every operand on which they differ.
    pub told: Vec<String>,
}

/// The policy as it would be agreed between these two: an agreement names the parties itself, so what the terms say of them decides nothing.
fn between_the_same(json: &Json, name: &str) -> Option<odrl::Policy> {
    let mut json = json.clone();
    let is_party = |key: &str| matches!(ODRL.local_or_bare(key), Some("assigner" | "assignee"));
    json.as_object_mut()?.retain(|key, _| !is_party(key));
    located(&json, name)
}

/// Tells how `asked`, which is not within `offered`, differs from it, as far as a few milliseconds show. Who the parties are plays no part.
pub fn differences(asked: &Json, offered: &Json) -> Differences {
    let mut told = Vec::new();
    if let (Ok(one), Ok(other)) = (Policy::parse(asked), Policy::parse(offered)) {
        told.extend(narrower::within(&one, &other).err().map(|wider| wider.to_string()));
    }
    let (Some(one), Some(other)) = (between_the_same(asked, "asked"), between_the_same(offered, "offered")) else {
        return Differences { disjoint: false, told };
    };
    let disjoint = match compare::compatible(&one, &other, &BRIEFLY) {
        Answer::Impossible(ids) => {
            told.insert(0, nothing_common(&ids));
            true
        }
        _ => false,
    };
    match compare::within(&one, &other, &BRIEFLY) {
        Within::No { request, because } => {
            let code = if because.ends_with("prohibits it") {
                Code::Prohibited
            } else {
                Code::NoPermission
            };
            let because = because.replace('#', " ");
            told.push(format!(
                "{code}: only what is asked permits, for instance: {request} ({because})"
            ));
        }
        Within::Unknown(Why::TooLarge | Why::TooDeep) => {
            let meaning = Code::TooComplex.meaning();
            told.push(format!("{}: {meaning}", Code::TooComplex));
        }
        Within::Unknown(Why::NotUnderstood { .. }) | Within::Yes => {}
    }
    let operands = compare::operands(&one, &other, &BRIEFLY);
    let differing = operands
        .iter()
        .filter(|operand| operand.contained != Verdict::Compatible);
    told.extend(differing.map(|operand| {
        let (name, first, second) = (&operand.operand, &operand.first, &operand.second);
        format!("{name}: asked is {first}; offered is {second}")
    }));
    Differences { disjoint, told }
}

fn nothing_common(ids: &[String]) -> String {
    let code = Code::Unsatisfiable;
    if ids.is_empty() {
        return format!("{}: one of the two policies permits nothing", Code::NoPermission);
    }
    let places: Vec<String> = ids.iter().map(|id| id.replace('#', " ")).collect();
    format!(
        "{code}: nothing is permitted by both; together impossible: {}",
        places.join(", ")
    )
}

/// Where `one` permits what `other` prohibits, or the other way round, in plain English, as far as a few milliseconds show. Terms that
/// merely differ do not contradict each other.
pub fn contradictions(one: &Json, other: &Json) -> Vec<String> {
    let (Some(one), Some(other)) = (located(one, "this"), located(other, "other")) else {
        return Vec::new();
    };
    let mut told = opposed(&one, &other, "this agreement permits", "the other prohibits");
    told.extend(opposed(&other, &one, "the other permits", "this agreement prohibits"));
    told
}

/// What the one grants, as far as its own prohibitions leave it, and a prohibition of the other covers.
fn opposed(permitting: &odrl::Policy, prohibiting: &odrl::Policy, permits: &str, prohibits: &str) -> Vec<String> {
    let found = compare::opposed(permitting, prohibiting, &BRIEFLY).into_iter();
    let told = found.map(|(prohibition, request)| {
        let place = pointer(prohibition);
        format!("{permits} what {prohibits} at {place}, for instance: {request}")
    });
    told.collect()
}

#[cfg(test)]
mod tests;
