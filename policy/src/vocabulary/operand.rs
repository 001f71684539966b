//! The profile: one row for each left operand that this connector understands. From this table come the code's reading of constraints, the
//! document `PROFILE.md` and the JSON-LD context `profile.jsonld` (made in `profile`). An operand that has no row denies.

use super::{DASES, DPV_ODRL, Namespace, ODRL, Operator, expand};
use serde::{Serialize, Serializer};
use std::fmt;

/// What the right operands of a left operand are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueType {
    /// A point in time or a day, with a time zone.
    Instant,
    /// A length of time that ends on the calendar: `P3M`, `PT60M`.
    Duration,
    /// A length of time that is counted up: no months, no years.
    Stretch,
    /// A number.
    Number,
    /// A number in a unit; the units must be the same.
    Amount,
    /// One name.
    Name,
    /// One name, which may lie below another; no hierarchy is loaded, so what is not named is not known.
    NameHierarchy,
    /// Several names at once.
    Names,
    /// Yes or no.
    Boolean,
}

impl ValueType {
    /// As it is written in the profile.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Duration => "duration",
            Self::Stretch => "duration without months",
            Self::Number => "number",
            Self::Amount => "number with unit",
            Self::Name => "name",
            Self::NameHierarchy => "name in a hierarchy",
            Self::Names => "set of names",
            Self::Boolean => "boolean",
        }
    }
}

/// From which point of an exchange on the value is there. Before, it is open; from [`crate::Stage::Transfer`] on, what should be there and is
/// not refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// At every stage.
    Always,
    /// Once there is a consumer: catalog, negotiation, transfer, record.
    Consumer,
    /// Once a transfer starts.
    Transfer,
    /// For each record.
    Record,
}

impl Known {
    /// The stages, as they are written in the profile.
    pub const fn stages(self) -> &'static str {
        match self {
            Self::Always => "publish, catalog, negotiation, transfer, record",
            Self::Consumer => "catalog, negotiation, transfer, record",
            Self::Transfer => "transfer, record",
            Self::Record => "record",
        }
    }
}

/// Who may see the value in an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// Anybody.
    Public,
    /// The two parties.
    Partner,
    /// The provider and the learner: it says something about a person.
    Personal,
}

impl Privacy {
    /// As it is written in the profile.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Partner => "partner",
            Self::Personal => "personal",
        }
    }
}

/// How far this connector alone makes a constraint come true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enforcement {
    /// Here, by this connector, on facts that it knows itself or that are its operator's to set.
    Enforced,
    /// Here, on facts that a verified credential or a signed statement attests.
    Attested,
    /// Here, on facts that a party declares; whether they are true is a matter of the contract.
    Declared,
    /// Not here: only the consumer can do it.
    NeedsConsumer,
}

impl Enforcement {
    /// All of them, the strongest first.
    pub const ALL: [Self; 4] = [Self::Enforced, Self::Attested, Self::Declared, Self::NeedsConsumer];

    /// As it is written in the profile.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Attested => "attested",
            Self::Declared => "declared only",
            Self::NeedsConsumer => "needs the consumer",
        }
    }
}

/// A row of the profile.
#[derive(Debug, Clone, Copy)]
pub struct Operand {
    /// What it is compared with.
    pub values: ValueType,
    /// The operators that are understood.
    pub operators: &'static [Operator],
    /// Those that ODRL advises (Common Vocabulary §4.4), where it advises some.
    pub advised: Option<&'static [Operator]>,
    /// From when on it has a value.
    pub known: Known,
    /// Where the value comes from.
    pub source: &'static str,
    /// Who may see it.
    pub privacy: Privacy,
    /// How far a constraint on it is enforced.
    pub enforcement: Enforcement,
    /// What it is called in English.
    pub english: &'static str,
    /// What it is called in French.
    pub french: &'static str,
}

mod operators {
    use super::Operator::{self, Eq, Gt, Gteq, HasPart, IsA, IsAllOf, IsAnyOf, IsNoneOf, IsPartOf, Lt, Lteq, Neq};

    pub(super) const ORDERED: &[Operator] = &[Eq, Neq, Lt, Lteq, Gt, Gteq, IsAnyOf, IsNoneOf];
    pub(super) const LENGTH: &[Operator] = &[Eq, Neq, Lt, Lteq, Gt, Gteq];
    pub(super) const WITHIN: &[Operator] = &[Eq, Lt, Lteq];
    pub(super) const AFTER: &[Operator] = &[Eq, Gt, Gteq];
    pub(super) const ONLY: &[Operator] = &[Eq];
    pub(super) const NAME: &[Operator] = &[Eq, Neq, IsAnyOf, IsNoneOf];
    pub(super) const CONCEPT: &[Operator] = &[Eq, Neq, IsAnyOf, IsNoneOf, IsA];
    pub(super) const CLAIM: &[Operator] = &[Eq, Neq, IsAnyOf, IsNoneOf, IsAllOf, HasPart, IsA];
    pub(super) const NAMES: &[Operator] = &[Eq, Neq, IsAnyOf, IsNoneOf, IsAllOf, HasPart, IsA, IsPartOf];
    pub(super) const BOOLEAN: &[Operator] = &[Eq, Neq];
    pub(super) const EVENT: &[Operator] = &[Eq, Neq, Lt, Lteq, Gt, Gteq];
}

macro_rules! operands {
    (@advised) => { None };
    (@advised $advised:ident) => { Some(operators::$advised) };
    ($($variant:ident = $namespace:ident $local:literal $(or $($also:literal)+)? =>
        $values:ident $operators:ident $(advised $advised:ident)?, $known:ident $privacy:ident $enforcement:ident,
        $source:literal, $english:literal / $french:literal;)+) => {
        super::terms! {
            /// What a constraint looks at.
            LeftOperand { $($variant = $namespace $local $(or $($also)+)?),+ }
        }

        impl LeftOperand {
            /// Its row of the profile.
            pub const fn operand(self) -> Operand {
                match self { $(Self::$variant => Operand {
                    values: ValueType::$values,
                    operators: operators::$operators,
                    advised: operands!(@advised $($advised)?),
                    known: Known::$known,
                    source: $source,
                    privacy: Privacy::$privacy,
                    enforcement: Enforcement::$enforcement,
                    english: $english,
                    french: $french,
                }),+ }
            }
        }
    };
}

operands! {
    DateTime = ODRL "dateTime" or "idsc:POLICY_EVALUATION_TIME" "idsc:DATE_TIME" =>
        Instant ORDERED, Always Public Enforced,
        "this connector's clock, read once for each batch of records", "date and time" / "date et heure";
    Purpose = ODRL "purpose" or "idsc:PURPOSE" =>
        NameHierarchy CONCEPT, Record Partner Declared,
        "the purposes that the agreement names; each learner's consent, or another lawful basis, must cover them", "purpose" / "finalité";
    Recipient = ODRL "recipient" or "idsc:RECIPIENT" =>
        Name NAME, Consumer Partner Enforced,
        "the verified identity (DID) of the consumer", "recipient" / "destinataire";
    Consent = DASES "consent" =>
        Name BOOLEAN, Record Personal Enforced,
        "the learner's consent records, live", "consent of the learner" / "consentement de la personne";
    DataCategory = DASES "dataCategory" or "dpv-odrl:PersonalData" =>
        Name CONCEPT, Record Partner Enforced,
        "the category that the dataset gives each field", "data category" / "catégorie de données";
    Membership = DASES "membership" =>
        Names CLAIM, Consumer Partner Attested,
        "membership.CLAIM: verified claims of the consumer's membership credential; role and purposesAllowed of its role credentials too", "membership" / "adhésion";
    Credential = DASES "credential" =>
        Names CLAIM, Consumer Partner Attested,
        "credential.TYPE.CLAIM: verified claims of the consumer's credentials of that type, whose issuer the trust list lets issue it", "credential" / "attestation";
    ElapsedTime = ODRL "elapsedTime" or "idsc:ELAPSED_TIME" =>
        Duration LENGTH advised WITHIN, Transfer Partner Enforced,
        "the clock, counted from the moment of the agreement; eq means within", "time since the agreement" / "temps depuis l’accord";
    MeteredTime = ODRL "meteredTime" =>
        Stretch LENGTH advised WITHIN, Transfer Partner Enforced,
        "how long streams of the agreement were open, all together", "time of use" / "durée d’utilisation";
    DelayPeriod = ODRL "delayPeriod" or "idsc:DELAY" =>
        Duration LENGTH advised AFTER, Transfer Partner Enforced,
        "the clock, counted from the moment of the agreement; eq means at least", "delay before use" / "délai avant l’usage";
    TimeInterval = ODRL "timeInterval" =>
        Duration LENGTH advised ONLY, Transfer Partner Enforced,
        "the clock, counted from the start of the transfer before; eq means at least; a first transfer need not wait",
        "time between transfers" / "temps entre deux transferts";
    Count = ODRL "count" or "idsc:COUNT" =>
        Number ORDERED, Transfer Partner Enforced,
        "transfers under the agreement of which a stream was opened, this one included", "number of transfers" / "nombre de transferts";
    Spatial = ODRL "spatial" or "idsc:ABSOLUTE_SPATIAL_POSITION" "idsc:SPATIAL" =>
        Names NAMES, Consumer Partner Attested,
        "a claim of the consumer, spatial: its places of use (ISO 3166, NUTS); isPartOf looks at all that contain them too", "place of use" / "lieu d’usage";
    Event = ODRL "event" or "idsc:EVENT" =>
        Name EVENT, Transfer Partner Enforced,
        "the provider's register of events: to come, going on or over; odrl:policyUsage is the use itself", "event" / "événement";
    Language = ODRL "language" =>
        Names NAMES, Transfer Public Enforced,
        "the dataset's description", "language" / "langue";
    FileFormat = ODRL "fileFormat" =>
        Names NAMES, Transfer Public Enforced,
        "what the transfer sends", "file format" / "format";
    Version = ODRL "version" =>
        Names NAMES, Transfer Public Enforced,
        "the dataset's description", "version" / "version";
    Industry = ODRL "industry" =>
        Names NAMES, Consumer Partner Attested,
        "a claim of the consumer, industry: its sector", "industry" / "secteur d’activité";
    Product = ODRL "product" =>
        Names NAMES, Transfer Partner Declared,
        "the dataset's description: what may be made of it, or what it is part of", "product" / "produit";
    DeliveryChannel = ODRL "deliveryChannel" =>
        Names NAMES, Transfer Public Enforced,
        "the kind of the transfer: push or pull, or its DSP format", "delivery channel" / "mode de remise";
    PayAmount = ODRL "payAmount" or "idsc:PAY_AMOUNT" =>
        Amount ORDERED, Transfer Partner Attested,
        "what the provider's operator has recorded as paid under the agreement, in the unit that the constraint names", "amount paid" / "montant payé";
    SystemDevice = ODRL "systemDevice" or "idsc:CONNECTOR" "idsc:SYSTEM" "idsc:SYSTEM_DEVICE" =>
        Names NAMES, Consumer Partner Enforced,
        "the verified identity (DID) of the connector that receives", "receiving connector" / "connecteur destinataire";
    Application = DASES "application" or "idsc:APPLICATION" =>
        Names NAMES, Consumer Partner Attested,
        "a claim of the consumer, application: what it runs", "application" / "application";
    Role = DASES "role" or "idsc:ROLE" "idsc:USER_ROLE" =>
        Names NAMES, Consumer Partner Attested,
        "a claim of the consumer, role: what it does; the persons who work there are not told apart", "role" / "rôle";
    LegalBasis = DPV_ODRL "LegalBasis" or "dases:legalBasis" "legalBasis" =>
        Names NAMES, Transfer Partner Declared,
        "the dataset's description", "legal basis" / "base légale";
    Minor = DASES "minor" =>
        Boolean BOOLEAN, Record Personal Enforced,
        "the consent store", "learner is a minor" / "la personne est mineure";
    GuardianConsent = DASES "guardianConsent" =>
        Boolean BOOLEAN, Record Personal Enforced,
        "the consent store", "consent of a guardian" / "consentement d’un représentant légal";
    MinGroupSize = DASES "minGroupSize" =>
        Number ORDERED, Transfer Partner Enforced,
        "the smallest group that the release shows; absent for single records", "smallest group shown" / "plus petit groupe publié";
    Assurance = DASES "assurance" =>
        Names NAMES, Consumer Partner Attested,
        "a claim of the consumer, assurance: what its connector was certified for", "assurance" / "niveau d’assurance";
    SecurityLevel = DASES "securityLevel" or "idsc:SECURITY_LEVEL" =>
        Names NAMES, Consumer Partner Attested,
        "a claim of the consumer, securityLevel: the level of its connector", "security level" / "niveau de sécurité";
    State = DASES "state" or "idsc:STATE" "idsc:state" "idsc:ENVIRONMENT_STATE" =>
        Names NAMES, Consumer Partner Attested,
        "a claim of the consumer, state: a signed report on its environment", "state of the environment" / "état de l’environnement";
    ArtifactState = DASES "artifactState" or "idsc:ARTIFACT_STATE" "idsc:artifact_state" =>
        Names NAMES, Transfer Partner Enforced,
        "what this connector does to every record of the transfer, such as pseudonymised, and the dataset's description", "state of the data" / "état des données";
}

/// Longest name of a claim, in bytes.
const MAX_CLAIM: usize = 64;

impl LeftOperand {
    /// The operand and, where it has one, the claim that a left operand names in any of the three spellings: `membership.role`,
    /// `dases:credential.Diploma.level`. These two operands as such are nothing that could be compared.
    pub(crate) fn with_claim(text: &str) -> Option<(Self, Option<&str>)> {
        let named = |operand: Self| {
            DASES
                .local_or_bare(text)?
                .strip_prefix(operand.name())?
                .strip_prefix('.')
        };
        if let Some(claim) = named(Self::Membership) {
            return is_claim(claim).then_some((Self::Membership, Some(claim)));
        }
        if let Some(claim) = named(Self::Credential) {
            let (kind, name) = claim.split_once('.')?;
            return (is_claim(kind) && is_claim(name)).then_some((Self::Credential, Some(claim)));
        }
        Self::read(text)
            .filter(|known| !matches!(known, Self::Membership | Self::Credential))
            .map(|known| (known, None))
    }
}

/// Whether a claim about a member can be asked for under this name: a letter, then letters, digits, `-` and `_`.
pub fn is_claim(name: &str) -> bool {
    name.len() <= MAX_CLAIM
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
