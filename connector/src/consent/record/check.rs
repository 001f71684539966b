//! Whether a record has the fields that ISO/IEC TS 27560:2023 makes mandatory and those that the GDPR adds (DPVCG, "Consent records with
//! DPV"): by their names in the standard. Any record is read, with prefixed, bare or full names.

use serde_json::Value;
use std::fmt;

/// A field that a record lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name in ISO/IEC TS 27560.
    pub field: &'static str,
    /// The term under which it was looked for.
    pub term: &'static str,
    /// Who asks for it.
    pub asked_by: AskedBy,
}

/// Who makes a field mandatory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// ISO/IEC TS 27560.
    Iso,
    /// The GDPR.
    Gdpr,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.asked_by {
            AskedBy::Iso => "ISO/IEC TS 27560",
            AskedBy::Gdpr => "the GDPR",
        };
        write!(f, "{} ({}) is missing, which {by} asks for", self.field, self.term)
    }
}

/// Where a field stands.
#[derive(Clone, Copy)]
enum At {
    /// At the record.
    Record,
    /// In each process, or once at the record for all of them.
    Process,
    /// In each member of this other field.
    Each(&'static str),
    /// A member of that type in this other field.
    Typed(&'static str),
}

use AskedBy::{Gdpr, Iso};

const FIELDS: [(&str, &str, At, AskedBy); 38] = [
    ("schema_version", "dct:conformsTo", At::Record, Iso),
    ("record_id", "dct:identifier", At::Record, Iso),
    ("pii_principal_id", "dpv:hasDataSubject", At::Record, Iso),
    ("privacy_notice", "dpv:hasNotice", At::Process, Iso),
    ("language", "dct:language", At::Process, Iso),
    ("purpose", "dpv:hasPurpose", At::Each("dpv:hasProcess"), Iso),
    ("lawful_basis", "dpv:hasLegalBasis", At::Process, Gdpr),
    ("pii_information", "dpv:hasPersonalData", At::Process, Iso),
    ("pii_type", "@type", At::Each("dpv:hasPersonalData"), Iso),
    (
        "pii_optional",
        "dpv:hasNecessity",
        At::Each("dpv:hasPersonalData"),
        Gdpr,
    ),
    ("pii_controllers", "dpv:hasDataController", At::Process, Iso),
    ("collection_method", "dpv:hasDataSource", At::Process, Gdpr),
    ("processing_method", "dpv:hasProcessing", At::Process, Gdpr),
    (
        "storage_locations",
        "dpv:StorageLocation",
        At::Typed("dpv:hasStorageCondition"),
        Iso,
    ),
    (
        "retention_period",
        "dpv:StorageDuration",
        At::Typed("dpv:hasStorageCondition"),
        Iso,
    ),
    ("processing_locations", "dpv:hasLocation", At::Process, Gdpr),
    ("geographic_restrictions", "dpv:hasRule", At::Process, Gdpr),
    ("jurisdiction", "dpv:hasJurisdiction", At::Process, Iso),
    ("recipient_third_parties", "dpv:hasRecipient", At::Process, Iso),
    ("withdrawal_method", "dpv:hasConsentControl", At::Process, Iso),
    ("privacy_rights", "dpv:hasRight", At::Process, Gdpr),
    ("authority_party", "dpv:hasAuthority", At::Process, Gdpr),
    ("party_id", "dct:identifier", At::Each("dpv:hasDataController"), Iso),
    ("party_name", "dpv:hasName", At::Each("dpv:hasDataController"), Iso),
    (
        "party_address",
        "dpv:hasAddress",
        At::Each("dpv:hasDataController"),
        Iso,
    ),
    (
        "party_contact",
        "dpv:hasContact",
        At::Each("dpv:hasDataController"),
        Iso,
    ),
    ("party_type", "@type", At::Each("dpv:hasDataController"), Iso),
    (
        "recipient party_id",
        "dct:identifier",
        At::Each("dpv:hasRecipient"),
        Iso,
    ),
    ("recipient party_name", "dpv:hasName", At::Each("dpv:hasRecipient"), Iso),
    (
        "recipient party_address",
        "dpv:hasAddress",
        At::Each("dpv:hasRecipient"),
        Iso,
    ),
    (
        "recipient party_contact",
        "dpv:hasContact",
        At::Each("dpv:hasRecipient"),
        Iso,
    ),
    ("recipient party_type", "@type", At::Each("dpv:hasRecipient"), Iso),
    (
        "authority party_name",
        "dpv:hasName",
        At::Each("dpv:hasAuthority"),
        Gdpr,
    ),
    (
        "event_time",
        "dpv:isIndicatedAtTime",
        At::Each("dpv:hasConsentStatus"),
        Iso,
    ),
    ("validity_duration", "dpv:hasDuration", At::Process, Iso),
    ("entity_id", "dpv:isIndicatedBy", At::Each("dpv:hasConsentStatus"), Iso),
    ("event_type", "dpv:hasConsentType", At::Record, Iso),
    ("event_state", "@type", At::Each("dpv:hasConsentStatus"), Iso),
];

/// Says which mandatory fields a record lacks, if any: those of ISO/IEC TS 27560 and those of the GDPR.
pub fn check_27560(record: &Value) -> Result<(), Vec<Missing>> {
    let processes = members(record, "dpv:hasProcess");
    let lacks = |(_, term, at, _): &&(&'static str, &'static str, At, AskedBy)| {
        let in_all =
            |name: &str| has(record, name) || (!processes.is_empty() && processes.iter().all(|p| has(p, name)));
        let found = match at {
            At::Record => has(record, term),
            At::Process => in_all(term),
            At::Each(of) => {
                let all = everywhere(record, &processes, of);
                !all.is_empty() && all.iter().all(|member| has(member, term))
            }
            At::Typed(of) => {
                let all = everywhere(record, &processes, of);
                all.iter().any(|member| is_a(member, term))
            }
        };
        !found
    };
    let missing = FIELDS.iter().filter(lacks);
    let missing: Vec<Missing> = missing
        .map(|field| Missing {
            field: field.0,
            term: field.1,
            asked_by: field.3,
        })
        .chain(endless(record, &processes))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

/// A consent without an end is not a duration.
fn endless(record: &Value, processes: &[&Value]) -> Option<Missing> {
    let all = everywhere(record, processes, "dpv:hasDuration");
    all.iter()
        .any(|duration| is_a(duration, "dpv:EndlessDuration"))
        .then_some(Missing {
            field: "validity_duration",
            term: "dpv:hasDuration other than dpv:EndlessDuration",
            asked_by: Gdpr,
        })
}

/// The members of a field, wherever it stands.
fn everywhere<'a>(record: &'a Value, processes: &[&'a Value], term: &str) -> Vec<&'a Value> {
    let of_processes = processes.iter().copied().flat_map(|process| members(process, term));
    members(record, term).into_iter().chain(of_processes).collect()
}

/// The namespaces whose names may stand in full.
const NAMESPACES: [(&str, &str); 2] = [("dpv:", "https://w3id.org/dpv#"), ("dct:", "http://purl.org/dc/terms/")];

/// The value under a term in any of its spellings.
fn get<'a>(value: &'a Value, term: &str) -> Option<&'a Value> {
    let full = NAMESPACES.iter().find_map(|(prefix, iri)| {
        let local = term.strip_prefix(prefix)?;
        value.get(format!("{iri}{local}")).or_else(|| value.get(local))
    });
    value.get(term).or(full)
}

/// A field counts when it says something.
fn has(value: &Value, term: &str) -> bool {
    get(value, term).is_some_and(says)
}

fn says(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Number(_) => true,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(list) => !list.is_empty() && list.iter().all(says),
        Value::Object(members) => !members.is_empty(),
    }
}

/// The members of a field: of a list, or the one value.
fn members<'a>(value: &'a Value, term: &str) -> Vec<&'a Value> {
    match get(value, term) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
    }
}

fn is_a(value: &Value, term: &str) -> bool {
    let local = term.strip_prefix("dpv:").unwrap_or(term);
    let named = |name: &str| {
        name == term
            || name == local
            || name
                .strip_prefix("https://w3id.org/dpv#")
                .is_some_and(|name| name == local)
    };
    let of_type = |value: &Value| value.as_str().is_some_and(named);
    match value.get("@type") {
        Some(Value::Array(list)) => list.iter().any(of_type),
        Some(one) => of_type(one),
        None => of_type(value),
    }
}
