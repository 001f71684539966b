//! A table that may be published, line by line: its blocks, and the totals that are unions of them. How cells become blocks is decided in the
//! module above.

use super::{layout::Layout, sums::Group};
use crate::release::{Cohort, GroupSize};
use std::ops::Range;

/// Rounded counts are multiples of it.
pub const ROUNDING: u64 = 5;

/// Cells that are published together: a range of values in each dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub(super) ranges: Vec<Range<usize>>,
    pub(super) group: Group,
}

impl Block {
    /// Whether it is a cell that needed no other.
    pub(super) fn is_one_cell(&self) -> bool {
        self.ranges.iter().all(|range| range.len() == 1)
    }
}

/// A table that may be published.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) layout: Layout,
    pub(super) k: GroupSize,
    pub(super) rounded: bool,
    pub(super) blocks: Vec<Block>,
    pub(super) cohort: Cohort,
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
