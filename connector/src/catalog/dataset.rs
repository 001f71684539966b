//! One dataset: where its records are, whose they are, which fields belong to which data category, and under what terms they are offered.

use super::{
    Category, CategorySet, DatasetDecisions, Event, ReleaseSpec, action_of, facts, permitted, read_policy,
    shape::shape, supply,
};
use crate::{
    dsp::{self, DatasetId, OfferId, ParticipantId, catalog::ListedDataset},
    trust::Party,
};
use policy::{Code, Decision, Facts, Language, Lint, Malformed, Policy, Reason, Stage, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};
use utoipa::ToSchema;

/// Why a dataset cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The offer is not a policy that we read.
    #[error("the offer is not usable: {0}")]
    Policy(Malformed),
    /// The offer has terms that could not be enforced.
    #[error("the offer has terms that this connector does not understand: {}", list(.0))]
    NotUnderstood(Vec<Reason>),
    /// The offer asks for what nobody here could ever know of this dataset.
    #[error("the offer asks for what this connector cannot know of this dataset: {}", list(.0))]
    NeverKnown(Vec<Reason>),
    /// The offer says that somebody else grants it: whoever publishes an offer is its assigner (ODRL 2.2 §2.3).
    #[error(
        "the offer's assigner is {assigner}, and what is published here is granted by {ours}; leave the assigner out"
    )]
    ForeignAssigner {
        /// Whom it names.
        assigner: String,
        /// Us.
        ours: ParticipantId,
    },
    /// A duty names somebody to be informed whom this connector cannot tell anything.
    #[error("the offer has somebody informed whom this connector cannot reach: {}", list(.0))]
    NotReached(Vec<Reason>),
    /// The offer has terms that nobody could ever use the data under.
    #[error("nobody could ever use the data under these terms: {}{}", list(.reasons), together(.conflicting))]
    NothingPermitted {
        /// Why.
        reasons: Vec<Reason>,
        /// The rules and constraints, by their pointers, that leave nothing of each other; may be empty.
        conflicting: Vec<String>,
    },
    /// The policy is too large.
    #[error("the policy has {size} bytes; the limit is {limit}")]
    PolicyTooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Another member is wrong.
    #[error("{member}: {problem}")]
    Invalid {
        /// Which.
        member: String,
        /// What is wrong.
        problem: String,
    },
}

impl DatasetError {
    /// What is wrong with the policy, each with its code; empty where something else is.
    pub fn reasons(&self) -> Vec<Reason> {
        match self {
            Self::Policy(malformed) => vec![malformed.clone().into()],
            Self::NotUnderstood(reasons) => reasons.clone(),
            Self::NothingPermitted { reasons, conflicting } => {
                reasons.iter().cloned().chain(impossible(conflicting)).collect()
            }
            Self::NeverKnown(reasons) | Self::NotReached(reasons) => reasons.clone(),
            Self::ForeignAssigner { .. } | Self::PolicyTooLarge { .. } | Self::Invalid { .. } => Vec::new(),
        }
    }
}

/// A reason for each of the rules and constraints that leave nothing of each other.
fn impossible(conflicting: &[String]) -> Vec<Reason> {
    let text = match conflicting {
        [_] => "nothing can ever satisfy it",
        _ => "impossible together with the others that are named",
    };
    let each = conflicting.iter();
    each.map(|pointer| Reason::new(Code::Unsatisfiable, pointer, text))
        .collect()
}

/// Reasons in one line.
pub fn list(reasons: &[Reason]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn together(conflicting: &[String]) -> String {
    if conflicting.is_empty() {
        return String::new();
    }
    format!(" (together impossible: {})", conflicting.join(", "))
}

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SourceSpec {
    /// A file with one JSON object a line, plain or gzip.
    File {
        /// Its absolute path on the provider's machine.
        #[schema(value_type = String)]
        path: PathBuf,
    },
}

/// What an operator says to publish a dataset.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewDataset {
    /// Its id, unique here and safe in a URL path.
    pub id: DatasetId,
    /// A title for people.
    #[serde(default)]
    pub title: Option<String>,
    /// Where its records are.
    pub source: SourceSpec,
    /// JSON pointer to the learner's local identifier in each record.
    pub subject: String,
    /// Data categories and the JSON pointers of the fields that belong to each. A field of no category never leaves.
    pub categories: BTreeMap<String, Vec<String>>,
    /// The ODRL offer; `@id` and `@type` are added when they are missing.
    #[schema(value_type = Object)]
    pub offer: Value,
    /// What constraints may ask about the dataset: names for `language`, `version`, `product`, `artifactState`, `legalBasis`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, BTreeSet<String>>,
    /// What the operator decides for this dataset differently from the configuration.
    #[serde(default, skip_serializing_if = "DatasetDecisions::is_default")]
    pub decisions: DatasetDecisions,
    /// Release groups or anonymous rows instead of records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseSpec>,
}

/// A published dataset.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dataset {
    /// Its id.
    pub id: DatasetId,
    /// A title for people.
    #[schema(required)]
    pub title: Option<String>,
    /// Where its records are.
    pub source: SourceSpec,
    /// JSON pointer to the learner's local identifier.
    pub subject: String,
    /// Data categories with their JSON pointers.
    pub categories: BTreeMap<String, Vec<String>>,
    /// The offer's id.
    pub offer_id: OfferId,
    /// The offer as the catalog shows it.
    #[schema(value_type = Object)]
    pub offer: Value,
    /// What constraints may ask about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, BTreeSet<String>>,
    /// What the operator decides for it differently from the configuration.
    #[serde(default, skip_serializing_if = "DatasetDecisions::is_default")]
    pub decisions: DatasetDecisions,
    /// Groups or anonymous rows are released instead of records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseSpec>,
    /// When it was published.
    #[schema(value_type = String, format = DateTime)]
    pub published: Timestamp,
}

/// Something about an offer that its author may not have meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Warning {
    /// A stable code, such as `LNT-07`, or `CST-06` of what is never known or not there.
    pub code: &'static str,
    /// JSON pointer to the node of the offer.
    pub pointer: String,
    /// What the code means, in the language of the answer.
    pub text: &'static str,
    /// What it is about, in English: the constraint, the rules that it meets, with a request that shows it, or the rule that covers it.
    pub about: String,
}

impl Warning {
    fn of_lint(lint: Lint, language: Language) -> Self {
        Self {
            code: lint.code.as_str(),
            pointer: lint.pointer,
            text: lint.code.text(language),
            about: lint.about,
        }
    }

    pub(super) fn of_reason(reason: Reason, language: Language) -> Self {
        Self {
            code: reason.code.as_str(),
            pointer: reason.pointer,
            text: reason.code.text(language),
            about: reason.text,
        }
    }
}

impl Dataset {
    pub(super) fn publish(new: NewDataset, events: &[Event], now: Timestamp) -> Result<Self, DatasetError> {
        check(&new)?;
        let (offer_id, offer) = complete(new.offer, &new.id)?;
        let policy = read_policy(&offer)?;
        policy.check(Stage::Publish).map_err(DatasetError::NotUnderstood)?;
        let dataset = Self {
            id: new.id,
            title: new.title,
            source: new.source,
            subject: new.subject,
            categories: new.categories,
            offer_id,
            offer,
            facts: new.facts,
            decisions: new.decisions,
            release: new.release,
            published: now,
        };
        supply::check(&policy, &dataset, events, now).map_err(DatasetError::NeverKnown)?;
        usable(&policy, &dataset, now)?;
        Ok(dataset)
    }

    /// Whether this peer may see the dataset.
    pub fn visible_to(&self, peer: &Party, now: Timestamp) -> Result<(), Vec<Reason>> {
        match read_policy(&self.offer) {
            Ok(policy) => permitted(&policy, Stage::Catalog, peer, Some(self), now),
            // It was checked when it was published; what cannot be read any more is not shown.
            Err(_) => Err(Vec::new()),
        }
    }

    /// As it is under these terms: groups are as large as they ask.
    pub(super) fn held_to(&self, terms: &Policy) -> Self {
        let mut dataset = self.clone();
        dataset.release = dataset.release.map(|release| release.held_to(terms));
        dataset
    }

    /// The formats in which it can be transferred.
    pub fn formats(&self) -> [&'static str; 2] {
        dsp::FORMATS
    }

    pub(super) fn listed(&self) -> ListedDataset {
        ListedDataset {
            id: self.id.clone(),
            title: self.title.clone(),
            offers: vec![self.offer.clone()],
            formats: self.formats().map(str::to_owned).to_vec(),
        }
    }

    /// What the author of the offer may not have meant, in document order, and what is never known: it is published all the same.
    pub(super) fn warnings(&self, events: &[Event], language: Language) -> Vec<Warning> {
        let Ok(policy) = read_policy(&self.offer) else {
            return Vec::new();
        };
        let lints = policy.lints().into_iter().chain(policy::rules_together(&self.offer));
        let never = supply::never_known(&policy, self, events);
        lints
            .map(|lint| Warning::of_lint(lint, language))
            .chain(never.into_iter().map(|reason| Warning::of_reason(reason, language)))
            .collect()
    }

    /// The offer as it stands in messages: with its target.
    pub fn message_offer(&self) -> Value {
        let mut offer = self.offer.clone();
        if let Some(members) = offer.as_object_mut() {
            members.insert("target".into(), self.id.as_str().into());
        }
        offer
    }
}

/// Everything about a dataset but its offer.
fn check(new: &NewDataset) -> Result<(), DatasetError> {
    let invalid = |member: &str, problem: &str| DatasetError::Invalid {
        member: member.into(),
        problem: problem.into(),
    };
    if new.id.as_str().contains(['/', '?', '#', '%']) {
        return Err(invalid("id", "must be safe in a URL path: no / ? # %"));
    }
    let SourceSpec::File { path } = &new.source;
    if !path.is_absolute() {
        return Err(invalid("source", "the path must be absolute"));
    }
    if new.categories.is_empty() {
        return Err(invalid(
            "categories",
            "without a category no field could ever leave; name at least one",
        ));
    }
    for name in new.categories.keys() {
        if policy::Category::read(name).is_none_or(|known| known.name() != name) {
            let known: Vec<&str> = policy::Category::ALL.iter().map(|category| category.name()).collect();
            return Err(invalid(
                "categories",
                &format!("{name:?} is none of {}", known.join(", ")),
            ));
        }
    }
    // Only whether it is one: the numbers are the index's, when records are read.
    let one = Category::new(0).map(CategorySet::from);
    shape(&new.subject, &new.categories, |_, _| one).map_err(|error| DatasetError::Invalid {
        member: "categories".into(),
        problem: error.to_string(),
    })?;
    facts::check(&new.facts)?;
    if let Some(release) = &new.release {
        let checked = release.check(&new.categories);
        checked.map_err(|problem| invalid("release", &problem))?;
    }
    Ok(())
}

/// Somebody must be able to have what the dataset releases under its terms, now or later.
fn usable(policy: &Policy, dataset: &Dataset, now: Timestamp) -> Result<(), DatasetError> {
    let dataset = dataset.held_to(policy);
    let facts = Facts::new(now, "", action_of(dataset.release.as_ref()));
    let decided = policy.decide(Stage::Publish, &facts::of_dataset(facts, &dataset));
    // What is decided takes what may still come for what helps most, each by itself; together they may leave nothing all the same.
    let conflicting = policy::leaving_nothing(&dataset.offer);
    match decided {
        Decision::Permit { .. } if conflicting.is_empty() => Ok(()),
        Decision::Permit { .. } => Err(DatasetError::NothingPermitted {
            reasons: impossible(&conflicting),
            conflicting: Vec::new(),
        }),
        Decision::Deny(reasons) => Err(DatasetError::NothingPermitted { reasons, conflicting }),
    }
}

/// Adds the members that a catalog offer needs and takes out the one that it must not have (DSP 2025-1 §5.3: no target).
fn complete(offer: Value, dataset: &DatasetId) -> Result<(OfferId, Value), DatasetError> {
    let invalid = |problem: String| DatasetError::Invalid {
        member: "offer".into(),
        problem,
    };
    let Value::Object(members) = offer else {
        return Err(invalid("is not a JSON object".into()));
    };
    if let Some(target) = members.get("target").and_then(Value::as_str)
        && target != dataset.as_str()
    {
        return Err(invalid(format!("its target is {target}, not this dataset")));
    }
    // Terms that were agreed with one party are no proposal to every other; a set of rules becomes one by being offered.
    let kind = match members.get("@type") {
        None => "Offer",
        Some(Value::String(written)) => written.as_str(),
        Some(_) => return Err(invalid("its @type is not a string".into())),
    };
    if !matches!(kind.rsplit([':', '/']).next(), Some("Offer" | "Set" | "Policy")) {
        return Err(invalid(format!("its @type is {kind}; what is offered is an Offer")));
    }
    let id = match members.get("@id") {
        None => format!("urn:offer:{dataset}"),
        Some(Value::String(id)) => id.clone(),
        Some(_) => return Err(invalid("its @id is not a string".into())),
    };
    let offer_id: OfferId = id.parse().map_err(|error| invalid(format!("its @id {error}")))?;
    let mut complete = Map::new();
    complete.insert("@id".into(), id.into());
    complete.insert("@type".into(), "Offer".into());
    complete.extend(
        members
            .into_iter()
            .filter(|(name, _)| !matches!(name.as_str(), "@id" | "@type" | "@context" | "target")),
    );
    Ok((offer_id, Value::Object(complete)))
}
