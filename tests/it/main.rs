//! Whole-system tests, one binary.
#![forbid(unsafe_code)]

mod dsp_schemas;
mod store_crash;
mod store_speed;
