//! The three truth values in which every policy is evaluated. What an unknown leads to is decided where it is met, never here.

/// True, false, or not known. The order False < Unknown < True makes `and` the minimum and `or` the maximum (strong
/// Kleene logic).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// Does not hold.
    False,
    /// A fact is missing.
    Unknown,
    /// Holds.
    True,
}

impl Truth {
    /// Exactly one True with all others False is True; two True are False; none True and none Unknown is False; anything
    /// else is Unknown.
    pub(crate) fn exactly_one(parts: impl Iterator<Item = Self>) -> Self {
        let (mut holding, mut unknown) = (0_usize, false);
        for part in parts {
            match part {
                Self::True => holding += 1,
                Self::Unknown => unknown = true,
                Self::False => {}
            }
        }
        match (holding, unknown) {
            (2.., _) | (0, false) => Self::False,
            (1, false) => Self::True,
            (_, true) => Self::Unknown,
        }
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::True => Self::False,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}
