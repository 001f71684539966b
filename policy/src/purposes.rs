//! The purposes that our profile knows, and which lie below which: the one answer to `purpose isA`, for decisions and plans (`evaluate`), for
//! what follows from constraints (`premises`) and for the comparison of areas (`odrl::compare`). The tree itself stands in `vocabulary`. Names are canonical
//! ([`crate::canonical_name`]). What a policy asks of a purpose is no matter of this file.

use crate::{truth::Truth, vocabulary};
use std::{
    collections::{BTreeSet, HashMap},
    sync::LazyLock,
};

/// Each purpose of the tree with all that it lies below, itself included.
static ABOVE: LazyLock<HashMap<String, BTreeSet<String>>> = LazyLock::new(|| {
    let mut near: HashMap<String, Vec<String>> = HashMap::new();
    for (name, wider) in vocabulary::purposes() {
        near.entry(wider.clone()).or_default();
        near.entry(name).or_default().push(wider);
    }
    let all = near.keys().map(|name| {
        let (mut found, mut open) = (BTreeSet::new(), vec![name]);
        while let Some(next) = open.pop() {
            if found.insert(next.clone()) {
                open.extend(near.get(next).into_iter().flatten());
            }
        }
        (name.clone(), found)
    });
    all.collect()
});

/// Every purpose of the tree.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    ABOVE.keys().map(String::as_str)
}

/// Whether a purpose is one of these or lies below one of them (policy.md §1.5, `isA`). The tree is complete for the names in it; of any other
/// name, on either side, nothing is known but that it is itself.
pub(crate) fn lies_below(name: &str, wider: &BTreeSet<String>) -> Truth {
    if wider.contains(name) {
        return Truth::True;
    }
    match ABOVE.get(name) {
        None => Truth::Unknown,
        Some(above) if above.iter().any(|one| wider.contains(one)) => Truth::True,
        Some(_) if wider.iter().all(|one| ABOVE.contains_key(one)) => Truth::False,
        Some(_) => Truth::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odrl::compare::Concepts;

    fn below(name: &str, wider: &[&str]) -> Truth {
        let canonical = crate::canonical_name;
        lies_below(&canonical(name), &wider.iter().map(|one| canonical(one)).collect())
    }

    #[test]
    fn a_purpose_lies_below_itself_and_all_that_is_above_it() {
        for wider in [
            "dpv:TargetedAdvertising",
            "dpv:Advertising",
            "dpv:Marketing",
            "dpv:Personalisation",
            "dpv:Purpose",
        ] {
            assert_eq!(below("dpv:TargetedAdvertising", &[wider]), Truth::True, "{wider}");
        }
        assert_eq!(below("dases:orientation", &["dpv:ServicePersonalisation"]), Truth::True);
        assert_eq!(below("dpv:Marketing", &["dpv:TargetedAdvertising"]), Truth::False);
        assert_eq!(below("dpv:ScientificResearch", &["dpv:Marketing"]), Truth::False);
        assert_eq!(
            below(
                "dpv:ScientificResearch",
                &["dpv:Marketing", "dpv:ResearchAndDevelopment"]
            ),
            Truth::True
        );
    }

    #[test]
    fn of_a_name_that_is_not_in_the_tree_only_the_name_itself_is_known() {
        assert_eq!(below("training", &["dases:training"]), Truth::True);
        assert_eq!(below("training", &["dpv:Purpose"]), Truth::Unknown);
        assert_eq!(below("dpv:Marketing", &["training"]), Truth::Unknown);
        assert_eq!(
            below("dpv:Marketing", &["dpv:PublicBenefit", "training"]),
            Truth::Unknown
        );
        assert_eq!(below("dpv:NoSuchPurpose", &["dpv:Purpose"]), Truth::Unknown);
    }

    #[test]
    fn comparison_says_the_same_of_every_pair() {
        let concepts = Concepts::profile();
        let names: Vec<&str> = all().chain(["training", "urn:p"]).collect();
        assert!(names.len() > 90);
        for name in &names {
            for wider in &names {
                let one = BTreeSet::from([(*wider).to_owned()]);
                assert_eq!(
                    lies_below(name, &one),
                    concepts.purpose_below(name, wider),
                    "{name} {wider}"
                );
            }
        }
    }
}
