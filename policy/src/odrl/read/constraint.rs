//! Constraints and refinements, and the typing of their right operands.

use super::{
    Problem, Unreadable,
    node::{Document, Kind, Node, expand, left_operand, term},
};
use crate::{
    model::Connective,
    odrl::{Comparison, Constraint, Decimal, Value, ValueError},
    parse::MAX_DEPTH,
    vocabulary::{ODRL, Operator, XSD},
};
use serde_json::Value as Json;

type Result<T> = std::result::Result<T, Unreadable>;

/// The constraints under a member, `depth` logical constraints down.
pub(super) fn constraints<'a>(
    document: &mut Document<'a>,
    node: &Node<'a>,
    member: &str,
    depth: usize,
) -> Result<Vec<Constraint>> {
    let mut read = Vec::new();
    for (value, pointer) in node.all(member)? {
        if depth > MAX_DEPTH {
            return Err(Problem::TooDeep.at(&pointer));
        }
        document.count(1, &pointer)?;
        let node = document.node(value, &pointer, Kind::Constraint)?;
        read.push(constraint(document, &node, depth)?);
    }
    Ok(read)
}

fn constraint<'a>(document: &mut Document<'a>, node: &Node<'a>, depth: usize) -> Result<Constraint> {
    let given: Vec<Connective> = Connective::ALL
        .into_iter()
        .filter(|connective| node.has(connective.name()))
        .collect();
    match given.as_slice() {
        [] => comparison(document, node).map(Constraint::Atomic),
        [connective]
            if !["leftOperand", "operator", "rightOperand", "rightOperandReference"]
                .iter()
                .any(|name| node.has(name)) =>
        {
            let parts = constraints(document, node, connective.name(), depth + 1)?;
            if parts.is_empty() {
                return Err(Problem::NoPart.at(&node.pointer));
            }
            Ok(Constraint::Logical {
                id: node.id_in(document),
                connective: *connective,
                parts,
            })
        }
        _ => Err(Problem::TwoConstraints.at(&node.pointer)),
    }
}

fn comparison<'a>(document: &mut Document<'a>, node: &Node<'a>) -> Result<Comparison> {
    let (left, _) = node
        .one_of("leftOperand")?
        .ok_or_else(|| Problem::NoLeftOperand.at(&node.pointer))?;
    let left = left_operand(&left);
    let (operator, at) = node
        .one_of("operator")?
        .ok_or_else(|| Problem::NoOperator.at(&node.pointer))?;
    let operator = Operator::read(&operator).ok_or_else(|| Problem::UnknownOperator(operator).at(&at))?;
    match (node.has("rightOperand"), node.has("rightOperandReference")) {
        (true, true) => return Err(Problem::TwoRightOperands.at(&node.pointer)),
        (false, true) => return Err(Problem::Reference.at(&node.pointer)),
        _ => {}
    }
    let typing = Typing {
        datatype: node.one_of("dataType")?.map(|(datatype, _)| datatype),
        left: &left,
        ordered: matches!(operator, Operator::Lt | Operator::Lteq | Operator::Gt | Operator::Gteq),
        lenient: document.reading.lenient,
    };
    let written = node.all("rightOperand")?;
    document.count(written.len().saturating_sub(1), &node.pointer)?;
    let mut right = Vec::new();
    for (value, at) in written {
        right.push(typing.value(value, &at)?);
    }
    if right.is_empty() {
        return Err(Problem::NoRightOperand.at(&node.pointer));
    }
    let status = node
        .one("status")?
        .map(|(value, at)| typing.value(value, &at))
        .transpose()?;
    let unit = node.one_of("unit")?.map(|(unit, _)| unit);
    let moment = Typing {
        datatype: None,
        left: &term("dateTime"),
        ..typing
    };
    let anchor = node.one("anchor")?;
    let anchor = anchor.map(|(value, at)| moment.value(value, &at)).transpose()?;
    Ok(Comparison {
        id: node.id_in(document),
        left,
        operator,
        right,
        unit,
        status,
        anchor,
    })
}

/// What decides the type of a literal: what it says itself, then `dataType`, then the left operand, then the operator.
struct Typing<'a> {
    datatype: Option<String>,
    left: &'a str,
    ordered: bool,
    lenient: bool,
}

/// What a left operand of the Common Vocabulary is measured in, where that is one thing (ODRL 2.2, Vocabulary §4.9).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Measure {
    Time,
    Length,
    Number,
}

impl Measure {
    fn of(left: &str) -> Option<Self> {
        match ODRL.local(left)? {
            "dateTime" => Some(Self::Time),
            "delayPeriod" | "elapsedTime" | "meteredTime" | "timeInterval" => Some(Self::Length),
            "count" | "payAmount" | "percentage" => Some(Self::Number),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Time => "a dateTime or a date",
            Self::Length => "a duration",
            Self::Number => "a number",
        }
    }

    const fn datatypes(self) -> &'static [&'static str] {
        match self {
            Self::Time => &["dateTime", "date"],
            Self::Length => &["duration"],
            Self::Number => &["decimal", "double"],
        }
    }

    const fn measures(self, value: &Value) -> bool {
        match value {
            Value::Instant(..) | Value::Day(..) => matches!(self, Self::Time),
            Value::Duration(_) => matches!(self, Self::Length),
            Value::Number(_) => matches!(self, Self::Number),
            Value::Boolean(_) | Value::Iri(_) | Value::Text(_) => false,
        }
    }

    fn read(self, text: &str) -> Option<Value> {
        let mut datatypes = self.datatypes().iter();
        datatypes.find_map(|datatype| Value::literal(text, Some(&format!("xsd:{datatype}"))).ok())
    }
}

impl Typing<'_> {
    fn value(&self, json: &Json, pointer: &str) -> Result<Value> {
        let value = match json {
            Json::String(text) => self.untyped(text, pointer)?,
            Json::Object(object) => self.object(object, pointer)?,
            scalar => bare(scalar, pointer)?,
        };
        match Measure::of(self.left) {
            Some(measure) if !self.lenient && !measure.measures(&value) => Err(Problem::OperandType {
                left: self.left.to_owned(),
                wanted: measure.name(),
            }
            .at(pointer)),
            _ => Ok(value),
        }
    }

    /// `{"@value", "@type"}` or `{"@id"}`.
    fn object(&self, object: &serde_json::Map<String, Json>, pointer: &str) -> Result<Value> {
        let member = |name: &str| object.get(name);
        let known = ["@id", "id", "@value", "@type", "type", "@language"];
        if let Some(other) = object.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(Problem::UnknownMember(other.clone()).at(pointer));
        }
        let datatype = match member("@type").or_else(|| member("type")) {
            None => None,
            Some(Json::String(written)) => Some(expand(written)),
            Some(_) => return Err(Problem::Expected("one datatype").at(pointer)),
        };
        let plain = format!("{}string", XSD.iri);
        match (member("@value"), member("@id").or_else(|| member("id"))) {
            (None, Some(Json::String(id))) if datatype.is_none() && !id.is_empty() => Ok(Value::Iri(expand(id))),
            (Some(Json::String(text)), None) => match datatype {
                Some(datatype) if datatype != plain => literal(text, &datatype, pointer),
                _ => self.untyped(text, pointer),
            },
            (Some(scalar @ (Json::Number(_) | Json::Bool(_))), None) => match datatype {
                Some(datatype) => literal(&scalar.to_string(), &datatype, pointer),
                None => bare(scalar, pointer),
            },
            _ => Err(Problem::Expected("a string, {\"@value\"} or {\"@id\"}").at(pointer)),
        }
    }

    fn untyped(&self, text: &str, pointer: &str) -> Result<Value> {
        if let Some(datatype) = &self.datatype {
            return literal(text, datatype, pointer);
        }
        if let Some(measure) = Measure::of(self.left) {
            return match measure.read(text) {
                Some(value) => Ok(value),
                None if self.lenient => Ok(Value::Text(text.to_owned())),
                None => Err(Problem::Value(ValueError {
                    text: text.to_owned(),
                    datatype: measure.name().to_owned(),
                })
                .at(pointer)),
            };
        }
        // Only what has an order can be compared by order, so a plain string says by its shape which order that is.
        if self.ordered
            && let Some(value) = by_shape(text)
        {
            return Ok(value);
        }
        let expanded = expand(text);
        Ok(if expanded == text {
            Value::Text(expanded)
        } else {
            Value::Iri(expanded)
        })
    }
}

/// The number, the time or the length of time that a plain string looks like.
pub(in crate::odrl) fn by_shape(text: &str) -> Option<Value> {
    let shapes = [Measure::Number, Measure::Time, Measure::Length];
    shapes.iter().find_map(|measure| measure.read(text))
}

fn literal(text: &str, datatype: &str, pointer: &str) -> Result<Value> {
    Value::literal(text, Some(datatype)).map_err(|error| Problem::Value(error).at(pointer))
}

fn bare(scalar: &Json, pointer: &str) -> Result<Value> {
    match scalar {
        Json::Bool(value) => Ok(Value::Boolean(*value)),
        Json::Number(number) => {
            let text = number.to_string();
            Decimal::read(&text).map(Value::Number).ok_or_else(|| {
                let datatype = "a number of at most 18 digits".to_owned();
                Problem::Value(ValueError { text, datatype }).at(pointer)
            })
        }
        _ => Err(Problem::Expected("a value").at(pointer)),
    }
}
