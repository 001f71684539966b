//! The purposes that our profile knows, and which lie below which: the one answer to `purpose isA`, for decisions and plans (`evaluate`), for
//! what follows from constraints (`premises`) and for the comparison of areas (`odrl::compare`). Names are canonical
//! ([`crate::canonical_name`]). What a policy asks of a purpose is no matter of this file.

use crate::{truth::Truth, vocabulary::DPV};
use std::{
    collections::{BTreeSet, HashMap},
    sync::LazyLock,
};

/// The purposes of DPV 2.0 (`skos:broader`), each with what lies directly below it, bare.
const PURPOSES: &[(&str, &str)] = &[
    (
        "Purpose",
        "AccountManagement CommercialPurpose CommunicationManagement CustomerManagement EnforceSecurity \
         EstablishContractualAgreement FulfilmentOfObligation HumanResourceManagement Marketing NonCommercialPurpose \
         OrganisationGovernance Personalisation PublicBenefit RecordManagement ResearchAndDevelopment ServiceProvision \
         VendorManagement",
    ),
    ("Advertising", "PersonalisedAdvertising"),
    ("CommercialPurpose", "CommercialResearch"),
    ("CommunicationManagement", "CommunicationForCustomerCare"),
    (
        "CreditChecking",
        "MaintainCreditCheckingDatabase MaintainCreditRatingDatabase",
    ),
    ("CustomerCare", "CommunicationForCustomerCare"),
    (
        "CustomerManagement",
        "CustomerCare CustomerClaimsManagement CustomerOrderManagement CustomerRelationshipManagement \
         CustomerSolvencyMonitoring",
    ),
    ("CustomerRelationshipManagement", "ImproveInternalCRMProcesses"),
    ("CustomerSolvencyMonitoring", "CreditChecking"),
    (
        "EnforceSecurity",
        "EnforceAccessControl IdentityAuthentication MisusePreventionAndDetection Verification",
    ),
    (
        "FraudPreventionAndDetection",
        "CounterMoneyLaundering MaintainFraudDatabase",
    ),
    (
        "FulfilmentOfObligation",
        "FulfilmentOfContractualObligation LegalCompliance ProtectionOfIPR",
    ),
    ("HumanResourceManagement", "PersonnelManagement"),
    (
        "Marketing",
        "Advertising DirectMarketing PublicRelations SocialMediaMarketing",
    ),
    ("MisusePreventionAndDetection", "FraudPreventionAndDetection"),
    ("NonCommercialPurpose", "NonCommercialResearch"),
    ("OptimisationForConsumer", "OptimiseUserInterface"),
    (
        "OptimisationForController",
        "ImproveExistingProductsAndServices ImproveInternalCRMProcesses IncreaseServiceRobustness \
         InternalResourceOptimisation",
    ),
    (
        "OrganisationGovernance",
        "DisputeManagement MemberPartnerManagement OrganisationComplianceManagement OrganisationRiskManagement",
    ),
    ("Personalisation", "PersonalisedAdvertising ServicePersonalisation"),
    ("PersonalisedAdvertising", "TargetedAdvertising"),
    ("PersonnelManagement", "PersonnelHiring PersonnelPayment"),
    (
        "ProvidePersonalisedRecommendations",
        "ProvideEventRecommendations ProvideProductRecommendations",
    ),
    (
        "PublicBenefit",
        "CombatClimateChange Counterterrorism DataAltruism ImproveHealthcare ImprovePublicServices \
         ImproveTransportMobility ProtectionOfNationalSecurity ProtectionOfPublicSecurity ProvideOfficialStatistics \
         PublicPolicyMaking",
    ),
    ("RequestedServiceProvision", "DeliveryOfGoods"),
    (
        "ResearchAndDevelopment",
        "AcademicResearch CommercialResearch NonCommercialResearch ScientificResearch",
    ),
    (
        "SellProducts",
        "SellDataToThirdParties SellInsightsFromData SellProductsToDataSubject",
    ),
    (
        "ServiceOptimisation",
        "OptimisationForConsumer OptimisationForController",
    ),
    (
        "ServicePersonalisation",
        "PersonalisedBenefits ProvidePersonalisedRecommendations UserInterfacePersonalisation",
    ),
    (
        "ServiceProvision",
        "PaymentManagement RepairImpairments RequestedServiceProvision SearchFunctionalities SellProducts \
         ServiceOptimisation ServicePersonalisation ServiceRegistration ServiceUsageAnalytics TechnicalServiceProvision",
    ),
    (
        "VendorManagement",
        "VendorPayment VendorRecordsManagement VendorSelectionAssessment",
    ),
    ("Verification", "AgeVerification IdentityVerification"),
];

/// Purposes that exclude each other, with all that lies below them, also those that the tree does not hold: by their definitions one processes for
/// gain and one does not.
const APART: &[[&str; 2]] = &[["CommercialPurpose", "NonCommercialPurpose"]];

/// Each purpose of the tree with all that it lies below, itself included.
static ABOVE: LazyLock<HashMap<String, BTreeSet<String>>> = LazyLock::new(|| {
    let mut near: HashMap<String, Vec<String>> = HashMap::new();
    for (name, wider) in pairs() {
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

fn iri(name: &str) -> String {
    format!("{}{name}", DPV.iri)
}

/// Each purpose beside one that it lies directly below.
pub(crate) fn pairs() -> impl Iterator<Item = (String, String)> {
    let below = |(wider, names): &'static (&str, &str)| names.split(' ').map(|name| (iri(name), iri(wider)));
    PURPOSES.iter().flat_map(below)
}

/// Pairs of purposes that have nothing in common.
pub(crate) fn apart() -> impl Iterator<Item = [String; 2]> {
    APART.iter().map(|pair| pair.map(iri))
}

/// Every purpose of the tree.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    ABOVE.keys().map(String::as_str)
}

/// Every purpose of the tree that is one of these or lies below one of them.
pub(crate) fn all_below(wider: &BTreeSet<String>) -> impl Iterator<Item = &'static str> {
    all().filter(move |name| lies_below(name, wider) == Truth::True)
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
        assert_eq!(below("orientation", &["dases:orientation"]), Truth::True);
        assert_eq!(below("orientation", &["dpv:Purpose"]), Truth::Unknown);
        assert_eq!(below("dpv:Marketing", &["orientation"]), Truth::Unknown);
        assert_eq!(
            below("dpv:Marketing", &["dpv:PublicBenefit", "orientation"]),
            Truth::Unknown
        );
        assert_eq!(below("dpv:NoSuchPurpose", &["dpv:Purpose"]), Truth::Unknown);
    }

    #[test]
    fn comparison_says_the_same_of_every_pair() {
        let concepts = Concepts::profile();
        let names: Vec<&str> = all().chain(["orientation", "urn:p"]).collect();
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
