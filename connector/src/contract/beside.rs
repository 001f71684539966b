//! Agreements in force beside each other: where one permits what another between the same two parties about the same dataset prohibits. It is
//! told and refuses nothing, because each transfer names one agreement and is decided by that alone (policy.md §6.2).

use super::StoredAgreement;
use crate::{
    catalog::read_policy,
    dsp::{AgreementId, DatasetId, ParticipantId},
};
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};
use utoipa::ToSchema;

/// As many other terms are compared with those of one agreement, the latest first.
const MOST: usize = 32;

/// Another agreement that one contradicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Contradiction {
    /// The other agreement.
    pub agreement: AgreementId,
    /// Where they do, in plain English, with a request that shows it.
    pub reasons: Vec<String>,
}

/// What an agreement contradicts, as far as it was compared.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contradicted {
    /// The others.
    pub by: Vec<Contradiction>,
    /// How many others were not looked at, because there are too many terms between the same parties about the same dataset.
    pub not_compared: usize,
}

impl Contradicted {
    /// As many others, and none of them compared.
    pub(super) fn none_of(others: usize) -> Self {
        Self {
            by: Vec::new(),
            not_compared: others,
        }
    }
}

type Between = (ParticipantId, ParticipantId, DatasetId);

/// Terms, and the agreements that say them.
#[derive(Clone)]
struct Terms {
    said: Value,
    /// Without a prohibition on either side nothing is contradicted.
    prohibit: bool,
    agreements: Vec<AgreementId>,
}

/// An agreement beside the terms that it is to be compared with. Comparing takes its time and locks nothing.
pub(super) struct Question {
    id: AgreementId,
    said: Value,
    others: Vec<Terms>,
    not_compared: usize,
}

/// Agreements by parties and dataset, the same terms once: many agreements have few terms.
#[derive(Default)]
pub(super) struct Beside(Mutex<BTreeMap<Between, Vec<Terms>>>);

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
    pub(super) fn of<'a>(agreements: impl IntoIterator<Item = &'a StoredAgreement>) -> Self {
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
                prohibit: prohibit(&agreement.agreement),
                said,
                agreements: vec![agreement.id.clone()],
            }),
        }
    }

    /// These agreements about the same have no force any more.
    pub(super) fn forget(&self, agreement: &StoredAgreement, void: &[AgreementId]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(&between(agreement)) {
            for terms in known.iter_mut() {
                terms.agreements.retain(|id| !void.contains(id));
            }
            known.retain(|terms| !terms.agreements.is_empty());
        }
    }

    /// What this agreement is to be compared with.
    pub(super) fn question(&self, agreement: &StoredAgreement) -> Question {
        let said = terms(agreement);
        let prohibits = prohibit(&agreement.agreement);
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(&between(agreement)).into_iter().flatten().rev();
        let mut others = known.filter(|other| (prohibits || other.prohibit) && other.said != said);
        Question {
            id: agreement.id.clone(),
            others: others.by_ref().take(MOST).cloned().collect(),
            not_compared: others.map(|other| other.agreements.len()).sum(),
            said,
        }
    }
}

impl Question {
    /// How many agreements it is about.
    pub(super) fn len(&self) -> usize {
        let others = self.others.iter().map(|other| other.agreements.len());
        others.sum::<usize>() + self.not_compared
    }

    /// Compares.
    pub(super) fn answer(self) -> Contradicted {
        let mut by = Vec::new();
        for other in self.others {
            let reasons = policy::contradictions(&self.said, &other.said);
            if reasons.is_empty() {
                continue;
            }
            let ids = other.agreements.into_iter().filter(|id| *id != self.id);
            by.extend(ids.map(|agreement| Contradiction {
                agreement,
                reasons: reasons.clone(),
            }));
        }
        Contradicted {
            by,
            not_compared: self.not_compared,
        }
    }
}

/// Whether an agreement prohibits anything; what cannot be read any more is compared.
fn prohibit(agreement: &Value) -> bool {
    read_policy(agreement).map_or(true, |policy| !policy.prohibitions().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn agreed(id: &str, prohibited: &[&str]) -> StoredAgreement {
        let prohibited: Vec<Value> = prohibited.iter().map(|action| json!({"action": action})).collect();
        let mut agreed: StoredAgreement = serde_json::from_value(json!({
            "id": id, "dataset": "records", "provider": "did:web:school.example", "consumer": "did:web:work.example",
            "role": "provider", "negotiation": "urn:uuid:0198f2c4-7a31-7d20-8f00-3b6c1a9e5d11", "document": "{}", "keys": [],
            "signed": "2026-06-30T12:00:00Z",
            "agreement": {
                "@id": id, "@type": "Agreement", "target": "records", "timestamp": "2026-06-30T12:00:00Z",
                "assigner": "did:web:school.example", "assignee": "did:web:work.example",
                "permission": [{"action": "use"}],
            },
        }))
        .unwrap();
        if !prohibited.is_empty() {
            agreed.agreement["prohibition"] = prohibited.into();
        }
        agreed
    }

    fn contradicted(beside: &Beside, agreement: &StoredAgreement) -> Vec<String> {
        let found = beside.question(agreement).answer().by;
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
        beside.forget(&strict, &["urn:1".parse().unwrap()]);
        assert_eq!(contradicted(&beside, &strict), ["urn:2"], "without force");
        let reason = &beside.question(&strict).answer().by[0].reasons[0];
        assert!(
            reason.starts_with("the other permits what this agreement prohibits at /prohibition/0, for instance: "),
            "{reason}"
        );
    }

    #[test]
    fn agreements_about_other_datasets_or_with_others_contradict_nothing() {
        let (one, mut strict) = (agreed("urn:1", &[]), agreed("urn:3", &["distribute"]));
        strict.dataset = "other".parse().unwrap();
        assert!(contradicted(&Beside::of([&one, &strict]), &one).is_empty());
        strict.dataset = one.dataset.clone();
        strict.consumer = "did:web:else.example".parse().unwrap();
        assert!(contradicted(&Beside::of([&one, &strict]), &one).is_empty());
    }

    #[test]
    fn an_agreement_does_not_contradict_itself_or_its_equals() {
        let (one, same) = (agreed("urn:1", &[]), agreed("urn:2", &[]));
        let beside = Beside::of([&one, &same, &one]);
        assert!(contradicted(&beside, &one).is_empty());
    }

    #[test]
    fn of_many_terms_the_latest_are_compared_and_the_others_are_counted() {
        let one = agreed("urn:0", &[]);
        let of_its_own = |number: usize| {
            let mut other = agreed(&format!("urn:{number}"), &["distribute"]);
            let until = json!({"leftOperand": "count", "operator": "lteq", "rightOperand": number.to_string()});
            other.agreement["permission"][0]["constraint"] = json!([until]);
            other
        };
        let others: Vec<StoredAgreement> = (1..=MOST + 3).map(of_its_own).collect();
        let found = Beside::of(&others).question(&one).answer();
        assert_eq!((found.by.len(), found.not_compared), (MOST, 3));
        assert_eq!(found.by[0].agreement.as_str(), format!("urn:{}", MOST + 3));
        // Terms that prohibit nothing cost nothing.
        let free = (1..=MOST + 3).map(|number| {
            let mut free = of_its_own(number);
            free.agreement.as_object_mut().unwrap().remove("prohibition");
            free
        });
        let question = Beside::of(&free.collect::<Vec<_>>()).question(&one);
        assert!(question.others.is_empty());
        assert_eq!(question.answer(), Contradicted::default());
    }
}
