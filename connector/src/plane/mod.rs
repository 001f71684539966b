//! The data plane: sources, the record pipeline (find the learner, ask for consent, project what is permitted, pseudonymise), and the
//! outgoing and incoming streams.
//!
//! `scan` and `project` are pure: bytes in, bytes out. Nothing here reads a record that no agreement names.

pub mod cursor;
pub mod incoming;
pub mod lines;
pub mod notes;
pub mod outgoing;
pub mod paced;
pub mod pipeline;
pub mod project;
pub mod raw;
pub mod release;
pub mod scan;
pub mod source;
mod telling;
mod totals;
mod withheld;

pub use cursor::CursorKey;
pub use pipeline::{Release, Rules};
pub use telling::{First, Telling};

/// Why a stream was not opened or did not reach its end. What the peer sees of it is decided elsewhere.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// The source cannot be read.
    #[error("the source cannot be read: {0}")]
    Source(std::io::Error),
    /// The received records cannot be written.
    #[error("the received records cannot be written: {0}")]
    Sink(std::io::Error),
    /// The cursor is not one that we gave for this transfer, or the source has changed since.
    #[error("the cursor is not valid: {0}")]
    Cursor(&'static str),
    /// The stream breaks its own format.
    #[error("line {line} of the stream: {problem}")]
    Stream {
        /// Counted from the beginning of this connection, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// The stream ended without its last line.
    #[error("the stream broke off before its end")]
    Incomplete,
    /// Signing failed.
    #[error("signing failed: {0}")]
    Signing(crate::jose::JoseError),
    /// The data endpoint refused us.
    #[error("the data endpoint answered {status}: {reason}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        reason: String,
    },
    /// The transfer was suspended or ended.
    #[error("the transfer was stopped")]
    Stopped,
    /// The network failed.
    #[error(transparent)]
    Net(#[from] crate::net::NetError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}
