//! What the connector decides by itself and what it leaves to its operator: for all datasets in the configuration, for one with the
//! dataset.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who takes the next step of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The connector, by its rules.
    #[default]
    Automatic,
    /// The operator, or a program through the management API: every step is held until it is commanded.
    Manual,
}

/// What a provider does with a request for other terms than it published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OtherTerms {
    /// Offers the published terms.
    #[default]
    Offer,
    /// Agrees when they permit nothing more than the published terms, otherwise offers those.
    AcceptNarrower,
    /// Agrees when they permit nothing more, otherwise offers what both allow.
    Intersect,
    /// Ends the negotiation.
    Refuse,
}

/// What a consumer does with an offer of other terms than it asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CounterOffers {
    /// Accepts the terms of the provider's catalog, and ends the negotiation over any others.
    #[default]
    Published,
    /// Accepts also what permits all that was asked for.
    AcceptWider,
    /// Accepts that too, and otherwise asks for what both allow.
    Intersect,
    /// Ends the negotiation.
    Refuse,
}

/// The operator's choices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Decisions {
    /// Who takes the steps of negotiations.
    pub negotiations: Mode,
    /// Who takes the steps of transfers.
    pub transfers: Mode,
    /// As the provider.
    pub other_terms: OtherTerms,
    /// As the consumer.
    pub counter_offers: CounterOffers,
}

/// The choices for one dataset; what is not chosen is as in the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct DatasetDecisions {
    /// Who takes the steps of negotiations about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negotiations: Option<Mode>,
    /// Who takes the steps of transfers of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfers: Option<Mode>,
    /// What is done with requests for other terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_terms: Option<OtherTerms>,
}

impl DatasetDecisions {
    /// Together with the choices of the configuration.
    pub fn over(self, general: Decisions) -> Decisions {
        Decisions {
            negotiations: self.negotiations.unwrap_or(general.negotiations),
            transfers: self.transfers.unwrap_or(general.transfers),
            other_terms: self.other_terms.unwrap_or(general.other_terms),
            ..general
        }
    }

    /// Nothing is chosen.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_overrides_only_what_it_names() {
        let general = Decisions {
            transfers: Mode::Manual,
            other_terms: OtherTerms::Refuse,
            ..Decisions::default()
        };
        assert_eq!(DatasetDecisions::default().over(general), general);
        let chosen: DatasetDecisions =
            serde_json::from_str(r#"{"negotiations":"manual","otherTerms":"intersect"}"#).unwrap();
        let together = chosen.over(general);
        assert_eq!(together.negotiations, Mode::Manual);
        assert_eq!(together.transfers, Mode::Manual);
        assert_eq!(together.other_terms, OtherTerms::Intersect);
    }
}
