//! How much one comparison may cost. What is beyond it is unknown, never guessed.

/// The bounds of one comparison.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Conditions looked at for one question.
    pub(super) work: usize,
    /// Conditions looked at to make the conflicting sets of one question smaller.
    pub(super) core_work: usize,
    /// As many ways as one condition is written out into.
    pub(super) areas: usize,
    /// As many conditions as all ways of one unit hold together.
    pub(super) literals: usize,
}

impl Limits {
    /// For an operator who waits for an answer about terms of their own.
    pub(super) const THOROUGH: Self = Self {
        work: 2_000_000,
        core_work: 8_000_000,
        areas: 4_096,
        literals: 200_000,
    };
    /// For terms that a peer has sent, as often as it likes: a few milliseconds.
    pub(super) const BRIEF: Self = Self {
        work: 5_000,
        core_work: 20_000,
        areas: 256,
        literals: 4_096,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::THOROUGH
    }
}
