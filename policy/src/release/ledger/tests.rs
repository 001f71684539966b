//! What the difference of two releases may not tell, each with the releases that would tell it.

use super::{
    super::tests::{cohort, k, learner},
    *,
};
use crate::release::Place;
use proptest::{collection::vec, prelude::*};

/// Learners from number 0 on, all in one block, each with these numbers for the columns.
fn told(columns: &[Column], each: &[&[u64]]) -> Cohort {
    let place = |told: &&[u64]| Place {
        block: 0,
        told: (*told).into(),
    };
    let places = each
        .iter()
        .enumerate()
        .map(|(number, one)| (learner(number), place(one)));
    Cohort {
        columns: columns.to_vec(),
        places: places.collect(),
    }
}

fn hours(each: impl IntoIterator<Item = u64>) -> Cohort {
    one_column(Column::new(ToldOf::Sum, "/hours"), each)
}

fn levels(each: impl IntoIterator<Item = u64>) -> Cohort {
    one_column(Column::new(ToldOf::Value, "/level"), each)
}

fn one_column(column: Column, each: impl IntoIterator<Item = u64>) -> Cohort {
    let each: Vec<[u64; 1]> = each.into_iter().map(|told| [told]).collect();
    told(&[column], &each.iter().map(<[u64; 1]>::as_slice).collect::<Vec<_>>())
}

fn without(mut cohort: Cohort, gone: std::ops::Range<usize>) -> Cohort {
    gone.for_each(|number| {
        cohort.places.remove(&learner(number));
    });
    cohort
}

fn admitted(cohort: &Cohort) -> Ledger {
    Ledger::default().admit(k(5), cohort).unwrap()
}

#[test]
fn a_group_that_goes_may_not_have_one_who_made_up_most_of_its_sum() {
    // One has sixty hours, who is no half of all two hundred, but more than half of the five who go with them.
    let all = hours([60, 10, 10, 10, 10].into_iter().chain([20; 10]));
    let ledger = admitted(&all);
    assert_eq!(
        ledger.admit(k(5), &without(all.clone(), 0..5)),
        Err(Refused::Differencing(k(5)))
    );
    assert!(
        ledger.admit(k(5), &without(all, 5..10)).is_ok(),
        "five with twenty each"
    );
}

#[test]
fn a_group_that_goes_may_not_be_all_of_one_level() {
    let all = levels([1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 1, 2, 1, 2]);
    let ledger = admitted(&all);
    let refused = Err(Refused::Differencing(k(5)));
    assert_eq!(ledger.admit(k(5), &without(all.clone(), 0..5)), refused);
    assert!(ledger.admit(k(5), &without(all.clone(), 3..8)).is_ok());
    // A level that is missing makes no group more diverse.
    let unknown = levels([1, 1, 1, 1, Column::MISSING, 2, 2, 2, 2, 2, 1, 2, 1, 2]);
    assert_eq!(admitted(&unknown).admit(k(5), &without(unknown, 0..5)), refused);
}

#[test]
fn newcomers_may_not_have_one_who_makes_up_most_of_what_they_add() {
    let before = hours([20; 10]);
    let ledger = admitted(&before);
    let joined = |hours_of: [u64; 5]| ledger.admit(k(5), &hours([20; 10].into_iter().chain(hours_of)));
    assert_eq!(joined([90, 10, 10, 10, 10]), Err(Refused::Differencing(k(5))));
    assert!(joined([20; 5]).is_ok());
}

#[test]
fn a_difference_of_two_sums_may_not_be_one_learners() {
    let ledger = admitted(&hours([20; 10]));
    // All have more hours than before, and one of them most of what there is more.
    let more = |one: u64| ledger.admit(k(5), &hours([20 + one].into_iter().chain([21; 9])));
    assert_eq!(more(60), Err(Refused::Differencing(k(5))));
    assert!(more(3).is_ok());
}

#[test]
fn a_change_that_is_changed_back_is_compared_with_what_it_was_before() {
    // Each two neighbours differ in all of twelve; the third less the first is what one has.
    let ledger = admitted(&hours([100; 12])).admit(k(5), &hours([110; 12])).unwrap();
    let back = |last: &[u64]| {
        let all = [100; 12].into_iter().take(12 - last.len()).chain(last.iter().copied());
        ledger.admit(k(5), &hours(all))
    };
    assert_eq!(back(&[111]), Err(Refused::Differencing(k(5))));
    assert_eq!(back(&[107; 3]), Err(Refused::Differencing(k(5))), "three are too few");
    assert!(back(&[]).is_ok());
    assert!(back(&[107; 5]).is_ok());
    assert!(back(&[107; 12]).is_ok());
}

#[test]
fn so_many_changes_are_remembered_and_compared() {
    let mut ledger = admitted(&hours([100; 12]));
    for change in 1..KEPT as u64 {
        ledger = ledger.admit(k(5), &hours([100 + change * 20; 12])).unwrap();
    }
    let one_more = hours([100; 11].into_iter().chain([103]));
    assert_eq!(ledger.admit(k(5), &one_more), Err(Refused::Differencing(k(5))));
    // What is told again takes no room; one change more and the first is forgotten.
    let again = ledger.admit(k(5), &hours([100 + (KEPT as u64 - 1) * 20; 12])).unwrap();
    assert_eq!(again, ledger);
    let ledger = ledger.admit(k(5), &hours([300; 12])).unwrap();
    assert_eq!(Ledger::from_bytes(&ledger.to_bytes()), Ok(ledger.clone()));
    assert!(ledger.admit(k(5), &one_more).is_ok());
}

#[test]
fn another_table_in_between_hides_no_change() {
    let count_alone = told(&[], &[&[][..]; 10]);
    let ledger = admitted(&hours([20; 10])).admit(k(5), &count_alone).unwrap();
    assert!(ledger.admit(k(5), &hours([20; 10])).is_ok());
    let one_changed = hours([25].into_iter().chain([20; 9]));
    assert_eq!(ledger.admit(k(5), &one_changed), Err(Refused::Differencing(k(5))));
    // In a table of hours and points the hours are the same hours.
    let points = Column::new(ToldOf::Sum, "/points");
    let both = [points, Column::new(ToldOf::Sum, "/hours")];
    let each: Vec<[u64; 2]> = (0..10).map(|number| [7, if number == 3 { 21 } else { 20 }]).collect();
    let each: Vec<&[u64]> = each.iter().map(<[u64; 2]>::as_slice).collect();
    assert_eq!(
        ledger.admit(k(5), &told(&both, &each)),
        Err(Refused::Differencing(k(5)))
    );
}

#[test]
fn a_sum_over_two_classes_may_not_be_told_where_one_of_them_has_a_dominant_learner() {
    // Two groups are known by their counts; the sum over both, and then over one of them, would tell the sum of the other.
    let counted = Cohort {
        columns: Vec::new(),
        ..cohort(&[(0, 0..5), (1, 5..15)])
    };
    let ledger = admitted(&counted);
    let both = hours([60, 10, 10, 10, 10].into_iter().chain([20; 10]));
    assert_eq!(ledger.admit(k(5), &both), Err(Refused::Differencing(k(5))));
}

#[test]
fn a_larger_group_size_holds_for_what_is_told_anew_of_a_smaller_group() {
    let ledger = admitted(&cohort(&[(0, 0..6), (1, 6..20)]));
    // Nothing new of the six: they are counted among twenty.
    let together = cohort(&[(0, 0..20)]);
    let ledger = ledger.admit(k(12), &together).unwrap();
    assert_eq!(ledger.group_size(k(5)), k(12));
    let mut changed = together.clone();
    (0..6).for_each(|number| changed.places.get_mut(&learner(number)).unwrap().told = Box::new([2]));
    assert_eq!(ledger.admit(k(5), &changed), Err(Refused::Differencing(k(12))));
    assert_eq!(
        ledger.admit(k(5), &without(together, 0..6)),
        Err(Refused::Differencing(k(12)))
    );
}

#[test]
fn whoever_is_held_back_makes_a_group_that_differs() {
    let all = levels([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2]);
    let ledger = admitted(&all);
    let mut next = without(all, 0..1);
    let held = ledger.hold_back(k(5), &next);
    assert!(held.len() >= 4);
    held.iter().for_each(|learner| {
        next.places.remove(learner);
    });
    assert!(ledger.admit(k(5), &next).is_ok());
}

#[test]
fn more_columns_than_can_be_compared_are_refused_for_good() {
    let column = |number: usize| Column::new(ToldOf::Sum, &number.to_string());
    let mut ledger = Ledger::default();
    for number in 0..MAX_COLUMNS {
        ledger = ledger.admit(k(5), &one_column(column(number), [1; 5])).unwrap();
    }
    assert_eq!(Ledger::from_bytes(&ledger.to_bytes()), Ok(ledger.clone()));
    let one_more = ledger.admit(k(5), &one_column(column(MAX_COLUMNS), [1; 5]));
    assert_eq!(one_more, Err(Refused::Full));
    assert_eq!(Refused::Full.code().as_str(), "AGG-04");
}

/// For each learner the block, the hours and the level.
fn people() -> impl Strategy<Value = Vec<Option<(u32, u64, u64)>>> {
    vec(prop::option::weighted(0.9, (0..2u32, 0..4u64, 0..3u64)), 40)
}

proptest! {
    #[test]
    fn with_whoever_is_held_back_left_out_every_release_is_admitted_and_every_class_is_a_group(
        first in people(), changes in vec(vec((0..40usize, prop::option::of((0..2u32, 0..4u64, 0..3u64))), 0..14), 1..4)
    ) {
        let (size, mut ledger, mut now) = (k(5), Ledger::default(), first);
        for change in std::iter::once(vec![]).chain(changes) {
            change.into_iter().for_each(|(number, told)| now[number] = told);
            let place = |told: &(u32, u64, u64)| Place { block: told.0, told: Box::new([told.1, told.2]) };
            let places = now.iter().enumerate().filter_map(|(number, told)| Some((learner(number), place(told.as_ref()?))));
            let mut cohort = Cohort {
                columns: vec![Column::new(ToldOf::Sum, "/hours"), Column::new(ToldOf::Value, "/level")],
                places: places.collect(),
            };
            for learner in ledger.hold_back(size, &cohort) {
                cohort.places.remove(&learner);
            }
            ledger = ledger.admit(size, &cohort).unwrap();
            prop_assert_eq!(Ledger::from_bytes(&ledger.to_bytes()).unwrap(), ledger.clone());
            let mut classes: BTreeMap<u32, Vec<&Entry>> = BTreeMap::new();
            ledger.entries.values().for_each(|entry| classes.entry(entry.class).or_default().push(entry));
            for class in classes.values() {
                prop_assert!(class.len() >= 5);
                prop_assert!(dominates_nobody(class.iter().filter_map(|entry| entry.told[0].last().copied())));
                prop_assert!(is_diverse(class.iter().filter_map(|entry| entry.told[1].last().copied())));
            }
        }
    }
}
