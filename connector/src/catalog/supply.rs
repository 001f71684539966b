//! Whether what an offer asks for can be known at all (policy.md §6.4: every operand resolvable at its stage), and whether the data categories
//! that it names are there. Where what has no value at any time would refuse every transfer, long after the agreement, the offer is not
//! published; where something is permitted without it, its author is warned. Of values only those of data categories are looked at.

use super::{Dataset, Event, action_of, facts::of_dataset};
use policy::{Atomic, Category, Code, Facts, LeftOperand, Operator, Policy, Reason, Timestamp, canonical_name};
use std::collections::BTreeSet;

/// Refuses an offer that permits nothing, or forbids all, as long as what is never known of this dataset is not.
pub(super) fn check(policy: &Policy, dataset: &Dataset, events: &[Event], now: Timestamp) -> Result<(), Vec<Reason>> {
    let absent = absent(policy, dataset);
    let empty = |asked: &Atomic| {
        absent
            .iter()
            .any(|one| one.all && one.asked.pointer() == asked.pointer())
    };
    let never = |asked: &Atomic| missing(asked, dataset, events).is_some() || empty(asked);
    if !policy.comparisons().into_iter().any(never) {
        return Ok(());
    }
    let dataset = &dataset.held_to(policy);
    let facts = of_dataset(Facts::new(now, "", action_of(dataset.release.as_ref())), dataset);
    match policy.permits_never_knowing(&facts, never) {
        true => Ok(()),
        false => Err(never_known(policy, dataset, events)),
    }
}

/// Names each comparison of the offer that could never be made for this dataset, and the data categories that it does not have.
pub(super) fn never_known(policy: &Policy, dataset: &Dataset, events: &[Event]) -> Vec<Reason> {
    let comparisons = policy.comparisons().into_iter();
    let never = comparisons.filter_map(|asked| {
        let why = missing(asked, dataset, events)?;
        let text = format!("{} is asked for, and {why}", asked.left_name());
        Some(Reason::new(Code::NeverKnown, asked.pointer(), text))
    });
    let absent = absent(policy, dataset).into_iter();
    never.chain(absent.map(Absent::told)).collect()
}

/// Data categories that a permission lets out, and that no field of the dataset is in.
struct Absent<'p> {
    asked: &'p Atomic,
    names: Vec<&'static str>,
    /// No category of the dataset is let out at all.
    all: bool,
}

impl Absent<'_> {
    fn told(self) -> Reason {
        let names = self.names.join(", ");
        let text = match (self.all, self.names.as_slice()) {
            (true, []) => format!(
                "{} leaves out every category that a field of this dataset is in",
                self.asked
            ),
            _ => format!(
                "no field of this dataset is in the category {names}; name its fields under \"categories\", or leave it out"
            ),
        };
        Reason::new(Code::NeverKnown, self.asked.pointer(), text)
    }
}

/// What permissions say of data categories that are not there. Prohibitions may well name them.
fn absent<'p>(policy: &'p Policy, dataset: &Dataset) -> Vec<Absent<'p>> {
    let read = |text: &str| Category::read(text);
    let there: BTreeSet<Category> = dataset.categories.keys().filter_map(|name| read(name)).collect();
    let asked = policy.asked_by_permissions().into_iter();
    let asked = asked.filter(|asked| asked.left().known() == Some(LeftOperand::DataCategory));
    let absent = asked.map(|asked| {
        let named: BTreeSet<Category> = asked.right().iter().filter_map(|value| read(&value.text)).collect();
        let excluding = matches!(asked.operator().known(), Some(Operator::Neq | Operator::IsNoneOf));
        let lacking = named.difference(&there).map(|category| category.name());
        Absent {
            asked,
            names: lacking.filter(|_| !excluding).collect(),
            all: if excluding {
                there.is_subset(&named)
            } else {
                there.is_disjoint(&named)
            },
        }
    });
    absent.filter(|absent| absent.all || !absent.names.is_empty()).collect()
}

/// Why an operand never has a value here; none where it has one, or may come to have one.
fn missing(asked: &Atomic, dataset: &Dataset, events: &[Event]) -> Option<String> {
    use LeftOperand as L;
    let operand = asked.left().known()?;
    match operand {
        L::Language | L::Version | L::Product | L::LegalBasis => {
            let silent = dataset.described(operand).next().is_none();
            silent.then(|| format!("the dataset does not say it; name it under \"{}\" in its facts", operand.name()))
        }
        L::Event => {
            let name = canonical_name(&asked.right().first()?.text);
            let itself = name == canonical_name("odrl:policyUsage");
            let known = itself || events.iter().any(|event| canonical_name(&event.id) == name);
            (!known).then(|| format!("{name} is not in the register; add it to the configuration as [[event]]"))
        }
        L::MinGroupSize => {
            let records = dataset.release.is_none();
            records.then(|| "single records show no group; declare a release of the dataset".to_owned())
        }
        L::PayAmount => {
            let bare = asked.unit().is_none();
            bare.then(|| "an amount is compared in its unit; name one, such as EUR".to_owned())
        }
        // What this connector knows itself, of every transfer.
        L::DateTime
        | L::Recipient
        | L::SystemDevice
        | L::FileFormat
        | L::DeliveryChannel
        | L::ArtifactState
        | L::ElapsedTime
        | L::DelayPeriod
        | L::TimeInterval
        | L::MeteredTime
        | L::Count
        // What the agreement, the dataset and the learners say of each record.
        | L::Purpose
        | L::DataCategory
        | L::Consent
        | L::Minor
        | L::GuardianConsent
        // What credentials say of a consumer: some consumer may have them.
        | L::Membership
        | L::Credential
        | L::Spatial
        | L::Industry
        | L::Application
        | L::Role
        | L::Assurance
        | L::SecurityLevel
        | L::State => None,
    }
}

#[cfg(test)]
mod tests;
