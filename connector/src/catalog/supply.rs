//! Whether what an offer asks for can be known at all (policy.md §6.4: every operand resolvable at its stage). Where what has no value at any
//! time would refuse every transfer, long after the agreement, the offer is not published; where something is permitted without it, its author
//! is warned. Nothing here looks at values.

use super::{Dataset, Event, action_of, facts::of_dataset};
use policy::{Atomic, Code, Facts, LeftOperand, Policy, Reason, Timestamp, canonical_name};

/// Refuses an offer that permits nothing, or forbids all, as long as what is never known of this dataset is not.
pub(super) fn check(policy: &Policy, dataset: &Dataset, events: &[Event], now: Timestamp) -> Result<(), Vec<Reason>> {
    let reasons = never_known(policy, dataset, events);
    if reasons.is_empty() {
        return Ok(());
    }
    let dataset = dataset.held_to(policy);
    let facts = of_dataset(Facts::new(now, "", action_of(dataset.release.as_ref())), &dataset);
    match policy.permits_never_knowing(&facts, |asked| missing(asked, &dataset, events).is_some()) {
        true => Ok(()),
        false => Err(reasons),
    }
}

/// Names each comparison of the offer that could never be made for this dataset.
pub(super) fn never_known(policy: &Policy, dataset: &Dataset, events: &[Event]) -> Vec<Reason> {
    let comparisons = policy.comparisons().into_iter();
    let never = comparisons.filter_map(|asked| {
        let why = missing(asked, dataset, events)?;
        Some(Reason {
            code: Code::NeverKnown,
            pointer: asked.pointer().to_owned(),
            text: format!("{} is asked for, and {why}", asked.left_name()),
        })
    });
    never.collect()
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
