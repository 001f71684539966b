//! The audit log: what happened, in an order that nobody can change unseen.

mod log;
pub mod merkle;

pub use log::{AuditError, Entry, Kind, Log, Verification};
