//! Usage policies in ODRL: parsed strictly, decided purely, every refusal explained.
//!
//! Nothing in this crate does I/O, reads a clock, waits or locks. Facts come in as arguments; decisions go out as values.
#![forbid(unsafe_code)]

mod timestamp;

pub use timestamp::{Timestamp, TimestampError};
