//! The reference's own hierarchies: the purposes of DPV 2.0 (`skos:broader`), and what codes of places and languages say of what contains them.

use std::collections::BTreeSet;

/// A purpose and one that it lies directly below.
const BROADER: &[(&str, &str)] = &[
    ("AcademicResearch", "ResearchAndDevelopment"),
    ("AccountManagement", "Purpose"),
    ("Advertising", "Marketing"),
    ("AgeVerification", "Verification"),
    ("CombatClimateChange", "PublicBenefit"),
    ("CommercialPurpose", "Purpose"),
    ("CommercialResearch", "CommercialPurpose"),
    ("CommercialResearch", "ResearchAndDevelopment"),
    ("CommunicationForCustomerCare", "CommunicationManagement"),
    ("CommunicationForCustomerCare", "CustomerCare"),
    ("CommunicationManagement", "Purpose"),
    ("CounterMoneyLaundering", "FraudPreventionAndDetection"),
    ("Counterterrorism", "PublicBenefit"),
    ("CreditChecking", "CustomerSolvencyMonitoring"),
    ("CustomerCare", "CustomerManagement"),
    ("CustomerClaimsManagement", "CustomerManagement"),
    ("CustomerManagement", "Purpose"),
    ("CustomerOrderManagement", "CustomerManagement"),
    ("CustomerRelationshipManagement", "CustomerManagement"),
    ("CustomerSolvencyMonitoring", "CustomerManagement"),
    ("DataAltruism", "PublicBenefit"),
    ("DeliveryOfGoods", "RequestedServiceProvision"),
    ("DirectMarketing", "Marketing"),
    ("DisputeManagement", "OrganisationGovernance"),
    ("EnforceAccessControl", "EnforceSecurity"),
    ("EnforceSecurity", "Purpose"),
    ("EstablishContractualAgreement", "Purpose"),
    ("FraudPreventionAndDetection", "MisusePreventionAndDetection"),
    ("FulfilmentOfContractualObligation", "FulfilmentOfObligation"),
    ("FulfilmentOfObligation", "Purpose"),
    ("HumanResourceManagement", "Purpose"),
    ("IdentityAuthentication", "EnforceSecurity"),
    ("IdentityVerification", "Verification"),
    ("ImproveExistingProductsAndServices", "OptimisationForController"),
    ("ImproveHealthcare", "PublicBenefit"),
    ("ImproveInternalCRMProcesses", "CustomerRelationshipManagement"),
    ("ImproveInternalCRMProcesses", "OptimisationForController"),
    ("ImprovePublicServices", "PublicBenefit"),
    ("ImproveTransportMobility", "PublicBenefit"),
    ("IncreaseServiceRobustness", "OptimisationForController"),
    ("InternalResourceOptimisation", "OptimisationForController"),
    ("LegalCompliance", "FulfilmentOfObligation"),
    ("MaintainCreditCheckingDatabase", "CreditChecking"),
    ("MaintainCreditRatingDatabase", "CreditChecking"),
    ("MaintainFraudDatabase", "FraudPreventionAndDetection"),
    ("Marketing", "Purpose"),
    ("MemberPartnerManagement", "OrganisationGovernance"),
    ("MisusePreventionAndDetection", "EnforceSecurity"),
    ("NonCommercialPurpose", "Purpose"),
    ("NonCommercialResearch", "NonCommercialPurpose"),
    ("NonCommercialResearch", "ResearchAndDevelopment"),
    ("OptimisationForConsumer", "ServiceOptimisation"),
    ("OptimisationForController", "ServiceOptimisation"),
    ("OptimiseUserInterface", "OptimisationForConsumer"),
    ("OrganisationComplianceManagement", "OrganisationGovernance"),
    ("OrganisationGovernance", "Purpose"),
    ("OrganisationRiskManagement", "OrganisationGovernance"),
    ("PaymentManagement", "ServiceProvision"),
    ("Personalisation", "Purpose"),
    ("PersonalisedAdvertising", "Advertising"),
    ("PersonalisedAdvertising", "Personalisation"),
    ("PersonalisedBenefits", "ServicePersonalisation"),
    ("PersonnelHiring", "PersonnelManagement"),
    ("PersonnelManagement", "HumanResourceManagement"),
    ("PersonnelPayment", "PersonnelManagement"),
    ("ProtectionOfIPR", "FulfilmentOfObligation"),
    ("ProtectionOfNationalSecurity", "PublicBenefit"),
    ("ProtectionOfPublicSecurity", "PublicBenefit"),
    ("ProvideEventRecommendations", "ProvidePersonalisedRecommendations"),
    ("ProvideOfficialStatistics", "PublicBenefit"),
    ("ProvidePersonalisedRecommendations", "ServicePersonalisation"),
    ("ProvideProductRecommendations", "ProvidePersonalisedRecommendations"),
    ("PublicBenefit", "Purpose"),
    ("PublicPolicyMaking", "PublicBenefit"),
    ("PublicRelations", "Marketing"),
    ("RecordManagement", "Purpose"),
    ("RepairImpairments", "ServiceProvision"),
    ("RequestedServiceProvision", "ServiceProvision"),
    ("ResearchAndDevelopment", "Purpose"),
    ("ScientificResearch", "ResearchAndDevelopment"),
    ("SearchFunctionalities", "ServiceProvision"),
    ("SellDataToThirdParties", "SellProducts"),
    ("SellInsightsFromData", "SellProducts"),
    ("SellProducts", "ServiceProvision"),
    ("SellProductsToDataSubject", "SellProducts"),
    ("ServiceOptimisation", "ServiceProvision"),
    ("ServicePersonalisation", "Personalisation"),
    ("ServicePersonalisation", "ServiceProvision"),
    ("ServiceProvision", "Purpose"),
    ("ServiceRegistration", "ServiceProvision"),
    ("ServiceUsageAnalytics", "ServiceProvision"),
    ("SocialMediaMarketing", "Marketing"),
    ("TargetedAdvertising", "PersonalisedAdvertising"),
    ("TechnicalServiceProvision", "ServiceProvision"),
    ("UserInterfacePersonalisation", "ServicePersonalisation"),
    ("VendorManagement", "Purpose"),
    ("VendorPayment", "VendorManagement"),
    ("VendorRecordsManagement", "VendorManagement"),
    ("VendorSelectionAssessment", "VendorManagement"),
    ("Verification", "EnforceSecurity"),
];

const DPV: &str = "https://w3id.org/dpv#";

/// Whether the purpose is one of the tree.
pub(super) fn is_purpose(name: &str) -> bool {
    let name = name.strip_prefix(DPV).unwrap_or("");
    BROADER.iter().any(|(one, other)| *one == name || *other == name)
}

/// Whether one purpose is another, or reaches it going up the tree.
pub(super) fn reaches(name: &str, wider: &str) -> bool {
    let up =
        |(one, other): &&(&str, &str)| name.strip_prefix(DPV) == Some(*one) && reaches(&format!("{DPV}{other}"), wider);
    name == wider || BROADER.iter().any(|pair| up(&pair))
}

/// What a code says of what contains it: `FR10` lies in `FR1` and `FR`, `FR-75` in `FR`, and the language `fr-CA` is a kind of `fr`.
pub(super) fn containing(operand: &str, name: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::from([name.to_owned()]);
    let letters = |text: &str, many: std::ops::RangeInclusive<usize>| {
        many.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    let alphanumeric = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match (operand, name.split_once('-')) {
        ("spatial", Some((country, part))) if letters(country, 2..=2) && alphanumeric(part) => {
            all.insert(country.to_owned());
        }
        ("spatial", None)
            if name.len() <= 5
                && name.get(..2).is_some_and(|country| letters(country, 2..=2))
                && alphanumeric(name)
                && (name.len() == 2 || name.bytes().any(|byte| byte.is_ascii_digit())) =>
        {
            all.extend((2..name.len()).filter_map(|end| name.get(..end)).map(str::to_owned));
        }
        ("language", Some((primary, rest))) if letters(primary, 2..=3) && rest.split('-').all(alphanumeric) => {
            let ends = name
                .match_indices('-')
                .filter_map(|(at, _)| name.get(..at))
                .map(str::to_owned);
            all.extend(ends);
        }
        _ => {}
    }
    all
}
