//! The connector as a library. `ARCHITECTURE.md` describes the rooms and the four journeys through them; a room uses only what stands
//! above it in this list (`daemon`, `cli` and `demo` are used by nothing).
#![forbid(unsafe_code)]

pub mod clock;
pub mod dsp;
pub mod jose;
pub mod net;
pub mod store;
pub mod audit;
pub mod trust;
pub mod process;
pub mod catalog;
pub mod contract;
pub mod consent;
pub mod plane;
pub mod transfer;
pub mod peer;
pub mod http;
pub mod config;
pub mod telemetry;
pub mod daemon;
pub mod demo;
pub mod cli;
