//! Which purpose lies below which, and which exclude each other: the purposes of DPV 2.3, and ours beside them. What follows is
//! decided in `purposes`, for comparison and enforcement alike.

use super::DPV;

/// The purposes of DPV 2.3 (`skos:broader`), each with what lies directly below it, bare. `RightsFulfilment` stands below a legal basis there;
/// it is a purpose all the same.
const DPV_PURPOSES: &[(&str, &str)] = &[
    (
        "Purpose",
        "AccountManagement CommercialPurpose CommunicationManagement CustomerManagement EnforceSecurity \
         EstablishContractualAgreement FulfilmentOfObligation HumanResourceManagement Marketing NonCommercialPurpose \
         OrganisationGovernance Personalisation PublicBenefit RecordManagement ResearchAndDevelopment RightsFulfilment \
         ServiceManagement VendorManagement",
    ),
    (
        "Advertising",
        "PersonalisedAdvertising PoliticalCampaign RecruitmentAdvertising",
    ),
    ("CommercialPurpose", "CommercialResearch"),
    ("CommunicationManagement", "CommunicationForCustomerCare"),
    ("CustomerCare", "CommunicationForCustomerCare"),
    (
        "CustomerManagement",
        "CustomerCare CustomerClaimsManagement CustomerOrderManagement CustomerRelationshipManagement \
         CustomerSolvencyMonitoring",
    ),
    ("CustomerRelationshipManagement", "ImproveInternalCRMProcesses"),
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
    (
        "Personalisation",
        "PersonalisedAdvertising PoliticalCampaign ServicePersonalisation",
    ),
    ("PersonalisedAdvertising", "TargetedAdvertising"),
    (
        "PersonnelHiring",
        "PersonnelOnboarding RecruitmentAdvertising RecruitmentManagement",
    ),
    (
        "PersonnelManagement",
        "PersonnelHiring PersonnelMonitoring PersonnelOffboarding PersonnelPayment PersonnelPerformanceManagement \
         PersonnelPromotionManagement PersonnelTerminationManagement PersonnelWorkloadManagement",
    ),
    (
        "PersonnelMonitoring",
        "PersonnelBehaviourMonitoring PersonnelPerformanceManagement PersonnelPerformanceMonitoring",
    ),
    (
        "PersonnelPerformanceManagement",
        "PersonnelPerformanceEvaluation PersonnelPerformanceMonitoring PersonnelPerformancePrediction",
    ),
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
    ("RecruitmentAdvertising", "RecruitmentTargetedAdvertising"),
    (
        "RecruitmentApplicationManagement",
        "RecruitmentApplicationAnalysis RecruitmentApplicationScreening",
    ),
    (
        "RecruitmentInterviewManagement",
        "RecruitmentInterviewAnalysis RecruitmentInterviewAssessment RecruitmentInterviewScheduling",
    ),
    (
        "RecruitmentManagement",
        "RecruitmentApplicantBackgroundCheck RecruitmentApplicantCriminalBackgroundCheck \
         RecruitmentApplicantInformationAuthentication RecruitmentApplicantSelection RecruitmentApplicationManagement \
         RecruitmentInterviewManagement",
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
        "ServiceManagement",
        "PaymentManagement RepairImpairments ServiceAccessDetermination ServiceMonitoring ServiceOptimisation \
         ServicePersonalisation ServiceProvision ServiceRegistration",
    ),
    ("ServiceMonitoring", "ServiceUsageAnalytics"),
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
        "RequestedServiceProvision SearchFunctionalities SellProducts TechnicalServiceProvision",
    ),
    ("TargetedAdvertising", "RecruitmentTargetedAdvertising"),
    (
        "VendorManagement",
        "VendorPayment VendorRecordsManagement VendorSelectionAssessment",
    ),
    ("Verification", "AgeVerification IdentityVerification"),
];

/// Purposes of ours, bare, each with the purpose of DPV that it lies below. DPV has none for guidance (policy.md §1.10).
pub(crate) const OWN_PURPOSES: &[(&str, &str)] = &[("orientation", "ProvidePersonalisedRecommendations")];

/// Purposes of DPV that exclude each other, with all that lies below them: by their definitions one processes for gain and one does not. DPV
/// itself says of no two that they do, so of every other pair it is unknown (policy.md §3.3).
pub(crate) const PURPOSES_APART: &[[&str; 2]] = &[["CommercialPurpose", "NonCommercialPurpose"]];

/// The full IRI of a purpose of DPV.
pub(crate) fn dpv(name: &str) -> String {
    format!("{}{name}", DPV.iri)
}

/// Every purpose that lies directly below another, with that other.
pub(crate) fn purposes() -> impl Iterator<Item = (String, String)> {
    let of_dpv = DPV_PURPOSES
        .iter()
        .flat_map(|(wider, names)| names.split(' ').map(|name| (dpv(name), dpv(wider))));
    let own = OWN_PURPOSES
        .iter()
        .map(|(name, wider)| ((*name).to_owned(), dpv(wider)));
    of_dpv.chain(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_purpose_lies_below_the_root_and_none_below_itself() {
        let edges: Vec<(String, String)> = purposes().collect();
        let root = dpv("Purpose");
        for (name, _) in &edges {
            let (mut reached, mut open) = (BTreeSet::new(), vec![name.clone()]);
            while let Some(next) = open.pop() {
                for (_, wider) in edges.iter().filter(|(below, _)| *below == next) {
                    if reached.insert(wider.clone()) {
                        open.push(wider.clone());
                    }
                }
            }
            assert!(reached.contains(&root) && !reached.contains(name), "{name}");
        }
    }

    #[test]
    fn the_terms_of_hiring_are_all_there() {
        let names: BTreeSet<String> = purposes().map(|(name, _)| name).collect();
        let recruiting = names.iter().filter(|name| name.starts_with(&dpv("Recruitment")));
        assert_eq!(recruiting.count(), 14);
        // All of DPV 2.3 but the root, and those of ours.
        assert_eq!(names.len(), 121 + OWN_PURPOSES.len());
    }
}
