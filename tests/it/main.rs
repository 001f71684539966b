//! Whole-system tests, one binary.
#![forbid(unsafe_code)]

mod api;
mod architecture;
mod attacks;
mod bargain;
mod commands;
mod consent_exchange;
mod consent_law;
mod consents;
mod dsp_schemas;
mod events;
mod evidence;
mod faults;
mod gaia_x;
mod informed;
mod intermediary;
mod journeys;
mod keys;
mod membership;
mod operations;
mod purposes;
mod receipts;
mod recipients;
mod release;
mod resources;
mod restrictions;
mod scenes;
mod store_crash;
mod store_speed;
mod totals;
mod usage;
mod witnesses;
