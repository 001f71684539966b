//! DSP.
