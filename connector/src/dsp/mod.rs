//! DSP.

pub mod json;
