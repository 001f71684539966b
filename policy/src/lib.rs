//! Usage policies in ODRL: parsed strictly, decided purely, every refusal explained.
//!
//! Nothing in this crate does I/O, reads a clock, waits or locks. Facts come in as arguments; decisions go out as values.
//!
//! The way through: [`Policy::parse`] (JSON in, or [`Malformed`]) → [`Policy::check`] (is every term understood?) →
//! [`Policy::decide`] (may it go on, at this [`Stage`]?) → [`Policy::plan`] (at transfer start: what is left to look at
//! per record). [`same_terms`] compares an agreement with the offer that it came from; [`within()`] and [`intersect()`] judge and answer other
//! terms than those offered, [`differences`] and [`rules_together`] explain them.
#![forbid(unsafe_code)]

mod bounds;
mod check;
mod compare;
mod evaluate;
mod explain;
mod facts;
mod ids;
mod instants;
mod intersect;
mod lint;
mod meaning;
mod model;
mod narrower;
mod normal;
pub mod odrl;
mod parse;
mod plan;
mod premises;
pub mod profile;
mod program;
mod reach;
mod reason;
mod record;
pub mod release;
mod residual;
mod surplus;
mod timestamp;
mod truth;
pub mod vocabulary;
mod weigh;
pub mod words;
mod write;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;

pub use compare::{Difference, same_terms};
pub use evaluate::{Decision, Stage};
pub use explain::{Explanation, Part, Recognised, Refusal, Standing, Warning, explain};
pub use facts::{Claims, Facts, Usage};
pub use ids::{Class, classes};
pub use intersect::{MAX_PERMISSIONS, NoCommonTerms, intersect};
pub use lint::{Lint, LintCode};
pub use model::{Atomic, Connective, Constraint, Duty, Kind, Policy, Rule, Term, Value};
pub use narrower::{Wider, within};
pub use parse::{MAX_DEPTH, MAX_NODES, Malformed};
pub use plan::{Carried, Plan};
pub use reach::Reach;
pub use reason::{Code, Fix, Language, Reason};
pub use record::RecordFacts;
pub use timestamp::{Timestamp, TimestampError};
pub use truth::Truth;
pub use vocabulary::{Action, Category, LeftOperand, Operator, canonical_name, is_claim};
pub use weigh::{Differences, contradictions, differences, leaving_nothing, rules_together};
