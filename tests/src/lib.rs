//! What the whole-system tests share.
#![forbid(unsafe_code)]

pub mod bench;
pub mod edc;
pub mod harness;
pub mod peer;
pub mod store_load;
pub mod tck;
