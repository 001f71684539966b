//! What our profile knows of names beyond ODRL: languages, places, data categories, and the purposes of DPV.
//! Complete are ISO 3166, NUTS, BCP 47 and our own categories. Purposes are not: that two of them have nothing in
//! common is certain only of the pairs listed here.

use super::Concepts;
use crate::vocabulary::DPV;

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

/// Purposes that exclude each other, with all that lies below them: by their definitions one processes for gain and one does not.
const APART: &[[&str; 2]] = &[["CommercialPurpose", "NonCommercialPurpose"]];

impl Concepts {
    /// What our profile knows: codes of languages and places, data categories, and the purposes of DPV; and how it enforces operands.
    pub fn profile() -> Self {
        let mut concepts = Self::new().with_codes().under_enforcement();
        let iri = |name: &str| format!("{}{name}", DPV.iri);
        for (wider, names) in PURPOSES {
            for name in names.split(' ') {
                concepts.below(&iri(name), &iri(wider));
            }
        }
        for pair in APART {
            let names = pair.map(iri);
            concepts.apart(names.iter().map(String::as_str));
        }
        concepts
    }
}
