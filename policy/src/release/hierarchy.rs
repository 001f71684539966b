//! How one value becomes less exact, step by step, until it is the same for everyone. Step 0 is the value itself.

use std::collections::{BTreeMap, BTreeSet};

/// What everyone's value is at the last step.
pub const ANY: &str = "*";

/// How the values of one quasi-identifier are made coarser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// Whole numbers in bands of these widths, each a multiple of the one before: 17, then `15-19`, then `10-19`.
    Bands(Vec<u32>),
    /// Texts of letters and digits, such as postcodes, cut to these lengths, each shorter than the one before: `59650`, then `59`.
    Prefixes(Vec<usize>),
    /// Listed values with what each becomes, step by step. A value that is not listed is [`ANY`] from the start.
    Listed(BTreeMap<String, Vec<String>>),
}

/// Why steps are no hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HierarchyError {
    /// A band that cuts through a finer one.
    #[error("each band must be wider than 1 and a multiple of the one before")]
    Bands,
    /// A prefix that is not shorter, or longer than a postcode could be.
    #[error("each prefix must be shorter than the one before, and of 1 to 16 characters")]
    Prefixes,
    /// A listed value with fewer steps than another, or two that were one and part again.
    #[error("every listed value needs the same number of steps, and values that became one must stay one")]
    Listed,
    /// Nothing would ever be released.
    #[error("there are no steps, or more than 8")]
    Steps,
}

impl Hierarchy {
    /// Whether each step is really coarser than the one before.
    pub fn check(&self) -> Result<(), HierarchyError> {
        let steps = match self {
            Self::Bands(widths) => {
                let nested = |pair: &[u32]| matches!(pair, [fine, coarse] if coarse > fine && coarse % fine == 0);
                if widths.iter().any(|width| *width < 2) || !widths.windows(2).all(nested) {
                    return Err(HierarchyError::Bands);
                }
                widths.len()
            }
            Self::Prefixes(lengths) => {
                let shorter = |pair: &[usize]| matches!(pair, [long, short] if short < long);
                if lengths.iter().any(|length| !(1..=16).contains(length)) || !lengths.windows(2).all(shorter) {
                    return Err(HierarchyError::Prefixes);
                }
                lengths.len()
            }
            Self::Listed(values) => listed(values)?,
        };
        if steps > 8 || matches!(self, Self::Listed(values) if values.is_empty()) {
            return Err(HierarchyError::Steps);
        }
        Ok(())
    }

    /// How many levels there are: the value itself, each step, and [`ANY`].
    pub fn levels(&self) -> usize {
        2 + match self {
            Self::Bands(widths) => widths.len(),
            Self::Prefixes(lengths) => lengths.len(),
            Self::Listed(values) => values.values().next().map_or(0, Vec::len),
        }
    }

    /// The value at that level. What the hierarchy does not know (free text above all) is [`ANY`] at every level.
    pub fn at(&self, value: &str, level: usize) -> String {
        self.known(value, level).unwrap_or_else(|| ANY.to_owned())
    }

    fn known(&self, value: &str, level: usize) -> Option<String> {
        if level + 1 >= self.levels() {
            return None;
        }
        let step = level.checked_sub(1);
        match self {
            Self::Bands(widths) => {
                let number: u32 = value.parse().ok()?;
                let Some(step) = step else {
                    return Some(number.to_string());
                };
                let width = *widths.get(step)?;
                let from = number.checked_div(width)? * width;
                Some(format!("{from}-{}", from.saturating_add(width - 1)))
            }
            Self::Prefixes(lengths) => {
                if value.is_empty() || value.len() > 16 || !value.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                    return None;
                }
                let length = step.map_or(Some(16), |step| lengths.get(step).copied())?;
                Some(value.chars().take(length).collect())
            }
            Self::Listed(values) => {
                let steps = values.get(value)?;
                step.map_or_else(|| Some(value.to_owned()), |step| steps.get(step).cloned())
            }
        }
    }
}

/// The number of steps, the same for all; values that share a step share all that follow.
fn listed(values: &BTreeMap<String, Vec<String>>) -> Result<usize, HierarchyError> {
    let steps = values.values().next().map_or(0, Vec::len);
    if values.values().any(|path| path.len() != steps) {
        return Err(HierarchyError::Listed);
    }
    for step in 1..steps {
        let pairs: BTreeSet<_> = values
            .values()
            .map(|path| (path.get(step - 1), path.get(step)))
            .collect();
        let fine: BTreeSet<_> = pairs.iter().map(|(fine, _)| fine).collect();
        if pairs.len() != fine.len() {
            return Err(HierarchyError::Listed);
        }
    }
    Ok(steps)
}
