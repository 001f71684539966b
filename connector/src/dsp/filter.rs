//! The filter of a catalog request. DSP 2025-1 §5 leaves its content to the provider; ours understands the part of EDC's
//! `QuerySpec` that can be answered from a catalog: pages, and comparisons of a dataset's id and title. Everything else is
//! refused by name, because a filter that is passed over in silence shows what nobody asked for.

use super::catalog::ListedDataset;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How many expressions a filter may hold.
pub const MAX_EXPRESSIONS: usize = 64;
/// The namespace of Eclipse EDC. Its peers write member names bare, with the prefix `edc:`, or in full.
const EDC: &str = "https://w3id.org/edc/v0.0.1/ns/";
/// Dublin Core, which defines `title`.
const DCT: &str = "http://purl.org/dc/terms/";

/// Why a filter cannot be honoured. The answer is 400 in each case (DSP 2025-1 §5).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Something that may be meaningful elsewhere and is not supported here.
    #[error("the filter is not supported: {what}")]
    Unsupported {
        /// What is not supported, with foreign text shortened.
        what: String,
    },
    /// A member has a value that means nothing.
    #[error("{member} of the filter {problem}")]
    Invalid {
        /// The member's bare name.
        member: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// More than [`MAX_EXPRESSIONS`].
    #[error("the filter has more than {MAX_EXPRESSIONS} expressions")]
    TooMany,
}

/// Which datasets a peer wants to see, and which page of them. The default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// How many of the kept datasets to pass over.
    pub offset: usize,
    /// How many to show at most.
    pub limit: Option<usize>,
    expressions: Vec<Expression>,
}

impl Filter {
    /// The datasets that are wanted: those kept, without the first `offset`, `limit` at most.
    pub fn page(&self, datasets: Vec<ListedDataset>) -> Vec<ListedDataset> {
        let kept = datasets.into_iter().filter(|dataset| self.keeps(dataset));
        kept.skip(self.offset).take(self.limit.unwrap_or(usize::MAX)).collect()
    }

    /// Whether the dataset satisfies every expression. A dataset without a title satisfies none about titles.
    pub fn keeps(&self, dataset: &ListedDataset) -> bool {
        self.expressions.iter().all(|expression| {
            let text = match expression.operand {
                Operand::Id => Some(dataset.id.as_str()),
                Operand::Title => dataset.title.as_deref(),
            };
            text.is_some_and(|text| expression.wanted.is_met_by(text))
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Expression {
    operand: Operand,
    wanted: Wanted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operand {
    Id,
    Title,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    OneOf(BTreeSet<String>),
    /// `like` with `%` at the ends only.
    Like {
        text: String,
        open_start: bool,
        open_end: bool,
    },
}

impl Wanted {
    fn is_met_by(&self, found: &str) -> bool {
        match self {
            Self::OneOf(texts) => texts.contains(found),
            Self::Like {
                text,
                open_start,
                open_end,
            } => match (open_start, open_end) {
                (false, false) => found == text,
                (true, false) => found.ends_with(text),
                (false, true) => found.starts_with(text),
                (true, true) => found.contains(text),
            },
        }
    }
}

/// Reads the `filter` member of a catalog request; no filter at all keeps everything.
///
/// # Errors
/// [`FilterError`] for whatever is not supported or makes no sense.
pub fn read(filters: &[Value]) -> Result<Filter, FilterError> {
    match filters {
        [] | [Value::Null] => Ok(Filter::default()),
        [Value::Object(query)] => read_query(query),
        [_] => Err(unsupported("a filter that is not an object")),
        [_, _, ..] => Err(unsupported("more than one filter")),
    }
}

fn read_query(query: &Map<String, Value>) -> Result<Filter, FilterError> {
    let mut filter = Filter::default();
    let query = members(
        query,
        "QuerySpec",
        &["offset", "limit", "sortOrder", "sortField", "filterExpression"],
    )?;
    for (name, value) in query {
        match name {
            "offset" => filter.offset = whole(name, value)?,
            "limit" => match whole(name, value)? {
                0 => return Err(invalid(name, "is zero")),
                limit => filter.limit = Some(limit),
            },
            // Without a field to sort by it says nothing; EDC always sends it.
            "sortOrder" => match value.as_str() {
                Some("ASC" | "DESC") => {}
                _ => return Err(invalid(name, "is neither ASC nor DESC")),
            },
            "filterExpression" => filter.expressions = read_expressions(value)?,
            other => return Err(unsupported(other)),
        }
    }
    Ok(filter)
}

fn read_expressions(value: &Value) -> Result<Vec<Expression>, FilterError> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        // A JSON-LD peer may have collapsed a single element.
        one => std::slice::from_ref(one),
    };
    if list.len() > MAX_EXPRESSIONS {
        return Err(FilterError::TooMany);
    }
    list.iter().map(read_expression).collect()
}

fn read_expression(value: &Value) -> Result<Expression, FilterError> {
    let object = value
        .as_object()
        .ok_or_else(|| invalid("filterExpression", "is not a list of objects"))?;
    let (mut left, mut operator, mut right) = (None, None, None);
    for (name, value) in members(object, "Criterion", &["operandLeft", "operator", "operandRight"])? {
        match name {
            "operandLeft" => left = Some(text(name, value)?),
            "operator" => operator = Some(text(name, value)?),
            _ => right = Some(value),
        }
    }
    let operand = operand(left.ok_or_else(|| invalid("operandLeft", "is missing"))?)?;
    let right = right.ok_or_else(|| invalid("operandRight", "is missing"))?;
    let wanted = match operator.ok_or_else(|| invalid("operator", "is missing"))? {
        "=" => Wanted::OneOf(BTreeSet::from([text("operandRight", right)?.to_owned()])),
        "in" => one_of(right)?,
        "like" => like(text("operandRight", right)?)?,
        other => return Err(unsupported(&format!("the operator {}", shown(other)))),
    };
    Ok(Expression { operand, wanted })
}

fn operand(left: &str) -> Result<Operand, FilterError> {
    let prefixed = |prefix: &str, iri: &str| left.strip_prefix(iri).or_else(|| left.strip_prefix(prefix));
    let title = prefixed("dct:", DCT).or_else(|| prefixed("dcterms:", DCT));
    match (local(left), title) {
        ("id" | "@id", _) => Ok(Operand::Id),
        ("title", _) | (_, Some("title")) => Ok(Operand::Title),
        _ => Err(unsupported(&format!("a comparison of {}", shown(left)))),
    }
}

fn one_of(right: &Value) -> Result<Wanted, FilterError> {
    let list = match right {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let texts = list.iter().map(|one| text("operandRight", one).map(str::to_owned));
    Ok(Wanted::OneOf(texts.collect::<Result<_, _>>()?))
}

/// `_` stands for any character and `\` escapes in SQL, and peers differ in it.
fn like(pattern: &str) -> Result<Wanted, FilterError> {
    let (rest, open_start) = pattern.strip_prefix('%').map_or((pattern, false), |rest| (rest, true));
    let (text, open_end) = rest.strip_suffix('%').map_or((rest, false), |text| (text, true));
    if text.contains(['%', '_', '\\']) {
        return Err(unsupported(&format!("the pattern {}", shown(pattern))));
    }
    Ok(Wanted::Like {
        text: text.to_owned(),
        open_start,
        open_end,
    })
}

/// The members under their bare names, without those that are null; `@type`, if there is one, must be `of_type`.
fn members<'a>(
    object: &'a Map<String, Value>,
    of_type: &str,
    known: &[&'static str],
) -> Result<Vec<(&'static str, &'a Value)>, FilterError> {
    let mut found: Vec<(&'static str, &Value)> = Vec::new();
    for (written, value) in object {
        if written == "@type" {
            match value.as_str() {
                Some(named) if local(named) == of_type => continue,
                Some(named) => return Err(unsupported(&format!("the type {}", shown(named)))),
                None => return Err(invalid("@type", "is not a string")),
            }
        }
        let name = known.iter().copied().find(|name| *name == local(written));
        let name = name.ok_or_else(|| unsupported(&format!("the member {}", shown(written))))?;
        if found.iter().any(|(other, _)| *other == name) {
            return Err(invalid(name, "is written twice"));
        }
        if !value.is_null() {
            found.push((name, value));
        }
    }
    Ok(found)
}

/// A name of EDC without its namespace; any other name as it is.
fn local(name: &str) -> &str {
    name.strip_prefix(EDC)
        .or_else(|| name.strip_prefix("edc:"))
        .unwrap_or(name)
}

fn whole(member: &'static str, value: &Value) -> Result<usize, FilterError> {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| invalid(member, "is not a whole number from 0 on"))
}

fn text<'a>(member: &'static str, value: &'a Value) -> Result<&'a str, FilterError> {
    value.as_str().ok_or_else(|| invalid(member, "is not a string"))
}

fn invalid(member: &'static str, problem: &'static str) -> FilterError {
    FilterError::Invalid { member, problem }
}

fn unsupported(what: &str) -> FilterError {
    FilterError::Unsupported { what: what.to_owned() }
}

/// Foreign text in an error: cut, and with its control characters escaped.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(80).collect::<String>())
}

#[cfg(test)]
mod tests;
