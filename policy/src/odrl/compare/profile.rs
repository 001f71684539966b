//! What our profile knows of names beyond ODRL: languages, places, data categories, and the purposes of DPV that skills records are used for.
//! Complete are ISO 3166, NUTS, BCP 47 and our own categories. Purposes are not: of two of them only what is listed here is certain.

use super::Concepts;
use crate::vocabulary::DPV;

/// Purposes of DPV 2 and what lies directly below them, bare.
const PURPOSES: &[(&str, &[&str])] = &[
    (
        "Purpose",
        &[
            "CommercialPurpose",
            "NonCommercialPurpose",
            "ResearchAndDevelopment",
            "Marketing",
            "OrganisationGovernance",
            "Personalisation",
            "ServiceProvision",
            "LegalObligation",
            "PublicBenefit",
            "HumanResourceManagement",
            "RecordManagement",
            "EnforceSecurity",
        ],
    ),
    (
        "ResearchAndDevelopment",
        &[
            "AcademicResearch",
            "CommercialResearch",
            "NonCommercialResearch",
            "ScientificResearch",
        ],
    ),
    ("CommercialPurpose", &["CommercialResearch"]),
    ("NonCommercialPurpose", &["NonCommercialResearch"]),
    ("Marketing", &["Advertising", "DirectMarketing", "SocialMediaMarketing"]),
    ("Advertising", &["PersonalisedAdvertising", "TargetedAdvertising"]),
    (
        "Personalisation",
        &["PersonalisedAdvertising", "ServicePersonalisation"],
    ),
    ("PersonalisedAdvertising", &["TargetedAdvertising"]),
    ("HumanResourceManagement", &["PersonnelManagement"]),
    ("PersonnelManagement", &["PersonnelHiring", "PersonnelPayment"]),
];

/// Purposes that exclude each other, with all that lies below them: by their definitions one processes for gain and one does not.
const APART: &[[&str; 2]] = &[["CommercialPurpose", "NonCommercialPurpose"]];

impl Concepts {
    /// What our profile knows: codes of languages and places, data categories, and purposes of DPV as far as they are listed.
    pub fn profile() -> Self {
        let mut concepts = Self::new().with_codes();
        let iri = |name: &str| format!("{}{name}", DPV.iri);
        for (wider, names) in PURPOSES {
            for name in *names {
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
