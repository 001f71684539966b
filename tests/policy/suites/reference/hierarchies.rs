//! The reference's own hierarchies: the purposes of DPV 2.3 (`skos:broader`), and what codes of places and languages say of what contains them.

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
    ("PaymentManagement", "ServiceManagement"),
    ("Personalisation", "Purpose"),
    ("PersonalisedAdvertising", "Advertising"),
    ("PersonalisedAdvertising", "Personalisation"),
    ("PersonalisedBenefits", "ServicePersonalisation"),
    ("PersonnelBehaviourMonitoring", "PersonnelMonitoring"),
    ("PersonnelHiring", "PersonnelManagement"),
    ("PersonnelManagement", "HumanResourceManagement"),
    ("PersonnelMonitoring", "PersonnelManagement"),
    ("PersonnelOffboarding", "PersonnelManagement"),
    ("PersonnelOnboarding", "PersonnelHiring"),
    ("PersonnelPayment", "PersonnelManagement"),
    ("PersonnelPerformanceEvaluation", "PersonnelPerformanceManagement"),
    ("PersonnelPerformanceManagement", "PersonnelManagement"),
    ("PersonnelPerformanceManagement", "PersonnelMonitoring"),
    ("PersonnelPerformanceMonitoring", "PersonnelMonitoring"),
    ("PersonnelPerformanceMonitoring", "PersonnelPerformanceManagement"),
    ("PersonnelPerformancePrediction", "PersonnelPerformanceManagement"),
    ("PersonnelPromotionManagement", "PersonnelManagement"),
    ("PersonnelTerminationManagement", "PersonnelManagement"),
    ("PersonnelWorkloadManagement", "PersonnelManagement"),
    ("PoliticalCampaign", "Advertising"),
    ("PoliticalCampaign", "Personalisation"),
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
    ("RecruitmentAdvertising", "Advertising"),
    ("RecruitmentAdvertising", "PersonnelHiring"),
    ("RecruitmentApplicantBackgroundCheck", "RecruitmentManagement"),
    ("RecruitmentApplicantCriminalBackgroundCheck", "RecruitmentManagement"),
    ("RecruitmentApplicantInformationAuthentication", "RecruitmentManagement"),
    ("RecruitmentApplicantSelection", "RecruitmentManagement"),
    ("RecruitmentApplicationAnalysis", "RecruitmentApplicationManagement"),
    ("RecruitmentApplicationManagement", "RecruitmentManagement"),
    ("RecruitmentApplicationScreening", "RecruitmentApplicationManagement"),
    ("RecruitmentInterviewAnalysis", "RecruitmentInterviewManagement"),
    ("RecruitmentInterviewAssessment", "RecruitmentInterviewManagement"),
    ("RecruitmentInterviewManagement", "RecruitmentManagement"),
    ("RecruitmentInterviewScheduling", "RecruitmentInterviewManagement"),
    ("RecruitmentManagement", "PersonnelHiring"),
    ("RecruitmentTargetedAdvertising", "RecruitmentAdvertising"),
    ("RecruitmentTargetedAdvertising", "TargetedAdvertising"),
    ("RepairImpairments", "ServiceManagement"),
    ("RequestedServiceProvision", "ServiceProvision"),
    ("ResearchAndDevelopment", "Purpose"),
    ("RightsFulfilment", "Purpose"),
    ("ScientificResearch", "ResearchAndDevelopment"),
    ("SearchFunctionalities", "ServiceProvision"),
    ("SellDataToThirdParties", "SellProducts"),
    ("SellInsightsFromData", "SellProducts"),
    ("SellProducts", "ServiceProvision"),
    ("SellProductsToDataSubject", "SellProducts"),
    ("ServiceAccessDetermination", "ServiceManagement"),
    ("ServiceManagement", "Purpose"),
    ("ServiceMonitoring", "ServiceManagement"),
    ("ServiceOptimisation", "ServiceManagement"),
    ("ServicePersonalisation", "Personalisation"),
    ("ServicePersonalisation", "ServiceManagement"),
    ("ServiceProvision", "ServiceManagement"),
    ("ServiceRegistration", "ServiceManagement"),
    ("ServiceUsageAnalytics", "ServiceMonitoring"),
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

/// A purpose of ours, as `spelling` writes it, and the one of DPV that it lies directly below.
const OWN: (&str, &str) = ("orientation", "ProvidePersonalisedRecommendations");

/// Whether the purpose is one of the tree.
pub(crate) fn is_purpose(name: &str) -> bool {
    let bare = name.strip_prefix(DPV).unwrap_or("");
    name == OWN.0 || BROADER.iter().any(|(one, other)| *one == bare || *other == bare)
}

/// Whether one purpose is another, or reaches it going up the tree.
pub(super) fn reaches(name: &str, wider: &str) -> bool {
    let up =
        |(one, other): &&(&str, &str)| name.strip_prefix(DPV) == Some(*one) && reaches(&format!("{DPV}{other}"), wider);
    let own = name == OWN.0 && reaches(&format!("{DPV}{}", OWN.1), wider);
    name == wider || own || BROADER.iter().any(|pair| up(&pair))
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
