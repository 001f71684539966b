//! What is asked of comparisons: single rules by example, all of them against an evaluation that tries every request of a small world.

use super::{
    Answer, Concepts, Policy, Request, Stated, Verdict, Why, Within, compatible, contradiction, intersection, operands,
    report, satisfiable, within,
};
use crate::{
    model::Connective,
    odrl::{Comparison as Atomic, Constraint, Deed, Permission, Prohibition, Statement, Value},
    vocabulary::{ODRL, Operator},
};

mod bounds;
mod events;
mod examples;
mod lengths;
mod names;
mod sizes;
mod world;

/// A comparison whose id is `id`, of values as XML Schema types write them: `("elapsedTime", "lteq", "P5D^^duration")`; IRIs have no type.
fn atom(id: &str, left: &str, operator: &str, right: &[&str]) -> Constraint {
    let value = |text: &&str| match text.split_once("^^") {
        Some((text, kind)) => Value::literal(text, Some(&format!("xsd:{kind}"))).unwrap(),
        None => Value::Iri((*text).to_owned()),
    };
    Constraint::Atomic(Atomic {
        id: id.to_owned(),
        left: if left.contains(':') {
            left.to_owned()
        } else {
            format!("{}{left}", ODRL.iri)
        },
        operator: Operator::read(operator).unwrap(),
        right: right.iter().map(value).collect(),
        unit: None,
        status: None,
        anchor: None,
    })
}

fn logical(id: &str, connective: Connective, parts: Vec<Constraint>) -> Constraint {
    Constraint::Logical {
        id: id.to_owned(),
        connective,
        parts,
    }
}

fn rule(id: &str, action: &str, constraints: Vec<Constraint>) -> Statement {
    Statement {
        id: id.to_owned(),
        action: Some(Deed {
            action: format!("{}{action}", ODRL.iri),
            refinements: Vec::new(),
        }),
        constraints,
        ..Statement::default()
    }
}

fn permission(statement: Statement) -> Permission {
    Permission {
        statement,
        duties: Vec::new(),
    }
}

fn prohibition(statement: Statement) -> Prohibition {
    Prohibition {
        statement,
        remedies: Vec::new(),
    }
}

/// A policy of one permission to use.
fn permits(constraints: Vec<Constraint>) -> Policy {
    Policy {
        permissions: vec![permission(rule("permission", "use", constraints))],
        ..Policy::default()
    }
}

fn verdict(a: &Policy, b: &Policy, concepts: &Concepts) -> Verdict {
    Verdict::from(&compatible(a, b, concepts))
}
