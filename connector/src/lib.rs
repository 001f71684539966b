//! The connector as a library. `ARCHITECTURE.md` describes the rooms and the four journeys through them; a room uses only what stands
//! above it in this list (`daemon`, `cli` and `demo` are used by nothing).
#![forbid(unsafe_code)]

pub mod audit;
pub mod authority;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod consent;
pub mod contract;
pub mod daemon;
pub mod demo;
pub mod dsp;
pub mod evidence;
pub mod gaia_x;
pub mod http;
pub mod jose;
pub mod net;
pub mod peer;
pub mod plane;
pub mod process;
pub mod store;
pub mod telemetry;
pub mod transfer;
pub mod trust;
