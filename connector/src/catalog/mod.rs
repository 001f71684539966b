//! Datasets and their offers, and what one given peer may see of them.

mod dataset;
mod decisions;
mod facts;
mod informed;
pub mod release;
pub mod shape;
mod supply;

pub use dataset::{Dataset, DatasetError, NewDataset, SourceSpec, Warning, list};
pub use decisions::{CounterOffers, DatasetDecisions, Decisions, Mode, OtherTerms};
pub use facts::{Event, facts, of_transfer};
pub use informed::{Unreached, informed};
pub use release::ReleaseSpec;
pub use shape::{Category, CategorySet, MAX_DEPTH, Shape};

use crate::{
    audit::{Entry, Kind, Log},
    dsp::{DatasetId, OfferId, ParticipantId, catalog::Listed, catalog::ListedDataset},
    process::{self, decode, encode},
    store::{Batch, Guard, StoreError, Table},
    trust::{Party, Trust},
};
use policy::{Action, Code, Decision, Facts, Language, Plan, Policy, Reach, Reason, Stage, Timestamp};
use serde_json::Value;
use std::sync::Arc;

/// Datasets by id.
const DATASETS: Table = Table(6);
/// Offers by id: the dataset that each belongs to.
const OFFERS: Table = Table(7);
/// Largest offer or agreement, in bytes of compact JSON.
pub const MAX_POLICY: usize = 12 * 1024;

/// Why the catalog did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The dataset cannot be published as described.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A dataset or offer with this id exists.
    #[error("{0} exists already")]
    Exists(String),
    /// No such dataset, or not one that the caller may see.
    #[error("there is no such dataset")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The provider's datasets.
pub struct Catalog {
    log: Arc<Log>,
    trust: Arc<Trust>,
    events: Vec<Event>,
}

impl Catalog {
    /// A catalog over the log's store. `events` is the operator's register: other events are never known.
    pub fn new(log: Arc<Log>, trust: Arc<Trust>, events: Vec<Event>) -> Self {
        Self { log, trust, events }
    }

    /// Publishes a dataset.
    pub async fn add(&self, new: NewDataset, now: Timestamp) -> Result<Dataset, CatalogError> {
        let dataset = Dataset::publish(new, &self.events, now)?;
        let policy = read_policy(&dataset.offer)?;
        granted_by(&policy, self.trust.me())?;
        let named = policy.informs_here().collect::<Vec<_>>();
        informed(&self.trust, &named, now)
            .await
            .map_err(|why| DatasetError::NotReached(why.reasons()))?;
        let mut batch = Batch::new();
        batch.insert(DATASETS, dataset.id.as_str(), encode(&dataset)?);
        batch.insert(OFFERS, dataset.offer_id.as_str(), encode(&dataset.id)?);
        let entry = Entry::new(Kind::Dataset)
            .with("dataset", dataset.id.as_str())
            .with("change", "published");
        match self.log.commit(batch, entry, Vec::new(), now).await {
            Ok(_) => Ok(dataset),
            Err(StoreError::Conflict { guard: 0 }) => Err(CatalogError::Exists(dataset.id.to_string())),
            Err(StoreError::Conflict { .. }) => Err(CatalogError::Exists(dataset.offer_id.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// What the author of a dataset's offer may not have meant, told in this language.
    pub fn warnings(&self, dataset: &Dataset, language: Language, now: Timestamp) -> Vec<Warning> {
        let mut warnings = dataset.warnings(&self.events, language);
        let stranger = self.stranger(dataset, now);
        warnings.extend(stranger.map(|reason| Warning::of_reason(reason, language)));
        warnings
    }

    /// The offer is for somebody whom nobody here knows, by this spelling at least: a member may come to be known.
    fn stranger(&self, dataset: &Dataset, now: Timestamp) -> Option<Reason> {
        let assignee = dataset.offer.get("assignee")?.as_str()?;
        let known = assignee.parse().is_ok_and(|did| self.trust.known(&did, now).is_some());
        (!known).then(|| {
            let text =
                format!("{assignee:?} is no configured peer and no member known here, so nobody sees the offer yet");
            Reason::new(Code::WrongParty, "/assignee", text)
        })
    }

    /// Takes a dataset out of the catalog. Agreements about it stay, but nothing more is read from its source.
    pub async fn remove(&self, id: &DatasetId, now: Timestamp) -> Result<(), CatalogError> {
        let item = self
            .log
            .store()
            .get(DATASETS, id.as_str().as_bytes())
            .await?
            .ok_or(CatalogError::NotFound)?;
        let dataset: Dataset = decode(&item.value)?;
        let mut batch = Batch::new();
        batch.require(DATASETS, id.as_str(), Guard::At(item.version));
        batch
            .delete(DATASETS, id.as_str())
            .delete(OFFERS, dataset.offer_id.as_str());
        let entry = Entry::new(Kind::Dataset)
            .with("dataset", id.as_str())
            .with("change", "removed");
        self.log.commit(batch, entry, Vec::new(), now).await?;
        Ok(())
    }

    /// A dataset.
    pub async fn get(&self, id: &DatasetId) -> Result<Option<Dataset>, StoreError> {
        let item = self.log.store().get(DATASETS, id.as_str().as_bytes()).await?;
        item.map(|item| decode(&item.value)).transpose()
    }

    /// The dataset that an offer belongs to.
    pub async fn by_offer(&self, offer: &OfferId) -> Result<Option<Dataset>, StoreError> {
        match self.log.store().get(OFFERS, offer.as_str().as_bytes()).await? {
            Some(item) => self.get(&decode(&item.value)?).await,
            None => Ok(None),
        }
    }

    /// All datasets, by id.
    pub async fn list(&self) -> Result<Vec<Dataset>, StoreError> {
        process::all(&**self.log.store(), DATASETS).await
    }

    /// What this peer may see: datasets whose offer could lead to an agreement with it.
    pub async fn shown_to(&self, peer: &Party, now: Timestamp) -> Result<Listed, CatalogError> {
        let mut datasets = Vec::new();
        for dataset in self.list().await? {
            if dataset.visible_to(peer, now).is_ok() {
                datasets.push(dataset.listed());
            }
        }
        Ok(Listed {
            participant: self.trust.me().clone(),
            datasets,
        })
    }

    /// One dataset, if this peer may see it; otherwise it does not exist.
    pub async fn dataset_shown_to(
        &self,
        id: &DatasetId,
        peer: &Party,
        now: Timestamp,
    ) -> Result<ListedDataset, CatalogError> {
        let dataset = self.get(id).await?.ok_or(CatalogError::NotFound)?;
        dataset.visible_to(peer, now).map_err(|_| CatalogError::NotFound)?;
        Ok(dataset.listed())
    }
}

/// What a consumer may come to have of another's dataset, the most first: records, what groups of learners are like, anonymous rows.
pub const ACTIONS: [Action; 3] = [Action::Use, Action::Aggregate, Action::Anonymize];

/// What a recipient comes to have of a dataset, which its terms must permit and not forbid, from publication on: what its release is, or else
/// records.
pub fn action_of(release: Option<&ReleaseSpec>) -> Action {
    release.map_or(Action::Use, ReleaseSpec::action)
}

fn first_permitted<T>(actions: &[Action], ask: impl Fn(Action) -> Result<T, Vec<Reason>>) -> Result<T, Vec<Reason>> {
    let mut refused = None;
    for action in actions {
        match ask(*action) {
            Ok(found) => return Ok(found),
            Err(reasons) => refused = refused.or(Some(reasons)),
        }
    }
    Err(refused.unwrap_or_default())
}

/// What remains to be asked of each record of another's dataset: the plan for the most that a policy permits under these facts, whatever action
/// they name.
pub fn plan(policy: &Policy, facts: &Facts) -> Result<Plan, Vec<Reason>> {
    first_permitted(&ACTIONS, |action| {
        let mut facts = facts.clone();
        facts.action = action;
        policy.plan(&facts)
    })
}

/// The same for a transfer of a dataset of ours.
pub fn plan_of(release: Option<&ReleaseSpec>, policy: &Policy, facts: &Facts) -> Result<Plan, Vec<Reason>> {
    let mut facts = facts.clone();
    facts.action = action_of(release);
    policy.plan(&facts)
}

/// The most that may ever have passed to this recipient under a policy; `None` where that cannot be told.
pub fn bounds(policy: &Policy, recipient: &ParticipantId) -> Option<Reach> {
    policy.bounds(recipient.as_str(), &ACTIONS)
}

/// Checks a policy for one stage with what is known of the consumer, and of the dataset where it is ours: whether it permits what the consumer
/// would come to have. What another's dataset is, nobody here knows.
pub fn permitted(
    policy: &Policy,
    stage: Stage,
    recipient: &Party,
    dataset: Option<&Dataset>,
    now: Timestamp,
) -> Result<(), Vec<Reason>> {
    policy.check(stage)?;
    let decide = |facts: &Facts| match policy.decide(stage, facts) {
        Decision::Permit { .. } => Ok(()),
        Decision::Deny(reasons) => Err(reasons),
    };
    match dataset {
        Some(dataset) => {
            let dataset = dataset.held_to(policy);
            let known = facts(recipient, action_of(dataset.release.as_ref()), now);
            decide(&facts::of_dataset(known, &dataset))
        }
        None => first_permitted(&ACTIONS, |action| decide(&facts(recipient, action, now))),
    }
}

/// For which purposes and data categories learners may be asked under an agreement with this recipient. What is known only of a transfer is not
/// asked here: whether one may start is decided when it does.
pub fn scope(policy: &Policy, recipient: &Party, now: Timestamp) -> Result<Reach, Vec<Reason>> {
    first_permitted(&ACTIONS, |action| policy.scope(&facts(recipient, action, now)))
}

/// Terms of ours name nobody else as the one who grants them; an agreement would say otherwise than its offer.
pub fn granted_by(policy: &Policy, ours: &ParticipantId) -> Result<(), DatasetError> {
    match policy.assigner() {
        Some(assigner) if assigner != ours.as_str() => Err(DatasetError::ForeignAssigner {
            assigner: assigner.to_owned(),
            ours: ours.clone(),
        }),
        _ => Ok(()),
    }
}

/// A policy from its JSON, within the size limit.
pub fn read_policy(value: &Value) -> Result<Policy, DatasetError> {
    let size = value.to_string().len();
    if size > MAX_POLICY {
        return Err(DatasetError::PolicyTooLarge {
            size,
            limit: MAX_POLICY,
        });
    }
    Policy::parse(value).map_err(DatasetError::Policy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn planned(release: &Value, forbidden: &str, permitted: &str) -> bool {
        let purpose = json!({"leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": "https://w3id.org/dpv#ResearchAndDevelopment"});
        let agreement = json!({"@id": "urn:a", "@type": "Agreement", "assigner": "did:web:a.example", "assignee": "did:web:b.example",
            "target": "records", "permission": [{"action": permitted, "constraint": [purpose]}], "prohibition": [{"action": forbidden}]});
        let policy = read_policy(&agreement).unwrap();
        let release: Option<ReleaseSpec> = serde_json::from_value(release.clone()).unwrap();
        let facts = Facts::new(Timestamp::from_seconds(0), "did:web:b.example", Action::Use);
        plan_of(release.as_ref(), &policy, &facts).is_ok()
    }

    #[test]
    fn learners_may_be_asked_under_agreements_that_ask_for_facts_of_a_transfer() {
        let asks = |left: &str, operator: &str, right: &str| json!({"leftOperand": left, "operator": operator, "rightOperand": right});
        let mut price = asks("payAmount", "gteq", "5.00");
        price["unit"] = json!("EUR");
        let constraints = [
            asks("odrl:purpose", "eq", "https://w3id.org/dpv#ResearchAndDevelopment"),
            asks("dases:dataCategory", "isAnyOf", "skills"),
            asks("elapsedTime", "lteq", "P30D"),
            asks("count", "lteq", "3"),
            asks("event", "eq", "urn:event:fair"),
            asks("language", "eq", "fr"),
            price,
        ];
        let recipient = Party {
            did: "did:web:b.example".parse().unwrap(),
            claims: policy::Claims::new(),
            attested: Default::default(),
        };
        for action in ["use", "aggregate", "anonymize"] {
            let agreement = json!({"@id": "urn:a", "@type": "Agreement", "assigner": "did:web:a.example",
                "assignee": "did:web:b.example", "target": "records", "permission": [{"action": action, "constraint": constraints}]});
            let scope = scope(
                &read_policy(&agreement).unwrap(),
                &recipient,
                Timestamp::from_seconds(0),
            )
            .unwrap();
            assert_eq!(scope.purposes.len(), 1);
            assert!(scope.allows_category("skills") && !scope.allows_category("identity"));
        }
    }

    #[test]
    fn terms_of_ours_name_us_or_nobody_as_their_assigner() {
        let ours: ParticipantId = "did:web:a.example".parse().unwrap();
        let offer = |assigner: Value| {
            let mut offer = json!({"@id": "urn:o", "@type": "Offer", "permission": [{"action": "use"}]});
            if !assigner.is_null() {
                offer["assigner"] = assigner;
            }
            granted_by(&read_policy(&offer).unwrap(), &ours)
        };
        assert!(offer(Value::Null).is_ok() && offer(json!("did:web:a.example")).is_ok());
        for foreign in ["did:web:b.example", "did:web:a.example#key", "school"] {
            let refused = offer(json!(foreign));
            assert!(
                matches!(&refused, Err(DatasetError::ForeignAssigner { assigner, .. }) if assigner == foreign),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn a_release_of_what_is_forbidden_beside_a_permission_of_use_has_no_plan() {
        let table =
            json!({"mode": "aggregate", "dimensions": [{"name": "level", "field": "/level", "values": ["B1"]}]});
        let rows = json!({"mode": "training", "quasiIdentifiers": []});
        assert!(planned(&table, "print", "use") && planned(&table, "print", "aggregate"));
        assert!(!planned(&table, "aggregate", "use"));
        assert!(planned(&table, "anonymize", "use"));
        assert!(planned(&rows, "print", "use") && planned(&rows, "aggregate", "use"));
        assert!(!planned(&rows, "anonymize", "use"));
        assert!(!planned(&rows, "print", "aggregate"), "groups alone are no rows");
        assert!(planned(&Value::Null, "aggregate", "use"), "records are no groups");
        assert!(!planned(&Value::Null, "print", "aggregate"), "nor are groups records");
    }
}
