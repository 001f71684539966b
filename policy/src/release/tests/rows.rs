//! Rows that many learners share, and the hierarchies that make them alike.

use super::{
    super::{
        MAX_LEARNERS, Refused, TooMany,
        anonymity::{Anonymous, DIVERSITY, MAX_GENERALISATIONS, Plan, PlanError, Rows},
        hierarchy::{ANY, Hierarchy, HierarchyError},
    },
    k, learner,
};
use proptest::{collection::vec, prelude::*};
use std::collections::{BTreeMap, BTreeSet};

fn postcodes_and_ages(withheld: u8) -> Plan {
    let hierarchies = vec![Hierarchy::Prefixes(vec![2]), Hierarchy::Bands(vec![5, 10])];
    Plan::new(hierarchies, &["/level"], withheld).unwrap()
}

fn rows(plan: Plan, of: impl IntoIterator<Item = (usize, String, String, &'static str)>) -> Rows {
    let mut rows = Rows::new(plan);
    for (number, postcode, age, level) in of {
        rows.add(learner(number), vec![postcode, age], vec![Some(level.into())])
            .unwrap();
    }
    rows
}

#[test]
fn the_least_generalisation_that_hides_everyone_is_taken() {
    let level = |number: usize| if number.is_multiple_of(2) { "B1" } else { "B2" };
    let people = (0..20).map(|number| {
        (
            number,
            format!("5965{}", number % 7),
            (15 + number % 2).to_string(),
            level(number / 2),
        )
    });
    let made = rows(postcodes_and_ages(0), people.clone()).anonymise(k(5)).unwrap();
    assert_eq!(made.levels(), [1, 0], "postcodes to 59, ages as they are");
    assert_eq!(made.rows().len(), 20);
    // The ages that each school class has alone need their step too.
    let alone = people.chain([(20, "59650".into(), "19".into(), "B1")]);
    let made = rows(postcodes_and_ages(0), alone.clone()).anonymise(k(5)).unwrap();
    assert_eq!(made.levels(), [1, 1]);
    // Unless that one row may be withheld.
    let made = rows(postcodes_and_ages(5), alone).anonymise(k(5)).unwrap();
    assert_eq!((made.levels(), made.rows().len()), (&[1, 0][..], 20));
}

#[test]
fn a_group_of_one_sensitive_value_is_not_released() {
    let same = (0..20).map(|number| (number, "59650".into(), "15".into(), "B1"));
    assert_eq!(
        rows(postcodes_and_ages(0), same.clone()).anonymise(k(5)).unwrap_err(),
        Refused::Alike
    );
    assert_eq!(Refused::Alike.code().as_str(), "AGG-05");
    // Of too few it is not told how they differ.
    let few = rows(postcodes_and_ages(0), same.take(4));
    assert_eq!(few.anonymise(k(5)).unwrap_err(), Refused::TooSmall(k(5)));
}

#[test]
fn whether_a_group_is_too_small_does_not_depend_on_what_may_be_withheld() {
    let level = |number: usize| if number == 0 { "B2" } else { "B1" };
    let people = |many: usize| (0..many).map(move |number| (number, number.to_string(), "15".into(), level(number)));
    let refused = |many, percent| rows(postcodes_and_ages(percent), people(many)).anonymise(k(5)).err();
    assert_eq!(refused(4, 20), Some(Refused::TooSmall(k(5))));
    for percent in [0, 20] {
        assert_eq!(refused(5, percent), None, "two values, and all in one group");
    }
}

#[test]
fn free_text_never_leaves_through_a_quasi_identifier() {
    let listed = Hierarchy::Listed(BTreeMap::from([("bac".into(), vec!["secondary".into()])]));
    for hierarchy in [Hierarchy::Bands(vec![5]), Hierarchy::Prefixes(vec![2]), listed] {
        for level in 0..hierarchy.levels() {
            assert_eq!(hierarchy.at("Marie Curie, 12 rue des Lilas", level), ANY);
        }
    }
}

#[test]
fn hierarchies_only_get_coarser() {
    let listed = |paths: &[(&str, &[&str])]| {
        let path =
            |(value, path): &(&str, &[&str])| ((*value).into(), path.iter().map(|step| (*step).into()).collect());
        Hierarchy::Listed(paths.iter().map(path).collect()).check()
    };
    assert_eq!(Hierarchy::Bands(vec![5, 12]).check(), Err(HierarchyError::Bands));
    assert_eq!(Hierarchy::Bands(vec![0]).check(), Err(HierarchyError::Bands));
    assert_eq!(Hierarchy::Prefixes(vec![2, 3]).check(), Err(HierarchyError::Prefixes));
    assert_eq!(
        listed(&[("a", &["x"]), ("b", &["x", "y"])]),
        Err(HierarchyError::Listed)
    );
    assert_eq!(
        listed(&[("a", &["x", "p"]), ("b", &["x", "q"])]),
        Err(HierarchyError::Listed)
    );
    assert_eq!(listed(&[]), Err(HierarchyError::Steps));
    assert_eq!(listed(&[("a", &["x", "p"]), ("b", &["y", "p"])]), Ok(()));
    let many = vec![Hierarchy::Bands(vec![2, 4, 8, 16, 32, 64, 128]); 4];
    assert!(9usize.pow(4) > MAX_GENERALISATIONS);
    assert_eq!(Plan::new(many, &[], 0), Err(PlanError::TooManyGeneralisations));
    assert_eq!(Plan::new(vec![], &[], 50), Err(PlanError::TooManyWithheld));
}

#[test]
fn a_million_rows_are_taken_and_one_more_is_refused() {
    let mut rows = Rows::new(Plan::new(vec![], &[], 0).unwrap());
    (0..MAX_LEARNERS).for_each(|number| rows.add(learner(number), vec![], vec![]).unwrap());
    assert_eq!(
        rows.add(learner(0), vec![], vec![]),
        Ok(()),
        "of a learner who is in it"
    );
    assert_eq!(rows.add(learner(MAX_LEARNERS), vec![], vec![]), Err(TooMany));
}

#[test]
fn rows_that_all_differ_come_to_an_end() {
    let level = |number: usize| if number.is_multiple_of(2) { "B1" } else { "B2" };
    let people = (0..50_000).map(|number| {
        (
            number,
            format!("{number:05}"),
            (number % 100).to_string(),
            level(number / 100),
        )
    });
    let made = rows(postcodes_and_ages(5), people).anonymise(k(10)).unwrap();
    assert_eq!(made.rows().len(), 50_000);
}

/// Groups of a release with their sizes and the number of sensitive values, by its rows alone.
fn groups(made: &Anonymous) -> BTreeMap<&[String], (usize, usize)> {
    let mut groups: BTreeMap<&[String], (usize, BTreeSet<&Option<String>>)> = BTreeMap::new();
    for row in made.rows() {
        let group = groups.entry(&row.quasi).or_default();
        group.0 += 1;
        group.1.insert(&row.sensitive[0]);
    }
    groups
        .into_iter()
        .map(|(quasi, (size, values))| (quasi, (size, values.len())))
        .collect()
}

proptest! {
    #[test]
    fn rows_are_released_in_groups_and_the_same_whatever_order_they_came_in(
        people in vec((0..100u32, 0..40u32, prop::bool::ANY), 1..80), withheld in 0..=20u8
    ) {
        let all = people.iter().enumerate().map(|(number, (postcode, age, level))| {
            (number, format!("{:05}", 59_000 + postcode * 37), age.to_string(), if *level { "B1" } else { "B2" })
        });
        let made = rows(postcodes_and_ages(withheld), all.clone()).anonymise(k(5));
        let reversed = rows(postcodes_and_ages(withheld), all.rev()).anonymise(k(5));
        let (Ok(made), Ok(reversed)) = (made, reversed) else { return Ok(()) };
        prop_assert_eq!(made.rows(), reversed.rows());
        prop_assert!(groups(&made).values().all(|(size, values)| *size >= 5 && *values >= DIVERSITY));
        prop_assert!((people.len() - made.rows().len()) * 100 <= people.len() * usize::from(withheld));
        prop_assert_eq!(made.cohort().places.len(), made.rows().len());
    }

    #[test]
    fn values_that_became_one_stay_one(left in 0..300u32, right in 0..300u32) {
        let (left, right) = (left.to_string(), right.to_string());
        for hierarchy in [Hierarchy::Bands(vec![5, 10, 50]), Hierarchy::Prefixes(vec![2, 1])] {
            prop_assert_eq!(hierarchy.check(), Ok(()));
            let equal = |level: usize| hierarchy.at(&left, level) == hierarchy.at(&right, level);
            prop_assert!((1..hierarchy.levels()).all(|level| !equal(level - 1) || equal(level)));
        }
    }
}
