//! The audit log: what happened, in an order that nobody can change unseen.
//!
//! `log` takes entries in, `seal` makes tiles and checkpoints of them and proofs from those, `verify` checks it all again, `witness` does
//! for others what they do for us. Formats (`note`, `checkpoint`, `proof`) and the tree (`merkle`, `tiles`) are pure.

pub mod checkpoint;
mod log;
pub mod merkle;
pub mod note;
pub mod proof;
mod seal;
pub mod tiles;
mod verify;
pub mod witness;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use log::{Entry, Kind, Log};
pub use note::{LogKey, LogSigner};
pub use proof::Proof;
pub use verify::{AuditError, Verification};
pub use witness::{Submission, Witness};
