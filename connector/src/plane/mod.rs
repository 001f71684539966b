//! The data plane: sources, the record pipeline (find the learner, project what is permitted, pseudonymise) and the streams.
//!
//! `scan`, `pointer` and `project` are pure: bytes in, bytes out. Nothing here reads a record that no agreement names.

pub mod pointer;
pub mod project;
pub mod scan;
pub mod source;
