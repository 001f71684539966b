//! A consent as others see it: a `dpv:ConsentRecord` in JSON-LD with the fields of ISO/IEC TS 27560:2023 and those that the GDPR adds, in
//! terms of DPV 2.3. One process for each purpose; what holds for all of them stands once, at the record.

use super::{
    Event, Stored,
    context::{CONTEXT, TEXT},
};
use crate::{
    consent::{law::Country, notice::Notice, privacy::Privacy, state::Role},
    dsp::ParticipantId,
    jose::{Digest, JoseError, sha256},
};
use policy::{Category, purpose_iri};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a record conforms to: ISO/IEC TS 27560 in DPV, the same with what the GDPR asks for, and our own additions.
const CONFORMS: [&str; 3] = [
    "https://w3id.org/dpv/schema/dpv-27560#record",
    "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr",
    "https://w3id.org/dases/ns/consent/record/1",
];
/// Most events in a record; older ones are counted, and bound by the hash of the first that is shown.
const SHOWN: usize = 12;

/// The legal names of other participants, where credentials say them.
pub(in crate::consent) type LegalNames = BTreeMap<ParticipantId, String>;

/// What a record says beside the consent itself.
pub(in crate::consent) struct Context<'a> {
    /// Whose record it is: the holder's, or the intermediary's.
    pub(in crate::consent) keeper: &'a ParticipantId,
    /// What the keeper tells about itself.
    pub(in crate::consent) privacy: &'a Privacy,
    /// The notice, where it is registered.
    pub(in crate::consent) notice: Option<&'a Notice>,
    /// The learner's pseudonym.
    pub(in crate::consent) subject: String,
    /// What others are called.
    pub(in crate::consent) names: &'a LegalNames,
}

#[derive(Serialize)]
struct Record<'a> {
    #[serde(rename = "@context")]
    context: &'static str,
    #[serde(rename = "dases:contextHash")]
    context_hash: Digest,
    #[serde(rename = "@type")]
    kind: &'static str,
    #[serde(rename = "@id")]
    iri: &'a str,
    #[serde(rename = "dct:conformsTo")]
    conforms: [&'static str; 3],
    #[serde(rename = "dct:identifier")]
    id: &'a str,
    #[serde(rename = "dpv:hasDataSubject")]
    subject: Value,
    #[serde(rename = "dpv:hasNotice")]
    notice: Value,
    #[serde(rename = "dct:language")]
    language: &'a str,
    #[serde(rename = "dpv:hasProcess")]
    processes: Vec<Process>,
    #[serde(flatten)]
    processing: Processing<'a>,
    /// `event_type`: no other kind of consent is taken.
    #[serde(rename = "dpv:hasConsentType")]
    consent_type: &'static str,
    #[serde(rename = "dpv:hasDuration")]
    durations: Vec<Value>,
    #[serde(rename = "dpv:hasConsentStatus")]
    status: Vec<Value>,
    #[serde(rename = "dases:earlierEvents")]
    earlier: usize,
    #[serde(rename = "dases:terms")]
    terms: Value,
    #[serde(rename = "dases:state")]
    state: Value,
    #[serde(rename = "dases:enteredBy")]
    entered_by: Value,
    #[serde(rename = "dases:intermediary", skip_serializing_if = "Option::is_none")]
    intermediary: Option<Party<'a>>,
    #[serde(rename = "dases:agreement", skip_serializing_if = "Option::is_none")]
    agreement: Option<&'a str>,
    #[serde(rename = "dases:offer", skip_serializing_if = "Option::is_none")]
    offer: Option<Digest>,
    /// As the operand of policies, which is of the same name.
    #[serde(rename = "dases:minGroupSize", skip_serializing_if = "Option::is_none")]
    min_group_size: Option<u32>,
}

/// One purpose.
#[derive(Serialize)]
struct Process {
    #[serde(rename = "@type")]
    kind: &'static str,
    #[serde(rename = "dpv:hasPurpose")]
    purpose: String,
    #[serde(rename = "dpv:hasLegalBasis")]
    basis: &'static str,
}

/// What holds for all purposes: the same whatever the lawful basis.
#[derive(Serialize)]
pub(in crate::consent) struct Processing<'a> {
    #[serde(rename = "dpv:hasPersonalData")]
    data: Vec<Value>,
    #[serde(rename = "dpv:hasDataController")]
    controllers: Vec<Party<'a>>,
    #[serde(rename = "dpv:hasRecipient")]
    recipients: Vec<Party<'a>>,
    #[serde(rename = "dpv:hasDataSource")]
    sources: Vec<Value>,
    #[serde(rename = "dpv:hasProcessing")]
    processing: &'static [&'static str],
    #[serde(rename = "dpv:hasStorageCondition")]
    storage: Vec<Value>,
    #[serde(rename = "dpv:hasLocation")]
    locations: Vec<String>,
    #[serde(rename = "dpv:hasRule")]
    rules: Vec<Value>,
    #[serde(rename = "dpv:hasJurisdiction")]
    jurisdiction: String,
    #[serde(rename = "dpv:hasApplicableLaw")]
    law: &'static str,
    #[serde(rename = "dpv:hasConsentControl")]
    control: Value,
    #[serde(rename = "dpv:hasRight")]
    rights: &'a [String],
    #[serde(rename = "dpv:hasAuthority")]
    authority: Party<'a>,
}

/// A party with the fields that TS 27560 wants of each.
#[derive(Serialize)]
struct Party<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    #[serde(rename = "dct:identifier")]
    id: &'a str,
    #[serde(rename = "dpv:hasName")]
    name: &'a str,
    #[serde(rename = "dpv:hasAddress")]
    address: &'a str,
    #[serde(rename = "dpv:hasContact")]
    contact: &'a str,
    #[serde(rename = "dpv:hasDataProtectionOfficer", skip_serializing_if = "Option::is_none")]
    dpo: Option<&'a str>,
}

/// What is processed: of whom, from where, for whom.
pub(in crate::consent) struct Parties<'a> {
    pub(in crate::consent) holder: &'a ParticipantId,
    pub(in crate::consent) recipients: &'a [ParticipantId],
    pub(in crate::consent) categories: &'a [String],
    pub(in crate::consent) fields: &'a [String],
    pub(in crate::consent) datasets: Vec<&'a str>,
    pub(in crate::consent) retention_days: u32,
    /// How the learner ends it: a term of DPV.
    pub(in crate::consent) control: &'static str,
    /// What the recipients are called.
    pub(in crate::consent) names: &'a LegalNames,
}

/// What holds for all purposes of a consent or of another lawful basis.
pub(in crate::consent) fn processing<'a>(parties: &Parties<'a>, privacy: &'a Privacy) -> Processing<'a> {
    let location = |country: &Country| format!("loc:{country}");
    let locations: Vec<String> = privacy.storage.iter().map(location).collect();
    let source = |dataset: &&str| json!({"@type": "dpv:DataSource", "dct:identifier": dataset});
    let mut sources: Vec<Value> = parties.datasets.iter().map(source).collect();
    if sources.is_empty() {
        sources.push(json!({"@type": "dpv:DataSource", "dct:identifier": parties.holder}));
    }
    Processing {
        data: parties
            .categories
            .iter()
            .map(|name| data(name, parties.fields))
            .collect(),
        controllers: vec![Party {
            kind: "dpv:DataController",
            id: parties.holder.as_str(),
            name: &privacy.name,
            address: &privacy.address,
            contact: &privacy.contact,
            dpo: Some(&privacy.dpo),
        }],
        recipients: parties
            .recipients
            .iter()
            .map(|did| other("dpv:Recipient", did, parties.names))
            .collect(),
        sources,
        processing: &["dpv:DiscloseByTransmission"],
        storage: vec![
            json!({"@type": "dpv:StorageLocation", "dpv:hasLocation": locations.clone()}),
            json!({"@type": "dpv:StorageDuration", "dpv:hasDuration": format!("P{}D", parties.retention_days)}),
            json!({"@type": "dpv:StorageDeletion", "dpv:hasDuration": format!("P{}D", privacy.deletion.as_secs().div_ceil(86_400))}),
        ],
        rules: vec![json!({"@type": "dpv:Permission", "dpv:hasLocation": locations.clone()})],
        locations,
        jurisdiction: location(&privacy.country),
        law: "eu-gdpr:GDPR",
        control: json!({"@type": parties.control, "dpv:isExercisedAt": privacy.withdraw_at}),
        rights: &privacy.rights,
        authority: Party {
            kind: "dpv:SupervisoryAuthority",
            id: &privacy.authority.contact,
            name: &privacy.authority.name,
            address: &privacy.authority.contact,
            contact: &privacy.authority.contact,
            dpo: None,
        },
    }
}

/// Another participant, by the legal name that its credentials say. It publishes in its own DID document how to reach it; nothing here could
/// say that better.
fn other<'a>(kind: &'static str, did: &'a ParticipantId, names: &'a LegalNames) -> Party<'a> {
    let name = names.get(did).map(String::as_str);
    let did = did.as_str();
    Party {
        kind,
        id: did,
        name: name.unwrap_or(did),
        address: did,
        contact: did,
        dpo: None,
    }
}

/// A data category with its nearest term of DPV-PD; where it is limited to some fields, these are what it has (TS 27560: `attribute_id`).
fn data(name: &str, fields: &[String]) -> Value {
    let (kind, term) = match Category::read(name) {
        Some(Category::Identity) => ("dpv:PersonalData", "pd:Identifying"),
        Some(Category::Skills) => ("dpv:PersonalData", "pd:Professional"),
        Some(Category::Certificates) => ("dpv:PersonalData", "pd:EducationQualification"),
        Some(Category::ActivityTraces) => ("dpv:PersonalData", "pd:Behavioral"),
        Some(Category::Experience) => ("dpv:PersonalData", "pd:WorkHistory"),
        Some(Category::SpecialNeeds) => ("dpv:SpecialCategoryPersonalData", "pd:Disability"),
        Some(Category::Results | Category::Provenance) | None => ("dpv:PersonalData", "pd:Education"),
    };
    let mut data = json!({
        "@type": [kind, term], "dct:identifier": format!("dases:{name}"), "dpv:hasNecessity": "dpv:Optional",
    });
    if let (Value::Object(members), false) = (&mut data, fields.is_empty()) {
        let field = |pointer: &String| json!({"@type": kind, "dct:identifier": pointer});
        let fields: Vec<Value> = fields.iter().map(field).collect();
        members.insert("dpv:hasPersonalData".into(), json!(fields));
    }
    data
}

/// A purpose as others read it. What was entered before only IRIs were taken stands as it was said.
pub(in crate::consent) fn purpose(name: &str) -> String {
    purpose_iri(name).unwrap_or_else(|| name.to_owned())
}

/// The record of a consent.
pub(in crate::consent) fn render(stored: &Stored, context: &Context<'_>) -> Result<Value, JoseError> {
    let consent = &stored.consent;
    let explicit = consent.explicit;
    let basis = if explicit { "eu-gdpr:A9-2-a" } else { "eu-gdpr:A6-1-a" };
    let language = context.notice.map(|notice| notice.language.as_str());
    let language = language.or_else(|| consent.notice_ref.as_ref().map(|known| known.language.as_str()));
    let parties = Parties {
        holder: &consent.holder,
        recipients: &consent.recipients,
        categories: &consent.categories,
        fields: &consent.fields,
        datasets: consent.datasets.iter().map(|id| id.as_str()).collect(),
        retention_days: consent.retention_days.unwrap_or(context.privacy.retention_days),
        control: "dpv:WithdrawConsent",
        names: context.names,
    };
    let mut processing = processing(&parties, context.privacy);
    if consent.holder != *context.keeper {
        processing.controllers = vec![other("dpv:DataController", &consent.holder, context.names)];
    }
    if consent.aggregate_only {
        processing.processing = &["dpv:Aggregate"];
    }
    let earlier = stored.events.len().saturating_sub(SHOWN);
    let record = Record {
        context: CONTEXT,
        context_hash: sha256(TEXT.as_bytes()),
        kind: "dpv:ConsentRecord",
        iri: consent.id.as_str(),
        conforms: CONFORMS,
        id: consent.id.as_str(),
        subject: json!({"@type": "dpv:DataSubject", "dct:identifier": context.subject}),
        notice: notice(stored, context),
        // Undetermined (ISO 639-2) where the notice is known by its hash alone.
        language: language.unwrap_or("und"),
        processes: consent
            .purposes
            .iter()
            .map(|name| Process {
                kind: "dpv:Process",
                purpose: purpose(name),
                basis,
            })
            .collect(),
        processing,
        consent_type: match explicit {
            true => "dpv:ExplicitlyExpressedConsent",
            false => "dpv:ExpressedConsent",
        },
        durations: durations(stored),
        status: stored.events.iter().skip(earlier).map(status).collect(),
        earlier,
        terms: consent.terms(),
        state: json!(stored.state),
        entered_by: json!(consent.entered_by),
        intermediary: consent
            .via
            .as_ref()
            .map(|did| other("dases:Intermediary", did, context.names)),
        agreement: consent.agreement.as_ref().map(|id| id.as_str()),
        offer: consent.offer,
        min_group_size: consent.min_group_size,
    };
    serde_json::to_value(record).map_err(|_| JoseError::CannotSign("a consent record is not JSON"))
}

fn notice(stored: &Stored, context: &Context<'_>) -> Value {
    let consent = &stored.consent;
    let mut shown = json!({
        "@type": "dpv:ConsentNotice", "dases:hash": consent.notice, "dases:registered": consent.notice_ref.is_some(),
        "dct:identifier": consent.notice_ref.as_ref().map_or(consent.notice.as_str(), |known| known.id.as_str()),
    });
    if let (Value::Object(members), Some(known)) = (&mut shown, &consent.notice_ref) {
        members.insert("dct:hasVersion".into(), json!(known.version));
        members.insert("dct:language".into(), json!(known.language));
        if let Some(notice) = context.notice {
            members.insert("dct:date".into(), json!(notice.added));
            members.insert("foaf:page".into(), json!(notice.url));
        }
    }
    shown
}

fn durations(stored: &Stored) -> Vec<Value> {
    let mut all = vec![json!({"@type": "dpv:UntilTimeDuration", "dct:valid": stored.ends()})];
    if let Some(most) = stored.consent.max_count {
        all.push(json!({"@type": "dpv:FixedOccurrencesDuration", "dases:maxCount": most}));
    }
    all
}

/// One step: its terms of DPV, and the fact that the hashes are over.
fn status(event: &Event) -> Value {
    let fact = &event.fact;
    let who = match fact.role {
        Role::Learner => "dpv:DataSubject",
        Role::Guardian => "dpv:ParentOfDataSubject",
        Role::Delegate => "dpv:GuardianOfDataSubject",
        Role::Holder => "dpv:DataController",
        Role::Consumer => "dpv:Recipient",
        Role::Authority => "dpv:DataProtectionAuthority",
        Role::Clock => "dases:Schedule",
    };
    let term = match fact.act {
        crate::consent::state::Act::Reaffirm => "dpv:RenewedConsentGiven",
        _ => fact.state.dpv(),
    };
    let mut shown = json!({
        "@type": term, "dpv:isIndicatedAtTime": fact.time, "dpv:hasIndicationMethod": fact.method,
        "dpv:isIndicatedBy": {"@type": who, "dct:identifier": fact.by.as_deref().unwrap_or(who)}, "dases:event": fact,
    });
    if let (Value::Object(members), Some(other)) = (&mut shown, &fact.replaced_by) {
        members.insert("dct:isReplacedBy".into(), json!(other));
    }
    shown
}
