//! What a comparison answers: there is such a request, here is one; there is none, and these constraints see to it; or nothing says.

use super::{
    codes::Scheme,
    concepts::Name,
    space::Pick,
    test::{Axis, Place},
    units::ORDER,
    words,
};
use crate::odrl::Value;
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, fmt};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Writing out all cases would take too long.
    TooLarge,
    /// Conditions lie in each other deeper than they are followed.
    TooDeep,
    /// Something about an operand that nothing here can tell.
    NotUnderstood {
        /// The operand.
        operand: String,
        /// What it is.
        why: String,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the conditions have more cases than are looked at"),
            Self::TooDeep => f.write_str("the conditions lie in each other too deep"),
            Self::NotUnderstood { operand, why } => write!(f, "{operand}: {why}"),
        }
    }
}

impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a request says of one operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stated {
    /// One value, with its unit.
    One(Value, Option<String>),
    /// These together.
    All(Vec<Value>),
    /// A value that neither policy names.
    Other,
    /// Nothing.
    Nothing,
}

/// What a request or the state of the world says of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// `action`, `target`, `assignee`; a left operand; `resolution of the target` for what refines one of them.
    pub operand: String,
    /// What is said of it.
    #[serde(serialize_with = "as_words")]
    pub value: Stated,
}

fn as_words<S: Serializer>(value: &Stated, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl fmt::Display for Stated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(value, unit) => {
                f.write_str(&words::value(value))?;
                unit.iter().try_for_each(|unit| write!(f, " {unit}"))
            }
            Self::All(values) => {
                let values: Vec<String> = values.iter().map(words::value).collect();
                f.write_str(&values.join(" and "))
            }
            Self::Other => f.write_str("any other"),
            Self::Nothing => f.write_str("not stated"),
        }
    }
}

/// A request and as much of the world as matters. What is not in it is free.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Request {
    /// Action, target and assignee first.
    pub facts: Vec<Fact>,
}

impl Request {
    pub(super) fn of(picks: &BTreeMap<Axis, Pick>) -> Self {
        let spoken = picks.iter().filter(|(axis, _)| axis.left != ORDER);
        let facts = spoken.map(|(axis, pick)| Fact {
            operand: if axis.step > 1 {
                format!("{axis} (step {})", axis.step)
            } else {
                axis.to_string()
            },
            value: stated(axis, pick),
        });
        Self { facts: facts.collect() }
    }

    /// What is said of an operand.
    pub fn get(&self, operand: &str) -> Option<&Stated> {
        self.facts
            .iter()
            .find(|fact| fact.operand == operand)
            .map(|fact| &fact.value)
    }
}

fn stated(axis: &Axis, pick: &Pick) -> Stated {
    match pick {
        Pick::Value(value, unit) => Stated::One(value.clone(), unit.clone()),
        Pick::Grid(grid) => Stated::One(Value::Instant(grid.moment(), true), None),
        Pick::NotStated => Stated::Nothing,
        Pick::Names(names) => {
            let mut values: Vec<Value> = names.iter().filter_map(|name| named(axis, name)).collect();
            match (values.pop(), values.is_empty()) {
                (Some(value), true) => Stated::One(value, None),
                (Some(value), false) => {
                    values.push(value);
                    Stated::All(values)
                }
                (None, _) => Stated::Other,
            }
        }
    }
}

fn named(axis: &Axis, name: &Name) -> Option<Value> {
    match name.scheme {
        Scheme::Fresh => None,
        Scheme::Flag => Some(Value::Boolean(name.text == "true")),
        Scheme::Text => Some(Value::Text(name.text.clone())),
        Scheme::Term if axis.place == Place::World && !name.text.contains(':') => Some(Value::Text(name.text.clone())),
        _ => Some(Value::Iri(name.text.clone())),
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.facts.is_empty() {
            return f.write_str("any request");
        }
        let facts: Vec<String> = self
            .facts
            .iter()
            .map(|fact| format!("{} {}", fact.operand, fact.value))
            .collect();
        f.write_str(&facts.join(", "))
    }
}

/// Whether there is a request of a certain kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// There is, and this is one.
    Possible(Request),
    /// There is none. Ids of constraints and rules that together leave none; without any one of them there would be some, unless another
    /// permission stands in the way as well.
    Impossible(Vec<String>),
    /// Nothing says.
    Unknown(Why),
}

/// How two policies, or two conditions on one operand, go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Nothing satisfies both, and that can be shown.
    Conflict,
    /// Nothing says.
    Unknown,
    /// Something satisfies both.
    Compatible,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conflict => "conflict",
            Self::Unknown => "unknown",
            Self::Compatible => "compatible",
        })
    }
}

impl From<&Answer> for Verdict {
    fn from(answer: &Answer) -> Self {
        match answer {
            Answer::Possible(_) => Self::Compatible,
            Answer::Impossible(_) => Self::Conflict,
            Answer::Unknown(_) => Self::Unknown,
        }
    }
}

/// Whether everything that one policy permits is permitted by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Within {
    /// It is.
    Yes,
    /// It is not.
    No {
        /// What only the first policy permits.
        request: Request,
        /// What is in the way, in plain English.
        because: String,
    },
    /// Nothing says.
    Unknown(Why),
}

/// A permission and a prohibition of one policy that speak of the same request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// Id of the permission.
    pub permission: String,
    /// Id of the prohibition.
    pub prohibition: String,
    /// A request that both cover.
    pub request: Request,
}

/// What a policy says against itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Contradiction {
    /// Permissions and prohibitions that meet.
    pub overlaps: Vec<Overlap>,
    /// Pairs of a permission and a prohibition of which nothing says whether they meet.
    pub undecided: Vec<(String, String, Why)>,
    /// Rules that never apply, and the ids of what sees to it.
    pub dead: Vec<(String, Vec<String>)>,
}

/// What two policies say of one operand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Operand {
    /// Its name.
    pub operand: String,
    /// Whether both of them speak of it.
    pub in_both: bool,
    /// What the first says of it, in plain English.
    pub first: String,
    /// What the second says of it.
    pub second: String,
    /// Whether it has a value that passes both, whatever the other operands are.
    pub overlap: Verdict,
    /// Whether every value that the first leaves is left by the second: compatible when it is.
    pub contained: Verdict,
}

/// What two policies permit in common: any of these.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Intersection {
    /// Each a list of conditions in plain English, all of which have to hold.
    pub ways: Vec<Vec<String>>,
    /// False when there are more, or when it is not certain that the ways are all possible.
    pub exact: bool,
}
