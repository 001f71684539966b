//! ODRL 2.2 as the Information Model has it, beyond what the Dataspace Protocol lets pass: parties and assets of each rule, refinements, duties
//! with consequences, prohibitions with remedies, collections, any left operand. What this connector enforces is [`crate::Policy`], a
//! restriction of this; here policies of any origin are read, evaluated and compared. Nothing here knows Turtle or report graphs.

mod model;
mod read;
mod value;

pub use model::{Comparison, Conflict, Constraint, Deed, Duty, Entity, Permission, Policy, Prohibition, Statement};
pub use read::{Problem, Profiles, Reading, Unreadable};
pub use value::{Decimal, Duration, Instant, Value, ValueError};
