//! The audit log: what happened, in an order that nobody can change unseen.

pub mod merkle;
