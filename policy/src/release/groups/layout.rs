//! What a table looks like before anything is counted: its dimensions, its measures, and the cell of each record. Nothing here counts.

use std::collections::{BTreeMap, BTreeSet};

/// How many cells a table may have.
pub const MAX_CELLS: usize = 100_000;
/// How many measures a table may have.
pub const MAX_MEASURES: usize = 8;
/// One axis of a table with its values in the order in which they are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// Its name.
    pub name: String,
    /// The values that count.
    pub values: Vec<String>,
}

/// One sum of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Its name.
    pub name: String,
    /// What is summed, by the name that it has in every table that sums it.
    pub of: String,
}

/// Why a table cannot be laid out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A table of nothing.
    #[error("a table needs at least one dimension, and each dimension at least one value")]
    Empty,
    /// The same name or value twice.
    #[error("{0:?} is declared twice")]
    Twice(String),
    /// More cells than can be judged.
    #[error("the table has more than {MAX_CELLS} cells")]
    TooManyCells,
    /// More measures than can be judged.
    #[error("the table has more than {MAX_MEASURES} measures")]
    TooManyMeasures,
}

/// What a table looks like before anything is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub(super) dimensions: Vec<Dimension>,
    /// For each dimension, the place of each value.
    places: Vec<BTreeMap<String, usize>>,
    pub(super) measures: Vec<Measure>,
    pub(super) cells: usize,
}

impl Layout {
    /// A table with these dimensions and sums of these measures.
    pub fn new(dimensions: Vec<Dimension>, measures: Vec<Measure>) -> Result<Self, LayoutError> {
        if dimensions.is_empty() || dimensions.iter().any(|dimension| dimension.values.is_empty()) {
            return Err(LayoutError::Empty);
        }
        if measures.len() > MAX_MEASURES {
            return Err(LayoutError::TooManyMeasures);
        }
        let names = dimensions.iter().map(|dimension| &dimension.name);
        distinct(names.chain(measures.iter().map(|measure| &measure.name)))?;
        dimensions
            .iter()
            .try_for_each(|dimension| distinct(&dimension.values))?;
        let cells = dimensions
            .iter()
            .try_fold(1usize, |cells, dimension| cells.checked_mul(dimension.values.len()))
            .filter(|cells| *cells <= MAX_CELLS)
            .ok_or(LayoutError::TooManyCells)?;
        let places = dimensions
            .iter()
            .map(|dimension| dimension.values.iter().cloned().zip(0..).collect());
        Ok(Self {
            places: places.collect(),
            dimensions,
            measures,
            cells,
        })
    }

    /// The dimensions.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// The measures.
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// The cell of these values, one for each dimension; `None` where one is not declared.
    pub(super) fn cell(&self, values: &[Option<&str>]) -> Option<Cell> {
        if values.len() != self.dimensions.len() {
            return None;
        }
        let places = self.places.iter().zip(values);
        let places = places.map(|(places, value)| places.get((*value)?).copied());
        places.collect()
    }
}

/// The place in each dimension.
pub(super) type Cell = Vec<usize>;

fn distinct<'n>(names: impl IntoIterator<Item = &'n String>) -> Result<(), LayoutError> {
    let mut seen = BTreeSet::new();
    let twice = names.into_iter().find(|name| !seen.insert(name.as_str()));
    twice.map_or(Ok(()), |name| Err(LayoutError::Twice(name.clone())))
}
