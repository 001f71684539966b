//! A real Eclipse EDC connector as the other side: its process and management API, the wire between it and ours, and the rows of the
//! interoperability suite. Knows EDC from outside only; what our connector does is asked of its management API.

pub mod control;
pub mod ours;
pub mod process;
pub mod rows;
pub mod shop;
pub mod terms;
pub mod wire;

pub use ours::Pair;
pub use process::{Edc, Release};
