//! Agreements in force beside each other: where one permits what another between the same two parties about the same dataset prohibits. It is
//! told and refuses nothing, because each transfer names one agreement and is decided by that alone (policy.md §6.2).

use super::StoredAgreement;
use crate::dsp::{AgreementId, DatasetId, ParticipantId};
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};
use utoipa::ToSchema;

/// Another agreement that one contradicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Contradiction {
    /// The other agreement.
    pub agreement: AgreementId,
    /// Where they do, in plain English, with a request that shows it.
    pub reasons: Vec<String>,
}

type Between = (ParticipantId, ParticipantId, DatasetId);

/// Terms, and the agreements that say them.
struct Terms {
    said: Value,
    agreements: Vec<AgreementId>,
}

/// Agreements by parties and dataset, the same terms once: many agreements have few terms.
#[derive(Default)]
pub struct Beside(Mutex<BTreeMap<Between, Vec<Terms>>>);

fn between(agreement: &StoredAgreement) -> Between {
    (
        agreement.provider.clone(),
        agreement.consumer.clone(),
        agreement.dataset.clone(),
    )
}

/// An agreement without what is its own.
fn terms(agreement: &StoredAgreement) -> Value {
    let mut terms = agreement.agreement.clone();
    if let Some(members) = terms.as_object_mut() {
        for own in ["@id", "timestamp"] {
            members.shift_remove(own);
        }
    }
    terms
}

impl Beside {
    /// These agreements.
    pub fn of<'a>(agreements: impl IntoIterator<Item = &'a StoredAgreement>) -> Self {
        let beside = Self::default();
        agreements.into_iter().for_each(|one| beside.add(one));
        beside
    }

    /// One more.
    pub(super) fn add(&self, agreement: &StoredAgreement) {
        let said = terms(agreement);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(between(agreement)).or_default();
        match known.iter_mut().find(|terms| terms.said == said) {
            Some(same) if same.agreements.contains(&agreement.id) => {}
            Some(same) => same.agreements.push(agreement.id.clone()),
            None => known.push(Terms {
                said,
                agreements: vec![agreement.id.clone()],
            }),
        }
    }

    /// What this agreement contradicts.
    pub fn contradicted_by(&self, agreement: &StoredAgreement) -> Vec<Contradiction> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = terms(agreement);
        let others = all.get(&between(agreement)).into_iter().flatten();
        let mut found = Vec::new();
        for other in others.filter(|other| other.said != said) {
            let ids = other.agreements.iter().filter(|id| **id != agreement.id);
            let reasons = policy::contradictions(&agreement.agreement, &other.said);
            if !reasons.is_empty() {
                found.extend(ids.map(|id| Contradiction {
                    agreement: id.clone(),
                    reasons: reasons.clone(),
                }));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn agreed(id: &str, prohibited: &[&str]) -> StoredAgreement {
        let prohibited: Vec<Value> = prohibited.iter().map(|action| json!({"action": action})).collect();
        serde_json::from_value(json!({
            "id": id, "dataset": "records", "provider": "did:web:school.example", "consumer": "did:web:work.example",
            "role": "provider", "negotiation": "urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11", "document": "{}", "keys": [],
            "signed": "2026-06-30T12:00:00Z",
            "agreement": {
                "@id": id, "@type": "Agreement", "target": "records", "timestamp": "2026-06-30T12:00:00Z",
                "assigner": "did:web:school.example", "assignee": "did:web:work.example",
                "permission": [{"action": "use"}], "prohibition": prohibited,
            },
        }))
        .unwrap()
    }

    fn contradicted(beside: &Beside, agreement: &StoredAgreement) -> Vec<String> {
        let found = beside.contradicted_by(agreement);
        found.iter().map(|one| one.agreement.to_string()).collect()
    }

    #[test]
    fn an_agreement_names_the_others_that_prohibit_what_it_permits() {
        let (one, two, strict) = (
            agreed("urn:1", &[]),
            agreed("urn:2", &[]),
            agreed("urn:3", &["distribute"]),
        );
        let beside = Beside::of([&one, &two, &strict]);
        assert_eq!(contradicted(&beside, &one), ["urn:3"]);
        assert_eq!(contradicted(&beside, &strict), ["urn:1", "urn:2"]);
        let reason = &beside.contradicted_by(&strict)[0].reasons[0];
        assert!(
            reason.starts_with("the other permits what this agreement prohibits at /prohibition/0, for instance: "),
            "{reason}"
        );
    }

    #[test]
    fn agreements_about_other_datasets_or_with_others_contradict_nothing() {
        let (one, mut strict) = (agreed("urn:1", &[]), agreed("urn:3", &["distribute"]));
        strict.dataset = "other".parse().unwrap();
        assert!(Beside::of([&one, &strict]).contradicted_by(&one).is_empty());
        strict.dataset = one.dataset.clone();
        strict.consumer = "did:web:else.example".parse().unwrap();
        assert!(Beside::of([&one, &strict]).contradicted_by(&one).is_empty());
    }

    #[test]
    fn an_agreement_does_not_contradict_itself_or_its_equals() {
        let (one, same) = (agreed("urn:1", &[]), agreed("urn:2", &[]));
        let beside = Beside::of([&one, &same, &one]);
        assert!(beside.contradicted_by(&one).is_empty());
    }
}
