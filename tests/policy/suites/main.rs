//! Yardsticks for the crate `policy`. What only `../shared/data` holds is skipped, with its reason, where that is not.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what is wrong by failing"
)]

mod attacker;
mod conflict;
mod csv;
mod differential;
mod generate;
mod hierarchies;
mod logs;
mod mutants;
mod odrl;
mod properties;
mod reference;
mod shared;
mod turtle;
