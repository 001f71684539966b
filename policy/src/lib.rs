//! Usage policies in ODRL: parsed strictly, decided purely, every refusal explained.
//!
//! Nothing in this crate does I/O, reads a clock, waits or locks. Facts come in as arguments; decisions go out as values. It knows policies, and
//! no protocol that carries them.
//!
//! # The way through
//!
//! [`Policy::parse`] (JSON in, or [`Malformed`]) → [`Policy::check`] (is every term understood?) → [`Policy::decide`] (may it go on, at this
//! [`Stage`]?) → [`Policy::plan`] (at transfer start: what is left to look at per record) → [`Plan::permits`] (may this record leave?).
//!
//! ```
//! use policy::{Action, Category, Code, Facts, Policy, RecordFacts, Stage, Timestamp};
//! use serde_json::json;
//!
//! let agreement = Policy::parse(&json!({
//!     "@type": "Agreement", "@id": "urn:uuid:1", "target": "urn:uuid:2",
//!     "assigner": "did:web:school.example", "assignee": "did:web:agency.example",
//!     "permission": [{"action": "use", "constraint": [
//!         {"leftOperand": "purpose", "operator": "eq", "rightOperand": "dases:orientation"},
//!         {"leftOperand": "dases:dataCategory", "operator": "isAnyOf", "rightOperand": ["skills", "results"]},
//!         {"leftOperand": "dases:consent", "operator": "eq", "rightOperand": "given"},
//!         {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2026-07-01T00:00:00Z"},
//!     ]}],
//! }))?;
//!
//! let now: Timestamp = "2026-06-15T12:00:00Z".parse()?;
//! let facts = Facts::new(now, "did:web:agency.example", Action::Use);
//! assert!(agreement.decide(Stage::Transfer, &facts).permits());
//!
//! // Everything but the record is decided now; what is left is asked of each record, by a look into a table.
//! let plan = agreement.plan(&facts).map_err(|reasons| reasons[0].to_string())?;
//! assert_eq!(plan.purposes, ["orientation"]);
//! let record = RecordFacts::consented(Category::Skills);
//! assert_eq!(plan.permits(&record), Ok(()));
//! assert_eq!(plan.permits(&RecordFacts { consent: Some(false), ..record }), Err(Code::ConsentNone));
//! assert_eq!(plan.permits(&RecordFacts::consented(Category::Identity)), Err(Code::ConstraintFalse));
//!
//! // The plan says until when it holds.
//! assert!(plan.open_at("2026-07-01T00:00:00Z".parse()?).is_err());
//!
//! // Whoever else asks is refused, and told why.
//! let other = Facts::new(now, "did:web:other.example", Action::Use);
//! assert_eq!(agreement.decide(Stage::Transfer, &other).reasons()[0].code, Code::WrongParty);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//!
//! * **It fails closed.** A member, term or value that is not understood refuses the whole policy, by its name and JSON pointer. Nothing is
//!   ignored, because whatever is ignored might have been a limit.
//! * **Three truths.** A fact that is missing makes a comparison neither true nor false ([`Truth`]), and what is not known neither permits nor
//!   lifts a prohibition.
//! * **A plan permits nothing that the policy refuses.** It is made by asking the policy itself about every kind of record there can be.
//! * **A comparison never guesses.** What cannot be shown to lie within an offer does not.
//! * **Hostile policies cost little.** Size, depth and work have limits ([`MAX_NODES`], [`MAX_DEPTH`]); beyond them a policy is refused, or the
//!   answer is "unknown".
//!
//! ```
//! # use policy::{Code, Policy, Stage};
//! # use serde_json::json;
//! let offer = Policy::parse(&json!({"@type": "Offer", "@id": "urn:uuid:1", "permission": [
//!     {"action": "use", "constraint": [{"leftOperand": "moonPhase", "operator": "eq", "rightOperand": "full"}]},
//! ]}))?;
//! let reasons = offer.check(Stage::Publish).unwrap_err();
//! assert_eq!(reasons[0].code, Code::NotUnderstood);
//! assert_eq!(reasons[0].pointer, "/permission/0/constraint/0/leftOperand");
//! # Ok::<(), policy::Malformed>(())
//! ```
//!
//! # Two policies
//!
//! [`same_terms`] compares an agreement with the offer that it came from; [`within()`] judges terms that are asked for in place of those offered,
//! and [`intersect()`] writes the terms that both allow:
//!
//! ```
//! # use policy::{Policy, intersect, within};
//! # use serde_json::json;
//! let using = |purposes: &[&str]| json!({"@type": "Offer", "@id": "urn:uuid:1", "permission": [
//!     {"action": "use", "constraint": [{"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": purposes}]},
//! ]});
//! let (offered, asked) = (using(&["orientation", "research"]), using(&["orientation", "marketing"]));
//! assert!(within(&Policy::parse(&asked)?, &Policy::parse(&offered)?).is_err());
//! let common = intersect(&asked, &offered).map_err(|none| none.to_string())?;
//! assert_eq!(common["permission"][0]["constraint"][0]["rightOperand"], json!(["orientation"]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`differences`], [`contradictions`] and [`rules_together`] explain in plain words how policies differ, contradict each other, or themselves;
//! [`explain()`] puts one policy into plain French or English, and [`Policy::lints`] warns of what its author may not have meant.
//!
//! # Where things are
//!
//! * the root: policies as the Dataspace Protocol 2025-1 writes them, and as they are enforced;
//! * [`vocabulary`], [`profile`], [`words`]: the terms that are understood, where their values come from, and what they are called;
//! * [`odrl`]: the whole ODRL 2.2 Information Model, read, evaluated and compared, for policies of any origin;
//! * [`release`]: tables and rows that show groups of learners and no learner.
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
mod names;
mod narrower;
mod normal;
pub mod odrl;
mod parse;
mod plan;
mod premises;
pub mod profile;
mod program;
mod purposes;
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
pub use vocabulary::{Action, Category, LeftOperand, Operator, canonical_name, is_claim, purpose_iri};
pub use weigh::{Differences, contradictions, differences, leaving_nothing, rules_together};
