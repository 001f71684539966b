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

/// The least and the greatest truth of something about which facts may still come, each of which may make it either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Between {
    pub(crate) least: Truth,
    pub(crate) most: Truth,
}

impl Between {
    pub(crate) const TRUE: Self = Self::known(Truth::True);
    pub(crate) const FALSE: Self = Self::known(Truth::False);

    pub(crate) const fn known(truth: Truth) -> Self {
        Self {
            least: truth,
            most: truth,
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            least: self.least.min(other.least),
            most: self.most.min(other.most),
        }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            least: self.least.max(other.least),
            most: self.most.max(other.most),
        }
    }

    /// What [`Truth::exactly_one`] may come to, each part on its own. It is least where as few of them hold as can be, or as many, and greatest
    /// where only that part holds beside those that have to which comes nearest to having to itself.
    pub(crate) fn exactly_one(parts: &[Self]) -> Self {
        let holding = parts.iter().enumerate().max_by_key(|(_, part)| (part.least, part.most));
        let holding = holding.map(|(place, _)| place);
        let only = parts.iter().enumerate().map(
            |(place, part)| {
                if Some(place) == holding { part.most } else { part.least }
            },
        );
        let fewest = Truth::exactly_one(parts.iter().map(|part| part.least));
        Self {
            least: fewest.min(Truth::exactly_one(parts.iter().map(|part| part.most))),
            most: Truth::exactly_one(only),
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

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Truth; 3] = [Truth::False, Truth::Unknown, Truth::True];

    /// Everything that may lie between two truths.
    fn between() -> Vec<Between> {
        let least = ALL.iter().flat_map(|least| ALL.iter().map(move |most| (*least, *most)));
        let ordered = least.filter(|(least, most)| least <= most);
        ordered.map(|(least, most)| Between { least, most }).collect()
    }

    /// Every choice of one of both ends for each part.
    fn choices(parts: &[Between]) -> Vec<Vec<Truth>> {
        parts.iter().fold(vec![Vec::new()], |chosen, part| {
            let with = |end: Truth| chosen.iter().map(move |before| [before.as_slice(), &[end]].concat());
            with(part.least).chain(with(part.most)).collect()
        })
    }

    #[test]
    fn exactly_one_of_what_may_be_either_lies_between_the_worst_and_the_best_choice() {
        let mut lists: Vec<Vec<Between>> = vec![Vec::new()];
        for _ in 0..4 {
            for parts in &lists {
                let found: Vec<Truth> = choices(parts)
                    .into_iter()
                    .map(|choice| Truth::exactly_one(choice.into_iter()))
                    .collect();
                let told = Between::exactly_one(parts);
                assert_eq!(
                    (Some(&told.least), Some(&told.most)),
                    (found.iter().min(), found.iter().max()),
                    "{parts:?}"
                );
            }
            let longer = |parts: &Vec<Between>| {
                between()
                    .into_iter()
                    .map(|part| [parts.as_slice(), &[part]].concat())
                    .collect::<Vec<_>>()
            };
            lists = lists.iter().flat_map(longer).collect();
        }
    }
}
