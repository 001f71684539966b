//! The whole comparison of two policies, for programs (serde) and for people (`Display`).

use super::{
    Answer, Concepts, Contradiction, Intersection, Operand, Verdict, Within, compatible, contradiction, intersection,
    operands, satisfiable, within,
};
use crate::odrl::Policy;
use serde::Serialize;
use std::fmt;

/// One of the two policies by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alone {
    /// Its id.
    pub id: String,
    /// Whether it permits anything.
    pub satisfiable: Answer,
    /// What it says against itself.
    pub contradiction: Contradiction,
    /// Whether everything that it permits is permitted by the other.
    pub within_other: Within,
}

/// All questions about two policies, answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// How they go together.
    pub verdict: Verdict,
    /// A request that both permit, or what leaves none.
    pub common: Answer,
    /// The first policy.
    pub first: Alone,
    /// The second policy.
    pub second: Alone,
    /// Operand by operand.
    pub operands: Vec<Operand>,
    /// What both permit.
    pub intersection: Intersection,
}

/// Asks everything about two policies.
pub fn report(a: &Policy, b: &Policy, concepts: &Concepts) -> Comparison {
    let alone = |policy: &Policy, other: &Policy| Alone {
        id: policy.id.clone(),
        satisfiable: satisfiable(policy, concepts),
        contradiction: contradiction(policy, concepts),
        within_other: within(policy, other, concepts),
    };
    let common = compatible(a, b, concepts);
    Comparison {
        verdict: Verdict::from(&common),
        first: alone(a, b),
        second: alone(b, a),
        operands: operands(a, b, concepts),
        intersection: intersection(a, b, concepts),
        common,
    }
}

impl fmt::Display for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.satisfiable {
            Answer::Possible(request) => writeln!(f, "  it permits, for instance: {request}")?,
            Answer::Impossible(ids) if ids.is_empty() => writeln!(f, "  it permits nothing: it has no permission")?,
            Answer::Impossible(ids) => writeln!(f, "  it permits nothing, because of {}", ids.join(", "))?,
            Answer::Unknown(why) => writeln!(f, "  whether it permits anything is not known ({why})")?,
        }
        for overlap in &self.contradiction.overlaps {
            let (permission, prohibition) = (&overlap.permission, &overlap.prohibition);
            writeln!(
                f,
                "  {permission} permits and {prohibition} prohibits: {}",
                overlap.request
            )?;
        }
        for (permission, prohibition, why) in &self.contradiction.undecided {
            writeln!(f, "  whether {permission} and {prohibition} meet is not known ({why})")?;
        }
        for (rule, ids) in &self.contradiction.dead {
            writeln!(f, "  {rule} never applies, because of {}", ids.join(", "))?;
        }
        match &self.within_other {
            Within::Yes => writeln!(f, "  all that it permits, the other permits too"),
            Within::No { request, because } => writeln!(f, "  only it permits: {request} ({because})"),
            Within::Unknown(why) => writeln!(f, "  whether the other permits all of it is not known ({why})"),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.common {
            Answer::Possible(request) => writeln!(f, "Compatible. Both permit, for instance: {request}")?,
            Answer::Impossible(ids) if ids.is_empty() => writeln!(f, "Conflict. One of them has no permission.")?,
            Answer::Impossible(ids) => writeln!(f, "Conflict. Nothing satisfies all of {}", ids.join(", "))?,
            Answer::Unknown(why) => writeln!(f, "Unknown: {why}")?,
        }
        write!(f, "First policy, {}:\n{}", self.first.id, self.first)?;
        write!(f, "Second policy, {}:\n{}", self.second.id, self.second)?;
        if !self.operands.is_empty() {
            writeln!(f, "Operands:")?;
        }
        for operand in &self.operands {
            let within = match operand.contained {
                Verdict::Compatible => "the first is within the second",
                Verdict::Conflict => "the first goes beyond the second",
                Verdict::Unknown => "which is wider is not known",
            };
            let one = if operand.in_both {
                ""
            } else {
                "; only one policy speaks of it"
            };
            writeln!(f, "  {}: {}, {within}{one}", operand.operand, operand.overlap)?;
        }
        if self.intersection.ways.is_empty() {
            return Ok(());
        }
        let sure = if self.intersection.exact {
            ""
        } else {
            ", as far as can be told"
        };
        writeln!(f, "Both permit{sure}:")?;
        self.intersection
            .ways
            .iter()
            .try_for_each(|way| writeln!(f, "  - {}", way.join("; ")))
    }
}
