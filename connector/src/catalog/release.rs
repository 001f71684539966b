//! What an operator declares so that a dataset is released as tables of groups or as anonymous rows, never as learners' records. A
//! dataset that declares a release is released in that way alone, whatever an agreement would permit.

use policy::{
    Action, Policy,
    release::{
        GroupSize,
        anonymity::Plan,
        groups::{Dimension, Layout, Measure},
        hierarchy::Hierarchy,
    },
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// How a dataset is released without showing a learner. Fields that it does not name never leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "mode", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ReleaseSpec {
    /// A table: how many learners, and how much together, for each combination of values.
    Aggregate {
        /// The least number of learners in a group; 10 when it is not given, never below 5.
        #[serde(rename = "minGroupSize", default)]
        #[schema(value_type = u32)]
        min_group_size: GroupSize,
        /// Its axes, in the order in which groups are divided.
        dimensions: Vec<DimensionSpec>,
        /// What is summed; each learner counts with the sum over their records.
        #[serde(default)]
        measures: Vec<MeasureSpec>,
    },
    /// Rows to train with: one for each learner, alike for at least `minGroupSize` of them, without identifier or pseudonym.
    Training {
        /// The least number of learners who share their quasi-identifiers.
        #[serde(rename = "minGroupSize", default)]
        #[schema(value_type = u32)]
        min_group_size: GroupSize,
        /// What could tell a learner, and how it is made coarser.
        #[serde(rename = "quasiIdentifiers")]
        quasi_identifiers: Vec<QuasiSpec>,
        /// What is learned from, as it is.
        #[serde(default)]
        sensitive: Vec<SensitiveSpec>,
        /// How many rows in a hundred may be left out so that the others stay finer; at most 20.
        #[serde(rename = "withheldPercent", default)]
        withheld_percent: u8,
    },
}

/// One axis of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DimensionSpec {
    /// Its name in the release.
    pub name: String,
    /// JSON pointer into the record.
    pub field: String,
    /// The values that are counted; small ones are merged with their neighbours here.
    pub values: Vec<String>,
}

/// A number to be summed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MeasureSpec {
    /// Its name in the release.
    pub name: String,
    /// JSON pointer to a number that is not negative.
    pub field: String,
}

/// A field that could tell a learner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuasiSpec {
    /// Its name in the release.
    pub name: String,
    /// JSON pointer into the record.
    pub field: String,
    /// How it is made coarser; a value that does not fit is left open.
    pub steps: Steps,
}

/// How values are made coarser, step by step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Steps {
    /// Widths of bands of whole numbers, each a multiple of the one before.
    Bands(Vec<u32>),
    /// Numbers of leading characters, each smaller than the one before.
    Prefixes(Vec<usize>),
    /// For each value that occurs, what it becomes at each step.
    Listed(BTreeMap<String, Vec<String>>),
}

/// A field that is learned from. Never free text: listed values, or a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SensitiveSpec {
    /// Its name in the release.
    pub name: String,
    /// JSON pointer into the record.
    pub field: String,
    /// The values that it may have; without them it must be a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<BTreeSet<String>>,
}

impl QuasiSpec {
    fn hierarchy(&self) -> Hierarchy {
        match self.steps.clone() {
            Steps::Bands(widths) => Hierarchy::Bands(widths),
            Steps::Prefixes(lengths) => Hierarchy::Prefixes(lengths),
            Steps::Listed(values) => Hierarchy::Listed(values),
        }
    }
}

/// The table of an aggregate release.
pub fn layout(dimensions: &[DimensionSpec], measures: &[MeasureSpec]) -> Result<Layout, String> {
    let dimensions = dimensions.iter().map(|dimension| Dimension {
        name: dimension.name.clone(),
        values: dimension.values.clone(),
    });
    let measures = measures.iter().map(|measure| Measure {
        name: measure.name.clone(),
        of: measure.field.clone(),
    });
    Layout::new(dimensions.collect(), measures.collect()).map_err(|error| error.to_string())
}

/// What is asked of the rows of a training release.
pub fn plan(quasi: &[QuasiSpec], sensitive: &[SensitiveSpec], withheld: u8) -> Result<Plan, String> {
    for one in quasi {
        let checked = one.hierarchy().check();
        checked.map_err(|error| format!("{}: {error}", one.name))?;
    }
    let hierarchies = quasi.iter().map(QuasiSpec::hierarchy).collect();
    let fields: Vec<&str> = sensitive.iter().map(|one| one.field.as_str()).collect();
    Plan::new(hierarchies, &fields, withheld).map_err(|error| error.to_string())
}

impl ReleaseSpec {
    /// The least number of learners in a group.
    pub fn group_size(&self) -> GroupSize {
        match self {
            Self::Aggregate { min_group_size, .. } | Self::Training { min_group_size, .. } => *min_group_size,
        }
    }

    /// The same with groups as large as an agreement asks, where that is more.
    #[must_use]
    pub fn held_to(mut self, agreement: &Policy) -> Self {
        let asked = agreement.group_size().and_then(|asked| GroupSize::new(asked).ok());
        let (Self::Aggregate { min_group_size, .. } | Self::Training { min_group_size, .. }) = &mut self;
        *min_group_size = asked.map_or(*min_group_size, |asked| asked.max(*min_group_size));
        self
    }

    /// What a recipient comes to have by it, which an agreement must permit and not forbid: a permission to `use` covers either (ODRL 2.2
    /// §2.3), a prohibition of either stops it.
    pub fn action(&self) -> Action {
        match self {
            Self::Aggregate { .. } => Action::Aggregate,
            Self::Training { .. } => Action::Anonymize,
        }
    }

    /// What it is called in releases and in the log.
    pub fn mode(&self) -> &'static str {
        match self {
            Self::Aggregate { .. } => "aggregate",
            Self::Training { .. } => "training",
        }
    }

    /// Names and pointers of every field that it uses.
    fn fields(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Aggregate {
                dimensions, measures, ..
            } => {
                let dimensions = dimensions.iter().map(|one| (one.name.as_str(), one.field.as_str()));
                let measures = measures.iter().map(|one| (one.name.as_str(), one.field.as_str()));
                dimensions.chain(measures).collect()
            }
            Self::Training {
                quasi_identifiers,
                sensitive,
                ..
            } => {
                let quasi = quasi_identifiers
                    .iter()
                    .map(|one| (one.name.as_str(), one.field.as_str()));
                let sensitive = sensitive.iter().map(|one| (one.name.as_str(), one.field.as_str()));
                quasi.chain(sensitive).collect()
            }
        }
    }

    /// Whether a release can be made of it: fields of data categories alone, since consent and agreements speak of categories, and
    /// nothing named twice.
    pub fn check(&self, categories: &BTreeMap<String, Vec<String>>) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for (name, field) in self.fields() {
            if name.is_empty() || !names.insert(name) {
                return Err(format!("{name:?} is named twice, or not at all"));
            }
            let is_below = |claim: &String| {
                field
                    .strip_prefix(claim.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if !categories.values().flatten().any(is_below) {
                return Err(format!("{name}: the field {field} belongs to no data category"));
            }
        }
        match self {
            Self::Aggregate {
                dimensions, measures, ..
            } => layout(dimensions, measures).map(|_| ()),
            Self::Training {
                quasi_identifiers,
                sensitive,
                withheld_percent,
                ..
            } => plan(quasi_identifiers, sensitive, *withheld_percent).map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn checked(release: Value) -> Result<(), String> {
        let categories = BTreeMap::from([("skills".to_owned(), vec!["/level".to_owned(), "/where".to_owned()])]);
        let spec: ReleaseSpec = serde_json::from_value(release).map_err(|error| error.to_string())?;
        spec.check(&categories)
    }

    fn table(field: &str, values: &[&str]) -> Value {
        json!({"mode": "aggregate", "dimensions": [{"name": "level", "field": field, "values": values}]})
    }

    #[test]
    fn a_release_names_fields_of_categories_once() {
        assert_eq!(checked(table("/level", &["B1", "B2"])), Ok(()));
        assert_eq!(checked(table("/where/region", &["59"])), Ok(()));
        for (bad, why) in [
            (table("/levels", &["B1"]), "belongs to no data category"),
            (table("/name", &["B1"]), "belongs to no data category"),
            (table("/level", &["B1", "B1"]), "twice"),
            (table("/level", &[]), "at least one value"),
            (json!({"mode": "rows"}), "unknown variant"),
            (
                json!({"mode": "aggregate", "minGroupSize": 4, "dimensions": []}),
                "too small",
            ),
            (
                json!({"mode": "aggregate", "dimensions": [], "where": "age > 20"}),
                "unknown field",
            ),
        ] {
            let said = checked(bad.clone()).unwrap_err();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }

    #[test]
    fn training_rows_need_hierarchies_that_only_get_coarser() {
        let rows = |steps: Value| {
            json!({"mode": "training", "quasiIdentifiers": [{"name": "where", "field": "/where", "steps": steps}],
                "sensitive": [{"name": "level", "field": "/level", "values": ["B1", "B2"]}]})
        };
        assert_eq!(checked(rows(json!({"prefixes": [3, 2]}))), Ok(()));
        assert!(
            checked(rows(json!({"prefixes": [2, 3]})))
                .unwrap_err()
                .contains("where: ")
        );
        assert!(checked(rows(json!({"bands": [5, 12]}))).is_err());
        assert!(checked(rows(json!({"regex": ".*"}))).is_err());
    }
}
