//! Whole-system tests, one binary.
#![forbid(unsafe_code)]

mod architecture;
mod attacks;
mod dsp_schemas;
mod journeys;
mod store_crash;
mod store_speed;
