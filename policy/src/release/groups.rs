//! Tables of groups: how many learners, and how much together, for each combination of declared values.
//!
//! * **One learner, one cell.** A cell is one declared value of each dimension. Records that lack one, or an amount, say nothing here; a
//!   learner whose records lie in different cells is left out. So no learner is counted twice, however many records there are.
//! * **Suppression.** A cell of fewer than k learners (or none: both look the same) is withheld, and so are as many cells next to it, in
//!   declared order, as it takes to make a *block* of k. Only blocks are published. Dimensions are divided in their order: first the
//!   blocks of the first, and within each the blocks of the next.
//! * **Totals** are published when they are unions of blocks, and only then; so they tell nothing that the blocks do not.
//! * **Dominance.** A block is also grown until no learner makes up more than half of a sum, and no two more than four fifths.
//! * **Rounding.** Where more than a fifth of the cells are withheld, counts are rounded to multiples of five.
//!
//! Values are declared, never found in records: which values occur tells about learners, and hostile records must not make tables large.
//! Where blocks end depends on numbers of learners alone, in one sweep; the attacker of the tests knows this very code.

use super::{Cohort, Column, GroupSize, Learner, MAX_LEARNERS, Place, Refused, ToldOf, TooMany, ledger::Ledger};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    ops::Range,
};

/// How many cells a table may have.
pub const MAX_CELLS: usize = 100_000;
/// How many measures a table may have.
pub const MAX_MEASURES: usize = 8;
/// Rounded counts are multiples of it.
pub const ROUNDING: u64 = 5;

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
    dimensions: Vec<Dimension>,
    /// For each dimension, the place of each value.
    places: Vec<BTreeMap<String, usize>>,
    measures: Vec<Measure>,
    cells: usize,
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
    fn cell(&self, values: &[Option<&str>]) -> Option<Cell> {
        if values.len() != self.dimensions.len() {
            return None;
        }
        let places = self.places.iter().zip(values);
        let places = places.map(|(places, value)| places.get((*value)?).copied());
        places.collect()
    }
}

/// The place in each dimension.
type Cell = Vec<usize>;

fn distinct<'n>(names: impl IntoIterator<Item = &'n String>) -> Result<(), LayoutError> {
    let mut seen = BTreeSet::new();
    let twice = names.into_iter().find(|name| !seen.insert(name.as_str()));
    twice.map_or(Ok(()), |name| Err(LayoutError::Twice(name.clone())))
}

/// What a record adds to a sum, in thousandths: never negative, never more than a thousand million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(u64);

impl Amount {
    /// The amount rounded to thousandths; `None` for what is not a number, negative, or above 10⁹.
    pub fn new(value: f64) -> Option<Self> {
        // NaN is in no range. The result is at most 10¹², which both types hold exactly.
        (0.0..=1e9)
            .contains(&value)
            .then(|| Self((value * 1000.0).round() as u64))
    }
}

/// One learner while records are counted.
#[derive(Clone, Debug)]
struct Person {
    /// `None`: records in different cells.
    cell: Option<Cell>,
    amounts: Box<[u128]>,
}

/// Counts records, then makes a [`Table`]. Memory grows with the number of learners alone.
#[derive(Clone, Debug)]
pub struct Tally {
    layout: Layout,
    people: BTreeMap<Learner, Person>,
}

impl Tally {
    /// Nothing counted yet.
    pub fn new(layout: Layout) -> Self {
        Self {
            layout,
            people: BTreeMap::new(),
        }
    }

    /// Counts one record of a learner. A record without a declared value of each dimension and an amount of each measure adds nothing.
    pub fn add(
        &mut self,
        learner: Learner,
        values: &[Option<&str>],
        amounts: &[Option<Amount>],
    ) -> Result<(), TooMany> {
        let Some(cell) = self.layout.cell(values) else {
            return Ok(());
        };
        let amounts: Option<Box<[u128]>> = amounts.iter().map(|amount| Some(u128::from((*amount)?.0))).collect();
        let Some(amounts) = amounts.filter(|amounts| amounts.len() == self.layout.measures.len()) else {
            return Ok(());
        };
        let full = self.people.len() >= MAX_LEARNERS;
        match self.people.entry(learner) {
            btree_map::Entry::Vacant(_) if full => return Err(TooMany),
            btree_map::Entry::Vacant(place) => {
                place.insert(Person {
                    cell: Some(cell),
                    amounts,
                });
            }
            btree_map::Entry::Occupied(mut known) => {
                let known = known.get_mut();
                if known.cell.as_ref() != Some(&cell) {
                    known.cell = None;
                }
                known
                    .amounts
                    .iter_mut()
                    .zip(&amounts)
                    .for_each(|(sum, more)| *sum += more);
            }
        }
        Ok(())
    }

    /// The table, if there is one that shows no group of fewer than `k`.
    pub fn table(&self, k: GroupSize) -> Result<Table, Refused> {
        let mut cells: BTreeMap<&Cell, Group> = BTreeMap::new();
        for person in self.people.values() {
            if let Some(cell) = &person.cell {
                cells.entry(cell).or_default().add(&person.amounts);
            }
        }
        let all = Group::of(cells.values());
        if !k.allows(all.learners) {
            return Err(Refused::TooSmall(k));
        }
        if !all.has_no_dominant() {
            return Err(Refused::Dominance);
        }
        let cells: Vec<(&Cell, &Group)> = cells.iter().map(|(cell, group)| (*cell, group)).collect();
        let mut division = Division {
            k,
            blocks: Vec::new(),
            block_of: BTreeMap::new(),
        };
        division.divide(&self.layout.dimensions, &cells, Vec::new());
        let place = |(learner, person): (&Learner, &Person)| {
            let block = *division.block_of.get(person.cell.as_ref()?)?;
            let told = person.amounts.iter();
            let told = told.map(|amount| u64::try_from(*amount).unwrap_or(u64::MAX)).collect();
            Some((*learner, Place { block, told }))
        };
        let columns = self.layout.measures.iter();
        let cohort = Cohort {
            columns: columns.map(|measure| Column::new(ToldOf::Sum, &measure.of)).collect(),
            places: self.people.iter().filter_map(place).collect(),
        };
        let shown = division.blocks.iter().filter(|block| block.is_one_cell()).count();
        Ok(Table {
            rounded: (self.layout.cells - shown) * 5 > self.layout.cells,
            layout: self.layout.clone(),
            k,
            blocks: division.blocks,
            cohort,
        })
    }
}

impl Tally {
    /// The table together with the ledger that has it, or why the recipient of that ledger may not have it.
    pub fn release(&self, k: GroupSize, ledger: &Ledger) -> Result<(Table, Ledger), Refused> {
        let table = self.table(ledger.group_size(k))?;
        let ledger = ledger.admit(k, table.cohort())?;
        Ok((table, ledger))
    }
}

/// Learners together, with what the dominance rule asks of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    learners: u64,
    sums: Vec<Sum>,
}

/// A sum with what the dominance rule asks of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    all: u128,
    /// The largest contribution and the next.
    largest: [u128; 2],
}

impl Sum {
    /// What one learner adds.
    pub(super) fn of(amount: u128) -> Self {
        Self {
            all: amount,
            largest: [amount, 0],
        }
    }

    pub(super) fn with(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self.largest, other.largest);
        let largest = if a >= c { [a, b.max(c)] } else { [c, d.max(a)] };
        Self {
            all: self.all + other.all,
            largest,
        }
    }

    /// No contributor above 50 %, no two above 80 %. A union of groups for which it holds is a group for which it holds.
    pub(super) fn has_no_dominant(&self) -> bool {
        let [first, second] = self.largest;
        first * 2 <= self.all && (first + second) * 5 <= self.all * 4
    }
}

impl Group {
    fn add(&mut self, amounts: &[u128]) {
        self.learners += 1;
        self.sums.resize(amounts.len(), Sum::default());
        for (sum, amount) in self.sums.iter_mut().zip(amounts) {
            *sum = sum.with(Sum::of(*amount));
        }
    }

    fn join(&mut self, other: &Self) {
        self.learners += other.learners;
        self.sums.resize(self.sums.len().max(other.sums.len()), Sum::default());
        for (sum, more) in self.sums.iter_mut().zip(&other.sums) {
            *sum = sum.with(*more);
        }
    }

    fn of<'g>(groups: impl IntoIterator<Item = &'g Self>) -> Self {
        let mut all = Self::default();
        groups.into_iter().for_each(|group| all.join(group));
        all
    }

    fn has_no_dominant(&self) -> bool {
        self.sums.iter().all(Sum::has_no_dominant)
    }

    fn may_be_published(&self, k: GroupSize) -> bool {
        k.allows(self.learners) && self.has_no_dominant()
    }
}

/// Cells that are published together: a range of values in each dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    ranges: Vec<Range<usize>>,
    group: Group,
}

impl Block {
    /// Whether it is a cell that needed no other.
    fn is_one_cell(&self) -> bool {
        self.ranges.iter().all(|range| range.len() == 1)
    }
}

struct Division {
    k: GroupSize,
    blocks: Vec<Block>,
    block_of: BTreeMap<Cell, u32>,
}

impl Division {
    /// Divides cells that may be published together by the dimensions that are left.
    fn divide(&mut self, left: &[Dimension], cells: &[(&Cell, &Group)], ranges: Vec<Range<usize>>) {
        let Some((dimension, left)) = left.split_first() else {
            let number = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
            self.block_of
                .extend(cells.iter().map(|(cell, _)| ((*cell).clone(), number)));
            let group = Group::of(cells.iter().map(|(_, group)| *group));
            return self.blocks.push(Block { ranges, group });
        };
        let depth = ranges.len();
        let mut by_value = vec![(Group::default(), Vec::new()); dimension.values.len()];
        for (cell, group) in cells {
            if let Some((sum, inside)) = cell.get(depth).and_then(|value| by_value.get_mut(*value)) {
                sum.join(group);
                inside.push((*cell, *group));
            }
        }
        let groups: Vec<&Group> = by_value.iter().map(|(sum, _)| sum).collect();
        for range in sweep(&groups, self.k) {
            let inside = by_value.get(range.clone()).into_iter().flatten();
            let cells: Vec<_> = inside.flat_map(|(_, cells)| cells.iter().copied()).collect();
            self.divide(left, &cells, ranges.iter().cloned().chain([range]).collect());
        }
    }
}

/// Ends a block wherever it may be published and so may all that follows.
fn sweep(groups: &[&Group], k: GroupSize) -> Vec<Range<usize>> {
    let mut rest = Group::default();
    let mut rests: Vec<bool> = Vec::with_capacity(groups.len());
    for group in groups.iter().rev() {
        rests.push(rest.may_be_published(k));
        rest.join(group);
    }
    let (mut ranges, mut start, mut block) = (Vec::new(), 0, Group::default());
    for (end, (group, rest_may)) in (1..).zip(groups.iter().zip(rests.into_iter().rev())) {
        block.join(group);
        if rest_may && block.may_be_published(k) {
            ranges.push(start..end);
            (start, block) = (end, Group::default());
        }
    }
    ranges.push(start..groups.len());
    ranges
}

/// A table that may be published.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) layout: Layout,
    pub(super) k: GroupSize,
    pub(super) rounded: bool,
    blocks: Vec<Block>,
    cohort: Cohort,
}

/// One number of learners as it is published: of which values, how many, and how much together.
#[derive(Clone, Debug, PartialEq)]
pub struct Line<'t> {
    /// For each dimension that it names, the values that it merges.
    pub values: Vec<(&'t str, &'t [String])>,
    /// How many learners; rounded where the table is.
    pub learners: u64,
    /// Each measure's sum, in thousandths.
    pub sums: Vec<(&'t str, u128)>,
}

impl Table {
    /// Who is counted where.
    pub fn cohort(&self) -> &Cohort {
        &self.cohort
    }

    /// The group size that holds for every line.
    pub fn group_size(&self) -> GroupSize {
        self.k
    }

    /// Whether counts are rounded to multiples of [`ROUNDING`].
    pub fn is_rounded(&self) -> bool {
        self.rounded
    }

    /// The finest lines: every learner of the release is in one of them.
    pub fn cells(&self) -> impl Iterator<Item = Line<'_>> {
        self.blocks.iter().map(|block| {
            let ranges: Vec<_> = block.ranges.iter().cloned().enumerate().collect();
            self.line(&ranges, &block.group)
        })
    }

    /// The total over everything.
    pub fn total(&self) -> Line<'_> {
        self.line(&[], &self.sum(self.blocks.iter()))
    }

    /// The totals over all dimensions but one, for the finest ranges of values that are unions of cells.
    pub fn margins(&self) -> impl Iterator<Item = Line<'_>> {
        (0..self.layout.dimensions.len())
            .filter(|_| self.layout.dimensions.len() > 1)
            .flat_map(|dimension| self.margin(dimension))
    }

    fn margin(&self, dimension: usize) -> Vec<Line<'_>> {
        let range_of = |block: &Block| block.ranges.get(dimension).cloned().unwrap_or_default();
        let mut ranges: Vec<Range<usize>> = self.blocks.iter().map(range_of).collect();
        ranges.sort_by_key(|range| range.start);
        let mut joined: Vec<Range<usize>> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        let line = |range: Range<usize>| {
            let inside = self
                .blocks
                .iter()
                .filter(|block| range.contains(&range_of(block).start));
            self.line(&[(dimension, range.clone())], &self.sum(inside))
        };
        joined.into_iter().map(line).collect()
    }

    fn sum<'b>(&self, blocks: impl Iterator<Item = &'b Block>) -> Group {
        Group::of(blocks.map(|block| &block.group))
    }

    fn line(&self, ranges: &[(usize, Range<usize>)], group: &Group) -> Line<'_> {
        let values = ranges.iter().filter_map(|(dimension, range)| {
            let dimension = self.layout.dimensions.get(*dimension)?;
            Some((dimension.name.as_str(), dimension.values.get(range.clone())?))
        });
        let learners = if self.rounded {
            (group.learners + ROUNDING / 2) / ROUNDING * ROUNDING
        } else {
            group.learners
        };
        let sums = group.sums.iter().map(|sum| sum.all);
        Line {
            values: values.collect(),
            learners,
            sums: self
                .layout
                .measures
                .iter()
                .map(|measure| measure.name.as_str())
                .zip(sums)
                .collect(),
        }
    }
}
