//! ODRL 2.2 as the Information Model has it, beyond what the Dataspace Protocol lets pass: parties and assets of each rule, refinements, duties
//! with consequences, prohibitions with remedies, collections, any left operand. What this connector enforces is [`crate::Policy`], a
//! restriction of this; here policies of any origin are read, evaluated and compared. Nothing here knows Turtle or report graphs.

pub mod compare;
mod evaluate;
mod log;
mod model;
mod operator;
#[cfg(test)]
mod properties;
mod read;
mod report;
mod state;
mod value;

pub use evaluate::{DutyMode, Options, evaluate};
pub use log::{Breach, Event, comply};
pub use model::{Comparison, Conflict, Constraint, Deed, Duty, Entity, Permission, Policy, Prohibition, Statement};
pub use read::{Problem, Profiles, Reading, Unreadable};
pub use report::{
    Activation, ConstraintReport, Decision, DutyReport, Premise, PremiseKind, Report, RuleKind, RuleReport,
};
pub use state::{Deontic, Hierarchy, Measured, Of, Request, State, World};
pub use value::{Decimal, Duration, Instant, Value, ValueError};
