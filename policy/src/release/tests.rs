//! The rules of releases, each with what would break it. The attacker who tries everything is among the suites of this crate.

mod rows;

use super::{
    Cohort, Column, GroupSize, Learner, MAX_LEARNERS, Place, Refused, ToldOf, TooMany,
    groups::{Amount, Dimension, Layout, LayoutError, MAX_CELLS, Measure, Table, Tally},
    ledger::Ledger,
};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeMap;

pub(super) fn k(size: u32) -> GroupSize {
    GroupSize::new(size).unwrap()
}

pub(super) fn learner(number: usize) -> Learner {
    Learner::new(
        (number as u128)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            .to_be_bytes(),
    )
}

fn dimension(name: &str, values: usize) -> Dimension {
    Dimension {
        name: name.into(),
        values: (0..values).map(|value| value.to_string()).collect(),
    }
}

fn tally(values: &[usize], measures: &[&str]) -> Tally {
    let dimensions = values
        .iter()
        .enumerate()
        .map(|(at, values)| dimension(&format!("d{at}"), *values));
    let measures = measures.iter().map(|name| Measure {
        name: (*name).to_owned(),
        of: (*name).to_owned(),
    });
    Tally::new(Layout::new(dimensions.collect(), measures.collect()).unwrap())
}

/// A table of one dimension with so many learners of each value.
fn counted(counts: &[usize]) -> Tally {
    let mut tally = tally(&[counts.len()], &[]);
    let values = counts
        .iter()
        .enumerate()
        .flat_map(|(value, count)| std::iter::repeat_n(value, *count));
    for (number, value) in values.enumerate() {
        tally.add(learner(number), &[Some(&value.to_string())], &[]).unwrap();
    }
    tally
}

fn sizes(table: &Table) -> Vec<(usize, u64)> {
    table
        .cells()
        .map(|line| (line.values[0].1.len(), line.learners))
        .collect()
}

#[test]
fn a_group_size_is_never_below_the_floor() {
    assert!(GroupSize::new(4).is_err());
    assert_eq!(GroupSize::new(5).unwrap().get(), 5);
    assert_eq!(GroupSize::default().get(), 10);
    assert!(serde_json::from_str::<GroupSize>("4").is_err());
    assert_eq!(serde_json::from_str::<GroupSize>("7").unwrap(), k(7));
}

#[test]
fn a_small_cell_is_withheld_together_with_the_next() {
    let table = counted(&[40, 3, 20, 30, 25, 25, 25, 25, 25, 25]).table(k(10)).unwrap();
    let expected = [
        (1, 40),
        (2, 23),
        (1, 30),
        (1, 25),
        (1, 25),
        (1, 25),
        (1, 25),
        (1, 25),
        (1, 25),
    ];
    assert_eq!(sizes(&table), expected);
    assert_eq!(table.total().learners, 243);
    assert!(!table.is_rounded());
}

#[test]
fn counts_are_rounded_once_more_than_a_fifth_of_the_cells_is_withheld() {
    let table = counted(&[41, 3, 21, 33]).table(k(10)).unwrap();
    assert!(table.is_rounded());
    assert_eq!(sizes(&table), [(1, 40), (2, 25), (1, 35)]);
    assert_eq!(table.total().learners, 100);
    assert!(!counted(&[41, 13, 21, 33]).table(k(10)).unwrap().is_rounded());
}

#[test]
fn too_few_learners_make_no_table() {
    assert_eq!(counted(&[4, 5]).table(k(10)).unwrap_err(), Refused::TooSmall(k(10)));
    assert_eq!(counted(&[0, 0]).table(k(5)).unwrap_err().code().as_str(), "AGG-01");
    assert!(counted(&[4, 6]).table(k(10)).is_ok());
}

#[test]
fn a_learner_who_makes_up_most_of_a_sum_refuses_the_table_or_widens_the_block() {
    let add = |tally: &mut Tally, value: &str, amounts: &[f64], from: usize| {
        for (number, amount) in (from..).zip(amounts) {
            tally
                .add(learner(number), &[Some(value)], &[Amount::new(*amount)])
                .unwrap();
        }
    };
    let mut alone = tally(&[2], &["hours"]);
    add(&mut alone, "0", &[100.0, 1.0, 1.0, 1.0, 1.0, 1.0], 0);
    assert_eq!(alone.table(k(5)).unwrap_err(), Refused::Dominance);
    assert_eq!(alone.table(k(5)).unwrap_err().code().as_str(), "AGG-03");
    // Enough of others in the next cell: the two are published together.
    add(&mut alone, "1", &[30.0; 10], 100);
    let table = alone.table(k(5)).unwrap();
    assert_eq!(table.cells().count(), 1);
    assert_eq!(table.total().sums, [("hours", 405_000)]);
    // Two with more than four fifths, neither with more than half.
    let mut two = tally(&[1], &["hours"]);
    add(&mut two, "0", &[45.0, 45.0, 2.0, 2.0, 2.0], 0);
    assert_eq!(two.table(k(5)).unwrap_err(), Refused::Dominance);
}

#[test]
fn amounts_are_finite_and_never_negative() {
    for hostile in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.001, 1e9 + 1.0, f64::MAX] {
        assert_eq!(Amount::new(hostile), None, "{hostile}");
    }
    assert!(Amount::new(0.0).is_some() && Amount::new(1e9).is_some());
}

#[test]
fn a_learner_in_every_cell_is_in_none() {
    let mut tally = counted(&[10, 10]);
    for value in ["0", "1"].iter().cycle().take(1_000_000) {
        tally.add(learner(77), &[Some(value)], &[]).unwrap();
    }
    let table = tally.table(k(5)).unwrap();
    assert_eq!(sizes(&table), [(1, 10), (1, 10)]);
    assert!(!table.cohort().places.contains_key(&learner(77)));
}

#[test]
fn undeclared_and_missing_values_say_nothing() {
    let mut tally = counted(&[10]);
    for value in [None, Some("1"), Some(""), Some("a rare diploma of one person")] {
        tally.add(learner(50), &[value], &[]).unwrap();
    }
    tally.add(learner(51), &[], &[]).unwrap();
    tally.add(learner(52), &[Some("0")], &[Amount::new(1.0)]).unwrap();
    assert_eq!(tally.table(k(5)).unwrap().total().learners, 10);
}

#[test]
fn a_million_learners_are_counted_and_one_more_is_refused() {
    let mut tally = tally(&[1000, 100], &["hours"]);
    for number in 0..MAX_LEARNERS {
        let (first, second) = ((number % 1000).to_string(), (number / 1000 % 100).to_string());
        tally
            .add(learner(number), &[Some(&first), Some(&second)], &[Amount::new(1.0)])
            .unwrap();
    }
    let one_more = tally.add(learner(MAX_LEARNERS), &[Some("0"), Some("0")], &[Amount::new(1.0)]);
    assert_eq!(one_more, Err(TooMany));
    let table = tally.table(k(10)).unwrap();
    assert_eq!(table.cells().count(), MAX_CELLS);
    assert_eq!(table.total().learners, MAX_LEARNERS as u64);
}

#[test]
fn layouts_are_bounded_and_unambiguous() {
    let layout = |dimensions: Vec<Dimension>| Layout::new(dimensions, vec![]).unwrap_err();
    assert_eq!(layout(vec![]), LayoutError::Empty);
    assert_eq!(layout(vec![dimension("a", 0)]), LayoutError::Empty);
    assert_eq!(
        layout(vec![dimension("a", 400), dimension("b", 400)]),
        LayoutError::TooManyCells
    );
    assert_eq!(
        layout(vec![dimension("a", 2), dimension("a", 2)]),
        LayoutError::Twice("a".into())
    );
}

/// Learners in blocks, each with a sum of one hour, of whom nothing else is told.
pub(super) fn cohort(blocks: &[(u32, std::ops::Range<usize>)]) -> Cohort {
    let place = |block| Place {
        block,
        told: Box::new([1]),
    };
    let learners = blocks
        .iter()
        .flat_map(|(block, range)| range.clone().map(move |number| (number, *block)));
    Cohort {
        columns: vec![Column::new(ToldOf::Sum, "/hours")],
        places: learners
            .map(|(number, block)| (learner(number), place(block)))
            .collect(),
    }
}

#[test]
fn a_ledger_lets_nothing_through_that_differs_by_fewer_than_a_group() {
    let size = k(5);
    let first = Ledger::default()
        .admit(size, &cohort(&[(0, 0..20), (1, 20..40)]))
        .unwrap();
    let refused = |cohort: Cohort| first.admit(size, &cohort) == Err(Refused::Differencing(size));
    assert!(
        first.admit(size, &cohort(&[(7, 0..20), (3, 20..40)])).is_ok(),
        "the same again"
    );
    assert!(refused(cohort(&[(0, 1..20), (1, 20..40)])), "one withdrew");
    assert!(refused(cohort(&[(0, 0..16), (1, 20..40)])), "four withdrew");
    assert!(
        first.admit(size, &cohort(&[(0, 0..15), (1, 20..40)])).is_ok(),
        "five withdrew"
    );
    assert!(
        refused(cohort(&[(0, 0..18), (1, 20..37)])),
        "five withdrew, of two blocks"
    );
    assert!(refused(cohort(&[(0, 0..20), (1, 20..41)])), "one joined");
    assert!(
        first.admit(size, &cohort(&[(0, 0..20), (1, 20..45)])).is_ok(),
        "five joined"
    );
    assert!(
        refused(cohort(&[(0, 1..20), (1, 20..40), (2, 40..41)])),
        "one left and one came"
    );
    assert!(refused(cohort(&[(0, 0..19), (1, 19..40)])), "one moved");
    let mut changed = cohort(&[(0, 0..20), (1, 20..40)]);
    changed.places.get_mut(&learner(3)).unwrap().told = Box::new([2]);
    assert!(refused(changed), "one learner's hours changed");
    assert_eq!(Refused::Differencing(size).code().as_str(), "AGG-02");
}

#[test]
fn the_largest_group_size_ever_asked_for_holds_on() {
    let ledger = Ledger::default().admit(k(12), &cohort(&[(0, 0..40)])).unwrap();
    assert_eq!(ledger.group_size(k(5)), k(12));
    let without_eleven = ledger.admit(k(5), &cohort(&[(0, 11..40)]));
    assert_eq!(without_eleven, Err(Refused::Differencing(k(12))));
}

#[test]
fn a_group_that_goes_with_a_learner_who_withdrew_has_k_learners() {
    let size = k(5);
    let first = Ledger::default().admit(size, &cohort(&[(0, 0..20)])).unwrap();
    let mut second = cohort(&[(0, 1..20)]);
    let held = first.hold_back(size, &second);
    assert_eq!(held.len(), 4);
    held.iter().for_each(|learner| {
        second.places.remove(learner);
    });
    assert!(first.admit(size, &second).is_ok());
    // In a small block all go.
    let small = Ledger::default().admit(size, &cohort(&[(0, 0..8)])).unwrap();
    assert_eq!(small.hold_back(size, &cohort(&[(0, 1..8)])).len(), 7);
    assert!(small.hold_back(size, &cohort(&[(0, 0..8)])).is_empty());
}

#[test]
fn a_ledger_is_read_as_it_was_written_and_nothing_else_is() {
    let ledger = Ledger::default()
        .admit(k(5), &cohort(&[(0, 0..20), (1, 20..40)]))
        .unwrap();
    let bytes = ledger.to_bytes();
    assert_eq!(Ledger::from_bytes(&bytes).unwrap(), ledger);
    assert_eq!(
        Ledger::from_bytes(&Ledger::default().to_bytes()).unwrap(),
        Ledger::default()
    );
    // A version, a group size and one column; then a learner, a class, whether it is counted, and one number for each.
    let (head, entry) = (1 + 4 + 1 + 9, 16 + 4 + 1 + 9);
    for cut in (0..bytes.len()).filter(|cut| *cut < head || (cut - head) % entry != 0) {
        assert!(Ledger::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut twice = bytes.clone();
    twice.extend_from_slice(&bytes[head..head + entry]);
    assert!(Ledger::from_bytes(&twice).is_err());
    let mut weak = bytes;
    weak[4] = 2;
    assert!(Ledger::from_bytes(&weak).is_err());
}

/// Two dimensions of four values; each number a learner, `None` withdrawn.
fn arrangement() -> impl Strategy<Value = Vec<Option<u32>>> {
    vec(prop::option::weighted(0.9, 0..4u32), 40)
}

proptest! {
    #[test]
    fn every_published_number_counts_a_group(people in vec((0..5usize, 0..4usize, 0..50u32), 0..120)) {
        let mut tally = tally(&[5, 4], &["hours"]);
        for (number, (first, second, hours)) in people.iter().enumerate() {
            let values = [first.to_string(), second.to_string()];
            tally.add(learner(number), &[Some(&values[0]), Some(&values[1])], &[Amount::new(f64::from(*hours))]).unwrap();
        }
        let Ok(table) = tally.table(k(5)) else { return Ok(()) };
        prop_assert_eq!(table.cohort().places.len(), people.len());
        let mut blocks: BTreeMap<u32, u64> = BTreeMap::new();
        table.cohort().places.values().for_each(|place| *blocks.entry(place.block).or_default() += 1);
        prop_assert!(blocks.values().all(|size| *size >= 5));
        let hours: u128 = people.iter().map(|(_, _, hours)| u128::from(*hours) * 1000).sum();
        prop_assert_eq!(table.cells().map(|line| line.sums[0].1).sum::<u128>(), hours);
        prop_assert_eq!(table.total().sums[0].1, hours);
        let margins: u128 = table.margins().map(|line| line.sums[0].1).sum();
        prop_assert_eq!(margins, 2 * hours);
        // Every margin is a union of cells.
        for margin in table.margins() {
            let (name, values) = margin.values[0];
            let inside = table.cells().filter(|cell| {
                cell.values.iter().any(|(other, cells)| *other == name && cells.iter().all(|value| values.contains(value)))
            });
            prop_assert_eq!(inside.map(|cell| cell.sums[0].1).sum::<u128>(), margin.sums[0].1);
        }
    }

    #[test]
    fn admitted_releases_never_cut_out_fewer_learners_than_a_group(
        first in arrangement(), changes in vec(vec((0..40usize, prop::option::of(0..4u32)), 0..14), 1..5)
    ) {
        let (size, mut ledger) = (k(5), Ledger::default());
        let mut now = first;
        let mut views = vec![Vec::new(); 40];
        for change in std::iter::once(vec![]).chain(changes) {
            change.into_iter().for_each(|(number, place)| now[number] = place);
            let places = now.iter().enumerate()
                .filter_map(|(number, block)| Some((learner(number), Place { block: (*block)?, told: Box::default() })));
            let mut cohort = Cohort { columns: vec![], places: places.collect() };
            for learner in ledger.hold_back(size, &cohort) {
                cohort.places.remove(&learner);
            }
            // Whoever is held back makes every release admissible.
            ledger = ledger.admit(size, &cohort).unwrap();
            for (number, view) in views.iter_mut().enumerate() {
                view.push(cohort.places.get(&learner(number)).map(|place| place.block));
            }
        }
        let mut classes: BTreeMap<&Vec<Option<u32>>, u32> = BTreeMap::new();
        views.iter().for_each(|view| *classes.entry(view).or_default() += 1);
        for (view, class) in classes {
            prop_assert!(class >= 5 || view.iter().all(Option::is_none), "{} learners were seen as {:?}", class, view);
        }
    }
}
