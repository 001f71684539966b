//! The evidence of one agreement: a folder in one file that proves to anyone, with ordinary tools and without this program, who agreed to
//! what, who consented, and what left when.
//!
//! [`collect()`] puts it together from what the rooms above keep; [`verify()`] checks it with nothing but its bytes. Neither decides anything
//! that the connector does.

mod agreed;
mod checks;
mod collect;
mod container;
mod exchanged;
mod found;
mod manifest;
mod recorded;
mod released;
mod verify;

pub use collect::{EvidenceError, Sources, collect};
pub use manifest::Manifest;
pub use verify::{Pin, Report, verify};

/// The part of a bundle that is not what it should be, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {problem}")]
pub struct Flaw {
    /// A file of the bundle, or a place in its framing.
    pub part: String,
    /// What is wrong.
    pub problem: String,
}

impl Flaw {
    fn of(part: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            part: part.into(),
            problem: problem.into(),
        }
    }
}
