//! Whole-system tests, one binary.
#![forbid(unsafe_code)]

mod store_crash;
mod store_speed;
