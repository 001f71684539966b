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

mod layout;
mod sums;
mod table;

pub use layout::{Dimension, Layout, LayoutError, MAX_CELLS, MAX_MEASURES, Measure};
pub(super) use sums::Sum;
pub use table::{Block, Line, ROUNDING, Table};

use super::{Cohort, Column, GroupSize, Learner, MAX_LEARNERS, Place, Refused, ToldOf, TooMany, ledger::Ledger};
use layout::Cell;
use std::{
    collections::{BTreeMap, btree_map},
    ops::Range,
};
use sums::Group;

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
