//! The connector as a library; the rooms and the way through them are described in `ARCHITECTURE.md`.
#![forbid(unsafe_code)]

pub mod audit;
pub mod dsp;
pub mod jose;
pub mod store;
